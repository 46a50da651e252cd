/* SPDX-License-Identifier: MIT
**
** rig_ops.c: the rig's random workload: what it does to the engine it does to the model too.
** The model is told beforehand what a commit under way would make right, and afterwards what is.
*/
#include <stdio.h>
#include <string.h>
#include "disk/os_sim.h"
#include "crash/rig.h"

static uint8_t scratch[RIG_BYTES_MAX];

/* ---- states */

/* Make `now` a state of its own before it changes. */
static rig_state *own(rig *r) {
  rig_state *copy = rig_state_copy(r->now);
  rig_state_unref(r->now);
  r->now = copy;
  r->changed = true;
  return copy;
}

static void drop_marks(rig *r, int keep) {
  while (r->marks > keep)
    rig_state_unref(r->mark[--r->marks].state);
}

static void drop_pins(rig *r) {
  for (int i = 0; i < RIG_SNAPSHOTS_MAX; i++) {
    seqdb_snapshot_close(r->pin[i].snapshot);
    rig_state_unref(r->pin[i].state);
    r->pin[i].snapshot = NULL;
    r->pin[i].state = NULL;
  }
}

/* Whoever opens looks at the head of `catalog`, and at more if it believes that. */
int rig_open_watched(rig *r, const seqdb_options *options, seqdb_error *error, seqdb **db) {
  uint64_t before = 0, after = 0;
  (void)sdb_fault_hits(r->watch, &before);
  int rc = seqdb_open(RIG_PATH, options, error, db);
  (void)sdb_fault_hits(r->watch, &after);
  if (rc != SEQDB_OK) *db = NULL;
  if (rc == SEQDB_OK && after > before + 1) r->listed++;
  return rc;
}

bool rig_open_db(rig *r) {
  seqdb_error e = SEQDB_ERROR_INIT;
  seqdb_options options = {.size_bytes = sizeof options,
                           .flags = SEQDB_OPEN_CREATE | rig_flags(r),
                           .coordinator = r->coordinated ? "host.db" : NULL};
  if (rig_open_watched(r, &options, &e, &r->db) == SEQDB_OK) return true;
  return rig_fail(r, "open: %s", e.message);
}

void rig_close_db(rig *r) {
  drop_pins(r);
  drop_marks(r, 0);
  if (r->db) seqdb_close(r->db);
  r->db = NULL;
}

void rig_forget(rig *r) {
  r->prepared = r->changed = false;
  rig_set_state(&r->right.in_flight, NULL);
  rig_set_state(&r->right.earlier, NULL);
  rig_set_state(&r->now, r->right.acked);
}

static bool reopen(rig *r) {
  rig_close_db(r);
  rig_forget(r);
  return rig_open_db(r);
}

static bool check_live(rig *r) {
  const char *difference = rig_differs(seqdb_own_view(r->db), r->now);
  if (difference) return rig_fail(r, "own view: %s", difference);
  for (int i = 0; i < RIG_SNAPSHOTS_MAX; i++)
    if (r->pin[i].snapshot &&
        (difference = rig_differs(seqdb_snapshot_view(r->pin[i].snapshot), r->pin[i].state)) != NULL)
      return rig_fail(r, "snapshot %d: %s", i, difference);
  return true;
}

/* The salts of a run repeat with its seed, faults or not. */
void rig_no_faults(rig *r) {
  sdb_fault_reset();
  sdb_fault_set_random(rig_random(r) | 1);
  sdb_fault_set_hook(rig_on_change, r);
}

