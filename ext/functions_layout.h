/* SPDX-License-Identifier: MIT
**
** functions_layout.h: the function that draws where regions lie.
*/
#ifndef SDB_FUNCTIONS_LAYOUT_H
#define SDB_FUNCTIONS_LAYOUT_H

#include "connection.h"

int sdb_register_functions_layout(sdb_connection *connection);

#endif /* SDB_FUNCTIONS_LAYOUT_H */
