/* SPDX-License-Identifier: MIT
**
** functions.c: the functions that read and look after a table.
**
**   SELECT seqdb_read('regions', 'log', 100, 20);   -- 20 bytes from 100 on; NULL: no such region
**   SELECT seqdb_flush('regions');                  -- generation; an error while the transaction has changes
**   SELECT seqdb_compact('regions');                -- bytes given back; an error in BEGIN
**   SELECT seqdb_check('regions');                  -- 'ok' or the problems
**   SELECT seqdb_wait('regions', 7, 1000);          -- sleeps until there is a generation past 7, for a second at most
**   SELECT seqdb_stat('regions') ->> 'hole_bytes';
**
** They reach only tables that the schema has.  seqdb_read() reads what the connection sees: its own changes, and
** otherwise the newest commit.
**
** All functions that take a table are DIRECTONLY, here and in the other files: SQLite asks a table for its own flag
** (ddl.c) only where a view or a trigger names it, and not for the statement that a function runs.  Views and triggers
** reach regions as rows.
*/
#include "agree.h"
#include "find_table.h"
#include "attach.h"
#include "functions.h"
#include "json.h"
#include "pin.h"
#include "upkeep.h"
#include "value.h"

/* ---- read -------------------------------------------------------------------------------------------------- */

/* What seqdb_read() was asked for. */
typedef struct sdb_wanted {
  const char *name;
  size_t name_bytes;
  uint64_t offset, count;
} sdb_wanted;

/* Cuts the count to what the region has, and fails if SQLite takes no value of that size. */
static int cut_count(sdb_directory *directory, sdb_wanted *wanted, sdb_failure *f) {
  seqdb_view *view = seqdb_own_view(directory->engine);
  seqdb_region_info info;
  seqdb_region region;
  int rc = seqdb_find(view, wanted->name, wanted->name_bytes, &region);
  if (rc == SEQDB_OK) rc = seqdb_get_info(view, region, &info);
  if (rc != SEQDB_OK) return rc;
  uint64_t left = wanted->offset < info.length_bytes ? info.length_bytes - wanted->offset : 0;
  if (wanted->count > left) wanted->count = left;
  sqlite3 *db = directory->connection->db;
  if (wanted->count > (uint64_t)sqlite3_limit(db, SQLITE_LIMIT_LENGTH, -1)) {
    sdb_failure_toobig(f, db, wanted->name, wanted->name_bytes, wanted->count);
  }
  return rc;
}

#define READ_SMALL_BYTES 16384u /* the buffer may be larger than what there is to read */

/* The result is what the region has of the bytes wanted.  SEQDB_NOTFOUND and no result if there is no region. */
static int read_region(sqlite3_context *context, sdb_directory *directory, sdb_wanted *wanted, sdb_failure *f) {
  size_t got = 0;
  if (wanted->count == 0 || wanted->count > READ_SMALL_BYTES) {
    int rc = cut_count(directory, wanted, f);
    if (rc != SEQDB_OK || f->code != SQLITE_OK) return rc;
    if (wanted->count == 0) {
      sqlite3_result_zeroblob(context, 0);
      return SEQDB_OK;
    }
  }
  void *buffer = sqlite3_malloc64(wanted->count);
  if (!buffer) {
    sdb_failure_nomem(f);
    return SEQDB_OK;
  }
  int rc = seqdb_read_named(seqdb_own_view(directory->engine), wanted->name, wanted->name_bytes, wanted->offset, buffer,
                            (size_t)wanted->count, &got);
  if (rc == SEQDB_OK && got > 0) {
    sqlite3_result_blob64(context, buffer, got, sqlite3_free);
    return SEQDB_OK;
  }
  sqlite3_free(buffer);
  if (rc == SEQDB_OK) sqlite3_result_zeroblob(context, 0);
  return rc;
}

#define READ "seqdb_read" /* for messages */

