# SPDX-License-Identifier: MIT
#
# random_sql_processes.tcl: the workload of random_sql.tcl, its connections spread over two or three processes.
#
# `db` and the model `plain` stay here.  The connection `other`, which writes now and then, is in one worker; `reader`
# and `holder`, whose cursors stay open across many statements, are in another one, or in the same.  Each worker has a
# connection `model` to plain.db to compare with.  One statement runs at a time: what is tried is what each process
# makes of what the others did.
#
#   random_sql_processes SEED STEPS PROFILE OPTIONS PROCESSES -> "" or what differs
source [file join [file dirname [info script]] random_sql.tcl]
source [file join [file dirname [info script]] .. lib process_helpers.tcl]

foreach name {start open_connections reopen others_agree cursor_begin cursor_end second_writer check run renumber\
    agree} {
  rename rnd::$name rnd::alone_$name
}

proc rnd::names_in {worker} {
  return [expr {$worker eq "writing" ? $::rnd::processes == 2 ? {other reader holder} : {other} : {reader holder}}]
}
proc rnd::reading {} {return [expr {$::rnd::processes == 2 ? "writing" : "reading"}]}
proc rnd::workers {} {return [expr {$::rnd::processes == 2 ? "writing" : "writing reading"}]}

proc rnd::start {seed profile options} {
  workers_end
  set ::dir {}
  alone_start $seed $profile $options
}

# In a worker: the same procs, on its connections.
proc rnd::start_worker {worker} {
  worker_start $worker
  worker $worker [list source $::tests_dir/sql/random_sql.tcl]
  worker $worker [list set dir $::dir]
  worker $worker [list set ::rnd::cursor {}]
  worker $worker {set ::rnd::history {}}
  foreach name [names_in $worker] {
    worker $worker "connect $name \$dir/host.db
      $name eval {PRAGMA synchronous = OFF; PRAGMA recursive_triggers = ON}"
  }
  worker $worker {sqlite3 plain_reader $dir/plain.db; lappend handles plain_reader}
}

proc rnd::open_connections {} {
  connect db $::dir/host.db
  db eval {PRAGMA synchronous = OFF; PRAGMA recursive_triggers = ON}
  sqlite3 plain $::dir/plain.db
  lappend ::handles plain
  plain eval {PRAGMA synchronous = OFF; PRAGMA recursive_triggers = ON}
  foreach worker [workers] {start_worker $worker}
}

# Some processes end and come again, all of them at times.
proc rnd::reopen {} {
  set problem [cursor_end]
  if {$problem ne {}} {return $problem}
  foreach worker [workers] {
    if {[chance 60]} {
      log "process $worker ends and comes again"
      worker_end $worker
      start_worker $worker
    }
  }
  if {[chance 60]} {
    log "close and open[expr {[in_transaction] ? " (in a transaction)" : ""}]"
    foreach name {db plain} {disconnect $name}
    set ::rnd::marks {}
    foreach {name file} {db host.db plain plain.db} {
      if {$name eq "db"} {connect db $::dir/$file} else {sqlite3 plain $::dir/$file; lappend ::handles plain}
      $name eval {PRAGMA synchronous = OFF; PRAGMA recursive_triggers = ON}
    }
  }
  return [agree]
}

proc rnd::run {db sql} {
  if {$db ne "other"} {return [alone_run $db $sql]}
  for {set i 0} {$i < $::rnd::blobs} {incr i} {worker writing [list set ::rnd_d$i [set ::rnd_d$i]]}
  return [worker writing [list rnd::run other $sql]]
}

proc rnd::renumber {writer} {return [alone_renumber db]}
proc rnd::agree {{writer db}} {
  set problem [alone_agree db]
  if {$problem ne {} || $writer eq "db" || [in_transaction]} {return $problem}
  return [worker writing {sql_same other {SELECT name, rowid, length, content FROM r ORDER BY name} \
    plain_reader {SELECT name, id, length, content FROM p ORDER BY name}}]
}

proc rnd::others_agree {} {
  log "another process reads"
  return [worker [reading] rnd::others_agree]
}
proc rnd::cursor_begin {} {
  log "a cursor is opened in another process"
  set ::rnd::cursor elsewhere
  return [worker [reading] rnd::cursor_begin]
}
proc rnd::cursor_end {} {
  if {$::rnd::cursor eq {}} {return {}}
  log "the cursor is read to its end"
  set ::rnd::cursor {}
  return [worker [reading] rnd::cursor_end]
}
proc rnd::second_writer {} {
  set got [worker writing {set got [rnd::run other {BEGIN; INSERT INTO r(name) VALUES('busy'); SELECT 1}]
    catch {other eval ROLLBACK}
    set got}]
  log "another process tries to write -> $got"
  if {![string match ok:1 $got] && ![string match {BUSY*} $got]} {return "the second writer gets '$got'"}
  return [agree]
}
proc rnd::check {} {
  log "seqdb_check"
  set got [worker [reading] {reader onecolumn {SELECT seqdb_check('r')}}]
  return [expr {$got eq "ok" ? "" : "seqdb_check: $got"}]
}

proc random_sql_processes {seed steps profile options processes} {
  set ::rnd::processes $processes
  set problem [random_sql $seed $steps $profile $options]
  workers_end
  return $problem
}
