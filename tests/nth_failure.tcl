# SPDX-License-Identifier: MIT
#
# nth_failure.tcl: SQL workloads during which the 1st, 2nd, 3rd ... call of a kind fails; source it after sql_helpers.tcl.
#
#   nth::workload NAME BASE STEPS     defines a workload; BASE: new | clean | unclean, what the folder holds before
#   nth::loop KIND ?OPTION ...?       -> list of problems; fails call after call in every workload until none is left
#   nth::smooth OPTIONS               -> list of problems; a rule after which everything must go on as without it
#   nth::heap WORKLOAD STEP           -> the same while SQLite's heap has a hard limit, larger by STEP each time
#
# A workload is a list of steps. @ stands for the table: r, the virtual one, and p, an ordinary one that is the
# expectation. q is an ordinary table beside either.
#   {both SQL}         a statement on both            {pair SQL-FOR-R SQL-FOR-P}   two that do the same
#   {read QUERY}       the same rows, if r gives any  {only SQL}                   of r alone, changes no content
#   {open} {close}     handle db, faults included     {hold QUERY} {let}           a statement of handle `other`, begun, ended
#
# What must hold, whatever fails:
#   - a statement fails with the code of its cause and a message, or has its whole effect;
#   - after a failure the contents are as before the statement, or as before the transaction if SQLite rolled it back;
#   - without the fault the connection then goes on; or it was poisoned by a sync, refuses writes, and does so again
#     after closing: reopened, the commit in flight is there as a whole or not at all;
#   - seqdb_check finds nothing; after closing nothing of memory, descriptors and mappings is left.

namespace eval nth {
  variable workloads {}
  variable templates
  variable codes
  # Result codes by errno; the last word is for calls while a table is being opened.
  array set codes {
    ENOMEM {NOMEM} ENOSPC {FULL} EIO {IOERR IOERR_FSYNC CANTOPEN} EMFILE {CANTOPEN IOERR} EAGAIN {BUSY}
  }
  variable fixture {
    {INSERT INTO @(name, content) VALUES('a', CAST(printf('%.*c', 300, 'a') AS BLOB))}
    {INSERT INTO @(name, content) VALUES('b', CAST(printf('%.*c', 9000, 'b') AS BLOB))}
    {INSERT INTO @(name, content) VALUES('c', CAST(printf('%.*c', 60000, 'c') AS BLOB))}
    {INSERT INTO @(name, content) VALUES('d', x'')}
    {INSERT INTO q VALUES(1)}
  }
  variable trace [expr {[info exists ::env(NTH_TRACE)] && $::env(NTH_TRACE)}]
  variable reads_both {SELECT name, length, CAST(content AS BLOB) FROM @ ORDER BY name}
  variable poisonings 0
}

# SQL for n times the character c as a blob.
proc blob {n c} {return "CAST(printf('%.*c', $n, '$c') AS BLOB)"}

proc nth::workload {name base steps} {
  variable workloads
  dict set workloads $name [list $base $steps]
}

# ---- connections and the state before ------------------------------------------------------------------------

proc nth::connect {name} {
  variable dir
  sqlite3 $name $dir/host.db
  $name enable_load_extension 1
  $name eval {SELECT load_extension($::nth::library, 'sqlite3_sdbtestmemory_init')}
  $name eval {PRAGMA synchronous = OFF}
  $name enable_load_extension 0
}

proc nth::connected {name} {return [expr {[info commands ::$name] ne {}}]}

proc nth::close_all {} {
  variable held
  if {$held ne {}} {sql_finalize $held}
  set held {}
  foreach name {db other} {
    if {[connected $name]} {$name close}
  }
}

proc nth::plain_open {base} {
  variable fixture
  sqlite3 plain :memory:
  plain eval $::plain_schema
  plain eval {CREATE TABLE q(x)}
  if {$base eq "new"} return
  foreach sql $fixture {plain eval [string map {@ p} $sql]}
  plain eval {UPDATE p SET content = CAST(printf('%.*c', 40, 'Z') AS BLOB) || substr(content, 41) WHERE name = 'c'}
}

