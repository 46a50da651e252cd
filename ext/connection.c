/* SPDX-License-Identifier: MIT
**
** connection.c: sdb_client, one per sqlite3 connection, and sdb_conn, one per (connection, directory).
**
** The transaction belongs to the sdb_conn and not to the sqlite3_vtab: ROLLBACK TO after DDL, and any ALTER TABLE in
** a transaction, make SQLite hold two or three objects of one table at once, and it calls the transaction methods of
** each.  They all find the same conn by its directory (whose path may be spelled in many ways).
**
** Two different tables on one directory would share a transaction and roll each other back, so the second is refused.
** A table is the same one if it has the conn's name, or if no table of this directory has that name any more, nor one that
** the conn's objects had (it was renamed, or a rename was rolled back, or another connection has done either).
**
** A conn dies with its last vtab object: the engine handle is closed at once.  Its memory stays while a function
** target (resolve.c) still points to it; `identity` tells such a target that it is stale.
*/
#include "ext.h"

/* ---- client ------------------------------------------------------------------------------------------------ */

sdb_client *sdb_client_new(sqlite3 *db) {
  sdb_client *client = sqlite3_malloc64(sizeof *client);
  if (client) *client = (sdb_client){.db = db, .refs = 1};
  return client;
}

sdb_client *sdb_client_ref(sdb_client *client) {
  client->refs++;
  return client;
}

void sdb_client_unref(void *context) {
  sdb_client *client = context;
  if (--client->refs > 0) return;
  sdb_client_finalize(client, client->probe);
  sdb_resolved_forget(client);
  sqlite3_free(client);
}

/* A program that closes in a loop over sqlite3_next_stmt() may have finalized it. */
void sdb_client_finalize(sdb_client *client, sqlite3_stmt *statement) {
  for (sqlite3_stmt *at = NULL; statement && (at = sqlite3_next_stmt(client->db, at)) != NULL;) {
    if (at != statement) continue;
    sqlite3_finalize(statement);
    return;
  }
}

void sdb_client_drop_statements(sdb_client *client) {
  if (client->conns || client->open_cursors > 0) return;
  sdb_client_finalize(client, client->probe);
  client->probe = NULL;
  sdb_resolved_forget(client);
}

bool sdb_client_has_table(sdb_client *client, const char *schema, const char *name) {
  return sqlite3_table_column_metadata(client->db, schema, name, NULL, NULL, NULL, NULL, NULL, NULL) == SQLITE_OK;
}

/* Only a table of ours has a hidden column of its own name beside these. */
static int has_columns(sdb_client *client, const char *schema, const char *name, bool *has) {
  const char *const columns[] = {"reserved", "append", name};
  int rc = SQLITE_OK;
  for (size_t i = 0; i < sizeof columns / sizeof columns[0] && rc == SQLITE_OK; i++)
    rc = sqlite3_table_column_metadata(client->db, schema, name, columns[i], NULL, NULL, NULL, NULL, NULL);
  *has = rc == SQLITE_OK;
  return rc == SQLITE_ERROR ? SQLITE_OK : rc;
}

/* Preparing a statement makes SQLite connect the table. */
int sdb_client_connect(sdb_client *client, const char *schema, const char *name, bool *ours, sdb_failure *f) {
  sqlite3_stmt *statement = NULL;
  char *sql = sqlite3_mprintf("SELECT 1 FROM \"%w\".\"%w\"", schema, name);
  *ours = false;
  if (!sql) return sdb_failure_nomem(f);
  int rc = sqlite3_prepare_v2(client->db, sql, -1, &statement, NULL);
  if (rc == SQLITE_OK) rc = has_columns(client, schema, name, ours);
  if (rc != SQLITE_OK) sdb_failure_nested(f, client->db);
  sqlite3_finalize(statement);
  sqlite3_free(sql);
  return f->code;
}

/* ---- conn -------------------------------------------------------------------------------------------------- */

sdb_conn *sdb_conn_ref(sdb_conn *conn) {
  conn->refs++;
  return conn;
}

void sdb_conn_unref(sdb_conn *conn) {
  if (--conn->refs > 0) return;
  sqlite3_free(conn->schema);
  sqlite3_free(conn->name);
  sqlite3_free(conn);
}

