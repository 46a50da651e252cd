/* SPDX-License-Identifier: MIT
**
** format.c: encoding and decoding of entry pages, journal header pages and journal records.  See format.h.
**
** FORMAT.md has the byte tables.  The structures below repeat them, and the assertions hold both together; bytes are
** moved with sdb_get and sdb_put only, so the code is right on any byte order and alignment.
**
** Owns nothing, allocates nothing, does no I/O.
** THREADS: every function is pure.
** INVARIANTS: decoding never reads outside the bytes it is given, whatever they contain, and takes time linear in
** them; what it accepts, encoding would have written.
*/
#include "pure/format.h"

#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#if XXH_VERSION_NUMBER < 800
#error "XXH3 is a stable format only since xxHash 0.8.0"
#endif

/* ---- the byte tables of FORMAT.md ---- */

struct disk_entry { /* section 2 */
  uint64_t start, length, reserved, name_bytes;
  uint8_t name[SDB_ENTRY_TRAILER_OFF - 32]; /* zeros after the name */
  uint8_t magic[8];                         /* the trailer */
  uint64_t generation;
  uint8_t zeros[40];
  uint64_t checksum;
};

struct disk_header { /* section 3 */
  uint8_t magic[8];
  uint32_t version, flags;
  uint8_t uuid[16];
  uint64_t sequence, salt, base_generation, data_bytes, regions_bytes, entries, entries_hash;
  uint8_t zeros[4000];
  uint64_t checksum;
};

struct disk_record { /* section 4 */
  uint8_t magic[4];
  uint16_t kind, flags;
  uint64_t bytes, salt, position, generation, previous;
  uint8_t token[SEQDB_TOKEN_BYTES];
  uint32_t coordinator_bytes, puts, deletes, zeros1;
  uint64_t ranges, range_bytes, data_bytes, entries, entries_hash;
  uint64_t checksum;
};

struct disk_put {
  uint32_t index, name_bytes;
  uint64_t name_at, start, length, reserved;
};

struct disk_range {
  uint64_t offset, bytes;
};

#define OFF(type, field)            offsetof(struct disk_##type, field)
#define ASSERT_OFF(type, field, at) _Static_assert(OFF(type, field) == (at), "FORMAT.md: " #type " " #field)
#define DELETE_BYTES                4u
#define PUT_BYTES                   40u
#define RANGE_BYTES                 16u

_Static_assert(sizeof(struct disk_entry) == SDB_ENTRY_BYTES, "FORMAT.md section 2");
ASSERT_OFF(entry, start, 0);
ASSERT_OFF(entry, length, 8);
ASSERT_OFF(entry, reserved, 16);
ASSERT_OFF(entry, name_bytes, 24);
ASSERT_OFF(entry, name, 32);
ASSERT_OFF(entry, magic, SDB_ENTRY_TRAILER_OFF);
ASSERT_OFF(entry, generation, 4040);
ASSERT_OFF(entry, zeros, 4048);
ASSERT_OFF(entry, checksum, 4088);
_Static_assert(sizeof(struct disk_header) == SDB_JOURNAL_HEADER_BYTES, "FORMAT.md section 3");
ASSERT_OFF(header, version, 8);
ASSERT_OFF(header, flags, 12);
ASSERT_OFF(header, uuid, 16);
ASSERT_OFF(header, sequence, 32);
ASSERT_OFF(header, salt, 40);
ASSERT_OFF(header, base_generation, 48);
ASSERT_OFF(header, data_bytes, 56);
ASSERT_OFF(header, regions_bytes, 64);
ASSERT_OFF(header, entries, 72);
ASSERT_OFF(header, entries_hash, 80);
ASSERT_OFF(header, zeros, 88);
ASSERT_OFF(header, checksum, 4088);
_Static_assert(sizeof(struct disk_record) == SDB_RECORD_HEADER_BYTES, "FORMAT.md section 4");
ASSERT_OFF(record, kind, 4);
ASSERT_OFF(record, flags, 6);
ASSERT_OFF(record, bytes, 8);
ASSERT_OFF(record, salt, 16);
ASSERT_OFF(record, position, 24);
ASSERT_OFF(record, generation, 32);
ASSERT_OFF(record, previous, 40);
ASSERT_OFF(record, token, 48);
ASSERT_OFF(record, coordinator_bytes, 64);
ASSERT_OFF(record, puts, 68);
ASSERT_OFF(record, deletes, 72);
ASSERT_OFF(record, zeros1, 76);
ASSERT_OFF(record, ranges, 80);
ASSERT_OFF(record, range_bytes, 88);
ASSERT_OFF(record, data_bytes, 96);
ASSERT_OFF(record, entries, 104);
ASSERT_OFF(record, entries_hash, 112);
ASSERT_OFF(record, checksum, 120);
_Static_assert(sizeof(struct disk_put) == PUT_BYTES && sizeof(struct disk_range) == RANGE_BYTES, "FORMAT.md section 4");
ASSERT_OFF(put, name_bytes, 4);
ASSERT_OFF(put, name_at, 8);
ASSERT_OFF(put, start, 16);
ASSERT_OFF(put, length, 24);
ASSERT_OFF(put, reserved, 32);
ASSERT_OFF(range, bytes, 8);

