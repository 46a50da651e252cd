/* SPDX-License-Identifier: MIT
**
** crew_host.c: fibres and their schedule.  See crew.h.
**
** The schedule is sticky: the same member goes on with 60 % at each point.  Members are stopped for long (SIGSTOP),
** killed at any point, and the power is cut; then new ones come.  The clock is ours: it goes on a little with each
** point, and jumps when all sleep.
*/
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include "board/lock_file.h"
#include "crash/crew.h"
#include "disk/os_faults.h"
#include "disk/os_sim.h"

#define STACK_BYTES  ((size_t)1 << 20)
#define AT_ONCE      3
#define ACTION_STEPS 60000 /* of one member, in one action */
#define TRACE_LINES  4000
#define TRACE_BYTES  200

typedef struct fibre {
  ucontext_t context;
  bool alive, ended;
  int life;
  char name[4];
  const crew_work *work;
  enum crew_kind kind;
  int actions;
  uint64_t sleeps_until_us, stopped_until, action_steps;
  bool on_poison; /* the candidate of its commit under way came after a sync had failed */
  crew_snapshot snapshots[2];
} fibre;

static struct {
  ucontext_t host;
  fibre fibres[CREW_LIVES_MAX + 4];
  int lives;
  fibre *current;
  uint64_t random, steps, limit, clock_us;
  unsigned kill_rate, stop_rate, pause_rate, cut_rate, fault_rate; /* in a million points */
  int fault;         /* the rule that lets a sync or a write fail; 0: none */
  uint64_t poisoned; /* the epoch of the board while a sync failed; 0: none has */
  const fibre *met;  /* whose sync it was */
  uint64_t cut_at;   /* the step of a power cut that follows a death; 0: none */
  bool loud, finishing, failed, changed, faulty, lonely, hot;
  bool fault_binds; /* it is a sync of a file that the engine needs */
  crew_outcome *outcome;
  char trace[TRACE_LINES][TRACE_BYTES];
  size_t lines;
  char failure[1000];
} w;

/* ---- chance and the trace */

static uint64_t chance(uint64_t below) {
  uint64_t z = w.random += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return below == 0 ? 0 : (z ^ (z >> 31)) % below;
}

static void line(const char *format, va_list args) {
  char *text = w.trace[w.lines++ % TRACE_LINES];
  int used = snprintf(text, TRACE_BYTES, "%6llu %-3s ", (unsigned long long)w.steps,
                      w.current != NULL ? w.current->name : "-");
  vsnprintf(text + used, TRACE_BYTES - (size_t)used, format, args);
  if (w.loud) {
    puts(text);
    fflush(stdout);
  }
}

void crew_say(const char *format, ...) {
  va_list args;
  va_start(args, format);
  line(format, args);
  va_end(args);
}

static void to_host(void) {
  fibre *me = w.current;
  if (me != NULL) {
    swapcontext(&me->context, &w.host);
  }
}

void crew_fail(const char *format, ...) {
  va_list args;
  if (!w.failed) {
    w.failed = true;
    int used = snprintf(w.failure, sizeof w.failure, "%s: ", w.current != NULL ? w.current->name : "-");
    va_start(args, format);
    vsnprintf(w.failure + used, sizeof w.failure - (size_t)used, format, args);
    va_end(args);
  }
  to_host(); /* never back */
}

/* ---- what a member's work asks for */

static void begin_action(void) {
  w.current->action_steps = 0;
}

static bool is_finishing(void) {
  return w.finishing;
}

static bool is_alone(void) {
  for (int i = 0; i < w.lives; i++) {
    if (&w.fibres[i] != w.current && w.fibres[i].alive) {
      return false;
    }
  }
  return true;
}

static bool is_hot(void) {
  return w.hot;
}

static bool is_faulty(void) {
  return w.faulty;
}

/* Which board it is: each first member makes a new one. */
static uint64_t epoch(void) {
  uint64_t words[2] = {0, 0};
  size_t got;
  (void)sdb_sim_peek(CREW_PATH "/lock", 0, words, sizeof words, &got);
  return words[1];
}

static rig_state *take_observed(uint64_t generation, const char *(*differs)(void *context, const rig_state *state),
                                void *context) {
  bool firm = true;
  for (int i = 0; i < w.lives; i++) {
    firm &= !w.fibres[i].alive || w.fibres[i].kind != CREW_READER;
  }
  return crew_oracle_observe(firm, generation, differs, context);
}

static void take_candidate(uint64_t generation, rig_state *state) {
  w.current->on_poison = w.poisoned != 0 && w.poisoned == epoch();
  crew_oracle_candidate(generation, state);
}

static void take_committed(uint64_t generation, rig_state *state) {
  if (w.current->on_poison) {
    crew_fail("generation %llu was committed after a sync had failed", (unsigned long long)generation);
  }
  crew_oracle_committed(generation, state);
}

