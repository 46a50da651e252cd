/* SPDX-License-Identifier: MIT
**
** commit.c: see commit.h.
**
** The steps have the numbers of FORMAT.md 6, Commit.  Steps 3 and 4 are sdb_record_append().
**                                                        a crash after it leaves
**     1  write buffered appends to `data`                  the old state; bytes past every length
**        collect what differs, reserve memory              the same
**        set the guard, once a session                     the same, with the guard
**        allocate what will be needed later                the same; blocks in holes, pages beyond the end of `regions`
**     2  fdatasync(data), if the record does not carry it  the same, durable
**     3  write the record                                  whole: as after 4; else the old state
**     4  fdatasync(journal)                                the new state; of a prepare, an undecided one
**     5  publish: catalog and overlay, in memory           as after 4
**     6  apply the overlay to `data`                       the same; recovery writes it again from the record
**        a checkpoint, if the journal is long              see checkpoint.c
** Up to 4 a step may fail and leaves the transaction open.  5 cannot fail.  6 may, and is then done later.
*/
#include "txn/commit.h"

#include <errno.h>
#include "base/check.h"
#include "os/os.h"
#include "txn/append.h"
#include "txn/begin.h"
#include "txn/checkpoint.h"
#include "txn/decide.h"
#include "txn/room.h"
#include "txn/settle.h"
#include "txn/touched.h"

/* Carrying saves a sync, writes the bytes twice, and keeps their place from being used again until a checkpoint.
** Measured on ext4 (tests/bench, commit-time*), one sync that carries costs as much as two somewhere between 128 KiB
** and 256; with 64 KiB two cost twice as much.  The limit is a third of that size, for the sake of bytes and places:
** commits from 256 KiB on are written 1.03 times (commit-bytes*). */
#define INLINE_MAX_BYTES  (UINT64_C(64) << 10) /* so many direct bytes the record may carry, to save step 2 ... */
#define INLINE_MAX_RANGES 256u                 /* ... in so many ranges */
#define MANY_RANGES       4096u

/* A prepare under way. */
struct prepare {
  seqdb *db;
  const sdb_op *op;
  uint16_t kind;
  sdb_delta delta;
  sdb_change_list changes;
  sdb_record_sizes sizes;
  bool carries_direct; /* the record carries what was written directly */
  bool only_gives;     /* no byte and no region is new: the spare room of the journal is for this */
  sdb_catalog *catalog;
  sdb_record_writer writer;
  /* The last range that was held, and whether pages are: of very many ranges, that takes less memory and holds a little
  ** more. */
  uint64_t held_from, held_to;
  bool hold_pages;
  sdb_range backed; /* blocks are known to be there */
};

/* ---- after step 1: collect */

static int count_piece(void *context, const sdb_piece *piece) {
  sdb_record_sizes *sizes = context;
  sizes->ranges++;
  sizes->range_bytes += piece->bytes;
  return SEQDB_OK;
}

/* Oldest patch first: in a record, later ranges win. */
static int each_patched(struct prepare *p, sdb_piece_visit *visit, void *context) {
  const sdb_txn *txn = &p->db->txn;
  int rc = SEQDB_OK;
  for (size_t i = 0; i < txn->mark_count && rc == SEQDB_OK; i++)
    rc = sdb_delta_each_patched(&p->delta, &txn->marks[i].patch, visit, context);
  return rc == SEQDB_OK ? sdb_delta_each_patched(&p->delta, &txn->patch, visit, context) : rc;
}

