/* SPDX-License-Identifier: MIT
**
** extents.h: who owns which extent of `data`, in the order in which they lie there..
** THREADS: none of its own; the tree must not change meanwhile.
*/
#ifndef SDB_EXTENTS_H
#define SDB_EXTENTS_H

#include "space/tree.h"

typedef struct sdb_owned_extent {
  uint64_t start, bytes;
  uint32_t index; /* of the entry that owns it */
} sdb_owned_extent;

/* The extents of all entries, by start.  *extents is freed with sdb_free (NULL if there are none).  NOMEM. */
int sdb_tree_extents(const sdb_tree *tree, sdb_owned_extent **extents, size_t *count);

#endif /* SDB_EXTENTS_H */
