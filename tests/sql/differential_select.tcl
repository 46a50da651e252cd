# SPDX-License-Identifier: MIT
#
# differential_select.tcl: a grammar of SELECT, as text, on top of differential_terms.tcl.  @ stands for the table.
#
#   diff::query -> {sql keys}: the first `keys` result columns are those of the ORDER BY, in its order
#
# Queries are meant to have one right answer; where one has not, the oracles disagree (differential.tcl).

# ---- FROM -----------------------------------------------------------------------------------------------------

proc diff::from {depth} {
  set joins [one_of {0 0 0 0 1 1 1 1 2}]
  set text [expr {[chance 10] ? [join_by_name [expr {$joins > 0}]] : [source_of_rows $depth]}]
  for {set i 0} {$i < $joins} {incr i} {append text [join_source $depth]}
  return $text
}

proc diff::join_source {depth} {
  set kind [one_of {, JOIN JOIN {LEFT JOIN} {LEFT JOIN} {RIGHT JOIN} {FULL JOIN} {CROSS JOIN} {INNER JOIN}}]
  set source [source_of_rows $depth]
  if {$kind eq ","} {return ", $source"}
  if {$kind eq "CROSS JOIN" && [chance 50]} {return " CROSS JOIN $source"}
  return " $kind $source ON [join_condition]"
}
proc diff::join_condition {} {
  if {[chance 60]} {return [equal [key] [one_of {= = IS}] [one_of [list [key] [column] [column]]]]}
  return [condition [below 2]]
}

# NATURAL and USING: the helpers k and m have columns named as the table's are; m's are of the other affinity (30).
proc diff::join_by_name {joined} {
  variable columns
  set left [alias]
  set right [alias]
  set helper [expr {[is_open 30] ? "k" : [one_of {k m}]}]
  lassign [dict get {k {text number} m {number text}} $helper] of_name of_length
  set join [one_of {JOIN {LEFT JOIN} {RIGHT JOIN} {FULL JOIN}}]
  lappend columns [list $right.name $of_name {}] [list $right.length $of_length {}]
  if {[chance 60]} {
    add_region_columns $left
    if {!$joined} {lappend columns {name maybe name} {name maybe name}}
    return "@ $left $join $helper $right USING([one_of {name name {name, length}}])"
  }
  lappend columns [list $left.name text name] [list $left.name text name]
  lappend ::diff::keys [list $left.name text name]
  if {!$joined} {lappend columns {name maybe name} {name maybe name}}
  return "(SELECT [one_of {name {name, length} {rowid, name}}] FROM @) $left NATURAL $join $helper $right"
}

# ---- a SELECT as part of another ------------------------------------------------------------------------------

# {sql infos}: infos are {affinity kind} of the result columns, which are named c0, c1, ...
proc diff::core {count depth} {
  set from [expr {[chance 75] ? [source_of_rows $depth] : [from $depth]}]
  set where [where $depth 60]
  set results {}
  set infos {}
  for {set i 0} {$i < $count} {incr i} {
    lassign [operand 0] text affinity kind
    lappend results "$text AS c$i"
    lappend infos [list $affinity $kind]
  }
  set distinct [one_of {{} {} {} {DISTINCT }}]
  set sql "SELECT $distinct[join $results {, }] FROM $from$where"
  if {[chance 15]} {
    set ordinals {}
    for {set i 1} {$i <= $count} {incr i} {lappend ordinals $i}
    append sql " ORDER BY [join $ordinals {, }][one_of {{} { LIMIT 4} { LIMIT 3 OFFSET 1}}]"
  } elseif {[chance 10]} {
    lassign [isolated core $count 0] other
    append sql " [one_of {{UNION ALL} UNION EXCEPT INTERSECT}] $other"
    set infos [lmap info $infos {list maybe {}}]
  }
  return [list $sql $infos]
}

# ---- ORDER BY -------------------------------------------------------------------------------------------------

