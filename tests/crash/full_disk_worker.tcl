# SPDX-License-Identifier: MIT
#
# full_disk_worker.tcl: the process that holds the database of full_disk_days.tcl, and obeys until it is killed.
#
# One command a line: a procedure worker_COMMAND and its arguments.  One answer a line: {ok AUTOCOMMIT RESULT} or
# {CODE AUTOCOMMIT MESSAGE}.
set here [file dirname [file normalize [info script]]]
foreach folder [list $here [file dirname $here] [file dirname $here]/lib] {
  if {[file exists $folder/common.tcl]} {source $folder/common.tcl}
}

proc worker_open {host directory} {
  open_db db $host
  open_db db2 $host
  worker_veto off
  db eval {PRAGMA journal_mode = wal; PRAGMA synchronous = off; PRAGMA wal_autocheckpoint = 50}
  db eval {PRAGMA temp_store = memory} ;# SQLite's own temporary files would end the process at RLIMIT_FSIZE
  db eval {CREATE TABLE IF NOT EXISTS log(n)}
  db eval "CREATE VIRTUAL TABLE IF NOT EXISTS r USING seqdb('$directory')"
  return [db onecolumn {SELECT count(*) FROM r}]
}
proc worker_veto {what} {db commit_hook [expr {$what eq "on" ? "expr 1" : {}}]}
proc worker_sql {sql {d {}}} {return [db eval $sql]}
proc worker_close {} {
  db2 close
  db close
}
proc worker_light {} {return [db eval {SELECT name, length FROM r ORDER BY name}]}
proc worker_dump {} {return [db eval {SELECT name, content FROM r ORDER BY name}]}
proc worker_crc {} {
  set result {}
  db eval {SELECT name, content, seqdb_read('r', name) AS copy FROM r ORDER BY name} {
    lappend result $name [zlib crc32 $content] [zlib crc32 $copy]
  }
  return $result
}
proc worker_fault {args} {sdb_fault {*}$args}
# A statement that stays half done, and so keeps its snapshot; its second step reads the rest.
proc reader {} {
  set seen {}
  db2 eval {SELECT name, content FROM r ORDER BY name} {
    lappend seen $name [zlib crc32 $content]
    if {[llength $seen] == 2} {yield}
  }
  return $seen
}
proc worker_reader_open {} {coroutine read_on reader}
proc worker_reader_close {} {
  if {[info commands read_on] eq {}} return
  return [read_on]
}

foreach channel {stdin stdout} {fconfigure $channel -translation lf -encoding iso8859-1 -buffersize 1000000}
load_fixture
while {[gets stdin line] >= 0} {
  set code ok
  if {[catch {worker_[lindex $line 0] {*}[lrange $line 1 end]} result]} {
    set code [expr {[info commands db] ne {} ? [db errorcode] : 1}]
  }
  set autocommit 1
  if {[info commands db] ne {}} {catch {set autocommit [lindex [sql_error db] 3]}}
  puts [list $code $autocommit [string map {\n { | }} $result]]
  flush stdout
}
exit 0
