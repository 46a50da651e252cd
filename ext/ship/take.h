/* SPDX-License-Identifier: MIT
**
** take.h: taking one object, or one base, into the database: each in one commit.
*/
#ifndef SHIP_TAKE_H
#define SHIP_TAKE_H

#include "source.h"

/* Takes <chain>/<from>; *last is its envelope.  SHIP_MISSING or SHIP_DAMAGED: the object, or one of its parts. */
ship_status take_changes(ship *s, ship_source *source, const char *chain, uint64_t from, chain_envelope *last,
                         uint64_t *bytes);
/* `replaces`: in place of what is there.  SHIP_MISSING, SHIP_DAMAGED: one of its parts. */
ship_status take_base(ship *s, ship_source *source, const chain_head *head, bool replaces);
/* Are all parts of the base there? */
ship_status take_look_at_base(ship *s, const chain_head *head, bool *whole);

#endif /* SHIP_TAKE_H */
