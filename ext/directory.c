/* SPDX-License-Identifier: MIT
**
** directory.c: opening, closing, naming and finding directories, and waiting for their writer lock.
*/
#include "ask.h"
#include "directory.h"
#include "file.h"
#include "interrupt.h"
#include "path.h"

/* A missing folder, a path that is too long, no descriptors left: SQLITE_IOERR would make SQLite roll back the whole
** transaction that the table is created in, which has nothing to do with it. */
static int cannot_open(const seqdb_error *error, sdb_failure *f) {
  sdb_failure_record(f, error);
  if (f->code == SQLITE_IOERR) f->code = SQLITE_CANTOPEN;
  return f->code;
}

/* Read when it is needed: SQLite has no call that tells, and the program may change it at any time. */
uint32_t sdb_directory_busy_timeout_ms(sqlite3 *db) {
  sqlite3_stmt *statement = NULL;
  int timeout_ms = 0;
  if (sqlite3_prepare_v2(db, "PRAGMA busy_timeout", -1, &statement, NULL) == SQLITE_OK &&
      sqlite3_step(statement) == SQLITE_ROW) {
    timeout_ms = sqlite3_column_int(statement, 0);
  }
  sqlite3_finalize(statement);
  return timeout_ms > 0 ? (uint32_t)timeout_ms : 0;
}

/* Asked while the engine opens.  A table may be connected while its statement is prepared, with no other one running.
** Beginning to run one then clears what sqlite3_interrupt() has set (3.40); beside a statement that has begun it does
** not. */
struct opening {
  sdb_connection *connection;
  sqlite3_stmt *running;
};

static int is_interrupted(void *context) {
  struct opening *opening = context;
  if (!opening->running &&
      sqlite3_prepare_v2(opening->connection->db, "SELECT 1", -1, &opening->running, NULL) == SQLITE_OK) {
    if (sqlite3_step(opening->running) == SQLITE_INTERRUPT) return 1;
  }
  return sdb_connection_interrupted(opening->connection);
}

int sdb_directory_open_engine(sdb_connection *connection, const char *schema, const char *path,
                              const seqdb_options *given, seqdb_error *error, seqdb **engine) {
  struct opening opening = {connection, NULL};
  seqdb_options options = *given;
  sdb_asking asking = {connection, schema, path};
  options.committed = sdb_ask;
  options.committed_context = &asking;
  options.interrupt = is_interrupted;
  options.interrupt_context = &opening;
  int rc = seqdb_open(path, &options, error, engine);
  if (rc == SEQDB_BUSY &&
      (options.busy_timeout_ms = sdb_directory_busy_timeout_ms(connection->db)) > SEQDB_OPEN_WAIT_MS)
    rc = seqdb_open(path, &options, error, engine);
  sqlite3_finalize(opening.running);
  if (rc != SEQDB_OK) {
    sdb_connection_rest(connection);
    return rc;
  }
  seqdb_set_busy_timeout(*engine, 0); /* see sdb_directory_patiently() */
  seqdb_set_interrupt(*engine, sdb_connection_interrupted, connection);
  return rc;
}

int sdb_directory_open(sdb_connection *connection, const char *schema, const sdb_config *config, bool create,
                       sdb_directory **out, sdb_failure *f) {
  seqdb_claim claim;
  seqdb_options options = {
      .size_bytes = sizeof options, .flags = config->flags, .min_size_bytes = config->min_size_bytes};
  seqdb_error error = SEQDB_ERROR_INIT;
  sdb_directory *directory = sqlite3_malloc64(sizeof *directory);
  if (!directory) return sdb_failure_nomem(f);
  *directory = (sdb_directory){
      .connection = connection, .users = 1, .transaction = {.level = -1, .created_level = SDB_NOT_CREATED}};
  directory->atomic = config->atomic;
  directory->path = sqlite3_mprintf("%s", config->path);
  if (!directory->path) {
    sqlite3_free(directory);
    return sdb_failure_nomem(f);
  }

  if (create && !config->readonly) options.flags |= SEQDB_OPEN_CREATE;
  if (create && sdb_file_first_claim(connection->db, schema, config, &claim)) options.claim = &claim;
  if (!config->atomic && !config->readonly) options.flags |= SEQDB_OPEN_NOT_ATOMIC;
  if (!config->readonly) options.flags |= SEQDB_OPEN_RESOLVE_LATER;
  sdb_path_take_access(connection->db, schema, &options);
  if (!create) options.flags &= ~SEQDB_OPEN_ADOPT; /* once, not at every connecting: damage would be accepted, too */
  if (sdb_directory_open_engine(connection, schema, config->path, &options, &error, &directory->engine) != SEQDB_OK) {
    sqlite3_free(directory->path);
    sqlite3_free(directory);
    return cannot_open(&error, f);
  }
  directory->blind = seqdb_is_undecided(directory->engine) == 2;
  directory->next = connection->directories;
  connection->directories = directory;
  *out = directory;
  return SQLITE_OK;
}

