/* SPDX-License-Identifier: MIT
**
** trees.c: patches and the catalog against simple models: arrays with one byte for each byte, one cell for each
** index.
**
**   sdb_patch_model SEED STEPS ?BASE?   random writes, removals and merges of four patches; after each, every byte of
**                                       the
**                                       changed ones is compared.  BASE is the lowest offset, or "top"
**   sdb_catalog_model SEED STEPS        random changes of a catalog, with older roots kept, compared and returned to
**   Both: one change in six meets an allocation that fails; it must then fail and change nothing, or succeed.  What was
**   promised not to fail meets failing memory always.  The result is the number of changes that failed.
**
** THREADS: the interpreter's.
*/
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "space/tree.h"
#include "pure/entry_page.h"
#include "disk/os_faults.h"
#include "pure/patch.h"
#include "models/pure.h"
#include "lib/testfixture.h"

/* One change: with failing memory now and then. */
typedef struct starved {
  int rule;
  uint64_t failed;
} starved;

/* The nth allocation from now on fails; with `forever`, all after it too. */
static void starve(starved *s, uint64_t nth, bool forever) {
  sdb_fault_rule rule = {.kinds = SDB_CALLS_MEMORY, .nth = nth, .forever = forever, .error = ENOMEM};
  s->rule = sdb_fault_add(&rule);
}

static void starve_sometimes(starved *s, sdb_test_random *random) {
  if (sdb_test_below(random, 6) == 0) starve(s, 1 + sdb_test_below(random, 4), false);
}

static void feed(starved *s) {
  if (s->rule > 0) sdb_fault_remove(s->rule);
  s->rule = 0;
}

/* NULL if `code` is right: SEQDB_NOMEM only where memory failed.  Ends the starving. */
static const char *judge(starved *s, int code) {
  uint64_t hits = s->rule > 0 ? sdb_fault_hits(s->rule, NULL) : 0;
  feed(s);
  if (code == SEQDB_OK) return NULL;
  s->failed++;
  if (code != SEQDB_NOMEM) return "result code";
  return hits > 0 ? NULL : "out of memory, and memory had not failed";
}

/* ---- patches ------------------------------------------------------------------------------------------------ */

#define SPAN    20000u
#define PATCHES 4u

typedef struct patch_world {
  sdb_test_random random;
  starved starved;
  uint64_t base, usual_bytes;
  sdb_patch patch[PATCHES]; /* the higher the newer */
  uint8_t in[PATCHES][SPAN], byte[PATCHES][SPAN];
} patch_world;

/* Of zeros and ones. */
static bool all_of(const uint8_t *in, size_t from, size_t to, uint8_t value) {
  return memchr(in + from, !value, to - from) == NULL;
}

/* Every range and every gap. */
static const char *patch_compare(const patch_world *w, size_t n) {
  const sdb_patch *patch = &w->patch[n];
  uint64_t at = 0, total = 0;
  size_t count = 0;
  sdb_patch_range range;
  for (bool more = sdb_patch_next(patch, 0, &range); more; more = sdb_patch_following(&range), count++) {
    uint64_t from = range.offset - w->base;
    if (range.bytes == 0 || from < at || from + range.bytes > SPAN) return "ranges are out of order";
    if (!all_of(w->in[n], at, from, 0)) return "a byte is missing";
    if (!all_of(w->in[n], from, from + range.bytes, 1)) return "a byte too many";
    if (memcmp(w->byte[n] + from, range.data, (size_t)range.bytes) != 0) return "a wrong byte";
    at = from + range.bytes;
    total += range.bytes;
  }
  if (!all_of(w->in[n], at, SPAN, 0)) return "the last bytes are missing";
  return patch->count == count && patch->total_bytes == total ? NULL : "count or total_bytes";
}

static const char *patch_query(patch_world *w, size_t n) {
  static uint8_t buffer[SPAN];
  sdb_patch_range range;
  size_t from = (size_t)sdb_test_below(&w->random, SPAN);
  size_t bytes = (size_t)sdb_test_below(&w->random, SDB_MIN(SPAN - from, 300) + 1), next = from;
  memset(buffer, 0xA5, bytes);
  sdb_patch_read(&w->patch[n], w->base + from, bytes, buffer);
  for (size_t i = 0; i < bytes; i++)
    if (buffer[i] != (w->in[n][from + i] ? w->byte[n][from + i] : 0xA5)) return "read";
  while (next < SPAN && !w->in[n][next])
    next++;
  if (sdb_patch_next(&w->patch[n], w->base + from, &range) != (next < SPAN)) return "next";
  if (next == SPAN) return NULL;
  uint64_t at = w->base + next;
  bool first = range.offset == at || (next == from && range.offset < at);
  return first && range.offset + range.bytes > at ? NULL : "next: another range";
}

