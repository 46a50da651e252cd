/* SPDX-License-Identifier: MIT
**
** value.h: names, data and numbers out of SQL, for arguments of functions and for columns.
*/
#ifndef SDB_VALUE_H
#define SDB_VALUE_H

#include <stddef.h>
#include <stdint.h>
#include "failure.h"

/* In messages a value is called `owner` and then `what`: "seqdb_append", ": data", or "regions", ".content".
** Bytes belong to the value and are valid as long as SQLite says. */
int sdb_value_name(const char *owner, const char *what, sqlite3_value *value, const char **name, size_t *bytes,
                   sdb_failure *f);
int sdb_value_data(const char *owner, const char *what, sqlite3_value *value, const void **data, size_t *bytes,
                   sdb_failure *f);
/* A whole number: INTEGER, REAL or TEXT. */
int sdb_value_integer(const char *owner, const char *what, sqlite3_value *value, sqlite3_int64 *integer,
                      sdb_failure *f);
/* The same, >= 0. */
int sdb_value_number(const char *owner, const char *what, sqlite3_value *value, uint64_t *number, sdb_failure *f);

#endif /* SDB_VALUE_H */
