/* SPDX-License-Identifier: MIT
**
** commit.c: prepare, publish and roll back a transaction (R3, R4, R10), as a page of numbered steps.
**
** prepare()                                      after a crash here, recovery finds
**   1 settle      write buffered appends           the state before
**   2 collect     what differs from the commit     the state before
**   3 reserve     all memory that publish needs    the state before
**   4 guard       once a session, before any sync  the state before, guard set
**   5 sync data   if the record does not carry it  the state before (bytes past every length)
**   6 append      the record, and its fdatasync    before: the old state; torn: the old state; whole: kind COMMIT: the new one;
**                                                  kind PREPARE: undecided, which counts as the new one
** publish()
**   7 swap        catalog and overlay, in memory   the new state (the record says so)
**   8 apply       overlay into `data`              the new state (redone from the record)
**   9 checkpoint  if the journal is long           see checkpoint.c
** Steps 1 to 6 may fail and leave the transaction open; 7 cannot fail; 8 and 9 may and then are done later.
*/
#include <stdlib.h>
#include "txn/db.h"
#include "base/error.h"

/* ---- step 2: collect */

static void delta_free(sdb_delta *delta) {
  sdb_free(delta->indexes);
  sdb_free(delta->lengths);
  memset(delta, 0, sizeof *delta);
}

struct collect {
  sdb_delta delta;
  uint32_t *deleted;
  size_t deleted_capacity;
  sdb_record_sizes sizes;
};

static int grow_array(void **array, size_t *capacity, size_t element_bytes) {
  size_t more = *capacity ? 2 * *capacity : 16;
  void *grown = sdb_realloc(*array, more * element_bytes);
  if (!grown) return SEQDB_NOMEM;
  *array = grown;
  *capacity = more;
  return SEQDB_OK;
}

static int collect_entry(void *context, uint32_t index, const sdb_entry *before, const sdb_entry *after) {
  struct collect *c = context;
  (void)before;
  if (!after) {
    if (c->delta.deletes == c->deleted_capacity &&
        grow_array((void **)&c->deleted, &c->deleted_capacity, sizeof *c->deleted) != SEQDB_OK)
      return SEQDB_NOMEM;
    c->deleted[c->delta.deletes++] = index;
    return 0;
  }
  if (c->delta.puts == c->delta.capacity) {
    size_t capacity = c->delta.capacity;
    if (grow_array((void **)&c->delta.indexes, &capacity, sizeof *c->delta.indexes) != SEQDB_OK) return SEQDB_NOMEM;
    if (grow_array((void **)&c->delta.lengths, &c->delta.capacity, sizeof *c->delta.lengths) != SEQDB_OK)
      return SEQDB_NOMEM;
  }
  c->delta.indexes[c->delta.puts++] = index;
  if (after->length) c->delta.lengths[c->delta.length_count++] = (sdb_range){after->start, after->length};
  c->sizes.put_name_bytes += sdb_name_bytes(after->name);
  return 0;
}

static int by_start(const void *a, const void *b) {
  uint64_t x = ((const sdb_range *)a)->start, y = ((const sdb_range *)b)->start;
  return x < y ? -1 : x > y;
}

static int collect(seqdb *db, struct collect *c) {
  memset(c, 0, sizeof *c);
  int rc = sdb_tree_diff(&db->store->committed->tree, &db->txn.tree, collect_entry, c);
  if (rc == SEQDB_OK && c->delta.deletes) {
    uint32_t *all = sdb_realloc(c->delta.indexes, (c->delta.puts + c->delta.deletes) * sizeof *all);
    if (all) {
      memcpy(all + c->delta.puts, c->deleted, c->delta.deletes * sizeof *all);
      c->delta.indexes = all;
    } else {
      rc = SEQDB_NOMEM;
    }
  }
  sdb_free(c->deleted);
  c->deleted = NULL;
  if (rc != SEQDB_OK) {
    delta_free(&c->delta);
    return SEQDB_NOMEM;
  }
  if (c->delta.length_count) qsort(c->delta.lengths, c->delta.length_count, sizeof *c->delta.lengths, by_start);
  c->sizes.puts = c->delta.puts;
  c->sizes.deletes = c->delta.deletes;
  c->sizes.coordinator_bytes = db->coordinator ? strlen(db->coordinator) : 0;
  return SEQDB_OK;
}

