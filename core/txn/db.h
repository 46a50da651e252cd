/* SPDX-License-Identifier: MIT
**
** db.h: the structures that the upper layers share: the store (one per directory and process), the handle, its transaction and
** the snapshot.  Layer 4; functions are declared per file below.
**
** LOCKS, in the order in which they may be taken:
**   registry mutex (store.c) > handle.txn_mutex > a slot's lock > store.files_mutex > overlay.lock > store.mutex > names' own.
** The WRITER LOCK is no mutex but a state: store.writer is the one handle that may change anything; it is waited for on
** store.writer_free.  Everything marked [w] below belongs to whoever holds it.
*/
#ifndef SDB_DB_H
#define SDB_DB_H

#include <pthread.h>
#include <stdatomic.h>
#include "base/error.h"
#include "space/tree.h"
#include "files/data_file.h"
#include "files/journal.h"
#include "pure/patch.h"
#include "store/recover.h"
#include "files/regions_file.h"
#include "seqdb.h"
#include "space/overlay.h"
#include "space/space.h"

#define SDB_INLINE_MAX_BYTES     (UINT64_C(64) << 10) /* direct bytes that a record may carry to save an fdatasync */
#define SDB_INLINE_MAX_RANGES    256u
#define SDB_CHECKPOINT_BYTES     (UINT64_C(4) << 20) /* journal length that triggers a checkpoint in a small database ... */
#define SDB_CHECKPOINT_MAX_BYTES (UINT64_C(64) << 20)  /* ... and in a large one */
#define SDB_RELOCATE_MIN_BYTES   (UINT64_C(32) << 10)  /* overwrites below this always travel in the record */
#define SDB_RELOCATE_MAX_BYTES   (UINT64_C(128) << 20) /* ... above this never */
#define SDB_BUFFER_BYTES         65536u                /* append buffer of one region ... */
#define SDB_BUFFER_LARGE_BYTES   262144u               /* ... while few are in use */
#define SDB_BUFFERS_MAX_BYTES    ((uint64_t)15 << 20)  /* of all regions of a store */

typedef struct sdb_store {
  /* registry (registry mutex) */
  struct sdb_store *next;
  uint64_t device, inode, fork_count;
  size_t users; /* handles */
  bool registered;

  /* fixed after open, but for upgrade() under the registry mutex */
  char *path;
  bool sync_off, no_mmap;
  bool files_writable;     /* descriptors can write */
  bool writing;            /* a handle that may write has joined */
  bool names_synced;       /* of the files and the directory, by us */
  bool undecided, differs; /* recovery decided about a coordinator's prepare; entries differ from the header's hash */
  sdb_fd dir;
  sdb_data_file data;
  sdb_regions_file regions; /* [w] */
  sdb_journal journal;      /* [w] */
  sdb_names *names;
  uint8_t uuid[16];

  /* health */
  _Atomic bool poisoned;
  sdb_damage damage; /* found at open; not empty: read-only */
  bool recovered;    /* [w] state at open is durable in `regions` and `data`; else a checkpoint is owed first */
  bool unclean;      /* [w] holes may hold garbage of a crashed session: punch them all at the first checkpoint */

  pthread_mutex_t files_mutex; /* held while `regions` or `journal` is written, so that check can read them whole */

  /* store.mutex */
  pthread_mutex_t mutex;
  pthread_cond_t writer_free;
  struct seqdb *writer;
  bool upkeep; /* the writer lock is held for a moment to apply overlays, by no handle */
  sdb_space space;
  sdb_catalog *committed;
  struct seqdb_snapshot *snapshots; /* oldest first */
  struct seqdb_snapshot *snapshots_last;
  uint64_t snapshot_count;

  sdb_overlay overlay;

  /* [w] */
  uint64_t epoch;
  uint32_t incarnation;
  uint32_t *named; /* indexes named by records since the last checkpoint; may repeat */
  size_t named_count, named_capacity;
  bool keep_next; /* the journal's last record is a published prepare: the next one must keep it */
  /* ... and as long as another database's commit decides about it after a crash (it has a coordinator), the state before must
  ** stay readable: its catalog is live and overlays are not applied.  NULL otherwise.  store.mutex */
  sdb_catalog *before_prepare;
  _Atomic uint64_t buffer_bytes;
} sdb_store;

/* An open savepoint. */
typedef struct sdb_mark {
  int level;
  sdb_catalog *catalog; /* state at the mark; NULL: as at the transaction's begin */
  sdb_patch patch;      /* overwrites made since the mark before */
} sdb_mark;

