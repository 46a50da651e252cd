/* SPDX-License-Identifier: MIT
**
** changes.c: what has changed since a generation, as a snapshot shows it.
**
**     items: which regions, and where           the snapshot's catalog: which of them are there, and how long
**     (file `changes`, records of the journal)  (so removed, created or merely written is said by it)
**
** Items may say too much: they may be of a commit that the snapshot does not have, or that did not count.  So they only
** say where to look.  A region whose `created` is after `since` is new, whatever items there are; what is not there is
** removed, unless it was made after `since`.
** THREADS: a seqdb_changes is used by one thread at a time.
*/
#include "base/sized.h"
#include "os/os.h"
#include "pure/branches.h"
#include "txn/changes_copy.h"
#include "txn/handle.h"
#include "txn/member.h"

struct seqdb_changes {
  const sdb_tree *tree; /* of the snapshot */
  uint64_t since;       /* 0: all regions of the tree, and no items */
  sdb_change_item *items;
  size_t count;
  bool removing;  /* the first pass */
  size_t at;      /* the next item; in the second pass the first one of the next region */
  uint64_t next;  /* since == 0: the next index */
  unsigned step;  /* of the region: enum step */
  uint32_t index; /* the region ... */
  const sdb_entry *entry;
  size_t from, to; /* ... and its items */
  uint64_t done;   /* bytes before it have been told */
};

enum step { NO_REGION, NAME, LENGTH, WRITES };

/* ---- gathering */

#define TRIES 64u /* while headers change */

/* Only what reading needs: the rest belongs to the writer. */
static void where_it_stands(sdb_store *store, sdb_journal *journal) {
  pthread_mutex_lock(&store->files_mutex);
  const sdb_journal *now = &store->journal;
  *journal = (sdb_journal){.fd = now->fd, .header = now->header, .tail = now->tail, .previous = now->previous};
  pthread_mutex_unlock(&store->files_mutex);
}

static int overtaken(const sdb_store *store, const sdb_op *op) {
  return sdb_error_set(op, SEQDB_BUSY, "journal", 0,
                       "%s: %s has checkpoints faster than its records can be read; try again", op->operation,
                       store->path);
}

static int damaged(const sdb_store *store, uint64_t tail, const sdb_op *op) {
  return sdb_error_set(op, SEQDB_CORRUPT, "journal", tail, "%s: the records of %s cannot be read up to byte %llu",
                       op->operation, store->path, (unsigned long long)tail);
}

/* All that is known of the commits up to `generation`.  Repeated while a checkpoint, of any process, comes between: its
** header is published before anything changes that the one before leads to.  So where the header has not changed,
** records that cannot be read are damaged. */
static int gather(sdb_store *store, uint64_t generation, sdb_change_list *list, const sdb_op *op) {
  sdb_changes_found found = {.known = false};
  sdb_journal journal, after;
  bool reached = false, same = false;
  int rc = SEQDB_OK;
  for (unsigned tries = 0; rc == SEQDB_OK && !same; tries++) {
    sdb_change_list_free(&found.list);
    where_it_stands(store, &journal);
    if (journal.fd < 0) { /* rawdb's */
      list->floor = generation;
      return SEQDB_OK;
    }
    if (tries == TRIES) return overtaken(store, op);
    rc = sdb_changes_gather(store, &journal, generation, &found, &reached, op);
    if (rc == SEQDB_OK) rc = sdb_member_catch_up(store, op);
    where_it_stands(store, &after);
    same = after.header.salt == journal.header.salt;
  }
  if (rc == SEQDB_OK && !reached) rc = damaged(store, journal.tail, op);
  if (rc != SEQDB_OK) sdb_change_list_free(&found.list);
  *list = found.list;
  return rc;
}

/* ---- opening */

static int gap(const sdb_store *store, uint64_t since, const char *why, uint64_t bound, const sdb_op *op) {
  return sdb_error_set(op, SEQDB_GAP, "changes", 0,
                       "changes after generation %llu of %s are not known: %s %llu; begin with everything, which is "
                       "generation 0",
                       (unsigned long long)since, store->path, why, (unsigned long long)bound);
}

static void forget_old(sdb_change_list *list, uint64_t since) {
  size_t kept = 0;
  for (size_t i = 0; i < list->count; i++)
    if (list->items[i].generation > since) list->items[kept++] = list->items[i];
  list->count = kept;
}

