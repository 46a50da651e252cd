/* SPDX-License-Identifier: MIT
**
** load.c: transactions in which rows and regions must agree, of several threads, each with a connection of its own.
**
**   sql_load FILE EXTENSION THREADS COUNT SYNCHRONOUS SEED
**       -> {transactions disagreements busy older other-errors ?the first error's message?}
**
** t has one row for each region n0 to n3: its number is what the region says.  A transaction (BEGIN IMMEDIATE) reads
** both, compares, changes both, and commits; one in ten is rolled back.  Each tenth is followed by a reader's (BEGIN),
** which reads the row first, then the region: that may be newer, never older.
**
** The busy handler does not sleep: whoever is let in is there at once, in the moment that a commit leaves open.
** THREADS: the threads use no Tcl.
*/
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <time.h>
#include <sqlite3ext.h>
#include <tcl.h>
#include "lib/testfixture.h"
#include "sql/commands.h"

static const sqlite3_api_routines *sqlite3_api;

#define THREADS_MAX 16
#define REGIONS     4
#define PATIENCE_S  60

struct load {
  pthread_t thread;
  const char *file, *extension, *synchronous;
  int count;
  unsigned seed;
  sqlite3 *db;
  time_t begun; /* waiting, for this lock */
  int done, disagreements, busy, older, other;
  char message[200];
};

enum { BEGIN_WRITE, BEGIN_READ, ROW, REGION, SET_ROW, SET_REGION, COMMIT, ROLLBACK, STATEMENTS };
static const char *const statements[STATEMENTS] = {
    "BEGIN IMMEDIATE",
    "BEGIN",
    "SELECT v FROM t WHERE n = ?1",
    "SELECT CAST(CAST(content AS TEXT) AS INTEGER) FROM r WHERE name = 'n' || ?1",
    "UPDATE t SET v = v + 1 WHERE n = ?1",
    "UPDATE r SET content = CAST(CAST(CAST(content AS TEXT) AS INTEGER) + 1 AS TEXT) WHERE name = 'n' || ?1",
    "COMMIT",
    "ROLLBACK",
};

static int wait_awake(void *context, int calls) {
  struct load *load = context;
  if (calls == 0) load->begun = time(NULL);
  sched_yield();
  return time(NULL) - load->begun < PATIENCE_S;
}

static unsigned chance(struct load *load, unsigned n) {
  load->seed = load->seed * 1664525u + 1013904223u;
  return (load->seed >> 16) % n;
}

/* Runs one statement; *value is its first column. */
static int run(sqlite3_stmt *statement, int n, sqlite3_int64 *value) {
  if (sqlite3_bind_parameter_count(statement) > 0) sqlite3_bind_int(statement, 1, n);
  if (sqlite3_step(statement) == SQLITE_ROW && value) *value = sqlite3_column_int64(statement, 0);
  return sqlite3_reset(statement);
}

static int run_write(struct load *load, sqlite3_stmt **s, int n) {
  sqlite3_int64 row = -1, region = -1;
  int rc = run(s[BEGIN_WRITE], n, NULL);
  if (rc == SQLITE_OK) rc = run(s[ROW], n, &row);
  if (rc == SQLITE_OK) rc = run(s[REGION], n, &region);
  if (rc == SQLITE_OK && row != region) load->disagreements++;
  if (rc == SQLITE_OK) rc = run(s[SET_ROW], n, NULL);
  if (rc == SQLITE_OK) rc = run(s[SET_REGION], n, NULL);
  return rc == SQLITE_OK ? run(s[chance(load, 10) == 0 ? ROLLBACK : COMMIT], n, NULL) : rc;
}

static int run_read(struct load *load, sqlite3_stmt **s, int n) {
  sqlite3_int64 row = -1, region = -1;
  int rc = run(s[BEGIN_READ], n, NULL);
  if (rc == SQLITE_OK) rc = run(s[ROW], n, &row);
  if (rc == SQLITE_OK) rc = run(s[REGION], n, &region);
  if (rc == SQLITE_OK && region < row) load->older++;
  return rc == SQLITE_OK ? run(s[COMMIT], n, NULL) : rc;
}

