/* SPDX-License-Identifier: MIT
**
** os_linux.c: the parts of os.h that Linux does its own way: making durable, punching holes, futexes.
** OWNS: nothing.  THREADS: any.
*/
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* fallocate, dup3 */
#endif
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>
#if __has_include(<sys/single_threaded.h>) && !defined(SDB_GLIBC_2_28_H) /* glibc 2.32 */
#include <sys/single_threaded.h>
#define SINGLE_THREADED (__libc_single_threaded != 0)
#else
#define SINGLE_THREADED false
#endif
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>
#include "os/os.h"

/* Repeating after EINTR is safe, after any other error it is not: the kernel reports a failed writeback once, marks
** the pages clean and says 0 the next time. */
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

void sdb_os_write_out(sdb_fd file) {
  (void)sync_file_range(file, 0, 0, SYNC_FILE_RANGE_WRITE);
}

/* The kernel's struct statx, up to the time of birth.  By hand, and the call by number: musl has them since 1.2.5 only,
** and brings no header of the kernel along. */
#define WANT_BIRTH 0x800u /* STATX_BTIME */
struct kernel_statx {
  uint32_t mask;
  uint32_t others[19];
  int64_t birth_s;
  uint32_t birth_ns;
  uint32_t rest[41];
};
_Static_assert(offsetof(struct kernel_statx, birth_s) == 80 && sizeof(struct kernel_statx) == 256, "as the kernel's");

uint64_t sdb_os_birth_ns(const char *path) {
  struct kernel_statx st;
  if (syscall(SYS_statx, AT_FDCWD, path, 0, WANT_BIRTH, &st) != 0 || !(st.mask & WANT_BIRTH)) {
    return 0;
  }
  return (uint64_t)st.birth_s * 1000000000u + st.birth_ns;
}

int sdb_os_punch(sdb_fd file, uint64_t offset, uint64_t bytes) {
  int rc;
  if (bytes == 0) {
    return 0;
  }
  if (offset > SDB_OFFSET_MAX || bytes > SDB_OFFSET_MAX - offset) {
    return EFBIG;
  }
  do {
    rc = fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)bytes);
  } while (rc != 0 && errno == EINTR);
  return rc == 0 ? 0 : (errno == ENOSYS ? EOPNOTSUPP : errno);
}

int sdb_os_allocate(sdb_fd file, uint64_t offset, uint64_t bytes) {
  int rc;
  if (offset > SDB_OFFSET_MAX || bytes > SDB_OFFSET_MAX - offset) {
    return EFBIG;
  }
  do {
    rc = fallocate(file, FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)bytes);
  } while (rc != 0 && errno == EINTR);
  return rc == 0 ? 0 : (errno == ENOSYS ? EOPNOTSUPP : errno);
}

/* As in <linux/magic.h>, which a C library need not bring along (musl does not). */
#define TMPFS_MAGIC     0x01021994
#define OVERLAYFS_MAGIC 0x794c7630
#define ECRYPTFS_MAGIC  0xf15f

#define NS UINT64_C(1000000000)

/* Seen on Linux 6: a read through a shared mapping of a full tmpfs, at a place never written, is SIGBUS; other file
** systems map a page of zeros. */
bool sdb_os_dense(sdb_fd file) {
  struct statfs info;
  return fstatfs(file, &info) == 0 && info.f_type == TMPFS_MAGIC;
}

/* Overlayfs maps the file below, and does not say of what kind that is. */
bool sdb_os_may_fill_holes(sdb_fd file) {
  struct statfs info;
  if (fstatfs(file, &info) != 0) {
    return true;
  }
  return info.f_type == TMPFS_MAGIC || info.f_type == OVERLAYFS_MAGIC || info.f_type == ECRYPTFS_MAGIC;
}

/* File systems that give a file its times at the first store through a mapping (seen on Linux 6.18: ext4), not when it
** is written out or never (tmpfs). */
static const uint32_t stamping_file_systems[] = {0xef53 /* ext4 */, 0x58465342 /* XFS */, 0x9123683e /* btrfs */,
                                                 0xf2f52010 /* F2FS */};

int sdb_os_stamp_of(sdb_fd file, sdb_os_stamp *stamp) {
  struct statfs system;
  struct stat st;
  bool stamps = false;
  if (fstatfs(file, &system) != 0) {
    return errno;
  }
  for (size_t i = 0; i < sizeof stamping_file_systems / sizeof stamping_file_systems[0]; i++) {
    stamps = stamps || (uint32_t)system.f_type == stamping_file_systems[i];
  }
  if (!stamps) {
    return ENOTSUP;
  }
  if (fstat(file, &st) != 0) {
    return errno;
  }
  *stamp = (sdb_os_stamp){.inode = (uint64_t)st.st_ino,
                          .size_bytes = (uint64_t)st.st_size,
                          .modified_ns = (uint64_t)st.st_mtim.tv_sec * NS + (uint64_t)st.st_mtim.tv_nsec,
                          .changed_ns = (uint64_t)st.st_ctim.tv_sec * NS + (uint64_t)st.st_ctim.tv_nsec};
  return 0;
}

