/* SPDX-License-Identifier: MIT
**
** upkeep.c: flush, checkpoint, compact, check and wait.
**
** The first three commit, so they refuse while the transaction has changes.  Compacting rewrites the files: a
** connection that must not write does not.  SQLite refuses it a command, but not the SELECT of a function.
*/
#include "agree.h"
#include "change.h"
#include "interrupt.h"
#include "owner.h"
#include "upkeep.h"

static int refuse_with_changes(sdb_directory *directory, const char *command, sdb_failure *f) {
  if (!seqdb_has_changes(directory->engine)) return SQLITE_OK;
  return sdb_failure_set(f, SQLITE_ERROR, "%s: cannot %s while the transaction has changes", directory->name, command);
}

static bool is_query_only(sqlite3 *db) {
  sqlite3_stmt *statement = NULL;
  bool on = false;
  if (sqlite3_prepare_v2(db, "PRAGMA query_only", -1, &statement, NULL) == SQLITE_OK &&
      sqlite3_step(statement) == SQLITE_ROW) {
    on = sqlite3_column_int(statement, 0) != 0;
  }
  sqlite3_finalize(statement);
  return on;
}

int sdb_upkeep_refuse_readonly(sdb_directory *directory, const char *command, sdb_failure *f) {
  sqlite3 *db = directory->connection->db;
  const char *why = NULL;
  if (sqlite3_db_readonly(db, directory->schema) == 1) why = "the SQLite file was opened read-only";
  if (!why && is_query_only(db)) why = "PRAGMA query_only is on";
  if (!why) return SQLITE_OK;
  return sdb_failure_set(f, SQLITE_READONLY, "%s: cannot %s: %s", directory->name, command, why);
}

/* A commit that was rolled back after xSync may still count: an empty one of rows and regions buries it. */
static int bury(sdb_directory *directory, sdb_failure *f) {
  sdb_change change = {.kind = SDB_CHANGE_TOUCH};
  return sdb_change_by_insert(directory, &change, f);
}

/* What an SQLite file still decides about, a checkpoint cannot forget.  A command has begun a transaction, which buries
** what must be buried when it commits (*later): there is nothing more to do then. */
static int settle(sdb_directory *directory, bool *later, sdb_failure *f) {
  *later = false;
  if (sdb_owner_may_upkeep(directory, f) != SQLITE_OK || sdb_agree_settle(directory, f) != SQLITE_OK) return f->code;
  int state = seqdb_unsettled(directory->engine);
  bool unproven = state == 2 || (state == 1 && directory->doubt); /* only a later commit tells */
  if (directory->owner.state != SDB_OWNER_THIS || !unproven) return SQLITE_OK;
  if (directory->transaction.state == SDB_TRANSACTION_ENLISTED) {
    *later = true;
    return sdb_failure_engine(f, directory->engine, seqdb_touch(directory->engine));
  }
  if (!sqlite3_get_autocommit(directory->connection->db)) return SQLITE_OK;
  return bury(directory, f) == SQLITE_OK ? sdb_agree_settle(directory, f) : f->code;
}

static sqlite3_int64 now_ms(void) {
  sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
  sqlite3_int64 now = 0;
  if (vfs && vfs->iVersion >= 2 && vfs->xCurrentTimeInt64) vfs->xCurrentTimeInt64(vfs, &now);
  return now;
}

#define SETTLE_TRIES 50

/* Settles, then calls; *rc is what the engine returned.  Others may commit between the two, and whoever takes the lock
** of a process that died may find a commit of it that nobody has settled: that is settled, too, and the call is tried
** again.  Who is at work is waited for once.  *later: as of settle(); then there was no call. */
static int call_settled(sdb_directory *directory, int (*call)(seqdb *engine, void *context), void *context, int *rc,
                        bool *later, sdb_failure *f) {
  sqlite3_int64 patience_ms = sdb_directory_busy_timeout_ms(directory->connection->db), begin_ms = now_ms();
  if (patience_ms < SDB_PUBLISHING_MS) patience_ms = SDB_PUBLISHING_MS;
  *rc = SEQDB_BUSY;
  for (int tries = 0; *rc == SEQDB_BUSY && tries < SETTLE_TRIES; tries++) {
    if (tries > 0 && (seqdb_unsettled(directory->engine) <= 0 || now_ms() - begin_ms >= patience_ms)) break;
    if (settle(directory, later, f) != SQLITE_OK || *later) return f->code;
    *rc = sdb_directory_patiently(directory, call, context);
  }
  return SQLITE_OK;
}

int sdb_upkeep_flush(sdb_directory *directory, uint64_t *generation, sdb_failure *f) {
  if (refuse_with_changes(directory, "flush", f) != SQLITE_OK) return f->code;
  sdb_agree_close(directory); /* what the SQLite file has not synced */
  return sdb_failure_engine(f, directory->engine, seqdb_flush(directory->engine, generation));
}

static int checkpoint_call(seqdb *engine, void *context) {
  (void)context;
  return seqdb_checkpoint(engine);
}

int sdb_upkeep_checkpoint(sdb_directory *directory, sdb_failure *f) {
  if (refuse_with_changes(directory, "checkpoint", f) != SQLITE_OK) return f->code;
  bool later;
  int rc;
  if (call_settled(directory, checkpoint_call, NULL, &rc, &later, f) != SQLITE_OK || later) return f->code;
  return sdb_failure_engine(f, directory->engine, rc);
}

