# SPDX-License-Identifier: MIT
#
# differential_terms.tcl: a grammar of expressions and conditions; @ stands for the table.
#
# An operand is {text affinity kind}.  kind is `name` if it is a region's name that SQLite may look up, `rowid`
# likewise, else {}.  affinity is that of SQLite's datatype3.html: text, number, none; `maybe` where a compound mixes
# them.  `columns` holds the operands that can be named where the text will stand, `keys` those to be looked up by.
# @ is never read with `*`: two of the region table's columns are hidden, and ordinary tables have none.

namespace eval diff {
  variable columns {}
  variable keys {}
  variable aliases 0
  variable cte {}
  variable names {}
  # Statements that change rows see no rowids and places: an ordinary table chooses its own.
  variable changing 0
  variable texts {
    '5' '05' '5.0' {' 7'} {'7 '} '7' 'a' 'A' {'a '} 'it''s' {'"q"'} '' 'zz' '12' '1e1' '+5' '0x5' '5a' '-1' 'b_c' 'b%c'
    '9223372036854775807' '9223372036854775808' '1' '2' '3' '10'
  }
  # With escapes, so that it does not matter in which encoding this file is read.
  lappend texts '\u00e9' '\u00c9' '\u20ac\U1f600'
  variable numbers {
    5 5.0 7 7.0 7.5 0 0.0 -0.0 1 2 3 4 6 8 10 12 13 -1 2.5 2.9999 1e1 1e3 1e300 -1e300 9e999 -9e999 0x5 4096 4095.5
    9223372036854775807 -9223372036854775808 9223372036854775808 9.2233720368547758e18
    4294967295 4294967296 4294967297 4294967295.5 2147483648 0.9999999 1.0000001
  }
  variable blobs_of_sql {x'35' x'' x'61' x'3035' x'00' x'e9'}
  # Values that are bound: what they are is not known when a statement is prepared.
  variable bound {}
  foreach {type value} {integer 5 real 5 text 5 text 5.0 real 7.5 text { 7} integer 2 real 2 text 2 text a} {
    set i [llength $bound]
    set ::v($i) [switch -- $type {
      integer {expr {int($value)}}
      real {expr {double($value)}}
      text {string cat $value {}}
    }]
    lappend bound \$::v($i)
  }
  variable patterns {'5%' '%5%' 'a' 'A%' '_' '%' '%7' 'b\_c' '[5]' '05'}
  lappend patterns '\u00e9' '\u00c9%'
  variable globs {'5*' '*' 'a' '[A-Z]*' '?' '*7*' '[^5]*'}
  lappend globs '\u00e9*'
}

proc diff::below {n} {expr {int(rand() * $n)}}
proc diff::chance {percent} {expr {rand() * 100 < $percent}}
proc diff::one_of {list} {lindex $list [expr {int(rand() * [llength $list])}]}
proc diff::alias {} {return a[incr ::diff::aliases]}

# ---- what can be named ----------------------------------------------------------------------------------------

proc diff::add_region_columns {alias} {
  variable columns
  variable keys
  set name [list $alias.name text name]
  set rowid [list $alias.rowid number rowid]
  set length [list $alias.length number {}]
  if {$::diff::changing} {
    lappend columns $name $name $length [list $alias.content none {}]
    lappend keys $name
    return
  }
  lappend columns $name $name $name $rowid $rowid $length $length [list $alias.content none {}] \
    [list $alias.[one_of {offset reserved}] number {}] [list $alias.append none {}]
  lappend keys $name $name $rowid
}
proc diff::add_helper_columns {alias} {
  foreach {column affinity} {id number i number f number t text b none n number x none c text} {
    lappend ::diff::columns [list $alias.$column $affinity {}]
  }
}

