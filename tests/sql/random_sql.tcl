# SPDX-License-Identifier: MIT
#
# random_sql.tcl: a random SQL workload on a seqdb table and, with the statement that means the same, on an ordinary
# table.  After each statement both must agree in outcome, transaction state and full contents; what other connections
# see, cursors held open across changes, and seqdb_check are compared now and then.
#
#   random_sql SEED STEPS PROFILE OPTIONS -> "" or what differs, with the statements that led there
#
# PROFILE gives the sizes of contents: tiny, pages (around multiples of 4096) or large (100 KiB and more).
# OPTIONS are those of CREATE VIRTUAL TABLE, as text to follow the path.
# The rowids of the ordinary table are kept equal to the regions', so that rowid order and look-ups can be compared:
# p numbers new rows from 1000000 up, and `renumber` gives them the region's rowid after each statement.
# (substr() of an empty blob is NULL in SQLite, hence the ifnull()s.)
# One workload at a time; everything is in namespace rnd.

namespace eval rnd {
  variable names {}
  variable base {}
  variable blobs_max 6
  # Number of savepoints there were when an overwrite failed in this transaction, {} = none did: then COMMIT may be
  # refused. Only random_sql_faults.tcl sets it.
  variable torn {}
  for {set i 0} {$i < 12} {incr i} {lappend names n$i}
  variable plain_schema {
    CREATE TABLE @(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE CHECK (name <> ''),
      content BLOB NOT NULL DEFAULT x'' CHECK (typeof(content) = 'blob'), length INTEGER AS (length(content)));
    INSERT INTO sqlite_sequence VALUES('@', 1000000);
  }
  # Ordinary tables on both sides: q has a trigger that appends, k makes statements fail in the middle.
  variable both_schema {
    CREATE TABLE q(x UNIQUE, n TEXT);
    CREATE TABLE k(x UNIQUE, y);
  }
}

# ---- chance -------------------------------------------------------------------------------------------------

proc rnd::below {n} {return [expr {int(rand() * $n)}]}
proc rnd::chance {percent} {return [expr {rand() * 100 < $percent}]}
proc rnd::one_of {list} {return [lindex $list [below [llength $list]]]}
proc rnd::name {} {return [one_of $::rnd::names]}
proc rnd::quoted {name} {return '$name'}

proc rnd::size {} {
  switch -- $::rnd::profile {
    tiny {return [one_of {0 1 2 3 7 20 64 100 200}]}
    pages {return [one_of {0 1 100 4095 4096 4097 8191 8192 8193 12288 20000}]}
    large {return [one_of {1 5000 32767 32768 40000 100000 102400 131072 200000 300001}]}
  }
}

# Binds fresh bytes to the next variable d0, d1, ... and returns how SQL names it.
proc rnd::blob {{size {}}} {
  if {$size eq {}} {set size [size]}
  set i $::rnd::blobs
  incr ::rnd::blobs
  set first [below 100000]
  set ::rnd_d$i [string range $::rnd::base $first [expr {$first + $size - 1}]]
  return @::rnd_d$i
}

proc rnd::condition {} {
  switch -- [below 8] {
    0 - 1 {return "name = [quoted [name]]"}
    2 {return "+name IN ([quoted [name]], [quoted [name]], [quoted [name]])"}
    3 {return "name LIKE 'n1%'"}
    4 {return "rowid = [expr {1 + [below 14]}]"}
    5 {return "length > [size]"}
    6 {return "name >= [quoted [name]]"}
    7 {return 1}
  }
}
proc rnd::narrow_condition {} {
  if {$::rnd::profile eq "large"} {return "name = [quoted [name]]"}
  return [condition]
}

proc rnd::clause {} {return [one_of {{} {} {} {OR ABORT} {OR IGNORE} {OR REPLACE} {OR FAIL} {OR ROLLBACK}}]}

# ---- statements ---------------------------------------------------------------------------------------------
# Each returns {what-r-runs what-p-runs ?expected?}: both are SQL; "" for the second means that it changes nothing;
# expected is the word both outcomes must be, where p cannot fail in the same way.

proc rnd::same {sql} {return [list [string map {@@ r} $sql] [string map {@@ p} $sql]]}

