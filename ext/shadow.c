/* SPDX-License-Identifier: MIT
**
** shadow.c: see shadow.h.
**
**   CREATE TABLE "<table>_commit"(seqdb_state BLOB);     one row for each directory, found by its uuid, or by
**                                                         that of the SQLite file, which has a claim in it
**
** Another one, <table>_follow, is that of feed_state.c: both go where the virtual table goes.
**
** There is no PRIMARY KEY, so sessions ignore the table; VACUUM renumbers its rows.  xSync writes with the blob
** interface: an UPDATE there would show in changes(), hooks, authorizers and triggers, and one that is refused would
** fail the COMMIT.  Its bytes are in row.c.
**
** The name of the shadow table is that of the virtual table; but an object may have an older name (ALTER TABLE in this
** transaction), so other tables that look like one are tried before anybody is told that the row is missing.
*/
#include <string.h>
#include "create_text.h"
#include "path.h"
#include "schema.h"
#include "shadow.h"

/* ---- finding ----------------------------------------------------------------------------------------------- */

/* SQLITE_OK: *is tells.  Claims are asked only where the uuid is another one: that is rare. */
static int is_of(const sdb_directory *directory, const sdb_row *row, bool *is, sdb_failure *f) {
  sdb_row_key key = {.count = 0};
  seqdb_get_uuid(directory->engine, key.directory);
  *is = sdb_row_is_of(row, &key);
  if (*is) return SQLITE_OK;
  int rc = sdb_row_key_take(directory->engine, &key);
  if (rc != SEQDB_OK) return sdb_failure_engine(f, directory->engine, rc);
  *is = sdb_row_is_of(row, &key);
  return SQLITE_OK;
}

/* Open the blob where the row was seen last; NULL: it is not there. */
static sqlite3_blob *open_known(sdb_directory *directory, bool write, sdb_row *row, sdb_failure *f) {
  sdb_owner *owner = &directory->owner;
  uint8_t bytes[SDB_ROW_BYTES];
  bool is = false;
  sqlite3_blob *blob = NULL;
  if (!owner->shadow) return NULL;
  int rc = sqlite3_blob_open(directory->connection->db, directory->schema, owner->shadow, SDB_ROW_COLUMN, owner->rowid,
                             write, &blob);
  if (rc == SQLITE_OK && sqlite3_blob_bytes(blob) == SDB_ROW_BYTES &&
      sqlite3_blob_read(blob, bytes, SDB_ROW_BYTES, 0) == SQLITE_OK && sdb_row_decode(bytes, SDB_ROW_BYTES, row) &&
      is_of(directory, row, &is, f) == SQLITE_OK && is)
    return blob;
  sqlite3_blob_close(blob);
  return NULL;
}

static void forget(sdb_owner *owner) {
  sqlite3_free(owner->shadow);
  owner->shadow = NULL;
}

/* Look through the table of that name; owner->shadow is set if it has the row. */
static int search_table(sdb_directory *directory, const char *shadow, sdb_failure *f) {
  sqlite3 *db = directory->connection->db;
  sqlite3_stmt *select = NULL;
  bool is = false;
  sdb_row row;
  char *sql = sqlite3_mprintf("SELECT rowid, " SDB_ROW_COLUMN " FROM \"%w\".\"%w\"", directory->schema, shadow);
  if (!sql) return sdb_failure_nomem(f);
  int rc = sqlite3_prepare_v2(db, sql, -1, &select, NULL);
  sqlite3_free(sql);
  if (rc == SQLITE_ERROR) return SQLITE_OK; /* there is no such table, or it is no table of ours */
  while (rc == SQLITE_OK && f->code == SQLITE_OK && !directory->owner.shadow &&
         (rc = sqlite3_step(select)) == SQLITE_ROW) {
    const uint8_t *blob = sqlite3_column_blob(select, 1);
    size_t bytes = (size_t)sqlite3_column_bytes(select, 1);
    rc = SQLITE_OK;
    if (!blob || !sdb_row_decode(blob, bytes, &row) || is_of(directory, &row, &is, f) != SQLITE_OK || !is) continue;
    directory->owner.rowid = sqlite3_column_int64(select, 0);
    directory->owner.shadow = sqlite3_mprintf("%s", shadow);
    if (!directory->owner.shadow) sdb_failure_nomem(f);
  }
  if (rc != SQLITE_OK && rc != SQLITE_DONE) sdb_failure_nested(f, db);
  sqlite3_finalize(select);
  return f->code;
}

