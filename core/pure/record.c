/* SPDX-License-Identifier: MIT
**
** record.c: see record.h.
**
** The structures repeat the tables of FORMAT.md, and the assertions hold both together; bytes are moved with sdb_get
** and sdb_put only, so the code is right on any byte order and alignment.
** INVARIANTS: decoding never reads outside the bytes it is given, whatever they contain, and takes time linear in
** them; what it accepts, the writer would have written.
*/
#include "pure/record.h"

#include <stdlib.h>
#include "base/check.h"
#include "pure/entry_rules.h"
#include "pure/hash.h"

/* ---- the byte tables of FORMAT.md ---- */

struct disk_record { /* section 4 */
  uint8_t magic[4];
  uint16_t kind, flags;
  uint64_t bytes, salt, position, generation, previous;
  uint8_t token[SEQDB_TOKEN_BYTES];
  uint32_t coordinator_bytes, puts, deletes, zeros1;
  uint64_t ranges, range_bytes, data_bytes, entries, entries_hash;
  uint8_t parent[SEQDB_TOKEN_BYTES], file[16]; /* version 1 ends before it, with its checksum */
  uint32_t durability, changes;
  uint8_t settled[SEQDB_TOKEN_BYTES];
  uint8_t zeros2[8];
  uint64_t checksum;
};

struct disk_put {
  uint32_t index, name_bytes;
  uint64_t name_at, start, length, reserved;
  uint64_t created; /* not in version 1 */
};

struct disk_change {
  uint32_t index, op;
  uint64_t offset, bytes;
};

struct disk_range {
  uint64_t offset, bytes;
};

#define OFF(type, field)            offsetof(struct disk_##type, field)
#define ASSERT_OFF(type, field, at) _Static_assert(OFF(type, field) == (at), "FORMAT.md: " #type " " #field)
#define DELETE_BYTES                4u
#define CHANGE_BYTES                24u
#define RANGE_BYTES                 16u
#define JOURNAL_MODE_LAST           6u

_Static_assert(sizeof(struct disk_record) == SDB_RECORD_HEADER_BYTES, "FORMAT.md section 4");
_Static_assert(SDB_RECORD_HEADER_BYTES <= SDB_RECORD_ALIGN, "FORMAT.md section 4: a header lies in one sector");
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
ASSERT_OFF(record, parent, 120);
ASSERT_OFF(record, file, 136);
ASSERT_OFF(record, durability, 152);
ASSERT_OFF(record, changes, 156);
ASSERT_OFF(record, settled, 160);
ASSERT_OFF(record, zeros2, 176);
ASSERT_OFF(record, checksum, 184);
_Static_assert(sizeof(struct disk_put) == 48 && sizeof(struct disk_range) == RANGE_BYTES, "FORMAT.md section 4");
ASSERT_OFF(put, name_bytes, 4);
ASSERT_OFF(put, name_at, 8);
ASSERT_OFF(put, start, 16);
ASSERT_OFF(put, length, 24);
ASSERT_OFF(put, reserved, 32);
ASSERT_OFF(put, created, 40);
_Static_assert(sizeof(struct disk_change) == CHANGE_BYTES, "FORMAT.md section 4");
ASSERT_OFF(change, op, 4);
ASSERT_OFF(change, offset, 8);
ASSERT_OFF(change, bytes, 16);
ASSERT_OFF(range, bytes, 8);

/* Where the versions differ. */
struct shape {
  uint8_t magic[4];
  uint32_t checksum_at, header_bytes, put_bytes;
};
static const struct shape shapes[SDB_FORMAT_VERSION + 1] = {
    [1] = {{'s', 'q', 'd', 'r'}, OFF(record, parent), SDB_RECORD_LEAST_BYTES, OFF(put, created)},
    [2] = {{'s', 'q', 'r', '2'}, OFF(record, checksum), SDB_RECORD_HEADER_BYTES, sizeof(struct disk_put)},
};
_Static_assert(OFF(record, parent) + 8 == SDB_RECORD_LEAST_BYTES, "FORMAT.md section 4");

static const struct shape *shape_of(uint32_t version) {
  assert(version == 1 || version == SDB_FORMAT_VERSION);
  return &shapes[version];
}

