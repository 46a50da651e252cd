/* SPDX-License-Identifier: MIT
**
** row.h: the row of a shadow table: what an SQLite file says of a directory.
*/
#ifndef SDB_ROW_H
#define SDB_ROW_H

#include <stdbool.h>
#include "failure.h"
#include "seqdb.h"

#define SDB_ROW_COLUMN       "seqdb_state"
#define SDB_ROW_BYTES        80
#define SDB_ROW_DIRECTORY_AT 16
#define SDB_ROW_STATE_AT     48 /* of generation and token ... */
#define SDB_ROW_STATE_BYTES  24 /* ... which each commit writes */

/* A row. */
typedef struct sdb_row {
  uint8_t directory[SEQDB_UUID_BYTES];
  uint8_t file[SEQDB_FILE_UUID_BYTES];
  uint64_t generation; /* of the newest commit of this file ... */
  uint8_t token[SEQDB_TOKEN_BYTES];
} sdb_row;

/* Of which directory a row is: it names its uuid; or an SQLite file that has a claim in it, for the directory may have
** got another uuid since the row was written (owner.c). */
typedef struct sdb_row_key {
  uint8_t directory[SEQDB_UUID_BYTES];
  uint8_t files[SEQDB_CLAIMS_MAX][SEQDB_FILE_UUID_BYTES];
  uint32_t count;
} sdb_row_key;

/* Of the directory that is open.  A code of seqdb_claims(). */
int sdb_row_key_take(seqdb *engine, sdb_row_key *key);
bool sdb_row_is_of(const sdb_row *row, const sdb_row_key *key);

void sdb_row_encode(const sdb_row *row, uint8_t p[SDB_ROW_BYTES]);
void sdb_row_encode_state(uint64_t generation, const uint8_t token[SEQDB_TOKEN_BYTES],
                          uint8_t state[SDB_ROW_STATE_BYTES]);
/* false: it is none. */
bool sdb_row_decode(const uint8_t *p, size_t bytes, sdb_row *row);

/* The row of that directory, in whatever table of the schema; by reading alone. */
int sdb_row_lookup(sqlite3 *db, const char *schema, const sdb_row_key *key, sdb_row *row, bool *found, sdb_failure *f);

/* `after` takes the place of `before`.  SQLITE_NOTFOUND: that is not there. */
int sdb_row_replace(sqlite3 *db, const char *schema, const sdb_row *before, const sdb_row *after, sdb_failure *f);

#endif /* SDB_ROW_H */
