/* SPDX-License-Identifier: MIT
**
** files.c: real files: mappings that the file outgrows, offsets past 4 GiB, threads.  What differs between machines
** here is the size of an address space, and how 64-bit numbers are read and written by several threads. THREADS:
** machines_threads() starts some; the rest has one.
*/
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "machines.h"
#include "os/os.h"

#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)

static seqdb_region make(seqdb *db, const char *name) {
  seqdb_region region;
  machines_ok(seqdb_find_or_create(db, name, strlen(name), &region, NULL), db, "create");
  return region;
}

static seqdb_region find(seqdb *db, const char *name) {
  seqdb_region region = 0;
  machines_ok(seqdb_find(seqdb_own_view(db), name, strlen(name), &region), db, name);
  return region;
}

static void fill(uint8_t *bytes, size_t count, uint64_t seed) {
  machines_random random = {seed};
  for (size_t i = 0; i < count; i++)
    bytes[i] = (uint8_t)machines_next(&random);
}

/* ---- mappings */

#define PIECE  65536
#define GROWTH 4

struct pinned {
  seqdb_snapshot *snapshot;
  const uint8_t *bytes[GROWTH + 1];
};

/* All pieces written so far, through pointers of an old and of a new snapshot. */
static void same_pieces(const struct pinned *pin, int count, const char *when) {
  static uint8_t want[PIECE];
  for (int i = 0; i < count; i++) {
    fill(want, PIECE, (uint64_t)i + 1);
    if (pin->bytes[i] && memcmp(pin->bytes[i], want, PIECE) != 0) machines_fail("%s: piece %d differs", when, i);
  }
}

static bool pin_pieces(seqdb *db, struct pinned *pin, const uint64_t *at, int count) {
  bool mapped = true;
  memset(pin, 0, sizeof *pin);
  machines_ok(seqdb_snapshot_open(db, &pin->snapshot), db, "snapshot");
  for (int i = 0; i < count; i++) {
    const void *direct = NULL;
    int rc = seqdb_read(seqdb_snapshot_view(pin->snapshot), find(db, "grows"), at[i], PIECE, &direct);
    if (rc < 0) machines_fail("read: %s", seqdb_errmsg(db));
    if (rc != SEQDB_OK) mapped = false;
    pin->bytes[i] = direct;
  }
  return mapped;
}

void machines_map(const char *directory) {
  static uint8_t piece[PIECE];
  struct rlimit space; /* a process that was given little of it reads with pread, and maps nothing */
  bool roomy = getrlimit(RLIMIT_AS, &space) != 0 || space.rlim_cur == RLIM_INFINITY;
  uint64_t window = sdb_os_map_window(), at[GROWTH + 1];
  struct pinned pins[GROWTH + 1];
  seqdb *db = machines_open(directory, SEQDB_OPEN_CREATE, NULL);
  seqdb_region region = make(db, "grows");
  if (window > GIB) machines_fail("a mapping of %llu bytes is never outgrown here: use -w", (unsigned long long)window);
  for (int i = 0; i <= GROWTH; i++) { /* each time past the end of the newest window */
    at[i] = i == 0 ? 0 : (window * 3 / 4) << i;
    if (i > 0) machines_ok(seqdb_set_length(db, region, at[i]), db, "set_length");
    fill(piece, PIECE, (uint64_t)i + 1);
    machines_ok(seqdb_append(db, region, piece, PIECE, NULL), db, "append");
    machines_ok(seqdb_flush(db, NULL), db, "flush");
    bool mapped = pin_pieces(db, &pins[i], at, i + 1);
    if (mapped && i == GROWTH && !roomy) machines_fail("there was room for it all");
    if (!mapped && i < 2 && roomy) machines_fail("%llu bytes are not mapped", (unsigned long long)at[i]);
    for (int k = 0; k <= i; k++)
      same_pieces(&pins[k], k + 1, "while it grows");
  }
  machines_ok(seqdb_truncate(db, region, PIECE), db, "truncate");
  machines_ok(seqdb_flush(db, NULL), db, "flush");
  (void)seqdb_compact(db, NULL);
  for (int k = 0; k <= GROWTH; k++) {
    same_pieces(&pins[k], k + 1, "after the cut");
    seqdb_snapshot_close(pins[k].snapshot);
  }
  machines_ok(seqdb_compact(db, NULL), db, "compact");
  machines_check(db);
  seqdb_close(db);
}

