/* SPDX-License-Identifier: MIT
**
** sums.c: count, sum, least and greatest of an array of numbers, at the speed of memory.
**
** Sums of f32 and f64 are made in double, in an order that the values alone decide, so that they are the same on every
** machine and however the bytes are read:
**
**   a block is 1024 values; lane j of 16 adds up values j, j + 16, j + 32, ... of the block;
**   the lanes are added in pairs, 16 to 8 to 4 to 2 to 1;
**   blocks are added in pairs, pairs in pairs, and so on; at the end what is left over, the small ones first.
**
** The lanes are what lets a compiler use vector instructions without being allowed to reorder sums.  A block with a NaN
** has one as its sum: only then is it looked at value by value.  Integers are added exactly, in 128 bits.
*/
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "sums.h"

#define LANES 16

/* ---- f32, f64: a block -------------------------------------------------------------------------------------- */

/* Least and greatest so far.  A comparison with NaN is false, so it changes neither. */
typedef struct sdb_bounds {
  double least, greatest;
} sdb_bounds;

static void take_bounds(sdb_bounds *bounds, double low, double high) {
  if (low < bounds->least) bounds->least = low;
  if (high > bounds->greatest) bounds->greatest = high;
}

/* A compiler may not make min and max instructions of comparisons, because of NaN and -0: on x86-64 they are written
** out, and are twice as fast.  add_*() adds whole groups of LANES values; elsewhere plain C does. */
#if defined(__SSE2__)
#include <emmintrin.h>

static void take_pair(sdb_bounds *bounds, __m128d low, __m128d high) {
  double values[4];
  _mm_storeu_pd(values, low);
  _mm_storeu_pd(values + 2, high);
  for (unsigned j = 0; j < 2; j++)
    take_bounds(bounds, values[j], values[j + 2]);
}

static void add_double(const double *x, unsigned n, double lane[LANES], sdb_bounds *bounds) {
  __m128d sum[LANES / 2], low[2], high[2];
  for (unsigned j = 0; j < LANES / 2; j++)
    sum[j] = _mm_loadu_pd(lane + 2 * j);
  for (unsigned j = 0; j < 2; j++) {
    low[j] = _mm_set1_pd(INFINITY);
    high[j] = _mm_set1_pd(-INFINITY);
  }
  for (unsigned i = 0; i < n; i += LANES) {
#pragma GCC unroll 8
    for (unsigned j = 0; j < LANES / 2; j++) {
      __m128d value = _mm_loadu_pd(x + i + 2 * j);
      sum[j] = _mm_add_pd(sum[j], value);
      low[j % 2] = _mm_min_pd(value, low[j % 2]); /* the second one, if one is NaN */
      high[j % 2] = _mm_max_pd(value, high[j % 2]);
    }
  }
  for (unsigned j = 0; j < LANES / 2; j++)
    _mm_storeu_pd(lane + 2 * j, sum[j]);
  for (unsigned j = 0; j < 2; j++)
    take_pair(bounds, low[j], high[j]);
}

