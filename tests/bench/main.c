/* SPDX-License-Identifier: MIT
**
** main.c: seqdb-bench: reads the options and runs each measurement in a child process of its own, round by round.
** Owns the working directory `seqdb-bench.PID` below --dir, which goes away at the end.
** The parent opens no database: what a child inherits is the program and nothing else.
*/
#include "report.h"

#include <errno.h>
#include <fnmatch.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define MEASUREMENT_SECONDS_MAX 900

static const bench_workload *const tables[] = {
    bench_append_workloads, bench_bulk_workloads,   bench_commit_workloads,    bench_rows_workloads,
    bench_sizes_workloads,  bench_read_workloads,   bench_overwrite_workloads, bench_many_workloads,
    bench_space_workloads,  bench_memory_workloads, bench_processes_workloads, bench_typed_workloads,
    bench_backup_workloads, bench_cold_workloads,   bench_together_workloads,
};

static char work_root[BENCH_PATH_BYTES];
static volatile sig_atomic_t stopped;
static int failures;

static void on_signal(int number) {
  (void)number;
  stopped = 1;
}

void bench_progress(const char *format, ...) {
  bool terminal = isatty(STDERR_FILENO);
  char line[256];
  va_list args;
  va_start(args, format);
  vsnprintf(line, sizeof line, format, args);
  va_end(args);
  if (terminal) fprintf(stderr, "\r\033[K%s", line);
  if (!terminal && line[0]) fprintf(stderr, "%s\n", line);
  fflush(stderr);
}

/* ---- one measurement --------------------------------------------------------------------------------------------- */

static bool in_child(const bench_options *options, const char *dir, void (*work)(bench_run *run), uint64_t x,
                     bench_result *result) {
  bench_result *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  int status = 0;
  if (shared == MAP_FAILED) {
    perror("mmap");
    exit(2);
  }
  fflush(NULL);
  pid_t child = fork();
  if (child < 0) {
    perror("fork");
    exit(2);
  }
  if (child == 0) {
    bench_run run = {.options = options, .dir = dir, .result = shared, .x = x};
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    alarm(MEASUREMENT_SECONDS_MAX);
    work(&run);
    shared->done = true;
    _exit(0);
  }
  while (waitpid(child, &status, 0) < 0 && errno == EINTR)
    kill(child, SIGTERM);
  if (!shared->done && !shared->message[0]) {
    snprintf(shared->message, sizeof shared->message, "ended by %s",
             WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "exit");
  }
  *result = *shared;
  munmap(shared, sizeof *shared);
  return result->done;
}

static void fresh_dir(const char *dir) {
  bench_remove_tree(dir);
  if (mkdir(dir, 0755) != 0) {
    fprintf(stderr, "%s: %s\n", dir, strerror(errno));
    exit(2);
  }
}

static void count_failure(const char *name, const char *contender, const bench_result *result) {
  failures++;
  bench_progress("%s", "");
  fprintf(stderr, "FAILED %s%s%s: %s\n", name, *contender ? ", " : "", contender, result->message);
}

bool bench_measure(const bench_options *options, const char *name, void (*work)(bench_run *run), uint64_t x,
                   bench_result *result) {
  char dir[BENCH_PATH_BYTES + 64];
  memset(result, 0, sizeof *result);
  if (stopped) return false;
  snprintf(dir, sizeof dir, "%s/%s", work_root, name);
  fresh_dir(dir);
  bool ok = in_child(options, dir, work, x, result);
  bench_remove_tree(dir);
  if (!ok && !stopped) count_failure(name, "", result);
  return ok;
}

/* ---- workloads --------------------------------------------------------------------------------------------------- */

static bool wanted(const char *filter, const char *name) {
  return !filter || fnmatch(filter, name, 0) == 0;
}

/* A workload is wanted if its name or that of one of its rows is. */
static bool workload_wanted(const bench_options *options, const bench_workload *workload) {
  bool found = wanted(options->only, workload->name);
  for (const bench_row *row = workload->rows; row->name; row++)
    found = found || wanted(options->only, row->name);
  return found;
}

static void case_dir(const bench_workload *workload, int number, char dir[BENCH_PATH_BYTES + 64]) {
  snprintf(dir, BENCH_PATH_BYTES + 64, "%s/%s-%d", work_root, workload->name, number);
}