static const char *patch_write(patch_world *w, size_t n) {
  static uint8_t data[SPAN];
  uint64_t most = sdb_test_below(&w->random, 400) == 0 ? 9000 : w->usual_bytes;
  size_t from = (size_t)sdb_test_below(&w->random, SPAN);
  size_t bytes = (size_t)sdb_test_below(&w->random, SDB_MIN(SPAN - from, most) + 1);
  bool zeros = sdb_test_below(&w->random, 8) == 0;
  for (size_t i = 0; i < bytes; i++)
    data[i] = zeros ? 0 : (uint8_t)sdb_test_next(&w->random);
  starve_sometimes(&w->starved, &w->random);
  int rc = sdb_patch_write(&w->patch[n], w->base + from, zeros ? NULL : data, bytes);
  if (rc == SEQDB_OK) {
    memset(w->in[n] + from, 1, bytes);
    memcpy(w->byte[n] + from, data, bytes);
  }
  return judge(&w->starved, rc);
}

static const char *patch_remove(patch_world *w, size_t n) {
  size_t from = (size_t)sdb_test_below(&w->random, SPAN);
  uint64_t most = sdb_test_below(&w->random, 40) == 0 ? 4000 : w->usual_bytes;
  size_t bytes = (size_t)sdb_test_below(&w->random, SDB_MIN(SPAN - from, most) + 1);
  sdb_patch_range range;
  uint64_t offset = w->base + from;
  bool splits = bytes > 0 && sdb_patch_next(&w->patch[n], offset, &range) && range.offset < offset &&
                range.offset + range.bytes > offset + bytes;
  if (sdb_test_below(&w->random, 3) == 0) starve(&w->starved, 1, false);
  int rc = sdb_patch_remove(&w->patch[n], offset, bytes);
  if (rc == SEQDB_OK) memset(w->in[n] + from, 0, bytes);
  const char *problem = judge(&w->starved, rc);
  return rc != SEQDB_OK && !splits ? "a removal that splits nothing failed" : problem;
}

/* Memory for all of it is reserved once; then `count` newer patches go into an older one, and nothing may fail. */
static const char *patch_merge(patch_world *w, size_t into, size_t count) {
  size_t ranges = 0;
  for (size_t i = 1; i <= count; i++)
    ranges += w->patch[into + i].count;
  starve_sometimes(&w->starved, &w->random);
  int rc = sdb_patch_reserve(&w->patch[into], ranges);
  const char *problem = judge(&w->starved, rc);
  if (rc != SEQDB_OK) return problem;
  starve(&w->starved, 1, true);
  for (size_t n = into + 1; n <= into + count; n++) {
    sdb_patch_merge(&w->patch[into], &w->patch[n]);
    for (size_t i = 0; i < SPAN; i++)
      if (w->in[n][i]) w->byte[into][i] = w->byte[n][i];
    for (size_t i = 0; i < SPAN; i++)
      w->in[into][i] |= w->in[n][i];
    memset(w->in[n], 0, SPAN);
    if (!problem) problem = patch_compare(w, n);
  }
  feed(&w->starved);
  return problem ? problem : patch_compare(w, into);
}

static const char *patch_step(patch_world *w) {
  uint64_t kind = sdb_test_below(&w->random, 1000);
  size_t n = (size_t)sdb_test_below(&w->random, PATCHES);
  const char *problem = NULL;
  if (kind < 700) {
    problem = patch_write(w, n);
  } else if (kind < 940) {
    problem = patch_remove(w, n);
  } else if (kind < 970) {
    n = (size_t)sdb_test_below(&w->random, PATCHES - 1);
    problem = patch_merge(w, n, 1 + (size_t)sdb_test_below(&w->random, PATCHES - 1 - n));
  } else if (kind < 972) {
    sdb_patch_clear(&w->patch[n]);
    memset(w->in[n], 0, SPAN);
  }
  if (!problem) problem = patch_compare(w, n);
  return problem ? problem : patch_query(w, n);
}