/* Call visit for every piece of `patch` within the final lengths. */
typedef int piece_visit(void *context, const sdb_patch_range *piece);
static int each_piece(const sdb_delta *delta, const sdb_patch *patch, piece_visit *visit, void *context) {
  sdb_patch_range range;
  if (patch->count == 0) return SEQDB_OK;
  for (size_t i = 0; i < delta->length_count; i++) {
    uint64_t from = delta->lengths[i].start, end = from + delta->lengths[i].bytes;
    for (bool more = sdb_patch_next(patch, from, &range); more && range.offset < end;
         more = sdb_patch_following(&range)) {
      uint64_t a = SDB_MAX(range.offset, from), b = SDB_MIN(range.offset + range.bytes, end);
      sdb_patch_range piece = {a, b - a, range.data + (a - range.offset), NULL, 0};
      int rc = visit(context, &piece);
      if (rc != SEQDB_OK) return rc;
    }
  }
  return SEQDB_OK;
}

/* Oldest patch first: in a record, later ranges win. */
static int each_patch_piece(seqdb *db, const sdb_delta *delta, piece_visit *visit, void *context) {
  int rc = SEQDB_OK;
  for (size_t i = 0; i < db->txn.mark_count && rc == SEQDB_OK; i++)
    rc = each_piece(delta, &db->txn.marks[i].patch, visit, context);
  return rc == SEQDB_OK ? each_piece(delta, &db->txn.patch, visit, context) : rc;
}

/* The same for directly written, not yet durable bytes; piece.data is NULL. */
static int each_direct_piece(seqdb *db, const sdb_delta *delta, piece_visit *visit, void *context) {
  sdb_range found;
  if (db->txn.direct.count == 0) return SEQDB_OK;
  for (size_t i = 0; i < delta->length_count; i++) {
    uint64_t end = delta->lengths[i].start + delta->lengths[i].bytes;
    for (uint64_t at = delta->lengths[i].start; at < end && sdb_range_overlap(&db->txn.direct, at, end - at, &found);
         at = found.start + found.bytes) {
      sdb_patch_range piece = {found.start, found.bytes, NULL, NULL, 0};
      int rc = visit(context, &piece);
      if (rc != SEQDB_OK) return rc;
    }
  }
  return SEQDB_OK;
}

static int count_piece(void *context, const sdb_patch_range *piece) {
  sdb_record_sizes *sizes = context;
  sizes->ranges++;
  sizes->range_bytes += piece->bytes;
  return SEQDB_OK;
}

/* ---- step 3: reserve */

static int reserve(seqdb *db, const struct collect *c) {
  sdb_txn *txn = &db->txn;
  sdb_store *store = db->store;
  size_t all = txn->patch.count, merged, need = store->named_count + c->delta.puts + c->delta.deletes;
  for (size_t i = 0; i < txn->mark_count; i++)
    all += txn->marks[i].patch.count;
  sdb_patch *base = sdb_marks_base(txn, 0, &merged);
  if (merged && sdb_patch_reserve(base, merged) != SEQDB_OK) return SEQDB_NOMEM;
  if (sdb_overlay_reserve(&store->overlay, all, &txn->spare_layer) != SEQDB_OK) return SEQDB_NOMEM;
  if (need > store->named_capacity) {
    pthread_mutex_lock(&store->files_mutex); /* check reads the list */
    uint32_t *grown = sdb_realloc(store->named, 2 * need * sizeof *grown);
    if (grown) {
      store->named = grown;
      store->named_capacity = 2 * need;
    }
    pthread_mutex_unlock(&store->files_mutex);
    if (!grown) return SEQDB_NOMEM;
  }
  return SEQDB_OK;
}

/* ---- steps 4 to 6 */

static int sync_data(seqdb *db, const sdb_op *op) {
  sdb_store *store = db->store;
  sdb_checkpoint_punch_early(store);
  int os = store->sync_off ? 0 : sdb_os_fdatasync(store->data.fd);
  if (os) {
    sdb_poison(store);
    return sdb_error_os(op, os, "data", 0, "data: fdatasync failed");
  }
  sdb_range_set_clear(&db->txn.direct);
  return SEQDB_OK;
}

