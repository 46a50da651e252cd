/* SPDX-License-Identifier: MIT
**
** vfs_sim.c: an sqlite3_vfs over os.h, for SQLite's files on the simulated disk.  Test builds only; vfs_sim.h says what
** it promises.  It does to a file what SQLite's unix VFS does, in that order: the first sync of a new journal or WAL
** syncs the folder, deleting syncs it only when asked, a file of no bytes does not exist, creating the database file
** syncs nothing.
** OWNS: nothing but the numbers that it gives to SQLite as random ones.
** THREADS: as SQLite: a file belongs to one thread at a time.
*/
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "os_faults.h"
#include "os_sim.h"
#include "vfs_sim.h"

static const sqlite3_api_routines *sqlite3_api;

__attribute__((visibility("default"))) int sqlite3_sdbtestvfs_init(sqlite3 *db, char **error,
                                                                   const sqlite3_api_routines *api);

/* SQLite's locks on a file, each on one byte: 0x40000000 and what follows. */
#define PENDING_BYTE  0x40000000u
#define RESERVED_BYTE (PENDING_BYTE + 1)
#define SHARED_BYTE   (PENDING_BYTE + 2)

static sqlite3_vfs *base_vfs; /* the default one, for what is not simulated */
static sqlite3_vfs sim_vfs;
static uint64_t random_state = 1;
static uint64_t opens; /* of files that are no journals */

static sdb_vfs_file *of(sqlite3_file *file) {
  return (sdb_vfs_file *)file;
}

/* ---- reading and writing ------------------------------------------------------------------------------------ */

static int file_close(sqlite3_file *file) {
  sdb_vfs_shared_unmap(file, 0);
  sdb_os_close(of(file)->fd);
  sqlite3_free(of(file)->path);
  file->pMethods = NULL;
  return SQLITE_OK;
}

static int file_read(sqlite3_file *file, void *buffer, int bytes, sqlite3_int64 offset) {
  size_t got = 0;
  if (sdb_os_pread(of(file)->fd, buffer, (size_t)bytes, (uint64_t)offset, &got) != 0) {
    return SQLITE_IOERR_READ;
  }
  memset((char *)buffer + got, 0, (size_t)bytes - got);
  return got < (size_t)bytes ? SQLITE_IOERR_SHORT_READ : SQLITE_OK;
}

static int file_write(sqlite3_file *file, const void *buffer, int bytes, sqlite3_int64 offset) {
  int error = sdb_os_pwrite(of(file)->fd, buffer, (size_t)bytes, (uint64_t)offset);
  return error == 0 ? SQLITE_OK : error == ENOSPC ? SQLITE_FULL : SQLITE_IOERR_WRITE;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 bytes) {
  return sdb_os_truncate(of(file)->fd, (uint64_t)bytes) == 0 ? SQLITE_OK : SQLITE_IOERR_TRUNCATE;
}

static int file_sync(sqlite3_file *file, int flags) {
  sdb_vfs_file *f = of(file);
  int error = flags & SQLITE_SYNC_DATAONLY ? sdb_os_fdatasync(f->fd) : sdb_os_fsync(f->fd);
  if (error != 0) {
    return SQLITE_IOERR_FSYNC;
  }
  if (f->sync_dir) {
    f->sync_dir = false;
    if (sdb_os_sync_parent(f->path) != 0) {
      return SQLITE_IOERR_DIR_FSYNC;
    }
  }
  return SQLITE_OK;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *bytes) {
  sdb_os_info info;
  if (sdb_os_info_of(of(file)->fd, &info) != 0) {
    return SQLITE_IOERR_FSTAT;
  }
  *bytes = (sqlite3_int64)info.size_bytes;
  return SQLITE_OK;
}

/* ---- locks -------------------------------------------------------------------------------------------------- */

static int take(sdb_vfs_file *f, uint64_t byte, bool exclusive) {
  int error = sdb_os_lock_byte(f->fd, byte, exclusive);
  return error == 0 ? SQLITE_OK : error == EWOULDBLOCK ? SQLITE_BUSY : SQLITE_IOERR_LOCK;
}

