/* SPDX-License-Identifier: MIT
**
** backup.c: a copy of a database while it is in use: seqdb_backup() and its steps.
**
**     begin   a snapshot, and what the journal's header says at that commit
**     copy    <target>.new-1a2b3c4d: three files, each synced; the directory is synced
**             --> <target>; its folder is synced
**     end     the snapshot is closed
**
** So the copy is whole as soon as it has its name.  A failure removes what it made.  A process that is killed leaves
** the directory with the longer name, which nobody takes for a database that is in use.
** THREADS: any; each point is its user's, one thread at a time.
*/
#include <errno.h>
#include <stdio.h>
#include "os/os.h"
#include "store/backup_files.h"
#include "store/claims.h"
#include "txn/begin.h"

/* ---- the commit */

/* Header and token of the commit that the snapshot shows; false: there is a newer one. */
static bool take_header(seqdb_backup_point *point) {
  sdb_store *store = point->db->store;
  pthread_mutex_lock(&store->files_mutex);
  pthread_mutex_lock(&store->mutex);
  bool same = store->committed == point->snapshot->view.catalog;
  if (same) {
    point->header = store->journal.header;
    point->token = store->tip;
    point->file = store->tip_file;
  }
  pthread_mutex_unlock(&store->mutex);
  pthread_mutex_unlock(&store->files_mutex);
  return same;
}

static int pin(seqdb_backup_point *point, const sdb_op *op) {
  int rc = SEQDB_OK;
  bool done = false;
  while (rc == SEQDB_OK && !done) {
    rc = seqdb_snapshot_open(point->db, &point->snapshot);
    if (rc != SEQDB_OK) return seqdb_get_error(point->db, op->error) == SEQDB_OK ? rc : SEQDB_MISUSE;
    done = take_header(point);
    if (!done) {
      seqdb_snapshot_close(point->snapshot);
      point->snapshot = NULL;
      rc = sdb_interrupted(point->db, op);
    }
  }
  return rc;
}

/* A copy is of a state that is known and whole. */
static int check_source(seqdb *db, const sdb_op *op) {
  const sdb_store *store = db->store;
  if (store->damage.count)
    return sdb_error_set(op, SEQDB_CORRUPT, NULL, 0,
                         "backup: %s is damaged (%s): seqdb_salvage() makes a new database of what can be read",
                         store->path, store->damage.first.message);
  if (sdb_is_poisoned(store))
    return sdb_error_set(op, SEQDB_POISONED, NULL, 0,
                         "backup: an fdatasync failed in %s: close all connections to it and open it anew",
                         store->path);
  if (seqdb_is_undecided(db) > 0)
    return sdb_error_set(op, SEQDB_LOCKED, NULL, 0,
                         "backup: the last commit of %s is undecided: seqdb_resolve(T, 'keep') or 'drop' decides",
                         store->path);
  if (seqdb_has_changes(db) > 0)
    return sdb_error_set(op, SEQDB_LOCKED, NULL, 0, "backup: the transaction has uncommitted changes");
  return SEQDB_OK;
}

int seqdb_backup_begin(seqdb *db, seqdb_backup_point **out) {
  seqdb_error error = SEQDB_ERROR_INIT;
  sdb_op op = {"backup", &error};
  int rc = sdb_usable(db, &op);
  if (rc == SEQDB_OK) rc = check_source(db, &op);
  if (rc != SEQDB_OK) return sdb_fail(db, rc, &op);
  seqdb_backup_point *point = sdb_calloc(1, sizeof *point);
  if (!point) return sdb_fail(db, sdb_error_nomem(&op), &op);
  point->db = db;
  if ((rc = pin(point, &op)) != SEQDB_OK) {
    sdb_free(point);
    return sdb_fail(db, rc, &op);
  }
  *out = point;
  return SEQDB_OK;
}

void seqdb_backup_end(seqdb_backup_point *point) {
  if (!point) return;
  seqdb_snapshot_close(point->snapshot);
  sdb_free(point);
}

uint64_t seqdb_backup_generation(const seqdb_backup_point *point) {
  return point->snapshot->view.generation;
}

