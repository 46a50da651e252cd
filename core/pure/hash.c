/* SPDX-License-Identifier: MIT
**
** hash.c: see hash.h.  The only file that sees the xxHash library.
*/
#include "pure/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#if XXH_VERSION_NUMBER < 800
#error "XXH3 is a stable format only since xxHash 0.8.0"
#endif

uint64_t sdb_hash_bytes(const void *data, size_t bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(data, bytes, seed);
}
