/* SPDX-License-Identifier: MIT
**
** fuzz_damage.c: a little language of damage.  Each step is an opcode and its arguments, taken from the fuzzer's input,
** so that every input means something; most steps can make the checksum right afterwards, so that what lies behind it
** is reached.  See fuzz.h. THREADS: one.
*/
#include <stdlib.h>
#include "fuzz.h"

#define REGIONS_BYTES_MAX ((uint64_t)1 << 20)
#define JOURNAL_BYTES_MAX ((uint64_t)1 << 20)
#define STEPS_MAX         64
#define PAGE              ((size_t)SDB_PAGE)

/* ---- checksums, as FORMAT.md says */

void fuzz_seal_entry(uint8_t page[SDB_ENTRY_BYTES], uint32_t index) {
  size_t name_bytes = (size_t)SDB_MIN(sdb_get64(page + 24), 4000);
  memcpy(page + 4032, "seqdbent", 8);
  sdb_put64(page + 4088, sdb_hash_bytes(page + 4032, 56, sdb_hash_bytes(page, 32 + name_bytes, index)));
}

void fuzz_seal_header(uint8_t page[SDB_JOURNAL_HEADER_BYTES]) {
  memcpy(page, "seqdbjnl", 8);
  sdb_put64(page + 4088, sdb_hash_bytes(page, 4088, 0));
}

void fuzz_seal_record(fuzz_file *journal, uint64_t at) {
  uint8_t head[SDB_RECORD_HEADER_BYTES];
  fuzz_get(journal, at, head, sizeof head);
  uint64_t bytes = sdb_get64(head + 8), size = memcmp(head, "sqdr", 4) == 0 ? 128 : 192;
  uint64_t payload = bytes < size || bytes > JOURNAL_BYTES_MAX ? 0 : bytes - size;
  uint8_t *rest = fuzz_memory(NULL, (size_t)payload);
  fuzz_get(journal, at + size, rest, (size_t)payload);
  if (size == 192) memcpy(head, "sqr2", 4);
  sdb_put64(head + 24, at);
  sdb_put64(head + size - 8, sdb_hash_bytes(rest, (size_t)payload, sdb_hash_bytes(head, (size_t)size - 8, 0)));
  fuzz_put(journal, at, head, sizeof head);
  free(rest);
}

void fuzz_seal_catalog(fuzz_file *catalog) {
  uint8_t page[SDB_CATALOG_HEAD_BYTES], block[SDB_CATALOG_BLOCK_BYTES];
  fuzz_get(catalog, 0, page, sizeof page);
  memcpy(page, "seqdbcat", 8);
  sdb_put64(page + 4088, sdb_hash_bytes(page, 4088, 0));
  fuzz_put(catalog, 0, page, sizeof page);
  for (uint64_t at = sizeof page, bytes; at < catalog->stored; at += bytes) {
    fuzz_get(catalog, at, block, sizeof block);
    bytes = sdb_get32(block + 4);
    if (bytes < 24 || bytes > sizeof block || bytes > catalog->size - at) return;
    memcpy(block, "scb1", 4);
    uint64_t seed = sdb_hash_bytes(block, 16, sdb_get64(page + 96) ^ at);
    sdb_put64(block + 16, sdb_hash_bytes(block + 24, (size_t)bytes - 24, seed));
    fuzz_put(catalog, at, block, (size_t)bytes);
  }
}

bool fuzz_whole_record(const fuzz_file *journal, uint64_t at, sdb_record_header *header, uint8_t **record) {
  uint8_t head[SDB_RECORD_HEADER_BYTES];
  if (at >= journal->stored || journal->size - at < sizeof head) return false;
  fuzz_get(journal, at, head, sizeof head);
  uint64_t bytes = sdb_get64(head + 8), salt = sdb_get64(head + 16);
  if ((memcmp(head, "sqr2", 4) != 0 && memcmp(head, "sqdr", 4) != 0) || bytes < sizeof head ||
      bytes > journal->size - at)
    return false;
  *record = fuzz_memory(NULL, (size_t)bytes);
  fuzz_get(journal, at, *record, (size_t)bytes);
  if (sdb_record_decode(*record, bytes, salt, at, header)) return true;
  free(*record);
  return false;
}

