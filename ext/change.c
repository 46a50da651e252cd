/* SPDX-License-Identifier: MIT
**
** change.c: one change of one region, from a statement (update.c) or a function (functions_write.c).
**
** A change happens as a whole or not at all.  SQLite sets no savepoint for INSERT of one row or UPDATE of one row.
** So a change of several steps (create, then append) sets a mark of its own in the engine, above every level that
** SQLite uses, and goes back to it when a step fails.
**
** A single step is atomic in the engine and needs no mark, with one exception: an overwrite that fails may leave
** bytes that the same transaction wrote before mixed with the new ones.  A mark would make every overwrite keep the
** old bytes.  Instead the failure is remembered (SDB_TRANSACTION_MIXED): the transaction cannot be committed unless
** it goes back to before it.
**
** The engine takes the writer lock with the first change.  If that is SEQDB_BUSY nothing has happened yet, and the
** change is tried again with more patience (directory.c).
*/
#include <errno.h>
#include <limits.h>
#include <string.h>
#include "change.h"
#include "transaction.h"

/* Level of the engine mark around a change of several steps; SQLite's levels are far below. */
#define CHANGE_MARK INT_MAX

typedef int change_step(seqdb *engine, sdb_change *change);

static int marked(seqdb *engine, sdb_change *change, change_step *step) {
  int rc = seqdb_savepoint(engine, CHANGE_MARK);
  if (rc != SEQDB_OK) return rc;
  rc = step(engine, change);
  if (rc != SEQDB_OK) {
    int undo_rc = seqdb_rollback_to(engine, CHANGE_MARK);
    if (undo_rc != SEQDB_OK) rc = undo_rc;
  }
  int release_rc = seqdb_release(engine, CHANGE_MARK);
  return rc != SEQDB_OK ? rc : release_rc;
}

/* ---- changes of a region that exists ----------------------------------------------------------------------- */

static int append_step(seqdb *engine, sdb_change *change) {
  return seqdb_append(engine, change->region, change->data, change->data_bytes, &change->result);
}

static int write_step(seqdb *engine, sdb_change *change) {
  change->result = change->data_bytes;
  change->mixes = seqdb_region_changed(engine, change->region) != 0;
  return seqdb_write(engine, change->region, change->number, change->data, change->data_bytes);
}

static int truncate_step(seqdb *engine, sdb_change *change) {
  change->result = change->number;
  return seqdb_truncate(engine, change->region, change->number);
}

static int truncate_write_step(seqdb *engine, sdb_change *change) {
  change->result = change->number + change->data_bytes;
  change->mixes = seqdb_region_changed(engine, change->region) != 0;
  return seqdb_truncate_write(engine, change->region, change->number, change->data, change->data_bytes);
}

static int reserve_step(seqdb *engine, sdb_change *change) {
  return seqdb_reserve(engine, change->region, change->number, &change->result);
}

/* Finds the region by name.  Until the writer lock is held another connection may remove it and make a new one of
** the same name: then the step finds nothing, and the second look-up finds the new one. */
static int on_named(seqdb *engine, sdb_change *change, change_step *step) {
  int rc = SEQDB_NOTFOUND;
  if (change->has_region) return step(engine, change);
  for (int attempt = 0; attempt < 2 && rc == SEQDB_NOTFOUND; attempt++) {
    rc = seqdb_find(seqdb_own_view(engine), change->name, change->name_bytes, &change->region);
    if (rc != SEQDB_OK) return rc;
    rc = step(engine, change);
  }
  return rc;
}

/* ---- changes of several steps ------------------------------------------------------------------------------ */

/* The most frequent change, so it does without a mark and without a look-up in the own view: both make the engine
** write out its append buffers.  seqdb_find_or_create() finds or creates under the writer lock. */
static int change_append(seqdb *engine, sdb_change *change) {
  int created = 0;
  int rc = seqdb_find_or_create(engine, change->name, change->name_bytes, &change->region, &created);
  if (rc != SEQDB_OK) return rc;
  rc = append_step(engine, change);
  if (rc != SEQDB_OK && created) {
    int undo_rc = seqdb_remove(engine, change->region);
    if (undo_rc != SEQDB_OK) rc = undo_rc;
  }
  return rc;
}

