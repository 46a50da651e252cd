/* SPDX-License-Identifier: MIT
**
** tvf_compaction.h: the table-valued function seqdb_compaction(T).
*/
#ifndef SDB_TVF_COMPACTION_H
#define SDB_TVF_COMPACTION_H

#include "connection.h"

int sdb_register_compaction(sdb_connection *connection);

#endif /* SDB_TVF_COMPACTION_H */
