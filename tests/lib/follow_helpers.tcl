# SPDX-License-Identifier: MIT
#
# follow_helpers.tcl: a follower of a database: what it has is brought up to date with what has changed; source it after
# engine_helpers.tcl.
#
# A follower is a list: the generation that it has, and a dictionary entry -> {created name content}.

proc follower {} {return {0 {}}}

proc splice {old at new} {
  return [string range $old 0 [expr {$at - 1}]]$new[string range $old [expr {$at + [string length $new]}] end]
}

# What changes of `from` leave, with bytes as the snapshot has them.  Changes must come in the order that is promised.
proc follow_apply {state snapshot changes} {
  set last {-1 0}
  set touched {}
  foreach change $changes {
    lassign $change op entry created offset bytes name
    set rank [list [expr {$op eq "remove" ? -1 : $entry}] [lsearch {remove create rename length write} $op]]
    if {[lindex $rank 0] < [lindex $last 0] || ([lindex $rank 0] == [lindex $last 0] && $rank < $last)} {
      error "$change comes after {$last}"
    }
    set last $rank
    switch $op {
      remove {
        if {[dict exists $state $entry] && $created in [list 0 [lindex [dict get $state $entry] 0]]} {
          dict unset state $entry
        }
      }
      create {
        if {[dict exists $state $entry]} {error "entry $entry is created, and is there: [dict get $state $entry]"}
        dict set state $entry [list $created $name {}]
      }
      default {
        if {![dict exists $state $entry]} {error "$change, of a region that is not there"}
        lassign [dict get $state $entry] made called content
        if {$made != $created} {error "$change, of a region created at $made"}
        if {$op eq "length"} {
          set content [string range $content 0 [expr {$offset - 1}]]
          set end $offset
        } elseif {$op eq "write"} {
          if {$bytes == 0 || $offset + $bytes > $end} {error "$change goes beyond $end"}
          if {[string length $content] < $offset} {error "$change leaves a hole behind [string length $content]"}
          set content [splice $content $offset [$snapshot read $name $offset $bytes]]
        }
        dict set state $entry [list $made $name $content]
      }
    }
  }
  return $state
}

proc follow_state {snapshot} {
  set state {}
  foreach name [$snapshot list] {
    set info [$snapshot info $name]
    dict set state [dict get $info index] [list [dict get $info created] $name [$snapshot read $name]]
  }
  return $state
}

proc follow_difference {got wanted} {
  foreach entry [lsort -unique [concat [dict keys $got] [dict keys $wanted]]] {
    foreach state {got wanted} {
      set $state.its [expr {[dict exists [set $state] $entry] ? [dict get [set $state] $entry] : "nothing"}]
    }
    if {${got.its} ne ${wanted.its}} {
      lassign [list [lindex ${got.its} 2] [lindex ${wanted.its} 2]] a b
      for {set i 0} {$i < [string length $a] && [string index $a $i] eq [string index $b $i]} {incr i} {}
      return "entry $entry: [lrange ${got.its} 0 1] ([string length $a] bytes) should be [lrange ${wanted.its} 0 1]\
          ([string length $b] bytes), differs at $i"
    }
  }
  return {}
}

# Bring the follower to what the handle's newest commit is; an error if that is not what comes out.  A gap begins anew,
# if $gaps (a variable's name) is given, and is counted there.
proc follow {handle follower {gaps {}}} {
  lassign $follower since state
  $handle snapshot ::follow_snapshot
  try {
    if {[catch {::follow_snapshot changes $since} changes options]} {
      if {$gaps eq {} || [lindex [dict get $options -errorcode] 1] ne "GAP"} {return -options $options $changes}
      if {[info exists ::env(SHOW_GAPS)]} {puts $changes}
      upvar 1 $gaps count
      incr count
      set state {}
      set changes [::follow_snapshot changes 0]
    }
    set state [follow_apply $state ::follow_snapshot [lrange $changes 1 end]]
    set problem [follow_difference $state [follow_state ::follow_snapshot]]
    if {$problem ne {}} {error "after $since: $problem: [string range $changes 0 1000]"}
    return [list [lindex $changes 0] $state]
  } finally {
    ::follow_snapshot close
  }
}

# What has changed since, without names; of an error its code.
proc changes_since {since {handle db}} {
  $handle snapshot snap
  try {
    if {[catch {snap changes $since} changes options]} {return [lindex [dict get $options -errorcode] 1]}
    return [lmap change [lrange $changes 1 end] {lrange $change 0 4}]
  } finally {
    snap close
  }
}
