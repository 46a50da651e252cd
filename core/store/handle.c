/* SPDX-License-Identifier: MIT
**
** handle.c: a handle's small settings, and what it says of itself.
*/
#include <errno.h>
#include "os/os.h"
#include "txn/handle.h"

void seqdb_set_busy_timeout(seqdb *db, uint32_t timeout_ms) {
  atomic_store(&db->busy_timeout_ms, timeout_ms);
}

void seqdb_set_interrupt(seqdb *db, int (*interrupt)(void *context), void *context) {
  db->interrupt = interrupt;
  db->interrupt_context = context;
}

int seqdb_is_readonly(seqdb *db, seqdb_error *error) {
  sdb_op op = {"write", error};
  int rc = sdb_writable(db, &op);
  return rc != SEQDB_OK;
}

int seqdb_same_directory(seqdb *db, const char *directory) {
  sdb_os_info info = {0};
  seqdb_error error;
  sdb_op op = {"open", &error};
  sdb_fd dir = -1;
  int os = sdb_os_open_dir(directory, &dir);
  if (os == ENOENT || os == ENOTDIR) return 0;
  if (!os) {
    os = sdb_os_dir_info(dir, &info);
    sdb_os_close(dir);
  }
  if (os) {
    int rc = sdb_error_os(&op, os, NULL, 0, "%s: cannot look at the directory", directory);
    return sdb_fail(db, rc, &op);
  }
  return info.device == db->store->device && info.inode == db->store->inode;
}

void seqdb_uuid(seqdb *db, uint8_t uuid[16]) {
  memcpy(uuid, db->store->uuid, 16);
}

void seqdb_last_error(seqdb *db, seqdb_error *error) {
  pthread_mutex_lock(&db->error_mutex);
  *error = db->error;
  pthread_mutex_unlock(&db->error_mutex);
}

const char *seqdb_errmsg(seqdb *db) {
  return db->error.message;
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
