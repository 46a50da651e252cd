/* SPDX-License-Identifier: MIT
**
** work_sizes.c: commits of 16 KiB to 1 MiB appended to one region: what a committed byte costs, in bytes written
** and in time, with the checkpoint that ends each series.  It shows where a commit should stop carrying its bytes:
**     one sync     data, the same bytes into a log, fdatasync(log); the data once more, with the checkpoint
**     two syncs    data, fdatasync(data), 256 bytes into the log, fdatasync(log)
** Bytes written are `write_bytes` of /proc/self/io: whole pages, each time that one becomes dirty.
*/
#include "contenders.h"

#include <stdlib.h>

#define COMMITS_FULL  64
#define COMMITS_QUICK 2
#define RECORD_BYTES  256
#define LOG_BYTES     (80 * BENCH_MIB) /* written before, as a log that is used again */
#define PAGE_BYTES    ((uint64_t)4096)
#define TIMES_FROM    3 /* metrics: bytes of three sizes, then times of five */

static const struct {
  uint64_t bytes;
  int bytes_metric, time_metric; /* -1: none */
} sizes[] = {{16 * BENCH_KIB, -1, 3},
             {64 * BENCH_KIB, 0, 4},
             {128 * BENCH_KIB, -1, 5},
             {256 * BENCH_KIB, 1, 6},
             {BENCH_MIB, 2, 7}};

#define SIZES (sizeof sizes / sizeof sizes[0])

typedef struct series {
  uint64_t bytes, commits, done; /* of one commit; of this series; bytes of all series */
  uint8_t *piece;
  seqdb *db;
  seqdb_region region;
  int data, log;
  uint64_t log_at;
} series;

/* All series; a first one that is not measured makes files and caches what they are in the long run. */
static void measure(bench_run *run, series *s, void (*commit)(bench_run *run, series *s),
                    void (*checkpoint)(bench_run *run, series *s)) {
  s->commits = bench_size(run, COMMITS_FULL, COMMITS_QUICK);
  s->piece = bench_alloc(run, BENCH_MIB);
  bench_fill(s->piece, BENCH_MIB, 7);
  for (size_t i = 0; i <= SIZES; i++) {
    size_t size = i ? i - 1 : 1;
    s->bytes = sizes[size].bytes;
    bench_begin(run);
    uint64_t before = bench_written_bytes();
    for (uint64_t c = 0; c < s->commits; c++, s->done += s->bytes)
      commit(run, s);
    checkpoint(run, s);
    if (i == 0) continue;
    bench_metric(run, sizes[size].time_metric, bench_end(run) / (double)s->commits / 1e3);
    double written = (double)(bench_written_bytes() - before);
    if (sizes[size].bytes_metric >= 0)
      bench_metric(run, sizes[size].bytes_metric, written / (double)(s->commits * s->bytes));
  }
}

static void check(bench_run *run, const series *s, const uint8_t *data) {
  uint64_t at = 0;
  for (size_t i = 0; i <= SIZES; i++)
    for (uint64_t c = 0, bytes = sizes[i ? i - 1 : 1].bytes; c < s->commits; c++, at += bytes)
      bench_check(run, memcmp(data + at, s->piece, bytes) == 0, "bytes of a commit");
  bench_check(run, at == s->done, "bytes of all commits");
}

/* ---- seqdb */

static void commit_seqdb(bench_run *run, series *s) {
  bench_seqdb_must(run, s->db, seqdb_append(s->db, s->region, s->piece, s->bytes, NULL), "append");
  bench_seqdb_flush(run, s->db);
}

static void checkpoint_seqdb(bench_run *run, series *s) {
  bench_seqdb_must(run, s->db, seqdb_checkpoint(s->db), "checkpoint");
}

