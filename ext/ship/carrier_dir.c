/* SPDX-License-Identifier: MIT
**
** carrier_dir.c: a directory as a carrier: an object is a file, its name a path below the directory.
**
** An object is written under a name that begins with a dot, synced, and linked to its own name, which link() never
** replaces; then its folder is synced.  So a file that has an object's name is whole, also for whoever copies the
** directory elsewhere (rclone, rsync).  What a crash leaves under a dot is removed by list(), once it is a day old.
**
** The file `seqdb-ship` marks the directory.  Where it is missing the carrier is away: a mount point without its disk
** looks like an empty carrier else.
*/
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/inotify.h>
#endif
#include "carrier.h"

#define MARKER         "seqdb-ship"
#define LEFTOVER_AGE_S 86400
/* File systems of other machines tell nothing: look again after this long. */
#define LOOK_AGAIN_MS 250

typedef struct dir_carrier {
  carrier base;
  int notify;    /* inotify, or -1 */
  int watch;     /* of notify, or -1 */
  char *watched; /* the folder that `watch` is for */
  char root[];
} dir_carrier;

static carrier_code failed(dir_carrier *d, const char *what, const char *name) {
  return carrier_fail(&d->base, carrier_code_of_errno(errno), "cannot %s %s/%s: %s", what, d->root, name,
                      strerror(errno));
}

/* While an object is made.  What is not there any more is its folder: the directory was moved away, or its disk, since
** we looked; or prune() has removed it, since it was empty.  So that may pass. */
static carrier_code failed_making(dir_carrier *d, const char *what, const char *name) {
  bool gone = errno == ENOENT || errno == ENOTDIR;
  carrier_code code = failed(d, what, name);
  return gone ? CARRIER_AWAY : code;
}

/* root/name; NULL without memory. */
static char *path_of(const dir_carrier *d, const char *name) {
  size_t bytes = strlen(d->root) + strlen(name) + 2;
  char *path = malloc(bytes);
  if (path) snprintf(path, bytes, "%s/%s", d->root, name);
  return path;
}

static carrier_code no_memory(dir_carrier *d) {
  return carrier_fail(&d->base, CARRIER_FATAL, "out of memory");
}

/* Is the directory there, with its disk? */
static carrier_code look(dir_carrier *d) {
  char *path = path_of(d, MARKER);
  if (!path) return no_memory(d);
  carrier_code code = CARRIER_OK;
  if (access(path, F_OK) != 0) {
    code = carrier_fail(&d->base, CARRIER_AWAY, "%s is not there, or has no file '%s' (is its disk mounted?)", d->root,
                        MARKER);
  }
  free(path);
  return code;
}

/* ---- create --------------------------------------------------------------------------------------------------- */

static bool write_all(int fd, const char *data, size_t bytes) {
  while (bytes > 0) {
    ssize_t written = write(fd, data, bytes);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    data += written;
    bytes -= (size_t)written;
  }
  return true;
}

static bool sync_folder(const char *path) {
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return false;
  bool synced = fsync(fd) == 0;
  int error = errno;
  close(fd);
  errno = error;
  return synced;
}

/* Cuts the path after its folder; returns where the file's own name begins. */
static char *cut_folder(char *path) {
  char *slash = strrchr(path, '/');
  *slash = '\0';
  return slash + 1;
}

/* The folder of an object, made if it is missing, durably. */
static carrier_code make_folder(dir_carrier *d, const char *folder) {
  if (mkdir(folder, 0777) != 0) {
    return errno == EEXIST ? CARRIER_OK : failed_making(d, "make the folder of", folder + strlen(d->root));
  }
  return sync_folder(d->root) ? CARRIER_OK : failed_making(d, "sync", "");
}

