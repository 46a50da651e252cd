/* SPDX-License-Identifier: MIT
**
** pure_ranges.c: extent sets against the simplest model there is, an array with one byte for each unit of space.
**
**   sdb_range_model SEED STEPS ?SCALE? ?BASE?   random changes of two sets that share a pool; after each, everything
**                                                that can be asked is compared.  A unit is SCALE bytes (4096), and
**                                                unit 0 lies at byte BASE (0, or "top": the last unit ends at the
**                                                largest offset there is).  Result: steps done
**   sdb_range_exhaustive UNITS                  every set of UNITS units, every query and every single change
**   sdb_range_reserve HAVE WANT NTH             reserve WANT nodes in a pool of HAVE, the NTH allocation failing (0:
**                                                none): {result code, unused nodes}
**   sdb_range_starved add|remove RESERVE        a change that needs a node, with RESERVE of them in the pool and no
**                                                memory: {result code, ranges, bytes} of a set that was 100 bytes
**
** THREADS: the interpreter's.
*/
#include "models/pure.h"

#include <errno.h>
#include "pure/ranges.h"
#include "disk/os_faults.h"

#define UNITS 96

typedef struct model {
  uint8_t in[UNITS]; /* 1: the unit is in the set */
  uint64_t scale, base;
} model;

typedef struct runs {
  sdb_range run[UNITS];
  size_t count;
  uint64_t total_bytes;
} runs;

typedef struct query {
  uint64_t start, bytes, want, limit;
} query;

static runs runs_of(const model *m) {
  runs r = {.count = 0};
  for (size_t i = 0; i < UNITS; i++) {
    if (!m->in[i]) continue;
    if (i == 0 || !m->in[i - 1]) r.run[r.count++] = (sdb_range){m->base + i * m->scale, 0};
    r.run[r.count - 1].bytes += m->scale;
    r.total_bytes += m->scale;
  }
  return r;
}

/* `expected` NULL: there must be none. */
static bool same(bool found, const sdb_range *got, const sdb_range *expected) {
  if (!found || expected == NULL) return !found && expected == NULL;
  return got->start == expected->start && got->bytes == expected->bytes;
}

static const char *compare_members(const sdb_range_set *set, const runs *r) {
  sdb_range found;
  uint64_t from = 0;
  if (set->count != r->count) return "count";
  if (set->total_bytes != r->total_bytes) return "total_bytes";
  for (size_t i = 0; i < r->count; i++) {
    if (!same(sdb_range_next(set, from, &found), &found, &r->run[i])) return "next";
    from = found.start + found.bytes;
  }
  if (sdb_range_next(set, from, &found)) return "next after the last";
  const sdb_range *last = r->count > 0 ? &r->run[r->count - 1] : NULL;
  return same(sdb_range_last(set, &found), &found, last) ? NULL : "last";
}

static const char *compare_sizes(const sdb_range_set *set, const runs *r, const query *q) {
  const sdb_range *best = NULL, *largest = NULL;
  sdb_range found;
  for (size_t i = 0; i < r->count; i++) {
    const sdb_range *run = &r->run[i];
    if (run->bytes >= q->want && (best == NULL || run->bytes < best->bytes)) best = run;
    if (largest == NULL || run->bytes >= largest->bytes) largest = run;
  }
  if (!same(sdb_range_best_fit(set, q->want, &found), &found, best)) return "best_fit";
  return same(sdb_range_largest(set, &found), &found, largest) ? NULL : "largest";
}

static const char *compare_query(const sdb_range_set *set, const runs *r, const query *q) {
  const sdb_range *next = NULL, *at = NULL, *fit = NULL;
  sdb_range overlap = {0, 0}, found;
  bool contains = q->bytes == 0;
  uint64_t end = q->start + q->bytes;
  for (size_t i = r->count; i-- > 0;) { /* downwards: the lowest one remains */
    const sdb_range *run = &r->run[i];
    uint64_t run_end = run->start + run->bytes;
    uint64_t low = SDB_MAX(run->start, q->start), high = SDB_MIN(run_end, end);
    if (low < high) overlap = (sdb_range){low, high - low};
    if (run->start <= q->start && end <= run_end) contains = true;
    if (run->start <= q->start && q->start < run_end) at = run;
    if (run->start >= q->start) next = run;
    if (run->bytes >= q->want && run->start < q->limit) fit = run;
  }
  const sdb_range *overlapping = overlap.bytes > 0 ? &overlap : NULL;
  if (!same(sdb_range_overlap(set, q->start, q->bytes, &found), &found, overlapping)) return "overlap";
  if (sdb_range_contains(set, q->start, q->bytes) != contains) return "contains";
  if (!same(sdb_range_at(set, q->start, &found), &found, at)) return "at";
  if (!same(sdb_range_next(set, q->start, &found), &found, next)) return "next";
  if (!same(sdb_range_first_fit(set, q->want, q->limit, &found), &found, fit)) return "first_fit";
  return set->sized ? compare_sizes(set, r, q) : NULL;
}

