# SPDX-License-Identifier: MIT
#
# damage_helpers.tcl: a database that is damaged by a script, and everything that must be true of it then; for
# damage.test.

set files {data regions journal}

# Three regions, closed cleanly; then the body damages $dir.  The damaged database must open read-only, name what
# `pattern` says in its first problem and in each refused write, let healthy regions be read, and change no byte of any
# file; without the damage everything must be there again.  Result: "ok", or what was wrong.
proc damage {pattern body args} {
  set healthy {a b c}
  foreach {option value} $args {set [string range $option 1 end] $value}
  with_dir {
    upvar 2 body body pattern pattern healthy healthy
    sdb_open db $dir -create 1
    make a [noise 1 10000]
    make b [noise 2 300]
    db create c
    db flush
    db close
    damage_rest $dir $body $pattern $healthy
  }
}

# The same for a database that was not closed: the files of a killed process, with records in the journal.
proc damage_unclean {pattern body args} {
  set healthy {a b c}
  foreach {option value} $args {set [string range $option 1 end] $value}
  with_dir {
    upvar 2 body body pattern pattern healthy healthy
    sdb_open db $dir.first -create 1
    make a [noise 1 10000]
    db flush
    make b [noise 2 300]
    db create c
    db flush
    db checkpoint
    db append b x
    db truncate b 300
    db flush
    db reserve c 9000
    db flush
    db rename c x
    db rename x c
    db write b 5 [string range [noise 2 300] 5 9]
    db flush
    copy_files $dir.first $dir
    db close
    file delete -force $dir.first
    damage_rest $dir $body $pattern $healthy
  }
}

proc damage_rest {dir body pattern healthy} {
  set want [dict create a [noise 1 10000] b [noise 2 300] c {}]
  set sound [lmap file $::files {expr {[file exists $dir/$file] ? [read_file $dir/$file] : {}}}]
  apply [list dir $body] $dir
  set before [lmap file $::files {expr {[file exists $dir/$file] ? [read_file $dir/$file] : "none"}}]
  foreach options {{} {-create 1} {-adopt 1} {-readonly 1} {-resolve keep}} {
    sdb_open db $dir {*}$options
    lassign [db readonly] readonly why
    if {!$readonly} {return "with {$options} it can be written"}
    set problems [db check]
    if {[llength $problems] == 0} {return "check finds nothing"}
    if {![string match $pattern [lindex $problems 0]]} {return "check says: [lindex $problems 0]"}
    if {$options eq {-readonly 1}} {
      db close
      continue
    }
    foreach call {
      {create new} {append a x} {write a 0 x} {truncate a 0} {truncate_write a 0 x} {set_length a 5} {reserve a 90000
    }
      {rename a z} {remove a} {retain {}} checkpoint compact} {
      if {[lindex $call 1] eq "a" && "a" ni $healthy} continue
      set got [failure {db {*}$call}]
      if {[code_of {db {*}$call}] ni {CORRUPT READONLY}} {return "$call: $got"}
      if {![string match $pattern [regsub {^[A-Z]+: (\w+( \w+)?: )?} $got {}]] && ![string match *$pattern $got]} {
        return "$call: $got"
      }
    }
    foreach name $healthy {
      if {[catch {db read $name} bytes] || $bytes ne [dict get $want $name]} {return "region $name is not read right"}
    }
    db snapshot snap
    foreach name $healthy {
      if {[snap read $name] ne [dict get $want $name]} {return "region $name is not read right in a snapshot"}
    }
    snap close
    db stat
    check_layout
    db close
  }
  set after [lmap file $::files {expr {[file exists $dir/$file] ? [read_file $dir/$file] : "none"}}]
  if {$before ne $after} {return "the files were changed"}
  foreach file $::files bytes $sound {write_file $dir/$file $bytes}
  sdb_open db $dir
  if {[lindex [db readonly] 0] || [db check] ne {}} {return "it stays damaged: [db check]"}
  foreach {name bytes} $want {
    if {[db read $name] ne $bytes} {return "region $name is lost"}
  }
  db close
  return ok
}