/* What a prepare record says, kept until it is published: indexes put and deleted, and the places of the puts. */
typedef struct sdb_delta {
  uint32_t *indexes;  /* puts, then deletes */
  sdb_range *lengths; /* [start, start + length) of the puts, by start; empty ones left out */
  size_t puts, deletes, length_count, capacity;
} sdb_delta;

/* One region that this handle appends to; a slot lives as long as its handle. */
typedef struct sdb_tail sdb_tail;

typedef struct sdb_txn {
  bool active;        /* the handle holds the writer lock */
  bool call_is_first; /* nothing had changed when the present call began */
  uint64_t epoch, generation;
  sdb_tree tree;
  sdb_patch patch; /* overwrites since the newest mark */
  sdb_mark *marks;
  size_t mark_count, mark_capacity;
  bool mark_failed; /* the last savepoint() failed, at failed_level */
  int failed_level;
  sdb_range_pool direct_pool;
  sdb_range_set direct;               /* bytes written to `data` and not known to be durable */
  sdb_tail *open_tails, *oldest_tail; /* a list, newest first */
  /* prepared state */
  sdb_catalog *prepared;
  bool prepared_is_current; /* nothing changed since */
  sdb_delta delta;
  sdb_layer *spare_layer;
  uint16_t record_kind;
  uint8_t token[SEQDB_TOKEN_BYTES];
} sdb_txn;

#define SDB_TAIL_CACHE 256u

struct seqdb {
  sdb_store *store;
  unsigned flags;
  _Atomic uint32_t refs; /* the handle's user, and each of its snapshots */
  _Atomic uint32_t busy_timeout_ms;
  char *coordinator;
  int (*interrupt)(void *context);
  void *interrupt_context;
  pthread_mutex_t error_mutex;
  seqdb_error error;
  pthread_mutex_t txn_mutex;
  sdb_txn txn;
  sdb_tail ***tail_pages; /* all slots of this handle by index, see slot.c */
  size_t tail_pages_count, tail_count;
  _Atomic(sdb_tail *) tail_cache[SDB_TAIL_CACHE];
  struct seqdb_snapshot *own_view;
  sdb_tree own_tree; /* committed tree that the own view last showed outside a transaction */
};

struct seqdb_snapshot {
  seqdb *db;
  sdb_catalog *catalog; /* NULL: the handle's own view */
  uint64_t generation, opened_ms;
  struct seqdb_snapshot *older, *newer;
};

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

/* ---- handle.c: errors and health */
/* Publish *e as the handle's error and return its code (SEQDB_OK and positive codes pass). */
int sdb_fail(seqdb *db, int rc, const sdb_op *op);
/* MISUSE after fork. */
int sdb_usable(seqdb *db, const sdb_op *op);
/* As above, and READONLY, CORRUPT, POISONED if nothing may be written. */
int sdb_writable(seqdb *db, const sdb_op *op);
/* INTERRUPTED if the callback says so. */
int sdb_interrupted(seqdb *db, const sdb_op *op);
void sdb_poison(sdb_store *store);
/* No extent of `data` reaches beyond; closing snapshots lower it at any time. */
uint64_t sdb_store_end(sdb_store *store);
/* NOTFOUND with a message. */
int sdb_gone(seqdb *db, const sdb_op *op);

/* ---- txn.c: the writer lock, begin and end, reading one's own state.  All but the first two with txn_mutex held. */
int sdb_writer_lock(seqdb *db, const sdb_op *op);
void sdb_writer_unlock(seqdb *db);
int sdb_txn_begin(seqdb *db, const sdb_op *op); /* harmless if active */
bool sdb_txn_changed(const seqdb *db);
/* The tree that the handle sees: the transaction's or the last commit's, shared; drop it with sdb_tree_drop(). */
const sdb_entry *sdb_txn_entry(seqdb *db, seqdb_region region, uint32_t *index);
/* Read bytes of the transaction's state, composed of data, overlay and patches (buffers were flushed before). */
int sdb_txn_read(seqdb *db, uint64_t offset, void *buffer, size_t bytes, const sdb_op *op);
/* The first byte of the range that differs from what `data` holds; the range's end if none does. */
uint64_t sdb_txn_next_patched(seqdb *db, uint64_t offset, uint64_t bytes);
/* Forget everything of the transaction but its marks' levels (go back to `to`, a live catalog). */
void sdb_txn_return_to(seqdb *db, sdb_catalog *to);
/* After a failed call: if nothing had changed before it, undo what it has changed and release the writer lock. */
void sdb_txn_let_go(seqdb *db);
/* Free transaction state and release the writer lock. */
void sdb_txn_end(seqdb *db);

