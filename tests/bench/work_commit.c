/* SPDX-License-Identifier: MIT
**
** work_commit.c: the time until a small change is durable: one append of 100 bytes, and one to each of ten regions.
** Every commit is timed; a measurement's number is the median, beside it stand the mean and the percentiles.
** Commit i appends 100 bytes with i in the first 8.
*/
#include "contenders.h"

#include <stdio.h>
#include <stdlib.h>

#define PIECE_BYTES   100
#define PIECES_MAX    10
#define PLACE_BYTES   (4 * BENCH_MIB) /* plain: the places of one file are that far apart */
#define COMMITS_ONE   20000 /* of one append: long enough for checkpoints, and for a percentile that counts them */
#define COMMITS_TEN   2000
#define COMMITS_QUICK 10

static void piece_new(uint8_t piece[PIECE_BYTES]) {
  bench_fill(piece, PIECE_BYTES, PIECE_BYTES);
}
static inline void piece_stamp(uint8_t piece[PIECE_BYTES], uint64_t i) {
  memcpy(piece, &i, sizeof i);
}
static const char *log_name(unsigned number) {
  static char name[PIECES_MAX][16];
  snprintf(name[number], sizeof name[number], "log %u", number);
  return name[number];
}

static uint64_t commits_of(const bench_run *run, unsigned pieces) {
  return bench_size(run, pieces == 1 ? COMMITS_ONE : COMMITS_TEN, COMMITS_QUICK);
}

static void check_log(bench_run *run, unsigned pieces, const void *data, uint64_t bytes) {
  uint8_t piece[PIECE_BYTES];
  const uint8_t *at = data;
  bench_check(run, bytes == commits_of(run, pieces) * PIECE_BYTES, "length of a log");
  piece_new(piece);
  for (uint64_t i = 0; i < commits_of(run, pieces); i++, at += PIECE_BYTES) {
    piece_stamp(piece, i);
    bench_check(run, memcmp(at, piece, PIECE_BYTES) == 0, "bytes of a log");
  }
}

/* What one contender does for commit `i`. */
typedef struct committer {
  unsigned pieces;
  uint8_t piece[PIECE_BYTES];
  seqdb *db;
  seqdb_region regions[PIECES_MAX];
  sqlite3 *sql;
  sqlite3_stmt *append;
  bench_lmdb lmdb;
  int fds[PIECES_MAX];
  bool grows; /* plain: bytes go past the end of the file */
} committer;

static void measure(bench_run *run, committer *c, void (*commit)(bench_run *run, committer *c, uint64_t i)) {
  uint64_t count = commits_of(run, c->pieces);
  uint64_t *samples = bench_alloc(run, count * sizeof *samples);
  piece_new(c->piece);
  bench_begin(run);
  for (uint64_t i = 0; i < count; i++) {
    uint64_t begin = bench_now_ns();
    piece_stamp(c->piece, i);
    commit(run, c, i);
    samples[i] = bench_now_ns() - begin;
  }
  bench_metric(run, 1, bench_end(run) / (double)count / 1e3);
  bench_metric(run, 0, bench_latency(run, samples, count) / 1e3);
  for (int rank = 2; rank <= 4; rank++) /* 99, 99.9, the longest */
    bench_metric(run, rank, run->result->latency_us[rank]);
  free(samples);
}

/* ---- seqdb ------------------------------------------------------------------------------------------------------- */

static void commit_seqdb(bench_run *run, committer *c, uint64_t i) {
  (void)i;
  for (unsigned p = 0; p < c->pieces; p++) {
    bench_seqdb_must(run, c->db, seqdb_append(c->db, c->regions[p], c->piece, PIECE_BYTES, NULL), "append");
  }
  bench_seqdb_flush(run, c->db);
}