/* The kernel's own times are those of its ticks, some milliseconds apart: two changes may get the same one.  The exact
** time lies between two ticks, so no later change leaves it.  Only the owner may set it; some file systems round it. */
int sdb_os_stamp_set(sdb_fd file, sdb_os_stamp *stamp) {
  struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {0}};
  int rc = sdb_os_stamp_of(file, stamp);
  if (rc != 0) {
    return rc;
  }
  uint64_t before = stamp->modified_ns;
  (void)timespec_get(&times[1], TIME_UTC);
  if (futimens(file, times) != 0) {
    return errno == EPERM || errno == EACCES ? ENOTSUP : errno;
  }
  rc = sdb_os_stamp_of(file, stamp);
  uint64_t set = (uint64_t)times[1].tv_sec * NS + (uint64_t)times[1].tv_nsec;
  return rc == 0 && (stamp->modified_ns != set || set == before) ? ENOTSUP : rc;
}

static const struct {
  uint32_t magic;
  const char *name;
} remote_file_systems[] = {
    {0x6969, "NFS"},      {0xff534d42, "SMB"},    {0xfe534d42, "SMB"},    {0x517b, "SMB"},
    {0x01021997, "9p"},   {0x65735546, "FUSE"},   {0x00c36400, "Ceph"},   {0x5346414f, "AFS"},
    {0x73757245, "Coda"}, {0x01161970, "GFS2"},   {0x7461636f, "OCFS2"},  {0x0bd00bd0, "Lustre"},
    {0x47504653, "GPFS"}, {0x786f4256, "vboxsf"}, {0xbacbacbc, "vmhgfs"}, {0x19830326, "BeeGFS"},
};

int sdb_os_file_system_of(sdb_fd fd, sdb_os_file_system *info) {
  struct statfs st;
  if (fstatfs(fd, &st) != 0) {
    return errno;
  }
  *info = (sdb_os_file_system){.read_only = ((unsigned long)st.f_flags & 1) != 0}; /* ST_RDONLY */
  for (size_t i = 0; i < sizeof remote_file_systems / sizeof remote_file_systems[0]; i++) {
    if ((uint32_t)st.f_type == remote_file_systems[i].magic) { /* virtiofs says FUSE, too */
      info->remote = remote_file_systems[i].name;
    }
  }
  return 0;
}

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define LOWER_HALF 0
#else
#define LOWER_HALF 1
#endif

#ifdef SYS_futex
#define FUTEX_WAIT 0
#define FUTEX_WAKE 1

/* Of all processes, not FUTEX_PRIVATE; the time is one of CLOCK_MONOTONIC.  Two longs are what this call takes,
** whatever the C library's time_t is. */
void sdb_os_word_wait(sdb_word *word, uint64_t value, uint64_t ms) {
  const long left[2] = {(long)SDB_MIN(ms / 1000, (uint64_t)1000000), (long)(ms % 1000) * 1000000};
  (void)syscall(SYS_futex, (uint32_t *)(uintptr_t)word + LOWER_HALF, FUTEX_WAIT, (uint32_t)value, left, NULL, 0);
}

void sdb_os_word_wake(sdb_word *word) {
  (void)syscall(SYS_futex, (uint32_t *)(uintptr_t)word + LOWER_HALF, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}
#else /* a 32-bit machine that never had the call with a short time */
void sdb_os_word_wait(sdb_word *word, uint64_t value, uint64_t ms) {
  const struct timespec moment = {.tv_nsec = (long)SDB_MIN(ms, (uint64_t)5) * 1000000};
  if ((uint32_t)sdb_word_load(word) == (uint32_t)value) {
    nanosleep(&moment, NULL);
  }
}

void sdb_os_word_wake(sdb_word *word) {
  (void)word;
}
#endif

uint64_t sdb_os_boot(void) {
  char text[36]; /* a uuid, as 36 characters */
  uint64_t id = 0;
  int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
  ssize_t got = fd >= 0 ? read(fd, text, sizeof text) : -1;
  for (ssize_t i = 0; i < got; i++) {
    id = id * 31 + (uint8_t)text[i];
  }
  if (fd >= 0) {
    close(fd);
  }
  return id;
}

/* Linux 5.14; older kernels say EINVAL, and the C library's header may be older than the kernel. */
#define POPULATE_READ 22

int sdb_os_populate(const uint8_t *address, uint64_t bytes) {
  int rc;
  do {
    rc = madvise((void *)(uintptr_t)address, (size_t)bytes, POPULATE_READ);
  } while (rc != 0 && errno == EINTR);
  if (rc == 0) {
    return 0;
  }
  return errno == EINVAL ? ENOTSUP : errno;
}

/* dup3(): no moment in which another thread's fork and exec would inherit it. */
int sdb_os_replace(sdb_fd file, sdb_fd other) {
  int rc;
  do {
    rc = dup3(other, file, O_CLOEXEC) < 0 ? errno : 0;
  } while (rc == EINTR || rc == EBUSY);
  close(other);
  return rc;
}

bool sdb_os_single_threaded(void) {
  return SINGLE_THREADED;
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
