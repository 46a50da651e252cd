/* SPDX-License-Identifier: MIT
**
** chain.h: what objects are named and what stands in them.  Pure: no I/O.
**
**   epoch/<e>                       who publishes, from here on; e = 1, 2, ...   text
**   epoch/<e>.end                   that publisher ended, in good order          text
**   head/<n>                        there is a base; n = 1, 2, ...               text
**   <chain>/base.<epoch>.<tag>.<k>  part k of that base                          envelope, part
**   <chain>/<from>                  changes after generation <from>: part 1      envelope, part
**   <chain>/<from>.<tag>.<k>        its part k = 2, 3, ...                       envelope, part
**
** <chain> is the uuid of the chain in 32 hex digits, <tag> a random number of the attempt in 16.  Numbers in names are
** decimal.  A text is lines of `key value`; the last one is the sum of those before it.
*/
#ifndef SHIP_CHAIN_H
#define SHIP_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHAIN_UUID_TEXT 33 /* with its end */
#define CHAIN_TAG_TEXT  17
#define CHAIN_NAME_TEXT 128
#define CHAIN_WORD_TEXT 256
#define CHAIN_TEXT_MAX  2048

typedef struct chain_epoch {
  uint64_t epoch;
  char chain[CHAIN_UUID_TEXT];
  char tag[CHAIN_TAG_TEXT]; /* of the attempt: tells the own record */
  char host[CHAIN_WORD_TEXT];
  char boot[CHAIN_WORD_TEXT]; /* identity of the host's boot; empty: unknown */
  uint64_t pid, started;      /* clock ticks since boot */
  char since[CHAIN_WORD_TEXT];
} chain_epoch;

typedef struct chain_head {
  uint64_t number, epoch;
  char chain[CHAIN_UUID_TEXT];
  uint64_t generation; /* of the base */
  uint64_t start;      /* the first object after it: <chain>/<start>; start <= generation */
  char tag[CHAIN_TAG_TEXT];
  uint64_t parts, bytes;
  char made[CHAIN_WORD_TEXT]; /* when */
  char host[CHAIN_WORD_TEXT];
  char file[CHAIN_WORD_TEXT]; /* identity of the SQLite file: a copy of the database has another one */
} chain_head;

/* What stands before a part.
**   0 "seqdbshp"    8 version    12 part    16 parts (0: not known)    20 zero    24 from    32 to    40 epoch
**  48 made, ms since 1970    56 bytes of the part    64 sum of it    72 chain, 16 bytes    88 tag, 8 bytes
**  96 zeros    120 sum of these 120 bytes */
#define CHAIN_ENVELOPE_BYTES 128
typedef struct chain_envelope {
  char chain[CHAIN_UUID_TEXT], tag[CHAIN_TAG_TEXT];
  uint32_t part, parts; /* parts is known of part 1 of changes only */
  uint64_t from, to, epoch;
  uint64_t made_ms;
  uint64_t bytes, sum;
} chain_envelope;

void chain_name_epoch(char name[CHAIN_NAME_TEXT], uint64_t epoch);
void chain_name_end(char name[CHAIN_NAME_TEXT], uint64_t epoch);
void chain_name_head(char name[CHAIN_NAME_TEXT], uint64_t number);
void chain_name_base(char name[CHAIN_NAME_TEXT], const chain_head *head, uint64_t part);
/* `part` 1 has no tag in its name. */
void chain_name_changes(char name[CHAIN_NAME_TEXT], const char *chain, uint64_t from, const char *tag, uint64_t part);

typedef enum chain_kind { CHAIN_OTHER = 0, CHAIN_CHANGES, CHAIN_BASE } chain_kind;

/* What a name found by listing is of. */
typedef struct chain_name {
  chain_kind kind;
  char chain[CHAIN_UUID_TEXT], tag[CHAIN_TAG_TEXT]; /* tag is empty for part 1 of changes */
  uint64_t from, epoch, part;
} chain_name;
void chain_parse_name(const char *text, chain_name *name);

/* Return the text's length; 0: a word in it is too long. */
size_t chain_write_epoch(const chain_epoch *epoch, char text[CHAIN_TEXT_MAX]);
size_t chain_write_head(const chain_head *head, char text[CHAIN_TEXT_MAX]);
/* False: damaged, or of a newer version; *why says which. */
bool chain_read_epoch(const void *text, size_t bytes, chain_epoch *epoch, const char **why);
bool chain_read_head(const void *text, size_t bytes, chain_head *head, const char **why);

uint64_t chain_sum(const void *data, size_t bytes);
/* Fills bytes and sum from the part. */
void chain_seal(chain_envelope *envelope, const void *part, size_t bytes, unsigned char out[CHAIN_ENVELOPE_BYTES]);
/* The head of an object; `bytes` may be those alone. */
bool chain_read_envelope(const void *data, size_t bytes, chain_envelope *envelope, const char **why);
/* The whole object: its part has the length and sum that the envelope says. */
bool chain_check_part(const void *data, size_t bytes, const chain_envelope *envelope, const char **why);

#endif /* SHIP_CHAIN_H */
