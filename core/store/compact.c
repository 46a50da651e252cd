/* SPDX-License-Identifier: MIT
**
** compact.c: give space back: move regions down, punch holes, cut the file's tail.  And seqdb_checkpoint().
**
**     [ A ][ hole ][ B ][ C ]    the last region that fits goes into the lowest hole    [ A ][ C ][ B ]
**     [ A ][ hole ][ large B ]   none fits: B steps aside, to the end of the file       [ A ][ hole        ][ large B ]
**                                and comes down in the next step                        [ A ][ large B ]
** Each step is a commit of its own, so the extra space is that of one region at the most.  Copies go to space that
** nobody owns, and the entry changes at the commit: a crash leaves every region where it was or where it went.  Open
** snapshots are never waited for: what they see stays, and compaction stops when it could only shuffle.
*/
#include "base/check.h"
#include "os/os.h"
#include "space/extents.h"
#include "txn/begin.h"
#include "txn/catalog_copy.h"
#include "txn/checkpoint.h"
#include "txn/commit.h"
#include "txn/room.h"
#include "txn/write.h"
#include "txn/writer_lock.h"

#define BATCH_REGIONS      1024u
#define BATCH_BYTES        ((uint64_t)64 << 20)
#define SLIDE_ALWAYS_BYTES ((uint64_t)64 << 20)

/* Where a caller's cursor stands. */
enum { AT_START, AT_MOVES, AT_MOVES_AFTER_ASIDE, AT_CUT, AT_END };

/* One commit's worth of moves. */
struct batch {
  seqdb *db;
  const sdb_op *op;
  size_t max_regions;
  bool trim;           /* the first batch cuts reserves instead */
  bool may_step_aside; /* not twice in a row: the first must have made room */
  sdb_owned_extent *extents;
  size_t count;
  /* what it did */
  bool aside;
  size_t regions;
  uint64_t moved_bytes;
  seqdb_compact_step_info *step; /* of the last region moved */
};

static uint64_t disk_bytes(sdb_store *store) {
  sdb_os_info info;
  return sdb_os_info_of(store->data.fd, &info) == 0 ? info.disk_bytes : 0;
}

/* Move the region to the extent, which is allocated and as large as its own. */
static int move_to(struct batch *batch, const sdb_owned_extent *from, const sdb_extent *to) {
  sdb_store *store = batch->db->store;
  sdb_change change = {batch->db, from->index, batch->op};
  const sdb_entry *entry = sdb_tree_get(&batch->db->txn.tree, from->index);
  uint64_t length = entry->length;
  batch->step->name_bytes = sdb_name_bytes(entry->name);
  memcpy(batch->step->name, sdb_name_text(entry->name), batch->step->name_bytes);
  int rc = sdb_write_move(&change, to->start, from->bytes, NULL);
  if (rc != SEQDB_OK) {
    sdb_store_give_up(store, from->index, to->start, from->bytes);
    return rc;
  }
  /* A reserve that was made since the first step cut all of them. */
  if (to->dirty) sdb_store_note_cut(store, from->index, to->start, length, from->bytes);
  batch->regions++;
  batch->moved_bytes += length;
  return SEQDB_OK;
}

/* Allocate the lowest hole below the region that takes it; found: extent->bytes is not 0. */
static int allocate_below(struct batch *batch, const sdb_owned_extent *region, sdb_extent *extent) {
  sdb_store *store = batch->db->store;
  sdb_range hole;
  int rc = SEQDB_OK;
  *extent = (sdb_extent){0};
  pthread_mutex_lock(&store->mutex);
  if (sdb_range_first_fit(&store->space.holes, region->bytes, region->start, &hole)) {
    *extent = (sdb_extent){hole.start, region->bytes, false};
    rc = sdb_space_alloc_at(&store->space, extent->start, extent->bytes, &extent->dirty);
  }
  pthread_mutex_unlock(&store->mutex);
  return rc == SEQDB_OK ? rc : sdb_error_nomem(batch->op);
}

