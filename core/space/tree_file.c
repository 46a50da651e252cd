/* SPDX-License-Identifier: MIT
**
** tree_file.c: see tree_file.h.
*/
#include "space/tree_file.h"

#define NAMES_RESERVED_MAX ((uint64_t)1 << 20)

struct loading {
  sdb_tree *tree;
  sdb_names *names;
};

static int load_entry(void *context, uint32_t index, const sdb_entry_image *image, const sdb_op *op) {
  struct loading *loading = context;
  int rc = sdb_tree_put_image(loading->tree, loading->names, 0, index, image);
  return rc == SEQDB_OK ? rc : sdb_error_nomem(op);
}

int sdb_tree_load(sdb_tree *tree, sdb_names *names, sdb_regions_file *file, sdb_regions_load *load, const sdb_op *op) {
  struct loading loading = {tree, names};
  int rc = sdb_regions_measure(file, load, op);
  if (rc != SEQDB_OK) return rc;
  sdb_names_reserve(names, SDB_MIN(file->pages, NAMES_RESERVED_MAX)); /* pages may be free */
  return sdb_regions_read(file, load_entry, &loading, load, op);
}

static bool fill_entry(const void *context, uint32_t index, sdb_entry_image *image) {
  const sdb_entry *entry = sdb_tree_get(context, index);
  if (entry) *image = sdb_entry_to_image(entry);
  return entry != NULL;
}

int sdb_tree_store(const sdb_tree *tree, const sdb_regions_file *file, uint32_t from, uint32_t to, const sdb_op *op) {
  return sdb_regions_write(file, from, to, fill_entry, tree, op);
}
