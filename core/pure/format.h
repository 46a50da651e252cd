/* SPDX-License-Identifier: MIT
**
** format.h: the bytes on disk: entry pages, journal header pages, journal records.  Layer 1: pure, no I/O.
** FORMAT.md has the byte tables; format.c asserts the offsets.  Decoding validates everything once; what it returns can
** be trusted.  All integers are little-endian.  Checksums are XXH3 (64 bits) of the xxHash library.
*/
#ifndef SDB_FORMAT_H
#define SDB_FORMAT_H

#include "base/base.h"

#define SDB_FORMAT_VERSION 1u

/* ---- entry: one page of `regions` (FORMAT.md section 2) */
#define SDB_ENTRY_BYTES       4096u
#define SDB_ENTRY_TRAILER_OFF 4032u

typedef struct sdb_entry_image {
  uint64_t start, length, reserved;
  uint64_t generation; /* of last change, from the trailer; 0 if there is no trailer */
  bool has_trailer;    /* false: written by rawdb */
  uint32_t name_bytes;
  const char *name; /* decode: points into the page */
} sdb_entry_image;

enum sdb_entry_state { SDB_ENTRY_FREE = 0, SDB_ENTRY_USED = 1, SDB_ENTRY_DAMAGED = -1 };

/* Decode page `index`.  For DAMAGED, *at is the byte within the page where it is wrong and *why a fixed text ("length larger
** than reserved", "checksum does not match", ...).  A free entry is 4 zero integers (the rest of the page is not looked at). */
enum sdb_entry_state sdb_entry_decode(const uint8_t page[SDB_ENTRY_BYTES], uint32_t index, sdb_entry_image *entry,
                                      uint32_t *at, const char **why);
/* The same, but the zeros between the name and a valid trailer are not looked at: nothing depends on them, and they are nearly all
** of the page. */
enum sdb_entry_state sdb_entry_decode_used(const uint8_t page[SDB_ENTRY_BYTES], uint32_t index, sdb_entry_image *entry,
                                           uint32_t *at, const char **why);
/* Encode a used entry with our trailer (entry->has_trailer must be true), or rawdb's way without (false). */
void sdb_entry_encode(uint8_t page[SDB_ENTRY_BYTES], uint32_t index, const sdb_entry_image *entry);
/* Term of one entry in the sum that the journal header keeps (of start, length, reserved, name, index, generation and has_trailer; not
** of the page's other bytes).  The hash of a set of entries is the wrapping sum of their terms. */
uint64_t sdb_entry_hash(uint32_t index, const sdb_entry_image *entry);

/* 1..1024 bytes of valid UTF-8 (no surrogates, no overlong forms, <= U+10FFFF), no control characters.  Returns NULL if good,
** else a fixed text saying what is wrong; *at is the offending byte. */
const char *sdb_name_problem(const char *name, size_t name_bytes, size_t *at);

/* ---- journal header: pages 0 and 1 of `journal`, written alternately (section 3) */
#define SDB_JOURNAL_HEADER_BYTES   4096u
#define SDB_JOURNAL_FIRST_SEQUENCE 2u    /* of the header that a journal is made with; even: page 0 */
#define SDB_JOURNAL_START          8192u /* first record */
#define SDB_RECORD_ALIGN           512u /* records start at multiples: a torn write never touches the sector of an older record */

typedef struct sdb_journal_header {
  uint32_t version;
  bool sync_off;
  uint8_t uuid[16];
  uint64_t sequence;        /* the larger one of the two pages is valid; it lies in page (sequence & 1) */
  uint64_t salt;            /* random, never 0; records carry it */
  uint64_t base_generation; /* generation of `regions` when the journal was emptied */
  uint64_t data_bytes;      /* largest start + reserved then: `data` is at least this long */
  uint64_t regions_bytes;   /* size of `regions` then, a multiple of 4096 (without the guard byte) */
  uint64_t entries;         /* used entries then ... */
  uint64_t entries_hash;    /* ... and the sum of their hashes */
} sdb_journal_header;

enum sdb_header_state { SDB_HEADER_OK = 1, SDB_HEADER_TORN = 0, SDB_HEADER_NEWER = -1 };
/* NEWER: intact, but header->version > SDB_FORMAT_VERSION (only version is set). */
enum sdb_header_state sdb_journal_header_decode(const uint8_t page[SDB_JOURNAL_HEADER_BYTES],
                                                sdb_journal_header *header);
void sdb_journal_header_encode(uint8_t page[SDB_JOURNAL_HEADER_BYTES], const sdb_journal_header *header);

/* ---- journal record (section 4) */
#define SDB_RECORD_HEADER_BYTES 128u

