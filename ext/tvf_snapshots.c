/* SPDX-License-Identifier: MIT
**
** tvf_snapshots.c: seqdb_snapshots(T): who reads which generation, and what waits for them.
**
**   SELECT pid, age_ms, held_bytes FROM seqdb_snapshots('regions') ORDER BY age_ms DESC;
**
** A row for each open snapshot of this process and one, its oldest, for each other process that has any.  Nothing
** waits for a snapshot, but space does: held_bytes are neither used again nor given back before the oldest one is
** closed.  The engine is asked once, at xFilter.
*/
#include <stdbool.h>
#include "attach.h"
#include "eponymous.h"
#include "find_table.h"
#include "tvf_snapshots.h"

enum { COLUMN_PID, COLUMN_GENERATION, COLUMN_AGE_MS, COLUMN_HELD_BYTES, COLUMN_TABLE };

typedef struct sdb_snapshots_cursor {
  sqlite3_vtab_cursor base;
  seqdb_snapshot_info *rows; /* from sqlite3_malloc */
  size_t count, capacity, at;
  bool no_memory;
} sdb_snapshots_cursor;

/* idxNum 1: the table's name is argument 1; 0: it is missing, which xFilter tells. */
static int snapshots_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info) {
  bool present;
  (void)vtab;
  int rc = sdb_eponymous_argument(info, COLUMN_TABLE, &present);
  if (rc != SQLITE_OK || !present) return rc;
  info->idxNum = 1;
  info->estimatedCost = 100;
  info->estimatedRows = 10;
  return SQLITE_OK;
}

static int snapshots_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **out) {
  sdb_snapshots_cursor *cursor = sqlite3_malloc64(sizeof *cursor);
  (void)vtab;
  if (!cursor) return SQLITE_NOMEM;
  *cursor = (sdb_snapshots_cursor){0};
  *out = &cursor->base;
  return SQLITE_OK;
}

static void free_rows(sdb_snapshots_cursor *cursor) {
  sqlite3_free(cursor->rows);
  cursor->rows = NULL;
  cursor->count = cursor->capacity = cursor->at = 0;
  cursor->no_memory = false;
}

static int snapshots_close(sqlite3_vtab_cursor *base) {
  free_rows((sdb_snapshots_cursor *)base);
  sqlite3_free(base);
  return SQLITE_OK;
}

/* For seqdb_snapshots(); non-zero: there is no memory for it. */
static int add_row(void *context, const seqdb_snapshot_info *snapshot) {
  sdb_snapshots_cursor *cursor = context;
  if (cursor->count == cursor->capacity) {
    size_t capacity = cursor->capacity ? 2 * cursor->capacity : 16;
    seqdb_snapshot_info *rows = sqlite3_realloc64(cursor->rows, capacity * sizeof *rows);
    cursor->no_memory = !rows;
    if (!rows) return 1;
    cursor->rows = rows;
    cursor->capacity = capacity;
  }
  cursor->rows[cursor->count++] = *snapshot;
  return 0;
}

static int snapshots_filter(sqlite3_vtab_cursor *base, int plan, const char *text, int argc, sqlite3_value **argv) {
  sdb_snapshots_cursor *cursor = (sdb_snapshots_cursor *)base;
  sdb_failure f = {0};
  sdb_directory *directory = NULL;
  (void)text;
  (void)argc;
  free_rows(cursor);
  if (plan == 0) {
    sdb_failure_set(&f, SQLITE_ERROR, "seqdb_snapshots: its argument, the name of a seqdb table, is missing");
  } else if (sdb_find_table(sdb_eponymous_connection(base->pVtab), argv[0], &directory, &f) == SQLITE_OK) {
    sdb_failure_engine(&f, directory->engine, seqdb_snapshots(directory->engine, add_row, cursor));
    if (f.code == SQLITE_OK && cursor->no_memory) sdb_failure_nomem(&f);
    sdb_directory_release(directory);
  }
  if (f.code != SQLITE_OK) free_rows(cursor);
  return sdb_failure_to_vtab(&f, base->pVtab);
}

static int snapshots_next(sqlite3_vtab_cursor *base) {
  ((sdb_snapshots_cursor *)base)->at++;
  return SQLITE_OK;
}

static int snapshots_eof(sqlite3_vtab_cursor *base) {
  sdb_snapshots_cursor *cursor = (sdb_snapshots_cursor *)base;
  return cursor->at >= cursor->count;
}

static int snapshots_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column) {
  sdb_snapshots_cursor *cursor = (sdb_snapshots_cursor *)base;
  const seqdb_snapshot_info *row = &cursor->rows[cursor->at];
  const uint64_t values[] = {row->pid, row->generation, row->age_ms, row->held_bytes};
  if (column < COLUMN_TABLE) sqlite3_result_int64(context, (sqlite3_int64)values[column]);
  return SQLITE_OK;
}

static int snapshots_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *rowid) {
  *rowid = (sqlite3_int64)((sdb_snapshots_cursor *)base)->at + 1;
  return SQLITE_OK;
}

int sdb_register_snapshots(sdb_connection *connection) {
  static const sqlite3_module module = {
      .xConnect = sdb_eponymous_connect,
      .xBestIndex = snapshots_best_index,
      .xDisconnect = sdb_eponymous_disconnect,
      .xOpen = snapshots_open,
      .xClose = snapshots_close,
      .xFilter = snapshots_filter,
      .xNext = snapshots_next,
      .xEof = snapshots_eof,
      .xColumn = snapshots_column,
      .xRowid = snapshots_rowid,
  };
  static const sdb_eponymous snapshots = {
      "seqdb_snapshots",
      "CREATE TABLE x(pid INTEGER, generation INTEGER, age_ms INTEGER, held_bytes INTEGER, \"table\" TEXT HIDDEN)",
      &module};
  return sdb_eponymous_register(connection, &snapshots);
}
