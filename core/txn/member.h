/* SPDX-License-Identifier: MIT
**
** member.h: a store as one of several that use a directory: catching up with others, and the writer lock of all.
** Layer 5.  Without a board every function does nothing, at once.
**
**     a reader   pin, see whether something new is published, catch up       no system call where nothing is new
**     a writer   take the board's writer lock, mend what a dead one left, catch up, learn what may be reused
**
** THREADS: any; follow_mutex is taken here.  INVARIANT: while `leads` is set the store has all that is published.
*/
#ifndef SDB_MEMBER_H
#define SDB_MEMBER_H

#include "txn/store.h"

/* The store catches up with what is published (S3).  Errors: IO, NOMEM, CORRUPT: the files do not say what the board
** does. */
int sdb_member_catch_up(sdb_store *store, const sdb_op *op);
/* The same, and what no member needs any more becomes free here, too, for figures. */
int sdb_member_tidy(sdb_store *store, const sdb_op *op);
/* The same, and the sizes of files are asked anew, for check. */
int sdb_member_look(sdb_store *store, const sdb_op *op);
/* Take the writer lock of all members, waiting until `deadline_ms`; the writer lock of this process is taken already.
** `drop`: what a dead writer prepared for a coordinator is dropped, else kept.
** Errors: BUSY; its message names the other process; POISONED; as above; those of mending. */
int sdb_member_lock(sdb_store *store, uint64_t deadline_ms, bool drop, const sdb_op *op);
/* true: another member waited. */
bool sdb_member_unlock(sdb_store *store);

#endif /* SDB_MEMBER_H */
