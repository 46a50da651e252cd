# SPDX-License-Identifier: MIT
#
# version_1.tcl: the files of a database of format version 1, byte by byte from core/FORMAT.md section 7.  Source it
# after engine_helpers.tcl.

proc padded {bytes to} {return [binary format a$to $bytes]}
proc entry1 {index start length reserved generation name} {
  set page [padded [binary format wwwwa* $start $length $reserved [string length $name] $name] 4032]
  return [sdb_reseal_entry [padded $page[binary format a8w seqdbent $generation] 4096] $index]
}
proc header1 {sequence salt base regions_bytes entries hash} {
  return [sdb_reseal_journal_header [padded [binary format a8iia16wwwwwww seqdbjnl 1 0 0123456789abcdef $sequence \
      $salt $base 1048576 $regions_bytes $entries $hash] 4096]]
}
# A commit (kind 1) or prepare (2) that appends to entry `index`: one put, one range.
proc record1 {kind flags position generation previous entries hash index start length name offset data {owner {}}} {
  set payload [binary format iiwwww $index [string length $name] [expr {168 + [string length $owner]}] $start $length \
      4096]$owner$name[binary format ww $offset [string length $data]]$data
  set head [binary format a4sswwwwwa16iiiiwwwww sqdr $kind $flags [expr {128 + [string length $payload]}] 77 $position \
      $generation $previous [expr {$kind == 2 ? "tttttttttttttttt" : ""}] [string length $owner] 1 0 0 1 \
      [string length $data] 1048576 $entries $hash]
  return [sdb_reseal_record [padded $head 128]$payload]
}
proc term {index page} {return [sdb_entry_hash $page $index]}
proc sum {args} {return [expr {[tcl::mathop::+ {*}$args] & 0xffffffffffffffff}]}
proc signed {hash} {return [expr {$hash > 0x7fffffffffffffff ? $hash - (1 << 64) : $hash}]}

# Regions a ("abc", generation 2) and b ("defg", generation 3); kind: closed; killed, with a record that appends "more"
# to a; prepared, where a coordinator decides about that record.
proc files1 {kind} {
  set a [entry1 0 0 3 4096 2 a]
  set b [entry1 1 4096 4 4096 3 b]
  set more [entry1 0 0 7 4096 4 a]
  set journal [header1 6 77 3 8192 2 [signed [sum [term 0 $a] [term 1 $b]]]][header1 5 66 2 8192 2 1]
  set hash [signed [sum [term 0 $more] [term 1 $b]]]
  set regions $a$b
  if {$kind ne "closed"} {
    append regions \0
    set owner [expr {$kind eq "prepared" ? "app.db" : ""}]
    append journal [padded [record1 [expr {$owner ne {} ? 2 : 1}] 0 8192 4 77 2 $hash 0 0 7 a 3 more $owner] 512]
  }
  set data [padded [padded abc 4096]defg 1048576]
  return [dict create data $data regions $regions journal $journal]
}
proc write1 {dir kind} {
  file mkdir $dir
  dict for {name bytes} [files1 $kind] {write_file $dir/$name $bytes}
}
proc files_of {dir} {lmap name {data regions journal} {read_file $dir/$name}}
