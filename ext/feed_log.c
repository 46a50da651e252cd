/* SPDX-License-Identifier: MIT
**
** feed_log.c: see feed_log.h.
**
**   CREATE TABLE <T>_log(generation, name, k1, ... k8, PRIMARY KEY(...)) WITHOUT ROWID      which rows, by their keys
**   CREATE TABLE <T>_logged(name, since, sign)                                              which tables
**   CREATE TRIGGER <T>_log_<table>_<1..5>                                                   who writes the notes
**
** A note says which row *may* have changed, not how: the object reads the row as it is at its commit.  So notes that
** are too many do no harm, what is changed ten times is noted once, and the two sides agree whatever the order was.
**
** The generation.  The trigger's first statement is INSERT INTO T(T) VALUES('touch'): the commit will be one of the
** directory, too, and the rowid of that INSERT is the generation that it will have; nobody else can commit meanwhile.
** <T>_log is WITHOUT ROWID, so last_insert_rowid() keeps it while notes are written.
**
** REPLACE removes rows without firing triggers (unless recursive_triggers is on).  So before an INSERT or UPDATE those
** rows are noted that have one of its unique values, whatever the statement would do with them.
**
** An ON CONFLICT of the statement that fires a trigger overrides those of the trigger's own statements, but not an
** UPSERT.
*/
#include "feed_log.h"
#include <string.h>
#include "agree.h"
#include "feed_tables.h"
#include "owner.h"
#include "path.h"

#define KEYS_SQL "k1, k2, k3, k4, k5, k6, k7, k8"

struct log {
  sqlite3 *db;
  const char *schema, *t;
  sdb_feed_table table;
  sqlite3_str *body; /* of the trigger that is being made */
  sdb_failure *f;
};

static struct log log_of(sdb_directory *directory, sdb_failure *f) {
  return (struct log){.db = directory->connection->db, .schema = directory->schema, .t = directory->name, .f = f};
}

/* ---- triggers ---------------------------------------------------------------------------------------------- */

/* "NEW.a, NEW.b, 0, 0, ..." : a key as the eight columns of the log. */
static void add_key(struct log *log, const char *prefix) {
  for (int i = 0; i < SDB_KEYS_MAX; i++) {
    if (i < log->table.key_count)
      sqlite3_str_appendf(log->body, ", %s%s", prefix, log->table.key[i]);
    else
      sqlite3_str_appendall(log->body, ", 0");
  }
}

/* A text that has been collected; NULL: there is none, or *f says why. */
static char *collected(struct log *log, sqlite3_str *text) {
  bool has_some = sqlite3_str_length(text) > 0 || sqlite3_str_errcode(text) != SQLITE_OK;
  char *all = sqlite3_str_finish(text);
  if (!all && has_some && log->f->code == SQLITE_OK) sdb_failure_nomem(log->f);
  return all;
}

/* All rows were read, or *f says why not. */
static void all_read(struct log *log, sqlite3_stmt *rows) {
  if (sqlite3_finalize(rows) != SQLITE_OK && log->f->code == SQLITE_OK) sdb_failure_nested(log->f, log->db);
}

static void begin_note(struct log *log) {
  sqlite3_str_appendf(log->body,
                      "  INSERT INTO \"%w_log\"(generation, name, " KEYS_SQL ") SELECT last_insert_rowid(), %Q", log->t,
                      log->table.name);
}

static void note(struct log *log, const char *prefix) {
  begin_note(log);
  add_key(log, prefix);
  sqlite3_str_appendall(log->body, " WHERE true ON CONFLICT DO NOTHING;\n");
}

/* Names the last column, for nothing but to be in its way: else DROP COLUMN and ADD COLUMN could empty it, no trigger
** would tell, and the schema would be the text that it was.  Whoever drops another column has a schema with a column
** less until that one is dropped, or renamed, which changes this text. */
static void hold_last_column(struct log *log) {
  sqlite3_stmt *last =
      sdb_feed_prepare(log->db,
                       sqlite3_mprintf("SELECT name FROM pragma_table_xinfo(%Q, %Q) ORDER BY cid DESC LIMIT 1",
                                       log->table.name, log->schema),
                       log->f);
  if (last && sqlite3_step(last) == SQLITE_ROW)
    sqlite3_str_appendf(log->body, "  SELECT NULL WHERE false AND NEW.\"%w\" IS NULL;\n",
                        (const char *)sqlite3_column_text(last, 0));
  all_read(log, last);
}