static const uint8_t entry_magic[8] = {'s', 'e', 'q', 'd', 'b', 'e', 'n', 't'};
static const uint8_t header_magic[8] = {'s', 'e', 'q', 'd', 'b', 'j', 'n', 'l'};
static const uint8_t record_magic[4] = {'s', 'q', 'd', 'r'};
#define HEADER_FLAG_SYNC_OFF 1u

/* ---- helpers ---- */

uint64_t sdb_hash_bytes(const void *data, size_t bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(data, bytes, seed);
}

/* bytes <= 4096.  Measured for 4000 bytes: 0.05 us, and 0.17 us for a loop over words. */
static bool all_zero(const uint8_t *p, size_t bytes) {
  static const uint8_t zeros[SDB_ENTRY_BYTES];
  return memcmp(p, zeros, bytes) == 0;
}

static bool page_aligned(uint64_t offset) {
  return offset % SDB_PAGE == 0;
}

/* What is wrong with an entry's three numbers, wherever they stand; NULL if nothing.  *field: 0 start, 1 length,
** 2 reserved. */
static const char *extent_problem(uint64_t start, uint64_t length, uint64_t reserved, uint32_t *field) {
  *field = 0;
  if (!page_aligned(start)) return "start is not a multiple of 4096";
  if (start > SDB_OFFSET_MAX) return "start is larger than a file can be";
  *field = 2;
  if (reserved < SDB_PAGE) return "reserved is smaller than 4096";
  if (!page_aligned(reserved)) return "reserved is not a multiple of 4096";
  if (reserved > SDB_OFFSET_MAX - start) return "reserved reaches past what a file can hold";
  *field = 1;
  if (length > reserved) return "length is larger than reserved";
  return NULL;
}

static bool extent_good(uint64_t start, uint64_t length, uint64_t reserved) {
  uint32_t field;
  return extent_problem(start, length, reserved, &field) == NULL;
}

const char *sdb_name_problem(const char *name, size_t name_bytes, size_t *at) {
  const char *problem = NULL;
  size_t i = 0;
  if (name_bytes == 0) {
    problem = "the name is empty";
  } else if (name_bytes > SEQDB_NAME_BYTES_MAX) {
    problem = "the name is longer than 1024 bytes";
    i = SEQDB_NAME_BYTES_MAX;
  }
  while (problem == NULL && i < name_bytes) {
    size_t char_bytes = sdb_utf8_char(name + i, name_bytes - i);
    if (char_bytes == 0) {
      problem = "the name is not valid UTF-8";
    } else if (sdb_is_control((uint8_t)name[i])) {
      problem = "the name contains a control character";
    } else {
      i += char_bytes;
    }
  }
  if (problem != NULL && at != NULL) *at = i;
  return problem;
}

/* ---- entry ---- */

