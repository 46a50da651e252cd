/* SPDX-License-Identifier: MIT
**
** functions.c: the functions that read and look after a table, and what they share with the commands of update.c.
**
**   SELECT seqdb_read('regions', 'log', 100, 20);   -- 20 bytes from 100 on; NULL: no such region
**   SELECT seqdb_flush('regions');                  -- generation; an error while the transaction has changes
**   SELECT seqdb_compact('regions');                -- bytes given back; an error in BEGIN
**   SELECT seqdb_check('regions');                  -- 'ok' or the problems
**   SELECT seqdb_stat('regions') ->> 'hole_bytes';
**
** They reach only tables that the schema has, and are neither DIRECTONLY nor INNOCUOUS.  seqdb_read() reads what the
** connection sees: its own changes, and otherwise the newest commit.
*/
#include "ext.h"

/* ---- arguments --------------------------------------------------------------------------------------------- */

/* As UTF-8, not terminated: sqlite3_value_text() would copy what was bound without a 0 byte behind it.  The order matters,
** sqlite3_value_bytes() converts UTF-16. */
static int text_bytes(sqlite3_value *value, const void **text, size_t *bytes, sdb_failure *f) {
  *bytes = (size_t)sqlite3_value_bytes(value);
  *text = sqlite3_value_blob(value);
  if (!*text && *bytes > 0) return sdb_failure_nomem(f);
  if (!*text) *text = "";
  return SQLITE_OK;
}

int sdb_argument_name(const char *function, sqlite3_value *value, const char **name, size_t *bytes, sdb_failure *f) {
  if (sqlite3_value_type(value) != SQLITE_TEXT)
    return sdb_failure_set(f, SQLITE_ERROR, "%s: name must be TEXT", function);
  return text_bytes(value, (const void **)name, bytes, f);
}

/* TEXT is taken as UTF-8, whatever the encoding of the database. */
int sdb_argument_data(const char *function, sqlite3_value *value, const void **data, size_t *bytes, sdb_failure *f) {
  int type = sqlite3_value_type(value);
  if (type != SQLITE_BLOB && type != SQLITE_TEXT) {
    return sdb_failure_set(f, SQLITE_ERROR, "%s: data must be BLOB or TEXT", function);
  }
  return text_bytes(value, data, bytes, f);
}

int sdb_argument_number(const char *function, const char *what, sqlite3_value *value, uint64_t *number,
                        sdb_failure *f) {
  if (sqlite3_value_type(value) != SQLITE_INTEGER) {
    return sdb_failure_set(f, SQLITE_ERROR, "%s: %s must be an INTEGER", function, what);
  }
  sqlite3_int64 signed_number = sqlite3_value_int64(value);
  if (signed_number < 0) {
    return sdb_failure_set(f, SQLITE_ERROR, "%s: %s %lld is negative", function, what, signed_number);
  }
  *number = (uint64_t)signed_number;
  return SQLITE_OK;
}

/* ---- upkeep ------------------------------------------------------------------------------------------------ */

static int refuse_with_changes(sdb_conn *conn, const char *command, sdb_failure *f) {
  if (!seqdb_has_changes(conn->engine)) return SQLITE_OK;
  return sdb_failure_set(f, SQLITE_ERROR, "%s: cannot %s while the transaction has changes", conn->name, command);
}

int sdb_conn_flush(sdb_conn *conn, uint64_t *generation, sdb_failure *f) {
  if (refuse_with_changes(conn, "flush", f) != SQLITE_OK) return f->code;
  int rc = seqdb_flush(conn->engine, generation);
  return rc == SEQDB_OK ? SQLITE_OK : sdb_failure_engine(f, conn->engine, rc);
}

static int checkpoint_call(seqdb *engine, void *context) {
  (void)context;
  return seqdb_checkpoint(engine);
}

int sdb_conn_checkpoint(sdb_conn *conn, sdb_failure *f) {
  if (refuse_with_changes(conn, "checkpoint", f) != SQLITE_OK) return f->code;
  int rc = sdb_conn_patiently(conn, checkpoint_call, NULL);
  return rc == SEQDB_OK ? SQLITE_OK : sdb_failure_engine(f, conn->engine, rc);
}

static int compact_call(seqdb *engine, void *freed_bytes) {
  return seqdb_compact(engine, freed_bytes);
}

int sdb_conn_compact(sdb_conn *conn, uint64_t *freed_bytes, sdb_failure *f) {
  if (!sqlite3_get_autocommit(conn->client->db)) {
    return sdb_failure_set(f, SQLITE_ERROR, "%s: cannot compact inside a transaction", conn->name);
  }
  if (refuse_with_changes(conn, "compact", f) != SQLITE_OK) return f->code;
  int rc = sdb_conn_patiently(conn, compact_call, freed_bytes);
  return rc == SEQDB_OK ? SQLITE_OK : sdb_failure_engine(f, conn->engine, rc);
}

