/* SPDX-License-Identifier: MIT
**
** os_darwin.c: the parts of os.h that macOS does its own way: making durable, punching holes, waiting.
** Those that it shares with FreeBSD are in os_bsd.c.
** OWNS: nothing.  THREADS: any.
*/
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "os/os.h"

/* fsync() here only hands the bytes to the drive, which may keep and reorder them; F_FULLFSYNC empties the drive's
** cache.  File systems that do not know it (SMB, some FUSE) get the fsync. */
int sdb_os_fsync(sdb_fd file) {
  int rc;
  do {
    rc = fcntl(file, F_FULLFSYNC);
  } while (rc != 0 && errno == EINTR);
  if (rc == 0 || (errno != ENOTSUP && errno != EINVAL && errno != ENOTTY)) {
    return rc == 0 ? 0 : errno;
  }
  do {
    rc = fsync(file);
  } while (rc != 0 && errno == EINTR);
  return rc == 0 ? 0 : errno;
}

int sdb_os_fdatasync(sdb_fd file) {
  return sdb_os_fsync(file);
}

/* Zero a stretch shorter than a block by hand: F_PUNCHHOLE takes whole blocks only. */
static int write_zeros(sdb_fd file, uint64_t offset, uint64_t bytes) {
  static const uint8_t zeros[4096];
  int rc = 0;
  while (bytes > 0 && rc == 0) {
    size_t piece = (size_t)SDB_MIN(bytes, (uint64_t)sizeof zeros);
    rc = sdb_os_pwrite(file, zeros, piece, offset);
    offset += piece;
    bytes -= piece;
  }
  return rc;
}

uint64_t sdb_os_birth_ns(const char *path) {
  struct stat st;
  if (stat(path, &st) != 0 || st.st_birthtimespec.tv_sec <= 0) {
    return 0;
  }
  return (uint64_t)st.st_birthtimespec.tv_sec * 1000000000u + (uint64_t)st.st_birthtimespec.tv_nsec;
}

int sdb_os_punch(sdb_fd file, uint64_t offset, uint64_t bytes) {
  struct stat st;
  if (offset > SDB_OFFSET_MAX || bytes > SDB_OFFSET_MAX - offset) {
    return EFBIG;
  }
  if (fstat(file, &st) != 0) {
    return errno;
  }
  uint64_t end = SDB_MIN(offset + bytes, (uint64_t)st.st_size);
  uint64_t first = SDB_MIN(sdb_page_up(offset), end);
  uint64_t last = SDB_MAX(sdb_page_down(end), first);
  if (bytes == 0 || offset >= end) {
    return 0;
  }
  if (first < last) {
    fpunchhole_t hole = {.fp_offset = (off_t)first, .fp_length = (off_t)(last - first)};
    if (fcntl(file, F_PUNCHHOLE, &hole) != 0) {
      return errno == ENOTSUP || errno == EINVAL ? EOPNOTSUPP : errno;
    }
  }
  int rc = write_zeros(file, offset, first - offset);
  return rc != 0 ? rc : write_zeros(file, last, end - last);
}

void sdb_os_condition_init(pthread_cond_t *condition) {
  pthread_cond_init(condition, NULL);
}

/* There is no condition variable with another clock, but one that is told how long. */
bool sdb_os_condition_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, uint64_t deadline_ms) {
  uint64_t now_ms = sdb_os_now_ms(), left_ms = deadline_ms > now_ms ? deadline_ms - now_ms : 0;
  const struct timespec left = {.tv_sec = (time_t)(left_ms / 1000), .tv_nsec = (long)(left_ms % 1000) * 1000000};
  return pthread_cond_timedwait_relative_np(condition, mutex, &left) != ETIMEDOUT;
}
