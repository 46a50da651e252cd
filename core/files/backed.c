/* SPDX-License-Identifier: MIT
**
** backed.c: see backed.h.
*/
#include "files/backed.h"

#include <pthread.h>

#define RUNS_MAX 4096u /* more are forgotten: then the system is asked again */

struct sdb_backed {
  pthread_mutex_t mutex; /* guards all of this */
  sdb_range_pool pool;
  sdb_range_set runs;
  uint64_t forgotten; /* how often something was: an answer from before that may be out of date */
};

sdb_backed *sdb_backed_new(void) {
  sdb_backed *backed = sdb_calloc(1, sizeof *backed);
  if (!backed) return NULL;
  pthread_mutex_init(&backed->mutex, NULL);
  sdb_range_pool_init(&backed->pool);
  sdb_range_set_init(&backed->runs, &backed->pool, false);
  if (sdb_range_pool_reserve(&backed->pool, 2) == SEQDB_OK) return backed; /* the first reads need no memory */
  sdb_backed_free(backed);
  return NULL;
}

void sdb_backed_free(sdb_backed *backed) {
  if (!backed) return;
  sdb_range_set_clear(&backed->runs);
  sdb_range_pool_destroy(&backed->pool);
  pthread_mutex_destroy(&backed->mutex);
  sdb_free(backed);
}

static bool is_known(sdb_backed *backed, sdb_range range, uint64_t *forgotten) {
  pthread_mutex_lock(&backed->mutex);
  bool known = sdb_range_contains(&backed->runs, range.start, range.bytes);
  *forgotten = backed->forgotten;
  pthread_mutex_unlock(&backed->mutex);
  return known;
}

/* Remember the run, if nothing was forgotten since the system was asked. */
static void remember(sdb_backed *backed, sdb_range run, uint64_t forgotten) {
  pthread_mutex_lock(&backed->mutex);
  if (backed->forgotten == forgotten) {
    if (backed->runs.count >= RUNS_MAX) sdb_range_set_clear(&backed->runs);
    (void)sdb_range_add(&backed->runs, run.start, run.bytes); /* without memory it is asked for again */
  }
  pthread_mutex_unlock(&backed->mutex);
}

bool sdb_backed_has(sdb_backed *backed, sdb_fd file, sdb_range range, uint64_t end) {
  uint64_t forgotten, data, data_end, to = range.start + range.bytes;
  if (is_known(backed, range, &forgotten)) return true;
  if (sdb_os_next_data(file, range.start, SDB_MAX(end, to), &data, &data_end) != 0) return false;
  if (data > range.start) return false;
  remember(backed, (sdb_range){data, data_end - data}, forgotten);
  return data_end >= to;
}

void sdb_backed_forget(sdb_backed *backed, uint64_t offset, uint64_t bytes) {
  pthread_mutex_lock(&backed->mutex);
  backed->forgotten++;
  if (sdb_range_remove(&backed->runs, offset, bytes) != SEQDB_OK) sdb_range_set_clear(&backed->runs);
  pthread_mutex_unlock(&backed->mutex);
}
