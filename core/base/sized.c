/* SPDX-License-Identifier: MIT
**
** sized.c: copying structures that carry their size.  Layer 0.  Owns nothing.
*/
#include "base/sized.h"

static uint32_t size_of(const void *structure) {
  uint32_t size_bytes;
  memcpy(&size_bytes, structure, sizeof size_bytes);
  return size_bytes;
}

bool sdb_sized_is(uint32_t size_bytes, size_t first_bytes) {
  return size_bytes >= first_bytes && size_bytes <= SDB_SIZED_MAX_BYTES;
}

void sdb_sized_copy_out(void *to, const void *from, size_t bytes) {
  const size_t head = sizeof(uint32_t);
  size_t room = size_of(to), shared = SDB_MIN(room, bytes);
  memcpy((uint8_t *)to + head, (const uint8_t *)from + head, shared - head);
  memset((uint8_t *)to + shared, 0, room - shared);
}

bool sdb_sized_copy_in(void *to, size_t bytes, const void *from) {
  size_t given = size_of(from), shared = SDB_MIN(given, bytes);
  memset(to, 0, bytes);
  memcpy(to, from, shared);
  for (size_t at = shared; at < given; at++)
    if (((const uint8_t *)from)[at] != 0) return false;
  return true;
}
