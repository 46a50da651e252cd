/* SPDX-License-Identifier: MIT
**
** slot.c: appending (R2): the fast path, and the only one that does not take the transaction's mutex.
**
** A region that is appended to more than once in a transaction gets an open slot: its end, how far it may be written
** directly, and a buffer.  An append then costs one lock of its own and a copy; appends to different regions run in
** parallel.  Everything else in the transaction first settles the slot: writes the buffer out and folds the new length
** into the tree.  While a slot is open its length is ahead of the tree's.
** INVARIANTS: bytes [length, limit) of an open slot may be written directly (R1) as long as it is open; what could change that,
** a savepoint, a commit, another write to the region, settles it first.  The buffer holds the last `buffered` bytes of the
** region.
*/
#include "breaks.h"
#include "db.h"
#include "error.h"

/* What an append touches comes first. */
struct sdb_slot {
  _Atomic uint32_t locked; /* guards the rest but for index, seen_epoch and the list */
  uint32_t index, incarnation;
  uint32_t buffered, capacity;
  bool open;
  uint8_t *buffer;
  uint64_t length, limit; /* limit: region offset up to which may be appended */
  uint64_t start;
  uint64_t settled;    /* length in the tree, while open */
  uint64_t seen_epoch; /* transaction epoch of the last unbuffered append: the second one opens the slot */
  sdb_slot *next_open, *previous_open;
};

/* Slots of few regions stand apart, so that threads that append to them do not share cache lines. */
#define APART_SLOTS 64u
#define APART_BYTES 64u

/* ---- the lock: held for a copy of some bytes, or for one write to `data`.  A mutex's two calls cost more than the copy. */

#define SPINS  64u
#define YIELDS 256u

static void slot_wait(sdb_slot *slot) {
  for (unsigned tries = 0; atomic_load_explicit(&slot->locked, memory_order_relaxed); tries++)
    if (tries >= SPINS) sdb_os_give_way(tries - SPINS >= YIELDS);
}

static inline void slot_lock(sdb_slot *slot) {
  if (sdb_os_single_threaded()) { /* nobody else could: no need for a locked instruction */
    atomic_store_explicit(&slot->locked, 1, memory_order_relaxed);
    return;
  }
  while (atomic_exchange_explicit(&slot->locked, 1, memory_order_acquire))
    slot_wait(slot);
}

static inline void slot_unlock(sdb_slot *slot) {
  atomic_store_explicit(&slot->locked, 0, memory_order_release);
}

/* ---- the buffer; slot locked */

static int write_out(sdb_store *store, sdb_slot *slot, const char *operation, seqdb_error *e) {
  if (slot->buffered == 0) return SEQDB_OK;
  uint64_t at = slot->start + slot->length - slot->buffered;
  int rc = sdb_data_write(&store->data, at, slot->buffer, slot->buffered, operation, e);
  if (rc == SEQDB_OK) slot->buffered = 0; /* else they stay: nothing acknowledged is lost, and a retry may work */
  return rc;
}

static void drop_buffer(sdb_store *store, sdb_slot *slot) {
  if (!slot->buffer) return;
  sdb_free(slot->buffer);
  atomic_fetch_sub(&store->buffer_bytes, slot->capacity);
  slot->buffer = NULL;
  slot->buffered = slot->capacity = 0;
}

static int append_open(sdb_store *store, sdb_slot *slot, const uint8_t *data, size_t bytes, seqdb_error *e) {
  int rc = SEQDB_OK;
  bool large = bytes >= SDB_MIN(SDB_BUFFER_BYTES, slot->capacity) /
                            2; /* past the buffer, if there is one, which is written out first */
  if ((large || slot->buffered + bytes > slot->capacity) && (rc = write_out(store, slot, "append", e)) != SEQDB_OK)
    return rc;
  if (large) {
    rc = sdb_data_write(&store->data, slot->start + slot->length, data, bytes, "append", e);
    if (rc != SEQDB_OK) { /* a full disk: part of it was written */
      pthread_mutex_lock(&store->mutex);
      sdb_space_note_cut(&store->space, slot->index, slot->start, slot->length, slot->length + bytes);
      pthread_mutex_unlock(&store->mutex);
      return rc;
    }
  } else {
    memcpy(slot->buffer + slot->buffered, data, bytes);
    slot->buffered += (uint32_t)bytes;
  }
  slot->length += bytes;
  return SEQDB_OK;
}

/* ---- opening and closing; txn_mutex held */

/* Slots by index: a table of pages that are made when they are needed. */
#define PAGE_SLOTS 512u