/* Of all bytes that are not known to be zero.  Hashing the zeros as well, 4088 bytes, was measured to make decoding three
** times slower (0.31 against 0.08 us). */
static uint64_t entry_checksum(const uint8_t *page, uint32_t name_bytes, uint32_t index) {
  uint64_t seed = sdb_hash_bytes(page, OFF(entry, name) + name_bytes, index);
  return sdb_hash_bytes(page + SDB_ENTRY_TRAILER_OFF, OFF(entry, checksum) - SDB_ENTRY_TRAILER_OFF, seed);
}

/* What is wrong with the trailer of page `index`, NULL if nothing; sets entry->has_trailer and generation. */
static const char *trailer_problem(const uint8_t *page, uint32_t index, sdb_entry_image *entry, uint32_t *at) {
  entry->has_trailer = !all_zero(page + SDB_ENTRY_TRAILER_OFF, SDB_ENTRY_BYTES - SDB_ENTRY_TRAILER_OFF);
  entry->generation = 0;
  if (!entry->has_trailer) return NULL;
  *at = OFF(entry, magic);
  if (memcmp(page + OFF(entry, magic), entry_magic, sizeof entry_magic) != 0) return "the trailer's magic is wrong";
  *at = OFF(entry, zeros);
  if (!all_zero(page + OFF(entry, zeros), 40)) return "unused bytes of the trailer are not zero";
  *at = OFF(entry, checksum);
  uint64_t checksum = entry_checksum(page, entry->name_bytes, index);
  if (sdb_get64(page + OFF(entry, checksum)) != checksum) return "the checksum does not match";
  entry->generation = sdb_get64(page + OFF(entry, generation));
  return NULL;
}

static const char *entry_problem(const uint8_t *page, uint32_t index, bool zeros, sdb_entry_image *entry,
                                 uint32_t *at) {
  uint64_t name_bytes = sdb_get64(page + OFF(entry, name_bytes));
  size_t name_at;
  uint32_t field;
  const char *problem = extent_problem(entry->start, entry->length, entry->reserved, &field);
  *at = 8 * field;
  if (problem != NULL) return problem;

  *at = OFF(entry, name_bytes);
  if (name_bytes > SEQDB_NAME_BYTES_MAX) return "the name is longer than 1024 bytes";
  entry->name_bytes = (uint32_t)name_bytes;
  entry->name = (const char *)page + OFF(entry, name);
  problem = sdb_name_problem(entry->name, entry->name_bytes, &name_at);
  if (problem != NULL) {
    *at = entry->name_bytes == 0 ? OFF(entry, name_bytes) : OFF(entry, name) + (uint32_t)name_at;
    return problem;
  }

  uint32_t end = OFF(entry, name) + entry->name_bytes;
  problem = trailer_problem(page, index, entry, at);
  if ((zeros || !entry->has_trailer) && !all_zero(page + end, SDB_ENTRY_TRAILER_OFF - end)) {
    for (*at = end; page[*at] == 0;)
      ++*at;
    return "bytes after the name are not zero";
  }
  return problem;
}

static enum sdb_entry_state decode(const uint8_t *page, uint32_t index, bool zeros, sdb_entry_image *entry,
                                   uint32_t *at, const char **why) {
  *entry = (sdb_entry_image){.start = sdb_get64(page + OFF(entry, start)),
                             .length = sdb_get64(page + OFF(entry, length)),
                             .reserved = sdb_get64(page + OFF(entry, reserved))};
  if ((entry->start | entry->length | entry->reserved | sdb_get64(page + OFF(entry, name_bytes))) == 0) {
    return SDB_ENTRY_FREE;
  }
  uint32_t where;
  const char *problem = entry_problem(page, index, zeros, entry, &where);
  if (problem == NULL) return SDB_ENTRY_USED;
  *at = where;
  *why = problem;
  return SDB_ENTRY_DAMAGED;
}

enum sdb_entry_state sdb_entry_decode(const uint8_t page[SDB_ENTRY_BYTES], uint32_t index, sdb_entry_image *entry,
                                      uint32_t *at, const char **why) {
  return decode(page, index, true, entry, at, why);
}

enum sdb_entry_state sdb_entry_decode_used(const uint8_t page[SDB_ENTRY_BYTES], uint32_t index, sdb_entry_image *entry,
                                           uint32_t *at, const char **why) {
  return decode(page, index, false, entry, at, why);
}

