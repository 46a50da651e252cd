/* SPDX-License-Identifier: MIT
**
** os_sim_cut.c: what happens to a simulated disk as a whole: power cuts, copies, restarts, and the listing of all
** outcomes a cut can have.  Layer 0, test builds only; os_sim.h has the model.
** OWNS: frozen disks (until sdb_sim_free).  THREADS: everything runs inside os_sim.c's lock.
** INVARIANT: after a cut no inode has events, disk and cache agree, and what no name on disk reaches is gone.
*/
#include <stdio.h>
#include <stdlib.h>
#include "os_sim.h"
#include "os_sim_image.h"

#define ROOT         1u
#define CHOICES_MAX  4096u /* sector versions, lengths and entries that are listed one by one */
#define ZERO_SECTORS 256u  /* longer runs of zeros are not listed */

static bool tear_bytes;
static char noise_file[64]; /* "": none */

void sdb_sim_set_tear_bytes(bool on) {
  sdb_sim_enter();
  tear_bytes = on;
  sdb_sim_leave();
}

void sdb_sim_set_noise_file(const char *name) {
  sdb_sim_enter();
  snprintf(noise_file, sizeof noise_file, "%s", name);
  sdb_sim_leave();
}

/* ---- copies ------------------------------------------------------------------------------------------------ */

static void copy_disk(sdb_sim_disk *to, const sdb_sim_disk *from) {
  *to = (sdb_sim_disk){sdb_sim_memory(NULL, from->count * sizeof *to->inodes), from->count};
  for (size_t i = 0; i < from->count; i++) {
    const sdb_sim_inode *old = from->inodes[i];
    to->inodes[i] = NULL;
    if (old != NULL) {
      sdb_sim_inode *copy = to->inodes[i] = sdb_sim_memory(NULL, sizeof *copy);
      *copy = *old;
      copy->memory_fd = -1;
      copy->shared_locks = 0;
      copy->exclusive_lock = false;
      copy->byte_locks = NULL;
      copy->byte_lock_count = 0;
      sdb_image_copy(&copy->disk, &old->disk);
      sdb_image_copy(&copy->cached, &old->cached);
      sdb_events_copy(&copy->events, &old->events);
      sdb_sim_names_copy(&copy->disk_names, &old->disk_names);
      sdb_sim_names_copy(&copy->names, &old->names);
    }
  }
}

static sdb_sim_disk *enter_noted(void) {
  sdb_sim_disk *live = sdb_sim_enter();
  sdb_sim_note_shared(live);
  return live;
}

sdb_sim_disk *sdb_sim_clone(void) {
  sdb_sim_disk *copy = sdb_sim_memory(NULL, sizeof *copy);
  sdb_sim_disk *live = enter_noted();
  copy_disk(copy, live);
  sdb_sim_leave();
  return copy;
}

void sdb_sim_free(sdb_sim_disk *disk) {
  if (disk != NULL) {
    sdb_sim_enter();
    sdb_sim_clear_disk(disk);
    sdb_sim_leave();
    free(disk);
  }
}

/* The disk in use becomes *disk, which is given away. */
static void replace(sdb_sim_disk *live, sdb_sim_disk *disk) {
  sdb_sim_forget_handles();
  sdb_sim_clear_disk(live);
  *live = *disk;
}

void sdb_sim_restore(const sdb_sim_disk *disk) {
  sdb_sim_disk copy;
  sdb_sim_disk *live = sdb_sim_enter();
  copy_disk(&copy, disk);
  replace(live, &copy);
  sdb_sim_leave();
}

void sdb_sim_restart(void) {
  sdb_sim_disk copy;
  sdb_sim_disk *live = enter_noted();
  copy_disk(&copy, live); /* new memfds too: mappings of dead processes must not see what comes */
  replace(live, &copy);
  sdb_sim_leave();
}

void sdb_sim_evict(void) {
  sdb_sim_disk *live = sdb_sim_enter();
  for (size_t i = ROOT; i < live->count; i++) {
    sdb_sim_inode *inode = live->inodes[i];
    if (inode != NULL && inode->diverged) {
      sdb_image_clear(&inode->cached);
      sdb_image_copy(&inode->cached, &inode->disk); /* the length stays: it is no page of the cache */
      sdb_sim_refresh(inode);
    }
  }
  sdb_sim_leave();
}