static int open_since(sdb_store *store, seqdb_changes *made, uint64_t to, const sdb_op *op) {
  sdb_change_list list = {.items = NULL};
  made->removing = true;
  if (made->since > to) return gap(store, made->since, "the newest commit that can be seen is", to, op);
  int rc = gather(store, to, &list, op);
  if (rc == SEQDB_OK && list.floor > made->since)
    rc = gap(store, made->since, "the oldest that is known comes after", list.floor, op);
  if (rc != SEQDB_OK) {
    sdb_change_list_free(&list);
    return rc;
  }
  forget_old(&list, made->since);
  sdb_change_list_join(&list);
  made->items = list.items;
  made->count = list.count;
  return rc;
}

int seqdb_changes_open(seqdb *db, const seqdb_snapshot *snapshot, uint64_t since, uint64_t *to,
                       seqdb_changes **changes) {
  seqdb_error error;
  sdb_op op = {"changes", &error};
  uint64_t generation = snapshot->view.generation;
  int rc = sdb_usable(db, &op);
  seqdb_changes *made = rc == SEQDB_OK ? sdb_calloc(1, sizeof *made) : NULL;
  if (rc == SEQDB_OK && !made) rc = sdb_error_nomem(&op);
  if (rc != SEQDB_OK) return sdb_fail(db, rc, &op);
  made->tree = &snapshot->view.catalog->tree;
  made->since = since;
  if (since > 0) rc = open_since(db->store, made, generation, &op);
  if (rc != SEQDB_OK) {
    sdb_free(made);
    return sdb_fail(db, rc, &op);
  }
  *to = generation;
  *changes = made;
  return SEQDB_OK;
}

void seqdb_changes_close(seqdb_changes *changes) {
  if (!changes) return;
  sdb_free(changes->items);
  sdb_free(changes);
}

/* ---- what is gone */

static bool was_there(const seqdb_changes *c, uint64_t created) {
  return created <= c->since;
}

/* The item removes a region that nothing older than `since` has taken the place of.  One that was made after `since`,
** too: who has applied a newer list already knows it. */
static bool is_gone(const seqdb_changes *c, const sdb_change_item *item) {
  const sdb_entry *entry = sdb_tree_get(c->tree, item->index);
  return !(entry && was_there(c, entry->created));
}

static bool next_gone(seqdb_changes *c, seqdb_change *change) {
  while (c->at < c->count) {
    const sdb_change_item *item = &c->items[c->at++];
    if (item->op != SDB_CHANGE_REMOVE || !is_gone(c, item)) continue;
    *change = (seqdb_change){.entry = item->index, .created = item->offset, .op = SEQDB_CHANGE_REMOVE};
    return true;
  }
  return false;
}

/* ---- what is there */

/* Items [from, to) are the region's.  One that is not new needs one that says more than that it came or went. */
static bool is_changed(const seqdb_changes *c) {
  bool any = !was_there(c, c->entry->created);
  for (size_t i = c->from; i < c->to && !any; i++)
    any = c->items[i].op > SDB_CHANGE_REMOVE;
  return any;
}

static bool next_listed(seqdb_changes *c) {
  while (c->at < c->count) {
    c->from = c->at;
    c->index = c->items[c->at].index;
    while (c->at < c->count && c->items[c->at].index == c->index)
      c->at++;
    c->to = c->at;
    c->entry = sdb_tree_get(c->tree, c->index);
    if (c->entry && is_changed(c)) return true;
  }
  return false;
}

static bool next_region(seqdb_changes *c) {
  c->step = NAME;
  c->done = 0;
  if (c->since > 0) return next_listed(c);
  c->entry = sdb_tree_next(c->tree, c->next, &c->index);
  c->next = (uint64_t)c->index + 1;
  return c->entry != NULL;
}

static bool is_new(const seqdb_changes *c) {
  return c->since == 0 || !was_there(c, c->entry->created);
}

static bool is_renamed(const seqdb_changes *c) {
  bool any = false;
  for (size_t i = c->from; i < c->to && !any; i++)
    any = c->items[i].op == SDB_CHANGE_RENAME;
  return any;
}

