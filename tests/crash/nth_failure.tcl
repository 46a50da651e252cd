# SPDX-License-Identifier: MIT
#
# nth_failure.tcl: SQL workloads during which the 1st, 2nd, 3rd ... call of a kind fails; source it after
# sql_helpers.tcl.
#
#   nth::workload NAME BASE STEPS     defines a workload; BASE: new | clean | unclean | pread, what the folder holds
#   nth::loop KIND ?OPTION ...?       -> list of problems; fails call after call in every workload until none is left
#   nth::smooth KINDS OPTIONS         -> list of problems; a rule after which everything must go on as without it
#   nth::heap WORKLOAD STEP           -> {bytes problems}; SQLite has so few bytes of heap left, more by STEP each time
#
# A workload is a list of steps. @ stands for the table: r, the virtual one, and p, an ordinary one that is the
# expectation. q is an ordinary table beside either.
#   {both SQL}         a statement on both            {pair SQL-FOR-R SQL-FOR-P}   two that do the same
#   {read QUERY}       the same rows, if r gives any  {only SQL}                   of r alone, changes no content
#   {open} {close}     handle db, faults included     {create SQL}                 makes r
#   {hold QUERY} {let} a statement of handle `other` is begun, and ended
#
# What must hold, whatever fails:
#   - a statement fails with the code of its cause and a message, or has its whole effect;
#   - after a failure the contents are as before the statement, or as before the transaction if SQLite rolled it back;
#   - without the fault the connection then goes on; or a sync that failed has poisoned the store, which refuses writes
#     until all is closed: reopened, the commit in flight is there as a whole or not at all, and writes go on;
#   - seqdb_check finds nothing; after closing nothing of memory, descriptors and mappings is left.

namespace eval nth {
  variable workloads {}
  variable templates
  variable codes
  # Result codes that an errno may lead to: none where the call is not needed or made again.
  array set codes {
    ENOMEM {NOMEM} ENOSPC {FULL} EIO {IOERR IOERR_FSYNC CANTOPEN} EMFILE {CANTOPEN IOERR} EAGAIN {BUSY}
    EOPNOTSUPP {} none {}
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
  # Errors of later statements because an earlier one failed.
  variable consequence {no transaction is active|no such savepoint|no such region|past its length}
}

# SQL for n times the character c as a blob.
proc blob {n c} {return "CAST(printf('%.*c', $n, '$c') AS BLOB)"}

# What appending does, for the ordinary table.
proc append_p {name blob} {
  return "INSERT INTO p(name, content) VALUES('$name', $blob)
    ON CONFLICT(name) DO UPDATE SET content = CAST(content || excluded.content AS BLOB)"
}

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

# Folders to start from. `unclean` is what a killed process leaves: records in the journal, some not folded yet;
# `pread` is read without a mapping.
proc nth::make_templates {} {
  variable templates
  variable fixture
  variable dir
  variable library [seqdbtest_so]
  variable held {}
  package require sqlite3
  load_fixture
  set dir [temp_dir]
  connect db
  db enable_load_extension 1
  db eval {SELECT load_extension($::nth::library, 'sqlite3_sdbtestsql_init')}
  db enable_load_extension 0
  db eval {PRAGMA journal_mode = wal; CREATE TABLE q(x)}
  set templates(new) [temp_dir]/new
  file copy $dir $templates(new)
  db eval {CREATE VIRTUAL TABLE r USING seqdb('regions')}
  foreach sql [lrange $fixture 0 end-2] {db eval [string map {@ r} $sql]}
  db eval {INSERT INTO r(r) VALUES('checkpoint')}
  foreach sql [lrange $fixture end-1 end] {db eval [string map {@ r} $sql]}
  set last {SELECT seqdb_write('r', 'c', 0, CAST(printf('%.*c', 40, 'Z') AS BLOB))}
  db eval $last
  set templates(unclean) [temp_dir]/unclean
  file copy $dir $templates(unclean)
  db close
  set templates(clean) $dir
  set dir [temp_dir]
  connect db
  db eval {PRAGMA journal_mode = wal; CREATE TABLE q(x); CREATE VIRTUAL TABLE r USING seqdb('regions', mmap=0)}
  foreach sql $fixture {db eval [string map {@ r} $sql]}
  db eval $last
  db close
  set templates(pread) $dir
}

proc nth::restore {base} {
  variable templates
  variable dir
  variable root
  set dir $root/run
  file delete -force -- $dir
  file copy $templates($base) $dir
}

source $tests_dir/crash/nth_steps.tcl

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
      if {![string match IOERR* [code_of db]] && ![was_torn $message]} {
        return "the open transaction cannot be committed: $message"
      }
      if {![was_torn $message]} {
        set poisoned 1
        lappend doubts [plain_state]
      }
      if {![autocommit plain]} {plain eval ROLLBACK}
      if {![autocommit db]} {db eval ROLLBACK}
    } elseif {![autocommit plain]} {
      plain eval COMMIT
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
  set state [state_of db r]
  set found [expr {($state eq [plain_state] || $state in $doubts) &&
    [db eval {SELECT x FROM q ORDER BY x}] eq [plain eval {SELECT x FROM q ORDER BY x}]}]
  if {!$found} {
    set names [db eval {SELECT name || ' ' || length FROM r ORDER BY name}]
    return "reopened: [sql_same db {SELECT name, length, content FROM r ORDER BY name} plain \
      {SELECT name, length, CAST(content AS BLOB) FROM p ORDER BY name}]; it has $names"
  }
  set check [db onecolumn {SELECT seqdb_check('r')}]
  if {$check ne "ok"} {return "reopened: check: $check"}
  if {[catch {db eval {INSERT INTO r(name, append) VALUES('probe', x'01'); DELETE FROM r WHERE name = 'probe'}}\
      message]} {
    return "reopened: no write: $message"
  }
  if {$state ne [state_of db r]} {
    return "reopened: a write changed something else"
  }
  return {}
}

