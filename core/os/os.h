/* SPDX-License-Identifier: MIT
**
** os.h: everything the engine asks of the operating system and of the allocator.
** This header is the whole platform contract: os_posix.c implements it, os_shared.c what processes share, os_linux.c,
** os_darwin.c, os_freebsd.c and os_bsd.c the few parts that differ (fdatasync, hole punching, futexes); meson picks.
**
** RETURNS: 0 or an errno value (> 0), unless said otherwise; errno itself is not part of the contract.  EINTR and
** short reads and writes never reach the caller.
** THREADS: every function may be called from any thread.
** RULES: all files are opened with O_CLOEXEC | O_NOFOLLOW, relative to a directory handle, and must be regular files.
*/
#ifndef SDB_OS_H
#define SDB_OS_H

#include <pthread.h>
#include "base/base.h"
#include "os/word.h"

typedef int sdb_fd; /* a descriptor, or a simulated disk's handle; -1 = none */

#define SDB_OPEN_WRITE  1u /* read and write; else read only */
#define SDB_OPEN_CREATE 2u /* create if missing (mode 0644 & ~umask) */
#define SDB_OPEN_EXCL   4u /* with CREATE: must not exist */
#define SDB_OPEN_OWN    8u /* with CREATE: for its owner alone (mode 0600 & ~umask), until it is given its access */

/* Who may read and write what is made. */
typedef struct sdb_os_access {
  uint32_t mode; /* permissions of files, 0777 at the most; 0: those that the umask leaves, and nobody else's */
  uint32_t uid, gid;
} sdb_os_access;

typedef struct sdb_os_info {
  uint64_t size_bytes;
  uint64_t disk_bytes; /* blocks held on disk */
  uint64_t device, inode;
  uint64_t links; /* names that the file has; 0 after it was removed */
  sdb_os_access access;
} sdb_os_info;

/* Directories.  open_dir follows symbolic links in `path` (the user may link a database directory), the file calls
** below follow none.  ENOTDIR if path is no directory. */
int sdb_os_open_dir(const char *path, sdb_fd *dir);
int sdb_os_make_dir(const char *path, bool own); /* mode 0755 & ~umask, `own`: 0700; EEXIST is passed on */
int sdb_os_sync_dir(sdb_fd dir);                 /* fsync; EINVAL from file systems that cannot is success */
int sdb_os_sync_parent(const char *path);        /* fsync the directory that holds `path` */
int sdb_os_dir_info(sdb_fd dir, sdb_os_info *info);
/* The same of whatever `path` leads to now. */
int sdb_os_path_info(const char *path, sdb_os_info *info);
/* When the file that `path` leads to was made, in nanoseconds since 1970; 0: the system does not tell. */
uint64_t sdb_os_birth_ns(const char *path);
/* The directory's absolute path without symbolic links, NUL-terminated.  ENAMETOOLONG: it does not fit. */
int sdb_os_real_path(const char *path, char *real, size_t bytes);
/* Call visit(context, name) for each name in the directory but "." and "..", in no order, until it says true. */
int sdb_os_list_dir(sdb_fd dir, bool (*visit)(void *context, const char *name), void *context);

/* Of a file or directory that was just made, with access->mode: exactly that mode, whatever the umask; of root also the
** owner.  A directory may be entered by whoever may read files of that mode.  What the system refuses stays as it is,
** which is more private: that is no error. */
void sdb_os_set_access(sdb_fd fd, const sdb_os_access *access);

/* Files in a directory. */
int sdb_os_open(sdb_fd dir, const char *name, unsigned flags,
                sdb_fd *file); /* ELOOP: symbolic link; EINVAL: no regular file */
