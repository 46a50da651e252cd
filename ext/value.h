/* SPDX-License-Identifier: MIT
**
** value.h: names, data and numbers out of SQL, for arguments of functions and for columns.
*/
#ifndef SDB_VALUE_H
#define SDB_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "failure.h"

/* What a value is called in messages: {"seqdb_append", ": ", "data"} or {"regions", ".", "content"}. */
typedef struct sdb_label {
  const char *owner, *joint, *what;
} sdb_label;

bool sdb_value_is_null(sqlite3_value *value);
/* Bytes belong to the value and are valid as long as SQLite says. */
int sdb_value_name(sdb_label label, sqlite3_value *value, const char **name, size_t *bytes, sdb_failure *f);
int sdb_value_data(sdb_label label, sqlite3_value *value, const void **data, size_t *bytes, sdb_failure *f);
int sdb_value_integer(sdb_label label, sqlite3_value *value, sqlite3_int64 *integer, sdb_failure *f);
/* An integer >= 0. */
int sdb_value_number(sdb_label label, sqlite3_value *value, uint64_t *number, sdb_failure *f);

#endif /* SDB_VALUE_H */