static uint64_t largest_hole(sdb_store *store) {
  sdb_range largest;
  pthread_mutex_lock(&store->mutex);
  bool any = sdb_range_largest(&store->space.holes, &largest);
  pthread_mutex_unlock(&store->mutex);
  return any ? largest.bytes : 0;
}

/* From the end of the file downwards, each region into the lowest hole that takes it. */
static int fill_holes(struct batch *batch) {
  int rc = SEQDB_OK;
  for (size_t i = batch->count; i > 0 && rc == SEQDB_OK; i--) {
    const sdb_owned_extent *region = &batch->extents[i - 1];
    sdb_extent extent;
    if (batch->regions >= batch->max_regions || batch->moved_bytes >= BATCH_BYTES) break;
    uint64_t largest = largest_hole(batch->db->store);
    if (largest == 0) break;
    if (largest < region->bytes) continue;
    rc = sdb_ask_inside(batch->db, batch->op);
    if (rc == SEQDB_OK) rc = allocate_below(batch, region, &extent);
    if (rc == SEQDB_OK && extent.bytes) rc = move_to(batch, region, &extent);
  }
  return rc;
}

/* Two copies of a region to close a hole in front of it: not for a large region and a hole that is, punched, next to
** nothing. */
static bool worth_sliding(uint64_t hole_bytes, uint64_t region_bytes) {
  return region_bytes <= SLIDE_ALWAYS_BYTES || hole_bytes >= region_bytes / 64;
}

/* The lowest hole with a region right behind it that is worth it; the count if there is none, or if a snapshot is open,
** in whatever process: it would see the region, and its place would be no hole. */
static size_t choose_slide(const struct batch *batch) {
  sdb_store *store = batch->db->store;
  const sdb_owned_extent *extents = batch->extents;
  size_t i = 0, chosen = batch->count;
  sdb_range hole;
  bool elsewhere = sdb_store_is_read_elsewhere(store);
  pthread_mutex_lock(&store->mutex);
  bool more = !store->snapshot_count && !elsewhere;
  for (uint64_t at = 0; more && sdb_range_next(&store->space.holes, at, &hole); at = hole.start + hole.bytes) {
    while (i < batch->count && extents[i].start < hole.start + hole.bytes)
      i++;
    bool behind = i < batch->count && extents[i].start == hole.start + hole.bytes;
    if (behind && worth_sliding(hole.bytes, extents[i].bytes)) chosen = i;
    more = i < batch->count && chosen == batch->count;
  }
  pthread_mutex_unlock(&store->mutex);
  return chosen;
}

/* One region to the end of the file. */
static int move_to_end(struct batch *batch, const sdb_owned_extent *region) {
  sdb_store *store = batch->db->store;
  sdb_extent extent = {.bytes = region->bytes};
  pthread_mutex_lock(&store->mutex);
  extent.start = store->space.end;
  int rc = sdb_space_alloc_at(&store->space, extent.start, extent.bytes, &extent.dirty);
  uint64_t end = store->space.end;
  pthread_mutex_unlock(&store->mutex);
  if (rc == SEQDB_NOMEM) return sdb_error_nomem(batch->op);
  if (rc != SEQDB_OK) return SEQDB_OK; /* no offsets are left to step aside to: it stays */
  batch->aside = true;
  rc = sdb_data_ensure(&store->data, end, batch->op);
  if (rc == SEQDB_OK) return move_to(batch, region, &extent);
  sdb_store_give_up(store, region->index, extent.start, extent.bytes);
  return rc;
}

