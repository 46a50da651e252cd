# SPDX-License-Identifier: MIT
#
# full_disk_days.tcl: plays days on a full disk, against a model that is kept in another process and off that disk.
#
#   tclsh full_disk_days.tcl play KIND SEED REFUSALS ?-day N? ?-host in? ?-burst N? ?-lenient {RULE ...}? ?-log FILE?
#   tclsh full_disk_days.tcl replay|shrink KIND FILE ?...?    a log's steps once more; without those that do not matter
#
# KIND: tmpfs | ext4 | overlay (of a tmpfs; mounted here) | fsize | fsize_signal (RLIMIT_FSIZE, SIGXFSZ ignored or not)
# | rule (writes to `data` fail by rule, until something was given back).  -host in: SQLite's file is on that disk, too.
# A day is one database, named by SEED and its number: -day N plays that one alone.  A worker process holds the database
# and is killed now and then.  -burst N: who was refused tries N more times.  What must be true, by RULE:
#
#   lost came_back changed   what was acknowledged stays byte by byte; what was refused or rolled back has no effect
#   delete cut compact       giving space back succeeds                 open     opening works
#   gives_back goes_on       the space is there, and can be used        needless what fits is not refused
#   poison blame code        no refusal ends the session, blames the disk or the files, or is called other than FULL
#   reading                  no SELECT is refused
#   signal check             no signal; seqdb_check finds nothing
#
# A broken rule ends the play with status 1 and the steps of that day, unless it is in -lenient: then it is counted.
# The last line is `ok: D done, R refused, Y days` and the counts of lenient rules.

proc helper {name} {
  set here [file dirname [file normalize [info script]]]
  foreach folder [list $here [file dirname $here] [file dirname $here]/lib] {
    if {[file exists $folder/$name]} {return $folder/$name}
  }
  error "no $name near $here"
}
set me [file normalize [info script]]
source [helper common.tcl]
source [helper full_disk_steps.tcl]

set disk_kib 8192
set limit_kib 3072 ;# RLIMIT_FSIZE

# ---- the disk ------------------------------------------------------------------------------------------------

proc shm_or {folder} {return [expr {[file writable /dev/shm] ? "/dev/shm" : $folder}]}

# This script again, with the small file system mounted on a folder that is named in the environment.
proc mount_and_run {kind} {
  set ::env(SEQDB_TMP) [shm_or [env_or SEQDB_TMP /tmp]]
  set folder [temp_dir]
  set ::env(FULL_DISK_FOLDER) $folder
  set how "mount -t tmpfs -o size=${::disk_kib}k tmpfs $folder"
  if {$kind eq "overlay"} { ;# holes that are filled on reading, behind a file system that does not say so
    set dirs "lowerdir=$folder/lower,upperdir=$folder/upper,workdir=$folder/work"
    append how " && cd $folder && mkdir lower upper work && mount -t overlay -o $dirs overlay $folder"
  }
  if {$kind eq "ext4"} {
    set image $folder.image
    exec truncate -s [expr {$::disk_kib + 4096}]K $image
    exec mkfs.ext4 -q -b 4096 -m 0 -N 64 -O ^has_journal -F $image 2>@1
    set how "mount -o loop $image $folder"
  }
  set unshare [expr {[testConstraint notRoot] ? "unshare -r -m" : "unshare -m"}]
  set command [list {*}$unshare sh -c "$how && exec \"\$@\"" sh [info nameofexecutable] $::me {*}$::argv]
  set failed [catch {exec -ignorestderr {*}$command >@stdout 2>@stderr} message options]
  if {!$failed} {exit 0}
  set code [dict get $options -errorcode]
  exit [expr {[lindex $code 0] eq "CHILDSTATUS" ? [lindex $code 2] : 2}]
}

proc is_mounted {} {return [expr {$::kind in {tmpfs ext4 overlay}}]}
proc avail_kib {} {return [string trim [lindex [split [exec df --output=avail -k $::folder] \n] 1]]}

