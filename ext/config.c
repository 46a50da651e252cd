/* SPDX-License-Identifier: MIT
**
** config.c: the arguments of CREATE VIRTUAL TABLE.
**
**   CREATE VIRTUAL TABLE regions USING seqdb('my_database', sync=off, min_size=1048576);
**
** The first argument is the path unless it reads `word = value`.  Every other argument is an option.  An unknown
** option, a bad value or an option given twice is an error: the text stays in the schema, where a typing mistake would
** be believed for years.
**
** A path with a quote or '=' in it must be quoted, and nothing may follow the quotes: with the comma forgotten,
** seqdb('r' readonly=1) would make a writable directory of that name.
*/
#include <string.h>
#include "check.h"
#include "config.h"

typedef struct sdb_slice {
  const char *text;
  size_t bytes;
} sdb_slice;

static bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

static bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* A copy without the quotes around it; a doubled quote inside stands for one.  NULL: out of memory. */
static char *dequote(sdb_slice slice) {
  char *copy = sqlite3_malloc64(slice.bytes + 1);
  if (!copy) return NULL;
  char quote = slice.bytes >= 2 ? slice.text[0] : 0;
  bool quoted = (quote == '\'' || quote == '"') && slice.text[slice.bytes - 1] == quote;
  size_t end = quoted ? slice.bytes - 1 : slice.bytes, used = 0;
  for (size_t i = quoted ? 1 : 0; i < end; i++) {
    copy[used++] = slice.text[i];
    if (quoted && slice.text[i] == quote && i + 1 < end && slice.text[i + 1] == quote) i++;
  }
  copy[used] = '\0';
  return copy;
}

/* Split `word = value`.  False if the text has no such form. */
static bool split_option(sdb_slice argument, sdb_slice *key, sdb_slice *value) {
  size_t word_bytes = 0;
  while (word_bytes < argument.bytes && is_word(argument.text[word_bytes]))
    word_bytes++;
  size_t equals = word_bytes;
  while (equals < argument.bytes && is_space(argument.text[equals]))
    equals++;
  if (word_bytes == 0 || equals == argument.bytes || argument.text[equals] != '=') return false;
  size_t begin = equals + 1;
  while (begin < argument.bytes && is_space(argument.text[begin]))
    begin++;
  *key = (sdb_slice){argument.text, word_bytes};
  *value = (sdb_slice){argument.text + begin, argument.bytes - begin};
  return true;
}

/* ---- the path ---------------------------------------------------------------------------------------------- */

/* Where the quoted text at the beginning ends, after its closing quote; NULL: there is none. */
static const char *quoted_end(const char *text) {
  for (const char *p = text + 1; *p; p++) {
    if (*p != text[0]) continue;
    if (p[1] != text[0]) return p + 1;
    p++;
  }
  return NULL;
}

static int check_path(const char *text, sdb_failure *f) {
  bool quoted = text[0] == '\'' || text[0] == '"';
  const char *end = quoted ? quoted_end(text) : text;
  if (SDB_NEVER(!end)) return sdb_failure_set(f, SQLITE_ERROR, "seqdb: the quotes of the path %s do not end", text);
  if (quoted && *end) {
    while (is_space(*end))
      end++;
    return sdb_failure_set(f, SQLITE_ERROR, "seqdb: a comma is missing after the path, before: %s", end);
  }
  if (!quoted && strpbrk(text, "'\"`=")) {
    return sdb_failure_set(f, SQLITE_ERROR, "seqdb: the path %s has to be quoted; options follow a comma", text);
  }
  return SQLITE_OK;
}

static int take_path(sdb_config *config, sdb_slice argument, sdb_failure *f) {
  if (check_path(argument.text, f) != SQLITE_OK) return f->code;
  config->path = dequote(argument);
  if (!config->path) return sdb_failure_nomem(f);
  if (!config->path[0]) return sdb_failure_set(f, SQLITE_ERROR, "seqdb: the path is empty");
  config->path_given = true;
  return SQLITE_OK;
}

/* ---- options ----------------------------------------------------------------------------------------------- */

/* Digits; a program whose numbers are all REAL writes 1.0 for 1. */
static bool parse_number(const char *value, uint64_t *out) {
  const char *p = value;
  uint64_t number = 0;
  for (; *p >= '0' && *p <= '9'; p++) {
    if (number > ((uint64_t)INT64_MAX - 9) / 10) return false;
    number = number * 10 + (uint64_t)(*p - '0');
  }
  if (p == value) return false;
  if (p[0] == '.' && p[1] == '0') p += 1 + strspn(p + 1, "0");
  *out = number;
  return *p == '\0';
}

static bool parse_bool(const char *value, bool *out) {
  uint64_t number = 0;
  if (!parse_number(value, &number) || number > 1) return false;
  *out = number == 1;
  return true;
}

static bool set_readonly(sdb_config *config, const char *value) {
  if (!parse_bool(value, &config->readonly)) return false;
  if (config->readonly) config->flags |= SEQDB_OPEN_READONLY;
  return true;
}

