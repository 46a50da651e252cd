/* SPDX-License-Identifier: MIT
**
** os_faults.h: faults at the system's boundary, for tests only.
** Each call of os.h is counted by kind, may be logged, and may by rule fail, be cut short, be interrupted, or end the
** process; paths that begin with "sim:" go to the simulated disk (os_sim.h) instead of the system.
** THREADS: any function, any thread; a rule counts the calls of all threads.
** Memory for all this comes from the C library, never through sdb_malloc.
*/
#ifndef SDB_OS_FAULTS_H
#define SDB_OS_FAULTS_H

#include <sys/types.h>
#include "os/os.h"

enum sdb_call_kind {
  SDB_CALL_MALLOC, /* malloc, calloc, realloc */
  SDB_CALL_RANDOM,
  SDB_CALL_OPENDIR,
  SDB_CALL_MKDIR,
  SDB_CALL_SYNCDIR, /* sync_dir (file name ".") and sync_parent ("..") */
  SDB_CALL_OPEN,
  SDB_CALL_RENAME,
  SDB_CALL_UNLINK,
  SDB_CALL_INFO,
  SDB_CALL_PREAD,
  SDB_CALL_PWRITE,
  SDB_CALL_FDATASYNC,
  SDB_CALL_FSYNC,
  SDB_CALL_TRUNCATE,
  SDB_CALL_PUNCH,
  SDB_CALL_ALLOCATE,
  SDB_CALL_NEXTDATA,
  SDB_CALL_LOCK,
  SDB_CALL_MMAP,
  SDB_CALL_CLOSE, /* this and those below are counted and logged and cannot fail */
  SDB_CALL_UNLOCK,
  SDB_CALL_MUNMAP,
  SDB_CALL_KINDS
};
#define SDB_CALL_BIT(kind) (1u << (kind))
#define SDB_CALLS_MEMORY   SDB_CALL_BIT(SDB_CALL_MALLOC)
#define SDB_CALLS_SYSTEM   (((1u << SDB_CALL_CLOSE) - 1) & ~SDB_CALLS_MEMORY) /* all that can fail, without memory */
/* Calls after which the disk may be another one than before; an open counts only if it may create. */
#define SDB_CALLS_CHANGING                                                                            \
  (SDB_CALL_BIT(SDB_CALL_MKDIR) | SDB_CALL_BIT(SDB_CALL_SYNCDIR) | SDB_CALL_BIT(SDB_CALL_RENAME) |    \
   SDB_CALL_BIT(SDB_CALL_UNLINK) | SDB_CALL_BIT(SDB_CALL_PWRITE) | SDB_CALL_BIT(SDB_CALL_FDATASYNC) | \
   SDB_CALL_BIT(SDB_CALL_FSYNC) | SDB_CALL_BIT(SDB_CALL_TRUNCATE) | SDB_CALL_BIT(SDB_CALL_PUNCH))

/* "pwrite" and the like; NULL past the end. */
const char *sdb_call_name(int kind);

#define SDB_CALL_FILE_MAX 48
typedef struct sdb_call {
  int kind;
  char
      file[SDB_CALL_FILE_MAX]; /* "data", "journal", ...; "." and ".." for directories, "" for memory; "a>b": renamed */
  uint64_t offset, bytes;      /* 0 where there are none; truncate: bytes is the new size */
  int error;                   /* what the caller was told: 0 or errno */
} sdb_call;

/* ---- rules */
typedef struct sdb_fault_rule {
  unsigned kinds;         /* SDB_CALL_BITs */
  const char *file;       /* glob over the file's name; NULL = any.  Copied. */
  uint64_t nth;           /* the nth matching call from now on, from 1 ... */
  bool forever;           /* ... and every one after it */
  int error;              /* fail with this errno; 0 = do not fail */
  bool performed;         /* fail although the call was carried out */
  size_t piece_bytes;     /* pread, pwrite: one system call moves at most this much; 0 = no limit.  With `error`: the
                          ** first piece is carried out, then the error comes */
  unsigned interruptions; /* open, pread, pwrite, fdatasync, fsync: so many EINTR first */
  bool kill_before, kill_after; /* SIGKILL for this process */
  bool skip;                    /* pwrite, truncate and syncs: success, and nothing was done */
  bool skip_same;               /* the same, only for a pwrite of bytes that already read so */
  bool wait;                    /* the call waits until the rule is removed; then it is carried out */
  bool lasting;                 /* sdb_fault_reset() leaves it alone */
} sdb_fault_rule;