# Leave so many KiB (a rule: from the Nth write on nothing goes); take that back.
proc make_full {kib} {
  if {[is_mounted]} {
    relax
    while {[set bytes [expr {([avail_kib] - $kib) * 1024}]] > 0} {
      if {![catch {exec fallocate -l $bytes $::folder/filler}]} break
      incr kib 64
    }
  } elseif {$::kind eq "rule"} {
    relax
    set errno [lindex {ENOSPC EDQUOT EFBIG} [expr {$kib % 3}]]
    set ::full [list pwrite [expr {$kib / 256}] -forever -errno $errno -file data]
    must fault add {*}$::full
  } else {
    limit_to $::limit_kib
  }
}
proc limit_to {kib} {
  set ::limit_now $kib
  if {$::worker ne {}} {exec prlimit --pid [pid $::worker] --fsize=[expr {$kib * 1024}]:}
}
proc relax {} {
  set ::full {}
  if {[is_mounted]} {file delete $::folder/filler}
  if {$::kind eq "rule" && $::worker ne {}} {must fault reset}
  if {[string match fsize* $::kind]} {limit_to [expr {$::limit_kib * 4}]}
}

# ---- talking to the worker -----------------------------------------------------------------------------------

set worker {}

proc start_worker {} {
  set command [list [info nameofexecutable] [helper full_disk_worker.tcl]]
  if {[string match fsize* $::kind]} {
    set trap [expr {$::kind eq "fsize" ? "trap '' XFSZ;" : {}}]
    set command [list sh -c "$trap exec \"\$@\"" sh prlimit --fsize=[expr {$::limit_now * 1024}]: {*}$command]
  }
  set ::worker [open |[list {*}$command 2>@stderr] r+]
  fconfigure $::worker -translation lf -encoding iso8859-1 -buffersize 1000000
}

# {CODE AUTOCOMMIT RESULT}; "killed" as the code if it was killed as ordered.
proc ask {args} {
  puts $::worker $args
  if {![catch {flush $::worker; gets $::worker line} got] && $got >= 0} {return $line}
  catch {close $::worker} message options
  set ::worker {}
  set code [dict get $options -errorcode]
  if {$::kill_ordered && [lindex $code 2] eq "SIGKILL"} {return {killed 1 {}}}
  wrong signal "the worker ended at {[string range $args 0 200]}: [lrange $code 2 end] $message"
  return {killed 1 {}} ;# lenient: as if it had been killed
}
proc must {args} {
  set answer [ask {*}$args]
  if {[lindex $answer 0] ne "ok"} {wrong lost "{[string range $args 0 200]} is refused: $answer"}
  return [lindex $answer 2]
}

# ---- rules ---------------------------------------------------------------------------------------------------

proc wrong {rule text} {
  if {$rule in $::lenient} {
    dict incr ::broken $rule
    return
  }
  return -code error -errorcode [list WRONG $rule] "$rule: $text"
}

# With SQLite's file on the full disk it may be SQLite that finds no room.  Where no byte of `data` can be written, not
# even one that has its block, only removing is sure to work.
proc judged {rule} {return [expr {$::host eq "out" && ($::kind ne "rule" || $rule eq "delete")}]}

# What a refusal may say.
proc judge_refusal {code message what} {
  if {[regexp {open it anew|earlier fdatasync|poison} $message]} {
    wrong poison "$what: $code $message"
    set ::poisoned 1
  } elseif {[regexp -nocase {fdatasync|corrupt|damage|checksum|malformed} $message]} {
    wrong blame "$what: $code $message"
  } elseif {($code & 255) != 13 && !($::host eq "in" && ($code & 255) in {10 14})} {
    wrong code "$what: $code $message"
  }
}

