/* SPDX-License-Identifier: MIT
**
** publish.h: the command publish: ships what is new, as long as it runs.
*/
#ifndef SHIP_PUBLISH_H
#define SHIP_PUBLISH_H

#include "ship.h"

ship_status publish_command(ship *s);

#endif /* SHIP_PUBLISH_H */
