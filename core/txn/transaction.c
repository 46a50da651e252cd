/* SPDX-License-Identifier: MIT
**
** txn.c: the writer lock, a transaction's begin and end, and reading its state.
**
** A transaction is a tree under change (catalog.h), a patch of overwrites for each open savepoint, and bytes already
** written past every live length.  Undoing it, wholly or to a mark, is going back to an older tree: what the abandoned tree
** owned and the older one does not is given up, and what the older one owns is pending no longer.
*/
#include <errno.h>
#include <time.h>
#include "txn/db.h"
#include "base/error.h"

/* ---- writer lock */

static void deadline_in(struct timespec *at, uint32_t timeout_ms) {
  clock_gettime(CLOCK_REALTIME, at); /* the clock of a condition variable made without attributes */
  at->tv_sec += (time_t)(timeout_ms / 1000);
  at->tv_nsec += (long)(timeout_ms % 1000) * 1000000L;
  if (at->tv_nsec >= 1000000000L) {
    at->tv_nsec -= 1000000000L;
    at->tv_sec++;
  }
}

int sdb_writer_lock(seqdb *db, const sdb_op *op) {
  sdb_store *store = db->store;
  struct timespec deadline;
  uint32_t timeout_ms = atomic_load(&db->busy_timeout_ms);
  int rc = SEQDB_OK, waited = 0;
  pthread_mutex_lock(&store->mutex);
  /* GCOVR_EXCL_BR_LINE: upkeep: a moment of another thread */
  if ((store->writer || store->upkeep) && timeout_ms) deadline_in(&deadline, timeout_ms);
  while (store->writer || store->upkeep) { /* GCOVR_EXCL_BR_LINE: upkeep: a moment of another thread */
    if (store->upkeep) {                   /* a moment's work of a closing snapshot: no reason to be busy */
      pthread_cond_wait(&store->writer_free, &store->mutex);
    } else if (timeout_ms && waited != ETIMEDOUT) {
      waited = pthread_cond_timedwait(&store->writer_free, &store->mutex, &deadline);
    } else {
      rc = SEQDB_BUSY;
      break;
    }
  }
  if (rc == SEQDB_OK) store->writer = db;
  pthread_mutex_unlock(&store->mutex);
  if (rc == SEQDB_BUSY)
    sdb_error_set(op, SEQDB_BUSY, NULL, 0, "database is locked: %s in %s waits for another connection's transaction",
                  op->operation, store->path);
  return rc;
}

void sdb_writer_unlock(seqdb *db) {
  sdb_store *store = db->store;
  pthread_mutex_lock(&store->mutex);
  assert(store->writer == db);
  store->writer = NULL;
  pthread_cond_broadcast(&store->writer_free);
  pthread_mutex_unlock(&store->mutex);
}

/* ---- begin and end */

int sdb_txn_begin(seqdb *db, const sdb_op *op) {
  sdb_store *store = db->store;
  sdb_txn *txn = &db->txn;
  txn->call_is_first = !sdb_txn_changed(db);
  int rc = sdb_writable(db, op);
  if (rc != SEQDB_OK || txn->active) return rc;
  if ((rc = sdb_writer_lock(db, op)) != SEQDB_OK) return rc;
  if (!store->recovered && (rc = sdb_checkpoint_recovered(store, op)) != SEQDB_OK) {
    sdb_writer_unlock(db);
    return rc;
  }
  txn->active = true;
  txn->tree = sdb_tree_share(&store->committed->tree);
  txn->generation = store->committed->generation + 1;
  txn->epoch = ++store->epoch;
  assert(!txn->prepared && txn->direct.count == 0 && txn->patch.count == 0);
  return SEQDB_OK;
}

bool sdb_txn_changed(const seqdb *db) {
  const sdb_txn *txn = &db->txn;
  if (!txn->active) return false;
  /* GCOVR_EXCL_BR_LINE: an overwrite changes its entry too */
  return txn->prepared || txn->tree.root != db->store->committed->tree.root || txn->patch.count > 0;
}

struct leave {
  sdb_space *space;
};

/* Step from the abandoned tree (`before`) to the one returned to (`after`). */
static int leave_entry(void *context, uint32_t index, const sdb_entry *before, const sdb_entry *after) {
  sdb_space *space = ((struct leave *)context)->space;
  /* It had moved or was removed: what was written into its reserve before that shows in neither tree. */
  if (after && (!before || before->start != after->start))
    sdb_space_note_cut(space, index, after->start, after->length, after->reserved);
  if (!before) return 0;
  if (!after || after->start != before->start)
    sdb_space_give_up(space, index, before->start, before->reserved);
  else if (before->reserved > after->reserved)
    sdb_space_give_up(space, index, before->start + after->reserved, before->reserved - after->reserved);
  if (after && after->start == before->start && before->length > after->length) /* blocks in the reserve */
    sdb_space_note_cut(space, index, after->start, after->length, SDB_MIN(before->length, after->reserved));
  return 0;
}

