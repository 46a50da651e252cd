/* SPDX-License-Identifier: MIT
**
** fuzz_match.c: makes the header and the records agree again with what damage has made of the entries, so that
** something else than a hash is wrong.  See fuzz.h. THREADS: one.
*/
#include <stdlib.h>
#include "fuzz.h"

#define PAGE             ((size_t)SDB_PAGE)
#define RECORD_BYTES_MAX ((uint64_t)1 << 20)
#define NAME_BYTES_MAX   1024u

/* ---- the entries of `regions`, and what records make of them */

struct row {
  uint32_t index;
  sdb_entry_image entry;
  char name[NAME_BYTES_MAX]; /* entry.name is set when it is needed: rows move */
};
struct rows {
  struct row *row;
  size_t count;
};

static void rows_remove(struct rows *rows, uint32_t index) {
  for (size_t i = 0; i < rows->count; i++)
    if (rows->row[i].index == index) rows->row[i--] = rows->row[--rows->count];
}

static void rows_put(struct rows *rows, uint32_t index, const sdb_entry_image *entry) {
  rows_remove(rows, index);
  rows->row = fuzz_memory(rows->row, (rows->count + 1) * sizeof *rows->row);
  struct row *row = &rows->row[rows->count++];
  row->index = index;
  row->entry = *entry;
  memcpy(row->name, entry->name, entry->name_bytes);
}

static void rows_read(struct rows *rows, const fuzz_file *regions) {
  uint8_t page[SDB_ENTRY_BYTES];
  for (uint64_t i = 0; i < regions->size / PAGE && i * PAGE < regions->stored; i++) {
    sdb_entry_image entry;
    uint32_t at;
    const char *why;
    fuzz_get(regions, i * PAGE, page, sizeof page);
    if (sdb_entry_decode(page, (uint32_t)i, &entry, &at, &why) == SDB_ENTRY_USED) rows_put(rows, (uint32_t)i, &entry);
  }
}

static void rows_redo(struct rows *rows, const uint8_t *record, const sdb_record_header *header) {
  uint64_t cursor = 0;
  uint32_t index;
  sdb_record_put put;
  while (sdb_record_next_delete(record, header, &cursor, &index))
    rows_remove(rows, index);
  for (cursor = 0; sdb_record_next_put(record, header, &cursor, &put);) {
    sdb_entry_image entry = {.start = put.start,
                             .length = put.length,
                             .reserved = put.reserved,
                             .generation = header->generation,
                             .created = put.created,
                             .has_trailer = true,
                             .name_bytes = put.name_bytes,
                             .name = put.name};
    rows_put(rows, put.index, &entry);
  }
}

static uint64_t rows_hash(struct rows *rows) {
  uint64_t hash = 0;
  for (size_t i = 0; i < rows->count; i++) {
    rows->row[i].entry.name = rows->row[i].name;
    hash += sdb_entry_hash(rows->row[i].index, &rows->row[i].entry);
  }
  return hash;
}

/* ---- header */

void fuzz_match_header(fuzz_disk *disk) {
  uint8_t page[SDB_JOURNAL_HEADER_BYTES];
  struct rows rows = {0};
  int newest = fuzz_newest_header(&disk->file[FUZZ_JOURNAL]);
  if (newest < 0) return;
  rows_read(&rows, &disk->file[FUZZ_REGIONS]);
  fuzz_get(&disk->file[FUZZ_JOURNAL], (uint64_t)newest * PAGE, page, sizeof page);
  sdb_put64(page + 64, disk->file[FUZZ_REGIONS].size / PAGE * PAGE);
  sdb_put64(page + 72, rows.count);
  sdb_put64(page + 80, rows_hash(&rows));
  fuzz_seal_header(page);
  fuzz_put(&disk->file[FUZZ_JOURNAL], (uint64_t)newest * PAGE, page, sizeof page);
  free(rows.row);
}

/* ---- records */

/* Does the record at `at`, a prepare, count?  As recovery decides without resolve=drop. */
static bool prepare_counts(const fuzz_file *journal, uint64_t at) {
  sdb_record_header header;
  uint8_t *record;
  if (!fuzz_whole_record(journal, at, &header, &record)) return true;
  free(record);
  return header.flags & SDB_RECORD_KEEP;
}