static crew_snapshot *snapshot_of(int index) {
  return &w.current->snapshots[index];
}

static const crew_host host_calls = {.random = chance,
                                     .say = crew_say,
                                     .fail = crew_fail,
                                     .action = begin_action,
                                     .finishing = is_finishing,
                                     .hot = is_hot,
                                     .alone = is_alone,
                                     .faulty = is_faulty,
                                     .acked = crew_oracle_acked,
                                     .observe = take_observed,
                                     .candidate = take_candidate,
                                     .committed = take_committed,
                                     .snapshot = snapshot_of};

/* ---- what the members' calls of the system run into */

static void at_point(void *context) {
  (void)context;
  if (w.current != NULL) {
    w.steps++;
    w.clock_us += 5;
    if (++w.current->action_steps > ACTION_STEPS) {
      crew_fail("an action does not end");
    }
    to_host();
  }
}

static void at_sleep(void *context, uint64_t ms) {
  (void)context;
  if (w.current != NULL) {
    w.current->sleeps_until_us = w.clock_us + ms * 1000;
    w.steps++;
    w.current->action_steps++;
    to_host();
  }
}

static uint64_t at_now(void *context) {
  (void)context;
  return w.clock_us / 1000 + 1;
}

static uint64_t at_pid(void *context) {
  (void)context;
  return 1000 + (uint64_t)(w.current != NULL ? w.current->life : 0);
}

static void at_change(void *context, const sdb_call *call) {
  (void)context;
  w.changed = true;
  if (w.current != NULL) {
    crew_say("  %s %s %llu+%llu", sdb_call_name(call->kind), call->file, (unsigned long long)call->offset,
             (unsigned long long)call->bytes);
  }
}

static void on_signal(int number) {
  printf("failed: signal %d while %s ran, at step %llu\n", number, w.current != NULL ? w.current->name : "the host",
         (unsigned long long)w.steps);
  size_t first = w.lines > 150 ? w.lines - 150 : 0;
  for (size_t i = first; i < w.lines; i++) {
    puts(w.trace[i % TRACE_LINES]);
  }
  fflush(stdout);
  _Exit(1);
}

/* ---- fibres */

static void body(void) {
  fibre *me = w.current;
  if (me->work->run != NULL) {
    me->work->run(&host_calls, me->kind, me->actions);
  }
  me->ended = true;
  to_host();
}

static void inspector(void) {
  fibre *me = w.current;
  me->work->inspect(&host_calls);
  me->ended = true;
  to_host();
}

static fibre *start(const crew_work *const *works, void (*run)(void)) {
  fibre *made = &w.fibres[w.lives];
  *made = (fibre){.alive = true, .life = w.lives, .work = works[w.lives]};
  made->kind = chance(5) == 0 ? CREW_READER : CREW_WRITER;
  made->actions = 3 + (int)chance(12);
  snprintf(made->name, sizeof made->name, "%c%s", 'A' + w.lives, made->kind == CREW_READER ? "r" : "");
  w.lives++;
  getcontext(&made->context);
  made->context.uc_stack.ss_sp = malloc(STACK_BYTES);
  made->context.uc_stack.ss_size = STACK_BYTES;
  made->context.uc_link = NULL;
  makecontext(&made->context, run, 0);
  return made;
}

static void resume(fibre *next) {
  w.current = next;
  sdb_sim_set_owner(next->life + 1);
  swapcontext(&w.host, &next->context);
  if (next->ended) {
    next->alive = false;
    crew_say("has gone");
  }
  w.current = NULL;
}

/* Does the board say so, or does only he know whose sync failed? */
static bool poison_is_told(void) {
  uint64_t word = 0;
  size_t got;
  (void)sdb_sim_peek(CREW_PATH "/lock", offsetof(sdb_lock_file, poisoned), &word, sizeof word, &got);
  return word >> 16 != 0;
}

static void kill_fibre(fibre *victim, const char *how) {
  w.current = victim;
  crew_say("%s", how);
  w.current = NULL;
  victim->alive = false;
  victim->snapshots[0].open = victim->snapshots[1].open = false;
  sdb_sim_kill(victim->life + 1);
  if (victim == w.met && w.poisoned != 0 && !poison_is_told()) {
    w.poisoned = 0; /* he took it with him: who mends writes and syncs anew */
  }
}

static int alive(fibre *list[], bool runnable) {
  int count = 0;
  for (int i = 0; i < w.lives; i++) {
    fibre *f = &w.fibres[i];
    if (f->alive && (!runnable || (f->stopped_until <= w.steps && f->sleeps_until_us <= w.clock_us))) {
      list[count++] = f;
    }
  }
  return count;
}

