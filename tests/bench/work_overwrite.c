/* SPDX-License-Identifier: MIT
**
** work_overwrite.c: a million overwrites of 8 bytes at random places of one value of 256 MiB, in one transaction, with
** its commit. The value is made anew for each measurement, and compared byte by byte with a copy in memory afterwards.
** LMDB cannot change a part of a value: there the value is cut into pages of its own, and the page is put anew.
*/
#include "contenders.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define BLOCK_BYTES BENCH_MIB
#define PIECE_BYTES 8
#define LMDB_CHUNK \
  ((uint64_t)2000) /* two of them fit an LMDB page with their headers: the largest that are no overflow pages */

static uint64_t value_bytes(const bench_run *run) {
  return bench_size(run, 256 * BENCH_MIB, 4 * BENCH_MIB);
}
static uint64_t writes_of(const bench_run *run) {
  return bench_size(run, 1000000, 10000);
}
/* Where write i goes, a multiple of 8, and what it writes. */
static inline uint64_t next_place(uint64_t *seed, uint64_t span) {
  return bench_random(seed) % (span / PIECE_BYTES) * PIECE_BYTES;
}

/* The value before, in memory. */
static uint8_t *model_new(bench_run *run) {
  uint8_t *model = bench_alloc(run, value_bytes(run));
  for (uint64_t at = 0; at < value_bytes(run); at += BLOCK_BYTES)
    bench_fill(model + at, BLOCK_BYTES, at);
  return model;
}
static void model_change(bench_run *run, uint8_t *model) {
  uint64_t seed = 8, span = value_bytes(run);
  for (uint64_t i = 0; i < writes_of(run); i++)
    memcpy(model + next_place(&seed, span), &i, PIECE_BYTES);
}
static void check_value(bench_run *run, uint8_t *model, const void *value) {
  model_change(run, model);
  bench_check(run, memcmp(model, value, value_bytes(run)) == 0, "bytes after the overwrites");
}
static void report(bench_run *run) {
  bench_metric(run, 0, bench_end(run) / (double)writes_of(run));
}

static void overwrite_seqdb(bench_run *run) {
  uint8_t *model = model_new(run);
  uint64_t seed = 8, span = value_bytes(run);
  const void *data = NULL;
  seqdb *db = bench_seqdb_open(run);
  seqdb_region region = bench_seqdb_region(run, db, "value");
  bench_seqdb_must(run, db, seqdb_append(db, region, model, span, NULL), "append");
  bench_seqdb_flush(run, db);
  bench_begin(run);
  for (uint64_t i = 0; i < writes_of(run); i++) {
    int code = seqdb_write(db, region, next_place(&seed, span), &i, PIECE_BYTES);
    if (code != SEQDB_OK) bench_seqdb_must(run, db, code, "write");
  }
  bench_seqdb_flush(run, db);
  report(run);
  seqdb_close(db);
  db = bench_seqdb_open(run);
  seqdb_snapshot *snapshot = bench_seqdb_snapshot(run, db);
  region = bench_seqdb_find(run, snapshot, "value");
  bench_check(run, seqdb_read(seqdb_snapshot_view(snapshot), region, 0, span, &data) == SEQDB_OK,
              "region is not mapped");
  check_value(run, model, data);
}

static void overwrite_sql(bench_run *run) {
  uint8_t *model = model_new(run);
  uint64_t seed = 8, span = value_bytes(run);
  sqlite3 *db = bench_sql_open(run);
  sqlite3_stmt *create = bench_prepare(run, db, "INSERT INTO r(name, content) VALUES('value', ?1)");
  sqlite3_bind_blob(create, 1, model, (int)span, SQLITE_STATIC);
  bench_step(run, create, SQLITE_DONE);
  sqlite3_finalize(create);
  sqlite3_stmt *write = bench_prepare(run, db, "SELECT seqdb_write('r', 'value', ?1, ?2)");
  bench_begin(run);
  bench_sql(run, db, "BEGIN");
  for (uint64_t i = 0; i < writes_of(run); i++) {
    sqlite3_bind_int64(write, 1, (sqlite3_int64)next_place(&seed, span));
    sqlite3_bind_blob(write, 2, &i, PIECE_BYTES, SQLITE_STATIC);
    bench_step(run, write, SQLITE_ROW);
    sqlite3_reset(write);
  }
  bench_sql(run, db, "COMMIT");
  report(run);
  sqlite3_stmt *read = bench_prepare(run, db, "SELECT content FROM r WHERE name = 'value'");
  bench_step(run, read, SQLITE_ROW);
  check_value(run, model, sqlite3_column_blob(read, 0));
}

