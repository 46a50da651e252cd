# SPDX-License-Identifier: MIT
#
# one_commit.tcl: SQLite's files and seqdb's directories on one simulated disk; the power is cut after any call of
# either, and both are opened again: are the rows and the regions those of one commit?  For one_commit.test, and to
# repeat one outcome:
#
#   tclsh one_commit.tcl KEY VALUE ...       the whole workload; with `only I.CUT` that one outcome
#
# A workload is a dict:
#   seed      all that is left to chance
#   journal, sync, lock     wal delete truncate persist; normal full extra; normal exclusive
#   kinds     what its steps may be, with commas (one_commit_steps.tcl);  steps   how many
#   outcomes  so many are looked at, chosen by the seed
#   options   more options of the seqdb tables
#   psow      0: no powersafe overwrite
#   lie, liar kinds of calls that do nothing to files of such names
#
# What is right, and what can be wrong, is said in one_commit_judge.tcl.  Each outcome goes on with a commit; some are
# cut again while they recover, or live on for some steps and are cut in one of these.
source [file join [file dirname [info script]] .. lib common.tcl]
load_fixture
package require sqlite3
source [file join [file dirname [info script]] one_commit_judge.tcl]
source [file join [file dirname [info script]] one_commit_steps.tcl]

set folder sim:w
set one_commit_defaults {
  seed 1 journal wal sync full lock normal kinds both steps 12 outcomes 60 only {} options {} psow 1 lie {}
  liar host.db*
}

# ---- chance ----------------------------------------------------------------------------------------------------

variable chance 1
variable recording 0
variable outer 0 ;# the transaction was begun by a savepoint
proc chance_start {seed} {set ::chance [expr {($seed * 2862933555777941757 + 3037000493) & 0xffffffffffffffff}]}
proc below {n} {
  set ::chance [expr {($::chance * 6364136223846793005 + 1442695040888963407) & 0xffffffffffffffff}]
  return [expr {($::chance >> 33) % $n}]
}
proc one_of {list} {return [lindex $list [below [llength $list]]]}
proc one_in {n} {return [expr {[below $n] == 0}]}

# The library once more: a second member in this process.
proc seqdb_member_so {} {return $::build_dir/tests/seqdb_member.so}
# Two connections on one file.
proc has_pair {} {return [regexp {pair|members} [dict get $::work able]]}

# ---- connections -----------------------------------------------------------------------------------------------

proc vfs_load {} {
  if {[info exists ::vfs_loaded]} return
  sqlite3 boot :memory:
  boot enable_load_extension 1
  set library [seqdbtest_so]
  boot eval {SELECT load_extension($library, 'sqlite3_sdbtestvfs_init'),
      load_extension($library, 'sqlite3_sdbtestsql_init')}
  boot close
  set ::vfs_loaded 1
}

# Open FILE of the folder as handle NAME in the workload's mode; `extension 0`: a stranger, who knows ordinary tables
# alone.
proc join_file {name {file host.db} {extension 1}} {
  upvar #0 work work
  set path $::folder/$file
  if {![dict get $work psow]} {set path file:$path?psow=0}
  sqlite3 $name $path -vfs sim -uri 1
  if {$extension} {
    set library $::library($name)
    $name enable_load_extension 1
    $name eval {SELECT load_extension($library, 'sqlite3_seqdb_init')}
  }
  $name eval "PRAGMA locking_mode = [dict get $work lock]; PRAGMA synchronous = [dict get $work sync];
    PRAGMA temp_store = memory; PRAGMA cache_spill = [dict get $work spill]"
  if {[$name eval {PRAGMA user_version}] ne "0" || $name eq "stranger"} {set_journal $name main}
  return $name
}

proc set_journal {name schema} {
  $name eval "PRAGMA $schema.journal_mode = [dict get $::work journal]"
}

proc leave_files {} {
  foreach name {stranger second db} {
    if {[info commands $name] ne {}} {catch {$name close}}
  }
}

# ---- a workload ------------------------------------------------------------------------------------------------

