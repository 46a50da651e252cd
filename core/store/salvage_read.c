/* SPDX-License-Identifier: MIT
**
** salvage_read.c: see salvage_read.h.
**
** It does what recovery does (FORMAT.md 5), with other answers.  Recovery asks whether all is well, and stops where it
** is not.  This asks what is there: a page that fails its checks is kept as doubtful, the journal is redone up to the
** first record that is not whole, and a missing header is made up for by the first record, which knows its own salt.
** The records from byte 8192 on are always the newest ones: a header that is written later has no records, or its own
** are there.
*/
#include "store/salvage_read.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include "files/damage.h"
#include "pure/branches.h"
#include "files/journal.h"
#include "pure/entry_rules.h"

#define BATCH_PAGES  64u
#define SEARCH_BYTES (UINT64_C(1024) * 1024)

/* ---- telling */

static void tell(sdb_salvage_report *report, const char *line) {
  if (!report->stopped && report->call && report->call(report->context, line)) report->stopped = true;
}

void sdb_salvage_say(sdb_salvage_report *report, const char *format, ...) {
  char line[512];
  va_list args;
  if (++report->count > SDB_DAMAGE_KEPT) return;
  va_start(args, format);
  vsnprintf(line, sizeof line, format, args);
  va_end(args);
  tell(report, line);
}

void sdb_salvage_say_the_rest(sdb_salvage_report *report) {
  char line[64];
  if (report->count <= SDB_DAMAGE_KEPT) return;
  snprintf(line, sizeof line, "... and %llu more", (unsigned long long)(report->count - SDB_DAMAGE_KEPT));
  tell(report, line);
}

int sdb_salvage_ask(sdb_salvage_report *report, const sdb_op *op) {
  tell(report, NULL);
  if (!report->stopped) return SEQDB_OK;
  return sdb_error_set(op, SEQDB_INTERRUPTED, NULL, 0, "%s: interrupted", op->operation);
}

/* A reading under way. */
struct reading {
  sdb_salvage_source *source;
  sdb_salvage_report *report;
  const sdb_op *op;
  const char *path;
};

/* ---- files */

static int open_file(const struct reading *r, sdb_fd dir, const char *name, sdb_fd *fd) {
  int os = sdb_os_open(dir, name, 0, fd);
  if (!os) return SEQDB_OK;
  *fd = -1;
  if (os == ENOENT && strcmp(name, "journal") == 0) return SEQDB_OK; /* rawdb has none */
  if (os == ENOENT)
    sdb_salvage_say(r->report, "%s: the file is missing", name);
  else if (os == ELOOP || os == EINVAL)
    sdb_salvage_say(r->report, "%s: a symbolic link or no regular file", name);
  else
    return sdb_error_os(r->op, os, name, 0, "%s/%s: cannot open", r->path, name);
  return SEQDB_OK;
}

/* rawdb locks these exclusively. */
static int lock_file(const struct reading *r, sdb_fd fd) {
  int os = fd >= 0 ? sdb_os_lock(fd, false) : 0;
  if (!os) return SEQDB_OK;
  if (os == EWOULDBLOCK)
    return sdb_error_set(r->op, SEQDB_LOCKED, NULL, 0, "database is locked: %s is open in rawdb", r->path);
  return sdb_error_os(r->op, os, NULL, 0, "%s: cannot lock", r->path);
}

static int size_of(const struct reading *r, sdb_fd fd, const char *name, uint64_t *bytes) {
  sdb_os_info info;
  *bytes = 0;
  int os = fd >= 0 ? sdb_os_info_of(fd, &info) : 0;
  if (os) return sdb_error_os(r->op, os, name, 0, "%s: cannot read its size", name);
  if (fd >= 0) *bytes = info.size_bytes;
  return SEQDB_OK;
}