# Folders to start from. `unclean` is what a killed process leaves: records in the journal, some not folded yet.
proc nth::make_templates {} {
  variable templates
  variable fixture
  variable dir
  variable library [seqdbtest_so]
  variable held {}
  package require sqlite3
  load_fixture
  set templates(new) [temp_dir]
  set dir [temp_dir]
  connect db
  db eval {SELECT load_extension($::nth::library, 'sqlite3_sdbtestsql_init')}
  db eval {CREATE TABLE q(x)}
  db eval {CREATE VIRTUAL TABLE r USING seqdb('regions')}
  foreach sql [lrange $fixture 0 end-2] {db eval [string map {@ r} $sql]}
  db eval {INSERT INTO r(r) VALUES('checkpoint')}
  foreach sql [lrange $fixture end-1 end] {db eval [string map {@ r} $sql]}
  db eval {SELECT seqdb_write('r', 'c', 0, CAST(printf('%.*c', 40, 'Z') AS BLOB))}
  set templates(unclean) [temp_dir]/unclean
  file copy $dir $templates(unclean)
  db close
  set templates(clean) $dir
}

proc nth::restore {base} {
  variable templates
  variable dir
  variable root
  set dir $root/run
  file delete -force -- $dir
  file copy $templates($base) $dir
}

# ---- one step ------------------------------------------------------------------------------------------------

proc nth::autocommit {db} {return [lindex [sql_error $db] 3]}
proc nth::code_of {db} {
  lassign [sql_error $db] primary extended
  if {$extended == 1034} {return IOERR_FSYNC}
  return [code_name $primary]
}

# While the state is looked at nothing fails; afterwards the rule goes on counting where it was.
proc nth::pause {} {
  variable rule
  variable rule_args
  if {$rule eq {}} return
  lassign $rule_args kinds nth options
  set hits [sdb_fault hits $rule]
  incr ::nth::hits_before $hits
  set left [expr {$nth - [sdb_fault seen $rule]}]
  sdb_fault remove $rule
  set rule {}
  if {$left < 1} {
    if {"-forever" ni $options} return
    set left 1
  }
  set rule_args [list $kinds $left $options]
  return
}
proc nth::resume {} {
  variable rule
  variable rule_args
  variable limit
  if {$rule eq {} && $rule_args ne {}} {
    lassign $rule_args kinds nth options
    if {$nth >= 1 && ($::nth::hits_before == 0 || "-forever" in $options)} {
      set rule [sdb_fault add $kinds $nth {*}$options]
    }
  }
}
proc nth::hits {} {
  variable rule
  variable hits_before
  return [expr {$hits_before + ($rule eq {} ? 0 : [sdb_fault hits $rule])}]
}

# The ordinary tables' side never meets a fault: its memory is not the extension's, and the heap limit is lifted.
proc nth::plain_run {sql} {
  variable limit
  if {$limit} {
    set used [sql_memory used]
    sql_memory limit 0
  }
  set code [catch {plain eval $sql} result]
  set word [expr {$code ? [code_name [lindex [sql_error plain] 0]] : "ok"}]
  if {$limit} {
    incr limit [expr {[sql_memory used] - $used}]
    sql_memory limit [expr {max($limit, 1)}]
  }
  return [list $word $result]
}

proc nth::differs {} {
  variable reads_both
  if {![has_table]} {return {}}
  set problem [sql_same db [string map {@ r} $reads_both] plain [string map {@ p} $reads_both]]
  if {$problem ne {}} {return $problem}
  return [sql_same db {SELECT x FROM q ORDER BY x} plain {SELECT x FROM q ORDER BY x}]
}
proc nth::has_table {} {
  return [db onecolumn {SELECT count(*) FROM sqlite_schema WHERE name = 'r'}]
}
proc nth::plain_state {} {
  return [plain eval {SELECT name, hex(content) FROM p ORDER BY name; SELECT x FROM q ORDER BY x}]
}

# What the ordinary table would hold had the failed commit counted.
proc nth::note_doubt {sql was_open} {
  variable doubts
  if {$was_open} {
    if {[regexp -nocase {^(COMMIT|RELEASE)} $sql]} {lappend doubts [plain_state]}
    return
  }
  plain eval BEGIN
  if {![catch {plain eval $sql}]} {lappend doubts [plain_state]}
  catch {plain eval ROLLBACK}
}