/* What differs, and how large the record gets. */
static int collect(struct prepare *p) {
  seqdb *db = p->db;
  sdb_record_sizes direct = {0};
  if (sdb_delta_collect(&p->delta, &db->store->committed->tree, &db->txn.tree) != SEQDB_OK ||
      sdb_touched_list(db, &p->delta, &p->changes) != SEQDB_OK)
    return sdb_error_nomem(p->op);
  p->sizes.version = SDB_FORMAT_VERSION; /* sdb_txn_begin() has seen to it */
  p->sizes.puts = p->delta.puts;
  p->sizes.put_name_bytes = p->delta.name_bytes;
  p->sizes.deletes = p->delta.deletes;
  p->sizes.changes = p->changes.count;
  p->sizes.coordinator_bytes = db->coordinator ? strlen(db->coordinator) : 0;
  (void)each_patched(p, count_piece, &p->sizes);
  (void)sdb_delta_each_direct(&p->delta, &db->txn.direct, count_piece, &direct);
  p->carries_direct = direct.range_bytes <= INLINE_MAX_BYTES && direct.ranges <= INLINE_MAX_RANGES;
  if (p->carries_direct) {
    p->sizes.ranges += direct.ranges;
    p->sizes.range_bytes += direct.range_bytes;
  }
  p->only_gives = p->sizes.ranges == 0 && direct.ranges == 0 && !sdb_room_is_needed(db->store, &p->delta);
  p->hold_pages = p->sizes.ranges > MANY_RANGES;
  return SEQDB_OK;
}

/* ---- after step 1: reserve, so that step 5 cannot fail */

static int reserve(struct prepare *p) {
  sdb_txn *txn = &p->db->txn;
  sdb_store *store = p->db->store;
  size_t all = txn->patch.count, merged;
  for (size_t i = 0; i < txn->mark_count; i++)
    all += txn->marks[i].patch.count;
  sdb_patch *base = sdb_txn_patch_base(txn, 0, &merged);
  if ((merged && sdb_patch_reserve(base, merged) != SEQDB_OK) ||
      sdb_overlay_reserve(&store->overlay, all, &txn->spare_layer) != SEQDB_OK ||
      sdb_store_reserve_named(store, p->delta.puts + p->delta.deletes) != SEQDB_OK ||
      !(p->catalog = sdb_store_add_catalog(store, &txn->tree, SDB_CATALOG_PREPARED, txn->generation)))
    return sdb_error_nomem(p->op);
  txn->epoch = ++store->epoch; /* the catalog's nodes are copied before they change */
  return SEQDB_OK;
}

/* ---- the guard, room (R12), and step 2 */

static int ensure_guard(sdb_store *store, const sdb_op *op) {
  pthread_mutex_lock(&store->files_mutex);
  int rc = sdb_checkpoint_guard(store, op);
  pthread_mutex_unlock(&store->files_mutex);
  return rc;
}

static int back_piece(void *context, const sdb_piece *piece) {
  struct prepare *p = context;
  return sdb_data_allocate(&p->db->store->data, piece->offset, piece->bytes, &p->backed, p->op);
}

/* What a checkpoint, a recovery or a rollback will write must not lack room then. */
static int take_room(struct prepare *p) {
  sdb_store *store = p->db->store;
  int rc = sdb_journal_allocate_headers(&store->journal, p->op);
  if (rc == SEQDB_OK) rc = sdb_room_for_entries(store, &p->delta, p->op);
  return rc == SEQDB_OK ? each_patched(p, back_piece, p) : rc;
}

static int sync_data(struct prepare *p) {
  sdb_store *store = p->db->store;
  if (p->carries_direct) return SEQDB_OK;
  sdb_checkpoint_punch_early(store);
  int rc = sdb_store_sync(store, store->data.fd, "data", p->op);
  if (rc == SEQDB_OK) sdb_range_set_clear(&p->db->txn.direct);
  return rc;
}

/* ---- before step 3: fill the record */

static void fill_entries(struct prepare *p) {
  const sdb_delta *delta = &p->delta;
  for (size_t i = 0; i < delta->puts; i++) {
    const sdb_entry *entry = sdb_tree_get(&p->db->txn.tree, delta->indexes[i]);
    sdb_record_put put = {delta->indexes[i],         entry->start,   entry->length,
                          entry->reserved,           entry->created, sdb_name_bytes(entry->name),
                          sdb_name_text(entry->name)};
    sdb_record_add_put(&p->writer, &put);
  }
  for (size_t i = 0; i < delta->deletes; i++)
    sdb_record_add_delete(&p->writer, delta->indexes[delta->puts + i]);
  for (size_t i = 0; i < p->changes.count; i++)
    sdb_record_add_change(&p->writer, &p->changes.items[i]);
}

