/* SPDX-License-Identifier: MIT
**
** glibc_2_28.h: binds a build to symbols that glibc 2.28 has, so that one binary runs on every glibc from there on.
** Included before everything else when meson is told -Dportable=true; the sources do not know of it.
**
** A newer glibc offers these functions under newer versions too, and the linker takes the newest.  Here each is named
** with the version that it first had, which every later glibc keeps.  Before 2.34 some lie in libpthread.so.0: the
** library then names that too (meson.build), which newer ones keep as an empty file.  The rest is no newer than 2.28.
*/
#ifndef SDB_GLIBC_2_28_H
#define SDB_GLIBC_2_28_H

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#ifndef __GLIBC__
#error "-Dportable=true is for glibc: build for another C library without it"
#endif

/* The first version of glibc on the machine, and the number of its struct stat, for the calls below. */
#if defined(__x86_64__)
#define SDB_OLDEST       "GLIBC_2.2.5"
#define SDB_SETCLOCK     "GLIBC_2.3.3"
#define SDB_STAT_VERSION 1
#elif defined(__aarch64__)
#define SDB_OLDEST       "GLIBC_2.17"
#define SDB_SETCLOCK     "GLIBC_2.17"
#define SDB_STAT_VERSION 0
#else
#error "-Dportable=true knows x86_64 and aarch64: add this machine's versions, or build without it"
#endif

#define SDB_BIND(function, version) __asm__(".symver " #function ", " #function "@" version)

SDB_BIND(pthread_rwlock_init, SDB_OLDEST);
SDB_BIND(pthread_rwlock_destroy, SDB_OLDEST);
SDB_BIND(pthread_rwlock_rdlock, SDB_OLDEST);
SDB_BIND(pthread_rwlock_wrlock, SDB_OLDEST);
SDB_BIND(pthread_rwlock_unlock, SDB_OLDEST);
SDB_BIND(pthread_condattr_setclock, SDB_SETCLOCK);

/* Until 2.33 stat() and its sisters were inline functions that called these. */
int __xstat64(int version, const char *path, struct stat *st);
int __lxstat64(int version, const char *path, struct stat *st);
int __fxstat64(int version, int fd, struct stat *st);
SDB_BIND(__xstat64, SDB_OLDEST);
SDB_BIND(__lxstat64, SDB_OLDEST);
SDB_BIND(__fxstat64, SDB_OLDEST);
#define stat(path, st)  __xstat64(SDB_STAT_VERSION, path, st)
#define lstat(path, st) __lxstat64(SDB_STAT_VERSION, path, st)
#define fstat(fd, st)   __fxstat64(SDB_STAT_VERSION, fd, st)

#endif /* SDB_GLIBC_2_28_H */
