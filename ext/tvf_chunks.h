/* SPDX-License-Identifier: MIT
**
** tvf_chunks.h: seqdb_chunks(T, name [, size]): a region in pieces.
*/
#ifndef SDB_TVF_CHUNKS_H
#define SDB_TVF_CHUNKS_H

#include "connection.h"

int sdb_register_chunks(sdb_connection *connection);

#endif /* SDB_TVF_CHUNKS_H */
