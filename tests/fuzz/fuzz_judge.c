/* SPDX-License-Identifier: MIT
**
** fuzz_judge.c: opens damaged files and says whether the engine did what it must.  See fuzz.h.
**
** Whatever the files hold: no crash, no hang, the same answer twice (through the mapping and without), a read-only
** handle and a damaged database write nothing, and what opens healthy can be written, closed and opened again.
**
** What may be lost without a word:
**   - If no byte was forged (no checksum made right again): nothing but the tail.  The database shows a state that its
**     journal leads to, and every record that this state lacks was touched; nothing tells a damaged last record from
**     one that a power cut has torn.
**   - If something was forged: whatever the bytes may rightly say.  But a region whose entry is untouched and that no
**     whole record names is there, with its bytes.
** Bytes of `data` have no checksum: where they were changed, any content is right.
** THREADS: one.
*/
#include <stdio.h>
#include <stdlib.h>
#include "fuzz.h"
#include "disk/os_faults.h"
#include "disk/os_sim.h"

#define PAGE ((size_t)SDB_PAGE)

/* ---- the case */

void fuzz_case_read(fuzz_case *c, const uint8_t *bytes, size_t count, unsigned kinds) {
  static const unsigned resolves[] = {0, 0, SEQDB_OPEN_RESOLVE_KEEP, SEQDB_OPEN_RESOLVE_DROP};
  fuzz_input input = {bytes, bytes + count};
  memset(c, 0, sizeof *c);
  c->base = fuzz_base_get(fuzz_u8(&input) % fuzz_base_count());
  uint16_t options = fuzz_u16(&input);
  c->flags = (options & 1 ? SEQDB_OPEN_NO_MMAP : 0) | (options & 2 ? SEQDB_OPEN_CREATE : 0) |
             (options & 4 ? SEQDB_OPEN_SYNC_OFF : 0) | resolves[options >> 3 & 3] |
             ((options & 0xe0) == 0xe0 ? SEQDB_OPEN_ADOPT : 0);
  c->cut = options & 0x100;
  c->small_window = options & 0x200;
  c->seed = options;
  fuzz_disk_copy(&c->disk, &c->base->now);
  if (!(kinds & FUZZ_DAMAGE_CATALOG)) c->disk.file[FUZZ_CATALOG].missing = true;
  fuzz_damage(&c->disk, c->base, kinds, &input);
  c->copy_only = kinds == FUZZ_DAMAGE_CATALOG && !c->base->now.file[FUZZ_JOURNAL].missing;
  c->workload = input;
}

void fuzz_case_free(fuzz_case *c) {
  fuzz_disk_free(&c->disk);
}

/* ---- what was touched, what was forged */

static bool same_bytes(const fuzz_file *a, const fuzz_file *b, uint64_t at, uint64_t count) {
  uint64_t end = at + count, both = SDB_MIN(end, SDB_MIN(a->stored, b->stored));
  if (SDB_MIN(a->size, end) != SDB_MIN(b->size, end)) return false;
  if (at < both && memcmp(a->bytes + at, b->bytes + at, (size_t)(both - at)) != 0) return false;
  const fuzz_file *longer = a->stored > b->stored ? a : b;
  for (uint64_t i = SDB_MAX(at, both); i < SDB_MIN(end, longer->stored); i++)
    if (longer->bytes[i] != 0) return false;
  return true;
}

static const fuzz_file *before(const fuzz_case *c, int which) {
  return &c->base->now.file[which];
}

static bool page_touched(const fuzz_case *c, uint32_t index) {
  const fuzz_file *regions = &c->disk.file[FUZZ_REGIONS];
  return regions->missing || !same_bytes(regions, before(c, FUZZ_REGIONS), index * PAGE, PAGE);
}

static bool record_touched(const fuzz_case *c, size_t k) {
  const fuzz_file *journal = &c->disk.file[FUZZ_JOURNAL];
  return journal->missing ||
         !same_bytes(journal, before(c, FUZZ_JOURNAL), c->base->record[k].at, c->base->record[k].bytes);
}

static bool entry_forged(const fuzz_case *c) {
  const fuzz_file *regions = &c->disk.file[FUZZ_REGIONS];
  uint8_t page[SDB_ENTRY_BYTES];
  for (uint32_t i = 0; i < regions->size / PAGE && i * PAGE < regions->stored; i++) {
    sdb_entry_image entry;
    uint32_t at;
    const char *why;
    if (!page_touched(c, i)) continue;
    fuzz_get(regions, i * PAGE, page, sizeof page);
    if (sdb_entry_decode(page, i, &entry, &at, &why) == SDB_ENTRY_USED) return true;
  }
  return false;
}

static bool header_forged(const fuzz_case *c) {
  const fuzz_file *journal = &c->disk.file[FUZZ_JOURNAL];
  uint8_t page[SDB_JOURNAL_HEADER_BYTES];
  for (uint64_t i = 0; i < 2; i++) {
    sdb_journal_header header;
    fuzz_get(journal, i * PAGE, page, sizeof page);
    if (sdb_journal_header_decode(page, &header) == SDB_HEADER_DAMAGED) continue;
    if (!same_bytes(journal, before(c, FUZZ_JOURNAL), i * PAGE, PAGE)) return true;
  }
  return false;
}

