/* SPDX-License-Identifier: MIT
**
** pure_format.c: entry pages, journal headers and records: round trips, damage, hostile values.
**
**   sdb_format_roundtrip SEED N     N random objects of each kind: what is decoded is what was encoded.  Result: N
**   sdb_format_corrupt SEED N       N objects of each kind: every byte changed, every cut, every wrong index, salt
**                                   and position: never accepted.  Result: changes tried
**   sdb_format_hostile SEED N       N records, every field and every number in them replaced by each hostile value,
**                                   then several at random, checksum made right: rejected, or sound in all that
**                                   decode promises.  Result: number accepted
**   sdb_entry_hostile               every field of an entry and each hostile value, checksum made right: the state
**                                   that the rules of FORMAT.md, written once more here, ask for.  Result: pages tried
**
** Buffers have the exact size of what is in them, so that AddressSanitizer sees a read one byte too far.
** THREADS: the interpreter's.
*/
#include "models/pure.h"

#include <stdlib.h>

#define PUTS_MAX        6
#define DELETES_MAX     6
#define RANGES_MAX      5
#define RANGE_BYTES_MAX 70

static const uint64_t hostile[] = {0,
                                   1,
                                   2,
                                   4095,
                                   4096,
                                   4097,
                                   8192,
                                   UINT16_MAX,
                                   INT32_MAX,
                                   UINT32_MAX,
                                   (uint64_t)UINT32_MAX + 1,
                                   (uint64_t)1 << 62,
                                   SDB_OFFSET_MAX - 8191,
                                   SDB_OFFSET_MAX - 4095,
                                   SDB_OFFSET_MAX,
                                   SDB_OFFSET_MAX + 1,
                                   INT64_MAX,
                                   (uint64_t)1 << 63,
                                   UINT64_MAX - 4095,
                                   UINT64_MAX};
#define HOSTILE_COUNT (sizeof hostile / sizeof hostile[0])

/* ---- random objects ---- */

static void random_entry(sdb_test_random *random, sdb_entry_image *e, char name[1024]) {
  *e = (sdb_entry_image){
      .start = sdb_test_random_pages(random, SDB_OFFSET_MAX / 8192), .name = name, .has_trailer = true};
  e->reserved = 4096 + sdb_test_random_pages(random, SDB_OFFSET_MAX / 8192 - 1);
  e->length = sdb_test_below(random, e->reserved + 1);
  e->generation = sdb_test_next(random);
  e->created = sdb_test_below(random, 3) == 0 ? 0 : sdb_test_next(random) % (e->generation | 1);
  e->name_bytes = (uint32_t)sdb_test_random_name(random, name, 1024);
}

static bool same_entry(const sdb_entry_image *a, const sdb_entry_image *b) {
  return a->start == b->start && a->length == b->length && a->reserved == b->reserved &&
         a->generation == b->generation && a->created == b->created && a->has_trailer == b->has_trailer &&
         a->name_bytes == b->name_bytes && memcmp(a->name, b->name, a->name_bytes) == 0;
}

/* A record together with what went into it. */
typedef struct sample {
  sdb_record_header header;
  sdb_record_sizes sizes;
  sdb_record_put puts[PUTS_MAX];
  uint32_t deletes[DELETES_MAX];
  sdb_record_range ranges[RANGES_MAX];
  char names[PUTS_MAX][1024];
  uint8_t data[RANGES_MAX][RANGE_BYTES_MAX];
  char coordinator[32];
  uint8_t *record; /* malloc'ed, header.bytes long */
} sample;

static uint32_t next_index(sdb_test_random *random, uint32_t index) {
  return (uint32_t)(((uint64_t)index + 1 + sdb_test_below(random, 1000)) % SDB_INDEX_MAX);
}

