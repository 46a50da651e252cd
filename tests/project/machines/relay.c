/* SPDX-License-Identifier: MIT
**
** relay.c: a database handed from machine to machine, each taking it as the one before left it.
**
** Step N repeats the steps before it on a model in memory, compares the database with that, then changes both.  How a
** step ends depends on N: closed, killed with records in the journal, killed in the middle of a transaction, or killed
** with a prepare that nobody has decided; the next step recovers.  Uuid, salts and tokens come from a seed, so that the
** files of two machines that did the same steps are equal byte for byte. OWNS: the model.  THREADS: one.
*/
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "machines.h"

#define REGIONS    12
#define COMMITS    5 /* in a step */
#define CHANGES    8 /* in a commit */
#define BYTES_MAX  400000
#define NAME_BYTES 300

enum ending { END_CLOSE, END_RECORDS, END_PREPARE, END_MIDDLE, ENDINGS };

typedef struct model_region {
  bool used;
  char name[NAME_BYTES];
  size_t length;
  uint8_t *bytes;
} model_region;

typedef struct model {
  model_region region[REGIONS];
} model;

/* The model, the database that is to follow it (or NULL), and what comes next. */
typedef struct relay {
  model now;
  seqdb *db;
  machines_random random;
} relay;

static uint8_t scratch[BYTES_MAX];

static enum ending ending_of(uint64_t step) {
  return (enum ending)(step % ENDINGS);
}
/* Whether the prepare that step left is kept. */
static bool kept(uint64_t step) {
  return step / ENDINGS % 2 == 0;
}

/* ---- model */

static void model_copy(model *to, const model *from) {
  *to = *from;
  for (int i = 0; i < REGIONS; i++) {
    if (!from->region[i].bytes) continue;
    to->region[i].bytes = malloc(from->region[i].length + 1);
    if (!to->region[i].bytes) machines_fail("out of memory");
    memcpy(to->region[i].bytes, from->region[i].bytes, from->region[i].length);
  }
}

static void model_free(model *m) {
  for (int i = 0; i < REGIONS; i++)
    free(m->region[i].bytes);
  memset(m, 0, sizeof *m);
}

static void resize(model_region *region, size_t length) {
  uint8_t *bytes = realloc(region->bytes, length + 1);
  if (!bytes) machines_fail("out of memory");
  if (length > region->length) memset(bytes + region->length, 0, length - region->length);
  region->bytes = bytes;
  region->length = length;
}

static void put(model_region *region, size_t at, const uint8_t *bytes, size_t count) {
  if (at + count > region->length) resize(region, at + count);
  memcpy(region->bytes + at, bytes, count);
}

/* ---- changes */

/* Names of all kinds of characters and lengths; `slot` makes them differ. */
static void name_of(machines_random *random, int slot, char name[NAME_BYTES]) {
  static const char *const parts[] = {"log", "gr\303\266\303\237e", "\xe5\x8c\xba", "\xf0\x9f\x93\x88", "x y"};
  int n = snprintf(name, NAME_BYTES, "%d", slot);
  for (size_t more = machines_below(random, 40); more > 0; more--)
    n += snprintf(name + n, (size_t)(NAME_BYTES - n), "%s", parts[machines_below(random, 5)]);
}

static size_t some_bytes(machines_random *random) {
  static const size_t limits[] = {1, 30, 600, 4096, 20000, 90000};
  size_t count = 1 + machines_below(random, limits[machines_below(random, 6)]);
  for (size_t i = 0; i < count; i++)
    scratch[i] = (uint8_t)machines_next(random);
  return count;
}

static seqdb_region find(relay *r, const char *name) {
  seqdb_region region = 0;
  machines_ok(seqdb_find(seqdb_own_view(r->db), name, strlen(name), &region), r->db, "find");
  return region;
}

static void create(relay *r, int slot) {
  model_region *region = &r->now.region[slot];
  seqdb_region made;
  int fresh = 0;
  region->used = true;
  name_of(&r->random, slot, region->name);
  resize(region, 0);
  if (!r->db) return;
  machines_ok(seqdb_find_or_create(r->db, region->name, strlen(region->name), &made, &fresh), r->db, "create");
  if (!fresh) machines_fail("region %s was there already", region->name);
}