void sdb_directory_close(sdb_directory *directory) {
  sdb_directory **link = &directory->connection->directories;
  while (*link != directory)
    link = &(*link)->next;
  *link = directory->next;
  sdb_connection_finalize(directory->connection, &directory->watch.version);
  seqdb_close(directory->engine);
  sqlite3_free(directory->owner.shadow);
  sqlite3_free(directory->owner.twin);
  sqlite3_free(directory->path);
  sqlite3_free(directory->schema);
  sqlite3_free(directory->name);
  sqlite3_free(directory);
}

/* ---- names ------------------------------------------------------------------------------------------------- */

static void new_identity(sdb_directory *directory) {
  directory->identity = ++directory->connection->identities;
}

int sdb_directory_set_name(sdb_directory *directory, const char *schema, const char *name, sdb_failure *f) {
  char *new_schema = sqlite3_mprintf("%s", schema);
  char *new_name = sqlite3_mprintf("%s", name);
  if (!new_schema || !new_name) {
    sqlite3_free(new_schema);
    sqlite3_free(new_name);
    return sdb_failure_nomem(f);
  }
  sqlite3_free(directory->schema);
  sqlite3_free(directory->name);
  directory->schema = new_schema;
  directory->name = new_name;
  sdb_connection_finalize(directory->connection, &directory->watch.version); /* it names the database */
  new_identity(directory);
  return SQLITE_OK;
}

void sdb_directory_lose_name(sdb_directory *directory) {
  directory->name[0] = '\0';
  new_identity(directory);
}

bool sdb_directory_has_name(const sdb_directory *directory, const char *schema, const char *name) {
  return sqlite3_stricmp(directory->schema, schema) == 0 && sqlite3_stricmp(directory->name, name) == 0;
}

sdb_directory *sdb_directory_by_name(sdb_connection *connection, const char *schema, const char *name) {
  sdb_directory *directory = connection->directories;
  while (directory && !sdb_directory_has_name(directory, schema, name))
    directory = directory->next;
  return directory;
}

sdb_directory *sdb_directory_by_identity(sdb_connection *connection, unsigned identity) {
  sdb_directory *directory = connection->directories;
  while (directory && directory->identity != identity)
    directory = directory->next;
  return directory;
}

/* The path may be spelled in many ways: the engine compares what is there. */
int sdb_directory_by_path(sdb_connection *connection, const char *path, sdb_directory **out, sdb_failure *f) {
  sdb_directory *directory = connection->directories;
  for (; directory; directory = directory->next) {
    int same = seqdb_same_directory(directory->engine, path);
    if (same < 0) {
      seqdb_error error = SEQDB_ERROR_INIT;
      seqdb_get_error(directory->engine, &error);
      return cannot_open(&error, f);
    }
    if (same) break;
  }
  *out = directory;
  return SQLITE_OK;
}

/* ---- patience ---------------------------------------------------------------------------------------------- */

/* SQLite's write lock is ours, and no other SQLite file writes here: who has the writer lock has committed, and is
** about to publish and let go; or does a moment's upkeep. */
static bool is_let_go_soon(sdb_directory *directory) {
  seqdb_claim claims[SEQDB_CLAIMS_MAX];
  uint32_t count = 0;
  return directory->owner.state == SDB_OWNER_THIS &&
         sqlite3_txn_state(directory->connection->db, directory->schema) == SQLITE_TXN_WRITE &&
         seqdb_claims(directory->engine, claims, &count) == SEQDB_OK && count == 1;
}

int sdb_directory_patiently(sdb_directory *directory, int (*call)(seqdb *engine, void *context), void *context) {
  int rc = call(directory->engine, context);
  if (rc != SEQDB_BUSY) return rc;
  uint32_t timeout_ms = sdb_directory_busy_timeout_ms(directory->connection->db);
  if (timeout_ms < SDB_PUBLISHING_MS && is_let_go_soon(directory)) timeout_ms = SDB_PUBLISHING_MS;
  if (timeout_ms == 0) return rc;
  seqdb_set_busy_timeout(directory->engine, timeout_ms);
  rc = call(directory->engine, context);
  seqdb_set_busy_timeout(directory->engine, 0);
  return rc;
}
