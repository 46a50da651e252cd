/* SPDX-License-Identifier: MIT
**
** journal.h: the file `journal`: two alternating header pages, then records.
** Knows how records are placed, chained and killed; not what they mean.  FORMAT.md sections 3 and 4.
** INVARIANT: at most one record is ever written and not yet durable.  A record whose write failed is killed (its
** start zeroed, durably) before anything else is written, or the journal may not be written any more (*poison).
** THREADS: the writer's.
*/
#ifndef SDB_JOURNAL_H
#define SDB_JOURNAL_H

#include "base/error.h"
#include "pure/journal_header.h"
#include "pure/record.h"
#include "os/os.h"

typedef struct sdb_journal {
  sdb_fd fd;
  sdb_journal_header header; /* the valid one */
  uint64_t tail;             /* where the next record goes */
  uint64_t last, last_bytes; /* the record before it; 0, 0 if there is none */
  uint64_t previous;         /* checksum of the last record, or the salt */
  uint64_t zeroed;           /* the file is allocated up to here */
  bool cramped;              /* there was no room to allocate as far ahead as usual */
  bool headers_allocated;    /* both pages, by us */
  bool one_header;           /* the other header page was not valid when it was read */
} sdb_journal;

enum sdb_journal_state { SDB_JOURNAL_GOOD, SDB_JOURNAL_BAD, SDB_JOURNAL_NEWER };

/* Read the headers and choose the newer valid one.  SEQDB_OK with *state BAD if neither is valid; SEQDB_VERSION for a
** newer format. */
int sdb_journal_read(sdb_journal *journal, enum sdb_journal_state *state, const sdb_op *op);

/* The same, but only a header of this salt will do: *found. */
int sdb_journal_find(sdb_journal *journal, uint64_t salt, bool *found, const sdb_op *op);

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
  bool orphaned;       /* the records are newer than the header: they belong to the other page, which is broken */
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
/* Where the record behind this one begins. */
uint64_t sdb_journal_record_end(const sdb_record_header *header);
/* The member that wrote last was another one: see again how far the file has blocks. */
int sdb_journal_look(sdb_journal *journal, const sdb_op *op);

/* Write a sealed record at the tail and make it durable (unless sync is off), with `spare_bytes` allocated behind it
** for what must not lack room (R12).  On failure it is killed; if that fails too, or an fdatasync failed, *poison is
** set.  On success the tail moves. */
int sdb_journal_append(sdb_journal *journal, const uint8_t *record, const sdb_record_header *header,
                       uint64_t spare_bytes, bool *poison, const sdb_op *op);
/* Give the room behind an empty journal back, but for `spare_bytes`.  What cannot be cut stays. */
void sdb_journal_cut(sdb_journal *journal, uint64_t spare_bytes);
/* Blocks for both header pages: what was copied may have holes there. */
int sdb_journal_allocate_headers(sdb_journal *journal, const sdb_op *op);
/* Write the present header page and the last record once more, durably: after a failed fdatasync they may be in the
** page cache only, while the disk has the other page, or a record torn or missing.  Nothing may be applied or written
** before.  FULL leaves it to be tried again. */
int sdb_journal_restate(sdb_journal *journal, bool *poison, const sdb_op *op);
/* Start anew with an empty journal: write `header` (sequence, salt and start are chosen here) to the other page,
** durably.  A failure leaves the state of that page unknown: *poison.  But where there was no room it is not whole:
** FULL, and the present header stays. */
int sdb_journal_reset(sdb_journal *journal, const sdb_journal_header *header, bool *poison, const sdb_op *op);

#endif /* SDB_JOURNAL_H */
