/* SPDX-License-Identifier: MIT
**
** table.h: sdb_table: one sqlite3_vtab object.  SQLite may hold several of one table, see directory.h.
*/
#ifndef SDB_TABLE_H
#define SDB_TABLE_H

#include <stdbool.h>
#include "config.h"
#include "connection.h"

struct sdb_directory;

typedef struct sdb_table {
  sqlite3_vtab base;
  struct sdb_table *next; /* connection->tables */
  sdb_connection *connection;
  struct sdb_directory *directory; /* NULL: it could not be opened when SQLite connected; see sdb_table_ready() */
  char *schema;
  char *name; /* when this object was made; directory->name is the present one */
  sdb_config config;
  char *unusable; /* why its CREATE says nothing that can be used, or NULL; from sqlite3_malloc */
} sdb_table;

/* A table cannot be named like one of its columns. */
int sdb_table_check_name(const char *name, sdb_failure *f);
/* `argv` as of xCreate: module, schema, table, then the arguments.  `creating` refuses arguments that cannot be used;
** else the table is made nevertheless: SQLite could not even DROP it otherwise. */
int sdb_table_new(sdb_connection *connection, int argc, const char *const *argv, bool creating, sdb_table **table,
                  sdb_failure *f);
void sdb_table_free(sdb_table *table);
/* On and off the connection's list. */
void sdb_table_link(sdb_table *table);
void sdb_table_unlink(sdb_table *table);

#endif /* SDB_TABLE_H */