# The worker's regions must be those of one of the models, which becomes the state.  `rules`: what each of them breaks.
proc verify {when models {rules {}}} {
  set answer [ask dump]
  if {[lindex $answer 0] ne "ok"} {return [reading_refused $when $answer]}
  set ::killed_again 0
  set seen [lindex $answer 2]
  set i 0
  foreach model $models {
    if {$seen eq [lsort -stride 2 $model]} {
      if {[lindex $rules $i] ne {}} {wrong [lindex $rules $i] "$when: [difference $seen [lindex $models 0]]"}
      set_state $model
      break
    }
    incr i
  }
  if {$i == [llength $models]} {error "lost: $when: [difference $seen [lindex $models 0]]" {} {WRONG lost}}
  set rows [lindex [ask sql {SELECT count(*) FROM log}] 2]
  if {[llength $models] == 1 && $rows ne $::rows} {wrong lost "$when: $rows rows, wanted $::rows"}
  set ::rows $rows
  set check [lindex [ask sql {SELECT seqdb_check('r')}] 2]
  if {$check ne "{ok}" && $check ne "ok"} {wrong check "$when: $check"}
}
proc reading_refused {when answer} {
  if {[lindex $answer 0] eq "killed"} {
    if {!$::kill_ordered} relax ;# a lenient signal: with room it must be readable
    if {[incr ::killed_again] > 3} {error "lost: $when: reading kills the worker, with room too" {} {WRONG lost}}
    return [after_kill [list $::committed]]
  }
  wrong reading "$when: $answer"
  if {$::in_transaction} {
    ask sql ROLLBACK
    set_state $::committed
  }
}
proc difference {seen model} {
  set text {}
  foreach name [lsort -unique [concat [dict keys $seen] [dict keys $model]]] {
    set have [expr {[dict exists $seen $name] ? [dict get $seen $name] : "none"}]
    set want [expr {[dict exists $model $name] ? [dict get $model $name] : "none"}]
    if {$have eq $want} continue
    set at 0
    while {[string index $have $at] eq [string index $want $at]} {incr at}
    append text "region $name has [string length $have] bytes, wanted [string length $want], first difference at $at; "
  }
  return $text
}

# After a refusal nothing is changed: names and lengths always, all bytes often.
proc verify_light {what model} {
  set want {}
  foreach {name content} [lsort -stride 2 $model] {lappend want $name [string length $content]}
  set answer [ask light]
  if {[lindex $answer 0] ne "ok"} {return [reading_refused "after the refused $what" $answer]}
  if {[lindex $answer 2] ne $want} {wrong changed "after the refused $what: {[lindex $answer 2]}, not {$want}"}
  if {[incr ::lights] % 8} return
  set want {}
  foreach {name content} [lsort -stride 2 $model] {
    set crc [zlib crc32 $content]
    lappend want $name $crc $crc
  }
  set answer [ask crc]
  if {[lindex $answer 0] ne "ok"} {return [reading_refused "after the refused $what" $answer]}
  if {[lindex $answer 2] ne $want} {
    wrong changed "after the refused $what the bytes are others: [lindex $answer 2] not $want"
  }
}

proc set_state {model} {
  set ::committed $model
  set ::work $model
  set ::in_transaction 0
  set ::marks {}
}

# ---- changes --------------------------------------------------------------------------------------------------

proc step_change {step} {
  set plan [change $step $::work]
  if {$plan eq {}} return
  lassign $plan sql data model
  lassign [ask sql $sql $data] code autocommit message
  if {$code eq "killed"} {return [after_kill [list $::committed {*}[expr {$::in_transaction ? {} : [list $model]}]]]}
  if {$code eq "ok"} {
    incr ::done
    set ::work $model
    if {!$::in_transaction} {set ::committed $model}
    return
  }
  refused $step $code $autocommit $message $model
}

proc refused {step code autocommit message model} {
  incr ::refused
  set what [string range $step 0 60]
  judge_refusal $code $message $what
  set kind [lindex $step 0]
  if {$kind in {delete cut} && !$::in_transaction && [judged $kind]} {wrong $kind "$what: $message"}
  if {$autocommit && $::in_transaction} {set_state $::committed}
  if {$::poisoned} {return [after_poison $model]}
  if {!$::in_transaction} {judge_need $step $message}
  verify_light $what $::work
}

# A refusal although all of the region would fit twice beside the others.
proc judge_need {step message} {
  lassign $step what name n bytes
  if {$what ni {append append_row create content} || $::reading ne {} || $::kind eq "rule"} return
  set need [expr {2 * $bytes + ([dict exists $::work $name] ? [string length [dict get $::work $name]] : 0) + 524288}]
  if {[is_mounted]} {
    set room [expr {[avail_kib] * 1024}]
  } else {
    set room [expr {$::limit_now * 1024 - ([file exists $::regions/data] ? [file size $::regions/data] : 0)}]
  }
  if {$room >= $need} {wrong needless "[string range $step 0 60]: $room bytes are free, $need would do: $message"}
}

