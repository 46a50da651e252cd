# SPDX-License-Identifier: MIT
#
# one_commit_worker.tcl: one process of one_commit_load.test: the load of load.c.  Also by hand.
#
#   tclsh one_commit_worker.tcl FILE THREADS COUNT SYNCHRONOUS SEED
#
# Prints "begun", then what sql_load returns.
source [file join [file dirname [file normalize [info script]]] .. lib common.tcl]
lassign $argv file threads count synchronous seed
open_db db
puts begun
flush stdout
puts [sql_load $file [seqdbtest_so] $threads $count $synchronous $seed]
exit 0
