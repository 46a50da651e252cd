-- SPDX-License-Identifier: MIT
--
-- time_series.sql: measurements as fixed-width records.  Record i lies at i * 24: reading one costs the same whatever
-- the series' length, and a measurement needs neither a row nor an index entry.
-- Run in an empty directory:  sqlite3 -batch :memory: -cmd '.load /path/to/build/seqdb' < time_series.sql
--
-- Expected output:
--   humidity: 86400 records, 2073600 bytes
--   temperature: 86400 records, 2073600 bytes
--   at noon: 1700043200 +20.0000
--   last hour: 3600 records, 1700082800 to 1700086399
--   corrected: 1700043200 +21.5000
.mode list
CREATE VIRTUAL TABLE series USING seqdb('series');

-- A record: time (10 digits), blank, value (sign, digits, 4 decimals, padded to 12), newline: 24 bytes.
CREATE TEMP VIEW second(t) AS
  WITH RECURSIVE s(t) AS (SELECT 1700000000 UNION ALL SELECT t + 1 FROM s WHERE t < 1700086399) SELECT t FROM s;

BEGIN;
INSERT INTO series(name, append)
  SELECT 'temperature', printf('%d %-+12.4f' || char(10), t, 20 + (t - 1700043200) / 3600 * 0.25) FROM second;
INSERT INTO series(name, append)
  SELECT 'humidity', printf('%d %-+12.4f' || char(10), t, 55 + t % 7 * 0.5) FROM second;
COMMIT;
SELECT printf('%s: %d records, %d bytes', name, length / 24, length) FROM series ORDER BY name;

-- One record out of the middle.  substr() on content reads these 24 bytes of the mapped file and nothing else.
SELECT 'at noon: ' || rtrim(substr(content, (1700043200 - 1700000000) * 24 + 1, 24), ' ' || char(10))
  FROM series WHERE name = 'temperature';

-- A range: the last 3600 records as one BLOB.
SELECT printf('last hour: %d records, %s to %s', length(hour) / 24, substr(hour, 1, 10), substr(hour, -24, 10))
  FROM (SELECT seqdb_read('series', 'temperature', 86400 * 24 - 3600 * 24) AS hour);

-- A correction in place.
SELECT 'corrected: ' || rtrim(seqdb_read('series', 'temperature', 43200 * 24, 24), ' ' || char(10))
  WHERE seqdb_write('series', 'temperature', 43200 * 24 + 11, '+21.5000') = 8;
