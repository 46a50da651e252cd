/* SPDX-License-Identifier: MIT
**
** overlay.h: committed overwrites that `data` does not have yet (R4).
**
** A commit that overwrites committed bytes must not write them into `data` while a snapshot older than the commit is
** open: the snapshot reads them there.  They stand in memory, as layers over `data`:
**
**     snapshot of 5      snapshot of 8       the newest commit, 9
**          |                  |                    |
**          v                  v                    v
**      [ data ]  <--  [ layer of 6..8 ]  <--  [ layer of 9 ]
**
** A reader of generation g takes `data` and lays over it every layer with generation <= g.  A commit joins the newest
** layer unless a snapshot stands between them.  So there are at most as many layers as generations with snapshots,
** and one more.
** OWNS the layers and their lock; borrows the data file.
** THREADS: reading: any thread.  The rest: the writer, who alone changes layers.
** INVARIANTS: every byte of a layer lies in a range of a record still in the journal: no direct write meets one, and
** after a crash it is redone.  A layer is written to `data` only when nobody reads an older generation.  One that
** another member has written may stay: it says what `data` says.
*/
#ifndef SDB_OVERLAY_H
#define SDB_OVERLAY_H

#include <pthread.h>
#include <stdatomic.h>
#include "base/error.h"
#include "files/data_file.h"
#include "pure/patch.h"
#include "pure/ranges.h"

typedef struct sdb_layer {
  struct sdb_layer *newer;
  uint64_t generation; /* of the newest commit in it */
  sdb_patch patch;
} sdb_layer;

typedef struct sdb_overlay {
  sdb_data_file *data;
  pthread_rwlock_t lock; /* guards the list against readers; the writer reads without */
  sdb_layer *layers;     /* oldest first */
  _Atomic uint64_t layer_count;
} sdb_overlay;

/* `data` outlives the overlay; it need not be open yet. */
void sdb_overlay_init(sdb_overlay *overlay, sdb_data_file *data);
/* Forgets what was not applied: the journal has it. */
void sdb_overlay_destroy(sdb_overlay *overlay);

/* ---- reading; any thread */

bool sdb_overlay_is_empty(const sdb_overlay *overlay);
/* The first byte of [offset, end) that a layer of up to `generation` has; `end` if none has any. */
uint64_t sdb_overlay_next(sdb_overlay *overlay, uint64_t generation, uint64_t offset, uint64_t end);
/* Copy bytes of `data` and lay over them what commits up to `generation` say.  Errors: IO. */
int sdb_overlay_read(sdb_overlay *overlay, uint64_t generation, uint64_t offset, void *buffer, size_t bytes,
                     const sdb_op *op);
/* The memory that the layers hold. */
uint64_t sdb_overlay_bytes(sdb_overlay *overlay);

/* ---- adding; the writer */

/* What recovery found, as the only layer; `patch` is empty afterwards.  NOMEM changes nothing. */
int sdb_overlay_load(sdb_overlay *overlay, uint64_t generation, sdb_patch *patch);
/* A layer of `patch`, which is empty afterwards.  NULL: out of memory. */
sdb_layer *sdb_overlay_layer(sdb_patch *patch, uint64_t generation);
/* `layer` (NULL: none) is all there is.  Locked. */
void sdb_overlay_replace(sdb_overlay *overlay, sdb_layer *layer);
/* Memory so that add() of `ranges` ranges cannot fail; *spare receives a layer if none is there yet. */
int sdb_overlay_reserve(sdb_overlay *overlay, size_t ranges, sdb_layer **spare);
void sdb_overlay_free_spare(sdb_layer **spare);
/* add() and the new catalog become visible together: they happen between these two. */
void sdb_overlay_lock(sdb_overlay *overlay);
void sdb_overlay_unlock(sdb_overlay *overlay);
/* Take over `patch` as the overwrites of commit `generation`.  `newest_reader`: the newest generation that a snapshot
** reads, 0 if there is no snapshot.  Locked.  Cannot fail after reserve(). */
void sdb_overlay_add(sdb_overlay *overlay, uint64_t generation, uint64_t newest_reader, sdb_patch *patch,
                     sdb_layer **spare);

/* The journal begins anew with these ranges: of the layers nothing else stays, for what they have beside them is in
** `data`, or nobody's.  Locked.  NOMEM: some of it stays still. */
int sdb_overlay_confine(sdb_overlay *overlay, const sdb_range_set *redo);
/* The same where all was read anew: `layer` (NULL: none) says of all of `redo` what it is now.  Of the layers stays
** what those who read up to generation `newest_reader` need.  Locked.  NOMEM: as above, and `layer` is not taken. */
int sdb_overlay_renew(sdb_overlay *overlay, uint64_t newest_reader, const sdb_range_set *redo, sdb_layer *layer);
/* Nobody reads these bytes any more.  Locked.  Without memory they stay. */
void sdb_overlay_remove(sdb_overlay *overlay, uint64_t offset, uint64_t bytes);

/* Newer overwrites cover older ones, whose memory stays: copy a layer in which that has become much.  Failing is no
** error. */
void sdb_overlay_compact(sdb_overlay *overlay);

/* ---- applying; the writer */

/* Does somebody who reads generation `oldest_reader` hold a layer back? */
bool sdb_overlay_held(const sdb_overlay *overlay, uint64_t oldest_reader);
/* The generation of the newest layer that nobody who reads `oldest_reader` holds back; 0 if there is none. */
uint64_t sdb_overlay_due(const sdb_overlay *overlay, uint64_t oldest_reader);
/* Write the layers to `data` that nobody who reads generation `oldest_reader` or a newer one holds back, as one: what a
** newer layer covers is not written.  Not synced.  Errors: IO, FULL, NOMEM; the layers stay. */
int sdb_overlay_drain(sdb_overlay *overlay, uint64_t oldest_reader, const sdb_op *op);
/* Take out of the patch what layers newer than `generation` have.  NOMEM. */
int sdb_overlay_cut(const sdb_overlay *overlay, uint64_t generation, sdb_patch *patch);
/* Write a patch to `data`.  Errors as above. */
int sdb_overlay_apply(sdb_overlay *overlay, const sdb_patch *patch, const sdb_op *op);
/* Forget the layers of up to `generation`: another member has written them to `data`. */
void sdb_overlay_drop(sdb_overlay *overlay, uint64_t generation);

#endif /* SDB_OVERLAY_H */
