/* SPDX-License-Identifier: MIT
**
** walk.c: how a table-valued function walks rows that are numbered.
*/
#include "walk.h"

#define NONE (-1)

static int find_term(const sqlite3_index_info *info, int column, unsigned char op, unsigned char or_op) {
  for (int i = 0; i < info->nConstraint; i++) {
    unsigned char its = info->aConstraint[i].op;
    if (info->aConstraint[i].usable && info->aConstraint[i].iColumn == column && (its == op || its == or_op)) return i;
  }
  return NONE;
}

int sdb_walk_plan(sqlite3_index_info *info, int column, int argument, double rows) {
  int plan = 0;
  int equal = find_term(info, column, SQLITE_INDEX_CONSTRAINT_EQ, SQLITE_INDEX_CONSTRAINT_IS);
  int lower = find_term(info, column, SQLITE_INDEX_CONSTRAINT_GT, SQLITE_INDEX_CONSTRAINT_GE);
  int upper = find_term(info, column, SQLITE_INDEX_CONSTRAINT_LT, SQLITE_INDEX_CONSTRAINT_LE);
  if (equal != NONE) {
    plan = SDB_WALK_EQUAL;
    info->aConstraintUsage[equal].argvIndex = ++argument;
    info->idxFlags |= SQLITE_INDEX_SCAN_UNIQUE;
    rows = 1;
  } else {
    if (lower != NONE) {
      plan |= SDB_WALK_LOWER;
      info->aConstraintUsage[lower].argvIndex = ++argument;
      rows /= 4;
    }
    if (upper != NONE) {
      plan |= SDB_WALK_UPPER;
      info->aConstraintUsage[upper].argvIndex = ++argument;
      rows /= 4;
    }
  }
  if (info->nOrderBy > 0 && info->aOrderBy[0].iColumn == column) { /* unique: further terms never decide */
    info->orderByConsumed = 1;
    if (info->aOrderBy[0].desc) plan |= SDB_WALK_DESCENDING;
  }
  info->estimatedRows = (sqlite3_int64)rows;
  info->estimatedCost = 100 + rows;
  return plan;
}

#define INT64_LIMIT 9223372036854775808.0

/* The largest whole number <= the bound, at most INT64_MAX; *below: the bound is less than 0, or NULL, which nothing is
** equal to, less or more than.  false: a text or a BLOB, which may mean anything. */
static bool take_bound(sqlite3_value *value, uint64_t *bound, bool *below) {
  int type = sqlite3_value_type(value);
  *below = type == SQLITE_NULL;
  if (type == SQLITE_INTEGER) {
    sqlite3_int64 integer = sqlite3_value_int64(value);
    *below = integer < 0;
    *bound = (uint64_t)integer;
  } else if (type == SQLITE_FLOAT) {
    double real = sqlite3_value_double(value);
    *below = !(real >= 0);
    *bound = real >= INT64_LIMIT ? INT64_MAX : (uint64_t)(*below ? 0 : real);
  }
  return type != SQLITE_TEXT && type != SQLITE_BLOB;
}

static void from(sdb_walk *walk, sqlite3_value *value) {
  uint64_t bound = 0;
  bool below;
  if (!take_bound(value, &bound, &below)) return;
  if (sqlite3_value_type(value) == SQLITE_NULL) walk->end = walk->begin;
  if (!below && bound > walk->begin) walk->begin = bound;
}

static void to(sdb_walk *walk, sqlite3_value *value) {
  uint64_t bound = 0;
  bool below;
  if (!take_bound(value, &bound, &below)) return;
  if (below) walk->end = walk->begin;
  if (!below && bound < walk->end) walk->end = bound + 1 < walk->end ? bound + 1 : walk->end;
}

void sdb_walk_narrow(sdb_walk *walk, int plan, sqlite3_value **argv) {
  walk->descending = (plan & SDB_WALK_DESCENDING) != 0;
  if (plan & SDB_WALK_EQUAL) {
    from(walk, *argv);
    to(walk, *argv++);
  }
  if (plan & SDB_WALK_LOWER) from(walk, *argv++);
  if (plan & SDB_WALK_UPPER) to(walk, *argv);
  if (walk->end < walk->begin) walk->end = walk->begin;
}
