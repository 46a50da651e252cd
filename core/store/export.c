/* SPDX-License-Identifier: MIT
**
** export.c: a region as a file of its own: seqdb_export().
**
**     view --> seqdb_read_copy(), 1 MiB at a time --> folder/.seqdb-export-<number> --> sync --> folder/<name>
**
** Zeros are not written, so that the file is as sparse as it can be.  The last step never replaces anything.  A crash
** before it leaves the file under its temporary name, and one after it the whole file under its own.
** THREADS: any; the work is one thread's.
*/
#include <errno.h>
#include <stdio.h>
#include "os/os.h"
#include "store/store_files.h"
#include "txn/handle.h"

#define PIECE_BYTES ((size_t)1 << 20)
#define BLOCK_BYTES ((size_t)SDB_PAGE)

struct export {
  seqdb_view *view;
  seqdb_region region;
  const char *path;
  char *folder;     /* of the path */
  const char *name; /* in it */
  char temporary[48];
  sdb_os_access access;
  sdb_fd dir, file;
  uint8_t *piece;
  uint64_t bytes; /* copied so far */
  const sdb_op *op;
};

static int failed(const struct export *e, int os, const char *what) {
  return sdb_error_os(e->op, os, NULL, e->bytes, "export: %s: cannot %s", e->path, what);
}

static int refuse(const struct export *e, int code, const char *why) {
  return sdb_error_set(e->op, code, NULL, 0, "export: %s %s", e->path, why);
}

/* ---- the target */

/* Folder and name; "a/b" is "b" in "a/.", "b" alone is in ".". */
static int split_path(struct export *e) {
  size_t bytes = strlen(e->path), folder = bytes;
  while (folder > 0 && e->path[folder - 1] != '/')
    folder--;
  e->name = e->path + folder;
  if (!e->name[0] || strcmp(e->name, ".") == 0 || strcmp(e->name, "..") == 0)
    return refuse(e, SEQDB_CANTOPEN, "is not the name of a file");
  e->folder = sdb_malloc(folder + 2);
  if (!e->folder) return sdb_error_nomem(e->op);
  memcpy(e->folder, e->path, folder);
  memcpy(e->folder + folder, ".", 2);
  return SEQDB_OK;
}

static int check_target(const struct export *e) {
  const sdb_store *store = e->view->db->store;
  sdb_os_info info;
  int os = sdb_os_dir_info(e->dir, &info);
  if (os) return failed(e, os, "look at its folder");
  if (info.device == store->device && info.inode == store->inode)
    return refuse(e, SEQDB_INVALID, "is in the database's own directory: nothing else may be there");
  os = sdb_os_path_info(e->path, &info);
  if (!os) return refuse(e, SEQDB_EXISTS, "exists: give a new name, or remove it first");
  if (os == ENAMETOOLONG) return refuse(e, SEQDB_CANTOPEN, "is too long a name");
  return os == ENOENT ? SEQDB_OK : failed(e, os, "look at it");
}

static int open_target(struct export *e) {
  uint64_t number = 0;
  int os = sdb_os_open_dir(e->folder, &e->dir);
  if (os == ENOENT || os == ENOTDIR) return refuse(e, SEQDB_CANTOPEN, "is in a folder that does not exist");
  if (os) return failed(e, os, "open its folder");
  int rc = check_target(e);
  if (rc != SEQDB_OK) return rc;
  if ((os = sdb_os_random(&number, sizeof number)) != 0) return failed(e, os, "choose a temporary name");
  snprintf(e->temporary, sizeof e->temporary, ".seqdb-export-%016llx", (unsigned long long)number);
  const unsigned flags = SDB_OPEN_WRITE | SDB_OPEN_CREATE | SDB_OPEN_EXCL | (e->access.mode ? SDB_OPEN_OWN : 0);
  os = sdb_os_open(e->dir, e->temporary, flags, &e->file);
  return os ? failed(e, os, "create it") : SEQDB_OK;
}

/* ---- the content */

