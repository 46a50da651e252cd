/* SPDX-License-Identifier: MIT
**
** test_rig.c: a random workload on the engine beside a simple model, on a simulated disk whose power is cut after every system
** call that changes it.
**
**   sdb_rig SEED STEPS OUTCOMES ?FAULTS?   ->  dict: calls, outcomes, recuts, commits, faults
**
** While the workload runs, each changing call leaves a clone of the disk together with the states that would be right if the
** power failed now: the last acknowledged commit, and the one in flight.  Afterwards each clone is cut OUTCOMES times (or in every
** way there is, if that is fewer), opened with the engine, and compared byte for byte; some are cut again during
** recovery; each must check clean and take a new commit.  While it runs, the handle's own view and all open
** snapshots are compared with the model after every step.  FAULTS in 1000 steps let some system call fail.
** A counterexample is a Tcl error that names seed, step, call and outcome; the same arguments repeat it.
*/
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tcl.h>
#include "os_faults.h"
#include "os_sim.h"
#include "seqdb.h"
#include "test_rig.h"
#include "testfixture.h"

#define PATH          "sim:db"
#define MARKS_MAX     5
#define SNAPSHOTS_MAX 3
#define BYTES_MAX     200000

struct clone {
  sdb_sim_disk *disk;
  rig_state *acked, *in_flight, *earlier, *before; /* all but the first may be NULL */
  int step;
  uint64_t call;
};

struct rig {
  uint64_t random;
  uint64_t seed;
  int step;
  char what[160], failure[900];
  seqdb *db;
  rig_state *acked, *in_flight, *now;
  rig_state *earlier; /* an earlier prepare of the same transaction */
  rig_state *before;  /* what `acked` was before the last commit: right again if its coordinator forgets it */
  uint64_t generation;
  bool coordinated; /* commits are prepares of a coordinator, and recovery may drop the last */
  bool changed;     /* the model thinks that there is something to commit */
  bool prepared;
  struct {
    int level;
    rig_state *state;
    bool changed;
  } mark[MARKS_MAX];
  int marks;
  struct {
    seqdb_snapshot *snapshot;
    rig_state *state;
  } pin[SNAPSHOTS_MAX];
  struct clone *clones;
  size_t clone_count, clone_capacity;
  bool cloning;
  uint64_t calls, outcomes, recuts, commits, faults;
  unsigned fault_rate;
};

static uint8_t scratch[BYTES_MAX];

static uint64_t next_random(struct rig *rig) { /* splitmix64 */
  uint64_t z = rig->random += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}
static size_t below(struct rig *rig, size_t n) {
  return (size_t)(next_random(rig) % n);
}

static bool fail(struct rig *rig, const char *format, ...) {
  va_list args;
  if (rig->failure[0]) return false;
  int n = snprintf(rig->failure, sizeof rig->failure, "seed %llu step %d (%s): ", (unsigned long long)rig->seed,
                   rig->step, rig->what);
  va_start(args, format);
  vsnprintf(rig->failure + n, sizeof rig->failure - (size_t)n, format, args);
  va_end(args);
  return false;
}

/* ---- comparing */

static const uint8_t *content_of(const rig_state *state, int slot, size_t *count) {
  const rig_bytes *content = state->region[slot].content;
  *count = content ? content->count : 0;
  return content ? content->byte : NULL;
}

