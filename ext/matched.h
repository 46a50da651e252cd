/* SPDX-License-Identifier: MIT
**
** matched.h: sdb_matched: what the running UPDATE ... FROM has changed, and how those rows were before.
*/
#ifndef SDB_MATCHED_H
#define SDB_MATCHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "failure.h"

typedef struct sdb_matched_row {
  uint64_t rowid; /* 0: free */
  uint64_t length_bytes;
} sdb_matched_row;

/* Starts as {0}. */
typedef struct sdb_matched {
  sdb_matched_row *rows; /* a hash table; `capacity` is 0 or a power of two */
  size_t count, capacity;
  bool content, length; /* columns that the statement is known to set */
} sdb_matched;

/* NULL: the statement has not changed that row yet. */
const sdb_matched_row *sdb_matched_find(const sdb_matched *matched, uint64_t rowid);
/* A row that is there already is kept as it is. */
int sdb_matched_add(sdb_matched *matched, uint64_t rowid, uint64_t length_bytes, sdb_failure *f);
void sdb_matched_clear(sdb_matched *matched);

#endif /* SDB_MATCHED_H */