enum sdb_record_kind { SDB_RECORD_COMMIT = 1, SDB_RECORD_PREPARE = 2 };
#define SDB_RECORD_KEEP \
  1u /* flag: an undecided prepare directly before this record is committed; without it, dropped */

typedef struct sdb_record_header {
  uint16_t kind;  /* enum sdb_record_kind */
  uint16_t flags; /* SDB_RECORD_KEEP */
  uint64_t bytes; /* whole record, header included, padding to the next record's start excluded */
  uint64_t salt;
  uint64_t position; /* its own offset in `journal` */
  uint64_t generation;
  uint64_t previous; /* checksum of the record before; the salt for the first one */
  uint8_t token[SEQDB_TOKEN_BYTES];
  uint32_t coordinator_bytes;
  uint32_t puts, deletes; /* counts */
  uint64_t ranges;        /* count */
  uint64_t range_bytes;   /* sum over ranges */
  uint64_t data_bytes;    /* largest start + reserved of all entries after this record */
  uint64_t entries;       /* used entries after this record ... */
  uint64_t entries_hash;  /* ... and the sum of their hashes */
  uint64_t checksum;      /* of everything else in the record; filled by seal, verified by decode */
} sdb_record_header;

typedef struct sdb_record_put {
  uint32_t index;
  uint64_t start, length, reserved;
  uint32_t name_bytes;
  const char *name;
} sdb_record_put;

typedef struct sdb_record_range {
  uint64_t offset, bytes; /* exact bytes of `data` */
  const uint8_t *data;
} sdb_record_range;

/* Building: the caller knows all counts.  size() is the whole record's bytes; SDB_OFFSET_MAX + 1 if it cannot be. */
typedef struct sdb_record_sizes {
  uint64_t coordinator_bytes, puts, put_name_bytes, deletes, ranges, range_bytes;
} sdb_record_sizes;
uint64_t sdb_record_size(const sdb_record_sizes *sizes);

/* Writer: fills a buffer of sdb_record_size() bytes; puts, deletes and ranges come in any order.  seal() sorts puts and deletes
** by index and writes header and checksum.  Promises (asserted): the counts of `sizes` are met exactly, no index comes
** twice, and puts and ranges end at or before header->data_bytes. */
typedef struct sdb_record_writer {
  uint8_t *buffer;
  sdb_record_sizes sizes;
  uint64_t puts_done, deletes_done, ranges_done;
  uint64_t put_at, delete_at, name_at, range_at; /* cursors in buffer */
} sdb_record_writer;
void sdb_record_begin(sdb_record_writer *w, uint8_t *buffer, const sdb_record_sizes *sizes, const char *coordinator);
void sdb_record_add_put(sdb_record_writer *w, const sdb_record_put *put);
void sdb_record_add_delete(sdb_record_writer *w, uint32_t index);
/* Returns where the `bytes` bytes of this range are to be copied (the caller fills them, e.g. by pread). */
uint8_t *sdb_record_add_range(sdb_record_writer *w, uint64_t offset, uint64_t bytes);
/* Fill the header from *header (counts and sizes are taken from the writer) and checksum; header->checksum and header->bytes are set. */
void sdb_record_seal(sdb_record_writer *w, sdb_record_header *header);

/* Reading.  peek: is there a plausible record header (magic, salt (0: any), position, bytes within `available`)?  Only then is the
** record worth reading whole.  decode: verify checksum and every count, name, extent and range; false = not a whole valid record. */
bool sdb_record_peek(const uint8_t header[SDB_RECORD_HEADER_BYTES], uint64_t salt, uint64_t position,
                     uint64_t available, sdb_record_header *out);
bool sdb_record_decode(const uint8_t *record, uint64_t bytes, uint64_t salt, uint64_t position, sdb_record_header *out);
/* After decode: walk.  Start with *cursor = 0 for each; false at the end. */
bool sdb_record_next_put(const uint8_t *record, const sdb_record_header *header, uint64_t *cursor, sdb_record_put *put);
bool sdb_record_next_delete(const uint8_t *record, const sdb_record_header *header, uint64_t *cursor, uint32_t *index);
bool sdb_record_next_range(const uint8_t *record, const sdb_record_header *header, uint64_t *cursor,
                           sdb_record_range *range);
const char *sdb_record_coordinator(const uint8_t *record, const sdb_record_header *header); /* coordinator_bytes long */

/* XXH3 of a byte string, 64 bits, as used for names in hash tables. */
uint64_t sdb_hash_bytes(const void *data, size_t bytes, uint64_t seed);

#endif /* SDB_FORMAT_H */
