/* SPDX-License-Identifier: MIT
**
** agree.h: rows and regions say the same (T2, T3, T8).
*/
#ifndef SDB_AGREE_H
#define SDB_AGREE_H

#include "directory.h"

/* Before the first change, SQLite's write lock is ours: what the row says is published. */
int sdb_agree_write(sdb_directory *directory, sdb_failure *f);
/* Before a statement reads, and has its SQLite snapshot: regions are at least as new as the row.  One load where no
** commit is under way. */
int sdb_agree_read(sdb_directory *directory, sdb_failure *f);

/* Commits that the SQLite file may still lose are settled now.  What cannot be settled stays so. */
int sdb_agree_settle(sdb_directory *directory, sdb_failure *f);
/* Those of another SQLite file alone, as far as that can be asked at once: a change, or a claim, needs it.
** SQLITE_INTERRUPT, or SQLITE_OK. */
int sdb_agree_others(sdb_directory *directory, sdb_failure *f);
/* The same as sdb_agree_settle() when the table is closed: without a word. */
void sdb_agree_close(sdb_directory *directory);
/* In xCommit: what the commit of that durability settles. */
void sdb_agree_commit(sdb_directory *directory, uint32_t durability);

/* `code`, which it returns, with what T6 says of a file and a directory that do not belong together. */
int sdb_agree_refuse_times(sdb_directory *directory, int code, sdb_failure *f);

#endif /* SDB_AGREE_H */
