/* SPDX-License-Identifier: MIT
**
** testfixture.h: one initialization function for each file of Tcl commands in tests/c/.
*/
#ifndef SDB_TESTFIXTURE_H
#define SDB_TESTFIXTURE_H

#include <tcl.h>

int sdb_test_pure_init(Tcl_Interp *interp);       /* test_pure.c: extents and formats against simple models */
int sdb_test_faults_init(Tcl_Interp *interp);     /* test_faults.c: sdb_fault, sdb_sim */
int sdb_test_os_init(Tcl_Interp *interp);         /* test_os.c: the functions of os.h */
int sdb_test_api_init(Tcl_Interp *interp);        /* test_api.c: the engine's C API, one to one */
int sdb_test_sql_init(Tcl_Interp *interp);        /* test_sql.c: what SQLite's own Tcl package cannot show */
int sdb_test_api_init(Tcl_Interp *interp);        /* test_api.c: the engine's C API */
int sdb_test_sql_memory_init(Tcl_Interp *interp); /* test_sql_memory.c: SQLite's memory, automatic loading */
int sdb_test_engine_init(Tcl_Interp *interp);     /* test_rig.c: the engine without SQLite */

#endif /* SDB_TESTFIXTURE_H */
