/* SPDX-License-Identifier: MIT
**
** os_sim.c: the simulated disk as programs see it: directories, files, handles, locks, mappings.  Layer 0, test builds
** only; os_sim.h has the model, os_sim_cut.c what happens to a disk as a whole.
** OWNS: the disk in use, its handles, and a memfd per opened file, which is the page cache: mappings of it are what
** programs get, so that writes show through them and touching past the end is SIGBUS, as with a real file.
** THREADS: one lock around everything.  INVARIANTS
**   - What programs see of a file = its base (disk, or `cached` after a failed sync) with its events carried out.
**   - Each change is made to the memfd first and then recorded, so that an event holds sectors as they were afterwards.
**   - Handle numbers are not used twice: one from before a cut never reaches a file opened after it.
*/
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* memfd_create */
#endif
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "os_faults.h"
#include "os_sim.h"
#include "os_sim_image.h"

#define HANDLE_BASE (1 << 24)
#define HANDLES     4096 /* open at a time; a handle's slot is its number modulo this */
#define ROOT        1u

typedef struct open_handle {
  sdb_fd number; /* 0 = slot unused */
  sdb_sim_inode *inode;
  bool writable;
  bool locked, exclusive;
  int owner;
} open_handle;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static sdb_sim_disk live;
static uint64_t live_device; /* another one after each restart: a new machine to whoever compares */
static open_handle handles[HANDLES];
static sdb_fd last_handle = HANDLE_BASE;
static int owner_now;
static uint64_t fail_seed = 2;
static uint64_t file_max = SDB_OFFSET_MAX;

/* ---- disk and inodes --------------------------------------------------------------------------------------- */

sdb_sim_disk *sdb_sim_enter(void) {
  pthread_mutex_lock(&lock);
  if (live.count == 0) {
    sdb_sim_make_disk(&live);
  }
  return &live;
}

void sdb_sim_leave(void) {
  pthread_mutex_unlock(&lock);
}

void sdb_sim_forget_handles(void) {
  memset(handles, 0, sizeof handles);
  live_device++;
}

void sdb_sim_reset(void) {
  sdb_sim_enter();
  sdb_sim_forget_handles();
  sdb_sim_clear_disk(&live);
  sdb_sim_make_disk(&live);
  sdb_sim_leave();
}

void sdb_sim_set_fail_seed(uint64_t seed) {
  sdb_sim_enter();
  fail_seed = seed;
  sdb_sim_leave();
}

void sdb_sim_set_file_max(uint64_t bytes) {
  sdb_sim_enter();
  file_max = bytes == 0 ? SDB_OFFSET_MAX : bytes;
  sdb_sim_leave();
}

static void make_memory(sdb_sim_inode *inode) {
  if (inode->memory_fd < 0) {
    inode->memory_fd = memfd_create("seqdb-sim", MFD_CLOEXEC);
    if (inode->memory_fd < 0) {
      abort();
    }
    sdb_sim_refresh(inode);
  }
}

/* ---- names ------------------------------------------------------------------------------------------------- */

static void change_name(sdb_sim_inode *dir, const char *from, const char *to, uint64_t inode) {
  sdb_event *event = sdb_events_add(&dir->events, SDB_EVENT_ENTRY, 0, 0);
  event->inode = inode;
  snprintf(event->from, sizeof event->from, "%s", from);
  snprintf(event->to, sizeof event->to, "%s", to);
  sdb_sim_names_apply(&dir->names, event);
}

/* Resolve a path below the root.  With `parent`, all but the last component, which is copied to `last`. */
static int resolve(const char *path, bool parent, char last[64], sdb_sim_inode **found) {
  sdb_sim_inode *at = live.inodes[ROOT];
  last[0] = '\0';
  for (;;) {
    size_t bytes;
    path += strspn(path, "/");
    if (*path == '\0') {
      *found = at;
      return 0;
    }
    bytes = strcspn(path, "/");
    if (bytes >= 64) {
      return ENAMETOOLONG;
    }
    memcpy(last, path, bytes);
    last[bytes] = '\0';
    path += bytes;
    if (parent && path[strspn(path, "/")] == '\0') {
      *found = at;
      return at->is_dir ? 0 : ENOTDIR;
    }
    const sdb_sim_name *name = at->is_dir ? sdb_sim_find_name(&at->names, last) : NULL;
    if (name == NULL) {
      return at->is_dir ? ENOENT : ENOTDIR;
    }
    at = live.inodes[name->inode];
  }
}

