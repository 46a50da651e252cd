# SPDX-License-Identifier: MIT
#
# common.tcl: what every test file needs; source it first and end the file with `finish_tests`.
#
# From the environment (tests/run sets all three; a file run by hand uses the defaults):
#   SEQDB_BUILD    meson's build directory                    default: build-test/gcc, else build
#   SEQDB_VARIANT  gcc | asan | tsan: how it was built        default: gcc
#   SEQDB_FULL     1: run tests with the constraint `full`    default: 0
#
# A script in another folder sources it by its path; $tests_dir and $source_root then lead to everything else.
#
# A comment line "# RUNS: gcc asan tsan" near a file's head names the variants that tests/run tries it with;
# without one it is "gcc asan".
package require Tcl 8.6
package require tcltest 2.3
namespace import -force ::tcltest::*
configure -verbose {body error skip}

proc env_or {name default} {
  return [expr {[info exists ::env($name)] && $::env($name) ne {} ? $::env($name) : $default}]
}

# Of N = 1, 2, ... which a sweep lets fail: all, but every fifth under a sanitizer, where each run takes several times
# as long.  Another fifth for each sweep, and for each run: the first, and how far it is to the next.
set sweep_start [env_or SWEEP_START [expr {[clock seconds] % 5}]]
proc sweep_every {} {
  if {$::test_variant eq "gcc"} {return {1 1}}
  return [list [expr {[incr ::sweep_start] % 5 + 1}] 5]
}

set tests_dir [file dirname [file dirname [file normalize [info script]]]]
set source_root [file dirname $tests_dir]
set test_variant [env_or SEQDB_VARIANT gcc]
set build_dir [env_or SEQDB_BUILD {}]
if {$build_dir eq {}} {
  foreach build_dir [list $source_root/build-test/gcc $source_root/build] {
    if {[file exists $build_dir/tests/seqdbtest.so]} break
  }
}
set build_dir [file normalize $build_dir]

testConstraint full [env_or SEQDB_FULL 0]
testConstraint asan [expr {$test_variant eq "asan"}]
testConstraint notAsan [expr {$test_variant ne "asan"}]
testConstraint notTsan [expr {$test_variant ne "tsan"}]
testConstraint plainBuild [expr {$test_variant eq "gcc"}]
# Root passes every permission check: tests of refused access need somebody else.
testConstraint notRoot [expr {[catch {exec id -u} uid] || $uid ne "0"}]
testConstraint linux [file exists /proc/self/maps]
# Names of constraints must be words: tcltest takes anything else for an expression.
foreach {name tool} {
  has_strace strace  has_clang clang  has_clang_format clang-format  has_gcc gcc  has_cxx g++  has_readelf readelf
  has_nm nm  has_sqlite3 sqlite3
} {
  testConstraint $name [expr {[auto_execok $tool] ne {}}]
}

# The extension as it is installed, and the test build of it (with faults, checks and the commands of the C files here).
proc seqdb_so {} {return $::build_dir/seqdb.so}
proc seqdbtest_so {} {return $::build_dir/tests/seqdbtest.so}

# Load the commands of the C files into this interpreter, once.
proc load_fixture {} {
  if {[info commands sdb_fault] eq {}} {load [seqdbtest_so] Seqdbtest}
}

# Open `file` with SQLite as handle `name`, the extension loaded; -plain takes the installed build instead of the test
# build.
proc open_db {name {file :memory:} {build -test}} {
  package require sqlite3
  set library [expr {$build eq "-plain" ? [seqdb_so] : [seqdbtest_so]}]
  sqlite3 $name $file
  if {$build ne "-plain"} load_fixture
  $name enable_load_extension 1
  $name eval {SELECT load_extension($library, 'sqlite3_seqdb_init')}
  if {$build ne "-plain" && [info commands sql_error] ne {}} {
    $name eval {SELECT load_extension($library, 'sqlite3_sdbtestsql_init')}
  }
  $name enable_load_extension 0
  return $name
}

# {0 rows} or {1 message}.
proc catchsql {sql {db db}} {
  set code [catch {uplevel 1 [list $db eval $sql]} result]
  return [list $code $result]
}

# ---- temporary directories: all below one, which goes away with the process ----------------------------------

set temp_root {}
set temp_count 0

proc temp_dir {} {
  if {$::temp_root eq {}} {
    set ::temp_root [file join [env_or SEQDB_TMP [env_or TMPDIR /tmp]] seqdb-test.[pid]]
    file delete -force -- $::temp_root
    file mkdir $::temp_root
  }
  set dir [file join $::temp_root [incr ::temp_count]]
  file mkdir $dir
  return $dir
}

# Also where a script ends with an error: tclsh then evaluates `exit 1`.
rename exit exit_process
proc exit {{status 0}} {
  if {$::temp_root ne {}} {catch {file delete -force -- $::temp_root}}
  exit_process $status
}

proc write_file {path bytes} {
  set channel [open $path wb]
  puts -nonewline $channel $bytes
  close $channel
}

proc read_file {path} {
  set channel [open $path rb]
  set bytes [read $channel]
  close $channel
  return $bytes
}

# ---- other processes -----------------------------------------------------------------------------------------

# Run a script in a tclsh of its own, with this file and the fixture loaded; what it writes to stdout comes back with
# how it ended: {exit 0 text}, {exit 3 text}, {signal SIGKILL text}.
proc run_child {script {build {}}} {
  if {$build eq {}} {set build $::build_dir}
  set folder [temp_dir]
  set file [file join $folder child.tcl]
  write_file $file "[list source [file join $::tests_dir lib common.tcl]]\nload_fixture\n$script\nexit 0\n"
  set command [list env SEQDB_TMP=$folder SEQDB_BUILD=$build [info nameofexecutable] $file]
  set code [catch {exec -ignorestderr -- {*}$command} output options]
  if {!$code} {return [list exit 0 $output]}
  set error [dict get $options -errorcode]
  set text [regsub {\n?(child killed: .*|child process exited abnormally)$} $output {}]
  switch -- [lindex $error 0] {
    CHILDSTATUS {return [list exit [lindex $error 2] $text]}
    CHILDKILLED {return [list signal [lindex $error 2] $text]}
  }
  return [list error $error $text]
}

# A line that the run shows, beside what failed.
proc report {line} {puts "#### $line"}

# ---- ends ----------------------------------------------------------------------------------------------------

# A whole file that cannot run here: says why and ends the process.
proc skip_file {reason} {
  puts "++++ [file tail [info script]] SKIPPED: $reason"
  puts "[file tail [info script]]:\tTotal\t0\tPassed\t0\tSkipped\t0\tFailed\t0"
  exit 0
}

# Last line of every test file.
proc finish_tests {} {
  set failed $::tcltest::numTests(Failed)
  cleanupTests
  flush stdout
  exit [expr {$failed > 0}]
}
