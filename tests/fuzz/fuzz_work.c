/* SPDX-License-Identifier: MIT
**
** fuzz_work.c: what opens healthy is written on: the input's workload runs beside a simple model; then the session
** ends, by a close or a power cut, and the next one must show the model's last commit.  See fuzz.h. THREADS: one.
*/
#include <stdlib.h>
#include "fuzz.h"
#include "disk/os_sim.h"

#define STEPS_MAX 24

struct work {
  seqdb *db;
  fuzz_input input;
  fuzz_state model, committed;
};

static const uint8_t pattern[70000] = {'w', 'o', 'r', 'k'};

/* ---- the model */

static fuzz_region *choose(struct work *w) {
  uint8_t choice = fuzz_u8(&w->input);
  return w->model.count ? &w->model.region[choice % w->model.count] : NULL;
}

/* Keep the first `keep` bytes, then `count` bytes (NULL: zeros), then the old ones from behind those on. */
static void splice(fuzz_region *region, uint64_t keep, const uint8_t *bytes, uint64_t count, bool cut) {
  uint64_t end = cut ? keep + count : SDB_MAX(region->length, keep + count);
  bool known = region->content || region->length == 0;
  if (known && end <= FUZZ_CONTENT_MAX) {
    region->content = fuzz_memory(region->content, (size_t)end);
    if (bytes)
      memcpy(region->content + keep, bytes, (size_t)count);
    else
      memset(region->content + keep, 0, (size_t)count);
  } else {
    free(region->content);
    region->content = NULL;
  }
  region->length = end;
}

static void drop(struct work *w, fuzz_region *region) {
  free(region->name);
  free(region->content);
  size_t after = w->model.count - (size_t)(region - w->model.region) - 1;
  memmove(region, region + 1, after * sizeof *region);
  w->model.count--;
}

static void add(struct work *w, const char *name, uint32_t bytes) {
  w->model.region = fuzz_memory(w->model.region, (w->model.count + 1) * sizeof *w->model.region);
  fuzz_region *region = &w->model.region[w->model.count++];
  *region = (fuzz_region){.name_bytes = bytes, .name = fuzz_memory(NULL, bytes)};
  memcpy(region->name, name, bytes);
}

/* By name: entries may be numbered differently. */
static bool same_as_model(const fuzz_state *model, const fuzz_state *got, const char *when) {
  if (model->count != got->count) return fuzz_wrong("%s: %zu regions, not %zu", when, got->count, model->count);
  for (size_t i = 0; i < model->count; i++) {
    const fuzz_region *want = &model->region[i], *region = fuzz_find(got, want->name, want->name_bytes);
    if (!region) return fuzz_wrong("%s: a region is gone", when);
    if (region->length != want->length)
      return fuzz_wrong("%s: a length of %llu, not %llu", when, (unsigned long long)region->length,
                        (unsigned long long)want->length);
    if (want->content && region->content && memcmp(want->content, region->content, (size_t)want->length) != 0)
      return fuzz_wrong("%s: other bytes", when);
  }
  return true;
}

static bool look_and_compare(struct work *w, const fuzz_state *model, const char *when) {
  fuzz_state got = {0};
  bool ok = w->db ? fuzz_look_at(w->db, &got) : fuzz_look(SEQDB_OPEN_READONLY, &got);
  if (ok && got.rc != SEQDB_OK) ok = fuzz_wrong("%s: cannot be opened: %d", when, got.rc);
  if (ok && got.problems > got.harmless) ok = fuzz_wrong("%s: check finds problems", when);
  if (ok) ok = same_as_model(model, &got, when);
  fuzz_state_free(&got);
  return ok;
}

/* ---- steps; each changes the model if the engine says OK */

static seqdb_region number_of(struct work *w, const fuzz_region *region) {
  seqdb_region number = 0;
  if (seqdb_find(seqdb_own_view(w->db), region->name, region->name_bytes, &number) != SEQDB_OK) number = 0;
  return number;
}

static int step_create(struct work *w) {
  uint8_t choice = fuzz_u8(&w->input);
  char name[3] = {'w', (char)('0' + choice % 8), '\0'};
  seqdb_region number;
  int created = 0, rc = seqdb_find_or_create(w->db, name, 2, &number, &created);
  if (rc == SEQDB_OK && created) add(w, name, 2);
  return rc;
}

static int step_append(struct work *w) {
  fuzz_region *region = choose(w);
  uint64_t bytes = fuzz_u16(&w->input);
  if (!region) return SEQDB_OK;
  int rc = seqdb_append(w->db, number_of(w, region), pattern, (size_t)bytes, NULL);
  if (rc == SEQDB_OK) splice(region, region->length, pattern, bytes, false);
  return rc;
}

static int step_write(struct work *w) {
  fuzz_region *region = choose(w);
  uint64_t at = fuzz_value(&w->input), bytes = fuzz_u16(&w->input);
  bool cut = at & 1;
  if (!region) return SEQDB_OK;
  at = region->length ? at % (region->length + 1) : 0;
  int rc = cut ? seqdb_truncate_write(w->db, number_of(w, region), at, pattern, (size_t)bytes)
               : seqdb_write(w->db, number_of(w, region), at, pattern, (size_t)bytes);
  if (rc == SEQDB_OK) splice(region, at, pattern, bytes, cut);
  return rc;
}