/* A file with these bytes, synced, under a name of its own in the folder. */
static carrier_code write_draft(dir_carrier *d, const char *draft, const void *data, size_t bytes) {
  int fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (fd < 0) return failed_making(d, "make", draft + strlen(d->root) + 1);
  bool good = write_all(fd, data, bytes) && fsync(fd) == 0;
  int error = errno;
  if (close(fd) != 0 && good) {
    good = false;
    error = errno;
  }
  errno = error;
  return good ? CARRIER_OK : failed_making(d, "write", draft + strlen(d->root) + 1);
}

static carrier_code link_draft(dir_carrier *d, const char *draft, const char *folder, const char *path) {
  if (link(draft, path) != 0) {
    if (errno == EEXIST) {
      return carrier_fail(&d->base, CARRIER_EXISTS, "%s exists", path);
    }
    return failed_making(d, "link", path + strlen(d->root) + 1);
  }
  return sync_folder(folder) ? CARRIER_OK : failed_making(d, "sync the folder of", path + strlen(d->root) + 1);
}

static carrier_code put(dir_carrier *d, char *path, const void *data, size_t bytes) {
  char draft[PATH_MAX];
  uint64_t number = 0;
  if (getrandom(&number, sizeof number, 0) != sizeof number) return failed(d, "name a draft in", "");
  char *own_name = cut_folder(path);
  int written = snprintf(draft, sizeof draft, "%s/.draft-%016llx", path, (unsigned long long)number);
  if (written < 0 || (size_t)written >= sizeof draft) {
    errno = ENAMETOOLONG;
    return failed(d, "make", own_name);
  }
  char *folder = strdup(path);
  own_name[-1] = '/';
  if (!folder) return no_memory(d);
  carrier_code code = strcmp(folder, d->root) == 0 ? CARRIER_OK : make_folder(d, folder);
  if (code == CARRIER_OK) code = write_draft(d, draft, data, bytes);
  if (code == CARRIER_OK) code = link_draft(d, draft, folder, path);
  unlink(draft);
  free(folder);
  return code;
}

static carrier_code dir_create(carrier *c, const char *name, const void *data, size_t bytes) {
  dir_carrier *d = (dir_carrier *)c;
  carrier_code code = look(d);
  if (code) return code;
  char *path = path_of(d, name);
  if (!path) return no_memory(d);
  /* Spares the writing of what cannot be linked. */
  code = access(path, F_OK) == 0 ? carrier_fail(c, CARRIER_EXISTS, "%s exists", path) : put(d, path, data, bytes);
  free(path);
  return code;
}

/* ---- get, remove ---------------------------------------------------------------------------------------------- */

static carrier_code read_file(dir_carrier *d, int fd, const char *name, size_t limit, carrier_object *out) {
  struct stat file;
  if (fstat(fd, &file) != 0) return failed(d, "read", name);
  out->total = (size_t)file.st_size;
  size_t wanted = limit && limit < out->total ? limit : out->total;
  if (wanted > CARRIER_OBJECT_MAX) {
    return carrier_fail(&d->base, CARRIER_FATAL, "object '%s' has %zu bytes, at most %zu are carried", name, wanted,
                        CARRIER_OBJECT_MAX);
  }
  char *data = malloc(wanted + 1);
  if (!data) return no_memory(d);
  size_t got = 0;
  while (got < wanted) {
    ssize_t count = read(fd, data + got, wanted - got);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      carrier_code code = failed(d, "read", name);
      free(data);
      return code;
    }
    if (count == 0) break;
    got += (size_t)count;
  }
  out->data = data;
  out->bytes = got;
  return CARRIER_OK;
}

static carrier_code missing(dir_carrier *d, const char *name) {
  carrier_code code = look(d);
  return code ? code : carrier_fail(&d->base, CARRIER_MISSING, "%s/%s is not there", d->root, name);
}

static carrier_code dir_get(carrier *c, const char *name, size_t limit, carrier_object *out) {
  dir_carrier *d = (dir_carrier *)c;
  char *path = path_of(d, name);
  if (!path) return no_memory(d);
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  free(path);
  if (fd < 0) return errno == ENOENT || errno == ENOTDIR ? missing(d, name) : failed(d, "open", name);
  carrier_code code = read_file(d, fd, name, limit, out);
  close(fd);
  return code;
}

