# SPDX-License-Identifier: MIT
#
# one_commit_worker.tcl: transactions in which rows and regions must agree; for one_commit_load.test and by hand.
#
#   tclsh one_commit_worker.tcl FILE WRITERS READERS COUNT MODE SYNCHRONOUS SEED
#
# t has one row for each region: its number is what the region says.  A writer's transaction (BEGIN IMMEDIATE) reads
# both, compares, and changes both.  A reader's (BEGIN) reads the row first, then the region, which may be newer.
# Prints "transactions disagreements busy older other-errors".
source [file join [file dirname [file normalize [info script]]] .. lib common.tcl]
lassign $argv file writers readers count mode synchronous seed
expr {srand($seed)}
set tally {done 0 disagree 0 busy 0 older 0 other 0}
for {set i 0} {$i < $writers + $readers} {incr i} {
  open_db w$i $file
  w$i timeout 10000
  w$i eval "PRAGMA synchronous = $synchronous"
}

# What both say of region number `n`.
proc both {db n} {
  set row [$db onecolumn {SELECT v FROM t WHERE n = $n}]
  return [list $row [$db onecolumn {SELECT CAST(content AS TEXT) FROM r WHERE name = 'n' || $n}]]
}
proc write_once {db n} {
  $db eval {BEGIN IMMEDIATE}
  lassign [both $db $n] row region
  if {$row != $region} {dict incr ::tally disagree}
  $db eval {UPDATE t SET v = v + 1 WHERE n = $n}
  set next [expr {$row + 1}]
  $db eval {UPDATE r SET content = CAST($next AS TEXT) WHERE name = 'n' || $n}
  if {rand() < 0.1} {
    $db eval ROLLBACK
  } else {
    $db eval COMMIT
  }
}
proc read_once {db n} {
  $db eval BEGIN
  lassign [both $db $n] row region
  if {$region < $row} {dict incr ::tally older}
  $db eval COMMIT
}
for {set i 0} {$i < $count} {incr i} {
  set who [expr {int(rand() * ($writers + $readers))}]
  set n [expr {int(rand() * 4)}]
  if {[catch {[expr {$who < $writers ? "write_once" : "read_once"}] w$who $n} message]} {
    dict incr ::tally [expr {[string match "database is locked*" $message] ? "busy" : "other"}]
    puts stderr $message
    catch {w$who eval ROLLBACK}
  }
  dict incr tally done
}
for {set i 0} {$i < $writers + $readers} {incr i} {w$i close}
puts [dict values $tally]
exit 0
