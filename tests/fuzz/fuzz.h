/* SPDX-License-Identifier: MIT
**
** fuzz.h: what the fuzz targets and damaged.test share: files in memory, prepared databases, damage, and the judge.
**
** One case:  a prepared database (fuzz_base.c)  ->  its files damaged in memory (fuzz_damage.c)  ->  put on the
** simulated disk, opened, read, written, closed, opened again (fuzz_judge.c).  The judge knows the database before the
** damage, and which bytes are no longer as they were; so it knows what may be lost, and what only with a word.
**
** THREADS: one.  MEMORY: from the C library; running out of it aborts.
*/
#ifndef FUZZ_H
#define FUZZ_H

#include "pure/catalog_block.h"
#include "pure/entry_page.h"
#include "pure/entry_rules.h"
#include "pure/hash.h"
#include "pure/journal_header.h"
#include "pure/record.h"
#include "seqdb.h"

#define FUZZ_DIR         "sim:db"
#define FUZZ_FILE_MAX    ((uint64_t)64 << 30)  /* the simulated disk holds no larger file */
#define FUZZ_CONTENT_MAX ((uint64_t)256 << 10) /* of larger regions only some bytes are looked at */

void *fuzz_memory(void *old, size_t bytes); /* realloc that aborts */
/* Say what is wrong (one line; the first one stays) and return false. */
bool fuzz_wrong(const char *format, ...) SDB_PRINTF(1, 2);
const char *fuzz_problem(void); /* "" if nothing is */
void fuzz_forget_problem(void);

/* ---- the bytes that a fuzzer gives; past their end everything is 0 */
typedef struct fuzz_input {
  const uint8_t *at, *end;
} fuzz_input;
uint8_t fuzz_u8(fuzz_input *input);
uint16_t fuzz_u16(fuzz_input *input);
uint32_t fuzz_u32(fuzz_input *input);
uint64_t fuzz_value(fuzz_input *input); /* a number of any size, hostile ones in one byte */
extern const uint64_t fuzz_hostile[];
extern const size_t fuzz_hostile_count;

/* ---- files in memory */
enum { FUZZ_DATA, FUZZ_REGIONS, FUZZ_JOURNAL, FUZZ_CATALOG, FUZZ_FILES };
#define FUZZ_NEEDED FUZZ_CATALOG /* the files before it are the database, it is a copy */
typedef struct fuzz_file {
  uint8_t *bytes;
  uint64_t stored; /* bytes; zeros from here to `size` */
  uint64_t size;
  bool missing;
} fuzz_file;
typedef struct fuzz_disk {
  fuzz_file file[FUZZ_FILES];
} fuzz_disk;

uint8_t fuzz_byte(const fuzz_file *file, uint64_t at);
void fuzz_get(const fuzz_file *file, uint64_t at, void *bytes, size_t count); /* zeros past the end */
void fuzz_put(fuzz_file *file, uint64_t at, const void *bytes, size_t count); /* grows the file */
void fuzz_resize(fuzz_file *file, uint64_t size);
void fuzz_disk_copy(fuzz_disk *to, const fuzz_disk *from); /* what `to` had is freed */
void fuzz_disk_free(fuzz_disk *disk);
void fuzz_disk_load(fuzz_disk *disk); /* from the simulated disk */
/* On an empty simulated disk, durable.  A catalog whose head is whole then has the stamp of `regions`: as if nobody had
** changed that. */
void fuzz_disk_store(const fuzz_disk *disk);

/* ---- states: what a database shows */
typedef struct fuzz_region {
  uint32_t index, name_bytes;
  char *name;
  uint64_t start, length, reserved;
  uint8_t *content; /* NULL if longer than FUZZ_CONTENT_MAX, or if reading it failed */
  uint64_t digest;  /* of the bytes looked at */
  int read_rc;
} fuzz_region;
typedef struct fuzz_state {
  int rc; /* of opening; nothing else is set if it failed */
  bool readonly;
  uint64_t problems, harmless, of_copy, problems_digest, generation;
  fuzz_region *region; /* by index */
  size_t count;
} fuzz_state;

