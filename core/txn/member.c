/* SPDX-License-Identifier: MIT
**
** member.c: see member.h.
*/
#include "txn/member.h"

#include "os/os.h"
#include "txn/follow.h"
#include "txn/mend.h"
#include "txn/settle.h"

/* ---- catching up */

#define TRIES 64u /* without anything new: then files and board do not belong together */

static int contradiction(const sdb_store *store, const sdb_op *op) {
  return sdb_error_set(op, SEQDB_CORRUPT, "journal", 0,
                       "%s: the files of %s are not what its processes have published: close all connections to it and "
                       "open it anew",
                       op->operation, store->path);
}

/* follow_mutex held. */
static int catch_up(sdb_store *store, const sdb_op *op) {
  sdb_published to, before = {0};
  bool reached = false;
  int rc = SEQDB_OK;
  for (unsigned tries = 0; rc == SEQDB_OK && !reached; tries++) {
    if ((rc = sdb_board_load(store->board, &to, op)) != SEQDB_OK) return rc;
    if (to.sequence != before.sequence) tries = 0;
    if (tries > TRIES) return contradiction(store, op);
    before = to;
    /* Nothing new since we stood there.  A mend of ours that failed may have come further: its next try goes on. */
    bool there = to.end < store->mine.end || (to.end == store->mine.end && to.tip_at == store->mine.tip_at);
    reached = to.sequence == store->mine.sequence || (to.salt == store->mine.salt && there);
    store->stale |= to.sequence != store->mine.sequence;
    if (!reached) rc = sdb_follow(store, &to, &reached, op);
    if (!reached && tries > 2) sdb_os_give_way(true);
  }
  if (rc != SEQDB_OK) return rc;
  pthread_mutex_lock(&store->mutex);
  store->mine.sequence = to.sequence;
  atomic_store_explicit(&store->sequence, to.sequence, memory_order_release);
  pthread_mutex_unlock(&store->mutex);
  return SEQDB_OK;
}

int sdb_member_catch_up(sdb_store *store, const sdb_op *op) {
  int rc = SEQDB_OK;
  if (!sdb_store_is_behind(store)) return SEQDB_OK;
  pthread_mutex_lock(&store->follow_mutex);
  if (!atomic_load(&store->leads)) rc = catch_up(store, op);
  pthread_mutex_unlock(&store->follow_mutex);
  return rc;
}

/* ---- the writer lock of all */

/* Another member may have changed sizes, and the journal's blocks. */
static int look_at_files(sdb_store *store, const sdb_op *op) {
  sdb_regions_file regions = store->regions;
  sdb_regions_load load = {0};
  int rc = sdb_data_look(&store->data, op);
  if (rc == SEQDB_OK) rc = sdb_regions_measure(&regions, &load, op);
  if (rc == SEQDB_OK) rc = sdb_journal_look(&store->journal, op);
  if (rc != SEQDB_OK) return rc;
  pthread_mutex_lock(&store->files_mutex);
  store->regions = regions;
  pthread_mutex_unlock(&store->files_mutex);
  store->stale = false;
  return SEQDB_OK;
}

int sdb_member_tidy(sdb_store *store, const sdb_op *op) {
  int rc = sdb_member_catch_up(store, op);
  if (rc != SEQDB_OK || !store->shared || store->still) return rc;
  pthread_mutex_lock(&store->follow_mutex);
  if (!atomic_load(&store->leads)) {
    sdb_overlay_drop(&store->overlay, sdb_board_applied(store->board));
    (void)sdb_store_oldest_elsewhere(store);
  }
  pthread_mutex_unlock(&store->follow_mutex);
  return SEQDB_OK;
}

int sdb_member_look(sdb_store *store, const sdb_op *op) {
  int rc = sdb_member_catch_up(store, op);
  if (rc != SEQDB_OK || !store->shared || store->still) return rc;
  pthread_mutex_lock(&store->follow_mutex);
  if (!atomic_load(&store->leads)) rc = look_at_files(store, op);
  pthread_mutex_unlock(&store->follow_mutex);
  return rc;
}

/* What other members have found settled, or not. */
static void learn_settled(sdb_store *store) {
  sdb_token token;
  uint64_t generation;
  if (!sdb_board_settled(store->board, &generation, token.bytes)) return;
  pthread_mutex_lock(&store->files_mutex);
  store->settled = token;
  store->settled_generation = generation;
  if (sdb_token_is(&store->settled, &store->tip)) store->candidate_count = 0;
  pthread_mutex_unlock(&store->files_mutex);
}

/* It may have happened while the lock was waited for. */
static int refuse_poisoned(sdb_store *store, const sdb_op *op) {
  if (!sdb_is_poisoned(store)) return SEQDB_OK;
  return sdb_error_set(op, SEQDB_POISONED, NULL, 0,
                       "%s: an fdatasync failed in %s, perhaps in another process: close all connections to it and "
                       "open it anew",
                       op->operation, store->path);
}

/* The lock is ours; `mend`: its last owner died with it. */
static int begin_to_lead(sdb_store *store, bool mend, bool drop, const sdb_op *op) {
  int rc = refuse_poisoned(store, op);
  if (rc == SEQDB_OK) rc = catch_up(store, op);
  if (rc == SEQDB_OK) learn_settled(store);
  if (rc == SEQDB_OK && (store->stale || mend)) rc = look_at_files(store, op);
  if (rc == SEQDB_OK && mend) rc = sdb_mend(store, drop, op);
  if (rc != SEQDB_OK) return rc;
  sdb_overlay_drop(&store->overlay, sdb_board_applied(store->board));
  (void)sdb_store_oldest_elsewhere(store);
  sdb_store_remember_sizes(store);
  atomic_store(&store->leads, true);
  return SEQDB_OK;
}

int sdb_member_lock(sdb_store *store, uint64_t deadline_ms, bool drop, const sdb_op *op) {
  bool mend = false;
  int rc;
  if (!store->shared) return refuse_poisoned(store, op);
  while ((rc = sdb_board_writer_try(store->board, &mend, op)) == SEQDB_BUSY && sdb_os_now_ms() < deadline_ms)
    sdb_board_writer_rest(store->board, deadline_ms);
  if (rc != SEQDB_OK) return rc;
  pthread_mutex_lock(&store->follow_mutex);
  rc = begin_to_lead(store, mend, drop, op);
  pthread_mutex_unlock(&store->follow_mutex);
  if (rc != SEQDB_OK) (void)sdb_board_writer_release(store->board, !mend && !sdb_is_poisoned(store));
  return rc;
}

bool sdb_member_unlock(sdb_store *store) {
  if (!store->shared) return false;
  bool poisoned = sdb_is_poisoned(store);
  if (!poisoned && sdb_store_has_news(store)) sdb_store_publish(store);
  atomic_store(&store->leads, false);
  return sdb_board_writer_release(store->board, !poisoned);
}
