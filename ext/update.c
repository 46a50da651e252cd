/* SPDX-License-Identifier: MIT
**
** update.c: xUpdate: INSERT, UPDATE, DELETE and the commands.
**
**   INSERT INTO r(name)                    an empty region       INSERT INTO r(name, content)   with content
**   INSERT INTO r(name, length)            zeros, sparse         INSERT INTO r(name, append)    append or create
**   UPDATE r SET name|content|length = ... rename, replace, cut or extend with zeros
**   DELETE FROM r WHERE ...                remove
**   INSERT INTO r(r) VALUES('flush')       flush, checkpoint, compact, check, touch
**
** The hidden column of the table's own name also carries pointers: a function that finds no transaction open sends
** its change through it (functions_write.c).  A pointer's SQL type is NULL, so it is looked for first.  The answer is
** SQLITE_CONSTRAINT, for OR IGNORE: the change is made, and SQLite counts no row.
**
** Conflicts: nothing is undone but the row's own steps (change.c).  SQLITE_CONSTRAINT_UNIQUE makes SQLite do what the
** statement says (ABORT, FAIL, IGNORE, ROLLBACK).  With REPLACE the other region is removed, and there is no error.
**
** Rowids of UPDATE and DELETE come from a scan.  Between that scan and the first change a table of another SQLite
** file may have removed a region and put another one into its entry.  So a rowid is read in the snapshot that the
** scan used: that gives the region that was meant, and if it is gone the row is left out.  A scan of an own view
** needs no care: the writer lock is held.
*/
#include <stdbool.h>
#include <string.h>
#include "change.h"
#include "check.h"
#include "feed_watch.h"
#include "loan.h"
#include "plan.h"
#include "table.h"
#include "update.h"
#include "upkeep.h"
#include "value.h"

/* What SQLite asks for one row.  The functions below return f.code. */
typedef struct sdb_request {
  sdb_directory *directory;
  sqlite3_value **column; /* the values given, by enum sdb_column */
  sdb_change change;
  sdb_failure f;
} sdb_request;

/* ---- values ------------------------------------------------------------------------------------------------ */

static int refuse(sdb_request *r, const char *column, const char *why) {
  return sdb_failure_set(&r->f, SQLITE_ERROR, "%s.%s %s", r->directory->name, column, why);
}

static bool is_null(sqlite3_value *value) {
  return sqlite3_value_type(value) == SQLITE_NULL;
}

static bool is_given(const sdb_request *r, enum sdb_column column) {
  return !is_null(r->column[column]);
}

static int take_name(sdb_request *r) {
  sdb_change *change = &r->change;
  change->has_name = true;
  return sdb_value_name(r->directory->name, ".name", r->column[SDB_COLUMN_NAME], &change->name, &change->name_bytes,
                        &r->f);
}

static int take_content(sdb_request *r) {
  sdb_change *change = &r->change;
  change->has_data = true;
  return sdb_value_data(r->directory->name, ".content", r->column[SDB_COLUMN_CONTENT], &change->data,
                        &change->data_bytes, &r->f);
}

static int take_append(sdb_request *r) {
  sdb_change *change = &r->change;
  change->has_data = true;
  return sdb_value_data(r->directory->name, ".append", r->column[SDB_COLUMN_APPEND], &change->data, &change->data_bytes,
                        &r->f);
}

/* change.name tells whose length it is. */
static int take_length(sdb_request *r) {
  char text[SDB_SHOWN_NAME_MAX];
  sqlite3_int64 length = 0;
  if (sdb_value_integer(r->directory->name, ".length", r->column[SDB_COLUMN_LENGTH], &length, &r->f) != SQLITE_OK)
    return r->f.code;
  if (length < 0) {
    return sdb_failure_set(&r->f, SQLITE_ERROR, "region '%s': length %lld is negative",
                           sdb_shown_name(r->change.name, r->change.name_bytes, text), length);
  }
  r->change.number = (uint64_t)length;
  r->change.has_number = true;
  return SQLITE_OK;
}

/* Both were taken.  A row that is copied, or saved by a tool that writes all columns, has a length that is right: it
** says nothing then. */
static int length_is_of_content(sdb_request *r) {
  sdb_change *change = &r->change;
  char text[SDB_SHOWN_NAME_MAX];
  if (change->number != change->data_bytes) {
    return sdb_failure_set(&r->f, SQLITE_ERROR,
                           "region '%s': length %llu is not that of the content, %llu bytes: give one of them",
                           sdb_shown_name(change->name, change->name_bytes, text), (unsigned long long)change->number,
                           (unsigned long long)change->data_bytes);
  }
  change->has_number = false;
  return SQLITE_OK;
}

