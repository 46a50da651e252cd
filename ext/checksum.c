/* SPDX-License-Identifier: MIT
**
** checksum.c: see checksum.h.  The only file of the extension that sees the xxHash library.
*/
#include "checksum.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t sdb_checksum(const void *data, size_t bytes) {
  return XXH3_64bits(data, bytes);
}
