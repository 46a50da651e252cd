/* SPDX-License-Identifier: MIT
**
** rows.c: the rows a cursor walks; for the table and for seqdb_regions().
**
** Two views.  Without changes of the own transaction rows come from the loan that was taken when the cursor was
** opened.  A repeated xFilter keeps it, so that every pass of a join sees the same.  With changes they come from the
** engine's own view, which moves with each change.  Its rows are listed at xFilter and looked up when their turn
** comes: a statement never walks into regions that it is just making (SELECT seqdb_append(T, name||'2', x) FROM T
** ends), and leaves out those removed on the way.
**
** Two ways to walk: a scan of a snapshot upwards, which allocates nothing, and a list of regions, by rowid.
**
** Content of an own view is still read without a copy if the transaction did not touch the region.  The writer lock
** is ours, so the newest commit, taken at xFilter as `base`, is the one below the transaction.  Once that has ended,
** base may be older than the view, and content is copied.
*/
#include <stdlib.h>
#include <string.h>
#include "agree.h"
#include "check.h"
#include "owner.h"
#include "rows.h"
#include "transaction.h"

static seqdb_view *view_of(sdb_rows *rows) {
  return rows->own_view ? seqdb_own_view(rows->engine) : seqdb_snapshot_view(rows->loan->snapshot);
}

int sdb_rows_open(sdb_rows *rows, sdb_connection *connection, sdb_directory *directory, seqdb *engine, sdb_failure *f) {
  *rows = (sdb_rows){.connection = connection, .directory = directory, .engine = engine, .eof = true};
  rows->list = rows->few;
  rows->list_capacity = SDB_ROWS_FEW;
  if (directory && sdb_owner_may_read(directory, f) != SQLITE_OK) return f->code;
  if (directory && sdb_agree_read(directory, f) != SQLITE_OK) return f->code;
  return sdb_loan_take(connection, directory, engine, &rows->loan, f);
}

void sdb_rows_close(sdb_rows *rows) {
  sdb_loan_return(rows->connection, rows->base);
  sdb_loan_return(rows->connection, rows->loan);
  if (rows->list != rows->few) sqlite3_free(rows->list);
  sqlite3_free(rows->own_name);
  sqlite3_free(rows->ahead);
  rows->base = rows->loan = NULL;
  rows->list = rows->few;
  rows->list_capacity = SDB_ROWS_FEW;
  rows->own_name = NULL;
  rows->ahead = NULL;
}

/* ---- the list ---------------------------------------------------------------------------------------------- */

static int list_grow(sdb_rows *rows, sdb_failure *f) {
  bool few = rows->list == rows->few;
  size_t capacity = rows->list_capacity * 2;
  sdb_listed *list = sqlite3_realloc64(few ? NULL : rows->list, capacity * sizeof *list);
  if (!list) return sdb_failure_nomem(f);
  if (few) memcpy(list, rows->few, sizeof rows->few);
  rows->list = list;
  rows->list_capacity = capacity;
  return SQLITE_OK;
}

/* The last one is kept in `one`, too. */
static int list_add(sdb_rows *rows, const seqdb_region_info *info, sdb_failure *f) {
  if (rows->list_count == rows->list_capacity && list_grow(rows, f) != SQLITE_OK) return f->code;
  rows->one = *info;
  rows->list[rows->list_count++] = (sdb_listed){info->index, info->region};
  return SQLITE_OK;
}

static int by_index(const void *a, const void *b) {
  uint64_t x = ((const sdb_listed *)a)->index, y = ((const sdb_listed *)b)->index;
  return x < y ? -1 : x > y;
}

static void list_sort(sdb_rows *rows) {
  size_t kept = 0;
  if (rows->list_count < 2) return;
  qsort(rows->list, rows->list_count, sizeof *rows->list, by_index);
  for (size_t i = 1; i < rows->list_count; i++) {
    if (rows->list[i].index != rows->list[kept].index) rows->list[++kept] = rows->list[i];
  }
  rows->list_count = kept + 1;
}

