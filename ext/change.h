/* SPDX-License-Identifier: MIT
**
** change.h: sdb_change: one change of one region, wherever it came from.
*/
#ifndef SDB_CHANGE_H
#define SDB_CHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "directory.h"
#include "failure.h"
#include "outside.h"
#include "seqdb.h"

enum sdb_change_kind {
  SDB_CHANGE_APPEND = 1,     /* name, data -> offset */
  SDB_CHANGE_WRITE,          /* name, number = offset, data -> bytes */
  SDB_CHANGE_TRUNCATE,       /* name, number = length -> length */
  SDB_CHANGE_TRUNCATE_WRITE, /* name, number = offset, data -> length */
  SDB_CHANGE_RESERVE,        /* name, number = bytes -> reserved */
  SDB_CHANGE_INSERT,         /* name, and data or number = length */
  SDB_CHANGE_UPDATE,         /* region, and any of name, data, number = length */
  SDB_CHANGE_DELETE,         /* region */
  SDB_CHANGE_TOUCH,          /* nothing, but a commit */
  SDB_CHANGE_IMPORT          /* name, source -> length */
};

/* Data and name belong to the caller. */
typedef struct sdb_change {
  enum sdb_change_kind kind;
  bool replace;  /* INSERT, UPDATE: a region that has the name gives way */
  bool conflict; /* out: INSERT, UPDATE failed on such a region */
  bool mixes;    /* out: WRITE, TRUNCATE_WRITE go over bytes that this transaction wrote */
  bool has_name, has_data, has_number;
  bool has_region; /* APPEND, WRITE, TRUNCATE: it is `region` of `directory`, and the name is for messages */
  const sdb_directory *directory;
  seqdb_region region;
  const char *name;
  size_t name_bytes;
  const void *data;
  size_t data_bytes;
  sdb_source *source; /* IMPORT: open */
  uint64_t number;
  uint64_t result;
} sdb_change;

/* Does it, all or nothing.  The transaction must be open. */
int sdb_change_run(sdb_directory *directory, sdb_change *change, sdb_failure *f);

/* Type under which a pointer to a sdb_change travels through the hidden column. */
#define SDB_CHANGE_POINTER "seqdb-change"

/* Lets SQLite do an INSERT that brings the change to xUpdate: it begins a transaction on the table, and in autocommit
** commits.  While COMMIT is under way SQLite refuses it. */
int sdb_change_by_insert(sdb_directory *directory, sdb_change *change, sdb_failure *f);

#endif /* SDB_CHANGE_H */
