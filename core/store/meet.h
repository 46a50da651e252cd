/* SPDX-License-Identifier: MIT
**
** meet.h: a store and the other processes that have its directory open: coming and going.  Layer 6.
**
**     alone with the directory       locking=exclusive, by a lock on the folder
**     the first member               recovers, then publishes what it has found: sdb_meet_ready()
**     a further member               follows what is published: sdb_meet_join()
**     registered nowhere             immutable=1, or on read-only media
**
** What cannot be written until all have closed (damage, a directory of rawdb's) is published with salt 0: each member
** reads it by itself, and nobody follows.
** THREADS: whoever opens or closes the store is alone with it.
*/
#ifndef SDB_MEET_H
#define SDB_MEET_H

#include "seqdb.h"
#include "txn/store.h"

/* Is there a database in the directory, or one of rawdb's? */
bool sdb_meet_has_database(sdb_store *store);
/* Become a member, or be alone; the files are open, or are to be created.  *joins: others are there; what is published
** then is in store->mine.  Errors: LOCKED, BUSY, INTERRUPTED, READONLY, CANTOPEN, FULL, IO, NOMEM. */
int sdb_meet(sdb_store *store, const seqdb_options *options, bool *joins, const sdb_op *op);
/* The files are open: a child of fork() must not have them, nor their locks. */
void sdb_meet_keep_from_children(sdb_store *store);
/* Is what is published for reading only, by each for itself? */
bool sdb_meet_is_still(const sdb_store *store);
/* A further member, with an empty store: take the state that is published. */
int sdb_meet_join(sdb_store *store, const sdb_op *op);
/* A further member that has read by itself what nobody can write. */
void sdb_meet_join_still(sdb_store *store);
/* A member of those that read by themselves is going to change that: it must be the only one.  Errors: as above. */
int sdb_meet_again(sdb_store *store, const seqdb_options *options, const sdb_op *op);
/* The first member: let others in.  Does nothing without a board. */
int sdb_meet_ready(sdb_store *store, const sdb_op *op);
/* A member is going to write: INVALID if others write with another sync mode. */
int sdb_meet_agree(sdb_store *store, const sdb_op *op);
/* The last user closes.  true: nobody else has the directory open, and the writer lock is ours: close cleanly. */
bool sdb_meet_closing(sdb_store *store);
/* The files may be closed. */
void sdb_meet_leave(sdb_store *store);

#endif /* SDB_MEET_H */
