/* SPDX-License-Identifier: MIT
**
** write.c: see write.h.
*/
#include "txn/write.h"

#include "base/check.h"
#include "os/os.h"
#include "txn/touched.h"

#define RELOCATE_MIN_BYTES (UINT64_C(32) << 10)  /* overwrites below this always travel in the record ... */
#define RELOCATE_MAX_BYTES (UINT64_C(128) << 20) /* ... and from this on never */
#define COPY_BYTES         ((uint64_t)1 << 20)
#define HOLE_COPY_BYTES    ((uint64_t)16 << 10) /* where there is little in a hole */
#define HOLES_MIN_BYTES    ((uint64_t)64 << 10) /* less is copied without asking where holes are */
#define PUNCH_NOW_BYTES    ((uint64_t)64 << 10)

static const sdb_entry *entry_of(const sdb_change *change) {
  return sdb_tree_get(&change->db->txn.tree, change->index);
}

/* ---- direct writes */

#ifdef SDB_CHECKS
static void check_direct(sdb_store *store, uint64_t offset, uint64_t bytes) {
  pthread_mutex_lock(&store->mutex);
  sdb_store_check_free(store, offset, bytes);
  assert(!sdb_range_overlap(&store->space.unpunched.holes, offset, bytes, NULL));
  pthread_mutex_unlock(&store->mutex);
  assert(sdb_overlay_next(&store->overlay, UINT64_MAX, offset, offset + bytes) == offset + bytes);
}
#else
#define check_direct(store, offset, bytes) ((void)0)
#endif

/* data == NULL: zeros. */
static int write_direct(const sdb_change *change, uint64_t offset, const void *data, uint64_t bytes) {
  sdb_store *store = change->db->store;
  sdb_txn *txn = &change->db->txn;
  if (bytes == 0) return SEQDB_OK;
  check_direct(store, offset, bytes);
  /* The note comes before the write.  Without memory for the note nothing was written; should the write fail, what was
  ** noted is synced for nothing. */
  if (sdb_range_add(&txn->direct, offset, bytes) != SEQDB_OK ||
      sdb_patch_remove(&txn->patch, offset, bytes) != SEQDB_OK)
    return sdb_error_nomem(change->op);
  if (data) return sdb_data_write(&store->data, offset, data, (size_t)bytes, change->op);
  return sdb_data_zero(&store->data, offset, bytes, change->op);
}

/* ---- the entry */

int sdb_write_put(const sdb_change *change, sdb_entry *entry) {
  sdb_txn_set_changing(&change->db->txn);
  return sdb_txn_put(change->db, change->index, entry, change->op);
}

int sdb_write_own(const sdb_change *change) {
  sdb_txn *txn = &change->db->txn;
  sdb_txn_set_changing(txn);
  if (sdb_tree_own(&txn->tree, change->db->store->names, txn->epoch, change->index) == SEQDB_OK) return SEQDB_OK;
  return sdb_error_nomem(change->op);
}

/* ---- copying */

/* A region on its way from one extent to another.  Positions count from the region's start. */
struct copy {
  const sdb_change *change;
  uint64_t old_start, new_start;
  uint64_t data_at, data_end; /* the run of data at or after the present position ... */
  bool known;                 /* ... as far as it is known */
  uint8_t *block;             /* once it is needed; takes the largest piece */
  size_t block_bytes;
};

/* Ask the file system where there is data from `at` on.  If it cannot say, everything is. */
static void find_data(struct copy *copy, uint64_t at, uint64_t to) {
  uint64_t from = copy->old_start + at, end = copy->old_start + to, d = from, d_end = end;
  const sdb_data_file *file = &copy->change->db->store->data;
  if (sdb_data_is_backed(file, from, end - from) || sdb_os_next_data(file->fd, from, end, &d, &d_end) != 0) {
    d = from;
    d_end = end;
  }
  copy->data_at = d - copy->old_start;
  copy->data_end = SDB_MIN(SDB_MAX(d_end, d + 1) - copy->old_start, to);
  copy->known = true;
}

/* How much of a hole in `data` stays one: whole pages up to the first byte that a patch or an overlay has. */
static uint64_t hole_bytes(seqdb *db, uint64_t offset, uint64_t bytes) {
  uint64_t next = sdb_txn_next_patched(db, offset, bytes);
  if (next == offset + bytes) return bytes;
  return sdb_page_down(next) > offset ? sdb_page_down(next) - offset : 0;
}