static int insert_step(seqdb *engine, sdb_change *change) {
  int created = 0;
  int rc = seqdb_find_or_create(engine, change->name, change->name_bytes, &change->region, &created);
  if (rc == SEQDB_OK && !created) {
    change->conflict = !change->replace;
    if (change->conflict) return SEQDB_EXISTS;
    rc = seqdb_remove(engine, change->region);
    if (rc == SEQDB_OK) rc = seqdb_find_or_create(engine, change->name, change->name_bytes, &change->region, NULL);
  }
  if (rc == SEQDB_OK && change->data_bytes > 0) {
    rc = seqdb_append(engine, change->region, change->data, change->data_bytes, NULL);
  }
  if (rc == SEQDB_OK && change->has_number) rc = seqdb_set_length(engine, change->region, change->number);
  return rc;
}

/* ---- import ------------------------------------------------------------------------------------------------- */

#define IMPORT_BYTES ((size_t)1 << 20)

static bool is_zero(const unsigned char *piece, size_t bytes) {
  return piece[0] == 0 && memcmp(piece, piece + 1, bytes - 1) == 0;
}

/* Zeros wait until something else comes, or the end: then they are one sparse extension. */
static int import_piece(seqdb *engine, sdb_change *change, const void *piece, size_t bytes) {
  change->result += bytes;
  if (is_zero(piece, bytes)) return SEQDB_OK;
  uint64_t before = change->result - bytes;
  int rc = before > change->number ? seqdb_set_length(engine, change->region, before) : SEQDB_OK;
  if (rc == SEQDB_OK) rc = seqdb_append(engine, change->region, piece, bytes, NULL);
  change->number = change->result; /* the region's length */
  return rc;
}

static int import_content(seqdb *engine, sdb_change *change, void *piece) {
  int rc = change->source->size ? seqdb_reserve(engine, change->region, change->source->size, NULL) : SEQDB_OK;
  size_t got = 1;
  while (rc == SEQDB_OK && got > 0) {
    if (sdb_source_read(change->source, piece, IMPORT_BYTES, &got) != SQLITE_OK) return SEQDB_INVALID;
    if (got > 0) rc = import_piece(engine, change, piece, got);
  }
  if (rc == SEQDB_OK && change->result > change->number) rc = seqdb_set_length(engine, change->region, change->result);
  return rc;
}

/* A region of that name gives way to a new one: cut and written anew, its old bytes would have to be kept beside. */
static int import_step(seqdb *engine, sdb_change *change) {
  int created = 0;
  int rc = seqdb_find_or_create(engine, change->name, change->name_bytes, &change->region, &created);
  if (rc == SEQDB_OK && !created) {
    rc = seqdb_remove(engine, change->region);
    if (rc == SEQDB_OK) rc = seqdb_find_or_create(engine, change->name, change->name_bytes, &change->region, NULL);
  }
  void *piece = rc == SEQDB_OK ? sqlite3_malloc64(IMPORT_BYTES) : NULL;
  if (rc == SEQDB_OK && !piece) return SEQDB_NOMEM;
  if (rc == SEQDB_OK) rc = import_content(engine, change, piece);
  sqlite3_free(piece);
  return rc;
}

/* ---- UPDATE ------------------------------------------------------------------------------------------------- */

static int rename_step(seqdb *engine, sdb_change *change) {
  seqdb_region other;
  int rc = seqdb_rename(engine, change->region, change->name, change->name_bytes);
  if (rc != SEQDB_EXISTS) return rc;
  change->conflict = !change->replace;
  if (change->conflict) return rc;
  rc = seqdb_find(seqdb_own_view(engine), change->name, change->name_bytes, &other);
  if (rc == SEQDB_OK) rc = seqdb_remove(engine, other);
  if (rc == SEQDB_OK) rc = seqdb_rename(engine, change->region, change->name, change->name_bytes);
  return rc;
}

