/* SPDX-License-Identifier: MIT
**
** space.c: see space.h.
*/
#include "space/space.h"

#include "base/check.h"
#include "os/os.h"

void sdb_space_init(sdb_space *space, sdb_names *names) {
  memset(space, 0, sizeof *space);
  space->names = names;
  space->catalogs.reusable = UINT64_MAX;
  sdb_range_pool_init(&space->pool);
  sdb_withheld_init(&space->withheld, &space->pool);
  sdb_range_set_init(&space->holes, &space->pool, true);
  sdb_range_set_init(&space->redo, &space->pool, false);
  sdb_unpunched_init(&space->unpunched, &space->pool);
}

static void items_free(sdb_pending *item) {
  for (sdb_pending *next; item; item = next) {
    next = item->next;
    sdb_free(item);
  }
}

void sdb_space_destroy(sdb_space *space) {
  assert(!space->catalogs.oldest && !space->catalogs.newest);
  items_free(space->held);
  sdb_free(space->spare);
  sdb_withheld_clear(&space->withheld);
  sdb_unpunched_destroy(&space->unpunched);
  sdb_range_set_clear(&space->holes);
  sdb_range_set_clear(&space->redo);
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

/* Every byte below the end is in one state; without memory to note it, leaked. */
static uint64_t accounted(const sdb_space *space, const sdb_tree *own) {
  return own->reserved_bytes + space->holes.total_bytes + space->catalogs.pending_bytes + space->held_bytes +
         space->withheld.total_bytes + space->leaked_bytes;
}

void sdb_space_recount(sdb_space *space, const sdb_tree *own) {
  space->leaked_bytes = 0;
  space->leaked_bytes = space->end - accounted(space, own);
}

/* ---- releasing and giving up */

static void into_holes(sdb_space *space, uint64_t start, uint64_t bytes) {
  sdb_range last;
  if (sdb_range_add(&space->holes, start, bytes) != SEQDB_OK) {
    space->leaked_bytes += bytes;
    return;
  }
  sdb_unpunched_add_hole(&space->unpunched, start, bytes);
  bool any = sdb_range_last(&space->holes, &last);
  if (SDB_ALWAYS(any) && last.start + last.bytes == space->end) {
    (void)sdb_range_remove(&space->holes, last.start, last.bytes); /* a whole range: splits nothing, cannot fail */
    space->end = last.start;
  }
}

/* Nobody in this process sees the extent, which `generation` gave up, and no record has a range in it. */
static void let_go(sdb_space *space, uint64_t generation, uint64_t start, uint64_t bytes) {
  if (generation <= space->catalogs.reusable)
    into_holes(space, start, bytes);
  else if (sdb_withheld_add(&space->withheld, generation, start, bytes) != SEQDB_OK)
    space->leaked_bytes += bytes;
}

/* Nobody in this process sees the extent any more.  Takes the item over. */
static void release(sdb_space *space, sdb_pending *item) {
  if (sdb_range_overlap(&space->redo, item->start, item->bytes, NULL)) {
    item->next = space->held;
    space->held = item;
    space->held_bytes += item->bytes;
    return;
  }
  let_go(space, item->generation, item->start, item->bytes);
  sdb_free(item);
}

/* The commit under way, if the last one shows the extent; else no other member has ever seen it. */
static uint64_t giving_up(const sdb_space *space, uint32_t index, uint64_t start, uint64_t bytes) {
  const sdb_catalog *at = space->catalogs.newest;
  sdb_range part;
  while (at && at->kind != SDB_CATALOG_COMMITTED)
    at = at->kind == SDB_CATALOG_SAVEPOINT ? at->plain : at->older;
  return at && sdb_catalog_part(&at->tree, index, start, bytes, &part) ? at->generation + 1 : 0;
}

/* To the newest catalog, from `newest` on to older ones, that sees it; else nobody does.  Takes the item over. */
static void move_on(sdb_space *space, sdb_catalog *newest, sdb_pending *item) {
  sdb_catalog *last = sdb_catalog_seeing(newest, item->index, item->start, item->bytes);
  if (last)
    sdb_catalog_attach(&space->catalogs, last, item);
  else
    release(space, item);
}

int sdb_space_reserve_give_up(sdb_space *space, uint32_t index, uint64_t start, uint64_t bytes) {
  if (!sdb_catalog_seeing(space->catalogs.newest, index, start, bytes)) return SEQDB_OK;
  if (!space->spare) space->spare = sdb_malloc(sizeof *space->spare);
  return space->spare ? SEQDB_OK : SEQDB_NOMEM;
}

void sdb_space_give_up(sdb_space *space, uint32_t index, uint64_t start, uint64_t bytes) {
  if (SDB_NEVER(bytes == 0)) return; /* callers have some */
  bool seen = sdb_catalog_seeing(space->catalogs.newest, index, start, bytes) != NULL;
  if (!seen && !sdb_range_overlap(&space->redo, start, bytes, NULL)) {
    into_holes(space, start, bytes);
    return;
  }
  sdb_pending *item = space->spare ? space->spare : sdb_malloc(sizeof *item);
  space->spare = NULL;
  if (!item) {
    space->leaked_bytes += bytes;
    return;
  }
  *item = (sdb_pending){
      .start = start, .bytes = bytes, .generation = giving_up(space, index, start, bytes), .index = index};
  move_on(space, space->catalogs.newest, item);
}

/* Items leave `catalog`: what `to` reserves is in use again; the rest of each goes where it belongs.  An item begins
** where the region began, and reserves grow at their ends only, so what remains is one piece. */
static void take_back_from(sdb_space *space, sdb_catalog *catalog, const sdb_tree *to) {
  for (sdb_pending *item = sdb_catalog_detach_all(&space->catalogs, catalog), *next; item; item = next) {
    sdb_range part;
    next = item->next;
    if (!sdb_catalog_part(to, item->index, item->start, item->bytes, &part)) {
      sdb_catalog_attach(&space->catalogs, catalog, item);
      continue;
    }
    if (SDB_ALWAYS(part.start == item->start)) item->start += part.bytes; /* reserves grow at their ends */
    item->bytes -= part.bytes;
    if (item->bytes == 0)
      sdb_free(item);
    else
      move_on(space, space->catalogs.newest, item);
  }
}

void sdb_space_take_back(sdb_space *space, sdb_catalog *to) {
  for (sdb_catalog *at = to; at; at = at->newer)
    take_back_from(space, at, &to->tree);
}

/* ---- live catalogs */

void sdb_space_unref(sdb_space *space, sdb_catalog *catalog) {
  if (!catalog || --catalog->refs > 0) return;
  for (sdb_pending *item = sdb_catalog_detach_all(&space->catalogs, catalog), *next; item; item = next) {
    next = item->next;
    move_on(space, catalog->older, item);
  }
  sdb_catalog_free(&space->catalogs, catalog, space->names);
}

uint64_t sdb_space_oldest_generation(const sdb_space *space, const sdb_catalog *held) {
  return sdb_catalogs_oldest_generation(&space->catalogs, held);
}

uint64_t sdb_space_visible_bytes(const sdb_space *space, uint32_t index, uint64_t start) {
  return sdb_catalogs_visible_bytes(&space->catalogs, index, start);
}

/* ---- allocation */

static int take(sdb_space *space, uint64_t start, uint64_t bytes, bool *dirty) {
  /* One node each at most; reserved together so that neither removal fails after the other. */
  if (sdb_range_pool_reserve(&space->pool, 2) != SEQDB_OK) return SEQDB_NOMEM;
  bool any = sdb_unpunched_take(&space->unpunched, start, bytes);
  if (dirty) *dirty = any;
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
  return sdb_range_at(&space->holes, at, &hole) && SDB_ALWAYS(hole.start == at) ? hole.bytes
                                                                                : 0; /* a region ends there */
}

int sdb_space_alloc_at(sdb_space *space, uint64_t start, uint64_t bytes, bool *dirty) {
  if (start < space->end) return take(space, start, bytes, dirty);
  assert(start == space->end);
  if (bytes > SDB_OFFSET_MAX - start) return SEQDB_FULL;
  if (take(space, start, bytes, dirty) != SEQDB_OK) return SEQDB_NOMEM; /* may still be waiting to be punched */
  space->end = start + bytes;
  return SEQDB_OK;
}

/* ---- members in other processes */

void sdb_space_set_reusable(sdb_space *space, uint64_t generation) {
  sdb_range range;
  space->catalogs.reusable = generation;
  while (sdb_withheld_next(&space->withheld, generation, &range))
    into_holes(space, range.start, range.bytes);
}

static void hold(sdb_space *space, uint64_t generation, uint64_t start, uint64_t bytes) {
  sdb_pending *item = bytes ? sdb_malloc(sizeof *item) : NULL;
  if (!item) return; /* leaked */
  *item = (sdb_pending){.next = space->held, .start = start, .bytes = bytes, .generation = generation};
  space->held = item;
  space->held_bytes += bytes;
}

/* What of the extent was held is not any more: the record for which it was is one that could not be finished. */
static void claim_held(sdb_space *space, uint64_t start, uint64_t bytes) {
  sdb_pending *all = space->held, *next;
  uint64_t end = start + bytes;
  space->held = NULL;
  space->held_bytes = 0;
  for (; all; all = next) {
    uint64_t from = all->start, to = all->start + all->bytes;
    next = all->next;
    if (from >= end || to <= start) {
      all->next = space->held;
      space->held = all;
      space->held_bytes += all->bytes;
      continue;
    }
    hold(space, all->generation, from, start > from ? start - from : 0);
    hold(space, all->generation, end, to > end ? to - end : 0);
    sdb_free(all);
  }
}

/* Another member owns the extent now, whatever it was here: that one knew that it was free. */
static void claim(sdb_space *space, uint64_t start, uint64_t bytes) {
  if (start + bytes > space->end) {
    uint64_t end = space->end;
    space->end = start + bytes;
    if (start > end && sdb_range_add(&space->holes, end, start - end) != SEQDB_OK) space->leaked_bytes += start - end;
  }
  if (sdb_range_pool_reserve(&space->pool, 2 + SDB_WITHHELD_BATCHES) != SEQDB_OK) { /* nothing is free, if need be */
    sdb_range_set_clear(&space->holes);
    sdb_withheld_clear(&space->withheld);
  }
  (void)sdb_unpunched_take(&space->unpunched, start, bytes);
  (void)sdb_range_remove(&space->holes, start, bytes);
  sdb_withheld_take(&space->withheld, start, bytes);
  claim_held(space, start, bytes);
}

static int follow_give_up(void *context, uint32_t index, const sdb_entry *before, const sdb_entry *after) {
  sdb_space *space = context;
  if (!before) return 0;
  if (!after || after->start != before->start)
    sdb_space_give_up(space, index, before->start, before->reserved);
  else if (before->reserved > after->reserved)
    sdb_space_give_up(space, index, before->start + after->reserved, before->reserved - after->reserved);
  return 0;
}

static int follow_claim(void *context, uint32_t index, const sdb_entry *before, const sdb_entry *after) {
  (void)index;
  if (!after) return 0;
  if (!before || before->start != after->start)
    claim(context, after->start, after->reserved);
  else if (after->reserved > before->reserved)
    claim(context, before->start + before->reserved, after->reserved - before->reserved);
  return 0;
}

void sdb_space_follow(sdb_space *space, const sdb_tree *before, const sdb_tree *after) {
  (void)sdb_tree_diff(before, after, follow_give_up, space);
  (void)sdb_tree_diff(before, after, follow_claim, space);
  sdb_space_recount(space, after);
}

void sdb_space_set_aside(sdb_space *space, uint64_t offset, uint64_t bytes) {
  uint64_t from = sdb_page_down(offset), to = sdb_page_up(offset + bytes), end = space->end;
  sdb_range part;
  if (to > end) {
    claim(space, SDB_MAX(from, end), to - SDB_MAX(from, end));
    hold(space, 0, SDB_MAX(from, end), to - SDB_MAX(from, end));
    to = end;
  }
  while (from < to && sdb_range_overlap(&space->holes, from, to - from, &part)) {
    claim(space, part.start, part.bytes);
    hold(space, 0, part.start, part.bytes);
  }
  for (unsigned i = 0; i < space->withheld.count && from < to; i++) {
    sdb_withheld_batch batch = space->withheld.batches[i];
    if (!sdb_range_overlap(&batch.extents, from, to - from, &part)) continue;
    claim(space, part.start, part.bytes);
    hold(space, batch.generation, part.start, part.bytes);
    i--; /* there may be more of it */
  }
}

/* A rebuilding under way. */
struct rebuild {
  sdb_space *space;
  sdb_catalog *catalog; /* whose turn it is, newest first */
  sdb_range_set used;   /* by it and newer ones */
  bool no_memory;
};

/* What of the entry's extent no newer catalog sees is pending here. */
static void rebuild_entry(struct rebuild *r, uint32_t index, const sdb_entry *entry) {
  sdb_catalogs *catalogs = &r->space->catalogs;
  uint64_t at = entry->start, end = entry->start + entry->reserved;
  sdb_range known;
  r->space->end = SDB_MAX(r->space->end, end);
  while (r->catalog != catalogs->newest && at < end) {
    bool any = sdb_range_overlap(&r->used, at, end - at, &known);
    uint64_t to = any ? known.start : end;
    sdb_pending *item = to > at ? sdb_malloc(sizeof *item) : NULL;
    if (item) {
      *item = (sdb_pending){.start = at, .bytes = to - at, .generation = catalogs->newest->generation, .index = index};
      sdb_catalog_attach(catalogs, r->catalog, item);
    }
    at = any ? known.start + known.bytes : end;
  }
  if (sdb_range_add(&r->used, entry->start, entry->reserved) != SEQDB_OK) r->no_memory = true;
}

/* A run of pages that nobody here uses: those with ranges of records in them are held. */
static void rebuild_run(sdb_space *space, uint64_t at, uint64_t end) {
  uint64_t generation = space->catalogs.newest->generation, to;
  for (; at < end; at = to) {
    sdb_range redo = {end, 0};
    bool any = sdb_range_overlap(&space->redo, at, end - at, &redo), held = any && redo.start < at + SDB_PAGE;
    to = held ? SDB_MIN(sdb_page_up(redo.start + redo.bytes), end) : SDB_MIN(sdb_page_down(redo.start), end);
    if (held)
      hold(space, generation, at, to - at);
    else
      let_go(space, generation, at, to - at);
  }
}

/* All that nobody here uses. */
static void rebuild_free(struct rebuild *r) {
  uint64_t end = r->space->end;
  for (uint64_t at = 0; at < end;) {
    sdb_range used = {end, 0};
    (void)sdb_range_overlap(&r->used, at, end - at, &used);
    rebuild_run(r->space, at, used.start);
    at = used.start + used.bytes;
  }
}

int sdb_space_rebuild(sdb_space *space, uint64_t end, const sdb_range_set *redo) {
  struct rebuild r = {.space = space};
  sdb_range range;
  if (sdb_range_pool_reserve(&space->pool, redo->count) != SEQDB_OK) return SEQDB_NOMEM;
  sdb_range_set_init(&r.used, &space->pool, false);
  items_free(space->held);
  space->held = NULL;
  space->held_bytes = space->leaked_bytes = 0;
  sdb_range_set_clear(&space->holes);
  sdb_range_set_clear(&space->redo);
  sdb_range_set_clear(&space->unpunched.holes);
  sdb_withheld_clear(&space->withheld);
  for (uint64_t at = 0; sdb_range_next(redo, at, &range); at = range.start + range.bytes)
    (void)sdb_range_add(&space->redo, range.start, range.bytes);
  if (sdb_range_last(redo, &range)) end = SDB_MAX(end, range.start + range.bytes);
  space->end = sdb_page_up(end);
  for (r.catalog = space->catalogs.newest; r.catalog; r.catalog = r.catalog->older) {
    uint32_t index;
    uint64_t from = 0;
    items_free(sdb_catalog_detach_all(&space->catalogs, r.catalog));
    for (const sdb_entry *entry; (entry = sdb_tree_next(&r.catalog->tree, from, &index)); from = (uint64_t)index + 1)
      rebuild_entry(&r, index, entry);
  }
  if (!r.no_memory) rebuild_free(&r);
  sdb_range_set_clear(&r.used);
  sdb_space_recount(space, &space->catalogs.newest->tree);
  return SEQDB_OK;
}

/* ---- ranges of records in the journal */

int sdb_space_hold_redo(sdb_space *space, uint64_t offset, uint64_t bytes) {
  return bytes ? sdb_range_add(&space->redo, offset, bytes) : SEQDB_OK;
}

void sdb_space_release_redo(sdb_space *space) {
  sdb_pending *item = space->held, *next;
  sdb_range_set_clear(&space->redo);
  space->held = NULL;
  space->held_bytes = 0;
  for (; item; item = next) {
    next = item->next;
    let_go(space, item->generation, item->start, item->bytes);
    sdb_free(item);
  }
}

int sdb_space_renew_redo(sdb_space *space, const sdb_range_set *redo) {
  sdb_pending *item = space->held, *next;
  sdb_range range;
  if (sdb_range_pool_reserve(&space->pool, redo->count) != SEQDB_OK) return SEQDB_NOMEM;
  sdb_range_set_clear(&space->redo);
  for (uint64_t at = 0; sdb_range_next(redo, at, &range); at = range.start + range.bytes)
    (void)sdb_range_add(&space->redo, range.start, range.bytes);
  space->held = NULL;
  space->held_bytes = 0;
  for (; item; item = next) {
    next = item->next;
    release(space, item);
  }
  return SEQDB_OK;
}

/* ---- punching */

void sdb_space_note_cut(sdb_space *space, uint32_t index, uint64_t start, uint64_t length, uint64_t old_length) {
  sdb_unpunched_note_cut(&space->unpunched, index, start, length, old_length);
}

bool sdb_space_next_punch(sdb_space *space, sdb_range *range) {
  return sdb_unpunched_next(&space->unpunched, &space->catalogs, &space->redo, range);
}

/* ---- the rules by brute force */

bool sdb_space_may_write(const sdb_space *space, uint64_t offset, uint64_t bytes, const sdb_tree *own) {
  return !sdb_catalogs_use(&space->catalogs, own, offset, bytes, false) &&
         !sdb_range_overlap(&space->redo, offset, bytes, NULL);
}

bool sdb_space_is_unreserved(const sdb_space *space, uint64_t offset, uint64_t bytes, const sdb_tree *own) {
  return !sdb_catalogs_use(&space->catalogs, own, offset, bytes, true);
}

void sdb_space_recount_leaked(sdb_space *space, const sdb_tree *own) {
  if (space->leaked_bytes) sdb_space_recount(space, own);
}

bool sdb_space_adds_up(const sdb_space *space, const sdb_tree *own) {
  return accounted(space, own) == space->end;
}
