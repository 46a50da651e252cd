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

# `count` transactions; {BUSY of SQLite's own lock, BUSY of the directory, longest in microseconds}.
proc load_write {kind name count} {
  set longest 0
  array set busy {0 0 1 0}
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
      incr busy([string match {database is locked: *} $problem])
      incr n -1
    }
    set longest [expr {max($longest, [clock microseconds] - $begin)}]
  }
  return [list $busy(0) $busy(1) $longest]
}

# Until the file `stop` appears: both sides must be of one commit, and all records as many as those of `common`.
# Returns how often it looked, and how many different states it saw.
proc load_watch {folder names} {
  set looks 0
  set states 0
  set before {}
  while {![told_to_stop $folder]} {
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
    after 1
    incr states [expr {$common != $before}]
    set before $common
  }
  return [list $looks $states]
}

# SQLite's shell, again and again; how often.
proc load_inspect {folder file library} {
  set runs 0
  while {![told_to_stop $folder]} {
    set got [exec sqlite3 $file ".load $library sqlite3_seqdb_init" ".timeout 10000" \
      {SELECT seqdb_check('r'), seqdb_stat('r') ->> 'regions' > 0, sum(bytes) = max(offset + bytes) FROM\
          seqdb_layout('r')}]
    if {$got ne "ok|1|1"} {error "the shell says $got"}
    incr runs
  }
  return $runs
}

# ---- contents that tell what they must be --------------------------------------------------------------------------

# `bytes` bytes that begin with their number and a seed, from which the rest follows.
proc told_content {bytes seed} {
  set head "$bytes:$seed;"
  set word [format %08x. [expr {($seed * 2654435761) & 0xffffffff}]]
  return [string range $head[string repeat $word [expr {$bytes / 9 + 1}]] 0 [expr {$bytes - 1}]]
}
proc told_wrong {content} {
  if {![regexp {^(\d+):(\d+);} $content -> bytes seed]} {return "[string length $content] bytes begin with [string\
      range $content 0 19]"}
  if {$content ne [told_content $bytes $seed]} {return "[string length $content] bytes are not content $bytes:$seed"}
  return {}
}

# Creates, replaces, appends, cuts, renames and removes regions NAME0 to NAME9, checkpoints and compacts, until the file
# `stop` appears.  Returns how many transactions.
proc change_told {folder name seed} {
  expr {srand($seed)}
  set count 0
  while {![told_to_stop $folder]} {
    incr count
    set region $name[expr {int(rand() * 10)}]
    set other $name[expr {int(rand() * 10)}]
    set bytes [expr {20 + int(rand() * [lindex {50 3000 30000 200000} [expr {int(rand() * 4)}]])}]
    set content [told_content $bytes $count]
    set length [db onecolumn {SELECT length FROM r WHERE name = $region}]
    set kind [expr {int(rand() * 8)}]
    if {$length eq {}} {set kind 0}
    switch $kind {
      0 - 1 {db eval {INSERT OR REPLACE INTO r(name, content) VALUES($region, @content)}}
      2 - 3 {
        set content [told_content [expr {$length + $bytes}] $count]
        set head [string range $content 0 [expr {$length - 1}]]
        set tail [string range $content $length end]
        db eval {BEGIN IMMEDIATE; INSERT INTO r(name, append) VALUES($region, @tail);
          SELECT seqdb_write('r', $region, 0, @head); COMMIT}
      }
      4 {
        set to [expr {min($length, $bytes)}]
        set content [told_content $to $count]
        db eval {SELECT seqdb_truncate_write('r', $region, 0, @content)}
      }
      5 {db eval {UPDATE OR REPLACE r SET name = $other WHERE name = $region}}
      6 {db eval {DELETE FROM r WHERE name = $region}}
      7 {
        db eval {SAVEPOINT s; UPDATE r SET content = @content WHERE name = $region;
          SELECT seqdb_append('r', $other, 'never committed'); ROLLBACK TO s; RELEASE s}
      }
    }
    if {$count % 20 == 0} {catch {db eval {INSERT INTO r(r) VALUES('checkpoint')}}}
    if {$count % 50 == 0} {catch {db eval {SELECT seqdb_compact('r')}}}
  }
  return $count
}

# Reads all regions again and again, and rests in the middle; every content must be one of those that were told.
proc read_told {folder seed} {
  expr {srand($seed)}
  set count 0
  while {![told_to_stop $folder]} {
    set rest [expr {int(rand() * 12)}]
    set row 0
    db eval {SELECT name, content FROM r} {
      if {[incr row] == $rest} {after [expr {int(rand() * 40)}]}
      set wrong [told_wrong $content]
      if {$wrong ne {}} {error "$name: $wrong"}
      incr count
    }
  }
  return $count
}
