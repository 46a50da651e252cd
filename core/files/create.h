/* SPDX-License-Identifier: MIT
**
** create.h: making the three files of a database.
**
** Each file is written under a temporary name, synced and renamed; then the directory and its parent are
** synced.  After a crash any of the three may exist, each as it was made; such a directory is half-made, and creating
** again finishes it.  A file that exists is never touched here.
** THREADS: runs alone, at open.
*/
#ifndef SDB_CREATE_H
#define SDB_CREATE_H

#include "base/error.h"
#include "os/os.h"
#include "pure/journal_header.h"

/* Make those of the three files that are missing, durably; `journal_only`: a rawdb directory gets a
** journal.  `header` says what the journal remembers; version, sequence, salt and uuid are chosen here.  `path` is
** for messages and to find the parent. Errors: IO, FULL, READONLY, CANTOPEN; a failure leaves a half-made directory. */
int sdb_create_files(sdb_fd dir, const char *path, bool journal_only, const sdb_os_access *access,
                     const sdb_journal_header *header, const sdb_op *op);
/* Make the names of the files and of the directory durable. */
int sdb_sync_names(sdb_fd dir, const char *path, const sdb_op *op);
/* Are all files that exist as creation leaves them?  Then the directory is half-made, not damaged; *missing: some of
** the three are not there.  A directory that lacks files of ours and has others is nobody's to fill: CANTOPEN, which
** names one of these. */
int sdb_is_pristine(sdb_fd dir, const char *path, bool *pristine, bool *missing, const sdb_op *op);
/* The first name in the directory, in the order of bytes; "" if there is none.  `foreign_only`: none of a file that
** creation makes.  A `catalog` of ours is none.  Errors: IO, READONLY. */
#define SDB_FILE_NAME_MAX 256u
int sdb_find_file(sdb_fd dir, const char *path, bool foreign_only, char name[SDB_FILE_NAME_MAX], const sdb_op *op);

#endif /* SDB_CREATE_H */
