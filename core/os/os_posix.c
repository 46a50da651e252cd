/* SPDX-License-Identifier: MIT
**
** os_posix.c: the part of os.h that all POSIX systems share.
** OWNS: the fork counter; nothing else has state.
** THREADS: any.
** INVARIANTS
**   - No descriptor of ours is 0, 1 or 2: a host that closed its standard streams and prints would write into `data`.
**   - Loops here swallow EINTR and continue short transfers; nothing above this file ever sees either.
*/
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* SEEK_DATA, MAP_NORESERVE */
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h> /* renameat */
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#if defined(STATX_SIZE)
#include <sys/sysmacros.h>
#endif
#include <time.h>
#include <unistd.h>
#include "os/os.h"

#ifndef MAP_NORESERVE
#define MAP_NORESERVE \
  0 /* a read-only shared mapping reserves nothing anyway; Linux wants to be told under strict overcommit */
#endif

/* One system call moves at most this much: macOS refuses more than INT_MAX, Linux cuts at 2 GiB - 4096. */
#define PIECE_BYTES ((size_t)1 << 30)

_Static_assert(sizeof(off_t) == 8, "compile with -D_FILE_OFFSET_BITS=64");

/* ---- directories ------------------------------------------------------------------------------------------- */

/* Move a descriptor away from the standard streams. */
static int keep_off_stdio(int fd, int *kept) {
  int rc = 0;
  *kept = fd;
  if (fd > STDERR_FILENO) {
    return 0;
  }
  *kept = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  if (*kept < 0) {
    rc = errno;
  }
  close(fd);
  return rc;
}

static int open_at(int dir, const char *path, int flags, mode_t mode, int *opened) {
  int fd;
  do {
    fd = openat(dir, path, flags | O_CLOEXEC | O_NOCTTY, mode);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) {
    return errno;
  }
  return keep_off_stdio(fd, opened);
}

int sdb_os_open_dir(const char *path, sdb_fd *dir) {
  return open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, dir);
}

int sdb_os_make_dir(const char *path, bool own) {
  return mkdir(path, own ? 0700 : 0755) == 0 ? 0 : errno;
}

void sdb_os_set_access(sdb_fd fd, const sdb_os_access *access) {
  struct stat st;
  mode_t mode = (mode_t)access->mode;
  if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
    mode |= (mode & 0444) >> 2;
  }
  bool refused = fchmod(fd, mode) != 0;
  if (!refused && geteuid() == 0) {
    refused = fchown(fd, (uid_t)access->uid, (gid_t)access->gid) != 0;
  }
  (void)refused;
}

int sdb_os_sync_dir(sdb_fd dir) {
  int rc = sdb_os_fsync(dir);
  return rc == EINVAL ? 0 : rc;
}

/* The entry that names the directory lies in "path/..", not in the text before the last slash: `path` may be a symbolic
** link, "." or end in a slash. */
int sdb_os_sync_parent(const char *path) {
  int dir = -1, parent = -1;
  int rc = sdb_os_open_dir(path, &dir);
  if (rc != 0) {
    return rc;
  }
  rc = open_at(dir, "..", O_RDONLY | O_DIRECTORY, 0, &parent);
  if (rc == EACCES) {
    rc = 0; /* a parent we may pass but not read cannot be synced by us at all */
  } else if (rc == 0) {
    rc = sdb_os_sync_dir(parent);
    close(parent);
  }
  close(dir);
  return rc;
}

static void fill_info(const struct stat *st, sdb_os_info *info) {
  info->size_bytes = (uint64_t)st->st_size;
  info->disk_bytes = (uint64_t)st->st_blocks * 512; /* POSIX leaves the unit open; the three systems we know use 512 */
  info->device = (uint64_t)st->st_dev;
  info->inode = (uint64_t)st->st_ino;
  info->links = (uint64_t)st->st_nlink;
  info->access = (sdb_os_access){(uint32_t)st->st_mode & 0777, (uint32_t)st->st_uid, (uint32_t)st->st_gid};
}

