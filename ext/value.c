/* SPDX-License-Identifier: MIT
**
** value.c: names, data and numbers out of SQL.
**
** A value must have the type that is asked for: 12.0 or '12' is no number, and nothing is cast.  TEXT is taken as
** UTF-8, whatever the encoding of the database.
*/
#include "value.h"

/* sqlite3_value_text() would copy what was bound without a 0 byte behind it.  The order matters: sqlite3_value_bytes()
** converts UTF-16. */
static int take_bytes(sqlite3_value *value, const void **data, size_t *bytes, sdb_failure *f) {
  *bytes = (size_t)sqlite3_value_bytes(value);
  *data = sqlite3_value_blob(value);
  if (!*data && *bytes > 0) return sdb_failure_nomem(f);
  if (!*data) *data = "";
  return SQLITE_OK;
}

static int wrong_type(const char *owner, const char *what, const char *wanted, sdb_failure *f) {
  return sdb_failure_set(f, SQLITE_ERROR, "%s%s must be %s", owner, what, wanted);
}

int sdb_value_name(const char *owner, const char *what, sqlite3_value *value, const char **name, size_t *bytes,
                   sdb_failure *f) {
  if (sqlite3_value_type(value) != SQLITE_TEXT) return wrong_type(owner, what, "TEXT", f);
  return take_bytes(value, (const void **)name, bytes, f);
}

int sdb_value_data(const char *owner, const char *what, sqlite3_value *value, const void **data, size_t *bytes,
                   sdb_failure *f) {
  int type = sqlite3_value_type(value);
  if (type != SQLITE_BLOB && type != SQLITE_TEXT) return wrong_type(owner, what, "BLOB or TEXT", f);
  return take_bytes(value, data, bytes, f);
}

int sdb_value_integer(const char *owner, const char *what, sqlite3_value *value, sqlite3_int64 *integer,
                      sdb_failure *f) {
  if (sqlite3_value_type(value) != SQLITE_INTEGER) return wrong_type(owner, what, "an INTEGER", f);
  *integer = sqlite3_value_int64(value);
  return SQLITE_OK;
}

int sdb_value_number(const char *owner, const char *what, sqlite3_value *value, uint64_t *number, sdb_failure *f) {
  sqlite3_int64 integer = 0;
  if (sdb_value_integer(owner, what, value, &integer, f) != SQLITE_OK) return f->code;
  if (integer < 0) {
    return sdb_failure_set(f, SQLITE_ERROR, "%s%s %lld is negative", owner, what, integer);
  }
  *number = (uint64_t)integer;
  return SQLITE_OK;
}
