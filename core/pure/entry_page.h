/* SPDX-License-Identifier: MIT
**
** entry_page.h: the bytes of an entry: one page of `regions` (FORMAT.md section 2).  Pure: no I/O.
** Decoding validates everything once; what it returns can be trusted.
*/
#ifndef SDB_ENTRY_PAGE_H
#define SDB_ENTRY_PAGE_H

#include "base/base.h"

#define SDB_ENTRY_BYTES       4096u
#define SDB_ENTRY_TRAILER_OFF 4032u

typedef struct sdb_entry_image {
  uint64_t start, length, reserved;
  uint64_t generation; /* of last change, from the trailer; 0 if there is no trailer */
  uint64_t created;    /* generation that made it, kept through later changes; 0: unknown (version 1, rawdb) */
  bool has_trailer;    /* false: written by rawdb */
  uint32_t name_bytes;
  const char *name; /* decode: points into the page */
} sdb_entry_image;

enum sdb_entry_state { SDB_ENTRY_FREE = 0, SDB_ENTRY_USED = 1, SDB_ENTRY_DAMAGED = -1 };

/* Decode page `index`.  For DAMAGED, *at is the byte within the page where it is wrong and *why a fixed text ("length
** larger than reserved", "checksum does not match", ...).  A free entry is 4 zero integers (the rest of the page is
** not looked at). */
enum sdb_entry_state sdb_entry_decode(const uint8_t page[SDB_ENTRY_BYTES], uint32_t index, sdb_entry_image *entry,
                                      uint32_t *at, const char **why);
/* The same, but the zeros between the name and a valid trailer are not looked at: nothing depends on them, and they
** are nearly all of the page. */
enum sdb_entry_state sdb_entry_decode_used(const uint8_t page[SDB_ENTRY_BYTES], uint32_t index, sdb_entry_image *entry,
                                           uint32_t *at, const char **why);
/* Encode a used entry with our trailer (entry->has_trailer must be true), or rawdb's way without (false). */
void sdb_entry_encode(uint8_t page[SDB_ENTRY_BYTES], uint32_t index, const sdb_entry_image *entry);
/* Term of one entry in the sum that the journal header keeps (of start, length, reserved, name, index, generation,
** created and has_trailer; not of the page's other bytes).  The hash of a set of entries is the wrapping sum of their
** terms. */
uint64_t sdb_entry_hash(uint32_t index, const sdb_entry_image *entry);

#endif /* SDB_ENTRY_PAGE_H */
