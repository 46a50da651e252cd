/* SPDX-License-Identifier: MIT
**
** open.c: open and close.  One store per directory and process, shared by all handles (registry.h).
**
** Opening recovers in memory first (recover.c).  The first handle that may write makes the result durable by a
** checkpoint; until then nothing is written, so a read-only handle never changes a file.  Damage makes the store
** read-only.
** THREADS: who opens, joins or closes a store is alone with it; other directories are not concerned.  No mutex is held
** meanwhile, so that the user may be asked whether to go on.
*/
#include "store/open.h"

#include <errno.h>
#include "base/check.h"
#include "base/sized.h"
#include "files/create.h"
#include "os/os.h"
#include "space/extents.h"
#include "store/meet.h"
#include "store/recover.h"
#include "store/registry.h"
#include "txn/append.h"
#include "txn/checkpoint.h"
#include "txn/commit.h"
#include "txn/room.h"
#include "txn/writer_lock.h"

#define REAL_PATH_MAX 4096u

/* ---- files */

static sdb_os_access access_of(const seqdb_options *options) {
  return (sdb_os_access){options->mode, options->uid, options->gid};
}

static void close_fd(sdb_fd *fd) {
  if (*fd >= 0) sdb_os_close(*fd);
  *fd = -1;
}

static int cannot_open(int os, const char *path, const char *name, const sdb_op *op) {
  if (os == ELOOP || os == EINVAL)
    return sdb_error_set(op, SEQDB_CANTOPEN, name, 0, "%s/%s is a symbolic link or no regular file", path, name);
  int rc = sdb_error_os(op, os, name, 0, "%s/%s: cannot open", path, name);
  if (rc == SEQDB_IO) op->error->code = SEQDB_CANTOPEN;
  return rc == SEQDB_IO ? SEQDB_CANTOPEN : rc;
}

/* The store can only be read.  The caller fills in why, for the handles that were to write: the first reason stays. */
static sdb_op refusal(sdb_store *store) {
  store->files_writable = false;
  return (sdb_op){"write", store->only_read.code == SEQDB_OK ? &store->only_read : NULL};
}

/* Two names of one file, in two directories, would be two databases that write into each other. */
static int refuse_links(sdb_store *store, const char *name, sdb_fd fd, const sdb_op *op) {
  sdb_os_info info;
  int os = sdb_os_info_of(fd, &info);
  if (os) return sdb_error_os(op, os, name, 0, "%s/%s: cannot look at it", store->path, name);
  if (info.links <= 1) return SEQDB_OK;
  const sdb_op why = refusal(store);
  (void)sdb_error_set(&why, SEQDB_READONLY, name, 0,
                      "%s can only be read: the file %s has another name (a hard link), perhaps in another database",
                      store->path, name);
  return SEQDB_OK;
}

static bool is_refusal(int os) {
  return os == EACCES || os == EROFS || os == EPERM;
}

/* For writing where that is wanted and allowed; else for reading, and the store cannot be written. */
static int open_file(sdb_store *store, const char *name, bool write, bool optional, sdb_fd *fd, const sdb_op *op) {
  int os = sdb_os_open(store->dir, name, write ? SDB_OPEN_WRITE : 0, fd);
  if (write && is_refusal(os)) {
    const sdb_op why = refusal(store);
    (void)sdb_error_os(&why, os, name, 0, "%s can only be read: the file %s", store->path, name);
    os = sdb_os_open(store->dir, name, 0, fd);
  }
  if (!os) {
    int rc = write && store->files_writable ? refuse_links(store, name, *fd, op) : SEQDB_OK;
    if (rc != SEQDB_OK) close_fd(fd);
    return rc;
  }
  *fd = -1;
  if (os == ENOENT && optional) return SEQDB_OK;
  if (os == ENOENT)
    return sdb_error_set(op, SEQDB_CANTOPEN, name, 0, "%s is no complete database: the file %s is missing", store->path,
                         name);
  return cannot_open(os, store->path, name, op);
}

#define DYING_MS 1000u /* a process that was killed lets its files go one after the other */

/* rawdb locks `data` and `regions` exclusively. */
static int lock_file(sdb_store *store, sdb_fd fd, const sdb_op *op) {
  uint64_t deadline_ms = sdb_os_now_ms() + DYING_MS;
  int os = sdb_os_lock(fd, false);
  for (; os == EWOULDBLOCK && sdb_os_now_ms() < deadline_ms; os = sdb_os_lock(fd, false))
    sdb_os_give_way(true);
  if (!os) return SEQDB_OK;
  if (os == EWOULDBLOCK)
    return sdb_error_set(op, SEQDB_LOCKED, NULL, 0, "database is locked: %s is open in rawdb", store->path);
  return sdb_error_os(op, os, NULL, 0, "%s: cannot lock", store->path);
}