/* ---- INSERT ------------------------------------------------------------------------------------------------ */

static int take_insert(sdb_request *r, sqlite3_value *rowid) {
  bool content = is_given(r, SDB_COLUMN_CONTENT), length = is_given(r, SDB_COLUMN_LENGTH);
  bool append = is_given(r, SDB_COLUMN_APPEND);
  if (!is_null(rowid)) return refuse(r, "rowid", "cannot be given: it is the region's entry");
  if (append && (content || length)) {
    return sdb_failure_set(&r->f, SQLITE_ERROR, "%s: an INSERT takes one of content, length and append",
                           r->directory->name);
  }
  if (take_name(r) != SQLITE_OK) return r->f.code;
  r->change.kind = append ? SDB_CHANGE_APPEND : SDB_CHANGE_INSERT;
  if (append) return take_append(r);
  if (content && take_content(r) != SQLITE_OK) return r->f.code;
  if (length && take_length(r) != SQLITE_OK) return r->f.code;
  return content && length ? length_is_of_content(r) : SQLITE_OK;
}

static int insert(sdb_request *r, sqlite3_value *given_rowid, sqlite3_int64 *rowid) {
  r->change.replace = sqlite3_vtab_on_conflict(r->directory->connection->db) == SQLITE_REPLACE;
  if (take_insert(r, given_rowid) != SQLITE_OK) return r->f.code;
  if (sdb_change_run(r->directory, &r->change, &r->f) != SQLITE_OK) return r->f.code;
  *rowid = (sqlite3_int64)seqdb_region_index(r->change.region) + 1;
  return SQLITE_OK;
}

/* ---- UPDATE, DELETE ---------------------------------------------------------------------------------------- */

/* What rowids of the running statement mean. */
static seqdb_view *rowid_view(sdb_directory *directory) {
  return directory->transaction.scanned ? seqdb_snapshot_view(directory->transaction.scanned->snapshot)
                                        : seqdb_own_view(directory->engine);
}

/* *found is false if there is no such row, which is no error. */
static int region_of_rowid(sdb_request *r, sqlite3_value *rowid, seqdb_region_info *info, bool *found) {
  uint64_t index = (uint64_t)sqlite3_value_int64(rowid) - 1;
  int rc = seqdb_iterate(rowid_view(r->directory), index, info);
  *found = rc == SEQDB_OK && info->index == index;
  if (*found) r->change.region = info->region;
  return rc == SEQDB_DONE ? SQLITE_OK : sdb_failure_engine(&r->f, r->directory->engine, rc);
}

/* SQLite marks the columns that the statement does not name (sqlite3_value_nochange).  In UPDATE ... FROM it does not,
** before it learned to: there every column is set, most of them to what they were. */
static bool is_set(const sdb_request *r, enum sdb_column column) {
  return !sqlite3_value_nochange(r->column[column]);
}

static bool is_update_from(const sdb_request *r) {
  for (int i = 0; i < SDB_COLUMN_COUNT; i++) {
    if (!is_set(r, (enum sdb_column)i)) return false;
  }
  return true;
}

/* Compares the content that was taken piece by piece.  False as well if it cannot be read: then writing says why.  A
** row that a match before has cut is compared as far as it goes. */
static bool is_same_content(sdb_request *r, uint64_t length_bytes) {
  const sdb_change *change = &r->change;
  char piece[4096];
  size_t got = 0;
  uint64_t at = 0;
  if (change->data_bytes != length_bytes) return false;
  for (; at < length_bytes; at += got) {
    size_t wanted = length_bytes - at < sizeof piece ? (size_t)(length_bytes - at) : sizeof piece;
    int rc = seqdb_read_copy(rowid_view(r->directory), change->region, at, piece, wanted, &got);
    if (rc != SEQDB_OK || memcmp(piece, (const char *)change->data + at, got) != 0) return false;
    if (got < wanted) break;
  }
  return true;
}

static bool is_same_number(sqlite3_value *value, uint64_t number) {
  return sqlite3_value_type(value) == SQLITE_INTEGER && sqlite3_value_int64(value) == (sqlite3_int64)number;
}

/* SQLite seeks no other rowid than an integer, but may be given any. */
static bool is_same_rowid(sqlite3_value **rowids) {
  sdb_failure f = {0};
  sqlite3_int64 given = 0;
  bool whole = sdb_value_integer("", "", rowids[1], &given, &f) == SQLITE_OK;
  sdb_failure_clear(&f);
  return whole && given == sqlite3_value_int64(rowids[0]);
}

