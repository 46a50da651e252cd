/* SPDX-License-Identifier: MIT
**
** seqdb.h: a crash-consistent store of named, growing regions of bytes in one memory-mapped file.
**
** CAVEATS FIRST
**   - A database is a directory.  Several processes may have it open and write in turns, on a local file system; all
**     handles of one process share one store.  Use a handle of its own for each independent writer: a handle carries at
**     most one transaction.
**   - After fork() the child must not use handles of the parent: every call that returns a code returns SEQDB_MISUSE.
**   - A failed fdatasync poisons the store (SEQDB_POISONED): reads go on, writes fail until all handles are closed.
**   - Pointers from seqdb_read() point into a read-only mapping.  They stay valid, and their bytes unchanged, until the
**     snapshot they came from is closed.  An I/O error of the disk under a mapping is SIGBUS, as with any mmap.
**   - The smallest region takes 8 KiB of disk (a page of `data`, an entry of `regions`): put small values in one
**     region, one after the other, or in an ordinary table.
**
** What holds for all functions (transactions, threads, names, errors, sizes of structures) is said below the includes.
*/
#ifndef SEQDB_H
#define SEQDB_H

#include <stddef.h>
#include <stdint.h>
#include "seqdb_types.h"

/* TRANSACTIONS.  The first change on a handle begins a transaction: it takes the database's one writer lock, of all
** processes (waiting at most the busy timeout, then SEQDB_BUSY).  seqdb_flush() commits it, seqdb_rollback() undoes it.
** Readers never wait and are never waited for: they see the last commit until they take a new snapshot.
**
** THREADS.  Any function may be called from any thread.  Several threads may use one handle, and appends to different
** regions of one handle run in parallel; appends to one region are serialized, none is lost.  A transaction belongs to
** the handle, not to a thread.  Exceptions:
**   - seqdb_close() must be the handle's last call;
**   - a snapshot and its view are used by one thread at a time;
**   - seqdb_set_interrupt() and seqdb_errmsg() are for one thread while no other uses the handle.
**
** NAMES are 1..1024 bytes of UTF-8 without control characters (U+0000..U+001F, U+007F), compared as bytes.  They are
** passed as pointer and length and need no NUL.
**
** ERRORS.  Functions return SEQDB_OK or a negative code of enum seqdb_result, unless they say otherwise.  The handle
** keeps a record of its last error: seqdb_get_error().  After an error
**   - the database is as before the call, unless the function says otherwise;
**   - a transaction that had changes stays open, and one that had none lets the writer lock go;
**   - output parameters are as before the call.  They come last, and are written on success only: not with SEQDB_DONE
**     or SEQDB_COPY either.  What a buffer holds after an error is not defined.
** Every function names its errors.  Four groups have a name, for short:
**   CHILD    MISUSE: the handle is of before fork().  Every function that returns a code has it, named or not.
**   STORAGE  FULL, IO, NOMEM; READONLY if the system refuses to write; POISONED if a sync fails, or has failed before.
**   CHANGE   STORAGE, and BUSY: another handle or process has the writer lock; READONLY: the handle cannot write;
**            CORRUPT: the database is damaged and cannot be written.
**   FOLLOW   IO, NOMEM, CORRUPT: what another process has committed cannot be read.
**
** SIZES.  seqdb_options, seqdb_stat_info, seqdb_salvage_info, seqdb_change and seqdb_error carry their size
** (seqdb_types.h): begin with an _INIT macro.
** A wrong size is SEQDB_INVALID, and then the structure is not touched.
*/
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
typedef struct seqdb_view seqdb_view;         /* what can be read: a snapshot's generation, or the handle's own state */

/* ---- open and close ---------------------------------------------------------------------------------------- */

/* Flags of seqdb_open(). */
#define SEQDB_OPEN_CREATE        0x01u  /* create the directory, or finish one that is empty or half-made */
#define SEQDB_OPEN_READONLY      0x02u  /* this handle never writes; recovers in memory if it must */
#define SEQDB_OPEN_SYNC_OFF      0x04u  /* never wait for the disk: a power cut may lose or damage everything */
#define SEQDB_OPEN_NO_MMAP       0x08u  /* read with pread(); seqdb_read() then always says SEQDB_COPY */
#define SEQDB_OPEN_ADOPT         0x10u  /* take over what rawdb wrote or changed: make a journal, accept the entries */
#define SEQDB_OPEN_RESOLVE_KEEP  0x20u  /* an undecided prepare of a coordinator found at open is kept ... */
#define SEQDB_OPEN_RESOLVE_DROP  0x40u  /* ... or dropped */
#define SEQDB_OPEN_RESOLVE_LATER 0x200u /* ... or left: it is shown as kept, and nothing is written */
#define SEQDB_OPEN_EXCLUSIVE     0x80u  /* for this process alone; the only way on a network file system */
#define SEQDB_OPEN_NOT_ATOMIC    0x400u /* commits are nobody else's; all that write agree about this */
#define SEQDB_OPEN_IMMUTABLE     0x100u /* nobody changes it, the caller promises; implies READONLY, writes nothing */

