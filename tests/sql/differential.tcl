# SPDX-License-Identifier: MIT
#
# differential.tcl: finds where a seqdb table answers a SELECT otherwise than an ordinary table with the same rows.
#
#   diff::selects SEED QUERIES -> what differs, as text with a small script that shows it, or {}
#
# A *world* is made of a seed: table r, ordinary table o with r's rows and rowids, helpers with columns of every
# affinity, and settings (encoding, mmap, an open transaction with changes of its own, pragmas).  Every query of the
# grammar (differential_select.tcl) runs on r and on o.  Where they differ it runs on *oracles* too: ordinary tables
# with the rows in other orders and with other indexes, and under other pragmas.  If these disagree among themselves the
# query has no one answer, and the difference says nothing.  Else it is a finding, and is made small: words of the
# query are left out, then rows and settings of the world, while r still differs and all oracles still agree.
#
# What is known to differ is listed in differential_known.tcl alone.  One workload at a time; connection: dd.

namespace eval diff {
  variable version {}
  variable spec {}
  variable counts
  variable queries_of_world 250
  variable oracles {s1 s2 s3 s4}
  variable table_columns {name TEXT, offset INTEGER, length INTEGER, content BLOB, reserved INTEGER, append BLOB}
  variable steps_max 300000
}

# ---- worlds ---------------------------------------------------------------------------------------------------

# A world as a dict: settings, rows {name content kept} as SQL, statements of the open transaction, rows of the helpers.
proc diff::random_spec {} {
  set rows {}
  set taken {}
  set count [expr {[chance 6] ? 60 : [chance 15] ? [below 4] : 3 + [below 10]}]
  for {set i 0} {$i < $count} {incr i} {
    set name [new_name]
    if {$name in $taken} continue
    lappend taken $name
    lappend rows [list $name [content] [chance 85]]
  }
  set spec [dict create encoding [one_of {UTF-8 UTF-8 UTF-16le UTF-16be}] mmap [chance 75] automatic_index [chance 70] \
    reverse [chance 25] analyze [chance 30] unique [chance 50] rows $rows own {}]
  # A large BLOB as text: see own_ways 5.
  if {[dict get $spec encoding] ne "UTF-8"} {dict set spec rows [string map {zeroblob(5000) zeroblob(900)} $rows]}
  if {[chance 35]} {dict set spec own [own_changes $taken]}
  foreach table {h k m} {
    set made {}
    for {set i [one_of {0 1 3 4 5 6 7 8}]} {$i > 0} {incr i -1} {lappend made [helper_row $table [llength $made]]}
    dict set spec $table $made
  }
  return $spec
}

proc diff::new_name {} {
  switch -- [below 6] {
    0 {return "'n[below 40]'"}
    1 {return "'[string repeat long [expr {1 + [below 60]}]]'"}
  }
  set name [one_of $::diff::texts]
  return [expr {$name eq "''" ? "'7'" : $name}]
}
proc diff::content {} {
  one_of [list x'' x'' x'61' x'3035' x'35' zeroblob([below 20]) zeroblob([below 20]) x'00ff7f' zeroblob(5000)]
}
proc diff::own_changes {names} {
  set changes {}
  for {set i [expr {1 + [below 4]}]} {$i > 0} {incr i -1} {
    set name [expr {$names eq {} ? "'a'" : [one_of $names]}]
    lappend changes [one_of [list "DELETE FROM r WHERE name = $name" \
      "INSERT OR REPLACE INTO r(name, content) VALUES([new_name], x'3730')" \
      "INSERT INTO r(name, append) VALUES($name, x'2b')" "UPDATE r SET length = [below 30] WHERE name = $name" \
      "UPDATE OR REPLACE r SET name = [new_name] WHERE name = $name"]]
  }
  return $changes
}
proc diff::helper_row {table i} {
  switch -- $table {
    h {
      set cells [list [expr {$i + 1}]]
      for {set c 0} {$c < 7} {incr c} {lappend cells [if {[chance 30]} {below 14} else {literal}]}
      return ([join $cells {, }])
    }
    default {return "([literal], [below 8])"}
  }
}

proc diff::open_world {spec} {
  variable table_columns
  variable steps_max
  close_world
  set ::diff::spec $spec
  set ::diff::names [lmap row [dict get $spec rows] {lindex $row 0}]
  set ::diff::dir [temp_dir]
  open_db dd [file join $::diff::dir host.db] -plain
  set ::diff::version [dd onecolumn {SELECT sqlite_version()}]
  foreach sql [world_script $spec] {dd eval $sql}
  dd eval {CREATE TEMP TABLE rows_of_r AS SELECT rowid AS id, name, offset, length, content, reserved FROM r}
  foreach table $::diff::oracles {
    dd eval "INSERT INTO $table SELECT name, offset, length, content, reserved, NULL, id FROM rows_of_r
      ORDER BY [dict get {s1 {id DESC} s2 random() s3 length s4 {random()}} $table]"
  }
  dd nullvalue "\x01null"
  dd progress $steps_max {expr 1}
}

