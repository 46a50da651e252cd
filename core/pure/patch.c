/* SPDX-License-Identifier: MIT
**
** patch.c: see patch.h.
**
**     red-black tree of blocks       [ ends 900 ] <----> [ ends 5200 ] <----> ...
**                                          |
**     a block: up to 64 ranges       | 100..108 | 300..364 | 880..900 |
**                                          |         |          |
**     chunks: their bytes            [ .......... 64 KiB, shared .......... ]
**
** A million small overwrites are some twenty thousand blocks, and a neighbour is next in memory.  Small writes share
** chunks, a large one has its own; to split a range copies nothing.  A write that falls wholly into one range
** replaces its bytes there: a counter rewritten a million times costs its eight bytes once.
** INVARIANTS: blocks in the tree are not empty; all ranges of a block lie before those of the next one; block->end is
** where its last range ends, block->first where its first one begins: a search guesses by both, and touches one range.
*/
#include "pure/patch.h"

#include "os/os.h"
#include "base/rbtree.h"

#define CHUNK_BYTES      65536u
#define CHUNK_MIN_BYTES  512u  /* a patch of few bytes takes little: there may be thousands, one for each savepoint */
#define CHUNK_SHARED_MAX 4096u /* larger writes get a chunk of their own */
#define BLOCK_RANGES     64u
#define GROUP_NODES      64u

struct sdb_patch_chunk {
  uint64_t refs; /* ranges, plus one while it is patch->chunk */
  size_t used, capacity;
  uint8_t bytes[];
};

struct range {
  uint64_t offset, bytes;
  uint8_t *data;
  sdb_patch_chunk *owner;
};

/* A block.  What a search reads on its way stands in a cache line of its own, and those of many blocks together. */
struct sdb_patch_node {
  RB_ENTRY(sdb_patch_node) link;
  uint64_t first, end; /* where the first range begins, and the last one ends */
  uint16_t count;
  uint16_t place;      /* in its group */
  struct range *range; /* BLOCK_RANGES */
};

/* Nodes that were allocated together; the last one that is freed takes it along. */
struct group {
  size_t live;
  sdb_patch_node node[];
};

static struct group *group_of(sdb_patch_node *node) {
  return (struct group *)(void *)((uint8_t *)(node - node->place) - offsetof(struct group, node));
}

static int compare(const sdb_patch_node *a, const sdb_patch_node *b) {
  return a->end < b->end ? -1 : a->end > b->end;
}
SDB_RB_GENERATE(sdb_patch_tree, sdb_patch_node, link, compare)

static uint64_t end_of(const struct range *range) {
  return range->offset + range->bytes;
}

/* After a change of the first or the last range. */
static void note_ends(sdb_patch_node *block) {
  if (block->count == 0) return;
  block->first = block->range[0].offset;
  block->end = end_of(&block->range[block->count - 1]);
}

/* ---- positions: a block and which range of it */

struct position {
  sdb_patch_node *block; /* NULL: behind everything */
  uint32_t at;
};

static struct range *range_at(struct position position) {
  return &position.block->range[position.at];
}

/* The first range of the block that ends after `from`; there is one.  A block is 2 KiB, mostly in no cache: two
** probes around where evenly spread ranges would have it find the neighbourhood, halving does the rest. */
static uint32_t find_in(const sdb_patch_node *block, uint64_t from) {
  uint32_t low = 0, high = block->count - 1;
  uint64_t first = block->first, share = (block->end - first) / block->count + 1;
  uint32_t guess = from > first ? (uint32_t)SDB_MIN((from - first) / share, high) : 0;
  if (end_of(&block->range[guess]) > from) {
    high = guess;
    if (guess > 2 && end_of(&block->range[guess - 2]) <= from) low = guess - 1;
  } else {
    low = guess + 1;
    if (guess + 2 < high && end_of(&block->range[guess + 2]) > from) high = guess + 2;
  }
  while (low < high) {
    uint32_t middle = (low + high) / 2;
    if (end_of(&block->range[middle]) > from)
      high = middle;
    else
      low = middle + 1;
  }
  return low;
}

