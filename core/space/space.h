/* SPDX-License-Identifier: MIT
**
** space.h: who may use which bytes of `data`: the core rule (R1) as one interface.  Every allocation, direct write,
** punch and cut asks here.
**
** An extent is in exactly one of these states:
**
**                 alloc                     give_up                    the last catalog that sees it dies
**     hole  ------------------>  reserved  ------------->  pending  ------------------------------------------.
**      ^                        (transaction)             (catalog.h)                                         |
**      |       release_redo (checkpoint)                              a record has ranges in it?              |
**      |   .-----------------  held  <----------------------------------------- yes --------------------------+
**      |   v                                                                                                  |
**      +- may a member in another process see it?  <----------------------------- no -------------------------'
**      |   v  yes
**      '- withheld, until nobody pins a generation before the one that gave it up (withheld.h)
**
** INVARIANT (adds_up): reserved by the transaction + holes + pending + held + withheld + leaked == end.
** Giving up never fails: without memory the extent is leaked until the database is opened anew.
** OWNS the sets, the live catalogs and everything pending.
** THREADS: the store's mutex guards all of it.
*/
#ifndef SDB_SPACE_H
#define SDB_SPACE_H

#include "space/catalog.h"
#include "space/unpunched.h"
#include "space/withheld.h"

typedef struct sdb_space {
  sdb_names *names;
  sdb_range_pool pool;
  sdb_range_set holes; /* free to use, below `end` */
  sdb_range_set redo;  /* ranges of records still in the journal: recovery would write them */
  sdb_pending *held;   /* extents that nobody sees, with such a range in them */
  uint64_t held_bytes, leaked_bytes;
  sdb_withheld withheld;
  uint64_t end; /* no extent reaches beyond */
  sdb_catalogs catalogs;
  sdb_unpunched unpunched;
  sdb_pending *spare; /* set aside by reserve_give_up() */
} sdb_space;

void sdb_space_init(sdb_space *space, sdb_names *names);
/* Every catalog must be gone. */
void sdb_space_destroy(sdb_space *space);
/* Holes of a freshly read catalog: `extents`, sorted and disjoint, are in use.  SEQDB_NOMEM: destroy and give up. */
int sdb_space_load(sdb_space *space, const sdb_range *extents, size_t count);

/* ---- live catalogs */

/* The last reference lets the catalog die and its pending extents move on.  NULL is allowed. */
void sdb_space_unref(sdb_space *space, sdb_catalog *catalog);
/* The oldest committed generation that somebody may still read.  `held` (may be NULL) does not count if nobody else
** refers to it. */
uint64_t sdb_space_oldest_generation(const sdb_space *space, const sdb_catalog *held);
/* Bytes of entry `index` from its start on that some live catalog can see: a direct write must lie at or past it. */
uint64_t sdb_space_visible_bytes(const sdb_space *space, uint32_t index, uint64_t start);

/* ---- allocation (multiples of a page) */

/* Best-fitting hole, else the end.  *dirty (may be NULL): it may hold disk blocks of what was there
** before.  SEQDB_FULL past the largest offset, SEQDB_NOMEM; both change nothing. */
int sdb_space_alloc(sdb_space *space, uint64_t bytes, uint64_t *start, bool *dirty);
/* Bytes that could be allocated directly from `at` on: UINT64_MAX if `at` is the end, 0 if another extent begins. */
uint64_t sdb_space_room_at(const sdb_space *space, uint64_t at);
/* Allocate exactly [start, start + bytes), within room_at(). */
int sdb_space_alloc_at(sdb_space *space, uint64_t start, uint64_t bytes, bool *dirty);

/* ---- giving up */

/* Memory for the next give_up() of this extent, if a live catalog sees it: without it a rollback could not take it
** back. */
int sdb_space_reserve_give_up(sdb_space *space, uint32_t index, uint64_t start, uint64_t bytes);
/* The transaction gives up an extent of entry `index`.  Never fails. */
void sdb_space_give_up(sdb_space *space, uint32_t index, uint64_t start, uint64_t bytes);
/* The transaction goes back to the tree of live catalog `to`: what that tree owns is pending no longer.  The caller
** has let newer savepoints die before, and afterwards gives up what the abandoned state owned and `to` does not. */
void sdb_space_take_back(sdb_space *space, sdb_catalog *to);

/* ---- members in other processes */

/* What `generation` or an older one gave up, no other member sees: it is free (S4).  UINT64_MAX, as at first: there is
** none.  A smaller one than before takes nothing back. */
void sdb_space_set_reusable(sdb_space *space, uint64_t generation);
/* Another member made the last commit's tree `before` into `after`; `before` is that of the newest live catalog still.
** Without memory space is leaked. */
void sdb_space_follow(sdb_space *space, const sdb_tree *before, const sdb_tree *after);
/* A record of another member's that was dropped has this range, perhaps in an extent that was never anybody's: what of
** it is free is held, like the range.  After sdb_space_hold_redo(). */
void sdb_space_set_aside(sdb_space *space, uint64_t offset, uint64_t bytes);
/* The same where nobody knows what came in between: the newest live catalog has the state reached, `end` is where
** others have reserved `data` to, `redo` are the ranges of records in the journal, and all that is free was given up by
** the newest commit, for all we know.  Live catalogs keep what they see.  NOMEM changes nothing. */
int sdb_space_rebuild(sdb_space *space, uint64_t end, const sdb_range_set *redo);

/* ---- ranges of records in the journal */

/* A record is going to carry this range: nothing may be written there directly until the journal is
** empty.  SEQDB_NOMEM: some of it may be held (harmless). */
int sdb_space_hold_redo(sdb_space *space, uint64_t offset, uint64_t bytes);
/* The journal is empty: what was held is free. */
void sdb_space_release_redo(sdb_space *space);
/* The journal begins anew with these ranges: what was held for others is free.  NOMEM changes nothing. */
int sdb_space_renew_redo(sdb_space *space, const sdb_range_set *redo);

/* ---- punching: see unpunched.h */

/* Entry `index`, of this start, may hold blocks from `length` up to `old_length`: it was cut, or its extent came
** unpunched. */
void sdb_space_note_cut(sdb_space *space, uint32_t index, uint64_t start, uint64_t length, uint64_t old_length);
/* Next range that may be punched now, taken off the list; false when there is none.  Page-aligned. */
bool sdb_space_next_punch(sdb_space *space, sdb_range *range);

/* ---- the rules by brute force: for assertions and check */

/* R1: no live catalog (nor `own`, unless NULL) has a length over [offset, offset + bytes), and no record range is in
** it. */
bool sdb_space_may_write(const sdb_space *space, uint64_t offset, uint64_t bytes, const sdb_tree *own);
/* R1: no live catalog and not `own` (unless NULL) reserves any of it. */
bool sdb_space_is_unreserved(const sdb_space *space, uint64_t offset, uint64_t bytes, const sdb_tree *own);
/* The invariant; `own` is the transaction's tree, or the last commit's if there is no transaction. */
bool sdb_space_adds_up(const sdb_space *space, const sdb_tree *own);
/* What is in no other state is leaked. */
void sdb_space_recount(sdb_space *space, const sdb_tree *own);
/* After going back to `own`: what was leaked for lack of memory may be owned again. */
void sdb_space_recount_leaked(sdb_space *space, const sdb_tree *own);

#endif /* SDB_SPACE_H */