const char *sdb_sim_path(const char *path) {
  if (strncmp(path, "sim:", 4) == 0) {
    return path + 4;
  }
  path = strstr(path, "/sim:");
  return path != NULL ? path + 5 : NULL;
}

/* ---- handles ----------------------------------------------------------------------------------------------- */

bool sdb_sim_owns(sdb_fd fd) {
  return fd >= HANDLE_BASE;
}

static open_handle *slot_of(sdb_fd fd) {
  open_handle *handle = &handles[fd % HANDLES];
  return handle->number == fd ? handle : NULL;
}

static int new_handle(sdb_sim_inode *inode, bool writable, sdb_fd *fd) {
  for (int tries = 0; tries < HANDLES; tries++) {
    open_handle *handle = &handles[++last_handle % HANDLES];
    if (handle->number == 0) {
      *handle = (open_handle){.number = last_handle, .inode = inode, .writable = writable, .owner = owner_now};
      *fd = last_handle;
      return 0;
    }
  }
  return EMFILE;
}

/* Enter the lock and find the handle's inode; EIO for handles of before a cut.  The caller leaves in any case. */
static int enter_file(sdb_fd fd, bool want_dir, bool want_write, sdb_sim_inode **inode) {
  sdb_sim_enter();
  const open_handle *handle = slot_of(fd);
  if (handle == NULL) {
    return EIO;
  }
  if (handle->inode->is_dir != want_dir) {
    return want_dir ? ENOTDIR : EISDIR;
  }
  if (want_write && !handle->writable) {
    return EBADF;
  }
  *inode = handle->inode;
  return 0;
}

int sdb_sim_enter_file(sdb_fd file, bool want_write, sdb_sim_inode **inode) {
  return enter_file(file, false, want_write, inode);
}

static int leave(int rc) {
  sdb_sim_leave();
  return rc;
}

static void drop_lock(open_handle *handle) {
  if (handle->locked && handle->exclusive) {
    handle->inode->exclusive_lock = false;
  } else if (handle->locked) {
    handle->inode->shared_locks--;
  }
  handle->locked = false;
}

void sdb_sim_close(sdb_fd fd) {
  sdb_sim_enter();
  open_handle *handle = slot_of(fd);
  if (handle != NULL) {
    drop_lock(handle);
    sdb_sim_drop_byte_locks(handle->inode, fd, 0, UINT64_MAX);
    handle->number = 0;
  }
  sdb_sim_leave();
}

void sdb_sim_set_owner(int owner) {
  sdb_sim_enter();
  owner_now = owner;
  sdb_sim_leave();
}

void sdb_sim_kill(int owner) {
  for (int i = 0; i < HANDLES; i++) {
    sdb_sim_enter();
    sdb_fd fd = handles[i].owner == owner ? handles[i].number : 0;
    sdb_sim_leave();
    if (fd != 0) {
      sdb_sim_close(fd);
    }
  }
}

/* ---- directories ------------------------------------------------------------------------------------------- */

int sdb_sim_open_dir(const char *path, sdb_fd *dir) {
  sdb_sim_inode *inode;
  char last[64];
  sdb_sim_enter();
  int rc = resolve(path, false, last, &inode);
  if (rc == 0) {
    rc = inode->is_dir ? new_handle(inode, false, dir) : ENOTDIR;
  }
  return leave(rc);
}

int sdb_sim_make_dir(const char *path) {
  sdb_sim_inode *parent;
  char last[64];
  sdb_sim_enter();
  int rc = resolve(path, true, last, &parent);
  if (rc == 0 && (last[0] == '\0' || sdb_sim_find_name(&parent->names, last) != NULL)) {
    rc = EEXIST;
  }
  if (rc == 0) {
    change_name(parent, "", last, sdb_sim_new_inode(&live, true)->number);
  }
  return leave(rc);
}

static void sync_names(sdb_sim_inode *dir) {
  for (size_t i = 0; i < dir->events.count; i++) {
    sdb_sim_names_apply(&dir->disk_names, dir->events.list[i]);
  }
  sdb_events_clear(&dir->events);
}

int sdb_sim_sync_dir(sdb_fd dir) {
  sdb_sim_inode *inode = NULL;
  int rc = enter_file(dir, true, false, &inode);
  if (rc == 0) {
    sync_names(inode);
  }
  return leave(rc);
}

