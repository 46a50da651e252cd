/* SPDX-License-Identifier: MIT
**
** work_bulk.c: bytes by the block: 64 KiB to 1 GiB with the flush, 100 regions in turns, and one value that grows
** through SQL. Block i of a stream holds i in its first 8 bytes and pseudo-random bytes after it, the same ones in
** every block.
*/
#include "contenders.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK_BYTES ((size_t)(64 * 1024))
#define TURN_BYTES  ((size_t)4096)
#define VALUE_MAX   (512 * BENCH_MIB) /* SQLite's limit for a value is 1e9 bytes */

static uint8_t *block_new(bench_run *run, size_t bytes) {
  uint8_t *block = bench_alloc(run, bytes);
  bench_fill(block, bytes, bytes);
  return block;
}
static inline void block_stamp(uint8_t *block, uint64_t i) {
  memcpy(block, &i, sizeof i);
}
static uint64_t expected_hash(bench_run *run, size_t block_bytes, uint64_t count) {
  bench_hash *hash = bench_hash_new(run);
  uint8_t *block = block_new(run, block_bytes);
  for (uint64_t i = 0; i < count; i++) {
    block_stamp(block, i);
    bench_hash_add(hash, block, block_bytes);
  }
  free(block);
  return bench_hash_end(hash);
}
static void check_stream(bench_run *run, const void *data, size_t block_bytes, uint64_t count) {
  bench_hash *hash = bench_hash_new(run);
  bench_hash_add(hash, data, block_bytes * count);
  bench_check(run, bench_hash_end(hash) == expected_hash(run, block_bytes, count), "stored bytes differ");
}
static void check_region(bench_run *run, seqdb_snapshot *snapshot, const char *name, size_t block_bytes,
                         uint64_t count) {
  seqdb_region region = bench_seqdb_find(run, snapshot, name);
  seqdb_region_info info;
  const void *data = NULL;
  bench_seqdb_must(run, NULL, seqdb_get_info(seqdb_snapshot_view(snapshot), region, &info), "info");
  bench_check(run, info.length_bytes == block_bytes * count, "length of the region");
  bench_check(run, seqdb_read(seqdb_snapshot_view(snapshot), region, 0, block_bytes * count, &data) == SEQDB_OK,
              "region is not mapped");
  check_stream(run, data, block_bytes, count);
}

/* GB/s (1e9 bytes) of `bytes` in `ns`. */
static double rate(uint64_t bytes, double ns) {
  return (double)bytes / ns;
}

/* ---- 64 KiB to 1 GiB, with the flush ----------------------------------------------------------------------------- */

static uint64_t blocks_of(const bench_run *run) {
  return bench_size(run, BENCH_GIB, 8 * BENCH_MIB) / BLOCK_BYTES;
}

static void stream_seqdb(bench_run *run) {
  uint64_t count = blocks_of(run);
  uint8_t *block = block_new(run, BLOCK_BYTES);
  seqdb *db = bench_seqdb_open(run);
  seqdb_region region = bench_seqdb_region(run, db, "stream");
  bench_seqdb_flush(run, db);
  bench_begin(run);
  for (uint64_t i = 0; i < count; i++) {
    block_stamp(block, i);
    bench_seqdb_must(run, db, seqdb_append(db, region, block, BLOCK_BYTES, NULL), "append");
  }
  bench_seqdb_flush(run, db);
  bench_metric(run, 0, rate(count * BLOCK_BYTES, bench_end(run)));
  check_region(run, bench_seqdb_snapshot(run, db), "stream", BLOCK_BYTES, count);
}

