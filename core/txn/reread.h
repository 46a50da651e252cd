/* SPDX-License-Identifier: MIT
**
** reread.h: the state of another salt, read anew: all entries, redone with that salt's records.  Layer 5.
** Steps 1 to 3 of reading (FORMAT.md 5), in memory, beside what the store has: regions that are still there keep their
** numbers, snapshots what they see.
** THREADS: as follow.h.
*/
#ifndef SDB_REREAD_H
#define SDB_REREAD_H

#include "txn/redo.h"

/* `journal` has the header of that salt and stands at its start.  *reached is false if files and published state do not
** belong together: somebody is faster.  Errors: IO, NOMEM; nothing has changed then. */
int sdb_reread(sdb_redo *redo, const sdb_journal *journal, const sdb_published *to, bool *reached);
/* Before the journal's first record. */
sdb_journal_place sdb_reread_place(const sdb_journal *journal);

#endif /* SDB_REREAD_H */
