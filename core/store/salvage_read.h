/* SPDX-License-Identifier: MIT
**
** salvage_read.h: what can still be read of a damaged database: its entries, whole and doubtful ones, and what the
** journal says.  Layer 5.  Opens everything for reading and believes nothing beyond what checks out; what cannot be
** read is told, and reading goes on behind it.
** OWNS three descriptors and what was read.  THREADS: one.
*/
#ifndef SDB_SALVAGE_READ_H
#define SDB_SALVAGE_READ_H

#include "base/error.h"
#include "os/os.h"
#include "pure/patch.h"
#include "pure/ranges.h"
#include "space/tree.h"

/* Where lines about what is lost go.  Only the first are told, the rest is counted. */
typedef struct sdb_salvage_report {
  int (*call)(void *context, const char *line); /* NULL: nobody listens */
  void *context;
  uint64_t count;
  bool stopped; /* the listener wants no more */
} sdb_salvage_report;
void sdb_salvage_say(sdb_salvage_report *report, const char *format, ...) SDB_PRINTF(2, 3);
/* "... and N more" */
void sdb_salvage_say_the_rest(sdb_salvage_report *report);
/* Does the listener want to go on?  INTERRUPTED if not. */
int sdb_salvage_ask(sdb_salvage_report *report, const sdb_op *op);

/* An entry that fails its checks. */
typedef struct sdb_doubtful {
  uint32_t index;
  bool usable; /* its extent could be one */
  uint64_t start, length;
} sdb_doubtful;

typedef struct sdb_salvage_source {
  sdb_fd data, regions, journal; /* -1: missing */
  uint64_t data_bytes;
  sdb_names *names;
  sdb_tree tree;  /* the entries that are sound, after redo */
  sdb_patch redo; /* bytes that the journal has */
  sdb_range_pool pool;
  sdb_range_set named; /* indexes of which the journal says what they are */
  sdb_doubtful *doubtful;
  size_t doubtful_count, doubtful_capacity;
  uint64_t unreadable; /* pages of `regions` that the disk did not give */
  bool had_journal;    /* trailers or a guard in `regions` say so */
  uint64_t expected;   /* entries that the last commit had, as far as the journal goes; 0: nobody knows */
} sdb_salvage_source;

/* Open the files in `dir` and read entries and journal.  Errors: CANTOPEN: no file that names regions is there; LOCKED:
** rawdb has them open; VERSION; IO, NOMEM, INTERRUPTED.  Needs a close in any case. */
int sdb_salvage_read(sdb_salvage_source *source, sdb_fd dir, const char *path, sdb_salvage_report *report,
                     const sdb_op *op);
void sdb_salvage_close(sdb_salvage_source *source);

/* Of [offset, offset + bytes): the first run that has bytes, in `data` or in the journal; the rest is zeros.
** *run_bytes is 0 if there is none. */
void sdb_salvage_next(const sdb_salvage_source *source, uint64_t offset, uint64_t bytes, uint64_t *run,
                      uint64_t *run_bytes);
/* Copy them; what the disk does not give is zeros, and *bad_bytes more. */
void sdb_salvage_copy(const sdb_salvage_source *source, uint64_t offset, uint8_t *buffer, size_t bytes,
                      uint64_t *bad_bytes);
/* The end of what there is of [offset, end): the end of `data`, or of the last range of the journal in it.
** *missing_bytes: of all that neither of them has. */
uint64_t sdb_salvage_end(const sdb_salvage_source *source, uint64_t offset, uint64_t end, uint64_t *missing_bytes);

#endif /* SDB_SALVAGE_READ_H */
