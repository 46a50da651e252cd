/* SPDX-License-Identifier: MIT
**
** space.c: see space.h.
**
** The pending lists are those of ZFS's dead lists (blocks hang at the newest snapshot that sees them and move to the next
** older one when it goes away), keyed by entry index instead of birth time: a catalog sees an extent exactly if its entry
** of that index overlaps it, because an extent that is reserved in any live catalog is never allocated again.
**
** Why looking at the newest few catalogs is enough: live catalogs follow one another, and an extent that the transaction
** owns is owned by each catalog since it was allocated.  Only a prepared state may stand between two catalogs
** without having their extent (after a rollback to a savepoint older than the prepare), so those are stepped over.
*/
#include "space/space.h"

#include "os/os.h"

void sdb_space_init(sdb_space *space, sdb_names *names) {
  memset(space, 0, sizeof *space);
  space->names = names;
  sdb_range_pool_init(&space->pool);
  sdb_range_set_init(&space->holes, &space->pool, true);
  sdb_range_set_init(&space->redo, &space->pool, false);
  sdb_range_set_init(&space->unpunched, &space->pool, false);
}

static void list_free(sdb_pending **list) {
  while (*list) {
    sdb_pending *item = *list;
    *list = item->next;
    sdb_free(item);
  }
}

void sdb_space_destroy(sdb_space *space) {
  assert(!space->oldest && !space->newest);
  sdb_free(space->spare);
  list_free(&space->held);
  list_free(&space->slack);
  list_free(&space->slack_kept);
  sdb_range_set_clear(&space->holes);
  sdb_range_set_clear(&space->redo);
  sdb_range_set_clear(&space->unpunched);
  sdb_range_pool_destroy(&space->pool);
}

int sdb_space_load(sdb_space *space, const sdb_range *extents, size_t count) {
  assert(space->end == 0);
  for (size_t i = 0; i < count; i++) {
    assert(extents[i].start >= space->end);
    if (extents[i].start > space->end) {
      int rc = sdb_range_add(&space->holes, space->end, extents[i].start - space->end);
      if (rc != SEQDB_OK) return rc;
    }
    space->end = extents[i].start + extents[i].bytes;
  }
  return SEQDB_OK;
}

/* ---- visibility */

/* The part of [start, start + bytes) that `tree` reserves for entry `index`, cut to it. */
static bool sees(const sdb_tree *tree, uint32_t index, uint64_t start, uint64_t bytes, sdb_range *part) {
  const sdb_entry *entry = sdb_tree_get(tree, index);
  if (!entry) return false;
  uint64_t from = SDB_MAX(entry->start, start), to = SDB_MIN(entry->start + entry->reserved, start + bytes);
  if (from >= to) return false;
  if (part) *part = (sdb_range){from, to - from};
  return true;
}

/* Newest catalog at or below `from` that sees the extent. */
static sdb_catalog *seen_by(sdb_catalog *from, uint32_t index, uint64_t start, uint64_t bytes) {
  for (sdb_catalog *at = from; at; at = at->older) {
    if (sees(&at->tree, index, start, bytes, NULL)) return at;
    if (at->kind != SDB_CATALOG_PREPARED) return NULL;
  }
  return NULL;
}

uint64_t sdb_space_visible_bytes(const sdb_space *space, uint32_t index, uint64_t start) {
  uint64_t visible = 0;
  for (const sdb_catalog *at = space->newest; at; at = at->older) {
    const sdb_entry *entry = sdb_tree_get(&at->tree, index);
    if (entry && entry->start == start)
      visible = SDB_MAX(visible, entry->length);
    else if (at->kind != SDB_CATALOG_PREPARED)
      break; /* the extent is younger than this catalog and all older ones */
  }
  return visible;
}

/* ---- releasing and giving up */

