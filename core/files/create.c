/* SPDX-License-Identifier: MIT
**
** create.c: see create.h.
*/
#include "files/create.h"

#include <errno.h>
#include <stdio.h>
#include "files/catalog_file.h"
#include "files/changes_file.h"
#include "files/journal_scan.h"

#define DATA_BYTES ((uint64_t)1 << 20) /* rawdb's smallest `data` */

static int failed(int os, const char *path, const char *name, const char *what, const sdb_op *op) {
  if (!os) return SEQDB_OK;
  return sdb_error_os(op, os, name, 0, "%s/%s: cannot %s", path, name, what);
}

/* ---- what a file looks like that was just made */

static int data_is_pristine(sdb_fd fd, const char *path, bool *pristine, const sdb_op *op) {
  uint8_t block[4096];
  sdb_os_info info;
  int rc = failed(sdb_os_info_of(fd, &info), path, "data", "read its size", op);
  *pristine = rc == SEQDB_OK && info.size_bytes <= DATA_BYTES;
  for (uint64_t at = 0; *pristine && at < info.size_bytes; at += sizeof block) {
    size_t got = 0;
    rc = failed(sdb_os_pread(fd, block, sizeof block, at, &got), path, "data", "read", op);
    if (rc != SEQDB_OK || !sdb_is_zero(block, got)) *pristine = false;
  }
  return rc;
}

static int regions_is_pristine(sdb_fd fd, const char *path, bool *pristine, const sdb_op *op) {
  sdb_os_info info;
  int rc = failed(sdb_os_info_of(fd, &info), path, "regions", "read its size", op);
  *pristine = rc == SEQDB_OK && info.size_bytes == 0;
  return rc;
}

static int journal_is_pristine(sdb_fd fd, const char *path, bool *pristine, const sdb_op *op) {
  sdb_journal journal = {.fd = fd};
  sdb_journal_scan scan;
  enum sdb_journal_state state;
  (void)path;
  *pristine = false;
  int rc = sdb_journal_read(&journal, &state, op);
  if (rc != SEQDB_OK || state != SDB_JOURNAL_GOOD) return rc;
  if ((rc = sdb_journal_scan_records(&journal, &scan, NULL, NULL, op)) != SEQDB_OK) return rc;
  *pristine = scan.count == 0 && !scan.damaged_at && !scan.orphaned && journal.header.base_generation == 0 &&
              journal.header.entries == 0;
  return SEQDB_OK;
}

/* In the order in which they are made. */
static const struct kind {
  const char *name;
  uint64_t size_bytes;
  size_t header_bytes; /* of them, at the start, are written; the rest is sparse */
  int (*is_pristine)(sdb_fd fd, const char *path, bool *pristine, const sdb_op *op);
} kinds[] = {
    {"data", DATA_BYTES, 0, data_is_pristine},
    {"regions", 0, 0, regions_is_pristine},
    {"journal", SDB_JOURNAL_START, SDB_JOURNAL_START, journal_is_pristine}, /* the second header needs no block then */
};
enum { KINDS = sizeof kinds / sizeof *kinds, JOURNAL = KINDS - 1 };

/* ---- making them */

static int make_file(sdb_fd dir, const char *path, const sdb_os_access *access, const struct kind *kind,
                     const uint8_t *header, const sdb_op *op) {
  char temporary[32];
  sdb_fd fd = -1;
  snprintf(temporary, sizeof temporary, "%s.new", kind->name);
  int os = sdb_os_unlink(dir, temporary);
  if (os && os != ENOENT) return failed(os, path, temporary, "remove what a crash left", op);
  os = sdb_os_open(dir, temporary, SDB_OPEN_WRITE | SDB_OPEN_CREATE | SDB_OPEN_EXCL | (access->mode ? SDB_OPEN_OWN : 0),
                   &fd);
  if (os) return failed(os, path, temporary, "create", op);
  if (access->mode) sdb_os_set_access(fd, access);
  int rc = SEQDB_OK;
  if (kind->header_bytes) rc = failed(sdb_os_pwrite(fd, header, kind->header_bytes, 0), path, temporary, "write", op);
  if (rc == SEQDB_OK && kind->size_bytes > kind->header_bytes)
    rc = failed(sdb_os_truncate(fd, kind->size_bytes), path, temporary, "extend", op);
  if (rc == SEQDB_OK) rc = failed(sdb_os_fsync(fd), path, temporary, "sync", op);
  sdb_os_close(fd);
  if (rc == SEQDB_OK)
    rc = failed(sdb_os_rename(dir, temporary, kind->name), path, kind->name, "rename it into place", op);
  else
    (void)sdb_os_unlink(dir, temporary);
  return rc;
}

/* *fd is -1 if there is no such file. */
static int open_existing(sdb_fd dir, const char *path, const char *name, sdb_fd *fd, const sdb_op *op) {
  int os = sdb_os_open(dir, name, 0, fd);
  if (!os) return SEQDB_OK;
  *fd = -1;
  if (os == ENOENT) return SEQDB_OK;
  if (os == ELOOP || os == EINVAL)
    return sdb_error_set(op, SEQDB_CANTOPEN, name, 0, "%s/%s is a symbolic link or no regular file", path, name);
  return failed(os, path, name, "open", op);
}

