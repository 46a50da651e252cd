/* SPDX-License-Identifier: MIT
**
** feed_tables.c: see feed_tables.h.
**
** The key of a row is what both sides know it by:
**   - the INTEGER PRIMARY KEY, which is the rowid;
**   - else the PRIMARY KEY, if none of its columns can be NULL: always so WITHOUT ROWID;
**   - else the rowid itself.  VACUUM may change it, so then any change of schema_version counts as a new schema.
*/
#include "feed_tables.h"
#include <string.h>
#include "checksum.h"

sqlite3_stmt *sdb_feed_prepare(sqlite3 *db, char *sql, sdb_failure *f) {
  sqlite3_stmt *statement = NULL;
  if (!sql)
    sdb_failure_nomem(f);
  else if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
    sdb_failure_nested(f, db);
  sqlite3_free(sql);
  return statement;
}

int sdb_feed_run(sqlite3 *db, char *sql, sdb_failure *f) {
  if (!sql) return sdb_failure_nomem(f);
  if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) sdb_failure_nested(f, db);
  sqlite3_free(sql);
  return f->code;
}

/* The next row; false: none, or *f is set. */
static bool step(sqlite3_stmt *statement, sdb_failure *f) {
  if (!statement) return false;
  int rc = sqlite3_step(statement);
  if (rc != SQLITE_ROW && rc != SQLITE_DONE) sdb_failure_nested(f, sqlite3_db_handle(statement));
  return rc == SQLITE_ROW;
}

static const char *text(sqlite3_stmt *statement, int column) {
  const char *found = (const char *)sqlite3_column_text(statement, column);
  return found ? found : "";
}

/* *there: it has such a table, and that a column of that name if one is given.  Refused memory does not say no. */
static int look_for(sqlite3 *db, const char *schema, const char *name, const char *column, bool *there,
                    sdb_failure *f) {
  int rc = sqlite3_table_column_metadata(db, schema, name, column, NULL, NULL, NULL, NULL, NULL);
  *there = rc == SQLITE_OK;
  return *there || rc == SQLITE_ERROR ? SQLITE_OK : sdb_failure_nested(f, db);
}

/* ---- what kind of table ------------------------------------------------------------------------------------ */

/* *without_rowid.  Views, virtual tables and SQLite's own are none that can travel. */
static int check_kind(sqlite3 *db, const char *schema, const char *name, bool *without_rowid, sdb_failure *f) {
  sqlite3_stmt *list = sdb_feed_prepare(
      db,
      sqlite3_mprintf("SELECT type, wr FROM pragma_table_list WHERE schema = %Q COLLATE NOCASE AND name = %Q COLLATE "
                      "NOCASE",
                      schema, name),
      f);
  bool found = step(list, f);
  const char *type = found ? text(list, 0) : "";
  if (f->code == SQLITE_OK && !found)
    sdb_failure_set(f, SQLITE_ERROR, "there is no table %s.%s", schema, name);
  else if (f->code == SQLITE_OK && (strcmp(type, "table") != 0 || sqlite3_strnicmp(name, "sqlite_", 7) == 0))
    sdb_failure_set(f, SQLITE_ERROR, "%s.%s is no ordinary table: its rows cannot travel", schema, name);
  else if (found)
    *without_rowid = sqlite3_column_int(list, 1) != 0;
  sqlite3_finalize(list);
  return f->code;
}

/* SQLite keeps blanks before the semicolon as a part of some statements. */
static int take_schema(sqlite3 *db, const char *schema, sdb_feed_table *table, sdb_failure *f) {
  sqlite3_str *all = sqlite3_str_new(NULL);
  sqlite3_stmt *rows =
      sdb_feed_prepare(db,
                       sqlite3_mprintf("SELECT rtrim(sql, char(9, 10, 13, 32)) FROM \"%w\".sqlite_master"
                                       " WHERE tbl_name = %Q COLLATE NOCASE AND sql IS NOT NULL AND type IN ('table', "
                                       "'index') ORDER BY type DESC, name",
                                       schema, table->name),
                       f);
  while (step(rows, f))
    sqlite3_str_appendf(all, "%s\n;\n", text(rows, 0));
  sqlite3_finalize(rows);
  bool no_memory = sqlite3_str_errcode(all) != SQLITE_OK;
  table->schema = sqlite3_str_finish(all);
  if (no_memory || (!table->schema && f->code == SQLITE_OK)) return sdb_failure_nomem(f);
  if (table->schema) table->schema_sum = sdb_checksum(table->schema, strlen(table->schema));
  return f->code;
}

