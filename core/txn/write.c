/* SPDX-License-Identifier: MIT
**
** place.c: where the bytes of a transaction go (R1, R2).
**
** A write into a region falls into up to three kinds of bytes:
**
**      0          visible            length   length'        reserved
**      |-------------|------------------|---------|--------------|
**        patch          direct, unless      direct
**        (record)       pinned by a record
**
** `visible` is the longest length that any live catalog has for this extent.  Bytes below it, and bytes in ranges of records
** still in the journal, go into the patch and so into the record; all others are written to `data` at once.  If the
** patched part would be large, the region moves to a new extent first, where everything is direct.
** INVARIANT: a direct write removes what the newest patch had there, so a patch never hides younger bytes.
*/
#include "txn/db.h"
#include "base/error.h"

#define COPY_BYTES      ((uint64_t)1 << 20)
#define HOLE_COPY_BYTES ((uint64_t)16 << 10) /* where there is little in a hole */
#define PUNCH_NOW_BYTES ((uint64_t)64 << 10)

/* ---- direct writes */

#ifdef SDB_CHECKS
#define CHECK_ENTRIES_MAX 2000u /* brute force is quadratic: large databases check by structure only */
static void check_direct(seqdb *db, uint64_t offset, uint64_t bytes) {
  sdb_store *store = db->store;
  if (SDB_MAX(store->committed->tree.entries, db->txn.tree.entries) > CHECK_ENTRIES_MAX) return;
  pthread_mutex_lock(&store->mutex);
  assert(sdb_space_may_write(&store->space, offset, bytes, NULL));
  assert(!sdb_range_overlap(&store->space.unpunched.holes, offset, bytes, NULL));
  pthread_mutex_unlock(&store->mutex);
  assert(sdb_overlay_next(&store->overlay, UINT64_MAX, offset, offset + bytes) == offset + bytes);
}
#else
#define check_direct(db, offset, bytes) ((void)0)
#endif

/* data == NULL: zeros. */
static int write_direct(seqdb *db, uint64_t offset, const void *data, uint64_t bytes, const sdb_op *op) {
  sdb_store *store = db->store;
  if (bytes == 0) return SEQDB_OK;
  check_direct(db, offset, bytes);
  /* Noted before it is written: a failing note then leaves nothing undone, a failing write a note too many. */
  /* GCOVR_EXCL_BR_LINE: removing splits a range in the models alone: see sdb_patch_remove() */
  if (sdb_range_add(&db->txn.direct, offset, bytes) != SEQDB_OK ||
      sdb_patch_remove(&db->txn.patch, offset, bytes) != SEQDB_OK)
    return sdb_error_nomem(op);
  if (data) return sdb_data_write(&store->data, offset, data, (size_t)bytes, op);
  return sdb_data_zero(&store->data, offset, bytes, op);
}

/* ---- the entry */

int sdb_write_put(seqdb *db, uint32_t index, sdb_entry *entry, const sdb_op *op) {
  entry->generation = db->txn.generation;
  entry->has_trailer = true;
  db->txn.prepared_is_current = false;
  db->txn.mark_failed = false;
  if (sdb_tree_put(&db->txn.tree, db->store->names, db->txn.epoch, index, entry) != SEQDB_OK)
    return sdb_error_nomem(op);
  return SEQDB_OK;
}

static uint64_t visible_bytes(seqdb *db, uint32_t index, uint64_t start) {
  pthread_mutex_lock(&db->store->mutex);
  uint64_t visible = sdb_space_visible_bytes(&db->store->space, index, start);
  pthread_mutex_unlock(&db->store->mutex);
  return visible;
}

static void give_up(seqdb *db, uint32_t index, uint64_t start, uint64_t bytes) {
  pthread_mutex_lock(&db->store->mutex);
  sdb_space_give_up(&db->store->space, index, start, bytes);
  pthread_mutex_unlock(&db->store->mutex);
}

/* ---- moving */

/* How much of a hole in `data` stays one: whole pages up to the first byte that a patch or an overlay has. */
static uint64_t hole_bytes(seqdb *db, uint64_t offset, uint64_t bytes) {
  uint64_t next = sdb_txn_next_patched(db, offset, bytes);
  if (next == offset + bytes) return bytes;
  return sdb_page_down(next) > offset ? sdb_page_down(next) - offset : 0;
}

