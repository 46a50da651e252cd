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
#include "txn/checkpoint.h"
#include "txn/handle.h"
#include "txn/member.h"
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

static void give(const sdb_claim *claim, seqdb_claim *out) {
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
  if (rc == SEQDB_OK && store->journal.fd >= 0) rc = sdb_member_catch_up(store, &op);
  if (rc != SEQDB_OK) return sdb_fail(db, rc, &op);
  pthread_mutex_lock(&store->files_mutex);
  const sdb_journal_header *header = &store->journal.header;
  for (uint32_t i = 0; i < header->claim_count; i++) {
    give(&header->claims[i], &claims[i]);
    if (memcmp(claims[i].file, store->tip_file.bytes, sizeof claims[i].file) == 0)
      memcpy(claims[i].settled, store->tip.bytes, sizeof claims[i].settled);
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
  if (written || rc != SEQDB_OK) return rc;
  return sdb_error_set(
      op, SEQDB_BUSY, NULL, 0,
      "%s: a reader in another process holds overwritten bytes of %s: the header cannot be written yet", op->operation,
      store->path);
}

static int claim_put(seqdb *db, const sdb_claim *claim, const sdb_op *op) {
  sdb_store *store = db->store;
  sdb_journal_header header = store->journal.header;
  sdb_claim *place = place_of(&header, claim);
  if (!place)
    return sdb_error_set(op, SEQDB_INVALID, "journal", 0, "%s belongs to %u SQLite files: there is no room for another",
                         store->path, SDB_CLAIMS_MAX);
  if (memcmp(place, claim, sizeof *claim) == 0) return SEQDB_OK;
  *place = *claim;
  return change_header(store, &header, op);
}

int seqdb_claim_put(seqdb *db, const seqdb_claim *given) {
  seqdb_error error;
  sdb_op op = {"claim", &error};
  sdb_claim claim;
  int rc = sdb_writable(db, &op);
  if (rc == SEQDB_OK && !sdb_claim_take(given, &claim))
    rc = sdb_error_set(&op, SEQDB_INVALID, NULL, 0, "claim: a uuid of zeros, or a path that cannot be one");
  if (rc != SEQDB_OK) return sdb_fail(db, rc, &op);
  if ((rc = sdb_enter(db, &op)) != SEQDB_OK) return rc;
  bool mine = !sdb_txn_is_open(&db->txn);
  if (sdb_txn_has_changes(&db->txn))
    rc = sdb_error_set(&op, SEQDB_LOCKED, NULL, 0, "claim: the transaction has uncommitted changes");
  else if (!mine || (rc = sdb_writer_lock(db, &op)) == SEQDB_OK) {
    rc = sdb_checkpoint_recovered(db->store, &op);
    if (rc == SEQDB_OK) rc = claim_put(db, &claim, &op);
    if (mine) sdb_writer_unlock(db);
  }
  return sdb_leave(db, rc, &op);
}
