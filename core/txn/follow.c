/* SPDX-License-Identifier: MIT
**
** follow.c: see follow.h.
**
** A record that counts makes the next catalog as a commit of this process would: tree, space, overlay, named entries and
** the position change together, under the locks of publishing.  One that was dropped leaves its ranges only: recovery
** has not forgotten them (R1).
*/
#include "txn/follow.h"

#include "base/check.h"
#include "os/os.h"
#include "pure/indexes.h"
#include "space/tree_file.h"

/* A following under way. */
struct follow {
  sdb_store *store;
  const sdb_op *op;
  bool to_end;     /* past what is published */
  bool drop;       /* ... where an undecided prepare of a coordinator does not count */
  bool undecided;  /* the last record is a prepare */
  bool kept_last;  /* and counted */
  bool contradicts; /* a record does not lead to the entries that it says */
};

/* A prepare counts unless the record after it drops it.  What was published counts. */
static bool is_kept(const struct follow *f, const sdb_journal_record *record) {
  if (record->header->kind == SDB_RECORD_COMMIT) return true;
  if (record->next) return record->next->flags & SDB_RECORD_KEEP;
  return !(f->drop && record->header->coordinator_bytes);
}

/* ---- entries */

static bool has_name(const sdb_entry *entry, const sdb_entry_image *image) {
  return sdb_name_bytes(entry->name) == image->name_bytes &&
         memcmp(sdb_name_text(entry->name), image->name, image->name_bytes) == 0;
}

/* Is it the region that was there, perhaps moved or renamed?  Of directories of version 1 that is a guess. */
static bool same_region(const sdb_entry *before, const sdb_entry_image *image) {
  if (before->created && image->created) return before->created == image->created;
  return has_name(before, image) || before->start == image->start;
}

/* Put what a page or a record says in the place of `before`, the store's own entry (NULL: none).  Names and numbers of
** regions that are still there stay what they are. */
static int put_image(sdb_store *store, sdb_tree *tree, uint32_t index, const sdb_entry_image *image,
                     const sdb_entry *before) {
  sdb_entry entry = {.start = image->start,
                     .length = image->length,
                     .reserved = image->reserved,
                     .generation = image->generation,
                     .created = image->created,
                     .has_trailer = image->has_trailer};
  bool same_name = before && has_name(before, image);
  entry.incarnation = before && same_region(before, image) ? before->incarnation : ++store->incarnation;
  entry.name = same_name ? before->name : sdb_name_new(store->names, image->name, image->name_bytes, index);
  if (!entry.name) return SEQDB_NOMEM;
  sdb_entry_see(&entry, before, store->space.catalogs.reusable);
  int rc = sdb_tree_put(tree, store->names, store->epoch, index, &entry);
  if (!same_name) sdb_name_unref(store->names, entry.name);
  return rc;
}

static int redo_entries(sdb_store *store, sdb_tree *tree, const sdb_journal_record *record) {
  uint64_t cursor = 0;
  uint32_t index;
  sdb_record_put put;
  int rc = SEQDB_OK;
  while (rc == SEQDB_OK && sdb_record_next_delete(record->record, record->header, &cursor, &index))
    rc = sdb_tree_remove(tree, store->names, store->epoch, index);
  cursor = 0;
  while (rc == SEQDB_OK && sdb_record_next_put(record->record, record->header, &cursor, &put)) {
    sdb_entry_image image = {.start = put.start,
                             .length = put.length,
                             .reserved = put.reserved,
                             .generation = record->header->generation,
                             .created = put.created,
                             .has_trailer = true,
                             .name_bytes = put.name_bytes,
                             .name = put.name};
    rc = put_image(store, tree, put.index, &image, sdb_tree_get(&store->committed->tree, put.index));
  }
  return rc;
}

static int redo_ranges(sdb_patch *patch, const sdb_journal_record *record) {
  uint64_t cursor = 0;
  sdb_record_range range;
  int rc = SEQDB_OK;
  while (rc == SEQDB_OK && sdb_record_next_range(record->record, record->header, &cursor, &range))
    rc = sdb_patch_write(patch, range.offset, range.data, (size_t)range.bytes);
  return rc;
}

