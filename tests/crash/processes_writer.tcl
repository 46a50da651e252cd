# SPDX-License-Identifier: MIT
#
# processes_writer.tcl: what the processes of processes_killed.test do, and how it is judged.
#
# Transaction n of writer W appends the record "W n" to the region W and to the region `common`, writes it into its slot
# of `slots`; every 7th replaces the region W.big by many copies of the record, every 13th creates a region and removes
# the one before; in file mode it also inserts a row.  So any state tells which transactions it has.

proc record_of {name n} {return [format "%-4s%011d\n" $name $n]}
proc big_of {name n} {return [string repeat [record_of $name $n] [expr {1 + $n * 37 % 2000}]]}
proc newest_of {n every} {return [expr {$n - $n % $every}]}

# ---- the writer, in a worker -------------------------------------------------------------------------------------

# In a database of its own in memory ($mode memory), where nobody waits for the disk, or in rows.db ($mode file).
proc writer_open {folder mode} {
  connect db [expr {$mode eq "file" ? "$folder/rows.db" : ":memory:"}]
  db timeout 10000
  if {$mode eq "memory"} {db eval "CREATE VIRTUAL TABLE r USING seqdb('$folder/d', sync=off)"}
  db eval {PRAGMA synchronous = OFF}
}

proc transaction {name slot n mode} {
  set record [record_of $name $n]
  db eval {BEGIN IMMEDIATE;
    INSERT INTO r(name, append) VALUES($name, @record), ('common', @record);
    SELECT seqdb_write('r', 'slots', 16 * $slot, @record)}
  if {$n % 7 == 0} {
    set content [big_of $name $n]
    db eval {INSERT OR REPLACE INTO r(name, content) VALUES($name || '.big', @content)}
  }
  if {$n % 13 == 0} {
    db eval {DELETE FROM r WHERE name = $name || '.' || ($n - 13);
      INSERT INTO r(name, content) VALUES($name || '.' || $n, @record)}
  }
  if {$mode eq "file"} {db eval {INSERT INTO t VALUES($name, $n)}}
  db eval COMMIT
  if {$n % 41 == 0} {upkeep {INSERT INTO r(r) VALUES('checkpoint')}}
  if {$n % 89 == 0} {upkeep {SELECT seqdb_compact('r')}}
}
# Others may be at work for longer than this one likes to wait.
proc upkeep {sql} {
  if {[catch {db eval $sql}] && [word [outcome $sql]] ni {ok BUSY}} {db eval $sql}
}

# Transactions until the file `stop` appears; after each its number goes to the file acks.NAME.  Returns how many there
# were, and the longest in microseconds.
proc writer_work {folder name slot mode} {
  set n [expr {[db onecolumn {SELECT ifnull(max(length), 0) FROM r WHERE name = $name}] / 16}]
  set acks [open $folder/acks.$name a]
  set longest 0
  set count 0
  while {$count % 8 || ![told_to_stop $folder]} {
    set begin [clock microseconds]
    transaction $name $slot [incr n] $mode
    puts $acks $n
    flush $acks
    incr count
    set longest [expr {max($longest, [clock microseconds] - $begin)}]
  }
  close $acks
  return [list $count $longest]
}

# ---- the judge ---------------------------------------------------------------------------------------------------

proc last_ack {folder name} {
  set last 0
  if {[file exists $folder/acks.$name]} {regexp {(\d+)\n[^\n]*$} [read_file $folder/acks.$name] -> last}
  return $last
}

# What is wrong with the regions of one moment, as `db` sees them; {} if nothing.
proc judge {folder names} {
  foreach name $names {set acked($name) [last_ack $folder $name]}
  set regions [db eval {SELECT name, content FROM r}]
  set slot -1
  set expected {common slots}
  foreach name $names {
    incr slot
    set own [expr {[dict exists $regions $name] ? [dict get $regions $name] : {}}]
    set n [expr {[string length $own] / 16}]
    if {$n < $acked($name)} {return "$name: $acked($name) commits were acknowledged, $n are there"}
    set all {}
    for {set i 1} {$i <= $n} {incr i} {append all [record_of $name $i]}
    if {$own ne $all} {return "$name: its region is not the records 1 to $n"}
    set pattern "[format %-4s $name]\\d{11}\n"
    if {[join [regexp -all -inline $pattern [dict get $regions common]] {}] ne $all} {return "$name at $n: common\
        differs"}
    if {$n == 0} continue
    if {[string range [dict get $regions slots] [expr {16 * $slot}] [expr {16 * $slot + 15}]] ne [record_of $name $n]} {
      return "$name at $n: its slot is [string range [dict get $regions slots] [expr {16 * $slot}] [expr {16 * $slot +\
          15}]]"
    }
    lappend expected $name
    foreach {every what content} {7 big big_of 13 {} record_of} {
      set last [newest_of $n $every]
      if {$last == 0} continue
      set region $name.[expr {$what eq {} ? $last : $what}]
      lappend expected $region
      if {![dict exists $regions $region]} {return "$name at $n: no region $region"}
      if {[dict get $regions $region] ne [$content $name $last]} {return "$name at $n: region $region differs"}
    }
  }
  if {[lsort [dict keys $regions]] ne [lsort $expected]} {return "regions [lsort [dict keys $regions]], not [lsort\
      $expected]"}
  return {}
}
