# SPDX-License-Identifier: MIT
#
# nth_steps.tcl: one step of a workload of nth_failure.tcl, which sources this: done to regions and to an ordinary
# table, and judged.

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
  variable hits_before
  variable seen_before
  if {$rule eq {}} return
  lassign $rule_args kinds nth options
  incr hits_before [sdb_fault hits $rule]
  set seen [sdb_fault seen $rule]
  incr seen_before $seen
  sdb_fault remove $rule
  set rule {}
  set over [expr {$seen >= $nth && "-forever" ni $options}]
  set rule_args [expr {$over ? {} : [list $kinds [expr {max($nth - $seen, 1)}] $options]}]
}
proc nth::resume {} {
  variable rule
  variable rule_args
  if {$rule_args eq {}} return
  lassign $rule_args kinds nth options
  set rule [sdb_fault add $kinds $nth {*}$options]
}
proc nth::hits {} {
  variable rule
  variable hits_before
  return [expr {$hits_before + ($rule eq {} ? 0 : [sdb_fault hits $rule])}]
}

# A script of the extension's side, with so much of SQLite's heap free as `heap` says.
proc nth::limited {script} {
  variable heap
  if {$heap} {sql_memory limit [expr {[sql_memory used] + $heap}]}
  set code [catch {uplevel #0 $script} result]
  if {$heap} {sql_memory limit 0}
  return -code $code $result
}

proc nth::plain_run {sql} {
  set code [catch {plain eval $sql} result]
  return [list [expr {$code ? [code_name [lindex [sql_error plain] 0]] : "ok"}] $result]
}

proc nth::has_table {} {
  return [db onecolumn {SELECT count(*) FROM sqlite_schema WHERE name = 'r'}]
}

proc nth::differs {} {
  variable reads_both
  if {![has_table]} {return {}}
  set problem [sql_same db [string map {@ r} $reads_both] plain [string map {@ p} $reads_both]]
  if {$problem ne {} && ![settle]} {return $problem}
  # The rows of q follow SQLite alone.
  return [sql_same db {SELECT x FROM q ORDER BY x} plain {SELECT x FROM q ORDER BY x}]
}

proc nth::state_of {db table} {return [$db eval "SELECT name, hex(content) FROM $table ORDER BY name"]}
proc nth::plain_state {} {return [state_of plain p]}

# The commit in flight turned out to count: the ordinary tables follow. 1: so it is.
proc nth::settle {} {
  variable doubts
  variable closed
  if {!$closed || $doubts eq {}} {return 0}
  set state [state_of db r]
  if {$state ni $doubts} {return 0}
  plain eval {DELETE FROM p}
  foreach {name hex} $state {
    set content [binary decode hex $hex]
    plain eval {INSERT INTO p(name, content) VALUES($name, @content)}
  }
  set doubts {}
  return 1
}

# What the ordinary table would hold had the failed commit counted.
proc nth::note_doubt {sql was_open} {
  variable doubts
  if {$was_open} {
    if {[regexp -nocase {^(COMMIT|RELEASE)} $sql]} {lappend doubts [plain_state]}
    return
  }
  plain eval BEGIN
  catch {plain eval $sql} ;# OR FAIL keeps what came before the conflict
  lappend doubts [plain_state]
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
  if {$fired && $word ni $allowed} {
    # It may have failed as it would have anyway, only with fewer words.
    if {$for_p ne {}} {lassign [plain_run $for_p] plain_word text}
    return [expr {$for_p ne {} && $plain_word eq $word ? {} : "fails with $word: $message"}]
  }
  set was_open [expr {![autocommit plain]}]
  set is_open [expr {![autocommit db]}]
  if {$is_open && !$was_open} {return "a failing statement leaves a transaction open: $message"}
  if {$for_p ne {}} {note_doubt $for_p $was_open}
  if {$was_open && !$is_open} {plain eval ROLLBACK}
  if {$was_open && $is_open && [regexp -nocase {^RELEASE (\w+)} $sql -> name]} {
    # The outermost one: SQLite has rolled everything back and stays inside the savepoint.
    plain eval "ROLLBACK; SAVEPOINT $name"
  }
  pause
  set problem [differs]
  if {$problem ne {} && $is_open && [regexp {seqdb_(truncate_)?write} $sql]} {set problem [cannot_commit $problem]}
  resume
  if {$problem ne {}} {return "after $word ($message): $problem"}
  return {}
}

# An overwrite that fails may leave bytes of its own transaction mixed. Then only rolling back is possible.
proc nth::cannot_commit {problem} {
  if {![catch {db eval COMMIT} message]} {return "committed although $problem"}
  if {![was_torn $message] || ![autocommit db]} {return "$problem, and then COMMIT fails with $message"}
  plain eval ROLLBACK
  return [differs]
}
proc nth::was_torn {message} {return [string match "*overwrite failed half way*" $message]}

# Did a fault meet the statement that just ended? The heap's limit is known by what it does.
proc nth::was_hit {hits_before failed} {
  variable heap
  variable refusals
  set refused [expr {$heap && $failed && [code_of db] eq "NOMEM"}]
  incr refusals $refused
  return [expr {[hits] > $hits_before || $refused}]
}

# A statement that changes r (for_p says how p changes; {} not at all).
proc nth::step_change {for_r for_p} {
  variable poisoned
  set before [hits]
  set failed [catch {limited [list db eval $for_r]} result]
  set fired [was_hit $before $failed]
  if {!$failed} {
    if {[string match "*seqdb_check*" $for_r] && $result ne "ok"} {return "check: $result"}
    if {$for_p eq {}} return
    set before [expr {$::nth::doubts eq {} ? {} : [plain_state]}]
    lassign [plain_run $for_p] word text
    # A commit that changed something: the one that failed before it did not count.
    if {$::nth::doubts ne {} && [autocommit db] && $before ne [plain_state]} {set ::nth::doubts {}}
    if {$word ne "ok"} {return "accepted, an ordinary table says $word: $text"}
    return
  }
  if {$fired || [was_torn $result] && [hits] > 0 || ($poisoned || [code_of db] eq "IOERR_FSYNC") && [hits] > 0} {
    return [judge_failure $for_r $for_p $result $fired]
  }
  if {$for_p eq {}} {return "fails without a fault: $result"}
  set word [code_of db]
  if {$word eq "ERROR" && [hits] + $::nth::refusals > 0 && [regexp $::nth::consequence $result]} {
    return [expr {[autocommit db] == [autocommit plain] ? {} : "another transaction state after $result"}]
  }
  lassign [plain_run $for_p] plain_word text
  if {$word ne "CONSTRAINT"} {return "fails with $word: $result"}
  if {$word ne $plain_word} {return "fails without a fault: $word: $result; an ordinary table: $plain_word: $text"}
  if {[autocommit db] != [autocommit plain]} {return "another transaction state than an ordinary table's after $word"}
  return
}

proc nth::step_read {query} {
  set before [hits]
  if {[catch {limited [list db eval [string map {@ r} $query]]} rows]} {
    if {[was_hit $before 1]} {return [judge_failure $query {} $rows 1]}
    return "fails without a fault: [code_of db] $rows"
  }
  lassign [plain_run [string map {@ p} $query]] word expected
  if {$rows ne $expected} {
    pause
    if {[settle]} {lassign [plain_run [string map {@ p} $query]] word expected}
    resume
  }
  if {$rows ne $expected} {return "reads [string range $rows 0 200] and not [string range $expected 0 200]"}
  return
}

# Loading and connecting; the tables are opened by the statements that follow.
proc nth::step_open {} {
  variable heap
  set before [hits]
  if {[catch {limited {nth::connect db}} message]} {
    if {!($heap && $message eq "out of memory") && ![was_hit $before 1]} {return "no connection: $message"}
    pause
    if {[connected db]} {db close}
    connect db
    resume
  }
  return
}

# The value of the second column must be the same bytes for as long as the statement stands.
proc nth::step_hold {query} {
  variable held
  variable held_value
  pause
  if {![connected other]} {connect other}
  resume
  if {[catch {sql_prepare other $query} statement]} return
  if {[sql_step $statement] ne "row"} {
    sql_finalize $statement
    return
  }
  set held $statement
  set held_value [binary encode hex [sql_column $held 1]]
  return
}
proc nth::step_let {} {
  variable held
  variable held_value
  if {$held eq {}} return
  set same [expr {[binary encode hex [sql_column $held 1]] eq $held_value}]
  sql_finalize $held
  set held {}
  return [expr {$same ? {} : "a value being read has changed"}]
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
      set ::nth::closed 1
      if {![autocommit plain]} {plain eval ROLLBACK}
      return {}
    }
    create {
      set problem [step_change $sql {}]
      pause
      set created [has_table]
      resume
      return $problem
    }
  }
  error "no such step: $step"
}