/* From now on nothing writes directly into a range of the record. */
static int hold(struct prepare *p, uint64_t from, uint64_t end) {
  sdb_store *store = p->db->store;
  if (p->hold_pages) {
    from = sdb_page_down(from);
    end = sdb_page_up(end);
  }
  if (from >= p->held_from && end <= p->held_to) return SEQDB_OK;
  pthread_mutex_lock(&store->mutex);
  int rc = sdb_space_hold_redo(&store->space, from, end - from);
  pthread_mutex_unlock(&store->mutex);
  p->held_from = from;
  p->held_to = end;
  return rc == SEQDB_OK ? rc : sdb_error_nomem(p->op);
}

static int fill_piece(void *context, const sdb_piece *piece) {
  struct prepare *p = context;
  uint8_t *to = sdb_record_add_range(&p->writer, piece->offset, piece->bytes);
  int rc = SEQDB_OK;
  if (piece->bytes_of_patch)
    memcpy(to, piece->bytes_of_patch, (size_t)piece->bytes);
  else
    rc = sdb_data_read(&p->db->store->data, piece->offset, to, (size_t)piece->bytes, p->op);
  return rc == SEQDB_OK ? hold(p, piece->offset, piece->offset + piece->bytes) : rc;
}

/* Direct bytes first: where a patch lies over them (written after an earlier prepare had made them visible), it is
** younger, and in a record later ranges win. */
static int fill_ranges(struct prepare *p) {
  int rc = SEQDB_OK;
  if (p->carries_direct) rc = sdb_delta_each_direct(&p->delta, &p->db->txn.direct, fill_piece, p);
  return rc == SEQDB_OK ? each_patched(p, fill_piece, p) : rc;
}

static int fill_header(struct prepare *p, sdb_record_header *header) {
  const sdb_txn *txn = &p->db->txn;
  *header = (sdb_record_header){.kind = p->kind,
                                .generation = txn->generation,
                                .data_bytes = sdb_store_end(p->db->store),
                                .entries = txn->tree.entries,
                                .entries_hash = txn->tree.hash};
  if (p->kind == SDB_RECORD_PREPARE) {
    header->file = p->db->file;
    header->durability = p->db->durability;
    if (!sdb_file_is_none(&header->file)) header->settled = p->db->store->settled;
  }
  return sdb_store_draw_token(p->db->store, &header->token, p->op);
}

static void note_record(sdb_txn *txn, const sdb_record_header *header) {
  txn->token = header->token;
  txn->file = header->file;
  txn->durability = header->durability;
  txn->position = header->position;
}

/* Steps 3 and 4. */
static int write_record(struct prepare *p) {
  sdb_record_header header;
  uint64_t size = sdb_record_size(&p->sizes);
  uint8_t *record = size <= SIZE_MAX ? sdb_malloc((size_t)size) : NULL;
  if (!record) return sdb_error_nomem(p->op);
  sdb_record_begin(&p->writer, record, &p->sizes, p->db->coordinator);
  fill_entries(p);
  int rc = fill_header(p, &header);
  if (rc == SEQDB_OK) rc = fill_ranges(p);
  uint64_t spare_bytes = p->only_gives ? sdb_room_for_drop(p->kind) : sdb_room_for_giving(p->db->store);
  if (rc == SEQDB_OK) rc = sdb_record_append(p->db->store, &p->writer, &header, spare_bytes, p->op); /* 3, 4 */
  if (rc == SEQDB_OK) note_record(&p->db->txn, &header);
  sdb_free(record);
  return rc;
}

/* ---- prepare */

/* An SQLite file may still show it (T3): the prepare stays, with all that it shows. */
static int bury(seqdb *db) {
  sdb_store *store = db->store;
  const sdb_delta *delta = &db->txn.delta;
  int rc = SEQDB_OK;
  pthread_mutex_lock(&store->mutex);
  for (size_t i = 0; i < delta->puts && rc == SEQDB_OK; i++) {
    const sdb_entry *entry = sdb_tree_get(&db->txn.prepared->tree, delta->indexes[i]);
    rc = sdb_space_hold_redo(&store->space, entry->start, entry->reserved);
  }
  pthread_mutex_unlock(&store->mutex);
  if (rc != SEQDB_OK) sdb_poison(store); /* without memory to note it: who opens it anew reads it from the journal */
  pthread_mutex_lock(&store->files_mutex);
  store->dead_behind = true;
  store->candidates = db->txn.file;
  pthread_mutex_unlock(&store->files_mutex);
  return SEQDB_OK;
}

