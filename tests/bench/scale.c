/* SPDX-License-Identifier: MIT
**
** scale.c: what an operation costs against the number of regions, the size of a region and the number of threads. One
** child process measures one point; rounds alternate over the points.  Costs that should not depend on the point are
** marked `flat`: the report names those whose cost at the last point is more than twice that at the first one from
** which on it counts.
*/
#include "report.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include "contenders.h"

#define NAME_BYTES   13
#define PIECE_BYTES  4096
#define PLACES       256
#define RECORD_BYTES 64
#define THREADS_MAX  4

static void name_of(uint64_t i, char name[NAME_BYTES + 1]) {
  snprintf(name, NAME_BYTES + 1, "region%07u", (unsigned)(i % 10000000));
}

/* Median, in us, of `count` runs of op(). */
static double median_us(bench_run *run, size_t count, void (*op)(bench_run *run, void *context, uint64_t i),
                        void *context) {
  uint64_t *samples = bench_alloc(run, count * sizeof *samples);
  for (size_t i = 0; i < count; i++) {
    uint64_t begin = bench_now_ns();
    op(run, context, i);
    samples[i] = bench_now_ns() - begin;
  }
  double median = bench_latency(run, samples, count) / 1e3;
  run->result->has_latency = false;
  free(samples);
  return median;
}

typedef struct subject {
  seqdb *db;
  seqdb_region region;
  seqdb_region *regions;
  uint64_t count, bytes;
} subject;

static void commit_append(bench_run *run, void *context, uint64_t i) {
  subject *s = context;
  uint8_t record[100] = {(uint8_t)i};
  bench_seqdb_must(run, s->db, seqdb_append(s->db, s->region, record, sizeof record, NULL), "append");
  bench_seqdb_flush(run, s->db);
}
static void commit_overwrite(bench_run *run, void *context, uint64_t i) {
  subject *s = context;
  uint64_t seed = i;
  bench_seqdb_must(run, s->db, seqdb_write(s->db, s->region, bench_random(&seed) % (s->bytes - 8), &i, sizeof i),
                   "write");
  bench_seqdb_flush(run, s->db);
}
static void open_snapshot(bench_run *run, void *context, uint64_t i) {
  (void)i;
  seqdb_snapshot_close(bench_seqdb_snapshot(run, ((subject *)context)->db));
}

/* ---- number of regions ------------------------------------------------------------------------------------------- */

static void fill_regions(bench_run *run, subject *s) {
  char name[NAME_BYTES + 1];
  bench_begin(run);
  for (uint64_t i = 0; i < s->count; i++) {
    name_of(i, name);
    bench_seqdb_must(run, s->db, seqdb_find_or_create(s->db, name, NAME_BYTES, &s->regions[i], NULL), "create");
  }
  bench_metric(run, 0, bench_end(run) / (double)s->count);
  bench_seqdb_flush(run, s->db);
  bench_metric(run, 1, bench_end(run) / (double)s->count);
  seqdb_close(s->db);
}

static void find_all(bench_run *run, subject *s) {
  char name[NAME_BYTES + 1];
  uint64_t finds = bench_size(run, 100000, 2000), seed = 9, found = 0;
  seqdb_region_info info;
  seqdb_snapshot *snapshot = bench_seqdb_snapshot(run, s->db);
  bench_begin(run);
  for (uint64_t i = 0; i < finds; i++) {
    seqdb_region region = 0;
    name_of(bench_random(&seed) % s->count, name);
    found += seqdb_find(seqdb_snapshot_view(snapshot), name, NAME_BYTES, &region) == SEQDB_OK;
  }
  bench_metric(run, 3, bench_end(run) / (double)finds);
  bench_check(run, found == finds, "regions found");
  bench_begin(run);
  for (uint64_t index = found = 0; seqdb_iterate(seqdb_snapshot_view(snapshot), index, &info) == SEQDB_OK;
       index = (uint64_t)info.index + 1) {
    s->regions[found++] = info.region;
  }
  bench_metric(run, 4, bench_end(run) / (double)s->count);
  bench_check(run, found == s->count, "regions scanned");
  seqdb_snapshot_close(snapshot);
}

