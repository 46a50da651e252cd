/* SPDX-License-Identifier: MIT
**
** publish.c: see publish.h.
**
** The chain is made from the database, never from memory: what is new after the chain's end is asked for when the last
** object is known to be there.  So a crash, a carrier that is away, or a second publisher lose nothing:
**
**   1. Make the object after `tip`, its parts 2, 3, ... are created as they are made.     A crash leaves parts that no
**                                                                                          object names.
**   2. Is the epoch still ours?  If not, stop.
**   3. Create <chain>/<tip> with part 1.     Now the changes are shipped.  If there is such an object, it counts: ours,
**                                            by its tag, or that of a publisher before us; go on from where it ends.
*/
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base.h"
#include "owner.h"
#include "publish.h"
#include "record.h"

#define WAIT_MS         1000
#define FORGET_EVERY_MS 10000

typedef struct publisher {
  ship *s;
  ship_source *source;
  source_state state;
  chain_epoch mine;
  uint64_t tip;   /* the chain's end */
  uint64_t seen;  /* no change that travels lies between tip and this generation */
  int64_t schema; /* that the tables had then; 0: not looked yet */
  uint64_t objects, bytes, told_objects, told_bytes;
  int64_t forgot_at, told_at, base_at;
  uint64_t forgotten;
} publisher;

/* ---- one object ----------------------------------------------------------------------------------------------- */

/* Part 1, kept until the others are there. */
typedef struct draft {
  chain_envelope envelope;
  void *first;
  size_t first_bytes;
  uint64_t bytes; /* of all parts */
} draft;

static ship_status keep_first(publisher *p, draft *d, const source_part *part) {
  d->envelope = (chain_envelope){.part = 1, .from = part->from, .to = part->to, .epoch = p->mine.epoch};
  memcpy(d->envelope.chain, p->state.chain, CHAIN_UUID_TEXT);
  d->first = malloc(part->bytes + 1);
  if (!d->first) return ship_fail(p->s, SHIP_FAILED, "out of memory for an object of %zu bytes", part->bytes);
  memcpy(d->first, part->data, part->bytes);
  d->first_bytes = part->bytes;
  d->bytes = part->bytes;
  return ship_tag(p->s, d->envelope.tag);
}

static ship_status create_further(publisher *p, draft *d, uint32_t number, const source_part *part) {
  char name[CHAIN_NAME_TEXT];
  chain_envelope envelope = d->envelope;
  envelope.part = number;
  d->bytes += part->bytes;
  chain_name_changes(name, envelope.chain, envelope.from, envelope.tag, number);
  ship_status status = record_part_create(p->s, name, &envelope, part->data, part->bytes);
  return status == SHIP_EXISTS ? SHIP_OK : status; /* a repeated call: nobody else has our tag */
}

/* All parts but the first are in the carrier afterwards. */
static ship_status make_draft(publisher *p, draft *d) {
  source_part part = {0};
  uint32_t number = 1;
  ship_status status = source_make(p->source, p->tip, 1, &part);
  if (!status) status = keep_first(p, d, &part);
  while (!status && !part.last) {
    status = source_make(p->source, p->tip, ++number, &part);
    if (status == SHIP_MISSING) {
      return ship_fail(p->s, SHIP_FAILED, "the object after generation %" PRIu64 " ended at part %u", p->tip, number);
    }
    if (!status) status = create_further(p, d, number, &part);
  }
  d->envelope.parts = number;
  return status;
}

/* An object has the name already. */
static ship_status take_theirs(publisher *p, const draft *d) {
  chain_envelope found;
  ship_status status = record_envelope(p->s, p->state.chain, p->tip, &found);
  if (status) return status;
  bool ours = strcmp(found.tag, d->envelope.tag) == 0;
  if (!ours) status = record_check_fence(p->s, p->mine.epoch);
  if (status) return status;
  if (!ours) {
    ship_say(p->s, "generation %" PRIu64 " to %" PRIu64 " is shipped already, by epoch %" PRIu64, found.from, found.to,
             found.epoch);
  }
  p->tip = found.to;
  return SHIP_OK;
}

static ship_status create_first(publisher *p, draft *d) {
  char name[CHAIN_NAME_TEXT];
  ship_status status = record_check_fence(p->s, p->mine.epoch);
  if (status) return status;
  chain_name_changes(name, p->state.chain, p->tip, NULL, 1);
  status = record_part_create(p->s, name, &d->envelope, d->first, d->first_bytes);
  if (status == SHIP_EXISTS) return take_theirs(p, d);
  if (status) return status;
  p->tip = d->envelope.to;
  p->objects++;
  p->bytes += d->bytes;
  return SHIP_OK;
}

