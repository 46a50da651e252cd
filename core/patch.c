/* SPDX-License-Identifier: MIT
**
** patch.c: see patch.h.
**
** Nodes lie in a red-black tree by offset and never overlap.  Each refers to bytes in a chunk: small writes share 64 KiB
** chunks, a large one has its own, and splitting a range copies nothing.  A write that falls wholly into one
** existing range replaces its bytes in place: a counter rewritten a million times costs its eight bytes once.
*/
#include "patch.h"

#include "os.h"
#include "rbtree.h"

#define CHUNK_BYTES      65536u
#define CHUNK_SHARED_MAX 4096u /* larger writes get a chunk of their own */

struct sdb_patch_chunk {
  uint64_t refs; /* nodes, plus one while it is patch->chunk */
  size_t used, capacity;
  uint8_t bytes[];
};

struct sdb_patch_node {
  RB_ENTRY(sdb_patch_node) link;
  uint64_t offset, bytes;
  uint8_t *data;
  sdb_patch_chunk *owner;
};

static int compare(const sdb_patch_node *a, const sdb_patch_node *b) {
  return a->offset < b->offset ? -1 : a->offset > b->offset;
}
SDB_RB_GENERATE(sdb_patch_tree, sdb_patch_node, link, compare)

/* First node that ends after `from`. */
static sdb_patch_node *node_after(const sdb_patch *patch, uint64_t from) {
  sdb_patch_node *at = patch->tree.rbh_root, *best = NULL;
  while (at) {
    if (at->offset + at->bytes > from) {
      best = at;
      at = RB_LEFT(at, link);
    } else {
      at = RB_RIGHT(at, link);
    }
  }
  return best;
}

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

/* A chunk with room for `bytes` more; not yet referenced. */
static sdb_patch_chunk *chunk_for(sdb_patch *patch, size_t bytes) {
  if (bytes > CHUNK_SHARED_MAX) return chunk_new(bytes);
  if (!patch->chunk || patch->chunk->capacity - patch->chunk->used < bytes) {
    sdb_patch_chunk *fresh = chunk_new(CHUNK_BYTES);
    if (!fresh) return NULL;
    chunk_unref(patch->chunk);
    fresh->refs = 1;
    patch->chunk = fresh;
  }
  return patch->chunk;
}

int sdb_patch_reserve(sdb_patch *patch, size_t ranges) {
  while (patch->spare_count < ranges) {
    sdb_patch_node *node = sdb_malloc(sizeof *node);
    if (!node) return SEQDB_NOMEM;
    node->data = NULL;
    RB_RIGHT(node, link) = patch->spares;
    patch->spares = node;
    patch->spare_count++;
  }
  return SEQDB_OK;
}

static sdb_patch_node *spare_take(sdb_patch *patch) {
  sdb_patch_node *node = patch->spares;
  assert(node);
  patch->spares = RB_RIGHT(node, link);
  patch->spare_count--;
  return node;
}

static void node_drop(sdb_patch *patch, sdb_patch_node *node) {
  RB_REMOVE(sdb_patch_tree, &patch->tree, node);
  patch->count--;
  patch->total_bytes -= node->bytes;
  chunk_unref(node->owner);
  sdb_free(node);
}

/* Make room: no node overlaps [offset, end) afterwards.  Needs one spare if a node reaches beyond both ends. */
static void cut_out(sdb_patch *patch, uint64_t offset, uint64_t end) {
  sdb_patch_node *node = node_after(patch, offset);
  while (node && node->offset < end) {
    uint64_t node_end = node->offset + node->bytes;
    sdb_patch_node *next = RB_NEXT(sdb_patch_tree, &patch->tree, node);
    if (node->offset < offset && node_end > end) {
      sdb_patch_node *tail = spare_take(patch);
      tail->offset = end;
      tail->bytes = node_end - end;
      tail->data = node->data + (end - node->offset);
      tail->owner = node->owner;
      tail->owner->refs++;
      node->bytes = offset - node->offset;
      RB_INSERT(sdb_patch_tree, &patch->tree, tail);
      patch->count++;
      patch->total_bytes -= end - offset;
    } else if (node->offset < offset) {
      patch->total_bytes -= node_end - offset;
      node->bytes = offset - node->offset;
    } else if (node_end > end) {
      patch->total_bytes -= end - node->offset;
      node->data += end - node->offset;
      node->bytes = node_end - end;
      node->offset = end; /* order among the neighbours is unchanged */
    } else {
      node_drop(patch, node);
    }
    node = next;
  }
}

static bool splits(const sdb_patch *patch, uint64_t offset, uint64_t end) {
  const sdb_patch_node *node = node_after(patch, offset);
  return node && node->offset < offset && node->offset + node->bytes > end;
}

