/* SPDX-License-Identifier: MIT
**
** creation.c: notices that ROLLBACK TO has undone a CREATE VIRTUAL TABLE.
**
** SQLite lets a table that is created take part in the transaction, but not in the savepoints that are open already:
** after ROLLBACK TO it calls xSync and xCommit of the table that is gone, and no xRollbackTo before.  The schema
** cannot tell either: the table that was dropped before may be there again, or another one of that name.
**
** So xCreate runs a DELETE on a table of ours that holds nothing.  It joins the transaction like any table that is
** written, and is told of every savepoint.  Its name begins with sqlite_, which SQLite lets nobody give to a table:
** what the DELETE finds under it is never a user's.
**
** INVARIANT: transaction.created_level is SQLite's newest savepoint that was open when the table was created and
** still is; -1: none.  ROLLBACK TO that one, or to an older one, undoes the CREATE.
*/
#include "creation.h"
#include "directory.h"
#include "eponymous.h"
#include "transaction.h"

#define CREATION "sqlite_seqdb_creation"

/* ---- being told -------------------------------------------------------------------------------------------- */

static int set_level(sqlite3_vtab *vtab, int level) {
  sdb_eponymous_connection(vtab)->level = level;
  return SQLITE_OK;
}

static int creation_begin(sqlite3_vtab *vtab) {
  return set_level(vtab, -1);
}

static int creation_sync(sqlite3_vtab *vtab) {
  (void)vtab;
  return SQLITE_OK;
}

static int creation_end(sqlite3_vtab *vtab) {
  return set_level(vtab, -1);
}

static int creation_savepoint(sqlite3_vtab *vtab, int level) {
  return set_level(vtab, level);
}

static int creation_release(sqlite3_vtab *vtab, int level) {
  sdb_directory *directory = sdb_eponymous_connection(vtab)->directories;
  for (; directory; directory = directory->next)
    sdb_transaction_release_creation(directory, level);
  return set_level(vtab, level - 1);
}

/* Goes on when one fails. */
static int creation_rollback_to(sqlite3_vtab *vtab, int level) {
  sdb_directory *directory = sdb_eponymous_connection(vtab)->directories;
  sdb_failure f = {0};
  set_level(vtab, level);
  for (; directory; directory = directory->next)
    sdb_transaction_undo_creation(directory, level, &f);
  return sdb_failure_to_vtab(&f, vtab);
}

/* ---- asking for it ----------------------------------------------------------------------------------------- */

int sdb_creation_watch(sdb_connection *connection, sdb_failure *f) {
  if (sqlite3_get_autocommit(connection->db)) {
    connection->level = -1;
    return SQLITE_OK;
  }
  int rc = sqlite3_exec(connection->db, "DELETE FROM temp." CREATION, NULL, NULL, NULL);
  return rc == SQLITE_OK ? SQLITE_OK : sdb_failure_nested(f, connection->db);
}

/* ---- a table without rows ---------------------------------------------------------------------------------- */

static int creation_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info) {
  (void)vtab;
  info->estimatedCost = 1;
  return SQLITE_OK;
}

static int creation_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **out) {
  (void)vtab;
  *out = sqlite3_malloc64(sizeof **out);
  return *out ? SQLITE_OK : SQLITE_NOMEM;
}

static int creation_close(sqlite3_vtab_cursor *cursor) {
  sqlite3_free(cursor);
  return SQLITE_OK;
}

static int creation_filter(sqlite3_vtab_cursor *cursor, int plan, const char *text, int argc, sqlite3_value **argv) {
  (void)cursor;
  (void)plan;
  (void)text;
  (void)argc;
  (void)argv;
  return SQLITE_OK;
}

static int creation_eof(sqlite3_vtab_cursor *cursor) {
  (void)cursor;
  return 1;
}

/* SQLite wants them, and calls none of them for a table without rows. */
static int creation_next(sqlite3_vtab_cursor *cursor) {
  (void)cursor;
  return SQLITE_OK;
}
static int creation_column(sqlite3_vtab_cursor *cursor, sqlite3_context *context, int column) {
  (void)cursor;
  (void)context;
  (void)column;
  return SQLITE_OK;
}
static int creation_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *rowid) {
  (void)cursor;
  *rowid = 0;
  return SQLITE_OK;
}

static int creation_update(sqlite3_vtab *vtab, int argc, sqlite3_value **argv, sqlite3_int64 *rowid) {
  sdb_failure f = {0};
  (void)argc;
  (void)argv;
  (void)rowid;
  sdb_failure_set(&f, SQLITE_READONLY, CREATION " holds nothing: seqdb uses it to follow savepoints");
  return sdb_failure_to_vtab(&f, vtab);
}

int sdb_register_creation(sdb_connection *connection) {
  static const sqlite3_module module = {
      .iVersion = 2,
      .xConnect = sdb_eponymous_connect,
      .xBestIndex = creation_best_index,
      .xDisconnect = sdb_eponymous_disconnect,
      .xOpen = creation_open,
      .xClose = creation_close,
      .xFilter = creation_filter,
      .xNext = creation_next,
      .xEof = creation_eof,
      .xColumn = creation_column,
      .xRowid = creation_rowid,
      .xUpdate = creation_update,
      .xBegin = creation_begin,
      .xSync = creation_sync,
      .xCommit = creation_end,
      .xRollback = creation_end,
      .xSavepoint = creation_savepoint,
      .xRelease = creation_release,
      .xRollbackTo = creation_rollback_to,
  };
  static const sdb_eponymous creation = {CREATION, "CREATE TABLE x(x)", &module};
  return sdb_eponymous_register(connection, &creation);
}
