# SPDX-License-Identifier: MIT
#
# layers.tcl: who includes and who calls whom in core/ and ext/, and what of it is not allowed; for layering.test.
#
# A module is a .c file with the header of its name.  Its room is its folder in core/, or ext.  What a module uses is
# read from its #include lines and from the symbols of its object.  Every check is a proc that takes the root of a tree,
# and symbols where it needs them, and returns a list of problems: so the checks can be tried on a copy that is wrong on
# purpose.
#
#   layers::symbols BUILD ROOT  -> module {defined NAMES undefined NAMES writable NAMES} ...
#   layers::uses ROOT SYMBOLS   -> module {module ...} ...

namespace eval layers {
  # A room may use those that come before it.
  variable rooms {base 0 os 0 pure 1 files 2 space 3 board 4 txn 5 store 6}
  variable public {core/seqdb.h core/seqdb_types.h}
}

# ---- what is there -----------------------------------------------------------------------------------------------

# C files below folders of a tree, relative to it.  ext/ship/ is a program that has the extension in it, no part of it.
proc layers::sources {root args} {
  set found {}
  foreach folder $args {
    foreach pattern {*.c *.h */*.c */*.h} {lappend found {*}[glob -nocomplain -directory $root -tails $folder/$pattern]}
  }
  return [lsort [lsearch -all -inline -not $found ext/ship/*]]
}

proc layers::module_of {path} {return [file rootname $path]}
proc layers::room_of {path} {
  return [expr {[string match core/*/* $path] ? [lindex [file split $path] 1] : [lindex [file split $path] 0]}]
}
proc layers::rank_of {path} {
  variable rooms
  set room [room_of $path]
  return [expr {[dict exists $rooms $room] ? [dict get $rooms $room] : $room eq "core" ? -1 : 9}]
}

