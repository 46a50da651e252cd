/* SPDX-License-Identifier: MIT
**
** meet.c: see meet.h.
*/
#include "store/meet.h"

#include <errno.h>
#include "files/create.h"
#include "os/os.h"
#include "txn/follow.h"
#include "txn/member.h"

/* Of the board's mode: one of the first two, perhaps with the third. */
enum { MODE_SYNC_FULL = 1, MODE_SYNC_OFF = 2, MODE_NOT_ATOMIC = 4 };

/* ---- coming */

/* Exclusive locks for readers too: converting a shared flock gives it up for a moment. */
static int be_alone(sdb_store *store, const sdb_op *op) {
  int os = sdb_os_lock(store->dir, true);
  if (!os) return SEQDB_OK;
  if (os != EWOULDBLOCK) return sdb_error_os(op, os, NULL, 0, "%s: cannot lock", store->path);
  return sdb_error_set(op, SEQDB_LOCKED, NULL, 0,
                       "database is locked: %s is open in another process, and locking=exclusive wants it alone",
                       store->path);
}

/* Is the file there, whatever it is? */
static bool has_file(sdb_store *store, const char *name, bool with_bytes) {
  sdb_os_info info = {0};
  sdb_fd fd = -1;
  int os = sdb_os_open(store->dir, name, 0, &fd);
  if (os) return os != ENOENT;
  os = sdb_os_info_of(fd, &info);
  sdb_os_close(fd);
  return os || !with_bytes || info.size_bytes > 0;
}

bool sdb_meet_has_database(sdb_store *store) {
  return has_file(store, "data", false) && has_file(store, "regions", false) &&
         (has_file(store, "journal", false) || has_file(store, "regions", true));
}

/* Is it a directory for a file `lock`?  One that is to be created must be empty or half-made; one of which the files
** are open must have more than names. */
static int wants_lock(sdb_store *store, const seqdb_options *options, bool *wanted, const sdb_op *op) {
  sdb_os_info info = {0};
  bool missing;
  *wanted = options->flags & SEQDB_OPEN_ADOPT;
  if (*wanted) return SEQDB_OK;
  if (store->regions.fd >= 0) {
    int os = store->journal.fd < 0 ? sdb_os_info_of(store->regions.fd, &info) : 0;
    *wanted = os || store->journal.fd >= 0 || info.size_bytes > 0;
    return SEQDB_OK;
  }
  int rc = sdb_is_pristine(store->dir, store->path, wanted, &missing, op);
  if (rc == SEQDB_OK && !*wanted) *wanted = sdb_meet_has_database(store); /* somebody else has just made it */
  return rc;
}

struct asking {
  int (*interrupt)(void *context);
  void *context;
};

static bool ask(void *context) {
  const struct asking *asking = context;
  return asking->interrupt && asking->interrupt(asking->context);
}

static int enter_board(sdb_store *store, const seqdb_options *options, const sdb_op *op) {
  struct asking asking = {options->interrupt, options->interrupt_context};
  sdb_board_patience patience = {.deadline_ms = sdb_os_now_ms() + SDB_MAX(options->busy_timeout_ms, SEQDB_OPEN_WAIT_MS),
                                 .stop = options->interrupt ? ask : NULL,
                                 .context = &asking};
  const sdb_os_access access = {options->mode, options->uid, options->gid};
  return sdb_board_open(&store->board, store->dir, store->path, &access, &patience, op);
}

/* The system lets nobody write: then nothing changes, unless the same files are live under another mount. */
static int read_by_itself(sdb_store *store, int rc, const sdb_op *op) {
  bool live = false;
  seqdb_error error;
  const sdb_op quiet = {"open", &error};
  if (sdb_board_is_live(store->dir, store->path, &live, &quiet) != SEQDB_OK || live) return rc;
  store->immutable = true;
  memset(op->error, 0, sizeof *op->error);
  return SEQDB_OK;
}

int sdb_meet(sdb_store *store, const seqdb_options *options, bool *joins, const sdb_op *op) {
  sdb_os_file_system system = {0};
  *joins = false;
  if (options->flags & SEQDB_OPEN_IMMUTABLE) return SEQDB_OK;
  if (options->flags & SEQDB_OPEN_EXCLUSIVE) return be_alone(store, op);
  bool wanted;
  int rc = wants_lock(store, options, &wanted, op);
  if (rc != SEQDB_OK || !wanted) return rc; /* check_complete() will say what is missing */
  int os = sdb_os_file_system_of(store->dir, &system);
  if (os) return sdb_error_os(op, os, NULL, 0, "%s: cannot see what file system it lies on", store->path);
  if (system.remote)
    return sdb_error_set(op, SEQDB_CANTOPEN, NULL, 0,
                         "%s lies on %s, where processes cannot share it: locking=exclusive opens it for one",
                         store->path, system.remote);
  rc = enter_board(store, options, op);
  if (rc != SEQDB_OK && system.read_only) rc = read_by_itself(store, rc, op);
  if (rc != SEQDB_OK || !store->board) return rc;
  *joins = sdb_board_role_of(store->board) == SDB_BOARD_JOINS;
  return *joins ? sdb_board_load(store->board, &store->mine, op) : SEQDB_OK;
}

void sdb_meet_keep_from_children(sdb_store *store) {
  store->kept.files[0] = &store->data.fd;
  store->kept.files[1] = &store->regions.fd;
  store->kept.files[2] = &store->journal.fd;
  store->kept.files[3] = &store->dir;
  sdb_os_parent_only(&store->kept);
}

