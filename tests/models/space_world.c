/* SPDX-License-Identifier: MIT
**
** space_world.c: see space_world.h.
*/
#include "models/space_world.h"

#include <errno.h>
#include "disk/os_faults.h"

/* ---- failing memory */

void starve(world *w, bool always) {
  sdb_fault_rule rule = {.kinds = SDB_CALLS_MEMORY, .nth = 1, .forever = true, .error = ENOMEM};
  if (!w->starved || (!always && sdb_test_below(&w->random, 6) != 0)) return;
  if (!always) rule.nth += sdb_test_below(&w->random, 3);
  w->rule = sdb_fault_add(&rule);
}

bool feed(world *w) {
  bool hit = w->rule > 0 && sdb_fault_hits(w->rule, NULL) > 0;
  if (w->rule > 0) sdb_fault_remove(w->rule);
  w->rule = 0;
  return hit;
}

/* ---- the map */

void paint(uint8_t *map, const cell *cells, uint8_t value, bool lengths) {
  for (size_t i = 0; i < SLOTS; i++) {
    uint64_t pages = lengths ? sdb_page_up(cells[i].length) / SDB_PAGE : cells[i].reserved;
    if (cells[i].used) memset(map + cells[i].start, value, (size_t)pages);
  }
}

void draw(world *w) {
  memset(w->own, 0, sizeof w->own);
  memset(w->seen, 0, sizeof w->seen);
  memset(w->visible, 0, sizeof w->visible);
  paint(w->own, w->cell, 1, false);
  for (size_t n = 0; n < w->live_count; n++) {
    paint(w->seen, w->live[n].cell, (uint8_t)(n + 1), false);
    paint(w->visible, w->live[n].cell, 1, true);
  }
}

/* Count the pages of a list of items; false if one is counted twice. */
static bool add_items(uint8_t *count, const sdb_pending *item, uint64_t *bytes) {
  for (; item; item = item->next) {
    *bytes += item->bytes;
    if (item->start % SDB_PAGE != 0 || item->bytes % SDB_PAGE != 0 || item->bytes == 0) return false;
    for (uint64_t page = item->start / SDB_PAGE; page < (item->start + item->bytes) / SDB_PAGE; page++)
      if (page >= PAGES || ++count[page] > 1) return false;
  }
  return true;
}

/* An item hangs at the newest catalog that sees any of it. */
static bool hangs_right(const world *w, size_t catalog, const sdb_pending *item) {
  size_t newest = 0;
  for (uint64_t page = item->start / SDB_PAGE; page < (item->start + item->bytes) / SDB_PAGE; page++)
    newest = SDB_MAX(newest, w->seen[page]);
  return newest == catalog + 1;
}

static const char *compare_pending(world *w) {
  uint64_t total = 0;
  memset(w->pending, 0, sizeof w->pending);
  for (size_t n = 0; n < w->live_count; n++) {
    uint64_t bytes = 0;
    const sdb_catalog *catalog = w->live[n].catalog;
    if (!add_items(w->pending, catalog->pending, &bytes)) return "a pending extent twice";
    if (bytes != catalog->pending_bytes) return "a catalog's pending_bytes";
    total += bytes;
    for (const sdb_pending *item = catalog->pending; item; item = item->next)
      if (!hangs_right(w, n, item)) return "an extent is pending where it should not be";
  }
  for (uint64_t page = 0; page < PAGES; page++) {
    if (w->own[page] && w->pending[page]) return "a page in use is pending";
    if (!w->own[page] && !w->pending[page] && w->seen[page] && !w->leaked)
      return "a page that somebody sees is not pending";
  }
  return total == w->space.catalogs.pending_bytes ? NULL : "pending_bytes";
}

