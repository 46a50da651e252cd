/* SPDX-License-Identifier: MIT
**
** os_shared.c: the part of os.h that processes meet by: locks on bytes, memory shared through a file, what a forked
** child must not have.
** OWNS: the list of what forked children must not have, and its mutex.
** THREADS: any.
** INVARIANTS
**   - A lock is never waited for: a call here returns although its owner is stopped.
**   - The mutex is held while a process forks: no child finds the list half changed.
*/
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* F_OFD_SETLK */
#endif
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>
#include "os/os.h"

/* ---- locks on bytes ---------------------------------------------------------------------------------------- */

#ifdef F_OFD_SETLK
/* Kernels before 3.15 say EINVAL; file systems that cannot lock say one of the others. */
static int lock_error(int os) {
  switch (os) {
    case EACCES:
    case EAGAIN:
      return EWOULDBLOCK;
    case EINVAL:
    case ENOSYS:
    case EOPNOTSUPP:
      return ENOTSUP;
    default:
      return os;
  }
}

/* l_len of 0: up to the largest offset. */
static int set_lock(sdb_fd file, short kind, uint64_t at, off_t bytes) {
  int rc;
  do {
    struct flock range = {.l_type = kind, .l_whence = SEEK_SET, .l_start = (off_t)at, .l_len = bytes};
    rc = fcntl(file, F_OFD_SETLK, &range);
  } while (rc != 0 && errno == EINTR);
  return rc == 0 ? 0 : lock_error(errno);
}

int sdb_os_lock_byte(sdb_fd file, uint64_t at, bool exclusive) {
  return set_lock(file, exclusive ? F_WRLCK : F_RDLCK, at, 1);
}

int sdb_os_unlock_byte(sdb_fd file, uint64_t at) {
  return set_lock(file, F_UNLCK, at, 1);
}

int sdb_os_unlock_all_bytes(sdb_fd file) {
  return set_lock(file, F_UNLCK, 0, 0);
}

int sdb_os_byte_is_locked(sdb_fd file, uint64_t at, bool *locked) {
  struct flock range;
  int rc;
  do {
    range = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)at, .l_len = 1};
    rc = fcntl(file, F_OFD_GETLK, &range);
  } while (rc != 0 && errno == EINTR);
  if (rc != 0) {
    return lock_error(errno);
  }
  *locked = range.l_type != F_UNLCK;
  return 0;
}
#else /* locks of a process would do for one copy of the library in it only */
int sdb_os_lock_byte(sdb_fd file, uint64_t at, bool exclusive) {
  (void)file;
  (void)at;
  (void)exclusive;
  return ENOTSUP;
}

int sdb_os_unlock_byte(sdb_fd file, uint64_t at) {
  (void)file;
  (void)at;
  return ENOTSUP;
}

int sdb_os_unlock_all_bytes(sdb_fd file) {
  (void)file;
  return ENOTSUP;
}

int sdb_os_byte_is_locked(sdb_fd file, uint64_t at, bool *locked) {
  (void)file;
  (void)at;
  (void)locked;
  return ENOTSUP;
}
#endif

/* ---- shared memory ----------------------------------------------------------------------------------------- */

int sdb_os_share(sdb_fd file, size_t bytes, void **address) {
  if (!SDB_WORDS_ARE_SHAREABLE) {
    return ENOTSUP;
  }
  void *mapped = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (mapped == MAP_FAILED) {
    return errno;
  }
  *address = mapped;
  return 0;
}

void sdb_os_unshare(void *address, size_t bytes) {
  if (address != NULL) {
    munmap(address, bytes);
  }
}

uint64_t sdb_os_pid(void) {
  return (uint64_t)getpid();
}

/* ---- forked children --------------------------------------------------------------------------------------- */

static pthread_mutex_t parents_mutex = PTHREAD_MUTEX_INITIALIZER;
static sdb_os_parent *parents;

void sdb_os_parent_only(sdb_os_parent *kept) {
  pthread_mutex_lock(&parents_mutex);
  kept->next = parents;
  kept->back = &parents;
  if (parents != NULL) {
    parents->back = &kept->next;
  }
  parents = kept;
  pthread_mutex_unlock(&parents_mutex);
}

void sdb_os_parent_forget(sdb_os_parent *kept) {
  pthread_mutex_lock(&parents_mutex);
  if (kept->back != NULL) {
    *kept->back = kept->next;
    if (kept->next != NULL) {
      kept->next->back = kept->back;
    }
    kept->back = NULL;
  }
  pthread_mutex_unlock(&parents_mutex);
}

/* Mapped anew and not unmapped: whoever looks there in the child, against the rules, finds an empty board and no
** signal. */
static void forsake(sdb_os_parent *kept) {
  for (size_t i = 0; i < sizeof kept->files / sizeof kept->files[0]; i++) {
    if (kept->files[i] != NULL && *kept->files[i] >= 0) {
      close(*kept->files[i]);
      *kept->files[i] = -1;
    }
  }
  if (kept->shared != NULL) {
    (void)mmap(kept->shared, kept->shared_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON | MAP_FIXED, -1, 0);
  }
  kept->back = NULL;
}

static void before_fork(void) {
  pthread_mutex_lock(&parents_mutex);
}

static void after_fork(void) {
  pthread_mutex_unlock(&parents_mutex);
}

static void in_child(void) {
  while (parents != NULL) {
    sdb_os_parent *kept = parents;
    parents = kept->next;
    forsake(kept);
  }
  parents_mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

__attribute__((constructor)) static void watch_forks(void) { /* when the library is loaded */
  (void)pthread_atfork(before_fork, after_fork, in_child);   /* without memory for it a child keeps what it inherits */
}
