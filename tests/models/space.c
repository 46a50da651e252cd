/* SPDX-License-Identifier: MIT
**
** space.c: who may use which page, against a map of the pages that is drawn anew after each change.
**
**   sdb_space_model SEED STEPS ?STARVED?   a transaction with savepoints, prepares, commits, rollbacks, snapshots, pins
**                                          and punching, as the engine does them, on a dozen regions.  With STARVED 1,
**                                          one change in six meets an allocation that fails.  Result: commits done
**
** What the map says: a page of the transaction is its own; of the others, those that a live catalog reserves are
** pending, exactly once, at the newest catalog that sees them; those released while a record had ranges in them are
** held; all others below the end are holes, and the last page below the end is none.
**
** THREADS: the interpreter's.
*/
#include "models/space_world.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include "disk/os_faults.h"
#include "lib/testfixture.h"

/* ---- catalogs */

static sdb_catalog *catalog_new(world *w, enum sdb_catalog_kind kind) {
  sdb_tree shared = sdb_tree_share(&w->tree);
  starve(w, false);
  sdb_catalog *made = sdb_catalog_new(&w->space.catalogs, &shared, kind, w->generation);
  feed(w);
  if (!made) {
    sdb_tree_drop(&shared, w->names);
    return NULL;
  }
  live *l = &w->live[w->live_count++];
  l->catalog = made;
  l->refs = 1;
  memcpy(l->cell, w->cell, sizeof l->cell);
  w->epoch++;
  return made;
}

static live *live_of(world *w, const sdb_catalog *catalog) {
  for (size_t i = 0; i < w->live_count; i++)
    if (w->live[i].catalog == catalog) return &w->live[i];
  return NULL;
}

static void catalog_unref(world *w, sdb_catalog *catalog) {
  live *l = live_of(w, catalog);
  if (l && --l->refs == 0) {
    memmove(l, l + 1, sizeof *l * (size_t)(w->live + w->live_count - l - 1));
    w->live_count--;
  }
  starve(w, false);
  sdb_space_unref(&w->space, catalog);
  w->leaked |= feed(w);
}

static void drop_marks(world *w, size_t keep) {
  while (w->mark_count > keep)
    catalog_unref(w, w->marks[--w->mark_count]);
}

/* ---- changes of the transaction */

static bool put(world *w, size_t slot, const cell *fresh) {
  sdb_entry entry = {.start = fresh->start * SDB_PAGE,
                     .reserved = fresh->reserved * SDB_PAGE,
                     .length = fresh->length,
                     .generation = w->generation};
  const sdb_entry *old = sdb_tree_get(&w->tree, (uint32_t)slot);
  char name = (char)('a' + slot);
  entry.seen_bytes = sdb_catalogs_marked_bytes(&w->space.catalogs, (uint32_t)slot, entry.start);
  starve(w, false);
  sdb_name *made = old ? NULL : sdb_name_new(w->names, &name, 1, (uint32_t)slot);
  entry.name = old ? old->name : made;
  bool done = entry.name && sdb_tree_put(&w->tree, w->names, w->epoch, (uint32_t)slot, &entry) == SEQDB_OK;
  feed(w);
  if (made) sdb_name_unref(w->names, made);
  if (done) w->cell[slot] = *fresh;
  w->current &= !done;
  return done;
}

/* `safe`: memory was reserved, nothing can leak. */
static void give_up(world *w, size_t slot, uint64_t start, uint64_t pages, bool safe) {
  starve(w, safe);
  sdb_space_give_up(&w->space, (uint32_t)slot, start * SDB_PAGE, pages * SDB_PAGE);
  w->leaked |= feed(w);
}

static bool reserve_give_up(world *w, size_t slot, uint64_t start, uint64_t pages) {
  starve(w, false);
  int rc = sdb_space_reserve_give_up(&w->space, (uint32_t)slot, start * SDB_PAGE, pages * SDB_PAGE);
  feed(w);
  return rc == SEQDB_OK;
}

/* The smallest hole that is large enough, the lowest of them; else the end. */
static uint64_t best_fit(const world *w, uint64_t pages) {
  uint64_t best = w->space.end / SDB_PAGE, best_run = UINT64_MAX;
  for (uint64_t page = 0, run = 0; page <= w->space.end / SDB_PAGE; page++) {
    if (page < w->space.end / SDB_PAGE && w->hole[page]) {
      run++;
      continue;
    }
    if (run >= pages && run < best_run) {
      best = page - run;
      best_run = run;
    }
    run = 0;
  }
  return best;
}

