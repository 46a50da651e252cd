/* SPDX-License-Identifier: MIT
**
** functions_write.c: the functions that change a region.
**
**   SELECT seqdb_append('regions', 'log', x'616263');          -- offset at which the data begins
**   SELECT seqdb_write('regions', 'log', 0, x'41');            -- bytes written
**   SELECT seqdb_truncate('regions', 'log', 2);                -- new length
**   SELECT seqdb_truncate_write('regions', 'log', 1, x'42');   -- new length
**   SELECT seqdb_reserve('regions', 'log', 1000000);           -- bytes reserved
**
** SQLite does not know that such a SELECT writes, so it begins no transaction on the table.  While none is open the
** change goes through INSERT INTO T(T) VALUES(pointer), which SQLite treats as any write: it begins, and in
** autocommit commits when the INSERT ends.  Once one is open (after the first change in BEGIN, or inside another
** write statement) the engine is called directly: 86 ns instead of a statement.
**
** In autocommit every call is a transaction of its own, and a later error undoes none of them.
*/
#include "attach.h"
#include "change.h"
#include "find_table.h"
#include "functions_write.h"
#include "transaction.h"
#include "value.h"

/* Lets SQLite do an INSERT that brings the change to xUpdate.  While COMMIT is under way SQLite refuses it.  The
** statement does not outlive the call: one on a virtual table keeps sqlite3_close() from succeeding. */
static int insert_pointer(sdb_directory *directory, sdb_change *change, sdb_failure *f) {
  sqlite3 *db = directory->connection->db;
  sqlite3_stmt *insert = NULL;
  const char *name = directory->name;
  char *sql = sqlite3_mprintf("INSERT INTO \"%w\".\"%w\"(\"%w\") VALUES(?1)", directory->schema, name, name);
  if (!sql) return sdb_failure_nomem(f);
  int rc = sqlite3_prepare_v2(db, sql, -1, &insert, NULL);
  sqlite3_free(sql);
  if (rc != SQLITE_OK) return sdb_failure_nested(f, db);
  sqlite3_bind_pointer(insert, 1, change, SDB_CHANGE_POINTER, NULL);
  sqlite3_step(insert);
  if (sqlite3_reset(insert) != SQLITE_OK) sdb_failure_nested(f, db);
  sqlite3_finalize(insert);
  return f->code;
}

/* *f may have failed already: then only that is told. */
static void perform(sqlite3_context *context, sqlite3_value *table, sdb_change *change, sdb_failure *f) {
  sdb_directory *directory = NULL;
  if (f->code == SQLITE_OK && sdb_find_table(sqlite3_user_data(context), table, &directory, f) == SQLITE_OK) {
    if (sdb_transaction_takes_changes(directory)) {
      sdb_change_run(directory, change, f);
    } else {
      insert_pointer(directory, change, f);
    }
    sdb_directory_release(directory);
  }
  if (f->code == SQLITE_OK) {
    sqlite3_result_int64(context, (sqlite3_int64)change->result);
  } else {
    sdb_failure_to_result(f, context);
  }
}

static int take_name(const char *function, sqlite3_value *value, sdb_change *change, sdb_failure *f) {
  return sdb_value_name((sdb_label){function, ": ", "name"}, value, &change->name, &change->name_bytes, f);
}

static int take_data(const char *function, sqlite3_value *value, sdb_change *change, sdb_failure *f) {
  return sdb_value_data((sdb_label){function, ": ", "data"}, value, &change->data, &change->data_bytes, f);
}

static int take_number(sdb_label label, sqlite3_value *value, sdb_change *change, sdb_failure *f) {
  return sdb_value_number(label, value, &change->number, f);
}

static void append_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  sdb_change change = {.kind = SDB_CHANGE_APPEND};
  sdb_failure f = {0};
  (void)argc;
  if (take_name("seqdb_append", argv[1], &change, &f) == SQLITE_OK) take_data("seqdb_append", argv[2], &change, &f);
  perform(context, argv[0], &change, &f);
}

static void write_at(sqlite3_context *context, const char *function, enum sdb_change_kind kind, sqlite3_value **argv) {
  sdb_change change = {.kind = kind};
  sdb_failure f = {0};
  if (take_name(function, argv[1], &change, &f) == SQLITE_OK &&
      take_number((sdb_label){function, ": ", "offset"}, argv[2], &change, &f) == SQLITE_OK) {
    take_data(function, argv[3], &change, &f);
  }
  perform(context, argv[0], &change, &f);
}

static void set_size(sqlite3_context *context, sdb_label label, enum sdb_change_kind kind, sqlite3_value **argv) {
  sdb_change change = {.kind = kind};
  sdb_failure f = {0};
  if (take_name(label.owner, argv[1], &change, &f) == SQLITE_OK) take_number(label, argv[2], &change, &f);
  perform(context, argv[0], &change, &f);
}

static void write_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  (void)argc;
  write_at(context, "seqdb_write", SDB_CHANGE_WRITE, argv);
}

static void truncate_write_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  (void)argc;
  write_at(context, "seqdb_truncate_write", SDB_CHANGE_TRUNCATE_WRITE, argv);
}

static void truncate_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  (void)argc;
  set_size(context, (sdb_label){"seqdb_truncate", ": ", "length"}, SDB_CHANGE_TRUNCATE, argv);
}

static void reserve_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  (void)argc;
  set_size(context, (sdb_label){"seqdb_reserve", ": ", "bytes"}, SDB_CHANGE_RESERVE, argv);
}

int sdb_register_functions_write(sdb_connection *connection) {
  static const sdb_function functions[] = {
      {"seqdb_append", 3, 0, append_function},     {"seqdb_write", 4, 0, write_function},
      {"seqdb_truncate", 3, 0, truncate_function}, {"seqdb_truncate_write", 4, 0, truncate_write_function},
      {"seqdb_reserve", 3, 0, reserve_function},
  };
  return sdb_connection_add_functions(connection, functions, sizeof functions / sizeof functions[0]);
}
