/* SPDX-License-Identifier: MIT
**
** handle.c: a handle's error record, health checks and small settings.
*/
#include <errno.h>
#include "txn/db.h"
#include "base/error.h"
#include "base/sized.h"

static bool in_child(const seqdb *db) {
  return sdb_os_fork_count() != db->store->fork_count;
}

/* In a child of fork another thread of the parent may hold the mutex for ever: nothing is recorded, seqdb_get_error() knows. */
int sdb_fail(seqdb *db, int rc, const sdb_op *op) {
  if (rc >= 0 || in_child(db)) return rc;
  pthread_mutex_lock(&db->error_mutex);
  db->error = *op->error;
  pthread_mutex_unlock(&db->error_mutex);
  return rc;
}

#define CHILD_MESSAGE "the database was opened before fork(); the child must open it anew"

int sdb_usable(seqdb *db, const sdb_op *op) {
  if (!in_child(db)) return SEQDB_OK;
  return sdb_error_set(op, SEQDB_MISUSE, NULL, 0, "%s: " CHILD_MESSAGE, op->operation);
}

int sdb_writable(seqdb *db, const sdb_op *op) {
  sdb_store *store = db->store;
  int rc = sdb_usable(db, op);
  if (rc != SEQDB_OK) return rc;
  if (atomic_load_explicit(&store->poisoned, memory_order_relaxed))
    return sdb_error_set(op, SEQDB_POISONED, NULL, 0,
                         "%s: an earlier fdatasync failed in %s: close all connections to it and open it anew",
                         op->operation, store->path);
  if (store->damage.count)
    return sdb_error_set(op, SEQDB_CORRUPT, store->damage.first.file, store->damage.first.offset,
                         "%s: the database is damaged and read-only: %s", op->operation, store->damage.first.message);
  if (db->flags & SEQDB_OPEN_READONLY)
    return sdb_error_set(op, SEQDB_READONLY, NULL, 0, "%s: %s was opened read-only", op->operation, store->path);
  return SEQDB_OK;
}

int sdb_interrupted(seqdb *db, const sdb_op *op) {
  if (!db->interrupt || !db->interrupt(db->interrupt_context)) return SEQDB_OK;
  return sdb_error_set(op, SEQDB_INTERRUPTED, NULL, 0, "%s: interrupted", op->operation);
}

uint64_t sdb_store_end(sdb_store *store) {
  pthread_mutex_lock(&store->mutex);
  uint64_t end = store->space.end;
  pthread_mutex_unlock(&store->mutex);
  return end;
}

void sdb_poison(sdb_store *store) {
  atomic_store(&store->poisoned, true);
}

int sdb_gone(seqdb *db, const sdb_op *op) {
  (void)db;
  return sdb_error_set(op, SEQDB_NOTFOUND, NULL, 0, "%s: no such region, or it was removed", op->operation);
}

/* ---- public */

void seqdb_set_busy_timeout(seqdb *db, uint32_t timeout_ms) {
  atomic_store(&db->busy_timeout_ms, timeout_ms);
}

void seqdb_set_interrupt(seqdb *db, int (*interrupt)(void *context), void *context) {
  db->interrupt = interrupt;
  db->interrupt_context = context;
}

/* The record that a caller has passed, if any, has a size. */
static int check_record(const seqdb_error *record, const sdb_op *op) {
  if (!record || sdb_sized_is(record->size_bytes, SDB_ERROR_FIRST_BYTES)) return SEQDB_OK;
  return sdb_error_set(op, SEQDB_INVALID, NULL, 0,
                       "%s: size_bytes of the error record is %u: begin with SEQDB_ERROR_INIT", op->operation,
                       record->size_bytes);
}

int seqdb_is_readonly(seqdb *db, seqdb_error *error) {
  seqdb_error record;
  sdb_op op = {"write", &record};
  int rc = check_record(error, &op);
  if (rc != SEQDB_OK) return sdb_fail(db, rc, &op);
  if (sdb_writable(db, &op) == SEQDB_OK) return 0;
  if (error) sdb_sized_copy_out(error, &record, sizeof record);
  return 1;
}

int seqdb_same_directory(seqdb *db, const char *directory) {
  sdb_os_info info = {0};
  seqdb_error error;
  sdb_op op = {"open", &error};
  sdb_fd dir = -1;
  int os, rc = sdb_usable(db, &op);
  if (rc != SEQDB_OK) return rc;
  os = sdb_os_open_dir(directory, &dir);
  if (os == ENOENT || os == ENOTDIR) return 0;
  if (!os) {
    os = sdb_os_dir_info(dir, &info);
    sdb_os_close(dir);
  }
  if (os) {
    rc = sdb_error_os(&op, os, NULL, 0, "%s: cannot look at the directory", directory);
    return sdb_fail(db, rc, &op);
  }
  return info.device == db->store->device && info.inode == db->store->inode;
}

void seqdb_get_uuid(seqdb *db, uint8_t uuid[SEQDB_UUID_BYTES]) {
  memcpy(uuid, db->store->uuid, SEQDB_UUID_BYTES);
}

int seqdb_get_error(seqdb *db, seqdb_error *error) {
  seqdb_error record;
  sdb_op op = {"call", &record};
  if (!sdb_sized_is(error->size_bytes, SDB_ERROR_FIRST_BYTES)) return SEQDB_INVALID;
  if (sdb_usable(db, &op) == SEQDB_OK) {
    pthread_mutex_lock(&db->error_mutex);
    record = db->error;
    pthread_mutex_unlock(&db->error_mutex);
  }
  sdb_sized_copy_out(error, &record, sizeof record);
  return SEQDB_OK;
}

const char *seqdb_errmsg(seqdb *db) {
  return in_child(db) ? "call: " CHILD_MESSAGE : db->error.message;
}
const char *seqdb_strerror(int code) {
  return sdb_strerror(code);
}
const char *seqdb_version(void) {
  return SEQDB_VERSION_TEXT;
}
void seqdb_free(void *memory) {
  sdb_free(memory);
}
