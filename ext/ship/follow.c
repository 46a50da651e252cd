/* SPDX-License-Identifier: MIT
**
** follow.c: see follow.h.
**
** How far a follower has come stands in its database, in the commit of its rows and regions; nothing else is kept.  Its
** next object is <chain>/<next>: <next> is where it stands, or, after a base, the place of the object that goes on
** there.  It is fetched by that name alone.  When none comes, two things may be wrong, and both are looked for:
**
**   a newer head     whose chain starts after us, or that is of another chain: what we need was pruned, or another
**                    copy has become the writer
**   a newer object   found by listing, while ours stays missing (or damaged) for --gap-after: it is lost
**
** Then only a newer base helps.  That is told, and with --auto-base taken; it replaces what is there in one commit.
*/
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "follow.h"
#include "record.h"
#include "take.h"

#define WAIT_MS       1000
#define LOOK_EVERY_MS 2000
#define LIST_MOST_MS  600000

typedef struct follower {
  ship *s;
  ship_source *source;
  source_state state;
  char chain[CHAIN_UUID_TEXT]; /* that is followed; empty: none yet */
  uint64_t reached, next;
  chain_head head; /* the newest one that was seen */
  int64_t looked_at, news_at, listed_at, list_every_ms;
  int64_t trouble_at; /* an object cannot be taken since then; 0: it can */
  uint64_t objects, bytes, told_objects, told_bytes, lag_ms;
  int64_t told_at;
} follower;

static bool is_ours(const follower *f, const chain_head *head) {
  return head->number > 0 && strcmp(head->chain, f->chain) == 0;
}

/* After a commit: where we stand. */
static ship_status look(follower *f) {
  ship_status status = source_look(f->source, &f->state);
  if (status) return status;
  memcpy(f->chain, f->state.followed, sizeof f->chain);
  f->reached = f->state.reached;
  f->news_at = f->looked_at = ship_now_ms();
  f->list_every_ms = f->s->options->gap_after_s * 1000;
  f->trouble_at = 0;
  return SHIP_OK;
}

/* ---- the next object ------------------------------------------------------------------------------------------ */

/* Walks from where the newest base begins to the object that goes on where we stand, there already or not. */
static ship_status walk_to_next(follower *f) {
  chain_envelope found;
  ship_status status = SHIP_OK;
  f->next = f->head.start;
  while (f->next < f->reached) {
    status = record_envelope(f->s, f->chain, f->next, &found);
    if (status || found.to > f->reached) break;
    f->next = found.to;
  }
  return status == SHIP_MISSING ? SHIP_OK : status;
}

static ship_status find_next(follower *f) {
  char name[CHAIN_NAME_TEXT];
  chain_name_changes(name, f->chain, f->reached, NULL, 1);
  ship_status status = ship_exists(f->s, name);
  f->next = f->reached;
  if (status != SHIP_MISSING) return status;
  return is_ours(f, &f->head) && f->head.start <= f->reached ? walk_to_next(f) : SHIP_OK;
}

/* ---- bases ---------------------------------------------------------------------------------------------------- */

/* Takes the newest base that is whole: that of `head`, or one before it. */
static ship_status take_newest(follower *f, bool replaces) {
  chain_head head = f->head;
  ship_status status = SHIP_MISSING;
  while (head.number > 0) {
    ship_say(f->s, "taking base %" PRIu64 ": chain %s, generation %" PRIu64 ", %.1f MB, made %s", head.number,
             head.chain, head.generation, (double)head.bytes / 1e6, head.made);
    status = take_base(f->s, f->source, &head, replaces);
    if (status != SHIP_MISSING && status != SHIP_DAMAGED) break;
    ship_say(f->s, "base %" PRIu64 " cannot be used: %s", head.number, f->s->message);
    uint64_t before = head.number - 1;
    if (!before || record_head(f->s, before, &head) != SHIP_OK || strcmp(head.chain, f->head.chain) != 0) break;
    if (!replaces || !f->chain[0] || strcmp(head.chain, f->chain) != 0 || head.generation > f->reached) continue;
    break; /* older than what we have */
  }
  if (status == SHIP_MISSING || status == SHIP_DAMAGED) {
    return ship_fail(f->s, SHIP_NEEDS_BASE, "no base is whole: make one with `seqdb-ship base`");
  }
  if (!status) status = look(f);
  return status ? status : find_next(f);
}