/* ---- putting a store together */

static void store_free(sdb_store *store) {
  sdb_catalog *committed = store->committed;
  sdb_meet_leave(store);
  sdb_overlay_destroy(&store->overlay);
  if (store->names) {
    sdb_space_unref(&store->space, store->before_prepare);
    if (committed) sdb_space_unref(&store->space, committed);
    sdb_space_destroy(&store->space);
    sdb_names_close(store->names);
  }
  sdb_damage_free(&store->damage);
  sdb_free(store->named);
  close_fd(&store->journal.fd);
  close_fd(&store->regions.fd);
  if (store->data.fd >= 0) sdb_data_close(&store->data);
  close_fd(&store->dir);
  pthread_mutex_destroy(&store->mutex);
  pthread_mutex_destroy(&store->files_mutex);
  pthread_mutex_destroy(&store->follow_mutex);
  pthread_cond_destroy(&store->writer_free);
  pthread_cond_destroy(&store->news);
  sdb_free(store->path);
  sdb_free(store->real_path);
  sdb_free(store);
}

/* NULL: it cannot be told, for want of permission or of memory. */
static char *real_path_of(const char *path) {
  char real[REAL_PATH_MAX];
  size_t bytes = sdb_os_real_path(path, real, sizeof real) == 0 ? strlen(real) + 1 : 0;
  char *copy = bytes ? sdb_malloc(bytes) : NULL;
  if (copy) memcpy(copy, real, bytes);
  return copy;
}

static sdb_store *store_new(const char *path, const seqdb_options *options) {
  sdb_store *store = sdb_calloc(1, sizeof *store);
  if (!store) return NULL;
  store->dir = store->data.fd = store->regions.fd = store->journal.fd = -1;
  pthread_mutex_init(&store->mutex, NULL);
  pthread_mutex_init(&store->files_mutex, NULL);
  pthread_mutex_init(&store->follow_mutex, NULL);
  sdb_os_condition_init(&store->writer_free);
  sdb_os_condition_init(&store->news);
  sdb_overlay_init(&store->overlay, &store->data);
  store->fork_count = sdb_os_fork_count();
  store->files_writable = !(options->flags & SEQDB_OPEN_READONLY);
  store->sync_off = options->flags & SEQDB_OPEN_SYNC_OFF;
  store->no_mmap = options->flags & SEQDB_OPEN_NO_MMAP;
  store->immutable = options->flags & SEQDB_OPEN_IMMUTABLE;
  store->epoch = 2; /* 0 and 1 were used by recovery */
  store->incarnation = 1;
  store->path = sdb_malloc(strlen(path) + 1);
  if (store->path) memcpy(store->path, path, strlen(path) + 1);
  store->real_path = real_path_of(path);
  if (store->path && sdb_names_open(&store->names) == SEQDB_OK) {
    sdb_space_init(&store->space, store->names);
    return store;
  }
  store_free(store);
  return NULL;
}

/* Holes between the extents; of a damaged database only its end. */
static int load_space(sdb_store *store, const sdb_tree *tree, const sdb_op *op) {
  sdb_owned_extent *owned;
  sdb_range *extents = NULL;
  size_t count;
  int rc = sdb_tree_extents(tree, &owned, &count);
  if (rc == SEQDB_OK && count && !(extents = sdb_malloc(count * sizeof *extents))) rc = SEQDB_NOMEM;
  for (size_t i = 0; i < count && rc == SEQDB_OK; i++)
    extents[i] = (sdb_range){owned[i].start, owned[i].bytes};
  if (rc == SEQDB_OK && !store->damage.count) rc = sdb_space_load(&store->space, extents, count);
  for (size_t i = 0; i < count && rc == SEQDB_OK && store->damage.count; i++)
    store->space.end = SDB_MAX(store->space.end, extents[i].start + extents[i].bytes);
  sdb_free(extents);
  sdb_free(owned);
  return rc == SEQDB_OK ? rc : sdb_error_nomem(op);
}

