/* SPDX-License-Identifier: MIT
**
** work_rows.c: what a COMMIT of rows and regions costs beside one of rows, in three modes of the SQLite file.
** Commit i inserts the row (i, 40 bytes), appends 300 bytes with i in the first 8 to a region, or does both.
** A measurement's number is the median of its commits, BEGIN to COMMIT; beside it stands the mean.
*/
#include "contenders.h"

#include <stdio.h>
#include <stdlib.h>

#define PIECE_BYTES   300
#define ROW_BYTES     40
#define COMMITS_FULL  500
#define COMMITS_QUICK 10

/* What a commit does: VALUES puts the bytes into the row itself. */
enum { ROWS = 1, REGIONS = 2, VALUES = 4 };

typedef struct writer {
  sqlite3 *db;
  int what;
  uint8_t piece[PIECE_BYTES];
  sqlite3_stmt *begin, *row, *append, *commit;
} writer;

static uint64_t commits_of(const bench_run *run) {
  return bench_size(run, COMMITS_FULL, COMMITS_QUICK);
}

static void writer_open(bench_run *run, writer *w, const char *mode, int what, const char *options) {
  char sql[256];
  w->db = bench_sqlite_open(run, BENCH_WAL);
  w->what = what;
  bench_sql(run, w->db, mode);
  bench_sql(run, w->db, "CREATE TABLE log(id INTEGER PRIMARY KEY, label BLOB, content BLOB)");
  w->row = bench_prepare(run, w->db, "INSERT INTO log VALUES(?1, ?2, ?3)");
  if (what & REGIONS) {
    bench_sql_load(run, w->db);
    snprintf(sql, sizeof sql, "CREATE VIRTUAL TABLE r USING seqdb('r.seqdb'%s); INSERT INTO r(name) VALUES('log')",
             options);
    bench_sql(run, w->db, sql);
    w->append = bench_prepare(run, w->db, "INSERT INTO r(name, append) VALUES('log', ?1)");
    sqlite3_bind_blob(w->append, 1, w->piece, PIECE_BYTES, SQLITE_STATIC);
  }
  w->begin = bench_prepare(run, w->db, "BEGIN");
  w->commit = bench_prepare(run, w->db, "COMMIT");
  bench_fill(w->piece, PIECE_BYTES, PIECE_BYTES);
  sqlite3_bind_blob(w->row, 2, w->piece, ROW_BYTES, SQLITE_STATIC);
  if (what & VALUES) sqlite3_bind_blob(w->row, 3, w->piece, PIECE_BYTES, SQLITE_STATIC);
}

static void step(bench_run *run, sqlite3_stmt *statement) {
  bench_step(run, statement, SQLITE_DONE);
  sqlite3_reset(statement);
}

static void write_one(bench_run *run, writer *w, uint64_t i) {
  memcpy(w->piece, &i, sizeof i);
  step(run, w->begin);
  if (w->what & ROWS) {
    sqlite3_bind_int64(w->row, 1, (sqlite3_int64)i);
    step(run, w->row);
  }
  if (w->what & REGIONS) step(run, w->append);
  step(run, w->commit);
}

static void verify_rows(bench_run *run, writer *w) {
  sqlite3_stmt *rows = bench_prepare(run, w->db, "SELECT count(*), sum(length(content)) FROM log");
  sqlite3_int64 count = (sqlite3_int64)(w->what & ROWS ? commits_of(run) : 0);
  bench_step(run, rows, SQLITE_ROW);
  bench_check(run, sqlite3_column_int64(rows, 0) == count, "number of rows");
  bench_check(run, sqlite3_column_int64(rows, 1) == (w->what & VALUES ? count * PIECE_BYTES : 0), "bytes of rows");
  sqlite3_finalize(rows);
}

static void verify_region(bench_run *run, writer *w) {
  sqlite3_stmt *content = bench_prepare(run, w->db, "SELECT content FROM r WHERE name = 'log'");
  bench_step(run, content, SQLITE_ROW);
  const uint8_t *at = sqlite3_column_blob(content, 0);
  bench_check(run, (uint64_t)sqlite3_column_bytes(content, 0) == commits_of(run) * PIECE_BYTES, "length of the region");
  for (uint64_t i = 0; i < commits_of(run); i++, at += PIECE_BYTES) {
    memcpy(w->piece, &i, sizeof i);
    bench_check(run, memcmp(at, w->piece, PIECE_BYTES) == 0, "bytes of the region");
  }
  sqlite3_finalize(content);
}

