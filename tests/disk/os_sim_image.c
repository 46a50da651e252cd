/* SPDX-License-Identifier: MIT
**
** os_sim_image.c: contents and events of simulated files.  Layer 0, test builds only; see os_sim_image.h.
** OWNS: pages, leaves and events, by reference counts.  THREADS: none of its own.
** INVARIANTS
**   - A page or leaf with more than one reference is never written; writing copies it first.
**   - An absent leaf or page is zeros.
*/
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "os_sim_image.h"

#define LEAF_PAGES   64u
#define LEAF_BYTES   (LEAF_PAGES * SDB_PAGE)
#define PAGE_SECTORS (SDB_PAGE / SDB_SIM_SECTOR)
#define LEAF_SECTORS (LEAF_BYTES / SDB_SIM_SECTOR)

typedef struct image_page {
  unsigned references;
  uint8_t bytes[SEQDB_PAGE_BYTES];
} image_page;

struct sdb_image_leaf {
  unsigned references;
  image_page *pages[LEAF_PAGES];
};

static const uint8_t zeros[SEQDB_PAGE_BYTES];

void *sdb_sim_memory(void *old, size_t bytes) {
  void *memory = realloc(old, bytes);
  if (memory == NULL) {
    abort();
  }
  return memory;
}

/* ---- image ------------------------------------------------------------------------------------------------- */

static void drop_page(image_page *page) {
  if (page != NULL && --page->references == 0) {
    free(page);
  }
}

static void drop_leaf(sdb_image_leaf *leaf) {
  if (leaf != NULL && --leaf->references == 0) {
    for (size_t i = 0; i < LEAF_PAGES; i++) {
      drop_page(leaf->pages[i]);
    }
    free(leaf);
  }
}

void sdb_image_clear(sdb_image *image) {
  for (size_t i = 0; i < image->leaf_count; i++) {
    drop_leaf(image->leaves[i]);
  }
  free(image->leaves);
  *image = (sdb_image){NULL, 0};
}

void sdb_image_copy(sdb_image *to, const sdb_image *from) {
  *to = (sdb_image){NULL, from->leaf_count};
  if (from->leaf_count == 0) {
    return;
  }
  to->leaves = sdb_sim_memory(NULL, from->leaf_count * sizeof *to->leaves);
  for (size_t i = 0; i < from->leaf_count; i++) {
    to->leaves[i] = from->leaves[i];
    if (to->leaves[i] != NULL) {
      to->leaves[i]->references++;
    }
  }
}

/* The leaf, there and owned by this image alone. */
static sdb_image_leaf *own_leaf(sdb_image *image, size_t index) {
  if (index >= image->leaf_count) {
    image->leaves = sdb_sim_memory(image->leaves, (index + 1) * sizeof *image->leaves);
    while (image->leaf_count <= index) {
      image->leaves[image->leaf_count++] = NULL;
    }
  }
  sdb_image_leaf *old = image->leaves[index];
  if (old != NULL && old->references == 1) {
    return old;
  }
  sdb_image_leaf *leaf = sdb_sim_memory(NULL, sizeof *leaf);
  if (old == NULL) {
    memset(leaf, 0, sizeof *leaf);
  } else {
    *leaf = *old;
    for (size_t i = 0; i < LEAF_PAGES; i++) {
      if (leaf->pages[i] != NULL) {
        leaf->pages[i]->references++;
      }
    }
    drop_leaf(old);
  }
  leaf->references = 1;
  image->leaves[index] = leaf;
  return leaf;
}

static uint8_t *own_page(sdb_image *image, uint64_t page) {
  sdb_image_leaf *leaf = own_leaf(image, (size_t)(page / LEAF_PAGES));
  image_page **slot = &leaf->pages[page % LEAF_PAGES];
  if (*slot == NULL || (*slot)->references > 1) {
    image_page *copy = sdb_sim_memory(NULL, sizeof *copy);
    memcpy(copy->bytes, *slot != NULL ? (*slot)->bytes : zeros, sizeof copy->bytes);
    copy->references = 1;
    drop_page(*slot);
    *slot = copy;
  }
  return (*slot)->bytes;
}

