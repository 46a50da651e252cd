/* SPDX-License-Identifier: MIT
**
** salvage.c: a new database out of whatever can be read of a damaged one: seqdb_salvage().
**
**     from/regions --> entries, sound and doubtful --.
**     from/journal --> redo ------------------------>+--> one region after the other --> seqdb_append() on `to`
**     from/data    --> runs of bytes, holes left out '
**
** The new database is written by the functions of seqdb.h alone, in transactions of some regions each: it is whole and
** checked like any other.  The old one is locked as a handle locks it.  If this process has it open, and damaged, then
** nobody writes it, and a handle of our own keeps it so.
** THREADS: any; the work is one thread's.
*/
#include <errno.h>
#include <stdio.h>
#include "base/sized.h"
#include "files/create.h"
#include "store/salvage_read.h"
#include "txn/handle.h"

#define PIECE_BYTES   ((size_t)1 << 20)
#define FLUSH_BYTES   ((uint64_t)64 << 20) /* of contents in one transaction, or more if a region has more */
#define FLUSH_REGIONS 1000u

struct salvage {
  const char *from, *to;
  sdb_salvage_source source;
  sdb_salvage_report report;
  seqdb_salvage_info info;
  seqdb *target;
  uint8_t *piece;
  uint64_t unflushed_bytes;
  unsigned unflushed;
  const sdb_op *op;
};

/* ---- the target */

/* The record is that of the call on the target, which names it. */
static int from_target(const struct salvage *s, int rc) {
  if (rc == SEQDB_OK) return rc;
  s->op->error->size_bytes = sizeof *s->op->error;
  (void)seqdb_get_error(s->target, s->op->error);
  return rc;
}

/* Missing or empty. */
static int check_target(const struct salvage *s) {
  char name[SDB_FILE_NAME_MAX] = "", quoted[SDB_QUOTED_MAX];
  sdb_fd dir = -1;
  int rc, os = sdb_os_open_dir(s->to, &dir);
  if (os == ENOENT) return SEQDB_OK;
  if (os == ENOTDIR) return sdb_error_set(s->op, SEQDB_CANTOPEN, NULL, 0, "salvage: %s is not a directory", s->to);
  if (os) return sdb_error_os(s->op, os, NULL, 0, "salvage: %s: cannot open the directory", s->to);
  rc = sdb_find_file(dir, s->to, false, name, s->op);
  sdb_os_close(dir);
  if (rc != SEQDB_OK || !name[0]) return rc;
  return sdb_error_set(s->op, SEQDB_CANTOPEN, NULL, 0, "salvage: %s is not empty: it holds %s", s->to,
                       sdb_quote_name(name, strlen(name), quoted));
}

/* As private as what it is made of. */
static void take_access(const sdb_salvage_source *source, seqdb_options *options) {
  const sdb_fd files[] = {source->data, source->regions, source->journal};
  for (size_t i = 0; i < sizeof files / sizeof *files && !options->mode; i++) {
    sdb_os_info info;
    if (files[i] < 0 || sdb_os_info_of(files[i], &info) != 0) continue;
    options->mode = info.access.mode;
    options->uid = info.access.uid;
    options->gid = info.access.gid;
  }
}

static int open_target(struct salvage *s) {
  seqdb_options options = SEQDB_OPTIONS_INIT;
  options.flags = SEQDB_OPEN_CREATE;
  take_access(&s->source, &options);
  s->op->error->size_bytes = sizeof *s->op->error;
  return seqdb_open(s->to, &options, s->op->error, &s->target);
}

static int flush(struct salvage *s) {
  s->unflushed = 0;
  s->unflushed_bytes = 0;
  return from_target(s, seqdb_flush(s->target, NULL));
}

/* ---- one region */