static void change_bytes(relay *r, model_region *region, size_t what) {
  size_t at = machines_below(&r->random, region->length + 1), count = some_bytes(&r->random);
  seqdb_region id = r->db ? find(r, region->name) : 0;
  int rc = SEQDB_OK;
  if (at + count > BYTES_MAX || region->length + count > BYTES_MAX) what = 6;
  switch (what) {
    case 0:
    case 1:
    case 2:
      put(region, region->length, scratch, count);
      if (r->db) rc = seqdb_append(r->db, id, scratch, count, NULL);
      break;
    case 3:
    case 4:
      put(region, at, scratch, count);
      if (r->db) rc = seqdb_write(r->db, id, at, scratch, count);
      break;
    case 5:
      resize(region, at);
      put(region, at, scratch, count);
      if (r->db) rc = seqdb_truncate_write(r->db, id, at, scratch, count);
      break;
    case 6:
      resize(region, at);
      if (r->db) rc = seqdb_truncate(r->db, id, at);
      break;
    default:
      resize(region, region->length + count);
      if (r->db) rc = seqdb_set_length(r->db, id, region->length);
  }
  if (r->db) machines_ok(rc, r->db, "change");
}

static void change_entry(relay *r, int slot, size_t what) {
  model_region *region = &r->now.region[slot];
  seqdb_region id = r->db ? find(r, region->name) : 0;
  size_t bytes = machines_below(&r->random, 100000);
  if (what == 8) {
    name_of(&r->random, slot, region->name);
    if (r->db) machines_ok(seqdb_rename(r->db, id, region->name, strlen(region->name)), r->db, "rename");
  } else if (what == 9) {
    region->used = false;
    resize(region, 0);
    if (r->db) machines_ok(seqdb_remove(r->db, id), r->db, "remove");
  } else if (r->db) {
    machines_ok(seqdb_reserve(r->db, id, bytes, NULL), r->db, "reserve");
  }
}

static void change(relay *r) {
  int slot = (int)machines_below(&r->random, REGIONS);
  size_t what = machines_below(&r->random, 11);
  if (!r->now.region[slot].used)
    create(r, slot);
  else if (what < 8)
    change_bytes(r, &r->now.region[slot], what);
  else
    change_entry(r, slot, what);
}

/* Some changes, of which those after a savepoint are taken back now and then. */
static void changes(relay *r) {
  model before;
  bool back = machines_below(&r->random, 2) == 0;
  for (int i = 0; i < CHANGES / 2; i++)
    change(r);
  if (r->db) machines_ok(seqdb_savepoint(r->db, 0), r->db, "savepoint");
  model_copy(&before, &r->now);
  for (int i = 0; i < CHANGES / 2; i++)
    change(r);
  if (r->db) machines_ok(back ? seqdb_rollback_to(r->db, 0) : seqdb_release(r->db, 0), r->db, "rollback to");
  if (back) {
    model old = r->now;
    r->now = before;
    before = old;
  }
  model_free(&before);
}

/* ---- steps */

static void compare_region(seqdb_view *view, const seqdb_region_info *info, const model *m, const char *when) {
  static uint8_t bytes[BYTES_MAX + 1];
  const model_region *want = NULL;
  size_t got = 0;
  for (int i = 0; i < REGIONS && !want; i++) {
    const model_region *at = &m->region[i];
    if (at->used && strlen(at->name) == info->name_bytes && memcmp(at->name, info->name, info->name_bytes) == 0)
      want = at;
  }
  if (!want) machines_fail("%s: unexpected region %.*s", when, (int)info->name_bytes, info->name);
  if (info->length_bytes != want->length)
    machines_fail("%s: region %s has length %llu, not %zu", when, want->name, (unsigned long long)info->length_bytes,
                  want->length);
  machines_ok(seqdb_read_copy(view, info->region, 0, bytes, sizeof bytes, &got), NULL, "read_copy");
  if (got != want->length || memcmp(bytes, want->bytes, got) != 0)
    machines_fail("%s: region %s has other bytes", when, want->name);
  const void *direct = NULL;
  int rc = want->length ? seqdb_read(view, info->region, 0, want->length, &direct) : SEQDB_COPY;
  if (rc == SEQDB_OK ? memcmp(direct, want->bytes, want->length) != 0 : rc != SEQDB_COPY)
    machines_fail("%s: region %s reads otherwise through the mapping", when, want->name);
}