static const uint8_t *page_of(const sdb_image *image, uint64_t page) {
  size_t index = (size_t)(page / LEAF_PAGES);
  if (index >= image->leaf_count || image->leaves[index] == NULL) {
    return NULL;
  }
  const image_page *found = image->leaves[index]->pages[page % LEAF_PAGES];
  return found != NULL ? found->bytes : NULL;
}

void sdb_image_write(sdb_image *image, uint64_t offset, const void *data, size_t bytes) {
  const uint8_t *from = data;
  while (bytes > 0) {
    size_t within = (size_t)(offset % SDB_PAGE);
    size_t piece = SDB_MIN(bytes, (size_t)SDB_PAGE - within);
    memcpy(own_page(image, offset / SDB_PAGE) + within, from, piece);
    from += piece;
    offset += piece;
    bytes -= piece;
  }
}

static void drop_whole_page(sdb_image *image, uint64_t page) {
  if (page_of(image, page) != NULL) {
    image_page **slot = &own_leaf(image, (size_t)(page / LEAF_PAGES))->pages[page % LEAF_PAGES];
    drop_page(*slot);
    *slot = NULL;
  }
}

void sdb_image_zero(sdb_image *image, uint64_t offset, uint64_t bytes) {
  uint64_t end = SDB_MIN(offset + bytes, image->leaf_count * LEAF_BYTES);
  while (offset < end) {
    size_t leaf = (size_t)(offset / LEAF_BYTES);
    if (image->leaves[leaf] == NULL) {
      offset = (leaf + 1) * LEAF_BYTES;
      continue;
    }
    uint64_t page = offset / SDB_PAGE;
    uint64_t piece = SDB_MIN(end - offset, SDB_PAGE - offset % SDB_PAGE);
    if (piece == SDB_PAGE) {
      drop_whole_page(image, page);
    } else if (page_of(image, page) != NULL) {
      memset(own_page(image, page) + offset % SDB_PAGE, 0, (size_t)piece);
    }
    offset += piece;
  }
}

const uint8_t *sdb_image_sector(const sdb_image *image, uint64_t sector) {
  const uint8_t *page = page_of(image, sector / PAGE_SECTORS);
  return page != NULL ? page + sector % PAGE_SECTORS * SDB_SIM_SECTOR : zeros;
}

const uint8_t *sdb_image_next_page(const sdb_image *image, uint64_t *page) {
  uint64_t at = *page;
  while (at < image->leaf_count * LEAF_PAGES) {
    const uint8_t *bytes = page_of(image, at);
    if (bytes != NULL) {
      *page = at;
      return bytes;
    }
    at = image->leaves[at / LEAF_PAGES] == NULL ? (at / LEAF_PAGES + 1) * LEAF_PAGES : at + 1;
  }
  return NULL;
}

/* ---- events ------------------------------------------------------------------------------------------------ */

static uint64_t last_serial; /* guarded by the lock of os_sim.c */

sdb_event *sdb_events_add(sdb_events *events, enum sdb_event_kind kind, uint64_t sector, uint64_t sectors) {
  size_t bytes = kind == SDB_EVENT_DATA ? (size_t)sectors * SDB_SIM_SECTOR : 0;
  sdb_event *event = sdb_sim_memory(NULL, sizeof *event + bytes);
  *event =
      (sdb_event){.references = 1, .kind = (int)kind, .sector = sector, .sectors = sectors, .serial = ++last_serial};
  if (events->count == events->room) {
    events->room = events->room == 0 ? 8 : events->room * 2;
    events->list = sdb_sim_memory(events->list, events->room * sizeof *events->list);
  }
  events->list[events->count++] = event;
  return event;
}