/* Copy [from, to) of the old extent to the new one, holes as holes. */
static int copy_part(seqdb *db, uint64_t old_start, uint64_t new_start, uint64_t from, uint64_t to, const sdb_op *op) {
  sdb_store *store = db->store;
  uint8_t *block = NULL;
  int rc = SEQDB_OK;
  uint64_t data_at = from, data_end = to; /* the run of data at or after `at`, as far as known */
  bool sparse_known = false;
  for (uint64_t at = from; at < to && rc == SEQDB_OK;) {
    uint64_t part = SDB_MIN(COPY_BYTES, to - at);
    if ((rc = sdb_interrupted(db, op)) != SEQDB_OK) break;
    if (to - from >= COPY_BYTES && (!sparse_known || at >= data_end)) {
      uint64_t d = old_start + at, d_end = old_start + to;
      if (sdb_os_next_data(store->data.fd, old_start + at, old_start + to, &d, &d_end) != 0) {
        d = old_start + at;
        d_end = old_start + to;
      }
      data_at = d - old_start;
      data_end = SDB_MIN(SDB_MAX(d_end, d + 1) - old_start, to);
      sparse_known = true;
    }
    if (at < data_at) {
      uint64_t hole = hole_bytes(db, old_start + at, data_at - at);
      if (hole) {
        rc = write_direct(db, new_start + at, NULL, hole, op);
        at += hole;
        continue;
      }
      part = SDB_MIN(part, sdb_page_down(at) + HOLE_COPY_BYTES - at);
    } else {
      part = SDB_MIN(part, SDB_MAX(data_end - at, HOLE_COPY_BYTES));
    }
    const uint8_t *source = sdb_data_at(&store->data, old_start + at, part);
    if (!source || sdb_txn_next_patched(db, old_start + at, part) < old_start + at + part) {
      if (!block && !(block = sdb_malloc((size_t)SDB_MIN(COPY_BYTES, to - from)))) {
        rc = sdb_error_nomem(op);
        break;
      }
      rc = sdb_txn_read(db, old_start + at, block, (size_t)part, op);
      source = block;
    }
    if (rc == SEQDB_OK) rc = write_direct(db, new_start + at, source, part, op);
    at += part;
  }
  sdb_free(block);
  return rc;
}

/* Everything that can fail comes first: the new extent is complete before the entry changes, once. */
int sdb_write_move(seqdb *db, uint32_t index, uint64_t start, uint64_t reserved, const sdb_splice *splice,
                   const sdb_op *op) {
  sdb_entry entry = *sdb_tree_get(&db->txn.tree, index);
  uint64_t old_start = entry.start, old_reserved = entry.reserved;
  uint64_t at = splice ? splice->at : entry.length, end = splice ? splice->at + splice->bytes : entry.length;
  int rc = copy_part(db, old_start, start, 0, at, op);
  if (rc == SEQDB_OK && splice) rc = write_direct(db, start + at, splice->data, splice->bytes, op);
  if (rc == SEQDB_OK && end < entry.length) rc = copy_part(db, old_start, start, end, entry.length, op);
  if (rc != SEQDB_OK) return rc;
  pthread_mutex_lock(&db->store->mutex);
  rc = sdb_space_reserve_give_up(&db->store->space, index, old_start, old_reserved);
  pthread_mutex_unlock(&db->store->mutex);
  if (rc != SEQDB_OK) return sdb_error_nomem(op);
  entry.start = start;
  entry.reserved = reserved;
  entry.length = SDB_MAX(entry.length, end);
  if ((rc = sdb_write_put(db, index, &entry, op)) != SEQDB_OK) return rc;
  (void)sdb_patch_remove(&db->txn.patch, old_start, old_reserved); /* whole ranges: splits none */
  give_up(db, index, old_start, old_reserved);
  return SEQDB_OK;
}

/* Blocks may lie between the region's length and its reserve: punched at the next checkpoint. */
static void note_slack(seqdb *db, uint32_t index) {
  const sdb_entry *entry = sdb_tree_get(&db->txn.tree, index);
  pthread_mutex_lock(&db->store->mutex);
  sdb_space_note_cut(&db->store->space, index, entry->start, entry->length, entry->reserved);
  pthread_mutex_unlock(&db->store->mutex);
}

