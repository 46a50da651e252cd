/* SPDX-License-Identifier: MIT
**
** owner.c: see owner.h.
**
** Nobody can be shown dead by a clock.  A process of this host, this boot and this set of process numbers can be looked
** for; of any other one a person has to say that it shall be taken over.  Being wrong costs nothing but a publisher
** that stops: creation is exclusive, so two never interleave.
*/
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "owner.h"
#include "record.h"

/* ---- who am I ------------------------------------------------------------------------------------------------- */

/* The clock tick at which a process began; 0: unknown. */
static uint64_t start_of(uint64_t pid) {
  char path[64], text[1024];
  unsigned long long started = 0;
  snprintf(path, sizeof path, "/proc/%" PRIu64 "/stat", pid);
  FILE *file = fopen(path, "re");
  if (!file) return 0;
  size_t bytes = fread(text, 1, sizeof text - 1, file);
  fclose(file);
  text[bytes] = '\0';
  const char *at = strrchr(text, ')'); /* the name before it may have anything in it */
  for (int field = 2; at && field < 22; field++)
    at = strchr(at + 1, ' ');
  return at && sscanf(at, "%llu", &started) == 1 ? started : 0;
}

/* The host's boot and its set of process numbers. */
static void boot_of(char boot[CHAIN_WORD_TEXT]) {
  char id[64] = "", space[64] = "";
  FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
  if (file) {
    if (!fgets(id, sizeof id, file)) id[0] = '\0';
    fclose(file);
  }
  ssize_t bytes = readlink("/proc/self/ns/pid", space, sizeof space - 1);
  space[bytes > 0 ? bytes : 0] = '\0';
  id[strcspn(id, "\n")] = '\0';
  snprintf(boot, CHAIN_WORD_TEXT, "%s%s%s", id, id[0] ? "/" : "", id[0] ? space : "");
}

static ship_status describe_me(ship *s, chain_epoch *mine, const char *chain) {
  *mine = (chain_epoch){.pid = (uint64_t)getpid(), .started = start_of((uint64_t)getpid())};
  memcpy(mine->chain, chain, CHAIN_UUID_TEXT);
  if (gethostname(mine->host, sizeof mine->host - 1) != 0 || !mine->host[0]) memcpy(mine->host, "unknown", 8);
  boot_of(mine->boot);
  ship_clock_text(mine->since);
  return ship_tag(s, mine->tag);
}

owner_life owner_look(const chain_epoch *epoch) {
  char boot[CHAIN_WORD_TEXT], host[CHAIN_WORD_TEXT] = "";
  boot_of(boot);
  if (gethostname(host, sizeof host - 1) != 0) host[0] = '\0';
  if (!boot[0] || strcmp(boot, epoch->boot) != 0 || strcmp(host, epoch->host) != 0) return OWNER_UNKNOWN;
  if (kill((pid_t)epoch->pid, 0) != 0 && errno == ESRCH) return OWNER_IS_DEAD;
  uint64_t started = start_of(epoch->pid);
  return started && epoch->started && started != epoch->started ? OWNER_IS_DEAD : OWNER_RUNS;
}

/* ---- claiming ------------------------------------------------------------------------------------------------- */

static ship_status refuse(ship *s, const chain_epoch *owner, const char *what) {
  return ship_fail(s, SHIP_REFUSED,
                   "process %" PRIu64 " on host %s publishes here since %s (epoch %" PRIu64
                   ")%s. End it, or give --take-over: then it stops",
                   owner->pid, owner->host, owner->since, owner->epoch, what);
}

/* May the owner's place be taken? */
static ship_status may_follow_on(ship *s, const chain_epoch *owner) {
  bool ended = owner->epoch == 0;
  ship_status status = ended ? SHIP_OK : record_has_ended(s, owner->epoch, &ended);
  if (status || ended) return status;
  owner_life life = owner_look(owner);
  if (life == OWNER_IS_DEAD) {
    ship_say(s, "process %" PRIu64 " published here since %s and is dead: going on after it", owner->pid, owner->since);
    return SHIP_OK;
  }
  if (s->options->take_over) {
    ship_say(s, "taking over from process %" PRIu64 " on host %s, which published here since %s", owner->pid,
             owner->host, owner->since);
    return SHIP_OK;
  }
  return refuse(s, owner, life == OWNER_RUNS ? ", and runs" : "; from here nobody can see whether it still runs");
}

/* SHIP_EXISTS: somebody else was first. */
static ship_status create_epoch(ship *s, chain_epoch *mine) {
  char name[CHAIN_NAME_TEXT], text[CHAIN_TEXT_MAX];
  chain_epoch found;
  size_t bytes = chain_write_epoch(mine, text);
  if (!bytes) return ship_fail(s, SHIP_FAILED, "the host's name is too long");
  chain_name_epoch(name, mine->epoch);
  ship_status status = ship_create(s, name, text, bytes);
  if (status != SHIP_EXISTS) return status;
  status = record_newest_epoch(s, &found);
  if (status) return status;
  return found.epoch == mine->epoch && strcmp(found.tag, mine->tag) == 0 ? SHIP_OK : SHIP_EXISTS;
}

ship_status owner_claim(ship *s, const char *chain, chain_epoch *mine) {
  ship_status status = describe_me(s, mine, chain);
  if (status) return status;
  do {
    chain_epoch owner;
    status = record_newest_epoch(s, &owner);
    if (!status) status = may_follow_on(s, &owner);
    if (status) return status;
    mine->epoch = owner.epoch + 1;
    status = create_epoch(s, mine);
  } while (status == SHIP_EXISTS);
  return status;
}

void owner_end(ship *s, const chain_epoch *mine) {
  char name[CHAIN_NAME_TEXT];
  static const char text[] = "seqdb-ship ended\n";
  chain_name_end(name, mine->epoch);
  carrier_code code = carrier_create(s->carrier, name, text, sizeof text - 1);
  if (code && code != CARRIER_EXISTS) ship_say(s, "could not say that this publisher ends: %s", s->carrier->message);
}

/* ---- chains --------------------------------------------------------------------------------------------------- */

/* Has a head before `newest` the chain? */
static ship_status had_chain(ship *s, const char *chain, const chain_head *newest, bool *had) {
  ship_status status = SHIP_OK;
  *had = false;
  for (uint64_t number = newest->number - 1; number > 0 && !*had && !status; number--) {
    chain_head head;
    status = record_head(s, number, &head);
    if (status == SHIP_DAMAGED) status = SHIP_OK;
    *had = !status && strcmp(head.chain, chain) == 0;
  }
  return status;
}

ship_status owner_check_chain(ship *s, const char *chain, bool may_be_new, chain_head *newest) {
  bool had = false;
  ship_status status = record_newest_head(s, newest);
  if (status || newest->number == 0 || strcmp(newest->chain, chain) == 0) return status;
  status = had_chain(s, chain, newest, &had);
  if (status) return status;
  if (had) {
    return ship_fail(s, SHIP_REFUSED,
                     "this database's chain %s was ended by chain %s, which host %s began here at %s: another copy has "
                     "become the writer. What this one has that the other has not stays here; let it follow anew",
                     chain, newest->chain, newest->host, newest->made);
  }
  if (may_be_new) return SHIP_OK;
  return ship_fail(s, SHIP_REFUSED,
                   "this database is chain %s, the carrier holds chain %s of host %s. If this database is to take its "
                   "place, give --new-chain; else choose another carrier",
                   chain, newest->chain, newest->host);
}
