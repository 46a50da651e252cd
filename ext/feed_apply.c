/* SPDX-License-Identifier: MIT
**
** feed_apply.c: see feed_apply.h.
**
**   check      the whole part, before anything is touched; then where the follower stands
**   SAVEPOINT  which begins a transaction if there is none
**   touch      the directory takes part in the commit
**   apply      its sections, in order; triggers and foreign keys rest meanwhile
**   state      the row of <T>_follow
**   RELEASE    or, whatever went wrong, ROLLBACK TO and RELEASE
**
** In the middle of an object the row says so, and COMMIT refuses (transaction.c): the parts are one commit.
*/
#include "feed_apply.h"
#include <string.h>
#include "change.h"
#include "feed_apply_regions.h"
#include "feed_apply_rows.h"
#include "feed_part.h"
#include "feed_state.h"
#include "interrupt.h"
#include "transaction.h"

struct apply {
  sdb_directory *directory;
  const void *data;
  size_t bytes;
  sdb_part_header header;
  sdb_feed_state state;
  sdb_apply_rows rows;
  sdb_apply_regions regions;
  int triggers, foreign_keys; /* settings that come back */
  sdb_failure *f;
};

typedef unsigned long long number;

/* ---- may it? ----------------------------------------------------------------------------------------------- */

static int refuse_writing_statement(const struct apply *a) {
  sqlite3 *db = a->directory->connection->db;
  for (sqlite3_stmt *at = sqlite3_next_stmt(db, NULL); at; at = sqlite3_next_stmt(db, at)) {
    if (sqlite3_stmt_readonly(at) || !sqlite3_stmt_busy(at)) continue;
    return sdb_failure_set(a->f, SQLITE_ERROR,
                           "seqdb_apply: a statement that writes is running: use a SELECT of its own");
  }
  return SQLITE_OK;
}

static int other_chain(const struct apply *a) {
  return sdb_failure_set(a->f, SQLITE_MISMATCH,
                         "%s: the object belongs to another chain than the one that is followed%s", a->directory->name,
                         a->header.kind == SDB_OBJECT_BASE
                             ? ": SELECT seqdb_apply(T, object, 'replace') takes it in place of all that is here"
                             : "");
}

/* A base on what is no follower: only where there is nothing to lose. */
static int check_base(const struct apply *a, bool replaces) {
  uint64_t regions = 0;
  seqdb *engine = a->directory->engine;
  if (replaces) return SQLITE_OK;
  if (a->state.follows)
    return memcmp(a->state.chain, a->header.chain, sizeof a->state.chain) == 0 ? SQLITE_OK : other_chain(a);
  int rc = seqdb_view_totals(seqdb_own_view(engine), &regions, NULL);
  if (rc != SEQDB_OK) return sdb_failure_engine(a->f, engine, rc);
  if (regions == 0) return SQLITE_OK;
  return sdb_failure_set(a->f, SQLITE_ERROR,
                         "%s: it follows no chain and has %llu regions of its own: SELECT seqdb_apply(T, object, "
                         "'replace') takes a base in place of all that is here",
                         a->directory->name, (number)regions);
}

static int check_change(const struct apply *a) {
  const sdb_part_header *h = &a->header;
  if (!a->state.follows)
    return sdb_failure_set(a->f, SQLITE_RANGE,
                           "%s: a gap: it follows no chain yet, and the object begins at generation "
                           "%llu: apply a base first",
                           a->directory->name, (number)h->from);
  if (memcmp(a->state.chain, h->chain, sizeof h->chain) != 0) return other_chain(a);
  if (h->from <= a->state.generation) return SQLITE_OK;
  return sdb_failure_set(a->f, SQLITE_RANGE,
                         "%s: a gap: it has reached generation %llu, and the object begins at generation %llu: apply "
                         "what comes between, or a new base",
                         a->directory->name, (number)a->state.generation, (number)h->from);
}

static int out_of_order(const struct apply *a) {
  const sdb_part_header *h = &a->header;
  return sdb_failure_set(a->f, SQLITE_ERROR,
                         "%s: part %u of the object from %llu to %llu does not come next: %u parts of one to %llu are "
                         "applied: ROLLBACK, and apply all parts in order",
                         a->directory->name, h->part, (number)h->from, (number)h->to, a->state.part,
                         (number)a->state.to);
}

/* *skip: it is applied already. */
static int check(struct apply *a, bool replaces, bool *skip) {
  const sdb_part_header *h = &a->header;
  bool next = a->state.part > 0 && h->part == a->state.part + 1 && h->previous == a->state.sum;
  bool same = a->state.follows && memcmp(a->state.chain, h->chain, sizeof h->chain) == 0;
  *skip = false;
  if (next) return SQLITE_OK;
  if (a->state.part > 0) return out_of_order(a);
  *skip = same && h->to <= a->state.generation && !replaces;
  if (*skip) return SQLITE_OK;
  if (h->part > 1) return out_of_order(a);
  if (!h->last && sqlite3_get_autocommit(a->directory->connection->db))
    return sdb_failure_set(a->f, SQLITE_ERROR,
                           "%s: the object has more than one part: BEGIN, apply all of them, COMMIT",
                           a->directory->name);
  return h->kind == SDB_OBJECT_BASE ? check_base(a, replaces) : check_change(a);
}

