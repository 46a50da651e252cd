/* SPDX-License-Identifier: MIT
**
** ranges.c: sets of disjoint byte ranges, and the pool their nodes come from.  See ranges.h.
**
** One node is one range and hangs in one or two red-black trees: ordered by start, and (sized sets) by bytes, then
** start.  So look-ups by offset and best fit are both O(log n), and growing a range costs one re-insertion
** in the size tree and none in the offset tree, because neighbours never change order.
**
** Owns: the nodes, in the pool or in a set.
** THREADS: none of its own; the owner serializes.
** INVARIANTS: ranges are not empty, do not overlap and do not touch (touching ones are one range); both trees hold
** the same nodes; count and total_bytes are theirs.
*/
#include "pure/ranges.h"

#include "os/os.h"
#include "base/rbtree.h"

struct sdb_range_node {
  union {
    RB_ENTRY(sdb_range_node) offset_link; /* in a set */
    sdb_range_node *next_unused;          /* in the pool */
  };
  RB_ENTRY(sdb_range_node) size_link;
  uint64_t start, bytes;
};

static int compare_offset(const sdb_range_node *a, const sdb_range_node *b) {
  return (a->start > b->start) - (a->start < b->start);
}

static int compare_size(const sdb_range_node *a, const sdb_range_node *b) {
  if (a->bytes != b->bytes) return a->bytes > b->bytes ? 1 : -1;
  return compare_offset(a, b);
}

RB_HEAD(offset_tree, sdb_range_node);
RB_HEAD(size_tree, sdb_range_node);
SDB_RB_GENERATE(offset_tree, sdb_range_node, offset_link, compare_offset)
SDB_RB_GENERATE(size_tree, sdb_range_node, size_link, compare_size)

/* ---- pool ---- */

void sdb_range_pool_init(sdb_range_pool *pool) {
  pool->unused = NULL;
  pool->unused_count = 0;
}

static void pool_put(sdb_range_pool *pool, sdb_range_node *node) {
  node->next_unused = pool->unused;
  pool->unused = node;
  pool->unused_count++;
}

/* NULL only if the pool is empty and the allocator fails. */
static sdb_range_node *pool_take(sdb_range_pool *pool) {
  sdb_range_node *node = pool->unused;
  if (node == NULL) return sdb_malloc(sizeof *node);
  pool->unused = node->next_unused;
  pool->unused_count--;
  return node;
}

int sdb_range_pool_reserve(sdb_range_pool *pool, size_t count) {
  size_t had = pool->unused_count;
  while (pool->unused_count < count) {
    sdb_range_node *node = sdb_malloc(sizeof *node);
    if (node == NULL) {
      sdb_range_pool_trim(pool, had);
      return SEQDB_NOMEM;
    }
    pool_put(pool, node);
  }
  return SEQDB_OK;
}

void sdb_range_pool_trim(sdb_range_pool *pool, size_t keep) {
  while (pool->unused_count > keep)
    sdb_free(pool_take(pool));
}

void sdb_range_pool_destroy(sdb_range_pool *pool) {
  sdb_range_pool_trim(pool, 0);
}

/* ---- the trees of a set ---- */

static void link_offset(sdb_range_set *set, sdb_range_node *node) {
  struct offset_tree tree = {set->by_offset};
  RB_INSERT(offset_tree, &tree, node);
  set->by_offset = RB_ROOT(&tree);
}

static void unlink_offset(sdb_range_set *set, sdb_range_node *node) {
  struct offset_tree tree = {set->by_offset};
  RB_REMOVE(offset_tree, &tree, node);
  set->by_offset = RB_ROOT(&tree);
}

static void link_size(sdb_range_set *set, sdb_range_node *node) {
  if (!set->sized) return;
  struct size_tree tree = {set->by_size};
  RB_INSERT(size_tree, &tree, node);
  set->by_size = RB_ROOT(&tree);
}

static void unlink_size(sdb_range_set *set, sdb_range_node *node) {
  if (!set->sized) return;
  struct size_tree tree = {set->by_size};
  RB_REMOVE(size_tree, &tree, node);
  set->by_size = RB_ROOT(&tree);
}

