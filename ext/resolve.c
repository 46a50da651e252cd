/* SPDX-License-Identifier: MIT
**
** resolve.c: from the T of a function to its table.
**
**   'regions'   'main.regions'   'my table'   'aux."a.b"'   '[x]'
**
** Unqualified names resolve as in SQL: temp, main, then the attached databases.  Only tables the schema has are
** reached: a function cannot open a directory.  A table SQLite did not connect yet is connected by preparing a
** statement on it, which is thrown away at once.
**
** The client remembers what the last few T meant: finding out costs more than most calls.  That holds as long as the
** conn has not changed its name or gone (conn->identity) and no table of the temp schema has come to hide an
** unqualified name: any change of that schema expires all statements of the connection, and a statement that is never
** stepped stays expired.  Names found in attached databases are not remembered: a new table in main would hide them.
**
** A target is the INSERT that carries changes into xUpdate, kept by SQLite with the calling statement while T is constant
** (sqlite3_set_auxdata).  It must not outlive that statement: a statement on a virtual table
** keeps sqlite3_close() from succeeding.  A rename or a DROP between two calls makes it stale (conn->identity).
*/
#include <string.h>
#include "ext.h"

/* ---- names ------------------------------------------------------------------------------------------------- */

/* Copies one identifier from *text to out, which is as large as the text.  False if malformed. */
static bool take_identifier(const char **text, char *out) {
  const char *p = *text;
  char close = *p == '[' ? ']' : (*p == '"' || *p == '`' || *p == '\'') ? *p : 0;
  if (!close) {
    while (*p && *p != '.' && *p != '"' && *p != '[' && *p != '`' && *p != '\'')
      *out++ = *p++;
    bool empty = p == *text;
    *out = '\0';
    *text = p;
    return !empty;
  }
  for (p++; *p; p++) {
    if (*p == close) {
      if (close == ']' || p[1] != close) break;
      p++;
    }
    *out++ = *p;
  }
  if (*p != close) return false;
  *out = '\0';
  *text = p + 1;
  return true;
}

/* `schema` and `table` have room for the whole text.  schema is "" if the text has none. */
static bool split_name(const char *text, char *schema, char *table) {
  schema[0] = '\0';
  if (!take_identifier(&text, table)) return false;
  if (*text == '.') {
    strcpy(schema, table);
    text++;
    if (!take_identifier(&text, table)) return false;
  }
  return *text == '\0';
}

typedef bool schema_visit(sdb_client *client, const char *schema, const char *table, sdb_failure *f);

/* Visits temp, main and the attached databases in the order of name resolution, or `only` if it is not empty, until
** visit() says yes.  Returns that schema's name, from sqlite3_malloc; NULL: none, or *f is set. */
static char *visit_schemas(sdb_client *client, const char *only, const char *table, schema_visit *visit,
                           sdb_failure *f) {
  sqlite3_stmt *statement = NULL;
  const char *found = NULL;
  char *copy = NULL;
  if (only[0]) {
    found = visit(client, only, table, f) ? only : NULL;
  } else if (visit(client, "temp", table, f)) {
    found = "temp";
  } else if (f->code == SQLITE_OK && visit(client, "main", table, f)) {
    found = "main";
  } else if (f->code == SQLITE_OK) {
    if (sqlite3_prepare_v2(client->db, "PRAGMA database_list", -1, &statement, NULL) != SQLITE_OK) {
      sdb_failure_nested(f, client->db);
    }
    while (!found && f->code == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW) {
      const char *schema = (const char *)sqlite3_column_text(statement, 1);
      /* GCOVR_EXCL_BR_LINE: NULL: no memory */
      if (schema && sqlite3_column_int(statement, 0) > 1 && visit(client, schema, table, f)) found = schema;
    }
  }
  if (found && !(copy = sqlite3_mprintf("%s", found))) sdb_failure_nomem(f);
  sqlite3_finalize(statement);
  return copy;
}

static bool visit_has_table(sdb_client *client, const char *schema, const char *table, sdb_failure *f) {
  (void)f;
  return sdb_client_has_table(client, schema, table);
}

