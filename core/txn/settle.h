/* SPDX-License-Identifier: MIT
**
** settle.h: commits that an SQLite file decides about, until they are settled (T2, T3).  Layer 4.
**
**     prepare  -->  published: its file has shown the token           -->  settled: it cannot be lost any more
**              -->  dead: rolled back, as it seems                    -->  gone, when a younger one is settled
**
** INVARIANT: the settled state is the tip or one of its ancestors.  Until all is settled nothing is forgotten, nothing
** that the settled state shows is used again, and what a dead prepare shows is not written.
** THREADS: the writer's, where nothing else is said.
*/
#ifndef SDB_SETTLE_H
#define SDB_SETTLE_H

#include "pure/branches.h"
#include "txn/store.h"

/* Is the tip settled, and no prepare behind it?  Then the journal may be forgotten. */
bool sdb_store_is_settled(const sdb_store *store);
/* The tip is settled. */
void sdb_settle_tip(sdb_store *store);
/* The record became the newest commit: claims and settled state follow.  files_mutex held. */
void sdb_settle_follow(sdb_store *store, const sdb_record_header *header);
/* A prepare that does not count, or not yet, shows this: nobody writes it, nobody allocates it.  NOMEM.  mutex held. */
int sdb_settle_hold(sdb_store *store, uint64_t start, uint64_t reserved);
/* May somebody commit for `file` now?  BUSY if commits of another file are not settled. */
int sdb_settle_check(const sdb_store *store, const sdb_file_uuid *file, const sdb_op *op);
/* Has so much piled up since all was settled that settling is worth a sync?  Asked before each publishing. */
bool sdb_settle_is_due(sdb_store *store);

/* A prepare may be committed and not yet published.  Any thread. */
bool sdb_store_mark(const sdb_store *store);
void sdb_store_set_mark(sdb_store *store, bool mark);
/* Up to there only reading the file's token and then syncing that file proves a commit durable. */
uint64_t sdb_store_unproven(const sdb_store *store);
void sdb_store_raise_unproven(sdb_store *store, uint64_t generation);

#endif /* SDB_SETTLE_H */