size_t fuzz_list_records(const fuzz_file *journal, uint64_t at[], size_t most) {
  size_t count = 0;
  for (uint64_t place = SDB_JOURNAL_START; place < journal->stored && count < most; place += SDB_RECORD_ALIGN) {
    uint8_t magic[4];
    fuzz_get(journal, place, magic, sizeof magic);
    if (memcmp(magic, "sqr2", 4) == 0 || memcmp(magic, "sqdr", 4) == 0) at[count++] = place;
  }
  return count;
}

int fuzz_newest_header(const fuzz_file *journal) {
  uint8_t page[SDB_JOURNAL_HEADER_BYTES];
  uint64_t sequence = 0;
  int newest = -1;
  for (int i = 0; i < 2; i++) {
    sdb_journal_header header;
    fuzz_get(journal, (uint64_t)i * PAGE, page, sizeof page);
    if (sdb_journal_header_decode(page, &header) != SDB_HEADER_OK || (header.sequence & 1) != (unsigned)i) continue;
    if (newest >= 0 && header.sequence < sequence) continue;
    newest = i;
    sequence = header.sequence;
  }
  return newest;
}

/* ---- what the steps work on */

struct step {
  fuzz_disk *disk;
  const fuzz_base *base;
  fuzz_input *input;
};

static fuzz_file *file_of(struct step *s, int which) {
  return &s->disk->file[which];
}

/* A page of `regions`, one behind the last included. */
static uint32_t choose_page(struct step *s) {
  uint64_t pages = file_of(s, FUZZ_REGIONS)->size / PAGE;
  return (uint32_t)(fuzz_u8(s->input) % (SDB_MIN(pages, REGIONS_BYTES_MAX / PAGE - 1) + 1));
}

static void change_page(struct step *s, uint32_t index, uint8_t page[SDB_ENTRY_BYTES], bool seal) {
  if (seal) fuzz_seal_entry(page, index);
  fuzz_file *regions = file_of(s, FUZZ_REGIONS);
  bool guarded = regions->size % PAGE == 1;
  fuzz_put(regions, index * PAGE, page, PAGE);
  if (guarded && regions->size % PAGE == 0) regions->size++;
}

/* The place of a record; without any, that of the first one. */
static uint64_t choose_record(struct step *s) {
  uint64_t at[64];
  size_t count = fuzz_list_records(file_of(s, FUZZ_JOURNAL), at, 64);
  uint8_t choice = fuzz_u8(s->input);
  return count ? at[choice % count] : SDB_JOURNAL_START;
}

/* ---- steps: regions */

static void entry_field(struct step *s) {
  static const uint16_t fields[] = {0, 8, 16, 24, 32, 4032, 4040, 4048};
  uint8_t page[SDB_ENTRY_BYTES];
  uint32_t index = choose_page(s);
  uint8_t how = fuzz_u8(s->input);
  fuzz_get(file_of(s, FUZZ_REGIONS), index * PAGE, page, sizeof page);
  uint8_t *field = page + fields[how % 8];
  uint64_t value = fuzz_value(s->input);
  sdb_put64(field, how & 0x40 ? sdb_get64(field) + value : value);
  change_page(s, index, page, !(how & 0x80));
}

static void entry_bytes(struct step *s) {
  uint8_t page[SDB_ENTRY_BYTES];
  uint32_t index = choose_page(s);
  uint16_t at = fuzz_u16(s->input);
  uint8_t count = fuzz_u8(s->input) % 33;
  fuzz_get(file_of(s, FUZZ_REGIONS), index * PAGE, page, sizeof page);
  for (unsigned i = 0; i < count; i++)
    page[(at + i) % PAGE] ^= fuzz_u8(s->input);
  change_page(s, index, page, at & 0x8000);
}

static void entry_name(struct step *s) {
  uint8_t page[SDB_ENTRY_BYTES];
  uint32_t index = choose_page(s);
  uint16_t bytes = fuzz_u16(s->input);
  fuzz_get(file_of(s, FUZZ_REGIONS), index * PAGE, page, sizeof page);
  memset(page + 32, 0, 4000);
  uint64_t name_bytes = bytes % 1100;
  for (size_t i = 0; i < name_bytes; i++)
    page[32 + i] = i < 12 ? fuzz_u8(s->input) : 'y';
  sdb_put64(page + 24, name_bytes);
  change_page(s, index, page, !(bytes & 0x8000));
}

