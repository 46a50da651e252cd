/* SPDX-License-Identifier: MIT
**
** prune.h: the command prune: removes what is older than the bases that are kept.
*/
#ifndef SHIP_PRUNE_H
#define SHIP_PRUNE_H

#include "ship.h"

ship_status prune_command(ship *s);

#endif /* SHIP_PRUNE_H */