/* ---- columns and key --------------------------------------------------------------------------------------- */

struct columns {
  sdb_feed_table *table;
  sqlite3_str *list;
  bool nullable;                /* of the primary key */
  bool rowid, underscored, oid; /* names that columns have taken */
  int keys;                     /* columns of the primary key */
  const char *unsupported;
};

static void take_name(struct columns *c, const char *name) {
  c->rowid |= sqlite3_stricmp(name, "rowid") == 0;
  c->underscored |= sqlite3_stricmp(name, "_rowid_") == 0;
  c->oid |= sqlite3_stricmp(name, "oid") == 0;
}

static void take_column(struct columns *c, sqlite3_stmt *row) {
  const char *name = text(row, 0);
  int key = sqlite3_column_int(row, 1);
  sdb_feed_table *table = c->table;
  take_name(c, name);
  if (key > c->keys) c->keys = key;
  if (key > 0 && sqlite3_column_int(row, 2) == 0) c->nullable = true;
  if (key > 0 && key <= SDB_KEYS_MAX) table->key[key - 1] = sqlite3_mprintf("\"%w\"", name);
  if (sqlite3_column_int(row, 3) > 1) return; /* generated */
  sqlite3_str_appendf(c->list, "%s\"%w\"", table->column_count ? ", " : "", name);
  table->column_count++;
}

/* A primary key of a rowid table that has no index is the rowid. */
static int has_key_index(sqlite3 *db, const char *schema, const char *name, bool *has, sdb_failure *f) {
  sqlite3_stmt *list = sdb_feed_prepare(
      db, sqlite3_mprintf("SELECT 1 FROM pragma_index_list(%Q, %Q) WHERE origin = 'pk'", name, schema), f);
  *has = step(list, f);
  sqlite3_finalize(list);
  return f->code;
}

static void key_by_rowid(struct columns *c) {
  sdb_feed_table *table = c->table;
  char *columns = sqlite3_str_finish(c->list);
  for (int i = 0; i < SDB_KEYS_MAX; i++) {
    sqlite3_free(table->key[i]);
    table->key[i] = NULL;
  }
  table->by_rowid = true;
  table->key[0] = sqlite3_mprintf("%s", table->rowid);
  table->key_count = 1;
  table->column_count++;
  table->columns = columns ? sqlite3_mprintf("%s, %s", table->rowid, columns) : NULL;
  sqlite3_free(columns);
}

static int choose_key(struct columns *c, bool without_rowid, bool key_index, sdb_failure *f) {
  sdb_feed_table *table = c->table;
  bool is_rowid = !without_rowid && c->keys == 1 && !key_index;
  if (!without_rowid && !is_rowid)
    table->rowid = !c->rowid ? "rowid" : !c->underscored ? "_rowid_" : !c->oid ? "oid" : NULL;
  if (c->keys > 0 && (without_rowid || is_rowid || !c->nullable)) {
    table->key_count = c->keys;
    table->columns = sqlite3_str_finish(c->list);
  } else if (table->rowid) {
    key_by_rowid(c);
  } else {
    sqlite3_free(sqlite3_str_finish(c->list));
    return sdb_failure_set(f, SQLITE_ERROR,
                           "table %s has no key, and columns that hide its rowid: it needs a PRIMARY "
                           "KEY that is NOT NULL",
                           table->name);
  }
  if (table->key_count > SDB_KEYS_MAX)
    return sdb_failure_set(f, SQLITE_ERROR, "table %s: its key has %d columns, and %d can travel", table->name,
                           table->key_count, SDB_KEYS_MAX);
  for (int i = 0; i < table->key_count; i++)
    if (!table->key[i]) return sdb_failure_nomem(f);
  return table->columns ? SQLITE_OK : sdb_failure_nomem(f);
}

