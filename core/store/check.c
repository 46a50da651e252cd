/* SPDX-License-Identifier: MIT
**
** check.c: verify what can be verified without reading contents: seqdb_check().
**
** Compares four independent witnesses of the committed state: the catalog in memory (extents, names, totals, hash), the
** space accounting, the pages of `regions` (each entry that no record since the last checkpoint names must read exactly
** as in the catalog), and the journal (headers, chain, the place where it ends).  Holds files_mutex, so it waits for a
** running commit or checkpoint, but not for a transaction.  Nobody is called while it is held: problems are told at the
** end, and between blocks of `regions` the lock is let go to ask whether to stop; commits may then come in between.
*/
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include "base/check.h"
#include "files/journal_scan.h"
#include "os/os.h"
#include "pure/entry_page.h"
#include "pure/indexes.h"
#include "space/extents.h"
#include "txn/member.h"
#include "txn/writer_lock.h"

/* Who has many problems reads the first ones: the rest are counted.  One cause may touch each of 100,000 regions. */
#define TOLD_MAX SDB_DAMAGE_KEPT /* as many as are kept of what opening has found */

/* Collected, to be told without a lock. */
struct report {
  char *lines[TOLD_MAX];
  size_t kept;
  uint64_t count;
  bool no_memory;
};

static void say(struct report *report, const char *format, ...) SDB_PRINTF(2, 3);
static void say(struct report *report, const char *format, ...) {
  char line[1600];
  va_list args;
  if (report->count++ >= TOLD_MAX) return;
  va_start(args, format);
  int bytes = vsnprintf(line, sizeof line, format, args);
  va_end(args);
  char *kept = bytes < 0 ? NULL : sdb_malloc(SDB_MIN((size_t)bytes + 1, sizeof line));
  report->no_memory |= !kept;
  if (!kept) return;
  memcpy(kept, line, SDB_MIN((size_t)bytes + 1, sizeof line));
  kept[SDB_MIN((size_t)bytes, sizeof line - 1)] = 0;
  report->lines[report->kept++] = kept;
}

/* No lock held.  Returns how many problems there were, or were told before the caller had enough. */
static uint64_t tell(const struct report *report, int (*call)(void *context, const char *problem), void *context) {
  char line[64];
  for (size_t i = 0; call && i < report->kept; i++)
    if (call(context, report->lines[i])) return i + 1;
  if (call && report->count > TOLD_MAX) {
    snprintf(line, sizeof line, "... and %llu more", (unsigned long long)(report->count - TOLD_MAX));
    (void)call(context, line);
  }
  return report->count;
}

static void report_free(struct report *report) {
  for (size_t i = 0; i < report->kept; i++)
    sdb_free(report->lines[i]);
  sdb_free(report);
}

/* A check under way. */
struct check {
  seqdb *db;
  struct report *report;
  sdb_tree tree; /* the committed one */
  uint64_t generation;
  const sdb_op *op;
};

/* ---- catalog and space */

/* `end`: where `data` ends; UINT64_MAX if it may still be too short. */
static void check_entry(const struct check *c, uint32_t index, const sdb_entry *entry, uint64_t end) {
  char quoted[SDB_QUOTED_MAX];
  const char *name = sdb_name_quote(entry->name, quoted);
  uint32_t found;
  if (entry->length > entry->reserved || entry->reserved % SDB_PAGE || entry->start % SDB_PAGE)
    say(c->report, "region %s (entry %u): start %llu, length %llu, reserved %llu do not fit together", name, index,
        (unsigned long long)entry->start, (unsigned long long)entry->length, (unsigned long long)entry->reserved);
  if (entry->start + entry->reserved > end)
    say(c->report, "region %s (entry %u): its reserve ends at byte %llu, data ends at byte %llu", name, index,
        (unsigned long long)(entry->start + entry->reserved), (unsigned long long)end);
  if (entry->generation > c->generation)
    say(c->report, "region %s (entry %u): of generation %llu, newer than the commit %llu", name, index,
        (unsigned long long)entry->generation, (unsigned long long)c->generation);
  if (!sdb_tree_find(&c->tree, c->db->store->names, sdb_name_text(entry->name), sdb_name_bytes(entry->name), &found) ||
      found != index)
    say(c->report, "region %s (entry %u) is not found by its name", name, index);
}

