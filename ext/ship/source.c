/* SPDX-License-Identifier: MIT
**
** source.c: see source.h.  All by SQL, on one connection; engine and extension are in this program.
**
** A publisher reads.  What it writes, each some seconds: the notes on rows that are shipped are forgotten.  A statement
** that is busy is tried again for a minute, or until a signal says stop: SQLite itself waits for a second each time,
** but hears no signal meanwhile, and does not wait for what a writer's checkpoints overtake.
*/
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "seqdb.h"
#include "source.h"

#define BUSY_MS        60000
#define FORGET_BUSY_MS 2000
#define SQLITE_BUSY_MS 1000
#define PAUSE_MS       20

int sqlite3_seqdb_init(sqlite3 *db, char **error, const void *api);

struct ship_source {
  ship *s;
  sqlite3 *db;
  char *table;                 /* as the functions read it: quoted, since a name may have dots and quotes in it */
  char chain[CHAIN_UUID_TEXT]; /* of the directory, as it was looked at last */
  bool busy;                   /* what failed last did so since another connection has locked the database */
  int64_t busy_ms;             /* for so long what is busy is tried again */
  sqlite3_stmt *make, *info, *apply, *wait;
};

/* ---- statements ----------------------------------------------------------------------------------------------- */

/* What SQLite's last failure means here. */
static ship_status failed(ship_source *source, const char *what) {
  ship_status status = SHIP_FAILED;
  int code = sqlite3_errcode(source->db) & 0xff;
  source->busy = code == SQLITE_BUSY;
  switch (code) {
    case SQLITE_BUSY:
      if (ship_stop) status = SHIP_STOPPED;
      break;
    case SQLITE_RANGE:
    case SQLITE_SCHEMA:
      status = SHIP_NEEDS_BASE;
      break;
    case SQLITE_MISMATCH:
      status = SHIP_REFUSED;
      break;
    case SQLITE_CORRUPT:
      status = SHIP_DAMAGED;
      break;
    default:
      break;
  }
  return ship_fail(source->s, status, "%s: %s", what, sqlite3_errmsg(source->db));
}

/* One statement, for as long as it is busy. */
typedef struct attempt {
  int64_t until;
  bool autocommit; /* a transaction that has ended meanwhile is not gone on with */
} attempt;

static attempt begin_attempt(const ship_source *source) {
  return (attempt){.until = ship_now_ms() + source->busy_ms, .autocommit = sqlite3_get_autocommit(source->db) != 0};
}

/* After a pause, if `rc` is worth it. */
static bool tries_again(const ship_source *source, const attempt *a, int rc) {
  bool tries = (rc & 0xff) == SQLITE_BUSY && ship_now_ms() < a->until && !ship_stop &&
               (sqlite3_get_autocommit(source->db) != 0) == a->autocommit;
  if (tries) ship_sleep(PAUSE_MS);
  return tries;
}

/* To prepare is to read the schema, which may be locked. */
static ship_status prepare_text(ship_source *source, sqlite3_stmt **statement, const char *sql) {
  attempt a = begin_attempt(source);
  int rc;
  do {
    rc = sqlite3_prepare_v2(source->db, sql, -1, statement, NULL);
  } while (tries_again(source, &a, rc));
  return rc == SQLITE_OK ? SHIP_OK : failed(source, "cannot prepare");
}

static ship_status prepare(ship_source *source, sqlite3_stmt **statement, const char *sql) {
  if (*statement) {
    sqlite3_reset(*statement);
    return SHIP_OK;
  }
  ship_status status = prepare_text(source, statement, sql);
  if (!status) sqlite3_bind_text(*statement, 1, source->table, -1, SQLITE_STATIC);
  return status;
}

/* SHIP_OK: there is a row; SHIP_MISSING: there is none. */
static ship_status step(ship_source *source, sqlite3_stmt *statement, const char *what) {
  attempt a = begin_attempt(source);
  int rc = sqlite3_step(statement);
  while (tries_again(source, &a, rc)) {
    sqlite3_reset(statement);
    rc = sqlite3_step(statement);
  }
  if (rc == SQLITE_ROW) return SHIP_OK;
  ship_status status =
      rc == SQLITE_DONE ? ship_fail(source->s, SHIP_MISSING, "%s: no row", what) : failed(source, what);
  sqlite3_reset(statement);
  return status;
}

