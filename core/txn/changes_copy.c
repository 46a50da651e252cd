/* SPDX-License-Identifier: MIT
**
** changes_copy.c: see changes_copy.h.
**
** Nothing of it is kept in memory: a commit costs what its list adds to its record, and who asks reads.
*/
#include "txn/changes_copy.h"

#include "files/journal_scan.h"
#include "txn/reread.h"

/* ---- records */

struct taking {
  sdb_change_list *list;
  uint64_t until; /* generation */
  size_t most;
  const sdb_op *op;
};

static int take_change(struct taking *t, const sdb_change_item *change) {
  sdb_change_item item = *change;
  if (item.op == SDB_CHANGE_WRITE && item.bytes == 0) return SEQDB_OK;
  if (item.op == SDB_CHANGE_APPEND) item.op = SDB_CHANGE_WRITE;
  return sdb_change_list_add(t->list, &item);
}

/* Records that did not count say too much, which does no harm. */
static int take_record(void *context, const sdb_journal_record *record) {
  struct taking *t = context;
  const sdb_record_header *header = record->header;
  uint64_t cursor = 0;
  sdb_change_item change;
  int rc = SEQDB_OK;
  if (header->kind == SDB_RECORD_OVERLAY || header->generation > t->until) return rc;
  if (!sdb_record_is_listed(header)) sdb_change_list_raise_floor(t->list, header->generation);
  while (rc == SEQDB_OK && sdb_record_next_change(record->record, header, &cursor, &change))
    rc = take_change(t, &change);
  if (t->list->count > 2 * t->most) sdb_change_list_fit(t->list, t->most);
  return rc == SEQDB_OK ? rc : sdb_error_nomem(t->op);
}

/* From the header's base to where the journal stands. */
static int take_records(const sdb_journal *journal, struct taking *t, bool *reached) {
  sdb_journal from = *journal;
  const sdb_journal_place place = sdb_reread_place(&from);
  from.tail = journal->header.start;
  from.previous = journal->header.salt;
  int rc = sdb_journal_follow(&from, &place, journal->tail, take_record, t, t->op);
  *reached = rc == SEQDB_OK && from.tail == journal->tail && from.previous == journal->previous;
  return rc;
}

static sdb_changes_state base_of(const sdb_journal_header *header) {
  return (sdb_changes_state){header->base_generation, header->base_token};
}

static size_t most_items(const sdb_store *store) {
  return (size_t)(sdb_changes_file_limit(store->regions.pages) / 2 / SDB_CHANGES_ITEM_BYTES);
}

/* ---- asking */

int sdb_changes_gather(sdb_store *store, const sdb_journal *journal, uint64_t generation, sdb_changes_found *found,
                       bool *reached, const sdb_op *op) {
  const sdb_changes_state base = base_of(&journal->header);
  pthread_mutex_lock(&store->files_mutex);
  struct taking t = {&found->list, generation, 2 * most_items(store), op};
  uint64_t floor = store->changes_floor;
  pthread_mutex_unlock(&store->files_mutex);
  int rc = sdb_changes_file_read(store->dir, journal->header.uuid, &base, found);
  if (rc != SEQDB_OK) return sdb_error_nomem(op);
  rc = take_records(journal, &t, reached);
  sdb_change_list_raise_floor(&found->list, floor);
  if (rc != SEQDB_OK) sdb_change_list_free(&found->list);
  return rc;
}

void sdb_changes_set_floor(sdb_store *store, uint64_t floor) {
  pthread_mutex_lock(&store->files_mutex);
  store->changes_floor = floor;
  pthread_mutex_unlock(&store->files_mutex);
}

/* ---- a checkpoint */

/* What the records say, behind what the file has; else all of it anew. */
static void write_file(sdb_store *store, sdb_changes_found *found, sdb_change_list *fresh, sdb_changes_block *block) {
  const sdb_changes_place place = {store->dir, store->regions.fd, !store->sync_off};
  uint64_t floor = SDB_MAX(SDB_MAX(found->list.floor, fresh->floor), store->changes_floor);
  floor = SDB_MIN(floor, block->to.generation);
  uint64_t limit = sdb_changes_file_limit(store->regions.pages);
  sdb_change_list_join(fresh);
  block->floor = floor;
  bool fits = found->end + sdb_changes_block_bytes(fresh->count) <= limit;
  if (found->known && found->end && fits && sdb_changes_file_append(&place, found, block, fresh)) return;
  if (sdb_change_list_reserve(&found->list, fresh->count) != SEQDB_OK) return;
  for (size_t i = 0; i < fresh->count; i++)
    (void)sdb_change_list_add(&found->list, &fresh->items[i]);
  sdb_change_list_raise_floor(&found->list, floor);
  sdb_change_list_fit(&found->list, most_items(store));
  block->floor = found->list.floor;
  (void)sdb_changes_file_write(&place, block, &found->list);
}

void sdb_changes_copy_write(sdb_store *store) {
  const sdb_journal *journal = &store->journal;
  sdb_changes_block block = {.from = base_of(&journal->header), .to = {sdb_store_base(store), store->tip}};
  sdb_changes_found found;
  sdb_change_list fresh = {.items = NULL};
  struct taking t = {&fresh, block.to.generation, most_items(store), &sdb_unheard};
  bool reached = false;
  /* Without commits the file says what it said; a state without a name is nobody's. */
  if (sdb_changes_state_is(&block.from, &block.to) || !sdb_changes_state_is(&block.to, &block.to)) return;
  memcpy(block.uuid, journal->header.uuid, sizeof block.uuid);
  if (sdb_changes_file_read(store->dir, journal->header.uuid, &block.from, &found) != SEQDB_OK) return;
  if (take_records(journal, &t, &reached) == SEQDB_OK && reached) write_file(store, &found, &fresh, &block);
  sdb_change_list_free(&fresh);
  sdb_change_list_free(&found.list);
}