void sdb_events_copy(sdb_events *to, const sdb_events *from) {
  *to = (sdb_events){NULL, from->count, from->count};
  if (from->count == 0) {
    return;
  }
  to->list = sdb_sim_memory(NULL, from->count * sizeof *to->list);
  for (size_t i = 0; i < from->count; i++) {
    to->list[i] = from->list[i];
    to->list[i]->references++;
  }
}

void sdb_events_clear(sdb_events *events) {
  for (size_t i = 0; i < events->count; i++) {
    if (--events->list[i]->references == 0) {
      free(events->list[i]);
    }
  }
  free(events->list);
  *events = (sdb_events){NULL, 0, 0};
}

static void apply_sectors(const sdb_event *event, uint64_t first, uint64_t count, sdb_image *image) {
  uint64_t offset = (event->sector + first) * SDB_SIM_SECTOR;
  if (event->kind == SDB_EVENT_DATA) {
    sdb_image_write(image, offset, event->bytes + first * SDB_SIM_SECTOR, (size_t)(count * SDB_SIM_SECTOR));
  } else {
    sdb_image_zero(image, offset, count * SDB_SIM_SECTOR);
  }
}

void sdb_events_apply(const sdb_events *events, sdb_image *image, uint64_t *length) {
  for (size_t i = 0; i < events->count; i++) {
    const sdb_event *event = events->list[i];
    if (event->kind == SDB_EVENT_LENGTH) {
      *length = event->length;
    } else {
      apply_sectors(event, 0, event->sectors, image);
    }
  }
}

/* ---- disks, inodes, names ----------------------------------------------------------------------------------- */

sdb_sim_inode *sdb_sim_new_inode(sdb_sim_disk *disk, bool is_dir) {
  sdb_sim_inode *inode = sdb_sim_memory(NULL, sizeof *inode);
  disk->inodes = sdb_sim_memory(disk->inodes, (disk->count + 1) * sizeof *disk->inodes);
  *inode = (sdb_sim_inode){.number = disk->count, .is_dir = is_dir, .memory_fd = -1};
  disk->inodes[disk->count++] = inode;
  return inode;
}

int sdb_sim_may_remove(const sdb_sim_disk *disk, const sdb_sim_name *name, bool as_dir) {
  if (name == NULL) {
    return ENOENT;
  }
  const sdb_sim_inode *inode = disk->inodes[name->inode];
  if (inode->is_dir != as_dir) {
    return as_dir ? ENOTDIR : EISDIR;
  }
  return as_dir && inode->names.count > 0 ? ENOTEMPTY : 0;
}

void sdb_sim_make_disk(sdb_sim_disk *disk) {
  *disk = (sdb_sim_disk){sdb_sim_memory(NULL, sizeof *disk->inodes), 1};
  disk->inodes[0] = NULL;
  sdb_sim_new_inode(disk, true);
}

void sdb_sim_clear_disk(sdb_sim_disk *disk) {
  for (size_t i = 0; i < disk->count; i++) {
    sdb_sim_inode *inode = disk->inodes[i];
    if (inode != NULL) {
      sdb_events_clear(&inode->events);
      sdb_image_clear(&inode->disk);
      sdb_image_clear(&inode->cached);
      free(inode->disk_names.list);
      free(inode->names.list);
      free(inode->byte_locks);
      if (inode->memory_fd >= 0) {
        close(inode->memory_fd);
      }
      free(inode);
    }
  }
  free(disk->inodes);
  *disk = (sdb_sim_disk){NULL, 0};
}

sdb_sim_name *sdb_sim_find_name(const sdb_sim_names *names, const char *name) {
  for (size_t i = 0; i < names->count; i++) {
    if (strcmp(names->list[i].name, name) == 0) {
      return &names->list[i];
    }
  }
  return NULL;
}

static void remove_name(sdb_sim_names *names, const char *name) {
  sdb_sim_name *found = sdb_sim_find_name(names, name);
  if (found != NULL) {
    *found = names->list[--names->count];
  }
}

