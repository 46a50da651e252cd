/* SPDX-License-Identifier: MIT
**
** snapshot.c: pins on committed catalogs.
**
** Opening a snapshot is one reference on the committed catalog under the store's mutex; what it sees is neither
** overwritten nor reused (space.h, overlay.c) until it is closed.  Nobody waits for it.
** OWNS: the store's list of snapshots, oldest first.
** THREADS: the list is the store's mutex's; a snapshot is its user's, one thread at a time.
*/
#include "store/snapshot.h"

#include "os/os.h"
#include "store/open.h"
#include "txn/checkpoint.h"
#include "txn/member.h"
#include "txn/writer_lock.h"

/* The board's slot has the oldest generation that a snapshot reads, or that is about to be one (S2).  store.mutex
** held. */
static void pin_slot(sdb_store *store, uint64_t since_ms) {
  if (store->pins++ == 0 && store->shared && !store->still)
    sdb_board_pin(store->board, SDB_MAX(store->committed->generation, 1), since_ms);
}

/* Afterwards: it went, or it has come as far as it will.  store.mutex held. */
static void settle_slot(sdb_store *store) {
  const seqdb_snapshot *oldest = store->snapshots;
  if (!store->shared || store->still || store->pins != store->snapshot_count) return; /* others are about to */
  if (!oldest)
    sdb_board_unpin(store->board);
  else if (sdb_board_pinned(store->board) != SDB_MAX(oldest->view.generation, 1))
    sdb_board_pin(store->board, SDB_MAX(oldest->view.generation, 1), oldest->opened_ms);
}

/* Pinned, the store takes in what others have published: no system call if that is nothing.  store.mutex held, and let
** go meanwhile. */
static int catch_up(sdb_store *store, const sdb_op *op) {
  int rc = SEQDB_OK;
  while (rc == SEQDB_OK && sdb_store_is_behind(store)) {
    pthread_mutex_unlock(&store->mutex);
    rc = sdb_member_catch_up(store, op);
    pthread_mutex_lock(&store->mutex);
  }
  return rc;
}

int sdb_snapshot_pin(sdb_store *store, seqdb_snapshot *snapshot, const sdb_op *op) {
  pthread_mutex_lock(&store->mutex);
  pin_slot(store, snapshot->opened_ms);
  int rc = catch_up(store, op);
  if (rc != SEQDB_OK) {
    store->pins--;
    settle_slot(store);
    pthread_mutex_unlock(&store->mutex);
    return rc;
  }
  snapshot->view.catalog = store->committed;
  sdb_catalog_ref(snapshot->view.catalog);
  snapshot->view.generation = snapshot->view.catalog->generation;
  snapshot->older = store->snapshots_last;
  snapshot->newer = NULL;
  if (store->snapshots_last)
    store->snapshots_last->newer = snapshot;
  else
    store->snapshots = snapshot;
  store->snapshots_last = snapshot;
  store->snapshot_count++;
  settle_slot(store);
  pthread_mutex_unlock(&store->mutex);
  return SEQDB_OK;
}

void sdb_snapshot_unpin(sdb_store *store, seqdb_snapshot *snapshot) {
  pthread_mutex_lock(&store->mutex);
  if (snapshot->older)
    snapshot->older->newer = snapshot->newer;
  else
    store->snapshots = snapshot->newer;
  if (snapshot->newer)
    snapshot->newer->older = snapshot->older;
  else
    store->snapshots_last = snapshot->older;
  store->snapshot_count--;
  store->pins--;
  settle_slot(store);
  sdb_space_unref(&store->space, snapshot->view.catalog);
  pthread_mutex_unlock(&store->mutex);
}

/* ---- public */

/* Apply overlays that only waited for the snapshot just closed, if no writer is at work (the writer would do it
** itself). */
static void apply_overlays(sdb_store *store) {
  if (sdb_overlay_is_empty(&store->overlay) || !store->writing || !store->recovered || sdb_is_poisoned(store)) return;
  if (!sdb_upkeep_begin(store)) return;
  (void)sdb_checkpoint_drain(store, &sdb_unheard);
  sdb_upkeep_end(store);
}

int seqdb_snapshot_open(seqdb *db, seqdb_snapshot **snapshot) {
  seqdb_error error;
  sdb_op op = {"snapshot", &error};
  int rc = sdb_usable(db, &op);
  if (rc != SEQDB_OK) return sdb_fail(db, rc, &op);
  seqdb_snapshot *made = sdb_malloc(sizeof *made);
  if (!made) return sdb_fail(db, sdb_error_nomem(&op), &op);
  *made = (seqdb_snapshot){.view.db = db, .opened_ms = sdb_os_now_ms()};
  if ((rc = sdb_snapshot_pin(db->store, made, &op)) != SEQDB_OK) {
    sdb_free(made);
    return sdb_fail(db, rc, &op);
  }
  atomic_fetch_add(&db->refs, 1);
  *snapshot = made;
  return SEQDB_OK;
}

void seqdb_snapshot_close(seqdb_snapshot *snapshot) {
  seqdb_error error;
  sdb_op op = {"snapshot", &error};
  if (!snapshot) return;
  seqdb *db = snapshot->view.db;
  if (sdb_usable(db, &op) != SEQDB_OK) return; /* a child of fork: the parent's pin is not ours to undo */
  sdb_snapshot_unpin(db->store, snapshot);
  apply_overlays(db->store);
  sdb_free(snapshot);
  sdb_handle_unref(db);
}

uint64_t seqdb_snapshot_generation(const seqdb_snapshot *snapshot) {
  return snapshot->view.generation;
}

seqdb_view *seqdb_snapshot_view(seqdb_snapshot *snapshot) {
  return &snapshot->view;
}
