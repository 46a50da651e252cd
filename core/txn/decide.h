/* SPDX-License-Identifier: MIT
**
** decide.h: records go into the journal, and each decides about a prepare before it.  Layer 4.
**
**      PREPARE of A        published, and then            any record with KEEP      ->  A counts for good
**     [ undecided ]        rolled back, or made anew:     any record without KEEP   ->  A never was
**
** THREADS: the writer's; files_mutex and then mutex are taken here.
*/
#ifndef SDB_DECIDE_H
#define SDB_DECIDE_H

#include "txn/store.h"

/* Steps 3 and 4 of a commit (FORMAT.md 6): write the record, which is complete but for its header's flags, salt and
** place, and make it durable.  A crash before the end of step 4 leaves it whole, in part or not at all; after it,
** whole.  `spare_bytes` are allocated behind it (R12).  Errors: IO, FULL; a failed fdatasync poisons. */
int sdb_record_append(sdb_store *store, sdb_record_writer *writer, sdb_record_header *header, uint64_t spare_bytes,
                      const sdb_op *op);

/* Append an empty record, so that the prepare before it is decided: kept if it was published, else dropped.  Errors: as
** above. */
int sdb_decide(sdb_store *store, const sdb_op *op);

#endif /* SDB_DECIDE_H */
