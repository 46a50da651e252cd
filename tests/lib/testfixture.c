/* SPDX-License-Identifier: MIT
**
** testfixture.c: makes seqdbtest.so a Tcl extension: `load seqdbtest.so Seqdbtest`.  The same file is the SQLite
** extension in its test build; whoever loads it first, there is one instance of it in the process, so that the faults
** set from Tcl reach the tables used through SQL.
** Each file of commands registers its own.
*/
#include "lib/testfixture.h"

struct sqlite3;
struct sqlite3_api_routines;

#pragma GCC visibility push(default)
int Seqdbtest_Init(Tcl_Interp *interp);
int sqlite3_seqdb_init(struct sqlite3 *db, char **error, const struct sqlite3_api_routines *api);
int sqlite3_seqdbtest_init(struct sqlite3 *db, char **error, const struct sqlite3_api_routines *api);
#pragma GCC visibility pop

/* The entry point that SQLite derives from this file's name, for whoever loads it without naming one. */
int sqlite3_seqdbtest_init(struct sqlite3 *db, char **error, const struct sqlite3_api_routines *api) {
  return sqlite3_seqdb_init(db, error, api);
}

int Seqdbtest_Init(Tcl_Interp *interp) {
  if (Tcl_InitStubs(interp, "8.6", 0) == NULL) {
    return TCL_ERROR;
  }
  int (*const inits[])(Tcl_Interp *) = {
      sdb_test_pure_init,         sdb_test_faults_init,     sdb_test_os_init,        sdb_test_board_init,
      sdb_test_engine_init,       sdb_test_api_init,        sdb_test_sql_init,       sdb_test_models_init,
      sdb_test_models_space_init, sdb_test_damage_init,     sdb_test_inside_init,    sdb_test_api_corners_init,
      sdb_test_syscalls_init,     sdb_test_sql_memory_init, sdb_test_sql_calls_init, sdb_test_api_fork_init,
      sdb_test_api_outputs_init,  sdb_test_api_sizes_init,  sdb_test_history_init,   sdb_test_sql_load_init,
      sdb_test_facts_init,        sdb_test_sql_blob_init};
  for (size_t i = 0; i < sizeof inits / sizeof inits[0]; i++) {
    if (inits[i](interp) != TCL_OK) {
      return TCL_ERROR;
    }
  }
  return Tcl_PkgProvide(interp, "seqdbtest", "1.0");
}
