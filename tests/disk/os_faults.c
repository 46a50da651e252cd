/* SPDX-License-Identifier: MIT
**
** os_faults.c: the rules that let calls of os.h fail, be cut short, be interrupted or end the process in test builds;
** the log of calls, and the crash point.  os_dispatch.c asks here before and after each call.  See os_faults.h. OWNS:
** rules, counts, log, crash point. THREADS: any; `lock` guards all but the atomic counts and is never held during a
** call or the hook. INVARIANTS
**   - A call that no rule, log, hook or crash point watches costs two atomic operations.
**   - sdb_fault_begin() and sdb_fault_end() come in pairs; between them the thread's raw plan belongs to that call.
**   - A call refused by the crash point reaches neither the system nor the simulated disk.
*/
#pragma GCC visibility push(default) /* the second copy of the library uses these functions too */
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "os_faults.h"

#define RULES_MAX    32
#define LOG_SIZE_MAX ((size_t)1 << 22)

typedef struct active_rule {
  sdb_fault_rule rule;
  char file[SDB_CALL_FILE_MAX];
  int number; /* 0 = slot unused */
  uint64_t seen, hits;
} active_rule;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t removed = PTHREAD_COND_INITIALIZER; /* a rule is gone */
static active_rule rules[RULES_MAX];
static int last_number;
static unsigned log_kinds;
static sdb_call *log_calls;
static size_t log_size, log_room;
static bool stop_active, stopped;
static uint64_t stop_limit, stop_calls;
static void (*hook_run)(void *context, const sdb_call *call);
static void *hook_context;
static uint64_t random_state; /* 0 = the system's generator */

static _Atomic unsigned watched; /* kinds that begin() and end() must look at closely */
static _Atomic uint64_t counts[SDB_CALL_KINDS];

/* What the raw calls of this thread's current call have to do. */
static _Thread_local struct {
  unsigned interruptions;
  size_t piece_bytes;
  int error; /* after the first piece */
  bool piece_done;
} plan;

const char *sdb_call_name(int kind) {
  static const char *const names[SDB_CALL_KINDS] = {
      "malloc",   "random", "opendir", "mkdir",     "syncdir", "open",      "rename", "unlink",
      "info",     "pread",  "pwrite",  "fdatasync", "fsync",   "ftruncate", "punch",  "allocate",
      "nextdata", "lock",   "mmap",    "close",     "unlock",  "munmap"};
  return kind >= 0 && kind < SDB_CALL_KINDS ? names[kind] : NULL;
}

/* ---- control ----------------------------------------------------------------------------------------------- */

static void watch_again(void) {
  unsigned kinds = log_kinds;
  for (int i = 0; i < RULES_MAX; i++) {
    kinds |= rules[i].number != 0 ? rules[i].rule.kinds : 0;
  }
  if (stop_active) {
    kinds |= SDB_CALLS_SYSTEM;
  }
  if (hook_run != NULL) {
    kinds |= SDB_CALLS_CHANGING | SDB_CALL_BIT(SDB_CALL_OPEN);
  }
  atomic_store(&watched, kinds);
}

void sdb_fault_reset(void) {
  pthread_mutex_lock(&lock);
  for (int i = 0; i < RULES_MAX; i++) {
    if (!rules[i].rule.lasting) {
      rules[i] = (active_rule){.number = 0};
    }
  }
  pthread_cond_broadcast(&removed);
  free(log_calls);
  log_calls = NULL;
  log_size = log_room = 0;
  log_kinds = 0;
  stop_active = stopped = false;
  stop_calls = 0;
  hook_run = NULL;
  random_state = 0;
  for (int i = 0; i < SDB_CALL_KINDS; i++) {
    atomic_store(&counts[i], 0);
  }
  sdb_fault_set_map_window(0);
  sdb_fault_reset_peak();
  watch_again();
  pthread_mutex_unlock(&lock);
}

