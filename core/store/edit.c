/* SPDX-License-Identifier: MIT
**
** region.c: the changes a handle can make to regions, other than appending.
** Each takes the transaction's mutex, begins the transaction if need be, settles the region's slot and leaves where bytes go to
** place.c.
*/
#include "txn/db.h"
#include "base/error.h"
#include "pure/entry_rules.h"

/* ---- common */

static const char *quoted_name(const sdb_entry *entry, char quoted[SDB_QUOTED_MAX]) {
  return sdb_quote_name(sdb_name_text(entry->name), sdb_name_bytes(entry->name), quoted);
}

static int check_name(const char *name, size_t name_bytes, const sdb_op *op) {
  char quoted[SDB_QUOTED_MAX];
  size_t at = 0;
  const char *problem = sdb_name_problem(name, name_bytes, &at);
  if (!problem) return SEQDB_OK;
  return sdb_error_set(op, SEQDB_INVALID, NULL, at, "region name %s: %s", sdb_quote_name(name, name_bytes, quoted),
                       problem);
}

/* Lock, begin, find and settle.  On success the caller unlocks; on error it is unlocked. */
static int enter(seqdb *db, seqdb_region region, uint32_t *index, const sdb_op *op) {
  int rc = sdb_usable(db, op);
  if (rc != SEQDB_OK) return rc;
  pthread_mutex_lock(&db->txn_mutex);
  rc = sdb_txn_begin(db, op);
  if (rc == SEQDB_OK && !sdb_txn_entry(db, region, index)) rc = sdb_gone(db, op);
  if (rc == SEQDB_OK) rc = sdb_tail_settle(db, *index, op);
  if (rc != SEQDB_OK) {
    sdb_txn_let_go(db);
    pthread_mutex_unlock(&db->txn_mutex);
  }
  return rc;
}

static int leave(seqdb *db, int rc, const sdb_op *op) {
  if (rc != SEQDB_OK) sdb_txn_let_go(db);
  pthread_mutex_unlock(&db->txn_mutex);
  return sdb_fail(db, rc, op);
}

static int beyond(const sdb_entry *entry, uint64_t at, const sdb_op *op) {
  char quoted[SDB_QUOTED_MAX];
  return sdb_error_set(op, SEQDB_RANGE, "data", at, "region %s: %s at %llu is past its length %llu",
                       quoted_name(entry, quoted), op->operation, (unsigned long long)at,
                       (unsigned long long)entry->length);
}

/* ---- create, rename, remove */

/* A new entry with one page, named; txn begun. */
static int make(seqdb *db, const char *name, size_t name_bytes, seqdb_region *region, const sdb_op *op) {
  sdb_store *store = db->store;
  sdb_txn *txn = &db->txn;
  uint32_t index = sdb_tree_unused_index(&txn->tree);
  sdb_entry entry = {.reserved = SDB_PAGE, .incarnation = ++store->incarnation};
  if (index >= SDB_INDEX_MAX) /* GCOVR_EXCL_BR_LINE: four billion regions */
    return sdb_error_set(op, SEQDB_FULL, "regions", 0, "regions: no entry index is left");
  pthread_mutex_lock(&store->mutex);
  bool dirty = false;
  int rc = sdb_space_alloc(&store->space, entry.reserved, &entry.start, &dirty);
  if (dirty) sdb_space_note_cut(&store->space, index, entry.start, 0, entry.reserved); /* it may stay empty */
  uint64_t end = store->space.end;
  pthread_mutex_unlock(&store->mutex);
  if (rc == SEQDB_NOMEM) return sdb_error_nomem(op);
  if (rc != SEQDB_OK) return sdb_error_set(op, rc, "data", 0, "data: no room for one more page");
  rc = sdb_data_ensure(&store->data, end, op);
  if (rc == SEQDB_OK) {
    entry.name = sdb_name_new(store->names, name, name_bytes, index);
    rc = entry.name ? sdb_write_put(db, index, &entry, op) : sdb_error_nomem(op);
    if (entry.name) sdb_name_unref(store->names, entry.name);
  }
  if (rc == SEQDB_OK) {
    *region = sdb_region_of(index, entry.incarnation);
    return SEQDB_OK;
  }
  pthread_mutex_lock(&store->mutex);
  sdb_space_give_up(&store->space, index, entry.start, entry.reserved);
  pthread_mutex_unlock(&store->mutex);
  return rc;
}

