# SPDX-License-Identifier: MIT
#
# full_disk_steps.tcl: the steps of full_disk_days.tcl: which comes next, and what those that change regions do to a
# model.
#
# A step is a list of words, {KIND ARGUMENT ...}, and names all it does: a list of steps can be played again, or with
# some left out.  The random numbers depend on the seed and the day alone, the choice on them and on the model.

set name_count 12

# {SQL DATA MODEL}: what a step asks for, and the model afterwards; {} if it means nothing on that model.
proc text_of {n bytes} {return [string range [string repeat "piece $n;" [expr {$bytes / 8 + 1}]] 0 [expr {$bytes - 1}]]}

proc change {step model} {
  lassign $step what name n bytes
  set there [dict exists $model $name]
  if {$there != ($what ni {create zeros})} {if {$what ne "append_row"} {return {}}}
  if {$there} {set old [dict get $model $name]} else {set old {}}
  set text {}
  if {$what ni {rename delete cut grow zeros}} {set text [text_of $n $bytes]}
  switch $what {
    create {set sql {INSERT INTO r(name, content) VALUES('@', CAST($d AS BLOB))}; dict set model $name $text}
    zeros {set sql "INSERT INTO r(name, length) VALUES('@', $n)"; dict set model $name [string repeat \0 $n]}
    append_row {set sql {INSERT INTO r(name, append) VALUES('@', CAST($d AS BLOB))}; dict append model $name $text}
    append {set sql {SELECT seqdb_append('r', '@', CAST($d AS BLOB))}; dict append model $name $text}
    content {set sql {UPDATE r SET content = CAST($d AS BLOB) WHERE name = '@'}; dict set model $name $text}
    write {
      set at [expr {$n % ([string length $old] + 1)}]
      set sql "SELECT seqdb_write('r', '@', $at, CAST(\$d AS BLOB))"
      dict set model $name [string range $old 0 $at-1]$text[string range $old [expr {$at + $bytes}] end]
    }
    grow {
      set sql "UPDATE r SET length = length + $n WHERE name = '@'"
      dict set model $name $old[string repeat \0 $n]
    }
    cut {
      set to [expr {$n % ([string length $old] + 1)}]
      set sql "UPDATE r SET length = $to WHERE name = '@'"
      dict set model $name [string range $old 0 $to-1]
    }
    rename {
      if {[dict exists $model $n]} {return {}}
      set sql "UPDATE r SET name = '$n' WHERE name = '@'"
      dict unset model $name
      dict set model $n $old
    }
    delete {set sql {DELETE FROM r WHERE name = '@'}; dict unset model $name}
  }
  return [list [string map [list @ $name] $sql] $text $model]
}

# ---- choosing ------------------------------------------------------------------------------------------------

proc pick {count} {
  set ::random [expr {($::random * 6364136223846793005 + 1442695040888963407) & 0xffffffffffffffff}]
  return [expr {($::random >> 33) % $count}]
}
proc pick_of {weights} {
  set total 0
  foreach {what weight} $weights {incr total $weight}
  set at [pick $total]
  foreach {what weight} $weights {if {[incr at -$weight] < 0} {return $what}}
}
set outside {
  create 8 append_row 6 append 18 write 10 content 6 grow 4 zeros 3 cut 3 rename 3 delete 3 begin 9 checkpoint 2
  compact 2 reopen 2 kill 3 kill_in 3 reader_open 2 reader_close 3 full 2 verify 1 evening 2
}
set inside {
  create 8 append_row 6 append 18 write 10 content 6 grow 4 zeros 3 cut 3 rename 3 delete 4 savepoint 7 release 3
  rollback_to 4 commit 9 rollback 3 veto 2 kill 1
}
set growing {create 4 append_row 4 append 8 content 4 write 1 grow 1}

# Who was refused often tries again.
proc next_step {} {
  if {$::burst == 0 && $::refused > $::refused_before && [pick 4] == 0} {set ::burst $::burst_most}
  set ::refused_before $::refused
  if {$::burst > 0 && !$::in_transaction} {
    incr ::burst -1
    set what [pick_of $::growing]
  } else {
    set what [pick_of [expr {$::in_transaction ? $::inside : $::outside}]]
  }
  set names [lsort [dict keys $::work]]
  set name [lindex $names [pick [expr {max(1, [llength $names])}]]]
  if {$names eq {} || $what in {create zeros}} {set name r[pick $::name_count]}
  set bytes [expr {1 + [pick [lindex {50 700 5000 30000 120000 400000} [pick 6]]]}]
  switch $what {
    create - append_row - append - content {return [list $what $name [pick 1000] $bytes]}
    write {return [list $what $name [pick 1000000] [expr {$bytes > 60000 ? $bytes / 10 : $bytes}]]}
    zeros - grow {return [list $what $name $bytes]}
    cut {return [list $what $name [pick 1000000]]}
    rename {return [list $what $name r[pick $::name_count]]}
    delete {return [list $what $name]}
    checkpoint - compact {return [list upkeep $what]}
    kill_in {return [list $what [expr {1 + [pick 25]}] [lindex {before after} [pick 2]]]}
    full {return [list $what [expr {[pick 5] * [pick 300]}]]}
    veto {return {commit vetoed}}
    evening {return [list $what [pick 1000]]}
    default {return [list $what]}
  }
}
