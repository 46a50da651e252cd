/* SPDX-License-Identifier: MIT
**
** functions_write.h: the functions that change a region.
*/
#ifndef SDB_FUNCTIONS_WRITE_H
#define SDB_FUNCTIONS_WRITE_H

#include "connection.h"

int sdb_register_functions_write(sdb_connection *connection);

#endif /* SDB_FUNCTIONS_WRITE_H */