static int take_columns(sqlite3 *db, const char *schema, bool without_rowid, sdb_feed_table *table, sdb_failure *f) {
  struct columns c = {.table = table, .list = sqlite3_str_new(NULL)};
  bool key_index = false;
  sqlite3_stmt *rows = sdb_feed_prepare(
      db, sqlite3_mprintf("SELECT name, pk, \"notnull\", hidden FROM pragma_table_xinfo(%Q, %Q)", table->name, schema),
      f);
  while (step(rows, f))
    take_column(&c, rows);
  sqlite3_finalize(rows);
  if (f->code == SQLITE_OK && has_key_index(db, schema, table->name, &key_index, f) == SQLITE_OK)
    return choose_key(&c, without_rowid, key_index, f);
  sqlite3_free(sqlite3_str_finish(c.list));
  return f->code;
}

int sdb_feed_table_describe(sqlite3 *db, const char *schema, const char *name, sdb_feed_table *table, sdb_failure *f) {
  bool without_rowid = false;
  *table = (sdb_feed_table){.name = sqlite3_mprintf("%s", name)};
  if (!table->name) return sdb_failure_nomem(f);
  if (check_kind(db, schema, name, &without_rowid, f) == SQLITE_OK && take_schema(db, schema, table, f) == SQLITE_OK)
    take_columns(db, schema, without_rowid, table, f);
  if (f->code != SQLITE_OK) sdb_feed_table_free(table);
  return f->code;
}

void sdb_feed_table_free(sdb_feed_table *table) {
  for (int i = 0; i < SDB_KEYS_MAX; i++)
    sqlite3_free(table->key[i]);
  sqlite3_free(table->name);
  sqlite3_free(table->schema);
  sqlite3_free(table->columns);
  *table = (sdb_feed_table){0};
}

/* ---- upstream ---------------------------------------------------------------------------------------------- */

/* Of triggers the one that was made last fires first.  If that one is none of ours, and ends the statement before ours
** fire (RAISE(IGNORE), RAISE(FAIL), a failure under OR FAIL), the row stays changed and is not noted.  So a trigger
** that is newer than ours counts as a change: then ours are made anew. */
sqlite3_stmt *sdb_feed_table_triggers(sqlite3 *db, const char *schema, const char *t, const char *name,
                                      sdb_failure *f) {
  return sdb_feed_prepare(
      db,
      sqlite3_mprintf(
          "WITH these AS (SELECT rowid AS made, name, sql, substr(name, 1, length(%Q) + 5) = %Q || '_log_' AS"
          " ours, instr(sql, 'VALUES(''touch'');') > 0 AS notes FROM \"%w\".sqlite_master"
          " WHERE type = 'trigger' AND tbl_name = %Q COLLATE NOCASE)"
          " SELECT sql, ours, name FROM these WHERE ours OR (NOT notes AND made > (SELECT min(made) FROM these WHERE"
          " ours)) ORDER BY name",
          t, t, schema, name),
      f);
}

int sdb_feed_table_sign(sqlite3 *db, const char *schema, const char *t, const sdb_feed_table *table,
                        sqlite3_int64 *sign, sdb_failure *f) {
  sqlite3_str *all = sqlite3_str_new(NULL);
  sqlite3_str_appendall(all, table->schema);
  sqlite3_stmt *rows = sdb_feed_table_triggers(db, schema, t, table->name, f);
  while (step(rows, f))
    sqlite3_str_appendall(all, text(rows, 0));
  sqlite3_finalize(rows);
  rows = table->by_rowid && f->code == SQLITE_OK
             ? sdb_feed_prepare(db, sqlite3_mprintf("PRAGMA \"%w\".schema_version", schema), f)
             : NULL;
  if (rows && step(rows, f)) sqlite3_str_appendf(all, "%d", sqlite3_column_int(rows, 0));
  sqlite3_finalize(rows);
  char *found = sqlite3_str_finish(all);
  if (found) *sign = (sqlite3_int64)sdb_checksum(found, strlen(found));
  if (!found && f->code == SQLITE_OK) sdb_failure_nomem(f);
  sqlite3_free(found);
  return f->code;
}

