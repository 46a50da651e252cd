/* SPDX-License-Identifier: MIT
**
** rig_compare.c: see crash/rig.h.  Compares the engine with the model.
*/
#include <stdio.h>
#include <string.h>
#include "crash/rig.h"

const char *rig_differs(seqdb_view *view, const rig_state *state) {
  static char text[300];
  static uint8_t buffer[RIG_BYTES_MAX];
  seqdb_region_info info;
  int count = 0, expected = 0, rc;
  for (uint64_t at = 0; (rc = seqdb_iterate(view, at, &info)) == SEQDB_OK; at = (uint64_t)info.index + 1) {
    size_t want, got = 0;
    int slot = rig_state_find(state, info.name, info.name_bytes);
    count++;
    if (slot < 0) {
      snprintf(text, sizeof text, "unexpected region %.*s", (int)info.name_bytes, info.name);
      return text;
    }
    const uint8_t *bytes = rig_content(state, slot, &want);
    const void *direct;
    if (info.length_bytes != want) {
      snprintf(text, sizeof text, "region %s has length %llu, expected %zu", state->region[slot].name,
               (unsigned long long)info.length_bytes, want);
      return text;
    }
    if (seqdb_read_copy(view, info.region, 0, buffer, sizeof buffer, &got) != SEQDB_OK || got != want) {
      snprintf(text, sizeof text, "region %s: read_copy failed", state->region[slot].name);
      return text;
    }
    for (int pass = 0; pass < 2 && want; pass++) {
      const uint8_t *have = buffer;
      if (pass == 1) {
        if (seqdb_read(view, info.region, 0, want, &direct) != SEQDB_OK) break;
        have = direct;
      }
      for (size_t i = 0; i < want; i++)
        if (have[i] != bytes[i]) {
          snprintf(text, sizeof text, "region %s (offset %llu, length %zu) byte %zu is %02x, expected %02x (%s)",
                   state->region[slot].name, (unsigned long long)info.offset, want, i, have[i], bytes[i],
                   pass ? "mapped" : "copied");
          return text;
        }
    }
  }
  if (rc != SEQDB_DONE) return "iteration failed";
  for (int i = 0; i < RIG_REGIONS; i++)
    expected += state->region[i].used;
  if (count != expected) {
    snprintf(text, sizeof text, "%d regions, expected %d", count, expected);
    return text;
  }
  return NULL;
}
