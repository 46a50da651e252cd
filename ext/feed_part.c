/* SPDX-License-Identifier: MIT
**
** feed_part.c: see feed_part.h; the byte tables are in OBJECTS.md.
*/
#include "feed_part.h"
#include <string.h>
#include "checksum.h"

static const char magic[8] = {'s', 'e', 'q', 'd', 'b', 'o', 'b', 'j'};
#define VERSION   1u
#define FLAG_LAST 1u

/* Where fields of the header stand. */
enum {
  AT_VERSION = 8,
  AT_KIND = 12,
  AT_CHAIN = 16,
  AT_FROM = 32,
  AT_TO = 40,
  AT_PART = 48,
  AT_FLAGS = 52,
  AT_PREVIOUS = 56,
  AT_BYTES = 64,
  AT_SECTIONS = 72,
  AT_BODY_SUM = 80,
  AT_SUM = 120
};
_Static_assert(AT_SUM + 8 == SDB_PART_HEADER_BYTES, "the header's own sum is its end");

static uint64_t get(const uint8_t *p, int bytes) {
  uint64_t value = 0;
  while (bytes-- > 0)
    value = value << 8 | p[bytes];
  return value;
}

static void put(uint8_t *p, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; i++)
    p[i] = (uint8_t)(value >> (8 * i));
}

/* ---- writing ----------------------------------------------------------------------------------------------- */

uint8_t *sdb_part_room(sdb_part *part, size_t bytes) {
  if (part->no_memory) return NULL;
  if (part->capacity - part->bytes < bytes) {
    size_t capacity = part->capacity ? part->capacity : 4096;
    while (capacity - part->bytes < bytes)
      capacity *= 2;
    uint8_t *grown = sqlite3_realloc64(part->data, capacity);
    part->no_memory = !grown;
    if (!grown) return NULL;
    part->data = grown;
    part->capacity = capacity;
  }
  part->bytes += bytes;
  return part->data + part->bytes - bytes;
}

static void add_number(sdb_part *part, uint64_t value, int bytes) {
  uint8_t *p = sdb_part_room(part, (size_t)bytes);
  if (p) put(p, value, bytes);
}

static void add_bytes(sdb_part *part, const void *data, size_t bytes) {
  uint8_t *p = sdb_part_room(part, bytes);
  if (p && bytes > 0) memcpy(p, data, bytes);
}

void sdb_part_begin(sdb_part *part) {
  part->bytes = part->section = 0;
  part->items = part->sections = 0;
  uint8_t *p = sdb_part_room(part, SDB_PART_HEADER_BYTES);
  if (p) memset(p, 0, SDB_PART_HEADER_BYTES);
}

static void close_section(sdb_part *part) {
  if (part->section == 0 || part->no_memory) return;
  uint8_t *p = part->data + part->section;
  size_t bytes = part->bytes - part->section - SDB_SECTION_HEADER_BYTES;
  put(p + 8, part->items, 8);
  put(p + 16, bytes, 8);
  put(p + 24, sdb_checksum(p + SDB_SECTION_HEADER_BYTES, bytes), 8);
  part->section = 0;
}

void sdb_part_section(sdb_part *part, enum sdb_section_kind kind, uint32_t table) {
  if (part->no_memory) return;
  const uint8_t *open = part->data + part->section;
  if (part->section > 0 && get(open, 4) == kind && get(open + 4, 4) == table) return;
  close_section(part);
  size_t at = part->bytes;
  uint8_t *p = sdb_part_room(part, SDB_SECTION_HEADER_BYTES);
  if (!p) return;
  put(p, kind, 4);
  put(p + 4, table, 4);
  part->section = at;
  part->items = 0;
  part->sections++;
}

void sdb_part_item(sdb_part *part) {
  part->items++;
}

void sdb_part_text(sdb_part *part, const char *text) {
  add_number(part, strlen(text), 8);
  add_bytes(part, text, strlen(text));
}

size_t sdb_value_part_bytes(sqlite3_value *value) {
  int type = sqlite3_value_type(value);
  if (type == SQLITE_NULL) return 1;
  return 9 + (type == SQLITE_TEXT || type == SQLITE_BLOB ? (size_t)sqlite3_value_bytes(value) : 0);
}

void sdb_part_value(sdb_part *part, sqlite3_value *value) {
  int type = sqlite3_value_type(value);
  uint64_t number = 0;
  add_number(part, (uint64_t)type, 1);
  if (type == SQLITE_NULL) return;
  if (type == SQLITE_INTEGER) number = (uint64_t)sqlite3_value_int64(value);
  if (type == SQLITE_FLOAT) {
    double real = sqlite3_value_double(value);
    memcpy(&number, &real, sizeof number);
  }
  if (type == SQLITE_INTEGER || type == SQLITE_FLOAT) {
    add_number(part, number, 8);
    return;
  }
  const void *data = type == SQLITE_TEXT ? (const void *)sqlite3_value_text(value) : sqlite3_value_blob(value);
  size_t bytes = (size_t)sqlite3_value_bytes(value);
  if (!data && bytes > 0) part->no_memory = true;
  add_number(part, bytes, 8);
  add_bytes(part, data, bytes);
}