/* The first run of `piece` from `at` on that is not zeros: [*run, return value). */
static size_t find_run(const uint8_t *piece, size_t at, size_t bytes, size_t *run) {
  size_t end = at, part;
  bool found = false;
  for (; end < bytes; end += part) {
    part = SDB_MIN(BLOCK_BYTES, bytes - end);
    bool zero = sdb_is_zero(piece + end, part);
    if (zero && found) break;
    if (!zero && !found) *run = end;
    found = found || !zero;
  }
  if (!found) *run = end;
  return end;
}

static int write_piece(struct export *e, size_t bytes) {
  size_t run = 0, end;
  for (size_t at = 0; at < bytes; at = end) {
    end = find_run(e->piece, at, bytes, &run);
    int os = run < end ? sdb_os_pwrite(e->file, e->piece + run, end - run, e->bytes + run) : 0;
    if (os) return failed(e, os, "write");
  }
  e->bytes += bytes;
  return SEQDB_OK;
}

/* The record of reading is the handle's: sdb_fail() of the caller keeps it. */
static int from_reading(const struct export *e, int rc) {
  if (rc == SEQDB_OK) return rc;
  e->op->error->size_bytes = sizeof *e->op->error;
  (void)seqdb_get_error(e->view->db, e->op->error);
  return rc;
}

static int copy_content(struct export *e) {
  size_t got = PIECE_BYTES;
  while (got == PIECE_BYTES) {
    int rc = sdb_interrupted(e->view->db, e->op);
    if (rc != SEQDB_OK) return rc;
    rc = seqdb_read_copy(e->view, e->region, e->bytes, e->piece, PIECE_BYTES, &got);
    if (rc != SEQDB_OK) return from_reading(e, rc);
    if ((rc = write_piece(e, got)) != SEQDB_OK) return rc;
  }
  int os = sdb_os_truncate(e->file, e->bytes);
  return os ? failed(e, os, "give it its length") : SEQDB_OK;
}

/* Give it its access, sync it, and then its name.  A file whose name may be lost is none. */
static int finish(const struct export *e) {
  if (e->access.mode) sdb_os_set_access(e->file, &e->access);
  int os = sdb_os_fsync(e->file);
  if (os) return failed(e, os, "sync it");
  os = sdb_os_rename_new(e->dir, e->temporary, e->name);
  if (os == EEXIST) return refuse(e, SEQDB_EXISTS, "exists: it was made while this was being copied");
  if (os) return failed(e, os, "give it its name");
  if ((os = sdb_os_sync_dir(e->dir)) == 0) return SEQDB_OK;
  (void)sdb_os_unlink(e->dir, e->name);
  return failed(e, os, "sync its folder");
}

static int run(struct export *e) {
  int rc = split_path(e);
  if (rc == SEQDB_OK) rc = open_target(e);
  if (rc != SEQDB_OK) return rc;
  e->piece = sdb_malloc(PIECE_BYTES);
  rc = e->piece ? copy_content(e) : sdb_error_nomem(e->op);
  if (rc == SEQDB_OK) rc = finish(e);
  if (rc != SEQDB_OK) (void)sdb_os_unlink(e->dir, e->temporary);
  return rc;
}

int seqdb_export(seqdb_view *view, seqdb_region region, const char *path, const seqdb_options *options,
                 uint64_t *bytes) {
  seqdb_error error;
  seqdb_region_info info;
  sdb_op op = {"export", &error};
  struct export e = {.view = view, .region = region, .path = path, .dir = -1, .file = -1, .op = &op};
  int rc = seqdb_get_info(view, region, &info);
  if (rc != SEQDB_OK) return rc;
  if (options) e.access = sdb_store_access(options);
  rc = run(&e);
  if (rc == SEQDB_OK && bytes) *bytes = e.bytes;
  sdb_os_close(e.file);
  sdb_os_close(e.dir);
  sdb_free(e.piece);
  sdb_free(e.folder);
  return sdb_fail(view->db, rc, &op);
}