/* Straight from the mapping if `data` has the bytes as the transaction sees them; else through a block. */
static int copy_piece(struct copy *copy, uint64_t at, uint64_t bytes) {
  const sdb_change *change = copy->change;
  uint64_t offset = copy->old_start + at;
  const uint8_t *source = sdb_data_at(&change->db->store->data, offset, bytes);
  if (!source || sdb_txn_next_patched(change->db, offset, bytes) < offset + bytes) {
    if (!copy->block && !(copy->block = sdb_malloc(copy->block_bytes))) return sdb_error_nomem(change->op);
    int rc = sdb_txn_read(change->db, offset, copy->block, (size_t)bytes, change->op);
    if (rc != SEQDB_OK) return rc;
    source = copy->block;
  }
  return write_direct(change, copy->new_start + at, source, bytes);
}

/* Copy [from, to), holes as holes. */
static int copy_part(struct copy *copy, uint64_t from, uint64_t to) {
  const sdb_change *change = copy->change;
  int rc = SEQDB_OK;
  copy->data_at = from;
  copy->data_end = to;
  copy->known = false;
  for (uint64_t at = from, part; at < to && rc == SEQDB_OK; at += part) {
    if ((rc = sdb_ask_inside(change->db, change->op)) != SEQDB_OK) break;
    part = SDB_MIN(COPY_BYTES, to - at);
    if (to - from >= HOLES_MIN_BYTES && (!copy->known || at >= copy->data_end)) find_data(copy, at, to);
    uint64_t hole = at < copy->data_at ? hole_bytes(change->db, copy->old_start + at, copy->data_at - at) : 0;
    if (hole) {
      part = hole;
      rc = write_direct(change, copy->new_start + at, NULL, hole);
      continue;
    }
    if (at < copy->data_at)
      part = SDB_MIN(part, sdb_page_down(at) + HOLE_COPY_BYTES - at);
    else
      part = SDB_MIN(part, SDB_MAX(copy->data_end - at, HOLE_COPY_BYTES));
    rc = copy_piece(copy, at, part);
  }
  return rc;
}

/* Copy the region, but write the splice in its place. */
static int copy_all(struct copy *copy, uint64_t length, const sdb_splice *splice) {
  uint64_t at = splice ? splice->at : length, end = splice ? splice->at + splice->bytes : length;
  int rc = copy_part(copy, 0, at);
  if (rc == SEQDB_OK && splice) rc = write_direct(copy->change, copy->new_start + at, splice->data, splice->bytes);
  if (rc == SEQDB_OK && end < length) rc = copy_part(copy, end, length);
  sdb_free(copy->block);
  copy->block = NULL;
  return rc;
}

/* ---- moving */

/* Everything that can fail comes first: the new extent is complete before the entry changes, once. */
int sdb_write_move(const sdb_change *change, uint64_t start, uint64_t reserved, const sdb_splice *splice) {
  seqdb *db = change->db;
  sdb_entry entry = *entry_of(change);
  uint64_t old_start = entry.start, old_reserved = entry.reserved;
  struct copy copy = {.change = change,
                      .old_start = old_start,
                      .new_start = start,
                      .block_bytes = (size_t)SDB_MIN(COPY_BYTES, entry.length)};
  int rc = sdb_touch_move(change, splice ? splice->at : 0, splice ? splice->bytes : 0);
  if (rc == SEQDB_OK) rc = copy_all(&copy, entry.length, splice);
  if (rc != SEQDB_OK) return rc;
  if (sdb_store_reserve_give_up(db->store, change->index, old_start, old_reserved) != SEQDB_OK)
    return sdb_error_nomem(change->op);
  entry.start = start;
  entry.reserved = reserved;
  if (splice) entry.length = SDB_MAX(entry.length, splice->at + splice->bytes);
  if ((rc = sdb_write_put(change, &entry)) != SEQDB_OK) return rc;
  (void)sdb_patch_remove(&db->txn.patch, old_start, old_reserved); /* whole ranges: splits none */
  sdb_store_give_up(db->store, change->index, old_start, old_reserved);
  return SEQDB_OK;
}

/* Blocks may lie in the slack, between the region's length and its reserve's end: the next checkpoint punches them. */
static void note_slack(const sdb_change *change) {
  const sdb_entry *entry = entry_of(change);
  sdb_store_note_cut(change->db->store, change->index, entry->start, entry->length, entry->reserved);
}

