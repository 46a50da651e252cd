/* SPDX-License-Identifier: MIT
**
** fuzz_state.c: look at everything that an open database shows, and hold the engine to what it promises of any files,
** however damaged: look-ups agree with the list, pointers with copies, layout covers `data` without a gap; and if
** check finds nothing, names are unique, extents do not overlap, and every byte can be read.  See fuzz.h.
** THREADS: one.
*/
#include <stdlib.h>
#include "fuzz.h"

#define SAMPLE_BYTES 4096u

/* ---- states */

void fuzz_state_free(fuzz_state *state) {
  for (size_t i = 0; i < state->count; i++) {
    free(state->region[i].name);
    free(state->region[i].content);
  }
  free(state->region);
  memset(state, 0, sizeof *state);
}

void fuzz_state_copy(fuzz_state *to, const fuzz_state *from) {
  fuzz_state_free(to);
  *to = *from;
  to->region = fuzz_memory(NULL, from->count * sizeof *to->region);
  for (size_t i = 0; i < from->count; i++) {
    const fuzz_region *old = &from->region[i];
    fuzz_region *copy = &to->region[i];
    *copy = *old;
    copy->name = fuzz_memory(NULL, old->name_bytes);
    memcpy(copy->name, old->name, old->name_bytes);
    if (!old->content) continue;
    copy->content = fuzz_memory(NULL, (size_t)old->length);
    memcpy(copy->content, old->content, (size_t)old->length);
  }
}

fuzz_region *fuzz_find(const fuzz_state *state, const char *name, uint32_t name_bytes) {
  for (size_t i = 0; i < state->count; i++) {
    fuzz_region *region = &state->region[i];
    if (region->name_bytes == name_bytes && memcmp(region->name, name, name_bytes) == 0) return region;
  }
  return NULL;
}

bool fuzz_same_regions(const fuzz_state *a, const fuzz_state *b) {
  if (a->count != b->count) return false;
  for (size_t i = 0; i < a->count; i++) {
    const fuzz_region *x = &a->region[i], *y = &b->region[i];
    if (x->index != y->index || x->name_bytes != y->name_bytes || x->length != y->length) return false;
    if (x->read_rc != y->read_rc || x->digest != y->digest) return false;
    if (memcmp(x->name, y->name, x->name_bytes) != 0) return false;
  }
  return true;
}

/* ---- contents */

/* Copy [offset, offset + bytes) and, where that is possible, compare with the same bytes in the mapping. */
static int read_both(seqdb_snapshot *snapshot, const seqdb_region_info *info, uint64_t offset, uint8_t *buffer,
                     size_t bytes) {
  const void *mapped = NULL;
  size_t got = 0;
  int rc = seqdb_read_copy(seqdb_snapshot_view(snapshot), info->region, offset, buffer, bytes, &got);
  int pointer_rc = seqdb_read(seqdb_snapshot_view(snapshot), info->region, offset, bytes, &mapped);
  if (rc == SEQDB_OK && got != bytes)
    fuzz_wrong("region of entry %u: %zu bytes of %zu were read at %llu", info->index, got, bytes,
               (unsigned long long)offset);
  else if (pointer_rc == SEQDB_OK && rc == SEQDB_OK && bytes && memcmp(mapped, buffer, bytes) != 0)
    fuzz_wrong("region of entry %u: the mapping and a copy differ", info->index);
  else if (pointer_rc < 0 && rc == SEQDB_OK)
    fuzz_wrong("region of entry %u can be copied and not read: %d", info->index, pointer_rc);
  return rc;
}

static void read_region(seqdb_snapshot *snapshot, const seqdb_region_info *info, fuzz_region *region) {
  uint64_t length = info->length_bytes;
  if (length <= FUZZ_CONTENT_MAX) {
    region->content = fuzz_memory(NULL, (size_t)length);
    region->read_rc = read_both(snapshot, info, 0, region->content, (size_t)length);
    if (region->read_rc == SEQDB_OK) {
      region->digest = sdb_hash_bytes(region->content, (size_t)length, 0);
      return;
    }
    free(region->content);
    region->content = NULL;
    return;
  }
  const uint64_t places[] = {0, length / 2, length - SAMPLE_BYTES};
  uint8_t sample[SAMPLE_BYTES];
  for (size_t i = 0; i < sizeof places / sizeof places[0] && region->read_rc == SEQDB_OK; i++) {
    region->read_rc = read_both(snapshot, info, places[i], sample, sizeof sample);
    if (region->read_rc == SEQDB_OK) region->digest = sdb_hash_bytes(sample, sizeof sample, region->digest);
  }
}

/* ---- list */

static void add_region(fuzz_state *state, const seqdb_region_info *info) {
  state->region = fuzz_memory(state->region, (state->count + 1) * sizeof *state->region);
  fuzz_region *region = &state->region[state->count++];
  *region = (fuzz_region){.index = info->index,
                          .name_bytes = info->name_bytes,
                          .start = info->offset,
                          .length = info->length_bytes,
                          .reserved = info->reserved_bytes};
  region->name = fuzz_memory(NULL, info->name_bytes);
  memcpy(region->name, info->name, info->name_bytes);
}

