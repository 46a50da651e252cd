/* SPDX-License-Identifier: MIT
**
** recover.c: see recover.h.  The steps are numbered as in FORMAT.md section 5.
*/
#include "store/recover.h"

#include <stdarg.h>
#include <stdio.h>
#include "base/error.h"
#include "pure/indexes.h"
#include "space/extents.h"
#include "space/tree_file.h"

/* Generations and sequences count by ones from 1: beyond this they are forged, and could come back to 0. */
#define COUNT_MAX ((uint64_t)1 << 61)

/* ---- damage */

static int damage_add(sdb_damage *damage, const char *file, uint64_t offset, const char *format, ...) SDB_PRINTF(4, 5);
static int damage_add(sdb_damage *damage, const char *file, uint64_t offset, const char *format, ...) {
  char line[sizeof damage->first.message];
  va_list args;
  va_start(args, format);
  vsnprintf(line, sizeof line, format, args);
  va_end(args);
  sdb_op op = {"open", &damage->first};
  if (damage->count == 0) sdb_error_set(&op, SEQDB_CORRUPT, file, offset, "%s", line);
  if (damage->count == damage->capacity) {
    size_t capacity = damage->capacity ? 2 * damage->capacity : 8;
    char **grown = sdb_realloc(damage->problems, capacity * sizeof *grown);
    if (!grown) return SEQDB_NOMEM;
    damage->problems = grown;
    damage->capacity = capacity;
  }
  char *copy = sdb_malloc(strlen(line) + 1);
  if (!copy) return SEQDB_NOMEM;
  memcpy(copy, line, strlen(line) + 1);
  damage->problems[damage->count++] = copy;
  return SEQDB_OK;
}

void sdb_damage_free(sdb_damage *damage) {
  for (size_t i = 0; i < damage->count; i++)
    sdb_free(damage->problems[i]);
  sdb_free(damage->problems);
  memset(damage, 0, sizeof *damage);
}

void sdb_recovered_free(sdb_recovered *recovered, sdb_names *names) {
  sdb_tree_drop(&recovered->tree, names);
  sdb_patch_clear(&recovered->overlay);
  sdb_free(recovered->named);
  recovered->named = NULL;
  sdb_damage_free(&recovered->damage);
}

/* ---- step 2: decide */

/* A prepare counts unless the record after it drops it. The last one is undecided: it counts too, unless a coordinator
** decides about it and the caller speaks for that one. */
static bool is_kept(const sdb_journal_scan *scan, size_t i, const sdb_recover_options *options) {
  const sdb_record_header *header = &scan->records[i].header;
  if (header->kind == SDB_RECORD_COMMIT) return true;
  if (i + 1 < scan->count) return scan->records[i + 1].header.flags & SDB_RECORD_KEEP;
  return !(options->resolve_drop && header->coordinator_bytes);
}

/* NULL: none counts. */
static const sdb_record_header *last_kept(const sdb_journal_scan *scan, const sdb_recover_options *options) {
  size_t i = scan->count;
  while (i > 0 && !is_kept(scan, i - 1, options))
    i--;
  return i ? &scan->records[i - 1].header : NULL;
}

/* ---- step 3: redo, in memory */

static int redo_put(sdb_recovered *out, sdb_names *names, const sdb_record_put *put, uint64_t generation) {
  sdb_entry_image image = {.start = put->start,
                           .length = put->length,
                           .reserved = put->reserved,
                           .generation = generation,
                           .has_trailer = true,
                           .name_bytes = put->name_bytes,
                           .name = put->name};
  return sdb_tree_put_image(&out->tree, names, 1, put->index, &image);
}