/* Bytes [from, reserved) of the extent are new in it.  They came with blocks of what was there before and will not be
** written soon.  Much is punched now, before anybody syncs it; little at the next checkpoint. */
static void clean_reserve(const sdb_change *change, uint64_t from) {
  const sdb_entry *entry = entry_of(change);
  sdb_store *store = change->db->store;
  uint64_t unused = SDB_MAX(sdb_page_up(entry->length), from);
  if (entry->reserved > unused && entry->reserved - unused >= PUNCH_NOW_BYTES) {
    check_direct(store, entry->start + unused, entry->reserved - unused);
    sdb_data_punch(&store->data, entry->start + unused, entry->reserved - unused);
  } else {
    note_slack(change);
  }
}

/* Move to a new extent of `reserved` bytes, or of `least` if so many are not to be had: a limit on the file's size, a
** quota. */
static int relocate(const sdb_change *change, uint64_t reserved, uint64_t least, const sdb_splice *splice) {
  sdb_store *store = change->db->store;
  sdb_extent extent = {.bytes = reserved};
  int rc = sdb_store_alloc(store, change->index, &extent, change->op);
  if (rc == SEQDB_FULL && least < reserved) {
    reserved = extent.bytes = least;
    rc = sdb_store_alloc(store, change->index, &extent, change->op);
  }
  if (rc != SEQDB_OK) return rc;
  sdb_store_check_unreserved(store, &extent, &change->db->txn.tree);
  rc = sdb_write_move(change, extent.start, reserved, splice);
  if (rc == SEQDB_OK && extent.dirty) clean_reserve(change, 0);
  if (rc != SEQDB_OK) sdb_store_give_up(store, change->index, extent.start, reserved);
  return rc;
}

/* ---- growing the reserve */

/* How much to take of what is free after the reserve.  A growing region gets room to go on. */
static uint64_t extra_bytes(const sdb_entry *entry, uint64_t needed, uint64_t room, bool exact) {
  uint64_t extra = needed - entry->reserved, more = entry->reserved;
  if (exact || entry->length == 0) return extra;
  if (room == UINT64_MAX) more = SDB_MIN(sdb_page_down(entry->reserved / 4), (uint64_t)16 << 20);
  return SDB_MIN(SDB_MAX(extra, more), room);
}

/* In place, if what follows is free and the file may be as long.  *done tells. */
static int extend(const sdb_change *change, uint64_t needed, bool exact, bool *done) {
  sdb_store *store = change->db->store;
  sdb_entry entry = *entry_of(change);
  sdb_extent extent = {.start = entry.start + entry.reserved};
  *done = false;
  pthread_mutex_lock(&store->mutex);
  uint64_t room = sdb_space_room_at(&store->space, extent.start); /* only the writer makes it less */
  pthread_mutex_unlock(&store->mutex);
  if (room < needed - entry.reserved) return SEQDB_OK;
  extent.bytes = extra_bytes(&entry, needed, room, exact);
  int rc = sdb_store_alloc_at(store, change->index, &extent, change->op);
  if (rc == SEQDB_FULL && extent.bytes > needed - entry.reserved) {
    extent.bytes = needed - entry.reserved;
    rc = sdb_store_alloc_at(store, change->index, &extent, change->op);
  }
  if (rc == SEQDB_FULL) return SEQDB_OK; /* a hole elsewhere may do */
  if (rc != SEQDB_OK) return rc;
  entry.reserved += extent.bytes;
  rc = sdb_write_put(change, &entry);
  if (rc == SEQDB_OK && extent.dirty) clean_reserve(change, extent.start - entry.start);
  if (rc != SEQDB_OK) sdb_store_give_up(store, change->index, extent.start, extent.bytes);
  *done = rc == SEQDB_OK;
  return rc;
}