static query random_query(const model *m, sdb_test_random *random) {
  uint64_t span = UNITS * m->scale;
  query q = {.want = sdb_test_below(random, span / 2), .limit = m->base + sdb_test_below(random, span + 1)};
  uint64_t start = sdb_test_below(random, span + 1);
  q.start = m->base + start;
  q.bytes = sdb_test_below(random, SDB_MIN(span - start, m->scale * 12) + 1);
  return q;
}

/* ---- random changes ---- */

typedef struct world {
  model m;
  sdb_range_pool pool;
  sdb_range_set sets[2]; /* one sized, one not */
  sdb_test_random random;
} world;

static size_t nodes_of(const world *w) {
  return w->pool.unused_count + w->sets[0].count + w->sets[1].count;
}

/* Add or remove [first, first + units) in set and checks the pool: an operation takes one node at the most, and asks
** the allocator only when the pool is empty. */
static const char *change(world *w, sdb_range_set *set, bool add, size_t first, size_t units) {
  size_t nodes = nodes_of(w), ranges = set->count, unused = w->pool.unused_count;
  uint64_t start = w->m.base + first * w->m.scale, bytes = units * w->m.scale;
  int code = add ? sdb_range_add(set, start, bytes) : sdb_range_remove(set, start, bytes);
  if (code != SEQDB_OK) return "result code";
  if (set->count > ranges + 1) return "more than one node was used";
  if (nodes_of(w) > nodes + (unused == 0 ? 1 : 0)) return "a node was allocated although the pool had one";
  return nodes_of(w) < nodes ? "a node was lost" : NULL;
}

static const char *change_pool(world *w) {
  size_t unused = w->pool.unused_count, count = (size_t)sdb_test_below(&w->random, 12);
  if (sdb_test_below(&w->random, 2) == 0) {
    if (sdb_range_pool_reserve(&w->pool, count) != SEQDB_OK) return "reserve failed";
    return w->pool.unused_count == SDB_MAX(unused, count) ? NULL : "reserve";
  }
  sdb_range_pool_trim(&w->pool, count);
  return w->pool.unused_count == SDB_MIN(unused, count) ? NULL : "trim";
}

static const char *change_all(world *w) {
  uint64_t kind = sdb_test_below(&w->random, 100);
  if (kind < 4) return change_pool(w);
  if (kind < 5) {
    size_t nodes = nodes_of(w);
    sdb_range_set_clear(&w->sets[0]);
    sdb_range_set_clear(&w->sets[1]);
    memset(w->m.in, 0, sizeof w->m.in);
    return nodes_of(w) == nodes ? NULL : "clear lost nodes";
  }
  bool add = kind < 53;
  size_t first = (size_t)sdb_test_below(&w->random, UNITS + 1);
  size_t most = sdb_test_below(&w->random, 8) == 0 ? UNITS : 5;
  size_t units = (size_t)sdb_test_below(&w->random, SDB_MIN(most, UNITS - first) + 1);
  memset(w->m.in + first, add, units);
  const char *problem = change(w, &w->sets[0], add, first, units);
  return problem != NULL ? problem : change(w, &w->sets[1], add, first, units);
}

static const char *one_step(world *w) {
  const char *problem = change_all(w);
  runs r = runs_of(&w->m);
  query q = random_query(&w->m, &w->random);
  for (int i = 0; i < 2 && problem == NULL; i++) {
    problem = compare_members(&w->sets[i], &r);
    if (problem == NULL) problem = compare_query(&w->sets[i], &r, &q);
  }
  return problem;
}