static const char *taken(world *w, uint64_t start, uint64_t pages, bool dirty) {
  bool expected = false;
  for (uint64_t page = start; page < start + pages; page++) {
    expected |= w->unpunched[page];
    w->unpunched[page] = w->hole[page] = 0;
  }
  return dirty == expected ? NULL : "alloc: dirty";
}

/* *start is set if it worked; an allocation that fails changes nothing. */
static const char *allocate(world *w, uint64_t pages, uint64_t *start, bool *done, bool *dirty) {
  uint64_t at = 0, expected = best_fit(w, pages);
  bool *asked = sdb_test_below(&w->random, 4) ? dirty : NULL;
  *dirty = false;
  starve(w, false);
  int rc = sdb_space_alloc(&w->space, pages * SDB_PAGE, &at, asked);
  bool hit = feed(w);
  *done = rc == SEQDB_OK;
  if (rc != SEQDB_OK) return rc == SEQDB_NOMEM && hit ? NULL : "alloc: result code";
  *start = at / SDB_PAGE;
  if (*start != expected) return "alloc: not the best fit";
  const char *problem = taken(w, *start, pages, *dirty);
  if (asked) return problem;
  *dirty = true; /* not known */
  return NULL;
}

static void note_slack(world *w, size_t slot, bool dirty) {
  const cell *c = &w->cell[slot];
  starve(w, false);
  if (dirty) sdb_space_note_cut(&w->space, (uint32_t)slot, c->start * SDB_PAGE, c->length, c->reserved * SDB_PAGE);
  w->leaked |= feed(w);
}

static const char *insert(world *w, size_t slot) {
  cell fresh = {.used = true, .reserved = 1 + sdb_test_below(&w->random, 12)};
  bool done, dirty;
  const char *problem = allocate(w, fresh.reserved, &fresh.start, &done, &dirty);
  if (problem || !done) return problem;
  fresh.length = sdb_test_below(&w->random, fresh.reserved * SDB_PAGE + 1);
  if (!put(w, slot, &fresh))
    give_up(w, slot, fresh.start, fresh.reserved, true); /* nobody sees it: no memory is needed but in the sets */
  else
    note_slack(w, slot, dirty);
  return NULL;
}

static const char *move(world *w, size_t slot) {
  cell old = w->cell[slot], fresh = old;
  bool done, dirty;
  fresh.reserved += sdb_test_below(&w->random, 4);
  const char *problem = allocate(w, fresh.reserved, &fresh.start, &done, &dirty);
  if (problem || !done) return problem;
  if (!reserve_give_up(w, slot, old.start, old.reserved) || !put(w, slot, &fresh)) {
    give_up(w, slot, fresh.start, fresh.reserved, false);
    return NULL;
  }
  give_up(w, slot, old.start, old.reserved, true);
  note_slack(w, slot, dirty);
  return NULL;
}

static const char *extend(world *w, size_t slot) {
  cell fresh = w->cell[slot];
  uint64_t after = fresh.start + fresh.reserved, end = w->space.end / SDB_PAGE, room = 0;
  while (after + room < end && w->hole[after + room])
    room++;
  if (sdb_space_room_at(&w->space, after * SDB_PAGE) != (after == end ? UINT64_MAX : room * SDB_PAGE)) return "room_at";
  if (after == end) room = 10;
  if (room == 0) return NULL;
  uint64_t extra = 1 + sdb_test_below(&w->random, SDB_MIN(room, 10));
  bool dirty = false;
  starve(w, false);
  int rc = sdb_space_alloc_at(&w->space, after * SDB_PAGE, extra * SDB_PAGE, &dirty);
  bool hit = feed(w);
  if (rc != SEQDB_OK) return rc == SEQDB_NOMEM && hit ? NULL : "alloc_at: result code";
  const char *problem = taken(w, after, extra, dirty);
  fresh.reserved += extra;
  if (!put(w, slot, &fresh))
    give_up(w, slot, after, extra, false);
  else
    note_slack(w, slot, dirty);
  return problem;
}

