-- SPDX-License-Identifier: MIT
--
-- growth.sql: keeps seqdb_stat in a table and draws growth and fragmentation: as text, and as the picture growth.svg.
-- What a program needs of it are the table `growth` and the INSERT, run every hour or so.
-- Run in an empty directory:  sqlite3 -batch :memory: -cmd '.load /path/to/build/seqdb' < growth.sql
--
-- Expected output:
--   # content  - reserved  . free, each 128 KiB
--    1 #########. 0 % free
--    2 ###################. 0 % free
--    3 #############...... 29 % free
--    4 ########################..... 18 % free
--    5 #################............. 43 % free
--    6 #################. 0 % free
--   6 samples in growth.svg
.mode list
CREATE VIRTUAL TABLE regions USING seqdb('regions');

CREATE TABLE growth(
  sample INTEGER PRIMARY KEY, at TEXT DEFAULT CURRENT_TIMESTAMP, generation INTEGER, regions INTEGER,
  content_bytes INTEGER, reserved_bytes INTEGER, hole_bytes INTEGER, pending_bytes INTEGER, file_bytes INTEGER);

-- Six days of a program: it stores and removes, and compacts at last.  No view and no trigger can call seqdb_stat: the
-- program runs this INSERT.
INSERT INTO regions(name, content) SELECT 'a' || value, zeroblob(250000) FROM json_each('[1, 2, 3, 4, 5]');
INSERT INTO growth(generation, regions, content_bytes, reserved_bytes, hole_bytes, pending_bytes, file_bytes)
  SELECT s ->> 'generation', s ->> 'regions', s ->> 'content_bytes', s ->> 'reserved_bytes', s ->> 'hole_bytes',
         s ->> 'pending_bytes', s ->> 'file_bytes' FROM (SELECT seqdb_stat('regions') AS s);

INSERT INTO regions(name, content) SELECT 'b' || value, zeroblob(250000) FROM json_each('[1, 2, 3, 4, 5]');
INSERT INTO growth(generation, regions, content_bytes, reserved_bytes, hole_bytes, pending_bytes, file_bytes)
  SELECT s ->> 'generation', s ->> 'regions', s ->> 'content_bytes', s ->> 'reserved_bytes', s ->> 'hole_bytes',
         s ->> 'pending_bytes', s ->> 'file_bytes' FROM (SELECT seqdb_stat('regions') AS s);

DELETE FROM regions WHERE name IN ('a1', 'a3', 'b1');
INSERT INTO regions(regions) VALUES ('checkpoint');
INSERT INTO growth(generation, regions, content_bytes, reserved_bytes, hole_bytes, pending_bytes, file_bytes)
  SELECT s ->> 'generation', s ->> 'regions', s ->> 'content_bytes', s ->> 'reserved_bytes', s ->> 'hole_bytes',
         s ->> 'pending_bytes', s ->> 'file_bytes' FROM (SELECT seqdb_stat('regions') AS s);

INSERT INTO regions(name, content) VALUES ('large', zeroblob(1500000));
INSERT INTO growth(generation, regions, content_bytes, reserved_bytes, hole_bytes, pending_bytes, file_bytes)
  SELECT s ->> 'generation', s ->> 'regions', s ->> 'content_bytes', s ->> 'reserved_bytes', s ->> 'hole_bytes',
         s ->> 'pending_bytes', s ->> 'file_bytes' FROM (SELECT seqdb_stat('regions') AS s);

DELETE FROM regions WHERE name IN ('a2', 'b2', 'b4', 'b5');
INSERT INTO regions(regions) VALUES ('checkpoint');
INSERT INTO growth(generation, regions, content_bytes, reserved_bytes, hole_bytes, pending_bytes, file_bytes)
  SELECT s ->> 'generation', s ->> 'regions', s ->> 'content_bytes', s ->> 'reserved_bytes', s ->> 'hole_bytes',
         s ->> 'pending_bytes', s ->> 'file_bytes' FROM (SELECT seqdb_stat('regions') AS s);

INSERT INTO regions(regions) VALUES ('compact');
INSERT INTO growth(generation, regions, content_bytes, reserved_bytes, hole_bytes, pending_bytes, file_bytes)
  SELECT s ->> 'generation', s ->> 'regions', s ->> 'content_bytes', s ->> 'reserved_bytes', s ->> 'hole_bytes',
         s ->> 'pending_bytes', s ->> 'file_bytes' FROM (SELECT seqdb_stat('regions') AS s);

-- As text: a character for each 128 KiB.
SELECT '# content  - reserved  . free, each 128 KiB';
SELECT printf('%2d %s%s%s %d %% free', sample, printf('%.*c', content_bytes / 131072, '#'),
              substr(printf('%.*c', 1 + (reserved_bytes - content_bytes) / 131072, '-'), 2),
              printf('%.*c', (file_bytes - reserved_bytes) / 131072, '.'),
              100 * (hole_bytes + pending_bytes) / file_bytes)
  FROM growth ORDER BY sample;

-- As a picture: the file in grey, what is reserved in it in blue, content in dark blue.
CREATE VIEW curves AS
  SELECT kind, colour, group_concat(printf('%d,%d', 60 * sample, 320 - 300 * bytes / most), ' ') AS points
    FROM (SELECT 1 AS kind, '#bbbbbb' AS colour, sample, file_bytes AS bytes FROM growth UNION ALL
          SELECT 2, '#a8c6e5', sample, reserved_bytes FROM growth UNION ALL
          SELECT 3, '#3572b0', sample, content_bytes FROM growth ORDER BY 1, 3),
         (SELECT max(file_bytes) AS most FROM growth) GROUP BY kind;
.output growth.svg
SELECT printf('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="340">', 60 * max(sample) + 60) FROM growth;
SELECT printf('<polyline fill="none" stroke-width="2" stroke="%s" points="%s"/>', colour, points) FROM curves;
SELECT '</svg>';
.output stdout
SELECT count(*) || ' samples in growth.svg' FROM growth;