void sdb_sim_names_apply(sdb_sim_names *names, const sdb_event *event) {
  remove_name(names, event->from);
  remove_name(names, event->to);
  if (event->inode != 0) {
    names->list = sdb_sim_memory(names->list, (names->count + 1) * sizeof *names->list);
    sdb_sim_name *added = &names->list[names->count++];
    added->inode = event->inode;
    memcpy(added->name, event->to, sizeof added->name);
  }
}

void sdb_sim_names_copy(sdb_sim_names *to, const sdb_sim_names *from) {
  *to = (sdb_sim_names){NULL, from->count};
  if (from->count > 0) {
    to->list = sdb_sim_memory(NULL, from->count * sizeof *to->list);
    memcpy(to->list, from->list, from->count * sizeof *to->list);
  }
}

/* Not sdb_real_pwrite() and sdb_real_pread(): faults meant for the program's call must not hit these. */
void sdb_sim_store(int fd, const void *data, size_t bytes, uint64_t offset) {
  for (size_t done = 0; done < bytes;) {
    ssize_t n = pwrite(fd, (const uint8_t *)data + done, bytes - done, (off_t)(offset + done));
    if (n <= 0) {
      abort();
    }
    done += (size_t)n;
  }
}

size_t sdb_sim_load(int fd, void *buffer, size_t bytes, uint64_t offset) {
  size_t done = 0;
  while (done < bytes) {
    ssize_t n = pread(fd, (uint8_t *)buffer + done, bytes - done, (off_t)(offset + done));
    if (n < 0) {
      abort();
    }
    if (n == 0) {
      break;
    }
    done += (size_t)n;
  }
  return done;
}

/* Pages go out in runs: an outcome of a small database costs a handful of system calls. */
static void write_image(int fd, const sdb_image *image) {
  uint8_t run[16 * SEQDB_PAGE_BYTES];
  uint64_t start = 0, end = 0;
  const uint8_t *bytes;
  for (uint64_t page = 0; (bytes = sdb_image_next_page(image, &page)) != NULL; page++) {
    if (page != end || end - start == sizeof run / SDB_PAGE) {
      sdb_sim_store(fd, run, (size_t)((end - start) * SDB_PAGE), start * SDB_PAGE);
      start = end = page;
    }
    memcpy(run + (end - start) * SDB_PAGE, bytes, SDB_PAGE);
    end++;
  }
  sdb_sim_store(fd, run, (size_t)((end - start) * SDB_PAGE), start * SDB_PAGE);
}

void sdb_sim_refresh(sdb_sim_inode *inode) {
  sdb_image seen;
  uint64_t length = inode->length;
  if (inode->memory_fd < 0) {
    return;
  }
  if (ftruncate(inode->memory_fd, 0) != 0) {
    abort();
  }
  sdb_image_copy(&seen, inode->diverged ? &inode->cached : &inode->disk);
  sdb_events_apply(&inode->events, &seen, &length);
  sdb_image_zero(&seen, inode->length, UINT64_MAX / 2);
  write_image(inode->memory_fd, &seen);
  if (ftruncate(inode->memory_fd, (off_t)inode->length) != 0) {
    abort();
  }
  sdb_image_clear(&seen);
}

/* ---- chance ------------------------------------------------------------------------------------------------ */

enum { KEEP_NOTHING, KEEP_ALL, KEEP_SECTORS, KEEP_EVENTS, KEEP_UP_TO, KEEP_ALL_BUT, KEEP_ONLY, KEEP_MODES };
enum fate { FATE_LOST, FATE_KEPT, FATE_PARTLY };

uint64_t sdb_chance_number(sdb_chance *chance, uint64_t below) {
  uint64_t z = chance->state += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  z ^= z >> 31;
  return below == 0 ? 0 : z % below;
}

static void draw_mode(sdb_chance *chance) {
  static const unsigned shares[] = {128, 128, 8, 32, 224, 248};
  chance->mode = (int)sdb_chance_number(chance, KEEP_MODES);
  chance->keep_256ths = shares[sdb_chance_number(chance, sizeof shares / sizeof shares[0])];
}