static bool set_sync(sdb_config *config, const char *value) {
  bool off = sqlite3_stricmp(value, "off") == 0;
  if (off) config->flags |= SEQDB_OPEN_SYNC_OFF;
  return off || sqlite3_stricmp(value, "full") == 0;
}

static bool set_atomic(sdb_config *config, const char *value) {
  config->atomic_given = true;
  return parse_bool(value, &config->atomic);
}

static bool set_mmap(sdb_config *config, const char *value) {
  bool on = true;
  if (!parse_bool(value, &on)) return false;
  if (!on) config->flags |= SEQDB_OPEN_NO_MMAP;
  return true;
}

static bool set_locking(sdb_config *config, const char *value) {
  bool exclusive = sqlite3_stricmp(value, "exclusive") == 0;
  if (exclusive) config->flags |= SEQDB_OPEN_EXCLUSIVE;
  return exclusive || sqlite3_stricmp(value, "shared") == 0;
}

static bool set_immutable(sdb_config *config, const char *value) {
  bool on = false;
  if (!parse_bool(value, &on)) return false;
  if (on) config->flags |= SEQDB_OPEN_IMMUTABLE;
  return true;
}

static bool set_min_size(sdb_config *config, const char *value) {
  return parse_number(value, &config->min_size_bytes);
}

static bool set_adopt(sdb_config *config, const char *value) {
  bool on = false;
  if (!parse_bool(value, &on)) return false;
  if (on) config->flags |= SEQDB_OPEN_ADOPT;
  return true;
}

static const struct {
  const char *key, *values;
  bool (*set)(sdb_config *config, const char *value);
} options[] = {
    {"readonly", "0 or 1", set_readonly},
    {"sync", "full or off", set_sync},
    {"atomic", "0 or 1", set_atomic},
    {"mmap", "0 or 1", set_mmap},
    {"min_size", "bytes", set_min_size},
    {"adopt", "0 or 1", set_adopt},
    {"locking", "shared or exclusive", set_locking},
    {"immutable", "0 or 1", set_immutable},
};
#define OPTION_COUNT (sizeof options / sizeof options[0])

static int parse_option(sdb_config *config, sdb_slice key, sdb_slice value, unsigned *seen, sdb_failure *f) {
  char *word = dequote(key), *text = dequote(value);
  size_t i = 0;
  if (!word || !text) {
    sdb_failure_nomem(f);
    goto done;
  }
  while (i < OPTION_COUNT && sqlite3_stricmp(options[i].key, word) != 0)
    i++;
  if (sqlite3_stricmp(word, "resolve") == 0) { /* decided once, and so by a function */
    sdb_failure_set(f, SQLITE_ERROR,
                    "seqdb: 'resolve' is no option: SELECT seqdb_resolve('table', 'keep') or 'drop' decides "
                    "what was left undecided");
  } else if (i == OPTION_COUNT) {
    sdb_failure_set(f, SQLITE_ERROR, "seqdb: unknown option '%s'", word);
  } else if (*seen & 1u << i) {
    sdb_failure_set(f, SQLITE_ERROR, "seqdb: option '%s' is given twice", word);
  } else if (!options[i].set(config, text)) {
    sdb_failure_set(f, SQLITE_ERROR, "seqdb: option '%s' is '%s', it takes %s", word, text, options[i].values);
  }
  if (i < OPTION_COUNT) *seen |= 1u << i;
done:
  sqlite3_free(word);
  sqlite3_free(text);
  return f->code;
}

/* What nobody changes is only read, and is read without a lock. */
static int combine(sdb_config *config, sdb_failure *f) {
  if (!(config->flags & SEQDB_OPEN_IMMUTABLE)) return SQLITE_OK;
  if (config->flags & SEQDB_OPEN_EXCLUSIVE) {
    return sdb_failure_set(f, SQLITE_ERROR, "seqdb: immutable=1 takes no lock, so locking=exclusive contradicts it");
  }
  config->readonly = true;
  config->flags |= SEQDB_OPEN_READONLY;
  return SQLITE_OK;
}

/* ---- all of them ------------------------------------------------------------------------------------------- */

int sdb_config_parse(sdb_config *config, int argc, const char *const *argv, sdb_failure *f) {
  unsigned seen = 0;
  *config = (sdb_config){.atomic = true};
  for (int i = 0; i < argc && f->code == SQLITE_OK; i++) {
    sdb_slice argument = {argv[i], strlen(argv[i])}, key, value; /* SQLite has cut the blanks around it */
    if (split_option(argument, &key, &value)) {
      parse_option(config, key, value, &seen, f);
    } else if (i > 0) {
      sdb_failure_set(f, SQLITE_ERROR, "seqdb: argument '%s' is no option (key=value); the path comes first", argv[i]);
    } else {
      take_path(config, argument, f);
    }
  }
  if (f->code == SQLITE_OK) combine(config, f);
  if (f->code != SQLITE_OK) sdb_config_clear(config);
  return f->code;
}

void sdb_config_clear(sdb_config *config) {
  sqlite3_free(config->path);
  config->path = NULL;
}
