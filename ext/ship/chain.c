/* SPDX-License-Identifier: MIT
**
** chain.c: see chain.h.
*/
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#include "chain.h"

static const char magic[8] = {'s', 'e', 'q', 'd', 'b', 's', 'h', 'p'};
#define VERSION 2u

uint64_t chain_sum(const void *data, size_t bytes) {
  return XXH3_64bits(data, bytes);
}

/* ---- names ---------------------------------------------------------------------------------------------------- */

void chain_name_epoch(char name[CHAIN_NAME_TEXT], uint64_t epoch) {
  snprintf(name, CHAIN_NAME_TEXT, "epoch/%" PRIu64, epoch);
}

void chain_name_end(char name[CHAIN_NAME_TEXT], uint64_t epoch) {
  snprintf(name, CHAIN_NAME_TEXT, "epoch/%" PRIu64 ".end", epoch);
}

void chain_name_head(char name[CHAIN_NAME_TEXT], uint64_t number) {
  snprintf(name, CHAIN_NAME_TEXT, "head/%" PRIu64, number);
}

void chain_name_base(char name[CHAIN_NAME_TEXT], const chain_head *head, uint64_t part) {
  snprintf(name, CHAIN_NAME_TEXT, "%s/base.%" PRIu64 ".%s.%" PRIu64, head->chain, head->epoch, head->tag, part);
}

void chain_name_changes(char name[CHAIN_NAME_TEXT], const char *chain, uint64_t from, const char *tag, uint64_t part) {
  if (part == 1) {
    snprintf(name, CHAIN_NAME_TEXT, "%s/%" PRIu64, chain, from);
  } else {
    snprintf(name, CHAIN_NAME_TEXT, "%s/%" PRIu64 ".%s.%" PRIu64, chain, from, tag, part);
  }
}

static bool is_hex(const char *text, size_t digits) {
  return strlen(text) == digits && strspn(text, "0123456789abcdef") == digits;
}

/* A whole decimal number without leading zeros; *end is behind it. */
static bool read_number(const char *text, uint64_t *number, const char **end) {
  size_t digits = strspn(text, "0123456789");
  if (digits == 0 || digits > 19 || (text[0] == '0' && digits > 1)) return false;
  *number = strtoull(text, NULL, 10);
  *end = text + digits;
  return true;
}

static bool read_tag_and_part(const char *text, chain_name *name) {
  if (text[0] != '.' || strlen(text) < CHAIN_TAG_TEXT + 1 || text[CHAIN_TAG_TEXT] != '.') return false;
  memcpy(name->tag, text + 1, CHAIN_TAG_TEXT - 1);
  name->tag[CHAIN_TAG_TEXT - 1] = '\0';
  const char *end = NULL;
  return is_hex(name->tag, CHAIN_TAG_TEXT - 1) && read_number(text + CHAIN_TAG_TEXT + 1, &name->part, &end) && !*end;
}

static chain_kind parse_own_name(const char *text, chain_name *name) {
  const char *end = NULL;
  if (strncmp(text, "base.", 5) == 0) {
    return read_number(text + 5, &name->epoch, &end) && read_tag_and_part(end, name) ? CHAIN_BASE : CHAIN_OTHER;
  }
  if (!read_number(text, &name->from, &end)) return CHAIN_OTHER;
  name->part = 1;
  return !*end || read_tag_and_part(end, name) ? CHAIN_CHANGES : CHAIN_OTHER;
}

void chain_parse_name(const char *text, chain_name *name) {
  *name = (chain_name){0};
  if (strlen(text) <= CHAIN_UUID_TEXT || text[CHAIN_UUID_TEXT - 1] != '/') return;
  memcpy(name->chain, text, CHAIN_UUID_TEXT - 1);
  if (is_hex(name->chain, CHAIN_UUID_TEXT - 1)) name->kind = parse_own_name(text + CHAIN_UUID_TEXT, name);
}

/* ---- texts ---------------------------------------------------------------------------------------------------- */

/* One line of a text: a number, or a word of CHAIN_WORD_TEXT bytes (or of an identity's length). */
typedef struct line {
  const char *key;
  uint64_t *number;
  char *word;
  size_t word_bytes;
} line;

#define WORD(field) NULL, (field), sizeof(field)
#define LINES_MAX   12