void sdb_chance_start(sdb_chance *chance, uint64_t seed) {
  *chance = (sdb_chance){.state = seed, .random = seed > 1, .mode = seed == 0 ? KEEP_NOTHING : KEEP_ALL};
  if (chance->random) {
    draw_mode(chance);
    chance->lengthens = (seed * UINT64_C(0x9e3779b97f4a7c15)) >> 63 != 0; /* without a draw: seeds keep their manner */
  }
}

/* The modes that single one event out mean it over all files. */
void sdb_chance_next_file(sdb_chance *chance) {
  if (chance->random && chance->mode < KEEP_UP_TO && sdb_chance_number(chance, 2) == 0) {
    chance->mode = (int)sdb_chance_number(chance, KEEP_UP_TO);
  }
}

static enum fate fate_of(sdb_chance *chance, const sdb_event *event) {
  switch (chance->mode) {
    case KEEP_NOTHING:
      return FATE_LOST;
    case KEEP_ALL:
      return FATE_KEPT;
    case KEEP_EVENTS:
      return sdb_chance_number(chance, 2) != 0 ? FATE_KEPT : FATE_LOST;
    case KEEP_UP_TO:
      return event->serial == chance->serial ? FATE_PARTLY : (event->serial < chance->serial ? FATE_KEPT : FATE_LOST);
    case KEEP_ALL_BUT:
      return event->serial != chance->serial ? FATE_KEPT : (enum fate)sdb_chance_number(chance, 2) * FATE_PARTLY;
    case KEEP_ONLY:
      return event->serial != chance->serial ? FATE_LOST : (enum fate)(1 + sdb_chance_number(chance, 2));
    default:
      return FATE_PARTLY;
  }
}

bool sdb_chance_keeps(sdb_chance *chance, const sdb_event *event) {
  enum fate fate = fate_of(chance, event);
  return fate == FATE_PARTLY ? sdb_chance_number(chance, 2) != 0 : fate == FATE_KEPT;
}

/* Zeros come and go by the page, as holes do; data by the sector. */
static void apply_part(sdb_chance *chance, const sdb_event *event, sdb_image *image) {
  uint64_t at = 0;
  while (at < event->sectors) {
    uint64_t unit = 1;
    if (event->kind == SDB_EVENT_ZERO) {
      uint64_t leaf = (event->sector + at) / LEAF_SECTORS;
      if (leaf >= image->leaf_count || image->leaves[leaf] == NULL) {
        at = (leaf + 1) * LEAF_SECTORS - event->sector; /* zeros already: long holes cost nothing */
        continue;
      }
      unit = SDB_MIN(event->sectors - at, PAGE_SECTORS - (event->sector + at) % PAGE_SECTORS);
    }
    if (sdb_chance_number(chance, 256) < chance->keep_256ths) {
      if (chance->tear_bytes && event->kind == SDB_EVENT_DATA && sdb_chance_number(chance, 8) == 0) {
        sdb_image_write(image, (event->sector + at) * SDB_SIM_SECTOR, event->bytes + at * SDB_SIM_SECTOR,
                        (size_t)sdb_chance_number(chance, SDB_SIM_SECTOR));
      } else {
        apply_sectors(event, at, unit, image);
      }
    }
    at += unit;
  }
}

/* A file whose blocks follow its sizes.  A shrinking that is kept takes the bytes past it along; one that is lost
** leaves the old blocks in place, and nothing that came later can have reached them. */
typedef struct orderly_sizes {
  bool on;
  uint64_t lost_from; /* sectors past this byte show none of the later events */
} orderly_sizes;

static bool came_too_late(const orderly_sizes *orderly, const sdb_event *event) {
  if (!orderly->on) {
    return false;
  }
  if (event->kind == SDB_EVENT_LENGTH) {
    return orderly->lost_from != UINT64_MAX;
  }
  return event->kind == SDB_EVENT_ZERO || (event->sector + event->sectors) * SDB_SIM_SECTOR > orderly->lost_from;
}