/* Forget all rules (but lasting ones), log, hook and stop, set every count to 0.  What lives (sdb_fault_live) is not
** touched. */
void sdb_fault_reset(void);
/* Returns the rule's number, > 0. */
int sdb_fault_add(const sdb_fault_rule *rule);
void sdb_fault_remove(int number);
/* How often the rule fired, and how many calls it has matched. */
uint64_t sdb_fault_hits(int number, uint64_t *seen);

/* ---- counts */
uint64_t sdb_fault_count(int kind);
typedef struct sdb_fault_lives {
  int64_t memory, handles, maps; /* blocks allocated, descriptors open, mappings standing; 0 again when all is closed */
} sdb_fault_lives;
void sdb_fault_live(sdb_fault_lives *lives);
int64_t sdb_fault_live_memory(void);
/* Bytes of those blocks as they were asked for, and the most there ever were since the last reset. */
void sdb_fault_bytes(int64_t *now, int64_t *peak);

/* ---- log of calls, in the order in which they ended */
void sdb_fault_log_start(unsigned kinds); /* empties it; 0 stops logging and keeps what is there */
size_t sdb_fault_log_size(void);
bool sdb_fault_log_get(size_t index, sdb_call *call);

/* ---- crash points: a workload's calls that change the disk are numbered 1, 2, ... from the last start on */
/* Let the first `calls` changing calls happen; all system calls after them fail with EIO, memory goes on.  The engine
** can then be closed and the simulated disk cut.  UINT64_MAX: only count. */
void sdb_fault_stop_start(uint64_t calls);
void sdb_fault_stop_end(void);
uint64_t sdb_fault_stop_calls(void); /* changing calls so far, refused ones not counted */
bool sdb_fault_stopped(void);        /* a call was refused */
/* Called after each changing call that succeeded, by the thread that made it, no lock held; may clone the disk.  NULL:
** none. */
void sdb_fault_set_hook(void (*hook)(void *context, const sdb_call *call), void *context);

/* ---- scheduling points: every call of os.h but those for memory, and every access to memory that processes share */
typedef struct sdb_fault_scheduler {
  void (*point)(void *context); /* before each of them; no lock held */
  /* Instead of sleeping, and of the clock and the number of the process. */
  void (*sleep)(void *context, uint64_t ms);
  uint64_t (*now_ms)(void *context);
  uint64_t (*pid)(void *context);
  void *context;
} sdb_fault_scheduler;
/* NULL: none.  Copied.  Nothing else runs meanwhile. */
void sdb_fault_set_scheduler(const sdb_fault_scheduler *scheduler);
/* What accesses to shared memory call (os_words.c). */
void sdb_fault_point(void);
uint64_t sdb_fault_accesses(void); /* so far */

/* ---- other knobs; 0 = as the system has it */
void sdb_fault_set_random(uint64_t seed);      /* sdb_os_random gives a reproducible sequence */
void sdb_fault_set_map_window(uint64_t bytes); /* a multiple of 64 KiB */

/* ---- around each call, for os_dispatch.c */
typedef struct sdb_fault_pending {
  sdb_call call;
  bool watched, changing, refused, kill_after, skip, skip_same;
  int error_after;
} sdb_fault_pending;
/* 0: carry the call out; else the error it fails with.  *p is zero, except that `changing` may be set. */
int sdb_fault_begin(sdb_fault_pending *p, int kind, const char *file, uint64_t offset, uint64_t bytes);
/* Follows every begin, with what the call returned.  Returns what the caller is told. */
int sdb_fault_end(sdb_fault_pending *p, int error);
void sdb_fault_reset_peak(void);
bool sdb_fault_watching(void);                               /* some kind of call is looked at closely */
size_t sdb_fault_piece(void);                                /* bytes that happen before this call fails; 0 = all */
bool sdb_fault_seeded_random(uint8_t *buffer, size_t bytes); /* false: no seed is set */

