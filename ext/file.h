/* SPDX-License-Identifier: MIT
**
** file.h: the SQLite file: which one it is, where it lies, and how it makes commits durable.
*/
#ifndef SDB_FILE_H
#define SDB_FILE_H

#include <stdbool.h>
#include "config.h"
#include "failure.h"
#include "seqdb.h"

/* What a claim of this file on the directory says: path, inode, birth.  file and settled are zeros. */
int sdb_file_claim(const char *directory, const char *file, seqdb_claim *claim, sdb_failure *f);
/* The claim that CREATE gives a directory that it makes, with a new uuid; false: none. */
bool sdb_file_first_claim(sqlite3 *db, const char *schema, const sdb_config *config, seqdb_claim *claim);
/* Does the claim on the directory mean this file?  Its path leads there, or inode and birth are those of the claim. */
int sdb_file_is_claimed(const char *directory, const char *file, const seqdb_claim *claim, bool *claimed,
                        sdb_failure *f);
/* Absolute path of the claim's file, from sqlite3_malloc; NULL: it has no path, or there is no memory. */
char *sdb_file_of_claim(const char *directory, const seqdb_claim *claim);
/* Make durable what the schema's file has committed.  SQLITE_IOERR. */
int sdb_file_sync(sqlite3 *db, const char *schema, sdb_failure *f);
/* What a commit of that durability settles: SEQDB_SETTLES_*. */
int sdb_file_settles(uint32_t durability);
/* How the schema's file makes its commits durable: FORMAT.md section 4. */
uint32_t sdb_file_durability(sqlite3 *db, const char *schema);

#endif /* SDB_FILE_H */