static void add_float(const float *x, unsigned n, double lane[LANES], sdb_bounds *bounds) {
  __m128d sum[LANES / 2];
  __m128 low = _mm_set1_ps(INFINITY), high = _mm_set1_ps(-INFINITY);
  for (unsigned j = 0; j < LANES / 2; j++)
    sum[j] = _mm_loadu_pd(lane + 2 * j);
  for (unsigned i = 0; i < n; i += LANES) {
#pragma GCC unroll 4
    for (unsigned j = 0; j < LANES / 4; j++) {
      __m128 value = _mm_loadu_ps(x + i + 4 * j);
      sum[2 * j] = _mm_add_pd(sum[2 * j], _mm_cvtps_pd(value));
      sum[2 * j + 1] = _mm_add_pd(sum[2 * j + 1], _mm_cvtps_pd(_mm_movehl_ps(value, value)));
      low = _mm_min_ps(value, low);
      high = _mm_max_ps(value, high);
    }
  }
  for (unsigned j = 0; j < LANES / 2; j++)
    _mm_storeu_pd(lane + 2 * j, sum[j]);
  take_pair(bounds, _mm_cvtps_pd(low), _mm_cvtps_pd(high));
  take_pair(bounds, _mm_cvtps_pd(_mm_movehl_ps(low, low)), _mm_cvtps_pd(_mm_movehl_ps(high, high)));
}
#else
#define ADD_LANES(TYPE)                                                                       \
  static void add_##TYPE(const TYPE *x, unsigned n, double lane[LANES], sdb_bounds *bounds) { \
    TYPE low[LANES], high[LANES];                                                             \
    for (unsigned j = 0; j < LANES; j++) {                                                    \
      low[j] = (TYPE)INFINITY;                                                                \
      high[j] = (TYPE)-INFINITY;                                                              \
    }                                                                                         \
    for (unsigned i = 0; i < n; i += LANES) {                                                 \
      for (unsigned j = 0; j < LANES; j++) {                                                  \
        lane[j] += (double)x[i + j];                                                          \
        low[j] = x[i + j] < low[j] ? x[i + j] : low[j];                                       \
        high[j] = x[i + j] > high[j] ? x[i + j] : high[j];                                    \
      }                                                                                       \
    }                                                                                         \
    for (unsigned j = 0; j < LANES; j++) {                                                    \
      take_bounds(bounds, (double)low[j], (double)high[j]);                                   \
    }                                                                                         \
  }
ADD_LANES(float)
ADD_LANES(double)
#endif

static double join_lanes(double lane[LANES]) {
  for (unsigned half = LANES / 2; half > 0; half /= 2) {
    for (unsigned j = 0; j < half; j++)
      lane[j] += lane[j + half];
  }
  return lane[0];
}

#define FLOAT_BLOCK(TYPE)                                                     \
  static double sum_##TYPE(const TYPE *x, unsigned n, sdb_bounds *bounds) {   \
    double lane[LANES] = {0};                                                 \
    const unsigned whole = n / LANES * LANES;                                 \
    add_##TYPE(x, whole, lane, bounds);                                       \
    for (unsigned i = whole; i < n; i++) {                                    \
      lane[i - whole] += (double)x[i];                                        \
      take_bounds(bounds, (double)x[i], (double)x[i]);                        \
    }                                                                         \
    return join_lanes(lane);                                                  \
  }                                                                           \
  /* The same without those that are NaN. */                                  \
  static double sum_some_##TYPE(const TYPE *x, unsigned n, unsigned *count) { \
    double lane[LANES] = {0};                                                 \
    for (unsigned i = 0; i < n; i++) {                                        \
      if (isnan(x[i])) continue;                                              \
      lane[i % LANES] += (double)x[i];                                        \
      ++*count;                                                               \
    }                                                                         \
    return join_lanes(lane);                                                  \
  }                                                                           \
  static void block_##TYPE(sdb_sums *sums, const void *data, unsigned n) {    \
    sdb_bounds bounds = {sums->least, sums->greatest};                        \
    unsigned count = n;                                                       \
    double sum = sum_##TYPE(data, n, &bounds);                                \
    if (isnan(sum)) {                                                         \
      count = 0;                                                              \
      sum = sum_some_##TYPE(data, n, &count);                                 \
    }                                                                         \
    sums->least = bounds.least;                                               \
    sums->greatest = bounds.greatest;                                         \
    sums->count += count;                                                     \
    add_block(sums, sum);                                                     \
  }

/* As one is added to a binary number. */
static void add_block(sdb_sums *sums, double sum) {
  unsigned level = 0;
  for (; sums->blocks >> level & 1; level++)
    sum = sums->level[level] + sum;
  sums->level[level] = sum;
  sums->blocks++;
}

FLOAT_BLOCK(float)
FLOAT_BLOCK(double)

static double float_sum(const sdb_sums *sums) {
  double sum = 0;
  for (unsigned level = 0; level < SDB_SUMS_LEVELS; level++) {
    if (sums->blocks >> level & 1) sum = sums->level[level] + sum;
  }
  return sum;
}