uint64_t sdb_sim_unsynced(void) {
  uint64_t count = 0;
  const sdb_sim_disk *live = sdb_sim_enter();
  for (size_t i = ROOT; i < live->count; i++) {
    count += live->inodes[i] != NULL ? live->inodes[i]->events.count : 0;
  }
  sdb_sim_leave();
  return count;
}

/* ---- cut --------------------------------------------------------------------------------------------------- */

/* What is on disk is all there is. */
static void settle(sdb_sim_inode *inode) {
  sdb_events_clear(&inode->events);
  sdb_image_clear(&inode->cached);
  inode->diverged = false;
  inode->length = inode->disk_length;
  inode->changed = inode->disk_changed;
  sdb_image_zero(&inode->disk, inode->length, UINT64_MAX / 2);
  free(inode->names.list);
  sdb_sim_names_copy(&inode->names, &inode->disk_names);
}

static void mark_reachable(const sdb_sim_disk *disk, uint64_t number, bool *reached) {
  const sdb_sim_inode *inode = disk->inodes[number];
  if (!reached[number]) {
    reached[number] = true;
    for (size_t i = 0; i < inode->names.count; i++) {
      mark_reachable(disk, inode->names.list[i].inode, reached);
    }
  }
}

static void drop_unreachable(sdb_sim_disk *disk) {
  bool *reached = sdb_sim_memory(NULL, disk->count * sizeof *reached);
  memset(reached, 0, disk->count * sizeof *reached);
  mark_reachable(disk, ROOT, reached);
  for (size_t i = ROOT; i < disk->count; i++) {
    if (!reached[i] && disk->inodes[i] != NULL) {
      sdb_sim_disk single = {sdb_sim_memory(NULL, sizeof *single.inodes), 1};
      single.inodes[0] = disk->inodes[i];
      disk->inodes[i] = NULL;
      sdb_sim_clear_disk(&single);
    }
  }
  free(reached);
}

static void finish_cut(sdb_sim_disk *live, sdb_sim_disk *outcome) {
  for (size_t i = ROOT; i < outcome->count; i++) {
    if (outcome->inodes[i] != NULL) {
      settle(outcome->inodes[i]);
    }
  }
  drop_unreachable(outcome);
  replace(live, outcome);
}

/* The serial of a random event, for the manners that single one out. */
static uint64_t draw_serial(sdb_chance *chance, const sdb_sim_disk *disk) {
  uint64_t total = 0;
  for (size_t i = ROOT; i < disk->count; i++) {
    total += disk->inodes[i] != NULL ? disk->inodes[i]->events.count : 0;
  }
  uint64_t drawn = sdb_chance_number(chance, total);
  for (size_t i = ROOT; i < disk->count; i++) {
    const sdb_sim_inode *inode = disk->inodes[i];
    if (inode != NULL && drawn < inode->events.count) {
      return inode->events.list[drawn]->serial;
    }
    drawn -= inode != NULL ? inode->events.count : 0;
  }
  return 0;
}

/* Its time, whatever becomes of its bytes.  What is drawn for these stays the same. */
static void cut_time(const sdb_chance *chance, sdb_sim_inode *inode, bool all) {
  sdb_chance another = *chance;
  if (chance->random ? sdb_chance_number(&another, 2) : all) {
    inode->disk_changed = inode->changed;
  }
}

static void cut_inode(sdb_chance *chance, sdb_sim_inode *inode, bool all) {
  if (!inode->is_dir) {
    cut_time(chance, inode, all);
    sdb_chance_apply(chance, &inode->events, &inode->disk, &inode->disk_length, inode->orderly);
    return;
  }
  for (size_t i = 0; i < inode->events.count; i++) {
    if (sdb_chance_keeps(chance, inode->events.list[i])) {
      sdb_sim_names_apply(&inode->disk_names, inode->events.list[i]);
    }
  }
}

static bool gets_noise(const sdb_sim_disk *disk, uint64_t number) {
  for (size_t i = ROOT; noise_file[0] != '\0' && i < disk->count; i++) {
    const sdb_sim_name *name = disk->inodes[i] != NULL ? sdb_sim_find_name(&disk->inodes[i]->names, noise_file) : NULL;
    if (name != NULL && name->inode == number) {
      return true;
    }
  }
  return false;
}

