/* SPDX-License-Identifier: MIT
**
** functions_rescue.h: the functions for a directory that cannot be written as it is.
*/
#ifndef SDB_FUNCTIONS_RESCUE_H
#define SDB_FUNCTIONS_RESCUE_H

#include "connection.h"

int sdb_register_functions_rescue(sdb_connection *connection);

#endif /* SDB_FUNCTIONS_RESCUE_H */
