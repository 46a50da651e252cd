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
  uint64_t start; /* from here on zeros in version 1 */
  uint8_t base_token[SEQDB_TOKEN_BYTES], base_file[16];
  uint64_t settled_generation;
  uint8_t settled_token[SEQDB_TOKEN_BYTES];
  uint32_t claim_count;
  uint8_t zeros1[100];
  struct disk_claim {
    uint8_t file[16], settled[SEQDB_TOKEN_BYTES];
    uint64_t inode, birth_ns;
    uint32_t path_bytes, zero;
    uint8_t path[SDB_CLAIM_PATH_BYTES_MAX];
  } claims[SDB_CLAIMS_MAX];
  uint8_t zeros2[248];
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
ASSERT_OFF(header, start, 88);
ASSERT_OFF(header, base_token, 96);
ASSERT_OFF(header, base_file, 112);
ASSERT_OFF(header, settled_generation, 128);
ASSERT_OFF(header, settled_token, 136);
ASSERT_OFF(header, claim_count, 152);
ASSERT_OFF(header, zeros1, 156);
ASSERT_OFF(header, claims, 256);
ASSERT_OFF(header, zeros2, 3840);
ASSERT_OFF(header, checksum, 4088);
_Static_assert(sizeof(struct disk_claim) == 256, "FORMAT.md section 3");
ASSERT_OFF(claim, settled, 16);
ASSERT_OFF(claim, inode, 32);
ASSERT_OFF(claim, birth_ns, 40);
ASSERT_OFF(claim, path_bytes, 48);
ASSERT_OFF(claim, zero, 52);
ASSERT_OFF(claim, path, 56);
_Static_assert(SDB_JOURNAL_START % SDB_JOURNAL_ALIGN == 0, "FORMAT.md section 4");

static const uint8_t header_magic[8] = {'s', 'e', 'q', 'd', 'b', 'j', 'n', 'l'};
#define HEADER_FLAG_SYNC_OFF 1u
#define HEADER_FLAG_OVERLAY  2u /* since version 2 */

/* ---- claims */

static bool claim_good(const sdb_claim *claim) {
  const uint32_t bytes = claim->path_bytes;
  if (bytes > SDB_CLAIM_PATH_BYTES_MAX || sdb_is_zero(claim->file.bytes, sizeof claim->file.bytes)) return false;
  if (bytes && memchr(claim->path, 0, bytes)) return false;
  return sdb_is_zero((const uint8_t *)claim->path + bytes, SDB_CLAIM_PATH_BYTES_MAX - bytes);
}

/* Sound, and no file twice. */
static bool claims_good(const sdb_journal_header *h) {
  for (uint32_t i = 0; i < h->claim_count; i++) {
    if (!claim_good(&h->claims[i])) return false;
    for (uint32_t j = 0; j < i; j++)
      if (memcmp(&h->claims[i].file, &h->claims[j].file, sizeof h->claims[i].file) == 0) return false;
  }
  return true;
}

static void read_claim(const uint8_t *p, sdb_claim *claim) {
  memcpy(claim->file.bytes, p + OFF(claim, file), sizeof claim->file.bytes);
  memcpy(claim->settled.bytes, p + OFF(claim, settled), sizeof claim->settled.bytes);
  claim->inode = sdb_get64(p + OFF(claim, inode));
  claim->birth_ns = sdb_get64(p + OFF(claim, birth_ns));
  claim->path_bytes = sdb_get32(p + OFF(claim, path_bytes));
  memcpy(claim->path, p + OFF(claim, path), sizeof claim->path);
}

static void write_claim(uint8_t *p, const sdb_claim *claim) {
  memcpy(p + OFF(claim, file), claim->file.bytes, sizeof claim->file.bytes);
  memcpy(p + OFF(claim, settled), claim->settled.bytes, sizeof claim->settled.bytes);
  sdb_put64(p + OFF(claim, inode), claim->inode);
  sdb_put64(p + OFF(claim, birth_ns), claim->birth_ns);
  sdb_put32(p + OFF(claim, path_bytes), claim->path_bytes);
  memcpy(p + OFF(claim, path), claim->path, sizeof claim->path);
}

/* ---- what version 1 did not have */

static bool second_plausible(const sdb_journal_header *h) {
  if (h->start < SDB_JOURNAL_START || h->start % SDB_JOURNAL_ALIGN != 0 || h->start > SDB_OFFSET_MAX) return false;
  return h->claim_count <= SDB_CLAIMS_MAX && claims_good(h);
}

