/* SPDX-License-Identifier: MIT
**
** prune.c: see prune.h.
**
** Kept are the newest bases whose parts are all there, as many as --keep-bases says and those of the last --keep-days,
** and all changes from where the oldest of them starts in the chain.  Removed is
**
**   changes of the kept chain     that begin before that place: part 1 first, so that nobody begins an object whose
**                                 other parts go
**   changes of an ended chain     one that another one has followed
**   parts of a base               whose head is older than the kept ones; or that have no head and are of an older
**                                 epoch than the newest kept base: whoever made them is fenced, they get none any more
**
** Heads and epochs stay: some hundred bytes each; a reader counts them.
*/
#define _XOPEN_SOURCE 700
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "prune.h"
#include "record.h"
#include "take.h"

typedef struct pruner {
  ship *s;
  chain_head *heads; /* heads[i].number is i + 1, or 0 where one is damaged */
  bool *kept;
  uint64_t count;
  const chain_head *newest; /* of those that are kept */
  uint64_t limit;           /* changes before it go */
  char **names;             /* to be removed */
  size_t name_count, name_room;
  uint64_t bytes;
  bool no_memory;
} pruner;

static ship_status read_heads(pruner *p) {
  chain_head newest;
  ship_status status = record_newest_head(p->s, &newest);
  if (status) return status;
  p->count = newest.number;
  p->heads = calloc(p->count + 1, sizeof *p->heads);
  p->kept = calloc(p->count + 1, sizeof *p->kept);
  if (!p->heads || !p->kept) return ship_fail(p->s, SHIP_FAILED, "out of memory");
  for (uint64_t i = 0; i < p->count && !status; i++) {
    status = record_head(p->s, i + 1, &p->heads[i]);
    if (status != SHIP_DAMAGED) continue;
    ship_say(p->s, "%s", p->s->message);
    p->heads[i] = (chain_head){0};
    status = SHIP_OK;
  }
  return status;
}

/* ---- what is kept --------------------------------------------------------------------------------------------- */

static bool is_young(const pruner *p, const chain_head *head) {
  struct tm made = {0};
  if (!strptime(head->made, "%Y-%m-%dT%H:%M:%SZ", &made)) return true;
  return (double)ship_clock_ms() / 1000 - (double)timegm(&made) < (double)p->s->options->keep_days * 86400;
}

static void keep(pruner *p, uint64_t i) {
  p->kept[i] = true;
  if (!p->newest) p->newest = &p->heads[i];
  if (p->heads[i].start < p->limit) p->limit = p->heads[i].start;
}

/* From the newest head down, of its chain. */
static ship_status choose(pruner *p) {
  ship_status status = SHIP_OK;
  int64_t number = 0;
  p->limit = UINT64_MAX;
  for (uint64_t i = p->count; i-- > 0 && !status;) {
    const chain_head *head = &p->heads[i];
    bool whole = false;
    if (!head->number || (p->newest && strcmp(head->chain, p->newest->chain) != 0)) continue;
    if (number >= p->s->options->keep_bases && !is_young(p, head)) continue;
    status = take_look_at_base(p->s, head, &whole);
    if (!status && !whole && !p->newest) ship_say(p->s, "base %" PRIu64 " is not whole: not relied on", head->number);
    if (status || !whole) continue;
    keep(p, i);
    number++;
  }
  if (status || p->newest) return status;
  return ship_fail(p->s, SHIP_NEEDS_BASE, "nothing is pruned: no base is whole. `seqdb-ship base` makes one");
}

/* ---- what goes ------------------------------------------------------------------------------------------------ */

/* The chain of a kept base, or of a later head, stays. */
static bool is_ended(const pruner *p, const char *chain) {
  bool ended = false;
  for (uint64_t i = 0; i < p->count; i++) {
    if (!p->heads[i].number || strcmp(p->heads[i].chain, chain) != 0) continue;
    if (p->heads[i].number >= p->newest->number) return false;
    ended = true;
  }
  return ended;
}

static bool base_goes(const pruner *p, const chain_name *name) {
  for (uint64_t i = 0; i < p->count; i++) {
    const chain_head *head = &p->heads[i];
    if (head->number && strcmp(head->tag, name->tag) == 0 && strcmp(head->chain, name->chain) == 0) {
      return !p->kept[i] && head->number < p->newest->number;
    }
  }
  return name->epoch < p->newest->epoch;
}

static bool goes(const pruner *p, const chain_name *name) {
  if (name->kind == CHAIN_BASE) return base_goes(p, name);
  if (name->kind != CHAIN_CHANGES) return false;
  if (strcmp(name->chain, p->newest->chain) == 0) return name->from < p->limit;
  return is_ended(p, name->chain);
}

static bool visit(void *context, const carrier_item *item) {
  pruner *p = context;
  chain_name name;
  chain_parse_name(item->name, &name);
  if (!goes(p, &name)) return true;
  if (p->name_count == p->name_room) {
    size_t room = p->name_room ? p->name_room * 2 : 64;
    char **grown = realloc(p->names, room * sizeof *grown);
    if (grown) p->names = grown;
    if (grown) p->name_room = room;
  }
  char *copy = p->name_count < p->name_room ? strdup(item->name) : NULL;
  p->no_memory = !copy;
  if (copy) p->names[p->name_count++] = copy;
  p->bytes += item->bytes;
  return !p->no_memory;
}

/* A shorter name first: <chain>/<from> before its parts. */
static int by_length(const void *left, const void *right) {
  const char *a = *(char *const *)left, *b = *(char *const *)right;
  size_t a_bytes = strlen(a), b_bytes = strlen(b);
  return a_bytes != b_bytes ? (a_bytes < b_bytes ? -1 : 1) : strcmp(a, b);
}

static ship_status remove_all(pruner *p) {
  ship_status status = SHIP_OK;
  if (p->name_count) qsort(p->names, p->name_count, sizeof *p->names, by_length);
  for (size_t i = 0; i < p->name_count && !status; i++) {
    status = p->s->options->dry_run ? SHIP_OK : ship_remove(p->s, p->names[i]);
    if (status == SHIP_MISSING) status = SHIP_OK;
    if (!status && ship_stop) status = SHIP_STOPPED;
    if (!status && ship_time_to_report(p->s)) ship_say(p->s, "%zu of %zu objects", i + 1, p->name_count);
  }
  return status;
}

static void print(const pruner *p) {
  uint64_t bases = 0;
  for (uint64_t i = 0; i < p->count; i++)
    bases += p->kept[i];
  printf("{\"removed\":%zu,\"bytes\":%" PRIu64 ",\"dry_run\":%s,\"kept_bases\":%" PRIu64 ",\"newest_base\":%" PRIu64
         ",\"changes_since\":%" PRIu64 "}\n",
         p->name_count, p->bytes, p->s->options->dry_run ? "true" : "false", bases, p->newest->number, p->limit);
}

ship_status prune_command(ship *s) {
  pruner p = {.s = s};
  ship_status status = ship_open(s, false);
  if (!status) status = read_heads(&p);
  if (!status) status = choose(&p);
  if (!status) status = ship_list(s, "", visit, &p);
  if (!status && p.no_memory) status = ship_fail(s, SHIP_FAILED, "out of memory for the list of objects");
  if (!status) status = remove_all(&p);
  if (!status) print(&p);
  for (size_t i = 0; i < p.name_count; i++)
    free(p.names[i]);
  free(p.names);
  free(p.heads);
  free(p.kept);
  return status;
}
