/* SPDX-License-Identifier: MIT
**
** test_rig.h: a simple model of the engine's state, for the rig that cuts the power (test_rig.c).
*/
#ifndef TEST_RIG_H
#define TEST_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RIG_REGIONS    7
#define RIG_NAME_BYTES 12

/* A region of the model; contents are shared between states by reference count. */
typedef struct rig_bytes {
  unsigned refs;
  size_t count;
  uint8_t byte[];
} rig_bytes;
typedef struct rig_region {
  bool used;
  char name[RIG_NAME_BYTES];
  rig_bytes *content;
} rig_region;
typedef struct rig_state {
  unsigned refs;
  rig_region region[RIG_REGIONS];
} rig_state;

rig_state *rig_state_new(void);
rig_state *rig_state_ref(rig_state *state);
void rig_state_unref(rig_state *state);
/* A copy that may be changed; the contents are shared. */
rig_state *rig_state_copy(const rig_state *state);
/* Slot with that name, or -1. */
int rig_state_find(const rig_state *state, const char *name, size_t name_bytes);
/* New content: the first `keep` bytes of the old, then `count` of `bytes` (NULL: zeros), then the old from `tail_from` on. */
void rig_state_splice(rig_state *state, int slot, size_t keep, const uint8_t *bytes, size_t count, size_t tail_from);

#endif /* TEST_RIG_H */
