/* SPDX-License-Identifier: MIT
**
** claims.c: see claims.h.
**
** Claims lie in the journal's header.  Changing one is a checkpoint, whose header has a new salt: so every member takes
** the claims over with the header (S3), and a crash leaves the old ones or the new ones.
** INVARIANT: store.journal.header.claims is what the header in use says, but while claim_put() has the writer lock.
*/
#include "store/claims.h"

#include <errno.h>
#include "os/os.h"
#include "txn/begin.h"
#include "txn/changes_copy.h"
#include "txn/checkpoint.h"
#include "txn/follow.h"
#include "txn/handle.h"
#include "txn/member.h"
#include "txn/settle.h"
#include "txn/writer_lock.h"

bool sdb_claim_take(const seqdb_claim *given, sdb_claim *claim) {
  memset(claim, 0, sizeof *claim);
  if (given->path_bytes > SDB_CLAIM_PATH_BYTES_MAX || sdb_is_zero(given->file, sizeof given->file)) return false;
  if (memchr(given->path, 0, given->path_bytes)) return false;
  memcpy(claim->file.bytes, given->file, sizeof claim->file.bytes);
  memcpy(claim->settled.bytes, given->settled, sizeof claim->settled.bytes);
  claim->inode = given->inode;
  claim->birth_ns = given->birth_ns;
  claim->path_bytes = given->path_bytes;
  memcpy(claim->path, given->path, given->path_bytes);
  return true;
}

void sdb_claim_give(const sdb_claim *claim, seqdb_claim *out) {
  memset(out, 0, sizeof *out);
  memcpy(out->file, claim->file.bytes, sizeof out->file);
  memcpy(out->settled, claim->settled.bytes, sizeof out->settled);
  out->inode = claim->inode;
  out->birth_ns = claim->birth_ns;
  out->path_bytes = claim->path_bytes;
  memcpy(out->path, claim->path, sizeof out->path);
}

/* ---- asking */

int seqdb_claims(seqdb *db, seqdb_claim claims[SEQDB_CLAIMS_MAX], uint32_t *count) {
  seqdb_error error;
  sdb_op op = {"claims", &error};
  sdb_store *store = db->store;
  int rc = sdb_usable(db, &op);
  if (rc == SEQDB_OK) rc = sdb_member_catch_up(store, &op);
  if (rc != SEQDB_OK) return sdb_fail(db, rc, &op);
  pthread_mutex_lock(&store->files_mutex);
  const sdb_journal_header *header = &store->journal.header;
  for (uint32_t i = 0; i < header->claim_count; i++) {
    sdb_claim_give(&header->claims[i], &claims[i]);
  }
  *count = header->claim_count;
  pthread_mutex_unlock(&store->files_mutex);
  return SEQDB_OK;
}

uint64_t seqdb_claims_version(seqdb *db) {
  return sdb_in_child(db) ? 0 : atomic_load_explicit(&db->store->claims_version, memory_order_acquire);
}

int seqdb_get_tip(seqdb *db, uint64_t *generation, uint8_t token[SEQDB_TOKEN_BYTES]) {
  seqdb_error error;
  sdb_op op = {"newest commit", &error};
  sdb_store *store = db->store;
  int rc = sdb_usable(db, &op);
  if (rc == SEQDB_OK) rc = sdb_member_catch_up(store, &op);
  if (rc != SEQDB_OK) return sdb_fail(db, rc, &op);
  pthread_mutex_lock(&store->files_mutex);
  pthread_mutex_lock(&store->mutex);
  *generation = store->committed->generation;
  memcpy(token, store->tip.bytes, SEQDB_TOKEN_BYTES);
  pthread_mutex_unlock(&store->mutex);
  pthread_mutex_unlock(&store->files_mutex);
  return SEQDB_OK;
}

int seqdb_identify(const char *path, seqdb_file_identity *identity) {
  sdb_os_info info = {0};
  int os = sdb_os_path_info(path, &info);
  if (os == ENOENT || os == ENOTDIR) return SEQDB_NOTFOUND;
  if (os) return os == EACCES ? SEQDB_READONLY : SEQDB_IO;
  *identity = (seqdb_file_identity){info.device, info.inode, sdb_os_birth_ns(path)};
  return SEQDB_OK;
}

/* ---- claiming */

void seqdb_set_file(seqdb *db, const uint8_t file[SEQDB_FILE_UUID_BYTES], uint32_t durability) {
  memset(&db->file, 0, sizeof db->file);
  if (file) memcpy(db->file.bytes, file, sizeof db->file.bytes);
  db->durability = file ? durability : 0;
}

