/* SPDX-License-Identifier: MIT
**
** catalog_block.c: see catalog_block.h.
**
** The structures repeat the tables of FORMAT.md, and the assertions hold both together.
** INVARIANT: decoding never reads outside the block, whatever it contains; what it accepts, a page could say.
*/
#include "pure/catalog_block.h"

#include "pure/entry_rules.h"
#include "pure/hash.h"

#define CATALOG_VERSION 1u

struct disk_head {
  uint8_t magic[8];
  uint32_t version, zero;
  uint8_t uuid[16];
  uint64_t sequence, salt, entries, entries_hash;
  uint64_t regions_inode, regions_bytes, modified_ns, changed_ns;
  uint64_t id, end, list_end;
  uint8_t zeros[3968];
  uint64_t checksum;
};

struct disk_block {
  uint32_t magic, bytes, items, zero;
  uint64_t checksum;
};

struct disk_item {
  uint32_t index;
  uint16_t name_bytes, flags;
  uint64_t start, length, reserved, generation, created;
};

#define OFF(type, field)            offsetof(struct disk_##type, field)
#define ASSERT_OFF(type, field, at) _Static_assert(OFF(type, field) == (at), "FORMAT.md: " #type " " #field)

_Static_assert(sizeof(struct disk_head) == SDB_CATALOG_HEAD_BYTES, "FORMAT.md section 8");
_Static_assert(sizeof(struct disk_block) == 24 && sizeof(struct disk_item) == 48, "FORMAT.md section 8");
ASSERT_OFF(head, version, 8);
ASSERT_OFF(head, uuid, 16);
ASSERT_OFF(head, sequence, 32);
ASSERT_OFF(head, salt, 40);
ASSERT_OFF(head, entries, 48);
ASSERT_OFF(head, entries_hash, 56);
ASSERT_OFF(head, regions_inode, 64);
ASSERT_OFF(head, regions_bytes, 72);
ASSERT_OFF(head, modified_ns, 80);
ASSERT_OFF(head, changed_ns, 88);
ASSERT_OFF(head, id, 96);
ASSERT_OFF(head, end, 104);
ASSERT_OFF(head, list_end, 112);
ASSERT_OFF(head, checksum, 4088);
ASSERT_OFF(block, bytes, 4);
ASSERT_OFF(block, items, 8);
ASSERT_OFF(block, checksum, 16);
ASSERT_OFF(item, name_bytes, 4);
ASSERT_OFF(item, flags, 6);
ASSERT_OFF(item, start, 8);
ASSERT_OFF(item, length, 16);
ASSERT_OFF(item, reserved, 24);
ASSERT_OFF(item, generation, 32);
ASSERT_OFF(item, created, 40);

#define FREE_BYTES   OFF(item, start) /* of the item of a free entry */
#define HAS_TRAILER  1u
#define BLOCK_HEADER ((uint32_t)sizeof(struct disk_block))
#define BLOCK_MAGIC  0x31626373u /* "scb1" */

static const uint8_t head_magic[8] = {'s', 'e', 'q', 'd', 'b', 'c', 'a', 't'};

/* ---- the head */

/* The numbers between uuid and zeros, in their order. */
static void take_numbers(sdb_catalog_head *head, uint64_t *numbers[11]) {
  uint64_t *all[11] = {&head->sequence,     &head->salt,          &head->entries,
                       &head->entries_hash, &head->regions_inode, &head->regions_bytes,
                       &head->modified_ns,  &head->changed_ns,    &head->id,
                       &head->end,          &head->list_end};
  memcpy(numbers, all, sizeof all);
}

bool sdb_catalog_head_begins(const uint8_t bytes[8]) {
  return memcmp(bytes, head_magic, sizeof head_magic) == 0;
}

bool sdb_catalog_head_decode(const uint8_t page[SDB_CATALOG_HEAD_BYTES], sdb_catalog_head *head) {
  uint64_t *numbers[11];
  if (memcmp(page, head_magic, sizeof head_magic) != 0 || sdb_get32(page + OFF(head, version)) != CATALOG_VERSION ||
      sdb_get64(page + OFF(head, checksum)) != sdb_hash_bytes(page, OFF(head, checksum), 0))
    return false;
  memcpy(head->uuid, page + OFF(head, uuid), sizeof head->uuid);
  take_numbers(head, numbers);
  for (unsigned i = 0; i < 11; i++)
    *numbers[i] = sdb_get64(page + OFF(head, sequence) + 8 * i);
  return head->list_end >= SDB_CATALOG_HEAD_BYTES && head->list_end <= head->end && head->end <= SDB_OFFSET_MAX;
}

void sdb_catalog_head_encode(uint8_t page[SDB_CATALOG_HEAD_BYTES], const sdb_catalog_head *head) {
  sdb_catalog_head copy = *head;
  uint64_t *numbers[11];
  memset(page, 0, SDB_CATALOG_HEAD_BYTES);
  memcpy(page, head_magic, sizeof head_magic);
  sdb_put32(page + OFF(head, version), CATALOG_VERSION);
  memcpy(page + OFF(head, uuid), head->uuid, sizeof head->uuid);
  take_numbers(&copy, numbers);
  for (unsigned i = 0; i < 11; i++)
    sdb_put64(page + OFF(head, sequence) + 8 * i, *numbers[i]);
  sdb_put64(page + OFF(head, checksum), sdb_hash_bytes(page, OFF(head, checksum), 0));
}

