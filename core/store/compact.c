/* SPDX-License-Identifier: MIT
**
** compact.c: give space back: move regions down, punch holes, cut the file's tail.
**
** Each step is a commit of its own. It takes regions from the end of the file and copies each into the lowest hole that takes it; when none
** fits any hole, the region behind the lowest hole steps aside to the end of the file, and comes down in the next step into
** the hole that it made larger. So the extra space is that of one region at the most. Copies go to unowned space and the
** entry changes at the commit: a crash leaves every region where it was or where it went.
** Open snapshots are never waited for: what they pin stays, and compaction stops when it could only shuffle.
*/
#include "txn/db.h"
#include "base/error.h"
#include "space/extents.h"

#define BATCH_REGIONS      1024u
#define BATCH_BYTES        ((uint64_t)64 << 20)
#define SLIDE_ALWAYS_BYTES ((uint64_t)64 << 20)

/* Where a caller's cursor stands. */
enum { AT_START, AT_MOVES, AT_MOVES_AFTER_ASIDE, AT_CUT, AT_END };

struct batch {
  size_t max_regions;
  bool trim;           /* the first batch cuts reserves instead */
  bool may_step_aside; /* not twice in a row: the first must have made room */
  bool aside;
  size_t regions;
  uint64_t moved_bytes;
  seqdb_compact_step_info *step; /* of the last region moved */
};

static uint64_t disk_bytes(sdb_store *store) {
  sdb_os_info info;
  return sdb_os_info_of(store->data.fd, &info) == 0 ? info.disk_bytes : 0;
}

static int check_interrupt(seqdb *db, const sdb_op *op) {
  return sdb_interrupted(db, op);
}

/* Move entry `index` to the allocated extent; `dirty`: it may hold blocks of what was there before. */
static int move_to(seqdb *db, const sdb_owned_extent *from, uint64_t start, bool dirty, struct batch *batch,
                   const sdb_op *op) {
  sdb_store *store = db->store;
  const sdb_entry *entry = sdb_tree_get(&db->txn.tree, from->index);
  uint64_t length = entry->length;
  batch->step->name_bytes = sdb_name_bytes(entry->name);
  memcpy(batch->step->name, sdb_name_text(entry->name), batch->step->name_bytes);
  int rc = sdb_write_move(db, from->index, start, from->bytes, NULL, op);
  if (rc != SEQDB_OK) {
    pthread_mutex_lock(&store->mutex);
    sdb_space_give_up(&store->space, from->index, start, from->bytes);
    pthread_mutex_unlock(&store->mutex);
    return rc;
  }
  if (dirty) { /* a reserve that was made since the first step cut all of them */
    pthread_mutex_lock(&store->mutex);
    sdb_space_note_cut(&store->space, from->index, start, length, from->bytes);
    pthread_mutex_unlock(&store->mutex);
  }
  batch->regions++;
  batch->moved_bytes += length;
  return SEQDB_OK;
}

static int allocate_below(sdb_store *store, const sdb_owned_extent *region, uint64_t *start, bool *found, bool *dirty) {
  sdb_range hole;
  int rc = SEQDB_OK;
  pthread_mutex_lock(&store->mutex);
  *found = sdb_range_first_fit(&store->space.holes, region->bytes, region->start, &hole);
  if (*found) {
    *start = hole.start;
    rc = sdb_space_alloc_at(&store->space, hole.start, region->bytes, dirty);
  }
  pthread_mutex_unlock(&store->mutex);
  return rc;
}

