/* SPDX-License-Identifier: MIT
**
** withheld.c: see withheld.h.
*/
#include "space/withheld.h"

void sdb_withheld_init(sdb_withheld *withheld, sdb_range_pool *pool) {
  *withheld = (sdb_withheld){.pool = pool};
}

void sdb_withheld_clear(sdb_withheld *withheld) {
  for (unsigned i = 0; i < withheld->count; i++)
    sdb_range_set_clear(&withheld->batches[i].extents);
  sdb_withheld_init(withheld, withheld->pool);
}

/* The batch for what `generation` gave up: the oldest one that waits as long, or a new one, or the newest. */
static sdb_withheld_batch *batch_for(sdb_withheld *withheld, uint64_t generation) {
  for (unsigned i = 0; i < withheld->count; i++)
    if (withheld->batches[i].generation >= generation) return &withheld->batches[i];
  if (withheld->count < SDB_WITHHELD_BATCHES)
    sdb_range_set_init(&withheld->batches[withheld->count++].extents, withheld->pool, false);
  withheld->batches[withheld->count - 1].generation = generation;
  return &withheld->batches[withheld->count - 1];
}

int sdb_withheld_add(sdb_withheld *withheld, uint64_t generation, uint64_t start, uint64_t bytes) {
  if (sdb_range_pool_reserve(withheld->pool, 1) != SEQDB_OK) return SEQDB_NOMEM;
  (void)sdb_range_add(&batch_for(withheld, generation)->extents, start, bytes);
  withheld->total_bytes += bytes;
  return SEQDB_OK;
}

static void drop_first(sdb_withheld *withheld) {
  withheld->count--;
  memmove(&withheld->batches[0], &withheld->batches[1], withheld->count * sizeof withheld->batches[0]);
}

bool sdb_withheld_next(sdb_withheld *withheld, uint64_t generation, sdb_range *range) {
  while (withheld->count && withheld->batches[0].generation <= generation) {
    sdb_range_set *extents = &withheld->batches[0].extents;
    if (sdb_range_next(extents, 0, range)) {
      (void)sdb_range_remove(extents, range->start, range->bytes); /* a whole range: splits nothing, cannot fail */
      withheld->total_bytes -= range->bytes;
      return true;
    }
    drop_first(withheld);
  }
  return false;
}

void sdb_withheld_take(sdb_withheld *withheld, uint64_t start, uint64_t bytes) {
  for (unsigned i = 0; i < withheld->count; i++) {
    sdb_range_set *extents = &withheld->batches[i].extents;
    uint64_t before = extents->total_bytes;
    (void)sdb_range_remove(extents, start, bytes);
    withheld->total_bytes -= before - extents->total_bytes;
  }
}
