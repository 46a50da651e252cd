/* SPDX-License-Identifier: MIT
**
** os_freebsd.c: the parts of os.h that FreeBSD (14 and later) does its own way: making durable, punching holes, random
** bytes.
** OWNS: nothing.  THREADS: any.
*/
#include <errno.h>
#include <fcntl.h>
#include <sys/param.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "os/os.h"

/* Repeating after EINTR is safe, after any other error it is not (R7). */
int sdb_os_fdatasync(sdb_fd file) {
  int rc;
  do {
    rc = fdatasync(file);
  } while (rc != 0 && errno == EINTR);
  return rc == 0 ? 0 : errno;
}

int sdb_os_fsync(sdb_fd file) {
  int rc;
  do {
    rc = fsync(file);
  } while (rc != 0 && errno == EINTR);
  return rc == 0 ? 0 : errno;
}

/* The system has no such call. */
void sdb_os_write_out(sdb_fd file) {
  (void)file;
}

/* Neither F_PREALLOCATE nor posix_fallocate() takes a range inside a file and leaves its size alone. */
int sdb_os_allocate(sdb_fd file, uint64_t offset, uint64_t bytes) {
  (void)file;
  (void)offset;
  (void)bytes;
  return EOPNOTSUPP;
}

uint64_t sdb_os_birth_ns(const char *path) {
  struct stat st;
  if (stat(path, &st) != 0 || st.st_birthtim.tv_sec <= 0) {
    return 0;
  }
  return (uint64_t)st.st_birthtim.tv_sec * 1000000000u + (uint64_t)st.st_birthtim.tv_nsec;
}

bool sdb_os_dense(sdb_fd file) {
  (void)file;
  return false;
}

bool sdb_os_may_fill_holes(sdb_fd file) {
  (void)file;
  return false;
}

/* fspacectl() may stop early and says what remains; it zeroes by hand where the file system knows no holes. */
int sdb_os_punch(sdb_fd file, uint64_t offset, uint64_t bytes) {
  if (offset > SDB_OFFSET_MAX || bytes > SDB_OFFSET_MAX - offset) {
    return EFBIG;
  }
  struct spacectl_range range = {.r_offset = (off_t)offset, .r_len = (off_t)bytes};
  while (range.r_len > 0) {
    if (fspacectl(file, SPACECTL_DEALLOC, &range, 0, &range) != 0 && errno != EINTR) {
      return errno == ENODEV || errno == EINVAL || errno == ENOSYS ? EOPNOTSUPP : errno;
    }
  }
  return 0;
}

/* getentropy() gives at most 256 bytes a call. */
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

void sdb_os_condition_init(pthread_cond_t *condition) {
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(condition, &attributes);
  pthread_condattr_destroy(&attributes);
}

bool sdb_os_condition_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, uint64_t deadline_ms) {
  const struct timespec at = {.tv_sec = (time_t)(deadline_ms / 1000), .tv_nsec = (long)(deadline_ms % 1000) * 1000000};
  return pthread_cond_timedwait(condition, mutex, &at) != ETIMEDOUT;
}

/* What lies in user space does not say MNT_LOCAL either. */
int sdb_os_file_system_of(sdb_fd fd, sdb_os_file_system *info) {
  struct statfs st;
  if (fstatfs(fd, &st) != 0) {
    return errno;
  }
  *info = (sdb_os_file_system){.remote = (st.f_flags & MNT_LOCAL) ? NULL : "network",
                               .read_only = (st.f_flags & MNT_RDONLY) != 0};
  return 0;
}

uint64_t sdb_os_boot(void) {
  return 0;
}

/* By looking again and again. */
void sdb_os_word_wait(sdb_word *word, uint64_t value, uint64_t ms) {
  const struct timespec moment = {.tv_nsec = (long)SDB_MIN(ms, (uint64_t)5) * 1000000};
  if ((uint32_t)sdb_word_load(word) == (uint32_t)value) {
    nanosleep(&moment, NULL);
  }
}

void sdb_os_word_wake(sdb_word *word) {
  (void)word;
}

/* Stores through a mapping show in the file's times when the system gets to it, not at once. */
int sdb_os_stamp_of(sdb_fd file, sdb_os_stamp *stamp) {
  (void)file, (void)stamp;
  return ENOTSUP;
}

int sdb_os_stamp_set(sdb_fd file, sdb_os_stamp *stamp) {
  return sdb_os_stamp_of(file, stamp);
}
