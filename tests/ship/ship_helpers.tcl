# SPDX-License-Identifier: MIT
#
# ship_helpers.tcl: a writer here, seqdb-ship in processes of its own; source it after common.tcl.
#
#   ship publish --once $db r $carrier       runs it to its end: {status stdout stderr}
#   ship_start p publish $db r $carrier      in the background, as `p`
#   ship_kill p KILL                         or TERM, STOP, CONT
#   ship_end p                               TERM if it still runs: {status stderr}
#
# A writer notes what its database looks like at each generation; a follower is right if it looks like the writer did at
# the generation that it has reached, whichever that is.
set ship_program $build_dir/ext/ship/seqdb-ship
if {![file executable $ship_program]} {skip_file "this build has no seqdb-ship"}
package require sqlite3

proc ship {args} {
  set errors [file join [temp_dir] errors]
  set code [catch {exec -ignorestderr -- timeout -s KILL 120 $::ship_program {*}$args 2>$errors} output options]
  set status 0
  if {$code} {
    set status [lindex [dict get $options -errorcode] 2]
    set output [regsub {\n?child (process|killed).*$} $output {}]
  }
  return [list $status $output [read_file $errors]]
}
proc ship_status {args} {return [lindex [ship {*}$args] 0]}

array set ship_pids {}
array set ship_logs {}
array set ship_statuses {}
proc ship_start {name args} {
  set folder [temp_dir]
  set ::ship_logs($name) $folder/log
  set ::ship_statuses($name) $folder/status
  # The shell notes how it ended; the program is its child, and dies with its time limit.
  set script {timeout -s KILL 300 "$@" 2>"$0/log" >"$0/out" & echo $! >"$0/pid"; wait $!; echo $? >"$0/status.new"
    mv "$0/status.new" "$0/status"}
  set ::ship_shells($name) [exec sh -c $script $folder $::ship_program {*}$args </dev/null >@stdout 2>@stderr &]
  wait_for {[file exists $folder/pid] && [file size $folder/pid] > 1}
  set timeout [string trim [read_file $folder/pid]]
  wait_for {[set ::ship_pids($name) [child_of $timeout]] ne {} || [file exists $folder/status]}
}
proc child_of {pid} {
  if {[catch {read_file /proc/$pid/task/$pid/children} children]} {return {}}
  return [lindex $children 0]
}
proc ship_kill {name signal} {catch {exec kill -$signal $::ship_pids($name)}}
proc ship_log {name} {return [expr {[file exists $::ship_logs($name)] ? [read_file $::ship_logs($name)] : {}}]}
proc ship_ended {name} {return [file exists $::ship_statuses($name)]}
proc ship_end {name {signal TERM}} {
  if {![ship_ended $name]} {ship_kill $name $signal}
  wait_for {[ship_ended $name]}
  return [list [string trim [read_file $::ship_statuses($name)]] [ship_log $name]]
}

# Sleeps until the condition holds; an error after a minute.
proc wait_for {condition {limit_ms 60000}} {
  set until [expr {[clock milliseconds] + $limit_ms}]
  while {![uplevel 1 [list expr $condition]]} {
    if {[clock milliseconds] > $until} {
      set logs [lmap name [array names ::ship_logs] {string cat $name: [ship_log $name]}]
      error "not in time: $condition\n[join $logs \n]"
    }
    after 10
  }
}

# ---- databases ----------------------------------------------------------------------------------------------------

proc open_plain {handle file} {
  sqlite3 $handle $file
  $handle enable_load_extension 1
  $handle eval {SELECT load_extension($::build_dir || '/seqdb')}
  $handle timeout 60000
  return $handle
}

# A database that is written, with regions `r` and rows `users`.
proc writer_open {handle file} {
  open_plain $handle $file
  $handle eval {
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE VIRTUAL TABLE r USING seqdb();
    CREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT UNIQUE, size REAL);
    SELECT seqdb_replicate('r', 'users');
  }
  note $handle
}

