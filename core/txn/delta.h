/* SPDX-License-Identifier: MIT
**
** delta.h: what a transaction's tree has that the last commit's has not, and which bytes of its regions travel in the
** record.  Layer 4.  OWNS its arrays.  THREADS: none of its own.
*/
#ifndef SDB_DELTA_H
#define SDB_DELTA_H

#include "pure/patch.h"
#include "pure/ranges.h"
#include "space/tree.h"

typedef struct sdb_delta {
  uint32_t *indexes;  /* of entries put, then of entries deleted */
  sdb_range *lengths; /* [start, start + length) of the puts, by start; empty ones left out */
  size_t puts, deletes, length_count;
  uint64_t name_bytes; /* of the puts */
} sdb_delta;

/* NOMEM leaves an empty one. */
int sdb_delta_collect(sdb_delta *delta, const sdb_tree *before, const sdb_tree *after);
void sdb_delta_free(sdb_delta *delta); /* afterwards empty */

/* Bytes of `data` that lie within a length of the delta: the rest of patch and set belongs to nobody any more. */
typedef struct sdb_piece {
  uint64_t offset, bytes;
  const uint8_t *bytes_of_patch; /* NULL: they are in `data` */
} sdb_piece;
/* The first result that is not SEQDB_OK ends the walk and is returned. */
typedef int sdb_piece_visit(void *context, const sdb_piece *piece);
int sdb_delta_each_patched(const sdb_delta *delta, const sdb_patch *patch, sdb_piece_visit *visit, void *context);
int sdb_delta_each_direct(const sdb_delta *delta, const sdb_range_set *direct, sdb_piece_visit *visit, void *context);
/* Take out of the patch what lies outside the lengths.  NOMEM only if a range crosses the end of one and must be
** split. */
int sdb_delta_cut_patch(const sdb_delta *delta, sdb_patch *patch);

#endif /* SDB_DELTA_H */