/* false: bytes that must be zeros are not, or there are too many claims. */
static bool second_decode(const uint8_t *page, sdb_journal_header *header) {
  header->start = sdb_get64(page + OFF(header, start));
  memcpy(header->base_token.bytes, page + OFF(header, base_token), sizeof header->base_token.bytes);
  memcpy(header->base_file.bytes, page + OFF(header, base_file), sizeof header->base_file.bytes);
  header->settled_generation = sdb_get64(page + OFF(header, settled_generation));
  memcpy(header->settled_token.bytes, page + OFF(header, settled_token), sizeof header->settled_token.bytes);
  header->claim_count = sdb_get32(page + OFF(header, claim_count));
  if (header->claim_count > SDB_CLAIMS_MAX) return false;
  size_t end = OFF(header, claims) + header->claim_count * sizeof(struct disk_claim);
  for (uint32_t i = 0; i < header->claim_count; i++) {
    const uint8_t *p = page + OFF(header, claims) + i * sizeof(struct disk_claim);
    if (sdb_get32(p + OFF(claim, zero)) != 0) return false;
    read_claim(p, &header->claims[i]);
  }
  return sdb_is_zero(page + OFF(header, zeros1), OFF(header, claims) - OFF(header, zeros1)) &&
         sdb_is_zero(page + end, OFF(header, checksum) - end);
}

static void second_encode(uint8_t *page, const sdb_journal_header *header) {
  sdb_put64(page + OFF(header, start), header->start);
  memcpy(page + OFF(header, base_token), header->base_token.bytes, sizeof header->base_token.bytes);
  memcpy(page + OFF(header, base_file), header->base_file.bytes, sizeof header->base_file.bytes);
  sdb_put64(page + OFF(header, settled_generation), header->settled_generation);
  memcpy(page + OFF(header, settled_token), header->settled_token.bytes, sizeof header->settled_token.bytes);
  sdb_put32(page + OFF(header, claim_count), header->claim_count);
  for (uint32_t i = 0; i < header->claim_count; i++)
    write_claim(page + OFF(header, claims) + i * sizeof(struct disk_claim), &header->claims[i]);
}

/* ---- all of it */

static bool header_plausible(const sdb_journal_header *h) {
  return h->salt != 0 && sdb_is_page_aligned(h->data_bytes) && h->data_bytes <= SDB_OFFSET_MAX &&
         sdb_is_page_aligned(h->regions_bytes) && h->regions_bytes <= SDB_OFFSET_MAX &&
         h->entries <= h->regions_bytes / SDB_ENTRY_BYTES && second_plausible(h);
}

enum sdb_header_state sdb_journal_header_decode(const uint8_t page[SDB_JOURNAL_HEADER_BYTES],
                                                sdb_journal_header *header) {
  uint32_t flags = sdb_get32(page + OFF(header, flags));
  *header = (sdb_journal_header){.version = sdb_get32(page + OFF(header, version))};
  if (memcmp(page, header_magic, sizeof header_magic) != 0) return SDB_HEADER_DAMAGED;
  if (sdb_get64(page + OFF(header, checksum)) != sdb_hash_bytes(page, OFF(header, checksum), 0))
    return SDB_HEADER_DAMAGED;
  if (header->version > SDB_FORMAT_VERSION) return SDB_HEADER_NEWER;
  const uint32_t known = HEADER_FLAG_SYNC_OFF | (header->version > 1 ? HEADER_FLAG_OVERLAY : 0);
  if (header->version == 0 || (flags & ~known) != 0) return SDB_HEADER_DAMAGED;
  if (header->version == 1) {
    header->start = SDB_JOURNAL_START;
    if (!sdb_is_zero(page + OFF(header, start), OFF(header, checksum) - OFF(header, start))) return SDB_HEADER_DAMAGED;
  } else if (!second_decode(page, header)) {
    return SDB_HEADER_DAMAGED;
  }

  header->sync_off = (flags & HEADER_FLAG_SYNC_OFF) != 0;
  header->overlay = (flags & HEADER_FLAG_OVERLAY) != 0;
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
  assert(header->version > 0 && header->version <= SDB_FORMAT_VERSION && header_plausible(header));
  assert(header->version > 1 || (header->start == SDB_JOURNAL_START && !header->overlay));
  memset(page, 0, SDB_JOURNAL_HEADER_BYTES);
  memcpy(page, header_magic, sizeof header_magic);
  sdb_put32(page + OFF(header, version), header->version);
  sdb_put32(page + OFF(header, flags),
            (header->sync_off ? HEADER_FLAG_SYNC_OFF : 0) | (header->overlay ? HEADER_FLAG_OVERLAY : 0));
  memcpy(page + OFF(header, uuid), header->uuid, sizeof header->uuid);
  sdb_put64(page + OFF(header, sequence), header->sequence);
  sdb_put64(page + OFF(header, salt), header->salt);
  sdb_put64(page + OFF(header, base_generation), header->base_generation);
  sdb_put64(page + OFF(header, data_bytes), header->data_bytes);
  sdb_put64(page + OFF(header, regions_bytes), header->regions_bytes);
  sdb_put64(page + OFF(header, entries), header->entries);
  sdb_put64(page + OFF(header, entries_hash), header->entries_hash);
  if (header->version > 1) second_encode(page, header);
  sdb_put64(page + OFF(header, checksum), sdb_hash_bytes(page, OFF(header, checksum), 0));
}