static int redo(sdb_recovered *out, sdb_names *names, const sdb_journal_record *record) {
  uint64_t cursor = 0;
  int rc = SEQDB_OK;
  uint32_t index;
  sdb_record_put put;
  sdb_record_range range;
  while (rc == SEQDB_OK && sdb_record_next_delete(record->record, &record->header, &cursor, &index))
    rc = sdb_tree_remove(&out->tree, names, 1, index);
  cursor = 0;
  while (rc == SEQDB_OK && sdb_record_next_put(record->record, &record->header, &cursor, &put))
    rc = redo_put(out, names, &put, record->header.generation);
  cursor = 0;
  while (rc == SEQDB_OK && sdb_record_next_range(record->record, &record->header, &cursor, &range))
    rc = sdb_patch_write(&out->overlay, range.offset, range.data, (size_t)range.bytes);
  out->generation = record->header.generation;
  return rc;
}

/* Entries of kept records only: nothing else is ever written to `regions`. */
static int collect_named(sdb_recovered *out, const sdb_journal_scan *scan, const sdb_recover_options *options) {
  size_t total = 0, n = 0;
  for (size_t i = 0; i < scan->count; i++)
    if (is_kept(scan, i, options)) total += scan->records[i].header.puts + scan->records[i].header.deletes;
  if (total == 0) return SEQDB_OK;
  uint32_t *list = sdb_malloc(total * sizeof *list);
  if (!list) return SEQDB_NOMEM;
  for (size_t i = 0; i < scan->count; i++) {
    const sdb_journal_record *r = &scan->records[i];
    uint64_t cursor = 0;
    uint32_t index;
    sdb_record_put put;
    if (!is_kept(scan, i, options)) continue;
    while (sdb_record_next_delete(r->record, &r->header, &cursor, &index))
      list[n++] = index;
    for (cursor = 0; sdb_record_next_put(r->record, &r->header, &cursor, &put);)
      list[n++] = put.index;
  }
  assert(n == total);
  out->named = list;
  out->named_count = sdb_indexes_sort(list, n);
  return SEQDB_OK;
}

static bool is_named(const sdb_recovered *out, uint32_t index) {
  return sdb_indexes_have(out->named, out->named_count, index);
}

/* ---- step 4: checks, after redo */

static int check_pages(sdb_recovered *out, const sdb_regions_file *regions, const sdb_regions_load *load) {
  int rc = SEQDB_OK;
  for (size_t i = 0; i < load->bad_count && rc == SEQDB_OK; i++) {
    const sdb_bad_entry *bad = &load->bad[i];
    uint64_t at = (uint64_t)bad->index * SDB_ENTRY_BYTES + bad->at;
    if (is_named(out, bad->index)) continue; /* a record says what it should be */
    rc = damage_add(&out->damage, "regions", at, "regions: entry %u is damaged at byte %llu: %s", bad->index,
                    (unsigned long long)at, bad->why);
  }
  if (rc == SEQDB_OK && load->odd_bytes)
    rc = damage_add(&out->damage, "regions", regions->pages * SDB_ENTRY_BYTES,
                    "regions: its size leaves %llu bytes after entry %llu; neither whole entries nor a guard byte",
                    (unsigned long long)load->odd_bytes, (unsigned long long)regions->pages);
  return rc;
}

static int check_overlaps(sdb_recovered *out, const sdb_owned_extent *extents, size_t count) {
  int rc = SEQDB_OK;
  uint64_t end = 0;
  uint32_t owner = 0;
  for (size_t i = 0; i < count && rc == SEQDB_OK; i++) {
    if (extents[i].start < end)
      rc = damage_add(&out->damage, "regions", (uint64_t)extents[i].index * SDB_ENTRY_BYTES,
                      "regions: entries %u and %u overlap at byte %llu of data", owner, extents[i].index,
                      (unsigned long long)extents[i].start);
    if (extents[i].start + extents[i].bytes > end) {
      end = extents[i].start + extents[i].bytes;
      owner = extents[i].index;
    }
  }
  return rc;
}

/* The first byte of [from, end) that no record carries; `end` if they carry all. */
static uint64_t first_uncarried(const sdb_patch *overlay, uint64_t from, uint64_t end) {
  sdb_patch_range range;
  while (from < end && sdb_patch_next(overlay, from, &range) && range.offset <= from)
    from = range.offset + range.bytes;
  return SDB_MIN(from, end);
}