/* Rows that have the new values of that index, or rowid. */
static void note_owners(struct log *log, const char *condition) {
  begin_note(log);
  add_key(log, "");
  sqlite3_str_appendf(log->body, " FROM \"%w\" WHERE %s ON CONFLICT DO NOTHING;\n", log->table.name, condition);
}

static int make_trigger(struct log *log, int number, const char *when) {
  char *body = collected(log, log->body);
  log->body = sqlite3_str_new(NULL);
  if (!body) return log->f->code; /* nothing to do for it */
  int rc = sdb_feed_run(
      log->db,
      sqlite3_mprintf("CREATE TRIGGER \"%w\".\"%w_log_%w_%d\" %s ON \"%w\" BEGIN\n"
                      "  INSERT INTO \"%w\"(\"%w\") VALUES('touch');\n%sEND",
                      log->schema, log->t, log->table.name, number, when, log->table.name, log->t, log->t, body),
      log->f);
  sqlite3_free(body);
  return rc;
}

struct unique {
  const char *index;
  bool is_key;     /* of the key: its notes tell what it removes, if it compares as the columns do */
  bool compares;   /* some column in another way than the table has it */
  bool generated;  /* has such a column */
  sqlite3_str *on; /* the condition on the new row */
};

/* NULL in a NOT NULL column becomes its default when REPLACE resolves it: after BEFORE triggers. */
static void add_column(struct log *log, struct unique *u, sqlite3_stmt *column) {
  const char *name = (const char *)sqlite3_column_text(column, 0), *own = NULL;
  const char *collation = (const char *)sqlite3_column_text(column, 1);
  const char *value = (const char *)sqlite3_column_text(column, 2);
  if (!name) {
    sdb_failure_set(log->f, SQLITE_ERROR,
                    "table %s: its index %s is UNIQUE on an expression: which rows a REPLACE removes cannot be told, "
                    "so its rows cannot travel",
                    log->table.name, u->index);
    return;
  }
  sqlite3_table_column_metadata(log->db, log->schema, log->table.name, name, NULL, &own, NULL, NULL, NULL);
  u->compares |= !own || !collation || sqlite3_stricmp(own, collation) != 0;
  u->generated |= sqlite3_column_int(column, 3) > 1;
  sqlite3_str_appendf(u->on, "%s\"%w\" = ", sqlite3_str_length(u->on) ? " AND " : "", name);
  sqlite3_str_appendf(u->on, value ? "coalesce(NEW.\"%w\", (%s))" : "NEW.\"%w\"", name, value);
  sqlite3_str_appendf(u->on, " COLLATE \"%w\"", collation ? collation : "BINARY");
}

/* "NEW.a IS NULL OR NEW.b IS NULL": of columns that have a default then; NULL: there are none. */
static char *defaulted(struct log *log) {
  sqlite3_str *any = sqlite3_str_new(NULL);
  sqlite3_stmt *columns = sdb_feed_prepare(
      log->db,
      sqlite3_mprintf("SELECT name FROM pragma_table_xinfo(%Q, %Q) WHERE \"notnull\" AND dflt_value IS NOT NULL",
                      log->table.name, log->schema),
      log->f);
  while (columns && sqlite3_step(columns) == SQLITE_ROW)
    sqlite3_str_appendf(any, "%sNEW.\"%w\" IS NULL", sqlite3_str_length(any) ? " OR " : "",
                        (const char *)sqlite3_column_text(columns, 0));
  all_read(log, columns);
  return collected(log, any);
}

