/* SPDX-License-Identifier: MIT
**
** blob.c: the calls of seqdb_blob.h: a region as a handle of a C program.
**
** The program reaches them through `SELECT seqdb_blob_api(?1)` with a pointer bound to it, as FTS5 lets programs reach
** its own: so it links nothing.  The same function, with a pointer to a failure, is how a sentence gets into
** sqlite3_errmsg(): no other way leads there on every version.
**
** A handle holds its directory and a statement that is never stepped, which keeps sqlite3_close() from succeeding.  It
** is no cursor: it pins nothing but between seqdb_blob_map() and the next call.  Writes are changes as those of the
** functions (functions_write.c), of a region instead of a name.
*/
#include <string.h>
#include "agree.h"
#include "attach.h"
#include "blob.h"
#include "change.h"
#include "find_table.h"
#include "seqdb_blob.h"
#include "transaction.h"
#include "upkeep.h"

#define FAILURE_POINTER "seqdb-failure"

typedef struct sdb_blob {
  seqdb_blob base;
  sdb_connection *connection; /* referenced */
  sdb_directory *directory;   /* held */
  sqlite3_stmt *keeper;       /* keeps sqlite3_close() from succeeding */
  bool writes;
  seqdb_region region;
  char *name;               /* when it was opened, for messages; from sqlite3_malloc */
  seqdb_snapshot *snapshot; /* what was mapped ... */
  void *copy;               /* ... or copied, from sqlite3_malloc; until the next call */
} sdb_blob;

static sqlite3 *enter(sdb_connection *connection) {
  sqlite3_mutex_enter(sqlite3_db_mutex(connection->db));
  return connection->db;
}

/* Ends a call: the failure becomes the connection's error. */
static int leave(sqlite3 *db, sdb_failure *f) {
  sqlite3_stmt *statement = NULL;
  int rc = f->code;
  if (rc != SQLITE_OK && sqlite3_prepare_v2(db, "SELECT seqdb_blob_api(?1)", -1, &statement, NULL) == SQLITE_OK) {
    sqlite3_bind_pointer(statement, 1, f, FAILURE_POINTER, NULL);
    sqlite3_step(statement);
    rc = sqlite3_finalize(statement);
  }
  sdb_failure_clear(f);
  sqlite3_mutex_leave(sqlite3_db_mutex(db));
  return rc;
}

static void unmap(sdb_blob *blob) {
  seqdb_snapshot_close(blob->snapshot);
  sqlite3_free(blob->copy);
  blob->snapshot = NULL;
  blob->copy = NULL;
}

/* What the engine says of the region.  SQLITE_ABORT is what sqlite3_blob says of a row that is gone. */
static int engine_failed(const sdb_blob *blob, int rc, sdb_failure *f) {
  if (rc != SEQDB_NOTFOUND) return sdb_failure_engine(f, blob->directory->engine, rc);
  return sdb_failure_set(f, SQLITE_ABORT, "region '%s' was removed: the blob handle is of no use", blob->name);
}

static int check_range(const sdb_blob *blob, const char *what, sqlite3_int64 n, sqlite3_int64 offset, sdb_failure *f) {
  if (n >= 0 && offset >= 0 && (uint64_t)n <= SIZE_MAX) return SQLITE_OK;
  return sdb_failure_set(f, SQLITE_ERROR, "region '%s': %s of %lld bytes at %lld: neither may be negative", blob->name,
                         what, n, offset);
}

/* ---- reading ------------------------------------------------------------------------------------------------ */

static int get_info(sdb_blob *blob, seqdb_region_info *info, sdb_failure *f) {
  if (sdb_agree_read(blob->directory, f) != SQLITE_OK) return f->code;
  return engine_failed(blob, seqdb_get_info(seqdb_own_view(blob->directory->engine), blob->region, info), f);
}

