/* SPDX-License-Identifier: MIT
**
** failing_calls.c: calls of SQLite that the extension makes and that fail on demand.
**
**   load_extension(FILE, 'sqlite3_sdbtestcalls_init')   the extension with the faulty memory of sql/failing_memory.c;
**                                                       beside that
**                                      the calls below count as "malloc" on file "sqlite-call" and can be made to fail
**                                      by sdb_fault, as they do in SQLite: with an error and its message in the
**                                      connection
**   load_extension(FILE, 'sqlite3_sdbtestold_init')     the extension with an SQLite that lacks sqlite3_expired(), as
**                                                       it may
**   sql_integrity SCHEMA TABLE         what the module's check for PRAGMA integrity_check says of the table connected
**                                      last (SQLite calls it from 3.44 on) -> {code text}
**
** Replaced: prepare_v2, declare_vtab, vtab_config, create_module_v2, create_function_v2, vtab_in_first, vtab_in_next,
** value_text (of text that must be converted), value_blob, str_errcode, libversion_number (an old one). THREADS: the
** interpreter's.
*/
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <tcl.h>
#include "disk/os_faults.h"
#include "sql/failing_memory.h"
#include "lib/test_tcl.h"
#include "lib/testfixture.h"

#pragma GCC visibility push(default)
int sqlite3_seqdb_init(sqlite3 *db, char **error, const sqlite3_api_routines *api);
int sqlite3_sdbtestcalls_init(sqlite3 *db, char **error, const sqlite3_api_routines *api);
int sqlite3_sdbtestold_init(sqlite3 *db, char **error, const sqlite3_api_routines *api);
#pragma GCC visibility pop

static const sqlite3_api_routines *sqlite3_api; /* SQLite's own table */

static bool refused(void) {
  sdb_fault_pending pending = {0};
  int error = sdb_fault_begin(&pending, SDB_CALL_MALLOC, "sqlite-call", 0, 0);
  return sdb_fault_end(&pending, error) != 0;
}

/* ---- statements and declarations --------------------------------------------------------------------------- */

static int faulty_prepare(sqlite3 *db, const char *sql, int bytes, sqlite3_stmt **statement, const char **tail) {
  if (!refused()) return sqlite3_prepare_v2(db, sql, bytes, statement, tail);
  int limit = sqlite3_limit(db, SQLITE_LIMIT_SQL_LENGTH, 1);
  int rc = sqlite3_prepare_v2(db, sql, bytes, statement, tail);
  sqlite3_limit(db, SQLITE_LIMIT_SQL_LENGTH, limit);
  return rc;
}

static int faulty_declare(sqlite3 *db, const char *sql) {
  return sqlite3_declare_vtab(db, refused() ? "CREATE TABLE x(" : sql);
}

static int faulty_config(sqlite3 *db, int operation, ...) {
  if (refused()) return sqlite3_vtab_config(db, 9999);
  return sqlite3_vtab_config(db, operation, 1); /* of those we use, one takes an argument, which is 1 */
}

static int faulty_function(sqlite3 *db, const char *name, int arguments, int flags, void *context,
                           void (*function)(sqlite3_context *, int, sqlite3_value **),
                           void (*step)(sqlite3_context *, int, sqlite3_value **), void (*final)(sqlite3_context *),
                           void (*destroy)(void *)) {
  return sqlite3_create_function_v2(db, name, refused() ? 9999 : arguments, flags, context, function, step, final,
                                    destroy);
}

/* ---- values ------------------------------------------------------------------------------------------------ */

static int faulty_in_first(sqlite3_value *list, sqlite3_value **value) {
  return refused() ? SQLITE_NOMEM : sqlite3_vtab_in_first(list, value);
}

static int faulty_in_next(sqlite3_value *list, sqlite3_value **value) {
  return refused() ? SQLITE_NOMEM : sqlite3_vtab_in_next(list, value);
}

static const unsigned char *faulty_text(sqlite3_value *value) {
  bool tells = sqlite3_libversion_number() >= 3040000; /* its encoding */
  bool converts = tells && sqlite3_value_type(value) == SQLITE_TEXT && sqlite3_value_encoding(value) != SQLITE_UTF8;
  return converts && refused() ? NULL : sqlite3_value_text(value);
}

