/* SPDX-License-Identifier: MIT
**
** check.c: verify what can be verified without reading contents.
**
** Compares four independent witnesses of the committed state: the catalog in memory (extents, names, totals, hash), the space
** accounting, the pages of `regions` (each entry that no record since the last checkpoint names must read exactly as in the
** catalog), and the journal (headers, chain, the place where it ends).
** Holds files_mutex, so it waits for a running commit or checkpoint, but not for a transaction.
*/
#include <stdarg.h>
#include <stdio.h>
#include "txn/db.h"
#include "base/error.h"
#include "pure/entry_page.h"
#include "pure/indexes.h"
#include "space/extents.h"

struct report {
  int (*call)(void *context, const char *problem);
  void *context;
  uint64_t count;
  bool stopped;
};

static void say(struct report *report, const char *format, ...) SDB_PRINTF(2, 3);
static void say(struct report *report, const char *format, ...) {
  char line[1600];
  va_list args;
  if (report->stopped) return;
  va_start(args, format);
  vsnprintf(line, sizeof line, format, args);
  va_end(args);
  report->count++;
  if (report->call && report->call(report->context, line)) report->stopped = true;
}

/* ---- catalog and space */

static const char *name_of(const sdb_entry *entry, char quoted[SDB_QUOTED_MAX]) {
  return sdb_quote_name(sdb_name_text(entry->name), sdb_name_bytes(entry->name), quoted);
}

static int check_entries(seqdb *db, const sdb_tree *tree, uint64_t generation, struct report *report,
                         const sdb_op *op) {
  sdb_store *store = db->store;
  char quoted[SDB_QUOTED_MAX];
  uint64_t from = 0, entries = 0, content = 0, reserved = 0, hash = 0, size = atomic_load(&store->data.size_bytes);
  pthread_mutex_lock(&db->store->mutex);
  bool owed = db->store->unclean; /* the first write after a crash makes `data` as long as it should be */
  pthread_mutex_unlock(&db->store->mutex);
  uint32_t index, found;
  for (const sdb_entry *entry; (entry = sdb_tree_next(tree, from, &index)); from = (uint64_t)index + 1) {
    const char *name = name_of(entry, quoted);
    int rc = entries++ % 256 == 0 ? sdb_interrupted(db, op) : SEQDB_OK;
    if (rc != SEQDB_OK) return rc;
    content += entry->length;
    reserved += entry->reserved;
    hash += sdb_tree_hash(index, entry);
    if (entry->length > entry->reserved || entry->reserved % SDB_PAGE || entry->start % SDB_PAGE)
      say(report, "region %s (entry %u): start %llu, length %llu, reserved %llu do not fit together", name, index,
          (unsigned long long)entry->start, (unsigned long long)entry->length, (unsigned long long)entry->reserved);
    if (!owed && entry->start + entry->reserved > size)
      say(report, "region %s (entry %u): its reserve ends at byte %llu, data ends at byte %llu", name, index,
          (unsigned long long)(entry->start + entry->reserved), (unsigned long long)size);
    if (entry->generation > generation)
      say(report, "region %s (entry %u): of generation %llu, newer than the commit %llu", name, index,
          (unsigned long long)entry->generation, (unsigned long long)generation);
    if (!sdb_tree_find(tree, store->names, sdb_name_text(entry->name), sdb_name_bytes(entry->name), &found) ||
        found != index)
      say(report, "region %s (entry %u) is not found by its name", name, index);
  }
  if (entries != tree->entries || content != tree->content_bytes || reserved != tree->reserved_bytes ||
      hash != tree->hash)
    say(report, "the catalog's totals do not match its entries");
  return SEQDB_OK;
}