/* SHIP_MISSING: there is nothing to ship. */
static ship_status ship_object(publisher *p) {
  draft d = {0};
  ship_status status = make_draft(p, &d);
  source_done(p->source);
  if (!status) status = create_first(p, &d);
  free(d.first);
  return status;
}

/* ---- beginning ------------------------------------------------------------------------------------------------ */

static ship_status check_not_ahead(publisher *p) {
  if (p->tip <= p->state.generation) return SHIP_OK;
  return ship_fail(p->s, SHIP_REFUSED,
                   "the chain has reached generation %" PRIu64 ", the database is at %" PRIu64
                   ": it is older than what was shipped (an old copy?). Restore what was shipped into a new database, "
                   "or publish this one into another carrier",
                   p->tip, p->state.generation);
}

static ship_status new_base(publisher *p, bool chain_goes_on) {
  chain_head made;
  const base_for what = {p->s, p->source, p->state.chain, p->mine.epoch};
  ship_status status = base_make(&what, chain_goes_on, &made);
  if (status == SHIP_DAMAGED && chain_goes_on) return new_base(p, false); /* the chain's last object */
  if (status) return status;
  p->base_at = ship_now_ms();
  if (!chain_goes_on || p->tip < made.start) p->tip = made.start;
  return SHIP_OK;
}

/* The uuid is the same, but what it changed since it was copied is not what was shipped: the chain ends here, and goes
** on with a base of a later generation, so that each follower meets a gap. */
static ship_status begin_again(publisher *p) {
  if (p->state.generation == p->tip) {
    return ship_fail(
        p->s, SHIP_REFUSED,
        "this is not the file that was published, but a copy of it, or it was moved here from another disk: "
        "followers need a new base, of a commit after generation %" PRIu64 ": change something, and start again",
        p->tip);
  }
  ship_say(p->s,
           "GAP: this is not the file that was published, but a copy of it, or it was moved here from another "
           "disk: followers need the new base that is made now");
  return new_base(p, false);
}

/* The chain's last object is damaged: which generation it led to is not known.  The file that it was made from has all
** of them behind it; a copy of that file may be at one that a follower took from the object, with other contents. */
static ship_status after_damage(publisher *p, bool same_file) {
  char why[SHIP_MESSAGE_MAX];
  if (same_file) {
    ship_say(p->s, "GAP: %s: followers need the new base that is made now", p->s->message);
    return new_base(p, false);
  }
  memcpy(why, p->s->message, sizeof why);
  return ship_fail(p->s, SHIP_REFUSED,
                   "%.400s; so nobody can say how far the chain went, and this is not the file that was published, but "
                   "a copy of it, or it was moved here from another disk: publish it into another carrier",
                   why);
}

/* Where the chain ends; a base first if there is no chain. */
static ship_status find_tip(publisher *p) {
  chain_head newest;
  bool broken = false;
  ship_status status = owner_check_chain(p->s, p->state.chain, p->s->options->new_chain, &newest);
  if (status) return status;
  if (newest.number == 0 || strcmp(newest.chain, p->state.chain) != 0) {
    ship_say(p->s, "no base of this database is there yet: making one");
    return new_base(p, false);
  }
  status = record_find_end(p->s, p->state.chain, newest.start, &p->tip, &broken);
  bool same_file = strcmp(newest.file, p->state.file) == 0;
  if (status == SHIP_DAMAGED) return after_damage(p, same_file);
  if (!status) status = check_not_ahead(p);
  if (status) return status;
  if (!same_file) return begin_again(p);
  if (!broken) return status;
  ship_say(p->s, "GAP: objects of the chain are lost or damaged: a new base is made");
  return new_base(p, true);
}

/* The database no longer knows what changed after the chain's end. */
static ship_status heal_gap(publisher *p) {
  char chain[CHAIN_UUID_TEXT];
  memcpy(chain, p->state.chain, sizeof chain);
  ship_status status = source_look_again(p->source, chain, &p->state);
  if (status || p->state.floor <= p->tip) return status;
  ship_say(p->s,
           "GAP: the database knows its changes since generation %" PRIu64 ", the chain ends at %" PRIu64
           ": followers need the new base that is made now",
           p->state.floor, p->tip);
  return new_base(p, false);
}

/* A follower becomes the writer: what its old writer ships from now on reaches nobody. */
static ship_status promote(publisher *p) {
  ship_say(p->s, "promoted: chain %s is followed no more, after its generation %" PRIu64, p->state.followed,
           p->state.reached);
  return source_promote(p->source);
}