int sdb_sim_sync_parent(const char *path) {
  sdb_sim_inode *parent;
  char last[64];
  sdb_sim_enter();
  int rc = resolve(path, true, last, &parent);
  if (rc == 0) {
    sync_names(parent);
  }
  return leave(rc);
}

int sdb_sim_dir_info(sdb_fd dir, sdb_os_info *info) {
  sdb_sim_inode *inode = NULL;
  int rc = enter_file(dir, true, false, &inode);
  if (rc == 0) {
    *info = (sdb_os_info){SDB_PAGE, SDB_PAGE, live_device, inode->number, 2, {0}};
  }
  return leave(rc);
}

int sdb_sim_list_dir(sdb_fd dir, bool (*visit)(void *context, const char *name), void *context) {
  sdb_sim_inode *inode = NULL;
  int rc = enter_file(dir, true, false, &inode);
  for (size_t i = 0; rc == 0 && i < inode->names.count && !visit(context, inode->names.list[i].name);) {
    i++;
  }
  return leave(rc);
}

int sdb_sim_replace(sdb_fd file, sdb_fd other) {
  sdb_sim_enter();
  open_handle *to = slot_of(file), *from = slot_of(other);
  if (to == NULL || from == NULL) {
    return leave(EIO);
  }
  drop_lock(to);
  sdb_sim_drop_byte_locks(to->inode, file, 0, UINT64_MAX);
  *to = *from;
  to->number = file;
  from->number = 0;
  return leave(0);
}

int sdb_sim_open(sdb_fd dir, const char *name, unsigned flags, sdb_fd *file) {
  sdb_sim_inode *parent = NULL, *inode = NULL;
  int rc = enter_file(dir, true, false, &parent);
  if (rc == 0 && (strlen(name) >= 64 || strchr(name, '/') != NULL)) {
    rc = EINVAL;
  }
  const sdb_sim_name *found = rc == 0 ? sdb_sim_find_name(&parent->names, name) : NULL;
  if (rc == 0 && found != NULL) {
    inode = live.inodes[found->inode];
    rc = inode->is_dir ? EINVAL : ((flags & SDB_OPEN_EXCL) ? EEXIST : 0);
  } else if (rc == 0) {
    rc = (flags & SDB_OPEN_CREATE) ? 0 : ENOENT;
  }
  if (rc == 0 && inode == NULL) {
    inode = sdb_sim_new_inode(&live, false);
    change_name(parent, "", name, inode->number);
  }
  if (rc == 0) {
    make_memory(inode);
    rc = new_handle(inode, (flags & SDB_OPEN_WRITE) != 0, file);
  }
  return leave(rc);
}

int sdb_sim_rename(sdb_fd dir, const char *from, const char *to, bool replace) {
  sdb_sim_inode *parent = NULL;
  int rc = enter_file(dir, true, false, &parent);
  const sdb_sim_name *found = rc == 0 ? sdb_sim_find_name(&parent->names, from) : NULL;
  if (rc == 0 && (found == NULL || (!replace && sdb_sim_find_name(&parent->names, to) != NULL))) {
    rc = found == NULL ? ENOENT : EEXIST;
  }
  if (rc == 0 && strcmp(from, to) != 0) {
    change_name(parent, from, to, found->inode);
  }
  return leave(rc);
}

static int remove_name(sdb_fd dir, const char *name, bool is_dir) {
  sdb_sim_inode *parent = NULL;
  int rc = enter_file(dir, true, false, &parent);
  rc = rc == 0 ? sdb_sim_may_remove(&live, sdb_sim_find_name(&parent->names, name), is_dir) : rc;
  if (rc == 0) {
    change_name(parent, name, "", 0);
  }
  return leave(rc);
}

int sdb_sim_unlink(sdb_fd dir, const char *name) {
  return remove_name(dir, name, false);
}
int sdb_sim_remove_dir(sdb_fd dir, const char *name) {
  return remove_name(dir, name, true);
}

/* ---- files ------------------------------------------------------------------------------------------------- */

int sdb_sim_info_of(sdb_fd file, sdb_os_info *info) {
  sdb_sim_inode *inode = NULL;
  struct stat st;
  int rc = enter_file(file, false, false, &inode);
  if (rc == 0 && fstat(inode->memory_fd, &st) != 0) {
    rc = errno;
  }
  if (rc == 0) {
    *info = (sdb_os_info){inode->length, (uint64_t)st.st_blocks * 512, live_device, inode->number, 1, {0}};
  }
  return leave(rc);
}

