/* SPDX-License-Identifier: MIT
**
** os_dispatch.c: the functions of os.h in test builds: each asks the rules of os_faults.c, then hands the call to the
** system (sdb_real_*) or to the simulated disk (sdb_sim_*).  Layer 0.
** OWNS: the names of open handles, and the counts of what lives.
** THREADS: any; `names_lock` is never held during a call.
** INVARIANT: a call refused by a rule or by the crash point reaches neither the system nor the simulated disk, except
** that a failing sync is told to the simulated disk.
*/
#pragma GCC visibility push(default) /* the second copy of the library uses these functions too */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include "os_faults.h"
#include "os_sim.h"

#define HANDLES_MAX 8192 /* names kept: half for descriptors, half for simulated handles */

typedef sdb_fault_pending pending;
#define begin sdb_fault_begin
#define end   sdb_fault_end

static pthread_mutex_t names_lock = PTHREAD_MUTEX_INITIALIZER;
static char handle_names[HANDLES_MAX][SDB_CALL_FILE_MAX];
static _Atomic int64_t live_handles, live_maps;
static _Atomic uint64_t map_window;

void sdb_fault_live(sdb_fault_lives *lives) {
  *lives = (sdb_fault_lives){sdb_fault_live_memory(), atomic_load(&live_handles), atomic_load(&live_maps)};
}

void sdb_fault_set_map_window(uint64_t bytes) {
  atomic_store(&map_window, bytes);
}

/* ---- handles and their names ------------------------------------------------------------------------------- */

static char *name_slot(sdb_fd fd) {
  size_t half = HANDLES_MAX / 2;
  return handle_names[sdb_sim_owns(fd) ? half + (size_t)fd % half : (size_t)fd % half];
}

/* A copy, so that another thread's close does no harm. */
typedef struct handle_name {
  char text[SDB_CALL_FILE_MAX];
} handle_name;

static handle_name name_of(sdb_fd fd) {
  handle_name name = {""};
  if (fd >= 0 && sdb_fault_watching()) {
    pthread_mutex_lock(&names_lock);
    memcpy(name.text, name_slot(fd), sizeof name.text);
    pthread_mutex_unlock(&names_lock);
  }
  return name;
}

static void opened(sdb_fd fd, const char *name) {
  atomic_fetch_add(&live_handles, 1);
  pthread_mutex_lock(&names_lock);
  snprintf(name_slot(fd), SDB_CALL_FILE_MAX, "%s", name);
  pthread_mutex_unlock(&names_lock);
}

static const char *last_component(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash != NULL ? slash + 1 : path;
}

/* ---- os.h: directories ------------------------------------------------------------------------------------- */

int sdb_os_open_dir(const char *path, sdb_fd *dir) {
  pending p = {0};
  const char *simulated = sdb_sim_path(path);
  int rc = begin(&p, SDB_CALL_OPENDIR, last_component(path), 0, 0);
  if (rc == 0) {
    rc = simulated != NULL ? sdb_sim_open_dir(simulated, dir) : sdb_real_open_dir(path, dir);
    if (rc == 0) {
      opened(*dir, ".");
    }
  }
  return end(&p, rc);
}

int sdb_os_make_dir(const char *path, bool own) {
  pending p = {0};
  const char *simulated = sdb_sim_path(path);
  int rc = begin(&p, SDB_CALL_MKDIR, last_component(path), 0, 0);
  if (rc == 0) {
    rc = simulated != NULL ? sdb_sim_make_dir(simulated) : sdb_real_make_dir(path, own);
  }
  return end(&p, rc);
}

int sdb_os_sync_dir(sdb_fd dir) {
  pending p = {0};
  int rc = begin(&p, SDB_CALL_SYNCDIR, ".", 0, 0);
  if (rc == 0 && !p.skip) {
    rc = sdb_sim_owns(dir) ? sdb_sim_sync_dir(dir) : sdb_real_sync_dir(dir);
  }
  return end(&p, rc);
}

int sdb_os_sync_parent(const char *path) {
  pending p = {0};
  const char *simulated = sdb_sim_path(path);
  int rc = begin(&p, SDB_CALL_SYNCDIR, "..", 0, 0);
  if (rc == 0 && !p.skip) {
    rc = simulated != NULL ? sdb_sim_sync_parent(simulated) : sdb_real_sync_parent(path);
  }
  return end(&p, rc);
}

