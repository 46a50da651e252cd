/* SPDX-License-Identifier: MIT
**
** sized.h: structures of the public API that carry their size, so that they can grow.  Layer 0.
**
** Their first member is `uint32_t size_bytes`: what the structure had when the caller was compiled.  The caller's
** structure is touched by these functions alone, and never beyond that size.  The engine works with its own, full one.
** New members come last; the size of the first version stays the least that is taken.
** THREADS: pure.
*/
#ifndef SDB_SIZED_H
#define SDB_SIZED_H

#include "base/base.h"

/* No structure of the API will ever be larger: a size above it is no size. */
#define SDB_SIZED_MAX_BYTES 4096u

/* Sizes of the first version, seqdb 0.1: up to the end of its last member. */
#define SDB_END_OF(type, member) (offsetof(type, member) + sizeof((type *)NULL)->member)
#define SDB_OPTIONS_FIRST_BYTES  SDB_END_OF(seqdb_options, coordinator)
#define SDB_ERROR_FIRST_BYTES    SDB_END_OF(seqdb_error, message)
#define SDB_STAT_FIRST_BYTES     SDB_END_OF(seqdb_stat_info, oldest_snapshot_held_bytes)
#define SDB_SALVAGE_FIRST_BYTES  SDB_END_OF(seqdb_salvage_info, bytes)
#define SDB_CHANGE_FIRST_BYTES   SDB_END_OF(seqdb_change, region)

/* Can a structure have `size_bytes` bytes, if its first version had `first_bytes`? */
bool sdb_sized_is(uint32_t size_bytes, size_t first_bytes);

/* Fill the caller's structure from the engine's of `bytes` bytes: as much as fits.  What only the caller knows becomes
** zero. Its size_bytes stays. */
void sdb_sized_copy_out(void *to, const void *from, size_t bytes);

/* Fill the engine's structure of `bytes` bytes from the caller's.  What the caller does not know becomes zero.  false:
** the caller asks for something that the engine does not know (bytes behind its structure are not zero). */
bool sdb_sized_copy_in(void *to, size_t bytes, const void *from);

#endif /* SDB_SIZED_H */