static int check_entry(sdb_recovered *out, sdb_names *names, uint32_t index, const sdb_entry *entry, uint64_t base,
                       bool has_journal, uint64_t data_bytes) {
  char quoted[SDB_QUOTED_MAX];
  uint64_t at = (uint64_t)index * SDB_ENTRY_BYTES;
  uint32_t twin = index;
  bool named = is_named(out, index);
  const char *text = sdb_name_text(entry->name);
  uint32_t bytes = sdb_name_bytes(entry->name);
  int rc = SEQDB_OK;
  /* GCOVR_EXCL_BR_LINE: a name of the tree is found */
  if (sdb_names_repeat(names) && sdb_tree_find(&out->tree, names, text, bytes, &twin) && twin != index)
    rc = damage_add(&out->damage, "regions", at, "regions: entries %u and %u have the same name %s", twin, index,
                    sdb_quote_name(text, bytes, quoted));
  if (rc == SEQDB_OK && has_journal && !named && entry->generation > base && !out->sync_was_off)
    rc = damage_add(&out->damage, "regions", at + 4040,
                    "regions: entry %u (%s) is of generation %llu, newer than the journal's %llu", index,
                    sdb_quote_name(text, bytes, quoted), (unsigned long long)entry->generation,
                    (unsigned long long)base);
  /* Bytes that a record does not carry were durable in `data`, with its size, before the record was written. */
  uint64_t end = entry->start + entry->length;
  if (rc == SEQDB_OK && end > data_bytes && !out->sync_was_off &&
      first_uncarried(&out->overlay, SDB_MAX(entry->start, data_bytes), end) < end)
    rc = damage_add(
        &out->damage, "data", data_bytes, "data: region %s (entry %u) ends at byte %llu, the file ends at byte %llu",
        sdb_quote_name(text, bytes, quoted), index, (unsigned long long)end, (unsigned long long)data_bytes);
  return rc;
}

/* A page that a record names may be older than it, or as new: a checkpoint writes what the records say.  Nothing writes
** one that is newer. */
static int check_named(sdb_recovered *out, const sdb_tree *base) {
  int rc = SEQDB_OK;
  for (size_t i = 0; i < out->named_count && rc == SEQDB_OK && !out->sync_was_off; i++) {
    const sdb_entry *entry = sdb_tree_get(base, out->named[i]);
    if (entry && entry->generation > out->generation)
      rc = damage_add(&out->damage, "regions", (uint64_t)out->named[i] * SDB_ENTRY_BYTES + 4040,
                      "regions: entry %u is of generation %llu, newer than the journal's last, %llu", out->named[i],
                      (unsigned long long)entry->generation, (unsigned long long)out->generation);
  }
  return rc;
}

static int check_tree(sdb_recovered *out, sdb_names *names, const sdb_journal *journal, uint64_t data_bytes) {
  sdb_owned_extent *extents;
  size_t count;
  uint32_t index;
  int rc = sdb_tree_extents(&out->tree, &extents, &count);
  if (rc == SEQDB_OK) rc = check_overlaps(out, extents, count);
  sdb_free(extents);
  uint64_t from = 0;
  for (const sdb_entry *entry; rc == SEQDB_OK && (entry = sdb_tree_next(&out->tree, from, &index));
       from = (uint64_t)index + 1)
    rc = check_entry(out, names, index, entry, journal->header.base_generation, journal->fd >= 0, data_bytes);
  return rc;
}

/* After redo the entries are those that the last record that counts knew, or the header if none does: however far a checkpoint
** had come, what a record names it has restored, and nothing writes the others. */
static bool sums_differ(const sdb_recovered *out, const sdb_journal *journal, const sdb_record_header *last) {
  uint64_t entries = last ? last->entries : journal->header.entries;
  uint64_t hash = last ? last->entries_hash : journal->header.entries_hash;
  return out->tree.entries != entries || out->tree.hash != hash;
}

