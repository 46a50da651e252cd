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
** The hidden column of the table's own name also carries pointers: a function that finds no transaction open sends
** its change through it (functions_write.c).  A pointer's SQL type is NULL, so it is looked for first.
**
** Conflicts: nothing is undone but the row's own steps (change.c).  SQLITE_CONSTRAINT_UNIQUE makes SQLite do what the
** statement says (ABORT, FAIL, IGNORE, ROLLBACK).  With REPLACE the other region is removed, and there is no error.
**
** Rowids of UPDATE and DELETE come from a scan.  Between that scan and the first change a table of another SQLite
** file may have removed a region and put another one into its entry.  So a rowid is read in the snapshot that the
** scan used: that gives the region that was meant, and if it is gone the row is left out.  A scan of an own view
** needs no care: the writer lock is held.
*/
#include <string.h>
#include "change.h"
#include "check.h"
#include "loan.h"
#include "plan.h"
#include "table.h"
#include "update.h"
#include "upkeep.h"
#include "value.h"

static int column_fail(sdb_directory *directory, const char *column, const char *why, sdb_failure *f) {
  return sdb_failure_set(f, SQLITE_ERROR, "%s.%s %s", directory->name, column, why);
}

/* ---- values ------------------------------------------------------------------------------------------------ */

static sdb_label label(const sdb_directory *directory, const char *column) {
  return (sdb_label){directory->name, ".", column};
}

static int take_name(sdb_directory *directory, sqlite3_value *value, sdb_change *change, sdb_failure *f) {
  change->has_name = true;
  return sdb_value_name(label(directory, "name"), value, &change->name, &change->name_bytes, f);
}

static int take_data(sdb_directory *directory, const char *column, sqlite3_value *value, sdb_change *change,
                     sdb_failure *f) {
  change->has_data = true;
  return sdb_value_data(label(directory, column), value, &change->data, &change->data_bytes, f);
}

/* change->name tells whose length it is. */
static int take_length(sdb_directory *directory, sqlite3_value *value, sdb_change *change, sdb_failure *f) {
  char text[SDB_SHOWN_NAME_MAX];
  sqlite3_int64 length = 0;
  if (sdb_value_integer(label(directory, "length"), value, &length, f) != SQLITE_OK) return f->code;
  if (length < 0) {
    return sdb_failure_set(f, SQLITE_ERROR, "region '%s': length %lld is negative",
                           sdb_shown_name(change->name, change->name_bytes, text), length);
  }
  change->number = (uint64_t)length;
  change->has_number = true;
  return SQLITE_OK;
}

/* ---- INSERT ------------------------------------------------------------------------------------------------ */

static int take_insert(sdb_directory *directory, sqlite3_value *rowid, sqlite3_value **column, sdb_change *change,
                       sdb_failure *f) {
  bool content = !sdb_value_is_null(column[SDB_COLUMN_CONTENT]), length = !sdb_value_is_null(column[SDB_COLUMN_LENGTH]);
  bool append = !sdb_value_is_null(column[SDB_COLUMN_APPEND]);
  if (!sdb_value_is_null(rowid)) return column_fail(directory, "rowid", "cannot be given: it is the region's entry", f);
  if (!sdb_value_is_null(column[SDB_COLUMN_OFFSET]))
    return column_fail(directory, "offset", "cannot be given: seqdb places regions", f);
  if (!sdb_value_is_null(column[SDB_COLUMN_RESERVED]))
    return column_fail(directory, "reserved", "cannot be given: see seqdb_reserve()", f);
  if (content + length + append > 1) {
    return sdb_failure_set(f, SQLITE_ERROR, "%s: an INSERT takes one of content, length and append", directory->name);
  }
  if (take_name(directory, column[SDB_COLUMN_NAME], change, f) != SQLITE_OK) return f->code;
  change->kind = append ? SDB_CHANGE_APPEND : SDB_CHANGE_INSERT;
  if (content) return take_data(directory, "content", column[SDB_COLUMN_CONTENT], change, f);
  if (append) return take_data(directory, "append", column[SDB_COLUMN_APPEND], change, f);
  if (length) return take_length(directory, column[SDB_COLUMN_LENGTH], change, f);
  return SQLITE_OK;
}

