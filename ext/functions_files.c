/* SPDX-License-Identifier: MIT
**
** functions_files.c: the functions that copy a file into a region and back, of any size, in pieces of 1 MiB.
**
**   SELECT seqdb_import('regions', 'film', 'film.mp4');    -- bytes; a region of that name is replaced
**   SELECT seqdb_export('regions', 'film', 'copy.mp4');    -- bytes; a file of that name is an error
**
** An import is a change as any other: whole or not at all, and of the transaction.  An export shows what the connection
** sees, its own changes included.  Both obey sqlite3_interrupt() and the progress handler.
*/
#include "attach.h"
#include "change.h"
#include "find_table.h"
#include "functions_files.h"
#include "interrupt.h"
#include "outside.h"
#include "path.h"
#include "reader.h"
#include "transaction.h"
#include "value.h"

#define IMPORT "seqdb_import" /* for messages */
#define EXPORT "seqdb_export"

static void give_number(sqlite3_context *context, uint64_t number, sdb_failure *f) {
  if (f->code == SQLITE_OK) {
    sqlite3_result_int64(context, (sqlite3_int64)number);
  } else {
    sdb_failure_to_result(f, context);
  }
}

/* ---- import ------------------------------------------------------------------------------------------------- */

static void run_import(sdb_connection *connection, sqlite3_value *table, sdb_change *change, sdb_failure *f) {
  sdb_directory *directory = NULL;
  if (sdb_find_table(connection, table, &directory, f) != SQLITE_OK) return;
  if (sdb_transaction_takes_changes(directory)) {
    sdb_change_run(directory, change, f);
  } else {
    sdb_change_by_insert(directory, change, f);
  }
  sdb_directory_release(directory);
}

static void import_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  sdb_connection *connection = sqlite3_user_data(context);
  sdb_source source = {0};
  sdb_change change = {.kind = SDB_CHANGE_IMPORT, .source = &source};
  sdb_failure f = {0};
  char *path = NULL;
  (void)argc;
  if (sdb_value_name(IMPORT, ": name", argv[1], &change.name, &change.name_bytes, &f) == SQLITE_OK &&
      sdb_outside_path(connection, IMPORT, argv[2], &path, &f) == SQLITE_OK &&
      sdb_source_open(&source, connection, path, &f) == SQLITE_OK) {
    run_import(connection, argv[0], &change, &f);
    sdb_source_close(&source);
  }
  sqlite3_free(path);
  give_number(context, change.result, &f);
}

/* ---- export ------------------------------------------------------------------------------------------------- */

static int run_export(sdb_reader *reader, const char *path, uint64_t *bytes, sdb_failure *f) {
  sdb_connection *connection = reader->directory->connection;
  seqdb *engine = reader->directory->engine;
  seqdb_options options = SEQDB_OPTIONS_INIT;
  sdb_path_take_access(connection->db, reader->directory->schema, &options);
  seqdb_set_interrupt(engine, sdb_connection_interrupted_asleep, connection);
  int rc = seqdb_export(sdb_reader_view(reader), reader->region, path, &options, bytes);
  seqdb_set_interrupt(engine, sdb_connection_interrupted, connection);
  sdb_failure_engine(f, engine, rc);
  if (rc == SEQDB_EXISTS) f->code = SQLITE_CANTOPEN;
  return f->code;
}

static void export_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  sdb_connection *connection = sqlite3_user_data(context);
  sdb_reader reader = {0};
  sdb_failure f = {0};
  uint64_t bytes = 0;
  char *path = NULL;
  bool found;
  (void)argc;
  if (sdb_reader_open(&reader, connection, EXPORT, argv, &found, &f) == SQLITE_OK &&
      sdb_outside_path(connection, EXPORT, argv[2], &path, &f) == SQLITE_OK) {
    if (found) {
      run_export(&reader, path, &bytes, &f);
    } else {
      sdb_failure_set(&f, SQLITE_ERROR, "%s: no such region: '%s'", reader.directory->name, reader.shown);
    }
  }
  sdb_reader_close(&reader);
  sqlite3_free(path);
  give_number(context, bytes, &f);
}

int sdb_register_functions_files(sdb_connection *connection) {
  static const sdb_function functions[] = {
      {IMPORT, 3, SQLITE_DIRECTONLY, import_function},
      {EXPORT, 3, SQLITE_DIRECTONLY, export_function},
  };
  return sdb_connection_add_functions(connection, functions, sizeof functions / sizeof functions[0]);
}