/* fstat() without the times.  From Linux 6.13 on a file whose times were asked for gets new ones with its next write,
** however soon, and a commit's fdatasync may have the inode to write as well.  Where an old sandbox refuses, the times
** come along. */
static int look(int fd, struct stat *st) {
#if defined(STATX_SIZE)
  const unsigned wanted =
      STATX_TYPE | STATX_MODE | STATX_NLINK | STATX_UID | STATX_GID | STATX_INO | STATX_SIZE | STATX_BLOCKS;
  struct statx found;
  if (statx(fd, "", AT_EMPTY_PATH, wanted, &found) == 0) {
    *st = (struct stat){.st_dev = makedev(found.stx_dev_major, found.stx_dev_minor),
                        .st_ino = (ino_t)found.stx_ino,
                        .st_mode = found.stx_mode,
                        .st_nlink = (nlink_t)found.stx_nlink,
                        .st_uid = found.stx_uid,
                        .st_gid = found.stx_gid,
                        .st_size = (off_t)found.stx_size,
                        .st_blocks = (blkcnt_t)found.stx_blocks};
    return 0;
  }
  if (errno != ENOSYS && errno != EPERM) {
    return errno;
  }
#endif
  return fstat(fd, st) == 0 ? 0 : errno;
}

static int info_of(int fd, bool want_dir, sdb_os_info *info) {
  struct stat st;
  int rc = look(fd, &st);
  if (rc != 0) {
    return rc;
  }
  if (want_dir && !S_ISDIR(st.st_mode)) {
    return ENOTDIR;
  }
  fill_info(&st, info);
  return 0;
}

int sdb_os_dir_info(sdb_fd dir, sdb_os_info *info) {
  return info_of(dir, true, info);
}

int sdb_os_path_info(const char *path, sdb_os_info *info) {
  struct stat st;
  if (stat(path, &st) != 0) {
    return errno;
  }
  fill_info(&st, info);
  return 0;
}

int sdb_os_real_path(const char *path, char *real, size_t bytes) {
  char *found = realpath(path, NULL);
  if (found == NULL) {
    return errno;
  }
  size_t length = strlen(found);
  if (length < bytes) {
    memcpy(real, found, length + 1);
  }
  free(found);
  return length < bytes ? 0 : ENAMETOOLONG;
}

/* Through a descriptor of its own: the position in the listing belongs to the open directory. */
int sdb_os_list_dir(sdb_fd dir, bool (*visit)(void *context, const char *name), void *context) {
  int fd = -1;
  int rc = open_at(dir, ".", O_RDONLY | O_DIRECTORY, 0, &fd);
  if (rc != 0) {
    return rc;
  }
  DIR *list = fdopendir(fd);
  if (list == NULL) {
    rc = errno;
    close(fd);
    return rc;
  }
  bool stop = false;
  while (!stop) {
    errno = 0;
    const struct dirent *entry = readdir(list);
    if (entry == NULL) {
      rc = errno;
      break;
    }
    stop = strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 && visit(context, entry->d_name);
  }
  closedir(list);
  return rc;
}

/* ---- files ------------------------------------------------------------------------------------------------- */

/* O_NONBLOCK: opening a FIFO must not hang; it has no meaning for the regular files that remain after the check. */
int sdb_os_open(sdb_fd dir, const char *name, unsigned flags, sdb_fd *file) {
  struct stat st;
  int fd = -1;
  int mode = O_NOFOLLOW | O_NONBLOCK | ((flags & SDB_OPEN_WRITE) ? O_RDWR : O_RDONLY);
  if (flags & SDB_OPEN_CREATE) {
    mode |= O_CREAT | ((flags & SDB_OPEN_EXCL) ? O_EXCL : 0);
  }
  int rc = open_at(dir, name, mode, (flags & SDB_OPEN_OWN) ? 0600 : 0644, &fd);
  if (rc == EMLINK) {
    return ELOOP; /* FreeBSD's word for a link that was not followed */
  }
  if (rc == ENXIO || rc == EISDIR) {
    return EINVAL; /* a socket or a FIFO without a partner; a directory */
  }
  if (rc != 0) {
    return rc;
  }
  if (fstat(fd, &st) != 0) {
    rc = errno;
  } else if (!S_ISREG(st.st_mode)) {
    rc = EINVAL;
  }
  if (rc != 0) {
    close(fd);
  } else {
    *file = fd;
  }
  return rc;
}

/* Never retried: after EINTR the descriptor is closed on Linux and macOS, and its number may be another thread's. */
void sdb_os_close(sdb_fd fd) {
  if (fd >= 0) {
    close(fd);
  }
}

int sdb_os_rename(sdb_fd dir, const char *from, const char *to) {
  return renameat(dir, from, dir, to) == 0 ? 0 : errno;
}