proc rnd::st_insert {} {
  set values {}
  for {set i [expr {1 + [below 4]}]} {$i > 0} {incr i -1} {lappend values "([quoted [name]], [blob])"}
  return [same "INSERT [clause] INTO @@(name, content) VALUES [join $values {, }]"]
}
proc rnd::st_insert_empty {} {return [same "INSERT [clause] INTO @@(name) VALUES([quoted [name]])"]}
proc rnd::st_insert_zeros {} {
  set size [size]
  set name [quoted [name]]
  set clause [clause]
  return [list "INSERT $clause INTO r(name, length) VALUES($name, $size)" \
    "INSERT $clause INTO p(name, content) VALUES($name, zeroblob($size))"]
}
proc rnd::st_insert_select {} {
  return [same "INSERT [clause] INTO @@(name, content) SELECT 'n' || ((substr(name, 2) + [below 12]) % 14), content
                FROM @@ WHERE [narrow_condition] ORDER BY name LIMIT 3"]
}
proc rnd::st_rename {} {
  set to [one_of [list [quoted [name]] "'n' || ((substr(name, 2) + 1) % 14)" "name || ''"]]
  return [same "UPDATE [clause] @@ SET name = $to WHERE [condition]"]
}
proc rnd::st_content {} {
  set what [one_of [list [blob] [blob] "CAST(content || [blob] AS BLOB)" "ifnull(substr(content, [size] + 1), x'')" \
    "ifnull(substr(content, 1, [size]), x'')" "zeroblob([size])" content]]
  return [same "UPDATE @@ SET content = $what WHERE [narrow_condition]"]
}
proc rnd::st_rename_and_content {} {
  return [same "UPDATE [clause] @@ SET name = [quoted [name]], content = [blob] WHERE [narrow_condition]"]
}
proc rnd::st_length {} {
  set to [one_of [list [size] [size] "length + [size]" "length / 2" "max(length - [size], 0)"]]
  if {$::rnd::profile eq "large"} {set to [one_of [list [size] "length / 2"]]}
  set where [narrow_condition]
  return [list "UPDATE r SET length = $to WHERE $where" \
    "UPDATE p SET content = CAST(ifnull(substr(content, 1, $to), x'') || zeroblob(max(0, $to - length)) AS BLOB) WHERE\
        $where"]
}
proc rnd::st_delete {} {
  set where [one_of [list "name = [quoted [name]]" "name = [quoted [name]]" "rowid = [expr {1 + [below 14]}]" \
    "name IN ([quoted [name]], [quoted [name]])" "name LIKE 'n1_'" "name LIKE 'n2_'" "name LIKE 'n3_'" \
        "length = [size]"]]
  if {[chance 4]} {set where 1}
  return [same "DELETE FROM @@ WHERE $where"]
}

# Multi-row statements that fail at a row in the middle; what came before it must be undone.
proc rnd::st_fail_half_way {} {
  set a [quoted [name]]
  switch -- [below 5] {
    0 {return [same "UPDATE @@ SET content = CASE name WHEN $a THEN 5 ELSE [blob] END"]}
    1 {return [same "INSERT OR REPLACE INTO @@(name, content) VALUES($a, [blob]), ('', [blob]), ($a, [blob])"]}
    2 {return [same "UPDATE @@ SET name = CASE name WHEN $a THEN '' ELSE 'n' || (rowid + 20) END"]}
    3 {return [same "INSERT OR REPLACE INTO @@(name, content) VALUES($a, [blob]), ([quoted [name]], 1.5)"]}
    4 {
      return [list "INSERT INTO r(name, append) VALUES($a, [blob]), ([quoted [name]], 7)" {} refused]
    }
  }
}

# Appends on the ordinary table: for each row (n, c) of the query.  Not ON CONFLICT DO UPDATE: SQLite 3.40.1 reads a
# stale overflow page there when two rows of one statement have the same name (3.53.2 does not).
proc rnd::upsert {query} {return "upsert:$query"}
proc rnd::run_upsert {query} {
  foreach {name bytes} [plain eval $query] {
    plain eval {INSERT OR IGNORE INTO p(name) VALUES($name)}
    plain eval {UPDATE p SET content = CAST(content || @bytes AS BLOB) WHERE name = $name}
  }
  return ok
}
proc rnd::st_append {} {
  set parts {}
  set values {}
  for {set i [expr {1 + [below 4]}]} {$i > 0} {incr i -1} {
    set name [quoted [name]]
    set data [blob]
    lappend values "($name, $data)"
    lappend parts "SELECT $name AS n, $data AS c"
  }
  return [list "INSERT [clause] INTO r(name, append) VALUES [join $values {, }]" [upsert [join $parts { UNION ALL }]]]
}
proc rnd::st_append_select {} {
  set query "SELECT [quoted [name]] AS n, ifnull(substr(content, 1, [size]), x'') AS c FROM @@ WHERE [narrow_condition]
             ORDER BY name LIMIT 4"
  return [list "INSERT INTO r(name, append) [string map {@@ r} $query]" [upsert [string map {@@ p} $query]]]
}

# ---- functions: what they must do is computed from p --------------------------------------------------------

proc rnd::length_of {name} {
  return [plain onecolumn "SELECT length FROM p WHERE name = [quoted $name]"]
}
proc rnd::st_fn_append {} {
  set name [name]
  set data [blob]
  set old [length_of $name]
  return [list "SELECT seqdb_append('r', [quoted $name], $data)" [upsert "SELECT [quoted $name] AS n, $data AS c"] \
    ok:[expr {$old eq {} ? 0 : $old}]]
}
# An offset that is mostly inside the region, at times at its end, past it, or negative.
proc rnd::offset_in {length} {
  if {[chance 5]} {return -1}
  if {[chance 10]} {return [expr {$length + 1 + [below 5000]}]}
  if {[chance 25]} {return $length}
  return [below [expr {$length + 1}]]
}
proc rnd::st_fn_write {} {
  set name [name]
  set length [length_of $name]
  set size [size]
  set data [blob $size]
  set offset [offset_in [expr {$length eq {} ? 0 : $length}]]
  set sql "SELECT seqdb_write('r', [quoted $name], $offset, $data)"
  if {$length eq {} || $offset < 0 || $offset > $length} {return [list $sql {} refused]}
  return [list $sql "UPDATE p SET content = CAST(ifnull(substr(content, 1, $offset), x'') || $data ||
    ifnull(substr(content, $offset + $size + 1), x'') AS BLOB) WHERE name = [quoted $name]" ok:$size]
}
proc rnd::st_fn_truncate {} {
  set name [name]
  set length [length_of $name]
  set offset [offset_in [expr {$length eq {} ? 0 : $length}]]
  set sql "SELECT seqdb_truncate('r', [quoted $name], $offset)"
  if {$length eq {} || $offset < 0 || $offset > $length} {return [list $sql {} refused]}
  return [list $sql "UPDATE p SET content = ifnull(substr(content, 1, $offset), x'') WHERE name = [quoted $name]"\
      ok:$offset]
}
proc rnd::st_fn_truncate_write {} {
  set name [name]
  set length [length_of $name]
  set size [size]
  set data [blob $size]
  set offset [offset_in [expr {$length eq {} ? 0 : $length}]]
  set sql "SELECT seqdb_truncate_write('r', [quoted $name], $offset, $data)"
  if {$length eq {} || $offset < 0 || $offset > $length} {return [list $sql {} refused]}
  return [list $sql "UPDATE p SET content = CAST(ifnull(substr(content, 1, $offset), x'') || $data AS BLOB)
    WHERE name = [quoted $name]" ok:[expr {$offset + $size}]]
}
proc rnd::st_fn_reserve {} {
  set name [name]
  set bytes [expr {[size] * 3}]
  set sql "SELECT seqdb_reserve('r', [quoted $name], $bytes) >= $bytes"
  return [list $sql {} [expr {[length_of $name] eq {} ? "refused" : "ok:1"}]]
}
proc rnd::st_fn_read {} {
  set name [name]
  set from [below 9000]
  set count [size]
  return [list "SELECT seqdb_read('r', [quoted $name], $from, $count) IS
      (SELECT ifnull(substr(content, $from + 1, $count), x'') FROM r WHERE name = [quoted $name])" {} ok:1]
}
# Several calls in one SELECT that ends with an error: calls already made stay made.
proc rnd::st_fn_failing_select {} {
  set a [quoted [name]]
  set data [blob]
  return [list "SELECT CASE i WHEN 3 THEN seqdb_write('r', 'no such region', 0, x'00') ELSE seqdb_append('r', $a, $data)
      END FROM (SELECT 1 AS i UNION ALL SELECT 2 UNION ALL SELECT 3)" \
    [upsert "SELECT $a AS n, $data AS c UNION ALL SELECT $a, $data"] refused/ok]
}
# Calls inside a write statement share its fate: all of them, or none when a later row breaks a constraint.
proc rnd::st_fn_in_insert {} {
  set a [quoted [name]]
  set b [quoted [name]]
  set data [blob]
  set query "SELECT $a AS n, $data AS c UNION ALL SELECT $b, $data"
  if {[chance 50]} {
    set sql "INSERT INTO k(x, y) SELECT 1, seqdb_append('r', n, c) FROM ($query)"
    return [list $sql {} unique/none]
  }
  set sql "INSERT INTO k(x, y) SELECT NULL, seqdb_append('r', n, c) FROM ($query)"
  return [list $sql [upsert $query]]
}
# A trigger on an ordinary table appends; its UNIQUE column makes some statements fail half way.
proc rnd::st_trigger {} {
  return [same "INSERT INTO q(x, n) VALUES([below 400], [quoted [name]]), ([below 400], [quoted [name]])"]
}

# ---- running one statement ----------------------------------------------------------------------------------

# ok, ok:values, unique, refused, or the code's name.
proc rnd::run {db sql} {
  if {$sql eq {}} {return ok}
  if {[string match upsert:* $sql]} {return [run_upsert [string range $sql 7 end]]}
  if {[catch {$db eval $sql} result]} {
    set code [lindex [sql_error $db] 1]
    switch -- [code_name $code] {
      UNIQUE {return unique}
      ERROR - CHECK - NOTNULL - MISMATCH - CONSTRAINT - RANGE - VTAB - TOOBIG - NOTFOUND {return refused}
    }
    return "[code_name $code] ($result)"
  }
  return [expr {[llength $result] ? "ok:$result" : "ok"}]
}

# Give p's new rows the rowids of the regions of those names.
proc rnd::renumber {writer} {
  foreach {id name} [plain eval {SELECT id, name FROM p WHERE id >= 1000000}] {
    set rowid [$writer onecolumn {SELECT rowid FROM r WHERE name = $name}]
    if {$rowid eq {}} {return "region '$name' is missing"}
    if {[catch {plain eval {UPDATE p SET id = $rowid WHERE id = $id}}]} {
      return "region '$name' has rowid $rowid, which '[plain eval {SELECT name FROM p WHERE id = $rowid}]' has too"
    }
  }
  return {}
}

proc rnd::log {text} {
  lappend ::rnd::history $text
  if {[llength $::rnd::history] > 25} {set ::rnd::history [lrange $::rnd::history end-24 end]}
}

# One statement on both sides, then the comparison.  Returns "" or what differs.
proc rnd::statement {} {
  set ::rnd::blobs 0
  set kind [one_of $::rnd::kinds]
  lassign [st_$kind] for_r for_p expected
  # Outside a transaction any connection may write.
  set writer [expr {[in_transaction] ? "db" : [one_of {db db other}]}]
  set described [expr {$writer eq "db" ? "" : "\[$writer\] "}][regsub -all {\s+} $for_r { }]
  for {set i 0} {$i < $::rnd::blobs} {incr i} {
    set described [string map [list @::rnd_d$i "bytes([string length [set ::rnd_d$i]])"] $described]
  }
  set got [run $writer $for_r]
  log "$described -> [string range $got 0 100]"
  set plain [run plain $for_p]
  set want [expr {$expected eq {} ? $plain : $expected}]
  switch -- $want {
    refused/ok {set want refused}
    unique/none {set want unique}
  }
  if {$got ne $want} {return "the outcome is '$got', expected '$want'"}
  return [agree $writer]
}

proc rnd::in_transaction {} {return [expr {![lindex [sql_error db] 3]}]}

proc rnd::agree {{writer db}} {
  if {[lindex [sql_error db] 3] != [lindex [sql_error plain] 3]} {return "the transaction states differ"}
  if {![in_transaction]} {
    set ::rnd::marks {}
    set ::rnd::torn {}
  }
  set problem [renumber $writer]
  if {$problem ne {}} {return $problem}
  return [sql_same $writer {SELECT name, rowid, length, content FROM r ORDER BY name} \
    plain {SELECT name, id, length, content FROM p ORDER BY name}]
}

# ---- transactions -------------------------------------------------------------------------------------------

proc rnd::refused_as_torn {got} {
  return [string match {*an overwrite failed half way in this transaction: roll it back)} $got]
}

proc rnd::both {sql} {
  set got [run db $sql]
  if {$::rnd::torn ne {} && [refused_as_torn $got]} {
    log "$sql -> $got"
    if {[in_transaction]} {run db ROLLBACK}
    run plain ROLLBACK
    return [agree]
  }
  set want [run plain $sql]
  log "$sql -> $got"
  if {$got ne $want} {return "the outcome is '$got', an ordinary table's '$want'"}
  return [agree]
}

proc rnd::transaction_step {} {
  if {![in_transaction]} {
    if {[chance 30]} {
      lappend ::rnd::marks m0
      return [both {SAVEPOINT m0}]
    }
    return [both [one_of {BEGIN BEGIN {BEGIN IMMEDIATE}}]]
  }
  set depth [llength $::rnd::marks]
  set action [below 10]
  if {$action < 4 || ($action < 9 && $depth == 0)} {
    lappend ::rnd::marks m$depth
    return [both "SAVEPOINT m$depth"]
  }
  if {$action < 9} {
    set i [below $depth]
    if {$action < 7} {
      set ::rnd::marks [lrange $::rnd::marks 0 $i]
      if {$::rnd::torn ne {} && $i < $::rnd::torn} {set ::rnd::torn {}}
      return [both "ROLLBACK TO m$i"]
    }
    set ::rnd::marks [lrange $::rnd::marks 0 $i-1]
    if {$::rnd::torn ne {}} {set ::rnd::torn [expr {min($::rnd::torn, $i)}]}
    return [both "RELEASE m$i"]
  }
  set ::rnd::marks {}
  return [both [one_of {COMMIT COMMIT ROLLBACK}]]
}

# ---- the schema ---------------------------------------------------------------------------------------------

# What makes SQLite hold several objects of r in one transaction, and leaves the schema as it was.
proc rnd::schema_step {} {
  set change [one_of {
    {ALTER TABLE k RENAME TO k2; ALTER TABLE k2 RENAME TO k}
    {ALTER TABLE @@ RENAME TO s; ALTER TABLE s RENAME TO @@}
    {CREATE TABLE z(x); DROP TABLE z}
    {SAVEPOINT i; CREATE TABLE z(x); ROLLBACK TO i; RELEASE i}
    {SAVEPOINT i; ALTER TABLE @@ RENAME TO s; ROLLBACK TO i; RELEASE i}
    {SAVEPOINT i; ALTER TABLE @@ RENAME TO s; UPDATE s SET name = 'x' || name; ROLLBACK TO i; RELEASE i}
    {SAVEPOINT i; GHOST; ROLLBACK TO i; RELEASE i}
    {SAVEPOINT i; ALTER TABLE @@ RENAME TO s; GHOST; ROLLBACK TO i; RELEASE i}
  }]
  lassign [same $change] for_r for_p
  set for_r [string map {GHOST {CREATE VIRTUAL TABLE g USING seqdb('ghost'); INSERT INTO g(name) VALUES('g'), ('h')}}\
      $for_r]
  set for_p [string map {GHOST {CREATE TABLE g(name); INSERT INTO g(name) VALUES('g'), ('h')}} $for_p]
  set got [run db $for_r]
  set want [run plain $for_p]
  log "$for_r -> $got"
  if {$got ne $want} {return "the outcome is '$got', an ordinary table's '$want'"}
  if {[file exists $::dir/ghost] && [db eval {SELECT name FROM seqdb_regions('ghost')}] ne {}} {
    return "a ghost was committed"
  }
  return [agree]
}

# ---- what others see ----------------------------------------------------------------------------------------

proc rnd::open_connections {} {
  foreach name {db other reader holder} {
    connect $name $::dir/host.db
    $name eval {PRAGMA synchronous = OFF; PRAGMA recursive_triggers = ON}
  }
  foreach name {plain plain_reader} {
    sqlite3 $name $::dir/plain.db
    lappend ::handles $name
    $name eval {PRAGMA synchronous = OFF; PRAGMA recursive_triggers = ON}
  }
}

proc rnd::reopen {} {
  set problem [cursor_end]
  if {$problem ne {}} {return $problem}
  log "close and open[expr {[in_transaction] ? " (in a transaction)" : ""}]"
  foreach name {plain_reader holder reader other db plain} {disconnect $name}
  set ::rnd::marks {}
  open_connections
  return [agree]
}

proc rnd::others_agree {} {
  log "another connection reads"
  set problem [sql_same reader {SELECT name, length, content FROM r ORDER BY name} \
    plain_reader {SELECT name, length, content FROM p ORDER BY name}]
  if {$problem ne {}} {return "another connection: $problem"}
  set query {SELECT count(*), total(length), group_concat(name, ',') FROM (SELECT * FROM @ ORDER BY name)}
  return [sql_same reader [string map {@ r} $query] plain_reader [string map {@ p} $query]]
}

# A cursor that is opened now and read to its end many statements later must show what was committed now.
proc rnd::cursor_begin {} {
  log "a cursor is opened"
  set ::rnd::cursor [sql_prepare holder {SELECT name, length, content FROM r ORDER BY rowid}]
  set ::rnd::cursor_expected {}
  plain_reader eval {SELECT name AS n, length AS l, content AS c FROM p ORDER BY id} {
    lappend ::rnd::cursor_expected [list $n $l $c]
  }
  set ::rnd::cursor_row [sql_step $::rnd::cursor]
  return {}
}
proc rnd::cursor_end {} {
  if {$::rnd::cursor eq {}} {return {}}
  log "the cursor is read to its end"
  set problem {}
  set at 0
  while {$::rnd::cursor_row eq "row" && $problem eq {}} {
    lassign [lindex $::rnd::cursor_expected $at] n l c
    if {[sql_column $::rnd::cursor 0] ne $n || [sql_column $::rnd::cursor 1] != $l || [sql_column $::rnd::cursor 2] ne\
        $c} {
      set problem "a cursor held open sees '[sql_column $::rnd::cursor 0]' of [sql_column $::rnd::cursor 1] bytes at\
          row $at,
        not '$n' of $l bytes as when it was opened"
    }
    incr at
    set ::rnd::cursor_row [sql_step $::rnd::cursor]
  }
  if {$problem eq {} && ($::rnd::cursor_row ne "done" || $at != [llength $::rnd::cursor_expected])} {
    set problem "a cursor held open ends with '$::rnd::cursor_row' after $at rows of [llength $::rnd::cursor_expected]"
  }
  sql_finalize $::rnd::cursor
  set ::rnd::cursor {}
  return $problem
}

# A second writer is told BUSY or succeeds, and what it undoes leaves no trace.
proc rnd::second_writer {} {
  set got [run other {BEGIN; INSERT INTO r(name) VALUES('busy'); SELECT 1}]
  catch {other eval ROLLBACK}
  log "another connection tries to write -> $got"
  if {![string match ok:1 $got] && ![string match {BUSY*} $got]} {return "the second writer gets '$got'"}
  return [agree]
}

proc rnd::upkeep {} {
  set command [one_of {flush checkpoint compact}]
  set busy [in_transaction]
  set got [run db "INSERT INTO r(r) VALUES('$command')"]
  log "command $command -> $got"
  if {!$busy && $got ne "ok"} {return "'$command' outside a transaction gives '$got'"}
  return [agree]
}

proc rnd::check {} {
  set got [reader onecolumn {SELECT seqdb_check('r')}]
  log "seqdb_check"
  return [expr {$got eq "ok" ? "" : "seqdb_check: $got"}]
}

# ---- the whole ----------------------------------------------------------------------------------------------

proc rnd::start {seed profile options} {
  # The profiles of one seed get different statements.
  expr {srand($seed * 1009 + [string length $profile$options])}
  set ::rnd::profile $profile
  set ::rnd::history {}
  set ::rnd::marks {}
  set ::rnd::torn {}
  set ::rnd::cursor {}
  set ::rnd::blobs 0
  if {$::rnd::base eq {}} {
    set x 12345
    set words {}
    for {set i 0} {$i < 110000} {incr i} {lappend words [set x [expr {($x * 1103515245 + 12345) & 0x7fffffff}]]}
    set ::rnd::base [binary format i* $words]
  }
  set ::rnd::kinds {}
  foreach {kind weight} {
    insert 9 insert_empty 2 insert_zeros 3 insert_select 5 rename 6 content 8 rename_and_content 3 length 7 delete 6
    fail_half_way 5 append 9 append_select 4 fn_append 8 fn_write 8 fn_truncate 5 fn_truncate_write 5 fn_reserve 2
    fn_read 3 fn_failing_select 2 fn_in_insert 4 trigger 4
  } {
    lappend ::rnd::kinds {*}[lrepeat $weight $kind]
  }
  stale
  set ::dir [temp_dir]
  open_connections
  set ::rnd::plain_trigger {CREATE TRIGGER tr AFTER INSERT ON q BEGIN
    INSERT OR IGNORE INTO p(name) VALUES(NEW.n);
    UPDATE p SET content = CAST(content || CAST(NEW.x AS BLOB) AS BLOB) WHERE name = NEW.n; END}
  plain eval "PRAGMA journal_mode = WAL; [string map {@ p} $::rnd::plain_schema] $::rnd::both_schema
    INSERT INTO k VALUES(1, 'taken'); $::rnd::plain_trigger"
  db eval "PRAGMA journal_mode = WAL; CREATE VIRTUAL TABLE r USING seqdb('regions'$options); $::rnd::both_schema
    INSERT INTO k VALUES(1, 'taken');
    CREATE TRIGGER tr AFTER INSERT ON q BEGIN
      INSERT INTO r(name, append) VALUES(NEW.n, CAST(NEW.x AS BLOB));
    END"
}

proc rnd::step {i} {
  if {[chance 12]} {return [transaction_step]}
  if {[chance 5]} {return [others_agree]}
  if {[chance 1.5]} {return [second_writer]}
  if {[chance 1.5]} {return [upkeep]}
  if {[chance 0.7]} {return [reopen]}
  if {$::rnd::cursor eq {} && [chance [expr {[in_transaction] ? 8 : 1}]]} {return [schema_step]}
  if {$::rnd::cursor eq {} ? [chance 3] : [chance 4]} {
    return [expr {$::rnd::cursor eq {} ? [cursor_begin] : [cursor_end]}]
  }
  if {$i % 50 == 0} {return [check]}
  return [statement]
}

proc rnd::finish {} {
  set problem [cursor_end]
  if {$problem eq {} && [in_transaction]} {set problem [both COMMIT]}
  if {$problem eq {}} {set problem [others_agree]}
  if {$problem eq {}} {set problem [check]}
  if {$problem eq {}} {set problem [reopen]}
  if {$problem eq {}} {set problem [check]}
  return $problem
}

proc random_sql {seed steps profile {options {}}} {
  rnd::start $seed $profile $options
  set problem {}
  for {set i 1} {$i <= $steps && $problem eq {}} {incr i} {
    if {[catch {rnd::step $i} problem]} {set problem "unexpected error: $problem\n$::errorInfo"}
  }
  if {$problem eq {} && [catch {rnd::finish} problem]} {set problem "unexpected error at the end: $problem"}
  if {$problem ne {}} {
    set problem "seed $seed, profile $profile, step [expr {$i - 1}]: $problem\nstatements\
        before:\n  [join $::rnd::history "\n  "]"
  }
  if {$::rnd::cursor ne {}} {
    sql_finalize $::rnd::cursor
    set ::rnd::cursor {}
  }
  stale
  return $problem
}
