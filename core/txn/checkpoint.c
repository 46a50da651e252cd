/* SPDX-License-Identifier: MIT
**
** checkpoint.c: fold the journal into `regions` and `data` and empty it (R5), as numbered steps.
**
**                                                       after a crash here, recovery
**   0 keep     a published prepare, by an empty record   has the state before or after, as its coordinator says
**   1 apply    overlays into `data`                      redoes them from the records
**   2 sync     regions with the guard, then data         redoes them
**   3 write    every entry the records name              redoes them; half-written pages are named by records
**   4 sync     regions                                   redoes them to the same bytes
**   5 reset    the other header page, with a new salt    torn: the old header, as before; whole: nothing to redo
**   6 punch    what nothing pins any more                finds holes with garbage, punches them once
** The same steps end a recovery.  Undone overlays (an old snapshot) put the checkpoint off: it does step 1 only.
** Runs only while no prepare is undecided: the caller holds the writer lock and has published or never prepared.
** INVARIANT: whatever a session writes that an fdatasync may fail to make durable, a guard stands before: without one the next
** open believes what it reads.
*/
#include "txn/db.h"
#include "base/error.h"
#include "pure/indexes.h"
#include "space/tree_file.h"

static int sync_file(sdb_store *store, sdb_fd fd, const char *file, const sdb_op *op) {
  int os = store->sync_off ? 0 : sdb_os_fdatasync(fd);
  if (!os) return SEQDB_OK;
  sdb_poison(store);
  return sdb_error_os(op, os, file, 0, "%s: fdatasync failed", file);
}

int sdb_checkpoint_guard(sdb_store *store, const sdb_op *op) {
  bool poison = false;
  if (store->regions.guarded) return SEQDB_OK;
  int rc = sdb_regions_guard(&store->regions, true, store->sync_off, &poison, op);
  if (poison) sdb_poison(store);
  return rc;
}

/* Room for all that are named.  After an unclean end the size, guard and all, may be in the page cache only (a failed fdatasync): another
** one makes the next fdatasync write it. */
static int size_regions(sdb_store *store, bool unclean, const sdb_op *op) {
  sdb_regions_file *regions = &store->regions;
  uint64_t pages = regions->pages, need = store->named_count ? (uint64_t)store->named[store->named_count - 1] + 1 : 0;
  if (need > pages) return sdb_regions_resize(regions, need, op);
  if (!unclean) return SEQDB_OK;
  return sdb_regions_resize(regions, SDB_MIN(pages + 1, SDB_INDEX_MAX), op);
}

/* 3: runs of neighbouring entries in one write each. */
static int write_entries(sdb_store *store, bool unclean, const sdb_op *op) {
  const sdb_tree *tree = &store->committed->tree;
  int rc = SEQDB_OK;
  if (unclean && store->regions.odd_guard && (rc = sdb_regions_zero_guard(&store->regions, op)) == SEQDB_OK)
    rc = sync_file(store, store->regions.fd, "regions", op);
  size_t unique = store->named_count = sdb_indexes_sort(store->named, store->named_count);
  if (rc == SEQDB_OK) rc = size_regions(store, unclean, op);
  for (size_t i = 0; i < unique && rc == SEQDB_OK;) {
    size_t end = i + 1;
    while (end < unique && store->named[end] == store->named[end - 1] + 1)
      end++;
    rc = sdb_tree_store(tree, &store->regions, store->named[i], store->named[end - 1] + 1, op);
    i = end;
  }
  return rc;
}

/* 5 */
static int reset_journal(sdb_store *store, const sdb_op *op) {
  const sdb_tree *tree = &store->committed->tree;
  sdb_journal_header header = store->journal.header;
  bool poison = false;
  header.sync_off = store->sync_off;
  header.base_generation = store->committed->generation;
  header.data_bytes = sdb_store_end(store);
  header.regions_bytes = store->regions.pages * SDB_ENTRY_BYTES;
  header.entries = tree->entries;
  header.entries_hash = tree->hash;
  int rc = sdb_journal_reset(&store->journal, &header, &poison, op);
  if (poison) sdb_poison(store);
  return rc;
}

