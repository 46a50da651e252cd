/* SPDX-License-Identifier: MIT
**
** file.c: see file.h.
**
** A claim names a file by its path from the directory, so that both may be moved together, and by inode and birth, so
** that the file may be moved alone.  A copy beside the original has neither.  Without times of birth (an older system)
** the inode alone tells.
*/
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "file.h"
#include "path.h"

/* ---- paths ------------------------------------------------------------------------------------------------- */

/* Without symbolic links, where the system can tell. */
static void resolve(const char *path, char out[PATH_MAX]) {
  if (realpath(path, out)) return;
  size_t bytes = strlen(path);
  if (bytes >= PATH_MAX) bytes = PATH_MAX - 1;
  memcpy(out, path, bytes);
  out[bytes] = '\0';
}

/* Bytes that both have in common, up to and with a slash. */
static size_t common_folders(const char *a, const char *b) {
  size_t shared = 0;
  for (size_t i = 0; a[i] && a[i] == b[i]; i++)
    if (a[i] == '/') shared = i + 1;
  return shared;
}

/* The way from folder `from` to file `to`; "" if it is longer than a claim takes. */
static uint32_t way(const char *from, const char *to, char out[SEQDB_CLAIM_PATH_BYTES_MAX]) {
  char folder[PATH_MAX + 1], file[PATH_MAX];
  resolve(from, folder);
  resolve(to, file);
  strcat(folder, "/");
  size_t shared = common_folders(folder, file), used = 0, rest = strlen(file + shared);
  for (const char *at = folder + shared; (at = strchr(at, '/')) != NULL; at++) {
    if (used + 3 > SEQDB_CLAIM_PATH_BYTES_MAX) return 0;
    memcpy(out + used, "../", 3);
    used += 3;
  }
  if (used + rest > SEQDB_CLAIM_PATH_BYTES_MAX) return 0;
  memcpy(out + used, file + shared, rest);
  return (uint32_t)(used + rest);
}

/* The folder has no symbolic links: its parent is what stands before its last slash.  A VFS may know no "..". */
char *sdb_file_of_claim(const char *directory, const seqdb_claim *claim) {
  char folder[PATH_MAX], path[PATH_MAX], real[PATH_MAX];
  const char *rest = claim->path;
  uint32_t bytes = claim->path_bytes;
  resolve(directory, folder);
  for (char *slash; bytes > 3 && memcmp(rest, "../", 3) == 0 && (slash = strrchr(folder, '/')) != NULL; rest += 3) {
    *slash = '\0';
    bytes -= 3;
  }
  if (bytes == 0 || strlen(folder) + bytes + 2 > sizeof path) return NULL;
  sqlite3_snprintf((int)sizeof path, path, "%s/%.*s", folder, (int)bytes, rest);
  return sqlite3_mprintf("%s", realpath(path, real) ? real : path);
}

/* ---- claims ------------------------------------------------------------------------------------------------ */

/* *there is false if nothing is there, or if the path is none of the system's. */
static int identify(const char *path, seqdb_file_identity *identity, bool *there, sdb_failure *f) {
  int rc = seqdb_identify(path, identity);
  *there = rc == SEQDB_OK;
  if (rc == SEQDB_OK || rc == SEQDB_NOTFOUND) return SQLITE_OK;
  return sdb_failure_set(f, rc == SEQDB_IO ? SQLITE_IOERR_FSTAT : SQLITE_CANTOPEN,
                         "seqdb: cannot look at %s, to see whether it is the file that was claimed", path);
}

int sdb_file_claim(const char *directory, const char *file, seqdb_claim *claim, sdb_failure *f) {
  seqdb_file_identity identity = {0};
  bool there;
  memset(claim, 0, sizeof *claim);
  claim->path_bytes = way(directory, file, claim->path);
  if (claim->path_bytes == 0) memset(claim->path, 0, sizeof claim->path);
  if (identify(file, &identity, &there, f) != SQLITE_OK) return f->code;
  claim->inode = identity.inode;
  claim->birth_ns = identity.birth_ns;
  return SQLITE_OK;
}

/* Does the claim's path lead to the file? */
static int leads_to(const char *directory, const seqdb_file_identity *file, const seqdb_claim *claim, bool *same,
                    sdb_failure *f) {
  seqdb_file_identity identity = {0};
  bool there;
  *same = false;
  char *path = sdb_file_of_claim(directory, claim);
  if (!path) return sdb_failure_nomem(f);
  if (identify(path, &identity, &there, f) == SQLITE_OK)
    *same = there && identity.device == file->device && identity.inode == file->inode;
  sqlite3_free(path);
  return f->code;
}

int sdb_file_is_claimed(const char *directory, const char *file, const seqdb_claim *claim, bool *claimed,
                        sdb_failure *f) {
  seqdb_file_identity ours = {0};
  bool there;
  *claimed = false;
  if (identify(file, &ours, &there, f) != SQLITE_OK) return f->code;
  *claimed = there && claim->inode == ours.inode && claim->birth_ns == ours.birth_ns;
  if (*claimed || claim->path_bytes == 0) return SQLITE_OK;
  if (there) return leads_to(directory, &ours, claim, claimed, f);
  char path[SEQDB_CLAIM_PATH_BYTES_MAX]; /* another kind of disk: what the path says is all there is */
  uint32_t bytes = way(directory, file, path);
  *claimed = bytes == claim->path_bytes && memcmp(path, claim->path, bytes) == 0;
  return SQLITE_OK;
}

