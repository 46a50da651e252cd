/* SPDX-License-Identifier: MIT
**
** functions.h: the functions that read and look after a table.
*/
#ifndef SDB_FUNCTIONS_H
#define SDB_FUNCTIONS_H

#include "connection.h"

int sdb_register_functions(sdb_connection *connection);
/* seqdb_version(). */
int sdb_register_version(sdb_connection *connection);

#endif /* SDB_FUNCTIONS_H */