/* First range that ends after `from`. */
static struct position find(const sdb_patch *patch, uint64_t from) {
  sdb_patch_node *at = patch->tree.rbh_root, *best = NULL;
  while (at) { /* the first block whose last range ends after `from` */
    if (at->end > from) {
      best = at;
      at = RB_LEFT(at, link);
    } else {
      at = RB_RIGHT(at, link);
    }
  }
  return best ? (struct position){best, find_in(best, from)} : (struct position){NULL, 0};
}

static struct position after(struct position position) {
  if (position.at + 1 < position.block->count) return (struct position){position.block, position.at + 1};
  return (struct position){sdb_patch_tree_RB_NEXT(position.block), 0};
}

/* ---- chunks */

static void chunk_unref(sdb_patch_chunk *chunk) {
  if (chunk && --chunk->refs == 0) sdb_free(chunk);
}

static sdb_patch_chunk *chunk_new(size_t capacity) {
  sdb_patch_chunk *chunk = sdb_malloc(sizeof *chunk + capacity);
  if (chunk) {
    chunk->refs = 0;
    chunk->used = 0;
    chunk->capacity = capacity;
  }
  return chunk;
}

/* A chunk with room for `bytes` more; a large one is not yet referenced. */
static sdb_patch_chunk *chunk_for(sdb_patch *patch, size_t bytes) {
  if (bytes > CHUNK_SHARED_MAX) {
    patch->taken_bytes += bytes;
    return chunk_new(bytes);
  }
  if (!patch->chunk || patch->chunk->capacity - patch->chunk->used < bytes) {
    uint64_t capacity = SDB_MAX(SDB_MAX(patch->total_bytes, CHUNK_MIN_BYTES), bytes);
    sdb_patch_chunk *fresh = chunk_new((size_t)SDB_MIN(capacity, CHUNK_BYTES));
    if (!fresh) return NULL;
    chunk_unref(patch->chunk);
    patch->taken_bytes += fresh->capacity;
    fresh->refs = 1;
    patch->chunk = fresh;
  }
  return patch->chunk;
}

/* ---- blocks */

static void spare_give(sdb_patch *patch, sdb_patch_node *block) {
  RB_RIGHT(block, link) = patch->spares;
  patch->spares = block;
  patch->spare_count++;
}

static void node_free(sdb_patch_node *node) {
  struct group *group = group_of(node);
  sdb_free(node->range);
  if (--group->live == 0) sdb_free(group);
}

/* One spare at least, and others with it: a quarter of what there is, or as many as are wanted. */
static int spares_more(sdb_patch *patch, size_t wanted) {
  size_t nodes = SDB_MIN(SDB_MAX(patch->blocks / 4, wanted), GROUP_NODES);
  struct group *group = sdb_malloc(sizeof *group + nodes * sizeof *group->node);
  if (!group) return SEQDB_NOMEM;
  for (group->live = 0; group->live < nodes; group->live++) {
    sdb_patch_node *node = &group->node[group->live];
    node->place = (uint16_t)group->live;
    node->range = sdb_malloc(BLOCK_RANGES * sizeof *node->range);
    if (!node->range) break;
    spare_give(patch, node);
  }
  if (group->live > 0) return SEQDB_OK;
  sdb_free(group);
  return SEQDB_NOMEM;
}

static int spares_to(sdb_patch *patch, size_t blocks) {
  int rc = SEQDB_OK;
  while (patch->spare_count < blocks && rc == SEQDB_OK)
    rc = spares_more(patch, blocks - patch->spare_count);
  return rc;
}

/* An insertion splits a block at most, and makes both halves half empty: `ranges` insertions, and as many ranges
** split in two, need no more blocks than are full now plus what their own number fills. */
int sdb_patch_reserve(sdb_patch *patch, size_t ranges) {
  size_t insertions = 2 * ranges;
  return spares_to(patch, ranges ? SDB_MIN(insertions, patch->blocks) + insertions / (BLOCK_RANGES / 2) + 1 : 0);
}