/* Bytes that the transaction itself wrote and cut off again are nobody's blocks here: only committed ones are
** followed. */
static void set_length(world *w, size_t slot) {
  cell fresh = w->cell[slot];
  uint64_t before = sdb_page_up(fresh.length) / SDB_PAGE;
  fresh.length = sdb_test_below(&w->random, fresh.reserved * SDB_PAGE + 1);
  if (!put(w, slot, &fresh)) return;
  uint8_t committed[PAGES] = {0};
  for (size_t n = 0; n < w->live_count; n++)
    if (w->live[n].catalog->kind == SDB_CATALOG_COMMITTED) paint(committed, w->live[n].cell, 1, true);
  for (uint64_t page = sdb_page_up(fresh.length) / SDB_PAGE; page < before; page++)
    if (!committed[fresh.start + page]) w->blocks[fresh.start + page] = 0;
}

/* What compaction does in a transaction of its own: nothing but the last commit and snapshots see the region. */
static void trim(world *w, size_t slot) {
  cell old = w->cell[slot], fresh = old;
  uint64_t needed = SDB_MAX(sdb_page_up(old.length) / SDB_PAGE, 1);
  if (needed == old.reserved || w->mark_count || w->prepared) return;
  fresh.reserved = needed;
  if (reserve_give_up(w, slot, old.start + needed, old.reserved - needed) && put(w, slot, &fresh))
    give_up(w, slot, old.start + needed, old.reserved - needed, true);
}

static void take_out(world *w, size_t slot) {
  cell old = w->cell[slot];
  if (!reserve_give_up(w, slot, old.start, old.reserved)) return;
  starve(w, false);
  int rc = sdb_tree_remove(&w->tree, w->names, w->epoch, (uint32_t)slot);
  feed(w);
  if (rc != SEQDB_OK) return;
  w->cell[slot].used = false;
  w->current = false;
  give_up(w, slot, old.start, old.reserved, true);
}

/* ---- savepoints, prepare, commit, rollback */

static int leave_entry(void *context, uint32_t index, const sdb_entry *before, const sdb_entry *after) {
  world *w = context;
  if (!before) return 0;
  if (!after || after->start != before->start)
    sdb_space_give_up(&w->space, index, before->start, before->reserved);
  else if (before->reserved > after->reserved)
    sdb_space_give_up(&w->space, index, before->start + after->reserved, before->reserved - after->reserved);
  return 0;
}

static void return_to(world *w, sdb_catalog *to) {
  const live *l = live_of(w, to);
  sdb_tree shared = sdb_tree_share(&to->tree);
  starve(w, false);
  sdb_space_take_back(&w->space, to);
  (void)sdb_tree_diff(&w->tree, &to->tree, leave_entry, w);
  w->leaked |= feed(w);
  sdb_space_recount_leaked(&w->space, &shared);
  sdb_tree_drop(&w->tree, w->names);
  w->tree = shared;
  memcpy(w->cell, l->cell, sizeof w->cell);
  w->epoch++;
  w->current = false;
}

static void prepare(world *w) {
  if (w->live_count == CATALOGS) return;
  sdb_catalog *made = catalog_new(w, SDB_CATALOG_PREPARED);
  if (!made) return;
  if (w->prepared) catalog_unref(w, w->prepared);
  w->prepared = made;
  w->current = true;
}

/* Ranges of a record: parts of regions as the transaction has them. */
static void pin(world *w) {
  for (size_t slot = 0; slot < SLOTS; slot++) {
    const cell *c = &w->cell[slot];
    if (!c->used || c->length == 0 || sdb_test_below(&w->random, 4)) continue;
    uint64_t from = sdb_test_below(&w->random, c->length), bytes = sdb_test_below(&w->random, c->length - from + 1);
    uint64_t offset = c->start * SDB_PAGE + from;
    starve(w, false);
    int rc = sdb_space_hold_redo(&w->space, offset, bytes);
    feed(w);
    for (uint64_t at = offset; rc == SEQDB_OK && at < offset + bytes; at = sdb_page_down(at) + SDB_PAGE)
      w->pinned[at / SDB_PAGE] = 1;
  }
}

static void publish(world *w) {
  if (!w->prepared || !w->current) return;
  drop_marks(w, 0);
  sdb_catalog *old = w->committed;
  const live *before = live_of(w, old), *after = live_of(w, w->prepared);
  for (size_t slot = 0; slot < SLOTS; slot++) {
    const cell *a = &before->cell[slot], *b = &after->cell[slot];
    if (a->used && b->used && a->start == b->start && b->length < a->length) {
      starve(w, false);
      sdb_space_note_cut(&w->space, (uint32_t)slot, b->start * SDB_PAGE, b->length, a->length);
      w->leaked |= feed(w);
    }
    for (uint64_t page = b->start; b->used && page < b->start + (b->length + SDB_PAGE - 1) / SDB_PAGE; page++)
      w->blocks[page] = 1;
  }
  w->committed = w->prepared;
  w->committed->kind = SDB_CATALOG_COMMITTED;
  w->prepared = NULL;
  catalog_unref(w, old);
  w->generation++;
  w->epoch++;
  w->commits++;
}

