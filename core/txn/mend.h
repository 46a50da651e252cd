/* SPDX-License-Identifier: MIT
**
** mend.h: what a writer that died has left is put in order by the next one (S5).  Layer 5.
** It may have died anywhere: its record may be whole or torn, its header new, its ranges half applied, and what it
** wrote may be in the page cache alone, after a failed fdatasync that nobody knows of.
** THREADS: follow_mutex held, the writer lock of all members is ours, and the store has caught up.
*/
#ifndef SDB_MEND_H
#define SDB_MEND_H

#include "txn/store.h"

/* Go to the journal's true end, make that durable, publish it.  `drop`: an undecided prepare of a coordinator is
** dropped, else kept.  Errors: IO, FULL, NOMEM, CORRUPT; what was not done is done by the next one. */
int sdb_mend(sdb_store *store, bool drop, const sdb_op *op);

#endif /* SDB_MEND_H */
