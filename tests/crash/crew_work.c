/* SPDX-License-Identifier: MIT
**
** crew_work.c: what a member does.  See crew.h.  Statics here are the member's own: each life has its copy of them.
*/
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "crash/crew.h"

#define NAMES     5
#define LARGE     12000
#define MOST      30000 /* bytes of a region */
#define TIMEOUT   60
#define DIRECTORY CREW_PATH

static const crew_host *host;
static seqdb *db;
static seqdb_snapshot *snapshots[2];
static bool coordinated; /* commits are prepares in the name of a coordinator */
static uint64_t seen;    /* the newest generation that this member has observed */

/* ---- comparing */

static const char *differs(void *context, const rig_state *state) {
  return rig_differs(context, state);
}

static rig_state *observe(seqdb_snapshot *snapshot, uint64_t least) {
  uint64_t generation = seqdb_snapshot_generation(snapshot);
  if (generation < least) {
    host->fail("a snapshot shows generation %llu, after %llu was acknowledged or seen", (unsigned long long)generation,
               (unsigned long long)least);
  }
  seen = generation;
  return host->observe(generation, differs, seqdb_snapshot_view(snapshot));
}

static jmp_buf given_up; /* an action that a failing sync has ended */

static bool told_busy(int rc, const char *what) {
  if (rc == SEQDB_BUSY || rc == SEQDB_LOCKED) {
    host->say("%s: %s", what, db != NULL ? seqdb_errmsg(db) : "busy");
    return true;
  }
  return false;
}

/* What a failing sync or write may lead to. */
static bool is_excused(int rc) {
  return host->faulty() && (rc == SEQDB_IO || rc == SEQDB_POISONED || rc == SEQDB_FULL);
}

static void must(int rc, const char *what) {
  if (is_excused(rc)) {
    host->say("%s: %s", what, db != NULL ? seqdb_errmsg(db) : "");
    longjmp(given_up, 1);
  }
  if (rc < 0) {
    host->fail("%s: %d %s", what, rc, db != NULL ? seqdb_errmsg(db) : "");
  }
}

/* ---- snapshots */

static void open_snapshot(int index) {
  crew_snapshot *mine = host->snapshot(index);
  uint64_t acked = host->acked(), least = acked > seen ? acked : seen;
  seqdb_region_info info;
  must(seqdb_snapshot_open(db, &snapshots[index]), "snapshot_open");
  seqdb_view *view = seqdb_snapshot_view(snapshots[index]);
  host->say("has snapshot %llu", (unsigned long long)seqdb_snapshot_generation(snapshots[index]));
  rig_state *state = observe(snapshots[index], least);
  mine->generation = seen;
  mine->state = rig_state_ref(state);
  mine->count = 0;
  for (uint64_t at = 0; seqdb_iterate(view, at, &info) == SEQDB_OK; at = (uint64_t)info.index + 1) {
    const void *address;
    size_t bytes;
    int slot = rig_state_find(state, info.name, info.name_bytes);
    const uint8_t *expected = rig_content(state, slot, &bytes);
    if (bytes > 0 && seqdb_read(view, info.region, 0, bytes, &address) == SEQDB_OK) {
      mine->pointers[mine->count++] = (crew_pointer){address, expected, bytes};
    }
  }
  mine->open = true;
}

static void close_snapshot(int index) {
  crew_snapshot *mine = host->snapshot(index);
  const char *wrong = rig_differs(seqdb_snapshot_view(snapshots[index]), mine->state);
  if (wrong != NULL) {
    host->fail("snapshot %llu has changed: %s", (unsigned long long)mine->generation, wrong);
  }
  host->say("closes snapshot %llu", (unsigned long long)mine->generation);
  mine->open = false;
  seqdb_snapshot_close(snapshots[index]);
  snapshots[index] = NULL;
}

/* ---- transactions */

typedef struct change {
  int kind, name;
  uint64_t at, bytes;
  uint8_t data[LARGE];
} change;

enum { APPEND, OVERWRITE, CUT, REMOVE, LENGTHEN, CUT_WRITE, RENAME };