static void roll_back(world *w) {
  if (w->prepared) catalog_unref(w, w->prepared);
  w->prepared = NULL;
  drop_marks(w, 0);
  return_to(w, w->committed);
}

static void savepoint(world *w) {
  uint64_t kind = sdb_test_below(&w->random, 3);
  if (kind == 0 && w->mark_count > 0) {
    drop_marks(w, sdb_test_below(&w->random, w->mark_count)); /* release */
  } else if (kind == 1 && w->mark_count > 0) {
    drop_marks(w, 1 + sdb_test_below(&w->random, w->mark_count));
    return_to(w, w->marks[w->mark_count - 1]);
  } else if (w->mark_count < MARKS && w->live_count < CATALOGS) {
    sdb_catalog *made = catalog_new(w, SDB_CATALOG_SAVEPOINT);
    if (made) w->marks[w->mark_count++] = made;
  }
}

static void snapshot(world *w) {
  sdb_catalog **at = &w->snapshots[sdb_test_below(&w->random, SNAPSHOTS)];
  if (*at) {
    catalog_unref(w, *at);
    *at = NULL;
  } else {
    *at = w->committed;
    sdb_catalog_ref(*at);
    live_of(w, *at)->refs++;
  }
}

/* ---- checkpoint: no transaction is open */

static const char *punch(world *w) {
  sdb_range range;
  while (sdb_space_next_punch(&w->space, &range)) {
    if (range.start % SDB_PAGE != 0 || range.bytes % SDB_PAGE != 0 || range.bytes == 0) return "punch: not whole pages";
    for (uint64_t page = range.start / SDB_PAGE; page < (range.start + range.bytes) / SDB_PAGE; page++) {
      if (page >= PAGES) return "punch: past everything";
      if (w->visible[page]) return "punch: somebody sees it";
      if (w->pinned[page] && !w->hole[page]) return "punch: a record has ranges there";
      w->blocks[page] = 0;
      w->unpunched[page] = 0;
    }
  }
  if (w->starved) return NULL;
  for (uint64_t page = 0; page < PAGES; page++)
    if (w->blocks[page] && w->hole[page]) return "punch: a hole was forgotten";
  /* Parts of reserves: all of them, if nobody else sees any and nothing is pinned. */
  if (w->live_count > 1 || w->space.redo.count) return NULL;
  for (size_t slot = 0; slot < SLOTS; slot++) {
    const cell *c = &w->cell[slot];
    for (uint64_t page = c->start + (c->length + SDB_PAGE - 1) / SDB_PAGE; c->used && page < c->start + c->reserved;
         page++)
      if (w->blocks[page]) return "punch: what was cut off was forgotten";
  }
  return NULL;
}

static const char *checkpoint(world *w) {
  if (w->prepared || w->mark_count || w->tree.root != w->committed->tree.root) return NULL;
  starve(w, false);
  sdb_space_release_redo(&w->space);
  w->leaked |= feed(w);
  memset(w->pinned, 0, sizeof w->pinned);
  const char *problem = compare(w);
  if (problem) return problem;
  starve(w, false);
  problem = punch(w);
  w->leaked |= feed(w);
  return problem;
}

/* ---- running */

static const char *change(world *w, size_t slot) {
  uint64_t kind = sdb_test_below(&w->random, 100);
  cell fresh = w->cell[slot];
  if (!fresh.used) return kind < 60 && w->space.end < (PAGES - 100) * SDB_PAGE ? insert(w, slot) : NULL;
  if (kind < 40) {
    set_length(w, slot);
  } else if (w->space.end < (PAGES - 100) * SDB_PAGE && kind < 60) {
    return fresh.reserved < 30 ? extend(w, slot) : NULL;
  } else if (w->space.end < (PAGES - 100) * SDB_PAGE && kind < 75) {
    return fresh.reserved < 30 ? move(w, slot) : NULL;
  } else if (kind < 82) {
    trim(w, slot);
  } else {
    take_out(w, slot);
  }
  return NULL;
}

