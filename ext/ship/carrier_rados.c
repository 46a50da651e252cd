/* SPDX-License-Identifier: MIT
**
** carrier_rados.c: a pool of Ceph as a carrier: an object is one of RADOS, in one namespace of the pool.
**
** An object is created and filled by one operation, which fails if the name is taken.  Ceph acknowledges it when every
** replica has it on disk.  One object is not a carrier's: ".news" is empty and always there.  Who waits watches it, who
** has created an object notifies its watchers.  That only wakes them: they ask for the object itself, also when they
** hear nothing, so a watch that was lost costs LOOK_AGAIN_MS and nothing else.  Watching takes the right to write; who
** has none asks more often.
**
** Servers that are gone: librados goes on trying by itself, each call here ends after the time-outs of ceph.conf, or
** CALLS_END_S if it sets none, and says CARRIER_AWAY.  A client that the cluster has shut out connects anew.
**
** Threads: those of librados call on_news and on_watch_lost, which touch `news` and `watch_lost` under the mutex, and
** nothing else.  They get no signals.
*/
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <rados/librados.h>
#include "carrier.h"

#define NEWS          ".news"
#define CALLS_END_S   "20"
#define LOOK_AGAIN_MS 200
#define LOOK_OFTEN_MS 25 /* without a watch */
/* OSDs drop a watcher that is silent for so long; until then it delays nobody. */
#define WATCH_SILENT_S 10
#define NOTICE_MS      1000
#define NOTICES_MAX    64
/* What a question of wait() may take, whatever its time-out. */
#define ANSWER_MS   1000
#define CHUNK_BYTES ((size_t)4 << 20)

typedef enum watch_state { WATCH_NONE, WATCH_ASKED, WATCH_ON, WATCH_REFUSED } watch_state;

typedef struct rados_carrier {
  carrier base;
  rados_t cluster; /* NULL: not connected */
  rados_ioctx_t io;

  watch_state watch_state;
  uint64_t watch;
  rados_completion_t watch_asked; /* while WATCH_ASKED */
  rados_completion_t notices[NOTICES_MAX];
  size_t next_notice;

  pthread_mutex_t mutex;
  pthread_cond_t woken;
  uint64_t news; /* counts what may wake a waiting call */
  bool watch_lost;

  const char *user; /* NULL: Ceph's own choice, client.admin */
  const char *pool;
  const char *space;
  char address[]; /* cut into user, pool and space */
} rados_carrier;

/* ---- failures ------------------------------------------------------------------------------------------------- */

static void disconnect(rados_carrier *r);

static carrier_code code_of(int error) {
  switch (error) {
    case ESHUTDOWN:
    case ECANCELED:
    case ECONNREFUSED:
    case ECONNRESET:
    case EOVERFLOW:
    case ERANGE:
      return CARRIER_AWAY;
    default:
      return carrier_code_of_errno(error);
  }
}

static carrier_code no_pool(rados_carrier *r) {
  return carrier_fail(&r->base, CARRIER_FATAL, "Ceph has no pool '%s': `ceph osd pool create %s` makes one", r->pool,
                      r->pool);
}

/* `status` is what librados has returned: an errno, negative. */
static carrier_code failed(rados_carrier *r, const char *what, const char *name, int status) {
  int error = -status;
  if (error == ENOENT) return no_pool(r);
  /* The cluster has shut this client out: the next call is another one. */
  if (error == ESHUTDOWN) disconnect(r);
  const char *why = error == ETIMEDOUT ? "Ceph does not answer" : strerror(error);
  if (error == EFBIG || error == EMSGSIZE) why = "larger than osd_max_object_size or osd_max_write_size allows";
  return carrier_fail(&r->base, code_of(error), "cannot %s %s/%s/%s: %s", what, r->pool, r->space, name, why);
}

/* Librados has found no object; or no pool, which must not look like an empty one. */
static carrier_code missing(rados_carrier *r, const char *name) {
  if (rados_pool_lookup(r->cluster, r->pool) == -ENOENT) return no_pool(r);
  return carrier_fail(&r->base, CARRIER_MISSING, "%s/%s/%s is not there", r->pool, r->space, name);
}

