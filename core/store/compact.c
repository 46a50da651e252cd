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
/* While others wait for the lock. */
#define SMALL_BATCH_REGIONS 64u
#define SMALL_BATCH_BYTES   ((uint64_t)4 << 20)
#define PATIENCE_MS         2000u
#define SHARE_MS            8u

/* Where a caller's cursor stands; above it, how many regions it has moved, or the ranges it may punch yet and 1. */
enum { AT_START, AT_MOVES_FIRST, AT_PUNCH, AT_MOVES, AT_MOVES_AFTER_ASIDE, AT_CUT, AT_END };
#define PLACE_BITS 3u
#define PLACES     ((UINT64_C(1) << PLACE_BITS) - 1)

/* One commit's worth of moves. */
struct batch {
  seqdb *db;
  const sdb_op *op;
  size_t max_regions;
  uint64_t max_bytes;
  bool patient;        /* it goes on: it waits for the writer lock whatever the handle's timeout */
  bool writes_catalog; /* with its last checkpoint */
  bool trim;           /* the first batch cuts reserves instead */
  bool may_step_aside; /* not twice in a row: the first must have made room */
  sdb_owned_extent *extents;
  size_t count;
  /* what it did */
  bool aside;
  bool one_batch_does; /* of trimming: all that is to be moved fits into a batch */
  size_t regions;
  uint64_t moved_bytes;
  seqdb_compact_step_info *step; /* of the last region moved */
};

/* Around taking the writer lock. */
static uint64_t begin_waiting(seqdb *db, bool patient) {
  db->patience_ms = patient ? PATIENCE_MS : 0;
  return sdb_os_now_ms();
}

static void end_waiting(seqdb *db, uint64_t begin_ms) {
  db->patience_ms = 0;
  db->waited_ms = sdb_os_now_ms() - begin_ms;
}

/* How much more than the least a step may do: who had to wait for long takes its share of the time, so that the work
** ends however long the transactions of others are. */
static uint64_t share(const seqdb *db) {
  return 1 + SDB_MIN(db->waited_ms / SHARE_MS, (uint64_t)1000);
}

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
    if (batch->regions >= batch->max_regions || batch->moved_bytes >= batch->max_bytes) break;
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

/* What lies behind the sum of all extents is to be moved.  Nothing is held: no checkpoint must make holes first. */
static bool is_one_batch(const struct batch *batch) {
  sdb_store *store = batch->db->store;
  uint64_t sum = 0, bytes = 0;
  size_t regions = 0;
  for (size_t i = 0; i < batch->count; i++)
    sum += batch->extents[i].bytes;
  for (size_t i = batch->count; i > 0 && batch->extents[i - 1].start >= sum; i--, regions++)
    bytes += batch->extents[i - 1].bytes;
  pthread_mutex_lock(&store->mutex);
  bool held = store->space.held_bytes > 0;
  pthread_mutex_unlock(&store->mutex);
  return !held && regions > 0 && regions <= batch->max_regions && bytes <= batch->max_bytes;
}

