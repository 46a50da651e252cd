/* SPDX-License-Identifier: MIT
**
** row.c: see row.h.  The blob (all numbers little-endian):
**
**    0   8   "seqdbrow"           32  16   uuid of the SQLite file
**    8   8   version: 1           48   8   generation
**   16  16   uuid of directory    56  16   token
**                                 72   8   zeros
*/
#include "row.h"
#include <string.h>

static const char magic[8] = {'s', 'e', 'q', 'd', 'b', 'r', 'o', 'w'};

/* ---- bytes ------------------------------------------------------------------------------------------------- */

static uint64_t get64(const uint8_t *p) {
  uint64_t value = 0;
  for (int i = 7; i >= 0; i--)
    value = value << 8 | p[i];
  return value;
}

static void put64(uint8_t *p, uint64_t value) {
  for (int i = 0; i < 8; i++)
    p[i] = (uint8_t)(value >> (8 * i));
}

void sdb_row_encode(const sdb_row *row, uint8_t p[SDB_ROW_BYTES]) {
  memset(p, 0, SDB_ROW_BYTES);
  memcpy(p, magic, sizeof magic);
  put64(p + 8, 1);
  memcpy(p + SDB_ROW_DIRECTORY_AT, row->directory, sizeof row->directory);
  memcpy(p + 32, row->file, sizeof row->file);
  put64(p + SDB_ROW_STATE_AT, row->generation);
  memcpy(p + 56, row->token, sizeof row->token);
}

void sdb_row_encode_state(uint64_t generation, const uint8_t token[SEQDB_TOKEN_BYTES],
                          uint8_t state[SDB_ROW_STATE_BYTES]) {
  put64(state, generation);
  memcpy(state + 8, token, SEQDB_TOKEN_BYTES);
}

bool sdb_row_decode(const uint8_t *p, size_t bytes, sdb_row *row) {
  if (bytes != SDB_ROW_BYTES || memcmp(p, magic, sizeof magic) != 0 || get64(p + 8) != 1) return false;
  memcpy(row->directory, p + SDB_ROW_DIRECTORY_AT, sizeof row->directory);
  memcpy(row->file, p + 32, sizeof row->file);
  row->generation = get64(p + SDB_ROW_STATE_AT);
  memcpy(row->token, p + 56, sizeof row->token);
  return true;
}

/* ---- whose it is ------------------------------------------------------------------------------------------- */

int sdb_row_key_take(seqdb *engine, sdb_row_key *key) {
  seqdb_claim claims[SEQDB_CLAIMS_MAX];
  key->count = 0;
  int rc = seqdb_claims(engine, claims, &key->count);
  for (uint32_t i = 0; i < key->count; i++)
    memcpy(key->files[i], claims[i].file, sizeof key->files[i]);
  seqdb_get_uuid(engine, key->directory); /* as the claims were followed */
  return rc;
}

bool sdb_row_is_of(const sdb_row *row, const sdb_row_key *key) {
  bool is = memcmp(row->directory, key->directory, sizeof row->directory) == 0;
  for (uint32_t i = 0; i < key->count && !is; i++)
    is = memcmp(row->file, key->files[i], sizeof row->file) == 0;
  return is;
}

/* ---- of a directory that is not open yet ------------------------------------------------------------------- */

/* Where the row may be: the statement returns the blobs of one table. */
static int look_through(sqlite3 *db, char *sql, const sdb_row_key *key, sdb_row *row, bool *found, sdb_failure *f) {
  sqlite3_stmt *select = NULL;
  if (!sql) return sdb_failure_nomem(f);
  int rc = sqlite3_prepare_v2(db, sql, -1, &select, NULL);
  sqlite3_free(sql);
  if (rc == SQLITE_ERROR) return SQLITE_OK; /* no table of ours */
  while (rc == SQLITE_OK && !*found && (rc = sqlite3_step(select)) == SQLITE_ROW) {
    const uint8_t *blob = sqlite3_column_blob(select, 0);
    bool is_row = blob && sdb_row_decode(blob, (size_t)sqlite3_column_bytes(select, 0), row);
    *found = is_row && sdb_row_is_of(row, key);
    rc = SQLITE_OK;
  }
  if (rc != SQLITE_OK && rc != SQLITE_DONE) sdb_failure_nested(f, db);
  sqlite3_finalize(select);
  return f->code;
}

