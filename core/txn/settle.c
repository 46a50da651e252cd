/* SPDX-License-Identifier: MIT
**
** settle.c: see settle.h.
*/
#include "txn/settle.h"

#define CANDIDATES_MAX 64u                 /* commits of an SQLite file that is never synced by itself */
#define WITHHELD_MAX   (UINT64_C(1) << 20) /* bytes that wait for them */
#define JOURNAL_MAX    (UINT64_C(2) << 20) /* bytes of their records */

bool sdb_store_is_settled(const sdb_store *store) {
  return sdb_token_is(&store->settled, &store->tip) && !store->dead_behind;
}

void sdb_settle_tip(sdb_store *store) {
  store->settled = store->tip;
  store->settled_generation = store->committed->generation;
  store->candidate_count = 0;
}

void sdb_settle_follow(sdb_store *store, const sdb_record_header *header) {
  store->tip = header->token;
  store->tip_file = header->file;
  store->tip_at = header->position;
  store->tip_durability = header->durability;
  store->dead_behind = false;
  if (sdb_file_is_none(&header->file)) { /* it is made when all before is settled */
    store->settled = header->token;
    store->settled_generation = header->generation;
    store->candidate_count = 0;
    return;
  }
  store->candidates = header->file;
  store->candidate_count++;
  sdb_journal_header_note(&store->journal.header, &header->file, &header->token);
}

int sdb_settle_hold(sdb_store *store, uint64_t start, uint64_t reserved) {
  int rc = sdb_space_hold_redo(&store->space, start, reserved);
  if (rc == SEQDB_OK) sdb_space_set_aside(&store->space, start, reserved);
  return rc;
}

int sdb_settle_check(const sdb_store *store, const sdb_file_uuid *file, const sdb_op *op) {
  if (sdb_store_is_settled(store) || memcmp(&store->candidates, file, sizeof *file) == 0) return SEQDB_OK;
  const sdb_claim *claim = sdb_journal_header_claim(&store->journal.header, &store->candidates);
  return sdb_error_set(op, SEQDB_BUSY, "journal", store->tip_at,
                       "%s: the last commits of %s are those of the SQLite file %.*s, and not settled: open its table, "
                       "or close it cleanly",
                       op->operation, store->path, claim ? (int)claim->path_bytes : 7, claim ? claim->path : "unknown");
}

/* What was there when all was settled waits for somebody else, a snapshot or a checkpoint: it does not count. */
bool sdb_settle_is_due(sdb_store *store) {
  bool settled = sdb_token_is(&store->settled, &store->tip);
  uint64_t journal = sdb_journal_bytes(&store->journal);
  pthread_mutex_lock(&store->mutex);
  uint64_t withheld = store->space.withheld.total_bytes;
  pthread_mutex_unlock(&store->mutex);
  store->journal_at_settling = settled ? journal : SDB_MIN(journal, store->journal_at_settling);
  store->withheld_at_settling = settled ? withheld : SDB_MIN(withheld, store->withheld_at_settling);
  return store->candidate_count >= CANDIDATES_MAX || withheld - store->withheld_at_settling >= WITHHELD_MAX ||
         journal - store->journal_at_settling >= JOURNAL_MAX;
}

/* ---- the board's words, or the store's own */

bool sdb_store_mark(const sdb_store *store) {
  return store->shared ? sdb_board_mark(store->board) : atomic_load(&store->marked);
}

void sdb_store_set_mark(sdb_store *store, bool mark) {
  if (store->shared)
    sdb_board_set_mark(store->board, mark);
  else
    atomic_store(&store->marked, mark);
}

uint64_t sdb_store_unproven(const sdb_store *store) {
  return store->shared ? sdb_board_unproven(store->board) : store->unproven;
}

void sdb_store_raise_unproven(sdb_store *store, uint64_t generation) {
  if (store->shared)
    sdb_board_raise_unproven(store->board, generation);
  else
    store->unproven = SDB_MAX(store->unproven, generation);
}
