/* SPDX-License-Identifier: MIT
**
** api_threads.c: workloads of several threads as Tcl commands.
**
**   sdb_threads append HANDLE REGION THREADS RECORDS   all threads append numbered records to one region
**   sdb_threads spread HANDLE THREADS REGIONS RECORDS  all threads append to all regions r0, r1, ... (which exist)
**   sdb_threads create HANDLE THREADS REGIONS          thread t creates t-0, t-1, ... and appends its name to each
**       These three verify what the handle's own view then shows and return the number of records (regions) found.
**   sdb_threads mix DIRECTORY MS SEED                  appenders, a committer, readers, compaction and checkpoints,
**                                                      which verify what they see; -> counts of what each did
**   sdb_threads hold HANDLE REGIONNAME MS              a thread begins a transaction, keeps it for so long and rolls it
**                                                      back; returns once it has begun; "sdb_threads join" waits for
**                                                      its end
**   sdb_threads open DIRECTORY                         a thread opens the directory, creating it, and closes it; "join"
**                                                      waits for its end and tells what went wrong
**
** A workload that makes no progress for a minute is a deadlock: the process says so and aborts.
** THREADS: the interpreter's; it waits for the threads that it starts (but for "hold").
*/
#include "engine/api.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX    16
#define RECORD_BYTES   24u
#define WATCHDOG_TICKS 600 /* of 100 ms without any progress */
#define MIX_REGION_MAX (UINT64_C(2) << 20)

/* ---- threads ----------------------------------------------------------------------------------------------- */

typedef struct crew {
  seqdb *db;
  seqdb_region region;
  uint64_t records, regions;
  const char *directory;
  atomic_bool stop;
  _Atomic uint64_t progress;
  _Atomic uint64_t appended, flushes, snapshots, compactions, checkpoints;
  _Atomic int alive, problems;
  pthread_mutex_t mutex;
  pthread_rwlock_t gate; /* mix: held by the committer for a moment to let other writers in */
  char problem[1500];
} crew;

typedef struct member {
  crew *crew;
  unsigned number;
  uint64_t random;
  pthread_t thread;
  void (*work)(struct member *m);
} member;