/* Nobody can run: the clock goes on to the first who wakes. */
static void pass_time(void) {
  uint64_t wakes = UINT64_MAX;
  w.steps++;
  for (int i = 0; i < w.lives; i++) {
    const fibre *f = &w.fibres[i];
    if (f->alive && f->stopped_until <= w.steps) {
      wakes = f->sleeps_until_us < wakes ? f->sleeps_until_us : wakes;
    }
  }
  w.clock_us = wakes == UINT64_MAX ? w.clock_us + 100 : wakes > w.clock_us ? wakes : w.clock_us;
}

static void check_pointers(void) {
  if (!w.changed) {
    return;
  }
  w.changed = false;
  for (int i = 0; i < w.lives && !w.failed; i++) {
    for (int s = 0; s < 2 && w.fibres[i].alive && !w.failed; s++) {
      const char *wrong = crew_oracle_pointers(&w.fibres[i].snapshots[s]);
      if (wrong != NULL) {
        w.failed = true;
        snprintf(w.failure, sizeof w.failure, "%s: %s", w.fibres[i].name, wrong);
      }
    }
  }
}

static void cut_power(void) {
  fibre *list[CREW_LIVES_MAX + 4];
  uint64_t seed = chance(1000);
  int count = alive(list, false);
  for (int i = 0; i < count; i++) {
    kill_fibre(list[i], "dies of a power cut");
  }
  crew_say("power cut %llu", (unsigned long long)seed);
  if (chance(3) == 0) {
    sdb_sim_restart(); /* of the processes alone: the board is as it was */
  } else {
    sdb_sim_cut(seed);
    crew_oracle_cut();
  }
  w.outcome->cuts++;
}

/* ---- syncs that fail (S6), and writes for which there is no room */

/* What the engine needs; and what can be made anew, where a failure is nobody's (FORMAT.md, sections 8 and 9). */
#define NEEDED_FILES "[!c]*"
#define SPARE_FILES  "c*"

static void set_fault(void) {
  static const char *const files[] = {"data", "journal", "regions", NEEDED_FILES, SPARE_FILES};
  sdb_fault_rule rule = {.kinds = SDB_CALL_BIT(SDB_CALL_FDATASYNC), .file = files[chance(5)], .nth = 1, .error = EIO};
  if (w.fault != 0) {
    return;
  }
  bool no_room = chance(2) == 0, needed = strcmp(rule.file, SPARE_FILES) != 0;
  if (no_room) {
    rule.kinds = SDB_CALL_BIT(SDB_CALL_PWRITE) | SDB_CALL_BIT(SDB_CALL_TRUNCATE) | SDB_CALL_BIT(SDB_CALL_ALLOCATE);
    rule.error = ENOSPC;
  }
  w.fault_binds = needed && !no_room;
  sdb_sim_set_fail_seed(chance(1000));
  w.fault = sdb_fault_add(&rule);
  w.faulty = w.faulty || needed;
  crew_say("the next %s of %s fails", no_room ? "write" : "sync", rule.file);
}

/* From a failure that binds on nobody commits, until all are gone. */
static void watch_fault(const fibre *last) {
  if (w.fault != 0 && sdb_fault_hits(w.fault, NULL) > 0) {
    sdb_fault_remove(w.fault);
    w.fault = 0;
    w.poisoned = w.fault_binds ? epoch() : w.poisoned;
    w.met = last;
    w.outcome->faults++;
    crew_say("it has failed");
  }
}

/* ---- a run */

static void one_step(const crew_work *const *works) {
  fibre *all[CREW_LIVES_MAX + 4], *ready[CREW_LIVES_MAX + 4];
  static fibre *last;
  int living = alive(all, false);
  watch_fault(last);
  if (living < (w.poisoned != 0 && w.poisoned == epoch() ? 1 : AT_ONCE) && w.lives < CREW_LIVES_MAX && !w.finishing &&
      chance(200) == 0) {
    start(works, body);
    return;
  }
  int count = alive(ready, true);
  if (count == 0) {
    pass_time();
    return;
  }
  fibre *next = ready[chance((uint64_t)count)];
  for (int i = 0; i < count; i++) {
    if (ready[i] == last && chance(10) < 6) {
      next = last;
    }
  }
  last = next;
  uint64_t dice = chance(1000000);
  if (w.cut_at != 0 && w.steps >= w.cut_at) {
    w.cut_at = 0;
    cut_power();
  } else if (chance(1000000) < w.pause_rate) {
    next->stopped_until = w.steps + 20 + chance(400);
  } else if (dice < w.kill_rate) {
    kill_fibre(next, "is killed");
    w.outcome->kills++;
    if (w.cut_rate != 0 && chance(3) == 0) {
      w.cut_at = w.steps + 1 + chance(400);
    }
  } else if (dice < w.kill_rate + w.stop_rate) {
    next->stopped_until = w.steps + 200 + chance(6000);
  } else if (dice < w.kill_rate + w.stop_rate + w.cut_rate) {
    cut_power();
  } else if (dice < w.kill_rate + w.stop_rate + w.cut_rate + w.fault_rate) {
    set_fault();
  } else {
    resume(next);
    check_pointers();
  }
}