struct fill {
  seqdb *db;
  sdb_record_writer writer;
  bool by_page; /* very many ranges: pin whole pages, which costs less memory and pins more than needed */
  uint64_t pinned_from, pinned_to; /* the last pin */
  const sdb_op *op;
};

static int fill_piece(void *context, const sdb_patch_range *piece) {
  struct fill *fill = context;
  sdb_store *store = fill->db->store;
  uint8_t *to = sdb_record_add_range(&fill->writer, piece->offset, piece->bytes);
  uint64_t from = fill->by_page ? sdb_page_down(piece->offset) : piece->offset;
  uint64_t end = piece->offset + piece->bytes;
  if (fill->by_page) end = sdb_page_up(end);
  if (piece->data)
    memcpy(to, piece->data, (size_t)piece->bytes);
  else {
    int rc = sdb_data_read(&store->data, piece->offset, to, (size_t)piece->bytes, fill->op);
    if (rc != SEQDB_OK) return rc;
  }
  if (from >= fill->pinned_from && end <= fill->pinned_to) return SEQDB_OK;
  pthread_mutex_lock(&store->mutex);
  int rc = sdb_space_hold_redo(&store->space, from, end - from);
  pthread_mutex_unlock(&store->mutex);
  fill->pinned_from = from;
  fill->pinned_to = end;
  return rc == SEQDB_OK ? rc : sdb_error_nomem(fill->op);
}

static void fill_entries(seqdb *db, const sdb_delta *delta, sdb_record_writer *w) {
  for (size_t i = 0; i < delta->puts; i++) {
    const sdb_entry *entry = sdb_tree_get(&db->txn.tree, delta->indexes[i]);
    sdb_record_put put = {
        delta->indexes[i],         entry->start, entry->length, entry->reserved, sdb_name_bytes(entry->name),
        sdb_name_text(entry->name)};
    sdb_record_add_put(w, &put);
  }
  for (size_t i = 0; i < delta->deletes; i++)
    sdb_record_add_delete(w, delta->indexes[delta->puts + i]);
}

static int ensure_guard(sdb_store *store, const sdb_op *op) {
  pthread_mutex_lock(&store->files_mutex);
  int rc = sdb_checkpoint_guard(store, op);
  pthread_mutex_unlock(&store->files_mutex);
  return rc;
}

void sdb_commit_decided(sdb_store *store) {
  pthread_mutex_lock(&store->mutex);
  store->keep_next = false;
  sdb_space_unref(&store->space, store->before_prepare);
  store->before_prepare = NULL;
  pthread_mutex_unlock(&store->mutex);
}

static int append_record(sdb_store *store, uint8_t *record, sdb_record_writer *w, sdb_record_header *header,
                         const sdb_op *op) {
  bool poison = false;
  pthread_mutex_lock(&store->files_mutex);
  header->flags = store->keep_next ? SDB_RECORD_KEEP : 0;
  header->salt = store->journal.header.salt;
  header->position = store->journal.tail;
  header->previous = store->journal.previous;
  sdb_record_seal(w, header);
  int rc = sdb_journal_append(&store->journal, record, header, &poison, op);
  if (poison) sdb_poison(store);
  pthread_mutex_unlock(&store->files_mutex);
  if (rc == SEQDB_OK) sdb_commit_decided(store);
  return rc;
}

