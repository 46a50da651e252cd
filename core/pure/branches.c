/* SPDX-License-Identifier: MIT
**
** branches.c: see branches.h.
*/
#include "pure/branches.h"

#include "os/os.h"

bool sdb_file_is_none(const sdb_file_uuid *file) {
  return sdb_is_zero(file->bytes, sizeof file->bytes);
}

bool sdb_token_is(const sdb_token *a, const sdb_token *b) {
  return memcmp(a, b, sizeof *a) == 0;
}

int sdb_branches_add(sdb_branches *branches, const sdb_record_header *header) {
  if (branches->count == branches->capacity) {
    size_t capacity = branches->capacity ? 2 * branches->capacity : 16;
    sdb_branch *grown = sdb_realloc(branches->items, capacity * sizeof *grown);
    if (!grown) return SEQDB_NOMEM;
    branches->items = grown;
    branches->capacity = capacity;
  }
  bool empty = header->puts == 0 && header->deletes == 0 && header->ranges == 0;
  bool prepare = header->kind == SDB_RECORD_PREPARE;
  branches->items[branches->count++] =
      (sdb_branch){.token = header->token,
                   .parent = header->parent,
                   .settled = header->settled,
                   .file = header->file,
                   .position = header->position,
                   .generation = header->generation,
                   .decides = (empty && !prepare) || header->kind == SDB_RECORD_OVERLAY,
                   .open = prepare && sdb_file_is_none(&header->file),
                   .named = header->coordinator_bytes > 0};
  return SEQDB_OK;
}

void sdb_branches_free(sdb_branches *branches) {
  sdb_free(branches->items);
  memset(branches, 0, sizeof *branches);
}

/* Among the first `count`; parents stand shortly before their children. */
static size_t find(const sdb_branches *branches, size_t count, const sdb_token *token) {
  while (count > 0 && !(sdb_token_is(&branches->items[count - 1].token, token) && !branches->items[count - 1].decides))
    count--;
  return count;
}

size_t sdb_branches_find(const sdb_branches *branches, const sdb_token *token) {
  return find(branches, branches->count, token);
}

size_t sdb_branches_at(const sdb_branches *branches, uint64_t position) {
  size_t at = branches->count;
  while (at > 0 && branches->items[at - 1].position != position)
    at--;
  return at;
}

size_t sdb_branches_last(const sdb_branches *branches, bool drop) {
  size_t last = branches->count;
  if (last == 0) return 0;
  const sdb_branch *item = &branches->items[last - 1];
  bool counts = !item->decides && !(item->open && item->named && drop);
  return counts ? last : find(branches, last - 1, &item->parent);
}

void sdb_branches_keep(sdb_branches *branches, size_t tip) {
  for (size_t i = 0; i < branches->count; i++)
    branches->items[i].kept = branches->items[i].decides;
  for (size_t at = tip; at > 0; at = find(branches, at - 1, &branches->items[at - 1].parent))
    branches->items[at - 1].kept = true;
}