int sdb_fault_add(const sdb_fault_rule *rule) {
  int number = -1;
  pthread_mutex_lock(&lock);
  for (int i = 0; i < RULES_MAX && number < 0; i++) {
    active_rule *r = &rules[i];
    if (r->number == 0) {
      *r = (active_rule){.rule = *rule, .number = ++last_number};
      snprintf(r->file, sizeof r->file, "%s", rule->file != NULL ? rule->file : "");
      r->rule.file = NULL;
      number = r->number;
    }
  }
  watch_again();
  pthread_mutex_unlock(&lock);
  assert(number > 0); /* RULES_MAX is plenty for a test */
  return number;
}

void sdb_fault_remove(int number) {
  pthread_mutex_lock(&lock);
  for (int i = 0; i < RULES_MAX; i++) {
    if (rules[i].number == number) {
      rules[i] = (active_rule){.number = 0};
    }
  }
  pthread_cond_broadcast(&removed);
  watch_again();
  pthread_mutex_unlock(&lock);
}

uint64_t sdb_fault_hits(int number, uint64_t *seen) {
  uint64_t hits = 0;
  pthread_mutex_lock(&lock);
  for (int i = 0; i < RULES_MAX; i++) {
    if (rules[i].number == number) {
      hits = rules[i].hits;
      if (seen != NULL) {
        *seen = rules[i].seen;
      }
    }
  }
  pthread_mutex_unlock(&lock);
  return hits;
}

uint64_t sdb_fault_count(int kind) {
  return atomic_load(&counts[kind]);
}

void sdb_fault_log_start(unsigned kinds) {
  pthread_mutex_lock(&lock);
  if (kinds != 0) {
    log_size = 0;
  }
  log_kinds = kinds;
  watch_again();
  pthread_mutex_unlock(&lock);
}

size_t sdb_fault_log_size(void) {
  pthread_mutex_lock(&lock);
  size_t size = log_size;
  pthread_mutex_unlock(&lock);
  return size;
}

bool sdb_fault_log_get(size_t index, sdb_call *call) {
  pthread_mutex_lock(&lock);
  bool found = index < log_size;
  if (found) {
    *call = log_calls[index];
  }
  pthread_mutex_unlock(&lock);
  return found;
}

void sdb_fault_stop_start(uint64_t calls) {
  pthread_mutex_lock(&lock);
  stop_active = true;
  stopped = false;
  stop_limit = calls;
  stop_calls = 0;
  watch_again();
  pthread_mutex_unlock(&lock);
}

void sdb_fault_stop_end(void) {
  pthread_mutex_lock(&lock);
  stop_active = stopped = false;
  watch_again();
  pthread_mutex_unlock(&lock);
}

uint64_t sdb_fault_stop_calls(void) {
  pthread_mutex_lock(&lock);
  uint64_t calls = stop_calls;
  pthread_mutex_unlock(&lock);
  return calls;
}

bool sdb_fault_stopped(void) {
  pthread_mutex_lock(&lock);
  bool is_stopped = stopped;
  pthread_mutex_unlock(&lock);
  return is_stopped;
}

void sdb_fault_set_hook(void (*hook)(void *context, const sdb_call *call), void *context) {
  pthread_mutex_lock(&lock);
  hook_run = hook;
  hook_context = context;
  watch_again();
  pthread_mutex_unlock(&lock);
}

void sdb_fault_set_random(uint64_t seed) {
  pthread_mutex_lock(&lock);
  random_state = seed;
  pthread_mutex_unlock(&lock);
}

/* ---- scheduling points -------------------------------------------------------------------------------------- */

static sdb_fault_scheduler scheduler;
static _Atomic bool scheduled;
static _Atomic uint64_t accesses;

void sdb_fault_set_scheduler(const sdb_fault_scheduler *given) {
  atomic_store(&scheduled, false);
  if (given != NULL) {
    scheduler = *given;
    atomic_store(&scheduled, true);
  }
}

