# SPDX-License-Identifier: MIT
#
# feed_helpers.tcl: an upstream and a follower; source it after sql_helpers.tcl.
#
# `db` is the upstream, in $dir; `f` follows it, in $dir/f.  Each has the table r over its own directory.

set named {t w n q}
set named_schema {
  CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT UNIQUE, b);
  CREATE TABLE w(x TEXT COLLATE NOCASE, y INT, z UNIQUE, PRIMARY KEY(x, y)) WITHOUT ROWID;
  CREATE TABLE n(k TEXT NOT NULL PRIMARY KEY, v, g AS (v || 'g'));
  CREATE UNIQUE INDEX n_v ON n(v) WHERE v > 5;
  CREATE TABLE q(v, u UNIQUE ON CONFLICT REPLACE);
}

proc feed_open {} {
  connect db $::dir/host.db
  db eval {PRAGMA journal_mode = WAL; CREATE VIRTUAL TABLE IF NOT EXISTS r USING seqdb('regions')}
}
proc feed_open_follower {} {
  file mkdir $::dir/f
  connect f $::dir/f/host.db
  f eval {PRAGMA journal_mode = WAL; CREATE VIRTUAL TABLE IF NOT EXISTS r USING seqdb('regions')}
}

# A test with both, and the named tables if `rows`.
proc feed_test {name sentence rows body expected {match exact}} {
  test $name $sentence -setup [list feed_setup $rows] -body [list uplevel #0 $body] -cleanup {stale} -match $match \
    -result $expected
}
proc feed_setup {rows} {
  fresh {}
  disconnect db
  feed_open
  feed_open_follower
  if {!$rows} return
  db eval $::named_schema
  foreach table $::named {db eval {SELECT seqdb_replicate('r', $table)}}
}

# All parts of an object, as a list.
proc object_parts {since {db db}} {
  set parts {}
  for {set part 1} {1} {incr part} {
    set object [$db onecolumn "SELECT seqdb_object('r', $since, $part)"]
    if {$object eq {}} {return $parts}
    lappend parts $object
  }
}
proc apply_parts {parts {db f} {how {}}} {
  set reached {}
  $db eval BEGIN
  if {[catch {
    foreach object $parts {
      set reached [$db onecolumn "SELECT seqdb_apply('r', @object[expr {$how eq {} ? {} : {, $how}}])"]
    }
    $db eval COMMIT
  } message options]} {
    catch {$db eval ROLLBACK}
    return -options $options $message
  }
  return $reached
}
# One object of one part, applied without BEGIN.
proc apply_one {object {db f}} {$db onecolumn {SELECT seqdb_apply('r', @object)}}

# How far the follower is.
proc reached {{db f}} {
  if {[$db onecolumn {SELECT count(*) FROM main.sqlite_master WHERE name = 'r_follow'}] == 0} {return 0}
  $db onecolumn {SELECT coalesce(max(generation), 0) FROM r_follow}
}
# The next object goes over; what is different afterwards, or {}.
proc follow {} {
  apply_parts [object_parts [reached]]
  feed_difference
}

# Regions by entry, rows by key, with exact types.
proc feed_image {db} {
  set image [$db eval {SELECT rowid || ' ' || name || ' ' || length || ' ' || hex(content) FROM r ORDER BY rowid}]
  foreach {table key} {t id w x,y n k q rowid} {
    if {[$db onecolumn {SELECT count(*) FROM sqlite_master WHERE name = $table}] == 0} continue
    set columns [$db eval {SELECT name FROM pragma_table_xinfo($table) ORDER BY cid}]
    if {$table eq "q"} {lappend columns rowid}
    set exact {typeof(@) || ':' || hex(CAST(@ AS BLOB))}
    set values [join [lmap c $columns {string map [list @ $c] $exact}] { || ' ' || }]
    lappend image $table {*}[$db eval "SELECT $values FROM $table ORDER BY $key"]
  }
  return $image
}
proc feed_difference {} {
  set upstream [feed_image db]
  set follower [feed_image f]
  if {$upstream eq $follower} {return {}}
  foreach u $upstream d $follower {
    if {$u ne $d} {return "upstream '[string range $u 0 200]', follower '[string range $d 0 200]'"}
  }
}