/* Whoever opens a directory that another thread of this process is opening or closing waits so long at least. */
#define SEQDB_OPEN_WAIT_MS 10000u

typedef struct seqdb_options {
  uint32_t size_bytes;             /* sizeof(seqdb_options), set by the caller */
  uint32_t flags;                  /* SEQDB_OPEN_* */
  uint32_t busy_timeout_ms;        /* how long a change waits for another handle's transaction; 0 = not at all */
  uint64_t min_size_bytes;         /* `data` is kept at least this large */
  const char *coordinator;         /* NUL-terminated name put into prepare records, or NULL; copied */
  int (*interrupt)(void *context); /* NULL, or asked now and then while opening; non-zero stops it.  Must not call the
                                   ** library.  The handle does not keep it: see seqdb_set_interrupt() */
  void *interrupt_context;
  uint32_t mode;     /* permissions of what is made: files exactly these, directories with x where r is; 0 = 0644, of
                     ** directories 0755, as far as the umask leaves them */
  uint32_t uid, gid; /* with `mode`: its owner, if the process is root's */
  const seqdb_claim *claim; /* with CREATE: what a directory that is made belongs to, or NULL; not kept */
  /* Asked while opening, if commits of an SQLite file may count or not: the token that the file has for this directory.
  ** SEQDB_OK; BUSY, NOMEM, INTERRUPTED or IO, which opening then returns; or anything else: it cannot be asked.
  ** NULL: nobody can. */
  int (*committed)(void *context, const seqdb_question *question, uint8_t token[SEQDB_TOKEN_BYTES]);
  void *committed_context;
} seqdb_options;
#define SEQDB_OPTIONS_INIT \
  { (uint32_t)sizeof(seqdb_options), 0, 0, 0, NULL, NULL, NULL, 0, 0, 0, NULL, NULL, NULL }

/* Open the database in `directory` (NUL-terminated path).  `options` may be NULL: all zero.  The caller owns the handle
** and closes it with seqdb_close().
** A handle on a damaged database opens, read-only; seqdb_check() and every refused change tell why.  So does one that
** is to write where that cannot be: the system refuses it (read-only media, no permission), a file has a second name (a
** hard link), or rawdb wrote the directory and SEQDB_OPEN_ADOPT is not given.  seqdb_is_readonly() tells.
** Handles of one process share one store; sync mode and mmap are those of its first handle.  Handles with
** SEQDB_OPEN_READONLY open all files for reading, but for the file `lock`, by which processes know of each other, and
** which they make if it is missing.  Where `lock` cannot be written SEQDB_OPEN_IMMUTABLE reads without it, if nobody
** changes anything; on a file system that is mounted read-only that goes without saying.  On a network file system
** SEQDB_OPEN_EXCLUSIVE is needed, one process at a time.
** One slow open or close stops no other directory's.  Who opens a directory that another thread of this process is
** opening or closing waits for it: for the busy timeout, but for SEQDB_OPEN_WAIT_MS at least.
** On error *error (may be NULL) is filled and nothing is left open.  The directory is as before, unless
** SEQDB_OPEN_CREATE was given; what was recovered may be durable already.
** Errors:
**   INVALID   flags or a mode that are unknown or contradict each other; sync mode or mmap differ from those of the
**             open store; a size_bytes is wrong (if that of *error is: nothing tells more); options that this version
**             does not know
**   RANGE     min_size_bytes is more than a file can have
**   CANTOPEN  no such directory, no database in it, a file that is missing or is no regular file; to be created in a
**             directory that is neither empty nor a database
**   LOCKED    rawdb, an older version or a process with EXCLUSIVE has it open; EXCLUSIVE, and anybody has; ADOPT or
**             RESOLVE_DROP, and somebody has it open for reading; as many processes as there can be have it open
**   READONLY  no permission to create or to adopt, or to write the file `lock`
**   VERSION   written by a newer version
**   BUSY      another thread or process has not finished opening or closing it
**   INTERRUPTED  options->interrupt said so: the files are as before, but for what SEQDB_OPEN_CREATE has made
**   CORRUPT   more entries than a database can have; other damage opens read-only
**   POISONED  it is open, here or in another process, and a sync has failed: close it everywhere first; or it fails now
**   FULL, IO, NOMEM */
SEQDB_API int seqdb_open(const char *directory, const seqdb_options *options, seqdb_error *error, seqdb **db);

/* Roll back what is uncommitted and free the handle.  NULL is allowed; in a child of fork it does nothing.  The last
** handle's close, of all processes, also checkpoints and removes the guard byte; a failure there loses nothing (the
** journal has it).
** Snapshots still open keep the store (not the handle) alive and must still be closed by seqdb_snapshot_close(). */
SEQDB_API void seqdb_close(seqdb *db);