# Code without comments; the second form without strings too: a name in either is no use of it.
proc layers::code_of {path} {
  return [regsub -all {/\*[^*]*\*+([^/*][^*]*\*+)*/} [read_file $path] { }]
}
proc layers::bare_code_of {path} {return [regsub -all {"([^"\\\n]|\\.)*"} [code_of $path] {""}]}

# Files of ours that a file includes, relative to the root, and others by their name alone: {{path ...} {name ...}}
proc layers::includes {root path} {
  set ours {}
  set others {}
  foreach {line bracket header} \
      [regexp -all -inline -line {^[ \t]*#[ \t]*include[ \t]+([<"])([^>"]+)[>"]} [code_of $root/$path]] {
    set found {}
    foreach folder [list [file dirname $path] core ext tests] {
      if {$bracket eq "\"" && [file exists $root/$folder/$header]} {
        set found $folder/$header
        break
      }
    }
    if {$found eq {}} {lappend others $header} else {lappend ours $found}
  }
  return [list $ours $others]
}

proc layers::symbols_of {object} {
  set result {defined {} undefined {} writable {}}
  # Constants that hold addresses are in sections that are writable until they are loaded.
  foreach line [split [exec nm -f sysv $object] \n] {
    if {[llength [set fields [split $line |]]] != 7} continue
    lassign [lmap field $fields {string trim $field}] name value type kind size number section
    if {$type in {U w v}} {
      dict lappend result undefined $name
    } elseif {[string is upper $type]} {
      dict lappend result defined $name
      if {$type in {B D C G S} && ![string match .data.rel.ro* $section]} {dict lappend result writable $name}
    }
  }
  return $result
}

# Of the engine's library and of the extension as they are shipped.  Meson names an object after its path from its
# meson.build.
proc layers::symbols {build root} {
  set result {}
  foreach path [sources $root core ext] {
    if {[file extension $path] ne ".c"} continue
    set from_core [string map {/ _} [string range $path 5 end]]
    set objects [glob -nocomplain $build/core/libseqdb*.p/$from_core.o $build/seqdb.so.p/[string map {/ _} $path].o]
    if {$objects ne {}} {dict set result [module_of $path] [symbols_of [lindex $objects 0]]}
  }
  return $result
}

# The object of one file of a tree, compiled here and now.
proc layers::symbols_compiled {root path} {
  set object [temp_dir]/object.o
  exec gcc -std=c11 -D_GNU_SOURCE -w {*}[exec pkg-config --cflags sqlite3 libxxhash] -I $root/core -I $root/ext -c \
      $root/$path \
    -o $object
  return [symbols_of $object]
}

# symbol -> the module that defines it
proc layers::homes {symbols} {
  set homes {}
  dict for {module lists} $symbols {
    foreach name [dict get $lists defined] {dict set homes $name $module}
  }
  return $homes
}

# {user used symbol} of each call between modules.  SQLite's table of functions, which all of ext/ looks at, is no
# module's.
proc layers::calls {symbols} {
  set homes [homes $symbols]
  set found {}
  dict for {module lists} $symbols {
    foreach name [dict get $lists undefined] {
      if {$name ne "sqlite3_api" && [dict exists $homes $name]} {
        lappend found [list $module [dict get $homes $name] $name]
      }
    }
  }
  return $found
}

proc layers::uses {root symbols} {
  set uses {}
  foreach path [sources $root core ext] {
    foreach used [lindex [includes $root $path] 0] {
      if {[module_of $used] ne [module_of $path]} {dict set uses [module_of $path] [module_of $used] 1}
    }
  }
  foreach call [calls $symbols] {
    lassign $call user used
    if {$user ne $used} {dict set uses $user $used 1}
  }
  set result {}
  dict for {user used} $uses {dict set result $user [lsort [dict keys $used]]}
  return $result
}

# ---- what is not allowed -----------------------------------------------------------------------------------------

proc layers::unknown_rooms {root} {
  variable rooms
  set problems {}
  foreach path [sources $root core] {
    set room [room_of $path]
    if {$room ne "core" && ![dict exists $rooms $room]} {lappend problems "$path: no such room"}
  }
  return $problems
}

proc layers::upward_includes {root} {
  variable public
  set problems {}
  foreach path [sources $root core ext] {
    foreach used [lindex [includes $root $path] 0] {
      if {$used ni $public && [rank_of $used] > [rank_of $path]} {lappend problems "$path includes $used"}
    }
  }
  return $problems
}

proc layers::upward_calls {symbols} {
  set problems {}
  foreach call [calls $symbols] {
    lassign $call user used name
    if {[rank_of $used.c] > [rank_of $user.c]} {lappend problems "$user.c calls $name of $used.c"}
  }
  return $problems
}

# Sets of modules that use each other in a circle (Tarjan's strongly connected components), and why.
proc layers::circles {root symbols} {
  variable uses [uses $root $symbols]
  variable index {} low {} stack {} found {} count 0
  foreach module [dict keys $uses] {
    if {![dict exists $index $module]} {visit $module}
  }
  set problems {}
  foreach circle $found {
    set why {}
    foreach call [calls $symbols] {
      lassign $call user used name
      if {$user in $circle && $used in $circle && $user ne $used} {
        lappend why "[file tail $user]->[file tail $used]:$name"
      }
    }
    lappend problems "[join [lsort $circle] { }]: [join [lrange $why 0 11] { }]"
  }
  return $problems
}

proc layers::visit {module} {
  variable uses
  variable index
  variable low
  variable stack
  variable found
  variable count
  dict set index $module [incr count]
  dict set low $module $count
  lappend stack $module
  foreach used [expr {[dict exists $uses $module] ? [dict get $uses $module] : {}}] {
    if {![dict exists $index $used]} {
      visit $used
      dict set low $module [expr {min([dict get $low $module], [dict get $low $used])}]
    } elseif {$used in $stack} {
      dict set low $module [expr {min([dict get $low $module], [dict get $index $used])}]
    }
  }
  if {[dict get $low $module] == [dict get $index $module]} {
    set at [lsearch -exact $stack $module]
    set circle [lrange $stack $at end]
    set stack [lrange $stack 0 $at-1]
    if {[llength $circle] > 1} {lappend found $circle}
  }
}

# ext/meson.build lists the lowest file first.
proc layers::out_of_order {root symbols} {
  set order {}
  foreach {line name} [regexp -all -inline -line {^ *'(\w+)\.c',} [read_file $root/ext/meson.build]] {
    lappend order ext/$name
  }
  set problems {}
  dict for {user used_modules} [uses $root $symbols] {
    foreach used $used_modules {
      set at [lsearch -exact $order $user]
      if {$at >= 0 && [lsearch -exact $order $used] > $at} {
        lappend problems "$user uses $used, which is listed behind it"
      }
    }
  }
  return $problems
}

proc layers::sqlite_in_core {root} {
  set problems {}
  foreach path [sources $root core] {
    foreach header [concat {*}[includes $root $path]] {
      if {[string match -nocase *sqlite* $header]} {lappend problems "$path includes $header"}
    }
    if {[regexp -nocase {\msqlite3?_\w+} [bare_code_of $root/$path] name]} {lappend problems "$path uses $name"}
  }
  return $problems
}

# ext/ sees the public headers of core/ alone; neither sees the tests.
proc layers::private_headers {root} {
  variable public
  set problems {}
  foreach path [sources $root core ext] {
    foreach used [lindex [includes $root $path] 0] {
      if {[string match tests/* $used] || [string match ext/* $path] && [string match core/* $used] && $used ni\
          $public} {
        lappend problems "$path includes $used"
      }
    }
    if {[string match ext/* $path] && [regexp {\msdb_os_\w+} [bare_code_of $root/$path] name]} {
      lappend problems "$path uses $name"
    }
  }
  return $problems
}

proc layers::platform_questions {root} {
  set pattern {\m(__linux__|__linux|__APPLE__|__MACH__|__FreeBSD__|__NetBSD__|__OpenBSD__|_WIN32|__unix__|__GLIBC__)\M}
  set problems {}
  foreach path [sources $root core ext] {
    if {![string match core/os/* $path] && [regexp $pattern [bare_code_of $root/$path] name]} {
      lappend problems "$path asks for $name"
    }
  }
  return $problems
}

# Each module declares what it offers in a header of its own.  os.h is the contract that a file for each platform
# fulfils together with one for all, seqdb.h is the library's.
proc layers::foreign_declarations {root symbols} {
  variable public
  set homes [homes $symbols]
  set problems {}
  foreach path [sources $root core ext] {
    if {[file extension $path] ne ".h" || $path in $public || $path eq "core/os/os.h"} continue
    set foreign {}
    foreach {whole name} [regexp -all -inline {\m((?:sdb|seqdb)_\w+)\s*\([^;{}]*\)[^;{}]*;}\
        [bare_code_of $root/$path]] {
      if {[dict exists $homes $name] && [dict get $homes $name] ne [module_of $path]} {
        dict lappend foreign [dict get $homes $name] $name
      }
    }
    dict for {module names} $foreign {
      lappend problems "$path declares for $module.c: [join [lsort -unique $names] { }]"
    }
  }
  return $problems
}

# What is in core/ is in the library; other systems' files apart.
proc layers::built_for_tests_only {root symbols} {
  set problems {}
  foreach path [sources $root core] {
    if {[file extension $path] eq ".c" && ![string match core/os/os_* $path] &&\
        ![dict exists $symbols [module_of $path]]} {
      lappend problems "$path is not in the library"
    }
  }
  foreach meson [glob -nocomplain $root/tests/meson.build $root/tests/*/meson.build] {
    if {[regexp {'(?:\.\./)+core/[^']*\.c'} [read_file $meson] file]} {
      lappend problems "[string range $meson [string length $root/] end] builds $file"
    }
  }
  return $problems
}

proc layers::test_switches {root} {
  set problems {}
  foreach path [sources $root core ext] {
    if {[regexp {\m(sdb_break\w*|SDB_FAULTS|sdb_fault\w*|sdb_sim_\w+)\M} [read_file $root/$path] name]} {
      lappend problems "$path: $name"
    }
  }
  return $problems
}
