/* SPDX-License-Identifier: MIT
**
** redo.c: see redo.h.
*/
#include "txn/redo.h"

/* A prepare counts unless the record after it drops it.  What was published counts. */
bool sdb_redo_is_kept(const sdb_redo *f, const sdb_journal_record *record) {
  if (record->header->kind != SDB_RECORD_PREPARE) return true;
  if (record->next) return record->next->flags & SDB_RECORD_KEEP;
  return !(f->drop && record->header->coordinator_bytes);
}

/* ---- entries */

bool sdb_redo_has_name(const sdb_entry *entry, const sdb_entry_image *image) {
  return sdb_name_bytes(entry->name) == image->name_bytes &&
         memcmp(sdb_name_text(entry->name), image->name, image->name_bytes) == 0;
}

/* Is it the region that was there, perhaps moved or renamed?  Of directories of version 1 that is a guess. */
static bool same_region(const sdb_entry *before, const sdb_entry_image *image) {
  if (before->created && image->created) return before->created == image->created;
  return sdb_redo_has_name(before, image) || before->start == image->start;
}

/* Put what a page or a record says in the place of `before`, the store's own entry (NULL: none).  Names and numbers of
** regions that are still there stay what they are. */
int sdb_redo_put(sdb_store *store, sdb_tree *tree, uint32_t index, const sdb_entry_image *image,
                 const sdb_entry *before) {
  sdb_entry entry = {.start = image->start,
                     .length = image->length,
                     .reserved = image->reserved,
                     .generation = image->generation,
                     .created = image->created,
                     .has_trailer = image->has_trailer};
  bool same_name = before && sdb_redo_has_name(before, image);
  entry.incarnation = before && same_region(before, image) ? before->incarnation : ++store->incarnation;
  entry.name = same_name ? before->name : sdb_name_new(store->names, image->name, image->name_bytes, index);
  if (!entry.name) return SEQDB_NOMEM;
  sdb_entry_see(&entry, before, store->space.catalogs.reusable);
  int rc = sdb_tree_put(tree, store->names, store->epoch, index, &entry);
  if (!same_name) sdb_name_unref(store->names, entry.name);
  return rc;
}

sdb_entry_image sdb_redo_image(const sdb_record_put *put, uint64_t generation) {
  return (sdb_entry_image){.start = put->start,
                           .length = put->length,
                           .reserved = put->reserved,
                           .generation = generation,
                           .created = put->created,
                           .has_trailer = true,
                           .name_bytes = put->name_bytes,
                           .name = put->name};
}

int sdb_redo_ranges(sdb_patch *patch, const sdb_journal_record *record) {
  uint64_t cursor = 0;
  sdb_record_range range;
  int rc = SEQDB_OK;
  while (rc == SEQDB_OK && sdb_record_next_range(record->record, record->header, &cursor, &range))
    rc = sdb_patch_write(patch, range.offset, range.data, (size_t)range.bytes);
  return rc;
}

int sdb_redo_hold(sdb_range_set *redo, const sdb_journal_record *record) {
  uint64_t cursor = 0;
  sdb_record_range range;
  int rc = SEQDB_OK;
  while (rc == SEQDB_OK && sdb_record_next_range(record->record, record->header, &cursor, &range))
    rc = sdb_range_add(redo, range.offset, range.bytes);
  return rc;
}