/* ---- record: where its parts lie ---- */

/* header | puts | deletes | coordinator | put names | changes | ranges, each followed by its bytes */
struct parts {
  uint64_t puts_at, put_bytes, deletes_at, coordinator_at, names_at, changes_at, ranges_at;
};

/* false if the header's counts do not fit into the header's size. */
static bool record_parts(const sdb_record_header *h, struct parts *parts) {
  const struct shape *shape = shape_of(h->version);
  /* Each factor below is bounded by h->bytes <= 2^63 or is 32 bits wide: no sum or product overflows. */
  if (SDB_NEVER(h->bytes > SDB_OFFSET_MAX)) return false; /* the record is in memory */
  if (h->range_bytes > h->bytes || h->ranges > h->bytes / RANGE_BYTES) return false;
  uint64_t tail = h->ranges * RANGE_BYTES + h->range_bytes + (uint64_t)h->changes * CHANGE_BYTES;
  parts->puts_at = shape->header_bytes;
  parts->put_bytes = shape->put_bytes;
  parts->deletes_at = parts->puts_at + (uint64_t)h->puts * shape->put_bytes;
  parts->coordinator_at = parts->deletes_at + (uint64_t)h->deletes * DELETE_BYTES;
  parts->names_at = parts->coordinator_at + h->coordinator_bytes;
  if (tail > h->bytes || parts->names_at > h->bytes - tail) return false;
  parts->changes_at = h->bytes - tail;
  parts->ranges_at = parts->changes_at + (uint64_t)h->changes * CHANGE_BYTES;
  return true;
}

static uint64_t record_checksum(const uint8_t *record, const sdb_record_header *h) {
  const struct shape *shape = shape_of(h->version);
  uint64_t seed = sdb_hash_bytes(record, shape->checksum_at, 0);
  return sdb_hash_bytes(record + shape->header_bytes, (size_t)(h->bytes - shape->header_bytes), seed);
}

static sdb_record_put read_put(const uint8_t *record, const sdb_record_header *h, uint64_t i) {
  const struct shape *shape = shape_of(h->version);
  const uint8_t *p = record + shape->header_bytes + i * shape->put_bytes;
  return (sdb_record_put){.index = sdb_get32(p + OFF(put, index)),
                          .start = sdb_get64(p + OFF(put, start)),
                          .length = sdb_get64(p + OFF(put, length)),
                          .reserved = sdb_get64(p + OFF(put, reserved)),
                          .created = h->version > 1 ? sdb_get64(p + OFF(put, created)) : 0,
                          .name_bytes = sdb_get32(p + OFF(put, name_bytes)),
                          .name = (const char *)record + sdb_get64(p + OFF(put, name_at))};
}

static uint32_t read_index(const uint8_t *record, uint64_t at) {
  return sdb_get32(record + at);
}

/* ---- record: validation of what the counts let into the record ---- */

/* Indexes ascend, names share out the names' bytes, entries are sound. */
static bool puts_good(const uint8_t *record, const sdb_record_header *h, const struct parts *parts) {
  uint64_t names_bytes = 0, room = parts->changes_at - parts->names_at;
  for (uint64_t i = 0; i < h->puts; i++) {
    const uint8_t *p = record + parts->puts_at + i * parts->put_bytes;
    uint64_t name_at = sdb_get64(p + OFF(put, name_at)), name_bytes = sdb_get32(p + OFF(put, name_bytes));
    if (name_bytes > room || name_at < parts->names_at || name_at > parts->changes_at - name_bytes) return false;
    sdb_record_put put = read_put(record, h, i);
    if (put.index >= SDB_INDEX_MAX || (i > 0 && put.index <= read_index(p - parts->put_bytes, 0))) return false;
    if (sdb_name_problem(put.name, put.name_bytes, NULL) != NULL) return false;
    if (!sdb_extent_is_good(put.start, put.length, put.reserved)) return false;
    if (put.start + put.reserved > h->data_bytes || put.created > h->generation) return false;
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
    while (put < h->puts && read_index(record, parts->puts_at + put * parts->put_bytes) < index)
      put++;
    if (put < h->puts && read_index(record, parts->puts_at + put * parts->put_bytes) == index) return false;
  }
  return true;
}

