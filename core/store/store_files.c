/* SPDX-License-Identifier: MIT
**
** store_files.c: see store_files.h.
*/
#include "store/store_files.h"

#include <errno.h>
#include "files/create.h"
#include "os/os.h"
#include "store/claims.h"
#include "store/meet.h"

/* ---- one file */

sdb_os_access sdb_store_access(const seqdb_options *options) {
  return (sdb_os_access){options->mode, options->uid, options->gid};
}

void sdb_store_close_fd(sdb_fd *fd) {
  if (*fd >= 0) sdb_os_close(*fd);
  *fd = -1;
}

static int cannot_open(int os, const char *path, const char *name, const sdb_op *op) {
  if (os == ELOOP || os == EINVAL)
    return sdb_error_set(op, SEQDB_CANTOPEN, name, 0, "%s/%s is a symbolic link or no regular file", path, name);
  int rc = sdb_error_os(op, os, name, 0, "%s/%s: cannot open", path, name);
  if (rc == SEQDB_IO) op->error->code = SEQDB_CANTOPEN;
  return rc == SEQDB_IO ? SEQDB_CANTOPEN : rc;
}

/* The store can only be read.  The caller fills in why, for the handles that were to write: the first reason stays. */
sdb_op sdb_store_refusal(sdb_store *store) {
  store->files_writable = false;
  return (sdb_op){"write", store->only_read.code == SEQDB_OK ? &store->only_read : NULL};
}

/* Two names of one file, in two directories, would be two databases that write into each other. */
static int refuse_links(sdb_store *store, const char *name, sdb_fd fd, const sdb_op *op) {
  sdb_os_info info;
  int os = sdb_os_info_of(fd, &info);
  if (os) return sdb_error_os(op, os, name, 0, "%s/%s: cannot look at it", store->path, name);
  if (info.links <= 1) return SEQDB_OK;
  const sdb_op why = sdb_store_refusal(store);
  (void)sdb_error_set(&why, SEQDB_READONLY, name, 0,
                      "%s can only be read: the file %s has another name (a hard link), perhaps in another database",
                      store->path, name);
  return SEQDB_OK;
}

static bool is_refusal(int os) {
  return os == EACCES || os == EROFS || os == EPERM;
}

/* For writing where that is wanted and allowed; else for reading, and the store cannot be written. */
int sdb_store_open_file(sdb_store *store, const char *name, bool write, bool optional, sdb_fd *fd, const sdb_op *op) {
  int os = sdb_os_open(store->dir, name, write ? SDB_OPEN_WRITE : 0, fd);
  if (write && is_refusal(os)) {
    const sdb_op why = sdb_store_refusal(store);
    (void)sdb_error_os(&why, os, name, 0, "%s can only be read: the file %s", store->path, name);
    os = sdb_os_open(store->dir, name, 0, fd);
  }
  if (!os) {
    int rc = write && store->files_writable ? refuse_links(store, name, *fd, op) : SEQDB_OK;
    if (rc != SEQDB_OK) sdb_store_close_fd(fd);
    return rc;
  }
  *fd = -1;
  if (os == ENOENT && optional) return SEQDB_OK;
  if (os == ENOENT)
    return sdb_error_set(op, SEQDB_CANTOPEN, name, 0, "%s is no complete database: the file %s is missing", store->path,
                         name);
  return cannot_open(os, store->path, name, op);
}

#define DYING_MS 1000u /* a process that was killed lets its files go one after the other */

/* rawdb locks `data` and `regions` exclusively. */
static int lock_file(sdb_store *store, sdb_fd fd, const sdb_op *op) {
  uint64_t deadline_ms = sdb_os_now_ms() + DYING_MS;
  int os = sdb_os_lock(fd, false);
  for (; os == EWOULDBLOCK && sdb_os_now_ms() < deadline_ms; os = sdb_os_lock(fd, false))
    sdb_os_give_way(true);
  if (!os) return SEQDB_OK;
  if (os == EWOULDBLOCK)
    return sdb_error_set(op, SEQDB_LOCKED, NULL, 0, "database is locked: %s is open in rawdb", store->path);
  return sdb_error_os(op, os, NULL, 0, "%s: cannot lock", store->path);
}