/* Read everything through `view` and compare; NULL if equal, else what differs. */
static const char *differs(seqdb_snapshot *view, const rig_state *state) {
  static char text[300];
  static uint8_t buffer[BYTES_MAX];
  seqdb_region_info info;
  int count = 0, expected = 0, rc;
  for (uint64_t at = 0; (rc = seqdb_iterate(view, at, &info)) == SEQDB_OK; at = (uint64_t)info.index + 1) {
    size_t want, got = 0;
    int slot = rig_state_find(state, info.name, info.name_bytes);
    count++;
    if (slot < 0) {
      snprintf(text, sizeof text, "unexpected region %.*s", (int)info.name_bytes, info.name);
      return text;
    }
    const uint8_t *bytes = content_of(state, slot, &want);
    const void *direct;
    if (info.length_bytes != want) {
      snprintf(text, sizeof text, "region %s has length %llu, expected %zu", state->region[slot].name,
               (unsigned long long)info.length_bytes, want);
      return text;
    }
    if (seqdb_read_copy(view, info.region, 0, buffer, sizeof buffer, &got) != SEQDB_OK || got != want) {
      snprintf(text, sizeof text, "region %s: read_copy failed", state->region[slot].name);
      return text;
    }
    for (int pass = 0; pass < 2 && want; pass++) {
      const uint8_t *have = buffer;
      if (pass == 1) {
        if (seqdb_read(view, info.region, 0, want, &direct) != SEQDB_OK) break;
        have = direct;
      }
      for (size_t i = 0; i < want; i++)
        if (have[i] != bytes[i]) {
          snprintf(text, sizeof text, "region %s (offset %llu, length %zu) byte %zu is %02x, expected %02x (%s)",
                   state->region[slot].name, (unsigned long long)info.offset, want, i, have[i], bytes[i],
                   pass ? "mapped" : "copied");
          return text;
        }
    }
  }
  if (rc != SEQDB_DONE) return "iteration failed";
  for (int i = 0; i < RIG_REGIONS; i++)
    expected += state->region[i].used;
  if (count != expected) {
    snprintf(text, sizeof text, "%d regions, expected %d", count, expected);
    return text;
  }
  return NULL;
}

static bool check_live(struct rig *rig) {
  const char *difference = differs(seqdb_own_view(rig->db), rig->now);
  if (difference) return fail(rig, "own view: %s", difference);
  for (int i = 0; i < SNAPSHOTS_MAX; i++)
    if (rig->pin[i].snapshot && (difference = differs(rig->pin[i].snapshot, rig->pin[i].state)) != NULL)
      return fail(rig, "snapshot %d: %s", i, difference);
  return true;
}

static int note_problem(void *context, const char *problem) {
  snprintf(context, 400, "%s", problem);
  return 1;
}

/* ---- clones at changing calls */

static void on_change(void *context, const sdb_call *call) {
  struct rig *rig = context;
  (void)call;
  rig->calls++;
  if (!rig->cloning) return;
  if (rig->clone_count == rig->clone_capacity) {
    rig->clone_capacity = rig->clone_capacity ? 2 * rig->clone_capacity : 64;
    rig->clones = realloc(rig->clones, rig->clone_capacity * sizeof *rig->clones);
    if (!rig->clones) abort();
  }
  rig->clones[rig->clone_count++] = (struct clone){.disk = sdb_sim_clone(),
                                                   .acked = rig_state_ref(rig->acked),
                                                   .in_flight = rig_state_ref(rig->in_flight),
                                                   .earlier = rig_state_ref(rig->earlier),
                                                   .before = rig_state_ref(rig->before),
                                                   .step = rig->step,
                                                   .call = rig->calls};
}

/* ---- one outcome */

struct outcome {
  struct rig *rig;
  const struct clone *clone;
};

static bool open_recovered(struct rig *rig, bool drop, seqdb **db) {
  seqdb_error e;
  seqdb_options options = {.flags = SEQDB_OPEN_CREATE | (drop ? SEQDB_OPEN_RESOLVE_DROP : 0)};
  if (seqdb_open(PATH, &options, &e, db) == SEQDB_OK) return true;
  return fail(rig, "recovery: open: %s", e.message);
}