/* Take over what recovery found. */
static int take_recovered(sdb_store *store, sdb_recovered *found, const sdb_op *op) {
  store->damage = found->damage;
  memset(&found->damage, 0, sizeof found->damage);
  int rc = load_space(store, &found->tree, op);
  if (rc != SEQDB_OK) return rc;
  store->committed = sdb_catalog_new(&store->space.catalogs, &found->tree, SDB_CATALOG_COMMITTED, found->generation);
  if (!store->committed) return sdb_error_nomem(op);
  if (sdb_overlay_load(&store->overlay, found->generation, &found->overlay) != SEQDB_OK) return sdb_error_nomem(op);
  store->named = found->named;
  store->named_count = store->named_capacity = found->named_count;
  found->named = NULL;
  bool have_journal = store->journal.fd >= 0;
  if (have_journal) memcpy(store->uuid, store->journal.header.uuid, sizeof store->uuid);
  store->version = have_journal ? store->journal.header.version : SDB_FORMAT_VERSION;
  store->tip = found->tip;
  store->tip_file = found->tip_file;
  store->unclean = found->unclean;
  store->undecided = found->undecided;
  store->keep_next = found->kept_last;
  store->differs = found->differs;
  store->recovered = have_journal && found->records == 0 && !found->adopted && !found->unclean &&
                     store->journal.header.sync_off == store->sync_off;
  return SEQDB_OK;
}

static int load(sdb_store *store, const seqdb_options *options, const sdb_op *op) {
  sdb_recovered found;
  sdb_recover_from from = {.regions = &store->regions,
                           .journal = &store->journal,
                           .data_bytes = atomic_load(&store->data.size_bytes),
                           .names = store->names,
                           .interrupt = options->interrupt,
                           .interrupt_context = options->interrupt_context,
                           .adopt = options->flags & SEQDB_OPEN_ADOPT,
                           .resolve_drop = options->flags & SEQDB_OPEN_RESOLVE_DROP};
  int rc = sdb_recover(&from, &found, op);
  if (rc != SEQDB_OK) return rc;
  rc = take_recovered(store, &found, op);
  store->left_undecided = store->undecided && (options->flags & SEQDB_OPEN_RESOLVE_LATER);
  sdb_recovered_free(&found, store->names);
  return rc;
}

/* ---- becoming writable */

/* What a new journal is going to vouch for: the length of `data`, and the entries that rawdb may not have synced. Names
** first: of a half-made database that is taken for rawdb's, a longer `data` alone would be nobody's. */
static int sync_adopted(sdb_store *store, const sdb_op *op) {
  int os, rc = sdb_sync_names(store->dir, store->path, op);
  if (rc == SEQDB_OK) rc = sdb_data_ensure(&store->data, sdb_store_end(store), op);
  if (rc == SEQDB_OK) rc = sdb_data_lengthen(&store->data, sdb_store_end(store), op);
  if (rc != SEQDB_OK) return rc;
  if ((os = sdb_os_fdatasync(store->data.fd)) != 0) return sdb_error_os(op, os, "data", 0, "data: fdatasync failed");
  if ((os = sdb_os_fdatasync(store->regions.fd)) != 0)
    return sdb_error_os(op, os, "regions", 0, "regions: fdatasync failed");
  return SEQDB_OK;
}

static int add_journal(sdb_store *store, const sdb_os_access *access, const sdb_op *op) {
  const sdb_tree *tree = &store->committed->tree;
  sdb_journal_header header = {.sync_off = store->sync_off,
                               .data_bytes = sdb_store_end(store),
                               .regions_bytes = store->regions.pages * SDB_ENTRY_BYTES,
                               .entries = tree->entries,
                               .entries_hash = tree->hash};
  enum sdb_journal_state state;
  int rc = sync_adopted(store, op);
  if (rc == SEQDB_OK) rc = sdb_create_files(store->dir, store->path, true, access, &header, op);
  if (rc == SEQDB_OK) rc = open_file(store, "journal", true, false, &store->journal.fd, op);
  if (rc == SEQDB_OK) rc = sdb_journal_read(&store->journal, &state, op);
  if (rc != SEQDB_OK) return rc;
  memcpy(store->uuid, store->journal.header.uuid, sizeof store->uuid);
  store->journal.zeroed = SDB_JOURNAL_START;
  store->recovered = store->names_synced = true;
  return SEQDB_OK;
}

/* No journal, and no trailer anywhere: rawdb's directory, or one that happens to look like it. */
static bool is_foreign(sdb_store *store, const seqdb_options *options) {
  if (store->journal.fd >= 0 || (options->flags & SEQDB_OPEN_ADOPT)) return false;
  const sdb_op why = refusal(store);
  (void)sdb_error_set(&why, SEQDB_READONLY, "journal", 0,
                      "%s can only be read: it has no journal, as if rawdb had written it; seqdb_adopt() or adopt=1 in "
                      "CREATE makes it a database of seqdb",
                      store->path);
  return true;
}

