/* SPDX-License-Identifier: MIT
**
** interrupt.c: stopping long work of the engine (compact, check, large copies).
**
** A kept `SELECT 1` is stepped: it fails with SQLITE_INTERRUPT after sqlite3_interrupt(), on every version of
** SQLite, and its steps are counted towards the progress handler, which sqlite3_is_interrupted() alone would never
** call.  Measured 120 to 230 ns.  It must be the same statement every time: the count is the statement's.
** sqlite3_is_interrupted() (3.41) only shortens the way to a yes.
**
** The statement is finalized with the connection's last table and cursor (connection.c), so that it never keeps
** sqlite3_close() from succeeding: SQLite disconnects tables before it looks for unfinished statements.
*/
#include "ext.h"

int sdb_client_interrupted(void *context) {
  sdb_client *client = context;
#if SQLITE_VERSION_NUMBER >= 3041000
  if (sqlite3_libversion_number() >= 3041000 && sqlite3_is_interrupted(client->db)) return 1;
#endif
  if (!client->probe && sqlite3_prepare_v2(client->db, "SELECT 1", -1, &client->probe, NULL) != SQLITE_OK) {
    return sqlite3_errcode(client->db) == SQLITE_INTERRUPT;
  }
  int rc = sqlite3_step(client->probe);
  if (rc == SQLITE_ROW) rc = sqlite3_step(client->probe);
  sqlite3_reset(client->probe);
  return rc == SQLITE_INTERRUPT;
}
