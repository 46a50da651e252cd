/* SPDX-License-Identifier: MIT
**
** record.h: the bytes of a journal record (FORMAT.md section 4).  Pure: no I/O.
** Decoding validates everything once; what it returns can be trusted.
*/
#ifndef SDB_RECORD_H
#define SDB_RECORD_H

#include "pure/change_list.h"
#include "pure/journal_header.h"

#define SDB_RECORD_ALIGN        SDB_JOURNAL_ALIGN
#define SDB_RECORD_HEADER_BYTES 192u
#define SDB_RECORD_LEAST_BYTES  128u /* of a record of version 1 */

/* OVERLAY: the first record of a header that says so: what the commits in its base overwrote and `data` has not yet. */
enum sdb_record_kind { SDB_RECORD_COMMIT = 1, SDB_RECORD_PREPARE = 2, SDB_RECORD_OVERLAY = 3 };
#define SDB_RECORD_KEEP \
  1u /* flag: an undecided prepare directly before this record is committed; without it, dropped */

/* sdb_record_header.durability: how the SQLite file of the committer makes its own commit durable.  Journal mode: 0 no
** SQLite file, 1 WAL, 2 DELETE, 3 TRUNCATE, 4 PERSIST, 5 MEMORY, 6 OFF.  Synchronous: 0 OFF, 1 NORMAL, 2 FULL,
** 3 EXTRA. */
#define SDB_DURABILITY_JOURNAL_MODE 0x0fu
#define SDB_DURABILITY_SYNCHRONOUS  0x30u
#define SDB_DURABILITY_EXCLUSIVE    0x40u /* locking_mode=EXCLUSIVE */

typedef struct sdb_record_header {
  uint32_t version; /* 1: the fields that it did not have are zero */
  uint16_t kind;    /* enum sdb_record_kind */
  uint16_t flags;   /* SDB_RECORD_KEEP */
  uint64_t bytes;   /* whole record, header included, padding to the next record's start excluded */
  uint64_t salt;
  uint64_t position; /* its own offset in `journal` */
  uint64_t generation;
  uint64_t previous;  /* checksum of the record before; the salt for the first one */
  sdb_token token;    /* random, of this record */
  sdb_token parent;   /* of the newest commit that it builds on */
  sdb_file_uuid file; /* the SQLite file whose commit it belongs to */
  uint32_t durability;
  sdb_token settled; /* with a file: the newest state that it cannot go back behind; zeros: the base of no commit */
  uint32_t changes;  /* count */
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
  uint64_t created; /* 0: unknown */
  uint32_t name_bytes;
  const char *name;
} sdb_record_put;

typedef struct sdb_record_range {
  uint64_t offset, bytes; /* exact bytes of `data` */
  const uint8_t *data;
} sdb_record_range;

/* Building: the caller knows all counts.  size() is the whole record's; SDB_OFFSET_MAX + 1 if it cannot be. */
typedef struct sdb_record_sizes {
  uint32_t version; /* of the journal that it is for */
  uint64_t coordinator_bytes, puts, put_name_bytes, deletes, changes, ranges, range_bytes;
} sdb_record_sizes;
uint64_t sdb_record_size(const sdb_record_sizes *sizes);

/* Writer: fills a buffer of sdb_record_size() bytes; puts, deletes, changes and ranges come in any order.  seal() sorts
** puts and deletes by index and writes header and checksum.  Promises (asserted): the counts of `sizes` are met
** exactly, no index comes twice, and puts and ranges end at or before header->data_bytes. */
typedef struct sdb_record_writer {
  uint8_t *buffer;
  sdb_record_sizes sizes;
  uint64_t puts_done, deletes_done, changes_done, ranges_done;
  uint64_t put_at, delete_at, name_at, change_at, range_at; /* cursors in buffer */
} sdb_record_writer;
void sdb_record_begin(sdb_record_writer *w, uint8_t *buffer, const sdb_record_sizes *sizes, const char *coordinator);
void sdb_record_add_put(sdb_record_writer *w, const sdb_record_put *put);
void sdb_record_add_delete(sdb_record_writer *w, uint32_t index);
/* The generation is the record's. */
void sdb_record_add_change(sdb_record_writer *w, const sdb_change_item *change);
/* Returns where the `bytes` bytes of this range are to be copied (the caller fills them, e.g. by pread). */
uint8_t *sdb_record_add_range(sdb_record_writer *w, uint64_t offset, uint64_t bytes);
/* Fill the header from *header (version, counts and sizes are taken from the writer) and checksum; header->checksum
** and header->bytes are set. */
void sdb_record_seal(sdb_record_writer *w, sdb_record_header *header);

/* Reading.  peek: is there a plausible record header (magic, salt (0: any), position, bytes within `available`)?  Only
** then is the record worth reading whole.  What the file lacks of the header's bytes are zeros.  decode: verify
** checksum and every count, name, extent and range; false = not a whole valid record. */
bool sdb_record_peek(const uint8_t header[SDB_RECORD_HEADER_BYTES], uint64_t salt, uint64_t position,
                     uint64_t available, sdb_record_header *out);
bool sdb_record_decode(const uint8_t *record, uint64_t bytes, uint64_t salt, uint64_t position, sdb_record_header *out);
/* After decode: walk.  Start with *cursor = 0 for each; false at the end. */
bool sdb_record_next_put(const uint8_t *record, const sdb_record_header *header, uint64_t *cursor, sdb_record_put *put);
bool sdb_record_next_delete(const uint8_t *record, const sdb_record_header *header, uint64_t *cursor, uint32_t *index);
bool sdb_record_next_change(const uint8_t *record, const sdb_record_header *header, uint64_t *cursor,
                            sdb_change_item *change);
bool sdb_record_next_range(const uint8_t *record, const sdb_record_header *header, uint64_t *cursor,
                           sdb_record_range *range);
/* Does it say what it changes?  Records of older programs do not. */
bool sdb_record_is_listed(const sdb_record_header *header);
const char *sdb_record_coordinator(const uint8_t *record, const sdb_record_header *header); /* coordinator_bytes long */

#endif /* SDB_RECORD_H */