static int lock_shared(sdb_vfs_file *f) {
  int rc = take(f, PENDING_BYTE, false);
  if (rc != SQLITE_OK) {
    return rc;
  }
  rc = take(f, SHARED_BYTE, false);
  sdb_os_unlock_byte(f->fd, PENDING_BYTE);
  return rc;
}

/* Who meets readers keeps PENDING, so that none comes. */
static int lock_exclusive(sdb_vfs_file *f, int level) {
  int rc = f->lock < SQLITE_LOCK_PENDING ? take(f, PENDING_BYTE, true) : SQLITE_OK;
  if (rc == SQLITE_OK) {
    f->lock = SQLITE_LOCK_PENDING;
    rc = level == SQLITE_LOCK_EXCLUSIVE ? take(f, SHARED_BYTE, true) : SQLITE_OK;
  }
  return rc;
}

static int file_lock(sqlite3_file *file, int level) {
  sdb_vfs_file *f = of(file);
  int rc = SQLITE_OK;
  if (f->lock >= level) {
    return SQLITE_OK;
  }
  if (level == SQLITE_LOCK_SHARED) {
    rc = lock_shared(f);
  } else if (level == SQLITE_LOCK_RESERVED) {
    rc = take(f, RESERVED_BYTE, true);
  } else {
    rc = lock_exclusive(f, level);
  }
  if (rc == SQLITE_OK) {
    f->lock = level;
  }
  return rc;
}

static int file_unlock(sqlite3_file *file, int level) {
  sdb_vfs_file *f = of(file);
  if (f->lock <= level) {
    return SQLITE_OK;
  }
  if (level == SQLITE_LOCK_SHARED && f->lock > SQLITE_LOCK_RESERVED && take(f, SHARED_BYTE, false) != SQLITE_OK) {
    return SQLITE_IOERR_RDLOCK;
  }
  sdb_os_unlock_byte(f->fd, PENDING_BYTE);
  sdb_os_unlock_byte(f->fd, RESERVED_BYTE);
  if (level == SQLITE_LOCK_NONE) {
    sdb_os_unlock_byte(f->fd, SHARED_BYTE);
  }
  f->lock = level;
  return SQLITE_OK;
}

static int file_check_reserved(sqlite3_file *file, int *reserved) {
  bool locked = false;
  *reserved = of(file)->lock > SQLITE_LOCK_SHARED;
  if (!*reserved && sdb_os_byte_is_locked(of(file)->fd, RESERVED_BYTE, &locked) != 0) {
    return SQLITE_IOERR_CHECKRESERVEDLOCK;
  }
  *reserved |= locked;
  return SQLITE_OK;
}

/* ---- the rest of a file ------------------------------------------------------------------------------------- */

static int flag_control(bool *flag, int *value) {
  if (*value < 0) {
    *value = *flag;
  } else {
    *flag = *value != 0;
  }
  return SQLITE_OK;
}

static int file_control(sqlite3_file *file, int operation, void *argument) {
  sdb_vfs_file *f = of(file);
  switch (operation) {
    case SQLITE_FCNTL_LOCKSTATE:
      *(int *)argument = f->lock;
      return SQLITE_OK;
    case SQLITE_FCNTL_LAST_ERRNO:
      *(int *)argument = 0;
      return SQLITE_OK;
    case SQLITE_FCNTL_SIZE_HINT: /* without a size of chunks it does nothing */
    case SQLITE_FCNTL_CHUNK_SIZE:
      return SQLITE_OK;
    case SQLITE_FCNTL_PERSIST_WAL:
      return flag_control(&f->keep_wal, argument);
    case SQLITE_FCNTL_POWERSAFE_OVERWRITE:
      return flag_control(&f->safe_overwrite, argument);
    case SQLITE_FCNTL_VFSNAME:
      *(char **)argument = sqlite3_mprintf("%s", sim_vfs.zName);
      return SQLITE_OK;
    case SQLITE_FCNTL_HAS_MOVED:
      *(int *)argument = 0;
      return SQLITE_OK;
    default:
      return SQLITE_NOTFOUND;
  }
}

static int file_sector(sqlite3_file *file) {
  (void)file;
  return 4096;
}