void sdb_fault_point(void) {
  atomic_fetch_add_explicit(&accesses, 1, memory_order_relaxed);
  if (atomic_load_explicit(&scheduled, memory_order_relaxed)) {
    scheduler.point(scheduler.context);
  }
}

uint64_t sdb_fault_accesses(void) {
  return atomic_load(&accesses);
}

uint64_t sdb_os_now_ms(void) {
  return atomic_load(&scheduled) ? scheduler.now_ms(scheduler.context) : sdb_real_now_ms();
}

uint64_t sdb_os_pid(void) {
  return atomic_load(&scheduled) ? scheduler.pid(scheduler.context) : sdb_real_pid();
}

void sdb_os_give_way(bool sleep) {
  if (atomic_load(&scheduled)) {
    scheduler.sleep(scheduler.context, sleep ? 1 : 0);
  } else {
    sdb_real_give_way(sleep);
  }
}

/* A scheduler looks at the words itself: waking is nothing, sleeping is short. */
void sdb_os_word_wait(sdb_word *word, uint64_t value, uint64_t ms) {
  if (!atomic_load(&scheduled)) {
    sdb_real_word_wait(word, value, ms);
  } else if ((uint32_t)atomic_load(word) == (uint32_t)value) {
    scheduler.sleep(scheduler.context, ms);
  }
}

void sdb_os_word_wake(sdb_word *word) {
  if (!atomic_load(&scheduled)) {
    sdb_real_word_wake(word);
  }
}

/* ---- around each call -------------------------------------------------------------------------------------- */

/* Write the call's rule into *p and the thread's plan.  Returns the error that comes instead of the call, 0 to go
** on. */
static int apply_rule(active_rule *r, sdb_fault_pending *p) {
  r->hits++;
  if (r->rule.kill_before) {
    kill(getpid(), SIGKILL);
  }
  p->kill_after |= r->rule.kill_after;
  if (r->rule.wait) {
    for (int number = r->number; r->number == number;) {
      pthread_cond_wait(&removed, &lock);
    }
    return 0;
  }
  p->skip |= r->rule.skip;
  p->skip_same |= r->rule.skip_same;
  plan.interruptions = r->rule.interruptions;
  plan.piece_bytes = r->rule.piece_bytes;
  plan.error = r->rule.error;
  if (r->rule.performed || r->rule.piece_bytes != 0) {
    p->error_after = r->rule.error;
    return 0;
  }
  return r->rule.error;
}

static int consult(sdb_fault_pending *p) {
  const sdb_call *call = &p->call;
  int error = 0;
  for (int i = 0; i < RULES_MAX && error == 0; i++) {
    active_rule *r = &rules[i];
    if (r->number == 0 || !(r->rule.kinds & SDB_CALL_BIT(call->kind)) ||
        (r->file[0] != '\0' && fnmatch(r->file, call->file, 0) != 0)) {
      continue;
    }
    r->seen++;
    if (r->seen == r->rule.nth || (r->rule.forever && r->seen > r->rule.nth)) {
      error = apply_rule(r, p);
    }
  }
  return error;
}

/* 0: carry the call out; else the error it fails with. */
int sdb_fault_begin(sdb_fault_pending *p, int kind, const char *file, uint64_t offset, uint64_t bytes) {
  int error = 0;
  if (kind != SDB_CALL_MALLOC && atomic_load_explicit(&scheduled, memory_order_relaxed)) {
    scheduler.point(scheduler.context);
  }
  atomic_fetch_add_explicit(&counts[kind], 1, memory_order_relaxed);
  p->watched = (atomic_load_explicit(&watched, memory_order_relaxed) & SDB_CALL_BIT(kind)) != 0;
  if (!p->watched) {
    return 0;
  }
  bool changing = (SDB_CALLS_CHANGING & SDB_CALL_BIT(kind)) != 0 || p->changing;
  *p = (sdb_fault_pending){
      .call = {.kind = kind, .offset = offset, .bytes = bytes}, .watched = true, .changing = changing};
  snprintf(p->call.file, sizeof p->call.file, "%s", file);
  pthread_mutex_lock(&lock);
  if (stop_active && (SDB_CALL_BIT(kind) & SDB_CALLS_SYSTEM)) {
    if (changing && !stopped && stop_calls++ == stop_limit) {
      stop_calls--;
      stopped = true;
    }
    p->refused = stopped;
    error = stopped ? EIO : 0;
  }
  if (error == 0) {
    error = consult(p);
  }
  pthread_mutex_unlock(&lock);
  return error;
}

