/* SPDX-License-Identifier: MIT
**
** path.c: which directory a table means.
**
**   given, absolute     as it is
**   given, relative     in the folder of the SQLite file; in the working directory if that is in memory or temporary
**   left out            <SQLite file>-<table>; an error without a SQLite file
**
** Whoever wrote the file must not choose what else of this machine is opened.  A directory inside the file's folder is
** as harmless as a table in the file; for one outside
**   - the table is DIRECTONLY, and connecting to it opens nothing (ddl.c);
**   - with trusted_schema=OFF a table that comes from the schema (it is connected, not created) opens it never.
** A database without a file has no such folder: what it says may come from anywhere (sqlite3_deserialize()).  A temp
** schema was written by this connection.
*/
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "check.h"
#include "path.h"

/* A memdb looks like a file to sqlite3_db_filename() on 3.40. */
const char *sdb_path_file(sqlite3 *db, const char *schema) {
  const char *file = sqlite3_db_filename(db, schema);
  if (!file || !file[0]) return NULL;
  char *vfs = NULL;
  sqlite3_file_control(db, schema, SQLITE_FCNTL_VFSNAME, &vfs);
  bool in_memory = vfs && strncmp(vfs, "memdb", 5) == 0;
  sqlite3_free(vfs);
  return in_memory ? NULL : file;
}

const char *sdb_path_vfs(sqlite3 *db, const char *schema) {
  sqlite3_vfs *vfs = NULL;
  if (!sdb_path_file(db, schema)) return NULL;
  sqlite3_file_control(db, schema, SQLITE_FCNTL_VFS_POINTER, &vfs);
  return vfs ? vfs->zName : NULL;
}

/* Absolute path of the folder that relative paths start from, without a slash at its end ("" is the root). */
static char *base_folder(sqlite3 *db, const char *schema, sdb_failure *f) {
  const char *file = sdb_path_file(db, schema);
  char *folder = NULL;
  if (file) {
    const char *slash = strrchr(file, '/');
    folder = sqlite3_mprintf("%.*s", SDB_ALWAYS(slash) ? (int)(slash - file) : 0, file); /* SQLite made it absolute */
  } else {
    char buffer[PATH_MAX];
    if (!getcwd(buffer, sizeof buffer)) {
      sdb_failure_set(f, SQLITE_CANTOPEN, "seqdb: the working directory has no path: %s", strerror(errno));
      return NULL;
    }
    folder = sqlite3_mprintf("%s", strcmp(buffer, "/") == 0 ? "" : buffer);
  }
  if (!folder) sdb_failure_nomem(f);
  return folder;
}

int sdb_path_absolute(sqlite3 *db, const char *schema, const char *table, const char *given, char **absolute,
                      sdb_failure *f) {
  char *path = NULL;
  if (given && given[0] == '/') {
    path = sqlite3_mprintf("%s", given);
  } else if (given) {
    char *folder = base_folder(db, schema, f);
    if (!folder) return f->code;
    path = sqlite3_mprintf("%s/%s", folder, given);
    sqlite3_free(folder);
  } else {
    const char *file = sdb_path_file(db, schema);
    if (!file) {
      return sdb_failure_set(f, SQLITE_ERROR,
                             "seqdb table %s: a database without a file needs a path: seqdb('directory')", table);
    }
    path = sqlite3_mprintf("%s-%s", file, table);
  }
  if (!path) return sdb_failure_nomem(f);
  *absolute = path;
  return SQLITE_OK;
}

void sdb_path_take_access(sqlite3 *db, const char *schema, seqdb_options *options) {
  struct stat status;
  const char *file = sdb_path_file(db, schema);
  if (!file || stat(file, &status) != 0) return;
  options->mode = (uint32_t)status.st_mode & 0777;
  options->uid = (uint32_t)status.st_uid;
  options->gid = (uint32_t)status.st_gid;
}

/* The length of what is in `real`; 0: the folder has no such path. */
static size_t real_folder_of(const char *file, char real[PATH_MAX]) {
  char folder[PATH_MAX];
  const char *slash = strrchr(file, '/');
  size_t bytes = slash ? (size_t)(slash - file) : 0;
  if (!slash || bytes >= sizeof folder) return 0;
  memcpy(folder, file, bytes);
  folder[bytes] = '\0';
  return realpath(bytes ? folder : "/", real) ? strlen(real) : 0;
}

bool sdb_path_is_inside(sqlite3 *db, const char *schema, const char *absolute) {
  char folder[PATH_MAX], path[PATH_MAX];
  const char *file = sdb_path_file(db, schema);
  size_t bytes = file ? real_folder_of(file, folder) : 0;
  if (bytes == 0 || !realpath(absolute, path)) return false;
  if (bytes == 1) bytes = 0; /* the root: every path goes on with '/' after 0 bytes */
  return strncmp(path, folder, bytes) == 0 && path[bytes] == '/';
}

int sdb_path_check_trusted(sqlite3 *db, const char *schema, const char *absolute, sdb_failure *f) {
  struct stat status;
  int trusted = 1;
  sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, -1, &trusted);
  if (trusted || sqlite3_stricmp(schema, "temp") == 0 || sdb_path_is_inside(db, schema, absolute)) return SQLITE_OK;
  if (stat(absolute, &status) != 0 && errno == ENOENT) return SQLITE_OK; /* opening it will say so */
  if (!sdb_path_file(db, schema)) {
    return sdb_failure_set(f, SQLITE_CANTOPEN,
                           "seqdb: with trusted_schema=OFF a database without a file cannot open the directory '%s'",
                           absolute);
  }
  return sdb_failure_set(
      f, SQLITE_CANTOPEN,
      "seqdb: with trusted_schema=OFF the directory '%s' must be inside the folder of the SQLite file", absolute);
}
