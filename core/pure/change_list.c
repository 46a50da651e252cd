/* SPDX-License-Identifier: MIT
**
** change_list.c: see change_list.h.
*/
#include "pure/change_list.h"

#include <stdlib.h>
#include "os/os.h"

#define JOINED_MAX_BYTES (UINT64_C(1) << 20) /* of a range that is made of several commits' */
#define FIRST_GAP        4096u

void sdb_change_list_free(sdb_change_list *list) {
  sdb_free(list->items);
  *list = (sdb_change_list){.items = NULL};
}

int sdb_change_list_reserve(sdb_change_list *list, size_t more) {
  if (more <= list->capacity - list->count) return SEQDB_OK;
  size_t capacity = SDB_MAX(list->count + more, 2 * list->capacity);
  sdb_change_item *grown = sdb_realloc(list->items, capacity * sizeof *grown);
  if (!grown) return SEQDB_NOMEM;
  list->items = grown;
  list->capacity = capacity;
  return SEQDB_OK;
}

int sdb_change_list_add(sdb_change_list *list, const sdb_change_item *item) {
  if (list->count == list->capacity && sdb_change_list_reserve(list, 8) != SEQDB_OK) return SEQDB_NOMEM;
  list->items[list->count++] = *item;
  return SEQDB_OK;
}

void sdb_change_list_raise_floor(sdb_change_list *list, uint64_t floor) {
  size_t kept = 0;
  list->floor = SDB_MAX(list->floor, floor);
  for (size_t i = 0; i < list->count; i++)
    if (list->items[i].generation > list->floor) list->items[kept++] = list->items[i];
  list->count = kept;
}

/* ---- joining */

#define compare(a, b) (((a) > (b)) - ((a) < (b)))

static int by_place(const void *a, const void *b) {
  const sdb_change_item *x = a, *y = b;
  if (x->index != y->index) return compare(x->index, y->index);
  if (x->op != y->op) return compare(x->op, y->op);
  if (x->offset != y->offset) return compare(x->offset, y->offset);
  return compare(x->generation, y->generation);
}

static int by_generation(const void *a, const void *b) {
  return compare(*(const uint64_t *)a, *(const uint64_t *)b);
}

static uint64_t end_of(const sdb_change_item *item) {
  return item->offset + item->bytes;
}

/* Ranges up to `gap` apart; `freely`: of whatever size. */
typedef struct joining {
  uint64_t gap;
  bool freely;
} joining;

static bool is_range(const sdb_change_item *item) {
  return item->op == SDB_CHANGE_WRITE || item->op == SDB_CHANGE_APPEND;
}

static bool can_join(const sdb_change_item *before, const sdb_change_item *item, const joining *how) {
  if (before->index != item->index || before->op != item->op) return false;
  if (!is_range(item)) return true;
  uint64_t end = end_of(before);
  if (item->offset > end && item->offset - end > how->gap) return false;
  return how->freely || before->generation == item->generation || end_of(item) <= end ||
         end_of(item) - before->offset <= JOINED_MAX_BYTES;
}

static void take_up(sdb_change_item *into, const sdb_change_item *item) {
  into->generation = SDB_MAX(into->generation, item->generation);
  if (is_range(item))
    into->bytes = SDB_MAX(end_of(into), end_of(item)) - into->offset;
  else if (item->op == SDB_CHANGE_REMOVE && into->offset != item->offset)
    into->offset = 0; /* several lives: any */
  else if (item->op == SDB_CHANGE_LENGTH)
    into->offset = item->offset;
}

/* Sorted ones.  -> how many are left. */
static size_t join(sdb_change_item *items, size_t count, const joining *how) {
  size_t kept = 0;
  for (size_t i = 0; i < count; i++) {
    if (kept && can_join(&items[kept - 1], &items[i], how))
      take_up(&items[kept - 1], &items[i]);
    else
      items[kept++] = items[i];
  }
  return kept;
}

static void sort(sdb_change_item *items, size_t count) {
  size_t i = 1;
  while (i < count && by_place(&items[i - 1], &items[i]) <= 0)
    i++;
  if (i < count) qsort(items, count, sizeof *items, by_place);
}

void sdb_change_list_join(sdb_change_list *list) {
  const joining how = {0, false};
  sort(list->items, list->count);
  list->count = join(list->items, list->count, &how);
}

/* -> how many are left. */
static size_t coarsen(sdb_change_item *items, size_t count, size_t most) {
  joining how = {0, true};
  bool last = false;
  sort(items, count);
  count = join(items, count, &how);
  for (how.gap = FIRST_GAP; count > most && !last; how.gap *= 2) {
    last = how.gap > SDB_OFFSET_MAX / 2;
    if (last) how.gap = SDB_OFFSET_MAX;
    count = join(items, count, &how);
    if (last) break;
  }
  return count;
}

void sdb_change_list_coarsen(sdb_change_list *list, size_t most) {
  list->count = coarsen(list->items, list->count, most);
}

/* ---- making do with less */

/* The items in order of generation: so many come before `place`, and the generation there.  No memory: the middle. */
static uint64_t generation_at(const sdb_change_list *list, size_t place) {
  uint64_t least = UINT64_MAX, most = 0, *all = sdb_malloc(list->count * sizeof *all), found;
  for (size_t i = 0; i < list->count; i++) {
    least = SDB_MIN(least, list->items[i].generation);
    most = SDB_MAX(most, list->items[i].generation);
    if (all) all[i] = list->items[i].generation;
  }
  if (!all) return least + (most - least) / 2;
  qsort(all, list->count, sizeof *all, by_generation);
  found = all[place];
  sdb_free(all);
  return found;
}

/* Those up to that generation come first.  -> how many. */
static size_t part(sdb_change_list *list, uint64_t generation) {
  size_t old = 0;
  for (size_t i = 0; i < list->count; i++) {
    sdb_change_item item = list->items[i];
    if (item.generation > generation) continue;
    list->items[i] = list->items[old];
    list->items[old++] = item;
  }
  return old;
}

void sdb_change_list_fit(sdb_change_list *list, size_t most) {
  sdb_change_list_raise_floor(list, list->floor); /* a block may have raised it: then dropping ends below */
  sdb_change_list_join(list);
  if (list->count <= most) return;
  size_t old = part(list, generation_at(list, list->count / 2)), young = list->count - old;
  size_t left = coarsen(list->items, old, most > young ? (most - young) / 2 : 0);
  memmove(list->items + left, list->items + old, young * sizeof *list->items);
  list->count = left + young;
  while (list->count > most) /* of a single commit all go */
    sdb_change_list_raise_floor(list, generation_at(list, SDB_MIN(list->count - most / 2, list->count - 1)));
  sdb_change_list_join(list);
}
