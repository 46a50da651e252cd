# SPDX-License-Identifier: MIT
#
# full_disk_work.tcl: what full_disk.test does on a small file system, in a process of its own: a signal would end it.
#
#   tclsh full_disk_work.tcl DIRECTORY SCENARIO     DIRECTORY: on a file system with a few megabytes left, and a file
#                                                   "filler"
#
# `model` says what regions must hold; only statements that succeeded change it.  Every refusal must be SQLITE_FULL, or
# SQLite's own CANTOPEN for a journal file, which a commit of regions has as well.
source [file join [file dirname [info script]] .. lib common.tcl]

set SQLITE_FULL 13
set model {}
array set count {done 0 refused 0}

proc fail {message} {
  puts "WRONG: $message"
  exit 1
}

# A file system may have no room even for an empty file.  What seqdb says names an object.
proc no_journal {code message} {return [expr {$code == 14 && $message eq "unable to open database file"}]}

# true, or false if the disk is full.
proc done {sql} {
  if {![catch {db eval $sql} message]} {
    incr ::count(done)
    return 1
  }
  set code [db errorcode]
  if {$code != $::SQLITE_FULL && ![no_journal $code $message]} {fail "[string range $sql 0 60]: $code: $message"}
  incr ::count(refused)
  return 0
}

proc text_of {n bytes} {return [string range [string repeat "piece $n;" [expr {$bytes / 8 + 1}]] 0 [expr {$bytes - 1}]]}

proc append_to {name n bytes} {
  set text [text_of $n $bytes]
  if {![done "SELECT seqdb_append('r', '$name', CAST('$text' AS BLOB))"]} {return 0}
  dict append ::model $name $text
  return 1
}

# Everything is there, once by the mapping and once copied, and the connection works.
proc verify {when} {
  set names [db eval {SELECT name FROM r ORDER BY name}]
  if {$names ne [lsort [dict keys $::model]]} {
    fail "$when: regions are {$names}, expected {[lsort [dict keys $::model]]}"
  }
  db eval {SELECT name, length, content, seqdb_read('r', name) AS copy FROM r} {
    set want [dict get $::model $name]
    if {$length != [string length $want] || $content ne $want || $copy ne $want} {fail "$when: region $name differs"}
  }
  set check [db onecolumn {SELECT seqdb_check('r')}]
  if {$check ne "ok"} {fail "$when: check says $check"}
  if {[db onecolumn {SELECT count(*) FROM log}] != $::logged} {fail "$when: rows are missing"}
}

proc open_it {} {
  open_db db $::directory/rows.db
  db eval {CREATE TABLE IF NOT EXISTS log(n, t); CREATE VIRTUAL TABLE IF NOT EXISTS r USING seqdb('regions')}
}

proc reopen {} {
  db close
  open_it
}

# Appends, each a commit, until there is no room for another.
proc fill_up {bytes} {
  for {set n 1} {$n < 20000} {incr n} {
    if {![append_to r[expr {$n % 5}] $n $bytes]} {return $n}
  }
  fail "20000 appends and the disk is not full"
}

proc free_filler {} {file delete $::directory/filler}

# What gives space back needs some pages itself; where it finds none it says so, and works once there are.
proc give_back {sql} {
  foreach file {none spare filler} {
    file delete $::directory/$file
    if {[done $sql]} return
  }
  fail "still refused: $sql"
}

# Opened anew while full, it can be written, or at least be read; nothing is lost either way.
proc reopen_full {} {
  db close
  open_db db $::directory/rows.db
  if {[done {SELECT count(*) FROM r}]} {
    verify "opened anew while full"
    return
  }
  set seen {}
  db eval {SELECT name, content FROM seqdb_regions($::directory || '/regions')} {dict set seen $name $content}
  if {[lsort -stride 2 $seen] ne [lsort -stride 2 $::model]} {fail "read while full: not what was committed"}
  free_filler
  reopen
  verify "opened anew when there was room"
}

# After space has come back the connection that was refused goes on.
proc goes_on {when} {
  foreach n {1 2 3} {
    if {![append_to after $n 30000]} {fail "$when: still full: [db errorcode] [exec df -k $::directory]"}
  }
  verify $when
  reopen
  verify "$when, opened anew"
}

# ---- scenarios -----------------------------------------------------------------------------------------------

proc scenario_appends {} {
  fill_up 50000
  verify "full"
  fill_up 3000
  fill_up 100
  verify "full to the last bytes"
  reopen_full
  free_filler
  goes_on "filler removed"
}