static carrier_code no_memory(rados_carrier *r) {
  return carrier_fail(&r->base, CARRIER_FATAL, "out of memory");
}

/* ---- connection ----------------------------------------------------------------------------------------------- */

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Until `news` is no longer `seen`, for at most so long. */
static void sleep_for_news(rados_carrier *r, uint64_t seen, int64_t limit_ms) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += (time_t)(limit_ms / 1000);
  until.tv_nsec += (long)(limit_ms % 1000) * 1000000;
  if (until.tv_nsec >= 1000000000) {
    until.tv_sec++;
    until.tv_nsec -= 1000000000;
  }
  pthread_mutex_lock(&r->mutex);
  while (r->news == seen && pthread_cond_timedwait(&r->woken, &r->mutex, &until) == 0)
    continue;
  pthread_mutex_unlock(&r->mutex);
}

static uint64_t news_of(rados_carrier *r) {
  pthread_mutex_lock(&r->mutex);
  uint64_t news = r->news;
  pthread_mutex_unlock(&r->mutex);
  return news;
}

static void wake(rados_carrier *r, bool lost) {
  pthread_mutex_lock(&r->mutex);
  r->news++;
  if (lost) r->watch_lost = true;
  pthread_cond_signal(&r->woken);
  pthread_mutex_unlock(&r->mutex);
}

static void on_complete(rados_completion_t completion, void *context) {
  (void)completion;
  wake(context, false);
}

/* Is it complete, at the latest after so long? */
static bool completes(rados_carrier *r, rados_completion_t completion, int64_t limit_ms) {
  int64_t until = now_ms() + limit_ms;
  for (;;) {
    uint64_t seen = news_of(r);
    if (rados_aio_is_complete(completion)) return true;
    int64_t left = until - now_ms();
    if (left <= 0) return false;
    sleep_for_news(r, seen, left);
  }
}

/* Ceph's default is to wait for servers forever, or five minutes. */
static int limit_times(rados_t cluster) {
  static const struct {
    const char *option;
    double forever;
  } limits[] = {{"client_mount_timeout", 300}, {"rados_mon_op_timeout", 0}, {"rados_osd_op_timeout", 0}};
  int status = 0;
  for (size_t i = 0; i < sizeof limits / sizeof *limits && status == 0; i++) {
    char text[64] = "";
    status = rados_conf_get(cluster, limits[i].option, text, sizeof text);
    if (status == 0 && strtod(text, NULL) == limits[i].forever) {
      status = rados_conf_set(cluster, limits[i].option, CALLS_END_S);
    }
  }
  return status;
}

/* Librados asks for a new map of the OSDs when a call is unanswered for `objecter_timeout`, 10 s, looking each
** `objecter_tick_interval`, 5 s.  Calls that end sooner never got there: clients whose map was made while the OSDs
** came back one by one asked ports that nobody listened at, for as long as anyone watched (Ceph 16.2). */
static const char *const look_for_maps[][2] = {{"objecter_timeout", "0.4"}, {"objecter_tick_interval", "0.5"}};

/* What goes wrong is told by messages; librados would also write it to stderr. */
static int configure(rados_t cluster) {
  int status = rados_conf_set(cluster, "log_to_stderr", "false");
  if (status == 0) status = rados_conf_set(cluster, "err_to_stderr", "false");
  for (size_t i = 0; i < sizeof look_for_maps / sizeof *look_for_maps && status == 0; i++) {
    status = rados_conf_set(cluster, look_for_maps[i][0], look_for_maps[i][1]);
  }
  if (status == 0) status = rados_conf_read_file(cluster, NULL);
  if (status == 0) status = rados_conf_parse_env(cluster, NULL);
  return status == 0 ? limit_times(cluster) : status;
}

static carrier_code enter_pool(rados_carrier *r) {
  int status = rados_ioctx_create(r->cluster, r->pool, &r->io);
  if (status == -ENOENT) return no_pool(r);
  if (status < 0) {
    r->io = NULL;
    return failed(r, "open", "", status);
  }
  rados_ioctx_set_namespace(r->io, r->space);
  return CARRIER_OK;
}

