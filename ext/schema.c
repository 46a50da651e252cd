/* SPDX-License-Identifier: MIT
**
** schema.c: what SQLite's schema says of a name.
**
** All of it is asked with statements and calls that any program has; none of them outlives the call.
*/
#include "schema.h"

bool sdb_schema_is_whole(sqlite3 *db) {
#if SQLITE_VERSION_NUMBER >= 3039000
  sqlite3_file *file = NULL;
  const char *name;
  if (sqlite3_libversion_number() < 3039000) return false;      /* it cannot tell */
  for (int i = 2; (name = sqlite3_db_name(db, i)) != NULL; i++) /* behind main and temp, which may have no file yet */
    if (sqlite3_file_control(db, name, SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK) return false;
  return true;
#else
  (void)db;
  return false;
#endif
}

bool sdb_schema_has_table(sdb_connection *connection, const char *schema, const char *name) {
  return sqlite3_table_column_metadata(connection->db, schema, name, NULL, NULL, NULL, NULL, NULL, NULL) == SQLITE_OK;
}

/* Only a table of ours has a hidden column of its own name beside these. */
static int has_columns(sdb_connection *connection, const char *schema, const char *name, bool *has) {
  const char *const columns[] = {"reserved", "append", "created", "changed", name};
  int rc = SQLITE_OK;
  for (size_t i = 0; i < sizeof columns / sizeof columns[0] && rc == SQLITE_OK; i++)
    rc = sqlite3_table_column_metadata(connection->db, schema, name, columns[i], NULL, NULL, NULL, NULL, NULL);
  *has = rc == SQLITE_OK;
  return rc == SQLITE_ERROR ? SQLITE_OK : rc;
}

/* Preparing a statement makes SQLite connect the table. */
int sdb_schema_connect(sdb_connection *connection, const char *schema, const char *name, bool *ours, sdb_failure *f) {
  sqlite3_stmt *statement = NULL;
  char *sql = sqlite3_mprintf("SELECT 1 FROM \"%w\".\"%w\"", schema, name);
  *ours = false;
  if (!sql) return sdb_failure_nomem(f);
  int rc = sqlite3_prepare_v2(connection->db, sql, -1, &statement, NULL);
  if (rc == SQLITE_OK) rc = has_columns(connection, schema, name, ours);
  if (rc != SQLITE_OK) sdb_failure_nested(f, connection->db);
  sqlite3_finalize(statement);
  sqlite3_free(sql);
  return f->code;
}

/* What SQLite remembers of a schema is checked only when a statement reads the database. */
int sdb_schema_refresh(sdb_connection *connection, const char *schema, sdb_failure *f) {
  sqlite3_stmt *statement = NULL;
  char *sql = sqlite3_mprintf("SELECT 1 FROM \"%w\".sqlite_master LIMIT 1", schema);
  if (!sql) return sdb_failure_nomem(f);
  int rc = sqlite3_prepare_v2(connection->db, sql, -1, &statement, NULL);
  if (rc == SQLITE_OK) {
    sqlite3_step(statement);
    rc = sqlite3_reset(statement);
  } else if (rc == SQLITE_ERROR) {
    rc = SQLITE_OK; /* there is no such database */
  }
  if (rc != SQLITE_OK) sdb_failure_nested(f, connection->db);
  sqlite3_finalize(statement);
  sqlite3_free(sql);
  return f->code;
}

/* ---- in the order of names --------------------------------------------------------------------------------- */

typedef bool schema_visit(sdb_connection *connection, const char *schema, const char *table, sdb_failure *f);

static bool visit_has_table(sdb_connection *connection, const char *schema, const char *table, sdb_failure *f) {
  (void)f;
  return sdb_schema_has_table(connection, schema, table);
}

/* Goes on to the next schema. */
static bool visit_refresh(sdb_connection *connection, const char *schema, const char *table, sdb_failure *f) {
  (void)table;
  sdb_schema_refresh(connection, schema, f);
  return false;
}

/* The attached databases, in the order in which they were attached.  Returns a copy of the name. */
static char *visit_attached(sdb_connection *connection, const char *table, schema_visit *visit, sdb_failure *f) {
  sqlite3_stmt *statement = NULL;
  char *copy = NULL;
  if (sqlite3_prepare_v2(connection->db, "PRAGMA database_list", -1, &statement, NULL) != SQLITE_OK) {
    sdb_failure_nested(f, connection->db);
  }
  while (!copy && f->code == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW) {
    const char *schema = (const char *)sqlite3_column_text(statement, 1);
    if (!schema || sqlite3_column_int(statement, 0) < 2) continue; /* 0 is main, 1 temp */
    if (visit(connection, schema, table, f) && !(copy = sqlite3_mprintf("%s", schema))) sdb_failure_nomem(f);
  }
  sqlite3_finalize(statement);
  return copy;
}

/* Visits temp, main and the attached databases, or `only` if it is not empty, until visit() says yes.  Returns a copy
** of that schema's name; NULL: none, or *f is set. */
static char *visit_schemas(sdb_connection *connection, const char *only, const char *table, schema_visit *visit,
                           sdb_failure *f) {
  const char *const first[] = {only[0] ? only : "temp", only[0] ? NULL : "main"};
  for (size_t i = 0; i < 2 && first[i]; i++) {
    if (visit(connection, first[i], table, f)) {
      char *copy = sqlite3_mprintf("%s", first[i]);
      if (!copy) sdb_failure_nomem(f);
      return copy;
    }
    if (f->code != SQLITE_OK) return NULL;
  }
  return only[0] ? NULL : visit_attached(connection, table, visit, f);
}

char *sdb_schema_of_table(sdb_connection *connection, const char *only, const char *table, sdb_failure *f) {
  char *schema = visit_schemas(connection, only, table, visit_has_table, f);
  if (schema || f->code != SQLITE_OK) return schema;
  visit_schemas(connection, only, table, visit_refresh, f);
  return f->code == SQLITE_OK ? visit_schemas(connection, only, table, visit_has_table, f) : NULL;
}