static void random_contents(sdb_test_random *random, sample *s) {
  uint32_t index = (uint32_t)sdb_test_next(random);
  s->sizes = (sdb_record_sizes){.version = s->header.version,
                                .coordinator_bytes = sdb_test_below(random, sizeof s->coordinator),
                                .puts = sdb_test_below(random, PUTS_MAX + 1),
                                .deletes = sdb_test_below(random, DELETES_MAX + 1),
                                .ranges = sdb_test_below(random, RANGES_MAX + 1)};
  memset(s->coordinator, 'c', sizeof s->coordinator);
  s->header.data_bytes = 0;
  for (size_t i = 0; i < s->sizes.puts; i++) {
    sdb_entry_image e;
    random_entry(random, &e, s->names[i]);
    e.name_bytes = (uint32_t)sdb_test_random_name(random, s->names[i], 60);
    index = next_index(random, index); /* may wrap: then not in order, but all different */
    e.created = s->header.version > 1 ? e.created % (s->header.generation | 1) : 0;
    s->puts[i] = (sdb_record_put){index, e.start, e.length, e.reserved, e.created, e.name_bytes, s->names[i]};
    s->sizes.put_name_bytes += e.name_bytes;
    s->header.data_bytes = SDB_MAX(s->header.data_bytes, e.start + e.reserved);
  }
  for (size_t i = 0; i < s->sizes.deletes; i++)
    s->deletes[i] = index = next_index(random, index);
  if (s->sizes.ranges > 0 && s->header.data_bytes == 0) s->header.data_bytes = 4096;
  for (size_t i = 0; i < s->sizes.ranges; i++) {
    uint64_t bytes = 1 + sdb_test_below(random, RANGE_BYTES_MAX);
    for (size_t j = 0; j < bytes; j++)
      s->data[i][j] = (uint8_t)sdb_test_next(random);
    s->ranges[i] = (sdb_record_range){sdb_test_below(random, s->header.data_bytes - bytes + 1), bytes, s->data[i]};
    s->sizes.range_bytes += bytes;
  }
}

/* It has ranges alone. */
static void make_overlay(sample *s) {
  s->header.kind = SDB_RECORD_OVERLAY;
  s->header.flags = 0;
  s->header.durability = 0;
  memset(&s->header.file, 0, sizeof s->header.file);
  s->sizes.coordinator_bytes = s->sizes.puts = s->sizes.put_name_bytes = s->sizes.deletes = 0;
}

/* In the reverse order every other time, to be sorted by seal. */
static void random_record(sdb_test_random *random, sample *s) {
  sdb_record_writer w;
  *s = (sample){.header = {.kind = (uint16_t)(1 + sdb_test_below(random, 2)),
                           .flags = (uint16_t)sdb_test_below(random, 2),
                           .salt = sdb_test_next(random),
                           .position = 8192 + 512 * sdb_test_below(random, 1000),
                           .generation = sdb_test_next(random),
                           .previous = sdb_test_next(random),
                           .entries = sdb_test_next(random),
                           .entries_hash = sdb_test_next(random)}};
  s->header.version = (uint32_t)(1 + sdb_test_below(random, 3) % 2);
  random_contents(random, s);
  sdb_test_random_16(random, s->header.token.bytes);
  if (s->header.version > 1) sdb_test_random_16(random, s->header.parent.bytes);
  if (s->header.version > 1 && sdb_test_below(random, 2) == 0) {
    sdb_test_random_16(random, s->header.file.bytes);
    s->header.file.bytes[0] |= 1;
    s->header.durability = (uint32_t)(1 + sdb_test_below(random, 6) + 16 * sdb_test_below(random, 8));
  }
  if (s->header.version > 1 && sdb_test_below(random, 4) == 0) make_overlay(s);
  s->record = malloc((size_t)sdb_record_size(&s->sizes));
  if (s->record == NULL) abort();
  bool reverse = sdb_test_below(random, 2) == 1;
  sdb_record_begin(&w, s->record, &s->sizes, s->coordinator);
  for (size_t i = 0; i < s->sizes.ranges; i++) {
    memcpy(sdb_record_add_range(&w, s->ranges[i].offset, s->ranges[i].bytes), s->data[i], s->ranges[i].bytes);
  }
  for (size_t i = 0; i < s->sizes.deletes; i++) {
    sdb_record_add_delete(&w, s->deletes[reverse ? s->sizes.deletes - 1 - i : i]);
  }
  for (size_t i = 0; i < s->sizes.puts; i++) {
    sdb_record_add_put(&w, &s->puts[reverse ? s->sizes.puts - 1 - i : i]);
  }
  sdb_record_seal(&w, &s->header);
}