/* Is what was prepared an SQLite file's? */
static bool is_files(const seqdb *db) {
  return !sdb_file_is_none(&db->txn.file);
}

static void forget_prepared(seqdb *db) {
  sdb_store_unref(db->store, sdb_txn_set_unprepared(&db->txn, &db->store->committed->tree));
}

/* What was done was undone, and the record that tells of it too. */
static int prepare_nothing(seqdb *db, const sdb_op *op) {
  if (!sdb_txn_has_prepared(&db->txn)) return SEQDB_OK;
  int rc = is_files(db) ? bury(db) : sdb_decide(db->store, op);
  if (rc == SEQDB_OK) forget_prepared(db);
  return rc;
}

/* The path leads elsewhere, or nowhere: whoever opens it finds another state, and this one is found by nobody.  Where
** one may not look, nothing is said. */
static int check_place(const sdb_store *store, const sdb_op *op) {
  sdb_os_info info;
  int os = store->real_path ? sdb_os_path_info(store->real_path, &info) : EACCES;
  bool gone = os == ENOENT || os == ENOTDIR;
  if (!gone && (os || (info.device == store->device && info.inode == store->inode))) return SEQDB_OK;
  return sdb_error_set(op, SEQDB_READONLY, NULL, 0, "%s: %s was moved or replaced while it was open: %s", op->operation,
                       store->real_path, gone ? "it is not there any more" : "another directory is there now");
}

/* Files without a name are gone when they are closed: a commit into them would be lost. */
static int check_names(sdb_store *store, const sdb_op *op) {
  const struct {
    const char *name;
    sdb_fd fd;
  } files[] = {{"data", store->data.fd}, {"regions", store->regions.fd}, {"journal", store->journal.fd}};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    sdb_os_info info;
    if (sdb_os_info_of(files[i].fd, &info) == 0 && info.links == 0)
      return sdb_error_set(op, SEQDB_READONLY, files[i].name, 0,
                           "%s: %s was removed or replaced while it was open: the file %s is gone", op->operation,
                           store->path, files[i].name);
  }
  return check_place(store, op);
}

/* Collected, and there is something to write. */
static int prepare_changes(struct prepare *p) {
  seqdb *db = p->db;
  int rc = check_names(db->store, p->op);
  if (rc == SEQDB_OK) rc = reserve(p);
  if (rc == SEQDB_OK) rc = ensure_guard(db->store, p->op);
  if (rc == SEQDB_OK && (rc = take_room(p)) == SEQDB_FULL) {
    sdb_checkpoint_punch_early(db->store); /* what was refused may hold blocks still */
    rc = take_room(p);
  }
  bool again = sdb_txn_has_prepared(&db->txn);
  if (rc == SEQDB_OK && again && is_files(db)) rc = bury(db);
  if (rc == SEQDB_OK) rc = sync_data(p);    /* 2 */
  if (rc == SEQDB_OK) rc = write_record(p); /* 3, 4 */
  if (rc != SEQDB_OK) {
    sdb_store_unref(db->store, p->catalog);
    return rc;
  }
  if (again) forget_prepared(db); /* the new record drops the old one */
  sdb_txn_set_prepared(&db->txn, p->catalog, &p->delta, p->kind);
  memset(&p->delta, 0, sizeof p->delta);
  return SEQDB_OK;
}

int sdb_commit_prepare(seqdb *db, uint16_t kind, uint8_t token[SEQDB_TOKEN_BYTES], const sdb_op *op) {
  sdb_txn *txn = &db->txn;
  struct prepare p = {.db = db, .kind = kind, .op = op};
  if (!sdb_txn_is_open(txn)) return SEQDB_OK;
  int rc = sdb_writable(db, op);
  if (rc == SEQDB_OK) rc = sdb_tails_settle(db, op); /* 1 */
  if (rc != SEQDB_OK) return rc;
  sdb_store_check_adds_up(db->store, &txn->tree);
  if (!sdb_txn_has_changes(txn)) return SEQDB_OK;
  const sdb_file_uuid nobody = {{0}};
  if (kind == SDB_RECORD_COMMIT && (rc = sdb_settle_check(db->store, &nobody, op)) != SEQDB_OK) return rc;
  if (txn->life != SDB_PREPARED || kind != SDB_RECORD_PREPARE) {
    rc = collect(&p);
    bool nothing = p.delta.puts == 0 && p.delta.deletes == 0 && !db->heals;
    if (rc == SEQDB_OK) rc = nothing ? prepare_nothing(db, op) : prepare_changes(&p); /* 2, 3, 4 */
    sdb_delta_free(&p.delta);
    sdb_change_list_free(&p.changes);
    if (rc != SEQDB_OK || nothing) return rc;
  }
  if (token) memcpy(token, txn->token.bytes, SEQDB_TOKEN_BYTES);
  return SEQDB_OK;
}