# Adds the columns of a new source and returns its text.
proc diff::source_of_rows {depth} {
  variable columns
  set alias [alias]
  switch -- [below 20] {
    0 - 1 - 2 - 3 {
      add_helper_columns $alias
      return "[one_of {h g}] $alias"
    }
    4 {
      lappend columns [list $alias.name text {}] [list $alias.length number {}]
      return "k $alias"
    }
    5 {
      lappend columns [list $alias.name number {}] [list $alias.length text {}]
      return "m $alias"
    }
    6 - 7 {if {$depth > 0} {return [derived $alias [expr {$depth - 1}]]}}
    8 {return [values_source $alias]}
    9 {
      if {$::diff::cte ne {}} {
        lassign $::diff::cte name infos
        name_columns $alias $infos
        return "$name $alias"
      }
    }
  }
  add_region_columns $alias
  return "@ $alias"
}

proc diff::name_columns {alias infos} {
  set i 0
  foreach info $infos {
    lassign $info affinity kind
    set column [list $alias.c$i $affinity $kind]
    lappend ::diff::columns $column
    if {$kind ne {}} {lappend ::diff::keys $column}
    incr i
  }
}

proc diff::derived {alias depth} {
  lassign [isolated core [expr {1 + [below 3]}] $depth] sql infos
  name_columns $alias $infos
  return "($sql) $alias"
}

proc diff::values_source {alias} {
  lappend ::diff::columns [list $alias.column1 none {}] [list $alias.column2 none {}]
  set rows {}
  for {set i [below 4]} {$i >= 0} {incr i -1} {lappend rows "([literal], [literal])"}
  return "(VALUES [join $rows {, }]) $alias"
}

# Run a generator in a scope of its own.
proc diff::isolated {generator args} {
  variable columns
  variable keys
  set saved [list $columns $keys]
  set columns [set keys {}]
  set result [$generator {*}$args]
  lassign $saved columns keys
  return $result
}
# ... in a scope that also has what is outside of it.
proc diff::nested {generator args} {
  variable columns
  variable keys
  set saved [list $columns $keys]
  set result [$generator {*}$args]
  lassign $saved columns keys
  return $result
}

# ---- values ---------------------------------------------------------------------------------------------------

proc diff::literal {} {
  switch -- [below 17] {
    16 {return [one_of $::diff::bound]}
    0 - 1 - 2 - 3 - 4 - 5 - 6 {return [one_of $::diff::texts]}
    7 - 8 - 9 - 10 - 11 - 12 {return [one_of $::diff::numbers]}
    13 - 14 {return [one_of $::diff::blobs_of_sql]}
    15 {return NULL}
  }
}

# Around the rowids and lengths there are.
proc diff::small_number {} {
  switch -- [below 4] {
    0 {return [one_of $::diff::numbers]}
    1 {return [expr {[below 26] / 2.0}]}
    default {return [below 14]}
  }
}

proc diff::literal_for {kind} {
  switch -- $kind {
    name {
      if {[chance 60] && $::diff::names ne {}} {return [one_of $::diff::names]}
      if {[chance 50]} {return [one_of $::diff::texts]}
    }
    rowid {if {[chance 70]} {return [small_number]}}
  }
  return [literal]
}

proc diff::column {} {one_of $::diff::columns}
proc diff::key {} {
  if {$::diff::keys eq {}} {return [one_of $::diff::columns]}
  return [one_of $::diff::keys]
}

proc diff::operand {depth} {
  switch -- [below 16] {
    0 - 1 - 2 - 3 - 4 - 5 {return [column]}
    6 - 7 {return [list [literal] none {}]}
    8 {return [list "+[lindex [column] 0]" none {}]}
    9 {
      set type [one_of {TEXT INTEGER REAL BLOB NUMERIC}]
      set affinity [dict get {TEXT text INTEGER number REAL number BLOB none NUMERIC number} $type]
      return [list "CAST([lindex [column] 0] AS $type)" $affinity {}]
    }
    10 - 11 {if {$depth > 0} {return [scalar_subquery [expr {$depth - 1}]]}}
    12 - 13 - 14 {return [list [call [lindex [column] 0]] none {}]}
    15 {
      # A column in parentheses, or with a collation, keeps its affinity and may be looked up.
      lassign [column] text affinity kind
      return [list [one_of [list "($text)" "$text COLLATE [one_of {NOCASE RTRIM BINARY}]"]] $affinity $kind]
    }
  }
  return [column]
}

