/* SPDX-License-Identifier: MIT
**
** work_read.c: reading one value of 256 MiB whole, and random pieces of 4 KiB of one of 512 MiB.  Everything is in the
** page cache, and every contender sums the bytes with the same function, so that nothing is read that is not looked at.
** The files are made once before the rounds.
*/
#include "contenders.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define BLOCK_BYTES BENCH_MIB
#define PIECE_BYTES 4096
#define PASSES      5

static uint64_t whole_bytes(const bench_run *run) {
  return bench_size(run, 256 * BENCH_MIB, 8 * BENCH_MIB);
}
static uint64_t random_bytes(const bench_run *run) {
  return bench_size(run, 512 * BENCH_MIB, 8 * BENCH_MIB);
}

static uint64_t expected_sum(bench_run *run, uint64_t bytes) {
  uint8_t *block = bench_alloc(run, BLOCK_BYTES);
  uint64_t sum = 0;
  for (uint64_t at = 0; at < bytes; at += BLOCK_BYTES) {
    bench_fill(block, BLOCK_BYTES, at);
    sum += bench_sum(block, BLOCK_BYTES);
  }
  free(block);
  return sum;
}

/* ---- preparation: the same bytes for everybody ------------------------------------------------------------------- */

static void prepare_seqdb(bench_run *run, uint64_t bytes) {
  uint8_t *block = bench_alloc(run, BLOCK_BYTES);
  seqdb *db = bench_seqdb_open(run);
  seqdb_region region = bench_seqdb_region(run, db, "value");
  for (uint64_t at = 0; at < bytes; at += BLOCK_BYTES) {
    bench_fill(block, BLOCK_BYTES, at);
    bench_seqdb_must(run, db, seqdb_append(db, region, block, BLOCK_BYTES, NULL), "append");
  }
  bench_seqdb_flush(run, db);
  seqdb_close(db);
}

static void prepare_sqlite(bench_run *run, uint64_t bytes) {
  uint8_t *block = bench_alloc(run, BLOCK_BYTES);
  sqlite3 *db = bench_sqlite_open(run, BENCH_ROLLBACK);
  bench_sql(run, db, "CREATE TABLE t(id INTEGER PRIMARY KEY, content BLOB)");
  sqlite3_stmt *insert = bench_prepare(run, db, "INSERT INTO t VALUES(1, zeroblob(?1))");
  sqlite3_bind_int64(insert, 1, (sqlite3_int64)bytes);
  bench_sql(run, db, "BEGIN IMMEDIATE");
  bench_step(run, insert, SQLITE_DONE);
  sqlite3_finalize(insert);
  sqlite3_blob *blob = bench_blob_open(run, db, "t", 1, true);
  for (uint64_t at = 0; at < bytes; at += BLOCK_BYTES) {
    bench_fill(block, BLOCK_BYTES, at);
    bench_sqlite_must(run, db, sqlite3_blob_write(blob, block, (int)BLOCK_BYTES, (int)at), "blob_write");
  }
  sqlite3_blob_close(blob);
  bench_sql(run, db, "COMMIT");
  sqlite3_close(db);
}

static void prepare_lmdb(bench_run *run, uint64_t bytes) {
  bench_lmdb lmdb;
  uint64_t number = 1;
  MDB_val key = {sizeof number, &number}, value = {bytes, NULL};
  bench_lmdb_open(run, MDB_WRITEMAP, 2 * BENCH_GIB, true, &lmdb);
  bench_lmdb_begin(run, &lmdb, 0);
  bench_lmdb_must(run, mdb_put(lmdb.txn, lmdb.dbi, &key, &value, MDB_RESERVE), "put");
  for (uint64_t at = 0; at < bytes; at += BLOCK_BYTES)
    bench_fill((uint8_t *)value.mv_data + at, BLOCK_BYTES, at);
  bench_lmdb_commit(run, &lmdb);
  bench_lmdb_close(&lmdb);
}