static carrier_code dir_remove(carrier *c, const char *name) {
  dir_carrier *d = (dir_carrier *)c;
  char *path = path_of(d, name);
  if (!path) return no_memory(d);
  carrier_code code = CARRIER_OK;
  if (unlink(path) != 0) code = errno == ENOENT ? missing(d, name) : failed(d, "remove", name);
  /* An empty folder goes too; one that is not empty stays. */
  if (code == CARRIER_OK && strchr(name, '/')) {
    cut_folder(path);
    rmdir(path);
  }
  free(path);
  return code;
}

/* ---- list ----------------------------------------------------------------------------------------------------- */

typedef struct listing {
  dir_carrier *d;
  const char *prefix;
  carrier_visit visit;
  void *context;
  bool ended;
} listing;

static int64_t age_of(const struct stat *file) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec > file->st_mtim.tv_sec ? (int64_t)(now.tv_sec - file->st_mtim.tv_sec) : 0;
}

static void list_file(listing *l, int folder, const char *own_name, const char *name, const struct stat *file) {
  if (own_name[0] == '.') {
    if (strncmp(own_name, ".draft-", 7) == 0 && age_of(file) > LEFTOVER_AGE_S) unlinkat(folder, own_name, 0);
    return;
  }
  if (strncmp(name, l->prefix, strlen(l->prefix)) != 0 || strcmp(name, MARKER) == 0) return;
  carrier_item item = {name, (uint64_t)file->st_size, age_of(file)};
  if (!l->visit(l->context, &item)) l->ended = true;
}

static carrier_code list_folder(listing *l, const char *below);

static carrier_code list_entry(listing *l, int folder, const char *below, const char *own_name) {
  char name[NAME_MAX * 2 + 2];
  struct stat file;
  snprintf(name, sizeof name, "%s%s%s", below, below[0] ? "/" : "", own_name);
  if (fstatat(folder, own_name, &file, AT_SYMLINK_NOFOLLOW) != 0) return CARRIER_OK; /* gone */
  if (S_ISREG(file.st_mode)) list_file(l, folder, own_name, name, &file);
  return S_ISDIR(file.st_mode) && !below[0] && own_name[0] != '.' ? list_folder(l, name) : CARRIER_OK;
}

/* `below` is "" or the name of a folder. */
static carrier_code list_folder(listing *l, const char *below) {
  size_t shared = strlen(below) < strlen(l->prefix) ? strlen(below) : strlen(l->prefix);
  if (strncmp(below, l->prefix, shared) != 0) return CARRIER_OK;
  char *path = path_of(l->d, below);
  if (!path) return no_memory(l->d);
  DIR *folder = opendir(path);
  free(path);
  if (!folder) return errno == ENOENT ? CARRIER_OK : failed(l->d, "list", below);
  carrier_code code = CARRIER_OK;
  for (struct dirent *entry = readdir(folder); entry && !l->ended && !code; entry = readdir(folder)) {
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
      code = list_entry(l, dirfd(folder), below, entry->d_name);
    }
  }
  closedir(folder);
  return code;
}

static carrier_code dir_list(carrier *c, const char *prefix, carrier_visit visit, void *context) {
  listing l = {(dir_carrier *)c, prefix, visit, context, false};
  carrier_code code = look(l.d);
  return code ? code : list_folder(&l, "");
}

/* ---- wait ----------------------------------------------------------------------------------------------------- */

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

#ifdef __linux__
/* Lets `notify` tell of new names in the folder; without one the waiting polls. */
static void watch_folder(dir_carrier *d, const char *folder) {
  if (d->notify < 0 || (d->watched && strcmp(d->watched, folder) == 0)) return;
  if (d->watch >= 0) inotify_rm_watch(d->notify, d->watch);
  free(d->watched);
  d->watched = NULL;
  d->watch = inotify_add_watch(d->notify, folder, IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF);
  if (d->watch >= 0) d->watched = strdup(folder);
}

