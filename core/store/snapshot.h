/* SPDX-License-Identifier: MIT
**
** snapshot.h: a snapshot in the store's list.
** THREADS: any; the store's mutex is taken.
*/
#ifndef SDB_SNAPSHOT_H
#define SDB_SNAPSHOT_H

#include "txn/handle.h"

/* Pin the newest commit; snapshot->view.db is set. */
int sdb_snapshot_pin(sdb_store *store, seqdb_snapshot *snapshot, const sdb_op *op);
/* May let go of space and overlays, but applies none. */
void sdb_snapshot_unpin(sdb_store *store, seqdb_snapshot *snapshot);

#endif /* SDB_SNAPSHOT_H */
