/* SPDX-License-Identifier: MIT
**
** tvf_regions.c: seqdb_regions(directory): the regions of a directory, read-only, without a table.
**
**   SELECT name, length FROM seqdb_regions('/backup/monday');
**
** Columns and plans are those of the table (plan.c, rows.c), then the hidden column `directory`.  A relative path
** starts where that of a table in main does.  It shows the last commit, also to a connection with changes of its own.
**
** It opens whatever path it is given, so it is DIRECTONLY: no view or trigger can call it.
**
** The cursor keeps a read-only handle from one xFilter to the next with the same path; never that of a table, which
** may be closed while this cursor goes on (both share the store of the process anyway).  Its snapshot stays in the
** client's list (pin.c) as long as SQLite may hold pointers into it, beyond the handle.
*/
#include <string.h>
#include "ext.h"

#define COLUMN_DIRECTORY 4

typedef struct sdb_regions_cursor {
  sqlite3_vtab_cursor base;
  char *directory; /* as given */
  seqdb *handle;   /* read-only; NULL: nothing is open, rows are not valid */
  sdb_rows rows;
} sdb_regions_cursor;

static sdb_client *client_of(sqlite3_vtab_cursor *cursor) {
  return ((sdb_eponymous *)cursor->pVtab)->client;
}

static int regions_connect(sqlite3 *db, void *client, int argc, const char *const *argv, sqlite3_vtab **out,
                           char **error) {
  (void)argc;
  (void)argv;
  (void)error;
  return sdb_eponymous_connect(db, client,
                               "CREATE TABLE x(name TEXT, offset INTEGER, length INTEGER, content BLOB,"
                               " directory TEXT HIDDEN)",
                               true, out);
}

/* Argument 1 of xFilter is the directory, the plan's follow.  A missing one is told in xFilter: an error here would
** break valid OR queries on 3.40.  One that is there but not usable yet asks SQLite for another join order. */
static int regions_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info) {
  bool present = false;
  int at = -1;
  (void)vtab;
  for (int i = 0; i < info->nConstraint; i++) {
    if (info->aConstraint[i].iColumn != COLUMN_DIRECTORY || info->aConstraint[i].op != SQLITE_INDEX_CONSTRAINT_EQ) {
      continue;
    }
    present = true;
    if (info->aConstraint[i].usable) at = i;
  }
  if (present && at < 0) return SQLITE_CONSTRAINT;
  if (!present) {
    info->idxNum = -1;
    info->estimatedCost = 1e99;
    return SQLITE_OK;
  }
  info->aConstraintUsage[at].argvIndex = 1;
  info->aConstraintUsage[at].omit = 1;
  return sdb_plan(info, 1, 1000);
}

static int regions_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **out) {
  sdb_regions_cursor *cursor = sqlite3_malloc64(sizeof *cursor);
  if (!cursor) return SQLITE_NOMEM;
  memset(cursor, 0, offsetof(sdb_regions_cursor, rows));
  sdb_cursor_opened(((sdb_eponymous *)vtab)->client);
  *out = &cursor->base;
  return SQLITE_OK;
}

static void release_directory(sdb_regions_cursor *cursor) {
  if (cursor->handle) sdb_rows_close(&cursor->rows);
  seqdb_close(cursor->handle);
  sqlite3_free(cursor->directory);
  cursor->handle = NULL;
  cursor->directory = NULL;
}

static int regions_close(sqlite3_vtab_cursor *base) {
  sdb_client *client = client_of(base);
  release_directory((sdb_regions_cursor *)base);
  sdb_cursor_closed(client);
  sqlite3_free(base);
  return SQLITE_OK;
}

static int use_directory(sdb_regions_cursor *cursor, const char *directory, sdb_failure *f) {
  sdb_client *client = client_of(&cursor->base);
  seqdb_options options = {.size_bytes = sizeof options, .flags = SEQDB_OPEN_READONLY};
  seqdb_error error = SEQDB_ERROR_INIT;
  seqdb *handle = NULL;
  char *path = NULL;
  if (cursor->handle && strcmp(cursor->directory, directory) == 0) return SQLITE_OK;
  release_directory(cursor);

  cursor->directory = sqlite3_mprintf("%s", directory);
  if (!cursor->directory) return sdb_failure_nomem(f);
  if (sdb_path_resolve(client->db, "main", "seqdb_regions", directory, &path, f) != SQLITE_OK) return f->code;
  if (seqdb_open(path, &options, &error, &handle) != SEQDB_OK) {
    sdb_failure_record(f, &error);
  } else if (sdb_rows_open(&cursor->rows, client, NULL, handle, f) != SQLITE_OK) {
    seqdb_close(handle);
  } else {
    seqdb_set_interrupt(handle, sdb_client_interrupted, client);
    cursor->handle = handle;
  }
  sqlite3_free(path);
  return f->code;
}

static int regions_filter(sqlite3_vtab_cursor *base, int plan, const char *text, int argc, sqlite3_value **argv) {
  sdb_regions_cursor *cursor = (sdb_regions_cursor *)base;
  sdb_failure f = {0};
  (void)text;
  if (plan < 0) {
    sdb_failure_set(&f, SQLITE_ERROR, "seqdb_regions: its argument, the directory, is missing");
  } else if (sqlite3_value_type(argv[0]) != SQLITE_TEXT || sqlite3_value_bytes(argv[0]) == 0) {
    sdb_failure_set(&f, SQLITE_ERROR, "seqdb_regions: the directory must be TEXT and not empty");
  } else if (use_directory(cursor, (const char *)sqlite3_value_text(argv[0]), &f) == SQLITE_OK) {
    sdb_rows_filter(&cursor->rows, plan, argc - 1, argv + 1, &f);
  }
  return f.code == SQLITE_OK ? SQLITE_OK : sdb_failure_to_vtab(&f, base->pVtab);
}

static int regions_next(sqlite3_vtab_cursor *base) {
  sdb_failure f = {0};
  /* GCOVR_EXCL_BR_LINE: a snapshot fails after fork only */
  if (sdb_rows_next(&((sdb_regions_cursor *)base)->rows, &f) == SQLITE_OK) return SQLITE_OK;
  return sdb_failure_to_vtab(&f, base->pVtab);
}

static int regions_eof(sqlite3_vtab_cursor *base) {
  sdb_regions_cursor *cursor = (sdb_regions_cursor *)base;
  return !cursor->handle || cursor->rows.eof; /* GCOVR_EXCL_BR_LINE: xFilter has failed without one */
}

static int regions_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column) {
  sdb_regions_cursor *cursor = (sdb_regions_cursor *)base;
  sdb_failure f = {0};
  if (column == COLUMN_DIRECTORY) {
    sqlite3_result_text(context, cursor->directory, -1, SQLITE_TRANSIENT);
  } else if (sdb_rows_column(&cursor->rows, context, column, &f) != SQLITE_OK) {
    sdb_failure_to_result(&f, context);
  }
  return SQLITE_OK;
}

static int regions_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *rowid) {
  *rowid = (sqlite3_int64)((sdb_regions_cursor *)base)->rows.row.index + 1;
  return SQLITE_OK;
}

int sdb_register_regions(sdb_client *client) {
  static const sqlite3_module module = {
      .xConnect = regions_connect,
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
  return sqlite3_create_module_v2(client->db, "seqdb_regions", &module, sdb_client_ref(client), sdb_client_unref);
}
