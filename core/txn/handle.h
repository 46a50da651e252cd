/* SPDX-License-Identifier: MIT
**
** handle.h: the handle: one connection's use of a store.  Its health, its error record, and the frame of every public
** call.  Layer 4.
** OWNS its transaction and the tails of the regions that it appends to.
** THREADS: txn_mutex guards the transaction, error_mutex the error record; the rest is fixed or atomic, or says what it
** is.
*/
#ifndef SDB_HANDLE_H
#define SDB_HANDLE_H

#include "seqdb.h"
#include "txn/store.h"
#include "txn/transaction.h"

#define SDB_TAIL_CACHE 256u

/* What can be read. */
struct seqdb_view {
  seqdb *db;
  sdb_catalog *catalog; /* NULL: the handle's own view */
  uint64_t generation;  /* of the catalog; 0: the handle's own view */
};

struct seqdb {
  sdb_store *store;
  unsigned flags;
  bool only_reads;       /* it was to write, and cannot: store->only_read says why */
  _Atomic uint32_t refs; /* the handle's user, and each of its snapshots */
  _Atomic uint32_t busy_timeout_ms;
  uint32_t patience_ms; /* not 0: the call that has txn_mutex waits that long at least */
  uint64_t waited_ms;   /* by compaction for the writer lock, last time; txn_mutex */
  char *coordinator;    /* NULL: nobody decides about its prepares */
  sdb_file_uuid file;   /* the SQLite file whose commits its prepares are; zeros: none */
  bool heals;           /* its next prepare is written though it changes nothing */
  int settles;          /* what its next publish settles: SEQDB_SETTLES_* */
  uint32_t durability;  /* of that file's commits */
  int (*interrupt)(void *context);
  void *interrupt_context;
  bool asking; /* in the middle of a change, the user is asked whether to go on: see sdb_ask_inside() */
  pthread_t asking_thread;
  pthread_cond_t asked;
  pthread_mutex_t error_mutex;
  seqdb_error error;
  pthread_mutex_t txn_mutex;
  sdb_txn txn;
  /* append.c: all tails by entry index, and those used last */
  sdb_tail ***tail_pages;
  size_t tail_pages_count, tail_count;
  _Atomic(sdb_tail *) tail_cache[SDB_TAIL_CACHE];
  struct seqdb_view own_view;
  sdb_tree own_tree; /* the committed tree that the own view last showed outside a transaction */
};

/* A pin on one catalog, in the store's list.  Those of seqdb_snapshot_open() are allocated; a read of the own view has
** one on the stack. */
struct seqdb_snapshot {
  struct seqdb_view view;
  uint64_t opened_ms;
  struct seqdb_snapshot *older, *newer;
};

/* ---- the frame of a public call
**
**     seqdb_error error;
**     sdb_op op = {"release", &error};
**     int rc = sdb_enter(db, &op);
**     if (rc != SEQDB_OK) return rc;
**     return sdb_leave(db, release_marks(db, level, &op), &op);
*/

/* Lock txn_mutex, for a change.  Waits while another thread's change asks the user whether to go on.  MISUSE after
** fork, and from inside that question: then nothing is locked, and the error is told. */
int sdb_enter(seqdb *db, const sdb_op *op);
/* Unlock, tell the error if there is one, and return rc. */
int sdb_leave(seqdb *db, int rc, const sdb_op *op);
/* Make *op->error the handle's error, and return rc.  SEQDB_OK and positive codes pass. */
int sdb_fail(seqdb *db, int rc, const sdb_op *op);

/* ---- health */

/* Is this process a child of the one that opened the handle? */
bool sdb_in_child(const seqdb *db);
#define SDB_CHILD_MESSAGE "the database was opened before fork(); the child must open it anew"
/* MISUSE after fork. */
int sdb_usable(seqdb *db, const sdb_op *op);
/* As above, and READONLY, CORRUPT, POISONED if nothing may be written. */
int sdb_writable(seqdb *db, const sdb_op *op);
/* INTERRUPTED if the callback says so.  It is the user's code: no mutex is held. */
int sdb_interrupted(seqdb *db, const sdb_op *op);
/* The same in the middle of a change: txn_mutex is given back meanwhile.  Reading the handle's own view goes on, and
** may settle tails; other changes wait.  What was looked up in the transaction before is to be looked up again. */
int sdb_ask_inside(seqdb *db, const sdb_op *op);

/* ---- errors that several calls tell */

/* NOTFOUND: the region that the number meant is gone. */
int sdb_gone(const sdb_op *op);
/* RANGE: `at` is past the region's length. */
int sdb_past_length(const sdb_entry *entry, uint64_t at, const sdb_op *op);

/* ---- region numbers: entry index and incarnation in one */

static inline seqdb_region sdb_region_of(uint32_t index, uint32_t incarnation) {
  return (uint64_t)incarnation << 32 | index;
}
static inline uint32_t sdb_region_index(seqdb_region region) {
  return (uint32_t)region;
}
static inline bool sdb_region_is(seqdb_region region, const sdb_entry *entry) {
  return entry && entry->incarnation == (uint32_t)(region >> 32);
}

#endif /* SDB_HANDLE_H */
