/* SPDX-License-Identifier: MIT
**
** eponymous.h: tables that exist without CREATE, named like their module; no view or trigger may use them.
*/
#ifndef SDB_EPONYMOUS_H
#define SDB_EPONYMOUS_H

#include <stdbool.h>
#include "connection.h"

typedef struct sdb_eponymous {
  const char *name;
  const char *declaration; /* for sqlite3_declare_vtab() */
  const sqlite3_module *module;
} sdb_eponymous;

/* *eponymous is kept. */
int sdb_eponymous_register(sdb_connection *connection, const sdb_eponymous *eponymous);
/* xConnect and xDisconnect of its module. */
int sdb_eponymous_connect(sqlite3 *db, void *registered, int argc, const char *const *argv, sqlite3_vtab **out,
                          char **error);
int sdb_eponymous_disconnect(sqlite3_vtab *vtab);
/* The connection that an object of such a module belongs to. */
sdb_connection *sdb_eponymous_connection(sqlite3_vtab *vtab);

/* For xBestIndex of a table-valued function with one argument, its hidden column `column`.  *present: it has argument
** 1 of xFilter.  If it is missing xFilter has to tell: an error here would break valid OR queries on 3.40.  If it is
** there but not usable yet, SQLITE_CONSTRAINT asks SQLite for another join order. */
int sdb_eponymous_argument(sqlite3_index_info *info, int column, bool *present);

/* The same for several, the hidden columns first, first + 1, ...: *present has a bit for each, the lowest for the
** first.
** Those that are present are arguments 1, 2, ... of xFilter, in this order; the number of the last one comes back in
** *argument. */
int sdb_eponymous_arguments(sqlite3_index_info *info, int first, int count, int *present, int *argument);

#endif /* SDB_EPONYMOUS_H */
