/* SPDX-License-Identifier: MIT
**
** reader.h: sdb_reader: one region, read from beginning to end as it was at one moment.
*/
#ifndef SDB_READER_H
#define SDB_READER_H

#include <stdbool.h>
#include "directory.h"
#include "failure.h"

/* Starts as {0}. */
typedef struct sdb_reader {
  sdb_directory *directory; /* held; NULL: closed */
  seqdb_snapshot *snapshot; /* NULL: the own view, a transaction with changes */
  unsigned ends;            /* own view: of transactions, when it was opened */
  seqdb_region region;
  uint64_t length_bytes;
  char shown[SDB_SHOWN_NAME_MAX]; /* its name, for messages */
} sdb_reader;

/* T and the name are arguments of `function`.  *found is false if there is no such region, or a name that is NULL: then
** nothing is to be read.  A reader that is open on the same directory keeps its snapshot, whatever was committed since:
** all that one statement reads is of one moment. */
int sdb_reader_open(sdb_reader *reader, sdb_connection *connection, const char *function, sqlite3_value *const *t_name,
                    bool *found, sdb_failure *f);
void sdb_reader_close(sdb_reader *reader);
seqdb_view *sdb_reader_view(sdb_reader *reader);

/* The bytes in the mapping, valid until the reader is closed or opened anew; NULL: they have to be copied. */
const void *sdb_reader_map(sdb_reader *reader, uint64_t offset, uint64_t bytes);
/* Copies exactly these bytes; they are within length_bytes. */
int sdb_reader_copy(sdb_reader *reader, uint64_t offset, void *buffer, size_t bytes, sdb_failure *f);

#endif /* SDB_READER_H */
