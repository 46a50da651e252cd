/* SPDX-License-Identifier: MIT
**
** failing_memory.c: memory that the extension asks SQLite for.
**
**   load_extension(FILE, 'sqlite3_sdbtestmemory_init')   the extension itself, whose calls of sqlite3_malloc and its
**                                                        like
**                                      are counted as "malloc" on file "sqlite" and can be made to fail by sdb_fault
**   sql_memory used                    -> bytes SQLite has given out in all
**   sql_memory limit BYTES             sqlite3_hard_heap_limit64(): past it SQLite's allocations fail; 0 = no limit
**
** The functions are put in place in a copy of SQLite's table of functions, through which the extension makes all its
** calls.  SQLite's own allocations are not reached that way; the heap limit makes those fail, but not one by one.
** THREADS: the interpreter's.
*/
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sqlite3ext.h>
#include <tcl.h>
#include "disk/os_faults.h"
#include "sql/failing_memory.h"
#include "lib/test_tcl.h"
#include "lib/testfixture.h"

#pragma GCC visibility push(default)
int sqlite3_seqdb_init(sqlite3 *db, char **error, const sqlite3_api_routines *api);
int sqlite3_sdbtestmemory_init(sqlite3 *db, char **error, const sqlite3_api_routines *api);
#pragma GCC visibility pop

static const sqlite3_api_routines *sqlite3_api; /* SQLite's own table */
static sqlite3_api_routines faulty_api;

/* ---- allocations that can fail ----------------------------------------------------------------------------- */

static bool refused(uint64_t bytes) {
  sdb_fault_pending pending = {0};
  int error = sdb_fault_begin(&pending, SDB_CALL_MALLOC, "sqlite", 0, bytes);
  return sdb_fault_end(&pending, error) != 0;
}

static void *faulty_malloc(int bytes) {
  return refused((uint64_t)bytes) ? NULL : sqlite3_malloc(bytes);
}

static void *faulty_malloc64(sqlite3_uint64 bytes) {
  return refused(bytes) ? NULL : sqlite3_malloc64(bytes);
}

static void *faulty_realloc(void *memory, int bytes) {
  return refused((uint64_t)bytes) ? NULL : sqlite3_realloc(memory, bytes);
}

static void *faulty_realloc64(void *memory, sqlite3_uint64 bytes) {
  return refused(bytes) ? NULL : sqlite3_realloc64(memory, bytes);
}

static char *faulty_vmprintf(const char *format, va_list arguments) {
  return refused(0) ? NULL : sqlite3_vmprintf(format, arguments);
}

static char *faulty_mprintf(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  char *text = faulty_vmprintf(format, arguments);
  va_end(arguments);
  return text;
}

static char *faulty_str_finish(sqlite3_str *string) {
  char *text = sqlite3_str_finish(string);
  if (!refused(0)) return text;
  sqlite3_free(text);
  return NULL;
}

sqlite3_api_routines *sdb_test_faulty_api(const sqlite3_api_routines *api) {
  sqlite3_api = api;
  faulty_api = *api;
  faulty_api.malloc = faulty_malloc;
  faulty_api.malloc64 = faulty_malloc64;
  faulty_api.realloc = faulty_realloc;
  faulty_api.realloc64 = faulty_realloc64;
  faulty_api.mprintf = faulty_mprintf;
  faulty_api.vmprintf = faulty_vmprintf;
  faulty_api.str_finish = faulty_str_finish;
  return &faulty_api;
}

int sqlite3_sdbtestmemory_init(sqlite3 *db, char **error, const sqlite3_api_routines *api) {
  return sqlite3_seqdb_init(db, error, sdb_test_faulty_api(api));
}

/* ---- commands ---------------------------------------------------------------------------------------------- */

static int need_api(Tcl_Interp *interp) {
  if (sqlite3_api) return TCL_OK;
  Tcl_SetObjResult(interp, Tcl_NewStringObj("load the fixture with sqlite3_sdbtestmemory_init first", -1));
  return TCL_ERROR;
}

static int memory_used(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)argc, (void)argv;
  if (need_api(interp) != TCL_OK) return TCL_ERROR;
  Tcl_SetObjResult(interp, Tcl_NewWideIntObj(sqlite3_memory_used()));
  return TCL_OK;
}

static int memory_limit(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  uint64_t bytes;
  (void)argc;
  if (need_api(interp) != TCL_OK || sdb_test_u64(interp, argv[0], &bytes) != TCL_OK) return TCL_ERROR;
  sqlite3_hard_heap_limit64((sqlite3_int64)bytes);
  return TCL_OK;
}

static const sdb_test_sub memory_subs[] = {
    {"limit", 1, 1, "bytes", memory_limit}, {"used", 0, 0, NULL, memory_used}, {NULL, 0, 0, NULL, NULL}};

int sdb_test_sql_memory_init(Tcl_Interp *interp) {
  Tcl_CreateObjCommand(interp, "sql_memory", sdb_test_dispatch, (ClientData)(uintptr_t)memory_subs, NULL);
  return TCL_OK;
}
