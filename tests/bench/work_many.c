/* SPDX-License-Identifier: MIT
**
** work_many.c: many regions: creating 100,000 in one transaction, opening a database of 30,000, scanning and looking up
** among 100,000.  Names ascend, which suits the ordered peers best.
*/
#include "work_many.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

void bench_name_of(uint64_t i, char name[BENCH_NAME_BYTES + 1]) {
  snprintf(name, BENCH_NAME_BYTES + 1, "region %06u", (unsigned)(i % 1000000));
}
/* What region i holds in the database that is scanned. */
static size_t length_of(uint64_t i) {
  return (size_t)(i * 7919 % 200);
}

/* ---- create ------------------------------------------------------------------------------------------------------ */

static uint64_t creates_of(const bench_run *run) {
  return bench_size(run, 100000, 1000);
}

/* Metric 0: a create with its share of the commit; 1: without; 2: second half of the creates against the first. */
static void measure_creates(bench_run *run, void *context,
                            void (*create)(bench_run *run, void *context, const char *name),
                            void (*commit)(bench_run *run, void *context)) {
  uint64_t count = creates_of(run);
  char name[BENCH_NAME_BYTES + 1];
  bench_begin(run);
  for (uint64_t i = 0; i < count / 2; i++) {
    bench_name_of(i, name);
    create(run, context, name);
  }
  double half = bench_end(run);
  for (uint64_t i = count / 2; i < count; i++) {
    bench_name_of(i, name);
    create(run, context, name);
  }
  double creates = bench_end(run);
  commit(run, context);
  bench_metric(run, 0, bench_end(run) / (double)count / 1e3);
  bench_metric(run, 1, creates / (double)count / 1e3);
  bench_metric(run, 2, (creates - half) / half);
}

static void create_one_seqdb(bench_run *run, void *context, const char *name) {
  seqdb_region region;
  int created = 0, code = seqdb_find_or_create(context, name, BENCH_NAME_BYTES, &region, &created);
  if (code != SEQDB_OK || !created) bench_fail(run, "seqdb_find_or_create: %s", seqdb_errmsg(context));
}
static void commit_seqdb(bench_run *run, void *context) {
  bench_seqdb_flush(run, context);
}
static void create_seqdb(bench_run *run) {
  uint64_t regions = 0;
  seqdb *db = bench_seqdb_open(run);
  measure_creates(run, db, create_one_seqdb, commit_seqdb);
  seqdb_view_totals(seqdb_snapshot_view(bench_seqdb_snapshot(run, db)), &regions, NULL);
  bench_check(run, regions == creates_of(run), "number of regions");
}

static void create_one_sql(bench_run *run, void *context, const char *name) {
  sqlite3_bind_text(context, 1, name, BENCH_NAME_BYTES, SQLITE_STATIC);
  bench_step(run, context, SQLITE_DONE);
  sqlite3_reset(context);
}
static void commit_sql(bench_run *run, void *context) {
  bench_sql(run, sqlite3_db_handle(context), "COMMIT");
}
static void check_count(bench_run *run, sqlite3 *db, const char *sql) {
  sqlite3_stmt *count = bench_prepare(run, db, sql);
  bench_step(run, count, SQLITE_ROW);
  bench_check(run, sqlite3_column_int64(count, 0) == (sqlite3_int64)creates_of(run), "number of rows");
}
static void create_sql(bench_run *run) {
  sqlite3 *db = bench_sql_open(run);
  sqlite3_stmt *insert = bench_prepare(run, db, "INSERT INTO r(name) VALUES(?1)");
  bench_sql(run, db, "BEGIN");
  measure_creates(run, insert, create_one_sql, commit_sql);
  check_count(run, db, "SELECT count(*) FROM r");
}
static void create_sqlite(bench_run *run) {
  sqlite3 *db = bench_sqlite_open(run, BENCH_WAL);
  bench_sql(run, db, "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, content BLOB)");
  sqlite3_stmt *insert = bench_prepare(run, db, "INSERT INTO t(name, content) VALUES(?1, x'')");
  bench_sql(run, db, "BEGIN IMMEDIATE");
  measure_creates(run, insert, create_one_sql, commit_sql);
  check_count(run, db, "SELECT count(*) FROM t");
}

