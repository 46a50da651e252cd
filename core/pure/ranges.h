/* SPDX-License-Identifier: MIT
**
** ranges.h: sets of disjoint byte ranges, ordered by offset and, on request, by size.  Pure: no I/O.
** Used for holes, for pending space, for what records in the journal would write and for what awaits
** punching.  Adjacent ranges coalesce.  Nodes come from a pool, so that operations that must not fail can be given
** their memory beforehand.
** THREADS: none of its own; the owner serializes.
*/
#ifndef SDB_RANGES_H
#define SDB_RANGES_H

#include "base/base.h"

typedef struct sdb_range {
  uint64_t start, bytes; /* bytes > 0, start + bytes <= SDB_OFFSET_MAX */
} sdb_range;

/* ---- pool: a store of unused nodes.  Several sets may share one. */
typedef struct sdb_range_node sdb_range_node;
typedef struct sdb_range_pool {
  sdb_range_node *unused;
  size_t unused_count;
} sdb_range_pool;
void sdb_range_pool_init(sdb_range_pool *pool);
/* Make sure that `count` unused nodes are there: the next `count` node uses cannot fail.  SEQDB_NOMEM changes nothing.
** Each add or remove below uses at most ONE node more than it frees. */
int sdb_range_pool_reserve(sdb_range_pool *pool, size_t count);
/* Give unused nodes beyond `keep` back to the allocator. */
void sdb_range_pool_trim(sdb_range_pool *pool, size_t keep);
void sdb_range_pool_destroy(sdb_range_pool *pool);

/* ---- set */
typedef struct sdb_range_set {
  void *by_offset; /* roots of the two trees */
  void *by_size;
  sdb_range_pool *pool;
  size_t count;
  uint64_t total_bytes;
  bool sized; /* keep the by-size tree (needed for best_fit) */
} sdb_range_set;

void sdb_range_set_init(sdb_range_set *set, sdb_range_pool *pool, bool sized);
/* Put all nodes back into the pool. */
void sdb_range_set_clear(sdb_range_set *set);

/* Add [start, start + bytes): what is in it already stays.  SEQDB_NOMEM (only if the pool is empty and malloc fails)
** changes nothing. */
int sdb_range_add(sdb_range_set *set, uint64_t start, uint64_t bytes);
/* Remove [start, start + bytes): what is not in it is ignored.  Same errors. */
int sdb_range_remove(sdb_range_set *set, uint64_t start, uint64_t bytes);

/* First member range that overlaps [start, start + bytes), cut to it (`found` may be NULL).  false if there is none. */
bool sdb_range_overlap(const sdb_range_set *set, uint64_t start, uint64_t bytes, sdb_range *found);
/* true if all of [start, start + bytes) is in the set. */
bool sdb_range_contains(const sdb_range_set *set, uint64_t start, uint64_t bytes);
/* Member range (whole) with the smallest start >= `from`, for iteration: go on with found->start + found->bytes. */
bool sdb_range_next(const sdb_range_set *set, uint64_t from, sdb_range *found);
/* Member range that contains byte `at`, whole. */
bool sdb_range_at(const sdb_range_set *set, uint64_t at, sdb_range *found);
bool sdb_range_last(const sdb_range_set *set, sdb_range *found);
/* Smallest range of at least `bytes`; the lowest offset among equals.  The set must be sized. */
bool sdb_range_best_fit(const sdb_range_set *set, uint64_t bytes, sdb_range *found);
bool sdb_range_largest(const sdb_range_set *set, sdb_range *found);
/* Lowest range of at least `bytes` that starts below `limit` (linear in the number of ranges: compaction only). */
bool sdb_range_first_fit(const sdb_range_set *set, uint64_t bytes, uint64_t limit, sdb_range *found);

#endif /* SDB_RANGES_H */
