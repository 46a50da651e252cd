/* SPDX-License-Identifier: MIT
**
** store.c: see store.h.
*/
#include "txn/store.h"

#include "os/os.h"
#include "pure/branches.h"

void sdb_poison(sdb_store *store) {
  atomic_store(&store->poisoned, true);
  if (store->board) sdb_board_poison(store->board);
}

bool sdb_is_poisoned(const sdb_store *store) {
  return atomic_load(&store->poisoned) || (store->shared && sdb_board_poisoned(store->board));
}

int sdb_store_sync_anyway(sdb_store *store, sdb_fd fd, const char *file, const sdb_op *op) {
  int os = sdb_os_fdatasync(fd);
  if (!os) return SEQDB_OK;
  sdb_poison(store);
  return sdb_error_os(op, os, file, 0, "%s: fdatasync failed", file);
}

int sdb_store_sync(sdb_store *store, sdb_fd fd, const char *file, const sdb_op *op) {
  bool off = store->sync_off && store->journal.header.sync_off;
  return off ? SEQDB_OK : sdb_store_sync_anyway(store, fd, file, op);
}

uint64_t sdb_store_end(sdb_store *store) {
  pthread_mutex_lock(&store->mutex);
  uint64_t end = store->space.end;
  pthread_mutex_unlock(&store->mutex);
  return end;
}

uint64_t sdb_store_generation(sdb_store *store) {
  pthread_mutex_lock(&store->mutex);
  uint64_t generation = store->committed->generation;
  pthread_mutex_unlock(&store->mutex);
  return generation;
}

bool sdb_store_skips(const sdb_store *store) {
  return store->changes_floor > store->committed->generation;
}

uint64_t sdb_store_base(const sdb_store *store) {
  return SDB_MAX(store->changes_floor, store->committed->generation);
}

sdb_catalog *sdb_store_add_catalog(sdb_store *store, const sdb_tree *tree, enum sdb_catalog_kind kind,
                                   uint64_t generation) {
  sdb_tree shared = sdb_tree_share(tree);
  pthread_mutex_lock(&store->mutex);
  sdb_catalog *catalog = sdb_catalog_new(&store->space.catalogs, &shared, kind, generation);
  pthread_mutex_unlock(&store->mutex);
  if (!catalog) sdb_tree_drop(&shared, store->names);
  return catalog;
}

void sdb_store_unref(sdb_store *store, sdb_catalog *catalog) {
  if (!catalog) return;
  pthread_mutex_lock(&store->mutex);
  sdb_space_unref(&store->space, catalog);
  pthread_mutex_unlock(&store->mutex);
}

/* Older catalogs are live for snapshots alone.  So is the last commit's if others than the store refer to it. */
uint64_t sdb_store_newest_reader(const sdb_store *store) {
  const sdb_catalog *at = store->committed;
  assert(!store->before_prepare); /* the record has decided */
  if (at->refs == 1) at = at->older;
  return at ? at->generation : 0;
}

void sdb_store_swap(sdb_store *store, sdb_catalog *catalog, bool undecided, bool keep_old) {
  sdb_catalog *old = store->committed;
  store->committed = catalog;
  store->committed->kind = SDB_CATALOG_COMMITTED;
  pthread_cond_broadcast(&store->news);
  store->keep_next = undecided;
  if (keep_old)
    store->before_prepare = old;
  else
    sdb_space_unref(&store->space, old);
}

void sdb_store_decided(sdb_store *store) {
  store->keep_next = false;
  sdb_space_unref(&store->space, store->before_prepare);
  store->before_prepare = NULL;
  store->unsettled = false;
}

void sdb_store_stand(sdb_store *store) {
  uint64_t sequence = store->mine.sequence;
  store->mine = (sdb_published){.salt = store->journal.header.salt,
                                .end = store->journal.tail,
                                .last_checksum = store->journal.previous,
                                .generation = store->committed->generation,
                                .data_bytes = store->space.end,
                                .tip_at = store->tip_at,
                                .sequence = sequence};
}

/* ---- other members */

bool sdb_store_is_behind(sdb_store *store) {
  if (!store->shared) return false;
  const sdb_published mine = {.sequence = atomic_load_explicit(&store->sequence, memory_order_acquire)};
  return sdb_board_is_new(store->board, &mine) && !atomic_load(&store->leads);
}

