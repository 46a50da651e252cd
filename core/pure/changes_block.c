/* SPDX-License-Identifier: MIT
**
** changes_block.c: see changes_block.h.
**
** The structures repeat the tables of FORMAT.md, and the assertions hold both together.
** INVARIANT: decoding never reads outside the block, whatever it contains; what it accepts, encoding would have
** written.
*/
#include "pure/changes_block.h"

#include "pure/hash.h"

#define CHANGES_VERSION 1u

struct disk_block {
  uint8_t magic[8];
  uint32_t version, zero;
  uint8_t uuid[16];
  uint64_t id, position, floor;
  uint64_t from_generation;
  uint8_t from_token[SEQDB_TOKEN_BYTES];
  uint64_t to_generation;
  uint8_t to_token[SEQDB_TOKEN_BYTES];
  uint64_t items, zeros;
  uint64_t checksum;
};

struct disk_item {
  uint32_t index, op;
  uint64_t generation, offset, bytes;
};

#define OFF(type, field)            offsetof(struct disk_##type, field)
#define ASSERT_OFF(type, field, at) _Static_assert(OFF(type, field) == (at), "FORMAT.md: " #type " " #field)

_Static_assert(sizeof(struct disk_block) == SDB_CHANGES_HEADER_BYTES, "FORMAT.md section 9");
_Static_assert(sizeof(struct disk_item) == SDB_CHANGES_ITEM_BYTES, "FORMAT.md section 9");
ASSERT_OFF(block, version, 8);
ASSERT_OFF(block, uuid, 16);
ASSERT_OFF(block, id, 32);
ASSERT_OFF(block, position, 40);
ASSERT_OFF(block, floor, 48);
ASSERT_OFF(block, from_generation, 56);
ASSERT_OFF(block, from_token, 64);
ASSERT_OFF(block, to_generation, 80);
ASSERT_OFF(block, to_token, 88);
ASSERT_OFF(block, items, 104);
ASSERT_OFF(block, zeros, 112);
ASSERT_OFF(block, checksum, 120);
ASSERT_OFF(item, op, 4);
ASSERT_OFF(item, generation, 8);
ASSERT_OFF(item, offset, 16);
ASSERT_OFF(item, bytes, 24);

static const uint8_t magic[8] = {'s', 'e', 'q', 'd', 'b', 'c', 'h', 'g'};

bool sdb_changes_state_is(const sdb_changes_state *a, const sdb_changes_state *b) {
  bool named = a->generation == 0 || !sdb_is_zero(a->token.bytes, sizeof a->token.bytes);
  return named && a->generation == b->generation && memcmp(&a->token, &b->token, sizeof a->token) == 0;
}

uint64_t sdb_changes_block_bytes(uint64_t items) {
  return SDB_CHANGES_HEADER_BYTES + items * SDB_CHANGES_ITEM_BYTES;
}

bool sdb_changes_begins(const uint8_t begin[8]) {
  return memcmp(begin, magic, sizeof magic) == 0;
}

static uint64_t checksum_of(const uint8_t *bytes, uint64_t items) {
  uint64_t seed = sdb_hash_bytes(bytes, OFF(block, checksum), 0);
  return sdb_hash_bytes(bytes + SDB_CHANGES_HEADER_BYTES, (size_t)(items * SDB_CHANGES_ITEM_BYTES), seed);
}

static void write_item(uint8_t *p, const sdb_change_item *item) {
  sdb_put32(p + OFF(item, index), item->index);
  sdb_put32(p + OFF(item, op), item->op);
  sdb_put64(p + OFF(item, generation), item->generation);
  sdb_put64(p + OFF(item, offset), item->offset);
  sdb_put64(p + OFF(item, bytes), item->bytes);
}

static sdb_change_item read_item(const uint8_t *p) {
  return (sdb_change_item){.index = sdb_get32(p + OFF(item, index)),
                           .op = sdb_get32(p + OFF(item, op)),
                           .generation = sdb_get64(p + OFF(item, generation)),
                           .offset = sdb_get64(p + OFF(item, offset)),
                           .bytes = sdb_get64(p + OFF(item, bytes))};
}