/* ---- doing it ---------------------------------------------------------------------------------------------- */

static void rest(struct apply *a) {
  sqlite3 *db = a->directory->connection->db;
  sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, -1, &a->triggers);
  sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_FKEY, -1, &a->foreign_keys);
  sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
  sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_FKEY, 0, NULL);
}

static void wake(const struct apply *a) {
  sqlite3 *db = a->directory->connection->db;
  sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, a->triggers, NULL);
  sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_FKEY, a->foreign_keys, NULL);
}

/* From here on the engine is called directly. */
static int take_part(struct apply *a) {
  sdb_change touch = {.kind = SDB_CHANGE_TOUCH};
  if (sdb_change_by_insert(a->directory, &touch, a->f) != SQLITE_OK) return a->f->code;
  sdb_transaction_forget_appended(a->directory);
  return sdb_transaction_changes(a->directory, a->f);
}

static int apply_section(struct apply *a, sdb_section *section) {
  if (sdb_connection_interrupted(a->directory->connection))
    return sdb_failure_set(a->f, SQLITE_INTERRUPT, "seqdb_apply: interrupted");
  if (section->kind == SDB_SECTION_TABLE) return sdb_apply_table(&a->rows, section, a->f);
  if (section->kind == SDB_SECTION_REGIONS) return sdb_apply_region_section(&a->regions, section, a->f);
  return sdb_apply_row_section(&a->rows, section, a->f);
}

static int apply_sections(struct apply *a) {
  sdb_section section;
  bool found = true;
  size_t at = 0;
  while (found && a->f->code == SQLITE_OK) {
    if (sdb_part_next(a->data, a->bytes, &at, &section, &found, a->f) == SQLITE_OK && found) apply_section(a, &section);
  }
  return a->f->code;
}

static int write_state(struct apply *a) {
  const sdb_part_header *h = &a->header;
  sdb_feed_state *state = &a->state;
  memcpy(state->chain, h->chain, sizeof state->chain);
  if (h->kind == SDB_OBJECT_BASE) state->generation = 0;
  state->part = h->part;
  state->to = h->to;
  state->sum = h->sum;
  if (h->last) {
    if (sdb_apply_regions_done(&a->regions, a->f) != SQLITE_OK) return a->f->code;
    *state = (sdb_feed_state){.generation = h->to};
    memcpy(state->chain, h->chain, sizeof state->chain);
  }
  a->directory->transaction.applies = true;
  return sdb_feed_state_write(a->directory, state, a->f);
}

static int apply_all(struct apply *a) {
  seqdb *engine = a->directory->engine;
  bool empties = a->header.kind == SDB_OBJECT_BASE && a->header.part == 1;
  if (take_part(a) != SQLITE_OK) return a->f->code;
  if (empties) {
    a->state.aside = 0;
    if (sdb_failure_engine(a->f, engine, seqdb_retain(engine, NULL, NULL, 0, NULL)) != SQLITE_OK) return a->f->code;
  }
  return apply_sections(a) == SQLITE_OK ? write_state(a) : a->f->code;
}

static int run(struct apply *a, const char *sql) {
  sqlite3 *db = a->directory->connection->db;
  return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? SQLITE_OK : sdb_failure_nested(a->f, db);
}

/* SQLite may have rolled back all of the transaction: then the savepoint is gone. */
static void undo(struct apply *a) {
  sqlite3 *db = a->directory->connection->db;
  (void)sqlite3_exec(db, "ROLLBACK TO seqdb_apply", NULL, NULL, NULL);
  (void)sqlite3_exec(db, "RELEASE seqdb_apply", NULL, NULL, NULL);
}

static int apply(struct apply *a) {
  sqlite3 *db = a->directory->connection->db;
  sqlite3_int64 last = sqlite3_last_insert_rowid(db);
  if (run(a, "SAVEPOINT seqdb_apply") != SQLITE_OK) return a->f->code;
  rest(a);
  apply_all(a);
  sdb_apply_rows_free(&a->rows, a->f);
  wake(a);
  if (a->f->code == SQLITE_OK) run(a, "RELEASE seqdb_apply");
  if (a->f->code != SQLITE_OK) undo(a);
  sqlite3_set_last_insert_rowid(db, last);
  return a->f->code;
}

int sdb_feed_apply(sdb_directory *directory, const void *data, size_t bytes, bool replaces, uint64_t *reached,
                   sdb_failure *f) {
  struct apply a = {.directory = directory, .data = data, .bytes = bytes, .f = f};
  bool skip = false;
  a.rows = (sdb_apply_rows){.directory = directory, .header = &a.header};
  a.regions = (sdb_apply_regions){.directory = directory, .state = &a.state};
  if (sdb_part_open(data, bytes, &a.header, f) != SQLITE_OK || refuse_writing_statement(&a) != SQLITE_OK ||
      sdb_feed_state_read(directory, &a.state, f) != SQLITE_OK || check(&a, replaces, &skip) != SQLITE_OK)
    return f->code;
  a.rows.keeps_own = !a.state.follows && !replaces;
  if (!skip && apply(&a) != SQLITE_OK) return f->code;
  *reached = a.state.generation;
  return SQLITE_OK;
}