static ship_status begin(publisher *p) {
  chain_head newest;
  ship_status status = source_open(p->s, false, &p->source);
  if (!status) status = source_look(p->source, &p->state);
  if (status) return status;
  if (p->state.follows && !p->s->options->new_chain) {
    return ship_fail(p->s, SHIP_REFUSED,
                     "the database follows chain %s: its writer publishes, or "
                     "--new-chain makes this one the writer",
                     p->state.followed);
  }
  status = ship_open(p->s, true);
  /* Before the claim: a database that may not be published must not fence who may. */
  if (!status) status = owner_check_chain(p->s, p->state.chain, p->s->options->new_chain, &newest);
  if (!status) status = owner_claim(p->s, p->state.chain, &p->mine);
  if (status) return status;
  ship_say(p->s, "chain %s, epoch %" PRIu64 ", database at generation %" PRIu64, p->state.chain, p->mine.epoch,
           p->state.generation);
  if (p->state.follows) status = promote(p);
  if (!status) status = find_tip(p);
  return status ? status : heal_gap(p);
}

/* ---- going on ------------------------------------------------------------------------------------------------- */

static void report(publisher *p) {
  if (!ship_time_to_report(p->s)) return;
  int64_t now = ship_now_ms();
  double seconds = (double)(now - p->told_at) / 1000.0;
  double bytes = (double)(p->bytes - p->told_bytes);
  ship_say(p->s, "generation %" PRIu64 " of %" PRIu64 ", %" PRIu64 " objects, %.2f MB/s", p->tip,
           p->seen > p->tip ? p->seen : p->tip, p->objects - p->told_objects, seconds > 0 ? bytes / seconds / 1e6 : 0);
  p->told_at = now;
  p->told_bytes = p->bytes;
  p->told_objects = p->objects;
}

/* Now and then, what has been shipped is forgotten in the database. */
static ship_status forget(publisher *p) {
  int64_t now = ship_now_ms();
  bool forgotten = false;
  if (p->forgotten == p->tip || now - p->forgot_at < FORGET_EVERY_MS) return SHIP_OK;
  p->forgot_at = now;
  ship_status status = source_forget(p->source, p->tip, &forgotten);
  if (forgotten) p->forgotten = p->tip;
  return status;
}

static ship_status renew_base(publisher *p) {
  int64_t every_ms = p->s->options->base_every_s * 1000;
  if (!every_ms || ship_now_ms() - p->base_at < every_ms) return SHIP_OK;
  return new_base(p, true);
}

/* The database refuses to say what has changed: it no longer knows, or the schema of a table is another one. */
static ship_status heal_refusal(publisher *p) {
  ship_say(p->s, "GAP: %s: followers need the new base that is made now", p->s->message);
  ship_status status = source_renew(p->source);
  return status ? status : new_base(p, false);
}

/* Ships what is new, if anything. */
static ship_status step(publisher *p) {
  uint64_t newest = 0, since = p->seen > p->tip ? p->seen : p->tip;
  int64_t schema = p->schema;
  ship_status status = source_schema(p->source, &schema);
  if (!status) status = source_wait(p->source, since, schema == p->schema ? WAIT_MS : 0, &newest);
  if (status || (newest <= since && schema == p->schema)) return status;
  /* A change of the schema is no generation, but what was not noted because of it is told by asking. */
  p->schema = schema;
  int64_t began = ship_now_ms();
  status = ship_object(p);
  if (status == SHIP_MISSING) {
    p->seen = newest;
    return SHIP_OK;
  }
  if (source_bears(p->source, status)) {
    p->schema = 0;
    return SHIP_OK;
  }
  if (status == SHIP_NEEDS_BASE) status = heal_refusal(p);
  if (!status) ship_sleep(p->s->options->every_ms - (ship_now_ms() - began));
  return status;
}

static ship_status go_on(publisher *p) {
  ship_status status = SHIP_OK;
  while (!status && !ship_stop) {
    status = step(p);
    if (!status) status = forget(p);
    if (!status) status = renew_base(p);
    report(p);
    if (p->s->options->once && p->tip >= p->state.generation) break;
  }
  return status;
}

ship_status publish_command(ship *s) {
  publisher p = {.s = s, .told_at = ship_now_ms(), .base_at = ship_now_ms()};
  ship_status status = begin(&p);
  if (!status) status = go_on(&p);
  if (status == SHIP_STOPPED) status = SHIP_OK;
  if (p.mine.epoch && s->carrier && !status) {
    owner_end(s, &p.mine);
    ship_say(s, "ended at generation %" PRIu64, p.tip);
  }
  source_close(p.source);
  return status;
}