static void prepare_plain(bench_run *run, uint64_t bytes) {
  uint8_t *block = bench_alloc(run, BLOCK_BYTES);
  int fd = bench_plain_open(run, "value");
  for (uint64_t at = 0; at < bytes; at += BLOCK_BYTES) {
    bench_fill(block, BLOCK_BYTES, at);
    bench_pwrite(run, fd, block, BLOCK_BYTES, at);
  }
  bench_fdatasync(run, fd);
  close(fd);
}

static void prepare_whole_seqdb(bench_run *run) {
  prepare_seqdb(run, whole_bytes(run));
}
static void prepare_whole_sqlite(bench_run *run) {
  prepare_sqlite(run, whole_bytes(run));
}
static void prepare_whole_lmdb(bench_run *run) {
  prepare_lmdb(run, whole_bytes(run));
}
static void prepare_whole_plain(bench_run *run) {
  prepare_plain(run, whole_bytes(run));
}
static void prepare_random_seqdb(bench_run *run) {
  prepare_seqdb(run, random_bytes(run));
}
static void prepare_random_sqlite(bench_run *run) {
  prepare_sqlite(run, random_bytes(run));
}
static void prepare_random_lmdb(bench_run *run) {
  prepare_lmdb(run, random_bytes(run));
}
static void prepare_random_plain(bench_run *run) {
  prepare_plain(run, random_bytes(run));
}

/* ---- the whole value --------------------------------------------------------------------------------------------- */

typedef struct reader {
  sqlite3_stmt *select;
  sqlite3_blob *blob;
  seqdb_blob *region_blob;
  uint8_t *buffer;
  bench_lmdb lmdb;
  const uint8_t *map;
  seqdb *db;
  seqdb_snapshot *snapshot;
  seqdb_region region;
} reader;

/* Several passes by one process: the first one also takes the page faults of a fresh mapping, and stands in a row of
** its own. */
static void measure_whole(bench_run *run, reader *r, uint64_t (*pass)(bench_run *run, reader *r)) {
  uint64_t expected = expected_sum(run, whole_bytes(run));
  double best[PASSES];
  for (int i = 0; i < PASSES; i++) {
    bench_again(run);
    uint64_t sum = pass(run, r);
    best[i] = (double)whole_bytes(run) / bench_end(run);
    bench_check(run, sum == expected, "sum of the bytes");
  }
  bench_metric(run, 1, best[0]);
  for (int i = 1; i < PASSES; i++) { /* insertion sort of the later passes */
    for (int j = i; j > 1 && best[j] < best[j - 1]; j--) {
      double swap = best[j];
      best[j] = best[j - 1];
      best[j - 1] = swap;
    }
  }
  bench_metric(run, 0, (best[(PASSES - 1) / 2] + best[(PASSES - 1) / 2 + 1]) / 2);
}

static uint64_t pass_select(bench_run *run, reader *r) {
  bench_step(run, r->select, SQLITE_ROW);
  const void *content = sqlite3_column_blob(r->select, 0);
  uint64_t sum = bench_sum(content, (size_t)sqlite3_column_bytes(r->select, 0));
  sqlite3_reset(r->select);
  return sum;
}
static uint64_t pass_blob(bench_run *run, reader *r) {
  uint64_t sum = 0;
  for (uint64_t at = 0; at < whole_bytes(run); at += BENCH_PLAIN_BUFFER) {
    if (sqlite3_blob_read(r->blob, r->buffer, BENCH_PLAIN_BUFFER, (int)at) != SQLITE_OK)
      bench_fail(run, "blob_read failed");
    sum += bench_sum(r->buffer, BENCH_PLAIN_BUFFER);
  }
  return sum;
}
static uint64_t pass_lmdb(bench_run *run, reader *r) {
  uint64_t number = 1;
  MDB_val key = {sizeof number, &number}, value;
  bench_lmdb_begin(run, &r->lmdb, MDB_RDONLY);
  bench_lmdb_must(run, mdb_get(r->lmdb.txn, r->lmdb.dbi, &key, &value), "get");
  uint64_t sum = bench_sum(value.mv_data, value.mv_size);
  mdb_txn_abort(r->lmdb.txn);
  return sum;
}
static uint64_t pass_map(bench_run *run, reader *r) {
  return bench_sum(r->map, whole_bytes(run));
}
static uint64_t pass_seqdb(bench_run *run, reader *r) {
  const void *data = NULL;
  seqdb_snapshot *snapshot = bench_seqdb_snapshot(run, r->db);
  seqdb_region region = bench_seqdb_find(run, snapshot, "value");
  bench_check(run, seqdb_read(seqdb_snapshot_view(snapshot), region, 0, whole_bytes(run), &data) == SEQDB_OK,
              "region is not mapped");
  uint64_t sum = bench_sum(data, whole_bytes(run));
  seqdb_snapshot_close(snapshot);
  return sum;
}