static sdb_slot **slot_place(seqdb *db, uint32_t index) {
  size_t page = index / PAGE_SLOTS;
  return page < db->slot_pages_count && db->slot_pages[page] ? &db->slot_pages[page][index % PAGE_SLOTS] : NULL;
}

static sdb_slot *slot_find(seqdb *db, uint32_t index) {
  sdb_slot **place = slot_place(db, index);
  return place ? *place : NULL;
}

/* Make the page for `index`. */
static int page_make(seqdb *db, uint32_t index) {
  size_t page = index / PAGE_SLOTS;
  if (page >= db->slot_pages_count) {
    size_t count = SDB_MAX(page + 1, 2 * db->slot_pages_count);
    sdb_slot ***grown = sdb_realloc(db->slot_pages, count * sizeof *grown);
    if (!grown) return SEQDB_NOMEM;
    memset(grown + db->slot_pages_count, 0, (count - db->slot_pages_count) * sizeof *grown);
    db->slot_pages = grown;
    db->slot_pages_count = count;
  }
  /* GCOVR_EXCL_BR_LINE: called for pages that are missing */
  if (!db->slot_pages[page]) db->slot_pages[page] = sdb_calloc(PAGE_SLOTS, sizeof **db->slot_pages);
  return db->slot_pages[page] ? SEQDB_OK : SEQDB_NOMEM;
}

static sdb_slot *slot_make(seqdb *db, uint32_t index) {
  sdb_slot *slot = slot_find(db, index);
  if (slot) return slot;
  if (!slot_place(db, index) && page_make(db, index) != SEQDB_OK) return NULL;
  slot = sdb_calloc(1, sizeof *slot + (db->slot_count < APART_SLOTS ? APART_BYTES : 0));
  if (!slot) return NULL;
  slot->index = index;
  db->slot_count++;
  *slot_place(db, index) = slot;
  return slot;
}

static void link_open(seqdb *db, sdb_slot *slot) {
  slot->previous_open = NULL;
  slot->next_open = db->txn.open_slots;
  if (slot->next_open)
    slot->next_open->previous_open = slot;
  else
    db->txn.oldest_slot = slot;
  db->txn.open_slots = slot;
}

static void unlink_open(seqdb *db, sdb_slot *slot) {
  if (slot->previous_open)
    slot->previous_open->next_open = slot->next_open;
  else
    db->txn.open_slots = slot->next_open;
  if (slot->next_open)
    slot->next_open->previous_open = slot->previous_open;
  else
    db->txn.oldest_slot = slot->previous_open;
}

/* Write out, fold into the tree, close.  On error the slot stays open and nothing is lost. */
static int settle(seqdb *db, sdb_slot *slot, seqdb_error *e) {
  int rc = SEQDB_OK;
  slot_lock(slot);
  if (slot->open) {
    rc = write_out(db->store, slot, "append", e);
    if (rc == SEQDB_OK && slot->length > slot->settled) {
      sdb_entry entry = *sdb_tree_get(&db->txn.tree, slot->index);
      assert(entry.start == slot->start && entry.length == slot->settled);
      entry.length = slot->length;
      if (sdb_extent_add(&db->txn.direct, slot->start + slot->settled, slot->length - slot->settled) != SEQDB_OK)
        rc = sdb_error_nomem(e, "append");
      bool mark_failed = db->txn.mark_failed; /* these bytes are older: see sdb_slots_stop() */
      if (rc == SEQDB_OK) rc = sdb_place_put(db, slot->index, &entry, "append", e);
      db->txn.mark_failed = mark_failed;
    }
    if (rc == SEQDB_OK) {
      slot->open = false;
      drop_buffer(db->store, slot);
      unlink_open(db, slot);
    }
  }
  slot_unlock(slot);
  return rc;
}

int sdb_slots_settle(seqdb *db, seqdb_error *e) {
  int rc = SEQDB_OK;
  while (db->txn.open_slots && rc == SEQDB_OK)
    rc = settle(db, db->txn.open_slots, e);
  return rc;
}

int sdb_slot_settle(seqdb *db, uint32_t index, seqdb_error *e) {
  if (!db->txn.open_slots) return SEQDB_OK;
  sdb_slot *slot = slot_find(db, index);
  return slot ? settle(db, slot, e) : SEQDB_OK;
}

uint64_t sdb_slots_bytes(seqdb *db) {
  uint64_t bytes = 0;
  for (sdb_slot *slot = db->txn.open_slots; slot; slot = slot->next_open) {
    slot_lock(slot);
    bytes += slot->length - slot->settled;
    slot_unlock(slot);
  }
  return bytes;
}

