# SPDX-License-Identifier: MIT
#
# one_commit_steps.tcl: the steps of a workload of one_commit.tcl.  Each may change rows and regions and commits, rolls
# back or fails; it keeps the list of states, what is acknowledged and what is promised.
#
# Kinds, with commas in the workload:
#   both rows regions     what transactions change together or alone
#   savepoints            SAVEPOINT, ROLLBACK TO, RELEASE between the changes
#   rollback              transactions that are rolled back, by ROLLBACK or by a commit hook
#   busy                  a reader makes COMMIT fail with BUSY; more changes; COMMIT
#   two, other            a second seqdb table; a second SQLite file, attached, with a seqdb table of its own
#   upkeep                VACUUM, wal_checkpoint, flush, checkpoint, compact, closing and opening
#   ddl                   CREATE, DROP and RENAME of a seqdb table in the transaction
#   spill                 SQLite writes pages before the commit
#   members               a second member on the directory; one of both dies in COMMIT, and the other one goes on
#   watch                 the second member reads at each call of a COMMIT, and each access to what members share
#   pair, files           a second connection on the file; one on a second file with the same directory
#   faults                a call of COMMIT fails: sync, write, no space;  killed: the process dies in it

proc filler {bytes} {return [string range [string repeat "[below 1000000]." [expr {$bytes / 2 + 1}]] 0 $bytes-1]}

proc change_rows {n} {
  db eval {UPDATE a SET n = $n; UPDATE b SET n = $n}
  set filler [filler [expr {[one_in 5] ? 3000 : 40}]]
  db eval {INSERT INTO log VALUES($n, $filler)}
  if {[one_in 4]} {db eval {DELETE FROM log WHERE rowid IN (SELECT rowid FROM log ORDER BY rowid LIMIT 2)}}
  if {[dict get $::work other] && [one_in 2]} {db eval {UPDATE other.c SET n = $n}}
}

# Some changes of the regions of these tables, at least one of each.  Whatever they do leaves the number behind: no two
# transactions end in the same contents.
proc change_regions {tables n} {
  foreach {schema table directory} $tables {
    for {set more [below 3]} {$more >= 0} {incr more -1} {change_region $schema.$table $n}
  }
}

proc change_region {table n} {
  set names [db eval "SELECT name FROM $table ORDER BY name"]
  set name [expr {$names eq {} ? "m" : [one_of $names]}]
  set text "$n,[filler [expr {[one_in 6] ? 9000 : 30}]]"
  switch -- [below 6] {
    0 {db eval "UPDATE $table SET content = :text WHERE name = 'm'"}
    1 {db eval {SELECT seqdb_append($table, $name, $text)}}
    2 {db eval {SELECT seqdb_append($table, 'c' || ($n % 3), $text)}}
    3 {db eval {SELECT seqdb_write($table, 'm', 0, $text)}}
    4 {
      if {$name ne "m"} {db eval "DELETE FROM $table WHERE name = :name"}
      db eval {SELECT seqdb_append($table, 'm', $text)}
    }
    5 {
      db eval {SELECT seqdb_append($table, 'm', $text), seqdb_truncate($table, 'm', 3),
          seqdb_append($table, 'm', $n || ';')}
    }
  }
}

# Some changes of the transaction that will be commit `n`; whether rows are among them.
proc change {n} {
  set what [one_of [lsearch -all -inline -regexp [dict get $::work able] {^(both|rows|regions)$}]]
  if {$what ne "regions"} {change_rows $n}
  if {$what ne "rows"} {change_regions [seqdb_tables db] $n}
  return [expr {$what ne "regions"}]
}

# COMMIT, of a transaction whose changes are made.
proc commit {writes_rows} {
  set state [observe db]
  set index [state_add $state]
  label
  watched {db eval [expr {$::outer ? "RELEASE outer" : "COMMIT"}]}
  acknowledge $index [expr {$writes_rows || [dict get $::work one]}]
  if {[has_pair] && [observe second] ne $state} {
    error "committed $state, the other connection sees [observe second]"
  }
}

# Run a COMMIT, `watch`ed by the second member: whatever it can read is of one commit.
proc watched {script} {
  set watch [expr {$::recording && "watch" in [dict get $::work able] && [info commands second] ne {}}]
  if {$watch} {sdb_history watch watch_call}
  set code [catch {uplevel 1 $script} result options]
  if {$watch} {sdb_history watch {}}
  return -options $options $result
}

proc watch_call {} {
  if {[catch {observe second} state]} {
    if {![regexp {locked|busy} $state]} {note_failure refused "$state, beside a COMMIT in step $::step" life}
    return
  }
  incr ::total(watched)
  set verdict [judge $state [list $::acked $::acked [llength $::states] $::dead 0]]
  if {[lindex $verdict 0] ne "right"} {
    note_failure half "[lindex $verdict 1], seen beside a COMMIT in step $::step" life
  }
}

proc next_directory {} {return [dict get [dict incr ::work directories] directories]}
proc next_number {} {return [llength $::states]}