uint32_t seqdb_region_index(seqdb_region region) {
  return sdb_region_index(region);
}

int seqdb_find_or_create(seqdb *db, const char *name, size_t name_bytes, seqdb_region *region, int *created) {
  seqdb_error error;
  sdb_op op = {"create", &error};
  uint32_t index;
  int rc = sdb_usable(db, &op);
  if (rc == SEQDB_OK) rc = check_name(name, name_bytes, &op);
  if (rc != SEQDB_OK) return sdb_fail(db, rc, &op);
  pthread_mutex_lock(&db->txn_mutex);
  rc = sdb_txn_begin(db, &op);
  if (rc == SEQDB_OK) {
    bool exists = sdb_tree_find(&db->txn.tree, db->store->names, name, name_bytes, &index);
    if (exists)
      *region = sdb_region_of(index, sdb_tree_get(&db->txn.tree, index)->incarnation);
    else
      rc = make(db, name, name_bytes, region, &op);
    if (rc == SEQDB_OK && created) *created = !exists;
  }
  return leave(db, rc, &op);
}

int seqdb_rename(seqdb *db, seqdb_region region, const char *name, size_t name_bytes) {
  seqdb_error error;
  sdb_op op = {"rename", &error};
  uint32_t index, other;
  sdb_store *store = db->store;
  int rc = check_name(name, name_bytes, &op);
  if (rc == SEQDB_OK) rc = enter(db, region, &index, &op);
  if (rc != SEQDB_OK) return sdb_fail(db, rc, &op);
  if (sdb_tree_find(&db->txn.tree, store->names, name, name_bytes, &other)) {
    if (other != index) {
      char quoted[SDB_QUOTED_MAX];
      rc = sdb_error_set(&op, SEQDB_EXISTS, NULL, 0, "region %s exists", sdb_quote_name(name, name_bytes, quoted));
    }
    return leave(db, rc, &op);
  }
  sdb_entry entry = *sdb_tree_get(&db->txn.tree, index);
  entry.name = sdb_name_new(store->names, name, name_bytes, index);
  rc = entry.name ? sdb_write_put(db, index, &entry, &op) : sdb_error_nomem(&op);
  if (entry.name) sdb_name_unref(store->names, entry.name);
  return leave(db, rc, &op);
}

/* txn begun, slot settled. */
static int drop(seqdb *db, uint32_t index, const sdb_op *op) {
  sdb_store *store = db->store;
  const sdb_entry *entry = sdb_tree_get(&db->txn.tree, index);
  uint64_t start = entry->start, reserved = entry->reserved;
  pthread_mutex_lock(&store->mutex);
  int rc = sdb_space_reserve_give_up(&store->space, index, start, reserved);
  pthread_mutex_unlock(&store->mutex);
  if (rc != SEQDB_OK) return sdb_error_nomem(op);
  if (sdb_tree_remove(&db->txn.tree, store->names, db->txn.epoch, index) != SEQDB_OK) return sdb_error_nomem(op);
  db->txn.prepared_is_current = false;
  db->txn.mark_failed = false;
  (void)sdb_patch_remove(&db->txn.patch, start, reserved); /* whole ranges: splits none */
  pthread_mutex_lock(&store->mutex);
  sdb_space_give_up(&store->space, index, start, reserved);
  pthread_mutex_unlock(&store->mutex);
  return SEQDB_OK;
}

int seqdb_remove(seqdb *db, seqdb_region region) {
  seqdb_error error;
  sdb_op op = {"remove", &error};
  uint32_t index;
  int rc = enter(db, region, &index, &op);
  return rc == SEQDB_OK ? leave(db, drop(db, index, &op), &op) : sdb_fail(db, rc, &op);
}