# ---- transactions --------------------------------------------------------------------------------------------

proc step_begin {step} {
  if {$::in_transaction} return
  must sql BEGIN
  set ::in_transaction 1
  set ::marks {}
}
proc step_savepoint {step} {
  if {!$::in_transaction} return
  set name s[llength $::marks]
  set code [plain_statement $step "SAVEPOINT $name"]
  if {$code eq "ok"} {lappend ::marks $name $::work}
}
proc step_release {step} {
  if {[llength $::marks] == 0} return
  if {[plain_statement $step "RELEASE [lindex $::marks end-1]"] eq "ok"} {set ::marks [lrange $::marks 0 end-2]}
}
proc step_rollback_to {step} {
  if {[llength $::marks] == 0} return
  lassign [lrange $::marks end-1 end] name model
  if {[plain_statement $step "ROLLBACK TO $name"] eq "ok"} {set ::work $model}
}
proc step_rollback {step} {
  if {!$::in_transaction} return
  if {[plain_statement $step ROLLBACK] eq "ok"} {set_state $::committed}
}
proc plain_statement {step sql} {
  lassign [ask sql $sql] code autocommit message
  if {$code eq "killed"} {after_kill [list $::committed]}
  if {$code ni {ok killed}} {refused $step $code $autocommit $message $::work}
  return $code
}

# A commit; "vetoed": a commit hook forbids it after the regions are prepared.
proc step_commit {step} {
  if {!$::in_transaction} return
  set vetoed [expr {[lindex $step 1] eq "vetoed"}]
  if {$::host eq "in" && [plain_statement $step {INSERT INTO log VALUES(zeroblob(3000))}] ne "ok"} return
  if {$vetoed} {must veto on}
  lassign [ask sql COMMIT] code autocommit message
  if {$code eq "killed"} {return [after_kill [list $::committed $::work]]}
  if {$vetoed && $::worker ne {}} {must veto off}
  if {$code eq "ok"} {
    incr ::done
    incr ::rows [expr {$::host eq "in"}]
    return [set_state $::work]
  }
  incr ::refused
  set wanted $::work
  if {!$vetoed || ($code & 255) != 19} {judge_refusal $code $message COMMIT}
  if {!$autocommit && $::worker ne {}} {ask sql ROLLBACK}
  set_state $::committed
  if {$::poisoned} {return [after_poison $wanted]}
  set ::dropped $wanted
  verify_light COMMIT $::committed
}

# ---- ends of a session ---------------------------------------------------------------------------------------

# Open; the regions are those of one of the models.
proc open_session {when models {rules {}}} {
  set ::kill_ordered 0
  set ::poisoned 0
  set ::reading {}
  start_worker
  if {$::full ne {}} {must fault add {*}[lreplace $::full 1 1 1]}
  lassign [ask open $::host_file $::regions] code autocommit message
  if {$code ne "ok"} {
    wrong open "$when: $code $message"
    relax
    if {$::worker ne {}} {catch {ask close}}
    stop_worker
    start_worker
    lassign [ask open $::host_file $::regions] code autocommit message
    if {$code ne "ok"} {error "lost: $when, with room again: $code $message" {} {WRONG lost}}
  }
  verify $when $models $rules
}
proc stop_worker {} {
  if {$::worker eq {}} return
  catch {exec kill -KILL [lindex [pid $::worker] end] 2>/dev/null}
  catch {close $::worker}
  set ::worker {}
}
proc after_kill {models} {
  stop_worker
  set_state $::committed
  set rules {}
  if {$::dropped ne {}} {
    set rules [list {*}[lrepeat [llength $models] {}] came_back]
    lappend models $::dropped
  }
  set ::dropped {}
  open_session "opened after a kill" $models $rules
}
# Only where poison is lenient: opened anew with room, what was refused may be there.
proc after_poison {model} {
  set ::poisoned 0
  relax
  catch {ask reader_close}
  catch {ask close}
  stop_worker
  open_session "opened anew after poison" [list $::committed $model] {{} came_back}
}
proc step_kill {step} {after_kill [list $::committed]}
proc step_kill_in {step} {
  set ::kill_ordered 1
  must fault add changing [lindex $step 1] -kill [lindex $step 2]
}
proc step_reopen {step} {
  step_reader_close {}
  set ::in_transaction 0
  set answer [ask close]
  if {[lindex $answer 0] ni {ok killed}} {wrong code "closing: $answer"}
  after_kill [list $::committed]
}
proc step_reader_open {step} {
  if {$::reading ne {} || $::in_transaction || [dict size $::committed] < 2} return
  set ::reading {}
  foreach {name content} [lsort -stride 2 $::committed] {lappend ::reading $name [zlib crc32 $content]}
  must reader_open
}
proc step_reader_close {step} {
  if {$::reading eq {}} return
  set answer [ask reader_close]
  if {[lindex $answer 0] eq "ok" && [lindex $answer 2] ne $::reading} {
    wrong lost "a reader saw other bytes than at its start: [lindex $answer 2]"
  }
  set ::reading {}
  if {$::worker eq {}} {after_kill [list $::committed]}
}
proc step_full {step} {if {!$::in_transaction} {make_full [lindex $step 1]}}
proc step_verify {step} {if {!$::in_transaction} {verify "looked at" [list $::committed]}}

