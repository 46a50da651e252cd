/* SPDX-License-Identifier: MIT
**
** interrupt.c: stopping long work of the engine (compact, check, large copies).
**
** A kept `SELECT 1` is stepped: it fails with SQLITE_INTERRUPT after sqlite3_interrupt(), on every version of SQLite,
** and its steps are counted for the progress handler, which sqlite3_is_interrupted() alone would never call.
** Measured: 120 to 230 ns.  It must be the same statement every time: the count is the statement's.
** sqlite3_is_interrupted() (3.41) only shortens the way to a yes.
*/
#include "connection.h"
#include "interrupt.h"

int sdb_connection_interrupted(void *context) {
  sdb_connection *connection = context;
#if SQLITE_VERSION_NUMBER >= 3041000
  if (sqlite3_libversion_number() >= 3041000 && sqlite3_is_interrupted(connection->db)) return 1;
#endif
  if (!connection->probe && sqlite3_prepare_v2(connection->db, "SELECT 1", -1, &connection->probe, NULL) != SQLITE_OK) {
    return sqlite3_errcode(connection->db) == SQLITE_INTERRUPT;
  }
  int rc = sqlite3_step(connection->probe);
  if (rc == SQLITE_ROW) rc = sqlite3_step(connection->probe);
  sqlite3_reset(connection->probe);
  return rc == SQLITE_INTERRUPT;
}

/* One step of it is some 4 instructions for the progress handler; one in 1,000 is what programs mostly ask for. */
#define ASLEEP_STEPS 64

int sdb_connection_interrupted_asleep(void *context) {
  int interrupted = 0;
  for (int i = 0; i < ASLEEP_STEPS && !interrupted; i++)
    interrupted = sdb_connection_interrupted(context);
  return interrupted;
}
