/* SPDX-License-Identifier: MIT
**
** base.c: see base.h.
**
**   1. Look how far the chain reaches: *start*.     Whatever is shipped later goes on from there, so a follower that
**                                                   has the base finds its next changes from *start* on.
**   2. Make and create all parts, names by chance.  A crash leaves parts that no head names; they are pruned once a
**                                                   base of a newer epoch is kept.
**   3. Is the epoch still ours?
**   4. Create head/<n+1>.                           Now there is a base.  If somebody else has that number, look at
**                                                   theirs and try the next one: 3.
*/
#include <inttypes.h>
#include <string.h>
#include "base.h"
#include "owner.h"
#include "record.h"

static ship_status create_parts(ship *s, ship_source *source, chain_head *head) {
  source_part part = {0};
  ship_status status = SHIP_OK;
  head->parts = head->bytes = 0;
  while (!status && !part.last) {
    char name[CHAIN_NAME_TEXT];
    status = source_make(source, 0, head->parts + 1, &part);
    if (status == SHIP_MISSING) return ship_fail(s, SHIP_FAILED, "the database has nothing in it yet");
    if (status) return status;
    head->parts++;
    head->bytes += part.bytes;
    head->generation = part.to;
    chain_envelope envelope = {.part = (uint32_t)head->parts, .from = part.from, .to = part.to, .epoch = head->epoch};
    memcpy(envelope.chain, head->chain, CHAIN_UUID_TEXT);
    memcpy(envelope.tag, head->tag, CHAIN_TAG_TEXT);
    chain_name_base(name, head, head->parts);
    status = record_part_create(s, name, &envelope, part.data, part.bytes);
    if (status == SHIP_EXISTS) status = SHIP_OK; /* a repeated call: nobody else has our tag */
    if (!status && ship_time_to_report(s)) {
      ship_say(s, "base: %" PRIu64 " parts, %.1f MB so far", head->parts, (double)head->bytes / 1e6);
    }
    if (!status && ship_stop) status = SHIP_STOPPED;
  }
  return status;
}

/* SHIP_EXISTS: another head has the number. */
static ship_status create_head(ship *s, const chain_head *head) {
  char name[CHAIN_NAME_TEXT], text[CHAIN_TEXT_MAX];
  chain_head found;
  size_t bytes = chain_write_head(head, text);
  if (!bytes) return ship_fail(s, SHIP_FAILED, "the host's name is too long");
  chain_name_head(name, head->number);
  ship_status status = ship_create(s, name, text, bytes);
  if (status != SHIP_EXISTS) return status;
  status = record_head(s, head->number, &found);
  if (status) return status;
  return strcmp(found.tag, head->tag) == 0 ? SHIP_OK : SHIP_EXISTS;
}

static ship_status publish_head(ship *s, chain_head *head, const chain_head *newest) {
  chain_head before = *newest;
  ship_status status = SHIP_OK;
  ship_clock_text(head->made);
  do {
    head->number = before.number + 1;
    status = record_check_fence(s, head->epoch);
    if (!status) status = create_head(s, head);
    if (status != SHIP_EXISTS) return status;
    status = owner_check_chain(s, head->chain, false, &before);
  } while (!status);
  return status;
}

static ship_status describe(ship *s, const source_state *state, uint64_t epoch, chain_head *head) {
  chain_epoch owner;
  *head = (chain_head){.epoch = epoch};
  memcpy(head->chain, state->chain, CHAIN_UUID_TEXT);
  memcpy(head->file, state->file, sizeof head->file);
  ship_status status = record_newest_epoch(s, &owner);
  if (status) return status;
  if (owner.epoch == epoch) memcpy(head->host, owner.host, sizeof head->host);
  return ship_tag(s, head->tag);
}

/* Where the chain ends now; *known is false if it has not begun. */
static ship_status find_end(ship *s, const chain_head *newest, const char *chain, bool *known, uint64_t *end) {
  bool broken = false;
  *known = newest->number > 0 && strcmp(newest->chain, chain) == 0;
  if (!*known) return SHIP_OK;
  ship_status status = record_find_end(s, chain, newest->start, end, &broken);
  if (!status && broken) ship_say(s, "objects of the chain are lost or damaged: who needs them needs this base");
  return status;
}

ship_status base_make(const base_for *what, bool chain_goes_on, chain_head *made) {
  ship *s = what->s;
  ship_source *source = what->source;
  source_state state;
  chain_head newest;
  uint64_t start = 0;
  bool known = false;
  ship_status status = source_look_again(source, what->chain, &state);
  if (!status) status = describe(s, &state, what->epoch, made);
  if (!status) status = owner_check_chain(s, state.chain, true, &newest);
  if (!status && chain_goes_on) status = find_end(s, &newest, state.chain, &known, &start);
  if (!status) status = create_parts(s, source, made);
  source_done(source);
  if (status) return status;
  made->start = known ? start : made->generation;
  if (made->start > made->generation) {
    return ship_fail(s, SHIP_REFUSED,
                     "the chain has reached generation %" PRIu64 ", the database is at %" PRIu64
                     ": it is older than what was shipped",
                     made->start, made->generation);
  }
  status = publish_head(s, made, &newest);
  if (!status) {
    ship_say(s, "base %" PRIu64 ": generation %" PRIu64 ", %" PRIu64 " parts, %.1f MB", made->number, made->generation,
             made->parts, (double)made->bytes / 1e6);
  }
  return status;
}

/* The chain's last object is damaged, so where it ended is not known.  If nobody publishes now, the chain can start
** again with this base. */
static ship_status start_again(const base_for *what, const chain_epoch *owner, chain_head *made) {
  ship *s = what->s;
  char why[SHIP_MESSAGE_MAX];
  bool ended = false;
  memcpy(why, s->message, sizeof why);
  ship_status status = record_has_ended(s, owner->epoch, &ended);
  if (status) return status;
  if (!ended && owner_look(owner) != OWNER_IS_DEAD) {
    return ship_fail(s, SHIP_FAILED, "%.600s. Start the publisher again: it makes a base itself", why);
  }
  ship_say(s, "%s: the chain starts again with this base", why);
  return base_make(what, false, made);
}

ship_status base_command(ship *s) {
  ship_source *source = NULL;
  source_state state;
  chain_epoch owner;
  chain_head newest, made;
  ship_status status = source_open(s, false, &source);
  if (!status) status = source_look(source, &state);
  if (!status) status = ship_open(s, false);
  if (!status) status = owner_check_chain(s, state.chain, false, &newest);
  if (!status && newest.number > 0 && strcmp(newest.file, state.file) != 0) {
    status =
        ship_fail(s, SHIP_REFUSED,
                  "the chain was published from another file, of which this is a copy, or which was moved here from "
                  "another disk: `publish` begins again with a base");
  }
  if (!status) status = record_newest_epoch(s, &owner);
  if (!status && strcmp(owner.chain, state.chain) != 0) {
    status = ship_fail(s, SHIP_REFUSED,
                       owner.epoch ? "another chain is published there now"
                                   : "nothing was published there yet: `publish` makes the first base");
  }
  const base_for what = {s, source, state.chain, owner.epoch};
  if (!status) status = base_make(&what, true, &made);
  if (status == SHIP_DAMAGED) status = start_again(&what, &owner, &made);
  source_close(source);
  return status;
}
