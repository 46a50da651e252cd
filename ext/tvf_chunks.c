/* SPDX-License-Identifier: MIT
**
** tvf_chunks.c: seqdb_chunks(T, name [, size]): a region in pieces, of whatever length it is.
**
**   SELECT offset, content FROM seqdb_chunks('regions', 'log');                             -- 1 MiB each
**   SELECT content FROM seqdb_chunks('regions', 'log', 65536) WHERE offset > 1000000 - 65536;
**
** A chunk begins at a multiple of the size, and the last one may be shorter.  Terms on offset and an ORDER BY it cost
** nothing.  No such region: no rows.  All chunks are of one moment (reader.c).
**
** Content is copied, and only if it is used: a pointer into the mapping would make all that was read count as memory of
** the process.  Small chunks come out of a larger piece that is read at once.
*/
#include "eponymous.h"
#include "loan.h"
#include "reader.h"
#include "tvf_chunks.h"
#include "value.h"
#include "walk.h"

enum { COLUMN_OFFSET, COLUMN_CONTENT, COLUMN_TABLE, COLUMN_NAME, COLUMN_SIZE };
#define ARGUMENTS 3
#define REQUIRED  3 /* T, name: bits */
#define HAS_SIZE  4

#define CHUNKS     "seqdb_chunks" /* for messages */
#define SIZE_BYTES ((uint64_t)1 << 20)
#define PIECE_MAX  262144u

typedef struct sdb_chunks_cursor {
  sqlite3_vtab_cursor base;
  sdb_reader reader;
  uint64_t size;
  sdb_walk walk;                      /* chunks that are still to be shown, the present one included */
  uint64_t chunk;                     /* the present one; its offset is chunk * size */
  uint8_t *piece;                     /* small chunks: PIECE_MAX bytes, from sqlite3_malloc ... */
  uint64_t piece_offset, piece_bytes; /* ... with these of the region */
} sdb_chunks_cursor;

static int chunks_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info) {
  int present, argument;
  (void)vtab;
  int rc = sdb_eponymous_arguments(info, COLUMN_TABLE, ARGUMENTS, &present, &argument);
  if (rc != SQLITE_OK) return rc;
  info->idxNum = present | sdb_walk_plan(info, COLUMN_OFFSET, argument, 1000);
  if ((present & REQUIRED) != REQUIRED) info->estimatedCost = 1e99;
  return SQLITE_OK;
}

static int chunks_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **out) {
  sdb_chunks_cursor *cursor = sqlite3_malloc64(sizeof *cursor);
  if (!cursor) return SQLITE_NOMEM;
  *cursor = (sdb_chunks_cursor){0};
  sdb_cursor_opened(sdb_eponymous_connection(vtab));
  *out = &cursor->base;
  return SQLITE_OK;
}

static int chunks_close(sqlite3_vtab_cursor *base) {
  sdb_chunks_cursor *cursor = (sdb_chunks_cursor *)base;
  sdb_reader_close(&cursor->reader);
  sdb_cursor_closed(sdb_eponymous_connection(base->pVtab));
  sqlite3_free(cursor->piece);
  sqlite3_free(cursor);
  return SQLITE_OK;
}

static int take_size(sdb_chunks_cursor *cursor, sqlite3_value *value, sdb_failure *f) {
  sqlite3 *db = sdb_eponymous_connection(cursor->base.pVtab)->db;
  uint64_t most = (uint64_t)sqlite3_limit(db, SQLITE_LIMIT_LENGTH, -1);
  cursor->size = SIZE_BYTES < most ? SIZE_BYTES : most;
  if (!value) return SQLITE_OK;
  if (sdb_value_number(CHUNKS, ": size", value, &cursor->size, f) != SQLITE_OK) return f->code;
  if (cursor->size == 0) return sdb_failure_set(f, SQLITE_ERROR, CHUNKS ": size must be at least 1");
  if (cursor->size <= most) return SQLITE_OK;
  return sdb_failure_set(f, SQLITE_TOOBIG, CHUNKS ": size %llu is more than a value may have, %llu bytes",
                         (unsigned long long)cursor->size, (unsigned long long)most);
}

/* The terms are on offset, and rows are counted in chunks. */
static void count_in_chunks(sdb_chunks_cursor *cursor) {
  cursor->walk.begin /= cursor->size; /* the chunk before does no harm: SQLite tests each row again */
  cursor->walk.end = cursor->walk.end / cursor->size + (cursor->walk.end % cursor->size != 0);
}

static void show(sdb_chunks_cursor *cursor) {
  const sdb_walk *walk = &cursor->walk;
  cursor->chunk = walk->descending ? walk->end - 1 : walk->begin;
}

