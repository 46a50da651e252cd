/* SPDX-License-Identifier: MIT
**
** extents.c: see extents.h.
*/
#include "space/extents.h"

#include <stdlib.h>
#include "os/os.h"

static int by_start(const void *a, const void *b) {
  uint64_t x = ((const sdb_owned_extent *)a)->start, y = ((const sdb_owned_extent *)b)->start;
  return x < y ? -1 : x > y;
}

int sdb_tree_extents(const sdb_tree *tree, sdb_owned_extent **extents, size_t *count) {
  size_t n = 0;
  uint32_t base;
  *extents = NULL;
  *count = 0;
  if (tree->entries == 0) return SEQDB_OK;
  sdb_owned_extent *list = sdb_malloc((size_t)tree->entries * sizeof *list);
  if (!list) return SEQDB_NOMEM;
  uint64_t from = 0, used;
  for (const sdb_entry *leaf; (leaf = sdb_tree_leaf(tree, from, &base, &used)); from = (uint64_t)base + 64)
    for (; used; used &= used - 1) {
      unsigned at = sdb_lowest_bit(used);
      list[n++] = (sdb_owned_extent){leaf[at].start, leaf[at].reserved, base + at};
    }
  bool sorted = true; /* as most databases are */
  for (size_t i = 1; i < n && sorted; i++)
    sorted = list[i - 1].start <= list[i].start;
  if (!sorted) qsort(list, n, sizeof *list, by_start);
  *extents = list;
  *count = n;
  return SEQDB_OK;
}