# ---- giving back ---------------------------------------------------------------------------------------------

proc step_upkeep {step} {
  if {$::in_transaction} return
  set what [lindex $step 1]
  lassign [ask sql "INSERT INTO r(r) VALUES('$what')"] code autocommit message
  if {$code eq "killed"} {return [after_kill [list $::committed]]}
  if {$code ne "ok"} {
    incr ::refused
    judge_refusal $code $message $what
    if {$::poisoned} {return [after_poison $::committed]}
    if {[judged compact]} {wrong compact "$what: $message"}
    relax
    return [verify_light $what $::committed]
  }
  incr ::done
  if {$what eq "compact" && $::kind eq "rule"} {relax} ;# something was given back
}

# The biggest regions go until a third is gone; what they held can be used again.  The bytes of a small commit lie in
# the journal, too, until a checkpoint: two regions of a fifth each take up to four fifths.
proc step_evening {step} {
  if {$::in_transaction || $::kill_ordered} return
  step_reader_close {}
  set total 0
  set sizes {}
  dict for {name content} $::committed {
    lappend sizes [list $name [string length $content]]
    incr total [string length $content]
  }
  step_upkeep {upkeep compact}
  set before [expr {[is_mounted] ? [avail_kib] : 0}]
  set gone 0
  foreach pair [lsort -integer -decreasing -index 1 $sizes] {
    lassign $pair name bytes
    set backed [string length [string map [list \0 {}] [dict get $::committed $name]]]
    set refused_before $::refused
    step_change [list delete $name]
    if {$::refused == $refused_before} {incr gone $backed}
    if {$gone * 3 > $total} break
  }
  foreach what {checkpoint compact} {step_upkeep [list upkeep $what]}
  if {$gone < 131072} {return [verify "in the evening" [list $::committed]]}
  if {[is_mounted] && ([avail_kib] - $before) * 1024 < $gone / 2} {
    wrong gives_back "$gone bytes were deleted and compacted, free KiB before $before, after [avail_kib]"
  }
  foreach name {evening1 evening2} {
    set refused_before $::refused
    step_change [list create $name [lindex $step 1] [expr {$gone / 5}]]
    if {$::refused > $refused_before} {wrong goes_on "$gone bytes were given back, [expr {$gone / 5}] are refused"}
  }
  foreach name {evening1 evening2} {step_change [list delete $name]}
  verify "in the evening" [list $::committed]
}

# ---- days -----------------------------------------------------------------------------------------------------

proc do_step {step} {
  lappend ::steps $step
  set what [lindex $step 0]
  if {[info procs step_$what] ne {}} {step_$what $step} else {step_change $step}
}

proc clean {} {
  set ::full {}
  set ::limit_now $::limit_kib
  stop_worker
  foreach file [list $::regions $::folder/filler {*}[glob -nocomplain $::host_file*]] {file delete -force -- $file}
}