/* Rows that a unique index has at the new values; all, where these are generated from what is not known yet. */
static void note_unique(struct log *log, const char *index, bool is_key) {
  struct unique u = {.index = index, .is_key = is_key, .on = sqlite3_str_new(NULL)};
  sqlite3_stmt *columns = sdb_feed_prepare(
      log->db,
      sqlite3_mprintf("SELECT i.name, i.coll, iif(c.\"notnull\", c.dflt_value, NULL), c.hidden"
                      " FROM pragma_index_xinfo(%Q, %Q) AS i LEFT JOIN pragma_table_xinfo(%Q, %Q) AS c ON c.cid = i.cid"
                      " WHERE i.key ORDER BY i.seqno",
                      index, log->schema, log->table.name, log->schema),
      log->f);
  while (columns && log->f->code == SQLITE_OK && sqlite3_step(columns) == SQLITE_ROW)
    add_column(log, &u, columns);
  all_read(log, columns);
  char *condition = collected(log, u.on);
  char *unknown = u.generated ? defaulted(log) : NULL;
  bool wanted = log->f->code == SQLITE_OK && (!u.is_key || u.compares);
  if (wanted && condition) note_owners(log, condition);
  if (wanted && unknown) note_owners(log, unknown);
  sqlite3_free(condition);
  sqlite3_free(unknown);
}

/* The body of what comes before INSERT and UPDATE. */
static int note_all_owners(struct log *log) {
  sqlite3_stmt *indexes =
      sdb_feed_prepare(log->db,
                       sqlite3_mprintf("SELECT name, origin FROM pragma_index_list(%Q, %Q) WHERE \"unique\"",
                                       log->table.name, log->schema),
                       log->f);
  while (indexes && log->f->code == SQLITE_OK && sqlite3_step(indexes) == SQLITE_ROW)
    note_unique(log, (const char *)sqlite3_column_text(indexes, 0),
                strcmp((const char *)sqlite3_column_text(indexes, 1), "pk") == 0 && !log->table.by_rowid);
  all_read(log, indexes);
  if (log->table.rowid && !log->table.by_rowid) {
    char *condition = sqlite3_mprintf("%s = NEW.%s", log->table.rowid, log->table.rowid);
    if (condition)
      note_owners(log, condition);
    else
      sdb_failure_nomem(log->f);
    sqlite3_free(condition);
  }
  return log->f->code;
}

static int make_triggers(struct log *log) {
  log->body = sqlite3_str_new(NULL);
  if (note_all_owners(log) == SQLITE_OK) make_trigger(log, 1, "BEFORE INSERT");
  if (log->f->code == SQLITE_OK) note(log, "NEW.");
  if (log->f->code == SQLITE_OK) hold_last_column(log);
  if (log->f->code == SQLITE_OK) make_trigger(log, 2, "AFTER INSERT");
  if (log->f->code == SQLITE_OK && note_all_owners(log) == SQLITE_OK) make_trigger(log, 3, "BEFORE UPDATE");
  note(log, "OLD.");
  note(log, "NEW.");
  if (log->f->code == SQLITE_OK) make_trigger(log, 4, "AFTER UPDATE");
  note(log, "OLD.");
  if (log->f->code == SQLITE_OK) make_trigger(log, 5, "AFTER DELETE");
  sqlite3_free(sqlite3_str_finish(log->body));
  return log->f->code;
}

static int drop_triggers(struct log *log, const char *table) {
  for (int i = 1; i <= 5 && log->f->code == SQLITE_OK; i++)
    sdb_feed_run(log->db,
                 sqlite3_mprintf("DROP TRIGGER IF EXISTS \"%w\".\"%w_log_%w_%d\"", log->schema, log->t, table, i),
                 log->f);
  return log->f->code;
}

/* ---- do they note enough? ---------------------------------------------------------------------------------- */

/* The trigger that is there has all of these statements. */
static bool has_all(const char *trigger, char *statements) {
  for (char *at = statements, *end; *at; at = end + 2) {
    if (!(end = strstr(at, ";\n"))) return false;
    *end = '\0';
    bool there = strstr(trigger, at) != NULL;
    *end = ';';
    if (!there) return false;
  }
  return true;
}

