/* SPDX-License-Identifier: MIT
**
** vfs_shared.c: the shared memory of SQLite's files on the simulated disk: one list of regions for each file, and locks
** of the eight slots.  Test builds only.
** OWNS: the list of files with shared memory.
** THREADS: one mutex around everything; the bytes themselves are SQLite's business.
** INVARIANT: a file's memory lives as long as somebody has it mapped.  It is found by device and inode, so that nobody
** finds the memory of a machine that has lost its power.
*/
#include <stdlib.h>
#include <string.h>
#include "os_faults.h"
#include "vfs_sim.h"

#define SLOTS        SQLITE_SHM_NLOCK
#define REGION_BYTES 32768 /* as SQLite has them */

struct sdb_vfs_shared {
  sdb_vfs_shared *next;
  uint64_t device, inode;
  int users;
  void **regions;
  int count;
  int held[SLOTS]; /* 0 free, -1 exclusively, else by so many */
  void *saved;     /* the regions as they were, one after the other */
  int saved_count;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static sdb_vfs_shared *all;

static sdb_vfs_shared *find(uint64_t device, uint64_t inode) {
  sdb_vfs_shared *s = all;
  while (s != NULL && (s->device != device || s->inode != inode)) {
    s = s->next;
  }
  if (s == NULL && (s = calloc(1, sizeof *s)) != NULL) {
    s->device = device;
    s->inode = inode;
    s->next = all;
    all = s;
  }
  return s;
}

static int attach(sdb_vfs_file *file, const sdb_os_info *info) {
  if (file->shared != NULL) {
    return SQLITE_OK;
  }
  file->shared = find(info->device, info->inode);
  if (file->shared == NULL) {
    return SQLITE_NOMEM;
  }
  file->shared->users++;
  return SQLITE_OK;
}

static int map_region(sdb_vfs_shared *s, int region, int bytes, int extend, void volatile **address) {
  while (s->count <= region && extend) {
    void **longer = realloc(s->regions, ((size_t)s->count + 1) * sizeof *longer);
    void *memory = calloc(1, (size_t)SDB_MAX(bytes, REGION_BYTES));
    if (longer != NULL) {
      s->regions = longer;
    }
    if (longer == NULL || memory == NULL) {
      free(memory);
      return SQLITE_NOMEM;
    }
    s->regions[s->count++] = memory;
  }
  *address = region < s->count ? s->regions[region] : NULL;
  return SQLITE_OK;
}

int sdb_vfs_shared_map(sqlite3_file *given, int region, int bytes, int extend, void volatile **address) {
  sdb_vfs_file *file = (sdb_vfs_file *)given;
  sdb_os_info info = {0};
  *address = NULL;
  if (file->shared == NULL && sdb_os_info_of(file->fd, &info) != 0) { /* a call, during which others may come here */
    return SQLITE_IOERR_FSTAT;
  }
  pthread_mutex_lock(&mutex);
  int rc = attach(file, &info);
  if (rc == SQLITE_OK) {
    rc = map_region(file->shared, region, bytes, extend, address);
  }
  pthread_mutex_unlock(&mutex);
  return rc;
}

/* Give up the locks of these slots that the file has. */
static void unlock(sdb_vfs_file *file, unsigned slots) {
  for (int i = 0; i < SLOTS; i++) {
    unsigned bit = 1u << i;
    if (slots & bit & file->exclusive_locks) {
      file->shared->held[i] = 0;
    } else if (slots & bit & file->shared_locks) {
      file->shared->held[i]--;
    }
  }
  file->exclusive_locks &= ~slots;
  file->shared_locks &= ~slots;
}

static int lock_slots(sdb_vfs_file *file, int first, int count, bool exclusive) {
  int *held = file->shared->held;
  for (int i = first; i < first + count; i++) {
    int own = (file->shared_locks >> i) & 1u ? 1 : 0;
    if (held[i] < 0 || (exclusive && held[i] > own)) {
      return SQLITE_BUSY;
    }
  }
  for (int i = first; i < first + count; i++) {
    unsigned bit = 1u << i;
    if (exclusive) {
      held[i] = -1;
      file->exclusive_locks |= bit;
      file->shared_locks &= ~bit;
    } else if (!(file->shared_locks & bit)) {
      held[i]++;
      file->shared_locks |= bit;
    }
  }
  return SQLITE_OK;
}

int sdb_vfs_shared_lock(sqlite3_file *given, int first, int count, int flags) {
  sdb_vfs_file *file = (sdb_vfs_file *)given;
  unsigned slots = ((1u << count) - 1u) << first;
  int rc = SQLITE_OK;
  if (file->shared == NULL) {
    return SQLITE_IOERR_SHMLOCK;
  }
  pthread_mutex_lock(&mutex);
  if (flags & SQLITE_SHM_UNLOCK) {
    unlock(file, slots);
  } else {
    rc = lock_slots(file, first, count, (flags & SQLITE_SHM_EXCLUSIVE) != 0);
  }
  pthread_mutex_unlock(&mutex);
  return rc;
}

void sdb_vfs_shared_barrier(sqlite3_file *file) {
  (void)file;
  __sync_synchronize();
}

static void free_shared(sdb_vfs_shared *s) {
  sdb_vfs_shared **at = &all;
  while (*at != s) {
    at = &(*at)->next;
  }
  *at = s->next;
  for (int i = 0; i < s->count; i++) {
    free(s->regions[i]);
  }
  free(s->regions);
  free(s->saved);
  free(s);
}

void sdb_vfs_shared_save(void) {
  pthread_mutex_lock(&mutex);
  for (sdb_vfs_shared *s = all; s != NULL; s = s->next) {
    free(s->saved);
    s->saved = calloc((size_t)s->count + 1, REGION_BYTES);
    if (s->saved == NULL) {
      abort();
    }
    s->saved_count = s->count;
    for (int i = 0; i < s->count; i++) {
      memcpy((char *)s->saved + i * REGION_BYTES, s->regions[i], REGION_BYTES);
    }
  }
  pthread_mutex_unlock(&mutex);
}

void sdb_vfs_shared_restore(void) {
  pthread_mutex_lock(&mutex);
  for (sdb_vfs_shared *s = all; s != NULL; s = s->next) {
    for (int i = 0; s->saved != NULL && i < s->count; i++) {
      if (i < s->saved_count) {
        memcpy(s->regions[i], (char *)s->saved + i * REGION_BYTES, REGION_BYTES);
      } else {
        memset(s->regions[i], 0, REGION_BYTES);
      }
    }
    free(s->saved);
    s->saved = NULL;
  }
  pthread_mutex_unlock(&mutex);
}

int sdb_vfs_shared_unmap(sqlite3_file *given, int forget) {
  sdb_vfs_file *file = (sdb_vfs_file *)given;
  (void)forget; /* no file holds it */
  pthread_mutex_lock(&mutex);
  if (file->shared != NULL) {
    unlock(file, (1u << SLOTS) - 1u);
    if (--file->shared->users == 0) {
      free_shared(file->shared);
    }
    file->shared = NULL;
  }
  pthread_mutex_unlock(&mutex);
  return SQLITE_OK;
}