/* Reserves are cut down to what their regions need. */
static int trim(struct batch *batch) {
  sdb_store *store = batch->db->store;
  batch->one_batch_does = batch->max_regions > 1 && is_one_batch(batch);
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
  uint64_t begin_ms = begin_waiting(db, batch->patient);
  int rc = sdb_txn_begin(db, batch->op);
  end_waiting(db, begin_ms);
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

/* Into a hole, aside and down: a region moves three times at the most, unless somebody makes work all the time. */
static bool has_moved_enough(const struct batch *batch, uint64_t moved) {
  return moved > 64 + 3 * (uint64_t)batch->count;
}

/* *done: it moved something. */
static int move_step(struct batch *batch, uint64_t *cursor, bool *done) {
  seqdb_compact_step_info *step = batch->step;
  batch->may_step_aside = (*cursor & PLACES) == AT_MOVES;
  int rc = run_batch(batch);
  if (rc == SEQDB_FULL && batch->max_regions > 1) { /* what was moved is back; one may find room */
    *batch = (struct batch){
        .db = batch->db, .op = batch->op, .max_regions = 1, .max_bytes = 1, .patient = batch->patient, .step = step};
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
  uint64_t moved = (*cursor >> PLACE_BITS) + batch->regions;
  bool ends = !*done || (!batch->aside && has_moved_enough(batch, moved));
  *cursor = ends ? AT_CUT : (batch->aside ? AT_MOVES_AFTER_ASIDE : AT_MOVES) | moved << PLACE_BITS;
  return SEQDB_OK;
}

/* Before anything is punched: a hole that a region fills at once keeps its blocks, and its pages in the cache.  Where
** that finds no room, punching comes first after all. */
static int move_first(struct batch *batch, uint64_t *cursor, bool *done) {
  int rc = run_batch(batch);
  if (rc == SEQDB_FULL && !sdb_is_poisoned(batch->db->store)) {
    batch->regions = 0;
    rc = SEQDB_OK;
  }
  *done = rc == SEQDB_OK && batch->regions > 0;
  batch->step->kind = SEQDB_COMPACT_MOVE;
  batch->step->moved_bytes = batch->moved_bytes;
  if (rc == SEQDB_OK) *cursor = *done ? AT_MOVES | (uint64_t)batch->regions << PLACE_BITS : AT_PUNCH;
  return rc;
}

#define ENTRIES_SHARE 32u /* of `data` */
#define ENTRIES_RUN   16u

/* Each run is a transaction of the file system.  Where all free entries together are little beside `data`, short runs
** keep their blocks: the next regions get them. */
static uint64_t least_run(const sdb_store *store) {
  uint64_t free_bytes = (store->regions.pages - store->committed->tree.entries) * SDB_ENTRY_BYTES;
  return free_bytes <= store->journal.header.data_bytes / ENTRIES_SHARE ? ENTRIES_RUN : 1;
}

/* Writer lock held, the journal empty: free entries are zeros, durably, and stay zeros.  The file keeps its length: see
** sdb_regions_resize(). */
static int punch_free_entries(sdb_store *store, const sdb_op *op) {
  const sdb_tree *tree = &store->committed->tree;
  uint64_t pages = store->regions.pages, from = 0, end, least = least_run(store);
  int rc = SEQDB_OK;
  while (from < pages && rc == SEQDB_OK) {
    uint32_t index;
    uint64_t used = sdb_tree_next(tree, from, &index) ? SDB_MIN(index, pages) : pages;
    if (used >= from + least && sdb_regions_next(&store->regions, from, &end) < used) {
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
  int rc = sdb_checkpoint_cut(store, op);
  step->kind = SEQDB_COMPACT_CUT;
  if (rc != SEQDB_OK || store->journal.tail != SDB_JOURNAL_START) return rc;
  if (store->journal.header.data_bytes > sdb_store_end(store)) {
    store->recovered = false; /* forces a header */
    rc = sdb_checkpoint_cut(store, op);
    if (rc != SEQDB_OK || SDB_NEVER(!store->recovered)) return rc; /* the journal is empty: no overlay is held back */
  }
  if ((rc = punch_free_entries(store, op)) != SEQDB_OK) return rc;
  sdb_journal_cut(&store->journal, sdb_room_for_giving(store));
  /* Not to space.end: a snapshot that closes meanwhile may lower that below what the header promises. */
  return sdb_data_cut(&store->data, store->journal.header.data_bytes, op);
}

/* Take the writer lock for a moment, if the handle has not got it; what a recovery owes comes first. */
static int lock_for_upkeep(seqdb *db, bool patient, bool *mine, const sdb_op *op) {
  *mine = !sdb_txn_is_open(&db->txn);
  uint64_t begin_ms = begin_waiting(db, patient);
  int rc = *mine ? sdb_writer_lock(db, op) : SEQDB_OK;
  end_waiting(db, begin_ms);
  if (rc != SEQDB_OK || !*mine) return rc;
  if ((rc = sdb_checkpoint_recovered(db->store, op)) != SEQDB_OK) sdb_writer_unlock(db);
  return rc;
}

/* A part of what there was to punch when the first one came, and others get the lock; with the last part a checkpoint,
** or the cut. */
static int upkeep_step(const struct batch *batch, uint64_t *cursor) {
  seqdb *db = batch->db;
  sdb_store *store = db->store;
  bool mine, cuts = (*cursor & PLACES) == AT_CUT;
  uint64_t left = *cursor >> PLACE_BITS;
  int rc = lock_for_upkeep(db, batch->patient, &mine, batch->op);
  if (rc != SEQDB_OK) return rc;
  batch->step->kind = SEQDB_COMPACT_PUNCH;
  left = left ? left - 1 : sdb_checkpoint_punchable(store);
  uint64_t punched = sdb_checkpoint_punch_part(store, left, share(db), cuts);
  if (punched == 0) rc = cuts ? cut_step(store, batch->step, batch->op) : sdb_checkpoint(store, batch->op);
  if (rc == SEQDB_OK && punched == 0 && batch->writes_catalog) sdb_catalog_copy_write(store);
  if (mine) sdb_writer_unlock(db);
  if (rc != SEQDB_OK) return rc;
  *cursor = punched == 0 ? (cuts ? AT_END : AT_MOVES) : (cuts ? AT_CUT : AT_PUNCH) | (left - punched + 1) << PLACE_BITS;
  return SEQDB_OK;
}

/* Extents that the journal holds become holes by a checkpoint; what can be punched before it is, in parts. */
static int checkpoint_in_parts(struct batch *batch) {
  uint64_t cursor = AT_PUNCH;
  int rc = SEQDB_OK;
  while ((rc = upkeep_step(batch, &cursor)) == SEQDB_OK && (cursor & PLACES) == AT_PUNCH) {
    batch->patient = true;
    (void)sdb_writer_give_way(batch->db->store);
    if ((rc = sdb_ask_inside(batch->db, batch->op)) != SEQDB_OK) break;
  }
  return rc;
}

static int release_held(const struct batch *batch) {
  sdb_store *store = batch->db->store;
  seqdb_compact_step_info ignored;
  struct batch checkpoint = {.db = batch->db, .op = batch->op, .patient = true, .step = &ignored};
  pthread_mutex_lock(&store->mutex);
  bool held = store->space.held_bytes > 0;
  pthread_mutex_unlock(&store->mutex);
  return held ? checkpoint_in_parts(&checkpoint) : SEQDB_OK;
}

/* The step that the cursor stands at. */
static int take_step(struct batch *batch, uint64_t *cursor) {
  uint64_t place = *cursor & PLACES;
  bool done = false;
  int rc = SEQDB_OK;
  if (place == AT_START) {
    batch->trim = true;
    rc = run_batch(batch);
    if (rc == SEQDB_OK) *cursor = batch->one_batch_does ? AT_MOVES_FIRST : AT_PUNCH;
    if (rc != SEQDB_OK || *cursor == AT_MOVES_FIRST) return rc;
  } else if (place == AT_MOVES_FIRST) {
    rc = move_first(batch, cursor, &done);
    if (rc == SEQDB_OK && done) rc = release_held(batch);
  } else if (place == AT_MOVES || place == AT_MOVES_AFTER_ASIDE) {
    rc = move_step(batch, cursor, &done);
    if (rc == SEQDB_OK && done) rc = release_held(batch);
  }
  return rc == SEQDB_OK && !done ? upkeep_step(batch, cursor) : rc;
}

/* What the step freed of the disk; moves show their gain when the checkpoint after them punches. */
static int compact_step(seqdb *db, bool batches, uint64_t *cursor, seqdb_compact_step_info *step, const sdb_op *op) {
  bool small = sdb_writer_give_way(db->store);
  struct batch batch = {.db = db, .op = op, .patient = batches && *cursor != AT_START, .step = step};
  uint64_t regions = small ? SMALL_BATCH_REGIONS * share(db) : BATCH_REGIONS;
  uint64_t bytes = small ? SMALL_BATCH_BYTES * share(db) : BATCH_BYTES;
  batch.max_regions = batches ? (size_t)SDB_MIN(regions, BATCH_REGIONS) : 1;
  batch.max_bytes = SDB_MIN(bytes, BATCH_BYTES);
  int rc = sdb_writable(db, op);
  if (rc == SEQDB_OK && sdb_txn_has_changes(&db->txn))
    rc = sdb_error_set(op, SEQDB_LOCKED, NULL, 0, "compact: the transaction has uncommitted changes");
  if (rc == SEQDB_OK) rc = sdb_ask_inside(db, op);
  if (rc != SEQDB_OK) return rc;
  memset(step, 0, offsetof(seqdb_compact_step_info, name));
  step->moved_bytes = step->freed_bytes = 0;
  return (*cursor & PLACES) >= AT_END ? SEQDB_DONE : take_step(&batch, cursor);
}

/* *freed: what the file takes less on the disk; below 0: more. */
static int public_step(seqdb *db, bool batches, uint64_t *cursor, seqdb_compact_step_info *step, int64_t *freed) {
  seqdb_error error;
  sdb_op op = {"compact", &error};
  uint64_t next = *cursor;
  int rc = sdb_enter(db, &op);
  if (rc != SEQDB_OK) return rc;
  uint64_t before = disk_bytes(db->store);
  rc = compact_step(db, batches, &next, step, &op);
  *freed = (int64_t)before - (int64_t)disk_bytes(db->store);
  if (rc == SEQDB_OK) *cursor = next;
  return sdb_leave(db, rc, &op);
}

/* ---- public */

int seqdb_checkpoint(seqdb *db) {
  seqdb_error error;
  sdb_op op = {"checkpoint", &error};
  seqdb_compact_step_info ignored;
  struct batch batch = {.db = db, .op = &op, .writes_catalog = true, .step = &ignored};
  int rc = sdb_writable(db, &op);
  if (rc != SEQDB_OK) return sdb_fail(db, rc, &op);
  if ((rc = sdb_enter(db, &op)) != SEQDB_OK) return rc;
  rc = sdb_txn_has_changes(&db->txn)
           ? sdb_error_set(&op, SEQDB_LOCKED, NULL, 0, "checkpoint: the transaction has uncommitted changes")
           : checkpoint_in_parts(&batch);
  return sdb_leave(db, rc, &op);
}

int seqdb_compact_step(seqdb *db, uint64_t *cursor, seqdb_compact_step_info *step) {
  seqdb_compact_step_info done = {0};
  int64_t freed = 0;
  int rc = public_step(db, false, cursor, &done, &freed);
  done.freed_bytes = freed > 0 ? (uint64_t)freed : 0;
  if (rc == SEQDB_OK) *step = done;
  return rc;
}

int seqdb_compact_batch(seqdb *db, uint64_t *cursor, int64_t *freed_bytes) {
  seqdb_compact_step_info ignored;
  int64_t freed = 0;
  int rc = public_step(db, true, cursor, &ignored, &freed);
  *freed_bytes += freed;
  return rc;
}

int seqdb_compact(seqdb *db, uint64_t *freed_bytes) {
  uint64_t cursor = 0;
  int64_t freed = 0;
  int rc = SEQDB_OK;
  while (rc == SEQDB_OK)
    rc = seqdb_compact_batch(db, &cursor, &freed);
  if (rc != SEQDB_DONE) return rc;
  if (freed_bytes) *freed_bytes = freed > 0 ? (uint64_t)freed : 0;
  return SEQDB_OK;
}
