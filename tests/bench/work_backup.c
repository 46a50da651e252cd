/* SPDX-License-Identifier: MIT
**
** work_backup.c: copying a database of 1 GiB, of which as much again are holes, to the same disk: seqdb_backup() beside
** `cp --sparse=always` of the same files, which nobody writes meanwhile, with and without a sync of what it copied.
** Afterwards the copy is opened and each region compared.
*/
#include "contenders.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define REGION_BYTES ((size_t)1 << 20)

static uint64_t regions_of(const bench_run *run) {
  return bench_size(run, 1024, 16);
}
static const char *name_of(uint64_t i) {
  static char name[32];
  snprintf(name, sizeof name, "region %llu", (unsigned long long)i);
  return name;
}

/* Regions of 1 MiB, after each of them one of zeros. */
static void fill(bench_run *run, seqdb *db, uint8_t *content) {
  for (uint64_t i = 0; i < regions_of(run); i++) {
    memcpy(content, &i, sizeof i);
    seqdb_region region = bench_seqdb_region(run, db, name_of(i));
    bench_seqdb_must(run, db, seqdb_append(db, region, content, REGION_BYTES, NULL), "append");
    region = bench_seqdb_region(run, db, name_of(regions_of(run) + i));
    bench_seqdb_must(run, db, seqdb_set_length(db, region, REGION_BYTES), "set length");
  }
  bench_seqdb_flush(run, db);
  bench_seqdb_must(run, db, seqdb_checkpoint(db), "checkpoint");
}

/* GB of content a second; blocks that the copy takes, against the content. */
static void report(bench_run *run, double ns, const char *copy) {
  double bytes = (double)(regions_of(run) * REGION_BYTES);
  bench_metric(run, 0, bytes / ns);
  bench_metric(run, 1, (double)bench_disk_bytes(copy) / bytes);
}

static void verify(bench_run *run, const char *copy, uint8_t *content) {
  seqdb_error error = SEQDB_ERROR_INIT;
  seqdb *db = NULL;
  uint64_t regions = 0;
  if (seqdb_open(copy, NULL, &error, &db) != SEQDB_OK) bench_fail(run, "%s", error.message);
  seqdb_snapshot *snapshot = bench_seqdb_snapshot(run, db);
  seqdb_view *view = seqdb_snapshot_view(snapshot);
  bench_check(run, seqdb_view_totals(view, &regions, NULL) == SEQDB_OK && regions == 2 * regions_of(run), "regions");
  for (uint64_t i = 0; i < regions_of(run); i++) {
    const char *name = name_of(i);
    const void *data = NULL;
    seqdb_region region;
    memcpy(content, &i, sizeof i);
    bench_check(run,
                seqdb_find(view, name, strlen(name), &region) == SEQDB_OK &&
                    seqdb_read(view, region, 0, REGION_BYTES, &data) == SEQDB_OK &&
                    memcmp(data, content, REGION_BYTES) == 0,
                "a region of the copy");
  }
  seqdb_snapshot_close(snapshot);
  seqdb_close(db);
}

static uint8_t *content_new(bench_run *run) {
  uint8_t *content = bench_alloc(run, REGION_BYTES);
  bench_fill(content, REGION_BYTES, REGION_BYTES);
  return content;
}

static void copy_seqdb(bench_run *run) {
  char copy[BENCH_PATH_BYTES];
  uint8_t *content = content_new(run);
  seqdb *db = bench_seqdb_open(run);
  fill(run, db, content);
  snprintf(copy, sizeof copy, "%s", bench_path(run, "copy"));
  bench_begin(run);
  bench_seqdb_must(run, db, seqdb_backup(db, copy, NULL), "backup");
  report(run, bench_end(run), copy);
  seqdb_close(db);
  verify(run, copy, content);
}

static void run_cp(bench_run *run, const char *from, const char *to) {
  char *const words[] = {"cp", "-a", "--sparse=always", (char *)(uintptr_t)from, (char *)(uintptr_t)to, NULL};
  pid_t child;
  int status = -1;
  if (posix_spawnp(&child, words[0], NULL, NULL, words, environ) != 0 || waitpid(child, &status, 0) != child)
    bench_fail(run, "cp cannot be started");
  bench_check(run, status == 0, "cp");
}

static void sync_files(bench_run *run, const char *dir) {
  static const char *const names[] = {"data", "regions", "journal", "."};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char path[BENCH_PATH_BYTES + 16];
    snprintf(path, sizeof path, "%s/%s", dir, names[i]);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bench_check(run, fd >= 0 && fsync(fd) == 0, "fsync");
    close(fd);
  }
}

static void copy_cp(bench_run *run, bool durable) {
  char from[BENCH_PATH_BYTES], copy[BENCH_PATH_BYTES];
  uint8_t *content = content_new(run);
  seqdb *db = bench_seqdb_open(run);
  fill(run, db, content);
  seqdb_close(db);
  snprintf(from, sizeof from, "%s", bench_path(run, "r.seqdb"));
  snprintf(copy, sizeof copy, "%s", bench_path(run, "copy"));
  bench_begin(run);
  run_cp(run, from, copy);
  if (durable) sync_files(run, copy);
  report(run, bench_end(run), copy);
  verify(run, copy, content);
}

static void copy_cp_synced(bench_run *run) {
  copy_cp(run, true);
}
static void copy_cp_alone(bench_run *run) {
  copy_cp(run, false);
}

static const bench_case backup_cases[] = {
    {"cp --sparse=always", NULL, copy_cp_alone},
    {"cp --sparse=always, synced", NULL, copy_cp_synced},
    {"seqdb", NULL, copy_seqdb},
    {.name = NULL},
};
static const bench_row backup_rows[] = {
    {.name = "backup",
     .title = "copy a database of 1 GiB and as many holes, durably",
     .unit = "GB/s",
     .ours = "seqdb",
     .peer = "cp --sparse=always, synced",
     .limit = 0.7},
    {.name = "backup-disk", .title = "disk that the copy takes", .unit = "x content", .metric = 1, .ours = "seqdb"},
    {.name = NULL},
};

const bench_workload bench_backup_workloads[] = {
    {.name = "backup", .cases = backup_cases, .rows = backup_rows},
    {.name = NULL},
};