static int open_files(const struct reading *r, sdb_fd dir) {
  sdb_salvage_source *s = r->source;
  int rc = open_file(r, dir, "data", &s->data);
  if (rc == SEQDB_OK) rc = open_file(r, dir, "regions", &s->regions);
  if (rc == SEQDB_OK) rc = open_file(r, dir, "journal", &s->journal);
  if (rc == SEQDB_OK) rc = lock_file(r, s->data);
  if (rc == SEQDB_OK) rc = lock_file(r, s->regions);
  if (rc == SEQDB_OK && s->regions < 0 && s->journal < 0)
    rc = sdb_error_set(r->op, SEQDB_CANTOPEN, NULL, 0, "%s: neither regions nor journal is there: nothing to salvage",
                       r->path);
  return rc == SEQDB_OK ? size_of(r, s->data, "data", &s->data_bytes) : rc;
}

/* ---- entries */

static int add_doubtful(const struct reading *r, const sdb_doubtful *entry) {
  sdb_salvage_source *s = r->source;
  if (s->doubtful_count == s->doubtful_capacity) {
    size_t capacity = s->doubtful_capacity ? 2 * s->doubtful_capacity : 16;
    sdb_doubtful *grown = sdb_realloc(s->doubtful, capacity * sizeof *grown);
    if (!grown) return sdb_error_nomem(r->op);
    s->doubtful = grown;
    s->doubtful_capacity = capacity;
  }
  s->doubtful[s->doubtful_count++] = *entry;
  return SEQDB_OK;
}

/* `whole`: all of the page is there. */
static int read_page(const struct reading *r, const uint8_t *page, uint32_t index, bool whole) {
  sdb_salvage_source *s = r->source;
  sdb_entry_image image;
  uint32_t at = 0;
  const char *why = "the file ends in it";
  enum sdb_entry_state state = sdb_entry_decode_used(page, index, &image, &at, &why);
  if (state == SDB_ENTRY_FREE) return SEQDB_OK;
  s->had_journal |= image.has_trailer || state == SDB_ENTRY_DAMAGED;
  if (state == SDB_ENTRY_USED && whole)
    return sdb_tree_put_image(&s->tree, s->names, 0, index, &image) == SEQDB_OK ? SEQDB_OK : sdb_error_nomem(r->op);
  const sdb_doubtful entry = {.index = index,
                              .usable = sdb_extent_is_good(image.start, image.length, image.reserved),
                              .start = image.start,
                              .length = image.length};
  sdb_salvage_say(r->report, "regions: entry %u is damaged at byte %llu: %s", index,
                  (unsigned long long)index * SDB_ENTRY_BYTES + at, why);
  return add_doubtful(r, &entry);
}

/* Some pages from `page` on.  Where the disk gives less than all of them they are read one by one. */
static int read_batch(const struct reading *r, uint64_t page, size_t pages, uint8_t *batch) {
  size_t got = 0, wanted = pages * SDB_ENTRY_BYTES;
  int rc = SEQDB_OK, os = sdb_os_pread(r->source->regions, batch, wanted, page * SDB_ENTRY_BYTES, &got);
  bool all = !os && got == wanted;
  for (size_t i = 0; i < pages && rc == SEQDB_OK; i++) {
    uint8_t *one = batch + i * SDB_ENTRY_BYTES;
    uint32_t index = (uint32_t)(page + i);
    if (!all) os = sdb_os_pread(r->source->regions, one, SDB_ENTRY_BYTES, (page + i) * SDB_ENTRY_BYTES, &got);
    if (all || (!os && got == SDB_ENTRY_BYTES)) {
      rc = read_page(r, one, index, true);
    } else {
      sdb_salvage_say(r->report, "regions: entry %u cannot be read", index);
      r->source->unreadable++;
    }
  }
  return rc;
}

