/* SPDX-License-Identifier: MIT
**
** seqdb.h: a crash-consistent store of named, growing regions of bytes in one memory-mapped file.
**
** CAVEATS FIRST
**   - A database is a directory.  One process at a time may have it open; all handles of that process share one
**     store.  Use a handle of your own for each independent writer: a handle carries at most one transaction.
**   - After fork() the child must not use handles of the parent: every call returns SEQDB_MISUSE.
**   - A failed fdatasync poisons the store (SEQDB_POISONED): reads go on, writes fail until all handles are closed.
**   - Pointers from seqdb_read() point into a read-only mapping.  They stay valid, and their bytes unchanged, until
**     the snapshot they came from is closed.  An I/O error of the disk under a mapping is SIGBUS, as with any mmap.
**   - The smallest region takes 8 KiB of disk (a page of `data`, an entry of `regions`): put small values in one
**     region, one after the other, or in an ordinary table.
**
** TRANSACTIONS.  The first change on a handle begins a transaction: it takes the database's one writer lock (waiting
** at most the busy timeout, then SEQDB_BUSY).  seqdb_flush() commits it, seqdb_rollback() undoes it.  Readers never
** wait and are never waited for: they see the last commit until they take a new snapshot.
**
** THREADS.  Any function may be called from any thread, several threads may use one handle, and appends to different
** regions of one handle run in parallel; appends to one region are serialized, none is lost.  Exceptions:
** seqdb_close() must be the handle's last call, and a snapshot is used by one thread at a time.
** A transaction belongs to the handle, not to a thread.
**
** NAMES are 1..1024 bytes of UTF-8 without control characters (U+0000..U+001F, U+007F), compared as bytes.
** They are passed as pointer and length and need no NUL.
**
** ERRORS.  Functions return SEQDB_OK or a negative code of enum seqdb_result, unless they say otherwise.  After an
** error the database is as before the call, unless the function says otherwise: a transaction that had changes stays open, and
** one that had none lets the writer lock go.
** Output parameters come last and are written only on success.
*/
#ifndef SEQDB_H
#define SEQDB_H

#include <stddef.h>
#include <stdint.h>
#include "seqdb_types.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SEQDB_API __attribute__((visibility("default")))
#else
#define SEQDB_API
#endif

#define SEQDB_VERSION_TEXT "0.1.0"

typedef struct seqdb seqdb;                   /* a handle */
typedef struct seqdb_snapshot seqdb_snapshot; /* a reader's pin on one generation */

/* Flags of seqdb_open(). */
#define SEQDB_OPEN_CREATE       0x01u /* create the directory, or finish one that is empty or half-made */
#define SEQDB_OPEN_READONLY     0x02u /* this handle never writes; recovers in memory if it must */
#define SEQDB_OPEN_SYNC_OFF     0x04u /* never wait for the disk: a power cut may lose or damage everything */
#define SEQDB_OPEN_NO_MMAP      0x08u /* read with pread(); seqdb_read() then always says SEQDB_COPY */
#define SEQDB_OPEN_ADOPT        0x10u /* accept entries that differ from what the journal says (rawdb was here) */
#define SEQDB_OPEN_RESOLVE_KEEP 0x20u /* an undecided prepare of a coordinator found at open is kept ... */
#define SEQDB_OPEN_RESOLVE_DROP 0x40u /* ... or dropped */

typedef struct seqdb_options {
  unsigned flags;           /* SEQDB_OPEN_* */
  uint32_t busy_timeout_ms; /* how long a change waits for another handle's transaction; 0 = not at all */
  uint64_t min_size_bytes;  /* `data` is kept at least this large */
  const char *coordinator;  /* NUL-terminated name put into prepare records, or NULL; copied */
} seqdb_options;

/* Open the database in `directory` (NUL-terminated path).  `options` may be NULL: all zero.  On error *error (may be
** NULL) is filled and nothing is left open; the directory is untouched unless SEQDB_OPEN_CREATE was given.
** A handle on a damaged database opens read-only and seqdb_check() and every refused write tell why.
** Handles of one process share one store; sync mode and mmap are those of the first handle, a differing later one is
** SEQDB_INVALID.  Errors: CANTOPEN, LOCKED, READONLY, VERSION, IO, NOMEM, INVALID, MISUSE. */
SEQDB_API int seqdb_open(const char *directory, const seqdb_options *options, seqdb_error *error, seqdb **db);

