/* SPDX-License-Identifier: MIT
**
** tree.c: see tree.h.
*/
#include "space/tree.h"

#include <stdatomic.h>
#include "base/check.h"
#include "os/os.h"

void sdb_entry_see(sdb_entry *entry, const sdb_entry *before, uint64_t reusable) {
  if (!before || before->start != entry->start) return;
  uint64_t seen = before->generation > reusable ? SDB_MAX(before->length, before->seen_bytes) : before->length;
  if (seen > entry->length) entry->seen_bytes = SDB_MAX(entry->seen_bytes, seen);
}

/* ---- nodes */

#define FAN_BITS   6u
#define FAN        64u
#define HEIGHT_MAX 6u /* 64^6 indexes are more than 32 bits */

struct sdb_node {
  _Atomic uint32_t refs;
  bool leaf, in_bulk; /* in_bulk: where its memory is from */
  uint64_t epoch;
  uint64_t used; /* bit i: position i holds an entry or a child */
  uint64_t full; /* bit i: below position i no index is unused */
  union {
    sdb_node *child[1]; /* FAN of them in an inner node */
    sdb_entry entry[1]; /* FAN of them in a leaf */
  } u;
};

#define LEAF_BYTES  (offsetof(sdb_node, u) + FAN * sizeof(sdb_entry))
#define INNER_BYTES (offsetof(sdb_node, u) + FAN * sizeof(sdb_node *))

static sdb_node **children(sdb_node *node) {
  return &node->u.child[0];
}
static sdb_node *const *children_const(const sdb_node *node) {
  return &node->u.child[0];
}
static sdb_entry *entries(sdb_node *node) {
  return &node->u.entry[0];
}
static const sdb_entry *entries_const(const sdb_node *node) {
  return &node->u.entry[0];
}

static unsigned position_of(uint32_t index, unsigned level) {
  return (index >> (FAN_BITS * level)) & (FAN - 1);
}
static uint64_t bit(unsigned at) {
  return UINT64_C(1) << at;
}
static sdb_node *node_new(bool leaf, uint64_t epoch, sdb_names *names) {
  size_t bytes = leaf ? LEAF_BYTES : INNER_BYTES;
  sdb_bulk *bulk = sdb_names_bulk(names);
  sdb_node *node = bulk ? sdb_bulk_take(bulk, bytes) : NULL;
  bool in_bulk = node != NULL;
  if (!node) node = sdb_calloc(1, bytes);
  if (node) {
    atomic_init(&node->refs, 1);
    node->leaf = leaf;
    node->in_bulk = in_bulk;
    node->epoch = epoch;
  }
  return node;
}

static void node_free(sdb_node *node) {
  if (node->in_bulk)
    sdb_bulk_give(node);
  else
    sdb_free(node);
}

static void node_unref(sdb_node *node, sdb_names *names) {
  if (!node || atomic_fetch_sub_explicit(&node->refs, 1, memory_order_acq_rel) != 1) return;
  for (uint64_t used = node->used; used; used &= used - 1) {
    unsigned at = sdb_lowest_bit(used);
    if (node->leaf)
      sdb_name_unref(names, entries(node)[at].name);
    else
      node_unref(children(node)[at], names);
  }
  node_free(node);
}

/* The node itself if it may be changed in this epoch, else a copy that takes the caller's reference over. */
static sdb_node *node_own(sdb_node *node, uint64_t epoch, sdb_names *names) {
  if (node->epoch == epoch) return node;
  size_t bytes = node->leaf ? LEAF_BYTES : INNER_BYTES;
  sdb_node *copy = sdb_malloc(bytes);
  if (!copy) return NULL;
  copy->leaf = node->leaf;
  copy->in_bulk = false;
  copy->used = node->used;
  copy->full = node->full;
  memcpy(&copy->u, &node->u, bytes - offsetof(sdb_node, u));
  atomic_init(&copy->refs, 1);
  copy->epoch = epoch;
  for (uint64_t used = copy->used; used; used &= used - 1) {
    unsigned at = sdb_lowest_bit(used);
    if (copy->leaf)
      sdb_name_ref(entries(copy)[at].name);
    else
      atomic_fetch_add_explicit(&children(copy)[at]->refs, 1, memory_order_relaxed);
  }
  node_unref(node, names);
  return copy;
}

