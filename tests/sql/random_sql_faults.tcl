# SPDX-License-Identifier: MIT
#
# random_sql_faults.tcl: random_sql.tcl's workload while system calls and allocations of the engine fail.
#
#   random_sql_faults SEED STEPS PROFILE OPTIONS -> "" or what is wrong
#
# Before some statements one call, a few calls ahead, is set to fail. A statement that fails for it must have no
# effect, or SQLite must have rolled the transaction back (IOERR, NOMEM, FULL); the ordinary table follows what
# happened. A commit that fails must leave the state before it; if the failure was that of a sync, the store is
# poisoned: writes fail until all connections are closed, and the reopened database shows the state before or after
# that commit, never a third. After each failure the whole contents are compared. Only seqdb_write and
# seqdb_truncate_write over what the same transaction changed may leave old and new bytes mixed: then no COMMIT takes
# them, and going back to before the call brings the old bytes again. Source random_sql.tcl before this file.

namespace eval rnd {
  # Statements that may keep a part of their work when they fail are left out.
  variable whole_kinds {
    insert insert_empty insert_zeros insert_select rename content rename_and_content length delete fail_half_way append
    append_select fn_append fn_write fn_truncate fn_truncate_write fn_reserve fn_in_insert trigger
  }
  variable failures 0
  variable poisonings 0
  variable torn_calls 0  ;# overwrites that failed in a transaction, and ...
  variable mixtures 0    ;# ... those of them that left old and new bytes mixed
  variable failure {}    ;# code of the last failure
  variable changing 0    ;# has this transaction run a statement before?
}

# Numbers of rows count: two states with the same contents may differ in them alone (69).
proc rnd::rows_differ {} {
  return [sql_same db {SELECT name, rowid, length, content FROM r ORDER BY name} plain\
      {SELECT name, id, length, content FROM p ORDER BY name}]
}

# Names the failure of the next calls: which kind, how far ahead, with what.
proc rnd::set_fault {} {
  set kinds [one_of {system system {pwrite ftruncate} malloc {fdatasync fsync} pread all}]
  set errno [one_of {EIO ENOSPC}]
  set nth [expr {1 + [below 8]}]
  sdb_fault reset
  # Memory comes back: that it stays away is tried in fact-9.5.
  if {[chance 30] && $kinds ni {malloc all}} {
    set ::rnd::rule [sdb_fault add $kinds $nth -errno $errno -forever]
  } else {
    set ::rnd::rule [sdb_fault add $kinds $nth -errno $errno]
  }
  return "$kinds call $nth fails with $errno"
}

# Every connection anew; the store with it.
proc rnd::reopen_poisoned {} {
  foreach name {plain_reader holder reader other db} {disconnect $name}
  foreach name {db other reader holder} {
    connect $name $::dir/host.db
    $name eval {PRAGMA synchronous = OFF; PRAGMA recursive_triggers = ON}
  }
  sqlite3 plain_reader $::dir/plain.db
  lappend ::handles plain_reader
}

# May db write?  It is asked by a change that is taken back.
proc rnd::writable {} {
  set got [run db "SAVEPOINT probe; INSERT INTO r(name) VALUES('probe'); ROLLBACK TO probe; RELEASE probe"]
  if {$got eq "ok"} {return 1}
  catch {db eval {ROLLBACK TO probe}}
  catch {db eval {RELEASE probe}}
  return 0
}

# One statement with a fault ahead; p follows.  `for_p` may be "".
proc rnd::faulty {for_r for_p expected} {
  set was_open [in_transaction]
  set fault [set_fault]
  set got [run db $for_r]
  set ::rnd::hit [sdb_fault hits $::rnd::rule]
  sdb_fault reset
  log "\[$fault\] [string range [regsub -all {\s+} $for_r { }] 0 150] -> [string range $got 0 120]"
  set word [lindex $got 0]
  if {![regexp {^(IOERR|FULL|NOMEM|READONLY|CANTOPEN|ERROR|refused|BUSY|CORRUPT)} $word] || $word eq $expected} {
    # Not hit, or hit where it does not matter: the usual outcome is due.
    return usual
  }
  if {$word in {CORRUPT BUSY}} {return "a failing call is told as $got"}
  incr ::rnd::failures
  set ::rnd::failure $word
  if {![in_transaction]} {
    if {$was_open} {
      run plain ROLLBACK
      log "the transaction is rolled back"
    }
    set ::rnd::marks {}
  } elseif {!$was_open} {
    return "a statement that failed left a transaction open"
  }
  return failed
}

# After a failure: contents as before, or, when the store was poisoned in a commit, as after it. `redo` is what p
# would run had the commit counted.
proc rnd::after_failure {redo} {
  set problem [rows_differ]
  if {$problem ne {}} {return "after the failure: $problem"}
  if {[writable]} {return [agree]}
  incr ::rnd::poisonings
  if {[in_transaction]} {
    run db ROLLBACK
    run plain ROLLBACK
    set redo {}
  }
  set problem [rows_differ]
  if {$problem ne {}} {return "while poisoned: $problem"}
  reopen_poisoned
  if {[rows_differ] ne {} && $redo ne {}} {
    log "the commit that failed counts after reopening"
    foreach sql $redo {run plain $sql}
    # The host's rows of that transaction are gone all the same (as with atomic=0): q follows the host.
    plain eval {DELETE FROM q}
    plain eval {DROP TRIGGER tr}
    db eval {SELECT x, n FROM q} {plain eval {INSERT INTO q VALUES($x, $n)}}
    plain eval $::rnd::plain_trigger
  }
  set problem [agree]
  if {$problem ne {}} {return "neither state of the failed commit: $problem"}
  if {![writable]} {return "the reopened database refuses writes: [outcome {INSERT INTO r(name) VALUES('probe')}]"}
  return [agree]
}