/* Roll back what is uncommitted, close the handle's snapshots' claim on it, and free it.  NULL is allowed.  The last
** handle's close also checkpoints and removes the guard byte; a failure there loses nothing (the journal has it).
** Snapshots still open keep the store (not the handle) alive and must still be closed by seqdb_snapshot_close(). */
SEQDB_API void seqdb_close(seqdb *db);

/* ---- changes (each begins a transaction if none is open) ---------------------------------------------------- */

/* Find the region of that name or create it, empty.  *created (may be NULL) says which. */
SEQDB_API int seqdb_find_or_create(seqdb *db, const char *name, size_t name_bytes, seqdb_region *region, int *created);
/* Append `bytes` bytes.  *offset (may be NULL) receives the region offset where they begin. */
SEQDB_API int seqdb_append(seqdb *db, seqdb_region region, const void *data, size_t bytes, uint64_t *offset);
/* Write at a region offset <= length; may grow the region.  Past the length: SEQDB_RANGE.  After SEQDB_FULL, SEQDB_IO or
** SEQDB_NOMEM the length is as before and what is committed is untouched, but in a region that this transaction changed before
** (its place counts) bytes of the range may be either: roll back, to a savepoint or wholly. */
SEQDB_API int seqdb_write(seqdb *db, seqdb_region region, uint64_t offset, const void *data, size_t bytes);
/* Cut to `length` <= the present length; longer is SEQDB_RANGE. */
SEQDB_API int seqdb_truncate(seqdb *db, seqdb_region region, uint64_t length);
/* Cut at `offset` <= length, then write there: afterwards the length is offset + bytes.  Errors as of seqdb_write(): nothing is
** cut then. */
SEQDB_API int seqdb_truncate_write(seqdb *db, seqdb_region region, uint64_t offset, const void *data, size_t bytes);
/* Cut, or extend with zeros (sparse where the file system can). */
SEQDB_API int seqdb_set_length(seqdb *db, seqdb_region region, uint64_t length);
/* Make the reserve at least `bytes`; never shrinks.  *reserved (may be NULL) receives the reserve. */
SEQDB_API int seqdb_reserve(seqdb *db, seqdb_region region, uint64_t bytes, uint64_t *reserved);
/* Rename.  SEQDB_EXISTS if another region has the name; its own name is no change. */
SEQDB_API int seqdb_rename(seqdb *db, seqdb_region region, const char *name, size_t name_bytes);
/* Remove.  Its space is reusable after the commit, when no snapshot sees it. */
SEQDB_API int seqdb_remove(seqdb *db, seqdb_region region);
/* Remove every region whose name is not among the `count` listed ones.  Unknown names are ignored.
** *removed (may be NULL) counts.  After an error some may be removed already: roll back, to a savepoint or wholly. */
SEQDB_API int seqdb_retain(seqdb *db, const char *const *names, const size_t *name_bytes, size_t count,
                           uint64_t *removed);

/* ---- transaction ------------------------------------------------------------------------------------------- */

/* The region's entry index, as in seqdb_region_info; asks nothing of the database. */
SEQDB_API uint32_t seqdb_region_index(seqdb_region region);

/* 1 if the handle's transaction has changed anything (also when prepared), else 0. */
SEQDB_API int seqdb_has_changes(seqdb *db);
/* 1 if the handle's transaction changed this region (content, length, name, place), created or removed it, else 0: also of one
** that neither the last commit nor the transaction has. */
SEQDB_API int seqdb_region_changed(seqdb *db, seqdb_region region);

