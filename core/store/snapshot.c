/* SPDX-License-Identifier: MIT
**
** snapshot.c: pins on committed catalogs, the handle's own view, and reading through either.
**
** Opening a snapshot is one reference on the committed catalog under the store's mutex; what it sees is neither
** overwritten nor reused (space.h, overlay.c) until it is closed.  Nobody waits for it.
** The own view pins no space.  Without a transaction it shares the committed tree (memory only, so that names stay valid)
** and takes a snapshot for the moment of each read.
*/
#include "os/os.h"
#include "store/open.h"
#include "txn/append.h"
#include "txn/begin.h"
#include "txn/checkpoint.h"
#include "txn/writer_lock.h"

/* ---- open and close */

static void pin(sdb_store *store, seqdb_snapshot *snapshot) {
  pthread_mutex_lock(&store->mutex);
  snapshot->catalog = store->committed;
  sdb_catalog_ref(snapshot->catalog);
  snapshot->generation = snapshot->catalog->generation;
  snapshot->older = store->snapshots_last;
  snapshot->newer = NULL;
  if (store->snapshots_last)
    store->snapshots_last->newer = snapshot;
  else
    store->snapshots = snapshot;
  store->snapshots_last = snapshot;
  store->snapshot_count++;
  pthread_mutex_unlock(&store->mutex);
}

/* Apply overlays that only waited for the snapshot just closed, if no writer is at work (the writer would do it itself). */
static void upkeep(sdb_store *store) {
  if (!sdb_upkeep_begin(store)) return;
  (void)sdb_checkpoint_drain(store, &sdb_unheard);
  sdb_upkeep_end(store);
}

static void unpin(sdb_store *store, seqdb_snapshot *snapshot, bool may_apply) {
  pthread_mutex_lock(&store->mutex);
  if (snapshot->older)
    snapshot->older->newer = snapshot->newer;
  else
    store->snapshots = snapshot->newer;
  if (snapshot->newer)
    snapshot->newer->older = snapshot->older;
  else
    store->snapshots_last = snapshot->older;
  store->snapshot_count--;
  sdb_space_unref(&store->space, snapshot->catalog);
  pthread_mutex_unlock(&store->mutex);
  if (may_apply && !sdb_overlay_is_empty(&store->overlay) && store->recovered && !sdb_is_poisoned(store)) upkeep(store);
}

int seqdb_snapshot_open(seqdb *db, seqdb_snapshot **snapshot) {
  seqdb_error error;
  sdb_op op = {"snapshot", &error};
  int rc = sdb_usable(db, &op);
  if (rc != SEQDB_OK) return sdb_fail(db, rc, &op);
  seqdb_snapshot *made = sdb_calloc(1, sizeof *made);
  if (!made) return sdb_fail(db, sdb_error_nomem(&op), &op);
  made->db = db;
  made->opened_ms = sdb_os_now_ms();
  atomic_fetch_add(&db->refs, 1);
  pin(db->store, made);
  *snapshot = made;
  return SEQDB_OK;
}

void seqdb_snapshot_close(seqdb_snapshot *snapshot) {
  seqdb_error error;
  sdb_op op = {"snapshot", &error};
  if (!snapshot) return;
  seqdb *db = snapshot->db;
  if (sdb_usable(db, &op) != SEQDB_OK) return; /* a child of fork: the parent's pin is not ours to undo */
  unpin(db->store, snapshot, true);
  sdb_free(snapshot);
  sdb_handle_unref(db);
}

uint64_t seqdb_snapshot_generation(const seqdb_snapshot *snapshot) {
  return snapshot->generation;
}

