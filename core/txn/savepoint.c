/* SPDX-License-Identifier: MIT
**
** savepoint.c: marks inside a transaction, numbered as SQLite numbers them.
**
** A mark is a live catalog (so nothing it sees is overwritten or allocated) and the patch of overwrites made before it.
** Setting one costs a reference; releasing merges the newer, usually smaller, patch into the older.
** A mark set before the first change, or while nothing has changed, is no catalog: it means the transaction's begin.
*/
#include "txn/db.h"
#include "base/error.h"

static int add_mark(sdb_txn *txn, int level) {
  if (txn->mark_count == txn->mark_capacity) {
    size_t capacity = txn->mark_capacity ? 2 * txn->mark_capacity : 8;
    sdb_mark *grown = sdb_realloc(txn->marks, capacity * sizeof *grown);
    if (!grown) return SEQDB_NOMEM;
    txn->marks = grown;
    txn->mark_capacity = capacity;
  }
  sdb_mark *mark = &txn->marks[txn->mark_count++];
  mark->level = level;
  mark->catalog = NULL;
  sdb_patch_init(&mark->patch);
  return SEQDB_OK;
}

static bool has_mark(const sdb_txn *txn, int level) {
  for (size_t i = 0; i < txn->mark_count; i++)
    if (txn->marks[i].level == level) return true;
  return false;
}

static int set_mark(seqdb *db, int level, const sdb_op *op) {
  sdb_txn *txn = &db->txn;
  sdb_store *store = db->store;
  int rc = SEQDB_OK;
  if (has_mark(txn, level)) return SEQDB_OK;
  if (txn->active && (rc = sdb_tails_settle(db, op)) != SEQDB_OK) {
    sdb_tails_stop(db); /* what is appended from now on must be seen to come after the mark that is not there */
    return rc;
  }
  if (add_mark(txn, level) != SEQDB_OK) return sdb_error_nomem(op);
  if (!txn->active || !sdb_txn_changed(db)) return SEQDB_OK;
  sdb_mark *mark = &txn->marks[txn->mark_count - 1];
  sdb_tree shared = sdb_tree_share(&txn->tree);
  pthread_mutex_lock(&store->mutex);
  mark->catalog = sdb_catalog_new(&store->space.catalogs, &shared, SDB_CATALOG_SAVEPOINT, txn->generation);
  pthread_mutex_unlock(&store->mutex);
  if (!mark->catalog) {
    sdb_tree_drop(&shared, store->names);
    txn->mark_count--;
    return sdb_error_nomem(op);
  }
  mark->patch = txn->patch;
  sdb_patch_init(&txn->patch);
  txn->epoch = ++store->epoch; /* from here on the shared nodes are copied before they change */
  return SEQDB_OK;
}

static void unref(seqdb *db, sdb_catalog *catalog) {
  if (!catalog) return;
  pthread_mutex_lock(&db->store->mutex);
  sdb_space_unref(&db->store->space, catalog);
  pthread_mutex_unlock(&db->store->mutex);
}

void sdb_marks_drop(seqdb *db, size_t keep) {
  sdb_txn *txn = &db->txn;
  while (txn->mark_count > keep) {
    sdb_mark *mark = &txn->marks[--txn->mark_count];
    sdb_patch_clear(&mark->patch);
    unref(db, mark->catalog);
  }
}

/* Overwrites made before the mark of bytes that were cut off, moved or removed after it: with the mark they lose their
** last reader, and would hide what is written there next.  What was cut and written again lies in the newer patch, because the
** mark saw it.  Ranges end where their region's extent ends, so nothing is split and nothing can fail.  Open slots need not be
** settled before: what they hold lies behind all that a mark saw, and so behind every overwrite. */
static int forget_stale(void *context, uint32_t index, const sdb_entry *before, const sdb_entry *after) {
  sdb_patch *older = context;
  (void)index;
  if (!before) return 0;
  uint64_t kept = after && after->start == before->start ? SDB_MIN(after->length, before->reserved) : 0;
  (void)sdb_patch_remove(older, before->start + kept, before->reserved - kept);
  return 0;
}

sdb_patch *sdb_marks_base(sdb_txn *txn, size_t first, size_t *ranges) {
  sdb_patch *base = NULL;
  *ranges = 0;
  for (size_t i = first; i <= txn->mark_count; i++) {
    sdb_patch *patch = i < txn->mark_count ? &txn->marks[i].patch : &txn->patch;
    if (base)
      *ranges += patch->count;
    else if (patch->count)
      base = patch;
  }
  return base ? base : &txn->patch;
}