static sdb_patch_node *spare_take(sdb_patch *patch) {
  sdb_patch_node *block = patch->spares;
  assert(block);
  patch->spares = RB_RIGHT(block, link);
  patch->spare_count--;
  block->count = 0;
  return block;
}

/* An emptied block becomes a spare: what was reserved for several merges in a row then lasts for all of them. */
static void block_drop(sdb_patch *patch, sdb_patch_node *block) {
  RB_REMOVE(sdb_patch_tree, &patch->tree, block);
  patch->blocks--;
  spare_give(patch, block);
}

/* Put *range before `position`.  Uses at most one spare. */
static void insert(sdb_patch *patch, struct position position, const struct range *range) {
  sdb_patch_node *block = position.block;
  if (!block) { /* behind everything */
    block = RB_MAX(sdb_patch_tree, &patch->tree);
    position.at = block ? block->count : 0;
  }
  if (!block || block->count == BLOCK_RANGES) {
    sdb_patch_node *fresh = spare_take(patch);
    /* Split in halves; a range behind the last one leaves the full block as it is. */
    if (block && position.at < BLOCK_RANGES) {
      fresh->count = BLOCK_RANGES / 2;
      block->count = BLOCK_RANGES / 2;
      memcpy(fresh->range, block->range + BLOCK_RANGES / 2, sizeof *fresh->range * (BLOCK_RANGES / 2));
      note_ends(fresh);
      note_ends(block);
      RB_INSERT(sdb_patch_tree, &patch->tree, fresh);
      if (position.at > BLOCK_RANGES / 2) {
        position.at -= BLOCK_RANGES / 2;
        block = fresh;
      }
    } else {
      fresh->end = end_of(range);
      RB_INSERT(sdb_patch_tree, &patch->tree, fresh);
      block = fresh;
      position.at = 0;
    }
    patch->blocks++;
  }
  memmove(block->range + position.at + 1, block->range + position.at, sizeof *range * (block->count - position.at));
  block->range[position.at] = *range;
  block->count++;
  note_ends(block);
  patch->count++;
  patch->total_bytes += range->bytes;
}

/* Take the range out; returns the position of the one behind it. */
static struct position erase(sdb_patch *patch, struct position position) {
  sdb_patch_node *block = position.block;
  patch->count--;
  patch->total_bytes -= range_at(position)->bytes;
  chunk_unref(range_at(position)->owner);
  block->count--;
  memmove(block->range + position.at, block->range + position.at + 1,
          sizeof(struct range) * (block->count - position.at));
  note_ends(block);
  if (position.at < block->count) return position;
  struct position next = {sdb_patch_tree_RB_NEXT(block), 0};
  if (block->count == 0) block_drop(patch, block);
  return next;
}

/* Make room: no range overlaps [offset, end) afterwards.  Returns the position where one would go.  Needs a spare
** only if a range reaches beyond both ends. */
static struct position cut_out(sdb_patch *patch, uint64_t offset, uint64_t end) {
  struct position position = find(patch, offset);
  if (!position.block || range_at(position)->offset >= end) return position;
  struct range *range = range_at(position);
  if (range->offset < offset) {
    struct range tail = {end, end_of(range) - end, range->data + (end - range->offset), range->owner};
    bool splits = end_of(range) > end;
    patch->total_bytes -= end_of(range) - offset;
    range->bytes = offset - range->offset;
    note_ends(position.block);
    position = after(position);
    if (splits) {
      tail.owner->refs++;
      insert(patch, position, &tail);
      return find(patch, offset);
    }
  }
  while (position.block && end_of(range_at(position)) <= end)
    position = erase(patch, position);
  if (position.block && range_at(position)->offset < end) { /* order among the neighbours is unchanged */
    range = range_at(position);
    patch->total_bytes -= end - range->offset;
    range->data += end - range->offset;
    range->bytes -= end - range->offset;
    range->offset = end;
    note_ends(position.block);
  }
  return position;
}

