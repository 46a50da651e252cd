# SPDX-License-Identifier: MIT
#
# random_work.tcl: random work on one handle beside a model in Tcl: transactions, savepoints, prepares, snapshots,
# compaction, checkpoints, reopening, and killing (the files are copied as they are and the copy is opened).
#
#   random_run DIR SEED STEPS ?SIZES ?FAULTS??     SIZES: small | large; FAULTS: none | memory | disk.
#       Error: "seed S step N: ..." with the last steps.
#
# The model: a dictionary name -> bytes for the last commit, one for the transaction, one for each mark and snapshot.
# With faults an allocation, or a call that writes, fails now and then: the call that met it must leave everything as it
# was, but for a write's bytes. Run by hand: tclsh tests/engine/random_work.tcl FIRST_SEED COUNT ?STEPS? ?SIZES?
# ?FAULTS?
if {[info exists argv0] && [file tail $argv0] eq [file tail [info script]]} {
  source [file join [file dirname [info script]] .. lib common.tcl]
  source $tests_dir/lib/engine_helpers.tcl
  set by_hand 1
}

source [file join [file dirname [info script]] .. lib follow_helpers.tcl]

namespace eval random {
  variable block [noise 1 1000000]
  variable dir committed now marks snaps prepared published trail step sizes followers gaps

  proc below {n} {return [expr {int(rand() * $n)}]}
  proc pick {list} {return [lindex $list [below [llength $list]]]}

  proc some_bytes {} {
    variable block
    variable sizes
    set most [lindex [dict get {small {0 5 60 60 300 5000 20000} large {1 300 5000 5000 40000 90000 400000}} $sizes]\
        [below 7]]
    set bytes [below [expr {$most + 1}]]
    set from [below [expr {1000000 - $bytes}]]
    return [string range $block $from [expr {$from + $bytes - 1}]]
  }

  # A place in [0, length]: often an end or the edge of a page.
  proc some_place {length} {
    switch [below 4] {
      0 {return $length}
      1 {return [expr {min($length, 4096 * [below 5])}]}
      default {return [below [expr {$length + 1}]]}
    }
  }

  proc say {args} {
    variable trail
    lappend trail [join [lmap word $args {expr {[string length $word] > 30 ? "<[string length $word] bytes>" : $word}}]]
    if {[llength $trail] > 99} {set trail [lrange $trail end-79 end]}
  }

  proc do {args} {
    say {*}$args
    return [::db {*}$args]
  }

  proc same {what view model} {
    if {[lsort [$view list]] ne [lsort [dict keys $model]]} {
      error "$what: regions are {[lsort [$view list]]}, should be {[lsort [dict keys $model]]}"
    }
    dict for {name bytes} $model {
      set got [$view read $name]
      if {$got eq $bytes} continue
      for {set i 0} {[string index $got $i] eq [string index $bytes $i]} {incr i} {}
      error "$what: $name has [string length $got] bytes, should have [string length $bytes], differs at $i"
    }
  }

  # ---- steps

  proc change {} {
    variable now
    variable prepared
    set names [dict keys $now]
    set name [pick $names]
    set kind [pick {create append append append append write write write truncate truncate_write set_length set_length\
        reserve rename remove
      retain}]
    if {$name eq {} || [llength $names] < 3} {set kind create}
    if {$kind in {retain} && [below 6]} {set kind append}
    variable torn [expr {$kind in {write truncate_write retain}}]
    set bytes [some_bytes]
    set old {} ;# not by expr, which takes bytes that look like a number for one
    if {$name ne {}} {set old [dict get $now $name]}
    set length [string length $old]
    switch $kind {
      create {
        set name [pick {a b c d e f g h i j}]
        do create $name
        if {![dict exists $now $name]} {dict set now $name {}}
      }
      append {
        set at [do append $name $bytes]
        if {$at != $length} {error "append to $name returned $at, should be $length"}
        dict set now $name $old$bytes
      }
      write {
        set at [some_place $length]
        do write $name $at $bytes
        dict set now $name \
          [string range $old 0 [expr {$at - 1}]]$bytes[string range $old [expr {$at + [string length $bytes]}] end]
      }
      truncate {
        set at [some_place $length]
        do truncate $name $at
        dict set now $name [string range $old 0 [expr {$at - 1}]]
      }
      truncate_write {
        set at [some_place $length]
        do truncate_write $name $at $bytes
        dict set now $name [string range $old 0 [expr {$at - 1}]]$bytes
      }
      set_length {
        set at [expr {[below 2] ? [some_place $length] : $length + [string length $bytes]}]
        do set_length $name $at
        dict set now $name [string range $old 0 [expr {$at - 1}]][string repeat \0 [expr {max(0, $at - $length)}]]
      }
      reserve {do reserve $name [below 50000]}
      rename {
        set new [pick {a b c d e f g h i j k l m n o p}]
        if {[dict exists $now $new]} {
          if {$new ne $name && [::code_of {do rename $name $new}] ni {EXISTS NOMEM IO FULL}} {
            error "renamed over another region"
          }
          return
        }
        do rename $name $new
        dict unset now $name
        dict set now $new $old
      }
      remove {
        do remove $name
        dict unset now $name
      }
      retain {
        set keep [lrange $names 0 [below 4]]
        do retain $keep
        dict for {name bytes} $now {if {$name ni $keep} {dict unset now $name}}
      }
    }
    if {$kind ne "remove" && [dict exists $now $name] && [::db read $name] ne [dict get $now $name]} {
      same "after $kind" ::db $now
    }
  }

