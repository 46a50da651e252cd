/* SPDX-License-Identifier: MIT
**
** backup_all.h: a copy of an SQLite file and of all its directories, as of one commit.
*/
#ifndef SDB_BACKUP_ALL_H
#define SDB_BACKUP_ALL_H

#include "connection.h"
#include "failure.h"

/* Into the folder, an absolute path that must not exist.  *json, from sqlite3_malloc, says what was copied. */
int sdb_backup_all(sdb_connection *connection, const char *schema, const char *folder, char **json, sdb_failure *f);

#endif /* SDB_BACKUP_ALL_H */