/* All five are there, none that is newer may hide a row from them, and those before INSERT and UPDATE have what
** `statements` has. */
static bool note_as_well(struct log *log, char *statements) {
  sqlite3_stmt *triggers = sdb_feed_table_triggers(log->db, log->schema, log->t, log->table.name, log->f);
  bool enough = triggers != NULL;
  int ours = 0;
  while (enough && sqlite3_step(triggers) == SQLITE_ROW) {
    const char *sql = (const char *)sqlite3_column_text(triggers, 0);
    const char *name = (const char *)sqlite3_column_text(triggers, 2);
    char last = name && *name ? name[strlen(name) - 1] : '\0';
    enough = sqlite3_column_int(triggers, 1) != 0 && sql;
    if (enough && statements && (last == '1' || last == '3')) enough = has_all(sql, statements);
    ours++;
  }
  all_read(log, triggers);
  return enough && ours == 5;
}

int sdb_feed_log_is_enough(sdb_directory *directory, const char *table, bool *enough, sdb_failure *f) {
  struct log log = log_of(directory, f);
  char *statements = NULL;
  *enough = false;
  if (sdb_feed_table_describe(log.db, log.schema, table, &log.table, f) == SQLITE_OK && !log.table.by_rowid) {
    log.body = sqlite3_str_new(NULL);
    note_all_owners(&log);
    statements = collected(&log, log.body);
    if (f->code == SQLITE_OK) *enough = note_as_well(&log, statements);
  }
  if (log.table.by_rowid) *enough = true;
  sqlite3_free(statements);
  sdb_feed_table_free(&log.table);
  if (f->code == SQLITE_ERROR || f->code == SQLITE_AUTH) sdb_failure_clear(f); /* nobody can tell: it is not */
  return f->code;
}

/* ---- the two tables ---------------------------------------------------------------------------------------- */

static int make_tables(struct log *log) {
  return sdb_feed_run(
      log->db,
      sqlite3_mprintf("CREATE TABLE IF NOT EXISTS \"%w\".\"%w_log\"(generation INTEGER, name TEXT, " KEYS_SQL
                      ", PRIMARY KEY(generation, name, " KEYS_SQL ")) WITHOUT ROWID;\n"
                      "CREATE TABLE IF NOT EXISTS \"%w\".\"%w_logged\"(name TEXT PRIMARY KEY COLLATE NOCASE, since "
                      "INTEGER, sign INTEGER) WITHOUT ROWID;\n"
                      "SELECT generation, name, " KEYS_SQL " FROM \"%w\".\"%w_log\" LIMIT 0;\n" /* ours? */
                      "SELECT name, since, sign FROM \"%w\".\"%w_logged\" LIMIT 0",
                      log->schema, log->t, log->schema, log->t, log->schema, log->t, log->schema, log->t),
      log->f);
}

/* Makes the commit one of the directory.  *generation: that it will have.  First of all, since it looks at the schema
** (feed_watch.c), which is between two states until all is done. */
static int touch(struct log *log, sqlite3_int64 *generation) {
  sdb_feed_run(log->db,
               sqlite3_mprintf("INSERT INTO \"%w\".\"%w\"(\"%w\") VALUES('touch')", log->schema, log->t, log->t),
               log->f);
  *generation = sqlite3_last_insert_rowid(log->db);
  return log->f->code;
}

static int put_logged(struct log *log, sqlite3_int64 generation) {
  sqlite3_int64 sign = 0;
  if (sdb_feed_table_sign(log->db, log->schema, log->t, &log->table, &sign, log->f) != SQLITE_OK) return log->f->code;
  return sdb_feed_run(log->db,
                      sqlite3_mprintf("INSERT OR REPLACE INTO \"%w\".\"%w_logged\" VALUES(%Q, %lld, %lld)", log->schema,
                                      log->t, log->table.name, generation, sign),
                      log->f);
}

