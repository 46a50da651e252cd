-- SPDX-License-Identifier: MIT
--
-- db_browser.sql: regions and rows in one database, in DB Browser for SQLite.
--
--   sqlitebrowser demo.db -s db_browser.sql        with the extension listed in its settings; see README.md
--
-- The results are in the table `result`.  The program keeps transactions to itself and passes over COMMIT: a script
-- uses SAVEPOINT, RELEASE and ROLLBACK TO.  demo.db is in WAL mode: PRAGMA journal_mode = WAL in any client, once.
PRAGMA busy_timeout = 5000;
CREATE TABLE IF NOT EXISTS result(line TEXT);
DELETE FROM result;
INSERT INTO result VALUES ('SQLite ' || sqlite_version() || ', seqdb ' || seqdb_version());
INSERT INTO result SELECT 'journal mode: ' || journal_mode FROM pragma_journal_mode;
CREATE TABLE IF NOT EXISTS note(text TEXT);
CREATE VIRTUAL TABLE IF NOT EXISTS regions USING seqdb('demo_regions');

SAVEPOINT two_lines;
INSERT INTO note VALUES ('two lines');
INSERT INTO regions(name, append) VALUES ('log', x'66697273740a'), ('log', x'7365636f6e640a'), ('raw', x'00ff8001');
RELEASE two_lines;
INSERT INTO result SELECT printf('committed: %d note, %d bytes in the log', (SELECT count(*) FROM note), length)
  FROM regions WHERE name = 'log';

SAVEPOINT third_line;
INSERT INTO note VALUES ('never to be');
INSERT INTO regions(name, append) VALUES ('log', x'74686972640a');
ROLLBACK TO third_line;
RELEASE third_line;
INSERT INTO result SELECT printf('rolled back: %d note, %d bytes in the log', (SELECT count(*) FROM note), length)
  FROM regions WHERE name = 'log';

INSERT INTO result SELECT 'content: ' || lower(hex(content)) FROM regions WHERE name = 'raw';
INSERT INTO result SELECT 'a part by substr: ' || lower(hex(substr(content, 2, 2))) FROM regions WHERE name = 'raw';
INSERT INTO result SELECT 'a part by seqdb_read: ' || lower(hex(seqdb_read('regions', 'raw', 1, 2)));

SAVEPOINT cut_and_replace;
UPDATE regions SET length = 5 WHERE name = 'log';
UPDATE regions SET content = x'02' WHERE name = 'raw';
RELEASE cut_and_replace;
INSERT INTO result SELECT 'cut and replaced: ' || lower(group_concat(hex(content), ', ')) FROM regions;

SAVEPOINT remove;
DELETE FROM regions WHERE name IN ('log', 'raw');
DELETE FROM note;
RELEASE remove;
INSERT INTO result SELECT 'removed: ' || count(*) || ' regions left' FROM regions;
INSERT INTO result SELECT 'check: ' || seqdb_check('regions');