static int insert(sdb_directory *directory, sqlite3_value **argv, sqlite3_int64 *rowid, sdb_failure *f) {
  sdb_change change = {.replace = sqlite3_vtab_on_conflict(directory->connection->db) == SQLITE_REPLACE};
  if (take_insert(directory, argv[1], argv + 2, &change, f) != SQLITE_OK) return f->code;
  if (sdb_change_run(directory, &change, f) != SQLITE_OK) return f->code;
  *rowid = (sqlite3_int64)seqdb_region_index(change.region) + 1;
  return SQLITE_OK;
}

/* ---- UPDATE, DELETE ---------------------------------------------------------------------------------------- */

/* What rowids of the running statement mean. */
static seqdb_snapshot *rowid_view(sdb_directory *directory) {
  return directory->transaction.scanned ? directory->transaction.scanned->snapshot : seqdb_own_view(directory->engine);
}

/* *found is false if there is no such row, which is no error. */
static int region_of_rowid(sdb_directory *directory, sqlite3_value *value, seqdb_region_info *info, bool *found,
                           sdb_failure *f) {
  uint64_t index = (uint64_t)sqlite3_value_int64(value) - 1;
  int rc = seqdb_iterate(rowid_view(directory), index, info);
  *found = rc == SEQDB_OK && info->index == index;
  return rc == SEQDB_DONE ? SQLITE_OK : sdb_failure_engine(f, directory->engine, rc);
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
static bool is_same_content(sdb_directory *directory, const seqdb_region_info *row, sqlite3_value *value) {
  char piece[4096];
  size_t got = 0;
  uint64_t at = 0, bytes = (uint64_t)sqlite3_value_bytes(value);
  if (sqlite3_value_type(value) != SQLITE_BLOB || bytes != row->length_bytes) return false;
  const char *data = sqlite3_value_blob(value);
  if (!data && bytes > 0) return false; /* no memory: sdb_value_data() says so */
  while (at < bytes) {
    size_t wanted = bytes - at < sizeof piece ? (size_t)(bytes - at) : sizeof piece;
    int rc = seqdb_read_copy(rowid_view(directory), row->region, at, piece, wanted, &got);
    if (rc != SEQDB_OK || SDB_NEVER(got != wanted) || memcmp(piece, data + at, wanted) != 0) return false;
    at += wanted;
  }
  return true;
}

static bool is_same_number(sqlite3_value *value, uint64_t number) {
  return sqlite3_value_type(value) == SQLITE_INTEGER && sqlite3_value_int64(value) == (sqlite3_int64)number;
}

/* Columns that no UPDATE may change. */
static int refuse_fixed(sdb_directory *directory, sqlite3_value **argv, const seqdb_region_info *row, sdb_failure *f) {
  sqlite3_value **column = argv + 2;
  bool from = is_update_from(column);
  if (sqlite3_value_type(argv[1]) != SQLITE_INTEGER || sqlite3_value_int64(argv[0]) != sqlite3_value_int64(argv[1])) {
    return column_fail(directory, "rowid", "cannot be changed", f);
  }
  if (is_set(column[SDB_COLUMN_OFFSET]) && !(from && is_same_number(column[SDB_COLUMN_OFFSET], row->offset))) {
    return column_fail(directory, "offset", "cannot be changed", f);
  }
  if (is_set(column[SDB_COLUMN_RESERVED]) &&
      !(from && is_same_number(column[SDB_COLUMN_RESERVED], row->reserved_bytes))) {
    return column_fail(directory, "reserved", "cannot be changed: see seqdb_reserve()", f);
  }
  if (is_set(column[SDB_COLUMN_APPEND]) && !(from && sdb_value_is_null(column[SDB_COLUMN_APPEND]))) {
    return column_fail(directory, "append", "is for INSERT: see seqdb_append()", f);
  }
  if (is_set(column[SDB_COLUMN_SELF]) && !(from && sdb_value_is_null(column[SDB_COLUMN_SELF]))) {
    return column_fail(directory, directory->name, "is for INSERT of a command", f);
  }
  return SQLITE_OK;
}

static int take_update(sdb_directory *directory, sqlite3_value **column, const seqdb_region_info *row,
                       sdb_change *change, sdb_failure *f) {
  bool name = is_set(column[SDB_COLUMN_NAME]), content = is_set(column[SDB_COLUMN_CONTENT]);
  bool length = is_set(column[SDB_COLUMN_LENGTH]);
  if (is_update_from(column)) {
    length = !is_same_number(column[SDB_COLUMN_LENGTH], row->length_bytes);
    content = !is_same_content(directory, row, column[SDB_COLUMN_CONTENT]);
  }
  if (content && length) {
    return sdb_failure_set(f, SQLITE_ERROR, "%s: an UPDATE takes one of content and length", directory->name);
  }
  if (name && take_name(directory, column[SDB_COLUMN_NAME], change, f) != SQLITE_OK) return f->code;
  if (content) return take_data(directory, "content", column[SDB_COLUMN_CONTENT], change, f);
  if (length) return take_length(directory, column[SDB_COLUMN_LENGTH], change, f);
  return SQLITE_OK;
}

static int update(sdb_directory *directory, sqlite3_value **argv, sdb_failure *f) {
  sdb_change change = {.kind = SDB_CHANGE_UPDATE,
                       .replace = sqlite3_vtab_on_conflict(directory->connection->db) == SQLITE_REPLACE};
  char old_name[SEQDB_NAME_BYTES_MAX];
  seqdb_region_info row;
  bool found;
  if (region_of_rowid(directory, argv[0], &row, &found, f) != SQLITE_OK || !found) return f->code;
  change.region = row.region;
  memcpy(old_name, row.name, row.name_bytes); /* for messages: the engine's is gone with the first change */
  change.name = old_name;
  change.name_bytes = row.name_bytes;
  if (refuse_fixed(directory, argv, &row, f) != SQLITE_OK) return f->code;
  if (take_update(directory, argv + 2, &row, &change, f) != SQLITE_OK) return f->code;
  return sdb_change_run(directory, &change, f);
}

static int delete_row(sdb_directory *directory, sqlite3_value *rowid, sdb_failure *f) {
  sdb_change change = {.kind = SDB_CHANGE_DELETE};
  seqdb_region_info row;
  bool found;
  if (region_of_rowid(directory, rowid, &row, &found, f) != SQLITE_OK || !found) return f->code;
  change.region = row.region;
  return sdb_change_run(directory, &change, f);
}

/* ---- commands ---------------------------------------------------------------------------------------------- */

static int check_command(sdb_directory *directory, sdb_failure *f) {
  char *problem = NULL;
  if (sdb_upkeep_check(directory, true, &problem, f) == SQLITE_OK && problem) {
    sdb_failure_set(f, SQLITE_CORRUPT_VTAB, "%s: %s", directory->name, problem);
  }
  sqlite3_free(problem);
  return f->code;
}

static int command(sdb_directory *directory, sqlite3_value **column, sdb_failure *f) {
  for (int i = 0; i < SDB_COLUMN_SELF; i++) {
    if (!sdb_value_is_null(column[i]))
      return sdb_failure_set(f, SQLITE_ERROR, "%s: a command takes no other column", directory->name);
  }
  if (sqlite3_value_type(column[SDB_COLUMN_SELF]) != SQLITE_TEXT) {
    return sdb_failure_set(f, SQLITE_ERROR, "%s: a command must be TEXT", directory->name);
  }
  const char *word = (const char *)sqlite3_value_text(column[SDB_COLUMN_SELF]);
  if (!word) return sdb_failure_nomem(f);
  if (sqlite3_stricmp(word, "flush") == 0) return sdb_upkeep_flush(directory, NULL, f);
  if (sqlite3_stricmp(word, "checkpoint") == 0) return sdb_upkeep_checkpoint(directory, f);
  if (sqlite3_stricmp(word, "compact") == 0) return sdb_upkeep_compact(directory, NULL, f);
  if (sqlite3_stricmp(word, "check") == 0) return check_command(directory, f);
  return sdb_failure_set(f, SQLITE_ERROR, "%s: unknown command '%s' (flush, checkpoint, compact, check)",
                         directory->name, word);
}

/* ---- xUpdate ----------------------------------------------------------------------------------------------- */

int sdb_table_update(sqlite3_vtab *vtab, int argc, sqlite3_value **argv, sqlite3_int64 *rowid) {
  sdb_directory *directory = ((sdb_table *)vtab)->directory;
  sdb_failure f = {0};
  if (argc == 1) {
    delete_row(directory, argv[0], &f);
  } else if (!sdb_value_is_null(argv[0])) {
    update(directory, argv, &f);
  } else {
    sqlite3_value *self = argv[2 + SDB_COLUMN_SELF];
    sdb_change *change = sqlite3_value_pointer(self, SDB_CHANGE_POINTER);
    if (change) {
      sdb_change_run(directory, change, &f);
    } else if (!sdb_value_is_null(self)) {
      command(directory, argv + 2, &f);
    } else {
      insert(directory, argv, rowid, &f);
    }
  }
  return sdb_failure_to_vtab(&f, vtab);
}