/* Other members have it open and cannot write it: nor can we. */
static int refuse_still(sdb_store *store) {
  const sdb_op why = refusal(store);
  (void)sdb_error_set(&why, SEQDB_READONLY, NULL, 0,
                      "%s can only be read while it is open elsewhere, where it could not be written: close it there",
                      store->path);
  return SEQDB_OK;
}

/* Whoever made the files may have died before they had durable names; who writes a second header has synced them. */
static int sync_names(sdb_store *store, const sdb_op *op) {
  int rc = SEQDB_OK;
  if (!store->names_synced && store->journal.header.sequence == SDB_JOURNAL_FIRST_SEQUENCE)
    rc = sdb_sync_names(store->dir, store->path, op);
  store->names_synced = rc == SEQDB_OK;
  return rc;
}

/* `data` is to be as large as the handle says; if others are writing, once it grows. */
static int ensure_least(sdb_store *store, const sdb_op *op) {
  uint64_t least = SDB_MAX(sdb_store_end(store), store->data.min_bytes);
  if (least <= atomic_load(&store->data.size_bytes) || !sdb_upkeep_begin(store)) return SEQDB_OK;
  int rc = sdb_data_ensure(&store->data, least, op);
  sdb_upkeep_end(store);
  return rc;
}

/* The caller does not want to decide about a coordinator's prepare. */
static bool is_left_undecided(sdb_store *store, const seqdb_options *options) {
  if (!store->undecided || !(options->flags & SEQDB_OPEN_RESOLVE_LATER)) return false;
  const sdb_op why = refusal(store);
  (void)sdb_error_set(&why, SEQDB_READONLY, "journal", store->journal.last,
                      "%s can only be read: its last commit was left undecided; seqdb_resolve(T, 'keep') or "
                      "seqdb_resolve(T, 'drop') decides",
                      store->path);
  return true;
}

/* The first handle that may write makes what was recovered durable. May be tried again after it failed. */
static int make_writable(sdb_store *store, const seqdb_options *options, const sdb_op *op) {
  int rc = SEQDB_OK;
  if (store->damage.count) { /* opens, and refuses each write with the reason */
    store->writing = true;
    return SEQDB_OK;
  }
  if (!store->files_writable || is_foreign(store, options) || is_left_undecided(store, options))
    return SEQDB_OK; /* the same */
  if (store->still) return refuse_still(store);
  if ((rc = sdb_meet_agree(store, op)) != SEQDB_OK) return rc;
  store->data.min_bytes = SDB_MAX(store->data.min_bytes, options->min_size_bytes);
  const sdb_os_access access = access_of(options);
  if (store->journal.fd < 0 && (rc = add_journal(store, &access, op)) != SEQDB_OK) {
    close_fd(&store->journal.fd);
    return rc;
  }
  if ((rc = sync_names(store, op)) != SEQDB_OK) return rc;
  if (store->shared) { /* what is owed, whoever takes the writer lock finds out */
    if ((rc = ensure_least(store, op)) == SEQDB_OK) store->writing = true;
    return rc;
  }
  rc = sdb_data_ensure(&store->data, SDB_MAX(sdb_store_end(store), store->data.min_bytes), op);
  if (rc == SEQDB_OK && (rc = sdb_checkpoint_recovered(store, op)) == SEQDB_FULL) {
    store->recovered = false; /* it can be read; each first change tries again */
    rc = SEQDB_OK;
  }
  if (rc == SEQDB_OK) store->writing = true;
  store->left_undecided &= !store->writing;
  return rc;
}

/* ---- opening a store that is not open yet */