/* Its place in the list; NULL: there is none. */
static sdb_claim *place_of(sdb_journal_header *header, const sdb_claim *claim) {
  uint32_t i = 0;
  while (i < header->claim_count && memcmp(&header->claims[i].file, &claim->file, sizeof claim->file) != 0)
    i++;
  if (i == SDB_CLAIMS_MAX) return NULL;
  if (i == header->claim_count) header->claim_count++;
  return &header->claims[i];
}

/* The writer lock is ours.  The header that a checkpoint writes has what the one in memory has. */
static int change_header(sdb_store *store, const sdb_journal_header *with, const sdb_op *op) {
  sdb_journal_header before = store->journal.header;
  uint64_t salt = before.salt;
  pthread_mutex_lock(&store->files_mutex);
  store->journal.header = *with;
  pthread_mutex_unlock(&store->files_mutex);
  store->version = SDB_FORMAT_VERSION;
  store->claims_changed = true;
  int rc = sdb_checkpoint(store, op);
  store->claims_changed = false;
  bool written = store->journal.header.salt != salt;
  if (!written) {
    pthread_mutex_lock(&store->files_mutex);
    store->journal.header = before;
    pthread_mutex_unlock(&store->files_mutex);
  }
  const sdb_file_uuid nobody = {{0}};
  if (!written && rc == SEQDB_OK) rc = sdb_settle_check(store, &nobody, op);
  if (written || rc != SEQDB_OK) return rc;
  return sdb_error_set(
      op, SEQDB_BUSY, NULL, 0,
      "%s: a reader in another process holds overwritten bytes of %s: the header cannot be written yet", op->operation,
      store->path);
}

static int no_room(const sdb_store *store, const sdb_op *op) {
  return sdb_error_set(op, SEQDB_INVALID, "journal", 0, "%s belongs to %u SQLite files: there is no room for another",
                       store->path, SDB_CLAIMS_MAX);
}

static int claim_put(seqdb *db, const sdb_claim *claim, const sdb_op *op) {
  sdb_store *store = db->store;
  sdb_journal_header header = store->journal.header;
  sdb_claim *place = place_of(&header, claim);
  if (!place) return no_room(store, op);
  if (memcmp(place, claim, sizeof *claim) == 0) return SEQDB_OK;
  *place = *claim;
  return change_header(store, &header, op);
}

/* With the writer lock, between transactions.  `claim`: NULL for who wants none. */
static int between(seqdb *db, int (*call)(seqdb *db, const sdb_claim *claim, const sdb_op *op), const sdb_claim *claim,
                   const sdb_op *op) {
  int rc = sdb_enter(db, op);
  if (rc != SEQDB_OK) return rc;
  bool mine = !sdb_txn_is_open(&db->txn);
  if (sdb_txn_has_changes(&db->txn))
    rc = sdb_error_set(op, SEQDB_LOCKED, NULL, 0, "%s: the transaction has uncommitted changes", op->operation);
  else if (!mine || (rc = sdb_writer_lock(db, op)) == SEQDB_OK) {
    rc = sdb_checkpoint_recovered(db->store, op);
    if (rc == SEQDB_OK) rc = call(db, claim, op);
    if (mine) sdb_writer_unlock(db);
  }
  return sdb_leave(db, rc, op);
}

static int put(seqdb *db, const seqdb_claim *given, int (*call)(seqdb *db, const sdb_claim *claim, const sdb_op *op),
               const sdb_op *op) {
  sdb_claim claim;
  int rc = sdb_writable(db, op);
  if (rc == SEQDB_OK && !sdb_claim_take(given, &claim))
    rc = sdb_error_set(op, SEQDB_INVALID, NULL, 0, "%s: a uuid of zeros, or a path that cannot be one", op->operation);
  return rc == SEQDB_OK ? between(db, call, &claim, op) : sdb_fail(db, rc, op);
}

int seqdb_claim_put(seqdb *db, const seqdb_claim *claim) {
  seqdb_error error;
  sdb_op op = {"claim", &error};
  return put(db, claim, claim_put, &op);
}

/* Another process has taken over for the same file since the claim was planned, and committed, perhaps: that stays. */
static void take_place(sdb_claim *place, const sdb_claim *claim) {
  sdb_claim next = *claim;
  next.settled = place->settled;
  if (memcmp(place, &next, sizeof next) != 0) *place = *claim;
}

static void set_tip_file(sdb_store *store, const sdb_file_uuid *file) {
  pthread_mutex_lock(&store->files_mutex);
  store->tip_file = *file;
  pthread_mutex_unlock(&store->files_mutex);
}