/* ---- round trips ---- */

static const char *roundtrip_entry(sdb_test_random *random) {
  uint8_t page[SDB_ENTRY_BYTES], again[SDB_ENTRY_BYTES];
  char name[1024];
  sdb_entry_image e, got;
  uint32_t index = (uint32_t)sdb_test_next(random), at = 0;
  const char *why = NULL;
  random_entry(random, &e, name);
  if (sdb_test_below(random, 2) == 0) {
    e.has_trailer = false;
    e.generation = e.created = 0;
  }
  memset(page, 0xAA, sizeof page);
  sdb_entry_encode(page, index, &e);
  if (sdb_entry_decode(page, index, &got, &at, &why) != SDB_ENTRY_USED) return "entry is refused";
  if (!same_entry(&e, &got)) return "entry differs";
  if (sdb_entry_hash(index, &e) != sdb_entry_hash(index, &got)) return "entry's hash differs";
  if (sdb_entry_hash(index + 1, &e) == sdb_entry_hash(index, &e)) return "entry's hash ignores the index";
  memcpy(again, page, sizeof page);
  if (e.has_trailer) sdb_test_reseal_entry(again, index);
  return memcmp(again, page, sizeof page) == 0 ? NULL : "entry's checksum is not FORMAT.md's";
}

static const char *roundtrip_header(sdb_test_random *random) {
  uint8_t page[SDB_JOURNAL_HEADER_BYTES], again[SDB_JOURNAL_HEADER_BYTES];
  sdb_journal_header h, got;
  sdb_test_random_header(random, &h);
  memset(page, 0xAA, sizeof page);
  sdb_journal_header_encode(page, &h);
  if (sdb_journal_header_decode(page, &got) != SDB_HEADER_OK) return "header is refused";
  sdb_journal_header_encode(again, &got);
  if (memcmp(page, again, sizeof page) != 0) return "header differs";
  sdb_test_reseal_header(again);
  return memcmp(page, again, sizeof page) == 0 ? NULL : "header's checksum is not FORMAT.md's";
}

static const char *compare_record(const sample *s, const sdb_record_header *h) {
  uint64_t cursor = 0, count = 0;
  sdb_record_put put;
  sdb_record_range range;
  uint32_t index = 0;
  for (; sdb_record_next_put(s->record, h, &cursor, &put); count++) {
    size_t i = 0;
    while (i < s->sizes.puts && s->puts[i].index != put.index)
      i++;
    if (i == s->sizes.puts) return "unknown put";
    const sdb_record_put *p = &s->puts[i];
    if (put.start != p->start || put.length != p->length || put.reserved != p->reserved) return "put differs";
    if (put.created != p->created) return "created differs";
    if (put.name_bytes != p->name_bytes || memcmp(put.name, p->name, p->name_bytes) != 0) return "name differs";
  }
  if (count != s->sizes.puts) return "number of puts";
  for (cursor = count = 0; sdb_record_next_delete(s->record, h, &cursor, &index); count++) {
    size_t i = 0;
    while (i < s->sizes.deletes && s->deletes[i] != index)
      i++;
    if (i == s->sizes.deletes) return "unknown delete";
  }
  if (count != s->sizes.deletes) return "number of deletes";
  for (cursor = count = 0; sdb_record_next_range(s->record, h, &cursor, &range); count++) {
    const sdb_record_range *r = &s->ranges[count];
    if (range.offset != r->offset || range.bytes != r->bytes) return "range differs";
    if (memcmp(range.data, r->data, r->bytes) != 0) return "bytes of a range differ";
  }
  if (count != s->sizes.ranges) return "number of ranges";
  if (h->coordinator_bytes != s->sizes.coordinator_bytes) return "coordinator's size";
  const char *coordinator = sdb_record_coordinator(s->record, h);
  return memcmp(coordinator, s->coordinator, h->coordinator_bytes) == 0 ? NULL : "coordinator";
}

