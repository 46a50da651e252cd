/* SPDX-License-Identifier: MIT
**
** tvf_changes.c: seqdb_changes(T, since): what has changed in the regions after a generation.
**
**   SELECT entry, op, name, offset, length(content) FROM seqdb_changes('regions', 7);
**   SELECT DISTINCT entry FROM seqdb_changes('regions', 7);       -- which regions; contents are read only if used
**
** All rows are of one snapshot, at generation to_generation, whose commit is settled.  They say what is so now, not
** what was done: removed regions first; then for each other one `create` or `rename` with its name, `length` with its
** length as offset, and a `write` for each 512 KiB that may be others now.  A row that says nothing new does no harm.
** The name before is not known: old_name is NULL.
*/
#include "agree.h"
#include "attach.h"
#include "eponymous.h"
#include "find_table.h"
#include "loan.h"
#include "owner.h"
#include "tvf_changes.h"
#include "value.h"

enum {
  COLUMN_FROM,
  COLUMN_TO,
  COLUMN_ENTRY,
  COLUMN_CREATED,
  COLUMN_NAME,
  COLUMN_OLD_NAME,
  COLUMN_OP,
  COLUMN_OFFSET,
  COLUMN_CONTENT,
  COLUMN_TABLE,
  COLUMN_SINCE
};
#define ARGUMENTS 2
#define REQUIRED  3

#define CHANGES     "seqdb_changes" /* for messages */
#define PIECE_BYTES ((uint64_t)512 << 10)

typedef struct sdb_changes_cursor {
  sqlite3_vtab_cursor base;
  sdb_directory *directory; /* held, while rows are read */
  sdb_loan *loan;
  seqdb_changes *changes;
  seqdb_change change;
  uint64_t since, to;
  uint64_t piece; /* of a write, before this row */
  sqlite3_int64 row;
  bool done;
} sdb_changes_cursor;

static int changes_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info) {
  int present, argument;
  (void)vtab;
  int rc = sdb_eponymous_arguments(info, COLUMN_TABLE, ARGUMENTS, &present, &argument);
  if (rc != SQLITE_OK) return rc;
  info->idxNum = present;
  info->estimatedCost = (present & REQUIRED) == REQUIRED ? 1000 : 1e99;
  info->estimatedRows = 1000;
  return SQLITE_OK;
}

static int changes_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **out) {
  sdb_changes_cursor *cursor = sqlite3_malloc64(sizeof *cursor);
  if (!cursor) return SQLITE_NOMEM;
  *cursor = (sdb_changes_cursor){.done = true};
  sdb_cursor_opened(sdb_eponymous_connection(vtab));
  *out = &cursor->base;
  return SQLITE_OK;
}

static void let_go(sdb_changes_cursor *cursor) {
  seqdb_changes_close(cursor->changes);
  sdb_loan_return(sdb_eponymous_connection(cursor->base.pVtab), cursor->loan);
  if (cursor->directory) sdb_directory_release(cursor->directory);
  cursor->changes = NULL;
  cursor->loan = NULL;
  cursor->directory = NULL;
  cursor->done = true;
}

static int changes_close(sqlite3_vtab_cursor *base) {
  sdb_changes_cursor *cursor = (sdb_changes_cursor *)base;
  let_go(cursor);
  sdb_cursor_closed(sdb_eponymous_connection(base->pVtab));
  sqlite3_free(cursor);
  return SQLITE_OK;
}

static int next_change(sdb_changes_cursor *cursor, sdb_failure *f) {
  cursor->change = (seqdb_change)SEQDB_CHANGE_INIT;
  cursor->piece = 0;
  cursor->row++;
  int rc = seqdb_changes_next(cursor->changes, &cursor->change);
  cursor->done = rc != SEQDB_OK;
  return rc == SEQDB_DONE ? SQLITE_OK : sdb_failure_engine(f, cursor->directory->engine, rc);
}

/* First the snapshot, then the sync: what it shows is settled then. */
static int open_changes(sdb_changes_cursor *cursor, sqlite3_value **argv, sdb_failure *f) {
  sdb_connection *connection = sdb_eponymous_connection(cursor->base.pVtab);
  if (sdb_value_number(CHANGES, ": generation", argv[1], &cursor->since, f) != SQLITE_OK ||
      sdb_find_table(connection, argv[0], &cursor->directory, f) != SQLITE_OK)
    return f->code;
  seqdb *engine = cursor->directory->engine;
  if (seqdb_has_changes(engine) > 0)
    return sdb_failure_set(f, SQLITE_ERROR, CHANGES ": %s has changes that are not committed: COMMIT first",
                           cursor->directory->name);
  if (sdb_loan_take(connection, cursor->directory, engine, &cursor->loan, f) != SQLITE_OK) return f->code;
  if (sdb_owner_may_upkeep(cursor->directory, f) == SQLITE_OK) sdb_agree_settle(cursor->directory, f);
  if (f->code != SQLITE_OK) return f->code;
  int rc = seqdb_changes_open(engine, cursor->loan->snapshot, cursor->since, &cursor->to, &cursor->changes);
  return rc == SEQDB_OK ? next_change(cursor, f) : sdb_failure_engine(f, engine, rc);
}