static int open_files(sdb_store *store, const seqdb_options *options, bool create, const sdb_op *op) {
  bool writing = !(options->flags & SEQDB_OPEN_READONLY), pristine = false, missing = false;
  sdb_fd data = -1;
  int rc = SEQDB_OK;
  if (create) {
    sdb_journal_header header = {.sync_off = store->sync_off};
    const sdb_os_access access = access_of(options);
    if ((rc = sdb_is_pristine(store->dir, store->path, &pristine, &missing, op)) != SEQDB_OK) return rc;
    if (pristine && (rc = sdb_create_files(store->dir, store->path, false, &access, &header, op)) != SEQDB_OK)
      return rc;
    store->names_synced = pristine;
  }
  if ((rc = open_file(store, "data", writing, false, &data, op)) != SEQDB_OK) return rc;
  if ((rc = sdb_data_open(&store->data, data, !store->no_mmap, 0, op)) != SEQDB_OK) {
    store->data.fd = data;
    return rc;
  }
  if ((rc = open_file(store, "regions", writing, false, &store->regions.fd, op)) != SEQDB_OK) return rc;
  store->regions.map = !store->no_mmap;
  if ((rc = open_file(store, "journal", writing, true, &store->journal.fd, op)) != SEQDB_OK) return rc;
  sdb_meet_keep_from_children(store);
  if (options->flags & SEQDB_OPEN_IMMUTABLE) return SEQDB_OK;
  if ((rc = lock_file(store, data, op)) != SEQDB_OK) return rc;
  return lock_file(store, store->regions.fd, op);
}

/* A file `data` and an empty `regions` are no database: rawdb's have entries, and one that was not finished is finished
** by creating it. */
static int check_complete(const sdb_store *store, const seqdb_options *options, const sdb_op *op) {
  bool met = store->board || store->immutable || (options->flags & SEQDB_OPEN_EXCLUSIVE); /* else it came just now */
  if (met && (store->journal.fd >= 0 || store->regions.pages > 0 || (options->flags & SEQDB_OPEN_ADOPT)))
    return SEQDB_OK;
  if (met && store->damage.count) return SEQDB_OK; /* it was one: regions has a guard */
  return sdb_error_set(op, SEQDB_CANTOPEN, "journal", 0, "%s is no complete database: the file journal is missing",
                       store->path);
}

/* They were opened before the door: somebody may have adopted the directory, or closed it, in between. */
static int look_again(sdb_store *store, const seqdb_options *options, const sdb_op *op) {
  bool writing = !(options->flags & SEQDB_OPEN_READONLY);
  if (!store->board) return SEQDB_OK;
  int rc = store->journal.fd < 0 ? open_file(store, "journal", writing, true, &store->journal.fd, op) : SEQDB_OK;
  return rc == SEQDB_OK ? sdb_data_look(&store->data, op) : rc;
}

/* Files and state; alone, as the first member, or as a further one. */
static int meet_and_load(sdb_store *store, const seqdb_options *options, const sdb_op *op) {
  bool joins = false, exclusive = options->flags & SEQDB_OPEN_EXCLUSIVE;
  bool late = exclusive || ((options->flags & SEQDB_OPEN_CREATE) && !sdb_meet_has_database(store));
  int rc = late ? SEQDB_OK : open_files(store, options, false, op);
  if (rc == SEQDB_OK) rc = sdb_meet(store, options, &joins, op);
  bool create = (options->flags & SEQDB_OPEN_CREATE) && !joins && (store->board || exclusive);
  if (rc == SEQDB_OK) rc = late ? open_files(store, options, create, op) : look_again(store, options, op);
  if (rc != SEQDB_OK) return rc;
  if (joins && !sdb_meet_is_still(store)) return sdb_meet_join(store, op);
  rc = load(store, options, op);
  if (rc == SEQDB_OK && joins) sdb_meet_join_still(store);
  return rc;
}

static int store_open(sdb_fd *dir, sdb_listed *listed, const char *path, const seqdb_options *options,
                      const sdb_op *op) {
  sdb_store *store = store_new(path, options);
  if (!store) return sdb_error_nomem(op);
  store->dir = *dir;
  *dir = -1;
  store->device = listed->device;
  store->inode = listed->inode;
  store->listed = listed;
  int rc = meet_and_load(store, options, op);
  if (rc == SEQDB_OK) rc = check_complete(store, options, op);
  if (rc == SEQDB_OK && !(options->flags & SEQDB_OPEN_READONLY)) rc = make_writable(store, options, op);
  if (rc == SEQDB_OK && !store->shared) rc = sdb_meet_ready(store, op);
  if (rc != SEQDB_OK) {
    store_free(store);
    return rc;
  }
  listed->store = store;
  return SEQDB_OK;
}