/* What the header knows about the files beside it.  A `regions` that only lacks free entries at its end is as good. */
static int check_header(sdb_recovered *out, const sdb_regions_file *regions, const sdb_journal *journal, bool differ,
                        uint64_t data_bytes, const sdb_recover_options *options) {
  const sdb_journal_header *h = &journal->header;
  bool unguarded = out->records == 0 && !regions->guarded; /* others may have changed it */
  bool adopt = options->adopt && differ && out->records == 0;
  uint64_t bytes = regions->pages * SDB_ENTRY_BYTES;
  int rc = SEQDB_OK;
  if (h->sync_off && out->unclean) return SEQDB_OK; /* a crash without syncs may leave any of this: no damage */
  if (data_bytes < h->data_bytes && !adopt)
    rc = damage_add(&out->damage, "data", data_bytes, "data: the file has %llu bytes, the journal says at least %llu",
                    (unsigned long long)data_bytes, (unsigned long long)h->data_bytes);
  if (rc == SEQDB_OK && differ && !adopt && !unguarded && bytes < h->regions_bytes)
    rc = damage_add(&out->damage, "regions", bytes, "regions: the file has %llu bytes, the journal says at least %llu",
                    (unsigned long long)bytes, (unsigned long long)h->regions_bytes);
  if (rc == SEQDB_OK && out->records > 0 && !regions->guarded) /* nor was sync off: see above */
    rc = damage_add(&out->damage, "regions", bytes,
                    "regions: no guard byte at its end although the journal has records: it was replaced or cut");
  if (rc != SEQDB_OK || !differ || out->records > 0) return rc; /* with records: see check_sums */
  out->differs = true;
  if (adopt) {
    out->adopted = true;
    return rc;
  }
  return damage_add(&out->damage, "regions", 0,
                    "regions: %llu entries differ from what the journal remembers (%llu entries): changed by another "
                    "program, or damaged; adopt=1 accepts them",
                    (unsigned long long)out->tree.entries, (unsigned long long)h->entries);
}

/* With records the guard kept other programs out: adopt=1 is no answer. */
static int check_sums(sdb_recovered *out, const sdb_journal *journal, const sdb_record_header *last, bool differ) {
  if (!differ || out->records == 0 || out->sync_was_off || out->damage.count) return SEQDB_OK; /* or said in detail */
  return damage_add(&out->damage, "regions", 0,
                    "regions: with the journal's records its %llu entries differ from the %llu of the last commit: "
                    "damaged, or of another time",
                    (unsigned long long)out->tree.entries,
                    (unsigned long long)(last ? last->entries : journal->header.entries));
}

static int check_all(sdb_recovered *out, const sdb_regions_file *regions, const sdb_regions_load *load,
                     const sdb_journal *journal, enum sdb_journal_state state, const sdb_journal_scan *scan,
                     const sdb_tree *base, uint64_t data_bytes, sdb_names *names, const sdb_recover_options *options) {
  const sdb_record_header *last = last_kept(scan, options);
  bool differ = sums_differ(out, journal, last);
  int rc = check_pages(out, regions, load);
  if (rc == SEQDB_OK && journal->fd < 0 && load->any_trailer)
    rc = damage_add(&out->damage, "journal", 0,
                    "journal: the file is missing although entries in regions were written with one");
  if (rc == SEQDB_OK && journal->fd < 0 && regions->guarded)
    rc = damage_add(&out->damage, "journal", 0, "journal: the file is missing although regions has a guard byte");
  if (rc == SEQDB_OK && state == SDB_JOURNAL_BAD)
    rc = damage_add(&out->damage, "journal", 0, "journal: both header pages (bytes 0 and 4096) are damaged");
  if (rc == SEQDB_OK && scan->damaged_at && !out->sync_was_off)
    rc = damage_add(&out->damage, "journal", scan->damaged_at,
                    "journal: the record at byte %llu is damaged although valid records follow it",
                    (unsigned long long)scan->damaged_at);
  if (rc == SEQDB_OK && scan->orphaned && !out->sync_was_off)
    rc = damage_add(&out->damage, "journal", SDB_JOURNAL_START,
                    "journal: the records from byte %u on are newer than its header: the newer header page is damaged",
                    SDB_JOURNAL_START);
  if (rc == SEQDB_OK && journal->fd >= 0 && state == SDB_JOURNAL_GOOD)
    rc = check_header(out, regions, journal, differ, data_bytes, options);
  if (rc == SEQDB_OK && (out->generation > COUNT_MAX || (journal->fd >= 0 && journal->header.sequence > COUNT_MAX)))
    rc = damage_add(&out->damage, "journal", 0, "journal: generation %llu or sequence %llu is more than there can be",
                    (unsigned long long)out->generation, (unsigned long long)journal->header.sequence);
  if (rc == SEQDB_OK) rc = check_named(out, base);
  if (rc == SEQDB_OK) rc = check_tree(out, names, journal, data_bytes);
  if (rc == SEQDB_OK) rc = check_sums(out, journal, last, differ);
  return rc;
}

