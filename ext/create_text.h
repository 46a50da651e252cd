/* SPDX-License-Identifier: MIT
**
** create_text.h: the text of a CREATE VIRTUAL TABLE, as sqlite_schema has it.
*/
#ifndef SDB_CREATE_TEXT_H
#define SDB_CREATE_TEXT_H

#include <stdbool.h>
#include "failure.h"

/* Is it one of the module `seqdb`? */
bool sdb_create_text_is_ours(const char *sql);
/* The path that it gives, without quotes, from sqlite3_malloc; NULL: it gives none, or *f is set. */
char *sdb_create_text_path(const char *sql, sdb_failure *f);
/* The same text with another path in the place of the one it gives; from sqlite3_malloc.  NULL: *f is set. */
char *sdb_create_text_with_path(const char *sql, const char *path, sdb_failure *f);

#endif /* SDB_CREATE_TEXT_H */