/* One of the files of a store of readers, for writing from now on. */
static int reopen_file(sdb_store *store, const char *name, bool shared_with_rawdb, sdb_fd fd, const sdb_op *op) {
  sdb_os_info now = {0}, then = {0};
  sdb_fd other = -1;
  if (fd < 0 || !store->files_writable) return SEQDB_OK;
  int rc = open_file(store, name, true, false, &other, op);
  int os = rc == SEQDB_OK ? sdb_os_info_of(fd, &then) : 0;
  if (!os) os = rc == SEQDB_OK ? sdb_os_info_of(other, &now) : 0;
  if (os) rc = sdb_error_os(op, os, name, 0, "%s/%s: cannot look at it", store->path, name);
  if (rc == SEQDB_OK && now.inode != then.inode)
    rc = sdb_error_set(op, SEQDB_CANTOPEN, name, 0, "%s/%s: another file has taken its place", store->path, name);
  if (rc == SEQDB_OK && shared_with_rawdb) rc = lock_file(store, other, op);
  if (rc != SEQDB_OK || !store->files_writable) {
    close_fd(&other);
  } else if ((os = sdb_os_replace(fd, other)) != 0) {
    rc = sdb_error_os(op, os, name, 0, "%s/%s: cannot open it for writing", store->path, name);
  }
  return rc;
}

static int reopen_files(sdb_store *store, const sdb_op *op) {
  if (store->files_writable) return SEQDB_OK;
  store->files_writable = true;
  int rc = reopen_file(store, "data", true, store->data.fd, op);
  if (rc == SEQDB_OK) rc = reopen_file(store, "regions", true, store->regions.fd, op);
  if (rc == SEQDB_OK) rc = reopen_file(store, "journal", false, store->journal.fd, op);
  if (rc != SEQDB_OK) store->files_writable = false;
  return rc;
}

/* Another handle on an open store. */
static int join(sdb_store *store, const seqdb_options *options, const sdb_op *op) {
  bool sync_off = options->flags & SEQDB_OPEN_SYNC_OFF, no_mmap = options->flags & SEQDB_OPEN_NO_MMAP;
  if ((options->flags & SEQDB_OPEN_EXCLUSIVE) && store->board)
    return sdb_error_set(op, SEQDB_LOCKED, NULL, 0, "%s is open in this process with locking=shared", store->path);
  if (options->flags & SEQDB_OPEN_READONLY) return SEQDB_OK;
  if (store->immutable)
    return sdb_error_set(op, SEQDB_LOCKED, NULL, 0, "%s is open in this process with immutable=1", store->path);
  if (sdb_is_poisoned(store)) /* it holds the lock until its last handle is closed */
    return sdb_error_set(op, SEQDB_POISONED, NULL, 0,
                         "open: an earlier fdatasync failed in %s: close all connections to it and open it anew",
                         store->path);
  if (no_mmap != store->no_mmap) /* of readers, too: what they have mapped stays */
    return sdb_error_set(op, SEQDB_INVALID, NULL, 0, "%s is open in this process with mmap=%d", store->path,
                         !store->no_mmap);
  if (store->writing) {
    if (sync_off != store->sync_off)
      return sdb_error_set(op, SEQDB_INVALID, NULL, 0, "%s is open in this process with sync=%s", store->path,
                           store->sync_off ? "off" : "full");
    if (!store->damage.count) store->data.min_bytes = SDB_MAX(store->data.min_bytes, options->min_size_bytes);
    return SEQDB_OK;
  }
  /* Recovery has decided already, and readers may hold the result. */
  if ((store->undecided && (options->flags & SEQDB_OPEN_RESOLVE_DROP)) ||
      (store->differs && (options->flags & SEQDB_OPEN_ADOPT)))
    return sdb_error_set(op, SEQDB_LOCKED, NULL, 0,
                         "%s is open in this process for reading: close that first to use resolve=drop or adopt=1",
                         store->path);
  int rc = store->damage.count ? SEQDB_OK : reopen_files(store, op);
  if (rc != SEQDB_OK || (!store->damage.count && !store->files_writable)) return rc;
  bool alone = store->still && !store->damage.count;
  if (alone && (rc = sdb_meet_again(store, options, op)) != SEQDB_OK) return rc;
  store->sync_off = sync_off;
  if (store->journal.fd >= 0 && store->journal.header.sync_off != sync_off) store->recovered = false;
  rc = make_writable(store, options, op);
  return rc == SEQDB_OK && alone ? sdb_meet_ready(store, op) : rc;
}

