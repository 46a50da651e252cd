/* SPDX-License-Identifier: MIT
**
** tvf_values.h: seqdb_values(T, name, type [, first, count]): a region as an array of numbers.
*/
#ifndef SDB_TVF_VALUES_H
#define SDB_TVF_VALUES_H

#include "connection.h"

int sdb_register_values(sdb_connection *connection);

#endif /* SDB_TVF_VALUES_H */