void sdb_changes_block_encode(uint8_t *bytes, sdb_changes_block *block, const sdb_change_item *items) {
  memset(bytes, 0, SDB_CHANGES_HEADER_BYTES);
  memcpy(bytes, magic, sizeof magic);
  sdb_put32(bytes + OFF(block, version), CHANGES_VERSION);
  memcpy(bytes + OFF(block, uuid), block->uuid, sizeof block->uuid);
  sdb_put64(bytes + OFF(block, id), block->id);
  sdb_put64(bytes + OFF(block, position), block->position);
  sdb_put64(bytes + OFF(block, floor), block->floor);
  sdb_put64(bytes + OFF(block, from_generation), block->from.generation);
  memcpy(bytes + OFF(block, from_token), block->from.token.bytes, SEQDB_TOKEN_BYTES);
  sdb_put64(bytes + OFF(block, to_generation), block->to.generation);
  memcpy(bytes + OFF(block, to_token), block->to.token.bytes, SEQDB_TOKEN_BYTES);
  sdb_put64(bytes + OFF(block, items), block->items);
  for (uint64_t i = 0; i < block->items; i++)
    write_item(bytes + SDB_CHANGES_HEADER_BYTES + i * SDB_CHANGES_ITEM_BYTES, &items[i]);
  block->checksum = checksum_of(bytes, block->items);
  sdb_put64(bytes + OFF(block, checksum), block->checksum);
}

bool sdb_changes_block_peek(const uint8_t header[SDB_CHANGES_HEADER_BYTES], uint64_t position, uint64_t available,
                            sdb_changes_block *block) {
  *block = (sdb_changes_block){.id = sdb_get64(header + OFF(block, id)),
                               .position = sdb_get64(header + OFF(block, position)),
                               .floor = sdb_get64(header + OFF(block, floor)),
                               .from = {.generation = sdb_get64(header + OFF(block, from_generation))},
                               .to = {.generation = sdb_get64(header + OFF(block, to_generation))},
                               .items = sdb_get64(header + OFF(block, items)),
                               .checksum = sdb_get64(header + OFF(block, checksum))};
  memcpy(block->uuid, header + OFF(block, uuid), sizeof block->uuid);
  memcpy(block->from.token.bytes, header + OFF(block, from_token), SEQDB_TOKEN_BYTES);
  memcpy(block->to.token.bytes, header + OFF(block, to_token), SEQDB_TOKEN_BYTES);
  return memcmp(header, magic, sizeof magic) == 0 && sdb_get32(header + OFF(block, version)) == CHANGES_VERSION &&
         sdb_get32(header + OFF(block, zero)) == 0 && sdb_get64(header + OFF(block, zeros)) == 0 &&
         block->position == position && block->floor <= block->to.generation &&
         block->from.generation <= block->to.generation && available >= SDB_CHANGES_HEADER_BYTES &&
         block->items <= (available - SDB_CHANGES_HEADER_BYTES) / SDB_CHANGES_ITEM_BYTES;
}

static bool item_good(const sdb_change_item *item, uint64_t newest) {
  bool known = item->op >= SDB_CHANGE_CREATE && item->op <= SDB_CHANGE_LENGTH && item->op != SDB_CHANGE_APPEND;
  return known && item->index < SDB_INDEX_MAX && item->generation <= newest && item->bytes <= SDB_OFFSET_MAX &&
         item->offset <= SDB_OFFSET_MAX - item->bytes;
}

bool sdb_changes_block_decode(const uint8_t *bytes, const sdb_changes_block *block, sdb_change_item *items) {
  if (block->checksum != checksum_of(bytes, block->items)) return false;
  for (uint64_t i = 0; i < block->items; i++) {
    items[i] = read_item(bytes + SDB_CHANGES_HEADER_BYTES + i * SDB_CHANGES_ITEM_BYTES);
    if (!item_good(&items[i], block->to.generation)) return false;
  }
  return true;
}