/* The regions behind a hole go to the end of the file, together no more than the largest region takes; the next step
** brings them down into the hole that they made larger. */
static int step_aside(struct batch *batch) {
  const sdb_owned_extent *extents = batch->extents;
  uint64_t budget = 0, used = 0;
  int rc = SEQDB_OK;
  for (size_t i = 0; i < batch->count; i++)
    budget = SDB_MAX(budget, extents[i].bytes);
  for (size_t i = choose_slide(batch); i < batch->count && rc == SEQDB_OK && batch->regions < batch->max_regions; i++) {
    used += extents[i].bytes;
    if (used > budget || (batch->regions && extents[i].start != extents[i - 1].start + extents[i - 1].bytes)) break;
    rc = sdb_ask_inside(batch->db, batch->op);
    if (rc == SEQDB_OK) rc = move_to_end(batch, &extents[i]);
  }
  return rc;
}

/* Reserves are cut down to what their regions need. */
static int trim(struct batch *batch) {
  sdb_store *store = batch->db->store;
  for (size_t i = 0; i < batch->count; i++) {
    sdb_change change = {batch->db, batch->extents[i].index, batch->op};
    sdb_entry entry = *sdb_tree_get(&batch->db->txn.tree, change.index);
    uint64_t needed = SDB_MAX(sdb_page_up(entry.length), SDB_PAGE), extra = entry.reserved - needed;
    if (extra == 0) continue;
    entry.reserved = needed;
    if (sdb_store_reserve_give_up(store, change.index, entry.start + needed, extra) != SEQDB_OK)
      return sdb_error_nomem(batch->op);
    int rc = sdb_write_put(&change, &entry);
    if (rc != SEQDB_OK) return rc;
    sdb_store_give_up(store, change.index, entry.start + needed, extra);
    batch->regions++;
  }
  return SEQDB_OK;
}

/* A transaction of its own; batch->regions == 0 afterwards: nothing was left to move. */
static int run_batch(struct batch *batch) {
  seqdb *db = batch->db;
  int rc = sdb_txn_begin(db, batch->op);
  if (rc != SEQDB_OK) return rc;
  if (sdb_tree_extents(&db->txn.tree, &batch->extents, &batch->count) != SEQDB_OK) rc = sdb_error_nomem(batch->op);
  if (rc == SEQDB_OK) rc = batch->trim ? trim(batch) : fill_holes(batch);
  if (rc == SEQDB_OK && batch->regions == 0 && batch->may_step_aside) rc = step_aside(batch);
  if (rc == SEQDB_OK) rc = sdb_commit_prepare(db, SDB_RECORD_COMMIT, NULL, batch->op);
  if (rc == SEQDB_OK)
    sdb_commit_publish(db);
  else
    (void)sdb_commit_rollback(db, &sdb_unheard);
  sdb_free(batch->extents);
  return rc;
}

/* ---- one step, whatever it is */

/* *done: it moved something. */
static int move_step(struct batch *batch, uint64_t *cursor, bool *done) {
  seqdb_compact_step_info *step = batch->step;
  batch->may_step_aside = *cursor == AT_MOVES;
  int rc = run_batch(batch);
  if (rc == SEQDB_FULL && batch->max_regions > 1) { /* what was moved is back; one may find room */
    *batch = (struct batch){.db = batch->db, .op = batch->op, .max_regions = 1, .step = step};
    rc = run_batch(batch);
  }
  if (rc == SEQDB_FULL && !sdb_is_poisoned(batch->db->store)) { /* no room to move: the rest can still be done */
    batch->regions = 0;
    rc = SEQDB_OK;
  }
  if (rc != SEQDB_OK) return rc;
  *done = batch->regions > 0;
  step->kind = SEQDB_COMPACT_MOVE;
  step->moved_bytes = batch->moved_bytes;
  *cursor = batch->regions == 0 ? AT_CUT : batch->aside ? AT_MOVES_AFTER_ASIDE : AT_MOVES;
  return SEQDB_OK;
}

