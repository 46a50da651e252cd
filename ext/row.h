/* SPDX-License-Identifier: MIT
**
** row.h: the row of a shadow table: what an SQLite file says of a directory.
*/
#ifndef SDB_ROW_H
#define SDB_ROW_H

#include <stdbool.h>
#include "failure.h"
#include "seqdb.h"

#define SDB_ROW_COLUMN      "seqdb_state"
#define SDB_ROW_BYTES       80
#define SDB_ROW_STATE_AT    48 /* of generation and token ... */
#define SDB_ROW_STATE_BYTES 24 /* ... which each commit writes */

/* A row. */
typedef struct sdb_row {
  uint8_t directory[SEQDB_UUID_BYTES];
  uint8_t file[SEQDB_FILE_UUID_BYTES];
  uint64_t generation; /* of the newest commit of this file ... */
  uint8_t token[SEQDB_TOKEN_BYTES];
} sdb_row;

void sdb_row_encode(const sdb_row *row, uint8_t p[SDB_ROW_BYTES]);
void sdb_row_encode_state(uint64_t generation, const uint8_t token[SEQDB_TOKEN_BYTES],
                          uint8_t state[SDB_ROW_STATE_BYTES]);
/* false: not the row of that directory. */
bool sdb_row_decode(const uint8_t *p, size_t bytes, const uint8_t directory[SEQDB_UUID_BYTES], sdb_row *row);

/* The row of the directory with that uuid, in whatever table of the schema; by reading alone. */
int sdb_row_lookup(sqlite3 *db, const char *schema, const uint8_t directory[SEQDB_UUID_BYTES], sdb_row *row,
                   bool *found, sdb_failure *f);

/* `after` takes the place of `before`.  SQLITE_NOTFOUND: that is not there. */
int sdb_row_replace(sqlite3 *db, const char *schema, const sdb_row *before, const sdb_row *after, sdb_failure *f);

#endif /* SDB_ROW_H */