/* With a splice: it is written on the way if the region must move; *spliced tells. */
static int grow(const sdb_change *change, uint64_t bytes, bool exact, const sdb_splice *splice, bool *spliced) {
  const sdb_entry *entry = entry_of(change);
  bool done = false;
  *spliced = false;
  if (bytes <= entry->reserved) return SEQDB_OK;
  if (bytes > SDB_OFFSET_MAX) {
    char quoted[SDB_QUOTED_MAX];
    return sdb_error_set(change->op, SEQDB_RANGE, "data", 0, "region %s: %s to %llu bytes is more than a file can hold",
                         sdb_name_quote(entry->name, quoted), change->op->operation, (unsigned long long)bytes);
  }
  uint64_t needed = sdb_page_up(bytes);
  int rc = extend(change, needed, exact, &done);
  if (rc != SEQDB_OK || done) return rc;
  /* Eightfold: over a region's life the copies add up to at most 8/7 of its length (with doubling, up to twice).  A
  ** reserve is sparse, it costs offsets and no disk; from 1 GiB on those count more. */
  uint64_t factor = entry->reserved < (uint64_t)1 << 30 ? 8 : 2;
  uint64_t want = exact || entry->length == 0 ? needed : SDB_MAX(needed, factor * entry->reserved);
  rc = relocate(change, want, needed, splice);
  *spliced = rc == SEQDB_OK && splice;
  return rc;
}

int sdb_write_reserve(const sdb_change *change, uint64_t bytes, bool exact) {
  bool ignored;
  return grow(change, bytes, exact, NULL, &ignored);
}

/* ---- writing into the extent as it is */

/* A write into `data`: its bytes, and where those end that a live catalog can see. */
struct target {
  uint64_t from, to, visible_end;
  const uint8_t *bytes; /* NULL: zeros */
};

static const uint8_t *bytes_at(const struct target *target, uint64_t offset) {
  return target->bytes ? target->bytes + (offset - target->from) : NULL;
}

/* Where direct bytes may begin. */
static uint64_t direct_from(const struct target *target) {
  return SDB_MIN(SDB_MAX(target->from, target->visible_end), target->to);
}

/* How many of the bytes must go to the patch: what is visible, and what records hold. */
static uint64_t patched_bytes(const sdb_space *space, const struct target *target) {
  uint64_t at = direct_from(target), sum = at - target->from;
  sdb_range held;
  for (; at < target->to && sdb_range_overlap(&space->redo, at, target->to - at, &held); at = held.start + held.bytes)
    sum += held.bytes;
  return sum;
}

/* These bytes to `patch`. */
static int patch_pieces(const sdb_space *space, sdb_patch *patch, const struct target *target) {
  uint64_t from = target->from, at = direct_from(target);
  sdb_range held;
  int rc = at > from ? sdb_patch_write(patch, from, target->bytes, (size_t)(at - from)) : SEQDB_OK;
  for (; rc == SEQDB_OK && at < target->to && sdb_range_overlap(&space->redo, at, target->to - at, &held);
       at = held.start + held.bytes)
    rc = sdb_patch_write(patch, held.start, bytes_at(target, held.start), (size_t)held.bytes);
  return rc;
}

/* Of the others, those in [at, to) to `data`. */
static int direct_part(const sdb_change *change, const struct target *target, uint64_t at, uint64_t to) {
  const sdb_space *space = &change->db->store->space; /* redo ranges change at commit only: no lock */
  sdb_range held;
  int rc = SEQDB_OK;
  while (at < to && rc == SEQDB_OK) {
    bool any = sdb_range_overlap(&space->redo, at, to - at, &held);
    uint64_t end = any ? held.start : to;
    rc = write_direct(change, at, bytes_at(target, at), end - at);
    at = any ? held.start + held.bytes : end;
  }
  return rc;
}

/* What lies past the length first, and blocks for the rest before it is written: on a full disk the transaction's own
** bytes stay as they are. */
static int direct_pieces(const sdb_change *change, const struct target *target) {
  const sdb_entry *entry = entry_of(change);
  sdb_range backed = {0};
  uint64_t from = direct_from(target), own_end = entry->start + entry->length;
  uint64_t middle = SDB_MIN(SDB_MAX(from, own_end), target->to);
  int rc = direct_part(change, target, middle, target->to);
  if (rc != SEQDB_OK || middle == from) return rc;
  rc = sdb_data_allocate(&change->db->store->data, from, middle - from, &backed, change->op);
  return rc == SEQDB_OK ? direct_part(change, target, from, middle) : rc;
}