static void entry_copy(struct step *s) {
  uint8_t page[SDB_ENTRY_BYTES];
  uint32_t from = choose_page(s), to = choose_page(s);
  fuzz_get(file_of(s, FUZZ_REGIONS), from * PAGE, page, sizeof page);
  change_page(s, to, page, fuzz_u8(s->input) & 1);
}

static void entry_new(struct step *s) {
  uint8_t page[SDB_ENTRY_BYTES] = {0};
  uint32_t index = choose_page(s);
  uint8_t letter = fuzz_u8(s->input);
  sdb_put64(page, fuzz_value(s->input));
  sdb_put64(page + 16, fuzz_value(s->input));
  sdb_put64(page + 8, fuzz_value(s->input));
  sdb_put64(page + 24, 2);
  page[32] = 'n';
  page[33] = (uint8_t)('a' + letter % 26);
  sdb_put64(page + 4040, letter / 26);
  change_page(s, index, page, true);
}

static void entry_without_trailer(struct step *s) {
  uint8_t page[SDB_ENTRY_BYTES];
  uint32_t index = choose_page(s);
  fuzz_get(file_of(s, FUZZ_REGIONS), index * PAGE, page, sizeof page);
  memset(page + SDB_ENTRY_TRAILER_OFF, 0, SDB_ENTRY_BYTES - SDB_ENTRY_TRAILER_OFF);
  change_page(s, index, page, false);
}

static void regions_zero_sectors(struct step *s) {
  static const uint8_t zeros[SDB_RECORD_ALIGN];
  uint64_t page = choose_page(s);
  uint8_t mask = fuzz_u8(s->input);
  for (unsigned i = 0; i < 8; i++)
    if (mask & 1u << i) fuzz_put(file_of(s, FUZZ_REGIONS), page * PAGE + i * sizeof zeros, zeros, sizeof zeros);
}

static void regions_size(struct step *s) {
  uint64_t size = fuzz_value(s->input);
  fuzz_resize(file_of(s, FUZZ_REGIONS), size % REGIONS_BYTES_MAX);
}

static void regions_guard(struct step *s) {
  fuzz_file *regions = file_of(s, FUZZ_REGIONS);
  fuzz_resize(regions, regions->size / PAGE * PAGE + fuzz_u8(s->input) % 3);
}

/* ---- steps: journal */

static void header_field(struct step *s) {
  static const uint16_t fields[] = {0, 8, 12, 16, 32, 40, 48, 56, 64, 72, 80, 88, 96, 128, 152, 304};
  uint8_t page[SDB_JOURNAL_HEADER_BYTES], how = fuzz_u8(s->input);
  int newest = fuzz_newest_header(file_of(s, FUZZ_JOURNAL));
  uint64_t at = how & 0x10 ? 0 : how & 0x20 ? PAGE : newest > 0 ? PAGE : 0;
  fuzz_get(file_of(s, FUZZ_JOURNAL), at, page, sizeof page);
  uint8_t *field = page + fields[how % 16];
  uint64_t value = fuzz_value(s->input);
  if (how & 0x40) value += sdb_get64(field);
  if (how % 16 == 1 || how % 16 == 2 || how % 16 >= 14)
    sdb_put32(field, (uint32_t)value);
  else
    sdb_put64(field, value);
  if (!(how & 0x80)) fuzz_seal_header(page);
  fuzz_put(file_of(s, FUZZ_JOURNAL), at, page, sizeof page);
}

static void header_match(struct step *s) {
  uint8_t salts[2][8];
  int newest = fuzz_newest_header(file_of(s, FUZZ_JOURNAL));
  fuzz_match_header(s->disk);
  if (newest < 0) return;
  fuzz_get(file_of(s, FUZZ_JOURNAL), (uint64_t)newest * PAGE + 40, salts[0], 8);
  fuzz_get(file_of(s, FUZZ_JOURNAL), SDB_JOURNAL_START + 16, salts[1], 8);
  if (memcmp(salts[0], salts[1], 8) == 0) fuzz_match_records(s->disk); /* not those of an older header */
}

static void journal_bytes(struct step *s) {
  fuzz_file *journal = file_of(s, FUZZ_JOURNAL);
  uint64_t at = fuzz_u32(s->input) % (journal->stored + 512);
  uint8_t count = fuzz_u8(s->input) % 17;
  for (unsigned i = 0; i < count; i++) {
    uint8_t byte = fuzz_byte(journal, at + i) ^ fuzz_u8(s->input);
    fuzz_put(journal, at + i, &byte, 1);
  }
}

