/* SPDX-License-Identifier: MIT
**
** rbtree.h: where the platform keeps BSD's <sys/tree.h> (red-black trees as macros).
** Debian has it in libbsd-dev, as a header that needs no library at run time.
*/
#ifndef SDB_RBTREE_H
#define SDB_RBTREE_H

#if defined(__has_include)
#if __has_include(<bsd/sys/tree.h>)
#include <bsd/sys/tree.h>
#else
#include <sys/tree.h>
#endif
#else
#include <sys/tree.h>
#endif

/* RB_GENERATE_STATIC of libbsd needs BSD's __unused; this says the same without it. */
#define SDB_RB_GENERATE(name, type, field, compare) \
  RB_GENERATE_INTERNAL(name, type, field, compare, __attribute__((unused)) static)

#endif /* SDB_RBTREE_H */