void sdb_os_close(sdb_fd fd);  /* files and directories; errors are of no use here */
/* From now on `file` means what `other` means, at once for all threads; `other` is closed.  Locks of `file` go. */
int sdb_os_replace(sdb_fd file, sdb_fd other);
int sdb_os_rename(sdb_fd dir, const char *from, const char *to);
/* EEXIST: something has that name.  After any error nothing has moved. */
int sdb_os_rename_new(sdb_fd dir, const char *from, const char *to);
int sdb_os_unlink(sdb_fd dir, const char *name);
int sdb_os_remove_dir(sdb_fd dir, const char *name); /* an empty one */
int sdb_os_info_of(sdb_fd file, sdb_os_info *info);
/* What a file has only as long as nobody changes it. */
typedef struct sdb_os_stamp {
  uint64_t inode, size_bytes;
  uint64_t modified_ns, changed_ns; /* times, since 1970 */
} sdb_os_stamp;
/* Give a file that is open for writing a stamp that it has not after any later change, by whomever, through a mapping
** too; stamp_of() reads it, and changes nothing.  ENOTSUP, from both: the system or the file system cannot promise
** that.  Contents and sizes are not synced; a power cut may take the stamp back, never without its being seen. */
int sdb_os_stamp_set(sdb_fd file, sdb_os_stamp *stamp);
int sdb_os_stamp_of(sdb_fd file, sdb_os_stamp *stamp);

/* Positioned I/O.  pread stops early only at the end of the file; *got says how much was read. */
int sdb_os_pread(sdb_fd file, void *buffer, size_t bytes, uint64_t offset, size_t *got);
int sdb_os_pwrite(sdb_fd file, const void *buffer, size_t bytes, uint64_t offset);
/* Durable data and the metadata needed to read it back.  After a failure nothing may be believed (R7). */
int sdb_os_fdatasync(sdb_fd file);
int sdb_os_fsync(sdb_fd file);
/* Let the disk begin with what was written, and wait for nothing: a later sync has less left to do.  A hint. */
void sdb_os_write_out(sdb_fd file);
int sdb_os_truncate(sdb_fd file, uint64_t size_bytes); /* cut or extend (sparse) */
/* Make [offset, offset+bytes) read as zeros and give its whole blocks back; never changes the file's size.
** EOPNOTSUPP where the file system cannot. */
int sdb_os_punch(sdb_fd file, uint64_t offset, uint64_t bytes);
/* Give [offset, offset+bytes) its blocks, so that writing there needs no new ones; changes neither bytes nor size, also
** past the end of the file.  EOPNOTSUPP where the file system cannot. */
int sdb_os_allocate(sdb_fd file, uint64_t offset, uint64_t bytes);
/* First byte >= offset (and < end) that may hold data, and the end of that run of data, as SEEK_DATA/SEEK_HOLE tell.
** *data = end if there is none.  File systems that cannot tell report everything as data. */
int sdb_os_next_data(sdb_fd file, uint64_t offset, uint64_t end, uint64_t *data, uint64_t *data_end);

/* Advisory lock on the whole file, bound to the open file (flock), not waiting.  EWOULDBLOCK: somebody else has
** it.  Converting between shared and exclusive is allowed. */
int sdb_os_lock(sdb_fd file, bool exclusive);
int sdb_os_unlock(sdb_fd file);

/* Locks on one byte each, there or not, bound to the open file: two opens of one file in a process are two owners.
** Never waiting; EWOULDBLOCK: somebody else has it.  An owner converts what it has in place: it keeps the old lock if
** that fails.  Exclusive needs a file open for writing.  A child of fork() shares its parent's locks until it closes
** the file.  ENOTSUP where the system or the file system has no such locks; flock() does not see them, nor they it. */
int sdb_os_lock_byte(sdb_fd file, uint64_t at, bool exclusive);
int sdb_os_unlock_byte(sdb_fd file, uint64_t at);
int sdb_os_unlock_all_bytes(sdb_fd file);
int sdb_os_byte_is_locked(sdb_fd file, uint64_t at, bool *locked); /* by somebody else, in any way */

/* Shared mapping of [0, bytes) of the file for reading and writing, by the functions of word.h.  The blocks of these
** bytes are there, or touching them could be SIGBUS; as it is after somebody cuts the file. */
int sdb_os_share(sdb_fd file, size_t bytes, void **address);
void sdb_os_unshare(void *address, size_t bytes);
/* Sleep until sdb_os_word_wake(), of any process, but not if *word is not `value` any more; for `ms` at most, and
** perhaps for less.  Compared are the lower 32 bits.  Wakes all. */
void sdb_os_word_wait(sdb_word *word, uint64_t value, uint64_t ms);
void sdb_os_word_wake(sdb_word *word);