# An empty disk with a host file, its directory and a first commit, all durable.
proc work_begin {} {
  upvar #0 work work
  dict set work able [split [dict get $work kinds] ,]
  dict set work other [expr {"other" in [dict get $work able]}]
  dict set work spill [expr {"spill" in [dict get $work able] ? 2 : 0}]
  dict set work directories 1
  # Who locks a file for itself keeps it from being asked, also by this process: only it can settle its commits (T3).
  if {[has_pair] || "files" in [dict get $work able]} {dict set work lock normal}
  sdb_sim reset
  sdb_os make_dir $::folder
  sdb_os sync_parent $::folder
  set seed [dict get $work seed]
  chance_start $seed
  sdb_history seed [expr {$seed + 1}]
  sdb_sim tear [expr {$seed % 3 == 1}]
  array set ::count {}
  foreach name {states acked promised waiting dead shaken step} value {{} 0 0 0 {} 0 0} {set ::$name $value}
  array set ::library [list db [seqdbtest_so] second [seqdbtest_so]]
  join_file db
  make_file db
  db eval {INSERT INTO r(name, content) VALUES('m', 'first')}
  if {"files" in [dict get $work able]} {
    join_file second second.db
    make_file second
  }
  if {"two" in [dict get $work able]} {
    db eval "CREATE VIRTUAL TABLE s USING seqdb('s'[dict get $work options]);
      INSERT INTO s(name, content) VALUES('m', 'first')"
  }
  if {[dict get $work other]} {
    attach_other
    db eval {CREATE TABLE other.c(n); INSERT INTO other.c VALUES(0)}
    if {"regions" in [dict get $work able]} {
      db eval "CREATE VIRTUAL TABLE other.o USING seqdb('o.other'[dict get $work options]);
        INSERT INTO other.o(name, content) VALUES('m', 'first')"
    }
  }
  dict set work one [db exists {SELECT 1 FROM sqlite_schema WHERE name = 'r_commit'}]
  state_add [observe db]
  dict set work first [row_generation db]
  leave_files
  sdb_sim cut 1
  work_join
}

proc make_file {name} {
  $name eval {PRAGMA page_size = 1024}
  set_journal $name main
  $name eval {CREATE TABLE a(n); CREATE TABLE b(n); CREATE TABLE log(n, filler); INSERT INTO a VALUES(0);
    INSERT INTO b VALUES(0); PRAGMA user_version = 1}
  $name eval "CREATE VIRTUAL TABLE r USING seqdb('r'[dict get $::work options])"
}

proc attach_other {} {
  db eval "ATTACH '$::folder/other.db' AS other"
  set_journal db other
}

proc work_join {} {
  array set ::library [list db [seqdbtest_so] second [seqdbtest_so]]
  if {"members" in [dict get $::work able]} {set ::library(second) [seqdb_member_so]}
  join_file db
  if {[dict get $::work other]} attach_other
  if {[has_pair]} {join_file second}
  if {"files" in [dict get $::work able]} {join_file second second.db}
}

# Run the workload and leave a copy of the disk after each call; the number of copies.
proc work_run {} {
  sdb_history start
  set ::recording 1
  label
  sdb_history add
  dict with ::work {
    if {$lie ne {}} {sdb_fault add $lie 1 -forever -skip -file $liar}
  }
  for {set ::step 1} {$::step <= [dict get $::work steps]} {incr ::step} {
    label
    if {[catch work_step message options]} {
      if {$message ne "stop"} {return -options $options $message}
      break
    }
  }
  leave_files
  set ::recording 0
  set calls [sdb_history stop]
  sdb_fault reset
  return $calls
}

# A store that a failure has poisoned (R7) says so: all leave, and come again.
proc work_step {} {
  if {[catch step_run message options]} {
    if {$message eq "stop"} {return -options $options stop}
    if {![string match "*open it anew*" $message]} {
      note_failure refused "$message, in life in step $::step" life
      error stop
    }
    leave_files
    live_on [look [list $::acked $::acked [llength $::states] $::dead $::shaken]]
  }
}

# ---- outcomes --------------------------------------------------------------------------------------------------

array set total {
  outcomes 0 torn 0 half 0 lost 0 refused 0 doubt 0 weak 0 sqlite 0
  watched 0 shaken 0 recuts 0 lives 0 calls 0 workloads 0 commits 0
}
variable failures {}

# What SQLite does to itself is told apart where it is known to: after a failed sync, and with synchronous=NORMAL in the
# rollback modes, where the journal's records and their number become durable in any order.
proc note_failure {kind text where {shaken 0}} {
  if {[rolls_back_what_was_not_written {*}[split $where .]]} {set kind weak}
  if {($shaken eq "all" && $kind in {torn sqlite}) || ($shaken eq "file" && $kind eq "sqlite")} {set kind doubt}
  if {$kind eq "sqlite" && [dict get $::work journal] ne "wal" && [dict get $::work sync] eq "normal"} {set kind weak}
  incr ::total($kind)
  set words {}
  dict for {key value} $::one_commit_defaults {
    if {$key ni {outcomes only} && [dict get $::work $key] ne $value} {lappend words $key '[dict get $::work $key]'}
  }
  lappend ::failures "$kind: $text\n    tclsh tests/crash/one_commit.tcl $words only $where"
}

