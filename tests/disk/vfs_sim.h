/* SPDX-License-Identifier: MIT
**
** vfs_sim.h: SQLite's own files on the simulated disk, for test builds.
** Loaded into any connection by load_extension(FILE, 'sqlite3_sdbtestvfs_init'); from then on `sqlite3 db sim:w/host.db
** -vfs sim` opens such a file.  Whatever SQLite does to its files goes through os.h, so that rules, the log, the hook
** and the crash point of os_faults.h see SQLite's calls and the engine's in one order.
**
** What it says of the disk is what SQLite's unix VFS says on Linux: sectors of 4096 bytes, and powersafe overwrite
** unless the URI has psow=0 (then no promise at all).  Files without a name go to the VFS that was the default.
** Shared memory is process memory of all connections that have the file open; it is zero again for who comes when none
** has, as the unix VFS's.  A cut, a restore or a restart gives each file another device: who opens it then meets
** nobody, neither locks nor shared memory.
*/
#ifndef SDB_VFS_SIM_H
#define SDB_VFS_SIM_H

#include <sqlite3ext.h>
#include "os/os.h"

/* A file of SQLite's on the simulated disk. */
typedef struct sdb_vfs_shared sdb_vfs_shared;
typedef struct sdb_vfs_file {
  sqlite3_file base;
  sdb_fd fd;
  char *path;
  int lock;      /* SQLITE_LOCK_... */
  bool sync_dir; /* its name is new: the next sync makes that durable too */
  bool keep_wal, safe_overwrite;
  sdb_vfs_shared *shared;                 /* NULL: it has no shared memory mapped */
  unsigned shared_locks, exclusive_locks; /* bits of its locks on shared memory */
} sdb_vfs_file;

/* disk/vfs_shared.c: shared memory; the methods of sqlite3_io_methods. */
int sdb_vfs_shared_map(sqlite3_file *file, int region, int bytes, int extend, void volatile **address);
int sdb_vfs_shared_lock(sqlite3_file *file, int first, int count, int flags);
void sdb_vfs_shared_barrier(sqlite3_file *file);
int sdb_vfs_shared_unmap(sqlite3_file *file, int forget);
/* What all of it holds is kept, and becomes what it holds: somebody who dies writes nothing any more. */
void sdb_vfs_shared_save(void);
void sdb_vfs_shared_restore(void);

/* What SQLite's random numbers are made of from now on; the VFS must be registered. */
void sdb_vfs_seed(uint64_t seed);
bool sdb_vfs_registered(void);
/* The default one: sqlite3_sleep() then returns at once. */
void sdb_vfs_set_default(bool simulated);
/* How often SQLite has opened a database file.  Whoever else opens and closes one drops the locks that SQLite has on it
** with POSIX locks, which belong to the process. */
uint64_t sdb_vfs_opens(void);

#endif /* SDB_VFS_SIM_H */