static size_t epoch_lines(chain_epoch *e, line lines[LINES_MAX]) {
  const line all[] = {
      {"epoch", &e->epoch, NULL, 0},     {"chain", WORD(e->chain)}, {"tag", WORD(e->tag)},
      {"host", WORD(e->host)},           {"boot", WORD(e->boot)},   {"pid", &e->pid, NULL, 0},
      {"started", &e->started, NULL, 0}, {"since", WORD(e->since)},
  };
  memcpy(lines, all, sizeof all);
  return sizeof all / sizeof all[0];
}

static size_t head_lines(chain_head *h, line lines[LINES_MAX]) {
  const line all[] = {
      {"head", &h->number, NULL, 0}, {"epoch", &h->epoch, NULL, 0},
      {"chain", WORD(h->chain)},     {"generation", &h->generation, NULL, 0},
      {"start", &h->start, NULL, 0}, {"tag", WORD(h->tag)},
      {"parts", &h->parts, NULL, 0}, {"bytes", &h->bytes, NULL, 0},
      {"made", WORD(h->made)},       {"host", WORD(h->host)},
      {"file", WORD(h->file)},
  };
  memcpy(lines, all, sizeof all);
  return sizeof all / sizeof all[0];
}

static size_t write_text(const char *title, const line *lines, size_t count, char text[CHAIN_TEXT_MAX]) {
  size_t used = (size_t)snprintf(text, CHAIN_TEXT_MAX, "seqdb-ship %s %u\n", title, VERSION);
  for (size_t i = 0; i < count; i++) {
    int written = lines[i].number
                      ? snprintf(text + used, CHAIN_TEXT_MAX - used, "%s %" PRIu64 "\n", lines[i].key, *lines[i].number)
                      : snprintf(text + used, CHAIN_TEXT_MAX - used, "%s %s\n", lines[i].key, lines[i].word);
    used += (size_t)written;
    if (used >= CHAIN_TEXT_MAX - 32) return 0;
  }
  return used + (size_t)snprintf(text + used, CHAIN_TEXT_MAX - used, "sum %016" PRIx64 "\n", chain_sum(text, used));
}

/* Reads `key value\n` at *at. */
static bool read_line(const char **at, const line *l) {
  size_t key_bytes = strlen(l->key);
  const char *value = *at + key_bytes + 1;
  if (strncmp(*at, l->key, key_bytes) != 0 || (*at)[key_bytes] != ' ') return false;
  const char *end = strchr(value, '\n');
  if (!end) return false;
  *at = end + 1;
  if (l->number) return read_number(value, l->number, &value) && value == end;
  if ((size_t)(end - value) >= l->word_bytes) return false;
  memcpy(l->word, value, (size_t)(end - value));
  l->word[end - value] = '\0';
  return true;
}

/* The last line is the sum of all before it. */
static bool sum_is_right(const char *text, size_t bytes) {
  const size_t last = sizeof "sum 0123456789abcdef\n" - 1;
  char right[64];
  if (bytes < last) return false;
  snprintf(right, sizeof right, "sum %016" PRIx64 "\n", chain_sum(text, bytes - last));
  return memcmp(text + bytes - last, right, last) == 0;
}

static bool read_text(const char *title, const void *data, size_t bytes, const line *lines, size_t count,
                      const char **why) {
  char text[CHAIN_TEXT_MAX + 1], first[64];
  *why = "it is damaged";
  if (bytes > CHAIN_TEXT_MAX || memchr(data, 0, bytes) || !sum_is_right(data, bytes)) return false;
  memcpy(text, data, bytes);
  text[bytes] = '\0';
  snprintf(first, sizeof first, "seqdb-ship %s %u\n", title, VERSION);
  if (strncmp(text, first, strlen(first)) != 0) {
    *why = "it is of another version of seqdb-ship";
    return false;
  }
  const char *at = text + strlen(first);
  for (size_t i = 0; i < count; i++) {
    if (!read_line(&at, &lines[i])) return false;
  }
  return true;
}

size_t chain_write_epoch(const chain_epoch *epoch, char text[CHAIN_TEXT_MAX]) {
  chain_epoch copy = *epoch;
  line lines[LINES_MAX];
  return write_text("epoch", lines, epoch_lines(&copy, lines), text);
}