/* What SQLite remembers of a schema is checked only when a statement reads the database, and SELECT seqdb_read(...)
** does not: another connection may have made the table meanwhile. */
static bool visit_refresh(sdb_client *client, const char *schema, const char *table, sdb_failure *f) {
  sqlite3_stmt *statement = NULL;
  char *sql = sqlite3_mprintf("SELECT 1 FROM \"%w\".sqlite_master LIMIT 1", schema);
  (void)table;
  if (!sql) {
    sdb_failure_nomem(f);
    return false;
  }
  int rc = sqlite3_prepare_v2(client->db, sql, -1, &statement, NULL);
  if (rc == SQLITE_OK) {
    sqlite3_step(statement);
    rc = sqlite3_reset(statement);
  } else if (rc == SQLITE_ERROR) {
    rc = SQLITE_OK; /* there is no such database */
  }
  if (rc != SQLITE_OK) sdb_failure_nested(f, client->db);
  sqlite3_finalize(statement);
  sqlite3_free(sql);
  return false;
}

static char *find_schema(sdb_client *client, const char *only, const char *table, sdb_failure *f) {
  char *schema = visit_schemas(client, only, table, visit_has_table, f);
  if (schema || f->code != SQLITE_OK) return schema;
  visit_schemas(client, only, table, visit_refresh, f);
  return f->code == SQLITE_OK ? visit_schemas(client, only, table, visit_has_table, f) : NULL;
}

/* ---- table ------------------------------------------------------------------------------------------------- */

/* A table that could not open its directory when it was connected: tries again, to succeed or to say why not. */
static sdb_conn *retry_table(sdb_client *client, const char *schema, const char *name, sdb_failure *f) {
  for (sdb_table *table = client->tables; table; table = table->next) {
    if (table->conn || sqlite3_stricmp(table->schema, schema) != 0 || sqlite3_stricmp(table->name, name) != 0) continue;
    return sdb_table_ready(table, f) == SQLITE_OK ? table->conn : NULL;
  }
  return NULL;
}

static int find_conn(sdb_client *client, const char *schema, const char *table, sdb_conn **conn, sdb_failure *f) {
  for (int round = 0; round < 2; round++) {
    bool ours;
    if (sdb_client_connect(client, schema, table, &ours, f) != SQLITE_OK) return f->code;
    *conn = sdb_conn_by_name(client, schema, table);
    if (*conn && !ours) {
      sdb_conn_lose_name(*conn); /* kept by a statement; another table has the name now */
      *conn = NULL;
    }
    if (!*conn && ours) *conn = retry_table(client, schema, table, f);
    if (*conn || f->code != SQLITE_OK) return f->code;
    if (round == 0) visit_refresh(client, schema, table, f);
    if (f->code != SQLITE_OK) return f->code;
  }
  return sdb_failure_set(f, SQLITE_ERROR, "%s is not a seqdb table", table);
}

/* ---- what T meant before ----------------------------------------------------------------------------------- */

void sdb_resolved_forget(sdb_client *client) {
  for (unsigned i = 0; i < SDB_RESOLVED; i++) {
    if (!client->resolved[i].text) continue;
    sqlite3_free(client->resolved[i].text);
    client->resolved[i].text = NULL;
    sdb_conn_unref(client->resolved[i].conn);
  }
  sdb_client_finalize(client, client->sentinel);
  client->sentinel = NULL;
}

/* SQLite built without its deprecated interfaces has no sqlite3_expired(). */
#if defined(SQLITE_OMIT_DEPRECATED)
#define CAN_EXPIRE false
#elif defined(SQLITE_CORE)
#define CAN_EXPIRE true
#else
#define CAN_EXPIRE (sqlite3_api->expired != NULL)
#endif

static bool has_expired(sqlite3_stmt *statement) {
#if defined(SQLITE_OMIT_DEPRECATED)
  (void)statement;
  return false;
#else
  return sqlite3_expired(statement) != 0;
#endif
}

static sdb_conn *recall(sdb_client *client, const char *text) {
  if (!client->sentinel) return NULL;
  if (CAN_EXPIRE && has_expired(client->sentinel)) {
    sdb_resolved_forget(client);
    return NULL;
  }
  for (unsigned i = 0; i < SDB_RESOLVED; i++) {
    sdb_conn *conn = client->resolved[i].conn;
    if (!client->resolved[i].text || strcmp(client->resolved[i].text, text) != 0) continue;
    if (conn->identity != client->resolved[i].identity) return NULL;
    if (CAN_EXPIRE) return conn;
    bool hidden = !client->resolved[i].qualified && sdb_client_has_table(client, "temp", conn->name);
    if (hidden || !sdb_client_has_table(client, conn->schema, conn->name)) return NULL;
    return conn;
  }
  return NULL;
}

