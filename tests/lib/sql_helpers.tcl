# SPDX-License-Identifier: MIT
#
# sql_helpers.tcl: what the SQL tests share; source it after common.tcl.
#
# Each test starts from `fresh`: a new folder with host.db, handle `db`, and the virtual table r over <folder>/regions.
# `refused` runs a statement that must fail and reports anything that is wrong about the failure: something changed, a
# transaction lost, a connection that is of no use afterwards.  `twin` runs the same statements on r and, on a second
# connection, on an ordinary table p, and compares outcome and contents after each: SQLite itself is the expectation.
# With SEQDB_TWIN_PLAIN=1 only p is run, which checks the expectations themselves without the extension.

variable plain_only [expr {[info exists env(SEQDB_TWIN_PLAIN)] && $env(SEQDB_TWIN_PLAIN)}]
variable handles {}
variable dir {}

# Names of SQLite's result codes, primary and extended, as far as tests name them.
array set code_names {
  0 OK 1 ERROR 2 INTERNAL 3 PERM 4 ABORT 5 BUSY 6 LOCKED 7 NOMEM 8 READONLY 9 INTERRUPT 10 IOERR 11 CORRUPT 12 NOTFOUND
  13 FULL 14 CANTOPEN 15 PROTOCOL 16 EMPTY 17 SCHEMA 18 TOOBIG 19 CONSTRAINT 20 MISMATCH 21 MISUSE 22 NOLFS 23 AUTH
  25 RANGE 26 NOTADB 275 CHECK 1299 NOTNULL 2067 UNIQUE 2323 VTAB 1555 PRIMARYKEY 2579 ROWID 517 BUSY_SNAPSHOT
}
proc code_name {code} {
  if {[info exists ::code_names($code)]} {return $::code_names($code)}
  if {[info exists ::code_names([expr {$code & 0xff}])]} {return $::code_names([expr {$code & 0xff}])}
  return $code
}

# Is the SQLite of these tests older than VERSION?
proc sqlite_before {version} {
  package require sqlite3
  return [expr {[package vcompare [sqlite3 -version] $version] < 0}]
}

# Open FILE as handle NAME with the extension (and the test commands) loaded; `stale` closes it.
proc connect {name file} {
  open_db $name $file
  lappend ::handles $name
  return $name
}

proc disconnect {name} {
  set ::handles [lsearch -all -inline -not -exact $::handles $name]
  $name close
}

# A new folder, handle db, and the table r (unless sql is given instead).
proc fresh {{sql {CREATE VIRTUAL TABLE r USING seqdb('regions')}}} {
  stale
  set ::dir [temp_dir]
  connect db [file join $::dir host.db]
  db eval $sql
  return
}

# Close every handle; the folder goes with the process (common.tcl).
proc stale {} {
  foreach name $::handles {catch {$name close}}
  set ::handles {}
  if {$::dir ne {}} {
    catch {file delete -force -- $::dir}
    set ::dir {}
  }
}

