/* SPDX-License-Identifier: MIT
**
** work_append.c: appending records of 64 bytes, to one region by one thread, and to two by two.  Nothing is flushed in
** the timed part: what is measured is the cost of a call.  Buffers of the contender's own that are still unwritten at
** the end stay out of it too; the plain program writes all of its bytes. Record i holds i in its first 8 bytes and the
** same 56 bytes after it.
*/
#include "contenders.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define RECORD_BYTES 64

static uint64_t records_of(const bench_run *run) {
  return bench_size(run, 4000000, 40000);
}

static void record_new(uint8_t record[RECORD_BYTES]) {
  bench_fill(record, RECORD_BYTES, 64);
}

static inline void record_stamp(uint8_t record[RECORD_BYTES], uint64_t i) {
  memcpy(record, &i, sizeof i);
}

static uint64_t expected_hash(bench_run *run, uint64_t count) {
  bench_hash *hash = bench_hash_new(run);
  uint8_t record[RECORD_BYTES];
  record_new(record);
  for (uint64_t i = 0; i < count; i++) {
    record_stamp(record, i);
    bench_hash_add(hash, record, RECORD_BYTES);
  }
  return bench_hash_end(hash);
}

static void check_bytes(bench_run *run, const void *data, uint64_t count) {
  bench_hash *hash = bench_hash_new(run);
  bench_hash_add(hash, data, count * RECORD_BYTES);
  bench_check(run, bench_hash_end(hash) == expected_hash(run, count), "appended bytes differ");
}

static void check_region(bench_run *run, seqdb *db, const char *name, uint64_t count) {
  seqdb_snapshot *snapshot = bench_seqdb_snapshot(run, db);
  seqdb_region region = bench_seqdb_find(run, snapshot, name);
  seqdb_region_info info;
  const void *data = NULL;
  bench_seqdb_must(run, db, seqdb_get_info(seqdb_snapshot_view(snapshot), region, &info), "info");
  bench_check(run, info.length_bytes == count * RECORD_BYTES, "length of the region");
  bench_check(run, seqdb_read(seqdb_snapshot_view(snapshot), region, 0, count * RECORD_BYTES, &data) == SEQDB_OK,
              "region is not mapped");
  check_bytes(run, data, count);
  seqdb_snapshot_close(snapshot);
}

static void check_file(bench_run *run, const char *name, uint64_t count) {
  int fd = bench_plain_open(run, name);
  bench_check(run, lseek(fd, 0, SEEK_END) == (off_t)(count * RECORD_BYTES), "size of the file");
  check_bytes(run, bench_plain_map(run, fd, count * RECORD_BYTES), count);
  close(fd);
}

/* ---- one thread -------------------------------------------------------------------------------------------------- */

static void seqdb_loop(bench_run *run, seqdb *db, seqdb_region region, uint64_t count) {
  uint8_t record[RECORD_BYTES];
  record_new(record);
  for (uint64_t i = 0; i < count; i++) {
    record_stamp(record, i);
    int code = seqdb_append(db, region, record, RECORD_BYTES, NULL);
    if (code != SEQDB_OK) bench_seqdb_must(run, db, code, "append");
  }
}

static void append_seqdb(bench_run *run) {
  uint64_t count = records_of(run);
  seqdb *db = bench_seqdb_open(run);
  seqdb_region region = bench_seqdb_region(run, db, "log");
  bench_seqdb_flush(run, db);
  bench_begin(run);
  seqdb_loop(run, db, region, count);
  bench_metric(run, 0, bench_end(run) / (double)count);
  bench_seqdb_flush(run, db);
  check_region(run, db, "log", count);
  seqdb_close(db);
}

