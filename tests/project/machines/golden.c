/* SPDX-License-Identifier: MIT
**
** golden.c: entry pages, journal headers and records are the same bytes on every machine.
**
** The bytes below were written out from the tables of FORMAT.md, their checksums computed with the xxHash library
** alone, and so were `values`: XXH3 of lengths on both sides of each limit where it changes its method (and with that
** the vector instructions it uses). THREADS: one.
*/
#include "pure/entry_page.h"
#include "pure/entry_rules.h"
#include "pure/hash.h"
#include "pure/journal_header.h"
#include "pure/record.h"
#include <stdio.h>
#include <stdlib.h>
#include "machines.h"

/* ---- bytes as text: two digits a byte; "*N " is N zeros */

static size_t from_hex(const char *hex, uint8_t *bytes, size_t room) {
  size_t n = 0;
  while (*hex) {
    unsigned value = 0;
    char *end = NULL;
    if (*hex == ' ') {
      hex++;
    } else if (*hex == '*') {
      for (unsigned long zeros = strtoul(hex + 1, &end, 10); zeros > 0 && n < room; zeros--)
        bytes[n++] = 0;
      hex = end;
    } else if (n < room && sscanf(hex, "%2x", &value) == 1) {
      bytes[n++] = (uint8_t)value;
      hex += 2;
    } else {
      break;
    }
  }
  return n;
}

static void same_bytes(const char *what, const uint8_t *got, size_t count, const char *hex) {
  static uint8_t want[8192];
  size_t n = from_hex(hex, want, sizeof want);
  if (n != count) machines_fail("%s: %zu bytes, expected %zu", what, count, n);
  for (size_t i = 0; i < count; i++)
    if (got[i] != want[i])
      machines_fail("%s: byte %zu is %02x, expected %02x", what, i, (unsigned)got[i], (unsigned)want[i]);
}

/* ---- entry */

static const char entry_hex[] =
    "0030000000000000 7856341200000000 0000003412000000 0700000000000000 "
    "6cc3a4e58cba21 *3993 "
    "7365716462656e74 efcdab8967452301 32547698badcfe00 *32 12b7bb8815f25097";

static void entry_page(void) {
  static const char name[] = "l\xc3\xa4\xe5\x8c\xba!";
  uint8_t page[SDB_ENTRY_BYTES];
  sdb_entry_image entry = {.start = 0x3000,
                           .length = 0x12345678,
                           .reserved = UINT64_C(0x1234000000),
                           .generation = UINT64_C(0x0123456789abcdef),
                           .created = UINT64_C(0x00fedcba98765432),
                           .has_trailer = true,
                           .name_bytes = 7,
                           .name = name};
  sdb_entry_image back;
  uint32_t at;
  const char *why;
  sdb_entry_encode(page, 0x00c0ffee, &entry);
  same_bytes("entry", page, sizeof page, entry_hex);
  if (sdb_entry_decode(page, 0x00c0ffee, &back, &at, &why) != SDB_ENTRY_USED || back.start != entry.start ||
      back.length != entry.length || back.reserved != entry.reserved || back.generation != entry.generation ||
      back.created != entry.created || back.name_bytes != 7 || memcmp(back.name, name, 7) != 0)
    machines_fail("entry: does not read back");
  if (sdb_entry_decode(page, 0x00c0ffef, &back, &at, &why) != SDB_ENTRY_DAMAGED)
    machines_fail("entry: accepted in another page's place");
  if (sdb_entry_hash(0x00c0ffee, &entry) != UINT64_C(0x60bbbe135a257989)) machines_fail("entry: another hash term");
  entry.created = 0; /* as in version 1 */
  if (sdb_entry_hash(0x00c0ffee, &entry) != UINT64_C(0x38c4c705347922ac)) machines_fail("entry: another old term");
}

/* ---- journal header */

