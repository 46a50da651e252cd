/* SPDX-License-Identifier: MIT
**
** creation.h: notices that ROLLBACK TO has undone a CREATE VIRTUAL TABLE.
*/
#ifndef SDB_CREATION_H
#define SDB_CREATION_H

#include "connection.h"
#include "failure.h"

/* From now on the savepoints that are open are followed; connection->level is the newest one. */
int sdb_creation_watch(sdb_connection *connection, sdb_failure *f);
int sdb_register_creation(sdb_connection *connection);

#endif /* SDB_CREATION_H */