int sdb_conn_set_name(sdb_conn *conn, const char *schema, const char *name) {
  char *new_schema = sqlite3_mprintf("%s", schema);
  char *new_name = sqlite3_mprintf("%s", name);
  if (!new_schema || !new_name) {
    sqlite3_free(new_schema);
    sqlite3_free(new_name);
    return SQLITE_NOMEM;
  }
  sqlite3_free(conn->schema);
  sqlite3_free(conn->name);
  conn->schema = new_schema;
  conn->name = new_name;
  conn->identity++;
  return SQLITE_OK;
}

/* Another conn has the name now, or none has: this one is kept by statements that SQLite has not prepared anew yet. */
void sdb_conn_lose_name(sdb_conn *conn) {
  conn->name[0] = '\0';
  conn->identity++;
}

static bool has_name(const sdb_conn *conn, const char *schema, const char *name) {
  return sqlite3_stricmp(conn->schema, schema) == 0 && sqlite3_stricmp(conn->name, name) == 0;
}

sdb_conn *sdb_conn_by_name(sdb_client *client, const char *schema, const char *name) {
  for (sdb_conn *conn = client->conns; conn; conn = conn->next) {
    if (has_name(conn, schema, name)) return conn;
  }
  return NULL;
}

/* *conn is NULL if the directory is open nowhere on this connection. */
static int conn_by_directory(sdb_client *client, const char *directory, sdb_conn **conn, sdb_failure *f) {
  for (*conn = client->conns; *conn; *conn = (*conn)->next) {
    int same = seqdb_same_directory((*conn)->engine, directory);
    if (same < 0) return sdb_failure_engine(f, (*conn)->engine, same);
    if (same) break;
  }
  return SQLITE_OK;
}

/* Is there still a table of that name, on this conn's directory?  SQLite connects it if it has not, and then it takes its name
** from any conn that had it before. */
static int is_alive(sdb_conn *conn, const char *schema, const char *name, bool *alive, sdb_failure *f) {
  sdb_client *client = conn->client;
  *alive = false;
  int rc = sdb_client_connect(client, schema, name, alive, f);
  if (rc == SQLITE_AUTH) *alive = true; /* the program's authorizer hides it */
  if (rc == SQLITE_ERROR || rc == SQLITE_LOCKED || rc == SQLITE_AUTH) sdb_failure_clear(f);
  sdb_conn *owner = *alive ? sdb_conn_by_name(client, schema, name) : NULL;
  if (owner != conn) *alive = false;
  return f->code;
}

/* The first name but schema.name under which the conn's table is still alive, from sqlite3_malloc; NULL: there is none, or *f is
** set.  Connecting tables changes the lists: each round looks at them anew. */
static char *other_name(sdb_conn *conn, const char *schema, const char *name, sdb_failure *f) {
  char *found = NULL;
  bool alive = false;
  for (unsigned round = 0; f->code == SQLITE_OK && !alive; round++) {
    const char *its_schema = round == 0 ? conn->schema : NULL, *its_name = conn->name;
    unsigned at = 1;
    for (sdb_table *table = conn->client->tables; table && !its_schema; table = table->next) {
      if (table->conn != conn || at++ != round) continue;
      its_schema = table->schema;
      its_name = table->name;
    }
    if (!its_schema) break;
    if (sqlite3_stricmp(its_schema, schema) == 0 && sqlite3_stricmp(its_name, name) == 0) continue;
    char *schema_copy = sqlite3_mprintf("%s", its_schema);
    char *name_copy = sqlite3_mprintf("%s", its_name);
    if (!schema_copy || !name_copy)
      sdb_failure_nomem(f);
    else if (is_alive(conn, schema_copy, name_copy, &alive, f) == SQLITE_OK && alive &&
             !(found = sqlite3_mprintf("%s.%s", schema_copy, name_copy)))
      sdb_failure_nomem(f);
    sqlite3_free(schema_copy);
    sqlite3_free(name_copy);
  }
  return found;
}

/* A table finds its directory open already. */
static int conn_share(sdb_conn *conn, const char *schema, const char *name, bool create, sdb_failure *f) {
  if (!create && has_name(conn, schema, name)) return SQLITE_OK;
  char *other = other_name(conn, schema, name, f);
  if (other) {
    sdb_failure_set(f, SQLITE_ERROR, "seqdb table %s.%s: its directory belongs to table %s of this connection", schema,
                    name, other);
    sqlite3_free(other);
    /* GCOVR_EXCL_BR_LINE: a table that has changes is alive */
  } else if (f->code == SQLITE_OK && create && seqdb_has_changes(conn->engine)) {
    sdb_failure_set(f, SQLITE_LOCKED, "seqdb table %s.%s: its directory has uncommitted changes of another table",
                    schema, name);
  } else if (f->code == SQLITE_OK && sdb_conn_set_name(conn, schema, name) != SQLITE_OK) {
    sdb_failure_nomem(f);
  }
  return f->code;
}

