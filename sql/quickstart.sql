-- SPDX-License-Identifier: MIT
--
-- quickstart.sql: store real files as regions, append a log, read everything back, remove, compact, compare.
--
-- Run by sql/quickstart, which makes the two files read here, in the working directory:
--   files.list   paths of files, each ended by the byte 0x1E
--   log.txt      a log
-- By hand:  sqlite3 -batch -bail -cmd '.load /path/to/build/seqdb' quickstart.db < quickstart.sql
-- Leaves the regions in ./quickstart-regions.  Fails (exit status 1) if one byte is not as it was stored.
--
-- A file may change or vanish while this runs, so each is read once into the table `source`, which stays; regions must
-- equal that copy, always, and the file itself, unless the file no longer equals the copy.
--
-- It prints a report with times and sizes; what matters is its last line.
-- Expected output:
--   regions that differ                           0
.bail on
.headers off
.mode list

CREATE TEMP TABLE step(label TEXT, at_ms REAL);
CREATE TEMP VIEW now(ms) AS SELECT (julianday('now') - 2440587.5) * 86400000.0;
CREATE TEMP TABLE report(label TEXT, value TEXT);

-- 1. The sources: at most 3000 files (the script's --files) and 64 MB of them.
INSERT INTO step SELECT 'read the files', ms FROM now;
CREATE TEMP TABLE path(path TEXT);
.import --ascii files.list path
CREATE TABLE source(id INTEGER PRIMARY KEY, path TEXT UNIQUE, content BLOB);
INSERT OR IGNORE INTO source(path, content) SELECT path, readfile(path) FROM path ORDER BY random();
-- NULL: it vanished, or became unreadable, since it was listed.
DELETE FROM source WHERE content IS NULL OR length(CAST(path AS BLOB)) > 1024;
DELETE FROM source WHERE id NOT IN (
  SELECT id FROM (SELECT id, row_number() OVER (ORDER BY id) AS files,
                         sum(length(content)) OVER (ORDER BY id) AS bytes FROM source)
  WHERE files <= ifnull($files, 3000) AND bytes <= 64000000);
-- A line ends after its newline; the last one may have none.
CREATE TEMP TABLE line(n INTEGER PRIMARY KEY, text BLOB);
WITH RECURSIVE
  log(bytes) AS MATERIALIZED (SELECT readfile('log.txt')),
  cut(at, size) AS (
    SELECT 1, iif(instr(bytes, x'0a'), instr(bytes, x'0a'), length(bytes)) FROM log
    UNION ALL
    SELECT at + size, iif(instr(substr(bytes, at + size), x'0a'), instr(substr(bytes, at + size), x'0a'),
                          length(bytes) - at - size + 1)
    FROM cut, log WHERE at + size <= length(bytes))
INSERT INTO line(text) SELECT substr(bytes, at, size) FROM cut, log ORDER BY at;

-- 2. One region a file, in one transaction.
CREATE VIRTUAL TABLE regions USING seqdb('quickstart-regions');
INSERT INTO step SELECT 'store them as regions', ms FROM now;
BEGIN;
INSERT INTO regions(name, content) SELECT path, content FROM source ORDER BY id;
COMMIT;

-- 3. The log: the first lines durably one by one (each call in an autocommit SELECT is a transaction of its own), the
-- others by one statement.
INSERT INTO step SELECT 'append 100 log lines, each durable', ms FROM now;
.output /dev/null
SELECT seqdb_append('regions', 'log', text) FROM line WHERE n <= 100 ORDER BY n;
.output stdout
INSERT INTO step SELECT 'append the other lines at once', ms FROM now;
INSERT INTO regions(name, append) SELECT 'log', text FROM line WHERE n > 100 ORDER BY n;

-- 4. Metadata never touches contents.
INSERT INTO step SELECT 'query names and lengths', ms FROM now;
INSERT INTO report SELECT 'regions', count(*) FROM regions;
INSERT INTO report SELECT 'bytes in them', sum(length) FROM regions;
INSERT INTO report SELECT 'largest', max(length) FROM regions;

-- Set by --damage only: the comparison below must find this byte.
SELECT 'damaged on purpose: ' || path FROM source
  WHERE $damage AND length(content) > 0
    AND seqdb_write('regions', path, length(content) / 2,
                    iif(substr(content, length(content) / 2 + 1, 1) = x'00', x'01', x'00')) = 1
  LIMIT 1;

-- 5. Every byte.  `differs` counts regions that are missing, surplus, or not what was stored.
INSERT INTO step SELECT 'compare every byte', ms FROM now;
CREATE TEMP VIEW expected(name, content, path) AS
  SELECT path, content, path FROM source
  UNION ALL SELECT 'log', readfile('log.txt'), 'log.txt';
CREATE TEMP VIEW differs(name) AS
  SELECT e.name FROM expected AS e LEFT JOIN regions AS r ON r.name = e.name
    WHERE r.content IS NOT e.content OR r.length IS NOT length(e.content)
       OR (r.content IS NOT readfile(e.path) AND e.content IS readfile(e.path))
  UNION ALL SELECT name FROM regions WHERE name NOT IN (SELECT name FROM expected);
CREATE TEMP TABLE differing AS SELECT 'first comparison' AS at, name FROM differs;
INSERT INTO report SELECT 'files that changed meanwhile', count(*) FROM source WHERE content IS NOT readfile(path);

-- 6. Remove two of three, give the space back.
INSERT INTO report SELECT 'disk bytes, full', seqdb_stat('regions') ->> 'disk_bytes';
INSERT INTO step SELECT 'remove two regions of three', ms FROM now;
DELETE FROM regions WHERE name IN (SELECT path FROM source WHERE id % 3);
DELETE FROM source WHERE id % 3;
INSERT INTO step SELECT 'compact', ms FROM now;
INSERT INTO report SELECT 'given back by compaction', seqdb_compact('regions');
INSERT INTO report SELECT 'disk bytes, compacted', seqdb_stat('regions') ->> 'disk_bytes';
INSERT INTO report SELECT 'regions left', count(*) FROM regions;
INSERT INTO report SELECT 'bytes left', sum(length) FROM regions;

-- 7. Every byte again, and what the checker says.
INSERT INTO step SELECT 'compare again', ms FROM now;
INSERT INTO differing SELECT 'second comparison', name FROM differs;
INSERT INTO step SELECT 'check', ms FROM now;
INSERT INTO report SELECT 'check', seqdb_check('regions');
INSERT INTO step SELECT 'end', ms FROM now;

-- 8. The report.
SELECT 'seqdb ' || seqdb_version() || ', SQLite ' || sqlite_version();
SELECT '';
SELECT printf('%-36s %10s', 'step', 'ms');
SELECT printf('%-36s %10.1f', label, next - at_ms)
  FROM (SELECT label, at_ms, lead(at_ms) OVER (ORDER BY rowid) AS next FROM step) WHERE next IS NOT NULL;
SELECT '';
SELECT printf('%-33s %13s', label, iif(value GLOB '[0-9]*', printf('%,d', value), value)) FROM report;
SELECT printf('%-33s %13d', 'regions that differ', count(*)) FROM differing;
SELECT '  ' || at || ': ' || name FROM differing LIMIT 10;

-- Exit status 1 unless all is well.
CREATE TEMP TABLE verdict(differing INTEGER CONSTRAINT every_byte_is_as_stored CHECK (differing = 0),
                          checked TEXT CONSTRAINT the_checker_says_ok CHECK (checked = 'ok'));
INSERT INTO verdict SELECT (SELECT count(*) FROM differing), (SELECT value FROM report WHERE label = 'check');