proc diff::close_world {} {
  catch {dd close}
  if {[info exists ::diff::dir]} {file delete -force -- $::diff::dir}
}

# The statements that make r, o and the helpers; also the beginning of the script that shows a finding.
proc diff::world_script {spec} {
  variable table_columns
  set encoding [dict get $spec encoding]
  set sql [list "PRAGMA encoding = '$encoding'" "PRAGMA journal_mode = MEMORY" "PRAGMA synchronous = OFF"]
  foreach pragma {automatic_index reverse} {
    lappend sql "PRAGMA [string map {reverse reverse_unordered_selects} $pragma] = [dict get $spec $pragma]"
  }
  lappend sql "CREATE VIRTUAL TABLE r USING seqdb('regions', sync=off, mmap=[dict get $spec mmap])" BEGIN
  foreach row [dict get $spec rows] {
    lassign $row name content
    lappend sql "INSERT INTO r(name, content) VALUES($name, CAST($content AS BLOB))"
  }
  foreach row [dict get $spec rows] {
    if {![lindex $row 2]} {lappend sql "DELETE FROM r WHERE name = [lindex $row 0]"}
  }
  lappend sql COMMIT "CREATE TABLE o($table_columns[expr {[dict get $spec unique] ? ", UNIQUE(name)" : ""}])"
  foreach {table index} {s1 {} s2 {(name)} s3 {{(length DESC)} {(name DESC)}} s4 {{(rowid, name, length)}}} {
    lappend sql "CREATE TABLE ${table}($table_columns, rowid INTEGER)"
    foreach columns $index {lappend sql "CREATE INDEX ${table}_[incr n] ON ${table}$columns"}
  }
  lappend sql {*}[helper_script $spec]
  if {[dict get $spec analyze]} {lappend sql ANALYZE}
  if {[dict get $spec own] ne {}} {
    lappend sql BEGIN
    foreach change [dict get $spec own] {lappend sql $change}
  }
  set columns "rowid, name, offset, length, content, reserved"
  lappend sql "INSERT INTO o($columns) SELECT $columns FROM r"
  return $sql
}

proc diff::helper_script {spec} {
  set columns {id INTEGER PRIMARY KEY, i INTEGER, f REAL, t TEXT, b BLOB, n NUMERIC, x, c TEXT COLLATE NOCASE}
  set sql [list "CREATE TABLE h($columns)" "CREATE TABLE g($columns)" "CREATE TABLE k(name TEXT, length INTEGER)" \
    "CREATE TABLE m(name NUMERIC, length TEXT)"]
  foreach column {i t x c n} {lappend sql "CREATE INDEX g_$column ON g($column)"}
  foreach table {h k m} {
    if {[dict get $spec $table] ne {}} {lappend sql "INSERT INTO $table VALUES [join [dict get $spec $table] {, }]"}
  }
  lappend sql "INSERT INTO g SELECT * FROM h"
  return $sql
}

# ---- one query, two tables ------------------------------------------------------------------------------------

# {ok flat-list-of-values} or {error code}
proc diff::answer {query table} {
  if {[catch {dd eval [string map [list @ $table] $query]} values]} {return [list error [dd errorcode]]}
  return [list ok $values]
}

proc diff::column_count {query table} {
  set count 0
  dd eval [string map [list @ $table] $query] row {
    set count [llength $row(*)]
    break
  }
  return $count
}

# Do these values of ORDER BY's operands sort alike?  `c + 8` is the same for 7 and for the text 7.0.
proc diff::tie {a b} {
  if {$a eq $b} {return 1}
  foreach x $a y $b {
    if {$x ne $y && !([string is double -strict $x] && [string is double -strict $y] && $x == $y)} {return 0}
  }
  return 1
}

# How two answers differ: {}, outcome, rows (as multisets), or order (of the first `keys` columns).
proc diff::difference {query keys a b} {
  lassign $a a_word a_values
  lassign $b b_word b_values
  if {$a_word ne $b_word || ($a_word eq "error" && $a_values != $b_values)} {
    return [expr {9 in [list $a_values $b_values] ? "" : "outcome"}]
  }
  if {$a_values eq $b_values || $a_word eq "error"} {return {}}
  if {[llength $a_values] != [llength $b_values]} {return rows}
  set width [column_count $query o]
  set a_rows {}
  set b_rows {}
  set same_keys 1
  for {set i 0} {$i < [llength $a_values]} {incr i $width} {
    set end [expr {$i + $width - 1}]
    lappend a_rows [lrange $a_values $i $end]
    lappend b_rows [lrange $b_values $i $end]
    if {$same_keys} {
      set end [expr {$i + $keys - 1}]
      set same_keys [tie [lrange $a_values $i $end] [lrange $b_values $i $end]]
    }
  }
  if {[lsort $a_rows] ne [lsort $b_rows]} {return rows}
  return [expr {$same_keys ? "" : "order"}]
}

