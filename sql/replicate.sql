-- SPDX-License-Identifier: MIT
--
-- replicate.sql: a follower gets the regions of another database, and rows of a table, as change objects.
-- Run in an empty directory:  sqlite3 -batch :memory: -cmd '.load /path/to/build/seqdb' < replicate.sql
--
-- Both sides are in one connection here: `up` is the upstream, main the follower.  On two machines an object travels as
-- a file, or as whatever carries bytes.
--
-- Expected output:
--   the upstream is in mode wal
--   2 columns of title travel with the regions
--   the follower has reached generation 2
--   cat.jpg: JPEG of a cat
--   the follower has reached generation 3
--   cat.jpg: JPEG of a cat
--   dog.jpg: JPEG of a dog
--   once more: generation 3
--   nothing is new: yes
.mode list
ATTACH 'upstream.db' AS up;
.once /dev/null
PRAGMA up.journal_mode = WAL;
SELECT 'the upstream is in mode ' || journal_mode FROM pragma_journal_mode('up');
CREATE VIRTUAL TABLE up.pictures USING seqdb('upstream_pictures');
CREATE TABLE up.title(id INTEGER PRIMARY KEY, text TEXT UNIQUE);
SELECT seqdb_replicate('up.pictures', 'title') || ' columns of title travel with the regions';

BEGIN;
INSERT INTO up.pictures(name, content) VALUES ('1', 'JPEG of a cat');
INSERT INTO up.title VALUES (1, 'cat.jpg');
COMMIT;

-- The follower: the first object is a base.
CREATE VIRTUAL TABLE main.pictures USING seqdb('follower_pictures');
SELECT 'the follower has reached generation ' || seqdb_apply('main.pictures', seqdb_object('up.pictures', 0));
SELECT t.text || ': ' || CAST(p.content AS TEXT)
  FROM main.title AS t JOIN main.pictures AS p ON p.name = CAST(t.id AS TEXT);

-- Whatever is committed upstream, the next object goes on from the generation that was reached.
BEGIN;
INSERT INTO up.title VALUES (2, 'dog.jpg');
INSERT INTO up.pictures(name, content) VALUES ('2', 'JPEG of a dog');
COMMIT;
SELECT 'the follower has reached generation ' || seqdb_apply('main.pictures', seqdb_object('up.pictures', 2));
SELECT t.text || ': ' || CAST(p.content AS TEXT)
  FROM main.title AS t JOIN main.pictures AS p ON p.name = CAST(t.id AS TEXT);

SELECT 'once more: generation ' || seqdb_apply('main.pictures', seqdb_object('up.pictures', 2));
SELECT 'nothing is new: ' || iif(seqdb_object('up.pictures', 3) IS NULL, 'yes', 'no');