static int conn_open(sdb_client *client, const sdb_config *config, bool create, sdb_conn **out, sdb_failure *f) {
  seqdb_options options = {
      .size_bytes = sizeof options, .flags = config->flags, .min_size_bytes = config->min_size_bytes};
  seqdb_error error = SEQDB_ERROR_INIT;
  sdb_conn *conn = sqlite3_malloc64(sizeof *conn);
  if (!conn) return sdb_failure_nomem(f);
  *conn = (sdb_conn){.client = client, .refs = 1, .atomic = config->atomic, .mark_level = -1};

  if (create && !config->readonly) options.flags |= SEQDB_OPEN_CREATE;
  if (seqdb_open(config->directory, &options, &error, &conn->engine) != SEQDB_OK) {
    sqlite3_free(conn);
    return sdb_failure_record(f, &error);
  }
  seqdb_set_interrupt(conn->engine, sdb_client_interrupted, client);
  *out = conn;
  return SQLITE_OK;
}

int sdb_conn_attach(sdb_client *client, const char *schema, const char *name, const sdb_config *config, bool create,
                    sdb_conn **out, sdb_failure *f) {
  sdb_conn *conn = NULL;
  if (conn_by_directory(client, config->directory, &conn, f) != SQLITE_OK) return f->code;
  if (conn) {
    sdb_conn_hold(conn); /* its last object may go meanwhile; then this one is all it has */
    if (conn_share(conn, schema, name, create, f) != SQLITE_OK) {
      sdb_conn_detach(conn);
      return f->code;
    }
  } else {
    if (conn_open(client, config, create, &conn, f) != SQLITE_OK) return f->code;
    if (sdb_conn_set_name(conn, schema, name) != SQLITE_OK) {
      seqdb_close(conn->engine);
      sdb_conn_unref(conn);
      return sdb_failure_nomem(f);
    }
    conn->next = client->conns;
    client->conns = conn;
    conn->vtabs = 1;
  }
  for (sdb_conn *other = client->conns; other; other = other->next) {
    if (other != conn && has_name(other, schema, name)) sdb_conn_lose_name(other);
  }
  *out = conn;
  return SQLITE_OK;
}

void sdb_conn_hold(sdb_conn *conn) {
  sdb_conn_ref(conn);
  conn->vtabs++;
}

void sdb_conn_detach(sdb_conn *conn) {
  sdb_client *client = conn->client;
  if (--conn->vtabs == 0) {
    sdb_conn **link = &client->conns;
    while (*link != conn)
      link = &(*link)->next;
    *link = conn->next;
    conn->scanned = NULL;
    sdb_pins_drop_owner(client, conn);
    seqdb_close(conn->engine);
    conn->engine = NULL;
    conn->identity++;
    sdb_client_drop_statements(client);
  }
  sdb_conn_unref(conn);
}

/* ---- patience ---------------------------------------------------------------------------------------------- */

/* Read when it is needed: SQLite has no call that tells, and the program may change it at any time. */
static uint32_t busy_timeout_ms(sqlite3 *db) {
  sqlite3_stmt *statement = NULL;
  int timeout_ms = 0;
  /* GCOVR_EXCL_BR_LINE: this PRAGMA has a row */
  if (sqlite3_prepare_v2(db, "PRAGMA busy_timeout", -1, &statement, NULL) == SQLITE_OK &&
      sqlite3_step(statement) == SQLITE_ROW) {
    timeout_ms = sqlite3_column_int(statement, 0);
  }
  sqlite3_finalize(statement);
  return timeout_ms > 0 ? (uint32_t)timeout_ms : 0;
}

int sdb_conn_patiently(sdb_conn *conn, int (*call)(seqdb *engine, void *context), void *context) {
  int rc = call(conn->engine, context);
  if (rc != SEQDB_BUSY) return rc;
  uint32_t timeout_ms = busy_timeout_ms(conn->client->db);
  if (timeout_ms == 0) return rc;
  seqdb_set_busy_timeout(conn->engine, timeout_ms);
  rc = call(conn->engine, context);
  seqdb_set_busy_timeout(conn->engine, 0);
  return rc;
}