static int chunks_filter(sqlite3_vtab_cursor *base, int plan, const char *text, int argc, sqlite3_value **argv) {
  sdb_chunks_cursor *cursor = (sdb_chunks_cursor *)base;
  sdb_failure f = {0};
  bool found = false;
  int used = 2;
  (void)text;
  (void)argc;
  cursor->walk = (sdb_walk){0};
  cursor->piece_bytes = 0;
  if ((plan & REQUIRED) != REQUIRED) {
    sdb_failure_set(&f, SQLITE_ERROR, CHUNKS ": arguments are missing: the name of a seqdb table, and of a region");
  } else if (take_size(cursor, plan & HAS_SIZE ? argv[used++] : NULL, &f) == SQLITE_OK &&
             sdb_reader_open(&cursor->reader, sdb_eponymous_connection(base->pVtab), CHUNKS, argv, &found, &f) ==
                 SQLITE_OK &&
             found) {
    cursor->walk.end = cursor->reader.length_bytes;
    sdb_walk_narrow(&cursor->walk, plan, argv + used);
    count_in_chunks(cursor);
    show(cursor);
  }
  return sdb_failure_to_vtab(&f, base->pVtab);
}

static int chunks_next(sqlite3_vtab_cursor *base) {
  sdb_chunks_cursor *cursor = (sdb_chunks_cursor *)base;
  if (cursor->walk.descending) {
    cursor->walk.end--;
  } else {
    cursor->walk.begin++;
  }
  show(cursor);
  return SQLITE_OK;
}

static int chunks_eof(sqlite3_vtab_cursor *base) {
  const sdb_walk *walk = &((sdb_chunks_cursor *)base)->walk;
  return walk->begin >= walk->end;
}

/* ---- content ------------------------------------------------------------------------------------------------ */

static int large_content(sdb_chunks_cursor *cursor, sqlite3_context *context, uint64_t offset, size_t bytes,
                         sdb_failure *f) {
  void *buffer = sqlite3_malloc64(bytes);
  if (!buffer) return sdb_failure_nomem(f);
  if (sdb_reader_copy(&cursor->reader, offset, buffer, bytes, f) == SQLITE_OK) {
    sqlite3_result_blob64(context, buffer, bytes, sqlite3_free);
  } else {
    sqlite3_free(buffer);
  }
  return f->code;
}

/* Reads the piece that the chunk is in, in whole chunks, forwards or backwards as the rows go. */
static int read_piece(sdb_chunks_cursor *cursor, uint64_t offset, sdb_failure *f) {
  uint64_t chunks = PIECE_MAX / cursor->size, length = cursor->reader.length_bytes;
  if (!cursor->piece && !(cursor->piece = sqlite3_malloc64(PIECE_MAX))) return sdb_failure_nomem(f);
  uint64_t before = cursor->walk.descending ? (cursor->chunk < chunks ? cursor->chunk : chunks - 1) : 0;
  uint64_t from = offset - before * cursor->size;
  uint64_t bytes = length - from < chunks * cursor->size ? length - from : chunks * cursor->size;
  cursor->piece_bytes = 0;
  if (sdb_reader_copy(&cursor->reader, from, cursor->piece, (size_t)bytes, f) != SQLITE_OK) return f->code;
  cursor->piece_offset = from;
  cursor->piece_bytes = bytes;
  return SQLITE_OK;
}

/* An own view moves: nothing of it is read before it is shown. */
static bool is_large(const sdb_chunks_cursor *cursor) {
  return !cursor->reader.snapshot || cursor->size > PIECE_MAX / 4;
}

static int content(sdb_chunks_cursor *cursor, sqlite3_context *context, uint64_t offset, sdb_failure *f) {
  uint64_t left = cursor->reader.length_bytes - offset;
  size_t bytes = (size_t)(left < cursor->size ? left : cursor->size);
  if (is_large(cursor)) return large_content(cursor, context, offset, bytes, f);
  bool there = offset >= cursor->piece_offset && offset + bytes <= cursor->piece_offset + cursor->piece_bytes;
  if (!there && read_piece(cursor, offset, f) != SQLITE_OK) return f->code;
  sqlite3_result_blob64(context, cursor->piece + (offset - cursor->piece_offset), bytes, SQLITE_TRANSIENT);
  return SQLITE_OK;
}

static int chunks_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column) {
  sdb_chunks_cursor *cursor = (sdb_chunks_cursor *)base;
  uint64_t offset = cursor->chunk * cursor->size;
  sdb_failure f = {0};
  if (column == COLUMN_OFFSET) sqlite3_result_int64(context, (sqlite3_int64)offset);
  if (column == COLUMN_CONTENT && content(cursor, context, offset, &f) != SQLITE_OK) sdb_failure_to_result(&f, context);
  return SQLITE_OK;
}

static int chunks_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *rowid) {
  *rowid = (sqlite3_int64)((sdb_chunks_cursor *)base)->chunk + 1;
  return SQLITE_OK;
}

int sdb_register_chunks(sdb_connection *connection) {
  static const sqlite3_module module = {
      .xConnect = sdb_eponymous_connect,
      .xBestIndex = chunks_best_index,
      .xDisconnect = sdb_eponymous_disconnect,
      .xOpen = chunks_open,
      .xClose = chunks_close,
      .xFilter = chunks_filter,
      .xNext = chunks_next,
      .xEof = chunks_eof,
      .xColumn = chunks_column,
      .xRowid = chunks_rowid,
  };
  static const sdb_eponymous chunks = {"seqdb_chunks",
                                       "CREATE TABLE x(offset INTEGER, content BLOB, \"table\" TEXT HIDDEN, name TEXT "
                                       "HIDDEN, size INTEGER HIDDEN)",
                                       &module};
  return sdb_eponymous_register(connection, &chunks);
}
