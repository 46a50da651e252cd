/* SPDX-License-Identifier: MIT
**
** touched.h: what a transaction has changed of each region, for the change list of its record.  Layer 4.
**
** As long as a region stays where it is, the patches tell: whatever the last commit shows is overwritten through them,
** and what lies past its length there is new.  Once it has moved, its bytes have been copied to a new extent and are
** written directly there.  So what a move copies from patches, and all that is written or cut after it, is noted.
** Notes outlive rolling back to a savepoint: they may say too much, and never too little.
** THREADS: txn_mutex held, or the commit.
*/
#ifndef SDB_TOUCHED_H
#define SDB_TOUCHED_H

#include "txn/begin.h"
#include "txn/delta.h"

/* Before it happens.  Errors: NOMEM. */
int sdb_touch_move(const sdb_change *change, uint64_t at, uint64_t bytes); /* to another extent; these are written */
int sdb_touch_write(const sdb_change *change, uint64_t at, uint64_t bytes);
int sdb_touch_cut(const sdb_change *change, uint64_t length);

/* What it has changed since the last commit; bounded: see touched.c.  NOMEM leaves an empty list. */
int sdb_touched_list(seqdb *db, const sdb_delta *delta, sdb_change_list *list);

#endif /* SDB_TOUCHED_H */