int seqdb_backup_claim(const seqdb_backup_point *point, const uint8_t file[SEQDB_FILE_UUID_BYTES], seqdb_claim *claim) {
  sdb_file_uuid wanted;
  memcpy(wanted.bytes, file, sizeof wanted.bytes);
  const sdb_claim *found = sdb_journal_header_claim(&point->header, &wanted);
  if (!found) return SEQDB_NOTFOUND;
  sdb_claim_give(found, claim);
  return SEQDB_OK;
}

/* ---- the target */

/* Where a copy goes: a name in a folder. */
struct target {
  const char *path; /* as it was given */
  char *folder;     /* NUL-terminated; ends in a slash, or is "." */
  char *name;
  char *temporary; /* its name until it is whole ... */
  char *made;      /* ... and its path */
  sdb_fd parent;
};

static void target_close(struct target *t) {
  if (t->parent >= 0) sdb_os_close(t->parent);
  sdb_free(t->folder);
  sdb_free(t->name);
  sdb_free(t->temporary);
  sdb_free(t->made);
}

static char *copy_text(const char *text, size_t bytes, const char *more) {
  size_t more_bytes = strlen(more) + 1;
  char *copy = sdb_malloc(bytes + more_bytes);
  if (!copy) return NULL;
  memcpy(copy, text, bytes);
  memcpy(copy + bytes, more, more_bytes);
  return copy;
}

/* Folder and name of the path, which may end in slashes. */
static int split(struct target *t, const sdb_op *op) {
  size_t end = strlen(t->path);
  while (end > 1 && t->path[end - 1] == '/')
    end--;
  size_t at = end;
  while (at > 0 && t->path[at - 1] != '/')
    at--;
  t->folder = at ? copy_text(t->path, at, "") : copy_text(".", 1, "");
  t->name = copy_text(t->path + at, end - at, "");
  if (!t->folder || !t->name) return sdb_error_nomem(op);
  if (t->name[0] && strcmp(t->name, ".") != 0 && strcmp(t->name, "..") != 0) return SEQDB_OK;
  return sdb_error_set(op, SEQDB_CANTOPEN, NULL, 0, "backup: '%s' names no new directory", t->path);
}

static int name_temporary(struct target *t, const sdb_op *op) {
  char more[32];
  uint32_t number;
  int os = sdb_os_random(&number, sizeof number);
  if (os) return sdb_error_os(op, os, NULL, 0, "backup: no random bytes for a name");
  snprintf(more, sizeof more, ".new-%08x", (unsigned)number);
  t->temporary = copy_text(t->name, strlen(t->name), more);
  const char *folder = strcmp(t->folder, ".") == 0 ? "" : t->folder;
  if (t->temporary) t->made = copy_text(folder, strlen(folder), t->temporary);
  return t->made ? SEQDB_OK : sdb_error_nomem(op);
}

#define PATH_BYTES 4096u

/* Is the database one of the folders that lead there? */
static bool leads_through(const sdb_store *store, const char *folder) {
  char real[PATH_BYTES];
  sdb_os_info info;
  if (sdb_os_real_path(folder, real, sizeof real) != 0) return false;
  for (size_t end = strlen(real); end > 0;) {
    real[end] = '\0';
    if (sdb_os_path_info(real, &info) == 0 && info.device == store->device && info.inode == store->inode) return true;
    while (end > 0 && real[--end] != '/')
      continue;
  }
  return false;
}

static int check_target(const struct target *t, const sdb_store *store, const sdb_op *op) {
  sdb_os_info info;
  int os = sdb_os_path_info(t->path, &info);
  bool itself = !os && info.device == store->device && info.inode == store->inode;
  if (itself)
    return sdb_error_set(op, SEQDB_CANTOPEN, NULL, 0, "backup: %s is the database itself: give it a new directory",
                         t->path);
  if (leads_through(store, t->folder))
    return sdb_error_set(op, SEQDB_CANTOPEN, NULL, 0, "backup: %s lies in the database %s: give it a place outside",
                         t->path, store->path);
  if (!os)
    return sdb_error_set(op, SEQDB_CANTOPEN, NULL, 0, "backup: %s exists: give it the name of a new directory",
                         t->path);
  if (os == ENOENT) return SEQDB_OK;
  return sdb_error_os(op, os, NULL, 0, "backup: cannot look at %s", t->path);
}