static void draw(change *c) {
  static const int often[] = {APPEND, APPEND, APPEND, OVERWRITE, OVERWRITE, CUT, CUT_WRITE, REMOVE, LENGTHEN, RENAME};
  uint64_t stamp = host->random(UINT64_MAX);
  bool hot = host->hot() && host->random(8) != 0;
  c->kind = hot ? OVERWRITE : often[host->random(sizeof often / sizeof often[0])];
  c->name = (int)host->random(hot ? 2 : NAMES);
  c->at = host->random(MOST);
  c->bytes = 1 + host->random(host->random(3) == 0 ? LARGE : 300);
  for (size_t i = 0; i < c->bytes; i++) {
    c->data[i] = (uint8_t)(stamp >> i % 8 * 8 ^ i * 7);
  }
}

static int region_of(const char *name, seqdb_region *region, size_t *length) {
  seqdb_region_info info;
  int created;
  int rc = seqdb_find_or_create(db, name, strlen(name), region, &created);
  if (rc >= 0) {
    rc = seqdb_get_info(seqdb_own_view(db), *region, &info);
    *length = rc >= 0 ? (size_t)info.length_bytes : 0;
  }
  return rc;
}

/* To the other name; where that is taken, nothing happens. */
static int swap_name(seqdb_region region, change *c) {
  char name[RIG_NAME_BYTES];
  snprintf(name, sizeof name, "r%d", (c->name + 1) % NAMES);
  int rc = seqdb_rename(db, region, name, strlen(name));
  c->bytes = rc == SEQDB_OK;
  return rc == SEQDB_EXISTS ? SEQDB_OK : rc;
}

/* Carry it out; what it depends on, lengths, the engine says.  *applied: the change as it was. */
static int carry_out(change *c) {
  char name[RIG_NAME_BYTES];
  seqdb_region region;
  size_t length;
  snprintf(name, sizeof name, "r%d", c->name);
  int rc = region_of(name, &region, &length);
  if (rc < 0) {
    return rc;
  }
  c->at = length > 0 ? c->at % length : 0;
  if (c->kind == APPEND && length + c->bytes > MOST) {
    c->kind = CUT;
  }
  switch (c->kind) {
    case APPEND:
      c->at = length;
      return seqdb_append(db, region, c->data, c->bytes, NULL);
    case OVERWRITE:
      c->bytes = c->at + c->bytes > length ? length - c->at : c->bytes;
      return c->bytes > 0 ? seqdb_write(db, region, c->at, c->data, c->bytes) : SEQDB_OK;
    case CUT:
      return seqdb_truncate(db, region, c->at);
    case REMOVE:
      return seqdb_remove(db, region);
    case LENGTHEN:
      c->bytes = length + c->bytes > MOST ? 0 : c->bytes;
      c->at = length;
      return seqdb_set_length(db, region, length + c->bytes);
    case RENAME:
      return swap_name(region, c);
    default:
      return seqdb_truncate_write(db, region, c->at, c->data, c->bytes);
  }
}

/* The same to the model. */
static void model(rig_state *state, const change *c) {
  char name[RIG_NAME_BYTES];
  snprintf(name, sizeof name, "r%d", c->name);
  int slot = rig_state_find(state, name, strlen(name));
  size_t length = 0;
  if (slot < 0) {
    for (slot = 0; state->region[slot].used; slot++) {
    }
    state->region[slot].used = true;
    state->region[slot].content = NULL;
    snprintf(state->region[slot].name, sizeof state->region[slot].name, "%s", name);
  }
  (void)rig_content(state, slot, &length);
  switch (c->kind) {
    case APPEND:
      rig_state_splice(state, slot, length, c->data, c->bytes, SIZE_MAX);
      break;
    case OVERWRITE:
      if (c->bytes > 0) {
        rig_state_splice(state, slot, c->at, c->data, c->bytes, c->at + c->bytes);
      }
      break;
    case CUT:
      rig_state_splice(state, slot, c->at, NULL, 0, SIZE_MAX);
      break;
    case REMOVE:
      rig_state_splice(state, slot, 0, NULL, 0, SIZE_MAX);
      state->region[slot].used = false;
      break;
    case LENGTHEN:
      rig_state_splice(state, slot, length, NULL, c->bytes, SIZE_MAX);
      break;
    case RENAME:
      if (c->bytes != 0) {
        snprintf(state->region[slot].name, sizeof state->region[slot].name, "r%d", (c->name + 1) % NAMES);
      }
      break;
    default:
      rig_state_splice(state, slot, c->at, c->data, c->bytes, SIZE_MAX);
  }
}