void seqdb_snapshot_totals(const seqdb_snapshot *snapshot, uint64_t *regions, uint64_t *content_bytes) {
  seqdb *db = snapshot->db;
  uint64_t entries = 0, bytes = 0;
  if (snapshot->catalog) {
    entries = snapshot->catalog->tree.entries;
    bytes = snapshot->catalog->tree.content_bytes;
  } else if (sdb_usable(db, &sdb_unheard) == SEQDB_OK) {
    pthread_mutex_lock(&db->txn_mutex);
    pthread_mutex_lock(&db->store->mutex);
    const sdb_tree *tree = sdb_txn_is_open(&db->txn) ? &db->txn.tree : &db->store->committed->tree;
    entries = tree->entries;
    bytes = tree->content_bytes;
    pthread_mutex_unlock(&db->store->mutex);
    if (content_bytes) bytes += sdb_tails_bytes(db);
    pthread_mutex_unlock(&db->txn_mutex);
  }
  if (regions) *regions = entries;
  if (content_bytes) *content_bytes = bytes;
}

seqdb_snapshot *seqdb_own_view(seqdb *db) {
  return db->own_view;
}

/* ---- which tree a view reads */

/* Lock the view and return its tree, with tails settled so that lengths are true. */
static int view_enter(seqdb_snapshot *view, const sdb_tree **tree, const sdb_op *op) {
  seqdb *db = view->db;
  sdb_store *store = db->store;
  int rc = sdb_usable(db, op);
  if (rc != SEQDB_OK) return rc;
  if (view->catalog) {
    *tree = &view->catalog->tree;
    return SEQDB_OK;
  }
  pthread_mutex_lock(&db->txn_mutex);
  if (sdb_txn_is_open(&db->txn)) {
    rc = sdb_tails_settle(db, op);
    *tree = &db->txn.tree;
  } else {
    pthread_mutex_lock(&store->mutex);
    bool renew = db->own_tree.root != store->committed->tree.root;
    sdb_tree old = db->own_tree;
    if (renew) db->own_tree = sdb_tree_share(&store->committed->tree);
    pthread_mutex_unlock(&store->mutex);
    if (renew) sdb_tree_drop(&old, store->names);
    *tree = &db->own_tree;
  }
  if (rc != SEQDB_OK) pthread_mutex_unlock(&db->txn_mutex);
  return rc;
}

static void view_leave(seqdb_snapshot *view) {
  if (!view->catalog) pthread_mutex_unlock(&view->db->txn_mutex);
}

static void fill_info(uint32_t index, const sdb_entry *entry, seqdb_region_info *info) {
  info->region = sdb_region_of(index, entry->incarnation);
  info->index = index;
  info->name = sdb_name_text(entry->name);
  info->name_bytes = entry->name_bytes;
  info->offset = entry->start;
  info->length_bytes = entry->length;
  info->reserved_bytes = entry->reserved;
  info->generation = entry->generation;
}

static int find_named(seqdb *db, const sdb_tree *tree, const char *name, size_t name_bytes, seqdb_region *region,
                      const sdb_op *op) {
  char quoted[SDB_QUOTED_MAX];
  uint32_t index;
  if (name_bytes > SEQDB_NAME_BYTES_MAX || !sdb_tree_find(tree, db->store->names, name, name_bytes, &index))
    return sdb_error_set(op, SEQDB_NOTFOUND, NULL, 0, "no such region: %s", sdb_quote_name(name, name_bytes, quoted));
  *region = sdb_region_of(index, sdb_tree_get(tree, index)->incarnation);
  return SEQDB_OK;
}

int seqdb_find(seqdb_snapshot *snapshot, const char *name, size_t name_bytes, seqdb_region *region) {
  seqdb_error error;
  sdb_op op = {"find", &error};
  const sdb_tree *tree;
  int rc = view_enter(snapshot, &tree, &op);
  if (rc == SEQDB_OK) {
    rc = find_named(snapshot->db, tree, name, name_bytes, region, &op);
    view_leave(snapshot);
  }
  return sdb_fail(snapshot->db, rc, &op);
}

