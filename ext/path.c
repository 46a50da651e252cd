/* SPDX-License-Identifier: MIT
**
** path.c: which directory a table means.
**
**   given, absolute     as it is
**   given, relative     in the folder of the SQLite file; in the working directory if that is in memory or temporary
**   left out            <SQLite file>-<table>; an error without a SQLite file
**
** With trusted_schema=OFF a table that comes from the schema (it is connected, not created) may only name a directory
** inside that folder: whoever wrote the file must not choose what else of this machine is opened.
*/
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>
#include "check.h"
#include "path.h"

/* The file of the schema, NULL if there is none.  A memdb looks like a file to sqlite3_db_filename() on 3.40. */
static const char *schema_file(sqlite3 *db, const char *schema) {
  const char *file = sqlite3_db_filename(db, schema);
  if (!file || !file[0]) return NULL;
  char *vfs = NULL;
  sqlite3_file_control(db, schema, SQLITE_FCNTL_VFSNAME, &vfs);
  bool in_memory = vfs && strncmp(vfs, "memdb", 5) == 0;
  sqlite3_free(vfs);
  return in_memory ? NULL : file;
}

/* Absolute path of the folder that relative paths start from, without a slash at its end ("" is the root). */
static char *base_folder(sqlite3 *db, const char *schema, sdb_failure *f) {
  const char *file = schema_file(db, schema);
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
    const char *file = schema_file(db, schema);
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

int sdb_path_check_trusted(sqlite3 *db, const char *schema, const char *absolute, sdb_failure *f) {
  char *folder = NULL, *real_folder = NULL, *real_path = NULL;
  int trusted = 1;
  sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, -1, &trusted);
  if (trusted) return SQLITE_OK;

  folder = base_folder(db, schema, f);
  if (!folder) goto done;
  real_folder = realpath(folder[0] ? folder : "/", NULL);
  real_path = realpath(absolute, NULL);
  if (!real_path && errno == ENOENT) goto done; /* opening it will say so */
  size_t bytes = real_folder ? strlen(real_folder) : 0;

  if (bytes == 1) bytes = 0; /* the root: every path goes on with '/' after 0 bytes */
  if (!real_folder || !real_path || strncmp(real_path, real_folder, bytes) != 0 || real_path[bytes] != '/') {
    sdb_failure_set(f, SQLITE_CANTOPEN,
                    "seqdb: with trusted_schema=OFF the directory '%s' must be inside the folder of the SQLite file",
                    absolute);
  }
done:
  sqlite3_free(folder);
  free(real_folder);
  free(real_path);
  return f->code;
}