static void insert(sdb_range_set *set, sdb_range_node *node, uint64_t start, uint64_t bytes) {
  node->start = start;
  node->bytes = bytes;
  link_offset(set, node);
  link_size(set, node);
  set->count++;
  set->total_bytes += bytes;
}

static void erase(sdb_range_set *set, sdb_range_node *node) {
  unlink_size(set, node);
  unlink_offset(set, node);
  set->count--;
  set->total_bytes -= node->bytes;
  pool_put(set->pool, node);
}

/* Give the node another range, one that stands where it stood among its neighbours. */
static void resize(sdb_range_set *set, sdb_range_node *node, uint64_t start, uint64_t bytes) {
  unlink_size(set, node);
  set->total_bytes += bytes - node->bytes;
  node->start = start;
  node->bytes = bytes;
  link_size(set, node);
}

static uint64_t end_of(const sdb_range_node *node) {
  return node->start + node->bytes;
}

static sdb_range_node *next_node(sdb_range_node *node) {
  return RB_NEXT(offset_tree, NULL, node);
}

/* The first node with start >= at. */
static sdb_range_node *first_from(const sdb_range_set *set, uint64_t at) {
  sdb_range_node *node = set->by_offset, *found = NULL;
  while (node != NULL) {
    if (node->start >= at) {
      found = node;
      node = RB_LEFT(node, offset_link);
    } else {
      node = RB_RIGHT(node, offset_link);
    }
  }
  return found;
}

/* The first node with end > at.  Ends are in the order of starts, so one descent finds it. */
static sdb_range_node *first_beyond(const sdb_range_set *set, uint64_t at) {
  sdb_range_node *node = set->by_offset, *found = NULL;
  while (node != NULL) {
    if (end_of(node) > at) {
      found = node;
      node = RB_LEFT(node, offset_link);
    } else {
      node = RB_RIGHT(node, offset_link);
    }
  }
  return found;
}

/* Copy the node's range out; false for no node. */
static bool tell(const sdb_range_node *node, sdb_range *found) {
  if (node == NULL) return false;
  found->start = node->start;
  found->bytes = node->bytes;
  return true;
}

/* ---- changes ---- */

void sdb_range_set_init(sdb_range_set *set, sdb_range_pool *pool, bool sized) {
  *set = (sdb_range_set){.pool = pool, .sized = sized};
}

void sdb_range_set_clear(sdb_range_set *set) {
  sdb_range_node *node = set->by_offset;
  while (node != NULL) { /* leaves first, without rebalancing: O(n) */
    sdb_range_node *parent;
    if (RB_LEFT(node, offset_link) != NULL) {
      node = RB_LEFT(node, offset_link);
      continue;
    }
    if (RB_RIGHT(node, offset_link) != NULL) {
      node = RB_RIGHT(node, offset_link);
      continue;
    }
    parent = RB_PARENT(node, offset_link);
    if (parent != NULL) {
      if (RB_LEFT(parent, offset_link) == node) {
        RB_LEFT(parent, offset_link) = NULL;
      } else {
        RB_RIGHT(parent, offset_link) = NULL;
      }
    }
    pool_put(set->pool, node);
    node = parent;
  }
  sdb_range_set_init(set, set->pool, set->sized);
}

int sdb_range_add(sdb_range_set *set, uint64_t start, uint64_t bytes) {
  assert(bytes <= SDB_OFFSET_MAX && start <= SDB_OFFSET_MAX - bytes);
  if (bytes == 0) return SEQDB_OK;
  uint64_t end = start + bytes;
  sdb_range_node *node = first_beyond(set, start > 0 ? start - 1 : 0); /* touching counts */
  if (node == NULL || node->start > end) {
    node = pool_take(set->pool);
    if (node == NULL) return SEQDB_NOMEM;
    insert(set, node, start, bytes);
    return SEQDB_OK;
  }
  uint64_t first = SDB_MIN(start, node->start);
  uint64_t last = SDB_MAX(end, end_of(node));
  for (sdb_range_node *other = next_node(node), *after; other != NULL && other->start <= end; other = after) {
    after = next_node(other);
    last = SDB_MAX(last, end_of(other));
    erase(set, other);
  }
  if (first != node->start || last != end_of(node)) resize(set, node, first, last - first);
  return SEQDB_OK;
}

