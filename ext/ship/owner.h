/* SPDX-License-Identifier: MIT
**
** owner.h: who publishes.  Epochs are claimed one after the other; whoever has the newest one is the owner.
*/
#ifndef SHIP_OWNER_H
#define SHIP_OWNER_H

#include "ship.h"

/* Of the owner of an epoch, as far as this host can tell. */
typedef enum owner_life { OWNER_UNKNOWN = 0, OWNER_RUNS, OWNER_IS_DEAD } owner_life;
owner_life owner_look(const chain_epoch *epoch);

/* Claims the next epoch for the chain.  SHIP_REFUSED, with the owner's name, unless that one has ended, is dead, or
** shall be taken over (--take-over). */
ship_status owner_claim(ship *s, const char *chain, chain_epoch *mine);
/* Says that this publisher has ended; a failure is only told. */
void owner_end(ship *s, const chain_epoch *mine);

/* May a database of this chain be published here?  SHIP_REFUSED if another one has ended the chain, or if the carrier
** holds another chain and --new-chain is not given.  *newest: the newest head, number 0 if there is none. */
ship_status owner_check_chain(ship *s, const char *chain, bool may_be_new, chain_head *newest);

#endif /* SHIP_OWNER_H */
