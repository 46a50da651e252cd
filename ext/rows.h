/* SPDX-License-Identifier: MIT
**
** rows.h: sdb_rows: the rows a cursor walks.
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

typedef struct sdb_listed {
  uint64_t index;
  seqdb_region region;
} sdb_listed;

#define SDB_ROWS_AHEAD 16

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
  sdb_listed *list; /* ascending by index */
  size_t list_count, list_capacity, list_done;
  uint64_t next_index, stop_index;
  seqdb_region_info row;
  unsigned ahead_count, ahead_done;        /* of `ahead` */
  char own_name[SEQDB_NAME_BYTES_MAX];     /* row.name of an own view: the engine's may go with the next change */
  seqdb_region_info ahead[SDB_ROWS_AHEAD]; /* the next rows of a scan of a snapshot */
} sdb_rows;

int sdb_rows_open(sdb_rows *rows, sdb_connection *connection, sdb_directory *directory, seqdb *engine, sdb_failure *f);
void sdb_rows_close(sdb_rows *rows);
int sdb_rows_filter(sdb_rows *rows, int plan, sqlite3_value **argv, sdb_failure *f);
int sdb_rows_next(sdb_rows *rows, sdb_failure *f);
sqlite3_int64 sdb_rows_rowid(const sdb_rows *rows);
int sdb_rows_column(sdb_rows *rows, sqlite3_context *context, int column, sdb_failure *f);

#endif /* SDB_ROWS_H */
