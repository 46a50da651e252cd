/* SPDX-License-Identifier: MIT
**
** find_table.h: from the T of a function to the directory of that table.
*/
#ifndef SDB_FIND_TABLE_H
#define SDB_FIND_TABLE_H

#include "directory.h"
#include "failure.h"

/* T is 'name' or 'schema.name', names quoted or not.  Connects the table if need be.  The directory is held: the
** caller ends that with sdb_directory_release(). */
int sdb_find_table(sdb_connection *connection, sqlite3_value *table, sdb_directory **directory, sdb_failure *f);

/* The same of a text. */
int sdb_find_table_text(sdb_connection *connection, const char *text, sdb_directory **directory, sdb_failure *f);

#endif /* SDB_FIND_TABLE_H */
