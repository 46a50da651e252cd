/* SPDX-License-Identifier: MIT
**
** hash.h: the one hash function: checksums on disk, the sum over entries, the table of names.  Pure: no I/O.
*/
#ifndef SDB_HASH_H
#define SDB_HASH_H

#include "base/base.h"

/* XXH3 of a byte string, 64 bits. */
uint64_t sdb_hash_bytes(const void *data, size_t bytes, uint64_t seed);

#endif /* SDB_HASH_H */