static void choose_rates(void) {
  static const unsigned kills[] = {0, 100, 300, 1500}, stops[] = {0, 200, 1000}, cuts[] = {0, 0, 50, 300};
  static const unsigned limits[] = {4000, 10000, 25000}, faults[] = {0, 0, 100, 500};
  w.kill_rate = kills[chance(4)];
  w.stop_rate = stops[chance(3)];
  w.cut_rate = cuts[chance(4)];
  w.limit = limits[chance(3)];
  w.fault_rate = faults[chance(4)];
  w.pause_rate = chance(2) == 0 ? 0 : 6000;
  w.lonely = chance(3) == 0;
  w.hot = chance(4) == 0;
}

/* One writer stays, if there is one: nothing that dead ones held back may stay so. */
static void leave_one(void) {
  fibre *list[CREW_LIVES_MAX + 4], *stays = NULL;
  int count = alive(list, false);
  for (int i = 0; i < count; i++) {
    if (list[i]->kind == CREW_WRITER && (stays == NULL || chance(2) == 0)) {
      stays = list[i];
    }
  }
  for (int i = 0; i < count; i++) {
    if (list[i] != stays) {
      kill_fibre(list[i], "is killed, that one stays alone");
    }
  }
  if (stays != NULL) {
    stays->stopped_until = 0;
  }
}

static void work_on(const crew_work *const *works) {
  fibre *all[CREW_LIVES_MAX + 4];
  for (int i = 0; i < AT_ONCE; i++) {
    start(works, body);
  }
  while (!w.failed) {
    if (!w.finishing && w.steps > w.limit) {
      w.finishing = true;
      w.kill_rate = w.lonely ? 0 : w.kill_rate;
      if (w.lonely) {
        leave_one();
      }
    }
    if (alive(all, false) == 0 && (w.finishing || w.lives == CREW_LIVES_MAX)) {
      break;
    }
    one_step(works);
  }
}

/* Somebody alone must find the last acknowledged commit, or what may have come after it. */
static void look_alone(const crew_work *const *works) {
  if (w.failed) {
    return;
  }
  w.kill_rate = w.stop_rate = w.cut_rate = w.fault_rate = 0;
  w.cut_at = 0;
  if (w.fault != 0) {
    sdb_fault_remove(w.fault);
  }
  w.faulty = false;
  w.poisoned = 0;
  fibre *last = start(works, inspector);
  last->kind = CREW_WRITER;
  while (!w.failed && last->alive) {
    if (last->sleeps_until_us > w.clock_us) {
      pass_time();
    } else {
      resume(last);
    }
  }
}

static void tell_failure(uint64_t seed) {
  size_t first = w.lines > 400 && !w.loud ? w.lines - 400 : 0;
  printf("seed %llu failed: %s\n", (unsigned long long)seed, w.failure);
  for (size_t i = first; i < w.lines && !w.loud; i++) {
    puts(w.trace[i % TRACE_LINES]);
  }
  fflush(stdout);
}

void crew_run(uint64_t seed, const crew_work *const works[CREW_LIVES_MAX + 4], bool loud, crew_outcome *outcome) {
  static char signal_stack[1 << 16];
  const stack_t other = {.ss_sp = signal_stack, .ss_size = sizeof signal_stack};
  const struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
  const sdb_fault_scheduler scheduler = {at_point, at_sleep, at_now, at_pid, NULL};
  sigaltstack(&other, NULL);
  sigaction(SIGBUS, &action, NULL);
  sigaction(SIGSEGV, &action, NULL);
  if (!loud) {
    sigaction(SIGABRT, &action, NULL);
  }
  memset(&w, 0, sizeof w);
  w.random = seed * UINT64_C(0x2545f4914f6cdd1d) + 1;
  w.loud = loud;
  w.outcome = outcome;
  *outcome = (crew_outcome){.failed = false};
  crew_oracle_reset();
  sdb_sim_reset();
  sdb_fault_reset();
  sdb_fault_set_random(seed + 1);
  sdb_fault_set_map_window((uint64_t)64 << 20);
  sdb_fault_set_hook(at_change, NULL);
  sdb_fault_set_scheduler(&scheduler);
  choose_rates();
  work_on(works);
  look_alone(works);
  sdb_fault_set_scheduler(NULL);
  outcome->failed = w.failed;
  outcome->steps = w.steps;
  outcome->commits = crew_oracle_acked();
  if (w.failed) {
    tell_failure(seed);
  }
}
