/* SPDX-License-Identifier: MIT
**
** ext.h: what the files of the extension share.
**
**   module registration          entry.c
**   state                        connection.c (client, connection), pin.c (snapshots), interrupt.c
**   virtual table `seqdb`        arguments.c path.c table.c plan.c rows.c cursor.c update.c change.c transaction.c
**   SQL functions                resolve.c functions.c functions_write.c
**   table-valued functions       tvf_regions.c tvf_layout.c
**   failures                     errors.c
**
** OWNERSHIP.  One sdb_client per sqlite3 connection, kept alive by every registration that carries it.  One sdb_conn
** per (sqlite3 connection, directory): it owns the engine handle, and with it the transaction.  Any number of
** sqlite3_vtab objects share it: SQLite makes a new one of the same table after DDL in the middle of a transaction.
** THREADS.  Everything hangs on one sqlite3 connection and runs under its mutex; there is no global state.
** The extension uses the engine through seqdb.h only.
*/
#ifndef SDB_EXT_H
#define SDB_EXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sqlite3ext.h>
#include "seqdb.h"

SQLITE_EXTENSION_INIT3

#if defined(__GNUC__)
#define SDB_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define SDB_PRINTF(fmt, args)
#endif

/* ---- failures (errors.c) ----------------------------------------------------------------------------------- */

/* An error on its way to SQLite: a result code and one line of text.  Starts as {0}; the functions that fill it
** return the code; one of the sdb_failure_to_* functions hands it over and empties it. */
typedef struct sdb_failure {
  int code;      /* SQLite result code, SQLITE_OK while nothing failed */
  char *message; /* from sqlite3_malloc, or NULL: SQLite's text of the code is used */
} sdb_failure;

/* Names of regions in the arguments go through sdb_shown_name(). */
int sdb_failure_set(sdb_failure *f, int code, const char *format, ...) SDB_PRINTF(3, 4);
int sdb_failure_nomem(sdb_failure *f);
/* From the engine: `rc` is what a call on `engine` just returned. */
int sdb_failure_engine(sdb_failure *f, seqdb *engine, int rc);
int sdb_failure_record(sdb_failure *f, const seqdb_error *record);
/* From a nested statement that just failed on `db`. */
int sdb_failure_nested(sdb_failure *f, sqlite3 *db);
void sdb_failure_clear(sdb_failure *f);
int sdb_failure_to_vtab(sdb_failure *f, sqlite3_vtab *vtab);
int sdb_failure_to_string(sdb_failure *f, char **text);
void sdb_failure_to_result(sdb_failure *f, sqlite3_context *context);
/* A region name for a message: long ones are cut.  Returns `out`. */
#define SDB_SHOWN_NAME_MAX 128
const char *sdb_shown_name(const char *name, size_t name_bytes, char out[SDB_SHOWN_NAME_MAX]);

/* ---- state per sqlite3 connection (connection.c) ----------------------------------------------------------- */

typedef struct sdb_client sdb_client;
typedef struct sdb_conn sdb_conn;
typedef struct sdb_pin sdb_pin;
typedef struct sdb_table sdb_table;

#define SDB_RESOLVED 4 /* entries of sdb_client.resolved */

struct sdb_client {
  sqlite3 *db;
  int refs;            /* registrations that carry this pointer */
  sdb_conn *conns;     /* list; those with vtabs > 0 */
  sdb_table *tables;   /* list of the sqlite3_vtab objects */
  sdb_pin *pins;       /* list of open snapshots */
  int open_cursors;    /* of all our virtual tables; at 0 lent pins are closed */
  int level;           /* SQLite's newest savepoint, -1 = none; followed once a table is created (creation.c) */
  sqlite3_stmt *probe; /* SELECT 1, for sdb_client_interrupted() */
  struct {             /* the last T of functions and what they meant (resolve.c) */
    char *text;        /* from sqlite3_malloc; NULL: unused */
    sdb_conn *conn;
    unsigned identity;
    bool qualified;
  } resolved[SDB_RESOLVED];
  unsigned resolved_next;
  sqlite3_stmt *sentinel; /* SELECT 1, never stepped: expires when T may mean something else */
};

/* Longest name in sdb_conn.appended. */
#define SDB_APPENDED_NAME_MAX 128

