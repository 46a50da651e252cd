/* SPDX-License-Identifier: MIT
**
** moment.c: see moment.h.  In WAL mode alone can others write while a connection reads on.
*/
#include "moment.h"
#include "agree.h"
#include "file.h"
#include "interrupt.h"
#include "path.h"

static int interrupted(sdb_moment *m, sdb_failure *f) {
  if (!sdb_connection_interrupted(m->connection)) return SQLITE_OK;
  return sdb_failure_set(f, SQLITE_INTERRUPT, "%s: interrupted", m->work);
}

static int check_file(sdb_moment *m, sdb_failure *f) {
  sqlite3 *db = m->connection->db;
  m->file = sdb_path_file(db, m->schema);
  if (!m->file) {
    bool known = sqlite3_db_filename(db, m->schema) != NULL || sqlite3_stricmp(m->schema, "temp") == 0;
    return sdb_failure_set(f, SQLITE_ERROR,
                           known ? "%s: %s has no file: there is nothing to copy" : "%s: there is no database %s",
                           m->work, m->schema);
  }
  if (sqlite3_txn_state(db, m->schema) == SQLITE_TXN_WRITE)
    return sdb_failure_set(f, SQLITE_ERROR, "%s: %s has changes that are not committed: COMMIT first", m->work,
                           m->schema);
  if ((sdb_file_durability(db, m->schema) & 0x0f) == 1) return SQLITE_OK;
  return sdb_failure_set(f, SQLITE_ERROR,
                         "%s: %s is not in WAL mode, in which alone others can write while it is copied: "
                         "PRAGMA %s.journal_mode = WAL",
                         m->work, m->schema, m->schema);
}

static int open_file(sdb_moment *m, sqlite3 **db, sdb_failure *f) {
  const char *vfs = sdb_path_vfs(m->connection->db, m->schema);
  if (sqlite3_open_v2(m->file, db, SQLITE_OPEN_READWRITE, vfs) != SQLITE_OK) return sdb_failure_nested(f, *db);
  sqlite3_db_config(*db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
  sqlite3_db_config(*db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
  return SQLITE_OK;
}

int sdb_moment_open(sdb_moment *m, sdb_failure *f) {
  if (check_file(m, f) != SQLITE_OK || open_file(m, &m->lock, f) != SQLITE_OK) return f->code;
  return open_file(m, &m->read, f);
}

/* SQLite's write lock: as patient as the connection, and with commits that follow each other closely more than that. */
static int take_lock(sdb_moment *m, sdb_failure *f) {
  uint32_t patience_ms = sdb_directory_busy_timeout_ms(m->connection->db);
  int rc = SQLITE_BUSY;
  if (patience_ms < SDB_PUBLISHING_MS) patience_ms = SDB_PUBLISHING_MS;
  for (uint32_t waited_ms = 0; rc == SQLITE_BUSY && waited_ms <= patience_ms; waited_ms++) {
    rc = sqlite3_exec(m->lock, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (rc != SQLITE_BUSY) break;
    if (interrupted(m, f) != SQLITE_OK) return f->code;
    sqlite3_sleep(1);
  }
  if (rc != SQLITE_BUSY) return rc == SQLITE_OK ? rc : sdb_failure_nested(f, m->lock);
  return sdb_failure_set(f, SQLITE_BUSY, "database is locked: another connection has changed %s and not committed",
                         m->file);
}

int sdb_moment_take(sdb_moment *m, sdb_failure *f) {
  if (take_lock(m, f) != SQLITE_OK) return f->code;
  if (sqlite3_exec(m->read, "BEGIN; SELECT 1 FROM sqlite_master LIMIT 1", NULL, NULL, NULL) == SQLITE_OK)
    return SQLITE_OK;
  sdb_failure_nested(f, m->read);
  sdb_moment_let_go(m);
  return f->code;
}

/* Nobody can commit meanwhile, but the last one who did may not have come to publishing. */
int sdb_moment_agree(sdb_moment *m, sdb_directory *directory, const sdb_row *row, sdb_failure *f) {
  seqdb *engine = directory->engine;
  int rc = SEQDB_OK;
  for (int waited_ms = 0; seqdb_is_marked(engine) && waited_ms <= SDB_PUBLISHING_MS; waited_ms++) {
    rc = seqdb_agree(engine, row->generation, row->token);
    if (rc != SEQDB_BUSY && rc != SEQDB_READONLY) break;
    if (interrupted(m, f) != SQLITE_OK) return f->code;
    sqlite3_sleep(1);
  }
  if (rc == SEQDB_NOTFOUND) return sdb_agree_refuse_times(directory, SQLITE_CANTOPEN, f);
  bool published = rc == SEQDB_OK || !seqdb_is_marked(engine); /* by us, or by whoever was in our way */
  return published ? SQLITE_OK : sdb_failure_engine(f, engine, rc);
}

void sdb_moment_let_go(sdb_moment *m) {
  (void)sqlite3_exec(m->lock, "ROLLBACK", NULL, NULL, NULL); /* it has changed nothing: nothing can fail */
}

void sdb_moment_close(sdb_moment *m) {
  sqlite3_close(m->read);
  sqlite3_close(m->lock);
  m->read = m->lock = NULL;
}
