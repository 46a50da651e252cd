/* SPDX-License-Identifier: MIT
**
** testfixture.h: one initialization function for each file of Tcl commands here.
*/
#ifndef SDB_TESTFIXTURE_H
#define SDB_TESTFIXTURE_H

#include <tcl.h>

int sdb_test_pure_init(Tcl_Interp *interp);          /* models/pure.c: extents and formats against simple models */
int sdb_test_models_init(Tcl_Interp *interp);        /* models/trees.c: patches and catalog against simple models */
int sdb_test_models_space_init(Tcl_Interp *interp);  /* models/space.c: space against a map of pages */
int sdb_test_history_init(Tcl_Interp *interp);       /* crash/history.c: sdb_history */
int sdb_test_damage_init(Tcl_Interp *interp);        /* crash/damage.c: sdb_damage */
int sdb_test_faults_init(Tcl_Interp *interp);        /* disk/commands.c: sdb_fault, sdb_sim */
int sdb_test_os_init(Tcl_Interp *interp);            /* engine/os.c: the functions of os.h */
int sdb_test_board_init(Tcl_Interp *interp);         /* engine/board.c: the functions of core/board */
int sdb_test_board_threads_init(Tcl_Interp *interp); /* engine/board_threads.c: members in threads */
int sdb_test_syscalls_init(Tcl_Interp *interp);      /* disk/syscalls.c: calls of the C library that fail */
int sdb_test_inside_init(Tcl_Interp *interp);      /* engine/inside.c: the memory of a store changed behind its back */
int sdb_test_api_corners_init(Tcl_Interp *interp); /* engine/api_corners.c: calls that no command makes */
int sdb_test_api_fork_init(Tcl_Interp *interp);    /* engine/api_fork.c: what a forked child is told */
int sdb_test_api_outputs_init(Tcl_Interp *interp); /* engine/api_outputs.c: outputs of calls that fail */
int sdb_test_api_sizes_init(Tcl_Interp *interp);   /* engine/api_sizes.c: structures that carry their size */
int sdb_test_api_init(Tcl_Interp *interp);         /* engine/api.c: the engine's C API, one to one */
int sdb_test_sql_init(Tcl_Interp *interp);         /* sql/commands.c: what SQLite's own Tcl package cannot show */
int sdb_test_sql_memory_init(
    Tcl_Interp *interp);                     /* sql/failing_memory.c: the memory that the extension asks SQLite for */
int sdb_test_facts_init(Tcl_Interp *interp); /* facts/probe.c: a virtual table that tells what SQLite calls */
int sdb_test_sql_load_init(Tcl_Interp *interp);  /* sql/load.c: rows and regions under load */
int sdb_test_sql_blob_init(Tcl_Interp *interp);  /* sql/blob_commands.c: the calls of seqdb_blob.h */
int sdb_test_sql_calls_init(Tcl_Interp *interp); /* sql/failing_calls.c: calls of SQLite that fail */
int sdb_test_engine_init(Tcl_Interp *interp);    /* crash/rig.c: the engine without SQLite */

#endif /* SDB_TESTFIXTURE_H */