/* ---- past 4 GiB */

#define LARGE (UINT64_C(5) * GIB + 12345)
static const uint64_t marks[] = {
    0, GIB - 3, UINT64_C(2) * GIB - 5, UINT64_C(4) * GIB - 7, UINT64_C(4) * GIB + 4093, LARGE - 64};
#define MARKS      (sizeof marks / sizeof *marks)
#define MARK_BYTES 64

static void large_verify(seqdb *db, const char *when) {
  uint8_t want[MARK_BYTES], bytes[MARK_BYTES + 8];
  seqdb_snapshot *snapshot;
  seqdb_region_info info;
  size_t got;
  machines_ok(seqdb_snapshot_open(db, &snapshot), db, "snapshot");
  machines_ok(seqdb_get_info(seqdb_snapshot_view(snapshot), find(db, "large"), &info), db, "info");
  if (info.length_bytes != LARGE) machines_fail("%s: length %llu", when, (unsigned long long)info.length_bytes);
  for (size_t i = 0; i < MARKS; i++) {
    const void *direct;
    fill(want, MARK_BYTES, i + 100);
    machines_ok(seqdb_read_copy(seqdb_snapshot_view(snapshot), info.region, marks[i], bytes, sizeof bytes, &got), db,
                "read_copy");
    if (got < MARK_BYTES || (i + 1 == MARKS && got != MARK_BYTES) || memcmp(bytes, want, MARK_BYTES) != 0)
      machines_fail("%s: %llu differs", when, (unsigned long long)marks[i]);
    int rc = seqdb_read(seqdb_snapshot_view(snapshot), info.region, marks[i], MARK_BYTES, &direct);
    if (rc < 0 || (rc == SEQDB_OK && memcmp(direct, want, MARK_BYTES) != 0))
      machines_fail("%s: %llu differs in the mapping", when, (unsigned long long)marks[i]);
  }
  machines_ok(seqdb_read_copy(seqdb_snapshot_view(snapshot), info.region, UINT64_C(4) * GIB - 100, bytes, 60, &got), db,
              "read_copy");
  for (size_t i = 0; i < got; i++)
    if (bytes[i]) machines_fail("%s: no zeros before 4 GiB", when);
  machines_ok(seqdb_get_info(seqdb_snapshot_view(snapshot), find(db, "behind"), &info), db, "info");
  if (info.offset < UINT64_C(4) * GIB) machines_fail("the region behind begins before 4 GiB");
  machines_ok(seqdb_read_copy(seqdb_snapshot_view(snapshot), info.region, 0, bytes, sizeof bytes, &got), db,
              "read_copy");
  if (got != 11 || memcmp(bytes, "far +behind", 11) != 0) machines_fail("%s: the region behind differs", when);
  seqdb_snapshot_close(snapshot);
  machines_check(db);
}

void machines_large(const char *directory, bool verify_only) {
  uint8_t bytes[MARK_BYTES];
  if (verify_only) {
    seqdb *db = machines_open(directory, SEQDB_OPEN_READONLY, NULL);
    large_verify(db, "read-only");
    seqdb_close(db);
    db = machines_open(directory, 0, NULL);
    large_verify(db, "after recovery");
    machines_ok(seqdb_compact(db, NULL), db, "compact");
    large_verify(db, "after compact");
    seqdb_close(db);
    db = machines_open(directory, SEQDB_OPEN_NO_MMAP, NULL);
    large_verify(db, "without a mapping");
    seqdb_close(db);
    return;
  }
  seqdb *db = machines_open(directory, SEQDB_OPEN_CREATE, NULL);
  seqdb_region large = make(db, "large");
  machines_ok(seqdb_set_length(db, large, LARGE), db, "set_length");
  for (size_t i = 0; i + 1 < MARKS; i += 2) {
    fill(bytes, MARK_BYTES, i + 100);
    machines_ok(seqdb_write(db, large, marks[i], bytes, MARK_BYTES), db, "write");
  }
  seqdb_region behind = make(db, "behind");
  machines_ok(seqdb_append(db, behind, "far -behind", 11, NULL), db, "append");
  machines_ok(seqdb_flush(db, NULL), db, "flush");
  for (size_t i = 1; i < MARKS; i += 2) { /* over committed bytes: these travel in the record */
    fill(bytes, MARK_BYTES, i + 100);
    machines_ok(seqdb_write(db, large, marks[i], bytes, MARK_BYTES), db, "write");
  }
  machines_ok(seqdb_write(db, behind, 4, "+", 1), db, "write");
  machines_ok(seqdb_flush(db, NULL), db, "flush");
  large_verify(db, "before the end");
  _exit(0);
}

