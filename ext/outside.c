/* SPDX-License-Identifier: MIT
**
** outside.c: files that are not the database's own: those that regions are imported from and exported to.
**
** A file is read by SQLite's "unix" VFS, as if it were a database, and not by open() and read(): closing any descriptor
** of a file drops all POSIX locks that the process has on it.  If it is one that another connection of the program has
** open, two writers would get into it.  That VFS knows which files are open and closes later.
**
** What is read is one state of the file or an error: size, inode and time of change are compared before and after.
*/
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "directory.h"
#include "interrupt.h"
#include "outside.h"
#include "path.h"

/* POSIX's name of that member; the build knows where it has another one. */
#if !defined(SDB_MODIFIED)
#define SDB_MODIFIED st_mtim
#endif

/* ---- paths -------------------------------------------------------------------------------------------------- */

/* Is it that file of SQLite's, or the file that stands beside it? */
static bool is_of_sqlite(const char *path, const char *file) {
  static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
  size_t bytes = strlen(file);
  struct stat ours, given;
  if (strncmp(path, file, bytes) == 0) {
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
      if (strcmp(path + bytes, ends[i]) == 0) return true;
    }
  }
  return stat(file, &ours) == 0 && stat(path, &given) == 0 && ours.st_dev == given.st_dev &&
         ours.st_ino == given.st_ino;
}

static int refuse_sqlite(sqlite3 *db, const char *function, const char *path, sdb_failure *f) {
  sqlite3_stmt *list = NULL;
  int rc = sqlite3_prepare_v2(db, "SELECT name FROM pragma_database_list", -1, &list, NULL);
  while (rc == SQLITE_OK && sqlite3_step(list) == SQLITE_ROW) {
    const char *schema = (const char *)sqlite3_column_text(list, 0);
    const char *file = schema ? sdb_path_file(db, schema) : NULL;
    if (!file || !is_of_sqlite(path, file)) continue;
    sdb_failure_set(f, SQLITE_ERROR, "%s: %s is a file of the SQLite database %s", function, path, schema);
    break;
  }
  if (rc == SQLITE_OK && f->code == SQLITE_OK) rc = sqlite3_reset(list);
  if (rc != SQLITE_OK) sdb_failure_nested(f, db);
  sqlite3_finalize(list);
  return f->code;
}

/* In a directory that the connection has open. */
static int refuse_ours(sdb_connection *connection, const char *function, const char *path, sdb_failure *f) {
  const char *slash = strrchr(path, '/');
  char *folder = sqlite3_mprintf("%.*s/.", (int)(slash - path), path);
  sdb_directory *directory = NULL;
  if (!folder) return sdb_failure_nomem(f);
  if (sdb_directory_by_path(connection, folder, &directory, f) == SQLITE_OK && directory) {
    sdb_failure_set(f, SQLITE_ERROR, "%s: %s is in %s, which is for regions alone", function, path, directory->path);
  }
  sqlite3_free(folder);
  return f->code;
}

int sdb_outside_path(sdb_connection *connection, const char *function, sqlite3_value *value, char **path,
                     sdb_failure *f) {
  const char *given = sqlite3_value_type(value) == SQLITE_TEXT ? (const char *)sqlite3_value_text(value) : NULL;
  if (!given || strlen(given) == 0 || strlen(given) != (size_t)sqlite3_value_bytes(value))
    return sdb_failure_set(f, SQLITE_ERROR, "%s: path must be TEXT, the path of a file", function);
  if (sdb_path_absolute(connection->db, "main", function, given, path, f) != SQLITE_OK) return f->code;
  if (refuse_sqlite(connection->db, function, *path, f) == SQLITE_OK) refuse_ours(connection, function, *path, f);
  if (f->code != SQLITE_OK) {
    sqlite3_free(*path);
    *path = NULL;
  }
  return f->code;
}

/* ---- a file to read ------------------------------------------------------------------------------------------ */

static const char *kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a FIFO";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

/* Opening a FIFO would wait for somebody who writes: what it is is asked first. */
static int look(sdb_source *source, sdb_failure *f) {
  struct stat st;
  if (stat(source->path, &st) != 0) {
    return sdb_failure_set(f, SQLITE_CANTOPEN, "seqdb_import: cannot open %s: %s", source->path, strerror(errno));
  }
  if (!S_ISREG(st.st_mode)) {
    return sdb_failure_set(f, SQLITE_CANTOPEN, "seqdb_import: %s is %s, and not a regular file", source->path,
                           kind_of(st.st_mode));
  }
  source->size = (uint64_t)st.st_size;
  source->inode[0] = (uint64_t)st.st_dev;
  source->inode[1] = (uint64_t)st.st_ino;
  source->modified[0] = (int64_t)st.SDB_MODIFIED.tv_sec;
  source->modified[1] = (int64_t)st.SDB_MODIFIED.tv_nsec;
  return SQLITE_OK;
}

