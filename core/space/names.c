/* SPDX-License-Identifier: MIT
**
** names.c: see names.h.
**
** The table is open addressing with linear probing (Knuth, The Art of Computer Programming 3, 6.4, algorithms L and
** R): a look-up touches one or two neighbouring cache lines of (hash, pointer) pairs and then the name itself.  A
** table whose elements are chained through the names took a third of the time of opening a database, waiting for
** memory, and 40 bytes more a name.
** INVARIANTS: the cells from a name's home (hash & mask) to where it stands are all in use; at least a quarter of the
** cells is free.  Removing moves names back and needs no memory: giving a name up cannot fail.
*/
#include "space/names.h"

#include <pthread.h>
#include <stdatomic.h>
#include "base/check.h"
#include "pure/hash.h"
#include "os/os.h"

#define CELLS_MIN 16u

struct sdb_name {
  _Atomic uint32_t refs;
  uint32_t hash, index;
  uint16_t bytes;
  bool in_bulk; /* where its memory is from */
  bool listed;  /* it is in the table; mutex */
  char text[];
};

struct cell {
  sdb_name *name; /* NULL: free */
  uint32_t hash;
};

struct sdb_names {
  pthread_mutex_t mutex; /* guards the rest */
  bool repeat;
  size_t count, mask; /* mask: number of cells less one */
  struct cell *cells; /* NULL: none yet, and count is 0 */
  bool cells_in_bulk;
  bool loads; /* the loader's, as is bulk */
  sdb_bulk bulk;
};

static void cells_free(sdb_names *names) {
  if (names->cells_in_bulk)
    sdb_bulk_give(names->cells);
  else
    sdb_free(names->cells);
}

int sdb_names_open(sdb_names **names) {
  sdb_names *made = sdb_calloc(1, sizeof *made);
  if (!made) return SEQDB_NOMEM;
  pthread_mutex_init(&made->mutex, NULL);
  *names = made;
  return SEQDB_OK;
}

/* To take names out one by one, in whatever order, is to wait for memory twice for each. */
void sdb_names_retire(sdb_names *names) {
  cells_free(names);
  names->cells = NULL;
  names->cells_in_bulk = false;
}

void sdb_names_close(sdb_names *names) {
  if (!names) return;
  assert(names->count == 0);
  pthread_mutex_destroy(&names->mutex);
  cells_free(names);
  sdb_free(names);
}

/* ---- the table; mutex held */

static uint32_t hash_of(const char *text, size_t bytes) {
  return (uint32_t)sdb_hash_bytes(text, bytes, 0);
}

static bool bears(const struct cell *cell, const char *text, size_t bytes, uint32_t hash) {
  return cell->hash == hash && cell->name->bytes == bytes && memcmp(cell->name->text, text, bytes) == 0;
}

static void put(struct cell *cells, size_t mask, sdb_name *name, uint32_t hash) {
  size_t at = hash & mask;
  while (cells[at].name)
    at = (at + 1) & mask;
  cells[at] = (struct cell){name, hash};
}

static int resize(sdb_names *names, size_t wanted) {
  sdb_bulk alone = {NULL, 0};
  struct cell *cells = sdb_bulk_pays(wanted * sizeof *cells) ? sdb_bulk_take(&alone, wanted * sizeof *cells) : NULL;
  bool in_bulk = cells != NULL;
  sdb_bulk_end(&alone);
  if (!cells && !(cells = sdb_calloc(wanted, sizeof *cells))) return SEQDB_NOMEM;
  for (size_t i = 0; names->cells && i <= names->mask; i++)
    if (names->cells[i].name) put(cells, wanted - 1, names->cells[i].name, names->cells[i].hash);
  cells_free(names);
  names->cells = cells;
  names->cells_in_bulk = in_bulk;
  names->mask = wanted - 1;
  return SEQDB_OK;
}

/* Slots for `count` names, a power of two. */
static size_t cells_for(uint64_t count) {
  size_t cells = CELLS_MIN;
  while (cells / 4 * 3 < count && SDB_ALWAYS(cells <= SIZE_MAX / 4 / sizeof(struct cell))) /* names fit into memory */
    cells *= 2;
  return cells;
}

static size_t cells_of(const sdb_names *names) {
  return names->cells ? names->mask + 1 : 0;
}

static int insert(sdb_names *names, sdb_name *name) {
  size_t wanted = cells_for((uint64_t)names->count + 1);
  if (wanted > cells_of(names) && resize(names, wanted) != SEQDB_OK) return SEQDB_NOMEM;
  size_t at = name->hash & names->mask;
  for (; names->cells[at].name; at = (at + 1) & names->mask)
    names->repeat = names->repeat || bears(&names->cells[at], name->text, name->bytes, name->hash);
  names->cells[at] = (struct cell){name, name->hash};
  names->count++;
  name->listed = true;
  return SEQDB_OK;
}

