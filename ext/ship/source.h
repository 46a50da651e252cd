/* SPDX-License-Identifier: MIT
**
** source.h: the database at this end: what is new in it, and taking what is new elsewhere.
*/
#ifndef SHIP_SOURCE_H
#define SHIP_SOURCE_H

#include "ship.h"

typedef struct ship_source ship_source;

/* Of the table's directory. */
typedef struct source_state {
  char chain[CHAIN_UUID_TEXT];
  char file[CHAIN_WORD_TEXT]; /* identity of the SQLite file */
  uint64_t generation;
  uint64_t floor;                 /* changes after this generation are known */
  bool follows;                   /* it takes the changes of another database ... */
  char followed[CHAIN_UUID_TEXT]; /* ... of this chain, and has come to ... */
  uint64_t reached;               /* ... this generation of it */
} source_state;

/* One part of an object, as seqdb_object() gives it. */
typedef struct source_part {
  const void *data; /* valid until the next call on the source */
  size_t bytes;
  uint64_t from, to;
  bool last;
} source_part;

/* With `create` file and table are made where they are missing.  On failure *out is NULL. */
ship_status source_open(ship *s, bool create, ship_source **out);
void source_close(ship_source *source);

ship_status source_look(ship_source *source, source_state *state);
/* The same, for who has begun to ship this chain.  SHIP_REFUSED: it is another one now. */
ship_status source_look_again(ship_source *source, const char *chain, source_state *state);
/* Part 1 begins with the newest commit, further ones are of the same.  SHIP_MISSING: nothing has changed. */
ship_status source_make(ship_source *source, uint64_t since, uint64_t part, source_part *out);
/* Sleeps for at most `timeout_ms`; *generation: the newest. */
ship_status source_wait(ship_source *source, uint64_t generation, int timeout_ms, uint64_t *generation_now);
/* A number that changes with the schema: that may make a base needed, and is no generation. */
ship_status source_schema(ship_source *source, int64_t *version);
/* Forgets what has been shipped up to the generation; *forgotten is false if somebody else writes just now. */
ship_status source_forget(ship_source *source, uint64_t generation, bool *forgotten);

/* Did the last call fail since another connection has locked the database for a minute?  True, and said: try again.
** Whoever was told to come to an end (--once) does not wait. */
bool source_bears(ship_source *source, ship_status status);
/* The call of source_make() whose part was used ends; a read transaction may end with it. */
void source_done(ship_source *source);
/* After a change of schema: the changes of the named tables are noted anew; a new base has to follow. */
ship_status source_renew(ship_source *source);

ship_status source_begin(ship_source *source);
/* `replaces`: a base may take the place of all that is there.  SHIP_NEEDS_BASE: a gap; SHIP_REFUSED: another chain;
** SHIP_DAMAGED. */
ship_status source_apply(ship_source *source, const void *data, size_t bytes, bool replaces);
ship_status source_commit(ship_source *source);
void source_rollback(ship_source *source);
/* A follower becomes a writer: it follows no more. */
ship_status source_promote(ship_source *source);

#endif /* SHIP_SOURCE_H */
