# SPDX-License-Identifier: MIT
#
# differential_change.tcl: INSERT, UPDATE and DELETE on a seqdb table r and on an ordinary table p with the same rules.
#
#   diff::changes SEED STATEMENTS -> what differs, as text, or {}
#
# A *case* is a world's rows, perhaps BEGIN, and one to four statements; @ stands for the table.  After each statement r
# and p must agree in outcome (ok, constraint, other error), transaction state, changes(), the name of the last row
# inserted and all names and contents.  Rowids and offsets are not compared.  Where they differ the case runs on p again
# and again with its rows and the helpers' in other orders and with other indexes: if r did what one of these runs did,
# the order of rows made the difference, and SQL leaves that open.  Else it is a finding, made small statement by
# statement and word by word.  Connections: dc has r, pc has p.
#
# p keeps r's rules with triggers: length follows content and content length, append appends, and what r refuses as no
# value for a column fails with an error that is no constraint.  Names are unique by an index on an expression, which no
# look-up uses: p is scanned in the order of its rowids, which are r's, as r is.

namespace eval diff {
  variable p_schema {
    CREATE TABLE p(name TEXT NOT NULL, offset, length INTEGER, content BLOB, reserved, append BLOB);
    CREATE UNIQUE INDEX p_unique ON p(name || '');
    CREATE TRIGGER p_refuse_insert BEFORE INSERT ON p
      WHEN typeof(new.name) <> 'text' OR new.name = '' OR coalesce(typeof(new.length), '') NOT IN ('integer', 'null')
        OR new.length < 0 OR typeof(new.content) NOT IN ('blob', 'null') OR typeof(new.append) NOT IN ('blob', 'null')
      BEGIN SELECT refuse(); END;
    CREATE TRIGGER p_append BEFORE INSERT ON p
      WHEN new.append IS NOT NULL AND EXISTS (SELECT 1 FROM p WHERE name = new.name) BEGIN
        UPDATE p SET content = resized(content, new.append, -1) WHERE name = new.name;
        SELECT raise(IGNORE);
      END;
    CREATE TRIGGER p_insert AFTER INSERT ON p BEGIN
      UPDATE p SET content = coalesce(new.content, new.append, zeroblob(new.length), x''), append = NULL
        WHERE rowid = new.rowid;
      UPDATE p SET length = length(content) WHERE rowid = new.rowid;
    END;
    CREATE TRIGGER p_refuse_update BEFORE UPDATE ON p
      WHEN typeof(new.name) <> 'text' OR new.name = '' OR (new.length IS NOT old.length AND
        (typeof(new.length) <> 'integer' OR new.length < 0)) OR typeof(new.content) <> 'blob'
      BEGIN SELECT refuse(); END;
    CREATE TRIGGER p_content AFTER UPDATE OF content ON p WHEN new.length IS NOT length(new.content) BEGIN
      UPDATE p SET length = length(new.content) WHERE rowid = new.rowid;
    END;
    CREATE TRIGGER p_length AFTER UPDATE OF length ON p WHEN new.length IS NOT length(new.content) BEGIN
      UPDATE p SET content = resized(new.content, x'', new.length) WHERE rowid = new.rowid;
    END;
  }
}

# ---- the grammar ----------------------------------------------------------------------------------------------
# A statement is {sql what}: what of changes() and the last rowid is compared: {}, changes, or insert for both.

proc diff::or_clause {} {one_of {{} {} {} {OR ABORT} {OR IGNORE} {OR REPLACE} {OR FAIL} {OR ROLLBACK}}}

