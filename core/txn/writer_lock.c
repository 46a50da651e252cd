/* SPDX-License-Identifier: MIT
**
** writer_lock.c: see writer_lock.h.
*/
#include "txn/writer_lock.h"

#include "os/os.h"

/* store.mutex held.  false: the time is over. */
static bool wait_for_writer(sdb_store *store, uint32_t timeout_ms) {
  uint64_t deadline_ms = timeout_ms && (store->writer || store->upkeep) ? sdb_os_now_ms() + timeout_ms : 0;
  bool in_time = timeout_ms > 0;
  while (store->writer || store->upkeep) {
    if (store->upkeep)
      pthread_cond_wait(&store->writer_free, &store->mutex);
    else if (in_time)
      in_time = sdb_os_condition_wait(&store->writer_free, &store->mutex, deadline_ms);
    else
      return false;
  }
  return true;
}

int sdb_writer_lock(seqdb *db, const sdb_op *op) {
  sdb_store *store = db->store;
  pthread_mutex_lock(&store->mutex);
  bool mine = wait_for_writer(store, atomic_load(&db->busy_timeout_ms));
  if (mine) store->writer = db;
  pthread_mutex_unlock(&store->mutex);
  if (mine) return SEQDB_OK;
  return sdb_error_set(op, SEQDB_BUSY, NULL, 0,
                       "database is locked: %s in %s waits for another connection's transaction", op->operation,
                       store->path);
}

void sdb_writer_unlock(seqdb *db) {
  sdb_store *store = db->store;
  pthread_mutex_lock(&store->mutex);
  assert(store->writer == db);
  store->writer = NULL;
  pthread_cond_broadcast(&store->writer_free);
  pthread_mutex_unlock(&store->mutex);
}

bool sdb_upkeep_begin(sdb_store *store) {
  pthread_mutex_lock(&store->mutex);
  bool mine = !store->writer && !store->upkeep;
  if (mine) store->upkeep = true;
  pthread_mutex_unlock(&store->mutex);
  return mine;
}

void sdb_upkeep_end(sdb_store *store) {
  pthread_mutex_lock(&store->mutex);
  store->upkeep = false;
  pthread_cond_broadcast(&store->writer_free);
  pthread_mutex_unlock(&store->mutex);
}
