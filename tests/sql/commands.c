/* SPDX-License-Identifier: MIT
**
** commands.c: Tcl commands for what SQLite's own Tcl package cannot show: half-stepped statements, the address of a
** column's value, extended error codes, connections used from other threads, fast comparison of two queries.
**
** Each command takes the name of a handle made by `sqlite3 NAME FILE`; its client data begins with the sqlite3*.
**   sql_error DB                    -> {primary extended message autocommit}
**   sql_prepare DB SQL              -> STMT          sql_step STMT -> row | done | extended error code
**   sql_column STMT I               -> value         sql_blob_address STMT I -> address of the value's bytes, 0 if none
**   sql_reset STMT, sql_finalize STMT -> result code
**   sql_bytes_at ADDRESS COUNT      -> the bytes there
**   sql_limit DB ID VALUE           -> the old limit
**   sql_same DB1 SQL1 DB2 SQL2      -> "" or the first difference of the two results
**   sql_later DB MS SQL             -> job: runs SQL on DB in another thread after a while;  sql_join JOB -> result
**                                      (the word interrupt as SQL: calls sqlite3_interrupt)
**                                   code
**   sql_checksum BYTES              -> XXH3 of them, as a signed number
**   sql_threads FILE EXTENSION COUNT LOOPS SQL -> list of result codes, one a thread, each with a connection of its own
**
**   sql_close_loop FILE EXTENSION KEPT SQL -> result code of closing a connection that keeps KEPT prepared, after SQL,
**                                 the way many
**       programs do: while sqlite3_close() says SQLITE_BUSY, finalize all that sqlite3_next_stmt() tells
**
** The SQLite functions come through the extension interface, so that the file serves any SQLite that the Tcl package
** brings: load the fixture into one connection with entry point sqlite3_sdbtestsql_init before using the commands.
** Threads: commands belong to the interpreter's thread; only sql_later and sql_threads start others, which use no Tcl.
*/
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sqlite3ext.h>
#include <tcl.h>
#include "checksum.h"
#include "lib/testfixture.h"
#include "sql/commands.h"

__attribute__((visibility("default"))) int sqlite3_sdbtestsql_init(sqlite3 *db, char **error,
                                                                   const sqlite3_api_routines *api);

static const sqlite3_api_routines *sqlite3_api;

#define THREADS_MAX 16

typedef struct later_job {
  pthread_t thread;
  sqlite3 *db;
  char *sql;
  long wait_ms;
  int code;
} later_job;

typedef struct thread_job {
  pthread_t thread;
  const char *file, *extension, *sql;
  int loops;
  int code;
} thread_job;

int sqlite3_sdbtestsql_init(sqlite3 *db, char **error, const sqlite3_api_routines *api) {
  (void)db;
  (void)error;
  if (sqlite3_api != api) sqlite3_api = api; /* other threads may be reading it */
  return SQLITE_OK;
}

const sqlite3_api_routines *sdb_test_sqlite_api(void) {
  return sqlite3_api;
}

static int fail(Tcl_Interp *interp, const char *message) {
  Tcl_SetObjResult(interp, Tcl_NewStringObj(message, -1));
  return TCL_ERROR;
}

static int get_db(Tcl_Interp *interp, Tcl_Obj *name, sqlite3 **db) {
  Tcl_CmdInfo info;
  if (!Tcl_GetCommandInfo(interp, Tcl_GetString(name), &info)) return fail(interp, "no such database handle");
  if (!sqlite3_api) return fail(interp, "load the fixture into a connection first");
  *db = *(sqlite3 **)info.objClientData;
  return TCL_OK;
}

static int get_pointer(Tcl_Interp *interp, Tcl_Obj *object, void **pointer) {
  Tcl_WideInt value;
  if (Tcl_GetWideIntFromObj(interp, object, &value) != TCL_OK) return TCL_ERROR;
  *pointer = (void *)(intptr_t)value;
  return TCL_OK;
}

static Tcl_Obj *pointer_object(const void *pointer) {
  return Tcl_NewWideIntObj((Tcl_WideInt)(intptr_t)pointer);
}

