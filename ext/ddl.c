/* SPDX-License-Identifier: MIT
**
** ddl.c: creating, connecting, renaming, checking and dropping the virtual table.
**
**   CREATE VIRTUAL TABLE regions USING seqdb('my_database');   makes the directory if need be
**   ALTER TABLE regions RENAME TO r;                            the directory stays
**   DROP TABLE r;                                               detaches: the directory stays
**
** Only xCreate may make a directory.  When xConnect cannot open one (it is missing, locked, outside the trusted
** folder, or its CREATE says what this version refuses) the table is connected without it: SQLite could not even DROP
** it otherwise.  Each statement that uses the
** table then tries again, and fails with the reason.
**
** What SQLite does with these methods, and what follows:
**   - xCreate is xBegin as well: SQLite goes on with xSync and xCommit or xRollback.
**   - xDestroy runs at once, and after it neither commit nor rollback comes.  With pending changes or open cursors it
**     refuses (SQLITE_LOCKED), so that no change is left in doubt.
*/
#include <stdbool.h>
#include "agree.h"
#include "attach.h"
#include "check.h"
#include "creation.h"
#include "ddl.h"
#include "feed_tables.h"
#include "owner.h"
#include "path.h"
#include "shadow.h"
#include "table.h"
#include "transaction.h"
#include "upkeep.h"

/* ---- create, connect --------------------------------------------------------------------------------------- */

static int declare(sqlite3 *db, const char *table, sdb_failure *f) {
  char *sql = sqlite3_mprintf(
      "CREATE TABLE x(name TEXT, offset INTEGER, length INTEGER, content BLOB,"
      " reserved INTEGER HIDDEN, \"append\" BLOB HIDDEN,"
      " created INTEGER HIDDEN, changed INTEGER HIDDEN, \"%w\" HIDDEN)",
      table);
  if (!sql) return sdb_failure_nomem(f);
  int rc = sqlite3_declare_vtab(db, sql);
  sqlite3_free(sql);
  if (rc == SQLITE_OK) rc = sqlite3_vtab_config(db, SQLITE_VTAB_CONSTRAINT_SUPPORT, 1);
  return rc == SQLITE_OK ? SQLITE_OK : sdb_failure_nested(f, db);
}

typedef int sdb_opening(sdb_table *table, sdb_failure *f);

static int create(sdb_table *table, sdb_failure *f) {
  if (sdb_creation_watch(table->connection, f) != SQLITE_OK) return f->code;
  if (sdb_table_attach(table, true, f) != SQLITE_OK) return f->code;
  sdb_transaction_created(table->directory, table->connection->level);
  return table->config.readonly ? SQLITE_OK : sdb_owner_create(table->directory, f);
}

/* A failure is told by the statements that use the table.  A view or a trigger makes SQLite connect before it asks
** whether it may use the table: a directory outside the trusted folder is opened by the first statement that does. */
static int connect(sdb_table *table, sdb_failure *f) {
  sdb_directory *open = NULL;
  if (table->unusable) return SQLITE_OK;
  bool inside = sdb_path_is_inside(table->connection->db, table->schema, table->config.path);
  if (!inside) sdb_directory_by_path(table->connection, table->config.path, &open, f);
  if (inside || open) sdb_table_ready(table, f);
  if (f->code != SQLITE_NOMEM && f->code != SQLITE_INTERRUPT) sdb_failure_clear(f);
  return f->code;
}

/* May views and triggers use the table, also with trusted_schema=OFF?  As any table, if the directory is in the SQLite
** file's folder; never, if it is not. */
static int set_risk(const sdb_table *table, sdb_failure *f) {
  sqlite3 *db = table->connection->db;
  bool inside = !table->unusable && sdb_path_is_inside(db, table->schema, table->config.path);
  int rc = sqlite3_vtab_config(db, inside ? SQLITE_VTAB_INNOCUOUS : SQLITE_VTAB_DIRECTONLY);
  return rc == SQLITE_OK ? SQLITE_OK : sdb_failure_nested(f, db);
}

/* argv: module, schema, table, then the arguments. */
static int new_table(sdb_connection *connection, int argc, const char *const *argv, sdb_opening *open,
                     sqlite3_vtab **out, sdb_failure *f) {
  sdb_table *table = NULL;
  if (sdb_table_new(connection, argc, argv, open == create, &table, f) != SQLITE_OK) return f->code;
  if (declare(connection->db, table->name, f) != SQLITE_OK || open(table, f) != SQLITE_OK ||
      set_risk(table, f) != SQLITE_OK) {
    sdb_table_detach(table);
    sdb_table_free(table);
    return f->code;
  }
  sdb_table_link(table);
  *out = &table->base;
  return SQLITE_OK;
}

int sdb_table_create(sqlite3 *db, void *connection, int argc, const char *const *argv, sqlite3_vtab **vtab,
                     char **error) {
  sdb_failure f = {0};
  (void)db;
  new_table(connection, argc, argv, create, vtab, &f);
  return sdb_failure_to_string(&f, error);
}

int sdb_table_connect(sqlite3 *db, void *connection, int argc, const char *const *argv, sqlite3_vtab **vtab,
                      char **error) {
  sdb_failure f = {0};
  (void)db;
  new_table(connection, argc, argv, connect, vtab, &f);
  return sdb_failure_to_string(&f, error);
}

/* ---- disconnect, drop -------------------------------------------------------------------------------------- */

