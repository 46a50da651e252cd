/* SPDX-License-Identifier: MIT
**
** agree.c: see agree.h.
**
**   xSync     prepare, durably; its token into the row; mark                     transaction.c
**   SQLite    shows the row, and lets its lock go
**   xCommit   publish; the mark is cleared; perhaps it is settled
**
** Between the last two a row may be newer than what is published, also for ever: the process may die there.  So
** whoever finds the mark reads the row, and waits for the publishing or does it.  A writer has SQLite's write lock:
** what it reads is the newest row.  A reader takes its snapshot of SQLite first, then looks at the mark, then takes
** the one of the regions: these are as new as its row, or newer.
*/
#include "agree.h"
#include "ask.h"
#include "file.h"
#include "interrupt.h"
#include "path.h"
#include "schema.h"
#include "shadow.h"

/* ---- T6 ---------------------------------------------------------------------------------------------------- */

int sdb_agree_refuse_times(sdb_directory *directory, int code, sdb_failure *f) {
  return sdb_failure_set(f, code,
                         "%s: the SQLite file and the directory %s are of different times, one was restored: SELECT "
                         "seqdb_takeover('%s') takes both as they are",
                         directory->name, directory->path, directory->name);
}

/* ---- the mark ---------------------------------------------------------------------------------------------- */

/* Whoever cannot publish sees what others have published. */
static bool cannot_write(int rc) {
  return rc == SEQDB_READONLY || rc == SEQDB_POISONED || rc == SEQDB_CORRUPT;
}

int sdb_agree_write(sdb_directory *directory, sdb_failure *f) {
  seqdb *engine = directory->engine;
  sdb_row row;
  bool found;
  if (!seqdb_is_marked(engine) || seqdb_has_changes(engine)) return SQLITE_OK;
  if (sdb_shadow_read(directory, &row, &found, f) != SQLITE_OK || !found) return f->code;
  seqdb_set_busy_timeout(engine, SDB_PUBLISHING_MS);
  int rc = seqdb_agree(engine, row.generation, row.token);
  seqdb_set_busy_timeout(engine, 0);
  if (rc == SEQDB_NOTFOUND) return sdb_agree_refuse_times(directory, SQLITE_READONLY, f);
  return cannot_write(rc) ? SQLITE_OK : sdb_failure_engine(f, engine, rc); /* the change is going to be refused */
}

int sdb_agree_read(sdb_directory *directory, sdb_failure *f) {
  seqdb *engine = directory->engine;
  sqlite3 *db = directory->connection->db;
  sdb_row row;
  bool found;
  if (directory->blind) {
    seqdb_error error = SEQDB_ERROR_INIT;
    (void)seqdb_is_readonly(engine, &error);
    sdb_failure_record(f, &error);
    return f->code = SQLITE_CANTOPEN;
  }
  if (!directory->atomic || !seqdb_is_marked(engine) || seqdb_has_changes(engine)) return SQLITE_OK;
  if (sqlite3_txn_state(db, directory->schema) == SQLITE_TXN_WRITE) return sdb_agree_write(directory, f);
  if (sdb_shadow_read(directory, &row, &found, f) != SQLITE_OK || !found) return f->code;
  int rc = seqdb_agree(engine, row.generation, row.token);
  for (int waited_ms = 0; (rc == SEQDB_BUSY || rc == SEQDB_READONLY) && waited_ms < SDB_PUBLISHING_MS; waited_ms++) {
    if (sdb_connection_interrupted(directory->connection))
      return sdb_failure_set(f, SQLITE_INTERRUPT, "%s: interrupted", directory->name);
    sqlite3_sleep(1);
    rc = seqdb_agree(engine, row.generation, row.token);
  }
  if (rc == SEQDB_NOTFOUND || cannot_write(rc)) return SQLITE_OK; /* a copy's row says nothing of the regions */
  return sdb_failure_engine(f, engine, rc);
}

/* ---- settling ---------------------------------------------------------------------------------------------- */

/* Neither SQLite before 3.39 nor a module compiled with its headers can tell whether the schema is whole (schema.h). */
static bool is_old(void) {
  return SQLITE_VERSION_NUMBER < 3039000 || sqlite3_libversion_number() < 3039000;
}

