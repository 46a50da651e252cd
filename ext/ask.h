/* SPDX-License-Identifier: MIT
**
** ask.h: asks an SQLite file which commit of a directory it has (T2).
*/
#ifndef SDB_ASK_H
#define SDB_ASK_H

#include "connection.h"
#include "row.h"
#include "seqdb.h"

/* What seqdb_open() asks about commits that this SQLite file, or another one, decides.  `context` is one of these. */
typedef struct sdb_asking {
  sdb_connection *connection;
  const char *schema;
  const char *path; /* of the directory */
} sdb_asking;
int sdb_ask(void *context, const seqdb_question *question, uint8_t token[SEQDB_TOKEN_BYTES]);
/* What the row of a directory in the asking connection's own file says now, whatever its snapshot shows.  false: there
** is none, or it cannot be read at once. */
bool sdb_ask_newest(const sdb_asking *asking, const sdb_row_key *key, sdb_row *row);

/* Settles the commits of another SQLite file, through that file, if it can be read at once; else nothing happens.
** `buries`: where one was rolled back an empty commit of that file is made; without it no statement is run in the
** asking connection, which may be closing.  The engine's file (seqdb_set_file()) is to be set again.  SQLITE_INTERRUPT:
** the program has stopped the asking; else SQLITE_OK. */
int sdb_ask_to_settle(const sdb_asking *asking, seqdb *engine, bool buries);

/* Makes what the asking connection's own file has committed durable, through a connection for this alone: a closing one
** may be past running a statement.  SQLITE_BUSY where the file is locked; nobody is waited for. */
int sdb_ask_sync(const sdb_asking *asking, sdb_failure *f);

#endif /* SDB_ASK_H */
