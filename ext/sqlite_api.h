/* SPDX-License-Identifier: MIT
**
** sqlite_api.h: SQLite, as every file of the extension calls it: through the table of functions it is loaded with.
*/
#ifndef SDB_SQLITE_API_H
#define SDB_SQLITE_API_H

#include <stdbool.h>
#include <stddef.h>
#include <sqlite3ext.h>

SQLITE_EXTENSION_INIT3

/* SQLite built without its deprecated interfaces has no sqlite3_expired(). */
static inline bool sdb_can_expire(void) {
#if defined(SQLITE_OMIT_DEPRECATED)
  return false;
#elif defined(SQLITE_CORE)
  return true;
#else
  return sqlite3_api->expired != NULL;
#endif
}

/* Has SQLite to compile that statement anew?  Only if sdb_can_expire(). */
static inline bool sdb_has_expired(sqlite3_stmt *statement) {
#if defined(SQLITE_OMIT_DEPRECATED)
  (void)statement;
  return true;
#else
  return sqlite3_expired(statement) != 0;
#endif
}

/* A user more: first of all calls, with the table that the entry point was given.  false: connections of another SQLite
** use this file, and none of its functions may be called. */
bool sdb_sqlite_api_enter(const sqlite3_api_routines *api);
/* A user less: the last of its calls. */
void sdb_sqlite_api_leave(void);

#endif /* SDB_SQLITE_API_H */
