/* SPDX-License-Identifier: MIT
**
** seqdb_blob.h: regions from C, for programs that hold a sqlite3* with the extension loaded: as sqlite3_blob, but for
** regions, which grow, are mapped, and have 64-bit offsets.  This header is all there is: the program links nothing.
**
**     seqdb_blob *blob;
**     int rc = seqdb_blob_open(db, "main", "regions", "log", SEQDB_BLOB_CREATE, &blob);
**     if (rc == SQLITE_OK) rc = seqdb_blob_append(blob, "line\n", 5);
**     if (rc != SQLITE_OK) fprintf(stderr, "%s\n", sqlite3_errmsg(db));
**     seqdb_blob_close(blob);
**
** RETURNS: every function returns SQLITE_OK or another result code of SQLite, and sqlite3_errmsg() has a sentence then.
** After an error nothing has changed, unless the function says otherwise.
** TRANSACTIONS.  A handle takes part in the connection's transaction: it reads what the connection sees, and what it
** writes is committed, rolled back and undone to savepoints as everything else.  Outside of BEGIN each write is a
** transaction of its own; sqlite3_blob keeps one open until it is closed.
** LIFE.  A handle stands for one region, also after somebody has renamed it.  Once that is removed (or its creation is
** rolled back) every call but reopen and close returns SQLITE_ABORT, and never shows another region's bytes.  It must
** be closed before the connection: sqlite3_close() is SQLITE_BUSY otherwise, as with sqlite3_blob.
** THREADS: as the connection; a serialized one may be used from several threads.
*/
#ifndef SEQDB_BLOB_H
#define SEQDB_BLOB_H

#include <stddef.h>
#if !defined(SQLITE3_H) && !defined(SQLITE3EXT_H)
#include <sqlite3.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define SEQDB_BLOB_READ   0
#define SEQDB_BLOB_WRITE  1
#define SEQDB_BLOB_CREATE 2 /* writes, too */

typedef struct seqdb_blob seqdb_blob;

/* ---- what the extension and this header agree about: not for programs ---- */

struct seqdb_blob_methods {
  int version;
  int (*close)(seqdb_blob *);
  sqlite3_int64 (*bytes)(seqdb_blob *);
  int (*read)(seqdb_blob *, void *, sqlite3_int64, sqlite3_int64);
  int (*write)(seqdb_blob *, const void *, sqlite3_int64, sqlite3_int64);
  int (*append)(seqdb_blob *, const void *, sqlite3_int64);
  int (*truncate)(seqdb_blob *, sqlite3_int64);
  int (*map)(seqdb_blob *, const void **, sqlite3_int64 *);
  int (*reopen)(seqdb_blob *, const char *);
};

struct seqdb_blob {
  const struct seqdb_blob_methods *methods;
};

struct seqdb_blob_api {
  void *connection;
  int (*open)(void *connection, const char *schema, const char *table, const char *name, int flags, seqdb_blob **);
};

#define SEQDB_BLOB_VERSION 1
#define SEQDB_BLOB_POINTER "seqdb-blob-api-1"

/* ---- the calls ---- */

/* Opens a region for reading or writing.  `schema` is as of sqlite3_blob_open(): "main", "temp" or the name of an
** attached database.  flags: SEQDB_BLOB_READ, _WRITE or _CREATE, which makes an empty region if there is none.  *blob
** is the caller's, who closes it; NULL after an error.
** Beside sqlite3_blob_open(): a name instead of column and rowid.
** Errors: SQLITE_ERROR: the extension is not loaded, no such table or region; READONLY: for writing, where that cannot
** be; MISUSE: unknown flags; BUSY, NOMEM and others. */
static inline int seqdb_blob_open(sqlite3 *db, const char *schema, const char *table, const char *name, int flags,
                                  seqdb_blob **blob) {
  struct seqdb_blob_api api = {NULL, NULL};
  sqlite3_stmt *statement = NULL;
  int rc;
  *blob = NULL;
  rc = sqlite3_prepare_v2(db, "SELECT seqdb_blob_api(?1)", -1, &statement, NULL);
  if (rc != SQLITE_OK) return rc;
  rc = sqlite3_bind_pointer(statement, 1, &api, SEQDB_BLOB_POINTER, NULL);
  if (rc == SQLITE_OK) rc = sqlite3_step(statement) == SQLITE_ROW ? sqlite3_reset(statement) : sqlite3_errcode(db);
  sqlite3_finalize(statement);
  if (rc != SQLITE_OK) return rc;
  return api.open ? api.open(api.connection, schema, table, name, flags, blob) : SQLITE_ERROR;
}

/* Ends the handle.  NULL is allowed.  Nothing is lost and nothing is committed by it.
** Beside sqlite3_blob_close(): always SQLITE_OK, as no write waits for it. */
static inline int seqdb_blob_close(seqdb_blob *blob) {
  return blob ? blob->methods->close(blob) : SQLITE_OK;
}

/* The region's length as the connection sees it now; 0 if the region is gone.  Beside sqlite3_blob_bytes(): 64 bits,
** and it grows with the region. */
static inline sqlite3_int64 seqdb_blob_bytes(seqdb_blob *blob) {
  return blob->methods->bytes(blob);
}

/* Copies `n` bytes from `offset` on.  Beside sqlite3_blob_read(): the same, with 64 bits.
** Errors: SQLITE_ERROR: they are not all within the length, and nothing is read; ABORT; IOERR. */
static inline int seqdb_blob_read(seqdb_blob *blob, void *buffer, sqlite3_int64 n, sqlite3_int64 offset) {
  return blob->methods->read(blob, buffer, n, offset);
}

/* Writes `n` bytes at `offset`, which is at most the length; may grow the region.  Beside sqlite3_blob_write(): that
** one never grows anything.
** Errors: SQLITE_ERROR: the offset is past the length; READONLY: not opened for writing; ABORT; BUSY: somebody else has
** changes; FULL, IOERR, NOMEM: over bytes that this transaction has written before, some may be new: roll back. */
static inline int seqdb_blob_write(seqdb_blob *blob, const void *data, sqlite3_int64 n, sqlite3_int64 offset) {
  return blob->methods->write(blob, data, n, offset);
}

/* Appends `n` bytes.  sqlite3_blob has nothing like it.  Errors: as of write. */
static inline int seqdb_blob_append(seqdb_blob *blob, const void *data, sqlite3_int64 n) {
  return blob->methods->append(blob, data, n);
}

/* Cuts to `length` <= the present one.  sqlite3_blob has nothing like it.  Errors: as of write. */
static inline int seqdb_blob_truncate(seqdb_blob *blob, sqlite3_int64 length) {
  return blob->methods->truncate(blob, length);
}

/* Points at the whole region, *bytes long: into the mapping, without a copy, if it can be; what this transaction has
** changed, and with mmap=0, is copied.  *data is never NULL, must not be written to, and is valid until the next call
** on this handle.  It holds back space that others free: do not keep it for long.  sqlite3_blob has nothing like it.
** Errors: ABORT; IOERR, NOMEM. */
static inline int seqdb_blob_map(seqdb_blob *blob, const void **data, sqlite3_int64 *bytes) {
  return blob->methods->map(blob, data, bytes);
}

/* From now on the handle stands for another region of the table.  Beside sqlite3_blob_reopen(): after an error the
** handle is as before, and not of no use.
** Errors: SQLITE_ERROR: there is no such region. */
static inline int seqdb_blob_reopen(seqdb_blob *blob, const char *name) {
  return blob->methods->reopen(blob, name);
}

#ifdef __cplusplus
}
#endif
#endif /* SEQDB_BLOB_H */
