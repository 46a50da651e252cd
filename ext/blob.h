/* SPDX-License-Identifier: MIT
**
** blob.h: the calls of seqdb_blob.h.
*/
#ifndef SDB_BLOB_H
#define SDB_BLOB_H

#include "connection.h"

int sdb_register_blob(sdb_connection *connection);

#endif /* SDB_BLOB_H */
