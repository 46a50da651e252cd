/* SPDX-License-Identifier: MIT
**
** pure.h: what models/pure.c (codecs for scripts) and models/pure_ranges.c, models/pure_format.c, models/pure_text.c
** (models) share.
*/
#ifndef SDB_PURE_H
#define SDB_PURE_H

#include <tcl.h>
#include "pure/entry_page.h"
#include "pure/entry_rules.h"
#include "pure/hash.h"
#include "pure/journal_header.h"
#include "pure/record.h"

/* Make the checksum right for whatever the other bytes say, as FORMAT.md defines it and independently of core/pure. */
void sdb_test_reseal_entry(uint8_t page[SDB_ENTRY_BYTES], uint32_t index);
void sdb_test_reseal_header(uint8_t page[SDB_JOURNAL_HEADER_BYTES]);
/* `bytes` >= SDB_RECORD_HEADER_BYTES is the size of the buffer; a larger size in the record is cut to it. */
void sdb_test_reseal_record(uint8_t *record, uint64_t bytes);
void sdb_test_forge_init(Tcl_Interp *interp);

/* Result "seed S step N: problem" and TCL_ERROR, or `problem` NULL: the result `count` and TCL_OK. */
int sdb_test_report(Tcl_Interp *interp, uint64_t seed, uint64_t step, const char *problem, uint64_t count);

int sdb_test_fail(Tcl_Interp *interp, const char *message);
void sdb_test_put(Tcl_Obj *dict, const char *key, Tcl_Obj *value);

/* Register the commands of the other files. */
void sdb_test_extent_init(Tcl_Interp *interp);
void sdb_test_format_init(Tcl_Interp *interp);
void sdb_test_text_init(Tcl_Interp *interp);

/* Random numbers that depend on the seed alone (splitmix64). */
typedef struct sdb_test_random {
  uint64_t state;
} sdb_test_random;
static inline uint64_t sdb_test_next(sdb_test_random *random) {
  uint64_t z = random->state += 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}
/* 0..bound-1 */
static inline uint64_t sdb_test_below(sdb_test_random *random, uint64_t bound) {
  return sdb_test_next(random) % bound;
}

/* A multiple of 4096 below 4096 * most, often a small one. */
uint64_t sdb_test_random_pages(sdb_test_random *random, uint64_t most);
void sdb_test_random_16(sdb_test_random *random, uint8_t bytes[16]);
/* Of both versions. */
void sdb_test_random_header(sdb_test_random *random, sdb_journal_header *h);
/* A sound name of at most `most` <= 1024 bytes, returned, in all lengths of characters; and the rule for one. */
size_t sdb_test_random_name(sdb_test_random *random, char name[1024], size_t most);
bool sdb_test_name_good(const uint8_t *name, size_t bytes);

#endif /* SDB_PURE_H */
