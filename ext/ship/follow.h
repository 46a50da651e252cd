/* SPDX-License-Identifier: MIT
**
** follow.h: the commands follow and restore: taking what is shipped into a database of one's own.
*/
#ifndef SHIP_FOLLOW_H
#define SHIP_FOLLOW_H

#include "ship.h"

ship_status follow_command(ship *s);
ship_status restore_command(ship *s);

#endif /* SHIP_FOLLOW_H */
