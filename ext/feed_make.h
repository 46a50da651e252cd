/* SPDX-License-Identifier: MIT
**
** feed_make.h: upstream: change objects, part by part.
*/
#ifndef SDB_FEED_MAKE_H
#define SDB_FEED_MAKE_H

#include "directory.h"
#include "feed_part.h"

/* An object in the making: all its parts are of one commit, of rows and regions.  A connection has at most one. */
typedef struct sdb_feed sdb_feed;

/* The next part of what has changed after `since`: the first one begins anew, with the newest commit.  *data is from
** sqlite3_malloc; NULL: nothing has changed, or there is no further part.  An error ends the object. */
int sdb_feed_make(sdb_directory *directory, uint64_t since, uint32_t part, uint8_t **data, sdb_part_header *header,
                  sdb_failure *f);
/* Ends one that was not made to its end. */
void sdb_feed_end(sdb_connection *connection);

#endif /* SDB_FEED_MAKE_H */