static int open_dir(const char *path, const seqdb_options *options, sdb_fd *dir, const sdb_op *op) {
  int os = sdb_os_open_dir(path, dir);
  if (os == ENOENT && (options->flags & SEQDB_OPEN_CREATE)) {
    const sdb_os_access access = access_of(options);
    int made = sdb_os_make_dir(path, access.mode != 0);
    if (made && made != EEXIST) return sdb_error_os(op, made, NULL, 0, "%s: cannot create the directory", path);
    os = sdb_os_open_dir(path, dir);
    if (!os && !made && access.mode) sdb_os_set_access(*dir, &access);
  }
  if (!os) return SEQDB_OK;
  if (os == ENOENT) return sdb_error_set(op, SEQDB_CANTOPEN, NULL, 0, "%s: there is no such directory", path);
  if (os == ENOTDIR) return sdb_error_set(op, SEQDB_CANTOPEN, NULL, 0, "%s is not a directory", path);
  int rc = sdb_error_os(op, os, NULL, 0, "%s: cannot open the directory", path);
  if (rc == SEQDB_IO) op->error->code = SEQDB_CANTOPEN;
  return rc == SEQDB_IO ? SEQDB_CANTOPEN : rc;
}

/* ---- closing */

/* May it be left as after a clean close?  A store that was only read has nothing to leave. */
static bool can_close_clean(const sdb_store *store) {
  return store->writing && !store->damage.count && SDB_ALWAYS(store->files_writable) && !sdb_is_poisoned(store) &&
         SDB_ALWAYS(store->journal.fd >= 0 && store->committed) && store->recovered;
}

/* FORMAT.md 6, Clean close.  A crash or a failure in between loses nothing: as long as the guard stands, the next open
** recovers. */
static void close_clean(sdb_store *store) {
  bool poison = false;
  if (!can_close_clean(store) || sdb_checkpoint(store, &sdb_unheard) != SEQDB_OK) return; /* 1 */
  if (SDB_NEVER(!sdb_overlay_is_empty(&store->overlay)) || !store->regions.guarded) return;
  if (sdb_data_ensure(&store->data, sdb_store_end(store), &sdb_unheard) != SEQDB_OK) return;                 /* 2 */
  if (sdb_regions_guard(&store->regions, false, store->sync_off, &poison, &sdb_unheard) != SEQDB_OK) return; /* 3 */
  sdb_journal_cut(&store->journal, sdb_room_for_giving(store));                                              /* 4 */
}

/* What a handle has of its own. */
static void handle_free(seqdb *db) {
  sdb_txn_destroy(&db->txn);
  sdb_free(db->coordinator);
  pthread_mutex_destroy(&db->txn_mutex);
  pthread_cond_destroy(&db->asked);
  pthread_mutex_destroy(&db->error_mutex);
  sdb_free(db);
}

/* One user of the directory less; `inside`: one who has not left it since entering. */
static void drop_user(sdb_listed *listed, bool inside) {
  if (!sdb_registry_last_user(listed, inside)) return;
  if (listed->store) {
    if (sdb_meet_closing(listed->store)) close_clean(listed->store);
    store_free(listed->store);
  }
  sdb_registry_remove(listed);
}

void sdb_handle_unref(seqdb *db) {
  if (atomic_fetch_sub(&db->refs, 1) != 1) return;
  sdb_store *store = db->store;
  sdb_tails_free(db);
  sdb_tree_drop(&db->own_tree, store->names);
  drop_user(store->listed, false);
  handle_free(db);
}

void seqdb_close(seqdb *db) {
  seqdb_error error;
  sdb_op op = {"close", &error};
  if (!db || sdb_enter(db, &op) != SEQDB_OK) return; /* a child of fork leaves the parent's files alone */
  (void)sdb_commit_rollback(db, &sdb_unheard);
  pthread_mutex_unlock(&db->txn_mutex);
  sdb_handle_unref(db);
}

/* ---- handles */

static seqdb *handle_new(const seqdb_options *options) {
  seqdb *db = sdb_calloc(1, sizeof *db);
  if (!db) return NULL;
  db->flags = options->flags;
  atomic_init(&db->refs, 1);
  atomic_init(&db->busy_timeout_ms, options->busy_timeout_ms);
  pthread_mutex_init(&db->error_mutex, NULL);
  pthread_mutex_init(&db->txn_mutex, NULL);
  pthread_cond_init(&db->asked, NULL);
  sdb_txn_init(&db->txn);
  if (options->coordinator && !(db->coordinator = sdb_malloc(strlen(options->coordinator) + 1))) {
    handle_free(db);
    return NULL;
  }
  db->own_view.db = db;
  if (options->coordinator) memcpy(db->coordinator, options->coordinator, strlen(options->coordinator) + 1);
  return db;
}

