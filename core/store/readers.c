/* SPDX-License-Identifier: MIT
**
** readers.c: see readers.h.  And waiting until there is something new to read: seqdb_wait().
*/
#include "store/readers.h"

#include "os/os.h"
#include "txn/begin.h"
#include "txn/member.h"

/* ---- who reads */

/* Readers under collection.  The first one that finds no room says so. */
struct collecting {
  sdb_readers *readers;
  size_t capacity;
  uint64_t now_ms;
};

static uint64_t age(uint64_t since_ms, uint64_t now_ms) {
  return since_ms && now_ms > since_ms ? now_ms - since_ms : 0; /* 0: a read under way */
}

static void add(struct collecting *c, uint64_t pid, uint64_t generation, uint64_t since_ms) {
  sdb_readers *readers = c->readers;
  if (readers->count < c->capacity) {
    readers->rows[readers->count] = (seqdb_snapshot_info){.size_bytes = (uint32_t)sizeof *readers->rows,
                                                          .pid = pid,
                                                          .generation = generation,
                                                          .age_ms = age(since_ms, c->now_ms)};
    if (generation < readers->rows[readers->oldest].generation) readers->oldest = readers->count;
  }
  readers->count++;
}

static bool add_pin(void *context, const sdb_board_pin_info *pin) {
  if (!pin->own) add(context, pin->pid, pin->generation, pin->since_ms);
  return false;
}

/* What waits for the oldest reader: all that is given up and not free.  store.mutex held. */
static uint64_t held_bytes(const sdb_store *store, uint64_t generation) {
  const sdb_space *space = &store->space;
  uint64_t bytes = space->withheld.total_bytes;
  for (const sdb_catalog *at = space->catalogs.oldest; at && at != store->committed; at = at->newer)
    if (at->generation >= generation) bytes += at->pending_bytes;
  return bytes;
}

static void collect(sdb_store *store, struct collecting *c) {
  c->readers->count = c->readers->oldest = 0;
  pthread_mutex_lock(&store->mutex);
  for (const seqdb_snapshot *at = store->snapshots; at; at = at->newer)
    add(c, sdb_os_pid(), at->view.generation, at->opened_ms);
  pthread_mutex_unlock(&store->mutex);
  if (store->shared) sdb_board_each_pin(store->board, add_pin, c);
}

int sdb_readers_list(sdb_store *store, sdb_readers *readers, const sdb_op *op) {
  struct collecting c = {.readers = readers, .now_ms = sdb_os_now_ms()};
  memset(readers, 0, sizeof *readers);
  int rc = sdb_member_tidy(store, op);
  while (rc == SEQDB_OK) {
    collect(store, &c);
    if (readers->count <= c.capacity) break;
    c.capacity = 2 * readers->count;
    sdb_free(readers->rows);
    readers->rows = sdb_calloc(c.capacity, sizeof *readers->rows);
    if (!readers->rows) rc = sdb_error_nomem(op);
  }
  if (rc != SEQDB_OK || readers->count == 0) return rc;
  seqdb_snapshot_info *oldest = &readers->rows[readers->oldest];
  pthread_mutex_lock(&store->mutex);
  oldest->held_bytes = held_bytes(store, oldest->generation);
  pthread_mutex_unlock(&store->mutex);
  oldest->held_bytes += sdb_overlay_bytes(&store->overlay);
  return SEQDB_OK;
}

int seqdb_snapshots(seqdb *db, seqdb_snapshot_visit *visit, void *context) {
  seqdb_error error;
  sdb_op op = {"snapshots", &error};
  sdb_readers readers;
  int rc = sdb_usable(db, &op);
  if (rc == SEQDB_OK) {
    rc = sdb_readers_list(db->store, &readers, &op);
    for (size_t i = 0; rc == SEQDB_OK && i < readers.count; i++)
      if (visit(context, &readers.rows[i])) break;
    sdb_free(readers.rows);
  }
  return sdb_fail(db, rc, &op);
}

/* ---- waiting */

#define ASK_MS 50 /* between two questions whether to stop */

static bool stop(void *context) {
  const seqdb *db = context;
  return db->interrupt && db->interrupt(db->interrupt_context);
}

static int wait_on_board(seqdb *db, uint64_t generation, uint64_t deadline_ms, uint64_t *newest, const sdb_op *op) {
  sdb_board_patience patience = {.deadline_ms = deadline_ms, .stop = db->interrupt ? stop : NULL, .context = db};
  sdb_published published;
  int rc = sdb_board_wait(db->store->board, generation + 1, &patience, op);
  if (rc == SEQDB_BUSY) return SEQDB_OK; /* the time is over */
  if (rc == SEQDB_OK) rc = sdb_board_load(db->store->board, &published, op);
  if (rc == SEQDB_OK) *newest = published.generation;
  return rc;
}

/* All commits are this process's. */
static int wait_alone(seqdb *db, uint64_t generation, uint64_t deadline_ms, uint64_t *newest, const sdb_op *op) {
  sdb_store *store = db->store;
  int rc = SEQDB_OK;
  pthread_mutex_lock(&store->mutex);
  while (rc == SEQDB_OK && store->committed->generation <= generation) {
    uint64_t now_ms = sdb_os_now_ms();
    if (now_ms >= deadline_ms) break;
    (void)sdb_os_condition_wait(&store->news, &store->mutex, SDB_MIN(deadline_ms, now_ms + ASK_MS));
    pthread_mutex_unlock(&store->mutex);
    rc = sdb_interrupted(db, op);
    pthread_mutex_lock(&store->mutex);
  }
  *newest = SDB_MAX(generation, store->committed->generation);
  pthread_mutex_unlock(&store->mutex);
  return rc;
}

int seqdb_wait(seqdb *db, uint64_t generation, uint32_t timeout_ms, uint64_t *newest) {
  seqdb_error error;
  sdb_op op = {"wait", &error};
  uint64_t found = generation, deadline_ms = sdb_os_now_ms() + timeout_ms;
  int changed = seqdb_has_changes(db), rc = changed < 0 ? changed : SEQDB_OK;
  if (changed > 0)
    rc = sdb_error_set(&op, SEQDB_LOCKED, NULL, 0,
                       "wait: this handle's transaction has changes: nobody could commit meanwhile");
  if (rc == SEQDB_OK && generation == UINT64_MAX)
    rc = sdb_error_set(&op, SEQDB_RANGE, NULL, 0, "wait: there is no generation after %llu",
                       (unsigned long long)generation);
  if (rc == SEQDB_OK)
    rc = db->store->shared ? wait_on_board(db, generation, deadline_ms, &found, &op)
                           : wait_alone(db, generation, deadline_ms, &found, &op);
  if (rc == SEQDB_OK) *newest = found;
  return sdb_fail(db, rc, &op);
}