static const char header_hex[] =
    "73657164626a6e6c 02000000 01000000 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf "
    "8877665544332211 1032547698badcfe 0807060504030201 0090785634120000 "
    "0000000000300000 ffffffff02000000 0100000000000080 "
    "0070563412000000 303132333435363738393a3b3c3d3e3f 808182838485868788898a8b8c8d8e8f 0102030405060708 "
    "505152535455565758595a5b5c5d5e5f 01000000 *100 808182838485868788898a8b8c8d8e8f "
    "505152535455565758595a5b5c5d5e5f 4444333322221111 8888777766665555 0a000000 *4 2e2e2f6c6976652e6462 *190 "
    "*3576 10d9beda0d719166";

static void header_page(void) {
  uint8_t page[SDB_JOURNAL_HEADER_BYTES];
  sdb_journal_header header = {.version = SDB_FORMAT_VERSION,
                               .sync_off = true,
                               .sequence = UINT64_C(0x1122334455667788),
                               .salt = UINT64_C(0xfedcba9876543210),
                               .base_generation = UINT64_C(0x0102030405060708),
                               .data_bytes = UINT64_C(0x123456789000),
                               .regions_bytes = UINT64_C(0x300000000000),
                               .entries = UINT64_C(0x2ffffffff),
                               .entries_hash = UINT64_C(0x8000000000000001),
                               .start = UINT64_C(0x1234567000),
                               .settled_generation = UINT64_C(0x0807060504030201),
                               .claim_count = 1,
                               .claims = {{.inode = UINT64_C(0x1111222233334444),
                                           .birth_ns = UINT64_C(0x5555666677778888),
                                           .path_bytes = 10,
                                           .path = "../live.db"}}};
  sdb_journal_header back;
  for (size_t i = 0; i < sizeof header.uuid; i++)
    header.uuid[i] = (uint8_t)(0xa0 + i);
  for (size_t i = 0; i < 16; i++) {
    header.base_token.bytes[i] = (uint8_t)(0x30 + i);
    header.base_file.bytes[i] = header.claims[0].file.bytes[i] = (uint8_t)(0x80 + i);
    header.settled_token.bytes[i] = header.claims[0].settled.bytes[i] = (uint8_t)(0x50 + i);
  }
  sdb_journal_header_encode(page, &header);
  same_bytes("header", page, sizeof page, header_hex);
  if (sdb_journal_header_decode(page, &back) != SDB_HEADER_OK || !back.sync_off || back.sequence != header.sequence ||
      back.salt != header.salt || back.base_generation != header.base_generation ||
      back.data_bytes != header.data_bytes || back.regions_bytes != header.regions_bytes ||
      back.entries != header.entries || back.entries_hash != header.entries_hash ||
      memcmp(back.uuid, header.uuid, sizeof back.uuid) != 0 || back.start != header.start || back.claim_count != 1 ||
      memcmp(back.claims, header.claims, sizeof back.claims) != 0)
    machines_fail("header: does not read back");
}

/* ---- record */

static const char record_hex[] =
    "73717232 0200 0100 4501000000000000 1032547698badcfe 0004000002000000 efcdab8967452301 00ffeeddccbbaa99 "
    "f0efeeedecebeae9e8e7e6e5e4e3e2e1 07000000 02000000 01000000 *4 0100000000000000 0500000000000000 "
    "0010000007000000 0300000001000000 0100000000000080 "
    "101112131415161718191a1b1c1d1e1f 808182838485868788898a8b8c8d8e8f 61000000 *28 30e127bcf687bc62 "
    "02010000 03000000 2d01000000000000 0000000007000000 *8 0010000000000000 *8 "
    "0d0c0b0a 02000000 2b01000000000000 0050000000000000 0118000000000000 0020000000000000 eecdab8967452301 "
    "04030201 686f73742e6462 7a7a 6f6e65 2301000006000000 0500000000000000 6279746573";