static int check_entries(const struct check *c) {
  sdb_store *store = c->db->store;
  const sdb_tree *tree = &c->tree;
  uint64_t from = 0, entries = 0, content = 0, reserved = 0, hash = 0, end = atomic_load(&store->data.size_bytes);
  uint32_t index;
  pthread_mutex_lock(&store->mutex);
  /* The first write after a crash makes `data` as long as it should be; so does adopting a directory of rawdb's. */
  if (store->unclean || store->journal.fd < 0) end = UINT64_MAX;
  pthread_mutex_unlock(&store->mutex);
  for (const sdb_entry *entry; (entry = sdb_tree_next(tree, from, &index)); from = (uint64_t)index + 1) {
    int rc = entries++ % 256 == 0 ? sdb_interrupted(c->db, c->op) : SEQDB_OK;
    if (rc != SEQDB_OK) return rc;
    content += entry->length;
    reserved += entry->reserved;
    hash += sdb_tree_hash(index, entry);
    check_entry(c, index, entry, end);
  }
  if (entries != tree->entries || content != tree->content_bytes || reserved != tree->reserved_bytes ||
      hash != tree->hash)
    say(c->report, "the catalog's totals do not match its entries");
  return SEQDB_OK;
}

static int check_space(const struct check *c) {
  sdb_store *store = c->db->store;
  struct report *report = c->report;
  sdb_owned_extent *extents;
  size_t count;
  uint64_t end = 0;
  if (sdb_tree_extents(&c->tree, &extents, &count) != SEQDB_OK) return sdb_error_nomem(c->op);
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
  bool same = SDB_ALWAYS(store->committed->tree.root == c->tree.root); /* nobody commits while files_mutex is held */
  bool still = !store->writer || (store->writer == c->db && !sdb_txn_is_open(&c->db->txn));
  if (still && same && !sdb_space_adds_up(&store->space, &c->tree))
    say(report, "regions, holes and pending space do not add up to %llu bytes", (unsigned long long)store->space.end);
  pthread_mutex_unlock(&store->mutex);
  sdb_free(extents);
  return SEQDB_OK;
}

/* ---- the files */