static void run_workload(const bench_options *options, const bench_workload *workload, int number, int total) {
  const bench_case *cases = workload->cases;
  char dir[BENCH_PATH_BYTES + 64];
  bool broken[BENCH_CASES] = {false};
  bench_result result;
  bench_report_workload(workload);
  for (int c = 0; cases[c].name && !stopped; c++) {
    if (!cases[c].prepare || !wanted(options->contender, cases[c].name)) continue;
    bench_progress("[%d/%d] %s  preparing  %s", number, total, workload->name, cases[c].name);
    case_dir(workload, c, dir);
    fresh_dir(dir);
    broken[c] = !in_child(options, dir, cases[c].prepare, 0, &result);
    if (broken[c]) count_failure(workload->name, cases[c].name, &result);
  }
  for (int round = 0; round < options->rounds; round++) {
    for (int c = 0; cases[c].name && !stopped; c++) {
      if (broken[c] || !wanted(options->contender, cases[c].name)) continue;
      bench_progress("[%d/%d] %s  round %d/%d  %s", number, total, workload->name, round + 1, options->rounds,
                     cases[c].name);
      case_dir(workload, c, dir);
      if (!cases[c].prepare) fresh_dir(dir);
      if (in_child(options, dir, cases[c].run, 0, &result)) {
        bench_report_add(c, round, &result);
      } else if (!stopped) {
        count_failure(workload->name, cases[c].name, &result);
        broken[c] = true;
      }
      if (!cases[c].prepare) bench_remove_tree(dir);
    }
  }
  for (int c = 0; cases[c].name; c++) {
    case_dir(workload, c, dir);
    bench_remove_tree(dir);
  }
  bench_progress("%s", "");
  bench_report_print();
}

static bool possible(const bench_options *options, const bench_workload *workload) {
  if (workload->huge && !options->huge) return false;
  if (!workload->cold || bench_drop_caches()) return true;
  fprintf(stderr, "%s: left out, the page cache cannot be dropped here (root on Linux can)\n", workload->name);
  return false;
}

static void run_workloads(const bench_options *options) {
  int total = 0, number = 0;
  for (size_t t = 0; t < sizeof tables / sizeof *tables; t++) {
    for (const bench_workload *w = tables[t]; w->name; w++)
      total += workload_wanted(options, w);
  }
  for (size_t t = 0; t < sizeof tables / sizeof *tables; t++) {
    for (const bench_workload *w = tables[t]; w->name && !stopped; w++) {
      if (workload_wanted(options, w) && possible(options, w)) run_workload(options, w, ++number, total);
    }
  }
}

static void list_workloads(void) {
  for (size_t t = 0; t < sizeof tables / sizeof *tables; t++) {
    for (const bench_workload *w = tables[t]; w->name; w++) {
      printf("%s:", w->name);
      for (const bench_case *c = w->cases; c->name; c++)
        printf("%s %s", c == w->cases ? "" : ";", c->name);
      printf("\n");
      for (const bench_row *row = w->rows; row->name; row++)
        printf("    %-18s %s\n", row->name, row->title);
    }
  }
  printf("scale-regions, scale-size, scale-threads: with --scale\n");
}

/* ---- options ----------------------------------------------------------------------------------------------------- */

static const char usage[] =
    "seqdb-bench [options]\n"
    "  --dir DIR         directory on the disk to measure (default: the working directory)\n"
    "  --out DIR         write CSV files, table.md and the charts' data there\n"
    "  --rounds N        measurements of each contender, 1..99 (default 5)\n"
    "  --quick           small sizes: shows that everything works; the figures mean nothing\n"
    "  --only NAME       this workload, row or scaling part; NAME may be a pattern, 'append*'\n"
    "  --contender NAME  this contender, or those of a pattern, 'seqdb*'\n"
    "  --scale, --no-scale   the scaling part alone; everything but it\n"
    "  --huge            scaling goes on to 1,000,000 regions, open-cold1m runs (4 GiB of disk)\n"
    "  --cpu             count processor time instead of time: for busy machines; waiting for the disk costs nothing\n"
    "  --perf FIFO       tell perf, through its control fifo, when the timed parts begin and end:\n"
    "                    perf record -D -1 --control fifo:FIFO -- seqdb-bench --perf FIFO --only scan-sql --contender "
    "seqdb\n"
    "  --extension FILE  seqdb.so to load\n"
    "  --list            names of all workloads, contenders and rows\n"
    "The exit status is 1 if a measurement failed or did not verify.  Missed targets do not change it.\n";