static int list_range(sdb_rows *rows, sdb_failure *f) {
  seqdb_view *view = view_of(rows);
  seqdb_region_info info;
  uint64_t index = rows->next_index;
  while (index < rows->stop_index) {
    int rc = seqdb_iterate(view, index, &info);
    if (rc == SEQDB_DONE || (rc == SEQDB_OK && info.index >= rows->stop_index)) break;
    if (rc != SEQDB_OK) return sdb_failure_engine(f, rows->engine, rc);
    if (list_add(rows, &info, f) != SQLITE_OK) return f->code;
    index = (uint64_t)info.index + 1;
  }
  return SQLITE_OK;
}

static int list_name(sdb_rows *rows, sqlite3_value *value, sdb_failure *f) {
  seqdb_region_info info;
  seqdb_region region;
  int type = sqlite3_value_type(value);
  if (type == SQLITE_NULL || type == SQLITE_BLOB) return SQLITE_OK; /* never equal to a text */
  const char *name = (const char *)sqlite3_value_text(value);
  if (!name) return sdb_failure_nomem(f);
  int rc = seqdb_find(view_of(rows), name, (size_t)sqlite3_value_bytes(value), &region);
  if (rc == SEQDB_OK) rc = seqdb_get_info(view_of(rows), region, &info);
  if (rc == SEQDB_NOTFOUND || rc == SEQDB_INVALID) return SQLITE_OK;
  if (rc != SEQDB_OK) return sdb_failure_engine(f, rows->engine, rc);
  return list_add(rows, &info, f);
}

static int list_rowid(sdb_rows *rows, sqlite3_value *value, sdb_failure *f) {
  seqdb_region_info info;
  int type = sqlite3_value_numeric_type(value);
  double real = sqlite3_value_double(value);
  if (type != SQLITE_INTEGER && type != SQLITE_FLOAT) return SQLITE_OK;
  if (real < 1 || real > UINT32_MAX) return SQLITE_OK; /* more entries than an index counts */
  if ((double)(uint64_t)real != real) return SQLITE_OK;
  uint64_t index = (uint64_t)real - 1;
  int rc = seqdb_iterate(view_of(rows), index, &info);
  if (rc == SEQDB_DONE || (rc == SEQDB_OK && info.index != index)) return SQLITE_OK;
  if (rc != SEQDB_OK) return sdb_failure_engine(f, rows->engine, rc);
  return list_add(rows, &info, f);
}

static bool is_number(sqlite3_value *value) {
  int type = sqlite3_value_type(value);
  return type == SQLITE_INTEGER || type == SQLITE_FLOAT;
}

/* By name, and the argument or one of its list is a number: every row may be equal to it (plan.c), so that SQLite has
** to test them all.  *scan is set, and nothing listed. */
static int list_lookup(sdb_rows *rows, int plan, sqlite3_value *argument, bool *scan, sdb_failure *f) {
  bool by_name = (plan & SDB_PLAN_NAME) != 0;
  int (*add)(sdb_rows *, sqlite3_value *, sdb_failure *) = by_name ? list_name : list_rowid;
  if (!(plan & SDB_PLAN_IN)) {
    *scan = by_name && is_number(argument);
    return *scan ? SQLITE_OK : add(rows, argument, f);
  }
  sqlite3_value *value = NULL;
  int rc = sqlite3_vtab_in_first(argument, &value);
  while (rc == SQLITE_OK && SDB_ALWAYS(value)) {
    *scan = by_name && is_number(value);
    if (*scan) {
      rows->list_count = 0;
      return SQLITE_OK;
    }
    if (add(rows, value, f) != SQLITE_OK) return f->code;
    rc = sqlite3_vtab_in_next(argument, &value);
  }
  if (rc != SQLITE_OK && rc != SQLITE_DONE) return sdb_failure_set(f, rc, "seqdb: the list of IN cannot be read");
  return SQLITE_OK;
}

/* ---- walking ----------------------------------------------------------------------------------------------- */

/* `one` is where it stands. */
static int one_loaded(sdb_rows *rows, sdb_failure *f) {
  if (rows->own_view) {
    if (!rows->own_name) rows->own_name = sqlite3_malloc64(SEQDB_NAME_BYTES_MAX);
    if (!rows->own_name) return sdb_failure_nomem(f);
    memcpy(rows->own_name, rows->one.name, rows->one.name_bytes);
    rows->one.name = rows->own_name;
  }
  rows->row = &rows->one;
  rows->eof = false;
  return SQLITE_OK;
}