void sdb_part_change(sdb_part *part, const sdb_region_change *change) {
  add_number(part, change->op, 4);
  add_number(part, change->entry, 4);
  add_number(part, change->created, 8);
  add_number(part, change->offset, 8);
  add_number(part, change->bytes, 8);
}

static void write_header(uint8_t *p, sdb_part_header *header) {
  memcpy(p, magic, sizeof magic);
  put(p + AT_VERSION, VERSION, 4);
  put(p + AT_KIND, header->kind, 4);
  memcpy(p + AT_CHAIN, header->chain, sizeof header->chain);
  put(p + AT_FROM, header->from, 8);
  put(p + AT_TO, header->to, 8);
  put(p + AT_PART, header->part, 4);
  put(p + AT_FLAGS, header->last ? FLAG_LAST : 0, 4);
  put(p + AT_PREVIOUS, header->previous, 8);
  put(p + AT_BYTES, header->bytes, 8);
  put(p + AT_SECTIONS, header->sections, 8);
  put(p + AT_BODY_SUM, header->body_sum, 8);
  header->sum = sdb_checksum(p, AT_SUM);
  put(p + AT_SUM, header->sum, 8);
}

int sdb_part_finish(sdb_part *part, sdb_part_header *header, sdb_failure *f) {
  close_section(part);
  if (part->no_memory) return sdb_failure_nomem(f);
  header->bytes = part->bytes;
  header->sections = part->sections;
  header->body_sum = sdb_checksum(part->data + SDB_PART_HEADER_BYTES, part->bytes - SDB_PART_HEADER_BYTES);
  write_header(part->data, header);
  return SQLITE_OK;
}

void sdb_part_free(sdb_part *part) {
  sqlite3_free(part->data);
  *part = (sdb_part){0};
}

/* ---- reading ----------------------------------------------------------------------------------------------- */

static int damaged(sdb_failure *f, const char *what, size_t at) {
  return sdb_failure_set(f, SQLITE_CORRUPT_VTAB, "the object is damaged: %s at byte %llu: fetch it again", what,
                         (unsigned long long)at);
}

static void read_header(const uint8_t *p, sdb_part_header *header) {
  memcpy(header->chain, p + AT_CHAIN, sizeof header->chain);
  header->kind = (uint32_t)get(p + AT_KIND, 4);
  header->from = get(p + AT_FROM, 8);
  header->to = get(p + AT_TO, 8);
  header->part = (uint32_t)get(p + AT_PART, 4);
  header->last = (get(p + AT_FLAGS, 4) & FLAG_LAST) != 0;
  header->previous = get(p + AT_PREVIOUS, 8);
  header->bytes = get(p + AT_BYTES, 8);
  header->sections = get(p + AT_SECTIONS, 8);
  header->body_sum = get(p + AT_BODY_SUM, 8);
  header->sum = get(p + AT_SUM, 8);
}

static bool makes_sense(const uint8_t *p, const sdb_part_header *header) {
  bool base = header->kind == SDB_OBJECT_BASE;
  for (size_t i = AT_BODY_SUM + 8; i < AT_SUM; i++)
    if (p[i] != 0) return false;
  return (base || header->kind == SDB_OBJECT_CHANGE) && header->part > 0 && header->to <= INT64_MAX &&
         header->from <= header->to && (!base || header->from == 0) && (header->previous == 0) == (header->part == 1) &&
         get(p + AT_FLAGS, 4) <= FLAG_LAST;
}

int sdb_part_open(const void *data, size_t bytes, sdb_part_header *header, sdb_failure *f) {
  const uint8_t *p = data;
  size_t at = 0;
  bool found = true;
  sdb_section section;
  if (bytes < SDB_PART_HEADER_BYTES || memcmp(p, magic, sizeof magic) != 0)
    return sdb_failure_set(f, SQLITE_CORRUPT_VTAB,
                           "this is no object of a change feed: %llu bytes that do not begin so",
                           (unsigned long long)bytes);
  if (get(p + AT_VERSION, 4) != VERSION)
    return sdb_failure_set(f, SQLITE_CORRUPT_VTAB,
                           "the object has version %llu of the format, and this library knows %u: use a newer one",
                           (unsigned long long)get(p + AT_VERSION, 4), VERSION);
  read_header(p, header);
  if (sdb_checksum(p, AT_SUM) != header->sum) return damaged(f, "the sum of its header does not match", AT_SUM);
  if (header->bytes != bytes)
    return sdb_failure_set(f, SQLITE_CORRUPT_VTAB, "the object is cut: it has %llu bytes of %llu: fetch it again",
                           (unsigned long long)bytes, (unsigned long long)header->bytes);
  if (sdb_checksum(p + SDB_PART_HEADER_BYTES, bytes - SDB_PART_HEADER_BYTES) != header->body_sum)
    return damaged(f, "the sum of its content does not match", AT_BODY_SUM);
  if (!makes_sense(p, header)) return damaged(f, "its header makes no sense", AT_KIND);
  uint64_t sections = 0;
  for (; found && sdb_part_next(data, bytes, &at, &section, &found, f) == SQLITE_OK; sections += found) {
  }
  if (f->code == SQLITE_OK && sections != header->sections) damaged(f, "the number of sections", AT_SECTIONS);
  return f->code;
}