proc step_run {} {
  set kinds [dict get $::work able]
  set able {plain plain single}
  foreach {kind step} {
    members die savepoints savepoints rollback rollback busy busy upkeep upkeep ddl ddl faults fault killed kill
  } {
    if {$kind in $kinds && ($::recording || $step ne "die")} {lappend able $step}
  }
  if {[has_pair] && [info commands second] eq {}} {join_file second}
  if {[info commands second] ne {} && [one_in 2]} {swap}
  set ::outer 0
  step_[one_of $able]
}

proc swap {} {
  rename db aside
  rename second db
  rename aside second
  array set ::library [list db $::library(second) second $::library(db)]
}

proc step_plain {} {
  set ::outer [one_in 4]
  db eval [expr {$::outer ? "SAVEPOINT outer" : [one_of {BEGIN {BEGIN IMMEDIATE}}]}]
  set rows [change [next_number]]
  if {[one_in 3]} {set rows [expr {[change [next_number]] || $rows}]}
  commit $rows
}

# One statement without BEGIN.  What it will do is tried before.
proc step_single {} {
  set n [next_number]
  set text $n,
  set statements {{UPDATE a SET n = $n}}
  set table [lindex [seqdb_tables db] 1]
  if {$table ne {} && [regexp {both|regions} [dict get $::work able]]} {
    set statements {
      {SELECT seqdb_append('@', 'm', $text)}
      {INSERT INTO @(name, append) VALUES('m', $text)}
      {UPDATE @ SET content = $text || content}
      {INSERT OR REPLACE INTO @(name, content) VALUES('c' || ($n % 3), $text)}
    }
  }
  set sql [string map [list @ $table] [one_of $statements]]
  db eval BEGIN
  db eval $sql
  set state [observe db]
  db eval ROLLBACK
  set index [state_add $state]
  label
  db eval $sql
  acknowledge $index [expr {[string match "UPDATE a*" $sql] || [dict get $::work one]}]
}

proc step_savepoints {} {
  db eval BEGIN
  set rows [change [next_number]]
  db eval {SAVEPOINT one}
  set undone [change [next_number]]
  if {[one_in 2]} {
    db eval {SAVEPOINT two}
    change [next_number]
    db eval [one_of {{ROLLBACK TO two} {RELEASE two} {ROLLBACK TO one}}]
  }
  db eval [one_of {{ROLLBACK TO one} {RELEASE one} {ROLLBACK TO one; RELEASE one}}]
  commit [expr {$rows || $undone}]
}

proc step_rollback {} {
  db eval BEGIN
  change [next_number]
  if {[one_in 2]} {
    db eval ROLLBACK
    return
  }
  db commit_hook {expr 1}
  set failed [catch {db eval COMMIT} message]
  db commit_hook {}
  if {!$failed} {error "the hook has not stopped COMMIT"}
}

# In the rollback modes a reader of the file stops COMMIT after xSync; in WAL mode it stops nothing.
proc step_busy {} {
  if {[dict get $::work lock] eq "exclusive"} {return [step_plain]}
  join_file stranger [file_of db] 0
  stranger eval BEGIN
  stranger eval {SELECT n FROM a}
  db eval BEGIN
  set rows [change [next_number]]
  for {set tries [below 3]} {$tries > 0} {incr tries -1} {
    if {[dict get $::work journal] ne "wal" && $rows} {
      if {![catch {db eval COMMIT} message]} {error "COMMIT beside a reader"}
      if {![string match *locked* $message]} {error "COMMIT beside a reader: $message"}
    }
    set rows [expr {[change [next_number]] || $rows}]
  }
  stranger eval COMMIT
  stranger close
  if {[one_in 5]} {
    db eval ROLLBACK
  } else {
    commit $rows
  }
}

proc step_upkeep {} {
  set tables [seqdb_tables db]
  set table [lindex $tables 1]
  switch -- [below 7] {
    0 {
      # SQLite cuts the file after the journal's end, and does not sync that end but where it promises the commit: on
      # this disk, where the folder may forget what came first, a rollback then finds pages cut that it needs.
      if {[promises_at_once] || [dict get $::work journal] eq "wal"} {db eval VACUUM}
    }
    1 {db eval {PRAGMA wal_checkpoint(PASSIVE)}}
    2 {
      db eval {PRAGMA wal_checkpoint(TRUNCATE)}
      if {[dict get $::work journal] eq "wal"} promise_all
    }
    3 {db eval "INSERT INTO ${table}(${table}) VALUES('checkpoint')"}
    4 {db eval {SELECT seqdb_compact($table)}}
    5 {db eval {SELECT seqdb_flush($table)}}
    6 {
      leave_files
      if {[dict get $::work journal] eq "wal"} promise_all
      work_join
    }
  }
}

