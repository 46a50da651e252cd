/* SPDX-License-Identifier: MIT
**
** readers.h: who reads which generation: the snapshots of this process, and the oldest one of each other member (S12).
** THREADS: any; the store's mutex is taken.
*/
#ifndef SDB_READERS_H
#define SDB_READERS_H

#include "txn/handle.h"

typedef struct sdb_readers {
  seqdb_snapshot_info *rows; /* freed with sdb_free */
  size_t count;
  size_t oldest; /* of them; meaningless if there are none */
} sdb_readers;

/* The store catches up first, and learns what nobody needs any more.  Errors: IO, NOMEM. */
int sdb_readers_list(sdb_store *store, sdb_readers *readers, const sdb_op *op);

#endif /* SDB_READERS_H */
