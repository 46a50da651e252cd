/* SPDX-License-Identifier: MIT
**
** tvf_layout.h: seqdb_layout(T).
*/
#ifndef SDB_TVF_LAYOUT_H
#define SDB_TVF_LAYOUT_H

#include "connection.h"

int sdb_register_layout(sdb_connection *connection);

#endif /* SDB_TVF_LAYOUT_H */