/* What kind of file system a file or directory lies on. */
typedef struct sdb_os_file_system {
  const char *remote; /* "NFS" and the like: others may change it unseen, over a network or in user space; else NULL */
  bool read_only;     /* mounted so */
} sdb_os_file_system;
int sdb_os_file_system_of(sdb_fd fd, sdb_os_file_system *info);

/* Read-only shared mapping of [offset, offset + bytes) of the file; may reach past its end (touching there is SIGBUS,
** growing the file makes it valid).  Bytes written with pwrite show through it at once. */
int sdb_os_map(sdb_fd file, uint64_t offset, uint64_t bytes, const uint8_t **address);
/* Read a mapping in, so that touching it needs no disk: what cannot be read is an error here and no SIGBUS
** later.  ENOTSUP where the system cannot do that. */
int sdb_os_populate(const uint8_t *address, uint64_t bytes);
void sdb_os_unmap(const uint8_t *address, uint64_t bytes);
/* Does reading a hole of the file through a mapping take space, and end in SIGBUS where there is none?  On Linux's
** tmpfs it does. */
bool sdb_os_dense(sdb_fd file);
/* May that be so, as far as the system can tell?  Of a file system that lies over another one, too. */
bool sdb_os_may_fill_holes(sdb_fd file);
/* Address space one mapping may take at the most: 1 TiB on 64-bit machines, less on 32-bit ones. */
uint64_t sdb_os_map_window(void);

/* Memory.  malloc(0) is never asked for.  free(NULL) is allowed. */
void *sdb_malloc(size_t bytes);
void *sdb_calloc(size_t count, size_t bytes);
void *sdb_realloc(void *memory, size_t bytes);
void sdb_free(void *memory);

/* `count` blocks of zeros in one piece, aligned to their size, in pages as large as the system has them for that: to be
** touched for the first time is what is dear in new memory.  NULL: there are none, sdb_malloc() may have some. */
#define SDB_OS_BLOCK_BYTES ((size_t)2 << 20)
void *sdb_os_blocks(size_t count);
void sdb_os_blocks_free(void *blocks, size_t count);

int sdb_os_random(void *buffer, size_t bytes); /* from the system's generator */
bool sdb_os_single_threaded(void); /* surely no other thread in this process; false where the system does not tell */
void sdb_os_give_way(bool sleep);  /* let other threads run; `sleep`: some 50 us at least */
uint64_t sdb_os_now_ms(void);      /* monotonic */
/* A condition variable whose timed waits go by the clock of now_ms(), so that setting the wall clock neither ends nor
** prolongs one.  false: the time is over. */
void sdb_os_condition_init(pthread_cond_t *condition);
bool sdb_os_condition_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, uint64_t deadline_ms);
uint64_t sdb_os_pid(void);
uint64_t sdb_os_boot(void); /* the same number for all processes until the machine is started anew; 0 = unknown */

/* What a child of fork() must not have, since locks of an open file live as long as any copy of its descriptor: in the
** child, before fork() returns there, the descriptors are closed and become -1, and the memory is replaced by zeros of
** its own.  The structure and what it points to stay where they are until sdb_os_parent_forget(); in a child that does
** nothing.  A clone() by hand goes unnoticed. */
typedef struct sdb_os_parent {
  struct sdb_os_parent *next, **back;
  sdb_fd *files[5]; /* NULL: none */
  void *shared;     /* of sdb_os_share() */
  size_t shared_bytes;
} sdb_os_parent;
void sdb_os_parent_only(sdb_os_parent *kept);
void sdb_os_parent_forget(sdb_os_parent *kept);
/* Number of fork() calls this process is a child of, counted since the library was loaded: a handle whose number
** differs was inherited. */
uint64_t sdb_os_fork_count(void);

#endif /* SDB_OS_H */
