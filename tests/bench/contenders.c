/* SPDX-License-Identifier: MIT
**
** contenders.c: how each contender is opened; see contenders.h for why so.
** Owns nothing: what is opened belongs to the measurement, whose process ends after it.
*/
#include "contenders.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- seqdb ------------------------------------------------------------------------------------------------------- */

void bench_seqdb_must(bench_run *run, seqdb *db, int code, const char *what) {
  if (code < 0) bench_fail(run, "seqdb %s: %s: %s", what, seqdb_strerror(code), db ? seqdb_errmsg(db) : "");
}

seqdb *bench_seqdb_open(bench_run *run) {
  seqdb_options options = {.size_bytes = sizeof options, .flags = SEQDB_OPEN_CREATE};
  seqdb_error error = SEQDB_ERROR_INIT;
  seqdb *db = NULL;
  if (seqdb_open(bench_path(run, "r.seqdb"), &options, &error, &db) != SEQDB_OK)
    bench_fail(run, "seqdb: %s", error.message);
  return db;
}

seqdb_region bench_seqdb_region(bench_run *run, seqdb *db, const char *name) {
  seqdb_region region = 0;
  bench_seqdb_must(run, db, seqdb_find_or_create(db, name, strlen(name), &region, NULL), "create");
  return region;
}

seqdb_region bench_seqdb_find(bench_run *run, seqdb_snapshot *snapshot, const char *name) {
  seqdb_region region = 0;
  bench_seqdb_must(run, NULL, seqdb_find(seqdb_snapshot_view(snapshot), name, strlen(name), &region), "find");
  return region;
}

seqdb_snapshot *bench_seqdb_snapshot(bench_run *run, seqdb *db) {
  seqdb_snapshot *snapshot = NULL;
  bench_seqdb_must(run, db, seqdb_snapshot_open(db, &snapshot), "snapshot");
  return snapshot;
}

void bench_seqdb_flush(bench_run *run, seqdb *db) {
  bench_seqdb_must(run, db, seqdb_flush(db, NULL), "flush");
}

/* ---- SQLite ------------------------------------------------------------------------------------------------------ */

void bench_sqlite_must(bench_run *run, sqlite3 *db, int code, const char *what) {
  if (code != SQLITE_OK) bench_fail(run, "SQLite %s: %s", what, sqlite3_errmsg(db));
}

void bench_sql(bench_run *run, sqlite3 *db, const char *sql) {
  bench_sqlite_must(run, db, sqlite3_exec(db, sql, NULL, NULL, NULL), sql);
}

sqlite3 *bench_sqlite_open(bench_run *run, bench_journal journal) {
  sqlite3 *db = NULL;
  bench_sqlite_must(run, db, sqlite3_open(bench_path(run, "host.db"), &db), "open");
  sqlite3_busy_timeout(db, 30000); /* several processes that open at a time wait for each other */
  bench_sql(run, db, journal == BENCH_WAL ? "PRAGMA journal_mode=WAL" : "PRAGMA journal_mode=TRUNCATE");
  bench_sql(run, db, "PRAGMA synchronous=FULL; PRAGMA mmap_size=2147418112; PRAGMA cache_size=-65536;");
  return db;
}

void bench_sql_load(bench_run *run, sqlite3 *db) {
  char *message = NULL;
  sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1, (int *)NULL);
  if (sqlite3_load_extension(db, run->options->extension, NULL, &message) != SQLITE_OK) bench_fail(run, "%s", message);
}

sqlite3 *bench_sql_open(bench_run *run) {
  sqlite3 *db = bench_sqlite_open(run, BENCH_WAL);
  bench_sql_load(run, db);
  bench_sql(run, db, "CREATE VIRTUAL TABLE IF NOT EXISTS r USING seqdb('r.seqdb')");
  return db;
}

sqlite3_stmt *bench_prepare(bench_run *run, sqlite3 *db, const char *sql) {
  sqlite3_stmt *statement = NULL;
  bench_sqlite_must(run, db, sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL), sql);
  return statement;
}

void bench_step(bench_run *run, sqlite3_stmt *statement, int expected) {
  if (sqlite3_step(statement) != expected) {
    bench_fail(run, "SQLite %s: %s", sqlite3_sql(statement), sqlite3_errmsg(sqlite3_db_handle(statement)));
  }
}