static void add_named(sdb_store *store, const sdb_journal_record *record) {
  uint64_t cursor = 0;
  uint32_t index;
  sdb_record_put put;
  while (sdb_record_next_delete(record->record, record->header, &cursor, &index))
    store->named[store->named_count++] = index;
  for (cursor = 0; sdb_record_next_put(record->record, record->header, &cursor, &put);)
    store->named[store->named_count++] = put.index;
}

/* store.mutex held. */
static int hold_ranges(sdb_store *store, const sdb_journal_record *record) {
  uint64_t cursor = 0;
  sdb_record_range range;
  int rc = SEQDB_OK;
  while (rc == SEQDB_OK && sdb_record_next_range(record->record, record->header, &cursor, &range))
    rc = sdb_space_hold_redo(&store->space, range.offset, range.bytes);
  return rc;
}

/* The extents that a dropped record was to have are nobody's, and its ranges lie in them still. */
static int hold_dropped(sdb_store *store, const sdb_journal_record *record) {
  uint64_t cursor = 0;
  sdb_record_range range;
  if (hold_ranges(store, record) != SEQDB_OK) return SEQDB_NOMEM;
  while (sdb_record_next_range(record->record, record->header, &cursor, &range))
    sdb_space_set_aside(&store->space, range.offset, range.bytes);
  sdb_space_recount(&store->space, &store->committed->tree);
  return SEQDB_OK;
}

/* ---- the position; files_mutex and mutex held */

static void stand_behind(sdb_store *store, const sdb_record_header *header) {
  sdb_journal *journal = &store->journal;
  journal->last = header->position;
  journal->last_bytes = header->bytes;
  journal->previous = header->checksum;
  journal->tail = sdb_journal_record_end(header);
}

/* The newest commit is the record's, unless it only decides.  Before the last commit changes. */
static void take_tip(sdb_store *store, const sdb_record_header *header) {
  if (header->kind == SDB_RECORD_COMMIT && header->generation <= store->committed->generation) return;
  store->tip = header->token;
  store->tip_file = header->file;
}

/* ---- one record */

/* What following it needs. */
struct step {
  sdb_tree tree;
  sdb_patch patch;
  sdb_layer *spare;
};

static int prepare_step(struct follow *f, const sdb_journal_record *record, struct step *step) {
  sdb_store *store = f->store;
  const sdb_record_header *header = record->header;
  store->epoch++;
  step->tree = sdb_tree_share(&store->committed->tree);
  int rc = redo_entries(store, &step->tree, record);
  if (rc == SEQDB_OK) rc = redo_ranges(&step->patch, record);
  if (rc == SEQDB_OK) rc = sdb_overlay_reserve(&store->overlay, step->patch.count, &step->spare);
  if (rc == SEQDB_OK) rc = sdb_store_reserve_named(store, (size_t)header->puts + header->deletes);
  f->contradicts = rc == SEQDB_OK &&
                   (step->tree.entries != header->entries || step->tree.hash != header->entries_hash);
  return rc;
}

/* All locks of publishing held. */
static int take_step(struct follow *f, const sdb_journal_record *record, struct step *step) {
  sdb_store *store = f->store;
  const sdb_record_header *header = record->header;
  bool undecided = header->kind == SDB_RECORD_PREPARE && !record->next;
  if (hold_ranges(store, record) != SEQDB_OK) return SEQDB_NOMEM;
  sdb_catalog *made =
      sdb_catalog_new(&store->space.catalogs, &step->tree, SDB_CATALOG_PREPARED, header->generation);
  if (!made) return SEQDB_NOMEM;
  sdb_store_decided(store);
  take_tip(store, header);
  sdb_overlay_add(&store->overlay, header->generation, sdb_store_newest_reader(store), &step->patch, &step->spare);
  sdb_space_follow(&store->space, &store->committed->tree, &made->tree);
  sdb_store_swap(store, made, undecided, undecided && header->coordinator_bytes);
  add_named(store, record);
  stand_behind(store, header);
  sdb_store_stand(store);
  return SEQDB_OK;
}