static void into_holes(sdb_space *space, uint64_t start, uint64_t bytes) {
  sdb_range last;
  if (sdb_range_add(&space->holes, start, bytes) != SEQDB_OK) {
    space->leaked_bytes += bytes;
    return;
  }
  (void)sdb_range_add(&space->unpunched, start, bytes); /* failing costs disk blocks, not safety */
  /* GCOVR_EXCL_BR_LINE: one was just added */
  if (sdb_range_last(&space->holes, &last) && last.start + last.bytes == space->end) {
    (void)sdb_range_remove(&space->holes, last.start, last.bytes); /* a whole range: splits nothing, cannot fail */
    space->end = last.start;
  }
}

/* Takes the item over. */
static void release(sdb_space *space, sdb_pending *item) {
  if (sdb_range_overlap(&space->redo, item->start, item->bytes, NULL)) {
    item->next = space->held;
    space->held = item;
    space->held_bytes += item->bytes;
    return;
  }
  into_holes(space, item->start, item->bytes);
  sdb_free(item);
}

static void attach(sdb_space *space, sdb_catalog *catalog, sdb_pending *item) {
  item->next = catalog->pending;
  catalog->pending = item;
  catalog->pending_bytes += item->bytes;
  space->pending_bytes += item->bytes;
}

int sdb_space_reserve_give_up(sdb_space *space, uint32_t index, uint64_t start, uint64_t bytes) {
  if (!seen_by(space->newest, index, start, bytes)) return SEQDB_OK;
  if (!space->spare) space->spare = sdb_malloc(sizeof *space->spare);
  return space->spare ? SEQDB_OK : SEQDB_NOMEM;
}

void sdb_space_give_up(sdb_space *space, uint32_t index, uint64_t start, uint64_t bytes) {
  if (bytes == 0) return; /* GCOVR_EXCL_BR_LINE: callers have some */
  sdb_catalog *catalog = seen_by(space->newest, index, start, bytes);
  if (!catalog && !sdb_range_overlap(&space->redo, start, bytes, NULL)) {
    into_holes(space, start, bytes);
    return;
  }
  sdb_pending *item = space->spare ? space->spare : sdb_malloc(sizeof *item);
  space->spare = NULL;
  if (!item) {
    space->leaked_bytes += bytes;
    return;
  }
  *item = (sdb_pending){.start = start, .bytes = bytes, .index = index};
  if (catalog)
    attach(space, catalog, item);
  else
    release(space, item);
}

/* Items leave `catalog`: what `to` reserves is in use again; the rest of each goes where it belongs.  An item begins where
** the region began, and reserves grow at their ends only, so what remains is one piece. */
static void take_back_from(sdb_space *space, sdb_catalog *catalog, const sdb_tree *to) {
  sdb_pending *item = catalog->pending, *next;
  space->pending_bytes -= catalog->pending_bytes;
  catalog->pending = NULL;
  catalog->pending_bytes = 0;
  for (; item; item = next) {
    sdb_range part;
    next = item->next;
    if (!sees(to, item->index, item->start, item->bytes, &part)) {
      attach(space, catalog, item);
      continue;
    }
    assert(part.start == item->start || part.start + part.bytes == item->start + item->bytes);
    if (part.start == item->start) item->start += part.bytes; /* GCOVR_EXCL_BR_LINE: reserves grow at their ends */
    item->bytes -= part.bytes;
    if (item->bytes == 0) {
      sdb_free(item);
      continue;
    }
    sdb_catalog *last = seen_by(space->newest, item->index, item->start, item->bytes);
    if (last)
      attach(space, last, item);
    else
      release(space, item);
  }
}

void sdb_space_take_back(sdb_space *space, sdb_catalog *to) {
  for (sdb_catalog *at = to; at; at = at->newer)
    take_back_from(space, at, &to->tree);
}

/* ---- catalogs */

sdb_catalog *sdb_catalog_new(sdb_space *space, sdb_tree *tree, enum sdb_catalog_kind kind, uint64_t generation) {
  sdb_catalog *made = sdb_calloc(1, sizeof *made);
  if (!made) return NULL;
  made->refs = 1;
  made->kind = kind;
  made->generation = generation;
  made->tree = *tree;
  memset(tree, 0, sizeof *tree);
  made->older = space->newest;
  if (space->newest)
    space->newest->newer = made;
  else
    space->oldest = made;
  space->newest = made;
  return made;
}