static void stream_sql(bench_run *run) {
  uint64_t count = blocks_of(run);
  uint8_t *block = block_new(run, BLOCK_BYTES);
  sqlite3 *db = bench_sql_open(run);
  bench_sql(run, db, "INSERT INTO r(name) VALUES('stream')");
  sqlite3_stmt *append = bench_prepare(run, db, "SELECT seqdb_append('r', ?1, ?2)");
  sqlite3_bind_text(append, 1, "stream", 6, SQLITE_STATIC);
  bench_begin(run);
  bench_sql(run, db, "BEGIN");
  for (uint64_t i = 0; i < count; i++) {
    block_stamp(block, i);
    sqlite3_bind_blob(append, 2, block, (int)BLOCK_BYTES, SQLITE_STATIC);
    bench_step(run, append, SQLITE_ROW);
    sqlite3_reset(append);
  }
  bench_sql(run, db, "COMMIT");
  bench_metric(run, 0, rate(count * BLOCK_BYTES, bench_end(run)));
  /* SQLite hands out at most 1e9 bytes at a time: substr() of a zero-copy value would be one. */
  sqlite3_stmt *read = bench_prepare(run, db, "SELECT seqdb_read('r', 'stream', ?1, ?2)");
  bench_hash *hash = bench_hash_new(run);
  for (uint64_t i = 0; i < count; i++) {
    sqlite3_bind_int64(read, 1, (sqlite3_int64)(i * BLOCK_BYTES));
    sqlite3_bind_int64(read, 2, (sqlite3_int64)BLOCK_BYTES);
    bench_step(run, read, SQLITE_ROW);
    bench_check(run, sqlite3_column_bytes(read, 0) == (int)BLOCK_BYTES, "length of a part");
    bench_hash_add(hash, sqlite3_column_blob(read, 0), BLOCK_BYTES);
    sqlite3_reset(read);
  }
  bench_check(run, bench_hash_end(hash) == expected_hash(run, BLOCK_BYTES, count), "stored bytes differ");
}

static void stream_sqlite_rows(bench_run *run) {
  uint64_t count = blocks_of(run);
  uint8_t *block = block_new(run, BLOCK_BYTES);
  sqlite3 *db = bench_sqlite_open(run, BENCH_ROLLBACK);
  bench_sql(run, db, "CREATE TABLE stream(id INTEGER PRIMARY KEY, content BLOB)");
  sqlite3_stmt *insert = bench_prepare(run, db, "INSERT INTO stream(content) VALUES(?1)");
  bench_begin(run);
  bench_sql(run, db, "BEGIN IMMEDIATE");
  for (uint64_t i = 0; i < count; i++) {
    block_stamp(block, i);
    sqlite3_bind_blob(insert, 1, block, (int)BLOCK_BYTES, SQLITE_STATIC);
    bench_step(run, insert, SQLITE_DONE);
    sqlite3_reset(insert);
  }
  bench_sql(run, db, "COMMIT");
  bench_metric(run, 0, rate(count * BLOCK_BYTES, bench_end(run)));
  sqlite3_stmt *read = bench_prepare(run, db, "SELECT content FROM stream ORDER BY id");
  bench_hash *hash = bench_hash_new(run);
  while (sqlite3_step(read) == SQLITE_ROW)
    bench_hash_add(hash, sqlite3_column_blob(read, 0), BLOCK_BYTES);
  bench_check(run, bench_hash_end(hash) == expected_hash(run, BLOCK_BYTES, count), "stored bytes differ");
}

