/* SPDX-License-Identifier: MIT
**
** registry.h: the directories that this process has open, by device and inode; one store each.  Layer 5.
**
**     not listed --enter--> opening --leave--> open --enter--> joining --leave--> open
**         ^                    |                |                 |
**         |                 last_user        last_user         last_user
**         |                    v                v                 v
**         +-----remove------ closing <----------+-----------------+
**
** Who opens, joins or closes is alone with the directory: it is BUSY, and whoever wants the same one waits.  Others go
** on: the registry's mutex is held for a moment only, never across a system call or a call of the user's functions.
** INVARIANTS: one listed directory has one store at the most.  It is removed after the store's files are closed, so
** that the next one finds no lock of ours.  A user is counted from enter to last_user; only one who is not busy with it
** any more, or who goes, may be the last.
** THREADS: any.
*/
#ifndef SDB_REGISTRY_H
#define SDB_REGISTRY_H

#include "os/os.h"
#include "seqdb.h"
#include "txn/store.h"

/* A directory in the registry. */
typedef struct sdb_listed {
  struct sdb_listed *next;
  uint64_t device, inode, fork_count;
  sdb_store *store; /* NULL while the first one opens it */
  size_t users;     /* handles, and those who are opening one */
  bool busy;
} sdb_listed;

/* Become a user of the directory, alone with it until leave or last_user.  Waits for others for the busy timeout of
** `options`, or for SEQDB_OPEN_WAIT_MS if that is longer; the interrupt of `options` is asked meanwhile.
** Errors: BUSY, INTERRUPTED, NOMEM. */
int sdb_registry_enter(const sdb_os_info *directory, const seqdb_options *options, const char *path,
                       sdb_listed **listed, const sdb_op *op);
/* It is open now: others may have it. */
void sdb_registry_leave(sdb_listed *listed);
/* One user less.  `inside`: one who has entered and not left.  true: it was the last, and is alone with the directory
** until it calls sdb_registry_remove(). */
bool sdb_registry_last_user(sdb_listed *listed, bool inside);
/* The store's files are closed.  Frees *listed. */
void sdb_registry_remove(sdb_listed *listed);

#endif /* SDB_REGISTRY_H */