/* "<name>_commit" for `name` of the schema. */
static int search_name(sdb_directory *directory, const char *name, sdb_failure *f) {
  char *shadow = sqlite3_mprintf("%s_commit", name);
  if (!shadow) return sdb_failure_nomem(f);
  if (sdb_schema_has_table(directory->connection, directory->schema, shadow)) search_table(directory, shadow, f);
  sqlite3_free(shadow);
  return f->code;
}

/* What sqlite_schema has of a table, from sqlite3_malloc; NULL: there is none, or *f is set. */
static char *text_of(sdb_directory *directory, const char *table, sdb_failure *f) {
  sqlite3 *db = directory->connection->db;
  sqlite3_stmt *select = NULL;
  char *text = NULL;
  char *sql = sqlite3_mprintf("SELECT sql FROM \"%w\".sqlite_schema WHERE type = 'table' AND name = %Q COLLATE NOCASE",
                              directory->schema, table);
  if (!sql) sdb_failure_nomem(f);
  if (sql && sqlite3_prepare_v2(db, sql, -1, &select, NULL) != SQLITE_OK) sdb_failure_nested(f, db);
  if (select && sqlite3_step(select) == SQLITE_ROW) {
    const char *found = (const char *)sqlite3_column_text(select, 0);
    if (found && !(text = sqlite3_mprintf("%s", found))) sdb_failure_nomem(f);
  }
  sqlite3_finalize(select);
  sqlite3_free(sql);
  return text;
}

/* Is the table of that text one with another directory, which is there? */
static bool is_elsewhere(sdb_directory *directory, const char *table, const char *text, sdb_failure *f) {
  seqdb_file_identity identity;
  char *absolute = NULL;
  if (!sdb_create_text_is_ours(text)) return false;
  char *path = sdb_create_text_path(text, f);
  if (f->code == SQLITE_OK)
    (void)sdb_path_absolute(directory->connection->db, directory->schema, table, path, &absolute, f);
  bool there = absolute && seqdb_identify(absolute, &identity) == SEQDB_OK;
  bool other = there && seqdb_same_directory(directory->engine, absolute) == 0;
  sqlite3_free(absolute);
  sqlite3_free(path);
  return other;
}

/* The other table whose shadow table that is, from sqlite3_malloc, if it is one with another directory; else NULL.  The
** table need not be connected, and is not: a search may be in the middle of a CREATE or RENAME. */
static char *owner_of(sdb_directory *directory, const char *shadow, sdb_failure *f) {
  char *name = sqlite3_mprintf("%.*s", (int)(strlen(shadow) - strlen("_commit")), shadow);
  if (!name) {
    sdb_failure_nomem(f);
    return NULL;
  }
  char *text = text_of(directory, name, f);
  bool other = text && f->code == SQLITE_OK && is_elsewhere(directory, name, text, f);
  sqlite3_free(text);
  if (f->code != SQLITE_NOMEM && f->code != SQLITE_INTERRUPT) sdb_failure_clear(f);
  if (other) return name;
  sqlite3_free(name);
  return NULL;
}

/* Does that table have the row?  Then owner->shadow is set, or owner->twin if it is another one's. */
static int search_other(sdb_directory *directory, const char *shadow, sdb_failure *f) {
  sdb_owner *owner = &directory->owner;
  if (search_table(directory, shadow, f) != SQLITE_OK || !owner->shadow) return f->code;
  sqlite3_free(owner->twin);
  owner->twin = owner_of(directory, shadow, f);
  if (owner->twin) forget(owner);
  return f->code;
}