static bool list_regions(seqdb *db, fuzz_state *state) {
  seqdb_snapshot *snapshot;
  seqdb_region_info info, again;
  seqdb_region found;
  uint64_t at = 0, regions = 0;
  bool ok = true;
  int rc = seqdb_snapshot_open(db, &snapshot);
  if (rc != SEQDB_OK) return fuzz_wrong("no snapshot: %s", seqdb_errmsg(db));
  state->generation = seqdb_snapshot_generation(snapshot);
  for (; ok && (rc = seqdb_iterate(seqdb_snapshot_view(snapshot), at, &info)) == SEQDB_OK;
       at = (uint64_t)info.index + 1) {
    if (info.index < at) ok = fuzz_wrong("iterate went back from %llu to %u", (unsigned long long)at, info.index);
    add_region(state, &info);
    read_region(snapshot, &info, &state->region[state->count - 1]);
    rc = seqdb_get_info(seqdb_snapshot_view(snapshot), info.region, &again);
    if (rc != SEQDB_OK || again.index != info.index || again.offset != info.offset)
      ok = fuzz_wrong("entry %u is listed and then not found by number", info.index);
    rc = seqdb_find(seqdb_snapshot_view(snapshot), info.name, info.name_bytes, &found);
    if (rc != SEQDB_OK || (found != info.region && state->problems == 0))
      ok = fuzz_wrong("entry %u is listed and then not found by name", info.index);
  }
  if (ok && rc != SEQDB_DONE) ok = fuzz_wrong("iterate: %s", seqdb_errmsg(db));
  seqdb_view_totals(seqdb_snapshot_view(snapshot), &regions, NULL);
  if (ok && regions != state->count) ok = fuzz_wrong("totals do not count the regions");
  seqdb_snapshot_close(snapshot);
  return ok && !fuzz_problem()[0];
}

/* ---- what holds for all of them */

static bool check_sound(const fuzz_state *state) {
  for (size_t i = 0; i < state->count; i++) {
    const fuzz_region *a = &state->region[i];
    if (a->read_rc != SEQDB_OK) return fuzz_wrong("entry %u cannot be read: %d, check says ok", a->index, a->read_rc);
    if (a->start % SDB_PAGE || a->reserved % SDB_PAGE || a->length > a->reserved || a->reserved < SDB_PAGE)
      return fuzz_wrong("entry %u has an odd extent, check says ok", a->index);
    for (size_t k = i + 1; k < state->count; k++) {
      const fuzz_region *b = &state->region[k];
      if (a->start < b->start + b->reserved && b->start < a->start + a->reserved)
        return fuzz_wrong("entries %u and %u overlap, check says ok", a->index, b->index);
      if (a->name_bytes == b->name_bytes && memcmp(a->name, b->name, a->name_bytes) == 0)
        return fuzz_wrong("entries %u and %u have one name, check says ok", a->index, b->index);
    }
  }
  return true;
}

static bool check_layout(seqdb *db, uint64_t problems) {
  seqdb_layout_row *rows = NULL;
  seqdb_stat_info stat = SEQDB_STAT_INIT;
  size_t count = 0, regions = 0;
  uint64_t at = 0;
  bool ok = true;
  if (seqdb_stat(db, &stat) != SEQDB_OK) return fuzz_wrong("stat: %s", seqdb_errmsg(db));
  if (seqdb_layout(db, &rows, &count) != SEQDB_OK) return fuzz_wrong("layout: %s", seqdb_errmsg(db));
  for (size_t i = 0; i < count && ok; at += rows[i].bytes, i++) {
    if (rows[i].offset != at || rows[i].bytes == 0)
      ok = fuzz_wrong("layout: row %zu does not follow the one before", i);
    regions += rows[i].kind == SEQDB_EXTENT_REGION;
  }
  if (ok && problems == 0 && regions != stat.regions)
    ok = fuzz_wrong("layout has %zu regions of %llu", regions, (unsigned long long)stat.regions);
  if (ok && at < sdb_page_down(stat.file_bytes))
    ok = fuzz_wrong("layout ends at byte %llu, the file at %llu", (unsigned long long)at,
                    (unsigned long long)stat.file_bytes);
  seqdb_free(rows);
  return ok;
}

static int note_problem(void *context, const char *text) {
  fuzz_state *state = context;
  state->problems_digest = sdb_hash_bytes(text, strlen(text), state->problems_digest);
  if (strstr(text, "bytes after the name are not zero")) state->harmless++;
  if (strncmp(text, "catalog: ", 9) == 0) state->of_copy++;
  if (strchr(text, '\n')) fuzz_wrong("a problem of two lines: %s", text);
  return 0;
}

bool fuzz_look_at(seqdb *db, fuzz_state *state) {
  seqdb_error why = SEQDB_ERROR_INIT;
  memset(state, 0, sizeof *state);
  int rc = seqdb_check(db, note_problem, state, &state->problems);
  if (rc != SEQDB_OK) return fuzz_wrong("check: %s", seqdb_errmsg(db));
  state->readonly = seqdb_is_readonly(db, &why) != 0;
  state->problems -= state->of_copy; /* means nothing */
  /* In front of a trailer they mean nothing, so the database can be written; elsewhere it would be read-only. */
  if (!state->readonly) state->problems -= state->harmless;
  if (state->problems && !state->readonly) return fuzz_wrong("damaged and not read-only");
  return list_regions(db, state) && (state->problems > 0 || check_sound(state)) && check_layout(db, state->problems);
}

bool fuzz_look(unsigned flags, fuzz_state *state) {
  seqdb_options options = {.size_bytes = sizeof options, .flags = flags};
  seqdb_error error = SEQDB_ERROR_INIT;
  seqdb *db = NULL;
  memset(state, 0, sizeof *state);
  int rc = seqdb_open(FUZZ_DIR, &options, &error, &db);
  if (rc != SEQDB_OK) {
    state->rc = rc;
    return error.code == rc && error.message[0] ? true : fuzz_wrong("open fails with %d and says nothing", rc);
  }
  bool ok = fuzz_look_at(db, state);
  seqdb_close(db);
  return ok;
}
