/* SPDX-License-Identifier: MIT
**
** checkpoint.c: see checkpoint.h.
**
** The steps have the numbers of FORMAT.md 6, Checkpoint:
**                                                    a crash after it leaves
**     decide about a published prepare               the new state for good
**     1  apply overwrites to `data`                  parts of them; recovery writes all of them from the records
**     2  fdatasync(data)                             all of them, durable
**     3  write every entry that a record names       pages old, new or torn; recovery writes all of them
**     4  fdatasync(regions)                          all of them, durable
**     5  write the other header, with a new salt     the old header: as after 4; the new one: nothing to redo
**     6  fdatasync(journal)                          the new header
**     7  punch what nothing holds any more           holes with garbage; recovery punches all of them once
** A recovery ends in the same steps.  Where an old snapshot holds overwrites back, step 1 is done as far as it may.
** Then the journal is rewritten, if that makes it shorter: the same steps, but
**     2' before 2: write a record with what the layers hold, fdatasync(journal)    bytes that no header knows
**     5' a header whose first record this is              the old header: as after 4; the new one: that record to redo
** INVARIANT: the guard stands before step 2: without it the next open believes what it reads, durable or not
** (R6a).
*/
#include "txn/checkpoint.h"

#include "base/check.h"
#include "os/os.h"
#include "pure/indexes.h"
#include "space/tree_file.h"
#include "txn/catalog_copy.h"
#include "txn/changes_copy.h"
#include "txn/decide.h"
#include "txn/follow.h"
#include "txn/handle.h"
#include "txn/rewrite.h"
#include "txn/settle.h"

/* A checkpoint is due when the journal has grown to ... */
#define JOURNAL_MIN_BYTES (UINT64_C(4) << 20)  /* ... in a small database */
#define JOURNAL_MAX_BYTES (UINT64_C(64) << 20) /* ... in a large one */

/* ---- before step 2: the guard */

int sdb_checkpoint_guard(sdb_store *store, const sdb_op *op) {
  bool poison = false;
  if (store->regions.guarded) return SEQDB_OK;
  int rc = sdb_regions_guard(&store->regions, true, false, &poison, op); /* also without syncs: what was lost shows */
  if (poison) sdb_poison(store);
  return rc;
}

/* ---- step 1: apply */

int sdb_checkpoint_drain(sdb_store *store, const sdb_op *op) {
  if (sdb_overlay_is_empty(&store->overlay)) return SEQDB_OK;
  uint64_t oldest = sdb_store_oldest(store), due = sdb_overlay_due(&store->overlay, oldest);
  if (due == 0) return SEQDB_OK;
  int rc = sdb_overlay_drain(&store->overlay, oldest, op);
  if (rc == SEQDB_OK && store->shared && due > sdb_board_applied(store->board))
    sdb_board_set_applied(store->board, due); /* after the bytes (S4) */
  return rc;
}

/* May a decision about the published prepare let the layers go? */
static bool only_prepare_holds(sdb_store *store) {
  uint64_t elsewhere = store->shared ? sdb_board_oldest(store->board) : UINT64_MAX;
  pthread_mutex_lock(&store->mutex);
  uint64_t oldest = SDB_MIN(sdb_space_oldest_generation(&store->space, store->before_prepare), elsewhere);
  pthread_mutex_unlock(&store->mutex);
  return !sdb_overlay_held(&store->overlay, oldest);
}

/* ---- step 2: sync `data` */

/* After an unclean end its size may be in the page cache alone (a failed fdatasync): a page more makes this fdatasync
** write it. */
int sdb_checkpoint_sync_data(sdb_store *store, bool unclean, const sdb_op *op) {
  uint64_t end = sdb_store_end(store);
  int rc = unclean ? sdb_data_lengthen(&store->data, SDB_MAX(end, store->journal.header.data_bytes), op) : SEQDB_OK;
  if (rc == SEQDB_OK) rc = sdb_data_ensure(&store->data, end, op);
  if (rc == SEQDB_OK) rc = sdb_store_sync(store, store->data.fd, "data", op);
  if (rc == SEQDB_OK && unclean) (void)sdb_data_ensure(&store->data, end + SDB_PAGE, &sdb_unheard); /* for next time */
  return rc;
}

