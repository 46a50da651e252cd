/* SPDX-License-Identifier: MIT
**
** check.h: conditions that are known to be always true, or never, and are tested all the same.
**
** `if (SDB_NEVER(x)) return error;` says: x cannot happen, and should it happen, the engine still does the right thing.
**   test builds (-DSDB_CHECKS)       assert that it does not happen
**   coverage builds (-DSDB_COVERAGE) are told so: the branch that is never taken is not there
**   all others                       test it: a defence in depth
** What can happen (a race, no memory, a call that fails, bytes of a file) is never marked so.
*/
#ifndef SDB_CHECK_H
#define SDB_CHECK_H

#include <assert.h>
#include <stdbool.h>

#if defined(SDB_COVERAGE)
#define SDB_ALWAYS(x) true
#define SDB_NEVER(x)  false
#elif defined(SDB_CHECKS)
static inline bool sdb_check_always(bool x) {
  assert(x);
  return x;
}
static inline bool sdb_check_never(bool x) {
  assert(!x);
  return x;
}
#define SDB_ALWAYS(x) sdb_check_always(x)
#define SDB_NEVER(x)  sdb_check_never(x)
#else
#define SDB_ALWAYS(x) (x)
#define SDB_NEVER(x)  (x)
#endif

#endif /* SDB_CHECK_H */
