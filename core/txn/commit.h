/* SPDX-License-Identifier: MIT
**
** commit.h: prepare, publish, roll back (R3, R4, R10).  Layer 4.
** THREADS: txn_mutex held.
*/
#ifndef SDB_COMMIT_H
#define SDB_COMMIT_H

#include "txn/handle.h"

/* Make the transaction durable as a record of that kind (enum sdb_record_kind): PREPARED afterwards, or CLEAN or
** CHANGED if there was nothing to write.  `token` (may be NULL) receives a prepare's, and is left alone if nothing was
** written.  On error the transaction is as open as before.  Errors: those of sdb_writable(), IO, FULL, NOMEM. */
int sdb_commit_prepare(seqdb *db, uint16_t kind, uint8_t token[SEQDB_TOKEN_BYTES], const sdb_op *op);
/* Make what was prepared the newest commit, and end the transaction.  Cannot fail.  Changes that were not prepared are
** rolled back; if they came after the prepare, the record and memory differ, and the store is poisoned. */
void sdb_commit_publish(seqdb *db);
/* Undo everything, on record if there is a prepare, and end the transaction.  On error (IO, FULL) that is so too, but
** the store is poisoned, because the next open would keep the prepare. */
int sdb_commit_rollback(seqdb *db, const sdb_op *op);

#endif /* SDB_COMMIT_H */
