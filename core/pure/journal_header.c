/* SPDX-License-Identifier: MIT
**
** journal_header.c: see journal_header.h.
**
** The structure repeats the table of FORMAT.md, and the assertions hold both together.
** INVARIANT: decoding never reads outside the page, whatever it contains; what it accepts, encoding would have written.
*/
#include "pure/journal_header.h"

#include "pure/entry_page.h"
#include "pure/hash.h"

struct disk_header { /* section 3 */
  uint8_t magic[8];
  uint32_t version, flags;
  uint8_t uuid[16];
  uint64_t sequence, salt, base_generation, data_bytes, regions_bytes, entries, entries_hash;
  uint8_t zeros[4000];
  uint64_t checksum;
};

#define OFF(type, field)            offsetof(struct disk_##type, field)
#define ASSERT_OFF(type, field, at) _Static_assert(OFF(type, field) == (at), "FORMAT.md: " #type " " #field)

_Static_assert(sizeof(struct disk_header) == SDB_JOURNAL_HEADER_BYTES, "FORMAT.md section 3");
ASSERT_OFF(header, version, 8);
ASSERT_OFF(header, flags, 12);
ASSERT_OFF(header, uuid, 16);
ASSERT_OFF(header, sequence, 32);
ASSERT_OFF(header, salt, 40);
ASSERT_OFF(header, base_generation, 48);
ASSERT_OFF(header, data_bytes, 56);
ASSERT_OFF(header, regions_bytes, 64);
ASSERT_OFF(header, entries, 72);
ASSERT_OFF(header, entries_hash, 80);
ASSERT_OFF(header, zeros, 88);
ASSERT_OFF(header, checksum, 4088);

static const uint8_t header_magic[8] = {'s', 'e', 'q', 'd', 'b', 'j', 'n', 'l'};
#define HEADER_FLAG_SYNC_OFF 1u

static bool header_plausible(const sdb_journal_header *h) {
  return h->salt != 0 && sdb_is_page_aligned(h->data_bytes) && h->data_bytes <= SDB_OFFSET_MAX &&
         sdb_is_page_aligned(h->regions_bytes) && h->regions_bytes <= SDB_OFFSET_MAX &&
         h->entries <= h->regions_bytes / SDB_ENTRY_BYTES;
}

enum sdb_header_state sdb_journal_header_decode(const uint8_t page[SDB_JOURNAL_HEADER_BYTES],
                                                sdb_journal_header *header) {
  uint32_t flags = sdb_get32(page + OFF(header, flags));
  *header = (sdb_journal_header){.version = sdb_get32(page + OFF(header, version))};
  if (memcmp(page, header_magic, sizeof header_magic) != 0) return SDB_HEADER_DAMAGED;
  if (sdb_get64(page + OFF(header, checksum)) != sdb_hash_bytes(page, OFF(header, checksum), 0))
    return SDB_HEADER_DAMAGED;
  if (header->version > SDB_FORMAT_VERSION) return SDB_HEADER_NEWER;
  if (header->version == 0 || (flags & ~HEADER_FLAG_SYNC_OFF) != 0) return SDB_HEADER_DAMAGED;
  if (!sdb_is_zero(page + OFF(header, zeros), OFF(header, checksum) - OFF(header, zeros))) return SDB_HEADER_DAMAGED;

  header->sync_off = (flags & HEADER_FLAG_SYNC_OFF) != 0;
  memcpy(header->uuid, page + OFF(header, uuid), sizeof header->uuid);
  header->sequence = sdb_get64(page + OFF(header, sequence));
  header->salt = sdb_get64(page + OFF(header, salt));
  header->base_generation = sdb_get64(page + OFF(header, base_generation));
  header->data_bytes = sdb_get64(page + OFF(header, data_bytes));
  header->regions_bytes = sdb_get64(page + OFF(header, regions_bytes));
  header->entries = sdb_get64(page + OFF(header, entries));
  header->entries_hash = sdb_get64(page + OFF(header, entries_hash));
  return header_plausible(header) ? SDB_HEADER_OK : SDB_HEADER_DAMAGED;
}

void sdb_journal_header_encode(uint8_t page[SDB_JOURNAL_HEADER_BYTES], const sdb_journal_header *header) {
  assert(header->version > 0 && header_plausible(header));
  memset(page, 0, SDB_JOURNAL_HEADER_BYTES);
  memcpy(page, header_magic, sizeof header_magic);
  sdb_put32(page + OFF(header, version), header->version);
  sdb_put32(page + OFF(header, flags), header->sync_off ? HEADER_FLAG_SYNC_OFF : 0);
  memcpy(page + OFF(header, uuid), header->uuid, sizeof header->uuid);
  sdb_put64(page + OFF(header, sequence), header->sequence);
  sdb_put64(page + OFF(header, salt), header->salt);
  sdb_put64(page + OFF(header, base_generation), header->base_generation);
  sdb_put64(page + OFF(header, data_bytes), header->data_bytes);
  sdb_put64(page + OFF(header, regions_bytes), header->regions_bytes);
  sdb_put64(page + OFF(header, entries), header->entries);
  sdb_put64(page + OFF(header, entries_hash), header->entries_hash);
  sdb_put64(page + OFF(header, checksum), sdb_hash_bytes(page, OFF(header, checksum), 0));
}