proc nth::leaks {} {
  set live [sdb_fault live]
  if {$live ne {memory 0 handles 0 maps 0}} {return "left after closing: $live"}
  return {}
}

# What `run` starts from; `options` are words for sdb_fault add, {} = no rule.
proc nth::begin {workload kinds nth options heap_bytes} {
  variable workloads
  variable rule {}
  variable rule_args {}
  variable hits_before 0
  variable seen_before 0
  variable refusals 0
  variable poisoned 0
  variable closed 0
  variable doubts {}
  variable held {}
  variable heap $heap_bytes
  variable errno ENOMEM
  set at [lsearch -exact $options -errno]
  if {$at >= 0} {set errno [lindex $options $at+1]} elseif {$options ne {}} {set errno none}
  lassign [dict get $workloads $workload] base steps
  variable created [expr {$base ne "new"}]
  restore $base
  plain_open $base
  if {[lindex $steps 0] ne "open"} {connect db}
  sdb_fault reset
  if {$options ne {}} {set rule_args [list $kinds $nth $options]}
  resume
  return $steps
}

proc nth::end_faults {} {
  variable rule
  variable rule_args
  variable heap 0
  pause
  set rule_args {}
  sdb_fault reset
}

# SQLite's own memory, too, is what it was when all connections are closed.
proc nth::sqlite_leaks {} {
  variable base_used
  set used [sql_memory used]
  set before [expr {[info exists base_used] ? $base_used : $used}]
  set base_used $used
  return [expr {$used == $before ? {} : "SQLite's memory grew by [expr {$used - $before}] bytes"}]
}

