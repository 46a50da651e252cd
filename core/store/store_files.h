/* SPDX-License-Identifier: MIT
**
** store_files.h: the descriptors of a store: opened for reading or for writing, locked against rawdb, opened once more
** for writing.  Layer 6.  THREADS: whoever opens the store is alone with it.
*/
#ifndef SDB_STORE_FILES_H
#define SDB_STORE_FILES_H

#include "seqdb.h"
#include "txn/store.h"

void sdb_store_close_fd(sdb_fd *fd);
/* Who may read and write what is made. */
sdb_os_access sdb_store_access(const seqdb_options *options);
/* The store can only be read from now on.  The caller fills in why, for the handles that were to write: the first
** reason stays. */
sdb_op sdb_store_refusal(sdb_store *store);
/* For writing where that is wanted and allowed; else for reading, and the store cannot be written.  Errors: CANTOPEN,
** READONLY, IO. */
int sdb_store_open_file(sdb_store *store, const char *name, bool write, bool optional, sdb_fd *fd, const sdb_op *op);
/* All files; `create`: make those that are missing, if it is nobody's directory yet.  Errors: as above, LOCKED, FULL.
** */
int sdb_store_open_files(sdb_store *store, const seqdb_options *options, bool create, const sdb_op *op);
/* They were opened before the door: what has changed in between. */
int sdb_store_look_again(sdb_store *store, const seqdb_options *options, const sdb_op *op);
/* Those of a store of readers, for writing from now on. */
int sdb_store_reopen_files(sdb_store *store, const sdb_op *op);

#endif /* SDB_STORE_FILES_H */