static const char *patch_run(uint64_t seed, uint64_t steps, uint64_t base, uint64_t *step, uint64_t *failed) {
  static const uint64_t usual[] = {8, 60, 400};
  patch_world *w = calloc(1, sizeof *w);
  sdb_fault_lives before, after;
  const char *problem = NULL;
  if (!w) abort();
  w->random.state = seed;
  w->base = base;
  w->usual_bytes = usual[seed % 3];
  sdb_fault_live(&before);
  for (size_t i = 0; i < PATCHES; i++)
    sdb_patch_init(&w->patch[i]);
  for (*step = 0; *step < steps && !problem; ++*step)
    problem = patch_step(w);
  for (size_t i = 0; i < PATCHES; i++)
    sdb_patch_clear(&w->patch[i]);
  sdb_fault_live(&after);
  if (!problem && before.memory != after.memory) problem = "memory was not given back";
  *failed = w->starved.failed;
  free(w);
  return problem;
}

/* ---- the catalog -------------------------------------------------------------------------------------------- */

#define DENSE 4200u
#define SLOTS (DENSE + 16u)
#define ROOTS 6u /* the first is under change */
#define TEXTS 3000u

static const uint32_t far_index[SLOTS - DENSE] = {4201,
                                                  4223,
                                                  8191,
                                                  8192,
                                                  262143,
                                                  262144,
                                                  300000,
                                                  16777215,
                                                  16777216,
                                                  16777221,
                                                  (1u << 30) - 1u,
                                                  1u << 30,
                                                  0x7fffffff,
                                                  0x80000000,
                                                  0xff000000u,
                                                  SDB_INDEX_MAX - 1};

typedef struct cell {
  sdb_entry entry;
  uint32_t text;
} cell;

typedef struct root {
  bool live;
  sdb_tree tree;
  uint8_t used[SLOTS];
  uint64_t entries, content_bytes, reserved_bytes, hash;
  cell cell[SLOTS];
  uint32_t bearers[TEXTS]; /* entries with this name */
} root;

typedef struct catalog_world {
  sdb_test_random random;
  starved starved;
  sdb_names *names;
  uint64_t epoch;
  uint32_t dense, texts; /* of this run */
  bool far, fill, repeat;
  root root[ROOTS];
} catalog_world;

static uint32_t index_of(size_t slot) {
  return slot < DENSE ? (uint32_t)slot : far_index[slot - DENSE];
}

static size_t text_of(uint32_t text, char out[32]) {
  return (size_t)snprintf(out, 32, "%s%u", text % 7 ? "name-" : "", text);
}

static void model_count(root *r, size_t slot, bool in) {
  const cell *c = &r->cell[slot];
  char text[32];
  sdb_entry_image image = {.start = c->entry.start,
                           .length = c->entry.length,
                           .reserved = c->entry.reserved,
                           .generation = c->entry.generation,
                           .has_trailer = c->entry.has_trailer,
                           .name = text,
                           .name_bytes = (uint32_t)text_of(c->text, text)};
  uint64_t sign = in ? 1 : UINT64_MAX;
  r->used[slot] = in;
  r->entries += sign;
  r->content_bytes += sign * c->entry.length;
  r->reserved_bytes += sign * c->entry.reserved;
  r->hash += sign * sdb_entry_hash(index_of(slot), &image);
  r->bearers[c->text] += (uint32_t)sign;
}

static bool same_entry(const sdb_entry *a, const sdb_entry *b) {
  return a->start == b->start && a->length == b->length && a->reserved == b->reserved && a->name == b->name &&
         a->generation == b->generation && a->incarnation == b->incarnation && a->has_trailer == b->has_trailer;
}

static const char *compare_entry(const root *r, size_t slot) {
  const sdb_entry *got = sdb_tree_get(&r->tree, index_of(slot));
  char text[32];
  if (!r->used[slot]) return got ? "get: an entry that is none" : NULL;
  if (!got || !same_entry(got, &r->cell[slot].entry)) return "get";
  size_t bytes = text_of(r->cell[slot].text, text);
  bool same = sdb_name_bytes(got->name) == bytes && memcmp(sdb_name_text(got->name), text, bytes) == 0;
  return same ? NULL : "the entry's name";
}