/* ---- single system calls inside os_posix.c and os_linux.c: where pieces and interruptions happen */
int sdb_raw_open(int dir, const char *path, int flags, mode_t mode);
ssize_t sdb_raw_pread(int fd, void *buffer, size_t bytes, off_t offset);
ssize_t sdb_raw_pwrite(int fd, const void *buffer, size_t bytes, off_t offset);
int sdb_raw_fdatasync(int fd);
int sdb_raw_fsync(int fd);

/* ---- the system itself */
int sdb_real_open_dir(const char *path, sdb_fd *dir);
int sdb_real_make_dir(const char *path, bool own);
void sdb_real_set_access(sdb_fd fd, const sdb_os_access *access);
int sdb_real_sync_dir(sdb_fd dir);
int sdb_real_sync_parent(const char *path);
int sdb_real_dir_info(sdb_fd dir, sdb_os_info *info);
int sdb_real_path_info(const char *path, sdb_os_info *info);
uint64_t sdb_real_birth_ns(const char *path);
int sdb_real_real_path(const char *path, char *real, size_t bytes);
int sdb_real_list_dir(sdb_fd dir, bool (*visit)(void *context, const char *name), void *context);
int sdb_real_open(sdb_fd dir, const char *name, unsigned flags, sdb_fd *file);
void sdb_real_close(sdb_fd fd);
int sdb_real_replace(sdb_fd file, sdb_fd other);
int sdb_real_rename(sdb_fd dir, const char *from, const char *to);
int sdb_real_rename_new(sdb_fd dir, const char *from, const char *to);
int sdb_real_unlink(sdb_fd dir, const char *name);
int sdb_real_remove_dir(sdb_fd dir, const char *name);
int sdb_real_info_of(sdb_fd file, sdb_os_info *info);
int sdb_real_stamp_set(sdb_fd file, sdb_os_stamp *stamp);
int sdb_real_stamp_of(sdb_fd file, sdb_os_stamp *stamp);
int sdb_real_pread(sdb_fd file, void *buffer, size_t bytes, uint64_t offset, size_t *got);
int sdb_real_pwrite(sdb_fd file, const void *buffer, size_t bytes, uint64_t offset);
int sdb_real_fdatasync(sdb_fd file);
int sdb_real_fsync(sdb_fd file);
void sdb_real_write_out(sdb_fd file);
int sdb_real_truncate(sdb_fd file, uint64_t size_bytes);
int sdb_real_punch(sdb_fd file, uint64_t offset, uint64_t bytes);
int sdb_real_allocate(sdb_fd file, uint64_t offset, uint64_t bytes);
int sdb_real_next_data(sdb_fd file, uint64_t offset, uint64_t end, uint64_t *data, uint64_t *data_end);
int sdb_real_lock(sdb_fd file, bool exclusive);
int sdb_real_unlock(sdb_fd file);
int sdb_real_lock_byte(sdb_fd file, uint64_t at, bool exclusive);
int sdb_real_unlock_byte(sdb_fd file, uint64_t at);
int sdb_real_unlock_all_bytes(sdb_fd file);
int sdb_real_byte_is_locked(sdb_fd file, uint64_t at, bool *locked);
int sdb_real_share(sdb_fd file, size_t bytes, void **address);
void sdb_real_unshare(void *address, size_t bytes);
void sdb_real_word_wait(sdb_word *word, uint64_t value, uint64_t ms);
void sdb_real_word_wake(sdb_word *word);
int sdb_real_file_system_of(sdb_fd fd, sdb_os_file_system *info);
uint64_t sdb_real_pid(void);
uint64_t sdb_real_now_ms(void);
void sdb_real_give_way(bool sleep);
int sdb_real_map(sdb_fd file, uint64_t offset, uint64_t bytes, const uint8_t **address);
void sdb_real_unmap(const uint8_t *address, uint64_t bytes);
int sdb_real_populate(const uint8_t *address, uint64_t bytes);
bool sdb_real_dense(sdb_fd file);
bool sdb_real_may_fill_holes(sdb_fd file);
uint64_t sdb_real_map_window(void);
void *sdb_real_blocks(size_t count);
void sdb_real_blocks_free(void *blocks, size_t count);
void *sdb_real_malloc(size_t bytes);
void *sdb_real_calloc(size_t count, size_t bytes);
void *sdb_real_realloc(void *memory, size_t bytes);
void sdb_real_free(void *memory);
int sdb_real_random(void *buffer, size_t bytes);

#endif /* SDB_OS_FAULTS_H */