static Tcl_Obj *column_object(sqlite3_stmt *stmt, int i) {
  switch (sqlite3_column_type(stmt, i)) {
    case SQLITE_INTEGER:
      return Tcl_NewWideIntObj(sqlite3_column_int64(stmt, i));
    case SQLITE_FLOAT:
      return Tcl_NewDoubleObj(sqlite3_column_double(stmt, i));
    case SQLITE_BLOB: {
      const void *bytes = sqlite3_column_blob(stmt, i);
      return Tcl_NewByteArrayObj(bytes, sqlite3_column_bytes(stmt, i));
    }
    case SQLITE_TEXT: {
      const char *text = (const char *)sqlite3_column_text(stmt, i);
      return Tcl_NewStringObj(text, sqlite3_column_bytes(stmt, i));
    }
    default:
      return Tcl_NewObj();
  }
}

static int cmd_error(ClientData data, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)data;
  if (argc != 2) return fail(interp, "usage: sql_error DB");
  sqlite3 *db;
  if (get_db(interp, argv[1], &db) != TCL_OK) return TCL_ERROR;
  Tcl_Obj *parts[4] = {Tcl_NewIntObj(sqlite3_extended_errcode(db) & 0xff), Tcl_NewIntObj(sqlite3_extended_errcode(db)),
                       Tcl_NewStringObj(sqlite3_errmsg(db), -1), Tcl_NewIntObj(sqlite3_get_autocommit(db))};
  Tcl_SetObjResult(interp, Tcl_NewListObj(4, parts));
  return TCL_OK;
}

static int cmd_prepare(ClientData data, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)data;
  if (argc != 3) return fail(interp, "usage: sql_prepare DB SQL");
  sqlite3 *db;
  sqlite3_stmt *stmt = NULL;
  if (get_db(interp, argv[1], &db) != TCL_OK) return TCL_ERROR;
  if (sqlite3_prepare_v2(db, Tcl_GetString(argv[2]), -1, &stmt, NULL) != SQLITE_OK)
    return fail(interp, sqlite3_errmsg(db));
  Tcl_SetObjResult(interp, pointer_object(stmt));
  return TCL_OK;
}

static int cmd_step(ClientData data, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)data;
  void *stmt;
  if (argc != 2) return fail(interp, "usage: sql_step STMT");
  if (get_pointer(interp, argv[1], &stmt) != TCL_OK) return TCL_ERROR;
  int code = sqlite3_step(stmt);
  if (code == SQLITE_ROW) {
    Tcl_SetObjResult(interp, Tcl_NewStringObj("row", -1));
  } else if (code == SQLITE_DONE) {
    Tcl_SetObjResult(interp, Tcl_NewStringObj("done", -1));
  } else {
    Tcl_SetObjResult(interp, Tcl_NewIntObj(sqlite3_extended_errcode(sqlite3_db_handle(stmt))));
  }
  return TCL_OK;
}

static int get_column(Tcl_Interp *interp, Tcl_Obj *const argv[], sqlite3_stmt **stmt, int *column) {
  void *pointer;
  if (get_pointer(interp, argv[1], &pointer) != TCL_OK) return TCL_ERROR;
  if (Tcl_GetIntFromObj(interp, argv[2], column) != TCL_OK) return TCL_ERROR;
  *stmt = pointer;
  return TCL_OK;
}

static int cmd_column(ClientData data, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)data;
  sqlite3_stmt *stmt;
  int column;
  if (argc != 3) return fail(interp, "usage: sql_column STMT I");
  if (get_column(interp, argv, &stmt, &column) != TCL_OK) return TCL_ERROR;
  Tcl_SetObjResult(interp, column_object(stmt, column));
  return TCL_OK;
}

static int cmd_blob_address(ClientData data, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)data;
  sqlite3_stmt *stmt;
  int column;
  if (argc != 3) return fail(interp, "usage: sql_blob_address STMT I");
  if (get_column(interp, argv, &stmt, &column) != TCL_OK) return TCL_ERROR;
  Tcl_SetObjResult(interp, pointer_object(sqlite3_column_blob(stmt, column)));
  return TCL_OK;
}

