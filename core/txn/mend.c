/* SPDX-License-Identifier: MIT
**
** mend.c: see mend.h.
**
**                                                               a crash after it leaves
**     follow the records to the journal's true end              what was there
**     guard; header and last record once more, fdatasync        the same, durable
**     a record that decides, if a prepare is undecided          the decision, for good
**     ranges up to max(p, applied) once more, as one            parts of them; the next mender writes them again
**     fdatasync(data), at its full length                       all of them, durable
**     publish
** What the dead writer left past lengths and in holes is punched by the next checkpoint.
*/
#include "txn/mend.h"

#include "txn/checkpoint.h"
#include "txn/decide.h"
#include "txn/delta.h"
#include "txn/follow.h"

/* The guard may be in the page cache alone: a page more makes fdatasync write the size. */
static int restate_guard(sdb_store *store, const sdb_op *op) {
  sdb_regions_file *regions = &store->regions;
  int rc = SEQDB_OK;
  if (!regions->guarded) return sdb_checkpoint_guard(store, op);
  if (regions->odd_guard && (rc = sdb_regions_zero_guard(regions, op)) == SEQDB_OK)
    rc = sdb_store_sync(store, regions->fd, "regions", op);
  if (rc == SEQDB_OK) (void)sdb_regions_resize(regions, SDB_MIN(regions->pages + 1, SDB_INDEX_MAX), &sdb_unheard);
  return rc == SEQDB_OK ? sdb_store_sync_anyway(store, regions->fd, "regions", op) : rc;
}

/* Header and last record, under the guard. */
static int restate(sdb_store *store, const sdb_op *op) {
  bool poison = false;
  pthread_mutex_lock(&store->files_mutex);
  int rc = restate_guard(store, op);
  if (rc == SEQDB_OK) rc = sdb_journal_restate(&store->journal, &poison, op);
  if (poison) sdb_poison(store);
  pthread_mutex_unlock(&store->files_mutex);
  return rc;
}

/* What belongs to nobody any more may lie where there is no room.  But who reads an older generation needs it. */
static int cut_ranges(sdb_store *store, uint64_t oldest, sdb_patch *patch) {
  const sdb_tree nothing = {0};
  sdb_delta all;
  if (patch->count == 0 || oldest < store->committed->generation) return SEQDB_OK;
  int rc = sdb_delta_collect(&all, &nothing, &store->committed->tree);
  if (rc != SEQDB_OK) return rc;
  rc = sdb_delta_cut_patch(&all, patch);
  sdb_delta_free(&all);
  return rc;
}

/* An overlay's record is of the newest commit in it.  Where that is too new, what no layer holds back was applied
** before: its sync may have failed. */
static int applied_ranges(sdb_store *store, uint64_t generation, bool newer, sdb_patch *patch, const sdb_op *op) {
  const sdb_journal_header *header = &store->journal.header;
  int rc = sdb_follow_ranges(store, newer ? header->base_generation : generation, patch, op);
  if (rc == SEQDB_OK && newer && sdb_overlay_cut(&store->overlay, generation, patch) != SEQDB_OK)
    rc = sdb_error_nomem(op);
  return rc;
}

/* Ranges that nobody holds back, and those that the dead writer may have begun to apply. */
static int apply_again(sdb_store *store, const sdb_op *op) {
  const sdb_journal_header *header = &store->journal.header;
  sdb_patch patch;
  uint64_t oldest = sdb_store_oldest(store), applied = sdb_board_applied(store->board);
  uint64_t generation = SDB_MIN(SDB_MAX(oldest, applied), store->committed->generation);
  sdb_patch_init(&patch);
  bool newer = header->overlay && header->base_generation > generation;
  int rc = applied_ranges(store, generation, newer, &patch, op);
  if (rc == SEQDB_OK && cut_ranges(store, oldest, &patch) != SEQDB_OK) rc = sdb_error_nomem(op);
  if (rc == SEQDB_OK) rc = sdb_overlay_apply(&store->overlay, &patch, op);
  sdb_patch_clear(&patch);
  if (rc == SEQDB_OK) rc = sdb_checkpoint_sync_data(store, true, op);
  if (rc == SEQDB_OK && generation > applied && !newer) sdb_board_set_applied(store->board, generation);
  return rc;
}

int sdb_mend(sdb_store *store, bool drop, const sdb_op *op) {
  bool undecided = false, kept = false;
  int rc = sdb_follow_to_end(store, drop, &undecided, &kept, op);
  if (undecided) store->keep_next = kept;
  store->must_decide |= undecided; /* a try that fails has followed the prepare: the next one does not meet it again */
  if (rc == SEQDB_OK) rc = restate(store, op);
  if (rc == SEQDB_OK && store->must_decide) rc = sdb_decide(store, op);
  if (rc == SEQDB_OK) store->must_decide = false;
  if (rc == SEQDB_OK) rc = apply_again(store, op);
  if (rc != SEQDB_OK) return rc;
  if (store->shared) sdb_board_set_uuid(store->board, store->journal.header.uuid);
  store->unclean = true; /* garbage of the dead one may lie wherever nothing else does */
  sdb_store_publish(store);
  return SEQDB_OK;
}