static int update_step(seqdb *engine, sdb_change *change) {
  int rc = SEQDB_OK;
  if (change->has_name) rc = rename_step(engine, change);
  if (rc == SEQDB_OK && change->has_data) {
    rc = seqdb_truncate_write(engine, change->region, 0, change->data, change->data_bytes);
  }
  if (rc == SEQDB_OK && change->has_number) rc = seqdb_set_length(engine, change->region, change->number);
  return rc;
}

/* The row may be gone: removed by REPLACE in this statement, or by another connection before the lock was ours. */
static int missing_row_is_no_change(int rc) {
  return rc == SEQDB_NOTFOUND ? SEQDB_OK : rc;
}

/* ---- run --------------------------------------------------------------------------------------------------- */

static int run(seqdb *engine, void *context) {
  sdb_change *change = context;
  switch (change->kind) {
    case SDB_CHANGE_APPEND:
      return change_append(engine, change);
    case SDB_CHANGE_WRITE:
      return on_named(engine, change, write_step);
    case SDB_CHANGE_TRUNCATE:
      return on_named(engine, change, truncate_step);
    case SDB_CHANGE_TRUNCATE_WRITE:
      return on_named(engine, change, truncate_write_step);
    case SDB_CHANGE_RESERVE:
      return on_named(engine, change, reserve_step);
    case SDB_CHANGE_INSERT:
      return marked(engine, change, insert_step);
    case SDB_CHANGE_UPDATE:
      return missing_row_is_no_change(marked(engine, change, update_step));
    case SDB_CHANGE_TOUCH:
      return seqdb_touch(engine);
    case SDB_CHANGE_IMPORT:
      return marked(engine, change, import_step);
    case SDB_CHANGE_DELETE:
      break;
  }
  return missing_row_is_no_change(seqdb_remove(engine, change->region));
}

/* No file system's files are all larger than this (ext4 with pages of 4 KiB); some allow more. */
#define FILE_BYTES_SANE (UINT64_C(16) << 40)

/* The engine's message tells the region, unless it comes from a file: "data: cannot grow to ...".  A length that the
** file system cannot have is the statement's mistake: with SQLITE_FULL it would cost the whole transaction. */
static int change_full(sdb_directory *directory, const sdb_change *change, const char *name, sdb_failure *f) {
  seqdb_error error = SEQDB_ERROR_INIT;
  seqdb_get_error(directory->engine, &error);
  if (change->name_bytes > 0 && !strstr(error.message, "region '")) {
    sdb_failure_set(f, SQLITE_FULL, "region '%s': %s", name, error.message);
  } else {
    sdb_failure_record(f, &error);
  }
  if (error.os_errno == EFBIG && change->number > FILE_BYTES_SANE) f->code = SQLITE_TOOBIG;
  return f->code;
}

static int change_failed(sdb_directory *directory, const sdb_change *change, int rc, sdb_failure *f) {
  char text[SDB_SHOWN_NAME_MAX];
  sdb_shown_name(change->name, change->name_bytes, text);
  if (change->source && change->source->f.code != SQLITE_OK) {
    *f = change->source->f;
    change->source->f = (sdb_failure){0};
    return f->code;
  }
  if (change->conflict)
    return sdb_failure_set(f, SQLITE_CONSTRAINT_UNIQUE, "UNIQUE constraint failed: %s.name", directory->name);
  if (rc == SEQDB_NOTFOUND && change->has_region)
    return sdb_failure_set(f, SQLITE_ABORT, "region '%s' was removed: the blob handle is of no use", text);
  if (rc == SEQDB_NOTFOUND) return sdb_failure_set(f, SQLITE_ERROR, "%s: no such region: '%s'", directory->name, text);
  if (rc == SEQDB_FULL) return change_full(directory, change, text, f);
  return sdb_failure_engine(f, directory->engine, rc);
}

