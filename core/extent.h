/* SPDX-License-Identifier: MIT
**
** extent.h: sets of disjoint byte ranges, ordered by offset and, on request, by size.  Layer 1: pure, no I/O.
** Used for holes, for pending space, for what the journal pins and for what awaits punching.  Adjacent ranges coalesce.
** Nodes come from a pool, so that operations that must not fail can be given their memory beforehand.
** THREADS: none of its own; the owner serializes.
*/
#ifndef SDB_EXTENT_H
#define SDB_EXTENT_H

#include "base.h"

typedef struct sdb_extent {
  uint64_t start, bytes; /* bytes > 0, start + bytes <= SDB_OFFSET_MAX */
} sdb_extent;

/* ---- pool: a store of unused nodes.  Several sets may share one. */
typedef struct sdb_extent_node sdb_extent_node;
typedef struct sdb_extent_pool {
  sdb_extent_node *unused;
  size_t unused_count;
} sdb_extent_pool;
void sdb_extent_pool_init(sdb_extent_pool *pool);
/* Make sure that `count` unused nodes are there: the next `count` node uses cannot fail.  SEQDB_NOMEM changes nothing.
** Each add or remove below uses at most ONE node more than it frees. */
int sdb_extent_pool_reserve(sdb_extent_pool *pool, size_t count);
/* Give unused nodes beyond `keep` back to the allocator. */
void sdb_extent_pool_trim(sdb_extent_pool *pool, size_t keep);
void sdb_extent_pool_destroy(sdb_extent_pool *pool);

/* ---- set */
typedef struct sdb_extent_set {
  void *by_offset; /* roots of the two trees */
  void *by_size;
  sdb_extent_pool *pool;
  size_t count;
  uint64_t total_bytes;
  bool sized; /* keep the by-size tree (needed for best_fit) */
} sdb_extent_set;

void sdb_extent_set_init(sdb_extent_set *set, sdb_extent_pool *pool, bool sized);
/* Put all nodes back into the pool. */
void sdb_extent_set_clear(sdb_extent_set *set);

/* Add [start, start + bytes): what is in it already stays.  SEQDB_NOMEM (only if the pool is empty and malloc fails)
** changes nothing. */
int sdb_extent_add(sdb_extent_set *set, uint64_t start, uint64_t bytes);
/* Remove [start, start + bytes): what is not in it is ignored.  Same errors. */
int sdb_extent_remove(sdb_extent_set *set, uint64_t start, uint64_t bytes);

/* First member range that overlaps [start, start + bytes), cut to it (`found` may be NULL).  false if there is none. */
bool sdb_extent_overlap(const sdb_extent_set *set, uint64_t start, uint64_t bytes, sdb_extent *found);
/* true if all of [start, start + bytes) is in the set. */
bool sdb_extent_contains(const sdb_extent_set *set, uint64_t start, uint64_t bytes);
/* Member range (whole) with the smallest start >= `from`, for iteration: go on with found->start + found->bytes. */
bool sdb_extent_next(const sdb_extent_set *set, uint64_t from, sdb_extent *found);
/* Member range that contains byte `at`, whole. */
bool sdb_extent_at(const sdb_extent_set *set, uint64_t at, sdb_extent *found);
bool sdb_extent_last(const sdb_extent_set *set, sdb_extent *found);
/* Smallest range of at least `bytes`; the lowest offset among equals.  The set must be sized. */
bool sdb_extent_best_fit(const sdb_extent_set *set, uint64_t bytes, sdb_extent *found);
bool sdb_extent_largest(const sdb_extent_set *set, sdb_extent *found);
/* Lowest range of at least `bytes` that starts below `limit` (linear in the number of ranges: compaction only). */
bool sdb_extent_first_fit(const sdb_extent_set *set, uint64_t bytes, uint64_t limit, sdb_extent *found);

#endif /* SDB_EXTENT_H */