int sdb_sim_pread(sdb_fd file, void *buffer, size_t bytes, uint64_t offset, size_t *got) {
  sdb_sim_inode *inode = NULL;
  int rc = enter_file(file, false, false, &inode);
  if (rc == 0 && offset > SDB_OFFSET_MAX) {
    rc = EINVAL;
  }
  if (rc == 0) {
    *got = sdb_sim_load(inode->memory_fd, buffer, bytes, offset);
  }
  return leave(rc);
}

int sdb_sim_pwrite(sdb_fd file, const void *buffer, size_t bytes, uint64_t offset) {
  sdb_sim_inode *inode = NULL;
  int rc = enter_file(file, false, true, &inode);
  if (rc == 0 && (offset > file_max || bytes > file_max - offset)) {
    rc = EFBIG;
  }
  if (rc == 0 && bytes > 0) {
    sdb_sim_store(inode->memory_fd, buffer, bytes, offset);
    if (offset + bytes > inode->length) {
      sdb_sim_record_length(inode, offset + bytes);
    }
    sdb_sim_record_data(inode, offset, bytes);
  }
  return leave(rc);
}

int sdb_sim_sync(sdb_fd file) {
  sdb_sim_inode *inode = NULL;
  int rc = enter_file(file, false, false, &inode);
  if (rc == 0) {
    inode->disk_changed = inode->disk_length != inode->length ? inode->changed : inode->disk_changed;
    sdb_events_apply(&inode->events, &inode->disk, &inode->disk_length);
    if (inode->diverged) {
      sdb_events_apply(&inode->events, &inode->cached, &inode->cached_length);
    }
    sdb_events_clear(&inode->events);
  }
  return leave(rc);
}

int sdb_sim_sync_failed(sdb_fd file) {
  sdb_sim_inode *inode = NULL;
  sdb_chance chance;
  int rc = enter_file(file, false, false, &inode);
  if (rc == 0) {
    if (!inode->diverged) {
      sdb_image_copy(&inode->cached, &inode->disk);
      inode->cached_length = inode->disk_length;
      inode->diverged = true;
    }
    sdb_events_apply(&inode->events, &inode->cached, &inode->cached_length);
    sdb_chance_start(&chance, fail_seed);
    if (inode->events.count > 0) {
      chance.serial = inode->events.list[sdb_chance_number(&chance, inode->events.count)]->serial;
    }
    sdb_chance_apply(&chance, &inode->events, &inode->disk, &inode->disk_length, inode->orderly);
    sdb_events_clear(&inode->events);
  }
  return leave(rc);
}

int sdb_sim_truncate(sdb_fd file, uint64_t size_bytes) {
  sdb_sim_inode *inode = NULL;
  int rc = enter_file(file, false, true, &inode);
  if (rc == 0 && size_bytes > file_max) {
    rc = EFBIG;
  }
  if (rc == 0) {
    rc = sdb_real_truncate(inode->memory_fd, size_bytes);
  }
  if (rc == 0 && size_bytes != inode->length) {
    uint64_t old = inode->length;
    sdb_sim_record_length(inode, size_bytes);
    if (size_bytes < old) {
      sdb_sim_record_zeros(inode, size_bytes, (old + SDB_SIM_SECTOR - 1) / SDB_SIM_SECTOR * SDB_SIM_SECTOR);
    }
  }
  return leave(rc);
}

void sdb_sim_set_orderly(sdb_fd file) {
  sdb_sim_inode *inode = NULL;
  if (enter_file(file, false, false, &inode) == 0) {
    inode->orderly = true;
  }
  leave(0);
}

int sdb_sim_punch(sdb_fd file, uint64_t offset, uint64_t bytes) {
  sdb_sim_inode *inode = NULL;
  int rc = enter_file(file, false, true, &inode);
  if (rc == 0) {
    rc = sdb_real_punch(inode->memory_fd, offset, bytes);
  }
  if (rc == 0 && bytes > 0 && offset < inode->length) {
    sdb_sim_record_zeros(inode, offset, SDB_MIN(offset + bytes, inode->length));
  }
  return leave(rc);
}