static uint64_t next_random(uint64_t *state) {
  uint64_t z = *state += 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

static void sleep_ms(unsigned ms) {
  struct timespec time = {ms / 1000, (long)(ms % 1000) * 1000000};
  nanosleep(&time, NULL);
}

/* Keep the first problem; everybody stops. */
static void complain(crew *c, const char *what, const char *message) {
  pthread_mutex_lock(&c->mutex);
  if (atomic_fetch_add(&c->problems, 1) == 0) snprintf(c->problem, sizeof c->problem, "%s: %s", what, message);
  pthread_mutex_unlock(&c->mutex);
  atomic_store(&c->stop, true);
}

static bool failed(crew *c, seqdb *db, const char *what, int rc) {
  seqdb_error error = SEQDB_ERROR_INIT;
  if (rc >= 0) return false;
  seqdb_get_error(db, &error);
  complain(c, what, error.message);
  return true;
}

static void *thread_main(void *context) {
  member *m = context;
  m->work(m);
  atomic_fetch_sub(&m->crew->alive, 1);
  return NULL;
}

static void crew_init(crew *c) {
  memset(c, 0, sizeof *c);
  pthread_mutex_init(&c->mutex, NULL);
  pthread_rwlockattr_t kind;
  pthread_rwlockattr_init(&kind);
  pthread_rwlockattr_setkind_np(&kind, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
  pthread_rwlock_init(&c->gate, &kind);
  pthread_rwlockattr_destroy(&kind);
}

static void crew_start(crew *c, member *members, unsigned count, void (*const *works)(member *), unsigned works_count,
                       uint64_t seed) {
  atomic_store(&c->alive, (int)count);
  for (unsigned i = 0; i < count; i++) {
    members[i] = (member){.crew = c, .number = i, .random = seed + i, .work = works[i % works_count]};
    if (pthread_create(&members[i].thread, NULL, thread_main, &members[i]) != 0) abort();
  }
}

/* Wait for all; ask them to stop after `ms` (0: they stop by themselves). */
static void crew_wait(crew *c, member *members, unsigned count, uint64_t ms) {
  uint64_t seen = 0, idle_ticks = 0;
  for (uint64_t waited = 0; atomic_load(&c->alive) > 0; waited += 100) {
    sleep_ms(100);
    if (ms > 0 && waited >= ms) atomic_store(&c->stop, true);
    uint64_t now = atomic_load(&c->progress);
    idle_ticks = now == seen ? idle_ticks + 1 : 0;
    seen = now;
    if (idle_ticks > WATCHDOG_TICKS) {
      fprintf(stderr, "deadlock: %d threads make no progress\n", atomic_load(&c->alive));
      abort();
    }
  }
  for (unsigned i = 0; i < count; i++)
    pthread_join(members[i].thread, NULL);
}

/* The crew's end. */
static int crew_result(Tcl_Interp *interp, crew *c, uint64_t count) {
  pthread_mutex_destroy(&c->mutex);
  pthread_rwlock_destroy(&c->gate);
  if (atomic_load(&c->problems) > 0) {
    Tcl_SetObjResult(interp, Tcl_NewStringObj(c->problem, -1));
    return TCL_ERROR;
  }
  Tcl_SetObjResult(interp, sdb_test_wide(count));
  return TCL_OK;
}

/* ---- records that can be told apart ------------------------------------------------------------------------ */

static void record_make(uint8_t record[RECORD_BYTES], uint64_t thread, uint64_t number) {
  uint64_t words[3] = {thread, number, thread * 0x9E3779B97F4A7C15u ^ number * 0xBF58476D1CE4E5B9u};
  memcpy(record, words, RECORD_BYTES);
}

/* Every record of every thread is there once, whole, and each thread's in its order. */
static uint64_t records_verify(crew *c, seqdb_region region, unsigned threads, uint64_t wanted_each) {
  uint64_t next[THREADS_MAX] = {0}, found = 0, at = 0;
  seqdb_view *view = seqdb_own_view(c->db);
  uint8_t record[RECORD_BYTES], good[RECORD_BYTES];
  size_t got = 0;
  while (!failed(c, c->db, "read", seqdb_read_copy(view, region, at, record, sizeof record, &got)) && got > 0) {
    uint64_t words[3];
    memcpy(words, record, sizeof words);
    if (got < RECORD_BYTES || words[0] >= threads) break;
    record_make(good, words[0], next[words[0]]++);
    if (memcmp(record, good, sizeof good) != 0) break;
    at += got;
    found++;
  }
  if (got > 0) complain(c, "verify", "a record is torn, lost, or out of its thread's order");
  for (unsigned i = 0; i < threads; i++)
    if (next[i] != wanted_each) complain(c, "verify", "records are lost");
  return found;
}

static bool append_record(member *m, seqdb_region region, uint64_t number) {
  uint8_t record[RECORD_BYTES];
  uint64_t offset = 1;
  record_make(record, m->number, number);
  int rc = seqdb_append(m->crew->db, region, record, sizeof record, &offset);
  if (failed(m->crew, m->crew->db, "append", rc)) return false;
  if (offset % RECORD_BYTES != 0) complain(m->crew, "append", "returned an offset inside another record");
  atomic_fetch_add(&m->crew->progress, 1);
  return true;
}

static void work_append(member *m) {
  for (uint64_t i = 0; i < m->crew->records && !atomic_load(&m->crew->stop); i++)
    if (!append_record(m, m->crew->region, i)) return;
}

static bool region_named(crew *c, unsigned number, seqdb_region *region) {
  char name[24];
  int bytes = snprintf(name, sizeof name, "r%u", number);
  return !failed(c, c->db, "find", seqdb_find(seqdb_own_view(c->db), name, (size_t)bytes, region));
}

static void work_spread(member *m) {
  crew *c = m->crew;
  seqdb_region region;
  for (uint64_t i = 0; i < c->records; i++) {
    for (unsigned r = 0; r < c->regions && !atomic_load(&c->stop); r++) {
      unsigned which = (r + m->number) % (unsigned)c->regions;
      if (!region_named(c, which, &region) || !append_record(m, region, i)) return;
    }
  }
}

static void work_create(member *m) {
  crew *c = m->crew;
  seqdb_region region;
  char name[40];
  for (uint64_t i = 0; i < c->regions && !atomic_load(&c->stop); i++) {
    size_t bytes = (size_t)snprintf(name, sizeof name, "%u-%" PRIu64, m->number, i);
    if (failed(c, c->db, "create", seqdb_find_or_create(c->db, name, bytes, &region, NULL))) return;
    if (failed(c, c->db, "append", seqdb_append(c->db, region, name, bytes, NULL))) return;
    atomic_fetch_add(&c->progress, 1);
  }
}

static uint64_t created_verify(crew *c, unsigned threads) {
  char name[40], content[40];
  uint64_t found = 0;
  seqdb_region region;
  size_t got = 0;
  for (unsigned t = 0; t < threads; t++) {
    for (uint64_t i = 0; i < c->regions; i++, found++) {
      size_t bytes = (size_t)snprintf(name, sizeof name, "%u-%" PRIu64, t, i);
      if (failed(c, c->db, "find", seqdb_find(seqdb_own_view(c->db), name, bytes, &region))) return found;
      if (failed(c, c->db, "read", seqdb_read_copy(seqdb_own_view(c->db), region, 0, content, sizeof content, &got)))
        return found;
      if (got != bytes || memcmp(name, content, bytes) != 0) {
        complain(c, name, "its content is another region's");
        return found;
      }
    }
  }
  return found;
}

/* ---- the mix ----------------------------------------------------------------------------------------------- */

/* Word `at` of region `seed`: any snapshot can be verified without knowing when it was made. */
static uint64_t pattern(uint64_t seed, uint64_t at) {
  uint64_t state = seed * 0xD6E8FEB86659FD93u + at;
  return next_random(&state);
}

static seqdb *mix_open(crew *c) {
  seqdb_options options = {.size_bytes = sizeof options, .busy_timeout_ms = 5000};
  seqdb_error error = SEQDB_ERROR_INIT;
  seqdb *db = NULL;
  if (seqdb_open(c->directory, &options, &error, &db) != SEQDB_OK) complain(c, "open", error.message);
  return db;
}

/* One region for each appender.  When it is long enough: cut it and go on, so that its space is freed and reused. */
static void work_mix_append(member *m) {
  crew *c = m->crew;
  seqdb_region region;
  uint64_t words = 0, buffer[512];
  char name[24];
  size_t bytes = (size_t)snprintf(name, sizeof name, "r%u", m->number);
  if (failed(c, c->db, "create", seqdb_find_or_create(c->db, name, bytes, &region, NULL))) return;
  if (failed(c, c->db, "truncate", seqdb_truncate(c->db, region, 0))) return;
  while (!atomic_load(&c->stop)) {
    size_t count = 1 + (size_t)(next_random(&m->random) % 512);
    for (size_t i = 0; i < count; i++)
      buffer[i] = pattern(m->number, words + i);
    pthread_rwlock_rdlock(&c->gate);
    int rc = seqdb_append(c->db, region, buffer, count * 8, NULL);
    words += count;
    if (rc == SEQDB_OK && words * 8 > MIX_REGION_MAX) {
      words = next_random(&m->random) % (words / 2);
      rc = seqdb_truncate(c->db, region, words * 8);
    }
    pthread_rwlock_unlock(&c->gate);
    if (failed(c, c->db, "append", rc)) return;
    atomic_fetch_add(&c->appended, 1);
    atomic_fetch_add(&c->progress, 1);
  }
}

static void work_mix_commit(member *m) {
  crew *c = m->crew;
  char name[24];
  seqdb_region region;
  for (uint64_t i = 0; !atomic_load(&c->stop); i++) {
    size_t bytes = (size_t)snprintf(name, sizeof name, "x%" PRIu64, i % 8);
    pthread_rwlock_wrlock(&c->gate);
    int rc = seqdb_find_or_create(c->db, name, bytes, &region, NULL); /* alternately with a removal */
    if (rc == SEQDB_OK && i / 8 % 2 == 1) rc = seqdb_remove(c->db, region);
    if (rc == SEQDB_OK) rc = seqdb_flush(c->db, NULL);
    if (i % 4 == 0) sleep_ms(2);
    pthread_rwlock_unlock(&c->gate);
    if (failed(c, c->db, "flush", rc)) return;
    atomic_fetch_add(&c->flushes, 1);
    atomic_fetch_add(&c->progress, 1);
    sleep_ms(1);
  }
}

static bool region_verify(crew *c, seqdb *db, seqdb_snapshot *snapshot, const seqdb_region_info *info) {
  const void *data = NULL;
  uint64_t seed = (uint64_t)(info->name[1] - '0'), word;
  void *copy = NULL;
  size_t got = 0, bytes = (size_t)info->length_bytes;
  bool good = true;
  if (info->name[0] != 'r' || bytes == 0) return info->name[0] == 'r' || bytes == 0;
  int rc = seqdb_read(seqdb_snapshot_view(snapshot), info->region, 0, bytes, &data);
  if (rc == SEQDB_COPY) {
    copy = malloc(bytes);
    rc = seqdb_read_copy(seqdb_snapshot_view(snapshot), info->region, 0, copy, bytes, &got);
    data = copy;
    good = got == bytes;
  }
  if (failed(c, db, "read", rc)) good = false;
  for (int twice = 0; twice < (copy == NULL ? 2 : 1) && good; twice++) { /* what is pointed at never changes */
    for (uint64_t i = 0; i < bytes / 8 && good; i++) {
      memcpy(&word, (const char *)data + i * 8, 8);
      good = word == pattern(seed, i);
    }
  }
  free(copy);
  return good;
}

/* What has changed since the reader's last snapshot is no gap. */
static bool changes_follow(crew *c, seqdb *db, seqdb_snapshot *snapshot, uint64_t *since) {
  seqdb_changes *changes = NULL;
  seqdb_change change = SEQDB_CHANGE_INIT;
  uint64_t to = *since;
  int rc = seqdb_changes_open(db, snapshot, *since, &to, &changes);
  if (rc == SEQDB_BUSY) return true;
  if (failed(c, db, "changes", rc)) return false;
  while (seqdb_changes_next(changes, &change) == SEQDB_OK) {
  }
  seqdb_changes_close(changes);
  *since = to;
  return true;
}

static void work_mix_read(member *m) {
  crew *c = m->crew;
  seqdb *db = mix_open(c);
  seqdb_region_info info;
  uint64_t since = 0;
  while (db != NULL && !atomic_load(&c->stop)) {
    seqdb_snapshot *snapshot = NULL;
    int rc = seqdb_snapshot_open(db, &snapshot);
    if (failed(c, db, "snapshot", rc)) break;
    for (uint64_t at = 0; (rc = seqdb_iterate(seqdb_snapshot_view(snapshot), at, &info)) == SEQDB_OK;
         at = (uint64_t)info.index + 1) {
      if (!region_verify(c, db, snapshot, &info))
        complain(c, "read", "a snapshot shows bytes that were never appended");
    }
    bool followed = changes_follow(c, db, snapshot, &since);
    seqdb_snapshot_close(snapshot);
    if (failed(c, db, "iterate", rc) || !followed) break;
    atomic_fetch_add(&c->snapshots, 1);
    atomic_fetch_add(&c->progress, 1);
    sleep_ms(1);
  }
  seqdb_close(db);
}

static void mix_upkeep(member *m, int (*function)(seqdb *db), _Atomic uint64_t *count) {
  crew *c = m->crew;
  seqdb *db = mix_open(c);
  while (db != NULL && !atomic_load(&c->stop)) {
    int rc = function(db);
    if (rc != SEQDB_BUSY && failed(c, db, "upkeep", rc)) break;
    if (rc == SEQDB_OK) atomic_fetch_add(count, 1);
    if (rc == SEQDB_OK) atomic_fetch_add(&c->progress, 1);
    sleep_ms((unsigned)(next_random(&m->random) % 8));
  }
  seqdb_close(db);
}

static int compact_all(seqdb *db) {
  return seqdb_compact(db, NULL);
}

static void work_mix_compact(member *m) {
  mix_upkeep(m, compact_all, &m->crew->compactions);
}

static void work_mix_checkpoint(member *m) {
  mix_upkeep(m, seqdb_checkpoint, &m->crew->checkpoints);
}

/* Long work asks it, and other threads go on meanwhile. */
static int never(void *context) {
  (void)context;
  sched_yield();
  return 0;
}

static int run_mix(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  static void (*const works[])(member *) = {work_mix_append, work_mix_append,  work_mix_append,
                                            work_mix_append, work_mix_commit,  work_mix_read,
                                            work_mix_read,   work_mix_compact, work_mix_checkpoint};
  enum { COUNT = sizeof works / sizeof works[0] };
  member members[COUNT];
  uint64_t ms, seed;
  crew c;
  (void)argc;
  if (sdb_test_u64(interp, argv[1], &ms) != TCL_OK || sdb_test_u64(interp, argv[2], &seed) != TCL_OK) return TCL_ERROR;
  crew_init(&c);
  c.directory = Tcl_GetString(argv[0]);
  c.db = mix_open(&c);
  if (c.db == NULL) return crew_result(interp, &c, 0);
  seqdb_set_interrupt(c.db, never, NULL);
  crew_start(&c, members, COUNT, works, COUNT, seed);
  crew_wait(&c, members, COUNT, ms);
  (void)seqdb_flush(c.db, NULL);
  seqdb_close(c.db);
  if (atomic_load(&c.problems) > 0) return crew_result(interp, &c, 0);
  Tcl_Obj *dict = Tcl_NewDictObj();
  sdb_api_put_u64(dict, "appended", atomic_load(&c.appended));
  sdb_api_put_u64(dict, "flushes", atomic_load(&c.flushes));
  sdb_api_put_u64(dict, "snapshots", atomic_load(&c.snapshots));
  sdb_api_put_u64(dict, "compactions", atomic_load(&c.compactions));
  sdb_api_put_u64(dict, "checkpoints", atomic_load(&c.checkpoints));
  Tcl_SetObjResult(interp, dict);
  return TCL_OK;
}

/* ---- commands ---------------------------------------------------------------------------------------------- */

static int take_threads(Tcl_Interp *interp, Tcl_Obj *word, unsigned *threads) {
  uint64_t number;
  if (sdb_test_u64(interp, word, &number) != TCL_OK) return TCL_ERROR;
  *threads = (unsigned)(number < 1 ? 1 : number > THREADS_MAX ? THREADS_MAX : number);
  return TCL_OK;
}

static void crew_run(crew *c, unsigned threads, void (*work)(member *)) {
  member members[THREADS_MAX];
  crew_start(c, members, threads, &work, 1, 1);
  crew_wait(c, members, threads, 0);
}

static int run_append(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_db *at = sdb_api_handle(interp, argv[0]);
  unsigned threads;
  crew c;
  (void)argc;
  crew_init(&c);
  if (at == NULL || take_threads(interp, argv[2], &threads) != TCL_OK ||
      sdb_test_u64(interp, argv[3], &c.records) != TCL_OK ||
      sdb_api_region(interp, at->db, seqdb_own_view(at->db), argv[1], &c.region) != TCL_OK) {
    return TCL_ERROR;
  }
  c.db = at->db;
  crew_run(&c, threads, work_append);
  uint64_t found = records_verify(&c, c.region, threads, c.records);
  return crew_result(interp, &c, found);
}

static int run_spread(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_db *at = sdb_api_handle(interp, argv[0]);
  uint64_t found = 0;
  unsigned threads;
  crew c;
  (void)argc;
  crew_init(&c);
  if (at == NULL || take_threads(interp, argv[1], &threads) != TCL_OK ||
      sdb_test_u64(interp, argv[2], &c.regions) != TCL_OK || sdb_test_u64(interp, argv[3], &c.records) != TCL_OK) {
    return TCL_ERROR;
  }
  c.db = at->db;
  crew_run(&c, threads, work_spread);
  for (unsigned r = 0; r < c.regions; r++) {
    seqdb_region region;
    if (region_named(&c, r, &region)) found += records_verify(&c, region, threads, c.records);
  }
  return crew_result(interp, &c, found);
}

static int run_create(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_db *at = sdb_api_handle(interp, argv[0]);
  unsigned threads;
  crew c;
  (void)argc;
  crew_init(&c);
  if (at == NULL || take_threads(interp, argv[1], &threads) != TCL_OK ||
      sdb_test_u64(interp, argv[2], &c.regions) != TCL_OK) {
    return TCL_ERROR;
  }
  c.db = at->db;
  crew_run(&c, threads, work_create);
  uint64_t found = created_verify(&c, threads);
  return crew_result(interp, &c, found);
}

/* ---- a transaction that stands for a while ---- */

static struct {
  pthread_t thread;
  seqdb *db;
  char name[64];
  unsigned ms;
  _Atomic int state; /* 1: begun, -1: could not */
} holder;

static void *hold_main(void *context) {
  seqdb_region region;
  (void)context;
  int rc = seqdb_find_or_create(holder.db, holder.name, strlen(holder.name), &region, NULL);
  atomic_store(&holder.state, rc == SEQDB_OK ? 1 : -1);
  sleep_ms(holder.ms);
  (void)seqdb_rollback(holder.db);
  return NULL;
}

static int run_hold(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_db *at = sdb_api_handle(interp, argv[0]);
  uint64_t ms;
  (void)argc;
  if (at == NULL || sdb_test_u64(interp, argv[2], &ms) != TCL_OK) return TCL_ERROR;
  holder.db = at->db;
  holder.ms = (unsigned)ms;
  snprintf(holder.name, sizeof holder.name, "%s", Tcl_GetString(argv[1]));
  atomic_store(&holder.state, 0);
  if (pthread_create(&holder.thread, NULL, hold_main, NULL) != 0) abort();
  while (atomic_load(&holder.state) == 0)
    sleep_ms(1);
  return atomic_load(&holder.state) == 1 ? TCL_OK : TCL_ERROR;
}

/* ---- a change, or an opening, on the side ---- */

static char opened[4096];
static seqdb_error opening_error;

static void *open_main(void *context) {
  const seqdb_options options = {.size_bytes = sizeof options, .flags = SEQDB_OPEN_CREATE};
  seqdb *db = NULL;
  (void)context;
  if (seqdb_open(opened, &options, &opening_error, &db) == SEQDB_OK) seqdb_close(db);
  return NULL;
}

static void *wait_main(void *context) {
  seqdb_region region;
  (void)context;
  if (seqdb_find_or_create(holder.db, holder.name, strlen(holder.name), &region, NULL) == SEQDB_OK)
    (void)seqdb_flush(holder.db, NULL);
  (void)seqdb_get_error(holder.db, &opening_error);
  return NULL;
}

/* Makes a region as soon as it has the lock; `join` has the message. */
static int run_wait(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_db *at = sdb_api_handle(interp, argv[0]);
  (void)argc;
  if (at == NULL) return TCL_ERROR;
  opening_error = (seqdb_error)SEQDB_ERROR_INIT;
  holder.db = at->db;
  snprintf(holder.name, sizeof holder.name, "%s", Tcl_GetString(argv[1]));
  if (pthread_create(&holder.thread, NULL, wait_main, NULL) != 0) abort();
  return TCL_OK;
}

static int run_open(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)interp, (void)argc;
  opening_error = (seqdb_error)SEQDB_ERROR_INIT;
  snprintf(opened, sizeof opened, "%s", Tcl_GetString(argv[0]));
  if (pthread_create(&holder.thread, NULL, open_main, NULL) != 0) abort();
  return TCL_OK;
}

static int run_join(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)argc, (void)argv;
  pthread_join(holder.thread, NULL);
  Tcl_SetObjResult(interp, Tcl_NewStringObj(opening_error.message, -1));
  return TCL_OK;
}

static const sdb_test_sub subs[] = {{"append", 4, 4, "handle region threads records", run_append},
                                    {"create", 3, 3, "handle threads regions", run_create},
                                    {"hold", 3, 3, "handle name ms", run_hold},
                                    {"join", 0, 0, NULL, run_join},
                                    {"mix", 3, 3, "directory ms seed", run_mix},
                                    {"open", 1, 1, "directory", run_open},
                                    {"spread", 4, 4, "handle threads regions records", run_spread},
                                    {"wait", 2, 2, "handle name", run_wait},
                                    {NULL, 0, 0, NULL, NULL}};

void sdb_api_threads_init(Tcl_Interp *interp) {
  Tcl_CreateObjCommand(interp, "sdb_threads", sdb_test_dispatch, (ClientData)(uintptr_t)subs, NULL);
}
