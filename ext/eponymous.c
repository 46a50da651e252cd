/* SPDX-License-Identifier: MIT
**
** eponymous.c: what the tables that exist without CREATE share: an object that knows the connection.
*/
#include "ext.h"

int sdb_eponymous_connect(sqlite3 *db, void *client, const char *declaration, bool direct_only, sqlite3_vtab **out) {
  sdb_eponymous *table = sqlite3_malloc64(sizeof *table);
  if (!table) return SQLITE_NOMEM;
  *table = (sdb_eponymous){.client = client};
  int rc = sqlite3_declare_vtab(db, declaration);
  if (rc == SQLITE_OK && direct_only) rc = sqlite3_vtab_config(db, SQLITE_VTAB_DIRECTONLY);
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
