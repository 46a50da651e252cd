/* SPDX-License-Identifier: MIT
**
** os_sim_image.h: contents of simulated files: sparse images whose pages are shared by copies, and the events that
** stand between what a disk holds and what programs see.  Layer 0, test builds only. THREADS: none of its own; os_sim.c
** serializes.  Running out of memory aborts.
*/
#ifndef SDB_OS_SIM_IMAGE_H
#define SDB_OS_SIM_IMAGE_H

#include "base/base.h"
#include "os_sim.h"

void *sdb_sim_memory(void *old, size_t bytes); /* realloc that aborts; new memory is not cleared */

/* ---- image: all zeros but for its pages */
typedef struct sdb_image_leaf sdb_image_leaf;
typedef struct sdb_image {
  sdb_image_leaf **leaves;
  size_t leaf_count;
} sdb_image; /* all zero = an image of zeros */

void sdb_image_clear(sdb_image *image);
/* *to becomes a copy; costs a pointer for every 256 KiB. */
void sdb_image_copy(sdb_image *to, const sdb_image *from);
void sdb_image_write(sdb_image *image, uint64_t offset, const void *data, size_t bytes);
void sdb_image_zero(sdb_image *image, uint64_t offset, uint64_t bytes);
/* The bytes of a sector; never NULL. */
const uint8_t *sdb_image_sector(const sdb_image *image, uint64_t sector);
/* The first page >= *page that is not all zeros by construction; NULL if there is none. */
const uint8_t *sdb_image_next_page(const sdb_image *image, uint64_t *page);

/* ---- event: one change since the last sync, shared by copies of a disk */
enum sdb_event_kind { SDB_EVENT_DATA, SDB_EVENT_ZERO, SDB_EVENT_LENGTH, SDB_EVENT_ENTRY };

typedef struct sdb_event {
  unsigned references;
  int kind;
  uint64_t serial;          /* order over all files */
  uint64_t sector, sectors; /* DATA, ZERO */
  uint64_t length;          /* LENGTH */
  uint64_t inode;           /* ENTRY: `to` names it from now on (0: the name goes) ... */
  char from[64], to[64];    /* ... and `from` no longer does, if not empty */
  uint8_t bytes[];          /* DATA: the sectors whole */
} sdb_event;

typedef struct sdb_events {
  sdb_event **list;
  size_t count, room;
} sdb_events;

/* A new event at the end, with room for `sectors` sectors of data if it is a DATA event. */
sdb_event *sdb_events_add(sdb_events *events, enum sdb_event_kind kind, uint64_t sector, uint64_t sectors);
void sdb_events_copy(sdb_events *to, const sdb_events *from);
void sdb_events_clear(sdb_events *events);
/* Carry all DATA, ZERO and LENGTH events out. */
void sdb_events_apply(const sdb_events *events, sdb_image *image, uint64_t *length);

/* ---- chance: which events a power cut keeps */
typedef struct sdb_chance {
  uint64_t state; /* of the generator */
  bool random;    /* seeds 0 and 1 are not */
  int mode;
  unsigned keep_256ths;
  uint64_t serial; /* the event that some modes single out */
  bool tear_bytes;
  bool lengthens; /* bytes that are kept behind a growth that is lost lengthen the file, to their end */
} sdb_chance;

uint64_t sdb_chance_number(sdb_chance *chance, uint64_t below);
/* Seed 0: nothing, 1: everything, others: a random manner.  `serial` is drawn by the caller. */
void sdb_chance_start(sdb_chance *chance, uint64_t seed);
/* Another manner for the next file, half of the time. */
void sdb_chance_next_file(sdb_chance *chance);
bool sdb_chance_keeps(sdb_chance *chance, const sdb_event *event); /* of a LENGTH or ENTRY event */
/* Carry a random part of the events out.  `orderly`: as sdb_sim_set_orderly() says. */
void sdb_chance_apply(sdb_chance *chance, const sdb_events *events, sdb_image *image, uint64_t *length, bool orderly);