proc begin_day {} {
  set ::steps {}
  set ::dropped {}
  set ::kill_ordered 0
  set ::rows 0
  set ::killed_again 0
  clean
  set_state {}
  open_session "in the morning" {{}}
}
proc end_day {} {
  if {$::in_transaction} {do_step rollback}
  foreach step {{evening 1} reopen verify} {do_step $step}
  ask close
  stop_worker
}

proc play_day {day} {
  set ::random [expr {$::seed * 1000003 + $day}]
  pick 2
  set until [expr {min($::refused + 8 * $::burst_most, $::wanted)}]
  set ::burst 0
  set ::refused_before $::refused
  begin_day
  for {set n 0} {$n < 500 && $::refused < $until} {incr n} {
    if {$n % 25 == 0} {do_step [list full [expr {[pick 5] * [pick 300] + ($n == 0 ? 600 : 0)}]]}
    do_step [next_step]
  }
  end_day
}

# {} or {RULE text} of what a list of steps breaks.
proc try_steps {steps} {
  set ::broken {}
  if {[catch {begin_day; foreach step $steps {do_step $step}; end_day} message options]} {
    set code [dict get $options -errorcode]
    return [list [expr {[lindex $code 0] eq "WRONG" ? [lindex $code 1] : "error"}] $message]
  }
}

# Leave out runs of steps, halving their length, as long as the same rule stays broken.
proc shrink {steps} {
  set rule [lindex [try_steps $steps] 0]
  if {$rule eq {}} {return {}}
  for {set run [expr {max(1, [llength $steps] / 2)}]} {$run >= 1} {set run [expr {$run / 2}]} {
    for {set at 0} {$at < [llength $steps]} {} {
      set fewer [lreplace $steps $at [expr {$at + $run - 1}]]
      if {[lindex [try_steps $fewer] 0] eq $rule} {set steps $fewer} else {incr at $run}
    }
  }
  return $steps
}

proc show_steps {steps} {foreach step $steps {puts "  $step"}}

proc run_days {} {
  lassign $::argv mode ::kind ::seed ::wanted
  set given [lrange $::argv [expr {$mode eq "play" ? 4 : 3}] end]
  set options [dict merge {-day {} -host out -burst 30 -lenient {} -log {}} $given]
  set ::host [dict get $options -host]
  set ::lenient [dict get $options -lenient]
  set ::burst_most [dict get $options -burst]
  lassign {0 0 0 {} {} 0 {}} ::done ::refused ::lights ::broken ::full ::poisoned ::reading
  set ::folder [env_or FULL_DISK_FOLDER [temp_dir]]
  set ::regions $::folder/regions
  set ::host_file [expr {$::host eq "in" ? $::folder : [temp_dir]}]/rows.db
  if {$mode in {replay shrink}} {
    set steps [split [string trim [read_file $::seed]] \n]
    if {$mode eq "shrink"} {set steps [shrink $steps]}
    puts "[try_steps $steps]\n[llength $steps] steps:"
    show_steps $steps
    return 0
  }
  set first [expr {[dict get $options -day] ne {} ? [dict get $options -day] : 1}]
  for {set day $first; set most 100000} {$::refused < $::wanted && $most > 0} {incr day; incr most -1} {
    if {[catch {play_day $day} message trace]} {
      puts "WRONG, $::kind, seed $::seed, day $day, step [llength $::steps]: $message"
      if {[lindex [dict get $trace -errorcode] 0] ne "WRONG"} {puts [string range [dict get $trace -errorinfo] 0 2000]}
      show_steps [lrange $::steps end-19 end]
      if {[dict get $options -log] ne {}} {write_file [dict get $options -log] [join $::steps \n]}
      return 1
    }
    if {[dict get $options -day] ne {}} break
  }
  puts "ok: $::done done, $::refused refused, [expr {$day - $first}] days $::broken"
  return 0
}

if {[lindex $argv 1] in {tmpfs ext4 overlay} && ![info exists env(FULL_DISK_FOLDER)]} {mount_and_run [lindex $argv 1]}
set env(SEQDB_TMP) [shm_or [env_or SEQDB_TMP /tmp]]
set status [run_days]
clean
exit $status