static void compare(seqdb_view *view, const model *m, const char *when) {
  seqdb_region_info info;
  int count = 0, want = 0, rc;
  for (uint64_t at = 0; (rc = seqdb_iterate(view, at, &info)) == SEQDB_OK; at = (uint64_t)info.index + 1, count++)
    compare_region(view, &info, m, when);
  for (int i = 0; i < REGIONS; i++)
    want += m->region[i].used;
  if (rc != SEQDB_DONE || count != want) machines_fail("%s: %d regions, not %d", when, count, want);
}

static void compare_committed(seqdb *db, const model *m, const char *when) {
  seqdb_snapshot *snapshot;
  machines_ok(seqdb_snapshot_open(db, &snapshot), db, "snapshot");
  compare(seqdb_snapshot_view(snapshot), m, when);
  seqdb_snapshot_close(snapshot);
  compare(seqdb_own_view(db), m, when);
  machines_check(db);
}

/* Step `step` on the model, and on the database if there is one; then it ends as it should, with the process where it
** must. */
static void play(relay *r, uint64_t step) {
  model aside;
  r->random.state = step * UINT64_C(0x2545f4914f6cdd1d) + 1;
  for (int i = 0; i < COMMITS; i++) {
    changes(r);
    if (r->db) machines_ok(seqdb_flush(r->db, NULL), r->db, "flush");
  }
  if (r->db) compare_committed(r->db, &r->now, "after the last commit");
  if (r->db && ending_of(step) == END_CLOSE) {
    if (step % (2 * ENDINGS) == ENDINGS) machines_ok(seqdb_compact(r->db, NULL), r->db, "compact");
    compare_committed(r->db, &r->now, "before the close");
    seqdb_close(r->db);
  }
  if (ending_of(step) != END_PREPARE && ending_of(step) != END_MIDDLE) return;
  model_copy(&aside, &r->now);
  changes(r);
  if (r->db) compare(seqdb_own_view(r->db), &r->now, "in the last transaction");
  if (r->db && ending_of(step) == END_PREPARE) machines_ok(seqdb_prepare(r->db, NULL, NULL), r->db, "prepare");
  if (ending_of(step) == END_MIDDLE || !kept(step)) {
    model_free(&r->now);
    r->now = aside;
  } else {
    model_free(&aside);
  }
}

/* Flags to open what step - 1 left. */
static unsigned flags_for(uint64_t step) {
  if (step == 0) return SEQDB_OPEN_CREATE;
  if (ending_of(step - 1) != END_PREPARE) return 0;
  return kept(step - 1) ? SEQDB_OPEN_RESOLVE_KEEP : SEQDB_OPEN_RESOLVE_DROP;
}

static void replay(relay *r, uint64_t step) {
  memset(r, 0, sizeof *r);
  for (uint64_t i = 0; i < step; i++)
    play(r, i);
}

void machines_verify(const char *directory, uint64_t step) {
  relay r;
  replay(&r, step);
  seqdb *db = machines_open(directory, flags_for(step) | SEQDB_OPEN_READONLY, NULL);
  compare_committed(db, &r.now, "read-only");
  seqdb_close(db);
  db = machines_open(directory, flags_for(step), NULL);
  compare_committed(db, &r.now, "after recovery");
  seqdb_close(db);
  db = machines_open(directory, SEQDB_OPEN_NO_MMAP, NULL);
  compare_committed(db, &r.now, "read without a mapping");
  seqdb_close(db);
  model_free(&r.now);
}

void machines_relay(const char *directory, uint64_t step) {
  relay r;
  replay(&r, step);
  machines_seed(step + 1);
  r.db = machines_open(directory, flags_for(step), ending_of(step) == END_PREPARE ? "host.db" : NULL);
  compare_committed(r.db, &r.now, "before the step");
  play(&r, step);
  if (ending_of(step) != END_CLOSE) _exit(0);
  model_free(&r.now);
}