static int cmd_reset(ClientData data, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  void *stmt;
  if (argc != 2) return fail(interp, "usage: sql_reset STMT | sql_finalize STMT");
  if (get_pointer(interp, argv[1], &stmt) != TCL_OK) return TCL_ERROR;
  int code = data ? sqlite3_finalize(stmt) : sqlite3_reset(stmt);
  Tcl_SetObjResult(interp, Tcl_NewIntObj(code));
  return TCL_OK;
}

static int cmd_bytes_at(ClientData data, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)data;
  void *address;
  int count;
  if (argc != 3) return fail(interp, "usage: sql_bytes_at ADDRESS COUNT");
  if (get_pointer(interp, argv[1], &address) != TCL_OK) return TCL_ERROR;
  if (Tcl_GetIntFromObj(interp, argv[2], &count) != TCL_OK) return TCL_ERROR;
  Tcl_SetObjResult(interp, Tcl_NewByteArrayObj(address, count));
  return TCL_OK;
}

static int cmd_limit(ClientData data, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)data;
  sqlite3 *db;
  int id, value;
  if (argc != 4) return fail(interp, "usage: sql_limit DB ID VALUE");
  if (get_db(interp, argv[1], &db) != TCL_OK) return TCL_ERROR;
  if (Tcl_GetIntFromObj(interp, argv[2], &id) != TCL_OK) return TCL_ERROR;
  if (Tcl_GetIntFromObj(interp, argv[3], &value) != TCL_OK) return TCL_ERROR;
  Tcl_SetObjResult(interp, Tcl_NewIntObj(sqlite3_limit(db, id, value)));
  return TCL_OK;
}

static int same_value(sqlite3_stmt *a, sqlite3_stmt *b, int i) {
  int type = sqlite3_column_type(a, i);
  if (type != sqlite3_column_type(b, i)) return 0;
  if (type == SQLITE_INTEGER) return sqlite3_column_int64(a, i) == sqlite3_column_int64(b, i);
  const void *left = sqlite3_column_blob(a, i), *right = sqlite3_column_blob(b, i);
  int bytes = sqlite3_column_bytes(a, i);
  if (bytes != sqlite3_column_bytes(b, i)) return 0;
  return bytes == 0 || memcmp(left, right, (size_t)bytes) == 0;
}

/* Compare row by row; on a difference write what differs, with the row's first column, into text. */
static void compare_rows(sqlite3_stmt *a, sqlite3_stmt *b, char *text, size_t text_bytes) {
  for (int row = 0;; row++) {
    int code_a = sqlite3_step(a), code_b = sqlite3_step(b);
    if (code_a != code_b) {
      const char *name = code_a == SQLITE_ROW   ? (const char *)sqlite3_column_text(a, 0)
                         : code_b == SQLITE_ROW ? (const char *)sqlite3_column_text(b, 0)
                                                : NULL;
      snprintf(text, text_bytes, "row %d: the first steps to %d (%s), the second to %d (%s), at '%s'", row, code_a,
               sqlite3_errmsg(sqlite3_db_handle(a)), code_b, sqlite3_errmsg(sqlite3_db_handle(b)), name ? name : "");
      return;
    }
    if (code_a != SQLITE_ROW) {
      if (code_a != SQLITE_DONE)
        snprintf(text, text_bytes, "row %d: both fail with %d: %s", row, code_a, sqlite3_errmsg(sqlite3_db_handle(a)));
      return;
    }
    for (int i = 0; i < sqlite3_column_count(a); i++) {
      if (same_value(a, b, i)) continue;
      snprintf(text, text_bytes, "row %d, first column '%s', column %d differs: %d and %d bytes", row,
               (const char *)sqlite3_column_text(a, 0), i, sqlite3_column_bytes(a, i), sqlite3_column_bytes(b, i));
      return;
    }
  }
}

