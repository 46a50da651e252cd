/* SPDX-License-Identifier: MIT
**
** record.c: see record.h.
*/
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "record.h"

typedef void naming(char name[CHAIN_NAME_TEXT], uint64_t number);

/* The highest number of which there is an object: all below it are there, too. */
static ship_status newest_number(ship *s, naming *name_of, uint64_t *newest) {
  char name[CHAIN_NAME_TEXT];
  uint64_t there = 0, step = 1;
  bool doubling = true;
  *newest = 0;
  while (step > 0) {
    name_of(name, there + step);
    ship_status status = ship_exists(s, name);
    if (status && status != SHIP_MISSING) return status;
    if (status == SHIP_OK) {
      there += step;
      step = doubling ? step * 2 : step;
    } else {
      doubling = false;
    }
    if (!doubling) step /= 2;
  }
  *newest = there;
  return SHIP_OK;
}

static ship_status not_readable(ship *s, const char *name, const char *why) {
  return ship_fail(s, SHIP_DAMAGED, "object '%s' cannot be used: %s", name, why);
}

ship_status record_newest_epoch(ship *s, chain_epoch *epoch) {
  char name[CHAIN_NAME_TEXT];
  carrier_object found;
  const char *why = NULL;
  uint64_t number = 0;
  *epoch = (chain_epoch){0};
  ship_status status = newest_number(s, chain_name_epoch, &number);
  if (status || number == 0) return status;
  chain_name_epoch(name, number);
  status = ship_get(s, name, 0, &found);
  if (status) return status;
  if (!chain_read_epoch(found.data, found.bytes, epoch, &why) || epoch->epoch != number) {
    status = not_readable(s, name, why);
  }
  free(found.data);
  return status;
}

ship_status record_head(ship *s, uint64_t number, chain_head *head) {
  char name[CHAIN_NAME_TEXT];
  carrier_object found;
  const char *why = NULL;
  *head = (chain_head){0};
  chain_name_head(name, number);
  ship_status status = ship_get(s, name, 0, &found);
  if (status) return status;
  if (!chain_read_head(found.data, found.bytes, head, &why) || head->number != number) {
    status = not_readable(s, name, why);
  }
  free(found.data);
  return status;
}

ship_status record_newest_head(ship *s, chain_head *head) {
  uint64_t number = 0;
  *head = (chain_head){0};
  ship_status status = newest_number(s, chain_name_head, &number);
  return status || number == 0 ? status : record_head(s, number, head);
}

ship_status record_check_fence(ship *s, uint64_t epoch) {
  char name[CHAIN_NAME_TEXT];
  chain_epoch newer;
  chain_name_epoch(name, epoch + 1);
  ship_status status = ship_exists(s, name);
  if (status == SHIP_MISSING) return SHIP_OK;
  if (status) return status;
  status = record_newest_epoch(s, &newer);
  if (status) return status;
  return ship_fail(s, SHIP_FENCED,
                   "fenced: process %" PRIu64 " on host %s has taken over since %s (epoch %" PRIu64
                   ", this one is %" PRIu64 ")",
                   newer.pid, newer.host, newer.since, newer.epoch, epoch);
}

ship_status record_has_ended(ship *s, uint64_t epoch, bool *ended) {
  char name[CHAIN_NAME_TEXT];
  chain_name_end(name, epoch);
  ship_status status = ship_exists(s, name);
  *ended = status == SHIP_OK;
  return status == SHIP_MISSING ? SHIP_OK : status;
}

/* ---- objects -------------------------------------------------------------------------------------------------- */

void record_free(record_part *part) {
  free(part->object);
  *part = (record_part){0};
}

static const char *compare(const chain_envelope *e, const chain_envelope *wanted) {
  if (strcmp(e->chain, wanted->chain) != 0) return "it is of another chain";
  if (e->from != wanted->from || e->part != wanted->part) return "it is another object than its name says";
  if (wanted->tag[0] && strcmp(e->tag, wanted->tag) != 0) return "it is of another attempt";
  if (wanted->to && e->to != wanted->to) return "it leads to another generation than its first part";
  return e->to <= e->from ? "its numbers are impossible" : NULL;
}

