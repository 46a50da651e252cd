/* SPDX-License-Identifier: MIT
**
** moment.h: an SQLite file and its directories as of one commit, while others write on.
**
**   sdb_moment_open       two connections of its own to the file
**   sdb_moment_take       SQLite's write lock in one; a read transaction in the other, which sees the newest commit
**   sdb_moment_agree      for each directory: what its row says is published; then the caller pins its commit
**   sdb_moment_let_go     others go on; the other connection reads on as of that moment
*/
#ifndef SDB_MOMENT_H
#define SDB_MOMENT_H

#include "directory.h"
#include "row.h"

typedef struct sdb_moment {
  sdb_connection *connection;
  const char *schema, *file, *work; /* the caller's; `work` names it in messages */
  sqlite3 *lock, *read;
} sdb_moment;

/* SQLITE_ERROR: the file is none that can be read as of one moment while others write. */
int sdb_moment_open(sdb_moment *moment, sdb_failure *f);
int sdb_moment_take(sdb_moment *moment, sdb_failure *f);
int sdb_moment_agree(sdb_moment *moment, sdb_directory *directory, const sdb_row *row, sdb_failure *f);
void sdb_moment_let_go(sdb_moment *moment);
void sdb_moment_close(sdb_moment *moment);

#endif /* SDB_MOMENT_H */