/* ---- step 3: write entries */

/* Room for all that are named; after an unclean end a page more, as for `data`.  Without syncs a power cut could keep
** an entry behind the old guard and lose the new one, and the session would seem to have ended cleanly: so that one is
** durable first. */
static int size_regions(sdb_store *store, bool unclean, const sdb_op *op) {
  sdb_regions_file *regions = &store->regions;
  uint64_t pages = regions->pages, need = store->named_count ? (uint64_t)store->named[store->named_count - 1] + 1 : 0;
  if (need <= pages && !unclean) return SEQDB_OK;
  int rc = sdb_regions_resize(regions, need > pages ? need : SDB_MIN(pages + 1, SDB_INDEX_MAX), op);
  return rc == SEQDB_OK && store->sync_off ? sdb_store_sync_anyway(store, regions->fd, "regions", op) : rc;
}

/* Runs of neighbouring entries in one write each. */
static int write_runs(sdb_store *store, const sdb_op *op) {
  const uint32_t *named = store->named;
  int rc = SEQDB_OK;
  for (size_t i = 0; i < store->named_count && rc == SEQDB_OK;) {
    size_t end = i + 1;
    while (end < store->named_count && named[end] == named[end - 1] + 1)
      end++;
    rc = sdb_tree_store(&store->committed->tree, &store->regions, named[i], named[end - 1] + 1, op);
    i = end;
  }
  return rc;
}

static int write_entries(sdb_store *store, bool unclean, const sdb_op *op) {
  int rc = SEQDB_OK;
  if (unclean && store->regions.odd_guard && (rc = sdb_regions_zero_guard(&store->regions, op)) == SEQDB_OK)
    rc = sdb_store_sync(store, store->regions.fd, "regions", op);
  store->named_count = sdb_indexes_sort(store->named, store->named_count);
  if (rc == SEQDB_OK) rc = size_regions(store, unclean, op);
  return rc == SEQDB_OK ? write_runs(store, op) : rc;
}

/* ---- steps 5 and 6: the other header */

static int turn_journal(sdb_store *store, const sdb_rewrite *rewrite, const sdb_op *op) {
  const sdb_tree *tree = &store->committed->tree;
  sdb_journal_header header = store->journal.header;
  bool poison = false;
  header.version = store->version;
  header.sync_off = store->sync_off;
  header.base_generation = sdb_store_base(store);
  header.data_bytes = sdb_store_end(store);
  header.regions_bytes = store->regions.pages * SDB_ENTRY_BYTES;
  header.entries = tree->entries;
  header.entries_hash = tree->hash;
  header.base_token = store->tip;
  header.base_file = store->tip_file;
  int rc = rewrite ? sdb_journal_turn(&store->journal, &rewrite->next, &header, &poison, op)
                   : sdb_journal_reset(&store->journal, &header, &poison, op);
  atomic_fetch_add(&store->claims_version, 1);
  if (poison) sdb_poison(store);
  return rc;
}

/* ---- step 7: punch */

/* A crashed session may have left bytes in holes, behind lengths and behind the end.  store.mutex held. */
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
  sdb_store_check_free(store, range->start, range->bytes);
  pthread_mutex_unlock(&store->mutex);
  sdb_data_punch(&store->data, range->start, range->bytes);
  pthread_mutex_lock(&store->mutex);
}

/* store.mutex held. */
static void punch_listed(sdb_store *store) {
  sdb_range range;
  while (sdb_space_next_punch(&store->space, &range))
    punch_range(store, &range);
}

#define LAST_RANGES 8u /* of which a checkpoint takes care itself */
#define PART_RANGES 64u
#define PART_MS     5u

