/* SPDX-License-Identifier: MIT
**
** open.h: a handle's last reference.  Layer 5.  seqdb_open() and seqdb_close() are in seqdb.h.
*/
#ifndef SDB_OPEN_H
#define SDB_OPEN_H

#include "txn/handle.h"

/* One user less: the caller of seqdb_open(), or a snapshot.  The last one frees the handle, and the last handle closes
** the files.  No lock held. */
void sdb_handle_unref(seqdb *db);

#endif /* SDB_OPEN_H */