/* Waits for head/<n+1>. */
static ship_status await_head(follower *f, const char *why) {
  char name[CHAIN_NAME_TEXT];
  ship_say(f->s, "%s; waiting for one (`seqdb-ship base`, at the writer, makes it)", why);
  chain_name_head(name, f->head.number + 1);
  ship_status status = SHIP_MISSING;
  while (status == SHIP_MISSING && !ship_stop) {
    status = ship_wait(f->s, name, WAIT_MS);
    if (status == SHIP_MISSING && ship_time_to_report(f->s)) ship_say(f->s, "still no newer base");
  }
  if (status) return ship_stop ? SHIP_STOPPED : status;
  return record_newest_head(f->s, &f->head);
}

/* Was our chain ever in this carrier? */
static ship_status check_not_foreign(follower *f) {
  ship_status status = SHIP_OK;
  for (uint64_t number = f->head.number; number > 0 && !status; number--) {
    chain_head head;
    status = record_head(f->s, number, &head);
    if (!status && is_ours(f, &head)) return SHIP_OK;
    if (status == SHIP_DAMAGED || status == SHIP_MISSING) status = SHIP_OK;
  }
  if (status) return status;
  return ship_fail(f->s, SHIP_REFUSED, "this database follows chain %s, the carrier holds chain %s: another database's",
                   f->chain, f->head.chain);
}

/* Only a newer base helps, because of `why`. */
static ship_status need_base(follower *f, const char *why) {
  char reason[SHIP_MESSAGE_MAX];
  snprintf(reason, sizeof reason, "%s", why);
  ship_say(f->s, "GAP: %s", reason);
  if (!f->s->options->auto_base) {
    return ship_fail(f->s, SHIP_NEEDS_BASE,
                     "%s. Only a newer base helps: --auto-base takes it in place of all that is "
                     "here",
                     reason);
  }
  ship_status status = record_newest_head(f->s, &f->head);
  while (!status && is_ours(f, &f->head) && f->head.generation <= f->reached) {
    status = await_head(f, "the carrier has no base that is newer than this database");
  }
  return status ? status : take_newest(f, true);
}

/* A database that follows nothing yet. */
static ship_status begin_with_base(follower *f) {
  ship_status status = record_newest_head(f->s, &f->head);
  while (!status && f->head.number == 0) {
    if (f->s->options->once) return ship_fail(f->s, SHIP_FAILED, "nothing was published there yet");
    status = await_head(f, "nothing was published there yet");
  }
  return status ? status : take_newest(f, false);
}

/* ---- when nothing comes --------------------------------------------------------------------------------------- */

static ship_status judge_head(follower *f) {
  char why[SHIP_MESSAGE_MAX];
  if (f->head.number == 0) return SHIP_OK;
  if (!is_ours(f, &f->head)) {
    ship_status status = check_not_foreign(f);
    snprintf(why, sizeof why,
             "chain %s has ended: host %s began chain %s at %s, this database stands at generation "
             "%" PRIu64,
             f->chain, f->head.host, f->head.chain, f->head.made, f->reached);
    return status ? status : need_base(f, why);
  }
  if (f->head.start <= f->reached) return SHIP_OK;
  snprintf(why, sizeof why,
           "object '%s/%" PRIu64 "' is not there, and base %" PRIu64 " starts at generation %" PRIu64 ": it was pruned",
           f->chain, f->next, f->head.number, f->head.start);
  return need_base(f, why);
}

/* A newer head? */
static ship_status look_for_head(follower *f) {
  char name[CHAIN_NAME_TEXT];
  f->looked_at = ship_now_ms();
  chain_name_head(name, f->head.number + 1);
  ship_status status = ship_exists(f->s, name);
  if (!status) status = record_newest_head(f->s, &f->head);
  return status == SHIP_MISSING ? SHIP_OK : status;
}

typedef struct search {
  const follower *f;
  bool newer;
} search;

static bool visit(void *context, const carrier_item *item) {
  search *found = context;
  chain_name name;
  chain_parse_name(item->name, &name);
  found->newer = name.kind == CHAIN_CHANGES && name.part == 1 && !name.tag[0] && name.from > found->f->next &&
                 strcmp(name.chain, found->f->chain) == 0;
  return !found->newer;
}

