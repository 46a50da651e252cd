/* SPDX-License-Identifier: MIT
**
** syscalls.c: single calls of the C library that fail on demand, beneath os_posix.c and os_linux.c.  The faults of
** tests/disk/os_faults.h take the place of a whole function of os.h; these make one call inside it fail, so that what
** it does then is seen too: try again after EINTR, close what it opened, tell the error.
**
**   sdb_syscall fail NAME ERRNO ?COUNT? ?SKIP?    the next COUNT (1) calls of NAME fail, after SKIP (0) that do not;
**                                                 earlier rules are forgotten
**   sdb_syscall left                              how many of them have not been made
**
** NAME: fallocate, fcntl (in its form for duplicates), flock, fstat, fsync, ftruncate, getentropy, lseek, madvise,
** mmap, openat, statx, pread and pwrite (the last two move nothing and have no error: the end of the file, a disk
** without room).
**
** The definitions below are hidden, so this library alone calls them; without a rule they call the next ones: the C
** library's, or a sanitizer's.
*/
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "lib/test_tcl.h"
#include "lib/testfixture.h"

enum {
  FALLOCATE,
  FCNTL,
  FLOCK,
  FSTAT,
  FSYNC,
  FTRUNCATE,
  GETENTROPY,
  LSEEK,
  MADVISE,
  MMAP,
  OPENAT,
  PREAD,
  PWRITE,
  STATX,
  CALLS
};
static const char *const names[CALLS + 1] = {"fallocate", "fcntl",      "flock",  "fstat",   "fsync",
                                             "ftruncate", "getentropy", "lseek",  "madvise", "mmap",
                                             "openat",    "pread",      "pwrite", "statx",   NULL};

static _Atomic int armed = CALLS, skipped, count, failure; /* `count` last set and first read */

/* Does this call fail?  errno is set then. */
static bool fails(int call) {
  if (atomic_load(&count) <= 0 || atomic_load(&armed) != call || atomic_fetch_sub(&skipped, 1) > 0) {
    return false;
  }
  atomic_fetch_sub(&count, 1);
  errno = atomic_load(&failure);
  return true;
}

/* The function itself into *function, a pointer to one.  With 64-bit offsets glibc calls some of them name64; they are
** the same ones where an address has 64 bits. */
static void next(int call, void *function) {
  static void *_Atomic found[CALLS];
  void *symbol = atomic_load(&found[call]);
  if (symbol == NULL) {
    char wide[32];
    snprintf(wide, sizeof wide, "%s64", names[call]);
    symbol = sizeof(void *) < 8 ? dlsym(RTLD_DEFAULT, wide) : NULL;
    symbol = symbol != NULL ? symbol : dlsym(RTLD_DEFAULT, names[call]);
    atomic_store(&found[call], symbol);
  }
  memcpy(function, &symbol, sizeof symbol);
}

/* ---- the calls --------------------------------------------------------------------------------------------- */

int fallocate(int fd, int mode, off_t offset, off_t bytes) {
  int (*real)(int, int, off_t, off_t);
  next(FALLOCATE, &real);
  return fails(FALLOCATE) ? -1 : real(fd, mode, offset, bytes);
}

int fcntl(int fd, int command, ...) {
  int (*real)(int, int, ...);
  va_list arguments;
  va_start(arguments, command);
  void *argument = va_arg(arguments, void *); /* as the C libraries themselves take it */
  va_end(arguments);
  next(FCNTL, &real);
  return command == F_DUPFD_CLOEXEC && fails(FCNTL) ? -1 : real(fd, command, argument);
}

int flock(int fd, int operation) {
  int (*real)(int, int);
  next(FLOCK, &real);
  return fails(FLOCK) ? -1 : real(fd, operation);
}

int fstat(int fd, struct stat *info) {
  int (*real)(int, struct stat *);
  next(FSTAT, &real);
  return fails(FSTAT) ? -1 : real(fd, info);
}

