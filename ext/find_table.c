/* SPDX-License-Identifier: MIT
**
** find_table.c: from the T of a function to the directory of that table.
**
**   'regions'   'main.regions'   'my table'   'aux."a.b"'   '[x]'
**
** Names without a schema are looked up as in SQL: temp, main, then the attached databases.  Only tables the schema
** has are found: a function cannot open a directory.
**
** The connection remembers what the last few T meant.  Measured, an append of 64 bytes by a statement that is kept:
** 140 ns, and 3,300 ns when each call has to find its table.  What is remembered holds as long as
**   - the directory is open and has its name (sdb_directory.identity), and
**   - no table of the temp schema has come to hide the name.  Any change of that schema expires all statements of the
**     connection; the sentinel is never stepped and so stays expired.
** Names found in attached databases are not remembered: a new table in main would hide them.
**
** Not kept: the INSERT of functions_write.c, with the calling statement (sqlite3_set_auxdata).  It spared 1.9 of 10
** us where one SELECT in autocommit makes many calls with sync=off, and nothing where each call waits for the disk
** (118 us).
*/
#include <string.h>
#include "agree.h"
#include "attach.h"
#include "find_table.h"
#include "owner.h"
#include "schema.h"
#include "table.h"

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

/* ---- table ------------------------------------------------------------------------------------------------- */

/* A table that could not open its directory when it was connected: tries again, to succeed or to say why not. */
static sdb_directory *retry(sdb_connection *connection, const char *schema, const char *name, sdb_failure *f) {
  for (sdb_table *table = connection->tables; table; table = table->next) {
    bool same = sqlite3_stricmp(table->schema, schema) == 0 && sqlite3_stricmp(table->name, name) == 0;
    if (table->directory || !same) continue;
    return sdb_table_ready(table, f) == SQLITE_OK ? table->directory : NULL;
  }
  return NULL;
}

static int look_up(sdb_connection *connection, const char *schema, const char *table, sdb_directory **directory,
                   sdb_failure *f) {
  for (int round = 0; round < 2; round++) {
    bool ours;
    if (sdb_schema_connect(connection, schema, table, &ours, f) != SQLITE_OK) return f->code;
    *directory = sdb_directory_by_name(connection, schema, table);
    if (*directory && !ours) {
      sdb_directory_lose_name(*directory); /* kept by a statement; another table has the name now */
      *directory = NULL;
    }
    if (!*directory && ours) *directory = retry(connection, schema, table, f);
    if (*directory || f->code != SQLITE_OK) return f->code;
    if (round == 0 && sdb_schema_refresh(connection, schema, f) != SQLITE_OK) return f->code;
  }
  return sdb_failure_set(f, SQLITE_ERROR, "%s is not a seqdb table", table);
}

/* ---- what T meant before ----------------------------------------------------------------------------------- */

static sdb_found *find_remembered(sdb_connection *connection, const char *text) {
  for (size_t i = 0; i < SDB_FOUND_COUNT; i++) {
    sdb_found *found = &connection->found[i];
    if (found->text && strcmp(found->text, text) == 0) return found;
  }
  return NULL;
}

/* NULL: not remembered, or it need not be true any more. */
static sdb_directory *recall(sdb_connection *connection, const char *text) {
  if (!connection->sentinel) return NULL;
  if (sdb_can_expire() && sdb_has_expired(connection->sentinel)) {
    sdb_connection_forget_found(connection);
    return NULL;
  }
  const sdb_found *found = find_remembered(connection, text);
  sdb_directory *directory = found ? sdb_directory_by_identity(connection, found->identity) : NULL;
  if (sdb_can_expire() || !directory) return directory;
  if (!found->qualified && sdb_schema_has_table(connection, "temp", directory->name)) return NULL;
  return sdb_schema_has_table(connection, directory->schema, directory->name) ? directory : NULL;
}

/* Failing to remember is no error. */
static void remember(sdb_connection *connection, const char *text, bool qualified, const sdb_directory *directory) {
  if (!qualified && sqlite3_stricmp(directory->schema, "main") != 0) return;
  if (!connection->sentinel &&
      sqlite3_prepare_v2(connection->db, "SELECT 1", -1, &connection->sentinel, NULL) != SQLITE_OK) {
    return;
  }
  char *copy = sqlite3_mprintf("%s", text);
  if (!copy) return;
  sdb_found *found = find_remembered(connection, text);
  if (!found) {
    found = &connection->found[connection->found_next];
    connection->found_next = (connection->found_next + 1) % SDB_FOUND_COUNT;
  }
  sqlite3_free(found->text);
  *found = (sdb_found){copy, directory->identity, qualified};
}

/* ---- T to directory ---------------------------------------------------------------------------------------- */

/* Splits T, finds the schema if T names none, and looks the table up. */
static int find(sdb_connection *connection, const char *text, bool *qualified, sdb_directory **directory,
                sdb_failure *f) {
  size_t bytes = strlen(text) + 1;
  char *given = sqlite3_malloc64(bytes), *table = sqlite3_malloc64(bytes), *schema = NULL;
  if (!given || !table) {
    sdb_failure_nomem(f);
  } else if (!split_name(text, given, table)) {
    sdb_failure_set(f, SQLITE_ERROR, "malformed table name: %s", text);
  } else if ((schema = sdb_schema_of_table(connection, given, table, f)) != NULL) {
    *qualified = given[0] != '\0';
    look_up(connection, schema, table, directory, f);
  } else if (f->code == SQLITE_OK) {
    sdb_failure_set(f, SQLITE_ERROR, "no such seqdb table: %s", text);
  }
  sqlite3_free(given);
  sqlite3_free(table);
  sqlite3_free(schema);
  return f->code;
}

int sdb_find_table_named(sdb_connection *connection, const char *text, sdb_directory **directory, sdb_failure *f) {
  bool qualified = false;
  *directory = recall(connection, text);
  bool known = *directory != NULL;
  if (!known && find(connection, text, &qualified, directory, f) != SQLITE_OK) return f->code;
  sdb_directory_hold(*directory);
  if (!known) remember(connection, text, qualified, *directory);
  if (connection->rescues || (*directory)->transaction.admitted) return SQLITE_OK;
  if (sdb_owner_may_read(*directory, f) == SQLITE_OK && sdb_agree_read(*directory, f) == SQLITE_OK) return SQLITE_OK;
  sdb_directory_release(*directory);
  *directory = NULL;
  return f->code;
}

int sdb_find_table(sdb_connection *connection, sqlite3_value *value, sdb_directory **directory, sdb_failure *f) {
  const char *text = sqlite3_value_type(value) == SQLITE_TEXT ? (const char *)sqlite3_value_text(value) : NULL;
  if (text) return sdb_find_table_named(connection, text, directory, f);
  return sdb_failure_set(f, SQLITE_ERROR, "the name of a seqdb table must be TEXT: 'table' or 'schema.table'");
}
