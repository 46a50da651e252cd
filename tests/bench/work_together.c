/* SPDX-License-Identifier: MIT
**
** work_together.c: one region of 1 GiB, summed by two processes at once, beside two that map a plain file of it.  All
** is in the page cache, and the page tables of each process are made before the timed passes.
**
** Each process opens the database itself; they wait for each other, and each takes the time of its own passes.  The
** figure is the sum of both rates.
*/
#include "contenders.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES 2
#define PASSES    4

static uint64_t bytes_of(const bench_run *run) {
  return bench_size(run, BENCH_GIB, 16 * BENCH_MIB);
}

/* In memory that all share. */
typedef struct meeting {
  pid_t parent;
  atomic_uint ready;
  double rate[PROCESSES]; /* GB/s */
  uint64_t sum[PROCESSES];
} meeting;

/* ---- preparation ------------------------------------------------------------------------------------------------- */

static void prepare_seqdb(bench_run *run) {
  uint8_t *block = bench_alloc(run, BENCH_MIB);
  seqdb *db = bench_seqdb_open(run);
  seqdb_region region = bench_seqdb_region(run, db, "value");
  for (uint64_t at = 0; at < bytes_of(run); at += BENCH_MIB) {
    bench_fill(block, BENCH_MIB, at);
    bench_seqdb_must(run, db, seqdb_append(db, region, block, BENCH_MIB, NULL), "append");
  }
  bench_seqdb_flush(run, db);
  seqdb_close(db);
}

static void prepare_plain(bench_run *run) {
  uint8_t *block = bench_alloc(run, BENCH_MIB);
  int fd = bench_plain_open(run, "value");
  for (uint64_t at = 0; at < bytes_of(run); at += BENCH_MIB) {
    bench_fill(block, BENCH_MIB, at);
    bench_pwrite(run, fd, block, BENCH_MIB, at);
  }
  bench_fdatasync(run, fd);
  close(fd);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static const void *region_of(bench_run *run) {
  const void *data = NULL;
  seqdb_snapshot *snapshot = bench_seqdb_snapshot(run, bench_seqdb_open(run));
  seqdb_region region = bench_seqdb_find(run, snapshot, "value");
  bench_check(run, seqdb_read(seqdb_snapshot_view(snapshot), region, 0, bytes_of(run), &data) == SEQDB_OK,
              "region is not mapped");
  return data;
}
static const void *file_of(bench_run *run) {
  return bench_plain_map(run, bench_plain_open(run, "value"), bytes_of(run));
}

/* A child: whoever dies takes the parent's patience with it, so its end ends the others. */
static void read_all(bench_run *run, const void *(*map)(bench_run *run), unsigned index, meeting *at) {
  const void *data = map(run);
  uint64_t sum = bench_sum(data, bytes_of(run));
  atomic_fetch_add(&at->ready, 1);
  while (atomic_load(&at->ready) < PROCESSES)
    if (getppid() != at->parent) _exit(1);
  bench_again(run);
  for (unsigned pass = 0; pass < PASSES; pass++)
    bench_check(run, bench_sum(data, bytes_of(run)) == sum, "sum of the bytes");
  at->rate[index] = (double)(PASSES * bytes_of(run)) / bench_end(run);
  at->sum[index] = sum;
  _exit(0);
}

static uint64_t expected_sum(bench_run *run) {
  uint8_t *block = bench_alloc(run, BENCH_MIB);
  uint64_t sum = 0;
  for (uint64_t at = 0; at < bytes_of(run); at += BENCH_MIB) {
    bench_fill(block, BENCH_MIB, at);
    sum += bench_sum(block, BENCH_MIB);
  }
  free(block);
  return sum;
}

static void measure(bench_run *run, const void *(*map)(bench_run *run)) {
  meeting *at = mmap(NULL, sizeof *at, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) bench_fail(run, "mmap failed");
  uint64_t expected = expected_sum(run);
  double rate = 0;
  at->parent = getpid();
  for (unsigned i = 0; i < PROCESSES; i++) {
    pid_t child = fork();
    if (child < 0) bench_fail(run, "fork failed");
    if (child == 0) read_all(run, map, i, at);
  }
  for (unsigned i = 0; i < PROCESSES; i++) {
    int status = 0;
    if (wait(&status) < 0 || status != 0) _exit(1); /* it has said why */
  }
  for (unsigned i = 0; i < PROCESSES; i++) {
    bench_check(run, at->sum[i] == expected, "sum of all bytes");
    rate += at->rate[i];
  }
  bench_metric(run, 0, rate);
  munmap(at, sizeof *at);
}

static void run_seqdb(bench_run *run) {
  measure(run, region_of);
}
static void run_plain(bench_run *run) {
  measure(run, file_of);
}

static const bench_case cases[] = {
    {"plain mmap", prepare_plain, run_plain},
    {"seqdb", prepare_seqdb, run_seqdb},
    {NULL, NULL, NULL},
};
static const bench_row rows[] = {
    {.name = "read-together",
     .title = "two processes sum one region of 1 GiB, both rates",
     .unit = "GB/s",
     .ours = "seqdb",
     .peer = "plain mmap",
     .limit = 0.95,
     .gigabytes = -1},
    {.name = NULL},
};

const bench_workload bench_together_workloads[] = {
    {.name = "read-together", .cases = cases, .rows = rows},
    {.name = NULL},
};