static carrier_code join(rados_carrier *r) {
  const char *user = r->user ? r->user : "admin";
  int status = rados_create(&r->cluster, r->user);
  if (status < 0) {
    r->cluster = NULL;
    return carrier_fail(&r->base, code_of(-status), "cannot start a client of Ceph: %s", strerror(-status));
  }
  status = configure(r->cluster);
  if (status < 0) {
    return carrier_fail(&r->base, CARRIER_FATAL,
                        "cannot read Ceph's configuration (the file that CEPH_CONF names, or /etc/ceph/ceph.conf): %s",
                        strerror(-status));
  }
  status = rados_connect(r->cluster);
  if (status == -ENOENT) {
    return carrier_fail(&r->base, CARRIER_FATAL, "Ceph's keyring has no key for client.%s", user);
  }
  if (status < 0) {
    return carrier_fail(&r->base, code_of(-status), "cannot connect to Ceph as client.%s: %s", user,
                        status == -ETIMEDOUT ? "no monitor answers" : strerror(-status));
  }
  return enter_pool(r);
}

/* Connects if that is still to be done, or has to be done again. */
static carrier_code ready(rados_carrier *r) {
  if (r->io) return CARRIER_OK;
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before); /* inherited by the threads that librados starts */
  carrier_code code = join(r);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (code) disconnect(r);
  return code;
}

/* ---- watching, and telling those who watch */

static void on_news(void *context, uint64_t notice, uint64_t watch, uint64_t notifier, void *data, size_t bytes) {
  rados_carrier *r = context;
  (void)notifier, (void)data, (void)bytes;
  wake(r, false);
  rados_notify_ack(r->io, NEWS, notice, watch, NULL, 0);
}

static void on_watch_lost(void *context, uint64_t watch, int status) {
  (void)watch, (void)status;
  wake(context, true);
}

/* The watch is given up, on the server too if that answers in time. */
static void end_watch(rados_carrier *r) {
  if (r->watch_state == WATCH_ASKED) {
    completes(r, r->watch_asked, ANSWER_MS);
    rados_aio_release(r->watch_asked);
  }
  rados_completion_t done;
  if ((r->watch_state == WATCH_ASKED || r->watch_state == WATCH_ON) &&
      rados_aio_create_completion2(r, on_complete, &done) == 0) {
    if (rados_aio_unwatch(r->io, r->watch, done) == 0) completes(r, done, ANSWER_MS);
    rados_aio_release(done);
  }
  r->watch_state = WATCH_NONE;
}

/* Makes ".news" and asks for a watch.  The answer is not waited for. */
static void begin_watch(rados_carrier *r) {
  rados_write_op_t op = rados_create_write_op();
  rados_write_op_create(op, LIBRADOS_CREATE_IDEMPOTENT, NULL);
  int status = rados_write_op_operate2(op, r->io, NEWS, NULL, LIBRADOS_OPERATION_NOFLAG);
  rados_release_write_op(op);
  if (status == -EPERM || status == -EACCES) r->watch_state = WATCH_REFUSED;
  if (status < 0) return;
  r->watch_lost = false;
  if (rados_aio_create_completion2(r, on_complete, &r->watch_asked) != 0) return;
  status = rados_aio_watch2(r->io, NEWS, r->watch_asked, &r->watch, on_news, on_watch_lost, WATCH_SILENT_S, r);
  if (status == 0) r->watch_state = WATCH_ASKED;
  if (status < 0) rados_aio_release(r->watch_asked);
}

static bool is_watch_lost(rados_carrier *r) {
  pthread_mutex_lock(&r->mutex);
  bool lost = r->watch_lost;
  pthread_mutex_unlock(&r->mutex);
  return lost || rados_watch_check(r->io, r->watch) < 0;
}

