/* SPDX-License-Identifier: MIT
**
** record.h: reading what lies in a carrier: the newest epoch and head, the chain, parts of objects.
*/
#ifndef SHIP_RECORD_H
#define SHIP_RECORD_H

#include "ship.h"

/* The newest epoch, head; their number is 0 if there is none.  Records are never removed, so they are found by asking
** for numbers: doubling, then halving. */
ship_status record_newest_epoch(ship *s, chain_epoch *epoch);
ship_status record_newest_head(ship *s, chain_head *head);
/* That one; SHIP_MISSING. */
ship_status record_head(ship *s, uint64_t number, chain_head *head);
/* Has a publisher of a later epoch begun?  SHIP_FENCED, with its name. */
ship_status record_check_fence(ship *s, uint64_t epoch);
/* Has that epoch's publisher ended in good order? */
ship_status record_has_ended(ship *s, uint64_t epoch, bool *ended);

/* A part, without its envelope. */
typedef struct record_part {
  chain_envelope envelope;
  void *object; /* to be freed */
  const void *data;
  size_t bytes;
} record_part;
void record_free(record_part *part);

/* Reads the object and compares all of it with what its name says; SHIP_MISSING, SHIP_DAMAGED.  `wanted` names chain,
** from, part, and tag unless part is 1 of changes. */
ship_status record_part_get(ship *s, const char *name, const chain_envelope *wanted, record_part *out);
/* The envelope of the object <chain>/<from> alone. */
ship_status record_envelope(ship *s, const char *chain, uint64_t from, chain_envelope *out);
/* Seals and creates. */
ship_status record_part_create(ship *s, const char *name, chain_envelope *envelope, const void *data, size_t bytes);

/* How far the chain reaches from `from` on: *to is the first place without an object.  *last is the envelope of the
** last one; its `to` is 0 if there is none.  Both outputs may be one that the caller has. */
ship_status record_walk(ship *s, const char *chain, uint64_t from, uint64_t *to, chain_envelope *last);
/* The same, past objects that are lost or damaged: *broken says that there are such.  SHIP_DAMAGED: the last one is. */
ship_status record_find_end(ship *s, const char *chain, uint64_t from, uint64_t *end, bool *broken);

#endif /* SHIP_RECORD_H */
