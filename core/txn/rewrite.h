/* SPDX-License-Identifier: MIT
**
** rewrite.h: the journal, written anew from the overlay while an old snapshot holds that back (R5b).  Layer 4.
**
**     the journal before        [ header | record | record | record | record | ...                     ]
**     and after                 [ header |                                     | the overlay's record   ]
**
** What commits have overwritten and nobody holds back is in `data`; entries are written as at a checkpoint.  What
** remains of the records is what the layers hold: so the journal costs what is held, not how often it was written.
** INVARIANT: the record is durable before the header that needs it, and lies where no record of the older header does.
** OWNS: a rewriting its ranges.  THREADS: the writer's.
*/
#ifndef SDB_REWRITE_H
#define SDB_REWRITE_H

#include "txn/store.h"

/* A rewriting under way. */
typedef struct sdb_rewrite {
  sdb_journal next; /* the journal as it will be */
  sdb_range_pool pool;
  sdb_range_set redo; /* where the record's ranges are */
} sdb_rewrite;

/* Would the journal be shorter?  Enough so that it is worth its syncs in between, if not asked for (`due`)? */
bool sdb_rewrite_pays(sdb_store *store, bool due);
/* Write the record, durably.  files_mutex held, the guard set.  Errors: NOMEM, FULL, IO, which change nothing that
** counts but for poison.  free() it in any case. */
int sdb_rewrite_begin(sdb_store *store, sdb_rewrite *rewrite, const sdb_op *op);
/* The header was turned: what else the journal held is free. */
void sdb_rewrite_done(sdb_store *store, sdb_rewrite *rewrite);
void sdb_rewrite_free(sdb_rewrite *rewrite);
/* Layers let go what nobody can read any more: extents that were given up, and wait for the journal alone. */
void sdb_rewrite_forget_unseen(sdb_store *store);

#endif /* SDB_REWRITE_H */
