/* SPDX-License-Identifier: MIT
**
** eponymous.c: what the tables that exist without CREATE share.
*/
#include "eponymous.h"

/* Client data of the module. */
typedef struct sdb_registered {
  sdb_connection *connection;
  const sdb_eponymous *eponymous;
} sdb_registered;

typedef struct sdb_eponymous_table {
  sqlite3_vtab base;
  sdb_connection *connection;
} sdb_eponymous_table;

static void unregister(void *context) {
  sdb_registered *registered = context;
  sdb_connection_unref(registered->connection);
  sqlite3_free(registered);
}

int sdb_eponymous_register(sdb_connection *connection, const sdb_eponymous *eponymous) {
  sdb_registered *registered = sqlite3_malloc64(sizeof *registered);
  if (!registered) return SQLITE_NOMEM;
  *registered = (sdb_registered){sdb_connection_ref(connection), eponymous};
  return sqlite3_create_module_v2(connection->db, eponymous->name, eponymous->module, registered, unregister);
}

int sdb_eponymous_connect(sqlite3 *db, void *context, int argc, const char *const *argv, sqlite3_vtab **out,
                          char **error) {
  const sdb_registered *registered = context;
  (void)argc;
  (void)argv;
  (void)error;
  sdb_eponymous_table *table = sqlite3_malloc64(sizeof *table);
  if (!table) return SQLITE_NOMEM;
  *table = (sdb_eponymous_table){.connection = registered->connection};
  int rc = sqlite3_declare_vtab(db, registered->eponymous->declaration);
  if (rc == SQLITE_OK) rc = sqlite3_vtab_config(db, SQLITE_VTAB_DIRECTONLY);
  if (rc != SQLITE_OK) {
    sqlite3_free(table);
    return rc;
  }
  *out = &table->base;
  return SQLITE_OK;
}

int sdb_eponymous_disconnect(sqlite3_vtab *vtab) {
  sqlite3_free(vtab);
  return SQLITE_OK;
}

sdb_connection *sdb_eponymous_connection(sqlite3_vtab *vtab) {
  return ((sdb_eponymous_table *)vtab)->connection;
}

/* The term column = ?, -1 if there is none; *usable: it can be used in this plan. */
static int find_equality(const sqlite3_index_info *info, int column, bool *usable) {
  int found = -1;
  *usable = false;
  for (int i = 0; i < info->nConstraint && !*usable; i++) {
    if (info->aConstraint[i].iColumn != column || info->aConstraint[i].op != SQLITE_INDEX_CONSTRAINT_EQ) continue;
    found = i;
    *usable = info->aConstraint[i].usable != 0;
  }
  return found;
}

int sdb_eponymous_arguments(sqlite3_index_info *info, int first, int count, int *present, int *argument) {
  *present = *argument = 0;
  for (int i = 0; i < count; i++) {
    bool usable;
    int found = find_equality(info, first + i, &usable);
    if (found < 0) continue;
    if (!usable) return SQLITE_CONSTRAINT;
    *present |= 1 << i;
    info->aConstraintUsage[found].argvIndex = ++*argument;
    info->aConstraintUsage[found].omit = 1;
  }
  return SQLITE_OK;
}

int sdb_eponymous_argument(sqlite3_index_info *info, int column, bool *present) {
  int bits, argument;
  int rc = sdb_eponymous_arguments(info, column, 1, &bits, &argument);
  *present = bits != 0;
  if (rc == SQLITE_OK && !*present) info->estimatedCost = 1e99;
  return rc;
}