/* ---- all of it */

/* After a crash with sync=off entries may be newer than header and records: the next commit must be newer than they are. */
static void raise_generation(sdb_recovered *out) {
  uint64_t from = 0;
  uint32_t index;
  for (const sdb_entry *entry; (entry = sdb_tree_next(&out->tree, from, &index)); from = (uint64_t)index + 1)
    out->generation = SDB_MAX(out->generation, entry->generation);
}

int sdb_recover(sdb_regions_file *regions, sdb_journal *journal, uint64_t data_bytes, sdb_names *names,
                const sdb_recover_options *options, sdb_recovered *out, const sdb_op *op) {
  sdb_regions_load load = {0};
  sdb_journal_scan scan = {0};
  sdb_tree base = {0};
  enum sdb_journal_state state = SDB_JOURNAL_GOOD;
  memset(out, 0, sizeof *out);
  sdb_patch_init(&out->overlay);

  /* 1. Read everything. */
  int rc = sdb_tree_load(&out->tree, names, regions, &load, op);
  if (rc == SEQDB_OK && journal->fd >= 0) rc = sdb_journal_read(journal, &state, op);
  if (rc == SEQDB_OK && journal->fd >= 0 && state == SDB_JOURNAL_GOOD)
    rc = sdb_journal_scan_records(journal, &scan, op);
  if (rc != SEQDB_OK) goto done;
  base = sdb_tree_share(&out->tree); /* totals of what was read; the entries themselves may change below */
  out->generation = journal->fd >= 0 && state == SDB_JOURNAL_GOOD ? journal->header.base_generation : 0;
  out->records = scan.count;
  out->unclean = regions->guarded || scan.count > 0;
  out->sync_was_off = out->unclean && state == SDB_JOURNAL_GOOD && journal->fd >= 0 && journal->header.sync_off;

  /* 2. Decide all records, 3. then redo the kept ones in memory.  Epoch 1 keeps `base` unchanged: its nodes are of
  ** epoch 0. */
  rc = collect_named(out, &scan, options);
  for (size_t i = 0; i < scan.count && rc == SEQDB_OK; i++)
    if (is_kept(&scan, i, options)) rc = redo(out, names, &scan.records[i]);
  if (scan.count) {
    const sdb_record_header *last = &scan.records[scan.count - 1].header;
    out->undecided = last->kind == SDB_RECORD_PREPARE && last->coordinator_bytes;
    out->kept_last = out->undecided && is_kept(&scan, scan.count - 1, options);
  }
  if (out->sync_was_off) raise_generation(out);

  /* 4. Check the result. */
  if (rc == SEQDB_OK) rc = check_all(out, regions, &load, journal, state, &scan, &base, data_bytes, names, options);
  if (rc == SEQDB_NOMEM) rc = sdb_error_nomem(op);
done:
  sdb_tree_drop(&base, names);
  sdb_journal_scan_free(&scan);
  sdb_free(load.bad);
  if (rc != SEQDB_OK) sdb_recovered_free(out, names);
  return rc;
}