# A statement on r failed: does it fail as it should, and is the state what it should be?
proc nth::judge_failure {sql for_p message fired} {
  variable errno
  variable codes
  variable poisoned
  set word [code_of db]
  if {$word eq "IOERR_FSYNC"} {set poisoned 1}
  if {$message eq {} || [string match "*not an error*" $message] || [string match "*unknown error*" $message] ||
      [string first \n $message] >= 0} {
    return "$word without a proper message: '$message'"
  }
  set allowed $codes($errno)
  if {$poisoned} {lappend allowed IOERR IOERR_FSYNC}
  if {$fired && $word ni $allowed} {return "fails with $word: $message"}
  set was_open [expr {![autocommit plain]}]
  set is_open [expr {![autocommit db]}]
  if {$is_open && !$was_open} {return "a failing statement leaves a transaction open: $message"}
  if {$for_p ne {}} {note_doubt $for_p $was_open}
  if {$was_open && !$is_open} {plain eval ROLLBACK}
  pause
  set problem [differs]
  resume
  if {$problem ne {}} {return "after $word ($message): $problem"}
  return {}
}

# A statement that changes r (for_p says how p changes; {} not at all).
proc nth::step_change {for_r for_p} {
  variable limit
  variable poisoned
  set before [hits]
  set failed [catch {db eval $for_r} result]
  set fired [expr {[hits] > $before || ($limit && $failed && [code_of db] eq "NOMEM")}]
  if {!$failed} {
    if {[string match "*seqdb_check*" $for_r] && $result ne "ok"} {return "check: $result"}
    if {$for_p eq {}} return
    set ::nth::doubts {}
    lassign [plain_run $for_p] word text
    if {$word ne "ok"} {return "accepted, an ordinary table says $word: $text"}
    return
  }
  if {$fired || ($poisoned || [code_of db] eq "IOERR_FSYNC") && [hits] > 0} {
    return [judge_failure $for_r $for_p $result $fired]
  }
  if {$for_p eq {}} {return "fails without a fault: $result"}
  set word [code_of db]
  lassign [plain_run $for_p] plain_word text
  if {$word ne $plain_word} {return "fails without a fault: $word: $result; an ordinary table: $plain_word: $text"}
  if {[autocommit db] != [autocommit plain]} {return "another transaction state than an ordinary table's after $word"}
  return
}

proc nth::step_read {query} {
  variable limit
  set before [hits]
  if {[catch {db eval [string map {@ r} $query]} rows]} {
    if {[hits] > $before || ($limit && [code_of db] eq "NOMEM")} {return [judge_failure $query {} $rows 1]}
    return "fails without a fault: [code_of db] $rows"
  }
  lassign [plain_run [string map {@ p} $query]] word expected
  if {$rows ne $expected} {return "reads [string range $rows 0 200] and not [string range $expected 0 200]"}
  return
}

# Loading and connecting; the tables are opened by the statements that follow.
proc nth::step_open {} {
  variable errno
  variable codes
  variable limit
  if {[catch {connect db} message]} {
    pause
    if {[connected db]} {db close}
    if {$limit} {sql_memory limit 0}
    connect db
    if {$limit} {sql_memory limit $limit}
    resume
  }
  return
}

proc nth::step_hold {query} {
  variable held
  if {![connected other]} {
    pause
    connect other
    resume
  }
  if {[catch {sql_prepare other $query} statement]} return
  set held $statement
  sql_step $held
  return
}
proc nth::step_let {} {
  variable held
  if {$held ne {}} {sql_finalize $held}
  set held {}
  return
}

proc nth::step {step} {
  variable created
  set arguments [lassign $step verb sql for_p]
  if {$verb ni {open close create} && !$created} {return {}}
  switch -- $verb {
    both {return [step_change [string map {@ r} $sql] [string map {@ p} $sql]]}
    pair {return [step_change $sql $for_p]}
    only {return [step_change $sql {}]}
    read {return [step_read $sql]}
    hold {return [step_hold $sql]}
    let {return [step_let]}
    open {return [step_open]}
    close {
      db close
      if {![autocommit plain]} {plain eval ROLLBACK}
      return {}
    }
    create {
      set problem [step_change $sql {}]
      set created [expr {[autocommit db] && [has_table]}]
      return $problem
    }
  }
  error "no such step: $step"
}

# ---- one run -------------------------------------------------------------------------------------------------

