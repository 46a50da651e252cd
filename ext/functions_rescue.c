/* SPDX-License-Identifier: MIT
**
** functions_rescue.c: the functions for a directory that cannot be written as it is.
**
**   SELECT seqdb_salvage('my_database', 'rescued');   -- a new database from what can be read; JSON: saved, lost, why
**   SELECT seqdb_adopt('regions');                    -- take over what rawdb wrote or changed; says what it did
**   SELECT seqdb_resolve('regions', 'keep');          -- decide about a commit that was left undecided, or 'drop' it
**   SELECT seqdb_takeover('regions');                 -- the directory belongs to this copy of the SQLite file now
**
** They are for a person at a prompt: they are DIRECTONLY, so no view or trigger can call them.  Paths of directories
** are those of CREATE VIRTUAL TABLE.
**
** Adopting and resolving need the directory opened anew.  So all objects of the table let go of it first, and find it
** again when a statement uses them next: a failure in between leaves tables that say why they cannot be used, as after
** connecting.
*/
#include <string.h>
#include "attach.h"
#include "find_table.h"
#include "functions_rescue.h"
#include "interrupt.h"
#include "json.h"
#include "owner.h"
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

/* ---- adopt, resolve ---------------------------------------------------------------------------------------- */

/* An object of the directory: its CREATE says how to open it.  NULL: there is none, but for a moment. */
static const sdb_table *table_of(const sdb_directory *directory) {
  const sdb_table *table = directory->connection->tables;
  while (table && table->directory != directory)
    table = table->next;
  return table;
}

static int check_reopen(sdb_directory *directory, const char *verb, sdb_failure *f) {
  const sdb_connection *connection = directory->connection;
  const sdb_table *table = table_of(directory);
  if (!sqlite3_get_autocommit(connection->db) || directory->transaction.state != SDB_TRANSACTION_NONE)
    return sdb_failure_set(f, SQLITE_ERROR, "%s: cannot %s inside a transaction", directory->name, verb);
  if (connection->cursors > 0 || !table)
    return sdb_failure_set(f, SQLITE_LOCKED, "%s: cannot %s while a seqdb table is being read", directory->name, verb);
  if (directory->blobs > 0)
    return sdb_failure_set(f, SQLITE_LOCKED, "%s: cannot %s while blob handles are open", directory->name, verb);
  if (table->config.readonly)
    return sdb_failure_set(f, SQLITE_READONLY, "%s: cannot %s: the table is readonly=1", directory->name, verb);
  return sdb_upkeep_refuse_readonly(directory, verb, f);
}