/* Takes the step that is next.  True if there is a watch. */
static bool watch(rados_carrier *r) {
  if (r->watch_state == WATCH_ON && is_watch_lost(r)) end_watch(r);
  if (r->watch_state == WATCH_NONE) begin_watch(r);
  if (r->watch_state == WATCH_ASKED && rados_aio_is_complete(r->watch_asked)) {
    r->watch_state = rados_aio_get_return_value(r->watch_asked) == 0 ? WATCH_ON : WATCH_NONE;
    rados_aio_release(r->watch_asked);
  }
  return r->watch_state == WATCH_ON;
}

/* Tells whoever watches, without waiting for them.  A watcher that was killed keeps notices open for NOTICE_MS; when
** all are, nobody is told: they look by themselves. */
static void tell(rados_carrier *r, const char *name) {
  rados_completion_t *notice = &r->notices[r->next_notice];
  if (*notice) {
    if (!rados_aio_is_complete(*notice)) return;
    rados_aio_release(*notice);
    *notice = NULL;
  }
  if (rados_aio_create_completion2(r, on_complete, notice) != 0) return;
  if (rados_aio_notify(r->io, NEWS, *notice, name, (int)strlen(name), NOTICE_MS, NULL, NULL) < 0) {
    rados_aio_release(*notice);
    *notice = NULL;
    return;
  }
  r->next_notice = (r->next_notice + 1) % NOTICES_MAX;
}

static void end_notices(rados_carrier *r) {
  int64_t until = now_ms() + 2 * NOTICE_MS;
  for (size_t i = 0; i < NOTICES_MAX; i++) {
    if (!r->notices[i]) continue;
    completes(r, r->notices[i], until - now_ms());
    rados_aio_release(r->notices[i]);
    r->notices[i] = NULL;
  }
}

static void disconnect(rados_carrier *r) {
  if (r->io) {
    end_watch(r);
    end_notices(r);
    rados_ioctx_destroy(r->io);
  }
  if (r->cluster) rados_shutdown(r->cluster);
  r->io = NULL;
  r->cluster = NULL;
}

/* ---- create, get, remove */

static carrier_code create_object(carrier *c, const char *name, const void *data, size_t bytes) {
  rados_carrier *r = (rados_carrier *)c;
  carrier_code code = ready(r);
  if (code) return code;
  rados_write_op_t op = rados_create_write_op();
  rados_write_op_create(op, LIBRADOS_CREATE_EXCLUSIVE, NULL);
  rados_write_op_write_full(op, data, bytes);
  int status = rados_write_op_operate2(op, r->io, name, NULL, LIBRADOS_OPERATION_NOFLAG);
  rados_release_write_op(op);
  if (status < 0 && status != -EEXIST) return failed(r, "create", name, status);
  /* Also if it exists: an earlier call may have made it, and not heard so. */
  tell(r, name);
  if (status == 0) return CARRIER_OK;
  return carrier_fail(c, CARRIER_EXISTS, "%s/%s/%s exists", r->pool, r->space, name);
}

/* One part of an object on its way into out->data. */
typedef struct part {
  size_t offset, bytes;
  uint64_t version; /* that the object must have; 0: not known yet */
} part;

/* Reads a part, at most CHUNK_BYTES of it, and adds to out->bytes what came. */
static int read_part(rados_carrier *r, const char *name, part *p, carrier_object *out) {
  size_t got = 0;
  int status_read = 0, status_stat = 0;
  uint64_t total = 0;
  rados_read_op_t op = rados_create_read_op();
  if (p->version) rados_read_op_assert_version(op, p->version);
  rados_read_op_stat(op, &total, NULL, &status_stat);
  rados_read_op_read(op, p->offset, p->bytes, (char *)out->data + p->offset, &got, &status_read);
  int status = rados_read_op_operate(op, r->io, name, LIBRADOS_OPERATION_NOFLAG);
  rados_release_read_op(op);
  if (status == 0) status = status_stat < 0 ? status_stat : status_read;
  if (status < 0) return status;
  p->version = rados_get_last_version(r->io);
  out->total = (size_t)total;
  out->bytes += got;
  return 0;
}

