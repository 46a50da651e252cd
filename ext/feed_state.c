/* SPDX-License-Identifier: MIT
**
** feed_state.c: see feed_state.h.
**
**   CREATE TABLE <T>_follow(chain BLOB, generation INTEGER, part INTEGER, target INTEGER, sum INTEGER, aside INTEGER)
**
** One row.  It changes in the commit that changes rows and regions.
*/
#include "feed_state.h"
#include <string.h>

#define COLUMNS "chain, generation, part, target, sum, aside"

static bool is_there(sdb_directory *directory, sdb_failure *f) {
  char *name = sqlite3_mprintf("%s_follow", directory->name);
  if (!name) sdb_failure_nomem(f);
  bool there = name && sqlite3_table_column_metadata(directory->connection->db, directory->schema, name, "aside", NULL,
                                                     NULL, NULL, NULL, NULL) == SQLITE_OK;
  sqlite3_free(name);
  return there;
}

/* A statement whose text is from sqlite3_mprintf, and is freed. */
static sqlite3_stmt *prepare(sdb_directory *directory, char *sql, sdb_failure *f) {
  sqlite3_stmt *statement = NULL;
  if (!sql)
    sdb_failure_nomem(f);
  else if (sqlite3_prepare_v2(directory->connection->db, sql, -1, &statement, NULL) != SQLITE_OK)
    sdb_failure_nested(f, directory->connection->db);
  sqlite3_free(sql);
  return statement;
}

static void take_row(sqlite3_stmt *row, sdb_feed_state *state) {
  const void *chain = sqlite3_column_blob(row, 0);
  state->follows = chain && sqlite3_column_bytes(row, 0) == (int)sizeof state->chain;
  if (state->follows) memcpy(state->chain, chain, sizeof state->chain);
  state->generation = (uint64_t)sqlite3_column_int64(row, 1);
  state->part = (uint32_t)sqlite3_column_int64(row, 2);
  state->to = (uint64_t)sqlite3_column_int64(row, 3);
  state->sum = (uint64_t)sqlite3_column_int64(row, 4);
  state->aside = (uint64_t)sqlite3_column_int64(row, 5);
}

int sdb_feed_state_read(sdb_directory *directory, sdb_feed_state *state, sdb_failure *f) {
  *state = (sdb_feed_state){0};
  if (!is_there(directory, f)) return f->code;
  sqlite3_stmt *select =
      prepare(directory,
              sqlite3_mprintf("SELECT " COLUMNS " FROM \"%w\".\"%w_follow\"", directory->schema, directory->name), f);
  if (!select) return f->code;
  int rc = sqlite3_step(select);
  if (rc == SQLITE_ROW) take_row(select, state);
  if (rc != SQLITE_ROW && rc != SQLITE_DONE) sdb_failure_nested(f, directory->connection->db);
  sqlite3_finalize(select);
  return f->code;
}

static int clear(sdb_directory *directory, sdb_failure *f) {
  sqlite3 *db = directory->connection->db;
  char *sql = sqlite3_mprintf(
      "CREATE TABLE IF NOT EXISTS \"%w\".\"%w_follow\"(chain BLOB, generation INTEGER, part "
      "INTEGER, target INTEGER, sum INTEGER, aside INTEGER);\nDELETE FROM \"%w\".\"%w_follow\"",
      directory->schema, directory->name, directory->schema, directory->name);
  if (!sql) return sdb_failure_nomem(f);
  if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) sdb_failure_nested(f, db);
  sqlite3_free(sql);
  return f->code;
}

int sdb_feed_state_write(sdb_directory *directory, const sdb_feed_state *state, sdb_failure *f) {
  if (clear(directory, f) != SQLITE_OK) return f->code;
  sqlite3_stmt *insert =
      prepare(directory,
              sqlite3_mprintf("INSERT INTO \"%w\".\"%w_follow\"(" COLUMNS ") VALUES(?1, %lld, %d, %lld"
                              ", %lld, %lld)",
                              directory->schema, directory->name, (sqlite3_int64)state->generation, (int)state->part,
                              (sqlite3_int64)state->to, (sqlite3_int64)state->sum, (sqlite3_int64)state->aside),
              f);
  if (!insert) return f->code;
  sqlite3_bind_blob(insert, 1, state->chain, (int)sizeof state->chain, SQLITE_STATIC);
  sqlite3_step(insert);
  if (sqlite3_reset(insert) != SQLITE_OK) sdb_failure_nested(f, directory->connection->db);
  sqlite3_finalize(insert);
  return f->code;
}