/* Every table whose name ends as a shadow table's does. */
static int search_all(sdb_directory *directory, sdb_failure *f) {
  sqlite3 *db = directory->connection->db;
  sqlite3_stmt *names = NULL;
  char *sql = sqlite3_mprintf(
      "SELECT name FROM \"%w\".sqlite_master WHERE type = 'table' AND name LIKE '%%\\_commit'"
      " ESCAPE '\\'",
      directory->schema);
  if (!sql) return sdb_failure_nomem(f);
  int rc = sqlite3_prepare_v2(db, sql, -1, &names, NULL);
  sqlite3_free(sql);
  if (rc != SQLITE_OK) return sdb_failure_nested(f, db);
  while (f->code == SQLITE_OK && !directory->owner.shadow && sqlite3_step(names) == SQLITE_ROW) {
    const char *name = (const char *)sqlite3_column_text(names, 0);
    if (name) search_other(directory, name, f);
  }
  sqlite3_finalize(names);
  return f->code;
}

static int search(sdb_directory *directory, sdb_failure *f) {
  forget(&directory->owner);
  sqlite3_free(directory->owner.twin);
  directory->owner.twin = NULL;
  if (search_name(directory, directory->name, f) != SQLITE_OK || directory->owner.shadow) return f->code;
  return search_all(directory, f);
}

/* *blob is NULL if there is no such row. */
static int open_row(sdb_directory *directory, bool write, sdb_row *row, sqlite3_blob **blob, sdb_failure *f) {
  *blob = open_known(directory, write, row, f);
  if (*blob || f->code != SQLITE_OK) return f->code;
  if (search(directory, f) != SQLITE_OK || !directory->owner.shadow) return f->code;
  *blob = open_known(directory, write, row, f);
  return *blob || f->code != SQLITE_OK ? f->code : sdb_failure_nested(f, directory->connection->db);
}

/* ---- reading, writing -------------------------------------------------------------------------------------- */

int sdb_shadow_read(sdb_directory *directory, sdb_row *row, bool *found, sdb_failure *f) {
  sqlite3_blob *blob = NULL;
  open_row(directory, false, row, &blob, f);
  *found = blob != NULL;
  sqlite3_blob_close(blob);
  return f->code;
}

int sdb_shadow_write(sdb_directory *directory, uint64_t generation, const uint8_t token[SEQDB_TOKEN_BYTES],
                     sdb_row *before, sdb_failure *f) {
  uint8_t state[SDB_ROW_STATE_BYTES], uuid[SEQDB_UUID_BYTES];
  sqlite3_blob *blob = NULL;
  if (open_row(directory, true, before, &blob, f) != SQLITE_OK) return f->code;
  if (!blob) {
    return sdb_failure_set(f, SQLITE_READONLY,
                           "seqdb table %s: its row in %s_commit is gone: SELECT seqdb_takeover('%s') makes a new one",
                           directory->name, directory->name, directory->name);
  }
  sdb_row_encode_state(generation, token, state);
  seqdb_get_uuid(directory->engine, uuid); /* the writer lock is ours: it stays */
  int rc = sqlite3_blob_write(blob, state, SDB_ROW_STATE_BYTES, SDB_ROW_STATE_AT);
  if (rc == SQLITE_OK && memcmp(before->directory, uuid, sizeof uuid) != 0)
    rc = sqlite3_blob_write(blob, uuid, (int)sizeof uuid, SDB_ROW_DIRECTORY_AT);
  if (rc != SQLITE_OK) sdb_failure_nested(f, directory->connection->db);
  rc = sqlite3_blob_close(blob);
  if (rc != SQLITE_OK && f->code == SQLITE_OK) sdb_failure_nested(f, directory->connection->db);
  return f->code;
}

