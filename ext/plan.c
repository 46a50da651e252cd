/* SPDX-License-Identifier: MIT
**
** plan.c: how a statement is going to read the table, or seqdb_regions(): what xBestIndex answers.
**
** idxNum is a set of bits, idxStr is not used.  Arguments of xFilter come in the order of this list:
**
**   SDB_PLAN_NAME        name = ?1 (or IS, or IN with SDB_PLAN_IN): look up by name, or scan if there is a number
**   SDB_PLAN_ROWID       rowid = ?1 (same): look up by entry
**   SDB_PLAN_IN          the argument is the whole list (sqlite3_vtab_in): looked up at once, walked in rowid order
**   SDB_PLAN_LOWER       rowid > or >= ?: start there, inclusive        (only without NAME and ROWID)
**   SDB_PLAN_UPPER       rowid < or <= ?: end there, inclusive          (only without NAME and ROWID)
**   SDB_PLAN_DESCENDING  rows by descending rowid
**
** Without NAME and ROWID it is a scan in rowid order.  No constraint is marked `omit`: SQLite tests each row again,
** so that a bound may be rounded outwards and a value of another type need not be converted exactly.
**
** LIMIT is not taken: rows are made one at a time, and SQLite stops asking.
**
** Content is touched by xColumn alone, which SQLite calls only for columns a statement uses.  colUsed makes plans
** that read it dearer, so that a join reads each content as few times as possible.
*/
#include <stdbool.h>
#include <stddef.h>
#include "plan.h"

#define NONE (-1)

/* What SQLite assumes of a table without statistics.  With the true number of a small table it would scan that and
** build an index on the other table of a join, instead of looking regions up. */
#define ROWS_MIN 1048576

typedef struct sdb_terms {
  int name, rowid, lower, upper; /* indexes into aConstraint, or NONE */
} sdb_terms;

static bool is_equality(unsigned char op) {
  return op == SQLITE_INDEX_CONSTRAINT_EQ || op == SQLITE_INDEX_CONSTRAINT_IS;
}

static sdb_terms find_terms(sqlite3_index_info *info) {
  sdb_terms terms = {NONE, NONE, NONE, NONE};
  for (int i = 0; i < info->nConstraint; i++) {
    unsigned char op = info->aConstraint[i].op;
    int column = info->aConstraint[i].iColumn;
    if (!info->aConstraint[i].usable) continue;
    if (column == SDB_COLUMN_NAME && is_equality(op)) {
      /* names are compared as bytes: name = ? COLLATE NOCASE is a scan */
      if (sqlite3_stricmp(sqlite3_vtab_collation(info, i), "BINARY") == 0) terms.name = i;
    } else if (column == -1 && is_equality(op)) {
      terms.rowid = i;
    } else if (column == -1 && (op == SQLITE_INDEX_CONSTRAINT_GT || op == SQLITE_INDEX_CONSTRAINT_GE)) {
      terms.lower = i;
    } else if (column == -1 && (op == SQLITE_INDEX_CONSTRAINT_LT || op == SQLITE_INDEX_CONSTRAINT_LE)) {
      terms.upper = i;
    }
  }
  return terms;
}

/* Is a look-up by this term sure to find one row at most?  A name that is compared with a number (by a column or an
** expression of a numeric type) is compared as a number: 5, 05 and 5.0 are all equal to 5.  What the other side is
** shows at xFilter only: a number there makes a scan of the look-up (rows.c).  So by name it is sure only if a text
** stands in the statement; else SQLite would leave a LEFT JOIN after the first row.  The price: an UPDATE of one row by
** a bound name has a savepoint of its own in BEGIN (5 us).  rowid is always compared as a number. */
static bool is_unique(sqlite3_index_info *info, const sdb_terms *terms, int lookup) {
  sqlite3_value *value = NULL;
  if (lookup == terms->rowid) return true;
  return sqlite3_vtab_rhs_value(info, lookup, &value) == SQLITE_OK && sqlite3_value_type(value) == SQLITE_TEXT;
}

/* Does walking the rows by rowid satisfy ORDER BY, GROUP BY or DISTINCT?  Sets *descending.
**
** sqlite3_vtab_distinct() says what is wanted.  0 and 3 (DISTINCT with ORDER BY): all in order.  1 (GROUP BY): equal
** ones as neighbours; but 3.40 says 1 as well where ORDER BY was made part of GROUP BY, so that it is taken
** for 0.  2 (DISTINCT alone): equal ones as neighbours, and with a name or a rowid among the terms no two are equal. */
static bool order_is_ours(sqlite3_index_info *info, bool *descending) {
  if (info->nOrderBy == 0) return false;
  if (info->aOrderBy[0].iColumn == -1) { /* rowid is unique: further terms never decide */
    *descending = info->aOrderBy[0].desc != 0;
    return true;
  }
  if (sqlite3_vtab_distinct(info) != 2) return false;
  for (int i = 0; i < info->nOrderBy; i++) {
    if (info->aOrderBy[i].iColumn == SDB_COLUMN_NAME || info->aOrderBy[i].iColumn == -1) return true;
  }
  return false;
}

void sdb_plan(sqlite3_index_info *info, int first_arg, uint64_t regions) {
  sdb_terms terms = find_terms(info);
  int argument = first_arg, plan = 0, lookup = terms.rowid != NONE ? terms.rowid : terms.name;
  bool descending = false;
  double rows = (double)(regions > ROWS_MIN ? regions : ROWS_MIN);

  if (lookup != NONE) {
    plan = lookup == terms.rowid ? SDB_PLAN_ROWID : SDB_PLAN_NAME;
    rows = 1;
    info->aConstraintUsage[lookup].argvIndex = ++argument;
    if (sqlite3_vtab_in(info, lookup, 1)) {
      plan |= SDB_PLAN_IN;
      rows = 25;
    } else if (is_unique(info, &terms, lookup)) {
      info->idxFlags |= SQLITE_INDEX_SCAN_UNIQUE;
    }
  } else {
    if (terms.lower != NONE) {
      plan |= SDB_PLAN_LOWER;
      info->aConstraintUsage[terms.lower].argvIndex = ++argument;
      rows /= 4;
    }
    if (terms.upper != NONE) {
      plan |= SDB_PLAN_UPPER;
      info->aConstraintUsage[terms.upper].argvIndex = ++argument;
      rows /= 4;
    }
  }
  if (order_is_ours(info, &descending)) {
    info->orderByConsumed = 1;
    if (descending) plan |= SDB_PLAN_DESCENDING;
  }
  bool reads_content = (info->colUsed & (1u << SDB_COLUMN_CONTENT)) != 0;
  info->idxNum = plan;
  info->estimatedRows = (sqlite3_int64)rows;
  info->estimatedCost = 10 + rows * (reads_content ? 20 : 1);
}