/* ---- blocks */

void sdb_catalog_block_begin(sdb_catalog_block *block) {
  block->used = BLOCK_HEADER;
  block->items = 0;
}

bool sdb_catalog_block_add(sdb_catalog_block *block, uint32_t index, const sdb_entry_image *image) {
  uint32_t bytes = image->name_bytes ? (uint32_t)sizeof(struct disk_item) + image->name_bytes : FREE_BYTES;
  uint8_t *item = block->bytes + block->used;
  if (bytes > SDB_CATALOG_BLOCK_BYTES - block->used) return false;
  sdb_put32(item, index);
  sdb_put16(item + OFF(item, name_bytes), (uint16_t)image->name_bytes);
  sdb_put16(item + OFF(item, flags), image->has_trailer ? HAS_TRAILER : 0);
  block->used += bytes;
  block->items++;
  if (image->name_bytes == 0) return true;
  sdb_put64(item + OFF(item, start), image->start);
  sdb_put64(item + OFF(item, length), image->length);
  sdb_put64(item + OFF(item, reserved), image->reserved);
  sdb_put64(item + OFF(item, generation), image->generation);
  sdb_put64(item + OFF(item, created), image->created);
  memcpy(item + sizeof(struct disk_item), image->name, image->name_bytes);
  return true;
}

/* Blocks of another list, or moved within theirs, have another one. */
static uint64_t block_checksum(const uint8_t *block, uint32_t bytes, uint64_t id, uint64_t at) {
  uint64_t seed = sdb_hash_bytes(block, OFF(block, checksum), id ^ at);
  return sdb_hash_bytes(block + BLOCK_HEADER, bytes - BLOCK_HEADER, seed);
}

void sdb_catalog_block_seal(sdb_catalog_block *block, uint64_t id, uint64_t at) {
  sdb_put32(block->bytes, BLOCK_MAGIC);
  sdb_put32(block->bytes + OFF(block, bytes), block->used);
  sdb_put32(block->bytes + OFF(block, items), block->items);
  sdb_put32(block->bytes + OFF(block, zero), 0);
  sdb_put64(block->bytes + OFF(block, checksum), block_checksum(block->bytes, block->used, id, at));
}

uint32_t sdb_catalog_block_check(const uint8_t *block, size_t bytes, uint64_t id, uint64_t at) {
  if (bytes < BLOCK_HEADER || sdb_get32(block) != BLOCK_MAGIC) return 0;
  uint32_t own = sdb_get32(block + OFF(block, bytes));
  if (own < BLOCK_HEADER || own > SDB_CATALOG_BLOCK_BYTES || own > bytes) return 0;
  return sdb_get64(block + OFF(block, checksum)) == block_checksum(block, own, id, at) ? own : 0;
}

static bool item_is_good(uint32_t index, const sdb_entry_image *image) {
  bool known = image->has_trailer || (image->generation | image->created) == 0;
  return index < SDB_INDEX_MAX && known && image->created <= image->generation &&
         sdb_extent_is_good(image->start, image->length, image->reserved) &&
         sdb_name_problem(image->name, image->name_bytes, NULL) == NULL;
}

int sdb_catalog_block_next(const uint8_t *block, uint32_t bytes, uint32_t *cursor, uint32_t *index,
                           sdb_entry_image *image) {
  uint32_t at = *cursor ? *cursor : BLOCK_HEADER, left = bytes - at;
  const uint8_t *item = block + at;
  if (left == 0) return 0;
  if (left < FREE_BYTES) return -1;
  *index = sdb_get32(item);
  uint32_t name_bytes = sdb_get16(item + OFF(item, name_bytes));
  unsigned flags = sdb_get16(item + OFF(item, flags));
  if (name_bytes == 0) {
    *image = (sdb_entry_image){.name_bytes = 0};
    *cursor = at + FREE_BYTES;
    return *index < SDB_INDEX_MAX && flags == 0 ? 1 : -1;
  }
  if (name_bytes > SEQDB_NAME_BYTES_MAX || flags > HAS_TRAILER || left < sizeof(struct disk_item) + name_bytes)
    return -1;
  *image = (sdb_entry_image){.start = sdb_get64(item + OFF(item, start)),
                             .length = sdb_get64(item + OFF(item, length)),
                             .reserved = sdb_get64(item + OFF(item, reserved)),
                             .generation = sdb_get64(item + OFF(item, generation)),
                             .created = sdb_get64(item + OFF(item, created)),
                             .has_trailer = flags & HAS_TRAILER,
                             .name_bytes = name_bytes,
                             .name = (const char *)item + sizeof(struct disk_item)};
  *cursor = at + (uint32_t)sizeof(struct disk_item) + name_bytes;
  return item_is_good(*index, image) ? 1 : -1;
}