static void drain(int notify) {
  char events[4096];
  while (read(notify, events, sizeof events) > 0)
    continue;
}
#endif

static void sleep_for_news(dir_carrier *d, char *path, int64_t left_ms) {
  int limit = left_ms < LOOK_AGAIN_MS ? (int)left_ms : LOOK_AGAIN_MS;
  struct pollfd news = {d->notify, POLLIN, 0};
#ifdef __linux__
  char *own_name = cut_folder(path);
  watch_folder(d, path);
  own_name[-1] = '/';
  if (access(path, F_OK) == 0) return;
#endif
  if (poll(&news, 1, limit) <= 0) return;
#ifdef __linux__
  drain(d->notify);
#endif
}

static carrier_code dir_wait(carrier *c, const char *name, int timeout_ms) {
  dir_carrier *d = (dir_carrier *)c;
  char *path = path_of(d, name);
  if (!path) return no_memory(d);
  int64_t until = now_ms() + timeout_ms;
  bool found = access(path, F_OK) == 0;
  for (int64_t left = timeout_ms; !found && left > 0; left = until - now_ms()) {
    sleep_for_news(d, path, left);
    found = access(path, F_OK) == 0;
  }
  free(path);
  return found ? CARRIER_OK : missing(d, name);
}

/* ---- open, close ---------------------------------------------------------------------------------------------- */

static void dir_close(carrier *c) {
  dir_carrier *d = (dir_carrier *)c;
  if (d->notify >= 0) close(d->notify);
  free(d->watched);
  free(d);
}

/* Makes the directory and its mark, if they are missing. */
static carrier_code mark(dir_carrier *d) {
  static const char text[] = "Objects of seqdb-ship lie here. They are written once and never changed.\n";
  if (mkdir(d->root, 0777) != 0 && errno != EEXIST) return failed(d, "make", "");
  char *path = path_of(d, MARKER);
  if (!path) return no_memory(d);
  carrier_code code = access(path, F_OK) == 0 ? CARRIER_EXISTS : put(d, path, text, sizeof text - 1);
  free(path);
  return code == CARRIER_EXISTS ? CARRIER_OK : code;
}

static carrier_code open_checked(dir_carrier *d, bool create) {
  struct stat file;
  if (create) return mark(d);
  if (stat(d->root, &file) != 0) return failed(d, "open", "");
  if (!S_ISDIR(file.st_mode)) return carrier_fail(&d->base, CARRIER_FATAL, "%s is no directory", d->root);
  return look(d);
}

static carrier_code dir_open(const char *address, bool create, carrier **out, char message[CARRIER_MESSAGE_MAX]) {
  *out = NULL;
  size_t bytes = strlen(address);
  while (bytes > 1 && address[bytes - 1] == '/')
    bytes--;
  dir_carrier *d = bytes ? calloc(1, sizeof *d + bytes + 1) : NULL;
  if (!d) {
    snprintf(message, CARRIER_MESSAGE_MAX, "%s", bytes ? "out of memory" : "dir: needs a path, as in dir:/srv/shipped");
    return CARRIER_FATAL;
  }
  d->base.calls = &carrier_dir_calls;
  memcpy(d->root, address, bytes);
  d->watch = d->notify = -1;
#ifdef __linux__
  d->notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
#endif
  carrier_code code = open_checked(d, create);
  if (code == CARRIER_OK) {
    *out = &d->base;
    return code;
  }
  memcpy(message, d->base.message, CARRIER_MESSAGE_MAX);
  dir_close(&d->base);
  return code;
}

const carrier_calls carrier_dir_calls = {
    .scheme = "dir",
    .form = "dir:PATH",
    .open = dir_open,
    .close = dir_close,
    .create = dir_create,
    .get = dir_get,
    .remove = dir_remove,
    .list = dir_list,
    .wait = dir_wait,
};