/* A piece of an entry at the file's end; a single byte is the guard. */
static int read_rest(const struct reading *r, uint64_t page, size_t bytes, uint8_t *batch) {
  size_t got = 0;
  if (bytes <= 1) return SEQDB_OK;
  memset(batch, 0, SDB_ENTRY_BYTES);
  int os = sdb_os_pread(r->source->regions, batch, bytes, page * SDB_ENTRY_BYTES, &got);
  return os ? SEQDB_OK : read_page(r, batch, (uint32_t)page, false);
}

static int read_regions(const struct reading *r) {
  uint64_t size, data = 0, end;
  int rc = size_of(r, r->source->regions, "regions", &size);
  uint64_t pages = SDB_MIN(size / SDB_ENTRY_BYTES, (uint64_t)SDB_INDEX_MAX - 1);
  if (rc != SEQDB_OK || size == 0) return rc;
  r->source->had_journal |= size % SDB_ENTRY_BYTES == 1; /* the guard */
  uint8_t *batch = sdb_malloc((size_t)BATCH_PAGES * SDB_ENTRY_BYTES);
  if (!batch) return sdb_error_nomem(r->op);
  for (uint64_t page = 0; page < pages && rc == SEQDB_OK; page += BATCH_PAGES) {
    if (sdb_os_next_data(r->source->regions, page * SDB_ENTRY_BYTES, pages * SDB_ENTRY_BYTES, &data, &end) == 0)
      page = data / SDB_ENTRY_BYTES; /* entries in holes are free */
    if (page >= pages) break;
    rc = read_batch(r, page, (size_t)SDB_MIN(BATCH_PAGES, pages - page), batch);
    if (rc == SEQDB_OK) rc = sdb_salvage_ask(r->report, r->op);
  }
  if (rc == SEQDB_OK) rc = read_rest(r, pages, (size_t)SDB_MIN(size - pages * SDB_ENTRY_BYTES, SDB_ENTRY_BYTES), batch);
  sdb_free(batch);
  return rc;
}

/* ---- the journal */

/* A chain of records. */
struct chain {
  uint64_t salt;
  bool known;             /* the header is there: it says where the chain begins */
  uint64_t at, size;      /* the next record, and the file's end */
  uint64_t previous;      /* checksum of the record before, or the salt */
  sdb_record_header last; /* bytes = 0: there is none */
  uint8_t *held;          /* a prepare that the next record decides about */
};

/* The record at chain->at; NULL: there is no whole one that follows. */
static int next_record(const struct reading *r, const struct chain *c, sdb_record_header *header, uint8_t **record) {
  uint8_t head[SDB_RECORD_HEADER_BYTES];
  size_t got = 0;
  *record = NULL;
  if (c->at >= c->size || sdb_os_pread(r->source->journal, head, sizeof head, c->at, &got)) return SEQDB_OK;
  memset(head + got, 0, sizeof head - got);
  if (!sdb_record_peek(head, c->salt, c->at, c->size - c->at, header) || header->bytes > SIZE_MAX) return SEQDB_OK;
  uint8_t *whole = sdb_malloc((size_t)header->bytes);
  if (!whole) return sdb_error_nomem(r->op);
  int os = sdb_os_pread(r->source->journal, whole, (size_t)header->bytes, c->at, &got);
  if (!os && got == header->bytes && sdb_record_decode(whole, header->bytes, c->salt, c->at, header) &&
      header->previous == c->previous)
    *record = whole;
  else
    sdb_free(whole);
  return SEQDB_OK;
}

/* Is the page on disk of a later commit than the record?  (A checkpoint has written it, and the record of that commit
** is lost.) */
static bool is_newer(const sdb_salvage_source *s, uint32_t index, uint64_t generation) {
  const sdb_entry *entry = sdb_tree_get(&s->tree, index);
  return entry && entry->generation > generation;
}