static const char *roundtrip_record(sdb_test_random *random) {
  sample s;
  sdb_record_header h;
  random_record(random, &s);
  uint32_t checksum_at = s.header.version == 1 ? 120 : 184;
  uint64_t checksum = sdb_get64(s.record + checksum_at);
  const char *problem = NULL;
  if (s.header.bytes != sdb_record_size(&s.sizes)) {
    problem = "record's size";
  } else if (!sdb_record_decode(s.record, s.header.bytes, s.header.salt, s.header.position, &h)) {
    problem = "record is refused";
  } else if (memcmp(&h.token, &s.header.token, sizeof h.token) != 0 || h.version != s.header.version ||
             memcmp(&h.parent, &s.header.parent, sizeof h.parent) != 0 ||
             memcmp(&h.file, &s.header.file, sizeof h.file) != 0 || h.durability != s.header.durability ||
             h.changes != 0 || h.kind != s.header.kind || h.flags != s.header.flags ||
             h.generation != s.header.generation || h.previous != s.header.previous ||
             h.data_bytes != s.header.data_bytes || h.entries != s.header.entries ||
             h.entries_hash != s.header.entries_hash || h.range_bytes != s.sizes.range_bytes ||
             h.checksum != checksum) {
    problem = "record's header differs";
  } else {
    problem = compare_record(&s, &h);
  }
  sdb_test_reseal_record(s.record, s.header.bytes);
  if (problem == NULL && checksum != sdb_get64(s.record + checksum_at))
    problem = "record's checksum is not FORMAT.md's";
  free(s.record);
  return problem;
}

static const char *roundtrip(sdb_test_random *random, uint64_t *count) {
  const char *problem = roundtrip_entry(random);
  if (problem == NULL) problem = roundtrip_header(random);
  if (problem == NULL) problem = roundtrip_record(random);
  ++*count;
  return problem;
}

/* ---- damage ---- */

static const char *corrupt_entry(sdb_test_random *random, uint64_t *tried) {
  uint8_t page[SDB_ENTRY_BYTES];
  char name[1024];
  sdb_entry_image e, got;
  uint32_t at = 0, index = (uint32_t)sdb_test_below(random, 1000);
  const char *why = NULL;
  random_entry(random, &e, name);
  sdb_entry_encode(page, index, &e);
  for (size_t i = 0; i < sizeof page; i++, ++*tried) {
    uint8_t flip = (uint8_t)(1 + sdb_test_below(random, 255));
    page[i] ^= flip;
    at = SDB_ENTRY_BYTES;
    if (sdb_entry_decode(page, index, &got, &at, &why) != SDB_ENTRY_DAMAGED) return "entry: a changed byte";
    if (at >= SDB_ENTRY_BYTES || why == NULL) return "entry: no place or reason given";
    page[i] ^= flip;
  }
  if (sdb_entry_decode(page, index + 1, &got, &at, &why) != SDB_ENTRY_DAMAGED) return "entry: wrong index";
  /* Without the trailer nothing guards the fields, but every byte that must be zero does. */
  e.has_trailer = false;
  e.generation = e.created = 0;
  sdb_entry_encode(page, index, &e);
  for (size_t i = 32 + e.name_bytes; i < sizeof page; i++, ++*tried) {
    page[i] = (uint8_t)(1 + sdb_test_below(random, 255));
    if (sdb_entry_decode(page, index, &got, &at, &why) != SDB_ENTRY_DAMAGED) return "rawdb entry: a changed zero";
    page[i] = 0;
  }
  return NULL;
}

