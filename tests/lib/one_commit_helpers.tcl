# SPDX-License-Identifier: MIT
#
# one_commit_helpers.tcl: SQLite files and directories of different moments beside each other, as a kill or a power cut
# leaves them; source it after sql_helpers.tcl.

# A copy of the SQLite file and its directories as they are on the disk now, each under its name.
proc snap {what} {
  file mkdir $::dir/$what
  foreach file [glob -nocomplain $::dir/host.db $::dir/host.db-wal $::dir/host.db-journal] {
    file copy -force $file $::dir/$what
  }
  exec cp -r --sparse=always {*}[directories $::dir] $::dir/$what
}
proc directories {folder} {return [lmap lock [lsort [glob $folder/*/lock]] {file dirname $lock}]}
# A pair of the SQLite file of one moment and the directory of another.
proc pair {rows regions} {
  set to [temp_dir]
  foreach file [glob $::dir/$rows/host.db*] {file copy $file $to}
  exec cp -r --sparse=always {*}[directories $::dir/$regions] $to
  return $to
}
# What somebody finds who opens the pair: rows and region, before and after a commit, and whether all is well.
proc found {dir} {
  connect c $dir/host.db
  set told [list [c eval {SELECT max(v) FROM t}] [c eval {SELECT CAST(content AS TEXT) FROM r WHERE name = 'v'}]]
  c eval {BEGIN IMMEDIATE; INSERT INTO t SELECT max(v) + 100 FROM t;
    UPDATE r SET content = CAST((SELECT max(v) FROM t) AS TEXT);
    COMMIT}
  lappend told [c eval {SELECT max(v) FROM t}] [c eval {SELECT CAST(content AS TEXT) FROM r WHERE name = 'v'}]
  lappend told [c onecolumn {SELECT seqdb_check('r')}]
  disconnect c
  connect c $dir/host.db
  lappend told [c eval {SELECT CAST(content AS TEXT) FROM r WHERE name = 'v'}]
  disconnect c
  return $told
}
proc begin_rows {mode synchronous} {
  db eval "PRAGMA journal_mode = $mode; PRAGMA synchronous = $synchronous;
    CREATE TABLE t(v INTEGER); INSERT INTO t VALUES(0); INSERT INTO r(name, content) VALUES('v', '0')"
}
# Commit number `v`, of rows and regions; what is on the disk before SQLite's own commit is kept as hook<v>.
proc commit_number {v {content {}}} {
  if {$content eq {}} {set content $v}
  db commit_hook [list apply {{v} {snap hook$v; return 0}} $v]
  db eval {BEGIN; INSERT INTO t VALUES($v); UPDATE r SET content = CAST($content AS TEXT) WHERE name = 'v'; COMMIT}
  db commit_hook {}
  snap done$v
}