static int extent_model_cmd(ClientData data, Tcl_Interp *interp, int objc, Tcl_Obj *const objv[]) {
  Tcl_WideInt seed, steps, scale = 4096;
  uint64_t step = 0;
  const char *problem = NULL;
  (void)data;
  if (objc < 3 || objc > 5) {
    Tcl_WrongNumArgs(interp, 1, objv, "SEED STEPS ?SCALE? ?BASE?");
    return TCL_ERROR;
  }
  if (Tcl_GetWideIntFromObj(interp, objv[1], &seed) != TCL_OK) return TCL_ERROR;
  if (Tcl_GetWideIntFromObj(interp, objv[2], &steps) != TCL_OK) return TCL_ERROR;
  if (objc > 3 && Tcl_GetWideIntFromObj(interp, objv[3], &scale) != TCL_OK) return TCL_ERROR;

  world w = {.m = {.scale = (uint64_t)scale}, .random = {(uint64_t)seed}};
  if (objc > 4 && strcmp(Tcl_GetString(objv[4]), "top") == 0) w.m.base = SDB_OFFSET_MAX - UNITS * w.m.scale;
  sdb_range_pool_init(&w.pool);
  sdb_range_set_init(&w.sets[0], &w.pool, true);
  sdb_range_set_init(&w.sets[1], &w.pool, false);
  while (step < (uint64_t)steps && problem == NULL) {
    step++;
    problem = one_step(&w);
  }
  sdb_range_set_clear(&w.sets[0]);
  sdb_range_set_clear(&w.sets[1]);
  sdb_range_pool_destroy(&w.pool);
  if (problem == NULL && (w.pool.unused != NULL || w.pool.unused_count != 0)) problem = "destroy left nodes";
  return sdb_test_report(interp, (uint64_t)seed, step, problem, step);
}

/* ---- every small case ---- */

static void model_of_bits(model *m, unsigned bits) {
  for (size_t i = 0; i < UNITS; i++)
    m->in[i] = i < 16 && (bits >> i & 1) != 0;
}

/* Bit by bit, odd units first, so that neighbours meet from both sides. */
static void set_of_bits(sdb_range_set *set, unsigned bits) {
  sdb_range_set_clear(set);
  for (unsigned parity = 2; parity-- > 0;) {
    for (unsigned i = parity; i < 16; i += 2) {
      if (bits >> i & 1) sdb_range_add(set, i, 1);
    }
  }
}

static const char *every_query(const sdb_range_set *set, const runs *r, unsigned units) {
  const char *problem = compare_members(set, r);
  query q = {0};
  for (q.start = 0; q.start <= units; q.start++) {
    for (q.bytes = 0; q.bytes <= units - q.start && problem == NULL; q.bytes++) {
      q.want = q.bytes;
      q.limit = q.start;
      problem = compare_query(set, r, &q);
    }
  }
  return problem;
}

static const char *every_change(sdb_range_set *set, unsigned bits, unsigned units, uint64_t *cases) {
  for (unsigned first = 0; first < units; first++) {
    for (unsigned end = first; end <= units; end++) {
      for (unsigned add = 0; add < 2; add++) {
        unsigned touched = (1u << end) - (1u << first);
        model m = {.scale = 1};
        model_of_bits(&m, add ? bits | touched : bits & ~touched);
        set_of_bits(set, bits);
        if ((add ? sdb_range_add : sdb_range_remove)(set, first, end - first) != SEQDB_OK) return "result code";
        runs r = runs_of(&m);
        query q = {.start = first, .bytes = end - first, .want = end - first, .limit = end};
        const char *problem = compare_members(set, &r);
        if (problem == NULL) problem = compare_query(set, &r, &q);
        if (problem != NULL) return problem;
        ++*cases;
      }
    }
  }
  return NULL;
}