/* Writer lock held, the journal empty: free entries are zeros, durably, and stay zeros.  The file keeps its length: see
** sdb_regions_resize(). */
static int punch_free_entries(sdb_store *store, const sdb_op *op) {
  const sdb_tree *tree = &store->committed->tree;
  uint64_t pages = store->regions.pages, from = 0, end;
  int rc = SEQDB_OK;
  while (from < pages && rc == SEQDB_OK) {
    uint32_t index;
    uint64_t used = sdb_tree_next(tree, from, &index) ? SDB_MIN(index, pages) : pages;
    if (used > from && sdb_regions_next(&store->regions, from, &end) < used) {
      pthread_mutex_lock(&store->files_mutex); /* check reads the pages */
      rc = sdb_checkpoint_guard(store, op);
      if (rc == SEQDB_OK) sdb_regions_punch(&store->regions, from, used);
      pthread_mutex_unlock(&store->files_mutex);
    }
    from = used + 1;
  }
  return rc;
}

/* Writer lock held. The header must know of the smaller end before the file is cut. */
static int cut_step(sdb_store *store, seqdb_compact_step_info *step, const sdb_op *op) {
  int rc = sdb_checkpoint(store, op);
  step->kind = SEQDB_COMPACT_CUT;
  if (rc != SEQDB_OK || store->journal.tail != SDB_JOURNAL_START) return rc;
  if (store->journal.header.data_bytes > sdb_store_end(store)) {
    store->recovered = false; /* forces a header */
    rc = sdb_checkpoint(store, op);
    if (rc != SEQDB_OK || SDB_NEVER(!store->recovered)) return rc; /* the journal is empty: no overlay is held back */
  }
  if ((rc = punch_free_entries(store, op)) != SEQDB_OK) return rc;
  sdb_journal_cut(&store->journal, sdb_room_for_giving(store));
  /* Not to space.end: a snapshot that closes meanwhile may lower that below what the header promises. */
  return sdb_data_cut(&store->data, store->journal.header.data_bytes, op);
}

/* Take the writer lock for a moment, if the handle has not got it; what a recovery owes comes first. */
static int lock_for_upkeep(seqdb *db, bool *mine, const sdb_op *op) {
  *mine = !sdb_txn_is_open(&db->txn);
  int rc = *mine ? sdb_writer_lock(db, op) : SEQDB_OK;
  if (rc != SEQDB_OK || !*mine) return rc;
  if ((rc = sdb_checkpoint_recovered(db->store, op)) != SEQDB_OK) sdb_writer_unlock(db);
  return rc;
}

/* A checkpoint, which punches; or the cut. */
static int upkeep_step(seqdb *db, uint64_t *cursor, seqdb_compact_step_info *step, const sdb_op *op) {
  bool mine;
  int rc = lock_for_upkeep(db, &mine, op);
  if (rc != SEQDB_OK) return rc;
  if (*cursor == AT_START) {
    step->kind = SEQDB_COMPACT_PUNCH;
    rc = sdb_checkpoint(db->store, op);
  } else {
    rc = cut_step(db->store, step, op);
  }
  if (mine) sdb_writer_unlock(db);
  if (rc == SEQDB_OK) *cursor = *cursor == AT_START ? AT_MOVES : AT_END;
  return rc;
}

/* Extents that the journal holds become holes by a checkpoint. */
static int release_held(seqdb *db, const sdb_op *op) {
  sdb_store *store = db->store;
  uint64_t start = AT_START;
  seqdb_compact_step_info ignored;
  pthread_mutex_lock(&store->mutex);
  bool held = store->space.held_bytes > 0;
  pthread_mutex_unlock(&store->mutex);
  return held ? upkeep_step(db, &start, &ignored, op) : SEQDB_OK;
}