/* Values of the final size made in the same transaction, then filled: each as large as fits under SQLite's limit. */
static void stream_sqlite_blob(bench_run *run) {
  uint64_t count = blocks_of(run), per_value = VALUE_MAX / BLOCK_BYTES;
  uint8_t *block = block_new(run, BLOCK_BYTES);
  sqlite3 *db = bench_sqlite_open(run, BENCH_ROLLBACK);
  bench_sql(run, db, "CREATE TABLE stream(id INTEGER PRIMARY KEY, content BLOB)");
  sqlite3_stmt *insert = bench_prepare(run, db, "INSERT INTO stream VALUES(?1, zeroblob(?2))");
  sqlite3_blob *blob = NULL;
  bench_begin(run);
  bench_sql(run, db, "BEGIN IMMEDIATE");
  for (uint64_t i = 0; i < count; i++) {
    if (i % per_value == 0) {
      uint64_t here = count - i < per_value ? count - i : per_value;
      sqlite3_blob_close(blob);
      sqlite3_bind_int64(insert, 1, (sqlite3_int64)(i / per_value + 1));
      sqlite3_bind_int64(insert, 2, (sqlite3_int64)(here * BLOCK_BYTES));
      bench_step(run, insert, SQLITE_DONE);
      sqlite3_reset(insert);
      blob = bench_blob_open(run, db, "stream", (sqlite3_int64)(i / per_value + 1), true);
    }
    block_stamp(block, i);
    int code = sqlite3_blob_write(blob, block, (int)BLOCK_BYTES, (int)(i % per_value * BLOCK_BYTES));
    if (code != SQLITE_OK) bench_sqlite_must(run, db, code, "blob_write");
  }
  sqlite3_blob_close(blob);
  bench_sql(run, db, "COMMIT");
  bench_metric(run, 0, rate(count * BLOCK_BYTES, bench_end(run)));
  sqlite3_stmt *read = bench_prepare(run, db, "SELECT content FROM stream ORDER BY id");
  bench_hash *hash = bench_hash_new(run);
  while (sqlite3_step(read) == SQLITE_ROW) {
    bench_hash_add(hash, sqlite3_column_blob(read, 0), (size_t)sqlite3_column_bytes(read, 0));
  }
  bench_check(run, bench_hash_end(hash) == expected_hash(run, BLOCK_BYTES, count), "stored bytes differ");
}

static void stream_lmdb(bench_run *run) {
  uint64_t count = blocks_of(run), number = 0, rows = 0;
  uint8_t *block = block_new(run, BLOCK_BYTES);
  bench_lmdb lmdb;
  MDB_cursor *cursor = NULL;
  MDB_val key = {sizeof number, &number}, value = {BLOCK_BYTES, block};
  bench_lmdb_open(run, MDB_WRITEMAP, 4 * BENCH_GIB, true, &lmdb);
  bench_begin(run);
  bench_lmdb_begin(run, &lmdb, 0);
  bench_lmdb_must(run, mdb_cursor_open(lmdb.txn, lmdb.dbi, &cursor), "cursor");
  for (number = 0; number < count; number++) {
    block_stamp(block, number);
    value = (MDB_val){BLOCK_BYTES, NULL};
    bench_lmdb_must(run, mdb_cursor_put(cursor, &key, &value, MDB_APPEND | MDB_RESERVE), "put");
    memcpy(value.mv_data, block, BLOCK_BYTES);
  }
  mdb_cursor_close(cursor);
  bench_lmdb_commit(run, &lmdb);
  bench_metric(run, 0, rate(count * BLOCK_BYTES, bench_end(run)));
  bench_lmdb_begin(run, &lmdb, MDB_RDONLY);
  bench_lmdb_must(run, mdb_cursor_open(lmdb.txn, lmdb.dbi, &cursor), "cursor");
  bench_hash *hash = bench_hash_new(run);
  for (; mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0; rows++)
    bench_hash_add(hash, value.mv_data, value.mv_size);
  bench_check(run, rows == count && bench_hash_end(hash) == expected_hash(run, BLOCK_BYTES, count), "LMDB's values");
}

static void stream_plain(bench_run *run) {
  uint64_t count = blocks_of(run);
  uint8_t *block = block_new(run, BLOCK_BYTES);
  bench_plain plain;
  bench_plain_new(run, "stream", &plain);
  bench_begin(run);
  for (uint64_t i = 0; i < count; i++) {
    block_stamp(block, i);
    bench_plain_append(run, &plain, block, BLOCK_BYTES);
  }
  bench_plain_flush(run, &plain);
  bench_fdatasync(run, plain.fd);
  bench_metric(run, 0, rate(count * BLOCK_BYTES, bench_end(run)));
  check_stream(run, bench_plain_map(run, plain.fd, count * BLOCK_BYTES), BLOCK_BYTES, count);
}

