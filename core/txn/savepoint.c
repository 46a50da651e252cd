/* SPDX-License-Identifier: MIT
**
** savepoint.c: marks inside a transaction, numbered as SQLite numbers them: seqdb_savepoint() and its kin of seqdb.h.
**
** A mark is a live catalog, so nothing it sees is overwritten or allocated; and it is the end of a patch:
**
**     begin          mark 0               mark 1               now
**       |-- its patch --|---- its patch ----|--- txn.patch ------|
**
** Setting one costs a reference.  Releasing one merges patches, the smaller into the larger where it can.
** A mark that is set while nothing has changed has no catalog: it means the transaction's begin.
*/
#include "base/check.h"
#include "os/os.h"
#include "txn/append.h"
#include "txn/begin.h"

static int add_mark(sdb_txn *txn, int level) {
  if (txn->mark_count == txn->mark_capacity) {
    size_t capacity = txn->mark_capacity ? 2 * txn->mark_capacity : 8;
    sdb_mark *grown = sdb_realloc(txn->marks, capacity * sizeof *grown);
    if (!grown) return SEQDB_NOMEM;
    txn->marks = grown;
    txn->mark_capacity = capacity;
  }
  sdb_mark *mark = &txn->marks[txn->mark_count++];
  mark->level = mark->highest = level;
  if (txn->mark_count > 1) mark->highest = SDB_MAX(level, mark[-1].highest);
  mark->catalog = NULL;
  sdb_patch_init(&mark->patch);
  return SEQDB_OK;
}

static bool has_mark(const sdb_txn *txn, int level) {
  for (size_t i = txn->mark_count; i > 0 && txn->marks[i - 1].highest >= level; i--)
    if (txn->marks[i - 1].level == level) return true;
  return false;
}

static int set_mark(seqdb *db, int level, const sdb_op *op) {
  sdb_txn *txn = &db->txn;
  sdb_store *store = db->store;
  int rc = SEQDB_OK;
  if (has_mark(txn, level)) return SEQDB_OK;
  if (txn->open_tails && (rc = sdb_tails_settle(db, op)) != SEQDB_OK) {
    sdb_tails_stop(db); /* what is appended from now on must be seen to come after the mark that is not there */
    return rc;
  }
  if (add_mark(txn, level) != SEQDB_OK) return sdb_error_nomem(op);
  if (!sdb_txn_has_changes(txn)) return SEQDB_OK;
  sdb_mark *mark = &txn->marks[txn->mark_count - 1];
  mark->catalog = sdb_store_add_catalog(store, &txn->tree, SDB_CATALOG_SAVEPOINT, txn->generation);
  if (!mark->catalog) {
    txn->mark_count--;
    return sdb_error_nomem(op);
  }
  mark->patch = txn->patch;
  sdb_patch_init(&txn->patch);
  txn->epoch = ++store->epoch; /* from here on the shared nodes are copied before they change */
  return SEQDB_OK;
}

/* A mark's patch may hold bytes that were cut off, moved or removed after the mark.  With the mark they lose their last
** reader, and would hide what is written there next.  What was cut and then written again lies in a newer patch,
** because the mark saw it.  A range ends where its region's extent ends: so nothing is split, and nothing can
** fail.  Tails need not be settled: what they hold lies behind all that a mark saw, and so behind every overwrite. */
static int forget_stale(void *context, uint32_t index, const sdb_entry *before, const sdb_entry *after) {
  sdb_patch *older = context;
  (void)index;
  if (!before) return 0;
  uint64_t kept = after && after->start == before->start ? SDB_MIN(after->length, before->reserved) : 0;
  (void)sdb_patch_remove(older, before->start + kept, before->reserved - kept);
  return 0;
}

/* All of them or none: what fails comes first. */
static int release_marks(seqdb *db, int level, const sdb_op *op) {
  sdb_txn *txn = &db->txn;
  size_t first = txn->mark_count, ranges = 0;
  while (first > 0 && txn->marks[first - 1].level >= level)
    first--;
  /* One of many, with little before it: what came after it is not moved again and again. */
  bool below = first + 1 == txn->mark_count && txn->marks[first].patch.count < txn->patch.count;
  sdb_patch *base = below ? &txn->patch : sdb_txn_patch_base(txn, first, &ranges);
  if (below) ranges = sdb_patch_gaps(base, &txn->marks[first].patch);
  if (ranges && sdb_patch_reserve(base, ranges) != SEQDB_OK) return sdb_error_nomem(op);
  for (size_t i = first; i < txn->mark_count; i++) {
    sdb_mark *mark = &txn->marks[i];
    if (mark->catalog && mark->patch.count)
      (void)sdb_tree_diff(&mark->catalog->tree, &txn->tree, forget_stale, &mark->patch);
  }
  if (below)
    sdb_patch_merge_below(base, &txn->marks[first].patch);
  else
    sdb_txn_merge_patches(txn, first, base);
  sdb_txn_drop_marks(db, first);
  return SEQDB_OK;
}

/* The mark's level is the begin's: older marks, if any, then mean the begin as well. */
static void forget_states(seqdb *db) {
  sdb_txn *txn = &db->txn;
  for (size_t i = txn->mark_count; i > 0; i--) {
    sdb_mark *mark = &txn->marks[i - 1];
    sdb_patch_clear(&mark->patch);
    sdb_store_unref(db->store, mark->catalog);
    mark->catalog = NULL;
  }
}

static void go_back(seqdb *db, int level) {
  sdb_txn *txn = &db->txn;
  /* SQLite rolls back to a savepoint that could not be set: nothing has changed since. */
  if (level >= 0 && level == txn->failed_level && SDB_ALWAYS(!has_mark(txn, level))) return;
  size_t keep = txn->mark_count;
  sdb_tails_discard(db);
  while (keep > 0 && txn->marks[keep - 1].level > level)
    keep--;
  sdb_txn_drop_marks(db, keep);
  sdb_mark *mark = keep > 0 && txn->marks[keep - 1].level == level ? &txn->marks[keep - 1] : NULL;
  sdb_catalog *to = mark && mark->catalog ? mark->catalog : db->store->committed;
  if (to == db->store->committed) forget_states(db);
  if (!sdb_txn_is_open(txn)) return;
  sdb_patch_clear(&txn->patch);
  sdb_txn_return_to(db, to);
}

/* ---- public */

int seqdb_savepoint(seqdb *db, int level) {
  seqdb_error error;
  sdb_op op = {"savepoint", &error};
  int rc = sdb_enter(db, &op);
  if (rc != SEQDB_OK) return rc;
  if (level < 0)
    return sdb_leave(db, sdb_error_set(&op, SEQDB_INVALID, NULL, 0, "savepoint level %d is negative", level), &op);
  rc = set_mark(db, level, &op);
  db->txn.failed_level = rc == SEQDB_OK ? SDB_NO_LEVEL : level;
  return sdb_leave(db, rc, &op);
}

int seqdb_release(seqdb *db, int level) {
  seqdb_error error;
  sdb_op op = {"release", &error};
  int rc = sdb_enter(db, &op);
  return rc == SEQDB_OK ? sdb_leave(db, release_marks(db, level, &op), &op) : rc;
}

int seqdb_rollback_to(seqdb *db, int level) {
  seqdb_error error;
  sdb_op op = {"rollback to", &error};
  int rc = sdb_enter(db, &op);
  if (rc != SEQDB_OK) return rc;
  go_back(db, level);
  return sdb_leave(db, SEQDB_OK, &op);
}
