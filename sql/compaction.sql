-- SPDX-License-Identifier: MIT
--
-- compaction.sql: removed regions leave holes; compaction gives them back to the file system.
-- Run in an empty directory:  sqlite3 -batch :memory: -cmd '.load /path/to/build/seqdb' < compaction.sql
--
-- Expected output:
--   full: 64 regions, 16 MB of content
--   three of four removed: 16 regions, 4 MB of content
--   compaction gave something back: yes
--   disk use is now below 5 MB: yes
--   every byte still there: yes
--   ok
.mode list
CREATE VIRTUAL TABLE regions USING seqdb('regions');
CREATE TABLE original(name TEXT PRIMARY KEY, content BLOB);
INSERT INTO original
  WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 64)
  SELECT printf('region %02d', n), randomblob(262144) FROM n;
INSERT INTO regions(name, content) SELECT name, content FROM original;
SELECT printf('full: %d regions, %d MB of content', count(*), sum(length) / 1048576) FROM regions;

DELETE FROM regions WHERE rowid % 4;
SELECT printf('three of four removed: %d regions, %d MB of content', count(*), sum(length) / 1048576) FROM regions;

SELECT 'compaction gave something back: ' || iif(seqdb_compact('regions') > 0, 'yes', 'no');
SELECT 'disk use is now below 5 MB: ' || iif(seqdb_stat('regions') ->> 'disk_bytes' < 5000000, 'yes', 'no');
SELECT 'every byte still there: ' || iif(count(*) = 16 AND min(r.content = o.content), 'yes', 'no')
  FROM regions AS r JOIN original AS o ON o.name = r.name;
SELECT seqdb_check('regions');
