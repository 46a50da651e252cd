/* SPDX-License-Identifier: MIT
**
** work_space.c: giving space back: of 1,000 regions of 256 KiB every second one is removed, committed, and the space
** returned to the file system.  Afterwards the others are compared byte by byte, and the disk blocks that are still
** held are counted.
*/
#include "contenders.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define REGION_BYTES ((size_t)(256 * 1024))

static uint64_t regions_of(const bench_run *run) {
  return bench_size(run, 1000, 20);
}
static const char *name_of(uint64_t i) {
  static char name[32];
  snprintf(name, sizeof name, "region %llu", (unsigned long long)i);
  return name;
}
static uint8_t *content_new(bench_run *run) {
  uint8_t *content = bench_alloc(run, REGION_BYTES);
  bench_fill(content, REGION_BYTES, REGION_BYTES);
  return content;
}
static inline void content_stamp(uint8_t *content, uint64_t i) {
  memcpy(content, &i, sizeof i);
}
static void check_content(bench_run *run, uint8_t *content, uint64_t i, const void *data, size_t bytes) {
  content_stamp(content, i);
  bench_check(run, bytes == REGION_BYTES && memcmp(content, data, REGION_BYTES) == 0, "a region that was kept");
}
/* Metric 0: ms; 1: blocks held, against the content that is left. */
static void report(bench_run *run, double ns, const char *path) {
  bench_metric(run, 0, ns / 1e6);
  bench_metric(run, 1, (double)bench_disk_bytes(path) / (double)(regions_of(run) / 2 * REGION_BYTES));
}

static void remove_seqdb(bench_run *run) {
  uint64_t count = regions_of(run);
  uint8_t *content = content_new(run);
  seqdb *db = bench_seqdb_open(run);
  seqdb_region *regions = bench_alloc(run, count * sizeof *regions);
  for (uint64_t i = 0; i < count; i++) {
    content_stamp(content, i);
    regions[i] = bench_seqdb_region(run, db, name_of(i));
    bench_seqdb_must(run, db, seqdb_append(db, regions[i], content, REGION_BYTES, NULL), "append");
  }
  bench_seqdb_flush(run, db);
  bench_seqdb_must(run, db, seqdb_checkpoint(db), "checkpoint");
  bench_begin(run);
  for (uint64_t i = 1; i < count; i += 2)
    bench_seqdb_must(run, db, seqdb_remove(db, regions[i]), "remove");
  bench_seqdb_flush(run, db);
  bench_seqdb_must(run, db, seqdb_compact(db, NULL), "compact");
  report(run, bench_end(run), run->dir);
  seqdb_snapshot *snapshot = bench_seqdb_snapshot(run, db);
  for (uint64_t i = 0; i < count; i += 2) {
    const void *data = NULL;
    bench_check(run, seqdb_read(seqdb_snapshot_view(snapshot), regions[i], 0, REGION_BYTES, &data) == SEQDB_OK,
                "region is not mapped");
    check_content(run, content, i, data, REGION_BYTES);
  }
}

/* Rows 1..count by `insert`; every second one removed by `remove`, the space returned by `shrink`; the rest read by
** `select`. */
static void remove_by_sql(bench_run *run, sqlite3 *db, const char *insert_sql, const char *settle_sql,
                          const char *remove_sql, const char *shrink_sql, const char *select_sql) {
  uint64_t count = regions_of(run);
  uint8_t *content = content_new(run);
  sqlite3_stmt *insert = bench_prepare(run, db, insert_sql);
  bench_sql(run, db, "BEGIN");
  for (uint64_t i = 0; i < count; i++) {
    content_stamp(content, i);
    sqlite3_bind_text(insert, 1, name_of(i), -1, SQLITE_STATIC);
    sqlite3_bind_blob(insert, 2, content, (int)REGION_BYTES, SQLITE_STATIC);
    bench_step(run, insert, SQLITE_DONE);
    sqlite3_reset(insert);
  }
  sqlite3_finalize(insert);
  bench_sql(run, db, "COMMIT");
  bench_sql(run, db, settle_sql);
  bench_begin(run);
  bench_sql(run, db, remove_sql);
  bench_sql(run, db, shrink_sql);
  report(run, bench_end(run), run->dir);
  sqlite3_stmt *select = bench_prepare(run, db, select_sql);
  for (uint64_t i = 0; i < count; i += 2) {
    sqlite3_bind_text(select, 1, name_of(i), -1, SQLITE_STATIC);
    bench_step(run, select, SQLITE_ROW);
    const void *data = sqlite3_column_blob(select, 0);
    check_content(run, content, i, data, (size_t)sqlite3_column_bytes(select, 0));
    sqlite3_reset(select);
  }
}

static void remove_sql(bench_run *run) {
  remove_by_sql(run, bench_sql_open(run), "INSERT INTO r(name, content) VALUES(?1, ?2)", "SELECT seqdb_flush('r')",
                "DELETE FROM r WHERE rowid % 2 = 0", "SELECT seqdb_compact('r')",
                "SELECT content FROM r WHERE name = ?1");
}

#define SQLITE_TABLE "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, content BLOB)"