/* From the end of the file downwards, each region into the lowest hole that takes it. */
static int fill_holes(seqdb *db, const sdb_owned_extent *extents, size_t count, struct batch *batch, const sdb_op *op) {
  sdb_store *store = db->store;
  int rc = SEQDB_OK;
  for (size_t i = count; i > 0 && rc == SEQDB_OK; i--) {
    const sdb_owned_extent *region = &extents[i - 1];
    uint64_t start;
    sdb_range largest;
    bool found = false, dirty = false;
    if (batch->regions >= batch->max_regions || batch->moved_bytes >= BATCH_BYTES) break;
    pthread_mutex_lock(&store->mutex);
    bool any = sdb_range_largest(&store->space.holes, &largest);
    pthread_mutex_unlock(&store->mutex);
    if (!any) break;
    if (largest.bytes < region->bytes) continue;
    if ((rc = check_interrupt(db, op)) != SEQDB_OK) break;
    if (allocate_below(store, region, &start, &found, &dirty) != SEQDB_OK)
      rc = sdb_error_nomem(op);
    else if (found)
      rc = move_to(db, region, start, dirty, batch, op);
  }
  return rc;
}

/* Two copies of a region to close a hole in front of it: not for a large region and a hole that is, punched, next to
** nothing. */
static bool worth_sliding(uint64_t hole_bytes, uint64_t region_bytes) {
  return region_bytes <= SLIDE_ALWAYS_BYTES || hole_bytes >= region_bytes / 64;
}

/* The lowest hole with a region right behind it that is worth it; `count` if there is none. */
static size_t choose_slide(sdb_store *store, const sdb_owned_extent *extents, size_t count) {
  sdb_range hole;
  size_t i = 0;
  for (uint64_t at = 0; sdb_range_next(&store->space.holes, at, &hole); at = hole.start + hole.bytes) {
    while (i < count && extents[i].start < hole.start + hole.bytes)
      i++;
    if (i == count) break;
    if (extents[i].start == hole.start + hole.bytes && worth_sliding(hole.bytes, extents[i].bytes)) return i;
  }
  return count;
}

/* One region to the end of the file. */
static int move_to_end(seqdb *db, const sdb_owned_extent *region, struct batch *batch, const sdb_op *op) {
  sdb_store *store = db->store;
  pthread_mutex_lock(&store->mutex);
  uint64_t start = store->space.end, end;
  bool dirty = false;
  int rc = sdb_space_alloc_at(&store->space, start, region->bytes, &dirty);
  end = store->space.end;
  pthread_mutex_unlock(&store->mutex);
  if (rc == SEQDB_NOMEM) return sdb_error_nomem(op);
  if (rc != SEQDB_OK) return SEQDB_OK; /* no offsets are left to step aside to: it stays */
  batch->aside = true;
  rc = sdb_data_ensure(&store->data, end, op);
  if (rc == SEQDB_OK) return move_to(db, region, start, dirty, batch, op);
  pthread_mutex_lock(&store->mutex);
  sdb_space_give_up(&store->space, region->index, start, region->bytes);
  pthread_mutex_unlock(&store->mutex);
  return rc;
}

/* The regions behind a hole go to the end of the file, together no more than the largest region takes; the next step brings
** them down into the hole that they made larger. */
static int step_aside(seqdb *db, const sdb_owned_extent *extents, size_t count, struct batch *batch, const sdb_op *op) {
  sdb_store *store = db->store;
  uint64_t budget = 0, used = 0;
  int rc = SEQDB_OK;
  pthread_mutex_lock(&store->mutex);
  size_t i =
      store->snapshot_count ? count : choose_slide(store, extents, count); /* pinned, its place would be no hole */
  pthread_mutex_unlock(&store->mutex);
  for (size_t k = 0; k < count; k++)
    budget = SDB_MAX(budget, extents[k].bytes);
  for (; i < count && rc == SEQDB_OK && batch->regions < batch->max_regions; i++) {
    used += extents[i].bytes;
    if (used > budget || (batch->regions && extents[i].start != extents[i - 1].start + extents[i - 1].bytes)) break;
    if ((rc = check_interrupt(db, op)) == SEQDB_OK) rc = move_to_end(db, &extents[i], batch, op);
  }
  return rc;
}

