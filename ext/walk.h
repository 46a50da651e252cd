/* SPDX-License-Identifier: MIT
**
** walk.h: how a table-valued function walks rows that are numbered: which part of them, and in which direction.
*/
#ifndef SDB_WALK_H
#define SDB_WALK_H

#include <stdbool.h>
#include <stdint.h>
#include "sqlite_api.h"

/* Bits of idxNum, beside those that say which arguments are present.  Arguments of xFilter come in this order. */
#define SDB_WALK_EQUAL      0x100
#define SDB_WALK_LOWER      0x200
#define SDB_WALK_UPPER      0x400
#define SDB_WALK_DESCENDING 0x800

/* Numbers from `begin` to before `end`. */
typedef struct sdb_walk {
  uint64_t begin, end;
  bool descending;
} sdb_walk;

/* Takes the terms on `column`, which counts upwards, and an ORDER BY it; `argument` arguments are taken already.  Sets
** costs for about `rows` rows.  Returns the bits. */
int sdb_walk_plan(sqlite3_index_info *info, int column, int argument, double rows);
/* argv: the arguments of those bits.  Bounds are inclusive and rounded outwards: SQLite tests each row again. */
void sdb_walk_narrow(sdb_walk *walk, int plan, sqlite3_value **argv);

#endif /* SDB_WALK_H */
