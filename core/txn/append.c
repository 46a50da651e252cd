/* SPDX-License-Identifier: MIT
**
** tail.c: appending (R2): the fast path, and the only one that does not take the transaction's mutex.
**
** A region that is appended to more than once in a transaction gets an open tail: its end, how far it may be written
** directly, and a buffer.  An append then costs one lock of its own and a copy; appends to different regions run in
** parallel.  Everything else in the transaction first settles the tail: writes the buffer out and folds the new length
** into the tree.  While a tail is open its length is ahead of the tree's.
** INVARIANTS: bytes [length, limit) of an open tail may be written directly (R1) as long as it is open; what could change that,
** a savepoint, a commit, another write to the region, settles it first.  The buffer holds the last `buffered` bytes of the
** region.
*/
#include "txn/db.h"
#include "base/error.h"

/* What an append touches comes first. */
struct sdb_tail {
  _Atomic uint32_t locked; /* guards the rest but for index, seen_epoch and the list */
  uint32_t index, incarnation;
  uint32_t buffered, capacity;
  bool open;
  uint8_t *buffer;
  uint64_t length, limit; /* limit: region offset up to which may be appended */
  uint64_t start;
  uint64_t settled;    /* length in the tree, while open */
  uint64_t seen_epoch; /* transaction epoch of the last unbuffered append: the second one opens the tail */
  sdb_tail *next_open, *previous_open;
};

/* Tails of few regions stand apart, so that threads that append to them do not share cache lines. */
#define APART_TAILS 64u
#define APART_BYTES 64u

/* ---- the lock: held for a copy of some bytes, or for one write to `data`.  A mutex's two calls cost more than the copy. */

#define SPINS  64u
#define YIELDS 256u

static void tail_wait(sdb_tail *tail) {
  for (unsigned tries = 0; atomic_load_explicit(&tail->locked, memory_order_relaxed); tries++)
    if (tries >= SPINS) sdb_os_give_way(tries - SPINS >= YIELDS);
}

static inline void tail_lock(sdb_tail *tail) {
  if (sdb_os_single_threaded()) { /* nobody else could: no need for a locked instruction */
    atomic_store_explicit(&tail->locked, 1, memory_order_relaxed);
    return;
  }
  while (atomic_exchange_explicit(&tail->locked, 1, memory_order_acquire))
    tail_wait(tail);
}

static inline void tail_unlock(sdb_tail *tail) {
  atomic_store_explicit(&tail->locked, 0, memory_order_release);
}

/* ---- the buffer; tail locked */

static int write_out(sdb_store *store, sdb_tail *tail, const sdb_op *op) {
  if (tail->buffered == 0) return SEQDB_OK;
  uint64_t at = tail->start + tail->length - tail->buffered;
  int rc = sdb_data_write(&store->data, at, tail->buffer, tail->buffered, op);
  if (rc == SEQDB_OK) tail->buffered = 0; /* else they stay: nothing acknowledged is lost, and a retry may work */
  return rc;
}

static void drop_buffer(sdb_store *store, sdb_tail *tail) {
  if (!tail->buffer) return;
  sdb_free(tail->buffer);
  atomic_fetch_sub(&store->buffer_bytes, tail->capacity);
  tail->buffer = NULL;
  tail->buffered = tail->capacity = 0;
}

static int append_open(sdb_store *store, sdb_tail *tail, const uint8_t *data, size_t bytes, const sdb_op *op) {
  int rc = SEQDB_OK;
  bool large = bytes >= SDB_MIN(SDB_BUFFER_BYTES, tail->capacity) /
                            2; /* past the buffer, if there is one, which is written out first */
  if ((large || tail->buffered + bytes > tail->capacity) && (rc = write_out(store, tail, op)) != SEQDB_OK) return rc;
  if (large) {
    rc = sdb_data_write(&store->data, tail->start + tail->length, data, bytes, op);
    if (rc != SEQDB_OK) { /* a full disk: part of it was written */
      pthread_mutex_lock(&store->mutex);
      sdb_space_note_cut(&store->space, tail->index, tail->start, tail->length, tail->length + bytes);
      pthread_mutex_unlock(&store->mutex);
      return rc;
    }
  } else {
    memcpy(tail->buffer + tail->buffered, data, bytes);
    tail->buffered += (uint32_t)bytes;
  }
  tail->length += bytes;
  return SEQDB_OK;
}

/* ---- opening and closing; txn_mutex held */

/* Tails by index: a table of pages that are made when they are needed. */
#define PAGE_TAILS 512u

static sdb_tail **tail_place(seqdb *db, uint32_t index) {
  size_t page = index / PAGE_TAILS;
  return page < db->tail_pages_count && db->tail_pages[page] ? &db->tail_pages[page][index % PAGE_TAILS] : NULL;
}

