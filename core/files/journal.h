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
  uint64_t limit;            /* of a plan at the front: nothing is written from there on; 0: there is none */
  bool cramped;              /* there was no room to allocate as far ahead as usual */
  bool headers_allocated;    /* both pages, by us */
  bool one_header;           /* the other header page was not valid when it was read */
  bool sync_off;             /* nothing is to be synced, once the header says so, too */
  bool both_off;             /* both headers are of sessions without syncs, by us */
} sdb_journal;

enum sdb_journal_state { SDB_JOURNAL_GOOD, SDB_JOURNAL_BAD, SDB_JOURNAL_NEWER };

/* Read the headers and choose the newer valid one.  SEQDB_OK with *state BAD if neither is valid; SEQDB_VERSION for a
** newer format. */
int sdb_journal_read(sdb_journal *journal, enum sdb_journal_state *state, const sdb_op *op);

/* The same, but only a header of this salt will do: *found. */
int sdb_journal_find(sdb_journal *journal, uint64_t salt, bool *found, const sdb_op *op);

/* Bytes from the first record to behind the last one. */
uint64_t sdb_journal_bytes(const sdb_journal *journal);

/* Where the record behind this one begins. */
uint64_t sdb_journal_record_end(const sdb_record_header *header);
/* From `start` on a file of `size` bytes has blocks up to there. */
uint64_t sdb_journal_backed(const sdb_journal *journal, uint64_t start, uint64_t size);
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
/* Write the present header page and the last record once more, unchanged and durably: after a failed fdatasync they may
** be in the page cache only, while the disk has the other page, or a record torn or missing.  Nothing may be applied or
** written before.  FULL leaves it to be tried again. */
int sdb_journal_restate(sdb_journal *journal, bool *poison, const sdb_op *op);
/* Start anew with an empty journal: write `header` (sequence, salt, start and overlay are chosen here) to the other
** page, durably.  A failure leaves the state of that page unknown: *poison.  But where there was no room it is not
** whole: FULL, and the present header stays. */
int sdb_journal_reset(sdb_journal *journal, const sdb_journal_header *header, bool *poison, const sdb_op *op);

/* What the file keeps of its room once a header is new.  Cuts old records off: whoever reads them must know of the
** header. */
void sdb_journal_trim(sdb_journal *journal);

/* Start anew with a record of kind overlay, in three steps: plan(), fill(), turn().  `next` is a copy of
** the journal that shares its descriptor, with another salt, where such a record of `bytes` bytes with `spare_bytes`
** behind it meets no record of the present header: at the front if there is room before the first of them, else behind
** the last one.  Until turn() all is as it was, but for room behind the last record. */
int sdb_journal_plan(const sdb_journal *journal, uint64_t bytes, uint64_t spare_bytes, sdb_journal *next,
                     const sdb_op *op);
/* Write the sealed record where it was planned, with room behind it (R12), durably (unless sync is off).  A failure has
** changed nothing that counts, but for *poison: an fdatasync failed.  forget() the plan then: it gives back what was
** taken behind the last record. */
int sdb_journal_fill(sdb_journal *next, const uint8_t *record, const sdb_record_header *header, uint64_t spare_bytes,
                     bool *poison, const sdb_op *op);
void sdb_journal_forget(const sdb_journal *journal, const sdb_journal *next);
/* Its record is durable: write `header` (sequence, salt, start and overlay are the plan's) to the other page, durably,
** and go on there.  Failures as of reset(). */
int sdb_journal_turn(sdb_journal *journal, const sdb_journal *next, const sdb_journal_header *header, bool *poison,
                     const sdb_op *op);

#endif /* SDB_JOURNAL_H */