# The records of a rollback journal that SQLite believes: of each its page number and page, behind the journal's nonce.
# A record's checksum is that of every 200th byte of the page, and not of the number.
proc believed_records {file} {
  if {[catch {sdb_sim peek $file 0 1000000} journal]} {return {}}
  if {[binary scan $journal H16Iu5 magic header] < 2 || $magic ne "d9d505f920a163d7"} {return {}}
  lassign $header count nonce pages sector page_bytes
  set found $nonce
  set at $sector
  for {set i 0} {$i < $count && $at + $page_bytes + 8 <= [string length $journal]} {incr i} {
    binary scan $journal @${at}Iua${page_bytes}Iu number page checksum
    set sum $nonce
    for {set k [expr {$page_bytes - 200}]} {$k > 0} {incr k -200} {
      binary scan $page @${k}cu byte
      incr sum $byte
    }
    if {($sum & 0xffffffff) != $checksum} break
    lappend found $number $page
    incr at [expr {$page_bytes + 8}]
  }
  return $found
}

# With synchronous=NORMAL in a rollback mode: are there records in a journal that SQLite believes, and never wrote?
# Whatever is found then, rows of old commits with a right integrity_check too, SQLite has made it.  An older journal
# that comes back as a whole is none of these: it has another nonce.
proc rolls_back_what_was_not_written {index {cut {}}} {
  if {$cut eq {} || [dict get $::work journal] eq "wal" || [dict get $::work sync] ne "normal"} {return 0}
  leave_files
  foreach file {host.db second.db other.db} {
    sdb_history restore $index
    set written [believed_records sim:w/$file-journal]
    cut_power $index $cut
    set found [believed_records sim:w/$file-journal]
    if {$found eq {} || [lindex $found 0] ne [lindex $written 0]} continue
    if {$found ne [lrange $written 0 [llength $found]-1]} {return 1}
  }
  return 0
}

# The cut of an outcome; what is chosen by chance after it goes on from there.
proc cut_power {index cut} {
  chance_start [expr {$cut * 1000003 + $index}]
  sdb_history restore $index
  sdb_sim cut [expr {[one_in 10] ? [below 2] : $cut}]
}

# Open what is there and compare.  {right N}, or what is wrong.
proc look {label} {
  if {[catch {
    work_join
    observe db
  } result]} {
    set verdict [list refused $result]
  } else {
    set verdict [judge $result $label]
  }
  return [expr {[lindex $verdict 0] eq "right" ? $verdict : [blame $verdict]}]
}

# What the row of r's directory says; without one nothing.
proc row_generation {name} {
  if {![$name exists {SELECT 1 FROM sqlite_schema WHERE name = 'r_commit'}]} {return {}}
  return [scan [$name onecolumn {SELECT hex(substr(seqdb_state, 49, 1)) FROM r_commit}] %x]
}

# A file that is damaged to SQLite without any extension is SQLite's affair.  So is a row that is older than the first
# commit, which was durable: a wrong page was rolled back, and its checksum, of every 200th byte, is right.
proc blame {verdict} {
  leave_files
  set checks ok
  foreach file [expr {"files" in [dict get $::work able] ? {host.db second.db} : "host.db"}] {
    if {[catch {
      join_file stranger $file 0
      lappend checks [stranger onecolumn {PRAGMA integrity_check}]
      set row [row_generation stranger]
      set first [dict get $::work first]
      if {$file eq "host.db" && $row ne {} && $first ne {} && $row < $first} {lappend checks "row $row, not $first"}
      # What is wrong with free pages only who needs them is told.
      stranger eval {SELECT n FROM a; BEGIN; INSERT INTO log VALUES(1, zeroblob(3000)); ROLLBACK}
    } message]} {
      lappend checks $message
    }
    leave_files
  }
  catch work_join
  set checks [lsort -unique $checks]
  return [expr {$checks eq "ok" ? $verdict : [list sqlite "$checks; $verdict"]}]
}