/* ---- reading */

static bool covers(const sdb_tree *tree, uint64_t index) {
  return tree->root && index < UINT64_C(1) << (FAN_BITS * (tree->height + 1));
}

const sdb_entry *sdb_tree_get(const sdb_tree *tree, uint32_t index) {
  if (!covers(tree, index)) return NULL;
  const sdb_node *node = tree->root;
  for (unsigned level = tree->height; level > 0; level--) {
    unsigned at = position_of(index, level);
    if (!(node->used & bit(at))) return NULL;
    node = children_const(node)[at];
  }
  unsigned at = position_of(index, 0);
  return node->used & bit(at) ? &entries_const(node)[at] : NULL;
}

static const sdb_entry *next_in(const sdb_node *node, unsigned level, uint64_t from, uint64_t base, uint32_t *index) {
  uint64_t first = from > base ? (from - base) >> (FAN_BITS * level) : 0;
  if (SDB_NEVER(first >= FAN)) return NULL; /* the caller has seen that the tree covers `from` */
  for (uint64_t used = node->used & (UINT64_MAX << first); used; used &= used - 1) {
    unsigned at = sdb_lowest_bit(used);
    uint64_t first_below = base + ((uint64_t)at << (FAN_BITS * level));
    if (level == 0) {
      *index = (uint32_t)first_below;
      return &entries_const(node)[at];
    }
    const sdb_entry *found = next_in(children_const(node)[at], level - 1, from, first_below, index);
    if (found) return found;
  }
  return NULL;
}

const sdb_entry *sdb_tree_next(const sdb_tree *tree, uint64_t from, uint32_t *index) {
  return covers(tree, from) ? next_in(tree->root, tree->height, from, 0, index) : NULL;
}

const sdb_entry *sdb_tree_leaf(const sdb_tree *tree, uint64_t from, uint32_t *base, uint64_t *used) {
  uint32_t index;
  const sdb_entry *entry = sdb_tree_next(tree, from, &index);
  if (!entry) return NULL;
  unsigned at = position_of(index, 0);
  const sdb_entry *first = entry - at;
  const sdb_node *leaf = (const sdb_node *)(const void *)((const char *)first - offsetof(sdb_node, u));
  *base = index - at;
  *used = leaf->used & UINT64_MAX << at;
  return first;
}

uint32_t sdb_tree_unused_index(const sdb_tree *tree) {
  if (!tree->root) return 0;
  const sdb_node *node = tree->root;
  uint32_t index = 0;
  if (node->full == UINT64_MAX) return (uint32_t)(UINT64_C(1) << (FAN_BITS * (tree->height + 1)));
  for (unsigned level = tree->height;; level--) {
    unsigned at = sdb_lowest_bit(~node->full);
    index |= (uint32_t)at << (FAN_BITS * level);
    if (level == 0 || !(node->used & bit(at))) return index;
    node = children_const(node)[at];
  }
}

static bool names_entry(const void *context, const sdb_name *name, uint32_t index) {
  const sdb_entry *entry = sdb_tree_get(context, index);
  return entry && entry->name == name;
}

bool sdb_tree_find(const sdb_tree *tree, sdb_names *names, const char *text, size_t bytes, uint32_t *index) {
  return sdb_names_find(names, text, bytes, names_entry, tree, index);
}

/* ---- changing */

sdb_entry_image sdb_entry_to_image(const sdb_entry *entry) {
  return (sdb_entry_image){.start = entry->start,
                           .length = entry->length,
                           .reserved = entry->reserved,
                           .generation = entry->generation,
                           .created = entry->created,
                           .has_trailer = entry->has_trailer,
                           .name_bytes = entry->name_bytes,
                           .name = sdb_name_text(entry->name)};
}

uint64_t sdb_tree_hash(uint32_t index, const sdb_entry *entry) {
  sdb_entry_image image = sdb_entry_to_image(entry);
  return sdb_entry_hash(index, &image);
}

static void count_in(sdb_tree *tree, uint32_t index, const sdb_entry *entry) {
  tree->entries++;
  tree->content_bytes += entry->length;
  tree->reserved_bytes += entry->reserved;
  tree->hash += sdb_tree_hash(index, entry);
}

