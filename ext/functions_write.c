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
** SQLite does not know that such a SELECT writes, so it begins no transaction on the table.  While the table is not
** enlisted the change therefore goes through INSERT INTO T(T) VALUES(pointer), which SQLite treats as any write: it
** begins, and in autocommit commits when the INSERT ends.  Once enlisted (after the first change in BEGIN, or inside
** another write statement) the engine is called directly: 86 ns instead of a statement.
**
** In autocommit every call is a transaction of its own, and a later error undoes none of them.
*/
#include "ext.h"

/* The table is not enlisted, or COMMIT is under way and SQLite refuses this: lets SQLite do an INSERT that brings the change to xUpdate. */
static int insert_pointer(sdb_client *client, sdb_target *target, sdb_change *change, sdb_failure *f) {
  sdb_conn *conn = target->conn;
  if (!target->insert) {
    char *sql = sqlite3_mprintf("INSERT INTO \"%w\".\"%w\"(\"%w\") VALUES(?1)", conn->schema, conn->name, conn->name);
    if (!sql) return sdb_failure_nomem(f);
    int rc = sqlite3_prepare_v2(client->db, sql, -1, &target->insert, NULL);
    sqlite3_free(sql);
    if (rc != SQLITE_OK) return sdb_failure_nested(f, client->db);
  }
  sqlite3_bind_pointer(target->insert, 1, change, SDB_CHANGE_POINTER, NULL);
  sqlite3_step(target->insert);
  if (sqlite3_reset(target->insert) != SQLITE_OK) sdb_failure_nested(f, client->db);
  sqlite3_clear_bindings(target->insert);
  return f->code;
}

static void perform(sqlite3_context *context, sqlite3_value *table, sdb_change *change, sdb_failure *f) {
  sdb_client *client = sqlite3_user_data(context);
  sdb_target *target = NULL;
  sdb_conn *conn = NULL;
  if (f->code == SQLITE_OK && sdb_resolve(client, table, &conn, f) == SQLITE_OK) {
    if (conn->enlisted && !conn->synced) {
      sdb_change_run(conn, change, f);
    } else if (sdb_target_get(context, conn, &target, f) == SQLITE_OK) {
      insert_pointer(client, target, change, f);
      sdb_target_keep(context, target);
    }
    sdb_conn_detach(conn);
  }
  if (f->code == SQLITE_OK) {
    sqlite3_result_int64(context, (sqlite3_int64)change->result);
  } else {
    sdb_failure_to_result(f, context);
  }
}

static void append_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  sdb_change change = {.kind = SDB_CHANGE_APPEND};
  sdb_failure f = {0};
  (void)argc;
  if (sdb_argument_name("seqdb_append", argv[1], &change.name, &change.name_bytes, &f) == SQLITE_OK) {
    sdb_argument_data("seqdb_append", argv[2], &change.data, &change.data_bytes, &f);
  }
  perform(context, argv[0], &change, &f);
}

static void write_at(sqlite3_context *context, const char *function, int kind, sqlite3_value **argv) {
  sdb_change change = {.kind = kind};
  sdb_failure f = {0};
  if (sdb_argument_name(function, argv[1], &change.name, &change.name_bytes, &f) == SQLITE_OK &&
      sdb_argument_number(function, "offset", argv[2], &change.number, &f) == SQLITE_OK) {
    sdb_argument_data(function, argv[3], &change.data, &change.data_bytes, &f);
  }
  perform(context, argv[0], &change, &f);
}

static void set_size(sqlite3_context *context, const char *function, const char *what, int kind, sqlite3_value **argv) {
  sdb_change change = {.kind = kind};
  sdb_failure f = {0};
  if (sdb_argument_name(function, argv[1], &change.name, &change.name_bytes, &f) == SQLITE_OK) {
    sdb_argument_number(function, what, argv[2], &change.number, &f);
  }
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
  set_size(context, "seqdb_truncate", "length", SDB_CHANGE_TRUNCATE, argv);
}

static void reserve_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  (void)argc;
  set_size(context, "seqdb_reserve", "bytes", SDB_CHANGE_RESERVE, argv);
}

int sdb_register_functions_write(sdb_client *client) {
  static const struct {
    const char *name;
    int arguments;
    void (*function)(sqlite3_context *, int, sqlite3_value **);
  } functions[] = {
      {"seqdb_append", 3, append_function},     {"seqdb_write", 4, write_function},
      {"seqdb_truncate", 3, truncate_function}, {"seqdb_truncate_write", 4, truncate_write_function},
      {"seqdb_reserve", 3, reserve_function},
  };
  int rc = SQLITE_OK;
  for (size_t i = 0; rc == SQLITE_OK && i < sizeof functions / sizeof functions[0]; i++) {
    rc = sqlite3_create_function_v2(client->db, functions[i].name, functions[i].arguments, SQLITE_UTF8,
                                    sdb_client_ref(client), functions[i].function, NULL, NULL, sdb_client_unref);
  }
  return rc;
}
