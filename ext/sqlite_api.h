/* SPDX-License-Identifier: MIT
**
** sqlite_api.h: SQLite, as every file of the extension calls it: through the table of functions it is loaded with.
*/
#ifndef SDB_SQLITE_API_H
#define SDB_SQLITE_API_H

#include <stdbool.h>
#include <sqlite3ext.h>

SQLITE_EXTENSION_INIT3

/* A user more: first of all calls, with the table that the entry point was given.  false: connections of another SQLite
** use this file, and none of its functions may be called. */
bool sdb_sqlite_api_enter(const sqlite3_api_routines *api);
/* A user less: the last of its calls. */
void sdb_sqlite_api_leave(void);

#endif /* SDB_SQLITE_API_H */