/* ---- changes (each begins a transaction if none is open) ---------------------------------------------------- */

/* Find the region of that name or create it, empty.  *created (may be NULL): 1 if it was created, 0 if it was there.
** Errors: CHANGE; INVALID: the name is malformed. */
SEQDB_API int seqdb_find_or_create(seqdb *db, const char *name, size_t name_bytes, seqdb_region *region, int *created);

/* Create an empty region at that entry index, which must be free: for copies whose entries are to be those of another
** database.  Indexes below may stay free.
** Errors: CHANGE; INVALID: the name is malformed; EXISTS: another region has the name, or the index; RANGE: no database
** has so many entries. */
SEQDB_API int seqdb_create_at(seqdb *db, uint32_t index, const char *name, size_t name_bytes, seqdb_region *region);

/* Append `bytes` bytes.  *offset (may be NULL): the region offset where they begin.
** Errors: CHANGE; NOTFOUND; RANGE: no file can be so long; INTERRUPTED (while a large region moves). */
SEQDB_API int seqdb_append(seqdb *db, seqdb_region region, const void *data, size_t bytes, uint64_t *offset);

/* Write at a region offset <= length; may grow the region.
** After FULL, IO or NOMEM the length is as before and what is committed is untouched; but in a region that this
** transaction changed before (its place counts) bytes of the range may be either: roll back, to a savepoint or wholly.
** Errors: CHANGE; NOTFOUND; RANGE: `offset` is past the length, or no file can be so long; INTERRUPTED. */
SEQDB_API int seqdb_write(seqdb *db, seqdb_region region, uint64_t offset, const void *data, size_t bytes);

/* Cut to `length_bytes` <= the present length.
** Errors: CHANGE; NOTFOUND; RANGE: it is longer than the present length. */
SEQDB_API int seqdb_truncate(seqdb *db, seqdb_region region, uint64_t length_bytes);

/* Cut at `offset` <= length, then write there: afterwards the length is offset + bytes.
** Errors and state after them as of seqdb_write(): nothing is cut then. */
SEQDB_API int seqdb_truncate_write(seqdb *db, seqdb_region region, uint64_t offset, const void *data, size_t bytes);

/* Cut, or extend with zeros (sparse where the file system can).
** Errors: CHANGE; NOTFOUND; RANGE: no file can be so long; INTERRUPTED. */
SEQDB_API int seqdb_set_length(seqdb *db, seqdb_region region, uint64_t length_bytes);

/* Make the reserve at least `bytes`; never shrinks.  *reserved_bytes (may be NULL): the reserve.
** Errors: CHANGE; NOTFOUND; RANGE: no file can be so long; INTERRUPTED. */
SEQDB_API int seqdb_reserve(seqdb *db, seqdb_region region, uint64_t bytes, uint64_t *reserved_bytes);

/* Rename.  Its own name is no change.
** Errors: CHANGE; NOTFOUND; INVALID: the name is malformed; EXISTS: another region has it. */
SEQDB_API int seqdb_rename(seqdb *db, seqdb_region region, const char *name, size_t name_bytes);

/* Remove.  Its space is reusable after the commit, when no snapshot sees it.
** Errors: CHANGE; NOTFOUND. */
SEQDB_API int seqdb_remove(seqdb *db, seqdb_region region);

/* Remove every region whose name is not among the `count` listed ones.  Unknown names are ignored.  *removed (may be
** NULL): how many.  After an error some may be removed already: roll back, to a savepoint or wholly.
** Errors: CHANGE. */
SEQDB_API int seqdb_retain(seqdb *db, const char *const *names, const size_t *name_bytes, size_t count,
                           uint64_t *removed);

/* ---- transaction ------------------------------------------------------------------------------------------- */

/* The region's entry index, as in seqdb_region_info; asks nothing of the database and cannot fail. */
SEQDB_API uint32_t seqdb_region_index(seqdb_region region);

/* 1 if the handle's transaction has changed anything (also when prepared), else 0.
** Errors: CHILD. */
SEQDB_API int seqdb_has_changes(seqdb *db);

/* 1 if the handle's transaction changed this region (content, length, name, place), created or removed it, else 0: also
** of one that neither the last commit nor the transaction has.
** Errors: CHILD. */
SEQDB_API int seqdb_region_changed(seqdb *db, seqdb_region region);

/* Commit: durable and visible when it returns SEQDB_OK.  Without changes it does nothing.  *generation (may be NULL):
** the newest.  On error the transaction stays open and may be tried again or rolled back; after POISONED, or an error
** of a sync, it can only be rolled back.
** Errors: STORAGE; CORRUPT; READONLY: the directory or its files were moved, removed or replaced while they
** were open; as long as its path leads elsewhere. */
SEQDB_API int seqdb_flush(seqdb *db, uint64_t *generation);

