/* SPDX-License-Identifier: MIT
**
** writer_lock.h: one writer at a time (store.writer), and how long others wait for it.  Layer 4.
** THREADS: any; store.mutex is taken here.
*/
#ifndef SDB_WRITER_LOCK_H
#define SDB_WRITER_LOCK_H

#include "txn/handle.h"

/* Take it for the handle.  BUSY when its timeout is over. */
int sdb_writer_lock(seqdb *db, const sdb_op *op);
void sdb_writer_unlock(seqdb *db);
/* For work that takes the lock again and again: if somebody waited when it was let go last, a millisecond in which they
** can take it, for a lock that is free is had by who asks first.  -> whether somebody waited.  Without the lock. */
bool sdb_writer_give_way(sdb_store *store);

/* Upkeep: a moment's work that needs the writer lock but belongs to no handle.  begin() never waits: false if somebody
** has the lock.  Handles wait for the end of upkeep whatever their timeout. */
bool sdb_upkeep_begin(sdb_store *store);
void sdb_upkeep_end(sdb_store *store);

#endif /* SDB_WRITER_LOCK_H */