/* Steps 4 to 6 for a collected transaction. */
static int write_record(seqdb *db, struct collect *c, uint16_t kind, const sdb_op *op) {
  sdb_store *store = db->store;
  sdb_txn *txn = &db->txn;
  sdb_record_sizes direct = {0};
  sdb_record_header header = {.kind = kind,
                              .generation = txn->generation,
                              .data_bytes = sdb_store_end(store),
                              .entries = txn->tree.entries,
                              .entries_hash = txn->tree.hash};
  uint8_t *record = NULL;
  int rc, os;
  (void)each_direct_piece(db, &c->delta, count_piece, &direct);
  bool in_record = direct.range_bytes <= SDB_INLINE_MAX_BYTES && direct.ranges <= SDB_INLINE_MAX_RANGES;
  if ((rc = ensure_guard(store, op)) != SEQDB_OK) return rc; /* 4 */
  if (in_record) {
    c->sizes.ranges += direct.ranges;
    c->sizes.range_bytes += direct.range_bytes;
  } else if ((rc = sync_data(db, op)) != SEQDB_OK) { /* 5 */
    return rc;
  }
  uint64_t size = sdb_record_size(&c->sizes);
  if (size > SIZE_MAX || !(record = sdb_malloc((size_t)size))) return sdb_error_nomem(op);
  if (kind == SDB_RECORD_PREPARE && (os = sdb_os_random(header.token, sizeof header.token)) != 0) {
    rc = sdb_error_os(op, os, NULL, 0, "no random bytes for a token");
    goto done;
  }
  struct fill fill = {.db = db, .op = op, .by_page = c->sizes.ranges > 4096};
  sdb_record_begin(&fill.writer, record, &c->sizes, db->coordinator);
  fill_entries(db, &c->delta, &fill.writer);
  /* Direct bytes first: where a patch lies over them (written after an earlier prepare had made them visible), it is younger,
  ** and in a record later ranges win. */
  rc = in_record ? each_direct_piece(db, &c->delta, fill_piece, &fill) : SEQDB_OK;
  if (rc == SEQDB_OK) rc = each_patch_piece(db, &c->delta, fill_piece, &fill);
  if (rc == SEQDB_OK) rc = append_record(store, record, &fill.writer, &header, op); /* 6 */
  if (rc == SEQDB_OK) memcpy(txn->token, header.token, sizeof txn->token);
done:
  sdb_free(record);
  return rc;
}

/* An empty record decides the prepare before it: with the KEEP bit (a published one) it is kept, without it dropped. */
int sdb_commit_decide(sdb_store *store, const sdb_op *op) {
  sdb_record_sizes sizes = {0};
  uint8_t record[SDB_RECORD_HEADER_BYTES];
  sdb_record_writer writer;
  sdb_record_header header = {.kind = SDB_RECORD_COMMIT,
                              .generation = store->committed->generation,
                              .data_bytes = sdb_store_end(store),
                              .entries = store->committed->tree.entries,
                              .entries_hash = store->committed->tree.hash};
  assert(sdb_record_size(&sizes) == sizeof record);
  sdb_record_begin(&writer, record, &sizes, NULL);
  return append_record(store, record, &writer, &header, op);
}

static void forget_prepared(seqdb *db) {
  sdb_store *store = db->store;
  pthread_mutex_lock(&store->mutex);
  sdb_space_unref(&store->space, db->txn.prepared);
  pthread_mutex_unlock(&store->mutex);
  db->txn.prepared = NULL;
  delta_free(&db->txn.delta);
}

#ifdef SDB_CHECKS
static void check_adds_up(seqdb *db) {
  pthread_mutex_lock(&db->store->mutex);
  assert(sdb_space_adds_up(&db->store->space, &db->txn.tree));
  pthread_mutex_unlock(&db->store->mutex);
}
#else
#define check_adds_up(db) ((void)0)
#endif

