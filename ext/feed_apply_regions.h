/* SPDX-License-Identifier: MIT
**
** feed_apply_regions.h: regions of a change object, put into the follower's directory.
*/
#ifndef SDB_FEED_APPLY_REGIONS_H
#define SDB_FEED_APPLY_REGIONS_H

#include "directory.h"
#include "feed_part.h"
#include "feed_state.h"

typedef struct sdb_apply_regions {
  sdb_directory *directory;
  sdb_feed_state *state; /* its `aside` counts */
  seqdb_region region;   /* of the entry that was used last; 0: none */
  uint32_t entry;
} sdb_apply_regions;

/* A section of kind REGIONS.  The transaction is open and has changes. */
int sdb_apply_region_section(sdb_apply_regions *regions, sdb_section *section, sdb_failure *f);
/* After the last part: every region has the name that is its own. */
int sdb_apply_regions_done(sdb_apply_regions *regions, sdb_failure *f);

#endif /* SDB_FEED_APPLY_REGIONS_H */
