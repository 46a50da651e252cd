/* SPDX-License-Identifier: MIT
**
** functions_feed.c: the functions of the change feed (OBJECTS.md).
**
**   SELECT seqdb_replicate('regions', 'users');         -- upstream: rows of the table travel, too; how many columns
**   SELECT seqdb_replicate('regions');                  -- upstream, after a change of a schema: of how many tables
**   SELECT seqdb_replicate_stop('regions', 'users');    -- no longer; 1, or 0 if they did not
**   SELECT seqdb_object('regions', 7);                  -- what has changed after generation 7; NULL: nothing
**   SELECT seqdb_object('regions', 0, 1);               -- all there is, part 1; then 2, 3, ... until NULL
**   SELECT seqdb_object_info(?);                        -- JSON: chain, kind, from, to, part, last, bytes
**   SELECT seqdb_apply('regions', ?);                   -- follower: takes it; the generation that is reached
**   SELECT seqdb_replicate_prune('regions', 7);         -- upstream: all followers have 7; how many notes are forgotten
*/
#include "functions_feed.h"
#include <string.h>
#include "attach.h"
#include "feed_apply.h"
#include "feed_log.h"
#include "feed_make.h"
#include "find_table.h"
#include "json.h"
#include "upkeep.h"
#include "value.h"

static void give_number(sqlite3_context *context, uint64_t result, sdb_failure *f) {
  if (f->code == SQLITE_OK)
    sqlite3_result_int64(context, (sqlite3_int64)result);
  else
    sdb_failure_to_result(f, context);
}

/* The directory of argument 0, which the caller releases if that succeeds. */
static int find(sqlite3_context *context, sqlite3_value **argv, sdb_directory **directory, sdb_failure *f) {
  return sdb_find_table(sqlite3_user_data(context), argv[0], directory, f);
}

/* ---- object ------------------------------------------------------------------------------------------------ */

#define OBJECT "seqdb_object"

/* Without an argument that says which, it has to be the only part. */
static int check_whole(const sdb_part_header *header, sdb_directory *directory, sdb_failure *f) {
  if (header->last) return SQLITE_OK;
  sdb_feed_end(directory->connection);
  return sdb_failure_set(f, SQLITE_TOOBIG,
                         OBJECT
                         ": there is more than one object holds: SELECT seqdb_object('%s', %llu, part) for part = "
                         "1, 2, ... until it is NULL",
                         directory->name, (unsigned long long)header->from);
}

static int make(sdb_directory *directory, uint64_t since, uint64_t part, bool whole, sqlite3_context *context,
                sdb_failure *f) {
  sdb_part_header header;
  uint8_t *data = NULL;
  if (part == 0 || part > UINT32_MAX) {
    sdb_feed_end(directory->connection);
    return SQLITE_OK;
  }
  if (sdb_feed_make(directory, since, (uint32_t)part, &data, &header, f) != SQLITE_OK || !data) return f->code;
  if (whole && check_whole(&header, directory, f) != SQLITE_OK)
    sqlite3_free(data);
  else
    sqlite3_result_blob64(context, data, header.bytes, sqlite3_free);
  return f->code;
}

static void object_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  sdb_directory *directory = NULL;
  sdb_failure f = {0};
  uint64_t since = 0, part = 1;
  if (sdb_value_number(OBJECT, ": generation", argv[1], &since, &f) == SQLITE_OK &&
      (argc < 3 || sdb_value_number(OBJECT, ": part", argv[2], &part, &f) == SQLITE_OK) &&
      find(context, argv, &directory, &f) == SQLITE_OK) {
    make(directory, since, part, argc < 3, context, &f);
    sdb_directory_release(directory);
  }
  if (f.code != SQLITE_OK) sdb_failure_to_result(&f, context);
}

static char *describe(const sdb_part_header *header) {
  sqlite3_str *json = sqlite3_str_new(NULL);
  sqlite3_str_appendall(json, "{\"chain\":\"");
  for (size_t i = 0; i < sizeof header->chain; i++)
    sqlite3_str_appendf(json, "%02x", header->chain[i]);
  sqlite3_str_appendf(json, "\",\"kind\":\"%s\",\"from\":%llu,\"to\":%llu,\"part\":%u,\"last\":%d,\"bytes\":%llu}",
                      header->kind == SDB_OBJECT_BASE ? "base" : "change", (unsigned long long)header->from,
                      (unsigned long long)header->to, header->part, header->last, (unsigned long long)header->bytes);
  return sqlite3_str_finish(json);
}

static void info_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  sdb_part_header header;
  sdb_failure f = {0};
  const void *data;
  size_t bytes;
  char *json = NULL;
  (void)argc;
  if (sdb_value_data("seqdb_object_info", ": object", argv[0], &data, &bytes, &f) == SQLITE_OK &&
      sdb_part_open(data, bytes, &header, &f) == SQLITE_OK && !(json = describe(&header)))
    sdb_failure_nomem(&f);
  if (f.code != SQLITE_OK) {
    sdb_failure_to_result(&f, context);
    return;
  }
  sqlite3_result_text(context, json, -1, sqlite3_free);
  sqlite3_result_subtype(context, SDB_SUBTYPE_JSON);
}