  proc end_transaction {} {
    variable marks {}
    variable prepared {}
  }

  proc savepoint {} {
    variable marks
    variable now
    set level [expr {[llength $marks] ? [lindex $marks end 0] + 1 + [below 2] : [below 2]}]
    do savepoint $level
    lappend marks [list $level $now]
  }

  proc release {} {
    variable marks
    if {$marks eq {}} return
    set i [below [llength $marks]]
    do release [lindex $marks $i 0]
    set marks [lrange $marks 0 $i-1]
  }

  proc rollback_to {} {
    variable marks
    variable now
    variable committed
    if {$marks eq {} || [below 8] == 0} {
      do rollback_to -1
      set marks {}
      set now $committed
    } else {
      set i [below [llength $marks]]
      do rollback_to [lindex $marks $i 0]
      set now [lindex $marks $i 1]
      set marks [lrange $marks 0 $i]
    }
    same "after rollback_to" ::db $now
  }

  proc flush {} {
    variable committed
    variable now
    set before [::stat_of generation]
    if {[do flush] > $before} {variable published 0}
    set committed $now
    end_transaction
    same "after flush" ::db $now
  }

  proc rollback {} {
    variable committed
    variable now
    do rollback
    set now $committed
    end_transaction
    same "after rollback" ::db $now
  }

  proc prepare {} {
    variable now
    variable prepared
    set generation [lindex [do prepare] 1]
    if {$generation > 0} {variable published 0}
    set prepared [list $now]
    if {[below 3] == 0} {
      do publish
      if {$generation > 0} {variable published 1}
      variable committed $now
      end_transaction
    }
  }

  proc snapshot {} {
    variable snaps
    variable committed
    foreach name {snap snap2 snap3} {
      if {[dict exists $snaps $name]} continue
      do snapshot ::$name
      dict set snaps $name $committed
      return
    }
    unsnapshot
  }

  proc unsnapshot {} {
    variable snaps
    set name [pick [dict keys $snaps]]
    if {$name eq {}} return
    same "snapshot $name" ::$name [dict get $snaps $name]
    say $name close
    ::$name close
    dict unset snaps $name
  }

  # What a kill would leave now; an undecided prepare is kept without a coordinator, dropped if asked to.  In the files
  # a published one is undecided until the next record.
  proc kill {} {
    variable dir
    variable committed
    variable prepared
    say kill
    variable published
    set drop [expr {!$published && [below 2]}]
    set copy [::copy_files $dir $dir.copy]
    sdb_open ::db2 $copy -resolve [lindex {keep drop} $drop]
    set model $committed
    if {$prepared ne {} && !$drop} {set model [lindex $prepared 0]}
    same "after a kill" ::db2 $model
    if {[::db2 check] ne {}} {error "after a kill check says: [::db2 check]"}
    variable followers
    foreach follower $followers {::follow ::db2 $follower ::random::gaps}
    ::db2 close
    file delete -force -- $copy
  }

  proc reopen {} {
    variable dir
    variable committed
    variable now $committed
    variable snaps
    while {[dict size $snaps]} unsnapshot
    say reopen
    ::db close
    sdb_open ::db $dir -coordinator app.db
    end_transaction
    same "after reopening" ::db $now
  }

  # What was being written when a sync or the cure of a failed write failed may be there or not.
  proc reopen_poisoned {} {
    variable dir
    variable now
    variable committed
    variable prepared
    variable snaps
    while {[dict size $snaps]} unsnapshot
    say reopen after poison
    ::db close
    sdb_open ::db $dir -coordinator app.db
    foreach state [list $committed $now {*}$prepared] {
      if {![catch {same "after poison" ::db $state} problem]} {
        set committed $state
        break
      }
    }
    set now $committed
    end_transaction
    same "after poison" ::db $now
  }

