/* SPDX-License-Identifier: MIT
**
** change_list.h: which regions have changed, where, and in which commit: the change feed in memory.  Pure: no I/O.
**
**     { index, op, generation, offset, bytes }  ...  a list of them, in no order
**
** A list says where to look, not what is there: content and lengths come from a catalog.  So an item that covers more
** than has changed, or is of a newer generation, does no harm, and one that is missing does.  Everything below adds to
** what the items cover, but for dropping the oldest ones, which raises the floor.
** INVARIANT: whatever changed after generation `floor` is in the list.
** THREADS: none of its own.
*/
#ifndef SDB_CHANGE_LIST_H
#define SDB_CHANGE_LIST_H

#include "base/base.h"

/* As in records (FORMAT.md 4); a list keeps APPEND as WRITE. */
enum sdb_change_op {
  SDB_CHANGE_CREATE = 1,
  SDB_CHANGE_REMOVE = 2, /* offset: `created` of the region that went; 0: any */
  SDB_CHANGE_RENAME = 3,
  SDB_CHANGE_WRITE = 4, /* [offset, offset + bytes); no bytes: nothing that anybody could read has changed */
  SDB_CHANGE_APPEND = 5,
  SDB_CHANGE_LENGTH = 6 /* offset: the new one */
};

typedef struct sdb_change_item {
  uint32_t index, op;
  uint64_t generation; /* of the newest commit in it */
  uint64_t offset, bytes;
} sdb_change_item;

typedef struct sdb_change_list {
  sdb_change_item *items;
  size_t count, capacity;
  uint64_t floor;
} sdb_change_list;

void sdb_change_list_free(sdb_change_list *list); /* afterwards empty */
/* Room for `more` items.  NOMEM changes nothing. */
int sdb_change_list_reserve(sdb_change_list *list, size_t more);
/* NOMEM changes nothing. */
int sdb_change_list_add(sdb_change_list *list, const sdb_change_item *item);
/* Nothing is known of what changed up to that generation: items that are not newer go. */
void sdb_change_list_raise_floor(sdb_change_list *list, uint64_t floor);

/* Sort by index and op, ranges by offset, and make one of items that say the same: ranges that touch, as long as that
** does not make followers read much twice. */
void sdb_change_list_join(sdb_change_list *list);
/* Join ranges of a region over ever larger gaps, until there are `most` items at the most, or each region has one of
** each op. */
void sdb_change_list_coarsen(sdb_change_list *list, size_t most);
/* Make do with `most` items: the older half is coarsened first, so that who follows closely reads no more than before;
** then the oldest are dropped. */
void sdb_change_list_fit(sdb_change_list *list, size_t most);

#endif /* SDB_CHANGE_LIST_H */