static int redo_entries(sdb_salvage_source *s, const uint8_t *record, const sdb_record_header *header) {
  uint64_t cursor = 0;
  uint32_t index;
  sdb_record_put put;
  int rc = SEQDB_OK;
  while (rc == SEQDB_OK && sdb_record_next_delete(record, header, &cursor, &index)) {
    if (is_newer(s, index, header->generation)) continue;
    rc = sdb_range_add(&s->named, index, 1);
    if (rc == SEQDB_OK) rc = sdb_tree_remove(&s->tree, s->names, 0, index);
  }
  cursor = 0;
  while (rc == SEQDB_OK && sdb_record_next_put(record, header, &cursor, &put)) {
    const sdb_entry_image image = {.start = put.start,
                                   .length = put.length,
                                   .reserved = put.reserved,
                                   .generation = header->generation,
                                   .created = put.created,
                                   .has_trailer = true,
                                   .name_bytes = put.name_bytes,
                                   .name = put.name};
    if (is_newer(s, put.index, header->generation)) continue;
    rc = sdb_range_add(&s->named, put.index, 1);
    if (rc == SEQDB_OK) rc = sdb_tree_put_image(&s->tree, s->names, 0, put.index, &image);
  }
  return rc;
}

static int redo_record(const struct reading *r, const uint8_t *record, const sdb_record_header *header) {
  uint64_t cursor = 0;
  sdb_record_range range;
  int rc = redo_entries(r->source, record, header);
  r->source->expected = header->entries;
  while (rc == SEQDB_OK && sdb_record_next_range(record, header, &cursor, &range))
    rc = sdb_patch_write(&r->source->redo, range.offset, range.data, (size_t)range.bytes);
  return rc == SEQDB_OK ? rc : sdb_error_nomem(r->op);
}

/* Does the record say that the prepare before it counts?  Of an SQLite file's prepares: it builds on it. */
static bool keeps(const sdb_record_header *prepare, const sdb_record_header *next) {
  if (sdb_file_is_none(&prepare->file)) return next->flags & SDB_RECORD_KEEP;
  return sdb_token_is(&next->parent, &prepare->token);
}

/* A commit counts at once; a prepare when the next record keeps it. */
static int take_record(const struct reading *r, struct chain *c, uint8_t *record, const sdb_record_header *header) {
  int rc = SEQDB_OK;
  if (c->held && keeps(&c->last, header)) rc = redo_record(r, c->held, &c->last);
  sdb_free(c->held);
  c->held = NULL;
  if (header->kind == SDB_RECORD_PREPARE) {
    c->held = record;
  } else {
    if (rc == SEQDB_OK) rc = redo_record(r, record, header);
    sdb_free(record);
  }
  c->last = *header;
  c->previous = header->checksum;
  c->at = (c->at + header->bytes + SDB_RECORD_ALIGN - 1) / SDB_RECORD_ALIGN * SDB_RECORD_ALIGN;
  return rc;
}

/* What looks like a record of the chain behind its end: commits that are lost. */
static int look_behind(const struct reading *r, const struct chain *c) {
  uint64_t data = 0, end;
  int rc = SEQDB_OK;
  uint8_t *block = sdb_malloc(SEARCH_BYTES + SDB_RECORD_HEADER_BYTES);
  if (!block) return sdb_error_nomem(r->op);
  for (uint64_t at = c->at; at < c->size && rc == SEQDB_OK; at += SEARCH_BYTES) {
    size_t got = 0;
    if (sdb_os_next_data(r->source->journal, at, c->size, &data, &end) == 0)
      at = SDB_MAX(at, data / SDB_RECORD_ALIGN * SDB_RECORD_ALIGN);
    if (sdb_os_pread(r->source->journal, block, SEARCH_BYTES, at, &got)) got = 0;
    memset(block + got, 0, SDB_RECORD_HEADER_BYTES); /* of the last one the file may lack a part */
    for (size_t i = 0; i + SDB_RECORD_LEAST_BYTES <= got; i += SDB_RECORD_ALIGN) {
      sdb_record_header header;
      if (at + i == c->at || !sdb_record_peek(block + i, c->salt, at + i, c->size - at - i, &header)) continue;
      sdb_salvage_say(r->report,
                      "journal: the record at byte %llu is damaged: it and the commits after it are left out",
                      (unsigned long long)c->at);
      goto done;
    }
    rc = sdb_salvage_ask(r->report, r->op);
  }
done:
  sdb_free(block);
  return rc;
}

