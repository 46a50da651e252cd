/* SPDX-License-Identifier: MIT
**
** feed_apply_regions.c: see feed_apply_regions.h.
**
** Entries are those of the upstream, so that rowids are.  A region that is made takes the place of whatever is at its
** entry.  One whose name another region has makes that one step aside: it gets another name until its own comes (names
** that were exchanged), or goes.  What is still aside at the end was made by the follower itself.
*/
#include "feed_apply_regions.h"
#include <string.h>

#define ASIDE       "seqdb-aside-"
#define ASIDE_BYTES (sizeof ASIDE - 1)

static int engine_failed(sdb_apply_regions *r, int rc, sdb_failure *f) {
  return sdb_failure_engine(f, r->directory->engine, rc);
}

static bool is_aside(const seqdb_region_info *info) {
  return info->name_bytes > ASIDE_BYTES && memcmp(info->name, ASIDE, ASIDE_BYTES) == 0;
}

/* What is at that entry, as the transaction sees it. */
static int look(sdb_apply_regions *r, uint32_t entry, seqdb_region_info *info, bool *found, sdb_failure *f) {
  int rc = seqdb_iterate(seqdb_own_view(r->directory->engine), entry, info);
  *found = rc == SEQDB_OK && info->index == entry;
  return rc == SEQDB_DONE ? SQLITE_OK : engine_failed(r, rc, f);
}

/* The region that has to be there. */
static int find(sdb_apply_regions *r, uint32_t entry, sdb_failure *f) {
  seqdb_region_info info;
  bool found = false;
  if (r->region && r->entry == entry) return SQLITE_OK;
  if (look(r, entry, &info, &found, f) != SQLITE_OK) return f->code;
  if (!found)
    return sdb_failure_set(f, SQLITE_ERROR,
                           "%s: there is no region at entry %u (rowid %llu), as there was upstream: this follower was "
                           "changed by others: apply a new base",
                           r->directory->name, entry, (unsigned long long)entry + 1);
  r->region = info.region;
  r->entry = entry;
  return SQLITE_OK;
}

static int forget(sdb_apply_regions *r, const seqdb_region_info *info, sdb_failure *f) {
  if (is_aside(info) && r->state->aside > 0) r->state->aside--;
  if (r->entry == info->index) r->region = 0;
  return engine_failed(r, seqdb_remove(r->directory->engine, info->region), f);
}

static int remove_entry(sdb_apply_regions *r, uint32_t entry, sdb_failure *f) {
  seqdb_region_info info;
  bool found = false;
  if (look(r, entry, &info, &found, f) != SQLITE_OK || !found) return f->code;
  return forget(r, &info, f);
}

/* Another region than the one at `entry` that has the name steps aside. */
static int make_room(sdb_apply_regions *r, uint32_t entry, const void *name, size_t bytes, sdb_failure *f) {
  seqdb *engine = r->directory->engine;
  seqdb_region other;
  char aside[64];
  int rc = seqdb_find(seqdb_own_view(engine), name, bytes, &other);
  if (rc == SEQDB_NOTFOUND) return SQLITE_OK;
  if (rc != SEQDB_OK) return engine_failed(r, rc, f);
  if (seqdb_region_index(other) == entry) return SQLITE_OK;
  for (unsigned number = 0;; number++) {
    sqlite3_snprintf((int)sizeof aside, aside, ASIDE "%u-%u", seqdb_region_index(other), number);
    if (strlen(aside) == bytes && memcmp(aside, name, bytes) == 0) continue; /* the very name that is wanted */
    rc = seqdb_rename(engine, other, aside, strlen(aside));
    if (rc != SEQDB_EXISTS) break;
  }
  if (rc == SEQDB_OK) r->state->aside++;
  return engine_failed(r, rc, f);
}

static int create(sdb_apply_regions *r, const sdb_region_change *change, sdb_failure *f) {
  if (remove_entry(r, change->entry, f) != SQLITE_OK) return f->code;
  if (make_room(r, change->entry, change->data, (size_t)change->bytes, f) != SQLITE_OK) return f->code;
  r->entry = change->entry;
  r->region = 0;
  return engine_failed(
      r, seqdb_create_at(r->directory->engine, change->entry, change->data, (size_t)change->bytes, &r->region), f);
}

static int rename_entry(sdb_apply_regions *r, const sdb_region_change *change, sdb_failure *f) {
  seqdb_region_info info;
  bool found = false;
  if (find(r, change->entry, f) != SQLITE_OK || look(r, change->entry, &info, &found, f) != SQLITE_OK) return f->code;
  bool was_aside = is_aside(&info);
  if (make_room(r, change->entry, change->data, (size_t)change->bytes, f) != SQLITE_OK) return f->code;
  int rc = seqdb_rename(r->directory->engine, r->region, change->data, (size_t)change->bytes);
  if (rc == SEQDB_OK && was_aside && r->state->aside > 0) r->state->aside--;
  return engine_failed(r, rc, f);
}

static int apply_change(sdb_apply_regions *r, const sdb_region_change *change, sdb_failure *f) {
  seqdb *engine = r->directory->engine;
  if (change->op == SEQDB_CHANGE_REMOVE) return remove_entry(r, change->entry, f);
  if (change->op == SEQDB_CHANGE_CREATE) return create(r, change, f);
  if (change->op == SEQDB_CHANGE_RENAME) return rename_entry(r, change, f);
  if (find(r, change->entry, f) != SQLITE_OK) return f->code;
  if (change->op == SEQDB_CHANGE_LENGTH)
    return engine_failed(r, seqdb_set_length(engine, r->region, change->offset), f);
  return engine_failed(r, seqdb_write(engine, r->region, change->offset, change->data, (size_t)change->bytes), f);
}

int sdb_apply_region_section(sdb_apply_regions *r, sdb_section *section, sdb_failure *f) {
  sdb_region_change change;
  for (uint64_t i = 0; i < section->items && f->code == SQLITE_OK; i++)
    if (sdb_section_change(section, &change, f) == SQLITE_OK) apply_change(r, &change, f);
  return f->code;
}

int sdb_apply_regions_done(sdb_apply_regions *r, sdb_failure *f) {
  seqdb_view *view = seqdb_own_view(r->directory->engine);
  seqdb_region_info info = {0};
  int rc = SEQDB_OK;
  if (r->state->aside == 0) return SQLITE_OK;
  for (uint64_t at = 0; (rc = seqdb_iterate(view, at, &info)) == SEQDB_OK && !is_aside(&info);)
    at = (uint64_t)info.index + 1;
  if (rc != SEQDB_OK && rc != SEQDB_DONE) return engine_failed(r, rc, f);
  return sdb_failure_set(f, SQLITE_CONSTRAINT_UNIQUE,
                         "%s: the region at entry %u (rowid %llu) has a name that a region upstream has now, and it is "
                         "none of those: this follower was changed by others: remove it, or apply a new base",
                         r->directory->name, info.index, (unsigned long long)info.index + 1);
}