int sdb_range_remove(sdb_range_set *set, uint64_t start, uint64_t bytes) {
  assert(bytes <= SDB_OFFSET_MAX && start <= SDB_OFFSET_MAX - bytes);
  if (bytes == 0) return SEQDB_OK;
  uint64_t end = start + bytes;
  for (sdb_range_node *node = first_beyond(set, start), *after; node != NULL && node->start < end; node = after) {
    uint64_t node_end = end_of(node);
    after = next_node(node);
    if (node->start < start && node_end > end) { /* the only one: nothing was changed before */
      sdb_range_node *right = pool_take(set->pool);
      if (right == NULL) return SEQDB_NOMEM;
      resize(set, node, node->start, start - node->start);
      insert(set, right, end, node_end - end);
    } else if (node->start < start) {
      resize(set, node, node->start, start - node->start);
    } else if (node_end > end) {
      resize(set, node, end, node_end - end);
    } else {
      erase(set, node);
    }
  }
  return SEQDB_OK;
}

/* ---- look-ups ---- */

bool sdb_range_overlap(const sdb_range_set *set, uint64_t start, uint64_t bytes, sdb_range *found) {
  assert(bytes <= SDB_OFFSET_MAX && start <= SDB_OFFSET_MAX - bytes);
  const sdb_range_node *node = first_beyond(set, start);
  uint64_t end = start + bytes;
  if (node == NULL || bytes == 0 || node->start >= end) return false;
  if (found == NULL) return true;
  found->start = SDB_MAX(start, node->start);
  found->bytes = SDB_MIN(end, end_of(node)) - found->start;
  return true;
}

bool sdb_range_contains(const sdb_range_set *set, uint64_t start, uint64_t bytes) {
  assert(bytes <= SDB_OFFSET_MAX && start <= SDB_OFFSET_MAX - bytes);
  if (bytes == 0) return true;
  const sdb_range_node *node = first_beyond(set, start);
  return node != NULL && node->start <= start && start + bytes <= end_of(node);
}

bool sdb_range_next(const sdb_range_set *set, uint64_t from, sdb_range *found) {
  return tell(first_from(set, from), found);
}

bool sdb_range_at(const sdb_range_set *set, uint64_t at, sdb_range *found) {
  const sdb_range_node *node = first_beyond(set, at);
  return tell(node != NULL && node->start <= at ? node : NULL, found);
}

bool sdb_range_last(const sdb_range_set *set, sdb_range *found) {
  const sdb_range_node *node = set->by_offset;
  while (node != NULL && RB_RIGHT(node, offset_link) != NULL)
    node = RB_RIGHT(node, offset_link);
  return tell(node, found);
}

bool sdb_range_best_fit(const sdb_range_set *set, uint64_t bytes, sdb_range *found) {
  assert(set->sized);
  const sdb_range_node *node = set->by_size, *best = NULL;
  while (node != NULL) {
    if (node->bytes >= bytes) {
      best = node;
      node = RB_LEFT(node, size_link);
    } else {
      node = RB_RIGHT(node, size_link);
    }
  }
  return tell(best, found);
}

bool sdb_range_largest(const sdb_range_set *set, sdb_range *found) {
  assert(set->sized);
  const sdb_range_node *node = set->by_size;
  while (node != NULL && RB_RIGHT(node, size_link) != NULL)
    node = RB_RIGHT(node, size_link);
  return tell(node, found);
}

bool sdb_range_first_fit(const sdb_range_set *set, uint64_t bytes, uint64_t limit, sdb_range *found) {
  sdb_range_node *node = first_from(set, 0);
  while (node != NULL && node->start < limit) {
    if (node->bytes >= bytes) return tell(node, found);
    node = next_node(node);
  }
  return false;
}