static bool check_recovered(struct rig *rig, const struct clone *clone, bool dropped, seqdb *db) {
  char problem[400] = "";
  uint64_t problems = 0;
  seqdb_region region;
  const char *not_acked = differs(seqdb_own_view(db), clone->acked), *not_flying = "";
  char first[300] = "";
  if (not_acked) snprintf(first, sizeof first, "%s", not_acked);
  if (not_acked && clone->earlier && !differs(seqdb_own_view(db), clone->earlier)) not_acked = NULL;
  if (not_acked && dropped && clone->before && !differs(seqdb_own_view(db), clone->before)) not_acked = NULL;
  if (not_acked && (!clone->in_flight || (not_flying = differs(seqdb_own_view(db), clone->in_flight)) != NULL))
    return fail(rig, "recovery: against the acknowledged commit: %s; against the one in flight: %s", first,
                clone->in_flight ? not_flying : "none");
  if (seqdb_check(db, note_problem, problem, &problems) != SEQDB_OK || problems)
    return fail(rig, "recovery: check: %s", problem);
  if (seqdb_create(db, "later", 5, &region, NULL) != SEQDB_OK ||
      seqdb_append(db, region, "after", 5, NULL) != SEQDB_OK || seqdb_flush(db, NULL) != SEQDB_OK)
    return fail(rig, "recovery: a commit afterwards: %s", seqdb_errmsg(db));
  return true;
}

/* Cut the power a second time, at a random changing call of the recovery. */
static bool cut_recovery(struct rig *rig) {
  seqdb *db = NULL;
  seqdb_error e;
  bool drop = rig->coordinated && below(rig, 2);
  seqdb_options options = {.flags = SEQDB_OPEN_CREATE | (drop ? SEQDB_OPEN_RESOLVE_DROP : 0)};
  sdb_fault_stop_start(below(rig, 12));
  bool opened = seqdb_open(PATH, &options, &e, &db) == SEQDB_OK;
  bool stopped = sdb_fault_stopped();
  if (opened) seqdb_close(db); /* the close is cut then */
  sdb_fault_stop_end();
  if (!opened && !stopped) return fail(rig, "recovery: open: %s", e.message);
  sdb_sim_cut(next_random(rig) % 1000);
  rig->recuts++;
  return true;
}

static int try_outcome(void *context, uint64_t seed) {
  struct outcome *o = context;
  struct rig *rig = o->rig;
  seqdb *db = NULL;
  rig->step = o->clone->step;
  snprintf(rig->what, sizeof rig->what, "power cut after call %llu, outcome %llu", (unsigned long long)o->clone->call,
           (unsigned long long)seed);
  rig->outcomes++;
  for (int again = (int)below(rig, 4) == 0 ? 1 + (int)below(rig, 2) : 0; again > 0; again--)
    if (!cut_recovery(rig)) return 1;
  bool drop = rig->coordinated && below(rig, 2);
  if (!open_recovered(rig, drop, &db)) return 1;
  bool good = check_recovered(rig, o->clone, rig->coordinated, db);
  seqdb_close(db);
  return good ? 0 : 1;
}

static void try_clones(struct rig *rig, uint64_t outcomes) {
  for (size_t i = 0; i < rig->clone_count; i++) {
    struct outcome o = {rig, &rig->clones[i]};
    if (!rig->failure[0])
      (void)sdb_sim_crash_outcomes(rig->clones[i].disk, rig->seed * 1000 + i % 2, outcomes, try_outcome, &o);
    sdb_sim_free(rig->clones[i].disk);
    rig_state_unref(rig->clones[i].acked);
    rig_state_unref(rig->clones[i].in_flight);
    rig_state_unref(rig->clones[i].earlier);
    rig_state_unref(rig->clones[i].before);
  }
  rig->clone_count = 0;
}

/* ---- the workload */

static void set_state(rig_state **slot, rig_state *to) {
  rig_state *old = *slot;
  *slot = rig_state_ref(to);
  rig_state_unref(old);
}

/* Make `now` a state of its own before it changes. */
static rig_state *own(struct rig *rig) {
  rig_state *copy = rig_state_copy(rig->now);
  rig_state_unref(rig->now);
  rig->now = copy;
  rig->changed = true;
  return copy;
}

static void drop_marks(struct rig *rig, int keep) {
  while (rig->marks > keep)
    rig_state_unref(rig->mark[--rig->marks].state);
}

static void drop_pins(struct rig *rig) {
  for (int i = 0; i < SNAPSHOTS_MAX; i++) {
    seqdb_snapshot_close(rig->pin[i].snapshot);
    rig_state_unref(rig->pin[i].state);
    rig->pin[i].snapshot = NULL;
    rig->pin[i].state = NULL;
  }
}

