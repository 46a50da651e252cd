/* SPDX-License-Identifier: MIT
**
** edit.c: the changes a handle can make to regions, other than appending.
** Each begins the transaction if need be, settles the region's tail, and leaves it to write.c where bytes go.
*/
#include "base/check.h"
#include "os/os.h"
#include "pure/entry_rules.h"
#include "txn/append.h"
#include "txn/begin.h"
#include "txn/write.h"

/* ---- common */

static int check_name(const char *name, size_t name_bytes, const sdb_op *op) {
  char quoted[SDB_QUOTED_MAX];
  size_t at = 0;
  const char *problem = sdb_name_problem(name, name_bytes, &at);
  if (!problem) return SEQDB_OK;
  return sdb_error_set(op, SEQDB_INVALID, NULL, at, "region name %s: %s", sdb_quote_name(name, name_bytes, quoted),
                       problem);
}

/* Lock, begin, find and settle.  On error all of it is undone, and the error told; else sdb_txn_leave() follows. */
static int enter(sdb_change *change, seqdb *db, seqdb_region region, const sdb_op *op) {
  int rc = sdb_enter(db, op);
  if (rc != SEQDB_OK) return rc;
  *change = (sdb_change){.db = db, .op = op};
  rc = sdb_txn_begin(db, op);
  if (rc == SEQDB_OK && !sdb_txn_entry(db, region, &change->index)) rc = sdb_gone(op);
  if (rc == SEQDB_OK) rc = sdb_tail_settle(db, change->index, op);
  return rc == SEQDB_OK ? rc : sdb_txn_leave(db, rc, op);
}

static const sdb_entry *entry_of(const sdb_change *change) {
  return sdb_tree_get(&change->db->txn.tree, change->index);
}

/* ---- create, rename, remove */

/* Give the entry a name and put it. */
static int put_named(const sdb_change *change, sdb_entry *entry, const char *name, size_t name_bytes) {
  sdb_names *names = change->db->store->names;
  entry->name = sdb_name_new(names, name, name_bytes, change->index);
  if (!entry->name) return sdb_error_nomem(change->op);
  int rc = sdb_write_put(change, entry);
  sdb_name_unref(names, entry->name);
  return rc;
}

/* A new region with one page, at an unused index. */
static int make(seqdb *db, uint32_t index, const char *name, size_t name_bytes, seqdb_region *region,
                const sdb_op *op) {
  sdb_store *store = db->store;
  sdb_change change = {db, index, op};
  sdb_extent extent = {.bytes = SDB_PAGE};
  if (SDB_NEVER(change.index >= SDB_INDEX_MAX)) /* four billion regions */
    return sdb_error_set(op, SEQDB_FULL, "regions", 0, "regions: no entry index is left");
  int rc = sdb_store_alloc(store, change.index, &extent, op);
  if (rc != SEQDB_OK) return rc;
  sdb_entry entry = {.start = extent.start,
                     .reserved = extent.bytes,
                     .created = db->txn.generation,
                     .incarnation = ++store->incarnation};
  if (extent.dirty) sdb_store_note_cut(store, change.index, entry.start, 0, entry.reserved); /* it may stay empty */
  rc = put_named(&change, &entry, name, name_bytes);
  if (rc == SEQDB_OK)
    *region = sdb_region_of(change.index, entry.incarnation);
  else
    sdb_store_give_up(store, change.index, extent.start, extent.bytes);
  return rc;
}

uint32_t seqdb_region_index(seqdb_region region) {
  return sdb_region_index(region);
}

int seqdb_find_or_create(seqdb *db, const char *name, size_t name_bytes, seqdb_region *region, int *created) {
  seqdb_error error;
  sdb_op op = {"create", &error};
  uint32_t index;
  bool exists = false;
  int rc = check_name(name, name_bytes, &op);
  if (rc != SEQDB_OK) return sdb_fail(db, rc, &op);
  if ((rc = sdb_enter(db, &op)) != SEQDB_OK) return rc;
  rc = sdb_txn_begin(db, &op);
  if (rc == SEQDB_OK) {
    exists = sdb_tree_find(&db->txn.tree, db->store->names, name, name_bytes, &index);
    if (exists)
      *region = sdb_region_of(index, sdb_tree_get(&db->txn.tree, index)->incarnation);
    else
      rc = make(db, sdb_tree_unused_index(&db->txn.tree), name, name_bytes, region, &op);
  }
  if (rc == SEQDB_OK && created) *created = !exists;
  return sdb_txn_leave(db, rc, &op);
}