static const char *compare_free(world *w) {
  uint8_t held[PAGES] = {0};
  uint64_t held_bytes = 0, end = w->space.end / SDB_PAGE;
  sdb_range found;
  if (!add_items(held, w->space.held, &held_bytes) || held_bytes != w->space.held_bytes) return "held extents";
  for (uint64_t page = 0; page < PAGES; page++) {
    bool used = w->own[page] || w->seen[page] || w->pending[page];
    bool hole = sdb_range_overlap(&w->space.holes, page * SDB_PAGE, SDB_PAGE, &found);
    if (hole && found.bytes != SDB_PAGE) return "part of a page is a hole";
    if (hole + held[page] + used > 1) return "a page has two users";
    if (hole && w->pinned[page]) return "a hole is pinned";
    if (hole && page >= end) return "a hole past the end";
    if (hole && page + 1 == end) return "a hole at the end";
    if (used && page >= end) return "an extent past the end";
    if (!hole && !held[page] && !used && page < end && !w->leaked) return "a page has no user";
    if (!used && !held[page] && !w->hole[page] && (hole || page >= end)) w->unpunched[page] = 2; /* new */
    w->hole[page] = hole || page >= end;
  }
  return NULL;
}

const char *compare(world *w) {
  draw(w);
  const char *problem = compare_pending(w);
  if (!problem) problem = compare_free(w);
  if (problem) return problem;
  if (!w->starved && w->space.leaked_bytes) return "leaked_bytes without a reason";
  if (!sdb_space_adds_up(&w->space, &w->tree)) return "it does not add up";
  /* unpunched: what became a hole and was not used since; failing memory may forget some */
  for (uint64_t page = 0; page < PAGES; page++) {
    bool noted = sdb_range_overlap(&w->space.unpunched.holes, page * SDB_PAGE, SDB_PAGE, NULL);
    if (w->own[page] && noted) return "a page in use is to be punched";
    if (w->unpunched[page] == 2) w->unpunched[page] = noted || !w->starved;
    if (noted != w->unpunched[page]) return "unpunched";
  }
  return NULL;
}

const char *compare_rules(world *w) {
  uint64_t page = sdb_test_below(&w->random, PAGES), count = 1 + sdb_test_below(&w->random, 3);
  uint64_t offset = page * SDB_PAGE;
  bool reserved = false;
  uint8_t own[PAGES] = {0};
  paint(own, w->cell, 1, true);
  for (uint64_t i = page; i < page + count && i < PAGES; i++)
    reserved |= w->own[i] || w->seen[i];
  if (sdb_space_is_unreserved(&w->space, offset, count * SDB_PAGE, &w->tree) == reserved) return "is_unreserved";
  bool visible = w->visible[page] || w->pinned[page]; /* a pin that failed may be there all the same */
  if (w->starved) visible |= sdb_range_overlap(&w->space.redo, offset, SDB_PAGE, NULL);
  if (sdb_space_may_write(&w->space, offset, SDB_PAGE, NULL) == visible) return "may_write";
  bool own_too = visible || own[page];
  return sdb_space_may_write(&w->space, offset, SDB_PAGE, &w->tree) != own_too ? NULL : "may_write, own";
}

/* What savepoints see is remembered by the entries that they see, also when an older one is released: then too much is
** said, which costs a way through the record and no safety. */
const char *compare_visible(world *w, size_t slot) {
  const cell *c = &w->cell[slot];
  uint64_t visible = 0;
  bool marked = false;
  if (!c->used) return NULL;
  for (size_t n = 0; n < w->live_count; n++) {
    const cell *other = &w->live[n].cell[slot];
    if (other->used && other->start == c->start) visible = SDB_MAX(visible, other->length);
    marked |= w->live[n].catalog->kind == SDB_CATALOG_SAVEPOINT;
  }
  uint64_t said = sdb_space_visible_bytes(&w->space, (uint32_t)slot, c->start * SDB_PAGE);
  if (said < visible) return "visible_bytes: too few";
  return said == visible || marked ? NULL : "visible_bytes: too many";
}