static int cmd_same(ClientData data, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)data;
  sqlite3 *db[2];
  sqlite3_stmt *stmt[2] = {NULL, NULL};
  char text[512] = "";
  if (argc != 5) return fail(interp, "usage: sql_same DB1 SQL1 DB2 SQL2");
  for (int i = 0; i < 2; i++) {
    if (get_db(interp, argv[1 + 2 * i], &db[i]) != TCL_OK) return TCL_ERROR;
    if (sqlite3_prepare_v2(db[i], Tcl_GetString(argv[2 + 2 * i]), -1, &stmt[i], NULL) != SQLITE_OK) {
      snprintf(text, sizeof text, "query %d: %s", i + 1, sqlite3_errmsg(db[i]));
      goto done;
    }
  }
  if (sqlite3_column_count(stmt[0]) != sqlite3_column_count(stmt[1])) {
    snprintf(text, sizeof text, "the queries have different numbers of columns");
    goto done;
  }
  compare_rows(stmt[0], stmt[1], text, sizeof text);
done:
  sqlite3_finalize(stmt[0]);
  sqlite3_finalize(stmt[1]);
  Tcl_SetObjResult(interp, Tcl_NewStringObj(text, -1));
  return TCL_OK;
}

static void *later_main(void *context) {
  later_job *job = context;
  struct timespec wait = {job->wait_ms / 1000, (job->wait_ms % 1000) * 1000000};
  nanosleep(&wait, NULL);
  if (strcmp(job->sql, "interrupt") == 0) {
    sqlite3_interrupt(job->db);
  } else {
    job->code = sqlite3_exec(job->db, job->sql, NULL, NULL, NULL);
  }
  return NULL;
}

static int cmd_later(ClientData data, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)data;
  sqlite3 *db;
  long wait_ms;
  if (argc != 4) return fail(interp, "usage: sql_later DB MS SQL");
  if (get_db(interp, argv[1], &db) != TCL_OK) return TCL_ERROR;
  if (Tcl_GetLongFromObj(interp, argv[2], &wait_ms) != TCL_OK) return TCL_ERROR;
  later_job *job = calloc(1, sizeof *job);
  if (job) job->sql = strdup(Tcl_GetString(argv[3]));
  if (!job || !job->sql) {
    free(job);
    return fail(interp, "out of memory");
  }
  job->db = db;
  job->wait_ms = wait_ms;
  if (pthread_create(&job->thread, NULL, later_main, job) != 0) {
    free(job->sql);
    free(job);
    return fail(interp, "no thread");
  }
  Tcl_SetObjResult(interp, pointer_object(job));
  return TCL_OK;
}

static int cmd_join(ClientData data, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)data;
  void *pointer;
  if (argc != 2) return fail(interp, "usage: sql_join JOB");
  if (get_pointer(interp, argv[1], &pointer) != TCL_OK) return TCL_ERROR;
  later_job *job = pointer;
  pthread_join(job->thread, NULL);
  Tcl_SetObjResult(interp, Tcl_NewIntObj(job->code));
  free(job->sql);
  free(job);
  return TCL_OK;
}

static void *thread_main(void *context) {
  thread_job *job = context;
  sqlite3 *db = NULL;
  job->code = sqlite3_open(job->file, &db);
  if (job->code != SQLITE_OK) goto done;
  sqlite3_busy_timeout(db, 60000);
  sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1, (int *)0);
  job->code = sqlite3_load_extension(db, job->extension, NULL, NULL);
  for (int i = 0; i < job->loops && job->code == SQLITE_OK; i++) {
    job->code = sqlite3_exec(db, job->sql, NULL, NULL, NULL);
  }
done:
  if (sqlite3_close(db) != SQLITE_OK && job->code == SQLITE_OK) job->code = SQLITE_MISUSE;
  return NULL;
}