/* One statement: it may be repeated. */
static ship_status run(ship_source *source, const char *sql, const char *what) {
  attempt a = begin_attempt(source);
  int rc;
  do {
    rc = sqlite3_exec(source->db, sql, NULL, NULL, NULL);
  } while (tries_again(source, &a, rc));
  return rc == SQLITE_OK ? SHIP_OK : failed(source, what);
}

/* A text of sqlite3_mprintf, which is freed. */
static ship_status run_made(ship_source *source, char *sql, const char *what) {
  ship_status status = sql ? run(source, sql, what) : ship_fail(source->s, SHIP_FAILED, "out of memory");
  sqlite3_free(sql);
  return status;
}

/* ---- open, close ---------------------------------------------------------------------------------------------- */

void source_close(ship_source *source) {
  if (!source) return;
  sqlite3_finalize(source->make);
  sqlite3_finalize(source->info);
  sqlite3_finalize(source->apply);
  sqlite3_finalize(source->wait);
  if (source->db && sqlite3_close(source->db) != SQLITE_OK) sqlite3_close_v2(source->db);
  sqlite3_free(source->table);
  free(source);
}

static ship_status open_file(ship_source *source, bool create) {
  int flags = SQLITE_OPEN_READWRITE | (create ? SQLITE_OPEN_CREATE : 0);
  const char *file = source->s->options->database;
  sqlite3_auto_extension((void (*)(void))sqlite3_seqdb_init);
  if (sqlite3_open_v2(file, &source->db, flags, NULL) != SQLITE_OK) {
    return ship_fail(source->s, SHIP_FAILED, "cannot open %s: %s", file, sqlite3_errmsg(source->db));
  }
  sqlite3_busy_timeout(source->db, SQLITE_BUSY_MS);
  return SHIP_OK;
}

