/* SPDX-License-Identifier: MIT
**
** writable.c: see writable.h.
*/
#include "store/writable.h"

#include "files/create.h"
#include "os/os.h"
#include "store/meet.h"
#include "store/store_files.h"
#include "txn/checkpoint.h"
#include "txn/writer_lock.h"

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
  if (rc == SEQDB_OK) rc = sdb_store_open_file(store, "journal", true, false, &store->journal.fd, op);
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
  const sdb_op why = sdb_store_refusal(store);
  (void)sdb_error_set(&why, SEQDB_READONLY, "journal", 0,
                      "%s can only be read: it has no journal, as if rawdb had written it; seqdb_adopt() or adopt=1 in "
                      "CREATE makes it a database of seqdb",
                      store->path);
  return true;
}

/* Other members have it open and cannot write it: nor can we. */
static int refuse_still(sdb_store *store) {
  const sdb_op why = sdb_store_refusal(store);
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
  const sdb_op why = sdb_store_refusal(store);
  const char *cause =
      store->blind ? "an SQLite file says whether its last commits count, and cannot be asked, or is of another time"
                   : "its last commit was left undecided";
  (void)sdb_error_set(&why, SEQDB_READONLY, "journal", store->journal.last,
                      "%s can only be read: %s; seqdb_resolve(T, 'keep') or seqdb_resolve(T, 'drop') decides",
                      store->path, cause);
  return true;
}

/* The first handle that may write makes what was recovered durable. May be tried again after it failed. */
int sdb_store_make_writable(sdb_store *store, const seqdb_options *options, const sdb_op *op) {
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
  const sdb_os_access access = sdb_store_access(options);
  if (store->journal.fd < 0 && (rc = add_journal(store, &access, op)) != SEQDB_OK) {
    sdb_store_close_fd(&store->journal.fd);
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
