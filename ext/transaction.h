/* SPDX-License-Identifier: MIT
**
** transaction.h: the transaction of a directory; its states are in directory.h.
*/
#ifndef SDB_TRANSACTION_H
#define SDB_TRANSACTION_H

#include "directory.h"
#include "loan.h"

/* Between xBegin or xCreate and xCommit or xRollback. */
static inline bool sdb_transaction_is_open(const sdb_directory *directory) {
  return directory->transaction.state != SDB_TRANSACTION_NONE;
}
/* Open, and no COMMIT is under way. */
bool sdb_transaction_takes_changes(const sdb_directory *directory);

void sdb_transaction_begin(sdb_directory *directory);
/* It has created the table; `level` is SQLite's newest savepoint. */
void sdb_transaction_created(sdb_directory *directory, int level);
/* Before a change.  MISUSE in a commit hook. */
int sdb_transaction_changes(sdb_directory *directory, sdb_failure *f);
/* It was touched: it is a commit, whatever it goes back to that is not before this. */
void sdb_transaction_touched(sdb_directory *directory);
/* The schema is as the notes have it (`right`), with that schema_version, or this commit is a gap: so it stays until
** SQLite goes back to before this. */
void sdb_transaction_looked(sdb_directory *directory, bool right, int schema_version);
/* SQLite has read the schema anew, after ALTER TABLE, or of another file of that name. */
void sdb_transaction_forget_look(sdb_directory *directory);
/* An overwrite has failed with `code` and left bytes that the transaction wrote before mixed with newer ones. */
void sdb_transaction_mixed(sdb_directory *directory, int code);
/* The running write statement takes its rowids from that loan; NULL: from the own view.  It has changed nothing yet. */
void sdb_transaction_scans(sdb_directory *directory, sdb_loan *loan);
/* What a name was found to stand for need not hold any more. */
void sdb_transaction_forget_appended(sdb_directory *directory);

int sdb_transaction_sync(sdb_directory *directory, sdb_failure *f);
void sdb_transaction_commit(sdb_directory *directory);
int sdb_transaction_rollback(sdb_directory *directory, sdb_failure *f);

int sdb_transaction_savepoint(sdb_directory *directory, int level, sdb_failure *f);
int sdb_transaction_release(sdb_directory *directory, int level, sdb_failure *f);
int sdb_transaction_rollback_to(sdb_directory *directory, int level, sdb_failure *f);

/* The same for a table that was created in this transaction: SQLite does not tell that table (creation.c). */
void sdb_transaction_release_creation(sdb_directory *directory, int level);
int sdb_transaction_undo_creation(sdb_directory *directory, int level, sdb_failure *f);

#endif /* SDB_TRANSACTION_H */