/* Bytes [from, reserved) of the extent, new in it, came with blocks of what was there before and will not be written soon.  Much is
** punched now, before anybody syncs it; little at the next checkpoint. */
static void clean_reserve(seqdb *db, uint32_t index, uint64_t from) {
  const sdb_entry *entry = sdb_tree_get(&db->txn.tree, index);
  uint64_t unused = SDB_MAX(sdb_page_up(entry->length), from);
  if (entry->reserved > unused && entry->reserved - unused >= PUNCH_NOW_BYTES) {
    check_direct(db, entry->start + unused, entry->reserved - unused);
    sdb_data_punch(&db->store->data, entry->start + unused, entry->reserved - unused);
  } else {
    note_slack(db, index);
  }
}

/* Allocate an extent of `reserved` bytes and move there. */
static int relocate(seqdb *db, uint32_t index, uint64_t reserved, const sdb_splice *splice, const sdb_op *op) {
  sdb_store *store = db->store;
  uint64_t start, end;
  pthread_mutex_lock(&store->mutex);
  bool dirty = false;
  int rc = sdb_space_alloc(&store->space, reserved, &start, &dirty);
#ifdef SDB_CHECKS
  if (rc == SEQDB_OK && SDB_MAX(store->committed->tree.entries, db->txn.tree.entries) <= CHECK_ENTRIES_MAX)
    assert(sdb_space_is_unreserved(&store->space, start, reserved, &db->txn.tree));
#endif
  end = store->space.end;
  pthread_mutex_unlock(&store->mutex);
  if (rc == SEQDB_NOMEM) return sdb_error_nomem(op);
  if (rc != SEQDB_OK)
    return sdb_error_set(op, rc, "data", 0, "data: no room for %llu bytes in one file", (unsigned long long)reserved);
  rc = sdb_data_ensure(&store->data, end, op);
  if (rc == SEQDB_OK) rc = sdb_write_move(db, index, start, reserved, splice, op);
  if (rc == SEQDB_OK && dirty) clean_reserve(db, index, 0);
  if (rc != SEQDB_OK) give_up(db, index, start, reserved); /* no catalog sees it: free at once */
  return rc;
}

/* ---- growing the reserve */

/* In place, if what follows is free.  *done tells. */
static int extend(seqdb *db, uint32_t index, uint64_t needed, bool exact, bool *done, const sdb_op *op) {
  sdb_store *store = db->store;
  sdb_entry entry = *sdb_tree_get(&db->txn.tree, index);
  uint64_t after = entry.start + entry.reserved, extra = needed - entry.reserved, end;
  *done = false;
  pthread_mutex_lock(&store->mutex);
  uint64_t room = sdb_space_room_at(&store->space, after);
  if (room < extra) {
    pthread_mutex_unlock(&store->mutex);
    return SEQDB_OK;
  }
  if (!exact && entry.length > 0) { /* a growing region: room to go on */
    uint64_t slack =
        room == UINT64_MAX ? SDB_MIN(sdb_page_down(entry.reserved / 4), (uint64_t)16 << 20) : entry.reserved;
    extra = SDB_MIN(SDB_MAX(extra, slack), room);
  }
  bool dirty = false;
  int rc = sdb_space_alloc_at(&store->space, after, extra, &dirty);
  end = store->space.end;
  pthread_mutex_unlock(&store->mutex);
  if (rc == SEQDB_NOMEM) return sdb_error_nomem(op);
  if (rc != SEQDB_OK)
    return sdb_error_set(op, rc, "data", after, "data: no room for %llu bytes in one file", (unsigned long long)needed);
  if ((rc = sdb_data_ensure(&store->data, end, op)) == SEQDB_OK) {
    entry.reserved += extra;
    rc = sdb_write_put(db, index, &entry, op);
  }
  if (rc == SEQDB_OK && dirty) clean_reserve(db, index, after - entry.start);
  if (rc != SEQDB_OK) give_up(db, index, after, extra);
  *done = rc == SEQDB_OK;
  return rc;
}

