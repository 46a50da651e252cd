/* SPDX-License-Identifier: MIT
**
** path.h: which directory a table means, and whether a table of the schema may open it.
*/
#ifndef SDB_PATH_H
#define SDB_PATH_H

#include "failure.h"

/* The absolute path, from sqlite3_malloc, of what was given to table schema.table; `given` is NULL if nothing was. */
int sdb_path_absolute(sqlite3 *db, const char *schema, const char *table, const char *given, char **absolute,
                      sdb_failure *f);
int sdb_path_check_trusted(sqlite3 *db, const char *schema, const char *absolute, sdb_failure *f);

#endif /* SDB_PATH_H */