int sdb_sync_names(sdb_fd dir, const char *path, const sdb_op *op) {
  int os = sdb_os_sync_dir(dir);
  if (os) return sdb_error_os(op, os, NULL, 0, "%s: cannot sync the directory", path);
  os = sdb_os_sync_parent(path);
  if (os) return sdb_error_os(op, os, NULL, 0, "%s: cannot sync the directory it lies in", path);
  return SEQDB_OK;
}

int sdb_create_files(sdb_fd dir, const char *path, bool journal_only, const sdb_os_access *access,
                     const sdb_journal_header *header, const sdb_op *op) {
  uint8_t pages[SDB_JOURNAL_START] = {0};
  sdb_journal_header first = *header;
  int rc = SEQDB_OK;
  first.version = SDB_FORMAT_VERSION;
  first.sequence = SDB_JOURNAL_FIRST_SEQUENCE;
  first.start = SDB_JOURNAL_START;
  int os = sdb_os_random(first.uuid, sizeof first.uuid);
  while (!os && first.salt == 0)
    os = sdb_os_random(&first.salt, sizeof first.salt);
  if (os) return sdb_error_os(op, os, "journal", 0, "%s: no random bytes for a uuid", path);
  sdb_journal_header_encode(pages, &first);
  for (unsigned i = journal_only ? JOURNAL : 0; i < KINDS && rc == SEQDB_OK; i++) {
    sdb_fd fd;
    rc = open_existing(dir, path, kinds[i].name, &fd, op);
    if (rc == SEQDB_OK && fd < 0)
      rc = make_file(dir, path, access, &kinds[i], pages, op);
    else if (rc == SEQDB_OK)
      sdb_os_close(fd);
  }
  return rc == SEQDB_OK ? sdb_sync_names(dir, path, op) : rc;
}

/* ---- what lies in the directory */

/* Copies of what is gone, if they are alone: nobody believes them. */
static const struct copy {
  const char *name;
  bool (*is_ours)(sdb_fd dir, const char *name);
} copies[] = {{SDB_CATALOG_NAME, sdb_catalog_file_is_ours},
              {SDB_CATALOG_NEW_NAME, sdb_catalog_file_is_ours},
              {SDB_CHANGES_NAME, sdb_changes_file_is_ours},
              {SDB_CHANGES_NEW_NAME, sdb_changes_file_is_ours}};
enum { COPIES = sizeof copies / sizeof *copies };

struct finding {
  bool foreign_only;
  bool copy[COPIES]; /* that name is there */
  char *name;        /* the first one, in the order of bytes: the same whatever order the system lists them in */
};

/* Made by creation, whole or not. */
static bool is_ours(const char *name) {
  char temporary[32];
  for (unsigned i = 0; i < KINDS; i++) {
    snprintf(temporary, sizeof temporary, "%s.new", kinds[i].name);
    if (strcmp(name, kinds[i].name) == 0 || strcmp(name, temporary) == 0) return true;
  }
  return strcmp(name, "lock") == 0;
}

static void note_name(struct finding *finding, const char *name) {
  if (!finding->name[0] || strcmp(name, finding->name) < 0) snprintf(finding->name, SDB_FILE_NAME_MAX, "%s", name);
}

static bool look_at_name(void *context, const char *name) {
  struct finding *finding = context;
  bool copy = false;
  for (unsigned i = 0; i < COPIES; i++)
    if (strcmp(name, copies[i].name) == 0) finding->copy[i] = copy = true;
  if (!copy && !(finding->foreign_only && is_ours(name))) note_name(finding, name);
  return false;
}

int sdb_find_file(sdb_fd dir, const char *path, bool foreign_only, char name[SDB_FILE_NAME_MAX], const sdb_op *op) {
  struct finding finding = {.foreign_only = foreign_only, .name = name};
  name[0] = 0;
  int os = sdb_os_list_dir(dir, look_at_name, &finding);
  if (os) return sdb_error_os(op, os, NULL, 0, "%s: cannot list the directory", path);
  for (unsigned i = 0; i < COPIES; i++)
    if (finding.copy[i] && !copies[i].is_ours(dir, copies[i].name)) note_name(&finding, copies[i].name);
  return SEQDB_OK;
}

static int refuse_foreign(sdb_fd dir, const char *path, const sdb_op *op) {
  char name[SDB_FILE_NAME_MAX], quoted[SDB_QUOTED_MAX];
  int rc = sdb_find_file(dir, path, true, name, op);
  if (rc != SEQDB_OK || !name[0]) return rc;
  return sdb_error_set(op, SEQDB_CANTOPEN, NULL, 0, "%s is neither empty nor a database: it holds %s", path,
                       sdb_quote_name(name, strlen(name), quoted));
}

int sdb_is_pristine(sdb_fd dir, const char *path, bool *pristine, bool *missing, const sdb_op *op) {
  int rc = SEQDB_OK;
  *pristine = true;
  *missing = false;
  for (unsigned i = 0; i < KINDS && rc == SEQDB_OK && *pristine; i++) {
    sdb_fd fd;
    rc = open_existing(dir, path, kinds[i].name, &fd, op);
    if (rc == SEQDB_OK && fd < 0) *missing = true;
    if (rc != SEQDB_OK || fd < 0) continue;
    rc = kinds[i].is_pristine(fd, path, pristine, op);
    sdb_os_close(fd);
  }
  return rc == SEQDB_OK && *pristine && *missing ? refuse_foreign(dir, path, op) : rc;
}