void sdb_slots_stop(seqdb *db) {
  for (sdb_slot *slot = db->txn.open_slots; slot; slot = slot->next_open) {
    slot_lock(slot);
    slot->limit = slot->length;
    slot_unlock(slot);
  }
}

void sdb_slots_discard(seqdb *db) {
  for (sdb_slot *slot; (slot = db->txn.open_slots) != NULL;) {
    slot_lock(slot);
    pthread_mutex_lock(&db->store->mutex);
    sdb_space_note_cut(&db->store->space, slot->index, slot->start, slot->settled, slot->length);
    pthread_mutex_unlock(&db->store->mutex);
    slot->open = false;
    drop_buffer(db->store, slot);
    unlink_open(db, slot);
    slot_unlock(slot);
  }
}

void sdb_slots_free(seqdb *db) {
  assert(!db->txn.open_slots);
  for (size_t page = 0; page < db->slot_pages_count; page++) {
    for (unsigned i = 0; db->slot_pages[page] && i < PAGE_SLOTS; i++)
      sdb_free(db->slot_pages[page][i]);
    sdb_free(db->slot_pages[page]);
  }
  sdb_free(db->slot_pages);
}

/* The fuller the store's budget for buffers, the smaller new ones are: a few regions get large ones, and two thousand that are
** appended to in turns still each a small one. */
static uint32_t buffer_size(uint64_t used_bytes) {
  if (used_bytes < SDB_BUFFERS_MAX_BYTES / 2) return SDB_BUFFER_LARGE_BYTES;
  if (used_bytes < SDB_BUFFERS_MAX_BYTES / 4 * 3) return SDB_BUFFER_BYTES;
  return used_bytes < SDB_BUFFERS_MAX_BYTES / 8 * 7 ? SDB_BUFFER_BYTES / 8 : SDB_BUFFER_BYTES / 64;
}

