# SPDX-License-Identifier: MIT
#
# driver.tcl: runs test files, each in a tclsh of its own, two at a time, and adds up what they say.
#
#   tclsh tests/lib/driver.tcl ?--build DIR? ?--variants "gcc=DIR asan=DIR tsan=DIR"? ?--full? ?--jobs N? ?FILE ...?
#
# A FILE is a path, or a bare name: each file of that name in any folder of tests/.  Without: all of them.  A file that
# ends without tcltest's summary line, or with a status that the summary does not explain (a crash, a sanitizer's
# report, the time limit), counts as one failed test. The last line is "N passed, N failed"; the exit status is 1 if any
# failed.
package require Tcl 8.6

set tests_dir [file dirname [file dirname [file normalize [info script]]]]
set file_timeout_s 600
set variants {}
set files {}
set full 0
set jobs_max 2

# ---- arguments -----------------------------------------------------------------------------------------------

while {[llength $argv] > 0} {
  set argv [lassign $argv arg]
  switch -- $arg {
    --build {
      set argv [lassign $argv dir]
      dict set variants gcc [file normalize $dir]
    }
    --variants {
      set argv [lassign $argv list]
      foreach pair $list {
        lassign [split $pair =] name dir
        dict set variants $name [file normalize $dir]
      }
    }
    --full {set full 1}
    --jobs {set argv [lassign $argv jobs_max]}
    default {
      set found [concat [glob -nocomplain -types f $arg] [glob -nocomplain -types f -directory $tests_dir $arg */$arg]]
      if {$found eq {}} {
        puts "no such test file: $arg"
        exit 2
      }
      foreach file $found {
        if {[file normalize $file] ni $files} {lappend files [file normalize $file]}
      }
    }
  }
}
if {[dict size $variants] == 0} {dict set variants gcc [file normalize [file join $tests_dir .. build-test gcc]]}
if {$files eq {}} {set files [lsort [glob -directory $tests_dir */*.test]]}

# ---- jobs ----------------------------------------------------------------------------------------------------

# The variants a file wants, from its "# RUNS:" line.
proc runs_of {file} {
  set channel [open $file]
  set head [read $channel 3000]
  close $channel
  if {[regexp -line {^# RUNS: *(.*)$} $head -> runs]} {return $runs}
  return {gcc asan}
}

# The long forms run without sanitizers, which would make hours of them; these run the short forms, with new seeds each
# time.
proc is_full {variant} {return [expr {$::full && $variant eq "gcc"}]}

# Words before "tclsh FILE" that set up a variant's environment.
proc prefix_of {variant dir} {
  set words [list env SEQDB_BUILD=$dir SEQDB_VARIANT=$variant SEQDB_FULL=[is_full $variant] SEQDB_TMP=$::temp_dir]
  switch -- $variant {
    gcc {
      # glibc: memory comes and goes full of bytes, so that nobody relies on zeros.
      lappend words MALLOC_PERTURB_=165
    }
    asan {
      lappend words LD_PRELOAD=[exec gcc -print-file-name=libasan.so] UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
        ASAN_OPTIONS=detect_leaks=0:halt_on_error=1:allocator_may_return_null=1
    }
    tsan {
      # Its shadow memory wants the addresses of a process without randomization.
      lappend words LD_PRELOAD=[exec gcc -print-file-name=libtsan.so] TSAN_OPTIONS=halt_on_error=0:exitcode=66
      set words [concat setarch -R $words]
    }
  }
  return $words
}

proc timeout_of {variant} {return [expr {[is_full $variant] ? 2400 : $::file_timeout_s}]}

proc start {job} {
  lassign $job variant file dir
  set command [concat timeout -k 5 [timeout_of $variant] [prefix_of $variant $dir] [list [info nameofexecutable] $file]]
  set channel [open |[concat $command [list <@ $::null 2>@1]] rb]
  fconfigure $channel -blocking 0 -translation lf -encoding utf-8
  incr ::running
  set ::output($channel) {}
  set ::started($channel) [clock milliseconds]
  fileevent $channel readable [list gather $channel $job]
}

proc gather {channel job} {
  append ::output($channel) [read $channel]
  if {![eof $channel]} return
  fconfigure $channel -blocking 1
  set status 0
  if {[catch {close $channel} message options]} {
    set code [dict get $options -errorcode]
    set status [expr {[lindex $code 0] eq "CHILDSTATUS" ? [lindex $code 2] : [join [lrange $code 0 2]]}]
  }
  judge $job $::output($channel) $status [expr {[clock milliseconds] - $::started($channel)}]
  unset ::output($channel) ::started($channel)
  incr ::running -1
  set ::wake 1
}

# ---- results -------------------------------------------------------------------------------------------------

set passed 0
set failed 0
set failures {} ;# lines, said once more at the end
array set skips {}

proc judge {job text status ms} {
  lassign $job variant file
  set name "[file tail [file dirname $file]]/[file tail $file] ($variant)"
  set sums [regexp -all -inline -line {Total\t(\d+)\tPassed\t(\d+)\tSkipped\t(\d+)\tFailed\t(\d+)} $text]
  lassign [lrange $sums end-4 end] whole total ok skipped bad
  set problem {}
  if {$whole eq {}} {
    lassign {0 0 0 0} total ok skipped bad
    set problem "ended without a summary (status $status)"
    if {$status == 124} {set problem "took more than [timeout_of $variant] seconds"}
  } elseif {$status ne ($bad > 0)} {
    set problem "ended with status $status"
  }
  if {$problem ne {}} {incr bad}
  incr ::passed $ok
  incr ::failed $bad
  foreach {line test reason} [regexp -all -inline -line {^\+\+\+\+ (\S+) SKIPPED: (.*)$} $text] {
    lappend ::skips($reason) $test
  }
  puts [format {%-44s %5d passed %4d failed %4d skipped %7.1f s} $name $ok $bad $skipped [expr {$ms / 1000.0}]]
  foreach {line report} [regexp -all -inline -line {^#### (.*)$} $text] {puts "  $report"}
  foreach {line test} [regexp -all -inline -line {^==== (\S+) FAILED$} $text] {lappend ::failures "$name: $test"}
  if {$problem ne {}} {lappend ::failures "$name: $problem"}
  if {$bad > 0} {
    if {$problem ne {}} {puts "---- $name $problem"}
    set kept [regsub -all -line {^\+\+\+\+ \S+ SKIPPED: .*\n?} $text {}]
    if {[string length $kept] > 20000} {
      set kept "[string range $kept 0 9999]\n...\n[string range $kept end-9999 end]"
    }
    puts [string trim $kept]
    puts "---- end of $name"
  }
  flush stdout
}

# ---- main ----------------------------------------------------------------------------------------------------

set temp_base [expr {[info exists env(TMPDIR)] ? $env(TMPDIR) : "/tmp"}]
set temp_dir [file join $temp_base seqdb-run.[pid]]
file delete -force -- $temp_dir
file mkdir $temp_dir
set null [open /dev/null r]
set queue {}
dict for {variant dir} $variants {
  foreach file $files {
    if {$variant in [runs_of $file]} {lappend queue [list $variant $file $dir]}
  }
}
set running 0
while {$running > 0 || $queue ne {}} {
  while {$queue ne {} && $running < $jobs_max} {
    set queue [lassign $queue job]
    start $job
  }
  vwait wake
}
file delete -force -- $temp_dir

foreach reason [lsort [array names skips]] {
  set tests $skips($reason)
  set shown [lrange [lsort -unique $tests] 0 7]
  puts "skipped, $reason: [llength $tests] ([join $shown {, }][expr {[llength $tests] > 8 ? ", ..." : {}}])"
}
foreach line $failures {puts "failed: $line"}
puts "$passed passed, $failed failed"
exit [expr {$failed > 0}]
