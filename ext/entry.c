/* SPDX-License-Identifier: MIT
**
** entry.c: the entry point of the loadable extension (and of a program that links it with -DSQLITE_CORE).
**
**   .load ./seqdb
**
** Checks that SQLite is new enough, then registers module and functions on the connection.  They share one
** sdb_client, which lives until SQLite has dropped the last of them.
**
** Loading twice into one connection does nothing: with two copies mixed, one copy's functions would meet the
** other's tables.  seqdb_version() is registered last and is the mark of a complete load.
**
** THREADS.  Connections on several threads may load at the same time.  Every load brings SQLite's table of functions,
** the same one each time: it is stored once, so that nobody writes it while others call through it.
*/
#include <pthread.h>
#include "ext.h"

SQLITE_EXTENSION_INIT1

/* sqlite3_vtab_in(), sqlite3_vtab_distinct() and sqlite3_vtab_rhs_value() came with it. */
#define SDB_SQLITE_MIN 3038000

static void keep_api(const sqlite3_api_routines *api) {
#ifdef SQLITE_CORE
  (void)api;
#else
  static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_lock(&mutex);
  if (sqlite3_api != api) SQLITE_EXTENSION_INIT2(api);
  pthread_mutex_unlock(&mutex);
#endif
}

/* Neither statement reads the database file, which at the time of an automatic load may be locked or encrypted. */
static bool is_loaded(sqlite3 *db) {
  sqlite3_stmt *statement = NULL;
  bool loaded = sqlite3_prepare_v2(db, "SELECT seqdb_version()", -1, &statement, NULL) == SQLITE_OK;
  sqlite3_finalize(statement);
  if (!loaded) {
    /* sqlite3_open() fails if an automatic extension leaves an error behind; a success takes it away. */
    sqlite3_prepare_v2(db, "SELECT 1", -1, &statement, NULL);
    sqlite3_finalize(statement);
  }
  return loaded;
}

#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
int sqlite3_seqdb_init(sqlite3 *db, char **error, const sqlite3_api_routines *api);

int sqlite3_seqdb_init(sqlite3 *db, char **error, const sqlite3_api_routines *api) {
  static int (*const registrations[])(sdb_client *) = {
      sdb_register_creation,  sdb_register_table,           sdb_register_regions, sdb_register_layout,
      sdb_register_functions, sdb_register_functions_write, sdb_register_version,
  };
  keep_api(api);
  if (sqlite3_libversion_number() < SDB_SQLITE_MIN) {
    /* GCOVR_EXCL_BR_LINE: SQLite gives one */
    if (error) *error = sqlite3_mprintf("seqdb needs SQLite 3.38.0 or newer, this is %s", sqlite3_libversion());
    return SQLITE_ERROR;
  }
  if (is_loaded(db)) return SQLITE_OK;

  sdb_client *client = sdb_client_new(db);
  if (!client) return SQLITE_NOMEM;
  int rc = SQLITE_OK;
  for (size_t i = 0; rc == SQLITE_OK && i < sizeof registrations / sizeof registrations[0]; i++) {
    rc = registrations[i](client);
  }
  sdb_client_unref(client);
  if (rc != SQLITE_OK && error) *error = sqlite3_mprintf("seqdb cannot be registered: %s", sqlite3_errmsg(db));
  return rc;
}
