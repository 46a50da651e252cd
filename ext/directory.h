/* SPDX-License-Identifier: MIT
**
** directory.h: sdb_directory: a directory as this connection has it open.
**
** The engine handle and the transaction belong to it and not to the sqlite3_vtab: ROLLBACK TO after DDL, and any
** ALTER TABLE in a transaction, make SQLite hold two or three objects of one table at once, and it calls the
** transaction methods of each.  All of them find the same sdb_directory.
*/
#ifndef SDB_DIRECTORY_H
#define SDB_DIRECTORY_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include "config.h"
#include "connection.h"
#include "failure.h"
#include "matched.h"
#include "seqdb.h"

/* A publisher is waited for, whatever the busy timeout: it has only to get on. */
#define SDB_PUBLISHING_MS 2000

struct sdb_loan;

/* The life of a transaction; transaction.c alone changes it.
**
**   NONE     -> ENLISTED   xBegin, xCreate
**   ENLISTED -> SYNCED     xSync
**   SYNCED   -> ENLISTED   another change; ROLLBACK TO
**   ENLISTED -> MIXED      an overwrite fails halfway
**   MIXED    -> ENLISTED   ROLLBACK TO a savepoint from before that
**   any      -> NONE       xCommit, xRollback, DROP, undoing the CREATE
*/
enum sdb_transaction_state {
  SDB_TRANSACTION_NONE,
  SDB_TRANSACTION_ENLISTED, /* SQLite will call xSync and xCommit or xRollback */
  SDB_TRANSACTION_SYNCED,   /* a prepare covers everything done so far */
  SDB_TRANSACTION_MIXED     /* bytes that it wrote before are mixed with newer ones: it cannot be committed */
};

#define SDB_NOT_CREATED INT_MIN

/* Longest name that is remembered in `appended`. */
#define SDB_APPENDED_NAME_MAX 128

/* Levels are SQLite's numbers of savepoints; -1 stands for the begin. */
typedef struct sdb_transaction {
  enum sdb_transaction_state state;
  int level;         /* the newest savepoint that SQLite told */
  int created_level; /* the newest savepoint when it created the table, SDB_NOT_CREATED if it did not; see creation.c */
  int mixed_level;   /* MIXED: the newest savepoint when that happened ... */
  int mixed_code;    /* ... and what the overwrite failed with */
  bool touched;      /* it is to be a commit though nothing has changed, since ... */
  int touched_level; /* ... the newest savepoint was this one */
  bool looked;       /* feed_watch.c has looked at the schema, when ... */
  int looked_level;  /* ... the newest savepoint was this one ... */
  bool looked_right; /* ... and it was as the notes have it, ... */
  int looked_schema; /* ... with this schema_version */
  bool applies;      /* it has parts of a change object (feed_apply.c) */
  unsigned ends;     /* transactions that have ended */
  bool admitted;     /* it has changes, and was allowed to make them: while they are there nothing takes that back */
  uint32_t durability;     /* of its commit, asked in xSync; 0: none with the SQLite file */
  bool row_written;        /* an xSync of this transaction has changed the row in the shadow table ... */
  uint64_t row_generation; /* ... which said this before */
  uint8_t row_token[SEQDB_TOKEN_BYTES];
  struct sdb_loan *scanned; /* what the running write statement took its rowids from, or NULL: the own view */
  sdb_matched matched;      /* what the running UPDATE ... FROM has changed */
  struct {                  /* what it appended to last; bytes = 0: unknown (change.c) */
    seqdb_region region;
    size_t bytes;
    char name[SDB_APPENDED_NAME_MAX];
  } appended;
} sdb_transaction;

/* Whom a directory belongs to, as far as this connection's SQLite file is concerned; owner.c alone changes it. */
enum sdb_owner_state {
  SDB_OWNER_UNKNOWN,
  SDB_OWNER_NOBODY, /* atomic=0, or no SQLite file: no commit is one with it */
  SDB_OWNER_THIS,   /* the file has a claim, and a row in the table's shadow table */
};