static bool open_db(struct rig *rig) {
  seqdb_error e;
  seqdb_options options = {.flags = SEQDB_OPEN_CREATE, .coordinator = rig->coordinated ? "host.db" : NULL};
  if (seqdb_open(PATH, &options, &e, &rig->db) == SEQDB_OK) return true;
  rig->db = NULL;
  return fail(rig, "open: %s", e.message);
}

static bool reopen(struct rig *rig) {
  drop_pins(rig);
  drop_marks(rig, 0);
  seqdb_close(rig->db);
  rig->prepared = false;
  set_state(&rig->in_flight, NULL);
  set_state(&rig->now, rig->acked);
  rig->changed = false;
  return open_db(rig);
}

/* After a failed call: the transaction is given up; what is right then is the last commit, or, if a commit was under way and
** nobody can know, the one in flight. */
static bool after_failure(struct rig *rig) {
  bool unsure = rig->in_flight != NULL;
  sdb_fault_reset();
  sdb_fault_set_hook(on_change, rig);
  rig->faults++;
  drop_marks(rig, 0);
  (void)seqdb_rollback(rig->db);
  rig->prepared = false;
  bool dead = seqdb_is_readonly(rig->db, NULL);
  if (dead) {
    drop_pins(rig);
    seqdb_close(rig->db);
    if (!open_db(rig)) return false;
  }
  if (dead && unsure && !differs(seqdb_own_view(rig->db), rig->in_flight))
    set_state(&rig->acked, rig->in_flight);
  else if (dead && rig->earlier && !differs(seqdb_own_view(rig->db), rig->earlier))
    set_state(&rig->acked, rig->earlier);
  set_state(&rig->in_flight, NULL);
  set_state(&rig->earlier, NULL);
  set_state(&rig->now, rig->acked);
  rig->changed = false;
  return true;
}

static int pick_used(struct rig *rig) {
  int used[RIG_REGIONS], n = 0;
  for (int i = 0; i < RIG_REGIONS; i++)
    if (rig->now->region[i].used) used[n++] = i;
  return n ? used[below(rig, (size_t)n)] : -1;
}

static size_t pick_bytes(struct rig *rig) {
  static const size_t limit[] = {1, 20, 200, 4096, 5000, 20000, 60000};
  size_t most = limit[below(rig, 7)];
  if (below(rig, 60) == 0) most = 120000;
  return 1 + below(rig, most);
}

static const uint8_t *fill(struct rig *rig, size_t count) {
  uint8_t byte = (uint8_t)(1 + below(rig, 250));
  for (size_t i = 0; i < count; i++)
    scratch[i] = (uint8_t)(byte + i * 7 + (i >> 9));
  return scratch;
}

static int region_of(struct rig *rig, int slot, seqdb_region *region, size_t *length) {
  (void)content_of(rig->now, slot, length);
  return seqdb_find(seqdb_own_view(rig->db), rig->now->region[slot].name, strlen(rig->now->region[slot].name), region);
}

static int op_create(struct rig *rig) {
  char name[RIG_NAME_BYTES];
  seqdb_region region;
  int slot = 0, made = 0;
  while (slot < RIG_REGIONS && rig->now->region[slot].used)
    slot++;
  snprintf(name, sizeof name, "r%zu", below(rig, 12));
  bool exists = rig_state_find(rig->now, name, strlen(name)) >= 0;
  if (slot == RIG_REGIONS && !exists) return SEQDB_OK;
  int rc = seqdb_create(rig->db, name, strlen(name), &region, &made);
  if (rc != SEQDB_OK) return rc;
  if (made == exists) fail(rig, "create %s says created %d", name, made);
  if (exists) return rc;
  rig_state *state = own(rig);
  memset(&state->region[slot], 0, sizeof state->region[slot]);
  state->region[slot].used = true;
  memcpy(state->region[slot].name, name, sizeof name);
  return rc;
}