static void measure(bench_run *run, const char *mode, int what, const char *options) {
  uint64_t count = commits_of(run);
  uint64_t *samples = bench_alloc(run, count * sizeof *samples);
  writer w = {0};
  writer_open(run, &w, mode, what, options);
  bench_begin(run);
  for (uint64_t i = 0; i < count; i++) {
    uint64_t begin = bench_now_ns();
    write_one(run, &w, i);
    samples[i] = bench_now_ns() - begin;
  }
  bench_metric(run, 1, bench_end(run) / (double)count / 1e3);
  bench_metric(run, 0, bench_latency(run, samples, count) / 1e3);
  free(samples);
  verify_rows(run, &w);
  if (what & REGIONS) verify_region(run, &w);
}

/* One file, written to its final size before: what a wait for this disk costs at this moment. */
static void run_plain(bench_run *run) {
  uint64_t count = commits_of(run);
  uint64_t *samples = bench_alloc(run, count * sizeof *samples);
  uint8_t *bytes = bench_alloc(run, count * PIECE_BYTES);
  int fd = bench_plain_open(run, "log");
  bench_pwrite(run, fd, bytes, count * PIECE_BYTES, 0);
  bench_begin(run);
  for (uint64_t i = 0; i < count; i++) {
    uint64_t begin = bench_now_ns();
    bench_pwrite(run, fd, bytes, PIECE_BYTES, i * PIECE_BYTES);
    bench_fdatasync(run, fd);
    samples[i] = bench_now_ns() - begin;
  }
  bench_metric(run, 1, bench_end(run) / (double)count / 1e3);
  bench_metric(run, 0, bench_latency(run, samples, count) / 1e3);
  free(samples);
}

/* ---- tables ------------------------------------------------------------------------------------------------------ */

/* The cases of one mode of the SQLite file. */
#define CASES(MODE, PRAGMAS)                               \
  static void MODE##_alone(bench_run *run) {               \
    measure(run, PRAGMAS, ROWS, "");                       \
  }                                                        \
  static void MODE##_values(bench_run *run) {              \
    measure(run, PRAGMAS, ROWS | VALUES, "");              \
  }                                                        \
  static void MODE##_both(bench_run *run) {                \
    measure(run, PRAGMAS, ROWS | REGIONS, "");             \
  }                                                        \
  static void MODE##_regions(bench_run *run) {             \
    measure(run, PRAGMAS, REGIONS, "");                    \
  }                                                        \
  static void MODE##_apart(bench_run *run) {               \
    measure(run, PRAGMAS, ROWS | REGIONS, ", atomic=0");   \
  }                                                        \
  static const bench_case MODE##_cases[] = {               \
      {"SQLite rows", NULL, MODE##_alone},                 \
      {"SQLite rows with the bytes", NULL, MODE##_values}, \
      {"rows and regions", NULL, MODE##_both},             \
      {"regions alone", NULL, MODE##_regions},             \
      {"atomic=0", NULL, MODE##_apart},                    \
      {"one fdatasync", NULL, run_plain},                  \
      {NULL, NULL, NULL},                                  \
  };

CASES(wal_normal, "PRAGMA synchronous=NORMAL")
CASES(wal_full, "PRAGMA synchronous=FULL")
CASES(delete_full, "PRAGMA journal_mode=DELETE; PRAGMA synchronous=FULL")

static const bench_row wal_normal_rows[] = {
    {.name = "rows-wal-normal",
     .title = "COMMIT of a row and 300 bytes of a region, WAL, NORMAL: median",
     .unit = "us",
     .ours = "rows and regions",
     .peer = "SQLite rows"},
    {.name = "rows-wal-normal-mean",
     .title = "the same: mean, checkpoints included",
     .unit = "us",
     .metric = 1,
     .ours = "rows and regions",
     .peer = "SQLite rows"},
    {.name = NULL},
};
static const bench_row wal_full_rows[] = {
    {.name = "rows-wal-full",
     .title = "the same in WAL, FULL: median",
     .unit = "us",
     .ours = "rows and regions",
     .peer = "SQLite rows"},
    {.name = "rows-wal-full-mean",
     .title = "the same: mean, checkpoints included",
     .unit = "us",
     .metric = 1,
     .ours = "rows and regions",
     .peer = "SQLite rows"},
    {.name = NULL},
};
static const bench_row delete_full_rows[] = {
    {.name = "rows-delete-full",
     .title = "the same in DELETE, FULL: median",
     .unit = "us",
     .ours = "rows and regions",
     .peer = "SQLite rows"},
    {.name = "rows-delete-full-mean",
     .title = "the same: mean, checkpoints included",
     .unit = "us",
     .metric = 1,
     .ours = "rows and regions",
     .peer = "SQLite rows"},
    {.name = NULL},
};

const bench_workload bench_rows_workloads[] = {
    {.name = "rows-wal-normal", .cases = wal_normal_cases, .rows = wal_normal_rows},
    {.name = "rows-wal-full", .cases = wal_full_cases, .rows = wal_full_rows},
    {.name = "rows-delete-full", .cases = delete_full_cases, .rows = delete_full_rows},
    {.name = NULL},
};
