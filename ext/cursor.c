/* SPDX-License-Identifier: MIT
**
** cursor.c: reading the table: a thin shell over plan.c and rows.c.
**
** Every open cursor is counted twice: by the directory (DROP refuses while one is open) and by the connection, whose
** last one lets lent snapshots go (loan.c).
*/
#include "attach.h"
#include "cursor.h"
#include "loan.h"
#include "plan.h"
#include "rows.h"
#include "table.h"
#include "transaction.h"

typedef struct sdb_cursor {
  sqlite3_vtab_cursor base;
  sdb_rows rows;
} sdb_cursor;

static sdb_rows *rows_of(sqlite3_vtab_cursor *cursor) {
  return &((sdb_cursor *)cursor)->rows;
}

int sdb_table_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info) {
  const sdb_directory *directory = ((const sdb_table *)vtab)->directory;
  uint64_t regions = 0;
  if (directory) seqdb_view_totals(seqdb_own_view(directory->engine), &regions, NULL);
  sdb_plan(info, 0, regions);
  return SQLITE_OK;
}

int sdb_cursor_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **out) {
  sdb_table *table = (sdb_table *)vtab;
  sdb_failure f = {0};
  if (sdb_table_ready(table, &f) != SQLITE_OK) return sdb_failure_to_vtab(&f, vtab);
  sdb_directory *directory = table->directory;
  sdb_cursor *cursor = sqlite3_malloc64(sizeof *cursor);
  if (!cursor) return SQLITE_NOMEM;
  cursor->base = (sqlite3_vtab_cursor){.pVtab = vtab};
  if (sdb_rows_open(&cursor->rows, directory->connection, directory, directory->engine, &f) != SQLITE_OK) {
    sqlite3_free(cursor);
    return sdb_failure_to_vtab(&f, vtab);
  }
  directory->cursors++;
  sdb_cursor_opened(directory->connection);
  *out = &cursor->base;
  return SQLITE_OK;
}

int sdb_cursor_close(sqlite3_vtab_cursor *cursor) {
  sdb_directory *directory = rows_of(cursor)->directory;
  sdb_rows_close(rows_of(cursor));
  directory->cursors--;
  sdb_cursor_closed(directory->connection);
  sqlite3_free(cursor);
  return SQLITE_OK;
}

int sdb_cursor_filter(sqlite3_vtab_cursor *cursor, int plan, const char *text, int argc, sqlite3_value **argv) {
  sdb_failure f = {0};
  (void)text;
  (void)argc;
  sdb_rows_filter(rows_of(cursor), plan, argv, &f);
  return sdb_failure_to_vtab(&f, cursor->pVtab);
}

/* What SQLite asks for with each row of a scan is answered by functions that call one other at most: what is rarer
** stands apart, so that registers need not be saved for it. */
static SDB_APART int next_far(sqlite3_vtab_cursor *cursor) {
  sdb_failure f = {0};
  sdb_rows_next(rows_of(cursor), &f);
  return sdb_failure_to_vtab(&f, cursor->pVtab);
}

int sdb_cursor_next(sqlite3_vtab_cursor *cursor) {
  return sdb_rows_step(rows_of(cursor)) ? SQLITE_OK : next_far(cursor);
}

int sdb_cursor_eof(sqlite3_vtab_cursor *cursor) {
  return rows_of(cursor)->eof;
}

static SDB_APART int column_of_any_kind(sdb_rows *rows, sqlite3_context *context, int column) {
  sdb_failure f = {0};
  /* UPDATE asks for columns that it will not change, and xUpdate is told so.  Before it asks it has begun. */
  if (sdb_transaction_is_open(rows->directory) && sqlite3_vtab_nochange(context)) return SQLITE_OK;
  if (sdb_rows_column(rows, context, column, &f) != SQLITE_OK) sdb_failure_to_result(&f, context);
  return SQLITE_OK;
}

int sdb_cursor_column(sqlite3_vtab_cursor *cursor, sqlite3_context *context, int column) {
  sdb_rows *rows = rows_of(cursor);
  if (!sdb_transaction_is_open(rows->directory) && sdb_rows_number(rows, context, column)) return SQLITE_OK;
  return column_of_any_kind(rows, context, column);
}

int sdb_cursor_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *rowid) {
  *rowid = sdb_rows_rowid(rows_of(cursor));
  return SQLITE_OK;
}