static void journal_zero_sector(struct step *s) {
  static const uint8_t zeros[SDB_RECORD_ALIGN];
  fuzz_file *journal = file_of(s, FUZZ_JOURNAL);
  fuzz_put(journal, fuzz_u16(s->input) % (journal->stored / sizeof zeros + 1) * sizeof zeros, zeros, sizeof zeros);
}

static void journal_size(struct step *s) {
  fuzz_resize(file_of(s, FUZZ_JOURNAL), fuzz_value(s->input) % JOURNAL_BYTES_MAX);
}

static void record_field(struct step *s) {
  static const uint8_t fields[] = {4,  6,  8,  16,  24,  32,  40,  64,  68,  72,  76,
                                   80, 88, 96, 104, 112, 120, 136, 152, 156, 160, 48};
  uint64_t at = choose_record(s);
  uint8_t head[SDB_RECORD_HEADER_BYTES], how = fuzz_u8(s->input), place = fields[(how & 31) % 22];
  fuzz_get(file_of(s, FUZZ_JOURNAL), at, head, sizeof head);
  uint64_t value = fuzz_value(s->input);
  if (how & 0x40) value += sdb_get64(head + place);
  if (place == 4 || place == 6)
    sdb_put16(head + place, (uint16_t)value);
  else if ((place >= 64 && place < 80) || place == 152 || place == 156)
    sdb_put32(head + place, (uint32_t)value);
  else
    sdb_put64(head + place, value);
  fuzz_put(file_of(s, FUZZ_JOURNAL), at, head, sizeof head);
  if (!(how & 0x80)) fuzz_seal_record(file_of(s, FUZZ_JOURNAL), at);
  if (how & 0x20) fuzz_match_records(s->disk);
}

static void record_payload(struct step *s) {
  uint64_t at = choose_record(s);
  uint16_t place = fuzz_u16(s->input);
  uint8_t field[8];
  uint64_t within = SDB_RECORD_HEADER_BYTES + place % 512;
  fuzz_get(file_of(s, FUZZ_JOURNAL), at + within, field, sizeof field);
  uint64_t value = fuzz_value(s->input);
  if (place & 0x2000)
    sdb_put32(field, (uint32_t)value);
  else
    sdb_put64(field, place & 0x4000 ? sdb_get64(field) + value : value);
  fuzz_put(file_of(s, FUZZ_JOURNAL), at + within, field, sizeof field);
  if (!(place & 0x8000)) fuzz_seal_record(file_of(s, FUZZ_JOURNAL), at);
  fuzz_match_records(s->disk);
}

/* A sound record of what the input says, behind the last one. */
struct forged {
  sdb_record_sizes sizes;
  sdb_record_put puts[4];
  uint32_t deletes[4];
  sdb_record_range ranges[4];
  char names[4][4];
  uint64_t data_bytes;
};

static void forge_puts(struct step *s, struct forged *f, unsigned count) {
  uint32_t index = 0;
  for (unsigned i = 0; i < count; i++) {
    sdb_record_put *put = &f->puts[f->sizes.puts];
    uint32_t step = fuzz_u8(s->input);
    index = step == 255 ? fuzz_u32(s->input) : index + step % 12 + (i > 0);
    uint8_t letter = fuzz_u8(s->input);
    *put = (sdb_record_put){.index = index, .name_bytes = 1 + letter % 2, .name = f->names[i]};
    memset(f->names[i], 'a' + letter % 26, sizeof f->names[i]);
    put->created = step % 2;
    put->start = sdb_page_down(fuzz_value(s->input));
    put->reserved = sdb_page_down(fuzz_value(s->input));
    put->length = fuzz_value(s->input);
    if (put->reserved == 0) put->reserved = PAGE;
    if (put->length > put->reserved) put->length = put->reserved;
    if (put->start > SDB_OFFSET_MAX || put->reserved > SDB_OFFSET_MAX - put->start) continue;
    if (put->index >= SDB_INDEX_MAX || (f->sizes.puts > 0 && put->index <= put[-1].index)) continue;
    f->data_bytes = SDB_MAX(f->data_bytes, put->start + put->reserved);
    f->sizes.put_name_bytes += put->name_bytes;
    f->sizes.puts++;
  }
}

