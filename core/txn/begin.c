/* SPDX-License-Identifier: MIT
**
** begin.c: see begin.h.
**
** A transaction is a tree under change (tree.h), a patch of overwrites for each open savepoint, and bytes already
** written past every live length.  Undoing it, wholly or to a mark, is going back to an older tree:
**
**     the tree left          the tree gone back to
**     owns the extent        does not                -> given up
**     does not               owns it                 -> pending no longer
**     owns more of it        owns less               -> the rest is given up
*/
#include "txn/begin.h"

#include "txn/checkpoint.h"
#include "txn/room.h"
#include "txn/settle.h"
#include "txn/writer_lock.h"
#include "os/os.h"

/* ---- begin */

/* Somebody was refused, or the journal could not be allocated far ahead: what a checkpoint gives back may do. */
static void make_room(sdb_store *store) {
  bool refused = atomic_exchange(&store->refused, false);
  if (!refused && !store->journal.cramped) return;
  store->journal.cramped = false;
  if (sdb_checkpoint(store, &sdb_unheard) == SEQDB_OK && store->journal.tail == SDB_JOURNAL_START)
    sdb_journal_cut(&store->journal, sdb_room_for_giving(store));
}

/* What readers in other processes have let go since the last commit, nobody else will apply. */
static void apply_overlays(sdb_store *store) {
  if (!store->shared || sdb_overlay_is_empty(&store->overlay)) return;
  if (sdb_checkpoint_drain(store, &sdb_unheard) == SEQDB_OK) sdb_checkpoint_if_due(store);
}

/* What is owed before the first change. */
static int prepare_store(sdb_store *store, const sdb_op *op) {
  int rc = store->recovered && !sdb_checkpoint_is_owed(store) ? SEQDB_OK : sdb_checkpoint_recovered(store, op);
  if (rc == SEQDB_OK) apply_overlays(store);
  if (rc == SEQDB_OK) rc = sdb_checkpoint_upgrade(store, op);
  if (rc != SEQDB_OK || store->journal.header.version == SDB_FORMAT_VERSION) return rc;
  return sdb_error_set(op, SEQDB_BUSY, NULL, 0,
                       "%s: %s is of an older format, and a reader in another process keeps it from being upgraded",
                       op->operation, store->path);
}

int sdb_txn_begin(seqdb *db, const sdb_op *op) {
  sdb_store *store = db->store;
  int rc = sdb_writable(db, op);
  if (rc != SEQDB_OK || sdb_txn_is_open(&db->txn)) return rc;
  if ((rc = sdb_writer_lock(db, op)) != SEQDB_OK) return rc;
  if ((rc = prepare_store(store, op)) != SEQDB_OK) {
    sdb_writer_unlock(db);
    return rc;
  }
  assert(store->journal.header.version == SDB_FORMAT_VERSION);
  if ((rc = sdb_settle_check(store, &db->file, op)) != SEQDB_OK) {
    sdb_writer_unlock(db);
    return rc;
  }
  make_room(store);
  sdb_txn_set_open(&db->txn, sdb_tree_share(&store->committed->tree), store->committed->generation + 1, ++store->epoch);
  return SEQDB_OK;
}

/* ---- going back */

/* Step from the tree left (`before`) to the one gone back to (`after`).  store.mutex held. */
static int leave_entry(void *context, uint32_t index, const sdb_entry *before, const sdb_entry *after) {
  sdb_space *space = context;
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
  sdb_txn *txn = &db->txn;
  pthread_mutex_lock(&store->mutex);
  sdb_space_take_back(&store->space, to);
  (void)sdb_tree_diff(&txn->tree, &to->tree, leave_entry, &store->space);
  sdb_tree shared = sdb_tree_share(&to->tree);
  sdb_space_recount_leaked(&store->space, &shared);
  pthread_mutex_unlock(&store->mutex);
  sdb_tree_drop(&txn->tree, store->names);
  txn->tree = shared;
  txn->epoch = ++store->epoch;
  sdb_txn_set_back(txn, &store->committed->tree);
  sdb_store_check_adds_up(store, &txn->tree);
}

void sdb_txn_drop_marks(seqdb *db, size_t keep) {
  sdb_txn *txn = &db->txn;
  while (txn->mark_count > keep) {
    sdb_mark *mark = &txn->marks[--txn->mark_count];
    sdb_patch_clear(&mark->patch);
    sdb_store_unref(db->store, mark->catalog);
  }
}

/* ---- end */

static void close_txn(seqdb *db) {
  sdb_txn *txn = &db->txn;
  sdb_patch_clear(&txn->patch);
  sdb_range_set_clear(&txn->direct);
  sdb_range_pool_trim(&txn->direct_pool, 16);
  sdb_tree_drop(&txn->tree, db->store->names);
  sdb_overlay_free_spare(&txn->spare_layer); /* of a commit that failed */
  sdb_change_list_free(&txn->touched);
  txn->touched_most = 0;
  sdb_txn_set_idle(txn);
  sdb_writer_unlock(db);
}

