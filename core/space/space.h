/* SPDX-License-Identifier: MIT
**
** space.h: who may use which bytes of `data`: holes, pending holes, and what the journal pins.  Layer 2: memory only.
** This is the core rule (R1) as one interface; every allocation, direct write, punch and cut asks here.
**
** LIVE CATALOGS.  A catalog is live while something could need its bytes again: the last commit, snapshots, open
** savepoints, a prepared but undecided state.  They stand in one list, oldest first.  The transaction under change
** is not in the list; its tree is passed in.
** PENDING.  An extent that the transaction gives up goes to the newest live catalog that still sees it.  When that
** catalog dies, the extent goes to the next older one that sees it, else it is released: into the holes, or, while a
** record still in the journal has ranges in it (recovery would write them), to the list of held extents until the
** next checkpoint.
** INVARIANT (checked in test builds before each commit):
**   reserved(transaction) + holes + pending + held + leaked == end
** Giving up never fails: without memory the extent is leaked until the database is opened anew.
** THREADS: the store's mutex guards all of it.
*/
#ifndef SDB_SPACE_H
#define SDB_SPACE_H

#include "space/tree.h"
#include "pure/ranges.h"

typedef struct sdb_pending sdb_pending;

enum sdb_catalog_kind { SDB_CATALOG_COMMITTED, SDB_CATALOG_SAVEPOINT, SDB_CATALOG_PREPARED };

/* One live catalog: an immutable tree, and the extents it was the last to see. */
typedef struct sdb_catalog {
  struct sdb_catalog *older, *newer;
  uint64_t refs;
  enum sdb_catalog_kind kind;
  uint64_t generation;
  sdb_tree tree;
  sdb_pending *pending;
  uint64_t pending_bytes;
} sdb_catalog;

typedef struct sdb_space {
  sdb_names *names;
  sdb_range_pool pool;
  sdb_range_set holes;     /* free to use, below `end` */
  sdb_range_set redo;      /* byte ranges of records still in the journal */
  sdb_range_set unpunched; /* released since the last punching; may hold disk blocks */
  sdb_pending *held;       /* released, but pinned by the journal until the next checkpoint */
  sdb_pending *slack;      /* parts of reserves that a truncation left behind, to be punched ... */
  sdb_pending *slack_kept; /* ... and those an old snapshot still sees, or the journal pins */
  uint64_t held_bytes, pending_bytes, leaked_bytes;
  uint64_t end; /* no extent reaches beyond */
  sdb_catalog *oldest, *newest;
  sdb_pending *spare; /* set aside by reserve_give_up() */
} sdb_space;

void sdb_space_init(sdb_space *space, sdb_names *names);
/* Every catalog must be gone. */
void sdb_space_destroy(sdb_space *space);
/* Holes of a freshly read catalog: `extents`, sorted and disjoint, are in use.  SEQDB_NOMEM: destroy and give up. */
int sdb_space_load(sdb_space *space, const sdb_range *extents, size_t count);

/* ---- catalogs */
/* A new, newest live catalog with one reference; takes over the reference in *tree.  NULL: out of memory (the tree stays the
** caller's). */
sdb_catalog *sdb_catalog_new(sdb_space *space, sdb_tree *tree, enum sdb_catalog_kind kind, uint64_t generation);
void sdb_catalog_ref(sdb_catalog *catalog);
/* The oldest committed generation that somebody may still read.  There is always the last commit's.  `held` (may be NULL) does not
** count if nobody else refers to it. */
uint64_t sdb_space_oldest_generation(const sdb_space *space, const sdb_catalog *held);
/* The last reference lets the catalog die and its pending extents move on.  NULL is allowed. */
void sdb_catalog_unref(sdb_space *space, sdb_catalog *catalog);

/* ---- allocation (multiples of a page) */
/* Best-fitting hole, else the end.  *dirty (may be NULL): it may hold disk blocks of what was there before.  SEQDB_FULL past the
** largest offset, SEQDB_NOMEM; both change nothing. */
int sdb_space_alloc(sdb_space *space, uint64_t bytes, uint64_t *start, bool *dirty);
/* Bytes that could be allocated directly from `at` on: UINT64_MAX if `at` is the end, 0 if another extent begins. */
uint64_t sdb_space_room_at(const sdb_space *space, uint64_t at);
/* Allocate exactly [start, start + bytes), within room_at(). */
int sdb_space_alloc_at(sdb_space *space, uint64_t start, uint64_t bytes, bool *dirty);
/* Memory for the next give_up() of this extent, if a live catalog sees it: without it a rollback could not take it back. */
int sdb_space_reserve_give_up(sdb_space *space, uint32_t index, uint64_t start, uint64_t bytes);
/* The transaction gives up an extent of entry `index`.  Never fails. */
void sdb_space_give_up(sdb_space *space, uint32_t index, uint64_t start, uint64_t bytes);
/* The transaction goes back to the tree of live catalog `to`: what that tree owns is pending no longer.  The caller
** has let newer savepoints die before, and afterwards gives up what the abandoned state owned and `to` does not. */
void sdb_space_take_back(sdb_space *space, sdb_catalog *to);

/* ---- the core rule */
/* Bytes of entry `index` from its start on that some live catalog can see: a direct write must lie at or past it. */
uint64_t sdb_space_visible_bytes(const sdb_space *space, uint32_t index, uint64_t start);
/* Record ranges that go into the journal.  SEQDB_NOMEM: some may be pinned (harmless). */
int sdb_space_pin(sdb_space *space, uint64_t offset, uint64_t bytes);
/* The journal is empty: release what was held. */
void sdb_space_unpin_all(sdb_space *space);
/* The whole rule by brute force, for assertions: no live catalog (nor `own`, unless NULL) has a length over [offset, offset +
** bytes), and no record range is in it. */
bool sdb_space_may_write(const sdb_space *space, uint64_t offset, uint64_t bytes, const sdb_tree *own);
/* No live catalog and not `own` (unless NULL) reserves any of it.  Brute force, for assertions. */
bool sdb_space_is_unreserved(const sdb_space *space, uint64_t offset, uint64_t bytes, const sdb_tree *own);
/* After going back to `own`: what was leaked for lack of memory may be owned again. */
void sdb_space_recount_leaked(sdb_space *space, const sdb_tree *own);
bool sdb_space_adds_up(const sdb_space *space, const sdb_tree *own);

/* ---- punching */
/* Remember that entry `index`, of this start, may hold blocks from `length` (or what will be seen of it then) up to
** `old_length`: it was cut, or its extent came unpunched. */
void sdb_space_note_cut(sdb_space *space, uint32_t index, uint64_t start, uint64_t length, uint64_t old_length);
/* Next range that may be punched now, taken off the list; false when there is none.  Page-aligned. */
bool sdb_space_next_punch(sdb_space *space, sdb_range *range);

/* Walk pending extents: of every live catalog, then the held ones.  Start with *cursor = NULL. */
struct sdb_pending {
  sdb_pending *next;
  uint64_t start, bytes;
  uint32_t index;
};

#endif /* SDB_SPACE_H */