void sdb_entry_encode(uint8_t page[SDB_ENTRY_BYTES], uint32_t index, const sdb_entry_image *entry) {
  assert(extent_good(entry->start, entry->length, entry->reserved));
  assert(sdb_name_problem(entry->name, entry->name_bytes, NULL) == NULL);
  sdb_put64(page + OFF(entry, start), entry->start);
  sdb_put64(page + OFF(entry, length), entry->length);
  sdb_put64(page + OFF(entry, reserved), entry->reserved);
  sdb_put64(page + OFF(entry, name_bytes), entry->name_bytes);
  memcpy(page + OFF(entry, name), entry->name, entry->name_bytes);
  memset(page + OFF(entry, name) + entry->name_bytes, 0, SDB_ENTRY_BYTES - OFF(entry, name) - entry->name_bytes);
  if (!entry->has_trailer) return;
  memcpy(page + OFF(entry, magic), entry_magic, sizeof entry_magic);
  sdb_put64(page + OFF(entry, generation), entry->generation);
  sdb_put64(page + OFF(entry, checksum), entry_checksum(page, entry->name_bytes, index));
}

uint64_t sdb_entry_hash(uint32_t index, const sdb_entry_image *entry) {
  uint8_t packed[40];
  sdb_put32(packed, index);
  sdb_put32(packed + 4, entry->has_trailer ? 1 : 0);
  sdb_put64(packed + 8, entry->generation);
  sdb_put64(packed + 16, entry->start);
  sdb_put64(packed + 24, entry->length);
  sdb_put64(packed + 32, entry->reserved);
  return sdb_hash_bytes(entry->name, entry->name_bytes, sdb_hash_bytes(packed, sizeof packed, 0));
}

/* ---- journal header ---- */

static bool header_plausible(const sdb_journal_header *h) {
  return h->salt != 0 && page_aligned(h->data_bytes) && h->data_bytes <= SDB_OFFSET_MAX &&
         page_aligned(h->regions_bytes) && h->regions_bytes <= SDB_OFFSET_MAX &&
         h->entries <= h->regions_bytes / SDB_ENTRY_BYTES;
}

enum sdb_header_state sdb_journal_header_decode(const uint8_t page[SDB_JOURNAL_HEADER_BYTES],
                                                sdb_journal_header *header) {
  uint32_t flags = sdb_get32(page + OFF(header, flags));
  *header = (sdb_journal_header){.version = sdb_get32(page + OFF(header, version))};
  if (memcmp(page, header_magic, sizeof header_magic) != 0) return SDB_HEADER_TORN;
  if (sdb_get64(page + OFF(header, checksum)) != sdb_hash_bytes(page, OFF(header, checksum), 0)) return SDB_HEADER_TORN;
  if (header->version > SDB_FORMAT_VERSION) return SDB_HEADER_NEWER;
  if (header->version == 0 || (flags & ~HEADER_FLAG_SYNC_OFF) != 0) return SDB_HEADER_TORN;
  if (!all_zero(page + OFF(header, zeros), OFF(header, checksum) - OFF(header, zeros))) return SDB_HEADER_TORN;

  header->sync_off = (flags & HEADER_FLAG_SYNC_OFF) != 0;
  memcpy(header->uuid, page + OFF(header, uuid), sizeof header->uuid);
  header->sequence = sdb_get64(page + OFF(header, sequence));
  header->salt = sdb_get64(page + OFF(header, salt));
  header->base_generation = sdb_get64(page + OFF(header, base_generation));
  header->data_bytes = sdb_get64(page + OFF(header, data_bytes));
  header->regions_bytes = sdb_get64(page + OFF(header, regions_bytes));
  header->entries = sdb_get64(page + OFF(header, entries));
  header->entries_hash = sdb_get64(page + OFF(header, entries_hash));
  return header_plausible(header) ? SDB_HEADER_OK : SDB_HEADER_TORN;
}

