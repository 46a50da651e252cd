/* SPDX-License-Identifier: MIT
**
** space_world.h: a space, the map of its pages that the model of space.c keeps, and comparing the two.
*/
#ifndef SDB_SPACE_WORLD_H
#define SDB_SPACE_WORLD_H

#include "models/pure.h"
#include "space/space.h"

#define PAGES     400u
#define SLOTS     12u
#define CATALOGS  24u
#define MARKS     4u
#define SNAPSHOTS 4u

typedef struct cell {
  bool used;
  uint64_t start, reserved; /* in pages */
  uint64_t length;          /* in bytes */
} cell;

typedef struct live { /* a live catalog and what it says */
  sdb_catalog *catalog;
  unsigned refs;
  cell cell[SLOTS];
} live;

typedef struct world {
  sdb_test_random random;
  bool starved;
  int rule;
  sdb_names *names;
  sdb_space space;
  sdb_tree tree; /* the transaction */
  cell cell[SLOTS];
  uint64_t epoch, generation, commits;
  live live[CATALOGS]; /* oldest first */
  size_t live_count;
  sdb_catalog *committed, *prepared, *marks[MARKS], *snapshots[SNAPSHOTS];
  size_t mark_count;
  bool current; /* nothing changed since the prepare */
  bool leaked;  /* memory failed where nothing may fail: pages may be missing until the database is opened anew */
  /* the map, by page */
  uint8_t pinned[PAGES];    /* a record has ranges in it */
  uint8_t unpunched[PAGES]; /* became a hole since the last punching */
  uint8_t blocks[PAGES];    /* was in a committed length and not punched since */
  uint8_t hole[PAGES];      /* as it was after the last step; past the end too */
  uint8_t own[PAGES], pending[PAGES];
  uint8_t seen[PAGES];    /* number of the newest live catalog that reserves the page, from 1 */
  uint8_t visible[PAGES]; /* some live catalog's length reaches into it */
} world;

/* The next allocation, or one soon after, fails: for some calls in a starved world, or for each. */
void starve(world *w, bool always);
/* True if an allocation failed; memory is back. */
bool feed(world *w);

/* `value` into each page of the cells: of their reserves, or of their lengths. */
void paint(uint8_t *map, const cell *cells, uint8_t value, bool lengths);
void draw(world *w); /* the map, after each change of the transaction or of the live catalogs */

/* What is wrong, or NULL. */
const char *compare(world *w);
const char *compare_rules(world *w); /* the brute-force answers that the engine's assertions use */
const char *compare_visible(world *w, size_t slot);

#endif /* SDB_SPACE_WORLD_H */