struct sdb_conn {
  sdb_conn *next;
  sdb_client *client;
  seqdb *engine; /* NULL once the last vtab object is gone */
  char *schema;  /* of the table, as it is called now */
  char *name;
  int refs;          /* vtab objects and cached function targets */
  int vtabs;         /* sqlite3_vtab objects, and functions at work */
  int cursors;       /* open cursors of those */
  unsigned identity; /* changes when the name does and when the last vtab object goes */
  unsigned epoch;    /* counts ends of transactions */
  bool enlisted;     /* between xBegin (or xCreate) and xCommit or xRollback */
  bool synced;       /* a prepare covers everything done so far */
  bool made;         /* the running transaction has created the table ... */
  int made_level;    /* ... within this savepoint, -1 = none; see creation.c */
  int mark_level;    /* SQLite's newest mark, -1 = none */
  int torn;          /* code of a failed overwrite that left bytes of this transaction mixed, 0 = none ... */
  int torn_level;    /* ... and the mark before it */
  bool atomic;       /* option atomic */
  sdb_pin *newest;   /* the youngest pin of this conn, or NULL */
  sdb_pin *scanned;  /* what the running write statement took its rowids from, or NULL: the own view */
  struct {           /* what this transaction appended to last; bytes = 0: unknown (change.c) */
    seqdb_region region;
    size_t bytes;
    char name[SDB_APPENDED_NAME_MAX];
  } appended;
};

sdb_client *sdb_client_new(sqlite3 *db);
sdb_client *sdb_client_ref(sdb_client *client);
void sdb_client_unref(void *client);

typedef struct sdb_config {
  char *directory; /* as given, then absolute; from sqlite3_malloc */
  bool path_given;
  bool atomic;
  bool readonly;
  unsigned flags; /* SEQDB_OPEN_* */
  uint64_t min_size_bytes;
} sdb_config;

/* The conn of that directory for table schema.name, opened if this connection has none.  `create` allows to make the
** directory.  A directory that another table of the connection uses is an error.  Adds a vtab to the conn. */
int sdb_conn_attach(sdb_client *client, const char *schema, const char *name, const sdb_config *config, bool create,
                    sdb_conn **conn, sdb_failure *f);
/* Takes a vtab off; the last one closes the engine handle. */
void sdb_conn_detach(sdb_conn *conn);
/* While a function works on it: whatever SQL it runs, the engine handle stays open.  sdb_conn_detach() ends it. */
void sdb_conn_hold(sdb_conn *conn);
/* After commit or rollback. */
void sdb_conn_end_transaction(sdb_conn *conn);
sdb_conn *sdb_conn_ref(sdb_conn *conn);
void sdb_conn_unref(sdb_conn *conn);
int sdb_conn_set_name(sdb_conn *conn, const char *schema, const char *name);
void sdb_conn_lose_name(sdb_conn *conn);
sdb_conn *sdb_conn_by_name(sdb_client *client, const char *schema, const char *name);
/* Calls the engine; if another handle holds the writer lock, once more with the patience of PRAGMA busy_timeout.
** Returns what the engine returned. */
int sdb_conn_patiently(sdb_conn *conn, int (*call)(seqdb *engine, void *context), void *context);
/* Is there a table (not a view) of that name in the schema, as this connection sees it now? */
bool sdb_client_has_table(sdb_client *client, const char *schema, const char *name);
/* Let SQLite connect that table.  *ours: it is there, and one of this module.  A name without a table is SQLITE_ERROR. */
int sdb_client_connect(sdb_client *client, const char *schema, const char *name, bool *ours, sdb_failure *f);

void sdb_client_finalize(sdb_client *client, sqlite3_stmt *statement);
/* Finalizes the kept statements unless a table or a cursor may still need them. */
void sdb_client_drop_statements(sdb_client *client);

/* interrupt.c: the engine's interrupt callback; `client` is a sdb_client. */
int sdb_client_interrupted(void *client);

/* ---- snapshots (pin.c) ------------------------------------------------------------------------------------- */

struct sdb_pin {
  sdb_pin *next;
  seqdb_snapshot *snapshot;
  sdb_conn *owner; /* NULL for a directory without a table */
  int users;       /* cursors that read from it */
  bool lent;       /* SQLite was given pointers into it: closed only with the client's last cursor */
};

int sdb_pin_get(sdb_client *client, sdb_conn *owner, seqdb *engine, sdb_pin **pin, sdb_failure *f);
void sdb_pin_put(sdb_client *client, sdb_pin *pin);
void sdb_pins_drop_owner(sdb_client *client, const sdb_conn *owner);
void sdb_cursor_opened(sdb_client *client);
void sdb_cursor_closed(sdb_client *client);

/* ---- rows (plan.c, rows.c) --------------------------------------------------------------------------------- */

