/* SPDX-License-Identifier: MIT
**
** functions_rescue.c: the functions for a directory that cannot be written as it is.
**
**   SELECT seqdb_salvage('my_database', 'rescued');   -- a new database from what can be read; JSON: saved, lost, why
**   SELECT seqdb_adopt('regions');                    -- take over what rawdb wrote or changed; says what it did
**
** Both are for a person at a prompt: they are DIRECTONLY, so no view or trigger can call them.  Paths of directories
** are those of CREATE VIRTUAL TABLE.
**
** Adopting needs the directory opened anew.  So all objects of the table let go of it first, and find it again when a
** statement uses them next: a failure in between leaves tables that say why they cannot be used, as after connecting.
*/
#include "attach.h"
#include "find_table.h"
#include "functions_rescue.h"
#include "interrupt.h"
#include "json.h"
#include "path.h"
#include "upkeep.h"

/* ---- salvage ----------------------------------------------------------------------------------------------- */

/* A salvage under way. */
typedef struct sdb_salvage {
  sdb_connection *connection;
  sqlite3_str *why; /* members of a JSON array */
} sdb_salvage;

static int add_line(void *context, const char *line) {
  sdb_salvage *salvage = context;
  if (!line) return sdb_connection_interrupted(salvage->connection);
  if (sqlite3_str_length(salvage->why) > 0) sqlite3_str_appendchar(salvage->why, 1, ',');
  sdb_json_add_string(salvage->why, line);
  return 0;
}

static int take_path(sdb_connection *connection, const char *what, sqlite3_value *value, char **path, sdb_failure *f) {
  if (sqlite3_value_type(value) != SQLITE_TEXT || sqlite3_value_bytes(value) == 0)
    return sdb_failure_set(f, SQLITE_ERROR, "seqdb_salvage: %s must be TEXT, the path of a directory", what);
  const char *given = (const char *)sqlite3_value_text(value);
  if (!given) return sdb_failure_nomem(f);
  return sdb_path_absolute(connection->db, "main", "seqdb_salvage", given, path, f);
}

/* From sqlite3_malloc; NULL: *f is set. */
static char *salvage(sdb_connection *connection, const char *from, const char *to, sdb_failure *f) {
  sdb_salvage work = {connection, sqlite3_str_new(connection->db)};
  seqdb_salvage_info info = SEQDB_SALVAGE_INIT;
  seqdb_error error = SEQDB_ERROR_INIT;
  int rc = seqdb_salvage(from, to, add_line, &work, &info, &error);
  int why_rc = sqlite3_str_errcode(work.why);
  char *why = sqlite3_str_finish(work.why), *json = NULL;
  if (rc != SEQDB_OK) {
    sdb_failure_record(f, &error);
  } else if (why_rc == SQLITE_OK) {
    json = sqlite3_mprintf("{\"saved\":%llu,\"partly\":%llu,\"lost\":%llu,\"bytes\":%llu,\"why\":[%s]}",
                           (unsigned long long)info.saved, (unsigned long long)info.partly,
                           (unsigned long long)info.lost, (unsigned long long)info.bytes, why ? why : "");
  }
  sqlite3_free(why);
  if (!json && f->code == SQLITE_OK) sdb_failure_nomem(f);
  return json;
}

static void salvage_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  sdb_connection *connection = sqlite3_user_data(context);
  char *from = NULL, *to = NULL, *json = NULL;
  sdb_failure f = {0};
  (void)argc;
  if (take_path(connection, "the damaged database", argv[0], &from, &f) == SQLITE_OK &&
      take_path(connection, "the new database", argv[1], &to, &f) == SQLITE_OK) {
    json = salvage(connection, from, to, &f);
  }
  sqlite3_free(from);
  sqlite3_free(to);
  sdb_connection_rest(connection); /* it may be all that this connection ever does with seqdb */
  if (!json) {
    sdb_failure_to_result(&f, context);
    return;
  }
  sqlite3_result_text(context, json, -1, sqlite3_free);
  sqlite3_result_subtype(context, SDB_SUBTYPE_JSON);
}

/* ---- adopt ------------------------------------------------------------------------------------------------- */

