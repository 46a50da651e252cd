/* SPDX-License-Identifier: MIT
**
** overlay.c: see overlay.h.
*/
#include "space/overlay.h"

#include "os/os.h"

void sdb_overlay_init(sdb_overlay *overlay, sdb_data_file *data) {
  memset(overlay, 0, sizeof *overlay);
  overlay->data = data;
  pthread_rwlock_init(&overlay->lock, NULL);
  atomic_init(&overlay->layer_count, 0);
}

static void layer_free(sdb_layer *layer) {
  sdb_patch_clear(&layer->patch);
  sdb_free(layer);
}

void sdb_overlay_destroy(sdb_overlay *overlay) {
  while (overlay->layers) {
    sdb_layer *layer = overlay->layers;
    overlay->layers = layer->newer;
    layer_free(layer);
  }
  pthread_rwlock_destroy(&overlay->lock);
}

bool sdb_overlay_is_empty(const sdb_overlay *overlay) {
  return atomic_load_explicit(&overlay->layer_count, memory_order_acquire) == 0;
}

/* ---- reading */

uint64_t sdb_overlay_next(sdb_overlay *overlay, uint64_t generation, uint64_t offset, uint64_t end) {
  sdb_patch_range range;
  uint64_t next = end;
  if (sdb_overlay_is_empty(overlay)) return end;
  pthread_rwlock_rdlock(&overlay->lock);
  for (const sdb_layer *layer = overlay->layers; layer && layer->generation <= generation; layer = layer->newer)
    if (sdb_patch_next(&layer->patch, offset, &range)) next = SDB_MIN(next, SDB_MAX(range.offset, offset));
  pthread_rwlock_unlock(&overlay->lock);
  return next;
}

int sdb_overlay_read(sdb_overlay *overlay, uint64_t generation, uint64_t offset, void *buffer, size_t bytes,
                     const sdb_op *op) {
  if (sdb_overlay_is_empty(overlay)) return sdb_data_read(overlay->data, offset, buffer, bytes, op);
  /* `data` is read under the lock too: a layer that disappears meanwhile has been applied before. */
  pthread_rwlock_rdlock(&overlay->lock);
  int rc = sdb_data_read(overlay->data, offset, buffer, bytes, op);
  for (const sdb_layer *layer = overlay->layers; layer && layer->generation <= generation && rc == SEQDB_OK;
       layer = layer->newer)
    sdb_patch_read(&layer->patch, offset, bytes, buffer);
  pthread_rwlock_unlock(&overlay->lock);
  return rc;
}

uint64_t sdb_overlay_bytes(sdb_overlay *overlay) {
  uint64_t bytes = 0;
  pthread_rwlock_rdlock(&overlay->lock);
  for (const sdb_layer *layer = overlay->layers; layer; layer = layer->newer)
    bytes += sdb_patch_memory(&layer->patch);
  pthread_rwlock_unlock(&overlay->lock);
  return bytes;
}

/* ---- adding */

/* NULL: there is none. */
static sdb_layer *newest(const sdb_overlay *overlay) {
  sdb_layer *layer = overlay->layers;
  while (layer && layer->newer)
    layer = layer->newer;
  return layer;
}

int sdb_overlay_reserve(sdb_overlay *overlay, size_t ranges, sdb_layer **spare) {
  int rc = SEQDB_OK;
  if (ranges == 0) return SEQDB_OK;
  if (!*spare) {
    *spare = sdb_calloc(1, sizeof **spare);
    if (!*spare) return SEQDB_NOMEM;
    sdb_patch_init(&(*spare)->patch);
  }
  pthread_rwlock_wrlock(&overlay->lock);
  sdb_layer *last = newest(overlay);
  if (last) rc = sdb_patch_reserve(&last->patch, ranges);
  pthread_rwlock_unlock(&overlay->lock);
  return rc;
}

void sdb_overlay_free_spare(sdb_layer **spare) {
  if (*spare) layer_free(*spare);
  *spare = NULL;
}

void sdb_overlay_lock(sdb_overlay *overlay) {
  pthread_rwlock_wrlock(&overlay->lock);
}

void sdb_overlay_unlock(sdb_overlay *overlay) {
  pthread_rwlock_unlock(&overlay->lock);
}

static void append(sdb_overlay *overlay, sdb_layer *layer) {
  sdb_layer *last = newest(overlay);
  if (last)
    last->newer = layer;
  else
    overlay->layers = layer;
  atomic_fetch_add_explicit(&overlay->layer_count, 1, memory_order_release);
}

void sdb_overlay_add(sdb_overlay *overlay, uint64_t generation, uint64_t newest_reader, sdb_patch *patch,
                     sdb_layer **spare) {
  if (patch->count == 0) return;
  sdb_layer *last = newest(overlay);
  if (last && newest_reader < last->generation) { /* nobody reads a state between the two */
    sdb_patch_merge(&last->patch, patch);
    last->generation = generation;
    return;
  }
  sdb_layer *layer = *spare;
  assert(layer);
  *spare = NULL;
  layer->generation = generation;
  sdb_patch_merge(&layer->patch, patch);
  append(overlay, layer);
}