static void forge_rest(struct step *s, struct forged *f, unsigned deletes, unsigned ranges) {
  static const uint8_t bytes[64] = "forged forged forged forged forged forged forged forged forged";
  for (unsigned i = 0; i < deletes; i++) {
    uint32_t index = fuzz_u8(s->input) % 16;
    bool again = false;
    for (unsigned k = 0; k < f->sizes.puts; k++)
      again |= f->puts[k].index == index;
    for (unsigned k = 0; k < f->sizes.deletes; k++)
      again |= f->deletes[k] == index;
    if (!again) f->deletes[f->sizes.deletes++] = index;
  }
  for (unsigned i = 0; i < ranges; i++) {
    uint64_t offset = fuzz_value(s->input), count = 1 + fuzz_u8(s->input) % sizeof bytes;
    if (offset > SDB_OFFSET_MAX - PAGE - count) continue;
    f->ranges[f->sizes.ranges++] = (sdb_record_range){offset, count, bytes};
    f->sizes.range_bytes += count;
    f->data_bytes = SDB_MAX(f->data_bytes, sdb_page_up(offset + count));
  }
}

static void record_new(struct step *s) {
  fuzz_file *journal = file_of(s, FUZZ_JOURNAL);
  uint8_t counts = fuzz_u8(s->input), how = fuzz_u8(s->input);
  struct forged f = {.sizes = {.version = SDB_FORMAT_VERSION, .coordinator_bytes = how & 8 ? 4 : 0}};
  sdb_record_header header = {.kind = how & 1 ? SDB_RECORD_PREPARE : SDB_RECORD_COMMIT, .flags = how >> 1 & 1};
  sdb_record_header last = {0};
  sdb_record_writer w;
  uint64_t at[64];
  uint8_t field[8];
  size_t count = fuzz_list_records(journal, at, 64);
  int newest = fuzz_newest_header(journal);
  if (newest < 0) return;
  fuzz_get(journal, (uint64_t)newest * PAGE + 40, field, sizeof field);
  header.salt = header.previous = sdb_get64(field);
  fuzz_get(journal, (uint64_t)newest * PAGE + 48, field, sizeof field);
  header.generation = sdb_get64(field) + 1;
  fuzz_get(journal, (uint64_t)newest * PAGE + 96, header.parent.bytes, sizeof header.parent.bytes);
  header.position = SDB_JOURNAL_START;
  for (size_t i = 0; i < count; i++) {
    uint8_t *record;
    if (!fuzz_whole_record(journal, at[i], &last, &record)) continue;
    free(record);
    if (last.salt != header.salt || at[i] != header.position) continue;
    header.position = (at[i] + last.bytes + SDB_RECORD_ALIGN - 1) / SDB_RECORD_ALIGN * SDB_RECORD_ALIGN;
    header.previous = last.checksum;
    header.parent = last.token; /* right if that one is a commit */
    header.generation = last.generation + (how & 4 ? 0 : 1);
  }
  if (header.position > JOURNAL_BYTES_MAX) return;
  forge_puts(s, &f, counts & 3);
  forge_rest(s, &f, counts >> 2 & 3, counts >> 4 & 3);
  header.data_bytes = f.data_bytes;
  uint64_t size = sdb_record_size(&f.sizes);
  uint8_t *record = fuzz_memory(NULL, (size_t)size);
  sdb_record_begin(&w, record, &f.sizes, "host");
  for (size_t i = 0; i < f.sizes.puts; i++) {
    f.puts[i].created = SDB_MIN(f.puts[i].created, header.generation);
    sdb_record_add_put(&w, &f.puts[i]);
  }
  for (size_t i = 0; i < f.sizes.deletes; i++)
    sdb_record_add_delete(&w, f.deletes[i]);
  for (size_t i = 0; i < f.sizes.ranges; i++)
    memcpy(sdb_record_add_range(&w, f.ranges[i].offset, f.ranges[i].bytes), f.ranges[i].data,
           (size_t)f.ranges[i].bytes);
  sdb_record_seal(&w, &header);
  fuzz_put(journal, header.position, record, (size_t)size);
  free(record);
  if (!(how & 32)) fuzz_match_records(s->disk);
  if (s->disk->file[FUZZ_REGIONS].size % PAGE == 0 && !(how & 16)) s->disk->file[FUZZ_REGIONS].size++; /* the guard */
}

