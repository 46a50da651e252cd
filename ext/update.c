/* SPDX-License-Identifier: MIT
**
** update.c: xUpdate: INSERT, UPDATE, DELETE and the commands.
**
**   INSERT INTO r(name)                    an empty region       INSERT INTO r(name, content)   with content
**   INSERT INTO r(name, length)            zeros, sparse         INSERT INTO r(name, append)    append or create
**   UPDATE r SET name|content|length = ... rename, replace, cut or extend with zeros
**   DELETE FROM r WHERE ...                remove
**   INSERT INTO r(r) VALUES('flush')       flush, checkpoint, compact, check
**
** The hidden column of the table's own name also carries pointers: functions that find the table not enlisted send
** their change through it (resolve.c).  A pointer's SQL type is NULL, so it is looked for first.
**
** Conflicts: nothing is undone but the row's own steps (change.c); SQLITE_CONSTRAINT_UNIQUE makes SQLite do what the
** statement says (ABORT, FAIL, IGNORE, ROLLBACK), and REPLACE has removed the other region before.
**
** Rowids of UPDATE and DELETE come from a scan.  A table of another host database may have removed a region and put
** another into its entry between that scan and our first change; so a rowid is read in the pin the scan used, which
** gives the region that was meant, and if that is gone the row is left out.  Scans of an own view hold the writer lock.
**
** Values must have their column's type: a length of '12' or 12.0 is an error, nothing is cast.
*/
#include <string.h>
#include "ext.h"

static int column_fail(sdb_conn *conn, const char *column, const char *why, sdb_failure *f) {
  return sdb_failure_set(f, SQLITE_ERROR, "%s.%s %s", conn->name, column, why);
}

static bool is_null(sqlite3_value *value) {
  return sqlite3_value_type(value) == SQLITE_NULL;
}

/* ---- values ------------------------------------------------------------------------------------------------ */

static int take_name(sdb_conn *conn, sqlite3_value *value, sdb_change *change, sdb_failure *f) {
  if (sqlite3_value_type(value) != SQLITE_TEXT) return column_fail(conn, "name", "must be TEXT", f);
  change->name = (const char *)sqlite3_value_text(value);
  change->name_bytes = (size_t)sqlite3_value_bytes(value);
  change->has_name = true;
  return change->name ? SQLITE_OK : sdb_failure_nomem(f);
}

/* TEXT is taken as UTF-8, whatever the encoding of the database. */
static int take_data(sdb_conn *conn, const char *column, sqlite3_value *value, sdb_change *change, sdb_failure *f) {
  int type = sqlite3_value_type(value);
  if (type != SQLITE_BLOB && type != SQLITE_TEXT) return column_fail(conn, column, "must be BLOB or TEXT", f);
  change->data = type == SQLITE_TEXT ? (const void *)sqlite3_value_text(value) : sqlite3_value_blob(value);
  change->data_bytes = (size_t)sqlite3_value_bytes(value);
  change->has_data = true;
  if (!change->data && change->data_bytes > 0) return sdb_failure_nomem(f);
  if (!change->data) change->data = "";
  return SQLITE_OK;
}

/* change->name tells whose length it is. */
static int take_length(sdb_conn *conn, sqlite3_value *value, sdb_change *change, sdb_failure *f) {
  char text[SDB_SHOWN_NAME_MAX];
  if (sqlite3_value_type(value) != SQLITE_INTEGER) return column_fail(conn, "length", "must be an INTEGER", f);
  sqlite3_int64 length = sqlite3_value_int64(value);
  if (length < 0) {
    return sdb_failure_set(f, SQLITE_ERROR, "region '%s': length %lld is negative",
                           sdb_shown_name(change->name, change->name_bytes, text), length);
  }
  change->number = (uint64_t)length;
  change->has_number = true;
  return SQLITE_OK;
}

/* ---- INSERT ------------------------------------------------------------------------------------------------ */

static int take_insert(sdb_conn *conn, sqlite3_value *rowid, sqlite3_value **column, sdb_change *change,
                       sdb_failure *f) {
  bool content = !is_null(column[SDB_COLUMN_CONTENT]), length = !is_null(column[SDB_COLUMN_LENGTH]);
  bool append = !is_null(column[SDB_COLUMN_APPEND]);
  if (!is_null(rowid)) return column_fail(conn, "rowid", "cannot be given: it is the region's entry", f);
  if (!is_null(column[SDB_COLUMN_OFFSET]))
    return column_fail(conn, "offset", "cannot be given: seqdb places regions", f);
  if (!is_null(column[SDB_COLUMN_RESERVED]))
    return column_fail(conn, "reserved", "cannot be given: see seqdb_reserve()", f);
  if (content + length + append > 1) {
    return sdb_failure_set(f, SQLITE_ERROR, "%s: an INSERT takes one of content, length and append", conn->name);
  }
  if (take_name(conn, column[SDB_COLUMN_NAME], change, f) != SQLITE_OK) return f->code;
  change->kind = append ? SDB_CHANGE_APPEND : SDB_CHANGE_INSERT;
  if (content) return take_data(conn, "content", column[SDB_COLUMN_CONTENT], change, f);
  if (append) return take_data(conn, "append", column[SDB_COLUMN_APPEND], change, f);
  if (length) return take_length(conn, column[SDB_COLUMN_LENGTH], change, f);
  return SQLITE_OK;
}

