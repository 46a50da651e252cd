/* SPDX-License-Identifier: MIT
**
** pretended_sqlite.c: runs SQL with the machine's SQLite, which tells the extension that it is an older release.
**
**   pretended_sqlite PATH-OF-EXTENSION VERSION-NUMBER DATABASE SQL
**
** What the extension does for old releases alone runs so with any SQLite; what an old release itself does otherwise
** does not.  The database is closed before the end.
*/
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define SQLITE_CORE /* functions by their names, not through a table */
#include <sqlite3ext.h>

typedef int (*entry_point)(sqlite3 *db, char **error, const sqlite3_api_routines *api);
static entry_point extension;
static int version;

static int version_number(void) {
  return version;
}

/* An entry point, too: SQLite hands it the table of functions, and the extension gets a copy with one changed. */
static int pretend(sqlite3 *db, char **error, const sqlite3_api_routines *api) {
  static sqlite3_api_routines changed;
  changed = *api;
  changed.libversion_number = version_number;
  return extension(db, error, &changed);
}

static int run(const char *file, const char *sql) {
  sqlite3 *db = NULL;
  if (sqlite3_auto_extension((void (*)(void))pretend) != SQLITE_OK) return 1;
  int rc = sqlite3_open(file, &db);
  if (rc == SQLITE_OK) rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
  printf("%s\n", rc == SQLITE_OK ? "ok" : sqlite3_errmsg(db));
  return sqlite3_close(db) != SQLITE_OK || rc != SQLITE_OK;
}

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  version = atoi(argv[2]);
  void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  void *symbol = library ? dlsym(library, "sqlite3_seqdb_init") : NULL;
  if (!symbol) {
    fprintf(stderr, "%s\n", dlerror());
    return 2;
  }
  memcpy(&extension, &symbol, sizeof extension); /* ISO C has no cast from an object pointer to a function pointer */
  return run(argv[3], argv[4]);
}
