/* SPDX-License-Identifier: MIT
**
** blob.c: regions from C by seqdb_blob.h, where a program would use sqlite3_blob.
** Build and run in an empty directory:
**   cc -I/path/to/ext blob.c -lsqlite3 -o blob && ./blob /path/to/build/seqdb
**
** Expected output:
**   23 bytes: one line, two lines, 3
**   ONE line
**   after ROLLBACK: 23 bytes
**   other: 5 bytes
**   error 1: regions: no such region: 'missing'
*/
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sqlite3.h>
#include "seqdb_blob.h"

static sqlite3 *db;

static void must(int rc) {
  if (rc == SQLITE_OK) return;
  fprintf(stderr, "error %d: %s\n", rc, sqlite3_errmsg(db));
  exit(1);
}

static void run(const char *sql) {
  must(sqlite3_exec(db, sql, NULL, NULL, NULL));
}

int main(int argc, char **argv) {
  seqdb_blob *blob = NULL;
  char word[9] = "";
  const void *data;
  sqlite3_int64 bytes;

  if (argc < 2) return 2;
  must(sqlite3_open("blob.db", &db));
  must(sqlite3_enable_load_extension(db, 1));
  must(sqlite3_load_extension(db, argv[1], "sqlite3_seqdb_init", NULL));
  run("PRAGMA journal_mode = WAL; CREATE VIRTUAL TABLE regions USING seqdb('blob_regions')");

  /* A handle that makes the region if it is not there.  In BEGIN all writes are one commit. */
  must(seqdb_blob_open(db, "main", "regions", "log", SEQDB_BLOB_CREATE, &blob));
  run("BEGIN");
  must(seqdb_blob_append(blob, "one line, ", 10));
  must(seqdb_blob_append(blob, "two lines, 34", 13));
  run("COMMIT");
  must(seqdb_blob_write(blob, "3 ", 2, 21)); /* over bytes that are there; past the end it grows */

  /* Without a copy: the pointer leads into the mapped file. */
  must(seqdb_blob_map(blob, &data, &bytes));
  printf("%lld bytes: %.*s\n", (long long)bytes, 22, (const char *)data);

  must(seqdb_blob_write(blob, "ONE", 3, 0));
  must(seqdb_blob_read(blob, word, 8, 0));
  printf("%s\n", word);

  run("BEGIN");
  must(seqdb_blob_truncate(blob, 0));
  run("ROLLBACK");
  printf("after ROLLBACK: %lld bytes\n", (long long)seqdb_blob_bytes(blob));

  run("INSERT INTO regions(name, content) VALUES ('other', 'other')");
  must(seqdb_blob_reopen(blob, "other"));
  printf("other: %lld bytes\n", (long long)seqdb_blob_bytes(blob));

  int rc = seqdb_blob_reopen(blob, "missing");
  printf("error %d: %s\n", rc, sqlite3_errmsg(db));

  must(seqdb_blob_close(blob));
  must(sqlite3_close(db)); /* SQLITE_BUSY if a handle was open */
  return 0;
}
