/* SPDX-License-Identifier: MIT
**
** typed.h: regions as arrays of numbers, little-endian, one after the other: i8 to u64, f32, f64.
*/
#ifndef SDB_TYPED_H
#define SDB_TYPED_H

#include <stdbool.h>
#include <stdint.h>
#include "failure.h"
#include "reader.h"

enum sdb_type_kind { SDB_I8, SDB_U8, SDB_I16, SDB_U16, SDB_I32, SDB_U32, SDB_I64, SDB_U64, SDB_F32, SDB_F64 };

typedef struct sdb_type {
  char name[4];
  enum sdb_type_kind kind;
  unsigned bytes; /* of one value */
} sdb_type;

/* Values [first, first + count) of a region. */
typedef struct sdb_typed {
  const sdb_type *type;
  uint64_t first, count;
} sdb_typed;

/* Arguments of `function`; first and count may be NULL pointers: from the first one on, all of them. */
int sdb_typed_take(const char *function, sqlite3_value *type, sqlite3_value *first, sqlite3_value *count,
                   sdb_typed *typed, sdb_failure *f);
/* The region's length must be a multiple of the type's, and have those values; a count that was not given becomes what
** is left. */
int sdb_typed_fit(const char *function, const sdb_reader *reader, sdb_typed *typed, sdb_failure *f);

/* The value at `data` as an SQL value: NaN is NULL.  false, and no result: a u64 from 2^63 on, which SQL has no integer
** for. */
bool sdb_typed_result(const sdb_type *type, const void *data, sqlite3_context *context);
/* The error for it. */
int sdb_typed_too_large(const char *function, const sdb_reader *reader, uint64_t i, uint64_t value, sdb_failure *f);
/* The u64 at `data`. */
uint64_t sdb_typed_u64(const void *data);

#endif /* SDB_TYPED_H */