enum {
  OPTION_DIR = 256,
  OPTION_OUT,
  OPTION_ROUNDS,
  OPTION_QUICK,
  OPTION_ONLY,
  OPTION_CONTENDER,
  OPTION_SCALE,
  OPTION_NO_SCALE,
  OPTION_HUGE,
  OPTION_CPU,
  OPTION_PERF,
  OPTION_EXTENSION,
  OPTION_LIST,
  OPTION_HELP
};
static const struct option long_options[] = {
    {"dir", required_argument, NULL, OPTION_DIR},
    {"out", required_argument, NULL, OPTION_OUT},
    {"rounds", required_argument, NULL, OPTION_ROUNDS},
    {"quick", no_argument, NULL, OPTION_QUICK},
    {"only", required_argument, NULL, OPTION_ONLY},
    {"contender", required_argument, NULL, OPTION_CONTENDER},
    {"scale", no_argument, NULL, OPTION_SCALE},
    {"no-scale", no_argument, NULL, OPTION_NO_SCALE},
    {"huge", no_argument, NULL, OPTION_HUGE},
    {"cpu", no_argument, NULL, OPTION_CPU},
    {"perf", required_argument, NULL, OPTION_PERF},
    {"extension", required_argument, NULL, OPTION_EXTENSION},
    {"list", no_argument, NULL, OPTION_LIST},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

typedef struct parts {
  bool workloads, scale;
} parts;

static void read_options(int argc, char **argv, bench_options *options, parts *run) {
  for (int option; (option = getopt_long(argc, argv, "h", long_options, NULL)) != -1;) {
    switch (option) {
      case OPTION_DIR:
        options->dir = optarg;
        break;
      case OPTION_OUT:
        options->out = optarg;
        break;
      case OPTION_ROUNDS:
        options->rounds = atoi(optarg);
        break;
      case OPTION_QUICK:
        options->quick = true;
        break;
      case OPTION_ONLY:
        options->only = optarg;
        break;
      case OPTION_CONTENDER:
        options->contender = optarg;
        break;
      case OPTION_SCALE:
        run->workloads = false;
        break;
      case OPTION_NO_SCALE:
        run->scale = false;
        break;
      case OPTION_HUGE:
        options->huge = true;
        break;
      case OPTION_CPU:
        bench_count_cpu_time();
        break;
      case OPTION_PERF:
        options->perf = optarg;
        break;
      case OPTION_EXTENSION:
        options->extension = optarg;
        break;
      case OPTION_LIST:
        list_workloads();
        exit(0);
      case OPTION_HELP:
      case 'h':
        fputs(usage, stdout);
        exit(0);
      default:
        fputs(usage, stderr);
        exit(2);
    }
  }
  if (optind < argc || options->rounds < 1 || options->rounds > BENCH_ROUNDS_MAX) {
    fputs(usage, stderr);
    exit(2);
  }
}

/* Figures of a file system in memory say nothing about a disk. */
static void warn_about_memory(const char *dir) {
  struct statfs info;
  if (statfs(dir, &info) == 0 && (info.f_type == 0x01021994 || info.f_type == (__typeof__(info.f_type))0x858458f6)) {
    fprintf(stderr, "NOTE: %s lies in memory, not on a disk\n", dir);
  }
}

int main(int argc, char **argv) {
  bench_options options = {.rounds = 5, .dir = ".", .extension = BENCH_EXTENSION};
  parts run = {.workloads = true, .scale = true};
  struct sigaction action = {.sa_handler = on_signal};
  read_options(argc, argv, &options, &run);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  snprintf(work_root, sizeof work_root, "%s/seqdb-bench.%d", options.dir, (int)getpid());
  fresh_dir(work_root);
  warn_about_memory(work_root);
  bench_report_begin(&options);
  if (run.workloads) run_workloads(&options);
  if (run.scale && !stopped && !options.contender) bench_scale(&options);
  bench_progress("%s", "");
  bench_report_end();
  bench_remove_tree(work_root);
  if (failures) printf("%d measurement%s failed\n", failures, failures == 1 ? "" : "s");
  return failures || stopped ? 1 : 0;
}