/* After a failed call: the transaction is given up; what is right then is the last commit, or, if a commit was under
** way and nobody can know, the one in flight. */
static bool after_failure(rig *r) {
  bool unsure = r->right.in_flight != NULL;
  rig_no_faults(r);
  r->faults++;
  drop_marks(r, 0);
  (void)seqdb_rollback(r->db);
  r->prepared = false;
  bool dead = seqdb_is_readonly(r->db, NULL);
  if (dead) {
    drop_pins(r);
    seqdb_close(r->db);
    if (!rig_open_db(r)) return false;
  }
  if (dead && unsure && !rig_differs(seqdb_own_view(r->db), r->right.in_flight))
    rig_set_state(&r->right.acked, r->right.in_flight);
  else if (dead && r->right.earlier && !rig_differs(seqdb_own_view(r->db), r->right.earlier))
    rig_set_state(&r->right.acked, r->right.earlier);
  rig_set_state(&r->right.in_flight, NULL);
  rig_set_state(&r->right.earlier, NULL);
  rig_set_state(&r->now, r->right.acked);
  r->changed = false;
  return true;
}

/* ---- operations */

static int pick_used(rig *r) {
  int used[RIG_REGIONS], n = 0;
  for (int i = 0; i < RIG_REGIONS; i++)
    if (r->now->region[i].used) used[n++] = i;
  return n ? used[rig_below(r, (size_t)n)] : -1;
}

static size_t pick_bytes(rig *r) {
  static const size_t limit[] = {1, 20, 200, 4096, 5000, 20000, 60000};
  size_t most = limit[rig_below(r, 7)];
  if (rig_below(r, r->profile == RIG_MIX ? 60 : 8) == 0) most = 120000; /* more than a record carries */
  return 1 + rig_below(r, most);
}

static const uint8_t *fill(rig *r, size_t count) {
  uint8_t byte = (uint8_t)(1 + rig_below(r, 250));
  for (size_t i = 0; i < count; i++)
    scratch[i] = (uint8_t)(byte + i * 7 + (i >> 9));
  return scratch;
}

static int region_of(rig *r, int slot, seqdb_region *region, size_t *length) {
  (void)rig_content(r->now, slot, length);
  return seqdb_find(seqdb_own_view(r->db), r->now->region[slot].name, strlen(r->now->region[slot].name), region);
}

static int op_create(rig *r) {
  char name[RIG_NAME_BYTES];
  seqdb_region region;
  int slot = 0, made = 0;
  while (slot < RIG_REGIONS && r->now->region[slot].used)
    slot++;
  snprintf(name, sizeof name, "r%zu", rig_below(r, r->profile == RIG_REDO ? 4 : 12));
  bool exists = rig_state_find(r->now, name, strlen(name)) >= 0;
  if (slot == RIG_REGIONS && !exists) return SEQDB_OK;
  int rc = seqdb_find_or_create(r->db, name, strlen(name), &region, &made);
  if (rc != SEQDB_OK) return rc;
  if (made == exists) rig_fail(r, "create %s says created %d", name, made);
  if (exists) return rc;
  rig_state *state = own(r);
  memset(&state->region[slot], 0, sizeof state->region[slot]);
  state->region[slot].used = true;
  memcpy(state->region[slot].name, name, sizeof name);
  return rc;
}

static int append(rig *r, int slot, size_t count) {
  seqdb_region region;
  size_t length;
  int rc = region_of(r, slot, &region, &length);
  int times = rig_below(r, 3) == 0 ? 3 : 1; /* more than one opens the buffered path */
  for (int i = 0; i < times && rc == SEQDB_OK; i++) {
    uint64_t at = 0;
    if (length + count > RIG_BYTES_MAX - 1) break;
    rc = seqdb_append(r->db, region, fill(r, count), count, &at);
    if (rc != SEQDB_OK) break;
    if (at != length) rig_fail(r, "append at %llu, expected %zu", (unsigned long long)at, length);
    rig_state_splice(own(r), slot, length, scratch, count, SIZE_MAX);
    length += count;
    count = 1 + rig_below(r, 300);
  }
  return rc;
}

static int op_append(rig *r, int slot) {
  return append(r, slot, pick_bytes(r));
}