/* Create it under its name; if it has none, or another region has it, as `damaged-<index>`. */
static int make_region(struct salvage *s, uint32_t index, const char *name, size_t name_bytes, seqdb_region *region) {
  char made[64];
  int created = 0, rc = SEQDB_OK;
  if (name) {
    rc = seqdb_find_or_create(s->target, name, name_bytes, region, &created);
    if (rc != SEQDB_OK || created) return from_target(s, rc);
  }
  for (unsigned again = 0; rc == SEQDB_OK && !created; again++) {
    int bytes = again ? snprintf(made, sizeof made, "damaged-%u.%u", index, again)
                      : snprintf(made, sizeof made, "damaged-%u", index);
    rc = seqdb_find_or_create(s->target, made, (size_t)bytes, region, &created);
  }
  if (rc != SEQDB_OK) return from_target(s, rc);
  if (name)
    sdb_salvage_say(&s->report, "regions: entry %u has the name of another one: saved as '%s'", index, made);
  else
    sdb_salvage_say(&s->report, "regions: entry %u is saved as '%s': its bytes may be others", index, made);
  return SEQDB_OK;
}

/* Room for all of it at once, which takes no space yet.  *fits: a length that no file can have is damage, too. */
static int make_room(struct salvage *s, seqdb_region region, uint64_t length, bool *fits) {
  int rc = length ? seqdb_reserve(s->target, region, length, NULL) : SEQDB_OK;
  *fits = rc != SEQDB_FULL && rc != SEQDB_RANGE;
  return *fits ? from_target(s, rc) : from_target(s, seqdb_remove(s->target, region));
}

/* [start, start + length) of the source becomes the region's content.  Runs of zeros that are holes stay holes. */
static int copy_content(struct salvage *s, seqdb_region region, uint64_t start, uint64_t length, uint64_t *bad_bytes) {
  uint64_t at = 0, run, run_bytes;
  int rc = SEQDB_OK;
  while (rc == SEQDB_OK && at < length) {
    sdb_salvage_next(&s->source, start + at, length - at, &run, &run_bytes);
    uint64_t next = run_bytes ? run - start : length;
    if (next > at) rc = from_target(s, seqdb_set_length(s->target, region, next));
    at = next;
    size_t part = (size_t)SDB_MIN(run_bytes, PIECE_BYTES);
    if (rc != SEQDB_OK || part == 0) continue;
    sdb_salvage_copy(&s->source, start + at, s->piece, part, bad_bytes);
    rc = from_target(s, seqdb_append(s->target, region, s->piece, part, NULL));
    at += part;
    if (rc == SEQDB_OK) rc = sdb_salvage_ask(&s->report, s->op);
  }
  return rc;
}

/* What of an entry is in the source. */
struct entry {
  uint32_t index;
  const char *name; /* NULL: it is doubtful */
  size_t name_bytes;
  uint64_t start, length;
};

/* What is told of an entry after it was saved, and counted. */
static int count_saved(struct salvage *s, const struct entry *entry, uint64_t length, uint64_t missing_bytes,
                       uint64_t bad_bytes) {
  char shown[SDB_QUOTED_MAX + 16], quoted[SDB_QUOTED_MAX];
  if (entry->name)
    snprintf(shown, sizeof shown, "region %s", sdb_quote_name(entry->name, entry->name_bytes, quoted));
  else
    snprintf(shown, sizeof shown, "entry %u", entry->index);
  if (missing_bytes)
    sdb_salvage_say(&s->report, "data: %s: %llu of its %llu bytes are missing: the file ends before them", shown,
                    (unsigned long long)missing_bytes, (unsigned long long)entry->length);
  if (bad_bytes)
    sdb_salvage_say(&s->report, "data: %s: %llu bytes cannot be read: zeros stand there", shown,
                    (unsigned long long)bad_bytes);
  s->info.saved++;
  s->info.partly += missing_bytes > 0 || bad_bytes > 0;
  s->info.bytes += length;
  s->unflushed_bytes += length;
  return ++s->unflushed >= FLUSH_REGIONS || s->unflushed_bytes >= FLUSH_BYTES ? flush(s) : SEQDB_OK;
}