/* An empty record decides, and changes nothing. */
static bool is_empty(const sdb_record_header *header) {
  return header->puts == 0 && header->deletes == 0 && header->ranges == 0;
}

static void pass_record(sdb_store *store, const sdb_record_header *header, bool undecided, bool kept) {
  sdb_store_decided(store);
  if (kept) take_tip(store, header);
  store->keep_next = undecided;
  stand_behind(store, header);
  sdb_store_stand(store);
}

static int take_record(void *context, const sdb_journal_record *record) {
  struct follow *f = context;
  sdb_store *store = f->store;
  struct step step = {.spare = NULL};
  bool kept = is_kept(f, record), step_needed = kept && !is_empty(record->header);
  sdb_patch_init(&step.patch);
  if (!record->next) {
    f->undecided = record->header->kind == SDB_RECORD_PREPARE;
    f->kept_last = f->undecided && kept;
  }
  int rc = step_needed ? prepare_step(f, record, &step) : SEQDB_OK;
  if (rc == SEQDB_OK && !f->contradicts) {
    pthread_mutex_lock(&store->files_mutex);
    sdb_overlay_lock(&store->overlay);
    pthread_mutex_lock(&store->mutex);
    if (step_needed)
      rc = take_step(f, record, &step);
    else if (kept || (rc = hold_dropped(store, record)) == SEQDB_OK)
      pass_record(store, record->header, kept && !record->next && f->undecided, kept);
    pthread_mutex_unlock(&store->mutex);
    sdb_overlay_unlock(&store->overlay);
    pthread_mutex_unlock(&store->files_mutex);
  }
  sdb_tree_drop(&step.tree, store->names);
  sdb_patch_clear(&step.patch);
  sdb_overlay_free_spare(&step.spare);
  if (rc == SEQDB_NOMEM) return sdb_error_nomem(f->op);
  return rc == SEQDB_OK && f->contradicts ? SEQDB_DONE : rc;
}

/* The records behind the store's position. */
static int follow_records(struct follow *f, uint64_t until) {
  sdb_store *store = f->store;
  sdb_journal journal = store->journal; /* its position runs ahead of the store's */
  sdb_journal_place place = {store->committed->generation, store->tip};
  int rc = sdb_journal_follow(&journal, &place, until, take_record, f, f->op);
  return rc == SEQDB_DONE ? SEQDB_OK : rc;
}

/* ---- another salt */

/* Entries read anew. */
struct reading {
  struct follow *f;
  sdb_journal journal;
  sdb_regions_file regions;
  sdb_regions_load load;
  sdb_tree tree;
  uint64_t next; /* entries of the tree from this index on are the store's own still */
  uint64_t applied;
  sdb_patch patch;
  sdb_range_pool pool;
  sdb_range_set redo;
  uint32_t *named;
  size_t named_count, named_capacity;
  sdb_record_header last; /* the last record that counts */
  sdb_journal_place place; /* the state reached */
  sdb_file_uuid tip_file;
  bool any_counts, last_undecided;
};

/* Own entries below `index` that the file does not have. */
static int remove_until(struct reading *r, uint64_t index) {
  sdb_store *store = r->f->store;
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
         entry->has_trailer == image->has_trailer && has_name(entry, image);
}

