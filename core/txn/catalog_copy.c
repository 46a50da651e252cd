/* SPDX-License-Identifier: MIT
**
** catalog_copy.c: see catalog_copy.h.
**
** Writing costs what has changed, not what there is: entries that checkpoints wrote since are listed by index, and
** appended.  A list of too many, or of somebody else's file, is written anew; so is one whose changes have grown to
** half of it.
*/
#include "txn/catalog_copy.h"

#include "os/os.h"
#include "pure/indexes.h"
#include "space/tree_file.h"

void sdb_catalog_copy_forget(sdb_catalog_copy *copy) {
  sdb_free(copy->changed);
  *copy = (sdb_catalog_copy){.known = false};
}

/* Room for `more`; never for more than half of the entries. */
static bool reserve(sdb_catalog_copy *copy, size_t more) {
  size_t count = copy->changed_count + more;
  if (count <= copy->changed_capacity) return true;
  if (count > copy->head.entries / 2 + SDB_CATALOG_BLOCK_BYTES / sizeof *copy->changed) return false;
  uint32_t *grown = sdb_realloc(copy->changed, 2 * count * sizeof *grown);
  if (!grown) return false;
  copy->changed = grown;
  copy->changed_capacity = 2 * count;
  return true;
}

void sdb_catalog_copy_note(sdb_store *store) {
  sdb_catalog_copy *copy = &store->copy;
  if (!copy->known || store->named_count == 0) return;
  if (!reserve(copy, store->named_count)) {
    sdb_catalog_copy_forget(copy);
    return;
  }
  memcpy(copy->changed + copy->changed_count, store->named, store->named_count * sizeof *store->named);
  copy->changed_count = sdb_indexes_sort(copy->changed, copy->changed_count + store->named_count);
}

/* Does the file say it already? */
static bool is_right(const sdb_store *store, const sdb_os_stamp *stamp) {
  const sdb_catalog_copy *copy = &store->copy;
  return copy->known && copy->changed_count == 0 && sdb_catalog_head_is_of(&copy->head, &store->journal.header) &&
         sdb_catalog_head_has_stamp(&copy->head, stamp);
}

static void write_file(sdb_store *store) {
  sdb_catalog_copy *copy = &store->copy;
  const sdb_tree *tree = &store->committed->tree;
  const sdb_catalog_place place = {store->dir, store->regions.fd};
  sdb_catalog_head head = {.id = 0};
  sdb_os_stamp stamp;
  if (sdb_os_stamp_of(store->regions.fd, &stamp) != 0 || is_right(store, &stamp)) return;
  bool good = sdb_regions_stamp(&store->regions, &stamp), added = false;
  if (good) {
    sdb_catalog_head_bind(&head, &store->journal.header, &stamp);
    added =
        copy->known && sdb_tree_append_catalog(tree, &place, &copy->head, &head, copy->changed, copy->changed_count);
    good = added || sdb_tree_store_catalog(tree, &place, &head);
  }
  sdb_catalog_copy_forget(copy);
  copy->known = good;
  copy->head = head;
}

/* Without entries opening reads nothing anyway; what was not synced vouches for nothing. */
void sdb_catalog_copy_write(sdb_store *store) {
  const sdb_journal_header *header = &store->journal.header;
  if (store->committed->tree.entries == 0 || store->sync_off || header->sync_off || header->overlay ||
      store->journal.tail != header->start)
    return;
  pthread_mutex_lock(&store->files_mutex);
  write_file(store);
  pthread_mutex_unlock(&store->files_mutex);
}