static void run_seqdb(bench_run *run, unsigned pieces) {
  committer c = {.pieces = pieces, .db = bench_seqdb_open(run)};
  for (unsigned p = 0; p < pieces; p++)
    c.regions[p] = bench_seqdb_region(run, c.db, log_name(p));
  bench_seqdb_flush(run, c.db);
  measure(run, &c, commit_seqdb);
  seqdb_close(c.db);
  c.db = bench_seqdb_open(run);
  seqdb_snapshot *snapshot = bench_seqdb_snapshot(run, c.db);
  for (unsigned p = 0; p < pieces; p++) {
    const void *data = NULL;
    uint64_t bytes = commits_of(run, pieces) * PIECE_BYTES;
    seqdb_region region = bench_seqdb_find(run, snapshot, log_name(p));
    bench_check(run, seqdb_read(seqdb_snapshot_view(snapshot), region, 0, bytes, &data) == SEQDB_OK,
                "region is not mapped");
    check_log(run, pieces, data, bytes);
  }
}

/* ---- SQL --------------------------------------------------------------------------------------------------------- */

static void commit_sql(bench_run *run, committer *c, uint64_t i) {
  (void)i;
  if (c->pieces > 1) bench_sql(run, c->sql, "BEGIN");
  for (unsigned p = 0; p < c->pieces; p++) {
    sqlite3_bind_text(c->append, 1, log_name(p), -1, SQLITE_STATIC);
    sqlite3_bind_blob(c->append, 2, c->piece, PIECE_BYTES, SQLITE_STATIC);
    bench_step(run, c->append, SQLITE_DONE);
    sqlite3_reset(c->append);
  }
  if (c->pieces > 1) bench_sql(run, c->sql, "COMMIT");
}

static void run_sql(bench_run *run, unsigned pieces) {
  committer c = {.pieces = pieces, .sql = bench_sql_open(run)};
  for (unsigned p = 0; p < pieces; p++) {
    sqlite3_stmt *create = bench_prepare(run, c.sql, "INSERT INTO r(name) VALUES(?1)");
    sqlite3_bind_text(create, 1, log_name(p), -1, SQLITE_STATIC);
    bench_step(run, create, SQLITE_DONE);
    sqlite3_finalize(create);
  }
  c.append = bench_prepare(run, c.sql, "INSERT INTO r(name, append) VALUES(?1, ?2)");
  measure(run, &c, commit_sql);
  sqlite3_stmt *read = bench_prepare(run, c.sql, "SELECT content FROM r");
  for (unsigned p = 0; p < pieces; p++) {
    bench_step(run, read, SQLITE_ROW);
    const void *data = sqlite3_column_blob(read, 0);
    check_log(run, pieces, data, (uint64_t)sqlite3_column_bytes(read, 0));
  }
}

static void run_sqlite(bench_run *run, unsigned pieces) {
  committer c = {.pieces = pieces, .sql = bench_sqlite_open(run, BENCH_WAL)};
  bench_sql(run, c.sql, "CREATE TABLE log(id INTEGER PRIMARY KEY, name TEXT, content BLOB)");
  c.append = bench_prepare(run, c.sql, "INSERT INTO log(name, content) VALUES(?1, ?2)");
  measure(run, &c, commit_sql);
  sqlite3_stmt *read = bench_prepare(run, c.sql, "SELECT content FROM log WHERE name = ?1 ORDER BY id");
  uint8_t *all = bench_alloc(run, commits_of(run, pieces) * PIECE_BYTES);
  for (unsigned p = 0; p < pieces; p++) {
    uint64_t bytes = 0;
    sqlite3_bind_text(read, 1, log_name(p), -1, SQLITE_STATIC);
    for (; sqlite3_step(read) == SQLITE_ROW && bytes < commits_of(run, pieces) * PIECE_BYTES; bytes += PIECE_BYTES) {
      memcpy(all + bytes, sqlite3_column_blob(read, 0), PIECE_BYTES);
    }
    check_log(run, pieces, all, bytes);
    sqlite3_reset(read);
  }
}

/* ---- LMDB -------------------------------------------------------------------------------------------------------- */