/* ---- place.c: where bytes of the transaction go (R1, R2).  txn_mutex held, transaction begun, the region's slot closed. */
/* Write `bytes` bytes (data == NULL: zeros) at region offset `at` <= length of entry `index`; grows it. */
int sdb_write(seqdb *db, uint32_t index, uint64_t at, const void *data, uint64_t bytes, const sdb_op *op);
/* Make the reserve at least `bytes`; `exact`: no room for growth beyond. */
int sdb_write_reserve(seqdb *db, uint32_t index, uint64_t bytes, bool exact, const sdb_op *op);
int sdb_write_cut(seqdb *db, uint32_t index, uint64_t length, const sdb_op *op);
/* Bytes to be written while a region moves; data == NULL: zeros. */
typedef struct sdb_splice {
  uint64_t at, bytes;
  const void *data;
} sdb_splice;
/* Copy entry `index` to the new extent [start, start + reserved), which the caller has allocated, with `splice` (may be NULL)
** written into it; on error nothing has changed and the caller frees the extent. */
int sdb_write_move(seqdb *db, uint32_t index, uint64_t start, uint64_t reserved, const sdb_splice *splice,
                   const sdb_op *op);
/* Change the entry in the transaction's tree; sets its generation. */
int sdb_write_put(seqdb *db, uint32_t index, sdb_entry *entry, const sdb_op *op);

/* ---- slot.c: buffered appends */
void sdb_tails_free(seqdb *db);
/* Write out buffers, fold lengths into the tree and close all slots (or the one of `index`).  txn_mutex held. */
int sdb_tails_settle(seqdb *db, const sdb_op *op);
int sdb_tail_settle(seqdb *db, uint32_t index, const sdb_op *op);
/* How much longer the regions of open slots are than the tree says. */
uint64_t sdb_tails_bytes(seqdb *db);
/* What is open stays so, but the next append to it takes the slow way. */
void sdb_tails_stop(seqdb *db);
/* Close all, forgetting what they buffered. */
void sdb_tails_discard(seqdb *db);

/* ---- commit.c.  txn_mutex held. */
int sdb_commit_prepare(seqdb *db, uint16_t kind, uint8_t token[SEQDB_TOKEN_BYTES], const sdb_op *op);
void sdb_commit_publish(seqdb *db);
int sdb_commit_rollback(seqdb *db, const sdb_op *op);
/* The journal's last record is durable and no undecided prepare: let go of the state before it. */
void sdb_commit_decided(sdb_store *store);
/* Write an empty record that decides the prepare before it: kept if keep_next is set, else dropped.  Writer lock held. */
int sdb_commit_decide(sdb_store *store, const sdb_op *op);

/* ---- checkpoint.c.  Writer lock held. */
/* Apply every layer of the overlay that no older snapshot, and no published but undecided prepare, needs held back. */
int sdb_checkpoint_drain(sdb_store *store, const sdb_op *op);
int sdb_checkpoint(sdb_store *store, const sdb_op *op);
/* What a recovery owes before anything may change; harmless when nothing is owed. */
int sdb_checkpoint_recovered(sdb_store *store, const sdb_op *op);
/* Set the guard, durably, if it is not set: before the first fdatasync of a session, whose failure the next one must notice, and before
** a header is written.  files_mutex held. */
int sdb_checkpoint_guard(sdb_store *store, const sdb_op *op);
/* Punch larger holes before `data` is synced: what a growing region left behind then is neither written nor kept on disk. */
void sdb_checkpoint_punch_early(sdb_store *store);
/* A checkpoint if the journal has grown long enough, or much space was given up; failing is left for later. */
void sdb_checkpoint_if_due(sdb_store *store);

/* ---- savepoint.c */
void sdb_marks_drop(seqdb *db, size_t keep); /* newest first; their patches are lost */
/* Which of the patches of marks `first` to the newest, and the transaction's own, takes up the others, and how many ranges they have. */
sdb_patch *sdb_marks_base(sdb_txn *txn, size_t first, size_t *ranges);
/* Merge them into txn->patch.  The base has reserved memory for the others' ranges. */
void sdb_marks_merge(sdb_txn *txn, size_t first, sdb_patch *base);

/* ---- store.c */
void sdb_handle_unref(seqdb *db);

#endif /* SDB_DB_H */