static bool record_forged(const fuzz_case *c) {
  const fuzz_file *journal = &c->disk.file[FUZZ_JOURNAL];
  uint64_t at[256];
  size_t count = fuzz_list_records(journal, at, 256);
  for (size_t i = 0; i < count; i++) {
    sdb_record_header header;
    uint8_t *record;
    if (!fuzz_whole_record(journal, at[i], &header, &record)) continue;
    free(record);
    if (!same_bytes(journal, before(c, FUZZ_JOURNAL), at[i], header.bytes)) return true;
  }
  return false;
}

static bool forged(const fuzz_case *c) {
  return entry_forged(c) || header_forged(c) || record_forged(c);
}

/* ---- contents */

/* Equal, but for bytes of `data` that were changed.  Bytes that were cut off are an excuse only with sync=off. */
static bool same_content(const fuzz_case *c, const fuzz_region *a, const fuzz_region *b) {
  const fuzz_file *now = &c->disk.file[FUZZ_DATA], *was = before(c, FUZZ_DATA);
  if (a->length != b->length) return false;
  if (b->start + b->length > now->size && (c->base->sync_off || header_forged(c))) return true;
  if (a->digest == b->digest) return true;
  if (!a->content || !b->content) return false;
  for (uint64_t i = 0; i < a->length; i++) {
    uint64_t at = b->start + i;
    if (a->content[i] == b->content[i]) continue;
    if (at >= now->size || fuzz_byte(now, at) == fuzz_byte(was, at)) return false;
  }
  return true;
}

/* The first difference; NULL if there is none. */
static const char *difference(const fuzz_case *c, const fuzz_state *got, const fuzz_state *want) {
  static char text[80];
  const char *what = NULL;
  if (got->count != want->count) return "the number of regions";
  for (size_t i = 0; i < got->count && !what; i++) {
    const fuzz_region *a = &got->region[i], *b = &want->region[i];
    if (a->index != b->index)
      what = "index";
    else if (a->start != b->start || a->reserved != b->reserved)
      what = "extent";
    else if (a->name_bytes != b->name_bytes || memcmp(a->name, b->name, a->name_bytes) != 0)
      what = "name";
    else if (!same_content(c, a, b))
      what = "content";
    if (what) snprintf(text, sizeof text, "%s of entry %u", what, b->index);
  }
  return what ? text : NULL;
}

/* ---- nothing forged: a state of before, and only touched records are missing */

static bool judge_honest(const fuzz_case *c, const fuzz_state *got) {
  size_t first = c->base->records;
  while (first > 0 && record_touched(c, first - 1))
    first--;
  const fuzz_state *states = c->base->state[(c->flags & SEQDB_OPEN_RESOLVE_DROP) != 0];
  for (size_t k = first; k <= c->base->records; k++)
    if (!difference(c, got, &states[k])) return true;
  return fuzz_wrong(
      "silently lost or changed: no state with at least %zu of %zu records is so; in the newest, %s differs", first,
      c->base->records, difference(c, got, &states[c->base->records]));
}

/* ---- something forged: what nobody spoke of is there */

static bool record_names(const uint8_t *record, const sdb_record_header *header, uint32_t index) {
  uint64_t cursor = 0;
  uint32_t deleted;
  sdb_record_put put;
  while (sdb_record_next_delete(record, header, &cursor, &deleted))
    if (deleted == index) return true;
  for (cursor = 0; sdb_record_next_put(record, header, &cursor, &put);)
    if (put.index == index) return true;
  return false;
}

static bool record_covers(const uint8_t *record, const sdb_record_header *header, const fuzz_region *region) {
  uint64_t cursor = 0;
  sdb_record_range range;
  while (sdb_record_next_range(record, header, &cursor, &range))
    if (range.offset < region->start + region->reserved && region->start < range.offset + range.bytes) return true;
  return false;
}

/* Does any whole record in this journal speak of the region? */
static bool spoken_of(const fuzz_file *journal, const fuzz_region *region) {
  uint64_t at[256];
  size_t count = fuzz_list_records(journal, at, 256);
  bool found = false;
  for (size_t i = 0; i < count && !found; i++) {
    sdb_record_header header;
    uint8_t *record;
    if (!fuzz_whole_record(journal, at[i], &header, &record)) continue;
    found = record_names(record, &header, region->index) || record_covers(record, &header, region);
    free(record);
  }
  return found;
}