/* Key: number of the log, then of the piece; integer keys are compared as machine words. */
static void commit_lmdb(bench_run *run, committer *c, uint64_t i) {
  uint64_t number = 0;
  MDB_val key = {sizeof number, &number}, value = {PIECE_BYTES, c->piece};
  bench_lmdb_begin(run, &c->lmdb, 0);
  for (unsigned p = 0; p < c->pieces; p++) {
    number = (uint64_t)p << 32 | i;
    bench_lmdb_must(run, mdb_put(c->lmdb.txn, c->lmdb.dbi, &key, &value, c->pieces == 1 ? MDB_APPEND : 0), "put");
  }
  bench_lmdb_commit(run, &c->lmdb);
}

static void run_lmdb(bench_run *run, unsigned pieces, unsigned flags) {
  committer c = {.pieces = pieces};
  bench_lmdb_open(run, flags, BENCH_GIB, true, &c.lmdb);
  measure(run, &c, commit_lmdb);
  uint8_t *all = bench_alloc(run, commits_of(run, pieces) * PIECE_BYTES);
  bench_lmdb_begin(run, &c.lmdb, MDB_RDONLY);
  for (unsigned p = 0; p < pieces; p++) {
    uint64_t number = (uint64_t)p << 32, bytes = 0;
    MDB_val key = {sizeof number, &number}, value;
    for (; mdb_get(c.lmdb.txn, c.lmdb.dbi, &key, &value) == 0; number++, bytes += PIECE_BYTES) {
      memcpy(all + bytes, value.mv_data, PIECE_BYTES);
    }
    check_log(run, pieces, all, bytes);
  }
}

/* ---- plain files ------------------------------------------------------------------------------------------------- */

/* One file; piece p of commit i at p * PLACE_BYTES + i * PIECE_BYTES, one fdatasync. */
static void commit_plain(bench_run *run, committer *c, uint64_t i) {
  for (unsigned p = 0; p < c->pieces; p++) {
    bench_pwrite(run, c->fds[0], c->piece, PIECE_BYTES, p * PLACE_BYTES + i * PIECE_BYTES);
  }
  bench_fdatasync(run, c->fds[0]);
}

/* A file for each log, each synced. */
static void commit_plain_files(bench_run *run, committer *c, uint64_t i) {
  for (unsigned p = 0; p < c->pieces; p++)
    bench_pwrite(run, c->fds[p], c->piece, PIECE_BYTES, i * PIECE_BYTES);
  for (unsigned p = 0; p < c->pieces; p++)
    bench_fdatasync(run, c->fds[p]);
}

static void check_plain(bench_run *run, unsigned pieces, int fd, uint64_t offset) {
  uint64_t bytes = commits_of(run, pieces) * PIECE_BYTES;
  check_log(run, pieces, bench_plain_map(run, fd, offset + bytes) + offset, bytes);
}

/* The places are written with zeros and synced before: a commit then changes data blocks and nothing else. */
static void run_plain(bench_run *run, unsigned pieces) {
  committer c = {.pieces = pieces};
  uint8_t *zeros = bench_alloc(run, commits_of(run, pieces) * PIECE_BYTES);
  c.fds[0] = bench_plain_open(run, "log");
  for (unsigned p = 0; p < pieces; p++) {
    bench_pwrite(run, c.fds[0], zeros, commits_of(run, pieces) * PIECE_BYTES, p * PLACE_BYTES);
  }
  bench_fdatasync(run, c.fds[0]);
  measure(run, &c, commit_plain);
  for (unsigned p = 0; p < pieces; p++)
    check_plain(run, pieces, c.fds[0], p * PLACE_BYTES);
}

static void run_plain_files(bench_run *run, unsigned pieces) {
  committer c = {.pieces = pieces};
  for (unsigned p = 0; p < pieces; p++)
    c.fds[p] = bench_plain_open(run, log_name(p));
  measure(run, &c, commit_plain_files);
  for (unsigned p = 0; p < pieces; p++)
    check_plain(run, pieces, c.fds[p], 0);
}

/* ---- tables ------------------------------------------------------------------------------------------------------ */

