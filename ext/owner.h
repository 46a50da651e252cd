/* SPDX-License-Identifier: MIT
**
** owner.h: does the directory belong to this SQLite file?  (T5)
*/
#ifndef SDB_OWNER_H
#define SDB_OWNER_H

#include "directory.h"

/* CREATE: this file has a claim and a row from now on. */
int sdb_owner_create(sdb_directory *directory, sdb_failure *f);
/* Before a change: SQLITE_READONLY if the directory belongs to another file, or if the row is gone.  A table of version
** 0.1 gets its row.  No system call where no claim has changed. */
int sdb_owner_may_write(sdb_directory *directory, sdb_failure *f);
/* The same for upkeep, which writes no row: nothing is made. */
int sdb_owner_may_upkeep(sdb_directory *directory, sdb_failure *f);
/* Before a statement reads: SQLITE_CANTOPEN if file and directory are of different times (T6).  Once it is known that
** they are not, this costs nothing. */
int sdb_owner_may_read(sdb_directory *directory, sdb_failure *f);
/* The same as an answer; *differ is false where it cannot be told at once. */
int sdb_owner_compare(sdb_directory *directory, bool *differ, sdb_failure *f);
/* After a commit: where the file was moved, its claim says so. */
void sdb_owner_committed(sdb_directory *directory);
/* In xSync: that token, which the row had, is that of the file's newest commit; else the file, or the directory, was
** restored while it was in use (T6): SQLITE_READONLY. */
int sdb_owner_confirm(sdb_directory *directory, const uint8_t token[SEQDB_TOKEN_BYTES], sdb_failure *f);
/* What was found may not hold any more: ROLLBACK TO, RENAME. */
void sdb_owner_forget(sdb_directory *directory);

/* This file becomes the owner.  *from: the file that was, from sqlite3_malloc; NULL: it was this one already. */
int sdb_owner_take_over(sdb_directory *directory, char **from, sdb_failure *f);

#endif /* SDB_OWNER_H */
