/* SPDX-License-Identifier: MIT
**
** checkpoint.h: fold the journal into `regions` and `data` and empty it (R5); apply overwrites; punch what is
** free.  Layer 4.
** THREADS: the writer's.  No prepare of its own may be undecided.  files_mutex and then mutex are taken here.
*/
#ifndef SDB_CHECKPOINT_H
#define SDB_CHECKPOINT_H

#include "txn/store.h"

/* A checkpoint.  If an old snapshot holds overwrites back only its first step, and a rewriting of the journal if that
** makes it shorter (rewrite.h).  Errors: IO, FULL, NOMEM; what was not
** done is done by the next one, unless the store is poisoned. */
int sdb_checkpoint(sdb_store *store, const sdb_op *op);
/* Is a header due before the next change?  One that leaves out the numbers of lost commits, or says that there are no
** syncs; it comes as soon as no SQLite file may go back to the present one. */
bool sdb_checkpoint_is_owed(const sdb_store *store);
/* A checkpoint; if the journal is empty then, `data` ends where the header says.  Errors as above. */
int sdb_checkpoint_cut(sdb_store *store, const sdb_op *op);
/* A checkpoint if the journal has grown long enough, or much space was given up; a rewriting if it has grown to a
** multiple of what is held back.  Failing is left for later. */
void sdb_checkpoint_if_due(sdb_store *store);
/* Step 5 of reading (FORMAT.md 5): what a recovery owes before anything may change.  Harmless when nothing is owed. */
int sdb_checkpoint_recovered(sdb_store *store, const sdb_op *op);
/* Before the first change of a directory of an older version: a checkpoint, whose header is of this version.  Until
** then nothing of this version is written.  Nothing is held back: it runs before any commit of the session. */
int sdb_checkpoint_upgrade(sdb_store *store, const sdb_op *op);
/* Write to `data` what no older snapshot, and no published but undecided prepare, needs held back.  Errors: IO, FULL,
** NOMEM. */
int sdb_checkpoint_drain(sdb_store *store, const sdb_op *op);

/* fdatasync(data), at its full length; `unclean`: the length may be in the page cache alone, and is written, too. */
int sdb_checkpoint_sync_data(sdb_store *store, bool unclean, const sdb_op *op);
/* Set the guard, durably, if it is not set (R6a): before the first fdatasync of a session, and before a header is
** written.  files_mutex held. */
int sdb_checkpoint_guard(sdb_store *store, const sdb_op *op);
/* Punch some of what may be punched already, so that a checkpoint that follows holds the lock for a shorter time: a
** punch is slow on a busy disk.  Before the checkpoint, not after it: once the journal has forgotten who gave space
** up, whoever joins takes every hole for zeros.  Of `most` ranges; `share`: so many times as long a part as usual;
** `cuts`: what lies behind the end of all extents goes with a cut.  -> how many, 0 once a checkpoint can take care of
** the rest.  Writer lock held. */
uint64_t sdb_checkpoint_punch_part(sdb_store *store, uint64_t most, uint64_t share, bool cuts);
uint64_t sdb_checkpoint_punchable(sdb_store *store); /* -> ranges */
/* Punch larger holes before `data` is synced: what a growing region left behind then is neither written nor kept on
** disk. */
void sdb_checkpoint_punch_early(sdb_store *store);

#endif /* SDB_CHECKPOINT_H */
