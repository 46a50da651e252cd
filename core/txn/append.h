/* SPDX-License-Identifier: MIT
**
** append.h: appending (R2), through a buffer of each region that is appended to: its tail.  Layer 4.
**
**     0                       settled          length - buffered     length       limit
**     | what the tree knows     | written to `data` | in the buffer   | may be         |
**     |                         | past the tree     |                 | appended to    |
**
** While a tail is open, its length is ahead of the tree's.  Whatever else the transaction does with the region settles
** it first.
** THREADS: seqdb_append() any; the functions below with txn_mutex held.
*/
#ifndef SDB_APPEND_H
#define SDB_APPEND_H

#include "txn/handle.h"

/* Write the buffer out, tell the tree the length, and close the tail: of all regions, or of entry `index`.  What finds
** no room on the disk becomes a patch.  On error the tail stays open and nothing is lost.  Errors: IO, NOMEM. */
int sdb_tails_settle(seqdb *db, const sdb_op *op);
int sdb_tail_settle(seqdb *db, uint32_t index, const sdb_op *op);
/* How much longer the regions of open tails are than the tree says. */
uint64_t sdb_tails_bytes(seqdb *db);
/* What is open stays so, but the next append to it takes the slow way. */
void sdb_tails_stop(seqdb *db);
/* Close all and forget what they buffered. */
void sdb_tails_discard(seqdb *db);
/* At the handle's end. */
void sdb_tails_free(seqdb *db);

#endif /* SDB_APPEND_H */