/* A crashed session may have left bytes in holes, behind lengths and behind the end. */
static void suspect_all(sdb_store *store) {
  sdb_space *space = &store->space;
  sdb_range hole;
  uint32_t index;
  uint64_t from = 0, at = 0;
  while (sdb_range_next(&space->holes, at, &hole)) {
    (void)sdb_range_add(&space->unpunched.holes, hole.start, hole.bytes);
    at = hole.start + hole.bytes;
  }
  for (const sdb_entry *entry; (entry = sdb_tree_next(&store->committed->tree, from, &index));
       from = (uint64_t)index + 1)
    sdb_space_note_cut(space, index, entry->start, entry->length, entry->reserved);
}

/* store.mutex held, and let go meanwhile: only the writer allocates, the range stays free. */
static void punch_range(sdb_store *store, const sdb_range *range) {
#ifdef SDB_CHECKS
  if (store->committed->tree.entries <= 2000)
    assert(sdb_space_may_write(&store->space, range->start, range->bytes, NULL));
#endif
  pthread_mutex_unlock(&store->mutex);
  sdb_data_punch(&store->data, range->start, range->bytes);
  pthread_mutex_lock(&store->mutex);
}

/* 6 */
static void punch(sdb_store *store) {
  sdb_range range;
  pthread_mutex_lock(&store->mutex);
  if (store->unclean) {
    suspect_all(store);
    range = (sdb_range){store->space.end, atomic_load(&store->data.size_bytes)};
    if (range.bytes > range.start) sdb_data_punch(&store->data, range.start, range.bytes - range.start);
    store->unclean = false;
  }
  while (sdb_space_next_punch(&store->space, &range))
    punch_range(store, &range);
  pthread_mutex_unlock(&store->mutex);
}

#define EARLY_MIN_BYTES  ((uint64_t)64 << 10)
#define EARLY_MAX_RANGES 64u
#define EARLY_MAX_LOOKS  1024u /* under the mutex: small ranges wait for the checkpoint */

void sdb_checkpoint_punch_early(sdb_store *store) {
  sdb_range range;
  uint64_t from = 0;
  unsigned ranges = 0, looks = 0;
  pthread_mutex_lock(&store->mutex);
  while (ranges < EARLY_MAX_RANGES && looks++ < EARLY_MAX_LOOKS &&
         sdb_range_next(&store->space.unpunched.holes, from, &range)) {
    from = range.start + range.bytes;
    if (range.bytes < EARLY_MIN_BYTES) continue;
    (void)sdb_range_remove(&store->space.unpunched.holes, range.start, range.bytes);
    punch_range(store, &range);
    ranges++;
  }
  pthread_mutex_unlock(&store->mutex);
}

/* 2 to 5 */
static int fold(sdb_store *store, bool unclean, const sdb_op *op) {
  int rc = sdb_checkpoint_guard(store, op);
  /* After an unclean end the size in the page cache may never have reached the disk (a failed fdatasync). */
  if (rc == SEQDB_OK && unclean) rc = sdb_data_lengthen(&store->data, op);
  if (rc == SEQDB_OK) rc = sdb_data_ensure(&store->data, sdb_store_end(store), op);
  if (rc == SEQDB_OK) rc = sync_file(store, store->data.fd, "data", op);       /* 2 */
  if (rc == SEQDB_OK) rc = write_entries(store, unclean, op);                  /* 3 */
  if (rc == SEQDB_OK) rc = sync_file(store, store->regions.fd, "regions", op); /* 4 */
  if (rc == SEQDB_OK) rc = reset_journal(store, op);                           /* 5 */
  if (rc != SEQDB_OK) return rc;
  store->named_count = 0;
  store->keep_next = false; /* no coordinator decides about it, or it was kept in step 0 */
  store->recovered = true;
  return SEQDB_OK;
}

/* Who may still read an older state than the last commit's?  Without `undecided`, only snapshots count. */
static uint64_t oldest_reader(sdb_store *store, bool undecided) {
  pthread_mutex_lock(&store->mutex);
  uint64_t oldest = sdb_space_oldest_generation(&store->space, undecided ? NULL : store->before_prepare);
  pthread_mutex_unlock(&store->mutex);
  return oldest;
}

int sdb_checkpoint_drain(sdb_store *store, const sdb_op *op) {
  if (sdb_overlay_is_empty(&store->overlay)) return SEQDB_OK;
  return sdb_overlay_drain(&store->overlay, oldest_reader(store, true), op);
}