void sdb_txn_end(seqdb *db) {
  sdb_txn_drop_marks(db, 0);
  db->txn.failed_level = SDB_NO_LEVEL;
  db->heals = false;
  if (sdb_txn_is_open(&db->txn)) close_txn(db);
}

static bool has_mark_with_catalog(const sdb_txn *txn) {
  for (size_t i = 0; i < txn->mark_count; i++)
    if (txn->marks[i].catalog) return true;
  return false;
}

/* A failed first change must not keep the writer lock.  It may have come far enough to own its entry, or to have
** written some of its bytes.  Marks stay: they were set before it and mean the begin.  But when a tail is open another
** thread may have appended to it, and a mark with a catalog of its own refers to what the transaction is now: then
** nothing is undone. */
static void let_go(seqdb *db) {
  sdb_txn *txn = &db->txn;
  if (txn->life != SDB_CLEAN && txn->life != SDB_FIRST) return;
  if (txn->open_tails || has_mark_with_catalog(txn)) {
    sdb_txn_set_done(txn);
    return;
  }
  if (txn->life == SDB_FIRST) {
    sdb_patch_clear(&txn->patch);
    sdb_txn_return_to(db, db->store->committed);
  }
  close_txn(db);
}

int sdb_txn_leave(seqdb *db, int rc, const sdb_op *op) {
  if (rc != SEQDB_OK)
    let_go(db);
  else
    sdb_txn_set_done(&db->txn);
  return sdb_leave(db, rc, op);
}

/* ---- the tree */

const sdb_entry *sdb_txn_entry(seqdb *db, seqdb_region region, uint32_t *index) {
  *index = sdb_region_index(region);
  const sdb_entry *entry = sdb_tree_get(&db->txn.tree, *index);
  return sdb_region_is(region, entry) ? entry : NULL;
}

int sdb_txn_put(seqdb *db, uint32_t index, sdb_entry *entry, const sdb_op *op) {
  assert(sdb_txn_has_changes(&db->txn) && db->txn.life != SDB_PREPARED);
  entry->generation = db->txn.generation;
  entry->has_trailer = true;
  entry->seen_bytes = db->txn.mark_count ? sdb_store_marked_bytes(db->store, index, entry->start) : 0;
  sdb_entry_see(entry, sdb_tree_get(&db->store->committed->tree, index), db->store->space.catalogs.reusable);
  if (sdb_tree_put(&db->txn.tree, db->store->names, db->txn.epoch, index, entry) != SEQDB_OK)
    return sdb_error_nomem(op);
  return SEQDB_OK;
}

/* ---- the bytes */

int sdb_txn_read(seqdb *db, uint64_t offset, void *buffer, size_t bytes, const sdb_op *op) {
  int rc = sdb_overlay_read(&db->store->overlay, UINT64_MAX, offset, buffer, bytes, op);
  if (rc == SEQDB_OK) sdb_txn_lay_patches(&db->txn, offset, buffer, bytes);
  return rc;
}

uint64_t sdb_txn_next_patched(seqdb *db, uint64_t offset, uint64_t bytes) {
  uint64_t end = sdb_overlay_next(&db->store->overlay, UINT64_MAX, offset, offset + bytes);
  return sdb_txn_first_patched(&db->txn, offset, end);
}

/* ---- public */

int seqdb_has_changes(seqdb *db) {
  seqdb_error error;
  sdb_op op = {"has changes", &error};
  int rc = sdb_usable(db, &op);
  if (rc != SEQDB_OK) return rc; /* a child of fork: the mutex may be locked for ever */
  pthread_mutex_lock(&db->txn_mutex);
  bool changed = sdb_txn_has_changes(&db->txn);
  pthread_mutex_unlock(&db->txn_mutex);
  return changed;
}

int seqdb_region_changed(seqdb *db, seqdb_region region) {
  seqdb_error error;
  sdb_op op = {"region changed", &error};
  int changed = 0, rc = sdb_usable(db, &op);
  uint32_t index = sdb_region_index(region);
  if (rc != SEQDB_OK) return rc;
  pthread_mutex_lock(&db->txn_mutex);
  if (sdb_txn_is_open(&db->txn)) {
    const sdb_entry *now = sdb_tree_get(&db->txn.tree, index);
    const sdb_entry *then = sdb_tree_get(&db->store->committed->tree, index);
    bool is = sdb_region_is(region, now), was = sdb_region_is(region, then);
    changed = is != was || (is && now->generation != then->generation);
  }
  pthread_mutex_unlock(&db->txn_mutex);
  return changed;
}
