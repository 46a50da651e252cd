/* SPDX-License-Identifier: MIT
**
** registry.c: see registry.h.
*/
#include "store/registry.h"

#define ASK_MS 20u /* between two questions whether to go on waiting */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed; /* a directory is not busy any more, or is gone */
static sdb_listed *registry;

/* The directories of its parent are not a child's, and the thread that held the mutex as the child was made is not in
** it. */
static void forget_parent(void) {
  mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
  sdb_os_condition_init(&changed);
  registry = NULL;
}

__attribute__((constructor)) static void watch_forks(void) { /* when the library is loaded */
  sdb_os_condition_init(&changed);
  (void)pthread_atfork(NULL, NULL, forget_parent); /* without memory for it: they are told apart by fork_count */
}

static sdb_listed *find(const sdb_os_info *directory) {
  sdb_listed *listed = registry;
  while (listed && (listed->device != directory->device || listed->inode != directory->inode ||
                    listed->fork_count != sdb_os_fork_count()))
    listed = listed->next;
  return listed;
}

/* A moment passes, or something changes.  The user is asked without the mutex. */
static int wait_a_moment(const seqdb_options *options, uint64_t deadline_ms, const char *path, const sdb_op *op) {
  int rc = SEQDB_OK;
  uint64_t now = sdb_os_now_ms();
  if (now >= deadline_ms)
    return sdb_error_set(op, SEQDB_BUSY, NULL, 0,
                         "database is locked: another thread of this process is opening or closing %s", path);
  (void)sdb_os_condition_wait(&changed, &mutex, SDB_MIN(deadline_ms, now + ASK_MS));
  if (!options->interrupt) return SEQDB_OK;
  pthread_mutex_unlock(&mutex);
  if (options->interrupt(options->interrupt_context))
    rc = sdb_error_set(op, SEQDB_INTERRUPTED, NULL, 0, "%s: interrupted", op->operation);
  pthread_mutex_lock(&mutex);
  return rc;
}

/* A directory that nobody has, for the caller to open.  NULL: out of memory. */
static sdb_listed *add(const sdb_os_info *directory) {
  sdb_listed *listed = sdb_calloc(1, sizeof *listed);
  if (!listed) return NULL;
  listed->next = registry;
  listed->device = directory->device;
  listed->inode = directory->inode;
  listed->fork_count = sdb_os_fork_count();
  registry = listed;
  return listed;
}

int sdb_registry_enter(const sdb_os_info *directory, const seqdb_options *options, const char *path,
                       sdb_listed **listed, const sdb_op *op) {
  uint64_t deadline_ms = sdb_os_now_ms() + SDB_MAX(options->busy_timeout_ms, SEQDB_OPEN_WAIT_MS);
  sdb_listed *found;
  int rc = SEQDB_OK;
  pthread_mutex_lock(&mutex);
  while ((found = find(directory)) != NULL && found->busy && rc == SEQDB_OK)
    rc = wait_a_moment(options, deadline_ms, path, op);
  if (rc == SEQDB_OK && !found && !(found = add(directory))) rc = sdb_error_nomem(op);
  if (rc == SEQDB_OK) {
    found->busy = true;
    found->users++;
    *listed = found;
  }
  pthread_mutex_unlock(&mutex);
  return rc;
}

void sdb_registry_leave(sdb_listed *listed) {
  pthread_mutex_lock(&mutex);
  assert(listed->busy && listed->store);
  listed->busy = false;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&mutex);
}

bool sdb_registry_last_user(sdb_listed *listed, bool inside) {
  pthread_mutex_lock(&mutex);
  assert(listed->users > 0 && (!inside || listed->busy));
  bool last = --listed->users == 0; /* then nobody else is in it: who enters is a user */
  if (last || inside) listed->busy = last;
  if (inside && !last) pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&mutex);
  return last;
}

void sdb_registry_remove(sdb_listed *listed) {
  sdb_listed **link = &registry;
  pthread_mutex_lock(&mutex);
  assert(listed->busy && listed->users == 0);
  while (*link != listed)
    link = &(*link)->next;
  *link = listed->next;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&mutex);
  sdb_free(listed);
}