static void overwrite_region_blob(bench_run *run) {
  uint8_t *model = model_new(run);
  uint64_t seed = 8, span = value_bytes(run);
  sqlite3_int64 bytes = 0;
  const void *data = NULL;
  sqlite3 *db = bench_sql_open(run);
  seqdb_blob *blob = bench_region_blob(run, db, "value", SEQDB_BLOB_CREATE);
  bench_sqlite_must(run, db, seqdb_blob_append(blob, model, (sqlite3_int64)span), "seqdb_blob_append");
  bench_begin(run);
  bench_sql(run, db, "BEGIN");
  for (uint64_t i = 0; i < writes_of(run); i++) {
    int code = seqdb_blob_write(blob, &i, PIECE_BYTES, (sqlite3_int64)next_place(&seed, span));
    if (code != SQLITE_OK) bench_sqlite_must(run, db, code, "seqdb_blob_write");
  }
  bench_sql(run, db, "COMMIT");
  report(run);
  bench_sqlite_must(run, db, seqdb_blob_map(blob, &data, &bytes), "seqdb_blob_map");
  bench_check(run, (uint64_t)bytes == span, "length");
  check_value(run, model, data);
}

static void overwrite_sqlite(bench_run *run, bench_journal journal) {
  uint8_t *model = model_new(run);
  uint64_t seed = 8, span = value_bytes(run);
  sqlite3 *db = bench_sqlite_open(run, journal);
  bench_sql(run, db, "CREATE TABLE t(id INTEGER PRIMARY KEY, content BLOB)");
  sqlite3_stmt *create = bench_prepare(run, db, "INSERT INTO t VALUES(1, ?1)");
  sqlite3_bind_blob(create, 1, model, (int)span, SQLITE_STATIC);
  bench_step(run, create, SQLITE_DONE);
  sqlite3_finalize(create);
  if (journal == BENCH_WAL) bench_sql(run, db, "PRAGMA wal_checkpoint(TRUNCATE)");
  bench_begin(run);
  bench_sql(run, db, "BEGIN IMMEDIATE");
  sqlite3_blob *blob = bench_blob_open(run, db, "t", 1, true);
  for (uint64_t i = 0; i < writes_of(run); i++) {
    int code = sqlite3_blob_write(blob, &i, PIECE_BYTES, (int)next_place(&seed, span));
    if (code != SQLITE_OK) bench_sqlite_must(run, db, code, "blob_write");
  }
  sqlite3_blob_close(blob);
  bench_sql(run, db, "COMMIT");
  report(run);
  sqlite3_stmt *read = bench_prepare(run, db, "SELECT content FROM t");
  bench_step(run, read, SQLITE_ROW);
  check_value(run, model, sqlite3_column_blob(read, 0));
}
static void overwrite_sqlite_wal(bench_run *run) {
  overwrite_sqlite(run, BENCH_WAL);
}
static void overwrite_sqlite_rollback(bench_run *run) {
  overwrite_sqlite(run, BENCH_ROLLBACK);
}

