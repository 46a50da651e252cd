/* SPDX-License-Identifier: MIT
**
** rig.h: the rig that cuts the power (crash/rig.c), its random workload (crash/rig_ops.c), and the simple model of the
** engine's state that both compare with (crash/rig_model.c, crash/rig_compare.c).
*/
#ifndef SDB_RIG_H
#define SDB_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "disk/os_faults.h"
#include "seqdb.h"

#define RIG_PATH          "sim:db"
#define RIG_REGIONS       7
#define RIG_NAME_BYTES    12
#define RIG_MARKS_MAX     5
#define RIG_SNAPSHOTS_MAX 3
#define RIG_BYTES_MAX     200000

/* A region of the model; contents are shared between states by reference count. */
typedef struct rig_bytes {
  unsigned refs;
  size_t count;
  uint8_t byte[];
} rig_bytes;
typedef struct rig_region {
  bool used;
  char name[RIG_NAME_BYTES];
  rig_bytes *content;
} rig_region;
typedef struct rig_state {
  unsigned refs;
  rig_region region[RIG_REGIONS];
} rig_state;

rig_state *rig_state_new(void);
rig_state *rig_state_ref(rig_state *state);
void rig_state_unref(rig_state *state);
/* A copy that may be changed; the contents are shared. */
rig_state *rig_state_copy(const rig_state *state);
/* Slot with that name, or -1. */
int rig_state_find(const rig_state *state, const char *name, size_t name_bytes);
/* New content: the first `keep` bytes of the old, then `count` of `bytes` (NULL: zeros), then the old from `tail_from`
** on. */
void rig_state_splice(rig_state *state, int slot, size_t keep, const uint8_t *bytes, size_t count, size_t tail_from);

/* The bytes of a region; NULL if there are none. */
const uint8_t *rig_content(const rig_state *state, int slot, size_t *count);
/* Read everything through `view` and compare; NULL if equal, else what differs. */
const char *rig_differs(seqdb_view *view, const rig_state *state);

/* ---- the workload and what would be right after a power cut now */

/* Which operations come how often. */
enum rig_profile {
  RIG_MIX,
  RIG_REDO,
  RIG_SAVEPOINTS,
  RIG_SNAPSHOTS,
  RIG_PREPARES,
  RIG_RESTARTS,
  RIG_REOPENINGS,
  RIG_PROFILES
};

/* What a power cut at this moment may leave: `acked`, or one of the others where they are not NULL. */
typedef struct rig_right {
  rig_state *acked, *in_flight;
  rig_state *earlier; /* an earlier prepare of the same transaction */
  rig_state *before;  /* what `acked` was before the last commit: right again if its coordinator forgets it */
} rig_right;

typedef struct rig_clone rig_clone;

typedef struct rig {
  uint64_t random;
  uint64_t seed;
  enum rig_profile profile;
  int step;
  char life[100]; /* "" or which power cut the workload goes on after */
  char what[160], failure[900];
  seqdb *db;
  rig_right right;
  rig_state *now;
  uint64_t generation;
  bool coordinated; /* commits are prepares of a coordinator, and recovery may drop the last */
  bool changed;     /* the model thinks that there is something to commit */
  bool prepared;
  struct {
    int level;
    rig_state *state;
    bool changed;
  } mark[RIG_MARKS_MAX];
  int marks;
  struct {
    seqdb_snapshot *snapshot;
    rig_state *state;
  } pin[RIG_SNAPSHOTS_MAX];
  rig_clone *clones;
  size_t clone_count, clone_capacity;
  bool cloning, tracing;
  uint64_t calls, outcomes, recuts, lives, commits, faults;
  uint64_t listed; /* openings that have read the entries from `catalog` */
  int watch;       /* a rule that counts how often it is read */
  unsigned fault_rate;
} rig;

/* crash/rig.c */
/* The workload, then all power cuts.  *r is zero but for seed, profile and fault_rate; r->failure is "" afterwards, or
** the counterexample. */
void rig_play(rig *r, int steps, uint64_t outcomes);
uint64_t rig_random(rig *r);
size_t rig_below(rig *r, size_t n);
bool rig_fail(rig *r, const char *format, ...); /* notes the first failure; returns false */
void rig_on_change(void *context, const sdb_call *call);
void rig_set_state(rig_state **slot, rig_state *to);

/* crash/rig_ops.c */
const char *rig_profile_name(int profile); /* NULL past the last */
bool rig_open_db(rig *r);
/* seqdb_open() of the rig's directory; *db is NULL if it fails. */
int rig_open_watched(rig *r, const seqdb_options *options, seqdb_error *error, seqdb **db);
/* `steps` random operations; each is compared with the model, some meet faults. */
void rig_run(rig *r, int steps);
/* Close all snapshots and forget the marks, then close the database; what was not committed is gone from the model
** too. */
void rig_close_db(rig *r);
void rig_forget(rig *r);
/* One random operation of the profile, not compared with anything; and one that tends to sync. */
int rig_any_op(rig *r);
int rig_sync_op(rig *r);
void rig_no_faults(rig *r);

/* crash/rig_restart.c */
/* For every open: what rawdb has changed is accepted where the workload lets it change something. */
unsigned rig_flags(const rig *r);
/* Open the database for the first time; in RIG_RESTARTS the process that makes it may die while it does. */
bool rig_begin(rig *r);
/* A session ends badly: its process dies at some call, or a sync fails.  Another one starts on the page cache that is
** left. */
bool rig_restart(rig *r);

#endif /* SDB_RIG_H */