static int sync_file(sdb_directory *directory, bool closing, sdb_failure *f) {
  const sdb_asking asking = {directory->connection, directory->schema, directory->path};
  if (closing && is_old()) return sdb_ask_sync(&asking, f);
  return sdb_file_sync(directory->connection->db, directory->schema, f);
}

/* Not after a DETACH: SQLite disconnects then, and the schema's name may be that of another file already. */
static bool has_its_file(sdb_directory *directory, sdb_failure *f) {
  const char *path = sdb_path_file(directory->connection->db, directory->schema);
  seqdb_claim claim;
  bool claimed = false;
  seqdb_get_candidates(directory->engine, &claim);
  return path && sdb_file_is_claimed(directory->path, path, &claim, &claimed, f) == SQLITE_OK && claimed;
}

/* The newest commit was seen in the row, by whoever published it: a sync now makes it durable. */
static int settle(sdb_directory *directory, bool closing, sdb_failure *f) {
  seqdb *engine = directory->engine;
  uint8_t token[SEQDB_TOKEN_BYTES];
  uint64_t generation;
  int rc = seqdb_get_tip(engine, &generation, token);
  if (rc != SEQDB_OK) return sdb_failure_engine(f, engine, rc);
  if (closing && !has_its_file(directory, f)) {
    const sdb_asking asking = {directory->connection, directory->schema, directory->path};
    return f->code == SQLITE_OK ? sdb_ask_to_settle(&asking, engine, false) : f->code;
  }
  if (sync_file(directory, closing, f) != SQLITE_OK) return f->code;
  rc = seqdb_settle(engine, token);
  return rc == SEQDB_BUSY ? SQLITE_OK : sdb_failure_engine(f, engine, rc);
}

static int settle_others(sdb_directory *directory, bool buries, sdb_failure *f) {
  const sdb_asking asking = {directory->connection, directory->schema, directory->path};
  if (seqdb_unsettled(directory->engine) != 3) return SQLITE_OK;
  int rc = sdb_ask_to_settle(&asking, directory->engine, buries);
  seqdb_set_file(directory->engine, directory->owner.state == SDB_OWNER_THIS ? directory->owner.file : NULL, 1);
  return rc == SQLITE_OK ? rc : sdb_failure_set(f, rc, "%s: interrupted", directory->name);
}

int sdb_agree_others(sdb_directory *directory, sdb_failure *f) {
  return settle_others(directory, true, f);
}

static int settle_all(sdb_directory *directory, bool buries, sdb_failure *f) {
  if (settle_others(directory, buries, f) != SQLITE_OK) return f->code;
  int state = seqdb_unsettled(directory->engine);
  if (state < 0) return sdb_failure_engine(f, directory->engine, state);
  if (directory->owner.state != SDB_OWNER_THIS || directory->doubt) return SQLITE_OK;
  return state == 1 || state == 2 ? settle(directory, !buries, f) : SQLITE_OK;
}

int sdb_agree_settle(sdb_directory *directory, sdb_failure *f) {
  return settle_all(directory, true, f);
}

void sdb_agree_close(sdb_directory *directory) {
  sdb_failure unheard = {0};
  bool may_settle = is_old() || sdb_schema_is_whole(directory->connection->db);
  if (seqdb_is_readonly(directory->engine, NULL) || !may_settle) return;
  settle_all(directory, false, &unheard);
  sdb_failure_clear(&unheard);
}

/* A commit that SQLite does not sync: once so many wait, it is synced here, and all of them are settled. */
void sdb_agree_commit(sdb_directory *directory, uint32_t durability) {
  sdb_failure unheard = {0};
  int settles = sdb_file_settles(durability);
  directory->doubt = false;
  if (settles != SEQDB_SETTLES_ALL && seqdb_settle_is_due(directory->engine) &&
      sdb_file_sync(directory->connection->db, directory->schema, &unheard) == SQLITE_OK)
    settles = SEQDB_SETTLES_ALL;
  sdb_failure_clear(&unheard);
  seqdb_set_settles(directory->engine, settles);
}