static int file_characteristics(sqlite3_file *file) {
  return of(file)->safe_overwrite ? SQLITE_IOCAP_POWERSAFE_OVERWRITE : 0;
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector,
    .xDeviceCharacteristics = file_characteristics,
    .xShmMap = sdb_vfs_shared_map,
    .xShmLock = sdb_vfs_shared_lock,
    .xShmBarrier = sdb_vfs_shared_barrier,
    .xShmUnmap = sdb_vfs_shared_unmap,
};

/* ---- files by name ------------------------------------------------------------------------------------------ */

/* The folder of a path, open, and the name in it. */
static int open_folder(const char *path, sdb_fd *dir, const char **name) {
  const char *slash = strrchr(path, '/');
  *name = slash + 1;
  char *folder = sqlite3_mprintf("%.*s", (int)(slash - path), path);
  int error = folder == NULL ? ENOMEM : sdb_os_open_dir(folder, dir);
  sqlite3_free(folder);
  return error;
}

static int open_by_path(const char *path, unsigned flags, sdb_fd *fd) {
  const char *name;
  sdb_fd dir = -1;
  int error = open_folder(path, &dir, &name);
  if (error == 0) {
    error = sdb_os_open(dir, name, flags, fd);
    sdb_os_close(dir);
  }
  return error;
}

static int vfs_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags, int *flags_out) {
  (void)vfs;
  if (path == NULL || sdb_sim_path(path) == NULL) {
    return base_vfs->xOpen(base_vfs, path, file, flags, flags_out);
  }
  unsigned how = (flags & SQLITE_OPEN_READWRITE ? SDB_OPEN_WRITE : 0) |
                 (flags & SQLITE_OPEN_CREATE ? SDB_OPEN_CREATE : 0) |
                 (flags & SQLITE_OPEN_EXCLUSIVE ? SDB_OPEN_EXCL : 0);
  bool journal = (flags & (SQLITE_OPEN_SUPER_JOURNAL | SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL)) != 0;
  sdb_vfs_file *f = of(file);
  memset(f, 0, sizeof *f);
  f->path = sqlite3_mprintf("%s", path);
  if (f->path == NULL) {
    return SQLITE_NOMEM;
  }
  if (open_by_path(path, how, &f->fd) != 0) {
    sqlite3_free(f->path);
    return SQLITE_CANTOPEN;
  }
  opens += !journal;
  sdb_sim_set_orderly(f->fd);
  f->sync_dir = journal && (flags & SQLITE_OPEN_CREATE) != 0;
  f->safe_overwrite = !(flags & SQLITE_OPEN_URI) || sqlite3_uri_boolean(path, "psow", 1) != 0;
  f->base.pMethods = &methods;
  if (flags_out != NULL) {
    *flags_out = flags;
  }
  return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *path, int sync_dir) {
  const char *name;
  sdb_fd dir = -1;
  (void)vfs;
  if (sdb_sim_path(path) == NULL) {
    return base_vfs->xDelete(base_vfs, path, sync_dir);
  }
  int error = open_folder(path, &dir, &name);
  if (error == 0) {
    error = sdb_os_unlink(dir, name);
    sdb_os_close(dir);
  }
  if (error != 0) {
    return error == ENOENT ? SQLITE_IOERR_DELETE_NOENT : SQLITE_IOERR_DELETE;
  }
  return (sync_dir & 1) && sdb_os_sync_parent(path) != 0 ? SQLITE_IOERR_DIR_FSYNC : SQLITE_OK;
}

/* A file of no bytes does not exist. */
static int vfs_access(sqlite3_vfs *vfs, const char *path, int flags, int *result) {
  sdb_fd fd = -1;
  sdb_os_info info = {0};
  (void)vfs;
  if (sdb_sim_path(path) == NULL) {
    return base_vfs->xAccess(base_vfs, path, flags, result);
  }
  int error = open_by_path(path, 0, &fd);
  if (error == 0) {
    error = sdb_os_info_of(fd, &info);
    sdb_os_close(fd);
  }
  *result = error == 0 && (flags != SQLITE_ACCESS_EXISTS || info.size_bytes > 0);
  return error == 0 || error == ENOENT ? SQLITE_OK : SQLITE_IOERR_ACCESS;
}

