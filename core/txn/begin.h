/* SPDX-License-Identifier: MIT
**
** begin.h: a handle's transaction: its begin, its end, going back, reading its own state.  Layer 4.
** THREADS: txn_mutex held in all of it.
*/
#ifndef SDB_BEGIN_H
#define SDB_BEGIN_H

#include "txn/handle.h"

/* Take the writer lock and begin, if that has not happened.  Errors: those of sdb_writable(), BUSY, and what a
** recovery's owed checkpoint may say. */
int sdb_txn_begin(seqdb *db, const sdb_op *op);
/* sdb_leave() for a call that may have changed something.  If the call failed, and nothing had changed before it, the
** writer lock is given back, and what it did is undone. */
int sdb_txn_leave(seqdb *db, int rc, const sdb_op *op);
/* Free the transaction's state and give the writer lock back; savepoints are gone.  What was allocated must have been
** given up before, or be committed. */
void sdb_txn_end(seqdb *db);
/* Drop all marks but the oldest `keep`, with their overwrites. */
void sdb_txn_drop_marks(seqdb *db, size_t keep);
/* Go back to the tree of live catalog `to`.  What the present tree owned and that one does not is given up; what that
** one owns is pending no longer.  The caller has dealt with patches and with newer marks. */
void sdb_txn_return_to(seqdb *db, sdb_catalog *to);

/* A region under change, in a call. */
typedef struct sdb_change {
  seqdb *db;
  uint32_t index; /* of its entry */
  const sdb_op *op;
} sdb_change;

/* ---- the tree */

/* The region's entry and index; NULL if it is gone.  Valid until the tree changes. */
const sdb_entry *sdb_txn_entry(seqdb *db, seqdb_region region, uint32_t *index);
/* Change entry `index`; its generation and trailer are set.  NOMEM changes nothing. */
int sdb_txn_put(seqdb *db, uint32_t index, sdb_entry *entry, const sdb_op *op);

/* ---- the bytes; tails are settled */

/* Read bytes of `data` with overlay and patches laid over them.  Errors: IO. */
int sdb_txn_read(seqdb *db, uint64_t offset, void *buffer, size_t bytes, const sdb_op *op);
/* The first byte of the range that differs from what `data` holds; the range's end if none does. */
uint64_t sdb_txn_next_patched(seqdb *db, uint64_t offset, uint64_t bytes);

#endif /* SDB_BEGIN_H */