static uint64_t next_record(uint64_t at, uint64_t bytes) {
  return (at + bytes + SDB_RECORD_ALIGN - 1) / SDB_RECORD_ALIGN * SDB_RECORD_ALIGN;
}

/* Let one record know the entries there are after it.  `rows` takes its changes on if it counts. */
static void set_entries(fuzz_file *journal, uint64_t at, struct rows *rows) {
  sdb_record_header header;
  uint8_t *record;
  uint8_t field[16];
  struct rows with = {0};
  if (!fuzz_whole_record(journal, at, &header, &record)) return;
  for (size_t i = 0; i < rows->count; i++) {
    rows->row[i].entry.name = rows->row[i].name;
    rows_put(&with, rows->row[i].index, &rows->row[i].entry);
  }
  rows_redo(&with, record, &header);
  sdb_put64(field, with.count);
  sdb_put64(field + 8, rows_hash(&with));
  fuzz_put(journal, at + 104, field, sizeof field);
  if (header.kind == SDB_RECORD_COMMIT || prepare_counts(journal, next_record(at, header.bytes))) {
    free(rows->row);
    *rows = with;
  } else {
    free(with.row);
  }
  free(record);
}

/* What a record builds on: the newest commit before it. */
struct tip {
  uint64_t generation;
  sdb_token token;
  sdb_record_header last; /* kind 0: there is none */
};

/* Its name stands in the record. */
static void set_parent(fuzz_file *journal, uint64_t at, struct tip *tip) {
  sdb_record_header header;
  uint8_t head[SDB_RECORD_HEADER_BYTES];
  fuzz_get(journal, at, head, sizeof head);
  if (!sdb_record_peek(head, 0, at, UINT64_MAX, &header)) return;
  if (tip->last.kind == SDB_RECORD_PREPARE && (header.flags & SDB_RECORD_KEEP)) {
    tip->generation = tip->last.generation;
    tip->token = tip->last.token;
  }
  if (header.version > 1) memcpy(head + 120, tip->token.bytes, sizeof tip->token.bytes);
  fuzz_put(journal, at, head, header.version > 1 ? sizeof head : SDB_RECORD_LEAST_BYTES);
  if (header.kind == SDB_RECORD_COMMIT && header.generation > tip->generation) {
    tip->generation = header.generation;
    tip->token = header.token;
  }
  tip->last = header;
}

void fuzz_match_records(fuzz_disk *disk) {
  fuzz_file *journal = &disk->file[FUZZ_JOURNAL];
  uint8_t head[SDB_RECORD_HEADER_BYTES], page[SDB_JOURNAL_HEADER_BYTES];
  struct rows rows = {0};
  struct tip tip = {0};
  sdb_journal_header header;
  int newest = fuzz_newest_header(journal);
  if (newest < 0) return;
  rows_read(&rows, &disk->file[FUZZ_REGIONS]);
  fuzz_get(journal, (uint64_t)newest * PAGE, page, sizeof page);
  (void)sdb_journal_header_decode(page, &header); /* it is whole: it was found */
  uint64_t salt = header.salt, previous = salt;
  tip.generation = header.base_generation;
  tip.token = header.base_token;
  for (uint64_t at = header.start; at < journal->stored;) {
    fuzz_get(journal, at, head, sizeof head);
    uint64_t bytes = sdb_get64(head + 8), size = memcmp(head, "sqdr", 4) == 0 ? 128 : 192;
    if ((size == 192 && memcmp(head, "sqr2", 4) != 0) || bytes < size || bytes > RECORD_BYTES_MAX) break;
    sdb_put64(head + 16, salt);
    sdb_put64(head + 40, previous);
    fuzz_put(journal, at, head, sizeof head);
    set_parent(journal, at, &tip);
    fuzz_seal_record(journal, at);
    set_entries(journal, at, &rows);
    fuzz_seal_record(journal, at);
    fuzz_get(journal, at + size - 8, head, 8);
    previous = sdb_get64(head);
    at = next_record(at, bytes);
  }
  free(rows.row);
}