/* Without the buffer: each block is a pwrite() of its own, straight from the caller's memory. */
static void stream_plain_direct(bench_run *run) {
  uint64_t count = blocks_of(run);
  uint8_t *block = block_new(run, BLOCK_BYTES);
  int fd = bench_plain_open(run, "stream");
  bench_begin(run);
  for (uint64_t i = 0; i < count; i++) {
    block_stamp(block, i);
    bench_pwrite(run, fd, block, BLOCK_BYTES, i * BLOCK_BYTES);
  }
  bench_fdatasync(run, fd);
  bench_metric(run, 0, rate(count * BLOCK_BYTES, bench_end(run)));
  check_stream(run, bench_plain_map(run, fd, count * BLOCK_BYTES), BLOCK_BYTES, count);
}

static const bench_case stream_cases[] = {
    {"plain", NULL, stream_plain_direct},
    {"plain, buffered", NULL, stream_plain},
    {"seqdb", NULL, stream_seqdb},
    {"seqdb SQL", NULL, stream_sql},
    {"SQLite rows", NULL, stream_sqlite_rows},
    {"SQLite blob_write", NULL, stream_sqlite_blob},
    {"LMDB", NULL, stream_lmdb},
    {NULL, NULL, NULL},
};
static const bench_row stream_rows[] = {
    {.name = "append64k",
     .title = "append 64 KiB to 1 GiB, with the flush",
     .unit = "GB/s",
     .ours = "seqdb",
     .peer = "plain",
     .limit = 0.95,
     .gigabytes = -1},
    {.name = NULL},
};

/* ---- 100 regions in turns ---------------------------------------------------------------------------------------- */

#define TURN_REGIONS 100

static uint64_t turns_of(const bench_run *run) {
  return bench_size(run, 4 * BENCH_MIB, 64 * BENCH_KIB) / TURN_BYTES;
}
static const char *turn_name(unsigned region) {
  static char name[32];
  snprintf(name, sizeof name, "turn %u", region);
  return name;
}
static void turns_report(bench_run *run, double ns, uint64_t disk_bytes) {
  uint64_t bytes = turns_of(run) * TURN_REGIONS * TURN_BYTES;
  bench_metric(run, 0, rate(bytes, ns));
  bench_metric(run, 1, (double)disk_bytes / (double)bytes);
}

static void turns_seqdb(bench_run *run) {
  uint64_t turns = turns_of(run);
  uint8_t *block = block_new(run, TURN_BYTES);
  seqdb *db = bench_seqdb_open(run);
  seqdb_region regions[TURN_REGIONS];
  for (unsigned r = 0; r < TURN_REGIONS; r++)
    regions[r] = bench_seqdb_region(run, db, turn_name(r));
  bench_seqdb_flush(run, db);
  bench_begin(run);
  for (uint64_t i = 0; i < turns; i++) {
    block_stamp(block, i);
    for (unsigned r = 0; r < TURN_REGIONS; r++) {
      int code = seqdb_append(db, regions[r], block, TURN_BYTES, NULL);
      if (code != SEQDB_OK) bench_seqdb_must(run, db, code, "append");
    }
  }
  bench_seqdb_flush(run, db);
  double ns = bench_end(run);
  turns_report(run, ns, bench_disk_bytes(run->dir));
  seqdb_snapshot *snapshot = bench_seqdb_snapshot(run, db);
  for (unsigned r = 0; r < TURN_REGIONS; r++)
    check_region(run, snapshot, turn_name(r), TURN_BYTES, turns);
}

static void turns_sql(bench_run *run) {
  uint64_t turns = turns_of(run);
  uint8_t *block = block_new(run, TURN_BYTES);
  sqlite3 *db = bench_sql_open(run);
  sqlite3_stmt *append = bench_prepare(run, db, "SELECT seqdb_append('r', ?1, ?2)");
  bench_begin(run);
  bench_sql(run, db, "BEGIN");
  for (uint64_t i = 0; i < turns; i++) {
    block_stamp(block, i);
    for (unsigned r = 0; r < TURN_REGIONS; r++) {
      sqlite3_bind_text(append, 1, turn_name(r), -1, SQLITE_STATIC);
      sqlite3_bind_blob(append, 2, block, (int)TURN_BYTES, SQLITE_STATIC);
      bench_step(run, append, SQLITE_ROW);
      sqlite3_reset(append);
    }
  }
  bench_sql(run, db, "COMMIT");
  double ns = bench_end(run);
  turns_report(run, ns, bench_disk_bytes(run->dir));
  sqlite3_stmt *read = bench_prepare(run, db, "SELECT content FROM r");
  unsigned seen = 0;
  for (; sqlite3_step(read) == SQLITE_ROW; seen++) {
    bench_check(run, sqlite3_column_bytes(read, 0) == (int)(turns * TURN_BYTES), "length of content");
    check_stream(run, sqlite3_column_blob(read, 0), TURN_BYTES, turns);
  }
  bench_check(run, seen == TURN_REGIONS, "number of regions");
}

