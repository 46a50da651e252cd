/* SPDX-License-Identifier: MIT
**
** bulk.h: memory for what is made in one go when a directory is opened: nodes and names of many entries, side by side
** in blocks of 2 MiB.
**
** New memory is dear where it is touched first: one page fault for 4 KiB, and a block may be a single page.  What lies
** in a block is given back one by one, and the block goes with the last of it.  So after a load the blocks hold at most
** what was loaded, however few of it is still used.
** THREADS: a sdb_bulk is its user's; giving back may be done by any.
*/
#ifndef SDB_BULK_H
#define SDB_BULK_H

#include "base/base.h"

typedef struct sdb_bulk {
  struct sdb_bulk_block *block; /* where the next piece is taken from, or NULL */
  size_t used;                  /* of that block */
} sdb_bulk;

/* Are so many bytes worth a block? */
bool sdb_bulk_pays(uint64_t bytes);
/* `bytes` zeros, aligned to 8.  NULL: there are no blocks here, sdb_malloc() may have some. */
void *sdb_bulk_take(sdb_bulk *bulk, size_t bytes);
/* Nothing more is taken.  What was taken stays until it is given back. */
void sdb_bulk_end(sdb_bulk *bulk);
/* Give back what sdb_bulk_take() returned. */
void sdb_bulk_give(void *memory);

#endif /* SDB_BULK_H */