/* Open with `flags`, look at everything, close.  False if the engine contradicts itself. */
bool fuzz_look(unsigned flags, fuzz_state *state);
/* The same with an open handle. */
bool fuzz_look_at(seqdb *db, fuzz_state *state);
void fuzz_state_free(fuzz_state *state);
void fuzz_state_copy(fuzz_state *to, const fuzz_state *from);
fuzz_region *fuzz_find(const fuzz_state *state, const char *name, uint32_t name_bytes);

/* ---- prepared databases */
#define FUZZ_RECORDS_MAX 16
typedef struct fuzz_base {
  const char *name;
  fuzz_disk now;
  fuzz_disk old; /* the same database earlier */
  size_t records;
  struct {
    uint64_t at, bytes;
  } record[FUZZ_RECORDS_MAX];
  /* What it shows with the first k records; [1]: opened with resolve=drop. */
  fuzz_state state[2][FUZZ_RECORDS_MAX + 1];
  bool sync_off;
} fuzz_base;
size_t fuzz_base_count(void);
const fuzz_base *fuzz_base_get(size_t number); /* made at the first call */

/* ---- checksums */
void fuzz_seal_entry(uint8_t page[SDB_ENTRY_BYTES], uint32_t index);
void fuzz_seal_header(uint8_t page[SDB_JOURNAL_HEADER_BYTES]);
void fuzz_seal_record(fuzz_file *journal, uint64_t at);
/* Of its head and of all blocks that it seems to have. */
void fuzz_seal_catalog(fuzz_file *catalog);
/* Is there a whole valid record, of whatever salt?  *record is malloc'ed. */
bool fuzz_whole_record(const fuzz_file *journal, uint64_t at, sdb_record_header *header, uint8_t **record);
/* Positions of what begins like a record; returns how many. */
size_t fuzz_list_records(const fuzz_file *journal, uint64_t at[], size_t most);
/* The newest valid header page, -1 if there is none. */
int fuzz_newest_header(const fuzz_file *journal);
/* Let the newest header say what `regions` holds, so that something else than the hash is wrong. */
void fuzz_match_header(fuzz_disk *disk);
/* Let every record name the one before it, and know the entries that there are after it. */
void fuzz_match_records(fuzz_disk *disk);

/* ---- damage */
#define FUZZ_DAMAGE_REGIONS 1u
#define FUZZ_DAMAGE_JOURNAL 2u
#define FUZZ_DAMAGE_DATA    4u
#define FUZZ_DAMAGE_CATALOG 8u /* without it there is none */
void fuzz_damage(fuzz_disk *disk, const fuzz_base *base, unsigned kinds, fuzz_input *input);

/* ---- the judge */
typedef struct fuzz_case {
  const fuzz_base *base;
  fuzz_disk disk;
  unsigned flags;      /* SEQDB_OPEN_*, of the handle that writes */
  bool cut;            /* end the writing session by a power cut */
  bool small_window;   /* map little at a time */
  bool reading_only;   /* no handle that writes: faster */
  bool copy_only;      /* nothing but the catalog was damaged: all is as it was */
  uint64_t seed;       /* of random numbers and the cut */
  fuzz_input workload; /* what the writing session does */
} fuzz_case;
/* Take base, options, damage of some kinds and workload from the input. */
void fuzz_case_read(fuzz_case *c, const uint8_t *bytes, size_t count, unsigned kinds);
bool fuzz_judge(const fuzz_case *c);
/* What a read-only handle says of the disk of the last judgement; valid until the next one. */
const fuzz_state *fuzz_seen(void);
void fuzz_case_free(fuzz_case *c);
/* The part of the judge that runs after opening for writing; fuzz_work.c. */
bool fuzz_work(const fuzz_case *c, const fuzz_state *before);
/* Same regions, with the same bytes. */
bool fuzz_same_regions(const fuzz_state *a, const fuzz_state *b);

/* A whole target of libFuzzer: abort with the input's problem on stderr if it has one. */
int fuzz_run(const uint8_t *bytes, size_t count, unsigned kinds);

#endif /* FUZZ_H */