/* Columns that no UPDATE may change. */
static int refuse_fixed(sdb_request *r, sqlite3_value **rowids) {
  bool from = is_update_from(r);
  if (!is_same_rowid(rowids)) return refuse(r, "rowid", "cannot be changed");
  if (is_set(r, SDB_COLUMN_APPEND) && !(from && !is_given(r, SDB_COLUMN_APPEND))) {
    return refuse(r, "append", "is for INSERT: see seqdb_append()");
  }
  if (is_set(r, SDB_COLUMN_SELF) && !(from && !is_given(r, SDB_COLUMN_SELF))) {
    return refuse(r, r->directory->name, "is for INSERT of a command");
  }
  return SQLITE_OK;
}

static bool asks_for_something(const sdb_request *r, const seqdb_region_info *row) {
  const sdb_change *change = &r->change;
  if (!is_update_from(r)) {
    return is_set(r, SDB_COLUMN_NAME) || is_set(r, SDB_COLUMN_CONTENT) || is_set(r, SDB_COLUMN_LENGTH);
  }
  bool same_name = change->name_bytes == row->name_bytes && memcmp(change->name, row->name, row->name_bytes) == 0;
  return change->has_data || change->has_number || !same_name;
}

/* offset, reserved, created and changed cannot be changed either, but a row may be saved as it was read, perhaps before
** a compaction: they are left out.  A statement that asks for nothing else is told. */
static int refuse_place(sdb_request *r, const seqdb_region_info *row) {
  if (asks_for_something(r, row)) return SQLITE_OK;
  if (is_set(r, SDB_COLUMN_OFFSET) && !is_same_number(r->column[SDB_COLUMN_OFFSET], row->offset)) {
    return refuse(r, "offset", "cannot be changed");
  }
  if (is_set(r, SDB_COLUMN_RESERVED) && !is_same_number(r->column[SDB_COLUMN_RESERVED], row->reserved_bytes)) {
    return refuse(r, "reserved", "cannot be changed: see seqdb_reserve()");
  }
  if (is_set(r, SDB_COLUMN_CREATED) && !is_same_number(r->column[SDB_COLUMN_CREATED], row->created)) {
    return refuse(r, "created", "cannot be changed");
  }
  if (is_set(r, SDB_COLUMN_CHANGED) && !is_same_number(r->column[SDB_COLUMN_CHANGED], row->generation)) {
    return refuse(r, "changed", "cannot be changed");
  }
  return SQLITE_OK;
}

/* The statement gives content and length, at least one of them as the row has it: finds out what is asked for.  In an
** UPDATE ... FROM an earlier match may have changed the row (matched.c). */
static int take_content_or_length(sdb_request *r, const seqdb_region_info *row) {
  const sdb_matched none = {0}, *matched = is_update_from(r) ? &r->directory->transaction.matched : &none;
  const sdb_matched_row *before = sdb_matched_find(matched, (uint64_t)row->index + 1);
  uint64_t length_bytes = before ? before->length_bytes : row->length_bytes;
  if (take_content(r) != SQLITE_OK || take_length(r) != SQLITE_OK) return r->f.code;
  if (!matched->content && is_same_content(r, length_bytes)) {
    r->change.has_data = false;
    r->change.data_bytes = 0;
    r->change.has_number = matched->length || r->change.number != length_bytes;
    return SQLITE_OK;
  }
  if (r->change.number != length_bytes) return length_is_of_content(r);
  r->change.has_number = false;
  return SQLITE_OK;
}

static int take_update(sdb_request *r, const seqdb_region_info *row) {
  bool content = is_set(r, SDB_COLUMN_CONTENT), length = is_set(r, SDB_COLUMN_LENGTH);
  if (content && length) {
    if (take_content_or_length(r, row) != SQLITE_OK) return r->f.code;
  } else if (content) {
    if (take_content(r) != SQLITE_OK) return r->f.code;
  } else if (length) {
    if (take_length(r) != SQLITE_OK) return r->f.code;
  }
  return is_set(r, SDB_COLUMN_NAME) ? take_name(r) : SQLITE_OK; /* last: the messages tell the name that the row has */
}

static int remember_match(sdb_request *r, const seqdb_region_info *row) {
  sdb_matched *matched = &r->directory->transaction.matched;
  if (!is_update_from(r) || !(r->change.has_data || r->change.has_number)) return SQLITE_OK;
  matched->content |= r->change.has_data;
  matched->length |= r->change.has_number;
  return sdb_matched_add(matched, (uint64_t)row->index + 1, row->length_bytes, &r->f);
}

