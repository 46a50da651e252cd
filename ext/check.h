/* SPDX-License-Identifier: MIT
**
** check.h: SDB_ALWAYS(x) and SDB_NEVER(x), as SQLite's ALWAYS() and NEVER(): conditions that have one outcome only.
**
** They stand where code is kept that no test can reach: it guards against a mistake in this program, or against a
** SQLite that behaves otherwise than it was seen to.
**
**   -DSDB_COVERAGE   builds that count branches: a constant, so that the outcome that never comes is not counted
**   -DSDB_CHECKS     test builds: asserted
**   otherwise        tested like any other condition
**
** Not for what can happen: bad input, failing allocations or system calls, other threads and processes.
*/
#ifndef SDB_CHECK_H
#define SDB_CHECK_H

#include <assert.h>

#ifndef SDB_NEVER
#if defined(SDB_COVERAGE)
#define SDB_ALWAYS(x) 1
#define SDB_NEVER(x)  0
#elif defined(SDB_CHECKS)
#define SDB_ALWAYS(x) ((x) ? 1 : (assert(0), 0))
#define SDB_NEVER(x)  ((x) ? (assert(0), 1) : 0)
#else
#define SDB_ALWAYS(x) (x)
#define SDB_NEVER(x)  (x)
#endif
#endif

#endif /* SDB_CHECK_H */
