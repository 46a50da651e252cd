/* SPDX-License-Identifier: MIT
**
** c.c: regions and rows in one database, from C.
**
**   cc c.c -lsqlite3 -o demo && ./demo PATH/OF/seqdb        in a folder for demo.db; prints what README.md shows
*/
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

static sqlite3 *db;

static void fail(const char *what) {
  fprintf(stderr, "%s: %s\n", what, sqlite3_errmsg(db));
  exit(1);
}

static sqlite3_stmt *prepare(const char *sql) {
  sqlite3_stmt *statement = NULL;

  if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK) fail(sql);
  return statement;
}

/* Run the statement; if it has a row, print `label` and the first column, a blob in hexadecimal digits. */
static void run(const char *label, sqlite3_stmt *statement) {
  const unsigned char *bytes;
  int at, count, rc = sqlite3_step(statement);

  if (rc == SQLITE_ROW && label != NULL) {
    bytes = sqlite3_column_blob(statement, 0); /* valid until the next step, reset or finalize */
    count = sqlite3_column_bytes(statement, 0);
    printf("%s", label);
    for (at = 0; at < count; at++)
      printf(sqlite3_column_type(statement, 0) == SQLITE_BLOB ? "%02x" : "%c", bytes[at]);
    printf("\n");
  }
  /* A failed step says why here, with the code of its kind. */
  if (sqlite3_finalize(statement) != SQLITE_OK) fail(label != NULL ? label : "statement");
}

static void execute(const char *sql) {
  if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) fail(sql);
}

/* SQLITE_STATIC: name and bytes stay where they are until the statement is finalized, and are not copied before. */
static void append(const char *name, const void *bytes, int count) {
  sqlite3_stmt *statement = prepare("INSERT INTO regions(name, append) VALUES (?, ?)");

  sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
  sqlite3_bind_blob(statement, 2, bytes, count, SQLITE_STATIC);
  run(NULL, statement);
}

static void print_state(const char *label) {
  run(label, prepare("SELECT printf('%d note, %d bytes in the log', (SELECT count(*) FROM note), length) "
                     "FROM regions WHERE name = 'log'"));
}

static void open_database(const char *extension) {
  char *message = NULL;

  if (sqlite3_open("demo.db", &db) != SQLITE_OK) fail("demo.db");
  sqlite3_busy_timeout(db, 5000);
  sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1, NULL); /* for C, not for SQL */
  if (sqlite3_load_extension(db, extension, NULL, &message) != SQLITE_OK) {
    fprintf(stderr, "%s\n", message);
    exit(1);
  }
  run("SQLite ", prepare("SELECT sqlite_version() || ', seqdb ' || seqdb_version()"));
}

int main(int argc, char **argv) {
  sqlite3_stmt *statement;

  if (argc != 2) return 2;
  open_database(argv[1]);
  run("journal mode: ", prepare("PRAGMA journal_mode = WAL"));
  execute(
      "CREATE TABLE IF NOT EXISTS note(text TEXT);"
      "CREATE VIRTUAL TABLE IF NOT EXISTS regions USING seqdb('demo_regions')");

  execute("BEGIN; INSERT INTO note VALUES ('two lines')");
  append("log", "first\n", 6);
  append("log", "second\n", 7);
  append("raw", "\x00\xff\x80\x01", 4);
  execute("COMMIT");
  print_state("committed: ");

  execute("BEGIN; INSERT INTO note VALUES ('never to be')");
  append("log", "third\n", 6);
  execute("ROLLBACK");
  print_state("rolled back: ");

  run("content: ", prepare("SELECT content FROM regions WHERE name = 'raw'"));
  statement = prepare("SELECT substr(content, ?, ?) FROM regions WHERE name = 'raw'");
  sqlite3_bind_int64(statement, 1, 2);
  sqlite3_bind_int64(statement, 2, 2);
  run("a part by substr: ", statement);
  statement = prepare("SELECT seqdb_read('regions', 'raw', ?, ?)");
  sqlite3_bind_int64(statement, 1, 1);
  sqlite3_bind_int64(statement, 2, 2);
  run("a part by seqdb_read: ", statement);

  execute(
      "BEGIN; UPDATE regions SET length = 5 WHERE name = 'log';"
      "UPDATE regions SET content = x'02' WHERE name = 'raw'; COMMIT");
  run("cut and replaced: ", prepare("SELECT lower(group_concat(hex(content), ', ')) FROM regions"));

  execute("BEGIN; DELETE FROM regions WHERE name IN ('log', 'raw'); DELETE FROM note; COMMIT");
  run("removed: ", prepare("SELECT count(*) || ' regions left' FROM regions"));
  run("check: ", prepare("SELECT seqdb_check('regions')"));
  if (sqlite3_close(db) != SQLITE_OK) fail("close");
  return 0;
}