# {}: equal; `indeterminate`; else how r differs from o.
proc diff::judge {query keys {want {}}} {
  set r [answer $query r]
  set o [answer $query o]
  set how [difference $query $keys $r $o]
  if {$how eq {} || ($want ne {} && $how ne $want)} {return {}}
  if {[is_ambiguous $query]} {return indeterminate}
  if {$how eq "rows" && [limited $query $keys $r $o]} {return indeterminate}
  # An answer of the other kind of number, or the text of one, may come from any of several rows that are equal.
  foreach settings {{} {automatic_index reverse_unordered_selects}} {
    foreach pragma $settings {toggle $pragma}
    set agree [oracles_agree $query $keys $o]
    foreach pragma $settings {toggle $pragma}
    if {!$agree} {return indeterminate}
  }
  return $how
}
# Do the answers differ only in which rows LIMIT takes of several that sort alike?
proc diff::limited {query keys r o} {
  if {![regexp {^(.*) LIMIT \S+(?: OFFSET \S+)?$} $query -> all]} {return 0}
  set whole [answer $all r]
  if {[difference $all $keys $whole [answer $all o]] eq "rows"} {return 0}
  set width [column_count $all o]
  for {set i 0} {$i < [llength [lindex $whole 1]]} {incr i $width} {
    set there([lrange [lindex $whole 1] $i [expr {$i + $width - 1}]]) 1
  }
  lassign [list [lindex $r 1] [lindex $o 1]] r o
  if {[llength $r] != [llength $o] || $width == 0} {return 0}
  for {set i 0} {$i < [llength $r]} {incr i $width} {
    set end [expr {$i + $keys - 1}]
    if {![tie [lrange $r $i $end] [lrange $o $i $end]]} {return 0}
    if {![info exists there([lrange $r $i [expr {$i + $width - 1}]])]} {return 0}
  }
  return 1
}
proc diff::oracles_agree {query keys o} {
  foreach table [concat o $::diff::oracles] {
    if {[difference $query $keys $o [answer $query $table]] ne {}} {return 0}
  }
  return 1
}
proc diff::toggle {pragma} {dd eval "PRAGMA $pragma = [expr {![dd onecolumn "PRAGMA $pragma"]}]"}

# ---- the run --------------------------------------------------------------------------------------------------

proc diff::selects {seed queries {findings_max 1}} {
  variable counts
  variable queries_of_world
  array unset counts
  array set counts {queries 0 errors 0 indeterminate 0 long 0 empty 0 rows 0}
  set found {}
  set began [clock milliseconds]
  for {set world $seed} {$counts(queries) < $queries && [llength $found] < $findings_max} {incr world} {
    expr {srand($world)}
    set spec [random_spec]
    open_world $spec
    for {set i 0} {$i < $queries_of_world && $counts(queries) < $queries} {incr i} {
      set finding [one_query]
      if {$finding eq {}} continue
      set text "seed $world, query $i, SQLite $::diff::version: $finding"
      set key [regsub -all {'[^']*'|x'\w*'|[0-9.]+} $::diff::small ?]
      if {![info exists counts(key,$key)]} {lappend found $text}
      incr counts(key,$key)
      if {[llength $found] >= $findings_max} break
      open_world $spec
    }
  }
  close_world
  set counts(ms) [expr {[clock milliseconds] - $began}]
  return [join $found \n\n]
}

proc diff::one_query {} {
  variable counts
  lassign [query] sql keys
  incr counts(queries)
  set r_failed [catch {dd eval [string map {@ r} $sql]} r]
  if {$r_failed} {set r [dd errorcode]}
  set o_failed [catch {dd eval [string map {@ o} $sql]} o]
  if {$o_failed} {set o [dd errorcode]}
  if {$r_failed == $o_failed && $r eq $o} {
    incr counts([expr {$r_failed ? $r == 9 ? "long" : "errors" : $r eq {} ? "empty" : "rows"}])
    return {}
  }
  set how [judge $sql $keys]
  if {$how eq "indeterminate"} {
    incr counts(indeterminate)
    return {}
  }
  if {$how eq {}} {return {}}
  return [shrink $sql $keys $how]
}

# ---- making a finding small -----------------------------------------------------------------------------------

# +a1.name and AS TEXT stay whole: without a part of them a query could slip into what is known.
proc diff::words {sql} {
  return [regexp -all -inline -expanded {
    \+\ ?\w+\.\w+ | \$::v\(\d+\) | x'\w*' | '(?:[^']|'')*' | \w+\.\w+(?:e[+-]?\d+)? |
    AS\ (?:TEXT|BLOB|INTEGER|REAL|NUMERIC) | \w+ | <= | >= | <> | \|\| | == | \S
  } $sql]
}