static void append_sql(bench_run *run) {
  uint64_t count = records_of(run);
  uint8_t record[RECORD_BYTES];
  sqlite3 *db = bench_sql_open(run);
  bench_sql(run, db, "INSERT INTO r(name) VALUES('log')");
  sqlite3_stmt *append = bench_prepare(run, db, "SELECT seqdb_append('r', ?1, ?2)");
  sqlite3_bind_text(append, 1, "log", 3, SQLITE_STATIC);
  record_new(record);
  bench_sql(run, db, "BEGIN");
  bench_begin(run);
  for (uint64_t i = 0; i < count; i++) {
    record_stamp(record, i);
    sqlite3_bind_blob(append, 2, record, RECORD_BYTES, SQLITE_STATIC);
    bench_step(run, append, SQLITE_ROW);
    sqlite3_reset(append);
  }
  bench_metric(run, 0, bench_end(run) / (double)count);
  bench_sql(run, db, "COMMIT");
  sqlite3_stmt *read = bench_prepare(run, db, "SELECT content FROM r WHERE name = 'log'");
  bench_step(run, read, SQLITE_ROW);
  bench_check(run, sqlite3_column_bytes(read, 0) == (int)(count * RECORD_BYTES), "length of content");
  check_bytes(run, sqlite3_column_blob(read, 0), count);
}

static void append_region_blob(bench_run *run) {
  uint64_t count = records_of(run);
  uint8_t record[RECORD_BYTES];
  sqlite3_int64 bytes = 0;
  const void *data = NULL;
  sqlite3 *db = bench_sql_open(run);
  seqdb_blob *blob = bench_region_blob(run, db, "log", SEQDB_BLOB_CREATE);
  record_new(record);
  bench_sql(run, db, "BEGIN");
  bench_begin(run);
  for (uint64_t i = 0; i < count; i++) {
    record_stamp(record, i);
    int code = seqdb_blob_append(blob, record, RECORD_BYTES);
    if (code != SQLITE_OK) bench_sqlite_must(run, db, code, "seqdb_blob_append");
  }
  bench_metric(run, 0, bench_end(run) / (double)count);
  bench_sql(run, db, "COMMIT");
  bench_sqlite_must(run, db, seqdb_blob_map(blob, &data, &bytes), "seqdb_blob_map");
  bench_check(run, (uint64_t)bytes == count * RECORD_BYTES, "length");
  check_bytes(run, data, count);
}

static void append_sqlite_rows(bench_run *run) {
  uint64_t count = records_of(run), rows = 0;
  uint8_t record[RECORD_BYTES];
  sqlite3 *db = bench_sqlite_open(run, BENCH_ROLLBACK);
  bench_sql(run, db, "CREATE TABLE log(id INTEGER PRIMARY KEY, content BLOB)");
  sqlite3_stmt *insert = bench_prepare(run, db, "INSERT INTO log(content) VALUES(?1)");
  record_new(record);
  bench_sql(run, db, "BEGIN IMMEDIATE");
  bench_begin(run);
  for (uint64_t i = 0; i < count; i++) {
    record_stamp(record, i);
    sqlite3_bind_blob(insert, 1, record, RECORD_BYTES, SQLITE_STATIC);
    bench_step(run, insert, SQLITE_DONE);
    sqlite3_reset(insert);
  }
  bench_metric(run, 0, bench_end(run) / (double)count);
  bench_sql(run, db, "COMMIT");
  sqlite3_stmt *read = bench_prepare(run, db, "SELECT content FROM log ORDER BY id");
  bench_hash *hash = bench_hash_new(run);
  for (; sqlite3_step(read) == SQLITE_ROW; rows++)
    bench_hash_add(hash, sqlite3_column_blob(read, 0), RECORD_BYTES);
  bench_check(run, rows == count, "number of rows");
  bench_check(run, bench_hash_end(hash) == expected_hash(run, count), "bytes of the rows");
}

