-- SPDX-License-Identifier: MIT
--
-- savepoints.sql: regions take part in BEGIN, SAVEPOINT, ROLLBACK TO, RELEASE, COMMIT and ROLLBACK beside ordinary
-- tables of the same database.
-- Run in an empty directory:  sqlite3 -batch :memory: -cmd '.load /path/to/build/seqdb' < savepoints.sql
--
-- Expected output:
--   inside, before the savepoint: title, chapter one
--   inside, after it: title, chapter one, chapter two
--   rolled back to it: title, chapter one
--   committed: title, chapter one; 1 row
--   a row that exists is skipped: book, notes
--   rolled back altogether: title, chapter one; 1 row
.mode list
CREATE TABLE edition(id INTEGER PRIMARY KEY, note TEXT);
CREATE VIRTUAL TABLE texts USING seqdb('texts');
INSERT INTO texts(name, content) VALUES('book', 'title');

BEGIN;
INSERT INTO texts(name, append) VALUES('book', ', chapter one');
INSERT INTO edition(note) VALUES('with the first chapter');
SELECT 'inside, before the savepoint: ' || CAST(content AS TEXT) FROM texts WHERE name = 'book';
SAVEPOINT second;
INSERT INTO texts(name, append) VALUES('book', ', chapter two');
INSERT INTO edition(note) VALUES('with the second chapter');
INSERT INTO texts(name, content) VALUES('index', 'a, b, c');
SELECT 'inside, after it: ' || CAST(content AS TEXT) FROM texts WHERE name = 'book';
ROLLBACK TO second;
SELECT 'rolled back to it: ' || CAST(content AS TEXT) FROM texts WHERE name = 'book';
COMMIT;
SELECT 'committed: ' || CAST(content AS TEXT) || '; ' || (SELECT count(*) FROM edition) || ' row'
  FROM texts WHERE name = 'book';

-- OR IGNORE skips what exists; everything else of the statement is done.
INSERT OR IGNORE INTO texts(name, content) VALUES('book', 'another'), ('notes', 'n');
SELECT 'a row that exists is skipped: ' || group_concat(name, ', ') FROM texts;

BEGIN;
DELETE FROM texts;
DELETE FROM edition;
ROLLBACK;
SELECT 'rolled back altogether: ' || CAST(content AS TEXT) || '; ' || (SELECT count(*) FROM edition) || ' row'
  FROM texts WHERE name = 'book';
