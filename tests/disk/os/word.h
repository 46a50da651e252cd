/* SPDX-License-Identifier: MIT
**
** word.h: core/os/word.h as test builds have it: each access is a call, and so a scheduling point (os_words.c).  It
** stands before the other one in the order of include directories.
*/
#ifndef SDB_WORD_H
#define SDB_WORD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef _Atomic uint64_t sdb_word;
#define SDB_WORDS_ARE_SHAREABLE (ATOMIC_LLONG_LOCK_FREE == 2)

uint64_t sdb_word_load(const sdb_word *word);
void sdb_word_store(sdb_word *word, uint64_t value);
bool sdb_word_replace(sdb_word *word, uint64_t old, uint64_t value);

#endif /* SDB_WORD_H */