/* One record to each of 1,000 regions at most, again and again: the regions touched do not grow with the database. */
static void append_in_turns(bench_run *run, subject *s) {
  uint8_t record[RECORD_BYTES] = {0};
  uint64_t records = bench_size(run, 200000, 5000), touched = s->count < 1000 ? s->count : 1000;
  bench_begin(run);
  for (uint64_t i = 0; i < records; i++) {
    int code = seqdb_append(s->db, s->regions[i % touched * (s->count / touched)], record, RECORD_BYTES, NULL);
    if (code != SEQDB_OK) bench_seqdb_must(run, s->db, code, "append");
  }
  bench_metric(run, 7, bench_end(run) / (double)records);
  bench_seqdb_must(run, s->db, seqdb_rollback(s->db), "rollback");
}

static void measure_regions(bench_run *run) {
  subject s = {.db = bench_seqdb_open(run), .count = run->x};
  s.regions = bench_alloc(run, s.count * sizeof *s.regions);
  fill_regions(run, &s);
  bench_begin(run);
  s.db = bench_seqdb_open(run);
  bench_metric(run, 2, bench_end(run) / (double)s.count);
  find_all(run, &s);
  s.region = s.regions[s.count / 2];
  bench_metric(run, 5, median_us(run, bench_size(run, 300, 20), commit_append, &s));
  bench_metric(run, 6, median_us(run, bench_size(run, 3000, 100), open_snapshot, &s) * 1e3);
  append_in_turns(run, &s);
  seqdb_close(s.db);
}

/* ---- size of a region -------------------------------------------------------------------------------------------- */

/* Reads of pieces at a few places that are in memory: a sparse region has no pages to read, and 16 GiB of them would
** not fit. */
static void read_places(bench_run *run, subject *s) {
  uint64_t reads = bench_size(run, 100000, 2000), seed = 3, places[PLACES], sum = 0;
  size_t piece = s->bytes < PIECE_BYTES ? (size_t)s->bytes : PIECE_BYTES;
  seqdb_snapshot *snapshot = bench_seqdb_snapshot(run, s->db);
  for (int i = 0; i < PLACES; i++)
    places[i] = bench_random(&seed) % (s->bytes - piece + 1);
  for (uint64_t i = 0; i < reads + PLACES; i++) {
    const void *data = NULL;
    if (i == PLACES) bench_begin(run);
    if (seqdb_read(seqdb_snapshot_view(snapshot), s->region, places[i % PLACES], piece, &data) != SEQDB_OK)
      bench_fail(run, "region is not mapped");
    sum += bench_sum(data, piece);
  }
  bench_metric(run, 4, bench_end(run) / (double)reads);
  bench_check(run, sum == 0, "zeros");
  seqdb_snapshot_close(snapshot);
}

static void append_records(bench_run *run, subject *s) {
  uint8_t record[RECORD_BYTES] = {0};
  uint64_t records = bench_size(run, 200000, 2000);
  bench_begin(run);
  for (uint64_t i = 0; i < records; i++) {
    int code = seqdb_append(s->db, s->region, record, RECORD_BYTES, NULL);
    if (code != SEQDB_OK) bench_seqdb_must(run, s->db, code, "append");
  }
  bench_metric(run, 1, bench_end(run) / (double)records);
  bench_seqdb_must(run, s->db, seqdb_rollback(s->db), "rollback");
}

static void measure_size(bench_run *run) {
  subject s = {.db = bench_seqdb_open(run), .bytes = run->x};
  s.region = bench_seqdb_region(run, s.db, "subject");
  bench_seqdb_flush(run, s.db);
  bench_begin(run);
  bench_seqdb_must(run, s.db, seqdb_set_length(s.db, s.region, s.bytes), "set_length");
  bench_seqdb_flush(run, s.db);
  bench_metric(run, 0, bench_end(run) / 1e3);
  read_places(run, &s);
  append_records(run, &s);
  bench_metric(run, 2, median_us(run, bench_size(run, 300, 20), commit_append, &s));
  bench_metric(run, 3, median_us(run, bench_size(run, 300, 20), commit_overwrite, &s));
  bench_begin(run);
  bench_seqdb_must(run, s.db, seqdb_truncate(s.db, s.region, s.bytes / 2), "truncate");
  bench_seqdb_flush(run, s.db);
  bench_metric(run, 5, bench_end(run) / 1e3);
  bench_begin(run);
  bench_seqdb_must(run, s.db, seqdb_remove(s.db, s.region), "remove");
  bench_seqdb_flush(run, s.db);
  bench_metric(run, 6, bench_end(run) / 1e3);
  seqdb_close(s.db);
}