proc diff::name_value {} {
  set column [clean_text [column]]
  one_of [list [name_literal] [name_literal] "$column || 'x'" $column $column "upper($column)" \
    "CASE $column WHEN [literal_for name] THEN [name_literal] ELSE $column || '' END" "nullif($column || '', '5')" \
    "'n' || (length($column) % 3)" "substr($column, 1, 1) || ''"]
}
proc diff::name_literal {} {one_of [concat $::diff::texts $::diff::names $::diff::names $::diff::names]}
# Text that can be a name: valid UTF-8, no control characters, and not long.
proc diff::clean_text {column} {
  lassign $column text affinity kind
  if {$kind eq "name" && $affinity eq "text"} {return $text}
  if {[string match *.t $text]} {return "iif(typeof($text) = 'text', $text, 'n')"}
  return "substr(hex($text), 1, 20)"
}
# The names alone that r takes as they are: TEXT.
proc diff::name_text {} {return "CAST([name_value] AS TEXT)"}
proc diff::content_value {} {
  set column [lindex [column] 0]
  one_of [list x'' x'35' x'6162' zeroblob([below 20]) "CAST($column AS BLOB)" "CAST($column || x'2b' AS BLOB)" \
    "CAST(substr($column, 2) AS BLOB)" NULL]
}
proc diff::length_value {} {
  set values [list [below 30] [below 30] "[below 9] + length([lindex [column] 0])" NULL -1 5000]
  if {![is_open 33]} {lappend values 8.0 '8' 2.5 'two' x'35' 1e30 "CAST([below 9] AS REAL)"}
  one_of $values
}

proc diff::statement {} {
  variable columns {}
  variable keys {}
  variable aliases 0
  switch -- [below 12] {
    0 - 1 {return [insert_values]}
    2 - 3 {return [insert_select]}
    4 - 5 - 6 - 7 {return [update_rows]}
    8 - 9 {return [update_from]}
    10 - 11 {
      set alias [alias]
      add_region_columns $alias
      return [list "DELETE FROM @ AS $alias[where [below 3] 95]" changes]
    }
  }
}