static void whole_sql(bench_run *run) {
  reader r = {.select = NULL};
  r.select = bench_prepare(run, bench_sql_open(run), "SELECT content FROM r WHERE name = 'value'");
  measure_whole(run, &r, pass_select);
}
static void whole_seqdb(bench_run *run) {
  reader r = {.db = bench_seqdb_open(run)};
  measure_whole(run, &r, pass_seqdb);
}
static void whole_sqlite(bench_run *run) {
  reader r = {.select = NULL};
  r.select = bench_prepare(run, bench_sqlite_open(run, BENCH_ROLLBACK), "SELECT content FROM t WHERE id = 1");
  measure_whole(run, &r, pass_select);
}
static void whole_sqlite_blob(bench_run *run) {
  reader r = {.buffer = bench_alloc(run, BENCH_PLAIN_BUFFER)};
  r.blob = bench_blob_open(run, bench_sqlite_open(run, BENCH_ROLLBACK), "t", 1, false);
  measure_whole(run, &r, pass_blob);
}
static void whole_lmdb(bench_run *run) {
  reader r = {.map = NULL};
  bench_lmdb_open(run, 0, 2 * BENCH_GIB, true, &r.lmdb);
  measure_whole(run, &r, pass_lmdb);
}
static void whole_plain(bench_run *run) {
  reader r = {.map = bench_plain_map(run, bench_plain_open(run, "value"), whole_bytes(run))};
  measure_whole(run, &r, pass_map);
}

static const bench_case whole_cases[] = {
    {"plain mmap", prepare_whole_plain, whole_plain},
    {"seqdb", prepare_whole_seqdb, whole_seqdb},
    {"seqdb SQL", prepare_whole_seqdb, whole_sql},
    {"SQLite SELECT", prepare_whole_sqlite, whole_sqlite},
    {"SQLite blob_read", prepare_whole_sqlite, whole_sqlite_blob},
    {"LMDB", prepare_whole_lmdb, whole_lmdb},
    {NULL, NULL, NULL},
};
static const bench_row whole_rows[] = {
    {.name = "read256m-sql",
     .title = "read 256 MiB through SQL (SELECT content), bytes summed",
     .unit = "GB/s",
     .ours = "seqdb SQL",
     .peer = "plain mmap",
     .limit = 0.95,
     .gigabytes = -1},
    {.name = "read256m-first",
     .title = "the same, first pass of a process",
     .unit = "GB/s",
     .metric = 1,
     .ours = "seqdb SQL",
     .peer = "plain mmap"},
    {.name = NULL},
};

/* ---- random pieces ----------------------------------------------------------------------------------------------- */

/* The pieces lie at any multiple of 8 and are the same for every contender: so are the sums. */
static uint64_t measure_random(bench_run *run, reader *r,
                               uint64_t (*piece)(bench_run *run, reader *r, uint64_t offset)) {
  uint64_t count = bench_size(run, 200000, 2000), span = random_bytes(run) - PIECE_BYTES, seed = 1, warm = 2, sum = 0;
  for (uint64_t i = 0; i < count / 2; i++)
    sum += piece(run, r, bench_random(&warm) % span & ~(uint64_t)7);
  sum = 0;
  bench_begin(run);
  for (uint64_t i = 0; i < count; i++)
    sum += piece(run, r, bench_random(&seed) % span & ~(uint64_t)7);
  bench_metric(run, 0, bench_end(run) / (double)count);
  return sum;
}

