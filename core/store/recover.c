/* SPDX-License-Identifier: MIT
**
** recover.c: see recover.h.  The steps have the numbers of FORMAT.md 5, Reading; step 5 is sdb_checkpoint_recovered().
** Steps 1 to 3 go through the journal once, record by record: what is held is what the records come to, not what they
** say.  Nothing is written here: a crash leaves what was there, and the next recovery finds the same.
*/
#include "store/recover.h"

#include "base/check.h"
#include "files/journal_scan.h"
#include "os/os.h"
#include "pure/branches.h"
#include "pure/indexes.h"
#include "space/tree_file.h"
#include "store/claims.h"
#include "txn/delta.h"

#define COUNT_MAX      ((uint64_t)1 << 47)         /* of generations and sequences; the board has room for these */
#define GENERATION_OFF (SDB_ENTRY_TRAILER_OFF + 8) /* of an entry, within its page */

/* A recovery under way. */
struct recovery {
  const sdb_recover_from *from;
  sdb_recovered *out;
  bool has_journal;
  enum sdb_journal_state state; /* of its headers */
  sdb_journal_scan scan;
  sdb_regions_load load;
  sdb_tree base;          /* what `regions` says, before redo */
  sdb_record_header last; /* the last record that counts */
  bool any_counts;
  size_t named_capacity;
  uint64_t unasked_bytes; /* read since the user was asked whether to go on */
  const sdb_op *op;
  bool differ;           /* entries are not those that it knew, or the header if none counts */
  sdb_branches branches; /* of version 2 */
  size_t done;           /* of them */
  int asked;             /* what asking an SQLite file returned */
};

void sdb_recovered_free(sdb_recovered *recovered, sdb_names *names) {
  sdb_tree_drop(&recovered->tree, names);
  sdb_patch_clear(&recovered->overlay);
  sdb_free(recovered->named);
  recovered->named = NULL;
  sdb_free(recovered->extents);
  recovered->extents = NULL;
  sdb_damage_free(&recovered->damage);
}

/* ---- may it go on? */

#define ASK_BYTES  ((uint64_t)1 << 20) /* of journal, between two questions */
#define ASK_RANGES 1024u               /* of one record */

static int ask(void *context, const sdb_op *op) {
  struct recovery *r = context;
  const sdb_recover_from *from = r->from;
  r->unasked_bytes = 0;
  if (!from->interrupt || !from->interrupt(from->interrupt_context)) return SEQDB_OK;
  return sdb_error_set(op, SEQDB_INTERRUPTED, NULL, 0, "%s: interrupted while recovering", op->operation);
}

/* ---- step 2: decide */

/* A prepare counts unless the record after it drops it. The last one is undecided: it counts too, unless a coordinator
** decides about it and the caller speaks for that one. */
static bool is_kept(struct recovery *r, const sdb_journal_record *record) {
  if (record->header->version > 1) return r->branches.items[r->done++].kept;
  if (record->header->kind != SDB_RECORD_PREPARE) return true;
  if (record->next) return record->next->flags & SDB_RECORD_KEEP;
  return !(r->from->resolve_drop && record->header->coordinator_bytes);
}

static int collect(void *context, const sdb_journal_record *record) {
  struct recovery *r = context;
  r->unasked_bytes += record ? record->header->bytes : ASK_BYTES;
  int rc = r->unasked_bytes < ASK_BYTES ? SEQDB_OK : ask(r, r->op);
  if (rc != SEQDB_OK || !record) return rc;
  return sdb_branches_add(&r->branches, record->header) == SEQDB_OK ? rc : sdb_error_nomem(r->op);
}

/* Does the file say that it has no commit after the settled state? */
static bool is_before(const struct recovery *r, size_t settled, const sdb_file_uuid *file, const sdb_token *token) {
  const sdb_claim *claim = sdb_journal_header_claim(&r->from->journal->header, file);
  sdb_token last = {{0}};
  if (claim) last = claim->settled;
  for (size_t i = 0; i < settled; i++)
    if (memcmp(&r->branches.items[i].file, file, sizeof *file) == 0 && r->branches.items[i].kept)
      last = r->branches.items[i].token;
  return sdb_token_is(&last, token);
}

