/* SPDX-License-Identifier: MIT
**
** redo.h: what another member's records say, in memory: which count, entries, ranges.  Layer 5.
** THREADS: as follow.h.
*/
#ifndef SDB_REDO_H
#define SDB_REDO_H

#include "files/journal_scan.h"
#include "txn/store.h"

/* Records under way. */
typedef struct sdb_redo {
  sdb_store *store;
  const sdb_op *op;
  bool to_end;      /* past what is published */
  bool drop;        /* ... where an undecided prepare of a coordinator does not count */
  bool undecided;   /* the last record is a prepare */
  bool kept_last;   /* and counted */
  bool contradicts; /* a record does not lead to the entries that it says */
} sdb_redo;

/* A prepare counts unless the record after it drops it.  What was published counts. */
bool sdb_redo_is_kept(const sdb_redo *redo, const sdb_journal_record *record);

bool sdb_redo_has_name(const sdb_entry *entry, const sdb_entry_image *image);
/* Put what a page or a record says in the place of `before`, the store's own entry (NULL: none).  Names and numbers of
** regions that are still there stay what they are.  NOMEM. */
int sdb_redo_put(sdb_store *store, sdb_tree *tree, uint32_t index, const sdb_entry_image *image,
                 const sdb_entry *before);
/* What a record of that generation puts. */
sdb_entry_image sdb_redo_image(const sdb_record_put *put, uint64_t generation);
/* The record's ranges, over what the patch has.  NOMEM. */
int sdb_redo_ranges(sdb_patch *patch, const sdb_journal_record *record);
/* Where they are.  NOMEM. */
int sdb_redo_hold(sdb_range_set *redo, const sdb_journal_record *record);

#endif /* SDB_REDO_H */