void sdb_patch_init(sdb_patch *patch) {
  memset(patch, 0, sizeof *patch);
}

void sdb_patch_clear(sdb_patch *patch) {
  sdb_patch_node *node, *next;
  RB_FOREACH_SAFE(node, sdb_patch_tree, &patch->tree, next) node_drop(patch, node);
  while (patch->spares)
    sdb_free(spare_take(patch));
  chunk_unref(patch->chunk);
  sdb_patch_init(patch);
}

int sdb_patch_write(sdb_patch *patch, uint64_t offset, const void *data, size_t bytes) {
  if (bytes == 0) return SEQDB_OK;
  sdb_patch_node *node = node_after(patch, offset);
  if (node && node->offset <= offset && node->bytes - (offset - node->offset) >= bytes) {
    uint8_t *to = node->data + (offset - node->offset);
    if (data)
      memcpy(to, data, bytes);
    else
      memset(to, 0, bytes);
    return SEQDB_OK;
  }
  if (sdb_patch_reserve(patch, 1) != SEQDB_OK) return SEQDB_NOMEM;
  sdb_patch_chunk *chunk = chunk_for(patch, bytes);
  if (!chunk) return SEQDB_NOMEM;
  cut_out(patch, offset, offset + bytes); /* splits nothing: the range lies in no single node */
  node = spare_take(patch);
  node->offset = offset;
  node->bytes = bytes;
  node->data = chunk->bytes + chunk->used;
  node->owner = chunk;
  chunk->refs++;
  chunk->used += bytes;
  if (data)
    memcpy(node->data, data, bytes);
  else
    memset(node->data, 0, bytes);
  RB_INSERT(sdb_patch_tree, &patch->tree, node);
  patch->count++;
  patch->total_bytes += bytes;
  return SEQDB_OK;
}

int sdb_patch_remove(sdb_patch *patch, uint64_t offset, uint64_t bytes) {
  if (bytes == 0 || !patch->tree.rbh_root) return SEQDB_OK;
  if (splits(patch, offset, offset + bytes) && sdb_patch_reserve(patch, 1) != SEQDB_OK) return SEQDB_NOMEM;
  cut_out(patch, offset, offset + bytes);
  return SEQDB_OK;
}

void sdb_patch_merge(sdb_patch *patch, sdb_patch *newer) {
  sdb_patch_node *node, *next;
  if (!patch->tree.rbh_root) { /* nothing below: the trees change places */
    sdb_patch old = *patch;
    patch->tree = newer->tree;
    patch->count = newer->count;
    patch->total_bytes = newer->total_bytes;
    patch->chunk = newer->chunk;
    newer->chunk = old.chunk;
    newer->tree.rbh_root = NULL;
    newer->count = 0;
    newer->total_bytes = 0;
    return;
  }
  RB_FOREACH_SAFE(node, sdb_patch_tree, &newer->tree, next) {
    RB_REMOVE(sdb_patch_tree, &newer->tree, node);
    cut_out(patch, node->offset, node->offset + node->bytes);
    RB_INSERT(sdb_patch_tree, &patch->tree, node);
    patch->count++;
    patch->total_bytes += node->bytes;
  }
  newer->count = 0;
  newer->total_bytes = 0;
}

bool sdb_patch_overlaps(const sdb_patch *patch, uint64_t offset, uint64_t bytes) {
  const sdb_patch_node *node = node_after(patch, offset);
  return node && node->offset < offset + bytes;
}

void sdb_patch_read(const sdb_patch *patch, uint64_t offset, size_t bytes, uint8_t *buffer) {
  uint64_t end = offset + bytes;
  for (sdb_patch_node *node = node_after(patch, offset); node && node->offset < end;
       node = sdb_patch_tree_RB_NEXT(node)) {
    uint64_t from = SDB_MAX(node->offset, offset), to = SDB_MIN(node->offset + node->bytes, end);
    memcpy(buffer + (from - offset), node->data + (from - node->offset), (size_t)(to - from));
  }
}

bool sdb_patch_next(const sdb_patch *patch, uint64_t from, sdb_patch_range *range) {
  const sdb_patch_node *node = node_after(patch, from);
  if (!node) return false;
  *range = (sdb_patch_range){node->offset, node->bytes, node->data, node};
  return true;
}

bool sdb_patch_following(sdb_patch_range *range) {
  sdb_patch_node *at = (sdb_patch_node *)range->node, *next = sdb_patch_tree_RB_NEXT(at);
  if (!next) return false;
  *range = (sdb_patch_range){next->offset, next->bytes, next->data, next};
  return true;
}