  proc upkeep {} {
    variable now
    variable committed
    variable prepared
    if {[::db changed]} {
      foreach call {compact checkpoint} {
        if {[::code_of {do $call}] ni {LOCKED NOMEM IO FULL}} {error "$call with changes is not LOCKED"}
      }
      return
    }
    do [pick {compact checkpoint}]
    same "after upkeep" ::db $now
  }

  proc check {} {
    variable snaps
    set problems [::db check]
    if {$problems ne {}} {error "check says: $problems"}
    ::check_layout ::db
    dict for {name model} $snaps {same "snapshot $name" ::$name $model}
  }

  # One of the followers catches up; the first one does so often, the last one seldom.
  proc catch_up {} {
    variable followers
    set which [pick {0 0 0 0 1 1 2}]
    say follower $which, which has [lindex $followers $which 0]
    lset followers $which [::follow ::db [lindex $followers $which] ::random::gaps]
  }

  # Let one of the next calls fail; returns the rule.
  proc add_fault {faults} {
    switch $faults {
      memory {return [sdb_fault add malloc [expr {1 + [below 8]}] -errno ENOMEM]}
      disk {
        set rule [list [pick {pwrite ftruncate punch {pwrite ftruncate} pread}] [expr {1 + [below 3]}] -errno\
            [pick {EIO ENOSPC}]]
        if {[below 3] == 0} {lappend rule -forever}
        if {[lindex $rule 0] in {pwrite pread} && [below 4] == 0} {lappend rule -piece [expr {1 + [below 600]}]}
        return [sdb_fault add {*}$rule]
      }
    }
    return 0
  }

  # One step.  Met by a fault it fails and changes nothing; a poisoned store is opened anew.
  proc step {dice faults} {
    variable now
    variable torn 0
    set rule 0
    if {$dice < 93 && [below 4] == 0} {set rule [add_fault $faults]}
    set failed [catch {
      if {$dice < 55} change elseif {$dice < 62} savepoint elseif {$dice < 65} release elseif {$dice < 70} rollback_to \
        elseif {$dice < 78} flush elseif {$dice < 81} rollback elseif {$dice < 84} prepare \
        elseif {$dice < 87} snapshot elseif {$dice < 90} unsnapshot elseif {$dice < 93} upkeep \
        elseif {$dice < 96} check elseif {$dice < 98} kill else reopen
    } problem options]
    set hits [expr {$rule ? [sdb_fault hits $rule] : 0}]
    if {$rule} {sdb_fault remove $rule}
    if {!$failed} return
    set code [lindex [dict get $options -errorcode] 1]
    if {!$hits || [lindex [dict get $options -errorcode] 0] ne "SEQDB"} {return -options $options $problem}
    say -- $code: $problem
    if {$code eq "POISONED" || [lindex [::db readonly] 0]} {
      reopen_poisoned
    } elseif {$torn} {
      rollback ;# may have changed what the transaction itself had written
    } else {
      same "after a failure" ::db $now
    }
  }

  proc run {directory seed steps how faults} {
    variable dir $directory
    variable sizes $how
    variable committed {}
    variable now {}
    variable marks {}
    variable snaps {}
    variable prepared {}
    variable published 0
    variable trail {}
    variable followers [list [::follower] [::follower] [::follower]]
    variable gaps 0
    expr {srand($seed + 1)}
    sdb_open ::db $dir -create 1 -coordinator app.db
    for {set step 0} {$step < $steps} {incr step} {
      if {[catch {step [below 100] $faults; if {[below 6] == 0} catch_up} problem options]} {
        error "seed $seed step $step: $problem\n[join $trail \n]" [dict get $options -errorinfo]
      }
    }
    while {[dict size $snaps]} unsnapshot
    ::db close
    sdb_open ::db $dir -coordinator app.db
    same "at the end" ::db $committed
    foreach follower $followers {::follow ::db $follower ::random::gaps}
    if {$gaps && $faults eq "none"} {error "seed $seed: $gaps gaps"}
    if {[::db check] ne {}} {error "seed $seed: at the end check says: [::db check]"}
    ::db close
  }
}

proc random_run {dir seed steps {sizes small} {faults none}} {random::run $dir $seed $steps $sizes $faults}

if {[info exists by_hand]} {
  lassign [concat $argv [lrange {0 1 400 small none} [llength $argv] end]] first count steps sizes faults
  for {set seed $first} {$seed < $first + $count} {incr seed} {
    set dir [file join [temp_dir] db]
    if {[catch {random_run $dir $seed $steps $sizes $faults} problem]} {
      puts $problem
      exit 1
    }
    file delete -force -- $dir
  }
  puts "$count runs of $steps steps: ok"
  file delete -force -- $temp_root
}