void sdb_journal_header_encode(uint8_t page[SDB_JOURNAL_HEADER_BYTES], const sdb_journal_header *header) {
  assert(header->version > 0 && header_plausible(header));
  memset(page, 0, SDB_JOURNAL_HEADER_BYTES);
  memcpy(page, header_magic, sizeof header_magic);
  sdb_put32(page + OFF(header, version), header->version);
  sdb_put32(page + OFF(header, flags), header->sync_off ? HEADER_FLAG_SYNC_OFF : 0);
  memcpy(page + OFF(header, uuid), header->uuid, sizeof header->uuid);
  sdb_put64(page + OFF(header, sequence), header->sequence);
  sdb_put64(page + OFF(header, salt), header->salt);
  sdb_put64(page + OFF(header, base_generation), header->base_generation);
  sdb_put64(page + OFF(header, data_bytes), header->data_bytes);
  sdb_put64(page + OFF(header, regions_bytes), header->regions_bytes);
  sdb_put64(page + OFF(header, entries), header->entries);
  sdb_put64(page + OFF(header, entries_hash), header->entries_hash);
  sdb_put64(page + OFF(header, checksum), sdb_hash_bytes(page, OFF(header, checksum), 0));
}

/* ---- record: where its parts lie ---- */

/* header | puts | deletes | coordinator | put names | ranges, each followed by its bytes */
struct parts {
  uint64_t deletes_at, coordinator_at, names_at, ranges_at;
};
#define PUTS_AT SDB_RECORD_HEADER_BYTES

/* false if the header's counts do not fit into the header's size. */
static bool record_parts(const sdb_record_header *h, struct parts *parts) {
  /* Each factor below is bounded by h->bytes <= 2^63 or is 32 bits wide: no sum or product overflows. */
  /* GCOVR_EXCL_BR_LINE: the bytes are those in memory */
  if (h->bytes > SDB_OFFSET_MAX || h->range_bytes > h->bytes || h->ranges > h->bytes / RANGE_BYTES) return false;
  uint64_t tail = h->ranges * RANGE_BYTES + h->range_bytes;
  parts->deletes_at = PUTS_AT + (uint64_t)h->puts * PUT_BYTES;
  parts->coordinator_at = parts->deletes_at + (uint64_t)h->deletes * DELETE_BYTES;
  parts->names_at = parts->coordinator_at + h->coordinator_bytes;
  if (tail > h->bytes || parts->names_at > h->bytes - tail) return false;
  parts->ranges_at = h->bytes - tail;
  return true;
}

static uint64_t record_checksum(const uint8_t *record, uint64_t bytes) {
  uint64_t seed = sdb_hash_bytes(record, OFF(record, checksum), 0);
  return sdb_hash_bytes(record + SDB_RECORD_HEADER_BYTES, (size_t)(bytes - SDB_RECORD_HEADER_BYTES), seed);
}

static sdb_record_put read_put(const uint8_t *record, uint64_t i) {
  const uint8_t *p = record + PUTS_AT + i * PUT_BYTES;
  return (sdb_record_put){.index = sdb_get32(p + OFF(put, index)),
                          .start = sdb_get64(p + OFF(put, start)),
                          .length = sdb_get64(p + OFF(put, length)),
                          .reserved = sdb_get64(p + OFF(put, reserved)),
                          .name_bytes = sdb_get32(p + OFF(put, name_bytes)),
                          .name = (const char *)record + sdb_get64(p + OFF(put, name_at))};
}

static uint32_t read_index(const uint8_t *record, uint64_t at) {
  return sdb_get32(record + at);
}

/* ---- record: validation of what the counts let into the record ---- */

/* Indexes ascend, names share out the names' bytes, entries are sound. */
static bool puts_good(const uint8_t *record, const sdb_record_header *h, const struct parts *parts) {
  uint64_t names_bytes = 0, room = parts->ranges_at - parts->names_at;
  for (uint64_t i = 0; i < h->puts; i++) {
    const uint8_t *p = record + PUTS_AT + i * PUT_BYTES;
    uint64_t name_at = sdb_get64(p + OFF(put, name_at)), name_bytes = sdb_get32(p + OFF(put, name_bytes));
    if (name_bytes > room || name_at < parts->names_at || name_at > parts->ranges_at - name_bytes) return false;
    sdb_record_put put = read_put(record, i);
    if (put.index >= SDB_INDEX_MAX || (i > 0 && put.index <= read_index(p - PUT_BYTES, 0))) return false;
    if (sdb_name_problem(put.name, put.name_bytes, NULL) != NULL) return false;
    if (!extent_good(put.start, put.length, put.reserved)) return false;
    if (put.start + put.reserved > h->data_bytes) return false;
    names_bytes += name_bytes;
  }
  return names_bytes == room;
}