int seqdb_get_info(seqdb_snapshot *snapshot, seqdb_region region, seqdb_region_info *info) {
  seqdb_error error;
  sdb_op op = {"read", &error};
  const sdb_tree *tree;
  int rc = view_enter(snapshot, &tree, &op);
  if (rc == SEQDB_OK) {
    const sdb_entry *entry = sdb_tree_get(tree, sdb_region_index(region));
    if (sdb_region_is(region, entry))
      fill_info(sdb_region_index(region), entry, info);
    else
      rc = sdb_gone(&op);
    view_leave(snapshot);
  }
  return sdb_fail(snapshot->db, rc, &op);
}

int seqdb_iterate_many(seqdb_snapshot *snapshot, uint64_t index, seqdb_region_info *infos, size_t capacity,
                       size_t *count) {
  seqdb_error error;
  sdb_op op = {"iterate", &error};
  const sdb_tree *tree;
  uint32_t base;
  uint64_t used;
  size_t n = 0;
  int rc = view_enter(snapshot, &tree, &op);
  if (rc == SEQDB_OK) {
    for (const sdb_entry *leaf; n < capacity && (leaf = sdb_tree_leaf(tree, index, &base, &used)) != NULL;
         index = (uint64_t)base + 64)
      for (; used && n < capacity; used &= used - 1)
        fill_info(base + sdb_lowest_bit(used), &leaf[sdb_lowest_bit(used)], &infos[n++]);
    if (n == 0) rc = SEQDB_DONE;
    view_leave(snapshot);
  }
  *count = n;
  return sdb_fail(snapshot->db, rc, &op);
}

int seqdb_iterate(seqdb_snapshot *snapshot, uint64_t index, seqdb_region_info *info) {
  size_t count;
  return seqdb_iterate_many(snapshot, index, info, 1, &count);
}

/* ---- bytes */

static int past_end(const sdb_entry *entry, uint64_t offset, uint64_t bytes, const sdb_op *op) {
  char quoted[SDB_QUOTED_MAX];
  return sdb_error_set(op, SEQDB_RANGE, "data", offset, "region %s: %s of %llu bytes at %llu is past its length %llu",
                       sdb_quote_name(sdb_name_text(entry->name), sdb_name_bytes(entry->name), quoted), op->operation,
                       (unsigned long long)bytes, (unsigned long long)offset, (unsigned long long)entry->length);
}

int seqdb_read(seqdb_snapshot *snapshot, seqdb_region region, uint64_t offset, uint64_t bytes, const void **data) {
  seqdb_error error;
  sdb_op op = {"read", &error};
  sdb_store *store = snapshot->db->store;
  int rc = sdb_usable(snapshot->db, &op);
  if (rc != SEQDB_OK) return sdb_fail(snapshot->db, rc, &op);
  if (!snapshot->catalog) return SEQDB_COPY;
  const sdb_entry *entry = sdb_tree_get(&snapshot->catalog->tree, sdb_region_index(region));
  if (!sdb_region_is(region, entry)) return sdb_fail(snapshot->db, sdb_gone(&op), &op);
  if (offset > entry->length || bytes > entry->length - offset)
    return sdb_fail(snapshot->db, past_end(entry, offset, bytes, &op), &op);
  const uint8_t *address = sdb_data_at(&store->data, entry->start + offset, bytes);
  if (!address || entry->start + offset + bytes > atomic_load(&store->data.size_bytes) ||
      sdb_overlay_next(&store->overlay, snapshot->generation, entry->start + offset, entry->start + offset + bytes) <
          entry->start + offset + bytes)
    return SEQDB_COPY;
  *data = address;
  return SEQDB_OK;
}