static const char *corrupt_header(sdb_test_random *random, uint64_t *tried) {
  uint8_t page[SDB_JOURNAL_HEADER_BYTES];
  sdb_journal_header h, got;
  sdb_test_random_header(random, &h);
  sdb_journal_header_encode(page, &h);
  for (size_t i = 0; i < sizeof page; i++, ++*tried) {
    uint8_t flip = (uint8_t)(1 + sdb_test_below(random, 255));
    page[i] ^= flip;
    if (sdb_journal_header_decode(page, &got) != SDB_HEADER_DAMAGED) return "header: a changed byte";
    page[i] ^= flip;
  }
  for (size_t cut = 0; cut < sizeof page; cut += 512, ++*tried) { /* torn between sectors */
    uint8_t torn[SDB_JOURNAL_HEADER_BYTES] = {0};
    memcpy(torn, page, cut);
    if (sdb_journal_header_decode(torn, &got) != SDB_HEADER_DAMAGED) return "header: torn";
  }
  return NULL;
}

static bool accepts(const uint8_t *record, uint64_t bytes, const sample *s) {
  sdb_record_header h;
  return sdb_record_decode(record, bytes, s->header.salt, s->header.position, &h);
}

static const char *corrupt_record(sdb_test_random *random, uint64_t *tried) {
  sample s;
  sdb_record_header h;
  const char *problem = NULL;
  random_record(random, &s);
  for (uint64_t i = 0; i < s.header.bytes && problem == NULL; i++, ++*tried) {
    uint8_t flip = (uint8_t)(1 + sdb_test_below(random, 255));
    s.record[i] ^= flip;
    if (accepts(s.record, s.header.bytes, &s)) problem = "record: a changed byte";
    s.record[i] ^= flip;
  }
  for (uint64_t cut = 0; cut < s.header.bytes && problem == NULL; cut++, ++*tried) {
    uint8_t *part = malloc(cut > 0 ? (size_t)cut : 1);
    if (part == NULL) abort();
    memcpy(part, s.record, (size_t)cut);
    if (accepts(part, cut, &s)) problem = "record: cut";
    free(part);
  }
  if (problem == NULL && sdb_record_decode(s.record, s.header.bytes, s.header.salt + 1, s.header.position, &h)) {
    problem = "record: wrong salt";
  }
  if (problem == NULL && sdb_record_decode(s.record, s.header.bytes, s.header.salt, s.header.position + 512, &h)) {
    problem = "record: wrong position";
  }
  if (problem == NULL && !accepts(s.record, s.header.bytes, &s)) problem = "record: the test itself changed it";
  free(s.record);
  return problem;
}

static const char *corrupt(sdb_test_random *random, uint64_t *count) {
  const char *problem = corrupt_entry(random, count);
  if (problem == NULL) problem = corrupt_header(random, count);
  if (problem == NULL) problem = corrupt_record(random, count);
  return problem;
}

/* ---- hostile values ---- */

/* What decode promises of a record it accepts, asked of the walk over it. */
static bool sound_puts(const uint8_t *record, const sdb_record_header *h) {
  uint64_t cursor = 0, count = 0, before = 0;
  sdb_record_put p;
  for (; sdb_record_next_put(record, h, &cursor, &p); before = p.index, count++) {
    uint64_t name_at = (uint64_t)((const uint8_t *)p.name - record), deleted = 0;
    uint32_t index = 0;
    if (count > 0 && p.index <= before) return false;
    if (p.created > h->generation) return false;
    if (name_at < (h->version == 1 ? 128 : 192) || name_at > h->bytes || p.name_bytes > h->bytes - name_at)
      return false;
    if (!sdb_test_name_good((const uint8_t *)p.name, p.name_bytes)) return false;
    if (p.start % 4096 != 0 || p.reserved % 4096 != 0 || p.reserved == 0 || p.length > p.reserved) return false;
    if (p.start > h->data_bytes || p.reserved > h->data_bytes - p.start) return false;
    while (sdb_record_next_delete(record, h, &deleted, &index)) {
      if (index == p.index) return false;
    }
  }
  return count == h->puts;
}

