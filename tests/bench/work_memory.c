/* SPDX-License-Identifier: MIT
**
** work_memory.c: what an open database of 100,000 regions holds on the heap, and what a scan allocates. The budget: 256
** bytes for each region besides its name, beyond fixed buffers of 16 MiB in all.  Opening is held against it without
** the buffers, appending with them.
*/
#include "contenders.h"

#include <stdio.h>
#include <stdlib.h>

#define NAME_BYTES    13
#define FIXED_BUFFERS (16.0 * 1024 * 1024)

static uint64_t regions_of(const bench_run *run) {
  return bench_size(run, 100000, 2000);
}

static void prepare(bench_run *run) {
  char name[NAME_BYTES + 1];
  seqdb *db = bench_seqdb_open(run);
  for (uint64_t i = 0; i < regions_of(run); i++) {
    seqdb_region region;
    snprintf(name, sizeof name, "region %06u", (unsigned)(i % 1000000));
    bench_seqdb_must(run, db, seqdb_find_or_create(db, name, NAME_BYTES, &region, NULL), "create");
  }
  bench_seqdb_flush(run, db);
  seqdb_close(db);
  sqlite3_close(bench_sql_open(run));
}

/* Bytes for each region besides its name since `before`; `fixed` are forgiven. */
static double per_region(const bench_run *run, uint64_t before, double fixed) {
  double held = (double)bench_heap_bytes() - (double)before - fixed - (double)(regions_of(run) * NAME_BYTES);
  return (held > 0 ? held : 0) / (double)regions_of(run);
}

static uint64_t scan_allocations(bench_run *run, seqdb *db) {
  uint64_t seen = 0, before = bench_allocations();
  seqdb_snapshot *snapshot = bench_seqdb_snapshot(run, db);
  seqdb_region_info info;
  for (uint64_t index = 0; seqdb_iterate(seqdb_snapshot_view(snapshot), index, &info) == SEQDB_OK;
       index = (uint64_t)info.index + 1)
    seen++;
  seqdb_snapshot_close(snapshot);
  bench_check(run, seen == regions_of(run), "number of regions");
  return bench_allocations() - before;
}

static void memory_seqdb(bench_run *run) {
  uint8_t record[64] = {1};
  seqdb_region_info info;
  uint64_t before = bench_heap_bytes();
  bench_begin(run);
  seqdb *db = bench_seqdb_open(run);
  bench_metric(run, 0, per_region(run, before, 0));
  bench_metric(run, 2, (double)scan_allocations(run, db) / (double)regions_of(run));
  seqdb_snapshot *snapshot = bench_seqdb_snapshot(run, db);
  seqdb_region *regions = bench_alloc(run, regions_of(run) * sizeof *regions);
  uint64_t count = 0;
  for (uint64_t index = 0; seqdb_iterate(seqdb_snapshot_view(snapshot), index, &info) == SEQDB_OK;
       index = (uint64_t)info.index + 1) {
    regions[count++] = info.region;
  }
  seqdb_snapshot_close(snapshot);
  before += count * sizeof *regions;
  for (uint64_t i = 0; i < count; i++) {
    bench_seqdb_must(run, db, seqdb_append(db, regions[i], record, sizeof record, NULL), "append");
  }
  bench_metric(run, 1, per_region(run, before, FIXED_BUFFERS));
  bench_seqdb_must(run, db, seqdb_rollback(db), "rollback");
  seqdb_close(db);
}

static void memory_sql(bench_run *run) {
  sqlite3 *db = bench_sql_open(run);
  sqlite3_stmt *scan = bench_prepare(run, db, "SELECT name, length, offset FROM r");
  uint64_t rows = 0, before = bench_allocations();
  bench_begin(run);
  for (; sqlite3_step(scan) == SQLITE_ROW; rows++)
    bench_check(run, sqlite3_column_bytes(scan, 0) == NAME_BYTES, "a name");
  bench_metric(run, 2, (double)(bench_allocations() - before) / (double)regions_of(run));
  bench_check(run, rows == regions_of(run), "number of regions");
}

static const bench_case memory_cases[] = {
    {"seqdb", prepare, memory_seqdb},
    {"seqdb SQL", prepare, memory_sql},
    {NULL, NULL, NULL},
};
static const bench_row memory_rows[] = {
    {.name = "memory-open",
     .title = "heap of an open database of 100,000 regions, names not counted",
     .unit = "B/region",
     .ours = "seqdb",
     .limit = 256,
     .at_most = true},
    {.name = "memory-append",
     .title = "after appending to each of them, beyond 16 MiB of buffers",
     .unit = "B/region",
     .metric = 1,
     .ours = "seqdb",
     .limit = 256,
     .at_most = true},
    {.name = "memory-scan",
     .title = "allocations of a scan",
     .unit = "per row",
     .metric = 2,
     .ours = "seqdb SQL",
     .limit = 0.001,
     .at_most = true},
    {.name = NULL},
};

const bench_workload bench_memory_workloads[] = {
    {.name = "memory", .cases = memory_cases, .rows = memory_rows},
    {.name = NULL},
};
