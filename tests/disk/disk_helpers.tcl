# SPDX-License-Identifier: MIT
#
# disk_helpers.tcl: files on a real and on a simulated disk, and what power cuts leave of them; for the tests of this
# folder.

proc message {body} {
  catch {uplevel 1 $body} result
  return $result
}

# A new real directory with one file; $dir and $file are its handles.
proc with_file {body} {
  upvar 1 dir dir file file path path
  set path [temp_dir]
  set dir [sdb_os open_dir $path]
  set file [sdb_os open $dir data write create]
  try {
    return [uplevel 1 $body]
  } finally {
    sdb_fault reset
    sdb_os close $file
    sdb_os close $dir
  }
}

# The same on a new simulated disk, where everything so far is durable.  A cut makes both handles stale.
proc with_sim {body} {
  upvar 1 dir dir file file
  sdb_sim reset
  sdb_os make_dir sim:db
  sdb_os sync_parent sim:db
  set dir [sdb_os open_dir sim:db]
  set file [sdb_os open $dir data write create]
  sdb_os sync_dir $dir
  try {
    return [uplevel 1 $body]
  } finally {
    sdb_fault reset
    sdb_sim failseed 2
    sdb_os close $file
    sdb_os close $dir
  }
}

# Contents of the simulated file, dots for zeros; its first byte of each sector with -sectors.
proc contents {{name data}} {
  return [string map {\0 .} [sdb_sim peek sim:db/$name 0 100000]]
}
proc sectors {{name data}} {
  set bytes [contents $name]
  set result {}
  for {set i 0} {$i < [string length $bytes]} {incr i 512} {append result [string index $bytes $i]}
  return $result
}
proc names {} {
  set result {}
  foreach {name sizes} [sdb_sim files sim:db] {lappend result $name}
  return [lsort $result]
}

# What `look` shows after each outcome that a cut can have from here, sorted, without repetition.
proc outcomes_of {look} {
  set clone [sdb_sim clone]
  set found {}
  set count [sdb_sim outcomes]
  for {set i 0} {$i < $count} {incr i} {
    sdb_sim restore $clone
    sdb_sim nth $i
    lappend found [uplevel 1 $look]
  }
  sdb_sim free $clone
  return [lsort -unique $found]
}
# The same by chance, with many seeds.
proc chances_of {look {seeds 600}} {
  set clone [sdb_sim clone]
  set found {}
  for {set i 0} {$i < $seeds} {incr i} {
    sdb_sim restore $clone
    sdb_sim cut $i
    lappend found [uplevel 1 $look]
  }
  sdb_sim free $clone
  return [lsort -unique $found]
}