static int op_append(struct rig *rig, int slot) {
  seqdb_region region;
  size_t length, count = pick_bytes(rig);
  int rc = region_of(rig, slot, &region, &length);
  int times = below(rig, 3) == 0 ? 3 : 1; /* more than one opens the buffered path */
  for (int i = 0; i < times && rc == SEQDB_OK; i++) {
    uint64_t at = 0;
    if (length + count > BYTES_MAX - 1) break;
    rc = seqdb_append(rig->db, region, fill(rig, count), count, &at);
    if (rc != SEQDB_OK) break;
    if (at != length) fail(rig, "append at %llu, expected %zu", (unsigned long long)at, length);
    rig_state_splice(own(rig), slot, length, scratch, count, SIZE_MAX);
    length += count;
    count = 1 + below(rig, 300);
  }
  return rc;
}

static int op_write(struct rig *rig, int slot) {
  seqdb_region region;
  size_t length, count = pick_bytes(rig);
  int rc = region_of(rig, slot, &region, &length);
  size_t at = below(rig, length + 1);
  if (rc != SEQDB_OK || at + count > BYTES_MAX - 1) return rc;
  rc = seqdb_write(rig->db, region, at, fill(rig, count), count);
  if (rc == SEQDB_OK) rig_state_splice(own(rig), slot, at, scratch, count, at + count);
  return rc;
}

static int op_truncate(struct rig *rig, int slot) {
  seqdb_region region;
  size_t length;
  int rc = region_of(rig, slot, &region, &length);
  size_t to = below(rig, length + 1);
  if (rc == SEQDB_OK) rc = seqdb_truncate(rig->db, region, to);
  if (rc == SEQDB_OK) rig_state_splice(own(rig), slot, to, NULL, 0, SIZE_MAX);
  return rc;
}

static int op_truncate_write(struct rig *rig, int slot) {
  seqdb_region region;
  size_t length, count = pick_bytes(rig);
  int rc = region_of(rig, slot, &region, &length);
  size_t at = below(rig, 3) ? below(rig, length + 1) : 0;
  if (rc != SEQDB_OK || at + count > BYTES_MAX - 1) return rc;
  rc = seqdb_truncate_write(rig->db, region, at, fill(rig, count), count);
  if (rc == SEQDB_OK) rig_state_splice(own(rig), slot, at, scratch, count, SIZE_MAX);
  return rc;
}

static int op_set_length(struct rig *rig, int slot) {
  seqdb_region region;
  size_t length;
  int rc = region_of(rig, slot, &region, &length);
  size_t to = below(rig, 2) ? below(rig, length + 1) : length + below(rig, 9000);
  if (below(rig, 8) == 0) to = length + 80000;
  if (rc != SEQDB_OK || to > BYTES_MAX - 1) return rc;
  rc = seqdb_set_length(rig->db, region, to);
  if (rc == SEQDB_OK)
    rig_state_splice(own(rig), slot, to < length ? to : length, NULL, to > length ? to - length : 0, SIZE_MAX);
  return rc;
}

static int op_rename(struct rig *rig, int slot) {
  char name[RIG_NAME_BYTES];
  seqdb_region region;
  size_t length;
  snprintf(name, sizeof name, "r%zu", below(rig, 12));
  int rc = region_of(rig, slot, &region, &length);
  int other = rig_state_find(rig->now, name, strlen(name));
  if (rc != SEQDB_OK) return rc;
  rc = seqdb_rename(rig->db, region, name, strlen(name));
  if (other >= 0 && other != slot) {
    if (rc == SEQDB_EXISTS) return SEQDB_OK;
    if (rc == SEQDB_OK) fail(rig, "renamed over an existing region");
    return rc;
  }
  if (rc == SEQDB_OK && other != slot) memcpy(own(rig)->region[slot].name, name, sizeof name);
  return rc;
}

static int op_remove(struct rig *rig, int slot) {
  seqdb_region region;
  size_t length;
  int rc = region_of(rig, slot, &region, &length);
  if (rc == SEQDB_OK) rc = seqdb_remove(rig->db, region);
  if (rc != SEQDB_OK) return rc;
  rig_state *state = own(rig);
  rig_state_splice(state, slot, 0, NULL, 0, SIZE_MAX);
  state->region[slot].used = false;
  return rc;
}

