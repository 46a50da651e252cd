/* SPDX-License-Identifier: MIT
**
** module.c: the module `seqdb`: the one place that knows all its methods.
**
** Those of the transaction are here: they only hand over to transaction.c.
**
** iVersion 4 brings xIntegrity (PRAGMA integrity_check).  Headers before 3.44 do not have it: the structure is made
** longer by hand, and older libraries never look there.
*/
#include <stddef.h>
#include "attach.h"
#include "cursor.h"
#include "ddl.h"
#include "module.h"
#include "table.h"
#include "transaction.h"
#include "update.h"

/* ---- the transaction --------------------------------------------------------------------------------------- */

static sdb_directory *directory_of(sqlite3_vtab *vtab) {
  return ((sdb_table *)vtab)->directory;
}

static int begin(sqlite3_vtab *vtab) {
  sdb_failure f = {0};
  if (sdb_table_ready((sdb_table *)vtab, &f) == SQLITE_OK) sdb_transaction_begin(directory_of(vtab));
  return sdb_failure_to_vtab(&f, vtab);
}

static int sync(sqlite3_vtab *vtab) {
  sdb_failure f = {0};
  sdb_transaction_sync(directory_of(vtab), &f);
  return sdb_failure_to_vtab(&f, vtab);
}

static int commit(sqlite3_vtab *vtab) {
  sdb_transaction_commit(directory_of(vtab));
  return SQLITE_OK;
}

static int rollback(sqlite3_vtab *vtab) {
  sdb_failure f = {0};
  sdb_transaction_rollback(directory_of(vtab), &f);
  return sdb_failure_to_vtab(&f, vtab);
}

static int savepoint(sqlite3_vtab *vtab, int level) {
  sdb_failure f = {0};
  sdb_transaction_savepoint(directory_of(vtab), level, &f);
  return sdb_failure_to_vtab(&f, vtab);
}

static int release(sqlite3_vtab *vtab, int level) {
  sdb_failure f = {0};
  sdb_transaction_release(directory_of(vtab), level, &f);
  return sdb_failure_to_vtab(&f, vtab);
}

static int rollback_to(sqlite3_vtab *vtab, int level) {
  sdb_failure f = {0};
  sdb_transaction_rollback_to(directory_of(vtab), level, &f);
  return sdb_failure_to_vtab(&f, vtab);
}

/* ---- the module -------------------------------------------------------------------------------------------- */

#if SQLITE_VERSION_NUMBER >= 3044000
typedef sqlite3_module sdb_module;
#define SDB_MODULE_BASE(module) (module)
#else
typedef struct sdb_module {
  sqlite3_module base;
  int (*xIntegrity)(sqlite3_vtab *, const char *, const char *, int, char **);
} sdb_module;
_Static_assert(offsetof(sdb_module, xIntegrity) == sizeof(sqlite3_module), "xIntegrity follows xShadowName");
#define SDB_MODULE_BASE(module) (&(module)->base)
#endif

#define SDB_MODULE_METHODS                                                                                       \
  .iVersion = 4, .xCreate = sdb_table_create, .xConnect = sdb_table_connect, .xBestIndex = sdb_table_best_index, \
  .xDisconnect = sdb_table_disconnect, .xDestroy = sdb_table_destroy, .xOpen = sdb_cursor_open,                  \
  .xClose = sdb_cursor_close, .xFilter = sdb_cursor_filter, .xNext = sdb_cursor_next, .xEof = sdb_cursor_eof,    \
  .xColumn = sdb_cursor_column, .xRowid = sdb_cursor_rowid, .xUpdate = sdb_table_update, .xBegin = begin,        \
  .xSync = sync, .xCommit = commit, .xRollback = rollback, .xRename = sdb_table_rename, .xSavepoint = savepoint, \
  .xRelease = release, .xRollbackTo = rollback_to, .xShadowName = sdb_table_shadow_name

static const sdb_module module = {
#if SQLITE_VERSION_NUMBER >= 3044000
    SDB_MODULE_METHODS,
#else
    .base = {SDB_MODULE_METHODS},
#endif
    .xIntegrity = sdb_table_integrity,
};

int sdb_register_module(sdb_connection *connection) {
  return sqlite3_create_module_v2(connection->db, "seqdb", SDB_MODULE_BASE(&module), sdb_connection_ref(connection),
                                  sdb_connection_unref);
}