bool sdb_file_first_claim(sqlite3 *db, const char *schema, const sdb_config *config, seqdb_claim *claim) {
  sdb_failure f = {0};
  const char *file = sdb_path_file(db, schema);
  if (!file || !config->atomic || config->readonly) return false;
  bool done = sdb_file_claim(config->path, file, claim, &f) == SQLITE_OK; /* else it is claimed a moment later */
  sdb_failure_clear(&f);
  sqlite3_randomness((int)sizeof claim->file, claim->file);
  return done;
}

/* ---- durability -------------------------------------------------------------------------------------------- */

/* The pragma's text, or its number; NULL: not to be had, an authorizer may hide it. */
static const char *pragma(sqlite3 *db, const char *schema, const char *name, sqlite3_stmt **statement) {
  char *sql = sqlite3_mprintf("PRAGMA \"%w\".%s", schema, name);
  *statement = NULL;
  if (!sql) return NULL;
  int rc = sqlite3_prepare_v2(db, sql, -1, statement, NULL);
  sqlite3_free(sql);
  if (rc != SQLITE_OK || sqlite3_step(*statement) != SQLITE_ROW) return NULL;
  return (const char *)sqlite3_column_text(*statement, 0);
}

/* Where one of `names` (ended by NULL) stands; -1: it is none of them. */
static int place(const char *const *names, const char *text) {
  for (int i = 0; text && names[i]; i++)
    if (sqlite3_stricmp(names[i], text) == 0) return i;
  return -1;
}

uint32_t sdb_file_durability(sqlite3 *db, const char *schema) {
  static const char *const modes[] = {"wal", "delete", "truncate", "persist", "memory", "off", NULL};
  static const char *const levels[] = {"0", "1", "2", "3", NULL};
  static const char *const lockings[] = {"exclusive", NULL};
  sqlite3_stmt *statement;
  int mode = place(modes, pragma(db, schema, "journal_mode", &statement));
  sqlite3_finalize(statement);
  int level = place(levels, pragma(db, schema, "synchronous", &statement));
  sqlite3_finalize(statement);
  if (mode < 0) mode = 0; /* what is not told promises least */
  if (level < 0 || sqlite3_stricmp(schema, "temp") == 0) level = 0;
  uint32_t durability = ((uint32_t)mode + 1) | (uint32_t)level << 4;
  if (mode == 0) return durability; /* WAL: locking_mode changes nothing */
  if (place(lockings, pragma(db, schema, "locking_mode", &statement)) == 0) durability |= 0x40;
  sqlite3_finalize(statement);
  return durability;
}

int sdb_file_settles(uint32_t durability) {
  enum { WAL = 1, DELETE, TRUNCATE, PERSIST };
  uint32_t mode = durability & 0x0f, level = durability >> 4 & 3;
  bool exclusive = durability & 0x40;
  if (mode > PERSIST || level == 0) return SEQDB_SETTLES_ALL; /* nothing is promised (T7) */
  if (mode == WAL) return level >= 2 ? SEQDB_SETTLES_ALL : SEQDB_SETTLES_NOTHING;
  bool overwritten = mode == PERSIST || (mode == DELETE && exclusive); /* the journal's head: SQLite syncs that */
  bool all = overwritten || (mode == TRUNCATE && level >= 2) || level == 3;
  return all ? SEQDB_SETTLES_ALL : SEQDB_SETTLES_BEFORE;
}

/* The write-ahead log, through SQLite's own descriptor: closing one of ours would drop its locks.  Whoever knows of a
** commit has read the file, which opened its log.  It is not opened here: a statement must not run at a close. */
static int sync_log(sqlite3 *db, const char *schema, sdb_failure *f) {
  sqlite3_file *file = NULL;
  int rc = sqlite3_file_control(db, schema, SQLITE_FCNTL_JOURNAL_POINTER, &file);
  if (rc == SQLITE_OK)
    rc = file && file->pMethods ? file->pMethods->xSync(file, SQLITE_SYNC_NORMAL) : SQLITE_IOERR_FSYNC;
  return rc == SQLITE_OK ? rc : sdb_failure_set(f, rc, "seqdb: cannot sync the write-ahead log of %s", schema);
}

/* The folder, in which the journal was deleted; one that was cut or overwritten itself. */
static int sync_rollback(const char *path, sdb_failure *f) {
  char *journal = sqlite3_mprintf("%s-journal", path), *folder = sqlite3_mprintf("%s", path);
  int rc = SEQDB_OK;
  if (!journal || !folder) {
    sdb_failure_nomem(f);
  } else {
    char *slash = strrchr(folder, '/');
    if (slash) slash[slash == folder] = '\0';
    rc = seqdb_sync_path(journal);
    if (rc == SEQDB_OK || rc == SEQDB_NOTFOUND) rc = slash ? seqdb_sync_path(folder) : SEQDB_OK;
    if (rc != SEQDB_OK) sdb_failure_set(f, SQLITE_IOERR_FSYNC, "seqdb: cannot sync the journal of %s", path);
  }
  sqlite3_free(journal);
  sqlite3_free(folder);
  return f->code;
}

int sdb_file_sync(sqlite3 *db, const char *schema, sdb_failure *f) {
  const char *path = sdb_path_file(db, schema);
  if (!path) return SQLITE_OK;
  bool wal = (sdb_file_durability(db, schema) & 0x0f) == 1;
  return wal ? sync_log(db, schema, f) : sync_rollback(path, f);
}
