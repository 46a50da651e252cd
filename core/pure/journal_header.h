/* SPDX-License-Identifier: MIT
**
** journal_header.h: the bytes of a journal header: pages 0 and 1 of `journal`, written alternately (FORMAT.md section
** 3).  Pure: no I/O.  Decoding validates everything once; what it returns can be trusted.
*/
#ifndef SDB_JOURNAL_HEADER_H
#define SDB_JOURNAL_HEADER_H

#include "base/base.h"

#define SDB_FORMAT_VERSION 1u /* of all files of a database */

#define SDB_JOURNAL_HEADER_BYTES   4096u
#define SDB_JOURNAL_FIRST_SEQUENCE 2u    /* of the header that a journal is made with; even: page 0 */
#define SDB_JOURNAL_START          8192u /* first record */

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

enum sdb_header_state { SDB_HEADER_OK = 1, SDB_HEADER_DAMAGED = 0, SDB_HEADER_NEWER = -1 };
/* NEWER: intact, but header->version > SDB_FORMAT_VERSION (only version is set). */
enum sdb_header_state sdb_journal_header_decode(const uint8_t page[SDB_JOURNAL_HEADER_BYTES],
                                                sdb_journal_header *header);
void sdb_journal_header_encode(uint8_t page[SDB_JOURNAL_HEADER_BYTES], const sdb_journal_header *header);

#endif /* SDB_JOURNAL_HEADER_H */
