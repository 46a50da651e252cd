# SPDX-License-Identifier: MIT
#
# process_helpers.tcl: other processes that a test talks to; source it after common.tcl.
#
# A *worker* is a tclsh of its own, with common.tcl, sql_helpers.tcl and the fixture loaded, that evaluates what it is
# sent, one script after the other:
#
#   worker_start a                   start it; its pid is [worker_pid a]
#   worker a {open_db db $file}      evaluate there, and return the result or the error
#   worker_tell a {...}              begin to evaluate; worker_answer a waits for the result
#   worker_signal a KILL             or STOP, CONT
#   worker_end a                     end it as a program ends: its connections are closed
#   workers_end                      kill all that are left
#
# Nothing waits for ever: every answer has a time limit, a worker ends when its parent does (one that works in a loop
# asks told_to_stop), and `timeout` kills one that hangs.  The end of the test file kills them all.

set worker_limit_s 400
array set worker_channel {}
array set worker_pids {}
array set worker_buffer {}
array set worker_answered {}

set worker_script [string map [list @DIR@ $tests_dir @PARENT@ [pid]] {
  source [file join {@DIR@} lib common.tcl]
  source [file join {@DIR@} lib sql_helpers.tcl]
  load_fixture
  # The file `stop` is in the folder, or the parent was killed.
  proc told_to_stop {folder} {
    return [expr {[file exists $folder/stop] || ([file exists /proc/self] && ![file exists /proc/@PARENT@])}]
  }
  fconfigure stdin -translation binary
  fconfigure stdout -translation binary
  puts [pid]
  flush stdout
  while {[gets stdin count] >= 0} {
    set worker_code [catch {uplevel #0 [encoding convertfrom utf-8 [read stdin $count]]} worker_result]
    set worker_result [encoding convertto utf-8 [list $worker_code $worker_result]]
    puts [string length $worker_result]
    puts -nonewline $worker_result
    flush stdout
  }
  foreach worker_handle $handles {catch {$worker_handle close}}
  exit 0
}]

# Start worker `name`; words of `prefix` stand before the tclsh: {env X=1}, {setpriv --reuid 65534 ...}.
proc worker_start {name {prefix {}}} {
  set folder [temp_dir]
  write_file $folder/worker.tcl $::worker_script
  file attributes $folder -permissions 0777
  set command [list timeout -s KILL $::worker_limit_s {*}$prefix env SEQDB_TMP=$folder SEQDB_BUILD=$::build_dir \
    [info nameofexecutable] $folder/worker.tcl]
  set channel [open |[concat $command [list 2>@stderr]] r+b]
  set ::worker_channel($name) $channel
  set ::worker_buffer($name) {}
  set ::worker_answered($name) 0
  fconfigure $channel -blocking 0 -buffering full -translation binary
  fileevent $channel readable [list worker_read $name]
  set ::worker_pids($name) [worker_number $name 30000]
  return $name
}

proc worker_pid {name} {return $::worker_pids($name)}

proc worker_read {name} {
  append ::worker_buffer($name) [read $::worker_channel($name)]
  if {[eof $::worker_channel($name)]} {fileevent $::worker_channel($name) readable {}}
  incr ::worker_answered($name)
}

# Wait until the command `ready`, given what the worker wrote so far, is true.
proc worker_await {name timeout_ms ready} {
  set until [expr {[clock milliseconds] + $timeout_ms}]
  while {![apply $ready $::worker_buffer($name)]} {
    if {[eof $::worker_channel($name)]} {error "worker $name has ended"}
    set left [expr {$until - [clock milliseconds]}]
    if {$left <= 0} {error "worker $name does not answer within $timeout_ms ms"}
    set timer [after $left [list incr ::worker_answered($name)]]
    vwait ::worker_answered($name)
    after cancel $timer
  }
}

# The number in the next line that it writes.
proc worker_number {name timeout_ms} {
  worker_await $name $timeout_ms {buffer {string match *\n* $buffer}}
  set end [string first \n $::worker_buffer($name)]
  set number [string range $::worker_buffer($name) 0 $end-1]
  set ::worker_buffer($name) [string range $::worker_buffer($name) $end+1 end]
  return $number
}

proc worker_tell {name script} {
  set bytes [encoding convertto utf-8 $script]
  puts -nonewline $::worker_channel($name) "[string length $bytes]\n$bytes"
  flush $::worker_channel($name)
}

proc worker_answer {name {timeout_ms 60000}} {
  set count [worker_number $name $timeout_ms]
  worker_await $name $timeout_ms [list buffer "expr {\[string length \$buffer\] >= $count}"]
  set bytes [string range $::worker_buffer($name) 0 $count-1]
  set ::worker_buffer($name) [string range $::worker_buffer($name) $count end]
  lassign [encoding convertfrom utf-8 $bytes] code result
  if {$code == 1} {error $result}
  return $result
}

proc worker {name script {timeout_ms 60000}} {
  worker_tell $name $script
  return [worker_answer $name $timeout_ms]
}

proc worker_signal {name signal} {exec kill -$signal $::worker_pids($name)}

proc worker_forget {name} {
  catch {fileevent $::worker_channel($name) readable {}}
  catch {fconfigure $::worker_channel($name) -blocking 1}
  set failed [catch {close $::worker_channel($name)} message options]
  foreach array {worker_channel worker_pids worker_buffer worker_answered} {unset -nocomplain ::${array}($name)}
  return [expr {$failed ? [dict get $options -errorcode] : {}}]
}

# Kill it and wait until it is gone.  An error if it had ended before by something else than SIGKILL.
proc worker_kill {name} {
  catch {worker_signal $name KILL}
  set code [worker_forget $name]
  if {[lindex $code 0] ne "CHILDKILLED" || [lindex $code 2] ne "SIGKILL"} {error "worker $name ended with: $code"}
  return
}

# It closes what it has open and ends.  Returns {} or Tcl's error code.
proc worker_end {name} {
  catch {chan close $::worker_channel($name) write}
  set until [expr {[clock milliseconds] + 30000}]
  while {![eof $::worker_channel($name)] && [clock milliseconds] < $until} {
    set timer [after 1000 [list incr ::worker_answered($name)]]
    vwait ::worker_answered($name)
    after cancel $timer
  }
  if {![eof $::worker_channel($name)]} {
    worker_kill $name
    error "worker $name does not end"
  }
  return [worker_forget $name]
}

proc workers_end {} {
  foreach name [array names ::worker_channel] {catch {worker_kill $name}}
}

# At the end of the file, however it ends: no process stays.
rename exit exit_without_workers
proc exit {{status 0}} {
  workers_end
  exit_without_workers $status
}

# A test with a fresh folder ($dir, here and in the workers) and the workers `names`; all is gone afterwards.
proc process_test {name sentence constraints names body expected {match exact}} {
  set start {}
  foreach worker $names {append start "worker_start $worker; worker $worker \[list set dir \$::dir\]\n"}
  test $name $sentence -constraints $constraints -setup {fresh {}} -body "$start[list uplevel #0 $body]" -cleanup {
    workers_end
    stale
  } -match $match -result $expected
}

# `script`, every 2 ms, until it is true: the number of milliseconds, or an error after `most_ms`.
proc within {most_ms script} {
  set begin [clock milliseconds]
  while {![uplevel 1 $script]} {
    if {[clock milliseconds] - $begin > $most_ms} {error "not within $most_ms ms: $script"}
    after 2
  }
  return [expr {[clock milliseconds] - $begin}]
}
