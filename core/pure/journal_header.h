/* SPDX-License-Identifier: MIT
**
** journal_header.h: the bytes of a journal header: pages 0 and 1 of `journal`, written alternately (FORMAT.md section
** 3).  Pure: no I/O.  Decoding validates everything once; what it returns can be trusted.
*/
#ifndef SDB_JOURNAL_HEADER_H
#define SDB_JOURNAL_HEADER_H

#include "base/base.h"

#define SDB_FORMAT_VERSION 2u /* of all files of a database; version 1 is read, and upgraded at the first change */

#define SDB_JOURNAL_HEADER_BYTES   4096u
#define SDB_JOURNAL_FIRST_SEQUENCE 2u    /* of the header that a journal is made with; even: page 0 */
#define SDB_JOURNAL_ALIGN          512u  /* records begin at multiples of it: a torn write touches no older record */
#define SDB_JOURNAL_START          8192u /* first record of a fresh journal; no record lies before it */

/* Names one state of a directory: every record has one of its own.  All zeros: none. */
typedef struct sdb_token {
  uint8_t bytes[SEQDB_TOKEN_BYTES];
} sdb_token;
/* Names an SQLite file.  All zeros: none; the engine was used alone. */
typedef struct sdb_file_uuid {
  uint8_t bytes[16];
} sdb_file_uuid;

/* An SQLite file to which the database belongs. */
#define SDB_CLAIMS_MAX           14u
#define SDB_CLAIM_PATH_BYTES_MAX 200u
typedef struct sdb_claim {
  sdb_file_uuid file; /* not zero */
  sdb_token settled;  /* of its newest commit that is known to be durable in both */
  uint64_t inode, birth_ns;
  uint32_t path_bytes;                 /* 0: no path is known, or it is too long */
  char path[SDB_CLAIM_PATH_BYTES_MAX]; /* relative to the directory, not NUL-terminated */
} sdb_claim;

/* What version 1 did not have is zero in its headers, but for start. */
typedef struct sdb_journal_header {
  uint32_t version;
  bool sync_off;
  bool overlay; /* the first record is of kind overlay, and was durable before the header: the base needs it */
  uint8_t uuid[16];
  uint64_t sequence;        /* the larger one of the two pages is valid; it lies in page (sequence & 1) */
  uint64_t salt;            /* random, never 0; records carry it */
  uint64_t base_generation; /* generation of `regions` when the journal was emptied */
  uint64_t data_bytes;      /* largest start + reserved then: `data` is at least this long */
  uint64_t regions_bytes;   /* size of `regions` then, a multiple of 4096 (without the guard byte) */
  uint64_t entries;         /* used entries then ... */
  uint64_t entries_hash;    /* ... and the sum of their hashes */
  uint64_t start;           /* of the first record: a multiple of 512, >= SDB_JOURNAL_START */
  sdb_token base_token;     /* of the newest commit that is in the base ... */
  sdb_file_uuid base_file;  /* ... and the SQLite file that made it */
  uint64_t settled_generation;
  sdb_token settled_token; /* no SQLite file can go back behind it */
  uint32_t claim_count;
  sdb_claim claims[SDB_CLAIMS_MAX];
} sdb_journal_header;

enum sdb_header_state { SDB_HEADER_OK = 1, SDB_HEADER_DAMAGED = 0, SDB_HEADER_NEWER = -1 };
/* NEWER: intact, but header->version > SDB_FORMAT_VERSION (only version is set). */
enum sdb_header_state sdb_journal_header_decode(const uint8_t page[SDB_JOURNAL_HEADER_BYTES],
                                                sdb_journal_header *header);
void sdb_journal_header_encode(uint8_t page[SDB_JOURNAL_HEADER_BYTES], const sdb_journal_header *header);

#endif /* SDB_JOURNAL_HEADER_H */