# One more commit of both, seen by another connection.
proc commit_after {} {
  if {[catch {
    db eval BEGIN
    change_rows 1000000
    change_regions [seqdb_tables db] 1000000
    set want [observe db]
    db eval COMMIT
    leave_files
    work_join
    set got [observe db]
    if {$got ne $want} {error "committed $want, found $got"}
    foreach {schema name directory} [seqdb_tables db] {
      set check [db onecolumn "SELECT seqdb_check('$schema.$name')"]
      if {$check ne "ok"} {error "seqdb_check: $check"}
    }
    set check [db onecolumn {PRAGMA integrity_check}]
    if {$check ne "ok"} {error "integrity_check: $check"}
  } message]} {
    return [blame [list refused "a commit afterwards: $message"]]
  }
  return right
}

# A session that is cut: the first `calls` changing calls of looking and committing happen.
proc cut_session {calls seed} {
  sdb_fault stop $calls
  catch {
    work_join
    observe db
    if {$seed % 2} {db eval {PRAGMA wal_checkpoint}}
  }
  leave_files
  sdb_fault go
  sdb_sim cut $seed
  incr ::total(recuts)
}

# The workload goes on for some steps after a recovery, and is cut in one of them.
proc second_life {index} {
  set names {states acked promised waiting dead shaken step work}
  foreach name $names {set saved($name) [set ::$name]}
  foreach name {acked promised waiting dead shaken} value {0 0 0 {} 0} {set ::$name $value}
  dict set ::work able [lsearch -all -inline -not -regexp [dict get $::work able] {^(faults|killed)$}]
  set ::states [list [observe db]]
  sdb_fault stop [expr {3 + [below 60]}]
  catch {
    for {set more [below 4]} {$more >= 0} {incr more -1} {step_run}
  }
  set label [list $::acked $::promised [llength $::states] {} 0 $::step]
  leave_files
  sdb_fault go
  sdb_sim cut [expr {2 + [below 1000000]}]
  incr ::total(lives)
  set verdict [look $label]
  foreach name $names {set ::$name $saved($name)}
  if {[lindex $verdict 0] eq "right"} {return $verdict}
  return [list [lindex $verdict 0] "cut again later: [lindex $verdict 1]"]
}

# Copy I of the disk, cut with this seed; everything that is chosen here depends on the two alone.
proc try_outcome {index cut} {
  lassign [sdb_history get $index] kind file offset bytes label
  incr ::total(outcomes)
  if {[lindex $label 4] ne 0} {incr ::total(shaken)}
  cut_power $index $cut
  for {set again [expr {[one_in 4] ? 1 + [below 2] : 0}]} {$again > 0} {incr again -1} {
    cut_session [below 14] [expr {2 + [below 1000]}]
  }
  set verdict [look $label]
  set verdicts [list $verdict]
  if {[lindex $verdict 0] eq "right" && [one_in 10]} {
    lappend verdicts [second_life $index]
  } elseif {[lindex $verdict 0] ni {refused sqlite}} {
    lappend verdicts [commit_after]
  }
  leave_files
  foreach verdict $verdicts {
    if {[lindex $verdict 0] ne "right"} {
      note_failure [lindex $verdict 0] "[lindex $verdict 1], after call $index: $kind $file $offset $bytes in step\
        [lindex $label 5]" $index.$cut [lindex $label 4]
    }
  }
  return $verdicts
}

# All of it; returns what this workload alone has found.
proc one_commit {args} {
  vfs_load
  set ::work [dict merge $::one_commit_defaults $args]
  set before [array get ::total]
  work_begin
  set calls [work_run]
  incr ::total(calls) $calls
  incr ::total(workloads)
  incr ::total(commits) $::acked
  if {[dict get $::work only] eq "life"} {return {}}
  if {[dict get $::work only] ne {}} {
    return [try_outcome {*}[split [dict get $::work only] .]]
  }
  set seed [dict get $::work seed]
  for {set i 0} {$i < [dict get $::work outcomes]} {incr i} {
    chance_start [expr {$seed * 7919 + $i}]
    try_outcome [below $calls] [expr {2 + [below 1000000]}]
  }
  sdb_history clear
  sdb_history seed 0
  sdb_sim reset
  set found {}
  foreach {name value} $before {dict set found $name [expr {$::total($name) - $value}]}
  return $found
}

if {[info exists argv0] && [file normalize $argv0] eq [file normalize [info script]]} {
  puts [one_commit {*}$argv]
  foreach failure $failures {puts $failure}
}
