# SPDX-License-Identifier: MIT
#
# page_helpers.tcl: runs a page of sql/journeys/ as its reader would; source it after common.tcl.
#
# The page runs in a fresh folder with `sql` and `build`, as a checkout has them.  Its blocks, in this order:
#
#   console   bash, one for the whole page: lines that begin with "$ " are commands, the other lines are the output,
#             standard error included.  A command goes on after a \, inside of quotes, and in a here-document.  One that
#             fails must show what it says.
#             "$ sqlite3 FILE" alone opens a session of SQLite's shell, which the sql blocks behind it are typed into;
#             it lasts until .quit, the next such line, or the page's end.
#   sql       goes into that session; the `text` block behind it is the output, none if there is none.  Errors are
#             shown as "error: message", for the shell's own wording differs from release to release.
#   others    (python, js, sh, ...) are files: their name is in the first line (# reader.py, // app.js), else the last
#             one in backquotes in the paragraph before.
#
# In an output, … stands for what differs from run to run: inside a line for any text, as a line for any lines.
# A comment "<!-- needs: node numpy -->" names commands, or modules of Python; without one of them the page is skipped.

# Blocks of a page, as a list of {language text paragraph-before line-number}.
proc page_blocks {markdown} {
  set blocks {}
  set language {}
  set paragraph {}
  set number 0
  foreach line [split $markdown \n] {
    incr number
    if {$language eq {}} {
      if {[regexp {^```(\w+)$} $line -> language]} {
        set text {}
        set begin $number
      } elseif {$line eq {} && ![regexp {^\n*$} $paragraph]} {
        set last $paragraph
        set paragraph {}
      } else {
        append paragraph $line \n
      }
    } elseif {$line eq "```"} {
      if {[string trim $paragraph] ne {}} {set last $paragraph}
      lappend blocks [list $language $text [expr {[info exists last] ? $last : {}}] $begin]
      set language {}
      set paragraph {}
    } else {
      append text $line \n
    }
  }
  return $blocks
}

# The word that ends the here-document which a line of bash opens.
proc here_document {line} {
  set word {}
  regexp {<<-?\s*['"]?(\w+)['"]?} $line -> word
  return $word
}

# Does a command of bash end with \ or inside of quotes?
proc goes_on {command} {
  set quote {}
  foreach {- char} [regexp -all -inline {(\\.|\\$|.)} $command] {
    if {$char eq "\\"} {return 1}
    if {$char in {' \"} && $quote in [list {} $char]} {set quote [expr {$quote eq {} ? $char : {}}]}
  }
  return [expr {$quote ne {}}]
}

# {command output command output ...} of a console block.
proc console_steps {text} {
  set steps {}
  set until {}
  foreach line [split [string trimright $text \n] \n] {
    if {$until ne {} || [lindex $steps end] eq {} && [goes_on [lindex $steps end-1]]} {
      lset steps end-1 [lindex $steps end-1]\n$line
      if {$until eq {}} {set until [here_document $line]} elseif {$line eq $until} {set until {}}
    } elseif {[regexp {^\$ (.*)$} $line -> command]} {
      lappend steps $command {}
      set until [here_document $command]
    } elseif {$steps eq {}} {
      error "the block begins with no command: $line"
    } else {
      lset steps end [lindex $steps end]$line\n
    }
  }
  return $steps
}

# Is it the expected output?  … stands for anything.
proc output_matches {expected got} {
  set expected [string trimright $expected \n]
  set pattern [expr {$expected eq {} ? {\n} : {}}]
  foreach line [split $expected \n] {
    if {$line eq "\u2026"} {
      append pattern {(?:[^\n]*\n)*}
    } else {
      set quoted [regsub -all {[][\\.*+?^$|(){}]} $line {\\&}]
      append pattern [string map [list \u2026 {[^\n]*}] $quoted] {\n}
    }
  }
  return [regexp "^$pattern\$" [string trimright $got \n]\n]
}

# The name of the file that a block is.
proc block_file {text paragraph} {
  if {[regexp {^(?:#|//|--|/\*) ([\w./-]+)\s*(?:\*/)?\n} $text -> name]} {return $name}
  return [lindex [regexp -all -inline {`([\w./-]+\.\w+)`} $paragraph] end]
}

# ---- the two shells: what is sent to them, and what comes back until the mark ---------------------------------------

set page_mark "----page-mark----"
set page_seconds 120

proc page_open {folder command} {
  set here [pwd]
  cd $folder
  set channel [open |[concat $command {2>@1}] r+]
  cd $here
  fconfigure $channel -encoding utf-8 -translation lf -blocking 0 -buffering none
  return $channel
}
proc page_close {channel} {
  fconfigure $channel -blocking 1
  catch {close $channel}
}

# {output rest of the mark's line}; an end of the shell is a rest "ended".
proc page_ask {channel input} {
  puts -nonewline $channel $input
  set output {}
  set limit [expr {[clock milliseconds] + 1000 * $::page_seconds}]
  while {1} {
    append output [read $channel]
    if {[regexp -indices "\n?$::page_mark ?(\[^\n]*)\n" $output whole rest]} {
      return [list [string range $output 0 [lindex $whole 0]-1] [string range $output {*}$rest]]
    }
    if {[eof $channel]} {return [list $output ended]}
    if {[clock milliseconds] > $limit} {return [list $output "no end after $::page_seconds s"]}
    after 2
  }
}

# {output status}
proc page_bash {channel steps_file command} {
  write_file $steps_file [encoding convertto utf-8 $command\n]
  return [page_ask $channel ". '$steps_file' </dev/null; printf '\\n%s %s\\n' $::page_mark \$?\n"]
}
# {output rest}
proc page_sql {channel sql} {
  lassign [page_ask $channel "$sql.print $::page_mark\n"] output rest
  set lines {}
  # What shows the place of the error below the message differs, too.
  regsub -all -line {\n  .*\n +\^--- error here$} $output {} output
  foreach line [split [string trimright $output \n] \n] {
    regsub {^(?:Runtime error|Parse error|Error)(?: near line \d+)?: (.*?)(?: \(\d+\))?$} $line {error: \1} line
    lappend lines $line
  }
  return [list [join $lines \n] $rest]
}

# ---- a page ----------------------------------------------------------------------------------------------------------

# Names that a page needs and that are not here.
proc page_missing {markdown} {
  set missing {}
  if {![regexp -line {^<!-- needs: (.*) -->$} $markdown -> names]} {return {}}
  foreach name [split $names] {
    if {[auto_execok $name] ne {} || $name eq "numpy" && [page_python numpy] ne {}} continue
    if {$name eq "better-sqlite3" && [page_node_path] ne {}} continue
    lappend missing $name
  }
  return $missing
}
# The first Python that loads extensions, and the module.
proc page_python {{module sqlite3}} {
  foreach python {/usr/bin/python3 python3} {
    set code "import sqlite3, $module; sqlite3.connect('').enable_load_extension(True)"
    if {![catch {exec $python -c $code 2>@1}]} {return [lindex [auto_execok $python] 0]}
  }
  return {}
}
# Where better-sqlite3 is, from the script of the clients' tests.
proc page_node_path {} {
  if {![info exists ::page_node_path]} {
    set ::page_node_path {}
    set command [list env SEQDB_EXTENSION=[file rootname [seqdb_so]] bash $::tests_dir/clients prepare better-sqlite3]
    if {![catch {exec -ignorestderr {*}$command 2>@1} output]} {
      regexp {NODE_PATH=([^\t]*)} $output -> ::page_node_path
    }
  }
  return $::page_node_path
}

# A page's folder: the links, a home, and the Python it means.
proc page_environment {folder markdown} {
  # A folder of links: its scripts find build/ beside it, and not in the checkout.
  file mkdir $folder/sql
  foreach path [glob -directory $::source_root/sql *] {
    file link -symbolic $folder/sql/[file tail $path] $path
  }
  file link -symbolic $folder/build $::build_dir
  set beside [temp_dir]
  set python [page_python [expr {[string match *numpy* $markdown] ? "numpy" : "sqlite3"}]]
  if {$python ne {}} {file link -symbolic $beside/python3 $python}
  set words [list env HOME=$beside PATH=$beside:$::env(PATH) \
    XDG_CACHE_HOME=[env_or XDG_CACHE_HOME [env_or HOME /tmp]/.cache] LC_ALL=C.UTF-8 TZ=UTC TMPDIR=$beside]
  if {[string match *needs:*better-sqlite3* $markdown]} {lappend words NODE_PATH=[page_node_path]}
  return [list $beside/step $words]
}

# Run a page; {} or what is wrong with it.
proc run_page {markdown {folder {}}} {
  if {$folder eq {}} {set folder [temp_dir]}
  lassign [page_environment $folder $markdown] step environment
  set bash [page_open $folder [concat $environment {bash --norc}]]
  set session {}
  try {
    set blocks [page_blocks $markdown]
    for {set i 0} {$i < [llength $blocks]} {incr i} {
      lassign [lindex $blocks $i] language text paragraph line
      switch -- $language {
        console {set problem [run_console $text]}
        sql {
          set expected {}
          if {[lindex $blocks $i+1 0] eq "text"} {set expected [lindex $blocks [incr i] 1]}
          set problem [run_sql $text $expected]
        }
        text {set problem "no sql block is before this text: nothing makes it"}
        default {
          set name [block_file $text $paragraph]
          set problem [expr {$name eq {} ? "the block has no name of a file" : {}}]
          if {$name ne {}} {write_file $folder/$name [encoding convertto utf-8 $text]}
        }
      }
      if {$problem ne {}} {return "line $line: $problem"}
    }
    if {$blocks eq {}} {return "the page has no block"}
    return {}
  } finally {
    if {$session ne {}} {page_close $session}
    page_bash $bash $step {kill $(jobs -p) 2>/dev/null; wait}
    page_close $bash
  }
}

proc run_console {text} {
  upvar 1 folder folder bash bash session session step step environment environment
  foreach {command expected} [console_steps $text] {
    if {[regexp {^sqlite3 (\S+)$} $command -> file]} {
      if {$session ne {}} {page_close $session}
      set session [page_open $folder [concat $environment [list sqlite3 -batch -init /dev/null $file]]]
      continue
    }
    lassign [page_bash $bash $step $command] output status
    if {![output_matches $expected $output]} {
      return "\$ $command\n---- expected\n$expected---- got, status $status\n[string trimright $output]"
    }
    if {$status ne "0" && ($expected eq {} || ![string is integer $status])} {
      return "\$ $command\n---- failed: $status\n[string trimright $output]"
    }
  }
  return {}
}
proc run_sql {sql expected} {
  upvar 1 session session
  if {$session eq {}} {return "no session of sqlite3 is open"}
  lassign [page_sql $session $sql] output rest
  if {$rest ne {}} {
    page_close $session
    set session {}
    if {![regexp {\.(quit|exit)\n$} $sql]} {return "$sql---- the shell: $rest\n$output"}
  }
  if {[output_matches $expected $output]} {return {}}
  return "$sql---- expected\n$expected---- got\n$output"
}
