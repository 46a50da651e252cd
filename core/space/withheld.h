/* SPDX-License-Identifier: MIT
**
** withheld.h: extents that nobody in this process sees any more, and a member in another process may (S4).
**
** An extent that generation f gave up may be used again once nobody pins a generation below f.  Other members show of
** their pins the oldest one alone, so what matters of an extent is its f.  Extents wait in a few batches, in the order
** of f; a batch has one f, the largest of its extents:
**
**     oldest pin 7                 [ batch of 9: A B ] [ batch of 12: C ] [ batch of 40: D E F ... ]
**     oldest pin 10: A, B go       [ batch of 12: C ] [ batch of 40: D E F ... ]
**
** So memory goes by what is withheld, not by the number of commits; an extent waits for one pin more than it must, at
** the most.
** OWNS the batches; nodes come from the space's pool.  THREADS: the store's mutex guards all of it.
*/
#ifndef SDB_WITHHELD_H
#define SDB_WITHHELD_H

#include "pure/ranges.h"

#define SDB_WITHHELD_BATCHES 6u

typedef struct sdb_withheld_batch {
  uint64_t generation;
  sdb_range_set extents;
} sdb_withheld_batch;

typedef struct sdb_withheld {
  sdb_range_pool *pool;
  sdb_withheld_batch batches[SDB_WITHHELD_BATCHES]; /* oldest first */
  unsigned count;
  uint64_t total_bytes;
} sdb_withheld;

void sdb_withheld_init(sdb_withheld *withheld, sdb_range_pool *pool);
void sdb_withheld_clear(sdb_withheld *withheld);
/* An extent that `generation` gave up.  NOMEM changes nothing. */
int sdb_withheld_add(sdb_withheld *withheld, uint64_t generation, uint64_t start, uint64_t bytes);
/* Next range of a batch of up to `generation`, taken out; false if there is none. */
bool sdb_withheld_next(sdb_withheld *withheld, uint64_t generation, sdb_range *range);
/* Another member has allocated the range: what of it is here is not any more.  Needs SDB_WITHHELD_BATCHES nodes. */
void sdb_withheld_take(sdb_withheld *withheld, uint64_t start, uint64_t bytes);

#endif /* SDB_WITHHELD_H */