size_t chain_write_head(const chain_head *head, char text[CHAIN_TEXT_MAX]) {
  chain_head copy = *head;
  line lines[LINES_MAX];
  return write_text("head", lines, head_lines(&copy, lines), text);
}

bool chain_read_epoch(const void *text, size_t bytes, chain_epoch *epoch, const char **why) {
  line lines[LINES_MAX];
  *epoch = (chain_epoch){0};
  size_t count = epoch_lines(epoch, lines);
  return read_text("epoch", text, bytes, lines, count, why);
}

bool chain_read_head(const void *text, size_t bytes, chain_head *head, const char **why) {
  line lines[LINES_MAX];
  *head = (chain_head){0};
  size_t count = head_lines(head, lines);
  if (!read_text("head", text, bytes, lines, count, why)) return false;
  *why = "its numbers are impossible";
  return is_hex(head->chain, CHAIN_UUID_TEXT - 1) && is_hex(head->tag, CHAIN_TAG_TEXT - 1) && head->parts > 0 &&
         head->start <= head->generation;
}

/* ---- envelopes ------------------------------------------------------------------------------------------------ */

static void put(unsigned char *at, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; i++)
    at[i] = (unsigned char)(value >> (8 * i));
}

static uint64_t get(const unsigned char *at, int bytes) {
  uint64_t value = 0;
  while (bytes-- > 0)
    value = value << 8 | at[bytes];
  return value;
}

static unsigned nibble(char digit) {
  return (unsigned)(digit >= 'a' ? digit - 'a' + 10 : digit - '0');
}

static void put_hex(unsigned char *at, const char *text, size_t bytes) {
  for (size_t i = 0; i < bytes; i++)
    at[i] = (unsigned char)(nibble(text[2 * i]) << 4 | nibble(text[2 * i + 1]));
}

static void get_hex(const unsigned char *at, char *text, size_t bytes) {
  for (size_t i = 0; i < bytes; i++)
    snprintf(text + 2 * i, 3, "%02x", at[i]);
}

void chain_seal(chain_envelope *e, const void *part, size_t bytes, unsigned char out[CHAIN_ENVELOPE_BYTES]) {
  e->bytes = bytes;
  e->sum = chain_sum(part, bytes);
  memset(out, 0, CHAIN_ENVELOPE_BYTES);
  memcpy(out, magic, sizeof magic);
  put(out + 8, VERSION, 4);
  put(out + 12, e->part, 4);
  put(out + 16, e->parts, 4);
  put(out + 24, e->from, 8);
  put(out + 32, e->to, 8);
  put(out + 40, e->epoch, 8);
  put(out + 48, e->made_ms, 8);
  put(out + 56, e->bytes, 8);
  put(out + 64, e->sum, 8);
  put_hex(out + 72, e->chain, 16);
  put_hex(out + 88, e->tag, 8);
  put(out + 120, chain_sum(out, 120), 8);
}

bool chain_read_envelope(const void *data, size_t bytes, chain_envelope *e, const char **why) {
  const unsigned char *in = data;
  *e = (chain_envelope){0};
  *why = "it is cut short";
  if (bytes < CHAIN_ENVELOPE_BYTES) return false;
  *why = "it is damaged";
  if (memcmp(in, magic, sizeof magic) != 0 || get(in + 120, 8) != chain_sum(in, 120)) return false;
  *why = "it is of another version of seqdb-ship";
  if (get(in + 8, 4) != VERSION) return false;
  e->part = (uint32_t)get(in + 12, 4);
  e->parts = (uint32_t)get(in + 16, 4);
  e->from = get(in + 24, 8);
  e->to = get(in + 32, 8);
  e->epoch = get(in + 40, 8);
  e->made_ms = get(in + 48, 8);
  e->bytes = get(in + 56, 8);
  e->sum = get(in + 64, 8);
  get_hex(in + 72, e->chain, 16);
  get_hex(in + 88, e->tag, 8);
  return true;
}

bool chain_check_part(const void *data, size_t bytes, const chain_envelope *e, const char **why) {
  *why = "it is cut short";
  if (bytes - CHAIN_ENVELOPE_BYTES < e->bytes) return false;
  *why = "it is damaged";
  return bytes - CHAIN_ENVELOPE_BYTES == e->bytes &&
         chain_sum((const unsigned char *)data + CHAIN_ENVELOPE_BYTES, (size_t)e->bytes) == e->sum;
}
