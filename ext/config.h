/* SPDX-License-Identifier: MIT
**
** config.h: what CREATE VIRTUAL TABLE was given.
*/
#ifndef SDB_CONFIG_H
#define SDB_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include "failure.h"

typedef struct sdb_config {
  char *path; /* of the directory: as given, then absolute (path.c); from sqlite3_malloc */
  bool path_given;
  bool atomic, atomic_given;
  bool readonly;
  unsigned flags; /* SEQDB_OPEN_* */
  uint64_t min_size_bytes;
} sdb_config;

/* `argv` without module, schema and table.  On failure *config is empty. */
int sdb_config_parse(sdb_config *config, int argc, const char *const *argv, sdb_failure *f);
void sdb_config_clear(sdb_config *config);

#endif /* SDB_CONFIG_H */
