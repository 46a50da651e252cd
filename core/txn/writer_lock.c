/* SPDX-License-Identifier: MIT
**
** writer_lock.c: see writer_lock.h.
*/
#include "txn/writer_lock.h"

#include <errno.h>
#include <time.h>

static void deadline_in(struct timespec *at, uint32_t timeout_ms) {
  clock_gettime(CLOCK_REALTIME, at); /* the clock of a condition variable made without attributes */
  at->tv_sec += (time_t)(timeout_ms / 1000);
  at->tv_nsec += (long)(timeout_ms % 1000) * 1000000L;
  if (at->tv_nsec >= 1000000000L) {
    at->tv_nsec -= 1000000000L;
    at->tv_sec++;
  }
}

/* store.mutex held.  false: the time is over. */
static bool wait_for_writer(sdb_store *store, uint32_t timeout_ms) {
  struct timespec deadline = {0};
  int waited = 0;
  if ((store->writer || store->upkeep) && timeout_ms) deadline_in(&deadline, timeout_ms);
  while (store->writer || store->upkeep) {
    if (store->upkeep)
      pthread_cond_wait(&store->writer_free, &store->mutex);
    else if (timeout_ms && waited != ETIMEDOUT)
      waited = pthread_cond_timedwait(&store->writer_free, &store->mutex, &deadline);
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