# {columns values what} of an INSERT.
proc diff::insert_shape {} {
  set shapes {
    {{name, content} {[name_text], [content_value]} insert} {{name, content} {[name_text], [content_value]} insert}
    {{name, length} {[name_text], [length_value]} insert} {name {[name_text]} insert}
    {{name, append} {[name_text], [content_value]} {}}
  }
  if {![is_open 34]} {
    lappend shapes {{name, offset, content, reserved} {[name_text], 8192, [content_value], 4096} insert}
  }
  return [one_of $shapes]
}
proc diff::insert_values {} {
  # Nothing to name in VALUES but literals.
  set ::diff::columns {{'a' text name}}
  lassign [insert_shape] columns values what
  set rows {}
  for {set i [below 4]} {$i >= 0} {incr i -1} {
    set ::diff::columns [list [list [one_of [concat $::diff::texts $::diff::names]] text name]]
    lappend rows ([subst -novariables $values])
  }
  set verb [one_of [list "INSERT [or_clause]" "INSERT [or_clause]" REPLACE]]
  return [list "$verb INTO @($columns) VALUES [join $rows {, }]" $what]
}
proc diff::insert_select {} {
  set from [from [below 2]]
  set where [where [below 2] 60]
  lassign [insert_shape] columns values what
  if {![is_open 34] && [chance 15]} {
    return [list "INSERT [or_clause] INTO @(name, offset, length, content, reserved)
      SELECT name || 'c', offset, length, content, reserved FROM @ ORDER BY name" insert]
  }
  # Where the order decides, it is given: what is appended, and which of a join's rows comes first.
  set order [expr {$columns eq "name" ? " ORDER BY 1" : " ORDER BY 1, 2"}]
  if {$what ne {} && ![regexp {JOIN|, } $from]} {set order [one_of {{} { ORDER BY 1} { ORDER BY 1 DESC}}]}
  return [list "INSERT [or_clause] INTO @($columns) SELECT [subst -novariables $values] FROM $from$where$order" $what]
}

proc diff::assignments {} {
  switch -- [below 8] {
    0 - 1 {return "name = [name_text]"}
    2 - 3 {return "content = [content_value]"}
    4 {return "length = [length_value]"}
    5 {return "(name, content) = ([name_text], [content_value])"}
    6 {return "name = [name_text], length = [length_value]"}
    7 {return "content = [content_value], name = [name_text]"}
  }
}
proc diff::update_rows {} {
  set alias [alias]
  add_region_columns $alias
  set clause [or_clause]
  # A row that another one replaced before its turn is a change for SQLite where a table is virtual (own_ways 3).
  set what [expr {$clause eq "OR REPLACE" ? "" : "changes"}]
  return [list "UPDATE $clause @ AS $alias SET [assignments][where [below 3] 80]" $what]
}
# What a row is set to by more than one match is open, and while virtual tables are changed once for each match
# (own_ways 2), so is whether a name is taken: then each row has one match at most.
proc diff::update_from {} {
  variable columns
  set alias [alias]
  set many 0
  if {[is_open 29] || [chance 40]} {
    lassign [single_source] from on
  } else {
    set from [source_of_rows [below 2]]
    set on [one_of $columns]
    set many 1
  }
  set other $columns
  add_region_columns $alias
  set where [equal [list $alias.name text name] = $on]
  if {[chance 40]} {append where " AND [condition 1]"}
  if {$many} {
    # All matches of a row give it one value, or there is one row.
    if {[chance 60]} {
      set columns [lrange $columns [llength $other] end]
    } else {
      append where " AND $alias.name = [name_literal]"
    }
    set set [one_of [list "content = [content_value]" "length = [length_value]"]]
  } else {
    set set [assignments]
  }
  return [list "UPDATE [or_clause] @ AS $alias SET $set FROM $from WHERE $where" from]
}
proc diff::single_source {} {
  set alias [alias]
  if {[chance 50]} {
    add_region_columns $alias
    return [list "@ $alias" [list $alias.name text name]]
  }
  lappend ::diff::columns [list $alias.c0 text {}] [list $alias.c1 none {}]
  return [list "(SELECT t AS c0, max(i) AS c1 FROM [one_of {h g}] GROUP BY t) $alias" [list $alias.c0 text {}]]
}

proc diff::random_case {} {
  set case [dict create begin [chance 55] statements {}]
  for {set i [one_of {1 1 1 2 2 3 4}]} {$i > 0} {incr i -1} {
    dict lappend case statements [statement]
    if {[dict get $case begin] && [chance 15]} {
      set savepoint [one_of {{SAVEPOINT a} {SAVEPOINT b} {ROLLBACK TO a} {RELEASE a} {ROLLBACK TO b}}]
      dict lappend case statements [list $savepoint {}]
    }
  }
  return $case
}

# ---- running a case -------------------------------------------------------------------------------------------

proc diff::open_change_world {spec} {
  variable p_schema
  close_change_world
  set ::diff::spec $spec
  set ::diff::names [lmap row [dict get $spec rows] {lindex $row 0}]
  set ::diff::dir [temp_dir]
  open_db dc [file join $::diff::dir host.db] -plain
  sqlite3 pc :memory:
  pc function refuse {apply {args {error refused}}}
  pc function place {expr {int(rand() * 1e15)}}
  # Not || and substr(): in a database of UTF-16 they take the bytes for text.
  pc function resized -returntype blob {diff::resized}
  set ::diff::dirty 1
  set ::diff::version [dc onecolumn {SELECT sqlite_version()}]
  foreach db {dc pc} {
    $db eval "PRAGMA encoding = '[dict get $spec encoding]'; PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;"
    foreach sql [helper_script $spec] {$db eval $sql}
    $db progress $::diff::steps_max {expr 1}
  }
  dc eval "CREATE VIRTUAL TABLE r USING seqdb('regions', sync=off, mmap=[dict get $spec mmap])"
  pc eval $p_schema
}
proc diff::resized {content more length} {
  append content $more
  if {$length < 0} {return $content}
  append content [string repeat \0 [expr {max(0, $length - [string length $content])}]]
  return [string range $content 0 [expr {$length - 1}]]
}
proc diff::close_change_world {} {
  catch {dc close}
  catch {pc close}
  if {[info exists ::diff::dir]} {file delete -force -- $::diff::dir}
}

# Both tables as at the case's start.  p's rows come in the order of r's, or in a random one.
proc diff::reset_r {} {
  dc eval {BEGIN; DELETE FROM r}
  foreach row [dict get $::diff::spec rows] {
    lassign $row name content
    dc eval "INSERT INTO r(name, content) VALUES($name, CAST($content AS BLOB))"
  }
  dc eval COMMIT
}
proc diff::reset_p {{shuffled 0}} {
  pc eval {BEGIN; DELETE FROM p}
  if {$shuffled} {
    foreach row [shuffle [dict get $::diff::spec rows]] {
      lassign $row name content
      pc eval "INSERT INTO p(name, content) VALUES($name, CAST($content AS BLOB))"
    }
  } else {
    dc eval {SELECT rowid AS id, name, content FROM r} {
      pc eval {INSERT INTO p(rowid, name, content) VALUES($id, $name, @content)}
    }
  }
  pc eval COMMIT
}
proc diff::shuffle {list} {
  return [lmap pair [lsort -real -index 0 [lmap item $list {list [expr {rand()}] $item}]] {lindex $pair 1}]
}

# What a case does on one table, statement by statement.
proc diff::trace_of {db table case {shuffled 0}} {
  set trace {}
  variable messages {}
  variable places
  if {$table eq "r"} {set places {}}
  if {[dict get $case begin]} {$db eval BEGIN}
  foreach statement [dict get $case statements] {
    lassign $statement sql what
    if {$shuffled} {$db eval "UPDATE $table SET rowid = place()"}
    if {[catch {$db eval [string map [list @ $table] $sql]} result]} {
      set code [expr {[$db errorcode] & 0xff}]
      lappend messages $result
      if {"from" in $what} {
        # Its first rows may stay (own_ways 1): nothing more can be said.
        lappend trace [list [expr {$code == 9 ? "interrupted" : "failed"}] [expr {$code == 19}]]
        break
      }
      set outcome [expr {$code == 19 ? "constraint" : $code == 9 ? "interrupted" : "error"}]
      lappend trace [list $outcome [in_transaction $db]]
    } else {
      set step ok
      lappend messages {}
      if {$what in {changes insert}} {lappend step [$db changes]}
      # Which row of several comes last is the order of the rows read, which no ORDER BY names.
      if {$what eq "insert" && [$db changes] > 0 && ([$db changes] == 1 || ![regexp {\ySELECT\y} $sql])} {
        lappend step [$db onecolumn "SELECT name FROM $table WHERE rowid = last_insert_rowid()"]
      }
      lappend trace $step
    }
    lappend trace [$db eval "SELECT name, length, hex(content) FROM $table ORDER BY name"]
    set places_now [$db eval "SELECT name, rowid FROM $table ORDER BY name"]
    if {$table eq "r"} {
      lappend places $places_now
    } elseif {!$shuffled} {
      renumber $places_now [lindex $places [expr {[llength $trace] / 2 - 1}]]
    }
  }
  if {[in_transaction $db]} {$db eval ROLLBACK}
  return $trace
}
# Give p's rows the rowids that r's have; both as {name rowid ...}.  Rows of other names are a difference already.
proc diff::renumber {of_p as_r} {
  if {$of_p eq $as_r || [dict keys $of_p] ne [dict keys $as_r]} return
  pc eval {UPDATE p SET rowid = -1 - rowid}
  foreach {name rowid} $as_r {pc eval {UPDATE p SET rowid = $rowid WHERE name = $name}}
}
proc diff::in_transaction {db} {
  if {[catch {$db eval BEGIN}]} {return 1}
  $db eval ROLLBACK
  return 0
}

# {} or the place where r differs from every run of p.
proc diff::judge_case {case {wanted_kind {}}} {
  if {$::diff::dirty} {
    reset_r
    reset_p
  }
  set ::diff::dirty [expr {![dict get $case begin] || [string match {*OR ROLLBACK*} $case]}]
  set r [trace_of dc r $case]
  foreach {outcome rows} $r {if {[lindex $outcome 0] ne "ok"} {incr ::diff::counts(refused)}}
  set messages $::diff::messages
  set p [trace_of pc p $case]
  # An INSERT that is interrupted ends the transaction: what follows it stays.
  if {[string match *interrupted* "$r $p"]} {
    set ::diff::dirty 1
    return {}
  }
  if {$r eq $p} {return {}}
  if {[is_ambiguous [dict get $case statements]]} {return indeterminate}
  set at 0
  while {[lindex $r $at] eq [lindex $p $at]} {incr at}
  set message [lindex $messages [expr {$at / 2}]]
  # What kind of difference it is stays the same while a case is made small.
  set ::diff::kind [list [lindex $r $at 0] [lindex $p $at 0] [expr {$at % 2}] [regsub -all {'[^']*'|[0-9]+} $message ?]]
  if {$wanted_kind ne {} && $wanted_kind ne $::diff::kind} {return {}}
  foreach runs [expr {$wanted_kind eq {} ? {8 60 300} : {8 60}}] {
    set agree 1
    for {set i 0} {$i < $runs} {incr i} {
      set again [other_run $case]
      if {$again eq $r} {
        return indeterminate
      }
      if {$again ne $p} {set agree 0}
    }
    if {$agree} break
  }
  return "-- r: [string range [lrange $r $at $at+1] 0 200] $message\n-- p: [string range [lrange $p $at $at+1] 0 200]"
}
# The case on p, its rows and those of the helpers in another order, another index there, or both.
proc diff::other_run {case} {
  foreach table {h g k m} {
    if {![regexp "\\y$table\\y" [dict get $case statements]]} continue
    set rows [shuffle [pc eval "SELECT rowid FROM $table"]]
    set columns [dict get {h {i, f, t, b, n, x, c} g {i, f, t, b, n, x, c} k {name, length} m {name, length}} $table]
    pc eval "CREATE TEMP TABLE old AS SELECT *, rowid AS place FROM $table; DELETE FROM $table"
    set id [expr {$table in {h g} ? "id, " : ""}]
    foreach rowid $rows {pc eval "INSERT INTO $table ($id$columns) SELECT $id$columns FROM old WHERE place = $rowid"}
    pc eval {DROP TABLE old}
  }
  if {[chance 50]} {pc eval {CREATE INDEX p_other ON p(length DESC, name DESC)}}
  if {[chance 30]} {pc eval {CREATE INDEX p_content ON p(content, name)}}
  if {[chance 30]} {pc eval {CREATE INDEX p_name ON p(name)}}
  pc eval "PRAGMA reverse_unordered_selects = [chance 50]"
  pc eval "PRAGMA automatic_index = [chance 50]"
  reset_p 1
  set trace [trace_of pc p $case 1]
  set ::diff::dirty 1
  pc eval {DROP INDEX IF EXISTS p_other; DROP INDEX IF EXISTS p_content; DROP INDEX IF EXISTS p_name;
    PRAGMA reverse_unordered_selects = 0; PRAGMA automatic_index = 1}
  return $trace
}

# ---- the run --------------------------------------------------------------------------------------------------

proc diff::changes {seed statements {findings_max 1}} {
  variable counts
  variable changing 1
  array unset counts
  array set counts {statements 0 cases 0 indeterminate 0 refused 0}
  set found {}
  set began [clock milliseconds]
  for {set world $seed} {$counts(statements) < $statements && [llength $found] < $findings_max} {incr world} {
    expr {srand($world)}
    open_change_world [random_spec]
    for {set i 0} {$i < 200 && $counts(statements) < $statements && [llength $found] < $findings_max} {incr i} {
      set case [random_case]
      incr counts(cases)
      incr counts(statements) [llength [dict get $case statements]]
      set how [judge_case $case]
      if {$how eq "indeterminate"} {incr counts(indeterminate)}
      if {$how in {{} indeterminate}} continue
      set spec $::diff::spec
      set shown [shrink_case $case]
      set key $::diff::wanted_kind
      if {![info exists counts(key,$key)]} {
        lappend found "seed $world, case $i, SQLite $::diff::version:\n$shown"
      }
      incr counts(key,$key)
      open_change_world $spec
    }
  }
  close_change_world
  set counts(ms) [expr {[clock milliseconds] - $began}]
  set changing 0
  return [join $found \n\n]
}

# ---- making a case small --------------------------------------------------------------------------------------

proc diff::case_differs {case} {
  return [expr {[judge_case $case $::diff::wanted_kind] ni {{} indeterminate}}]
}

proc diff::case_with {case at what words} {
  set statements [dict get $case statements]
  lset statements $at [list [join $words { }] $what]
  dict set case statements $statements
  return [case_differs $case]
}

proc diff::shrink_case {case} {
  set ::diff::wanted_kind $::diff::kind
  for {set pass 0} {$pass < 2} {incr pass} {
    for {set at 0} {$at < [llength [dict get $case statements]]} {} {
      set fewer $case
      dict set fewer statements [lreplace [dict get $case statements] $at $at]
      if {[case_differs $fewer]} {set case $fewer} else {incr at}
    }
    set fewer $case
    dict set fewer begin 0
    if {[case_differs $fewer]} {set case $fewer}
    for {set at 0} {$at < [llength [dict get $case statements]]} {incr at} {
      lassign [lindex [dict get $case statements] $at] sql what
      set words [words $sql]
      if {![case_with $case $at $what $words]} continue
      set words [shrink_words $words [list diff::case_with $case $at $what]]
      set statements [dict get $case statements]
      lset statements $at [list [join $words { }] $what]
      dict set case statements $statements
    }
    shrink_change_spec $case
  }
  set ::diff::small [join [lmap statement [dict get $case statements] {tidy [lindex $statement 0]}] "; "]
  return "[shown_case $case]\n[judge_case $case]"
}

proc diff::shrink_change_spec {case} {
  set spec $::diff::spec
  set again 1
  while {$again} {
    set again 0
    foreach change [smaller_specs $spec] {
      set smaller $spec
      dict set smaller {*}$change
      open_change_world $smaller
      if {![case_differs $case]} continue
      set spec $smaller
      set again 1
      break
    }
  }
  open_change_world $spec
}

proc diff::shown_case {case} {
  set lines {}
  set spec $::diff::spec
  if {[dict get $spec encoding] ne "UTF-8"} {lappend lines "PRAGMA encoding = '[dict get $spec encoding]';"}
  lappend lines "CREATE VIRTUAL TABLE r USING seqdb('regions', sync=off, mmap=[dict get $spec mmap]);"
  foreach row [dict get $spec rows] {
    lappend lines "INSERT INTO r(name, content) VALUES([lindex $row 0], CAST([lindex $row 1] AS BLOB));"
  }
  foreach line [helper_script $spec] {
    if {[regexp {^(CREATE TABLE|CREATE INDEX \w+ ON|INSERT INTO) ([hgkm])\y} $line -> verb table] &&
      [regexp "\\y$table\\y" $::diff::small]} {lappend lines "$line;"}
  }
  if {[dict get $case begin]} {lappend lines BEGIN\;}
  foreach statement [dict get $case statements] {
    lappend lines "[string map {@ r} [tidy [words [lindex $statement 0]]]];"
  }
  return [join $lines \n]
}