/* 0 to 5.  *folded: the journal is empty now. */
static int attempt(sdb_store *store, bool unclean, bool *folded, const sdb_op *op) {
  int rc = SEQDB_OK;
  *folded = false;
  bool decide = store->before_prepare;
  if (decide && sdb_overlay_held(&store->overlay, oldest_reader(store, false)))
    decide = false;                                         /* it is put off, and the next record decides too */
  if (decide) rc = sdb_commit_decide(store, op);            /* 0 */
  if (rc == SEQDB_OK) rc = sdb_checkpoint_drain(store, op); /* 1 */
  if (rc != SEQDB_OK || !sdb_overlay_is_empty(&store->overlay)) return rc;
  /* GCOVR_EXCL_BR_LINE: entries are named by records only */
  if (store->journal.tail != SDB_JOURNAL_START || store->named_count || !store->recovered) {
    pthread_mutex_lock(&store->files_mutex);
    rc = fold(store, unclean, op);
    pthread_mutex_unlock(&store->files_mutex);
  }
  *folded = rc == SEQDB_OK;
  return rc;
}

int sdb_checkpoint(sdb_store *store, const sdb_op *op) {
  bool unclean = store->unclean, folded;
  int rc = attempt(store, unclean, &folded, op);
  if (rc == SEQDB_FULL && !atomic_load(&store->poisoned)) {
    punch(store); /* what may be punched already makes room: a full disk must not keep itself full */
    store->unclean = unclean;
    rc = attempt(store, unclean, &folded, op);
  }
  if (rc != SEQDB_OK || !folded) return rc;
  pthread_mutex_lock(&store->mutex);
  sdb_space_release_redo(&store->space);
  pthread_mutex_unlock(&store->mutex);
  punch(store); /* 6 */
  return SEQDB_OK;
}

/* After an unclean end nothing in the page cache may be believed (R6): the header page in use, the last record, sizes and
** entries are all written once more before anything relies on them; the latter two by the checkpoint. */
int sdb_checkpoint_recovered(sdb_store *store, const sdb_op *op) {
  bool poison = false;
  int rc = SEQDB_OK;
  if (store->unclean) {
    rc = sdb_journal_restate(&store->journal, &poison, op);
    if (poison) sdb_poison(store);
    /* Whoever decided about an undecided prepare may decide otherwise next time: nothing is applied before it is on
    ** record. */
    if (rc == SEQDB_OK && store->undecided && (rc = sdb_commit_decide(store, op)) == SEQDB_OK) store->undecided = false;
  }
  if (rc == SEQDB_OK && (store->unclean || !store->recovered)) rc = sdb_checkpoint(store, op);
  return rc;
}

/* The journal may grow to a part of the database: the larger it is, the less a checkpoint costs each commit.  What was given up
** may hold disk blocks, to another part. */
static bool is_due(sdb_store *store) {
  pthread_mutex_lock(&store->mutex);
  const sdb_space *space = &store->space;
  uint64_t size = SDB_MAX(space->end, store->committed->tree.entries * SDB_ENTRY_BYTES);
  uint64_t free = space->unpunched.holes.total_bytes + space->held_bytes;
  pthread_mutex_unlock(&store->mutex);
  uint64_t limit = SDB_MIN(SDB_MAX(size / 8, SDB_CHECKPOINT_BYTES), SDB_CHECKPOINT_MAX_BYTES);
  return store->journal.tail - SDB_JOURNAL_START >= limit || free >= SDB_MAX(size / 8, SDB_CHECKPOINT_MAX_BYTES);
}

void sdb_checkpoint_if_due(sdb_store *store) {
  if (is_due(store))
    (void)sdb_checkpoint(store, &sdb_unheard); /* failing leaves all as it is: the next commit tries again */
}

int seqdb_checkpoint(seqdb *db) {
  seqdb_error error;
  sdb_op op = {"checkpoint", &error};
  int rc = sdb_writable(db, &op);
  if (rc != SEQDB_OK) return sdb_fail(db, rc, &op);
  pthread_mutex_lock(&db->txn_mutex);
  if (sdb_txn_changed(db)) {
    rc = sdb_error_set(&op, SEQDB_LOCKED, NULL, 0, "checkpoint: the transaction has uncommitted changes");
  } else if (db->txn.active) {
    rc = sdb_checkpoint(db->store, &op);
  } else if ((rc = sdb_writer_lock(db, &op)) == SEQDB_OK) {
    rc = sdb_checkpoint_recovered(db->store, &op);
    if (rc == SEQDB_OK) rc = sdb_checkpoint(db->store, &op);
    sdb_writer_unlock(db);
  }
  pthread_mutex_unlock(&db->txn_mutex);
  return sdb_fail(db, rc, &op);
}
