/* SPDX-License-Identifier: MIT
**
** ask.c: see ask.h.  A file is asked by reading alone; another one is opened for a moment, and waits for nobody.
*/
#include "ask.h"
#include <string.h>
#include "file.h"
#include "path.h"
#include "row.h"

/* The file that the claim names, opened for a moment. */
static int ask_elsewhere(const sdb_asking *asking, const seqdb_question *question, sdb_row *row, bool *found) {
  sqlite3 *other = NULL;
  sdb_failure f = {0};
  char *path = sdb_file_of_claim(asking->path, &question->claim);
  int rc = path ? sqlite3_open_v2(path, &other, SQLITE_OPEN_READWRITE, NULL) : SQLITE_NOMEM;
  if (rc == SQLITE_OK) rc = sdb_row_lookup(other, "main", question->directory, row, found, &f);
  sqlite3_close(other);
  sqlite3_free(path);
  sdb_failure_clear(&f);
  return rc;
}

/* Not another one at its path. */
static bool is_same_file(const char *path, const seqdb_claim *claim) {
  seqdb_file_identity identity;
  return seqdb_identify(path, &identity) == SEQDB_OK && identity.inode == claim->inode &&
         identity.birth_ns == claim->birth_ns;
}

int sdb_ask(void *context, const seqdb_question *question, uint8_t token[SEQDB_TOKEN_BYTES]) {
  const sdb_asking *asking = context;
  sqlite3 *db = asking->connection->db;
  const char *file = sdb_path_file(db, asking->schema);
  sdb_failure f = {0};
  sdb_row row;
  bool found = false, ours = false;
  if (file) sdb_file_is_claimed(asking->path, file, &question->claim, &ours, &f);
  if (ours && f.code == SQLITE_OK) sdb_row_lookup(db, asking->schema, question->directory, &row, &found, &f);
  if (!ours && f.code == SQLITE_OK) f.code = ask_elsewhere(asking, question, &row, &found);
  if (ours && f.code == SQLITE_OK && !found && is_same_file(file, &question->claim)) {
    memset(token, 0, SEQDB_TOKEN_BYTES); /* its CREATE was rolled back: unless it had settled commits, it has none */
    return SEQDB_OK;
  }
  int code = f.code & 0xff;
  bool told = f.code == SQLITE_OK && found && memcmp(row.file, question->claim.file, sizeof row.file) == 0;
  sdb_failure_clear(&f);
  if (code == SQLITE_NOMEM) return SEQDB_NOMEM;
  if (code == SQLITE_BUSY) return SEQDB_BUSY;
  if (!told) return SEQDB_NOTFOUND;
  memcpy(token, row.token, SEQDB_TOKEN_BYTES);
  return SEQDB_OK;
}

/* First the token, then the sync: what was read is durable then (T2). */
void sdb_ask_to_settle(const char *directory, seqdb *engine) {
  uint8_t uuid[SEQDB_UUID_BYTES];
  seqdb_claim claim;
  sqlite3 *other = NULL;
  sdb_failure f = {0};
  sdb_row row;
  bool found = false;
  seqdb_get_uuid(engine, uuid);
  seqdb_get_candidates(engine, &claim);
  char *path = sdb_file_of_claim(directory, &claim);
  if (path && sqlite3_open_v2(path, &other, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
      sdb_row_lookup(other, "main", uuid, &row, &found, &f) == SQLITE_OK && found &&
      memcmp(row.file, claim.file, sizeof row.file) == 0 && sdb_file_sync(other, "main", &f) == SQLITE_OK)
    (void)seqdb_settle(engine, row.token);
  sqlite3_close(other);
  sqlite3_free(path);
  sdb_failure_clear(&f);
}