int sdb_os_dir_info(sdb_fd dir, sdb_os_info *info) {
  pending p = {0};
  int rc = begin(&p, SDB_CALL_INFO, ".", 0, 0);
  if (rc == 0) {
    rc = sdb_sim_owns(dir) ? sdb_sim_dir_info(dir, info) : sdb_real_dir_info(dir, info);
  }
  return end(&p, rc);
}

/* The simulated disk knows of no owners. */
void sdb_os_set_access(sdb_fd fd, const sdb_os_access *access) {
  if (!sdb_sim_owns(fd)) {
    sdb_real_set_access(fd, access);
  }
}

static int sim_path_info(const char *path, sdb_os_info *info) {
  sdb_fd dir = -1;
  int rc = sdb_sim_open_dir(path, &dir);
  if (rc == 0) {
    rc = sdb_sim_dir_info(dir, info);
    sdb_sim_close(dir);
  }
  return rc;
}

int sdb_os_path_info(const char *path, sdb_os_info *info) {
  pending p = {0};
  const char *simulated = sdb_sim_path(path);
  int rc = begin(&p, SDB_CALL_INFO, ".", 0, 0);
  if (rc == 0) {
    rc = simulated != NULL ? sim_path_info(simulated, info) : sdb_real_path_info(path, info);
  }
  return end(&p, rc);
}

/* The simulated disk knows of no times. */
uint64_t sdb_os_birth_ns(const char *path) {
  return sdb_sim_path(path) ? 0 : sdb_real_birth_ns(path);
}

/* Simulated paths have no links. */
int sdb_os_real_path(const char *path, char *real, size_t bytes) {
  if (sdb_sim_path(path) == NULL) {
    return sdb_real_real_path(path, real, bytes);
  }
  if (strlen(path) >= bytes) {
    return ENAMETOOLONG;
  }
  memcpy(real, path, strlen(path) + 1);
  return 0;
}

int sdb_os_list_dir(sdb_fd dir, bool (*visit)(void *context, const char *name), void *context) {
  pending p = {0};
  int rc = begin(&p, SDB_CALL_OPENDIR, ".", 0, 0);
  if (rc == 0) {
    rc = sdb_sim_owns(dir) ? sdb_sim_list_dir(dir, visit, context) : sdb_real_list_dir(dir, visit, context);
  }
  return end(&p, rc);
}

/* ---- os.h: files ------------------------------------------------------------------------------------------- */

int sdb_os_open(sdb_fd dir, const char *name, unsigned flags, sdb_fd *file) {
  pending p = {.changing = (flags & SDB_OPEN_CREATE) != 0};
  int rc = begin(&p, SDB_CALL_OPEN, name, 0, 0);
  if (rc == 0) {
    rc = sdb_sim_owns(dir) ? sdb_sim_open(dir, name, flags, file) : sdb_real_open(dir, name, flags, file);
    if (rc == 0) {
      opened(*file, name);
    }
  }
  return end(&p, rc);
}

void sdb_os_close(sdb_fd fd) {
  pending p = {0};
  if (fd < 0) {
    return;
  }
  begin(&p, SDB_CALL_CLOSE, name_of(fd).text, 0, 0);
  atomic_fetch_sub(&live_handles, 1);
  if (sdb_sim_owns(fd)) {
    sdb_sim_close(fd);
  } else {
    sdb_real_close(fd);
  }
  end(&p, 0);
}

int sdb_os_replace(sdb_fd file, sdb_fd other) {
  pending p = {0};
  begin(&p, SDB_CALL_CLOSE, name_of(other).text, 0, 0);
  atomic_fetch_sub(&live_handles, 1);
  return end(&p, sdb_sim_owns(file) ? sdb_sim_replace(file, other) : sdb_real_replace(file, other));
}

int sdb_os_rename(sdb_fd dir, const char *from, const char *to) {
  pending p = {0};
  char both[SDB_CALL_FILE_MAX];
  snprintf(both, sizeof both, "%s>%s", from, to);
  int rc = begin(&p, SDB_CALL_RENAME, both, 0, 0);
  if (rc == 0) {
    rc = sdb_sim_owns(dir) ? sdb_sim_rename(dir, from, to, true) : sdb_real_rename(dir, from, to);
  }
  return end(&p, rc);
}

