/* SPDX-License-Identifier: MIT
**
** probe.c: a virtual table that has no rows, takes every change, and tells what SQLite calls, and when.
**
**   fact_probe register DB      the module `probe` for that connection: CREATE VIRTUAL TABLE v USING probe
**   fact_probe sync WORD        what xSync does from now on: nothing; blob or update (both write x'77' into the blob
**                               column b of row 1 of the table shadow), or a result code, which it returns
**   fact_probe quiet BOOLEAN    1: looks for no journal
**   fact_probe calls            what was called since the last time: begin sync commit rollback filter, each with
**                               :journal if SQLITE_FCNTL_JOURNAL_POINTER gave a file that can be synced (it was), and
**                               xSync with :autocommit=0 or 1
*/
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sqlite3ext.h>
#include <tcl.h>
#include "lib/testfixture.h"
#include "sql/commands.h"

static const sqlite3_api_routines *sqlite3_api;

struct probe {
  sqlite3_vtab base;
  sqlite3 *db;
};

static char calls[2000], action[20];
static int quiet;

static void tell(struct probe *probe, const char *call) {
  sqlite3_file *file = NULL;
  if (!quiet) sqlite3_file_control(probe->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file);
  bool synced = file && file->pMethods && file->pMethods->xSync(file, SQLITE_SYNC_NORMAL) == SQLITE_OK;
  size_t used = strlen(calls);
  snprintf(calls + used, sizeof calls - used, "%s%s%s", used ? " " : "", call, synced ? ":journal" : "");
}

static int probe_connect(sqlite3 *db, void *context, int argc, const char *const *argv, sqlite3_vtab **table,
                         char **error) {
  (void)context;
  (void)argc;
  (void)argv;
  (void)error;
  struct probe *probe = sqlite3_malloc(sizeof *probe);
  if (!probe) return SQLITE_NOMEM;
  *probe = (struct probe){.db = db};
  *table = &probe->base;
  return sqlite3_declare_vtab(db, "CREATE TABLE v(a)");
}
static int probe_disconnect(sqlite3_vtab *table) {
  sqlite3_free(table);
  return SQLITE_OK;
}
static int probe_best_index(sqlite3_vtab *table, sqlite3_index_info *info) {
  (void)table;
  (void)info;
  return SQLITE_OK;
}
static int probe_open(sqlite3_vtab *table, sqlite3_vtab_cursor **cursor) {
  (void)table;
  *cursor = sqlite3_malloc(sizeof **cursor);
  return *cursor ? SQLITE_OK : SQLITE_NOMEM;
}
static int probe_close(sqlite3_vtab_cursor *cursor) {
  sqlite3_free(cursor);
  return SQLITE_OK;
}
static int probe_filter(sqlite3_vtab_cursor *cursor, int number, const char *text, int argc, sqlite3_value **argv) {
  (void)number;
  (void)text;
  (void)argc;
  (void)argv;
  tell((struct probe *)cursor->pVtab, "filter");
  return SQLITE_OK;
}
static int probe_next(sqlite3_vtab_cursor *cursor) {
  (void)cursor;
  return SQLITE_OK;
}
static int probe_eof(sqlite3_vtab_cursor *cursor) {
  (void)cursor;
  return 1;
}
static int probe_column(sqlite3_vtab_cursor *cursor, sqlite3_context *context, int column) {
  (void)cursor;
  (void)context;
  (void)column;
  return SQLITE_OK;
}
static int probe_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *rowid) {
  (void)cursor;
  *rowid = 1;
  return SQLITE_OK;
}
static int probe_update(sqlite3_vtab *table, int argc, sqlite3_value **argv, sqlite3_int64 *rowid) {
  (void)table;
  (void)argc;
  (void)argv;
  *rowid = 1;
  return SQLITE_OK;
}
static int probe_begin(sqlite3_vtab *table) {
  tell((struct probe *)table, "begin");
  return SQLITE_OK;
}

static int write_blob(sqlite3 *db) {
  sqlite3_blob *blob = NULL;
  int rc = sqlite3_blob_open(db, "main", "shadow", "b", 1, 1, &blob);
  if (rc == SQLITE_OK) rc = sqlite3_blob_write(blob, "\x77", 1, 0);
  int closed = sqlite3_blob_close(blob);
  return rc == SQLITE_OK ? closed : rc;
}
static int probe_sync(sqlite3_vtab *table) {
  struct probe *probe = (struct probe *)table;
  int code = 0;
  tell(probe, "sync");
  size_t used = strlen(calls);
  snprintf(calls + used, sizeof calls - used, ":autocommit=%d", sqlite3_get_autocommit(probe->db));
  if (strcmp(action, "blob") == 0) return write_blob(probe->db);
  if (strcmp(action, "update") == 0)
    return sqlite3_exec(probe->db, "UPDATE shadow SET b = x'77' WHERE rowid = 1", NULL, NULL, NULL);
  (void)sscanf(action, "%d", &code);
  return code;
}
static int probe_commit(sqlite3_vtab *table) {
  tell((struct probe *)table, "commit");
  return SQLITE_OK;
}
static int probe_rollback(sqlite3_vtab *table) {
  tell((struct probe *)table, "rollback");
  return SQLITE_OK;
}

static const sqlite3_module module = {
    .xCreate = probe_connect,
    .xConnect = probe_connect,
    .xBestIndex = probe_best_index,
    .xDisconnect = probe_disconnect,
    .xDestroy = probe_disconnect,
    .xOpen = probe_open,
    .xClose = probe_close,
    .xFilter = probe_filter,
    .xNext = probe_next,
    .xEof = probe_eof,
    .xColumn = probe_column,
    .xRowid = probe_rowid,
    .xUpdate = probe_update,
    .xBegin = probe_begin,
    .xSync = probe_sync,
    .xCommit = probe_commit,
    .xRollback = probe_rollback,
};

static int cmd_probe(ClientData data, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)data;
  const char *word = argc > 1 ? Tcl_GetString(argv[1]) : "";
  Tcl_CmdInfo info;
  sqlite3_api = sdb_test_sqlite_api();
  if (argc == 3 && strcmp(word, "register") == 0 && sqlite3_api &&
      Tcl_GetCommandInfo(interp, Tcl_GetString(argv[2]), &info)) {
    calls[0] = action[0] = '\0';
    quiet = 0;
    sqlite3_create_module(*(sqlite3 **)info.objClientData, "probe", &module, NULL);
  } else if (argc == 3 && strcmp(word, "sync") == 0) {
    snprintf(action, sizeof action, "%s", Tcl_GetString(argv[2]));
  } else if (argc == 3 && strcmp(word, "quiet") == 0) {
    return Tcl_GetBooleanFromObj(interp, argv[2], &quiet);
  } else if (argc == 2 && strcmp(word, "calls") == 0) {
    Tcl_SetObjResult(interp, Tcl_NewStringObj(calls, -1));
    calls[0] = '\0';
  } else {
    Tcl_SetObjResult(interp, Tcl_NewStringObj("usage: fact_probe register DB | sync WORD | calls", -1));
    return TCL_ERROR;
  }
  return TCL_OK;
}

int sdb_test_facts_init(Tcl_Interp *interp) {
  Tcl_CreateObjCommand(interp, "fact_probe", cmd_probe, NULL, NULL);
  return TCL_OK;
}