static const char *compare_sums(const root *r) {
  const sdb_tree *t = &r->tree;
  uint32_t unused = 0;
  size_t slot = 0;
  if (t->entries != r->entries || t->content_bytes != r->content_bytes) return "entries or content_bytes";
  if (t->reserved_bytes != r->reserved_bytes || t->hash != r->hash) return "reserved_bytes or hash";
  for (; slot < SLOTS && index_of(slot) == unused && r->used[slot]; slot++)
    unused++;
  return sdb_tree_unused_index(t) == unused ? NULL : "unused_index";
}

static const char *compare_next(const root *r, uint64_t from) {
  size_t slot = 0;
  uint32_t index = 0;
  if (from < DENSE) slot = (size_t)from;
  while (slot < SLOTS && (!r->used[slot] || index_of(slot) < from))
    slot++;
  const sdb_entry *got = sdb_tree_next(&r->tree, from, &index);
  if (slot == SLOTS) return got ? "next: an entry too many" : NULL;
  return got && index == index_of(slot) && same_entry(got, &r->cell[slot].entry) ? NULL : "next";
}

static const char *compare_find(catalog_world *w, const root *r, uint32_t text) {
  char name[32];
  uint32_t index = 0;
  size_t slot = 0, bytes = text_of(text, name);
  bool found = sdb_tree_find(&r->tree, w->names, name, bytes, &index);
  if (found != (r->bearers[text] > 0)) return "find";
  while (found && slot < SLOTS && index_of(slot) != index)
    slot++;
  return !found || (slot < SLOTS && r->used[slot] && r->cell[slot].text == text) ? NULL : "find: another entry";
}

/* Everything that can be asked. */
static const char *compare_root(catalog_world *w, const root *r) {
  const char *problem = compare_sums(r);
  uint64_t from = 0;
  uint32_t index = 0;
  size_t seen = 0;
  for (size_t slot = 0; slot < SLOTS && !problem; slot++)
    problem = compare_entry(r, slot);
  for (; sdb_tree_next(&r->tree, from, &index); from = (uint64_t)index + 1)
    seen++;
  if (!problem && seen != r->entries) problem = "a walk with next";
  for (uint32_t text = 0; text < w->texts && !problem; text++)
    problem = compare_find(w, r, text);
  return problem;
}

typedef struct difference {
  const root *before, *after;
  size_t slot, visits, stop_after;
  const char *problem;
} difference;

static size_t next_difference(const difference *d, size_t slot) {
  for (; slot < SLOTS; slot++) {
    bool a = d->before->used[slot], b = d->after->used[slot];
    if (a != b || (a && !same_entry(&d->before->cell[slot].entry, &d->after->cell[slot].entry))) break;
  }
  return slot;
}

static int visit(void *context, uint32_t index, const sdb_entry *before, const sdb_entry *after) {
  difference *d = context;
  size_t slot = next_difference(d, d->slot);
  if (slot == SLOTS || index_of(slot) != index)
    d->problem = "diff: another index";
  else if (d->before->used[slot] ? !before || !same_entry(before, &d->before->cell[slot].entry) : before != NULL)
    d->problem = "diff: before";
  else if (d->after->used[slot] ? !after || !same_entry(after, &d->after->cell[slot].entry) : after != NULL)
    d->problem = "diff: after";
  d->slot = slot + 1;
  return d->problem || ++d->visits == d->stop_after ? 7 : 0;
}

static const char *compare_diff(catalog_world *w) {
  static const root none;
  const root *a = &w->root[sdb_test_below(&w->random, ROOTS)], *b = &w->root[sdb_test_below(&w->random, ROOTS)];
  difference d = {.before = a->live ? a : &none, .after = b->live ? b : &none};
  if (sdb_test_below(&w->random, 2) == 0) d.stop_after = 1 + (size_t)sdb_test_below(&w->random, 30);
  int rc = sdb_tree_diff(&d.before->tree, &d.after->tree, visit, &d);
  if (d.problem) return d.problem;
  if (rc != 0 && (rc != 7 || d.visits != d.stop_after)) return "diff: result code";
  return rc == 0 && next_difference(&d, d.slot) < SLOTS ? "diff: it ended too early" : NULL;
}

/* ---- changes */

static bool text_is_live(const catalog_world *w, uint32_t text) {
  for (size_t i = 0; i < ROOTS; i++)
    if (w->root[i].live && w->root[i].bearers[text]) return true;
  return false;
}

