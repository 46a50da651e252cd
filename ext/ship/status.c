/* SPDX-License-Identifier: MIT
**
** status.c: see status.h.  It writes nothing.
*/
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "owner.h"
#include "record.h"
#include "source.h"
#include "status.h"

typedef struct view {
  chain_epoch owner;
  bool ended;
  chain_head head;
  uint64_t published;
  chain_envelope last;
} view;

static ship_status look(ship *s, view *v) {
  ship_status status = record_newest_epoch(s, &v->owner);
  if (!status && v->owner.epoch) status = record_has_ended(s, v->owner.epoch, &v->ended);
  if (!status) status = record_newest_head(s, &v->head);
  if (status || !v->head.number) return status;
  status = record_walk(s, v->head.chain, v->head.start, &v->published, &v->last);
  if (v->published < v->head.generation) v->published = v->head.generation;
  return status;
}

/* As a JSON string. */
static void print_string(const char *text) {
  putchar('"');
  for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
    if (*at == '"' || *at == '\\') {
      printf("\\%c", *at);
    } else if (*at < 0x20) {
      printf("\\u%04x", *at);
    } else {
      putchar(*at);
    }
  }
  putchar('"');
}

static void print_member(const char *key, const char *text) {
  printf(",\"%s\":", key);
  print_string(text);
}

static const char *life_of(const view *v) {
  static const char *const names[] = {"unknown", "running", "dead"};
  return v->ended ? "ended" : names[owner_look(&v->owner)];
}

static void print_owner(const view *v) {
  printf(",\"epoch\":%" PRIu64 ",\"owner\":", v->owner.epoch);
  if (!v->owner.epoch) {
    printf("null");
    return;
  }
  printf("{\"pid\":%" PRIu64, v->owner.pid);
  print_member("host", v->owner.host);
  print_member("since", v->owner.since);
  print_member("state", life_of(v));
  printf("}");
}

static void print_base(const view *v) {
  printf(",\"bases\":%" PRIu64 ",\"base\":", v->head.number);
  if (!v->head.number) {
    printf("null");
    return;
  }
  printf("{\"number\":%" PRIu64 ",\"generation\":%" PRIu64 ",\"start\":%" PRIu64 ",\"parts\":%" PRIu64
         ",\"bytes\":%" PRIu64,
         v->head.number, v->head.generation, v->head.start, v->head.parts, v->head.bytes);
  print_member("made", v->head.made);
  print_member("host", v->head.host);
  printf("}");
}

static uint64_t less(uint64_t a, uint64_t b) {
  return a > b ? a - b : 0;
}

/* A writer is ahead of the carrier by its lag, a follower behind it. */
static void print_database(const view *v, const source_state *state) {
  uint64_t now = ship_clock_ms();
  bool same = strcmp(state->follows ? state->followed : state->chain, v->head.chain) == 0;
  uint64_t at = state->follows ? state->reached : state->generation;
  uint64_t lag = state->follows ? less(v->published, at) : less(at, v->published);
  printf(",\"database\":{\"role\":\"%s\",\"same_chain\":%s,\"generation\":%" PRIu64,
         state->follows ? "follower" : "writer", same ? "true" : "false", at);
  print_member("chain", state->follows ? state->followed : state->chain);
  if (same) printf(",\"lag_generations\":%" PRIu64, lag);
  if (same && state->follows) printf(",\"lag_ms\":%" PRIu64, lag ? less(now, v->last.made_ms) : 0);
  printf("}");
}

static ship_status look_at_database(ship *s, source_state *state) {
  ship_source *source = NULL;
  ship_status status = source_open(s, false, &source);
  if (!status) status = source_look(source, state);
  source_close(source);
  return status;
}

ship_status status_command(ship *s) {
  view v = {0};
  source_state state = {0};
  ship_status status = ship_open(s, false);
  if (!status) status = look(s, &v);
  if (!status && s->options->database) status = look_at_database(s, &state);
  if (status) return status;
  printf("{\"carrier\":");
  print_string(s->options->carrier);
  print_member("chain", v.head.chain);
  printf(",\"published\":%" PRIu64 ",\"published_at_ms\":%" PRIu64, v.published, v.last.made_ms);
  print_owner(&v);
  print_base(&v);
  if (s->options->database) print_database(&v, &state);
  printf("}\n");
  return SHIP_OK;
}