static int open_target(struct target *t, const sdb_store *store, const sdb_op *op) {
  int rc = split(t, op);
  if (rc != SEQDB_OK) return rc;
  int os = sdb_os_open_dir(t->folder, &t->parent);
  if (os) t->parent = -1;
  if (os == ENOENT || os == ENOTDIR)
    return sdb_error_set(op, SEQDB_CANTOPEN, NULL, 0, "backup: %s: there is no such folder: %s", t->path, t->folder);
  if (os) return sdb_error_os(op, os, NULL, 0, "backup: %s: cannot open its folder", t->path);
  rc = check_target(t, store, op);
  return rc == SEQDB_OK ? name_temporary(t, op) : rc;
}

/* ---- the copy */

/* As private as the original. */
static sdb_os_access access_of(const sdb_store *store) {
  sdb_os_info info;
  return sdb_os_info_of(store->data.fd, &info) == 0 ? info.access : (sdb_os_access){0, 0, 0};
}

/* Durable, and then under its name.  A copy whose name may be lost is none. */
static int give_name(const struct target *t, sdb_fd dir, const sdb_op *op) {
  int os = sdb_os_sync_dir(dir);
  if (os) return sdb_error_os(op, os, NULL, 0, "backup: %s: cannot sync the directory", t->made);
  os = sdb_os_rename(t->parent, t->temporary, t->name);
  if (os) return sdb_error_os(op, os, NULL, 0, "backup: cannot rename %s to %s", t->made, t->name);
  os = sdb_os_sync_dir(t->parent);
  if (!os) return SEQDB_OK;
  (void)sdb_os_rename(t->parent, t->name, t->temporary);
  return sdb_error_os(op, os, NULL, 0, "backup: %s: cannot sync the folder it lies in", t->path);
}

static int fill_target(const struct target *t, sdb_backup *b) {
  int os = sdb_os_make_dir(t->made, b->access.mode != 0);
  if (os) return sdb_error_os(b->op, os, NULL, 0, "backup: %s: cannot create the directory", t->made);
  os = sdb_os_open_dir(t->made, &b->dir);
  int rc = os ? sdb_error_os(b->op, os, NULL, 0, "backup: %s: cannot open the directory", t->made) : SEQDB_OK;
  if (!os) {
    if (b->access.mode) sdb_os_set_access(b->dir, &b->access);
    b->path = t->made;
    rc = sdb_backup_files(b);
    if (rc == SEQDB_OK) rc = give_name(t, b->dir, b->op);
    if (rc != SEQDB_OK) sdb_backup_remove_files(b->dir);
    sdb_os_close(b->dir);
  }
  if (rc != SEQDB_OK) (void)sdb_os_remove_dir(t->parent, t->temporary);
  return rc;
}

int seqdb_backup_copy(seqdb_backup_point *point, const char *directory, const seqdb_claim *owner, uint64_t *bytes) {
  seqdb_error error = SEQDB_ERROR_INIT;
  sdb_op op = {"backup", &error};
  seqdb *db = point->db;
  sdb_claim claim;
  struct target target = {.path = directory, .parent = -1};
  sdb_backup backup = {.point = point, .owner = owner ? &claim : NULL, .op = &op};
  int rc = sdb_usable(db, &op);
  if (rc == SEQDB_OK && owner && !sdb_claim_take(owner, &claim))
    rc = sdb_error_set(&op, SEQDB_INVALID, NULL, 0, "backup: a claim of zeros, or with a path that cannot be one");
  if (rc == SEQDB_OK) rc = open_target(&target, db->store, &op);
  if (rc == SEQDB_OK) {
    backup.access = access_of(db->store);
    rc = fill_target(&target, &backup);
  }
  target_close(&target);
  if (rc == SEQDB_OK && bytes) *bytes = backup.bytes;
  return sdb_fail(db, rc, &op);
}

int seqdb_backup(seqdb *db, const char *directory, uint64_t *bytes) {
  seqdb_backup_point *point = NULL;
  int rc = seqdb_backup_begin(db, &point);
  if (rc == SEQDB_OK) rc = seqdb_backup_copy(point, directory, NULL, bytes);
  seqdb_backup_end(point);
  return rc;
}
