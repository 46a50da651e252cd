/* SPDX-License-Identifier: MIT
**
** sums.h: count, sum, least and greatest of an array of numbers.
*/
#ifndef SDB_SUMS_H
#define SDB_SUMS_H

#include <stdbool.h>
#include <stdint.h>
#include "typed.h"

#define SDB_SUMS_BLOCK  1024u
#define SDB_SUMS_LEVELS 54u /* 2^63 bytes of blocks of 1024 values */

/* Starts as {.type = ...}. */
typedef struct sdb_sums {
  const sdb_type *type;
  uint64_t count; /* values that are not NaN */
  /* f32, f64 */
  double level[SDB_SUMS_LEVELS]; /* sums of 2^i blocks, where `blocks` has bit i */
  uint64_t blocks;
  double least, greatest;
  /* the others */
  uint64_t sum[2];                         /* lower and upper half of a sum of 128 bits, two's complement */
  int64_t least_integer, greatest_integer; /* of u64 as if it was i64, from 0 on */
} sdb_sums;

/* `values` values at `data`, which is aligned as their type; SDB_SUMS_BLOCK or a multiple of it, but for the last
** call.  Returns how many came before the first u64 that is 2^63 or more: `values` if there is none. */
uint64_t sdb_sums_add(sdb_sums *sums, const void *data, uint64_t values);
/* {"count":…,"sum":…,"min":…,"max":…,"mean":…}, from sqlite3_malloc; NULL: no memory. */
char *sdb_sums_json(const sdb_sums *sums);

#endif /* SDB_SUMS_H */
