/* SPDX-License-Identifier: MIT
**
** ship.c: see ship.h.
*/
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include "ship.h"

#define RETRY_FIRST_MS 100
#define RETRY_MOST_MS  5000

volatile sig_atomic_t ship_stop = 0;

ship_status ship_fail(ship *s, ship_status status, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(s->message, sizeof s->message, format, arguments);
  va_end(arguments);
  return status;
}

/* ---- time ----------------------------------------------------------------------------------------------------- */

static int64_t milliseconds(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t ship_now_ms(void) {
  return milliseconds(CLOCK_MONOTONIC);
}

uint64_t ship_clock_ms(void) {
  return (uint64_t)milliseconds(CLOCK_REALTIME);
}

void ship_clock_text(char text[CHAIN_WORD_TEXT]) {
  time_t now = (time_t)(ship_clock_ms() / 1000);
  struct tm parts;
  gmtime_r(&now, &parts);
  strftime(text, CHAIN_WORD_TEXT, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

void ship_sleep(int64_t ms) {
  for (int64_t left = ms; left > 0 && !ship_stop; left -= 50) {
    int64_t slice = left < 50 ? left : 50;
    struct timespec time = {slice / 1000, (slice % 1000) * 1000000};
    nanosleep(&time, NULL);
  }
}

ship_status ship_tag(ship *s, char tag[CHAIN_TAG_TEXT]) {
  uint64_t number = 0;
  if (getrandom(&number, sizeof number, 0) != sizeof number) return ship_fail(s, SHIP_FAILED, "no random numbers");
  snprintf(tag, CHAIN_TAG_TEXT, "%016" PRIx64, number);
  return SHIP_OK;
}

/* ---- lines ---------------------------------------------------------------------------------------------------- */

void ship_say(ship *s, const char *format, ...) {
  char text[SHIP_MESSAGE_MAX + 256], time[CHAIN_WORD_TEXT];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  ship_clock_text(time);
  fprintf(stderr, "%s seqdb-ship %s: %s\n", time, s->options->command, text);
}

bool ship_time_to_report(ship *s) {
  int64_t now = ship_now_ms();
  if (!s->options->report_s || now - s->last_report < s->options->report_s * 1000) return false;
  s->last_report = now;
  return true;
}

/* ---- the carrier, patiently ----------------------------------------------------------------------------------- */

/* The carrier has answered. */
static void is_back(ship *s) {
  if (!s->away) return;
  ship_say(s, "the carrier is back after %.1f s; nothing was lost", (double)(ship_now_ms() - s->away_since) / 1000.0);
  s->away = false;
}

/* It has not: sleeps before the next try.  SHIP_OK: try again. */
static ship_status is_away(ship *s, const char *why, int64_t *pause_ms) {
  if (!s->away) {
    ship_say(s, "the carrier is away, trying again: %s", why);
    s->away = true;
    s->away_since = ship_now_ms();
  } else if (ship_time_to_report(s)) {
    ship_say(s, "the carrier is away for %.0f s: %s", (double)(ship_now_ms() - s->away_since) / 1000.0, why);
  }
  int64_t limit = s->options->give_up_s * 1000;
  if (limit && ship_now_ms() - s->away_since >= limit) {
    return ship_fail(s, SHIP_AWAY, "the carrier is away for %" PRId64 " s: %s", s->options->give_up_s, why);
  }
  ship_sleep(*pause_ms);
  *pause_ms = *pause_ms * 2 < RETRY_MOST_MS ? *pause_ms * 2 : RETRY_MOST_MS;
  return ship_stop ? SHIP_STOPPED : SHIP_OK;
}

/* What a call has given: true if that is final, with its status. */
static bool is_final(ship *s, carrier_code code, int64_t *pause_ms, ship_status *status) {
  if (code == CARRIER_AWAY) {
    *status = is_away(s, s->carrier->message, pause_ms);
    return *status != SHIP_OK;
  }
  is_back(s);
  switch (code) {
    case CARRIER_OK:
      *status = SHIP_OK;
      break;
    case CARRIER_EXISTS:
      *status = ship_fail(s, SHIP_EXISTS, "%s", s->carrier->message);
      break;
    case CARRIER_MISSING:
      *status = ship_fail(s, SHIP_MISSING, "%s", s->carrier->message);
      break;
    default:
      *status = ship_fail(s, SHIP_FAILED, "carrier: %s", s->carrier->message);
      break;
  }
  return true;
}

ship_status ship_open(ship *s, bool create) {
  char why[CARRIER_MESSAGE_MAX];
  int64_t pause_ms = RETRY_FIRST_MS;
  ship_status status = SHIP_OK;
  carrier_code code = carrier_open(s->options->carrier, create, &s->carrier, why);
  while (code == CARRIER_AWAY && status == SHIP_OK) {
    status = is_away(s, why, &pause_ms);
    if (status == SHIP_OK) code = carrier_open(s->options->carrier, create, &s->carrier, why);
  }
  if (status) return status;
  is_back(s);
  return code == CARRIER_OK ? SHIP_OK : ship_fail(s, SHIP_FAILED, "carrier: %s", why);
}

ship_status ship_create(ship *s, const char *name, const void *data, size_t bytes) {
  int64_t pause_ms = RETRY_FIRST_MS;
  ship_status status = SHIP_OK;
  while (!is_final(s, carrier_create(s->carrier, name, data, bytes), &pause_ms, &status))
    continue;
  return status;
}

ship_status ship_get(ship *s, const char *name, size_t limit, carrier_object *out) {
  int64_t pause_ms = RETRY_FIRST_MS;
  ship_status status = SHIP_OK;
  while (!is_final(s, carrier_get(s->carrier, name, limit, out), &pause_ms, &status))
    continue;
  return status;
}

ship_status ship_remove(ship *s, const char *name) {
  int64_t pause_ms = RETRY_FIRST_MS;
  ship_status status = SHIP_OK;
  while (!is_final(s, carrier_remove(s->carrier, name), &pause_ms, &status))
    continue;
  return status;
}

ship_status ship_list(ship *s, const char *prefix, carrier_visit visit, void *context) {
  int64_t pause_ms = RETRY_FIRST_MS;
  ship_status status = SHIP_OK;
  while (!is_final(s, carrier_list(s->carrier, prefix, visit, context), &pause_ms, &status))
    continue;
  return status;
}

ship_status ship_wait(ship *s, const char *name, int timeout_ms) {
  int64_t pause_ms = RETRY_FIRST_MS;
  ship_status status = SHIP_OK;
  while (!is_final(s, carrier_wait(s->carrier, name, timeout_ms), &pause_ms, &status))
    continue;
  return status;
}

ship_status ship_exists(ship *s, const char *name) {
  carrier_object found;
  ship_status status = ship_get(s, name, 1, &found);
  free(found.data);
  return status;
}