static const char *put(catalog_world *w, size_t slot) {
  root *r = &w->root[0];
  uint64_t page = 4096;
  cell fresh = {.entry = {.start = page * sdb_test_below(&w->random, 1000),
                          .length = sdb_test_below(&w->random, 9000),
                          .reserved = page * (3 + sdb_test_below(&w->random, 9)),
                          .generation = sdb_test_below(&w->random, 50),
                          .incarnation = (uint32_t)sdb_test_below(&w->random, 3),
                          .has_trailer = sdb_test_below(&w->random, 2) == 0},
                .text = (uint32_t)sdb_test_below(&w->random, w->texts)};
  char text[32];
  bool keeps = r->used[slot] && sdb_test_below(&w->random, 2) == 0;
  starve_sometimes(&w->starved, &w->random);
  if (keeps) {
    fresh.text = r->cell[slot].text;
    fresh.entry.name = r->cell[slot].entry.name;
  } else {
    bool repeats = text_is_live(w, fresh.text);
    fresh.entry.name = sdb_name_new(w->names, text, text_of(fresh.text, text), index_of(slot));
    if (!fresh.entry.name) return judge(&w->starved, SEQDB_NOMEM);
    w->repeat |= repeats;
  }
  int rc = sdb_tree_put(&r->tree, w->names, w->epoch, index_of(slot), &fresh.entry);
  if (rc == SEQDB_OK) {
    if (r->used[slot]) model_count(r, slot, false);
    r->cell[slot] = fresh;
    model_count(r, slot, true);
  }
  if (!keeps) sdb_name_unref(w->names, fresh.entry.name);
  return judge(&w->starved, rc);
}

/* Once its nodes are owned, an entry can be put without memory. */
static const char *own_and_put(catalog_world *w, size_t slot) {
  root *r = &w->root[0];
  if (!r->used[slot]) return NULL;
  starve_sometimes(&w->starved, &w->random);
  int rc = sdb_tree_own(&r->tree, w->names, w->epoch, index_of(slot));
  const char *problem = judge(&w->starved, rc);
  if (rc != SEQDB_OK) return problem;
  sdb_entry changed = r->cell[slot].entry;
  changed.length++;
  starve(&w->starved, 1, true);
  rc = sdb_tree_put(&r->tree, w->names, w->epoch, index_of(slot), &changed);
  feed(&w->starved);
  if (rc != SEQDB_OK) return "a put into owned nodes failed";
  model_count(r, slot, false);
  r->cell[slot].entry = changed;
  model_count(r, slot, true);
  return NULL;
}

static const char *take_out(catalog_world *w, size_t slot) {
  root *r = &w->root[0];
  starve_sometimes(&w->starved, &w->random);
  int rc = sdb_tree_remove(&r->tree, w->names, w->epoch, index_of(slot));
  if (rc == SEQDB_OK && r->used[slot]) model_count(r, slot, false);
  return judge(&w->starved, rc);
}

/* Keep the root under change, or go back to a kept one, or let one go. */
static void keep_or_return(catalog_world *w, uint64_t kind) {
  root *kept = &w->root[1 + sdb_test_below(&w->random, ROOTS - 1)], *from = &w->root[0], *to = kept;
  if (kind == 0 && kept->live) {
    from = kept;
    to = &w->root[0];
  }
  if (to->live) sdb_tree_drop(&to->tree, w->names);
  to->live = false;
  if (kind == 1) return;
  *to = *from;
  to->tree = sdb_tree_share(&from->tree);
  w->epoch++;
}

static size_t random_slot(catalog_world *w) {
  uint64_t kind = sdb_test_below(&w->random, 40);
  if (kind == 0 && w->far) return DENSE + (size_t)sdb_test_below(&w->random, SLOTS - DENSE);
  if (w->fill && kind < 36) {
    uint32_t unused = sdb_tree_unused_index(&w->root[0].tree);
    if (unused < w->dense) return unused;
  }
  return (size_t)sdb_test_below(&w->random, w->dense);
}

