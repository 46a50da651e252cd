/* SPDX-License-Identifier: MIT
**
** unpunched.h: what may hold disk blocks although nobody needs the bytes: it waits to be punched.
**
**     | region's bytes | slack | reserved, never written |   hole, was used   |   hole, punched   |
**     |<------------- reserve of a region -------------->|    unpunched.holes |
**
** HOLES: free since the last punching.  They are also what an allocation asks about: a region there may find old bytes.
** SLACK: parts of reserves past the region's length that may hold blocks, after a cut or in an extent that came
** unpunched.  What an old catalog still sees of it, or a record would write, is kept for a later time.  Losing an item
** for lack of memory costs disk blocks and no safety.
** OWNS its items; nodes of the set come from the space's pool.
** THREADS: the store's mutex guards all of it.
*/
#ifndef SDB_UNPUNCHED_H
#define SDB_UNPUNCHED_H

#include "pure/ranges.h"
#include "space/catalog.h"

typedef struct sdb_slack sdb_slack;

typedef struct sdb_unpunched {
  sdb_range_set holes;
  sdb_slack *slack; /* to be looked at */
  sdb_slack *kept;  /* looked at, and not to be punched yet */
} sdb_unpunched;

void sdb_unpunched_init(sdb_unpunched *unpunched, sdb_range_pool *pool);
void sdb_unpunched_destroy(sdb_unpunched *unpunched);
void sdb_unpunched_add_hole(sdb_unpunched *unpunched, uint64_t start, uint64_t bytes);
/* The range is allocated: forget it.  Tells whether any of it was there.  Needs one node of the pool. */
bool sdb_unpunched_take(sdb_unpunched *unpunched, uint64_t start, uint64_t bytes);
/* Entry `index`, of this start, may hold blocks from `length` (or what will be seen of it then) up to `old_length`. */
void sdb_unpunched_note_cut(sdb_unpunched *unpunched, uint32_t index, uint64_t start, uint64_t length,
                            uint64_t old_length);
/* Next range that may be punched now, taken off; false when there is none.  Page-aligned.  `redo`: what records would
** write. */
bool sdb_unpunched_next(sdb_unpunched *unpunched, const sdb_catalogs *catalogs, const sdb_range_set *redo,
                        sdb_range *range);

#endif /* SDB_UNPUNCHED_H */
