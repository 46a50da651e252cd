/* SPDX-License-Identifier: MIT
**
** ship.h: what all commands share: the options, the carrier, how it went, and calls to the carrier that wait while it
** is away.
**
** A function that can fail returns a ship_status and has said why in ship.message.
*/
#ifndef SHIP_SHIP_H
#define SHIP_SHIP_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include "carrier.h"
#include "chain.h"

/* The program's exit statuses; up to 9 they are, and negative ones never leave the program. */
typedef enum ship_status {
  SHIP_OK = 0,
  SHIP_FAILED = 1,     /* the database or the carrier cannot do it */
  SHIP_USAGE = 2,      /* the command says something impossible */
  SHIP_REFUSED = 3,    /* somebody else publishes there, or it is another chain */
  SHIP_NEEDS_BASE = 4, /* a gap or damage: only a newer base helps */
  SHIP_FENCED = 5,     /* somebody has taken over from this publisher */
  SHIP_AWAY = 6,       /* the carrier was away for longer than --give-up says */
  SHIP_EXISTS = -1,    /* ship_create: something else has the name */
  SHIP_MISSING = -2,   /* there is no such object */
  SHIP_DAMAGED = -3,   /* an object is not what its writer made */
  SHIP_STOPPED = -4,   /* a signal said so */
} ship_status;

#define SHIP_MESSAGE_MAX 1024

typedef struct ship_options {
  const char *command, *carrier, *database, *table;
  int64_t every_ms;     /* publish: between two objects, at least */
  int64_t report_s;     /* between two lines of progress; 0: none */
  int64_t gap_after_s;  /* follow: a missing object is believed to be lost after this */
  int64_t give_up_s;    /* the carrier may be away so long; 0: for ever */
  int64_t keep_bases;   /* prune: so many of the newest */
  int64_t keep_days;    /* prune: and those made in the last days */
  int64_t base_every_s; /* publish: a new base so often; 0: never */
  int64_t until;        /* follow: end at this generation; -1: never */
  bool take_over, new_chain, auto_base, once, dry_run;
} ship_options;

typedef struct ship {
  const ship_options *options;
  carrier *carrier;
  char message[SHIP_MESSAGE_MAX];
  bool away;           /* it was told that the carrier is away */
  int64_t away_since;  /* monotonic ms */
  int64_t last_report; /* monotonic ms */
} ship;

/* Set by SIGTERM, SIGINT, SIGHUP. */
extern volatile sig_atomic_t ship_stop;

/* Fills ship->message and returns `status`. */
ship_status ship_fail(ship *s, ship_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* A line on stderr, with time and command. */
void ship_say(ship *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Is it time for a line of progress?  True at most every report_s. */
bool ship_time_to_report(ship *s);

int64_t ship_now_ms(void);    /* monotonic */
uint64_t ship_clock_ms(void); /* since 1970 */
void ship_clock_text(char text[CHAIN_WORD_TEXT]);
/* Sleeps, but wakes up to end. */
void ship_sleep(int64_t ms);
/* 16 hex digits by chance. */
ship_status ship_tag(ship *s, char tag[CHAIN_TAG_TEXT]);

/* The carrier's calls, repeated while it is away: that is told once, and so is its return. */
ship_status ship_open(ship *s, bool create);
ship_status ship_create(ship *s, const char *name, const void *data, size_t bytes); /* or SHIP_EXISTS */
ship_status ship_get(ship *s, const char *name, size_t limit, carrier_object *out); /* or SHIP_MISSING */
ship_status ship_remove(ship *s, const char *name);                                 /* or SHIP_MISSING */
ship_status ship_list(ship *s, const char *prefix, carrier_visit visit, void *context);
ship_status ship_wait(ship *s, const char *name, int timeout_ms); /* or SHIP_MISSING */
/* SHIP_OK: it is there; SHIP_MISSING */
ship_status ship_exists(ship *s, const char *name);

#endif /* SHIP_SHIP_H */
