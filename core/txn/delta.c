/* SPDX-License-Identifier: MIT
**
** delta.c: see delta.h.
*/
#include "txn/delta.h"

#include <stdlib.h>
#include "os/os.h"

/* ---- collecting */

struct collecting {
  sdb_delta *delta;
  uint32_t *deleted;
  size_t put_capacity, deleted_capacity;
};

static int make_room(void **array, size_t capacity, size_t element_bytes) {
  void *grown = sdb_realloc(*array, capacity * element_bytes);
  if (!grown) return SEQDB_NOMEM;
  *array = grown;
  return SEQDB_OK;
}

static size_t next_capacity(size_t capacity) {
  return capacity ? 2 * capacity : 16;
}

static int collect_deleted(struct collecting *c, uint32_t index) {
  if (c->delta->deletes == c->deleted_capacity) {
    size_t capacity = next_capacity(c->deleted_capacity);
    if (make_room((void **)&c->deleted, capacity, sizeof *c->deleted) != SEQDB_OK) return SEQDB_NOMEM;
    c->deleted_capacity = capacity;
  }
  c->deleted[c->delta->deletes++] = index;
  return SEQDB_OK;
}

static int collect_put(struct collecting *c, uint32_t index, const sdb_entry *entry) {
  sdb_delta *delta = c->delta;
  if (delta->puts == c->put_capacity) {
    size_t capacity = next_capacity(c->put_capacity);
    if (make_room((void **)&delta->indexes, capacity, sizeof *delta->indexes) != SEQDB_OK) return SEQDB_NOMEM;
    if (make_room((void **)&delta->lengths, capacity, sizeof *delta->lengths) != SEQDB_OK) return SEQDB_NOMEM;
    c->put_capacity = capacity;
  }
  delta->indexes[delta->puts++] = index;
  if (entry->length) delta->lengths[delta->length_count++] = (sdb_range){entry->start, entry->length};
  delta->name_bytes += sdb_name_bytes(entry->name);
  return SEQDB_OK;
}

static int collect_entry(void *context, uint32_t index, const sdb_entry *before, const sdb_entry *after) {
  (void)before;
  return after ? collect_put(context, index, after) : collect_deleted(context, index);
}

/* The deleted ones follow those that were put. */
static int join(sdb_delta *delta, const uint32_t *deleted) {
  if (delta->deletes == 0) return SEQDB_OK;
  if (make_room((void **)&delta->indexes, delta->puts + delta->deletes, sizeof *deleted) != SEQDB_OK)
    return SEQDB_NOMEM;
  memcpy(delta->indexes + delta->puts, deleted, delta->deletes * sizeof *deleted);
  return SEQDB_OK;
}

static int by_start(const void *a, const void *b) {
  uint64_t x = ((const sdb_range *)a)->start, y = ((const sdb_range *)b)->start;
  return (x > y) - (x < y);
}

int sdb_delta_collect(sdb_delta *delta, const sdb_tree *before, const sdb_tree *after) {
  struct collecting c = {.delta = delta};
  memset(delta, 0, sizeof *delta);
  int rc = sdb_tree_diff(before, after, collect_entry, &c);
  if (rc == SEQDB_OK) rc = join(delta, c.deleted);
  sdb_free(c.deleted);
  if (rc != SEQDB_OK) {
    sdb_delta_free(delta);
    return SEQDB_NOMEM;
  }
  if (delta->length_count) qsort(delta->lengths, delta->length_count, sizeof *delta->lengths, by_start);
  return SEQDB_OK;
}

void sdb_delta_free(sdb_delta *delta) {
  sdb_free(delta->indexes);
  sdb_free(delta->lengths);
  memset(delta, 0, sizeof *delta);
}

/* ---- pieces */

int sdb_delta_each_patched(const sdb_delta *delta, const sdb_patch *patch, sdb_piece_visit *visit, void *context) {
  sdb_patch_range range;
  if (patch->count == 0) return SEQDB_OK;
  for (size_t i = 0; i < delta->length_count; i++) {
    uint64_t from = delta->lengths[i].start, end = from + delta->lengths[i].bytes;
    for (bool more = sdb_patch_next(patch, from, &range); more && range.offset < end;
         more = sdb_patch_following(&range)) {
      uint64_t a = SDB_MAX(range.offset, from), b = SDB_MIN(range.offset + range.bytes, end);
      sdb_piece piece = {a, b - a, range.data + (a - range.offset)};
      int rc = visit(context, &piece);
      if (rc != SEQDB_OK) return rc;
    }
  }
  return SEQDB_OK;
}

int sdb_delta_each_direct(const sdb_delta *delta, const sdb_range_set *direct, sdb_piece_visit *visit, void *context) {
  sdb_range found;
  if (direct->count == 0) return SEQDB_OK;
  for (size_t i = 0; i < delta->length_count; i++) {
    uint64_t at = delta->lengths[i].start, end = at + delta->lengths[i].bytes;
    for (; at < end && sdb_range_overlap(direct, at, end - at, &found); at = found.start + found.bytes) {
      sdb_piece piece = {found.start, found.bytes, NULL};
      int rc = visit(context, &piece);
      if (rc != SEQDB_OK) return rc;
    }
  }
  return SEQDB_OK;
}

int sdb_delta_cut_patch(const sdb_delta *delta, sdb_patch *patch) {
  uint64_t at = 0;
  int rc = SEQDB_OK;
  for (size_t i = 0; i <= delta->length_count && patch->count && rc == SEQDB_OK; i++) {
    const sdb_range *length = i < delta->length_count ? &delta->lengths[i] : NULL;
    uint64_t end = length ? length->start : SDB_OFFSET_MAX;
    if (end > at) rc = sdb_patch_remove(patch, at, end - at); /* of a damaged database they may overlap */
    if (length) at = SDB_MAX(at, length->start + length->bytes);
  }
  return rc;
}
