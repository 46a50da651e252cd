/* SPDX-License-Identifier: MIT
**
** feed_watch.c: see feed_watch.h.
**
** REPLACE removes rows by a UNIQUE index that was made after the triggers, and these do not note them.  seqdb_object
** compares the signs (feed_tables.h), but if the index is gone by then it sees nothing.  So who changes rows looks,
** too: where the triggers note too little <T>_logged.since becomes the generation of this commit, and who has what was
** before it needs a base.  So does each commit that is made under such a schema.
**
** WHEN.  The triggers touch the directory for each row.  That looks
**   - the first time in a transaction.  It holds SQLite's write lock: no other connection changes the schema after it;
**   - when the kept statement has expired.  CREATE INDEX and ROLLBACK TO make SQLite compile all statements of their
**     connection anew.  For each row that is a look at one flag;
**   - after T was connected anew, as ALTER TABLE makes SQLite do;
**   - after ROLLBACK TO a savepoint that is older than the last look: that has undone what it wrote.
** A look reads schema_version, and goes on only if that is not the one that was right in a commit of this connection.
**
** REJECTED: schema_version for each row.  That made a row 6 to 12 % dearer.
*/
#include "feed_watch.h"
#include "feed_log.h"
#include "feed_tables.h"
#include "transaction.h"

/* ---- which schema ------------------------------------------------------------------------------------------ */

static int keep(sdb_directory *directory, char *sql, sdb_failure *f) {
  sdb_connection_finalize(directory->connection, &directory->watch.version);
  directory->watch.version = sdb_feed_prepare(directory->connection->db, sql, f);
  return f->code;
}

/* Steps the kept statement, which SQLite compiles anew for it if it has expired. */
static int ask(sdb_directory *directory, int *version, sdb_failure *f) {
  sqlite3_stmt *statement = directory->watch.version;
  if (sqlite3_step(statement) == SQLITE_ROW) *version = sqlite3_column_int(statement, 0);
  return sqlite3_reset(statement) == SQLITE_OK ? SQLITE_OK : sdb_failure_nested(f, directory->connection->db);
}

/* An authorizer may hide it: then each look goes on. */
static int read_version(sdb_directory *directory, int *version, sdb_failure *f) {
  sdb_watch *watch = &directory->watch;
  if (watch->version && !watch->hidden && ask(directory, version, f) != SQLITE_AUTH) return f->code;
  sdb_failure_clear(f);
  watch->hidden = false;
  if (keep(directory, sqlite3_mprintf("PRAGMA \"%w\".schema_version", directory->schema), f) == SQLITE_OK)
    return ask(directory, version, f);
  if (f->code != SQLITE_AUTH) return f->code;
  sdb_failure_clear(f);
  watch->hidden = true;
  return keep(directory, sqlite3_mprintf("SELECT 1"), f);
}

/* ---- is it right? ------------------------------------------------------------------------------------------ */

/* With the sign that it had the triggers are right; with another one they may be. */
static int is_noted(sdb_directory *directory, const char *name, sqlite3_int64 sign, bool *noted, sdb_failure *f) {
  sdb_feed_table table = {.name = sqlite3_mprintf("%s", name), .sign = sign};
  if (!table.name) return sdb_failure_nomem(f);
  sdb_feed_table_is_signed(directory->connection->db, directory->schema, directory->name, &table, noted, f);
  sdb_feed_table_free(&table);
  if (f->code == SQLITE_AUTH) sdb_failure_clear(f); /* an authorizer hides what that needs: it may have another sign */
  if (f->code == SQLITE_OK && !*noted) sdb_feed_log_is_enough(directory, name, noted, f);
  return f->code;
}

/* *list: the tables whose rows are not noted, as a list of SQL; NULL: none. */
static int find_not_noted(sdb_directory *directory, char **list, sdb_failure *f) {
  sqlite3 *db = directory->connection->db;
  sqlite3_str *names = sqlite3_str_new(NULL);
  sqlite3_stmt *rows = sdb_feed_tables_logged(db, directory->schema, directory->name, f);
  while (rows && f->code == SQLITE_OK && sqlite3_step(rows) == SQLITE_ROW) {
    const char *name = (const char *)sqlite3_column_text(rows, 0);
    bool noted = false;
    if (!name) {
      sdb_failure_nomem(f);
    } else if (is_noted(directory, name, sqlite3_column_int64(rows, 2), &noted, f) == SQLITE_OK && !noted) {
      sqlite3_str_appendf(names, "%s%Q", sqlite3_str_length(names) ? ", " : "", name);
    }
  }
  if (sqlite3_finalize(rows) != SQLITE_OK && f->code == SQLITE_OK) sdb_failure_nested(f, db);
  bool any = sqlite3_str_length(names) > 0 || sqlite3_str_errcode(names) != SQLITE_OK;
  *list = sqlite3_str_finish(names);
  if (any && !*list && f->code == SQLITE_OK) sdb_failure_nomem(f);
  return f->code;
}

static int make_gap(sdb_directory *directory, const char *tables, uint64_t generation, sdb_failure *f) {
  sqlite3_int64 since = (sqlite3_int64)generation;
  return sdb_feed_run(
      directory->connection->db,
      sqlite3_mprintf("UPDATE \"%w\".\"%w_logged\" SET since = %lld WHERE name IN (%s) AND since < %lld",
                      directory->schema, directory->name, since, tables, since),
      f);
}

static int look(sdb_directory *directory, uint64_t generation, sdb_failure *f) {
  const sdb_watch *watch = &directory->watch;
  char *not_noted = NULL;
  int version = 0;
  if (read_version(directory, &version, f) != SQLITE_OK) return f->code;
  bool known = watch->known && watch->schema == version && !watch->hidden;
  if (!known && find_not_noted(directory, &not_noted, f) == SQLITE_OK && not_noted)
    make_gap(directory, not_noted, generation, f);
  if (f->code == SQLITE_OK) sdb_transaction_looked(directory, !not_noted && !watch->hidden, version);
  sqlite3_free(not_noted);
  return f->code;
}

int sdb_feed_watch(sdb_directory *directory, uint64_t generation, sdb_failure *f) {
  const sdb_watch *watch = &directory->watch;
  bool fresh = watch->version && sdb_can_expire() && !sdb_has_expired(watch->version);
  return directory->transaction.looked && fresh ? SQLITE_OK : look(directory, generation, f);
}
