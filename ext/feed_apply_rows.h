/* SPDX-License-Identifier: MIT
**
** feed_apply_rows.h: rows of a change object, put into the follower's tables.
*/
#ifndef SDB_FEED_APPLY_ROWS_H
#define SDB_FEED_APPLY_ROWS_H

#include "directory.h"
#include "feed_part.h"
#include "feed_tables.h"

typedef struct sdb_apply_rows {
  sdb_directory *directory;
  const sdb_part_header *header;
  sdb_feed_table *tables; /* of the part, as the follower has them; from sqlite3_malloc */
  size_t count;
  bool keeps_own;          /* what the tables hold is not of a chain: a base may not take its place */
  bool ignores_checks;     /* the connection does, until sdb_apply_rows_free() */
  sqlite3_stmt *statement; /* of the section */
} sdb_apply_rows;

/* A section of kind TABLE, KEYS or ROWS.  Triggers and foreign keys rest. */
int sdb_apply_table(sdb_apply_rows *rows, sdb_section *section, sdb_failure *f);
int sdb_apply_row_section(sdb_apply_rows *rows, sdb_section *section, sdb_failure *f);
void sdb_apply_rows_free(sdb_apply_rows *rows, sdb_failure *f);

#endif /* SDB_FEED_APPLY_ROWS_H */
