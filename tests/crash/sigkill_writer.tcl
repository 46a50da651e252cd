# SPDX-License-Identifier: MIT
#
# sigkill_writer.tcl: the transactions of sigkill.test: what number n of a seed does, in SQL and to a model; and a
# process that commits them one after the other until somebody kills it.
#
#   tclsh sigkill_writer.tcl SEED FILE ORACLE JOURNALMODE ?FAULT ...?
#
# ORACLE is a file: a line "ack N" follows the return of each COMMIT, and what a writer finds.  FAULT: "open" or
# "work", and arguments of `sdb_fault add` that hold from before the open, or from the first transaction on. Sourced by
# a test file it only defines transaction and model_at.

# Pieces of text that tell who wrote them.
proc text_of {n op bytes} {
  set piece "$n.$op,"
  return [string range [string repeat $piece [expr {$bytes / [string length $piece] + 1}]] 0 [expr {$bytes - 1}]]
}
proc sql_text {text} {return "CAST('$text' AS BLOB)"}
proc pick {count} {return [expr {int(rand() * $count)}]}

proc random_bytes {} {return [expr {1 + [pick [lindex {10 100 3000 9000 30000 90000} [pick 6]]]}]}

# One change: {SQL model}.
proc change {n op model} {
  set names [lsearch -all -inline -not [lsort [dict keys $model]] counter]
  set name [expr {$names eq {} ? {} : [lindex $names [pick [llength $names]]]}]
  set kind [pick 12]
  set text [text_of $n $op [random_bytes]]
  if {$name eq {} || ($kind < 3 && [llength $names] < 12)} {
    set name r[pick 40]
    if {![dict exists $model $name]} {
      dict set model $name $text
      return [list "INSERT INTO r(name, content) VALUES('$name', [sql_text $text]);" $model]
    }
  }
  set old [dict get $model $name]
  set length [string length $old]
  switch $kind {
    0 - 1 - 2 - 3 - 4 {
      if {$length > 300000} {return [list {} $model]}
      dict append model $name $text
      if {$kind % 2} {return [list "INSERT INTO r(name, append) VALUES('$name', [sql_text $text]);" $model]}
      return [list "SELECT seqdb_append('r', '$name', [sql_text $text]) IS NULL;" $model]
    }
    5 - 6 {
      set at [pick [expr {$length + 1}]]
      set end [expr {$at + [string length $text]}]
      dict set model $name [string range $old 0 $at-1]$text[string range $old $end end]
      return [list "SELECT seqdb_write('r', '$name', $at, [sql_text $text]) IS NULL;" $model]
    }
    7 {
      set to [pick [expr {$length + 1}]]
      dict set model $name [string range $old 0 $to-1]
      return [list "SELECT seqdb_truncate('r', '$name', $to) IS NULL;" $model]
    }
    8 {
      dict set model $name $text
      return [list "UPDATE r SET content = [sql_text $text] WHERE name = '$name';" $model]
    }
    9 {
      set to [expr {$length + [pick 9000]}]
      dict set model $name $old[string repeat \0 [expr {$to - $length}]]
      return [list "UPDATE r SET length = $to WHERE name = '$name';" $model]
    }
    10 {
      dict unset model $name
      return [list "DELETE FROM r WHERE name = '$name';" $model]
    }
    11 {
      set new r[pick 40]
      if {[dict exists $model $new]} {return [list {} $model]}
      dict unset model $name
      dict set model $new $old
      return [list "UPDATE r SET name = '$new' WHERE name = '$name';" $model]
    }
  }
}

# Transaction n: {SQL, without BEGIN and COMMIT; model afterwards}.  Its number goes into a region, and into a row of an
# ordinary table.
proc transaction {seed n model} {
  expr {srand(($seed * 7919 + $n * 104729) % 2147483646 + 1)}
  set sql {}
  for {set i [expr {1 + [pick 4]}]} {$i > 0} {incr i -1} {
    lassign [change $n $i $model] statement model
    append sql $statement
    if {[pick 8] == 0} { # something that is taken back
      append sql "SAVEPOINT s;[lindex [change $n $i.undone $model] 0]ROLLBACK TO s;RELEASE s;"
    }
  }
  dict set model counter $n
  return [list "${sql}INSERT OR REPLACE INTO r(name, content) VALUES('counter', [sql_text $n]);UPDATE counter SET n =\
      $n;" $model]
}

# The number that the regions say.
proc committed {} {
  return [db onecolumn {SELECT coalesce(max(CAST(CAST(content AS TEXT) AS INTEGER)), 0) FROM r WHERE name = 'counter'}]
}

proc model_at {seed n} {
  set model {}
  for {set i 1} {$i <= $n} {incr i} {set model [lindex [transaction $seed $i $model] 1]}
  return $model
}

# ---- the process ---------------------------------------------------------------------------------------------

if {[info exists argv0] && [file normalize $argv0] eq [file normalize [info script]]} {
  source [file join [file dirname [info script]] .. lib common.tcl]
  lassign $argv seed file oracle mode when
  set fault [lrange $argv 5 end]
  load_fixture
  if {$when eq "open"} {sdb_fault add {*}$fault}
  open_db db $file
  db timeout 5000
  db eval "PRAGMA journal_mode = $mode; PRAGMA synchronous = OFF" ;# against a kill the page cache is enough
  set n [committed]
  set model [model_at $seed $n]
  set acks [open $oracle a]
  if {$n > 0} { # what has been seen stays
    puts $acks "ack $n"
    flush $acks
  }
  puts ready
  flush stdout
  if {$when eq "work"} {sdb_fault add {*}$fault}
  while 1 {
    lassign [transaction $seed [incr n] $model] sql model
    db eval "BEGIN;$sql"
    db eval COMMIT
    puts $acks "ack $n"
    flush $acks
    if {$n % 23 == 0} {db eval {INSERT INTO r(r) VALUES('checkpoint')}}
    if {$n % 61 == 0} {db eval {INSERT INTO r(r) VALUES('compact')}}
  }
}