# A test that starts from `fresh`.  `match` may be exact, glob or regexp.
proc sql_test {name sentence body expected {match exact}} {
  test $name $sentence -setup {fresh} -body [list uplevel #0 $body] -cleanup {stale} -match $match -result $expected
}
# The same without the table r: handle db in a new folder.
proc bare_test {name sentence body expected {match exact}} {
  test $name $sentence -setup {fresh {}} -body [list uplevel #0 $body] -cleanup {stale} -match $match -result $expected
}

# Every region of the table as {name length content-in-hex}, in name order; contents must stay small.
proc rows {{db db} {table r}} {
  $db eval "SELECT name || ' ' || length || ' ' || hex(content) FROM $table ORDER BY name"
}

# Run sql; "ok: result" or "CODE: message".
proc outcome {sql {db db}} {
  if {[catch {uplevel #0 [list $db eval $sql]} result]} {
    set code [lindex [sql_error $db] 1]
    if {$code == 0} {return "failed without a code: $result"}
    return "[code_name $code]: $result"
  }
  return "ok: $result"
}

# The first word of an outcome: ok or the code.
proc word {outcome} {return [lindex [split $outcome :] 0]}

# Run a statement that must fail: "CODE: message", or what is wrong with the failure.
proc refused {sql {db db} {table r}} {
  set before [rows $db $table]
  set autocommit [lindex [sql_error $db] 3]
  set result [outcome $sql $db]
  if {[string match ok:* $result]} {return "accepted: $result"}
  if {[string first \n $result] >= 0} {return "the message has line breaks: $result"}
  if {[rows $db $table] ne $before} {return "changed the contents to [rows $db $table]: $result"}
  if {[lindex [sql_error $db] 3] != $autocommit} {return "the transaction ended: $result"}
  set probe "INSERT INTO $table (name, content) VALUES ('usable afterwards', x'01')"
  if {[catch {$db eval $probe} problem]} {return "unusable after '$result': $problem"}
  $db eval "DELETE FROM $table WHERE name = 'usable afterwards'"
  if {[rows $db $table] ne $before} {return "a write after '$result' left [rows $db $table]"}
  return $result
}

# ---- the ordinary table beside it ---------------------------------------------------------------------------

variable plain_schema {
  CREATE TABLE p(
    name TEXT NOT NULL UNIQUE, content BLOB NOT NULL DEFAULT x'', length INTEGER AS (length(CAST(content AS BLOB))))
}

# Outcome of one statement as a word: ok, UNIQUE, ... or ok:rows when it returns any.
proc twin_word {db table sql} {
  if {[catch {$db eval [string map [list @ $table] $sql]} result]} {return [code_name [lindex [sql_error $db] 1]]}
  return [expr {[llength $result] ? "ok:$result" : "ok"}]
}

proc twin_open {} {
  connect plain :memory:
  plain eval $::plain_schema
}

# Run each statement on both tables (@ stands for the table's name).  Returns the outcomes, or the first difference.
proc twin {args} {
  if {"plain" ni $::handles} twin_open
  set outcomes {}
  set query {SELECT name, length, CAST(content AS BLOB) FROM @ ORDER BY name}
  foreach sql $args {
    set expected [twin_word plain p $sql]
    lappend outcomes $expected
    if {$::plain_only} continue
    set got [twin_word db r $sql]
    if {$got ne $expected} {return "after $outcomes: '$sql' gives '$got', an ordinary table '$expected'"}
    set difference [sql_same db [string map {@ r} $query] plain [string map {@ p} $query]]
    if {$difference ne {}} {return "after '$sql': $difference"}
    if {[lindex [sql_error db] 3] != [lindex [sql_error plain] 3]} {return "'$sql' leaves another transaction state"}
  }
  return $outcomes
}

# ---- looking from outside -----------------------------------------------------------------------------------

# One number of seqdb_stat.
proc stat_of {field {db db} {table r}} {
  $db onecolumn "SELECT json_extract(seqdb_stat('$table'), '$.$field')"
}

# The mappings of files whose path matches pattern, as {low high path}; Linux only.
proc mappings {pattern} {
  set found {}
  foreach line [split [read_file /proc/self/maps] \n] {
    if {[regexp {^([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \S+ +(.*)$} $line -> low high path]
        && [string match $pattern $path]} {
      lappend found [list [expr {"0x$low"}] [expr {"0x$high"}] $path]
    }
  }
  return $found
}

proc address_is_mapped {address pattern} {
  foreach mapping [mappings $pattern] {
    if {$address >= [lindex $mapping 0] && $address < [lindex $mapping 1]} {return 1}
  }
  return 0
}

# KiB of the mappings of `data` in this folder that were ever touched.
proc touched_kib {} {
  set kib 0
  set ours 0
  foreach line [split [read_file /proc/self/smaps] \n] {
    if {[regexp {^[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \S+ *(.*)$} $line -> path]} {
      set ours [string match "$::dir/*/data" $path]
    } elseif {$ours && [regexp {^Rss: +(\d+) kB} $line -> n]} {
      incr kib $n
    }
  }
  return $kib
}

# Open descriptors of this process on files below the folder.
proc open_files {{pattern *}} {
  set found {}
  foreach link [glob -nocomplain -directory /proc/self/fd *] {
    if {![catch {file readlink $link} path] && [string match "$::dir/$pattern" $path]} {lappend found $path}
  }
  return [lsort $found]
}

testConstraint linux [file exists /proc/self/maps]
testConstraint canStrace [expr {![catch {exec strace -f -o /dev/null true}]}]

# Fold the journal into the files, so that what was freed is free.
proc seqdb_settle {{db db} {table r}} {
  $db eval "INSERT INTO ${table}(${table}) VALUES('checkpoint')"
}
