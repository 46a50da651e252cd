/* SPDX-License-Identifier: MIT
**
** touched.c: see touched.h.
**
** Lists are bounded: of more than MOST items neighbouring ranges of a region become one, with what lies between them,
** until each region has one.  So a list takes 24 bytes for MOST changes and a few for each region, whatever was done.
*/
#include "txn/touched.h"

#include "base/check.h"

#define MOST ((size_t)4096)

/* As the last commit has the region; NULL: it has not. */
static const sdb_entry *committed(const seqdb *db, uint32_t index, const sdb_entry *now) {
  const sdb_entry *then = sdb_tree_get(&db->store->committed->tree, index);
  return then && then->incarnation == now->incarnation ? then : NULL;
}

static int add(sdb_change_list *list, size_t *most, const sdb_change_item *item) {
  if (list->count >= *most) {
    sdb_change_list_coarsen(list, MOST);
    *most = SDB_MAX(2 * MOST, 2 * list->count);
  }
  return sdb_change_list_add(list, item);
}

static int add_range(sdb_change_list *list, size_t *most, uint32_t index, uint64_t from, uint64_t to) {
  if (from >= to) return SEQDB_OK;
  const sdb_change_item item = {.index = index, .op = SDB_CHANGE_WRITE, .offset = from, .bytes = to - from};
  return add(list, most, &item);
}

/* What the patch has of the region's bytes [0, length). */
static int add_patched(sdb_change_list *list, size_t *most, uint32_t index, const sdb_entry *entry, uint64_t length,
                       const sdb_patch *patch) {
  sdb_patch_range range;
  uint64_t start = entry->start, end = start + length;
  int rc = SEQDB_OK;
  if (patch->count == 0 || length == 0) return rc;
  for (bool more = sdb_patch_next(patch, start, &range); rc == SEQDB_OK && more && range.offset < end;
       more = sdb_patch_following(&range))
    rc = add_range(list, most, index, SDB_MAX(range.offset, start) - start,
                   SDB_MIN(range.offset + range.bytes, end) - start);
  return rc;
}

static int add_all_patched(const sdb_txn *txn, sdb_change_list *list, size_t *most, uint32_t index,
                           const sdb_entry *entry, uint64_t length) {
  int rc = add_patched(list, most, index, entry, length, &txn->patch);
  for (size_t i = 0; i < txn->mark_count && rc == SEQDB_OK; i++)
    rc = add_patched(list, most, index, entry, length, &txn->marks[i].patch);
  return rc;
}

/* ---- notes */

static int note(sdb_txn *txn, uint32_t index, uint64_t from, uint64_t to) {
  txn->touched_most = SDB_MAX(txn->touched_most, 2 * MOST);
  return add_range(&txn->touched, &txn->touched_most, index, from, to);
}

int sdb_touch_move(const sdb_change *change, uint64_t at, uint64_t bytes) {
  sdb_txn *txn = &change->db->txn;
  const sdb_entry *now = sdb_tree_get(&txn->tree, change->index), *then = committed(change->db, change->index, now);
  int rc = SEQDB_OK;
  if (!then) return rc;
  if (then->start == now->start) {
    uint64_t kept = SDB_MIN(now->length, then->length);
    txn->touched_most = SDB_MAX(txn->touched_most, 2 * MOST);
    rc = add_all_patched(txn, &txn->touched, &txn->touched_most, change->index, now, kept);
    if (rc == SEQDB_OK) rc = note(txn, change->index, kept, then->length);
  }
  if (rc == SEQDB_OK) rc = note(txn, change->index, at, SDB_MIN(at + bytes, then->length));
  return rc == SEQDB_OK ? rc : sdb_error_nomem(change->op);
}

/* Bytes [from, to) as far as the last commit has them, if the region is not any more where that has it. */
static int touch(const sdb_change *change, uint64_t from, uint64_t to) {
  sdb_txn *txn = &change->db->txn;
  const sdb_entry *now = sdb_tree_get(&txn->tree, change->index), *then = committed(change->db, change->index, now);
  if (!then || then->start == now->start) return SEQDB_OK;
  int rc = note(txn, change->index, from, SDB_MIN(to, then->length));
  return rc == SEQDB_OK ? rc : sdb_error_nomem(change->op);
}