static void add_noise(sdb_chance *chance, sdb_sim_inode *inode) {
  uint64_t sector[SDB_SIM_SECTOR / sizeof(uint64_t)];
  for (size_t e = 0; e < inode->events.count; e++) {
    const sdb_event *event = inode->events.list[e];
    for (uint64_t i = 0; event->kind == SDB_EVENT_DATA && i < event->sectors; i++) {
      if (sdb_chance_number(chance, 16) != 0) {
        continue;
      }
      for (size_t w = 0; w < sizeof sector / sizeof sector[0]; w++) {
        sector[w] = sdb_chance_number(chance, UINT64_MAX);
      }
      sdb_image_write(&inode->disk, (event->sector + i) * SDB_SIM_SECTOR, sector, sizeof sector);
    }
  }
}

void sdb_sim_cut(uint64_t seed) {
  sdb_chance chance;
  sdb_sim_disk outcome;
  sdb_sim_disk *live = enter_noted();
  copy_disk(&outcome, live);
  sdb_chance_start(&chance, seed);
  chance.serial = draw_serial(&chance, &outcome);
  chance.tear_bytes = tear_bytes && chance.random;
  for (size_t i = ROOT; i < outcome.count; i++) {
    if (outcome.inodes[i] != NULL) {
      cut_inode(&chance, outcome.inodes[i], seed == 1);
      if (chance.random && gets_noise(live, i)) {
        add_noise(&chance, outcome.inodes[i]);
      }
      sdb_chance_next_file(&chance);
    }
  }
  finish_cut(live, &outcome);
  sdb_sim_leave();
}

/* ---- every outcome, one by one ------------------------------------------------------------------------------ */

enum { CHOICE_SECTOR, CHOICE_LENGTH, CHOICE_ENTRY };

/* One version of one thing that can turn out several ways; those of the same (inode, kind, key) exclude each other. */
typedef struct choice {
  sdb_sim_inode *inode;
  int kind;
  uint64_t key;           /* sector; entry: index of the event */
  size_t order;           /* keeps the sort stable; the disk's own version is the first */
  const uint8_t *content; /* sector */
  uint64_t value;         /* length; entry: 0 lost, 1 kept */
} choice;

typedef struct choices {
  choice *list;
  size_t count;
  bool too_many;
} choices;

static void add_choice(choices *all, choice version) {
  if (all->count == CHOICES_MAX) {
    all->too_many = true;
    return;
  }
  version.order = all->count;
  all->list[all->count++] = version;
}

static void add_sector(choices *all, sdb_sim_inode *inode, uint64_t sector, const uint8_t *content) {
  add_choice(all, (choice){inode, CHOICE_SECTOR, sector, 0, sdb_image_sector(&inode->disk, sector), 0});
  add_choice(all, (choice){inode, CHOICE_SECTOR, sector, 0, content, 0});
}

static void add_event(choices *all, sdb_sim_inode *inode, size_t index) {
  static const uint8_t zeros[SDB_SIM_SECTOR];
  const sdb_event *event = inode->events.list[index];
  switch (event->kind) {
    case SDB_EVENT_ENTRY:
      add_choice(all, (choice){inode, CHOICE_ENTRY, index, 0, NULL, 0});
      add_choice(all, (choice){inode, CHOICE_ENTRY, index, 0, NULL, 1});
      break;
    case SDB_EVENT_LENGTH:
      add_choice(all, (choice){inode, CHOICE_LENGTH, 0, 0, NULL, inode->disk_length});
      add_choice(all, (choice){inode, CHOICE_LENGTH, 0, 0, NULL, event->length});
      break;
    default:
      all->too_many |= event->kind == SDB_EVENT_ZERO && event->sectors > ZERO_SECTORS;
      for (uint64_t i = 0; i < event->sectors && !all->too_many; i++) {
        add_sector(all, inode, event->sector + i,
                   event->kind == SDB_EVENT_DATA ? event->bytes + i * SDB_SIM_SECTOR : zeros);
      }
  }
}

static int compare_groups(const choice *a, const choice *b) {
  if (a->inode->number != b->inode->number) {
    return a->inode->number < b->inode->number ? -1 : 1;
  }
  if (a->kind != b->kind) {
    return a->kind < b->kind ? -1 : 1;
  }
  return a->key == b->key ? 0 : (a->key < b->key ? -1 : 1);
}