bool sdb_meet_is_still(const sdb_store *store) {
  return store->mine.salt == 0;
}

/* From now on as others; nobody else uses the store yet. */
static void share(sdb_store *store) {
  store->shared = true;
  atomic_store(&store->sequence, store->mine.sequence);
  sdb_space_set_reusable(&store->space, 0); /* until the writer lock is ours */
}

void sdb_meet_join_still(sdb_store *store) {
  uint64_t sequence = store->mine.sequence;
  store->mine = (sdb_published){.sequence = sequence};
  share(store);
  store->still = true;
  sdb_board_unpin(store->board);
}

/* They may have got another uuid since they were read. */
static int be_same(sdb_store *store, const sdb_op *op) {
  if (sdb_board_same(store->board, store->journal.header.uuid, &sdb_unheard) != SEQDB_OK) {
    int rc = sdb_member_catch_up(store, op);
    if (rc != SEQDB_OK) return rc;
  }
  memcpy(store->uuid, store->journal.header.uuid, sizeof store->uuid);
  return sdb_board_same(store->board, store->uuid, op);
}

int sdb_meet_join(sdb_store *store, const sdb_op *op) {
  sdb_tree nothing = {0};
  store->mine = (sdb_published){0};
  store->committed = sdb_catalog_new(&store->space.catalogs, &nothing, SDB_CATALOG_COMMITTED, 0);
  if (!store->committed) return sdb_error_nomem(op);
  share(store);
  store->changes_floor = sdb_board_floor(store->board);
  int rc = sdb_member_catch_up(store, op);
  if (rc != SEQDB_OK) return rc;
  store->recovered = true;
  rc = be_same(store, op);
  sdb_board_unpin(store->board);
  return rc;
}

int sdb_meet_again(sdb_store *store, const seqdb_options *options, const sdb_op *op) {
  bool joins;
  sdb_board_leave(store->board);
  store->board = NULL;
  store->shared = store->still = false;
  store->mine = (sdb_published){0};
  sdb_space_set_reusable(&store->space, UINT64_MAX);
  int rc = sdb_meet(store, options, &joins, op);
  if (rc != SEQDB_OK || !joins) return rc;
  sdb_meet_join_still(store);
  return sdb_error_set(op, SEQDB_LOCKED, NULL, 0, "%s is open in another process, for reading: close it there first",
                       store->path);
}

/* What is read here differs from what the files alone say: nobody can follow. */
static bool cannot_be_followed(const sdb_store *store) {
  return store->damage.count || store->journal.fd < 0 || store->left_undecided || (store->apart && !store->writing) ||
         (store->undecided && !store->keep_next);
}

int sdb_meet_ready(sdb_store *store, const sdb_op *op) {
  if (!store->board) return SEQDB_OK;
  bool durable = store->recovered;
  int rc = SEQDB_OK;
  if (cannot_be_followed(store)) {
    store->still = durable = true;
    store->mine = (sdb_published){0};
    store->settled_generation = store->unproven = 0; /* of damage they may be too large for the board */
  } else {
    sdb_store_stand(store);
    if (!durable) rc = sdb_follow_hold(store, op); /* the records stay, for the next writer */
    sdb_board_set_floor(store->board, store->changes_floor);
    store->unsettled = store->undecided;
    store->recovered = true; /* ... who finds the board's mark instead */
  }
  sdb_board_settle(store->board, store->settled_generation, store->settled.bytes);
  sdb_board_raise_unproven(store->board, store->unproven);
  sdb_board_set_mark(store->board, store->marked);
  if (rc == SEQDB_OK) rc = sdb_board_ready(store->board, store->uuid, &store->mine, durable, op);
  if (rc == SEQDB_OK) share(store);
  return rc;
}

int sdb_meet_agree(sdb_store *store, const sdb_op *op) {
  unsigned decided = 0, mode = store->sync_off ? MODE_SYNC_OFF : MODE_SYNC_FULL;
  if (store->not_atomic) mode |= MODE_NOT_ATOMIC;
  if (!store->board) return SEQDB_OK;
  int rc = sdb_board_agree(store->board, mode, &decided, op);
  if (rc == SEQDB_OK || decided == 0) return rc;
  if ((decided ^ mode) & MODE_NOT_ATOMIC)
    return sdb_error_set(op, SEQDB_INVALID, NULL, 0, "%s is open in another process with atomic=%d", store->path,
                         !(decided & MODE_NOT_ATOMIC));
  return sdb_error_set(op, SEQDB_INVALID, NULL, 0, "%s is open in another process with sync=%s", store->path,
                       decided & MODE_SYNC_OFF ? "off" : "full");
}

/* ---- going */

bool sdb_meet_closing(sdb_store *store) {
  sdb_board_patience patience = {.deadline_ms = sdb_os_now_ms() + SEQDB_OPEN_WAIT_MS};
  if (!store->board) return true;
  if (!store->shared || sdb_board_closing(store->board, &patience) != SDB_BOARD_LAST) return false;
  return store->writing && !store->still && sdb_member_lock(store, 0, false, &sdb_unheard) == SEQDB_OK;
}

void sdb_meet_leave(sdb_store *store) {
  sdb_os_parent_forget(&store->kept);
  if (!store->board) return;
  if (store->leads) sdb_member_unlock(store);
  store->shared = false;
  sdb_board_leave(store->board);
  store->board = NULL;
}