/* Reserves are cut down to what their regions need. */
static int trim(seqdb *db, const sdb_owned_extent *extents, size_t count, struct batch *batch, const sdb_op *op) {
  sdb_store *store = db->store;
  int rc = SEQDB_OK;
  for (size_t i = 0; i < count && rc == SEQDB_OK; i++) {
    sdb_entry entry = *sdb_tree_get(&db->txn.tree, extents[i].index);
    uint64_t needed = SDB_MAX(sdb_page_up(entry.length), SDB_PAGE), extra = entry.reserved - needed;
    if (extra == 0) continue;
    entry.reserved = needed;
    pthread_mutex_lock(&store->mutex);
    rc = sdb_space_reserve_give_up(&store->space, extents[i].index, entry.start + needed, extra);
    pthread_mutex_unlock(&store->mutex);
    if (rc != SEQDB_OK) return sdb_error_nomem(op);
    if ((rc = sdb_write_put(db, extents[i].index, &entry, op)) != SEQDB_OK) break;
    pthread_mutex_lock(&store->mutex);
    sdb_space_give_up(&store->space, extents[i].index, entry.start + needed, extra);
    pthread_mutex_unlock(&store->mutex);
    batch->regions++;
  }
  return rc;
}

/* One commit's worth of moves; batch->regions == 0: nothing left to move. Writer lock held, transaction begun here. */
static int move_batch(seqdb *db, struct batch *batch, const sdb_op *op) {
  sdb_owned_extent *extents = NULL;
  size_t count = 0;
  int rc = sdb_txn_begin(db, op);
  if (rc != SEQDB_OK) return rc;
  if (sdb_tree_extents(&db->txn.tree, &extents, &count) != SEQDB_OK) rc = sdb_error_nomem(op);
  if (rc == SEQDB_OK && batch->trim)
    rc = trim(db, extents, count, batch, op);
  else if (rc == SEQDB_OK)
    rc = fill_holes(db, extents, count, batch, op);
  if (rc == SEQDB_OK && batch->regions == 0 && batch->may_step_aside) rc = step_aside(db, extents, count, batch, op);
  if (rc == SEQDB_OK) rc = sdb_commit_prepare(db, SDB_RECORD_COMMIT, NULL, op);
  if (rc == SEQDB_OK)
    sdb_commit_publish(db);
  else
    (void)sdb_commit_rollback(db, &sdb_unheard);
  sdb_free(extents);
  return rc;
}

/* ---- one step, whatever it is */

static int move_step(seqdb *db, size_t max_regions, uint64_t *cursor, seqdb_compact_step_info *step, bool *done,
                     const sdb_op *op) {
  struct batch batch = {.max_regions = max_regions, .step = step, .may_step_aside = *cursor == AT_MOVES};
  int rc = move_batch(db, &batch, op);
  if (rc != SEQDB_OK) return rc;
  *done = batch.regions > 0;
  step->kind = SEQDB_COMPACT_MOVE;
  step->moved_bytes = batch.moved_bytes;
  *cursor = batch.regions == 0 ? AT_CUT : batch.aside ? AT_MOVES_AFTER_ASIDE : AT_MOVES;
  return SEQDB_OK;
}

/* Writer lock held. The header must know of the smaller end before the file is cut. */
static int cut_step(sdb_store *store, seqdb_compact_step_info *step, const sdb_op *op) {
  int rc = sdb_checkpoint(store, op);
  step->kind = SEQDB_COMPACT_CUT;
  if (rc != SEQDB_OK || store->journal.tail != SDB_JOURNAL_START) return rc;
  if (store->journal.header.data_bytes > sdb_store_end(store)) {
    store->recovered = false; /* forces a header */
    /* GCOVR_EXCL_BR_LINE: no overlay is held back: the journal is empty */
    if ((rc = sdb_checkpoint(store, op)) != SEQDB_OK || !store->recovered) return rc;
  }
  /* Not to space.end: a snapshot that closes meanwhile may lower that below what the header promises. */
  return sdb_data_cut(&store->data, store->journal.header.data_bytes, op);
}

