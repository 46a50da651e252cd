/* SPDX-License-Identifier: MIT
**
** shadow.h: the shadow table <table>_commit: what the SQLite file says of the directory.
*/
#ifndef SDB_SHADOW_H
#define SDB_SHADOW_H

#include "directory.h"
#include "row.h"

/* The row of the directory, wherever it is.  *found: there is one, and directory->owner knows where. */
int sdb_shadow_read(sdb_directory *directory, sdb_row *row, bool *found, sdb_failure *f);
/* Generation and token, in place: neither a statement nor a trigger notices.  Not found is an error. */
int sdb_shadow_write(sdb_directory *directory, uint64_t generation, const uint8_t token[SEQDB_TOKEN_BYTES],
                     sdb_row *before, sdb_failure *f);
/* A new row, in a table that is made if need be; in place of one that is there. */
int sdb_shadow_put(sdb_directory *directory, const sdb_row *row, sdb_failure *f);

/* The table goes where the virtual table goes; nothing happens if there is none. */
int sdb_shadow_rename(sdb_connection *connection, const char *schema, const char *from, const char *to, sdb_failure *f);
int sdb_shadow_drop(sdb_connection *connection, const char *schema, const char *table, sdb_failure *f);

#endif /* SDB_SHADOW_H */