static bool sound_second(const uint8_t *record, const sdb_record_header *h) {
  const sdb_file_uuid none = {{0}};
  const uint8_t *change = record + h->bytes - h->range_bytes - 16 * h->ranges - 24 * (uint64_t)h->changes;
  bool has_file = memcmp(&h->file, &none, sizeof none) != 0;
  if (h->durability > 0x7f || (h->durability & 15) > 6 || has_file != ((h->durability & 15) > 0)) return false;
  if (!has_file && h->durability) return false;
  for (uint64_t i = 0; i < h->changes; i++, change += 24) {
    if (sdb_get32(change) >= SDB_INDEX_MAX || sdb_get32(change + 4) < 1 || sdb_get32(change + 4) > 6) return false;
    if (sdb_get64(change + 16) > SDB_OFFSET_MAX) return false;
    if (sdb_get64(change + 8) > SDB_OFFSET_MAX - sdb_get64(change + 16)) return false;
  }
  return true;
}

static bool sound(const uint8_t *record, uint64_t bytes, const sdb_record_header *h) {
  uint64_t cursor = 0, count = 0, total = 0;
  uint32_t index = 0, before = 0;
  sdb_record_range r;
  if (h->bytes > bytes || h->kind < 1 || h->kind > 3 || h->flags > 1) return false;
  if (h->kind == 3 && (h->flags || h->puts || h->deletes || h->changes || h->coordinator_bytes)) return false;
  if (h->data_bytes > SDB_OFFSET_MAX || h->data_bytes % 4096 != 0) return false;
  for (; sdb_record_next_delete(record, h, &cursor, &index); before = index, count++) {
    if (count > 0 && index <= before) return false;
  }
  if (count != h->deletes) return false;
  for (cursor = count = 0; sdb_record_next_range(record, h, &cursor, &r); count++, total += r.bytes) {
    uint64_t at = (uint64_t)(r.data - record);
    if (r.bytes == 0 || at > h->bytes || r.bytes > h->bytes - at) return false;
    if (r.offset > h->data_bytes || r.bytes > h->data_bytes - r.offset) return false;
  }
  uint64_t coordinator_at = (uint64_t)((const uint8_t *)sdb_record_coordinator(record, h) - record);
  if (coordinator_at > h->bytes || h->coordinator_bytes > h->bytes - coordinator_at) return false;
  return count == h->ranges && total == h->range_bytes && sound_puts(record, h) && sound_second(record, h);
}

static void poke(uint8_t *p, size_t width, uint64_t value) {
  if (width == 8) {
    sdb_put64(p, value);
  } else {
    sdb_put32(p, (uint32_t)value);
  }
}

/* Replace `width` bytes at `at` by each hostile value, and by values beside the present one. */
static const char *hostile_field(sample *s, uint8_t *copy, uint64_t at, size_t width, uint64_t *accepted) {
  static const uint64_t beside[] = {
      1, 2, 8, 16, 40, 4096, UINT64_MAX, UINT64_MAX - 1, UINT64_MAX - 39, UINT64_MAX - 4095};
  uint64_t bytes = s->header.bytes, now = width == 8 ? sdb_get64(s->record + at) : sdb_get32(s->record + at);
  for (size_t i = 0; i < HOSTILE_COUNT + sizeof beside / sizeof beside[0]; i++) {
    sdb_record_header h;
    memcpy(copy, s->record, (size_t)bytes);
    poke(copy + at, width, i < HOSTILE_COUNT ? hostile[i] : now + beside[i - HOSTILE_COUNT]);
    sdb_test_reseal_record(copy, bytes);
    if (!sdb_record_decode(copy, bytes, s->header.salt, s->header.position, &h)) continue;
    ++*accepted;
    if (!sound(copy, bytes, &h)) return "an unsound record was accepted";
  }
  return NULL;
}