/* Those whose key is the rowid are signed with schema_version, which has changed: what was right before still is. */
static int sign_others(struct log *log, const sdb_feed_table *list, size_t count) {
  sqlite3_int64 sign;
  for (size_t i = 0; i < count && log->f->code == SQLITE_OK; i++) {
    if (!list[i].by_rowid || !list[i].sign || sqlite3_stricmp(list[i].name, log->table.name) == 0) continue;
    if (sdb_feed_table_sign(log->db, log->schema, log->t, &list[i], &sign, log->f) != SQLITE_OK) break;
    sdb_feed_run(log->db,
                 sqlite3_mprintf("UPDATE \"%w\".\"%w_logged\" SET sign = %lld WHERE name = %Q", log->schema, log->t,
                                 sign, list[i].name),
                 log->f);
  }
  return log->f->code;
}

/* Their sign, or 0 if it is not right any more. */
static int check_signs(struct log *log, sdb_feed_table *list, size_t count) {
  sqlite3_int64 sign;
  for (size_t i = 0; i < count && log->f->code == SQLITE_OK; i++)
    if (sdb_feed_table_sign(log->db, log->schema, log->t, &list[i], &sign, log->f) == SQLITE_OK && sign != list[i].sign)
      list[i].sign = 0;
  return log->f->code;
}

/* ---- all or nothing ---------------------------------------------------------------------------------------- */

static int may_note(sdb_directory *directory, const char *table, sdb_failure *f) {
  sqlite3 *db = directory->connection->db;
  size_t bytes = strlen(directory->name);
  bool own = sqlite3_strnicmp(table, directory->name, (int)bytes) == 0 &&
             (sqlite3_stricmp(table + bytes, "_log") == 0 || sqlite3_stricmp(table + bytes, "_logged") == 0);
  if (own) return sdb_failure_set(f, SQLITE_ERROR, "table %s has the notes themselves: its rows cannot travel", table);
  if (sdb_owner_may_upkeep(directory, f) != SQLITE_OK) return f->code;
  if (directory->owner.state != SDB_OWNER_THIS)
    return sdb_failure_set(f, SQLITE_ERROR,
                           "%s: rows travel with the regions of a table that commits with them: not in memory, not in "
                           "temp, not with atomic=0",
                           directory->name);
  if (sdb_path_is_inside(db, directory->schema, directory->path)) return SQLITE_OK;
  return sdb_failure_set(
      f, SQLITE_ERROR, "%s: its directory lies outside the SQLite file's folder, so that no trigger may use the table",
      directory->name);
}

static int ended(struct log *log) {
  if (log->f->code == SQLITE_OK && sqlite3_exec(log->db, "RELEASE seqdb_log", NULL, NULL, NULL) != SQLITE_OK)
    sdb_failure_nested(log->f, log->db);
  if (log->f->code == SQLITE_OK) return SQLITE_OK;
  (void)sqlite3_exec(log->db, "ROLLBACK TO seqdb_log", NULL, NULL, NULL); /* or all of it is rolled back already */
  (void)sqlite3_exec(log->db, "RELEASE seqdb_log", NULL, NULL, NULL);
  return log->f->code;
}

int sdb_feed_log_add(sdb_directory *directory, const char *table, int *columns, sdb_failure *f) {
  struct log log = log_of(directory, f);
  sdb_feed_table *list = NULL;
  size_t count = 0;
  sqlite3_int64 generation = 0;
  if (may_note(directory, table, f) != SQLITE_OK) return f->code;
  if (sdb_feed_run(log.db, sqlite3_mprintf("SAVEPOINT seqdb_log"), f) != SQLITE_OK) return f->code;
  if (sdb_feed_table_describe(log.db, log.schema, table, &log.table, f) == SQLITE_OK &&
      touch(&log, &generation) == SQLITE_OK && make_tables(&log) == SQLITE_OK &&
      sdb_feed_tables_list(log.db, log.schema, log.t, &list, &count, f) == SQLITE_OK &&
      check_signs(&log, list, count) == SQLITE_OK && drop_triggers(&log, table) == SQLITE_OK &&
      make_triggers(&log) == SQLITE_OK && put_logged(&log, generation) == SQLITE_OK)
    sign_others(&log, list, count);
  *columns = log.table.column_count;
  sdb_feed_tables_free(list, count);
  sdb_feed_table_free(&log.table);
  return ended(&log);
}