/* The lowest comes first.  store.mutex held. */
static bool lies_behind_end(const sdb_space *space) {
  sdb_range range;
  return sdb_range_next(&space->unpunched.holes, 0, &range) && range.start >= space->end;
}

/* Only holes: what lies behind lengths is cheap, or little. */
uint64_t sdb_checkpoint_punch_part(sdb_store *store, uint64_t most, uint64_t share, bool cuts) {
  sdb_space *space = &store->space;
  sdb_range range;
  uint64_t count = 0, end_ms = sdb_os_now_ms() + PART_MS * share;
  pthread_mutex_lock(&store->mutex);
  while (count < SDB_MIN(most, PART_RANGES * share) && space->unpunched.holes.count > LAST_RANGES &&
         (count == 0 || sdb_os_now_ms() < end_ms) && !(cuts && lies_behind_end(space)) &&
         sdb_space_next_punch(space, &range)) {
    punch_range(store, &range);
    count++;
  }
  pthread_mutex_unlock(&store->mutex);
  return count;
}

uint64_t sdb_checkpoint_punchable(sdb_store *store) {
  pthread_mutex_lock(&store->mutex);
  uint64_t count = store->space.unpunched.holes.count;
  pthread_mutex_unlock(&store->mutex);
  return count;
}

#define KEEP_NODES 512u