# {text-for-order shown kind}: shown has the same value wherever the order makes no difference.
proc diff::order_key {{operand {}}} {
  lassign [expr {$operand ne {} ? $operand : [chance 60] ? [key] : [operand 0]}] text affinity kind
  # A number there is the position of a column.
  if {[regexp {^\(?[-+]?[0-9.]} $text]} {lassign [column] text affinity kind}
  set shown $text
  if {[chance 20] && ![string match "* COLLATE *" $text]} {
    lassign [one_of {{NOCASE upper} {RTRIM rtrim}}] collation function
    # upper() of a number is its text: only where there are texts.
    if {$affinity eq "text"} {
      set shown "${function}($text)"
      append text " COLLATE $collation"
    }
  } elseif {[string match "* COLLATE *" $text]} {
    set text [set shown [regsub { COLLATE \w+$} $text {}]]
  }
  return [list $text $shown $kind]
}
proc diff::direction {} {one_of {{} {} {} { ASC} { DESC} { DESC} { NULLS LAST} { DESC NULLS FIRST}}}
proc diff::limit {} {
  return " LIMIT [one_of {1 1 2 3 5 100 0 -1}][one_of {{} {} { OFFSET 1} { OFFSET 3} { OFFSET 100}}]"
}

# ---- whole queries --------------------------------------------------------------------------------------------

proc diff::query {} {
  variable columns {}
  variable keys {}
  variable aliases 0
  variable cte {}
  set with {}
  if {[chance 8]} {
    lassign [isolated core [expr {1 + [below 3]}] 0] sql infos
    set names [lrange {c0 c1 c2} 0 [expr {[llength $infos] - 1}]]
    set with "WITH w([join $names {, }]) AS [one_of {{} {} {MATERIALIZED } {NOT MATERIALIZED }}]($sql) "
    set cte [list w $infos]
  } elseif {[chance 5]} {
    set with [recursive]
  }
  set columns [set keys {}]
  switch -- [below 12] {
    0 - 1 - 2 - 3 {set result [query_plain]}
    4 {set result [query_distinct]}
    5 - 6 - 7 {set result [query_group]}
    8 {set result [query_total]}
    9 {set result [query_window]}
    10 - 11 {set result [query_compound]}
  }
  return [list $with[lindex $result 0] [lindex $result 1]]
}

proc diff::recursive {} {
  variable cte
  switch -- [below 3] {
    0 {
      set cte {w {{number {}}}}
      return "WITH RECURSIVE w(c0) AS (SELECT [below 3] UNION ALL SELECT c0 + 1 FROM w WHERE c0 < 9) "
    }
    1 {
      set cte {w {{text {}} {number {}}}}
      return "WITH RECURSIVE w(c0, c1) AS (SELECT name, rowid FROM @ WHERE rowid < 3
        UNION SELECT s.name, s.rowid FROM w JOIN @ s ON s.rowid = w.c1 + [one_of {1 2 3}]) "
    }
    2 {
      set cte {w {{text {}} {number {}}}}
      return "WITH RECURSIVE w(c0, c1) AS (VALUES('[one_of {5 a 7}]', 0)
        UNION SELECT s.name, c1 + 1 FROM @ s, w WHERE s.name > w.c0 AND c1 < 3) "
    }
  }
}

proc diff::query_plain {} {
  set depth [below 3]
  set from [from $depth]
  set where [where $depth]
  set shown {}
  set order {}
  for {set i [one_of {0 1 1 2 3}]} {$i > 0} {incr i -1} {
    lassign [order_key] text show
    lappend order "$text[direction]"
    lappend shown $show
  }
  set keys [llength $order]
  for {set i [below 3]} {$i >= 0} {incr i -1} {lappend shown [shown_operand]}
  set limit {}
  if {[chance 35]} {
    for {set i [expr {$keys + 1}]} {$i <= [llength $shown]} {incr i} {lappend order $i}
    set keys [llength $shown]
    set limit [limit]
  }
  set sql "SELECT [join $shown {, }] FROM $from$where"
  if {$order ne {}} {append sql " ORDER BY [join $order {, }]"}
  return [list $sql$limit $keys]
}
proc diff::shown_operand {} {
  set text [lindex [operand 1] 0]
  if {[chance 20]} {return "quote($text)"}
  return $text
}

proc diff::query_distinct {} {
  set depth [below 3]
  set from [from $depth]
  set where [where $depth 60]
  set shown {}
  set order {}
  for {set i [one_of {1 1 2 3}]} {$i > 0} {incr i -1} {
    lassign [expr {[chance 60] ? [key] : [operand 0]}] text affinity kind
    lappend shown $text
  }
  set n [one_of [list 0 1 [llength $shown]]]
  for {set i 1} {$i <= $n} {incr i} {lappend order $i[direction]}
  set sql "SELECT DISTINCT [join $shown {, }] FROM $from$where"
  if {$n > 0} {append sql " ORDER BY [join $order {, }]"}
  if {$n == [llength $shown] && [chance 40]} {append sql [limit]}
  return [list $sql $n]
}

proc diff::aggregate {} {
  set text [lindex [operand 0] 0]
  set call [one_of [list count(*) count($text) "count(DISTINCT $text)" min($text) max($text) "sum(length($text))" \
    "total(length($text))" "avg(length($text))" max($text) "sum(length($text))"]]
  if {[chance 8] && [package vcompare $::diff::version 3.44] >= 0} {set call "group_concat($text, '|' ORDER BY $text)"}
  if {[chance 12]} {append call " FILTER (WHERE [condition 0])"}
  return $call
}

