/* SPDX-License-Identifier: MIT
**
** handle.c: see handle.h.
*/
#include "txn/handle.h"

#include "os/os.h"

bool sdb_in_child(const seqdb *db) {
  return sdb_os_fork_count() != db->store->fork_count;
}

/* ---- the frame */

/* In a child of fork another thread of the parent may hold the mutex for ever: nothing is recorded, seqdb_get_error()
** knows. */
int sdb_fail(seqdb *db, int rc, const sdb_op *op) {
  if (rc >= 0 || sdb_in_child(db)) return rc;
  if (rc == SEQDB_FULL) atomic_store(&db->store->refused, true);
  pthread_mutex_lock(&db->error_mutex);
  db->error = *op->error;
  pthread_mutex_unlock(&db->error_mutex);
  return rc;
}

int sdb_enter(seqdb *db, const sdb_op *op) {
  int rc = sdb_usable(db, op);
  if (rc != SEQDB_OK) return sdb_fail(db, rc, op);
  pthread_mutex_lock(&db->txn_mutex);
  while (db->asking && !pthread_equal(db->asking_thread, pthread_self()))
    pthread_cond_wait(&db->asked, &db->txn_mutex);
  if (!db->asking) return SEQDB_OK;
  pthread_mutex_unlock(&db->txn_mutex);
  rc = sdb_error_set(op, SEQDB_MISUSE, NULL, 0,
                     "%s: an interrupt callback cannot change anything with the handle that calls it", op->operation);
  return sdb_fail(db, rc, op);
}

int sdb_leave(seqdb *db, int rc, const sdb_op *op) {
  pthread_mutex_unlock(&db->txn_mutex);
  return sdb_fail(db, rc, op);
}

/* ---- health */

int sdb_usable(seqdb *db, const sdb_op *op) {
  if (!sdb_in_child(db)) return SEQDB_OK;
  return sdb_error_set(op, SEQDB_MISUSE, NULL, 0, "%s: " SDB_CHILD_MESSAGE, op->operation);
}

int sdb_writable(seqdb *db, const sdb_op *op) {
  sdb_store *store = db->store;
  int rc = sdb_usable(db, op);
  if (rc != SEQDB_OK) return rc;
  if (store->shared && !store->still && !atomic_load(&store->poisoned) && sdb_is_poisoned(store)) {
    sdb_published published; /* or is the board overwritten, and says anything? */
    if ((rc = sdb_board_load(store->board, &published, op)) != SEQDB_OK) return rc;
  }
  if (sdb_is_poisoned(store))
    return sdb_error_set(op, SEQDB_POISONED, NULL, 0,
                         "%s: an earlier fdatasync failed in %s: close all connections to it and open it anew",
                         op->operation, store->path);
  if (store->damage.count)
    return sdb_error_set(op, SEQDB_CORRUPT, store->damage.first.file, store->damage.first.offset,
                         "%s: the database is damaged and read-only: %s; seqdb_salvage() saves what can be read",
                         op->operation, store->damage.first.message);
  if (db->flags & SEQDB_OPEN_READONLY)
    return sdb_error_set(op, SEQDB_READONLY, NULL, 0, "%s: %s was opened read-only", op->operation, store->path);
  if (db->only_reads)
    return sdb_error_set(op, SEQDB_READONLY, store->only_read.file, 0, "%s: %s", op->operation,
                         store->only_read.message);
  return SEQDB_OK;
}

int sdb_interrupted(seqdb *db, const sdb_op *op) {
  if (!db->interrupt || !db->interrupt(db->interrupt_context)) return SEQDB_OK;
  return sdb_error_set(op, SEQDB_INTERRUPTED, NULL, 0, "%s: interrupted", op->operation);
}

int sdb_ask_inside(seqdb *db, const sdb_op *op) {
  if (!db->interrupt) return SEQDB_OK;
  db->asking = true;
  db->asking_thread = pthread_self();
  pthread_mutex_unlock(&db->txn_mutex);
  int rc = sdb_interrupted(db, op);
  pthread_mutex_lock(&db->txn_mutex);
  db->asking = false;
  pthread_cond_broadcast(&db->asked);
  return rc;
}

/* ---- errors */

int sdb_gone(const sdb_op *op) {
  return sdb_error_set(op, SEQDB_NOTFOUND, NULL, 0, "%s: no such region, or it was removed", op->operation);
}

int sdb_past_length(const sdb_entry *entry, uint64_t at, const sdb_op *op) {
  char quoted[SDB_QUOTED_MAX];
  return sdb_error_set(op, SEQDB_RANGE, "data", at, "region %s: %s at %llu is past its length %llu",
                       sdb_name_quote(entry->name, quoted), op->operation, (unsigned long long)at,
                       (unsigned long long)entry->length);
}
