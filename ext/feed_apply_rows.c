/* SPDX-License-Identifier: MIT
**
** feed_apply_rows.c: see feed_apply_rows.h.
**
** KEYS: the rows of these keys go.  ROWS: these rows come; one that is in their way, because the follower wrote it by
** itself, goes (OR REPLACE).  The first part of a base empties each table, and makes it anew if it is not the same.
*/
#include "feed_apply_rows.h"
#include <string.h>
#include "checksum.h"
#include "feed_log.h"

static bool is_first_of_base(const sdb_apply_rows *rows) {
  return rows->header->kind == SDB_OBJECT_BASE && rows->header->part == 1;
}

static bool has_table(sdb_directory *directory, const char *name) {
  return sqlite3_table_column_metadata(directory->connection->db, directory->schema, name, NULL, NULL, NULL, NULL, NULL,
                                       NULL) == SQLITE_OK;
}

static int wrong_schema(const char *name, sdb_failure *f) {
  return sdb_failure_set(f, SQLITE_CORRUPT_VTAB, "the object is damaged: the schema of table %s is none", name);
}

/* Behind a name, quoted or not. */
static const char *skip_name(const char *at) {
  static const char quotes[] = "\"'`[";
  const char *open = *at ? strchr(quotes, *at) : NULL;
  if (!open) return at + strcspn(at, " \t\n\f\r\"'`[](),.;/-");
  char close = *open == '[' ? ']' : *open;
  for (at++; *at; at++) {
    if (*at != close) continue;
    if (close == ']' || at[1] != close) return at + 1;
    at++;
  }
  return at;
}

/* What stands between two tokens: blanks and comments. */
static const char *skip_blanks(const char *at) {
  const char *end;
  for (;;) {
    at += strspn(at, " \t\n\f\r");
    if (at[0] == '-' && at[1] == '-')
      at += strcspn(at, "\n");
    else if (at[0] == '/' && at[1] == '*' && (end = strstr(at + 2, "*/")))
      at = end + 2;
    else
      return at;
  }
}

/* Only these make a schema: an object is no way to run any statement, such as CREATE TABLE ... AS SELECT. */
static bool makes_schema(const char *sql) {
  if (sqlite3_strnicmp(sql, "CREATE TABLE ", 13) == 0) return *skip_blanks(skip_name(skip_blanks(sql + 13))) == '(';
  return sqlite3_strnicmp(sql, "CREATE INDEX ", 13) == 0 || sqlite3_strnicmp(sql, "CREATE UNIQUE INDEX ", 20) == 0;
}

static int run_schema(sqlite3 *db, const char *name, const char *schema, sdb_failure *f) {
  for (const char *at = schema + strspn(schema, "\n;"); *at && f->code == SQLITE_OK; at += strspn(at, "\n;")) {
    sqlite3_stmt *statement = NULL;
    if (!makes_schema(at)) return wrong_schema(name, f);
    if (sqlite3_prepare_v2(db, at, -1, &statement, &at) != SQLITE_OK) return sdb_failure_nested(f, db);
    sqlite3_step(statement);
    if (sqlite3_finalize(statement) != SQLITE_OK) sdb_failure_nested(f, db);
  }
  return f->code;
}

/* The statements of the schema name no database: they are of `main`, where they make tables. */
static int make_anew(sdb_apply_rows *rows, const char *name, const char *schema, sdb_failure *f) {
  sdb_directory *directory = rows->directory;
  sqlite3 *db = directory->connection->db;
  if (sqlite3_stricmp(directory->schema, "main") != 0)
    return sdb_failure_set(f, SQLITE_ERROR,
                           "%s: table %s is not that of the base, and cannot be made in an attached database: open "
                           "that one as main",
                           directory->name, name);
  if (has_table(directory, name) && sdb_feed_run(db, sqlite3_mprintf("DROP TABLE main.\"%w\"", name), f) != SQLITE_OK)
    return f->code;
  return run_schema(db, name, schema, f);
}