/* The last commit, while this member has the writer lock: nobody else can publish. */
static rig_state *base_state(uint64_t *generation) {
  seqdb_snapshot *snapshot;
  uint64_t least = host->acked();
  must(seqdb_snapshot_open(db, &snapshot), "snapshot_open in a transaction");
  *generation = seqdb_snapshot_generation(snapshot);
  rig_state *state = rig_state_copy(observe(snapshot, least));
  seqdb_snapshot_close(snapshot);
  return state;
}

/* As after a region was made and removed: then there is no new generation. */
static bool same_state(const rig_state *a, const rig_state *b) {
  int more = 0;
  for (int i = 0; i < RIG_REGIONS; i++) {
    size_t bytes, other_bytes;
    more += b->region[i].used - a->region[i].used;
    if (!a->region[i].used) {
      continue;
    }
    int other = rig_state_find(b, a->region[i].name, strlen(a->region[i].name));
    const uint8_t *mine = rig_content(a, i, &bytes);
    const uint8_t *others = other >= 0 ? rig_content(b, other, &other_bytes) : NULL;
    if (other < 0 || bytes != other_bytes || (bytes > 0 && memcmp(mine, others, bytes) != 0)) {
      return false;
    }
  }
  return more == 0;
}

static void commit(rig_state *state, const rig_state *before, uint64_t base) {
  uint64_t generation = 0;
  host->candidate(base + 1, state);
  host->say("commits %llu", (unsigned long long)base + 1);
  int rc = SEQDB_OK;
  if (coordinated || host->random(4) == 0) {
    uint8_t token[SEQDB_TOKEN_BYTES];
    rc = seqdb_prepare(db, token, &generation);
    if (rc == SEQDB_OK) {
      seqdb_publish(db);
    }
    generation = generation == 0 ? base : generation; /* there was nothing to prepare */
  } else {
    rc = seqdb_flush(db, &generation);
  }
  must(rc, "commit");
  if (generation == base && same_state(state, before)) {
    return;
  }
  if (generation != base + 1) {
    host->fail("committed generation %llu after %llu", (unsigned long long)generation, (unsigned long long)base);
  }
  host->committed(generation, state);
  seen = generation;
  host->say("has committed %llu", (unsigned long long)generation);
}

/* `small`: a byte more for a region, and no way back. */
static void transact(bool small) {
  static change c;
  uint64_t base = 0;
  rig_state *state = NULL, *before = NULL, *marked = NULL;
  int changes = small ? 1 : 1 + (int)host->random(4);
  for (int i = 0; i < changes; i++) {
    if (state != NULL && marked == NULL && host->random(4) == 0) {
      must(seqdb_savepoint(db, 0), "savepoint");
      marked = rig_state_copy(state);
    }
    draw(&c);
    if (small) {
      c.kind = APPEND;
      c.bytes = 1;
    }
    int rc = carry_out(&c);
    if (i == 0 && told_busy(rc, "change")) {
      return;
    }
    must(rc, "change");
    host->say("change %d of r%d at %llu, %llu bytes", c.kind, c.name, (unsigned long long)c.at,
              (unsigned long long)c.bytes);
    if (state == NULL && seqdb_has_changes(db) == 0) {
      must(seqdb_rollback(db), "rollback"); /* nothing to do: the writer lock was not needed */
      return;
    }
    if (state == NULL) {
      state = base_state(&base);
      before = rig_state_copy(state);
    }
    model(state, &c);
  }
  if (marked != NULL && host->random(2) == 0) {
    must(seqdb_rollback_to(db, 0), "rollback_to");
    host->say("is back at its savepoint");
    rig_state_unref(state);
    state = rig_state_ref(marked);
  }
  rig_state_unref(marked);
  if (seqdb_has_changes(db) == 0 || (!small && host->random(6) == 0)) {
    must(seqdb_rollback(db), "rollback");
    host->say("has rolled back");
  } else {
    commit(state, before, base);
  }
  rig_state_unref(before);
  rig_state_unref(state);
}

/* ---- life */