static void record_copy(struct step *s) {
  uint64_t from = choose_record(s), to = SDB_JOURNAL_START + fuzz_u16(s->input) % 128 * SDB_RECORD_ALIGN;
  uint8_t head[SDB_RECORD_HEADER_BYTES];
  fuzz_file *journal = file_of(s, FUZZ_JOURNAL);
  fuzz_get(journal, from, head, sizeof head);
  uint64_t bytes = SDB_MIN(sdb_get64(head + 8), 65536);
  uint8_t *copy = fuzz_memory(NULL, (size_t)bytes);
  fuzz_get(journal, from, copy, (size_t)bytes);
  fuzz_put(journal, to, copy, (size_t)bytes);
  free(copy);
  fuzz_seal_record(journal, to);
}

/* ---- steps: data and whole files */

static void data_size(struct step *s) {
  uint64_t size = fuzz_value(s->input);
  fuzz_resize(file_of(s, FUZZ_DATA), SDB_MIN(size, FUZZ_FILE_MAX));
}

static void data_bytes(struct step *s) {
  uint64_t at = fuzz_u32(s->input) % ((uint64_t)1 << 18);
  uint8_t byte = fuzz_byte(file_of(s, FUZZ_DATA), at) ^ fuzz_u8(s->input);
  if (at < file_of(s, FUZZ_DATA)->size) fuzz_put(file_of(s, FUZZ_DATA), at, &byte, 1);
}

static void older_file(struct step *s) {
  int which = fuzz_u8(s->input) % FUZZ_NEEDED;
  const fuzz_file *old = &s->base->old.file[which];
  fuzz_file *file = file_of(s, which);
  fuzz_resize(file, 0);
  if (old->stored) fuzz_put(file, 0, old->bytes, (size_t)old->stored);
  file->size = old->size;
  file->missing = old->missing;
}

static void lost_file(struct step *s) {
  file_of(s, fuzz_u8(s->input) % FUZZ_NEEDED)->missing = true;
}

/* ---- steps: catalog */

#define CATALOG_BYTES_MAX ((uint64_t)1 << 18)

/* The place of the head, of a block, or of the item that one begins with and of some behind that. */
static uint64_t choose_part(struct step *s, uint8_t how) {
  const fuzz_file *catalog = file_of(s, FUZZ_CATALOG);
  uint8_t field[8];
  if (how % 3 == 0) return 0;
  uint64_t at = SDB_CATALOG_HEAD_BYTES;
  unsigned skip = how % 3 == 1 ? how / 3 % 4 : how / 3 % 12;
  if (how % 3 == 1) { /* blocks */
    for (; skip > 0 && at < catalog->stored; skip--) {
      fuzz_get(catalog, at, field, sizeof field);
      at += SDB_MAX(24, sdb_get32(field + 4) % SDB_CATALOG_BLOCK_BYTES);
    }
    return at;
  }
  for (at += 24; skip > 0 && at < catalog->stored; skip--) {
    fuzz_get(catalog, at, field, sizeof field);
    at += sdb_get16(field + 4) ? 48u + sdb_get16(field + 4) : 8u;
  }
  return at;
}

static void catalog_field(struct step *s) {
  static const uint8_t head[] = {8, 16, 32, 40, 48, 56, 96, 104, 112}, block[] = {4, 8, 12, 16},
                       item[] = {0, 4, 6, 8, 16, 24, 32, 40};
  fuzz_file *catalog = file_of(s, FUZZ_CATALOG);
  uint8_t part = fuzz_u8(s->input), how = fuzz_u8(s->input), bytes[8];
  uint64_t at = choose_part(s, part);
  at += part % 3 == 0   ? head[(how & 31) % sizeof head]
        : part % 3 == 1 ? block[(how & 31) % sizeof block]
                        : item[(how & 31) % sizeof item];
  fuzz_get(catalog, at, bytes, sizeof bytes);
  uint64_t value = fuzz_value(s->input);
  if (how & 0x40) value += sdb_get64(bytes);
  if (part % 3 == 2 && (how & 31) % sizeof item < 3)
    sdb_put16(bytes, (uint16_t)value);
  else if (part % 3 == 1 || (part % 3 == 0 && (how & 31) % sizeof head == 0))
    sdb_put32(bytes, (uint32_t)value);
  else
    sdb_put64(bytes, value);
  fuzz_put(catalog, at, bytes, sizeof bytes);
  if (!(how & 0x80)) fuzz_seal_catalog(catalog);
}