static void apply_length(sdb_chance *chance, const sdb_event *event, bool shrinks, sdb_image *image, uint64_t *length,
                         orderly_sizes *orderly) {
  if (sdb_chance_keeps(chance, event)) {
    *length = event->length;
    if (orderly->on && shrinks) {
      sdb_image_zero(image, event->length, UINT64_MAX / 2);
    }
  } else if (orderly->on && shrinks) {
    orderly->lost_from = event->length;
  }
}

void sdb_chance_apply(sdb_chance *chance, const sdb_events *events, sdb_image *image, uint64_t *length, bool orderly) {
  uint64_t whole = *length; /* what it would be with every event */
  orderly_sizes sizes = {orderly, UINT64_MAX};
  for (size_t i = 0; i < events->count; i++) {
    const sdb_event *event = events->list[i];
    bool is_length = event->kind == SDB_EVENT_LENGTH, shrinks = is_length && event->length < whole;
    whole = is_length ? event->length : whole;
    if (came_too_late(&sizes, event)) {
      continue;
    }
    if (is_length) {
      apply_length(chance, event, shrinks, image, length, &sizes);
      continue;
    }
    switch (fate_of(chance, event)) {
      case FATE_LOST:
        continue;
      case FATE_KEPT:
        apply_sectors(event, 0, event->sectors, image);
        break;
      case FATE_PARTLY:
        apply_part(chance, event, image);
        break;
    }
    uint64_t end = SDB_MIN((event->sector + event->sectors) * SDB_SIM_SECTOR, whole);
    if (chance->lengthens && event->kind == SDB_EVENT_DATA) *length = SDB_MAX(*length, end);
  }
}

/* ---- what changes a file ------------------------------------------------------------------------------------ */

void sdb_sim_note_change(sdb_sim_inode *inode) {
  static uint64_t now; /* of all disks, so that a disk that is put back has no time to come */
  inode->changed = ++now;
}

void sdb_sim_record_length(sdb_sim_inode *inode, uint64_t length) {
  sdb_sim_note_change(inode);
  inode->length = length;
  sdb_events_add(&inode->events, SDB_EVENT_LENGTH, 0, 0)->length = length;
}

/* Record that the sectors of [offset, offset + bytes) are now as the memfd has them. */
void sdb_sim_record_data(sdb_sim_inode *inode, uint64_t offset, uint64_t bytes) {
  uint64_t first = offset / SDB_SIM_SECTOR;
  uint64_t count = (offset + bytes - 1) / SDB_SIM_SECTOR - first + 1;
  size_t whole = (size_t)(count * SDB_SIM_SECTOR);
  sdb_sim_note_change(inode);
  sdb_event *event = sdb_events_add(&inode->events, SDB_EVENT_DATA, first, count);
  size_t got = sdb_sim_load(inode->memory_fd, event->bytes, whole, first * SDB_SIM_SECTOR);
  memset(event->bytes + got, 0, whole - got);
}

/* Record that [offset, end) is zeros now: whole sectors as such, the sectors at the edges as data. */
void sdb_sim_record_zeros(sdb_sim_inode *inode, uint64_t offset, uint64_t end) {
  uint64_t first = (offset + SDB_SIM_SECTOR - 1) / SDB_SIM_SECTOR;
  uint64_t last = end / SDB_SIM_SECTOR;
  if (first > last) {
    sdb_sim_record_data(inode, offset, end - offset);
    return;
  }
  if (offset < first * SDB_SIM_SECTOR) {
    sdb_sim_record_data(inode, offset, 1);
  }
  if (first < last) {
    sdb_sim_note_change(inode);
    sdb_events_add(&inode->events, SDB_EVENT_ZERO, first, last - first);
  }
  if (last * SDB_SIM_SECTOR < end) {
    sdb_sim_record_data(inode, end - 1, 1);
  }
}