int seqdb_retain(seqdb *db, const char *const *names, const size_t *name_bytes, size_t count, uint64_t *removed) {
  seqdb_error error;
  sdb_op op = {"retain", &error};
  uint32_t index;
  uint64_t from = 0, dropped = 0;
  uint8_t *keep = NULL;
  int rc = sdb_usable(db, &op);
  if (rc != SEQDB_OK) return sdb_fail(db, rc, &op);
  pthread_mutex_lock(&db->txn_mutex);
  rc = sdb_txn_begin(db, &op);
  if (rc == SEQDB_OK) rc = sdb_tails_settle(db, &op);
  if (rc != SEQDB_OK) goto done;
  const sdb_entry *entry;
  uint64_t limit = 0; /* one past the largest used index */
  for (from = 0; sdb_tree_next(&db->txn.tree, from, &index); from = limit)
    limit = (uint64_t)index + 1;
  if (limit && !(keep = sdb_calloc(1, (size_t)limit))) {
    rc = sdb_error_nomem(&op);
    goto done;
  }
  for (size_t i = 0; i < count; i++)
    if (sdb_tree_find(&db->txn.tree, db->store->names, names[i], name_bytes[i], &index)) keep[index] = 1;
  for (from = 0; rc == SEQDB_OK && (entry = sdb_tree_next(&db->txn.tree, from, &index)); from = (uint64_t)index + 1) {
    if (keep[index]) continue;
    rc = drop(db, index, &op);
    dropped += rc == SEQDB_OK;
  }
  if (rc == SEQDB_OK && removed) *removed = dropped;
done:
  sdb_free(keep);
  return leave(db, rc, &op);
}

/* ---- bytes */

int seqdb_write(seqdb *db, seqdb_region region, uint64_t offset, const void *data, size_t bytes) {
  seqdb_error error;
  sdb_op op = {"write", &error};
  uint32_t index;
  int rc = enter(db, region, &index, &op);
  if (rc != SEQDB_OK) return sdb_fail(db, rc, &op);
  const sdb_entry *entry = sdb_tree_get(&db->txn.tree, index);
  if (offset > entry->length)
    rc = beyond(entry, offset, &op);
  else
    rc = sdb_write(db, index, offset, data, bytes, &op);
  return leave(db, rc, &op);
}

int seqdb_truncate(seqdb *db, seqdb_region region, uint64_t length) {
  seqdb_error error;
  sdb_op op = {"truncate", &error};
  uint32_t index;
  int rc = enter(db, region, &index, &op);
  if (rc != SEQDB_OK) return sdb_fail(db, rc, &op);
  const sdb_entry *entry = sdb_tree_get(&db->txn.tree, index);
  if (length > entry->length)
    rc = beyond(entry, length, &op);
  else
    rc = sdb_write_cut(db, index, length, &op);
  return leave(db, rc, &op);
}

int seqdb_truncate_write(seqdb *db, seqdb_region region, uint64_t offset, const void *data, size_t bytes) {
  seqdb_error error;
  sdb_op op = {"truncate_write", &error};
  uint32_t index;
  int rc = enter(db, region, &index, &op);
  if (rc != SEQDB_OK) return sdb_fail(db, rc, &op);
  const sdb_entry *entry = sdb_tree_get(&db->txn.tree, index);
  uint64_t old_length = entry->length, end = offset + bytes;
  if (offset > old_length) return leave(db, beyond(entry, offset, &op), &op);
  /* Written first, cut afterwards: what can fail for lack of space fails before anything is cut; and the cut's memory is there
  ** before anything is written. */
  if (end < old_length && sdb_tree_own(&db->txn.tree, db->store->names, db->txn.epoch, index) != SEQDB_OK)
    return leave(db, sdb_error_nomem(&op), &op);
  rc = sdb_write(db, index, offset, data, bytes, &op);
  if (rc == SEQDB_OK && end < old_length) rc = sdb_write_cut(db, index, end, &op);
  return leave(db, rc, &op);
}

int seqdb_set_length(seqdb *db, seqdb_region region, uint64_t length) {
  seqdb_error error;
  sdb_op op = {"set length", &error};
  uint32_t index;
  int rc = enter(db, region, &index, &op);
  if (rc != SEQDB_OK) return sdb_fail(db, rc, &op);
  uint64_t now = sdb_tree_get(&db->txn.tree, index)->length;
  rc = length <= now ? sdb_write_cut(db, index, length, &op) : sdb_write(db, index, now, NULL, length - now, &op);
  return leave(db, rc, &op);
}

int seqdb_reserve(seqdb *db, seqdb_region region, uint64_t bytes, uint64_t *reserved) {
  seqdb_error error;
  sdb_op op = {"reserve", &error};
  uint32_t index;
  int rc = enter(db, region, &index, &op);
  if (rc != SEQDB_OK) return sdb_fail(db, rc, &op);
  rc = sdb_write_reserve(db, index, bytes, true, &op);
  if (rc == SEQDB_OK && reserved) *reserved = sdb_tree_get(&db->txn.tree, index)->reserved;
  return leave(db, rc, &op);
}
