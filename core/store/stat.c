/* SPDX-License-Identifier: MIT
**
** stat.c: figures and the layout of `data`, both of the newest commit.
** Pending is what is neither a region of that commit nor a hole: freed extents that something still pins, and extents
** that an uncommitted transaction has taken.
*/
#include "base/sized.h"
#include "os/os.h"
#include "space/extents.h"
#include "store/readers.h"
#include "txn/member.h"

static void gather(sdb_store *store, const sdb_os_info *file, uint64_t entry_disk_bytes, seqdb_stat_info *info) {
  memset(info, 0, sizeof *info);
  info->file_bytes = file->size_bytes;
  info->disk_bytes = file->disk_bytes;
  info->entry_disk_bytes = entry_disk_bytes;
  info->overlay_bytes = sdb_overlay_bytes(&store->overlay);
  pthread_mutex_lock(&store->files_mutex);
  info->journal_bytes = store->journal.fd >= 0 ? sdb_journal_bytes(&store->journal) : 0;
  pthread_mutex_unlock(&store->files_mutex);
  pthread_mutex_lock(&store->mutex);
  const sdb_tree *tree = &store->committed->tree;
  info->generation = store->committed->generation;
  info->regions = tree->entries;
  info->content_bytes = tree->content_bytes;
  info->reserved_bytes = tree->reserved_bytes;
  info->hole_bytes = store->space.holes.total_bytes;
  uint64_t used = info->reserved_bytes + info->hole_bytes;
  info->pending_bytes = store->space.end > used ? store->space.end - used : 0;
  pthread_mutex_unlock(&store->mutex);
}

/* Disk blocks of `catalog`, if there is one. */
static uint64_t catalog_disk_bytes(const sdb_store *store) {
  sdb_os_info info = {0};
  sdb_fd file = -1;
  if (sdb_os_open(store->dir, "catalog", 0, &file) != 0) return 0;
  int os = sdb_os_info_of(file, &info);
  sdb_os_close(file);
  return os ? 0 : info.disk_bytes;
}

static void tell_readers(const sdb_readers *readers, seqdb_stat_info *info) {
  info->snapshots = readers->count;
  if (readers->count == 0) return;
  const seqdb_snapshot_info *oldest = &readers->rows[readers->oldest];
  info->oldest_snapshot_generation = oldest->generation;
  info->oldest_snapshot_age_ms = oldest->age_ms;
  info->oldest_snapshot_held_bytes = oldest->held_bytes;
}

int seqdb_stat(seqdb *db, seqdb_stat_info *info) {
  seqdb_error error;
  sdb_op op = {"stat", &error};
  sdb_os_info file, regions = {0};
  seqdb_stat_info found;
  sdb_readers readers = {0};
  int os, rc = sdb_usable(db, &op);
  if (rc == SEQDB_OK && !sdb_sized_is(info->size_bytes, SDB_STAT_FIRST_BYTES))
    rc = sdb_error_set(&op, SEQDB_INVALID, NULL, 0,
                       "stat: size_bytes of seqdb_stat_info is %u: begin with SEQDB_STAT_INIT", info->size_bytes);
  if (rc == SEQDB_OK && (os = sdb_os_info_of(db->store->data.fd, &file)) != 0)
    rc = sdb_error_os(&op, os, "data", 0, "data: cannot read its size");
  if (rc == SEQDB_OK && (os = sdb_os_info_of(db->store->regions.fd, &regions)) != 0)
    rc = sdb_error_os(&op, os, "regions", 0, "regions: cannot read its size");
  if (rc == SEQDB_OK) rc = sdb_readers_list(db->store, &readers, &op);
  if (rc != SEQDB_OK) {
    sdb_free(readers.rows);
    return sdb_fail(db, rc, &op);
  }
  gather(db->store, &file, regions.disk_bytes + catalog_disk_bytes(db->store), &found);
  tell_readers(&readers, &found);
  sdb_free(readers.rows);
  sdb_sized_copy_out(info, &found, sizeof found);
  return SEQDB_OK;
}

