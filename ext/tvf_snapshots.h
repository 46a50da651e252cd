/* SPDX-License-Identifier: MIT
**
** tvf_snapshots.h: seqdb_snapshots(T).
*/
#ifndef SDB_TVF_SNAPSHOTS_H
#define SDB_TVF_SNAPSHOTS_H

#include "connection.h"

int sdb_register_snapshots(sdb_connection *connection);

#endif /* SDB_TVF_SNAPSHOTS_H */
