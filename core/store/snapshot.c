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
#include "txn/writer_lock.h"

void sdb_snapshot_pin(sdb_store *store, seqdb_snapshot *snapshot) {
  pthread_mutex_lock(&store->mutex);
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
  pthread_mutex_unlock(&store->mutex);
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
  sdb_space_unref(&store->space, snapshot->view.catalog);
  pthread_mutex_unlock(&store->mutex);
}

/* ---- public */

/* Apply overlays that only waited for the snapshot just closed, if no writer is at work (the writer would do it
** itself). */
static void apply_overlays(sdb_store *store) {
  if (sdb_overlay_is_empty(&store->overlay) || !store->recovered || sdb_is_poisoned(store)) return;
  if (!sdb_upkeep_begin(store)) return;
  (void)sdb_checkpoint_drain(store, &sdb_unheard);
  sdb_upkeep_end(store);
}

int seqdb_snapshot_open(seqdb *db, seqdb_snapshot **snapshot) {
  seqdb_error error;
  sdb_op op = {"snapshot", &error};
  int rc = sdb_usable(db, &op);
  if (rc != SEQDB_OK) return sdb_fail(db, rc, &op);
  seqdb_snapshot *made = sdb_calloc(1, sizeof *made);
  if (!made) return sdb_fail(db, sdb_error_nomem(&op), &op);
  made->view.db = db;
  made->opened_ms = sdb_os_now_ms();
  atomic_fetch_add(&db->refs, 1);
  sdb_snapshot_pin(db->store, made);
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