/* The step that the cursor stands at. */
static int take_step(seqdb *db, size_t max_regions, uint64_t *cursor, seqdb_compact_step_info *step, const sdb_op *op) {
  struct batch batch = {.db = db, .op = op, .max_regions = max_regions, .step = step};
  bool done = false;
  int rc = SEQDB_OK;
  if (*cursor == AT_START) {
    batch.trim = true;
    rc = run_batch(&batch);
  } else if (*cursor == AT_MOVES || *cursor == AT_MOVES_AFTER_ASIDE) {
    rc = move_step(&batch, cursor, &done);
    if (rc == SEQDB_OK && done) rc = release_held(db, op);
  }
  return rc == SEQDB_OK && !done ? upkeep_step(db, cursor, step, op) : rc;
}

/* What the step freed of the disk; moves show their gain when the checkpoint after them punches. */
static int compact_step(seqdb *db, size_t max_regions, uint64_t *cursor, seqdb_compact_step_info *step,
                        const sdb_op *op) {
  uint64_t before = disk_bytes(db->store);
  int rc = sdb_writable(db, op);
  if (rc == SEQDB_OK && sdb_txn_has_changes(&db->txn))
    rc = sdb_error_set(op, SEQDB_LOCKED, NULL, 0, "compact: the transaction has uncommitted changes");
  if (rc == SEQDB_OK) rc = sdb_ask_inside(db, op);
  if (rc != SEQDB_OK) return rc;
  memset(step, 0, offsetof(seqdb_compact_step_info, name));
  step->moved_bytes = step->freed_bytes = 0;
  if (*cursor >= AT_END) return SEQDB_DONE;
  rc = take_step(db, max_regions, cursor, step, op);
  uint64_t after = disk_bytes(db->store);
  step->freed_bytes = before > after ? before - after : 0;
  return rc;
}

/* ---- public */

int seqdb_checkpoint(seqdb *db) {
  seqdb_error error;
  sdb_op op = {"checkpoint", &error};
  bool mine = false;
  int rc = sdb_writable(db, &op);
  if (rc != SEQDB_OK) return sdb_fail(db, rc, &op);
  if ((rc = sdb_enter(db, &op)) != SEQDB_OK) return rc;
  if (sdb_txn_has_changes(&db->txn)) {
    rc = sdb_error_set(&op, SEQDB_LOCKED, NULL, 0, "checkpoint: the transaction has uncommitted changes");
  } else if ((rc = lock_for_upkeep(db, &mine, &op)) == SEQDB_OK) {
    rc = sdb_checkpoint(db->store, &op);
    if (rc == SEQDB_OK) sdb_catalog_copy_write(db->store);
    if (mine) sdb_writer_unlock(db);
  }
  return sdb_leave(db, rc, &op);
}

int seqdb_compact_step(seqdb *db, uint64_t *cursor, seqdb_compact_step_info *step) {
  seqdb_error error;
  sdb_op op = {"compact", &error};
  uint64_t next = *cursor;
  seqdb_compact_step_info done = {0};
  int rc = sdb_enter(db, &op);
  if (rc != SEQDB_OK) return rc;
  rc = sdb_leave(db, compact_step(db, 1, &next, &done, &op), &op);
  if (rc == SEQDB_OK) {
    *cursor = next;
    *step = done;
  }
  return rc;
}

int seqdb_compact(seqdb *db, uint64_t *freed_bytes) {
  seqdb_error error;
  sdb_op op = {"compact", &error};
  seqdb_compact_step_info *step = sdb_malloc(sizeof *step);
  uint64_t cursor = 0, before = 0;
  int rc = step ? sdb_usable(db, &op) : sdb_error_nomem(&op);
  if (rc == SEQDB_OK) before = disk_bytes(db->store);
  while (rc == SEQDB_OK && (rc = sdb_enter(db, &op)) == SEQDB_OK) {
    rc = compact_step(db, BATCH_REGIONS, &cursor, step, &op);
    pthread_mutex_unlock(&db->txn_mutex);
  }
  sdb_free(step);
  if (rc != SEQDB_DONE) return sdb_fail(db, rc, &op);
  uint64_t after = disk_bytes(db->store);
  if (freed_bytes) *freed_bytes = before > after ? before - after : 0;
  return SEQDB_OK;
}
