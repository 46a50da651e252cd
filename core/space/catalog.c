/* SPDX-License-Identifier: MIT
**
** catalog.c: see catalog.h.
**
** Why looking at the newest few catalogs is enough: live catalogs follow one another, and an extent that the
** transaction owns is owned by each catalog since it was allocated.  Only a prepared state may stand between two
** catalogs without having their extent (after a rollback to a savepoint older than the prepare), so those are stepped
** over.
*/
#include "space/catalog.h"

#include "os/os.h"

/* ---- the list */

sdb_catalog *sdb_catalog_new(sdb_catalogs *catalogs, sdb_tree *tree, enum sdb_catalog_kind kind, uint64_t generation) {
  sdb_catalog *made = sdb_calloc(1, sizeof *made);
  if (!made) return NULL;
  made->refs = 1;
  made->kind = kind;
  made->generation = generation;
  made->tree = *tree;
  memset(tree, 0, sizeof *tree);
  made->older = catalogs->newest;
  made->plain = made->older && made->older->kind == SDB_CATALOG_SAVEPOINT ? made->older->plain : made->older;
  if (catalogs->newest)
    catalogs->newest->newer = made;
  else
    catalogs->oldest = made;
  catalogs->newest = made;
  return made;
}

void sdb_catalog_ref(sdb_catalog *catalog) {
  catalog->refs++;
}

void sdb_catalog_free(sdb_catalogs *catalogs, sdb_catalog *catalog, sdb_names *names) {
  assert(catalog->refs == 0 && !catalog->pending);
  for (sdb_catalog *at = catalog->newer; at && at->plain == catalog; at = at->newer)
    at->plain = catalog->plain;
  if (catalog->older)
    catalog->older->newer = catalog->newer;
  else
    catalogs->oldest = catalog->newer;
  if (catalog->newer)
    catalog->newer->older = catalog->older;
  else
    catalogs->newest = catalog->older;
  sdb_tree_drop(&catalog->tree, names);
  sdb_free(catalog);
}

uint64_t sdb_catalogs_oldest_generation(const sdb_catalogs *catalogs, const sdb_catalog *held) {
  for (const sdb_catalog *at = catalogs->oldest; at; at = at->newer)
    if (at->kind == SDB_CATALOG_COMMITTED && (at != held || at->refs > 1)) return at->generation;
  return UINT64_MAX;
}

/* ---- pending items */

void sdb_catalog_attach(sdb_catalogs *catalogs, sdb_catalog *catalog, sdb_pending *item) {
  item->next = catalog->pending;
  catalog->pending = item;
  catalog->pending_bytes += item->bytes;
  catalogs->pending_bytes += item->bytes;
}

sdb_pending *sdb_catalog_detach_all(sdb_catalogs *catalogs, sdb_catalog *catalog) {
  sdb_pending *items = catalog->pending;
  catalogs->pending_bytes -= catalog->pending_bytes;
  catalog->pending_bytes = 0;
  catalog->pending = NULL;
  return items;
}

/* ---- who sees what */

bool sdb_catalog_part(const sdb_tree *tree, uint32_t index, uint64_t start, uint64_t bytes, sdb_range *part) {
  const sdb_entry *entry = sdb_tree_get(tree, index);
  if (!entry) return false;
  uint64_t from = SDB_MAX(entry->start, start), to = SDB_MIN(entry->start + entry->reserved, start + bytes);
  if (from >= to) return false;
  *part = (sdb_range){from, to - from};
  return true;
}

sdb_catalog *sdb_catalog_seeing(sdb_catalog *from, uint32_t index, uint64_t start, uint64_t bytes) {
  for (sdb_catalog *at = from; at; at = at->older) {
    sdb_range part;
    if (sdb_catalog_part(&at->tree, index, start, bytes, &part)) return at;
    if (at->kind != SDB_CATALOG_PREPARED) return NULL;
  }
  return NULL;
}

/* What the savepoint and all older ones of its transaction see.  false: the extent is younger. */
static bool marked_by(const sdb_catalog *savepoint, uint32_t index, uint64_t start, uint64_t *bytes) {
  const sdb_entry *entry = sdb_tree_get(&savepoint->tree, index);
  if (!entry || entry->start != start) return false;
  *bytes = entry->length;
  if (entry->generation == savepoint->generation) *bytes = SDB_MAX(*bytes, entry->seen_bytes);
  return true;
}

uint64_t sdb_catalogs_marked_bytes(const sdb_catalogs *catalogs, uint32_t index, uint64_t start) {
  const sdb_catalog *at = catalogs->newest;
  uint64_t bytes = 0;
  while (at && at->kind == SDB_CATALOG_PREPARED)
    at = at->older;
  return at && at->kind == SDB_CATALOG_SAVEPOINT && marked_by(at, index, start, &bytes) ? bytes : 0;
}

/* Of the savepoints the newest one speaks for all: however many are open, few catalogs are looked at. */
uint64_t sdb_catalogs_visible_bytes(const sdb_catalogs *catalogs, uint32_t index, uint64_t start) {
  uint64_t visible = 0, bytes = 0;
  bool marked = false;
  for (const sdb_catalog *at = catalogs->newest, *next; at; at = next) {
    const bool savepoint = at->kind == SDB_CATALOG_SAVEPOINT;
    const sdb_entry *entry = savepoint ? NULL : sdb_tree_get(&at->tree, index);
    next = savepoint ? at->plain : at->older;
    if (savepoint && !marked) {
      if (!marked_by(at, index, start, &bytes)) break; /* the extent is younger than this catalog and all older ones */
      visible = SDB_MAX(visible, bytes);
      marked = true;
    } else if (entry && entry->start == start) {
      visible = SDB_MAX(visible, entry->length);
      if (entry->generation > catalogs->reusable) visible = SDB_MAX(visible, entry->seen_bytes);
    } else if (at->kind == SDB_CATALOG_COMMITTED) {
      break; /* as above */
    }
  }
  return visible;
}

static bool tree_uses(const sdb_tree *tree, uint64_t offset, uint64_t bytes, bool reserved) {
  uint32_t index;
  uint64_t from = 0;
  for (const sdb_entry *entry; (entry = sdb_tree_next(tree, from, &index)); from = (uint64_t)index + 1) {
    uint64_t end = entry->start + (reserved ? entry->reserved : entry->length);
    if (entry->start < offset + bytes && end > offset) return true;
  }
  return false;
}

bool sdb_catalogs_use(const sdb_catalogs *catalogs, const sdb_tree *own, uint64_t offset, uint64_t bytes,
                      bool reserved) {
  if (own && tree_uses(own, offset, bytes, reserved)) return true;
  for (const sdb_catalog *at = catalogs->oldest; at; at = at->newer)
    if (tree_uses(&at->tree, offset, bytes, reserved)) return true;
  return false;
}
