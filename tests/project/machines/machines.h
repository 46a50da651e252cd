/* SPDX-License-Identifier: MIT
**
** machines.h: the engine's tests without Tcl, for processors and C libraries that the machine at hand only emulates.
** The program links core/ as a test build (SDB_CHECKS); machines.c lists its commands. Everything random comes from
** seeds, so that all machines do, and write, the same.
*/
#ifndef SDB_MACHINES_H
#define SDB_MACHINES_H

#include "base/base.h"
#include "seqdb.h"

/* Say what is not as it should be, and end the program with status 1. */
_Noreturn void machines_fail(const char *format, ...) SDB_PRINTF(1, 2);
/* The same unless rc is SEQDB_OK; `db` may be NULL. */
void machines_ok(int rc, seqdb *db, const char *what);

/* Random numbers that depend on the seed alone (splitmix64). */
typedef struct machines_random {
  uint64_t state;
} machines_random;
uint64_t machines_next(machines_random *random);
size_t machines_below(machines_random *random, size_t bound);

/* FNV-1a: a sum that owes nothing to the library under test. */
#define MACHINES_SUM_START UINT64_C(0xcbf29ce484222325)
uint64_t machines_sum(uint64_t sum, const void *bytes, size_t count);

/* From now on all uuids, salts and tokens come from this seed, the same on machines of either byte order. */
void machines_seed(uint64_t seed);

/* Open with these flags and, if not NULL, this coordinator. */
seqdb *machines_open(const char *directory, unsigned flags, const char *coordinator);
/* Fails if seqdb_check() has anything to say. */
void machines_check(seqdb *db);

/* ---- commands */
void machines_format(void);                                   /* golden.c */
void machines_relay(const char *directory, uint64_t step);    /* relay.c */
void machines_verify(const char *directory, uint64_t step);   /* relay.c */
void machines_map(const char *directory);                     /* files.c */
void machines_large(const char *directory, bool verify_only); /* files.c */
void machines_threads(const char *directory);                 /* files.c */

#endif /* SDB_MACHINES_H */