/* Are index and name free? */
static int check_free(seqdb *db, uint32_t index, const char *name, size_t name_bytes, const sdb_op *op) {
  char quoted[SDB_QUOTED_MAX];
  uint32_t other;
  if (index >= SDB_INDEX_MAX)
    return sdb_error_set(op, SEQDB_RANGE, "regions", 0, "regions: no database has an entry %lu", (unsigned long)index);
  if (sdb_tree_get(&db->txn.tree, index))
    return sdb_error_set(op, SEQDB_EXISTS, "regions", 0, "regions: entry %lu is in use", (unsigned long)index);
  if (!sdb_tree_find(&db->txn.tree, db->store->names, name, name_bytes, &other)) return SEQDB_OK;
  return sdb_error_set(op, SEQDB_EXISTS, NULL, 0, "region %s exists", sdb_quote_name(name, name_bytes, quoted));
}

int seqdb_create_at(seqdb *db, uint32_t index, const char *name, size_t name_bytes, seqdb_region *region) {
  seqdb_error error;
  sdb_op op = {"create", &error};
  int rc = check_name(name, name_bytes, &op);
  if (rc != SEQDB_OK) return sdb_fail(db, rc, &op);
  if ((rc = sdb_enter(db, &op)) != SEQDB_OK) return rc;
  rc = sdb_txn_begin(db, &op);
  if (rc == SEQDB_OK) rc = check_free(db, index, name, name_bytes, &op);
  if (rc == SEQDB_OK) rc = make(db, index, name, name_bytes, region, &op);
  return sdb_txn_leave(db, rc, &op);
}

int seqdb_rename(seqdb *db, seqdb_region region, const char *name, size_t name_bytes) {
  seqdb_error error;
  sdb_op op = {"rename", &error};
  sdb_change change;
  uint32_t other;
  char quoted[SDB_QUOTED_MAX];
  int rc = check_name(name, name_bytes, &op);
  if (rc != SEQDB_OK) return sdb_fail(db, rc, &op);
  if ((rc = enter(&change, db, region, &op)) != SEQDB_OK) return rc;
  sdb_entry entry = *entry_of(&change);
  if (!sdb_tree_find(&db->txn.tree, db->store->names, name, name_bytes, &other))
    rc = put_named(&change, &entry, name, name_bytes);
  else if (other != change.index)
    rc = sdb_error_set(&op, SEQDB_EXISTS, NULL, 0, "region %s exists", sdb_quote_name(name, name_bytes, quoted));
  return sdb_txn_leave(db, rc, &op);
}

/* The tail is settled. */
static int drop(const sdb_change *change) {
  seqdb *db = change->db;
  const sdb_entry *entry = entry_of(change);
  uint64_t start = entry->start, reserved = entry->reserved;
  if (sdb_store_reserve_give_up(db->store, change->index, start, reserved) != SEQDB_OK)
    return sdb_error_nomem(change->op);
  sdb_txn_set_changing(&db->txn);
  if (sdb_tree_remove(&db->txn.tree, db->store->names, db->txn.epoch, change->index) != SEQDB_OK)
    return sdb_error_nomem(change->op);
  (void)sdb_patch_remove(&db->txn.patch, start, reserved); /* whole ranges: splits none */
  sdb_store_give_up(db->store, change->index, start, reserved);
  return SEQDB_OK;
}

int seqdb_remove(seqdb *db, seqdb_region region) {
  seqdb_error error;
  sdb_op op = {"remove", &error};
  sdb_change change;
  int rc = enter(&change, db, region, &op);
  return rc == SEQDB_OK ? sdb_txn_leave(db, drop(&change), &op) : rc;
}

/* One past the largest used index. */
static uint64_t index_limit(const sdb_tree *tree) {
  uint64_t limit = 0;
  uint32_t index;
  while (sdb_tree_next(tree, limit, &index))
    limit = (uint64_t)index + 1;
  return limit;
}

/* Remove all whose index is not marked in `keep`. */
static int drop_others(seqdb *db, const uint8_t *keep, uint64_t *removed, const sdb_op *op) {
  sdb_change change = {.db = db, .op = op};
  int rc = SEQDB_OK;
  *removed = 0;
  for (uint64_t from = 0; rc == SEQDB_OK && sdb_tree_next(&db->txn.tree, from, &change.index);
       from = (uint64_t)change.index + 1) {
    if (keep[change.index]) continue;
    rc = drop(&change);
    *removed += rc == SEQDB_OK;
  }
  return rc;
}