static void overwrite_lmdb(bench_run *run) {
  uint8_t *model = model_new(run);
  uint64_t seed = 8, span = value_bytes(run), number = 0;
  MDB_val key = {sizeof number, &number}, value;
  bench_lmdb lmdb;
  bench_lmdb_open(run, MDB_WRITEMAP, 4 * BENCH_GIB, true, &lmdb);
  bench_lmdb_begin(run, &lmdb, 0);
  for (uint64_t at = 0; at < span; at += LMDB_CHUNK, number++) {
    value = (MDB_val){span - at < LMDB_CHUNK ? span - at : LMDB_CHUNK, model + at};
    bench_lmdb_must(run, mdb_put(lmdb.txn, lmdb.dbi, &key, &value, MDB_APPEND), "put");
  }
  bench_lmdb_commit(run, &lmdb);
  bench_begin(run);
  bench_lmdb_begin(run, &lmdb, 0);
  MDB_cursor *cursor = NULL;
  bench_lmdb_must(run, mdb_cursor_open(lmdb.txn, lmdb.dbi, &cursor), "cursor");
  for (uint64_t i = 0; i < writes_of(run); i++) {
    uint64_t place = next_place(&seed, span);
    uint8_t chunk[LMDB_CHUNK];
    number = place / LMDB_CHUNK;
    bench_lmdb_must(run, mdb_cursor_get(cursor, &key, &value, MDB_SET), "get");
    memcpy(chunk, value.mv_data, value.mv_size);
    memcpy(chunk + place % LMDB_CHUNK, &i, PIECE_BYTES); /* LMDB_CHUNK is a multiple of 8 */
    value.mv_data = chunk;
    bench_lmdb_must(run, mdb_cursor_put(cursor, &key, &value, MDB_CURRENT), "put");
  }
  mdb_cursor_close(cursor);
  bench_lmdb_commit(run, &lmdb);
  report(run);
  model_change(run, model);
  bench_lmdb_begin(run, &lmdb, MDB_RDONLY);
  number = 0;
  for (uint64_t at = 0; at < span; at += value.mv_size, number++) {
    bench_lmdb_must(run, mdb_get(lmdb.txn, lmdb.dbi, &key, &value), "get");
    bench_check(run, memcmp(model + at, value.mv_data, value.mv_size) == 0, "bytes after the overwrites");
  }
}

static int plain_value(bench_run *run, const uint8_t *model) {
  int fd = bench_plain_open(run, "value");
  bench_pwrite(run, fd, model, value_bytes(run), 0);
  bench_fdatasync(run, fd);
  return fd;
}

/* In place: a crash leaves some of the writes done and some not. */
static void overwrite_plain(bench_run *run) {
  uint8_t *model = model_new(run);
  uint64_t seed = 8, span = value_bytes(run);
  int fd = plain_value(run, model);
  bench_begin(run);
  for (uint64_t i = 0; i < writes_of(run); i++)
    bench_pwrite(run, fd, &i, PIECE_BYTES, next_place(&seed, span));
  bench_fdatasync(run, fd);
  report(run);
  check_value(run, model, bench_plain_map(run, fd, span));
}

/* The same through a writable mapping. */
static void overwrite_plain_map(bench_run *run) {
  uint8_t *model = model_new(run);
  uint64_t seed = 8, span = value_bytes(run);
  int fd = plain_value(run, model);
  uint8_t *map = mmap(NULL, span, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (map == MAP_FAILED) bench_fail(run, "mmap failed");
  bench_begin(run);
  for (uint64_t i = 0; i < writes_of(run); i++)
    memcpy(map + next_place(&seed, span), &i, PIECE_BYTES);
  if (msync(map, span, MS_SYNC) != 0) bench_fail(run, "msync failed");
  report(run);
  check_value(run, model, map);
}

static const bench_case overwrite_cases[] = {
    {"plain, not atomic", NULL, overwrite_plain},
    {"plain mmap, not atomic", NULL, overwrite_plain_map},
    {"seqdb", NULL, overwrite_seqdb},
    {"seqdb SQL", NULL, overwrite_sql},
    {"seqdb blob_write", NULL, overwrite_region_blob},
    {"SQLite blob_write", NULL, overwrite_sqlite_rollback},
    {"SQLite blob_write, WAL", NULL, overwrite_sqlite_wal},
    {"LMDB, in chunks", NULL, overwrite_lmdb},
    {NULL, NULL, NULL},
};
static const bench_row overwrite_rows[] = {
    {.name = "overwrite8",
     .title = "1 M random 8-byte overwrites in 256 MiB, one transaction, with commit",
     .unit = "ns",
     .ours = "seqdb",
     .peer = "SQLite blob_write",
     .limit = 0.2,
     .at_most = true},
    {.name = "overwrite8-blob",
     .title = "the same by seqdb_blob_write, beside sqlite3_blob_write",
     .unit = "ns",
     .ours = "seqdb blob_write",
     .peer = "SQLite blob_write",
     .limit = 1.0,
     .at_most = true},
    {.name = NULL},
};

const bench_workload bench_overwrite_workloads[] = {
    {.name = "overwrite8", .cases = overwrite_cases, .rows = overwrite_rows},
    {.name = NULL},
};