int sdb_feed_log_renew(sdb_directory *directory, int *tables, sdb_failure *f) {
  struct log log = log_of(directory, f);
  sdb_feed_table *list = NULL;
  size_t count = 0;
  int columns;
  *tables = 0;
  if (sdb_feed_tables_list(log.db, log.schema, log.t, &list, &count, f) != SQLITE_OK) return f->code;
  check_signs(&log, list, count);
  for (size_t i = 0; i < count && f->code == SQLITE_OK; i++) {
    if (list[i].sign) continue;
    sdb_feed_log_add(directory, list[i].name, &columns, f);
    ++*tables;
  }
  sdb_feed_tables_free(list, count);
  return f->code;
}

int sdb_feed_log_remove(sdb_directory *directory, const char *table, bool *removed, sdb_failure *f) {
  struct log log = log_of(directory, f);
  sqlite3_int64 generation;
  bool any = false;
  *removed = false;
  if (sdb_feed_tables_any(log.db, log.schema, log.t, &any, f) != SQLITE_OK || !any) return f->code;
  if (sdb_feed_run(log.db, sqlite3_mprintf("SAVEPOINT seqdb_log"), f) != SQLITE_OK) return f->code;
  if (touch(&log, &generation) == SQLITE_OK && drop_triggers(&log, table) == SQLITE_OK)
    sdb_feed_run(log.db,
                 sqlite3_mprintf("DELETE FROM \"%w\".\"%w_log\" WHERE name = %Q COLLATE NOCASE;\n"
                                 "DELETE FROM \"%w\".\"%w_logged\" WHERE name = %Q",
                                 log.schema, log.t, table, log.schema, log.t, table),
                 f);
  *removed = f->code == SQLITE_OK && sqlite3_changes(log.db) > 0;
  return ended(&log);
}

static int newest_generation(sdb_directory *directory, uint64_t *generation, sdb_failure *f) {
  uint8_t token[SEQDB_TOKEN_BYTES];
  return sdb_failure_engine(f, directory->engine, seqdb_get_tip(directory->engine, generation, token));
}

int sdb_feed_log_prune(sdb_directory *directory, uint64_t generation, uint64_t *notes, sdb_failure *f) {
  struct log log = log_of(directory, f);
  uint64_t newest = 0;
  bool any = false;
  *notes = 0;
  if (sdb_feed_tables_any(log.db, log.schema, log.t, &any, f) != SQLITE_OK || !any) return f->code;
  if (newest_generation(directory, &newest, f) != SQLITE_OK) return f->code;
  if (generation > newest) generation = newest; /* nobody has one that is not made yet */
  if (sdb_feed_run(log.db, sqlite3_mprintf("SAVEPOINT seqdb_log"), f) != SQLITE_OK) return f->code;
  if (sdb_feed_run(
          log.db,
          sqlite3_mprintf("UPDATE \"%w\".\"%w_logged\" SET since = max(since, %lld);\n"
                          "DELETE FROM \"%w\".\"%w_log\" WHERE generation <= %lld",
                          log.schema, log.t, (sqlite3_int64)generation, log.schema, log.t, (sqlite3_int64)generation),
          f) == SQLITE_OK)
    *notes = (uint64_t)sqlite3_changes64(log.db);
  return ended(&log);
}

int sdb_feed_log_gap(sdb_directory *directory, const char *table, sdb_failure *f) {
  struct log log = log_of(directory, f);
  uint64_t generation = 0;
  bool any = false;
  if (sdb_feed_tables_any(log.db, log.schema, log.t, &any, f) != SQLITE_OK || !any) return f->code;
  if (newest_generation(directory, &generation, f) != SQLITE_OK) return f->code;
  return sdb_feed_run(
      log.db,
      sqlite3_mprintf("UPDATE \"%w\".\"%w_logged\" SET since = %lld WHERE name = %Q AND since < %lld", log.schema,
                      log.t, (sqlite3_int64)generation + 1, table, (sqlite3_int64)generation + 1),
      f);
}
