/* SPDX-License-Identifier: MIT
**
** transaction.c: xBegin to xRollbackTo.
**
** All of it acts on the sdb_conn, whichever vtab object SQLite calls, so each call may come several times.
** Nothing begins in the engine before the first change: SELECT, DELETE of no rows and INSERT OR IGNORE of a known name
** neither wait for the writer lock nor write.
**
**   xBegin        enlisted: functions act on the engine directly from here on
**   xSync         everything that can fail: the whole transaction in a durable prepare record
**   xCommit       publish: cannot fail, SQLite would not listen
**   xRollback     undo; after an xSync too (another table's xSync, or SQLite's own commit, failed)
**   xSavepoint    marks by SQLite's numbers; the engine takes -1 and unknown numbers as the begin, and ignores what has
**                 no transaction
**
** xSync may come again with changes between (COMMIT answered SQLITE_BUSY and the program went on), or without:
** `synced` spares the second record then.
**
** An object that joins late, for ALTER TABLE has made a new one, gets xSavepoint(n) of a savepoint that is older than the
** changes of the object before it: such a number makes no mark.  Where the first one joined without a mark n, as inside a
** statement, what n leads to is the begin.
**
** A table created inside a savepoint that is rolled back still gets xSync, but no xRollbackTo before it: see creation.c.
*/
#include "ext.h"

static sdb_conn *conn_of(sqlite3_vtab *vtab) {
  return ((sdb_table *)vtab)->conn;
}

void sdb_conn_end_transaction(sdb_conn *conn) {
  conn->enlisted = false;
  conn->synced = false;
  conn->made = false;
  conn->torn = 0;
  conn->mark_level = -1;
  conn->epoch++;
  sdb_change_forget(conn);
  if (conn->scanned) sdb_pin_put(conn->client, conn->scanned);
  conn->scanned = NULL;
}

static int engine_result(sqlite3_vtab *vtab, int rc) {
  sdb_failure f = {0};
  if (rc == SEQDB_OK) return SQLITE_OK;
  sdb_failure_engine(&f, conn_of(vtab)->engine, rc);
  return sdb_failure_to_vtab(&f, vtab);
}

int sdb_table_begin(sqlite3_vtab *vtab) {
  sdb_failure f = {0};
  if (sdb_table_ready((sdb_table *)vtab, &f) != SQLITE_OK) return sdb_failure_to_vtab(&f, vtab);
  conn_of(vtab)->enlisted = true;
  return SQLITE_OK;
}

int sdb_table_sync(sqlite3_vtab *vtab) {
  sdb_conn *conn = conn_of(vtab);
  if (conn->synced) return SQLITE_OK;
  if (!seqdb_has_changes(conn->engine)) {
    conn->synced = true; /* a function that another table's xSync calls would come too late */
    return SQLITE_OK;
  }
  if (conn->torn) {
    sdb_failure f = {0};
    sdb_failure_set(&f, conn->torn, "seqdb table %s: an overwrite failed half way in this transaction: roll it back",
                    conn->name);
    return sdb_failure_to_vtab(&f, vtab);
  }
  int rc = seqdb_prepare(conn->engine, NULL, NULL);
  conn->synced = rc == SEQDB_OK;
  return engine_result(vtab, rc);
}

int sdb_table_commit(sqlite3_vtab *vtab) {
  sdb_conn *conn = conn_of(vtab);
  seqdb_publish(conn->engine);
  sdb_conn_end_transaction(conn);
  return SQLITE_OK;
}

int sdb_table_rollback(sqlite3_vtab *vtab) {
  sdb_conn *conn = conn_of(vtab);
  int rc = seqdb_rollback(conn->engine);
  sdb_conn_end_transaction(conn);
  return engine_result(vtab, rc);
}

int sdb_table_savepoint(sqlite3_vtab *vtab, int level) {
  sdb_conn *conn = conn_of(vtab);
  if (level <= conn->mark_level) return SQLITE_OK;
  int rc = seqdb_release(conn->engine, level); /* of a RELEASE that failed: for SQLite it has happened */
  if (rc == SEQDB_OK) rc = seqdb_savepoint(conn->engine, level);
  if (rc == SEQDB_OK) conn->mark_level = level;
  return engine_result(vtab, rc);
}

int sdb_table_release(sqlite3_vtab *vtab, int level) {
  sdb_conn *conn = conn_of(vtab);
  conn->mark_level = level - 1;
  if (conn->torn_level > conn->mark_level) conn->torn_level = conn->mark_level;
  return engine_result(vtab, seqdb_release(conn->engine, level));
}

int sdb_table_rollback_to(sqlite3_vtab *vtab, int level) {
  sdb_conn *conn = conn_of(vtab);
  conn->synced = false;
  conn->mark_level = level;
  sdb_change_forget(conn);
  if (level <= conn->torn_level) conn->torn = 0;
  return engine_result(vtab, seqdb_rollback_to(conn->engine, level));
}
