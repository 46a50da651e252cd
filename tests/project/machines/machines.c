/* SPDX-License-Identifier: MIT
**
** machines.c: the engine's tests without Tcl; see machines.h.
**
**   machines [-w BYTES] COMMAND
**     format                                   bytes on disk and checksums are those of every other machine
**     relay DIR STEP, verify DIR STEP          a database that goes from machine to machine (relay.c)
**     map DIR                                  pointers stay valid while the file outgrows its mappings
**     large DIR, large-verify DIR              offsets and lengths past 4 GiB; leaves records in the journal
**     threads DIR                              appends from several threads, beside readers
**     rig SEED COUNT STEPS OUTCOMES FAULTS     power cuts on the simulated disk, COUNT seeds; prints a sum of what was
**                                              done
**
** -w is the address space of one mapping: an emulator keeps account of each page of it, a terabyte is too much.
** Nothing else is printed if all is well, and the exit status is 0.
*/
#include "machines.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "crash/rig.h"

/* The linker puts the __wrap_ functions in the place of the others (--wrap): in that of sdb_real_map_window(), because
** sdb_fault_set_map_window() does not outlive the resets of the rig; in that of sdb_os_random(), because a seeded
** sequence of bytes is another salt on a machine with the other byte order. */
uint64_t __real_sdb_real_map_window(void);
uint64_t __wrap_sdb_real_map_window(void);
int __real_sdb_os_random(void *buffer, size_t bytes);
int __wrap_sdb_os_random(void *buffer, size_t bytes);

static uint64_t window_bytes;
static machines_random seeded;
static bool is_seeded;

uint64_t __wrap_sdb_real_map_window(void) {
  return window_bytes ? window_bytes : __real_sdb_real_map_window();
}

int __wrap_sdb_os_random(void *buffer, size_t bytes) {
  uint64_t value;
  if (!is_seeded) return __real_sdb_os_random(buffer, bytes);
  if (bytes == sizeof value) {
    value = machines_next(&seeded);
    memcpy(buffer, &value, bytes);
    return 0;
  }
  for (size_t i = 0; i < bytes; i++)
    ((uint8_t *)buffer)[i] = (uint8_t)machines_next(&seeded);
  return 0;
}

void machines_seed(uint64_t seed) {
  seeded.state = seed;
  is_seeded = true;
}

_Noreturn void machines_fail(const char *format, ...) {
  va_list args;
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fputc('\n', stderr);
  exit(1);
}

void machines_ok(int rc, seqdb *db, const char *what) {
  if (rc != SEQDB_OK) machines_fail("%s: %s", what, db ? seqdb_errmsg(db) : seqdb_strerror(rc));
}

uint64_t machines_next(machines_random *random) {
  uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

size_t machines_below(machines_random *random, size_t bound) {
  return (size_t)(machines_next(random) % bound);
}

uint64_t machines_sum(uint64_t sum, const void *bytes, size_t count) {
  const uint8_t *p = bytes;
  for (size_t i = 0; i < count; i++)
    sum = (sum ^ p[i]) * UINT64_C(0x100000001b3);
  return sum;
}

seqdb *machines_open(const char *directory, unsigned flags, const char *coordinator) {
  seqdb_options options = {.size_bytes = sizeof options, .flags = flags, .coordinator = coordinator};
  seqdb_error e = SEQDB_ERROR_INIT;
  seqdb *db = NULL;
  if (seqdb_open(directory, &options, &e, &db) != SEQDB_OK) machines_fail("open: %s", e.message);
  if (!(flags & SEQDB_OPEN_READONLY) && seqdb_is_readonly(db, &e)) machines_fail("open: %s", e.message);
  return db;
}

static int problem(void *context, const char *text) {
  (void)context;
  machines_fail("check: %s", text);
}

void machines_check(seqdb *db) {
  machines_ok(seqdb_check(db, problem, NULL, NULL), db, "check");
}

/* The profiles in turn; FAULTS with every other seed.  The others change the disk by the same calls on every machine,
** and the sum of their counts says so. */
static void run_rig(uint64_t seed, uint64_t count, int steps, uint64_t outcomes, unsigned faults) {
  static rig run;
  uint64_t sum = MACHINES_SUM_START;
  for (uint64_t i = seed; i < seed + count; i++) {
    memset(&run, 0, sizeof run);
    run.seed = i;
    run.profile = (enum rig_profile)(i / 2 % RIG_PROFILES);
    run.fault_rate = i % 2 ? faults : 0;
    rig_play(&run, steps, outcomes);
    if (run.failure[0]) machines_fail("%s", run.failure);
    uint64_t counts[] = {run.calls, run.outcomes, run.recuts, run.lives, run.commits};
    for (size_t k = 0; k < sizeof counts / sizeof *counts && !run.fault_rate; k++) {
      uint8_t bytes[8];
      sdb_put64(bytes, counts[k]);
      sum = machines_sum(sum, bytes, sizeof bytes);
    }
  }
  printf("%016llx\n", (unsigned long long)sum);
}

static uint64_t number(const char *text) {
  char *end;
  unsigned long long value = strtoull(text, &end, 0);
  if (end == text || *end) machines_fail("not a number: %s", text);
  return value;
}

int main(int argc, char **argv) {
  if (argc > 2 && strcmp(argv[1], "-w") == 0) {
    window_bytes = number(argv[2]);
    argc -= 2;
    argv += 2;
  }
  const char *command = argc > 1 ? argv[1] : "";
  if (argc == 2 && strcmp(command, "format") == 0)
    machines_format();
  else if (argc == 4 && strcmp(command, "relay") == 0)
    machines_relay(argv[2], number(argv[3]));
  else if (argc == 4 && strcmp(command, "verify") == 0)
    machines_verify(argv[2], number(argv[3]));
  else if (argc == 3 && strcmp(command, "map") == 0)
    machines_map(argv[2]);
  else if (argc == 3 && strcmp(command, "large") == 0)
    machines_large(argv[2], false);
  else if (argc == 3 && strcmp(command, "large-verify") == 0)
    machines_large(argv[2], true);
  else if (argc == 3 && strcmp(command, "threads") == 0)
    machines_threads(argv[2]);
  else if (argc == 7 && strcmp(command, "rig") == 0)
    run_rig(number(argv[2]), number(argv[3]), (int)number(argv[4]), number(argv[5]), (unsigned)number(argv[6]));
  else
    machines_fail(
        "machines [-w BYTES] format | relay DIR STEP | verify DIR STEP | map DIR | large DIR | "
        "large-verify DIR | threads DIR | rig SEED COUNT STEPS OUTCOMES FAULTS");
  return 0;
}