/* Two to four numbers at a time: the counts that decide where the parts of the record lie, what puts say about their
** names, and anything. */
static const char *hostile_fields(sdb_test_random *random, sample *s, uint8_t *copy, uint64_t *accepted) {
  static const uint8_t counts[] = {64, 68, 72, 80, 88, 96, 132, 136, 152, 156, 196, 200};
  uint64_t bytes = s->header.bytes;
  sdb_record_header h;
  memcpy(copy, s->record, (size_t)bytes);
  for (uint64_t n = 2 + sdb_test_below(random, 3); n > 0; n--) {
    uint64_t at = counts[sdb_test_below(random, sizeof counts)];
    if (at + 8 > bytes || sdb_test_below(random, 8) == 0) at = 4 * sdb_test_below(random, (bytes - 8) / 4 + 1);
    size_t width = at == 80 || at == 88 || at == 96 || at == 136 || at == 200 || sdb_test_below(random, 4) == 0 ? 8 : 4;
    uint64_t value = sdb_test_below(random, bytes + 64);
    if (sdb_test_below(random, 2) == 0) value = hostile[sdb_test_below(random, HOSTILE_COUNT)];
    poke(copy + at, width, value);
  }
  sdb_test_reseal_record(copy, bytes);
  if (!sdb_record_decode(copy, bytes, s->header.salt, s->header.position, &h)) return NULL;
  ++*accepted;
  return sound(copy, bytes, &h) ? NULL : "an unsound record was accepted";
}

static const char *hostile_record(sdb_test_random *random, uint64_t *accepted) {
  sample s;
  const char *problem = NULL;
  random_record(random, &s);
  uint8_t *copy = malloc((size_t)s.header.bytes);
  if (copy == NULL) abort();
  if (!sound(s.record, s.header.bytes, &s.header)) problem = "the sample is not sound";
  for (uint64_t at = 0; at + 4 <= s.header.bytes && problem == NULL; at += 4) {
    problem = hostile_field(&s, copy, at, 4, accepted);
    if (problem == NULL && at + 8 <= s.header.bytes) problem = hostile_field(&s, copy, at, 8, accepted);
  }
  for (int i = 0; i < 5000 && problem == NULL; i++)
    problem = hostile_fields(random, &s, copy, accepted);
  free(copy);
  free(s.record);
  return problem;
}

static bool model_entry_good(const uint64_t f[4]) {
  if (f[3] < 1 || f[3] > 1024 || f[0] % 4096 != 0 || f[2] % 4096 != 0) return false;
  return f[2] >= 4096 && f[1] <= f[2] && f[0] <= SDB_OFFSET_MAX && f[2] <= SDB_OFFSET_MAX - f[0];
}

static const char *hostile_entry(const uint64_t f[4]) {
  uint8_t page[SDB_ENTRY_BYTES] = {0};
  sdb_entry_image e;
  uint32_t at = SDB_ENTRY_BYTES;
  const char *why = NULL;
  for (size_t i = 0; i < 4; i++)
    sdb_put64(page + 8 * i, f[i]);
  memset(page + 32, 'n', (size_t)SDB_MIN(f[3], 4000));
  if (f[3] <= 4000) sdb_test_reseal_entry(page, 7);
  enum sdb_entry_state state = sdb_entry_decode(page, 7, &e, &at, &why);
  bool zero = (f[0] | f[1] | f[2] | f[3]) == 0;
  if (zero) return state == SDB_ENTRY_FREE ? NULL : "four zeros are a free entry";
  if (!model_entry_good(f)) {
    if (state != SDB_ENTRY_DAMAGED) return "a bad entry was accepted";
    return at < SDB_ENTRY_BYTES && why != NULL ? NULL : "no place or reason was given";
  }
  if (state != SDB_ENTRY_USED) return "a good entry was refused";
  return e.start == f[0] && e.length == f[1] && e.reserved == f[2] && e.name_bytes == f[3] ? NULL : "entry differs";
}

