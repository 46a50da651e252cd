/* SPDX-License-Identifier: MIT
**
** cursor.c: cursors of the table: a thin shell over rows.c.
**
** Every open cursor is counted twice: by the conn (DROP refuses while one is open) and by the client, whose last
** one lets lent pins go (pin.c).
*/
#include "ext.h"

int sdb_cursor_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **out) {
  sdb_table *table = (sdb_table *)vtab;
  sdb_failure f = {0};
  if (sdb_table_ready(table, &f) != SQLITE_OK) return sdb_failure_to_vtab(&f, vtab);
  sdb_conn *conn = table->conn;
  sdb_cursor *cursor = sqlite3_malloc64(sizeof *cursor);
  if (!cursor) return SQLITE_NOMEM;
  cursor->base = (sqlite3_vtab_cursor){.pVtab = vtab};
  if (sdb_rows_open(&cursor->rows, conn->client, conn, conn->engine, &f) != SQLITE_OK) {
    sqlite3_free(cursor);
    return sdb_failure_to_vtab(&f, vtab);
  }
  conn->cursors++;
  sdb_cursor_opened(conn->client);
  *out = &cursor->base;
  return SQLITE_OK;
}

int sdb_cursor_close(sqlite3_vtab_cursor *base) {
  sdb_cursor *cursor = (sdb_cursor *)base;
  sdb_conn *conn = cursor->rows.conn;
  sdb_rows_close(&cursor->rows);
  conn->cursors--;
  sdb_cursor_closed(conn->client);
  sqlite3_free(cursor);
  return SQLITE_OK;
}

int sdb_cursor_filter(sqlite3_vtab_cursor *base, int plan, const char *text, int argc, sqlite3_value **argv) {
  sdb_failure f = {0};
  (void)text;
  if (sdb_rows_filter(&((sdb_cursor *)base)->rows, plan, argc, argv, &f) == SQLITE_OK) return SQLITE_OK;
  return sdb_failure_to_vtab(&f, base->pVtab);
}

int sdb_cursor_next(sqlite3_vtab_cursor *base) {
  sdb_failure f = {0};
  if (sdb_rows_next(&((sdb_cursor *)base)->rows, &f) == SQLITE_OK) return SQLITE_OK;
  return sdb_failure_to_vtab(&f, base->pVtab);
}

int sdb_cursor_eof(sqlite3_vtab_cursor *base) {
  return ((sdb_cursor *)base)->rows.eof;
}

int sdb_cursor_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column) {
  sdb_failure f = {0};
  sdb_rows *rows = &((sdb_cursor *)base)->rows;
  /* UPDATE asks, but will not change it: xUpdate is told.  Before it asks it has begun. */
  if (rows->conn->enlisted && sqlite3_vtab_nochange(context)) return SQLITE_OK;
  if (sdb_rows_column(rows, context, column, &f) != SQLITE_OK) {
    sdb_failure_to_result(&f, context);
  }
  return SQLITE_OK;
}

int sdb_cursor_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *rowid) {
  *rowid = (sqlite3_int64)((sdb_cursor *)base)->rows.row.index + 1;
  return SQLITE_OK;
}