static int op_reserve(struct rig *rig, int slot) {
  seqdb_region region;
  size_t length;
  int rc = region_of(rig, slot, &region, &length);
  if (rc == SEQDB_OK) rc = seqdb_reserve(rig->db, region, below(rig, 60000), NULL);
  if (rc == SEQDB_OK) rig->changed = true;
  return rc;
}

static int op_savepoint(struct rig *rig) {
  int level = rig->marks ? rig->mark[rig->marks - 1].level + 1 + (int)below(rig, 2) : (int)below(rig, 2);
  if (rig->marks == MARKS_MAX) return SEQDB_OK;
  int rc = seqdb_savepoint(rig->db, level);
  if (rc != SEQDB_OK) return rc;
  rig->mark[rig->marks].level = level;
  rig->mark[rig->marks].state = rig_state_ref(rig->now);
  rig->mark[rig->marks++].changed = rig->changed;
  if (below(rig, 3) == 0) rc = seqdb_savepoint(rig->db, level); /* again: kept as it is */
  return rc;
}

static int op_release(struct rig *rig) {
  if (!rig->marks) return SEQDB_OK;
  int keep = (int)below(rig, (size_t)rig->marks);
  int rc = seqdb_release(rig->db, rig->mark[keep].level);
  if (rc == SEQDB_OK) drop_marks(rig, keep);
  return rc;
}

static int op_rollback_to(struct rig *rig) {
  if (below(rig, 6) == 0) {
    int rc = seqdb_rollback_to(rig->db, -1);
    drop_marks(rig, 0);
    set_state(&rig->now, rig->acked);
    rig->changed = rig->prepared;
    return rc;
  }
  if (!rig->marks) return SEQDB_OK;
  int at = (int)below(rig, (size_t)rig->marks);
  int rc = seqdb_rollback_to(rig->db, rig->mark[at].level);
  if (rc != SEQDB_OK) return rc;
  set_state(&rig->now, rig->mark[at].state);
  rig->changed = rig->mark[at].changed || rig->prepared;
  drop_marks(rig, at + 1);
  return rc;
}

static void committed(struct rig *rig) {
  drop_marks(rig, 0);
  seqdb_stat_info info;
  if (seqdb_stat(rig->db, &info) == SEQDB_OK && info.generation != rig->generation) { /* a record was written */
    set_state(&rig->before, rig->acked);
    rig->generation = info.generation;
  }
  set_state(&rig->acked, rig->now);
  set_state(&rig->in_flight, NULL);
  set_state(&rig->earlier, NULL);
  rig->changed = rig->prepared = false;
  rig->commits++;
}

static int op_prepare(struct rig *rig) {
  if (rig->prepared) set_state(&rig->earlier, rig->in_flight); /* counts until the new record is durable */
  set_state(&rig->in_flight, rig->now);
  int rc = seqdb_prepare(rig->db, NULL, NULL);
  if (rc != SEQDB_OK) return rc;
  set_state(&rig->earlier, NULL);
  rig->prepared = true;
  return rc;
}

static int op_flush(struct rig *rig) {
  int rc;
  if (rig->prepared || rig->coordinated) {
    if ((rc = op_prepare(rig)) == SEQDB_OK) seqdb_publish(rig->db);
  } else {
    set_state(&rig->in_flight, rig->now);
    rc = seqdb_flush(rig->db, NULL);
  }
  if (rc == SEQDB_OK) committed(rig);
  return rc;
}

static int op_rollback(struct rig *rig) {
  int rc = seqdb_rollback(rig->db);
  if (rc != SEQDB_OK) return rc;
  drop_marks(rig, 0);
  set_state(&rig->now, rig->acked);
  set_state(&rig->in_flight, NULL);
  rig->changed = rig->prepared = false;
  return rc;
}

