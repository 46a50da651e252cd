/* SPDX-License-Identifier: MIT
**
** failure.c: from the engine's codes and messages to SQLite's.
**
** A failure is filled once, where object, operation and cause are known, and travels unchanged to the place where
** SQLite takes it: zErrMsg of a virtual table, the result of a function, the text of xCreate.
**
** Inside BEGIN the code decides what SQLite undoes: the whole transaction for IOERR and INTERRUPT, and for FULL and
** NOMEM in a statement of one row; the statement alone for every other code.
*/
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include "check.h"
#include "failure.h"

static int sqlite_code(int engine_code) {
  switch (engine_code) {
    case SEQDB_OK:
      return SQLITE_OK;
    case SEQDB_EXISTS:
      return SQLITE_CONSTRAINT_UNIQUE;
    case SEQDB_READONLY:
      return SQLITE_READONLY;
    case SEQDB_BUSY:
      return SQLITE_BUSY;
    case SEQDB_LOCKED:
      return SQLITE_BUSY;
    case SEQDB_FULL:
      return SQLITE_FULL;
    case SEQDB_IO:
      return SQLITE_IOERR;
    case SEQDB_POISONED:
      return SQLITE_IOERR_FSYNC;
    case SEQDB_NOMEM:
      return SQLITE_NOMEM;
    case SEQDB_CORRUPT:
      return SQLITE_CORRUPT_VTAB;
    case SEQDB_VERSION:
      return SQLITE_CANTOPEN;
    case SEQDB_CANTOPEN:
      return SQLITE_CANTOPEN;
    case SEQDB_INTERRUPTED:
      return SQLITE_INTERRUPT;
    case SEQDB_MISUSE:
      return SQLITE_MISUSE;
    case SEQDB_GAP:
      return SQLITE_RANGE;
    default:
      return SQLITE_ERROR; /* NOTFOUND, INVALID, RANGE: the statement asked for it */
  }
}

int sdb_failure_set(sdb_failure *f, int code, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  sqlite3_free(f->message);
  f->message = sqlite3_vmprintf(format, arguments);
  f->code = code;
  va_end(arguments);
  return code;
}

int sdb_failure_nomem(sdb_failure *f) {
  sdb_failure_clear(f);
  f->code = SQLITE_NOMEM;
  return SQLITE_NOMEM;
}

int sdb_failure_record(sdb_failure *f, const seqdb_error *record) {
  int code = sqlite_code(record->code);
  const char *text = record->message[0] ? record->message : seqdb_strerror(record->code);
  /* Programs look for SQLite's own words when they decide whether to try again. */
  bool has_words = strncmp(text, "database is locked", 18) == 0;
  if (code == SQLITE_BUSY && !has_words) return sdb_failure_set(f, code, "database is locked: %s", text);
  return sdb_failure_set(f, code, "%s", text);
}

/* Apart: the record is large, and what a function has at its begin is made on its other way, too. */
static int take_record(sdb_failure *f, seqdb *engine, int rc) {
  seqdb_error record = SEQDB_ERROR_INIT;
  seqdb_get_error(engine, &record);
  if (record.code != rc) { /* a child of fork, where the engine refuses without a record */
    record.code = rc;
    record.message[0] = '\0';
  }
  return sdb_failure_record(f, &record);
}

int sdb_failure_engine(sdb_failure *f, seqdb *engine, int rc) {
  return rc == SEQDB_OK ? SQLITE_OK : take_record(f, engine, rc);
}

int sdb_failure_nested(sdb_failure *f, sqlite3 *db) {
  int code = sqlite3_extended_errcode(db);
  if (SDB_NEVER(code == SQLITE_OK || code == SQLITE_ROW || code == SQLITE_DONE)) code = SQLITE_ERROR;
  return sdb_failure_set(f, code, "%s", sqlite3_errmsg(db));
}

int sdb_failure_toobig(sdb_failure *f, sqlite3 *db, const char *name, size_t name_bytes, uint64_t wanted_bytes) {
  char text[SDB_SHOWN_NAME_MAX];
  const char *shown = sdb_shown_name(name, name_bytes, text);
  int most = sqlite3_limit(db, SQLITE_LIMIT_LENGTH, -1);
  return sdb_failure_set(f, SQLITE_TOOBIG,
                         "string or blob too big: %llu bytes of region '%s', and a value has %d at most: read it in "
                         "pieces with seqdb_read(table, name, offset, count)",
                         (unsigned long long)wanted_bytes, shown, most);
}

void sdb_failure_clear(sdb_failure *f) {
  sqlite3_free(f->message);
  f->message = NULL;
  f->code = SQLITE_OK;
}

static int hand_over(sdb_failure *f, char **text) {
  int code = f->code;
  if (code == SQLITE_OK) return SQLITE_OK;
  sqlite3_free(*text);
  *text = f->message;
  *f = (sdb_failure){0};
  return code;
}

int sdb_failure_to_vtab(sdb_failure *f, sqlite3_vtab *vtab) {
  return hand_over(f, &vtab->zErrMsg);
}

int sdb_failure_to_string(sdb_failure *f, char **text) {
  return hand_over(f, text);
}

void sdb_failure_to_result(sdb_failure *f, sqlite3_context *context) {
  if (f->message) sqlite3_result_error(context, f->message, -1);
  if (f->code == SQLITE_NOMEM) {
    sqlite3_result_error_nomem(context);
  } else {
    sqlite3_result_error_code(context, f->code);
  }
  sdb_failure_clear(f);
}

const char *sdb_shown_name(const char *name, size_t name_bytes, char out[SDB_SHOWN_NAME_MAX]) {
  size_t kept = name_bytes < SDB_SHOWN_NAME_MAX - 4 ? name_bytes : SDB_SHOWN_NAME_MAX - 4;
  if (kept < name_bytes) {
    while (kept > 0 && ((unsigned char)name[kept] & 0xc0) == 0x80)
      kept--; /* not inside a character */
  }
  for (size_t i = 0; i < kept; i++)
    out[i] = (unsigned char)name[i] < 0x20 || name[i] == 0x7f ? '?' : name[i];
  memcpy(out + kept, kept < name_bytes ? "..." : "", kept < name_bytes ? 4 : 1);
  return out;
}