/* ---- disk: inodes by number; the root directory is number 1 */
typedef struct sdb_sim_name {
  char name[64];
  uint64_t inode;
} sdb_sim_name;

typedef struct sdb_sim_names {
  sdb_sim_name *list;
  size_t count;
} sdb_sim_names;

typedef struct sdb_sim_byte_lock {
  sdb_fd owner;
  uint64_t at;
  bool exclusive;
} sdb_sim_byte_lock;

typedef struct sdb_sim_inode {
  uint64_t number;
  bool is_dir, orderly;
  sdb_events events; /* since the last sync; what programs see is the base (see below) with these carried out */
  /* Files.  The base is the disk, or `cached` once a sync has failed. */
  sdb_image disk, cached;
  uint64_t disk_length, cached_length;
  bool diverged;
  uint64_t length;                /* as programs see it */
  uint64_t changed, disk_changed; /* times of change: as programs see it, and on the disk */
  /* Directories. */
  sdb_sim_names disk_names, names;
  /* Of the disk in use only. */
  int memory_fd; /* memfd with what programs see; -1 = not made yet */
  unsigned shared_locks;
  bool exclusive_lock;
  sdb_sim_byte_lock *byte_locks;
  size_t byte_lock_count;
  uint64_t shared_bytes; /* of the longest mapping that programs write through */
} sdb_sim_inode;

struct sdb_sim_disk {
  sdb_sim_inode **inodes; /* index = number; NULL = none */
  size_t count;
};

/* 0, or why that name (NULL: there is none) cannot be removed as a directory's, or as a file's. */
int sdb_sim_may_remove(const sdb_sim_disk *disk, const sdb_sim_name *name, bool as_dir);
void sdb_sim_make_disk(sdb_sim_disk *disk); /* an empty one */
sdb_sim_inode *sdb_sim_new_inode(sdb_sim_disk *disk, bool is_dir);
void sdb_sim_clear_disk(sdb_sim_disk *disk);
/* NULL if there is none. */
sdb_sim_name *sdb_sim_find_name(const sdb_sim_names *names, const char *name);
void sdb_sim_names_apply(sdb_sim_names *names, const sdb_event *event);
void sdb_sim_names_copy(sdb_sim_names *to, const sdb_sim_names *from);
/* A memfd's bytes; load() returns how many there were. */
void sdb_sim_store(int fd, const void *data, size_t bytes, uint64_t offset);
size_t sdb_sim_load(int fd, void *buffer, size_t bytes, uint64_t offset);
/* Write what programs see into the inode's memfd, if it has one. */
void sdb_sim_refresh(sdb_sim_inode *inode);

/* The file changes now: no other change of any file has the same time. */
void sdb_sim_note_change(sdb_sim_inode *inode);
/* Record a file's new length, that [offset, offset + bytes) is now as the memfd has it, that [offset, end) is zeros. */
void sdb_sim_record_length(sdb_sim_inode *inode, uint64_t length);
void sdb_sim_record_data(sdb_sim_inode *inode, uint64_t offset, uint64_t bytes);
void sdb_sim_record_zeros(sdb_sim_inode *inode, uint64_t offset, uint64_t end);
/* Remember what was written through shared mappings, as one event of each file. */
void sdb_sim_note_shared(sdb_sim_disk *disk);

/* ---- the disk in use (os_sim.c); whatever is done to it is done between these two */
sdb_sim_disk *sdb_sim_enter(void);
void sdb_sim_leave(void);
void sdb_sim_forget_handles(void);
/* Enter, and find a file's inode; EIO for handles of before a cut.  The caller leaves in any case. */
int sdb_sim_enter_file(sdb_fd file, bool want_write, sdb_sim_inode **inode);
/* os_sim_locks.c: forget the locks of a handle on [from, from + bytes). */
void sdb_sim_drop_byte_locks(sdb_sim_inode *inode, sdb_fd owner, uint64_t from, uint64_t bytes);

#endif /* SDB_OS_SIM_IMAGE_H */
