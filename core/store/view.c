/* SPDX-License-Identifier: MIT
**
** view.c: reading, of a snapshot or of the handle's own state.
**
** A snapshot's view reads its catalog, which never changes: it takes no lock.
** The own view reads the transaction, with txn_mutex held.  Without a transaction it shares the committed tree (memory
** only, so that names stay valid) and takes a snapshot for the moment of each read of bytes: it pins no space.
*/
#include "os/os.h"
#include "store/snapshot.h"
#include "txn/append.h"
#include "txn/begin.h"
#include "txn/member.h"

seqdb_view *seqdb_own_view(seqdb *db) {
  return &db->own_view;
}

/* ---- which tree a view reads */

/* Lock the view and return its tree, with tails settled so that lengths are true. */
static int view_enter(seqdb_view *view, const sdb_tree **tree, const sdb_op *op) {
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
  } else if ((rc = sdb_member_catch_up(store, op)) == SEQDB_OK) {
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

static void view_leave(seqdb_view *view) {
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
  info->created = entry->created;
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

int seqdb_find(seqdb_view *view, const char *name, size_t name_bytes, seqdb_region *region) {
  seqdb_error error;
  sdb_op op = {"find", &error};
  const sdb_tree *tree;
  int rc = view_enter(view, &tree, &op);
  if (rc == SEQDB_OK) {
    rc = find_named(view->db, tree, name, name_bytes, region, &op);
    view_leave(view);
  }
  return sdb_fail(view->db, rc, &op);
}

int seqdb_get_info(seqdb_view *view, seqdb_region region, seqdb_region_info *info) {
  seqdb_error error;
  sdb_op op = {"read", &error};
  const sdb_tree *tree;
  int rc = view_enter(view, &tree, &op);
  if (rc == SEQDB_OK) {
    const sdb_entry *entry = sdb_tree_get(tree, sdb_region_index(region));
    if (sdb_region_is(region, entry))
      fill_info(sdb_region_index(region), entry, info);
    else
      rc = sdb_gone(&op);
    view_leave(view);
  }
  return sdb_fail(view->db, rc, &op);
}

/* Those of a leaf whose bits are set, `most` at most.  Returns how many. */
static size_t fill_infos(uint32_t base, const sdb_entry *leaf, uint64_t used, seqdb_region_info *infos, size_t most) {
  size_t n = 0;
  for (; used && n < most; used &= used - 1) {
    unsigned at = sdb_lowest_bit(used);
    fill_info(base + at, &leaf[at], &infos[n++]);
  }
  return n;
}

int seqdb_iterate_many(seqdb_view *view, uint64_t index, seqdb_region_info *infos, size_t capacity, size_t *count) {
  seqdb_error error;
  sdb_op op = {"iterate", &error};
  const sdb_tree *tree;
  uint32_t base;
  uint64_t used;
  size_t n = 0;
  int rc = view_enter(view, &tree, &op);
  if (rc == SEQDB_OK) {
    for (const sdb_entry *leaf; n < capacity && (leaf = sdb_tree_leaf(tree, index, &base, &used)) != NULL;
         index = (uint64_t)base + 64)
      n += fill_infos(base, leaf, used, &infos[n], capacity - n);
    view_leave(view);
    if (n > 0)
      *count = n;
    else
      rc = SEQDB_DONE;
  }
  return sdb_fail(view->db, rc, &op);
}

int seqdb_iterate(seqdb_view *view, uint64_t index, seqdb_region_info *info) {
  size_t count;
  return seqdb_iterate_many(view, index, info, 1, &count);
}

int seqdb_view_totals(seqdb_view *view, uint64_t *regions, uint64_t *content_bytes) {
  seqdb_error error;
  sdb_op op = {"totals", &error};
  seqdb *db = view->db;
  uint64_t entries, bytes;
  int rc = sdb_usable(db, &op);
  if (rc != SEQDB_OK) return sdb_fail(db, rc, &op);
  if (view->catalog) {
    entries = view->catalog->tree.entries;
    bytes = view->catalog->tree.content_bytes;
  } else {
    pthread_mutex_lock(&db->txn_mutex);
    if (!sdb_txn_is_open(&db->txn) && (rc = sdb_member_catch_up(db->store, &op)) != SEQDB_OK) {
      pthread_mutex_unlock(&db->txn_mutex);
      return sdb_fail(db, rc, &op);
    }
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
  return SEQDB_OK;
}

/* ---- bytes */

static int past_end(const sdb_entry *entry, uint64_t offset, uint64_t bytes, const sdb_op *op) {
  char quoted[SDB_QUOTED_MAX];
  return sdb_error_set(op, SEQDB_RANGE, "data", offset, "region %s: %s of %llu bytes at %llu is past its length %llu",
                       sdb_name_quote(entry->name, quoted), op->operation, (unsigned long long)bytes,
                       (unsigned long long)offset, (unsigned long long)entry->length);
}

int seqdb_read(seqdb_view *view, seqdb_region region, uint64_t offset, uint64_t bytes, const void **data) {
  seqdb_error error;
  sdb_op op = {"read", &error};
  sdb_store *store = view->db->store;
  int rc = sdb_usable(view->db, &op);
  if (rc != SEQDB_OK) return sdb_fail(view->db, rc, &op);
  if (!view->catalog) return SEQDB_COPY;
  const sdb_entry *entry = sdb_tree_get(&view->catalog->tree, sdb_region_index(region));
  if (!sdb_region_is(region, entry)) return sdb_fail(view->db, sdb_gone(&op), &op);
  if (offset > entry->length || bytes > entry->length - offset)
    return sdb_fail(view->db, past_end(entry, offset, bytes, &op), &op);
  const uint8_t *address = sdb_data_at(&store->data, entry->start + offset, bytes);
  if (!address || entry->start + offset + bytes > atomic_load(&store->data.size_bytes) ||
      sdb_overlay_next(&store->overlay, view->generation, entry->start + offset, entry->start + offset + bytes) <
          entry->start + offset + bytes)
    return SEQDB_COPY;
  *data = address;
  return SEQDB_OK;
}

/* What is to be read, by name or by number, and where to. */
struct wanted {
  const char *name; /* NULL: `region` is known */
  size_t name_bytes;
  seqdb_region region;
  uint64_t offset;
  void *buffer;
  size_t bytes, got_bytes;
};

/* How many of the wanted bytes the region has. */
static size_t there(const sdb_entry *entry, const struct wanted *w) {
  return w->offset >= entry->length ? 0 : (size_t)SDB_MIN(w->bytes, entry->length - w->offset);
}

static int locate(seqdb *db, const sdb_tree *tree, struct wanted *w, const sdb_op *op) {
  return w->name ? find_named(db, tree, w->name, w->name_bytes, &w->region, op) : SEQDB_OK;
}

static int read_pinned(seqdb_view *view, struct wanted *w, const sdb_op *op) {
  sdb_store *store = view->db->store;
  int rc = locate(view->db, &view->catalog->tree, w, op);
  if (rc != SEQDB_OK) return rc;
  const sdb_entry *entry = sdb_tree_get(&view->catalog->tree, sdb_region_index(w->region));
  if (!sdb_region_is(w->region, entry)) return sdb_gone(op);
  size_t part = there(entry, w);
  uint64_t at = entry->start + w->offset;
  if (store->damage.count && at + part > atomic_load(&store->data.size_bytes))
    return sdb_error_set(op, SEQDB_CORRUPT, "data", at, "%s", store->damage.first.message);
  if (part) rc = sdb_overlay_read(&store->overlay, view->generation, at, w->buffer, part, op);
  w->got_bytes = part;
  return rc;
}

/* txn_mutex held, transaction open. */
static int read_own(seqdb *db, struct wanted *w, const sdb_op *op) {
  uint32_t index;
  int rc = locate(db, &db->txn.tree, w, op);
  if (rc != SEQDB_OK) return rc;
  if (!sdb_txn_entry(db, w->region, &index)) return sdb_gone(op);
  if ((rc = sdb_tail_settle(db, index, op)) != SEQDB_OK) return rc;
  const sdb_entry *entry = sdb_txn_entry(db, w->region, &index);
  size_t part = there(entry, w);
  if (part) rc = sdb_txn_read(db, entry->start + w->offset, w->buffer, part, op);
  w->got_bytes = part;
  return rc;
}

static int read_wanted(seqdb_view *view, struct wanted *w, size_t *got_bytes) {
  seqdb_error error;
  sdb_op op = {"read", &error};
  seqdb *db = view->db;
  int rc = sdb_usable(db, &op);
  if (rc == SEQDB_OK && view->catalog) {
    rc = read_pinned(view, w, &op);
  } else if (rc == SEQDB_OK) {
    pthread_mutex_lock(&db->txn_mutex);
    if (sdb_txn_is_open(&db->txn)) {
      rc = read_own(db, w, &op);
    } else {
      seqdb_snapshot moment = {.view.db = db}; /* too short to have an age */
      rc = sdb_snapshot_pin(db->store, &moment, &op);
      if (rc == SEQDB_OK) {
        rc = read_pinned(&moment.view, w, &op);
        sdb_snapshot_unpin(db->store, &moment);
      }
    }
    pthread_mutex_unlock(&db->txn_mutex);
  }
  if (rc == SEQDB_OK) *got_bytes = w->got_bytes;
  return sdb_fail(db, rc, &op);
}

int seqdb_read_copy(seqdb_view *view, seqdb_region region, uint64_t offset, void *buffer, size_t bytes,
                    size_t *got_bytes) {
  struct wanted w = {.region = region, .offset = offset, .buffer = buffer, .bytes = bytes};
  return read_wanted(view, &w, got_bytes);
}

int seqdb_read_named(seqdb_view *view, const char *name, size_t name_bytes, uint64_t offset, void *buffer, size_t bytes,
                     size_t *got_bytes) {
  struct wanted w = {.name = name, .name_bytes = name_bytes, .offset = offset, .buffer = buffer, .bytes = bytes};
  return read_wanted(view, &w, got_bytes);
}
