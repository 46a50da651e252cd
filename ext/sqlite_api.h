/* SPDX-License-Identifier: MIT
**
** sqlite_api.h: SQLite, as every file of the extension calls it: through the table of functions it is loaded with.
*/
#ifndef SDB_SQLITE_API_H
#define SDB_SQLITE_API_H

#include <sqlite3ext.h>

SQLITE_EXTENSION_INIT3

/* Call it first, with the table that the entry point was given. */
void sdb_sqlite_api_keep(const sqlite3_api_routines *api);

#endif /* SDB_SQLITE_API_H */