void sdb_overlay_compact(sdb_overlay *overlay) {
  sdb_layer *last = newest(overlay);
  sdb_patch copy, loose;
  if (!last || !sdb_patch_is_loose(&last->patch) || sdb_patch_copy(&last->patch, &copy) != SEQDB_OK) return;
  pthread_rwlock_wrlock(&overlay->lock);
  loose = last->patch;
  last->patch = copy;
  pthread_rwlock_unlock(&overlay->lock);
  sdb_patch_clear(&loose);
}

sdb_layer *sdb_overlay_layer(sdb_patch *patch, uint64_t generation) {
  sdb_layer *layer = sdb_calloc(1, sizeof *layer);
  if (!layer) return NULL;
  layer->generation = generation;
  layer->patch = *patch;
  sdb_patch_init(patch);
  return layer;
}

void sdb_overlay_replace(sdb_overlay *overlay, sdb_layer *layer) {
  sdb_layer *old = overlay->layers;
  overlay->layers = layer;
  atomic_store_explicit(&overlay->layer_count, layer ? 1 : 0, memory_order_release);
  while (old) {
    sdb_layer *newer = old->newer;
    layer_free(old);
    old = newer;
  }
}

/* Layers without a range, and those newer than `newest`, go.  Locked. */
static void prune(sdb_overlay *overlay, uint64_t newest) {
  sdb_layer **at = &overlay->layers, *layer;
  while ((layer = *at) != NULL) {
    if (layer->patch.count > 0 && layer->generation <= newest) {
      at = &layer->newer;
      continue;
    }
    *at = layer->newer;
    atomic_fetch_sub_explicit(&overlay->layer_count, 1, memory_order_release);
    layer_free(layer);
  }
}

static int confine_layer(sdb_layer *layer, const sdb_range_set *redo) {
  uint64_t at = 0;
  sdb_range range;
  int rc = SEQDB_OK;
  while (rc == SEQDB_OK && sdb_range_next(redo, at, &range)) {
    if (range.start > at) rc = sdb_patch_remove(&layer->patch, at, range.start - at);
    at = range.start + range.bytes;
  }
  return rc == SEQDB_OK ? sdb_patch_remove(&layer->patch, at, SDB_OFFSET_MAX - at) : rc;
}

int sdb_overlay_confine(sdb_overlay *overlay, const sdb_range_set *redo) {
  int rc = SEQDB_OK;
  for (sdb_layer *layer = overlay->layers; layer && rc == SEQDB_OK; layer = layer->newer)
    rc = confine_layer(layer, redo);
  prune(overlay, UINT64_MAX);
  return rc;
}

int sdb_overlay_renew(sdb_overlay *overlay, uint64_t newest_reader, const sdb_range_set *redo, sdb_layer *layer) {
  int rc = sdb_overlay_confine(overlay, redo);
  if (rc != SEQDB_OK) return rc;
  prune(overlay, newest_reader);
  if (layer) append(overlay, layer);
  return SEQDB_OK;
}

void sdb_overlay_remove(sdb_overlay *overlay, uint64_t offset, uint64_t bytes) {
  for (sdb_layer *layer = overlay->layers; layer; layer = layer->newer)
    (void)sdb_patch_remove(&layer->patch, offset, bytes);
  prune(overlay, UINT64_MAX);
}

int sdb_overlay_load(sdb_overlay *overlay, uint64_t generation, sdb_patch *patch) {
  assert(!overlay->layers);
  if (patch->count == 0) return SEQDB_OK;
  sdb_layer *layer = sdb_overlay_layer(patch, generation);
  if (!layer) return SEQDB_NOMEM;
  append(overlay, layer);
  return SEQDB_OK;
}

/* ---- applying */

/* Rewrite in one go where ranges lie close together: the bytes between them are written as they are.  A write of a
** few bytes costs Linux a walk over all blocks of the page cache's folio, up to 2 MiB on ext4 and XFS (measured: 15
** us).  Between two ranges there is never a whole page, so no page is written, and no hole filled, that has no range
** in it. */
static int apply_run(sdb_overlay *overlay, const sdb_patch *patch, uint64_t from, uint64_t to, uint8_t *block,
                     const sdb_op *op) {
  int rc = sdb_data_ensure(overlay->data, to, op);
  if (rc == SEQDB_OK) rc = sdb_data_read(overlay->data, from, block, (size_t)(to - from), op);
  if (rc != SEQDB_OK) return rc;
  sdb_patch_read(patch, from, (size_t)(to - from), block);
  return sdb_data_write(overlay->data, from, block, (size_t)(to - from), op);
}

