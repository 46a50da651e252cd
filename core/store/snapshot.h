/* SPDX-License-Identifier: MIT
**
** snapshot.h: a reader's pin on one catalog, in the store's list.  Layer 5.
** THREADS: store.mutex guards the list; the rest is fixed while the snapshot is open.
*/
#ifndef SDB_SNAPSHOT_H
#define SDB_SNAPSHOT_H

#include "txn/handle.h"

struct seqdb_snapshot {
  seqdb *db;
  sdb_catalog *catalog; /* NULL: the handle's own view */
  uint64_t generation, opened_ms;
  struct seqdb_snapshot *older, *newer;
};

#endif /* SDB_SNAPSHOT_H */