proc scenario_transaction {} {
  append_to kept 1 20000
  set before $::model
  db eval BEGIN
  fill_up 40000
  verify "inside the transaction"
  db eval ROLLBACK
  set ::model $before
  verify "rolled back"
  give_back {SELECT seqdb_compact('r')}
  goes_on "rolled back and compacted"
}

proc scenario_commit {} {
  append_to kept 1 20000
  set before $::model
  db eval BEGIN
  fill_up 40000
  if {![done COMMIT]} { # no room for the record either: then nothing of it is there
    if {![db onecolumn {SELECT 1}]} {fail "the connection is unusable"}
    catch {db eval ROLLBACK}
    set ::model $before
  }
  verify "after COMMIT"
  free_filler
  goes_on "filler removed"
}

proc scenario_savepoints {} {
  append_to kept 1 20000
  set committed $::model
  db eval {BEGIN; SAVEPOINT one}
  append_to kept 2 20000
  set before $::model
  db eval {SAVEPOINT two}
  fill_up 40000
  db eval {ROLLBACK TO two}
  set ::model $before
  verify "rolled back to the savepoint"
  db eval {RELEASE one}
  if {![done COMMIT]} {set ::model $committed} ;# SQLite has rolled back then
  verify "committed"
  free_filler
  goes_on "filler removed"
}

proc scenario_overwrites {} {
  fill_up 50000
  set refused 0
  for {set n 0} {$n < 600} {incr n} {
    set name r[expr {$n % 5}]
    set text [text_of over$n [expr {1000 + $n * 7}]]
    set at [expr {($n * 997) % 20000}]
    if {![done "SELECT seqdb_write('r', '$name', $at, CAST('$text' AS BLOB))"]} {
      incr refused
      continue
    }
    set old [dict get $::model $name]
    dict set ::model $name [string range $old 0 $at-1]$text[string range $old [expr {$at + [string length $text]}] end]
  }
  verify "overwritten while full, $refused refused"
  done {INSERT INTO r(r) VALUES('checkpoint')}
  verify "after a checkpoint"
  free_filler
  goes_on "filler removed"
}

proc scenario_deletes {} {
  fill_up 50000
  give_back {DELETE FROM r WHERE name IN ('r1', 'r2')}
  dict unset ::model r1
  dict unset ::model r2
  verify "removed while full"
  give_back {SELECT seqdb_compact('r')}
  goes_on "removed and compacted"
}

proc scenario_truncates {} {
  fill_up 50000
  foreach name {r0 r1 r2} {
    give_back "SELECT seqdb_truncate('r', '$name', 100)"
    dict set ::model $name [string range [dict get $::model $name] 0 99]
  }
  give_back {INSERT INTO r(r) VALUES('checkpoint')}
  goes_on "cut, and a checkpoint"
}

proc scenario_regions {} {
  for {set n 0} {[append_to n$n $n 10]} {incr n} {}
  verify "full of small regions"
  free_filler
  goes_on "filler removed"
}

# Reading a hole must not need space: on tmpfs it would, and the engine has written the zeros then.
proc scenario_zeros {} {
  if {![done {INSERT INTO r(name, length) VALUES('zeros', 2000000)}]} {fail "no room for two megabytes"}
  dict set ::model zeros [string repeat \0 2000000]
  if {[done {INSERT INTO r(name, length) VALUES('more', 20000000)}]} {dict set ::model more [string repeat \0 20000000]}
  fill_up 50000
  fill_up 100
  verify "zeros read while full"
  free_filler
  goes_on "filler removed"
}

# Rows and regions share the disk: whoever finds it full, neither loses anything.
proc scenario_rows {} {
  set text [text_of row 20000]
  for {set n 0; set full 0} {$full < 6} {incr n} {
    set row "INSERT INTO log VALUES($n, '$text')"
    if {$n % 3 == 0} {
      if {[done $row]} {incr ::logged} else {incr full}
    } elseif {$n % 3 == 1} {
      if {![append_to r[expr {$n % 4}] $n 20000]} {incr full}
    } else {
      set before $::model
      db eval BEGIN
      if {[done $row] && [append_to r[expr {$n % 4}] $n 15000] && [done COMMIT]} {
        incr ::logged
      } else {
        incr full
        catch {db eval ROLLBACK}
        set ::model $before
      }
    }
  }
  verify "full of both"
  if {[db onecolumn {PRAGMA integrity_check}] ne "ok"} {fail "SQLite's file is damaged"}
  free_filler
  goes_on "filler removed"
}

# ---- main ----------------------------------------------------------------------------------------------------

lassign $argv directory scenario
set logged 0
write_file $directory/spare [string repeat x 65536]
open_it
scenario_$scenario
db close
if {!$count(refused)} {fail "nothing was ever refused"}
puts "ok: $count(done) done, $count(refused) refused"
exit 0
