/* SPDX-License-Identifier: MIT
**
** util.c: clocks, percentiles, deterministic bytes, checksums, directories, threads, and counted allocations.
** Owns nothing beyond a call, except the counters of allocations.
*/
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* ---- measuring -------------------------------------------------------------------------------------------------- */

_Noreturn void bench_fail(bench_run *run, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(run->result->message, sizeof run->result->message, format, args);
  va_end(args);
  _exit(1);
}

void bench_check(bench_run *run, bool ok, const char *what) {
  if (!ok) bench_fail(run, "verification failed: %s", what);
}

static clockid_t the_clock = CLOCK_MONOTONIC;

void bench_count_cpu_time(void) {
  the_clock = CLOCK_PROCESS_CPUTIME_ID;
}

uint64_t bench_now_ns(void) {
  struct timespec now;
  clock_gettime(the_clock, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void bench_begin(bench_run *run) {
  int dir = open(run->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir < 0) bench_fail(run, "open %s: %s", run->dir, strerror(errno));
  syncfs(dir);
  close(dir);
  bench_again(run);
}

/* perf records while it is told to: the timed parts, and neither preparation nor verification. */
static void tell_perf(const bench_run *run, const char *command) {
  int fifo = run->options->perf ? open(run->options->perf, O_WRONLY | O_CLOEXEC) : -1;
  if (fifo < 0) return;
  if (write(fifo, command, strlen(command)) < 0) perror(run->options->perf);
  close(fifo);
  usleep(20000); /* it answers when it next looks */
}

void bench_again(bench_run *run) {
  tell_perf(run, "enable\n");
  run->begin_ns = bench_now_ns();
}

double bench_end(const bench_run *run) {
  double ns = (double)(bench_now_ns() - run->begin_ns);
  tell_perf(run, "disable\n");
  return ns;
}

void bench_metric(bench_run *run, int metric, double value) {
  run->result->has[metric] = true;
  run->result->metrics[metric] = value;
}

static int compare_u64(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

double bench_latency(bench_run *run, uint64_t *samples_ns, size_t count) {
  static const double ranks[] = {0.5, 0.9, 0.99, 0.999, 1.0};
  double sum = 0;
  qsort(samples_ns, count, sizeof *samples_ns, compare_u64);
  for (size_t i = 0; i < count; i++)
    sum += (double)samples_ns[i];
  for (size_t i = 0; i < sizeof ranks / sizeof *ranks; i++) {
    size_t at = (size_t)(ranks[i] * (double)count);
    run->result->latency_us[i] = (double)samples_ns[at < count ? at : count - 1] / 1e3;
  }
  run->result->latency_us[BENCH_PERCENTILES - 1] = sum / (double)count / 1e3;
  run->result->has_latency = true;
  return run->result->latency_us[0] * 1e3;
}

uint64_t bench_size(const bench_run *run, uint64_t full, uint64_t quick) {
  return run->options->quick ? quick : full;
}

const char *bench_path(bench_run *run, const char *name) {
  snprintf(run->path, sizeof run->path, "%s/%s", run->dir, name);
  return run->path;
}

/* ---- bytes ------------------------------------------------------------------------------------------------------ */

void *bench_alloc(bench_run *run, size_t bytes) {
  size_t rounded = (bytes + 4095) & ~(size_t)4095;
  void *memory = aligned_alloc(4096, rounded);
  if (!memory) bench_fail(run, "out of memory: %zu bytes", bytes);
  memset(memory, 0, rounded);
  return memory;
}

uint64_t bench_random(uint64_t *state) {
  uint64_t z = (*state += 0x9E3779B97F4A7C15u);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

void bench_fill(void *buffer, size_t bytes, uint64_t seed) {
  uint8_t *at = buffer;
  for (; bytes >= 8; bytes -= 8, at += 8) {
    uint64_t word = bench_random(&seed);
    memcpy(at, &word, 8);
  }
  if (bytes) {
    uint64_t word = bench_random(&seed);
    memcpy(at, &word, bytes);
  }
}

__attribute__((noinline)) uint64_t bench_sum(const void *data, size_t bytes) {
  const uint8_t *at = data;
  uint64_t sums[8] = {0};
  for (; bytes >= 64; bytes -= 64, at += 64) {
    uint64_t words[8];
    memcpy(words, at, 64);
    for (int i = 0; i < 8; i++)
      sums[i] += words[i];
  }
  for (; bytes >= 8; bytes -= 8, at += 8) {
    uint64_t word;
    memcpy(&word, at, 8);
    sums[0] += word;
  }
  return sums[0] + sums[1] + sums[2] + sums[3] + sums[4] + sums[5] + sums[6] + sums[7];
}

struct bench_hash {
  XXH3_state_t state;
};

bench_hash *bench_hash_new(bench_run *run) {
  bench_hash *hash = bench_alloc(run, sizeof *hash);
  XXH3_64bits_reset(&hash->state);
  return hash;
}
void bench_hash_add(bench_hash *hash, const void *data, size_t bytes) {
  XXH3_64bits_update(&hash->state, data, bytes);
}
uint64_t bench_hash_end(bench_hash *hash) {
  uint64_t value = XXH3_64bits_digest(&hash->state);
  free(hash);
  return value;
}

/* ---- directories ------------------------------------------------------------------------------------------------- */

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *level) {
  (void)info, (void)kind, (void)level;
  return remove(path);
}

void bench_remove_tree(const char *path) {
  nftw(path, remove_one, 64, FTW_DEPTH | FTW_PHYS);
}

static uint64_t disk_bytes_sum; /* nftw passes no context; only a measurement's first thread walks */

static int add_one(const char *path, const struct stat *info, int kind, struct FTW *level) {
  (void)path, (void)level;
  if (kind == FTW_F) disk_bytes_sum += (uint64_t)info->st_blocks * 512;
  return 0;
}

uint64_t bench_disk_bytes(const char *dir) {
  disk_bytes_sum = 0;
  nftw(dir, add_one, 64, FTW_PHYS);
  return disk_bytes_sum;
}

/* ---- cold ------------------------------------------------------------------------------------------------------- */

bool bench_drop_caches(void) {
  int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  sync();
  bool dropped = write(fd, "3\n", 2) == 2;
  close(fd);
  return dropped;
}

static uint64_t io_bytes(const char *name) {
  char line[80];
  unsigned long long bytes = 0;
  FILE *io = fopen("/proc/self/io", "r");
  while (io && fgets(line, sizeof line, io))
    if (strncmp(line, name, strlen(name)) == 0) bytes = strtoull(line + strlen(name), NULL, 10);
  if (io) fclose(io);
  return bytes;
}

uint64_t bench_read_bytes(void) {
  return io_bytes("read_bytes:");
}

uint64_t bench_written_bytes(void) {
  return io_bytes("write_bytes:");
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

typedef struct bench_thread {
  pthread_t id;
  bench_run *run;
  unsigned index;
  pthread_barrier_t *start;
  void (*work)(bench_run *run, unsigned index, void *context);
  void *context;
} bench_thread;

static void *thread_main(void *argument) {
  bench_thread *self = argument;
  pthread_barrier_wait(self->start);
  self->work(self->run, self->index, self->context);
  return NULL;
}

double bench_threads(bench_run *run, unsigned threads, void (*work)(bench_run *run, unsigned index, void *context),
                     void *context) {
  bench_thread *all = bench_alloc(run, threads * sizeof *all);
  pthread_barrier_t start;
  pthread_barrier_init(&start, NULL, threads + 1);
  for (unsigned i = 0; i < threads; i++) {
    all[i] = (bench_thread){.run = run, .index = i, .start = &start, .work = work, .context = context};
    if (pthread_create(&all[i].id, NULL, thread_main, &all[i]) != 0) bench_fail(run, "pthread_create failed");
  }
  bench_begin(run);
  pthread_barrier_wait(&start);
  for (unsigned i = 0; i < threads; i++)
    pthread_join(all[i].id, NULL);
  double ns = bench_end(run);
  pthread_barrier_destroy(&start);
  free(all);
  return ns;
}

/* ---- allocations ------------------------------------------------------------------------------------------------- */

/* These stand before the C library's for the whole process: engine, SQLite and LMDB are counted alike.  One
** thread-local increment per call is far below what an allocation costs. */
static _Thread_local uint64_t allocation_count;

#if defined(__GLIBC__)
extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *memory, size_t bytes);

__attribute__((visibility("default"))) void *malloc(size_t bytes) {
  allocation_count++;
  return __libc_malloc(bytes);
}
__attribute__((visibility("default"))) void *calloc(size_t count, size_t bytes) {
  allocation_count++;
  return __libc_calloc(count, bytes);
}
__attribute__((visibility("default"))) void *realloc(void *memory, size_t bytes) {
  allocation_count++;
  return __libc_realloc(memory, bytes);
}

/* What is mapped in blocks and not by malloc: the kernel marks it, for it was asked for large pages there. */
static uint64_t mapped_blocks(void) {
  uint64_t bytes = 0, size_kib = 0;
  char line[256];
  FILE *file = fopen("/proc/self/smaps", "re");
  while (file && fgets(line, sizeof line, file)) {
    if (strncmp(line, "Size:", 5) == 0) size_kib = strtoull(line + 5, NULL, 10);
    if (strncmp(line, "VmFlags:", 8) == 0 && strstr(line, " hg")) bytes += size_kib * 1024;
  }
  if (file) fclose(file);
  return bytes;
}

uint64_t bench_heap_bytes(void) {
  struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd + mapped_blocks();
}
#else
uint64_t bench_heap_bytes(void) {
  return 0;
}
#endif

uint64_t bench_allocations(void) {
  return allocation_count;
}