uint64_t sdb_space_oldest_generation(const sdb_space *space, const sdb_catalog *held) {
  for (const sdb_catalog *at = space->oldest; at; at = at->newer)
    if (at->kind == SDB_CATALOG_COMMITTED && (at != held || at->refs > 1)) return at->generation;
  return UINT64_MAX;
}

void sdb_catalog_ref(sdb_catalog *catalog) {
  catalog->refs++;
}

void sdb_catalog_unref(sdb_space *space, sdb_catalog *catalog) {
  if (!catalog || --catalog->refs > 0) return;
  if (catalog->older)
    catalog->older->newer = catalog->newer;
  else
    space->oldest = catalog->newer;
  if (catalog->newer)
    catalog->newer->older = catalog->older;
  else
    space->newest = catalog->older;
  space->pending_bytes -= catalog->pending_bytes;
  for (sdb_pending *item = catalog->pending, *next; item; item = next) {
    next = item->next;
    sdb_catalog *older = seen_by(catalog->older, item->index, item->start, item->bytes);
    if (older)
      attach(space, older, item);
    else
      release(space, item);
  }
  sdb_tree_drop(&catalog->tree, space->names);
  sdb_free(catalog);
}

/* ---- allocation */

static int take(sdb_space *space, uint64_t start, uint64_t bytes, bool *dirty) {
  /* One node each at most; reserved together so that neither removal fails after the other. */
  if (sdb_range_pool_reserve(&space->pool, 2) != SEQDB_OK) return SEQDB_NOMEM;
  if (dirty) *dirty = sdb_range_overlap(&space->unpunched, start, bytes, NULL);
  (void)sdb_range_remove(&space->unpunched, start, bytes);
  (void)sdb_range_remove(&space->holes, start, bytes);
  return SEQDB_OK;
}

int sdb_space_alloc(sdb_space *space, uint64_t bytes, uint64_t *start, bool *dirty) {
  sdb_range hole;
  assert(bytes > 0 && bytes % SDB_PAGE == 0);
  if (sdb_range_best_fit(&space->holes, bytes, &hole)) {
    if (take(space, hole.start, bytes, dirty) != SEQDB_OK) return SEQDB_NOMEM;
    *start = hole.start;
    return SEQDB_OK;
  }
  *start = space->end;
  return sdb_space_alloc_at(space, space->end, bytes, dirty);
}

uint64_t sdb_space_room_at(const sdb_space *space, uint64_t at) {
  sdb_range hole;
  if (at == space->end) return UINT64_MAX;
  /* GCOVR_EXCL_BR_LINE: a region ends at `at` */
  return sdb_range_at(&space->holes, at, &hole) && hole.start == at ? hole.bytes : 0;
}

int sdb_space_alloc_at(sdb_space *space, uint64_t start, uint64_t bytes, bool *dirty) {
  if (start < space->end) return take(space, start, bytes, dirty);
  assert(start == space->end);
  if (bytes > SDB_OFFSET_MAX - start) return SEQDB_FULL;
  if (take(space, start, bytes, dirty) != SEQDB_OK) return SEQDB_NOMEM; /* may still be waiting to be punched */
  space->end = start + bytes;
  return SEQDB_OK;
}

/* ---- the journal's pins */

int sdb_space_pin(sdb_space *space, uint64_t offset, uint64_t bytes) {
  return bytes ? sdb_range_add(&space->redo, offset, bytes) : SEQDB_OK;
}

void sdb_space_unpin_all(sdb_space *space) {
  sdb_pending *item = space->held, *next;
  sdb_range_set_clear(&space->redo);
  space->held = NULL;
  space->held_bytes = 0;
  for (; item; item = next) {
    next = item->next;
    into_holes(space, item->start, item->bytes);
    sdb_free(item);
  }
}

/* ---- punching */