int sdb_table_disconnect(sqlite3_vtab *vtab) {
  sdb_table *table = (sdb_table *)vtab;
  sdb_table_unlink(table);
  sdb_table_detach(table);
  sdb_table_free(table);
  return SQLITE_OK;
}

/* Another object, from before a change of the schema, may keep the directory open.  There are no changes, but perhaps
** there is the writer lock. */
static int may_leave(sdb_directory *directory, sdb_failure *f) {
  if (seqdb_has_changes(directory->engine)) {
    return sdb_failure_set(f, SQLITE_LOCKED, "seqdb table %s has uncommitted changes: COMMIT or ROLLBACK before DROP",
                           directory->name);
  }
  if (SDB_NEVER(directory->cursors > 0)) { /* SQLite refuses to drop what is being read */
    return sdb_failure_set(f, SQLITE_LOCKED, "seqdb table %s is being read: finish the statements before DROP",
                           directory->name);
  }
  return SQLITE_OK;
}

/* T10: with the row goes what says whether the last commits count. */
static int settle(sdb_directory *directory, sdb_failure *f) {
  sdb_failure unheard = {0};
  if (sdb_owner_may_upkeep(directory, &unheard) != SQLITE_OK) directory->owner.state = SDB_OWNER_UNKNOWN; /* a copy */
  sdb_failure_clear(&unheard);
  if (directory->owner.state != SDB_OWNER_THIS) return SQLITE_OK;
  if (sdb_agree_settle(directory, f) != SQLITE_OK || seqdb_unsettled(directory->engine) == 0) return f->code;
  return sdb_failure_set(
      f, SQLITE_LOCKED,
      "seqdb table %s: a commit that failed may still count: INSERT INTO %s(%s) VALUES('checkpoint') "
      "decides, then DROP",
      directory->name, directory->name, directory->name);
}

/* The triggers of replicated tables name the table. */
static int refuse_replicated(const sdb_table *table, const char *verb, sdb_failure *f) {
  bool any = false;
  if (sdb_feed_tables_any(table->connection->db, table->schema, table->name, &any, f) != SQLITE_OK || !any)
    return f->code;
  return sdb_failure_set(f, SQLITE_LOCKED,
                         "seqdb table %s: rows of other tables are replicated with it, see %s_logged: SELECT "
                         "seqdb_replicate_stop('%s', ...) before %s",
                         table->name, table->name, table->name, verb);
}

int sdb_table_destroy(sqlite3_vtab *vtab) {
  sdb_table *table = (sdb_table *)vtab;
  sdb_directory *directory = table->directory;
  sdb_failure f = {0};
  if (refuse_replicated(table, "DROP", &f) != SQLITE_OK) return sdb_failure_to_vtab(&f, vtab);
  if (directory && (may_leave(directory, &f) != SQLITE_OK || settle(directory, &f) != SQLITE_OK))
    return sdb_failure_to_vtab(&f, vtab);
  if (sdb_shadow_drop(table->connection, table->schema, table->name, &f) != SQLITE_OK)
    return sdb_failure_to_vtab(&f, vtab);
  if (directory && sdb_transaction_rollback(directory, &f) != SQLITE_OK) return sdb_failure_to_vtab(&f, vtab);
  if (directory) sdb_directory_lose_name(directory);
  return sdb_table_disconnect(vtab);
}

/* ---- rename, check ----------------------------------------------------------------------------------------- */

int sdb_table_rename(sqlite3_vtab *vtab, const char *name) {
  sdb_table *table = (sdb_table *)vtab;
  sdb_failure f = {0};
  if (sdb_table_check_name(name, &f) != SQLITE_OK || refuse_replicated(table, "RENAME", &f) != SQLITE_OK)
    return sdb_failure_to_vtab(&f, vtab);
  if (table->unusable) {
    sdb_failure_set(&f, SQLITE_ERROR, "%s", table->unusable);
  } else if (!table->config.path_given) {
    sdb_failure_set(&f, SQLITE_ERROR,
                    "seqdb table %s was made without a path, its directory is named after it: it cannot be renamed",
                    table->name);
  } else if (sdb_shadow_rename(table->connection, table->schema, table->name, name, &f) == SQLITE_OK &&
             table->directory) {
    sdb_directory_set_name(table->directory, table->schema, name, &f);
  }
  return sdb_failure_to_vtab(&f, vtab);
}

int sdb_table_integrity(sqlite3_vtab *vtab, const char *schema, const char *name, int flags, char **problems) {
  sdb_table *table = (sdb_table *)vtab;
  sdb_failure f = {0};
  char *text = NULL;
  (void)flags; /* quick_check differs in reading contents, and nothing here does */
  if (sdb_table_ready(table, &f) != SQLITE_OK) {
    sdb_failure_to_string(&f, &text);
  } else if (sdb_upkeep_check(table->directory, false, &text, &f) != SQLITE_OK) {
    return sdb_failure_to_vtab(&f, vtab);
  }
  if (text) *problems = sqlite3_mprintf("seqdb table %s.%s:\n%s", schema, name, text);
  bool lost = text && !*problems;
  sqlite3_free(text);
  return lost ? SQLITE_NOMEM : SQLITE_OK;
}

/* Which tables named <table>_<suffix> belong to the table. */
int sdb_table_shadow_name(const char *suffix) {
  return sqlite3_stricmp(suffix, "commit") == 0 || sqlite3_stricmp(suffix, "follow") == 0;
}