int sdb_part_next(const void *data, size_t bytes, size_t *at, sdb_section *section, bool *found, sdb_failure *f) {
  const uint8_t *p = data;
  if (*at == 0) *at = SDB_PART_HEADER_BYTES;
  *found = *at < bytes;
  if (!*found) return SQLITE_OK;
  if (bytes - *at < SDB_SECTION_HEADER_BYTES) return damaged(f, "a section is cut", *at);
  p += *at;
  uint64_t payload = get(p + 16, 8);
  if (payload > bytes - *at - SDB_SECTION_HEADER_BYTES) return damaged(f, "a section is cut", *at);
  *section = (sdb_section){.kind = (uint32_t)get(p, 4), .table = (uint32_t)get(p + 4, 4), .items = get(p + 8, 8)};
  section->at = p + SDB_SECTION_HEADER_BYTES;
  section->end = section->at + payload;
  if (sdb_checksum(section->at, (size_t)payload) != get(p + 24, 8)) return damaged(f, "the sum of a section", *at);
  if (section->kind < SDB_SECTION_TABLE || section->kind > SDB_SECTION_REGIONS)
    return damaged(f, "a section of an unknown kind", *at);
  *at += SDB_SECTION_HEADER_BYTES + (size_t)payload;
  return SQLITE_OK;
}

/* The next bytes of a section; NULL: it is damaged. */
static const uint8_t *take(sdb_section *section, uint64_t bytes, sdb_failure *f) {
  const uint8_t *p = section->at;
  if (bytes > (uint64_t)(section->end - section->at)) {
    sdb_failure_set(f, SQLITE_CORRUPT_VTAB, "the object is damaged: an item of a section of kind %u is cut",
                    section->kind);
    return NULL;
  }
  section->at += bytes;
  return p;
}

int sdb_section_text(sdb_section *section, const char **text, size_t *bytes, sdb_failure *f) {
  const uint8_t *p = take(section, 8, f);
  if (!p) return f->code;
  *bytes = (size_t)get(p, 8);
  *text = (const char *)take(section, *bytes, f);
  return f->code;
}

static int bind_number(sqlite3_stmt *statement, int index, int type, uint64_t number) {
  double real;
  memcpy(&real, &number, sizeof real);
  return type == SQLITE_INTEGER ? sqlite3_bind_int64(statement, index, (sqlite3_int64)number)
                                : sqlite3_bind_double(statement, index, real);
}

int sdb_section_bind(sdb_section *section, sqlite3_stmt *statement, int index, sdb_failure *f) {
  const uint8_t *p = take(section, 1, f);
  int type = p ? *p : 0, rc = SQLITE_OK;
  if (p && (type < SQLITE_INTEGER || type > SQLITE_NULL)) damaged(f, "a value of an unknown type", 0);
  if (f->code == SQLITE_OK && type == SQLITE_NULL) return statement ? sqlite3_bind_null(statement, index) : SQLITE_OK;
  const uint8_t *number = f->code == SQLITE_OK ? take(section, 8, f) : NULL;
  if (!number) return f->code;
  uint64_t value = get(number, 8);
  if (type == SQLITE_INTEGER || type == SQLITE_FLOAT) {
    if (statement) rc = bind_number(statement, index, type, value);
  } else {
    const uint8_t *data = take(section, value, f);
    if (!data) return f->code;
    if (statement && type == SQLITE_TEXT)
      rc = sqlite3_bind_text64(statement, index, (const char *)data, value, SQLITE_STATIC, SQLITE_UTF8);
    else if (statement)
      rc = sqlite3_bind_blob64(statement, index, data, value, SQLITE_STATIC);
  }
  return rc == SQLITE_OK ? rc : sdb_failure_nested(f, sqlite3_db_handle(statement));
}

int sdb_section_change(sdb_section *section, sdb_region_change *change, sdb_failure *f) {
  const uint8_t *p = take(section, SDB_REGION_CHANGE_BYTES, f);
  if (!p) return f->code;
  *change = (sdb_region_change){.op = (uint32_t)get(p, 4),
                                .entry = (uint32_t)get(p + 4, 4),
                                .created = get(p + 8, 8),
                                .offset = get(p + 16, 8),
                                .bytes = get(p + 24, 8)};
  if (change->op < SEQDB_CHANGE_REMOVE || change->op > SEQDB_CHANGE_LENGTH)
    return damaged(f, "a change of an unknown kind", 0);
  if (change->op == SEQDB_CHANGE_WRITE || change->op == SEQDB_CHANGE_CREATE || change->op == SEQDB_CHANGE_RENAME)
    change->data = take(section, change->bytes, f);
  return f->code;
}