int sdb_commit_prepare(seqdb *db, uint16_t kind, uint8_t token[SEQDB_TOKEN_BYTES], const sdb_op *op) {
  sdb_txn *txn = &db->txn;
  sdb_store *store = db->store;
  sdb_catalog *catalog = NULL;
  struct collect c;
  if (!txn->active) return SEQDB_OK;
  int rc = sdb_writable(db, op);
  if (rc == SEQDB_OK) rc = sdb_tails_settle(db, op); /* 1 */
  if (rc != SEQDB_OK) return rc;
  check_adds_up(db);
  if (!sdb_txn_changed(db)) return SEQDB_OK;
  if (txn->prepared && txn->prepared_is_current && kind == SDB_RECORD_PREPARE) {
    if (token) memcpy(token, txn->token, SEQDB_TOKEN_BYTES);
    return SEQDB_OK;
  }
  if (collect(db, &c) != SEQDB_OK) return sdb_error_nomem(op); /* 2 */
  (void)each_patch_piece(db, &c.delta, count_piece, &c.sizes);
  if (c.delta.puts == 0 && c.delta.deletes == 0) { /* what was done was undone */
    delta_free(&c.delta);
    if (txn->prepared && (rc = sdb_commit_decide(db->store, op)) == SEQDB_OK) forget_prepared(db);
    return rc;
  }
  if (reserve(db, &c) != SEQDB_OK) { /* 3 */
    rc = sdb_error_nomem(op);
    goto failed;
  }
  sdb_tree shared = sdb_tree_share(&txn->tree);
  pthread_mutex_lock(&store->mutex);
  catalog = sdb_catalog_new(&store->space.catalogs, &shared, SDB_CATALOG_PREPARED, txn->generation);
  pthread_mutex_unlock(&store->mutex);
  if (!catalog) {
    sdb_tree_drop(&shared, store->names);
    rc = sdb_error_nomem(op);
    goto failed;
  }
  txn->epoch = ++store->epoch;
  if ((rc = write_record(db, &c, kind, op)) != SEQDB_OK) goto failed; /* 4, 5, 6 */
  if (txn->prepared) forget_prepared(db);                             /* the new record drops the old one */
  txn->prepared = catalog;
  txn->prepared_is_current = true;
  txn->record_kind = kind;
  txn->delta = c.delta;
  if (token) memcpy(token, txn->token, SEQDB_TOKEN_BYTES);
  return SEQDB_OK;
failed:
  delta_free(&c.delta);
  pthread_mutex_lock(&store->mutex);
  sdb_space_unref(&store->space, catalog);
  pthread_mutex_unlock(&store->mutex);
  return rc;
}

/* ---- publish */

static int note_cut(void *context, uint32_t index, const sdb_entry *before, const sdb_entry *after) {
  if (before && after && before->start == after->start && after->length < before->length)
    sdb_space_note_cut(context, index, after->start, after->length, before->length);
  return 0;
}

/* All patches as one, without what lies outside the final lengths.  Ranges do not cross the end of a region, so cutting
** splits none and needs no memory. */
static void gather_patch(seqdb *db, sdb_patch *all) {
  sdb_txn *txn = &db->txn;
  const sdb_delta *delta = &txn->delta;
  uint64_t at = 0;
  size_t ignored;
  sdb_marks_merge(txn, 0, sdb_marks_base(txn, 0, &ignored));
  *all = txn->patch;
  sdb_patch_init(&txn->patch);
  for (size_t i = 0; i <= delta->length_count && all->count; i++) {
    uint64_t end = i < delta->length_count ? delta->lengths[i].start : SDB_OFFSET_MAX;
    int rc = sdb_patch_remove(all, at, end - at);
    assert(rc == SEQDB_OK);
    (void)rc;
    if (i < delta->length_count) at = end + delta->lengths[i].bytes;
  }
}

void sdb_commit_publish(seqdb *db) {
  sdb_txn *txn = &db->txn;
  sdb_store *store = db->store;
  sdb_patch all;
  if (!txn->active || !txn->prepared) {
    if (txn->active && sdb_txn_changed(db)) {
      (void)sdb_commit_rollback(db, &sdb_unheard);
      return;
    }
    sdb_txn_end(db);
    return;
  }
  /* GCOVR_EXCL_BR_LINE: opening a slot makes the prepare old */
  if (!txn->prepared_is_current || txn->open_tails) { /* a broken promise: memory and record differ */
    sdb_poison(store);                                /* the next open finds what was prepared */
    (void)sdb_commit_rollback(db, &sdb_unheard);
    return;
  }
  gather_patch(db, &all);
  sdb_marks_drop(db, 0);
  /* 7 */
  pthread_mutex_lock(&store->files_mutex);
  sdb_overlay_lock(&store->overlay);
  pthread_mutex_lock(&store->mutex);
  sdb_catalog *old = store->committed;
  (void)sdb_tree_diff(&old->tree, &txn->prepared->tree, note_cut, &store->space);
  assert(!store->before_prepare); /* the record has decided */
  uint64_t newest_reader = store->snapshots_last ? store->snapshots_last->generation : 0;
  sdb_overlay_add(&store->overlay, txn->prepared->generation, newest_reader, &all, &txn->spare_layer);
  store->committed = txn->prepared;
  store->committed->kind = SDB_CATALOG_COMMITTED;
  txn->prepared = NULL;
  store->keep_next = txn->record_kind == SDB_RECORD_PREPARE;
  if (store->keep_next && db->coordinator)
    store->before_prepare = old;
  else
    sdb_space_unref(&store->space, old);
  pthread_mutex_unlock(&store->mutex);
  sdb_overlay_unlock(&store->overlay);
  sdb_patch_clear(&all);
  size_t named = txn->delta.puts + txn->delta.deletes;
  memcpy(store->named + store->named_count, txn->delta.indexes, named * sizeof *store->named);
  store->named_count += named;
  pthread_mutex_unlock(&store->files_mutex);
  delta_free(&txn->delta);
  /* 8, 9 */
  /* GCOVR_EXCL_BR_LINE: the writer alone poisons, and it has just written its record */
  if (!atomic_load(&store->poisoned)) {
    (void)sdb_checkpoint_drain(store, &sdb_unheard);
    sdb_checkpoint_if_due(store);
  }
  sdb_txn_end(db);
}