static void check_random(bench_run *run, uint64_t sum) {
  uint64_t count = bench_size(run, 200000, 2000), span = random_bytes(run) - PIECE_BYTES, seed = 1, expected = 0;
  uint8_t *value = bench_alloc(run, random_bytes(run));
  for (uint64_t at = 0; at < random_bytes(run); at += BLOCK_BYTES)
    bench_fill(value + at, BLOCK_BYTES, at);
  for (uint64_t i = 0; i < count; i++) {
    expected += bench_sum(value + (bench_random(&seed) % span & ~(uint64_t)7), PIECE_BYTES);
  }
  bench_check(run, sum == expected, "sum of the pieces");
}

static uint64_t piece_seqdb(bench_run *run, reader *r, uint64_t offset) {
  const void *data = NULL;
  int code = seqdb_read(seqdb_snapshot_view(r->snapshot), r->region, offset, PIECE_BYTES, &data);
  if (code != SEQDB_OK) bench_fail(run, "seqdb_read: %d %s", code, seqdb_errmsg(r->db));
  return bench_sum(data, PIECE_BYTES);
}
static uint64_t piece_seqdb_copy(bench_run *run, reader *r, uint64_t offset) {
  size_t got = 0;
  int code = seqdb_read_copy(seqdb_snapshot_view(r->snapshot), r->region, offset, r->buffer, PIECE_BYTES, &got);
  if (code != SEQDB_OK || got != PIECE_BYTES) bench_fail(run, "seqdb_read_copy: %d %s", code, seqdb_errmsg(r->db));
  return bench_sum(r->buffer, PIECE_BYTES);
}
static uint64_t piece_select(bench_run *run, reader *r, uint64_t offset) {
  sqlite3_bind_int64(r->select, 1, (sqlite3_int64)offset);
  bench_step(run, r->select, SQLITE_ROW);
  const void *data = sqlite3_column_blob(r->select, 0);
  bench_check(run, sqlite3_column_bytes(r->select, 0) == PIECE_BYTES, "length of a piece");
  uint64_t sum = bench_sum(data, PIECE_BYTES);
  sqlite3_reset(r->select);
  return sum;
}
static uint64_t piece_blob(bench_run *run, reader *r, uint64_t offset) {
  if (sqlite3_blob_read(r->blob, r->buffer, PIECE_BYTES, (int)offset) != SQLITE_OK) bench_fail(run, "blob_read failed");
  return bench_sum(r->buffer, PIECE_BYTES);
}
static uint64_t piece_region_blob(bench_run *run, reader *r, uint64_t offset) {
  if (seqdb_blob_read(r->region_blob, r->buffer, PIECE_BYTES, (sqlite3_int64)offset) != SQLITE_OK)
    bench_fail(run, "seqdb_blob_read failed");
  return bench_sum(r->buffer, PIECE_BYTES);
}
static uint64_t piece_map(bench_run *run, reader *r, uint64_t offset) {
  (void)run;
  return bench_sum(r->map + offset, PIECE_BYTES);
}
static uint64_t piece_lmdb(bench_run *run, reader *r, uint64_t offset) {
  uint64_t number = 1;
  MDB_val key = {sizeof number, &number}, value;
  bench_lmdb_must(run, mdb_get(r->lmdb.txn, r->lmdb.dbi, &key, &value), "get");
  return bench_sum((const uint8_t *)value.mv_data + offset, PIECE_BYTES);
}