/* Reads on until `wanted` bytes are there, all from one and the same object. */
static int read_rest(rados_carrier *r, const char *name, part *p, size_t wanted, carrier_object *out) {
  while (out->bytes < wanted) {
    size_t before = out->bytes, left = wanted - before;
    *p = (part){before, left < CHUNK_BYTES ? left : CHUNK_BYTES, p->version};
    int status = read_part(r, name, p, out);
    if (status < 0) return status;
    if (out->bytes == before) return -EIO;
  }
  return 0;
}

static carrier_code read_object(rados_carrier *r, const char *name, size_t limit, carrier_object *out) {
  part p = {0, limit && limit < CHUNK_BYTES ? limit : CHUNK_BYTES, 0};
  out->data = malloc(p.bytes);
  if (!out->data) return no_memory(r);
  int status = read_part(r, name, &p, out);
  if (status == 0) {
    size_t wanted = limit && limit < out->total ? limit : out->total;
    if (wanted > CARRIER_OBJECT_MAX) {
      return carrier_fail(&r->base, CARRIER_FATAL, "object '%s' has %zu bytes, at most %zu are carried", name, wanted,
                          CARRIER_OBJECT_MAX);
    }
    void *data = realloc(out->data, wanted + 1);
    if (!data) return no_memory(r);
    out->data = data;
    status = read_rest(r, name, &p, wanted, out);
  }
  if (status == -ENOENT) return missing(r, name);
  return status < 0 ? failed(r, "read", name, status) : CARRIER_OK;
}

static carrier_code get_object(carrier *c, const char *name, size_t limit, carrier_object *out) {
  rados_carrier *r = (rados_carrier *)c;
  carrier_code code = ready(r);
  if (code == CARRIER_OK) code = read_object(r, name, limit, out);
  if (code) {
    free(out->data);
    *out = (carrier_object){0};
  }
  return code;
}

static carrier_code remove_object(carrier *c, const char *name) {
  rados_carrier *r = (rados_carrier *)c;
  carrier_code code = ready(r);
  if (code) return code;
  int status = rados_remove(r->io, name);
  if (status == -ENOENT) return missing(r, name);
  return status < 0 ? failed(r, "remove", name, status) : CARRIER_OK;
}

/* ---- list ----------------------------------------------------------------------------------------------------- */

/* Visits one name, if there still is such an object.  False ends the list; *status is what Ceph said. */
static bool list_one(rados_carrier *r, const char *name, carrier_visit visit, void *context, int *status) {
  uint64_t bytes = 0;
  time_t made = 0;
  *status = rados_stat(r->io, name, &bytes, &made);
  if (*status == -ENOENT) {
    *status = 0;
    return true;
  }
  if (*status < 0) return false;
  time_t now = time(NULL);
  carrier_item item = {name, bytes, now > made ? (int64_t)(now - made) : 0};
  return visit(context, &item);
}

static carrier_code list_objects(carrier *c, const char *prefix, carrier_visit visit, void *context) {
  rados_carrier *r = (rados_carrier *)c;
  carrier_code code = ready(r);
  if (code) return code;
  rados_list_ctx_t list;
  const char *name = NULL;
  int status = rados_nobjects_list_open(r->io, &list);
  if (status < 0) return failed(r, "list", prefix, status);
  bool goes_on = true;
  while (goes_on && (status = rados_nobjects_list_next(list, &name, NULL, NULL)) == 0) {
    if (strncmp(name, prefix, strlen(prefix)) == 0 && carrier_name_is_good(name)) {
      goes_on = list_one(r, name, visit, context, &status);
    }
  }
  rados_nobjects_list_close(list);
  /* ENOENT is the end of the list, or that of the pool. */
  if (status == -ENOENT && rados_pool_lookup(r->cluster, r->pool) != -ENOENT) status = 0;
  return status < 0 ? failed(r, "list", prefix, status) : CARRIER_OK;
}

/* ---- wait ----------------------------------------------------------------------------------------------------- */