static int read_pinned(seqdb_snapshot *snapshot, seqdb_region region, uint64_t offset, void *buffer, size_t bytes,
                       size_t *got, const sdb_op *op) {
  sdb_store *store = snapshot->db->store;
  const sdb_entry *entry = sdb_tree_get(&snapshot->catalog->tree, sdb_region_index(region));
  if (!sdb_region_is(region, entry)) return sdb_gone(op);
  size_t part = offset >= entry->length ? 0 : (size_t)SDB_MIN(bytes, entry->length - offset);
  if (store->damage.count && entry->start + offset + part > atomic_load(&store->data.size_bytes))
    return sdb_error_set(op, SEQDB_CORRUPT, "data", entry->start + offset, "%s", store->damage.first.message);
  int rc = part ? sdb_overlay_read(&store->overlay, snapshot->generation, entry->start + offset, buffer, part, op)
                : SEQDB_OK;
  if (rc == SEQDB_OK) *got = part;
  return rc;
}

/* txn_mutex held, transaction active. */
static int read_own(seqdb *db, seqdb_region region, uint64_t offset, void *buffer, size_t bytes, size_t *got,
                    const sdb_op *op) {
  uint32_t index;
  if (!sdb_txn_entry(db, region, &index)) return sdb_gone(op);
  int rc = sdb_tail_settle(db, index, op);
  if (rc != SEQDB_OK) return rc;
  const sdb_entry *entry = sdb_txn_entry(db, region, &index);
  size_t part = offset >= entry->length ? 0 : (size_t)SDB_MIN(bytes, entry->length - offset);
  rc = part ? sdb_txn_read(db, entry->start + offset, buffer, part, op) : SEQDB_OK;
  if (rc == SEQDB_OK) *got = part;
  return rc;
}

int seqdb_read_copy(seqdb_snapshot *snapshot, seqdb_region region, uint64_t offset, void *buffer, size_t bytes,
                    size_t *got) {
  seqdb_error error;
  sdb_op op = {"read", &error};
  seqdb *db = snapshot->db;
  int rc = sdb_usable(db, &op);
  if (rc == SEQDB_OK && snapshot->catalog) {
    rc = read_pinned(snapshot, region, offset, buffer, bytes, got, &op);
  } else if (rc == SEQDB_OK) {
    pthread_mutex_lock(&db->txn_mutex);
    if (sdb_txn_is_open(&db->txn)) {
      rc = read_own(db, region, offset, buffer, bytes, got, &op);
    } else {
      seqdb_snapshot moment = {.db = db};
      pin(db->store, &moment);
      rc = read_pinned(&moment, region, offset, buffer, bytes, got, &op);
      unpin(db->store, &moment, false);
    }
    pthread_mutex_unlock(&db->txn_mutex);
  }
  return sdb_fail(db, rc, &op);
}

int seqdb_read_named(seqdb_snapshot *snapshot, const char *name, size_t name_bytes, uint64_t offset, void *buffer,
                     size_t bytes, size_t *got) {
  seqdb_error error;
  sdb_op op = {"read", &error};
  seqdb *db = snapshot->db;
  seqdb_region region;
  int rc = sdb_usable(db, &op);
  if (rc == SEQDB_OK && snapshot->catalog) {
    rc = find_named(db, &snapshot->catalog->tree, name, name_bytes, &region, &op);
    if (rc == SEQDB_OK) rc = read_pinned(snapshot, region, offset, buffer, bytes, got, &op);
  } else if (rc == SEQDB_OK) {
    pthread_mutex_lock(&db->txn_mutex);
    if (sdb_txn_is_open(&db->txn)) {
      rc = find_named(db, &db->txn.tree, name, name_bytes, &region, &op);
      if (rc == SEQDB_OK) rc = read_own(db, region, offset, buffer, bytes, got, &op);
    } else {
      seqdb_snapshot moment = {.db = db};
      pin(db->store, &moment);
      rc = find_named(db, &moment.catalog->tree, name, name_bytes, &region, &op);
      if (rc == SEQDB_OK) rc = read_pinned(&moment, region, offset, buffer, bytes, got, &op);
      unpin(db->store, &moment, false);
    }
    pthread_mutex_unlock(&db->txn_mutex);
  }
  return sdb_fail(db, rc, &op);
}