/* When the budget is spent, the oldest open slot of this handle gives its own up. */
static uint8_t *buffer_get(seqdb *db, uint32_t *capacity) {
  sdb_store *store = db->store;
  seqdb_error ignored;
  uint32_t want = buffer_size(atomic_load(&store->buffer_bytes));
  *capacity = 0;
  /* GCOVR_EXCL_BR_LINE: open slots have spent the budget: there is one */
  if (atomic_fetch_add(&store->buffer_bytes, want) + want > SDB_BUFFERS_MAX_BYTES &&
      (!db->txn.oldest_slot || settle(db, db->txn.oldest_slot, &ignored) != SEQDB_OK)) {
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

/* Open the slot with room for at least `bytes` more, if those may be written directly.  *opened tells. */
static int slot_open(seqdb *db, sdb_slot *slot, seqdb_region region, size_t bytes, bool *opened, seqdb_error *e) {
  sdb_store *store = db->store;
  sdb_extent pin;
  *opened = false;
  uint64_t length = sdb_tree_get(&db->txn.tree, slot->index)->length;
  int rc = sdb_place_reserve(db, slot->index, length + bytes, false, "append", e);
  if (rc != SEQDB_OK) return rc;
  sdb_entry entry = *sdb_tree_get(&db->txn.tree, slot->index);
  pthread_mutex_lock(&store->mutex);
  bool visible = sdb_space_visible_bytes(&store->space, slot->index, entry.start) > length;
  pthread_mutex_unlock(&store->mutex);
  uint64_t limit = entry.reserved;
  if (!sdb_break(SDB_RULE_REDO_DIRECT) &&
      sdb_extent_overlap(&store->space.redo, entry.start + length, limit - length, &pin))
    limit = pin.start - entry.start;
  if (visible || limit < length + bytes) return SEQDB_OK;
  /* GCOVR_EXCL_BR_LINE: up to the end: splits none */
  if (sdb_patch_remove(&db->txn.patch, entry.start + length, limit - length) != SEQDB_OK)
    return sdb_error_nomem(e, "append");
  /* The entry counts as changed from now on, also while its new length is only here. */
  if ((rc = sdb_place_put(db, slot->index, &entry, "append", e)) != SEQDB_OK) return rc;
  uint32_t capacity = 0;
  uint8_t *buffer = bytes < SDB_BUFFER_BYTES / 2 ? buffer_get(db, &capacity) : NULL;
  slot_lock(slot);
  assert(!slot->open);
  slot->incarnation = (uint32_t)(region >> 32);
  slot->start = entry.start;
  slot->length = slot->settled = length;
  slot->limit = limit;
  slot->buffer = buffer;
  slot->capacity = capacity;
  slot->buffered = 0;
  slot->open = true;
  link_open(db, slot);
  slot_unlock(slot);
  atomic_store_explicit(&db->slot_cache[slot->index % SDB_SLOT_CACHE], slot, memory_order_release);
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

/* true: done (or failed) here.  Small appends need the buffer; a slot without one takes large ones only. */
static ALWAYS_INLINE bool append_to(seqdb *db, sdb_slot *slot, seqdb_region region, const void *data, size_t bytes,
                                    uint64_t *offset, int *rc, seqdb_error *e) {
  bool done = false;
  slot_lock(slot);
  if (slot->open && slot->incarnation == (uint32_t)(region >> 32) && bytes <= slot->limit - slot->length &&
      (slot->buffer || bytes >= SDB_BUFFER_BYTES / 2)) {
    uint64_t at = slot->length;
    if (bytes < SDB_BUFFER_BYTES / 2 && slot->buffered + bytes <= slot->capacity) { /* as append_open() */
      copy_record(slot->buffer + slot->buffered, data, bytes);
      slot->buffered += (uint32_t)bytes;
      slot->length += bytes;
    } else {
      *rc = append_open(db->store, slot, data, bytes, e);
    }
    if (*rc == SEQDB_OK && offset) *offset = at;
    done = true;
  }
  slot_unlock(slot);
  return done;
}

static bool append_fast(seqdb *db, seqdb_region region, const void *data, size_t bytes, uint64_t *offset, int *rc,
                        seqdb_error *e) {
  uint32_t index = sdb_region_index(region);
  sdb_slot *slot = atomic_load_explicit(&db->slot_cache[index % SDB_SLOT_CACHE], memory_order_acquire);
  return slot && slot->index == index && append_to(db, slot, region, data, bytes, offset, rc, e);
}

static int append_slow(seqdb *db, seqdb_region region, const void *data, size_t bytes, uint64_t *offset,
                       seqdb_error *e) {
  uint32_t index;
  bool opened = false;
  int rc = sdb_txn_begin(db, "append", e);
  if (rc != SEQDB_OK) return rc;
  if (!sdb_txn_entry(db, region, &index)) return sdb_gone(db, "append", e);
  sdb_slot *slot = slot_find(db, index);
  if (slot && slot->open) { /* another region's slot stood in its place of the cache */
    atomic_store_explicit(&db->slot_cache[index % SDB_SLOT_CACHE], slot, memory_order_release);
    if (append_to(db, slot, region, data, bytes, offset, &rc, e)) return rc;
  }
  if ((rc = sdb_slot_settle(db, index, e)) != SEQDB_OK) return rc;
  const sdb_entry *entry = sdb_txn_entry(db, region, &index);
  uint64_t at = entry->length;
  slot = bytes <= UINT64_MAX - at ? slot_make(db, index) : NULL;
  if (slot && slot->seen_epoch == db->txn.epoch) rc = slot_open(db, slot, region, bytes, &opened, e);
  if (rc != SEQDB_OK) return rc;
  if (slot && bytes) slot->seen_epoch = db->txn.epoch; /* so a slot is opened after a change only */
  if (opened) {
    slot_lock(slot); /* another thread may append first */
    at = slot->length;
    if (bytes <= slot->limit - slot->length) /* GCOVR_EXCL_BR_LINE: another thread */
      rc = append_open(db->store, slot, data, bytes, e);
    else
      opened = false;
    slot_unlock(slot);
    /* GCOVR_EXCL_BR_LINE: another thread came in between */
    if (!opened) return append_slow(db, region, data, bytes, offset, e);
  } else {
    rc = sdb_place(db, index, at, data, bytes, "append", e);
  }
  if (rc == SEQDB_OK && offset) *offset = at;
  return rc;
}

int seqdb_append(seqdb *db, seqdb_region region, const void *data, size_t bytes, uint64_t *offset) {
  seqdb_error e;
  int rc = SEQDB_OK;
  if (sdb_os_fork_count() == db->store->fork_count && append_fast(db, region, data, bytes, offset, &rc, &e))
    return rc == SEQDB_OK ? rc : sdb_fail(db, rc, &e);
  if ((rc = sdb_usable(db, "append", &e)) == SEQDB_OK) {
    pthread_mutex_lock(&db->txn_mutex);
    rc = append_slow(db, region, data, bytes, offset, &e);
    if (rc != SEQDB_OK) sdb_txn_let_go(db);
    pthread_mutex_unlock(&db->txn_mutex);
  }
  return sdb_fail(db, rc, &e);
}
