# SPDX-License-Identifier: MIT
#
# catalog_helpers.tcl: databases with a file `catalog`, on the simulated disk or a real one, and who reads it; source it
# after engine_helpers.tcl.

# Regions r0 ... with contents of their own, then closed.
proc build {dir {count 20}} {
  sdb_open db $dir -create 1
  for {set i 0} {$i < $count} {incr i} {make r$i "content $i"}
  db flush
  db close
}

# Does opening read `regions`?  Its guard may be looked at.
proc reads_regions {dir args} {
  sdb_fault log start {pread mmap}
  try {
    sdb_open db $dir {*}$args
  } finally {
    sdb_fault log stop
  }
  set read 0
  foreach call [sdb_fault log get] {
    if {[lindex $call 1] eq "regions" && [lindex $call 3] > 1} {set read 1}
  }
  return $read
}

proc see_catalog {} {
  set files [sdb_sim files sim:db]
  return [expr {[dict exists $files catalog]
    ? [sdb_sim peek sim:db/catalog 0 [dict get $files catalog cache]] : {}}]
}
proc set_catalog {bytes} {
  sdb_sim size sim:db/catalog [string length $bytes]
  if {$bytes ne {}} {sdb_sim poke sim:db/catalog 0 $bytes}
}

proc contents_hash {} {return "[llength [db list]] [db read r7]"}

# Does this disk have one?  Not every file system tells when a file was changed.
proc is_written_in {dir} {return [file exists $dir/catalog]}
