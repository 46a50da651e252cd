# SPDX-License-Identifier: MIT
#
# one_commit_judge.tcl: what the rig of one_commit.tcl looks at, and what is right.
#
# A *state* is what one SELECT sees: `rows` of the ordinary tables, and of each directory its
# regions.  Before a COMMIT the workload notes the state that it sees itself; the list of those is what may be found.
#   torn      the parts are those of different commits, or regions are of no commit at all
#   half      torn, as another member sees it beside a COMMIT
#   lost      one commit, but older than what the mode promises (promises_at_once, acknowledge)
#   refused   opening, reading or writing fails
#   sqlite    the rows alone are of no commit, or SQLite finds its file damaged: SQLite's own fault, or the VFS's
#   weak      the same with synchronous=NORMAL in the rollback modes, where SQLite promises no more; and any of these
#             where SQLite has rolled back to pages that it had not written
#   doubt     torn or damaged after a power cut, when before it a session had started on what a failed sync left in the
#             page cache: SQLite believes what it reads there

# ---- states ----------------------------------------------------------------------------------------------------

# The seqdb tables of a connection: {schema name directory} ...
proc seqdb_tables {db} {
  set found {}
  foreach {schema} [expr {"other" in [$db eval {SELECT name FROM pragma_database_list}] ? {main other} : "main"}] {
    foreach {name sql} [$db eval "SELECT name, sql FROM $schema.sqlite_schema WHERE sql LIKE 'CREATE VIRTUAL TABLE%'
        ORDER BY name"] {
      regexp {seqdb\('([^']*)'} $sql -> directory
      lappend found $schema $name $directory
    }
  }
  return $found
}

# What one SELECT sees: {rows TEXT directory TEXT ...}, for an attached file {rows.other TEXT} too; and what one of a
# second file on the same directory sees of its rows.
proc observe {db} {
  set state [observe_file $db]
  if {"files" in [dict get $::work able] && $db ne "stranger"} {
    set name [expr {$db eq "db" ? "second" : "db"}]
    dict set state rows.[file_of $name] [dict get [observe_file $name] rows]
    dict set state rows.[file_of $db] [dict get $state rows]
    dict unset state rows
  }
  return $state
}

proc file_of {db} {return [file tail [$db eval {SELECT file FROM pragma_database_list WHERE name = 'main'}]]}