/* ---- publish */

/* All patches as one, without what lies outside the final lengths. */
static void gather_patch(sdb_txn *txn, sdb_patch *all) {
  size_t ignored;
  sdb_txn_merge_patches(txn, 0, sdb_txn_patch_base(txn, 0, &ignored));
  *all = txn->patch;
  sdb_patch_init(&txn->patch);
  (void)SDB_NEVER(sdb_delta_cut_patch(&txn->delta, all) != SEQDB_OK); /* none crosses a region's end: nothing splits */
}

static int note_cut(void *context, uint32_t index, const sdb_entry *before, const sdb_entry *after) {
  if (before && after && before->start == after->start && after->length < before->length)
    sdb_space_note_cut(context, index, after->start, after->length, before->length);
  return 0;
}

/* The commit before was made durable by a journal that this one synced, or its folder. */
static bool can_settle_before(const sdb_store *store) {
  uint32_t mode = store->tip_durability & SDB_DURABILITY_JOURNAL_MODE;
  uint32_t level = (store->tip_durability & SDB_DURABILITY_SYNCHRONOUS) >> 4;
  return mode >= 2 && mode <= 4 && level >= 1 && store->committed->generation > sdb_store_unproven(store);
}

/* Step 5.  Readers see the new state from the moment on when the locks are let go; memory was reserved. */
static void publish_in_memory(seqdb *db) {
  sdb_txn *txn = &db->txn;
  sdb_store *store = db->store;
  bool keep_next = txn->record_kind == SDB_RECORD_PREPARE && !is_files(db);
  const sdb_record_header header = {.token = txn->token,
                                    .file = txn->file,
                                    .position = txn->position,
                                    .durability = txn->durability,
                                    .generation = txn->prepared->generation};
  size_t named = txn->delta.puts + txn->delta.deletes;
  sdb_patch all;
  gather_patch(txn, &all);
  sdb_txn_drop_marks(db, 0);
  pthread_mutex_lock(&store->files_mutex);
  if (named) memcpy(store->named + store->named_count, txn->delta.indexes, named * sizeof *store->named);
  store->named_count += named;
  if (db->settles == SEQDB_SETTLES_BEFORE && can_settle_before(store)) sdb_settle_tip(store);
  sdb_settle_follow(store, &header);
  sdb_overlay_lock(&store->overlay);
  pthread_mutex_lock(&store->mutex);
  if (db->settles == SEQDB_SETTLES_ALL) {
    store->settled = store->tip;
    store->settled_generation = header.generation;
    store->candidate_count = 0;
  } else if (is_files(db)) {
    sdb_space_set_reusable(&store->space, SDB_MIN(store->settled_generation, store->space.catalogs.reusable));
  }
  sdb_overlay_add(&store->overlay, txn->prepared->generation, sdb_store_newest_reader(store), &all, &txn->spare_layer);
  (void)sdb_tree_diff(&store->committed->tree, &txn->prepared->tree, note_cut, &store->space);
  sdb_store_swap(store, txn->prepared, keep_next, keep_next && db->coordinator);
  (void)sdb_txn_set_unprepared(txn, &store->committed->tree); /* committed holds the catalog now */
  pthread_mutex_unlock(&store->mutex);
  sdb_overlay_unlock(&store->overlay);
  pthread_mutex_unlock(&store->files_mutex);
  sdb_patch_clear(&all);
}

