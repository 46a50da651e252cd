# SPDX-License-Identifier: MIT
#
# rules_helpers.tcl: what the rules_of_*.test files share: changes of `data` as bytes and as calls, and what records
# hold.

# Calls on `data` that change bytes, made by the body: {kind from to} with page-exact ends.
proc data_changes {body} {
  sdb_fault log start changing
  try {
    uplevel 1 $body
  } finally {
    sdb_fault log stop
  }
  set result {}
  foreach call [sdb_fault log get] {
    lassign $call kind file offset bytes
    if {$file ne "data"} continue
    if {$kind in {pwrite punch}} {lappend result [list $kind $offset [expr {$offset + $bytes}]]}
    if {$kind eq "ftruncate"} {lappend result [list cut $bytes 0x7fffffffffffffff]}
  }
  return $result
}

# Those of them that touch a byte of one of the extents {from to ...}.
proc touching {changes extents} {
  set result {}
  foreach change $changes {
    lassign $change kind from to
    foreach {begin end} $extents {
      if {$from < $end && $to > $begin} {lappend result $change}
    }
  }
  return $result
}

# [start, start + length) of regions as the view has them.
proc lengths_of {view args} {
  set result {}
  foreach name [expr {$args eq {} ? [$view list] : $args}] {
    set info [$view info $name]
    if {[dict get $info length] > 0} {
      lappend result [dict get $info offset] [expr {[dict get $info offset] + [dict get $info length]}]
    }
  }
  return $result
}

# Offsets of the ranges of all records now in the journal.
proc ranges_of {dir} {
  set result {}
  foreach record [list_records $dir] {
    foreach range [dict get $record ranges] {
      lappend result [dict get $range offset] [expr {[dict get $range offset] + [string length [dict get $range data]]}]
    }
  }
  return $result
}

# Without those that only set a size or give blocks back.
proc calls_in_order {body} {
  return [lsearch -all -inline -not -regexp [uplevel 1 [list calls_of $body]] {^(ftruncate|punch) }]
}
