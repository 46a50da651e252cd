/* SPDX-License-Identifier: MIT
**
** tree_file.c: see tree_file.h.
*/
#include "space/tree_file.h"

#define NAMES_RESERVED_MAX ((uint64_t)1 << 20)

static int load_entry(void *context, uint32_t index, const sdb_entry_image *image, const sdb_op *op) {
  int rc = sdb_tree_add(context, index, image);
  return rc == SEQDB_OK ? rc : sdb_error_nomem(op);
}

int sdb_tree_load(sdb_tree *tree, sdb_names *names, const sdb_regions_file *file, sdb_regions_load *load,
                  const sdb_op *op) {
  sdb_tree_adding adding = {.tree = tree, .names = names};
  sdb_names_load_begin(names, SDB_MIN(file->pages, NAMES_RESERVED_MAX)); /* pages may be free */
  int rc = sdb_regions_read(file, load_entry, &adding, load, op);
  sdb_names_load_end(names);
  if (rc == SEQDB_OK && sdb_tree_list_names(tree, names) != SEQDB_OK) rc = sdb_error_nomem(op);
  return rc;
}

static bool fill_entry(const void *context, uint32_t index, sdb_entry_image *image) {
  const sdb_entry *entry = sdb_tree_get(context, index);
  if (entry) *image = sdb_entry_to_image(entry);
  return entry != NULL;
}

int sdb_tree_store(const sdb_tree *tree, sdb_regions_file *file, uint32_t from, uint32_t to, const sdb_op *op) {
  return sdb_regions_write(file, from, to, fill_entry, tree, op);
}

/* ---- catalog */

#define ASK_ITEMS 4096u /* between two questions whether to go on */

struct listing {
  sdb_tree_adding adding;
  const sdb_regions_load *load;
  uint32_t unasked;
};

static int load_item(void *context, uint32_t index, const sdb_entry_image *image, const sdb_op *op) {
  struct listing *listing = context;
  sdb_tree_adding *adding = &listing->adding;
  const sdb_regions_load *load = listing->load;
  int rc = SEQDB_OK;
  if (++listing->unasked == ASK_ITEMS) {
    listing->unasked = 0;
    rc = load->ask ? load->ask(load->ask_context, op) : SEQDB_OK;
  }
  if (rc != SEQDB_OK) return rc;
  if (image->name_bytes)
    rc = sdb_tree_add(adding, index, image);
  else
    rc = sdb_tree_remove(adding->tree, adding->names, adding->epoch, index);
  return rc == SEQDB_OK ? rc : sdb_error_nomem(op);
}

int sdb_tree_load_catalog(sdb_tree *tree, sdb_names *names, uint64_t epoch, const sdb_catalog_file *file,
                          const sdb_regions_load *load, const sdb_op *op) {
  struct listing listing = {.adding = {.tree = tree, .names = names, .epoch = epoch}, .load = load};
  const sdb_catalog_head *head = &file->head;
  bool whole = false;
  sdb_names_load_begin(names, SDB_MIN(head->entries, NAMES_RESERVED_MAX));
  int rc = sdb_catalog_file_read(file, load_item, &listing, &whole, op);
  sdb_names_load_end(names);
  whole = rc == SEQDB_OK && whole && tree->entries == head->entries && tree->hash == head->entries_hash;
  if (whole && sdb_tree_list_names(tree, names) != SEQDB_OK) rc = sdb_error_nomem(op);
  whole = whole && rc == SEQDB_OK;
  if (!whole) sdb_tree_drop(tree, names);
  return rc;
}

/* Entries to be written, one after the other: all, or those of a list. */
struct giving {
  const sdb_tree *tree;
  uint64_t from;
  const uint32_t *changed;
  size_t count;
};

static bool give_next(void *context, uint32_t *index, sdb_entry_image *image) {
  struct giving *giving = context;
  const sdb_entry *entry = sdb_tree_next(giving->tree, giving->from, index);
  if (!entry) return false;
  *image = sdb_entry_to_image(entry);
  giving->from = (uint64_t)*index + 1;
  return true;
}

static bool give_changed(void *context, uint32_t *index, sdb_entry_image *image) {
  struct giving *giving = context;
  if (giving->count == 0) return false;
  *index = *giving->changed++;
  giving->count--;
  if (!fill_entry(giving->tree, *index, image)) *image = (sdb_entry_image){.name_bytes = 0};
  return true;
}

bool sdb_tree_store_catalog(const sdb_tree *tree, const sdb_catalog_place *place, sdb_catalog_head *head) {
  struct giving giving = {.tree = tree};
  return sdb_catalog_file_write(place, head, give_next, &giving);
}

bool sdb_tree_append_catalog(const sdb_tree *tree, const sdb_catalog_place *place, const sdb_catalog_head *before,
                             sdb_catalog_head *head, const uint32_t *changed, size_t count) {
  struct giving giving = {.tree = tree, .changed = changed, .count = count};
  return sdb_catalog_file_append(place, before, head, give_changed, &giving);
}
