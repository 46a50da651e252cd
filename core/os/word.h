/* SPDX-License-Identifier: MIT
**
** word.h: numbers in memory that processes share.  All accesses are sequentially consistent: a pin is stored before the
** published state is loaded, in every process's eyes (S2).
** OWNS: nothing.  THREADS: any, of any process that maps the memory.
** INVARIANT: an access is one machine access, without a lock; sdb_os_share() refuses machines where it is not.
*/
#ifndef SDB_WORD_H
#define SDB_WORD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef _Atomic uint64_t sdb_word;
#define SDB_WORDS_ARE_SHAREABLE (ATOMIC_LLONG_LOCK_FREE == 2)

static inline uint64_t sdb_word_load(const sdb_word *word) {
  return atomic_load((sdb_word *)(uintptr_t)word); /* C11 wants it without const */
}
static inline void sdb_word_store(sdb_word *word, uint64_t value) {
  atomic_store(word, value);
}
/* Store `value` if *word is `old`. */
static inline bool sdb_word_replace(sdb_word *word, uint64_t old, uint64_t value) {
  return atomic_compare_exchange_strong(word, &old, value);
}

#endif /* SDB_WORD_H */