proc diff::call {x} {
  switch -- [below 14] {
    0 {return "length($x)"}
    1 {return "upper($x)"}
    2 {return "typeof($x)"}
    3 {return "$x || ''"}
    4 {return "hex($x)"}
    5 {return "coalesce($x, [lindex [column] 0])"}
    6 {return "substr($x, [expr {[below 4] - 1}], [below 4])"}
    7 {return "$x + [small_number]"}
    8 {return "CASE WHEN $x IS [literal] THEN [lindex [column] 0] ELSE [literal] END"}
    9 {return "ifnull($x, [literal])"}
    10 {return "quote($x)"}
    11 {return "nullif($x, [lindex [column] 0])"}
    12 {return "max($x, [literal])"}
    13 {return "trim($x)"}
  }
}

proc diff::scalar_subquery {depth} {nested scalar_subquery_inner $depth}
proc diff::scalar_subquery_inner {depth} {
  set outer [llength $::diff::columns]
  set from [source_of_rows $depth]
  # Not a column of outside: in its ORDER BY and aggregates SQLite takes that for another query's.
  lassign [one_of [lrange $::diff::columns $outer end]] text affinity kind
  set where [where $depth 70]
  switch -- [below 4] {
    0 {return [list "(SELECT [one_of {max min count}]($text) FROM $from$where)" none {}]}
    1 {return [list "(SELECT count(*) FROM $from$where)" none {}]}
    default {return [list "(SELECT $text FROM $from$where ORDER BY $text [one_of {ASC DESC}] LIMIT 1)" $affinity {}]}
  }
}

# ---- conditions -----------------------------------------------------------------------------------------------

# left OP right, where OP may become a look-up.  Fault 30: a name compared with a number.
proc diff::equal {left op right} {
  lassign $left l l_affinity l_kind
  lassign $right r r_affinity r_kind
  if {[is_open 30]} {
    if {$l_kind eq "name" && $r_affinity in {number maybe}} {set l "+$l"}
    if {$r_kind eq "name" && $l_affinity in {number maybe}} {set r "+$r"}
  }
  return "$l $op $r"
}

proc diff::condition {depth} {
  if {$depth > 0} {
    set less [expr {$depth - 1}]
    switch -- [below 11] {
      0 - 1 {return "([condition $less] AND [condition $less])"}
      2 - 3 - 4 - 10 {return "([condition $less] OR [condition $less])"}
      6 {return "NOT [condition $less]"}
      7 {return [exists $less]}
    }
  }
  return [comparison $depth]
}

proc diff::exists {depth} {nested exists_inner $depth}
proc diff::exists_inner {depth} {
  set from [source_of_rows $depth]
  return "[one_of {EXISTS {NOT EXISTS}}] (SELECT [one_of {1 NULL {count(*) > 1}}] FROM $from[where $depth 95])"
}

proc diff::comparison {depth} {
  switch -- [below 18] {
    0 - 1 - 2 {
      set key [key]
      set op [one_of {= = == IS IS}]
      set value [list [literal_for [lindex $key 2]] none {}]
      return [expr {[chance 30] ? [equal $value $op $key] : [equal $key $op $value]}]
    }
    3 - 4 {
      set key [key]
      return "[lindex $key 0] [one_of {< <= > >= <> {IS NOT}}] [literal_for [lindex $key 2]]"
    }
    5 - 6 - 7 {return [equal [key] [one_of {= = = IS}] [operand $depth]]}
    8 {return [equal [operand $depth] [one_of {= ==}] [key]]}
    9 {return "[lindex [operand $depth] 0] [one_of {< <= > >= <> {IS NOT}}] [lindex [operand $depth] 0]"}
    10 {
      set key [key]
      set kind [lindex $key 2]
      return "[lindex $key 0] [one_of {BETWEEN BETWEEN {NOT BETWEEN}}] [literal_for $kind] AND [literal_for $kind]"
    }
    11 - 12 {return [in_list [key]]}
    13 {return [in_subquery [key] $depth]}
    14 {return [row_value $depth]}
    15 {return [like [lindex [key] 0]]}
    16 {return "[lindex [key] 0] [one_of {ISNULL NOTNULL {IS NULL} {IS NOT NULL} {IS NOT DISTINCT FROM 5}}]"}
    17 {
      lassign [key] text affinity kind
      set collation "COLLATE [one_of {NOCASE RTRIM BINARY}]"
      return [one_of [list "$text $collation [one_of {= < >=}] [literal_for $kind]" \
        "[literal_for $kind] $collation = $text" "$text $collation IN ([literal_for $kind], [literal_for $kind])"]]
    }
  }
}

