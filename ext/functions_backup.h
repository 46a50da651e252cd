/* SPDX-License-Identifier: MIT
**
** functions_backup.h: the functions that make copies.
*/
#ifndef SDB_FUNCTIONS_BACKUP_H
#define SDB_FUNCTIONS_BACKUP_H

#include "connection.h"

int sdb_register_functions_backup(sdb_connection *connection);

#endif /* SDB_FUNCTIONS_BACKUP_H */