static int changes_filter(sqlite3_vtab_cursor *base, int plan, const char *text, int argc, sqlite3_value **argv) {
  sdb_changes_cursor *cursor = (sdb_changes_cursor *)base;
  sdb_failure f = {0};
  (void)text;
  (void)argc;
  let_go(cursor);
  cursor->row = 0;
  if ((plan & REQUIRED) != REQUIRED)
    sdb_failure_set(&f, SQLITE_ERROR, CHANGES ": arguments are missing: the name of a seqdb table, and a generation");
  else if (open_changes(cursor, argv, &f) != SQLITE_OK)
    let_go(cursor);
  return sdb_failure_to_vtab(&f, base->pVtab);
}

static int changes_next(sqlite3_vtab_cursor *base) {
  sdb_changes_cursor *cursor = (sdb_changes_cursor *)base;
  sdb_failure f = {0};
  if (cursor->change.op == SEQDB_CHANGE_WRITE && cursor->change.bytes - cursor->piece > PIECE_BYTES) {
    cursor->piece += PIECE_BYTES;
    cursor->row++;
    return SQLITE_OK;
  }
  next_change(cursor, &f);
  return sdb_failure_to_vtab(&f, base->pVtab);
}

static int changes_eof(sqlite3_vtab_cursor *base) {
  return ((sdb_changes_cursor *)base)->done;
}

/* ---- columns ------------------------------------------------------------------------------------------------ */

static const char *const ops[] = {"", "remove", "create", "rename", "write", "length"};

static int content(sdb_changes_cursor *cursor, sqlite3_context *context, sdb_failure *f) {
  const seqdb_change *change = &cursor->change;
  uint64_t left = change->bytes - cursor->piece;
  size_t bytes = (size_t)(left < PIECE_BYTES ? left : PIECE_BYTES), got = 0;
  void *buffer = sqlite3_malloc64(bytes ? bytes : 1);
  if (!buffer) return sdb_failure_nomem(f);
  int rc = seqdb_read_copy(seqdb_snapshot_view(cursor->loan->snapshot), change->region, change->offset + cursor->piece,
                           buffer, bytes, &got);
  if (sdb_failure_engine(f, cursor->directory->engine, rc) == SQLITE_OK)
    sqlite3_result_blob64(context, buffer, got, sqlite3_free);
  else
    sqlite3_free(buffer);
  return f->code;
}

static int changes_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column) {
  sdb_changes_cursor *cursor = (sdb_changes_cursor *)base;
  const seqdb_change *change = &cursor->change;
  bool placed = change->op == SEQDB_CHANGE_WRITE || change->op == SEQDB_CHANGE_LENGTH;
  sdb_failure f = {0};
  if (column == COLUMN_FROM) sqlite3_result_int64(context, (sqlite3_int64)cursor->since);
  if (column == COLUMN_TO) sqlite3_result_int64(context, (sqlite3_int64)cursor->to);
  if (column == COLUMN_ENTRY) sqlite3_result_int64(context, change->entry);
  if (column == COLUMN_CREATED) sqlite3_result_int64(context, (sqlite3_int64)change->created);
  if (column == COLUMN_NAME && change->name)
    sqlite3_result_text(context, change->name, (int)change->name_bytes, SQLITE_TRANSIENT);
  if (column == COLUMN_OP) sqlite3_result_text(context, ops[change->op], -1, SQLITE_STATIC);
  if (column == COLUMN_OFFSET && placed) sqlite3_result_int64(context, (sqlite3_int64)(change->offset + cursor->piece));
  if (column == COLUMN_CONTENT && change->op == SEQDB_CHANGE_WRITE && content(cursor, context, &f) != SQLITE_OK)
    sdb_failure_to_result(&f, context);
  return SQLITE_OK;
}

static int changes_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *rowid) {
  *rowid = ((sdb_changes_cursor *)base)->row;
  return SQLITE_OK;
}

int sdb_register_changes(sdb_connection *connection) {
  static const sqlite3_module module = {
      .xConnect = sdb_eponymous_connect,
      .xBestIndex = changes_best_index,
      .xDisconnect = sdb_eponymous_disconnect,
      .xOpen = changes_open,
      .xClose = changes_close,
      .xFilter = changes_filter,
      .xNext = changes_next,
      .xEof = changes_eof,
      .xColumn = changes_column,
      .xRowid = changes_rowid,
  };
  static const sdb_eponymous changes = {
      CHANGES,
      "CREATE TABLE x(from_generation INTEGER, to_generation INTEGER, entry INTEGER, created INTEGER, name TEXT, "
      "old_name TEXT, op TEXT, offset INTEGER, content BLOB, \"table\" TEXT HIDDEN, since INTEGER HIDDEN)",
      &module};
  return sdb_eponymous_register(connection, &changes);
}