/* ---- number of threads ------------------------------------------------------------------------------------------- */

typedef struct team {
  seqdb *db, *handles[THREADS_MAX];
  seqdb_region regions[THREADS_MAX], shared;
  uint64_t work, bytes;
  bench_plain files[THREADS_MAX];
} team;

static void team_append(bench_run *run, unsigned index, void *context) {
  team *t = context;
  uint8_t record[RECORD_BYTES] = {0};
  for (uint64_t i = 0; i < t->work; i++) {
    int code = seqdb_append(t->db, t->regions[index], record, RECORD_BYTES, NULL);
    if (code != SEQDB_OK) bench_seqdb_must(run, t->db, code, "append");
  }
}
static void team_plain(bench_run *run, unsigned index, void *context) {
  team *t = context;
  uint8_t record[RECORD_BYTES] = {0};
  for (uint64_t i = 0; i < t->work; i++)
    bench_plain_append(run, &t->files[index], record, RECORD_BYTES);
  bench_plain_flush(run, &t->files[index]);
}
static void team_read(bench_run *run, unsigned index, void *context) {
  team *t = context;
  uint64_t seed = index, sum = 0;
  seqdb_snapshot *snapshot = bench_seqdb_snapshot(run, t->handles[index]);
  for (uint64_t i = 0; i < t->work; i++) {
    const void *data = NULL;
    uint64_t offset = bench_random(&seed) % (t->bytes - PIECE_BYTES);
    if (seqdb_read(seqdb_snapshot_view(snapshot), t->shared, offset, PIECE_BYTES, &data) != SEQDB_OK)
      bench_fail(run, "not mapped");
    sum += bench_sum(data, PIECE_BYTES);
  }
  bench_check(run, sum == 0, "zeros");
  seqdb_snapshot_close(snapshot);
}
/* A snapshot for each look-up, as an autocommit SELECT does it. */
static void team_find(bench_run *run, unsigned index, void *context) {
  team *t = context;
  for (uint64_t i = 0; i < t->work; i++) {
    seqdb_snapshot *snapshot = bench_seqdb_snapshot(run, t->handles[index]);
    bench_seqdb_find(run, snapshot, "shared");
    seqdb_snapshot_close(snapshot);
  }
}
static void team_commit(bench_run *run, unsigned index, void *context) {
  team *t = context;
  subject s = {.db = t->handles[index], .region = t->regions[index]};
  for (uint64_t i = 0; i < t->work; i++)
    commit_append(run, &s, i);
}

/* Millions of operations a second, of all threads together. */
static double team_rate(bench_run *run, team *t, uint64_t work, void (*task)(bench_run *, unsigned, void *)) {
  t->work = work;
  return (double)(run->x * work) / bench_threads(run, (unsigned)run->x, task, t) * 1e3;
}

static void measure_threads(bench_run *run) {
  team t = {.db = bench_seqdb_open(run), .bytes = bench_size(run, 64 * BENCH_MIB, BENCH_MIB)};
  char name[32];
  t.shared = bench_seqdb_region(run, t.db, "shared");
  bench_seqdb_must(run, t.db, seqdb_set_length(t.db, t.shared, t.bytes), "set_length");
  for (unsigned i = 0; i < run->x; i++) {
    snprintf(name, sizeof name, "log %u", i);
    t.regions[i] = bench_seqdb_region(run, t.db, name);
    bench_plain_new(run, name, &t.files[i]);
  }
  bench_seqdb_flush(run, t.db);
  for (unsigned i = 0; i < run->x; i++) {
    t.handles[i] = bench_seqdb_open(run);
    seqdb_set_busy_timeout(t.handles[i], 60000);
  }
  bench_metric(run, 0, team_rate(run, &t, bench_size(run, 1000000, 10000), team_append));
  bench_seqdb_flush(run, t.db);
  bench_metric(run, 1, team_rate(run, &t, bench_size(run, 1000000, 10000), team_plain));
  team_rate(run, &t, t.bytes / PIECE_BYTES, team_read); /* touches the pages */
  bench_metric(run, 2, team_rate(run, &t, bench_size(run, 200000, 2000), team_read));
  bench_metric(run, 3, team_rate(run, &t, bench_size(run, 500000, 5000), team_find));
  bench_metric(run, 4, team_rate(run, &t, bench_size(run, 200, 10), team_commit) * 1e6);
}

