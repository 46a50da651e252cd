/* SPDX-License-Identifier: MIT
**
** slot.c: appending (R2): the fast path, and the only one that does not take the transaction's mutex.
**
** A region that is appended to more than once in a transaction gets an open slot: its end, how far it may be written
** directly, and a buffer.  An append then costs one mutex of its own and a copy; appends to different regions run in
** parallel.  Everything else in the transaction first settles the slot: writes the buffer out and folds the new length
** into the tree.  While a slot is open its length is ahead of the tree's.
** INVARIANT: bytes [length, limit) of an open slot may be written directly (R1) as long as it is open; what could change that,
** a savepoint, a commit, another write to the region, settles it first.
*/
#include "breaks.h"
#include "db.h"
#include "error.h"

#define uthash_malloc(bytes)         sdb_malloc(bytes)
#define uthash_free(memory, bytes)   sdb_free(memory)
#define HASH_NONFATAL_OOM            1
#define uthash_nonfatal_oom(element) ((void)((element)->in_table = false))
#include <uthash.h>

struct sdb_slot {
  pthread_mutex_t mutex;
  UT_hash_handle hh;
  uint32_t index, incarnation;
  bool in_table;
  bool open;
  uint64_t seen_epoch;           /* transaction epoch of the last unbuffered append: the second one opens the slot */
  uint64_t start, length, limit; /* limit: region offset up to which may be appended */
  uint64_t settled;              /* length in the tree, while open */
  uint64_t buffer_at;            /* region offset of the buffer's first byte */
  size_t buffered, capacity;
  uint8_t *buffer;
  sdb_slot *next_open, *previous_open;
};

/* ---- the buffer; slot->mutex held */

static int write_out(sdb_store *store, sdb_slot *slot, const char *operation, seqdb_error *e) {
  if (slot->buffered == 0) return SEQDB_OK;
  int rc = sdb_data_write(&store->data, slot->start + slot->buffer_at, slot->buffer, slot->buffered, operation, e);
  if (rc != SEQDB_OK) return rc; /* they stay buffered: nothing acknowledged is lost, and a retry may work */
  slot->buffer_at += slot->buffered;
  slot->buffered = 0;
  return SEQDB_OK;
}

static void drop_buffer(sdb_store *store, sdb_slot *slot) {
  if (!slot->buffer) return;
  sdb_free(slot->buffer);
  slot->buffer = NULL;
  slot->buffered = 0;
  atomic_fetch_sub(&store->buffer_bytes, slot->capacity);
}

static int append_open(sdb_store *store, sdb_slot *slot, const uint8_t *data, size_t bytes, seqdb_error *e) {
  int rc = SEQDB_OK;
  if (slot->buffered + bytes > slot->capacity && (rc = write_out(store, slot, "append", e)) != SEQDB_OK) return rc;
  if (bytes >= SDB_BUFFER_BYTES / 2 ||
      !slot->buffer) { /* large: past the buffer, which is empty now or written out first */
    if ((rc = write_out(store, slot, "append", e)) != SEQDB_OK) return rc;
    if ((rc = sdb_data_write(&store->data, slot->start + slot->length, data, bytes, "append", e)) != SEQDB_OK)
      return rc;
    slot->buffer_at = slot->length + bytes;
  } else {
    memcpy(slot->buffer + slot->buffered, data, bytes);
    slot->buffered += bytes;
  }
  slot->length += bytes;
  return SEQDB_OK;
}

/* ---- opening and closing; txn_mutex held */

static sdb_slot *slot_find(seqdb *db, uint32_t index) {
  sdb_slot *slot;
  HASH_FIND(hh, db->slots, &index, sizeof index, slot);
  return slot;
}

static sdb_slot *slot_make(seqdb *db, uint32_t index) {
  sdb_slot *slot = slot_find(db, index);
  if (slot) return slot;
  slot = sdb_calloc(1, sizeof *slot);
  if (!slot) return NULL;
  slot->index = index;
  slot->in_table = true;
  HASH_ADD(hh, db->slots, index, sizeof index, slot);
  if (!slot->in_table) {
    sdb_free(slot);
    return NULL;
  }
  pthread_mutex_init(&slot->mutex, NULL);
  return slot;
}

static void link_open(seqdb *db, sdb_slot *slot) {
  slot->previous_open = NULL;
  slot->next_open = db->txn.open_slots;
  if (slot->next_open) slot->next_open->previous_open = slot;
  db->txn.open_slots = slot;
}

static void unlink_open(seqdb *db, sdb_slot *slot) {
  if (slot->previous_open)
    slot->previous_open->next_open = slot->next_open;
  else
    db->txn.open_slots = slot->next_open;
  if (slot->next_open) slot->next_open->previous_open = slot->previous_open;
}

