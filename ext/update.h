/* SPDX-License-Identifier: MIT
**
** update.h: the method of the module `seqdb` that writes: INSERT, UPDATE, DELETE and the commands.
*/
#ifndef SDB_UPDATE_H
#define SDB_UPDATE_H

#include "sqlite_api.h"

int sdb_table_update(sqlite3_vtab *vtab, int argc, sqlite3_value **argv, sqlite3_int64 *rowid);

#endif /* SDB_UPDATE_H */