static sdb_tail *tail_find(seqdb *db, uint32_t index) {
  sdb_tail **place = tail_place(db, index);
  return place ? *place : NULL;
}

/* Make the page for `index`. */
static int page_make(seqdb *db, uint32_t index) {
  size_t page = index / PAGE_TAILS;
  if (page >= db->tail_pages_count) {
    size_t count = SDB_MAX(page + 1, 2 * db->tail_pages_count);
    sdb_tail ***grown = sdb_realloc(db->tail_pages, count * sizeof *grown);
    if (!grown) return SEQDB_NOMEM;
    memset(grown + db->tail_pages_count, 0, (count - db->tail_pages_count) * sizeof *grown);
    db->tail_pages = grown;
    db->tail_pages_count = count;
  }
  /* GCOVR_EXCL_BR_LINE: called for pages that are missing */
  if (!db->tail_pages[page]) db->tail_pages[page] = sdb_calloc(PAGE_TAILS, sizeof **db->tail_pages);
  return db->tail_pages[page] ? SEQDB_OK : SEQDB_NOMEM;
}

static sdb_tail *tail_make(seqdb *db, uint32_t index) {
  sdb_tail *tail = tail_find(db, index);
  if (tail) return tail;
  if (!tail_place(db, index) && page_make(db, index) != SEQDB_OK) return NULL;
  tail = sdb_calloc(1, sizeof *tail + (db->tail_count < APART_TAILS ? APART_BYTES : 0));
  if (!tail) return NULL;
  tail->index = index;
  db->tail_count++;
  *tail_place(db, index) = tail;
  return tail;
}

static void link_open(seqdb *db, sdb_tail *tail) {
  tail->previous_open = NULL;
  tail->next_open = db->txn.open_tails;
  if (tail->next_open)
    tail->next_open->previous_open = tail;
  else
    db->txn.oldest_tail = tail;
  db->txn.open_tails = tail;
}

static void unlink_open(seqdb *db, sdb_tail *tail) {
  if (tail->previous_open)
    tail->previous_open->next_open = tail->next_open;
  else
    db->txn.open_tails = tail->next_open;
  if (tail->next_open)
    tail->next_open->previous_open = tail->previous_open;
  else
    db->txn.oldest_tail = tail->previous_open;
}

/* Write out, fold into the tree, close.  On error the tail stays open and nothing is lost. */
static int settle(seqdb *db, sdb_tail *tail, const sdb_op *op) {
  int rc = SEQDB_OK;
  tail_lock(tail);
  if (tail->open) {
    rc = write_out(db->store, tail, op);
    if (rc == SEQDB_OK && tail->length > tail->settled) {
      sdb_entry entry = *sdb_tree_get(&db->txn.tree, tail->index);
      assert(entry.start == tail->start && entry.length == tail->settled);
      entry.length = tail->length;
      if (sdb_range_add(&db->txn.direct, tail->start + tail->settled, tail->length - tail->settled) != SEQDB_OK)
        rc = sdb_error_nomem(op);
      bool mark_failed = db->txn.mark_failed; /* these bytes are older: see sdb_tails_stop() */
      if (rc == SEQDB_OK) rc = sdb_write_put(db, tail->index, &entry, op);
      db->txn.mark_failed = mark_failed;
    }
    if (rc == SEQDB_OK) {
      tail->open = false;
      drop_buffer(db->store, tail);
      unlink_open(db, tail);
    }
  }
  tail_unlock(tail);
  return rc;
}

int sdb_tails_settle(seqdb *db, const sdb_op *op) {
  int rc = SEQDB_OK;
  while (db->txn.open_tails && rc == SEQDB_OK)
    rc = settle(db, db->txn.open_tails, op);
  return rc;
}

int sdb_tail_settle(seqdb *db, uint32_t index, const sdb_op *op) {
  if (!db->txn.open_tails) return SEQDB_OK;
  sdb_tail *tail = tail_find(db, index);
  return tail ? settle(db, tail, op) : SEQDB_OK;
}

uint64_t sdb_tails_bytes(seqdb *db) {
  uint64_t bytes = 0;
  for (sdb_tail *tail = db->txn.open_tails; tail; tail = tail->next_open) {
    tail_lock(tail);
    bytes += tail->length - tail->settled;
    tail_unlock(tail);
  }
  return bytes;
}

void sdb_tails_stop(seqdb *db) {
  for (sdb_tail *tail = db->txn.open_tails; tail; tail = tail->next_open) {
    tail_lock(tail);
    tail->limit = tail->length;
    tail_unlock(tail);
  }
}