static void open_for_pieces(bench_run *run, reader *r) {
  r->db = bench_seqdb_open(run);
  r->buffer = bench_alloc(run, PIECE_BYTES);
  r->snapshot = bench_seqdb_snapshot(run, r->db);
  r->region = bench_seqdb_find(run, r->snapshot, "value");
}
static void random_seqdb(bench_run *run) {
  reader r = {.db = NULL};
  open_for_pieces(run, &r);
  check_random(run, measure_random(run, &r, piece_seqdb));
}
static void random_seqdb_copy(bench_run *run) {
  reader r = {.db = NULL};
  open_for_pieces(run, &r);
  check_random(run, measure_random(run, &r, piece_seqdb_copy));
}
static void random_sql(bench_run *run) {
  reader r = {.select = NULL};
  r.select = bench_prepare(run, bench_sql_open(run), "SELECT seqdb_read('r', 'value', ?1, 4096)");
  check_random(run, measure_random(run, &r, piece_select));
}
/* substr() of the zero-copy value touches, and copies, only what it returns. */
static void random_sql_substr(bench_run *run) {
  reader r = {.select = NULL};
  r.select =
      bench_prepare(run, bench_sql_open(run), "SELECT substr(content, ?1 + 1, 4096) FROM r WHERE name = 'value'");
  check_random(run, measure_random(run, &r, piece_select));
}
static void random_sqlite_blob(bench_run *run) {
  reader r = {.buffer = bench_alloc(run, PIECE_BYTES)};
  r.blob = bench_blob_open(run, bench_sqlite_open(run, BENCH_ROLLBACK), "t", 1, false);
  check_random(run, measure_random(run, &r, piece_blob));
}
static void random_region_blob(bench_run *run) {
  reader r = {.buffer = bench_alloc(run, PIECE_BYTES)};
  r.region_blob = bench_region_blob(run, bench_sql_open(run), "value", SEQDB_BLOB_READ);
  check_random(run, measure_random(run, &r, piece_region_blob));
}
static void random_lmdb(bench_run *run) {
  reader r = {.map = NULL};
  bench_lmdb_open(run, 0, 2 * BENCH_GIB, true, &r.lmdb);
  bench_lmdb_begin(run, &r.lmdb, MDB_RDONLY);
  check_random(run, measure_random(run, &r, piece_lmdb));
}
static void random_plain(bench_run *run) {
  reader r = {.map = bench_plain_map(run, bench_plain_open(run, "value"), random_bytes(run))};
  check_random(run, measure_random(run, &r, piece_map));
}

static const bench_case random_cases[] = {
    {"plain mmap", prepare_random_plain, random_plain},
    {"seqdb", prepare_random_seqdb, random_seqdb},
    {"seqdb, copied", prepare_random_seqdb, random_seqdb_copy},
    {"seqdb SQL", prepare_random_seqdb, random_sql},
    {"seqdb SQL, substr", prepare_random_seqdb, random_sql_substr},
    {"seqdb blob_read", prepare_random_seqdb, random_region_blob},
    {"SQLite blob_read", prepare_random_sqlite, random_sqlite_blob},
    {"LMDB", prepare_random_lmdb, random_lmdb},
    {NULL, NULL, NULL},
};
static const bench_row random_rows[] = {
    {.name = "random4k",
     .title = "random 4 KiB reads of 512 MiB, C API, one snapshot",
     .unit = "ns",
     .ours = "seqdb",
     .peer = "plain mmap",
     .limit = 1.1,
     .at_most = true},
    {.name = "random4k-sql",
     .title = "the same through SQL (seqdb_read)",
     .unit = "ns",
     .ours = "seqdb SQL",
     .peer = "SQLite blob_read",
     .limit = 1.0,
     .at_most = true},
    {.name = "random4k-blob",
     .title = "the same by seqdb_blob_read, beside sqlite3_blob_read",
     .unit = "ns",
     .ours = "seqdb blob_read",
     .peer = "SQLite blob_read",
     .limit = 1.0,
     .at_most = true},
    {.name = NULL},
};

const bench_workload bench_read_workloads[] = {
    {.name = "read256m-sql", .cases = whole_cases, .rows = whole_rows},
    {.name = "random4k", .cases = random_cases, .rows = random_rows},
    {.name = NULL},
};