static void record(void) {
  static uint8_t buffer[1024];
  sdb_record_sizes sizes = {.version = 2,
                            .coordinator_bytes = 7,
                            .puts = 2,
                            .put_name_bytes = 5,
                            .deletes = 1,
                            .ranges = 1,
                            .range_bytes = 5};
  sdb_record_put puts[] = {{0x0a0b0c0d, 0x5000, 0x1801, 0x2000, UINT64_C(0x0123456789abcdee), 2, "zz"},
                           {0x00000102, UINT64_C(0x700000000), 0, 0x1000, 0, 3, "one"}};
  sdb_record_header header = {.kind = SDB_RECORD_PREPARE,
                              .flags = SDB_RECORD_KEEP,
                              .salt = UINT64_C(0xfedcba9876543210),
                              .position = UINT64_C(0x200000400),
                              .generation = UINT64_C(0x0123456789abcdef),
                              .previous = UINT64_C(0x99aabbccddeeff00),
                              .data_bytes = UINT64_C(0x700001000),
                              .durability = 0x61, /* WAL, FULL, exclusive */
                              .entries = UINT64_C(0x100000003),
                              .entries_hash = UINT64_C(0x8000000000000001)};
  sdb_record_header back;
  sdb_record_writer writer;
  sdb_record_range range;
  sdb_record_put put;
  uint64_t cursor = 0, bytes = sdb_record_size(&sizes);
  uint32_t index;
  for (size_t i = 0; i < sizeof header.token.bytes; i++) {
    header.token.bytes[i] = (uint8_t)(0xf0 - i);
    header.parent.bytes[i] = (uint8_t)(0x10 + i);
    header.file.bytes[i] = (uint8_t)(0x80 + i);
  }
  sdb_record_begin(&writer, buffer, &sizes, "host.db");
  for (size_t i = 0; i < 2; i++)
    sdb_record_add_put(&writer, &puts[i]);
  sdb_record_add_delete(&writer, 0x01020304);
  memcpy(sdb_record_add_range(&writer, UINT64_C(0x600000123), 5), "bytes", 5);
  sdb_record_seal(&writer, &header);
  same_bytes("record", buffer, (size_t)bytes, record_hex);
  if (!sdb_record_decode(buffer, bytes, header.salt, header.position, &back)) machines_fail("record: is none");
  for (int i = 1; sdb_record_next_put(buffer, &back, &cursor, &put); i--)
    if (i < 0 || put.index != puts[i].index || put.start != puts[i].start || put.length != puts[i].length ||
        put.reserved != puts[i].reserved || put.created != puts[i].created || put.name_bytes != puts[i].name_bytes ||
        memcmp(put.name, puts[i].name, put.name_bytes) != 0)
      machines_fail("record: put %d does not read back", i);
  cursor = 0;
  if (!sdb_record_next_delete(buffer, &back, &cursor, &index) || index != 0x01020304)
    machines_fail("record: the delete does not read back");
  cursor = 0;
  if (!sdb_record_next_range(buffer, &back, &cursor, &range) || range.offset != UINT64_C(0x600000123) ||
      range.bytes != 5 || memcmp(range.data, "bytes", 5) != 0)
    machines_fail("record: the range does not read back");
}

/* ---- many, by their sum */

static void random_bytes(machines_random *random, void *bytes, size_t count) {
  for (size_t i = 0; i < count; i++)
    ((uint8_t *)bytes)[i] = (uint8_t)machines_next(random);
}

static uint64_t random_pages(machines_random *random) {
  return machines_next(random) % (UINT64_C(1) << (1 + machines_below(random, 49))) * SDB_PAGE;
}

static uint64_t random_entry(machines_random *random, uint64_t sum) {
  uint8_t page[SDB_ENTRY_BYTES];
  char name[SEQDB_NAME_BYTES_MAX];
  sdb_entry_image back, entry = {.start = random_pages(random),
                                 .reserved = SDB_PAGE + random_pages(random),
                                 .generation = machines_next(random),
                                 .has_trailer = true,
                                 .name_bytes = 1 + (uint32_t)machines_below(random, sizeof name),
                                 .name = name};
  uint32_t index = (uint32_t)machines_next(random), at;
  const char *why = "another state";
  entry.length = machines_next(random) % (entry.reserved + 1);
  entry.created = machines_next(random) % (entry.generation | 1);
  for (size_t i = 0; i < entry.name_bytes; i++)
    name[i] = (char)(0x20 + machines_below(random, 0x5f));
  sdb_entry_encode(page, index, &entry);
  if (sdb_entry_decode(page, index, &back, &at, &why) != SDB_ENTRY_USED) machines_fail("a random entry: %s", why);
  if (sdb_entry_hash(index, &back) != sdb_entry_hash(index, &entry)) machines_fail("a random entry: another term");
  return machines_sum(sum, page, sizeof page);
}