static int follow(const struct reading *r, struct chain *c) {
  int rc;
  for (;;) {
    sdb_record_header header;
    uint8_t *record;
    rc = next_record(r, c, &header, &record);
    if (rc == SEQDB_OK && record) rc = take_record(r, c, record, &header);
    if (rc == SEQDB_OK) rc = sdb_salvage_ask(r->report, r->op);
    if (rc != SEQDB_OK || !record) break;
  }
  /* As at recovery: the last prepare counts.  Behind a header that is gone nobody can tell: it had a coordinator. */
  if (rc == SEQDB_OK && c->held && (c->known || c->last.coordinator_bytes == 0)) rc = redo_record(r, c->held, &c->last);
  sdb_free(c->held);
  return rc == SEQDB_OK ? look_behind(r, c) : rc;
}

/* The first record of the file, whatever header it belongs to. */
static bool first_record(const struct reading *r, uint64_t size, sdb_record_header *first) {
  uint8_t head[SDB_RECORD_HEADER_BYTES];
  size_t got = 0;
  if (size <= SDB_JOURNAL_START) return false;
  if (sdb_os_pread(r->source->journal, head, sizeof head, SDB_JOURNAL_START, &got)) return false;
  memset(head + got, 0, sizeof head - got);
  return sdb_record_peek(head, 0, SDB_JOURNAL_START, size - SDB_JOURNAL_START, first);
}

static int read_journal(const struct reading *r) {
  sdb_journal journal = {.fd = r->source->journal};
  enum sdb_journal_state state;
  struct chain c = {.at = SDB_JOURNAL_START};
  sdb_record_header first;
  if (journal.fd < 0 && r->source->had_journal)
    sdb_salvage_say(r->report, "journal: the file is missing: the newest commits may have been in it");
  if (journal.fd < 0) return SEQDB_OK;
  int rc = size_of(r, journal.fd, "journal", &c.size);
  if (rc == SEQDB_OK) rc = sdb_journal_read(&journal, &state, r->op);
  if (rc == SEQDB_IO) { /* nor can its headers */
    sdb_salvage_say(r->report, "journal: its header cannot be read");
    state = SDB_JOURNAL_BAD;
    rc = SEQDB_OK;
  } else if (rc == SEQDB_OK && state == SDB_JOURNAL_BAD) {
    sdb_salvage_say(r->report, "journal: both header pages (bytes 0 and 4096) are damaged");
  }
  if (rc != SEQDB_OK) return rc;
  c.known = state == SDB_JOURNAL_GOOD;
  c.salt = c.previous = journal.header.salt;
  if (c.known) c.at = journal.header.start;
  if (c.known) r->source->expected = journal.header.entries;
  if (first_record(r, c.size, &first) && first.salt != c.salt) {
    bool newer = !c.known || (journal.one_header && first.generation > journal.header.base_generation);
    if (newer && c.known)
      sdb_salvage_say(r->report,
                      "journal: the newer header page is damaged; the records from byte %u on are taken as its",
                      SDB_JOURNAL_START);
    if (newer) c.salt = c.previous = first.salt;
    c.known &= !newer;
  } else if (!c.known) {
    return SEQDB_OK;
  }
  return follow(r, &c);
}

/* ---- all of it */