/* By a second name: a plain rename would replace what is there.  Where the old name cannot go, the new one goes. */
int sdb_os_rename_new(sdb_fd dir, const char *from, const char *to) {
  if (linkat(dir, from, dir, to, 0) != 0) {
    return errno;
  }
  if (unlinkat(dir, from, 0) == 0) {
    return 0;
  }
  int os = errno;
  (void)unlinkat(dir, to, 0);
  return os;
}

int sdb_os_unlink(sdb_fd dir, const char *name) {
  return unlinkat(dir, name, 0) == 0 ? 0 : errno;
}

int sdb_os_remove_dir(sdb_fd dir, const char *name) {
  return unlinkat(dir, name, AT_REMOVEDIR) == 0 ? 0 : errno;
}

int sdb_os_info_of(sdb_fd file, sdb_os_info *info) {
  return info_of(file, false, info);
}

/* ---- positioned I/O ---------------------------------------------------------------------------------------- */

int sdb_os_pread(sdb_fd file, void *buffer, size_t bytes, uint64_t offset, size_t *got) {
  size_t done = 0;
  if (offset > SDB_OFFSET_MAX) {
    return EINVAL;
  }
  while (done < bytes) {
    ssize_t n = pread(file, (uint8_t *)buffer + done, SDB_MIN(bytes - done, PIECE_BYTES), (off_t)(offset + done));
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n < 0) {
      return errno;
    }
    if (n == 0) {
      break;
    }
    done += (size_t)n;
  }
  *got = done;
  return 0;
}

/* Beyond the process's limit the kernel sends SIGXFSZ, which ends a program that does not expect it.  Asked for each
** time, since others may change it: some 100 ns. */
static bool past_limit(uint64_t end) {
  struct rlimit limit;
  return getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && end > (uint64_t)limit.rlim_cur;
}

int sdb_os_pwrite(sdb_fd file, const void *buffer, size_t bytes, uint64_t offset) {
  size_t done = 0;
  if (offset > SDB_OFFSET_MAX || bytes > SDB_OFFSET_MAX - offset || past_limit(offset + bytes)) {
    return EFBIG;
  }
  while (done < bytes) {
    ssize_t n =
        pwrite(file, (const uint8_t *)buffer + done, SDB_MIN(bytes - done, PIECE_BYTES), (off_t)(offset + done));
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n < 0) {
      return errno;
    }
    if (n == 0) {
      return ENOSPC; /* no progress and no error: what a full disk looks like on some network file systems */
    }
    done += (size_t)n;
  }
  return 0;
}

int sdb_os_truncate(sdb_fd file, uint64_t size_bytes) {
  int rc;
  struct stat st;
  if (size_bytes > SDB_OFFSET_MAX) {
    return EFBIG;
  }
  if (past_limit(size_bytes) && (fstat(file, &st) != 0 || (uint64_t)st.st_size < size_bytes)) {
    return EFBIG;
  }
  do {
    rc = ftruncate(file, (off_t)size_bytes);
  } while (rc != 0 && errno == EINTR);
  return rc == 0 ? 0 : errno;
}

/* lseek() moves the descriptor's position, which nothing of ours uses: threads cannot disturb each other here. */
int sdb_os_next_data(sdb_fd file, uint64_t offset, uint64_t end, uint64_t *data, uint64_t *data_end) {
  *data = offset;
  *data_end = end;
  if (offset >= end) {
    *data = end;
    return 0;
  }
  off_t at = lseek(file, (off_t)offset, SEEK_DATA);
  if (at < 0) {
    switch (errno) {
      case ENXIO: /* nothing but a hole up to the end of the file */
        *data = end;
        return 0;
      case EINVAL:
      case EOPNOTSUPP:
        return 0;
      default:
        return errno;
    }
  }
  if ((uint64_t)at >= end) {
    *data = end;
    return 0;
  }
  *data = (uint64_t)at;
  at = lseek(file, at, SEEK_HOLE);
  if (at >= 0 && (uint64_t)at < end) {
    *data_end = (uint64_t)at;
  }
  return 0;
}

int sdb_os_lock(sdb_fd file, bool exclusive) {
  int rc;
  do {
    rc = flock(file, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB);
  } while (rc != 0 && errno == EINTR);
  return rc == 0 ? 0 : errno;
}

int sdb_os_unlock(sdb_fd file) {
  return flock(file, LOCK_UN) == 0 ? 0 : errno;
}

/* ---- mapping ----------------------------------------------------------------------------------------------- */

