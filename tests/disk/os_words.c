/* SPDX-License-Identifier: MIT
**
** os_words.c: accesses to memory that processes share, in test builds: counted, and each a scheduling point.
** OWNS: nothing.  THREADS: any.
*/
#pragma GCC visibility push(default) /* the second copy of the library uses these functions too */
#include "disk/os/word.h"
#include "os_faults.h"

uint64_t sdb_word_load(const sdb_word *word) {
  sdb_fault_point();
  return atomic_load((sdb_word *)(uintptr_t)word);
}

void sdb_word_store(sdb_word *word, uint64_t value) {
  sdb_fault_point();
  atomic_store(word, value);
}

bool sdb_word_replace(sdb_word *word, uint64_t old, uint64_t value) {
  sdb_fault_point();
  return atomic_compare_exchange_strong(word, &old, value);
}
