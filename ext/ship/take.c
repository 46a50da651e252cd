/* SPDX-License-Identifier: MIT
**
** take.c: see take.h.  Parts are read one at a time; the database checks each once more (seqdb_apply).
*/
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "record.h"
#include "take.h"

/* Ends the transaction, with a commit if all went well. */
static ship_status end(ship_source *source, ship_status status) {
  if (!status) status = source_commit(source);
  if (status) source_rollback(source);
  return status;
}

static ship_status take_further(ship *s, ship_source *source, const chain_envelope *first, uint64_t *bytes) {
  ship_status status = SHIP_OK;
  for (uint32_t number = 2; number <= first->parts && !status; number++) {
    char name[CHAIN_NAME_TEXT];
    record_part part;
    chain_envelope wanted = *first;
    wanted.part = number;
    chain_name_changes(name, first->chain, first->from, first->tag, number);
    status = record_part_get(s, name, &wanted, &part);
    if (!status) status = source_apply(source, part.data, part.bytes, false);
    *bytes += part.bytes;
    record_free(&part);
    if (!status && ship_stop) status = SHIP_STOPPED;
  }
  return status;
}

static ship_status try_changes(ship *s, ship_source *source, const char *chain, uint64_t from, chain_envelope *last,
                               uint64_t *bytes) {
  char name[CHAIN_NAME_TEXT];
  record_part part;
  chain_envelope wanted = {.from = from, .part = 1};
  memcpy(wanted.chain, chain, CHAIN_UUID_TEXT);
  chain_name_changes(name, chain, from, NULL, 1);
  ship_status status = record_part_get(s, name, &wanted, &part);
  if (status) return status;
  *last = part.envelope;
  *bytes = part.bytes;
  status = source_begin(source);
  if (!status) status = source_apply(source, part.data, part.bytes, false);
  record_free(&part);
  if (!status) status = take_further(s, source, last, bytes);
  return end(source, status);
}

ship_status take_changes(ship *s, ship_source *source, const char *chain, uint64_t from, chain_envelope *last,
                         uint64_t *bytes) {
  ship_status status;
  do {
    status = try_changes(s, source, chain, from, last, bytes);
  } while (source_bears(source, status));
  return status;
}

static ship_status take_base_part(ship *s, ship_source *source, const chain_head *head, uint64_t number,
                                  bool replaces) {
  char name[CHAIN_NAME_TEXT];
  record_part part;
  chain_envelope wanted = {.part = (uint32_t)number, .from = 0, .to = head->generation};
  memcpy(wanted.chain, head->chain, CHAIN_UUID_TEXT);
  memcpy(wanted.tag, head->tag, CHAIN_TAG_TEXT);
  chain_name_base(name, head, number);
  ship_status status = record_part_get(s, name, &wanted, &part);
  if (!status) status = source_apply(source, part.data, part.bytes, replaces && number == 1);
  record_free(&part);
  return status;
}

static ship_status try_base(ship *s, ship_source *source, const chain_head *head, bool replaces) {
  ship_status status = source_begin(source);
  for (uint64_t number = 1; number <= head->parts && !status; number++) {
    status = take_base_part(s, source, head, number, replaces);
    if (!status && ship_time_to_report(s)) {
      ship_say(s, "base %" PRIu64 ": part %" PRIu64 " of %" PRIu64, head->number, number, head->parts);
    }
    if (!status && ship_stop) status = SHIP_STOPPED;
  }
  return end(source, status);
}

ship_status take_base(ship *s, ship_source *source, const chain_head *head, bool replaces) {
  ship_status status;
  do {
    status = try_base(s, source, head, replaces);
  } while (source_bears(source, status));
  return status;
}

ship_status take_look_at_base(ship *s, const chain_head *head, bool *whole) {
  ship_status status = SHIP_OK;
  *whole = true;
  for (uint64_t number = 1; number <= head->parts && !status && *whole; number++) {
    char name[CHAIN_NAME_TEXT];
    chain_name_base(name, head, number);
    status = ship_exists(s, name);
    if (status == SHIP_MISSING) {
      *whole = false;
      status = SHIP_OK;
    }
  }
  return status;
}
