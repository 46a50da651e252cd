/* SPDX-License-Identifier: MIT
**
** os_sim.h: a disk in memory that forgets what was not synced, for test builds.  Layer 0.
** Paths that begin with "sim:" (or contain "/sim:") lie on it: "sim:db" is directory db of its root.
**
** MODEL.  Each file has what the disk holds, and on top of it the page cache that programs see (also through mappings).
** Every change since the last sync is remembered as an event: sectors of 512 bytes written or zeroed, a length, a
** directory entry set or removed.  fdatasync and fsync make a file's events durable, its length too, but not its name;
** syncing a directory makes its entries durable.  A file's time of change becomes durable with its length, else
** perhaps: the disk may have new bytes under an old time.
** A power cut keeps any subset of the remaining events: each sector may
** hold any of its versions since the last sync, independently of its neighbours, of the length, and of other files (so
** spontaneous writeback is covered).  A sync that fails reports once: the cache then counts as clean, while the disk
** got any subset of the events.
**
** CRASH RIG, in outline:
**   sdb_sim_reset(); sdb_fault_set_hook(clone at each changing call, noting what was acknowledged); run the workload;
**   for each clone and each seed: sdb_sim_restore(clone); sdb_sim_cut(seed); open with the engine, compare, close.
** or sdb_fault_stop_start(n); run; close; clone once; then the same loop.
**
** THREADS: one lock around everything.  Handles are numbers from 1 << 24 on; a cut, a restore or a restart makes all
** invalid: every call with one fails with EIO, closing is harmless, standing mappings keep showing the old cache.
** Running out of memory here aborts: it is a test's own failure.
*/
#ifndef SDB_OS_SIM_H
#define SDB_OS_SIM_H

#include "os/os.h"

#define SDB_SIM_SECTOR 512u

/* ---- the disk in use */
void sdb_sim_reset(void); /* an empty disk */
/* Power cut.  Seed 0 loses every unsynced event, seed 1 keeps them all, others choose at random in several manners. */
void sdb_sim_cut(uint64_t seed);
/* Number of different outcomes a cut can have now; UINT64_MAX if they are too many to list.  cut_nth() takes one of
** them. */
uint64_t sdb_sim_outcomes(void);
void sdb_sim_cut_nth(uint64_t index);
/* Every process dies, the machine goes on: handles and locks end, the cache stays. */
void sdb_sim_restart(void);
/* Handles opened from now on belong to this owner (0 at first); one that is killed gives back its handles and locks. */
void sdb_sim_set_owner(int owner);
void sdb_sim_kill(int owner);
/* The cache drops clean pages: after a failed sync programs see what the disk really holds. */
void sdb_sim_evict(void);
/* Unsynced events of all files and directories. */
uint64_t sdb_sim_unsynced(void);
/* Seed for what a failing sync leaves on disk (as for cut: 0 nothing, 1 everything). */
void sdb_sim_set_fail_seed(uint64_t seed);
/* In random cuts, some of the sectors written last keep the old bytes from a random byte on. */
void sdb_sim_set_tear_bytes(bool on);
/* In random cuts, some of the sectors being written of files with this name hold noise afterwards; "" = of none. */
void sdb_sim_set_noise_file(const char *name);
/* The blocks of this file follow its sizes, as on ext4, XFS and btrfs: a power cut that loses a shrinking shows none of
** what was written past it later, one that keeps it shows nothing older.  SQLite relies on that; seqdb does not: its
** files may keep the zeros and lose the size.  Not in what cut_nth() lists. */
void sdb_sim_set_orderly(sdb_fd file);
/* No file gets longer than this (EFBIG); 0 = as long as offsets go, at the cost of memory in proportion to the
** largest. */
void sdb_sim_set_file_max(uint64_t bytes);

/* ---- frozen disks: cheap, contents are shared */
typedef struct sdb_sim_disk sdb_sim_disk;
sdb_sim_disk *sdb_sim_clone(void);
void sdb_sim_free(sdb_sim_disk *disk);
void sdb_sim_restore(const sdb_sim_disk *disk); /* the disk in use becomes this one, cache and unsynced events too */

