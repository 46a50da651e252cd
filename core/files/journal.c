/* SPDX-License-Identifier: MIT
**
** journal.c: see journal.h.
**
** The file is written with zeros some way ahead of the records and reused after each checkpoint: overwriting
** allocated blocks lets fdatasync skip the file system's own journal, which more than halves the time of a small
** commit on ext4.
*/
#include "files/journal.h"

#include <errno.h>
#include "base/error.h"

#define AHEAD_MIN_BYTES (UINT64_C(16) * 1024)        /* as far ahead as the journal is long, ... */
#define AHEAD_MAX_BYTES (UINT64_C(256) * 1024)       /* ... within these: on a small disk others want the room */
#define KEEP_BYTES      (UINT64_C(64) * 1024 * 1024) /* what an emptied journal keeps for the next records */

/* With the padding to the next record's start. */
static uint64_t record_bytes(uint64_t bytes) {
  return (bytes + SDB_RECORD_ALIGN - 1) / SDB_RECORD_ALIGN * SDB_RECORD_ALIGN;
}

/* Before a header says that there are no syncs, a crash must not lose what it would not excuse. */
static bool syncs(const sdb_journal *journal) {
  return !journal->sync_off || !journal->header.sync_off;
}

/* ---- headers */

/* The newer valid header, or the one of `salt` unless that is 0. */
static int read_headers(sdb_journal *journal, uint64_t salt, enum sdb_journal_state *state, const sdb_op *op) {
  uint8_t page[SDB_JOURNAL_HEADER_BYTES];
  uint32_t newer = 0;
  bool found = false;
  unsigned valid = 0;
  for (unsigned i = 0; i < 2; i++) {
    sdb_journal_header header;
    size_t got;
    int os = sdb_os_pread(journal->fd, page, sizeof page, (uint64_t)i * sizeof page, &got);
    if (os) return sdb_error_os(op, os, "journal", (uint64_t)i * sizeof page, "journal: cannot read header page %u", i);
    if (got < sizeof page) continue;
    switch (sdb_journal_header_decode(page, &header)) {
      case SDB_HEADER_DAMAGED:
        break;
      case SDB_HEADER_NEWER:
        newer = SDB_MAX(newer, header.version);
        break;
      case SDB_HEADER_OK:
        if ((header.sequence & 1) != i) break;
        valid++;
        if (salt && header.salt != salt) break;
        if (found && journal->header.sequence > header.sequence) break;
        journal->header = header;
        found = true;
        break;
    }
  }
  *state = newer ? SDB_JOURNAL_NEWER : found ? SDB_JOURNAL_GOOD : SDB_JOURNAL_BAD;
  if (newer)
    return sdb_error_set(op, SEQDB_VERSION, "journal", 0,
                         "journal: written by format version %u; this library reads versions up to %u", newer,
                         SDB_FORMAT_VERSION);
  if (!found) journal->header.start = SDB_JOURNAL_START;
  journal->tail = journal->header.start;
  journal->previous = journal->header.salt;
  journal->one_header = valid < 2;
  return SEQDB_OK;
}

int sdb_journal_read(sdb_journal *journal, enum sdb_journal_state *state, const sdb_op *op) {
  return read_headers(journal, 0, state, op);
}

int sdb_journal_find(sdb_journal *journal, uint64_t salt, bool *found, const sdb_op *op) {
  enum sdb_journal_state state;
  int rc = read_headers(journal, salt, &state, op);
  *found = rc == SEQDB_OK && state == SDB_JOURNAL_GOOD;
  return rc;
}

static int write_header(const sdb_journal *journal, const sdb_journal_header *header) {
  uint8_t page[SDB_JOURNAL_HEADER_BYTES];
  sdb_journal_header_encode(page, header);
  return sdb_os_pwrite(journal->fd, page, sizeof page, (header->sequence & 1) * sizeof page);
}

/* The page in use, as it stands there: its claims have moved on in memory, and the write of other bytes could tear it
** while the disk has no other page of its salt. */
static int rewrite_header(const sdb_journal *journal) {
  uint8_t page[SDB_JOURNAL_HEADER_BYTES];
  sdb_journal_header header;
  uint64_t at = (journal->header.sequence & 1) * sizeof page;
  size_t got;
  int os = sdb_os_pread(journal->fd, page, sizeof page, at, &got);
  if (os) return os;
  bool same = got == sizeof page && sdb_journal_header_decode(page, &header) == SDB_HEADER_OK &&
              header.salt == journal->header.salt;
  return same ? sdb_os_pwrite(journal->fd, page, sizeof page, at) : EIO;
}

