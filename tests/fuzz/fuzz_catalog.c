/* SPDX-License-Identifier: MIT
**
** fuzz_catalog.c: fuzz target: heads, blocks and items of `catalog`, right and wrong; the other files are whole.
** See fuzz.h.
*/
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
  return fuzz_run(bytes, count, FUZZ_DAMAGE_CATALOG);
}