/* Rows (region, turn) of one table: SQLite's own way to let many things grow at once. */
static void turns_sqlite_rows(bench_run *run) {
  uint64_t turns = turns_of(run), rows = 0;
  uint8_t *block = block_new(run, TURN_BYTES);
  sqlite3 *db = bench_sqlite_open(run, BENCH_ROLLBACK);
  bench_sql(run, db, "CREATE TABLE part(id INTEGER PRIMARY KEY, region INTEGER, content BLOB)");
  sqlite3_stmt *insert = bench_prepare(run, db, "INSERT INTO part(region, content) VALUES(?1, ?2)");
  bench_begin(run);
  bench_sql(run, db, "BEGIN IMMEDIATE");
  for (uint64_t i = 0; i < turns; i++) {
    block_stamp(block, i);
    for (int r = 0; r < TURN_REGIONS; r++) {
      sqlite3_bind_int(insert, 1, r);
      sqlite3_bind_blob(insert, 2, block, (int)TURN_BYTES, SQLITE_STATIC);
      bench_step(run, insert, SQLITE_DONE);
      sqlite3_reset(insert);
    }
  }
  bench_sql(run, db, "COMMIT");
  double ns = bench_end(run);
  turns_report(run, ns, bench_disk_bytes(run->dir));
  sqlite3_stmt *read = bench_prepare(run, db, "SELECT content FROM part WHERE region = 7 ORDER BY id");
  bench_hash *hash = bench_hash_new(run);
  for (; sqlite3_step(read) == SQLITE_ROW; rows++)
    bench_hash_add(hash, sqlite3_column_blob(read, 0), TURN_BYTES);
  bench_check(run, rows == turns && bench_hash_end(hash) == expected_hash(run, TURN_BYTES, turns), "rows of a region");
}

static void turns_lmdb(bench_run *run) {
  uint64_t turns = turns_of(run), number = 0, rows = 0;
  uint8_t *block = block_new(run, TURN_BYTES);
  bench_lmdb lmdb;
  MDB_val key = {sizeof number, &number}, value;
  bench_lmdb_open(run, MDB_WRITEMAP, 4 * BENCH_GIB, true, &lmdb);
  bench_begin(run);
  bench_lmdb_begin(run, &lmdb, 0);
  for (uint64_t i = 0; i < turns; i++) {
    block_stamp(block, i);
    for (uint64_t r = 0; r < TURN_REGIONS; r++) {
      number = r << 32 | i;
      value = (MDB_val){TURN_BYTES, NULL};
      bench_lmdb_must(run, mdb_put(lmdb.txn, lmdb.dbi, &key, &value, MDB_RESERVE), "put");
      memcpy(value.mv_data, block, TURN_BYTES);
    }
  }
  bench_lmdb_commit(run, &lmdb);
  double ns = bench_end(run);
  turns_report(run, ns, bench_disk_bytes(run->dir));
  bench_lmdb_begin(run, &lmdb, MDB_RDONLY);
  bench_hash *hash = bench_hash_new(run);
  for (number = (uint64_t)7 << 32; mdb_get(lmdb.txn, lmdb.dbi, &key, &value) == 0; number++, rows++) {
    bench_hash_add(hash, value.mv_data, value.mv_size);
  }
  bench_check(run, rows == turns && bench_hash_end(hash) == expected_hash(run, TURN_BYTES, turns),
              "values of a region");
}