static int extent_exhaustive_cmd(ClientData data, Tcl_Interp *interp, int objc, Tcl_Obj *const objv[]) {
  int units;
  uint64_t cases = 0;
  unsigned bits = 0;
  const char *problem = NULL;
  sdb_range_pool pool;
  sdb_range_set set;
  (void)data;
  if (objc != 2 || Tcl_GetIntFromObj(interp, objv[1], &units) != TCL_OK || units < 1 || units > 14) {
    Tcl_SetObjResult(interp, Tcl_NewStringObj("usage: sdb_range_exhaustive UNITS (1..14)", -1));
    return TCL_ERROR;
  }
  sdb_range_pool_init(&pool);
  sdb_range_set_init(&set, &pool, true);
  for (; bits < 1u << units && problem == NULL; bits++) {
    model m = {.scale = 1};
    model_of_bits(&m, bits);
    runs r = runs_of(&m);
    set_of_bits(&set, bits);
    problem = every_query(&set, &r, (unsigned)units);
    if (problem == NULL) problem = every_change(&set, bits, (unsigned)units, &cases);
  }
  sdb_range_set_clear(&set);
  sdb_range_pool_destroy(&pool);
  return sdb_test_report(interp, 0, bits, problem, cases);
}

/* ---- memory ---- */

/* From the nth allocation on, every one fails; 0: none. */
static int starve(int nth) {
  sdb_fault_rule rule = {.kinds = SDB_CALLS_MEMORY, .nth = (uint64_t)nth, .forever = true, .error = ENOMEM};
  return nth > 0 ? sdb_fault_add(&rule) : 0;
}

static void feed(int rule) {
  if (rule > 0) sdb_fault_remove(rule);
}

static int extent_reserve_cmd(ClientData data, Tcl_Interp *interp, int objc, Tcl_Obj *const objv[]) {
  int have, want, nth;
  sdb_range_pool pool;
  (void)data;
  if (objc != 4) {
    Tcl_WrongNumArgs(interp, 1, objv, "HAVE WANT NTH");
    return TCL_ERROR;
  }
  if (Tcl_GetIntFromObj(interp, objv[1], &have) != TCL_OK) return TCL_ERROR;
  if (Tcl_GetIntFromObj(interp, objv[2], &want) != TCL_OK) return TCL_ERROR;
  if (Tcl_GetIntFromObj(interp, objv[3], &nth) != TCL_OK) return TCL_ERROR;
  sdb_range_pool_init(&pool);
  int code = sdb_range_pool_reserve(&pool, (size_t)have);
  int rule = starve(nth);
  if (code == SEQDB_OK) code = sdb_range_pool_reserve(&pool, (size_t)want);
  feed(rule);
  Tcl_SetObjResult(interp, Tcl_ObjPrintf("%d %d", code, (int)pool.unused_count));
  sdb_range_pool_destroy(&pool);
  return TCL_OK;
}

static int extent_starved_cmd(ClientData data, Tcl_Interp *interp, int objc, Tcl_Obj *const objv[]) {
  int reserve;
  sdb_range_pool pool;
  sdb_range_set set;
  (void)data;
  if (objc != 3) {
    Tcl_WrongNumArgs(interp, 1, objv, "OPERATION RESERVE");
    return TCL_ERROR;
  }
  if (Tcl_GetIntFromObj(interp, objv[2], &reserve) != TCL_OK) return TCL_ERROR;
  sdb_range_pool_init(&pool);
  sdb_range_set_init(&set, &pool, true);
  int code = sdb_range_add(&set, 100, 100);
  if (code == SEQDB_OK) code = sdb_range_pool_reserve(&pool, (size_t)reserve);
  int rule = starve(1);
  if (code == SEQDB_OK && strcmp(Tcl_GetString(objv[1]), "add") == 0) {
    code = sdb_range_add(&set, 300, 100);
  } else if (code == SEQDB_OK) {
    code = sdb_range_remove(&set, 150, 10);
  }
  feed(rule);
  Tcl_SetObjResult(interp, Tcl_ObjPrintf("%d %d %d", code, (int)set.count, (int)set.total_bytes));
  sdb_range_set_clear(&set);
  sdb_range_pool_destroy(&pool);
  return TCL_OK;
}

void sdb_test_extent_init(Tcl_Interp *interp) {
  Tcl_CreateObjCommand(interp, "sdb_range_model", extent_model_cmd, NULL, NULL);
  Tcl_CreateObjCommand(interp, "sdb_range_exhaustive", extent_exhaustive_cmd, NULL, NULL);
  Tcl_CreateObjCommand(interp, "sdb_range_reserve", extent_reserve_cmd, NULL, NULL);
  Tcl_CreateObjCommand(interp, "sdb_range_starved", extent_starved_cmd, NULL, NULL);
}