static void read_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  sdb_wanted wanted = {.count = UINT64_MAX};
  sdb_directory *directory = NULL;
  sdb_failure f = {0};
  if (sdb_value_name(READ, ": name", argv[1], &wanted.name, &wanted.name_bytes, &f) != SQLITE_OK) goto done;
  if (argc > 2 && sdb_value_number(READ, ": offset", argv[2], &wanted.offset, &f) != SQLITE_OK) goto done;
  if (argc > 3 && sdb_value_number(READ, ": count", argv[3], &wanted.count, &f) != SQLITE_OK) goto done;
  if (sdb_find_table(sqlite3_user_data(context), argv[0], &directory, &f) != SQLITE_OK) goto done;
  int rc = read_region(context, directory, &wanted, &f);
  if (rc != SEQDB_NOTFOUND && rc != SEQDB_INVALID) sdb_failure_engine(&f, directory->engine, rc);
  sdb_directory_release(directory);
done:
  if (f.code != SQLITE_OK) sdb_failure_to_result(&f, context);
}

/* ---- upkeep ------------------------------------------------------------------------------------------------ */

typedef int sdb_upkeep(sdb_directory *directory, uint64_t *number, sdb_failure *f);

/* The result is a number. */
static void upkeep(sqlite3_context *context, sqlite3_value *table, sdb_upkeep *work) {
  sdb_directory *directory = NULL;
  sdb_failure f = {0};
  uint64_t number = 0;
  if (sdb_find_table(sqlite3_user_data(context), table, &directory, &f) == SQLITE_OK) {
    work(directory, &number, &f);
    sdb_directory_release(directory);
  }
  if (f.code == SQLITE_OK) {
    sqlite3_result_int64(context, (sqlite3_int64)number);
  } else {
    sdb_failure_to_result(&f, context);
  }
}

static void flush_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  (void)argc;
  upkeep(context, argv[0], sdb_upkeep_flush);
}

static void compact_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  (void)argc;
  upkeep(context, argv[0], sdb_upkeep_compact);
}

#define WAIT "seqdb_wait" /* for messages */

static void wait_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  sdb_directory *directory = NULL;
  sdb_failure f = {0};
  uint64_t after = 0, timeout_ms = 0, newest = 0;
  (void)argc;
  if (sdb_value_number(WAIT, ": generation", argv[1], &after, &f) == SQLITE_OK &&
      sdb_value_number(WAIT, ": timeout", argv[2], &timeout_ms, &f) == SQLITE_OK &&
      sdb_find_table(sqlite3_user_data(context), argv[0], &directory, &f) == SQLITE_OK) {
    sdb_upkeep_wait(directory, after, timeout_ms, &newest, &f);
    sdb_directory_release(directory);
  }
  if (f.code == SQLITE_OK) {
    sqlite3_result_int64(context, (sqlite3_int64)newest);
  } else {
    sdb_failure_to_result(&f, context);
  }
}

/* One that nobody may read because it is of another time than the SQLite file is checked, too. */
static void check_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  sdb_connection *connection = sqlite3_user_data(context);
  sdb_directory *directory = NULL;
  sdb_failure f = {0};
  char *text = NULL;
  (void)argc;
  connection->rescues = true;
  sdb_find_table(connection, argv[0], &directory, &f);
  connection->rescues = false;
  if (f.code == SQLITE_OK) {
    if (sdb_agree_read(directory, &f) == SQLITE_OK) sdb_upkeep_check(directory, false, &text, &f);
    sdb_directory_release(directory);
  }
  if (f.code != SQLITE_OK) {
    sdb_failure_to_result(&f, context);
  } else if (text) {
    sqlite3_result_text(context, text, -1, sqlite3_free);
  } else {
    sqlite3_result_text(context, "ok", -1, SQLITE_STATIC);
  }
}

/* ---- stat -------------------------------------------------------------------------------------------------- */

