/* SPDX-License-Identifier: MIT
**
** write.h: where the bytes of a transaction go (R1, R2).  Layer 4.
** A write into a region falls into up to three pieces:
**
**     0              visible                  length'              reserved
**     | to the patch, |  directly to `data`,    |                      |
**     | so to the     |  but for bytes that     |                      |
**     | record        |  the journal holds      |                      |
**
** `visible` is the longest length that any live catalog has for this extent.  Bytes below it, and bytes in ranges of
** records still in the journal, go into the patch and with it into the record.  If those were many, the region moves to
** a new extent first, where everything is direct.
** THREADS: txn_mutex held, the transaction begun, the region's tail settled.
** INVARIANT: a direct write removes what the newest patch had there, so a patch never hides younger bytes.
*/
#ifndef SDB_WRITE_H
#define SDB_WRITE_H

#include "txn/begin.h"

/* Write `bytes` bytes (data == NULL: zeros) at region offset `at` <= length, growing the region.  Errors, which leave
** the region's content as it was: RANGE, FULL, NOMEM, IO, INTERRUPTED. */
int sdb_write(const sdb_change *change, uint64_t at, const void *data, uint64_t bytes);
/* Make the reserve at least `bytes`; `exact`: without room for growth beyond. */
int sdb_write_reserve(const sdb_change *change, uint64_t bytes, bool exact);
/* Cut the region to `length` <= its length.  NOMEM changes nothing. */
int sdb_write_cut(const sdb_change *change, uint64_t length);
/* From now on the next change of the entry cannot fail. */
int sdb_write_own(const sdb_change *change);
/* Set the entry; its generation and trailer are set too.  NOMEM changes nothing. */
int sdb_write_put(const sdb_change *change, sdb_entry *entry);

/* Bytes to be written while a region moves; data == NULL: zeros. */
typedef struct sdb_splice {
  uint64_t at, bytes;
  const void *data;
} sdb_splice;
/* Copy the region to the new extent [start, start + reserved), which the caller has allocated, with `splice` (may be
** NULL) written into it.  On error nothing has changed, and the caller gives the extent up. */
int sdb_write_move(const sdb_change *change, uint64_t start, uint64_t reserved, const sdb_splice *splice);

#endif /* SDB_WRITE_H */
