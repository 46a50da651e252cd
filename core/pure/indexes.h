/* SPDX-License-Identifier: MIT
**
** indexes.h: sorted lists of entry indexes, as those that the journal's records name.  Pure: no I/O.
*/
#ifndef SDB_INDEXES_H
#define SDB_INDEXES_H

#include "base/base.h"

/* Sort; what comes twice is left once.  Returns how many there are then.  list may be NULL if count is 0. */
size_t sdb_indexes_sort(uint32_t *list, size_t count);
/* Is it in the sorted list? */
bool sdb_indexes_have(const uint32_t *list, size_t count, uint32_t index);

#endif /* SDB_INDEXES_H */
