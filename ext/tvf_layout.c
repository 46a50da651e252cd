/* SPDX-License-Identifier: MIT
**
** tvf_layout.c: seqdb_layout(T): what every byte of `data` is used for.
**
**   SELECT kind, sum(bytes) FROM seqdb_layout('regions') GROUP BY kind;
**
** Rows cover the file from 0 to its end, in order and without a gap: kind is region, hole, pending (freed, but still
** visible to a snapshot or to recovery) or tail.  name and used (the length) are those of a region.  It shows the
** newest commit; the engine makes the whole list at xFilter, so that the rows agree with each other.
*/
#include <stdbool.h>
#include "attach.h"
#include "eponymous.h"
#include "find_table.h"
#include "tvf_layout.h"

enum { COLUMN_OFFSET, COLUMN_BYTES, COLUMN_KIND, COLUMN_NAME, COLUMN_USED, COLUMN_TABLE };

typedef struct sdb_layout_cursor {
  sqlite3_vtab_cursor base;
  seqdb_layout_row *rows; /* from the engine */
  size_t count, at;
} sdb_layout_cursor;

/* idxNum 1: the table's name is argument 1; 0: it is missing, which xFilter tells. */
static int layout_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info) {
  bool present;
  (void)vtab;
  int rc = sdb_eponymous_argument(info, COLUMN_TABLE, &present);
  if (rc != SQLITE_OK || !present) return rc;
  info->idxNum = 1;
  info->estimatedCost = 10000;
  info->estimatedRows = 1000;
  if (info->nOrderBy == 1 && info->aOrderBy[0].iColumn == COLUMN_OFFSET && !info->aOrderBy[0].desc) {
    info->orderByConsumed = 1;
  }
  return SQLITE_OK;
}

static int layout_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **out) {
  sdb_layout_cursor *cursor = sqlite3_malloc64(sizeof *cursor);
  (void)vtab;
  if (!cursor) return SQLITE_NOMEM;
  *cursor = (sdb_layout_cursor){0};
  *out = &cursor->base;
  return SQLITE_OK;
}

static void free_rows(sdb_layout_cursor *cursor) {
  seqdb_free(cursor->rows);
  cursor->rows = NULL;
  cursor->count = cursor->at = 0;
}

static int layout_close(sqlite3_vtab_cursor *base) {
  free_rows((sdb_layout_cursor *)base);
  sqlite3_free(base);
  return SQLITE_OK;
}

static int layout_filter(sqlite3_vtab_cursor *base, int plan, const char *text, int argc, sqlite3_value **argv) {
  sdb_layout_cursor *cursor = (sdb_layout_cursor *)base;
  sdb_connection *connection = sdb_eponymous_connection(base->pVtab);
  sdb_failure f = {0};
  sdb_directory *directory = NULL;
  (void)text;
  (void)argc;
  free_rows(cursor);
  if (plan == 0) {
    sdb_failure_set(&f, SQLITE_ERROR, "seqdb_layout: its argument, the name of a seqdb table, is missing");
  } else if (sdb_find_table(connection, argv[0], &directory, &f) == SQLITE_OK) {
    sdb_failure_engine(&f, directory->engine, seqdb_layout(directory->engine, &cursor->rows, &cursor->count));
    sdb_directory_release(directory);
  }
  return sdb_failure_to_vtab(&f, base->pVtab);
}

static int layout_next(sqlite3_vtab_cursor *base) {
  ((sdb_layout_cursor *)base)->at++;
  return SQLITE_OK;
}

static int layout_eof(sqlite3_vtab_cursor *base) {
  sdb_layout_cursor *cursor = (sdb_layout_cursor *)base;
  return cursor->at >= cursor->count;
}

static const char *kind_text(uint32_t kind) {
  switch (kind) {
    case SEQDB_EXTENT_REGION:
      return "region";
    case SEQDB_EXTENT_HOLE:
      return "hole";
    case SEQDB_EXTENT_PENDING:
      return "pending";
    default:
      return "tail";
  }
}

static int layout_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column) {
  sdb_layout_cursor *cursor = (sdb_layout_cursor *)base;
  const seqdb_layout_row *row = &cursor->rows[cursor->at];
  bool region = row->kind == SEQDB_EXTENT_REGION;
  switch (column) {
    case COLUMN_OFFSET:
      sqlite3_result_int64(context, (sqlite3_int64)row->offset);
      break;
    case COLUMN_BYTES:
      sqlite3_result_int64(context, (sqlite3_int64)row->bytes);
      break;
    case COLUMN_KIND:
      sqlite3_result_text(context, kind_text(row->kind), -1, SQLITE_STATIC);
      break;
    case COLUMN_NAME:
      if (region) sqlite3_result_text64(context, row->name, row->name_bytes, SQLITE_TRANSIENT, SQLITE_UTF8);
      break;
    case COLUMN_USED:
      if (region) sqlite3_result_int64(context, (sqlite3_int64)row->used_bytes);
      break;
    default:
      break;
  }
  return SQLITE_OK;
}

static int layout_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *rowid) {
  *rowid = (sqlite3_int64)((sdb_layout_cursor *)base)->at + 1;
  return SQLITE_OK;
}

int sdb_register_layout(sdb_connection *connection) {
  static const sqlite3_module module = {
      .xConnect = sdb_eponymous_connect,
      .xBestIndex = layout_best_index,
      .xDisconnect = sdb_eponymous_disconnect,
      .xOpen = layout_open,
      .xClose = layout_close,
      .xFilter = layout_filter,
      .xNext = layout_next,
      .xEof = layout_eof,
      .xColumn = layout_column,
      .xRowid = layout_rowid,
  };
  static const sdb_eponymous layout = {
      "seqdb_layout",
      "CREATE TABLE x(offset INTEGER, bytes INTEGER, kind TEXT, name TEXT, used INTEGER, \"table\" TEXT HIDDEN)",
      &module};
  return sdb_eponymous_register(connection, &layout);
}