/* First half of a commit: write a durable prepare record that restates the whole transaction.  May be repeated, with
** more changes in between.  token (may be NULL): the record's random token.  *generation (may be NULL): the one it will
** have.  Both are zero if there was nothing to prepare.  After a crash an undecided prepare that is the journal's last
** record counts as committed, unless its handle named a coordinator and it is opened with SEQDB_OPEN_RESOLVE_DROP.
** Errors, and the state after them, as of seqdb_flush(); an earlier prepare of the transaction still stands. */
SEQDB_API int seqdb_prepare(seqdb *db, uint8_t token[SEQDB_TOKEN_BYTES], uint64_t *generation);

/* Second half: make the prepared state visible.  Cannot fail: everything that can was done by seqdb_prepare().
** Changes made after the prepare are a broken promise: the transaction is given up and the store poisoned, and the next
** open finds what was prepared.  Ends the transaction; harmless without one, and in a child of fork. */
SEQDB_API void seqdb_publish(seqdb *db);

/* Undo the whole transaction and release the writer lock, also if it fails.  After a prepare this writes the record
** that drops it; if that fails, the store is poisoned and the next open may find what was prepared.  Harmless without a
** transaction. Errors, after a prepare only: STORAGE. */
SEQDB_API int seqdb_rollback(seqdb *db);

/* Savepoints are numbered as in SQLite's xSavepoint: marks with ascending levels >= 0.  They may be set before the
** transaction's first change.  All three are harmless without a transaction, and marks end with it.  Costs do not
** depend on the size of the database. */

/* Set a mark; one of the same level is kept as it is.
** Errors: STORAGE (buffered appends are written out); INVALID: the level is negative. */
SEQDB_API int seqdb_savepoint(seqdb *db, int level);

/* Forget the mark and those above it; keep the changes.
** Errors: NOMEM: all marks are kept. */
SEQDB_API int seqdb_release(seqdb *db, int level);

/* Restore the state at the mark, keep it and forget those above.  A level without a mark, or -1, means the
** transaction's begin. Errors: CHILD. */
SEQDB_API int seqdb_rollback_to(seqdb *db, int level);

/* ---- what can be read -------------------------------------------------------------------------------------- */

/* Open a snapshot of the newest commit.  Never waits for a writer.  The caller owns it and closes it, soon: it holds
** back freed space, in all processes.  Works on a damaged or poisoned database too.
** Errors: NOMEM; FOLLOW. */
SEQDB_API int seqdb_snapshot_open(seqdb *db, seqdb_snapshot **snapshot);

/* Close.  NULL is allowed; in a child of fork it does nothing.  Its view, and pointers and names read from it, are
** invalid afterwards. */
SEQDB_API void seqdb_snapshot_close(seqdb_snapshot *snapshot);

/* The commit that the snapshot shows; cannot fail. */
SEQDB_API uint64_t seqdb_snapshot_generation(const seqdb_snapshot *snapshot);

/* The view of a snapshot.  It belongs to the snapshot and ends with it; never NULL. */
SEQDB_API seqdb_view *seqdb_snapshot_view(seqdb_snapshot *snapshot);

/* The handle's own view: its transaction as it is now, or the newest commit if it has none.  It belongs to the handle
** and ends with it; never NULL.  It pins nothing: each call sees the state of that moment, seqdb_read() always says
** SEQDB_COPY, and names in seqdb_region_info stay valid only until the next call with the same handle.  Without a
** transaction each call may fail as FOLLOW says. */
SEQDB_API seqdb_view *seqdb_own_view(seqdb *db);

/* ---- reading ----------------------------------------------------------------------------------------------- */

/* Errors of these functions are recorded in the view's handle.  In the own view of a handle with a transaction they all
** have those of STORAGE too, because what appends have buffered is written out first; seqdb_view_totals() and
** seqdb_read() do not. Names in seqdb_region_info point into the database and stay valid as long as the view's
** snapshot. */

/* Number of regions and sum of their lengths; either pointer may be NULL.
** Errors: CHILD. */
SEQDB_API int seqdb_view_totals(seqdb_view *view, uint64_t *regions, uint64_t *content_bytes);

/* The region of that name.
** Errors: NOTFOUND. */
SEQDB_API int seqdb_find(seqdb_view *view, const char *name, size_t name_bytes, seqdb_region *region);

/* What is known of a region.
** Errors: NOTFOUND. */
SEQDB_API int seqdb_get_info(seqdb_view *view, seqdb_region region, seqdb_region_info *info);

/* The region with the smallest entry index >= `index`; SEQDB_DONE if there is none.  Start with 0, go on with
** info.index + 1: regions created and removed meanwhile do no harm.  Allocates nothing.
** Errors: CHILD. */
SEQDB_API int seqdb_iterate(seqdb_view *view, uint64_t index, seqdb_region_info *info);

/* The same for up to `capacity` (> 0) regions at once.  *count: how many, at least 1; SEQDB_DONE if there is none.  For
** long scans; in an own view all are of the same moment.
** Errors: CHILD. */
SEQDB_API int seqdb_iterate_many(seqdb_view *view, uint64_t index, seqdb_region_info *infos, size_t capacity,
                                 size_t *count);