static int vfs_full_path(sqlite3_vfs *vfs, const char *path, int bytes, char *full) {
  (void)vfs;
  if (sdb_sim_path(path) == NULL) {
    return base_vfs->xFullPathname(base_vfs, path, bytes, full);
  }
  sqlite3_snprintf(bytes, full, "%s%s", path[0] == '/' ? "" : "/", path);
  return SQLITE_OK;
}

/* ---- what has nothing to do with files ---------------------------------------------------------------------- */

static void *vfs_dlopen(sqlite3_vfs *vfs, const char *path) {
  (void)vfs;
  return base_vfs->xDlOpen(base_vfs, path);
}

static void vfs_dlerror(sqlite3_vfs *vfs, int bytes, char *text) {
  (void)vfs;
  base_vfs->xDlError(base_vfs, bytes, text);
}

static void (*vfs_dlsym(sqlite3_vfs *vfs, void *library, const char *symbol))(void) {
  (void)vfs;
  return base_vfs->xDlSym(base_vfs, library, symbol);
}

static void vfs_dlclose(sqlite3_vfs *vfs, void *library) {
  (void)vfs;
  base_vfs->xDlClose(base_vfs, library);
}

static int vfs_randomness(sqlite3_vfs *vfs, int bytes, char *buffer) {
  (void)vfs;
  for (int i = 0; i < bytes; i++) {
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    buffer[i] = (char)(random_state >> 56);
  }
  return bytes;
}

static int vfs_sleep(sqlite3_vfs *vfs, int us) {
  (void)vfs;
  return us; /* nothing else runs meanwhile */
}

static int vfs_time_ms(sqlite3_vfs *vfs, sqlite3_int64 *ms) {
  (void)vfs;
  *ms = 212000000000000; /* always the same day of 2005 */
  return SQLITE_OK;
}

static int vfs_time(sqlite3_vfs *vfs, double *days) {
  sqlite3_int64 ms = 0;
  vfs_time_ms(vfs, &ms);
  *days = (double)ms / 86400000.0;
  return SQLITE_OK;
}

static int vfs_last_error(sqlite3_vfs *vfs, int bytes, char *text) {
  (void)vfs;
  (void)bytes;
  (void)text;
  return 0;
}

static sqlite3_vfs sim_vfs = {
    .iVersion = 2,
    .mxPathname = 512,
    .zName = "sim",
    .xOpen = vfs_open,
    .xDelete = vfs_delete,
    .xAccess = vfs_access,
    .xFullPathname = vfs_full_path,
    .xDlOpen = vfs_dlopen,
    .xDlError = vfs_dlerror,
    .xDlSym = vfs_dlsym,
    .xDlClose = vfs_dlclose,
    .xRandomness = vfs_randomness,
    .xSleep = vfs_sleep,
    .xCurrentTime = vfs_time,
    .xGetLastError = vfs_last_error,
    .xCurrentTimeInt64 = vfs_time_ms,
};

uint64_t sdb_vfs_opens(void) {
  return opens;
}

void sdb_vfs_set_default(bool simulated) {
  if (base_vfs != NULL) {
    sqlite3_vfs_register(simulated ? &sim_vfs : base_vfs, 1);
  }
}

bool sdb_vfs_registered(void) {
  return base_vfs != NULL;
}

/* SQLite's generator asks the default VFS when it starts anew. */
void sdb_vfs_seed(uint64_t seed) {
  char byte;
  random_state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
  sqlite3_vfs_register(&sim_vfs, 1);
  sqlite3_randomness(0, NULL);
  sqlite3_randomness(1, &byte);
  sqlite3_vfs_register(base_vfs, 1);
}

int sqlite3_sdbtestvfs_init(sqlite3 *db, char **error, const sqlite3_api_routines *api) {
  (void)db;
  (void)error;
  sqlite3_api = api;
  if (base_vfs == NULL) {
    base_vfs = sqlite3_vfs_find(NULL);
    sim_vfs.szOsFile = base_vfs->szOsFile > (int)sizeof(sdb_vfs_file) ? base_vfs->szOsFile : (int)sizeof(sdb_vfs_file);
    return sqlite3_vfs_register(&sim_vfs, 0);
  }
  return SQLITE_OK;
}