static uint64_t random_header(machines_random *random, uint64_t sum) {
  uint8_t page[SDB_JOURNAL_HEADER_BYTES], again[SDB_JOURNAL_HEADER_BYTES];
  sdb_journal_header back, header = {.version = SDB_FORMAT_VERSION,
                                     .sync_off = machines_below(random, 2) == 1,
                                     .sequence = machines_next(random),
                                     .salt = machines_next(random) | 1,
                                     .base_generation = machines_next(random),
                                     .start = SDB_JOURNAL_START + SDB_JOURNAL_ALIGN * machines_below(random, 1000),
                                     .data_bytes = random_pages(random),
                                     .regions_bytes = random_pages(random),
                                     .entries_hash = machines_next(random)};
  random_bytes(random, header.uuid, sizeof header.uuid);
  header.entries = machines_next(random) % (header.regions_bytes / SDB_PAGE + 1);
  sdb_journal_header_encode(page, &header);
  if (sdb_journal_header_decode(page, &back) != SDB_HEADER_OK) machines_fail("a random header is none");
  sdb_journal_header_encode(again, &back);
  if (memcmp(page, again, sizeof page) != 0) machines_fail("a random header changes when it is read");
  return machines_sum(sum, page, sizeof page);
}

static uint64_t random_record(machines_random *random, uint64_t sum) {
  static uint8_t buffer[200000];
  sdb_record_sizes sizes = {.version = 2, .puts = machines_below(random, 40), .ranges = 1 + machines_below(random, 20)};
  sdb_record_header back, header = {.kind = SDB_RECORD_COMMIT,
                                    .salt = machines_next(random),
                                    .position = machines_next(random) / SDB_PAGE * SDB_RECORD_ALIGN,
                                    .generation = machines_next(random),
                                    .previous = machines_next(random),
                                    .data_bytes = SDB_PAGE * 1000,
                                    .entries = machines_next(random),
                                    .entries_hash = machines_next(random)};
  sdb_record_writer writer;
  size_t range_bytes = 1 + machines_below(random, 5000);
  sizes.put_name_bytes = 4 * sizes.puts;
  sizes.range_bytes = range_bytes * sizes.ranges;
  random_bytes(random, header.token.bytes, sizeof header.token.bytes);
  random_bytes(random, header.parent.bytes, sizeof header.parent.bytes);
  sdb_record_begin(&writer, buffer, &sizes, NULL);
  for (uint32_t i = 0; i < sizes.puts; i++) {
    sdb_record_put put = {(uint32_t)sizes.puts - i, SDB_PAGE * i, i, SDB_PAGE, header.generation / 2, 4, "name"};
    sdb_record_add_put(&writer, &put);
  }
  for (uint64_t i = 0; i < sizes.ranges; i++)
    random_bytes(random, sdb_record_add_range(&writer, machines_below(random, 1000000), range_bytes), range_bytes);
  sdb_record_seal(&writer, &header);
  if (!sdb_record_decode(buffer, header.bytes, header.salt, header.position, &back) || back.checksum != header.checksum)
    machines_fail("a random record is none");
  return machines_sum(sum, buffer, (size_t)header.bytes);
}

/* ---- checksums */