# A new table with a directory of its own, or one less, or another name, and changes, in one transaction.
proc step_ddl {} {
  db eval BEGIN
  set rows [change [next_number]]
  set tables [db eval {SELECT name FROM main.sqlite_schema WHERE sql LIKE 'CREATE VIRTUAL TABLE%'}]
  if {[llength $tables] < 2 || ([llength $tables] < 4 && [one_in 2])} {
    set number [next_directory]
    db eval "CREATE VIRTUAL TABLE t$number USING seqdb('d$number'[dict get $::work options]);
      INSERT INTO t$number (name, content) VALUES('m', 'new $number')"
  } elseif {[one_in 2]} {
    db eval "ALTER TABLE [one_of $tables] RENAME TO q[next_directory]"
  } else {
    db eval ROLLBACK
    db eval BEGIN
    change_rows [next_number]
    db eval "DROP TABLE [one_of $tables]"
  }
  if {[one_in 3]} {
    db eval ROLLBACK
  } else {
    commit 1
  }
}

# ---- failures --------------------------------------------------------------------------------------------------

# What a later power cut may show is in doubt: of `all`, or of SQLite's `file`.
proc shake {how} {
  if {$how ne 0 && $::shaken ne "all"} {set ::shaken $how}
}

# Who dies between overwriting the head of SQLite's journal and its sync leaves one that is over in the page cache, and
# whole on the disk, while the next transaction writes into it: after a power cut SQLite rolls back a mixture.
proc of_the_dead {} {return [expr {[dict get $::work journal] eq "wal" ? 0 : "file"}]}

# COMMIT while something is wrong with the disk.  What has become of it this session sees (`stay`), or another one after
# its end.  `shaken`: what is in doubt if it fails.  A sync that has failed is one that SQLite may believe in; in WAL
# mode its last frame may be whole, is nothing to this session, and counts again if the power cut brings the file back
# that was unlinked.
proc commit_in_trouble {begin end shaken stay} {
  db eval BEGIN
  set rows [change [next_number]]
  set index [state_add [observe db]]
  label
  eval $begin
  set failed [catch {db eval COMMIT} message]
  if {!$failed} {acknowledge $index [expr {$rows || [dict get $::work one]}]}
  if {!$stay} leave_files
  eval $end
  if {$failed} {shake $shaken}
  set label [list $::acked $::acked [llength $::states] $::dead $::shaken]
  if {$stay} {
    catch {db eval ROLLBACK}
    live_on [judge [observe db] $label]
  } else {
    live_on [look $label]
  }
}

# After a COMMIT in trouble, with the page cache as it is: what is found is what the next commits build on.
proc live_on {verdict} {
  if {[lindex $verdict 0] ne "right"} {
    note_failure [lindex $verdict 0] "[lindex $verdict 1], in life after step $::step" life
    error stop
  }
  set found [lindex $verdict 1]
  for {set i [expr {$::acked + 1}]} {$i < [llength $::states]} {incr i} {
    if {$i != $found && $i ni $::dead} {lappend ::dead $i}
  }
  if {$found > $::acked} {set ::acked $found}
  label
}

proc step_fault {} {
  switch -- [below 3] {
    0 {set rule [list {fdatasync fsync syncdir} [expr {1 + [below 6]}] -errno EIO]}
    1 {set rule [list pwrite [expr {1 + [below 12]}] -errno EIO]}
    2 {set rule [list {pwrite allocate ftruncate} [expr {1 + [below 12]}] -forever -errno ENOSPC]}
  }
  set sync [expr {"fsync" in [lindex $rule 0]}]
  if {$sync} {sdb_sim failseed [below 1000]}
  commit_in_trouble "set ::rule \[sdb_fault add $rule\]" {sdb_fault remove $::rule} \
      [expr {$sync || [dict get $::work journal] eq "wal" ? "all" : 0}] [expr {!$sync && [one_in 2]}]
}

# The process dies at some call; the machine goes on.
proc step_kill {} {
  commit_in_trouble {sdb_fault stop [below 20]} {sdb_fault go; sdb_sim restart} [of_the_dead] 0
}

# One of two members dies at some call of COMMIT; the other one sees at once what is committed, and goes on.  Until its
# next commit SQLite may still find the dead one's in the WAL.
proc step_die {} {
  db eval BEGIN
  set rows [change [next_number]]
  set index [state_add [observe db]]
  label
  set boards {}
  foreach {schema name directory} [seqdb_tables db] {lappend boards $::folder/$directory/lock}
  sdb_history die [expr {1 + [below 20]}] $boards
  set failed [catch {db eval COMMIT}]
  db close
  if {[sdb_history dead]} {
    shake [of_the_dead]
  } elseif {!$failed} {
    acknowledge $index [expr {$rows || [dict get $::work one]}]
  }
  rename second db
  array set ::library [list db $::library(second) second $::library(db)]
  set verdict [judge [observe db] [list $::acked $::acked [llength $::states] $::dead $::shaken]]
  if {[lindex $verdict 0] ne "right"} {
    note_failure [lindex $verdict 0] "[lindex $verdict 1], seen by the other member after step $::step" life
    error stop
  }
  if {[lindex $verdict 1] > $::acked} {set ::acked [lindex $verdict 1]}
  label
}