/* Rows that nobody shipped are lost if a base comes in their place: only who says 'replace' wants that. */
static int check_rows(const sdb_apply_rows *rows, const char *name, sdb_failure *f) {
  sdb_directory *directory = rows->directory;
  if (!rows->keeps_own || !is_first_of_base(rows)) return SQLITE_OK;
  sqlite3_stmt *any = sdb_feed_prepare(
      directory->connection->db, sqlite3_mprintf("SELECT 1 FROM \"%w\".\"%w\" LIMIT 1", directory->schema, name), f);
  int rc = any ? sqlite3_step(any) : SQLITE_DONE;
  if (sqlite3_finalize(any) != SQLITE_OK) return sdb_failure_nested(f, directory->connection->db);
  if (f->code != SQLITE_OK || rc != SQLITE_ROW) return f->code;
  return sdb_failure_set(f, SQLITE_ERROR,
                         "%s: it follows no chain, and table %s has rows of its own: SELECT seqdb_apply(T, object, "
                         "'replace') takes a base in place of all that is here",
                         directory->name, name);
}

static int match_schema(sdb_apply_rows *rows, const char *name, const char *schema, sdb_feed_table *table,
                        sdb_failure *f) {
  sdb_directory *directory = rows->directory;
  sqlite3 *db = directory->connection->db;
  uint64_t sum = sdb_checksum(schema, strlen(schema));
  bool there = has_table(directory, name);
  if (there && sdb_feed_table_describe(db, directory->schema, name, table, f) != SQLITE_OK) return f->code;
  if (there && check_rows(rows, name, f) != SQLITE_OK) {
    sdb_feed_table_free(table);
    return f->code;
  }
  if (there && table->schema_sum == sum) {
    if (!is_first_of_base(rows) || sdb_feed_log_gap(directory, name, f) != SQLITE_OK) return f->code;
    return sdb_feed_run(db, sqlite3_mprintf("DELETE FROM \"%w\".\"%w\"", directory->schema, name), f);
  }
  sdb_feed_table_free(table);
  if (!is_first_of_base(rows))
    return sdb_failure_set(f, SQLITE_SCHEMA, "%s: table %s is not here as it is upstream: apply a new base",
                           directory->name, name);
  if (make_anew(rows, name, schema, f) != SQLITE_OK) return f->code;
  if (sdb_feed_table_describe(db, directory->schema, name, table, f) != SQLITE_OK) return f->code;
  return table->schema_sum == sum ? SQLITE_OK : wrong_schema(name, f);
}

static char *copy_text(sdb_section *section, sdb_failure *f) {
  const char *text = NULL;
  size_t bytes = 0;
  if (sdb_section_text(section, &text, &bytes, f) != SQLITE_OK) return NULL;
  char *copy = sqlite3_malloc64(bytes + 1);
  if (!copy) {
    sdb_failure_nomem(f);
    return NULL;
  }
  memcpy(copy, text, bytes);
  copy[bytes] = '\0';
  return copy;
}

int sdb_apply_table(sdb_apply_rows *rows, sdb_section *section, sdb_failure *f) {
  char *name = copy_text(section, f), *schema = name ? copy_text(section, f) : NULL;
  sdb_feed_table *grown = NULL;
  if (!schema) goto done;
  if (section->table != rows->count) {
    sdb_failure_set(f, SQLITE_CORRUPT_VTAB, "the object is damaged: its tables are not in order");
    goto done;
  }
  grown = sqlite3_realloc64(rows->tables, (rows->count + 1) * sizeof *grown);
  if (!grown) {
    sdb_failure_nomem(f);
    goto done;
  }
  rows->tables = grown;
  grown[rows->count] = (sdb_feed_table){0};
  if (match_schema(rows, name, schema, &grown[rows->count], f) == SQLITE_OK) rows->count++;
done:
  sqlite3_free(name);
  sqlite3_free(schema);
  return f->code;
}