static int check_space(sdb_store *store, const sdb_tree *tree, struct report *report) {
  sdb_owned_extent *extents;
  size_t count;
  uint64_t end = 0;
  if (sdb_tree_extents(tree, &extents, &count) != SEQDB_OK) return SEQDB_NOMEM;
  pthread_mutex_lock(&store->mutex);
  for (size_t i = 0; i < count; i++) {
    sdb_range hole;
    if (extents[i].start < end)
      say(report, "entry %u overlaps the one before it at byte %llu of data", extents[i].index,
          (unsigned long long)extents[i].start);
    end = SDB_MAX(end, extents[i].start + extents[i].bytes);
    if (sdb_range_overlap(&store->space.holes, extents[i].start, extents[i].bytes, &hole))
      say(report, "entry %u: byte %llu of data is also listed as free", extents[i].index,
          (unsigned long long)hole.start);
  }
  if (end > store->space.end)
    say(report, "an extent ends at byte %llu, behind the end %llu", (unsigned long long)end,
        (unsigned long long)store->space.end);
  /* GCOVR_EXCL_BR_LINE: nobody commits while files_mutex is held */
  if (!store->writer && store->committed->tree.root == tree->root && !sdb_space_adds_up(&store->space, tree))
    say(report, "regions, holes and pending space do not add up to %llu bytes", (unsigned long long)store->space.end);
  pthread_mutex_unlock(&store->mutex);
  sdb_free(extents);
  return SEQDB_OK;
}

/* ---- the files */

static bool same(const sdb_entry *entry, const sdb_entry_image *image) {
  return entry->start == image->start && entry->length == image->length && entry->reserved == image->reserved &&
         entry->generation == image->generation && entry->has_trailer == image->has_trailer &&
         sdb_name_bytes(entry->name) == image->name_bytes &&
         memcmp(sdb_name_text(entry->name), image->name, image->name_bytes) == 0;
}

static bool check_page(const uint8_t *page, uint32_t index, const sdb_entry *entry, struct report *report) {
  sdb_entry_image image;
  uint32_t at = 0;
  const char *why = NULL;
  enum sdb_entry_state state = sdb_entry_decode(page, index, &image, &at, &why);
  unsigned long long byte = (unsigned long long)index * SDB_ENTRY_BYTES + at;
  if (state == SDB_ENTRY_DAMAGED)
    say(report, "regions: entry %u is damaged at byte %llu: %s", index, byte, why);
  else if (state == SDB_ENTRY_FREE && entry)
    say(report, "regions: entry %u is free, but a region has it", index);
  else if (state == SDB_ENTRY_USED && !entry)
    say(report, "regions: entry %u is used, but no region has it", index);
  else if (state == SDB_ENTRY_USED && !same(entry, &image))
    say(report, "regions: entry %u differs from the catalog", index);
  return state != SDB_ENTRY_FREE || entry;
}

/* The first page from `page` on that has bytes or should have. */
static uint64_t next_page(const sdb_store *store, const sdb_tree *tree, uint64_t page) {
  uint32_t index;
  uint64_t end, next = sdb_regions_next(&store->regions, page, &end);
  return sdb_tree_next(tree, page, &index) ? SDB_MIN(next, index) : next;
}

/* files_mutex held. Entries that records name may be older on disk. */
static int check_regions(seqdb *db, const sdb_tree *tree, struct report *report, const sdb_op *op) {
  sdb_store *store = db->store;
  enum { PAGES = 64 };
  uint8_t *block = sdb_malloc((size_t)PAGES * SDB_ENTRY_BYTES);
  uint32_t *named = store->named_count ? sdb_malloc(store->named_count * sizeof *named) : NULL, last = 0;
  int rc = block && (named || !store->named_count) ? SEQDB_OK : sdb_error_nomem(op);
  uint64_t pages = store->regions.pages, from = 0;
  size_t named_count = 0;
  if (rc == SEQDB_OK && named) {
    memcpy(named, store->named, store->named_count * sizeof *named);
    named_count = sdb_indexes_sort(named, store->named_count);
  }
  for (uint64_t page = 0, next; page < pages && rc == SEQDB_OK && !report->stopped; page = next) {
    bool used = false;
    size_t want = (size_t)SDB_MIN(PAGES, pages - page) * SDB_ENTRY_BYTES, got = 0;
    int os = sdb_os_pread(store->regions.fd, block, want, page * SDB_ENTRY_BYTES, &got);
    if (os || got < want)
      rc = sdb_error_os(op, os ? os : 5, "regions", page * SDB_ENTRY_BYTES, "regions: cannot read entry %llu",
                        (unsigned long long)page);
    if (rc == SEQDB_OK) rc = sdb_interrupted(db, op);
    for (uint32_t i = 0; rc == SEQDB_OK && i < want / SDB_ENTRY_BYTES; i++) {
      uint32_t index = (uint32_t)page + i;
      if (sdb_indexes_have(named, named_count, index)) continue;
      used |= check_page(block + (size_t)i * SDB_ENTRY_BYTES, index, sdb_tree_get(tree, index), report);
    }
    next = page + PAGES;
    if (!used && next < pages) next = next_page(store, tree, next);
  }
  for (const sdb_entry *entry; rc == SEQDB_OK && (entry = sdb_tree_next(tree, SDB_MAX(from, pages), &last));
       from = (uint64_t)last + 1)
    if (!sdb_indexes_have(named, named_count, last)) say(report, "regions: entry %u lies behind the file's end", last);
  sdb_free(named);
  sdb_free(block);
  return rc;
}