static int save(struct salvage *s, const struct entry *entry) {
  seqdb_region region;
  bool fits = true;
  uint64_t bad_bytes = 0, missing_bytes;
  uint64_t end = sdb_salvage_end(&s->source, entry->start, entry->start + entry->length, &missing_bytes);
  uint64_t length = end - entry->start;
  int rc = make_region(s, entry->index, entry->name, entry->name_bytes, &region);
  if (rc == SEQDB_OK) rc = make_room(s, region, length, &fits);
  if (rc == SEQDB_OK && fits) rc = copy_content(s, region, entry->start, length, &bad_bytes);
  if (rc != SEQDB_OK) return rc;
  if (fits) return count_saved(s, entry, length, missing_bytes, bad_bytes);
  sdb_salvage_say(&s->report, "regions: entry %u is lost: no file has room for its %llu bytes", entry->index,
                  (unsigned long long)length);
  s->info.lost++;
  return SEQDB_OK;
}

/* ---- all of them */

static int save_sound(struct salvage *s) {
  int rc = SEQDB_OK;
  uint32_t index;
  uint64_t from = 0;
  for (const sdb_entry *at; rc == SEQDB_OK && (at = sdb_tree_next(&s->source.tree, from, &index));
       from = (uint64_t)index + 1) {
    const struct entry entry = {index, sdb_name_text(at->name), sdb_name_bytes(at->name), at->start, at->length};
    rc = save(s, &entry);
    if (rc == SEQDB_OK) rc = sdb_salvage_ask(&s->report, s->op);
  }
  return rc;
}

static int save_doubtful(struct salvage *s) {
  int rc = SEQDB_OK;
  for (size_t i = 0; rc == SEQDB_OK && i < s->source.doubtful_count; i++) {
    const sdb_doubtful *at = &s->source.doubtful[i];
    const struct entry entry = {at->index, NULL, 0, at->start, at->length};
    if (sdb_range_contains(&s->source.named, at->index, 1)) continue; /* the journal says what it should be */
    uint64_t missing_bytes;
    if (at->usable && sdb_salvage_end(&s->source, at->start, at->start + at->length, &missing_bytes) > at->start) {
      rc = save(s, &entry);
    } else {
      sdb_salvage_say(&s->report, "regions: entry %u is lost: nothing says where its bytes are", at->index);
      s->info.lost++;
    }
  }
  s->info.lost += s->source.unreadable;
  return rc;
}

/* Entries that were there and left nothing behind. */
static void count_missing(struct salvage *s) {
  uint64_t found = s->info.saved + s->info.lost, expected = s->source.expected;
  if (found >= expected) return;
  sdb_salvage_say(&s->report, "regions: %llu of %llu entries are missing: the file was cut or replaced",
                  (unsigned long long)(expected - found), (unsigned long long)expected);
  s->info.lost += expected - found;
}

static int copy_all(struct salvage *s) {
  int rc = open_target(s);
  if (rc != SEQDB_OK) return rc;
  s->piece = sdb_malloc(PIECE_BYTES);
  rc = s->piece ? save_sound(s) : sdb_error_nomem(s->op);
  if (rc == SEQDB_OK) rc = save_doubtful(s);
  if (rc == SEQDB_OK) count_missing(s);
  if (rc == SEQDB_OK) rc = flush(s);
  sdb_free(s->piece);
  seqdb_close(s->target);
  return rc;
}

/* ---- the source */

/* Nobody else may write it meanwhile.  *hold: a handle to be closed afterwards, if this process has it open. */
static int lock_source(const struct salvage *s, sdb_fd dir, seqdb **hold) {
  seqdb_options options = SEQDB_OPTIONS_INIT;
  int os = sdb_os_lock(dir, true);
  if (!os) return SEQDB_OK;
  if (os != EWOULDBLOCK) return sdb_error_os(s->op, os, NULL, 0, "%s: cannot lock", s->from);
  options.flags = SEQDB_OPEN_READONLY;
  s->op->error->size_bytes = sizeof *s->op->error;
  int rc = seqdb_open(s->from, &options, s->op->error, hold);
  if (rc != SEQDB_OK || (*hold)->store->damage.count) return rc;
  seqdb_close(*hold);
  *hold = NULL;
  return sdb_error_set(s->op, SEQDB_LOCKED, NULL, 0,
                       "database is locked: %s is open and not damaged; to salvage it, close all connections to it",
                       s->from);
}