static void punch(sdb_store *store) {
  pthread_mutex_lock(&store->mutex);
  if (store->unclean) {
    uint64_t end = store->space.end, size = atomic_load(&store->data.size_bytes);
    suspect_all(store);
    if (size > end) sdb_data_punch(&store->data, end, size - end);
    store->unclean = false;
  }
  punch_listed(store);
  sdb_range_pool_trim(&store->space.pool, KEEP_NODES); /* what the largest moment needed is not kept */
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

/* ---- the steps */

#define KEEP_NAMED 1024u

/* Commits may be lost that somebody knows the numbers of, or the state is not the one that its number meant: the header
** has another number, so that nobody takes one for the other.  Nobody has seen it before it is durable: a number that a
** crash took back would be given to another state. */
static void take_base(sdb_store *store) {
  if (!sdb_store_skips(store)) return;
  pthread_mutex_lock(&store->mutex);
  store->committed->generation = store->settled_generation = store->journal.header.base_generation;
  pthread_mutex_unlock(&store->mutex);
}

/* A transaction that is open has its number. */
static bool may_skip(const sdb_store *store) {
  return !sdb_store_skips(store) || !store->writer || !sdb_txn_is_open(&store->writer->txn);
}

/* Steps 2 to 6; `rewrite`: NULL, or of these.  files_mutex held. */
static int fold(sdb_store *store, bool unclean, sdb_rewrite *rewrite, const sdb_op *op) {
  int rc = sdb_checkpoint_guard(store, op);
  if (rc == SEQDB_OK && rewrite) rc = sdb_rewrite_begin(store, rewrite, op);        /* 2' */
  if (rc == SEQDB_OK) rc = sdb_checkpoint_sync_data(store, unclean, op);            /* 2 */
  if (rc == SEQDB_OK) rc = write_entries(store, unclean, op);                       /* 3 */
  if (rc == SEQDB_OK) rc = sdb_store_sync(store, store->regions.fd, "regions", op); /* 4 */
  if (rc == SEQDB_OK) sdb_changes_copy_write(store);                                /* 4' */
  if (rc == SEQDB_OK) rc = turn_journal(store, rewrite, op);                        /* 5, 6 */
  if (rc != SEQDB_OK) return rc;
  take_base(store);
  store->rewrite_at = store->tip_at = 0;
  sdb_catalog_copy_note(store);
  store->named_count = 0;
  if (store->named_capacity > KEEP_NAMED) {
    sdb_free(store->named);
    store->named = NULL;
    store->named_capacity = 0;
  }
  store->keep_next = false; /* no coordinator decides about it, or it was decided before step 1 */
  store->recovered = true;
  return SEQDB_OK;
}

/* The new salt.  Until others know of it they read the old records: so these are cut off only then. */
static void publish_header(sdb_store *store) {
  sdb_store_publish(store);
  pthread_mutex_lock(&store->files_mutex);
  sdb_journal_trim(&store->journal);
  pthread_mutex_unlock(&store->files_mutex);
}

/* The present one has a number that could mean two states, or is of another mode. */
static bool wants_header(const sdb_store *store) {
  return sdb_store_skips(store) || store->journal.header.sync_off != store->sync_off;
}

static bool has_something_to_fold(const sdb_store *store) {
  return store->journal.tail != SDB_JOURNAL_START || SDB_NEVER(store->named_count) || !store->recovered ||
         store->journal.header.version != store->version || store->claims_changed || wants_header(store);
}

/* Steps 1 to 6.  *folded: the journal is empty now. */
static int attempt(sdb_store *store, bool unclean, bool *folded, const sdb_op *op) {
  int rc = SEQDB_OK;
  *folded = false;
  /* If a snapshot puts the checkpoint off, the next record decides: this need not. */
  if ((store->before_prepare || store->unsettled) && only_prepare_holds(store)) rc = sdb_decide(store, op);
  if (rc == SEQDB_OK) rc = sdb_checkpoint_drain(store, op); /* 1 */
  if (rc != SEQDB_OK || !sdb_overlay_is_empty(&store->overlay) || !sdb_store_is_settled(store)) return rc;
  if (has_something_to_fold(store)) {
    pthread_mutex_lock(&store->files_mutex);
    rc = fold(store, unclean, NULL, op); /* 2 to 6 */
    pthread_mutex_unlock(&store->files_mutex);
    if (rc == SEQDB_OK) publish_header(store);
  }
  *folded = rc == SEQDB_OK;
  return rc;
}

#define RETRY_BYTES (UINT64_C(1) << 20) /* of journal, between two tries of a rewriting that fails */

/* A layer is held back.  Failing for lack of room or memory leaves all as it is. */
static int rewrite_journal(sdb_store *store, const sdb_op *op) {
  sdb_rewrite rewrite = {0};
  int rc = store->before_prepare || store->unsettled ? sdb_decide(store, op) : SEQDB_OK;
  if (rc != SEQDB_OK) return rc;
  sdb_rewrite_forget_unseen(store);
  pthread_mutex_lock(&store->files_mutex);
  rc = fold(store, store->unclean, &rewrite, op);
  pthread_mutex_unlock(&store->files_mutex);
  if (rc == SEQDB_OK) {
    sdb_rewrite_done(store, &rewrite);
    publish_header(store);
    pthread_mutex_lock(&store->mutex);
    punch_listed(store);
    pthread_mutex_unlock(&store->mutex);
  } else {
    store->rewrite_at = sdb_journal_bytes(&store->journal) + RETRY_BYTES;
  }
  sdb_rewrite_free(&rewrite);
  return rc == SEQDB_FULL || rc == SEQDB_NOMEM ? SEQDB_OK : rc;
}

/* `due`: nobody has asked for it.  `cuts`: the file ends where the new header says.  The cut comes before step 7: what
** lies behind needs no punching then.  The header is durable, as any cut wants it; a crash in between leaves the guard,
** and recovery punches all of it. */
static int checkpoint(sdb_store *store, bool due, bool cuts, const sdb_op *op) {
  bool unclean = store->unclean, folded;
  if (!may_skip(store)) return sdb_checkpoint_drain(store, op);
  int rc = attempt(store, unclean, &folded, op);
  if (rc == SEQDB_FULL && !sdb_is_poisoned(store)) {
    punch(store); /* what may be punched already makes room: a full disk must not keep itself full */
    store->unclean = unclean;
    rc = attempt(store, unclean, &folded, op);
  }
  if (rc == SEQDB_OK && !folded && sdb_store_is_settled(store) && sdb_rewrite_pays(store, due))
    return rewrite_journal(store, op);
  if (rc != SEQDB_OK || !folded) return rc;
  pthread_mutex_lock(&store->mutex);
  sdb_space_release_redo(&store->space);
  pthread_mutex_unlock(&store->mutex);
  if (cuts) rc = sdb_data_cut(&store->data, store->journal.header.data_bytes, op);
  punch(store); /* 7 */
  return rc;
}

bool sdb_checkpoint_is_owed(const sdb_store *store) {
  return wants_header(store) && sdb_store_is_settled(store);
}

int sdb_checkpoint(sdb_store *store, const sdb_op *op) {
  return checkpoint(store, false, false, op);
}

int sdb_checkpoint_cut(sdb_store *store, const sdb_op *op) {
  return checkpoint(store, false, true, op);
}

int sdb_checkpoint_upgrade(sdb_store *store, const sdb_op *op) {
  store->version = SDB_FORMAT_VERSION;
  return store->journal.header.version == store->version ? SEQDB_OK : sdb_checkpoint(store, op);
}

/* An SQLite file may still go back: the records stay, and what they show. */
static int keep_candidates(sdb_store *store, const sdb_op *op) {
  if (store->recovered) return SEQDB_OK;
  pthread_mutex_lock(&store->mutex);
  sdb_space_set_reusable(&store->space, store->settled_generation);
  pthread_mutex_unlock(&store->mutex);
  int rc = sdb_follow_hold(store, op);
  store->recovered = rc == SEQDB_OK;
  return rc;
}

/* After an unclean end nothing that may be in the page cache alone is believed (R6): header, last record, sizes and
** entries are written once more before anything relies on them.  The steps have the letters of FORMAT.md 5, Reading,
** step 5. */
int sdb_checkpoint_recovered(sdb_store *store, const sdb_op *op) {
  bool poison = false;
  int rc = SEQDB_OK;
  if (store->unclean) {
    rc = sdb_journal_restate(&store->journal, &poison, op); /* a */
    if (poison) sdb_poison(store);
    /* Whoever is asked about an undecided prepare may answer otherwise next time: first the answer goes on record. */
    if (rc == SEQDB_OK && store->undecided && (rc = sdb_decide(store, op)) == SEQDB_OK) /* b */
      store->undecided = false;
  }
  if (rc != SEQDB_OK || !(store->unclean || !store->recovered || wants_header(store))) return rc;
  if (!sdb_store_is_settled(store)) return keep_candidates(store, op);
  return sdb_checkpoint(store, op); /* c, d */
}

/* The larger the database, the longer the journal may grow: a checkpoint then costs each commit less.  What was given
** up may hold disk blocks, to another part; *punch: what needs no checkpoint is so much. */
static bool is_due(sdb_store *store, bool *punch) {
  pthread_mutex_lock(&store->mutex);
  const sdb_space *space = &store->space;
  uint64_t size = SDB_MAX(space->end, store->committed->tree.entries * SDB_ENTRY_BYTES);
  uint64_t holes = space->unpunched.holes.total_bytes, free = holes + space->held_bytes;
  pthread_mutex_unlock(&store->mutex);
  uint64_t limit = SDB_MIN(SDB_MAX(size / 8, JOURNAL_MIN_BYTES), JOURNAL_MAX_BYTES);
  uint64_t much = SDB_MAX(size / 8, JOURNAL_MAX_BYTES);
  bool long_journal = sdb_journal_bytes(&store->journal) >= limit;
  *punch = !long_journal && holes >= much;
  return long_journal || free >= much;
}

void sdb_checkpoint_if_due(sdb_store *store) {
  bool punch, due = is_due(store, &punch);
  if (sdb_store_skips(store)) return; /* the next transaction begins with it, once all is settled */
  if (punch && sdb_checkpoint_punch_part(store, UINT64_MAX, 1, false))
    return; /* the next commits go on: none waits for all */
  if (due || sdb_rewrite_pays(store, true))
    (void)checkpoint(store, true, false, &sdb_unheard); /* failing leaves all as it is: the next commit tries again */
}