/* The one use of a list: what it shows is there, what it does not show proves nothing. */
static ship_status look_for_newer(follower *f) {
  char prefix[CHAIN_NAME_TEXT], name[CHAIN_NAME_TEXT], why[SHIP_MESSAGE_MAX];
  search found = {f, false};
  f->listed_at = ship_now_ms();
  f->list_every_ms = f->list_every_ms * 2 < LIST_MOST_MS ? f->list_every_ms * 2 : LIST_MOST_MS;
  snprintf(prefix, sizeof prefix, "%s/", f->chain);
  ship_status status = ship_list(f->s, prefix, visit, &found);
  if (status || !found.newer) return status;
  /* A copy of the carrier may get its objects in any order. */
  chain_name_changes(name, f->chain, f->next, NULL, 1);
  for (int64_t i = 0; i < f->s->options->gap_after_s && !ship_stop; i++) {
    status = ship_wait(f->s, name, 1000);
    if (status != SHIP_MISSING) return status;
  }
  snprintf(why, sizeof why, "object '%s' is missing, and newer ones are there", name);
  return ship_stop ? SHIP_STOPPED : need_base(f, why);
}

/* No next object has come for a while. */
static ship_status idle(follower *f) {
  int64_t now = ship_now_ms();
  ship_status status = SHIP_OK;
  if (now - f->looked_at >= LOOK_EVERY_MS) {
    status = look_for_head(f);
    if (!status) status = judge_head(f);
  }
  int64_t since = f->listed_at > f->news_at ? f->listed_at : f->news_at;
  if (!status && now - since >= f->list_every_ms) status = look_for_newer(f);
  return status;
}

/* ---- following ------------------------------------------------------------------------------------------------ */

/* The object, or a part of it, is missing or damaged: that may pass where a carrier is being copied. */
static ship_status bear(follower *f) {
  char why[SHIP_MESSAGE_MAX];
  int64_t now = ship_now_ms(), limit = f->s->options->gap_after_s * 1000;
  memcpy(why, f->s->message, sizeof why);
  if (!f->trouble_at) {
    f->trouble_at = now;
    ship_say(f->s, "%s; looking again for %" PRId64 " s", why, f->s->options->gap_after_s);
  }
  ship_status status = look_for_head(f);
  if (status) return status;
  if (f->head.number && is_ours(f, &f->head) && f->head.start > f->reached) return judge_head(f);
  if (now - f->trouble_at >= limit) return need_base(f, why);
  ship_sleep(200);
  return SHIP_OK;
}

static ship_status take_next(follower *f) {
  chain_envelope last;
  uint64_t bytes = 0;
  ship_status status = take_changes(f->s, f->source, f->chain, f->next, &last, &bytes);
  if (status == SHIP_MISSING || status == SHIP_DAMAGED) return bear(f);
  if (status == SHIP_NEEDS_BASE) return need_base(f, f->s->message);
  if (status) return status;
  uint64_t now = ship_clock_ms();
  f->reached = f->next = last.to;
  f->lag_ms = now > last.made_ms ? now - last.made_ms : 0;
  f->objects++;
  f->bytes += bytes;
  f->news_at = ship_now_ms();
  f->list_every_ms = f->s->options->gap_after_s * 1000;
  f->trouble_at = 0;
  return SHIP_OK;
}

static void report(follower *f) {
  if (!ship_time_to_report(f->s)) return;
  int64_t now = ship_now_ms();
  double seconds = (double)(now - f->told_at) / 1000.0, bytes = (double)(f->bytes - f->told_bytes);
  ship_say(f->s,
           "generation %" PRIu64 ", %" PRIu64 " objects, %.2f MB/s, the last one %" PRIu64 " ms after it was made",
           f->reached, f->objects - f->told_objects, seconds > 0 ? bytes / seconds / 1e6 : 0, f->lag_ms);
  f->told_at = now;
  f->told_bytes = f->bytes;
  f->told_objects = f->objects;
}

/* True: the command has what it wanted. */
static bool is_done(const follower *f, bool nothing_new) {
  const ship_options *o = f->s->options;
  if (o->until >= 0 && f->reached >= (uint64_t)o->until) return true;
  return o->once && nothing_new;
}

static ship_status go_on(follower *f) {
  ship_status status = SHIP_OK;
  while (!status && !ship_stop && !is_done(f, false)) {
    char name[CHAIN_NAME_TEXT];
    uint64_t reached = f->reached;
    chain_name_changes(name, f->chain, f->next, NULL, 1);
    status = ship_wait(f->s, name, f->s->options->once ? 0 : WAIT_MS);
    if (status == SHIP_OK) {
      status = take_next(f);
    } else if (status == SHIP_MISSING) {
      status = f->s->options->once ? look_for_head(f) : idle(f);
      if (!status && f->s->options->once) status = judge_head(f);
      if (!status && is_done(f, f->reached == reached)) break;
    }
    report(f);
  }
  return status;
}

