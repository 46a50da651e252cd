/* SPDX-License-Identifier: MIT
**
** catalog_copy.h: what a store knows of the file `catalog`, and when it writes it (FORMAT.md 8).  Layer 4.
** THREADS: the writer, or who follows another member or opens the store.
*/
#ifndef SDB_CATALOG_COPY_H
#define SDB_CATALOG_COPY_H

#include "txn/store.h"

/* A header has taken the records' place, whoever wrote it: the entries that they named have changed since the file was
** written. */
void sdb_catalog_copy_note(sdb_store *store);
/* From now on nothing is known of the file: the next one is written whole. */
void sdb_catalog_copy_forget(sdb_catalog_copy *copy);
/* The journal is empty: let the file say what `regions` says.  Failing leaves a file that nobody believes. */
void sdb_catalog_copy_write(sdb_store *store);

#endif /* SDB_CATALOG_COPY_H */
