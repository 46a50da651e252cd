# SPDX-License-Identifier: MIT
#
# differential_known.tcl: what is known to differ from an ordinary table, in one place.
#
# known_open: faults that are to be mended.  While an entry stands, the grammars leave its statements out.  Whoever
# mends a fault deletes its entry, and the statements come back.  An entry is {number versions sentence}; versions is
# the range of SQLite's that show it, as `package vsatisfies` writes it.
#
# own_ways: what SQLite does to any virtual table, shown by differential.test with tables of other modules.
# 1  UPDATE ... FROM that fails in BEGIN keeps the rows it had changed: a case ends there.
# 2  UPDATE ... FROM changes a row once for each match: changes() is not compared, and one match at most renames a row.
# 3  A row that is gone before its turn counts in changes(): not compared after UPDATE OR REPLACE.
# 4  Sub-selects in SET see all rows as they were; an ordinary table changes row by row: SET has none.
# 5  In a database of UTF-16 a BLOB that is taken for text is read as UTF-8 or as UTF-16, from 3.53 on as its size wants
#    it, in ordinary tables too: large ones are left out there.
# 6  3.40 makes `c = 'a' COLLATE NOCASE OR c = 'b'` an IN that forgets the collation, on ordinary tables as well, but
#    not by every plan: an answer to such words is not judged there.
# 7  Where a virtual table looks c up for `(c, d) IN (SELECT ...)`, SQLite compares c and what it finds without the
#    affinity of the select's column: names there stand with a plus, which keeps them from being looked up.

namespace eval diff {
  variable known_open {
  }
}

# Is this fault open, with the SQLite that runs?  KNOWN="30 31" takes these alone as open, KNOWN=none no fault at all.
proc diff::is_open {number} {return $::diff::open($number)}

proc diff::load_known {} {
  variable open
  variable version
  package require sqlite3
  sqlite3 diff_version :memory:
  set version [diff_version onecolumn {SELECT sqlite_version()}]
  diff_version eval {CREATE TABLE t(c); INSERT INTO t VALUES('A')}
  variable forgets_collation \
    [expr {[diff_version onecolumn {SELECT count(*) FROM t WHERE c = 'a' COLLATE NOCASE OR c = 'b'}] == 0}]
  diff_version close
  for {set i 0} {$i < 100} {incr i} {set open($i) 0}
  set taken [env_or KNOWN all]
  foreach {number versions sentence} $::diff::known_open {
    set open($number) [expr {($taken eq "all" || $number in $taken) && [package vsatisfies $version $versions]}]
  }
}

# Words that this SQLite may read in two ways: own_ways 6.
proc diff::is_ambiguous {text} {
  return [expr {$::diff::forgets_collation && [regexp {\yCOLLATE\y} $text] && [regexp {\yOR\y} $text]}]
}