ship_status record_part_get(ship *s, const char *name, const chain_envelope *wanted, record_part *out) {
  carrier_object found;
  const char *why = NULL;
  *out = (record_part){0};
  ship_status status = ship_get(s, name, 0, &found);
  if (status) return status;
  if (chain_read_envelope(found.data, found.bytes, &out->envelope, &why)) {
    why = compare(&out->envelope, wanted);
    if (!why && chain_check_part(found.data, found.bytes, &out->envelope, &why)) why = NULL;
  }
  if (why) {
    free(found.data);
    return not_readable(s, name, why);
  }
  out->object = found.data;
  out->data = (const char *)found.data + CHAIN_ENVELOPE_BYTES;
  out->bytes = found.bytes - CHAIN_ENVELOPE_BYTES;
  return SHIP_OK;
}

ship_status record_envelope(ship *s, const char *chain, uint64_t from, chain_envelope *out) {
  char name[CHAIN_NAME_TEXT];
  carrier_object found;
  const char *why = NULL;
  chain_envelope wanted = {.from = from, .part = 1};
  memcpy(wanted.chain, chain, CHAIN_UUID_TEXT);
  chain_name_changes(name, chain, from, NULL, 1);
  ship_status status = ship_get(s, name, CHAIN_ENVELOPE_BYTES, &found);
  if (status) return status;
  if (chain_read_envelope(found.data, found.bytes, out, &why)) why = compare(out, &wanted);
  free(found.data);
  return why ? not_readable(s, name, why) : SHIP_OK;
}

ship_status record_part_create(ship *s, const char *name, chain_envelope *envelope, const void *data, size_t bytes) {
  unsigned char *object = malloc(CHAIN_ENVELOPE_BYTES + bytes);
  if (!object) return ship_fail(s, SHIP_FAILED, "out of memory for an object of %zu bytes", bytes);
  envelope->made_ms = ship_clock_ms();
  chain_seal(envelope, data, bytes, object);
  memcpy(object + CHAIN_ENVELOPE_BYTES, data, bytes);
  ship_status status = ship_create(s, name, object, CHAIN_ENVELOPE_BYTES + bytes);
  free(object);
  return status;
}

/* ---- the chain ------------------------------------------------------------------------------------------------ */

ship_status record_walk(ship *s, const char *chain, uint64_t from, uint64_t *to, chain_envelope *last) {
  chain_envelope envelope;
  ship_status status = SHIP_OK;
  *last = (chain_envelope){0};
  *to = from;
  while (!(status = record_envelope(s, chain, *to, &envelope))) {
    *last = envelope;
    *to = envelope.to;
    if (ship_stop) return SHIP_STOPPED;
  }
  return status == SHIP_MISSING ? SHIP_OK : status;
}

/* The highest place that has an object. */
typedef struct search {
  const char *chain;
  uint64_t highest;
} search;

static bool visit(void *context, const carrier_item *item) {
  search *found = context;
  chain_name name;
  chain_parse_name(item->name, &name);
  if (name.kind == CHAIN_CHANGES && name.part == 1 && !name.tag[0] && strcmp(name.chain, found->chain) == 0 &&
      name.from > found->highest) {
    found->highest = name.from;
  }
  return true;
}

/* What a list shows is there; what it does not show proves nothing. */
static ship_status find_highest(ship *s, const char *chain, uint64_t *highest) {
  char prefix[CHAIN_NAME_TEXT];
  search found = {chain, *highest};
  snprintf(prefix, sizeof prefix, "%s/", chain);
  ship_status status = ship_list(s, prefix, visit, &found);
  *highest = found.highest;
  return status;
}

ship_status record_find_end(ship *s, const char *chain, uint64_t from, uint64_t *end, bool *broken) {
  chain_envelope last;
  uint64_t highest = 0, before = 0;
  *broken = false;
  ship_status status = record_walk(s, chain, from, end, &last);
  while (status == SHIP_OK || status == SHIP_DAMAGED) {
    bool damaged = status == SHIP_DAMAGED;
    highest = before = *end;
    status = find_highest(s, chain, &highest);
    if (status || highest == before) return damaged && !status ? SHIP_DAMAGED : status;
    /* Somebody may have gone on meanwhile. */
    status = damaged ? SHIP_DAMAGED : record_walk(s, chain, before, end, &last);
    if (status == SHIP_OK && *end > before) continue;
    *broken = true;
    status = record_walk(s, chain, highest, end, &last);
    if (status == SHIP_DAMAGED) return status;
  }
  return status;
}
