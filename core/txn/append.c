/* SPDX-License-Identifier: MIT
**
** append.c: see append.h.
**
** The fast path takes a lock of its own and copies: it is the only change that does without txn_mutex, so appends to
** different regions run in parallel.  The slow path opens the tail at the second append of a transaction to the region.
** INVARIANTS: bytes [length, limit) of an open tail may be written directly (R1) as long as it is open.  What could
** change that, a savepoint, a commit, another write to the region, settles it first.
*/
#include "txn/append.h"

#include "base/check.h"
#include "os/os.h"
#include "txn/begin.h"
#include "txn/write.h"

#define BUFFER_BYTES       65536u               /* of one tail ... */
#define BUFFER_LARGE_BYTES 262144u              /* ... while few are in use */
#define BUFFERS_MAX_BYTES  ((uint64_t)15 << 20) /* of all tails of a store */
#define SMALL_BYTES        (BUFFER_BYTES / 2)   /* appends below this are buffered */

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

/* ---- the lock: held for a copy of some bytes, or for one write to `data`.  A mutex would cost more than the copy. */

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

/* Where the disk is full the buffer becomes a patch: it can be read and rolled back like any other, and the commit says
** whether there is room. */
static int write_or_keep(seqdb *db, sdb_tail *tail, const sdb_op *op) {
  int rc = write_out(db->store, tail, op);
  if (rc != SEQDB_FULL) return rc;
  uint64_t at = tail->start + tail->length - tail->buffered;
  if (sdb_patch_write(&db->txn.patch, at, tail->buffer, tail->buffered) != SEQDB_OK) return rc;
  tail->buffered = 0;
  return SEQDB_OK;
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
  bool large = bytes >= SDB_MIN(BUFFER_BYTES, tail->capacity) / 2; /* past the buffer, which is written out first */
  if ((large || tail->buffered + bytes > tail->capacity) && (rc = write_out(store, tail, op)) != SEQDB_OK) return rc;
  if (large) {
    rc = sdb_data_write(&store->data, tail->start + tail->length, data, bytes, op);
    if (rc != SEQDB_OK) { /* a full disk: part of it was written */
      sdb_store_note_cut(store, tail->index, tail->start, tail->length, tail->length + bytes);
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

static sdb_tail **tail_at(seqdb *db, uint32_t index) {
  size_t page = index / PAGE_TAILS;
  return page < db->tail_pages_count && db->tail_pages[page] ? &db->tail_pages[page][index % PAGE_TAILS] : NULL;
}

static sdb_tail *tail_find(seqdb *db, uint32_t index) {
  sdb_tail **at = tail_at(db, index);
  return at ? *at : NULL;
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
  if (SDB_ALWAYS(!db->tail_pages[page])) db->tail_pages[page] = sdb_calloc(PAGE_TAILS, sizeof **db->tail_pages);
  return db->tail_pages[page] ? SEQDB_OK : SEQDB_NOMEM;
}

static sdb_tail *tail_make(seqdb *db, uint32_t index) {
  sdb_tail *tail = tail_find(db, index);
  if (tail) return tail;
  if (!tail_at(db, index) && page_make(db, index) != SEQDB_OK) return NULL;
  tail = sdb_calloc(1, sizeof *tail + (db->tail_count < APART_TAILS ? APART_BYTES : 0));
  if (!tail) return NULL;
  tail->index = index;
  db->tail_count++;
  *tail_at(db, index) = tail;
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

/* Tell the tree how long the region has become.  These bytes are older than a savepoint that could not be set since: so
** this is no change in the sense of sdb_txn_set_changing(), which opening the tail was. */
static int tell_tree(seqdb *db, const sdb_tail *tail, const sdb_op *op) {
  sdb_entry entry = *sdb_tree_get(&db->txn.tree, tail->index);
  if (tail->length == tail->settled) return SEQDB_OK;
  assert(entry.start == tail->start && entry.length == tail->settled);
  entry.length = tail->length;
  if (sdb_range_add(&db->txn.direct, tail->start + tail->settled, tail->length - tail->settled) != SEQDB_OK)
    return sdb_error_nomem(op);
  return sdb_txn_put(db, tail->index, &entry, op);
}

static void close_tail(seqdb *db, sdb_tail *tail) {
  tail->open = false;
  drop_buffer(db->store, tail);
  unlink_open(db, tail);
}

static int settle(seqdb *db, sdb_tail *tail, const sdb_op *op) {
  int rc = SEQDB_OK;
  tail_lock(tail);
  if (tail->open) {
    rc = write_or_keep(db, tail, op);
    if (rc == SEQDB_OK) rc = tell_tree(db, tail, op);
    if (rc == SEQDB_OK) close_tail(db, tail);
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
    sdb_store_note_cut(db->store, tail->index, tail->start, tail->settled, tail->length);
    close_tail(db, tail);
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

/* The fuller the store's budget for buffers, the smaller new ones are: a few regions get large ones, and two thousand
** that are appended to in turns still each a small one. */
static uint32_t buffer_size(uint64_t used_bytes) {
  if (used_bytes < BUFFERS_MAX_BYTES / 2) return BUFFER_LARGE_BYTES;
  if (used_bytes < BUFFERS_MAX_BYTES / 4 * 3) return BUFFER_BYTES;
  return used_bytes < BUFFERS_MAX_BYTES / 8 * 7 ? BUFFER_BYTES / 8 : BUFFER_BYTES / 64;
}

/* When the budget is spent, the oldest open tail of this handle gives its own up.  NULL: none is to be had. */
static uint8_t *buffer_get(seqdb *db, uint32_t *capacity) {
  sdb_store *store = db->store;
  uint32_t want = buffer_size(atomic_load(&store->buffer_bytes));
  bool spent = atomic_fetch_add(&store->buffer_bytes, want) + want > BUFFERS_MAX_BYTES;
  bool may = !spent || (db->txn.oldest_tail && settle(db, db->txn.oldest_tail, &sdb_unheard) == SEQDB_OK);
  uint8_t *buffer = may ? sdb_malloc(want) : NULL;
  *capacity = buffer ? want : 0;
  if (!buffer) atomic_fetch_sub(&store->buffer_bytes, want);
  return buffer;
}

/* How far the region may be written directly from its length on; 0 if not at all. */
static uint64_t direct_limit(sdb_store *store, uint32_t index, const sdb_entry *entry) {
  sdb_range held;
  if (sdb_store_visible_bytes(store, index, entry->start) > entry->length) return 0;
  if (!sdb_range_overlap(&store->space.redo, entry->start + entry->length, entry->reserved - entry->length, &held))
    return entry->reserved;
  return held.start - entry->start;
}

/* Open the tail with room for at least `bytes` more, if those may be written directly.  *opened tells. */
static int tail_open(seqdb *db, sdb_tail *tail, size_t bytes, bool *opened, const sdb_op *op) {
  sdb_change change = {db, tail->index, op};
  *opened = false;
  uint64_t length = sdb_tree_get(&db->txn.tree, tail->index)->length;
  int rc = sdb_write_reserve(&change, length + bytes, false);
  if (rc != SEQDB_OK) return rc;
  sdb_entry entry = *sdb_tree_get(&db->txn.tree, tail->index);
  uint64_t limit = direct_limit(db->store, tail->index, &entry);
  if (limit < length + bytes) return SEQDB_OK;
  if (sdb_patch_remove(&db->txn.patch, entry.start + length, limit - length) != SEQDB_OK) return sdb_error_nomem(op);
  /* The entry counts as changed from now on, also while its new length is only here. */
  if ((rc = sdb_write_put(&change, &entry)) != SEQDB_OK) return rc;
  uint32_t capacity = 0;
  uint8_t *buffer = bytes < SMALL_BYTES ? buffer_get(db, &capacity) : NULL;
  tail_lock(tail);
  assert(!tail->open);
  tail->incarnation = entry.incarnation;
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

/* What one call appends, and where it went. */
struct append {
  seqdb *db;
  seqdb_region region;
  const void *data;
  size_t bytes;
  uint64_t at; /* region offset */
  const sdb_op *op;
};

/* true: done (or failed, *rc) here.  Small appends need the buffer; a tail without one takes large ones only. */
static ALWAYS_INLINE bool append_to(struct append *a, sdb_tail *tail, int *rc) {
  bool done = false;
  tail_lock(tail);
  if (tail->open && tail->incarnation == (uint32_t)(a->region >> 32) && a->bytes <= tail->limit - tail->length &&
      (tail->buffer || a->bytes >= SMALL_BYTES)) {
    a->at = tail->length;
    if (a->bytes < SMALL_BYTES && tail->buffered + a->bytes <= tail->capacity) { /* as append_open() */
      copy_record(tail->buffer + tail->buffered, a->data, a->bytes);
      tail->buffered += (uint32_t)a->bytes;
      tail->length += a->bytes;
    } else {
      *rc = append_open(a->db->store, tail, a->data, a->bytes, a->op);
    }
    done = true;
  }
  tail_unlock(tail);
  return done;
}

static ALWAYS_INLINE bool append_fast(struct append *a, int *rc) {
  uint32_t index = sdb_region_index(a->region);
  sdb_tail *tail = atomic_load_explicit(&a->db->tail_cache[index % SDB_TAIL_CACHE], memory_order_acquire);
  return tail && tail->index == index && append_to(a, tail, rc);
}

/* To a tail that was just opened, unless another thread came first and used its room up: then *done is false. */
static int append_opened(struct append *a, sdb_tail *tail, bool *done) {
  int rc = SEQDB_OK;
  tail_lock(tail);
  a->at = tail->length;
  *done = a->bytes <= tail->limit - tail->length;
  if (*done) rc = append_open(a->db->store, tail, a->data, a->bytes, a->op);
  tail_unlock(tail);
  return rc;
}

/* txn_mutex held. */
static int append_slow(struct append *a) {
  seqdb *db = a->db;
  sdb_change change = {db, 0, a->op};
  bool opened = false, done = true;
  int rc = sdb_txn_begin(db, a->op);
  if (rc != SEQDB_OK) return rc;
  if (!sdb_txn_entry(db, a->region, &change.index)) return sdb_gone(a->op);
  sdb_tail *tail = tail_find(db, change.index);
  if (tail && tail->open) { /* another region's tail stood for it in the cache */
    atomic_store_explicit(&db->tail_cache[change.index % SDB_TAIL_CACHE], tail, memory_order_release);
    if (append_to(a, tail, &rc)) return rc;
  }
  if ((rc = sdb_tail_settle(db, change.index, a->op)) != SEQDB_OK) return rc;
  a->at = sdb_tree_get(&db->txn.tree, change.index)->length;
  tail = a->bytes <= UINT64_MAX - a->at ? tail_make(db, change.index) : NULL;
  if (tail && tail->seen_epoch == db->txn.epoch) rc = tail_open(db, tail, a->bytes, &opened, a->op);
  if (rc != SEQDB_OK) return rc;
  if (tail && a->bytes) tail->seen_epoch = db->txn.epoch; /* so a tail is opened after a change only */
  if (!opened) return sdb_write(&change, a->at, a->data, a->bytes);
  rc = append_opened(a, tail, &done);
  return done ? rc : append_slow(a);
}

static int append_locked(struct append *a, uint64_t *offset) {
  int rc = sdb_enter(a->db, a->op);
  if (rc != SEQDB_OK) return rc;
  rc = append_slow(a);
  if (rc == SEQDB_OK && offset) *offset = a->at;
  return sdb_txn_leave(a->db, rc, a->op);
}

int seqdb_append(seqdb *db, seqdb_region region, const void *data, size_t bytes, uint64_t *offset) {
  seqdb_error error;
  sdb_op op = {"append", &error};
  struct append fast = {db, region, data, bytes, 0, &op}; /* its address stays here: it lives in registers */
  int rc = SEQDB_OK;
  if (sdb_os_fork_count() == db->store->fork_count && append_fast(&fast, &rc)) {
    if (rc == SEQDB_OK && offset) *offset = fast.at;
    return rc == SEQDB_OK ? rc : sdb_fail(db, rc, &op);
  }
  struct append slow = {db, region, data, bytes, 0, &op};
  return append_locked(&slow, offset);
}
