/* SPDX-License-Identifier: MIT
**
** feed_state.h: a follower's row in the shadow table <T>_follow: how far it has come in which chain.
*/
#ifndef SDB_FEED_STATE_H
#define SDB_FEED_STATE_H

#include <stdbool.h>
#include "directory.h"
#include "failure.h"

typedef struct sdb_feed_state {
  bool follows; /* there is a row */
  uint8_t chain[SEQDB_UUID_BYTES];
  uint64_t generation; /* of the upstream that was reached; in the middle of an object: that before it ... */
  uint32_t part;       /* ... of which so many parts are applied; 0: in none ... */
  uint64_t to, sum;    /* ... which leads there, and the sum of the header of the last one */
  uint64_t aside;      /* regions that have another name for a while, to make room for theirs */
} sdb_feed_state;

int sdb_feed_state_read(sdb_directory *directory, sdb_feed_state *state, sdb_failure *f);
int sdb_feed_state_write(sdb_directory *directory, const sdb_feed_state *state, sdb_failure *f);

#endif /* SDB_FEED_STATE_H */