static void catalog_bytes(struct step *s) {
  fuzz_file *catalog = file_of(s, FUZZ_CATALOG);
  uint32_t place = fuzz_u16(s->input);
  uint8_t count = fuzz_u8(s->input);
  uint64_t at = count & 0x40 ? place % SDB_CATALOG_HEAD_BYTES : SDB_CATALOG_HEAD_BYTES + place % 4096;
  for (unsigned i = 0; i < count % 17; i++) {
    uint8_t byte = fuzz_byte(catalog, at + i) ^ fuzz_u8(s->input);
    fuzz_put(catalog, at + i, &byte, 1);
  }
  if (!(count & 0x80)) fuzz_seal_catalog(catalog);
}

static void catalog_copy(struct step *s) {
  fuzz_file *catalog = file_of(s, FUZZ_CATALOG);
  uint64_t from = choose_part(s, fuzz_u8(s->input)), to = choose_part(s, fuzz_u8(s->input));
  uint8_t bytes[256], count = fuzz_u8(s->input);
  fuzz_get(catalog, from, bytes, count);
  fuzz_put(catalog, to, bytes, count);
  fuzz_seal_catalog(catalog);
}

static void catalog_size(struct step *s) {
  fuzz_file *catalog = file_of(s, FUZZ_CATALOG);
  fuzz_resize(catalog, fuzz_value(s->input) % CATALOG_BYTES_MAX);
  if (fuzz_u8(s->input) & 1) fuzz_seal_catalog(catalog);
}

static void catalog_older(struct step *s) {
  const fuzz_file *old = &s->base->old.file[FUZZ_CATALOG];
  fuzz_file *catalog = file_of(s, FUZZ_CATALOG);
  uint8_t how = fuzz_u8(s->input), keys[48];
  fuzz_get(catalog, 16, keys, sizeof keys);
  fuzz_resize(catalog, 0);
  if (old->stored) fuzz_put(catalog, 0, old->bytes, (size_t)old->stored);
  catalog->missing = old->missing;
  if (how & 1) fuzz_put(catalog, 16, keys, sizeof keys); /* under the newer header */
  if (how & 1) fuzz_seal_catalog(catalog);
}

/* ---- the language */

#define R FUZZ_DAMAGE_REGIONS
#define J FUZZ_DAMAGE_JOURNAL
#define D FUZZ_DAMAGE_DATA
#define C FUZZ_DAMAGE_CATALOG
static const struct {
  void (*run)(struct step *s);
  unsigned kinds;
} steps[] = {{entry_field, R},
             {entry_bytes, R},
             {entry_name, R},
             {entry_copy, R},
             {entry_new, R},
             {entry_without_trailer, R},
             {regions_zero_sectors, R},
             {regions_size, R},
             {regions_guard, R | J},
             {header_match, R | J},
             {header_field, J | R},
             {journal_bytes, J},
             {journal_zero_sector, J},
             {journal_size, J},
             {record_field, J},
             {record_payload, J},
             {record_new, J},
             {record_copy, J},
             {data_size, D | R},
             {data_bytes, D},
             {older_file, D},
             {lost_file, D},
             {catalog_field, C},
             {catalog_bytes, C},
             {catalog_copy, C},
             {catalog_size, C},
             {catalog_older, C}};

/* Opcode 0 ends the damage. */
void fuzz_damage(fuzz_disk *disk, const fuzz_base *base, unsigned kinds, fuzz_input *input) {
  struct step s = {disk, base, input};
  size_t enabled[sizeof steps / sizeof steps[0]], count = 0;
  for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
    if (steps[i].kinds & kinds) enabled[count++] = i;
  for (int i = 0; i < STEPS_MAX; i++) {
    size_t opcode = fuzz_u8(input) % (count + 1);
    if (opcode == 0) break;
    steps[enabled[opcode - 1]].run(&s);
    if (disk->file[FUZZ_JOURNAL].size > JOURNAL_BYTES_MAX) fuzz_resize(&disk->file[FUZZ_JOURNAL], JOURNAL_BYTES_MAX);
  }
}
