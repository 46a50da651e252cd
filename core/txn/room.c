/* SPDX-License-Identifier: MIT
**
** room.c: see room.h.
*/
#include "txn/room.h"

#define SPARE_BYTES (UINT64_C(32) << 10)

static bool is_new(const sdb_store *store, uint32_t index) {
  return sdb_tree_get(&store->committed->tree, index) == NULL;
}

bool sdb_room_is_needed(const sdb_store *store, const sdb_delta *delta) {
  for (size_t i = 0; i < delta->puts; i++)
    if (is_new(store, delta->indexes[i])) return true;
  return false;
}

/* Neighbours in one call.  An entry of the last commit has its page: it was written, or allocated by the commit that
** created it. */
int sdb_room_for_entries(sdb_store *store, const sdb_delta *delta, const sdb_op *op) {
  int rc = SEQDB_OK;
  for (size_t i = 0, end; i < delta->puts && rc == SEQDB_OK; i = end) {
    end = i + 1;
    if (!is_new(store, delta->indexes[i])) continue;
    while (end < delta->puts && delta->indexes[end] == delta->indexes[end - 1] + 1 &&
           is_new(store, delta->indexes[end]))
      end++;
    rc = sdb_regions_allocate(&store->regions, delta->indexes[i], delta->indexes[end - 1] + 1, op);
  }
  return rc;
}

uint64_t sdb_room_for_drop(uint16_t kind) {
  return kind == SDB_RECORD_PREPARE ? SDB_RECORD_ALIGN : 0;
}

uint64_t sdb_room_for_giving(const sdb_store *store) {
  return SPARE_BYTES + sizeof(uint32_t) * store->committed->tree.entries;
}
