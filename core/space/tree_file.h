/* SPDX-License-Identifier: MIT
**
** tree_file.h: the tree of entries, read from the file `regions` and written to it.
** THREADS: reading happens at open; writing is the writer's.
*/
#ifndef SDB_TREE_FILE_H
#define SDB_TREE_FILE_H

#include "files/regions_file.h"
#include "space/tree.h"

/* Read every entry of the file into *tree (empty before), in epoch 0.  Damaged pages are listed in *load, not in the
** tree.  Errors: IO, NOMEM, CORRUPT; the tree has some entries then. */
int sdb_tree_load(sdb_tree *tree, sdb_names *names, sdb_regions_file *file, sdb_regions_load *load, const sdb_op *op);
/* Write pages `from`..`to` - 1 as the tree has them.  Not synced.  The file must be guarded and large enough. */
int sdb_tree_store(const sdb_tree *tree, const sdb_regions_file *file, uint32_t from, uint32_t to, const sdb_op *op);

#endif /* SDB_TREE_FILE_H */