int sdb_sim_next_data(sdb_fd file, uint64_t offset, uint64_t end, uint64_t *data, uint64_t *data_end) {
  sdb_sim_inode *inode = NULL;
  int rc = enter_file(file, false, false, &inode);
  return leave(rc != 0 ? rc : sdb_real_next_data(inode->memory_fd, offset, end, data, data_end));
}

/* Of files and of directories, as flock(). */
int sdb_sim_lock(sdb_fd file, bool exclusive) {
  int rc = EIO;
  sdb_sim_enter();
  open_handle *handle = slot_of(file);
  if (handle != NULL) {
    sdb_sim_inode *inode = handle->inode;
    unsigned others = inode->shared_locks - (handle->locked && !handle->exclusive ? 1 : 0);
    bool held = inode->exclusive_lock && !(handle->locked && handle->exclusive);
    rc = held || (exclusive && others > 0) ? EWOULDBLOCK : 0;
    if (rc == 0) {
      drop_lock(handle);
      handle->locked = true;
      handle->exclusive = exclusive;
      inode->exclusive_lock = exclusive;
      inode->shared_locks += exclusive ? 0 : 1;
    }
  }
  return leave(rc);
}

int sdb_sim_unlock(sdb_fd file) {
  sdb_sim_enter();
  open_handle *handle = slot_of(file);
  if (handle != NULL) {
    drop_lock(handle);
  }
  return leave(handle != NULL ? 0 : EIO);
}

int sdb_sim_map(sdb_fd file, uint64_t offset, uint64_t bytes, const uint8_t **address) {
  sdb_sim_inode *inode = NULL;
  int rc = enter_file(file, false, false, &inode);
  return leave(rc != 0 ? rc : sdb_real_map(inode->memory_fd, offset, bytes, address));
}

/* ---- by path ----------------------------------------------------------------------------------------------- */

/* Open the file for one of the calls below. */
static int open_path(const char *path, sdb_fd *file) {
  char last[64];
  sdb_sim_inode *inode;
  sdb_sim_enter();
  int rc = sdb_sim_path(path) == NULL ? EINVAL : resolve(sdb_sim_path(path), false, last, &inode);
  if (rc == 0 && inode->is_dir) {
    rc = EISDIR;
  }
  if (rc == 0) {
    make_memory(inode);
    rc = new_handle(inode, true, file);
  }
  return leave(rc);
}

int sdb_sim_peek(const char *path, uint64_t offset, void *buffer, size_t bytes, size_t *got) {
  sdb_fd file = -1;
  int rc = open_path(path, &file);
  if (rc == 0) {
    rc = sdb_sim_pread(file, buffer, bytes, offset, got);
    sdb_sim_close(file);
  }
  return rc;
}

int sdb_sim_poke(const char *path, uint64_t offset, const void *buffer, size_t bytes) {
  sdb_fd file = -1;
  int rc = open_path(path, &file);
  if (rc == 0) {
    rc = sdb_sim_pwrite(file, buffer, bytes, offset);
    rc = rc == 0 ? sdb_sim_sync(file) : rc;
    sdb_sim_close(file);
  }
  return rc;
}

int sdb_sim_set_size(const char *path, uint64_t bytes) {
  sdb_fd file = -1;
  int rc = open_path(path, &file);
  if (rc == 0) {
    rc = sdb_sim_truncate(file, bytes);
    rc = rc == 0 ? sdb_sim_sync(file) : rc;
    sdb_sim_close(file);
  }
  return rc;
}

int sdb_sim_list(const char *directory, size_t index, sdb_sim_entry *entry) {
  char last[64];
  sdb_sim_inode *dir;
  sdb_sim_enter();
  int rc = sdb_sim_path(directory) == NULL ? EINVAL : resolve(sdb_sim_path(directory), false, last, &dir);
  if (rc == 0 && !dir->is_dir) {
    rc = ENOTDIR;
  }
  if (rc == 0 && index >= dir->names.count) {
    rc = ERANGE;
  }
  if (rc == 0) {
    const sdb_sim_inode *inode = live.inodes[dir->names.list[index].inode];
    *entry = (sdb_sim_entry){.is_dir = inode->is_dir,
                             .cache_bytes = inode->length,
                             .disk_bytes = inode->disk_length,
                             .unsynced = inode->events.count};
    memcpy(entry->name, dir->names.list[index].name, sizeof entry->name);
  }
  return leave(rc);
}