/* With a splice: it is written on the way if the region must move; *spliced tells. */
static int grow(seqdb *db, uint32_t index, uint64_t bytes, bool exact, const sdb_splice *splice, bool *spliced,
                const sdb_op *op) {
  const sdb_entry *entry = sdb_tree_get(&db->txn.tree, index);
  bool done = false;
  *spliced = false;
  if (bytes <= entry->reserved) return SEQDB_OK;
  if (bytes > SDB_OFFSET_MAX) {
    char quoted[SDB_QUOTED_MAX];
    return sdb_error_set(op, SEQDB_RANGE, "data", 0, "region %s: %s to %llu bytes is more than a file can hold",
                         sdb_quote_name(sdb_name_text(entry->name), sdb_name_bytes(entry->name), quoted), op->operation,
                         (unsigned long long)bytes);
  }
  uint64_t needed = sdb_page_up(bytes);
  int rc = extend(db, index, needed, exact, &done, op);
  if (rc != SEQDB_OK || done) return rc;
  /* Eightfold: over a region's life the copies add up to at most 8/7 of its length (with doubling, up to twice).  A reserve is
  ** sparse, it costs offsets and no disk; from 1 GiB on those count more. */
  uint64_t factor = entry->reserved < (uint64_t)1 << 30 ? 8 : 2;
  uint64_t want = exact || entry->length == 0 ? needed : SDB_MAX(needed, factor * entry->reserved);
  rc = relocate(db, index, want, splice, op);
  *spliced = rc == SEQDB_OK && splice;
  return rc;
}

int sdb_write_reserve(seqdb *db, uint32_t index, uint64_t bytes, bool exact, const sdb_op *op) {
  bool ignored;
  return grow(db, index, bytes, exact, NULL, &ignored, op);
}

/* ---- writing */

/* Bytes of [from, to) that may not be written directly. */
static uint64_t patched_bytes(const sdb_space *space, uint64_t from, uint64_t to, uint64_t visible_end) {
  uint64_t sum = visible_end > from ? SDB_MIN(visible_end, to) - from : 0;
  sdb_range pin;
  for (uint64_t at = SDB_MAX(from, visible_end); at < to && sdb_range_overlap(&space->redo, at, to - at, &pin);
       at = pin.start + pin.bytes)
    sum += pin.bytes;
  return sum;
}

/* Is moving cheaper than carrying `patched` bytes twice, through the record and into `data`? */
static bool should_relocate(uint64_t patched, uint64_t kept) {
  return patched >= SDB_RELOCATE_MAX_BYTES || (patched >= SDB_RELOCATE_MIN_BYTES && patched >= kept);
}

/* Pieces of [from, to) that go to `patch`: what is visible, and what records pin. */
static int patch_pieces(seqdb *db, sdb_patch *patch, uint64_t from, uint64_t to, uint64_t visible_end,
                        const uint8_t *bytes) {
  const sdb_space *space = &db->store->space; /* redo ranges change at commit only: no lock */
  uint64_t direct_from = SDB_MIN(SDB_MAX(from, visible_end), to);
  sdb_range pin;
  int rc = direct_from > from ? sdb_patch_write(patch, from, bytes, (size_t)(direct_from - from)) : SEQDB_OK;
  for (uint64_t at = direct_from; rc == SEQDB_OK && at < to && sdb_range_overlap(&space->redo, at, to - at, &pin);
       at = pin.start + pin.bytes)
    rc = sdb_patch_write(patch, pin.start, bytes ? bytes + (pin.start - from) : NULL, (size_t)pin.bytes);
  return rc;
}

/* The other pieces go to `data`. */
static int direct_pieces(seqdb *db, uint64_t from, uint64_t to, uint64_t visible_end, const uint8_t *bytes,
                         const sdb_op *op) {
  const sdb_space *space = &db->store->space;
  sdb_range pin;
  int rc = SEQDB_OK;
  for (uint64_t at = SDB_MIN(SDB_MAX(from, visible_end), to); at < to && rc == SEQDB_OK;) {
    bool pinned = sdb_range_overlap(&space->redo, at, to - at, &pin);
    uint64_t end = pinned ? pin.start : to;
    rc = write_direct(db, at, bytes ? bytes + (at - from) : NULL, end - at, op);
    at = pinned ? pin.start + pin.bytes : end;
  }
  return rc;
}

