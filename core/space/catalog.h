/* SPDX-License-Identifier: MIT
**
** catalog.h: live catalogs: the lists of all regions that somebody may still need, in one list, oldest first.
**
** A catalog is live while its bytes may be read again: the last commit, those that snapshots read, those of open
** savepoints, a prepared but undecided state.  The transaction under change is not in the list; its tree is passed
** in.  An extent that the transaction gives up is PENDING at the newest live catalog that sees it:
**
**     live catalogs:        [ 5 ]  <-->  [ 7 ]  <-->  [ 9, the last commit ]      (transaction)
**                             |            |               |
**     pending there:        A, B           C               D, E
**
** When 7 dies, C moves on to 5 if 5 sees it; else nobody does, and it is free (space.h).
** The lists are those of ZFS's dead lists, keyed by entry index instead of birth time: a catalog sees an extent
** exactly if its entry of that index overlaps it, because what is reserved in any live catalog is never allocated
** again.
** OWNS catalogs, their trees and pending items.
** THREADS: the store's mutex guards all of it.
*/
#ifndef SDB_CATALOG_H
#define SDB_CATALOG_H

#include "pure/ranges.h"
#include "space/tree.h"

/* An extent of entry `index`, given up but still seen. */
typedef struct sdb_pending {
  struct sdb_pending *next;
  uint64_t start, bytes;
  uint64_t generation; /* of the commit that gives it up: members that pin an older one may see it */
  uint32_t index;
} sdb_pending;

enum sdb_catalog_kind { SDB_CATALOG_COMMITTED, SDB_CATALOG_SAVEPOINT, SDB_CATALOG_PREPARED };

typedef struct sdb_catalog {
  struct sdb_catalog *older, *newer;
  struct sdb_catalog *plain; /* the nearest older one that is no savepoint's; may be NULL */
  uint64_t refs;
  enum sdb_catalog_kind kind;
  uint64_t generation;
  sdb_tree tree;        /* immutable */
  sdb_pending *pending; /* extents that it is the last to see */
  uint64_t pending_bytes;
} sdb_catalog;

typedef struct sdb_catalogs {
  sdb_catalog *oldest, *newest;
  /* What this generation or an older one gave up, no member in another process sees (S4).  UINT64_MAX: all of it. */
  uint64_t reusable;
  uint64_t pending_bytes; /* of all */
} sdb_catalogs;

/* ---- the list */

/* A new, newest live catalog with one reference; takes over the reference in *tree.  NULL: out of memory (the tree
** stays the caller's). */
sdb_catalog *sdb_catalog_new(sdb_catalogs *catalogs, sdb_tree *tree, enum sdb_catalog_kind kind, uint64_t generation);
void sdb_catalog_ref(sdb_catalog *catalog);
/* Take a catalog without references and pending items out of the list, and free it. */
void sdb_catalog_free(sdb_catalogs *catalogs, sdb_catalog *catalog, sdb_names *names);
/* The oldest committed generation that somebody may still read; UINT64_MAX if there is no commit.  `held` (may be
** NULL) does not count if nobody else refers to it. */
uint64_t sdb_catalogs_oldest_generation(const sdb_catalogs *catalogs, const sdb_catalog *held);

/* ---- pending items */

void sdb_catalog_attach(sdb_catalogs *catalogs, sdb_catalog *catalog, sdb_pending *item);
/* Take all of its items away, as a list. */
sdb_pending *sdb_catalog_detach_all(sdb_catalogs *catalogs, sdb_catalog *catalog);

/* ---- who sees what */

/* The part of [start, start + bytes) that `tree` reserves for entry `index`, cut to it; false if there is none. */
bool sdb_catalog_part(const sdb_tree *tree, uint32_t index, uint64_t start, uint64_t bytes, sdb_range *part);
/* The newest catalog, from `from` (may be NULL) on to older ones, that sees any of the extent.  NULL: nobody does. */
sdb_catalog *sdb_catalog_seeing(sdb_catalog *from, uint32_t index, uint64_t start, uint64_t bytes);
/* Bytes of entry `index`, from its start on, that some live catalog can see, or a member in another process. */
uint64_t sdb_catalogs_visible_bytes(const sdb_catalogs *catalogs, uint32_t index, uint64_t start);
/* The same, but only what open savepoints see; an entry that is about to be put remembers it. */
uint64_t sdb_catalogs_marked_bytes(const sdb_catalogs *catalogs, uint32_t index, uint64_t start);
/* Does a live catalog (or `own`, unless NULL) use any of these bytes?  `reserved`: its reserves count, else only
** lengths.  Brute force, for assertions. */
bool sdb_catalogs_use(const sdb_catalogs *catalogs, const sdb_tree *own, uint64_t offset, uint64_t bytes,
                      bool reserved);

#endif /* SDB_CATALOG_H */