/* ---- all of them */

int sdb_store_open_files(sdb_store *store, const seqdb_options *options, bool create, const sdb_op *op) {
  bool writing = !(options->flags & SEQDB_OPEN_READONLY), pristine = false, missing = false;
  sdb_fd data = -1;
  int rc = SEQDB_OK;
  if (create) {
    sdb_journal_header header = {.sync_off = store->sync_off};
    if (options->claim && sdb_claim_take(options->claim, &header.claims[0])) header.claim_count = 1;
    const sdb_os_access access = sdb_store_access(options);
    if ((rc = sdb_is_pristine(store->dir, store->path, &pristine, &missing, op)) != SEQDB_OK) return rc;
    if (pristine && (rc = sdb_create_files(store->dir, store->path, false, &access, &header, op)) != SEQDB_OK)
      return rc;
    store->names_synced = pristine;
  }
  if ((rc = sdb_store_open_file(store, "data", writing, false, &data, op)) != SEQDB_OK) return rc;
  if ((rc = sdb_data_open(&store->data, data, !store->no_mmap, 0, op)) != SEQDB_OK) {
    store->data.fd = data;
    return rc;
  }
  if ((rc = sdb_store_open_file(store, "regions", writing, false, &store->regions.fd, op)) != SEQDB_OK) return rc;
  store->regions.map = !store->no_mmap;
  if ((rc = sdb_store_open_file(store, "journal", writing, true, &store->journal.fd, op)) != SEQDB_OK) return rc;
  sdb_meet_keep_from_children(store);
  if (options->flags & SEQDB_OPEN_IMMUTABLE) return SEQDB_OK;
  if ((rc = lock_file(store, data, op)) != SEQDB_OK) return rc;
  return lock_file(store, store->regions.fd, op);
}

/* They were opened before the door: somebody may have adopted the directory, or closed it, in between. */
int sdb_store_look_again(sdb_store *store, const seqdb_options *options, const sdb_op *op) {
  bool writing = !(options->flags & SEQDB_OPEN_READONLY);
  if (!store->board) return SEQDB_OK;
  int rc =
      store->journal.fd < 0 ? sdb_store_open_file(store, "journal", writing, true, &store->journal.fd, op) : SEQDB_OK;
  return rc == SEQDB_OK ? sdb_data_look(&store->data, op) : rc;
}

/* One of the files of a store of readers, for writing from now on. */
static int reopen_file(sdb_store *store, const char *name, bool shared_with_rawdb, sdb_fd fd, const sdb_op *op) {
  sdb_os_info now = {0}, then = {0};
  sdb_fd other = -1;
  if (fd < 0 || !store->files_writable) return SEQDB_OK;
  int rc = sdb_store_open_file(store, name, true, false, &other, op);
  int os = rc == SEQDB_OK ? sdb_os_info_of(fd, &then) : 0;
  if (!os) os = rc == SEQDB_OK ? sdb_os_info_of(other, &now) : 0;
  if (os) rc = sdb_error_os(op, os, name, 0, "%s/%s: cannot look at it", store->path, name);
  if (rc == SEQDB_OK && now.inode != then.inode)
    rc = sdb_error_set(op, SEQDB_CANTOPEN, name, 0, "%s/%s: another file has taken its place", store->path, name);
  if (rc == SEQDB_OK && shared_with_rawdb) rc = lock_file(store, other, op);
  if (rc != SEQDB_OK || !store->files_writable) {
    sdb_store_close_fd(&other);
  } else if ((os = sdb_os_replace(fd, other)) != 0) {
    rc = sdb_error_os(op, os, name, 0, "%s/%s: cannot open it for writing", store->path, name);
  }
  return rc;
}

int sdb_store_reopen_files(sdb_store *store, const sdb_op *op) {
  if (store->files_writable) return SEQDB_OK;
  store->files_writable = true;
  int rc = reopen_file(store, "data", true, store->data.fd, op);
  if (rc == SEQDB_OK) rc = reopen_file(store, "regions", true, store->regions.fd, op);
  if (rc == SEQDB_OK) rc = reopen_file(store, "journal", false, store->journal.fd, op);
  if (rc != SEQDB_OK) store->files_writable = false;
  return rc;
}
