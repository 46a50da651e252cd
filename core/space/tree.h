/* SPDX-License-Identifier: MIT
**
** tree.h: the persistent tree of entries: one root per generation or savepoint, which shares what is unchanged with its
** neighbours.  How a catalog keeps the list of all regions.
**
**     root of 7 --> [ inner  ] ----> [ leaf: entries 0..63 ]  <---- [ inner' ] <-- root of 8, which changed entry 70
**                        |                                               |
**                        '---------> [ leaf: 64..127 ]                   '-------> [ leaf': 64..127 ]
**
** A root (sdb_tree) is a value.  Sharing one costs a reference.  Changing one copies the nodes on the way to the
** entry, except nodes made in the same epoch: those belong to this root alone.  So a savepoint costs one reference, a
** commit copies about 3 nodes per changed region, and to undo anything is to go back to an older root.  Leaves hold 64
** entries, inner nodes 64 children; every node knows which of its positions are used and which are full.
** INVARIANT: a node whose epoch is e is reachable from no root that was shared before e began.
** THREADS: roots handed to readers are immutable; reference counts are atomic; a root under change has one owner.
*/
#ifndef SDB_TREE_H
#define SDB_TREE_H

#include "pure/entry_page.h"
#include "space/names.h"

/* ---- entries */
typedef struct sdb_entry {
  uint64_t start, length, reserved;
  uint64_t generation; /* commit that last changed it; 0: by rawdb */
  uint64_t created;    /* commit that made it; 0: unknown */
  /* How much of the extent may be seen by others: older savepoints of the transaction that changed the entry last, and
  ** members in other processes that read a generation older than its own. */
  uint64_t seen_bytes;
  sdb_name *name;       /* a reference held by the tree */
  uint32_t incarnation; /* distinguishes regions that had this index one after the other */
  uint16_t name_bytes;  /* of name, so that a scan need not touch it; filled by put */
  bool has_trailer;     /* on disk; false: written by rawdb */
} sdb_entry;

/* As it is to stand on disk; the name belongs to the entry. */
sdb_entry_image sdb_entry_to_image(const sdb_entry *entry);

/* The entry takes the place of `before`, the last commit's (NULL: there was none): members in other processes may see
** what that one has, or had, of the extent.  They read generations from `reusable` on. */
void sdb_entry_see(sdb_entry *entry, const sdb_entry *before, uint64_t reusable);

typedef struct sdb_node sdb_node;
typedef struct sdb_tree {
  sdb_node *root; /* NULL: empty */
  unsigned height;
  uint64_t entries, content_bytes, reserved_bytes;
  uint64_t hash; /* sum of sdb_tree_hash() over all entries */
} sdb_tree;

/* The term of one entry in the tree's hash. */
uint64_t sdb_tree_hash(uint32_t index, const sdb_entry *entry);

/* Entry of that index, or NULL.  Valid while the root is referenced (and, for a root under change, until changed). */
const sdb_entry *sdb_tree_get(const sdb_tree *tree, uint32_t index);
/* First used index >= `from`; NULL if there is none.  *index is set on success. */
const sdb_entry *sdb_tree_next(const sdb_tree *tree, uint64_t from, uint32_t *index);
/* The 64 entries among which that one is, and the index of the first of them; *used: bit i for each used entry i,
** from `from` on.  A scan goes on with *base + 64.  NULL if there is none. */
const sdb_entry *sdb_tree_leaf(const sdb_tree *tree, uint64_t from, uint32_t *base, uint64_t *used);
/* Lowest unused index. */
uint32_t sdb_tree_unused_index(const sdb_tree *tree);
/* Set or replace.  Takes a reference of its own on entry->name.  SEQDB_NOMEM leaves the contents as they were. */
int sdb_tree_put(sdb_tree *tree, sdb_names *names, uint64_t epoch, uint32_t index, const sdb_entry *entry);
/* The same with what was decoded from a page or a record, and a new name.  SEQDB_NOMEM leaves the contents as they
** were. */
int sdb_tree_put_image(sdb_tree *tree, sdb_names *names, uint64_t epoch, uint32_t index, const sdb_entry_image *image);
/* The same in a load of many (sdb_names_load_begin()) into a tree that nobody shares, mostly by ascending index: the
** leaf of the last one is remembered. */
typedef struct sdb_tree_adding {
  sdb_tree *tree;
  sdb_names *names;
  uint64_t epoch;
  sdb_node *leaf; /* NULL: none yet */
  uint32_t base;  /* first index of that leaf */
} sdb_tree_adding;
int sdb_tree_add(sdb_tree_adding *adding, uint32_t index, const sdb_entry_image *image);
/* Its names are found by look-ups from now on. */
int sdb_tree_list_names(const sdb_tree *tree, sdb_names *names);
/* Make the nodes on the way to a used index this epoch's own: the next put there cannot fail. */
int sdb_tree_own(sdb_tree *tree, sdb_names *names, uint64_t epoch, uint32_t index);
int sdb_tree_remove(sdb_tree *tree, sdb_names *names, uint64_t epoch, uint32_t index);
/* Another reference to the same root. */
sdb_tree sdb_tree_share(const sdb_tree *tree);
void sdb_tree_drop(sdb_tree *tree, sdb_names *names); /* afterwards empty */
/* Index of the entry with that name in this tree; false if there is none. */
bool sdb_tree_find(const sdb_tree *tree, sdb_names *names, const char *text, size_t bytes, uint32_t *index);
/* Call visit(context, index, before, after) for every index whose entries differ (NULL: absent), in index order; shared
** subtrees are skipped.  Stops at and returns the first non-zero result. */
typedef int sdb_tree_visit(void *context, uint32_t index, const sdb_entry *before, const sdb_entry *after);
int sdb_tree_diff(const sdb_tree *before, const sdb_tree *after, sdb_tree_visit *visit, void *context);

#endif /* SDB_TREE_H */
