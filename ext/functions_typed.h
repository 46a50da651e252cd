/* SPDX-License-Identifier: MIT
**
** functions_typed.h: the functions that reckon with a region as an array of numbers.
*/
#ifndef SDB_FUNCTIONS_TYPED_H
#define SDB_FUNCTIONS_TYPED_H

#include "connection.h"

int sdb_register_functions_typed(sdb_connection *connection);

#endif /* SDB_FUNCTIONS_TYPED_H */