typedef struct sdb_owner {
  enum sdb_owner_state state;
  uint64_t claims_version; /* of the claims that the state comes from */
  uint8_t file[SEQDB_FILE_UUID_BYTES];
  char *shadow; /* THIS: name of the shadow table with the row, from sqlite3_malloc ... */
  sqlite3_int64 rowid;
  char *twin; /* another table whose row has the uuid, on another directory: one is a copy of the other; or NULL */
  bool moved; /* the file lies elsewhere than its claim says */
  bool made;  /* the row was made in this transaction: a rollback may take it back */
} sdb_owner;

/* What is known of the schema that rows are noted by (feed_watch.c). */
typedef struct sdb_watch {
  sqlite3_stmt *version; /* PRAGMA schema_version, kept; NULL: not asked yet */
  bool hidden;           /* an authorizer forbids that: it is SELECT 1 */
  bool known;            /* a commit of this connection had the schema as the notes have it, with ... */
  int schema;            /* ... this schema_version */
} sdb_watch;

typedef struct sdb_directory {
  struct sdb_directory *next; /* connection->directories */
  sdb_connection *connection;
  seqdb *engine;
  char *path;  /* absolute */
  bool atomic; /* its commits are those of the SQLite file, if there is one */
  sdb_owner owner;
  bool blind;    /* an SQLite file that decides about its last commits cannot be asked: nobody reads it */
  bool doubt;    /* the last COMMIT failed after xSync: only a later one proves anything */
  bool compared; /* it is of the same time as the SQLite file */
  char *schema;  /* of its table, as it is called now; a directory that lost its table has "" as name */
  char *name;
  int users;               /* sqlite3_vtab objects, and functions at work; the last one closes it (attach.c) */
  int cursors;             /* open ones */
  int blobs;               /* open handles of seqdb_blob.h */
  unsigned identity;       /* of directory and name: another one of the connection's whenever the name changes */
  struct sdb_loan *newest; /* its youngest loan, or NULL */
  sdb_transaction transaction;
  sdb_watch watch;
} sdb_directory;

/* Opens the directory for table schema.name; it has one user.  `create` allows to make it on disk. */
int sdb_directory_open(sdb_connection *connection, const char *schema, const sdb_config *config, bool create,
                       sdb_directory **directory, sdb_failure *f);
void sdb_directory_close(sdb_directory *directory);
/* seqdb_open() as a connection does it: the program may interrupt it, and does so of the handle's work; the busy
** timeout counts while another thread opens or closes the directory. */
int sdb_directory_open_engine(sdb_connection *connection, const char *schema, const char *path,
                              const seqdb_options *options, seqdb_error *error, seqdb **engine);

int sdb_directory_set_name(sdb_directory *directory, const char *schema, const char *name, sdb_failure *f);
/* Another directory has the name now, or none has: this one is kept by statements that SQLite has not prepared anew
** yet. */
void sdb_directory_lose_name(sdb_directory *directory);
bool sdb_directory_has_name(const sdb_directory *directory, const char *schema, const char *name);
/* NULL: there is none. */
sdb_directory *sdb_directory_by_name(sdb_connection *connection, const char *schema, const char *name);
sdb_directory *sdb_directory_by_identity(sdb_connection *connection, unsigned identity);
/* *directory is NULL if there is none. */
int sdb_directory_by_path(sdb_connection *connection, const char *path, sdb_directory **directory, sdb_failure *f);

/* PRAGMA busy_timeout. */
uint32_t sdb_directory_busy_timeout_ms(sqlite3 *db);
/* Calls the engine.  If another handle holds the writer lock it calls again, with the patience of PRAGMA busy_timeout;
** with more of it where only a publisher can hold the lock.  Returns what the engine returned. */
int sdb_directory_patiently(sdb_directory *directory, int (*call)(seqdb *engine, void *context), void *context);

#endif /* SDB_DIRECTORY_H */