/* Write out, fold into the tree, close.  On error the slot stays open and nothing is lost. */
static int settle(seqdb *db, sdb_slot *slot, seqdb_error *e) {
  int rc = SEQDB_OK;
  pthread_mutex_lock(&slot->mutex);
  if (slot->open) {
    rc = write_out(db->store, slot, "append", e);
    if (rc == SEQDB_OK && slot->length > slot->settled) {
      sdb_entry entry = *sdb_tree_get(&db->txn.tree, slot->index);
      assert(entry.start == slot->start && entry.length == slot->settled);
      entry.length = slot->length;
      if (sdb_extent_add(&db->txn.direct, slot->start + slot->settled, slot->length - slot->settled) != SEQDB_OK)
        rc = sdb_error_nomem(e, "append");
      if (rc == SEQDB_OK) rc = sdb_place_put(db, slot->index, &entry, "append", e);
    }
    if (rc == SEQDB_OK) {
      slot->open = false;
      drop_buffer(db->store, slot);
      unlink_open(db, slot);
    }
  }
  pthread_mutex_unlock(&slot->mutex);
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

void sdb_slots_discard(seqdb *db) {
  for (sdb_slot *slot; (slot = db->txn.open_slots) != NULL;) {
    pthread_mutex_lock(&slot->mutex);
    pthread_mutex_lock(&db->store->mutex);
    sdb_space_note_cut(&db->store->space, slot->index, slot->start, slot->settled, slot->length);
    pthread_mutex_unlock(&db->store->mutex);
    slot->open = false;
    drop_buffer(db->store, slot);
    unlink_open(db, slot);
    pthread_mutex_unlock(&slot->mutex);
  }
}

void sdb_slots_free(seqdb *db) {
  sdb_slot *slot, *next;
  assert(!db->txn.open_slots);
  HASH_ITER(hh, db->slots, slot, next) {
    HASH_DEL(db->slots, slot);
    pthread_mutex_destroy(&slot->mutex);
    sdb_free(slot);
  }
}

/* A buffer of the store's budget: large while few regions are appended to, small while many are.  When the budget is spent,
** the oldest open slot of this handle gives its own up. */
static uint8_t *buffer_get(seqdb *db, size_t *capacity) {
  sdb_store *store = db->store;
  uint64_t used = atomic_load(&store->buffer_bytes);
  size_t want = used < SDB_BUFFERS_MAX_BYTES / 2 ? SDB_BUFFER_LARGE_BYTES : SDB_BUFFER_BYTES;
  if (atomic_fetch_add(&store->buffer_bytes, want) + want > SDB_BUFFERS_MAX_BYTES) {
    seqdb_error ignored;
    sdb_slot *oldest = db->txn.open_slots;
    while (oldest && oldest->next_open)
      oldest = oldest->next_open;
    if (!oldest || settle(db, oldest, &ignored) != SEQDB_OK) {
      atomic_fetch_sub(&store->buffer_bytes, want);
      return NULL;
    }
  }
  uint8_t *buffer = sdb_malloc(want);
  if (!buffer) atomic_fetch_sub(&store->buffer_bytes, want);
  *capacity = want;
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
  if (sdb_patch_remove(&db->txn.patch, entry.start + length, limit - length) != SEQDB_OK)
    return sdb_error_nomem(e, "append");
  /* The entry counts as changed from now on, also while its new length is only here. */
  if ((rc = sdb_place_put(db, slot->index, &entry, "append", e)) != SEQDB_OK) return rc;
  size_t capacity = 0;
  uint8_t *buffer = bytes < SDB_BUFFER_BYTES / 2 ? buffer_get(db, &capacity) : NULL;
  pthread_mutex_lock(&slot->mutex);
  assert(!slot->open);
  slot->incarnation = (uint32_t)(region >> 32);
  slot->start = entry.start;
  slot->length = slot->settled = slot->buffer_at = length;
  slot->limit = limit;
  slot->buffer = buffer;
  slot->capacity = capacity;
  slot->buffered = 0;
  slot->open = true;
  link_open(db, slot);
  pthread_mutex_unlock(&slot->mutex);
  atomic_store_explicit(&db->slot_cache[slot->index % SDB_SLOT_CACHE], slot, memory_order_release);
  *opened = true;
  return SEQDB_OK;
}

/* ---- appending */

/* true: done (or failed) here.  Small appends need the buffer; a slot without one takes large ones only. */
static bool append_fast(seqdb *db, seqdb_region region, const void *data, size_t bytes, uint64_t *offset, int *rc,
                        seqdb_error *e) {
  uint32_t index = sdb_region_index(region);
  sdb_slot *slot = atomic_load_explicit(&db->slot_cache[index % SDB_SLOT_CACHE], memory_order_acquire);
  bool done = false;
  if (!slot || slot->index != index) return false;
  pthread_mutex_lock(&slot->mutex);
  if (slot->open && slot->incarnation == (uint32_t)(region >> 32) && bytes <= slot->limit - slot->length &&
      (slot->buffer || bytes >= SDB_BUFFER_BYTES / 2)) {
    uint64_t at = slot->length;
    *rc = append_open(db->store, slot, data, bytes, e);
    if (*rc == SEQDB_OK && offset) *offset = at;
    done = true;
  }
  pthread_mutex_unlock(&slot->mutex);
  return done;
}

static int append_slow(seqdb *db, seqdb_region region, const void *data, size_t bytes, uint64_t *offset,
                       seqdb_error *e) {
  uint32_t index;
  bool opened = false;
  int rc = sdb_txn_begin(db, "append", e);
  if (rc != SEQDB_OK) return rc;
  if (!sdb_txn_entry(db, region, &index)) return sdb_gone(db, "append", e);
  if ((rc = sdb_slot_settle(db, index, e)) != SEQDB_OK) return rc;
  const sdb_entry *entry = sdb_txn_entry(db, region, &index);
  uint64_t at = entry->length;
  sdb_slot *slot = bytes <= UINT64_MAX - at ? slot_make(db, index) : NULL;
  if (slot && slot->seen_epoch == db->txn.epoch) rc = slot_open(db, slot, region, bytes, &opened, e);
  if (rc != SEQDB_OK) return rc;
  if (slot) slot->seen_epoch = db->txn.epoch;
  if (opened) {
    pthread_mutex_lock(&slot->mutex); /* another thread may append first */
    at = slot->length;
    if (bytes <= slot->limit - slot->length)
      rc = append_open(db->store, slot, data, bytes, e);
    else
      opened = false;
    pthread_mutex_unlock(&slot->mutex);
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
