/* SPDX-License-Identifier: MIT
**
** rows.h: sdb_rows: the rows a cursor walks.
**
** A look-up allocates nothing here: with buffers inside, sdb_rows was larger than what malloc keeps at hand, and taking
** and giving back the cursor was a third of the work.
*/
#ifndef SDB_ROWS_H
#define SDB_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "directory.h"
#include "failure.h"
#include "loan.h"
#include "plan.h"
#include "seqdb.h"

/* A function that is not to become part of those that call it. */
#if defined(__GNUC__) || defined(__clang__)
#define SDB_APART __attribute__((noinline))
#else
#define SDB_APART
#endif

typedef struct sdb_listed {
  uint64_t index;
  seqdb_region region;
} sdb_listed;

#define SDB_ROWS_AHEAD 64 /* rows of a snapshot that are fetched at once */
#define SDB_ROWS_FEW   4  /* looked-up regions that need no memory of their own */

typedef struct sdb_rows {
  sdb_connection *connection;
  sdb_directory *directory; /* NULL: a directory without a table, never an own view */
  seqdb *engine;
  sdb_loan *loan; /* what the cursor reads; taken when it opens, never renewed */
  sdb_loan *base; /* own view only: the commit under it, for reading without a copy */
  bool own_view;  /* the transaction had changes at xFilter */
  unsigned ends;  /* of transactions, at xFilter */
  bool eof;
  bool listed; /* walk `list`, else scan from next_index to stop_index */
  bool descending;
  const seqdb_region_info *row; /* where it stands: `one`, or in `ahead`; not at the end */
  unsigned ahead_left;          /* rows of `ahead` behind that one; 0: of a list, or at the end */
  seqdb_region_info *ahead;     /* SDB_ROWS_AHEAD of them, once a snapshot is scanned */
  sdb_listed *list;             /* ascending by index; `few` until there are more */
  size_t list_count, list_capacity, list_done;
  uint64_t next_index, stop_index;
  char *own_name; /* row->name of an own view: the engine's may go with the next change */
  seqdb_region_info one;
  sdb_listed few[SDB_ROWS_FEW];
} sdb_rows;

int sdb_rows_open(sdb_rows *rows, sdb_connection *connection, sdb_directory *directory, seqdb *engine, sdb_failure *f);
void sdb_rows_close(sdb_rows *rows);
int sdb_rows_filter(sdb_rows *rows, int plan, sqlite3_value **argv, sdb_failure *f);
int sdb_rows_next(sdb_rows *rows, sdb_failure *f);

/* What a scan does for each row stands here: without a call.  False: sdb_rows_next() goes on. */
static inline bool sdb_rows_step(sdb_rows *rows) {
  if (rows->ahead_left == 0) return false;
  rows->ahead_left--;
  rows->row++;
  return true;
}

static inline sqlite3_int64 sdb_rows_rowid(const sdb_rows *rows) {
  return (sqlite3_int64)rows->row->index + 1;
}

/* The result of a column that is a number.  False: sdb_rows_column() gives it. */
static inline bool sdb_rows_number(const sdb_rows *rows, sqlite3_context *context, int column) {
  const seqdb_region_info *row = rows->row;
  uint64_t number;
  switch (column) {
    case SDB_COLUMN_OFFSET:
      number = row->offset;
      break;
    case SDB_COLUMN_LENGTH:
      number = row->length_bytes;
      break;
    case SDB_COLUMN_RESERVED:
      number = row->reserved_bytes;
      break;
    case SDB_COLUMN_CREATED:
      number = row->created;
      break;
    case SDB_COLUMN_CHANGED:
      number = row->generation;
      break;
    default:
      return false;
  }
  sqlite3_result_int64(context, (sqlite3_int64)number);
  return true;
}

/* Any column: name and content, too. */
int sdb_rows_column(sdb_rows *rows, sqlite3_context *context, int column, sdb_failure *f);

#endif /* SDB_ROWS_H */
