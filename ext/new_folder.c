/* SPDX-License-Identifier: MIT
**
** new_folder.c: see new_folder.h.
**
** Only what is listed is removed, by name: whatever else may lie in the folder stays, and then so does the folder.
*/
#include "new_folder.h"
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int failed(sdb_failure *f, int os, const char *path, const char *what) {
  int code = os == ENOSPC || os == EDQUOT ? SQLITE_FULL : SQLITE_CANTOPEN;
  return sdb_failure_set(f, code, "seqdb_backup_all: %s: cannot %s: %s", path, what, strerror(os));
}

static int note(sdb_new_folder *folder, char *path, enum sdb_made_kind kind, sdb_failure *f) {
  sdb_made *made = path ? sqlite3_malloc64(sizeof *made) : NULL;
  if (!made) {
    sqlite3_free(path);
    return sdb_failure_nomem(f);
  }
  *made = (sdb_made){folder->last, kind, path};
  folder->last = made;
  return SQLITE_OK;
}

/* Takes over `path`. */
static int make(sdb_new_folder *folder, char *path, sdb_failure *f) {
  if (note(folder, path, SDB_MADE_FOLDER, f) != SQLITE_OK) return f->code;
  if (mkdir(path, 0700) == 0 && chmod(path, (mode_t)folder->mode) == 0) return SQLITE_OK;
  return errno == EEXIST ? SQLITE_OK : failed(f, errno, path, "create the folder");
}

/* Whoever may read the file may enter. */
static unsigned mode_like(const char *file) {
  struct stat status;
  unsigned mode = stat(file, &status) == 0 ? (unsigned)status.st_mode & 0777 : 0600;
  return mode | (mode & 0444) >> 2 | 0700;
}

/* The folder's absolute path without links, from sqlite3_malloc. */
static char *real_parent(const char *path, sdb_failure *f) {
  char *parent = sqlite3_mprintf("%s", path), *real = NULL;
  char *slash = parent ? strrchr(parent, '/') : NULL;
  if (slash) {
    slash[slash == parent] = '\0';
    char *found = realpath(parent, NULL);
    if (!found) failed(f, errno, parent, "find the folder");
    real = found ? sqlite3_mprintf("%s", strcmp(found, "/") == 0 ? "" : found) : NULL;
    free(found);
  }
  sqlite3_free(parent);
  if (!real && f->code == SQLITE_OK) sdb_failure_nomem(f);
  return real;
}

int sdb_new_folder_make(sdb_new_folder *folder, const char *path, const char *like, sdb_failure *f) {
  struct stat status;
  unsigned number;
  size_t bytes = strlen(path);
  while (bytes > 1 && path[bytes - 1] == '/')
    bytes--;
  folder->mode = mode_like(like);
  folder->path = sqlite3_mprintf("%.*s", (int)bytes, path);
  if (!folder->path) return sdb_failure_nomem(f);
  const char *name = strrchr(folder->path, '/') + 1;
  if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
    return sdb_failure_set(f, SQLITE_CANTOPEN, "seqdb_backup_all: '%s' names no new folder", path);
  if (lstat(folder->path, &status) == 0)
    return sdb_failure_set(f, SQLITE_CANTOPEN, "seqdb_backup_all: %s exists: give it the name of a new folder",
                           folder->path);
  char *parent = real_parent(folder->path, f);
  if (!parent) return f->code;
  sqlite3_randomness((int)sizeof number, &number);
  folder->made_as = sqlite3_mprintf("%s/%s.new-%08x", parent, name, number);
  sqlite3_free(parent);
  if (!folder->made_as) return sdb_failure_nomem(f);
  return make(folder, sqlite3_mprintf("%s", folder->made_as), f);
}

const char *sdb_new_folder_add(sdb_new_folder *folder, const char *place, enum sdb_made_kind kind, sdb_failure *f) {
  for (const char *slash = strchr(place, '/'); slash && f->code == SQLITE_OK; slash = strchr(slash + 1, '/'))
    if (slash > place && slash[1])
      make(folder, sqlite3_mprintf("%s/%.*s", folder->made_as, (int)(slash - place), place), f);
  if (f->code == SQLITE_OK) note(folder, sqlite3_mprintf("%s/%s", folder->made_as, place), kind, f);
  return f->code == SQLITE_OK ? folder->last->path : NULL;
}

/* ---- the end ----------------------------------------------------------------------------------------------- */

static int sync_path(const char *path, sdb_failure *f) {
  if (seqdb_sync_path(path) == SEQDB_OK) return SQLITE_OK;
  return sdb_failure_set(f, SQLITE_IOERR_FSYNC, "seqdb_backup_all: cannot sync %s", path);
}

int sdb_new_folder_finish(sdb_new_folder *folder, sdb_failure *f) {
  for (const sdb_made *made = folder->last; made && f->code == SQLITE_OK; made = made->before)
    if (made->kind == SDB_MADE_FOLDER) sync_path(made->path, f);
  if (f->code != SQLITE_OK) return f->code;
  if (rename(folder->made_as, folder->path) != 0) return failed(f, errno, folder->path, "take this name");
  char *parent = real_parent(folder->path, f);
  if (!parent || sync_path(parent[0] ? parent : "/", f) != SQLITE_OK)
    (void)rename(folder->path, folder->made_as); /* its name may be lost: it is none */
  sqlite3_free(parent);
  return f->code;
}

static void remove_files(const char *path, const char *const *ends, size_t count) {
  char name[PATH_MAX];
  for (size_t i = 0; i < count; i++) {
    sqlite3_snprintf((int)sizeof name, name, "%s%s", path, ends[i]);
    (void)unlink(name);
  }
}

static void remove_made(const sdb_made *made) {
  static const char *const sqlite[] = {"", "-wal", "-shm", "-journal"};
  static const char *const engine[] = {"/data", "/regions", "/journal"};
  if (made->kind == SDB_MADE_SQLITE) remove_files(made->path, sqlite, sizeof sqlite / sizeof *sqlite);
  if (made->kind == SDB_MADE_DATABASE) remove_files(made->path, engine, sizeof engine / sizeof *engine);
  if (made->kind != SDB_MADE_SQLITE) (void)rmdir(made->path);
}

void sdb_new_folder_close(sdb_new_folder *folder) {
  bool named = folder->made_as && access(folder->made_as, F_OK) != 0;
  for (sdb_made *made = folder->last, *before; made; made = before) {
    before = made->before;
    if (!named) remove_made(made);
    sqlite3_free(made->path);
    sqlite3_free(made);
  }
  sqlite3_free(folder->path);
  sqlite3_free(folder->made_as);
  *folder = (sdb_new_folder){0};
}
