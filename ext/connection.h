/* SPDX-License-Identifier: MIT
**
** connection.h: what the extension keeps per sqlite3 connection.
*/
#ifndef SDB_CONNECTION_H
#define SDB_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include "sqlite_api.h"

struct sdb_directory;
struct sdb_feed;
struct sdb_loan;
struct sdb_pin;
struct sdb_table;

/* A T of a function, and the directory it was found to mean (find_table.c). */
typedef struct sdb_found {
  char *text;        /* from sqlite3_malloc; NULL: unused */
  unsigned identity; /* of the directory */
  bool qualified;
} sdb_found;

#define SDB_FOUND_COUNT 4

typedef struct sdb_connection {
  sqlite3 *db;
  int refs;                          /* registrations that carry this pointer */
  struct sdb_directory *directories; /* those that are open */
  struct sdb_table *tables;          /* the sqlite3_vtab objects */
  struct sdb_loan *loans;            /* open snapshots, the youngest first */
  struct sdb_pin *pins;              /* not given back yet, of whatever directory */
  sqlite3_int64 pins_given;          /* so far: the number of the last one */
  int cursors;                       /* open cursors of all our virtual tables; at 0 lent snapshots are closed */
  bool rescues;                      /* a function looks for a table that may have to be decided about first */
  int level;           /* SQLite's newest savepoint, -1 = none; followed once a table is created (creation.c) */
  unsigned identities; /* given out so far, see sdb_directory */
  sdb_found found[SDB_FOUND_COUNT];
  unsigned found_next;                                 /* the one to be replaced */
  struct sdb_feed *feed;                               /* a change object in the making (feed_make.c), or NULL ... */
  void (*feed_end)(struct sdb_connection *connection); /* ... and what ends it */
  sqlite3_stmt *sentinel; /* SELECT 1, never stepped: expires when a T may mean something else (find_table.c) */
  sqlite3_stmt *probe;    /* SELECT 1, stepped to see whether the program interrupts (interrupt.c) */
} sdb_connection;

/* With one reference; NULL: out of memory. */
sdb_connection *sdb_connection_new(sqlite3 *db);
sdb_connection *sdb_connection_ref(sdb_connection *connection);
/* A destructor, as SQLite wants it. */
void sdb_connection_unref(void *connection);

typedef struct sdb_function {
  const char *name;
  int arguments, flags;
  void (*function)(sqlite3_context *, int, sqlite3_value **);
} sdb_function;

/* Registers functions; their user data is the connection. */
int sdb_connection_add_functions(sdb_connection *connection, const sdb_function *functions, size_t count);

void sdb_connection_forget_found(sdb_connection *connection);
/* A statement that is kept from one to the next; *kept is NULL then. */
void sdb_connection_finalize(sdb_connection *connection, sqlite3_stmt **kept);
/* Frees what is kept from statement to statement, unless a directory or a cursor is open and may need it. */
void sdb_connection_rest(sdb_connection *connection);

#endif /* SDB_CONNECTION_H */