static int rewrite_last(const sdb_journal *journal) {
  size_t bytes = (size_t)journal->last_bytes, got = 0;
  if (bytes == 0) return 0;
  uint8_t *record = sdb_malloc(bytes);
  if (!record) return ENOMEM;
  int os = sdb_os_pread(journal->fd, record, bytes, journal->last, &got);
  if (!os) os = got < bytes ? EIO : sdb_os_pwrite(journal->fd, record, bytes, journal->last);
  sdb_free(record);
  return os;
}

/* The header is durable and has no record: what stands at the start is of an older one, perhaps a prepare whose end
** is lost.  Bytes that read as zeros may be others on the disk; where the file ends there are none.  Where it has no
** block, as lengthen() leaves it, zeros need room that may not be there: cutting the file off does the same without. */
static int forget_first(sdb_journal *journal, bool *poison) {
  static const uint8_t zeros[SDB_RECORD_HEADER_BYTES];
  uint64_t start = journal->header.start;
  uint8_t first;
  size_t got;
  int os = sdb_os_pread(journal->fd, &first, 1, start, &got);
  if (os || got == 0) return os;
  os = sdb_os_pwrite(journal->fd, zeros, sizeof zeros, start);
  if (sdb_error_is_full(os)) {
    os = sdb_os_truncate(journal->fd, start);
    journal->zeroed = SDB_MIN(journal->zeroed, start);
  }
  if (!os && syncs(journal)) *poison = (os = sdb_os_fdatasync(journal->fd)) != 0;
  return os;
}

/* The length that records gave the file may be in the page cache alone, and the next ones rely on it: with another one
** fdatasync writes it again. */
static int lengthen(const sdb_journal *journal) {
  sdb_os_info info;
  int os = sdb_os_info_of(journal->fd, &info);
  if (os || info.size_bytes <= SDB_JOURNAL_START) return os;
  return sdb_os_truncate(journal->fd, info.size_bytes + SDB_PAGE);
}

int sdb_journal_restate(sdb_journal *journal, bool *poison, const sdb_op *op) {
  int os = rewrite_header(journal);
  if (!os) os = rewrite_last(journal);
  if (!os) os = lengthen(journal);
  if (!os && syncs(journal)) *poison = (os = sdb_os_fdatasync(journal->fd)) != 0;
  if (!os && journal->last_bytes == 0) os = forget_first(journal, poison);
  if (!os) return SEQDB_OK;
  *poison |= !sdb_error_is_full(os) && os != ENOMEM; /* without memory nothing was written */
  return sdb_error_os(op, os, "journal", journal->last, "journal: cannot write header and last record once more");
}

/* ---- another header */

uint64_t sdb_journal_backed(const sdb_journal *journal, uint64_t start, uint64_t size) {
  uint64_t data, end;
  if (size < start) return size;
  int os = sdb_os_next_data(journal->fd, start, size, &data, &end);
  return !os && data == start ? end : start;
}

/* A copy of the journal with a salt of its own and no record, which is to start at `start`. */
static int begin_anew(const sdb_journal *journal, uint64_t start, sdb_journal *next, const sdb_op *op) {
  sdb_os_info info = {.size_bytes = start};
  uint64_t salt;
  int os;
  do {
    os = sdb_os_random(&salt, sizeof salt);
  } while (!os && (salt == 0 || salt == journal->header.salt));
  if (os) return sdb_error_os(op, os, "journal", 0, "journal: no random bytes for a new salt");
  *next = *journal;
  next->header.salt = next->previous = salt;
  next->header.sequence = journal->header.sequence + 1;
  next->header.start = next->tail = start;
  next->last = next->last_bytes = 0;
  if (start >= journal->header.start) return SEQDB_OK;
  (void)sdb_os_info_of(journal->fd, &info); /* the front was not looked at since it was left */
  next->zeroed = sdb_journal_backed(journal, start, info.size_bytes);
  return SEQDB_OK;
}