/* ---- integers: a block -------------------------------------------------------------------------------------- */

static void take_integers(sdb_sums *sums, int64_t low, int64_t high) {
  if (sums->count == 0 || low < sums->least_integer) sums->least_integer = low;
  if (sums->count == 0 || high > sums->greatest_integer) sums->greatest_integer = high;
}

static void add_128(sdb_sums *sums, int64_t upper, uint64_t lower) {
  sums->sum[0] += lower;
  sums->sum[1] += (uint64_t)upper + (sums->sum[0] < lower);
}

#define INTEGER_BLOCK(TYPE)                                                \
  static void block_##TYPE(sdb_sums *sums, const void *data, unsigned n) { \
    const TYPE *x = data;                                                  \
    int64_t sum = 0;                                                       \
    TYPE low = x[0], high = x[0];                                          \
    for (unsigned i = 0; i < n; i++) {                                     \
      sum += (int64_t)x[i];                                                \
      low = x[i] < low ? x[i] : low;                                       \
      high = x[i] > high ? x[i] : high;                                    \
    }                                                                      \
    take_integers(sums, (int64_t)low, (int64_t)high);                      \
    add_128(sums, sum < 0 ? -1 : 0, (uint64_t)sum);                        \
    sums->count += n;                                                      \
  }

INTEGER_BLOCK(int8_t)
INTEGER_BLOCK(uint8_t)
INTEGER_BLOCK(int16_t)
INTEGER_BLOCK(uint16_t)
INTEGER_BLOCK(int32_t)
INTEGER_BLOCK(uint32_t)

/* The halves apart: neither of their sums can overflow in a block. */
static void block_int64_t(sdb_sums *sums, const void *data, unsigned n) {
  const int64_t *x = data;
  uint64_t lower = 0;
  int64_t upper = 0, low = x[0], high = x[0];
  for (unsigned i = 0; i < n; i++) {
    lower += (uint64_t)x[i] & UINT32_MAX;
    upper += x[i] >> 32;
    low = x[i] < low ? x[i] : low;
    high = x[i] > high ? x[i] : high;
  }
  take_integers(sums, low, high);
  add_128(sums, upper >> 32, (uint64_t)upper << 32);
  add_128(sums, 0, lower);
  sums->count += n;
}

/* ---- all types ---------------------------------------------------------------------------------------------- */

typedef void block_function(sdb_sums *sums, const void *data, unsigned n);

static block_function *block_of(enum sdb_type_kind kind) {
  static block_function *const functions[] = {
      [SDB_I8] = block_int8_t,   [SDB_U8] = block_uint8_t,   [SDB_I16] = block_int16_t, [SDB_U16] = block_uint16_t,
      [SDB_I32] = block_int32_t, [SDB_U32] = block_uint32_t, [SDB_I64] = block_int64_t, [SDB_U64] = block_int64_t,
      [SDB_F32] = block_float,   [SDB_F64] = block_double,
  };
  return functions[kind];
}

/* The block in this machine's order of bytes. */
static const void *native(const sdb_type *type, const void *data, unsigned n, void *swapped) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  (void)type;
  (void)n;
  (void)swapped;
  return data;
#else
  const uint8_t *from = data;
  uint8_t *to = swapped;
  for (unsigned i = 0; i < n * type->bytes; i++)
    to[i] = from[i / type->bytes * type->bytes + (type->bytes - 1 - i % type->bytes)];
  return swapped;
#endif
}

static unsigned find_too_large(const int64_t *x) {
  unsigned i = 0;
  while (x[i] >= 0)
    i++;
  return i;
}