/* Calls for each table that may be a shadow table, until *found or a failure. */
static int each_table(sqlite3 *db, const char *schema, bool *found, sdb_failure *f,
                      void (*visit)(void *context, const char *table), void *context) {
  sqlite3_stmt *names = NULL;
  char *sql = sqlite3_mprintf(
      "SELECT name FROM \"%w\".sqlite_master WHERE type = 'table' AND name LIKE '%%\\_commit'"
      " ESCAPE '\\'",
      schema);
  *found = false;
  if (!sql) return sdb_failure_nomem(f);
  int rc = sqlite3_prepare_v2(db, sql, -1, &names, NULL);
  sqlite3_free(sql);
  while (rc == SQLITE_OK && !*found && f->code == SQLITE_OK && (rc = sqlite3_step(names)) == SQLITE_ROW) {
    const char *name = (const char *)sqlite3_column_text(names, 0);
    if (name) visit(context, name);
    rc = SQLITE_OK;
  }
  if (f->code == SQLITE_OK && rc != SQLITE_OK && rc != SQLITE_DONE) sdb_failure_nested(f, db);
  sqlite3_finalize(names);
  return f->code;
}

struct search {
  sqlite3 *db;
  const char *schema;
  const sdb_row_key *key;
  sdb_row *row;
  bool *found;
  sdb_failure *f;
};

static void look(void *context, const char *table) {
  struct search *s = context;
  look_through(s->db, sqlite3_mprintf("SELECT " SDB_ROW_COLUMN " FROM \"%w\".\"%w\"", s->schema, table), s->key, s->row,
               s->found, s->f);
}

int sdb_row_lookup(sqlite3 *db, const char *schema, const sdb_row_key *key, sdb_row *row, bool *found, sdb_failure *f) {
  struct search search = {db, schema, key, row, found, f};
  return each_table(db, schema, found, f, look, &search);
}

struct replacing {
  sqlite3 *db;
  const char *schema;
  uint8_t before[SDB_ROW_BYTES], after[SDB_ROW_BYTES];
  bool found;
  sdb_failure *f;
};

static void replace(void *context, const char *table) {
  struct replacing *r = context;
  sqlite3_stmt *update = NULL;
  char *sql = sqlite3_mprintf("UPDATE \"%w\".\"%w\" SET " SDB_ROW_COLUMN " = ?2 WHERE " SDB_ROW_COLUMN " = ?1",
                              r->schema, table);
  if (!sql) {
    sdb_failure_nomem(r->f);
    return;
  }
  int rc = sqlite3_prepare_v2(r->db, sql, -1, &update, NULL);
  sqlite3_free(sql);
  if (rc == SQLITE_ERROR) return; /* no table of ours */
  if (rc == SQLITE_OK) {
    sqlite3_bind_blob(update, 1, r->before, SDB_ROW_BYTES, SQLITE_STATIC);
    sqlite3_bind_blob(update, 2, r->after, SDB_ROW_BYTES, SQLITE_STATIC);
    sqlite3_step(update);
    rc = sqlite3_reset(update);
  }
  if (rc != SQLITE_OK) sdb_failure_nested(r->f, r->db);
  sqlite3_finalize(update);
  r->found = rc == SQLITE_OK && sqlite3_changes(r->db) > 0;
}

int sdb_row_replace(sqlite3 *db, const char *schema, const sdb_row *before, const sdb_row *after, sdb_failure *f) {
  struct replacing r = {.db = db, .schema = schema, .f = f};
  sdb_row_encode(before, r.before);
  sdb_row_encode(after, r.after);
  if (each_table(db, schema, &r.found, f, replace, &r) != SQLITE_OK || r.found) return f->code;
  return sdb_failure_set(f, SQLITE_NOTFOUND, "seqdb: the row of the directory is not in %s any more", schema);
}