static char *stat_json(const seqdb_stat_info *info, uint64_t pins, uint64_t floor,
                       const uint8_t uuid[SEQDB_UUID_BYTES]) {
  const struct {
    const char *key;
    uint64_t value;
  } members[] = {
      {"generation", info->generation},
      {"regions", info->regions},
      {"content_bytes", info->content_bytes},
      {"reserved_bytes", info->reserved_bytes},
      {"hole_bytes", info->hole_bytes},
      {"pending_bytes", info->pending_bytes},
      {"file_bytes", info->file_bytes},
      {"disk_bytes", info->disk_bytes},
      {"journal_bytes", info->journal_bytes},
      {"snapshots", info->snapshots},
      {"overlay_bytes", info->overlay_bytes},
      {"oldest_snapshot_generation", info->oldest_snapshot_generation},
      {"oldest_snapshot_age_ms", info->oldest_snapshot_age_ms},
      {"oldest_snapshot_held_bytes", info->oldest_snapshot_held_bytes},
      {"entry_disk_bytes", info->entry_disk_bytes},
      {"pins", pins},
      {"changes_floor", floor},
  };
  sqlite3_str *text = sqlite3_str_new(NULL);
  for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
    sqlite3_str_appendf(text, "%s\"%s\":%llu", i ? "," : "{", members[i].key, (unsigned long long)members[i].value);
  }
  sqlite3_str_appendall(text, ",\"uuid\":\"");
  for (size_t i = 0; i < SEQDB_UUID_BYTES; i++)
    sqlite3_str_appendf(text, "%02x", uuid[i]);
  sqlite3_str_appendall(text, "\"}");
  return sqlite3_str_finish(text);
}

/* From sqlite3_malloc; NULL: *f is set. */
static char *stat_of(sdb_directory *directory, sdb_failure *f) {
  seqdb *engine = directory->engine;
  seqdb_stat_info info = SEQDB_STAT_INIT;
  uint8_t uuid[SEQDB_UUID_BYTES];
  uint64_t floor = 0;
  int rc = seqdb_stat(engine, &info);
  if (rc == SEQDB_OK) rc = seqdb_changes_floor(engine, &floor);
  if (sdb_failure_engine(f, engine, rc) != SQLITE_OK) return NULL;
  seqdb_get_uuid(engine, uuid);
  char *text = stat_json(&info, sdb_pins_count(directory->connection->pins, engine), floor, uuid);
  if (!text) sdb_failure_nomem(f);
  return text;
}

static void stat_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  sdb_directory *directory = NULL;
  sdb_failure f = {0};
  char *text = NULL;
  (void)argc;
  if (sdb_find_table(sqlite3_user_data(context), argv[0], &directory, &f) == SQLITE_OK) {
    text = stat_of(directory, &f);
    sdb_directory_release(directory);
  }
  if (f.code != SQLITE_OK) {
    sdb_failure_to_result(&f, context);
    return;
  }
  sqlite3_result_text(context, text, -1, sqlite3_free);
  sqlite3_result_subtype(context, SDB_SUBTYPE_JSON);
}

static void version_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  (void)argc;
  (void)argv;
  sqlite3_result_text(context, seqdb_version(), -1, SQLITE_STATIC);
}

/* ---- registration ------------------------------------------------------------------------------------------ */

int sdb_register_functions(sdb_connection *connection) {
  static const sdb_function functions[] = {
      {"seqdb_read", 2, SQLITE_DIRECTONLY, read_function},
      {"seqdb_read", 3, SQLITE_DIRECTONLY, read_function},
      {"seqdb_read", 4, SQLITE_DIRECTONLY, read_function},
      {"seqdb_flush", 1, SQLITE_DIRECTONLY, flush_function},
      {"seqdb_compact", 1, SQLITE_DIRECTONLY, compact_function},
      {"seqdb_check", 1, SQLITE_DIRECTONLY, check_function},
      {"seqdb_wait", 3, SQLITE_DIRECTONLY, wait_function},
      {"seqdb_stat", 1, SQLITE_DIRECTONLY | SDB_RESULT_SUBTYPE, stat_function},
  };
  return sdb_connection_add_functions(connection, functions, sizeof functions / sizeof functions[0]);
}

int sdb_register_version(sdb_connection *connection) {
  static const sdb_function version = {"seqdb_version", 0, SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS, version_function};
  return sdb_connection_add_functions(connection, &version, 1);
}