static int op_write(rig *r, int slot) {
  seqdb_region region;
  size_t length, count = pick_bytes(r);
  int rc = region_of(r, slot, &region, &length);
  size_t at = rig_below(r, length + 1);
  if (rc != SEQDB_OK || at + count > RIG_BYTES_MAX - 1) return rc;
  rc = seqdb_write(r->db, region, at, fill(r, count), count);
  if (rc == SEQDB_OK) rig_state_splice(own(r), slot, at, scratch, count, at + count);
  return rc;
}

static int op_truncate(rig *r, int slot) {
  seqdb_region region;
  size_t length;
  int rc = region_of(r, slot, &region, &length);
  size_t to = r->profile == RIG_REDO && rig_below(r, 2) ? 0 : rig_below(r, length + 1);
  if (rc == SEQDB_OK) rc = seqdb_truncate(r->db, region, to);
  if (rc == SEQDB_OK) rig_state_splice(own(r), slot, to, NULL, 0, SIZE_MAX);
  return rc;
}

static int op_truncate_write(rig *r, int slot) {
  seqdb_region region;
  size_t length, count = pick_bytes(r);
  int rc = region_of(r, slot, &region, &length);
  size_t at = rig_below(r, 3) ? rig_below(r, length + 1) : 0;
  if (rc != SEQDB_OK || at + count > RIG_BYTES_MAX - 1) return rc;
  rc = seqdb_truncate_write(r->db, region, at, fill(r, count), count);
  if (rc == SEQDB_OK) rig_state_splice(own(r), slot, at, scratch, count, SIZE_MAX);
  return rc;
}

static int op_set_length(rig *r, int slot) {
  seqdb_region region;
  size_t length;
  int rc = region_of(r, slot, &region, &length);
  size_t to = rig_below(r, 2) ? rig_below(r, length + 1) : length + rig_below(r, 9000);
  if (rig_below(r, 8) == 0) to = length + 80000;
  if (rc != SEQDB_OK || to > RIG_BYTES_MAX - 1) return rc;
  rc = seqdb_set_length(r->db, region, to);
  if (rc == SEQDB_OK)
    rig_state_splice(own(r), slot, to < length ? to : length, NULL, to > length ? to - length : 0, SIZE_MAX);
  return rc;
}

static int op_rename(rig *r, int slot) {
  char name[RIG_NAME_BYTES];
  seqdb_region region;
  size_t length;
  snprintf(name, sizeof name, "r%zu", rig_below(r, r->profile == RIG_REDO ? 4 : 12));
  int rc = region_of(r, slot, &region, &length);
  int other = rig_state_find(r->now, name, strlen(name));
  if (rc != SEQDB_OK) return rc;
  rc = seqdb_rename(r->db, region, name, strlen(name));
  if (other >= 0 && other != slot) {
    if (rc == SEQDB_EXISTS) return SEQDB_OK;
    if (rc == SEQDB_OK) rig_fail(r, "renamed over an existing region");
    return rc;
  }
  if (rc == SEQDB_OK && other != slot) memcpy(own(r)->region[slot].name, name, sizeof name);
  return rc;
}

static int op_remove(rig *r, int slot) {
  seqdb_region region;
  size_t length;
  int rc = region_of(r, slot, &region, &length);
  if (rc == SEQDB_OK) rc = seqdb_remove(r->db, region);
  if (rc != SEQDB_OK) return rc;
  rig_state *state = own(r);
  rig_state_splice(state, slot, 0, NULL, 0, SIZE_MAX);
  state->region[slot].used = false;
  return rc;
}

static int reserve(rig *r, int slot, size_t bytes) {
  seqdb_region region;
  size_t length;
  int rc = region_of(r, slot, &region, &length);
  if (rc == SEQDB_OK) rc = seqdb_reserve(r->db, region, bytes, NULL);
  if (rc == SEQDB_OK) r->changed = true;
  return rc;
}

static int op_reserve(rig *r, int slot) {
  return reserve(r, slot, rig_below(r, r->profile == RIG_REDO ? 150000 : 60000));
}

