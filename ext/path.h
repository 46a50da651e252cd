/* SPDX-License-Identifier: MIT
**
** path.h: which directory a table means, and whether a table of the schema may open it.
*/
#ifndef SDB_PATH_H
#define SDB_PATH_H

#include <stdbool.h>
#include "failure.h"
#include "seqdb.h"

/* The file of the schema, NULL if it has none: in memory, temporary. */
const char *sdb_path_file(sqlite3 *db, const char *schema);
/* sqlite3_vfs.zName of that file; NULL: the default one. */
const char *sdb_path_vfs(sqlite3 *db, const char *schema);
/* The absolute path, from sqlite3_malloc, of what was given to table schema.table; `given` is NULL if nothing was. */
int sdb_path_absolute(sqlite3 *db, const char *schema, const char *table, const char *given, char **absolute,
                      sdb_failure *f);
/* New files of a table follow mode and owner of the schema's file, as SQLite's own do; without a file, the umask. */
void sdb_path_take_access(sqlite3 *db, const char *schema, seqdb_options *options);
/* Does the directory lie in the folder of the SQLite file, symbolic links resolved?  No, if either is not there. */
bool sdb_path_is_inside(sqlite3 *db, const char *schema, const char *absolute);
/* SQLITE_CANTOPEN if trusted_schema=OFF forbids a table of the schema to open it. */
int sdb_path_check_trusted(sqlite3 *db, const char *schema, const char *absolute, sdb_failure *f);

#endif /* SDB_PATH_H */
