# SPDX-License-Identifier: MIT
#
# one_commit_mirror.tcl: regions and an ordinary table of the same SQLite file, changed alike in the same transactions.
#
#   one_commit_mirror SEED STEPS -> "" or what differs, with the steps that led there
#
# host.db has r (regions) and p (ordinary), the attached two.db has s and q.  Whatever happens to a transaction, commit,
# rollback, a COMMIT that is BUSY and tried again, both sides say the same after each step, on each connection: a and b
# write, c reads and at times keeps a cursor open.  One workload at a time; everything is in namespace mirror.

namespace eval mirror {
  variable names {n0 n1 n2 n3 n4 n5 n6 n7}
  variable pairs {r p x.s x.q}
  variable schema {CREATE TABLE @(name TEXT NOT NULL UNIQUE, content BLOB NOT NULL DEFAULT x'')}
}

proc mirror::below {n} {return [expr {int(rand() * $n)}]}
proc mirror::chance {percent} {return [expr {rand() * 100 < $percent}]}
proc mirror::one_of {list} {return [lindex $list [below [llength $list]]]}
proc mirror::log {text} {
  lappend ::mirror::history $text
  set ::mirror::history [lrange $::mirror::history end-29 end]
}

# ---- connections ------------------------------------------------------------------------------------------------

proc mirror::open_one {name} {
  connect $name $::dir/host.db
  $name eval "ATTACH '$::dir/two.db' AS x; PRAGMA main.synchronous = $::mirror::synchronous;
    PRAGMA x.synchronous = [one_of {normal full extra}]"
}
proc mirror::open_all {} {
  set ::mirror::synchronous [one_of {normal full extra}]
  foreach name {a b c} {open_one $name}
}
proc mirror::in_transaction {} {return [expr {$::mirror::writer ne {}}]}
proc mirror::release_cursor {} {
  if {$::mirror::cursor eq {}} return
  sql_finalize $::mirror::cursor
  set ::mirror::cursor {}
  log "c's cursor is closed"
}
proc mirror::forget_transaction {} {
  set ::mirror::writer {}
  set ::mirror::marks {}
  set ::mirror::refused 0
}
proc mirror::close_and_open {} {
  release_cursor
  log "close and open[expr {[in_transaction] ? " in a transaction" : ""}]"
  foreach name [one_of {{a b c} {c b a} {b c a}}] {disconnect $name}
  forget_transaction
  open_all
  return {}
}

# ---- the comparison ---------------------------------------------------------------------------------------------

proc mirror::compare {name} {
  foreach {regions rows} $::mirror::pairs {
    set problem [sql_same $name "SELECT name, content, length FROM $regions ORDER BY name" \
      $name "SELECT name, content, length(content) FROM $rows ORDER BY name"]
    # A COMMIT that was refused keeps readers out until it is tried again.
    if {$problem ne {} && $::mirror::refused && $name ne $::mirror::writer && [lindex [sql_error $name] 0] == 5} {
      return {}
    }
    if {$problem ne {}} {return "$name: $regions and $rows: $problem"}
  }
  return {}
}
proc mirror::compare_all {} {
  foreach name {a b c} {
    if {$name eq "c" && $::mirror::cursor ne {}} continue ;# its rows are those of its snapshot
    set locks [expr {![in_transaction] && $name ne "c" && $::mirror::cursor eq {} && [chance 15]}]
    if {$locks} {$name eval {BEGIN IMMEDIATE}}
    set problem [compare $name]
    if {$locks} {$name eval COMMIT}
    if {$problem ne {}} {return $problem}
  }
  return {}
}

# ---- changes ----------------------------------------------------------------------------------------------------