static void count_out(sdb_tree *tree, uint32_t index, const sdb_entry *entry) {
  tree->entries--;
  tree->content_bytes -= entry->length;
  tree->reserved_bytes -= entry->reserved;
  tree->hash -= sdb_tree_hash(index, entry);
}

/* Make the root tall enough for `index`. */
static int grow(sdb_tree *tree, uint64_t epoch, uint32_t index, sdb_names *names) {
  if (!tree->root) {
    if (!(tree->root = node_new(true, epoch, names))) return SEQDB_NOMEM;
    tree->height = 0;
  }
  while (!covers(tree, index)) {
    sdb_node *above = node_new(false, epoch, names);
    if (!above) return SEQDB_NOMEM;
    children(above)[0] = tree->root;
    above->used = 1;
    if (tree->root->full == UINT64_MAX) above->full = 1;
    tree->root = above;
    tree->height++;
    assert(tree->height < HEIGHT_MAX);
  }
  return SEQDB_OK;
}

/* Own every node on the path to `index`; path[level] is the node of that level.  NULL child on the way: created if
** `create`.  Copying changes no contents, so a failure half way is harmless. */
static int own_path(sdb_tree *tree, sdb_names *names, uint64_t epoch, uint32_t index, sdb_node *path[HEIGHT_MAX]) {
  sdb_node **link = &tree->root;
  for (unsigned level = tree->height;; level--) {
    sdb_node *node = node_own(*link, epoch, names);
    if (!node) return SEQDB_NOMEM;
    *link = node;
    path[level] = node;
    if (level == 0) return SEQDB_OK;
    unsigned at = position_of(index, level);
    if (!(node->used & bit(at))) {
      sdb_node *child = node_new(level == 1, epoch, names);
      if (!child) return SEQDB_NOMEM;
      children(node)[at] = child;
      node->used |= bit(at);
    }
    link = &children(node)[at];
  }
}

static void mark_full(sdb_node *path[HEIGHT_MAX], unsigned height, uint32_t index, bool full) {
  for (unsigned level = 0; level <= height; level++) {
    unsigned at = position_of(index, level);
    if (full)
      path[level]->full |= bit(at);
    else
      path[level]->full &= ~bit(at);
    if (full && path[level]->full != UINT64_MAX) return;
  }
}

/* Puts it into its leaf, which is this epoch's own.  Takes over the caller's reference on the name.  True: the index
** was unused. */
static bool put_into(sdb_tree *tree, sdb_names *names, sdb_node *leaf, uint32_t index, const sdb_entry *entry) {
  unsigned at = position_of(index, 0);
  bool was_used = (leaf->used & bit(at)) != 0;
  sdb_entry fresh = *entry; /* entry may point into the leaf */
  fresh.name_bytes = (uint16_t)sdb_name_bytes(fresh.name);
  if (was_used) {
    sdb_name *old = entries(leaf)[at].name;
    count_out(tree, index, &entries(leaf)[at]);
    entries(leaf)[at] = fresh;
    sdb_name_unref(names, old);
  } else {
    entries(leaf)[at] = fresh;
    leaf->used |= bit(at);
  }
  count_in(tree, index, &fresh);
  return !was_used;
}

/* path[0] is the leaf. */
static int path_to(sdb_tree *tree, sdb_names *names, uint64_t epoch, uint32_t index, sdb_node *path[HEIGHT_MAX]) {
  int rc = grow(tree, epoch, index, names);
  return rc == SEQDB_OK ? own_path(tree, names, epoch, index, path) : rc;
}

/* Takes over the caller's reference on the name if it succeeds. */
static int put_taken(sdb_tree *tree, sdb_names *names, uint64_t epoch, uint32_t index, const sdb_entry *entry) {
  sdb_node *path[HEIGHT_MAX];
  if (path_to(tree, names, epoch, index, path) != SEQDB_OK) return SEQDB_NOMEM;
  if (put_into(tree, names, path[0], index, entry)) mark_full(path, tree->height, index, true);
  return SEQDB_OK;
}

int sdb_tree_put(sdb_tree *tree, sdb_names *names, uint64_t epoch, uint32_t index, const sdb_entry *entry) {
  sdb_name *name = entry->name; /* entry may point into the leaf */
  sdb_name_ref(name);
  int rc = put_taken(tree, names, epoch, index, entry);
  if (rc != SEQDB_OK) sdb_name_unref(names, name);
  return rc;
}

