/* SPDX-License-Identifier: MIT
**
** functions_pin.h: pins: bytes of `data` that stay as they are until the program gives them back.
*/
#ifndef SDB_FUNCTIONS_PIN_H
#define SDB_FUNCTIONS_PIN_H

#include "connection.h"

int sdb_register_functions_pin(sdb_connection *connection);

#endif /* SDB_FUNCTIONS_PIN_H */
