/* SPDX-License-Identifier: MIT
**
** tree_file.h: the tree of entries, read from the files `regions` and `catalog` and written to them.
** THREADS: reading happens at open; writing is the writer's.
*/
#ifndef SDB_TREE_FILE_H
#define SDB_TREE_FILE_H

#include "files/catalog_file.h"
#include "files/regions_file.h"
#include "space/tree.h"

/* Read every entry of the file, which was measured, into *tree (empty before), in epoch 0.  Damaged pages are listed in
** *load, not in the tree.  Errors: IO, NOMEM; the tree has some entries then. */
int sdb_tree_load(sdb_tree *tree, sdb_names *names, const sdb_regions_file *file, sdb_regions_load *load,
                  const sdb_op *op);
/* The same from an open `catalog`, in the epoch given.  The tree stays empty if that does not list what its head says.
** `load`: whom to ask whether to go on.  Errors: NOMEM, INTERRUPTED; the tree is empty then. */
int sdb_tree_load_catalog(sdb_tree *tree, sdb_names *names, uint64_t epoch, const sdb_catalog_file *file,
                          const sdb_regions_load *load, const sdb_op *op);
/* Write pages `from`..`to` - 1 as the tree has them.  Not synced.  The file must be guarded and large enough. */
int sdb_tree_store(const sdb_tree *tree, sdb_regions_file *file, uint32_t from, uint32_t to, const sdb_op *op);
/* Write all entries into a new `catalog`, or those of the sorted list behind what it has.  See catalog_file.h. */
bool sdb_tree_store_catalog(const sdb_tree *tree, const sdb_catalog_place *place, sdb_catalog_head *head);
bool sdb_tree_append_catalog(const sdb_tree *tree, const sdb_catalog_place *place, const sdb_catalog_head *before,
                             sdb_catalog_head *head, const uint32_t *changed, size_t count);

#endif /* SDB_TREE_FILE_H */
