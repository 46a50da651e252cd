/* SPDX-License-Identifier: MIT
**
** journal_scan.h: the chain of records in `journal`, read: from the beginning, or from where a member stands.
** Knows how records are chained, and how to see that one is missing; not what they mean.  FORMAT.md section 5, step 1.
** OWNS: nothing.  THREADS: of whoever owns the journal, or a copy of it.
*/
#ifndef SDB_JOURNAL_SCAN_H
#define SDB_JOURNAL_SCAN_H

#include "files/journal.h"

/* What a scan hands out: a whole record, chained and of the present salt.  `next` is the header of the one behind it;
** NULL: this is the last.  `record` is valid during the call. */
typedef struct sdb_journal_record {
  const sdb_record_header *header, *next;
  const uint8_t *record;
} sdb_journal_record;
/* Whoever takes the records, in order; called with NULL now and then while none is found.  An error ends the scan. */
typedef int (*sdb_journal_take)(void *context, const sdb_journal_record *record);
typedef struct sdb_journal_scan {
  size_t count;
  uint64_t damaged_at; /* a record there is broken although valid ones follow; 0 if not */
  uint64_t orphaned; /* records from there on are newer than the header: the other page, which is broken, was theirs */
} sdb_journal_scan;
/* Read all records, two at a time, and set tail and previous behind the last valid one.  `take` may be NULL. */
int sdb_journal_scan_records(sdb_journal *journal, sdb_journal_scan *scan, sdb_journal_take take, void *context,
                             const sdb_op *op);

/* Where somebody stands in the journal. */
typedef struct sdb_journal_place {
  uint64_t generation; /* the newest commit before it ... */
  sdb_token tip;       /* ... and its token */
} sdb_journal_place;
/* Read the records from the tail on, up to byte `until` or, if that is UINT64_MAX, as far as they go.  An incomplete
** chain is no error: the tail tells how far it came.  A record is handed out once the one behind it was looked for; the
** tail is then behind both. */
int sdb_journal_follow(sdb_journal *journal, const sdb_journal_place *from, uint64_t until, sdb_journal_take take,
                       void *context, const sdb_op *op);
/* From the header to behind the overlay's record, if it wants one; *whole: it is there. */
int sdb_journal_pass_overlay(sdb_journal *journal, bool *whole, const sdb_op *op);

#endif /* SDB_JOURNAL_SCAN_H */
