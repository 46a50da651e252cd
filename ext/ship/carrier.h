/* SPDX-License-Identifier: MIT
**
** carrier.h: where objects lie that one machine writes and others read: five calls, and what they promise.
**
** An object is a name and bytes, written once.  Names are of the letters A-Z a-z 0-9 . _ - in one or two parts with a
** slash between, at most CARRIER_NAME_MAX bytes; no part begins with a dot.  Nothing here is ever found by listing but
** what shall be removed.  A carrier is used by one thread; a process may open several.
**
** A call that fails leaves a sentence in carrier.message.  CARRIER_AWAY means: try again later, and the call may have
** done its work all the same, now or some time later.  Callers bear that: a create that is repeated says
** CARRIER_EXISTS, and they look whether it is their own object.
*/
#ifndef SHIP_CARRIER_H
#define SHIP_CARRIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CARRIER_NAME_MAX    200
#define CARRIER_MESSAGE_MAX 600
/* No object is longer; carriers may count on it. */
#define CARRIER_OBJECT_MAX ((size_t)80 << 20)

typedef enum carrier_code {
  CARRIER_OK = 0,
  CARRIER_EXISTS,  /* create: the name is taken, nothing was changed */
  CARRIER_MISSING, /* get, remove: no such object; wait: none came in time */
  CARRIER_AWAY,    /* not reachable, or full, for now */
  CARRIER_FATAL,   /* will not get better by waiting: no such place, no permission, a bad address, no memory */
} carrier_code;

typedef struct carrier carrier;

/* What get() found.  `data` is the caller's, to be freed with free(). */
typedef struct carrier_object {
  void *data;
  size_t bytes; /* read: at most the limit */
  size_t total; /* the whole object has */
} carrier_object;

/* One name that list() found. */
typedef struct carrier_item {
  const char *name; /* valid during the call */
  uint64_t bytes;
  int64_t age_s; /* since it was made, by the carrier's clock as far as there is one; never negative */
} carrier_item;

/* Return false to end the list. */
typedef bool (*carrier_visit)(void *context, const carrier_item *item);

typedef struct carrier_calls {
  const char *scheme; /* what stands before the colon of an address: "dir" */
  const char *form;   /* the address, for help: "dir:PATH" */

  /* Opens the place that `address` (without the scheme and its colon) names.  It must exist; with `create` it is made
  ** if that is the carrier's business.  On failure *out is NULL and `message` says why. */
  carrier_code (*open)(const char *address, bool create, carrier **out, char message[CARRIER_MESSAGE_MAX]);
  void (*close)(carrier *c);

  /* 1. Makes an object, or says CARRIER_EXISTS: never replaces one, never shows a part of one.  When it returns
  ** CARRIER_OK the object is as durable as the carrier can make it. */
  carrier_code (*create)(carrier *c, const char *name, const void *data, size_t bytes);

  /* 2. The first `limit` bytes of an object (0: all), and its size. */
  carrier_code (*get)(carrier *c, const char *name, size_t limit, carrier_object *out);

  /* 3. Removes one. */
  carrier_code (*remove)(carrier *c, const char *name);

  /* 4. Visits every object whose name begins with `prefix` ("" or "part/"), in any order.  Objects that come or go
  ** meanwhile may be seen or not. */
  carrier_code (*list)(carrier *c, const char *prefix, carrier_visit visit, void *context);

  /* 5. Sleeps until there is an object of that name: CARRIER_OK at once if there is one, CARRIER_MISSING after
  ** `timeout_ms`.  A signal may end it early, as CARRIER_MISSING; callers wait a second at a time. */
  carrier_code (*wait)(carrier *c, const char *name, int timeout_ms);
} carrier_calls;

/* The first member of every carrier's own struct. */
struct carrier {
  const carrier_calls *calls;
  char message[CARRIER_MESSAGE_MAX];
};

/* All that this program was built with, ended by NULL. */
extern const carrier_calls *const carrier_kinds[];

extern const carrier_calls carrier_dir_calls;
#ifdef SHIP_RADOS
extern const carrier_calls carrier_rados_calls;
#endif

/* Opens "scheme:address".  On failure *out is NULL and `message` says why, and which schemes there are. */
carrier_code carrier_open(const char *address, bool create, carrier **out, char message[CARRIER_MESSAGE_MAX]);
void carrier_close(carrier *c); /* NULL is fine */

/* Does the name keep to the rules above?  Carriers may count on it: these check it, and pass the call on. */
bool carrier_name_is_good(const char *name);
carrier_code carrier_create(carrier *c, const char *name, const void *data, size_t bytes);
carrier_code carrier_get(carrier *c, const char *name, size_t limit, carrier_object *out);
carrier_code carrier_remove(carrier *c, const char *name);
carrier_code carrier_list(carrier *c, const char *prefix, carrier_visit visit, void *context);
carrier_code carrier_wait(carrier *c, const char *name, int timeout_ms);

/* Fills c->message and returns `code`, so that `return carrier_fail(...)` reads well. */
carrier_code carrier_fail(carrier *c, carrier_code code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* CARRIER_AWAY for what may pass (a full disk, a server that is gone, descriptors used up), else CARRIER_FATAL. */
carrier_code carrier_code_of_errno(int os_errno);

#endif /* SHIP_CARRIER_H */