/* Indexes ascend, and none is put as well. */
static bool deletes_good(const uint8_t *record, const sdb_record_header *h, const struct parts *parts) {
  uint64_t put = 0;
  for (uint64_t i = 0; i < h->deletes; i++) {
    uint64_t at = parts->deletes_at + i * DELETE_BYTES;
    uint32_t index = read_index(record, at);
    if (index >= SDB_INDEX_MAX || (i > 0 && index <= read_index(record, at - DELETE_BYTES))) return false;
    while (put < h->puts && read_index(record, PUTS_AT + put * PUT_BYTES) < index)
      put++;
    if (put < h->puts && read_index(record, PUTS_AT + put * PUT_BYTES) == index) return false;
  }
  return true;
}

static bool ranges_good(const uint8_t *record, const sdb_record_header *h, const struct parts *parts) {
  uint64_t at = parts->ranges_at;
  for (uint64_t i = 0; i < h->ranges; i++) {
    if (h->bytes - at < RANGE_BYTES) return false;
    uint64_t offset = sdb_get64(record + at + OFF(range, offset)), bytes = sdb_get64(record + at + OFF(range, bytes));
    at += RANGE_BYTES;
    if (bytes == 0 || bytes > h->bytes - at) return false;
    if (bytes > h->data_bytes || offset > h->data_bytes - bytes) return false;
    at += bytes;
  }
  return at == h->bytes;
}

/* Everything except checksum, salt and position. */
static bool record_good(const uint8_t *record, const sdb_record_header *h) {
  struct parts parts;
  if (h->kind != SDB_RECORD_COMMIT && h->kind != SDB_RECORD_PREPARE) return false;
  if ((h->flags & ~SDB_RECORD_KEEP) != 0) return false;
  if (!page_aligned(h->data_bytes) || h->data_bytes > SDB_OFFSET_MAX) return false;
  return record_parts(h, &parts) && puts_good(record, h, &parts) && deletes_good(record, h, &parts) &&
         ranges_good(record, h, &parts);
}

/* ---- record: writing ---- */

uint64_t sdb_record_size(const sdb_record_sizes *sizes) {
  const uint64_t limit = SDB_OFFSET_MAX;
  if (sizes->coordinator_bytes > UINT32_MAX || sizes->puts > UINT32_MAX || sizes->deletes > UINT32_MAX ||
      sizes->put_name_bytes > limit / 4 || sizes->range_bytes > limit / 4 || sizes->ranges > limit / 4 / RANGE_BYTES) {
    return limit + 1;
  }
  return SDB_RECORD_HEADER_BYTES + sizes->puts * PUT_BYTES + sizes->deletes * DELETE_BYTES + sizes->coordinator_bytes +
         sizes->put_name_bytes + sizes->ranges * RANGE_BYTES + sizes->range_bytes;
}

void sdb_record_begin(sdb_record_writer *w, uint8_t *buffer, const sdb_record_sizes *sizes, const char *coordinator) {
  uint64_t coordinator_at = PUTS_AT + sizes->puts * PUT_BYTES + sizes->deletes * DELETE_BYTES;
  assert(sdb_record_size(sizes) <= SDB_OFFSET_MAX);
  *w = (sdb_record_writer){.buffer = buffer,
                           .sizes = *sizes,
                           .put_at = PUTS_AT,
                           .delete_at = PUTS_AT + sizes->puts * PUT_BYTES,
                           .name_at = coordinator_at + sizes->coordinator_bytes,
                           .range_at = coordinator_at + sizes->coordinator_bytes + sizes->put_name_bytes};
  if (sizes->coordinator_bytes > 0) memcpy(buffer + coordinator_at, coordinator, (size_t)sizes->coordinator_bytes);
}