/* ---- rows -------------------------------------------------------------------------------------------------- */

static char *delete_sql(const sdb_apply_rows *rows, const sdb_feed_table *table) {
  char *keys = sdb_feed_table_keys(table, "$ = ?#", " AND "), *sql = NULL;
  if (keys) sql = sqlite3_mprintf("DELETE FROM \"%w\".\"%w\" WHERE %s", rows->directory->schema, table->name, keys);
  sqlite3_free(keys);
  return sql;
}

static char *insert_sql(const sdb_apply_rows *rows, const sdb_feed_table *table) {
  sqlite3_str *sql = sqlite3_str_new(NULL);
  sqlite3_str_appendf(sql, "INSERT OR REPLACE INTO \"%w\".\"%w\"(%s) VALUES(", rows->directory->schema, table->name,
                      table->columns);
  for (int i = 1; i <= table->column_count; i++)
    sqlite3_str_appendf(sql, "%s?%d", i > 1 ? ", " : "", i);
  sqlite3_str_appendall(sql, ")");
  return sqlite3_str_finish(sql);
}

/* A row that upstream wrote with ignore_check_constraints comes in here, too.  The pragma makes the connection's
** statements anew, those that are running as well: so it is set only where there is such a row. */
static bool ignore_checks(sdb_apply_rows *rows) {
  sqlite3 *db = rows->directory->connection->db;
  if (sqlite3_extended_errcode(db) != SQLITE_CONSTRAINT_CHECK || rows->ignores_checks) return false;
  rows->ignores_checks = sqlite3_exec(db, "PRAGMA ignore_check_constraints = 1", NULL, NULL, NULL) == SQLITE_OK;
  return rows->ignores_checks;
}

static int apply_item(sdb_apply_rows *rows, sdb_section *section, int values, sdb_failure *f) {
  for (int i = 1; i <= values; i++)
    if (sdb_section_bind(section, rows->statement, i, f) != SQLITE_OK) return f->code;
  sqlite3_step(rows->statement);
  int rc = sqlite3_reset(rows->statement);
  if (rc != SQLITE_OK && ignore_checks(rows)) {
    sqlite3_step(rows->statement);
    rc = sqlite3_reset(rows->statement);
  }
  return rc == SQLITE_OK ? SQLITE_OK : sdb_failure_nested(f, rows->directory->connection->db);
}

int sdb_apply_row_section(sdb_apply_rows *rows, sdb_section *section, sdb_failure *f) {
  if (section->table >= rows->count)
    return sdb_failure_set(f, SQLITE_CORRUPT_VTAB,
                           "the object is damaged: it has rows of a table that it does not have");
  const sdb_feed_table *table = &rows->tables[section->table];
  bool keys = section->kind == SDB_SECTION_KEYS;
  if (sdb_feed_log_gap(rows->directory, table->name, f) != SQLITE_OK) return f->code;
  rows->statement =
      sdb_feed_prepare(rows->directory->connection->db, keys ? delete_sql(rows, table) : insert_sql(rows, table), f);
  for (uint64_t i = 0; i < section->items && f->code == SQLITE_OK; i++)
    apply_item(rows, section, keys ? table->key_count : table->column_count, f);
  sqlite3_finalize(rows->statement);
  rows->statement = NULL;
  return f->code;
}

void sdb_apply_rows_free(sdb_apply_rows *rows, sdb_failure *f) {
  sqlite3 *db = rows->directory->connection->db;
  sdb_feed_tables_free(rows->tables, rows->count);
  if (!rows->ignores_checks) return;
  int rc = sqlite3_exec(db, "PRAGMA ignore_check_constraints = 0", NULL, NULL, NULL);
  if (rc != SQLITE_OK && f->code == SQLITE_OK) sdb_failure_nested(f, db);
}
