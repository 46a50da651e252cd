# SPDX-License-Identifier: MIT
#
# engine_helpers.tcl: what the engine_*.test files share; source it after common.tcl.
# Tests name their handles db, db2, db3 and their snapshots snap, snap2, snap3: those are closed after each test.

load_fixture

# Code and message of what the body fails with, else "OK: result".
proc failure {body} {
  if {![catch {uplevel 1 $body} result options]} {return "OK: $result"}
  set code [dict get $options -errorcode]
  return "[expr {[lindex $code 0] eq "SEQDB" ? [lindex $code 1] : "TCL"}]: $result"
}

# The code alone.
proc code_of {body} {return [lindex [split [uplevel 1 [list failure $body]] :] 0]}

proc close_all {} {
  foreach command {snap snap2 snap3 snap4 db db2 db3} {
    if {[info commands $command] ne {}} {catch {$command close}}
  }
}

# Run the body, in a scope of its own, with a new database in $dir, open as `db`.  At its end every handle is closed,
# the database opened again and checked, and nothing may be left allocated, open or mapped.
proc with_db {options body} {
  set dir [file join [temp_dir] db]
  sdb_open db $dir -create 1 {*}$options
  try {
    set result [apply [list dir $body] $dir]
    sdb_fault reset
    close_all
    sdb_open db $dir
    if {[db check] ne {}} {error "afterwards check says: [db check]"}
    check_layout db
    db close
    if {[sdb_fault live] ne {memory 0 handles 0 maps 0}} {error "left behind: [sdb_fault live]"}
    return $result
  } finally {
    sdb_fault reset
    close_all
    file delete -force -- $dir
  }
}

# The same without a database: the body makes $dir itself.
proc with_dir {body} {
  set dir [file join [temp_dir] db]
  try {
    set result [apply [list dir $body] $dir]
    sdb_fault reset
    close_all
    if {[sdb_fault live] ne {memory 0 handles 0 maps 0}} {error "left behind: [sdb_fault live]"}
    return $result
  } finally {
    sdb_fault reset
    close_all
    file delete -force -- $dir
  }
}

# On a simulated disk, whose directory is sim:db.
proc with_sim {body} {
  set dir sim:db
  sdb_fault reset
  sdb_sim reset
  try {
    return [apply [list dir $body] $dir]
  } finally {
    sdb_fault reset
    close_all
    sdb_sim reset
  }
}

proc reopen {dir args} {
  close_all
  sdb_open db $dir {*}$args
}

# A region with that content.
proc make {name content {handle db}} {
  set region [$handle create $name]
  $handle append $region $content
  return $region
}

# {name content ...} of all regions, sorted by name.
proc contents {{view db}} {
  set result {}
  foreach name [lsort [$view list]] {lappend result $name [$view read $name]}
  return $result
}

# The rows of layout cover `data` from 0 to its end without a gap.
proc check_layout {{handle db}} {
  set at 0
  foreach row [$handle layout] {
    if {[dict get $row offset] != $at || [dict get $row bytes] <= 0} {error "layout: a gap at $at: $row"}
    incr at [dict get $row bytes]
  }
  if {$at != [dict get [$handle stat] file_bytes]} {
    error "layout ends at $at, data at [dict get [$handle stat] file_bytes]"
  }
}

proc stat_of {key {handle db}} {return [dict get [$handle stat] $key]}
proc info_of {name key {view db}} {return [dict get [$view info $name] $key]}

# ---- calls ---------------------------------------------------------------------------------------------------

# Changing calls that the body makes, as "kind file" words; runs of the same word are shown once.
proc calls_of {body {kinds changing}} {
  sdb_fault log start $kinds
  try {
    uplevel 1 $body
  } finally {
    sdb_fault log stop
  }
  set words {}
  foreach call [sdb_fault log get] {
    set word [join [lrange $call 0 1] { }]
    if {$word ne [lindex $words end]} {lappend words $word}
  }
  return $words
}

