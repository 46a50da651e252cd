# SPDX-License-Identifier: MIT
#
# carrier_helpers.tcl: carriers that a test calls through build/tests/ship/carrier-tool, and a Ceph of its own; source
# it after common.tcl.

# ---- calls ---------------------------------------------------------------------------------------------------

# A carrier of a process of its own: a channel.  Its first answer is the opening's.
proc carrier {address} {
  set channel [open |[list $::build_dir/tests/ship/carrier-tool $address 2>@stderr] r+]
  fconfigure $channel -buffering line
  set answer [gets $channel]
  if {[lindex $answer 0] ne "ok"} {
    catch {close $channel}
    error $answer
  }
  return $channel
}
proc ask {channel args} {puts $channel [join $args]}
# {code milliseconds found ...}
proc answer {channel} {
  if {[gets $channel line] < 0} {error "the carrier's process is gone: [catch {close $channel} message] $message"}
  return $line
}
proc call {channel args} {
  ask $channel {*}$args
  return [answer $channel]
}
# Without the time.
proc result {channel args} {return [lreplace [call $channel {*}$args] 1 1]}
proc code {channel args} {return [lindex [call $channel {*}$args] 0]}
proc end {args} {foreach channel $args {close $channel}}

proc median {numbers} {return [lindex [lsort -real $numbers] [expr {[llength $numbers] / 2}]]}

# ---- Ceph ----------------------------------------------------------------------------------------------------

set cluster_script [file join $tests_dir ship cluster]
set cluster_dir {}

# What this machine lacks for a Ceph of its own; {} if nothing.
proc cluster_missing {} {
  set lacks [exec $::cluster_script missing]
  if {$lacks eq {} && [exec id -u] ne "0"} {set lacks "Ceph's servers are started as root here"}
  set tool $::build_dir/tests/ship/carrier-tool
  if {$lacks eq {} && (![file exists $tool] || [catch {exec grep -q librados $tool}])} {
    set lacks "built without librados (package librados-dev)"
  }
  return $lacks
}

proc cluster {verb args} {exec $::cluster_script $verb $::cluster_dir {*}$args 2>@1}

# Starts it and lets clients find it.
proc start_cluster {} {
  set ::cluster_dir [temp_dir]/ceph
  set begin [clock milliseconds]
  cluster start --owner [pid]
  set ::env(CEPH_CONF) $::cluster_dir/ceph.conf
  return [expr {[clock milliseconds] - $begin}]
}

# Pids of all that belongs to it.
proc cluster_processes {} {
  set found {}
  foreach file [glob -nocomplain /proc/\[0-9\]*/cmdline] {
    if {[catch {read_file $file} line] || ![string match *ceph-*$::cluster_dir/* $line]} continue
    lappend found [file tail [file dirname $file]]
  }
  return $found
}