static int op_savepoint(rig *r) {
  int level = r->marks ? r->mark[r->marks - 1].level + 1 + (int)rig_below(r, 2) : (int)rig_below(r, 2);
  if (r->marks == RIG_MARKS_MAX) return SEQDB_OK;
  int rc = seqdb_savepoint(r->db, level);
  if (rc != SEQDB_OK) return rc;
  r->mark[r->marks].level = level;
  r->mark[r->marks].state = rig_state_ref(r->now);
  r->mark[r->marks++].changed = r->changed;
  if (rig_below(r, 3) == 0) rc = seqdb_savepoint(r->db, level); /* again: kept as it is */
  return rc;
}

static int op_release(rig *r) {
  if (!r->marks) return SEQDB_OK;
  int keep = (int)rig_below(r, (size_t)r->marks);
  int rc = seqdb_release(r->db, r->mark[keep].level);
  if (rc == SEQDB_OK) drop_marks(r, keep);
  return rc;
}

static int op_rollback_to(rig *r) {
  if (rig_below(r, 6) == 0) {
    int rc = seqdb_rollback_to(r->db, -1);
    drop_marks(r, 0);
    rig_set_state(&r->now, r->right.acked);
    r->changed = r->prepared;
    return rc;
  }
  if (!r->marks) return SEQDB_OK;
  int at = (int)rig_below(r, (size_t)r->marks);
  int rc = seqdb_rollback_to(r->db, r->mark[at].level);
  if (rc != SEQDB_OK) return rc;
  rig_set_state(&r->now, r->mark[at].state);
  r->changed = r->mark[at].changed || r->prepared;
  drop_marks(r, at + 1);
  return rc;
}

/* The generation that the engine gave: 0 if it had nothing to write. (Asking for it later may fail: the process may be
** dying.) */
static void committed(rig *r, uint64_t generation) {
  drop_marks(r, 0);
  if (generation && generation != r->generation) { /* a record was written */
    rig_set_state(&r->right.before, r->right.acked);
    r->generation = generation;
  }
  rig_set_state(&r->right.acked, r->now);
  rig_set_state(&r->right.in_flight, NULL);
  rig_set_state(&r->right.earlier, NULL);
  r->changed = r->prepared = false;
  r->commits++;
}

static int prepare(rig *r, uint64_t *generation) {
  if (r->prepared) rig_set_state(&r->right.earlier, r->right.in_flight); /* counts until the new record is durable */
  rig_set_state(&r->right.in_flight, r->now);
  int rc = seqdb_prepare(r->db, NULL, generation);
  if (rc != SEQDB_OK) return rc;
  rig_set_state(&r->right.earlier, NULL);
  r->prepared = true;
  return rc;
}

static int op_prepare(rig *r) {
  uint64_t ignored;
  return prepare(r, &ignored);
}

static int op_flush(rig *r) {
  uint64_t generation = 0;
  int rc;
  if (r->prepared || r->coordinated) {
    if ((rc = prepare(r, &generation)) == SEQDB_OK) seqdb_publish(r->db);
  } else {
    rig_set_state(&r->right.in_flight, r->now);
    rc = seqdb_flush(r->db, &generation);
  }
  if (rc == SEQDB_OK) committed(r, generation);
  return rc;
}

static int op_rollback(rig *r) {
  int rc = seqdb_rollback(r->db);
  if (rc != SEQDB_OK) return rc;
  drop_marks(r, 0);
  rig_set_state(&r->now, r->right.acked);
  rig_set_state(&r->right.in_flight, NULL);
  r->changed = r->prepared = false;
  return rc;
}

static int op_snapshot(rig *r) {
  int i = (int)rig_below(r, RIG_SNAPSHOTS_MAX);
  if (r->pin[i].snapshot) {
    seqdb_snapshot_close(r->pin[i].snapshot);
    r->pin[i].snapshot = NULL;
    rig_set_state(&r->pin[i].state, NULL);
    return SEQDB_OK;
  }
  int rc = seqdb_snapshot_open(r->db, &r->pin[i].snapshot);
  if (rc == SEQDB_OK)
    rig_set_state(&r->pin[i].state, r->right.acked);
  else
    r->pin[i].snapshot = NULL;
  return rc;
}