/* Point at bytes [offset, offset + bytes) of the region, without a copy.  The pointer is valid until the snapshot is
** closed. SEQDB_COPY if they are not in the mapping as they should be (own view, overlay, mmap off).
** Errors: NOTFOUND; RANGE: past the length. */
SEQDB_API int seqdb_read(seqdb_view *view, seqdb_region region, uint64_t offset, uint64_t bytes, const void **data);

/* Copy at most `bytes` bytes from `offset` on.  *got_bytes: how many; fewer at the end, 0 at or past the length.
** Errors: NOTFOUND; IO, NOMEM; CORRUPT: `data` of a damaged database ends before. */
SEQDB_API int seqdb_read_copy(seqdb_view *view, seqdb_region region, uint64_t offset, void *buffer, size_t bytes,
                              size_t *got_bytes);

/* seqdb_find() and seqdb_read_copy() in one step, of one moment also in an own view.  Errors as of both. */
SEQDB_API int seqdb_read_named(seqdb_view *view, const char *name, size_t name_bytes, uint64_t offset, void *buffer,
                               size_t bytes, size_t *got_bytes);

/* Copy the region's content to a new file at `path` (NUL-terminated), durably; runs of zeros are left as holes.  Of
** `options`, which may be NULL, mode, uid and gid count, as for files of a database.  *bytes (may be NULL): the length.
** The file has its name when all of it is there, and not before: until then it is `.seqdb-export-<number>` beside it,
** which stays behind only if the process dies.  Memory: 1 MiB.  The interrupt callback is asked once for each of these.
** Another thread's change of the region during a copy from an own view is seen in part: take a snapshot.
** Errors:
**   EXISTS    something has that name
**   CANTOPEN  there is no such folder, or the name cannot be a file's
**   INVALID   the path is in the database's own directory
**   NOTFOUND, INTERRUPTED, those of reading; FULL, IO, NOMEM; READONLY: no permission to write there */
SEQDB_API int seqdb_export(seqdb_view *view, seqdb_region region, const char *path, const seqdb_options *options,
                           uint64_t *bytes);

/* ---- upkeep ------------------------------------------------------------------------------------------------ */

/* Fold the journal into `regions` and `data`, punch freed space.  Returns SEQDB_OK and does less while an old snapshot
** holds overlays back.  An error leaves the journal, and nothing is lost.
** Errors: CHANGE; LOCKED: this handle's transaction has changes. */
SEQDB_API int seqdb_checkpoint(seqdb *db);

/* Compact as far as open snapshots allow, in small commits of its own, the writer lock held for one at a time.
** *freed_bytes (may be NULL): disk blocks given back.  What was compacted before an error stays so.
** Errors: CHANGE; LOCKED: this handle's transaction has changes; INTERRUPTED. */
SEQDB_API int seqdb_compact(seqdb *db, uint64_t *freed_bytes);

/* One step of the same; SEQDB_DONE when nothing is left to do.  *cursor starts at 0 and is the caller's to keep: it
** goes on with each SEQDB_OK.  Errors as of seqdb_compact(). */
SEQDB_API int seqdb_compact_step(seqdb *db, uint64_t *cursor, seqdb_compact_step_info *step);
/* The same in the larger steps of seqdb_compact(), which once begun wait for other writers two seconds at least.  What
** `data` takes less on the disk is added to *freed_bytes, after an error, too; what it takes more is taken off. */
SEQDB_API int seqdb_compact_batch(seqdb *db, uint64_t *cursor, int64_t *freed_bytes);

/* Verify everything that can be verified without reading contents: entries, journal, overlaps, accounting.  Calls
** report(context, problem) (report may be NULL) from this thread for each problem: NUL-terminated, without line breaks,
** valid during the call.  After 100 of them the last line is "... and N more".  It must not call the library; if it
** returns non-zero, no more are reported or counted.
** *problems (may be NULL): how many.  Sees committed state only; waits for a running commit, not for a transaction.
** A problem is no error.  Errors: IO, NOMEM, INTERRUPTED. */
SEQDB_API int seqdb_check(seqdb *db, int (*report)(void *context, const char *problem), void *context,
                          uint64_t *problems);