void sdb_space_note_cut(sdb_space *space, uint32_t index, uint64_t start, uint64_t length, uint64_t old_length) {
  uint64_t from = sdb_page_up(length), to = sdb_page_up(old_length);
  if (from >= to) return;
  if (space->slack && space->slack->index == index && space->slack->start == start) {
    space->slack->bytes = SDB_MAX(space->slack->bytes, to);
    return;
  }
  sdb_pending *item = sdb_malloc(sizeof *item);
  if (!item) return; /* costs disk blocks until the region is moved or removed */
  *item = (sdb_pending){.next = space->slack, .start = start, .bytes = to, .index = index};
  space->slack = item;
}

/* A slack item says: blocks of [start, start + bytes) past every visible length may be given back.  Returns the part that
** may be now; *keep says that an old snapshot still sees some of the rest, or that the journal pins it. */
static bool slack_part(const sdb_space *space, const sdb_pending *item, sdb_range *part, bool *keep) {
  /* GCOVR_EXCL_BR_LINE: there is always a commit */
  const sdb_entry *entry = space->newest ? sdb_tree_get(&space->newest->tree, item->index) : NULL;
  *keep = false;
  if (!entry || entry->start != item->start) return false; /* moved or removed: its whole extent was given up */
  uint64_t visible = sdb_page_up(sdb_space_visible_bytes(space, item->index, item->start));
  *keep = visible > sdb_page_up(entry->length);
  uint64_t end = SDB_MIN(item->bytes, entry->reserved); /* it may be another region by now, in a smaller extent */
  *part = (sdb_range){item->start + visible, end > visible ? end - visible : 0};
  bool pinned = part->bytes > 0 && sdb_range_overlap(&space->redo, part->start, part->bytes, NULL);
  *keep |= pinned;
  return part->bytes > 0 && !pinned;
}

static bool next_slack(sdb_space *space, sdb_range *range) {
  while (space->slack) {
    sdb_pending *item = space->slack;
    bool keep, may = slack_part(space, item, range, &keep);
    space->slack = item->next;
    if (keep) {
      item->next = space->slack_kept;
      space->slack_kept = item;
    } else {
      sdb_free(item);
    }
    if (may) return true;
  }
  space->slack = space->slack_kept;
  space->slack_kept = NULL;
  return false;
}

bool sdb_space_next_punch(sdb_space *space, sdb_range *range) {
  if (sdb_range_next(&space->unpunched, 0, range)) {
    (void)sdb_range_remove(&space->unpunched, range->start, range->bytes);
    return true;
  }
  return next_slack(space, range);
}

/* ---- brute force, for assertions and check */

static bool tree_uses(const sdb_tree *tree, uint64_t offset, uint64_t bytes, bool reserved) {
  uint32_t index;
  uint64_t from = 0;
  for (const sdb_entry *entry; (entry = sdb_tree_next(tree, from, &index)); from = (uint64_t)index + 1) {
    uint64_t end = entry->start + (reserved ? entry->reserved : entry->length);
    if (entry->start < offset + bytes && end > offset) return true;
  }
  return false;
}

static bool in_use(const sdb_space *space, uint64_t offset, uint64_t bytes, const sdb_tree *own, bool reserved) {
  if (own && tree_uses(own, offset, bytes, reserved)) return true;
  for (const sdb_catalog *at = space->oldest; at; at = at->newer)
    if (tree_uses(&at->tree, offset, bytes, reserved)) return true;
  return false;
}

bool sdb_space_may_write(const sdb_space *space, uint64_t offset, uint64_t bytes, const sdb_tree *own) {
  return !in_use(space, offset, bytes, own, false) && !sdb_range_overlap(&space->redo, offset, bytes, NULL);
}

bool sdb_space_is_unreserved(const sdb_space *space, uint64_t offset, uint64_t bytes, const sdb_tree *own) {
  return !in_use(space, offset, bytes, own, true);
}

void sdb_space_recount_leaked(sdb_space *space, const sdb_tree *own) {
  if (!space->leaked_bytes) return;
  space->leaked_bytes =
      space->end - own->reserved_bytes - space->holes.total_bytes - space->pending_bytes - space->held_bytes;
}

bool sdb_space_adds_up(const sdb_space *space, const sdb_tree *own) {
  return own->reserved_bytes + space->holes.total_bytes + space->pending_bytes + space->held_bytes +
             space->leaked_bytes ==
         space->end;
}
