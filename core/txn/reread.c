/* SPDX-License-Identifier: MIT
**
** reread.c: see reread.h.
*/
#include "txn/reread.h"

#include "base/check.h"
#include "os/os.h"
#include "pure/indexes.h"
#include "space/tree_file.h"
#include "txn/catalog_copy.h"
#include "txn/settle.h"

/* Entries read anew. */
struct reading {
  sdb_redo *redo;
  sdb_journal journal;
  sdb_regions_file regions;
  sdb_regions_load load;
  sdb_tree tree;
  uint64_t next; /* entries of the tree from this index on are the store's own still */
  uint64_t applied;
  sdb_patch patch;
  sdb_range_pool pool;
  sdb_range_set held;    /* of all records */
  sdb_range_set overlay; /* of an overlay's record alone */
  uint32_t *named;
  size_t named_count, named_capacity;
  sdb_record_header last;  /* the last record that counts */
  sdb_journal_place place; /* the state reached */
  sdb_file_uuid tip_file;
  bool any_counts, last_undecided;
  sdb_catalog_copy copy; /* what is known of the file `catalog` */
  sdb_branches branches; /* of version 2 */
  size_t done;           /* of them */
  bool dead_behind;
  sdb_file_uuid candidates;
  uint32_t durability; /* of the tip */
};

/* Own entries below `index` that the file does not have. */
static int remove_until(struct reading *r, uint64_t index) {
  sdb_store *store = r->redo->store;
  uint32_t at;
  int rc = SEQDB_OK;
  while (rc == SEQDB_OK && sdb_tree_next(&r->tree, r->next, &at) && at < index) {
    rc = sdb_tree_remove(&r->tree, store->names, store->epoch, at);
    r->next = (uint64_t)at + 1;
  }
  return rc;
}

static bool same_entry(const sdb_entry *entry, const sdb_entry_image *image) {
  return entry->start == image->start && entry->length == image->length && entry->reserved == image->reserved &&
         entry->generation == image->generation && entry->created == image->created &&
         entry->has_trailer == image->has_trailer && sdb_redo_has_name(entry, image);
}

/* How long it was before nobody knows: all of its reserve may be seen by who reads a generation before its own. */
static int put_unknown(struct reading *r, uint32_t index, const sdb_entry_image *image) {
  sdb_store *store = r->redo->store;
  const sdb_entry *before = sdb_tree_get(&store->committed->tree, index);
  int rc = sdb_redo_put(store, &r->tree, index, image, before);
  if (rc != SEQDB_OK) return rc;
  sdb_entry entry = *sdb_tree_get(&r->tree, index);
  entry.seen_bytes = entry.reserved;
  return sdb_tree_put(&r->tree, store->names, store->epoch, index, &entry);
}

static int read_entry(void *context, uint32_t index, const sdb_entry_image *image, const sdb_op *op) {
  struct reading *r = context;
  int rc = remove_until(r, index);
  const sdb_entry *before = sdb_tree_get(&r->tree, index);
  if (rc == SEQDB_OK && !(before && same_entry(before, image))) rc = put_unknown(r, index, image);
  r->next = (uint64_t)index + 1;
  return rc == SEQDB_OK ? rc : sdb_error_nomem(op);
}

static int redo_unknown(struct reading *r, const sdb_journal_record *record) {
  sdb_store *store = r->redo->store;
  uint64_t cursor = 0;
  uint32_t index;
  sdb_record_put put;
  int rc = SEQDB_OK;
  while (rc == SEQDB_OK && sdb_record_next_delete(record->record, record->header, &cursor, &index))
    if (sdb_tree_get(&r->tree, index)) rc = sdb_tree_remove(&r->tree, store->names, store->epoch, index);
  cursor = 0;
  while (rc == SEQDB_OK && sdb_record_next_put(record->record, record->header, &cursor, &put)) {
    sdb_entry_image image = sdb_redo_image(&put, record->header->generation);
    rc = put_unknown(r, put.index, &image);
  }
  return rc;
}

