/* SPDX-License-Identifier: MIT
**
** feed_apply.h: a follower takes a part of a change object.
*/
#ifndef SDB_FEED_APPLY_H
#define SDB_FEED_APPLY_H

#include "directory.h"

/* All of the part or nothing, in the connection's transaction, which SQLite commits at once if there is none.
** `replaces`: a base may take the place of what is no follower of its chain.  *reached: the upstream's generation. */
int sdb_feed_apply(sdb_directory *directory, const void *data, size_t bytes, bool replaces, uint64_t *reached,
                   sdb_failure *f);

#endif /* SDB_FEED_APPLY_H */