static bool open_database(enum crew_kind kind) {
  seqdb_error error = SEQDB_ERROR_INIT;
  seqdb_options options = SEQDB_OPTIONS_INIT;
  options.flags = kind == CREW_READER ? SEQDB_OPEN_READONLY : SEQDB_OPEN_CREATE;
  options.busy_timeout_ms = TIMEOUT;
  options.coordinator = coordinated ? "rows.db" : NULL;
  int rc = seqdb_open(DIRECTORY, &options, &error, &db);
  if (rc == SEQDB_OK) {
    host->say("is open");
    return true;
  }
  host->say("open: %s", error.message);
  db = NULL;
  bool early = kind == CREW_READER && (rc == SEQDB_CANTOPEN || rc == SEQDB_NOTFOUND);
  early |= is_excused(rc);
  bool foreign = strstr(error.message, "a program that is not seqdb") != NULL; /* there is none */
  if ((rc != SEQDB_BUSY && rc != SEQDB_LOCKED && !early) || foreign) {
    host->fail("open: %d %s", rc, error.message);
  }
  return false;
}

static void upkeep(void) {
  seqdb_compact_step_info step;
  uint64_t cursor = 0;
  int rc = host->random(2) == 0 ? seqdb_checkpoint(db) : seqdb_compact_step(db, &cursor, &step);
  for (int i = 0; i < 3 && rc == SEQDB_OK && cursor != 0; i++) {
    rc = seqdb_compact_step(db, &cursor, &step);
  }
  host->say("upkeep: %d", rc);
  if (rc < 0 && !told_busy(rc, "upkeep")) {
    must(rc, "upkeep");
  }
}

static void act(enum crew_kind kind) {
  int index = (int)host->random(2);
  uint64_t dice = host->random(100);
  host->action();
  if (setjmp(given_up) != 0) {
    (void)seqdb_rollback(db);
    return;
  }
  if (dice < (host->hot() ? 55 : 45)) {
    if (snapshots[index] == NULL) {
      open_snapshot(index);
    } else {
      close_snapshot(index);
    }
  } else if (kind == CREW_READER) {
    return;
  } else if (dice < 88) {
    transact(false);
  } else {
    upkeep();
  }
}

/* Alone, after a few commits and checkpoints nothing is held back any more, whatever the dead had pinned. */
static void settle_alone(void) {
  seqdb_stat_info info = SEQDB_STAT_INIT;
  host->action();
  if (setjmp(given_up) != 0) {
    (void)seqdb_rollback(db);
    return;
  }
  for (int i = 0; i < 3; i++) {
    transact(true);
    int rc = seqdb_checkpoint(db);
    if (!host->alone()) { /* somebody came */
      return;
    }
    must(rc, "checkpoint");
  }
  must(seqdb_stat(db, &info), "stat");
  if (host->alone() && (info.pending_bytes != 0 || info.overlay_bytes != 0)) {
    host->fail("alone, and yet %llu bytes are pending, %llu wait in layers", (unsigned long long)info.pending_bytes,
               (unsigned long long)info.overlay_bytes);
  }
}

static void go_home(enum crew_kind kind) {
  for (int i = 0; i < 2; i++) {
    if (snapshots[i] != NULL) {
      close_snapshot(i);
    }
  }
  if (kind == CREW_WRITER && host->alone()) {
    settle_alone();
  }
  host->say("closes");
  seqdb_close(db);
  db = NULL;
}

static void run(const crew_host *given, enum crew_kind kind, int actions) {
  host = given;
  coordinated = host->random(5) == 0;
  host->action();
  for (int tries = 0; tries < 5 && !open_database(kind); tries++) {
  }
  if (db == NULL) {
    return;
  }
  for (int i = 0; i < actions && !host->finishing(); i++) {
    act(kind);
  }
  host->action();
  go_home(kind);
}

static int report(void *context, const char *problem) {
  (void)context;
  host->fail("check: %s", problem);
  return 0;
}

static void inspect(const crew_host *given) {
  uint64_t problems;
  host = given;
  host->action();
  if (setjmp(given_up) != 0 || !open_database(CREW_WRITER)) {
    host->fail("nobody is there, and yet it cannot be opened");
  }
  open_snapshot(0);
  must(seqdb_check(db, report, NULL, &problems), "check");
  for (int i = 0; i < 3; i++) {
    host->action();
    transact(false);
  }
  close_snapshot(0);
  open_snapshot(0);
  must(seqdb_check(db, report, NULL, &problems), "check");
  go_home(CREW_WRITER);
}

#pragma GCC visibility push(default)
extern const crew_work sdb_crew_work;
const crew_work sdb_crew_work = {run, inspect};
#pragma GCC visibility pop