static int name_unknown(struct reading *r, const sdb_journal_record *record) {
  size_t more = (size_t)record->header->puts + record->header->deletes;
  uint64_t cursor = 0;
  uint32_t index;
  sdb_record_put put;
  if (more > r->named_capacity - r->named_count) {
    size_t capacity = 2 * (r->named_count + more);
    uint32_t *grown = sdb_realloc(r->named, capacity * sizeof *grown);
    if (!grown) return SEQDB_NOMEM;
    r->named = grown;
    r->named_capacity = capacity;
  }
  while (sdb_record_next_delete(record->record, record->header, &cursor, &index))
    r->named[r->named_count++] = index;
  for (cursor = 0; sdb_record_next_put(record->record, record->header, &cursor, &put);)
    r->named[r->named_count++] = put.index;
  return SEQDB_OK;
}

static int collect(void *context, const sdb_journal_record *record) {
  struct reading *r = context;
  return sdb_branches_add(&r->branches, record->header) == SEQDB_OK ? SEQDB_OK : sdb_error_nomem(r->redo->op);
}

/* The records come in the order in which they were collected. */
static bool is_kept(struct reading *r, const sdb_journal_record *record) {
  if (record->header->version == 1) return sdb_redo_is_kept(r->redo, record);
  return r->done < r->branches.count && r->branches.items[r->done++].kept;
}

/* What an SQLite file may still say that it counts: all that it shows is held. */
static int hold_candidate(struct reading *r, const sdb_journal_record *record) {
  uint64_t cursor = 0;
  sdb_record_put put;
  int rc = SEQDB_OK;
  while (rc == SEQDB_OK && sdb_record_next_put(record->record, record->header, &cursor, &put))
    rc = sdb_range_add(&r->held, put.start, put.reserved);
  r->dead_behind = true;
  r->candidates = record->header->file;
  return rc;
}

static int take_unknown(void *context, const sdb_journal_record *record) {
  struct reading *r = context;
  const sdb_record_header *header = record->header;
  bool kept = is_kept(r, record), files = !sdb_file_is_none(&header->file);
  int rc = sdb_redo_hold(&r->held, record);
  if (rc == SEQDB_OK && header->kind == SDB_RECORD_OVERLAY) rc = sdb_redo_hold(&r->overlay, record);
  if (!record->next) {
    r->redo->undecided = header->kind == SDB_RECORD_PREPARE && !files;
    r->redo->kept_last = r->last_undecided = r->redo->undecided && kept;
  }
  if (rc == SEQDB_OK && files && !kept) rc = hold_candidate(r, record);
  if (rc == SEQDB_OK && kept) {
    r->dead_behind = false;
    if (header->kind == SDB_RECORD_PREPARE || header->generation > r->place.generation) {
      r->place.tip = header->token;
      r->tip_file = header->file;
      r->durability = header->durability;
      sdb_journal_header_note(&r->journal.header, &header->file, &header->token);
    }
    r->last = *header;
    r->any_counts = true;
    r->place.generation = header->generation;
    rc = name_unknown(r, record);
    if (rc == SEQDB_OK) rc = redo_unknown(r, record);
    if (rc == SEQDB_OK && header->generation > r->applied) rc = sdb_redo_ranges(&r->patch, record);
  }
  return rc == SEQDB_OK ? rc : sdb_error_nomem(r->redo->op);
}

/* Whatever a checkpoint under way has torn, a record names. */
static bool is_whole(struct reading *r) {
  const sdb_journal_header *header = &r->journal.header;
  r->named_count = sdb_indexes_sort(r->named, r->named_count);
  for (size_t i = 0; i < r->load.bad_count; i++)
    if (!sdb_indexes_have(r->named, r->named_count, r->load.bad[i].index)) return false;
  return r->load.odd_bytes == 0 && r->tree.entries == (r->any_counts ? r->last.entries : header->entries) &&
         r->tree.hash == (r->any_counts ? r->last.entries_hash : header->entries_hash);
}

sdb_journal_place sdb_reread_place(const sdb_journal *journal) {
  return (sdb_journal_place){journal->header.base_generation, journal->header.base_token};
}