static int upkeep_step(seqdb *db, uint64_t *cursor, seqdb_compact_step_info *step, const sdb_op *op) {
  bool mine = !db->txn.active;
  int rc = mine ? sdb_writer_lock(db, op) : SEQDB_OK;
  if (rc != SEQDB_OK) return rc;
  if (mine) rc = sdb_checkpoint_recovered(db->store, op);
  if (rc != SEQDB_OK) {
    /* nothing to compact before the recovery is on disk */
  } else if (*cursor == AT_START) {
    step->kind = SEQDB_COMPACT_PUNCH;
    rc = sdb_checkpoint(db->store, op);
  } else {
    rc = cut_step(db->store, step, op);
  }
  if (mine) sdb_writer_unlock(db);
  if (rc == SEQDB_OK) *cursor = *cursor == AT_START ? AT_MOVES : AT_END;
  return rc;
}

/* What the step freed of the disk; moves show their gain when the checkpoint after them punches. */
static int compact_step(seqdb *db, size_t max_regions, uint64_t *cursor, seqdb_compact_step_info *step,
                        const sdb_op *op) {
  sdb_store *store = db->store;
  uint64_t before = disk_bytes(store), after;
  bool done = false;
  int rc = sdb_writable(db, op);
  if (rc == SEQDB_OK && sdb_txn_changed(db))
    rc = sdb_error_set(op, SEQDB_LOCKED, NULL, 0, "compact: the transaction has uncommitted changes");
  if (rc == SEQDB_OK) rc = check_interrupt(db, op);
  if (rc != SEQDB_OK) return rc;
  memset(step, 0, offsetof(seqdb_compact_step_info, name));
  step->moved_bytes = step->freed_bytes = 0;
  if (*cursor >= AT_END) return SEQDB_DONE;
  if (*cursor == AT_START) {
    struct batch trimming = {.trim = true, .step = step};
    if ((rc = move_batch(db, &trimming, op)) != SEQDB_OK) return rc;
  }
  if (*cursor == AT_MOVES || *cursor == AT_MOVES_AFTER_ASIDE) {
    rc = move_step(db, max_regions, cursor, step, &done, op);
    pthread_mutex_lock(&store->mutex);
    bool held = store->space.held_bytes > 0;
    pthread_mutex_unlock(&store->mutex);
    if (rc == SEQDB_OK && done && held) { /* places pinned by the journal become holes */
      uint64_t start = AT_START;
      seqdb_compact_step_info ignored;
      rc = upkeep_step(db, &start, &ignored, op);
    }
  }
  if (rc == SEQDB_OK && !done) rc = upkeep_step(db, cursor, step, op);
  after = disk_bytes(store);
  step->freed_bytes = before > after ? before - after : 0;
  return rc;
}

/* ---- public */

int seqdb_compact_step(seqdb *db, uint64_t *cursor, seqdb_compact_step_info *step) {
  seqdb_error error;
  sdb_op op = {"compact", &error};
  int rc = sdb_usable(db, &op);
  if (rc == SEQDB_OK) {
    pthread_mutex_lock(&db->txn_mutex);
    rc = compact_step(db, 1, cursor, step, &op);
    pthread_mutex_unlock(&db->txn_mutex);
  }
  return sdb_fail(db, rc, &op);
}

int seqdb_compact(seqdb *db, uint64_t *freed_bytes) {
  seqdb_error error;
  sdb_op op = {"compact", &error};
  seqdb_compact_step_info *step = sdb_malloc(sizeof *step);
  uint64_t cursor = 0, before = 0, after;
  int rc = step ? sdb_usable(db, &op) : sdb_error_nomem(&op);
  if (rc == SEQDB_OK) before = disk_bytes(db->store);
  while (rc == SEQDB_OK) {
    pthread_mutex_lock(&db->txn_mutex);
    rc = compact_step(db, BATCH_REGIONS, &cursor, step, &op);
    pthread_mutex_unlock(&db->txn_mutex);
  }
  sdb_free(step);
  if (rc != SEQDB_DONE) return sdb_fail(db, rc, &op);
  after = disk_bytes(db->store);
  if (freed_bytes) *freed_bytes = before > after ? before - after : 0;
  return SEQDB_OK;
}