/* `to` would be a directory within the one that is not to be changed. */
static int check_nesting(const struct salvage *s, const sdb_os_info *from) {
  size_t bytes = strlen(s->to);
  while (bytes > 1 && s->to[bytes - 1] == '/')
    bytes--;
  while (bytes > 0 && s->to[bytes - 1] != '/')
    bytes--;
  sdb_os_info info = {0};
  sdb_fd dir = -1;
  char *parent = sdb_malloc(bytes + 2);
  if (!parent) return sdb_error_nomem(s->op);
  memcpy(parent, s->to, bytes);
  memcpy(parent + bytes, ".", 2);
  int os = sdb_os_open_dir(parent, &dir);
  sdb_free(parent);
  if (!os) {
    os = sdb_os_dir_info(dir, &info);
    sdb_os_close(dir);
  }
  if (os || info.device != from->device || info.inode != from->inode) return SEQDB_OK; /* creating it will say why */
  return sdb_error_set(s->op, SEQDB_CANTOPEN, NULL, 0, "salvage: %s lies in %s, which is not to be changed", s->to,
                       s->from);
}

static int salvage(struct salvage *s) {
  sdb_fd dir = -1;
  sdb_os_info info;
  seqdb *hold = NULL;
  int os = sdb_os_open_dir(s->from, &dir);
  if (os == ENOENT || os == ENOTDIR)
    return sdb_error_set(s->op, SEQDB_CANTOPEN, NULL, 0, "%s: there is no such directory", s->from);
  if (os) return sdb_error_os(s->op, os, NULL, 0, "%s: cannot open the directory", s->from);
  os = sdb_os_dir_info(dir, &info);
  int rc = os ? sdb_error_os(s->op, os, NULL, 0, "%s: cannot look at the directory", s->from) : check_nesting(s, &info);
  if (rc == SEQDB_OK) rc = check_target(s);
  if (rc == SEQDB_OK) rc = lock_source(s, dir, &hold);
  if (rc == SEQDB_OK) {
    rc = sdb_salvage_read(&s->source, dir, s->from, &s->report, s->op);
    if (rc == SEQDB_OK) rc = copy_all(s);
    sdb_salvage_close(&s->source);
  }
  seqdb_close(hold);
  sdb_os_close(dir);
  if (rc == SEQDB_OK) sdb_salvage_say_the_rest(&s->report);
  return rc;
}

int seqdb_salvage(const char *from, const char *to, int (*report)(void *context, const char *line), void *context,
                  seqdb_salvage_info *info, seqdb_error *error) {
  seqdb_error record = {0};
  sdb_op op = {"salvage", &record};
  struct salvage s = {.from = from, .to = to, .report = {.call = report, .context = context}, .op = &op};
  int rc = SEQDB_OK;
  if (error && !sdb_sized_is(error->size_bytes, SDB_ERROR_FIRST_BYTES)) return SEQDB_INVALID;
  if (info && !sdb_sized_is(info->size_bytes, SDB_SALVAGE_FIRST_BYTES))
    rc = sdb_error_set(&op, SEQDB_INVALID, NULL, 0,
                       "salvage: size_bytes of seqdb_salvage_info is %u: begin with SEQDB_SALVAGE_INIT",
                       info->size_bytes);
  if (rc == SEQDB_OK) rc = salvage(&s);
  if (rc == SEQDB_OK && info) sdb_sized_copy_out(info, &s.info, sizeof s.info);
  if (rc != SEQDB_OK && error) sdb_sized_copy_out(error, &record, sizeof record);
  return rc;
}