static sqlite3_int64 blob_bytes(seqdb_blob *base) {
  sdb_blob *blob = (sdb_blob *)base;
  sqlite3 *db = enter(blob->connection);
  seqdb_region_info info = {0};
  sdb_failure f = {0};
  unmap(blob);
  get_info(blob, &info, &f);
  leave(db, &f);
  return (sqlite3_int64)info.length_bytes;
}

static int read_exactly(sdb_blob *blob, void *buffer, sqlite3_int64 n, sqlite3_int64 offset, sdb_failure *f) {
  size_t got = 0;
  if (check_range(blob, "read", n, offset, f) != SQLITE_OK) return f->code;
  if (sdb_agree_read(blob->directory, f) != SQLITE_OK) return f->code;
  int rc =
      seqdb_read_copy(seqdb_own_view(blob->directory->engine), blob->region, (uint64_t)offset, buffer, (size_t)n, &got);
  if (rc != SEQDB_OK) return engine_failed(blob, rc, f);
  if (got == (size_t)n) return SQLITE_OK;
  return sdb_failure_set(f, SQLITE_ERROR, "region '%s': read of %lld bytes at %lld is past its length", blob->name, n,
                         offset);
}

static int blob_read(seqdb_blob *base, void *buffer, sqlite3_int64 n, sqlite3_int64 offset) {
  sdb_blob *blob = (sdb_blob *)base;
  sqlite3 *db = enter(blob->connection);
  sdb_failure f = {0};
  unmap(blob);
  read_exactly(blob, buffer, n, offset, &f);
  return leave(db, &f);
}

/* All of it, into memory. */
static int copy_out(sdb_blob *blob, seqdb_view *view, uint64_t bytes, sdb_failure *f) {
  size_t got = 0;
  blob->copy = sqlite3_malloc64(bytes);
  if (!blob->copy) return sdb_failure_nomem(f);
  return engine_failed(blob, seqdb_read_copy(view, blob->region, 0, blob->copy, (size_t)bytes, &got), f);
}

static int map(sdb_blob *blob, const void **data, sqlite3_int64 *bytes, sdb_failure *f) {
  seqdb *engine = blob->directory->engine;
  seqdb_view *view = seqdb_own_view(engine);
  seqdb_region_info info;
  if (sdb_agree_read(blob->directory, f) != SQLITE_OK) return f->code;
  if (!(seqdb_has_changes(engine) && seqdb_region_changed(engine, blob->region))) {
    if (sdb_failure_engine(f, engine, seqdb_snapshot_open(engine, &blob->snapshot)) != SQLITE_OK) return f->code;
    view = seqdb_snapshot_view(blob->snapshot);
  }
  if (engine_failed(blob, seqdb_get_info(view, blob->region, &info), f) != SQLITE_OK) return f->code;
  const void *found = "";
  int rc = info.length_bytes ? seqdb_read(view, blob->region, 0, info.length_bytes, &found) : SEQDB_OK;
  if (rc == SEQDB_COPY) {
    if (copy_out(blob, view, info.length_bytes, f) != SQLITE_OK) return f->code;
    found = blob->copy;
  } else if (engine_failed(blob, rc, f) != SQLITE_OK) {
    return f->code;
  }
  *data = found;
  *bytes = (sqlite3_int64)info.length_bytes;
  return SQLITE_OK;
}

static int blob_map(seqdb_blob *base, const void **data, sqlite3_int64 *bytes) {
  sdb_blob *blob = (sdb_blob *)base;
  sqlite3 *db = enter(blob->connection);
  sdb_failure f = {0};
  unmap(blob);
  if (map(blob, data, bytes, &f) != SQLITE_OK) unmap(blob);
  return leave(db, &f);
}

/* ---- writing ------------------------------------------------------------------------------------------------ */

static int run(sdb_directory *directory, sdb_change *change, sdb_failure *f) {
  return sdb_transaction_takes_changes(directory) ? sdb_change_run(directory, change, f)
                                                  : sdb_change_by_insert(directory, change, f);
}

