/* SPDX-License-Identifier: MIT
**
** indexes.c: see indexes.h.
*/
#include "pure/indexes.h"

#include <stdlib.h>

static int compare(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

size_t sdb_indexes_sort(uint32_t *list, size_t count) {
  size_t unique = 0;
  if (count > 0) qsort(list, count, sizeof *list, compare);
  for (size_t i = 0; i < count; i++)
    if (unique == 0 || list[unique - 1] != list[i]) list[unique++] = list[i];
  return unique;
}

bool sdb_indexes_have(const uint32_t *list, size_t count, uint32_t index) {
  return count > 0 && bsearch(&index, list, count, sizeof index, compare) != NULL;
}