uint64_t sdb_sums_add(sdb_sums *sums, const void *data, uint64_t values) {
  block_function *block = block_of(sums->type->kind);
  uint64_t swapped[SDB_SUMS_BLOCK];
  const uint8_t *at = data;
  if (sums->count == 0 && sums->blocks == 0) {
    sums->least = INFINITY;
    sums->greatest = -INFINITY;
  }
  for (uint64_t done = 0; done < values;) {
    unsigned n = values - done < SDB_SUMS_BLOCK ? (unsigned)(values - done) : SDB_SUMS_BLOCK;
    const void *x = native(sums->type, at, n, swapped);
    block(sums, x, n);
    if (sums->type->kind == SDB_U64 && sums->least_integer < 0) return done + find_too_large(x);
    done += n;
    at += (size_t)n * sums->type->bytes;
  }
  return values;
}

/* ---- JSON --------------------------------------------------------------------------------------------------- */

/* As few digits as tell it from its neighbours, whatever the release of SQLite prints of more. */
static int digits_of(double value) {
  char text[40];
  int digits = 15;
  while (digits < 17 && (snprintf(text, sizeof text, "%.*g", digits, value) < 0 || strtod(text, NULL) != value))
    digits++;
  return digits;
}

/* JSON has no infinity; SQLite reads this number as one, and writes it so itself. */
static void add_real(sqlite3_str *json, const char *key, double value, bool known) {
  if (!known || isnan(value)) {
    sqlite3_str_appendf(json, ",\"%s\":null", key);
  } else if (isinf(value)) {
    sqlite3_str_appendf(json, ",\"%s\":%s9.0e+999", key, value < 0 ? "-" : "");
  } else {
    sqlite3_str_appendf(json, ",\"%s\":%!.*g", key, digits_of(value), value);
  }
}

/* The sum without its sign, in four parts of 32 bits, the upper ones first.  true: it is negative. */
static bool magnitude(const sdb_sums *sums, uint64_t parts[4]) {
  bool negative = (sums->sum[1] >> 63) != 0;
  uint64_t lower = negative ? ~sums->sum[0] + 1 : sums->sum[0];
  uint64_t upper = negative ? ~sums->sum[1] + (lower == 0) : sums->sum[1];
  parts[0] = upper >> 32;
  parts[1] = upper & UINT32_MAX;
  parts[2] = lower >> 32;
  parts[3] = lower & UINT32_MAX;
  return negative;
}

static double integer_sum(const sdb_sums *sums) {
  uint64_t parts[4];
  bool negative = magnitude(sums, parts);
  double sum = 0;
  for (unsigned i = 0; i < 4; i++)
    sum = sum * 4294967296.0 + (double)parts[i];
  return negative ? -sum : sum;
}

static void add_sum(sqlite3_str *json, const sdb_sums *sums) {
  char digits[48];
  char *at = digits + sizeof digits;
  uint64_t parts[4];
  bool negative = magnitude(sums, parts);
  *--at = '\0';
  do {
    uint64_t rest = 0;
    for (unsigned i = 0; i < 4; i++) {
      rest = rest << 32 | parts[i];
      parts[i] = rest / 10;
      rest %= 10;
    }
    *--at = (char)('0' + (int)rest);
  } while (parts[0] | parts[1] | parts[2] | parts[3]);
  sqlite3_str_appendf(json, ",\"sum\":%s%s", negative ? "-" : "", at);
}

char *sdb_sums_json(const sdb_sums *sums) {
  bool real = sums->type->kind == SDB_F32 || sums->type->kind == SDB_F64, known = sums->count > 0;
  double mean = (real ? float_sum(sums) : integer_sum(sums)) / (double)(known ? sums->count : 1);
  sqlite3_str *json = sqlite3_str_new(NULL);
  sqlite3_str_appendf(json, "{\"count\":%llu", (unsigned long long)sums->count);
  if (real || !known) {
    add_real(json, "sum", float_sum(sums), known);
    add_real(json, "min", sums->least, known);
    add_real(json, "max", sums->greatest, known);
  } else {
    add_sum(json, sums);
    sqlite3_str_appendf(json, ",\"min\":%lld,\"max\":%lld", (sqlite3_int64)sums->least_integer,
                        (sqlite3_int64)sums->greatest_integer);
  }
  add_real(json, "mean", mean, known);
  sqlite3_str_appendchar(json, 1, '}');
  return sqlite3_str_finish(json);
}
