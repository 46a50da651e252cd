/* SPDX-License-Identifier: MIT
**
** table.c: the memory of sqlite3_vtab objects, and the list of them.
*/
#include "path.h"
#include "table.h"

/* CREATE would fail by itself.  RENAME would succeed, and leave a table that can be neither opened, dropped nor
** renamed. */
int sdb_table_check_name(const char *name, sdb_failure *f) {
  static const char *const columns[] = {"name",    "offset",  "length", "content", "reserved", "append",
                                        "created", "changed", "rowid",  "oid",     "_rowid_"};
  for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
    if (sqlite3_stricmp(name, columns[i]) != 0) continue;
    return sdb_failure_set(f, SQLITE_ERROR, "a seqdb table cannot be named '%s': that is one of its columns", name);
  }
  return SQLITE_OK;
}

/* Replaces the path as it was given by the absolute one. */
static int make_path_absolute(sdb_table *table, sdb_failure *f) {
  char *absolute = NULL;
  sqlite3 *db = table->connection->db;
  if (sdb_path_absolute(db, table->schema, table->name, table->config.path, &absolute, f) != SQLITE_OK) return f->code;
  sqlite3_free(table->config.path);
  table->config.path = absolute;
  return SQLITE_OK;
}

/* A table in temp has no file: none whose folder a path could start from, none that would tell after a crash whether it
** was committed. */
static int check_temp(sdb_table *table, sdb_failure *f) {
  sdb_config *config = &table->config;
  if (sqlite3_stricmp(table->schema, "temp") != 0) return SQLITE_OK;
  if (!config->path || config->path[0] != '/')
    return sdb_failure_set(f, SQLITE_ERROR, "seqdb table temp.%s: a table in temp needs an absolute path", table->name);
  if (config->atomic && config->atomic_given)
    return sdb_failure_set(f, SQLITE_ERROR, "seqdb table temp.%s: a table in temp is always atomic=0", table->name);
  config->atomic = false;
  return SQLITE_OK;
}

static int take_arguments(sdb_table *table, int argc, const char *const *argv, sdb_failure *f) {
  if (sdb_config_parse(&table->config, argc, argv, f) == SQLITE_OK && check_temp(table, f) == SQLITE_OK)
    make_path_absolute(table, f);
  return f->code;
}

int sdb_table_new(sdb_connection *connection, int argc, const char *const *argv, bool creating, sdb_table **out,
                  sdb_failure *f) {
  if (sdb_table_check_name(argv[2], f) != SQLITE_OK) return f->code;
  sdb_table *table = sqlite3_malloc64(sizeof *table);
  if (!table) return sdb_failure_nomem(f);
  *table = (sdb_table){.connection = connection};
  table->schema = sqlite3_mprintf("%s", argv[1]);
  table->name = sqlite3_mprintf("%s", argv[2]);
  if (!table->schema || !table->name) {
    sdb_failure_nomem(f);
  } else if (take_arguments(table, argc - 3, argv + 3, f) != SQLITE_OK && !creating && f->message) {
    table->unusable = f->message;
    *f = (sdb_failure){0};
  }
  if (f->code == SQLITE_OK) {
    *out = table;
  } else {
    sdb_table_free(table);
  }
  return f->code;
}

void sdb_table_free(sdb_table *table) {
  sdb_config_clear(&table->config);
  sqlite3_free(table->schema);
  sqlite3_free(table->name);
  sqlite3_free(table->unusable);
  sqlite3_free(table);
}

void sdb_table_link(sdb_table *table) {
  table->next = table->connection->tables;
  table->connection->tables = table;
}

void sdb_table_unlink(sdb_table *table) {
  sdb_table **link = &table->connection->tables;
  while (*link != table)
    link = &(*link)->next;
  *link = table->next;
}