/* ---- apply ------------------------------------------------------------------------------------------------- */

static int take_how(sqlite3_value *value, bool *replaces, sdb_failure *f) {
  const char *how = sqlite3_value_type(value) == SQLITE_TEXT ? (const char *)sqlite3_value_text(value) : NULL;
  *replaces = how && strcmp(how, "replace") == 0;
  if (*replaces) return SQLITE_OK;
  return sdb_failure_set(f, SQLITE_ERROR, "seqdb_apply: the third argument can be 'replace' only");
}

static void apply_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  sdb_directory *directory = NULL;
  sdb_failure f = {0};
  bool replaces = false;
  uint64_t reached = 0;
  const void *data;
  size_t bytes;
  if (sdb_value_data("seqdb_apply", ": object", argv[1], &data, &bytes, &f) == SQLITE_OK &&
      (argc < 3 || take_how(argv[2], &replaces, &f) == SQLITE_OK) && find(context, argv, &directory, &f) == SQLITE_OK) {
    if (sdb_upkeep_refuse_readonly(directory, "apply", &f) == SQLITE_OK)
      sdb_feed_apply(directory, data, bytes, replaces, &reached, &f);
    sdb_directory_release(directory);
  }
  give_number(context, reached, &f);
}

/* ---- rows -------------------------------------------------------------------------------------------------- */

static int take_table(const char *function, sqlite3_value *value, const char **table, sdb_failure *f) {
  *table = sqlite3_value_type(value) == SQLITE_TEXT ? (const char *)sqlite3_value_text(value) : NULL;
  if (*table) return SQLITE_OK;
  return sdb_failure_set(f, SQLITE_ERROR, "%s: the name of an ordinary table must be TEXT", function);
}

static void replicate_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  sdb_directory *directory = NULL;
  sdb_failure f = {0};
  const char *table;
  int columns = 0;
  (void)argc;
  if (take_table("seqdb_replicate", argv[1], &table, &f) == SQLITE_OK &&
      find(context, argv, &directory, &f) == SQLITE_OK) {
    if (sdb_upkeep_refuse_readonly(directory, "replicate", &f) == SQLITE_OK)
      sdb_feed_log_add(directory, table, &columns, &f);
    sdb_directory_release(directory);
  }
  give_number(context, (uint64_t)columns, &f);
}

static void renew_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  sdb_directory *directory = NULL;
  sdb_failure f = {0};
  int tables = 0;
  (void)argc;
  if (find(context, argv, &directory, &f) == SQLITE_OK) {
    if (sdb_upkeep_refuse_readonly(directory, "replicate", &f) == SQLITE_OK) sdb_feed_log_renew(directory, &tables, &f);
    sdb_directory_release(directory);
  }
  give_number(context, (uint64_t)tables, &f);
}

static void stop_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  sdb_directory *directory = NULL;
  sdb_failure f = {0};
  const char *table;
  bool removed = false;
  (void)argc;
  if (take_table("seqdb_replicate_stop", argv[1], &table, &f) == SQLITE_OK &&
      find(context, argv, &directory, &f) == SQLITE_OK) {
    if (sdb_upkeep_refuse_readonly(directory, "stop replicating", &f) == SQLITE_OK)
      sdb_feed_log_remove(directory, table, &removed, &f);
    sdb_directory_release(directory);
  }
  give_number(context, removed, &f);
}

static void prune_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  sdb_directory *directory = NULL;
  sdb_failure f = {0};
  uint64_t generation = 0, notes = 0;
  (void)argc;
  if (sdb_value_number("seqdb_replicate_prune", ": generation", argv[1], &generation, &f) == SQLITE_OK &&
      find(context, argv, &directory, &f) == SQLITE_OK) {
    if (sdb_upkeep_refuse_readonly(directory, "prune", &f) == SQLITE_OK)
      sdb_feed_log_prune(directory, generation, &notes, &f);
    sdb_directory_release(directory);
  }
  give_number(context, notes, &f);
}

int sdb_register_functions_feed(sdb_connection *connection) {
  static const sdb_function functions[] = {
      {"seqdb_object", 2, SQLITE_DIRECTONLY, object_function},
      {"seqdb_object", 3, SQLITE_DIRECTONLY, object_function},
      {"seqdb_object_info", 1, SQLITE_DIRECTONLY | SDB_RESULT_SUBTYPE, info_function},
      {"seqdb_apply", 2, SQLITE_DIRECTONLY, apply_function},
      {"seqdb_apply", 3, SQLITE_DIRECTONLY, apply_function},
      {"seqdb_replicate", 1, SQLITE_DIRECTONLY, renew_function},
      {"seqdb_replicate", 2, SQLITE_DIRECTONLY, replicate_function},
      {"seqdb_replicate_stop", 2, SQLITE_DIRECTONLY, stop_function},
      {"seqdb_replicate_prune", 2, SQLITE_DIRECTONLY, prune_function},
  };
  return sdb_connection_add_functions(connection, functions, sizeof functions / sizeof functions[0]);
}