/* ---- public */

void sdb_patch_init(sdb_patch *patch) {
  memset(patch, 0, sizeof *patch);
}

void sdb_patch_clear(sdb_patch *patch) {
  sdb_patch_node *block, *next;
  RB_FOREACH_SAFE(block, sdb_patch_tree, &patch->tree, next) {
    for (uint32_t i = 0; i < block->count; i++)
      chunk_unref(block->range[i].owner);
    block_drop(patch, block);
  }
  while (patch->spares)
    node_free(spare_take(patch));
  chunk_unref(patch->chunk);
  sdb_patch_init(patch);
}

int sdb_patch_write(sdb_patch *patch, uint64_t offset, const void *data, size_t bytes) {
  if (bytes == 0) return SEQDB_OK;
  struct position position = find(patch, offset);
  struct range *there = position.block ? range_at(position) : NULL;
  if (there && there->offset <= offset && end_of(there) - offset >= bytes) {
    uint8_t *to = there->data + (offset - there->offset);
    if (data)
      memcpy(to, data, bytes);
    else
      memset(to, 0, bytes);
    return SEQDB_OK;
  }
  if (spares_to(patch, 1) != SEQDB_OK) return SEQDB_NOMEM;
  sdb_patch_chunk *chunk = chunk_for(patch, bytes);
  if (!chunk) return SEQDB_NOMEM;
  if (there && there->offset < offset + bytes) position = cut_out(patch, offset, offset + bytes); /* splits nothing */
  struct range range = {offset, bytes, chunk->bytes + chunk->used, chunk};
  chunk->refs++;
  chunk->used += bytes;
  if (data)
    memcpy(range.data, data, bytes);
  else
    memset(range.data, 0, bytes);
  insert(patch, position, &range);
  return SEQDB_OK;
}

int sdb_patch_remove(sdb_patch *patch, uint64_t offset, uint64_t bytes) {
  if (bytes == 0 || !patch->tree.rbh_root) return SEQDB_OK;
  struct position position = find(patch, offset);
  if (!position.block || range_at(position)->offset >= offset + bytes) return SEQDB_OK;
  bool splits = range_at(position)->offset < offset && end_of(range_at(position)) > offset + bytes;
  if (splits && spares_to(patch, 1) != SEQDB_OK) return SEQDB_NOMEM;
  (void)cut_out(patch, offset, offset + bytes);
  return SEQDB_OK;
}

void sdb_patch_merge(sdb_patch *patch, sdb_patch *newer) {
  sdb_patch_node *block, *next;
  patch->taken_bytes += newer->taken_bytes;
  newer->taken_bytes = 0;
  if (!patch->tree.rbh_root) { /* nothing below: the trees change places */
    patch->tree = newer->tree;
    patch->blocks = newer->blocks;
    patch->count = newer->count;
    patch->total_bytes = newer->total_bytes;
  } else {
    RB_FOREACH_SAFE(block, sdb_patch_tree, &newer->tree, next) {
      for (uint32_t i = 0; i < block->count; i++) { /* the reference on the chunk moves along */
        struct range *range = &block->range[i];
        insert(patch, cut_out(patch, range->offset, end_of(range)), range);
      }
      block_drop(newer, block);
    }
  }
  newer->tree.rbh_root = NULL;
  newer->blocks = newer->count = 0;
  newer->total_bytes = 0;
}

/* The first part of [*from, end) that the patch has not: [*from, *to).  false if there is none. */
static bool next_gap(const sdb_patch *patch, uint64_t *from, uint64_t end, uint64_t *to) {
  struct position position = find(patch, *from);
  for (; position.block && range_at(position)->offset <= *from; position = after(position))
    *from = end_of(range_at(position));
  *to = position.block ? SDB_MIN(range_at(position)->offset, end) : end;
  return *from < end;
}