/* Commit: durable and visible when it returns SEQDB_OK.  Without changes it does nothing.  *generation (may be NULL)
** is the newest generation.  On error the transaction stays open and may be tried again or rolled back; after
** SEQDB_POISONED only rolled back. */
SEQDB_API int seqdb_flush(seqdb *db, uint64_t *generation);
/* First half of a commit: write a durable prepare record that restates the whole transaction.  May be repeated, with
** more changes in between.  token (may be NULL) receives the record's random token, *generation the generation it
** will have; both are zero if there was nothing to prepare.  After a crash an undecided prepare that is the journal's last
** record counts as committed, unless its handle named a coordinator and it is opened with SEQDB_OPEN_RESOLVE_DROP. */
SEQDB_API int seqdb_prepare(seqdb *db, uint8_t token[SEQDB_TOKEN_BYTES], uint64_t *generation);
/* Second half: make the prepared state visible.  Cannot fail: everything that can was done by seqdb_prepare().
** Changes made after the prepare are a broken promise: the transaction is given up and the store poisoned, and the next open
** finds what was prepared.  Ends the transaction; harmless without one. */
SEQDB_API void seqdb_publish(seqdb *db);
/* Undo the whole transaction and release the writer lock.  After a prepare this writes the record that drops it; if
** that fails the store is poisoned and the error returned.  Harmless without a transaction. */
SEQDB_API int seqdb_rollback(seqdb *db);

/* Savepoints are numbered as in SQLite's xSavepoint: marks with ascending levels >= 0.  They may be set before the
** transaction's first change.  savepoint() keeps an existing mark of the same level; release() forgets the mark
** and those above it and keeps the changes; rollback_to() restores the state at the mark, keeps it and forgets those
** above; a level without a mark (or -1) means the state at the transaction's begin.  All are harmless without a
** transaction, and end with it.  Costs do not depend on the size of the database. */
SEQDB_API int seqdb_savepoint(seqdb *db, int level);
SEQDB_API int seqdb_release(seqdb *db, int level);
SEQDB_API int seqdb_rollback_to(seqdb *db, int level);

/* ---- reading ----------------------------------------------------------------------------------------------- */

/* Open a snapshot of the newest commit.  Never waits for a writer.  Close it soon: it holds back freed space. */
SEQDB_API int seqdb_snapshot_open(seqdb *db, seqdb_snapshot **snapshot);
/* Close.  NULL is allowed.  Pointers read from it are invalid afterwards. */
SEQDB_API void seqdb_snapshot_close(seqdb_snapshot *snapshot);
SEQDB_API uint64_t seqdb_snapshot_generation(const seqdb_snapshot *snapshot);
/* Number of regions and sum of their lengths; either pointer may be NULL.  Of the own view, those of this moment. */
SEQDB_API void seqdb_snapshot_totals(const seqdb_snapshot *snapshot, uint64_t *regions, uint64_t *content_bytes);
/* The handle's own view: its transaction as it is now, or the newest commit if it has none.  Owned by the handle, not
** to be closed.  It pins nothing: each call sees the state of that moment, seqdb_read() always says SEQDB_COPY, and
** names in seqdb_region_info stay valid only until the next call with the same handle. */
SEQDB_API seqdb_snapshot *seqdb_own_view(seqdb *db);

/* Errors of the functions below are recorded in the handle that opened the snapshot. */
SEQDB_API int seqdb_find(seqdb_snapshot *snapshot, const char *name, size_t name_bytes, seqdb_region *region);
SEQDB_API int seqdb_get_info(seqdb_snapshot *snapshot, seqdb_region region, seqdb_region_info *info);
/* The region with the smallest entry index >= `index`; SEQDB_DONE if there is none.  Start with 0, go on with
** info.index + 1: regions created and removed meanwhile do no harm.  Allocates nothing. */
SEQDB_API int seqdb_iterate(seqdb_snapshot *snapshot, uint64_t index, seqdb_region_info *info);
/* The same for up to `capacity` (> 0) regions at once: *count of them, 1 at least unless there is none.  For long scans; in an
** own view all are of the same moment. */
SEQDB_API int seqdb_iterate_many(seqdb_snapshot *snapshot, uint64_t index, seqdb_region_info *infos, size_t capacity,
                                 size_t *count);