static int insert(sdb_conn *conn, sqlite3_value **argv, sqlite3_int64 *rowid, sdb_failure *f) {
  sdb_change change = {.replace = sqlite3_vtab_on_conflict(conn->client->db) == SQLITE_REPLACE};
  if (take_insert(conn, argv[1], argv + 2, &change, f) != SQLITE_OK) return f->code;
  if (sdb_change_run(conn, &change, f) != SQLITE_OK) return f->code;
  *rowid = (sqlite3_int64)seqdb_region_index(change.region) + 1;
  return SQLITE_OK;
}

/* ---- UPDATE, DELETE ---------------------------------------------------------------------------------------- */

/* What rowids of the running statement mean. */
static seqdb_view *rowid_view(sdb_conn *conn) {
  return conn->scanned ? seqdb_snapshot_view(conn->scanned->snapshot) : seqdb_own_view(conn->engine);
}

/* *found is false if there is no such row, which is no error. */
static int region_of_rowid(sdb_conn *conn, sqlite3_value *value, seqdb_region_info *info, bool *found, sdb_failure *f) {
  uint64_t index = (uint64_t)sqlite3_value_int64(value) - 1;
  int rc = seqdb_iterate(rowid_view(conn), index, info);
  *found = rc == SEQDB_OK && info->index == index;
  return rc >= SEQDB_OK ? SQLITE_OK : sdb_failure_engine(f, conn->engine, rc);
}

/* SQLite marks columns the statement does not name (sqlite3_value_nochange), but not in UPDATE ... FROM, before it
** learned to: there every column is set, most of them to what they were. */
static bool is_set(sqlite3_value *value) {
  return !sqlite3_value_nochange(value);
}

static bool is_update_from(sqlite3_value **column) {
  for (int i = 0; i < SDB_COLUMN_COUNT; i++) {
    if (!is_set(column[i])) return false;
  }
  return true;
}

/* Compares piece by piece.  False as well if it cannot be read: then writing the value says why. */
static bool is_same_content(sdb_conn *conn, const seqdb_region_info *row, sqlite3_value *value) {
  char piece[4096];
  size_t got = 0;
  uint64_t at = 0, bytes = (uint64_t)sqlite3_value_bytes(value);
  if (sqlite3_value_type(value) != SQLITE_BLOB || bytes != row->length_bytes) return false;
  const char *data = sqlite3_value_blob(value);
  if (!data && bytes > 0) return false; /* no memory: take_data() says so */
  while (at < bytes) {
    size_t wanted = bytes - at < sizeof piece ? (size_t)(bytes - at) : sizeof piece;
    int rc = seqdb_read_copy(rowid_view(conn), row->region, at, piece, wanted, &got);
    /* GCOVR_EXCL_BR_LINE: the row is as long as it says */
    if (rc != SEQDB_OK || got != wanted || memcmp(piece, data + at, wanted) != 0) return false;
    at += wanted;
  }
  return true;
}

static bool is_same_number(sqlite3_value *value, uint64_t number) {
  return sqlite3_value_type(value) == SQLITE_INTEGER && sqlite3_value_int64(value) == (sqlite3_int64)number;
}

/* Columns that no UPDATE may change. */
static int refuse_fixed(sdb_conn *conn, sqlite3_value **argv, const seqdb_region_info *row, sdb_failure *f) {
  sqlite3_value **column = argv + 2;
  bool from = is_update_from(column);
  if (sqlite3_value_type(argv[1]) != SQLITE_INTEGER || sqlite3_value_int64(argv[0]) != sqlite3_value_int64(argv[1])) {
    return column_fail(conn, "rowid", "cannot be changed", f);
  }
  if (is_set(column[SDB_COLUMN_OFFSET]) && !(from && is_same_number(column[SDB_COLUMN_OFFSET], row->offset))) {
    return column_fail(conn, "offset", "cannot be changed", f);
  }
  if (is_set(column[SDB_COLUMN_RESERVED]) &&
      !(from && is_same_number(column[SDB_COLUMN_RESERVED], row->reserved_bytes))) {
    return column_fail(conn, "reserved", "cannot be changed: see seqdb_reserve()", f);
  }
  if (is_set(column[SDB_COLUMN_APPEND]) && !(from && is_null(column[SDB_COLUMN_APPEND]))) {
    return column_fail(conn, "append", "is for INSERT: see seqdb_append()", f);
  }
  if (is_set(column[SDB_COLUMN_SELF]) && !(from && is_null(column[SDB_COLUMN_SELF]))) {
    return column_fail(conn, conn->name, "is for INSERT of a command", f);
  }
  return SQLITE_OK;
}

