/* SPDX-License-Identifier: MIT
**
** bulk.c: see bulk.h.
**
**     block, aligned to 2 MiB:   [ live | count | piece | piece | piece | ...        ]
**
** A piece's block is found by its address.  A piece larger than a block has blocks of its own, and begins in the first.
** INVARIANT: live is the number of pieces, and one more while the sdb_bulk takes from the block.
*/
#include "space/bulk.h"

#include <stdatomic.h>
#include "os/os.h"

typedef struct sdb_bulk_block {
  _Atomic uint32_t live;
  uint32_t count; /* of blocks that were taken from the system as one */
} sdb_bulk_block;

#define HEADER_BYTES ((size_t)64)

_Static_assert(sizeof(sdb_bulk_block) <= HEADER_BYTES, "the pieces begin after it");

bool sdb_bulk_pays(uint64_t bytes) {
  return bytes >= SDB_OS_BLOCK_BYTES / 2;
}

static void leave(sdb_bulk_block *block) {
  if (atomic_fetch_sub_explicit(&block->live, 1, memory_order_acq_rel) == 1) sdb_os_blocks_free(block, block->count);
}

static sdb_bulk_block *block_new(size_t bytes) {
  size_t count = (bytes + HEADER_BYTES - 1) / SDB_OS_BLOCK_BYTES + 1;
  sdb_bulk_block *block = sdb_os_blocks(count);
  if (!block) return NULL;
  atomic_init(&block->live, 1);
  block->count = (uint32_t)count;
  return block;
}

static void *take_from(sdb_bulk_block *block, size_t at) {
  atomic_fetch_add_explicit(&block->live, 1, memory_order_relaxed);
  return (uint8_t *)block + at;
}

static void *take_alone(size_t bytes) {
  sdb_bulk_block *block = block_new(bytes);
  if (!block) return NULL;
  void *piece = take_from(block, HEADER_BYTES);
  leave(block);
  return piece;
}

void *sdb_bulk_take(sdb_bulk *bulk, size_t bytes) {
  bytes = (bytes + 7) & ~(size_t)7;
  if (bytes > SDB_OS_BLOCK_BYTES - HEADER_BYTES) return take_alone(bytes);
  if (!bulk->block || bytes > SDB_OS_BLOCK_BYTES - bulk->used) {
    sdb_bulk_block *next = block_new(bytes);
    if (!next) return NULL;
    sdb_bulk_end(bulk);
    *bulk = (sdb_bulk){next, HEADER_BYTES};
  }
  bulk->used += bytes;
  return take_from(bulk->block, bulk->used - bytes);
}

void sdb_bulk_end(sdb_bulk *bulk) {
  if (bulk->block) leave(bulk->block);
  *bulk = (sdb_bulk){NULL, 0};
}

void sdb_bulk_give(void *memory) {
  leave((sdb_bulk_block *)((uintptr_t)memory & ~(uintptr_t)(SDB_OS_BLOCK_BYTES - 1)));
}