/* One value of the final size, made beforehand, filled with sqlite3_blob_write(): incremental blob I/O cannot grow
** one. */
static void append_sqlite_blob(bench_run *run) {
  uint64_t count = records_of(run);
  uint8_t record[RECORD_BYTES];
  sqlite3 *db = bench_sqlite_open(run, BENCH_ROLLBACK);
  bench_sql(run, db, "CREATE TABLE log(id INTEGER PRIMARY KEY, content BLOB)");
  sqlite3_stmt *insert = bench_prepare(run, db, "INSERT INTO log VALUES(1, zeroblob(?1))");
  sqlite3_bind_int64(insert, 1, (sqlite3_int64)(count * RECORD_BYTES));
  bench_sql(run, db, "BEGIN IMMEDIATE");
  bench_step(run, insert, SQLITE_DONE);
  sqlite3_reset(insert);
  sqlite3_blob *blob = bench_blob_open(run, db, "log", 1, true);
  record_new(record);
  bench_begin(run);
  for (uint64_t i = 0; i < count; i++) {
    record_stamp(record, i);
    int code = sqlite3_blob_write(blob, record, RECORD_BYTES, (int)(i * RECORD_BYTES));
    if (code != SQLITE_OK) bench_sqlite_must(run, db, code, "blob_write");
  }
  bench_metric(run, 0, bench_end(run) / (double)count);
  sqlite3_blob_close(blob);
  bench_sql(run, db, "COMMIT");
  sqlite3_stmt *read = bench_prepare(run, db, "SELECT content FROM log");
  bench_step(run, read, SQLITE_ROW);
  check_bytes(run, sqlite3_column_blob(read, 0), count);
}

static void append_lmdb(bench_run *run) {
  uint64_t count = records_of(run), rows = 0;
  uint8_t record[RECORD_BYTES];
  bench_lmdb lmdb;
  MDB_cursor *cursor = NULL;
  uint64_t number = 0;
  MDB_val key = {sizeof number, &number}, value = {RECORD_BYTES, record};
  bench_lmdb_open(run, MDB_WRITEMAP, 4 * BENCH_GIB, true, &lmdb);
  record_new(record);
  bench_lmdb_begin(run, &lmdb, 0);
  bench_lmdb_must(run, mdb_cursor_open(lmdb.txn, lmdb.dbi, &cursor), "cursor");
  bench_begin(run);
  for (number = 0; number < count; number++) {
    record_stamp(record, number);
    int code = mdb_cursor_put(cursor, &key, &value, MDB_APPEND);
    if (code != 0) bench_lmdb_must(run, code, "put");
  }
  bench_metric(run, 0, bench_end(run) / (double)count);
  mdb_cursor_close(cursor);
  bench_lmdb_commit(run, &lmdb);
  bench_lmdb_begin(run, &lmdb, MDB_RDONLY);
  bench_lmdb_must(run, mdb_cursor_open(lmdb.txn, lmdb.dbi, &cursor), "cursor");
  bench_hash *hash = bench_hash_new(run);
  for (; mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0; rows++)
    bench_hash_add(hash, value.mv_data, value.mv_size);
  bench_check(run, rows == count && bench_hash_end(hash) == expected_hash(run, count), "LMDB's records");
}

static void plain_loop(bench_run *run, bench_plain *plain, uint64_t count) {
  uint8_t record[RECORD_BYTES];
  record_new(record);
  for (uint64_t i = 0; i < count; i++) {
    record_stamp(record, i);
    bench_plain_append(run, plain, record, RECORD_BYTES);
  }
  bench_plain_flush(run, plain);
}

static void append_plain(bench_run *run) {
  uint64_t count = records_of(run);
  bench_plain plain;
  bench_plain_new(run, "log", &plain);
  bench_begin(run);
  plain_loop(run, &plain, count);
  bench_metric(run, 0, bench_end(run) / (double)count);
  bench_plain_free(&plain);
  check_file(run, "log", count);
}

static const bench_case append_cases[] = {
    {"plain", NULL, append_plain},
    {"seqdb", NULL, append_seqdb},
    {"seqdb SQL", NULL, append_sql},
    {"SQLite rows", NULL, append_sqlite_rows},
    {"seqdb blob_append", NULL, append_region_blob},
    {"SQLite blob_write", NULL, append_sqlite_blob},
    {"LMDB", NULL, append_lmdb},
    {NULL, NULL, NULL},
};
static const bench_row append_rows[] = {
    {.name = "append64",
     .title = "append 64 B x 4 M to one region, without the flush",
     .unit = "ns/record",
     .ours = "seqdb",
     .peer = "plain",
     .limit = 1.5,
     .at_most = true,
     .gigabytes = RECORD_BYTES / 1e9},
    {.name = "append64-sql",
     .title = "the same through SQL (seqdb_append, prepared, in a transaction)",
     .unit = "ns/record",
     .ours = "seqdb SQL",
     .peer = "SQLite rows",
     .limit = 0.75,
     .at_most = true},
    {.name = "append64-blob",
     .title = "the same by seqdb_blob_append, beside sqlite3_blob_write",
     .unit = "ns/record",
     .ours = "seqdb blob_append",
     .peer = "SQLite blob_write",
     .limit = 1.0,
     .at_most = true},
    {.name = NULL},
};

