/* SPDX-License-Identifier: MIT
**
** work_processes.c: transactions a second of one, two and four processes that write to one database as fast as they
** can.  A transaction is a row, 100 bytes appended for the process, and 100 bytes appended for all; synchronous=FULL.
** SQLite's own way of appending is a row.  A process that must wait does so as PRAGMA busy_timeout has it.
*/
#include "contenders.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIECE_BYTES   100
#define PROCESSES_MAX 4
#define COUNT_FULL    500
#define COUNT_QUICK   5

/* Shared by the processes of one measurement. */
typedef struct meeting {
  _Atomic unsigned ready;
  _Atomic bool go;
  pid_t parent;
} meeting;

typedef struct contender {
  sqlite3 *(*open)(bench_run *run);
  const char *schema;
  const char *append; /* ?1: the process' name, ?2: the bytes */
  const char *count;  /* of pieces */
} contender;

static sqlite3 *open_sqlite(bench_run *run) {
  return bench_sqlite_open(run, BENCH_WAL);
}

static const contender seqdb_sql = {
    bench_sql_open,
    "CREATE TABLE log(name TEXT, n INTEGER); INSERT INTO r(name) VALUES('all')",
    "INSERT INTO r(name, append) VALUES(?1, ?2), ('all', ?2)",
    "SELECT sum(length) / 100 FROM r",
};
static const contender sqlite_wal = {
    open_sqlite,
    "CREATE TABLE log(name TEXT, n INTEGER); CREATE TABLE piece(name TEXT, content BLOB)",
    "INSERT INTO piece VALUES(?1, ?2), ('all', ?2)",
    "SELECT count(*) FROM piece",
};

static uint64_t count_of(const bench_run *run) {
  return bench_size(run, COUNT_FULL, COUNT_QUICK);
}

/* One of the processes; does not return. */
static void write_all(bench_run *run, const contender *who, unsigned index, meeting *at) {
  uint8_t piece[PIECE_BYTES];
  char name[16];
  sqlite3 *db = who->open(run);
  sqlite3_stmt *row = bench_prepare(run, db, "INSERT INTO log VALUES(?1, ?2)");
  sqlite3_stmt *append = bench_prepare(run, db, who->append);
  snprintf(name, sizeof name, "process %u", index);
  bench_fill(piece, sizeof piece, index);
  sqlite3_bind_text(row, 1, name, -1, SQLITE_STATIC);
  sqlite3_bind_text(append, 1, name, -1, SQLITE_STATIC);
  sqlite3_bind_blob(append, 2, piece, sizeof piece, SQLITE_STATIC);
  atomic_fetch_add(&at->ready, 1);
  while (!atomic_load(&at->go)) {
    usleep(200);
    if (getppid() != at->parent) _exit(1);
  }
  for (uint64_t i = 0; i < count_of(run); i++) {
    bench_sql(run, db, "BEGIN IMMEDIATE");
    sqlite3_bind_int64(row, 2, (sqlite3_int64)i);
    bench_step(run, row, SQLITE_DONE);
    sqlite3_reset(row);
    bench_step(run, append, SQLITE_DONE);
    sqlite3_reset(append);
    bench_sql(run, db, "COMMIT");
  }
  sqlite3_finalize(row);
  sqlite3_finalize(append);
  sqlite3_close(db);
  _exit(0);
}

/* The second half of the appended bytes is the common one. */
static void verify(bench_run *run, const contender *who, unsigned processes) {
  sqlite3 *db = who->open(run);
  uint64_t expected = 2 * processes * count_of(run);
  sqlite3_stmt *pieces = bench_prepare(run, db, who->count);
  sqlite3_stmt *rows = bench_prepare(run, db, "SELECT count(*) FROM log");
  bench_step(run, pieces, SQLITE_ROW);
  bench_step(run, rows, SQLITE_ROW);
  bench_check(run, (uint64_t)sqlite3_column_int64(pieces, 0) == expected, "number of pieces");
  bench_check(run, (uint64_t)sqlite3_column_int64(rows, 0) == expected / 2, "number of rows");
  sqlite3_finalize(pieces);
  sqlite3_finalize(rows);
  sqlite3_close(db);
}

/* SQLite must not be carried across fork(): the parent has nothing open meanwhile. */
static void measure(bench_run *run, const contender *who, unsigned processes, int metric) {
  pid_t children[PROCESSES_MAX];
  meeting *at = mmap(NULL, sizeof *at, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) bench_fail(run, "mmap failed");
  at->parent = getpid();
  sqlite3 *db = who->open(run);
  bench_sql(run, db, who->schema);
  sqlite3_close(db);
  for (unsigned i = 0; i < processes; i++) {
    children[i] = fork();
    if (children[i] < 0) bench_fail(run, "fork failed");
    if (children[i] == 0) write_all(run, who, i, at);
  }
  for (unsigned ms = 0; atomic_load(&at->ready) < processes; ms++) {
    if (waitpid(-1, NULL, WNOHANG) > 0) _exit(1); /* it has said why */
    if (ms > 30000) bench_fail(run, "a process did not start");
    usleep(1000);
  }
  bench_begin(run);
  atomic_store(&at->go, true);
  bool good = true;
  for (unsigned i = 0; i < processes; i++) {
    int status = 0;
    good = waitpid(children[i], &status, 0) == children[i] && status == 0 && good;
  }
  double ns = bench_end(run);
  if (!good) _exit(1); /* it has said why */
  verify(run, who, processes);
  bench_metric(run, metric, (double)(processes * count_of(run)) / (ns / 1e9));
  munmap(at, sizeof *at);
  bench_remove_tree(run->dir);
  mkdir(run->dir, 0777);
}

static void run_all(bench_run *run, const contender *who) {
  for (int i = 0; i < 3; i++)
    measure(run, who, 1u << i, i);
}
static void run_seqdb(bench_run *run) {
  run_all(run, &seqdb_sql);
}
static void run_sqlite(bench_run *run) {
  run_all(run, &sqlite_wal);
}

static const bench_case cases[] = {
    {"seqdb SQL", NULL, run_seqdb},
    {"SQLite WAL", NULL, run_sqlite},
    {NULL, NULL, NULL},
};
static const bench_row rows[] = {
    {.name = "processes1",
     .title = "transactions of a row and two appends, one process",
     .unit = "commits/s",
     .ours = "seqdb SQL",
     .peer = "SQLite WAL",
     .limit = 0.45},
    {.name = "processes2",
     .title = "the same, two processes at once",
     .unit = "commits/s",
     .metric = 1,
     .ours = "seqdb SQL",
     .peer = "SQLite WAL",
     .limit = 0.45},
    {.name = "processes4",
     .title = "the same, four processes",
     .unit = "commits/s",
     .metric = 2,
     .ours = "seqdb SQL",
     .peer = "SQLite WAL",
     .limit = 0.45},
    {.name = NULL},
};

const bench_workload bench_processes_workloads[] = {
    {.name = "processes", .cases = cases, .rows = rows},
    {.name = NULL},
};
