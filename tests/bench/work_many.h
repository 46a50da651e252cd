/* SPDX-License-Identifier: MIT
**
** work_many.h: databases of many regions, for whoever opens them.
*/
#ifndef WORK_MANY_H
#define WORK_MANY_H

#include "contenders.h"

#define BENCH_NAME_BYTES 13

void bench_name_of(uint64_t i, char name[BENCH_NAME_BYTES + 1]);
/* A table t with so many rows: name, offset, length. */
/* clang-format off */
#define BENCH_ROWID_TABLE \
  "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, offset INTEGER, length INTEGER)"
/* clang-format on */
void bench_prepare_sqlite(bench_run *run, const char *schema, uint64_t count);

#endif /* WORK_MANY_H */