static int take_update(sdb_conn *conn, sqlite3_value **column, const seqdb_region_info *row, sdb_change *change,
                       sdb_failure *f) {
  bool name = is_set(column[SDB_COLUMN_NAME]), content = is_set(column[SDB_COLUMN_CONTENT]);
  bool length = is_set(column[SDB_COLUMN_LENGTH]);
  if (is_update_from(column)) {
    length = !is_same_number(column[SDB_COLUMN_LENGTH], row->length_bytes);
    content = !is_same_content(conn, row, column[SDB_COLUMN_CONTENT]);
  }
  if (content && length) {
    return sdb_failure_set(f, SQLITE_ERROR, "%s: an UPDATE takes one of content and length", conn->name);
  }
  if (name && take_name(conn, column[SDB_COLUMN_NAME], change, f) != SQLITE_OK) return f->code;
  if (content) return take_data(conn, "content", column[SDB_COLUMN_CONTENT], change, f);
  if (length) return take_length(conn, column[SDB_COLUMN_LENGTH], change, f);
  return SQLITE_OK;
}

static int update(sdb_conn *conn, sqlite3_value **argv, sdb_failure *f) {
  sdb_change change = {.kind = SDB_CHANGE_UPDATE,
                       .replace = sqlite3_vtab_on_conflict(conn->client->db) == SQLITE_REPLACE};
  char old_name[SEQDB_NAME_BYTES_MAX];
  seqdb_region_info row;
  bool found;
  if (region_of_rowid(conn, argv[0], &row, &found, f) != SQLITE_OK || !found) return f->code;
  change.region = row.region;
  memcpy(old_name, row.name, row.name_bytes); /* for messages: the engine's is gone with the first change */
  change.name = old_name;
  change.name_bytes = row.name_bytes;
  if (refuse_fixed(conn, argv, &row, f) != SQLITE_OK) return f->code;
  if (take_update(conn, argv + 2, &row, &change, f) != SQLITE_OK) return f->code;
  return sdb_change_run(conn, &change, f);
}

static int delete_row(sdb_conn *conn, sqlite3_value *rowid, sdb_failure *f) {
  sdb_change change = {.kind = SDB_CHANGE_DELETE};
  seqdb_region_info row;
  bool found;
  if (region_of_rowid(conn, rowid, &row, &found, f) != SQLITE_OK || !found) return f->code;
  change.region = row.region;
  return sdb_change_run(conn, &change, f);
}

/* ---- commands ---------------------------------------------------------------------------------------------- */

static int check_command(sdb_conn *conn, sdb_failure *f) {
  char *problem = NULL;
  if (sdb_conn_check(conn, true, &problem, f) == SQLITE_OK && problem) {
    sdb_failure_set(f, SQLITE_CORRUPT_VTAB, "%s: %s", conn->name, problem);
  }
  sqlite3_free(problem);
  return f->code;
}

static int command(sdb_conn *conn, sqlite3_value **column, sdb_failure *f) {
  for (int i = 0; i < SDB_COLUMN_SELF; i++) {
    if (!is_null(column[i])) return sdb_failure_set(f, SQLITE_ERROR, "%s: a command takes no other column", conn->name);
  }
  if (sqlite3_value_type(column[SDB_COLUMN_SELF]) != SQLITE_TEXT) {
    return sdb_failure_set(f, SQLITE_ERROR, "%s: a command must be TEXT", conn->name);
  }
  const char *word = (const char *)sqlite3_value_text(column[SDB_COLUMN_SELF]);
  if (!word) return sdb_failure_nomem(f);
  if (sqlite3_stricmp(word, "flush") == 0) return sdb_conn_flush(conn, NULL, f);
  if (sqlite3_stricmp(word, "checkpoint") == 0) return sdb_conn_checkpoint(conn, f);
  if (sqlite3_stricmp(word, "compact") == 0) return sdb_conn_compact(conn, NULL, f);
  if (sqlite3_stricmp(word, "check") == 0) return check_command(conn, f);
  return sdb_failure_set(f, SQLITE_ERROR, "%s: unknown command '%s' (flush, checkpoint, compact, check)", conn->name,
                         word);
}

/* ---- xUpdate ----------------------------------------------------------------------------------------------- */

int sdb_table_update(sqlite3_vtab *vtab, int argc, sqlite3_value **argv, sqlite3_int64 *rowid) {
  sdb_conn *conn = ((sdb_table *)vtab)->conn;
  sdb_failure f = {0};
  if (argc == 1) {
    delete_row(conn, argv[0], &f);
  } else if (!is_null(argv[0])) {
    update(conn, argv, &f);
  } else {
    sqlite3_value *self = argv[2 + SDB_COLUMN_SELF];
    sdb_change *change = sqlite3_value_pointer(self, SDB_CHANGE_POINTER);
    if (change) {
      sdb_change_run(conn, change, &f);
    } else if (!is_null(self)) {
      command(conn, argv + 2, &f);
    } else {
      insert(conn, argv, rowid, &f);
    }
  }
  return f.code == SQLITE_OK ? SQLITE_OK : sdb_failure_to_vtab(&f, vtab);
}
