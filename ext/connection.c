/* SPDX-License-Identifier: MIT
**
** connection.c: sdb_connection: one per sqlite3 connection.
**
** It is kept alive by every registration that carries it: SQLite frees them when the connection is closed.
**
** It keeps two statements, and each directory one.  SQLite disconnects tables before it looks for statements that are
** not finalized: so they are finalized with the last directory and cursor, and never keep sqlite3_close() from
** succeeding.
**
** THREADS.  Everything that hangs on it runs under the mutex of its sqlite3 connection; there is no global state but
** who uses the extension's file (sqlite_api.h).
*/
#include "connection.h"
#include "pin.h"

sdb_connection *sdb_connection_new(sqlite3 *db) {
  sdb_connection *connection = sqlite3_malloc64(sizeof *connection);
  if (connection) *connection = (sdb_connection){.db = db, .refs = 1, .level = -1};
  return connection;
}

sdb_connection *sdb_connection_ref(sdb_connection *connection) {
  connection->refs++;
  return connection;
}

/* ---- what it keeps ----------------------------------------------------------------------------------------- */

/* A program that closes in a loop over sqlite3_next_stmt() may have finalized it. */
void sdb_connection_finalize(sdb_connection *connection, sqlite3_stmt **kept) {
  for (sqlite3_stmt *at = NULL; *kept && (at = sqlite3_next_stmt(connection->db, at)) != NULL;) {
    if (at != *kept) continue;
    sqlite3_finalize(at);
    break;
  }
  *kept = NULL;
}

void sdb_connection_forget_found(sdb_connection *connection) {
  for (size_t i = 0; i < SDB_FOUND_COUNT; i++) {
    sqlite3_free(connection->found[i].text);
    connection->found[i].text = NULL;
  }
  sdb_connection_finalize(connection, &connection->sentinel);
}

static void free_kept(sdb_connection *connection) {
  sdb_connection_forget_found(connection);
  sdb_connection_finalize(connection, &connection->probe);
}

void sdb_connection_rest(sdb_connection *connection) {
  if (!connection->directories && connection->cursors == 0) free_kept(connection);
}

void sdb_connection_unref(void *context) {
  sdb_connection *connection = context;
  if (--connection->refs > 0) return;
  free_kept(connection);
  if (connection->feed) connection->feed_end(connection);
  sdb_pins_close(&connection->pins);
  sqlite3_free(connection);
  sdb_sqlite_api_leave();
}

/* ---- registration ------------------------------------------------------------------------------------------ */

/* SQLite calls the destructor as well when it refuses a registration. */
int sdb_connection_add_functions(sdb_connection *connection, const sdb_function *functions, size_t count) {
  int rc = SQLITE_OK;
  for (size_t i = 0; rc == SQLITE_OK && i < count; i++) {
    rc = sqlite3_create_function_v2(connection->db, functions[i].name, functions[i].arguments,
                                    SQLITE_UTF8 | functions[i].flags, sdb_connection_ref(connection),
                                    functions[i].function, NULL, NULL, sdb_connection_unref);
  }
  return rc;
}