static int step_length(struct work *w) {
  fuzz_region *region = choose(w);
  uint64_t length = fuzz_value(&w->input);
  if (!region) return SEQDB_OK;
  int rc = seqdb_set_length(w->db, number_of(w, region), length);
  if (rc != SEQDB_OK) return rc;
  if (length <= region->length)
    splice(region, length, NULL, 0, true);
  else
    splice(region, region->length, NULL, length - region->length, false);
  return rc;
}

static int step_reserve(struct work *w) {
  fuzz_region *region = choose(w);
  uint64_t bytes = fuzz_value(&w->input);
  return region ? seqdb_reserve(w->db, number_of(w, region), bytes, NULL) : SEQDB_OK;
}

static int step_remove(struct work *w) {
  fuzz_region *region = choose(w);
  if (!region) return SEQDB_OK;
  int rc = seqdb_remove(w->db, number_of(w, region));
  if (rc == SEQDB_OK) drop(w, region);
  return rc;
}

static int step_flush(struct work *w) {
  int rc = seqdb_flush(w->db, NULL);
  if (rc == SEQDB_OK) fuzz_state_copy(&w->committed, &w->model);
  return rc;
}

static int step_prepare(struct work *w) {
  int rc = seqdb_prepare(w->db, NULL, NULL);
  if (rc != SEQDB_OK) return rc;
  seqdb_publish(w->db);
  fuzz_state_copy(&w->committed, &w->model);
  return rc;
}

static int step_rollback(struct work *w) {
  int rc = seqdb_rollback(w->db);
  fuzz_state_copy(&w->model, &w->committed);
  return rc;
}

static int step_compact(struct work *w) {
  int rc = step_flush(w);
  return rc == SEQDB_OK ? seqdb_compact(w->db, NULL) : rc;
}

static int step_checkpoint(struct work *w) {
  int rc = step_flush(w);
  return rc == SEQDB_OK ? seqdb_checkpoint(w->db) : rc;
}

static int (*const steps[])(struct work *w) = {step_flush,  step_create,  step_append,   step_write,
                                               step_length, step_reserve, step_remove,   step_prepare,
                                               step_append, step_compact, step_rollback, step_checkpoint};

static bool run_steps(struct work *w) {
  for (int i = 0; i < STEPS_MAX && w->input.at < w->input.end; i++) {
    int rc = steps[fuzz_u8(&w->input) % (sizeof steps / sizeof steps[0])](w);
    if (rc == SEQDB_OK) continue;
    if (rc != SEQDB_FULL && rc != SEQDB_RANGE) return fuzz_wrong("a step fails: %s", seqdb_errmsg(w->db));
    if (step_rollback(w) != SEQDB_OK) return fuzz_wrong("a rollback fails: %s", seqdb_errmsg(w->db));
  }
  return true;
}

/* ---- the session */

static bool always(struct work *w) {
  w->input.at = w->input.end;
  bool ok = step_flush(w) == SEQDB_OK || step_rollback(w) == SEQDB_OK;
  if (!ok) return fuzz_wrong("neither flush nor rollback works");
  ok = look_and_compare(w, &w->committed, "after the workload");
  int rc = ok ? seqdb_compact(w->db, NULL) : SEQDB_OK;
  if (rc != SEQDB_OK && rc != SEQDB_FULL) ok = fuzz_wrong("compact: %s", seqdb_errmsg(w->db));
  return ok && look_and_compare(w, &w->committed, "after compact");
}

bool fuzz_work(const fuzz_case *c, const fuzz_state *before) {
  struct work w = {.input = c->workload};
  seqdb_options options = {.size_bytes = sizeof options, .flags = c->flags & ~(unsigned)SEQDB_OPEN_ADOPT};
  seqdb_error error = SEQDB_ERROR_INIT;
  fuzz_state_copy(&w.model, before);
  fuzz_state_copy(&w.committed, before);
  if (c->disk.file[FUZZ_JOURNAL].missing) options.flags |= SEQDB_OPEN_ADOPT; /* as rawdb leaves one */
  int rc = seqdb_open(FUZZ_DIR, &options, &error, &w.db);
  if (rc != SEQDB_OK) return fuzz_wrong("cannot be opened again for writing: %s", error.message);
  bool ok = look_and_compare(&w, &w.committed, "opened again") && run_steps(&w);
  if (ok && !c->cut) ok = always(&w);
  /* With sync=off a power cut may take everything; a large file takes long to cut. */
  seqdb_stat_info stat = SEQDB_STAT_INIT;
  bool cut = c->cut && !(c->flags & SEQDB_OPEN_SYNC_OFF) && seqdb_stat(w.db, &stat) == SEQDB_OK &&
             stat.file_bytes <= (uint64_t)16 << 20;
  if (cut) sdb_sim_cut(c->seed);
  seqdb_close(w.db);
  w.db = NULL;
  if (ok) ok = look_and_compare(&w, &w.committed, cut ? "after a power cut" : "after closing");
  fuzz_state_free(&w.model);
  fuzz_state_free(&w.committed);
  return ok;
}