/* ---- tables ------------------------------------------------------------------------------------------------------ */

static const bench_series regions_series[] = {
    {"create", "ns", 0, true},   {"create with its commit", "ns", 1, true},   {"open, for each region", "ns", 2, true},
    {"find", "ns", 3, true},     {"scan, for each region", "ns", 4, true},    {"commit of one append", "us", 5, true},
    {"snapshot", "ns", 6, true}, {"append to 1,000 in turns", "ns", 7, true}, {NULL, NULL, 0, false},
};
static const bench_series size_series[] = {
    {"set length, with commit", "us", 0, true},
    {"append 64 B", "ns", 1, true},
    {"commit of one append", "us", 2, true},
    {"commit of one overwrite", "us", 3, true},
    {"read 4 KiB", "ns", 4, true},
    {"truncate to half, with commit", "us", 5, true},
    {"remove, with commit", "us", 6, true},
    {NULL, NULL, 0, false},
};
static const bench_series threads_series[] = {
    {"append 64 B, a region each", "M/s", 0, false},
    {"plain 64 B, a file each", "M/s", 1, false},
    {"read 4 KiB", "M/s", 2, false},
    {"snapshot and find", "M/s", 3, false},
    {"commits, a handle each", "1/s", 4, false},
    {NULL, NULL, 0, false},
};

#define LAST UINT64_MAX
static const uint64_t regions_points[] = {1, 10, 100, 1000, 10000, 100000, LAST};
static const uint64_t regions_points_huge[] = {1, 10, 100, 1000, 10000, 100000, 1000000, LAST};
static const uint64_t regions_points_quick[] = {1, 10, 100, 1000, LAST};
static const uint64_t size_points[] = {1024,      32 * BENCH_KIB, BENCH_MIB, 32 * BENCH_MIB,
                                       BENCH_GIB, 16 * BENCH_GIB, LAST};
static const uint64_t size_points_quick[] = {1024, 32 * BENCH_KIB, BENCH_MIB, 32 * BENCH_MIB, LAST};
static const uint64_t threads_points[] = {1, 2, 3, 4, LAST};

/* Below `flat_from` fixed costs dominate what is divided by the number, and regions share the few pages that are
** touched. */
static const bench_axis axes[] = {
    {"scale-regions", "regions", regions_points, regions_points_quick, regions_points_huge, 1000, measure_regions,
     regions_series},
    {"scale-size", "bytes", size_points, size_points_quick, size_points, 32 * BENCH_KIB, measure_size, size_series},
    {"scale-threads", "threads", threads_points, threads_points, threads_points, 1, measure_threads, threads_series},
};

void bench_scale(const bench_options *options) {
  for (size_t a = 0; a < sizeof axes / sizeof *axes; a++) {
    const bench_axis *axis = &axes[a];
    const uint64_t *points = options->quick ? axis->quick_points : options->huge ? axis->huge_points : axis->points;
    if (options->only && fnmatch(options->only, axis->name, 0) != 0) continue;
    bench_scale_begin(options, axis);
    for (int round = 0; round < options->rounds; round++) {
      for (int p = 0; points[p] != LAST; p++) {
        bench_result result;
        bench_progress("%s  round %d/%d  %s %llu", axis->name, round + 1, options->rounds, axis->unit,
                       (unsigned long long)points[p]);
        bench_measure(options, axis->name, axis->run, points[p], &result);
        bench_scale_add(axis, points[p], round, &result);
      }
    }
    bench_scale_end(options, axis);
  }
}