int sdb_os_rename_new(sdb_fd dir, const char *from, const char *to) {
  pending p = {0};
  char both[SDB_CALL_FILE_MAX];
  snprintf(both, sizeof both, "%s>%s", from, to);
  int rc = begin(&p, SDB_CALL_RENAME, both, 0, 0);
  if (rc == 0) {
    rc = sdb_sim_owns(dir) ? sdb_sim_rename(dir, from, to, false) : sdb_real_rename_new(dir, from, to);
  }
  return end(&p, rc);
}

int sdb_os_unlink(sdb_fd dir, const char *name) {
  pending p = {0};
  int rc = begin(&p, SDB_CALL_UNLINK, name, 0, 0);
  if (rc == 0) {
    rc = sdb_sim_owns(dir) ? sdb_sim_unlink(dir, name) : sdb_real_unlink(dir, name);
  }
  return end(&p, rc);
}

int sdb_os_remove_dir(sdb_fd dir, const char *name) {
  pending p = {0};
  int rc = begin(&p, SDB_CALL_UNLINK, name, 0, 0);
  rc = rc != 0 ? rc : sdb_sim_owns(dir) ? sdb_sim_remove_dir(dir, name) : sdb_real_remove_dir(dir, name);
  return end(&p, rc);
}

/* A hint, which nothing depends on: it is no call that could fail. */
void sdb_os_write_out(sdb_fd file) {
  if (!sdb_sim_owns(file)) {
    sdb_real_write_out(file);
  }
}

int sdb_os_info_of(sdb_fd file, sdb_os_info *info) {
  pending p = {0};
  int rc = begin(&p, SDB_CALL_INFO, name_of(file).text, 0, 0);
  rc = rc != 0 ? rc : sdb_sim_owns(file) ? sdb_sim_info_of(file, info) : sdb_real_info_of(file, info);
  return end(&p, rc);
}

/* To set a stamp changes nothing that the disk must keep. */
int sdb_os_stamp_set(sdb_fd file, sdb_os_stamp *stamp) {
  pending p = {0};
  int rc = begin(&p, SDB_CALL_INFO, name_of(file).text, 0, 0);
  rc = rc != 0 ? rc : sdb_sim_owns(file) ? sdb_sim_stamp_set(file, stamp) : sdb_real_stamp_set(file, stamp);
  return end(&p, rc);
}

int sdb_os_stamp_of(sdb_fd file, sdb_os_stamp *stamp) {
  pending p = {0};
  int rc = begin(&p, SDB_CALL_INFO, name_of(file).text, 0, 0);
  rc = rc != 0 ? rc : sdb_sim_owns(file) ? sdb_sim_stamp_of(file, stamp) : sdb_real_stamp_of(file, stamp);
  return end(&p, rc);
}

int sdb_os_pread(sdb_fd file, void *buffer, size_t bytes, uint64_t offset, size_t *got) {
  pending p = {0};
  int rc = begin(&p, SDB_CALL_PREAD, name_of(file).text, offset, bytes);
  if (rc == 0) {
    rc = sdb_sim_owns(file) ? sdb_sim_pread(file, buffer, bytes, offset, got)
                            : sdb_real_pread(file, buffer, bytes, offset, got);
  }
  return end(&p, rc);
}

static bool reads_same(sdb_fd file, const uint8_t *bytes, size_t count, uint64_t offset) {
  uint8_t there[4096];
  for (size_t done = 0, got = 0; done < count; done += got) {
    size_t part = SDB_MIN(sizeof there, count - done);
    int rc = sdb_sim_owns(file) ? sdb_sim_pread(file, there, part, offset + done, &got)
                                : sdb_real_pread(file, there, part, offset + done, &got);
    if (rc != 0 || got < part || memcmp(there, bytes + done, part) != 0) {
      return false;
    }
  }
  return true;
}

int sdb_os_pwrite(sdb_fd file, const void *buffer, size_t bytes, uint64_t offset) {
  pending p = {0};
  int rc = begin(&p, SDB_CALL_PWRITE, name_of(file).text, offset, bytes);
  p.skip |= p.skip_same && reads_same(file, buffer, bytes, offset);
  if (rc == 0 && !p.skip) {
    if (sdb_sim_owns(file)) {
      size_t piece = sdb_fault_piece();
      rc = sdb_sim_pwrite(file, buffer, piece != 0 ? SDB_MIN(bytes, piece) : bytes, offset);
    } else {
      rc = sdb_real_pwrite(file, buffer, bytes, offset);
    }
  }
  return end(&p, rc);
}