/* Files are rewritten, and each step is a commit. */
static int may_compact(sdb_directory *directory, sdb_failure *f) {
  if (sdb_upkeep_refuse_readonly(directory, "compact", f) != SQLITE_OK) return f->code;
  if (!sqlite3_get_autocommit(directory->connection->db)) {
    return sdb_failure_set(f, SQLITE_ERROR, "%s: cannot compact inside a transaction", directory->name);
  }
  return refuse_with_changes(directory, "compact", f);
}

/* What others commit between two steps is settled before the next one. */
static int take_step(sdb_directory *directory, int (*step)(seqdb *engine, void *context), void *context, bool *done,
                     sdb_failure *f) {
  bool later;
  int rc;
  if (may_compact(directory, f) != SQLITE_OK) return f->code;
  if (call_settled(directory, step, context, &rc, &later, f) != SQLITE_OK) return f->code;
  *done = later || rc == SEQDB_DONE;
  return *done ? SQLITE_OK : sdb_failure_engine(f, directory->engine, rc);
}

struct stepping {
  uint64_t *cursor;
  seqdb_compact_step_info *step;
};

static int step_call(seqdb *engine, void *context) {
  const struct stepping *stepping = context;
  return seqdb_compact_step(engine, stepping->cursor, stepping->step);
}

int sdb_upkeep_compact_step(sdb_directory *directory, uint64_t *cursor, seqdb_compact_step_info *step, bool *done,
                            sdb_failure *f) {
  struct stepping stepping = {cursor, step};
  return take_step(directory, step_call, &stepping, done, f);
}

struct compaction {
  uint64_t cursor;
  int64_t freed_bytes;
};

static int batch_call(seqdb *engine, void *context) {
  struct compaction *compaction = context;
  return seqdb_compact_batch(engine, &compaction->cursor, &compaction->freed_bytes);
}

int sdb_upkeep_compact(sdb_directory *directory, uint64_t *freed_bytes, sdb_failure *f) {
  struct compaction compaction = {0};
  bool done = false;
  while (!done)
    if (take_step(directory, batch_call, &compaction, &done, f) != SQLITE_OK) return f->code;
  if (freed_bytes) *freed_bytes = compaction.freed_bytes > 0 ? (uint64_t)compaction.freed_bytes : 0;
  return SQLITE_OK;
}

/* ---- wait -------------------------------------------------------------------------------------------------- */

int sdb_upkeep_wait(sdb_directory *directory, uint64_t after, uint64_t timeout_ms, uint64_t *newest, sdb_failure *f) {
  sdb_connection *connection = directory->connection;
  seqdb *engine = directory->engine;
  int rc = SEQDB_OK;
  *newest = after;
  if (refuse_with_changes(directory, "wait", f) != SQLITE_OK) return f->code; /* nobody else could commit */
  seqdb_set_interrupt(engine, sdb_connection_interrupted_asleep, connection);
  do {
    uint32_t part_ms = timeout_ms < UINT32_MAX ? (uint32_t)timeout_ms : UINT32_MAX;
    rc = seqdb_wait(engine, after, part_ms, newest);
    timeout_ms -= part_ms;
  } while (rc == SEQDB_OK && *newest == after && timeout_ms > 0);
  seqdb_set_interrupt(engine, sdb_connection_interrupted, connection);
  return sdb_failure_engine(f, engine, rc);
}

/* ---- check ------------------------------------------------------------------------------------------------- */

typedef struct sdb_report {
  sqlite3_str *text;
  bool only_first;
} sdb_report;

static int add_problem(void *context, const char *problem) {
  sdb_report *report = context;
  if (sqlite3_str_length(report->text) > 0) sqlite3_str_appendchar(report->text, 1, '\n');
  sqlite3_str_appendall(report->text, problem);
  return report->only_first;
}

static int check_call(seqdb *engine, void *report) {
  return seqdb_check(engine, add_problem, report, NULL);
}

/* T6: what no file of the directory can tell alone. */
static int check_times(sdb_directory *directory, sdb_report *report, sdb_failure *f) {
  bool differ;
  if (sdb_owner_compare(directory, &differ, f) != SQLITE_OK) return f->code;
  if (differ) add_problem(report, "the SQLite file and the directory are of different times, one was restored");
  return SQLITE_OK;
}

/* Where other processes write without a pause it waits for them, too. */
int sdb_upkeep_check(sdb_directory *directory, bool only_first, char **text, sdb_failure *f) {
  *text = NULL;
  sdb_report report = {sqlite3_str_new(directory->connection->db), only_first};
  if (check_times(directory, &report, f) != SQLITE_OK) {
    sqlite3_free(sqlite3_str_finish(report.text));
    return f->code;
  }
  bool enough = only_first && sqlite3_str_length(report.text) > 0;
  int rc = enough ? SEQDB_OK : sdb_directory_patiently(directory, check_call, &report);
  int string_rc = sqlite3_str_errcode(report.text);
  *text = sqlite3_str_finish(report.text);
  if (rc == SEQDB_OK && string_rc == SQLITE_OK) return SQLITE_OK;
  sqlite3_free(*text);
  *text = NULL;
  if (rc != SEQDB_OK) return sdb_failure_engine(f, directory->engine, rc);
  if (string_rc == SQLITE_NOMEM) return sdb_failure_nomem(f);
  return sdb_failure_set(f, string_rc, "%s: check found too much", directory->name);
}
