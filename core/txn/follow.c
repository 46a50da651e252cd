/* SPDX-License-Identifier: MIT
**
** follow.c: see follow.h.
**
** A record that counts makes the next catalog as a commit of this process would: tree, space, overlay, named entries
** and the position change together, under the locks of publishing.  One that was dropped leaves its ranges only:
** recovery has not forgotten them (R1).
*/
#include "txn/follow.h"

#include "txn/catalog_copy.h"
#include "txn/reread.h"
#include "txn/settle.h"

static int redo_entries(sdb_store *store, sdb_tree *tree, const sdb_journal_record *record) {
  uint64_t cursor = 0;
  uint32_t index;
  sdb_record_put put;
  int rc = SEQDB_OK;
  while (rc == SEQDB_OK && sdb_record_next_delete(record->record, record->header, &cursor, &index))
    rc = sdb_tree_remove(tree, store->names, store->epoch, index);
  cursor = 0;
  while (rc == SEQDB_OK && sdb_record_next_put(record->record, record->header, &cursor, &put)) {
    sdb_entry_image image = sdb_redo_image(&put, record->header->generation);
    rc = sdb_redo_put(store, tree, put.index, &image, sdb_tree_get(&store->committed->tree, put.index));
  }
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

/* The extents that a dropped record was to have are nobody's, and its ranges lie in them still.  An SQLite file may say
** later that it counts: all that it shows is held. */
static int hold_dropped(sdb_store *store, const sdb_journal_record *record) {
  uint64_t cursor = 0;
  sdb_record_range range;
  sdb_record_put put;
  if (!sdb_file_is_none(&record->header->file)) {
    store->dead_behind = true;
    store->candidates = record->header->file;
    while (sdb_record_next_put(record->record, record->header, &cursor, &put))
      if (sdb_settle_hold(store, put.start, put.reserved) != SEQDB_OK) return SEQDB_NOMEM;
    cursor = 0;
  }
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

/* The newest commit is the record's, unless it only decides. */
static void take_tip(sdb_store *store, const sdb_record_header *header) {
  if (header->kind == SDB_RECORD_COMMIT && header->generation <= store->committed->generation) return;
  sdb_settle_follow(store, header);
}

/* ---- one record */

/* What following it needs. */
struct step {
  sdb_tree tree;
  sdb_patch patch;
  sdb_layer *spare;
  sdb_range_pool pool;
  sdb_range_set redo; /* of an overlay's record */
};

static int prepare_step(sdb_redo *f, const sdb_journal_record *record, struct step *step) {
  sdb_store *store = f->store;
  const sdb_record_header *header = record->header;
  store->epoch++;
  step->tree = sdb_tree_share(&store->committed->tree);
  int rc = redo_entries(store, &step->tree, record);
  if (rc == SEQDB_OK) rc = sdb_redo_ranges(&step->patch, record);
  if (rc == SEQDB_OK) rc = sdb_overlay_reserve(&store->overlay, step->patch.count, &step->spare);
  if (rc == SEQDB_OK) rc = sdb_store_reserve_named(store, (size_t)header->puts + header->deletes);
  f->contradicts = rc == SEQDB_OK && (step->tree.entries != header->entries || step->tree.hash != header->entries_hash);
  return rc;
}

/* All locks of publishing held. */
static int take_step(sdb_redo *f, const sdb_journal_record *record, struct step *step) {
  sdb_store *store = f->store;
  const sdb_record_header *header = record->header;
  bool undecided = header->kind == SDB_RECORD_PREPARE && !record->next && sdb_file_is_none(&header->file);
  if (hold_ranges(store, record) != SEQDB_OK) return SEQDB_NOMEM;
  sdb_catalog *made = sdb_catalog_new(&store->space.catalogs, &step->tree, SDB_CATALOG_PREPARED, header->generation);
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

/* An empty commit decides, and changes nothing. */
static bool is_empty(const sdb_record_header *header) {
  return header->kind == SDB_RECORD_COMMIT && header->puts == 0 && header->deletes == 0 && header->ranges == 0;
}

/* The same state, and another journal: of what it carried before, this is what `data` has not yet. */
static int take_overlay(sdb_store *store, const sdb_record_header *header, const sdb_range_set *redo) {
  int rc = sdb_overlay_confine(&store->overlay, redo);
  if (rc == SEQDB_OK) rc = sdb_space_renew_redo(&store->space, redo);
  if (rc != SEQDB_OK) return rc;
  stand_behind(store, header);
  sdb_store_stand(store);
  return SEQDB_OK;
}

static void pass_record(sdb_store *store, const sdb_record_header *header, bool undecided, bool kept) {
  sdb_store_decided(store);
  if (kept) take_tip(store, header);
  store->keep_next = undecided;
  stand_behind(store, header);
  sdb_store_stand(store);
}

/* All locks of publishing held while the store changes. */
static int change(sdb_redo *f, const sdb_journal_record *record, struct step *step, bool kept) {
  sdb_store *store = f->store;
  const sdb_record_header *header = record->header;
  int rc = SEQDB_OK;
  pthread_mutex_lock(&store->files_mutex);
  sdb_overlay_lock(&store->overlay);
  pthread_mutex_lock(&store->mutex);
  if (header->kind == SDB_RECORD_OVERLAY)
    rc = take_overlay(store, header, &step->redo);
  else if (kept && !is_empty(header))
    rc = take_step(f, record, step);
  else if (kept || (rc = hold_dropped(store, record)) == SEQDB_OK)
    pass_record(store, header, kept && !record->next && f->undecided, kept);
  pthread_mutex_unlock(&store->mutex);
  sdb_overlay_unlock(&store->overlay);
  pthread_mutex_unlock(&store->files_mutex);
  return rc;
}

static int take_record(void *context, const sdb_journal_record *record) {
  sdb_redo *f = context;
  sdb_store *store = f->store;
  struct step step = {.spare = NULL};
  bool kept = sdb_redo_is_kept(f, record), overlay = record->header->kind == SDB_RECORD_OVERLAY;
  int rc = SEQDB_OK;
  sdb_patch_init(&step.patch);
  sdb_range_pool_init(&step.pool);
  sdb_range_set_init(&step.redo, &step.pool, false);
  if (!record->next) {
    f->undecided = record->header->kind == SDB_RECORD_PREPARE && sdb_file_is_none(&record->header->file);
    f->kept_last = f->undecided && kept;
  }
  if (overlay)
    rc = sdb_redo_hold(&step.redo, record);
  else if (kept && !is_empty(record->header))
    rc = prepare_step(f, record, &step);
  if (rc == SEQDB_OK && !f->contradicts) rc = change(f, record, &step, kept);
  sdb_range_set_clear(&step.redo);
  sdb_range_pool_destroy(&step.pool);
  sdb_tree_drop(&step.tree, store->names);
  sdb_patch_clear(&step.patch);
  sdb_overlay_free_spare(&step.spare);
  if (rc == SEQDB_NOMEM) return sdb_error_nomem(f->op);
  return rc == SEQDB_OK && f->contradicts ? SEQDB_DONE : rc;
}

/* The records behind the store's position. */
static int follow_records(sdb_redo *f, uint64_t until) {
  sdb_store *store = f->store;
  sdb_journal journal = store->journal; /* its position runs ahead of the store's */
  sdb_journal_place place = {store->committed->generation, store->tip};
  int rc = sdb_journal_follow(&journal, &place, until, take_record, f, f->op);
  return rc == SEQDB_DONE ? SEQDB_OK : rc;
}

/* The header stands for the very state that the store has: its records are all folded.  Where an overlay's record
** follows, layers and ranges stay until then. */
static void take_header(sdb_store *store, const sdb_journal *journal) {
  uint64_t zeroed = store->journal.zeroed;
  pthread_mutex_lock(&store->files_mutex);
  pthread_mutex_lock(&store->mutex);
  store->journal = *journal;
  store->journal.zeroed = zeroed;
  atomic_fetch_add(&store->claims_version, 1);
  store->version = SDB_MAX(store->version, journal->header.version);
  store->tip = store->settled = journal->header.base_token;
  store->tip_file = journal->header.base_file;
  store->settled_generation = journal->header.base_generation;
  store->tip_at = store->candidate_count = 0;
  store->dead_behind = false;
  sdb_catalog_copy_note(store);
  store->named_count = 0;
  sdb_store_decided(store);
  if (!journal->header.overlay) sdb_space_release_redo(&store->space);
  sdb_store_stand(store);
  pthread_mutex_unlock(&store->mutex);
  pthread_mutex_unlock(&store->files_mutex);
  if (!journal->header.overlay) sdb_overlay_drop(&store->overlay, UINT64_MAX);
}

static bool is_at(const sdb_store *store, const sdb_journal_header *header) {
  const sdb_catalog *committed = store->committed;
  return store->mine.salt && committed->generation == header->base_generation &&
         committed->tree.entries == header->entries && committed->tree.hash == header->entries_hash;
}

static bool is_there(const sdb_redo *f, const sdb_published *to) {
  const sdb_published *mine = &f->store->mine;
  return !f->contradicts && mine->end == to->end && mine->last_checksum == to->last_checksum &&
         mine->tip_at == to->tip_at;
}

static int follow_header(sdb_redo *f, const sdb_journal *journal, const sdb_published *to, bool *reached) {
  sdb_store *store = f->store;
  *reached = false;
  if (!is_at(store, &journal->header)) return sdb_reread(f, journal, to, reached);
  take_header(store, journal);
  int rc = follow_records(f, to->end);
  *reached = rc == SEQDB_OK && is_there(f, to);
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
  sdb_overlay_compact(&store->overlay);
  sdb_data_forget(&store->data);
  if (!other_salt && sdb_store_end(store) <= atomic_load(&store->data.size_bytes)) return SEQDB_OK;
  return sdb_data_look(&store->data, op);
}

/* From a header of that salt on; `anew`: whatever the store has of it. */
static int follow_from_header(sdb_redo *f, const sdb_published *to, bool anew, bool *reached) {
  sdb_journal journal = journal_at(f->store);
  bool found = true;
  int rc = sdb_journal_find(&journal, to->salt, &found, f->op);
  *reached = false;
  if (rc != SEQDB_OK || !found) return rc;
  return anew ? sdb_reread(f, &journal, to, reached) : follow_header(f, &journal, to, reached);
}

/* Records whose tip is no descendant of the own one, or lies behind it: all is read anew. */
int sdb_follow(sdb_store *store, const sdb_published *to, bool *reached, const sdb_op *op) {
  sdb_redo f = {.store = store, .op = op, .tip_at = to->tip_at};
  bool same = to->salt == store->mine.salt;
  int rc = same ? follow_records(&f, to->end) : follow_from_header(&f, to, false, reached);
  if (same) *reached = rc == SEQDB_OK && is_there(&f, to);
  if (rc == SEQDB_OK && !*reached && store->version > 1) rc = follow_from_header(&f, to, true, reached);
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
** record would take the place of one that others are going to read.  An overlay's record belongs to the header. */
static int follow_unpublished(sdb_redo *f, const sdb_journal *journal, bool *reached) {
  sdb_journal first = *journal;
  int rc = sdb_journal_pass_overlay(&first, reached, f->op);
  const sdb_published base = {.salt = journal->header.salt,
                              .end = first.tail,
                              .last_checksum = first.previous,
                              .generation = journal->header.base_generation,
                              .data_bytes = journal->header.data_bytes};
  if (rc == SEQDB_OK && *reached) rc = follow_header(f, journal, &base, reached);
  if (rc == SEQDB_OK && *reached) sdb_store_publish(f->store);
  return rc;
}

int sdb_follow_to_end(sdb_store *store, bool drop, bool *undecided, bool *kept, const sdb_op *op) {
  sdb_redo f = {.store = store, .op = op, .to_end = true, .drop = drop};
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
  sdb_journal_place place = sdb_reread_place(&journal);
  journal.tail = journal.header.start;
  journal.previous = journal.header.salt;
  return sdb_journal_follow(&journal, &place, store->journal.tail, take, context, op);
}

struct holding {
  const sdb_op *op;
  const sdb_store *store;
  sdb_range_pool pool;
  sdb_range_set redo;
};

static int take_redo(void *context, const sdb_journal_record *record) {
  struct holding *holding = context;
  int rc = sdb_redo_hold(&holding->redo, record);
  uint64_t cursor = 0;
  sdb_record_put put;
  bool candidate = !sdb_file_is_none(&record->header->file) && record->header->position > holding->store->tip_at;
  while (rc == SEQDB_OK && candidate && sdb_record_next_put(record->record, record->header, &cursor, &put))
    rc = sdb_range_add(&holding->redo, put.start, put.reserved);
  return rc == SEQDB_OK ? rc : sdb_error_nomem(holding->op);
}

int sdb_follow_hold(sdb_store *store, const sdb_op *op) {
  struct holding holding = {.op = op, .store = store};
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
  const sdb_op *op;
  sdb_branches branches;
  uint64_t generation;
  sdb_patch *patch;
};

static int collect(void *context, const sdb_journal_record *record) {
  struct ranges *r = context;
  return sdb_branches_add(&r->branches, record->header) == SEQDB_OK ? SEQDB_OK : sdb_error_nomem(r->op);
}

static int take_ranges(void *context, const sdb_journal_record *record) {
  struct ranges *r = context;
  size_t at = sdb_branches_at(&r->branches, record->header->position);
  if (record->header->generation > r->generation || at == 0 || !r->branches.items[at - 1].kept) return SEQDB_OK;
  int rc = sdb_redo_ranges(r->patch, record);
  return rc == SEQDB_OK ? rc : sdb_error_nomem(r->op);
}

static int take_old_ranges(void *context, const sdb_journal_record *record) {
  struct ranges *r = context;
  const sdb_redo f = {.op = r->op};
  if (record->header->generation > r->generation || !sdb_redo_is_kept(&f, record)) return SEQDB_OK;
  int rc = sdb_redo_ranges(r->patch, record);
  return rc == SEQDB_OK ? rc : sdb_error_nomem(r->op);
}

int sdb_follow_ranges(sdb_store *store, uint64_t generation, sdb_patch *patch, const sdb_op *op) {
  struct ranges r = {.op = op, .generation = generation, .patch = patch};
  if (store->journal.header.version == 1) return each_record(store, take_old_ranges, &r, op);
  int rc = each_record(store, collect, &r, op);
  sdb_branches_keep(&r.branches, sdb_branches_find(&r.branches, &store->tip));
  if (rc == SEQDB_OK) rc = each_record(store, take_ranges, &r, op);
  sdb_branches_free(&r.branches);
  return rc;
}

int sdb_follow_token(sdb_store *store, const sdb_token *token, bool *found, const sdb_op *op) {
  struct ranges r = {.op = op};
  bool reached = false;
  int rc = each_record(store, collect, &r, op);
  size_t at = sdb_branches_find(&r.branches, token);
  *found = rc == SEQDB_OK && at > 0;
  if (*found && !sdb_token_is(token, &store->tip)) {
    const sdb_branch *tip = &r.branches.items[at - 1];
    const sdb_published to = {.salt = store->journal.header.salt,
                              .end = store->journal.tail,
                              .last_checksum = store->journal.previous,
                              .generation = tip->generation,
                              .data_bytes = sdb_store_end(store),
                              .tip_at = tip->position};
    sdb_redo f = {.store = store, .op = op, .tip_at = to.tip_at};
    sdb_journal journal = journal_at(store);
    journal.tail = journal.header.start;
    journal.previous = journal.header.salt;
    uint64_t zeroed = store->journal.zeroed;
    rc = sdb_reread(&f, &journal, &to, &reached);
    store->journal.zeroed = zeroed;
    if (rc == SEQDB_OK && !reached) rc = corrupt(op);
  }
  sdb_branches_free(&r.branches);
  return rc;
}
