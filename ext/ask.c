/* SPDX-License-Identifier: MIT
**
** ask.c: see ask.h.
**
** The connection's own schema on that file is asked, if it has one: it may hold a lock that nobody else passes.  Else
** the file is opened for a moment, with the connection's VFS, and nobody is waited for.
*/
#include <errno.h>
#include <string.h>
#include "ask.h"
#include "file.h"
#include "path.h"
#include "row.h"

/* ---- the file that is asked -------------------------------------------------------------------------------- */

struct coordinator {
  sqlite3 *db;
  char *schema;    /* from sqlite3_malloc */
  sqlite3 *opened; /* for this alone, or NULL */
};

/* *schema: the connection's schema on the claim's file, from sqlite3_malloc; NULL: it has none.  A code of SQLite. */
static int find_schema(sqlite3 *db, const char *directory, const seqdb_claim *claim, char **schema) {
  sqlite3_stmt *list = NULL;
  sdb_failure f = {0};
  bool ours = false;
  *schema = NULL;
  int rc = sqlite3_prepare_v2(db, "PRAGMA database_list", -1, &list, NULL);
  while (rc == SQLITE_OK && !ours && sqlite3_step(list) == SQLITE_ROW) {
    const char *name = (const char *)sqlite3_column_text(list, 1);
    const char *file = name ? sdb_path_file(db, name) : NULL;
    if (file) rc = sdb_file_is_claimed(directory, file, claim, &ours, &f);
    if (ours && !(*schema = sqlite3_mprintf("%s", name))) rc = SQLITE_NOMEM;
  }
  sqlite3_finalize(list);
  sdb_failure_clear(&f);
  return rc == SQLITE_AUTH ? SQLITE_OK : rc; /* the program hides what it has */
}

/* The file is there, but just now it cannot be opened. */
static bool is_short_of_files(int os) {
  return os == EMFILE || os == ENFILE || os == ENOMEM;
}