#define RUN_BYTES       ((uint64_t)64 << 10)
#define RUN_LARGE_BYTES ((uint64_t)1 << 20) /* of large layers */
#define RUN_GAP_BYTES   ((uint64_t)SDB_PAGE - 1)

int sdb_overlay_apply(sdb_overlay *overlay, const sdb_patch *patch, const sdb_op *op) {
  sdb_patch_range range, next;
  int rc = SEQDB_OK;
  uint8_t *block = NULL;
  uint64_t run = patch->total_bytes < RUN_LARGE_BYTES ? RUN_BYTES : RUN_LARGE_BYTES;
  for (bool more = sdb_patch_next(patch, 0, &range); more && rc == SEQDB_OK; range = next) {
    uint64_t end = range.offset + range.bytes;
    next = range;
    more = sdb_patch_following(&next);
    if (!more || next.offset - end > RUN_GAP_BYTES || next.offset + next.bytes - range.offset > run) {
      /* Recovery may find ranges of regions that a later record removed, behind the end of the file. */
      rc = sdb_data_ensure(overlay->data, end, op);
      if (rc == SEQDB_OK) rc = sdb_data_write(overlay->data, range.offset, range.data, (size_t)range.bytes, op);
      continue;
    }
    while (more && next.offset - end <= RUN_GAP_BYTES && next.offset + next.bytes - range.offset <= run) {
      end = next.offset + next.bytes;
      more = sdb_patch_following(&next);
    }
    if (!block && !(block = sdb_malloc((size_t)run))) return sdb_error_nomem(op);
    rc = apply_run(overlay, patch, range.offset, end, block, op);
  }
  sdb_free(block);
  return rc;
}

bool sdb_overlay_held(const sdb_overlay *overlay, uint64_t oldest_reader) {
  const sdb_layer *last = newest(overlay);
  return last && oldest_reader < last->generation;
}

uint64_t sdb_overlay_due(const sdb_overlay *overlay, uint64_t oldest_reader) {
  uint64_t due = 0;
  for (const sdb_layer *layer = overlay->layers; layer && layer->generation <= oldest_reader; layer = layer->newer)
    due = layer->generation;
  return due;
}

/* The oldest `count` layers as one patch. */
static int merge_layers(const sdb_overlay *overlay, size_t count, sdb_patch *merged) {
  const sdb_layer *layer = overlay->layers;
  int rc = sdb_patch_copy(&layer->patch, merged);
  for (size_t i = 1; i < count && rc == SEQDB_OK; i++) {
    sdb_patch copy;
    layer = layer->newer;
    if ((rc = sdb_patch_copy(&layer->patch, &copy)) != SEQDB_OK) break;
    rc = sdb_patch_reserve(merged, copy.count);
    if (rc == SEQDB_OK) sdb_patch_merge(merged, &copy);
    sdb_patch_clear(&copy);
  }
  if (rc != SEQDB_OK) sdb_patch_clear(merged);
  return rc;
}

int sdb_overlay_cut(const sdb_overlay *overlay, uint64_t generation, sdb_patch *patch) {
  sdb_patch_range range;
  int rc = SEQDB_OK;
  for (const sdb_layer *layer = overlay->layers; layer; layer = layer->newer) {
    if (layer->generation <= generation) continue;
    for (bool more = sdb_patch_next(&layer->patch, 0, &range); more && rc == SEQDB_OK;
         more = sdb_patch_following(&range))
      rc = sdb_patch_remove(patch, range.offset, range.bytes);
  }
  return rc;
}

int sdb_overlay_drain(sdb_overlay *overlay, uint64_t oldest_reader, const sdb_op *op) {
  size_t count = 0;
  sdb_patch merged;
  for (const sdb_layer *layer = overlay->layers; layer && layer->generation <= oldest_reader; layer = layer->newer)
    count++;
  if (count == 0) return SEQDB_OK;
  int rc = count > 1 ? merge_layers(overlay, count, &merged) : SEQDB_OK;
  if (rc != SEQDB_OK) return sdb_error_nomem(op);
  /* Only the writer changes layers: reading them needs no lock. */
  rc = sdb_overlay_apply(overlay, count > 1 ? &merged : &overlay->layers->patch, op);
  if (count > 1) sdb_patch_clear(&merged);
  if (rc == SEQDB_OK) sdb_overlay_drop(overlay, oldest_reader);
  return rc;
}

void sdb_overlay_drop(sdb_overlay *overlay, uint64_t generation) {
  sdb_layer *dropped = NULL, *layer;
  pthread_rwlock_wrlock(&overlay->lock);
  while ((layer = overlay->layers) != NULL && layer->generation <= generation) {
    overlay->layers = layer->newer;
    atomic_fetch_sub_explicit(&overlay->layer_count, 1, memory_order_release);
    layer->newer = dropped;
    dropped = layer;
  }
  pthread_rwlock_unlock(&overlay->lock);
  while ((layer = dropped) != NULL) {
    dropped = layer->newer;
    layer_free(layer);
  }
}
