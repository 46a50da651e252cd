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
** autocommit commits when the INSERT ends.  A program must not notice that statement: xUpdate says that OR IGNORE left
** the row out, so that last_insert_rowid() and total_changes() stay.  (changes() becomes 0: every INSERT, UPDATE and
** DELETE sets it, and nothing else begins a transaction on a table.)  Once one is open (after the first change in
** BEGIN, or inside another write statement) the engine is called directly: 86 ns instead of a statement.
**
** In autocommit every call is a transaction of its own, and a later error undoes none of them.
*/
#include "attach.h"
#include "change.h"
#include "find_table.h"
#include "functions_write.h"
#include "transaction.h"
#include "value.h"

/* ---- a call ------------------------------------------------------------------------------------------------ */

typedef struct sdb_call {
  sqlite3_context *context;
  sqlite3_value **argv;
  const char *function; /* for messages */
  sdb_change change;
  sdb_failure f;
} sdb_call;

/* Argument 0 is T, argument 1 the name.  These do nothing once one of them has failed. */

static void take_name(sdb_call *call) {
  sdb_change *change = &call->change;
  sdb_value_name(call->function, ": name", call->argv[1], &change->name, &change->name_bytes, &call->f);
}

static void take_number(sdb_call *call, const char *what, int argument) {
  if (call->f.code == SQLITE_OK)
    sdb_value_number(call->function, what, call->argv[argument], &call->change.number, &call->f);
}

static void take_data(sdb_call *call, int argument) {
  sdb_change *change = &call->change;
  if (call->f.code != SQLITE_OK) return;
  sdb_value_data(call->function, ": data", call->argv[argument], &change->data, &change->data_bytes, &call->f);
}

static void perform(sdb_call *call) {
  sdb_directory *directory = NULL;
  sdb_failure *f = &call->f;
  if (f->code == SQLITE_OK &&
      sdb_find_table(sqlite3_user_data(call->context), call->argv[0], &directory, f) == SQLITE_OK) {
    if (sdb_transaction_takes_changes(directory)) {
      sdb_change_run(directory, &call->change, f);
    } else {
      sdb_change_by_insert(directory, &call->change, f);
    }
    sdb_directory_release(directory);
  }
  if (f->code == SQLITE_OK) {
    sqlite3_result_int64(call->context, (sqlite3_int64)call->change.result);
  } else {
    sdb_failure_to_result(f, call->context);
  }
}

/* ---- the functions ----------------------------------------------------------------------------------------- */

static void append_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  sdb_call call = {context, argv, "seqdb_append", {.kind = SDB_CHANGE_APPEND}, {0}};
  (void)argc;
  take_name(&call);
  take_data(&call, 2);
  perform(&call);
}

static void write_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  sdb_call call = {context, argv, "seqdb_write", {.kind = SDB_CHANGE_WRITE}, {0}};
  (void)argc;
  take_name(&call);
  take_number(&call, ": offset", 2);
  take_data(&call, 3);
  perform(&call);
}

static void truncate_write_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  sdb_call call = {context, argv, "seqdb_truncate_write", {.kind = SDB_CHANGE_TRUNCATE_WRITE}, {0}};
  (void)argc;
  take_name(&call);
  take_number(&call, ": offset", 2);
  take_data(&call, 3);
  perform(&call);
}

static void truncate_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  sdb_call call = {context, argv, "seqdb_truncate", {.kind = SDB_CHANGE_TRUNCATE}, {0}};
  (void)argc;
  take_name(&call);
  take_number(&call, ": length", 2);
  perform(&call);
}

static void reserve_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  sdb_call call = {context, argv, "seqdb_reserve", {.kind = SDB_CHANGE_RESERVE}, {0}};
  (void)argc;
  take_name(&call);
  take_number(&call, ": bytes", 2);
  perform(&call);
}

int sdb_register_functions_write(sdb_connection *connection) {
  static const sdb_function functions[] = {
      {"seqdb_append", 3, SQLITE_DIRECTONLY, append_function},
      {"seqdb_write", 4, SQLITE_DIRECTONLY, write_function},
      {"seqdb_truncate", 3, SQLITE_DIRECTONLY, truncate_function},
      {"seqdb_truncate_write", 4, SQLITE_DIRECTONLY, truncate_write_function},
      {"seqdb_reserve", 3, SQLITE_DIRECTONLY, reserve_function},
  };
  return sdb_connection_add_functions(connection, functions, sizeof functions / sizeof functions[0]);
}
