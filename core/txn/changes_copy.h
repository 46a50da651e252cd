/* SPDX-License-Identifier: MIT
**
** changes_copy.h: what has changed, from the file `changes` and the records of the journal; and the checkpoint's part:
** what these records say moves to that file before a header lets them go (FORMAT.md 9).  Layer 4.
*/
#ifndef SDB_CHANGES_COPY_H
#define SDB_CHANGES_COPY_H

#include "files/changes_file.h"
#include "txn/store.h"

/* All that is known of the commits up to `generation`, by the file and the records up to where `journal` stands; that
** of later ones may be among it.  *reached: it could be read so far.  The caller frees found->list, whose floor says
** since when nothing is missing.  THREADS: any; repeat it if the header has changed meanwhile.  Errors: NOMEM, IO. */
int sdb_changes_gather(sdb_store *store, const sdb_journal *journal, uint64_t generation, sdb_changes_found *found,
                       bool *reached, const sdb_op *op);
/* What changed up to that generation nobody knows, whatever the file says. */
void sdb_changes_set_floor(sdb_store *store, uint64_t floor);
/* Before a header of the last commit is written: the file leads there, durably, or it is not believed with that header.
** Never fails: then the floor rises.  files_mutex held; the writer's. */
void sdb_changes_copy_write(sdb_store *store);

#endif /* SDB_CHANGES_COPY_H */
