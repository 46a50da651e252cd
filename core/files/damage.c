/* SPDX-License-Identifier: MIT
**
** damage.c: see damage.h.
*/
#include "files/damage.h"

#include <stdarg.h>
#include <stdio.h>
#include "os/os.h"

int sdb_damage_add(sdb_damage *damage, const char *file, uint64_t offset, const char *format, ...) {
  char line[sizeof damage->first.message];
  va_list args;
  va_start(args, format);
  vsnprintf(line, sizeof line, format, args);
  va_end(args);
  sdb_op op = {"open", &damage->first};
  if (damage->count == 0) sdb_error_set(&op, SEQDB_CORRUPT, file, offset, "%s", line);
  if (damage->kept == SDB_DAMAGE_KEPT) {
    damage->count++;
    return SEQDB_OK;
  }
  if (damage->kept == damage->capacity) {
    size_t capacity = damage->capacity ? 2 * damage->capacity : 8;
    char **grown = sdb_realloc(damage->problems, capacity * sizeof *grown);
    if (!grown) return SEQDB_NOMEM;
    damage->problems = grown;
    damage->capacity = capacity;
  }
  char *copy = sdb_malloc(strlen(line) + 1);
  if (!copy) return SEQDB_NOMEM;
  memcpy(copy, line, strlen(line) + 1);
  damage->problems[damage->kept++] = copy;
  damage->count++;
  return SEQDB_OK;
}

void sdb_damage_free(sdb_damage *damage) {
  for (size_t i = 0; i < damage->kept; i++)
    sdb_free(damage->problems[i]);
  sdb_free(damage->problems);
  memset(damage, 0, sizeof *damage);
}
