/* SPDX-License-Identifier: MIT
**
** static.c: SQLite and seqdb linked into a program: nothing is loaded, no file has to be found.
** Build with -Dsqlite_core=true, in the checkout, and run in an empty directory:
**   cc static.c build/ext/libseqdb_sqlite.a build/core/libseqdb.a -lsqlite3 -pthread -o static && ./static
** With an amalgamation put sqlite3.c in place of -lsqlite3.  With Debian's libseqdb-dev installed:
**   cc static.c $(pkg-config --cflags --libs seqdb_sqlite) -o static
**
** Expected output:
**   committed: 2 notes, 22 bytes in the log
**   rolled back: 2 notes, 22 bytes in the log
**   another connection reads: first line
**   check: ok
*/
#include <stdio.h>
#include <stdlib.h>
#include <sqlite3.h>

/* The entry point, as of the file that .load takes.  The last argument is not used where SQLite is linked. */
int sqlite3_seqdb_init(sqlite3 *db, char **error, const struct sqlite3_api_routines *api);

static void must(sqlite3 *db, int rc) {
  if (rc == SQLITE_OK) return;
  fprintf(stderr, "error %d: %s\n", rc, sqlite3_errmsg(db));
  exit(1);
}

static void run(sqlite3 *db, const char *sql) {
  must(db, sqlite3_exec(db, sql, NULL, NULL, NULL));
}

static void show(sqlite3 *db, const char *label, const char *sql) {
  sqlite3_stmt *statement = NULL;
  must(db, sqlite3_prepare_v2(db, sql, -1, &statement, NULL));
  if (sqlite3_step(statement) == SQLITE_ROW) printf("%s: %s\n", label, (const char *)sqlite3_column_text(statement, 0));
  must(db, sqlite3_finalize(statement));
}

static const char counts[] =
    "SELECT format('%d notes, %d bytes in the log', (SELECT count(*) FROM note), length)"
    "  FROM regions WHERE name = 'log'";

int main(void) {
  sqlite3 *writer = NULL;
  sqlite3 *reader = NULL;

  /* Every connection that is opened from here on has it.  For one connection alone, after sqlite3_open():
  ** sqlite3_seqdb_init(db, &error, NULL). */
  sqlite3_auto_extension((void (*)(void))sqlite3_seqdb_init);
  must(writer, sqlite3_open("static.db", &writer));
  run(writer, "PRAGMA journal_mode = WAL");
  run(writer, "CREATE VIRTUAL TABLE regions USING seqdb('static_regions')");
  run(writer, "CREATE TABLE note(text)");

  run(writer, "BEGIN IMMEDIATE");
  run(writer, "INSERT INTO note VALUES ('one'), ('two')");
  run(writer, "INSERT INTO regions(name, append) VALUES ('log', 'first line' || char(10)), ('log', 'next line.\n')");
  run(writer, "COMMIT");
  show(writer, "committed", counts);

  run(writer, "BEGIN; DELETE FROM note; DELETE FROM regions; ROLLBACK");
  show(writer, "rolled back", counts);

  must(reader, sqlite3_open("static.db", &reader));
  show(reader, "another connection reads",
       "SELECT CAST(substr(content, 1, 10) AS TEXT) FROM regions WHERE name = 'log'");
  show(reader, "check", "SELECT seqdb_check('regions')");
  must(reader, sqlite3_close(reader));
  must(writer, sqlite3_close(writer));
  return 0;
}