static const char *hostile_entries(uint64_t *tried) {
  static const uint64_t names[] = {0, 1, 1024, 1025, 4000, 4001, UINT32_MAX, (uint64_t)UINT32_MAX + 2, UINT64_MAX};
  const uint64_t n = HOSTILE_COUNT;
  const char *problem = NULL;
  for (uint64_t i = 0; i < n * n * n * (sizeof names / sizeof names[0]) && problem == NULL; i++, ++*tried) {
    const uint64_t f[4] = {hostile[i % n], hostile[i / n % n], hostile[i / n / n % n], names[i / n / n / n]};
    problem = hostile_entry(f);
  }
  return problem;
}

/* ---- commands ---- */

typedef const char *random_test(sdb_test_random *random, uint64_t *count);

static int random_cmd(random_test *run, Tcl_Interp *interp, int objc, Tcl_Obj *const objv[]) {
  Tcl_WideInt seed, steps, step = 0;
  uint64_t count = 0;
  const char *problem = NULL;
  if (objc != 3) {
    Tcl_WrongNumArgs(interp, 1, objv, "SEED N");
    return TCL_ERROR;
  }
  if (Tcl_GetWideIntFromObj(interp, objv[1], &seed) != TCL_OK) return TCL_ERROR;
  if (Tcl_GetWideIntFromObj(interp, objv[2], &steps) != TCL_OK) return TCL_ERROR;
  sdb_test_random random = {(uint64_t)seed};
  while (step < steps && problem == NULL) {
    step++;
    problem = run(&random, &count);
  }
  return sdb_test_report(interp, (uint64_t)seed, (uint64_t)step, problem, count);
}

static int roundtrip_cmd(ClientData data, Tcl_Interp *interp, int objc, Tcl_Obj *const objv[]) {
  (void)data;
  return random_cmd(roundtrip, interp, objc, objv);
}

static int corrupt_cmd(ClientData data, Tcl_Interp *interp, int objc, Tcl_Obj *const objv[]) {
  (void)data;
  return random_cmd(corrupt, interp, objc, objv);
}

static int hostile_cmd(ClientData data, Tcl_Interp *interp, int objc, Tcl_Obj *const objv[]) {
  (void)data;
  return random_cmd(hostile_record, interp, objc, objv);
}

static int entry_hostile_cmd(ClientData data, Tcl_Interp *interp, int objc, Tcl_Obj *const objv[]) {
  uint64_t tried = 0;
  (void)data, (void)objc, (void)objv;
  const char *problem = hostile_entries(&tried);
  return sdb_test_report(interp, 0, tried, problem, tried);
}

/* Records that are larger than any file: more than the largest offset, whichever of the sizes is out of bounds. */
static int record_bounds_cmd(ClientData data, Tcl_Interp *interp, int objc, Tcl_Obj *const objv[]) {
  const uint64_t huge = UINT64_C(1) << 62;
  const sdb_record_sizes sizes[] = {{2, .puts = huge},           {2, .deletes = huge}, {2, .coordinator_bytes = huge},
                                    {2, .put_name_bytes = huge}, {2, .ranges = huge},  {2, .range_bytes = huge}};
  uint64_t refused = 0;
  (void)data, (void)objc, (void)objv;
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
    refused += sdb_record_size(&sizes[i]) > SDB_OFFSET_MAX;
  return sdb_test_report(interp, 0, refused, refused == 6 ? NULL : "a size was accepted", refused);
}

void sdb_test_format_init(Tcl_Interp *interp) {
  Tcl_CreateObjCommand(interp, "sdb_format_roundtrip", roundtrip_cmd, NULL, NULL);
  Tcl_CreateObjCommand(interp, "sdb_format_corrupt", corrupt_cmd, NULL, NULL);
  Tcl_CreateObjCommand(interp, "sdb_format_hostile", hostile_cmd, NULL, NULL);
  Tcl_CreateObjCommand(interp, "sdb_record_bounds", record_bounds_cmd, NULL, NULL);
  Tcl_CreateObjCommand(interp, "sdb_entry_hostile", entry_hostile_cmd, NULL, NULL);
}