/* What the file's schema brings with it is not run. */
static int open_path(const sdb_asking *asking, const char *path, struct coordinator *out) {
  const char *vfs = sdb_path_vfs(asking->connection->db, asking->schema);
  int rc = sqlite3_open_v2(path, &out->opened, SQLITE_OPEN_READWRITE, vfs);
  if (rc == SQLITE_CANTOPEN && is_short_of_files(sqlite3_system_errno(out->opened))) return SQLITE_IOERR;
  if (rc != SQLITE_OK) return rc;
  sqlite3_db_config(out->opened, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
  sqlite3_db_config(out->opened, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
  out->db = out->opened;
  out->schema = sqlite3_mprintf("main");
  return out->schema ? SQLITE_OK : SQLITE_NOMEM;
}

static int open_file(const sdb_asking *asking, const seqdb_claim *claim, struct coordinator *out) {
  char *path = sdb_file_of_claim(asking->path, claim);
  int rc = path ? open_path(asking, path, out) : SQLITE_CANTOPEN;
  sqlite3_free(path);
  return rc;
}

/* A code of SQLite; then, too, it is to be let go. */
static int reach(const sdb_asking *asking, const seqdb_claim *claim, struct coordinator *out) {
  *out = (struct coordinator){.db = asking->connection->db};
  int rc = find_schema(out->db, asking->path, claim, &out->schema);
  return rc == SQLITE_OK && !out->schema ? open_file(asking, claim, out) : rc;
}

/* The same through a connection of its own.  In an xDisconnect the asking one is about to close: a statement there that
** finds another schema in the file would free what sqlite3_close() walks through. */
static int reach_apart(const sdb_asking *asking, const seqdb_claim *claim, struct coordinator *out) {
  *out = (struct coordinator){0};
  return open_file(asking, claim, out);
}

static void let_go(struct coordinator *coordinator) {
  sqlite3_close(coordinator->opened);
  sqlite3_free(coordinator->schema);
}

/* ---- asking ------------------------------------------------------------------------------------------------ */

/* Not another one at its path. */
static bool is_same_file(const struct coordinator *coordinator, const seqdb_claim *claim) {
  seqdb_file_identity identity;
  const char *path = sdb_path_file(coordinator->db, coordinator->schema);
  return path && seqdb_identify(path, &identity) == SEQDB_OK && identity.inode == claim->inode &&
         identity.birth_ns == claim->birth_ns;
}

/* Its row of that directory.  SQLITE_NOTFOUND: it has none, or the file is another one. */
static int read_row(const struct coordinator *coordinator, const uint8_t directory[SEQDB_UUID_BYTES],
                    const seqdb_claim *claim, sdb_row *row) {
  sdb_row_key key = {.count = 1};
  sdb_failure f = {0};
  bool found = false;
  memcpy(key.directory, directory, sizeof key.directory);
  memcpy(key.files[0], claim->file, sizeof key.files[0]);
  int rc = sdb_row_lookup(coordinator->db, coordinator->schema, &key, row, &found, &f);
  sdb_failure_clear(&f);
  if (rc == SQLITE_OK && !found && is_same_file(coordinator, claim)) {
    memset(row, 0, sizeof *row); /* its CREATE was rolled back: unless it had settled commits, it has none */
    return SQLITE_OK;
  }
  if (rc == SQLITE_OK && (!found || memcmp(row->file, claim->file, sizeof row->file) != 0)) rc = SQLITE_NOTFOUND;
  return rc;
}

int sdb_ask(void *context, const seqdb_question *question, uint8_t token[SEQDB_TOKEN_BYTES]) {
  const sdb_asking *asking = context;
  struct coordinator coordinator;
  sdb_row row;
  int rc = reach(asking, &question->claim, &coordinator);
  if (rc == SQLITE_OK) rc = read_row(&coordinator, question->directory, &question->claim, &row);
  let_go(&coordinator);
  switch (rc & 0xff) {
    case SQLITE_OK:
      memcpy(token, row.token, SEQDB_TOKEN_BYTES);
      return SEQDB_OK;
    case SQLITE_NOMEM:
      return SEQDB_NOMEM;
    case SQLITE_INTERRUPT:
      return SEQDB_INTERRUPTED;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
      return SEQDB_BUSY;
    case SQLITE_IOERR:
      return SEQDB_IO;
    default:
      return SEQDB_NOTFOUND;
  }
}

bool sdb_ask_newest(const sdb_asking *asking, const sdb_row_key *key, sdb_row *row) {
  struct coordinator file = {0};
  sdb_failure f = {0};
  bool found = false;
  const char *path = sdb_path_file(asking->connection->db, asking->schema);
  if (path && open_path(asking, path, &file) == SQLITE_OK) sdb_row_lookup(file.db, file.schema, key, row, &found, &f);
  bool done = found && f.code == SQLITE_OK;
  sdb_failure_clear(&f);
  let_go(&file);
  return done;
}

/* ---- settling ---------------------------------------------------------------------------------------------- */

/* First the token, then the sync: what was read is durable then (T2).  A row that the connection has changed and not
** committed tells nothing. */
static int settle(const struct coordinator *coordinator, const uint8_t *directory, const seqdb_claim *claim,
                  seqdb *engine) {
  sdb_failure f = {0};
  sdb_row row;
  if (!coordinator->opened && sqlite3_txn_state(coordinator->db, coordinator->schema) == SQLITE_TXN_WRITE)
    return SQLITE_OK;
  int rc = read_row(coordinator, directory, claim, &row);
  if (rc == SQLITE_OK && (!seqdb_is_marked(engine) || seqdb_agree(engine, row.generation, row.token) == SEQDB_OK) &&
      (rc = sdb_file_sync(coordinator->db, coordinator->schema, &f)) == SQLITE_OK)
    (void)seqdb_settle(engine, row.token);
  sdb_failure_clear(&f);
  return rc;
}

static bool run(sqlite3 *db, const char *sql) {
  return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK;
}

/* The file's write lock is held: its newest row, and a prepare that buries what was rolled back; both committed. */
static bool commit_nothing(sqlite3 *db, const uint8_t *directory, const seqdb_claim *claim, seqdb *engine) {
  const struct coordinator file = {.db = db, .schema = "main"};
  sdb_failure f = {0};
  sdb_row before, after;
  if (read_row(&file, directory, claim, &before) != SQLITE_OK) return false;
  if (memcmp(before.file, claim->file, sizeof before.file) != 0) return false; /* there is no row to write */
  if (seqdb_is_marked(engine) && seqdb_agree(engine, before.generation, before.token) != SEQDB_OK) return false;
  after = before;
  seqdb_set_file(engine, claim->file, sdb_file_durability(db, "main"));
  bool done = seqdb_touch(engine) == SEQDB_OK && seqdb_prepare(engine, after.token, &after.generation) == SEQDB_OK &&
              after.generation > 0 && sdb_row_replace(db, "main", &before, &after, &f) == SQLITE_OK &&
              run(db, "COMMIT");
  if (!done) {
    (void)seqdb_rollback(engine);
  } else {
    bool synced = sdb_file_sync(db, "main", &f) == SQLITE_OK;
    seqdb_set_settles(engine, synced ? SEQDB_SETTLES_ALL : SEQDB_SETTLES_NOTHING);
    seqdb_publish(engine);
    seqdb_set_settles(engine, SEQDB_SETTLES_NOTHING);
  }
  sdb_failure_clear(&f);
  return done;
}

static void bury(const sdb_asking *asking, const uint8_t *directory, const seqdb_claim *claim, seqdb *engine) {
  struct coordinator file = {0};
  if (open_file(asking, claim, &file) == SQLITE_OK && run(file.db, "BEGIN IMMEDIATE") &&
      !commit_nothing(file.db, directory, claim, engine))
    run(file.db, "ROLLBACK");
  let_go(&file);
}

int sdb_ask_to_settle(const sdb_asking *asking, seqdb *engine, bool buries) {
  uint8_t uuid[SEQDB_UUID_BYTES];
  struct coordinator coordinator;
  seqdb_claim claim;
  seqdb_get_uuid(engine, uuid);
  seqdb_get_candidates(engine, &claim);
  int rc = buries ? reach(asking, &claim, &coordinator) : reach_apart(asking, &claim, &coordinator);
  if (rc == SQLITE_OK) rc = settle(&coordinator, uuid, &claim, engine);
  let_go(&coordinator);
  if ((rc & 0xff) == SQLITE_INTERRUPT) return SQLITE_INTERRUPT;
  if (buries && seqdb_unsettled(engine) > 0 && !seqdb_has_changes(engine)) bury(asking, uuid, &claim, engine);
  return SQLITE_OK;
}

/* The statement reads the file, which opens its write-ahead log. */
int sdb_ask_sync(const sdb_asking *asking, sdb_failure *f) {
  const char *path = sdb_path_file(asking->connection->db, asking->schema);
  struct coordinator file = {0};
  if (!path) return SQLITE_OK;
  int rc = open_path(asking, path, &file);
  if (rc == SQLITE_OK) rc = sqlite3_exec(file.db, "SELECT 1 FROM sqlite_master LIMIT 1", NULL, NULL, NULL);
  if (rc == SQLITE_OK) {
    sdb_file_sync(file.db, file.schema, f);
  } else {
    sdb_failure_set(f, rc, "seqdb: cannot sync %s", path);
  }
  let_go(&file);
  return f->code;
}
