/* SPDX-License-Identifier: MIT
**
** backup_files.h: the three files of a copy of a database, written from a pinned commit.  Layer 6.
** THREADS: the caller's alone; whoever reads and writes the database goes on.
*/
#ifndef SDB_BACKUP_FILES_H
#define SDB_BACKUP_FILES_H

#include "txn/handle.h"

/* The commit that is copied. */
struct seqdb_backup_point {
  seqdb *db;
  seqdb_snapshot *snapshot;
  sdb_journal_header header; /* that in use: uuid and claims, with what the commit has settled */
  sdb_token token;           /* of the commit ... */
  sdb_file_uuid file;        /* ... and the SQLite file that made it */
};

/* What a copy is made of, and where it goes. */
typedef struct sdb_backup {
  const struct seqdb_backup_point *point;
  const sdb_claim *owner; /* the only claim that the copy has; NULL: those of the original */
  sdb_fd dir;             /* of the copy: no file of a database is in it */
  const char *path;       /* the same, for messages */
  sdb_os_access access;   /* of its files */
  uint64_t bytes;         /* of content that were copied */
  const sdb_op *op;
} sdb_backup;

/* Write `data`, `regions` and `journal`, and make them durable.  They are what a clean close at that commit would have
** left.  A directory without a journal (rawdb's) has none in the copy.  Names are not synced.
** Errors: IO, FULL, NOMEM, READONLY, INTERRUPTED; some of the files may be there then. */
int sdb_backup_files(sdb_backup *backup);
/* Remove whatever of them is there; nothing else. */
void sdb_backup_remove_files(sdb_fd dir);

#endif /* SDB_BACKUP_FILES_H */
