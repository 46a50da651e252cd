/* SPDX-License-Identifier: MIT
**
** create.c: making the three files of a database.
**
** Each file is written under a temporary name, synced and renamed; then the directory and its parent are synced.  After a crash any
** subset of the three may exist, each in its pristine state; such a directory is half-made, and creating again
** finishes it.  Nothing that is not pristine is ever touched here.
*/
#include <errno.h>
#include <stdio.h>
#include "txn/db.h"
#include "base/error.h"

#define DATA_BYTES ((uint64_t)1 << 20) /* rawdb's smallest `data` */

static int made(int os, const char *path, const char *name, const char *what, const sdb_op *op) {
  if (!os) return SEQDB_OK;
  return sdb_error_os(op, os, name, 0, "%s/%s: cannot %s", path, name, what);
}

/* `content` of `bytes` bytes, then the file extended to `size`. */
static int make_file(sdb_fd dir, const char *path, const char *name, const void *content, size_t bytes, uint64_t size,
                     const sdb_op *op) {
  char temporary[32];
  sdb_fd fd = -1;
  snprintf(temporary, sizeof temporary, "%s.new", name);
  int os = sdb_os_unlink(dir, temporary);
  if (os && os != ENOENT) return made(os, path, temporary, "remove what a crash left", op);
  int rc = made(sdb_os_open(dir, temporary, SDB_OPEN_WRITE | SDB_OPEN_CREATE | SDB_OPEN_EXCL, &fd), path, temporary,
                "create", op);
  if (rc != SEQDB_OK) return rc;
  if (bytes) rc = made(sdb_os_pwrite(fd, content, bytes, 0), path, temporary, "write", op);
  if (rc == SEQDB_OK && size > bytes) rc = made(sdb_os_truncate(fd, size), path, temporary, "extend", op);
  if (rc == SEQDB_OK) rc = made(sdb_os_fsync(fd), path, temporary, "sync", op);
  sdb_os_close(fd);
  if (rc == SEQDB_OK)
    rc = made(sdb_os_rename(dir, temporary, name), path, name, "rename it into place", op);
  else
    (void)sdb_os_unlink(dir, temporary);
  return rc;
}

static int exists(sdb_fd dir, const char *path, const char *name, bool *is, sdb_fd *fd, const sdb_op *op) {
  int os = sdb_os_open(dir, name, 0, fd);
  *is = os == 0;
  if (os == ENOENT) return SEQDB_OK;
  if (os == ELOOP || os == EINVAL)
    return sdb_error_set(op, SEQDB_CANTOPEN, name, 0, "%s/%s is a symbolic link or no regular file", path, name);
  return made(os, path, name, "open", op);
}

int sdb_sync_names(sdb_fd dir, const char *path, const sdb_op *op) {
  int os = sdb_os_sync_dir(dir);
  if (os) return sdb_error_os(op, os, NULL, 0, "%s: cannot sync the directory", path);
  os = sdb_os_sync_parent(path);
  if (os) return sdb_error_os(op, os, NULL, 0, "%s: cannot sync the directory it lies in", path);
  return SEQDB_OK;
}

int sdb_create_files(sdb_fd dir, const char *path, bool journal_only, const sdb_journal_header *header,
                     const sdb_op *op) {
  static const char *const names[] = {"data", "regions", "journal"};
  uint8_t page[SDB_JOURNAL_HEADER_BYTES];
  sdb_journal_header first = *header;
  int rc = SEQDB_OK, os;
  first.version = SDB_FORMAT_VERSION;
  first.sequence = SDB_JOURNAL_FIRST_SEQUENCE;
  os = sdb_os_random(first.uuid, sizeof first.uuid);
  while (!os && first.salt == 0)
    os = sdb_os_random(&first.salt, sizeof first.salt);
  if (os) return sdb_error_os(op, os, "journal", 0, "%s: no random bytes for a uuid", path);
  sdb_journal_header_encode(page, &first);
  for (unsigned i = journal_only ? 2 : 0; i < 3 && rc == SEQDB_OK; i++) {
    sdb_fd fd;
    bool is;
    if ((rc = exists(dir, path, names[i], &is, &fd, op)) != SEQDB_OK) break;
    if (is) {
      sdb_os_close(fd);
      continue;
    }
    if (i == 0)
      rc = make_file(dir, path, names[i], NULL, 0, DATA_BYTES, op);
    else if (i == 1)
      rc = make_file(dir, path, names[i], NULL, 0, 0, op);
    else
      rc = make_file(dir, path, names[i], page, sizeof page, SDB_JOURNAL_START, op);
  }
  return rc == SEQDB_OK ? sdb_sync_names(dir, path, op) : rc;
}

static int pristine_file(sdb_fd fd, unsigned which, bool *pristine, const char *path, const sdb_op *op) {
  static const char *const names[] = {"data", "regions", "journal"};
  sdb_os_info info;
  int rc = made(sdb_os_info_of(fd, &info), path, names[which], "read its size", op);
  if (rc != SEQDB_OK) return rc;
  if (which == 0) {
    uint8_t block[4096];
    size_t got = 0;
    *pristine = info.size_bytes <= DATA_BYTES;
    for (uint64_t at = 0; *pristine && at < info.size_bytes; at += sizeof block) {
      if ((rc = made(sdb_os_pread(fd, block, sizeof block, at, &got), path, names[which], "read", op)) != SEQDB_OK)
        return rc;
      for (size_t i = 0; i < got; i++)
        if (block[i]) *pristine = false;
    }
  } else if (which == 1) {
    *pristine = info.size_bytes == 0;
  } else {
    sdb_journal journal = {.fd = fd};
    sdb_journal_scan scan;
    enum sdb_journal_state state;
    *pristine = false;
    if ((rc = sdb_journal_read(&journal, &state, op)) != SEQDB_OK || state != SDB_JOURNAL_GOOD) return rc;
    if ((rc = sdb_journal_scan_records(&journal, &scan, op)) != SEQDB_OK) return rc;
    *pristine = scan.count == 0 && !scan.damaged_at && !scan.orphaned && journal.header.base_generation == 0 &&
                journal.header.entries == 0;
    sdb_journal_scan_free(&scan);
  }
  return SEQDB_OK;
}

int sdb_is_pristine(sdb_fd dir, const char *path, bool *pristine, const sdb_op *op) {
  static const char *const names[] = {"data", "regions", "journal"};
  int rc = SEQDB_OK;
  *pristine = true;
  for (unsigned i = 0; i < 3 && rc == SEQDB_OK && *pristine; i++) {
    sdb_fd fd;
    bool is;
    if ((rc = exists(dir, path, names[i], &is, &fd, op)) != SEQDB_OK || !is) continue;
    rc = pristine_file(fd, i, pristine, path, op);
    sdb_os_close(fd);
  }
  return rc;
}