static void one_seqdb(bench_run *run) {
  run_seqdb(run, 1);
}
static void one_sql(bench_run *run) {
  run_sql(run, 1);
}
static void one_sqlite(bench_run *run) {
  run_sqlite(run, 1);
}
static void one_lmdb(bench_run *run) {
  run_lmdb(run, 1, 0);
}
static void one_lmdb_writemap(bench_run *run) {
  run_lmdb(run, 1, MDB_WRITEMAP);
}
static void one_plain(bench_run *run) {
  run_plain(run, 1);
}
static void one_plain_growing(bench_run *run) {
  run_plain_files(run, 1);
}
static void ten_seqdb(bench_run *run) {
  run_seqdb(run, 10);
}
static void ten_sql(bench_run *run) {
  run_sql(run, 10);
}
static void ten_sqlite(bench_run *run) {
  run_sqlite(run, 10);
}
static void ten_lmdb(bench_run *run) {
  run_lmdb(run, 10, 0);
}
static void ten_lmdb_writemap(bench_run *run) {
  run_lmdb(run, 10, MDB_WRITEMAP);
}
static void ten_plain(bench_run *run) {
  run_plain(run, 10);
}
static void ten_plain_files(bench_run *run) {
  run_plain_files(run, 10);
}

static const bench_case one_cases[] = {
    {"plain", NULL, one_plain},
    {"plain, growing file", NULL, one_plain_growing},
    {"seqdb", NULL, one_seqdb},
    {"seqdb SQL", NULL, one_sql},
    {"SQLite WAL", NULL, one_sqlite},
    {"LMDB", NULL, one_lmdb},
    {"LMDB WRITEMAP", NULL, one_lmdb_writemap},
    {NULL, NULL, NULL},
};
static const bench_row one_rows[] = {
    {.name = "commit1",
     .title = "commit of one 100-byte append: median",
     .unit = "us",
     .ours = "seqdb",
     .peer = "plain",
     .limit = 1.1,
     .at_most = true},
    {.name = "commit1-mean",
     .title = "the same: mean, checkpoints included",
     .unit = "us",
     .metric = 1,
     .ours = "seqdb",
     .peer = "plain"},
    {.name = "commit1-p99",
     .title = "the same: 99th percentile of 20,000, checkpoints included",
     .unit = "us",
     .metric = 2,
     .ours = "seqdb",
     .peer = "plain",
     .limit = 1.5,
     .at_most = true},
    {.name = "commit1-p999",
     .title = "the same: 99.9th percentile",
     .unit = "us",
     .metric = 3,
     .ours = "seqdb",
     .peer = "plain"},
    {.name = "commit1-max",
     .title = "the same: the longest one",
     .unit = "us",
     .metric = 4,
     .ours = "seqdb",
     .peer = "plain"},
    {.name = NULL},
};
static const bench_case ten_cases[] = {
    {"plain", NULL, ten_plain},
    {"plain, 10 files", NULL, ten_plain_files},
    {"seqdb", NULL, ten_seqdb},
    {"seqdb SQL", NULL, ten_sql},
    {"SQLite WAL", NULL, ten_sqlite},
    {"LMDB", NULL, ten_lmdb},
    {"LMDB WRITEMAP", NULL, ten_lmdb_writemap},
    {NULL, NULL, NULL},
};
static const bench_row ten_rows[] = {
    {.name = "commit10",
     .title = "commit touching 10 regions, 100 bytes each: median",
     .unit = "us",
     .ours = "seqdb",
     .peer = "plain",
     .limit = 1.3,
     .at_most = true},
    {.name = "commit10-mean",
     .title = "the same: mean, checkpoints included",
     .unit = "us",
     .metric = 1,
     .ours = "seqdb",
     .peer = "plain"},
    {.name = "commit10-p99",
     .title = "the same: 99th percentile",
     .unit = "us",
     .metric = 2,
     .ours = "seqdb",
     .peer = "plain"},
    {.name = NULL},
};

const bench_workload bench_commit_workloads[] = {
    {.name = "commit1", .cases = one_cases, .rows = one_rows},
    {.name = "commit10", .cases = ten_cases, .rows = ten_rows},
    {.name = NULL},
};