# The shortest list of words for which `still` holds, by leaving out runs of them and pairs of parentheses.
proc diff::shrink_words {words still} {
  set before {}
  while {$before ne $words} {
    set before $words
    set length [expr {[llength $words] / 2}]
    while {$length > 0} {
      for {set at 0} {$at + $length <= [llength $words]} {} {
        set fewer [lreplace $words $at [expr {$at + $length - 1}]]
        if {[{*}$still $fewer]} {set words $fewer} else {incr at}
      }
      set length [expr {$length > 24 ? $length * 2 / 3 : $length - 1}]
    }
    set words [shrink_parentheses $words $still]
  }
  return $words
}
proc diff::shrink_parentheses {words still} {
  for {set at 0} {$at < [llength $words]} {incr at} {
    if {[lindex $words $at] ne "("} continue
    set depth 0
    for {set end $at} {$end < [llength $words]} {incr end} {
      incr depth [switch -- [lindex $words $end] {( {expr 1} ) {expr -1} default {expr 0}}]
      if {$depth == 0} break
    }
    foreach fewer [list [lreplace [lreplace $words $end $end] $at $at] [lreplace $words $at $end 1] \
      [lreplace $words $at $end NULL]] {
      if {$fewer ne $words && [llength $fewer] < [llength $words] && [{*}$still $fewer]} {
        set words $fewer
        break
      }
    }
  }
  return $words
}

# Every way to leave one thing out of a world.
proc diff::smaller_specs {spec} {
  set specs {}
  foreach table {rows own h k m} {
    set items [dict get $spec $table]
    set half [expr {[llength $items] / 2}]
    if {$half > 1} {
      lappend specs [list $table [lrange $items 0 $half-1]] [list $table [lrange $items $half end]]
    }
    for {set i 0} {$i < [llength $items]} {incr i} {lappend specs [list $table [lreplace $items $i $i]]}
  }
  foreach {setting value} {encoding UTF-8 mmap 1 automatic_index 1 reverse 0 analyze 0 unique 0} {
    if {[dict get $spec $setting] ne $value} {lappend specs [list $setting $value]}
  }
  return $specs
}

proc diff::shrink_spec {spec still} {
  set again 1
  while {$again} {
    set again 0
    foreach change [smaller_specs $spec] {
      set smaller $spec
      dict set smaller {*}$change
      if {![catch {open_world $smaller}] && [{*}$still]} {
        set spec $smaller
        set again 1
        break
      }
    }
  }
  open_world $spec
  return $spec
}

proc diff::still_differs {keys how words} {
  return [expr {[judge [join $words { }] $keys $how] eq $how}]
}

proc diff::shrink {sql keys how} {
  set words [words $sql]
  if {![still_differs $keys $how $words]} {set words [list $sql]}
  set still [list diff::still_differs $keys $how]
  set words [shrink_words $words $still]
  set spec [shrink_spec $::diff::spec [concat $still [list $words]]]
  set words [shrink_words $words $still]
  set ::diff::small [tidy $words]
  return "$how differ\n[shown $::diff::small $spec]"
}

proc diff::tidy {words} {
  return [string map {{( } ( { )} ) { ,} ,} [join $words { }]]
}

# A script for SQLite's shell, without what the query does not name.
proc diff::shown {sql spec} {
  set lines {}
  foreach line [world_script $spec] {
    if {[regexp {^(CREATE TABLE|CREATE INDEX|INSERT INTO) s\d|ON s\d|journal_mode|synchronous} $line]} continue
    if {[regexp {^(CREATE TABLE|CREATE INDEX \w+ ON|INSERT INTO) ([hgkm])\y} $line -> verb table] &&
      ![regexp "\\y$table\\y" $sql]} continue
    if {[regexp {^PRAGMA (encoding = 'UTF-8'|automatic_index = 1|reverse_unordered_selects = 0)} $line]} continue
    lappend lines "$line;"
  }
  set result [join $lines \n]
  foreach table {r o} {
    append result "\n[string map [list @ $table] $sql];"
    append result "  -- [string map [list \x01 {}] [string range [answer $sql $table] 0 300]]"
  }
  return $result
}
