/* SPDX-License-Identifier: MIT
**
** feed_watch.h: upstream, notices that rows change under a schema that their notes do not know.
*/
#ifndef SDB_FEED_WATCH_H
#define SDB_FEED_WATCH_H

#include "directory.h"

/* Before rows change, in a transaction that has touched the directory: its commit will be `generation`.  A table whose
** schema or triggers are not as seqdb_replicate left them has a gap there. */
int sdb_feed_watch(sdb_directory *directory, uint64_t generation, sdb_failure *f);

#endif /* SDB_FEED_WATCH_H */