/* Make a new database in directory `to`, which is missing or empty, out of whatever can be read of the damaged one in
** `from`, whose files are opened for reading only.  The journal is redone as far as it is whole.  Regions that overlap
** are saved each with what it shows.  A region that reaches past the end of `data` is saved up to there.  An entry that
** fails its checks is tried, if its fields make sense, under the name `damaged-<index>`; so is one whose name another
** has.  Bytes that the disk does not give are zeros.
** Calls report(context, line) (report may be NULL) for whatever is lost or doubtful, as seqdb_check() does; and with
** line NULL now and then: non-zero ends the work with INTERRUPTED.  *info and *error may be NULL.  Contents are copied
** in pieces; memory is what opening needs.  What is made has the permissions and the owner of what it is made of.
** After an error `to` may be half-made: remove it.
** Errors:
**   CANTOPEN     there is no database in `from`; `to` is not empty, or lies in `from`
**   LOCKED       `from` is open and not damaged, or open in another process
**   READONLY     no permission to read `from`, or to create `to`
**   INVALID      a size_bytes is wrong
**   VERSION, INTERRUPTED; STORAGE, of `to` */
SEQDB_API int seqdb_salvage(const char *from, const char *to, int (*report)(void *context, const char *line),
                            void *context, seqdb_salvage_info *info, seqdb_error *error);

/* Call visit(context, snapshot) for each open snapshot of this process, and for the oldest one of each other process
** (of each library, if one has several), until it says non-zero.  No lock is held meanwhile; *snapshot is valid during
** the call.  Errors: IO, NOMEM. */
typedef int seqdb_snapshot_visit(void *context, const seqdb_snapshot_info *snapshot);
SEQDB_API int seqdb_snapshots(seqdb *db, seqdb_snapshot_visit *visit, void *context);

/* Wait until there is a commit newer than `generation`, of any process: *newest is then the newest one's generation; or
** for at most `timeout_ms`: *newest is then `generation`.  Pins nothing.  The interrupt callback is asked meanwhile.
** Errors: LOCKED: this handle's transaction has changes; RANGE: `generation` is the largest number; INTERRUPTED, IO. */
SEQDB_API int seqdb_wait(seqdb *db, uint64_t generation, uint32_t timeout_ms, uint64_t *newest);

/* Figures of the newest commit and of the store.  Set info->size_bytes before (SEQDB_STAT_INIT).
** Errors: INVALID: info->size_bytes is wrong; IO, NOMEM: the size of `data` cannot be asked. */
SEQDB_API int seqdb_stat(seqdb *db, seqdb_stat_info *info);

/* All of `data` as rows, of the newest commit.  *rows, with the names in it, is the caller's: seqdb_free().
** Errors: NOMEM. */
SEQDB_API int seqdb_layout(seqdb *db, seqdb_layout_row **rows, size_t *count);

/* Free what seqdb_layout() has returned.  NULL is allowed. */
SEQDB_API void seqdb_free(void *memory);

/* ---- what has changed --------------------------------------------------------------------------------------
**
** The database remembers which regions each commit has changed, and where; not what was there before.  So changes are
** of a state: whoever has the state at generation G, and applies what changed after G as a snapshot shows it, has the
** snapshot's state.  To apply a change twice, or more of them than there were, does no harm.  Old changes are forgotten
** when there are too many, and all of them with the file `changes`; the *floor* is the oldest G that they go back to.
** A generation means something together with the database's uuid only: see seqdb_get_uuid() and seqdb_new_uuid().
*/
typedef struct seqdb_changes seqdb_changes; /* of which some have been looked at */

/* All that has changed after generation `since`, as the snapshot shows it; 0: everything, from nothing.  *to: the
** snapshot's generation, from which the next ones go on.  The caller owns *changes and closes it before the snapshot.
** Reads the journal and the file `changes`, no content.
** Errors: GAP: `since` is below the floor, or above the snapshot's generation; BUSY: other processes had one checkpoint
** after the other meanwhile; FOLLOW. */
SEQDB_API int seqdb_changes_open(seqdb *db, const seqdb_snapshot *snapshot, uint64_t since, uint64_t *to,
                                 seqdb_changes **changes);

/* The next one; SEQDB_DONE if there is none.  Set change->size_bytes before (SEQDB_CHANGE_INIT).  The name stays valid
** as long as the snapshot.
** In this order: all that is gone.  Then region by region, in order of entry: CREATE, or RENAME if the name may have
** changed; LENGTH; WRITE, ascending, apart from each other, within the length.  Names may have been exchanged: whoever
** applies them one by one takes other names first.  Bytes of a longer region that no WRITE covers were there before.
** Errors: INVALID: change->size_bytes is wrong. */
SEQDB_API int seqdb_changes_next(seqdb_changes *changes, seqdb_change *change);

/* NULL is allowed. */
SEQDB_API void seqdb_changes_close(seqdb_changes *changes);

/* The smallest `since` that is no gap, as far as is known now; it may rise at any time.  Reads what
** seqdb_changes_open() does.
** Errors: FOLLOW. */
SEQDB_API int seqdb_changes_floor(seqdb *db, uint64_t *floor);

/* The newest generation that is settled: the disk has it, and no SQLite file goes back behind it.  What travels
** elsewhere must not be newer: compare it with seqdb_snapshot_generation().  With SEQDB_OPEN_SYNC_OFF nothing is
** certain, and this is the newest commit.
** Errors: FOLLOW. */
SEQDB_API int seqdb_settled(seqdb *db, uint64_t *generation);