/* 0: the object is there; -ENOENT; -ETIMEDOUT, without waiting longer than `limit_ms`. */
static int ask_for(rados_carrier *r, const char *name, int64_t limit_ms) {
  uint64_t bytes;
  time_t made;
  rados_completion_t answer;
  int status = rados_aio_create_completion2(r, on_complete, &answer);
  if (status < 0) return status;
  status = rados_aio_stat(r->io, name, answer, &bytes, &made);
  if (status == 0) {
    bool answered = completes(r, answer, limit_ms);
    if (!answered) rados_aio_cancel(r->io, answer);
    rados_aio_wait_for_complete(answer);
    status = rados_aio_get_return_value(answer);
    if (!answered && status == -ECANCELED) status = -ETIMEDOUT;
  }
  rados_aio_release(answer);
  return status;
}

static carrier_code wait_for_object(carrier *c, const char *name, int timeout_ms) {
  rados_carrier *r = (rados_carrier *)c;
  int64_t until = now_ms() + timeout_ms;
  carrier_code code = ready(r);
  if (code) return code;
  for (;;) {
    int64_t look_again_ms = watch(r) ? LOOK_AGAIN_MS : LOOK_OFTEN_MS;
    uint64_t seen = news_of(r);
    int status = ask_for(r, name, timeout_ms > ANSWER_MS ? timeout_ms : ANSWER_MS);
    if (status == 0) return CARRIER_OK;
    if (status != -ENOENT) return failed(r, "wait for", name, status);
    int64_t left = until - now_ms();
    if (left <= 0) return missing(r, name);
    sleep_for_news(r, seen, left < look_again_ms ? left : look_again_ms);
  }
}

/* ---- open, close ---------------------------------------------------------------------------------------------- */

/* "USER@POOL/NAMESPACE", of which USER@ and /NAMESPACE may be missing. */
static bool take_apart(rados_carrier *r, const char *address) {
  strcpy(r->address, address);
  char *pool = r->address;
  char *at = strchr(pool, '@');
  if (at) {
    *at = '\0';
    r->user = pool;
    pool = at + 1;
  }
  char *slash = strchr(pool, '/');
  if (slash) *slash = '\0';
  r->pool = pool;
  r->space = slash ? slash + 1 : "";
  return *pool && (!at || at > r->address) && (!slash || (slash[1] && !strchr(slash + 1, '/')));
}

static void close_carrier(carrier *c) {
  rados_carrier *r = (rados_carrier *)c;
  disconnect(r);
  pthread_cond_destroy(&r->woken);
  pthread_mutex_destroy(&r->mutex);
  free(r);
}

static rados_carrier *new_carrier(const char *address) {
  rados_carrier *r = calloc(1, sizeof *r + strlen(address) + 1);
  if (!r) return NULL;
  pthread_condattr_t clock;
  pthread_condattr_init(&clock);
  pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
  pthread_cond_init(&r->woken, &clock);
  pthread_condattr_destroy(&clock);
  pthread_mutex_init(&r->mutex, NULL);
  r->base.calls = &carrier_rados_calls;
  return r;
}

/* Pools are made by who cares for the cluster, namespaces by being used: `create` makes no difference. */
static carrier_code open_carrier(const char *address, bool create, carrier **out, char message[CARRIER_MESSAGE_MAX]) {
  (void)create;
  *out = NULL;
  rados_carrier *r = new_carrier(address);
  if (!r) {
    snprintf(message, CARRIER_MESSAGE_MAX, "out of memory");
    return CARRIER_FATAL;
  }
  carrier_code code =
      take_apart(r, address)
          ? ready(r)
          : carrier_fail(&r->base, CARRIER_FATAL, "rados:%.200s names no pool: as in rados:POOL/NAMESPACE", address);
  if (code == CARRIER_OK) {
    *out = &r->base;
    return code;
  }
  memcpy(message, r->base.message, CARRIER_MESSAGE_MAX);
  close_carrier(&r->base);
  return code;
}

const carrier_calls carrier_rados_calls = {
    .scheme = "rados",
    .form = "rados:[USER@]POOL[/NAMESPACE]",
    .open = open_carrier,
    .close = close_carrier,
    .create = create_object,
    .get = get_object,
    .remove = remove_object,
    .list = list_objects,
    .wait = wait_for_object,
};