static const char *catalog_step(catalog_world *w, uint64_t step) {
  uint64_t kind = sdb_test_below(&w->random, 1000), slot = random_slot(w);
  const root *now = &w->root[0];
  const char *problem = NULL;
  if (kind < 720)
    problem = put(w, slot);
  else if (kind < 770)
    problem = own_and_put(w, slot);
  else if (kind < (w->fill ? 800 : 985))
    problem = take_out(w, w->fill ? (size_t)sdb_test_below(&w->random, w->dense) : slot);
  else if (kind >= 985 && (kind >= 997 || !w->fill || kind % 3 == 0))
    keep_or_return(w, kind % 5 == 0 ? 0 : kind % 5 < 2 ? 1 : 2);
  if (!problem) problem = compare_entry(now, slot);
  if (!problem) problem = compare_sums(now);
  if (!problem) problem = compare_next(now, index_of(random_slot(w)) + sdb_test_below(&w->random, 3) / 2);
  if (!problem) problem = compare_next(now, UINT64_C(1) << sdb_test_below(&w->random, 64));
  if (!problem) problem = compare_find(w, now, (uint32_t)sdb_test_below(&w->random, w->texts));
  if (!problem && sdb_names_repeat(w->names) != w->repeat) problem = "repeat";
  if (!problem && step % 40 == 0) problem = compare_diff(w);
  for (size_t i = 0; i < ROOTS && step % 1000 == 0 && !problem; i++)
    if (w->root[i].live) problem = compare_root(w, &w->root[i]);
  return problem;
}

static const char *catalog_run(uint64_t seed, uint64_t steps, uint64_t base, uint64_t *step, uint64_t *failed) {
  static const uint32_t dense[] = {70, 300, DENSE, DENSE};
  catalog_world *w = calloc(1, sizeof *w);
  sdb_fault_lives before, after;
  const char *problem = NULL;
  (void)base;
  if (!w) abort();
  w->random.state = seed;
  w->dense = dense[seed % 4];
  w->texts = seed % 3 ? TEXTS : 12;
  w->far = seed % 2;
  w->fill = seed % 4 >= 2;
  w->epoch = 1;
  w->root[0].live = true;
  sdb_fault_live(&before);
  starve(&w->starved, 1, false);
  if (sdb_names_open(&w->names) != SEQDB_NOMEM) problem = "names_open without memory";
  feed(&w->starved);
  sdb_names_close(NULL);
  if (sdb_names_open(&w->names) != SEQDB_OK) abort();
  for (*step = 0; *step < steps && !problem; ++*step)
    problem = catalog_step(w, *step);
  for (size_t i = 0; i < ROOTS; i++)
    if (w->root[i].live) sdb_tree_drop(&w->root[i].tree, w->names);
  sdb_names_close(w->names);
  sdb_fault_live(&after);
  if (!problem && before.memory != after.memory) problem = "memory was not given back";
  *failed = w->starved.failed;
  free(w);
  return problem;
}

/* ---- commands ----------------------------------------------------------------------------------------------- */

typedef const char *run_model(uint64_t seed, uint64_t steps, uint64_t base, uint64_t *step, uint64_t *failed);

static int model_cmd(run_model *run, Tcl_Interp *interp, int objc, Tcl_Obj *const objv[]) {
  Tcl_WideInt seed, steps, base = 0;
  uint64_t step = 0, failed = 0;
  if (objc < 3 || objc > 4) {
    Tcl_WrongNumArgs(interp, 1, objv, "SEED STEPS ?BASE?");
    return TCL_ERROR;
  }
  if (Tcl_GetWideIntFromObj(interp, objv[1], &seed) != TCL_OK) return TCL_ERROR;
  if (Tcl_GetWideIntFromObj(interp, objv[2], &steps) != TCL_OK) return TCL_ERROR;
  if (objc > 3 && strcmp(Tcl_GetString(objv[3]), "top") == 0)
    base = (Tcl_WideInt)(SDB_OFFSET_MAX - SPAN);
  else if (objc > 3 && Tcl_GetWideIntFromObj(interp, objv[3], &base) != TCL_OK)
    return TCL_ERROR;
  const char *problem = run((uint64_t)seed, (uint64_t)steps, (uint64_t)base, &step, &failed);
  return sdb_test_report(interp, (uint64_t)seed, step, problem, failed);
}

static int patch_model_cmd(ClientData data, Tcl_Interp *interp, int objc, Tcl_Obj *const objv[]) {
  (void)data;
  return model_cmd(patch_run, interp, objc, objv);
}

static int catalog_model_cmd(ClientData data, Tcl_Interp *interp, int objc, Tcl_Obj *const objv[]) {
  (void)data;
  return model_cmd(catalog_run, interp, objc, objv);
}

int sdb_test_models_init(Tcl_Interp *interp) {
  Tcl_CreateObjCommand(interp, "sdb_patch_model", patch_model_cmd, NULL, NULL);
  Tcl_CreateObjCommand(interp, "sdb_catalog_model", catalog_model_cmd, NULL, NULL);
  return TCL_OK;
}