static void create_one_lmdb(bench_run *run, void *context, const char *name) {
  bench_lmdb *lmdb = context;
  MDB_val key = {BENCH_NAME_BYTES, (void *)(uintptr_t)name}, value = {0, (void *)(uintptr_t) ""};
  bench_lmdb_must(run, mdb_put(lmdb->txn, lmdb->dbi, &key, &value, MDB_APPEND), "put");
}
static void commit_lmdb(bench_run *run, void *context) {
  bench_lmdb_commit(run, context);
}
static void create_lmdb(bench_run *run) {
  bench_lmdb lmdb;
  MDB_stat stat;
  bench_lmdb_open(run, MDB_WRITEMAP, BENCH_GIB, false, &lmdb);
  bench_lmdb_begin(run, &lmdb, 0);
  measure_creates(run, &lmdb, create_one_lmdb, commit_lmdb);
  bench_lmdb_must(run, mdb_env_stat(lmdb.env, &stat), "stat");
  bench_check(run, stat.ms_entries == creates_of(run), "number of keys");
}

static void create_one_file(bench_run *run, void *context, const char *name) {
  int fd = openat(*(int *)context, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd < 0) bench_fail(run, "create %s: %s", name, strerror(errno));
  close(fd);
}
static void commit_files(bench_run *run, void *context) {
  if (fsync(*(int *)context) != 0) bench_fail(run, "fsync: %s", strerror(errno));
}
static void create_plain(bench_run *run) {
  mkdir(bench_path(run, "files"), 0755);
  int dir = open(bench_path(run, "files"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  measure_creates(run, &dir, create_one_file, commit_files);
}

static const bench_case create_cases[] = {
    {"plain files", NULL, create_plain},  {"seqdb", NULL, create_seqdb}, {"seqdb SQL", NULL, create_sql},
    {"SQLite rows", NULL, create_sqlite}, {"LMDB", NULL, create_lmdb},   {NULL, NULL, NULL},
};
static const bench_row create_rows[] = {
    {.name = "create",
     .title = "create 100,000 regions in one transaction, its commit included",
     .unit = "us each",
     .ours = "seqdb",
     .limit = 2.0,
     .at_most = true},
    {.name = "create-calls",
     .title = "the same without the commit",
     .unit = "us each",
     .metric = 1,
     .ours = "seqdb",
     .limit = 2.0,
     .at_most = true},
    {.name = "create-flat",
     .title = "the same: time of the second half against the first",
     .unit = "x",
     .metric = 2,
     .ours = "seqdb",
     .limit = 1.25,
     .at_most = true},
    {.name = NULL},
};

/* ---- a database of many regions ---------------------------------------------------------------------------------- */

static void prepare_seqdb(bench_run *run, uint64_t count) {
  uint8_t bytes[256] = {0};
  char name[BENCH_NAME_BYTES + 1];
  seqdb *db = bench_seqdb_open(run);
  for (uint64_t i = 0; i < count; i++) {
    seqdb_region region = 0;
    bench_name_of(i, name);
    bench_seqdb_must(run, db, seqdb_find_or_create(db, name, BENCH_NAME_BYTES, &region, NULL), "create");
    bench_seqdb_must(run, db, seqdb_append(db, region, bytes, length_of(i), NULL), "append");
  }
  bench_seqdb_flush(run, db);
  seqdb_close(db);
}

/* The extension's table is made on the directory that is already there. */
static void prepare_sql(bench_run *run, uint64_t count) {
  prepare_seqdb(run, count);
  sqlite3_close(bench_sql_open(run));
}

void bench_prepare_sqlite(bench_run *run, const char *schema, uint64_t count) {
  char name[BENCH_NAME_BYTES + 1];
  uint64_t offset = 0;
  sqlite3 *db = bench_sqlite_open(run, BENCH_WAL);
  bench_sql(run, db, schema);
  sqlite3_stmt *insert = bench_prepare(run, db, "INSERT INTO t(name, offset, length) VALUES(?1, ?2, ?3)");
  bench_sql(run, db, "BEGIN");
  for (uint64_t i = 0; i < count; i++, offset += 4096) {
    bench_name_of(i, name);
    sqlite3_bind_text(insert, 1, name, BENCH_NAME_BYTES, SQLITE_STATIC);
    sqlite3_bind_int64(insert, 2, (sqlite3_int64)offset);
    sqlite3_bind_int64(insert, 3, (sqlite3_int64)length_of(i));
    bench_step(run, insert, SQLITE_DONE);
    sqlite3_reset(insert);
  }
  sqlite3_finalize(insert);
  bench_sql(run, db, "COMMIT");
  bench_sql(run, db, "PRAGMA wal_checkpoint(TRUNCATE)");
  sqlite3_close(db);
}
#define NO_ROWID_TABLE "CREATE TABLE t(name TEXT PRIMARY KEY, offset INTEGER, length INTEGER) WITHOUT ROWID"

typedef struct entry {
  uint64_t offset, length;
} entry;

static void prepare_lmdb(bench_run *run, uint64_t count) {
  bench_lmdb lmdb;
  char name[BENCH_NAME_BYTES + 1];
  bench_lmdb_open(run, MDB_WRITEMAP, BENCH_GIB, false, &lmdb);
  bench_lmdb_begin(run, &lmdb, 0);
  for (uint64_t i = 0; i < count; i++) {
    entry stored = {i * 4096, length_of(i)};
    MDB_val key = {BENCH_NAME_BYTES, name}, value = {sizeof stored, &stored};
    bench_name_of(i, name);
    bench_lmdb_must(run, mdb_put(lmdb.txn, lmdb.dbi, &key, &value, MDB_APPEND), "put");
  }
  bench_lmdb_commit(run, &lmdb);
  bench_lmdb_close(&lmdb);
}

/* ---- open -------------------------------------------------------------------------------------------------------- */

static uint64_t opened_of(const bench_run *run) {
  return bench_size(run, 30000, 500);
}
static void prepare_open_seqdb(bench_run *run) {
  prepare_seqdb(run, opened_of(run));
}
static void prepare_open_sql(bench_run *run) {
  prepare_sql(run, opened_of(run));
}
static void prepare_open_sqlite(bench_run *run) {
  bench_prepare_sqlite(run, BENCH_ROWID_TABLE, opened_of(run));
}
static void prepare_open_lmdb(bench_run *run) {
  prepare_lmdb(run, opened_of(run));
}

/* Open, find the last region, close; the first pass warms the page cache, the second is timed without its close. */
static void open_seqdb(bench_run *run) {
  char name[BENCH_NAME_BYTES + 1];
  seqdb_region_info info = {.length_bytes = 0};
  bench_name_of(opened_of(run) - 1, name);
  for (int pass = 0; pass < 2; pass++) {
    bench_begin(run);
    seqdb *db = bench_seqdb_open(run);
    seqdb_snapshot *snapshot = bench_seqdb_snapshot(run, db);
    seqdb_region region = bench_seqdb_find(run, snapshot, name);
    bench_seqdb_must(run, db, seqdb_get_info(seqdb_snapshot_view(snapshot), region, &info), "info");
    bench_metric(run, 0, bench_end(run) / 1e6);
    bench_check(run, info.length_bytes == length_of(opened_of(run) - 1), "length of the last region");
    seqdb_snapshot_close(snapshot);
    seqdb_close(db);
  }
}

static void open_by_sql(bench_run *run, sqlite3 *(*open_db)(bench_run *run), const char *sql) {
  char name[BENCH_NAME_BYTES + 1];
  bench_name_of(opened_of(run) - 1, name);
  for (int pass = 0; pass < 2; pass++) {
    bench_begin(run);
    sqlite3 *db = open_db(run);
    sqlite3_stmt *find = bench_prepare(run, db, sql);
    sqlite3_bind_text(find, 1, name, BENCH_NAME_BYTES, SQLITE_STATIC);
    bench_step(run, find, SQLITE_ROW);
    bench_metric(run, 0, bench_end(run) / 1e6);
    bench_check(run, sqlite3_column_int64(find, 0) == (sqlite3_int64)length_of(opened_of(run) - 1),
                "length of the last");
    sqlite3_finalize(find);
    sqlite3_close(db);
  }
}
static sqlite3 *open_wal(bench_run *run) {
  return bench_sqlite_open(run, BENCH_WAL);
}
static void open_sql(bench_run *run) {
  open_by_sql(run, bench_sql_open, "SELECT length FROM r WHERE name = ?1");
}
static void open_sqlite(bench_run *run) {
  open_by_sql(run, open_wal, "SELECT length FROM t WHERE name = ?1");
}
static void open_lmdb(bench_run *run) {
  char name[BENCH_NAME_BYTES + 1];
  bench_name_of(opened_of(run) - 1, name);
  for (int pass = 0; pass < 2; pass++) {
    bench_lmdb lmdb;
    MDB_val key = {BENCH_NAME_BYTES, name}, value;
    bench_begin(run);
    bench_lmdb_open(run, MDB_WRITEMAP, BENCH_GIB, false, &lmdb);
    bench_lmdb_begin(run, &lmdb, MDB_RDONLY);
    bench_lmdb_must(run, mdb_get(lmdb.txn, lmdb.dbi, &key, &value), "get");
    bench_metric(run, 0, bench_end(run) / 1e6);
    mdb_txn_abort(lmdb.txn);
    bench_lmdb_close(&lmdb);
  }
}

static const bench_case open_cases[] = {
    {"seqdb", prepare_open_seqdb, open_seqdb},
    {"seqdb SQL", prepare_open_sql, open_sql},
    {"SQLite", prepare_open_sqlite, open_sqlite},
    {"LMDB", prepare_open_lmdb, open_lmdb},
    {NULL, NULL, NULL},
};
static const bench_row open_rows[] = {
    {.name = "open",
     .title = "open with 30,000 regions, warm, and find one",
     .unit = "ms",
     .ours = "seqdb",
     .limit = 3.0,
     .at_most = true},
    {.name = NULL},
};

/* ---- scan and look-up -------------------------------------------------------------------------------------------- */

static uint64_t scanned_of(const bench_run *run) {
  return bench_size(run, 100000, 1000);
}
static void prepare_scan_seqdb(bench_run *run) {
  prepare_seqdb(run, scanned_of(run));
}
static void prepare_scan_sql(bench_run *run) {
  prepare_sql(run, scanned_of(run));
}
static void prepare_scan_sqlite(bench_run *run) {
  bench_prepare_sqlite(run, BENCH_ROWID_TABLE, scanned_of(run));
}
static void prepare_scan_sqlite_no_rowid(bench_run *run) {
  bench_prepare_sqlite(run, NO_ROWID_TABLE, scanned_of(run));
}
static void prepare_scan_lmdb(bench_run *run) {
  prepare_lmdb(run, scanned_of(run));
}

typedef struct totals {
  uint64_t count, length, offset;
} totals;

/* Look-ups in random order: us each. */
static double time_finds(bench_run *run, void *context, char (*names)[BENCH_NAME_BYTES + 1],
                         uint64_t (*find)(bench_run *run, void *context, const char *name)) {
  uint64_t count = scanned_of(run), finds = bench_size(run, 200000, 2000), seed = 5, sum = 0;
  bench_begin(run);
  for (uint64_t i = 0; i < finds; i++)
    sum += find(run, context, names[bench_random(&seed) % count]);
  double us = bench_end(run) / (double)finds / 1e3;
  bench_check(run, sum > 0, "lengths found");
  return us;
}

/* Metric 0: a scan in ms; 1: a look-up in us; 2: in one transaction of `db` (NULL: it is in one anyway).  `scan` fills
** the totals, `find` returns the length of the named one. */
static void measure_scan(bench_run *run, sqlite3 *db, void *context, totals (*scan)(bench_run *run, void *context),
                         uint64_t (*find)(bench_run *run, void *context, const char *name)) {
  uint64_t count = scanned_of(run), expected = 0;
  uint64_t samples[15];
  char(*names)[BENCH_NAME_BYTES + 1] = bench_alloc(run, count * sizeof *names);
  for (uint64_t i = 0; i < count; i++) {
    bench_name_of(i, names[i]);
    expected += length_of(i);
  }
  for (size_t pass = 0; pass < 15; pass++) {
    bench_again(run);
    totals sums = scan(run, context);
    samples[pass] = (uint64_t)bench_end(run);
    bench_check(run, sums.count == count && sums.length == expected && sums.offset >= (count - 1) * 4096,
                "totals of a scan");
  }
  bench_metric(run, 0, bench_latency(run, samples, 15) / 1e6);
  run->result->has_latency = false;
  for (uint64_t i = 0; i < count; i++)
    bench_check(run, find(run, context, names[i]) == length_of(i), "length found");
  bench_metric(run, 1, time_finds(run, context, names, find));
  if (db) bench_sql(run, db, "BEGIN");
  bench_metric(run, 2, time_finds(run, context, names, find));
  if (db) bench_sql(run, db, "COMMIT");
  free(names);
}

typedef struct statements {
  sqlite3_stmt *scan, *find;
} statements;

static totals scan_by_sql(bench_run *run, void *context) {
  statements *s = context;
  bench_step(run, s->scan, SQLITE_ROW);
  totals sums = {(uint64_t)sqlite3_column_int64(s->scan, 0), (uint64_t)sqlite3_column_int64(s->scan, 1),
                 (uint64_t)sqlite3_column_int64(s->scan, 2)};
  sqlite3_reset(s->scan);
  return sums;
}
static uint64_t find_by_sql(bench_run *run, void *context, const char *name) {
  statements *s = context;
  sqlite3_bind_text(s->find, 1, name, BENCH_NAME_BYTES, SQLITE_STATIC);
  bench_step(run, s->find, SQLITE_ROW);
  uint64_t length = (uint64_t)sqlite3_column_int64(s->find, 0);
  sqlite3_reset(s->find);
  return length;
}
static void scan_sql(bench_run *run) {
  sqlite3 *db = bench_sql_open(run);
  statements s = {bench_prepare(run, db, "SELECT count(*), sum(length), max(offset) FROM r"),
                  bench_prepare(run, db, "SELECT length FROM r WHERE name = ?1")};
  measure_scan(run, db, &s, scan_by_sql, find_by_sql);
}
static void scan_sqlite(bench_run *run) {
  sqlite3 *db = bench_sqlite_open(run, BENCH_WAL);
  statements s = {bench_prepare(run, db, "SELECT count(*), sum(length), max(offset) FROM t"),
                  bench_prepare(run, db, "SELECT length FROM t WHERE name = ?1")};
  measure_scan(run, db, &s, scan_by_sql, find_by_sql);
}

static totals scan_by_iterate(bench_run *run, void *context) {
  seqdb_snapshot *snapshot = context;
  totals sums = {0, 0, 0};
  seqdb_region_info info;
  int code;
  for (uint64_t index = 0; (code = seqdb_iterate(seqdb_snapshot_view(snapshot), index, &info)) == SEQDB_OK;
       index = (uint64_t)info.index + 1) {
    sums.count++;
    sums.length += info.length_bytes;
    if (info.offset > sums.offset) sums.offset = info.offset;
  }
  bench_seqdb_must(run, NULL, code, "iterate");
  return sums;
}
static uint64_t find_by_call(bench_run *run, void *context, const char *name) {
  seqdb_region region = 0;
  seqdb_region_info info;
  if (seqdb_find(seqdb_snapshot_view(context), name, BENCH_NAME_BYTES, &region) != SEQDB_OK)
    bench_fail(run, "seqdb_find failed");
  if (seqdb_get_info(seqdb_snapshot_view(context), region, &info) != SEQDB_OK) bench_fail(run, "seqdb_get_info failed");
  return info.length_bytes;
}
static void scan_seqdb(bench_run *run) {
  seqdb *db = bench_seqdb_open(run);
  measure_scan(run, NULL, bench_seqdb_snapshot(run, db), scan_by_iterate, find_by_call);
}

static totals scan_by_cursor(bench_run *run, void *context) {
  bench_lmdb *lmdb = context;
  totals sums = {0, 0, 0};
  MDB_cursor *cursor = NULL;
  MDB_val key, value;
  bench_lmdb_must(run, mdb_cursor_open(lmdb->txn, lmdb->dbi, &cursor), "cursor");
  while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
    entry stored;
    memcpy(&stored, value.mv_data, sizeof stored);
    sums.count++;
    sums.length += stored.length;
    if (stored.offset > sums.offset) sums.offset = stored.offset;
  }
  mdb_cursor_close(cursor);
  return sums;
}
static uint64_t find_by_get(bench_run *run, void *context, const char *name) {
  bench_lmdb *lmdb = context;
  entry stored;
  MDB_val key = {BENCH_NAME_BYTES, (void *)(uintptr_t)name}, value;
  bench_lmdb_must(run, mdb_get(lmdb->txn, lmdb->dbi, &key, &value), "get");
  memcpy(&stored, value.mv_data, sizeof stored);
  return stored.length;
}
static void scan_lmdb(bench_run *run) {
  bench_lmdb lmdb;
  bench_lmdb_open(run, 0, BENCH_GIB, false, &lmdb);
  bench_lmdb_begin(run, &lmdb, MDB_RDONLY);
  measure_scan(run, NULL, &lmdb, scan_by_cursor, find_by_get);
}

static const bench_case scan_cases[] = {
    {"seqdb", prepare_scan_seqdb, scan_seqdb},    {"seqdb SQL", prepare_scan_sql, scan_sql},
    {"SQLite", prepare_scan_sqlite, scan_sqlite}, {"SQLite WITHOUT ROWID", prepare_scan_sqlite_no_rowid, scan_sqlite},
    {"LMDB", prepare_scan_lmdb, scan_lmdb},       {NULL, NULL, NULL},
};
static const bench_row scan_rows[] = {
    {.name = "scan-sql",
     .title = "SELECT count(*), sum(length), max(offset) over 100,000 regions",
     .unit = "ms",
     .ours = "seqdb SQL",
     .peer = "SQLite",
     .limit = 0.95,
     .at_most = true},
    {.name = "lookup-sql",
     .title = "look-up of one of them by name",
     .unit = "us",
     .metric = 1,
     .ours = "seqdb SQL",
     .peer = "SQLite",
     .limit = 0.5,
     .at_most = true},
    {.name = "lookup-sql-begin",
     .title = "the same, many in one transaction",
     .unit = "us",
     .metric = 2,
     .ours = "seqdb SQL",
     .peer = "SQLite"},
    {.name = NULL},
};

const bench_workload bench_many_workloads[] = {
    {.name = "create", .cases = create_cases, .rows = create_rows},
    {.name = "open", .cases = open_cases, .rows = open_rows},
    {.name = "scan", .cases = scan_cases, .rows = scan_rows},
    {.name = NULL},
};