/* A statement of ours: what a program sees of its own last INSERT stays. */
static int run(sdb_connection *connection, char *sql, const uint8_t *blob, sdb_failure *f) {
  sqlite3 *db = connection->db;
  sqlite3_int64 last = sqlite3_last_insert_rowid(db);
  sqlite3_stmt *statement = NULL;
  if (!sql) return sdb_failure_nomem(f);
  int rc = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
  if (rc == SQLITE_OK && blob) rc = sqlite3_bind_blob(statement, 1, blob, SDB_ROW_BYTES, SQLITE_STATIC);
  if (rc == SQLITE_OK) {
    sqlite3_step(statement);
    rc = sqlite3_reset(statement);
  }
  if (rc != SQLITE_OK) sdb_failure_nested(f, db);
  sqlite3_finalize(statement);
  sqlite3_free(sql);
  sqlite3_set_last_insert_rowid(db, last);
  return f->code;
}

/* Each shadow table, and a column by which it is ours. */
static const struct shadow {
  const char *suffix, *column;
} shadows[] = {{"commit", SDB_ROW_COLUMN}, {"follow", "aside"}};
#define SHADOWS (sizeof shadows / sizeof shadows[0])

/* Is there a table <table>_<suffix>, and is it ours? */
static int look_for_table(sdb_connection *connection, const char *schema, const char *table,
                          const struct shadow *shadow, bool *ours, sdb_failure *f) {
  char *name = sqlite3_mprintf("%s_%s", table, shadow->suffix);
  if (!name) return sdb_failure_nomem(f);
  *ours = sqlite3_table_column_metadata(connection->db, schema, name, shadow->column, NULL, NULL, NULL, NULL, NULL) ==
          SQLITE_OK;
  sqlite3_free(name);
  return SQLITE_OK;
}

int sdb_shadow_put(sdb_directory *directory, const sdb_row *row, sdb_failure *f) {
  sdb_connection *connection = directory->connection;
  const char *schema = directory->schema, *table = directory->name;
  uint8_t blob[SDB_ROW_BYTES];
  bool ours = false;
  sdb_row_encode(row, blob);
  if (search(directory, f) != SQLITE_OK) return f->code;
  if (directory->owner.shadow) {
    return run(connection,
               sqlite3_mprintf("UPDATE \"%w\".\"%w\" SET " SDB_ROW_COLUMN " = ?1 WHERE rowid = %lld", schema,
                               directory->owner.shadow, directory->owner.rowid),
               blob, f);
  }
  if (look_for_table(connection, schema, table, &shadows[0], &ours, f) != SQLITE_OK) return f->code;
  if (!ours)
    run(connection, sqlite3_mprintf("CREATE TABLE \"%w\".\"%w_commit\"(" SDB_ROW_COLUMN " BLOB)", schema, table), NULL,
        f);
  if (f->code != SQLITE_OK) return f->code;
  return run(connection, sqlite3_mprintf("INSERT INTO \"%w\".\"%w_commit\" VALUES(?1)", schema, table), blob, f);
}

/* ---- with the virtual table -------------------------------------------------------------------------------- */

int sdb_shadow_rename(sdb_connection *connection, const char *schema, const char *from, const char *to,
                      sdb_failure *f) {
  for (size_t i = 0; i < SHADOWS && f->code == SQLITE_OK; i++) {
    const char *suffix = shadows[i].suffix;
    bool ours = false;
    if (look_for_table(connection, schema, from, &shadows[i], &ours, f) != SQLITE_OK || !ours) continue;
    run(connection,
        sqlite3_mprintf("ALTER TABLE \"%w\".\"%w_%s\" RENAME TO \"%w_%s\"", schema, from, suffix, to, suffix), NULL, f);
  }
  return f->code;
}

int sdb_shadow_drop(sdb_connection *connection, const char *schema, const char *table, sdb_failure *f) {
  for (size_t i = 0; i < SHADOWS && f->code == SQLITE_OK; i++) {
    bool ours = false;
    if (look_for_table(connection, schema, table, &shadows[i], &ours, f) != SQLITE_OK || !ours) continue;
    run(connection, sqlite3_mprintf("DROP TABLE \"%w\".\"%w_%s\"", schema, table, shadows[i].suffix), NULL, f);
  }
  return f->code;
}
