/* SPDX-License-Identifier: MIT
**
** functions_backup.c: the functions that make copies while others work.
**
**   SELECT seqdb_backup('regions', 'copy');        -- the directory; bytes copied
**   SELECT seqdb_backup_all('main', 'backup');     -- the SQLite file and its directories as of one commit; JSON
**
** Paths are those of CREATE VIRTUAL TABLE.  What the connection has not committed is not copied, so both refuse it.
*/
#include "attach.h"
#include "backup_all.h"
#include "find_table.h"
#include "functions_backup.h"
#include "json.h"
#include "path.h"

/* An absolute path, from sqlite3_malloc. */
static int take_path(sdb_connection *connection, const char *schema, const char *function, sqlite3_value *value,
                     char **path, sdb_failure *f) {
  if (sqlite3_value_type(value) != SQLITE_TEXT || sqlite3_value_bytes(value) == 0)
    return sdb_failure_set(f, SQLITE_ERROR, "%s: the target must be TEXT, the path of a new directory", function);
  const char *given = (const char *)sqlite3_value_text(value);
  return given ? sdb_path_absolute(connection->db, schema, function, given, path, f) : sdb_failure_nomem(f);
}

static void backup_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  sdb_connection *connection = sqlite3_user_data(context);
  sdb_directory *directory = NULL;
  uint64_t bytes = 0;
  char *path = NULL;
  sdb_failure f = {0};
  (void)argc;
  if (sdb_find_table(connection, argv[0], &directory, &f) == SQLITE_OK) {
    if (seqdb_has_changes(directory->engine))
      sdb_failure_set(&f, SQLITE_ERROR, "%s: cannot back up while the transaction has changes", directory->name);
    else if (take_path(connection, directory->schema, "seqdb_backup", argv[1], &path, &f) == SQLITE_OK)
      sdb_failure_engine(&f, directory->engine, seqdb_backup(directory->engine, path, &bytes));
    sdb_directory_release(directory);
  }
  sqlite3_free(path);
  if (f.code == SQLITE_OK) sqlite3_result_int64(context, (sqlite3_int64)bytes);
  sdb_failure_to_result(&f, context);
}

static void backup_all_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  sdb_connection *connection = sqlite3_user_data(context);
  const char *schema = sqlite3_value_type(argv[0]) == SQLITE_TEXT ? (const char *)sqlite3_value_text(argv[0]) : NULL;
  char *folder = NULL, *json = NULL;
  sdb_failure f = {0};
  (void)argc;
  if (!schema)
    sdb_failure_set(&f, SQLITE_ERROR,
                    "seqdb_backup_all: the first argument must be TEXT, the name of a schema: 'main'");
  else if (take_path(connection, schema, "seqdb_backup_all", argv[1], &folder, &f) == SQLITE_OK)
    sdb_backup_all(connection, schema, folder, &json, &f);
  sqlite3_free(folder);
  sdb_connection_rest(connection);
  if (f.code == SQLITE_OK) {
    sqlite3_result_text(context, json, -1, sqlite3_free);
    sqlite3_result_subtype(context, SDB_SUBTYPE_JSON);
  }
  sdb_failure_to_result(&f, context);
}

int sdb_register_functions_backup(sdb_connection *connection) {
  static const sdb_function functions[] = {
      {"seqdb_backup", 2, SQLITE_DIRECTONLY, backup_function},
      {"seqdb_backup_all", 2, SQLITE_DIRECTONLY | SDB_RESULT_SUBTYPE, backup_all_function},
  };
  return sdb_connection_add_functions(connection, functions, sizeof functions / sizeof functions[0]);
}