int seqdb_retain(seqdb *db, const char *const *names, const size_t *name_bytes, size_t count, uint64_t *removed) {
  seqdb_error error;
  sdb_op op = {"retain", &error};
  uint32_t index;
  uint64_t dropped = 0;
  uint8_t *keep = NULL;
  int rc = sdb_enter(db, &op);
  if (rc != SEQDB_OK) return rc;
  rc = sdb_txn_begin(db, &op);
  if (rc == SEQDB_OK) rc = sdb_tails_settle(db, &op);
  uint64_t limit = rc == SEQDB_OK ? index_limit(&db->txn.tree) : 0;
  if (limit && !(keep = sdb_calloc(1, (size_t)limit))) rc = sdb_error_nomem(&op);
  for (size_t i = 0; keep && i < count; i++)
    if (sdb_tree_find(&db->txn.tree, db->store->names, names[i], name_bytes[i], &index)) keep[index] = 1;
  if (keep) rc = drop_others(db, keep, &dropped, &op);
  sdb_free(keep);
  if (rc == SEQDB_OK && removed) *removed = dropped;
  return sdb_txn_leave(db, rc, &op);
}

/* ---- bytes */

int seqdb_write(seqdb *db, seqdb_region region, uint64_t offset, const void *data, size_t bytes) {
  seqdb_error error;
  sdb_op op = {"write", &error};
  sdb_change change;
  int rc = enter(&change, db, region, &op);
  if (rc != SEQDB_OK) return rc;
  const sdb_entry *entry = entry_of(&change);
  rc = offset > entry->length ? sdb_past_length(entry, offset, &op) : sdb_write(&change, offset, data, bytes);
  return sdb_txn_leave(db, rc, &op);
}

int seqdb_truncate(seqdb *db, seqdb_region region, uint64_t length_bytes) {
  seqdb_error error;
  sdb_op op = {"truncate", &error};
  sdb_change change;
  int rc = enter(&change, db, region, &op);
  if (rc != SEQDB_OK) return rc;
  const sdb_entry *entry = entry_of(&change);
  rc = length_bytes > entry->length ? sdb_past_length(entry, length_bytes, &op) : sdb_write_cut(&change, length_bytes);
  return sdb_txn_leave(db, rc, &op);
}

int seqdb_truncate_write(seqdb *db, seqdb_region region, uint64_t offset, const void *data, size_t bytes) {
  seqdb_error error;
  sdb_op op = {"truncate_write", &error};
  sdb_change change;
  int rc = enter(&change, db, region, &op);
  if (rc != SEQDB_OK) return rc;
  const sdb_entry *entry = entry_of(&change);
  bool cuts = offset + bytes < entry->length;
  if (offset > entry->length) return sdb_txn_leave(db, sdb_past_length(entry, offset, &op), &op);
  /* Written first, cut afterwards: what can fail for lack of space fails before anything is cut; and the cut's memory
  ** is there before anything is written. */
  if (cuts) rc = sdb_write_own(&change);
  if (rc == SEQDB_OK) rc = sdb_write(&change, offset, data, bytes);
  if (rc == SEQDB_OK && cuts) rc = sdb_write_cut(&change, offset + bytes);
  return sdb_txn_leave(db, rc, &op);
}

int seqdb_set_length(seqdb *db, seqdb_region region, uint64_t length_bytes) {
  seqdb_error error;
  sdb_op op = {"set length", &error};
  sdb_change change;
  int rc = enter(&change, db, region, &op);
  if (rc != SEQDB_OK) return rc;
  uint64_t now = entry_of(&change)->length;
  rc = length_bytes <= now ? sdb_write_cut(&change, length_bytes) : sdb_write(&change, now, NULL, length_bytes - now);
  return sdb_txn_leave(db, rc, &op);
}

int seqdb_reserve(seqdb *db, seqdb_region region, uint64_t bytes, uint64_t *reserved_bytes) {
  seqdb_error error;
  sdb_op op = {"reserve", &error};
  sdb_change change;
  int rc = enter(&change, db, region, &op);
  if (rc != SEQDB_OK) return rc;
  rc = sdb_write_reserve(&change, bytes, true);
  if (rc == SEQDB_OK && reserved_bytes) *reserved_bytes = entry_of(&change)->reserved;
  return sdb_txn_leave(db, rc, &op);
}
