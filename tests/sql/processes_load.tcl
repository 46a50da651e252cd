# SPDX-License-Identifier: MIT
#
# processes_load.tcl: what the processes of processes_load.test do; each is loaded into workers.
#
# Transaction n of process W: a row in `log`, the record "W n" appended to the region W and to `common`, and the regions
# `left` and `right` replaced by it.  The same on ordinary tables, for the comparison: a row where a region grows.

proc load_record {name n} {return [format "%-4s%011d\n" $name $n]}

proc load_schema {kind} {
  db eval {PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE log(name, n)}
  if {$kind eq "seqdb"} {
    db eval {CREATE VIRTUAL TABLE r USING seqdb('d');
      INSERT INTO r(name, content) VALUES('common', x''), ('left', x''), ('right', x'')}
  } else {
    db eval {CREATE TABLE own(name, record); CREATE TABLE common(record); CREATE TABLE pair(side PRIMARY KEY, record);
      INSERT INTO pair VALUES('left', x''), ('right', x'')}
  }
}

proc load_open {file} {
  connect db $file
  db timeout 10000
  db eval {PRAGMA synchronous = FULL}
}

# `count` transactions; {BUSY errors, longest in microseconds}.
proc load_write {kind name count} {
  set longest 0
  set busy 0
  for {set n 1} {$n <= $count} {incr n} {
    set record [load_record $name $n]
    set begin [clock microseconds]
    if {[catch {
      db eval {BEGIN IMMEDIATE; INSERT INTO log VALUES($name, $n)}
      if {$kind eq "seqdb"} {
        db eval {INSERT INTO r(name, append) VALUES($name, @record), ('common', @record);
          UPDATE r SET content = @record WHERE name IN ('left', 'right')}
      } else {
        db eval {INSERT INTO own VALUES($name, @record); INSERT INTO common VALUES(@record);
          UPDATE pair SET record = @record WHERE side IN ('left', 'right')}
      }
      db eval COMMIT
    } problem]} {
      if {[word [outcome ROLLBACK]] ni {ok ERROR} || ![string match {*locked*} $problem]} {error $problem}
      incr busy
      incr n -1
    }
    set longest [expr {max($longest, [clock microseconds] - $begin)}]
  }
  return [list $busy $longest]
}

# Until the file `stop` appears: both sides must be of one commit, and all records as many as those of `common`.
# Returns how often it looked, and how many different states it saw.
proc load_watch {folder names} {
  set looks 0
  set states 0
  set before {}
  while {![file exists $folder/stop]} {
    set own {}
    set common 0
    set sides {}
    db eval {SELECT name, length, content FROM r} {
      if {$name in {left right}} {lappend sides $content} elseif {$name eq "common"} {set common $length} else\
          {lappend own $length}
    }
    if {[llength [lsort -unique $sides]] != 1} {error "left and right differ: $sides"}
    if {$own ne {} && [expr [join $own +]] != $common} {error "common has $common bytes, the others $own"}
    incr looks
    incr states [expr {$common != $before}]
    set before $common
  }
  return [list $looks $states]
}

# SQLite's shell, again and again; how often.
proc load_inspect {folder file library} {
  set runs 0
  while {![file exists $folder/stop]} {
    set got [exec sqlite3 $file ".load $library sqlite3_seqdb_init" ".timeout 10000" \
      {SELECT seqdb_check('r'), seqdb_stat('r') ->> 'regions' > 0, sum(bytes) = max(offset + bytes) FROM\
          seqdb_layout('r')}]
    if {$got ne "ok|1|1"} {error "the shell says $got"}
    incr runs
  }
  return $runs
}