static int op_upkeep(rig *r, bool compact) {
  if (r->changed || r->prepared) return SEQDB_OK;
  int rc = seqdb_rollback(r->db); /* ends a transaction that has no changes */
  drop_marks(r, 0);
  if (rc == SEQDB_OK) rc = compact ? seqdb_compact(r->db, NULL) : seqdb_checkpoint(r->db);
  return rc;
}

/* ---- which operation */

enum { OPS = 20, OP_FLUSH = 12, OP_CHECKPOINT = 16, OP_COMPACT = 17, OP_REOPEN = 18 }; /* those before it meet faults */
static const char *const op_names[OPS] = {"create",     "append",      "write",   "truncate", "rewrite",
                                          "set_length", "rename",      "remove",  "reserve",  "savepoint",
                                          "release",    "rollback_to", "flush",   "prepare",  "rollback",
                                          "snapshot",   "checkpoint",  "compact", "reopen",   "restart"};
static const struct {
  const char *name;
  int weight[OPS];
} profiles[RIG_PROFILES] = {
    /*                      cr  ap  wr  tr rew len ren rem res  sp rel rbt  fl  pr  rb  sn chk cmp reo die */
    [RIG_MIX] = {"mix", {10, 22, 12, 6, 5, 5, 3, 4, 2, 10, 6, 5, 24, 8, 3, 8, 4, 2, 1, 0}},
    [RIG_REDO] = {"redo", {6, 26, 14, 14, 8, 6, 1, 6, 6, 0, 0, 0, 40, 2, 2, 0, 1, 1, 1, 0}},
    [RIG_SAVEPOINTS] = {"savepoints", {6, 26, 16, 10, 5, 8, 1, 4, 2, 22, 8, 14, 10, 2, 3, 2, 1, 1, 0, 0}},
    [RIG_SNAPSHOTS] = {"snapshots", {5, 18, 30, 8, 5, 4, 2, 6, 2, 2, 1, 1, 30, 3, 3, 16, 8, 3, 1, 0}},
    [RIG_PREPARES] = {"prepares", {8, 16, 10, 5, 3, 3, 1, 3, 1, 3, 1, 1, 12, 30, 14, 2, 4, 1, 2, 0}},
    [RIG_RESTARTS] = {"restarts", {6, 14, 8, 4, 2, 3, 1, 3, 4, 1, 1, 1, 16, 3, 2, 2, 4, 6, 4, 14}},
    [RIG_REOPENINGS] = {"reopenings", {8, 14, 8, 4, 2, 3, 3, 5, 2, 1, 1, 1, 16, 3, 2, 2, 14, 4, 16, 0}},
};

const char *rig_profile_name(int profile) {
  return profile >= 0 && profile < RIG_PROFILES ? profiles[profile].name : NULL;
}

static int one_op(rig *r, int op) {
  int slot = pick_used(r);
  if (slot < 0 && op >= 1 && op <= 8) op = 0;
  switch (op) {
    case 0:
      return op_create(r);
    case 1:
      return op_append(r, slot);
    case 2:
      return op_write(r, slot);
    case 3:
      return op_truncate(r, slot);
    case 4:
      return op_truncate_write(r, slot);
    case 5:
      return op_set_length(r, slot);
    case 6:
      return op_rename(r, slot);
    case 7:
      return op_remove(r, slot);
    case 8:
      return op_reserve(r, slot);
    case 9:
      return op_savepoint(r);
    case 10:
      return op_release(r);
    case 11:
      return op_rollback_to(r);
    case 12:
      return op_flush(r);
    case 13:
      return op_prepare(r);
    case 14:
      return op_rollback(r);
    case 15:
      return op_snapshot(r);
    case 16:
      return op_upkeep(r, false);
    case 17:
      return op_upkeep(r, true);
    case OP_REOPEN:
      reopen(r);
      return SEQDB_OK;
    default:
      rig_restart(r);
      return SEQDB_OK;
  }
}

