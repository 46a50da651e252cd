/* SPDX-License-Identifier: MIT
**
** change.c: one change of one region, from a statement (update.c) or a function (functions_write.c).
**
** A change happens as a whole or not at all.  SQLite sets no savepoint for INSERT of one row or UPDATE of one row, so
** a change of several steps (create, then append) sets a mark of its own in the engine, above every level that SQLite
** uses, and goes back to it when a step fails.  Single steps are atomic in the engine and need none, with one
** exception: an overwrite that fails may leave bytes which the same transaction wrote before mixed with the new ones.
** A mark would prevent it, but then every overwrite would have to keep the old bytes; so the function's failure is
** remembered instead (conn->torn), and the transaction cannot be committed unless it goes back to before it.
**
** The writer lock is taken by the engine with the first change; if that is SEQDB_BUSY nothing happened yet, and the
** change can be tried again with more patience (connection.c).
*/
#include <errno.h>
#include <limits.h>
#include <string.h>
#include "ext.h"

/* Level of the engine mark around a change of several steps; SQLite's levels are far below. */
#define CHANGE_MARK INT_MAX

typedef int change_step(seqdb *engine, sdb_change *change);

static int marked(seqdb *engine, sdb_change *change, change_step *step) {
  int rc = seqdb_savepoint(engine, CHANGE_MARK);
  if (rc != SEQDB_OK) return rc;
  rc = step(engine, change);
  if (rc != SEQDB_OK) {
    int undo_rc = seqdb_rollback_to(engine, CHANGE_MARK);
    if (undo_rc != SEQDB_OK) rc = undo_rc; /* GCOVR_EXCL_BR_LINE: only a child of fork fails here */
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
  change->tears = seqdb_region_changed(engine, change->region) != 0;
  return seqdb_write(engine, change->region, change->number, change->data, change->data_bytes);
}

static int truncate_step(seqdb *engine, sdb_change *change) {
  change->result = change->number;
  return seqdb_truncate(engine, change->region, change->number);
}

static int truncate_write_step(seqdb *engine, sdb_change *change) {
  change->result = change->number + change->data_bytes;
  change->tears = seqdb_region_changed(engine, change->region) != 0;
  return seqdb_truncate_write(engine, change->region, change->number, change->data, change->data_bytes);
}

static int reserve_step(seqdb *engine, sdb_change *change) {
  return seqdb_reserve(engine, change->region, change->number, &change->result);
}

/* Finds the region by name.  Until the writer lock is held another connection may remove it and make a new one of
** the same name: then the step finds nothing, and the second look-up finds the new one. */
static int on_named(seqdb *engine, sdb_change *change, change_step *step) {
  int rc = SEQDB_NOTFOUND;
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
    if (undo_rc != SEQDB_OK) rc = undo_rc; /* GCOVR_EXCL_BR_LINE: only a child of fork fails here */
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

static int rename_step(seqdb *engine, sdb_change *change) {
  seqdb_region other;
  int rc = seqdb_rename(engine, change->region, change->name, change->name_bytes);
  if (rc != SEQDB_EXISTS) return rc;
  change->conflict = !change->replace;
  if (change->conflict) return rc;
  rc = seqdb_find(seqdb_own_view(engine), change->name, change->name_bytes, &other);
  if (rc == SEQDB_OK) rc = seqdb_remove(engine, other); /* GCOVR_EXCL_BR_LINE: as in insert_step() */
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
  switch (change->kind) { /* GCOVR_EXCL_BR_LINE: there are no other kinds */
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
    case SDB_CHANGE_DELETE:
      return missing_row_is_no_change(seqdb_remove(engine, change->region));
    default:
      return SEQDB_MISUSE;
  }
}

/* No file system's files are all larger than this (ext4 with pages of 4 KiB); some allow more. */
#define FILE_BYTES_SANE (UINT64_C(16) << 40)

/* The engine's message tells the region, unless it comes from a file: "data: cannot grow to ...".  A length that the
** file system cannot have is the statement's mistake: with SQLITE_FULL it would cost the whole transaction. */
static int change_full(sdb_conn *conn, const sdb_change *change, const char *name, sdb_failure *f) {
  seqdb_error error = SEQDB_ERROR_INIT;
  seqdb_get_error(conn->engine, &error);
  /* GCOVR_EXCL_BR_LINE: no message of FULL names one yet */
  if (change->name_bytes > 0 && !strstr(error.message, "region '")) {
    sdb_failure_set(f, SQLITE_FULL, "region '%s': %s", name, error.message);
  } else {
    sdb_failure_record(f, &error);
  }
  if (error.os_errno == EFBIG && change->number > FILE_BYTES_SANE) f->code = SQLITE_TOOBIG;
  return f->code;
}

static int change_failed(sdb_conn *conn, const sdb_change *change, int rc, sdb_failure *f) {
  char text[SDB_SHOWN_NAME_MAX];
  sdb_shown_name(change->name, change->name_bytes, text);
  if (change->conflict)
    return sdb_failure_set(f, SQLITE_CONSTRAINT_UNIQUE, "UNIQUE constraint failed: %s.name", conn->name);
  if (rc == SEQDB_NOTFOUND) return sdb_failure_set(f, SQLITE_ERROR, "%s: no such region: '%s'", conn->name, text);
  if (rc == SEQDB_FULL) return change_full(conn, change, text, f);
  return sdb_failure_engine(f, conn->engine, rc);
}

/* ---- appending to the same region again ---------------------------------------------------------------------
**
** Having appended, this transaction holds the writer lock to its end: the name stands for that region until a change of
** this connection, or a rollback, says otherwise.  This spares the look-up by name, which costs more than the append.
*/

void sdb_change_forget(sdb_conn *conn) {
  conn->appended.bytes = 0;
}

static bool appends_again(sdb_conn *conn, sdb_change *change) {
  if (change->name_bytes == 0 || change->name_bytes != conn->appended.bytes) return false;
  if (memcmp(change->name, conn->appended.name, change->name_bytes) != 0) return false;
  change->region = conn->appended.region;
  return true;
}

static void note_appended(sdb_conn *conn, const sdb_change *change) {
  if (change->data_bytes == 0 || change->name_bytes > SDB_APPENDED_NAME_MAX) return;
  memcpy(conn->appended.name, change->name, change->name_bytes);
  conn->appended.bytes = change->name_bytes;
  conn->appended.region = change->region;
}

static int run_append(sdb_conn *conn, sdb_change *change) {
  int rc = SEQDB_NOTFOUND;
  if (appends_again(conn, change)) rc = append_step(conn->engine, change);
  if (rc == SEQDB_NOTFOUND) {
    sdb_change_forget(conn);
    rc = sdb_conn_patiently(conn, run, change);
    if (rc == SEQDB_OK) note_appended(conn, change);
  }
  return rc;
}

int sdb_change_run(sdb_conn *conn, sdb_change *change, sdb_failure *f) {
  int rc;
  conn->synced = false;
  if (change->kind == SDB_CHANGE_APPEND) {
    rc = run_append(conn, change);
  } else {
    sdb_change_forget(conn);
    rc = sdb_conn_patiently(conn, run, change);
  }
  if (rc == SEQDB_OK) return SQLITE_OK;
  sdb_change_forget(conn);
  change_failed(conn, change, rc, f);
  if (change->tears && !conn->torn && (rc == SEQDB_FULL || rc == SEQDB_IO || rc == SEQDB_NOMEM)) {
    conn->torn = f->code;
    conn->torn_level = conn->mark_level;
  }
  return f->code;
}
