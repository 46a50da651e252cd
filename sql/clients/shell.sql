-- SPDX-License-Identifier: MIT
--
-- shell.sql: regions and rows in one database, in SQLite's own shell.
--
--   sqlite3 -batch -bail -cmd '.load PATH/OF/seqdb' demo.db <shell.sql        prints what README.md shows
.mode list
.headers off
.separator ''
.timeout 5000
SELECT 'SQLite ', sqlite_version(), ', seqdb ', seqdb_version();
.separator '' ''
SELECT 'journal mode: ';
.separator '' "\n"
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS note(text TEXT);
CREATE VIRTUAL TABLE IF NOT EXISTS regions USING seqdb('demo_regions');

-- Values are bound with .parameter; ?1 and ?2 are as good as :name.
.parameter init
.parameter set :line "x'66697273740a'"
.parameter set :second "x'7365636f6e640a'"
BEGIN;
INSERT INTO note VALUES ('two lines');
INSERT INTO regions(name, append) VALUES ('log', :line), ('log', :second), ('raw', x'00ff8001');
COMMIT;
SELECT 'committed: ', (SELECT count(*) FROM note), ' note, ', length, ' bytes in the log' FROM regions
  WHERE name = 'log';

BEGIN;
INSERT INTO note VALUES ('never to be');
INSERT INTO regions(name, append) VALUES ('log', 'third');
ROLLBACK;
SELECT 'rolled back: ', (SELECT count(*) FROM note), ' note, ', length, ' bytes in the log' FROM regions
  WHERE name = 'log';

.parameter set :offset 1
.parameter set :count 2
SELECT 'content: ', lower(hex(content)) FROM regions WHERE name = 'raw';
SELECT 'a part by substr: ', lower(hex(substr(content, 1 + :offset, :count))) FROM regions WHERE name = 'raw';
SELECT 'a part by seqdb_read: ', lower(hex(seqdb_read('regions', 'raw', :offset, :count)));

BEGIN;
UPDATE regions SET length = 5 WHERE name = 'log';
UPDATE regions SET content = x'02' WHERE name = 'raw';
COMMIT;
SELECT 'cut and replaced: ', lower(hex(a.content)), ', ', lower(hex(b.content)) FROM regions AS a, regions AS b
  WHERE a.name = 'log' AND b.name = 'raw';

BEGIN;
DELETE FROM regions WHERE name IN ('log', 'raw');
DELETE FROM note;
COMMIT;
SELECT 'removed: ', count(*), ' regions left' FROM regions;
SELECT 'check: ', seqdb_check('regions');