static int sync_file(sdb_fd file, int kind, int (*real)(sdb_fd file)) {
  pending p = {0};
  int rc = begin(&p, kind, name_of(file).text, 0, 0);
  if (rc == 0 && !p.skip) {
    rc = sdb_sim_owns(file) ? sdb_sim_sync(file) : real(file);
  } else if (rc != 0 && !p.refused && sdb_sim_owns(file)) {
    sdb_sim_sync_failed(file);
  }
  return end(&p, rc);
}

int sdb_os_fdatasync(sdb_fd file) {
  return sync_file(file, SDB_CALL_FDATASYNC, sdb_real_fdatasync);
}

int sdb_os_fsync(sdb_fd file) {
  return sync_file(file, SDB_CALL_FSYNC, sdb_real_fsync);
}

int sdb_os_truncate(sdb_fd file, uint64_t size_bytes) {
  pending p = {0};
  int rc = begin(&p, SDB_CALL_TRUNCATE, name_of(file).text, 0, size_bytes);
  if (rc == 0 && !p.skip) {
    rc = sdb_sim_owns(file) ? sdb_sim_truncate(file, size_bytes) : sdb_real_truncate(file, size_bytes);
  }
  return end(&p, rc);
}

int sdb_os_punch(sdb_fd file, uint64_t offset, uint64_t bytes) {
  pending p = {0};
  int rc = begin(&p, SDB_CALL_PUNCH, name_of(file).text, offset, bytes);
  if (rc == 0) {
    rc = sdb_sim_owns(file) ? sdb_sim_punch(file, offset, bytes) : sdb_real_punch(file, offset, bytes);
  }
  return end(&p, rc);
}

/* The simulated disk counts no blocks: allocating changes nothing there that a cut could lose. */
int sdb_os_allocate(sdb_fd file, uint64_t offset, uint64_t bytes) {
  pending p = {0};
  int rc = begin(&p, SDB_CALL_ALLOCATE, name_of(file).text, offset, bytes);
  if (rc == 0) {
    rc = sdb_sim_owns(file) ? 0 : sdb_real_allocate(file, offset, bytes);
  }
  return end(&p, rc);
}

int sdb_os_next_data(sdb_fd file, uint64_t offset, uint64_t limit, uint64_t *data, uint64_t *data_end) {
  pending p = {0};
  int rc = begin(&p, SDB_CALL_NEXTDATA, name_of(file).text, offset, limit - offset);
  if (rc == 0) {
    rc = sdb_sim_owns(file) ? sdb_sim_next_data(file, offset, limit, data, data_end)
                            : sdb_real_next_data(file, offset, limit, data, data_end);
  }
  return end(&p, rc);
}

int sdb_os_lock(sdb_fd file, bool exclusive) {
  pending p = {0};
  int rc = begin(&p, SDB_CALL_LOCK, name_of(file).text, 0, 0);
  if (rc == 0) {
    rc = sdb_sim_owns(file) ? sdb_sim_lock(file, exclusive) : sdb_real_lock(file, exclusive);
  }
  return end(&p, rc);
}

int sdb_os_unlock(sdb_fd file) {
  pending p = {0};
  begin(&p, SDB_CALL_UNLOCK, name_of(file).text, 0, 0);
  return end(&p, sdb_sim_owns(file) ? sdb_sim_unlock(file) : sdb_real_unlock(file));
}

int sdb_os_lock_byte(sdb_fd file, uint64_t at, bool exclusive) {
  pending p = {0};
  int rc = begin(&p, SDB_CALL_LOCK, name_of(file).text, at, 1);
  if (rc == 0) {
    rc = sdb_sim_owns(file) ? sdb_sim_lock_byte(file, at, exclusive) : sdb_real_lock_byte(file, at, exclusive);
  }
  return end(&p, rc);
}

int sdb_os_unlock_byte(sdb_fd file, uint64_t at) {
  pending p = {0};
  begin(&p, SDB_CALL_UNLOCK, name_of(file).text, at, 1);
  return end(&p, sdb_sim_owns(file) ? sdb_sim_unlock_bytes(file, at, 1) : sdb_real_unlock_byte(file, at));
}