/* An object of the directory: its CREATE says how to open it.  NULL: there is none, but for a moment. */
static const sdb_table *table_of(const sdb_directory *directory) {
  const sdb_table *table = directory->connection->tables;
  while (table && table->directory != directory)
    table = table->next;
  return table;
}

static int check_adopt(sdb_directory *directory, sdb_failure *f) {
  const sdb_connection *connection = directory->connection;
  const sdb_table *table = table_of(directory);
  if (!sqlite3_get_autocommit(connection->db) || directory->transaction.state != SDB_TRANSACTION_NONE)
    return sdb_failure_set(f, SQLITE_ERROR, "%s: cannot adopt inside a transaction", directory->name);
  if (connection->cursors > 0 || !table)
    return sdb_failure_set(f, SQLITE_LOCKED, "%s: cannot adopt while a seqdb table is being read", directory->name);
  if (table->config.readonly)
    return sdb_failure_set(f, SQLITE_READONLY, "%s: cannot adopt: the table is readonly=1", directory->name);
  return sdb_upkeep_refuse_readonly(directory, "adopt", f);
}

/* All objects let go of the directory, and so does the caller: it is closed.  *path and *options are what opens it. */
static int let_go(sdb_directory *directory, char **path, seqdb_options *options, sdb_failure *f) {
  const sdb_table *table = table_of(directory);
  sdb_table *next = directory->connection->tables;
  *path = sqlite3_mprintf("%s", table->config.path);
  *options = (seqdb_options){.size_bytes = sizeof *options,
                             .flags = table->config.flags | SEQDB_OPEN_ADOPT,
                             .min_size_bytes = table->config.min_size_bytes};
  sdb_path_take_access(directory->connection->db, table->schema, options);
  if (!*path) sdb_failure_nomem(f);
  for (; *path && next; next = next->next) {
    if (next->directory == directory) sdb_table_detach(next);
  }
  sdb_directory_release(directory);
  return f->code;
}

/* Opening is all there is to it.  *regions: how many there are. */
static int adopt(sdb_connection *connection, const char *path, const seqdb_options *options, uint64_t *regions,
                 sdb_failure *f) {
  seqdb_error error = SEQDB_ERROR_INIT;
  seqdb *engine = NULL;
  if (sdb_directory_open_engine(connection, path, options, &error, &engine) != SEQDB_OK)
    return sdb_failure_record(f, &error);
  if (seqdb_is_readonly(engine, &error)) {
    sdb_failure_record(f, &error);
  } else {
    sdb_failure_engine(f, engine, seqdb_view_totals(seqdb_own_view(engine), regions, NULL));
  }
  seqdb_close(engine);
  return f->code;
}

static void adopt_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  sdb_connection *connection = sqlite3_user_data(context);
  sdb_directory *directory = NULL;
  seqdb_options options;
  uint64_t regions = 0;
  char *path = NULL, *text = NULL;
  sdb_failure f = {0};
  (void)argc;
  if (sdb_find_table(connection, argv[0], &directory, &f) != SQLITE_OK) goto done;
  if (check_adopt(directory, &f) != SQLITE_OK || !seqdb_is_readonly(directory->engine, NULL)) {
    if (f.code == SQLITE_OK) text = sqlite3_mprintf("there is nothing to adopt");
    sdb_directory_release(directory);
  } else if (let_go(directory, &path, &options, &f) == SQLITE_OK &&
             adopt(connection, path, &options, &regions, &f) == SQLITE_OK) {
    text = sqlite3_mprintf("adopted, with %llu regions", (unsigned long long)regions);
  }
  if (!text && f.code == SQLITE_OK) sdb_failure_nomem(&f);
done:
  sqlite3_free(path);
  sdb_connection_rest(connection);
  if (f.code != SQLITE_OK) {
    sdb_failure_to_result(&f, context);
  } else {
    sqlite3_result_text(context, text, -1, sqlite3_free);
  }
}

int sdb_register_functions_rescue(sdb_connection *connection) {
  static const sdb_function functions[] = {
      {"seqdb_salvage", 2, SQLITE_DIRECTONLY | SDB_RESULT_SUBTYPE, salvage_function},
      {"seqdb_adopt", 1, SQLITE_DIRECTONLY, adopt_function},
  };
  return sdb_connection_add_functions(connection, functions, sizeof functions / sizeof functions[0]);
}
