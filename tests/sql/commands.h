/* SPDX-License-Identifier: MIT
**
** commands.h: what other files with commands use of commands.c.
*/
#ifndef SDB_COMMANDS_H
#define SDB_COMMANDS_H

#include <sqlite3ext.h>

/* SQLite's functions; NULL before the fixture was loaded into a connection. */
const sqlite3_api_routines *sdb_test_sqlite_api(void);

#endif /* SDB_COMMANDS_H */