static bool judge_forged(const fuzz_case *c, const fuzz_state *got) {
  const fuzz_state *want = &c->base->state[0][0];
  for (size_t i = 0; i < want->count; i++) {
    const fuzz_region *region = &want->region[i];
    if (page_touched(c, region->index) || spoken_of(&c->disk.file[FUZZ_JOURNAL], region) ||
        spoken_of(before(c, FUZZ_JOURNAL), region))
      continue;
    const fuzz_region *found = fuzz_find(got, region->name, region->name_bytes);
    if (!found || found->index != region->index || found->start != region->start)
      return fuzz_wrong("untouched entry %u is gone, and check says ok", region->index);
    if (!same_content(c, found, region))
      return fuzz_wrong("untouched entry %u has other bytes, and check says ok", region->index);
  }
  return true;
}

/* ---- all of it */

static bool judge_state(const fuzz_case *c, const fuzz_state *got) {
  if (c->copy_only && (got->rc != SEQDB_OK || got->problems)) return fuzz_wrong("a damaged catalog does harm");
  if (got->rc != SEQDB_OK || got->problems) return true; /* it was said */
  if (forged(c) || c->base->sync_off || c->disk.file[FUZZ_JOURNAL].missing) return judge_forged(c, got);
  return judge_honest(c, got);
}

static bool nothing_written(const char *who) {
  return sdb_sim_unsynced() == 0 ? true : fuzz_wrong("%s changed the files", who);
}

/* But for the board, where whoever comes to write meets the others. */
static bool only_lock_written(const char *who) {
  sdb_sim_entry entry;
  for (size_t i = 0; sdb_sim_list(FUZZ_DIR, i, &entry) == 0; i++) {
    bool known = !strcmp(entry.name, "data") || !strcmp(entry.name, "regions") || !strcmp(entry.name, "journal") ||
                 !strcmp(entry.name, "catalog");
    if (strcmp(entry.name, "lock") != 0 && (!known || entry.unsynced))
      return fuzz_wrong("%s changed the file %s", who, entry.name);
  }
  return true;
}

static bool same_answer(const fuzz_state *a, const fuzz_state *b) {
  return a->rc == b->rc && a->problems == b->problems && a->problems_digest == b->problems_digest &&
         fuzz_same_regions(a, b);
}

/* The handle that writes: refused, or the same state, and then work. */
static bool judge_writing(const fuzz_case *c, const fuzz_state *seen) {
  seqdb_options options = {.size_bytes = sizeof options, .flags = c->flags};
  fuzz_state state = {0};
  seqdb_error error = SEQDB_ERROR_INIT;
  seqdb *db = NULL;
  bool ok, healthy = seen->rc == SEQDB_OK && seen->problems == 0;
  int rc = seqdb_open(FUZZ_DIR, &options, &error, &db);
  if (rc != SEQDB_OK) {
    /* Recovery may ask for more than the disk holds. */
    if (healthy && rc != SEQDB_FULL) return fuzz_wrong("reads well and cannot be written: %s", error.message);
    return true;
  }
  ok = fuzz_look_at(db, &state);
  if (ok && !(c->flags & SEQDB_OPEN_ADOPT)) ok = judge_state(c, &state);
  if (ok && healthy && !fuzz_same_regions(seen, &state)) ok = fuzz_wrong("shows something else when it may be written");
  if (ok && healthy && state.problems) ok = fuzz_wrong("reads well and is damaged when it may be written");
  /* What was adopted is owed to a full disk: the next handle would have to adopt it again. */
  bool owed = c->flags & SEQDB_OPEN_ADOPT && state.problems == 0 && seqdb_checkpoint(db) == SEQDB_FULL;
  seqdb_close(db);
  if (ok && state.problems) ok = only_lock_written("opening a damaged database for writing");
  if (ok && state.problems == 0 && !owed) ok = fuzz_work(c, &state);
  fuzz_state_free(&state);
  return ok;
}

static fuzz_state first; /* what was seen */

const fuzz_state *fuzz_seen(void) {
  return &first;
}

bool fuzz_judge(const fuzz_case *c) {
  fuzz_state second = {0};
  unsigned flags =
      SEQDB_OPEN_READONLY | SEQDB_OPEN_IMMUTABLE | (c->flags & (SEQDB_OPEN_NO_MMAP | SEQDB_OPEN_RESOLVE_DROP));
  sdb_fault_lives lives;
  sdb_fault_set_random(c->seed + 1000);
  sdb_fault_set_map_window(c->small_window ? 65536 : (uint64_t)64 << 20);
  fuzz_state_free(&first);
  fuzz_disk_store(&c->disk);
  bool ok = fuzz_look(flags, &first) && nothing_written("a read-only handle") && judge_state(c, &first);
  if (ok && !c->reading_only) {
    ok = fuzz_look(flags ^ SEQDB_OPEN_NO_MMAP, &second) && nothing_written("a read-only handle");
    if (ok && !same_answer(&first, &second)) ok = fuzz_wrong("opening twice gives two answers");
    if (ok) ok = judge_writing(c, &first);
  }
  sdb_fault_live(&lives);
  if (ok && (lives.memory || lives.handles || lives.maps)) ok = fuzz_wrong("memory, handles or mappings are left");
  fuzz_state_free(&second);
  return ok;
}
