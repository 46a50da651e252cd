/* SPDX-License-Identifier: MIT
**
** value.c: names, data and numbers out of SQL.
**
** Nothing is cast, with one exception: many languages have one type for all numbers and bind 12 as 12.0, and text files
** know no numbers at all.  So a whole number is taken as REAL and as TEXT too.  2.5, 1e30, 'two' and a BLOB are none.
** TEXT is taken as UTF-8, whatever the encoding of the database.
*/
#include <stdbool.h>
#include <string.h>
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

#define INT64_LIMIT 9223372036854775808.0

/* A REAL that an integer of 64 bits can be; NaN is none. */
static bool whole_real(double real, sqlite3_int64 *integer) {
  if (!(real >= -INT64_LIMIT && real < INT64_LIMIT)) return false;
  *integer = (sqlite3_int64)real;
  return (double)*integer == real;
}

static const char *skip(const char *p, const char *set) {
  return p + strspn(p, set);
}

#define BLANKS " \t\n\v\f\r"
#define DIGITS "0123456789"

/* The texts that SQLite takes for a number where a column is numeric.  *integral: neither fraction nor exponent. */
static bool is_numeric(const char *text, size_t bytes, bool *integral) {
  const char *p = skip(text, BLANKS), *begin;
  p += *p == '+' || *p == '-';
  begin = p;
  p = skip(p, DIGITS);
  *integral = *p != '.' && *p != 'e' && *p != 'E';
  bool digits = p > begin;
  if (*p == '.') {
    begin = p + 1;
    p = skip(begin, DIGITS);
    digits = digits || p > begin;
  }
  if (digits && (*p == 'e' || *p == 'E')) {
    p++;
    p += *p == '+' || *p == '-';
    begin = p;
    p = skip(p, DIGITS);
    digits = p > begin;
  }
  return digits && skip(p, BLANKS) == text + bytes;
}

/* Not with sqlite3_value_numeric_type(): that changes the value, which SQLite may use for something else, and crashes
** for a copy of it (3.53). */
static bool whole_text(sqlite3_value *value, const char *text, sqlite3_int64 *integer) {
  double real = sqlite3_value_double(value);
  bool integral;
  if (!is_numeric(text, (size_t)sqlite3_value_bytes(value), &integral)) return false;
  if (!integral || real < -INT64_LIMIT || real > INT64_LIMIT) return whole_real(real, integer);
  *integer = sqlite3_value_int64(value);
  return true;
}

int sdb_value_integer(const char *owner, const char *what, sqlite3_value *value, sqlite3_int64 *integer,
                      sdb_failure *f) {
  int type = sqlite3_value_type(value);
  bool whole = type == SQLITE_INTEGER;
  if (type == SQLITE_INTEGER) {
    *integer = sqlite3_value_int64(value);
  } else if (type == SQLITE_FLOAT) {
    whole = whole_real(sqlite3_value_double(value), integer);
  } else if (type == SQLITE_TEXT) {
    const char *text = (const char *)sqlite3_value_text(value);
    if (!text) return sdb_failure_nomem(f);
    whole = whole_text(value, text, integer);
  }
  return whole ? SQLITE_OK : wrong_type(owner, what, "a whole number", f);
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