static void sizes_seqdb(bench_run *run) {
  series s = {.db = bench_seqdb_open(run)};
  const void *data = NULL;
  s.region = bench_seqdb_region(run, s.db, "log");
  bench_seqdb_flush(run, s.db);
  measure(run, &s, commit_seqdb, checkpoint_seqdb);
  seqdb_close(s.db);
  s.db = bench_seqdb_open(run);
  seqdb_snapshot *snapshot = bench_seqdb_snapshot(run, s.db);
  s.region = bench_seqdb_find(run, snapshot, "log");
  bench_check(run, seqdb_read(seqdb_snapshot_view(snapshot), s.region, 0, s.done, &data) == SEQDB_OK,
              "region is not mapped");
  check(run, &s, data);
}

/* ---- plain files */

static void commit_one_sync(bench_run *run, series *s) {
  bench_pwrite(run, s->data, s->piece, s->bytes, s->done);
  bench_pwrite(run, s->log, s->piece, s->bytes, s->log_at);
  bench_pwrite(run, s->log, s->piece, RECORD_BYTES, s->log_at + s->bytes);
  bench_fdatasync(run, s->log);
  s->log_at += s->bytes + RECORD_BYTES;
}

static void commit_two_syncs(bench_run *run, series *s) {
  bench_pwrite(run, s->data, s->piece, s->bytes, s->done);
  bench_fdatasync(run, s->data);
  bench_pwrite(run, s->log, s->piece, RECORD_BYTES, s->log_at);
  bench_fdatasync(run, s->log);
  s->log_at += RECORD_BYTES;
}

static void checkpoint_plain(bench_run *run, series *s) {
  bench_fdatasync(run, s->data);
  s->log_at = 0;
}

static void sizes_plain(bench_run *run, void (*commit)(bench_run *run, series *s)) {
  series s = {.data = bench_plain_open(run, "data"), .log = bench_plain_open(run, "log")};
  uint8_t *zeros = bench_alloc(run, PAGE_BYTES);
  for (uint64_t at = 0; at < LOG_BYTES; at += PAGE_BYTES) /* larger pieces: write_bytes would count larger folios */
    bench_pwrite(run, s.log, zeros, PAGE_BYTES, at);
  bench_fdatasync(run, s.log);
  measure(run, &s, commit, checkpoint_plain);
  check(run, &s, bench_plain_map(run, s.data, s.done));
}

static void sizes_one_sync(bench_run *run) {
  sizes_plain(run, commit_one_sync);
}
static void sizes_two_syncs(bench_run *run) {
  sizes_plain(run, commit_two_syncs);
}

/* ---- tables */

static const bench_case sizes_cases[] = {
    {"plain, one sync", NULL, sizes_one_sync},
    {"plain, two syncs", NULL, sizes_two_syncs},
    {"seqdb", NULL, sizes_seqdb},
    {NULL, NULL, NULL},
};

#define BYTES_ROW(size, metric_, limit_)                                                                     \
  {                                                                                                          \
    .name = "commit-bytes" size, .title = "bytes written per byte committed, commits of " size, .unit = "x", \
    .metric = (metric_), .ours = "seqdb", .limit = (limit_), .at_most = (limit_) > 0                         \
  }
#define TIME_ROW(size, metric_)                                                                                 \
  {                                                                                                             \
    .name = "commit-time" size, .title = "a commit of " size " with its share of the checkpoint", .unit = "us", \
    .metric = (metric_), .ours = "plain, two syncs", .peer = "plain, one sync"                                  \
  }

/* The engine stops carrying bytes at 64 KiB: from four times that on a byte is to be written once. */
static const bench_row sizes_rows[] = {
    BYTES_ROW("64k", 0, 0),           BYTES_ROW("256k", 1, 1.3),       BYTES_ROW("1m", 2, 1.3),
    TIME_ROW("16k", TIMES_FROM),      TIME_ROW("64k", TIMES_FROM + 1), TIME_ROW("128k", TIMES_FROM + 2),
    TIME_ROW("256k", TIMES_FROM + 3), TIME_ROW("1m", TIMES_FROM + 4),  {.name = NULL},
};

const bench_workload bench_sizes_workloads[] = {
    {.name = "commit-sizes", .cases = sizes_cases, .rows = sizes_rows},
    {.name = NULL},
};