static void maybe_fault(rig *r) {
  static const int kinds[] = {SDB_CALL_MALLOC, SDB_CALL_PWRITE, SDB_CALL_FDATASYNC, SDB_CALL_TRUNCATE, SDB_CALL_PWRITE};
  sdb_fault_rule rule = {0};
  if (rig_below(r, 1000) >= r->fault_rate) return;
  size_t which = rig_below(r, 5);
  rule.kinds = SDB_CALL_BIT(kinds[which]);
  rule.nth = 1 + rig_below(r, which == 0 ? 20 : 3);
  rule.error = which == 0 ? 12 /* ENOMEM */ : which == 4 ? 28 /* ENOSPC */ : 5 /* EIO */;
  rule.forever = rig_below(r, 4) == 0;
  if (which == 1 || which == 2)
    rule.performed = rig_below(r, 2) == 0; /* an error does not mean that nothing happened */
  if (which == 4 && rig_below(r, 2) == 0) rule.piece_bytes = 1 + rig_below(r, 6000);
  sdb_sim_set_fail_seed(rig_random(r) % 100);
  sdb_fault_add(&rule);
}

static int pick_op(rig *r) {
  const int *weight = profiles[r->profile].weight;
  int total = 0, op = 0;
  for (int i = 0; i < OPS; i++)
    total += weight[i];
  for (int at = (int)rig_below(r, (size_t)total); at >= weight[op]; op++)
    at -= weight[op];
  return op;
}

int rig_any_op(rig *r) {
  int op = pick_op(r);
  return one_op(r, op < OP_REOPEN ? op : OP_FLUSH);
}

int rig_sync_op(rig *r) {
  static const int ops[] = {OP_FLUSH, OP_CHECKPOINT, OP_COMPACT};
  if (rig_below(r, 2)) return one_op(r, ops[rig_below(r, 3)]);
  int rc = op_create(r);
  for (size_t far = rig_below(r, 2) * 2; far > 0 && rc == SEQDB_OK;
       far--) /* the second comes to lie where `data` ends */
    rc = reserve(r, pick_used(r), far << 19);
  size_t bytes = 70000 + rig_below(r, 60000); /* more than a record carries */
  if (rc == SEQDB_OK) rc = append(r, pick_used(r), bytes);
  return rc == SEQDB_OK ? op_flush(r) : rc;
}

static void trace(const rig *r, int rc) {
  if (!r->tracing) return;
  fprintf(stderr, "step %d %s rc %d calls %d:", r->step, r->what, rc, (int)r->calls);
  for (int i = 0; i < RIG_REGIONS; i++) {
    size_t n;
    (void)rig_content(r->now, i, &n);
    if (r->now->region[i].used) fprintf(stderr, " %s=%zu", r->now->region[i].name, n);
  }
  fprintf(stderr, "\n");
}

static bool one_step(rig *r) {
  int op = pick_op(r);
  snprintf(r->what, sizeof r->what, "%s", op_names[op]);
  bool faulty = r->fault_rate > 0 && op < OP_REOPEN;
  if (faulty) maybe_fault(r);
  int rc = one_op(r, op);
  trace(r, rc);
  if (r->failure[0]) return false;
  if (rc != SEQDB_OK) {
    seqdb_error e = SEQDB_ERROR_INIT;
    seqdb_get_error(r->db, &e);
    if (!faulty) return rig_fail(r, "error %d: %s", rc, e.message);
    if (!after_failure(r)) return false;
  } else if (faulty) {
    rig_no_faults(r);
    if (seqdb_is_readonly(r->db, NULL) && !after_failure(r)) return false;
  }
  return check_live(r);
}

void rig_run(rig *r, int steps) {
  for (r->step = 0; r->step < steps && !r->failure[0]; r->step++)
    if (!one_step(r)) return;
}