static ship_status begin(follower *f) {
  ship_status status = ship_open(f->s, false);
  if (!status) status = source_open(f->s, true, &f->source);
  if (!status) status = look(f);
  if (status) return status;
  if (!f->state.follows) return begin_with_base(f);
  status = record_newest_head(f->s, &f->head);
  if (!status && f->head.number && !is_ours(f, &f->head)) status = judge_head(f);
  if (!status) status = find_next(f);
  if (!status) ship_say(f->s, "chain %s, at generation %" PRIu64, f->chain, f->reached);
  return status;
}

/* *has_base: the database follows a chain, so that there is something in it. */
static ship_status follow(ship *s, uint64_t *reached, bool *has_base) {
  follower f = {.s = s, .told_at = ship_now_ms()};
  ship_status status = begin(&f);
  if (!status) status = go_on(&f);
  if (status == SHIP_STOPPED) status = SHIP_OK;
  if (!status) ship_say(s, "ended at generation %" PRIu64, f.reached);
  *reached = f.reached;
  *has_base = f.chain[0] != '\0';
  source_close(f.source);
  return status;
}

ship_status follow_command(ship *s) {
  uint64_t reached = 0;
  bool has_base = false;
  return follow(s, &reached, &has_base);
}

/* ---- restore -------------------------------------------------------------------------------------------------- */

#define MADE_FILES 4

/* What a new database is made of: those that were not there before. */
typedef struct made {
  char *directory;
  char *files[MADE_FILES]; /* NULL: it was there */
} made;

static char *path_of(const ship *s, const char *suffix, const char *more) {
  size_t bytes = strlen(s->options->database) + strlen(suffix) + strlen(more) + 1;
  char *path = malloc(bytes), *kept = NULL;
  struct stat found;
  if (!path) return NULL;
  snprintf(path, bytes, "%s%s%s", s->options->database, suffix, more);
  if (lstat(path, &found) != 0 && errno == ENOENT) kept = path;
  if (!kept) free(path);
  return kept;
}

static made made_begin(const ship *s) {
  static const char *const suffixes[MADE_FILES] = {"", "-wal", "-shm", "-journal"};
  made m;
  m.directory = path_of(s, "-", s->options->table);
  for (size_t i = 0; i < MADE_FILES; i++)
    m.files[i] = path_of(s, suffixes[i], "");
  return m;
}

static void remove_directory(const char *path) {
  DIR *directory = opendir(path);
  if (!directory) return;
  for (const struct dirent *entry; (entry = readdir(directory));)
    (void)unlinkat(dirfd(directory), entry->d_name, 0); /* not . and .., which are directories */
  closedir(directory);
  (void)rmdir(path);
}

/* With `removes` it is as if nothing had been made. */
static void made_end(made *m, bool removes) {
  if (removes && m->directory) remove_directory(m->directory);
  for (size_t i = 0; i < MADE_FILES; i++) {
    if (removes && m->files[i]) (void)unlink(m->files[i]);
    free(m->files[i]);
  }
  free(m->directory);
}

/* An empty file is a database.  Of two restores at once only one makes it, so that none removes what the other made.
** What else is wrong with the path SQLite tells. */
static bool is_first(const ship *s) {
  int fd = open(s->options->database, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  bool exists = fd < 0 && errno == EEXIST;
  if (fd >= 0) close(fd);
  return !exists;
}

/* What has not come to a base is removed: the next restore would be refused because of it.  A base, and what came
** after it, may be all that can be had: it stays, and says how it goes on. */
ship_status restore_command(ship *s) {
  uint64_t reached = 0;
  bool has_base = false;
  made m = made_begin(s);
  if (!is_first(s)) {
    made_end(&m, false);
    return ship_fail(s, SHIP_REFUSED, "%s exists: restore makes a new one; `follow` goes on with one that it made",
                     s->options->database);
  }
  ship_status status = follow(s, &reached, &has_base);
  if (!status && ship_stop) status = SHIP_STOPPED;
  made_end(&m, status && !has_base);
  if (status && has_base) {
    ship_say(s, "%s is not done, it stands at generation %" PRIu64 ": `follow` goes on with it", s->options->database,
             reached);
  }
  if (!status) printf("{\"generation\":%" PRIu64 "}\n", reached);
  return status;
}
