/* SPDX-License-Identifier: MIT
**
** board.h: where the processes that use one directory meet: the file `lock`.  An `sdb_board` is one member's end of it.
** This header has opening, closing and the writer lock; published.h what members tell each other, pins.h the pins.
**
** The file is mapped shared and writable, the only such mapping, and holds nothing that must survive: the first member
** resets it.  Locks are on single bytes, bound to the open file, so that two copies of the library in one process are
** two members; the system drops a dead member's.
**
**     door       who opens or closes; waited for
**     member     shared by every member; exclusively, under the door, by the first and by the last
**     writer     whoever changes anything; never waited for here
**     slot i     the owner of slot i, whose pin it makes believable
**
** OWNS `lock`, its locks and its mapping, and the lock (flock) of the folder: shared while a member, exclusive while
** the first.  Borrows the folder's descriptor until sdb_board_leave().
** THREADS: opening, closing, leaving: one thread, nobody else uses the board then.  The writer lock: one at a time.
** A CHILD of fork() has no board: only sdb_board_leave() may be called there; it frees memory.
** INVARIANTS: nobody waits for `member`; who has it exclusively has the door.  A lock that is not got is not waited
** for by the system: whoever waits looks again, and so can be told to stop.
*/
#ifndef SDB_BOARD_H
#define SDB_BOARD_H

#include "board/pins.h"
#include "board/published.h"

enum sdb_board_role {
  SDB_BOARD_FIRST = 1, /* has door, member and folder exclusively; the board is reset, and nothing is published */
  SDB_BOARD_JOINS = 2  /* has member shared, and does not have the door any more */
};

enum sdb_board_end {
  SDB_BOARD_LAST = 1, /* has door and member exclusively: close cleanly, then leave */
  SDB_BOARD_NOT_LAST, /* leave */
  SDB_BOARD_GIVEN_UP  /* no door in time, or `lock` is noise: leave as if killed; the next opener cleans up */
};

/* ---- opening */

/* Take the door, then a role and a slot.  FIRST: recover (R6), then sdb_board_ready().  JOINS: the published state of
** the moment is pinned; load it (S3), catch up, then pin what was reached, or nothing.  `path` names the folder in
** messages and is copied; `create`: who may read and write a `lock` that is missing and made; NULL: it must be there.
** Errors; nothing is held then:
**   BUSY         the door was not free in time; the message names the process that has it
**   INTERRUPTED  `stop` said so
**   LOCKED       the folder is locked exclusively (locking=exclusive, an older version), or `lock` was taken away from
**                beside living members; or all slots are taken; or another machine or version uses this board
**   READONLY     `lock` cannot be written, or has a second name; the message names immutable=1
**   CANTOPEN     `lock` is missing and `create` is NULL; it is a symbolic link or no regular file, or not ours
**   FULL, NOMEM, IO; IO with os_errno ENOTSUP: no such locks here; then only locking=exclusive remains */
int sdb_board_open(sdb_board **board, sdb_fd dir, const char *path, const sdb_os_access *create,
                   const sdb_board_patience *patience, const sdb_op *op);
enum sdb_board_role sdb_board_role_of(const sdb_board *board);

/* FIRST only: publish, let others in, give the door back; from then on a member like others.  `durable`: what is
** published is on the disk; else the next writer mends (S5).  Errors: IO, LOCKED; then leave. */
int sdb_board_ready(sdb_board *board, const uint8_t uuid[SEQDB_UUID_BYTES], sdb_published *published, bool durable,
                    const sdb_op *op);
/* JOINS: are these the files that the board is about?  CANTOPEN if not.  While somebody writes, or has died writing,
** nobody knows: they may get another uuid. */
int sdb_board_same(const sdb_board *board, const uint8_t uuid[SEQDB_UUID_BYTES], const sdb_op *op);
/* The files have got another uuid.  The writer's. */
void sdb_board_set_uuid(sdb_board *board, const uint8_t uuid[SEQDB_UUID_BYTES]);
/* A member that is going to write says how, 1 to 255 (its sync and atomic settings).  The first one decides for all.
** LOCKED if another one decided otherwise; *decided is its mode. */
int sdb_board_agree(sdb_board *board, unsigned mode, unsigned *decided, const sdb_op *op);

/* ---- closing */

/* Give the slot back, take the door, and say what comes next.  No pin is kept. */
enum sdb_board_end sdb_board_closing(sdb_board *board, const sdb_board_patience *patience);
/* Unlock all that is held, unmap, free.  At any time; alone it is leaving as if killed.  NULL is allowed. */
void sdb_board_leave(sdb_board *board);

/* ---- the writer lock */

/* Take the writer lock, or say BUSY at once; the message names the process that has it.  IO if `lock` is noise or was
** cut: close every handle and open anew.  Sets `writing`; *mend says that it was set: a writer died, or the first
** member could not recover durably (S5).  One thread at a time. */
int sdb_board_writer_try(sdb_board *board, bool *mend, const sdb_op *op);
/* Rest until the writer lock may be free, for some milliseconds at most; to be called after BUSY, between two tries. */
void sdb_board_writer_rest(sdb_board *board, uint64_t deadline_ms);
/* `clean`: nothing is left to mend, and the journal's true end is published; clears `writing` (S5).  true: somebody
** waited for it. */
bool sdb_board_writer_release(sdb_board *board, bool clean);

/* ---- without being a member */

/* Does anybody have the database open through `lock`?  false, too, if there is no `lock`.  For a file system mounted
** read-only, which may be a second view of a live one (S11).  Takes no lock.  Errors: CANTOPEN, IO. */
int sdb_board_is_live(sdb_fd dir, const char *path, bool *live, const sdb_op *op);

#endif /* SDB_BOARD_H */
