/* SPDX-License-Identifier: MIT
**
** loan.c: snapshots that SQLite may hold pointers into, and the count of cursors that says for how long.
**
** Content and names are handed to SQLite without a copy (SQLITE_STATIC).  SQLite keeps such a pointer in a register
** for a while, before 3.51 even after the cursor it came from was closed: max((SELECT content ...)) did, and read
** pages that had been given away.  It never does so once all cursors of the connection are closed.  Therefore:
**
**   - a loan that was lent is closed when the connection's last open cursor closes, whichever table that is of;
**   - one that was not is closed with its last user, so that look-ups of a length hold nothing back;
**   - cursors opened at the same generation share one loan.
**
** A cursor opened after a commit gets a newer one, also while older cursors are open: a statement sees what was
** committed before it began.
*/
#include "loan.h"

static void loan_close(sdb_connection *connection, sdb_loan *loan) {
  sdb_loan **link = &connection->loans;
  while (*link != loan)
    link = &(*link)->next;
  *link = loan->next;
  if (loan->directory && loan->directory->newest == loan) loan->directory->newest = NULL;
  seqdb_snapshot_close(loan->snapshot);
  sqlite3_free(loan);
}

int sdb_loan_take(sdb_connection *connection, sdb_directory *directory, seqdb *engine, sdb_loan **out, sdb_failure *f) {
  seqdb_snapshot *snapshot = NULL;
  int rc = seqdb_snapshot_open(engine, &snapshot);
  if (rc != SEQDB_OK) return sdb_failure_engine(f, engine, rc);

  sdb_loan *loan = directory ? directory->newest : NULL;
  if (loan && seqdb_snapshot_generation(loan->snapshot) == seqdb_snapshot_generation(snapshot)) {
    seqdb_snapshot_close(snapshot);
  } else {
    loan = sqlite3_malloc64(sizeof *loan);
    if (!loan) {
      seqdb_snapshot_close(snapshot);
      return sdb_failure_nomem(f);
    }
    *loan = (sdb_loan){.next = connection->loans, .snapshot = snapshot, .directory = directory};
    connection->loans = loan;
    if (directory) directory->newest = loan;
  }
  *out = sdb_loan_share(loan);
  return SQLITE_OK;
}

sdb_loan *sdb_loan_share(sdb_loan *loan) {
  loan->users++;
  return loan;
}

void sdb_loan_return(sdb_connection *connection, sdb_loan *loan) {
  if (!loan) return;
  loan->users--;
  if (loan->users == 0 && (!loan->lent || connection->cursors == 0)) loan_close(connection, loan);
}

void sdb_loans_close(sdb_directory *directory) {
  sdb_connection *connection = directory->connection;
  for (sdb_loan *loan = connection->loans, *next; loan; loan = next) {
    next = loan->next;
    if (loan->directory == directory) loan_close(connection, loan);
  }
}

void sdb_cursor_opened(sdb_connection *connection) {
  connection->cursors++;
}

void sdb_cursor_closed(sdb_connection *connection) {
  connection->cursors--;
  if (connection->cursors > 0) return;
  for (sdb_loan *loan = connection->loans, *next; loan; loan = next) {
    next = loan->next;
    if (loan->users == 0) loan_close(connection, loan);
  }
  sdb_connection_rest(connection);
}