/* Before what is published: nobody frees what it needs. */
static void tell_settled(sdb_store *store) {
  uint8_t token[SEQDB_TOKEN_BYTES];
  uint64_t generation;
  bool known = sdb_board_settled(store->board, &generation, token);
  if (known && generation == store->settled_generation && memcmp(token, &store->settled, sizeof token) == 0) return;
  sdb_board_settle(store->board, store->settled_generation, store->settled.bytes);
}

void sdb_store_publish(sdb_store *store) {
  if (!store->shared) return;
  tell_settled(store);
  pthread_mutex_lock(&store->mutex);
  sdb_store_stand(store);
  sdb_board_publish(store->board, &store->mine);
  atomic_store_explicit(&store->sequence, store->mine.sequence, memory_order_release);
  pthread_mutex_unlock(&store->mutex);
  sdb_store_remember_sizes(store);
}

static uint64_t entry_bytes(const sdb_store *store) {
  return store->regions.pages * SDB_ENTRY_BYTES + store->regions.guarded;
}

bool sdb_store_has_news(sdb_store *store) {
  return store->mine.salt != store->journal.header.salt || store->mine.end != store->journal.tail ||
         store->mine.tip_at != store->tip_at || store->told_data_bytes != atomic_load(&store->data.size_bytes) ||
         store->told_entry_bytes != entry_bytes(store) ||
         memcmp(&store->told_stamp, &store->regions.stamp, sizeof store->told_stamp) != 0;
}

void sdb_store_remember_sizes(sdb_store *store) {
  store->told_data_bytes = atomic_load(&store->data.size_bytes);
  store->told_entry_bytes = entry_bytes(store);
  store->told_stamp = store->regions.stamp;
}

uint64_t sdb_store_oldest_elsewhere(sdb_store *store) {
  bool settled = sdb_token_is(&store->settled, &store->tip);
  if (!store->shared && settled && store->space.catalogs.reusable == UINT64_MAX) return UINT64_MAX;
  uint64_t oldest = store->shared ? sdb_board_oldest(store->board) : UINT64_MAX;
  if (!settled) oldest = SDB_MIN(oldest, store->settled_generation);
  pthread_mutex_lock(&store->mutex);
  if (store->unsettled && oldest >= store->committed->generation) oldest = store->committed->generation - 1;
  sdb_space_set_reusable(&store->space, oldest);
  pthread_mutex_unlock(&store->mutex);
  return oldest;
}

static bool is_foreign(void *context, const sdb_board_pin_info *pin) {
  *(bool *)context |= !pin->own;
  return !pin->own;
}

bool sdb_store_is_read_elsewhere(sdb_store *store) {
  bool any = false;
  if (store->shared) sdb_board_each_pin(store->board, is_foreign, &any);
  return any;
}

uint64_t sdb_store_oldest(sdb_store *store) {
  uint64_t elsewhere = sdb_store_oldest_elsewhere(store);
  pthread_mutex_lock(&store->mutex);
  uint64_t here = sdb_space_oldest_generation(&store->space, NULL);
  pthread_mutex_unlock(&store->mutex);
  return SDB_MIN(here, elsewhere);
}

/* ---- named entries */

int sdb_store_draw_token(sdb_store *store, sdb_token *token, const sdb_op *op) {
  _Static_assert(sizeof store->drawn % sizeof *token == 0, "no token is cut in two");
  int os = store->drawn_left ? 0 : sdb_os_random(store->drawn, sizeof store->drawn);
  if (os) return sdb_error_os(op, os, NULL, 0, "no random bytes for a token");
  if (!store->drawn_left) store->drawn_left = sizeof store->drawn;
  memcpy(token, store->drawn + sizeof store->drawn - store->drawn_left, sizeof *token);
  store->drawn_left -= sizeof *token;
  return SEQDB_OK;
}

int sdb_store_reserve_named(sdb_store *store, size_t more) {
  size_t need = store->named_count + more;
  if (need <= store->named_capacity) return SEQDB_OK;
  pthread_mutex_lock(&store->files_mutex); /* check reads the list */
  uint32_t *grown = sdb_realloc(store->named, 2 * need * sizeof *grown);
  if (grown) {
    store->named = grown;
    store->named_capacity = 2 * need;
  }
  pthread_mutex_unlock(&store->files_mutex);
  return grown ? SEQDB_OK : SEQDB_NOMEM;
}

/* ---- space */