/* All objects let go of the directory, and so does the caller: it is closed.  *path and *options are what opens it. */
static int let_go(sdb_directory *directory, unsigned flags, char **path, seqdb_options *options, sdb_failure *f) {
  const sdb_table *table = table_of(directory);
  sdb_table *next = directory->connection->tables;
  *path = sqlite3_mprintf("%s", table->config.path);
  *options = (seqdb_options){.size_bytes = sizeof *options,
                             .flags = (table->config.flags & ~SEQDB_OPEN_ADOPT) | flags,
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
static int reopen(sdb_connection *connection, const char *schema, const char *path, const seqdb_options *options,
                  uint64_t *regions, sdb_failure *f) {
  seqdb_error error = SEQDB_ERROR_INIT;
  seqdb *engine = NULL;
  if (sdb_directory_open_engine(connection, schema, path, options, &error, &engine) != SEQDB_OK)
    return sdb_failure_record(f, &error);
  if (seqdb_is_readonly(engine, &error)) {
    sdb_failure_record(f, &error);
  } else {
    sdb_failure_engine(f, engine, seqdb_view_totals(seqdb_own_view(engine), regions, NULL));
  }
  seqdb_close(engine);
  return f->code;
}

/* Also one that nobody may read until it is decided. */
static int find(sdb_connection *connection, sqlite3_value *t, sdb_directory **directory, sdb_failure *f) {
  connection->rescues = true;
  int rc = sdb_find_table(connection, t, directory, f);
  connection->rescues = false;
  return rc;
}

/* What opening anew is for. */
struct decision {
  const char *verb;
  unsigned flags; /* SEQDB_OPEN_* that carry it out */
  bool (*needed)(seqdb *engine);
  bool done; /* it was needed */
  uint64_t regions;
};

static int decide(sdb_connection *connection, sqlite3_value *t, struct decision *decision, sdb_failure *f) {
  sdb_directory *directory = NULL;
  seqdb_options options;
  char *path = NULL, *schema = NULL;
  if (find(connection, t, &directory, f) != SQLITE_OK) return f->code;
  schema = sqlite3_mprintf("%s", directory->schema);
  if (!schema) sdb_failure_nomem(f);
  if (f->code == SQLITE_OK && check_reopen(directory, decision->verb, f) == SQLITE_OK &&
      sdb_owner_may_upkeep(directory, f) == SQLITE_OK)
    decision->done = decision->needed(directory->engine);
  if (!decision->done)
    sdb_directory_release(directory);
  else if (let_go(directory, decision->flags, &path, &options, f) == SQLITE_OK)
    reopen(connection, schema, path, &options, &decision->regions, f);
  sqlite3_free(path);
  sqlite3_free(schema);
  sdb_connection_rest(connection);
  return f->code;
}

static void give_text(sqlite3_context *context, char *text, sdb_failure *f) {
  if (f->code == SQLITE_OK && !text) sdb_failure_nomem(f);
  if (f->code == SQLITE_OK)
    sqlite3_result_text(context, text, -1, sqlite3_free);
  else
    sdb_failure_to_result(f, context);
}

static bool can_only_be_read(seqdb *engine) {
  return seqdb_is_readonly(engine, NULL);
}

static void adopt_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  struct decision adopt = {"adopt", SEQDB_OPEN_ADOPT | SEQDB_OPEN_RESOLVE_LATER, can_only_be_read, false, 0};
  char *text = NULL;
  sdb_failure f = {0};
  (void)argc;
  if (decide(sqlite3_user_data(context), argv[0], &adopt, &f) == SQLITE_OK)
    text = adopt.done ? sqlite3_mprintf("adopted, with %llu regions", (unsigned long long)adopt.regions)
                      : sqlite3_mprintf("there is nothing to adopt");
  give_text(context, text, &f);
}

static bool is_undecided(seqdb *engine) {
  return seqdb_is_undecided(engine) > 0;
}

static void resolve_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  const char *how = sqlite3_value_type(argv[1]) == SQLITE_TEXT ? (const char *)sqlite3_value_text(argv[1]) : NULL;
  bool keep = how && strcmp(how, "keep") == 0, drop = how && strcmp(how, "drop") == 0;
  struct decision resolve = {"resolve", keep ? SEQDB_OPEN_RESOLVE_KEEP : SEQDB_OPEN_RESOLVE_DROP, is_undecided, false,
                             0};
  char *text = NULL;
  sdb_failure f = {0};
  (void)argc;
  if (!keep && !drop)
    sdb_failure_set(&f, SQLITE_ERROR, "seqdb_resolve: the second argument must be 'keep' or 'drop'");
  else if (decide(sqlite3_user_data(context), argv[0], &resolve, &f) == SQLITE_OK)
    text = resolve.done ? sqlite3_mprintf("%s, with %llu regions", keep ? "kept" : "dropped",
                                          (unsigned long long)resolve.regions)
                        : sqlite3_mprintf("there is nothing to resolve");
  give_text(context, text, &f);
}

/* ---- takeover ---------------------------------------------------------------------------------------------- */

/* Its commit would have the row with it, and so much later than the directory's header (owner.c). */
static int refuse_writing(sdb_directory *directory, sdb_failure *f) {
  if (sqlite3_txn_state(directory->connection->db, NULL) != SQLITE_TXN_WRITE) return SQLITE_OK;
  return sdb_failure_set(f, SQLITE_ERROR, "%s: cannot take over in a statement that writes: use a SELECT of its own",
                         directory->name);
}

static void takeover_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  sdb_connection *connection = sqlite3_user_data(context);
  sdb_directory *directory = NULL;
  char *from = NULL, *text = NULL;
  sdb_failure f = {0};
  (void)argc;
  if (find(connection, argv[0], &directory, &f) == SQLITE_OK) {
    if (check_reopen(directory, "take over", &f) == SQLITE_OK && refuse_writing(directory, &f) == SQLITE_OK)
      sdb_owner_take_over(directory, &from, &f);
    if (f.code == SQLITE_OK)
      text = from ? sqlite3_mprintf("taken over from %s", from) : sqlite3_mprintf("there is nothing to take over");
    sdb_directory_release(directory);
  }
  sqlite3_free(from);
  give_text(context, text, &f);
}

int sdb_register_functions_rescue(sdb_connection *connection) {
  static const sdb_function functions[] = {
      {"seqdb_salvage", 2, SQLITE_DIRECTONLY | SDB_RESULT_SUBTYPE, salvage_function},
      {"seqdb_adopt", 1, SQLITE_DIRECTONLY, adopt_function},
      {"seqdb_resolve", 2, SQLITE_DIRECTONLY, resolve_function},
      {"seqdb_takeover", 1, SQLITE_DIRECTONLY, takeover_function},
  };
  return sdb_connection_add_functions(connection, functions, sizeof functions / sizeof functions[0]);
}