int sdb_journal_turn(sdb_journal *journal, const sdb_journal *next, const sdb_journal_header *header, bool *poison,
                     const sdb_op *op) {
  sdb_journal turned = *next;
  turned.header = *header;
  turned.header.sequence = next->header.sequence;
  turned.header.salt = next->header.salt;
  turned.header.start = next->header.start;
  turned.header.overlay = next->last_bytes > 0;
  int os = write_header(journal, &turned.header);
  *poison = os && !sdb_error_is_full(os);
  /* Without syncs the first two are durable all the same: no power cut brings back one that knows of syncs only. */
  bool off = header->sync_off && journal->header.sync_off;
  turned.both_off = off;
  if (!os && !(off && journal->both_off)) *poison = (os = sdb_os_fdatasync(journal->fd)) != 0;
  if (os)
    return sdb_error_os(op, os, "journal", 0, "journal: cannot write header page %u",
                        (unsigned)(turned.header.sequence & 1));
  if (next->limit && turned.zeroed >= next->limit) turned.zeroed = journal->zeroed; /* the old records' blocks follow */
  turned.limit = 0;
  *journal = turned;
  return SEQDB_OK;
}

void sdb_journal_trim(sdb_journal *journal) {
  uint64_t keep = SDB_MAX(sdb_page_up(journal->tail), KEEP_BYTES);
  if (journal->zeroed > keep && sdb_os_truncate(journal->fd, keep) == 0) journal->zeroed = keep;
}

int sdb_journal_reset(sdb_journal *journal, const sdb_journal_header *header, bool *poison, const sdb_op *op) {
  sdb_journal next;
  int rc = begin_anew(journal, SDB_JOURNAL_START, &next, op);
  return rc == SEQDB_OK ? sdb_journal_turn(journal, &next, header, poison, op) : rc;
}

int sdb_journal_plan(const sdb_journal *journal, uint64_t bytes, uint64_t spare_bytes, sdb_journal *next,
                     const sdb_op *op) {
  uint64_t room = journal->header.start - SDB_JOURNAL_START;
  bool front = room > spare_bytes && room - spare_bytes >= record_bytes(bytes);
  int rc = begin_anew(journal, front ? SDB_JOURNAL_START : journal->tail, next, op);
  if (rc == SEQDB_OK && front) {
    next->limit = journal->header.start;
    next->zeroed = SDB_MIN(next->zeroed, next->limit);
  }
  return rc;
}

void sdb_journal_forget(const sdb_journal *journal, const sdb_journal *next) {
  if (!next->limit) (void)sdb_os_truncate(journal->fd, SDB_MAX(journal->zeroed, journal->tail));
}

void sdb_journal_cut(sdb_journal *journal, uint64_t spare_bytes) {
  uint64_t to = SDB_JOURNAL_START + sdb_page_up(spare_bytes);
  assert(journal->tail == SDB_JOURNAL_START);
  sdb_os_info info; /* the file may be longer than what has blocks */
  if (sdb_os_info_of(journal->fd, &info) != 0 || info.size_bytes <= to) return;
  if (sdb_os_truncate(journal->fd, to) == 0) journal->zeroed = SDB_MIN(journal->zeroed, to);
}

int sdb_journal_allocate_headers(sdb_journal *journal, const sdb_op *op) {
  int os = journal->headers_allocated ? 0 : sdb_os_allocate(journal->fd, 0, SDB_JOURNAL_START);
  if (os && os != EOPNOTSUPP) return sdb_error_os(op, os, "journal", 0, "journal: no room for its header pages");
  journal->headers_allocated = true;
  return SEQDB_OK;
}

/* ---- writing records */

uint64_t sdb_journal_record_end(const sdb_record_header *header) {
  return header->position + record_bytes(header->bytes);
}

uint64_t sdb_journal_bytes(const sdb_journal *journal) {
  return journal->tail - journal->header.start;
}

int sdb_journal_look(sdb_journal *journal, const sdb_op *op) {
  sdb_os_info info;
  int os = sdb_os_info_of(journal->fd, &info);
  if (os) return sdb_error_os(op, os, "journal", 0, "journal: cannot read its size");
  journal->zeroed = SDB_MAX(sdb_journal_backed(journal, journal->header.start, info.size_bytes), SDB_JOURNAL_START);
  return SEQDB_OK;
}

