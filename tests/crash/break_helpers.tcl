# SPDX-License-Identifier: MIT
#
# break_helpers.tcl: an engine that is broken on purpose must fail the power-cut rig; for power_cut_rules.test and breaks.test.
load_fixture

set found {} ;# "rule seed" of each counterexample

# Run `break`, then the rig's workloads with seeds 1 .. most until one fails, then `mend`.  "found" if one did, and passes once
# the engine is mended; else what is wrong.
proc hunt {name break mend most profile steps outcomes faults} {
  eval $break
  set message {}
  try {
    for {set seed 1} {$seed <= $most && $message eq {}} {incr seed} {
      if {[catch {sdb_rig $seed $steps $outcomes $faults $profile} message]} {set at $seed} else {set message {}}
    }
  } finally {
    eval $mend
  }
  if {$message eq {}} {return "no counterexample with $most seeds"}
  lappend ::found "$name seed $at"
  if {[catch {sdb_rig $at $steps $outcomes $faults $profile} kept]} {return "seed $at fails with all rules kept too: $kept"}
  return found
}