# Everything that must hold when the faults are over.
proc nth::afterwards {} {
  variable created
  variable poisoned
  variable poisonings
  variable doubts
  if {![connected db]} {connect db}
  if {!$created} {
    if {[has_table]} {return "CREATE failed, but the table is there"}
    db eval {CREATE VIRTUAL TABLE r USING seqdb('regions')}
    set created 1
  }
  set problem [differs]
  if {$problem ne {}} {return "afterwards: $problem"}
  if {![autocommit db]} {
    if {[catch {db eval COMMIT} message]} {
      if {![string match IOERR* [code_of db]]} {return "the open transaction cannot be committed: $message"}
      set poisoned 1
      lappend doubts [plain_state]
      if {![autocommit plain]} {plain eval ROLLBACK}
      if {![autocommit db]} {db eval ROLLBACK}
    } elseif {![autocommit plain]} {
      plain eval COMMIT
      set doubts {}
    }
  }
  set writable [expr {![catch {
    db eval {INSERT INTO r(name, content) VALUES('probe', x'01'); DELETE FROM r WHERE name = 'probe'}
  } message]}]
  if {$writable} {
    set doubts {}
  } elseif {[code_of db] ne "IOERR_FSYNC"} {
    return "unusable afterwards: [code_of db] $message"
  } else {
    incr poisonings
  }
  set problem [differs]
  if {$problem ne {}} {return "at the end: $problem"}
  return {}
}

# Closed and opened again, without faults.
proc nth::reopened {} {
  variable doubts
  connect db
  set state [db eval {SELECT name, hex(content) FROM r ORDER BY name; SELECT x FROM q ORDER BY x}]
  set found [expr {$state eq [plain_state] || $state in $doubts}]
  if {!$found} {
    set names [db eval {SELECT name || ' ' || length FROM r ORDER BY name}]
    return "reopened: [sql_same db {SELECT name, length, content FROM r ORDER BY name} plain \
      {SELECT name, length, CAST(content AS BLOB) FROM p ORDER BY name}]; it has $names"
  }
  set check [db onecolumn {SELECT seqdb_check('r')}]
  if {$check ne "ok"} {return "reopened: check: $check"}
  if {[catch {db eval {INSERT INTO r(name, append) VALUES('probe', x'01'); DELETE FROM r WHERE name = 'probe'}} message]} {
    return "reopened: no write: $message"
  }
  if {$state ne [db eval {SELECT name, hex(content) FROM r ORDER BY name; SELECT x FROM q ORDER BY x}]} {
    return "reopened: a write changed something else"
  }
  return {}
}

proc nth::leaks {} {
  set live [sdb_fault live]
  if {$live ne {memory 0 handles 0 maps 0}} {return "left after closing: $live"}
  return {}
}

# options for sdb_fault add; {} = no rule. Returns {hits problem}.
proc nth::run {workload kinds nth options {heap_bytes 0}} {
  variable workloads
  variable rule {}
  variable rule_args {}
  variable hits_before 0
  variable poisoned 0
  variable doubts {}
  variable held {}
  variable limit 0
  variable errno ENOMEM
  variable created 1
  variable trace
  if {[dict exists $options -errno]} {set errno [dict get $options -errno]}
  lassign [dict get $workloads $workload] base steps
  if {$base eq "new"} {set created 0}
  restore $base
  plain_open $base
  if {$trace} {puts stderr "$workload: $kinds $nth $options $heap_bytes"}
  if {[lindex $steps 0] ne "open"} {connect db}
  set problem {}
  set at 0
  sdb_fault reset
  if {$options ne {}} {
    set words [lmap {key value} $options {expr {$value eq {} ? [list $key] : [list $key $value]}}]
    set rule_args [list $kinds $nth [concat {*}$words]]
    resume
  }
  if {$heap_bytes} {
    set limit [expr {[sql_memory used] + $heap_bytes}]
    sql_memory limit $limit
  }
  foreach step $steps {
    incr at
    set problem [step $step]
    if {$problem ne {}} {
      set problem "step $at, [string range [lrange $step 0 1] 0 150]: $problem"
      break
    }
  }
  set ::nth::last_count [expr {[llength $kinds] == 1 && $kinds ne "system" ? [sdb_fault count $kinds] : 0}]
  set hits [hits]
  set rule {}
  set rule_args {}
  sdb_fault reset
  if {$limit} {
    sql_memory limit 0
    set limit 0
  }
  if {$held ne {}} step_let
  if {$problem eq {}} {set problem [afterwards]}
  close_all
  if {$problem eq {}} {set problem [leaks]}
  if {$problem eq {}} {set problem [reopened]}
  close_all
  if {$problem eq {}} {set problem [leaks]}
  plain close
  if {$problem eq {}} {
    set used [sql_memory used]
    if {![info exists ::nth::base_used]} {set ::nth::base_used $used}
    if {$used != $::nth::base_used} {
      set problem "SQLite's memory grew by [expr {$used - $::nth::base_used}] bytes"
      set ::nth::base_used $used
    }
  }
  return [list $hits $problem]
}

