-- SPDX-License-Identifier: MIT
--
-- follow.sql: following a region that grows, whoever appends to it.  seqdb_wait() sleeps until there is a newer commit,
-- of this process or another; seqdb_chunks() then gives what is new, in pieces that fit into memory.
-- Run in an empty directory:  sqlite3 -batch :memory: -cmd '.load /path/to/build/seqdb' < follow.sql
--
-- Expected output:
--   0|40
--   new: line 1, line 2, line 3, line 4, line 5,|40
--   woken: 1
--   new: line 6, line 7,|56
--   new: |56
--   nothing came: 1
.mode list
CREATE VIRTUAL TABLE logs USING seqdb('logs');

-- What the follower remembers from round to round: how far it has read, and which commit it has seen.
CREATE TABLE follower(seen INTEGER, generation INTEGER);
INSERT INTO follower VALUES (0, 0);

-- What is new since `seen`.  Chunks begin at multiples of the size: the term on offset leaves out those that were read
-- already without touching them, and substr() what was read of the first one.
CREATE TEMP TABLE news(bytes BLOB);
CREATE TEMP TRIGGER news_read AFTER INSERT ON news BEGIN
  UPDATE follower SET seen = seen + length(NEW.bytes);
END;

-- Somebody appends.
INSERT INTO logs(name, append) SELECT 'log', printf('line %d, ', value) FROM json_each('[1, 2, 3, 4, 5]');
SELECT seen, (SELECT length FROM logs WHERE name = 'log') FROM follower;

INSERT INTO news
  SELECT substr(c.content, max(f.seen - c.offset, 0) + 1)
    FROM follower f, seqdb_chunks('logs', 'log', 16) c WHERE c.offset > f.seen - 16;
SELECT 'new: ' || rtrim(CAST(group_concat(bytes, '') AS TEXT)), (SELECT seen FROM follower) FROM news;
UPDATE follower SET generation = seqdb_flush('logs');

-- Somebody appends, perhaps in another process.  A follower that waits is woken by that commit, without polling; this
-- one finds that the commit has come already.
INSERT INTO logs(name, append) VALUES ('log', 'line 6, '), ('log', 'line 7, ');
SELECT 'woken: ' || (seqdb_wait('logs', generation, 60000) > generation) FROM follower;

DELETE FROM news;
INSERT INTO news
  SELECT substr(c.content, max(f.seen - c.offset, 0) + 1)
    FROM follower f, seqdb_chunks('logs', 'log', 16) c WHERE c.offset > f.seen - 16;
SELECT 'new: ' || rtrim(CAST(group_concat(bytes, '') AS TEXT)), (SELECT seen FROM follower) FROM news;
UPDATE follower SET generation = seqdb_flush('logs');

-- Nothing has come: no row, and a wait that ends when its time is over returns what it was given.
DELETE FROM news;
INSERT INTO news
  SELECT substr(c.content, max(f.seen - c.offset, 0) + 1)
    FROM follower f, seqdb_chunks('logs', 'log', 16) c WHERE c.offset > f.seen - 16;
SELECT 'new: ' || coalesce(rtrim(CAST(group_concat(bytes, '') AS TEXT)), ''), (SELECT seen FROM follower) FROM news;
SELECT 'nothing came: ' || (seqdb_wait('logs', generation, 10) = generation) FROM follower;