static int op_snapshot(struct rig *rig) {
  int i = (int)below(rig, SNAPSHOTS_MAX);
  if (rig->pin[i].snapshot) {
    seqdb_snapshot_close(rig->pin[i].snapshot);
    rig->pin[i].snapshot = NULL;
    set_state(&rig->pin[i].state, NULL);
    return SEQDB_OK;
  }
  int rc = seqdb_snapshot_open(rig->db, &rig->pin[i].snapshot);
  if (rc == SEQDB_OK)
    set_state(&rig->pin[i].state, rig->acked);
  else
    rig->pin[i].snapshot = NULL;
  return rc;
}

static int op_upkeep(struct rig *rig, bool compact) {
  if (rig->changed || rig->prepared) return SEQDB_OK;
  int rc = seqdb_rollback(rig->db); /* ends a transaction that has no changes */
  drop_marks(rig, 0);
  if (rc == SEQDB_OK) rc = compact ? seqdb_compact(rig->db, NULL) : seqdb_checkpoint(rig->db);
  return rc;
}

struct weight {
  const char *name;
  int weight;
};
static const struct weight weights[] = {{"create", 10},    {"append", 22},    {"write", 12},   {"truncate", 6},
                                        {"rewrite", 5},    {"set_length", 5}, {"rename", 3},   {"remove", 4},
                                        {"reserve", 2},    {"savepoint", 10}, {"release", 6},  {"rollback_to", 5},
                                        {"flush", 24},     {"prepare", 8},    {"rollback", 3}, {"snapshot", 8},
                                        {"checkpoint", 4}, {"compact", 2},    {"reopen", 1}};
enum { WEIGHTS = sizeof weights / sizeof *weights };

static int one_op(struct rig *rig, int op) {
  int slot = pick_used(rig);
  if (slot < 0 && op >= 1 && op <= 8) op = 0;
  switch (op) {
    case 0:
      return op_create(rig);
    case 1:
      return op_append(rig, slot);
    case 2:
      return op_write(rig, slot);
    case 3:
      return op_truncate(rig, slot);
    case 4:
      return op_truncate_write(rig, slot);
    case 5:
      return op_set_length(rig, slot);
    case 6:
      return op_rename(rig, slot);
    case 7:
      return op_remove(rig, slot);
    case 8:
      return op_reserve(rig, slot);
    case 9:
      return op_savepoint(rig);
    case 10:
      return op_release(rig);
    case 11:
      return op_rollback_to(rig);
    case 12:
      return op_flush(rig);
    case 13:
      return op_prepare(rig);
    case 14:
      return op_rollback(rig);
    case 15:
      return op_snapshot(rig);
    case 16:
      return op_upkeep(rig, false);
    case 17:
      return op_upkeep(rig, true);
    default:
      reopen(rig);
      return SEQDB_OK;
  }
}

static void maybe_fault(struct rig *rig) {
  static const int kinds[] = {SDB_CALL_MALLOC, SDB_CALL_PWRITE, SDB_CALL_FDATASYNC, SDB_CALL_TRUNCATE, SDB_CALL_PWRITE};
  sdb_fault_rule rule = {0};
  if (below(rig, 1000) >= rig->fault_rate) return;
  size_t which = below(rig, 5);
  rule.kinds = SDB_CALL_BIT(kinds[which]);
  rule.nth = 1 + below(rig, which == 0 ? 20 : 3);
  rule.error = which == 0 ? 12 /* ENOMEM */ : which == 4 ? 28 /* ENOSPC */ : 5 /* EIO */;
  rule.forever = below(rig, 4) == 0;
  sdb_sim_set_fail_seed(next_random(rig) % 100);
  sdb_fault_add(&rule);
}