/* Give the database another uuid, durably: from now on its history is not that of its copies.  For who begins to write
** in a copy.  Is also a checkpoint; the floor rises to the newest generation.  Other processes see it with the next
** commit that they see.
** Errors: as of seqdb_claim_put(), but INVALID. */
SEQDB_API int seqdb_new_uuid(seqdb *db);

/* ---- backup ------------------------------------------------------------------------------------------------ */

/* Copy the newest commit into `directory`, which must not exist while its folder does.  The copy is a database as a
** clean close leaves it, sparse, durable, and with the permissions of the original.  It keeps the uuid and the claims.
** Other handles, threads and processes read and write on meanwhile; what they overwrite costs memory until the copy is
** made, as beside any snapshot.  It has its name once it is whole; until then `directory`.new- and eight digits.  An
** error leaves nothing; a process that is killed leaves that.  The interrupt callback is asked now and then.
** *bytes (may be NULL): how many bytes of content were copied, holes left out.
** Errors:
**   CANTOPEN     `directory` exists, lies in the database, or its folder is not there
**   LOCKED       this handle's transaction has changes; or the database has a commit that is undecided
**   CORRUPT      the database is damaged: seqdb_salvage()
**   POISONED     a sync has failed in it
**   READONLY     no permission to create the copy
**   FULL, IO, NOMEM, INTERRUPTED; FOLLOW */
SEQDB_API int seqdb_backup(seqdb *db, const char *directory, uint64_t *bytes);

/* The same in steps, for several databases as of one moment. */
typedef struct seqdb_backup_point seqdb_backup_point; /* the commit that is copied */

/* Choose the newest commit and pin it.  The caller owns the point, and ends it soon; it may outlive the handle.
** Errors: LOCKED, CORRUPT, POISONED as of seqdb_backup(); NOMEM, INTERRUPTED; FOLLOW. */
SEQDB_API int seqdb_backup_begin(seqdb *db, seqdb_backup_point **point);
/* Its number; cannot fail. */
SEQDB_API uint64_t seqdb_backup_generation(const seqdb_backup_point *point);
/* What the database says at that commit of the SQLite file.  Errors: NOTFOUND: it has no claim.  Nothing is recorded.
*/
SEQDB_API int seqdb_backup_claim(const seqdb_backup_point *point, const uint8_t file[SEQDB_FILE_UUID_BYTES],
                                 seqdb_claim *claim);
/* Make the copy, as seqdb_backup() does.  `owner` (may be NULL) is the only claim that it gets, in place of the
** original's.  Errors, in the handle's record: as of seqdb_backup(); INVALID: *owner cannot be a claim. */
SEQDB_API int seqdb_backup_copy(seqdb_backup_point *point, const char *directory, const seqdb_claim *owner,
                                uint64_t *bytes);
/* NULL is allowed. */
SEQDB_API void seqdb_backup_end(seqdb_backup_point *point);

/* ---- one commit with an SQLite file --------------------------------------------------------------------------
**
** A file is known by a uuid that stands in it.  Its commits are prepares that name it; the file itself stores the token
** of the prepare that it commits.  The database lists the files that it belongs to, as claims in the journal's header.
*/

/* From now on the handle's prepares are those of the SQLite file `file` (NULL: of nobody), whose commits are made
** durable as `durability` says (FORMAT.md section 4).  Between transactions. */
SEQDB_API void seqdb_set_file(seqdb *db, const uint8_t file[SEQDB_FILE_UUID_BYTES], uint32_t durability);

/* Generation and token of the newest commit; the token is zero before the first one.
** Errors: FOLLOW. */
SEQDB_API int seqdb_get_tip(seqdb *db, uint64_t *generation, uint8_t token[SEQDB_TOKEN_BYTES]);

/* What the next seqdb_publish() settles: commits that the SQLite file cannot lose any more. */
enum {
  SEQDB_SETTLES_NOTHING,
  SEQDB_SETTLES_BEFORE,
  SEQDB_SETTLES_ALL
}; /* BEFORE: the commit before, if it was synced */
SEQDB_API void seqdb_set_settles(seqdb *db, int settles);
/* 1 if so much waits for commits to be settled that a sync of the SQLite file is worth it. */
SEQDB_API int seqdb_settle_is_due(seqdb *db);
/* 0: all is settled; 1: commits of this handle's file are not; 2: and one that was rolled back may still count, until
** another one is settled; 3: commits of another file are not.
** Errors: FOLLOW. */
SEQDB_API int seqdb_unsettled(seqdb *db);
/* The claim of the file whose commits these are; of one without a claim the uuid alone.  Cannot fail. */
SEQDB_API void seqdb_get_candidates(seqdb *db, seqdb_claim *claim);
/* The commit of that token, read from the file before the file was synced, is settled, if it is still the newest.
** Errors: CHANGE. */
SEQDB_API int seqdb_settle(seqdb *db, const uint8_t token[SEQDB_TOKEN_BYTES]);
/* A change that changes nothing: its prepare is written nevertheless, and buries those that were rolled back.
** Errors: CHANGE. */
SEQDB_API int seqdb_touch(seqdb *db);

