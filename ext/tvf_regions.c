/* SPDX-License-Identifier: MIT
**
** tvf_regions.c: seqdb_regions(directory): the regions of a directory, read-only, without a table.
**
**   SELECT name, length FROM seqdb_regions('/backup/monday');
**
** Columns and plans are those of the table (plan.c, rows.c), then the hidden column `directory`.  A relative path
** starts where that of a table in main does.  It shows the last commit, also to a connection with changes of its own.
**
** The cursor keeps a read-only handle from one xFilter to the next with the same path.  It is never that of a table,
** which may be closed while this cursor goes on (both share the store of the process anyway).  Its snapshot outlives
** the handle as long as SQLite may hold pointers into it (loan.c).
*/
#include <string.h>
#include "check.h"
#include "directory.h"
#include "eponymous.h"
#include "loan.h"
#include "path.h"
#include "plan.h"
#include "rows.h"
#include "tvf_regions.h"

#define COLUMN_DIRECTORY 4

typedef struct sdb_regions_cursor {
  sqlite3_vtab_cursor base;
  char *path;    /* as given */
  seqdb *handle; /* read-only; NULL: nothing is open, rows are not valid */
  sdb_rows rows;
} sdb_regions_cursor;

static sdb_connection *connection_of(sqlite3_vtab_cursor *cursor) {
  return sdb_eponymous_connection(cursor->pVtab);
}

/* Argument 1 of xFilter is the directory, the plan's follow.  idxNum -1: it is missing, which xFilter tells. */
static int regions_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info) {
  bool present;
  (void)vtab;
  int rc = sdb_eponymous_argument(info, COLUMN_DIRECTORY, &present);
  if (rc != SQLITE_OK) return rc;
  if (present) {
    sdb_plan(info, 1, 1000);
  } else {
    info->idxNum = -1;
  }
  return SQLITE_OK;
}

static int regions_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **out) {
  sdb_regions_cursor *cursor = sqlite3_malloc64(sizeof *cursor);
  if (!cursor) return SQLITE_NOMEM;
  memset(cursor, 0, offsetof(sdb_regions_cursor, rows));
  sdb_cursor_opened(sdb_eponymous_connection(vtab));
  *out = &cursor->base;
  return SQLITE_OK;
}

static void release(sdb_regions_cursor *cursor) {
  if (cursor->handle) sdb_rows_close(&cursor->rows);
  seqdb_close(cursor->handle);
  sqlite3_free(cursor->path);
  cursor->handle = NULL;
  cursor->path = NULL;
}

static int regions_close(sqlite3_vtab_cursor *base) {
  sdb_connection *connection = connection_of(base);
  release((sdb_regions_cursor *)base);
  sdb_cursor_closed(connection);
  sqlite3_free(base);
  return SQLITE_OK;
}

static int use_path(sdb_regions_cursor *cursor, const char *given, sdb_failure *f) {
  sdb_connection *connection = connection_of(&cursor->base);
  seqdb_options options = {.size_bytes = sizeof options, .flags = SEQDB_OPEN_READONLY};
  seqdb_error error = SEQDB_ERROR_INIT;
  seqdb *handle = NULL;
  char *path = NULL;
  if (cursor->handle && strcmp(cursor->path, given) == 0) return SQLITE_OK;
  release(cursor);

  cursor->path = sqlite3_mprintf("%s", given);
  if (!cursor->path) return sdb_failure_nomem(f);
  if (sdb_path_absolute(connection->db, "main", "seqdb_regions", given, &path, f) != SQLITE_OK) return f->code;
  if (sdb_directory_open_engine(connection, "main", path, &options, &error, &handle) != SEQDB_OK) {
    sdb_failure_record(f, &error);
  } else if (sdb_rows_open(&cursor->rows, connection, NULL, handle, f) != SQLITE_OK) {
    seqdb_close(handle);
  } else {
    cursor->handle = handle;
  }
  sqlite3_free(path);
  return f->code;
}

static int regions_filter(sqlite3_vtab_cursor *base, int plan, const char *text, int argc, sqlite3_value **argv) {
  sdb_regions_cursor *cursor = (sdb_regions_cursor *)base;
  sdb_failure f = {0};
  (void)text;
  (void)argc;
  if (plan < 0) {
    sdb_failure_set(&f, SQLITE_ERROR, "seqdb_regions: its argument, the directory, is missing");
  } else if (sqlite3_value_type(argv[0]) != SQLITE_TEXT || sqlite3_value_bytes(argv[0]) == 0) {
    sdb_failure_set(&f, SQLITE_ERROR, "seqdb_regions: the directory must be TEXT and not empty");
  } else if (use_path(cursor, (const char *)sqlite3_value_text(argv[0]), &f) == SQLITE_OK) {
    sdb_rows_filter(&cursor->rows, plan, argv + 1, &f);
  }
  return sdb_failure_to_vtab(&f, base->pVtab);
}

static int regions_next(sqlite3_vtab_cursor *base) {
  sdb_failure f = {0};
  sdb_rows_next(&((sdb_regions_cursor *)base)->rows, &f);
  return sdb_failure_to_vtab(&f, base->pVtab);
}

static int regions_eof(sqlite3_vtab_cursor *base) {
  sdb_regions_cursor *cursor = (sdb_regions_cursor *)base;
  return SDB_NEVER(!cursor->handle) || cursor->rows.eof; /* without one xFilter has failed */
}

static int regions_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column) {
  sdb_regions_cursor *cursor = (sdb_regions_cursor *)base;
  sdb_failure f = {0};
  if (column == COLUMN_DIRECTORY) {
    sqlite3_result_text(context, cursor->path, -1, SQLITE_TRANSIENT);
  } else if (sdb_rows_column(&cursor->rows, context, column, &f) != SQLITE_OK) {
    sdb_failure_to_result(&f, context);
  }
  return SQLITE_OK;
}

static int regions_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *rowid) {
  *rowid = sdb_rows_rowid(&((sdb_regions_cursor *)base)->rows);
  return SQLITE_OK;
}

int sdb_register_regions(sdb_connection *connection) {
  static const sqlite3_module module = {
      .xConnect = sdb_eponymous_connect,
      .xBestIndex = regions_best_index,
      .xDisconnect = sdb_eponymous_disconnect,
      .xOpen = regions_open,
      .xClose = regions_close,
      .xFilter = regions_filter,
      .xNext = regions_next,
      .xEof = regions_eof,
      .xColumn = regions_column,
      .xRowid = regions_rowid,
  };
  static const sdb_eponymous regions = {
      "seqdb_regions", "CREATE TABLE x(name TEXT, offset INTEGER, length INTEGER, content BLOB, directory TEXT HIDDEN)",
      &module};
  return sdb_eponymous_register(connection, &regions);
}
