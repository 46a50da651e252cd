/* SPDX-License-Identifier: MIT
**
** table.c: the module `seqdb`: creating, connecting, renaming and dropping the virtual table.
**
**   CREATE VIRTUAL TABLE regions USING seqdb('my_database');   makes the directory if need be
**   ALTER TABLE regions RENAME TO r;                            the directory stays
**   DROP TABLE r;                                               detaches: the directory stays
**
** Only xCreate may make a directory.  When xConnect cannot open one (it is missing, locked, outside the trusted
** folder) the table is connected without it: SQLite could not even DROP it otherwise.  Each statement that uses the
** table then tries again, and fails with the reason.
**
** What SQLite does with these methods, and what follows:
**   - xCreate is xBegin as well: SQLite goes on with xSync and xCommit or xRollback.
**   - xDestroy runs at once, and after it neither commit nor rollback comes: with pending changes or open
**     cursors it refuses (SQLITE_LOCKED), so that no change is left in doubt.
**   - A table cannot have a column of its own name.  CREATE would fail by itself, but RENAME succeeds and leaves a
**     table that can be neither opened, dropped nor renamed; so both are refused here.
**   - iVersion 4 brings xIntegrity (PRAGMA integrity_check).  Headers before 3.44 do not have it: the structure is
**     made longer by hand, and older libraries never look there.
*/
#include <string.h>
#include "ext.h"

/* ---- names ------------------------------------------------------------------------------------------------- */

static bool is_reserved_name(const char *name) {
  static const char *const names[] = {"name",   "offset", "length", "content", "reserved",
                                      "append", "rowid",  "oid",    "_rowid_"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (sqlite3_stricmp(name, names[i]) == 0) return true;
  }
  return false;
}

static int check_name(const char *name, sdb_failure *f) {
  if (!is_reserved_name(name)) return SQLITE_OK;
  return sdb_failure_set(f, SQLITE_ERROR, "a seqdb table cannot be named '%s': that is one of its columns", name);
}

/* xShadowName: which tables named <table>_<suffix> belong to the table. */
static int shadow_name(const char *suffix) {
  return sqlite3_stricmp(suffix, "commit") == 0;
}

/* ---- create, connect --------------------------------------------------------------------------------------- */

static int declare(sqlite3 *db, const char *table, sdb_failure *f) {
  char *sql = sqlite3_mprintf(
      "CREATE TABLE x(name TEXT, offset INTEGER, length INTEGER, content BLOB,"
      " reserved INTEGER HIDDEN, \"append\" BLOB HIDDEN, \"%w\" HIDDEN)",
      table);
  if (!sql) return sdb_failure_nomem(f);
  int rc = sqlite3_declare_vtab(db, sql);
  sqlite3_free(sql);
  if (rc == SQLITE_OK) rc = sqlite3_vtab_config(db, SQLITE_VTAB_CONSTRAINT_SUPPORT, 1);
  return rc == SQLITE_OK ? SQLITE_OK : sdb_failure_nested(f, db);
}

int sdb_table_ready(sdb_table *table, sdb_failure *f) {
  const char *directory = table->config.directory;
  if (table->conn) return SQLITE_OK;
  if (sdb_path_check_trusted(table->client->db, table->schema, directory, f) != SQLITE_OK) return f->code;
  return sdb_conn_attach(table->client, table->schema, table->name, &table->config, false, &table->conn, f);
}

static void table_free(sdb_table *table) {
  if (table->conn) sdb_conn_detach(table->conn);
  sdb_config_clear(&table->config);
  sqlite3_free(table->schema);
  sqlite3_free(table->name);
  sqlite3_free(table);
}

static int table_attach(sdb_table *table, bool create, sdb_failure *f) {
  if (create) {
    if (sdb_creation_watch(table->client, f) == SQLITE_OK &&
        sdb_conn_attach(table->client, table->schema, table->name, &table->config, true, &table->conn, f) ==
            SQLITE_OK) {
      table->conn->enlisted = true;
      table->conn->made = true;
      table->conn->made_level = table->client->level;
    }
  } else if (sdb_table_ready(table, f) != SQLITE_OK && f->code != SQLITE_NOMEM) {
    sdb_failure_clear(f); /* told by the statements that use the table */
  }
  return f->code;
}

/* argv: module, schema, table, then the arguments. */
static int table_new(sdb_client *client, int argc, const char *const *argv, bool create, sqlite3_vtab **out,
                     sdb_failure *f) {
  char *absolute = NULL;
  sdb_table *table = sqlite3_malloc64(sizeof *table);
  if (!table) return sdb_failure_nomem(f);
  *table = (sdb_table){.client = client};

  if (check_name(argv[2], f) != SQLITE_OK) goto failed;
  table->schema = sqlite3_mprintf("%s", argv[1]);
  table->name = sqlite3_mprintf("%s", argv[2]);
  if (!table->schema || !table->name) {
    sdb_failure_nomem(f);
    goto failed;
  }
  if (sdb_config_parse(&table->config, argc - 3, argv + 3, f) != SQLITE_OK) goto failed;
  if (sdb_path_resolve(client->db, table->schema, table->name, table->config.directory, &absolute, f) != SQLITE_OK) {
    goto failed;
  }
  sqlite3_free(table->config.directory);
  table->config.directory = absolute;
  if (declare(client->db, table->name, f) != SQLITE_OK) goto failed;
  if (table_attach(table, create, f) != SQLITE_OK) goto failed;
  table->next = client->tables;
  client->tables = table;
  *out = &table->base;
  return SQLITE_OK;

failed:
  table_free(table);
  return f->code;
}