int sdb_os_map(sdb_fd file, uint64_t offset, uint64_t bytes, const uint8_t **address) {
  if (offset > SDB_OFFSET_MAX || bytes > SIZE_MAX) {
    return ENOMEM;
  }
  void *mapped = mmap(NULL, (size_t)bytes, PROT_READ, MAP_SHARED | MAP_NORESERVE, file, (off_t)offset);
  if (mapped == MAP_FAILED) {
    return errno;
  }
  *address = mapped;
  return 0;
}

void sdb_os_unmap(const uint8_t *address, uint64_t bytes) {
  if (address != NULL) {
    munmap((void *)(uintptr_t)address, (size_t)bytes);
  }
}

#if !defined(__linux__) /* Linux has better ones, see os_linux.c */
int sdb_os_populate(const uint8_t *address, uint64_t bytes) {
  (void)address;
  (void)bytes;
  return ENOTSUP;
}

bool sdb_os_single_threaded(void) {
  return false;
}

int sdb_os_replace(sdb_fd file, sdb_fd other) {
  int rc = 0;
  while (dup2(other, file) < 0 && (rc = errno) == EINTR) {
  }
  rc = rc == EINTR ? 0 : rc;
  if (rc == 0 && fcntl(file, F_SETFD, FD_CLOEXEC) != 0) {
    rc = errno;
  }
  close(other);
  return rc;
}
#endif

uint64_t sdb_os_map_window(void) {
  return sizeof(void *) >= 8 ? (uint64_t)1 << 40 : (uint64_t)256 << 20;
}

/* ---- memory, time, processes ------------------------------------------------------------------------------- */

/* getentropy() gives at most 256 bytes a call and is never interrupted below that. */
int sdb_os_random(void *buffer, size_t bytes) {
  uint8_t *p = buffer;
  while (bytes > 0) {
    size_t piece = SDB_MIN(bytes, (size_t)256);
    if (getentropy(p, piece) != 0) {
      return errno;
    }
    p += piece;
    bytes -= piece;
  }
  return 0;
}

void *sdb_malloc(size_t bytes) {
  return malloc(bytes);
}
void *sdb_calloc(size_t count, size_t bytes) {
  return calloc(count, bytes);
}
void *sdb_realloc(void *memory, size_t bytes) {
  return realloc(memory, bytes);
}
void sdb_free(void *memory) {
  free(memory);
}

/* The address sanitizer sees only what malloc() gives. */
#if defined(__SANITIZE_ADDRESS__)
#define HAVE_BLOCKS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAVE_BLOCKS 0
#endif
#endif
#ifndef HAVE_BLOCKS
#define HAVE_BLOCKS 1
#endif

/* A block more is mapped, and given back, so that one begins where it should. */
void *sdb_os_blocks(size_t count) {
  size_t bytes = count * SDB_OS_BLOCK_BYTES;
  if (!HAVE_BLOCKS || count == 0 || count >= SIZE_MAX / SDB_OS_BLOCK_BYTES) return NULL;
  uint8_t *mapped = mmap(NULL, bytes + SDB_OS_BLOCK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return NULL;
  size_t before = (size_t)(-(uintptr_t)mapped & (SDB_OS_BLOCK_BYTES - 1));
  if (before) (void)munmap(mapped, before);
  (void)munmap(mapped + before + bytes, SDB_OS_BLOCK_BYTES - before);
#ifdef MADV_HUGEPAGE
  (void)madvise(mapped + before, bytes, MADV_HUGEPAGE);
#endif
  return mapped + before;
}

void sdb_os_blocks_free(void *blocks, size_t count) {
  (void)munmap(blocks, count * SDB_OS_BLOCK_BYTES);
}

void sdb_os_give_way(bool sleep) {
  const struct timespec moment = {.tv_nsec = 50000};
  if (sleep) {
    nanosleep(&moment, NULL);
  } else {
    sched_yield();
  }
}

uint64_t sdb_os_now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static _Atomic uint64_t fork_count;
static bool fork_watched;

static void count_fork(void) {
  atomic_fetch_add_explicit(&fork_count, 1, memory_order_relaxed);
}

__attribute__((constructor)) static void watch_forks(void) { /* when the library is loaded */
  fork_watched = pthread_atfork(NULL, NULL, count_fork) == 0;
}

/* Not getpid(): a system call on each use, and numbers repeat.  It serves only where atfork had no memory. */
uint64_t sdb_os_fork_count(void) {
  return fork_watched ? atomic_load_explicit(&fork_count, memory_order_relaxed) : (uint64_t)getpid();
}