void sdb_marks_merge(sdb_txn *txn, size_t first, sdb_patch *base) {
  for (size_t i = first; i < txn->mark_count; i++) {
    sdb_patch *patch = &txn->marks[i].patch;
    if (patch == base) continue;
    if (patch->count) sdb_patch_merge(base, patch); /* what is older than the base is empty */
    sdb_patch_clear(patch);
  }
  if (base == &txn->patch) return;
  sdb_patch_merge(base, &txn->patch);
  sdb_patch_clear(&txn->patch);
  txn->patch = *base;
  sdb_patch_init(base);
}

/* All of them or none: what fails comes first. */
static int release_marks(seqdb *db, int level, const sdb_op *op) {
  sdb_txn *txn = &db->txn;
  size_t first = txn->mark_count, ranges;
  while (first > 0 && txn->marks[first - 1].level >= level)
    first--;
  sdb_patch *base = sdb_marks_base(txn, first, &ranges);
  if (ranges && sdb_patch_reserve(base, ranges) != SEQDB_OK) return sdb_error_nomem(op);
  for (size_t i = first; i < txn->mark_count; i++) {
    sdb_mark *mark = &txn->marks[i];
    if (mark->catalog && mark->patch.count)
      (void)sdb_tree_diff(&mark->catalog->tree, &txn->tree, forget_stale, &mark->patch);
  }
  sdb_marks_merge(txn, first, base);
  sdb_marks_drop(db, first);
  return SEQDB_OK;
}

static void go_back(seqdb *db, int level) {
  sdb_txn *txn = &db->txn;
  /* SQLite rolls back to a savepoint that could not be set: nothing has changed since. */
  /* GCOVR_EXCL_BR_LINE: a mark that is there cannot fail */
  if (txn->mark_failed && level == txn->failed_level && !has_mark(txn, level)) return;
  size_t keep = txn->mark_count;
  sdb_tails_discard(db);
  while (keep > 0 && txn->marks[keep - 1].level > level)
    keep--;
  sdb_marks_drop(db, keep);
  bool found = keep > 0 && txn->marks[keep - 1].level == level && txn->marks[keep - 1].catalog;
  if (!found) { /* the begin: older marks, if any, then mean the begin as well */
    for (size_t i = keep; i > 0; i--) {
      sdb_patch_clear(&txn->marks[i - 1].patch);
      unref(db, txn->marks[i - 1].catalog);
      txn->marks[i - 1].catalog = NULL;
    }
  }
  if (!txn->active) return;
  sdb_patch_clear(&txn->patch);
  sdb_txn_return_to(db, found ? txn->marks[keep - 1].catalog : db->store->committed);
  txn->prepared_is_current = false;
}

/* ---- public */

int seqdb_savepoint(seqdb *db, int level) {
  seqdb_error error;
  sdb_op op = {"savepoint", &error};
  int rc = sdb_usable(db, &op);
  if (rc == SEQDB_OK && level < 0)
    rc = sdb_error_set(&op, SEQDB_INVALID, NULL, 0, "savepoint level %d is negative", level);
  if (rc == SEQDB_OK) {
    pthread_mutex_lock(&db->txn_mutex);
    rc = set_mark(db, level, &op);
    db->txn.mark_failed = rc != SEQDB_OK;
    db->txn.failed_level = level;
    pthread_mutex_unlock(&db->txn_mutex);
  }
  return sdb_fail(db, rc, &op);
}

int seqdb_release(seqdb *db, int level) {
  seqdb_error error;
  sdb_op op = {"release", &error};
  int rc = sdb_usable(db, &op);
  if (rc == SEQDB_OK) {
    pthread_mutex_lock(&db->txn_mutex);
    rc = release_marks(db, level, &op);
    pthread_mutex_unlock(&db->txn_mutex);
  }
  return sdb_fail(db, rc, &op);
}

int seqdb_rollback_to(seqdb *db, int level) {
  seqdb_error error;
  sdb_op op = {"rollback to", &error};
  int rc = sdb_usable(db, &op);
  if (rc == SEQDB_OK) {
    pthread_mutex_lock(&db->txn_mutex);
    go_back(db, level);
    pthread_mutex_unlock(&db->txn_mutex);
  }
  return sdb_fail(db, rc, &op);
}
