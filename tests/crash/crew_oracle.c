/* SPDX-License-Identifier: MIT
**
** crew_oracle.c: what each generation may be.  See crew.h.
**
** A member that is about to commit names a candidate.  Which of several the generation is, is settled by the first who
** is told so: its committer, or a reader who compares.  From then on it is no other.  Compaction commits by itself and
** changes nothing: what nobody named may be what the generation before it is.
*/
#include <stdio.h>
#include <string.h>
#include "crash/crew.h"

#define GENERATIONS_MAX 4000
#define CANDIDATES_MAX  16

typedef struct generation {
  rig_state *candidate[CANDIDATES_MAX];
  int count;
  int settled; /* its index + 1; 0: none yet */
  bool firm;   /* ... by its committer, or by a member beside whom nobody only reads */
} generation;

static generation history[GENERATIONS_MAX];
static uint64_t acked;

void crew_oracle_reset(void) {
  memset(history, 0, sizeof history);
  history[0].candidate[0] = rig_state_new();
  history[0].count = history[0].settled = 1;
  acked = 0;
}

static generation *find(uint64_t number) {
  if (number >= GENERATIONS_MAX) {
    crew_fail("generation %llu is beyond reason", (unsigned long long)number);
    return NULL;
  }
  return &history[number];
}

static void settle(uint64_t number, generation *g, int index, bool firm) {
  g->firm |= firm;
  if (g->settled == 0) {
    crew_say("generation %llu is candidate %d of %d", (unsigned long long)number, index + 1, g->count);
    g->settled = index + 1;
  } else if (g->settled != index + 1) {
    crew_fail("generation %llu was candidate %d and is %d now", (unsigned long long)number, g->settled, index + 1);
  }
}

/* The candidate of an earlier generation that compaction may have moved on to this one; NULL if there is none.  Between
** them there may be numbers that were tried and never became one. */
static rig_state *moved_on(uint64_t number, const char *(*differs)(void *context, const rig_state *state),
                           void *context) {
  for (uint64_t before = number; before-- > 0;) {
    const generation *g = &history[before];
    for (int i = 0; i < g->count; i++) {
      if ((g->settled == 0 || g->settled == i + 1) && differs(context, g->candidate[i]) == NULL) {
        return g->candidate[i];
      }
    }
    if (g->settled != 0) {
      return NULL;
    }
  }
  return NULL;
}

/* A first member who only reads shows what may be in the page cache alone, to others, too. */
void crew_oracle_cut(void) {
  for (uint64_t number = acked + 1; number < GENERATIONS_MAX; number++) {
    history[number].settled = history[number].firm ? history[number].settled : 0;
  }
}

rig_state *crew_oracle_observe(bool firm, uint64_t number,
                               const char *(*differs)(void *context, const rig_state *state), void *context) {
  generation *g = find(number);
  const char *why = "nobody has committed it";
  for (int i = g->count - 1; i >= 0; i--) {
    if (g->settled != 0 && g->settled != i + 1) {
      continue;
    }
    why = differs(context, g->candidate[i]);
    if (why == NULL) {
      settle(number, g, i, firm);
      return g->candidate[i];
    }
  }
  rig_state *moved = g->settled == 0 ? moved_on(number, differs, context) : NULL;
  if (moved == NULL || g->count == CANDIDATES_MAX) {
    crew_fail("generation %llu is not what it was: %s", (unsigned long long)number, why);
    return NULL;
  }
  g->candidate[g->count++] = rig_state_ref(moved);
  settle(number, g, g->count - 1, firm);
  return moved;
}

static int index_of(const generation *g, const rig_state *state) {
  int i = 0;
  while (i < g->count && g->candidate[i] != state) {
    i++;
  }
  return i;
}

void crew_oracle_candidate(uint64_t number, rig_state *state) {
  generation *g = find(number);
  if (g->settled != 0) {
    crew_fail("generation %llu is committed a second time", (unsigned long long)number);
  } else if (g->count == CANDIDATES_MAX) {
    crew_fail("generation %llu was tried too often", (unsigned long long)number);
  } else {
    g->candidate[g->count++] = rig_state_ref(state);
  }
}

void crew_oracle_committed(uint64_t number, rig_state *state) {
  generation *g = find(number);
  settle(number, g, index_of(g, state), true);
  acked = number > acked ? number : acked; /* between publishing and returning others may have committed, too */
}

uint64_t crew_oracle_acked(void) {
  return acked;
}

const char *crew_oracle_pointers(const crew_snapshot *snapshot) {
  static char text[200];
  for (int i = 0; snapshot->open && i < snapshot->count; i++) {
    const crew_pointer *p = &snapshot->pointers[i];
    if (memcmp(p->address, p->expected, p->bytes) == 0) {
      continue;
    }
    size_t at = 0;
    while (p->address[at] == p->expected[at]) {
      at++;
    }
    snprintf(text, sizeof text, "a pointer of snapshot %llu: byte %zu of %zu (region %d) is %02x, was %02x",
             (unsigned long long)snapshot->generation, at, p->bytes, i, p->address[at], p->expected[at]);
    return text;
  }
  return NULL;
}
