/* SPDX-License-Identifier: MIT
**
** rewrite.c: see rewrite.h.  The steps are checkpoint.c's.
*/
#include "txn/rewrite.h"

#include "os/os.h"
#include "txn/room.h"

/* Not asked for, it must leave half of the journal and more; and so much must have come together. */
#define REWRITE_MIN_BYTES (UINT64_C(1) << 20)

/* Oldest layer first: in a record, later ranges win. */
static sdb_record_sizes sizes_of(const sdb_store *store) {
  sdb_record_sizes sizes = {.version = SDB_FORMAT_VERSION};
  for (const sdb_layer *layer = store->overlay.layers; layer; layer = layer->newer) {
    sizes.ranges += layer->patch.count;
    sizes.range_bytes += layer->patch.total_bytes;
  }
  return sizes;
}

bool sdb_rewrite_pays(sdb_store *store, bool due) {
  if (sdb_overlay_is_empty(&store->overlay) || !store->recovered) return false;
  if (store->journal.header.version != SDB_FORMAT_VERSION) return false;
  const sdb_record_sizes sizes = sizes_of(store);
  uint64_t bytes = sdb_journal_bytes(&store->journal), least = sdb_record_size(&sizes) + SDB_RECORD_ALIGN;
  if (!due) return bytes >= least || store->claims_changed;
  return bytes >= 2 * least + REWRITE_MIN_BYTES && bytes >= store->rewrite_at;
}

void sdb_rewrite_forget_unseen(sdb_store *store) {
  sdb_overlay_lock(&store->overlay);
  pthread_mutex_lock(&store->mutex);
  for (const sdb_pending *at = store->space.held; at; at = at->next)
    if (at->generation <= store->space.catalogs.reusable) sdb_overlay_remove(&store->overlay, at->start, at->bytes);
  pthread_mutex_unlock(&store->mutex);
  sdb_overlay_unlock(&store->overlay);
}

/* Into the record, and into what it holds.  *end: of the last range. */
static int fill_ranges(const sdb_store *store, sdb_record_writer *writer, sdb_range_set *redo, uint64_t *end) {
  sdb_patch_range range;
  int rc = SEQDB_OK;
  *end = 0;
  for (const sdb_layer *layer = store->overlay.layers; layer && rc == SEQDB_OK; layer = layer->newer)
    for (bool more = sdb_patch_next(&layer->patch, 0, &range); more && rc == SEQDB_OK;
         more = sdb_patch_following(&range)) {
      memcpy(sdb_record_add_range(writer, range.offset, range.bytes), range.data, (size_t)range.bytes);
      rc = sdb_range_add(redo, range.offset, range.bytes);
      *end = SDB_MAX(*end, range.offset + range.bytes);
    }
  return rc;
}

static int fill(sdb_store *store, sdb_rewrite *rewrite, sdb_record_writer *writer, sdb_record_header *header,
                const sdb_op *op) {
  uint64_t end, space_end = sdb_store_end(store);
  if (fill_ranges(store, writer, &rewrite->redo, &end) != SEQDB_OK) return sdb_error_nomem(op);
  *header = (sdb_record_header){.kind = SDB_RECORD_OVERLAY,
                                .salt = rewrite->next.header.salt,
                                .position = rewrite->next.tail,
                                .generation = sdb_store_base(store),
                                .previous = rewrite->next.previous,
                                .parent = store->tip,
                                .data_bytes = SDB_MAX(space_end, sdb_page_up(end)),
                                .entries = store->committed->tree.entries,
                                .entries_hash = store->committed->tree.hash};
  int rc = sdb_store_draw_token(store, &header->token, op);
  if (rc != SEQDB_OK) return rc;
  sdb_record_seal(writer, header);
  return SEQDB_OK;
}

int sdb_rewrite_begin(sdb_store *store, sdb_rewrite *rewrite, const sdb_op *op) {
  const sdb_record_sizes sizes = sizes_of(store);
  uint64_t bytes = sdb_record_size(&sizes), spare_bytes = sdb_room_for_giving(store);
  sdb_record_writer writer;
  sdb_record_header header;
  bool poison = false;
  sdb_range_pool_init(&rewrite->pool);
  sdb_range_set_init(&rewrite->redo, &rewrite->pool, false);
  uint8_t *record = bytes <= SIZE_MAX ? sdb_malloc((size_t)bytes) : NULL;
  if (!record) return sdb_error_nomem(op);
  sdb_record_begin(&writer, record, &sizes, NULL);
  int rc = sdb_journal_plan(&store->journal, bytes, spare_bytes, &rewrite->next, op);
  rewrite->next.header.sync_off = store->sync_off;
  if (rc == SEQDB_OK) rc = fill(store, rewrite, &writer, &header, op);
  if (rc == SEQDB_OK && (rc = sdb_journal_fill(&rewrite->next, record, &header, spare_bytes, &poison, op)) != SEQDB_OK)
    sdb_journal_forget(&store->journal, &rewrite->next);
  if (poison) sdb_poison(store);
  sdb_free(record);
  return rc;
}

void sdb_rewrite_done(sdb_store *store, sdb_rewrite *rewrite) {
  pthread_mutex_lock(&store->mutex);
  (void)sdb_space_renew_redo(&store->space, &rewrite->redo); /* without memory more is held than must be */
  pthread_mutex_unlock(&store->mutex);
}

void sdb_rewrite_free(sdb_rewrite *rewrite) {
  sdb_range_set_clear(&rewrite->redo);
  sdb_range_pool_destroy(&rewrite->pool);
}