static int table_create(sqlite3 *db, void *client, int argc, const char *const *argv, sqlite3_vtab **vtab,
                        char **error) {
  sdb_failure f = {0};
  (void)db;
  return table_new(client, argc, argv, true, vtab, &f) == SQLITE_OK ? SQLITE_OK : sdb_failure_to_string(&f, error);
}

static int table_connect(sqlite3 *db, void *client, int argc, const char *const *argv, sqlite3_vtab **vtab,
                         char **error) {
  sdb_failure f = {0};
  (void)db;
  return table_new(client, argc, argv, false, vtab, &f) == SQLITE_OK ? SQLITE_OK : sdb_failure_to_string(&f, error);
}

static int table_disconnect(sqlite3_vtab *vtab) {
  sdb_table *table = (sdb_table *)vtab;
  sdb_table **link = &table->client->tables;
  while (*link != table)
    link = &(*link)->next;
  *link = table->next;
  table_free(table);
  return SQLITE_OK;
}

static int table_destroy(sqlite3_vtab *vtab) {
  sdb_conn *conn = ((sdb_table *)vtab)->conn;
  sdb_failure f = {0};
  if (conn && seqdb_has_changes(conn->engine)) {
    sdb_failure_set(&f, SQLITE_LOCKED, "seqdb table %s has uncommitted changes: COMMIT or ROLLBACK before DROP",
                    conn->name);
  } else if (conn && conn->cursors > 0) { /* GCOVR_EXCL_BR_LINE: SQLite refuses it before */
    sdb_failure_set(&f, SQLITE_LOCKED, "seqdb table %s is being read: finish the statements before DROP", conn->name);
  }
  if (f.code != SQLITE_OK) return sdb_failure_to_vtab(&f, vtab);
  if (conn) { /* an object from before a change of the schema may keep it, and no commit or rollback comes any more */
    int rc = seqdb_rollback(conn->engine); /* there are no changes, but perhaps the writer lock */
    /* GCOVR_EXCL_BR_LINE: nothing is prepared */
    if (rc != SEQDB_OK) {
      sdb_failure_engine(&f, conn->engine, rc);
      return sdb_failure_to_vtab(&f, vtab);
    }
    sdb_conn_end_transaction(conn);
    sdb_conn_lose_name(conn);
  }
  return table_disconnect(vtab);
}

/* ---- rename, check ----------------------------------------------------------------------------------------- */

static int table_rename(sqlite3_vtab *vtab, const char *name) {
  sdb_table *table = (sdb_table *)vtab;
  sdb_failure f = {0};
  if (check_name(name, &f) != SQLITE_OK) return sdb_failure_to_vtab(&f, vtab);
  if (!table->config.path_given) {
    sdb_failure_set(&f, SQLITE_ERROR,
                    "seqdb table %s was made without a path, its directory is named after it: it cannot be renamed",
                    table->name);
    return sdb_failure_to_vtab(&f, vtab);
  }
  return table->conn ? sdb_conn_set_name(table->conn, table->schema, name) : SQLITE_OK;
}

static int table_integrity(sqlite3_vtab *vtab, const char *schema, const char *name, int flags, char **problems) {
  sdb_table *table = (sdb_table *)vtab;
  sdb_failure f = {0};
  char *text = NULL;
  (void)flags; /* quick_check differs in reading contents, and nothing here does */
  if (sdb_table_ready(table, &f) != SQLITE_OK) {
    text = f.message;
    f.message = NULL;
  } else if (sdb_conn_check(table->conn, false, &text, &f) != SQLITE_OK) {
    return sdb_failure_to_vtab(&f, vtab);
  }
  if (text) *problems = sqlite3_mprintf("seqdb table %s.%s:\n%s", schema, name, text);
  bool lost = text && !*problems;
  sqlite3_free(text);
  return lost ? SQLITE_NOMEM : SQLITE_OK;
}

/* ---- the module -------------------------------------------------------------------------------------------- */

#if SQLITE_VERSION_NUMBER >= 3044000
typedef sqlite3_module sdb_module;
#define SDB_MODULE_BASE(module) (module)
#else
typedef struct sdb_module {
  sqlite3_module base;
  int (*xIntegrity)(sqlite3_vtab *, const char *, const char *, int, char **);
} sdb_module;
_Static_assert(offsetof(sdb_module, xIntegrity) == sizeof(sqlite3_module), "xIntegrity follows xShadowName");
#define SDB_MODULE_BASE(module) (&(module)->base)
#endif

#define SDB_MODULE_METHODS                                                                                          \
  .iVersion = 4, .xCreate = table_create, .xConnect = table_connect, .xBestIndex = sdb_table_best_index,            \
  .xDisconnect = table_disconnect, .xDestroy = table_destroy, .xOpen = sdb_cursor_open, .xClose = sdb_cursor_close, \
  .xFilter = sdb_cursor_filter, .xNext = sdb_cursor_next, .xEof = sdb_cursor_eof, .xColumn = sdb_cursor_column,     \
  .xRowid = sdb_cursor_rowid, .xUpdate = sdb_table_update, .xBegin = sdb_table_begin, .xSync = sdb_table_sync,      \
  .xCommit = sdb_table_commit, .xRollback = sdb_table_rollback, .xRename = table_rename,                            \
  .xSavepoint = sdb_table_savepoint, .xRelease = sdb_table_release, .xRollbackTo = sdb_table_rollback_to,           \
  .xShadowName = shadow_name

static const sdb_module module = {
#if SQLITE_VERSION_NUMBER >= 3044000
    SDB_MODULE_METHODS,
#else
    .base = {SDB_MODULE_METHODS},
#endif
    .xIntegrity = table_integrity,
};

int sdb_register_table(sdb_client *client) {
  return sqlite3_create_module_v2(client->db, "seqdb", SDB_MODULE_BASE(&module), sdb_client_ref(client),
                                  sdb_client_unref);
}
