/* SPDX-License-Identifier: MIT
**
** changes_file.c: see changes_file.h.
*/
#include "files/changes_file.h"

#include <errno.h>

#define NAME            SDB_CHANGES_NAME
#define NEW_NAME        SDB_CHANGES_NEW_NAME
#define LIMIT_MIN_BYTES (UINT64_C(1) << 20)
#define BYTES_PER_ENTRY 64u                 /* two items: 1/64 of what the entry takes in `regions` */
#define READ_MAX_BYTES  (UINT64_C(1) << 34) /* a longer one is not ours */

uint64_t sdb_changes_file_limit(uint64_t entries) {
  return SDB_MAX(entries * BYTES_PER_ENTRY, LIMIT_MIN_BYTES);
}

/* ---- reading */

static bool read_at(sdb_fd file, void *to, uint64_t bytes, uint64_t at) {
  size_t got = 0;
  return sdb_os_pread(file, to, (size_t)bytes, at, &got) == 0 && got == bytes;
}

/* The block's items, behind those of the list.  *good: it is whole. */
static int read_items(sdb_fd file, const sdb_changes_block *block, sdb_change_list *list, bool *good) {
  uint64_t bytes = sdb_changes_block_bytes(block->items);
  uint8_t *memory = sdb_malloc((size_t)bytes);
  int rc = memory ? sdb_change_list_reserve(list, (size_t)block->items + 1) : SEQDB_NOMEM;
  *good = rc == SEQDB_OK && read_at(file, memory, bytes, block->position) &&
          sdb_changes_block_decode(memory, block, list->items + list->count);
  if (*good) list->count += (size_t)block->items;
  if (*good) list->floor = SDB_MAX(list->floor, block->floor);
  sdb_free(memory);
  return rc;
}

/* Does it go on where the one before it ends?  `last` of the first one is NULL. */
static bool follows(const sdb_changes_block *block, const sdb_changes_block *last, const uint8_t uuid[16]) {
  if (memcmp(block->uuid, uuid, sizeof block->uuid) != 0) return false;
  return !last || (block->id == last->id && sdb_changes_state_is(&block->from, &last->to));
}

static uint64_t place_behind(const sdb_changes_block *block) {
  uint64_t end = block->position + sdb_changes_block_bytes(block->items);
  return (end + SDB_CHANGES_ALIGN - 1) / SDB_CHANGES_ALIGN * SDB_CHANGES_ALIGN;
}

/* Block by block, as far as they lead.  The list of a state that comes after a base holds what the base's has. */
static int read_blocks(sdb_fd file, uint64_t size, const uint8_t uuid[16], const sdb_changes_state *state,
                       sdb_changes_found *found) {
  sdb_changes_block last, block;
  uint8_t header[SDB_CHANGES_HEADER_BYTES];
  int rc = SEQDB_OK;
  bool good = true;
  for (uint64_t at = 0; rc == SEQDB_OK && good && !found->known && at < size; at = place_behind(&block)) {
    good = read_at(file, header, sizeof header, at) && sdb_changes_block_peek(header, at, size - at, &block) &&
           follows(&block, at ? &last : NULL, uuid);
    if (good) rc = read_items(file, &block, &found->list, &good);
    if (rc != SEQDB_OK || !good) break;
    bool ends = sdb_changes_state_is(&block.to, state);
    found->known = ends || (at == 0 && sdb_changes_state_is(&block.from, state));
    found->id = block.id;
    found->end = ends ? place_behind(&block) : 0;
    last = block;
  }
  return rc;
}

int sdb_changes_file_read(sdb_fd dir, const uint8_t uuid[16], const sdb_changes_state *state,
                          sdb_changes_found *found) {
  sdb_os_info info;
  sdb_fd file = -1;
  int rc = SEQDB_OK;
  *found = (sdb_changes_found){.known = false};
  if (sdb_os_open(dir, NAME, 0, &file) == 0) {
    if (sdb_os_info_of(file, &info) == 0 && info.size_bytes <= READ_MAX_BYTES)
      rc = read_blocks(file, info.size_bytes, uuid, state, found);
    sdb_os_close(file);
  }
  if (found->known && rc == SEQDB_OK) return rc;
  sdb_change_list_free(&found->list);
  *found = (sdb_changes_found){.list = {.floor = state->generation}};
  return rc;
}

/* ---- writing */

bool sdb_changes_file_is_ours(sdb_fd dir, const char *name) {
  uint8_t begin[8];
  size_t got = 0;
  sdb_fd file = -1;
  int os = sdb_os_open(dir, name, 0, &file);
  if (os) return os == ENOENT;
  os = sdb_os_pread(file, begin, sizeof begin, 0, &got);
  sdb_os_close(file);
  return os == 0 && (sdb_is_zero(begin, got) || (got == sizeof begin && sdb_changes_begins(begin)));
}

static bool write_block(const sdb_changes_place *place, sdb_fd file, sdb_changes_block *block,
                        const sdb_change_list *list) {
  block->items = list->count;
  uint64_t bytes = sdb_changes_block_bytes(block->items);
  uint8_t *memory = sdb_malloc((size_t)bytes);
  if (!memory) return false;
  sdb_changes_block_encode(memory, block, list->items);
  bool good =
      sdb_os_pwrite(file, memory, (size_t)bytes, block->position) == 0 && (!place->sync || sdb_os_fdatasync(file) == 0);
  sdb_free(memory);
  return good;
}

bool sdb_changes_file_append(const sdb_changes_place *place, const sdb_changes_found *found, sdb_changes_block *block,
                             const sdb_change_list *list) {
  sdb_os_info info;
  sdb_fd file = -1;
  if (sdb_os_open(place->dir, NAME, SDB_OPEN_WRITE, &file) != 0) return false;
  block->id = found->id;
  block->position = found->end;
  bool good = sdb_os_info_of(file, &info) == 0 && info.links == 1 && write_block(place, file, block, list);
  sdb_os_close(file);
  return good;
}

bool sdb_changes_file_write(const sdb_changes_place *place, sdb_changes_block *block, const sdb_change_list *list) {
  sdb_fd dir = place->dir, file = -1;
  sdb_os_info info;
  if (!sdb_changes_file_is_ours(dir, NAME) || !sdb_changes_file_is_ours(dir, NEW_NAME)) return false;
  (void)sdb_os_unlink(dir, NEW_NAME);
  block->position = 0;
  if (sdb_os_info_of(place->regions, &info) != 0 || sdb_os_random(&block->id, sizeof block->id) != 0 ||
      sdb_os_open(dir, NEW_NAME, SDB_OPEN_WRITE | SDB_OPEN_CREATE | SDB_OPEN_EXCL | SDB_OPEN_OWN, &file) != 0)
    return false;
  if (info.access.mode) sdb_os_set_access(file, &info.access);
  bool good = write_block(place, file, block, list);
  sdb_os_close(file);
  good = good && sdb_os_rename(dir, NEW_NAME, NAME) == 0;
  if (!good) (void)sdb_os_unlink(dir, NEW_NAME);
  return good && (!place->sync || sdb_os_sync_dir(dir) == 0);
}