/* ---- appending to the same region again ---------------------------------------------------------------------
**
** Having appended, this transaction holds the writer lock to its end: the name stands for that region until a change
** of this connection, or a rollback, says otherwise.  This spares the look-up by name, which costs more than the
** append.
*/

static bool appends_again(const sdb_directory *directory, sdb_change *change) {
  const sdb_transaction *t = &directory->transaction;
  if (change->name_bytes == 0 || change->name_bytes != t->appended.bytes) return false;
  if (memcmp(change->name, t->appended.name, change->name_bytes) != 0) return false;
  change->region = t->appended.region;
  return true;
}

static void note_appended(sdb_directory *directory, const sdb_change *change) {
  sdb_transaction *t = &directory->transaction;
  if (change->data_bytes == 0 || change->name_bytes > SDB_APPENDED_NAME_MAX) return;
  memcpy(t->appended.name, change->name, change->name_bytes);
  t->appended.bytes = change->name_bytes;
  t->appended.region = change->region;
}

static int append_call(seqdb *engine, void *change) {
  return append_step(engine, change);
}

static int run_append(sdb_directory *directory, sdb_change *change) {
  int rc = SEQDB_NOTFOUND;
  if (change->has_region) return sdb_directory_patiently(directory, append_call, change);
  if (appends_again(directory, change)) rc = append_step(directory->engine, change);
  if (rc == SEQDB_NOTFOUND) {
    sdb_transaction_forget_appended(directory);
    rc = sdb_directory_patiently(directory, run, change);
    if (rc == SEQDB_OK) note_appended(directory, change);
  }
  return rc;
}

static int run_any(sdb_directory *directory, sdb_change *change) {
  if (change->kind == SDB_CHANGE_APPEND) return run_append(directory, change);
  sdb_transaction_forget_appended(directory);
  return sdb_directory_patiently(directory, run, change);
}

int sdb_change_run(sdb_directory *directory, sdb_change *change, sdb_failure *f) {
  if (change->has_region && change->directory != directory)
    return sdb_failure_set(f, SQLITE_ABORT, "%s is another table now: the blob handle is of no use", directory->name);
  if (sdb_transaction_changes(directory, f) != SQLITE_OK) return f->code;
  int rc = run_any(directory, change);
  if (rc == SEQDB_BUSY && seqdb_unsettled(directory->engine) == 3) { /* left by the lock's last owner, who died */
    if (sdb_transaction_changes(directory, f) != SQLITE_OK) return f->code;
    rc = run_any(directory, change);
  }
  if (rc == SEQDB_OK) {
    if (change->kind == SDB_CHANGE_TOUCH) sdb_transaction_touched(directory);
    return SQLITE_OK;
  }
  sdb_transaction_forget_appended(directory);
  change_failed(directory, change, rc, f);
  if (change->mixes && (rc == SEQDB_FULL || rc == SEQDB_IO || rc == SEQDB_NOMEM)) {
    sdb_transaction_mixed(directory, f->code);
  }
  return f->code;
}

/* ---- while no transaction is open --------------------------------------------------------------------------- */

/* The statement does not outlive the call: one on a virtual table keeps sqlite3_close() from succeeding. */
int sdb_change_by_insert(sdb_directory *directory, sdb_change *change, sdb_failure *f) {
  sqlite3 *db = directory->connection->db;
  sqlite3_stmt *insert = NULL;
  const char *name = directory->name;
  char *sql = sqlite3_mprintf("INSERT OR IGNORE INTO \"%w\".\"%w\"(\"%w\") VALUES(?1)", directory->schema, name, name);
  if (!sql) return sdb_failure_nomem(f);
  int rc = sqlite3_prepare_v2(db, sql, -1, &insert, NULL);
  sqlite3_free(sql);
  if (rc != SQLITE_OK) return sdb_failure_nested(f, db);
  sqlite3_bind_pointer(insert, 1, change, SDB_CHANGE_POINTER, NULL);
  sqlite3_step(insert);
  if (sqlite3_reset(insert) != SQLITE_OK) sdb_failure_nested(f, db);
  sqlite3_finalize(insert);
  return f->code;
}
