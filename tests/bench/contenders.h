/* SPDX-License-Identifier: MIT
**
** contenders.h: each contender opened and driven the way its own documentation recommends for speed.
**
** seqdb       a handle of the engine, linked statically; the flags of a program that wants its data kept seqdb SQL
** the extension as it is installed, loaded into SQLite; host file in WAL mode, synchronous=FULL SQLite      page size
** 4096, mmap_size on, 64 MiB of cache; WAL with synchronous=FULL, or where one transaction is larger than a
**             WAL should be (sqlite.org/wal.html, "very large transactions") a rollback journal, also FULL
** LMDB        a large map, so that it is never resized; MDB_APPEND and MDB_RESERVE where keys ascend, MDB_WRITEMAP
** where it helps;
**             no flag that gives up durability
** plain       pwrite() from a 256 KiB buffer and fdatasync(); mmap() for reads.  The limit, without names, atomicity or
** checks
**
** Every function fails the measurement instead of returning an error.
*/
#ifndef CONTENDERS_H
#define CONTENDERS_H

#include <lmdb.h>
#include <sqlite3.h>
#include <string.h>
#include "bench.h"
#include "seqdb.h"
#include "seqdb_blob.h"

/* ---- seqdb ------------------------------------------------------------------------------------------------------- */

seqdb *bench_seqdb_open(bench_run *run); /* below the case's directory; created if missing */
seqdb_region bench_seqdb_region(bench_run *run, seqdb *db, const char *name);
seqdb_region bench_seqdb_find(bench_run *run, seqdb_snapshot *snapshot, const char *name);
seqdb_snapshot *bench_seqdb_snapshot(bench_run *run, seqdb *db);
void bench_seqdb_flush(bench_run *run, seqdb *db);
/* SEQDB_OK or SEQDB_DONE pass, everything else fails. */
void bench_seqdb_must(bench_run *run, seqdb *db, int code, const char *what);

/* ---- SQLite, and seqdb through it -------------------------------------------------------------------------------- */

typedef enum bench_journal { BENCH_WAL, BENCH_ROLLBACK } bench_journal;

sqlite3 *bench_sqlite_open(bench_run *run, bench_journal journal);
void bench_sql_load(bench_run *run, sqlite3 *db); /* the extension */
/* A file in WAL mode with the extension loaded and a table `r` on directory `r.seqdb`. */
sqlite3 *bench_sql_open(bench_run *run);
void bench_sql(bench_run *run, sqlite3 *db, const char *sql);
sqlite3_stmt *bench_prepare(bench_run *run, sqlite3 *db, const char *sql);
/* Steps to the row or to the end; anything else fails. */
void bench_step(bench_run *run, sqlite3_stmt *statement, int expected);
sqlite3_blob *bench_blob_open(bench_run *run, sqlite3 *db, const char *table, sqlite3_int64 rowid, bool write);
seqdb_blob *bench_region_blob(bench_run *run, sqlite3 *db, const char *name, int flags); /* of the table r */
void bench_sqlite_must(bench_run *run, sqlite3 *db, int code, const char *what);

/* ---- LMDB -------------------------------------------------------------------------------------------------------- */

typedef struct bench_lmdb {
  MDB_env *env;
  MDB_dbi dbi;
  MDB_txn *txn;
} bench_lmdb;

/* Opens; dbi is an integer-keyed database if `integer_keys`. */
void bench_lmdb_open(bench_run *run, unsigned flags, uint64_t map_bytes, bool integer_keys, bench_lmdb *lmdb);
void bench_lmdb_begin(bench_run *run, bench_lmdb *lmdb, unsigned flags);
void bench_lmdb_commit(bench_run *run, bench_lmdb *lmdb);
void bench_lmdb_close(bench_lmdb *lmdb);
void bench_lmdb_must(bench_run *run, int code, const char *what);

/* ---- plain files ------------------------------------------------------------------------------------------------- */

#define BENCH_PLAIN_BUFFER (256 * 1024)

typedef struct bench_plain {
  int fd;
  uint64_t offset; /* where the buffer goes */
  size_t filled;
  uint8_t *buffer; /* BENCH_PLAIN_BUFFER bytes */
} bench_plain;

int bench_plain_open(bench_run *run, const char *name); /* read and write, created */
void bench_plain_new(bench_run *run, const char *name, bench_plain *plain);
void bench_plain_flush(bench_run *run, bench_plain *plain); /* pwrite of what is buffered; no sync */
void bench_plain_free(bench_plain *plain);
void bench_pwrite(bench_run *run, int fd, const void *data, size_t bytes, uint64_t offset);
void bench_fdatasync(bench_run *run, int fd);
/* Let the kernel begin writing the file, without waiting, where it can be asked to. */
void bench_start_writeback(int fd);
const uint8_t *bench_plain_map(bench_run *run, int fd, uint64_t bytes); /* read-only, shared */

static inline void bench_plain_append(bench_run *run, bench_plain *plain, const void *data, size_t bytes) {
  if (plain->filled + bytes > BENCH_PLAIN_BUFFER) bench_plain_flush(run, plain);
  memcpy(plain->buffer + plain->filled, data, bytes);
  plain->filled += bytes;
}

#endif /* CONTENDERS_H */
