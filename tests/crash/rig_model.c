/* SPDX-License-Identifier: MIT
**
** rig_model.c: see crash/rig.h.  Deliberately simple: whole contents, copied at each change.
*/
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "crash/rig.h"

static rig_bytes *bytes_new(size_t count) {
  rig_bytes *made = calloc(1, sizeof *made + count);
  if (!made) abort();
  made->refs = 1;
  made->count = count;
  return made;
}

static void bytes_unref(rig_bytes *bytes) {
  if (bytes && --bytes->refs == 0) free(bytes);
}

rig_state *rig_state_new(void) {
  rig_state *made = calloc(1, sizeof *made);
  if (!made) abort();
  made->refs = 1;
  return made;
}

rig_state *rig_state_ref(rig_state *state) {
  if (state) state->refs++;
  return state;
}

void rig_state_unref(rig_state *state) {
  if (!state || --state->refs) return;
  for (int i = 0; i < RIG_REGIONS; i++)
    bytes_unref(state->region[i].content);
  free(state);
}

rig_state *rig_state_copy(const rig_state *state) {
  rig_state *made = rig_state_new();
  for (int i = 0; i < RIG_REGIONS; i++) {
    made->region[i] = state->region[i];
    if (made->region[i].content) made->region[i].content->refs++;
  }
  return made;
}

int rig_state_find(const rig_state *state, const char *name, size_t name_bytes) {
  for (int i = 0; i < RIG_REGIONS; i++)
    if (state->region[i].used && strlen(state->region[i].name) == name_bytes &&
        memcmp(state->region[i].name, name, name_bytes) == 0)
      return i;
  return -1;
}

void rig_state_splice(rig_state *state, int slot, size_t keep, const uint8_t *bytes, size_t count, size_t tail_from) {
  rig_region *region = &state->region[slot];
  rig_bytes *old = region->content;
  size_t old_count = old ? old->count : 0, tail = tail_from < old_count ? old_count - tail_from : 0;
  rig_bytes *made = bytes_new(keep + count + tail);
  if (keep) memcpy(made->byte, old->byte, keep);
  if (count && bytes) memcpy(made->byte + keep, bytes, count);
  if (tail) memcpy(made->byte + keep + count, old->byte + tail_from, tail);
  region->content = made;
  bytes_unref(old);
}

const uint8_t *rig_content(const rig_state *state, int slot, size_t *count) {
  const rig_bytes *content = state->region[slot].content;
  *count = content ? content->count : 0;
  return content ? content->byte : NULL;
}