static sdb_entry from_image(sdb_names *names, uint32_t index, const sdb_entry_image *image) {
  return (sdb_entry){.start = image->start,
                     .length = image->length,
                     .reserved = image->reserved,
                     .generation = image->generation,
                     .created = image->created,
                     .has_trailer = image->has_trailer,
                     .seen_bytes = image->reserved, /* nobody knows how long it was before */
                     .incarnation = 1,
                     .name = sdb_name_new(names, image->name, image->name_bytes, index)};
}

int sdb_tree_put_image(sdb_tree *tree, sdb_names *names, uint64_t epoch, uint32_t index, const sdb_entry_image *image) {
  sdb_entry entry = from_image(names, index, image);
  if (!entry.name) return SEQDB_NOMEM;
  int rc = put_taken(tree, names, epoch, index, &entry);
  if (rc != SEQDB_OK) sdb_name_unref(names, entry.name);
  return rc;
}

/* ---- a load */

static int step_to(sdb_tree_adding *adding, uint32_t index, sdb_node *path[HEIGHT_MAX]) {
  int rc = path_to(adding->tree, adding->names, adding->epoch, index, path);
  if (rc != SEQDB_OK) return rc;
  adding->leaf = path[0];
  adding->base = index - position_of(index, 0);
  return SEQDB_OK;
}

/* In the leaf of the last one nodes above it are looked at only once it is full. */
int sdb_tree_add(sdb_tree_adding *adding, uint32_t index, const sdb_entry_image *image) {
  sdb_node *path[HEIGHT_MAX];
  bool same = adding->leaf && index - position_of(index, 0) == adding->base;
  if (!same && step_to(adding, index, path) != SEQDB_OK) return SEQDB_NOMEM;
  sdb_entry entry = from_image(adding->names, index, image);
  if (!entry.name) return SEQDB_NOMEM;
  if (!put_into(adding->tree, adding->names, adding->leaf, index, &entry)) return SEQDB_OK;
  adding->leaf->full |= bit(position_of(index, 0));
  if (adding->leaf->full != UINT64_MAX) return SEQDB_OK;
  if (same && step_to(adding, index, path) != SEQDB_OK) return SEQDB_NOMEM;
  mark_full(path, adding->tree->height, index, true);
  return SEQDB_OK;
}

int sdb_tree_list_names(const sdb_tree *tree, sdb_names *names) {
  sdb_name *list[FAN];
  uint64_t from = 0, used;
  uint32_t base;
  int rc = SEQDB_OK;
  for (const sdb_entry *leaf; rc == SEQDB_OK && (leaf = sdb_tree_leaf(tree, from, &base, &used));
       from = (uint64_t)base + FAN) {
    size_t count = 0;
    for (; used; used &= used - 1)
      list[count++] = leaf[sdb_lowest_bit(used)].name;
    rc = sdb_names_list(names, list, count);
  }
  return rc;
}

int sdb_tree_own(sdb_tree *tree, sdb_names *names, uint64_t epoch, uint32_t index) {
  sdb_node *path[HEIGHT_MAX];
  assert(sdb_tree_get(tree, index));
  return own_path(tree, names, epoch, index, path);
}

/* Empty nodes stay: a removed index is the next one to be used again. */
int sdb_tree_remove(sdb_tree *tree, sdb_names *names, uint64_t epoch, uint32_t index) {
  sdb_node *path[HEIGHT_MAX];
  if (!sdb_tree_get(tree, index)) return SEQDB_OK;
  if (own_path(tree, names, epoch, index, path) != SEQDB_OK) return SEQDB_NOMEM;
  unsigned at = position_of(index, 0);
  sdb_node *leaf = path[0];
  count_out(tree, index, &entries(leaf)[at]);
  sdb_name_unref(names, entries(leaf)[at].name);
  leaf->used &= ~bit(at);
  mark_full(path, tree->height, index, false);
  return SEQDB_OK;
}

sdb_tree sdb_tree_share(const sdb_tree *tree) {
  if (tree->root) atomic_fetch_add_explicit(&tree->root->refs, 1, memory_order_relaxed);
  return *tree;
}

