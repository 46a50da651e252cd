/* SPDX-License-Identifier: MIT
**
** loan.h: sdb_loan: a snapshot of the engine that SQLite may hold pointers into.
*/
#ifndef SDB_LOAN_H
#define SDB_LOAN_H

#include <stdbool.h>
#include "connection.h"
#include "directory.h"
#include "failure.h"
#include "seqdb.h"

typedef struct sdb_loan {
  struct sdb_loan *next; /* connection->loans */
  seqdb_snapshot *snapshot;
  sdb_directory *directory; /* NULL: one without a table (tvf_regions.c) */
  int users;                /* cursors that read from it, and the transaction that took rowids from it */
  bool lent;                /* SQLite was given pointers into it: closed only with the connection's last cursor */
} sdb_loan;

/* The newest commit of `engine`, which is that of the directory if there is one. */
int sdb_loan_take(sdb_connection *connection, sdb_directory *directory, seqdb *engine, sdb_loan **loan, sdb_failure *f);
sdb_loan *sdb_loan_share(sdb_loan *loan);
/* Ends one use.  NULL is allowed. */
void sdb_loan_return(sdb_connection *connection, sdb_loan *loan);
/* Before the directory is closed. */
void sdb_loans_close(sdb_directory *directory);

/* Every open cursor of our virtual tables is counted. */
void sdb_cursor_opened(sdb_connection *connection);
/* After the cursor has returned its loans. */
void sdb_cursor_closed(sdb_connection *connection);

#endif /* SDB_LOAN_H */
