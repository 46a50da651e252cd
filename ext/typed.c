/* SPDX-License-Identifier: MIT
**
** typed.c: regions as arrays of numbers: which type, which part, one value.
*/
#include <string.h>
#include "typed.h"
#include "value.h"

static const sdb_type types[] = {
    {"i8", SDB_I8, 1},   {"u8", SDB_U8, 1},   {"i16", SDB_I16, 2}, {"u16", SDB_U16, 2}, {"i32", SDB_I32, 4},
    {"u32", SDB_U32, 4}, {"i64", SDB_I64, 8}, {"u64", SDB_U64, 8}, {"f32", SDB_F32, 4}, {"f64", SDB_F64, 8},
};

/* ---- arguments --------------------------------------------------------------------------------------------- */

static int take_type(const char *function, sqlite3_value *value, const sdb_type **type, sdb_failure *f) {
  const char *text = sqlite3_value_type(value) == SQLITE_TEXT ? (const char *)sqlite3_value_text(value) : NULL;
  for (size_t i = 0; text && i < sizeof types / sizeof types[0]; i++) {
    if (strcmp(text, types[i].name) != 0) continue;
    *type = &types[i];
    return SQLITE_OK;
  }
  if (text) {
    char shown[SDB_SHOWN_NAME_MAX];
    return sdb_failure_set(f, SQLITE_ERROR, "%s: unknown type '%s' (i8, u8, i16, u16, i32, u32, i64, u64, f32, f64)",
                           function, sdb_shown_name(text, strlen(text), shown));
  }
  return sdb_failure_set(f, SQLITE_ERROR, "%s: type must be TEXT: i8, u8, i16, u16, i32, u32, i64, u64, f32 or f64",
                         function);
}

int sdb_typed_take(const char *function, sqlite3_value *type, sqlite3_value *first, sqlite3_value *count,
                   sdb_typed *typed, sdb_failure *f) {
  typed->first = 0;
  typed->count = UINT64_MAX;
  if (take_type(function, type, &typed->type, f) != SQLITE_OK) return f->code;
  if (first && sdb_value_number(function, ": first", first, &typed->first, f) != SQLITE_OK) return f->code;
  if (count && sdb_value_number(function, ": count", count, &typed->count, f) != SQLITE_OK) return f->code;
  return SQLITE_OK;
}

int sdb_typed_fit(const char *function, const sdb_reader *reader, sdb_typed *typed, sdb_failure *f) {
  const unsigned bytes = typed->type->bytes;
  const unsigned long long values = reader->length_bytes / bytes;
  if (reader->length_bytes % bytes != 0) {
    return sdb_failure_set(f, SQLITE_ERROR, "%s: region '%s': its length %llu is no multiple of %u, the size of %s",
                           function, reader->shown, (unsigned long long)reader->length_bytes, bytes, typed->type->name);
  }
  if (typed->first > values) {
    return sdb_failure_set(f, SQLITE_ERROR, "%s: region '%s': first %llu is past its %llu values", function,
                           reader->shown, (unsigned long long)typed->first, values);
  }
  if (typed->count == UINT64_MAX) typed->count = values - typed->first;
  if (typed->count > values - typed->first) {
    return sdb_failure_set(f, SQLITE_ERROR, "%s: region '%s': count %llu from %llu on is past its %llu values",
                           function, reader->shown, (unsigned long long)typed->count, (unsigned long long)typed->first,
                           values);
  }
  return SQLITE_OK;
}

/* ---- one value --------------------------------------------------------------------------------------------- */

static uint64_t load(const void *data, unsigned bytes) {
  const uint8_t *p = data;
  uint64_t value = 0;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  memcpy(&value, p, bytes);
#else
  for (unsigned i = bytes; i > 0; i--)
    value = value << 8 | p[i - 1];
#endif
  return value;
}

uint64_t sdb_typed_u64(const void *data) {
  return load(data, 8);
}

static double load_f32(const void *data) {
  uint32_t bits = (uint32_t)load(data, 4);
  float value;
  memcpy(&value, &bits, sizeof value);
  return (double)value;
}

static double load_f64(const void *data) {
  uint64_t bits = load(data, 8);
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

bool sdb_typed_result(const sdb_type *type, const void *data, sqlite3_context *context) {
  switch (type->kind) {
    case SDB_F64:
      sqlite3_result_double(context, load_f64(data)); /* which makes NULL of NaN */
      return true;
    case SDB_F32:
      sqlite3_result_double(context, load_f32(data));
      return true;
    case SDB_I8:
      sqlite3_result_int64(context, (int8_t)load(data, 1));
      return true;
    case SDB_I16:
      sqlite3_result_int64(context, (int16_t)load(data, 2));
      return true;
    case SDB_I32:
      sqlite3_result_int64(context, (int32_t)load(data, 4));
      return true;
    case SDB_U64:
      if (sdb_typed_u64(data) > INT64_MAX) return false;
      break;
    default:
      break;
  }
  sqlite3_result_int64(context, (sqlite3_int64)load(data, type->bytes));
  return true;
}

int sdb_typed_too_large(const char *function, const sdb_reader *reader, uint64_t i, uint64_t value, sdb_failure *f) {
  return sdb_failure_set(f, SQLITE_ERROR, "%s: region '%s': value %llu at i = %llu is larger than SQL's integers",
                         function, reader->shown, (unsigned long long)value, (unsigned long long)i);
}
