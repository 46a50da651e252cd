-- SPDX-License-Identifier: MIT
--
-- layout.sql: where regions lie in `data`, what a removal leaves, and how a hole is used again.  The rows of
-- seqdb_layout cover the file from 0 to its end without a gap.
-- Run in an empty directory:  sqlite3 -batch :memory: -cmd '.load /path/to/build/seqdb' < layout.sql
--
-- Expected output:
--   three regions
--           0    8192 region  first    5000
--        8192   20480 region  second  20000
--       28672    4096 region  third     100
--       32768 1015808 tail                0
--   the second one removed
--           0    8192 region  first    5000
--        8192   20480 pending             0
--       28672    4096 region  third     100
--       32768 1015808 tail                0
--   after a checkpoint
--           0    8192 region  first    5000
--        8192   20480 hole                0
--       28672    4096 region  third     100
--       32768 1015808 tail                0
--   a fourth one in its place
--           0    8192 region  first    5000
--        8192    8192 region  fourth   8000
--       16384   12288 hole                0
--       28672    4096 region  third     100
--       32768 1015808 tail                0
--   no gap
.mode list
CREATE VIRTUAL TABLE regions USING seqdb('regions');

INSERT INTO regions(name, content) VALUES
  ('first', zeroblob(5000)), ('second', zeroblob(20000)), ('third', zeroblob(100));
SELECT 'three regions';
SELECT printf('  %7d %7d %-7s %-7s %5d', offset, bytes, kind, ifnull(name, ''), used) FROM seqdb_layout('regions');

-- Freed space is pending as long as a reader, or the journal after a crash, could still need it.
DELETE FROM regions WHERE name = 'second';
SELECT 'the second one removed';
SELECT printf('  %7d %7d %-7s %-7s %5d', offset, bytes, kind, ifnull(name, ''), used) FROM seqdb_layout('regions');

INSERT INTO regions(regions) VALUES('checkpoint');
SELECT 'after a checkpoint';
SELECT printf('  %7d %7d %-7s %-7s %5d', offset, bytes, kind, ifnull(name, ''), used) FROM seqdb_layout('regions');

INSERT INTO regions(name, content) VALUES('fourth', zeroblob(8000));
SELECT 'a fourth one in its place';
SELECT printf('  %7d %7d %-7s %-7s %5d', offset, bytes, kind, ifnull(name, ''), used) FROM seqdb_layout('regions');

SELECT iif(min(offset) = 0 AND sum(bytes) = max(offset + bytes), 'no gap', 'a gap')
  FROM seqdb_layout('regions');
