/* SPDX-License-Identifier: MIT
**
** transaction.c: see transaction.h.
*/
#include "txn/transaction.h"

#include "os/os.h"

void sdb_txn_init(sdb_txn *txn) {
  memset(txn, 0, sizeof *txn);
  txn->failed_level = SDB_NO_LEVEL;
  sdb_patch_init(&txn->patch);
  sdb_range_pool_init(&txn->direct_pool);
  sdb_range_set_init(&txn->direct, &txn->direct_pool, false);
}

void sdb_txn_destroy(sdb_txn *txn) {
  assert(txn->life == SDB_IDLE && txn->mark_count == 0);
  sdb_range_pool_destroy(&txn->direct_pool);
  sdb_change_list_free(&txn->touched);
  sdb_free(txn->marks);
}

/* ---- transitions */

void sdb_txn_set_open(sdb_txn *txn, sdb_tree tree, uint64_t generation, uint64_t epoch) {
  assert(txn->life == SDB_IDLE && txn->direct.count == 0 && txn->patch.count == 0);
  txn->tree = tree;
  txn->generation = generation;
  txn->epoch = epoch;
  txn->life = SDB_CLEAN;
}

void sdb_txn_set_changing(sdb_txn *txn) {
  assert(txn->life != SDB_IDLE);
  if (txn->life == SDB_CLEAN) txn->life = SDB_FIRST;
  if (txn->life == SDB_PREPARED) txn->life = SDB_STALE;
  txn->failed_level = SDB_NO_LEVEL;
}

void sdb_txn_set_done(sdb_txn *txn) {
  if (txn->life == SDB_FIRST) txn->life = SDB_CHANGED;
}

void sdb_txn_set_prepared(sdb_txn *txn, sdb_catalog *catalog, const sdb_delta *delta, uint16_t record_kind) {
  assert(txn->life >= SDB_FIRST && !txn->prepared && !txn->open_tails);
  txn->prepared = catalog;
  txn->delta = *delta;
  txn->record_kind = record_kind;
  txn->life = SDB_PREPARED;
}

static enum sdb_life life_of(const sdb_txn *txn, const sdb_tree *committed) {
  return txn->tree.root == committed->root ? SDB_CLEAN : SDB_CHANGED;
}

sdb_catalog *sdb_txn_set_unprepared(sdb_txn *txn, const sdb_tree *committed) {
  assert(sdb_txn_has_prepared(txn) && txn->prepared);
  sdb_catalog *catalog = txn->prepared;
  txn->prepared = NULL;
  sdb_delta_free(&txn->delta);
  txn->life = life_of(txn, committed);
  return catalog;
}

void sdb_txn_set_back(sdb_txn *txn, const sdb_tree *committed) {
  assert(txn->life != SDB_IDLE && !txn->open_tails);
  txn->life = txn->prepared ? SDB_STALE : life_of(txn, committed);
}

void sdb_txn_set_idle(sdb_txn *txn) {
  assert(!txn->prepared && !txn->open_tails && !txn->tree.root);
  txn->life = SDB_IDLE;
}

/* ---- overwrites */

sdb_patch *sdb_txn_patch_base(sdb_txn *txn, size_t first, size_t *ranges) {
  sdb_patch *base = NULL;
  *ranges = 0;
  for (size_t i = first; i <= txn->mark_count; i++) {
    sdb_patch *patch = i < txn->mark_count ? &txn->marks[i].patch : &txn->patch;
    if (base)
      *ranges += patch->count;
    else if (patch->count)
      base = patch;
  }
  return base ? base : &txn->patch;
}

void sdb_txn_merge_patches(sdb_txn *txn, size_t first, sdb_patch *base) {
  for (size_t i = first; i < txn->mark_count; i++) {
    sdb_patch *patch = &txn->marks[i].patch;
    if (patch == base) continue;
    if (patch->count) sdb_patch_merge(base, patch); /* what is older than the base is empty */
    sdb_patch_clear(patch);
  }
  if (base == &txn->patch) return;
  sdb_patch_merge(base, &txn->patch);
  sdb_patch_clear(&txn->patch);
  txn->patch = *base;
  sdb_patch_init(base);
}

void sdb_txn_lay_patches(const sdb_txn *txn, uint64_t offset, void *buffer, size_t bytes) {
  for (size_t i = 0; i < txn->mark_count; i++)
    sdb_patch_read(&txn->marks[i].patch, offset, bytes, buffer);
  sdb_patch_read(&txn->patch, offset, bytes, buffer);
}

uint64_t sdb_txn_first_patched(const sdb_txn *txn, uint64_t offset, uint64_t end) {
  sdb_patch_range range;
  for (size_t i = 0; i <= txn->mark_count; i++) {
    if (sdb_patch_next(i < txn->mark_count ? &txn->marks[i].patch : &txn->patch, offset, &range))
      end = SDB_MIN(end, SDB_MAX(range.offset, offset));
  }
  return end;
}