/* ---- threads */

#define WRITERS  3
#define APPENDS  1500
#define ITEM     24
#define FLUSH_AT 100

struct work {
  seqdb *db;
  char name[8];
  uint64_t seed;
  _Atomic unsigned *running;
};

static void *append_all(void *context) {
  struct work *work = context;
  seqdb_region region = find(work->db, work->name);
  for (uint64_t i = 0; i < APPENDS; i++) {
    uint8_t item[ITEM];
    uint64_t at = 0;
    fill(item, ITEM, work->seed + i);
    machines_ok(seqdb_append(work->db, region, item, ITEM, &at), work->db, "append");
    if (at != i * ITEM) machines_fail("append %llu lies at %llu", (unsigned long long)i, (unsigned long long)at);
    if (i % FLUSH_AT == 0) machines_ok(seqdb_flush(work->db, NULL), work->db, "flush");
  }
  atomic_fetch_sub(work->running, 1);
  return NULL;
}

/* Whatever a snapshot has is a whole number of items, each as it was appended, and never fewer than before. */
static void look(seqdb *db, const struct work *work, uint64_t *seen) {
  static uint8_t bytes[APPENDS * ITEM];
  uint8_t want[ITEM];
  seqdb_snapshot *snapshot;
  size_t got;
  machines_ok(seqdb_snapshot_open(db, &snapshot), db, "snapshot");
  for (int w = 0; w < WRITERS; w++) {
    seqdb_region region;
    machines_ok(seqdb_find(seqdb_snapshot_view(snapshot), work[w].name, strlen(work[w].name), &region), db, "find");
    machines_ok(seqdb_read_copy(seqdb_snapshot_view(snapshot), region, 0, bytes, sizeof bytes, &got), db, "read_copy");
    if (got % ITEM || got < seen[w]) machines_fail("%s has %zu bytes", work[w].name, got);
    for (size_t i = (size_t)seen[w] / ITEM; i < got / ITEM; i++) {
      fill(want, ITEM, work[w].seed + i);
      if (memcmp(bytes + i * ITEM, want, ITEM) != 0) machines_fail("%s: item %zu differs", work[w].name, i);
    }
    seen[w] = got;
  }
  seqdb_snapshot_close(snapshot);
}

void machines_threads(const char *directory) {
  _Atomic unsigned running = WRITERS;
  struct work work[WRITERS];
  pthread_t thread[WRITERS];
  uint64_t seen[WRITERS] = {0};
  seqdb *db = machines_open(directory, SEQDB_OPEN_CREATE, NULL);
  seqdb *reader = machines_open(directory, 0, NULL);
  for (int w = 0; w < WRITERS; w++) {
    work[w] = (struct work){.db = db, .seed = (uint64_t)w << 32, .running = &running};
    snprintf(work[w].name, sizeof work[w].name, "w%d", w);
    (void)make(db, work[w].name);
  }
  machines_ok(seqdb_flush(db, NULL), db, "flush");
  for (int w = 0; w < WRITERS; w++)
    if (pthread_create(&thread[w], NULL, append_all, &work[w]) != 0) machines_fail("no thread");
  while (atomic_load(&running) > 0)
    look(reader, work, seen);
  for (int w = 0; w < WRITERS; w++)
    pthread_join(thread[w], NULL);
  machines_ok(seqdb_flush(db, NULL), db, "flush");
  look(reader, work, seen);
  for (int w = 0; w < WRITERS; w++)
    if (seen[w] != (uint64_t)APPENDS * ITEM) machines_fail("%s lost appends", work[w].name);
  seqdb_close(reader);
  machines_check(db);
  seqdb_close(db);
}