int sdb_touch_write(const sdb_change *change, uint64_t at, uint64_t bytes) {
  return touch(change, at, at + bytes);
}

int sdb_touch_cut(const sdb_change *change, uint64_t length) {
  return touch(change, length, UINT64_MAX);
}

/* ---- the list of a record */

struct listing {
  const seqdb *db;
  sdb_change_list *list;
  size_t most;
};

static int say(struct listing *l, uint32_t index, uint32_t op, uint64_t offset, uint64_t bytes) {
  const sdb_change_item item = {.index = index, .op = op, .offset = offset, .bytes = bytes};
  return add(l->list, &l->most, &item);
}

static int say_new(struct listing *l, uint32_t index, const sdb_entry *before) {
  int rc = before ? say(l, index, SDB_CHANGE_REMOVE, before->created, 0) : SEQDB_OK;
  return rc == SEQDB_OK ? say(l, index, SDB_CHANGE_CREATE, 0, 0) : rc;
}

static bool same_name(const sdb_entry *a, const sdb_entry *b) {
  uint32_t bytes = sdb_name_bytes(a->name);
  return a->name == b->name ||
         (bytes == sdb_name_bytes(b->name) && memcmp(sdb_name_text(a->name), sdb_name_text(b->name), bytes) == 0);
}

/* It was there and is there.  Of one that has moved the notes tell the rest. */
static int say_changed(struct listing *l, uint32_t index, const sdb_entry *before, const sdb_entry *after) {
  const sdb_txn *txn = &l->db->txn;
  uint64_t old = before->length, new = after->length;
  int rc = same_name(before, after) ? SEQDB_OK : say(l, index, SDB_CHANGE_RENAME, 0, 0);
  if (rc == SEQDB_OK && new < old) rc = say(l, index, SDB_CHANGE_LENGTH, new, 0);
  if (rc == SEQDB_OK && new > old) rc = say(l, index, SDB_CHANGE_APPEND, old, new - old);
  if (rc == SEQDB_OK && before->start == after->start)
    rc = add_all_patched(txn, l->list, &l->most, index, after, SDB_MIN(old, new));
  return rc;
}

static int say_notes(struct listing *l) {
  const sdb_change_list *notes = &l->db->txn.touched;
  int rc = SEQDB_OK;
  for (size_t i = 0; i < notes->count && rc == SEQDB_OK; i++)
    rc = add(l->list, &l->most, &notes->items[i]);
  return rc;
}

static int list_all(struct listing *l, const sdb_delta *delta) {
  const sdb_tree *then = &l->db->store->committed->tree, *now = &l->db->txn.tree;
  int rc = SEQDB_OK;
  for (size_t i = 0; i < delta->puts + delta->deletes && rc == SEQDB_OK; i++) {
    uint32_t index = delta->indexes[i];
    const sdb_entry *before = sdb_tree_get(then, index), *after = i < delta->puts ? sdb_tree_get(now, index) : NULL;
    if (!after)
      rc = SDB_ALWAYS(before) ? say(l, index, SDB_CHANGE_REMOVE, before->created, 0) : SEQDB_OK;
    else if (before && before->incarnation == after->incarnation)
      rc = say_changed(l, index, before, after);
    else
      rc = say_new(l, index, before);
  }
  return rc == SEQDB_OK ? say_notes(l) : rc;
}

int sdb_touched_list(seqdb *db, const sdb_delta *delta, sdb_change_list *list) {
  struct listing l = {db, list, 2 * MOST};
  *list = (sdb_change_list){.items = NULL};
  int rc = list_all(&l, delta);
  /* Moved, or larger reserves: nobody can read a difference.  An empty list would be that of an older program. */
  if (rc == SEQDB_OK && list->count == 0 && delta->puts) rc = say(&l, delta->indexes[0], SDB_CHANGE_WRITE, 0, 0);
  if (rc == SEQDB_OK && list->count > MOST) sdb_change_list_coarsen(list, MOST);
  if (rc != SEQDB_OK) sdb_change_list_free(list);
  return rc;
}