size_t sdb_patch_gaps(const sdb_patch *patch, const sdb_patch *older) {
  sdb_patch_range range;
  size_t gaps = 0;
  for (bool more = sdb_patch_next(older, 0, &range); more; more = sdb_patch_following(&range)) {
    uint64_t from = range.offset, end = from + range.bytes;
    for (uint64_t to; next_gap(patch, &from, end, &to); from = to)
      gaps++;
  }
  return gaps;
}

void sdb_patch_merge_below(sdb_patch *patch, sdb_patch *older) {
  sdb_patch_node *block;
  patch->taken_bytes += older->taken_bytes;
  RB_FOREACH(block, sdb_patch_tree, &older->tree) {
    for (uint32_t i = 0; i < block->count; i++) {
      const struct range *range = &block->range[i];
      uint64_t from = range->offset;
      for (uint64_t to; next_gap(patch, &from, end_of(range), &to); from = to) {
        struct range part = {from, to - from, range->data + (from - range->offset), range->owner};
        part.owner->refs++;
        insert(patch, find(patch, from), &part);
      }
    }
  }
  sdb_patch_clear(older);
}

#define LOOSE_MIN_BYTES ((uint64_t)256 << 10)

uint64_t sdb_patch_memory(const sdb_patch *patch) {
  return patch->taken_bytes +
         (patch->blocks + patch->spare_count) * (sizeof(sdb_patch_node) + BLOCK_RANGES * sizeof(struct range));
}

bool sdb_patch_is_loose(const sdb_patch *patch) {
  return patch->taken_bytes >= 3 * patch->total_bytes + LOOSE_MIN_BYTES;
}

/* Neighbours become one range as long as it shares a chunk. */
int sdb_patch_copy(const sdb_patch *patch, sdb_patch *copy) {
  uint8_t together[CHUNK_SHARED_MAX];
  sdb_patch_range range;
  uint64_t from = 0, bytes = 0;
  int rc = SEQDB_OK;
  sdb_patch_init(copy);
  for (bool more = sdb_patch_next(patch, 0, &range); more && rc == SEQDB_OK; more = sdb_patch_following(&range)) {
    if (bytes && (range.offset != from + bytes || range.bytes > sizeof together - bytes)) {
      rc = sdb_patch_write(copy, from, together, (size_t)bytes);
      bytes = 0;
    }
    if (rc == SEQDB_OK && range.bytes > sizeof together) {
      rc = sdb_patch_write(copy, range.offset, range.data, (size_t)range.bytes);
      continue;
    }
    if (bytes == 0) from = range.offset;
    memcpy(together + bytes, range.data, (size_t)range.bytes);
    bytes += range.bytes;
  }
  if (rc == SEQDB_OK) rc = sdb_patch_write(copy, from, together, (size_t)bytes);
  if (rc != SEQDB_OK) sdb_patch_clear(copy);
  return rc;
}

void sdb_patch_read(const sdb_patch *patch, uint64_t offset, size_t bytes, uint8_t *buffer) {
  uint64_t end = offset + bytes;
  for (struct position position = find(patch, offset); position.block && range_at(position)->offset < end;
       position = after(position)) {
    const struct range *range = range_at(position);
    uint64_t from = SDB_MAX(range->offset, offset), to = SDB_MIN(end_of(range), end);
    memcpy(buffer + (from - offset), range->data + (from - range->offset), (size_t)(to - from));
  }
}

static bool show(struct position position, sdb_patch_range *range) {
  if (!position.block) return false;
  const struct range *at = range_at(position);
  *range = (sdb_patch_range){at->offset, at->bytes, at->data, position.block, position.at};
  return true;
}

bool sdb_patch_next(const sdb_patch *patch, uint64_t from, sdb_patch_range *range) {
  return show(find(patch, from), range);
}

bool sdb_patch_following(sdb_patch_range *range) {
  return show(after((struct position){range->block, range->at}), range);
}