/* The patch is prepared aside and merged last, so that a failure leaves no part of it. */
static int put_range(const sdb_change *change, const struct target *target) {
  sdb_patch *patch = &change->db->txn.patch, fresh;
  if (target->to <= target->visible_end) { /* one piece, all or nothing by itself: the usual overwrite */
    if (sdb_patch_write(patch, target->from, target->bytes, (size_t)(target->to - target->from)) == SEQDB_OK)
      return SEQDB_OK;
    return sdb_error_nomem(change->op);
  }
  sdb_patch_init(&fresh);
  int rc = patch_pieces(&change->db->store->space, &fresh, target);
  if (rc == SEQDB_OK) rc = sdb_patch_reserve(patch, fresh.count);
  rc = rc == SEQDB_OK ? direct_pieces(change, target) : sdb_error_nomem(change->op);
  /* Again, as a direct write may have split a range of the patch. */
  if (rc == SEQDB_OK && sdb_patch_reserve(patch, fresh.count) != SEQDB_OK) rc = sdb_error_nomem(change->op);
  if (rc == SEQDB_OK) sdb_patch_merge(patch, &fresh);
  sdb_patch_clear(&fresh);
  return rc;
}

/* A full disk: what was written of it is given back at once, as others in this transaction may need the room. */
static void give_back(const sdb_change *change, const struct target *target) {
  sdb_store *store = change->db->store;
  const sdb_entry *entry = entry_of(change);
  uint64_t from = SDB_MAX(direct_from(target), entry->start + entry->length);
  if (from < target->to && !sdb_range_overlap(&store->space.redo, from, target->to - from, NULL)) {
    check_direct(store, from, target->to - from);
    sdb_data_punch(&store->data, from, target->to - from);
  }
  note_slack(change); /* of the first and the last page, too */
}

/* Is moving cheaper than carrying `patched` bytes twice, through the record and into `data`? */
static bool should_relocate(uint64_t patched, uint64_t kept) {
  return patched >= RELOCATE_MAX_BYTES || (patched >= RELOCATE_MIN_BYTES && patched >= kept);
}

/* The entry's nodes become this transaction's own before any byte is written: setting the length afterwards cannot
** fail. */
static int own_entry(const sdb_change *change, sdb_entry *entry, bool grows) {
  int rc = SEQDB_OK;
  sdb_txn_set_changing(&change->db->txn);
  if (entry->generation != change->db->txn.generation) rc = sdb_write_put(change, entry);
  return rc == SEQDB_OK && grows ? sdb_write_own(change) : rc;
}

int sdb_write(const sdb_change *change, uint64_t at, const void *data, uint64_t bytes) {
  sdb_splice splice = {at, bytes, data};
  bool spliced;
  if (bytes == 0) return SEQDB_OK;
  assert(at <= entry_of(change)->length);
  uint64_t end = bytes > UINT64_MAX - at ? UINT64_MAX : at + bytes;
  int rc = grow(change, end, false, &splice, &spliced);
  if (rc != SEQDB_OK || spliced) return rc;
  sdb_entry entry = *entry_of(change);
  uint64_t visible = sdb_store_visible_bytes(change->db->store, change->index, entry.start);
  struct target target = {entry.start + at, entry.start + end, entry.start + visible, data};
  uint64_t kept = entry.length - (SDB_MIN(end, entry.length) - at);
  if (should_relocate(patched_bytes(&change->db->store->space, &target), kept))
    return relocate(change, entry.reserved, entry.reserved, &splice);
  bool grows = end > entry.length;
  if ((rc = sdb_touch_write(change, at, bytes)) != SEQDB_OK) return rc;
  if ((rc = own_entry(change, &entry, grows)) != SEQDB_OK) return rc;
  rc = put_range(change, &target);
  if (rc != SEQDB_OK && grows) give_back(change, &target);
  if (rc != SEQDB_OK || !grows) return rc;
  entry.length = end;
  return sdb_write_put(change, &entry);
}

/* ---- cutting */

int sdb_write_cut(const sdb_change *change, uint64_t length) {
  sdb_store *store = change->db->store;
  sdb_entry entry = *entry_of(change);
  uint64_t old_length = entry.length;
  assert(length <= old_length);
  if (length == old_length) return SEQDB_OK;
  entry.length = length;
  int rc = sdb_touch_cut(change, length);
  if (rc == SEQDB_OK) rc = sdb_write_put(change, &entry);
  if (rc != SEQDB_OK) return rc;
  /* What the transaction itself wrote there has blocks too, and no commit would show that it was cut. */
  sdb_store_note_cut(store, change->index, entry.start, length, old_length);
  (void)sdb_patch_remove(&change->db->txn.patch, entry.start + length,
                         entry.reserved - length); /* to the end: splits none */
  return SEQDB_OK;
}