void sdb_tree_drop(sdb_tree *tree, sdb_names *names) {
  node_unref(tree->root, names);
  memset(tree, 0, sizeof *tree);
}

/* ---- difference */

static bool same_entry(const sdb_entry *a, const sdb_entry *b) {
  return a->start == b->start && a->length == b->length && a->reserved == b->reserved && a->name == b->name &&
         a->incarnation == b->incarnation && a->generation == b->generation && a->created == b->created &&
         a->has_trailer == b->has_trailer;
}

/* Whom to call, and of two roots of different height the lower one, which stands for position 0 of the levels above
** it. */
struct diff {
  sdb_tree_visit *visit;
  void *context;
  const sdb_node *low;
  unsigned low_level;
  bool low_is_before;
};

static int diff_leaf(const struct diff *d, const sdb_node *a, const sdb_node *b, uint32_t base) {
  for (uint64_t used = (a ? a->used : 0) | (b ? b->used : 0); used; used &= used - 1) {
    unsigned at = sdb_lowest_bit(used);
    const sdb_entry *before = a && (a->used & bit(at)) ? &entries_const(a)[at] : NULL;
    const sdb_entry *after = b && (b->used & bit(at)) ? &entries_const(b)[at] : NULL;
    if (before && after && same_entry(before, after)) continue;
    int rc = d->visit(d->context, base + at, before, after);
    if (rc) return rc;
  }
  return 0;
}

/* `a` and `b` are of the same level; NULL: nothing there. */
static int diff_node(const struct diff *d, const sdb_node *a, const sdb_node *b, unsigned level, uint32_t base) {
  if (a == b) return 0;
  if (level == 0) return diff_leaf(d, a, b, base);
  for (uint64_t used = (a ? a->used : 0) | (b ? b->used : 0); used; used &= used - 1) {
    unsigned at = sdb_lowest_bit(used);
    const sdb_node *below_a = a && (a->used & bit(at)) ? children_const(a)[at] : NULL;
    const sdb_node *below_b = b && (b->used & bit(at)) ? children_const(b)[at] : NULL;
    int rc = diff_node(d, below_a, below_b, level - 1, base + ((uint32_t)at << (FAN_BITS * level)));
    if (rc) return rc;
  }
  return 0;
}

/* `tall`, of the taller tree (NULL: nothing there), against the lower root. */
static int diff_low(const struct diff *d, const sdb_node *tall, unsigned level, uint32_t base) {
  return d->low_is_before ? diff_node(d, d->low, tall, level, base) : diff_node(d, tall, d->low, level, base);
}

/* `tall` against a tree that has nothing there. */
static int diff_alone(const struct diff *d, const sdb_node *tall, unsigned level, uint32_t base) {
  return d->low_is_before ? diff_node(d, NULL, tall, level, base) : diff_node(d, tall, NULL, level, base);
}

/* `tall` covers the lowest indexes of the taller tree. */
static int diff_tall(const struct diff *d, const sdb_node *tall, unsigned level) {
  if (level == d->low_level) return diff_low(d, tall, level, 0);
  int rc = diff_tall(d, tall && (tall->used & 1) ? children_const(tall)[0] : NULL, level - 1);
  for (uint64_t used = tall ? tall->used & ~UINT64_C(1) : 0; used && !rc; used &= used - 1) {
    unsigned at = sdb_lowest_bit(used);
    rc = diff_alone(d, children_const(tall)[at], level - 1, (uint32_t)at << (FAN_BITS * level));
  }
  return rc;
}

int sdb_tree_diff(const sdb_tree *before, const sdb_tree *after, sdb_tree_visit *visit, void *context) {
  struct diff d = {.visit = visit, .context = context};
  if (!before->root && !after->root) return 0;
  if (!before->root) return diff_node(&d, NULL, after->root, after->height, 0);
  if (!after->root) return diff_node(&d, before->root, NULL, before->height, 0);
  d.low_is_before = before->height <= after->height;
  const sdb_tree *low = d.low_is_before ? before : after, *tall = d.low_is_before ? after : before;
  d.low = low->root;
  d.low_level = low->height;
  return diff_tall(&d, tall->root, tall->height);
}