/* Free the cell and move back what stands behind it only because the cell was in use. */
static void take_out(sdb_names *names, const sdb_name *name) {
  struct cell *cells = names->cells;
  size_t mask = names->mask, hole = name->hash & mask;
  names->count--;
  if (!cells) return; /* retired */
  while (cells[hole].name != name)
    hole = (hole + 1) & mask;
  for (size_t at = (hole + 1) & mask; cells[at].name; at = (at + 1) & mask) {
    size_t home = cells[at].hash & mask;
    if (((at - home) & mask) < ((at - hole) & mask)) continue; /* its home lies behind the hole */
    cells[hole] = cells[at];
    hole = at;
  }
  cells[hole].name = NULL;
  size_t few = cells_for((uint64_t)names->count * 4);
  if (few < cells_of(names) / 2) (void)resize(names, few); /* without memory it stays large */
}

/* ---- a load */

/* What an entry takes: its part of a leaf, and a name that is not very long. */
#define LOADED_BYTES 112u

void sdb_names_load_begin(sdb_names *names, uint64_t count) {
  pthread_mutex_lock(&names->mutex);
  if (cells_for(count + names->count) > cells_of(names)) (void)resize(names, cells_for(count + names->count));
  pthread_mutex_unlock(&names->mutex);
  names->loads = sdb_bulk_pays(count * LOADED_BYTES);
}

void sdb_names_load_end(sdb_names *names) {
  names->loads = false;
  sdb_bulk_end(&names->bulk);
}

sdb_bulk *sdb_names_bulk(sdb_names *names) {
  return names->loads ? &names->bulk : NULL;
}

/* ---- names */

static sdb_name *name_room(sdb_names *names, size_t bytes) {
  sdb_bulk *bulk = sdb_names_bulk(names);
  sdb_name *name = bulk ? sdb_bulk_take(bulk, sizeof *name + bytes) : NULL;
  bool in_bulk = name != NULL;
  if (!name) name = sdb_malloc(sizeof *name + bytes);
  if (name) name->in_bulk = in_bulk;
  return name;
}

static void name_free(sdb_name *name) {
  if (name->in_bulk)
    sdb_bulk_give(name);
  else
    sdb_free(name);
}

sdb_name *sdb_name_new(sdb_names *names, const char *text, size_t bytes, uint32_t index) {
  sdb_name *name = name_room(names, bytes);
  if (!name) return NULL;
  assert(bytes <= SEQDB_NAME_BYTES_MAX);
  atomic_init(&name->refs, 1);
  name->hash = hash_of(text, bytes);
  name->index = index;
  name->bytes = (uint16_t)bytes;
  name->listed = false;
  memcpy(name->text, text, bytes);
  if (names->loads || sdb_names_list(names, &name, 1) == SEQDB_OK) return name;
  name_free(name);
  return NULL;
}

int sdb_names_list(sdb_names *names, sdb_name *const *list, size_t count) {
  int rc = SEQDB_OK;
  pthread_mutex_lock(&names->mutex);
  for (size_t i = 0; i < count && names->cells; i++) /* which lie anywhere: all are fetched at once */
    SDB_PREFETCH(&names->cells[list[i]->hash & names->mask]);
  for (size_t i = 0; i < count && rc == SEQDB_OK; i++)
    if (!list[i]->listed) rc = insert(names, list[i]);
  pthread_mutex_unlock(&names->mutex);
  return rc;
}

void sdb_name_ref(sdb_name *name) {
  atomic_fetch_add_explicit(&name->refs, 1, memory_order_relaxed);
}

void sdb_name_unref(sdb_names *names, sdb_name *name) {
  if (atomic_fetch_sub_explicit(&name->refs, 1, memory_order_acq_rel) != 1) return;
  pthread_mutex_lock(&names->mutex);
  if (name->listed) take_out(names, name);
  pthread_mutex_unlock(&names->mutex);
  name_free(name);
}

const char *sdb_name_text(const sdb_name *name) {
  return name->text;
}
uint32_t sdb_name_bytes(const sdb_name *name) {
  return name->bytes;
}

const char *sdb_name_quote(const sdb_name *name, char out[SDB_QUOTED_MAX]) {
  return sdb_quote_name(sdb_name_text(name), name->bytes, out);
}

bool sdb_names_repeat(const sdb_names *names) {
  return names->repeat;
}

bool sdb_names_find(sdb_names *names, const char *text, size_t bytes, sdb_name_visit *visit, const void *context,
                    uint32_t *index) {
  bool found = false;
  uint32_t hash = hash_of(text, bytes);
  pthread_mutex_lock(&names->mutex);
  for (size_t at = hash & names->mask; names->cells && names->cells[at].name && !found; at = (at + 1) & names->mask) {
    if (!bears(&names->cells[at], text, bytes, hash)) continue;
    *index = names->cells[at].name->index;
    found = visit(context, names->cells[at].name, *index);
  }
  pthread_mutex_unlock(&names->mutex);
  return found;
}
