/* SPDX-License-Identifier: MIT
**
** module.h: the module `seqdb`.
*/
#ifndef SDB_MODULE_H
#define SDB_MODULE_H

#include "connection.h"

int sdb_register_module(sdb_connection *connection);

#endif /* SDB_MODULE_H */