proc diff::query_group {} {
  set depth [below 2]
  set from [from $depth]
  set where [where $depth 50]
  set groups {}
  set shown {}
  set kinds {}
  for {set i [one_of {1 1 2 2 3}]} {$i > 0} {incr i -1} {
    lassign [order_key] text show kind
    lappend kinds $kind
    lappend groups $text
    lappend shown $show
  }
  set order {}
  set ordered {}
  set positions [lindex [list {} 0 [lsort -integer -decreasing [list 0 [expr {[llength $groups] - 1}]]] \
    [lrange {0 1 2} 0 [llength $groups]-1]] [below 4]]
  if {[is_open 31] && ("name" in $kinds || "rowid" in $kinds)} {set positions {}}
  foreach i [lsort -unique $positions] {
    lappend order "[lindex $groups $i][direction]"
    lappend ordered [lindex $shown $i]
  }
  set rest $shown
  for {set i [below 3]} {$i >= 0} {incr i -1} {lappend rest [aggregate]}
  set sql "SELECT [join [concat $ordered $rest] {, }] FROM $from$where GROUP BY [join $groups {, }]"
  if {[chance 25]} {
    append sql " HAVING [one_of [list "count(*) > 1" "[aggregate] > 1" "max([lindex [column] 0]) IS NOT NULL"]]"
  }
  if {$order ne {}} {append sql " ORDER BY [join $order {, }]"}
  set keys [llength $order]
  if {$keys == [llength $groups] && [chance 50]} {append sql [limit]}
  return [list $sql $keys]
}

# Aggregates over all rows, or over a sub-select that is ordered and cut.
proc diff::query_total {} {
  switch -- [below 3] {
    0 {
      set depth [below 3]
      set from [from $depth]
      set where [where $depth]
      return [list "SELECT [aggregate], [aggregate] FROM $from$where" 0]
    }
    1 {
      set depth [below 2]
      set from [from $depth]
      set where [where $depth]
      set text [lindex [key] 0]
      set ordered "SELECT $text AS v FROM $from$where ORDER BY $text[direction]"
      return [list "SELECT group_concat(v, '|'), count(*) FROM ($ordered)" 0]
    }
    2 {
      lassign [query_plain] sql
      return [list "SELECT count(*) FROM ($sql)" 0]
    }
  }
}

proc diff::exclude {} {one_of {{} {EXCLUDE GROUP} {EXCLUDE CURRENT ROW} {EXCLUDE TIES}}}
proc diff::query_window {} {
  set depth [below 2]
  set from [source_of_rows $depth]
  if {[chance 30]} {append from [join_source 0]}
  set where [where $depth 50]
  set partition [expr {[chance 50] ? "PARTITION BY [lindex [operand 0] 0] " : ""}]
  set key [lindex [key] 0]
  set call [one_of [list "rank() OVER ($partition ORDER BY $key[direction])" \
    "dense_rank() OVER ($partition ORDER BY $key[direction])" \
    "count(*) OVER ($partition ORDER BY $key[direction] RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)" \
    "max($key) OVER ($partition ORDER BY $key GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING [exclude])" \
    "lag($key) OVER ($partition ORDER BY $key[direction])" "lead($key, 2, 'none') OVER ($partition ORDER BY $key)" \
    "first_value($key) OVER ($partition ORDER BY $key[direction])" "ntile(3) OVER (ORDER BY $key)" \
    "sum(length($key)) OVER ($partition)" "row_number() OVER ($partition ORDER BY $key[direction])" \
    "nth_value($key, 2) OVER ($partition ORDER BY $key ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)" \
    "count($key) FILTER (WHERE [condition 0]) OVER ($partition ORDER BY $key)"]]
  set sql "SELECT $key, $call AS w FROM $from$where"
  if {[chance 50]} {return [list "$sql ORDER BY 1[direction], 2[expr {[chance 40] ? [limit] : ""}]" 2]}
  return [list $sql 0]
}

proc diff::query_compound {} {
  set count [expr {1 + [below 2]}]
  set sql {}
  for {set i [one_of {1 1 1 2}]} {$i >= 0} {incr i -1} {
    set columns {}
    set depth [below 2]
    lassign [isolated core_simple $count $depth] part
    append sql [expr {$sql eq {} ? "" : " [one_of {UNION {UNION ALL} {UNION ALL} INTERSECT EXCEPT}] "}]$part
  }
  if {[chance 60]} {
    set order {}
    for {set i 1} {$i <= $count} {incr i} {lappend order $i[one_of {{} {} { DESC} { ASC}}]}
    return [list "$sql ORDER BY [join $order {, }][expr {[chance 40] ? [limit] : ""}]" $count]
  }
  return [list $sql 0]
}
proc diff::core_simple {count depth} {
  set from [expr {[chance 70] ? [source_of_rows $depth] : [from $depth]}]
  set where [where $depth 60]
  set results {}
  for {set i 0} {$i < $count} {incr i} {lappend results [lindex [expr {[chance 60] ? [key] : [operand 0]}] 0]}
  return [list "SELECT [one_of {{} {} {DISTINCT }}][join $results {, }] FROM $from$where"]
}
