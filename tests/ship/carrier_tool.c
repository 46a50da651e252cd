/* SPDX-License-Identifier: MIT
**
** carrier_tool.c: a program that calls a carrier as it is told, for the tests of carriers.
**
**   carrier-tool ADDRESS
**
** Each line of its input is a call, each line of its output the answer, a Tcl list: the code, the milliseconds that the
** call took, and what it found; or the message.  Objects are made of a length and a seed; what is got is told by its
** hash, and so is what was created.
**
**   create NAME BYTES SEED      -> hash
**   get NAME LIMIT              -> bytes, total, hash
**   remove NAME
**   list PREFIX                 -> a list of name, bytes, age in seconds
**   wait NAME TIMEOUT_MS
**   publish PREFIX COUNT BYTES PAUSE_MS    creates PREFIX.0 ..., each with the time in it  -> bytes
**   follow PREFIX COUNT         waits for them one after the other  -> bytes, median, p99 and longest lag in ms
*/
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#include "carrier.h"

static const char *const code_names[] = {"ok", "exists", "missing", "away", "fatal"};

static double now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1000 + (double)now.tv_nsec / 1e6;
}

/* Bytes of a xorshift generator. */
static char *content(size_t bytes, uint64_t seed) {
  uint64_t *words = malloc(bytes + 8);
  if (!words) exit(3);
  uint64_t state = seed * 2 + 1;
  for (size_t i = 0; i < bytes / 8 + 1; i++) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    words[i] = state;
  }
  return (char *)words;
}

typedef struct answer {
  carrier_code code;
  char *text;
  size_t bytes;
} answer;

static void say(answer *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(answer *a, const char *format, ...) {
  va_list arguments;
  char piece[600];
  va_start(arguments, format);
  int written = vsnprintf(piece, sizeof piece, format, arguments);
  va_end(arguments);
  if (written < 0 || !(a->text = realloc(a->text, a->bytes + (size_t)written + 1))) exit(3);
  memcpy(a->text + a->bytes, piece, (size_t)written + 1);
  a->bytes += (size_t)written;
}

static void run_create(carrier *c, char **words, answer *a) {
  size_t bytes = strtoull(words[2], NULL, 10);
  char *data = content(bytes, strtoull(words[3], NULL, 10));
  a->code = carrier_create(c, words[1], data, bytes);
  if (!a->code) say(a, " %016" PRIx64, (uint64_t)XXH3_64bits(data, bytes));
  free(data);
}

static void run_get(carrier *c, char **words, answer *a) {
  carrier_object object;
  a->code = carrier_get(c, words[1], strtoull(words[2], NULL, 10), &object);
  if (a->code) return;
  say(a, " %zu %zu %016" PRIx64, object.bytes, object.total, (uint64_t)XXH3_64bits(object.data, object.bytes));
  free(object.data);
}

static bool list_visit(void *context, const carrier_item *item) {
  say(context, "%s %" PRIu64 " %" PRId64 " ", item->name, item->bytes, item->age_s);
  return true;
}

static void run_list(carrier *c, char **words, answer *a) {
  say(a, " {");
  a->code = carrier_list(c, words[1] ? words[1] : "", list_visit, a);
  say(a, "}");
}

/* The time at which an object was created is in its first bytes. */
static void run_publish(carrier *c, char **words, answer *a) {
  size_t bytes = strtoull(words[3], NULL, 10);
  long count = atol(words[2]);
  double pause_ms = atof(words[4]), begin = now_ms();
  char *data = content(bytes, 1);
  for (long i = 0; i < count && !a->code; i++) {
    char name[CARRIER_NAME_MAX];
    double left_ms = begin + pause_ms * (double)i - now_ms(), now;
    if (left_ms > 0) usleep((useconds_t)(left_ms * 1000));
    snprintf(name, sizeof name, "%s.%ld", words[1], i);
    now = now_ms();
    memcpy(data, &now, sizeof now);
    a->code = carrier_create(c, name, data, bytes);
  }
  say(a, " %zu", (size_t)count * bytes);
  free(data);
}

static int by_value(const void *left, const void *right) {
  double a = *(const double *)left, b = *(const double *)right;
  return (a > b) - (a < b);
}

static carrier_code follow_one(carrier *c, const char *name, double *lag_ms, size_t *bytes) {
  carrier_object object;
  carrier_code code;
  int tries = 60;
  do
    code = carrier_wait(c, name, 1000);
  while (code == CARRIER_MISSING && --tries > 0);
  if (!code) code = carrier_get(c, name, 0, &object);
  if (code) return code;
  memcpy(lag_ms, object.data, sizeof *lag_ms);
  *lag_ms = now_ms() - *lag_ms;
  *bytes += object.bytes;
  free(object.data);
  return code;
}

static void run_follow(carrier *c, char **words, answer *a) {
  long count = atol(words[2]);
  double *lags = calloc((size_t)count, sizeof *lags);
  size_t bytes = 0;
  if (!lags) exit(3);
  for (long i = 0; i < count && !a->code; i++) {
    char name[CARRIER_NAME_MAX];
    snprintf(name, sizeof name, "%s.%ld", words[1], i);
    a->code = follow_one(c, name, &lags[i], &bytes);
  }
  qsort(lags, (size_t)count, sizeof *lags, by_value);
  say(a, " %zu %.1f %.1f %.1f", bytes, lags[count / 2], lags[count * 99 / 100], lags[count - 1]);
  free(lags);
}

static void run(carrier *c, char **words, answer *a) {
  const char *verb = words[0];
  if (strcmp(verb, "create") == 0) run_create(c, words, a);
  if (strcmp(verb, "get") == 0) run_get(c, words, a);
  if (strcmp(verb, "remove") == 0) a->code = carrier_remove(c, words[1]);
  if (strcmp(verb, "list") == 0) run_list(c, words, a);
  if (strcmp(verb, "wait") == 0) a->code = carrier_wait(c, words[1], atoi(words[2]));
  if (strcmp(verb, "publish") == 0) run_publish(c, words, a);
  if (strcmp(verb, "follow") == 0) run_follow(c, words, a);
}

static void run_line(carrier *c, char *line) {
  char *words[6] = {NULL}, *rest = NULL;
  answer a = {CARRIER_OK, NULL, 0};
  size_t count = 0;
  for (char *word = strtok_r(line, " \n", &rest); word && count < 5; word = strtok_r(NULL, " \n", &rest))
    words[count++] = word;
  if (count == 0) return;
  double begin = now_ms();
  run(c, words, &a);
  printf("%s %.1f", code_names[a.code], now_ms() - begin);
  if (a.code) {
    printf(" {%s}\n", c->message);
  } else {
    printf("%s\n", a.text ? a.text : "");
  }
  fflush(stdout);
  free(a.text);
}

int main(int argc, char **argv) {
  char message[CARRIER_MESSAGE_MAX], line[1000];
  carrier *c = NULL;
  if (argc != 2) return 2;
  double begin = now_ms();
  carrier_code code = carrier_open(argv[1], true, &c, message);
  printf("%s %.1f {%s}\n", code_names[code], now_ms() - begin, code ? message : "");
  fflush(stdout);
  if (code) return 1;
  while (fgets(line, sizeof line, stdin))
    run_line(c, line);
  carrier_close(c);
  return 0;
}
