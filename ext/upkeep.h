/* SPDX-License-Identifier: MIT
**
** upkeep.h: looking after a directory, for functions and for commands.
*/
#ifndef SDB_UPKEEP_H
#define SDB_UPKEEP_H

#include <stdbool.h>
#include <stdint.h>
#include "directory.h"
#include "failure.h"

/* SQLITE_READONLY where SQLite would refuse a statement that writes: a file opened read-only, PRAGMA query_only. */
int sdb_upkeep_refuse_readonly(sdb_directory *directory, const char *command, sdb_failure *f);
/* *generation and *freed_bytes may be left out (NULL). */
int sdb_upkeep_flush(sdb_directory *directory, uint64_t *generation, sdb_failure *f);
int sdb_upkeep_checkpoint(sdb_directory *directory, sdb_failure *f);
int sdb_upkeep_compact(sdb_directory *directory, uint64_t *freed_bytes, sdb_failure *f);
/* One step of it; *cursor begins as 0.  *done: nothing is left to do, and *step is not filled. */
int sdb_upkeep_compact_step(sdb_directory *directory, uint64_t *cursor, seqdb_compact_step_info *step, bool *done,
                            sdb_failure *f);
/* Sleeps until there is a generation past `after`, for at most timeout_ms.  *newest: it, or `after`. */
int sdb_upkeep_wait(sdb_directory *directory, uint64_t after, uint64_t timeout_ms, uint64_t *newest, sdb_failure *f);
/* All problems, one a line, or only the first, from sqlite3_malloc.  *text is NULL if there is none. */
int sdb_upkeep_check(sdb_directory *directory, bool only_first, char **text, sdb_failure *f);

#endif /* SDB_UPKEEP_H */