/* Columns of the table; the first four are also those of seqdb_regions(). */
enum sdb_column {
  SDB_COLUMN_NAME,
  SDB_COLUMN_OFFSET,
  SDB_COLUMN_LENGTH,
  SDB_COLUMN_CONTENT,
  SDB_COLUMN_RESERVED,
  SDB_COLUMN_APPEND,
  SDB_COLUMN_SELF, /* hidden, named like the table */
  SDB_COLUMN_COUNT
};

/* Bits of idxNum; plan.c describes them. */
#define SDB_PLAN_NAME       0x01
#define SDB_PLAN_ROWID      0x02
#define SDB_PLAN_IN         0x04
#define SDB_PLAN_LOWER      0x08
#define SDB_PLAN_UPPER      0x10
#define SDB_PLAN_DESCENDING 0x20

/* Chooses the plan.  `first_arg` arguments of xFilter are taken already.  `regions` is an estimate. */
int sdb_plan(sqlite3_index_info *info, int first_arg, uint64_t regions);

typedef struct sdb_listed {
  uint64_t index;
  seqdb_region region;
} sdb_listed;

#define SDB_ROWS_AHEAD 16

typedef struct sdb_rows {
  sdb_client *client;
  sdb_conn *conn; /* NULL: never an own view */
  seqdb *engine;
  sdb_pin *pin;   /* what the cursor reads; taken when it opens, never renewed */
  sdb_pin *base;  /* own view only: the commit under it, for reading without a copy */
  bool own_view;  /* the transaction had changes at xFilter */
  unsigned epoch; /* conn->epoch at xFilter */
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

int sdb_rows_open(sdb_rows *rows, sdb_client *client, sdb_conn *conn, seqdb *engine, sdb_failure *f);
void sdb_rows_close(sdb_rows *rows);
int sdb_rows_filter(sdb_rows *rows, int plan, int argc, sqlite3_value **argv, sdb_failure *f);
int sdb_rows_next(sdb_rows *rows, sdb_failure *f);
int sdb_rows_column(sdb_rows *rows, sqlite3_context *context, int column, sdb_failure *f);
int sdb_rows_content(sdb_rows *rows, sqlite3_context *context, sdb_failure *f);

/* ---- the virtual table ------------------------------------------------------------------------------------- */

struct sdb_table {
  sqlite3_vtab base;
  sdb_table *next; /* client->tables */
  sdb_client *client;
  sdb_conn *conn; /* NULL: the directory could not be opened when SQLite connected; see sdb_table_ready() */
  char *schema;
  char *name; /* when this object was made; conn->name is the present one */
  sdb_config config;
};

/* Opens the directory unless it is open.  Called first wherever a statement begins to use the table. */
int sdb_table_ready(sdb_table *table, sdb_failure *f);

typedef struct sdb_cursor {
  sqlite3_vtab_cursor base;
  sdb_rows rows;
} sdb_cursor;

/* arguments.c: argv[3..] of xCreate and xConnect. */
int sdb_config_parse(sdb_config *config, int argc, const char *const *argv, sdb_failure *f);
void sdb_config_clear(sdb_config *config);

/* path.c */
int sdb_path_resolve(sqlite3 *db, const char *schema, const char *table, const char *given, char **absolute,
                     sdb_failure *f);
int sdb_path_check_trusted(sqlite3 *db, const char *schema, const char *absolute, sdb_failure *f);

/* eponymous.c: tables that exist without CREATE.  `direct_only`: no view or trigger may use it. */
typedef struct sdb_eponymous {
  sqlite3_vtab base;
  sdb_client *client;
} sdb_eponymous;
int sdb_eponymous_connect(sqlite3 *db, void *client, const char *declaration, bool direct_only, sqlite3_vtab **out);
int sdb_eponymous_disconnect(sqlite3_vtab *vtab);

/* creation.c: be told, from now on, when the savepoints are undone that are open now; sets client->level. */
int sdb_creation_watch(sdb_client *client, sdb_failure *f);

/* plan.c, cursor.c, update.c, transaction.c: methods of the module in table.c */
int sdb_table_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info);
int sdb_cursor_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **cursor);
int sdb_cursor_close(sqlite3_vtab_cursor *cursor);
int sdb_cursor_filter(sqlite3_vtab_cursor *cursor, int plan, const char *text, int argc, sqlite3_value **argv);
int sdb_cursor_next(sqlite3_vtab_cursor *cursor);
int sdb_cursor_eof(sqlite3_vtab_cursor *cursor);
int sdb_cursor_column(sqlite3_vtab_cursor *cursor, sqlite3_context *context, int column);
int sdb_cursor_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *rowid);
int sdb_table_update(sqlite3_vtab *vtab, int argc, sqlite3_value **argv, sqlite3_int64 *rowid);
int sdb_table_begin(sqlite3_vtab *vtab);
int sdb_table_sync(sqlite3_vtab *vtab);
int sdb_table_commit(sqlite3_vtab *vtab);
int sdb_table_rollback(sqlite3_vtab *vtab);
int sdb_table_savepoint(sqlite3_vtab *vtab, int level);
int sdb_table_release(sqlite3_vtab *vtab, int level);
int sdb_table_rollback_to(sqlite3_vtab *vtab, int level);

