/* SPDX-License-Identifier: MIT
**
** init.c: where SQLite enters the extension: the init function of the loadable extension (and of a program that links
** it with -DSQLITE_CORE).
**
**   .load ./seqdb
**
** Checks that SQLite is new enough, then registers module and functions on the connection.  They share one
** sdb_connection, which lives until SQLite has dropped the last of them.
**
** Loading twice into one connection does nothing: with two copies mixed, one copy's functions would meet the other's
** tables.  seqdb_version() is registered last and is the mark of a complete load.
*/
#include <stdbool.h>
#include "blob.h"
#include "check.h"
#include "connection.h"
#include "creation.h"
#include "functions.h"
#include "functions_backup.h"
#include "functions_feed.h"
#include "functions_files.h"
#include "functions_layout.h"
#include "functions_pin.h"
#include "functions_rescue.h"
#include "functions_typed.h"
#include "functions_write.h"
#include "module.h"
#include "sqlite_api.h"
#include "tvf_changes.h"
#include "tvf_chunks.h"
#include "tvf_compaction.h"
#include "tvf_layout.h"
#include "tvf_regions.h"
#include "tvf_snapshots.h"
#include "tvf_values.h"

/* sqlite3_vtab_in(), sqlite3_vtab_distinct() and sqlite3_vtab_rhs_value() came with it. */
#define SDB_SQLITE_MIN 3038000

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

/* The text is the caller's, who frees it with its own SQLite. */
static int refuse_second_sqlite(char **error, const sqlite3_api_routines *api) {
#ifdef SQLITE_CORE
  (void)error;
  (void)api;
#else
  if (SDB_ALWAYS(error))
    *error = api->mprintf(
        "seqdb: connections of another SQLite in this process use this file of the extension: "
        "load a copy of it into SQLite %s",
        api->libversion());
#endif
  return SQLITE_ERROR;
}

#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
int sqlite3_seqdb_init(sqlite3 *db, char **error, const sqlite3_api_routines *api);

int sqlite3_seqdb_init(sqlite3 *db, char **error, const sqlite3_api_routines *api) {
  static int (*const registrations[])(sdb_connection *) = {
      sdb_register_creation,
      sdb_register_module,
      sdb_register_regions,
      sdb_register_layout,
      sdb_register_snapshots,
      sdb_register_compaction,
      sdb_register_chunks,
      sdb_register_values,
      sdb_register_changes,
      sdb_register_functions,
      sdb_register_functions_write,
      sdb_register_functions_rescue,
      sdb_register_functions_files,
      sdb_register_functions_typed,
      sdb_register_functions_pin,
      sdb_register_functions_backup,
      sdb_register_functions_layout,
      sdb_register_functions_feed,
      sdb_register_blob,
      sdb_register_version,
  };
  if (!sdb_sqlite_api_enter(api)) return refuse_second_sqlite(error, api);
  if (sqlite3_libversion_number() < SDB_SQLITE_MIN) {
    if (SDB_ALWAYS(error))
      *error = sqlite3_mprintf("seqdb needs SQLite 3.38.0 or newer, this is %s", sqlite3_libversion());
    sdb_sqlite_api_leave();
    return SQLITE_ERROR;
  }
  bool loaded = is_loaded(db);
  sdb_connection *connection = loaded ? NULL : sdb_connection_new(db);
  if (!connection) {
    sdb_sqlite_api_leave();
    return loaded ? SQLITE_OK : SQLITE_NOMEM;
  }
  int rc = SQLITE_OK;
  for (size_t i = 0; rc == SQLITE_OK && i < sizeof registrations / sizeof registrations[0]; i++) {
    rc = registrations[i](connection);
  }
  if (rc != SQLITE_OK && SDB_ALWAYS(error))
    *error = sqlite3_mprintf("seqdb cannot be registered: %s", sqlite3_errmsg(db));
  sdb_connection_unref(connection);
  return rc;
}
