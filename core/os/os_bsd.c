/* SPDX-License-Identifier: MIT
**
** os_bsd.c: the parts of os.h that macOS and FreeBSD do in the same way, which is not that of Linux.
** OWNS: nothing.  THREADS: any.
*/
#include <errno.h>
#include <sys/param.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>
#include "os/os.h"

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

bool sdb_os_dense(sdb_fd file) {
  (void)file;
  return false;
}

bool sdb_os_may_fill_holes(sdb_fd file) {
  (void)file;
  return false;
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