# What is in it, as a short text.  Inside BEGIN IMMEDIATE rows and regions are of one commit.
proc picture {handle} {
  set all {}
  $handle eval {SELECT name, length, content FROM r ORDER BY name} row {
    append all $row(name) : $row(length) $row(content)
  }
  if {[$handle onecolumn {SELECT count(*) FROM sqlite_master WHERE name = 'users'}]} {
    $handle eval {SELECT * FROM users ORDER BY id} row {append all $row(id) $row(name) $row(size)}
  }
  return [string length $all]-[zlib crc32 $all]-[zlib adler32 $all]
}
proc generation {handle} {return [$handle onecolumn {SELECT seqdb_stat('r') ->> 'generation'}]}
proc chain_of {handle} {return [$handle onecolumn {SELECT seqdb_stat('r') ->> 'uuid'}]}

array set noted {}
proc note {handle} {set ::noted([chain_of $handle],[generation $handle]) [picture $handle]}

# One commit of several changes by chance, noted.
proc change {handle} {
  $handle eval {BEGIN IMMEDIATE}
  for {set n [expr {1 + int(rand() * 4)}]} {$n > 0} {incr n -1} {
    set name n[expr {int(rand() * 12)}]
    set word [format %08x [expr {int(rand() * 0xffffffff)}]]
    set data [binary format H* [string repeat $word [expr {1 + int(rand() * 3000)}]]]
    set there [$handle onecolumn {SELECT length FROM r WHERE name = $name}]
    switch [expr {int(rand() * 8)}] {
      0 - 1 - 2 {$handle eval {INSERT INTO r(name, append) VALUES($name, $data)}}
      3 {$handle eval {INSERT OR REPLACE INTO r(name, content) VALUES($name, $data)}}
      4 {$handle eval {DELETE FROM r WHERE name = $name}}
      5 {if {$there ne {}} {$handle eval {SELECT seqdb_write('r', $name, $there / 2, $data)}}}
      6 {if {$there ne {}} {$handle eval {UPDATE r SET length = $there / 3 WHERE name = $name}}}
      7 {
        set other n[expr {int(rand() * 12)}]
        if {$there ne {}} {$handle eval {UPDATE OR IGNORE r SET name = $other WHERE name = $name}}
      }
    }
  }
  set id [expr {int(rand() * 30)}]
  set text user[expr {int(rand() * 1000)}]
  switch [expr {int(rand() * 4)}] {
    0 - 1 {$handle eval {INSERT OR REPLACE INTO users(id, name, size) VALUES($id, $text, random() / 3.0)}}
    2 {$handle eval {UPDATE OR IGNORE users SET name = $text WHERE id = $id}}
    3 {$handle eval {DELETE FROM users WHERE id = $id}}
  }
  $handle eval {COMMIT}
  note $handle
}

# {chain generation picture}; {} before the first base.
proc follower_state {handle} {
  $handle eval {BEGIN IMMEDIATE}
  set state {}
  if {[catch {
    set state [$handle eval {SELECT lower(hex(chain)), generation FROM r_follow}]
    if {$state ne {}} {lappend state [picture $handle]}
  } message]} {set state {}}
  $handle eval {COMMIT}
  return $state
}

# What a follower has now: {seqdb_check's answer, chain, generation, picture}; or one word: there is nothing yet.
proc look_at_follower {file} {
  if {![file exists $file]} {return [list "no $file"]}
  open_plain follower_db $file
  set state [follower_state follower_db]
  set check {}
  if {$state ne {}} {set check [follower_db onecolumn {SELECT seqdb_check('r')}]}
  follower_db close
  return [expr {$state eq {} ? "nothing" : [list $check {*}$state]}]
}
# Of what it had: "right", or what is wrong.
proc judge_look {look} {
  if {[llength $look] == 1} {return [lindex $look 0]}
  lassign $look check chain generation picture
  if {$check ne "ok"} {return "check: $check"}
  if {![info exists ::noted($chain,$generation)]} {return "generation $generation of $chain was never written"}
  return [expr {$::noted($chain,$generation) eq $picture ? "right" : "at $generation it is not as the writer was"}]
}
proc judge_follower {file} {return [judge_look [look_at_follower $file]]}
proc follower_generation {file} {
  open_plain follower_db $file
  set state [follower_state follower_db]
  follower_db close
  return [lindex $state 1]
}

# Objects <chain>/<from>, in order: {from ...}.
proc objects {carrier chain} {
  return [lsort -integer [lmap path [glob -nocomplain -directory $carrier/$chain {[0-9]*}] {
    if {[string match *.* [file tail $path]]} continue
    file tail $path
  }]]
}