/* 1 if a commit of an SQLite file may have been made and not published: who has read the file's token then calls
** seqdb_agree().  No system call. */
SEQDB_API int seqdb_is_marked(seqdb *db);
/* The file's row says that: make it the newest commit, if it is a later one.  The writer lock is waited for as long as
** the busy timeout says.  Harmless with a transaction.
** Errors: CHANGE; NOTFOUND: the database knows no such commit. */
SEQDB_API int seqdb_agree(seqdb *db, uint64_t generation, const uint8_t token[SEQDB_TOKEN_BYTES]);
/* Make durable what is at that path: a file or a directory, through the library's own way to the disk.
** Errors: NOTFOUND, IO. */
SEQDB_API int seqdb_sync_path(const char *path);

/* The claims, in no order.  *count: how many.
** Errors: FOLLOW. */
SEQDB_API int seqdb_claims(seqdb *db, seqdb_claim claims[SEQDB_CLAIMS_MAX], uint32_t *count);
/* A number that is another one whenever claims may have changed since it was asked before: no system call. */
SEQDB_API uint64_t seqdb_claims_version(seqdb *db);

/* Claim the database for a file, durably: a new claim, or in place of that of the same uuid.  Is also a checkpoint.
** Errors: CHANGE; BUSY, too, if a reader in another process holds the checkpoint back; LOCKED: the handle's transaction
** has changes; INVALID: a uuid of zeros, or as many files have claims as there can be. */
SEQDB_API int seqdb_claim_put(seqdb *db, const seqdb_claim *claim);

/* The same, and another uuid (seqdb_new_uuid()), in one: a failure, or a crash, leaves both or neither.  For the file
** that goes on in place of another one.  Errors: as of seqdb_claim_put(). */
SEQDB_API int seqdb_take_over(seqdb *db, const seqdb_claim *claim);

/* Which file does the path lead to?  Errors: NOTFOUND, IO, READONLY: no permission to look. */
SEQDB_API int seqdb_identify(const char *path, seqdb_file_identity *identity);

/* ---- the handle -------------------------------------------------------------------------------------------- */

/* How long changes wait for another handle's transaction from now on. */
SEQDB_API void seqdb_set_busy_timeout(seqdb *db, uint32_t timeout_ms);

/* Long work (compact, check, large copies) calls interrupt(context) now and then from the calling thread; non-zero
** stops it with SEQDB_INTERRUPTED, nothing half done.  No lock is held then: it may use other handles, and read with
** this one (its own view shows the transaction as it was before the call); changing anything with it is MISUSE, as is
** closing it.  Other threads' changes with it wait.  In the middle of a change the writer lock stays taken.  NULL
** removes it. */
SEQDB_API void seqdb_set_interrupt(seqdb *db, int (*interrupt)(void *context), void *context);

/* 1 if every write will fail (read-only handle, damage, poison, child of fork), and then *error (may be NULL) tells
** why; else 0. Errors: INVALID: error->size_bytes is wrong. */
SEQDB_API int seqdb_is_readonly(seqdb *db, seqdb_error *error);

/* 1 if a coordinator's prepare was left undecided (SEQDB_OPEN_RESOLVE_LATER, or a handle that only reads), 2 if commits
** of an SQLite file were that could not be asked (the handle shows the state before them), else 0.
** Errors: CHILD. */
SEQDB_API int seqdb_is_undecided(seqdb *db);

/* 1 if `directory` is at this moment the one the handle has open, however its path is spelled; 0 if it is another one
** or there is none.
** Errors, if that cannot be told: IO, NOMEM; READONLY: no permission to look. */
SEQDB_API int seqdb_same_directory(seqdb *db, const char *directory);

/* The database's uuid; all zero for a rawdb directory opened read-only.  Cannot fail. */
SEQDB_API void seqdb_get_uuid(seqdb *db, uint8_t uuid[SEQDB_UUID_BYTES]);

/* Copy of the handle's last error; code 0 if there was none.  Set error->size_bytes before (SEQDB_ERROR_INIT).  In a
** child of fork it says so.
** Errors: INVALID: error->size_bytes is wrong; the handle's last error stays. */
SEQDB_API int seqdb_get_error(seqdb *db, seqdb_error *error);

/* The message of the same; never NULL.  It points into the handle and is valid until the handle's next error, in any
** thread. */
SEQDB_API const char *seqdb_errmsg(seqdb *db);

/* Fixed English text of a result code; never NULL.  Static. */
SEQDB_API const char *seqdb_strerror(int code);

/* SEQDB_VERSION_TEXT of the library.  Static. */
SEQDB_API const char *seqdb_version(void);

#ifdef __cplusplus
}
#endif
#endif /* SEQDB_H */
