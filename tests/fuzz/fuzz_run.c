/* SPDX-License-Identifier: MIT
**
** fuzz_run.c: one input of a target that damages files.  See fuzz.h.
** THREADS: one.
*/
#include <stdio.h>
#include <stdlib.h>
#include "fuzz.h"

int fuzz_run(const uint8_t *bytes, size_t count, unsigned kinds) {
  fuzz_case c;
  fuzz_case_read(&c, bytes, count, kinds);
  if (!fuzz_judge(&c)) {
    fprintf(stderr, "base %s, flags %#x: %s\n", c.base->name, c.flags, fuzz_problem());
    abort();
  }
  fuzz_case_free(&c);
  return 0;
}