void sdb_record_add_put(sdb_record_writer *w, const sdb_record_put *put) {
  uint8_t *p = w->buffer + w->put_at;
  assert(w->puts_done < w->sizes.puts);
  sdb_put32(p + OFF(put, index), put->index);
  sdb_put32(p + OFF(put, name_bytes), put->name_bytes);
  sdb_put64(p + OFF(put, name_at), w->name_at);
  sdb_put64(p + OFF(put, start), put->start);
  sdb_put64(p + OFF(put, length), put->length);
  sdb_put64(p + OFF(put, reserved), put->reserved);
  memcpy(w->buffer + w->name_at, put->name, put->name_bytes);
  w->puts_done++;
  w->put_at += PUT_BYTES;
  w->name_at += put->name_bytes;
}

void sdb_record_add_delete(sdb_record_writer *w, uint32_t index) {
  assert(w->deletes_done < w->sizes.deletes);
  sdb_put32(w->buffer + w->delete_at, index);
  w->deletes_done++;
  w->delete_at += DELETE_BYTES;
}

uint8_t *sdb_record_add_range(sdb_record_writer *w, uint64_t offset, uint64_t bytes) {
  uint8_t *p = w->buffer + w->range_at;
  assert(w->ranges_done < w->sizes.ranges && bytes > 0);
  sdb_put64(p + OFF(range, offset), offset);
  sdb_put64(p + OFF(range, bytes), bytes);
  w->ranges_done++;
  w->range_at += RANGE_BYTES + bytes;
  return p + RANGE_BYTES;
}

/* Puts and deletes alike begin with their index. */
static int compare_index(const void *a, const void *b) {
  uint32_t x = sdb_get32(a), y = sdb_get32(b);
  return (x > y) - (x < y);
}

static void sort_by_index(uint8_t *rows, uint64_t count, size_t row_bytes) {
  uint64_t i = 1;
  while (i < count && compare_index(rows + (i - 1) * row_bytes, rows + i * row_bytes) < 0)
    i++;
  if (i < count) qsort(rows, (size_t)count, row_bytes, compare_index);
}

static void write_header(uint8_t *record, const sdb_record_header *h) {
  memset(record, 0, SDB_RECORD_HEADER_BYTES);
  memcpy(record, record_magic, sizeof record_magic);
  sdb_put16(record + OFF(record, kind), h->kind);
  sdb_put16(record + OFF(record, flags), h->flags);
  sdb_put64(record + OFF(record, bytes), h->bytes);
  sdb_put64(record + OFF(record, salt), h->salt);
  sdb_put64(record + OFF(record, position), h->position);
  sdb_put64(record + OFF(record, generation), h->generation);
  sdb_put64(record + OFF(record, previous), h->previous);
  memcpy(record + OFF(record, token), h->token, sizeof h->token);
  sdb_put32(record + OFF(record, coordinator_bytes), h->coordinator_bytes);
  sdb_put32(record + OFF(record, puts), h->puts);
  sdb_put32(record + OFF(record, deletes), h->deletes);
  sdb_put64(record + OFF(record, ranges), h->ranges);
  sdb_put64(record + OFF(record, range_bytes), h->range_bytes);
  sdb_put64(record + OFF(record, data_bytes), h->data_bytes);
  sdb_put64(record + OFF(record, entries), h->entries);
  sdb_put64(record + OFF(record, entries_hash), h->entries_hash);
}

void sdb_record_seal(sdb_record_writer *w, sdb_record_header *header) {
  assert(w->puts_done == w->sizes.puts && w->deletes_done == w->sizes.deletes && w->ranges_done == w->sizes.ranges);
  assert(w->range_at == sdb_record_size(&w->sizes));
  header->bytes = w->range_at;
  header->coordinator_bytes = (uint32_t)w->sizes.coordinator_bytes;
  header->puts = (uint32_t)w->sizes.puts;
  header->deletes = (uint32_t)w->sizes.deletes;
  header->ranges = w->sizes.ranges;
  header->range_bytes = w->sizes.range_bytes;
  sort_by_index(w->buffer + PUTS_AT, header->puts, PUT_BYTES);
  sort_by_index(w->buffer + PUTS_AT + header->puts * (uint64_t)PUT_BYTES, header->deletes, DELETE_BYTES);
  assert(record_good(w->buffer, header));
  write_header(w->buffer, header);
  header->checksum = record_checksum(w->buffer, header->bytes);
  sdb_put64(w->buffer + OFF(record, checksum), header->checksum);
}