void sdb_txn_return_to(seqdb *db, sdb_catalog *to) {
  sdb_store *store = db->store;
  struct leave leave = {&store->space};
  pthread_mutex_lock(&store->mutex);
  sdb_space_take_back(&store->space, to);
  (void)sdb_tree_diff(&db->txn.tree, &to->tree, leave_entry, &leave);
  sdb_tree shared = sdb_tree_share(&to->tree);
  sdb_space_recount_leaked(&store->space, &shared);
#ifdef SDB_CHECKS
  assert(sdb_space_adds_up(&store->space, &shared));
#endif
  pthread_mutex_unlock(&store->mutex);
  sdb_tree_drop(&db->txn.tree, store->names);
  db->txn.tree = shared;
  db->txn.epoch = ++store->epoch;
}

void sdb_txn_end(seqdb *db) {
  sdb_txn *txn = &db->txn;
  sdb_marks_drop(db, 0);
  txn->mark_failed = false;
  if (!txn->active) return;
  sdb_patch_clear(&txn->patch);
  sdb_range_set_clear(&txn->direct);
  sdb_range_pool_trim(&txn->direct_pool, 16);
  sdb_tree_drop(&txn->tree, db->store->names);
  sdb_overlay_free_spare(&txn->spare_layer); /* of a commit that failed */
  assert(!txn->prepared && !txn->open_tails);
  txn->active = false;
  sdb_writer_unlock(db);
}

/* A failed first change must not keep the writer lock.  It may have come far enough to own its entry, or to have written some of
** its bytes; marks were set before it and mean the begin: they stay. */
void sdb_txn_let_go(seqdb *db) {
  sdb_txn *txn = &db->txn;
  /* GCOVR_EXCL_BR_LINE: a slot is opened after a change only; another thread may append to it at any time */
  if (!txn->active || !txn->call_is_first || txn->open_tails) return;
  for (size_t i = 0; i < txn->mark_count; i++)
    if (txn->marks[i].catalog) return; /* GCOVR_EXCL_BR_LINE: a mark has one after a change only */
  if (sdb_txn_changed(db)) {
    sdb_patch_clear(&txn->patch);
    sdb_txn_return_to(db, db->store->committed);
  }
  sdb_range_set_clear(&txn->direct);
  sdb_tree_drop(&txn->tree, db->store->names);
  sdb_overlay_free_spare(&txn->spare_layer); /* of a commit that failed */
  txn->active = false;
  sdb_writer_unlock(db);
}

/* ---- reading */

const sdb_entry *sdb_txn_entry(seqdb *db, seqdb_region region, uint32_t *index) {
  *index = sdb_region_index(region);
  const sdb_entry *entry = sdb_tree_get(&db->txn.tree, *index);
  return sdb_region_is(region, entry) ? entry : NULL;
}

uint64_t sdb_txn_next_patched(seqdb *db, uint64_t offset, uint64_t bytes) {
  const sdb_txn *txn = &db->txn;
  uint64_t next = sdb_overlay_next(&db->store->overlay, UINT64_MAX, offset, offset + bytes);
  for (size_t i = 0; i <= txn->mark_count; i++) {
    sdb_patch_range range;
    if (sdb_patch_next(i < txn->mark_count ? &txn->marks[i].patch : &txn->patch, offset, &range))
      next = SDB_MIN(next, SDB_MAX(range.offset, offset));
  }
  return next;
}

int sdb_txn_read(seqdb *db, uint64_t offset, void *buffer, size_t bytes, const sdb_op *op) {
  const sdb_txn *txn = &db->txn;
  int rc = sdb_overlay_read(&db->store->overlay, UINT64_MAX, offset, buffer, bytes, op);
  if (rc != SEQDB_OK) return rc;
  for (size_t i = 0; i < txn->mark_count; i++)
    sdb_patch_read(&txn->marks[i].patch, offset, bytes, buffer);
  sdb_patch_read(&txn->patch, offset, bytes, buffer);
  return SEQDB_OK;
}

/* ---- public */

int seqdb_has_changes(seqdb *db) {
  seqdb_error error;
  sdb_op op = {"has changes", &error};
  int rc = sdb_usable(db, &op);
  if (rc != SEQDB_OK) return sdb_fail(db, rc, &op);
  pthread_mutex_lock(&db->txn_mutex);
  bool changed = sdb_txn_changed(db);
  pthread_mutex_unlock(&db->txn_mutex);
  return changed;
}

int seqdb_region_changed(seqdb *db, seqdb_region region) {
  seqdb_error error;
  sdb_op op = {"region changed", &error};
  int changed = 0, rc = sdb_usable(db, &op);
  if (rc != SEQDB_OK) return sdb_fail(db, rc, &op);
  uint32_t index = sdb_region_index(region);
  pthread_mutex_lock(&db->txn_mutex);
  if (db->txn.active) {
    const sdb_entry *now = sdb_tree_get(&db->txn.tree, index);
    const sdb_entry *then = sdb_tree_get(&db->store->committed->tree, index);
    bool is = sdb_region_is(region, now), was = sdb_region_is(region, then);
    /* GCOVR_EXCL_BR_LINE: a rename has a generation */
    changed = is != was || (is && (now->generation != then->generation || now->name != then->name));
  }
  pthread_mutex_unlock(&db->txn_mutex);
  return changed;
}
