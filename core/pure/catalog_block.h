/* SPDX-License-Identifier: MIT
**
** catalog_block.h: the bytes of the file `catalog`: a head, then blocks of items (FORMAT.md section 8).  Pure: no I/O.
** Decoding validates everything once; what it returns can be trusted.
*/
#ifndef SDB_CATALOG_BLOCK_H
#define SDB_CATALOG_BLOCK_H

#include "pure/entry_page.h"

#define SDB_CATALOG_HEAD_BYTES  4096u
#define SDB_CATALOG_BLOCK_BYTES 65536u /* a block has no more */

/* Which state the file lists, and how much of it counts. */
typedef struct sdb_catalog_head {
  uint8_t uuid[16];
  uint64_t sequence, salt, entries, entries_hash; /* of the journal's header */
  uint64_t regions_inode, regions_bytes;          /* `regions` as it was then ... */
  uint64_t modified_ns, changed_ns;               /* ... and its times */
  uint64_t id;                                    /* random, of all blocks of one list */
  uint64_t end;                                   /* of the blocks; the first begins behind the head */
  uint64_t list_end;                              /* of those that the list was written with; others are changes */
} sdb_catalog_head;

/* Is that how a head begins, of whatever version? */
bool sdb_catalog_head_begins(const uint8_t bytes[8]);
/* false: damaged, or of another version. */
bool sdb_catalog_head_decode(const uint8_t page[SDB_CATALOG_HEAD_BYTES], sdb_catalog_head *head);
void sdb_catalog_head_encode(uint8_t page[SDB_CATALOG_HEAD_BYTES], const sdb_catalog_head *head);

/* ---- writing a block */

typedef struct sdb_catalog_block {
  uint8_t bytes[SDB_CATALOG_BLOCK_BYTES];
  uint32_t used, items;
} sdb_catalog_block;

/* Empty it. */
void sdb_catalog_block_begin(sdb_catalog_block *block);
/* One item: what entry `index` is, or with image->name_bytes 0 that it is free.  false: no room, nothing added. */
bool sdb_catalog_block_add(sdb_catalog_block *block, uint32_t index, const sdb_entry_image *image);
/* Fill in what comes before the items.  The block is going to stand at byte `at` of the list `id`. */
void sdb_catalog_block_seal(sdb_catalog_block *block, uint64_t id, uint64_t at);

/* ---- reading one */

/* Bytes of the block that begins here and should stand at byte `at` of the list `id`, all of them good; 0: it is
** damaged, or longer than `bytes`. */
uint32_t sdb_catalog_block_check(const uint8_t *block, size_t bytes, uint64_t id, uint64_t at);
/* The next item of a checked block; *cursor is 0 at first.  image->name_bytes 0: the entry is free.  1: here it is;
** 0: there are no more; -1: it breaks a rule of section 2, or does not fit. */
int sdb_catalog_block_next(const uint8_t *block, uint32_t bytes, uint32_t *cursor, uint32_t *index,
                           sdb_entry_image *image);

#endif /* SDB_CATALOG_BLOCK_H */
