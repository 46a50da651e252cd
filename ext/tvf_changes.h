/* SPDX-License-Identifier: MIT
**
** tvf_changes.h: seqdb_changes(T, since): what has changed, as rows.
*/
#ifndef SDB_TVF_CHANGES_H
#define SDB_TVF_CHANGES_H

#include "connection.h"

int sdb_register_changes(sdb_connection *connection);

#endif /* SDB_TVF_CHANGES_H */