/* Without a look at its columns, which would cost more than all the rest. */
int sdb_feed_table_is_signed(sqlite3 *db, const char *schema, const char *t, sdb_feed_table *table, bool *same,
                             sdb_failure *f) {
  sqlite3_int64 found = 0;
  bool there = false;
  *same = false;
  if (look_for(db, schema, table->name, NULL, &there, f) != SQLITE_OK || !there) return f->code;
  if (take_schema(db, schema, table, f) != SQLITE_OK) return f->code;
  for (int by_rowid = 0; by_rowid <= 1 && !*same; by_rowid++) {
    table->by_rowid = by_rowid != 0;
    if (sdb_feed_table_sign(db, schema, t, table, &found, f) != SQLITE_OK) break;
    *same = found == table->sign;
  }
  return f->code;
}

char *sdb_feed_table_keys(const sdb_feed_table *table, const char *format, const char *between) {
  sqlite3_str *keys = sqlite3_str_new(NULL);
  for (int i = 0; i < table->key_count; i++) {
    if (i > 0) sqlite3_str_appendall(keys, between);
    for (const char *p = format; *p; p++) {
      if (*p == '$')
        sqlite3_str_appendall(keys, table->key[i]);
      else if (*p == '#')
        sqlite3_str_appendf(keys, "%d", i + 1);
      else
        sqlite3_str_appendchar(keys, 1, *p);
    }
  }
  return sqlite3_str_finish(keys);
}

sqlite3_stmt *sdb_feed_tables_logged(sqlite3 *db, const char *schema, const char *t, sdb_failure *f) {
  char *name = sqlite3_mprintf("%s_logged", t);
  bool there = false;
  if (!name)
    sdb_failure_nomem(f);
  else
    look_for(db, schema, name, "sign", &there, f);
  sqlite3_free(name);
  if (!there) return NULL;
  return sdb_feed_prepare(
      db, sqlite3_mprintf("SELECT name, since, sign FROM \"%w\".\"%w_logged\" ORDER BY name", schema, t), f);
}

int sdb_feed_tables_any(sqlite3 *db, const char *schema, const char *t, bool *any, sdb_failure *f) {
  sqlite3_stmt *rows = sdb_feed_tables_logged(db, schema, t, f);
  *any = step(rows, f);
  sqlite3_finalize(rows);
  return f->code;
}

static int add(sqlite3 *db, const char *schema, sqlite3_stmt *row, sdb_feed_table **list, size_t *count,
               sdb_failure *f) {
  sdb_feed_table *grown = sqlite3_realloc64(*list, (*count + 1) * sizeof **list);
  if (!grown) return sdb_failure_nomem(f);
  *list = grown;
  if (sdb_feed_table_describe(db, schema, text(row, 0), &grown[*count], f) != SQLITE_OK) return f->code;
  grown[*count].since = (uint64_t)sqlite3_column_int64(row, 1);
  grown[*count].sign = sqlite3_column_int64(row, 2);
  ++*count;
  return SQLITE_OK;
}

/* A table that was dropped, or has another name now: nobody but the user knows what is meant. */
static int check_there(sqlite3 *db, const char *schema, const char *t, const char *name, sdb_failure *f) {
  bool there = false;
  if (look_for(db, schema, name, NULL, &there, f) != SQLITE_OK || there) return f->code;
  return sdb_failure_set(f, SQLITE_ERROR,
                         "table %s, whose rows travel with %s, is gone or has another name: SELECT "
                         "seqdb_replicate_stop('%s', '%s'), and seqdb_replicate for the new one",
                         name, t, t, name);
}

int sdb_feed_tables_list(sqlite3 *db, const char *schema, const char *t, sdb_feed_table **list, size_t *count,
                         sdb_failure *f) {
  sqlite3_stmt *rows = sdb_feed_tables_logged(db, schema, t, f);
  *list = NULL;
  *count = 0;
  while (f->code == SQLITE_OK && step(rows, f))
    if (check_there(db, schema, t, text(rows, 0), f) == SQLITE_OK) add(db, schema, rows, list, count, f);
  sqlite3_finalize(rows);
  if (f->code == SQLITE_OK) return SQLITE_OK;
  sdb_feed_tables_free(*list, *count);
  *list = NULL;
  *count = 0;
  return f->code;
}

void sdb_feed_tables_free(sdb_feed_table *list, size_t count) {
  for (size_t i = 0; i < count; i++)
    sdb_feed_table_free(&list[i]);
  sqlite3_free(list);
}