static ship_status has_table(ship_source *source, const char *suffix, bool *has) {
  sqlite3_stmt *statement = NULL;
  char *name = sqlite3_mprintf("%s%s", source->s->options->table, suffix);
  ship_status status =
      prepare_text(source, &statement, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND lower(name) = lower(?1)");
  if (!status) {
    sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
    status = step(source, statement, source->s->options->database);
  }
  *has = status == SHIP_OK;
  if (status == SHIP_MISSING) status = SHIP_OK;
  sqlite3_finalize(statement);
  sqlite3_free(name);
  return status;
}

static ship_status create_table(ship_source *source) {
  ship_status status = run(source, "PRAGMA journal_mode = WAL", "cannot choose WAL mode");
  if (status) return status;
  return run_made(source,
                  sqlite3_mprintf("CREATE VIRTUAL TABLE IF NOT EXISTS \"%w\" USING seqdb()", source->s->options->table),
                  "cannot make the table");
}

static ship_status open_table(ship_source *source, bool create) {
  bool has = false;
  ship_status status = has_table(source, "", &has);
  if (status || has) return status;
  if (create) return create_table(source);
  return ship_fail(source->s, SHIP_FAILED, "%s has no table '%s'", source->s->options->database,
                   source->s->options->table);
}

ship_status source_open(ship *s, bool create, ship_source **out) {
  *out = calloc(1, sizeof **out);
  if (!*out) return ship_fail(s, SHIP_FAILED, "out of memory");
  (*out)->s = s;
  (*out)->busy_ms = BUSY_MS;
  (*out)->table = sqlite3_mprintf("\"%w\"", s->options->table);
  ship_status status = (*out)->table ? open_file(*out, create) : ship_fail(s, SHIP_FAILED, "out of memory");
  if (!status) status = open_table(*out, create);
  if (status) {
    source_close(*out);
    *out = NULL;
  }
  return status;
}

/* ---- looking -------------------------------------------------------------------------------------------------- */

static void take_word(char *word, size_t bytes, sqlite3_stmt *row, int column) {
  const char *text = (const char *)sqlite3_column_text(row, column);
  snprintf(word, bytes, "%s", text ? text : "");
}

static ship_status look_at_table(ship_source *source, source_state *state) {
  sqlite3_stmt *row = NULL;
  ship_status status = prepare(source, &row,
                               "SELECT s ->> 'uuid', s ->> 'generation', s ->> 'changes_floor' "
                               "FROM (SELECT seqdb_stat(?1) AS s)");
  if (!status) status = step(source, row, "seqdb_stat");
  if (!status) {
    take_word(state->chain, sizeof state->chain, row, 0);
    state->generation = (uint64_t)sqlite3_column_int64(row, 1);
    state->floor = (uint64_t)sqlite3_column_int64(row, 2);
  }
  sqlite3_finalize(row);
  return status;
}

static ship_status look_at_follower(ship_source *source, source_state *state) {
  sqlite3_stmt *row = NULL;
  ship_status status = has_table(source, "_follow", &state->follows);
  if (status || !state->follows) return status;
  char *sql = sqlite3_mprintf("SELECT lower(hex(chain)), generation FROM \"%w_follow\" WHERE ?1 IS NOT NULL",
                              source->s->options->table);
  status = sql ? prepare(source, &row, sql) : ship_fail(source->s, SHIP_FAILED, "out of memory");
  sqlite3_free(sql);
  if (!status) status = step(source, row, "reading how far it has followed");
  state->follows = status == SHIP_OK;
  if (state->follows) {
    take_word(state->followed, sizeof state->followed, row, 0);
    state->reached = (uint64_t)sqlite3_column_int64(row, 1);
  }
  sqlite3_finalize(row);
  return status == SHIP_MISSING ? SHIP_OK : status;
}

/* A file that is moved keeps it; a copy, and one that is moved to another disk, has another one. */
static ship_status look_at_file(ship_source *source, source_state *state) {
  const char *path = source->s->options->database;
  seqdb_file_identity identity;
  if (seqdb_identify(path, &identity) != SEQDB_OK)
    return ship_fail(source->s, SHIP_FAILED, "cannot look at %s, to see whether it is the file that was shipped", path);
  snprintf(state->file, sizeof state->file, "%" PRIu64 ".%" PRIu64, identity.inode, identity.birth_ns);
  return SHIP_OK;
}

ship_status source_look(ship_source *source, source_state *state) {
  *state = (source_state){0};
  ship_status status = look_at_table(source, state);
  if (!status) status = look_at_file(source, state);
  if (!status) status = look_at_follower(source, state);
  memcpy(source->chain, state->chain, sizeof source->chain);
  return status;
}

ship_status source_wait(ship_source *source, uint64_t generation, int timeout_ms, uint64_t *newest) {
  ship_status status = prepare(source, &source->wait, "SELECT seqdb_wait(?1, ?2, ?3)");
  if (status) return status;
  sqlite3_bind_int64(source->wait, 2, (sqlite3_int64)generation);
  sqlite3_bind_int(source->wait, 3, timeout_ms);
  status = step(source, source->wait, "seqdb_wait");
  if (status) return status;
  *newest = (uint64_t)sqlite3_column_int64(source->wait, 0);
  sqlite3_reset(source->wait);
  return SHIP_OK;
}

ship_status source_schema(ship_source *source, int64_t *version) {
  sqlite3_stmt *row = NULL;
  ship_status status = prepare_text(source, &row, "PRAGMA schema_version");
  if (!status) status = step(source, row, "PRAGMA schema_version");
  if (!status) *version = sqlite3_column_int64(row, 0);
  sqlite3_finalize(row);
  return status;
}

/* What it says now is not for the chain that has been begun. */
static ship_status check_chain(ship_source *source, const char *chain, const char *now) {
  if (strcmp(chain, now) == 0) return SHIP_OK;
  return ship_fail(source->s, SHIP_REFUSED,
                   "the database has started another chain, %s, in place of %s: publish it with --new-chain", now,
                   chain);
}

ship_status source_look_again(ship_source *source, const char *chain, source_state *state) {
  ship_status status = source_look(source, state);
  return status ? status : check_chain(source, chain, state->chain);
}

/* ---- upstream ------------------------------------------------------------------------------------------------- */

/* What the part says of itself. */
static ship_status describe(ship_source *source, source_part *part) {
  char chain[CHAIN_UUID_TEXT];
  ship_status status = source->info ? SHIP_OK
                                    : prepare_text(source, &source->info,
                                                   "SELECT i ->> 'chain', i ->> 'from', i ->> 'to', i ->> 'last' "
                                                   "FROM (SELECT seqdb_object_info(?1) AS i)");
  if (status) return status;
  sqlite3_reset(source->info);
  sqlite3_bind_blob64(source->info, 1, part->data, part->bytes, SQLITE_STATIC);
  status = step(source, source->info, "seqdb_object_info");
  if (status) return status;
  take_word(chain, sizeof chain, source->info, 0);
  part->from = (uint64_t)sqlite3_column_int64(source->info, 1);
  part->to = (uint64_t)sqlite3_column_int64(source->info, 2);
  part->last = sqlite3_column_int(source->info, 3) != 0;
  sqlite3_reset(source->info);
  sqlite3_clear_bindings(source->info);
  return check_chain(source, source->chain, chain);
}

ship_status source_make(ship_source *source, uint64_t since, uint64_t part, source_part *out) {
  *out = (source_part){0};
  ship_status status = prepare(source, &source->make, "SELECT seqdb_object(?1, ?2, ?3)");
  if (status) return status;
  sqlite3_bind_int64(source->make, 2, (sqlite3_int64)since);
  sqlite3_bind_int64(source->make, 3, (sqlite3_int64)part);
  status = step(source, source->make, "seqdb_object");
  if (status) return status;
  out->data = sqlite3_column_blob(source->make, 0);
  out->bytes = (size_t)sqlite3_column_bytes(source->make, 0);
  if (out->data) return describe(source, out);
  sqlite3_reset(source->make);
  return ship_fail(source->s, SHIP_MISSING, "nothing has changed");
}

void source_done(ship_source *source) {
  sqlite3_reset(source->make);
}

bool source_bears(ship_source *source, ship_status status) {
  bool bears = status == SHIP_FAILED && source->busy && !source->s->options->once && !ship_stop;
  source->busy = false;
  if (bears) ship_say(source->s, "%s; trying again", source->s->message);
  return bears;
}

/* Who writes for long is not waited for: the notes can be forgotten later. */
ship_status source_forget(ship_source *source, uint64_t generation, bool *forgotten) {
  bool logs = false;
  ship_status status = has_table(source, "_log", &logs);
  *forgotten = !status;
  if (status || !logs) return status;
  source->busy_ms = FORGET_BUSY_MS;
  status = run_made(source,
                    sqlite3_mprintf("SELECT seqdb_replicate_prune(%Q, %lld)", source->table, (sqlite3_int64)generation),
                    "cannot forget what is shipped");
  *forgotten = !status;
  if (status && source->busy) status = SHIP_OK;
  source->busy = false;
  source->busy_ms = BUSY_MS;
  return status;
}

ship_status source_renew(ship_source *source) {
  bool logs = false;
  ship_status status = has_table(source, "_logged", &logs);
  if (status || !logs) return status;
  return run_made(source, sqlite3_mprintf("SELECT seqdb_replicate(%Q)", source->table),
                  "cannot note the changes of rows anew");
}

/* ---- downstream ----------------------------------------------------------------------------------------------- */

ship_status source_begin(ship_source *source) {
  return run(source, "BEGIN IMMEDIATE", "cannot begin");
}

ship_status source_commit(ship_source *source) {
  return run(source, "COMMIT", "cannot commit");
}

void source_rollback(ship_source *source) {
  if (!sqlite3_get_autocommit(source->db)) sqlite3_exec(source->db, "ROLLBACK", NULL, NULL, NULL);
}

ship_status source_apply(ship_source *source, const void *data, size_t bytes, bool replaces) {
  ship_status status = prepare(source, &source->apply,
                               "SELECT CASE WHEN ?3 THEN seqdb_apply(?1, ?2, 'replace') ELSE seqdb_apply(?1, ?2) END");
  if (status) return status;
  sqlite3_bind_blob64(source->apply, 2, data, bytes, SQLITE_STATIC);
  sqlite3_bind_int(source->apply, 3, replaces);
  status = step(source, source->apply, "seqdb_apply");
  sqlite3_reset(source->apply);
  sqlite3_bind_null(source->apply, 2);
  return status;
}

ship_status source_promote(ship_source *source) {
  bool follows = false;
  ship_status status = has_table(source, "_follow", &follows);
  if (status || !follows) return status;
  return run_made(source, sqlite3_mprintf("DELETE FROM \"%w_follow\"", source->s->options->table),
                  "cannot end following");
}
