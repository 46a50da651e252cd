/* SPDX-License-Identifier: MIT
**
** tvf_values.c: seqdb_values(T, name, type [, first, count]): a region as an array of numbers.
**
**   SELECT avg(value) FROM seqdb_values('regions', 'temperature', 'f32') WHERE i BETWEEN 1000 AND 1999;
**
** i counts from 0 at the region's beginning, whatever `first` is.  Types are i8, u8, i16, u16, i32, u32, i64, u64, f32
** and f64, little-endian.  Terms on i and an ORDER BY it cost nothing.  No such region: no rows.  All values are of one
** moment (reader.c); a length that is no multiple of the type's, and a first or count past the end, are errors.
**
** Values are read by the piece: 64 KiB, or 512 bytes to begin with, so that looking one up costs little.
*/
#include "eponymous.h"
#include "loan.h"
#include "reader.h"
#include "tvf_values.h"
#include "typed.h"
#include "walk.h"

enum { COLUMN_I, COLUMN_VALUE, COLUMN_TABLE, COLUMN_NAME, COLUMN_TYPE, COLUMN_FIRST, COLUMN_COUNT };
#define ARGUMENTS 5
#define REQUIRED  7 /* T, name, type: bits */
#define HAS_FIRST 8
#define HAS_COUNT 16

#define VALUES      "seqdb_values" /* for messages */
#define PIECE_BYTES 65536u
#define FIRST_BYTES 512u

typedef struct sdb_values_cursor {
  sqlite3_vtab_cursor base;
  sdb_walk walk;                   /* values that are still to be shown, the present one included */
  uint64_t i;                      /* the present one */
  uint64_t piece_begin, piece_end; /* values in `piece` */
  uint64_t piece_bytes;            /* to be read next time */
  unsigned bytes;                  /* of a value */
  sdb_reader reader;
  sdb_typed typed;
  uint64_t piece[PIECE_BYTES / 8];
} sdb_values_cursor;

static int values_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info) {
  int present, argument;
  (void)vtab;
  int rc = sdb_eponymous_arguments(info, COLUMN_TABLE, ARGUMENTS, &present, &argument);
  if (rc != SQLITE_OK) return rc;
  info->idxNum = present | sdb_walk_plan(info, COLUMN_I, argument, 1000000);
  if ((present & REQUIRED) != REQUIRED) info->estimatedCost = 1e99;
  return SQLITE_OK;
}

static int values_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **out) {
  sdb_values_cursor *cursor = sqlite3_malloc64(sizeof *cursor);
  if (!cursor) return SQLITE_NOMEM;
  cursor->base = (sqlite3_vtab_cursor){0};
  cursor->reader = (sdb_reader){0};
  sdb_cursor_opened(sdb_eponymous_connection(vtab));
  *out = &cursor->base;
  return SQLITE_OK;
}

static int values_close(sqlite3_vtab_cursor *base) {
  sdb_values_cursor *cursor = (sdb_values_cursor *)base;
  sdb_reader_close(&cursor->reader);
  sdb_cursor_closed(sdb_eponymous_connection(base->pVtab));
  sqlite3_free(cursor);
  return SQLITE_OK;
}

static void show(sdb_values_cursor *cursor) {
  const sdb_walk *walk = &cursor->walk;
  cursor->i = walk->descending ? walk->end - 1 : walk->begin;
}

/* argv: the arguments that are present. */
static int take_arguments(sdb_values_cursor *cursor, int plan, sqlite3_value **argv, int *used, bool *found,
                          sdb_failure *f) {
  sqlite3_value *type, *first, *count;
  *used = 2;
  type = argv[(*used)++];
  first = plan & HAS_FIRST ? argv[(*used)++] : NULL;
  count = plan & HAS_COUNT ? argv[(*used)++] : NULL;
  sdb_connection *connection = sdb_eponymous_connection(cursor->base.pVtab);
  if (sdb_typed_take(VALUES, type, first, count, &cursor->typed, f) != SQLITE_OK) return f->code;
  if (sdb_reader_open(&cursor->reader, connection, VALUES, argv, found, f) != SQLITE_OK || !*found) return f->code;
  return sdb_typed_fit(VALUES, &cursor->reader, &cursor->typed, f);
}

