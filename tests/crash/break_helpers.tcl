# SPDX-License-Identifier: MIT
#
# break_helpers.tcl: an engine that is broken on purpose must fail the power-cut rig; for power_cut_rules.test and
# breaks.test. What breaks it is a rule of disk/os_faults.h, from outside, or a patch of breaks/ on a copy of the
# sources.
load_fixture

set found {} ;# "name seed" of each counterexample

# Run the rig's workloads with seeds 1 .. most until one fails: {seed message}, or {} if none does.
set hunt_script {
  proc hunt_seeds {most profile steps outcomes faults} {
    for {set seed 1} {$seed <= $most} {incr seed} {
      if {[catch {sdb_rig $seed $steps $outcomes $faults $profile} message]} {return [list $seed $message]}
    }
    return {}
  }
}
eval $hunt_script

# The verdict on a hunt: the engine as it is must pass what the broken one has failed.
proc verdict {name most result profile steps outcomes faults} {
  if {$result eq {}} {return "no counterexample with $most seeds"}
  set seed [lindex $result 0]
  lappend ::found "$name seed $seed"
  if {[catch {sdb_rig $seed $steps $outcomes $faults $profile} kept]} {
    return "seed $seed fails with all rules kept too: $kept"
  }
  return found
}

# ---- a copy of the engine, patched -----------------------------------------------------------------------------

proc patch_file {name} {return $::tests_dir/crash/breaks/$name.patch}
proc patch_names {} {
  return [lmap path [lsort [glob -directory $::tests_dir/crash/breaks *.patch]] {file rootname [file tail $path]}]
}

# Paths that a patch changes, relative to the root.
proc patched_files {name} {
  set files {}
  foreach {line path} [regexp -all -inline -line {^\+\+\+ b/(\S+)} [read_file [patch_file $name]]] {lappend files $path}
  return $files
}

# "" or why the patch does not fit the sources below `root`.
proc apply_patch {name root args} {
  set command [list patch -p1 -s -f --no-backup-if-mismatch -d $root {*}$args -i [patch_file $name]]
  if {[catch {exec {*}$command 2>@1} output]} {return "the patch does not apply any more: $output"}
  return {}
}

set copy {} ;# of the sources, with a build of its own: made when the first patch wants it, the same for all

# Without assertions: not they are to notice what is wrong.
proc copied_build {} {
  if {$::copy ne {}} return
  set dir [temp_dir]
  exec $::tests_dir/lib/copied_build $dir -Dchecks=false -Db_ndebug=true -Dbuildtype=plain -Doptimization=1 2>@1
  set ::copy $dir
}

# The body's result with that patch in the copy, or what is wrong with the patch.
proc with_patch {name body} {
  copied_build
  set tree $::copy/tree
  set wrong [apply_patch $name $tree --dry-run]
  if {$wrong ne {}} {return $wrong}
  apply_patch $name $tree
  try {
    set targets {tests/seqdbtest.so tests/seqdb_member.so}
    if {[catch {exec ninja -C $::copy/build {*}$targets 2>@1} output]} {return "does not compile: $output"}
    return [uplevel 1 $body]
  } finally {
    foreach path [patched_files $name] {write_file $tree/$path [read_file $::source_root/$path]}
  }
}

# "" or what the compiler says of the patched files; nothing is built.
proc patched_compiles {name} {
  set tree [temp_dir]
  file copy $::source_root/core $::source_root/ext $tree
  set wrong [apply_patch $name $tree]
  if {$wrong ne {}} {return $wrong}
  set paths [lmap path [patched_files $name] {file join $tree $path}]
  set warnings [expr {[string match one_* $name] ? {-Wall -Wextra -Werror} : "-w"}]
  set flags [list -std=c11 -D_GNU_SOURCE {*}$warnings {*}[exec pkg-config --cflags libxxhash sqlite3]]
  lappend flags -I $tree/core -I $tree/ext
  catch {exec gcc {*}$flags -fsyntax-only {*}$paths 2>@1} output
  return $output
}

# Run the script with the patched engine: what it puts, or how it ended.
proc run_broken {script} {
  lassign [run_child $script $::copy/build] how status output
  return [expr {$how eq "exit" && $status eq "0" ? $output : "the broken engine ended with $how $status: $output"}]
}

# "found" if the engine with that patch fails one of the seeds 1 .. most, and passes it without; else what is wrong.
proc hunt {name most args} {
  set result {}
  set problem [with_patch $name {
    set output [run_broken "$::hunt_script\nputs \[list seeds {*}\[hunt_seeds $most $args]]"]
    if {[catch {lindex $output 0} word] || $word ne "seeds"} {return $output}
    set result [lrange $output 1 end]
    string cat
  }]
  return [expr {$problem ne {} ? $problem : [verdict $name $most $result {*}$args]}]
}