static int compare_choices(const void *left, const void *right) {
  const choice *a = left, *b = right;
  int by_group = compare_groups(a, b);
  return by_group != 0 ? by_group : (a->order < b->order ? -1 : 1);
}

static bool same_version(const choice *a, const choice *b) {
  return a->kind == CHOICE_SECTOR ? memcmp(a->content, b->content, SDB_SIM_SECTOR) == 0 : a->value == b->value;
}

static void list_choices(choices *all, const sdb_sim_disk *disk) {
  *all = (choices){sdb_sim_memory(NULL, CHOICES_MAX * sizeof *all->list), 0, false};
  for (size_t i = ROOT; i < disk->count; i++) {
    sdb_sim_inode *inode = disk->inodes[i];
    for (size_t e = 0; inode != NULL && e < inode->events.count && !all->too_many; e++) {
      add_event(all, inode, e);
    }
  }
  qsort(all->list, all->count, sizeof *all->list, compare_choices);
}

/* Drop repeated versions from the group that starts at `first`; the rest moves to the group's front.  *end receives the
** index after the group. */
static size_t distinct_versions(choices *all, size_t first, size_t *end) {
  size_t kept = first, at = first;
  while (at < all->count && compare_groups(&all->list[first], &all->list[at]) == 0) {
    bool seen = false;
    for (size_t i = first; i < kept; i++) {
      seen |= same_version(&all->list[i], &all->list[at]);
    }
    if (!seen) {
      all->list[kept++] = all->list[at];
    }
    at++;
  }
  *end = at;
  return kept - first;
}

static uint64_t count_outcomes(const sdb_sim_disk *disk) {
  choices all;
  uint64_t outcomes = 1;
  list_choices(&all, disk);
  for (size_t at = 0; at < all.count && !all.too_many;) {
    size_t end = at;
    size_t versions = distinct_versions(&all, at, &end);
    all.too_many = outcomes > UINT64_MAX / versions;
    outcomes *= versions;
    at = end;
  }
  free(all.list);
  return all.too_many ? UINT64_MAX : outcomes;
}

uint64_t sdb_sim_outcomes(void) {
  uint64_t outcomes = count_outcomes(enter_noted());
  sdb_sim_leave();
  return outcomes;
}

static void take_choice(const choice *taken) {
  sdb_sim_inode *inode = taken->inode;
  switch (taken->kind) {
    case CHOICE_SECTOR: {
      uint8_t copy[SDB_SIM_SECTOR]; /* the version may lie in the page that is about to change */
      memcpy(copy, taken->content, sizeof copy);
      sdb_image_write(&inode->disk, taken->key * SDB_SIM_SECTOR, copy, sizeof copy);
      break;
    }
    case CHOICE_LENGTH:
      inode->disk_length = taken->value;
      break;
    default:
      if (taken->value != 0) {
        sdb_sim_names_apply(&inode->disk_names, inode->events.list[taken->key]);
      }
  }
}

void sdb_sim_cut_nth(uint64_t index) {
  choices all;
  sdb_sim_disk outcome, before;
  sdb_sim_disk *live = enter_noted();
  copy_disk(&outcome, live);
  copy_disk(&before, live); /* versions point into its images, which must not change under them */
  list_choices(&all, &before);
  for (size_t at = 0; at < all.count;) {
    size_t end = at;
    size_t versions = distinct_versions(&all, at, &end);
    choice taken = all.list[at + index % versions];
    index /= versions;
    taken.inode = outcome.inodes[taken.inode->number];
    take_choice(&taken);
    at = end;
  }
  free(all.list);
  sdb_sim_clear_disk(&before);
  finish_cut(live, &outcome);
  sdb_sim_leave();
}

int sdb_sim_crash_outcomes(const sdb_sim_disk *disk, uint64_t first, uint64_t count,
                           int (*try)(void *context, uint64_t seed), void *context) {
  int rc = 0;
  sdb_sim_enter();
  uint64_t outcomes = count_outcomes(disk);
  sdb_sim_leave();
  bool listed = outcomes <= count;
  for (uint64_t i = 0; i < (listed ? outcomes : count) && rc == 0; i++) {
    sdb_sim_restore(disk);
    if (listed) {
      sdb_sim_cut_nth(i);
    } else {
      sdb_sim_cut(first + i);
    }
    rc = try(context, listed ? i : first + i);
  }
  return rc;
}