/* Which records lead to the tip that is wanted. */
static int choose(struct reading *r, uint64_t until) {
  sdb_journal_place place = r->place;
  sdb_journal ahead = r->journal;
  int rc = sdb_journal_follow(&ahead, &place, until, collect, r, r->redo->op);
  sdb_branches_keep(&r->branches, r->redo->tip_at ? sdb_branches_at(&r->branches, r->redo->tip_at) : 0);
  return rc;
}

/* Who joins may read `catalog` instead of `regions`: if that is of the header that is published, the first member has
** compared the state that it lists with `regions`, and only members have changed it since.  Who has joined may not,
** even if all its regions are gone: numbers of regions that it has given out would mean what the list has there. */
static int look_at_catalog(struct reading *r, bool *listed) {
  sdb_store *store = r->redo->store;
  sdb_catalog_file file;
  int rc = SEQDB_OK;
  if (r->journal.header.sync_off || !sdb_catalog_file_open(store->dir, &file)) return rc;
  r->copy = (sdb_catalog_copy){.known = sdb_catalog_head_is_of(&file.head, &r->journal.header), .head = file.head};
  if (r->copy.known && !store->mine.salt) {
    rc = sdb_tree_load_catalog(&r->tree, store->names, store->epoch, &file, &r->load, r->redo->op);
    *listed = r->copy.known = r->tree.entries > 0;
  }
  sdb_os_close(file.fd);
  return rc;
}

/* Steps 1 to 3 of reading (FORMAT.md 5), in memory. */
static int read_anew(struct reading *r, uint64_t until) {
  sdb_store *store = r->redo->store;
  const sdb_op *op = r->redo->op;
  store->epoch++;
  r->tree = sdb_tree_share(&store->committed->tree);
  r->regions = store->regions;
  r->place = sdb_reread_place(&r->journal);
  r->tip_file = r->journal.header.base_file;
  r->applied = r->redo->to_end || !store->shared ? 0 : sdb_board_applied(store->board);
  int rc = sdb_regions_measure(&r->regions, &r->load, op);
  bool listed = false;
  if (rc == SEQDB_OK) rc = look_at_catalog(r, &listed);
  if (rc == SEQDB_OK && !listed) rc = sdb_regions_read(&r->regions, read_entry, r, &r->load, op);
  if (rc == SEQDB_OK && !listed && remove_until(r, UINT64_MAX) != SEQDB_OK) rc = sdb_error_nomem(op);
  sdb_journal_place place = r->place;
  if (rc == SEQDB_OK && r->journal.header.version > 1) rc = choose(r, until);
  return rc == SEQDB_OK ? sdb_journal_follow(&r->journal, &place, until, take_unknown, r, op) : rc;
}

/* The bytes that snapshots here show; `mutex` held. */
static int shown(const sdb_store *store, uint64_t newest_reader, sdb_range_set *bytes) {
  const sdb_catalog *at = store->space.catalogs.oldest;
  int rc = SEQDB_OK;
  for (; at && at->generation <= newest_reader && rc == SEQDB_OK; at = at->newer) {
    uint64_t from = 0;
    uint32_t index;
    for (const sdb_entry *entry; rc == SEQDB_OK && (entry = sdb_tree_next(&at->tree, from, &index));
         from = (uint64_t)index + 1)
      if (entry->length) rc = sdb_range_add(bytes, entry->start, entry->length);
  }
  return rc;
}

/* Behind a checkpoint all is in `data` but what its records say.  Behind an overlay's record the layers that snapshots
** here need stay; but only of the bytes that they show, for any other one may have been written directly since. */
static int take_layer(struct reading *r, sdb_layer *layer) {
  sdb_store *store = r->redo->store;
  sdb_range_set bytes;
  if (!r->journal.header.overlay) {
    sdb_overlay_replace(&store->overlay, layer);
    return SEQDB_OK;
  }
  uint64_t newest_reader = sdb_store_newest_reader(store);
  sdb_range_set_init(&bytes, &r->pool, false);
  int rc = shown(store, newest_reader, &bytes);
  if (rc == SEQDB_OK) rc = sdb_overlay_confine(&store->overlay, &bytes);
  if (rc == SEQDB_OK) rc = sdb_overlay_renew(&store->overlay, newest_reader, &r->overlay, layer);
  sdb_range_set_clear(&bytes);
  return rc;
}