static void run(struct rig *rig, int steps) {
  for (rig->step = 0; rig->step < steps && !rig->failure[0]; rig->step++) {
    int total = 0, op = 0, at;
    for (int i = 0; i < WEIGHTS; i++)
      total += weights[i].weight;
    for (at = (int)below(rig, (size_t)total); at >= weights[op].weight; op++)
      at -= weights[op].weight;
    snprintf(rig->what, sizeof rig->what, "%s", weights[op].name);
    bool faulty = rig->fault_rate > 0 && op < WEIGHTS - 1;
    if (faulty) maybe_fault(rig);
    int rc = one_op(rig, op);
    if (getenv("RIG_TRACE")) {
      fprintf(stderr, "step %d %s rc %d calls %d:", rig->step, rig->what, rc, (int)rig->calls);
      for (int i = 0; i < RIG_REGIONS; i++) {
        size_t n;
        (void)content_of(rig->now, i, &n);
        if (rig->now->region[i].used) fprintf(stderr, " %s=%zu", rig->now->region[i].name, n);
      }
      fprintf(stderr, "\n");
    }
    if (rig->failure[0]) return;
    if (rc != SEQDB_OK) {
      seqdb_error e;
      seqdb_last_error(rig->db, &e);
      if (!faulty) {
        fail(rig, "error %d: %s", rc, e.message);
        return;
      }
      if (!after_failure(rig)) return;
    } else if (faulty) {
      sdb_fault_reset();
      sdb_fault_set_hook(on_change, rig);
      if (seqdb_is_readonly(rig->db, NULL) && !after_failure(rig)) return;
    }
    if (!check_live(rig)) return;
  }
}

/* ---- Tcl */

static int rig_command(ClientData unused, Tcl_Interp *interp, int objc, Tcl_Obj *const objv[]) {
  Tcl_WideInt seed;
  int steps, outcomes, faults = 0;
  (void)unused;
  if (objc < 4 || objc > 5) {
    Tcl_WrongNumArgs(interp, 1, objv, "SEED STEPS OUTCOMES ?FAULTS?");
    return TCL_ERROR;
  }
  if (Tcl_GetWideIntFromObj(interp, objv[1], &seed) != TCL_OK || Tcl_GetIntFromObj(interp, objv[2], &steps) != TCL_OK ||
      Tcl_GetIntFromObj(interp, objv[3], &outcomes) != TCL_OK ||
      (objc == 5 && Tcl_GetIntFromObj(interp, objv[4], &faults) != TCL_OK))
    return TCL_ERROR;
  struct rig *rig = calloc(1, sizeof *rig);
  if (!rig) abort();
  rig->seed = (uint64_t)seed;
  rig->random = (uint64_t)seed * UINT64_C(0x2545f4914f6cdd1d) + 1;
  rig->fault_rate = (unsigned)faults;
  rig->coordinated = seed % 4 == 3;
  rig->acked = rig_state_new();
  rig->now = rig_state_ref(rig->acked);
  sdb_fault_reset();
  sdb_fault_set_random((uint64_t)seed + 1);
  sdb_sim_reset();
  rig->cloning = outcomes > 0;
  sdb_fault_set_hook(on_change, rig);
  snprintf(rig->what, sizeof rig->what, "open");
  if (open_db(rig)) run(rig, steps);
  rig->cloning = false;
  drop_pins(rig);
  drop_marks(rig, 0);
  if (rig->db) seqdb_close(rig->db);
  sdb_fault_set_hook(NULL, NULL);
  try_clones(rig, (uint64_t)outcomes);
  sdb_fault_reset();
  sdb_fault_set_random(0);
  sdb_sim_reset();
  rig_state_unref(rig->acked);
  rig_state_unref(rig->in_flight);
  rig_state_unref(rig->earlier);
  rig_state_unref(rig->before);
  rig_state_unref(rig->now);
  int result = TCL_OK;
  if (rig->failure[0]) {
    Tcl_SetObjResult(interp, Tcl_NewStringObj(rig->failure, -1));
    result = TCL_ERROR;
  } else {
    Tcl_SetObjResult(interp, Tcl_ObjPrintf("calls %d outcomes %d recuts %d commits %d faults %d", (int)rig->calls,
                                           (int)rig->outcomes, (int)rig->recuts, (int)rig->commits, (int)rig->faults));
  }
  free(rig->clones);
  free(rig);
  return result;
}

int sdb_test_engine_init(Tcl_Interp *interp) {
  Tcl_CreateObjCommand(interp, "sdb_rig", rig_command, NULL, NULL);
  return TCL_OK;
}
