/* SPDX-License-Identifier: MIT
**
** attach.c: which directory an object works on, and how long that stays open.
**
** Two different tables on one directory would share a transaction and roll each other back, so the second is refused.
** A table is the same one if it has the directory's name; or if no table of this directory is alive, neither under
** that name nor under one that an object of it had.  (It was renamed, a rename was rolled back, or another connection
** did either.)
**
** A directory dies with its last user: the engine handle is closed at once.
*/
#include "agree.h"
#include "attach.h"
#include "loan.h"
#include "path.h"
#include "schema.h"
#include "transaction.h"

void sdb_directory_hold(sdb_directory *directory) {
  directory->users++;
}

void sdb_directory_release(sdb_directory *directory) {
  sdb_connection *connection = directory->connection;
  if (--directory->users > 0) return;
  sdb_transaction_scans(directory, NULL);
  sdb_loans_close(directory);
  sdb_agree_close(directory);
  sdb_directory_close(directory);
  sdb_connection_rest(connection);
}

/* ---- is it another table's? -------------------------------------------------------------------------------- */

/* Is there still a table of that name on this directory?  SQLite connects it if it has not, and then it takes its
** name from any directory that had it before. */
static int is_alive(sdb_directory *directory, const char *schema, const char *name, bool *alive, sdb_failure *f) {
  *alive = false;
  int rc = sdb_schema_connect(directory->connection, schema, name, alive, f);
  if (rc == SQLITE_AUTH) *alive = true; /* the program's authorizer hides it */
  if (rc == SQLITE_ERROR || rc == SQLITE_LOCKED || rc == SQLITE_AUTH) sdb_failure_clear(f);
  if (sdb_directory_by_name(directory->connection, schema, name) != directory) *alive = false;
  return f->code;
}

/* The name that the directory has (number 0), or that its object number 1, 2, ... had.  False: there are no more. */
static bool name_number(sdb_directory *directory, unsigned number, const char **schema, const char **name) {
  if (number == 0) {
    *schema = directory->schema;
    *name = directory->name;
    return true;
  }
  for (sdb_table *table = directory->connection->tables; table; table = table->next) {
    if (table->directory != directory || --number > 0) continue;
    *schema = table->schema;
    *name = table->name;
    return true;
  }
  return false;
}

/* "schema.name", from sqlite3_malloc, if that table is alive on the directory; else NULL. */
static char *if_alive(sdb_directory *directory, const char *schema, const char *name, sdb_failure *f) {
  char *schema_copy = sqlite3_mprintf("%s", schema); /* connecting a table may free what was given */
  char *name_copy = sqlite3_mprintf("%s", name);
  char *found = NULL;
  bool alive = false;
  if (!schema_copy || !name_copy) {
    sdb_failure_nomem(f);
  } else if (is_alive(directory, schema_copy, name_copy, &alive, f) == SQLITE_OK && alive) {
    found = sqlite3_mprintf("%s.%s", schema_copy, name_copy);
    if (!found) sdb_failure_nomem(f);
  }
  sqlite3_free(schema_copy);
  sqlite3_free(name_copy);
  return found;
}

/* The first name but schema.name under which a table of the directory is alive, from sqlite3_malloc.  NULL: there is
** none, or *f is set.  Connecting tables changes the lists, so each round looks at them anew. */
static char *other_table(sdb_directory *directory, const char *schema, const char *name, sdb_failure *f) {
  const char *its_schema, *its_name;
  char *found = NULL;
  for (unsigned i = 0; !found && f->code == SQLITE_OK && name_number(directory, i, &its_schema, &its_name); i++) {
    if (sqlite3_stricmp(its_schema, schema) == 0 && sqlite3_stricmp(its_name, name) == 0) continue;
    found = if_alive(directory, its_schema, its_name, f);
  }
  return found;
}

/* The directory is open already: the table may use it if no other table does. */
static int take_over(sdb_directory *directory, const sdb_table *table, bool create, sdb_failure *f) {
  if (!create && sdb_directory_has_name(directory, table->schema, table->name)) return SQLITE_OK;
  char *other = other_table(directory, table->schema, table->name, f);
  if (other) {
    sdb_failure_set(f, SQLITE_ERROR, "seqdb table %s.%s: its directory belongs to table %s of this connection",
                    table->schema, table->name, other);
    sqlite3_free(other);
    return f->code;
  }
  if (f->code != SQLITE_OK) return f->code;
  if (create && seqdb_has_changes(directory->engine)) {
    return sdb_failure_set(f, SQLITE_LOCKED,
                           "seqdb table %s.%s: its directory has uncommitted changes of another table", table->schema,
                           table->name);
  }
  return sdb_directory_set_name(directory, table->schema, table->name, f);
}

/* ---- attach ------------------------------------------------------------------------------------------------ */

int sdb_table_attach(sdb_table *table, bool create, sdb_failure *f) {
  sdb_connection *connection = table->connection;
  sdb_directory *directory = NULL;
  if (sdb_directory_by_path(connection, table->config.path, &directory, f) != SQLITE_OK) return f->code;
  if (directory) {
    sdb_directory_hold(directory); /* its last object may go meanwhile: then this one is all it has */
    take_over(directory, table, create, f);
  } else if (sdb_directory_open(connection, table->schema, &table->config, create, &directory, f) == SQLITE_OK) {
    sdb_directory_set_name(directory, table->schema, table->name, f);
  } else {
    return f->code;
  }
  if (f->code != SQLITE_OK) {
    sdb_directory_release(directory);
    return f->code;
  }
  for (sdb_directory *other = connection->directories; other; other = other->next) {
    if (other != directory && sdb_directory_has_name(other, table->schema, table->name)) sdb_directory_lose_name(other);
  }
  table->directory = directory;
  sdb_transaction_forget_look(directory);
  return SQLITE_OK;
}

int sdb_table_ready(sdb_table *table, sdb_failure *f) {
  if (table->directory) return SQLITE_OK;
  if (table->unusable) return sdb_failure_set(f, SQLITE_ERROR, "%s", table->unusable);
  if (sdb_path_check_trusted(table->connection->db, table->schema, table->config.path, f) != SQLITE_OK) return f->code;
  return sdb_table_attach(table, false, f);
}

void sdb_table_detach(sdb_table *table) {
  if (!table->directory) return;
  sdb_directory_release(table->directory);
  table->directory = NULL;
}
