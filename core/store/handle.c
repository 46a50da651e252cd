/* SPDX-License-Identifier: MIT
**
** handle.c: a handle's small settings, and what it says of itself.
*/
#include <errno.h>
#include "base/sized.h"
#include "os/os.h"
#include "txn/handle.h"

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

int seqdb_is_undecided(seqdb *db) {
  seqdb_error error;
  sdb_op op = {"resolve", &error};
  int rc = sdb_usable(db, &op);
  if (rc == SEQDB_OK && db->store->blind && !db->store->writing) return 2;
  return rc == SEQDB_OK ? db->store->undecided && !db->store->writing : rc;
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
  sdb_store *store = db->store;
  memset(uuid, 0, SEQDB_UUID_BYTES);
  if (sdb_in_child(db)) return;
  pthread_mutex_lock(&store->files_mutex);
  if (store->journal.fd >= 0) memcpy(uuid, store->journal.header.uuid, SEQDB_UUID_BYTES);
  pthread_mutex_unlock(&store->files_mutex);
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
  return sdb_in_child(db) ? "call: " SDB_CHILD_MESSAGE : db->error.message;
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