/* Keep the blocks ahead of the tail allocated and written: up to `need`, and further where there is room. */
static int zero_ahead(sdb_journal *journal, uint64_t end, uint64_t need) {
  static const uint8_t zeros[16384];
  int os = 0;
  if (need <= journal->zeroed) return 0;
  journal->zeroed = SDB_MAX(journal->zeroed, end);
  uint64_t ahead = SDB_MIN(SDB_MAX(end - journal->header.start, AHEAD_MIN_BYTES), AHEAD_MAX_BYTES);
  uint64_t to = sdb_page_down(need + ahead), least = sdb_page_up(need);
  if (journal->limit) to = least = SDB_MIN(least, journal->limit);
  for (uint64_t at = journal->zeroed, part; at < to && !os; at += part) {
    part = SDB_MIN(sizeof zeros, (at < need ? least : to) - at);
    os = sdb_os_pwrite(journal->fd, zeros, (size_t)part, at);
    if (!os) journal->zeroed = at + part;
  }
  journal->cramped = os != 0;
  return journal->zeroed >= need ? 0 : os;
}

/* Where not even zeros can be written (a full disk), cutting the file off does the same and needs no space.  What it
** took beyond `zeroed` is given back. */
static void kill_record(sdb_journal *journal, uint64_t zeroed, bool *poison) {
  static const uint8_t zeros[SDB_RECORD_HEADER_BYTES];
  int os = sdb_os_pwrite(journal->fd, zeros, sizeof zeros, journal->tail);
  uint64_t to = os ? journal->tail : SDB_MAX(zeroed, journal->tail + SDB_PAGE);
  int cut = os || journal->cramped ? sdb_os_truncate(journal->fd, to) : 0;
  if ((os && cut) || (syncs(journal) && sdb_os_fdatasync(journal->fd) != 0)) *poison = true;
  journal->zeroed = SDB_MIN(zeroed, to);
}

static int refused(const sdb_journal *journal, const sdb_record_header *header, int os, const sdb_op *op) {
  return sdb_error_os(op, os, "journal", journal->tail, "journal: cannot write the record of generation %llu",
                      (unsigned long long)header->generation);
}

int sdb_journal_append(sdb_journal *journal, const uint8_t *record, const sdb_record_header *header,
                       uint64_t spare_bytes, bool *poison, const sdb_op *op) {
  assert(header->position == journal->tail);
  uint64_t end = sdb_journal_record_end(header), zeroed = journal->zeroed;
  int os = zero_ahead(journal, end, end + spare_bytes); /* first: a record without room behind it must not be there */
  if (os) {
    (void)sdb_os_truncate(journal->fd, SDB_MAX(zeroed, journal->tail)); /* others may need the room */
    journal->zeroed = zeroed;
    return refused(journal, header, os, op);
  }
  os = sdb_os_pwrite(journal->fd, record, (size_t)header->bytes, journal->tail);
  journal->cramped |= sdb_error_is_full(os);
  if (os) {
    kill_record(journal, zeroed, poison);
    return refused(journal, header, os, op);
  }
  bool sync = syncs(journal);
  if (sync && (os = sdb_os_fdatasync(journal->fd)) != 0) {
    *poison = true; /* R7: nobody can tell what reached the disk */
    return sdb_error_os(op, os, "journal", journal->tail, "journal: fdatasync failed");
  }
  journal->previous = header->checksum;
  journal->last = journal->tail;
  journal->last_bytes = header->bytes;
  journal->tail = end;
  return SEQDB_OK;
}

int sdb_journal_fill(sdb_journal *next, const uint8_t *record, const sdb_record_header *header, uint64_t spare_bytes,
                     bool *poison, const sdb_op *op) {
  assert(header->position == next->tail && header->kind == SDB_RECORD_OVERLAY);
  uint64_t end = sdb_journal_record_end(header);
  int os = zero_ahead(next, end, end + spare_bytes);
  if (!os) os = sdb_os_pwrite(next->fd, record, (size_t)header->bytes, next->tail);
  if (os) return refused(next, header, os, op);
  if (syncs(next) && (os = sdb_os_fdatasync(next->fd)) != 0) {
    *poison = true;
    return sdb_error_os(op, os, "journal", next->tail, "journal: fdatasync failed");
  }
  next->previous = header->checksum;
  next->last = next->tail;
  next->last_bytes = header->bytes;
  next->tail = end;
  return SEQDB_OK;
}