/* The next range within the length, those that touch as one.  The region's ranges are sorted. */
static bool next_write(seqdb_changes *c, seqdb_change *change) {
  uint64_t length = c->entry->length, start = c->done, end = is_new(c) ? length : c->done;
  for (; c->from < c->to && !is_new(c); c->from++) {
    const sdb_change_item *item = &c->items[c->from];
    if (item->op != SDB_CHANGE_WRITE) continue;
    if (end > start && item->offset > end) break;
    if (end == start) start = item->offset;
    end = SDB_MAX(end, item->offset + item->bytes);
  }
  c->done = end = SDB_MIN(end, length);
  if (start >= end) return false;
  change->op = SEQDB_CHANGE_WRITE;
  change->offset = start;
  change->bytes = end - start;
  return true;
}

/* Of the region that c stands at; false: there are no more. */
static bool next_of_region(seqdb_changes *c, seqdb_change *change) {
  const sdb_entry *entry = c->entry;
  *change = (seqdb_change){.entry = c->index,
                           .created = entry->created,
                           .name = sdb_name_text(entry->name),
                           .name_bytes = sdb_name_bytes(entry->name),
                           .region = sdb_region_of(c->index, entry->incarnation)};
  if (c->step == NAME) {
    c->step = LENGTH;
    change->op = is_new(c) ? SEQDB_CHANGE_CREATE : SEQDB_CHANGE_RENAME;
    if (is_new(c) || is_renamed(c)) return true;
  }
  if (c->step == LENGTH) {
    c->step = WRITES;
    change->op = SEQDB_CHANGE_LENGTH;
    change->offset = entry->length;
    return true;
  }
  return next_write(c, change);
}

static bool next_change(seqdb_changes *c, seqdb_change *change) {
  if (c->removing) {
    if (next_gone(c, change)) return true;
    c->removing = false;
    c->at = 0;
  }
  for (;;) {
    if (c->step != NO_REGION && next_of_region(c, change)) return true;
    if (!next_region(c)) return false;
  }
}

int seqdb_changes_next(seqdb_changes *changes, seqdb_change *out) {
  seqdb_change change;
  if (!sdb_sized_is(out->size_bytes, SDB_CHANGE_FIRST_BYTES)) return SEQDB_INVALID;
  if (!next_change(changes, &change)) {
    changes->step = NO_REGION;
    return SEQDB_DONE;
  }
  sdb_sized_copy_out(out, &change, sizeof change);
  return SEQDB_OK;
}

/* ---- how far it goes */

int seqdb_changes_floor(seqdb *db, uint64_t *floor) {
  seqdb_error error;
  sdb_op op = {"changes", &error};
  sdb_change_list list = {.items = NULL};
  int rc = sdb_usable(db, &op);
  if (rc == SEQDB_OK) rc = sdb_member_catch_up(db->store, &op);
  if (rc == SEQDB_OK) rc = gather(db->store, sdb_store_generation(db->store), &list, &op);
  if (rc != SEQDB_OK) return sdb_fail(db, rc, &op);
  *floor = list.floor;
  sdb_change_list_free(&list);
  return SEQDB_OK;
}

/* A coordinator's prepare may still be dropped, and what is not settled may be gone back behind. */
static uint64_t settled_generation(const sdb_store *store) {
  uint64_t newest = store->committed->generation, settled = store->settled_generation;
  sdb_token token = store->settled;
  if (store->shared) (void)sdb_board_settled(store->board, &settled, token.bytes);
  if (sdb_token_is(&token, &store->tip)) settled = newest;
  if (store->before_prepare) settled = SDB_MIN(settled, store->before_prepare->generation);
  if (store->unsettled && newest > 0) settled = SDB_MIN(settled, newest - 1);
  return SDB_MIN(settled, newest);
}

int seqdb_settled(seqdb *db, uint64_t *generation) {
  seqdb_error error;
  sdb_op op = {"settle", &error};
  sdb_store *store = db->store;
  int rc = sdb_usable(db, &op);
  if (rc == SEQDB_OK) rc = sdb_member_catch_up(store, &op);
  if (rc != SEQDB_OK) return sdb_fail(db, rc, &op);
  pthread_mutex_lock(&store->files_mutex);
  pthread_mutex_lock(&store->mutex);
  *generation = settled_generation(store);
  pthread_mutex_unlock(&store->mutex);
  pthread_mutex_unlock(&store->files_mutex);
  return SEQDB_OK;
}