static bool same(const sdb_entry *entry, const sdb_entry_image *image) {
  return entry->start == image->start && entry->length == image->length && entry->reserved == image->reserved &&
         entry->generation == image->generation && entry->created == image->created &&
         entry->has_trailer == image->has_trailer && sdb_name_bytes(entry->name) == image->name_bytes &&
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

/* A sorted copy of the list of entries that records name: these may be older on disk.  files_mutex held. */
struct named {
  uint32_t *list;
  size_t count;
};

static int copy_named(const sdb_store *store, struct named *named) {
  *named = (struct named){0};
  if (store->named_count == 0) return SEQDB_OK;
  named->list = sdb_malloc(store->named_count * sizeof *named->list);
  if (!named->list) return SEQDB_NOMEM;
  memcpy(named->list, store->named, store->named_count * sizeof *named->list);
  named->count = sdb_indexes_sort(named->list, store->named_count);
  return SEQDB_OK;
}

#define BLOCK_PAGES 64u

/* Pages [page, page + pages) of the file.  *used: some of them are, or should be. */
static int check_block(const struct check *c, const struct named *named, uint64_t page, uint8_t *block, bool *used) {
  sdb_store *store = c->db->store;
  size_t pages = (size_t)SDB_MIN(BLOCK_PAGES, store->regions.pages - page), got = 0;
  int os = sdb_os_pread(store->regions.fd, block, pages * SDB_ENTRY_BYTES, page * SDB_ENTRY_BYTES, &got);
  *used = false;
  if (os || got < pages * SDB_ENTRY_BYTES)
    return sdb_error_os(c->op, os ? os : EIO, "regions", page * SDB_ENTRY_BYTES, "regions: cannot read entry %llu",
                        (unsigned long long)page);
  for (uint32_t i = 0; i < pages; i++) {
    uint32_t index = (uint32_t)page + i;
    if (sdb_indexes_have(named->list, named->count, index)) continue;
    *used |= check_page(block + (size_t)i * SDB_ENTRY_BYTES, index, sdb_tree_get(&c->tree, index), c->report);
  }
  return SEQDB_OK;
}

/* The last commit, in place of an older one. */
static void take_state(struct check *c) {
  sdb_store *store = c->db->store;
  sdb_tree older = c->tree;
  pthread_mutex_lock(&store->mutex);
  c->tree = sdb_tree_share(&store->committed->tree);
  c->generation = store->committed->generation;
  pthread_mutex_unlock(&store->mutex);
  sdb_tree_drop(&older, store->names);
}

/* files_mutex is let go meanwhile; what has changed is taken over. */
static int ask_to_stop(struct check *c, struct named *named) {
  sdb_store *store = c->db->store;
  if (!c->db->interrupt) return SEQDB_OK;
  pthread_mutex_unlock(&store->files_mutex);
  int rc = sdb_interrupted(c->db, c->op);
  pthread_mutex_lock(&store->files_mutex);
  if (rc != SEQDB_OK) return rc;
  take_state(c);
  sdb_free(named->list);
  return copy_named(store, named) == SEQDB_OK ? SEQDB_OK : sdb_error_nomem(c->op);
}

/* files_mutex held. */
static int check_regions(struct check *c) {
  sdb_store *store = c->db->store;
  struct named named;
  uint8_t *block = sdb_malloc((size_t)BLOCK_PAGES * SDB_ENTRY_BYTES);
  uint32_t index;
  int rc = copy_named(store, &named) == SEQDB_OK && block ? SEQDB_OK : sdb_error_nomem(c->op);
  for (uint64_t page = 0, next; page < store->regions.pages && rc == SEQDB_OK; page = next) {
    bool used;
    rc = check_block(c, &named, page, block, &used);
    next = page + BLOCK_PAGES;
    if (!used && next < store->regions.pages) next = next_page(store, &c->tree, next);
    if (rc == SEQDB_OK) rc = ask_to_stop(c, &named);
  }
  uint64_t from = store->regions.pages;
  for (const sdb_entry *entry; rc == SEQDB_OK && (entry = sdb_tree_next(&c->tree, from, &index));
       from = (uint64_t)index + 1)
    if (!sdb_indexes_have(named.list, named.count, index))
      say(c->report, "regions: entry %u lies behind the file's end", index);
  sdb_free(named.list);
  sdb_free(block);
  return rc;
}

/* What `catalog` lists. */
struct listed {
  sdb_tree tree;
  sdb_names *names;
};

static int list_item(void *context, uint32_t index, const sdb_entry_image *image, const sdb_op *op) {
  struct listed *listed = context;
  int rc = image->name_bytes ? sdb_tree_put_image(&listed->tree, listed->names, 0, index, image)
                             : sdb_tree_remove(&listed->tree, listed->names, 0, index);
  return rc == SEQDB_OK ? rc : sdb_error_nomem(op);
}

static bool lists_otherwise(const sdb_entry *listed, const sdb_entry *entry) {
  if (!listed || !entry) return listed || entry;
  sdb_entry_image image = sdb_entry_to_image(listed);
  return !same(entry, &image);
}

/* Entries that no record names must be listed as they are. */
static void compare_listed(const struct check *c, const sdb_tree *listed, const struct named *named) {
  uint32_t at = 0, other = 0;
  for (uint64_t from = 0;; from = (uint64_t)at + 1) {
    const sdb_entry *l = sdb_tree_next(listed, from, &at), *e = sdb_tree_next(&c->tree, from, &other);
    if (!l && !e) return;
    if (!l || (e && other < at)) at = other;
    if (sdb_indexes_have(named->list, named->count, at)) continue;
    if (lists_otherwise(sdb_tree_get(listed, at), sdb_tree_get(&c->tree, at)))
      say(c->report, "catalog: it lists entry %u otherwise than regions; it is only a copy and may be deleted", at);
  }
}

/* A file of another header, or one that a crash has torn, is nothing: nobody believes it.  files_mutex held. */
static int check_catalog(const struct check *c) {
  sdb_store *store = c->db->store;
  struct listed listed = {.names = NULL};
  struct named named = {0};
  sdb_catalog_file file;
  bool whole = false;
  int rc = SEQDB_OK;
  if (store->journal.fd < 0 || !sdb_catalog_file_open(store->dir, &file)) return rc;
  if (sdb_catalog_head_is_of(&file.head, &store->journal.header)) {
    bool room = sdb_names_open(&listed.names) == SEQDB_OK && copy_named(store, &named) == SEQDB_OK;
    rc = room ? sdb_catalog_file_read(&file, list_item, &listed, &whole, c->op) : sdb_error_nomem(c->op);
  }
  if (rc == SEQDB_OK && whole) compare_listed(c, &listed.tree, &named);
  sdb_os_close(file.fd);
  if (listed.names) sdb_tree_drop(&listed.tree, listed.names);
  sdb_names_close(listed.names);
  sdb_free(named.list);
  return rc;
}

/* files_mutex held. */
static int check_journal(const struct check *c) {
  sdb_store *store = c->db->store;
  sdb_journal copy = {.fd = store->journal.fd};
  sdb_journal_scan scan;
  enum sdb_journal_state state;
  if (copy.fd < 0) return SEQDB_OK;
  if (sdb_is_poisoned(store)) return SEQDB_OK; /* what a failed fdatasync left is for the next open to decide */
  int rc = sdb_journal_read(&copy, &state, c->op);
  if (rc != SEQDB_OK) return rc;
  if (state != SDB_JOURNAL_GOOD || copy.header.sequence != store->journal.header.sequence) {
    say(c->report, "journal: no header page is the one last written (sequence %llu)",
        (unsigned long long)store->journal.header.sequence);
    return SEQDB_OK;
  }
  if ((rc = sdb_journal_scan_records(&copy, &scan, NULL, NULL, c->op)) != SEQDB_OK) return rc;
  pthread_mutex_lock(&store->mutex);
  bool crashed = store->unclean && copy.header.sync_off; /* without syncs: no damage, the first write clears it */
  pthread_mutex_unlock(&store->mutex);
  if (scan.damaged_at && !crashed)
    say(c->report, "journal: the record at byte %llu is damaged", (unsigned long long)scan.damaged_at);
  else if (!scan.damaged_at && copy.tail != store->journal.tail)
    say(c->report, "journal: valid records end at byte %llu, the last one written ends at byte %llu",
        (unsigned long long)copy.tail, (unsigned long long)store->journal.tail);
  return SEQDB_OK;
}

static int check_all(seqdb *db, struct report *report, const sdb_op *op) {
  sdb_store *store = db->store;
  struct check c = {.db = db, .report = report, .op = op};
  take_state(&c);
  int rc = check_entries(&c);
  pthread_mutex_lock(&store->files_mutex);
  take_state(&c);
  if (rc == SEQDB_OK) rc = check_space(&c);
  if (rc == SEQDB_OK) rc = check_regions(&c);
  if (rc == SEQDB_OK) rc = check_catalog(&c);
  if (rc == SEQDB_OK) rc = check_journal(&c);
  pthread_mutex_unlock(&store->files_mutex);
  sdb_tree_drop(&c.tree, store->names);
  return rc;
}

#define TRIES         3
#define TRIES_READING 50 /* of who cannot take the writer lock ... */

static void forget(struct report *report) {
  for (size_t i = 0; i < report->kept; i++)
    sdb_free(report->lines[i]);
  memset(report, 0, sizeof *report);
}

/* Another process may have been writing while we looked.  What is wrong while it cannot is wrong. */
static int check_locked(seqdb *db, struct report *report, const sdb_op *op) {
  pthread_mutex_lock(&db->txn_mutex);
  bool mine = !sdb_txn_is_open(&db->txn);
  int rc = mine ? sdb_writer_lock(db, op) : SEQDB_OK;
  if (rc == SEQDB_OK) {
    forget(report);
    rc = check_all(db, report, op);
    if (mine) sdb_writer_unlock(db);
  }
  pthread_mutex_unlock(&db->txn_mutex);
  return rc;
}

static int check_beside_others(seqdb *db, struct report *report, const sdb_op *op) {
  sdb_store *store = db->store;
  int rc = SEQDB_OK;
  for (unsigned tries = 0; tries < (store->writing ? TRIES : TRIES_READING) && rc == SEQDB_OK; tries++) {
    if (tries >= TRIES) sdb_os_give_way(true); /* ... and so waits for a moment when nobody has it */
    forget(report);
    rc = sdb_member_look(store, op);
    bool leads = !store->shared || atomic_load(&store->leads);
    if (rc == SEQDB_OK) rc = check_all(db, report, op);
    if (rc != SEQDB_OK || report->count == 0 || leads) return rc;
  }
  return rc == SEQDB_OK && !store->still && store->writing ? check_locked(db, report, op) : rc;
}

int seqdb_check(seqdb *db, int (*report)(void *context, const char *problem), void *context, uint64_t *problems) {
  seqdb_error error;
  sdb_op op = {"check", &error};
  sdb_store *store = db->store;
  uint64_t told = 0;
  int rc = sdb_usable(db, &op);
  struct report *found = rc == SEQDB_OK ? sdb_calloc(1, sizeof *found) : NULL;
  if (rc != SEQDB_OK) return sdb_fail(db, rc, &op);
  if (!found) return sdb_fail(db, sdb_error_nomem(&op), &op);
  if (store->damage.count) {
    for (size_t i = 0; i < store->damage.kept; i++)
      say(found, "%s", store->damage.problems[i]);
    found->count = store->damage.count;
  } else {
    rc = check_beside_others(db, found, &op);
  }
  if (rc == SEQDB_OK && found->no_memory) rc = sdb_error_nomem(&op);
  if (rc == SEQDB_OK) told = tell(found, report, context);
  report_free(found);
  if (rc == SEQDB_OK && problems) *problems = told;
  return sdb_fail(db, rc, &op);
}