/* How long it was before nobody knows: all of its reserve may be seen by who reads a generation before its own. */
static int put_unknown(struct reading *r, uint32_t index, const sdb_entry_image *image) {
  sdb_store *store = r->f->store;
  const sdb_entry *before = sdb_tree_get(&store->committed->tree, index);
  int rc = put_image(store, &r->tree, index, image, before);
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
  sdb_store *store = r->f->store;
  uint64_t cursor = 0;
  uint32_t index;
  sdb_record_put put;
  int rc = SEQDB_OK;
  while (rc == SEQDB_OK && sdb_record_next_delete(record->record, record->header, &cursor, &index))
    if (sdb_tree_get(&r->tree, index)) rc = sdb_tree_remove(&r->tree, store->names, store->epoch, index);
  cursor = 0;
  while (rc == SEQDB_OK && sdb_record_next_put(record->record, record->header, &cursor, &put)) {
    sdb_entry_image image = {.start = put.start,
                             .length = put.length,
                             .reserved = put.reserved,
                             .generation = record->header->generation,
                             .created = put.created,
                             .has_trailer = true,
                             .name_bytes = put.name_bytes,
                             .name = put.name};
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

static int take_unknown(void *context, const sdb_journal_record *record) {
  struct reading *r = context;
  const sdb_record_header *header = record->header;
  bool kept = is_kept(r->f, record);
  uint64_t cursor = 0;
  sdb_record_range range;
  int rc = SEQDB_OK;
  while (rc == SEQDB_OK && sdb_record_next_range(record->record, header, &cursor, &range))
    rc = sdb_range_add(&r->redo, range.offset, range.bytes);
  if (!record->next) {
    r->f->undecided = header->kind == SDB_RECORD_PREPARE;
    r->f->kept_last = r->last_undecided = r->f->undecided && kept;
  }
  if (rc == SEQDB_OK && kept) {
    if (header->kind == SDB_RECORD_PREPARE || header->generation > r->place.generation) {
      r->place.tip = header->token;
      r->tip_file = header->file;
    }
    r->last = *header;
    r->any_counts = true;
    r->place.generation = header->generation;
    rc = name_unknown(r, record);
    if (rc == SEQDB_OK) rc = redo_unknown(r, record);
    if (rc == SEQDB_OK && header->generation > r->applied) rc = redo_ranges(&r->patch, record);
  }
  return rc == SEQDB_OK ? rc : sdb_error_nomem(r->f->op);
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

/* Before its first record. */
static sdb_journal_place place_at(const sdb_journal *journal) {
  return (sdb_journal_place){journal->header.base_generation, journal->header.base_token};
}

/* Steps 1 to 3 of reading (FORMAT.md 5), in memory. */
static int read_anew(struct reading *r, uint64_t until) {
  sdb_store *store = r->f->store;
  const sdb_op *op = r->f->op;
  store->epoch++;
  r->tree = sdb_tree_share(&store->committed->tree);
  r->regions = store->regions;
  r->place = place_at(&r->journal);
  r->tip_file = r->journal.header.base_file;
  r->applied = r->f->to_end ? 0 : sdb_board_applied(store->board);
  int rc = sdb_regions_measure(&r->regions, &r->load, op);
  if (rc == SEQDB_OK) rc = sdb_regions_read(&r->regions, read_entry, r, &r->load, op);
  if (rc == SEQDB_OK && remove_until(r, UINT64_MAX) != SEQDB_OK) rc = sdb_error_nomem(op);
  sdb_journal_place place = r->place;
  return rc == SEQDB_OK ? sdb_journal_follow(&r->journal, &place, until, take_unknown, r, op) : rc;
}

/* What was read takes the place of what the store has.  All locks of publishing held.  NOMEM changes nothing. */
static int take_reading(struct reading *r, uint64_t end) {
  sdb_store *store = r->f->store;
  sdb_layer *spare = NULL;
  if (sdb_range_pool_reserve(&store->space.pool, r->redo.count) != SEQDB_OK) return SEQDB_NOMEM;
  if (r->patch.count && !(spare = sdb_overlay_layer(&r->patch, r->place.generation))) return SEQDB_NOMEM;
  sdb_catalog *made = sdb_catalog_new(&store->space.catalogs, &r->tree, SDB_CATALOG_PREPARED, r->place.generation);
  if (!made) {
    sdb_overlay_free_spare(&spare);
    return SEQDB_NOMEM;
  }
  sdb_store_decided(store);
  sdb_store_swap(store, made, r->last_undecided, false);
  store->unsettled = r->last_undecided && r->last.coordinator_bytes;
  (void)SDB_NEVER(sdb_space_rebuild(&store->space, end, &r->redo) != SEQDB_OK); /* its memory is there */
  sdb_overlay_replace(&store->overlay, spare);
  sdb_free(store->named);
  store->named = r->named;
  store->named_count = r->named_count;
  store->named_capacity = r->named_capacity;
  r->named = NULL;
  store->journal = r->journal;
  store->regions = r->regions;
  store->version = SDB_MAX(store->version, store->journal.header.version);
  store->tip = r->place.tip;
  store->tip_file = r->tip_file;
  sdb_store_stand(store);
  return SEQDB_OK;
}

static int reread(struct follow *f, const sdb_journal *journal, const sdb_published *to, bool *reached) {
  sdb_store *store = f->store;
  struct reading r = {.f = f, .journal = *journal};
  sdb_patch_init(&r.patch);
  sdb_range_pool_init(&r.pool);
  sdb_range_set_init(&r.redo, &r.pool, false);
  int rc = read_anew(&r, to->end);
  *reached = rc == SEQDB_OK && is_whole(&r) && r.journal.tail == to->end && r.journal.previous == to->last_checksum;
  if (*reached) {
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
  sdb_range_set_clear(&r.redo);
  sdb_range_pool_destroy(&r.pool);
  sdb_free(r.named);
  sdb_free(r.load.bad);
  return rc;
}

/* The header stands for the very state that the store has: its records are all folded. */
static void take_header(sdb_store *store, const sdb_journal *journal) {
  uint64_t zeroed = store->journal.zeroed;
  pthread_mutex_lock(&store->files_mutex);
  pthread_mutex_lock(&store->mutex);
  store->journal = *journal;
  store->journal.zeroed = zeroed;
  store->version = SDB_MAX(store->version, journal->header.version);
  store->tip = journal->header.base_token;
  store->tip_file = journal->header.base_file;
  store->named_count = 0;
  sdb_store_decided(store);
  sdb_space_release_redo(&store->space);
  sdb_store_stand(store);
  pthread_mutex_unlock(&store->mutex);
  pthread_mutex_unlock(&store->files_mutex);
  sdb_overlay_drop(&store->overlay, UINT64_MAX);
}

static bool is_at(const sdb_store *store, const sdb_journal_header *header) {
  const sdb_catalog *committed = store->committed;
  return store->mine.salt && committed->generation == header->base_generation &&
         committed->tree.entries == header->entries && committed->tree.hash == header->entries_hash;
}

static int follow_header(struct follow *f, const sdb_journal *journal, const sdb_published *to, bool *reached) {
  sdb_store *store = f->store;
  *reached = false;
  if (!is_at(store, &journal->header)) return reread(f, journal, to, reached);
  take_header(store, journal);
  int rc = follow_records(f, to->end);
  *reached = rc == SEQDB_OK && !f->contradicts && store->mine.end == to->end &&
             store->mine.last_checksum == to->last_checksum;
  return rc;
}

/* The header page of a salt, in a copy of the store's journal. */
static sdb_journal journal_at(const sdb_store *store) {
  sdb_journal journal = store->journal;
  journal.last = journal.last_bytes = 0;
  return journal;
}

/* ---- all of it */

/* The store follows: what was cut or grown elsewhere, what has lost its blocks, what needs no layer any more. */
static int settle_files(sdb_store *store, bool other_salt, const sdb_op *op) {
  sdb_overlay_drop(&store->overlay, sdb_board_applied(store->board));
  sdb_data_forget(&store->data);
  if (!other_salt && sdb_store_end(store) <= atomic_load(&store->data.size_bytes)) return SEQDB_OK;
  return sdb_data_look(&store->data, op);
}

int sdb_follow(sdb_store *store, const sdb_published *to, bool *reached, const sdb_op *op) {
  struct follow f = {.store = store, .op = op};
  bool same = to->salt == store->mine.salt, found = true;
  int rc;
  if (same) {
    rc = follow_records(&f, to->end);
    *reached = rc == SEQDB_OK && !f.contradicts && store->mine.end == to->end &&
               store->mine.last_checksum == to->last_checksum;
  } else {
    sdb_journal journal = journal_at(store);
    rc = sdb_journal_find(&journal, to->salt, &found, op);
    *reached = false;
    if (rc == SEQDB_OK && found) rc = follow_header(&f, &journal, to, reached);
  }
  if (rc == SEQDB_OK && *reached) rc = settle_files(store, !same, op);
  return rc;
}

static int corrupt(const sdb_op *op) {
  return sdb_error_set(op, SEQDB_CORRUPT, "journal", 0,
                       "%s: what a process that died has left does not fit what was published before: close all "
                       "connections and open it anew",
                       op->operation);
}

/* The dead writer has written a header and not published it.  That is done before anything of its salt is written: a
** record would take the place of one that others are going to read. */
static int follow_unpublished(struct follow *f, const sdb_journal *journal, bool *reached) {
  const sdb_published base = {.salt = journal->header.salt,
                              .end = journal->header.start,
                              .last_checksum = journal->header.salt,
                              .generation = journal->header.base_generation,
                              .data_bytes = journal->header.data_bytes};
  int rc = follow_header(f, journal, &base, reached);
  if (rc == SEQDB_OK && *reached) sdb_store_publish(f->store);
  return rc;
}

int sdb_follow_to_end(sdb_store *store, bool drop, bool *undecided, bool *kept, const sdb_op *op) {
  struct follow f = {.store = store, .op = op, .to_end = true, .drop = drop};
  sdb_journal journal = journal_at(store);
  enum sdb_journal_state state;
  bool reached = true;
  int rc = sdb_journal_read(&journal, &state, op);
  if (rc == SEQDB_OK && state != SDB_JOURNAL_GOOD) return corrupt(op);
  if (rc == SEQDB_OK && journal.header.salt != store->mine.salt) rc = follow_unpublished(&f, &journal, &reached);
  if (rc == SEQDB_OK && reached) rc = follow_records(&f, UINT64_MAX);
  if (rc == SEQDB_OK && (f.contradicts || !reached)) return corrupt(op);
  *undecided = f.undecided;
  *kept = f.kept_last;
  return rc == SEQDB_OK ? settle_files(store, true, op) : rc;
}

/* From the first record to where the store stands. */
static int each_record(sdb_store *store, sdb_journal_take take, void *context, const sdb_op *op) {
  sdb_journal journal = store->journal;
  sdb_journal_place place = place_at(&journal);
  journal.tail = journal.header.start;
  journal.previous = journal.header.salt;
  return sdb_journal_follow(&journal, &place, store->journal.tail, take, context, op);
}

struct holding {
  const sdb_op *op;
  sdb_range_pool pool;
  sdb_range_set redo;
};

static int take_redo(void *context, const sdb_journal_record *record) {
  struct holding *holding = context;
  uint64_t cursor = 0;
  sdb_record_range range;
  int rc = SEQDB_OK;
  while (rc == SEQDB_OK && sdb_record_next_range(record->record, record->header, &cursor, &range))
    rc = sdb_range_add(&holding->redo, range.offset, range.bytes);
  return rc == SEQDB_OK ? rc : sdb_error_nomem(holding->op);
}

int sdb_follow_hold(sdb_store *store, const sdb_op *op) {
  struct holding holding = {.op = op};
  sdb_range_pool_init(&holding.pool);
  sdb_range_set_init(&holding.redo, &holding.pool, false);
  int rc = each_record(store, take_redo, &holding, op);
  if (rc == SEQDB_OK) {
    pthread_mutex_lock(&store->mutex);
    rc = sdb_space_rebuild(&store->space, store->space.end, &holding.redo);
    pthread_mutex_unlock(&store->mutex);
    if (rc != SEQDB_OK) rc = sdb_error_nomem(op);
  }
  sdb_range_set_clear(&holding.redo);
  sdb_range_pool_destroy(&holding.pool);
  return rc;
}

struct ranges {
  struct follow f;
  uint64_t generation;
  sdb_patch *patch;
};

static int take_ranges(void *context, const sdb_journal_record *record) {
  struct ranges *r = context;
  if (record->header->generation > r->generation || !is_kept(&r->f, record)) return SEQDB_OK;
  int rc = redo_ranges(r->patch, record);
  return rc == SEQDB_OK ? rc : sdb_error_nomem(r->f.op);
}

int sdb_follow_ranges(sdb_store *store, uint64_t generation, sdb_patch *patch, const sdb_op *op) {
  struct ranges r = {.f = {.store = store, .op = op}, .generation = generation, .patch = patch};
  return each_record(store, take_ranges, &r, op);
}