static int values_filter(sqlite3_vtab_cursor *base, int plan, const char *text, int argc, sqlite3_value **argv) {
  sdb_values_cursor *cursor = (sdb_values_cursor *)base;
  sdb_failure f = {0};
  bool found = false;
  int used;
  (void)text;
  (void)argc;
  cursor->walk = (sdb_walk){0};
  cursor->piece_begin = cursor->piece_end = 0;
  cursor->piece_bytes = FIRST_BYTES;
  if ((plan & REQUIRED) != REQUIRED) {
    sdb_failure_set(&f, SQLITE_ERROR,
                    VALUES ": arguments are missing: the name of a seqdb table, of a region, and a type");
  } else if (take_arguments(cursor, plan, argv, &used, &found, &f) == SQLITE_OK && found) {
    cursor->bytes = cursor->typed.type->bytes;
    cursor->walk.begin = cursor->typed.first;
    cursor->walk.end = cursor->typed.first + cursor->typed.count;
    sdb_walk_narrow(&cursor->walk, plan, argv + used);
    show(cursor);
  }
  return sdb_failure_to_vtab(&f, base->pVtab);
}

static int values_next(sqlite3_vtab_cursor *base) {
  sdb_values_cursor *cursor = (sdb_values_cursor *)base;
  if (cursor->walk.descending) {
    cursor->walk.end--;
  } else {
    cursor->walk.begin++;
  }
  show(cursor);
  return SQLITE_OK;
}

static int values_eof(sqlite3_vtab_cursor *base) {
  const sdb_walk *walk = &((sdb_values_cursor *)base)->walk;
  return walk->begin >= walk->end;
}

/* Reads the piece that value i begins, or ends if rows go backwards.  An own view moves: it is read value by value. */
static int read_piece(sdb_values_cursor *cursor, sdb_failure *f) {
  const sdb_walk *walk = &cursor->walk;
  uint64_t values = cursor->reader.snapshot ? cursor->piece_bytes / cursor->bytes : 1;
  if (values > walk->end - walk->begin) values = walk->end - walk->begin;
  uint64_t begin = walk->descending ? walk->end - values : walk->begin;
  cursor->piece_begin = cursor->piece_end = 0;
  if (sdb_reader_copy(&cursor->reader, begin * cursor->bytes, cursor->piece, (size_t)values * cursor->bytes, f) !=
      SQLITE_OK)
    return f->code;
  cursor->piece_begin = begin;
  cursor->piece_end = begin + values;
  cursor->piece_bytes = PIECE_BYTES;
  return SQLITE_OK;
}

static int value(sdb_values_cursor *cursor, sqlite3_context *context, sdb_failure *f) {
  bool there = cursor->i >= cursor->piece_begin && cursor->i < cursor->piece_end;
  if (!there && read_piece(cursor, f) != SQLITE_OK) return f->code;
  const uint8_t *data = (const uint8_t *)cursor->piece + (cursor->i - cursor->piece_begin) * cursor->bytes;
  if (sdb_typed_result(cursor->typed.type, data, context)) return SQLITE_OK;
  return sdb_typed_too_large(VALUES, &cursor->reader, cursor->i, sdb_typed_u64(data), f);
}

static int values_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column) {
  sdb_values_cursor *cursor = (sdb_values_cursor *)base;
  sdb_failure f = {0};
  if (column == COLUMN_I) sqlite3_result_int64(context, (sqlite3_int64)cursor->i);
  if (column == COLUMN_VALUE && value(cursor, context, &f) != SQLITE_OK) sdb_failure_to_result(&f, context);
  return SQLITE_OK;
}

static int values_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *rowid) {
  *rowid = (sqlite3_int64)((sdb_values_cursor *)base)->i + 1;
  return SQLITE_OK;
}

int sdb_register_values(sdb_connection *connection) {
  static const sqlite3_module module = {
      .xConnect = sdb_eponymous_connect,
      .xBestIndex = values_best_index,
      .xDisconnect = sdb_eponymous_disconnect,
      .xOpen = values_open,
      .xClose = values_close,
      .xFilter = values_filter,
      .xNext = values_next,
      .xEof = values_eof,
      .xColumn = values_column,
      .xRowid = values_rowid,
  };
  static const sdb_eponymous values = {"seqdb_values",
                                       "CREATE TABLE x(i INTEGER, value, \"table\" TEXT HIDDEN, name TEXT HIDDEN, type "
                                       "TEXT HIDDEN, first INTEGER HIDDEN, count INTEGER HIDDEN)",
                                       &module};
  return sdb_eponymous_register(connection, &values);
}
