/* SPDX-License-Identifier: MIT
**
** crew.h: members of one directory as fibres of one process, scheduled step by step from a seed.
**
**     crew.c         the program: runs by seed, each in a forked child; what it prints
**     crew_host.c    fibres, the schedule, kills, stops, power cuts, the clock
**     crew_oracle.c  what each generation may be, and the bytes that pointers into `data` must show
**     crew_work.c    what a member does; with the engine in a shared object, of which each member's life loads a copy
**                    of its own: so each has statics of its own, as a process has
**
** A scheduling point is each call of os.h and each access to the board (disk/os_faults.h).  A killed member is a fibre
** that is not run again; its locks on the simulated disk go, its pages stay.
** THREADS: one.
*/
#ifndef SDB_CREW_H
#define SDB_CREW_H

#include "crash/rig.h"

#define CREW_LIVES_MAX 14 /* of members in a run */
#define CREW_PATH      "sim:db"

typedef struct crew_pointer {
  const uint8_t *address, *expected;
  size_t bytes;
} crew_pointer;

/* A snapshot of a member, as the oracle sees it. */
typedef struct crew_snapshot {
  bool open;
  uint64_t generation;
  rig_state *state; /* a reference */
  crew_pointer pointers[RIG_REGIONS];
  int count;
} crew_snapshot;

/* Kinds of members. */
enum crew_kind { CREW_WRITER, CREW_READER, CREW_KINDS };

/* What the host does for a member's work. */
typedef struct crew_host {
  uint64_t (*random)(uint64_t below);
  void (*say)(const char *format, ...) SDB_PRINTF(1, 2);  /* into the trace */
  void (*fail)(const char *format, ...) SDB_PRINTF(1, 2); /* ends the run */
  void (*action)(void);                                   /* one begins: the steps of each are bounded */
  bool (*hot)(void);                                      /* few regions, mostly overwritten */
  bool (*finishing)(void);                                /* go home */
  bool (*alone)(void);                                    /* all others are dead */
  bool (*faulty)(void);                                   /* a sync or write has failed in this run, or is going to */
  uint64_t (*acked)(void);                                /* the newest generation that a commit has returned */
  /* The state of a generation that is the reader's: NULL if it is not among what may be; `differs` compares. */
  rig_state *(*observe)(uint64_t generation, const char *(*differs)(void *context, const rig_state *state),
                        void *context);
  void (*candidate)(uint64_t generation, rig_state *state); /* about to be committed */
  void (*committed)(uint64_t generation, rig_state *state); /* and acknowledged */
  crew_snapshot *(*snapshot)(int index);                    /* this member's, 0 or 1 */
} crew_host;

/* What the shared object exports, as sdb_crew_work. */
typedef struct crew_work {
  void (*run)(const crew_host *host, enum crew_kind kind, int actions);
  /* Open alone, compare, check, close: "" or what is wrong. */
  void (*inspect)(const crew_host *host);
} crew_work;

/* ---- crew_host.c */
typedef struct crew_outcome {
  bool failed;
  uint64_t steps, kills, cuts, faults, commits;
} crew_outcome;
/* `works`: one for each life.  `loud`: each step is printed. */
void crew_run(uint64_t seed, const crew_work *const works[CREW_LIVES_MAX + 4], bool loud, crew_outcome *outcome);
void crew_say(const char *format, ...) SDB_PRINTF(1, 2);
void crew_fail(const char *format, ...) SDB_PRINTF(1, 2);

/* ---- crew_oracle.c */
void crew_oracle_reset(void);
/* The power is cut: what was not seen firmly may be something else afterwards. */
void crew_oracle_cut(void);
rig_state *crew_oracle_observe(bool firm, uint64_t generation,
                               const char *(*differs)(void *context, const rig_state *state), void *context);
void crew_oracle_candidate(uint64_t generation, rig_state *state);
void crew_oracle_committed(uint64_t generation, rig_state *state);
uint64_t crew_oracle_acked(void);
/* NULL, or which byte of a snapshot's pointers has changed. */
const char *crew_oracle_pointers(const crew_snapshot *snapshot);

#endif /* SDB_CREW_H */