static const void *faulty_blob(sqlite3_value *value) {
  const void *blob = sqlite3_value_blob(value);
  return blob && refused() ? NULL : blob;
}

static int faulty_str_errcode(sqlite3_str *string) {
  return refused() ? SQLITE_NOMEM : sqlite3_str_errcode(string);
}

static int faulty_version(void) {
  return refused() ? 3037002 : sqlite3_libversion_number();
}

/* ---- the module, and its check ----------------------------------------------------------------------------- */

#if SQLITE_VERSION_NUMBER >= 3044000
typedef sqlite3_module watched_module;
#define BASE(module) (module)
#else
typedef struct watched_module {
  sqlite3_module base;
  int (*xIntegrity)(sqlite3_vtab *, const char *, const char *, int, char **);
} watched_module;
#define BASE(module) (&(module)->base)
#endif

static watched_module watched; /* the extension's, but for xCreate and xConnect */
static const sqlite3_module *original;
static sqlite3_vtab *newest;

static int watched_create(sqlite3 *db, void *client, int argc, const char *const *argv, sqlite3_vtab **vtab,
                          char **error) {
  int rc = original->xCreate(db, client, argc, argv, vtab, error);
  if (rc == SQLITE_OK) newest = *vtab;
  return rc;
}

static int watched_connect(sqlite3 *db, void *client, int argc, const char *const *argv, sqlite3_vtab **vtab,
                           char **error) {
  int rc = original->xConnect(db, client, argc, argv, vtab, error);
  if (rc == SQLITE_OK) newest = *vtab;
  return rc;
}

static int faulty_module(sqlite3 *db, const char *name, const sqlite3_module *module, void *client,
                         void (*destroy)(void *)) {
  if (refused()) {
    destroy(client);
    return SQLITE_NOMEM;
  }
  if (strcmp(name, "seqdb") == 0) {
    original = module;
    memcpy(&watched, module, sizeof watched);
    BASE(&watched)->xCreate = watched_create;
    BASE(&watched)->xConnect = watched_connect;
    module = BASE(&watched);
  }
  return sqlite3_create_module_v2(db, name, module, client, destroy);
}

static int integrity_command(ClientData data, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  char *text = NULL;
  (void)data;
  if (argc != 3 || !newest) {
    Tcl_WrongNumArgs(interp, 1, argv, "schema table");
    return TCL_ERROR;
  }
  int rc = watched.xIntegrity(newest, Tcl_GetString(argv[1]), Tcl_GetString(argv[2]), 0, &text);
  Tcl_Obj *result = Tcl_NewListObj(0, NULL);
  Tcl_ListObjAppendElement(NULL, result, Tcl_NewIntObj(rc));
  Tcl_ListObjAppendElement(NULL, result, Tcl_NewStringObj(text ? text : "", -1));
  sqlite3_free(text);
  Tcl_SetObjResult(interp, result);
  return TCL_OK;
}

/* ---- */

int sqlite3_sdbtestcalls_init(sqlite3 *db, char **error, const sqlite3_api_routines *api) {
  sqlite3_api = api;
  sqlite3_api_routines *faulty = sdb_test_faulty_api(api);
  faulty->prepare_v2 = faulty_prepare;
  faulty->declare_vtab = faulty_declare;
  faulty->vtab_config = faulty_config;
  faulty->create_module_v2 = faulty_module;
  faulty->create_function_v2 = faulty_function;
  faulty->vtab_in_first = faulty_in_first;
  faulty->vtab_in_next = faulty_in_next;
  faulty->value_text = faulty_text;
  faulty->value_blob = faulty_blob;
  faulty->str_errcode = faulty_str_errcode;
  faulty->libversion_number = faulty_version;
  return sqlite3_seqdb_init(db, error, faulty);
}

int sqlite3_sdbtestold_init(sqlite3 *db, char **error, const sqlite3_api_routines *api) {
  static sqlite3_api_routines old;
  old = *api;
  old.expired = NULL;
  return sqlite3_seqdb_init(db, error, &old);
}

int sdb_test_sql_calls_init(Tcl_Interp *interp) {
  Tcl_CreateObjCommand(interp, "sql_integrity", integrity_command, NULL, NULL);
  return TCL_OK;
}