/* rowids: the one that the row has, and the one that it is given. */
static int update(sdb_request *r, sqlite3_value **rowids) {
  char old_name[SEQDB_NAME_BYTES_MAX];
  seqdb_region_info row;
  bool found;
  r->change.kind = SDB_CHANGE_UPDATE;
  r->change.replace = sqlite3_vtab_on_conflict(r->directory->connection->db) == SQLITE_REPLACE;
  if (region_of_rowid(r, rowids[0], &row, &found) != SQLITE_OK || !found) return r->f.code;
  memcpy(old_name, row.name, row.name_bytes); /* for messages: the engine's is gone with the first change */
  r->change.name = old_name;
  r->change.name_bytes = row.name_bytes;
  if (refuse_fixed(r, rowids) != SQLITE_OK || take_update(r, &row) != SQLITE_OK) return r->f.code;
  if (refuse_place(r, &row) != SQLITE_OK || remember_match(r, &row) != SQLITE_OK) return r->f.code;
  return sdb_change_run(r->directory, &r->change, &r->f);
}

static int delete_row(sdb_request *r, sqlite3_value *rowid) {
  seqdb_region_info row;
  bool found;
  r->change.kind = SDB_CHANGE_DELETE;
  if (region_of_rowid(r, rowid, &row, &found) != SQLITE_OK || !found) return r->f.code;
  return sdb_change_run(r->directory, &r->change, &r->f);
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

/* A commit of the directory, though nothing changes.  *rowid: the generation that it will have; nobody else makes one
** before this transaction ends. */
static int touch_command(sdb_directory *directory, sqlite3_int64 *rowid, sdb_failure *f) {
  sdb_change touch = {.kind = SDB_CHANGE_TOUCH};
  uint8_t token[SEQDB_TOKEN_BYTES];
  uint64_t generation = 0;
  if (sdb_change_run(directory, &touch, f) != SQLITE_OK) return f->code;
  int rc = seqdb_get_tip(directory->engine, &generation, token);
  *rowid = (sqlite3_int64)generation + 1;
  if (rc != SEQDB_OK) return sdb_failure_engine(f, directory->engine, rc);
  return sdb_feed_watch(directory, generation + 1, f);
}

static int command(sdb_request *r, sqlite3_int64 *rowid) {
  sdb_directory *directory = r->directory;
  sqlite3_value *self = r->column[SDB_COLUMN_SELF];
  sdb_failure *f = &r->f;
  for (int i = 0; i < SDB_COLUMN_SELF; i++) {
    if (!is_given(r, (enum sdb_column)i)) continue;
    return sdb_failure_set(f, SQLITE_ERROR, "%s: a command takes no other column", directory->name);
  }
  if (sqlite3_value_type(self) != SQLITE_TEXT) {
    return sdb_failure_set(f, SQLITE_ERROR, "%s: a command must be TEXT", directory->name);
  }
  const char *word = (const char *)sqlite3_value_text(self);
  if (!word) return sdb_failure_nomem(f);
  if (sqlite3_stricmp(word, "flush") == 0) return sdb_upkeep_flush(directory, NULL, f);
  if (sqlite3_stricmp(word, "checkpoint") == 0) return sdb_upkeep_checkpoint(directory, f);
  if (sqlite3_stricmp(word, "compact") == 0) return sdb_upkeep_compact(directory, NULL, f);
  if (sqlite3_stricmp(word, "check") == 0) return check_command(directory, f);
  if (sqlite3_stricmp(word, "touch") == 0) return touch_command(directory, rowid, f);
  return sdb_failure_set(f, SQLITE_ERROR, "%s: unknown command '%s' (flush, checkpoint, compact, check, touch)",
                         directory->name, word);
}

/* ---- xUpdate ----------------------------------------------------------------------------------------------- */

/* INSERT: a change that a function sends, a command, or a row. */
static int insert_any(sdb_request *r, sqlite3_value *given_rowid, sqlite3_int64 *rowid) {
  sdb_change *sent = sqlite3_value_pointer(r->column[SDB_COLUMN_SELF], SDB_CHANGE_POINTER);
  if (sent) {
    if (sdb_change_run(r->directory, sent, &r->f) == SQLITE_OK) r->f.code = SQLITE_CONSTRAINT;
    return r->f.code;
  }
  return is_given(r, SDB_COLUMN_SELF) ? command(r, rowid) : insert(r, given_rowid, rowid);
}

/* argv: the old rowid; then, but for DELETE, the new rowid and the columns.  A rowid that is not there is NULL. */
int sdb_table_update(sqlite3_vtab *vtab, int argc, sqlite3_value **argv, sqlite3_int64 *rowid) {
  sdb_request r = {.directory = ((sdb_table *)vtab)->directory, .column = argc > 1 ? argv + 2 : NULL};
  if (argc == 1) {
    delete_row(&r, argv[0]);
  } else if (!is_null(argv[0])) {
    update(&r, argv);
  } else {
    insert_any(&r, argv[1], rowid);
  }
  return sdb_failure_to_vtab(&r.f, vtab);
}