/* A file for each, each with its 256 KiB buffer.  The writes of all are started before the first is waited for. */
static void turns_plain(bench_run *run) {
  uint64_t turns = turns_of(run);
  uint8_t *block = block_new(run, TURN_BYTES);
  bench_plain *files = bench_alloc(run, TURN_REGIONS * sizeof *files);
  for (unsigned r = 0; r < TURN_REGIONS; r++)
    bench_plain_new(run, turn_name(r), &files[r]);
  bench_begin(run);
  for (uint64_t i = 0; i < turns; i++) {
    block_stamp(block, i);
    for (unsigned r = 0; r < TURN_REGIONS; r++)
      bench_plain_append(run, &files[r], block, TURN_BYTES);
  }
  for (unsigned r = 0; r < TURN_REGIONS; r++)
    bench_plain_flush(run, &files[r]);
  for (unsigned r = 0; r < TURN_REGIONS; r++)
    bench_start_writeback(files[r].fd);
  for (unsigned r = 0; r < TURN_REGIONS; r++)
    bench_fdatasync(run, files[r].fd);
  double ns = bench_end(run);
  turns_report(run, ns, bench_disk_bytes(run->dir));
  for (unsigned r = 0; r < TURN_REGIONS; r++) {
    check_stream(run, bench_plain_map(run, files[r].fd, turns * TURN_BYTES), TURN_BYTES, turns);
  }
}

/* For a program that knows the final sizes: one file, each block written to its place at once. */
static void turns_plain_sized(bench_run *run) {
  uint64_t turns = turns_of(run);
  uint8_t *block = block_new(run, TURN_BYTES);
  int fd = bench_plain_open(run, "turns");
  bench_begin(run);
  for (uint64_t i = 0; i < turns; i++) {
    block_stamp(block, i);
    for (uint64_t r = 0; r < TURN_REGIONS; r++)
      bench_pwrite(run, fd, block, TURN_BYTES, (r * turns + i) * TURN_BYTES);
  }
  bench_fdatasync(run, fd);
  double ns = bench_end(run);
  turns_report(run, ns, bench_disk_bytes(run->dir));
  check_stream(run, bench_plain_map(run, fd, turns * TURN_BYTES), TURN_BYTES, turns);
}

static const bench_case turns_cases[] = {
    {"plain", NULL, turns_plain},
    {"plain, sizes known", NULL, turns_plain_sized},
    {"seqdb", NULL, turns_seqdb},
    {"seqdb SQL", NULL, turns_sql},
    {"SQLite rows", NULL, turns_sqlite_rows},
    {"LMDB", NULL, turns_lmdb},
    {NULL, NULL, NULL},
};
static const bench_row turns_rows[] = {
    {.name = "turns",
     .title = "100 regions in turns, 4 KiB each, to 4 MiB each, with flush",
     .unit = "GB/s",
     .ours = "seqdb",
     .peer = "plain",
     .limit = 0.6,
     .gigabytes = -1},
    {.name = "turns-disk",
     .title = "disk used by that, without compact",
     .unit = "x content",
     .metric = 1,
     .ours = "seqdb",
     .limit = 1.1,
     .at_most = true},
    {.name = NULL},
};

/* ---- one value that grows through SQL ---------------------------------------------------------------------------- */

static uint64_t growth_of(const bench_run *run) {
  return bench_size(run, 256 * BENCH_MIB, 4 * BENCH_MIB) / BLOCK_BYTES;
}

static void grow_seqdb(bench_run *run) {
  uint64_t count = growth_of(run);
  uint8_t *block = block_new(run, BLOCK_BYTES);
  seqdb *db = bench_seqdb_open(run);
  seqdb_region region = bench_seqdb_region(run, db, "value");
  bench_seqdb_flush(run, db);
  bench_begin(run);
  for (uint64_t i = 0; i < count; i++) {
    block_stamp(block, i);
    bench_seqdb_must(run, db, seqdb_append(db, region, block, BLOCK_BYTES, NULL), "append");
  }
  bench_metric(run, 0, rate(count * BLOCK_BYTES, bench_end(run)));
  bench_seqdb_flush(run, db);
  check_region(run, bench_seqdb_snapshot(run, db), "value", BLOCK_BYTES, count);
}