static int cmd_threads(ClientData data, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)data;
  int count, loops, started = 0;
  thread_job jobs[THREADS_MAX];
  if (argc != 6) return fail(interp, "usage: sql_threads FILE EXTENSION COUNT LOOPS SQL");
  if (!sqlite3_api) return fail(interp, "load the fixture into a connection first");
  if (Tcl_GetIntFromObj(interp, argv[3], &count) != TCL_OK) return TCL_ERROR;
  if (Tcl_GetIntFromObj(interp, argv[4], &loops) != TCL_OK) return TCL_ERROR;
  if (count < 1 || count > THREADS_MAX) return fail(interp, "bad number of threads");
  for (; started < count; started++) {
    thread_job *job = &jobs[started];
    *job = (thread_job){.file = Tcl_GetString(argv[1]), .extension = Tcl_GetString(argv[2])};
    job->sql = Tcl_GetString(argv[5]);
    job->loops = loops;
    if (pthread_create(&job->thread, NULL, thread_main, job) != 0) break;
  }
  Tcl_Obj *codes = Tcl_NewListObj(0, NULL);
  for (int i = 0; i < started; i++) {
    pthread_join(jobs[i].thread, NULL);
    Tcl_ListObjAppendElement(interp, codes, Tcl_NewIntObj(jobs[i].code));
  }
  Tcl_SetObjResult(interp, codes);
  return TCL_OK;
}

static int cmd_close_loop(ClientData data, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)data;
  sqlite3 *db = NULL;
  sqlite3_stmt *kept = NULL;
  if (argc != 5) return fail(interp, "usage: sql_close_loop FILE EXTENSION KEPT SQL");
  if (!sqlite3_api) return fail(interp, "load the fixture into a connection first");
  int code = sqlite3_open(Tcl_GetString(argv[1]), &db);
  if (code == SQLITE_OK) code = sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1, (int *)0);
  if (code == SQLITE_OK) code = sqlite3_load_extension(db, Tcl_GetString(argv[2]), NULL, NULL);
  if (code == SQLITE_OK) code = sqlite3_prepare_v2(db, Tcl_GetString(argv[3]), -1, &kept, NULL);
  if (code == SQLITE_OK) {
    sqlite3_step(kept);
    sqlite3_reset(kept);
    code = sqlite3_exec(db, Tcl_GetString(argv[4]), NULL, NULL, NULL);
  }
  for (int closed; (closed = sqlite3_close(db)) != SQLITE_OK;) {
    if (closed != SQLITE_BUSY) return fail(interp, "cannot close");
    for (sqlite3_stmt *at; (at = sqlite3_next_stmt(db, NULL)) != NULL;)
      sqlite3_finalize(at);
  }
  Tcl_SetObjResult(interp, Tcl_NewIntObj(code));
  return TCL_OK;
}

static int cmd_checksum(ClientData data, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)data;
  int bytes = 0;
  if (argc != 2) return fail(interp, "usage: sql_checksum BYTES");
  const unsigned char *p = Tcl_GetByteArrayFromObj(argv[1], &bytes);
  Tcl_SetObjResult(interp, Tcl_NewWideIntObj((Tcl_WideInt)sdb_checksum(p, (size_t)bytes)));
  return TCL_OK;
}

int sdb_test_sql_init(Tcl_Interp *interp) {
  static const struct {
    const char *name;
    Tcl_ObjCmdProc *run;
    ClientData data;
  } commands[] = {
      {"sql_error", cmd_error, NULL},
      {"sql_prepare", cmd_prepare, NULL},
      {"sql_step", cmd_step, NULL},
      {"sql_column", cmd_column, NULL},
      {"sql_blob_address", cmd_blob_address, NULL},
      {"sql_reset", cmd_reset, NULL},
      {"sql_finalize", cmd_reset, (ClientData)1},
      {"sql_bytes_at", cmd_bytes_at, NULL},
      {"sql_limit", cmd_limit, NULL},
      {"sql_same", cmd_same, NULL},
      {"sql_later", cmd_later, NULL},
      {"sql_join", cmd_join, NULL},
      {"sql_threads", cmd_threads, NULL},
      {"sql_close_loop", cmd_close_loop, NULL},
      {"sql_checksum", cmd_checksum, NULL},
  };
  for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
    Tcl_CreateObjCommand(interp, commands[i].name, commands[i].run, commands[i].data, NULL);
  }
  return TCL_OK;
}