/* The file's answer as a state: true and *tip, or nobody can tell. */
static bool ask_file(struct recovery *r, size_t settled, const sdb_file_uuid *file, size_t *tip) {
  const sdb_recover_from *from = r->from;
  const sdb_claim *claim = sdb_journal_header_claim(&from->journal->header, file);
  seqdb_question question = {0};
  sdb_token token;
  memcpy(question.directory, from->journal->header.uuid, sizeof question.directory);
  if (claim) sdb_claim_give(claim, &question.claim);
  memcpy(question.claim.file, file, sizeof question.claim.file);
  r->asked = from->committed ? from->committed(from->committed_context, &question, token.bytes) : SEQDB_NOTFOUND;
  if (r->asked != SEQDB_OK) return false;
  size_t at = sdb_branches_find(&r->branches, &token);
  bool candidate = at > settled && memcmp(&r->branches.items[at - 1].file, file, sizeof *file) == 0;
  *tip = candidate ? at : settled;
  return candidate || is_before(r, settled, file, &token);
}

/* Which state it is (T2): the token in the SQLite file's row, with its ancestors. */
static void choose(struct recovery *r) {
  const sdb_recover_from *from = r->from;
  const sdb_branches *all = &r->branches;
  sdb_recovered *out = r->out;
  size_t count = all->count, tip = sdb_branches_last(all, from->resolve_drop), settled = tip;
  const sdb_branch *last = count ? &all->items[count - 1] : NULL;
  bool files = last && !sdb_file_is_none(&last->file);
  if (files) {
    settled = sdb_branches_find(all, &last->settled);
    sdb_branches_keep(&r->branches, settled);
    out->candidates = last->file;
    bool told = ask_file(r, settled, &last->file, &tip), forced = from->resolve_keep || from->resolve_drop;
    out->blind = !told && !forced;
    if (!told) tip = from->resolve_keep ? count : settled;
    if (forced) settled = tip;
    out->candidate_count = (uint32_t)(count - settled);
    out->dead_behind = tip < count && !forced;
  }
  out->settled = settled ? all->items[settled - 1].token : from->journal->header.base_token;
  out->settled_generation = settled ? all->items[settled - 1].generation : from->journal->header.base_generation;
  out->tip_at = tip ? all->items[tip - 1].position : 0;
  sdb_branches_keep(&r->branches, tip);
}

/* ---- step 3: redo, in memory */

static int redo_put(const struct recovery *r, const sdb_record_put *put, uint64_t generation) {
  sdb_entry_image image = {.start = put->start,
                           .length = put->length,
                           .reserved = put->reserved,
                           .generation = generation,
                           .created = put->created,
                           .has_trailer = true,
                           .name_bytes = put->name_bytes,
                           .name = put->name};
  return sdb_tree_put_image(&r->out->tree, r->from->names, 1, put->index, &image);
}

/* Epoch 1 keeps `base` unchanged: its nodes are of epoch 0. */
static int redo_record(struct recovery *r, const sdb_journal_record *record) {
  const sdb_record_header *header = record->header;
  sdb_recovered *out = r->out;
  uint64_t cursor = 0;
  int rc = SEQDB_OK;
  uint32_t index;
  sdb_record_put put;
  sdb_record_range range;
  while (rc == SEQDB_OK && sdb_record_next_delete(record->record, header, &cursor, &index))
    rc = sdb_tree_remove(&out->tree, r->from->names, 1, index);
  cursor = 0;
  while (rc == SEQDB_OK && sdb_record_next_put(record->record, header, &cursor, &put))
    rc = redo_put(r, &put, header->generation);
  cursor = 0;
  for (uint32_t i = 1; rc == SEQDB_OK && sdb_record_next_range(record->record, header, &cursor, &range); i++) {
    rc = sdb_patch_write(&out->overlay, range.offset, range.data, (size_t)range.bytes);
    if (rc == SEQDB_OK && i % ASK_RANGES == 0) rc = ask(r, r->op);
  }
  if (header->kind == SDB_RECORD_PREPARE || header->generation > out->generation) { /* else it only decides */
    out->tip = header->token;
    out->tip_file = header->file;
    out->tip_durability = header->durability;
    sdb_journal_header_note(&r->from->journal->header, &header->file, &header->token);
  }
  out->generation = header->generation;
  return rc;
}

