/* SPDX-License-Identifier: MIT
**
** create_text.c: see create_text.h.
**
**   CREATE VIRTUAL TABLE "my table" USING seqdb ( 'a, b' , readonly=1 )
**                                   module        first argument
**
** SQLite has accepted the text: it is cut into words as SQLite does, and nothing is checked again.
*/
#include "create_text.h"
#include <string.h>
#include "config.h"

/* Parts of the text: [from, end). */
struct part {
  const char *from, *end;
};

static bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

static bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$' ||
         (unsigned char)c >= 0x80;
}

/* Behind the quoted text that begins here. */
static const char *skip_quoted(const char *at) {
  char close = *at == '[' ? ']' : *at;
  for (at++; *at; at++) {
    if (*at != close) continue;
    if (close == ']' || at[1] != close) return at + 1;
    at++;
  }
  return at;
}

/* Behind the comment that begins here; `at` if none does. */
static const char *skip_comment(const char *at) {
  const char *end;
  if (at[0] == '-' && at[1] == '-') return (end = strchr(at, '\n')) != NULL ? end : at + strlen(at);
  if (at[0] == '/' && at[1] == '*') return (end = strstr(at + 2, "*/")) != NULL ? end + 2 : at + strlen(at);
  return at;
}

/* The next word, quoted text or single character. */
static struct part next(const char *at) {
  for (const char *before = NULL; before != at;) {
    before = at;
    while (is_space(*at))
      at++;
    at = skip_comment(at);
  }
  struct part part = {at, at};
  if (strchr("'\"`[", *at) && *at) {
    part.end = skip_quoted(at);
  } else if (is_word(*at)) {
    while (is_word(*part.end))
      part.end++;
  } else if (*at) {
    part.end++;
  }
  return part;
}

static bool is(struct part part, const char *word) {
  size_t bytes = strlen(word);
  return (size_t)(part.end - part.from) == bytes && sqlite3_strnicmp(part.from, word, (int)bytes) == 0;
}

/* The module's name, perhaps in quotes; empty: there is none. */
static struct part find_module(const char *sql) {
  struct part part = next(sql);
  while (part.from < part.end && !is(part, "USING"))
    part = next(part.end);
  return next(part.end);
}

/* From behind the '(' to before the ',' or ')' that ends it, without blanks around it.  Empty: there are none. */
static struct part find_first_argument(const char *sql) {
  struct part part = next(find_module(sql).end), argument = {part.end, part.end};
  int depth = 0;
  if (!is(part, "(")) return argument;
  for (part = next(part.end); part.from < part.end; part = next(part.end)) {
    if (depth == 0 && (is(part, ",") || is(part, ")"))) break;
    depth += is(part, "(") ? 1 : is(part, ")") ? -1 : 0;
    if (argument.from == argument.end) argument.from = part.from;
    argument.end = part.end;
  }
  return argument;
}

bool sdb_create_text_is_ours(const char *sql) {
  struct part module = find_module(sql);
  bool quoted = module.end - module.from > 2 && strchr("'\"`[", *module.from) != NULL;
  if (quoted) module = (struct part){module.from + 1, module.end - 1};
  return is(module, "seqdb");
}

char *sdb_create_text_path(const char *sql, sdb_failure *f) {
  struct part argument = find_first_argument(sql);
  sdb_config config = {0};
  char *text = sqlite3_mprintf("%.*s", (int)(argument.end - argument.from), argument.from);
  const char *const argv[] = {text};
  if (!text)
    sdb_failure_nomem(f);
  else if (text[0])
    sdb_config_parse(&config, 1, argv, f);
  sqlite3_free(text);
  return config.path;
}

char *sdb_create_text_with_path(const char *sql, const char *path, sdb_failure *f) {
  struct part argument = find_first_argument(sql);
  char *text = sqlite3_mprintf("%.*s'%q'%s", (int)(argument.from - sql), sql, path, argument.end);
  if (!text) sdb_failure_nomem(f);
  return text;
}