/* Point at bytes [offset, offset + bytes) of the region, without a copy.  SEQDB_COPY if they are not in the mapping
** as they should be (own changes, overlay, mmap off).  Past the length: SEQDB_RANGE. */
SEQDB_API int seqdb_read(seqdb_snapshot *snapshot, seqdb_region region, uint64_t offset, uint64_t bytes,
                         const void **data);
/* Copy at most `bytes` bytes from `offset` on; short at the end (*got says how many; 0 at or past the length). */
SEQDB_API int seqdb_read_copy(seqdb_snapshot *snapshot, seqdb_region region, uint64_t offset, void *buffer,
                              size_t bytes, size_t *got);
/* seqdb_find() and seqdb_read_copy() in one step, of one moment also in an own view. */
SEQDB_API int seqdb_read_named(seqdb_snapshot *snapshot, const char *name, size_t name_bytes, uint64_t offset,
                               void *buffer, size_t bytes, size_t *got);

/* ---- upkeep ------------------------------------------------------------------------------------------------ */

/* Fold the journal into `regions` and `data`, punch freed space.  SEQDB_LOCKED while this handle's transaction has
** changes.  Returns SEQDB_OK and does less while an old snapshot holds overlays back. */
SEQDB_API int seqdb_checkpoint(seqdb *db);
/* Compact as far as open snapshots allow, in small commits of its own, the writer lock held for one at a time.
** *freed_bytes (may be NULL): disk blocks given back.  SEQDB_LOCKED while this handle's transaction has changes. */
SEQDB_API int seqdb_compact(seqdb *db, uint64_t *freed_bytes);
/* One step of the same; SEQDB_DONE when nothing is left to do.  *cursor starts at 0 and is the caller's to keep. */
SEQDB_API int seqdb_compact_step(seqdb *db, uint64_t *cursor, seqdb_compact_step_info *step);
/* Verify everything that can be verified without reading contents: entries, journal, overlaps, accounting.  Calls
** report(context, problem) once a problem, NUL-terminated, without line breaks; a non-zero return stops.
** *problems (may be NULL) counts.  Sees committed state only; waits for a running commit, not for a transaction. */
SEQDB_API int seqdb_check(seqdb *db, int (*report)(void *context, const char *problem), void *context,
                          uint64_t *problems);
SEQDB_API int seqdb_stat(seqdb *db, seqdb_stat_info *info);
/* All of `data` as rows, of the newest commit.  *rows (with the names in it) is freed with seqdb_free(). */
SEQDB_API int seqdb_layout(seqdb *db, seqdb_layout_row **rows, size_t *count);
SEQDB_API void seqdb_free(void *memory);

/* ---- the handle -------------------------------------------------------------------------------------------- */

SEQDB_API void seqdb_set_busy_timeout(seqdb *db, uint32_t timeout_ms);
/* Long work (compact, check, large copies) calls interrupt(context) now and then from the calling thread; non-zero stops it with
** SEQDB_INTERRUPTED, nothing half done.  NULL removes it. */
SEQDB_API void seqdb_set_interrupt(seqdb *db, int (*interrupt)(void *context), void *context);
/* 1 if every write will fail (read-only handle, damage, poison), and errmsg-style reason in *error if not NULL. */
SEQDB_API int seqdb_is_readonly(seqdb *db, seqdb_error *error);
/* 1 if `directory` is at this moment the one the handle has open, however its path is spelled; 0 if it is another one or there is
** none; an error if that cannot be told. */
SEQDB_API int seqdb_same_directory(seqdb *db, const char *directory);
/* The database's uuid; all zero for a rawdb directory opened read-only. */
SEQDB_API void seqdb_uuid(seqdb *db, uint8_t uuid[16]);
/* Copy of the handle's last error.  seqdb_errmsg() points into the handle, valid until the handle's next failure. */
SEQDB_API void seqdb_last_error(seqdb *db, seqdb_error *error);
SEQDB_API const char *seqdb_errmsg(seqdb *db);
/* Fixed English text of a result code; never NULL. */
SEQDB_API const char *seqdb_strerror(int code);
SEQDB_API const char *seqdb_version(void);

#ifdef __cplusplus
}
#endif
#endif /* SEQDB_H */