/* What was read takes the place of what the store has.  All locks of publishing held.  NOMEM changes nothing. */
static int take_reading(struct reading *r, uint64_t end) {
  sdb_store *store = r->redo->store;
  sdb_layer *spare = NULL;
  if (sdb_range_pool_reserve(&store->space.pool, r->held.count) != SEQDB_OK) return SEQDB_NOMEM;
  if (r->patch.count && !(spare = sdb_overlay_layer(&r->patch, r->place.generation))) return SEQDB_NOMEM;
  sdb_catalog *made = sdb_catalog_new(&store->space.catalogs, &r->tree, SDB_CATALOG_PREPARED, r->place.generation);
  if (!made) {
    sdb_overlay_free_spare(&spare);
    return SEQDB_NOMEM;
  }
  const sdb_record_header tip = {.token = r->place.tip,
                                 .file = r->tip_file,
                                 .position = r->redo->tip_at,
                                 .durability = r->durability,
                                 .generation = r->place.generation};
  sdb_store_decided(store);
  if (take_layer(r, spare) != SEQDB_OK) {
    sdb_overlay_free_spare(&spare);
    sdb_space_unref(&store->space, made);
    return SEQDB_NOMEM;
  }
  sdb_store_swap(store, made, r->last_undecided, false);
  store->unsettled = r->last_undecided && r->last.coordinator_bytes;
  (void)SDB_NEVER(sdb_space_rebuild(&store->space, end, &r->held) != SEQDB_OK); /* its memory is there */
  sdb_free(store->named);
  store->named = r->named;
  store->named_count = r->named_count;
  store->named_capacity = r->named_capacity;
  r->named = NULL;
  sdb_catalog_copy_forget(&store->copy);
  store->copy = r->copy;
  store->journal = r->journal;
  atomic_fetch_add(&store->claims_version, 1);
  store->regions = r->regions;
  store->version = SDB_MAX(store->version, store->journal.header.version);
  sdb_settle_follow(store, &tip);
  if (r->redo->tip_at == 0) sdb_settle_tip(store);
  store->dead_behind = r->dead_behind;
  if (r->dead_behind) store->candidates = r->candidates;
  sdb_store_stand(store);
  return SEQDB_OK;
}

int sdb_reread(sdb_redo *f, const sdb_journal *journal, const sdb_published *to, bool *reached) {
  sdb_store *store = f->store;
  struct reading r = {.redo = f, .journal = *journal};
  sdb_patch_init(&r.patch);
  sdb_range_pool_init(&r.pool);
  sdb_range_set_init(&r.held, &r.pool, false);
  sdb_range_set_init(&r.overlay, &r.pool, false);
  int rc = read_anew(&r, to->end);
  bool has_tip = r.journal.header.version == 1 || to->tip_at == 0 || sdb_branches_at(&r.branches, to->tip_at) > 0;
  *reached =
      rc == SEQDB_OK && has_tip && is_whole(&r) && r.journal.tail == to->end && r.journal.previous == to->last_checksum;
  if (*reached) {
    sdb_overlay_drop(&store->overlay, r.applied);
    pthread_mutex_lock(&store->files_mutex);
    sdb_overlay_lock(&store->overlay);
    pthread_mutex_lock(&store->mutex);
    uint64_t end = SDB_MAX(r.journal.header.data_bytes, r.any_counts ? r.last.data_bytes : 0);
    rc = take_reading(&r, SDB_MAX(end, to->data_bytes));
    pthread_mutex_unlock(&store->mutex);
    sdb_overlay_unlock(&store->overlay);
    pthread_mutex_unlock(&store->files_mutex);
    if (rc != SEQDB_OK) rc = sdb_error_nomem(f->op);
  }
  sdb_tree_drop(&r.tree, store->names);
  sdb_patch_clear(&r.patch);
  sdb_range_set_clear(&r.held);
  sdb_range_set_clear(&r.overlay);
  sdb_range_pool_destroy(&r.pool);
  sdb_branches_free(&r.branches);
  sdb_free(r.named);
  sdb_free(r.load.bad);
  return rc;
}
