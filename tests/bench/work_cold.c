/* SPDX-License-Identifier: MIT
**
** work_cold.c: opening a database of 100,000 and of 1,000,000 regions with nothing of it in the page cache, and finding
** one by name; beside SQLite's table of the same rows.
*/
#include "work_many.h"

#define COLD 100000u
#define HUGE 1000000u

static void prepare_names(bench_run *run, uint64_t count) {
  char name[BENCH_NAME_BYTES + 1];
  seqdb *db = bench_seqdb_open(run);
  for (uint64_t i = 0; i < count; i++) {
    seqdb_region region = 0;
    bench_name_of(i, name);
    bench_seqdb_must(run, db, seqdb_find_or_create(db, name, BENCH_NAME_BYTES, &region, NULL), "create");
  }
  bench_seqdb_flush(run, db);
  seqdb_close(db);
}
static void prepare_cold_seqdb(bench_run *run) {
  prepare_names(run, bench_size(run, COLD, 1000));
}
static void prepare_cold_sqlite(bench_run *run) {
  bench_prepare_sqlite(run, BENCH_ROWID_TABLE, bench_size(run, COLD, 1000));
}
static void prepare_huge_seqdb(bench_run *run) {
  prepare_names(run, bench_size(run, HUGE, 1000));
}
static void prepare_huge_sqlite(bench_run *run) {
  bench_prepare_sqlite(run, BENCH_ROWID_TABLE, bench_size(run, HUGE, 1000));
}

/* Metric 0: time in ms; 1: MB read from the disk; 2: heap in bytes a region, names not counted. */
static void end_cold(bench_run *run, uint64_t read_before) {
  bench_metric(run, 0, bench_end(run) / 1e6);
  bench_metric(run, 1, (double)(bench_read_bytes() - read_before) / 1e6);
}

/* The program's own pages are read before. */
static void cold_seqdb(bench_run *run, uint64_t count) {
  char name[BENCH_NAME_BYTES + 1];
  uint64_t before = bench_heap_bytes();
  bench_name_of(count - 1, name);
  bench_check(run, bench_drop_caches(), "dropping the page cache");
  uint64_t read = bench_read_bytes();
  bench_again(run);
  seqdb *db = bench_seqdb_open(run);
  seqdb_snapshot *snapshot = bench_seqdb_snapshot(run, db);
  (void)bench_seqdb_find(run, snapshot, name);
  end_cold(run, read);
  double held = (double)(bench_heap_bytes() - before) - (double)count * BENCH_NAME_BYTES;
  bench_metric(run, 2, held / (double)count);
  seqdb_snapshot_close(snapshot);
  seqdb_close(db);
}
static void cold_sqlite(bench_run *run, uint64_t count) {
  char name[BENCH_NAME_BYTES + 1];
  bench_name_of(count - 1, name);
  bench_check(run, bench_drop_caches(), "dropping the page cache");
  uint64_t read = bench_read_bytes();
  bench_again(run);
  sqlite3 *db = bench_sqlite_open(run, BENCH_WAL);
  sqlite3_stmt *find = bench_prepare(run, db, "SELECT length FROM t WHERE name = ?1");
  sqlite3_bind_text(find, 1, name, BENCH_NAME_BYTES, SQLITE_STATIC);
  bench_step(run, find, SQLITE_ROW);
  end_cold(run, read);
  sqlite3_finalize(find);
  sqlite3_close(db);
}

static void open_cold_seqdb(bench_run *run) {
  cold_seqdb(run, bench_size(run, COLD, 1000));
}
static void open_cold_sqlite(bench_run *run) {
  cold_sqlite(run, bench_size(run, COLD, 1000));
}
static void open_huge_seqdb(bench_run *run) {
  cold_seqdb(run, bench_size(run, HUGE, 1000));
}
static void open_huge_sqlite(bench_run *run) {
  cold_sqlite(run, bench_size(run, HUGE, 1000));
}

static const bench_case cold_cases[] = {
    {"seqdb", prepare_cold_seqdb, open_cold_seqdb},
    {"SQLite", prepare_cold_sqlite, open_cold_sqlite},
    {NULL, NULL, NULL},
};
static const bench_row cold_rows[] = {
    {.name = "open-cold",
     .title = "open with 100,000 regions, the page cache dropped, and find one",
     .unit = "ms",
     .ours = "seqdb",
     .peer = "SQLite",
     .limit = 30.0,
     .at_most = true},
    {.name = "open-cold-read",
     .title = "read from the disk by that",
     .unit = "MB",
     .metric = 1,
     .ours = "seqdb",
     .limit = 12.0,
     .at_most = true},
    {.name = NULL},
};
static const bench_case huge_cases[] = {
    {"seqdb", prepare_huge_seqdb, open_huge_seqdb},
    {"SQLite", prepare_huge_sqlite, open_huge_sqlite},
    {NULL, NULL, NULL},
};
static const bench_row huge_rows[] = {
    {.name = "open-cold1m",
     .title = "open with 1,000,000 regions, the page cache dropped, and find one",
     .unit = "ms",
     .ours = "seqdb",
     .limit = 1000.0,
     .at_most = true},
    {.name = "open-cold1m-read",
     .title = "read from the disk by that",
     .unit = "MB",
     .metric = 1,
     .ours = "seqdb",
     .limit = 120.0,
     .at_most = true},
    {.name = "open-cold1m-heap",
     .title = "heap of it, names not counted",
     .unit = "B/region",
     .metric = 2,
     .ours = "seqdb",
     .limit = 200.0,
     .at_most = true},
    {.name = NULL},
};

const bench_workload bench_cold_workloads[] = {
    {.name = "open-cold", .cases = cold_cases, .rows = cold_rows, .cold = true},
    {.name = "open-cold1m", .cases = huge_cases, .rows = huge_rows, .cold = true, .huge = true},
    {.name = NULL},
};
