/* SPDX-License-Identifier: MIT
**
** extents.h: which extents of `data` the entries of a tree own, in their order in the file.
*/
#ifndef SDB_EXTENTS_H
#define SDB_EXTENTS_H

#include "space/tree.h"

typedef struct sdb_owned_extent {
  uint64_t start, bytes;
  uint32_t index; /* of the entry that owns it */
} sdb_owned_extent;

/* Extents of a tree, sorted by start; *extents is freed with sdb_free (NULL if there are none).  Errors: NOMEM. */
int sdb_tree_extents(const sdb_tree *tree, sdb_owned_extent **extents, size_t *count);

#endif /* SDB_EXTENTS_H */