proc diff::in_list {key} {
  lassign $key text affinity kind
  set values {}
  for {set i [below 5]} {$i > 0} {incr i -1} {lappend values [literal_for $kind]}
  if {[chance 15]} {
    # Terms of the list may be columns; the list then has no affinity of its own.
    lappend values [lindex [column] 0]
  }
  return "$text [one_of {IN IN IN {NOT IN}}] ([join $values {, }])"
}

proc diff::in_subquery {key depth} {
  set op [one_of {IN IN IN {NOT IN}}]
  if {[chance 10]} {return "[lindex $key 0] $op (VALUES ([literal]), ([literal]))"}
  lassign [nested in_subquery_inner [expr {max($depth - 1, 0)}]] text affinity kind query
  # The two sides are compared as in x = y; only the left one can be looked up, or the right one once it is a join.
  set left [lindex $key 0]
  if {[is_open 30] && [lindex $key 2] eq "name" && $affinity in {number maybe}} {set left "+$left"}
  if {[is_open 30] && $kind eq "name" && [lindex $key 1] in {number maybe}} {
    set query [string map [list "SELECT $text" "SELECT +$text"] $query]
  }
  return "$left $op ($query)"
}
proc diff::in_subquery_inner {depth} {
  set from [source_of_rows $depth]
  set where [where $depth 50]
  lassign [column] text affinity kind
  return [list $text $affinity $kind "SELECT $text FROM $from$where"]
}

# (a, b) = (x, y), (a, b) IN (SELECT x, y ...), (a, b) < (x, y).
proc diff::row_value {depth} {
  set a [key]
  set b [column]
  switch -- [below 3] {
    0 {
      set left "([plain_of $a], [plain_of $b])"
      return "$left [one_of {= IS}] ([literal_for [lindex $a 2]], [literal_for [lindex $b 2]])"
    }
    1 {
      set right "([literal_for [lindex $a 2]], [literal_for [lindex $b 2]])"
      return "([lindex $a 0], [lindex $b 0]) [one_of {< <= > >= <>}] $right"
    }
    2 {
      set query [nested row_value_inner $depth]
      return "([slice_of $a], [slice_of $b]) [one_of {IN {NOT IN}}] ($query)"
    }
  }
}
proc diff::row_value_inner {depth} {
  set from [source_of_rows [expr {max($depth - 1, 0)}]]
  set where [where 0 40]
  return "SELECT [plain_of [column]], [plain_of [column]] FROM $from$where"
}
# An operand of a row value before IN; names are kept from being looked up (own_ways 7).
proc diff::slice_of {operand} {
  lassign $operand text affinity kind
  return [expr {$kind eq "name" ? "+$text" : $text}]
}
# An operand of a row value; names are kept from being looked up by numbers while 30 is open.
proc diff::plain_of {operand} {
  lassign $operand text affinity kind
  if {[is_open 30] && $kind eq "name"} {return "+$text"}
  return $text
}

proc diff::like {text} {
  if {[chance 35]} {return "$text [one_of {GLOB {NOT GLOB}}] [one_of $::diff::globs]"}
  return "$text [one_of {LIKE LIKE {NOT LIKE}}] [one_of $::diff::patterns][one_of {{} {} { ESCAPE '\'}}]"
}

proc diff::where {depth {percent 75}} {
  if {![chance $percent]} {return {}}
  return " WHERE [condition $depth]"
}
