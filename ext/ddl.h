/* SPDX-License-Identifier: MIT
**
** ddl.h: methods of the module `seqdb` that SQLite calls for CREATE, ALTER, DROP and PRAGMA integrity_check.
*/
#ifndef SDB_DDL_H
#define SDB_DDL_H

#include "sqlite_api.h"

int sdb_table_create(sqlite3 *db, void *connection, int argc, const char *const *argv, sqlite3_vtab **vtab,
                     char **error);
int sdb_table_connect(sqlite3 *db, void *connection, int argc, const char *const *argv, sqlite3_vtab **vtab,
                      char **error);
int sdb_table_disconnect(sqlite3_vtab *vtab);
int sdb_table_destroy(sqlite3_vtab *vtab);
int sdb_table_rename(sqlite3_vtab *vtab, const char *name);
int sdb_table_integrity(sqlite3_vtab *vtab, const char *schema, const char *name, int flags, char **problems);
int sdb_table_shadow_name(const char *suffix);

#endif /* SDB_DDL_H */