int sdb_commit_rollback(seqdb *db, const sdb_op *op) {
  sdb_txn *txn = &db->txn;
  int rc = SEQDB_OK;
  sdb_tails_discard(db);
  if (txn->active) {
    if (txn->prepared) {
      rc = atomic_load(&db->store->poisoned) ? SEQDB_OK : sdb_commit_decide(db->store, op);
      if (rc != SEQDB_OK) sdb_poison(db->store); /* the next open would count the prepare as committed */
      forget_prepared(db);
    }
    sdb_marks_drop(db, 0);
    sdb_txn_return_to(db, db->store->committed);
  }
  sdb_txn_end(db);
  return rc;
}

/* ---- public */

int seqdb_flush(seqdb *db, uint64_t *generation) {
  seqdb_error error;
  sdb_op op = {"commit", &error};
  int rc = sdb_usable(db, &op);
  if (rc == SEQDB_OK) {
    pthread_mutex_lock(&db->txn_mutex);
    rc = sdb_commit_prepare(db, SDB_RECORD_COMMIT, NULL, &op);
    if (rc == SEQDB_OK) sdb_commit_publish(db);
    pthread_mutex_unlock(&db->txn_mutex);
  }
  if (rc == SEQDB_OK && generation) {
    pthread_mutex_lock(&db->store->mutex);
    *generation = db->store->committed->generation;
    pthread_mutex_unlock(&db->store->mutex);
  }
  return sdb_fail(db, rc, &op);
}

int seqdb_prepare(seqdb *db, uint8_t token[SEQDB_TOKEN_BYTES], uint64_t *generation) {
  seqdb_error error;
  sdb_op op = {"commit", &error};
  int rc = sdb_usable(db, &op);
  if (token) memset(token, 0, SEQDB_TOKEN_BYTES);
  if (generation) *generation = 0;
  if (rc == SEQDB_OK) {
    pthread_mutex_lock(&db->txn_mutex);
    rc = sdb_commit_prepare(db, SDB_RECORD_PREPARE, token, &op);
    if (rc == SEQDB_OK && generation && db->txn.prepared) *generation = db->txn.prepared->generation;
    pthread_mutex_unlock(&db->txn_mutex);
  }
  return sdb_fail(db, rc, &op);
}

void seqdb_publish(seqdb *db) {
  seqdb_error error;
  sdb_op op = {"commit", &error};
  if (sdb_usable(db, &op) != SEQDB_OK) return;
  pthread_mutex_lock(&db->txn_mutex);
  sdb_commit_publish(db);
  pthread_mutex_unlock(&db->txn_mutex);
}

int seqdb_rollback(seqdb *db) {
  seqdb_error error;
  sdb_op op = {"rollback", &error};
  int rc = sdb_usable(db, &op);
  if (rc == SEQDB_OK) {
    pthread_mutex_lock(&db->txn_mutex);
    rc = sdb_commit_rollback(db, &op);
    pthread_mutex_unlock(&db->txn_mutex);
  }
  return sdb_fail(db, rc, &op);
}
