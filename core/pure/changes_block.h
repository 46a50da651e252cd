/* SPDX-License-Identifier: MIT
**
** changes_block.h: the bytes of the file `changes` (FORMAT.md section 9).  Pure: no I/O.
** Decoding validates everything once; what it returns can be trusted.
*/
#ifndef SDB_CHANGES_BLOCK_H
#define SDB_CHANGES_BLOCK_H

#include "pure/change_list.h"
#include "pure/journal_header.h"

#define SDB_CHANGES_HEADER_BYTES 128u /* of a block */
#define SDB_CHANGES_ITEM_BYTES   32u
#define SDB_CHANGES_ALIGN        512u /* blocks begin at multiples of it: a torn write touches no older one */

/* A state of the database: the base of a journal header. */
typedef struct sdb_changes_state {
  uint64_t generation;
  sdb_token token; /* of the newest commit in it */
} sdb_changes_state;
/* The same commit?  Not if it has no token: version 1 gave none. */
bool sdb_changes_state_is(const sdb_changes_state *a, const sdb_changes_state *b);

typedef struct sdb_changes_block {
  uint8_t uuid[16];
  uint64_t id;            /* random, of the file: its blocks share it */
  uint64_t position;      /* own place in the file */
  uint64_t floor;         /* what changed after that generation is in this block and those before it */
  sdb_changes_state from; /* the state that the block before it leads to */
  sdb_changes_state to;   /* that the block leads to */
  uint64_t items;         /* count */
  uint64_t checksum;
} sdb_changes_block;

/* The whole block. */
uint64_t sdb_changes_block_bytes(uint64_t items);
/* Does this begin a file of this kind? */
bool sdb_changes_begins(const uint8_t begin[8]);
/* Into `bytes`, of sdb_changes_block_bytes(block->items); block->checksum is set. */
void sdb_changes_block_encode(uint8_t *bytes, sdb_changes_block *block, const sdb_change_item *items);
/* A plausible header of a block at that place?  Of `available` bytes at the most. */
bool sdb_changes_block_peek(const uint8_t header[SDB_CHANGES_HEADER_BYTES], uint64_t position, uint64_t available,
                            sdb_changes_block *block);
/* Of a block that was peeked, all of it: checksum, items.  These, unpacked, into `items`. */
bool sdb_changes_block_decode(const uint8_t *bytes, const sdb_changes_block *block, sdb_change_item *items);

#endif /* SDB_CHANGES_BLOCK_H */
