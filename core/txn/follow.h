/* SPDX-License-Identifier: MIT
**
** follow.h: a store catches up with what another member has published (S3).  Layer 5.
**
**     same salt      the records behind the store's own position, by chain and checksum, one commit after the other
**     other salt     the state may be that of the new header; else all entries anew, redone with that salt's records
**
** Nothing is written, no lock of the board is taken.  After following to a generation the store is as if it had read
** everything anew then, and it knows as much or more of what is free.
** THREADS: follow_mutex held, and nobody in this process has the writer lock of the board, but for mending.
*/
#ifndef SDB_FOLLOW_H
#define SDB_FOLLOW_H

#include "txn/store.h"

/* Bring the store to the published state.  *reached is false if the files do not say so: another member has gone on;
** load what is published and repeat.  Errors: IO, NOMEM; the store stands somewhere in between, as is right. */
int sdb_follow(sdb_store *store, const sdb_published *to, bool *reached, const sdb_op *op);

/* The writer lock is ours and its last owner died (S5): go to the newest header and the journal's true end.  An
** undecided prepare there is kept, unless `drop` and a coordinator made it.  *undecided: the last record is one, and
** *kept says how it was counted.  Errors as above, and CORRUPT: the files contradict what was published. */
int sdb_follow_to_end(sdb_store *store, bool drop, bool *undecided, bool *kept, const sdb_op *op);

/* The writer: the state of that token becomes the last commit, if a record of the journal has it (*found): its SQLite
** file has shown it.  Errors: IO, NOMEM, CORRUPT. */
int sdb_follow_token(sdb_store *store, const sdb_token *token, bool *found, const sdb_op *op);

/* Hold all ranges of the journal's records, for a store that was recovered in memory only.  Errors: IO, NOMEM. */
int sdb_follow_hold(sdb_store *store, const sdb_op *op);
/* What the journal's records that count, of up to `generation`, wrote to `data`, as one patch.  Errors: IO, NOMEM. */
int sdb_follow_ranges(sdb_store *store, uint64_t generation, sdb_patch *patch, const sdb_op *op);

#endif /* SDB_FOLLOW_H */