/* Restore `disk` and cut it once for each seed of [first, first + count); try(context, seed) runs on each outcome.
** Stops when it returns non-zero, and returns that.  All outcomes (ignoring seeds) if they are no more than `count`. */
int sdb_sim_crash_outcomes(const sdb_sim_disk *disk, uint64_t first, uint64_t count,
                           int (*try)(void *context, uint64_t seed), void *context);

/* ---- looking and damaging, by path ("sim:db/data"); 0 or errno */
int sdb_sim_peek(const char *path, uint64_t offset, void *buffer, size_t bytes, size_t *got); /* what programs see */
int sdb_sim_poke(const char *path, uint64_t offset, const void *buffer, size_t bytes);        /* durable at once */
int sdb_sim_set_size(const char *path, uint64_t bytes);                                       /* durable at once */
/* The name-th entry of a directory as programs see it, with sizes in the cache and on disk; ERANGE past the last. */
typedef struct sdb_sim_entry {
  char name[64];
  bool is_dir;
  uint64_t cache_bytes, disk_bytes, unsynced;
} sdb_sim_entry;
int sdb_sim_list(const char *directory, size_t index, sdb_sim_entry *entry);

/* ---- called by os_faults.c; the contracts are those of os.h */
const char *sdb_sim_path(const char *path); /* the part after "sim:", NULL if the path is none of ours */
bool sdb_sim_owns(sdb_fd fd);
int sdb_sim_open_dir(const char *path, sdb_fd *dir);
int sdb_sim_make_dir(const char *path);
int sdb_sim_sync_dir(sdb_fd dir);
int sdb_sim_sync_parent(const char *path);
int sdb_sim_dir_info(sdb_fd dir, sdb_os_info *info);
int sdb_sim_list_dir(sdb_fd dir, bool (*visit)(void *context, const char *name), void *context);
int sdb_sim_open(sdb_fd dir, const char *name, unsigned flags, sdb_fd *file);
void sdb_sim_close(sdb_fd fd);
int sdb_sim_replace(sdb_fd file, sdb_fd other);
int sdb_sim_rename(sdb_fd dir, const char *from, const char *to, bool replace);
int sdb_sim_unlink(sdb_fd dir, const char *name);
int sdb_sim_remove_dir(sdb_fd dir, const char *name);
int sdb_sim_info_of(sdb_fd file, sdb_os_info *info);
int sdb_sim_stamp_set(sdb_fd file, sdb_os_stamp *stamp);
int sdb_sim_stamp_of(sdb_fd file, sdb_os_stamp *stamp);
int sdb_sim_pread(sdb_fd file, void *buffer, size_t bytes, uint64_t offset, size_t *got);
int sdb_sim_pwrite(sdb_fd file, const void *buffer, size_t bytes, uint64_t offset);
int sdb_sim_sync(sdb_fd file);
int sdb_sim_sync_failed(sdb_fd file); /* a sync that is going to report an error */
int sdb_sim_truncate(sdb_fd file, uint64_t size_bytes);
int sdb_sim_punch(sdb_fd file, uint64_t offset, uint64_t bytes);
int sdb_sim_next_data(sdb_fd file, uint64_t offset, uint64_t end, uint64_t *data, uint64_t *data_end);
int sdb_sim_lock(sdb_fd file, bool exclusive);
int sdb_sim_unlock(sdb_fd file);
int sdb_sim_lock_byte(sdb_fd file, uint64_t at, bool exclusive);
int sdb_sim_unlock_bytes(sdb_fd file, uint64_t from, uint64_t bytes);
int sdb_sim_byte_is_locked(sdb_fd file, uint64_t at, bool *locked);
/* What is written through it is an unsynced event of its sectors whenever the disk is copied or the power is cut. */
int sdb_sim_share(sdb_fd file, size_t bytes, void **address);
int sdb_sim_map(sdb_fd file, uint64_t offset, uint64_t bytes, const uint8_t **address);

#endif /* SDB_OS_SIM_H */
