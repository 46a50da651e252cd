/* SPDX-License-Identifier: MIT
**
** damage.h: what is wrong with the files of a database, as lines for a person.  Layer 2.
** The first problem is the reason that every refused write gives.  A list that nobody would read to its end is not
** kept: after SDB_DAMAGE_KEPT lines problems are only counted.  OWNS its texts.
** THREADS: filled at open, by one; read-only afterwards.
*/
#ifndef SDB_DAMAGE_H
#define SDB_DAMAGE_H

#include "base/error.h"

#define SDB_DAMAGE_KEPT 100u

typedef struct sdb_damage {
  char **problems;       /* NUL-terminated lines */
  size_t kept, capacity; /* of them */
  size_t count;          /* of all problems */
  seqdb_error first;
} sdb_damage;

/* One more problem: the file, the byte where it is, a text.  NOMEM: it is not in the list. */
int sdb_damage_add(sdb_damage *damage, const char *file, uint64_t offset, const char *format, ...) SDB_PRINTF(4, 5);
/* Afterwards there is none. */
void sdb_damage_free(sdb_damage *damage);

#endif /* SDB_DAMAGE_H */