int sdb_os_unlock_all_bytes(sdb_fd file) {
  pending p = {0};
  begin(&p, SDB_CALL_UNLOCK, name_of(file).text, 0, UINT64_MAX);
  return end(&p, sdb_sim_owns(file) ? sdb_sim_unlock_bytes(file, 0, UINT64_MAX) : sdb_real_unlock_all_bytes(file));
}

int sdb_os_byte_is_locked(sdb_fd file, uint64_t at, bool *locked) {
  pending p = {0};
  int rc = begin(&p, SDB_CALL_LOCK, name_of(file).text, at, 1);
  if (rc == 0) {
    rc = sdb_sim_owns(file) ? sdb_sim_byte_is_locked(file, at, locked) : sdb_real_byte_is_locked(file, at, locked);
  }
  return end(&p, rc);
}

int sdb_os_share(sdb_fd file, size_t bytes, void **address) {
  pending p = {0};
  int rc = begin(&p, SDB_CALL_MMAP, name_of(file).text, 0, bytes);
  if (rc == 0) {
    rc = sdb_sim_owns(file) ? sdb_sim_share(file, bytes, address) : sdb_real_share(file, bytes, address);
    if (rc == 0) {
      atomic_fetch_add(&live_maps, 1);
    }
  }
  return end(&p, rc);
}

void sdb_os_unshare(void *address, size_t bytes) {
  pending p = {0};
  if (address == NULL) {
    return;
  }
  begin(&p, SDB_CALL_MUNMAP, "", 0, bytes);
  atomic_fetch_sub(&live_maps, 1);
  sdb_real_unshare(address, bytes);
  end(&p, 0);
}

int sdb_os_file_system_of(sdb_fd fd, sdb_os_file_system *info) {
  pending p = {0};
  int rc = begin(&p, SDB_CALL_INFO, name_of(fd).text, 0, 0);
  if (rc == 0) {
    *info = (sdb_os_file_system){0};
    rc = sdb_sim_owns(fd) ? 0 : sdb_real_file_system_of(fd, info);
  }
  return end(&p, rc);
}

int sdb_os_map(sdb_fd file, uint64_t offset, uint64_t bytes, const uint8_t **address) {
  pending p = {0};
  int rc = begin(&p, SDB_CALL_MMAP, name_of(file).text, offset, bytes);
  if (rc == 0) {
    rc = sdb_sim_owns(file) ? sdb_sim_map(file, offset, bytes, address) : sdb_real_map(file, offset, bytes, address);
    if (rc == 0) {
      atomic_fetch_add(&live_maps, 1);
    }
  }
  return end(&p, rc);
}

/* The simulated disk hands out mappings of the system's too. */
int sdb_os_populate(const uint8_t *address, uint64_t bytes) {
  pending p = {0};
  int rc = begin(&p, SDB_CALL_MMAP, "", 0, bytes);
  return end(&p, rc == 0 ? sdb_real_populate(address, bytes) : rc);
}

void sdb_os_unmap(const uint8_t *address, uint64_t bytes) {
  pending p = {0};
  if (address == NULL) {
    return;
  }
  begin(&p, SDB_CALL_MUNMAP, "", 0, bytes);
  atomic_fetch_sub(&live_maps, 1);
  sdb_real_unmap(address, bytes);
  end(&p, 0);
}

bool sdb_os_dense(sdb_fd file) {
  return !sdb_sim_owns(file) && sdb_real_dense(file);
}

bool sdb_os_may_fill_holes(sdb_fd file) {
  return !sdb_sim_owns(file) && sdb_real_may_fill_holes(file);
}

uint64_t sdb_os_map_window(void) {
  uint64_t bytes = atomic_load(&map_window);
#if defined(__SANITIZE_THREAD__)
  if (bytes == 0) {
    return (uint64_t)1 << 30; /* ThreadSanitizer's shadow leaves no room for a terabyte */
  }
#endif
  return bytes != 0 ? bytes : sdb_real_map_window();
}

/* ---- os.h: random bytes ------------------------------------------------------------------------------------ */

int sdb_os_random(void *buffer, size_t bytes) {
  pending p = {0};
  int rc = begin(&p, SDB_CALL_RANDOM, "", 0, bytes);
  if (rc == 0 && !sdb_fault_seeded_random(buffer, bytes)) {
    rc = sdb_real_random(buffer, bytes);
  }
  return end(&p, rc);
}