/* From sqlite3_malloc, with a 0 byte more at the end. */
static char *copy_path(const char *path) {
  size_t bytes = strlen(path);
  char *copy = sqlite3_malloc64(bytes + 2);
  if (copy) {
    memcpy(copy, path, bytes);
    memset(copy + bytes, 0, 2);
  }
  return copy;
}

static int resolve(sdb_source *source, sdb_failure *f) {
  char real[PATH_MAX];
  if (!realpath(source->path, real))
    return sdb_failure_set(f, SQLITE_CANTOPEN, "seqdb_import: cannot open %s: %s", source->path, strerror(errno));
  source->real_path = copy_path(real);
  return source->real_path ? SQLITE_OK : sdb_failure_nomem(f);
}

int sdb_source_open(sdb_source *source, sdb_connection *connection, const char *path, sdb_failure *f) {
  sqlite3_vfs *vfs = sqlite3_vfs_find("unix");
  int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_MAIN_DB, rc;
  *source = (sdb_source){.connection = connection, .path = path};
  if (look(source, f) != SQLITE_OK) return f->code;
  if (!vfs) return sdb_failure_set(f, SQLITE_CANTOPEN, "seqdb_import: this SQLite has no VFS \"unix\"");
  source->file = sqlite3_malloc(vfs->szOsFile);
  if (!source->file) return sdb_failure_nomem(f);
  memset(source->file, 0, (size_t)vfs->szOsFile);
  rc = resolve(source, f) == SQLITE_OK ? vfs->xOpen(vfs, source->real_path, source->file, flags, &flags) : f->code;
  if (rc == SQLITE_OK) return SQLITE_OK;
  sdb_source_close(source);
  if (f->code != SQLITE_OK) return f->code;
  if (rc == SQLITE_NOMEM) return sdb_failure_nomem(f);
  return sdb_failure_set(f, SQLITE_CANTOPEN, "seqdb_import: cannot open %s for reading", path);
}

void sdb_source_close(sdb_source *source) {
  if (source->file && source->file->pMethods) source->file->pMethods->xClose(source->file);
  sqlite3_free(source->file);
  sqlite3_free(source->real_path);
  sdb_failure_clear(&source->f);
  source->file = NULL;
  source->real_path = NULL;
}

static int changed(sdb_source *source, const char *how) {
  return sdb_failure_set(&source->f, SQLITE_ERROR, "seqdb_import: %s %s while it was being read", source->path, how);
}

static int is_as_before(sdb_source *source) {
  sdb_source now = {.path = source->path};
  sdb_failure f = {0};
  bool gone = look(&now, &f) != SQLITE_OK;
  sdb_failure_clear(&f);
  if (gone || memcmp(now.inode, source->inode, sizeof now.inode) != 0) return changed(source, "was replaced");
  if (now.size > source->size) return changed(source, "grew");
  if (now.size < source->size) return changed(source, "shrank");
  if (memcmp(now.modified, source->modified, sizeof now.modified) != 0) return changed(source, "was written to");
  return SQLITE_OK;
}

/* Past the end there must be nothing: some files of /proc say that they are empty. */
static int at_end(sdb_source *source) {
  char byte;
  int rc = source->file->pMethods->xRead(source->file, &byte, 1, (sqlite3_int64)source->at);
  if (rc == SQLITE_OK) return changed(source, "grew");
  return is_as_before(source);
}

int sdb_source_read(sdb_source *source, void *buffer, size_t bytes, size_t *got) {
  uint64_t left = source->size - source->at;
  size_t wanted = left < bytes ? (size_t)left : bytes;
  *got = 0;
  if (sdb_connection_interrupted_asleep(source->connection)) {
    return sdb_failure_set(&source->f, SQLITE_INTERRUPT, "seqdb_import: interrupted");
  }
  if (wanted == 0) return at_end(source);
  int rc = source->file->pMethods->xRead(source->file, buffer, (int)wanted, (sqlite3_int64)source->at);
  if (rc == SQLITE_IOERR_SHORT_READ) return changed(source, "shrank");
  if (rc != SQLITE_OK) {
    return sdb_failure_set(&source->f, SQLITE_IOERR_READ, "seqdb_import: cannot read %s at %llu", source->path,
                           (unsigned long long)source->at);
  }
  source->at += wanted;
  *got = wanted;
  return SQLITE_OK;
}