/* Of the handle's region. */
static int change_region(sdb_blob *blob, sdb_change *change, sdb_failure *f) {
  if (!blob->writes)
    return sdb_failure_set(f, SQLITE_READONLY, "region '%s': the blob handle was opened for reading", blob->name);
  change->directory = blob->directory;
  change->has_region = true;
  change->region = blob->region;
  change->name = blob->name;
  change->name_bytes = strlen(blob->name);
  return run(blob->directory, change, f);
}

static int blob_change(sdb_blob *blob, const char *what, sqlite3_int64 n, sqlite3_int64 offset, sdb_change *change) {
  sqlite3 *db = enter(blob->connection);
  sdb_failure f = {0};
  unmap(blob);
  change->data_bytes = (size_t)n;
  change->number = (uint64_t)offset;
  if (check_range(blob, what, n, offset, &f) == SQLITE_OK) change_region(blob, change, &f);
  return leave(db, &f);
}

static int blob_write(seqdb_blob *base, const void *data, sqlite3_int64 n, sqlite3_int64 offset) {
  sdb_change change = {.kind = SDB_CHANGE_WRITE, .data = data};
  return blob_change((sdb_blob *)base, "write", n, offset, &change);
}

static int blob_append(seqdb_blob *base, const void *data, sqlite3_int64 n) {
  sdb_change change = {.kind = SDB_CHANGE_APPEND, .data = data};
  return blob_change((sdb_blob *)base, "append", n, 0, &change);
}

static int blob_truncate(seqdb_blob *base, sqlite3_int64 length) {
  sdb_change change = {.kind = SDB_CHANGE_TRUNCATE};
  return blob_change((sdb_blob *)base, "truncate", 0, length, &change);
}

/* ---- opening and closing ------------------------------------------------------------------------------------ */

static int find_region(sdb_directory *directory, const char *name, seqdb_region *region, sdb_failure *f) {
  char shown[SDB_SHOWN_NAME_MAX];
  int rc = seqdb_find(seqdb_own_view(directory->engine), name, strlen(name), region);
  if (rc != SEQDB_NOTFOUND) return sdb_failure_engine(f, directory->engine, rc);
  return sdb_failure_set(f, SQLITE_ERROR, "%s: no such region: '%s'", directory->name,
                         sdb_shown_name(name, strlen(name), shown));
}

static int find_or_create(sdb_directory *directory, const char *name, seqdb_region *region, sdb_failure *f) {
  sdb_change change = {.kind = SDB_CHANGE_APPEND, .name = name, .name_bytes = strlen(name), .data = ""};
  int rc = seqdb_find(seqdb_own_view(directory->engine), name, strlen(name), region);
  if (rc == SEQDB_NOTFOUND && run(directory, &change, f) != SQLITE_OK) return f->code;
  return find_region(directory, name, region, f);
}

static int refuse_readonly(sdb_directory *directory, sdb_failure *f) {
  seqdb_error error = SEQDB_ERROR_INIT;
  if (sdb_upkeep_refuse_readonly(directory, "open a blob handle for writing", f) != SQLITE_OK) return f->code;
  return seqdb_is_readonly(directory->engine, &error) ? sdb_failure_record(f, &error) : SQLITE_OK;
}

static int blob_reopen(seqdb_blob *base, const char *name) {
  sdb_blob *blob = (sdb_blob *)base;
  sqlite3 *db = enter(blob->connection);
  sdb_failure f = {0};
  seqdb_region region;
  char *copy = sqlite3_mprintf("%s", name);
  unmap(blob);
  if (!copy) sdb_failure_nomem(&f);
  if (copy && sdb_agree_read(blob->directory, &f) == SQLITE_OK &&
      find_region(blob->directory, name, &region, &f) == SQLITE_OK) {
    char *old = blob->name;
    blob->region = region;
    blob->name = copy;
    copy = old;
  }
  sqlite3_free(copy);
  return leave(db, &f);
}