void sdb_tails_discard(seqdb *db) {
  for (sdb_tail *tail; (tail = db->txn.open_tails) != NULL;) {
    tail_lock(tail);
    pthread_mutex_lock(&db->store->mutex);
    sdb_space_note_cut(&db->store->space, tail->index, tail->start, tail->settled, tail->length);
    pthread_mutex_unlock(&db->store->mutex);
    tail->open = false;
    drop_buffer(db->store, tail);
    unlink_open(db, tail);
    tail_unlock(tail);
  }
}

void sdb_tails_free(seqdb *db) {
  assert(!db->txn.open_tails);
  for (size_t page = 0; page < db->tail_pages_count; page++) {
    for (unsigned i = 0; db->tail_pages[page] && i < PAGE_TAILS; i++)
      sdb_free(db->tail_pages[page][i]);
    sdb_free(db->tail_pages[page]);
  }
  sdb_free(db->tail_pages);
}

/* The fuller the store's budget for buffers, the smaller new ones are: a few regions get large ones, and two thousand that are
** appended to in turns still each a small one. */
static uint32_t buffer_size(uint64_t used_bytes) {
  if (used_bytes < SDB_BUFFERS_MAX_BYTES / 2) return SDB_BUFFER_LARGE_BYTES;
  if (used_bytes < SDB_BUFFERS_MAX_BYTES / 4 * 3) return SDB_BUFFER_BYTES;
  return used_bytes < SDB_BUFFERS_MAX_BYTES / 8 * 7 ? SDB_BUFFER_BYTES / 8 : SDB_BUFFER_BYTES / 64;
}

/* When the budget is spent, the oldest open tail of this handle gives its own up. */
static uint8_t *buffer_get(seqdb *db, uint32_t *capacity) {
  sdb_store *store = db->store;
  uint32_t want = buffer_size(atomic_load(&store->buffer_bytes));
  *capacity = 0;
  /* GCOVR_EXCL_BR_LINE: open tails have spent the budget: there is one */
  if (atomic_fetch_add(&store->buffer_bytes, want) + want > SDB_BUFFERS_MAX_BYTES &&
      (!db->txn.oldest_tail || settle(db, db->txn.oldest_tail, &sdb_unheard) != SEQDB_OK)) {
    atomic_fetch_sub(&store->buffer_bytes, want);
    return NULL;
  }
  uint8_t *buffer = sdb_malloc(want);
  if (buffer)
    *capacity = want;
  else
    atomic_fetch_sub(&store->buffer_bytes, want);
  return buffer;
}

/* Open the tail with room for at least `bytes` more, if those may be written directly.  *opened tells. */
static int tail_open(seqdb *db, sdb_tail *tail, seqdb_region region, size_t bytes, bool *opened, const sdb_op *op) {
  sdb_store *store = db->store;
  sdb_range pin;
  *opened = false;
  uint64_t length = sdb_tree_get(&db->txn.tree, tail->index)->length;
  int rc = sdb_write_reserve(db, tail->index, length + bytes, false, op);
  if (rc != SEQDB_OK) return rc;
  sdb_entry entry = *sdb_tree_get(&db->txn.tree, tail->index);
  pthread_mutex_lock(&store->mutex);
  bool visible = sdb_space_visible_bytes(&store->space, tail->index, entry.start) > length;
  pthread_mutex_unlock(&store->mutex);
  uint64_t limit = entry.reserved;
  if (sdb_range_overlap(&store->space.redo, entry.start + length, limit - length, &pin))
    limit = pin.start - entry.start;
  if (visible || limit < length + bytes) return SEQDB_OK;
  /* GCOVR_EXCL_BR_LINE: up to the end: splits none */
  if (sdb_patch_remove(&db->txn.patch, entry.start + length, limit - length) != SEQDB_OK) return sdb_error_nomem(op);
  /* The entry counts as changed from now on, also while its new length is only here. */
  if ((rc = sdb_write_put(db, tail->index, &entry, op)) != SEQDB_OK) return rc;
  uint32_t capacity = 0;
  uint8_t *buffer = bytes < SDB_BUFFER_BYTES / 2 ? buffer_get(db, &capacity) : NULL;
  tail_lock(tail);
  assert(!tail->open);
  tail->incarnation = (uint32_t)(region >> 32);
  tail->start = entry.start;
  tail->length = tail->settled = length;
  tail->limit = limit;
  tail->buffer = buffer;
  tail->capacity = capacity;
  tail->buffered = 0;
  tail->open = true;
  link_open(db, tail);
  tail_unlock(tail);
  atomic_store_explicit(&db->tail_cache[tail->index % SDB_TAIL_CACHE], tail, memory_order_release);
  *opened = true;
  return SEQDB_OK;
}

/* ---- appending */

/* The way of nearly every append, so not a call in it. */
#if defined(__GNUC__)
#define ALWAYS_INLINE inline __attribute__((always_inline))
#else
#define ALWAYS_INLINE inline
#endif

