/* SPDX-License-Identifier: MIT
**
** os_darwin.c: the parts of os.h that macOS does its own way: making durable, punching holes, random bytes.
** OWNS: nothing.  THREADS: any.
*/
#include <errno.h>
#include <fcntl.h>
#include <sys/param.h>
#include <sys/mount.h>
#include <sys/random.h>
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

/* The system has no such call. */
void sdb_os_write_out(sdb_fd file) {
  (void)file;
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

/* Neither F_PREALLOCATE nor posix_fallocate() takes a range inside a file and leaves its size alone. */
int sdb_os_allocate(sdb_fd file, uint64_t offset, uint64_t bytes) {
  (void)file;
  (void)offset;
  (void)bytes;
  return EOPNOTSUPP;
}

uint64_t sdb_os_birth_ns(const char *path) {
  struct stat st;
  if (stat(path, &st) != 0 || st.st_birthtimespec.tv_sec <= 0) {
    return 0;
  }
  return (uint64_t)st.st_birthtimespec.tv_sec * 1000000000u + (uint64_t)st.st_birthtimespec.tv_nsec;
}

bool sdb_os_dense(sdb_fd file) {
  (void)file;
  return false;
}

bool sdb_os_may_fill_holes(sdb_fd file) {
  (void)file;
  return false;
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
  pthread_cond_init(condition, NULL);
}

/* There is no condition variable with another clock, but one that is told how long. */
bool sdb_os_condition_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, uint64_t deadline_ms) {
  uint64_t now_ms = sdb_os_now_ms(), left_ms = deadline_ms > now_ms ? deadline_ms - now_ms : 0;
  const struct timespec left = {.tv_sec = (time_t)(left_ms / 1000), .tv_nsec = (long)(left_ms % 1000) * 1000000};
  return pthread_cond_timedwait_relative_np(condition, mutex, &left) != ETIMEDOUT;
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
