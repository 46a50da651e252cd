/* SPDX-License-Identifier: MIT
**
** fuzz_both.c: fuzz target: all kinds of damage at once, in all three files.  See fuzz.h.
*/
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
  return fuzz_run(bytes, count, FUZZ_DAMAGE_REGIONS | FUZZ_DAMAGE_JOURNAL | FUZZ_DAMAGE_DATA);
}
