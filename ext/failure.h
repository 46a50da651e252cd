/* SPDX-License-Identifier: MIT
**
** failure.h: an error on its way to SQLite.
*/
#ifndef SDB_FAILURE_H
#define SDB_FAILURE_H

#include <stddef.h>
#include <stdint.h>
#include "seqdb.h"
#include "sqlite_api.h"

#if defined(__GNUC__)
#define SDB_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define SDB_PRINTF(fmt, args)
#endif

/* A result code and one line of text.  Starts as {0}.  The functions that fill it return the code.  One of the
** sdb_failure_to_* functions hands it over and empties it. */
typedef struct sdb_failure {
  int code;      /* SQLite result code, SQLITE_OK while nothing failed */
  char *message; /* from sqlite3_malloc, or NULL: SQLite's text of the code is used */
} sdb_failure;

/* Names of regions in the arguments go through sdb_shown_name(). */
int sdb_failure_set(sdb_failure *f, int code, const char *format, ...) SDB_PRINTF(3, 4);
int sdb_failure_nomem(sdb_failure *f);
/* What a call on `engine` has just returned.  SEQDB_OK is no failure. */
int sdb_failure_engine(sdb_failure *f, seqdb *engine, int rc);
int sdb_failure_record(sdb_failure *f, const seqdb_error *record);
/* From a nested statement that has just failed on `db`. */
int sdb_failure_nested(sdb_failure *f, sqlite3 *db);
/* SQLite takes no value of `wanted_bytes` bytes of that region; its limit is of the connection `db`. */
int sdb_failure_toobig(sdb_failure *f, sqlite3 *db, const char *name, size_t name_bytes, uint64_t wanted_bytes);
void sdb_failure_clear(sdb_failure *f);
/* These two do nothing, and return SQLITE_OK, if nothing failed. */
int sdb_failure_to_vtab(sdb_failure *f, sqlite3_vtab *vtab);
int sdb_failure_to_string(sdb_failure *f, char **text);
void sdb_failure_to_result(sdb_failure *f, sqlite3_context *context);

/* A region name for a message: long ones are cut, control characters replaced.  Returns `out`. */
#define SDB_SHOWN_NAME_MAX 128
const char *sdb_shown_name(const char *name, size_t name_bytes, char out[SDB_SHOWN_NAME_MAX]);

#endif /* SDB_FAILURE_H */