static void tally(struct load *load, int rc, sqlite3_stmt **s) {
  if (rc == SQLITE_OK) return;
  if ((rc & 0xff) == SQLITE_BUSY)
    load->busy++;
  else
    load->other++;
  if (!load->message[0]) snprintf(load->message, sizeof load->message, "%d: %s", rc, sqlite3_errmsg(load->db));
  if (!sqlite3_get_autocommit(load->db)) run(s[ROLLBACK], 0, NULL);
}

static int open_load(struct load *load, sqlite3_stmt **s) {
  char pragma[64];
  int rc = sqlite3_open(load->file, &load->db);
  if (rc != SQLITE_OK) return rc;
  sqlite3_busy_handler(load->db, wait_awake, load);
  sqlite3_db_config(load->db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1, (int *)0);
  rc = sqlite3_load_extension(load->db, load->extension, "sqlite3_seqdb_init", NULL);
  snprintf(pragma, sizeof pragma, "PRAGMA synchronous = %s", load->synchronous);
  if (rc == SQLITE_OK) rc = sqlite3_exec(load->db, pragma, NULL, NULL, NULL);
  for (int i = 0; i < STATEMENTS && rc == SQLITE_OK; i++)
    rc = sqlite3_prepare_v2(load->db, statements[i], -1, &s[i], NULL);
  return rc;
}

static void *load_main(void *context) {
  struct load *load = context;
  sqlite3_stmt *s[STATEMENTS] = {NULL};
  int rc = open_load(load, s);
  tally(load, rc, s);
  for (int i = 0; i < load->count && rc == SQLITE_OK; i++) {
    tally(load, run_write(load, s, (int)chance(load, REGIONS)), s);
    if (i % 10 == 0) tally(load, run_read(load, s, (int)chance(load, REGIONS)), s);
    load->done++;
  }
  for (int i = 0; i < STATEMENTS; i++)
    sqlite3_finalize(s[i]);
  sqlite3_close(load->db);
  return NULL;
}

static Tcl_Obj *sums(const struct load *loads, int started) {
  struct load sum = {0};
  const char *message = "";
  for (int i = 0; i < started; i++) {
    sum.done += loads[i].done;
    sum.disagreements += loads[i].disagreements;
    sum.busy += loads[i].busy;
    sum.older += loads[i].older;
    sum.other += loads[i].other;
    if (loads[i].message[0]) message = loads[i].message;
  }
  Tcl_Obj *list = Tcl_NewListObj(0, NULL);
  const int numbers[] = {sum.done, sum.disagreements, sum.busy, sum.older, sum.other};
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
    Tcl_ListObjAppendElement(NULL, list, Tcl_NewIntObj(numbers[i]));
  if (message[0]) Tcl_ListObjAppendElement(NULL, list, Tcl_NewStringObj(message, -1));
  return list;
}

static int cmd_load(ClientData data, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)data;
  struct load loads[THREADS_MAX];
  int threads, count, seed, started = 0;
  sqlite3_api = sdb_test_sqlite_api();
  if (argc != 7 || !sqlite3_api) {
    Tcl_SetObjResult(
        interp,
        Tcl_NewStringObj("usage: sql_load FILE EXTENSION THREADS COUNT SYNCHRONOUS SEED, after a first connect", -1));
    return TCL_ERROR;
  }
  if (Tcl_GetIntFromObj(interp, argv[3], &threads) != TCL_OK) return TCL_ERROR;
  if (Tcl_GetIntFromObj(interp, argv[4], &count) != TCL_OK) return TCL_ERROR;
  if (Tcl_GetIntFromObj(interp, argv[6], &seed) != TCL_OK) return TCL_ERROR;
  for (; started < threads && started < THREADS_MAX; started++) {
    loads[started] = (struct load){.file = Tcl_GetString(argv[1]),
                                   .extension = Tcl_GetString(argv[2]),
                                   .synchronous = Tcl_GetString(argv[5]),
                                   .count = count / threads + (started < count % threads),
                                   .seed = (unsigned)(seed * THREADS_MAX + started)};
    if (pthread_create(&loads[started].thread, NULL, load_main, &loads[started]) != 0) break;
  }
  for (int i = 0; i < started; i++)
    pthread_join(loads[i].thread, NULL);
  Tcl_SetObjResult(interp, sums(loads, started));
  return TCL_OK;
}

int sdb_test_sql_load_init(Tcl_Interp *interp) {
  Tcl_CreateObjCommand(interp, "sql_load", cmd_load, NULL, NULL);
  return TCL_OK;
}