/* ---- changes (change.c) ------------------------------------------------------------------------------------ */

enum sdb_change_kind {
  SDB_CHANGE_APPEND = 1,     /* name, data -> offset */
  SDB_CHANGE_WRITE,          /* name, number = offset, data -> bytes */
  SDB_CHANGE_TRUNCATE,       /* name, number = length -> length */
  SDB_CHANGE_TRUNCATE_WRITE, /* name, number = offset, data -> length */
  SDB_CHANGE_RESERVE,        /* name, number = bytes -> reserved */
  SDB_CHANGE_INSERT,         /* name, and data or number = length */
  SDB_CHANGE_UPDATE,         /* region, and any of name, data, number = length */
  SDB_CHANGE_DELETE          /* region */
};

/* One change of one region, wherever it came from.  Data and name belong to the caller. */
typedef struct sdb_change {
  int kind;
  bool replace;  /* INSERT, UPDATE: a region that has the name gives way */
  bool conflict; /* out: INSERT, UPDATE failed on such a region */
  bool tears;    /* out: WRITE, TRUNCATE_WRITE go over bytes this transaction wrote */
  bool has_name, has_data, has_number;
  seqdb_region region;
  const char *name;
  size_t name_bytes;
  const void *data;
  size_t data_bytes;
  uint64_t number;
  uint64_t result;
} sdb_change;

/* After a rollback a name may stand for another region. */
void sdb_change_forget(sdb_conn *conn);
/* Do it, all or nothing.  The conn must be enlisted. */
int sdb_change_run(sdb_conn *conn, sdb_change *change, sdb_failure *f);
/* Type under which a pointer to a sdb_change travels through the hidden column. */
#define SDB_CHANGE_POINTER "seqdb-change"

/* ---- functions --------------------------------------------------------------------------------------------- */

/* How a function changes a table that is not enlisted; kept for the calling statement while its first argument is
** constant. */
typedef struct sdb_target {
  sdb_conn *conn;
  unsigned identity;
  sqlite3_stmt *insert; /* INSERT INTO T(T) VALUES(?1), or NULL */
} sdb_target;

/* resolve.c: 'name' or 'schema.name', names quoted or not, to the conn; connects the table if need be.  The conn is held: the
** caller ends that with sdb_conn_detach(). */
int sdb_resolve(sdb_client *client, sqlite3_value *table, sdb_conn **conn, sdb_failure *f);
void sdb_resolved_forget(sdb_client *client);
int sdb_target_get(sqlite3_context *context, sdb_conn *conn, sdb_target **target, sdb_failure *f);
void sdb_target_keep(sqlite3_context *context, sdb_target *target);

/* functions.c: upkeep, for functions and for commands. */
int sdb_conn_flush(sdb_conn *conn, uint64_t *generation, sdb_failure *f);
int sdb_conn_checkpoint(sdb_conn *conn, sdb_failure *f);
int sdb_conn_compact(sdb_conn *conn, uint64_t *freed_bytes, sdb_failure *f);
/* All problems, one a line, or only the first; *text is NULL if there is none. */
int sdb_conn_check(sdb_conn *conn, bool only_first, char **text, sdb_failure *f);
/* Arguments; `function` is for messages. */
int sdb_argument_name(const char *function, sqlite3_value *value, const char **name, size_t *bytes, sdb_failure *f);
int sdb_argument_data(const char *function, sqlite3_value *value, const void **data, size_t *bytes, sdb_failure *f);
int sdb_argument_number(const char *function, const char *what, sqlite3_value *value, uint64_t *number, sdb_failure *f);

/* ---- registration ------------------------------------------------------------------------------------------ */

int sdb_register_table(sdb_client *client);
int sdb_register_creation(sdb_client *client);
int sdb_register_functions(sdb_client *client);
int sdb_register_functions_write(sdb_client *client);
int sdb_register_regions(sdb_client *client);
int sdb_register_layout(sdb_client *client);
int sdb_register_version(sdb_client *client);

#endif /* SDB_EXT_H */