static int next_listed(sdb_rows *rows, sdb_failure *f) {
  while (rows->list_done < rows->list_count) {
    size_t at = rows->descending ? rows->list_count - 1 - rows->list_done : rows->list_done;
    rows->list_done++;
    int rc = seqdb_get_info(view_of(rows), rows->list[at].region, &rows->one);
    if (rc == SEQDB_OK) return one_loaded(rows, f);
    if (rc != SEQDB_NOTFOUND) return sdb_failure_engine(f, rows->engine, rc);
  }
  rows->eof = true;
  return SQLITE_OK;
}

/* A snapshot does not change: its rows are fetched some at a time.  *count of them are before the scan's end. */
static int look_ahead(sdb_rows *rows, size_t *count, sdb_failure *f) {
  *count = 0;
  if (rows->next_index >= rows->stop_index) return SQLITE_OK;
  if (!rows->ahead) rows->ahead = sqlite3_malloc64(SDB_ROWS_AHEAD * sizeof *rows->ahead);
  if (!rows->ahead) return sdb_failure_nomem(f);
  int rc = seqdb_iterate_many(seqdb_snapshot_view(rows->loan->snapshot), rows->next_index, rows->ahead, SDB_ROWS_AHEAD,
                              count);
  if (rc != SEQDB_OK && rc != SEQDB_DONE) return sdb_failure_engine(f, rows->engine, rc);
  rows->next_index = *count ? (uint64_t)rows->ahead[*count - 1].index + 1 : UINT64_MAX;
  while (*count && rows->ahead[*count - 1].index >= rows->stop_index)
    --*count;
  return SQLITE_OK;
}

int sdb_rows_next(sdb_rows *rows, sdb_failure *f) {
  size_t count;
  if (rows->listed) return next_listed(rows, f);
  if (sdb_rows_step(rows)) return SQLITE_OK;
  if (look_ahead(rows, &count, f) != SQLITE_OK) return f->code;
  rows->eof = count == 0;
  rows->row = rows->ahead;
  rows->ahead_left = count ? (unsigned)count - 1 : 0;
  return SQLITE_OK;
}

/* Bounds are inclusive and rounded outwards: SQLite tests each row again.  Indexes are rowids less one. */
static uint64_t lower_index(sqlite3_value *bound) {
  double real = sqlite3_value_double(bound);
  int type = sqlite3_value_numeric_type(bound);
  if (type != SQLITE_INTEGER && type != SQLITE_FLOAT) return 0;
  if (real <= 1) return 0;
  return real > UINT32_MAX ? (uint64_t)UINT32_MAX + 1 : (uint64_t)real - 1;
}

static uint64_t stop_index(sqlite3_value *bound) {
  double real = sqlite3_value_double(bound);
  int type = sqlite3_value_numeric_type(bound);
  if (type != SQLITE_INTEGER && type != SQLITE_FLOAT) return UINT64_MAX;
  if (real < 1) return 0;
  return real > UINT32_MAX ? UINT64_MAX : (uint64_t)real;
}

static int choose_view(sdb_rows *rows, sdb_failure *f) {
  sdb_directory *directory = rows->directory;
  sdb_loan_return(rows->connection, rows->base);
  rows->base = NULL;
  rows->own_view = directory && seqdb_has_changes(rows->engine);
  if (!directory) return SQLITE_OK;
  rows->ends = directory->transaction.ends;
  if (rows->own_view && sdb_loan_take(rows->connection, directory, rows->engine, &rows->base, f) != SQLITE_OK) {
    return f->code;
  }
  if (sdb_transaction_is_open(directory)) { /* what rowids of this statement mean: see update.c */
    sdb_transaction_scans(directory, rows->own_view ? NULL : rows->loan);
  }
  return SQLITE_OK;
}