static const struct {
  size_t bytes;
  uint64_t seed, hash;
} values[] = {
    {0, 0, UINT64_C(0x2d06800538d394c2)},     {0, UINT64_C(0x9e3779b97f4a7c15), UINT64_C(0x602b0e2cd6662c8b)},
    {1, 0, UINT64_C(0xe12ef9d2eb86ceeb)},     {1, UINT64_C(0x9e3779b97f4a7c15), UINT64_C(0x439a256d3da4e7e3)},
    {3, 0, UINT64_C(0x04ff10c4faac80e8)},     {3, UINT64_C(0x9e3779b97f4a7c15), UINT64_C(0xeed4e3e526c7124d)},
    {4, 0, UINT64_C(0x0840602a3a28eb47)},     {4, UINT64_C(0x9e3779b97f4a7c15), UINT64_C(0xefc000fed63421b9)},
    {8, 0, UINT64_C(0x4929784fb2e7a9af)},     {8, UINT64_C(0x9e3779b97f4a7c15), UINT64_C(0x1590ec081159d977)},
    {9, 0, UINT64_C(0x3abfdb8ba2956065)},     {9, UINT64_C(0x9e3779b97f4a7c15), UINT64_C(0xd0553ffdbd5fb1d1)},
    {16, 0, UINT64_C(0x8a9efe7e6639609b)},    {16, UINT64_C(0x9e3779b97f4a7c15), UINT64_C(0x1564ee923c6fcae3)},
    {17, 0, UINT64_C(0xb3208c4ec19e15c1)},    {17, UINT64_C(0x9e3779b97f4a7c15), UINT64_C(0x1285a474b94916e5)},
    {128, 0, UINT64_C(0x7e40a7b99f8620f0)},   {128, UINT64_C(0x9e3779b97f4a7c15), UINT64_C(0x4bc7c78b31d512b2)},
    {129, 0, UINT64_C(0xa7b8871a67ac5a75)},   {129, UINT64_C(0x9e3779b97f4a7c15), UINT64_C(0x86ce2b807ae50600)},
    {240, 0, UINT64_C(0xddb20331351bbc7c)},   {240, UINT64_C(0x9e3779b97f4a7c15), UINT64_C(0x0c71475f62af92da)},
    {241, 0, UINT64_C(0x3bc6fa347f0cfaff)},   {241, UINT64_C(0x9e3779b97f4a7c15), UINT64_C(0x6c37e9f1dde9be60)},
    {1024, 0, UINT64_C(0x378dd4537ffb8737)},  {1024, UINT64_C(0x9e3779b97f4a7c15), UINT64_C(0x14a17b61084582a1)},
    {1025, 0, UINT64_C(0x7161602ea1b4b0c3)},  {1025, UINT64_C(0x9e3779b97f4a7c15), UINT64_C(0x8e6b81d0dda04d76)},
    {4096, 0, UINT64_C(0x9f9da6748d872e10)},  {4096, UINT64_C(0x9e3779b97f4a7c15), UINT64_C(0x9924fa79bee24fbd)},
    {70000, 0, UINT64_C(0x27fcb8fcf89554ae)}, {70000, UINT64_C(0x9e3779b97f4a7c15), UINT64_C(0xbcabfff10afe74e8)}};

static void checksums(void) {
  static uint8_t bytes[70016];
  for (size_t shift = 0; shift < 8; shift += 3) { /* aligned or not */
    for (size_t i = 0; i < 70000; i++)
      bytes[shift + i] = (uint8_t)(i * 31 + (i >> 8) * 7 + 1);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
      uint64_t hash = sdb_hash_bytes(bytes + shift, values[i].bytes, values[i].seed);
      if (hash != values[i].hash)
        machines_fail("XXH3 of %zu bytes is %016llx", values[i].bytes, (unsigned long long)hash);
    }
  }
}

void machines_format(void) {
  machines_random random = {1};
  uint64_t sum = MACHINES_SUM_START;
  checksums();
  entry_page();
  header_page();
  record();
  for (int i = 0; i < 300; i++)
    sum = random_record(&random, random_header(&random, random_entry(&random, sum)));
  if (sum != UINT64_C(0x50914930b56de144))
    machines_fail("900 random pages and records: sum %016llx", (unsigned long long)sum);
}
