/* SPDX-License-Identifier: MIT
**
** writable.h: a store that has been read becomes one that is written.  Layer 6.
** THREADS: whoever opens the store is alone with it.
*/
#ifndef SDB_WRITABLE_H
#define SDB_WRITABLE_H

#include "seqdb.h"
#include "txn/store.h"

/* The first handle that may write makes what was recovered durable; a further member finds out at its first change.
** Where nobody may write the store stays one of readers, and store->only_read says why.  May be tried again after it
** failed. */
int sdb_store_make_writable(sdb_store *store, const seqdb_options *options, const sdb_op *op);

#endif /* SDB_WRITABLE_H */
