/* SPDX-License-Identifier: MIT
**
** plan.h: the columns of the table, and how a statement is going to read them.
*/
#ifndef SDB_PLAN_H
#define SDB_PLAN_H

#include <stdint.h>
#include "sqlite_api.h"

/* The first four are also those of seqdb_regions(). */
enum sdb_column {
  SDB_COLUMN_NAME,
  SDB_COLUMN_OFFSET,
  SDB_COLUMN_LENGTH,
  SDB_COLUMN_CONTENT,
  SDB_COLUMN_RESERVED,
  SDB_COLUMN_APPEND,
  SDB_COLUMN_CREATED,
  SDB_COLUMN_CHANGED,
  SDB_COLUMN_SELF, /* hidden, named like the table */
  SDB_COLUMN_COUNT
};

/* Bits of idxNum; plan.c describes them. */
#define SDB_PLAN_NAME       0x01
#define SDB_PLAN_ROWID      0x02
#define SDB_PLAN_IN         0x04
#define SDB_PLAN_LOWER      0x08
#define SDB_PLAN_UPPER      0x10
#define SDB_PLAN_DESCENDING 0x20

/* Fills *info for xBestIndex.  `first_arg` arguments of xFilter are taken already.  `regions` is an estimate. */
void sdb_plan(sqlite3_index_info *info, int first_arg, uint64_t regions);

#endif /* SDB_PLAN_H */