/* Room for `more` entries in the list.  Entries that stand in it twice go before it grows. */
static int named_room(struct recovery *r, size_t more) {
  sdb_recovered *out = r->out;
  if (more <= r->named_capacity - out->named_count) return SEQDB_OK;
  out->named_count = sdb_indexes_sort(out->named, out->named_count);
  if (more <= r->named_capacity / 2 && out->named_count <= r->named_capacity / 2) return SEQDB_OK;
  size_t capacity = 2 * (out->named_count + more);
  uint32_t *grown = sdb_realloc(out->named, capacity * sizeof *grown);
  if (!grown) return SEQDB_NOMEM;
  out->named = grown;
  r->named_capacity = capacity;
  return SEQDB_OK;
}

/* Entries of kept records only: nothing else is ever written to `regions`. */
static int collect_named(struct recovery *r, const sdb_journal_record *record) {
  const sdb_record_header *header = record->header;
  sdb_recovered *out = r->out;
  uint64_t cursor = 0;
  uint32_t index;
  sdb_record_put put;
  if (named_room(r, (size_t)header->puts + header->deletes) != SEQDB_OK) return SEQDB_NOMEM;
  while (sdb_record_next_delete(record->record, header, &cursor, &index))
    out->named[out->named_count++] = index;
  for (cursor = 0; sdb_record_next_put(record->record, header, &cursor, &put);)
    out->named[out->named_count++] = put.index;
  return SEQDB_OK;
}

static int take_record(void *context, const sdb_journal_record *record) {
  struct recovery *r = context;
  sdb_recovered *out = r->out;
  r->unasked_bytes += record ? record->header->bytes : ASK_BYTES;
  int rc = r->unasked_bytes < ASK_BYTES ? SEQDB_OK : ask(r, r->op);
  if (rc != SEQDB_OK || !record) return rc;
  bool kept = is_kept(r, record); /* 2 */
  if (!record->next) {
    out->undecided = record->header->kind == SDB_RECORD_PREPARE && record->header->coordinator_bytes;
    out->kept_last = record->header->kind == SDB_RECORD_PREPARE && kept && sdb_file_is_none(&record->header->file);
  }
  if (!kept) return SEQDB_OK;
  r->last = *record->header;
  r->any_counts = true;
  rc = collect_named(r, record);
  if (rc == SEQDB_OK) rc = redo_record(r, record); /* 3 */
  return rc == SEQDB_NOMEM ? sdb_error_nomem(r->op) : rc;
}

/* After a crash with sync=off entries may be newer than header and records: the next commit must be newer than they
** are. */
static void raise_generation(sdb_recovered *out) {
  uint64_t from = 0;
  uint32_t index;
  for (const sdb_entry *entry; (entry = sdb_tree_next(&out->tree, from, &index)); from = (uint64_t)index + 1)
    out->generation = SDB_MAX(out->generation, entry->generation);
}

/* What records carried for regions that were cut or removed later belongs to nobody: to write it could need room that
** was given back (R12). */
static int cut_overlay(sdb_recovered *out) {
  const sdb_tree nothing = {0};
  sdb_delta all;
  if (out->overlay.count == 0) return SEQDB_OK;
  int rc = sdb_delta_collect(&all, &nothing, &out->tree);
  if (rc != SEQDB_OK) return rc;
  rc = sdb_delta_cut_patch(&all, &out->overlay);
  sdb_delta_free(&all);
  return rc;
}

static bool is_named(const sdb_recovered *out, uint32_t index) {
  return sdb_indexes_have(out->named, out->named_count, index);
}

/* ---- step 4: checks, after redo */

/* A power cut in a checkpoint may keep the write of an entry and lose the growth of `regions` before it: any size past
** the header's, no guard.  Where the sums are right after redo nothing is missing. */
static bool lost_growth(const struct recovery *r) {
  uint64_t bytes = r->from->regions->pages * SDB_ENTRY_BYTES + r->load.odd_bytes;
  if (r->out->sync_was_off) return true;
  return r->out->records > 0 && !r->differ && bytes > r->from->journal->header.regions_bytes;
}