/* memcpy() of what records mostly are, without a call: whole 16 bytes, the last ones overlapping. */
static ALWAYS_INLINE void copy_record(uint8_t *to, const uint8_t *from, size_t bytes) {
  if (bytes < 16 || bytes > 128) {
    memcpy(to, from, bytes);
    return;
  }
  for (size_t at = 0; at < bytes - 16; at += 16)
    memcpy(to + at, from + at, 16);
  memcpy(to + bytes - 16, from + bytes - 16, 16);
}

/* true: done (or failed) here.  Small appends need the buffer; a tail without one takes large ones only. */
static ALWAYS_INLINE bool append_to(seqdb *db, sdb_tail *tail, seqdb_region region, const void *data, size_t bytes,
                                    uint64_t *offset, int *rc, const sdb_op *op) {
  bool done = false;
  tail_lock(tail);
  if (tail->open && tail->incarnation == (uint32_t)(region >> 32) && bytes <= tail->limit - tail->length &&
      (tail->buffer || bytes >= SDB_BUFFER_BYTES / 2)) {
    uint64_t at = tail->length;
    if (bytes < SDB_BUFFER_BYTES / 2 && tail->buffered + bytes <= tail->capacity) { /* as append_open() */
      copy_record(tail->buffer + tail->buffered, data, bytes);
      tail->buffered += (uint32_t)bytes;
      tail->length += bytes;
    } else {
      *rc = append_open(db->store, tail, data, bytes, op);
    }
    if (*rc == SEQDB_OK && offset) *offset = at;
    done = true;
  }
  tail_unlock(tail);
  return done;
}

static bool append_fast(seqdb *db, seqdb_region region, const void *data, size_t bytes, uint64_t *offset, int *rc,
                        const sdb_op *op) {
  uint32_t index = sdb_region_index(region);
  sdb_tail *tail = atomic_load_explicit(&db->tail_cache[index % SDB_TAIL_CACHE], memory_order_acquire);
  return tail && tail->index == index && append_to(db, tail, region, data, bytes, offset, rc, op);
}

static int append_slow(seqdb *db, seqdb_region region, const void *data, size_t bytes, uint64_t *offset,
                       const sdb_op *op) {
  uint32_t index;
  bool opened = false;
  int rc = sdb_txn_begin(db, op);
  if (rc != SEQDB_OK) return rc;
  if (!sdb_txn_entry(db, region, &index)) return sdb_gone(db, op);
  sdb_tail *tail = tail_find(db, index);
  if (tail && tail->open) { /* another region's tail stood in its place of the cache */
    atomic_store_explicit(&db->tail_cache[index % SDB_TAIL_CACHE], tail, memory_order_release);
    if (append_to(db, tail, region, data, bytes, offset, &rc, op)) return rc;
  }
  if ((rc = sdb_tail_settle(db, index, op)) != SEQDB_OK) return rc;
  const sdb_entry *entry = sdb_txn_entry(db, region, &index);
  uint64_t at = entry->length;
  tail = bytes <= UINT64_MAX - at ? tail_make(db, index) : NULL;
  if (tail && tail->seen_epoch == db->txn.epoch) rc = tail_open(db, tail, region, bytes, &opened, op);
  if (rc != SEQDB_OK) return rc;
  if (tail && bytes) tail->seen_epoch = db->txn.epoch; /* so a tail is opened after a change only */
  if (opened) {
    tail_lock(tail); /* another thread may append first */
    at = tail->length;
    if (bytes <= tail->limit - tail->length) /* GCOVR_EXCL_BR_LINE: another thread */
      rc = append_open(db->store, tail, data, bytes, op);
    else
      opened = false;
    tail_unlock(tail);
    /* GCOVR_EXCL_BR_LINE: another thread came in between */
    if (!opened) return append_slow(db, region, data, bytes, offset, op);
  } else {
    rc = sdb_write(db, index, at, data, bytes, op);
  }
  if (rc == SEQDB_OK && offset) *offset = at;
  return rc;
}

int seqdb_append(seqdb *db, seqdb_region region, const void *data, size_t bytes, uint64_t *offset) {
  seqdb_error error;
  sdb_op op = {"append", &error};
  int rc = SEQDB_OK;
  if (sdb_os_fork_count() == db->store->fork_count && append_fast(db, region, data, bytes, offset, &rc, &op))
    return rc == SEQDB_OK ? rc : sdb_fail(db, rc, &op);
  if ((rc = sdb_usable(db, &op)) == SEQDB_OK) {
    pthread_mutex_lock(&db->txn_mutex);
    rc = append_slow(db, region, data, bytes, offset, &op);
    if (rc != SEQDB_OK) sdb_txn_let_go(db);
    pthread_mutex_unlock(&db->txn_mutex);
  }
  return sdb_fail(db, rc, &op);
}
