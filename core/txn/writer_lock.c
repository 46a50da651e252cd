/* SPDX-License-Identifier: MIT
**
** writer_lock.c: see writer_lock.h.
*/
#include "txn/writer_lock.h"

#include "os/os.h"
#include "txn/member.h"

/* store.mutex held.  false: the time is over. */
static bool wait_for_writer(sdb_store *store, uint64_t deadline_ms) {
  bool in_time = deadline_ms > 0;
  store->writers_waiting++;
  while (store->writer || store->upkeep) {
    if (store->upkeep)
      pthread_cond_wait(&store->writer_free, &store->mutex);
    else if (in_time)
      in_time = sdb_os_condition_wait(&store->writer_free, &store->mutex, deadline_ms);
    else
      break;
  }
  store->writers_waiting--;
  return !store->writer && !store->upkeep;
}

static void let_go(sdb_store *store, bool waited_elsewhere) {
  pthread_mutex_lock(&store->mutex);
  store->writer = NULL;
  store->upkeep = false;
  store->wanted = waited_elsewhere || store->writers_waiting > 0;
  pthread_cond_broadcast(&store->writer_free);
  pthread_mutex_unlock(&store->mutex);
}

int sdb_writer_lock(seqdb *db, const sdb_op *op) {
  sdb_store *store = db->store;
  uint32_t timeout_ms = SDB_MAX(atomic_load(&db->busy_timeout_ms), db->patience_ms);
  pthread_mutex_lock(&store->mutex);
  bool wait = store->shared || store->writer || store->upkeep;
  uint64_t deadline_ms = timeout_ms && wait ? sdb_os_now_ms() + timeout_ms : 0;
  bool mine = wait_for_writer(store, deadline_ms);
  if (mine) store->writer = db;
  pthread_mutex_unlock(&store->mutex);
  if (mine) {
    int rc = sdb_member_lock(store, deadline_ms, db->flags & SEQDB_OPEN_RESOLVE_DROP, op);
    if (rc != SEQDB_OK) let_go(store, false);
    return rc;
  }
  return sdb_error_set(op, SEQDB_BUSY, NULL, 0,
                       "database is locked: %s in %s waits for another connection's transaction", op->operation,
                       store->path);
}

void sdb_writer_unlock(seqdb *db) {
  assert(db->store->writer == db);
  let_go(db->store, sdb_member_unlock(db->store));
}

#define NAPS 20u

bool sdb_writer_give_way(sdb_store *store) {
  pthread_mutex_lock(&store->mutex);
  bool wanted = store->wanted;
  store->wanted = false;
  pthread_mutex_unlock(&store->mutex);
  for (unsigned i = 0; wanted && i < NAPS; i++)
    sdb_os_give_way(true);
  return wanted;
}

bool sdb_upkeep_begin(sdb_store *store) {
  pthread_mutex_lock(&store->mutex);
  bool mine = !store->writer && !store->upkeep;
  if (mine) store->upkeep = true;
  pthread_mutex_unlock(&store->mutex);
  if (!mine || sdb_member_lock(store, 0, false, &sdb_unheard) == SEQDB_OK) return mine;
  let_go(store, false);
  return false;
}

void sdb_upkeep_end(sdb_store *store) {
  let_go(store, sdb_member_unlock(store));
}