static void log_call(const sdb_call *call) {
  if (log_size == log_room && log_room < LOG_SIZE_MAX) {
    size_t room = log_room == 0 ? 256 : log_room * 2;
    sdb_call *bigger = realloc(log_calls, room * sizeof *bigger);
    if (bigger != NULL) {
      log_calls = bigger;
      log_room = room;
    }
  }
  if (log_size < log_room) {
    log_calls[log_size++] = *call;
  }
}

/* Returns what the caller is told. */
int sdb_fault_end(sdb_fault_pending *p, int error) {
  void (*run)(void *context, const sdb_call *call) = NULL;
  void *context = NULL;
  if (!p->watched) {
    return error;
  }
  memset(&plan, 0, sizeof plan);
  if (p->kill_after) {
    kill(getpid(), SIGKILL);
  }
  error = error != 0 ? error : p->error_after;
  p->call.error = error;
  pthread_mutex_lock(&lock);
  if (log_kinds & SDB_CALL_BIT(p->call.kind)) {
    log_call(&p->call);
  }
  if (p->changing && error == 0) {
    run = hook_run;
    context = hook_context;
  }
  pthread_mutex_unlock(&lock);
  if (run != NULL) {
    run(context, &p->call);
  }
  return error;
}

static uint64_t next_random(void) {
  uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

/* Fill the buffer from the seeded sequence; false if none is set. */
bool sdb_fault_seeded_random(uint8_t *buffer, size_t bytes) {
  pthread_mutex_lock(&lock);
  bool seeded = random_state != 0;
  for (size_t i = 0; seeded && i < bytes; i++) {
    buffer[i] = (uint8_t)next_random();
  }
  pthread_mutex_unlock(&lock);
  return seeded;
}

size_t sdb_fault_piece(void) {
  return plan.error != 0 ? plan.piece_bytes : 0;
}

bool sdb_fault_watching(void) {
  return atomic_load_explicit(&watched, memory_order_relaxed) != 0;
}

/* ---- single system calls ----------------------------------------------------------------------------------- */

/* true: this system call fails with errno as set here. */
static bool raw_fails(size_t *bytes) {
  if (plan.interruptions > 0) {
    plan.interruptions--;
    errno = EINTR;
    return true;
  }
  if (bytes != NULL && plan.piece_bytes != 0) {
    if (plan.piece_done && plan.error != 0) {
      errno = plan.error;
      return true;
    }
    plan.piece_done = true;
    *bytes = SDB_MIN(*bytes, plan.piece_bytes);
  }
  return false;
}

int sdb_raw_open(int dir, const char *path, int flags, mode_t mode) {
  return raw_fails(NULL) ? -1 : openat(dir, path, flags, mode);
}

ssize_t sdb_raw_pread(int fd, void *buffer, size_t bytes, off_t offset) {
  return raw_fails(&bytes) ? -1 : pread(fd, buffer, bytes, offset);
}

ssize_t sdb_raw_pwrite(int fd, const void *buffer, size_t bytes, off_t offset) {
  return raw_fails(&bytes) ? -1 : pwrite(fd, buffer, bytes, offset);
}

int sdb_raw_fdatasync(int fd) {
  return raw_fails(NULL) ? -1 : fdatasync(fd);
}

int sdb_raw_fsync(int fd) {
  return raw_fails(NULL) ? -1 : fsync(fd);
}
