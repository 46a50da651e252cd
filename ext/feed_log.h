/* SPDX-License-Identifier: MIT
**
** feed_log.h: upstream, the notes of which rows of named tables have changed.
*/
#ifndef SDB_FEED_LOG_H
#define SDB_FEED_LOG_H

#include "directory.h"

/* Changes of the table's rows are noted from now on, by triggers made anew.  *columns: how many travel. */
int sdb_feed_log_add(sdb_directory *directory, const char *table, int *columns, sdb_failure *f);
/* The same for all tables that are listed and whose schema has changed.  *tables: how many. */
int sdb_feed_log_renew(sdb_directory *directory, int *tables, sdb_failure *f);
/* *enough: its triggers note whatever can happen to its rows as its schema is now.  One whose key is the rowid: it does
** not matter, until the triggers are made anew no object has its rows. */
int sdb_feed_log_is_enough(sdb_directory *directory, const char *table, bool *enough, sdb_failure *f);
/* No longer.  *removed: they were. */
int sdb_feed_log_remove(sdb_directory *directory, const char *table, bool *removed, sdb_failure *f);
/* Forgets what was noted up to that generation.  *notes: how many. */
int sdb_feed_log_prune(sdb_directory *directory, uint64_t generation, uint64_t *notes, sdb_failure *f);
/* Rows of the table change in this transaction, which has touched the directory, without notes: of what was before its
** commit no object can be made of them any more. */
int sdb_feed_log_gap(sdb_directory *directory, const char *table, sdb_failure *f);

#endif /* SDB_FEED_LOG_H */