/* The newest commit may be of another file with that uuid: the original, which committed after the claim was planned.
** It is nobody's from now on: else whoever reads the header takes it for the claim's. */
static void disown_tip(sdb_store *store, const sdb_claim *place) {
  const sdb_file_uuid nobody = {{0}};
  bool same = memcmp(&store->tip_file, &place->file, sizeof place->file) == 0;
  if (same && !sdb_token_is(&place->settled, &store->tip)) set_tip_file(store, &nobody);
}

/* What changed before belongs to the history that it leaves.  `claim`: NULL, or it goes into the same header. */
static int new_uuid(seqdb *db, const sdb_claim *claim, const sdb_op *op) {
  sdb_store *store = db->store;
  sdb_journal_header header = store->journal.header;
  uint64_t floor = store->changes_floor;
  sdb_file_uuid tip_file = store->tip_file;
  sdb_claim *place = claim ? place_of(&header, claim) : NULL;
  if (claim && !place) return no_room(store, op);
  int os = sdb_os_random(header.uuid, sizeof header.uuid);
  if (os) return sdb_error_os(op, os, NULL, 0, "%s: no random bytes for a uuid", op->operation);
  if (claim) {
    take_place(place, claim);
    disown_tip(store, place);
  }
  sdb_changes_set_floor(store, store->committed->generation);
  int rc = change_header(store, &header, op);
  if (rc != SEQDB_OK) {
    sdb_changes_set_floor(store, floor);
    set_tip_file(store, &tip_file);
    return rc;
  }
  memcpy(store->uuid, header.uuid, sizeof store->uuid);
  if (store->shared) sdb_board_set_uuid(store->board, header.uuid);
  return rc;
}

int seqdb_new_uuid(seqdb *db) {
  seqdb_error error;
  sdb_op op = {"new uuid", &error};
  int rc = sdb_writable(db, &op);
  return rc == SEQDB_OK ? between(db, new_uuid, NULL, &op) : sdb_fail(db, rc, &op);
}

int seqdb_take_over(seqdb *db, const seqdb_claim *claim) {
  seqdb_error error;
  sdb_op op = {"take over", &error};
  return put(db, claim, new_uuid, &op);
}

/* ---- settling */

void seqdb_set_settles(seqdb *db, int settles) {
  db->settles = settles;
}

int seqdb_settle_is_due(seqdb *db) {
  return !sdb_in_child(db) && sdb_settle_is_due(db->store);
}

int seqdb_unsettled(seqdb *db) {
  seqdb_error error;
  sdb_op op = {"settle", &error};
  sdb_store *store = db->store;
  int rc = sdb_usable(db, &op);
  if (rc == SEQDB_OK) rc = sdb_member_catch_up(store, &op);
  if (rc != SEQDB_OK) return sdb_fail(db, rc, &op);
  pthread_mutex_lock(&store->files_mutex);
  sdb_token settled = store->settled;
  uint64_t generation;
  if (store->shared) (void)sdb_board_settled(store->board, &generation, settled.bytes);
  bool all = sdb_token_is(&settled, &store->tip) && !store->dead_behind;
  bool ours = memcmp(&store->candidates, &db->file, sizeof db->file) == 0;
  int state = all ? 0 : !ours ? 3 : store->dead_behind ? 2 : 1;
  pthread_mutex_unlock(&store->files_mutex);
  return state;
}

void seqdb_get_candidates(seqdb *db, seqdb_claim *out) {
  sdb_store *store = db->store;
  memset(out, 0, sizeof *out);
  if (sdb_in_child(db)) return;
  pthread_mutex_lock(&store->files_mutex);
  const sdb_claim *claim = sdb_journal_header_claim(&store->journal.header, &store->candidates);
  if (claim) sdb_claim_give(claim, out);
  memcpy(out->file, store->candidates.bytes, sizeof out->file);
  pthread_mutex_unlock(&store->files_mutex);
}

/* With the writer lock, which the handle may have already. */
static int locked(seqdb *db, int (*call)(seqdb *db, const sdb_token *token, const sdb_op *op), const uint8_t *token,
                  const sdb_op *op) {
  sdb_token copy;
  memcpy(copy.bytes, token, sizeof copy.bytes);
  int rc = sdb_writable(db, op);
  if (rc != SEQDB_OK) return sdb_fail(db, rc, op);
  if ((rc = sdb_enter(db, op)) != SEQDB_OK) return rc;
  bool mine = !sdb_txn_is_open(&db->txn);
  if (mine) rc = sdb_writer_lock(db, op);
  if (rc == SEQDB_OK) {
    rc = call(db, &copy, op);
    if (mine) sdb_writer_unlock(db);
  }
  return sdb_leave(db, rc, op);
}

