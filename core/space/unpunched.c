/* SPDX-License-Identifier: MIT
**
** unpunched.c: see unpunched.h.
*/
#include "space/unpunched.h"

#include "base/check.h"
#include "os/os.h"

/* Blocks of entry `index`'s extent, past every length that is seen and up to `to`, counted from its start. */
struct sdb_slack {
  sdb_slack *next;
  uint64_t start, to;
  uint32_t index;
};

static void list_free(sdb_slack **list) {
  while (*list) {
    sdb_slack *item = *list;
    *list = item->next;
    sdb_free(item);
  }
}

void sdb_unpunched_init(sdb_unpunched *unpunched, sdb_range_pool *pool) {
  *unpunched = (sdb_unpunched){.slack = NULL};
  sdb_range_set_init(&unpunched->holes, pool, false);
}

void sdb_unpunched_destroy(sdb_unpunched *unpunched) {
  list_free(&unpunched->slack);
  list_free(&unpunched->kept);
  sdb_range_set_clear(&unpunched->holes);
}

/* ---- holes */

void sdb_unpunched_add_hole(sdb_unpunched *unpunched, uint64_t start, uint64_t bytes) {
  (void)sdb_range_add(&unpunched->holes, start, bytes);
}

bool sdb_unpunched_take(sdb_unpunched *unpunched, uint64_t start, uint64_t bytes) {
  bool any = sdb_range_overlap(&unpunched->holes, start, bytes, NULL);
  (void)sdb_range_remove(&unpunched->holes, start, bytes);
  return any;
}

/* ---- slack */

void sdb_unpunched_note_cut(sdb_unpunched *unpunched, uint32_t index, uint64_t start, uint64_t length,
                            uint64_t old_length) {
  uint64_t from = sdb_page_up(length), to = sdb_page_up(old_length);
  sdb_slack *newest = unpunched->slack;
  if (from >= to) return;
  if (newest && newest->index == index && newest->start == start) {
    newest->to = SDB_MAX(newest->to, to);
    return;
  }
  sdb_slack *item = sdb_malloc(sizeof *item);
  if (!item) return; /* costs disk blocks until the region is moved or removed */
  *item = (sdb_slack){.next = newest, .start = start, .to = to, .index = index};
  unpunched->slack = item;
}

/* The part of the item that may be punched now, if any.  *keep: an old catalog still sees some of the rest, or a
** record in the journal would write into it. */
static bool part_to_punch(const sdb_slack *item, const sdb_catalogs *catalogs, const sdb_range_set *redo,
                          sdb_range *part, bool *keep) {
  *keep = false;
  if (SDB_NEVER(!catalogs->newest)) return false; /* there is always a commit */
  const sdb_entry *entry = sdb_tree_get(&catalogs->newest->tree, item->index);
  if (!entry || entry->start != item->start) return false; /* moved or removed: its whole extent was given up */
  uint64_t visible = sdb_page_up(sdb_catalogs_visible_bytes(catalogs, item->index, item->start));
  *keep = visible > sdb_page_up(entry->length);
  uint64_t end = SDB_MIN(item->to, entry->reserved); /* it may be another region by now, in a smaller extent */
  *part = (sdb_range){item->start + visible, end > visible ? end - visible : 0};
  bool redone = part->bytes > 0 && sdb_range_overlap(redo, part->start, part->bytes, NULL);
  *keep |= redone;
  return part->bytes > 0 && !redone;
}

static bool next_slack(sdb_unpunched *unpunched, const sdb_catalogs *catalogs, const sdb_range_set *redo,
                       sdb_range *range) {
  while (unpunched->slack) {
    sdb_slack *item = unpunched->slack;
    bool keep, may = part_to_punch(item, catalogs, redo, range, &keep);
    unpunched->slack = item->next;
    if (keep) {
      item->next = unpunched->kept;
      unpunched->kept = item;
    } else {
      sdb_free(item);
    }
    if (may) return true;
  }
  unpunched->slack = unpunched->kept;
  unpunched->kept = NULL;
  return false;
}

bool sdb_unpunched_next(sdb_unpunched *unpunched, const sdb_catalogs *catalogs, const sdb_range_set *redo,
                        sdb_range *range) {
  if (!sdb_range_next(&unpunched->holes, 0, range)) return next_slack(unpunched, catalogs, redo, range);
  (void)sdb_range_remove(&unpunched->holes, range->start, range->bytes);
  return true;
}