static void check_value(bench_run *run, sqlite3 *db, const char *sql, uint64_t count) {
  sqlite3_stmt *read = bench_prepare(run, db, sql);
  bench_step(run, read, SQLITE_ROW);
  bench_check(run, sqlite3_column_bytes(read, 0) == (int)(count * BLOCK_BYTES), "length of content");
  check_stream(run, sqlite3_column_blob(read, 0), BLOCK_BYTES, count);
}

/* `sql` takes the block as ?1 and appends it to the one value there is. */
static void grow_by_sql(bench_run *run, sqlite3 *db, const char *sql, int step, uint64_t count) {
  uint8_t *block = block_new(run, BLOCK_BYTES);
  sqlite3_stmt *append = bench_prepare(run, db, sql);
  bench_sql(run, db, "BEGIN");
  bench_begin(run);
  for (uint64_t i = 0; i < count; i++) {
    block_stamp(block, i);
    sqlite3_bind_blob(append, 1, block, (int)BLOCK_BYTES, SQLITE_STATIC);
    bench_step(run, append, step);
    sqlite3_reset(append);
  }
  bench_metric(run, 0, rate(count * BLOCK_BYTES, bench_end(run)));
  bench_sql(run, db, "COMMIT");
}

static void grow_sql(bench_run *run) {
  sqlite3 *db = bench_sql_open(run);
  bench_sql(run, db, "INSERT INTO r(name) VALUES('value')");
  grow_by_sql(run, db, "SELECT seqdb_append('r', 'value', ?1)", SQLITE_ROW, growth_of(run));
  check_value(run, db, "SELECT content FROM r WHERE name = 'value'", growth_of(run));
}

static void grow_sql_insert(bench_run *run) {
  sqlite3 *db = bench_sql_open(run);
  bench_sql(run, db, "INSERT INTO r(name) VALUES('value')");
  grow_by_sql(run, db, "INSERT INTO r(name, append) VALUES('value', ?1)", SQLITE_DONE, growth_of(run));
  check_value(run, db, "SELECT content FROM r WHERE name = 'value'", growth_of(run));
}

/* To 16 MiB only: every step writes the whole value anew, so that the rate falls with the square of the size. */
static void grow_sqlite(bench_run *run) {
  uint64_t count = bench_size(run, 16 * BENCH_MIB, BENCH_MIB) / BLOCK_BYTES;
  sqlite3 *db = bench_sqlite_open(run, BENCH_ROLLBACK);
  bench_sql(run, db, "CREATE TABLE t(id INTEGER PRIMARY KEY, content BLOB); INSERT INTO t VALUES(1, x'')");
  grow_by_sql(run, db, "UPDATE t SET content = CAST(content || ?1 AS BLOB) WHERE id = 1", SQLITE_DONE, count);
  check_value(run, db, "SELECT content FROM t", count);
}

static const bench_case grow_cases[] = {
    {"seqdb", NULL, grow_seqdb},
    {"seqdb SQL", NULL, grow_sql},
    {"seqdb SQL, INSERT", NULL, grow_sql_insert},
    {"SQLite content || ?", NULL, grow_sqlite},
    {NULL, NULL, NULL},
};
static const bench_row grow_rows[] = {
    {.name = "grow64k-sql",
     .title = "growth of one value by 64 KiB through SQL, to 256 MiB, in one transaction",
     .unit = "GB/s",
     .ours = "seqdb SQL",
     .peer = "seqdb",
     .limit = 0.8,
     .gigabytes = -1},
    {.name = NULL},
};

const bench_workload bench_bulk_workloads[] = {
    {.name = "append64k", .cases = stream_cases, .rows = stream_rows},
    {.name = "turns", .cases = turns_cases, .rows = turns_rows},
    {.name = "grow64k-sql", .cases = grow_cases, .rows = grow_rows},
    {.name = NULL},
};
