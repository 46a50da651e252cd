/* SPDX-License-Identifier: MIT
**
** carrier.c: see carrier.h.  Which carriers there are, and what is the same for all.
*/
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "carrier.h"

const carrier_calls *const carrier_kinds[] = {
    &carrier_dir_calls,
#ifdef SHIP_RADOS
    &carrier_rados_calls,
#endif
    NULL,
};

static const carrier_calls *kind_of(const char *address, size_t scheme_bytes) {
  for (const carrier_calls *const *kind = carrier_kinds; *kind; kind++) {
    if (strlen((*kind)->scheme) == scheme_bytes && strncmp((*kind)->scheme, address, scheme_bytes) == 0) return *kind;
  }
  return NULL;
}

static void list_forms(char message[CARRIER_MESSAGE_MAX], size_t used) {
  const char *before = "";
  for (const carrier_calls *const *kind = carrier_kinds; *kind && used < CARRIER_MESSAGE_MAX; kind++) {
    int written = snprintf(message + used, CARRIER_MESSAGE_MAX - used, "%s%s", before, (*kind)->form);
    used += written > 0 ? (size_t)written : 0;
    before = " or ";
  }
}

carrier_code carrier_open(const char *address, bool create, carrier **out, char message[CARRIER_MESSAGE_MAX]) {
  *out = NULL;
  const char *colon = strchr(address, ':');
  const carrier_calls *kind = colon ? kind_of(address, (size_t)(colon - address)) : NULL;
  if (kind) return kind->open(colon + 1, create, out, message);
  int used = snprintf(message, CARRIER_MESSAGE_MAX, "'%.200s' is no carrier: an address is ", address);
  list_forms(message, used > 0 ? (size_t)used : 0);
  return CARRIER_FATAL;
}

void carrier_close(carrier *c) {
  if (c) c->calls->close(c);
}

static bool is_name_letter(char letter) {
  return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') || (letter >= '0' && letter <= '9') ||
         letter == '.' || letter == '_' || letter == '-';
}

bool carrier_name_is_good(const char *name) {
  size_t slashes = 0;
  bool at_start = true; /* of a part */
  for (const char *at = name; *at; at++) {
    if (*at == '/') {
      if (at_start || slashes++) return false;
      at_start = true;
    } else {
      if (!is_name_letter(*at) || (at_start && *at == '.')) return false;
      at_start = false;
    }
  }
  return !at_start && strlen(name) <= CARRIER_NAME_MAX;
}

carrier_code carrier_fail(carrier *c, carrier_code code, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(c->message, sizeof c->message, format, arguments);
  va_end(arguments);
  return code;
}

carrier_code carrier_code_of_errno(int os_errno) {
  switch (os_errno) {
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case EIO:
    case ESTALE:
    case ETIMEDOUT:
    case ENOTCONN:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case EAGAIN:
    case EINTR:
    case EBUSY:
      return CARRIER_AWAY;
    default:
      return CARRIER_FATAL;
  }
}

static carrier_code bad_name(carrier *c, const char *name) {
  return carrier_fail(c, CARRIER_FATAL, "'%.200s' is no name of an object", name);
}

carrier_code carrier_create(carrier *c, const char *name, const void *data, size_t bytes) {
  if (!carrier_name_is_good(name)) return bad_name(c, name);
  if (bytes > CARRIER_OBJECT_MAX) {
    return carrier_fail(c, CARRIER_FATAL, "object '%s' has %zu bytes, at most %zu are carried", name, bytes,
                        CARRIER_OBJECT_MAX);
  }
  return c->calls->create(c, name, data, bytes);
}

carrier_code carrier_get(carrier *c, const char *name, size_t limit, carrier_object *out) {
  *out = (carrier_object){0};
  return carrier_name_is_good(name) ? c->calls->get(c, name, limit, out) : bad_name(c, name);
}

carrier_code carrier_remove(carrier *c, const char *name) {
  return carrier_name_is_good(name) ? c->calls->remove(c, name) : bad_name(c, name);
}

carrier_code carrier_list(carrier *c, const char *prefix, carrier_visit visit, void *context) {
  return c->calls->list(c, prefix, visit, context);
}

carrier_code carrier_wait(carrier *c, const char *name, int timeout_ms) {
  return carrier_name_is_good(name) ? c->calls->wait(c, name, timeout_ms) : bad_name(c, name);
}