static bool changes_good(const uint8_t *record, const sdb_record_header *h, const struct parts *parts) {
  for (uint64_t i = 0; i < h->changes; i++) {
    const uint8_t *p = record + parts->changes_at + i * CHANGE_BYTES;
    uint32_t op = sdb_get32(p + OFF(change, op));
    uint64_t offset = sdb_get64(p + OFF(change, offset)), bytes = sdb_get64(p + OFF(change, bytes));
    if (sdb_get32(p + OFF(change, index)) >= SDB_INDEX_MAX || op < SDB_CHANGE_CREATE || op > SDB_CHANGE_LENGTH)
      return false;
    if (bytes > SDB_OFFSET_MAX || offset > SDB_OFFSET_MAX - bytes) return false;
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

/* Whoever commits with an SQLite file says how that one is made durable; nobody else does. */
static bool durability_good(const sdb_record_header *h) {
  const uint32_t known = SDB_DURABILITY_JOURNAL_MODE | SDB_DURABILITY_SYNCHRONOUS | SDB_DURABILITY_EXCLUSIVE;
  uint32_t mode = h->durability & SDB_DURABILITY_JOURNAL_MODE;
  if (sdb_is_zero(h->file.bytes, sizeof h->file.bytes))
    return h->durability == 0 && sdb_is_zero(h->settled.bytes, sizeof h->settled.bytes);
  return (h->durability & ~known) == 0 && mode > 0 && mode <= JOURNAL_MODE_LAST;
}

/* An overlay's record commits nothing: it has ranges, and nothing else. */
static bool overlay_good(const sdb_record_header *h) {
  return h->version > 1 && h->flags == 0 && h->puts == 0 && h->deletes == 0 && h->changes == 0 &&
         h->coordinator_bytes == 0 && sdb_is_zero(h->file.bytes, sizeof h->file.bytes);
}

/* Everything except checksum, salt and position. */
static bool record_good(const uint8_t *record, const sdb_record_header *h) {
  struct parts parts;
  if (h->kind < SDB_RECORD_COMMIT || h->kind > SDB_RECORD_OVERLAY) return false;
  if (h->kind == SDB_RECORD_OVERLAY && !overlay_good(h)) return false;
  if ((h->flags & ~SDB_RECORD_KEEP) != 0) return false;
  if (!sdb_is_page_aligned(h->data_bytes) || h->data_bytes > SDB_OFFSET_MAX) return false;
  return durability_good(h) && record_parts(h, &parts) && puts_good(record, h, &parts) &&
         deletes_good(record, h, &parts) && changes_good(record, h, &parts) && ranges_good(record, h, &parts);
}

/* ---- record: writing ---- */

uint64_t sdb_record_size(const sdb_record_sizes *sizes) {
  const uint64_t limit = SDB_OFFSET_MAX;
  if (sizes->coordinator_bytes > UINT32_MAX || sizes->puts > UINT32_MAX || sizes->deletes > UINT32_MAX ||
      sizes->changes > UINT32_MAX || sizes->put_name_bytes > limit / 4 || sizes->range_bytes > limit / 4 ||
      sizes->ranges > limit / 4 / RANGE_BYTES) {
    return limit + 1;
  }
  const struct shape *shape = shape_of(sizes->version);
  return shape->header_bytes + sizes->puts * shape->put_bytes + sizes->deletes * DELETE_BYTES +
         sizes->coordinator_bytes + sizes->put_name_bytes + sizes->changes * CHANGE_BYTES +
         sizes->ranges * RANGE_BYTES + sizes->range_bytes;
}

void sdb_record_begin(sdb_record_writer *w, uint8_t *buffer, const sdb_record_sizes *sizes, const char *coordinator) {
  const struct shape *shape = shape_of(sizes->version);
  uint64_t deletes_at = shape->header_bytes + sizes->puts * shape->put_bytes;
  uint64_t coordinator_at = deletes_at + sizes->deletes * DELETE_BYTES;
  uint64_t changes_at = coordinator_at + sizes->coordinator_bytes + sizes->put_name_bytes;
  assert(sdb_record_size(sizes) <= SDB_OFFSET_MAX);
  *w = (sdb_record_writer){.buffer = buffer,
                           .sizes = *sizes,
                           .put_at = shape->header_bytes,
                           .delete_at = deletes_at,
                           .name_at = coordinator_at + sizes->coordinator_bytes,
                           .change_at = changes_at,
                           .range_at = changes_at + sizes->changes * CHANGE_BYTES};
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
  if (w->sizes.version > 1) sdb_put64(p + OFF(put, created), put->created);
  memcpy(w->buffer + w->name_at, put->name, put->name_bytes);
  w->puts_done++;
  w->put_at += shape_of(w->sizes.version)->put_bytes;
  w->name_at += put->name_bytes;
}

void sdb_record_add_delete(sdb_record_writer *w, uint32_t index) {
  assert(w->deletes_done < w->sizes.deletes);
  sdb_put32(w->buffer + w->delete_at, index);
  w->deletes_done++;
  w->delete_at += DELETE_BYTES;
}

void sdb_record_add_change(sdb_record_writer *w, const sdb_change_item *change) {
  uint8_t *p = w->buffer + w->change_at;
  assert(w->changes_done < w->sizes.changes);
  sdb_put32(p + OFF(change, index), change->index);
  sdb_put32(p + OFF(change, op), change->op);
  sdb_put64(p + OFF(change, offset), change->offset);
  sdb_put64(p + OFF(change, bytes), change->bytes);
  w->changes_done++;
  w->change_at += CHANGE_BYTES;
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
  const struct shape *shape = shape_of(h->version);
  memset(record, 0, shape->header_bytes);
  memcpy(record, shape->magic, sizeof shape->magic);
  sdb_put16(record + OFF(record, kind), h->kind);
  sdb_put16(record + OFF(record, flags), h->flags);
  sdb_put64(record + OFF(record, bytes), h->bytes);
  sdb_put64(record + OFF(record, salt), h->salt);
  sdb_put64(record + OFF(record, position), h->position);
  sdb_put64(record + OFF(record, generation), h->generation);
  sdb_put64(record + OFF(record, previous), h->previous);
  memcpy(record + OFF(record, token), h->token.bytes, sizeof h->token.bytes);
  sdb_put32(record + OFF(record, coordinator_bytes), h->coordinator_bytes);
  sdb_put32(record + OFF(record, puts), h->puts);
  sdb_put32(record + OFF(record, deletes), h->deletes);
  sdb_put64(record + OFF(record, ranges), h->ranges);
  sdb_put64(record + OFF(record, range_bytes), h->range_bytes);
  sdb_put64(record + OFF(record, data_bytes), h->data_bytes);
  sdb_put64(record + OFF(record, entries), h->entries);
  sdb_put64(record + OFF(record, entries_hash), h->entries_hash);
  if (h->version == 1) return;
  memcpy(record + OFF(record, parent), h->parent.bytes, sizeof h->parent.bytes);
  memcpy(record + OFF(record, file), h->file.bytes, sizeof h->file.bytes);
  sdb_put32(record + OFF(record, durability), h->durability);
  sdb_put32(record + OFF(record, changes), h->changes);
  memcpy(record + OFF(record, settled), h->settled.bytes, sizeof h->settled.bytes);
}

void sdb_record_seal(sdb_record_writer *w, sdb_record_header *header) {
  assert(w->puts_done == w->sizes.puts && w->deletes_done == w->sizes.deletes && w->ranges_done == w->sizes.ranges);
  assert(w->changes_done == w->sizes.changes);
  assert(w->range_at == sdb_record_size(&w->sizes));
  const struct shape *shape = shape_of(w->sizes.version);
  uint8_t *puts = w->buffer + shape->header_bytes;
  header->version = w->sizes.version;
  header->bytes = w->range_at;
  header->coordinator_bytes = (uint32_t)w->sizes.coordinator_bytes;
  header->puts = (uint32_t)w->sizes.puts;
  header->deletes = (uint32_t)w->sizes.deletes;
  header->changes = (uint32_t)w->sizes.changes;
  header->ranges = w->sizes.ranges;
  header->range_bytes = w->sizes.range_bytes;
  sort_by_index(puts, header->puts, shape->put_bytes);
  sort_by_index(puts + header->puts * (uint64_t)shape->put_bytes, header->deletes, DELETE_BYTES);
  assert(record_good(w->buffer, header));
  write_header(w->buffer, header);
  header->checksum = record_checksum(w->buffer, header);
  sdb_put64(w->buffer + shape->checksum_at, header->checksum);
}

/* ---- record: reading ---- */

static void peek_second(const uint8_t *header, sdb_record_header *out) {
  memcpy(out->parent.bytes, header + OFF(record, parent), sizeof out->parent.bytes);
  memcpy(out->file.bytes, header + OFF(record, file), sizeof out->file.bytes);
  out->durability = sdb_get32(header + OFF(record, durability));
  out->changes = sdb_get32(header + OFF(record, changes));
  memcpy(out->settled.bytes, header + OFF(record, settled), sizeof out->settled.bytes);
}

bool sdb_record_peek(const uint8_t header[SDB_RECORD_HEADER_BYTES], uint64_t salt, uint64_t position,
                     uint64_t available, sdb_record_header *out) {
  uint32_t version = SDB_FORMAT_VERSION;
  while (version > 0 && memcmp(header, shapes[version].magic, sizeof shapes[version].magic) != 0)
    version--;
  if (version == 0) return false;
  const struct shape *shape = shape_of(version);
  *out = (sdb_record_header){.version = version,
                             .kind = sdb_get16(header + OFF(record, kind)),
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
                             .checksum = sdb_get64(header + shape->checksum_at)};
  memcpy(out->token.bytes, header + OFF(record, token), sizeof out->token.bytes);
  if (version > 1) peek_second(header, out);
  return (out->salt == salt || salt == 0) && out->position == position && out->bytes >= shape->header_bytes &&
         out->bytes <= available;
}

bool sdb_record_decode(const uint8_t *record, uint64_t bytes, uint64_t salt, uint64_t position,
                       sdb_record_header *out) {
  uint8_t header[SDB_RECORD_HEADER_BYTES] = {0};
  memcpy(header, record, (size_t)SDB_MIN(bytes, sizeof header));
  if (!sdb_record_peek(header, salt, position, bytes, out)) return false;
  if (out->checksum != record_checksum(record, out)) return false;
  if (sdb_get32(header + OFF(record, zeros1)) != 0) return false;
  if (out->version > 1 && !sdb_is_zero(header + OFF(record, zeros2), OFF(record, checksum) - OFF(record, zeros2)))
    return false;
  return record_good(record, out);
}

bool sdb_record_next_put(const uint8_t *record, const sdb_record_header *header, uint64_t *cursor,
                         sdb_record_put *put) {
  if (*cursor >= header->puts) return false;
  *put = read_put(record, header, *cursor);
  ++*cursor;
  return true;
}

bool sdb_record_next_delete(const uint8_t *record, const sdb_record_header *header, uint64_t *cursor, uint32_t *index) {
  if (*cursor >= header->deletes) return false;
  struct parts parts;
  (void)record_parts(header, &parts);
  *index = read_index(record, parts.deletes_at + *cursor * DELETE_BYTES);
  ++*cursor;
  return true;
}

bool sdb_record_next_change(const uint8_t *record, const sdb_record_header *header, uint64_t *cursor,
                            sdb_change_item *change) {
  if (*cursor >= header->changes) return false;
  struct parts parts;
  (void)record_parts(header, &parts);
  const uint8_t *p = record + parts.changes_at + *cursor * CHANGE_BYTES;
  *change = (sdb_change_item){.index = sdb_get32(p + OFF(change, index)),
                              .op = sdb_get32(p + OFF(change, op)),
                              .generation = header->generation,
                              .offset = sdb_get64(p + OFF(change, offset)),
                              .bytes = sdb_get64(p + OFF(change, bytes))};
  ++*cursor;
  return true;
}

bool sdb_record_is_listed(const sdb_record_header *header) {
  return header->changes > 0 || (header->puts == 0 && header->deletes == 0);
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
  struct parts parts;
  (void)record_parts(header, &parts);
  return (const char *)record + parts.coordinator_at;
}
