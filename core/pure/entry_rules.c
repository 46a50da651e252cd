/* SPDX-License-Identifier: MIT
**
** entry_rules.c: see entry_rules.h.
*/
#include "pure/entry_rules.h"

const char *sdb_extent_problem(uint64_t start, uint64_t length, uint64_t reserved, uint32_t *field) {
  *field = 0;
  if (!sdb_is_page_aligned(start)) return "start is not a multiple of 4096";
  if (start > SDB_OFFSET_MAX) return "start is larger than a file can be";
  *field = 2;
  if (reserved < SDB_PAGE) return "reserved is smaller than 4096";
  if (!sdb_is_page_aligned(reserved)) return "reserved is not a multiple of 4096";
  if (reserved > SDB_OFFSET_MAX - start) return "reserved reaches past what a file can hold";
  *field = 1;
  if (length > reserved) return "length is larger than reserved";
  return NULL;
}

bool sdb_extent_is_good(uint64_t start, uint64_t length, uint64_t reserved) {
  uint32_t field;
  return sdb_extent_problem(start, length, reserved, &field) == NULL;
}

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Nothing but ASCII without control characters?  Eight bytes at a time: the first bit of each of them says that it is
** none, itself, less 0x20, or plus 1.  A carry or borrow comes out of a byte that says so. */
static bool is_plain(const char *text, size_t bytes) {
  uint64_t odd = 0, word;
  for (size_t i = 0; i < bytes; i += sizeof word) {
    word = EACH(' ');
    memcpy(&word, text + i, SDB_MIN(sizeof word, bytes - i));
    odd |= word | (word - EACH(0x20)) | (word + EACH(1));
  }
  return (odd & EACH(0x80)) == 0;
}

const char *sdb_name_problem(const char *name, size_t name_bytes, size_t *at) {
  const char *problem = NULL;
  size_t i = 0;
  if (name_bytes == 0) {
    problem = "the name is empty";
  } else if (name_bytes > SEQDB_NAME_BYTES_MAX) {
    problem = "the name is longer than 1024 bytes";
    i = SEQDB_NAME_BYTES_MAX;
  }
  if (problem == NULL && is_plain(name, name_bytes)) return NULL;
  while (problem == NULL && i < name_bytes) {
    size_t char_bytes = sdb_utf8_char(name + i, name_bytes - i);
    if (char_bytes == 0) {
      problem = "the name is not valid UTF-8";
    } else if (sdb_is_control((uint8_t)name[i])) {
      problem = "the name contains a control character";
    } else {
      i += char_bytes;
    }
  }
  if (problem != NULL && at != NULL) *at = i;
  return problem;
}
