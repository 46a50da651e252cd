/* SPDX-License-Identifier: MIT
**
** feed_part.h: the bytes of a part of a change object (OBJECTS.md): writing them, and reading what came from outside.
*/
#ifndef SDB_FEED_PART_H
#define SDB_FEED_PART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "failure.h"
#include "seqdb.h"

#define SDB_PART_HEADER_BYTES    128u
#define SDB_SECTION_HEADER_BYTES 32u
#define SDB_PART_BYTES_MAX       ((size_t)8 << 20) /* but for one with a single larger row */

enum { SDB_OBJECT_CHANGE = 1, SDB_OBJECT_BASE = 2 };

typedef struct sdb_part_header {
  uint8_t chain[SEQDB_UUID_BYTES];
  uint32_t kind; /* SDB_OBJECT_* */
  uint32_t part; /* 1, 2, ... */
  bool last;
  uint64_t from, to; /* generations */
  uint64_t previous; /* sum of the header of the part before, 0 in the first one */
  uint64_t bytes, sections, body_sum, sum;
} sdb_part_header;

enum sdb_section_kind { SDB_SECTION_TABLE = 1, SDB_SECTION_KEYS, SDB_SECTION_ROWS, SDB_SECTION_REGIONS };

typedef struct sdb_section {
  uint32_t kind, table;
  uint64_t items;
  const uint8_t *at, *end; /* its payload, as far as it is not read yet */
} sdb_section;

/* One change of a region: what stands before its name or its content. */
#define SDB_REGION_CHANGE_BYTES 32u
typedef struct sdb_region_change {
  uint32_t op, entry; /* op: SEQDB_CHANGE_* */
  uint64_t created, offset, bytes;
  const void *data; /* of WRITE the content, of CREATE and RENAME the name: `bytes` bytes */
} sdb_region_change;

/* ---- writing.  Starts as {0}; without memory all of it does nothing, and sdb_part_finish() says so. */

typedef struct sdb_part {
  uint8_t *data; /* from sqlite3_malloc */
  size_t bytes, capacity;
  size_t section;           /* where the open section begins; 0: none */
  uint64_t items, sections; /* of the open section; of the part */
  bool no_memory;
} sdb_part;

/* Room for the header. */
void sdb_part_begin(sdb_part *part);
/* Closes the open section and opens this one, unless it is open. */
void sdb_part_section(sdb_part *part, enum sdb_section_kind kind, uint32_t table);
void sdb_part_item(sdb_part *part); /* one more in the open section; its bytes follow */
void sdb_part_text(sdb_part *part, const char *text);
void sdb_part_value(sdb_part *part, sqlite3_value *value);
void sdb_part_change(sdb_part *part, const sdb_region_change *change); /* without what follows */
/* `bytes` more bytes, to be filled by the caller; NULL: no memory. */
uint8_t *sdb_part_room(sdb_part *part, size_t bytes);
size_t sdb_value_part_bytes(sqlite3_value *value);
/* Fills the header; bytes, sections and sums of *header are set. */
int sdb_part_finish(sdb_part *part, sdb_part_header *header, sdb_failure *f);
void sdb_part_free(sdb_part *part);

/* ---- reading: nothing is believed */

/* Checks length, version and all sums. */
int sdb_part_open(const void *data, size_t bytes, sdb_part_header *header, sdb_failure *f);
/* The section after the `at` bytes read so far (0: the first one); *found is false behind the last one. */
int sdb_part_next(const void *data, size_t bytes, size_t *at, sdb_section *section, bool *found, sdb_failure *f);
int sdb_section_text(sdb_section *section, const char **text, size_t *bytes, sdb_failure *f);
/* Binds the next value as parameter `index`, or skips it: statement is NULL. */
int sdb_section_bind(sdb_section *section, sqlite3_stmt *statement, int index, sdb_failure *f);
int sdb_section_change(sdb_section *section, sdb_region_change *change, sdb_failure *f);

#endif /* SDB_FEED_PART_H */
