/* SPDX-License-Identifier: MIT
**
** fuzz_journal.c: fuzz target: headers and records of every kind of wrong, in `journal`.  See fuzz.h.
*/
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
  return fuzz_run(bytes, count, FUZZ_DAMAGE_JOURNAL);
}