#define RESOLVE_FLAGS (SEQDB_OPEN_RESOLVE_KEEP | SEQDB_OPEN_RESOLVE_DROP | SEQDB_OPEN_RESOLVE_LATER)
#define KNOWN_FLAGS   (0x1fu | SEQDB_OPEN_EXCLUSIVE | SEQDB_OPEN_IMMUTABLE | RESOLVE_FLAGS)

static int check_options(const seqdb_options *options, const sdb_op *op) {
  unsigned resolve = options->flags & RESOLVE_FLAGS, write = SEQDB_OPEN_CREATE | SEQDB_OPEN_ADOPT;
  if (options->flags & ~KNOWN_FLAGS)
    return sdb_error_set(op, SEQDB_INVALID, NULL, 0, "unknown flags 0x%x", options->flags & ~KNOWN_FLAGS);
  if (resolve & (resolve - 1))
    return sdb_error_set(op, SEQDB_INVALID, NULL, 0, "an undecided commit cannot be both kept and dropped");
  if ((options->flags & SEQDB_OPEN_READONLY) && (options->flags & write))
    return sdb_error_set(op, SEQDB_INVALID, NULL, 0, "a read-only handle can neither create nor adopt");
  if (options->mode & ~0777u)
    return sdb_error_set(op, SEQDB_INVALID, NULL, 0, "mode 0%o has more than permissions", options->mode);
  if (options->min_size_bytes > SDB_OFFSET_MAX)
    return sdb_error_set(op, SEQDB_RANGE, NULL, 0, "a minimum size of %llu bytes is more than a file can have",
                         (unsigned long long)options->min_size_bytes);
  return SEQDB_OK;
}

/* Open the directory, or join those who have it open.  Then *listed is entered and not left yet. */
static int enter(const char *directory, const seqdb_options *options, sdb_listed **listed, const sdb_op *op) {
  sdb_listed *entered = NULL;
  sdb_os_info info;
  sdb_fd dir = -1;
  int rc = open_dir(directory, options, &dir, op);
  if (rc != SEQDB_OK) return rc;
  int os = sdb_os_dir_info(dir, &info);
  if (os)
    rc = sdb_error_os(op, os, NULL, 0, "%s: cannot look at the directory", directory);
  else
    rc = sdb_registry_enter(&info, options, directory, &entered, op);
  if (rc == SEQDB_OK) {
    rc = entered->store ? join(entered->store, options, op) : store_open(&dir, entered, directory, options, op);
    if (rc != SEQDB_OK) drop_user(entered, true);
  }
  if (dir >= 0) sdb_os_close(dir);
  if (rc == SEQDB_OK) *listed = entered;
  return rc;
}

/* What the caller wants, complete.  `given` may be NULL. */
static int take_options(const seqdb_options *given, seqdb_options *options, const sdb_op *op) {
  memset(options, 0, sizeof *options);
  if (!given) return SEQDB_OK;
  if (!sdb_sized_is(given->size_bytes, SDB_OPTIONS_FIRST_BYTES))
    return sdb_error_set(op, SEQDB_INVALID, NULL, 0,
                         "open: size_bytes of seqdb_options is %u: begin with SEQDB_OPTIONS_INIT", given->size_bytes);
  if (!sdb_sized_copy_in(options, sizeof *options, given))
    return sdb_error_set(op, SEQDB_INVALID, NULL, 0, "open: options that seqdb %s does not know", SEQDB_VERSION_TEXT);
  if (options->flags & SEQDB_OPEN_IMMUTABLE) options->flags |= SEQDB_OPEN_READONLY;
  return check_options(options, op);
}

int seqdb_open(const char *directory, const seqdb_options *given, seqdb_error *error, seqdb **db) {
  seqdb_options options;
  seqdb_error record = {0};
  sdb_op op = {"open", &record};
  sdb_listed *listed = NULL;
  if (error && !sdb_sized_is(error->size_bytes, SDB_ERROR_FIRST_BYTES)) return SEQDB_INVALID;
  int rc = take_options(given, &options, &op);
  seqdb *made = rc == SEQDB_OK ? handle_new(&options) : NULL;
  if (rc == SEQDB_OK && !made) rc = sdb_error_nomem(&op);
  if (rc == SEQDB_OK) rc = enter(directory, &options, &listed, &op);
  if (rc == SEQDB_OK) {
    made->store = listed->store;
    made->only_reads = !(options.flags & SEQDB_OPEN_READONLY) && !made->store->writing;
    sdb_registry_leave(listed);
    *db = made;
    return rc;
  }
  if (made) handle_free(made);
  if (error) sdb_sized_copy_out(error, &record, sizeof record);
  return rc;
}