#if defined(STATX_SIZE)
int statx(int dir, const char *path, int flags, unsigned wanted, struct statx *info) {
  int (*real)(int, const char *, int, unsigned, struct statx *);
  next(STATX, &real);
  return fails(STATX) ? -1 : real(dir, path, flags, wanted, info);
}
#endif

int fsync(int fd) {
  int (*real)(int);
  next(FSYNC, &real);
  return fails(FSYNC) ? -1 : real(fd);
}

int ftruncate(int fd, off_t bytes) {
  int (*real)(int, off_t);
  next(FTRUNCATE, &real);
  return fails(FTRUNCATE) ? -1 : real(fd, bytes);
}

int getentropy(void *buffer, size_t bytes) {
  int (*real)(void *, size_t);
  next(GETENTROPY, &real);
  return fails(GETENTROPY) ? -1 : real(buffer, bytes);
}

off_t lseek(int fd, off_t offset, int whence) {
  off_t (*real)(int, off_t, int);
  next(LSEEK, &real);
  return fails(LSEEK) ? -1 : real(fd, offset, whence);
}

int madvise(void *address, size_t bytes, int advice) {
  int (*real)(void *, size_t, int);
  next(MADVISE, &real);
  return fails(MADVISE) ? -1 : real(address, bytes, advice);
}

void *mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset) {
  void *(*real)(void *, size_t, int, int, int, off_t);
  next(MMAP, &real);
  return fails(MMAP) ? MAP_FAILED : real(address, bytes, protection, flags, fd, offset);
}

int openat(int dir, const char *path, int flags, ...) {
  int (*real)(int, const char *, int, ...);
  va_list arguments;
  va_start(arguments, flags);
  unsigned mode = va_arg(arguments, unsigned); /* our callers always give it */
  va_end(arguments);
  next(OPENAT, &real);
  return fails(OPENAT) ? -1 : real(dir, path, flags, mode);
}

ssize_t pread(int fd, void *buffer, size_t bytes, off_t offset) {
  ssize_t (*real)(int, void *, size_t, off_t);
  next(PREAD, &real);
  return fails(PREAD) ? 0 : real(fd, buffer, bytes, offset);
}

ssize_t pwrite(int fd, const void *buffer, size_t bytes, off_t offset) {
  ssize_t (*real)(int, const void *, size_t, off_t);
  next(PWRITE, &real);
  return fails(PWRITE) ? 0 : real(fd, buffer, bytes, offset);
}

/* ---- sdb_syscall ------------------------------------------------------------------------------------------- */

static int run_fail(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  int call, error, times = 1, skip = 0;
  if (Tcl_GetIndexFromObj(interp, argv[0], names, "call", TCL_EXACT, &call) != TCL_OK ||
      sdb_test_errno_of(interp, argv[1], &error) != TCL_OK ||
      (argc > 2 && Tcl_GetIntFromObj(interp, argv[2], &times) != TCL_OK) ||
      (argc > 3 && Tcl_GetIntFromObj(interp, argv[3], &skip) != TCL_OK)) {
    return TCL_ERROR;
  }
  atomic_store(&count, 0);
  atomic_store(&armed, call);
  atomic_store(&failure, error);
  atomic_store(&skipped, skip);
  atomic_store(&count, times);
  return TCL_OK;
}

static int run_left(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)argc, (void)argv;
  Tcl_SetObjResult(interp, Tcl_NewIntObj(atomic_load(&count)));
  return TCL_OK;
}

static const sdb_test_sub subs[] = {
    {"fail", 2, 4, "name errno ?count? ?skip?", run_fail}, {"left", 0, 0, NULL, run_left}, {NULL, 0, 0, NULL, NULL}};

int sdb_test_syscalls_init(Tcl_Interp *interp) {
  Tcl_CreateObjCommand(interp, "sdb_syscall", sdb_test_dispatch, (ClientData)(uintptr_t)subs, NULL);
  return TCL_OK;
}