/* Takes `text` over.  Failing to remember is no error. */
static void remember(sdb_client *client, char *text, bool qualified, const char *schema, sdb_conn *conn) {
  unsigned at = client->resolved_next;
  bool hidden_by_temp_only = qualified || sqlite3_stricmp(schema, "main") == 0;
  if (!hidden_by_temp_only ||
      (!client->sentinel && sqlite3_prepare_v2(client->db, "SELECT 1", -1, &client->sentinel, NULL) != SQLITE_OK)) {
    sqlite3_free(text);
    return;
  }
  for (unsigned i = 0; i < SDB_RESOLVED; i++) {
    if (client->resolved[i].text && strcmp(client->resolved[i].text, text) == 0) at = i;
  }
  if (client->resolved[at].text) {
    sqlite3_free(client->resolved[at].text);
    sdb_conn_unref(client->resolved[at].conn);
  }
  client->resolved[at].text = text;
  client->resolved[at].conn = sdb_conn_ref(conn);
  client->resolved[at].identity = conn->identity;
  client->resolved[at].qualified = qualified;
  client->resolved_next = (client->resolved_next + 1) % SDB_RESOLVED;
}

/* ---- T to conn --------------------------------------------------------------------------------------------- */

int sdb_resolve(sdb_client *client, sqlite3_value *value, sdb_conn **conn, sdb_failure *f) {
  char *given = NULL, *table = NULL, *schema = NULL;
  const char *text = sqlite3_value_type(value) == SQLITE_TEXT ? (const char *)sqlite3_value_text(value) : NULL;
  if (!text) {
    sdb_failure_set(f, SQLITE_ERROR, "the name of a seqdb table must be TEXT: 'table' or 'schema.table'");
    goto done;
  }
  if ((*conn = recall(client, text)) != NULL) {
    sdb_conn_hold(*conn);
    return SQLITE_OK;
  }
  size_t bytes = strlen(text) + 1;
  given = sqlite3_malloc64(bytes);
  table = sqlite3_malloc64(bytes);
  if (!given || !table) {
    sdb_failure_nomem(f);
  } else if (!split_name(text, given, table)) {
    sdb_failure_set(f, SQLITE_ERROR, "malformed table name: %s", text);
  } else if ((schema = find_schema(client, given, table, f)) != NULL) {
    char *copy = find_conn(client, schema, table, conn, f) == SQLITE_OK ? sqlite3_mprintf("%s", text) : NULL;
    if (f->code == SQLITE_OK) sdb_conn_hold(*conn);
    if (copy) remember(client, copy, given[0] != '\0', schema, *conn);
  } else if (f->code == SQLITE_OK) {
    sdb_failure_set(f, SQLITE_ERROR, "no such seqdb table: %s", text);
  }
done:
  sqlite3_free(given);
  sqlite3_free(table);
  sqlite3_free(schema);
  return f->code;
}

/* ---- target ------------------------------------------------------------------------------------------------ */

static void target_free(void *context) {
  sdb_target *target = context;
  sqlite3_finalize(target->insert);
  sdb_conn_unref(target->conn);
  sqlite3_free(target);
}

int sdb_target_get(sqlite3_context *context, sdb_conn *conn, sdb_target **out, sdb_failure *f) {
  sdb_target *target = sqlite3_get_auxdata(context, 0);
  if (target && target->conn == conn && target->identity == conn->identity) {
    *out = target;
    return SQLITE_OK;
  }
  target = sqlite3_malloc64(sizeof *target);
  if (!target) return sdb_failure_nomem(f);
  *target = (sdb_target){.conn = sdb_conn_ref(conn), .identity = conn->identity};
  *out = target;
  return SQLITE_OK;
}

/* The last thing a function does with its target: SQLite keeps it, or frees it at once. */
void sdb_target_keep(sqlite3_context *context, sdb_target *target) {
  if (sqlite3_get_auxdata(context, 0) != target) sqlite3_set_auxdata(context, 0, target, target_free);
}
