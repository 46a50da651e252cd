/* SPDX-License-Identifier: MIT
**
** patch.h: sets of disjoint byte ranges with bytes in them, newest wins: the overwrites of a transaction (one patch per
** open savepoint) and, after its commit, the overlay of the catalog (R4).  Pure: no I/O.
** OWNS blocks of ranges and reference-counted chunks of bytes; a byte position in a chunk belongs to at most one range.
** THREADS: none of its own; the owner serializes writers against readers.
*/
#ifndef SDB_PATCH_H
#define SDB_PATCH_H

#include "base/base.h"

typedef struct sdb_patch_node sdb_patch_node;
typedef struct sdb_patch_chunk sdb_patch_chunk;

struct sdb_patch_tree { /* as RB_HEAD() has it */
  sdb_patch_node *rbh_root;
};

typedef struct sdb_patch {
  struct sdb_patch_tree tree;
  sdb_patch_node *spares; /* blocks put aside by reserve() */
  size_t spare_count, blocks;
  sdb_patch_chunk *chunk; /* small writes are packed into this one */
  size_t count;           /* ranges */
  uint64_t total_bytes;
  uint64_t taken_bytes; /* of chunks, whatever has become of them, since the patch was compact */
} sdb_patch;

typedef struct sdb_patch_range {
  uint64_t offset, bytes;
  const uint8_t *data;   /* valid until the patch changes */
  sdb_patch_node *block; /* where it stands, for sdb_patch_following() */
  uint32_t at;
} sdb_patch_range;

void sdb_patch_init(sdb_patch *patch);
void sdb_patch_clear(sdb_patch *patch); /* frees everything, leaves it initialized */

/* Put `bytes` bytes at `offset`, over what is there.  data == NULL means zeros.  SEQDB_NOMEM changes nothing. */
int sdb_patch_write(sdb_patch *patch, uint64_t offset, const void *data, size_t bytes);
/* Take [offset, offset + bytes) out.  SEQDB_NOMEM (only if a range must be split) changes nothing. */
int sdb_patch_remove(sdb_patch *patch, uint64_t offset, uint64_t bytes);
/* Memory for a merge of a patch of `ranges` ranges into this one. */
int sdb_patch_reserve(sdb_patch *patch, size_t ranges);
/* Move everything of `newer` over `patch`; `newer` is empty afterwards.  Cannot fail after reserve(patch,
** newer->count). */
void sdb_patch_merge(sdb_patch *patch, sdb_patch *newer);
/* Move what of `older` the patch has not into it, as if the patch had been merged over `older`; `older` is empty
** afterwards.  Cheap if `older` is the smaller one.  Cannot fail after reserve(patch, gaps(patch, older)). */
void sdb_patch_merge_below(sdb_patch *patch, sdb_patch *older);
/* How many ranges that adds. */
size_t sdb_patch_gaps(const sdb_patch *patch, const sdb_patch *older);

/* About how much memory it holds. */
uint64_t sdb_patch_memory(const sdb_patch *patch);
/* Do its chunks hold many times what is still a range's? */
bool sdb_patch_is_loose(const sdb_patch *patch);
/* The same ranges in fresh chunks, neighbours as one.  SEQDB_NOMEM: *copy is empty. */
int sdb_patch_copy(const sdb_patch *patch, sdb_patch *copy);

/* Copy what the patch has of [offset, offset + bytes) over `buffer`, which holds the bytes below it. */
void sdb_patch_read(const sdb_patch *patch, uint64_t offset, size_t bytes, uint8_t *buffer);
/* First range that ends after `from`, whole; false if there is none. */
bool sdb_patch_next(const sdb_patch *patch, uint64_t from, sdb_patch_range *range);
/* The range after *range, in place of it; false if there is none.  Much cheaper than a search. */
bool sdb_patch_following(sdb_patch_range *range);

#endif /* SDB_PATCH_H */
