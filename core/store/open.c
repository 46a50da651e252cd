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
#include "txn/settle.h"
#include "store/meet.h"
#include "store/recover.h"
#include "store/store_files.h"
#include "store/writable.h"
#include "store/registry.h"
#include "txn/append.h"
#include "txn/catalog_copy.h"
#include "txn/checkpoint.h"
#include "txn/commit.h"
#include "txn/room.h"
#include "txn/writer_lock.h"

#define REAL_PATH_MAX 4096u

/* ---- putting a store together */

static void store_free(sdb_store *store) {
  sdb_catalog *committed = store->committed;
  sdb_meet_leave(store);
  sdb_overlay_destroy(&store->overlay);
  if (store->names) {
    sdb_names_retire(store->names);
    sdb_space_unref(&store->space, store->before_prepare);
    if (committed) sdb_space_unref(&store->space, committed);
    sdb_space_destroy(&store->space);
    sdb_names_close(store->names);
  }
  sdb_damage_free(&store->damage);
  sdb_free(store->named);
  sdb_catalog_copy_forget(&store->copy);
  sdb_store_close_fd(&store->journal.fd);
  sdb_store_close_fd(&store->regions.fd);
  if (store->data.fd >= 0) sdb_data_close(&store->data);
  sdb_store_close_fd(&store->dir);
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
  store->sync_off = store->journal.sync_off = options->flags & SEQDB_OPEN_SYNC_OFF;
  store->not_atomic = options->flags & SEQDB_OPEN_NOT_ATOMIC;
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
static int load_space(sdb_store *store, const sdb_recovered *found, const sdb_op *op) {
  const sdb_owned_extent *owned = found->extents;
  sdb_range *extents = NULL;
  size_t count = found->extent_count;
  int rc = SEQDB_OK;
  if (count && !(extents = sdb_malloc(count * sizeof *extents))) rc = SEQDB_NOMEM;
  for (size_t i = 0; i < count && rc == SEQDB_OK; i++)
    extents[i] = (sdb_range){owned[i].start, owned[i].bytes};
  if (rc == SEQDB_OK && !store->damage.count) rc = sdb_space_load(&store->space, extents, count);
  for (size_t i = 0; i < count && rc == SEQDB_OK && store->damage.count; i++)
    store->space.end = SDB_MAX(store->space.end, extents[i].start + extents[i].bytes);
  sdb_free(extents);
  return rc == SEQDB_OK ? rc : sdb_error_nomem(op);
}

/* Take over what recovery found. */
static int take_recovered(sdb_store *store, sdb_recovered *found, const sdb_op *op) {
  store->damage = found->damage;
  store->copy = (sdb_catalog_copy){.known = found->listed, .head = found->catalog};
  memset(&found->damage, 0, sizeof found->damage);
  int rc = load_space(store, found, op);
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
  store->tip_at = found->tip_at;
  store->tip_durability = found->tip_durability;
  store->settled = have_journal ? found->settled : found->tip;
  store->settled_generation = have_journal ? found->settled_generation : found->generation;
  store->candidates = found->candidates;
  store->candidate_count = found->candidate_count;
  store->dead_behind = found->dead_behind;
  store->unproven = found->candidate_count ? found->generation : 0;
  store->marked = found->candidate_count > 0;
  store->unclean = found->unclean;
  store->undecided = found->undecided || found->blind;
  store->blind = found->blind;
  store->keep_next = found->kept_last;
  store->differs = found->differs;
  store->apart = found->apart;
  uint64_t skip = found->sync_was_off ? SDB_SKIP_LOST : found->adopted;
  if (skip) store->changes_floor = found->generation + skip;
  store->recovered = have_journal && found->records == 0 && !found->adopted && !found->unclean &&
                     store->journal.header.sync_off == store->sync_off;
  return SEQDB_OK;
}

/* T3: nobody shows rows and regions of different commits. */
static int cannot_ask(const sdb_store *store, const sdb_recovered *found, const sdb_op *op) {
  const sdb_claim *claim = sdb_journal_header_claim(&store->journal.header, &found->candidates);
  return sdb_error_set(
      op, SEQDB_CANTOPEN, "journal", found->tip_at,
      "%s: whether its last commits count is said by the SQLite file %.*s, which cannot be asked, or is "
      "of another time: open the table there first, or seqdb_resolve(T, 'keep') or 'drop'",
      store->path, claim ? (int)claim->path_bytes : 7, claim ? claim->path : "unknown");
}

static int load(sdb_store *store, const seqdb_options *options, const sdb_op *op) {
  sdb_recovered found;
  sdb_recover_from from = {.dir = store->dir,
                           .regions = &store->regions,
                           .journal = &store->journal,
                           .data_bytes = atomic_load(&store->data.size_bytes),
                           .names = store->names,
                           .interrupt = options->interrupt,
                           .interrupt_context = options->interrupt_context,
                           .adopt = options->flags & SEQDB_OPEN_ADOPT,
                           .resolve_drop = options->flags & SEQDB_OPEN_RESOLVE_DROP,
                           .resolve_keep = options->flags & SEQDB_OPEN_RESOLVE_KEEP,
                           .committed = options->committed,
                           .committed_context = options->committed_context};
  int rc = sdb_recover(&from, &found, op);
  if (rc != SEQDB_OK) return rc;
  if (found.blind && !found.damage.count && !(options->flags & SEQDB_OPEN_RESOLVE_LATER)) {
    rc = cannot_ask(store, &found, op);
    sdb_recovered_free(&found, store->names);
    return rc;
  }
  rc = take_recovered(store, &found, op);
  store->left_undecided = store->undecided && (options->flags & SEQDB_OPEN_RESOLVE_LATER);
  sdb_recovered_free(&found, store->names);
  return rc;
}

/* ---- opening a store that is not open yet */

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

/* Files and state; alone, as the first member, or as a further one. */
static int meet_and_load(sdb_store *store, const seqdb_options *options, const sdb_op *op) {
  bool joins = false, exclusive = options->flags & SEQDB_OPEN_EXCLUSIVE;
  bool late = exclusive || ((options->flags & SEQDB_OPEN_CREATE) && !sdb_meet_has_database(store));
  int rc = late ? SEQDB_OK : sdb_store_open_files(store, options, false, op);
  if (rc == SEQDB_OK) rc = sdb_meet(store, options, &joins, op);
  bool create = (options->flags & SEQDB_OPEN_CREATE) && !joins && (store->board || exclusive);
  if (rc == SEQDB_OK)
    rc = late ? sdb_store_open_files(store, options, create, op) : sdb_store_look_again(store, options, op);
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
  if (rc == SEQDB_OK && !(options->flags & SEQDB_OPEN_READONLY)) rc = sdb_store_make_writable(store, options, op);
  if (rc == SEQDB_OK && !store->shared) rc = sdb_meet_ready(store, op);
  if (rc != SEQDB_OK) {
    store_free(store);
    return rc;
  }
  listed->store = store;
  return SEQDB_OK;
}

/* Another handle on an open store. */
static int join(sdb_store *store, const seqdb_options *options, const sdb_op *op) {
  bool sync_off = options->flags & SEQDB_OPEN_SYNC_OFF, no_mmap = options->flags & SEQDB_OPEN_NO_MMAP;
  bool not_atomic = options->flags & SEQDB_OPEN_NOT_ATOMIC;
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
    if (not_atomic != store->not_atomic)
      return sdb_error_set(op, SEQDB_INVALID, NULL, 0, "%s is open in this process with atomic=%d", store->path,
                           !store->not_atomic);
    if (!store->damage.count) store->data.min_bytes = SDB_MAX(store->data.min_bytes, options->min_size_bytes);
    return SEQDB_OK;
  }
  /* Recovery has decided already, and readers may hold the result. */
  if ((store->undecided && (options->flags & SEQDB_OPEN_RESOLVE_DROP)) ||
      (store->differs && (options->flags & SEQDB_OPEN_ADOPT)))
    return sdb_error_set(op, SEQDB_LOCKED, NULL, 0,
                         "%s is open in this process for reading: close that first to use resolve=drop or adopt=1",
                         store->path);
  int rc = store->damage.count ? SEQDB_OK : sdb_store_reopen_files(store, op);
  if (rc != SEQDB_OK || (!store->damage.count && !store->files_writable)) return rc;
  bool alone = store->still && !store->damage.count;
  if (alone && (rc = sdb_meet_again(store, options, op)) != SEQDB_OK) return rc;
  store->sync_off = store->journal.sync_off = sync_off;
  store->not_atomic = not_atomic;
  if (store->journal.fd >= 0 && store->journal.header.sync_off != sync_off) store->recovered = false;
  rc = sdb_store_make_writable(store, options, op);
  return rc == SEQDB_OK && alone ? sdb_meet_ready(store, op) : rc;
}

static int open_dir(const char *path, const seqdb_options *options, sdb_fd *dir, const sdb_op *op) {
  int os = sdb_os_open_dir(path, dir);
  if (os == ENOENT && (options->flags & SEQDB_OPEN_CREATE)) {
    const sdb_os_access access = sdb_store_access(options);
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
  if (!sdb_overlay_is_empty(&store->overlay) || !sdb_store_is_settled(store)) return;
  if (store->regions.guarded) {
    if (sdb_data_ensure(&store->data, sdb_store_end(store), &sdb_unheard) != SEQDB_OK) return;                 /* 2 */
    if (sdb_regions_guard(&store->regions, false, store->sync_off, &poison, &sdb_unheard) != SEQDB_OK) return; /* 3 */
    sdb_journal_cut(&store->journal, sdb_room_for_giving(store));                                              /* 4 */
  }
  sdb_catalog_copy_write(store); /* 5 */
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
#define KNOWN_FLAGS   (0x1fu | SEQDB_OPEN_EXCLUSIVE | SEQDB_OPEN_IMMUTABLE | RESOLVE_FLAGS | SEQDB_OPEN_NOT_ATOMIC)

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