uint64_t sdb_store_visible_bytes(sdb_store *store, uint32_t index, uint64_t start) {
  pthread_mutex_lock(&store->mutex);
  uint64_t visible = sdb_space_visible_bytes(&store->space, index, start);
  pthread_mutex_unlock(&store->mutex);
  return visible;
}

uint64_t sdb_store_marked_bytes(sdb_store *store, uint32_t index, uint64_t start) {
  pthread_mutex_lock(&store->mutex);
  uint64_t marked = sdb_catalogs_marked_bytes(&store->space.catalogs, index, start);
  pthread_mutex_unlock(&store->mutex);
  return marked;
}

int sdb_store_reserve_give_up(sdb_store *store, uint32_t index, uint64_t start, uint64_t bytes) {
  pthread_mutex_lock(&store->mutex);
  int rc = sdb_space_reserve_give_up(&store->space, index, start, bytes);
  pthread_mutex_unlock(&store->mutex);
  return rc;
}

void sdb_store_give_up(sdb_store *store, uint32_t index, uint64_t start, uint64_t bytes) {
  pthread_mutex_lock(&store->mutex);
  sdb_space_give_up(&store->space, index, start, bytes);
  pthread_mutex_unlock(&store->mutex);
}

void sdb_store_note_cut(sdb_store *store, uint32_t index, uint64_t start, uint64_t length, uint64_t old_length) {
  pthread_mutex_lock(&store->mutex);
  sdb_space_note_cut(&store->space, index, start, length, old_length);
  pthread_mutex_unlock(&store->mutex);
}

/* What allocating in space.h returned, and the file made long enough for it. */
static int allocated(sdb_store *store, uint32_t index, const sdb_extent *extent, int rc, const sdb_op *op) {
  if (rc == SEQDB_NOMEM) return sdb_error_nomem(op);
  if (rc != SEQDB_OK)
    return sdb_error_set(op, rc, "data", 0, "data: no room for %llu bytes in one file",
                         (unsigned long long)extent->bytes);
  /* With a page that a recovery may cut (R12), where offsets allow. */
  rc = sdb_data_ensure(&store->data, SDB_MIN(sdb_store_end(store) + SDB_PAGE, sdb_page_down(SDB_OFFSET_MAX)), op);
  if (rc != SEQDB_OK)
    sdb_store_give_up(store, index, extent->start, extent->bytes); /* no catalog sees it: free at once */
  return rc;
}

int sdb_store_alloc(sdb_store *store, uint32_t index, sdb_extent *extent, const sdb_op *op) {
  pthread_mutex_lock(&store->mutex);
  int rc = sdb_space_alloc(&store->space, extent->bytes, &extent->start, &extent->dirty);
  pthread_mutex_unlock(&store->mutex);
  return allocated(store, index, extent, rc, op);
}

int sdb_store_alloc_at(sdb_store *store, uint32_t index, sdb_extent *extent, const sdb_op *op) {
  pthread_mutex_lock(&store->mutex);
  int rc = sdb_space_alloc_at(&store->space, extent->start, extent->bytes, &extent->dirty);
  pthread_mutex_unlock(&store->mutex);
  return allocated(store, index, extent, rc, op);
}

/* ---- assertions */

#ifdef SDB_CHECKS
#define CHECK_ENTRIES_MAX  2000u /* the time is quadratic: large databases are checked by structure only */
#define CHECK_CATALOGS_MAX 200u

static bool is_small(const sdb_store *store) {
  unsigned count = 0;
  for (const sdb_catalog *at = store->space.catalogs.oldest; at; at = at->newer)
    if (at->tree.entries > CHECK_ENTRIES_MAX || ++count > CHECK_CATALOGS_MAX) return false;
  return true;
}

void sdb_store_check_free(const sdb_store *store, uint64_t offset, uint64_t bytes) {
  assert(!is_small(store) || sdb_space_may_write(&store->space, offset, bytes, NULL));
}

void sdb_store_check_unreserved(sdb_store *store, const sdb_extent *extent, const sdb_tree *own) {
  pthread_mutex_lock(&store->mutex);
  assert(!is_small(store) || own->entries > CHECK_ENTRIES_MAX ||
         sdb_space_is_unreserved(&store->space, extent->start, extent->bytes, own));
  pthread_mutex_unlock(&store->mutex);
}

void sdb_store_check_adds_up(sdb_store *store, const sdb_tree *own) {
  pthread_mutex_lock(&store->mutex);
  assert(sdb_space_adds_up(&store->space, own));
  pthread_mutex_unlock(&store->mutex);
}
#endif