static int settle(seqdb *db, const sdb_token *token, const sdb_op *op) {
  sdb_store *store = db->store;
  (void)op;
  if (!sdb_token_is(token, &store->tip)) return SEQDB_OK; /* there is a newer one */
  pthread_mutex_lock(&store->files_mutex);
  sdb_settle_tip(store);
  pthread_mutex_unlock(&store->files_mutex);
  sdb_store_publish(store);
  (void)sdb_store_oldest_elsewhere(store);
  return SEQDB_OK;
}

int seqdb_settle(seqdb *db, const uint8_t token[SEQDB_TOKEN_BYTES]) {
  seqdb_error error;
  sdb_op op = {"settle", &error};
  return locked(db, settle, token, &op);
}

int seqdb_touch(seqdb *db) {
  seqdb_error error;
  sdb_op op = {"settle", &error};
  int rc = sdb_enter(db, &op);
  if (rc != SEQDB_OK) return rc;
  rc = sdb_txn_begin(db, &op);
  if (rc == SEQDB_OK) {
    sdb_txn_set_changing(&db->txn);
    sdb_txn_set_done(&db->txn);
    db->heals = true;
  }
  return sdb_leave(db, rc, &op);
}

/* ---- agreeing with an SQLite file */

int seqdb_is_marked(seqdb *db) {
  return !sdb_in_child(db) && sdb_store_mark(db->store);
}

/* Does the last commit have what the file's row says? */
static bool agrees(sdb_store *store, const sdb_token *token) {
  pthread_mutex_lock(&store->files_mutex);
  bool same = sdb_token_is(token, &store->tip);
  const sdb_journal_header *header = &store->journal.header;
  for (uint32_t i = 0; i < header->claim_count && !same; i++)
    same = sdb_token_is(token, &header->claims[i].settled);
  pthread_mutex_unlock(&store->files_mutex);
  return same;
}

static int agree(seqdb *db, const sdb_token *token, const sdb_op *op) {
  sdb_store *store = db->store;
  bool found = false;
  if (sdb_txn_has_changes(&db->txn) || agrees(store, token)) return SEQDB_OK;
  int rc = sdb_follow_token(store, token, &found, op);
  if (rc != SEQDB_OK) return rc;
  if (!found)
    return sdb_error_set(op, SEQDB_NOTFOUND, "journal", 0, "%s does not know the commit that the SQLite file shows",
                         store->path);
  sdb_store_raise_unproven(store, store->committed->generation);
  sdb_store_publish(store);
  return SEQDB_OK;
}

int seqdb_agree(seqdb *db, uint64_t generation, const uint8_t token[SEQDB_TOKEN_BYTES]) {
  seqdb_error error;
  sdb_op op = {"agree", &error};
  sdb_token wanted;
  int rc = sdb_usable(db, &op);
  memcpy(wanted.bytes, token, sizeof wanted.bytes);
  if (rc == SEQDB_OK) rc = sdb_member_catch_up(db->store, &op);
  if (rc != SEQDB_OK) return sdb_fail(db, rc, &op);
  if (agrees(db->store, &wanted) || generation < sdb_store_generation(db->store)) return SEQDB_OK;
  return locked(db, agree, token, &op);
}

/* A file in its folder. */
static int sync_file(const char *path) {
  char folder[4096];
  const char *slash = strrchr(path, '/');
  size_t bytes = slash ? (size_t)(slash - path) : 0;
  sdb_fd dir = -1, fd = -1;
  if (!slash || bytes + 2 > sizeof folder) return EINVAL;
  memcpy(folder, path, bytes);
  memcpy(folder + bytes, "/", 2);
  int os = sdb_os_open_dir(folder, &dir);
  if (!os) os = sdb_os_open(dir, slash + 1, 0, &fd);
  if (!os) os = sdb_os_fsync(fd);
  if (fd >= 0) sdb_os_close(fd);
  if (dir >= 0) sdb_os_close(dir);
  return os;
}

int seqdb_sync_path(const char *path) {
  sdb_fd fd = -1;
  int os = sdb_os_open_dir(path, &fd);
  if (!os) os = sdb_os_sync_dir(fd);
  if (fd >= 0) sdb_os_close(fd);
  if (os == ENOTDIR) os = sync_file(path);
  if (os == ENOENT) return SEQDB_NOTFOUND;
  return os ? SEQDB_IO : SEQDB_OK;
}