static const char *one_step(world *w) {
  uint64_t kind = sdb_test_below(&w->random, 100);
  size_t slot = (size_t)sdb_test_below(&w->random, SLOTS);
  const char *problem = NULL;
  if (kind < 60) {
    problem = change(w, slot);
  } else if (kind < 72) {
    savepoint(w);
  } else if (kind < 76) {
    prepare(w);
  } else if (kind < 84) {
    prepare(w);
    if (sdb_test_below(&w->random, 2)) pin(w);
    publish(w);
  } else if (kind < 87) {
    roll_back(w);
  } else if (kind < 94) {
    snapshot(w);
  } else {
    problem = checkpoint(w);
  }
  if (!problem) problem = compare(w);
  if (!problem) problem = compare_rules(w);
  return problem ? problem : compare_visible(w, slot);
}

static void begin(world *w) {
  sdb_range used[2] = {{3 * SDB_PAGE, 2 * SDB_PAGE}, {9 * SDB_PAGE, 4 * SDB_PAGE}};
  if (sdb_names_open(&w->names) != SEQDB_OK) abort();
  sdb_space_init(&w->space, w->names);
  if (sdb_space_load(&w->space, used, 2) != SEQDB_OK) abort();
  memset(w->hole, 1, sizeof w->hole);
  bool starved = w->starved;
  w->starved = false;
  w->epoch = w->generation = 1;
  (void)put(w, 0, &(cell){true, 3, 2, 5000});
  (void)put(w, 1, &(cell){true, 9, 4, 4 * SDB_PAGE});
  w->committed = catalog_new(w, SDB_CATALOG_COMMITTED);
  (void)compare(w);
  memset(w->unpunched, 0,
         sizeof w->unpunched); /* holes that were there at the beginning are not known to hold blocks */
  w->starved = starved;
}

/* With nothing live any more, all is one piece of nothing. */
static const char *end(world *w) {
  const char *problem = NULL;
  roll_back(w);
  for (size_t i = 0; i < SNAPSHOTS; i++)
    if (w->snapshots[i]) catalog_unref(w, w->snapshots[i]);
  for (size_t slot = 0; slot < SLOTS; slot++)
    while (w->cell[slot].used)
      take_out(w, slot);
  sdb_space_release_redo(&w->space);
  bool own = w->leaked;
  w->starved = false;
  catalog_unref(w, w->committed);
  if (!own && (w->space.end != 0 || w->space.catalogs.pending_bytes || w->space.held_bytes))
    problem = "something remains";
  sdb_tree_drop(&w->tree, w->names);
  sdb_space_destroy(&w->space);
  sdb_names_close(w->names);
  return problem;
}

static int space_model_cmd(ClientData data, Tcl_Interp *interp, int objc, Tcl_Obj *const objv[]) {
  Tcl_WideInt seed, steps;
  int starved = 0;
  uint64_t step = 0;
  const char *problem = NULL;
  sdb_fault_lives before, after;
  (void)data;
  if (objc < 3 || objc > 4) {
    Tcl_WrongNumArgs(interp, 1, objv, "SEED STEPS ?STARVED?");
    return TCL_ERROR;
  }
  if (Tcl_GetWideIntFromObj(interp, objv[1], &seed) != TCL_OK) return TCL_ERROR;
  if (Tcl_GetWideIntFromObj(interp, objv[2], &steps) != TCL_OK) return TCL_ERROR;
  if (objc > 3 && Tcl_GetIntFromObj(interp, objv[3], &starved) != TCL_OK) return TCL_ERROR;
  world *w = calloc(1, sizeof *w);
  if (!w) abort();
  w->random.state = (uint64_t)seed;
  w->starved = starved != 0;
  sdb_fault_live(&before);
  begin(w);
  while (step < (uint64_t)steps && !problem) {
    step++;
    problem = one_step(w);
  }
  if (!problem) problem = end(w);
  sdb_fault_live(&after);
  if (!problem && before.memory != after.memory) problem = "memory was not given back";
  uint64_t commits = w->commits;
  free(w);
  return sdb_test_report(interp, (uint64_t)seed, step, problem, commits);
}

int sdb_test_models_space_init(Tcl_Interp *interp) {
  Tcl_CreateObjCommand(interp, "sdb_space_model", space_model_cmd, NULL, NULL);
  return TCL_OK;
}
