/* SPDX-License-Identifier: MIT
**
** fuzz_regions.c: fuzz target: entries of every kind of wrong, in `regions`.  See fuzz.h.
*/
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
  return fuzz_run(bytes, count, FUZZ_DAMAGE_REGIONS);
}