/* The last thing to go is the statement: a connection that was closed before, with sqlite3_close_v2(), goes with it. */
static int blob_close(seqdb_blob *base) {
  sdb_blob *blob = (sdb_blob *)base;
  sdb_connection *connection = blob->connection;
  sqlite3_stmt *keeper = blob->keeper;
  sqlite3 *db = enter(connection);
  unmap(blob);
  if (blob->directory) {
    blob->directory->blobs--;
    sdb_directory_release(blob->directory);
  }
  sqlite3_free(blob->name);
  sqlite3_free(blob);
  sqlite3_mutex_leave(sqlite3_db_mutex(db));
  sdb_connection_unref(connection);
  sqlite3_finalize(keeper);
  return SQLITE_OK;
}

static const struct seqdb_blob_methods methods = {
    .version = SEQDB_BLOB_VERSION,
    .close = blob_close,
    .bytes = blob_bytes,
    .read = blob_read,
    .write = blob_write,
    .append = blob_append,
    .truncate = blob_truncate,
    .map = blob_map,
    .reopen = blob_reopen,
};

static int open_region(sdb_blob *blob, const char *schema, const char *table, int flags, sdb_failure *f) {
  char *text = sqlite3_mprintf("\"%w\".\"%w\"", schema ? schema : "main", table);
  if (!text || !blob->name) {
    sqlite3_free(text);
    return sdb_failure_nomem(f);
  }
  sdb_find_table_named(blob->connection, text, &blob->directory, f);
  sqlite3_free(text);
  if (f->code != SQLITE_OK) return f->code;
  blob->directory->blobs++;
  blob->writes = flags != SEQDB_BLOB_READ;
  if (blob->writes && refuse_readonly(blob->directory, f) != SQLITE_OK) return f->code;
  if (flags == SEQDB_BLOB_CREATE) return find_or_create(blob->directory, blob->name, &blob->region, f);
  return find_region(blob->directory, blob->name, &blob->region, f);
}

static int blob_open(void *context, const char *schema, const char *table, const char *name, int flags,
                     seqdb_blob **out) {
  sdb_connection *connection = context;
  sqlite3 *db = enter(connection);
  sdb_failure f = {0};
  sdb_blob *blob = sqlite3_malloc64(sizeof *blob);
  if (!blob) {
    sdb_failure_nomem(&f);
    return leave(db, &f);
  }
  *blob = (sdb_blob){.base = {&methods}, .connection = sdb_connection_ref(connection)};
  blob->name = sqlite3_mprintf("%s", name);
  if (flags < SEQDB_BLOB_READ || flags > SEQDB_BLOB_CREATE) {
    sdb_failure_set(&f, SQLITE_MISUSE, "seqdb_blob_open: unknown flags %d", flags);
  } else if (sqlite3_prepare_v2(db, "SELECT 1", -1, &blob->keeper, NULL) != SQLITE_OK) {
    sdb_failure_nested(&f, db);
  } else {
    open_region(blob, schema, table, flags, &f);
  }
  if (f.code == SQLITE_OK) {
    *out = &blob->base;
  } else {
    blob_close(&blob->base);
  }
  return leave(db, &f);
}

/* ---- the function ------------------------------------------------------------------------------------------- */

static void api_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  struct seqdb_blob_api *api = sqlite3_value_pointer(argv[0], SEQDB_BLOB_POINTER);
  const sdb_failure *failure = sqlite3_value_pointer(argv[0], FAILURE_POINTER);
  (void)argc;
  if (api) {
    api->connection = sqlite3_user_data(context);
    api->open = blob_open;
  } else if (failure) {
    if (failure->message) sqlite3_result_error(context, failure->message, -1);
    if (failure->code == SQLITE_NOMEM) sqlite3_result_error_nomem(context);
    sqlite3_result_error_code(context, failure->code);
  } else {
    sqlite3_result_error(context, "seqdb_blob_api is for the C functions of seqdb_blob.h", -1);
  }
}

int sdb_register_blob(sdb_connection *connection) {
  static const sdb_function function = {"seqdb_blob_api", 1, SQLITE_DIRECTONLY, api_function};
  return sdb_connection_add_functions(connection, &function, 1);
}