/* files_mutex held. */
static int check_journal(sdb_store *store, struct report *report, const sdb_op *op) {
  sdb_journal copy = {.fd = store->journal.fd};
  sdb_journal_scan scan;
  enum sdb_journal_state state;
  if (copy.fd < 0) return SEQDB_OK;
  if (atomic_load(&store->poisoned)) return SEQDB_OK; /* what a failed fdatasync left is for the next open to decide */
  int rc = sdb_journal_read(&copy, &state, op);
  if (rc != SEQDB_OK) return rc;
  if (state != SDB_JOURNAL_GOOD || copy.header.sequence != store->journal.header.sequence) {
    say(report, "journal: no header page is the one last written (sequence %llu)",
        (unsigned long long)store->journal.header.sequence);
    return SEQDB_OK;
  }
  if ((rc = sdb_journal_scan_records(&copy, &scan, op)) != SEQDB_OK) return rc;
  pthread_mutex_lock(&store->mutex);
  bool torn =
      store->unclean && copy.header.sync_off; /* by a crash without syncs: no damage, the first write clears it */
  pthread_mutex_unlock(&store->mutex);
  if (scan.damaged_at && torn)
    scan.damaged_at = 0;
  else if (scan.damaged_at)
    say(report, "journal: the record at byte %llu is damaged", (unsigned long long)scan.damaged_at);
  else if (copy.tail != store->journal.tail)
    say(report, "journal: valid records end at byte %llu, the last one written ends at byte %llu",
        (unsigned long long)copy.tail, (unsigned long long)store->journal.tail);
  sdb_journal_scan_free(&scan);
  return SEQDB_OK;
}

static int check_all(seqdb *db, struct report *report, const sdb_op *op) {
  sdb_store *store = db->store;
  pthread_mutex_lock(&store->files_mutex);
  pthread_mutex_lock(&store->mutex);
  sdb_tree tree = sdb_tree_share(&store->committed->tree);
  uint64_t generation = store->committed->generation;
  pthread_mutex_unlock(&store->mutex);
  int rc = check_entries(db, &tree, generation, report, op);
  if (rc == SEQDB_OK && check_space(store, &tree, report) != SEQDB_OK) rc = sdb_error_nomem(op);
  if (rc == SEQDB_OK) rc = check_regions(db, &tree, report, op);
  if (rc == SEQDB_OK) rc = check_journal(store, report, op);
  pthread_mutex_unlock(&store->files_mutex);
  sdb_tree_drop(&tree, store->names);
  return rc;
}

int seqdb_check(seqdb *db, int (*report)(void *context, const char *problem), void *context, uint64_t *problems) {
  seqdb_error error;
  sdb_op op = {"check", &error};
  struct report to = {.call = report, .context = context};
  sdb_store *store = db->store;
  int rc = sdb_usable(db, &op);
  if (rc == SEQDB_OK && store->damage.count) {
    for (size_t i = 0; i < store->damage.count; i++)
      say(&to, "%s", store->damage.problems[i]);
  } else if (rc == SEQDB_OK) {
    rc = check_all(db, &to, &op);
  }
  if (rc == SEQDB_OK && problems) *problems = to.count;
  return sdb_fail(db, rc, &op);
}