sqlite3_blob *bench_blob_open(bench_run *run, sqlite3 *db, const char *table, sqlite3_int64 rowid, bool write) {
  sqlite3_blob *blob = NULL;
  bench_sqlite_must(run, db, sqlite3_blob_open(db, "main", table, "content", rowid, write, &blob), "blob_open");
  return blob;
}

seqdb_blob *bench_region_blob(bench_run *run, sqlite3 *db, const char *name, int flags) {
  seqdb_blob *blob = NULL;
  bench_sqlite_must(run, db, seqdb_blob_open(db, "main", "r", name, flags, &blob), "seqdb_blob_open");
  return blob;
}

/* ---- LMDB -------------------------------------------------------------------------------------------------------- */

void bench_lmdb_must(bench_run *run, int code, const char *what) {
  if (code != 0) bench_fail(run, "LMDB %s: %s", what, mdb_strerror(code));
}

void bench_lmdb_open(bench_run *run, unsigned flags, uint64_t map_bytes, bool integer_keys, bench_lmdb *lmdb) {
  const char *dir = bench_path(run, "lmdb");
  mkdir(dir, 0755);
  bench_lmdb_must(run, mdb_env_create(&lmdb->env), "create");
  bench_lmdb_must(run, mdb_env_set_mapsize(lmdb->env, map_bytes), "mapsize");
  bench_lmdb_must(run, mdb_env_open(lmdb->env, dir, flags, 0644), "open");
  bench_lmdb_begin(run, lmdb, 0);
  bench_lmdb_must(run, mdb_dbi_open(lmdb->txn, NULL, integer_keys ? MDB_INTEGERKEY : 0, &lmdb->dbi), "dbi_open");
  bench_lmdb_commit(run, lmdb);
}

void bench_lmdb_begin(bench_run *run, bench_lmdb *lmdb, unsigned flags) {
  bench_lmdb_must(run, mdb_txn_begin(lmdb->env, NULL, flags, &lmdb->txn), "begin");
}

void bench_lmdb_commit(bench_run *run, bench_lmdb *lmdb) {
  bench_lmdb_must(run, mdb_txn_commit(lmdb->txn), "commit");
  lmdb->txn = NULL;
}

void bench_lmdb_close(bench_lmdb *lmdb) {
  mdb_env_close(lmdb->env);
}

/* ---- plain files ------------------------------------------------------------------------------------------------- */

int bench_plain_open(bench_run *run, const char *name) {
  int fd = open(bench_path(run, name), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) bench_fail(run, "open %s: %s", name, strerror(errno));
  return fd;
}

void bench_plain_new(bench_run *run, const char *name, bench_plain *plain) {
  *plain = (bench_plain){.fd = bench_plain_open(run, name), .buffer = bench_alloc(run, BENCH_PLAIN_BUFFER)};
}

void bench_pwrite(bench_run *run, int fd, const void *data, size_t bytes, uint64_t offset) {
  const uint8_t *at = data;
  while (bytes > 0) {
    ssize_t written = pwrite(fd, at, bytes, (off_t)offset);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) bench_fail(run, "pwrite: %s", strerror(errno));
    at += written;
    bytes -= (size_t)written;
    offset += (uint64_t)written;
  }
}

void bench_plain_flush(bench_run *run, bench_plain *plain) {
  if (plain->filled == 0) return;
  bench_pwrite(run, plain->fd, plain->buffer, plain->filled, plain->offset);
  plain->offset += plain->filled;
  plain->filled = 0;
}

void bench_plain_free(bench_plain *plain) {
  close(plain->fd);
  free(plain->buffer);
}

void bench_fdatasync(bench_run *run, int fd) {
  if (fdatasync(fd) != 0) bench_fail(run, "fdatasync: %s", strerror(errno));
}

void bench_start_writeback(int fd) {
#if defined(SYNC_FILE_RANGE_WRITE)
  sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
#else
  (void)fd;
#endif
}

const uint8_t *bench_plain_map(bench_run *run, int fd, uint64_t bytes) {
  void *address = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
  if (address == MAP_FAILED) bench_fail(run, "mmap: %s", strerror(errno));
  return address;
}
