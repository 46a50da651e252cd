# SPDX-License-Identifier: MIT
#
# doc_helpers.tcl: what the tests of the documentation share; source it after common.tcl.

# Fenced blocks of a Markdown text, as a list of {language text}.
proc code_blocks {markdown} {
  set blocks {}
  foreach {whole language text} [regexp -all -inline -line {^```(\w+)\n((?:(?!```).*\n)*)```$} $markdown] {
    lappend blocks [list $language $text]
  }
  return $blocks
}

proc blocks_of_file {path} {
  return [code_blocks [encoding convertfrom utf-8 [read_file $path]]]
}

# Texts of the blocks in one language.
proc blocks_in {language blocks} {
  set texts {}
  foreach block $blocks {
    if {[lindex $block 0] eq $language} {lappend texts [lindex $block 1]}
  }
  return $texts
}

# Pairs of an sql block and the text block behind it ({} if none follows).
proc sql_steps {blocks} {
  set steps {}
  set open 0
  foreach block $blocks {
    lassign $block language text
    switch -- $language {
      sql {
        lappend steps $text {}
        set open 1
      }
      text {
        if {$open} {lset steps end $text}
        set open 0
      }
      default {set open 0}
    }
  }
  return $steps
}

# Relative links of a Markdown file that lead nowhere.
proc broken_links {path} {
  set missing {}
  foreach {whole target} [regexp -all -inline {\]\(([^)#:]+)(?:#[^)]*)?\)} [read_file $path]] {
    if {![file exists [file join [file dirname $path] $target]]} {lappend missing $target}
  }
  return $missing
}

# Run a block of SQL on a connection, statement by statement; rows as the shell's list mode prints them, errors as
# "error: message" (the shell's own wording differs from release to release).
proc run_block {db sql} {
  set lines {}
  set statement {}
  foreach line [split $sql \n] {
    append statement $line \n
    if {[string trim $statement] eq {} || ![$db complete $statement]} continue
    if {[catch {
      $db eval $statement row {
        set values {}
        foreach column $row(*) {lappend values $row($column)}
        lappend lines [join $values |]
      }
    } message]} {
      lappend lines "error: $message"
    }
    unset -nocomplain row
    set statement {}
  }
  return [join $lines \n]
}