# ---- loops ---------------------------------------------------------------------------------------------------

proc nth::describe {workload kinds nth options problem} {
  return "workload $workload, [join $kinds +] call $nth fails ([join $options { }]): $problem"
}

# Fails call 1, 2, 3, ... of the kind in every workload (every `stride`th, from `first` on), until no fault fires.
# Prints how many points there are. Options: -errno NAME, -file GLOB, -points N (at most so many of each workload,
# evenly spread; 0 = all), -forever BOOL (also: that call and all after it), -only WORKLOADS.
proc nth::loop {kind args} {
  variable workloads
  set options [dict merge {-errno EIO -file {} -points 0 -forever 1 -only {}} $args]
  set total 0
  set runs 0
  set most {0 none}
  set problems {}
  set names [expr {[dict get $options -only] ne {} ? [dict get $options -only] : [dict keys $workloads]}]
  set file_option [expr {[dict get $options -file] eq {} ? {} : [list -file [dict get $options -file]]}]
  foreach name $names {
    set rule [dict create -errno [dict get $options -errno] {*}$file_option]
    lassign [measure $name $kind $file_option] count
    set points [dict get $options -points]
    set stride [expr {$points && $count > $points ? double($count) / $points : 1.0}]
    incr total $count
    if {$count > [lindex $most 0]} {set most [list $count $name]}
    set position [expr {$stride > 1 ? rand() * $stride : 0}]
    while 1 {
      set nth [expr {int($position) + 1}]
      lassign [run $name $kind $nth $rule] hits problem
      incr runs
      if {$problem ne {}} {lappend problems [describe $name $kind $nth $rule $problem]}
      if {$hits == 0} break
      if {[dict get $options -forever]} {
        set forever [dict merge $rule {-forever {}}]
        lassign [run $name $kind $nth $forever] hits problem
        incr runs
        if {$problem ne {}} {lappend problems [describe $name $kind $nth $forever $problem]}
      }
      if {[llength $problems] > 10} break
      set position [expr {$position + $stride}]
    }
  }
  set file [dict get $options -file]
  puts [format {%-10s %-8s %-8s %5d calls in %d workloads (at most %d, in %s), %d runs} $kind $file \
    [dict get $options -errno] $total [llength $names] {*}$most $runs]
  return $problems
}

# Calls of the kind that a workload makes when nothing fails: a rule that never comes true counts them.
proc nth::measure {name kind file_option} {
  variable rule
  set seen 0
  lassign [run $name $kind 1000000000 [list -errno EIO {*}$file_option]] hits problem
  if {$problem ne {}} {error "workload $name without a fault: $problem"}
  return [list $::nth::last_seen]
}

proc nth::smooth {kinds options} {
  variable workloads
  set problems {}
  foreach name [dict keys $workloads] {
    lassign [run $name $kinds 1 $options] hits problem
    if {$problem ne {}} {lappend problems [describe $name $kinds 1 $options $problem]}
    if {$hits == 0} {lappend problems "workload $name: the rule did not fire"}
  }
  return $problems
}

proc nth::heap {name step} {
  set problems {}
  for {set bytes $step} {$bytes < 4000000 && [llength $problems] < 10} {incr bytes $step} {
    set ::nth::refusals 0
    lassign [run $name malloc 1 {} $bytes] hits problem
    if {$problem ne {}} {lappend problems "workload $name, heap of $bytes bytes more: $problem"}
    if {!$::nth::refusals} break
  }
  return [list $bytes $problems]
}