static void remove_sqlite(bench_run *run) {
  sqlite3 *db = bench_sqlite_open(run, BENCH_ROLLBACK);
  bench_sql(run, db, SQLITE_TABLE);
  remove_by_sql(run, db, "INSERT INTO t(name, content) VALUES(?1, ?2)", "", "DELETE FROM t WHERE id % 2 = 0", "VACUUM",
                "SELECT content FROM t WHERE name = ?1");
}
/* Needs a database that was made for it: page maps everywhere, which every write keeps up. */
static void remove_sqlite_incremental(bench_run *run) {
  sqlite3 *db = bench_sqlite_open(run, BENCH_ROLLBACK);
  bench_sql(run, db, "PRAGMA auto_vacuum=INCREMENTAL; " SQLITE_TABLE);
  remove_by_sql(run, db, "INSERT INTO t(name, content) VALUES(?1, ?2)", "", "DELETE FROM t WHERE id % 2 = 0",
                "PRAGMA incremental_vacuum", "SELECT content FROM t WHERE name = ?1");
}

/* LMDB's file never shrinks: its documentation's way is a compacting copy, which then takes the place of the file. */
static void remove_lmdb(bench_run *run) {
  uint64_t count = regions_of(run), number = 0;
  uint8_t *content = content_new(run);
  bench_lmdb lmdb;
  MDB_val key = {sizeof number, &number}, value;
  bench_lmdb_open(run, 0, BENCH_GIB, true, &lmdb);
  bench_lmdb_begin(run, &lmdb, 0);
  for (number = 0; number < count; number++) {
    content_stamp(content, number);
    value = (MDB_val){REGION_BYTES, content};
    bench_lmdb_must(run, mdb_put(lmdb.txn, lmdb.dbi, &key, &value, MDB_APPEND), "put");
  }
  bench_lmdb_commit(run, &lmdb);
  mkdir(bench_path(run, "copy"), 0755);
  int dir = open(bench_path(run, "lmdb"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  bench_begin(run);
  bench_lmdb_begin(run, &lmdb, 0);
  for (number = 1; number < count; number += 2)
    bench_lmdb_must(run, mdb_del(lmdb.txn, lmdb.dbi, &key, NULL), "del");
  bench_lmdb_commit(run, &lmdb);
  bench_lmdb_must(run, mdb_env_copy2(lmdb.env, bench_path(run, "copy"), MDB_CP_COMPACT), "copy");
  bench_lmdb_close(&lmdb);
  int copy = bench_plain_open(run, "copy/data.mdb");
  bench_fdatasync(run, copy);
  close(copy);
  char to[BENCH_PATH_BYTES];
  snprintf(to, sizeof to, "%s", bench_path(run, "lmdb/data.mdb"));
  if (rename(bench_path(run, "copy/data.mdb"), to) != 0 || fsync(dir) != 0)
    bench_fail(run, "rename: %s", strerror(errno));
  report(run, bench_end(run), run->dir);
  bench_lmdb_open(run, 0, BENCH_GIB, true, &lmdb);
  bench_lmdb_begin(run, &lmdb, MDB_RDONLY);
  for (number = 0; number < count; number += 2) {
    bench_lmdb_must(run, mdb_get(lmdb.txn, lmdb.dbi, &key, &value), "get");
    check_content(run, content, number, value.mv_data, value.mv_size);
  }
}

static void remove_plain(bench_run *run) {
  uint64_t count = regions_of(run);
  uint8_t *content = content_new(run);
  for (uint64_t i = 0; i < count; i++) {
    content_stamp(content, i);
    int fd = bench_plain_open(run, name_of(i));
    bench_pwrite(run, fd, content, REGION_BYTES, 0);
    close(fd);
  }
  int dir = open(run->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  bench_begin(run);
  for (uint64_t i = 1; i < count; i += 2) {
    if (unlinkat(dir, name_of(i), 0) != 0) bench_fail(run, "unlink: %s", strerror(errno));
  }
  if (fsync(dir) != 0) bench_fail(run, "fsync: %s", strerror(errno));
  report(run, bench_end(run), run->dir);
  for (uint64_t i = 0; i < count; i += 2) {
    int fd = bench_plain_open(run, name_of(i));
    check_content(run, content, i, bench_plain_map(run, fd, REGION_BYTES), REGION_BYTES);
    close(fd);
  }
}

static const bench_case remove_cases[] = {
    {"plain files, unlink", NULL, remove_plain},
    {"seqdb", NULL, remove_seqdb},
    {"seqdb SQL", NULL, remove_sql},
    {"SQLite VACUUM", NULL, remove_sqlite},
    {"SQLite incremental", NULL, remove_sqlite_incremental},
    {"LMDB, compacting copy", NULL, remove_lmdb},
    {NULL, NULL, NULL},
};
static const bench_row remove_rows[] = {
    {.name = "remove",
     .title = "remove 500 of 1,000 regions of 256 KiB, commit, give the space back",
     .unit = "ms",
     .ours = "seqdb",
     .peer = "SQLite VACUUM",
     .limit = 0.12,
     .at_most = true},
    {.name = "remove-disk", .title = "disk held afterwards", .unit = "x content", .metric = 1, .ours = "seqdb"},
    {.name = NULL},
};

const bench_workload bench_space_workloads[] = {
    {.name = "remove", .cases = remove_cases, .rows = remove_rows},
    {.name = NULL},
};