# Returns {how often the rule fired, how many calls it saw, problem}.
proc nth::run {workload kinds nth options {heap_bytes 0}} {
  variable trace
  variable seen_before
  if {$trace} {puts stderr "$workload: $kinds $nth $options $heap_bytes"}
  set problem {}
  set at 0
  foreach step [begin $workload $kinds $nth $options $heap_bytes] {
    incr at
    set problem [step $step]
    if {$problem ne {}} {
      set problem "step $at, [string range [lrange $step 0 1] 0 150]: $problem"
      break
    }
  }
  end_faults
  set hits [hits]
  set letting [step_let]
  foreach check {{set letting} afterwards close_all leaks reopened close_all leaks {plain close} sqlite_leaks} {
    set found [eval $check]
    if {$problem eq {}} {set problem $found}
  }
  return [list $hits $seen_before $problem]
}

# ---- loops ---------------------------------------------------------------------------------------------------

proc nth::problem_text {workload kinds nth options problem} {
  return "workload $workload, [join $kinds +] call $nth ($options): $problem"
}

# Fails call 1, 2, 3, ... of the kind in every workload until no fault fires, and prints how many there are; then the
# same with that call and all after it. Options: -errno NAME, -file GLOB, -points N (only so many of each workload,
# evenly spread from a random one on; 0 = all), -forever BOOL, -only WORKLOADS, -more OPTIONS of sdb_fault add.
proc nth::loop {kind args} {
  variable workloads
  set how [dict merge {-errno EIO -file * -points 0 -forever 1 -only {} -more {}} $args]
  set names [expr {[dict get $how -only] ne {} ? [dict get $how -only] : [dict keys $workloads]}]
  set words [list -errno [dict get $how -errno] -file [dict get $how -file] {*}[dict get $how -more]]
  set variants [list $words]
  if {[dict get $how -forever]} {lappend variants [concat $words -forever]}
  set points [dict get $how -points]
  set total 0
  set used 0
  set runs 0
  set most {0 none}
  set problems {}
  foreach name $names {
    set count [calls_of $name $kind $words]
    incr total $count
    incr used [expr {$count > 0}]
    if {$count == 0} continue
    if {$count > [lindex $most 0]} {set most [list $count $name]}
    set stride [expr {$points > 0 && $count > $points ? double($count) / $points : 1.0}]
    foreach options $variants {
      set position [expr {$stride > 1 ? rand() * $stride : 0}]
      set hits 1
      while {$hits > 0 && [llength $problems] < 10} {
        set nth [expr {int($position) + 1}]
        lassign [run $name $kind $nth $options] hits seen problem
        incr runs
        if {$problem ne {}} {lappend problems [problem_text $name $kind $nth $options $problem]}
        set position [expr {$position + $stride}]
      }
    }
  }
  set what "$kind [dict get $how -errno] [string map {* {}} [dict get $how -file]] [dict get $how -more]"
  puts [format {%-29s %5d calls in %2d workloads (at most %3d, in %s), %d runs} $what $total $used {*}$most $runs]
  return $problems
}

# Calls of the kind that a workload makes when nothing fails: a rule whose turn never comes counts them.
proc nth::calls_of {name kind words} {
  lassign [run $name $kind 1000000000 $words] hits seen problem
  if {$problem ne {}} {error "workload $name without a fault: $problem"}
  return $seen
}

# A rule that nobody may notice.
proc nth::smooth {kinds options} {
  variable workloads
  set problems {}
  set fired 0
  foreach name [dict keys $workloads] {
    lassign [run $name $kinds 1 $options] hits seen problem
    incr fired $hits
    if {$problem ne {}} {lappend problems [problem_text $name $kinds 1 $options $problem]}
  }
  if {$fired == 0} {lappend problems "the rule did not fire"}
  return $problems
}

# Each statement with a hard limit on SQLite's heap, larger by `step` bytes each time, until everything fits.
proc nth::heap {name step} {
  variable refusals 1
  set problems {}
  for {set bytes $step} {$refusals > 0 && [llength $problems] < 10} {incr bytes $step} {
    lassign [run $name malloc 1 {} $bytes] hits seen problem
    if {$problem ne {}} {lappend problems "workload $name, heap of $bytes bytes more: $problem"}
  }
  return [list $bytes $problems]
}