/* ---- several threads --------------------------------------------------------------------------------------------- */

typedef struct seqdb_shared {
  seqdb *db;
  seqdb_region regions[2];
} seqdb_shared;

static void seqdb_thread(bench_run *run, unsigned index, void *context) {
  seqdb_shared *shared = context;
  seqdb_loop(run, shared->db, shared->regions[index], records_of(run));
}

static void threads_seqdb(bench_run *run, unsigned threads) {
  seqdb_shared shared = {.db = bench_seqdb_open(run)};
  shared.regions[0] = bench_seqdb_region(run, shared.db, "log 0");
  shared.regions[1] = bench_seqdb_region(run, shared.db, "log 1");
  bench_seqdb_flush(run, shared.db);
  double ns = bench_threads(run, threads, seqdb_thread, &shared);
  bench_metric(run, 0, (double)(threads * records_of(run)) / ns * 1e3);
  bench_seqdb_flush(run, shared.db);
  check_region(run, shared.db, "log 0", records_of(run));
  check_region(run, shared.db, "log 1", threads == 2 ? records_of(run) : 0);
  seqdb_close(shared.db);
}

static void threads_seqdb_1(bench_run *run) {
  threads_seqdb(run, 1);
}
static void threads_seqdb_2(bench_run *run) {
  threads_seqdb(run, 2);
}

typedef struct plain_shared {
  bench_plain files[2];
} plain_shared;

static void plain_thread(bench_run *run, unsigned index, void *context) {
  plain_shared *shared = context;
  plain_loop(run, &shared->files[index], records_of(run));
}

static void threads_plain(bench_run *run, unsigned threads, bool one_file) {
  plain_shared shared;
  bench_plain_new(run, "log 0", &shared.files[0]);
  bench_plain_new(run, one_file ? "log 0" : "log 1", &shared.files[1]);
  if (one_file) shared.files[1].offset = records_of(run) * RECORD_BYTES;
  double ns = bench_threads(run, threads, plain_thread, &shared);
  bench_metric(run, 0, (double)(threads * records_of(run)) / ns * 1e3);
  if (!one_file) check_file(run, "log 0", records_of(run));
}

static void threads_plain_1(bench_run *run) {
  threads_plain(run, 1, false);
}
static void threads_plain_2(bench_run *run) {
  threads_plain(run, 2, false);
}
/* The kernel lets one writer at a time into a file: this shows what that alone costs. */
static void threads_plain_one_file(bench_run *run) {
  threads_plain(run, 2, true);
}

static const bench_case threads_cases[] = {
    {"seqdb, 1 thread", NULL, threads_seqdb_1},
    {"seqdb, 2 threads", NULL, threads_seqdb_2},
    {"plain, 1 thread", NULL, threads_plain_1},
    {"plain, 2 threads", NULL, threads_plain_2},
    {"plain, 2 threads, one file", NULL, threads_plain_one_file},
    {NULL, NULL, NULL},
};
static const bench_row threads_rows[] = {
    {.name = "append64-threads",
     .title = "append 64 B x 4 M to a region each by two threads",
     .unit = "M records/s",
     .ours = "seqdb, 2 threads",
     .peer = "seqdb, 1 thread",
     .limit = 1.7},
    {.name = NULL},
};

const bench_workload bench_append_workloads[] = {
    {.name = "append64", .cases = append_cases, .rows = append_rows},
    {.name = "append64-threads", .cases = threads_cases, .rows = threads_rows},
    {.name = NULL},
};
