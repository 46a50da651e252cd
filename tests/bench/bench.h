/* SPDX-License-Identifier: MIT
**
** bench.h: what the benchmark's files share: options, one measurement, tables of workloads, and small tools.
**
** A *workload* is a task; its *cases* are the contenders that do it, each a function.  Every call of such a function is
** one *measurement* and runs in a child process of its own, in a directory of its own: nobody inherits another's heap,
** mapping or dirty pages, and a crash or a hang of one costs one measurement.  Rounds alternate: all cases once, then
** all of them again.  A measurement yields up to BENCH_METRICS numbers and, where it times single operations,
** percentiles. A *row* of the result names one of those numbers, its unit, and the target it is held against.
**
** A case prepares, calls bench_begin(), works, calls bench_end(), and then verifies what it did: sizes and checksums
** are compared outside the timed part.  Whatever goes wrong ends the child through bench_fail() with a message.
**
** THREADS: a measurement's functions are called from its first thread unless they say otherwise.
*/
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_METRICS     8
#define BENCH_CASES       8
#define BENCH_PERCENTILES 6 /* p50 p90 p99 p99.9 max mean */
#define BENCH_ROUNDS_MAX  99
#define BENCH_PATH_BYTES  4096

#define BENCH_KIB ((uint64_t)1024)
#define BENCH_MIB (BENCH_KIB * 1024)
#define BENCH_GIB (BENCH_MIB * 1024)

typedef struct bench_options {
  bool quick;            /* sizes that take seconds instead of minutes: to see that it works, not to quote */
  bool huge;             /* the scaling part goes on to 1,000,000 regions */
  int rounds;            /* measurements of each case */
  const char *only;      /* pattern of the workloads or rows to run; NULL = all */
  const char *contender; /* pattern of the cases to run; NULL = all */
  const char *dir;       /* directory on the disk that is measured */
  const char *out;       /* directory of the CSV files and tables; NULL = print only */
  const char *extension; /* seqdb.so */
  const char *perf;      /* control fifo of `perf record`; NULL = none */
} bench_options;

/* What one measurement tells; lies in memory shared with the parent. */
typedef struct bench_result {
  bool done;
  char message[512]; /* why it failed */
  bool has[BENCH_METRICS];
  double metrics[BENCH_METRICS];
  bool has_latency;
  double latency_us[BENCH_PERCENTILES];
} bench_result;

typedef struct bench_run {
  const bench_options *options;
  const char *dir; /* this case's directory; empty at the start unless the case has a prepare function */
  bench_result *result;
  uint64_t x; /* the scaling part: the point to measure */
  uint64_t begin_ns;
  char path[BENCH_PATH_BYTES];
} bench_run;

typedef struct bench_case {
  const char *name;             /* contender */
  void (*prepare)(bench_run *); /* once before the rounds, in a child of its own; the directory then stays */
  void (*run)(bench_run *);
} bench_case;

/* Verdicts compare `ours` with `peer` times `limit`, or with `limit` itself if there is no peer. */
typedef struct bench_row {
  const char *name;  /* as in the CSV files */
  const char *title; /* what is measured, with the size of it */
  const char *unit;
  int metric;
  const char *ours;
  const char *peer; /* NULL: the limit is absolute */
  double limit;     /* 0: no target, a row for information */
  bool at_most;     /* the target is an upper bound */
  double
      gigabytes; /* > 0: value is ns per this many bytes / 1e9, < 0: value is GB/s already; for the throughput chart */
} bench_row;

typedef struct bench_workload {
  const char *name;
  const bench_case *cases; /* ends with a NULL name */
  const bench_row *rows;   /* ends with a NULL name */
  bool cold;               /* wants to drop the page cache; left out, with a note, where nobody may */
  bool huge;               /* with --huge only */
} bench_workload;

/* ---- tables: one per work_*.c, each ends with a NULL name ----------------------------------------------------- */

extern const bench_workload bench_append_workloads[];
extern const bench_workload bench_bulk_workloads[];
extern const bench_workload bench_commit_workloads[];
extern const bench_workload bench_rows_workloads[];
extern const bench_workload bench_sizes_workloads[];
extern const bench_workload bench_read_workloads[];
extern const bench_workload bench_overwrite_workloads[];
extern const bench_workload bench_many_workloads[];
extern const bench_workload bench_cold_workloads[];
extern const bench_workload bench_space_workloads[];
extern const bench_workload bench_backup_workloads[];
extern const bench_workload bench_memory_workloads[];
extern const bench_workload bench_processes_workloads[];
extern const bench_workload bench_together_workloads[];
extern const bench_workload bench_typed_workloads[];

/* ---- measuring (util.c) ---------------------------------------------------------------------------------- */

/* End the child: the measurement failed.  printf-style. */
_Noreturn void bench_fail(bench_run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Verified or failed. */
void bench_check(bench_run *run, bool ok, const char *what);
/* bench_begin() first waits until everything written so far is on disk, so that preparation is not measured. */
void bench_begin(bench_run *run);
/* The same without waiting, where nothing was written since. */
void bench_again(bench_run *run);
/* Nanoseconds since bench_begin(). */
double bench_end(const bench_run *run);
void bench_metric(bench_run *run, int metric, double value);
/* Sorts the samples (nanoseconds); sets the percentiles.  Returns the median in nanoseconds. */
double bench_latency(bench_run *run, uint64_t *samples_ns, size_t count);
uint64_t bench_now_ns(void);
/* From now on times are those the process spent on a processor, in user code and in the kernel: waiting costs
** nothing. */
void bench_count_cpu_time(void);
/* The full size, or the small one with --quick. */
uint64_t bench_size(const bench_run *run, uint64_t full, uint64_t quick);
/* A path below the case's directory; valid until the next call. */
const char *bench_path(bench_run *run, const char *name);

/* ---- small tools ------------------------------------------------------------------------------------------------ */

void *bench_alloc(bench_run *run, size_t bytes); /* page-aligned, zeroed, touched */
uint64_t bench_random(uint64_t *state);
void bench_fill(void *buffer, size_t bytes, uint64_t seed);
/* Sum of the 64-bit words; the same code for every contender.  A rest below 8 bytes is left out. */
uint64_t bench_sum(const void *data, size_t bytes);
/* All that is clean in the page cache, of the whole machine, goes; false: only root on Linux may do that. */
bool bench_drop_caches(void);
/* What this process has had read from disks, as /proc/self/io says. */
uint64_t bench_read_bytes(void);
/* What it has dirtied of files on disks, whole pages, each time that one becomes dirty. */
uint64_t bench_written_bytes(void);
uint64_t bench_disk_bytes(const char *dir); /* blocks held by the files in it, all levels */
void bench_remove_tree(const char *path);
/* Start `threads` threads at work(run, index) together and wait for them: nanoseconds from the first start to the last
** end. */
double bench_threads(bench_run *run, unsigned threads, void (*work)(bench_run *run, unsigned index, void *context),
                     void *context);

/* Checksums of streams: what was stored against what should have been. */
typedef struct bench_hash bench_hash;
bench_hash *bench_hash_new(bench_run *run);
void bench_hash_add(bench_hash *hash, const void *data, size_t bytes);
uint64_t bench_hash_end(bench_hash *hash); /* frees */

/* Allocations of the calling thread since its start, counted for whoever calls malloc, calloc or realloc. */
uint64_t bench_allocations(void);
/* Bytes on the heap now, mapped blocks included. */
uint64_t bench_heap_bytes(void);

#endif /* BENCH_H */
