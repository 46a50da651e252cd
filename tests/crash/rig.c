/* SPDX-License-Identifier: MIT
**
** rig.c: a random workload on the engine beside a simple model, on a simulated disk whose power is cut after every
** system call that changes it.  Knows nothing of Tcl, so that machines/ can run it on other processors; crash/rig_tcl.c
** is the command.
**
** While the workload runs (from the making of the directory to its last close), each changing call leaves a clone of
** the disk together with the states that would be right if the power failed now: the last acknowledged commit, and the
** one in flight.  Afterwards each clone is cut OUTCOMES times (or in every way there is, if that is fewer), opened with
** the engine, and compared byte for byte.  Some are cut once or twice more during recovery and close; each must check
** clean and take a new commit, or go on with the workload for some steps, be cut in one of those, and be right again.
** While a workload runs, the handle's own view and all open snapshots are compared with the model after every step.
** FAULTS in 1000 steps let some system call or allocation fail. A counterexample names seed, step, call and outcome;
** the same arguments repeat it, on any machine.
*/
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "disk/os_sim.h"
#include "crash/rig.h"

struct rig_clone {
  sdb_sim_disk *disk;
  rig_right right;
  int step;
  uint64_t call;
};

uint64_t rig_random(rig *r) { /* splitmix64 */
  uint64_t z = r->random += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

size_t rig_below(rig *r, size_t n) {
  return (size_t)(rig_random(r) % n);
}

bool rig_fail(rig *r, const char *format, ...) {
  va_list args;
  if (r->failure[0]) return false;
  int n = snprintf(r->failure, sizeof r->failure, "seed %llu%s step %d (%s): ", (unsigned long long)r->seed, r->life,
                   r->step, r->what);
  va_start(args, format);
  vsnprintf(r->failure + n, sizeof r->failure - (size_t)n, format, args);
  va_end(args);
  return false;
}

void rig_set_state(rig_state **slot, rig_state *to) {
  rig_state *old = *slot;
  *slot = rig_state_ref(to);
  rig_state_unref(old);
}

static rig_right right_ref(const rig_right *right) {
  return (rig_right){rig_state_ref(right->acked), rig_state_ref(right->in_flight), rig_state_ref(right->earlier),
                     rig_state_ref(right->before)};
}

static void right_unref(rig_right *right) {
  rig_set_state(&right->acked, NULL);
  rig_set_state(&right->in_flight, NULL);
  rig_set_state(&right->earlier, NULL);
  rig_set_state(&right->before, NULL);
}

/* ---- clones at changing calls */

void rig_on_change(void *context, const sdb_call *call) {
  rig *r = context;
  r->calls++;
  if (r->tracing)
    fprintf(stderr, "  call %d %s %s at %llu, %llu bytes\n", (int)r->calls, sdb_call_name(call->kind), call->file,
            (unsigned long long)call->offset, (unsigned long long)call->bytes);
  if (!r->cloning) return;
  if (r->clone_count == r->clone_capacity) {
    r->clone_capacity = r->clone_capacity ? 2 * r->clone_capacity : 64;
    r->clones = realloc(r->clones, r->clone_capacity * sizeof *r->clones);
    if (!r->clones) abort();
  }
  r->clones[r->clone_count++] = (rig_clone){sdb_sim_clone(), right_ref(&r->right), r->step, r->calls};
}

static void free_clones(rig *r) {
  for (size_t i = 0; i < r->clone_count; i++) {
    sdb_sim_free(r->clones[i].disk);
    right_unref(&r->clones[i].right);
  }
  free(r->clones);
  r->clones = NULL;
  r->clone_count = r->clone_capacity = 0;
}

/* ---- one outcome */

static bool open_recovered(rig *r, bool drop, seqdb **db) {
  seqdb_error e = SEQDB_ERROR_INIT;
  seqdb_options options = {.size_bytes = sizeof options,
                           .flags = SEQDB_OPEN_CREATE | rig_flags(r) | (drop ? SEQDB_OPEN_RESOLVE_DROP : 0),
                           .coordinator = r->coordinated ? "host.db" : NULL};
  if (rig_open_watched(r, &options, &e, db) == SEQDB_OK) return true;
  return rig_fail(r, "recovery: open: %s", e.message);
}

static int note_problem(void *context, const char *problem) {
  snprintf(context, 400, "%s", problem);
  return 1;
}

/* The one of the right states that the database is in, NULL after a failure. */
static rig_state *state_of(rig *r, const rig_right *right, bool dropped, seqdb *db) {
  seqdb_view *view = seqdb_own_view(db);
  char from_acked[300];
  const char *difference = rig_differs(view, right->acked);
  if (!difference) return right->acked;
  snprintf(from_acked, sizeof from_acked, "%s", difference);
  if (right->earlier && !rig_differs(view, right->earlier)) return right->earlier;
  if (dropped && right->before && !rig_differs(view, right->before)) return right->before;
  difference = right->in_flight ? rig_differs(view, right->in_flight) : "none";
  if (!difference) return right->in_flight;
  rig_fail(r, "recovery: against the acknowledged commit: %s; against the one in flight: %s", from_acked, difference);
  return NULL;
}

static bool check_recovered(rig *r, seqdb *db) {
  char problem[400] = "";
  uint64_t problems = 0;
  if (seqdb_check(db, note_problem, problem, &problems) == SEQDB_OK && !problems) return true;
  return rig_fail(r, "recovery: check: %s", problem);
}

static bool commit_again(rig *r, seqdb *db) {
  seqdb_region region;
  if (seqdb_find_or_create(db, "later", 5, &region, NULL) == SEQDB_OK &&
      seqdb_append(db, region, "after", 5, NULL) == SEQDB_OK && seqdb_flush(db, NULL) == SEQDB_OK)
    return true;
  return rig_fail(r, "recovery: a commit afterwards: %s", seqdb_errmsg(db));
}

/* Cut the power a second time, at a random changing call of recovery and close. */
static bool cut_recovery(rig *r) {
  seqdb *db = NULL;
  seqdb_error e = SEQDB_ERROR_INIT;
  bool drop = r->coordinated && rig_below(r, 2);
  seqdb_options options = {.size_bytes = sizeof options,
                           .flags = SEQDB_OPEN_CREATE | rig_flags(r) | (drop ? SEQDB_OPEN_RESOLVE_DROP : 0)};
  sdb_fault_stop_start(rig_below(r, 12));
  bool opened = seqdb_open(RIG_PATH, &options, &e, &db) == SEQDB_OK;
  bool stopped = sdb_fault_stopped();
  if (opened) seqdb_close(db); /* the close is cut then */
  sdb_fault_stop_end();
  if (!opened && !stopped) return rig_fail(r, "recovery: open: %s", e.message);
  sdb_sim_cut(rig_random(r) % 1000);
  r->recuts++;
  return true;
}

/* Take the workload over from `state`, which the open database has. */
static void begin_life(rig *r, rig_state *state) {
  seqdb_stat_info info = SEQDB_STAT_INIT;
  rig_right none = {NULL, NULL, NULL, NULL};
  rig_state_ref(state);
  right_unref(&r->right);
  r->right = none;
  r->right.acked = state;
  rig_set_state(&r->now, state);
  r->changed = r->prepared = false;
  r->generation = seqdb_stat(r->db, &info) == SEQDB_OK ? info.generation : 0;
}

/* After recovery the workload goes on for some steps, and is cut once more in one of them. */
static bool second_life(rig *r, seqdb *db, rig_state *state) {
  bool good = false;
  uint64_t calls = r->calls;
  r->db = db;
  begin_life(r, state);
  sdb_fault_set_random(rig_random(r) | 1);
  sdb_fault_set_hook(rig_on_change, r);
  r->cloning = true;
  rig_run(r, 2 + (int)rig_below(r, 12));
  rig_close_db(r);
  r->cloning = false;
  sdb_fault_reset();
  r->calls = calls;
  if (!r->failure[0] && r->clone_count) {
    rig_clone *clone = &r->clones[rig_below(r, r->clone_count)];
    seqdb *again;
    sdb_sim_restore(clone->disk);
    sdb_sim_cut(rig_random(r));
    r->step = clone->step;
    snprintf(r->what, sizeof r->what, "power cut again after call %llu", (unsigned long long)clone->call);
    good = open_recovered(r, r->coordinated && rig_below(r, 2), &again) &&
           state_of(r, &clone->right, r->coordinated, again) && check_recovered(r, again);
    if (again) seqdb_close(again);
    r->lives++;
  }
  free_clones(r);
  return good;
}

/* A clean close and another opening: that one may believe the catalog. */
static bool open_again(rig *r, rig_state *state, seqdb **db) {
  seqdb_close(*db);
  if (!open_recovered(r, false, db)) return false;
  const char *difference = rig_differs(seqdb_own_view(*db), state);
  return difference ? rig_fail(r, "the opening after recovery: %s", difference) : check_recovered(r, *db);
}

struct outcome {
  rig *r;
  const rig_clone *clone;
};

static int try_outcome(void *context, uint64_t seed) {
  struct outcome *o = context;
  rig *r = o->r;
  seqdb *db = NULL;
  r->step = o->clone->step;
  snprintf(r->what, sizeof r->what, "power cut after call %llu, outcome %llu", (unsigned long long)o->clone->call,
           (unsigned long long)seed);
  r->outcomes++;
  for (int again = (int)rig_below(r, 4) == 0 ? 1 + (int)rig_below(r, 2) : 0; again > 0; again--)
    if (!cut_recovery(r)) return 1;
  if (!open_recovered(r, r->coordinated && rig_below(r, 2), &db)) return 1;
  rig_state *state = state_of(r, &o->clone->right, r->coordinated, db);
  bool good = state && check_recovered(r, db);
  if (good && rig_below(r, 12) == 0) {
    snprintf(r->life, sizeof r->life, " step %d (%.70s), then", r->step, r->what);
    good = second_life(r, db, state);
    r->life[0] = 0;
    return good ? 0 : 1;
  }
  if (good && r->profile == RIG_REOPENINGS) good = open_again(r, state, &db);
  if (good) good = commit_again(r, db);
  if (db) seqdb_close(db);
  return good ? 0 : 1;
}

static void try_clones(rig *r, uint64_t outcomes) {
  rig_clone *clones = r->clones;
  size_t count = r->clone_count;
  r->clones = NULL;
  r->clone_count = r->clone_capacity = 0;
  for (size_t i = 0; i < count; i++) {
    struct outcome o = {r, &clones[i]};
    uint64_t first = r->seed * 1000003 + i * outcomes;
    if (!r->failure[0]) (void)sdb_sim_crash_outcomes(clones[i].disk, first, outcomes, try_outcome, &o);
    sdb_sim_free(clones[i].disk);
    right_unref(&clones[i].right);
  }
  free(clones);
}

/* ---- all of it */

void rig_play(rig *r, int steps, uint64_t outcomes) {
  const sdb_fault_rule watch = {
      .kinds = SDB_CALL_BIT(SDB_CALL_PREAD), .file = "catalog", .nth = UINT64_MAX, .lasting = true};
  r->tracing = getenv("RIG_TRACE") != NULL;
  r->random = r->seed * UINT64_C(0x2545f4914f6cdd1d) + 1;
  r->coordinated = r->seed % 4 == 3;
  r->right.acked = rig_state_new();
  r->now = rig_state_ref(r->right.acked);
  sdb_fault_reset();
  sdb_fault_set_random(r->seed + 1);
  sdb_sim_reset();
  r->watch = sdb_fault_add(&watch);
  sdb_sim_set_tear_bytes(r->seed % 5 == 1);
  sdb_sim_set_noise_file(r->seed % 5 == 2 ? "regions" : "");
  r->cloning = outcomes > 0;
  sdb_fault_set_hook(rig_on_change, r);
  snprintf(r->what, sizeof r->what, "open");
  if (rig_begin(r)) rig_run(r, steps);
  snprintf(r->what, sizeof r->what, "close");
  rig_close_db(r);
  r->cloning = false;
  sdb_fault_set_hook(NULL, NULL);
  try_clones(r, outcomes);
  sdb_fault_remove(r->watch);
  sdb_fault_reset();
  sdb_fault_set_random(0);
  sdb_sim_reset();
  sdb_sim_set_tear_bytes(false);
  sdb_sim_set_noise_file("");
  right_unref(&r->right);
  rig_set_state(&r->now, NULL);
}
