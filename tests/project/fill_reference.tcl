# SPDX-License-Identifier: MIT
#
# fill_reference.tcl: writes into sql/README.md what its examples print with the build at hand.
#
#   SEQDB_BUILD=build tclsh tests/project/fill_reference.tcl
#
# For a change of a message or an example: run it, then read the difference. scripts.test holds the text afterwards.
source [file join [file dirname [info script]] .. lib common.tcl]
source $tests_dir/lib/doc_helpers.tcl

set path [file join $source_root sql README.md]
set text [encoding convertfrom utf-8 [read_file $path]]
set dir [temp_dir]
open_db reference [file join $dir reference.db] -plain
set filled {}
set at 0
set pair {^```sql\n((?:(?!```).*\n)*)```\n```text\n((?:(?!```).*\n)*)```$}
while {[regexp -indices -start $at -line $pair $text whole sql output]} {
  append filled [string range $text $at [lindex $output 0]-1]
  set got [string map [list $dir /path] [run_block reference [string range $text {*}$sql]]]
  if {$got ne {}} {append filled $got \n}
  set at [expr {[lindex $output 1] + 1}]
}
append filled [string range $text $at end]
reference close
write_file $path [encoding convertto utf-8 $filled]
file delete -force -- $temp_root
