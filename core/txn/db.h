/* SPDX-License-Identifier: MIT
**
** db.h: all of txn/, and what has no header of its own yet.  Layer 4.
*/
#ifndef SDB_DB_H
#define SDB_DB_H

#include "store/open.h"
#include "txn/append.h"
#include "txn/begin.h"
#include "txn/checkpoint.h"
#include "txn/commit.h"
#include "txn/write.h"
#include "txn/writer_lock.h"

struct seqdb_snapshot {
  seqdb *db;
  sdb_catalog *catalog; /* NULL: the handle's own view */
  uint64_t generation, opened_ms;
  struct seqdb_snapshot *older, *newer;
};

#endif /* SDB_DB_H */