void sdb_commit_publish(seqdb *db) {
  sdb_txn *txn = &db->txn;
  sdb_store *store = db->store;
  if (txn->life == SDB_STALE) sdb_poison(store); /* a broken promise: the next open finds what was prepared */
  if (txn->life != SDB_PREPARED) {
    (void)sdb_commit_rollback(db, &sdb_unheard);
    return;
  }
  bool by_file = is_files(db);
  publish_in_memory(db);    /* 5 */
  sdb_store_publish(store); /* ... for other members, too */
  if (by_file) sdb_store_set_mark(store, false);
  (void)sdb_store_oldest_elsewhere(store);           /* nobody may need any more what it gave up */
  if (SDB_ALWAYS(!sdb_is_poisoned(store))) {         /* the writer alone poisons, and it has just written its record */
    (void)sdb_checkpoint_drain(store, &sdb_unheard); /* 6 */
    sdb_overlay_compact(&store->overlay);
    sdb_checkpoint_if_due(store);
  }
  sdb_txn_end(db);
}

/* ---- roll back */

/* A prepare is dropped on record first; a poisoned store can write no more. */
static int drop_prepared(seqdb *db, const sdb_op *op) {
  if (is_files(db)) {
    int held = bury(db);
    forget_prepared(db);
    return held;
  }
  int rc = sdb_is_poisoned(db->store) ? SEQDB_OK : sdb_decide(db->store, op);
  if (rc != SEQDB_OK) sdb_poison(db->store); /* the next open would keep it */
  forget_prepared(db);
  return rc;
}

int sdb_commit_rollback(seqdb *db, const sdb_op *op) {
  sdb_txn *txn = &db->txn;
  int rc = SEQDB_OK;
  sdb_tails_discard(db);
  if (sdb_txn_has_prepared(txn)) rc = drop_prepared(db, op);
  sdb_txn_drop_marks(db, 0);
  if (sdb_txn_is_open(txn)) sdb_txn_return_to(db, db->store->committed);
  sdb_txn_end(db);
  return rc;
}

/* ---- public */

int seqdb_flush(seqdb *db, uint64_t *generation) {
  seqdb_error error;
  sdb_op op = {"commit", &error};
  int rc = sdb_enter(db, &op);
  if (rc != SEQDB_OK) return rc;
  rc = sdb_commit_prepare(db, SDB_RECORD_COMMIT, NULL, &op);
  bool any = rc == SEQDB_OK && sdb_txn_has_prepared(&db->txn); /* others may have committed when it is published */
  uint64_t made = any ? db->txn.prepared->generation : sdb_store_generation(db->store);
  if (rc == SEQDB_OK) sdb_commit_publish(db);
  if (rc == SEQDB_OK && generation) *generation = made;
  return sdb_leave(db, rc, &op);
}

int seqdb_prepare(seqdb *db, uint8_t token[SEQDB_TOKEN_BYTES], uint64_t *generation) {
  seqdb_error error;
  sdb_op op = {"commit", &error};
  uint8_t its_token[SEQDB_TOKEN_BYTES] = {0};
  int rc = sdb_enter(db, &op);
  if (rc != SEQDB_OK) return rc;
  rc = sdb_commit_prepare(db, SDB_RECORD_PREPARE, its_token, &op);
  if (rc == SEQDB_OK && generation) *generation = sdb_txn_has_prepared(&db->txn) ? db->txn.prepared->generation : 0;
  if (rc == SEQDB_OK && token) memcpy(token, its_token, SEQDB_TOKEN_BYTES);
  if (rc == SEQDB_OK && sdb_txn_has_prepared(&db->txn) && is_files(db)) sdb_store_set_mark(db->store, true); /* T3 */
  return sdb_leave(db, rc, &op);
}

void seqdb_publish(seqdb *db) {
  seqdb_error error;
  sdb_op op = {"commit", &error};
  if (sdb_enter(db, &op) != SEQDB_OK) return;
  sdb_commit_publish(db);
  (void)sdb_leave(db, SEQDB_OK, &op);
}

int seqdb_rollback(seqdb *db) {
  seqdb_error error;
  sdb_op op = {"rollback", &error};
  int rc = sdb_enter(db, &op);
  return rc == SEQDB_OK ? sdb_leave(db, sdb_commit_rollback(db, &op), &op) : rc;
}
