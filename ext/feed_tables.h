/* SPDX-License-Identifier: MIT
**
** feed_tables.h: ordinary tables whose rows travel with the regions: what is known of one, on either side.
*/
#ifndef SDB_FEED_TABLES_H
#define SDB_FEED_TABLES_H

#include <stdbool.h>
#include <stdint.h>
#include "failure.h"

#define SDB_KEYS_MAX 8 /* columns of a key: <T>_log has so many */

/* All texts are from sqlite3_malloc. */
typedef struct sdb_feed_table {
  char *name;
  char *schema;        /* its CREATE TABLE and CREATE INDEX statements, one after the other */
  uint64_t schema_sum; /* of that text */
  char *columns;       /* those that are stored, as a list of SQL; the rowid before them if that is the key */
  int column_count;
  char *key[SDB_KEYS_MAX]; /* columns of the key, as SQL */
  int key_count;
  bool by_rowid;      /* the key is a rowid that VACUUM may change */
  const char *rowid;  /* how to call the rowid; NULL: it has none, or one of its columns is that */
  uint64_t since;     /* upstream: the generation from which on its changes are noted */
  sqlite3_int64 sign; /* upstream: of its schema and its triggers, when they were made */
} sdb_feed_table;

/* Fills what the database says of it; `name` is the caller's.  A table that cannot travel is an error. */
int sdb_feed_table_describe(sqlite3 *db, const char *schema, const char *name, sdb_feed_table *table, sdb_failure *f);
void sdb_feed_table_free(sdb_feed_table *table);
/* A statement: sql, is it ours?, name, of its triggers <t>_log_<name>_<n>, and of others that were made later. */
sqlite3_stmt *sdb_feed_table_triggers(sqlite3 *db, const char *schema, const char *t, const char *name, sdb_failure *f);
/* Of its schema, of its triggers <t>_log_<name>_<n>, and of others that were made later, as they are now. */
int sdb_feed_table_sign(sqlite3 *db, const char *schema, const char *t, const sdb_feed_table *table,
                        sqlite3_int64 *sign, sdb_failure *f);
/* *same: it has the sign that it is listed with, whatever its key is; fills its schema, and needs name and sign.  A
** table that is gone has another one. */
int sdb_feed_table_is_signed(sqlite3 *db, const char *schema, const char *t, sdb_feed_table *table, bool *same,
                             sdb_failure *f);
/* "prefix.key1 = suffix.k1 AND ..." or with `join` of your own: see the callers.  From sqlite3_malloc. */
char *sdb_feed_table_keys(const sdb_feed_table *table, const char *format, const char *between);

/* Those that <t>_logged lists, described; *list is from sqlite3_malloc.  No such table: none. */
int sdb_feed_tables_list(sqlite3 *db, const char *schema, const char *t, sdb_feed_table **list, size_t *count,
                         sdb_failure *f);
void sdb_feed_tables_free(sdb_feed_table *list, size_t count);
/* A statement that gives name, since and sign of each; NULL: there is no such table, or *f is set. */
sqlite3_stmt *sdb_feed_tables_logged(sqlite3 *db, const char *schema, const char *t, sdb_failure *f);
/* Does <t>_logged have any? */
int sdb_feed_tables_any(sqlite3 *db, const char *schema, const char *t, bool *any, sdb_failure *f);

/* A statement whose text is from sqlite3_mprintf, and is freed; NULL: *f is set. */
sqlite3_stmt *sdb_feed_prepare(sqlite3 *db, char *sql, sdb_failure *f);
/* Runs and frees such a text. */
int sdb_feed_run(sqlite3 *db, char *sql, sdb_failure *f);

#endif /* SDB_FEED_TABLES_H */