# May the statement that just failed have left mixed bytes?
proc rnd::may_have_torn {kind expected} {
  return [expr {$kind in {fn_write fn_truncate_write} && $expected ne "refused" && $::rnd::changing
    && $::rnd::failure in {FULL IOERR NOMEM} && [in_transaction]}]
}

# Region NAME shows old and new bytes mixed, all others are as before: a COMMIT must be refused, going back to a
# savepoint before the call must help.
proc rnd::after_mixture {name} {
  incr ::rnd::mixtures
  set problem [sql_same db "SELECT name, length, content FROM r WHERE name <> '$name' ORDER BY name" \
    plain "SELECT name, length, content FROM p WHERE name <> '$name' ORDER BY name"]
  if {$problem ne {}} {return "after the failure, beside the region that it hit: $problem"}
  if {$::rnd::torn > 0 && [chance 50]} {
    set i [below $::rnd::torn]
    set ::rnd::marks [lrange $::rnd::marks 0 $i]
    set ::rnd::torn {}
    return [both "ROLLBACK TO m$i"]
  }
  set got [run db COMMIT]
  log "COMMIT of mixed bytes -> $got"
  if {![refused_as_torn $got]} {return "COMMIT of mixed bytes gives '$got'"}
  if {[in_transaction]} {run db ROLLBACK}
  run plain ROLLBACK
  return [agree]
}

proc rnd::faulty_statement {} {
  set ::rnd::blobs 0
  set kind [one_of $::rnd::whole_kinds]
  lassign [st_$kind] for_r for_p expected
  set was_open [in_transaction]
  set how [faulty $for_r $for_p [expr {$expected eq {} ? "refused" : [string map {unique/none unique} $expected]}]]
  switch -- $how {
    usual {
      set plain [run plain $for_p]
      if {$expected eq "unique/none" || $expected eq "refused"} {set plain {}}
      if {$plain ni {ok unique refused {}} && ![string match ok:* $plain]} {return "an ordinary table: $plain"}
      set problem [agree]
      # What a statement does beside its own work, a checkpoint at its beginning, may be what failed.
      if {$problem ne {} || !$::rnd::hit || [writable]} {return $problem}
      if {[in_transaction]} {run db ROLLBACK}
      catch {plain eval ROLLBACK}
      set ::rnd::marks {}
      return [after_failure {}]
    }
    failed {
      if {[may_have_torn $kind $expected]} {
        incr ::rnd::torn_calls
        set depth [llength $::rnd::marks]
        set ::rnd::torn [expr {$::rnd::torn eq {} ? $depth : min($::rnd::torn, $depth)}]
        if {[rows_differ] ne {}} {
          regexp {'r', '(\w+)'} $for_r -> name
          return [after_mixture $name]
        }
      }
      return [after_failure [expr {$was_open ? {} : [list $for_p]}]]
    }
  }
  return $how
}

# COMMIT with a fault ahead: p's transaction is still open and may follow either way.
proc rnd::faulty_commit {} {
  if {![in_transaction]} {return [both BEGIN]}
  set fault [set_fault]
  set got [run db COMMIT]
  sdb_fault reset
  log "\[$fault\] COMMIT -> [string range $got 0 120]"
  if {$got eq "ok"} {
    run plain COMMIT
    set ::rnd::marks {}
    return [agree]
  }
  incr ::rnd::failures
  if {[refused_as_torn $got] && $::rnd::torn eq {}} {return "no overwrite failed, but COMMIT gives '$got'"}
  if {[in_transaction]} {run db ROLLBACK}
  set ::rnd::marks {}
  # Keep what p would have committed aside, should the commit count after all.
  set rows [plain eval {SELECT id, name, content FROM p}]
  plain eval ROLLBACK
  set redo [list {DELETE FROM p}]
  set i 0
  foreach {id name content} $rows {
    set ::rnd_k$i $content
    lappend redo "INSERT INTO p(id, name, content) VALUES($id, '$name', @::rnd_k$i)"
    incr i
  }
  return [after_failure $redo]
}

proc rnd::changing {statement} {
  set problem [$statement]
  set ::rnd::changing 1
  return $problem
}

proc random_sql_faults {seed steps profile {options {}}} {
  rnd::start $seed $profile $options
  set ::rnd::failures 0
  set ::rnd::poisonings 0
  set ::rnd::torn_calls 0
  set ::rnd::mixtures 0
  set problem {}
  for {set i 1} {$i <= $steps && $problem eq {}} {incr i} {
    set code [catch {
      if {![rnd::in_transaction]} {set ::rnd::changing 0}
      if {[rnd::chance 12]} {
        rnd::transaction_step
      } elseif {[rnd::chance 8]} {
        rnd::faulty_commit
      } elseif {[rnd::chance 50]} {
        rnd::changing rnd::faulty_statement
      } elseif {[rnd::chance 3]} {
        rnd::check
      } else {
        rnd::changing rnd::statement
      }
    } problem]
    if {$code} {set problem "unexpected error: $problem\n$::errorInfo"}
  }
  catch {sdb_fault reset}
  if {$problem eq {} && [catch {rnd::finish} problem]} {set problem "unexpected error at the end: $problem"}
  if {$problem ne {}} {
    set problem "seed $seed, profile $profile, step [expr {$i - 1}]: $problem\nstatements\
        before:\n  [join $::rnd::history "\n  "]"
  } elseif {$::rnd::failures < $steps / 50} {
    set problem "only $::rnd::failures of $steps statements met a failure: the faults miss"
  }
  stale
  return $problem
}