typedef struct sdb_report {
  sqlite3_str *text;
  bool only_first;
} sdb_report;

static int add_problem(void *context, const char *problem) {
  sdb_report *report = context;
  if (sqlite3_str_length(report->text) > 0) sqlite3_str_appendchar(report->text, 1, '\n');
  sqlite3_str_appendall(report->text, problem);
  return report->only_first;
}

int sdb_conn_check(sdb_conn *conn, bool only_first, char **text, sdb_failure *f) {
  sdb_report report = {sqlite3_str_new(conn->client->db), only_first};
  uint64_t problems = 0;
  int rc = seqdb_check(conn->engine, add_problem, &report, &problems);
  int string_rc = sqlite3_str_errcode(report.text);
  *text = sqlite3_str_finish(report.text);
  if (rc == SEQDB_OK && string_rc == SQLITE_OK) return SQLITE_OK;
  sqlite3_free(*text);
  *text = NULL;
  if (rc != SEQDB_OK) return sdb_failure_engine(f, conn->engine, rc);
  return string_rc == SQLITE_NOMEM ? sdb_failure_nomem(f)
                                   : sdb_failure_set(f, string_rc, "%s: check found too much", conn->name);
}

/* ---- functions --------------------------------------------------------------------------------------------- */

/* How many of `count` bytes the region has from `offset` on, as far as SQLite takes a value. */
static int readable(sdb_conn *conn, const char *name, size_t name_bytes, uint64_t offset, uint64_t *count,
                    sdb_failure *f) {
  seqdb_view *view = seqdb_own_view(conn->engine);
  seqdb_region_info info;
  seqdb_region region;
  int rc = seqdb_find(view, name, name_bytes, &region);
  if (rc == SEQDB_OK) rc = seqdb_get_info(view, region, &info);
  if (rc != SEQDB_OK) return rc;
  uint64_t left = offset < info.length_bytes ? info.length_bytes - offset : 0;
  if (*count > left) *count = left;
  if (*count > (uint64_t)sqlite3_limit(conn->client->db, SQLITE_LIMIT_LENGTH, -1)) f->code = SQLITE_TOOBIG;
  return rc;
}

#define READ_SMALL_BYTES 16384u /* the buffer may be larger than what there is to read */

/* Bytes [offset, offset + count) of the region as far as it has them; SEQDB_NOTFOUND and no result if there is none. */
static int read_region(sqlite3_context *context, sdb_conn *conn, const char *name, size_t name_bytes, uint64_t offset,
                       uint64_t count, sdb_failure *f) {
  size_t got = 0;
  if (count == 0 || count > READ_SMALL_BYTES) {
    int rc = readable(conn, name, name_bytes, offset, &count, f);
    if (rc != SEQDB_OK || f->code != SQLITE_OK) return rc;
    if (count == 0) {
      sqlite3_result_zeroblob(context, 0);
      return SEQDB_OK;
    }
  }
  void *buffer = sqlite3_malloc64(count);
  if (!buffer) {
    sdb_failure_nomem(f);
    return SEQDB_OK;
  }
  int rc = seqdb_read_named(seqdb_own_view(conn->engine), name, name_bytes, offset, buffer, (size_t)count, &got);
  if (rc == SEQDB_OK && got > 0) {
    sqlite3_result_blob64(context, buffer, got, sqlite3_free);
    return SEQDB_OK;
  }
  sqlite3_free(buffer);
  if (rc == SEQDB_OK) sqlite3_result_zeroblob(context, 0);
  return rc;
}

static void read_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  sdb_conn *conn = NULL;
  sdb_failure f = {0};
  const char *name = NULL;
  size_t name_bytes = 0;
  uint64_t offset = 0, count = UINT64_MAX;

  if (sdb_argument_name("seqdb_read", argv[1], &name, &name_bytes, &f) != SQLITE_OK) goto done;
  if (argc > 2 && sdb_argument_number("seqdb_read", "offset", argv[2], &offset, &f) != SQLITE_OK) goto done;
  if (argc > 3 && sdb_argument_number("seqdb_read", "count", argv[3], &count, &f) != SQLITE_OK) goto done;
  if (sdb_resolve(sqlite3_user_data(context), argv[0], &conn, &f) != SQLITE_OK) goto done;
  int rc = read_region(context, conn, name, name_bytes, offset, count, &f);
  if (rc != SEQDB_OK && rc != SEQDB_NOTFOUND && rc != SEQDB_INVALID) sdb_failure_engine(&f, conn->engine, rc);
  sdb_conn_detach(conn);
done:
  if (f.code != SQLITE_OK) sdb_failure_to_result(&f, context);
}