static int check_pages(const struct recovery *r) {
  sdb_recovered *out = r->out;
  const sdb_regions_load *load = &r->load;
  uint64_t pages = r->from->regions->pages;
  int rc = SEQDB_OK;
  for (size_t i = 0; i < load->bad_count && rc == SEQDB_OK; i++) {
    const sdb_bad_entry *bad = &load->bad[i];
    uint64_t at = (uint64_t)bad->index * SDB_ENTRY_BYTES + bad->at;
    if (is_named(out, bad->index)) continue; /* a record says what it should be */
    rc = sdb_damage_add(&out->damage, "regions", at, "regions: entry %u is damaged at byte %llu: %s", bad->index,
                        (unsigned long long)at, bad->why);
  }
  if (rc == SEQDB_OK && load->odd_bytes && !lost_growth(r))
    rc = sdb_damage_add(&out->damage, "regions", pages * SDB_ENTRY_BYTES,
                        "regions: its size leaves %llu bytes after entry %llu; neither whole entries nor a guard byte",
                        (unsigned long long)load->odd_bytes, (unsigned long long)pages);
  return rc;
}

static int check_overlaps(sdb_recovered *out, const sdb_owned_extent *extents, size_t count) {
  int rc = SEQDB_OK;
  uint64_t end = 0;
  uint32_t owner = 0;
  for (size_t i = 0; i < count && rc == SEQDB_OK; i++) {
    if (extents[i].start < end)
      rc = sdb_damage_add(&out->damage, "regions", (uint64_t)extents[i].index * SDB_ENTRY_BYTES,
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

/* A name that another entry has, too. */
static int check_name(const struct recovery *r, uint32_t index, const sdb_entry *entry) {
  char quoted[SDB_QUOTED_MAX];
  const char *text = sdb_name_text(entry->name);
  uint32_t bytes = sdb_name_bytes(entry->name), twin = index;
  if (!sdb_names_repeat(r->from->names)) return SEQDB_OK;
  bool found = sdb_tree_find(&r->out->tree, r->from->names, text, bytes, &twin);
  if (SDB_NEVER(!found) || twin == index) return SEQDB_OK;
  return sdb_damage_add(&r->out->damage, "regions", (uint64_t)index * SDB_ENTRY_BYTES,
                        "regions: entries %u and %u have the same name %s", twin, index,
                        sdb_quote_name(text, bytes, quoted));
}

/* An entry that no record names is older than the header. */
static int check_generation(const struct recovery *r, uint32_t index, const sdb_entry *entry) {
  char quoted[SDB_QUOTED_MAX];
  uint64_t base = r->from->journal->header.base_generation;
  if (!r->has_journal || r->out->sync_was_off || entry->generation <= base || is_named(r->out, index)) return SEQDB_OK;
  return sdb_damage_add(&r->out->damage, "regions", (uint64_t)index * SDB_ENTRY_BYTES + GENERATION_OFF,
                        "regions: entry %u (%s) is of generation %llu, newer than the journal's %llu", index,
                        sdb_name_quote(entry->name, quoted), (unsigned long long)entry->generation,
                        (unsigned long long)base);
}

/* Bytes that a record does not carry were durable in `data`, with its size, before the record was written. */
static int check_end(const struct recovery *r, uint32_t index, const sdb_entry *entry) {
  char quoted[SDB_QUOTED_MAX];
  uint64_t end = entry->start + entry->length, size = r->from->data_bytes;
  if (end <= size || r->out->sync_was_off) return SEQDB_OK;
  if (first_uncarried(&r->out->overlay, SDB_MAX(entry->start, size), end) == end) return SEQDB_OK;
  return sdb_damage_add(&r->out->damage, "data", size,
                        "data: region %s (entry %u) ends at byte %llu, the file ends at byte %llu",
                        sdb_name_quote(entry->name, quoted), index, (unsigned long long)end, (unsigned long long)size);
}

/* A page that a record names may be older than it, or as new: a checkpoint writes what the records say.  Nothing writes
** one that is newer. */
static int check_named(const struct recovery *r) {
  sdb_recovered *out = r->out;
  int rc = SEQDB_OK;
  for (size_t i = 0; i < out->named_count && rc == SEQDB_OK && !out->sync_was_off; i++) {
    const sdb_entry *entry = sdb_tree_get(&r->base, out->named[i]);
    if (entry && entry->generation > out->generation)
      rc = sdb_damage_add(&out->damage, "regions", (uint64_t)out->named[i] * SDB_ENTRY_BYTES + GENERATION_OFF,
                          "regions: entry %u is of generation %llu, newer than the journal's last, %llu", out->named[i],
                          (unsigned long long)entry->generation, (unsigned long long)out->generation);
  }
  return rc;
}

static int check_entry(const struct recovery *r, uint32_t index, const sdb_entry *entry) {
  int rc = check_name(r, index, entry);
  if (rc == SEQDB_OK) rc = check_generation(r, index, entry);
  return rc == SEQDB_OK ? check_end(r, index, entry) : rc;
}

static int check_entries(const struct recovery *r) {
  sdb_recovered *out = r->out;
  uint32_t base;
  uint64_t from = 0, used;
  int rc = sdb_tree_extents(&out->tree, &out->extents, &out->extent_count);
  if (rc == SEQDB_OK) rc = check_overlaps(out, out->extents, out->extent_count);
  for (const sdb_entry *leaf; rc == SEQDB_OK && (leaf = sdb_tree_leaf(&out->tree, from, &base, &used));
       from = (uint64_t)base + 64)
    for (; rc == SEQDB_OK && used; used &= used - 1) {
      unsigned at = sdb_lowest_bit(used);
      rc = check_entry(r, base + at, &leaf[at]);
    }
  return rc;
}

/* After redo the entries are those that the last record that counts knew, or the header if none does: however far a
** checkpoint had come, what a record names it has restored, and nothing writes the others. */
static bool sums_differ(const struct recovery *r) {
  const sdb_journal_header *header = &r->from->journal->header;
  uint64_t entries = r->any_counts ? r->last.entries : header->entries;
  uint64_t hash = r->any_counts ? r->last.entries_hash : header->entries_hash;
  return r->out->tree.entries != entries || r->out->tree.hash != hash;
}

/* The sizes of the files beside it.  A `regions` that only lacks free entries at its end is as good. */
static int check_sizes(const struct recovery *r, bool adopt) {
  const sdb_journal_header *h = &r->from->journal->header;
  const sdb_regions_file *regions = r->from->regions;
  uint64_t data = r->from->data_bytes, bytes = regions->pages * SDB_ENTRY_BYTES;
  bool unguarded = r->out->records == 0 && !regions->guarded; /* others may have changed it */
  int rc = SEQDB_OK;
  if (data < h->data_bytes && !adopt)
    rc = sdb_damage_add(&r->out->damage, "data", data, "data: the file has %llu bytes, the journal says at least %llu",
                        (unsigned long long)data, (unsigned long long)h->data_bytes);
  if (rc == SEQDB_OK && r->differ && !adopt && !unguarded && bytes < h->regions_bytes)
    rc = sdb_damage_add(&r->out->damage, "regions", bytes,
                        "regions: the file has %llu bytes, the journal says at least %llu", (unsigned long long)bytes,
                        (unsigned long long)h->regions_bytes);
  if (rc == SEQDB_OK && r->out->records > 0 && !regions->guarded && !lost_growth(r))
    rc = sdb_damage_add(&r->out->damage, "regions", bytes,
                        "regions: no guard byte at its end although the journal has records: it was replaced or cut");
  return rc;
}

/* What the header knows.  A crash without syncs may leave any of this: then it is no damage. */
static int check_header(const struct recovery *r) {
  const sdb_journal_header *h = &r->from->journal->header;
  sdb_recovered *out = r->out;
  bool adopt = r->from->adopt && r->differ && out->records == 0;
  if (h->sync_off && out->unclean) return SEQDB_OK;
  int rc = check_sizes(r, adopt);
  if (rc != SEQDB_OK || !r->differ || out->records > 0) return rc; /* with records: see check_sums() */
  out->differs = true;
  out->adopted = adopt;
  if (adopt) return rc;
  return sdb_damage_add(&out->damage, "regions", 0,
                        "regions: %llu entries differ from what the journal remembers (%llu entries): changed by "
                        "another program, or damaged%s",
                        (unsigned long long)out->tree.entries, (unsigned long long)h->entries,
                        out->damage.count ? "" : "; seqdb_adopt() accepts them"); /* not what is damaged */
}

/* With records the guard kept other programs out: adopt=1 is no answer. */
static int check_sums(const struct recovery *r) {
  sdb_recovered *out = r->out;
  if (!r->differ || out->records == 0 || out->sync_was_off || out->damage.count)
    return SEQDB_OK; /* or said in detail */
  uint64_t entries = r->any_counts ? r->last.entries : r->from->journal->header.entries;
  return sdb_damage_add(&out->damage, "regions", 0,
                        "regions: with the journal's records its %llu entries differ from the %llu of the last "
                        "commit: damaged, or of another time",
                        (unsigned long long)out->tree.entries, (unsigned long long)entries);
}

/* There is none, but `regions` was written with one. */
static int check_missing_journal(const struct recovery *r) {
  int rc = SEQDB_OK;
  if (r->has_journal) return rc;
  if (r->load.any_trailer)
    rc = sdb_damage_add(&r->out->damage, "journal", 0,
                        "journal: the file is missing although entries in regions were written with one");
  if (rc == SEQDB_OK && r->from->regions->guarded)
    rc =
        sdb_damage_add(&r->out->damage, "journal", 0, "journal: the file is missing although regions has a guard byte");
  return rc;
}

static int check_records(const struct recovery *r) {
  sdb_damage *damage = &r->out->damage;
  int rc = SEQDB_OK;
  if (r->state == SDB_JOURNAL_BAD)
    rc = sdb_damage_add(damage, "journal", 0, "journal: both header pages (bytes 0 and 4096) are damaged");
  bool first = r->from->journal->header.overlay && r->scan.count == 0;
  if (rc == SEQDB_OK && r->scan.damaged_at && !r->out->sync_was_off)
    rc = sdb_damage_add(
        damage, "journal", r->scan.damaged_at, "journal: the record at byte %llu is damaged although %s",
        (unsigned long long)r->scan.damaged_at, first ? "it was durable before its header" : "valid records follow it");
  if (rc == SEQDB_OK && r->scan.orphaned && !r->out->sync_was_off)
    rc = sdb_damage_add(damage, "journal", r->scan.orphaned,
                        "journal: the records from byte %llu on are newer than its header: the newer header page is "
                        "damaged",
                        (unsigned long long)r->scan.orphaned);
  return rc;
}

/* Generations and sequences count by ones from 1: beyond COUNT_MAX they are forged, and could come back to 0. */
static int check_counts(const struct recovery *r) {
  uint64_t generation = SDB_MAX(r->out->generation, r->out->settled_generation);
  uint64_t sequence = r->has_journal ? r->from->journal->header.sequence : 0;
  if (generation <= COUNT_MAX && sequence <= COUNT_MAX) return SEQDB_OK;
  return sdb_damage_add(&r->out->damage, "journal", 0,
                        "journal: generation %llu or sequence %llu is more than there can be",
                        (unsigned long long)generation, (unsigned long long)r->from->journal->header.sequence);
}

static int check(struct recovery *r) {
  r->differ = sums_differ(r);
  r->out->apart = r->load.odd_bytes || (r->out->sync_was_off && r->differ);
  int rc = check_pages(r);
  if (rc == SEQDB_OK) rc = check_missing_journal(r);
  if (rc == SEQDB_OK) rc = check_records(r);
  if (rc == SEQDB_OK && r->has_journal && r->state == SDB_JOURNAL_GOOD) rc = check_header(r);
  if (rc == SEQDB_OK) rc = check_counts(r);
  if (rc == SEQDB_OK) rc = check_named(r);
  if (rc == SEQDB_OK) rc = check_entries(r);
  return rc == SEQDB_OK ? check_sums(r) : rc;
}

/* ---- steps 1 to 3 */

/* Twice, from version 2 on: which count is known when all are. */
static int read_records(struct recovery *r, const sdb_op *op) {
  sdb_journal *journal = r->from->journal;
  sdb_journal again = *journal;
  const sdb_journal_place place = {journal->header.base_generation, journal->header.base_token};
  bool second = journal->header.version > 1;
  int rc = sdb_journal_scan_records(journal, &r->scan, second ? collect : take_record, r, op);
  if (rc != SEQDB_OK || !second) return rc;
  choose(r);
  if (r->asked == SEQDB_NOMEM) return sdb_error_nomem(op);
  if (r->asked == SEQDB_INTERRUPTED)
    return sdb_error_set(op, SEQDB_INTERRUPTED, NULL, 0, "%s: interrupted while recovering", op->operation);
  if (r->asked == SEQDB_BUSY)
    return sdb_error_set(op, SEQDB_BUSY, "journal", 0,
                         "database is locked: the SQLite file that decides about the last commits is in use");
  if (r->asked == SEQDB_IO)
    return sdb_error_set(op, SEQDB_IO, "journal", 0,
                         "%s: cannot read the SQLite file that decides about the last commits", op->operation);
  return sdb_journal_follow(&again, &place, journal->tail, take_record, r, op);
}

/* May `catalog` be believed?  Only after a clean close, and if nobody has changed `regions` since (FORMAT.md 8). */
static bool catalog_counts(const struct recovery *r, const sdb_catalog_head *head) {
  const sdb_recover_from *from = r->from;
  sdb_os_stamp stamp;
  return !from->regions->guarded && !from->journal->header.sync_off &&
         sdb_catalog_head_is_of(head, &from->journal->header) && sdb_os_stamp_of(from->regions->fd, &stamp) == 0 &&
         sdb_catalog_head_has_stamp(head, &stamp);
}

/* The entries, from `catalog` if that can be, else from `regions`. */
static int read_entries(struct recovery *r, bool has_header, const sdb_op *op) {
  const sdb_recover_from *from = r->from;
  sdb_recovered *out = r->out;
  sdb_catalog_file file;
  int rc = SEQDB_OK;
  if (has_header && sdb_catalog_file_open(from->dir, &file)) {
    if (catalog_counts(r, &file.head)) rc = sdb_tree_load_catalog(&out->tree, from->names, 0, &file, &r->load, op);
    sdb_os_close(file.fd);
    out->catalog = file.head;
    out->listed = out->tree.entries > 0;
  }
  return rc == SEQDB_OK && !out->listed ? sdb_tree_load(&out->tree, from->names, from->regions, &r->load, op) : rc;
}

static int read_all(struct recovery *r, const sdb_op *op) {
  const sdb_recover_from *from = r->from;
  sdb_recovered *out = r->out;
  r->load.ask = ask;
  r->load.ask_context = r;
  int rc = sdb_regions_measure(from->regions, &r->load, op);
  if (rc == SEQDB_OK && r->has_journal) rc = sdb_journal_read(from->journal, &r->state, op);
  bool good = r->has_journal && r->state == SDB_JOURNAL_GOOD;
  if (rc == SEQDB_OK) rc = read_entries(r, good, op);
  if (rc != SEQDB_OK) return rc;
  r->base = sdb_tree_share(&out->tree);
  if (good) {
    out->generation = from->journal->header.base_generation;
    out->tip = from->journal->header.base_token;
    out->tip_file = from->journal->header.base_file;
  }
  if (good) rc = read_records(r, op);
  if (!good || from->journal->header.version == 1) {
    out->settled = out->tip;
    out->settled_generation = out->generation;
  }
  out->named_count = sdb_indexes_sort(out->named, out->named_count);
  out->records = r->scan.count;
  out->unclean = from->regions->guarded || r->scan.count > 0;
  out->sync_was_off = out->unclean && good && from->journal->header.sync_off;
  if (rc == SEQDB_OK && out->sync_was_off) raise_generation(out);
  return rc;
}

/* ---- all of it */

int sdb_recover(const sdb_recover_from *from, sdb_recovered *out, const sdb_op *op) {
  struct recovery r = {
      .from = from, .out = out, .has_journal = from->journal->fd >= 0, .state = SDB_JOURNAL_GOOD, .op = op};
  memset(out, 0, sizeof *out);
  sdb_patch_init(&out->overlay);
  int rc = read_all(&r, op); /* 1 to 3 */
  if (rc == SEQDB_OK) {
    rc = cut_overlay(out);
    if (rc == SEQDB_OK) rc = check(&r); /* 4 */
    if (rc == SEQDB_NOMEM) rc = sdb_error_nomem(op);
  }
  sdb_tree_drop(&r.base, from->names);
  sdb_free(r.load.bad);
  sdb_branches_free(&r.branches);
  if (rc != SEQDB_OK) sdb_recovered_free(out, from->names);
  return rc;
}