/* Write into the extent as it is.  The patch is prepared aside and merged last, so that a failure leaves no part of it. */
static int put_range(seqdb *db, uint64_t from, uint64_t to, uint64_t visible_end, const uint8_t *bytes,
                     const sdb_op *op) {
  sdb_patch *patch = &db->txn.patch, fresh;
  if (to <= visible_end) { /* one piece, all or nothing by itself: the usual overwrite */
    return sdb_patch_write(patch, from, bytes, (size_t)(to - from)) == SEQDB_OK ? SEQDB_OK : sdb_error_nomem(op);
  }
  sdb_patch_init(&fresh);
  int rc = patch_pieces(db, &fresh, from, to, visible_end, bytes);
  if (rc == SEQDB_OK) rc = sdb_patch_reserve(patch, fresh.count);
  if (rc != SEQDB_OK) rc = sdb_error_nomem(op);
  /* GCOVR_EXCL_BR_LINE: the compiler does not know what sdb_error_nomem() returns */
  if (rc == SEQDB_OK) rc = direct_pieces(db, from, to, visible_end, bytes, op);
  /* GCOVR_EXCL_BR_LINE: what was reserved above is there, but for splits */
  if (rc == SEQDB_OK && sdb_patch_reserve(patch, fresh.count) != SEQDB_OK) rc = sdb_error_nomem(op);
  if (rc == SEQDB_OK) sdb_patch_merge(patch, &fresh); /* GCOVR_EXCL_BR_LINE: the compiler, as above */
  sdb_patch_clear(&fresh);
  return rc;
}

int sdb_write(seqdb *db, uint32_t index, uint64_t at, const void *data, uint64_t bytes, const sdb_op *op) {
  sdb_entry entry = *sdb_tree_get(&db->txn.tree, index);
  sdb_splice splice = {at, bytes, data};
  bool spliced;
  if (bytes == 0) return SEQDB_OK;
  assert(at <= entry.length);
  /* GCOVR_EXCL_BR_LINE: lengths are numbers, and memory is smaller */
  uint64_t end = bytes > UINT64_MAX - at ? UINT64_MAX : at + bytes;
  int rc = grow(db, index, end, false, &splice, &spliced, op);
  if (rc != SEQDB_OK || spliced) return rc;
  entry = *sdb_tree_get(&db->txn.tree, index);
  uint64_t visible = visible_bytes(db, index, entry.start);
  uint64_t patched = patched_bytes(&db->store->space, entry.start + at, entry.start + end, entry.start + visible);
  uint64_t kept = entry.length - (SDB_MIN(end, entry.length) - at);
  if (should_relocate(patched, kept)) return relocate(db, index, entry.reserved, &splice, op);
  /* The entry first, as it is: afterwards its nodes are this transaction's own, and setting the length cannot fail. */
  db->txn.prepared_is_current = false;
  db->txn.mark_failed = false;
  if (entry.generation != db->txn.generation && (rc = sdb_write_put(db, index, &entry, op)) != SEQDB_OK) return rc;
  if (end > entry.length && (rc = sdb_tree_own(&db->txn.tree, db->store->names, db->txn.epoch, index)) != SEQDB_OK)
    return sdb_error_nomem(op);
  rc = put_range(db, entry.start + at, entry.start + end, entry.start + visible, data, op);
  if (rc != SEQDB_OK && end > entry.length) note_slack(db, index); /* a full disk: part of it was written */
  if (rc != SEQDB_OK || end <= entry.length) return rc;
  entry.length = end;
  return sdb_write_put(db, index, &entry, op);
}

int sdb_write_cut(seqdb *db, uint32_t index, uint64_t length, const sdb_op *op) {
  sdb_entry entry = *sdb_tree_get(&db->txn.tree, index);
  assert(length <= entry.length);
  if (length == entry.length) return SEQDB_OK;
  uint64_t from = entry.start + length, bytes = entry.reserved - length;
  uint64_t old_length = entry.length;
  entry.length = length;
  int rc = sdb_write_put(db, index, &entry, op);
  if (rc != SEQDB_OK) return rc;
  /* What the transaction itself wrote there has blocks too, and no commit would show that it was cut. */
  pthread_mutex_lock(&db->store->mutex);
  sdb_space_note_cut(&db->store->space, index, entry.start, length, old_length);
  pthread_mutex_unlock(&db->store->mutex);
  (void)sdb_patch_remove(&db->txn.patch, from, bytes); /* up to the extent's end: splits none */
  return rc;
}
