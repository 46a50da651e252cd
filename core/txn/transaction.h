/* SPDX-License-Identifier: MIT
**
** transaction.h: one transaction's state and its life, and what can be done to it without the store.  Layer 4.
**
**                      first change                call done
**     CLEAN  ------------------------->  FIRST  ------------->  CHANGED
**      ^ |                                 |                      |  ^
**      | | end, or the                     | the call failed      |  | prepare undone
**      | | call failed                     | (all is undone)      |  |
**      | v                                 v                      v  |
**     IDLE  <-----------------------------------             PREPARED  ---change--->  STALE
**      ^                                                      |  ^                      |
**      +----------------- published, rolled back -------------+  +------- prepare ------+
**
** IDLE      does not hold the writer lock; may have savepoints, which mean the begin
** CLEAN     holds it; nothing has changed since the last commit
** FIRST     the first change is under way: should its call fail, everything is given back, and the lock
** CHANGED   has changes; the journal knows nothing of them
** PREPARED  the journal's last record says just what the tree says
** STALE     ... or did, before the last change
** A rollback to a savepoint leads to CLEAN or CHANGED; with a prepare, to STALE.
** OWNS all it points to.  THREADS: the handle's txn_mutex guards it.
** INVARIANT: `prepared` is not NULL exactly in PREPARED and STALE.
*/
#ifndef SDB_TRANSACTION_H
#define SDB_TRANSACTION_H

#include "pure/change_list.h"
#include "pure/patch.h"
#include "pure/ranges.h"
#include "pure/record.h"
#include "space/overlay.h"
#include "space/space.h"
#include "txn/delta.h"

enum sdb_life { SDB_IDLE, SDB_CLEAN, SDB_FIRST, SDB_CHANGED, SDB_PREPARED, SDB_STALE };

/* An open savepoint. */
typedef struct sdb_mark {
  int level;
  int highest;          /* level of it and all older marks */
  sdb_catalog *catalog; /* the state at the mark; NULL: as at the transaction's begin */
  sdb_patch patch;      /* overwrites from the mark before to this one */
} sdb_mark;
#define SDB_NO_LEVEL (-1)

typedef struct sdb_tail sdb_tail; /* append.h */

typedef struct sdb_txn {
  enum sdb_life life;
  int failed_level; /* of the savepoint that could not be set, if nothing has changed since; else SDB_NO_LEVEL */
  uint64_t epoch;   /* nodes of the tree that are of this epoch are the transaction's own */
  uint64_t generation;
  sdb_tree tree;
  sdb_patch patch; /* overwrites since the newest mark */
  sdb_mark *marks; /* oldest first */
  size_t mark_count, mark_capacity;
  sdb_range_pool direct_pool;
  sdb_range_set direct;               /* bytes written to `data` and not known to be durable */
  sdb_change_list touched;            /* of regions that have moved: touched.h */
  size_t touched_most;                /* so many items, and it is coarsened */
  sdb_tail *open_tails, *oldest_tail; /* a list, newest first; not empty in CHANGED and STALE only */
  /* PREPARED and STALE */
  sdb_catalog *prepared;
  sdb_delta delta;        /* what its record says, until it is published */
  sdb_layer *spare_layer; /* memory that publishing may need */
  uint16_t record_kind;
  sdb_token token;
  sdb_file_uuid file;  /* the SQLite file whose commit it is ... */
  uint32_t durability; /* ... and how that one is made durable */
  uint64_t position;   /* of its record */
} sdb_txn;

void sdb_txn_init(sdb_txn *txn);
void sdb_txn_destroy(sdb_txn *txn); /* IDLE */

/* Does it hold the writer lock? */
static inline bool sdb_txn_is_open(const sdb_txn *txn) {
  return txn->life != SDB_IDLE;
}
/* Would a commit write something? */
static inline bool sdb_txn_has_changes(const sdb_txn *txn) {
  return txn->life >= SDB_FIRST;
}
static inline bool sdb_txn_has_prepared(const sdb_txn *txn) {
  return txn->life >= SDB_PREPARED;
}

/* ---- transitions; each asserts where the transaction stands */

/* IDLE -> CLEAN.  Takes the tree over. */
void sdb_txn_set_open(sdb_txn *txn, sdb_tree tree, uint64_t generation, uint64_t epoch);
/* Something is about to change: CLEAN -> FIRST, PREPARED -> STALE. */
void sdb_txn_set_changing(sdb_txn *txn);
/* The call is done: FIRST -> CHANGED. */
void sdb_txn_set_done(sdb_txn *txn);
/* FIRST, CHANGED, STALE or (prepared anew) PREPARED -> PREPARED.  Takes catalog and delta over; an older prepare was
** let go. */
void sdb_txn_set_prepared(sdb_txn *txn, sdb_catalog *catalog, const sdb_delta *delta, uint16_t record_kind);
/* PREPARED or STALE -> CHANGED, or CLEAN if the tree is `committed`.  Returns the catalog, and frees the delta. */
sdb_catalog *sdb_txn_set_unprepared(sdb_txn *txn, const sdb_tree *committed);
/* The tree has become an older one again: -> STALE if there is a prepare, else CLEAN if it is `committed`, else
** CHANGED. */
void sdb_txn_set_back(sdb_txn *txn, const sdb_tree *committed);
/* -> IDLE.  Without a prepare and open tails, and with the tree dropped. */
void sdb_txn_set_idle(sdb_txn *txn);

/* ---- overwrites, which stand in one patch for each mark and one for what came after */

/* Which patch of marks `first` to the newest, and the transaction's own, takes the others up; *ranges: how many these
** have. */
sdb_patch *sdb_txn_patch_base(sdb_txn *txn, size_t first, size_t *ranges);
/* Merge them into txn->patch.  `base` (as above) has reserved memory for the others' ranges. */
void sdb_txn_merge_patches(sdb_txn *txn, size_t first, sdb_patch *base);
/* Lay the overwrites over the bytes of [offset, offset + bytes). */
void sdb_txn_lay_patches(const sdb_txn *txn, uint64_t offset, void *buffer, size_t bytes);
/* The first byte of [offset, end) that is overwritten; `end` if none is. */
uint64_t sdb_txn_first_patched(const sdb_txn *txn, uint64_t offset, uint64_t end);

#endif /* SDB_TRANSACTION_H */