static void number_result(sqlite3_context *context, uint64_t number, sdb_failure *f) {
  if (f->code == SQLITE_OK) {
    sqlite3_result_int64(context, (sqlite3_int64)number);
  } else {
    sdb_failure_to_result(f, context);
  }
}

static void flush_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  sdb_conn *conn = NULL;
  sdb_failure f = {0};
  uint64_t generation = 0;
  (void)argc;
  if (sdb_resolve(sqlite3_user_data(context), argv[0], &conn, &f) == SQLITE_OK) {
    sdb_conn_flush(conn, &generation, &f);
    sdb_conn_detach(conn);
  }
  number_result(context, generation, &f);
}

static void compact_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  sdb_conn *conn = NULL;
  sdb_failure f = {0};
  uint64_t freed_bytes = 0;
  (void)argc;
  if (sdb_resolve(sqlite3_user_data(context), argv[0], &conn, &f) == SQLITE_OK) {
    sdb_conn_compact(conn, &freed_bytes, &f);
    sdb_conn_detach(conn);
  }
  number_result(context, freed_bytes, &f);
}

static void check_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  sdb_conn *conn = NULL;
  sdb_failure f = {0};
  char *text = NULL;
  (void)argc;
  if (sdb_resolve(sqlite3_user_data(context), argv[0], &conn, &f) == SQLITE_OK) {
    sdb_conn_check(conn, false, &text, &f);
    sdb_conn_detach(conn);
  }
  if (f.code != SQLITE_OK) {
    sdb_failure_to_result(&f, context);
  } else if (text) {
    sqlite3_result_text(context, text, -1, sqlite3_free);
  } else {
    sqlite3_result_text(context, "ok", -1, SQLITE_STATIC);
  }
}

static char *stat_json(const seqdb_stat_info *info) {
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
  };
  sqlite3_str *text = sqlite3_str_new(NULL);
  for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
    sqlite3_str_appendf(text, "%s\"%s\":%llu", i ? "," : "{", members[i].key, (unsigned long long)members[i].value);
  }
  sqlite3_str_appendchar(text, 1, '}');
  return sqlite3_str_finish(text);
}

/* Subtype of JSON text: json functions nest it instead of quoting it. */
#define SUBTYPE_JSON 74

static void stat_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  sdb_conn *conn = NULL;
  sdb_failure f = {0};
  seqdb_stat_info info = SEQDB_STAT_INIT;
  char *text = NULL;
  (void)argc;
  if (sdb_resolve(sqlite3_user_data(context), argv[0], &conn, &f) == SQLITE_OK) {
    int rc = seqdb_stat(conn->engine, &info);
    if (rc != SEQDB_OK) {
      sdb_failure_engine(&f, conn->engine, rc);
    } else if (!(text = stat_json(&info))) {
      sdb_failure_nomem(&f);
    }
    sdb_conn_detach(conn);
  }
  if (f.code != SQLITE_OK) {
    sdb_failure_to_result(&f, context);
    return;
  }
  sqlite3_result_text(context, text, -1, sqlite3_free);
  sqlite3_result_subtype(context, SUBTYPE_JSON);
}

static void version_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  (void)argc;
  (void)argv;
  sqlite3_result_text(context, seqdb_version(), -1, SQLITE_STATIC);
}

/* ---- registration ------------------------------------------------------------------------------------------ */

#if defined(SQLITE_RESULT_SUBTYPE)
#define RESULT_SUBTYPE SQLITE_RESULT_SUBTYPE
#else
#define RESULT_SUBTYPE 0x001000000 /* 3.45; older versions ignore it */
#endif

int sdb_register_functions(sdb_client *client) {
  static const struct {
    const char *name;
    int arguments, flags;
    void (*function)(sqlite3_context *, int, sqlite3_value **);
  } functions[] = {
      {"seqdb_read", 2, 0, read_function},
      {"seqdb_read", 3, 0, read_function},
      {"seqdb_read", 4, 0, read_function},
      {"seqdb_flush", 1, 0, flush_function},
      {"seqdb_compact", 1, 0, compact_function},
      {"seqdb_check", 1, 0, check_function},
      {"seqdb_stat", 1, RESULT_SUBTYPE, stat_function},
  };
  int rc = SQLITE_OK;
  for (size_t i = 0; rc == SQLITE_OK && i < sizeof functions / sizeof functions[0]; i++) {
    rc = sqlite3_create_function_v2(client->db, functions[i].name, functions[i].arguments,
                                    SQLITE_UTF8 | functions[i].flags, sdb_client_ref(client), functions[i].function,
                                    NULL, NULL, sdb_client_unref);
  }
  return rc;
}

int sdb_register_version(sdb_client *client) {
  return sqlite3_create_function_v2(client->db, "seqdb_version", 0,
                                    SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS, sdb_client_ref(client),
                                    version_function, NULL, NULL, sdb_client_unref);
}