int sdb_salvage_read(sdb_salvage_source *source, sdb_fd dir, const char *path, sdb_salvage_report *report,
                     const sdb_op *op) {
  const struct reading r = {source, report, op, path};
  *source = (sdb_salvage_source){.data = -1, .regions = -1, .journal = -1};
  sdb_patch_init(&source->redo);
  sdb_range_pool_init(&source->pool);
  sdb_range_set_init(&source->named, &source->pool, false);
  int rc = sdb_names_open(&source->names);
  if (rc != SEQDB_OK) return sdb_error_nomem(op);
  rc = open_files(&r, dir);
  if (rc == SEQDB_OK && source->regions >= 0) rc = read_regions(&r);
  if (rc == SEQDB_OK) rc = read_journal(&r);
  return rc;
}

static void close_file(sdb_fd fd) {
  if (fd >= 0) sdb_os_close(fd);
}

void sdb_salvage_close(sdb_salvage_source *source) {
  sdb_patch_clear(&source->redo);
  sdb_range_set_clear(&source->named);
  sdb_range_pool_destroy(&source->pool);
  if (source->names) {
    sdb_tree_drop(&source->tree, source->names);
    sdb_names_close(source->names);
  }
  sdb_free(source->doubtful);
  close_file(source->journal);
  close_file(source->regions);
  close_file(source->data);
}

/* ---- bytes */

void sdb_salvage_next(const sdb_salvage_source *source, uint64_t offset, uint64_t bytes, uint64_t *run,
                      uint64_t *run_bytes) {
  uint64_t end = offset + bytes, data = end, data_end = SDB_MIN(end, source->data_bytes);
  sdb_patch_range range;
  if (source->data >= 0 && offset < data_end && sdb_os_next_data(source->data, offset, data_end, &data, &data_end) != 0)
    data = offset;                  /* reading will show */
  if (data >= data_end) data = end; /* none */
  *run = data;
  uint64_t to = data_end;
  if (sdb_patch_next(&source->redo, offset, &range) && range.offset < *run) {
    *run = SDB_MAX(range.offset, offset);
    to = range.offset + range.bytes;
  }
  *run_bytes = *run < end ? SDB_MIN(to, end) - *run : 0;
}

/* One page after the other: a bad one costs no more than itself. */
static void copy_slowly(const sdb_salvage_source *source, uint64_t offset, uint8_t *buffer, size_t bytes,
                        uint64_t *bad_bytes) {
  for (size_t done = 0, part; done < bytes; done += part) {
    size_t got = 0;
    part = (size_t)SDB_MIN(bytes - done, SDB_PAGE - (offset + done) % SDB_PAGE);
    if (sdb_os_pread(source->data, buffer + done, part, offset + done, &got) == 0 && got == part) continue;
    memset(buffer + done, 0, part);
    *bad_bytes += part;
  }
}

void sdb_salvage_copy(const sdb_salvage_source *source, uint64_t offset, uint8_t *buffer, size_t bytes,
                      uint64_t *bad_bytes) {
  size_t there = offset < source->data_bytes ? (size_t)SDB_MIN(bytes, source->data_bytes - offset) : 0, got = 0;
  memset(buffer + there, 0, bytes - there);
  if (there && (sdb_os_pread(source->data, buffer, there, offset, &got) != 0 || got < there))
    copy_slowly(source, offset, buffer, there, bad_bytes);
  sdb_patch_read(&source->redo, offset, bytes, buffer);
}

uint64_t sdb_salvage_end(const sdb_salvage_source *source, uint64_t offset, uint64_t end, uint64_t *missing_bytes) {
  uint64_t there = SDB_MIN(end, SDB_MAX(source->data_bytes, offset)), last = there;
  sdb_patch_range range;
  *missing_bytes = 0;
  for (bool more = sdb_patch_next(&source->redo, there, &range); more && range.offset < end;
       more = sdb_patch_following(&range)) {
    if (range.offset > last) *missing_bytes += range.offset - last;
    last = SDB_MIN(end, range.offset + range.bytes);
  }
  *missing_bytes += end - last;
  return last;
}
