-- SPDX-License-Identifier: MIT
--
-- log_append.sql: a log that grows line by line, is followed from where the reader left off, and is rotated.
-- Run in an empty directory:  sqlite3 -batch :memory: -cmd '.load /path/to/build/seqdb' < log_append.sql
--
-- Expected output:
--   0
--   24
--   6 lines, 119 bytes
--   12:00:05 request  4
--   12:00:06 request  5
--   app.log.1|119
--   app.log|17
.mode list
CREATE VIRTUAL TABLE logs USING seqdb('logs');

-- Each call returns the offset at which its bytes begin.  Outside BEGIN each is durable when it returns.
SELECT seqdb_append('logs', 'app.log', printf('12:00:%02d %s', 1, 'server started') || char(10));
SELECT seqdb_append('logs', 'app.log', printf('12:00:%02d %s', 2, 'ready') || char(10));

-- Many lines: one statement, one transaction, one wait for the disk.
INSERT INTO logs(name, append)
  WITH RECURSIVE request(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM request WHERE n < 5)
  SELECT 'app.log', printf('12:00:%02d request %2d', n + 1, n) || char(10) FROM request;

SELECT printf('%d lines, %d bytes', length(CAST(content AS TEXT)) - length(replace(content, char(10), '')), length)
  FROM logs WHERE name = 'app.log';

-- A reader that has seen the first 79 bytes asks for the rest; what lies before them is not even looked at.
SELECT rtrim(CAST(seqdb_read('logs', 'app.log', 79) AS TEXT), char(10));

-- Rotation: rename and go on, in one transaction.  The bytes stay where they are.
BEGIN;
UPDATE logs SET name = 'app.log.1' WHERE name = 'app.log';
INSERT INTO logs(name, append) VALUES('app.log', '12:00:07 new log' || char(10));
COMMIT;
SELECT name, length FROM logs ORDER BY rowid;
