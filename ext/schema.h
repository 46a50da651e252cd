/* SPDX-License-Identifier: MIT
**
** schema.h: what SQLite's schema says of a name, as this connection sees it now.
*/
#ifndef SDB_SCHEMA_H
#define SDB_SCHEMA_H

#include <stdbool.h>
#include "connection.h"
#include "failure.h"

/* May statements be prepared?  Not in an xDisconnect at the end of VACUUM or of an ATTACH that has failed: SQLite has
** closed a database there and still lists it, and a statement that needs the schema would crash. */
bool sdb_schema_is_whole(sqlite3 *db);
/* Is there a table (not a view) of that name? */
bool sdb_schema_has_table(sdb_connection *connection, const char *schema, const char *name);
/* Makes SQLite connect the table.  *ours: it is one of the module `seqdb`.  A name without a table is SQLITE_ERROR. */
int sdb_schema_connect(sdb_connection *connection, const char *schema, const char *name, bool *ours, sdb_failure *f);
/* Makes SQLite look whether another connection has changed the schema. */
int sdb_schema_refresh(sdb_connection *connection, const char *schema, sdb_failure *f);
/* The name, from sqlite3_malloc, of the schema that the table is in: `only`, or if that is empty the first one in the
** order in which SQLite looks names up.  NULL: there is none, or *f is set. */
char *sdb_schema_of_table(sdb_connection *connection, const char *only, const char *table, sdb_failure *f);

#endif /* SDB_SCHEMA_H */
