/* SPDX-License-Identifier: MIT
**
** branches.h: the records of a journal as a tree: which of them lead to a state (T2).
**
** A record names its parent.  Where an SQLite file decides, its prepares stay undecided until they are settled, and a
** prepare may have siblings: those that were rolled back, or seemed to be.
**
**     settled --- a --- b --- d        the file's token is d: a, b and d count, c does not
**                  \
**                   c
** Pure: no I/O.  OWNS its array.  THREADS: the caller's.
*/
#ifndef SDB_BRANCHES_H
#define SDB_BRANCHES_H

#include "pure/record.h"

typedef struct sdb_branch {
  sdb_token token, parent, settled;
  sdb_file_uuid file;
  uint64_t position, generation;
  bool decides; /* an empty commit, or an overlay's record: nobody's parent */
  bool open;    /* a prepare that no SQLite file decides about */
  bool named;   /* ... in the name of a coordinator */
  bool kept;    /* it counts */
} sdb_branch;

typedef struct sdb_branches {
  sdb_branch *items; /* in the order of the journal */
  size_t count, capacity;
} sdb_branches;

bool sdb_file_is_none(const sdb_file_uuid *file);
bool sdb_token_is(const sdb_token *a, const sdb_token *b);

/* NOMEM. */
int sdb_branches_add(sdb_branches *branches, const sdb_record_header *header);
void sdb_branches_free(sdb_branches *branches);
/* Its number, counted from 1; 0: none of the records has that token. */
size_t sdb_branches_find(const sdb_branches *branches, const sdb_token *token);
/* The record that begins there; 0: none. */
size_t sdb_branches_at(const sdb_branches *branches, uint64_t position);
/* The newest state that no SQLite file decides about; `drop`: a prepare in a coordinator's name does not count.  0: the
** base. */
size_t sdb_branches_last(const sdb_branches *branches, bool drop);
/* Record `tip` (0: the base) is the state: it and its ancestors count, and what only decides. */
void sdb_branches_keep(sdb_branches *branches, size_t tip);

#endif /* SDB_BRANCHES_H */
