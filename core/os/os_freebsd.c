/* SPDX-License-Identifier: MIT
**
** os_freebsd.c: the parts of os.h that FreeBSD (14 and later) does its own way: making durable, punching holes,
** waiting.  Those that it shares with macOS are in os_bsd.c.
** OWNS: nothing.  THREADS: any.
*/
#include <errno.h>
#include <fcntl.h>
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

uint64_t sdb_os_birth_ns(const char *path) {
  struct stat st;
  if (stat(path, &st) != 0 || st.st_birthtim.tv_sec <= 0) {
    return 0;
  }
  return (uint64_t)st.st_birthtim.tv_sec * 1000000000u + (uint64_t)st.st_birthtim.tv_nsec;
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
