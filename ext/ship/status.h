/* SPDX-License-Identifier: MIT
**
** status.h: the command status: what lies in a carrier, and how far a database is from it, as JSON.
*/
#ifndef SHIP_STATUS_H
#define SHIP_STATUS_H

#include "ship.h"

ship_status status_command(ship *s);

#endif /* SHIP_STATUS_H */
