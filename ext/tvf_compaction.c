/* SPDX-License-Identifier: MIT
**
** tvf_compaction.c: seqdb_compaction(T): compaction as rows, so that progress shows and LIMIT stops it.
**
**   SELECT * FROM seqdb_compaction('regions');                  -- all of it, a row for each step
**   SELECT sum(freed) FROM seqdb_compaction('regions') LIMIT 1; -- the same: the sum wants all rows
**   SELECT kind, name FROM seqdb_compaction('regions') LIMIT 5; -- five steps, and no sixth
**
** A step is a commit of its own and is done when its row is shown.  kind is move, punch or cut; name is that of the
** region that was moved, moved its bytes; freed are bytes given back to the file system.  The writer lock is taken for
** a step at a time: between two rows others write, and what they change is taken as it is then.
*/
#include <stdbool.h>
#include "attach.h"
#include "eponymous.h"
#include "find_table.h"
#include "tvf_compaction.h"
#include "upkeep.h"

enum { COLUMN_STEP, COLUMN_KIND, COLUMN_NAME, COLUMN_MOVED, COLUMN_FREED, COLUMN_TABLE };

typedef struct sdb_compaction_cursor {
  sqlite3_vtab_cursor base;
  sdb_directory *directory; /* held while there are rows */
  uint64_t place;           /* where the engine goes on */
  sqlite3_int64 step;       /* of the row */
  seqdb_compact_step_info info;
} sdb_compaction_cursor;

/* idxNum 1: the table's name is argument 1; 0: it is missing, which xFilter tells. */
static int compaction_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info) {
  bool present;
  (void)vtab;
  int rc = sdb_eponymous_argument(info, COLUMN_TABLE, &present);
  if (rc != SQLITE_OK || !present) return rc;
  info->idxNum = 1;
  info->estimatedCost = 1e9; /* it works: not in an inner loop */
  info->estimatedRows = 1000;
  return SQLITE_OK;
}

static int compaction_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **out) {
  sdb_compaction_cursor *cursor = sqlite3_malloc64(sizeof *cursor);
  (void)vtab;
  if (!cursor) return SQLITE_NOMEM;
  *cursor = (sdb_compaction_cursor){0};
  *out = &cursor->base;
  return SQLITE_OK;
}

static void end(sdb_compaction_cursor *cursor) {
  if (cursor->directory) sdb_directory_release(cursor->directory);
  cursor->directory = NULL;
}

static int compaction_close(sqlite3_vtab_cursor *base) {
  end((sdb_compaction_cursor *)base);
  sqlite3_free(base);
  return SQLITE_OK;
}

/* The next step, or the end. */
static int compaction_next(sqlite3_vtab_cursor *base) {
  sdb_compaction_cursor *cursor = (sdb_compaction_cursor *)base;
  sdb_failure f = {0};
  bool done = false;
  if (sdb_upkeep_compact_step(cursor->directory, &cursor->place, &cursor->info, &done, &f) != SQLITE_OK || done)
    end(cursor);
  cursor->step++;
  return sdb_failure_to_vtab(&f, base->pVtab);
}

static int compaction_filter(sqlite3_vtab_cursor *base, int plan, const char *text, int argc, sqlite3_value **argv) {
  sdb_compaction_cursor *cursor = (sdb_compaction_cursor *)base;
  sdb_failure f = {0};
  (void)text;
  (void)argc;
  end(cursor);
  cursor->place = 0;
  cursor->step = 0;
  if (plan == 0)
    sdb_failure_set(&f, SQLITE_ERROR, "seqdb_compaction: its argument, the name of a seqdb table, is missing");
  else
    sdb_find_table(sdb_eponymous_connection(base->pVtab), argv[0], &cursor->directory, &f);
  return f.code == SQLITE_OK ? compaction_next(base) : sdb_failure_to_vtab(&f, base->pVtab);
}

static int compaction_eof(sqlite3_vtab_cursor *base) {
  return ((sdb_compaction_cursor *)base)->directory == NULL;
}

static int compaction_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column) {
  const sdb_compaction_cursor *cursor = (const sdb_compaction_cursor *)base;
  const seqdb_compact_step_info *info = &cursor->info;
  static const char *const kinds[] = {
      [SEQDB_COMPACT_MOVE] = "move", [SEQDB_COMPACT_PUNCH] = "punch", [SEQDB_COMPACT_CUT] = "cut"};
  switch (column) {
    case COLUMN_STEP:
      sqlite3_result_int64(context, cursor->step);
      break;
    case COLUMN_KIND:
      sqlite3_result_text(context, kinds[info->kind], -1, SQLITE_STATIC);
      break;
    case COLUMN_NAME:
      if (info->kind == SEQDB_COMPACT_MOVE)
        sqlite3_result_text64(context, info->name, info->name_bytes, SQLITE_TRANSIENT, SQLITE_UTF8);
      break;
    case COLUMN_MOVED:
      sqlite3_result_int64(context, (sqlite3_int64)info->moved_bytes);
      break;
    case COLUMN_FREED:
      sqlite3_result_int64(context, (sqlite3_int64)info->freed_bytes);
      break;
    default:
      break;
  }
  return SQLITE_OK;
}

static int compaction_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *rowid) {
  *rowid = ((const sdb_compaction_cursor *)base)->step;
  return SQLITE_OK;
}

int sdb_register_compaction(sdb_connection *connection) {
  static const sqlite3_module module = {
      .xConnect = sdb_eponymous_connect,
      .xBestIndex = compaction_best_index,
      .xDisconnect = sdb_eponymous_disconnect,
      .xOpen = compaction_open,
      .xClose = compaction_close,
      .xFilter = compaction_filter,
      .xNext = compaction_next,
      .xEof = compaction_eof,
      .xColumn = compaction_column,
      .xRowid = compaction_rowid,
  };
  static const sdb_eponymous compaction = {
      "seqdb_compaction",
      "CREATE TABLE x(step INTEGER, kind TEXT, name TEXT, moved INTEGER, freed INTEGER, \"table\" TEXT HIDDEN)",
      &module};
  return sdb_eponymous_register(connection, &compaction);
}