proc mirror::content {} {
  set size [one_of {0 1 3 20 20 100 100 4096 5000 30000}]
  return "x'[string repeat [format %02x [below 256]] $size]'"
}
# {for the regions, for the rows}; @ is the table.
proc mirror::change {} {
  set name '[one_of $::mirror::names]'
  set other '[one_of $::mirror::names]'
  set content [content]
  set where [one_of [list "name = $name" "name = $name" "name IN ($name, $other)" "length(content) > 50"]]
  switch -- [below 10] {
    0 {set sql "INSERT INTO @(name, content) VALUES($name, $content)"}
    1 {set sql "INSERT INTO @(name, content) VALUES($name, $content), ($other, $content)"}
    2 {set sql "INSERT OR REPLACE INTO @(name, content) VALUES($name, $content), ($other, x'01')"}
    3 {set sql "INSERT OR IGNORE INTO @(name, content) VALUES($name, $content), ($other, $content)"}
    4 {set sql "UPDATE @ SET content = $content WHERE $where"}
    5 {set sql "UPDATE @ SET name = $other WHERE name = $name"}
    6 {set sql "DELETE FROM @ WHERE $where"}
    7 {set sql "UPDATE @ SET content = CAST(substr(content, 1, length(content) / 2) AS BLOB)
                WHERE length(content) > 1 AND $where"}
    default {
      set rows "INSERT INTO @(name, content) VALUES($name, $content) ON CONFLICT(name)
        DO UPDATE SET content = CAST(content || excluded.content AS BLOB)"
      set regions [one_of [list "INSERT INTO @(name, append) VALUES($name, $content)" \
        "SELECT seqdb_append('@', $name, $content)"]]
      return [list $regions $rows]
    }
  }
  return [list $sql $sql]
}
proc mirror::outcome_of {name sql} {
  if {![catch {$name eval $sql} message]} {return ok}
  set code [code_name [lindex [sql_error $name] 1]]
  return [expr {$code in {UNIQUE BUSY} ? $code : "$code: $message"}]
}
proc mirror::change_both {} {
  lassign [change] for_regions for_rows
  lassign [one_of {{r p} {x.s x.q}}] regions rows
  set got [outcome_of $::mirror::writer [string map [list @ $regions] $for_regions]]
  set want [outcome_of $::mirror::writer [string map [list @ $rows] $for_rows]]
  log "$::mirror::writer: [regsub -all {x'([0-9a-f]{2})[0-9a-f]*'} [string map [list @ $regions] \
    [regsub -all {\s+} $for_regions { }]] {x'\1..'} ] -> $got"
  return [expr {$got eq $want ? "" : "the outcome is '$got', an ordinary table's '$want'"}]
}

# ---- transactions -----------------------------------------------------------------------------------------------

proc mirror::begin {} {
  set ::mirror::writer [one_of {a b}]
  set how [one_of {BEGIN BEGIN {BEGIN IMMEDIATE}}]
  log "$::mirror::writer: $how"
  $::mirror::writer eval $how
  return [change_both]
}
proc mirror::savepoint {} {
  set marks $::mirror::marks
  set depth [llength $marks]
  if {$depth == 0 || [chance 40]} {
    set sql "SAVEPOINT m$depth"
    lappend marks m$depth
  } else {
    set at [below $depth]
    set back [chance 60]
    set sql "[expr {$back ? "ROLLBACK TO" : "RELEASE"}] m$at"
    set marks [lrange $marks 0 [expr {$back ? $at : $at - 1}]]
  }
  set ::mirror::marks $marks
  log "$::mirror::writer: $sql"
  $::mirror::writer eval $sql
  return {}
}
proc mirror::commit {} {
  set got [outcome_of $::mirror::writer COMMIT]
  log "$::mirror::writer: COMMIT -> $got"
  if {$got eq "ok"} {
    forget_transaction
    return {}
  }
  if {$got ne "BUSY" || $::mirror::cursor eq {}} {return "COMMIT gives '$got'"}
  if {[lindex [sql_error $::mirror::writer] 3]} {return "a COMMIT that is BUSY has ended the transaction"}
  incr ::mirror::busy
  set ::mirror::refused 1
  if {[chance 50]} release_cursor
  return {}
}
proc mirror::rollback {} {
  log "$::mirror::writer: ROLLBACK"
  $::mirror::writer eval ROLLBACK
  forget_transaction
  return {}
}
proc mirror::other_writer {} {
  set other [expr {$::mirror::writer eq "a" ? "b" : "a"}]
  # A deferred transaction without a change has no lock yet.
  set got [outcome_of $other "BEGIN; INSERT INTO r(name) VALUES('never'); INSERT INTO p(name) VALUES('never')"]
  catch {$other eval ROLLBACK}
  log "$other: tries to write -> $got"
  return [expr {$got in {ok BUSY} ? "" : "another writer gets '$got'"}]
}
proc mirror::cursor {} {
  if {$::mirror::cursor ne {}} {
    release_cursor
    return {}
  }
  if {$::mirror::refused} {return {}}
  set ::mirror::cursor [sql_prepare c {SELECT 1 UNION ALL SELECT count(*) FROM p UNION ALL SELECT count(*) FROM x.q}]
  foreach row {1 2 3} {sql_step $::mirror::cursor}
  log "c opens a cursor"
  return {}
}

# ---- upkeep, between transactions ---------------------------------------------------------------------------------

proc mirror::set_journal_mode {} {
  set mode [one_of {wal wal delete truncate persist}]
  set schema [one_of {main x}]
  foreach name {b c} {disconnect $name}
  set got [a onecolumn "PRAGMA $schema.journal_mode = $mode"]
  log "PRAGMA $schema.journal_mode = $mode"
  foreach name {b c} {open_one $name}
  return [expr {$got eq $mode ? "" : "journal_mode is $got, not $mode"}]
}
proc mirror::upkeep {} {
  release_cursor
  if {[chance 30]} {return [set_journal_mode]}
  set sql [one_of {VACUUM {VACUUM x} {PRAGMA wal_checkpoint(TRUNCATE)} {PRAGMA x.wal_checkpoint(PASSIVE)}
    {INSERT INTO r(r) VALUES('checkpoint')} {INSERT INTO s(s) VALUES('compact')} {SELECT seqdb_compact('r')}
    {SELECT seqdb_flush('s')}}]
  set name [one_of {a b}]
  set got [outcome_of $name $sql]
  log "$name: $sql -> $got"
  return [expr {$got eq "ok" ? "" : "'$sql' gives '$got'"}]
}
proc mirror::check {} {
  log seqdb_check
  foreach table {r x.s} {
    set got [a onecolumn {SELECT seqdb_check($table)}]
    if {$got ne "ok"} {return "seqdb_check: $got"}
  }
  return {}
}

# ---- the whole --------------------------------------------------------------------------------------------------

proc mirror::step {i} {
  if {[chance 1]} {return [close_and_open]}
  if {[chance 3]} {return [cursor]}
  if {$i % 100 == 0 && !$::mirror::refused} {return [check]}
  if {![in_transaction]} {return [expr {[chance 15] ? [upkeep] : [begin]}]}
  if {[chance 2]} {return [other_writer]}
  if {[chance 25]} {return [savepoint]}
  if {[chance [expr {$::mirror::refused ? 50 : 20}]]} {return [commit]}
  if {[chance 5]} {return [rollback]}
  return [change_both]
}

proc mirror::start {seed} {
  expr {srand($seed)}
  set ::mirror::history {}
  set ::mirror::cursor {}
  set ::mirror::busy 0
  forget_transaction
  stale
  set ::dir [temp_dir]
  open_all
  foreach schema {main x} {a eval "PRAGMA $schema.journal_mode = [one_of {wal delete}]"}
  a eval "CREATE VIRTUAL TABLE r USING seqdb('regions'); CREATE VIRTUAL TABLE x.s USING seqdb('regions2');
    [string map {@ p} $::mirror::schema]; [string map {@ x.q} $::mirror::schema]"
}

proc one_commit_mirror {seed steps} {
  mirror::start $seed
  set problem {}
  for {set i 1} {$i <= $steps && $problem eq {}} {incr i} {
    if {[catch {mirror::step $i} problem]} {
      set problem "unexpected error: $problem\n$::errorInfo"
    } elseif {$problem eq {}} {
      set problem [mirror::compare_all]
    }
  }
  if {$problem ne {}} {
    append problem "\nseed $seed, step [expr {$i - 1}]; steps before:\n  [join $::mirror::history "\n  "]"
    append problem "\nSEED=$seed STEPS=[expr {$i - 1}] tclsh tests/sql/one_commit_mirror.test"
  }
  mirror::release_cursor
  stale
  return $problem
}