/* ---- layout */

struct rows {
  seqdb_layout_row *row;
  size_t count, capacity;
  uint64_t at; /* end of the last row */
};

/* Everything is counted first, so there is always room. */
static seqdb_layout_row *add(struct rows *rows, uint32_t kind, uint64_t offset, uint64_t bytes) {
  assert(rows->count < rows->capacity && offset == rows->at);
  seqdb_layout_row *row = &rows->row[rows->count++];
  *row = (seqdb_layout_row){.offset = offset, .bytes = bytes, .kind = kind};
  rows->at = offset + bytes;
  return row;
}

/* Holes and pending space up to `end`. store.mutex held. */
static void add_gap(struct rows *rows, const sdb_range_set *holes, uint64_t end) {
  sdb_range hole;
  while (rows->at < end) {
    bool found = sdb_range_overlap(holes, rows->at, end - rows->at, &hole);
    if (found && hole.start == rows->at)
      add(rows, SEQDB_EXTENT_HOLE, hole.start, hole.bytes);
    else
      add(rows, SEQDB_EXTENT_PENDING, rows->at, (found ? hole.start : end) - rows->at);
  }
}

static void add_regions(struct rows *rows, const sdb_store *store, const sdb_tree *tree,
                        const sdb_owned_extent *extents, size_t count, char *names) {
  for (size_t i = 0; i < count; i++) {
    const sdb_entry *entry = sdb_tree_get(tree, extents[i].index);
    uint64_t end = extents[i].start + extents[i].bytes;
    if (end <= rows->at) continue; /* overlaps: a damaged database */
    if (extents[i].start > rows->at) add_gap(rows, &store->space.holes, extents[i].start);
    seqdb_layout_row *row = add(rows, SEQDB_EXTENT_REGION, rows->at, end - rows->at);
    row->used_bytes = entry->length;
    row->name = names;
    row->name_bytes = sdb_name_bytes(entry->name);
    memcpy(names, sdb_name_text(entry->name), row->name_bytes);
    names += row->name_bytes;
  }
}

static int build(sdb_store *store, struct rows *rows) {
  sdb_owned_extent *extents = NULL;
  uint64_t name_bytes = 0, from = 0, size = atomic_load(&store->data.size_bytes);
  size_t count = 0;
  uint32_t index;
  int rc = SEQDB_NOMEM;
  pthread_mutex_lock(&store->mutex); /* held throughout: holes and regions must be of one moment */
  const sdb_tree *tree = &store->committed->tree;
  if (sdb_tree_extents(tree, &extents, &count) != SEQDB_OK) goto done;
  for (const sdb_entry *entry; (entry = sdb_tree_next(tree, from, &index)); from = (uint64_t)index + 1)
    name_bytes += sdb_name_bytes(entry->name);
  rows->capacity = 2 * (count + store->space.holes.count) + 3;
  rows->row = sdb_malloc(rows->capacity * sizeof *rows->row + (size_t)name_bytes);
  if (!rows->row) goto done;
  add_regions(rows, store, tree, extents, count, (char *)(rows->row + rows->capacity));
  add_gap(rows, &store->space.holes, SDB_MIN(store->space.end, size));
  if (rows->at < size) add(rows, SEQDB_EXTENT_TAIL, rows->at, size - rows->at);
  rc = SEQDB_OK;
done:
  pthread_mutex_unlock(&store->mutex);
  sdb_free(extents);
  return rc;
}

int seqdb_layout(seqdb *db, seqdb_layout_row **rows, size_t *count) {
  seqdb_error error;
  sdb_op op = {"layout", &error};
  struct rows built = {0};
  int rc = sdb_usable(db, &op);
  if (rc == SEQDB_OK) rc = sdb_member_tidy(db->store, &op);
  if (rc == SEQDB_OK && build(db->store, &built) != SEQDB_OK) rc = sdb_error_nomem(&op);
  if (rc != SEQDB_OK) return sdb_fail(db, rc, &op);
  *rows = built.row;
  *count = built.count;
  return SEQDB_OK;
}