proc count_calls {pattern body {kinds changing}} {
  sdb_fault log start $kinds
  try {
    uplevel 1 $body
  } finally {
    sdb_fault log stop
  }
  set count 0
  foreach call [sdb_fault log get] {incr count [string match $pattern [join [lrange $call 0 1] { }]]}
  return $count
}

# ---- files ---------------------------------------------------------------------------------------------------

proc poke {path offset bytes} {
  set channel [open $path r+b]
  seek $channel $offset
  puts -nonewline $channel $bytes
  close $channel
}

proc peek {path offset bytes} {
  set channel [open $path rb]
  seek $channel $offset
  set result [read $channel $bytes]
  close $channel
  return $result
}

proc resize {path bytes} {
  set channel [open $path r+b]
  chan truncate $channel $bytes
  close $channel
}

proc flip {path offset} {
  binary scan [peek $path $offset 1] cu byte
  poke $path $offset [binary format c [expr {$byte ^ 0x5a}]]
}

# Bytes that this process has handed to write calls so far.
proc written {} {
  regexp -line {^wchar: (\d+)} [read_file /proc/self/io] -> bytes
  return $bytes
}

proc disk_bytes {path} {return [expr {512 * [exec stat -c %b $path]}]}

proc get_entry {dir index} {return [sdb_entry_decode [peek $dir/regions [expr {$index * 4096}] 4096] $index]}
proc put_entry {dir index page} {poke $dir/regions [expr {$index * 4096}] $page}

# The valid header, decoded, and a header with some fields changed, sealed.
proc get_header {dir} {
  set best {}
  foreach page {0 1} {
    set header [sdb_journal_header_decode [peek $dir/journal [expr {$page * 4096}] 4096]]
    if {[dict get $header state] eq "ok" && ($best eq {} || [dict get $header sequence] > [dict get $best sequence])} {
      set best $header
    }
  }
  return $best
}
proc put_header {dir args} {
  set header [dict merge [get_header $dir] $args]
  poke $dir/journal [expr {[dict get $header sequence] % 2 * 4096}] [sdb_journal_header_encode $header]
}

# The header says again what `regions` holds: what is damaged then is not the hash.
proc match_header {dir args} {
  set entries 0
  set hash 0
  set pages [expr {[file size $dir/regions] / 4096}]
  for {set i 0} {$i < $pages} {incr i} {
    set page [peek $dir/regions [expr {$i * 4096}] 4096]
    if {[dict get [sdb_entry_decode $page $i] state] ne "used"} continue
    incr entries
    set hash [expr {($hash + [sdb_entry_hash $page $i]) & 0xffffffffffffffff}]
  }
  put_header $dir entries $entries entries_hash $hash regions_bytes [expr {$pages * 4096}] {*}$args
}

proc list_records {dir} {return [sdb_record_list [read_file $dir/journal]]}

# ---- copies of what a crash leaves ---------------------------------------------------------------------------

# The files as they are now: what the kernel would keep if the process were killed.
proc copy_files {dir to} {
  file delete -force -- $to
  file mkdir $to
  exec cp -a --sparse=always {*}[glob -directory $dir *] $to
  return $to
}

# Bytes that no run of other bytes resembles, the same for the same seed: a random block of 16 KiB, turned further each
# time.
proc noise {seed bytes} {
  set block {}
  set state [expr {($seed * 2654435761 + 12345) & 0xffffffff}]
  set wanted [expr {min($bytes, 16384)}]
  for {set i 0} {$i < $wanted} {incr i 4} {
    set state [expr {($state * 1664525 + 1013904223) & 0xffffffff}]
    append block [binary format i $state]
  }
  if {$bytes <= 16384} {return [string range $block 0 [expr {$bytes - 1}]]}
  set result $block
  for {set turn 5003} {[string length $result] < $bytes} {set turn [expr {($turn + 5003) % 16381}]} {
    append result [string range $block $turn end] [string range $block 0 [expr {$turn - 1}]]
  }
  return [string range $result 0 [expr {$bytes - 1}]]
}