set rows_term {(SELECT n FROM a) || ' ' || (SELECT n FROM b) || ' ' ||
  (SELECT count(*) || ' ' || ifnull(sum(n), 0) || ' ' || ifnull(sum(length(filler)), 0) FROM log) || ' ' ||
  (SELECT group_concat(name) FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE '%\_commit' ESCAPE '\')}

proc observe_file {db} {
  set names rows
  set terms [list $::rows_term]
  if {[dict get $::work other]} {
    lappend names rows.other
    lappend terms {(SELECT n FROM other.c)}
  }
  foreach {schema name directory} [seqdb_tables $db] {
    lappend names $directory
    lappend terms "(SELECT ifnull(group_concat(name || '=' || CAST(content AS TEXT), ';'), 'none')
      FROM (SELECT name, content FROM $schema.$name ORDER BY name))"
  }
  set state {}
  foreach name $names value [$db eval "SELECT [join $terms ,]"] {
    set bytes [string length $value]
    dict set state $name [expr {$bytes > 60 ? "[string range $value 0 40]...$bytes:[zlib crc32 $value]" : $value}]
  }
  return $state
}

# Parts that must be of one commit, as lists of names: of the main file and of the attached one.  In the rollback modes
# SQLite commits both at once.
proc groups_of {state} {
  set main rows
  set other {}
  foreach name [dict keys $state] {
    if {[string match *.other $name]} {lappend other $name} elseif {$name ne "rows"} {lappend main $name}
  }
  if {![dict exists $state rows]} {set main [lrange $main 1 end]}
  if {$other eq {}} {return [list $main]}
  return [expr {[files_are_one] ? [list [concat $main $other]] : [list $main $other]}]
}

proc files_are_one {} {
  return [expr {[dict get $::work journal] ne "wal" && [dict get $::work sync] ne "normal"}]
}

# ---- what is right ---------------------------------------------------------------------------------------------

# Note a state that may be found from now on; its number.
proc state_add {state} {
  lappend ::states $state
  return [expr {[llength $::states] - 1}]
}

# What copies of the disk carry: the last state acknowledged, the last promised, how many may be found, whether SQLite
# was lied to by a failing sync, the step.
proc label {} {
  sdb_history label [list $::acked $::promised [llength $::states] $::dead $::shaken $::step]
}

# Is a commit durable when it is acknowledged?
proc promises_at_once {} {
  dict with ::work {}
  if {$journal eq "wal"} {return [expr {$sync in {full extra}}]}
  if {$journal eq "persist" || ($lock eq "exclusive" && $journal eq "delete")} {return 1}
  return [expr {$sync eq "extra" || ($journal eq "truncate" && $sync eq "full")}]
}

# State `index` is acknowledged.  In the other rollback modes the end of SQLite's journal becomes durable with the next
# commit that writes to the file.
proc acknowledge {index writes_rows} {
  if {$writes_rows && ([dict get $::work journal] ne "wal" || [promises_at_once])} {
    for {set i [expr {$::acked + 1}]} {$i < $index} {incr i} {
      if {$i ni $::dead} {lappend ::dead $i} ;# of somebody who died: this commit has overwritten it, durably
    }
  }
  set ::acked $index
  if {[promises_at_once]} {
    set ::promised $index
  } elseif {[dict get $::work journal] eq "wal" || "files" in [dict get $::work able]} {
    # a later sync will do it, of each file its own
  } elseif {$writes_rows} {
    set ::promised $::waiting
    set ::waiting $index
  } elseif {$::waiting == $::promised} {
    set ::promised $index
    set ::waiting $index
  }
  label
  if {$::recording} {sdb_history add}
}

# All that is acknowledged is durable: a checkpoint has synced it.
proc promise_all {} {
  set ::promised $::acked
  set ::waiting $::acked
  label
}

# Which of states `first` to `last` have these parts as `state` has them?
proc matching {state parts label} {
  lassign $label acked promised count dead
  set found {}
  for {set i 0} {$i < $count} {incr i} {
    set same [expr {$i ni $dead}]
    foreach part $parts {
      if {!$same} break
      set known [lindex $::states $i]
      set same [expr {[dict exists $known $part] == [dict exists $state $part] &&
        (![dict exists $state $part] || [dict get $known $part] eq [dict get $state $part])}]
    }
    if {$same} {lappend found $i}
  }
  return $found
}

# {right N} | {torn TEXT} | {lost TEXT} | {sqlite TEXT}
proc judge {state label} {
  lassign $label acked promised count dead shaken
  if {$shaken eq "all"} { ;# whatever was tried may be on the disk
    set label [list $acked [set promised 0] $count {} all]
  }
  set newest {}
  foreach parts [groups_of $state] {
    set found [matching $state $parts $label]
    foreach rows [lsearch -all -inline $parts rows*] {
      if {[matching $state [list $rows] $label] eq {}} {return [list sqlite "rows of no commit: $state"]}
    }
    if {$found eq {}} {return [list torn [tell_torn $state $parts $label]]}
    set at [lindex $found end]
    if {$at < $promised} {return [list lost "found commit $at, promised $promised, acknowledged $acked"]}
    if {$newest eq {}} {set newest $at}
  }
  return [list right $newest]
}

proc tell_torn {state parts label} {
  set words {}
  foreach part $parts {
    set found [matching $state [list $part] $label]
    lappend words "$part of [expr {$found eq {} ? "no commit ([dict get $state $part])" : "commit [join $found /]"}]"
  }
  return "[join $words {, }] (acknowledged [lindex $label 0], promised [lindex $label 1])"
}