int sdb_rows_filter(sdb_rows *rows, int plan, sqlite3_value **argv, sdb_failure *f) {
  bool scan = (plan & (SDB_PLAN_NAME | SDB_PLAN_ROWID)) == 0;
  int used = 0;
  rows->eof = true;
  rows->list_count = rows->list_done = 0;
  rows->ahead_left = 0;
  rows->next_index = 0;
  rows->stop_index = UINT64_MAX;
  if (choose_view(rows, f) != SQLITE_OK) return f->code;

  rows->descending = (plan & SDB_PLAN_DESCENDING) != 0;
  if (!scan) {
    rows->listed = true;
    if (list_lookup(rows, plan, argv[used++], &scan, f) != SQLITE_OK) return f->code;
    list_sort(rows);
  }
  if (rows->list_count == 1) { /* read when it was found */
    rows->list_done = 1;
    return one_loaded(rows, f);
  }
  if (scan) {
    if (plan & SDB_PLAN_LOWER) rows->next_index = lower_index(argv[used++]);
    if (plan & SDB_PLAN_UPPER) rows->stop_index = stop_index(argv[used++]);
    rows->listed = rows->own_view || rows->descending;
    if (rows->listed && list_range(rows, f) != SQLITE_OK) return f->code;
  }
  return sdb_rows_next(rows, f);
}

/* ---- values ------------------------------------------------------------------------------------------------ */

static int content_copy(sdb_rows *rows, sqlite3_context *context, uint64_t bytes, sdb_failure *f) {
  size_t got = 0;
  void *buffer = sqlite3_malloc64(bytes);
  if (!buffer) return sdb_failure_nomem(f);
  int rc = seqdb_read_copy(view_of(rows), rows->row->region, 0, buffer, (size_t)bytes, &got);
  if (rc != SEQDB_OK) {
    sqlite3_free(buffer);
    return sdb_failure_engine(f, rows->engine, rc);
  }
  sqlite3_result_blob64(context, buffer, got, sqlite3_free);
  return SQLITE_OK;
}

/* What to point into, NULL if the row must be copied. */
static sdb_loan *loan_to_lend(sdb_rows *rows) {
  if (!rows->own_view) return rows->loan;
  bool base_is_current = SDB_ALWAYS(rows->base) && rows->directory->transaction.ends == rows->ends;
  return base_is_current && !seqdb_region_changed(rows->engine, rows->row->region) ? rows->base : NULL;
}

static int content(sdb_rows *rows, sqlite3_context *context, sdb_failure *f) {
  uint64_t bytes = rows->row->length_bytes;
  if (rows->own_view) { /* this statement's functions may have changed the row since it was loaded */
    seqdb_region_info now;
    int rc = seqdb_get_info(view_of(rows), rows->row->region, &now);
    if (rc == SEQDB_NOTFOUND) return SQLITE_OK; /* removed: NULL */
    if (rc != SEQDB_OK) return sdb_failure_engine(f, rows->engine, rc);
    bytes = now.length_bytes;
  }
  if (bytes > (uint64_t)sqlite3_limit(rows->connection->db, SQLITE_LIMIT_LENGTH, -1)) {
    return sdb_failure_toobig(f, rows->connection->db, rows->row->name, rows->row->name_bytes, bytes);
  }
  if (bytes == 0) {
    sqlite3_result_zeroblob(context, 0);
    return SQLITE_OK;
  }
  sdb_loan *loan = loan_to_lend(rows);
  const void *data = NULL;
  int rc = loan ? seqdb_read(seqdb_snapshot_view(loan->snapshot), rows->row->region, 0, bytes, &data) : SEQDB_COPY;
  if (rc == SEQDB_COPY) return content_copy(rows, context, bytes, f);
  if (rc != SEQDB_OK) return sdb_failure_engine(f, rows->engine, rc);
  loan->lent = true;
  sqlite3_result_blob64(context, data, bytes, SQLITE_STATIC);
  return SQLITE_OK;
}

static void name(sdb_rows *rows, sqlite3_context *context) {
  if (!rows->own_view) rows->loan->lent = true;
  sqlite3_result_text64(context, rows->row->name, rows->row->name_bytes,
                        rows->own_view ? SQLITE_TRANSIENT : SQLITE_STATIC, SQLITE_UTF8);
}

/* append and the table's own column are never read: NULL */
int sdb_rows_column(sdb_rows *rows, sqlite3_context *context, int column, sdb_failure *f) {
  if (sdb_rows_number(rows, context, column)) return SQLITE_OK;
  if (column == SDB_COLUMN_NAME) name(rows, context);
  return column == SDB_COLUMN_CONTENT ? content(rows, context, f) : SQLITE_OK;
}