/* ---- record: reading ---- */

bool sdb_record_peek(const uint8_t header[SDB_RECORD_HEADER_BYTES], uint64_t salt, uint64_t position,
                     uint64_t available, sdb_record_header *out) {
  if (memcmp(header, record_magic, sizeof record_magic) != 0) return false;
  *out = (sdb_record_header){.kind = sdb_get16(header + OFF(record, kind)),
                             .flags = sdb_get16(header + OFF(record, flags)),
                             .bytes = sdb_get64(header + OFF(record, bytes)),
                             .salt = sdb_get64(header + OFF(record, salt)),
                             .position = sdb_get64(header + OFF(record, position)),
                             .generation = sdb_get64(header + OFF(record, generation)),
                             .previous = sdb_get64(header + OFF(record, previous)),
                             .coordinator_bytes = sdb_get32(header + OFF(record, coordinator_bytes)),
                             .puts = sdb_get32(header + OFF(record, puts)),
                             .deletes = sdb_get32(header + OFF(record, deletes)),
                             .ranges = sdb_get64(header + OFF(record, ranges)),
                             .range_bytes = sdb_get64(header + OFF(record, range_bytes)),
                             .data_bytes = sdb_get64(header + OFF(record, data_bytes)),
                             .entries = sdb_get64(header + OFF(record, entries)),
                             .entries_hash = sdb_get64(header + OFF(record, entries_hash)),
                             .checksum = sdb_get64(header + OFF(record, checksum))};
  memcpy(out->token, header + OFF(record, token), sizeof out->token);
  return (out->salt == salt || salt == 0) && out->position == position && out->bytes >= SDB_RECORD_HEADER_BYTES &&
         out->bytes <= available;
}

bool sdb_record_decode(const uint8_t *record, uint64_t bytes, uint64_t salt, uint64_t position,
                       sdb_record_header *out) {
  if (bytes < SDB_RECORD_HEADER_BYTES || !sdb_record_peek(record, salt, position, bytes, out)) return false;
  if (out->checksum != record_checksum(record, out->bytes)) return false;
  if (!all_zero(record + OFF(record, zeros1), 4)) return false;
  return record_good(record, out);
}

bool sdb_record_next_put(const uint8_t *record, const sdb_record_header *header, uint64_t *cursor,
                         sdb_record_put *put) {
  if (*cursor >= header->puts) return false;
  *put = read_put(record, *cursor);
  ++*cursor;
  return true;
}

bool sdb_record_next_delete(const uint8_t *record, const sdb_record_header *header, uint64_t *cursor, uint32_t *index) {
  if (*cursor >= header->deletes) return false;
  *index = read_index(record, PUTS_AT + header->puts * (uint64_t)PUT_BYTES + *cursor * DELETE_BYTES);
  ++*cursor;
  return true;
}

/* The cursor is 0, then the byte of the record where the next range begins. */
bool sdb_record_next_range(const uint8_t *record, const sdb_record_header *header, uint64_t *cursor,
                           sdb_record_range *range) {
  if (*cursor == 0) *cursor = header->bytes - header->ranges * RANGE_BYTES - header->range_bytes;
  if (*cursor >= header->bytes) return false;
  const uint8_t *p = record + *cursor;
  *range = (sdb_record_range){
      .offset = sdb_get64(p + OFF(range, offset)), .bytes = sdb_get64(p + OFF(range, bytes)), .data = p + RANGE_BYTES};
  *cursor += RANGE_BYTES + range->bytes;
  return true;
}

const char *sdb_record_coordinator(const uint8_t *record, const sdb_record_header *header) {
  return (const char *)record + PUTS_AT + header->puts * (uint64_t)PUT_BYTES + header->deletes * (uint64_t)DELETE_BYTES;
}
