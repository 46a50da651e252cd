/* SPDX-License-Identifier: MIT
**
** journal_scan.c: see journal_scan.h.
*/
#include "files/journal_scan.h"

#include "base/error.h"

#define SCAN_BYTES (UINT64_C(1024) * 1024)

/* ---- single records */

/* Of this journal's salt and version. */
static bool peek(const sdb_journal *journal, const uint8_t head[SDB_RECORD_HEADER_BYTES], uint64_t at,
                 uint64_t available, sdb_record_header *header) {
  return sdb_record_peek(head, journal->header.salt, at, available, header) &&
         header->version == journal->header.version;
}

/* The whole record at `at`, or NULL in *record if there is no valid one. */
static int read_record(const sdb_journal *journal, uint64_t at, uint64_t size, sdb_record_header *header,
                       uint8_t **record, const sdb_op *op) {
  uint8_t head[SDB_RECORD_HEADER_BYTES];
  size_t got;
  *record = NULL;
  if (at >= size) return SEQDB_OK;
  int os = sdb_os_pread(journal->fd, head, sizeof head, at, &got);
  if (os) goto failed;
  memset(head + got, 0, sizeof head - got);
  if (!peek(journal, head, at, size - at, header)) return SEQDB_OK;
  if (header->bytes > SIZE_MAX) return sdb_error_nomem(op);
  uint8_t *whole = sdb_malloc((size_t)header->bytes);
  if (!whole) return sdb_error_nomem(op);
  os = sdb_os_pread(journal->fd, whole, (size_t)header->bytes, at, &got);
  if (!os && got == header->bytes && sdb_record_decode(whole, header->bytes, journal->header.salt, at, header))
    *record = whole;
  else
    sdb_free(whole);
  if (!os) return SEQDB_OK;
failed:
  return sdb_error_os(op, os, "journal", at, "journal: cannot read the record at byte %llu", (unsigned long long)at);
}

/* A scan under way: the record that was read last waits for the header of the next one. */
struct chain {
  sdb_journal_take take;
  void *context;
  uint64_t committed; /* the newest commit known so far ... */
  sdb_token tip;      /* ... and its token */
  uint64_t until;     /* no record from there on is looked at */
  sdb_record_header header;
  uint8_t *record; /* NULL: there is none yet */
};

/* May the scan go on? */
static int ask(const struct chain *chain) {
  return chain->take ? chain->take(chain->context, NULL) : SEQDB_OK;
}

/* A search for records behind the chain. */
struct search {
  const sdb_journal *journal;
  uint64_t size;
  uint64_t trials;           /* how many bytes may still be read to see whether a record that looks like one is whole */
  const struct chain *chain; /* who is asked whether to go on */
  bool orphans;              /* for overlays of another salt whose chain leads beyond the one that was read */
  bool found;
  uint64_t at; /* of the record that was tried last */
};

static int try_orphan(struct search *search, const sdb_record_header *first, const sdb_op *op);

/* Is the record whole that begins at byte `i` of the block? */
static int try_record(struct search *search, const uint8_t *block, size_t bytes, size_t i, sdb_record_header *header,
                      const sdb_op *op) {
  uint8_t *record;
  if (header->bytes <= bytes - i) { /* as most are; reading each again takes three times as long */
    search->found = sdb_record_decode(block + i, header->bytes, search->journal->header.salt, header->position, header);
    return SEQDB_OK;
  }
  int rc = read_record(search->journal, header->position, search->size, header, &record, op);
  search->found = rc == SEQDB_OK && record;
  sdb_free(record);
  return rc;
}

/* What stands in the block, which was read at `at` and has room behind it for a record's header. */
static int search_block(struct search *search, uint8_t *block, size_t bytes, uint64_t at, const sdb_op *op) {
  int rc = SEQDB_OK;
  memset(block + bytes, 0, SDB_RECORD_HEADER_BYTES); /* of the last one the file may lack a part */
  for (size_t i = 0; i + SDB_RECORD_LEAST_BYTES <= bytes && !search->found && rc == SEQDB_OK; i += SDB_RECORD_ALIGN) {
    sdb_record_header header;
    bool like = search->orphans ? sdb_record_peek(block + i, 0, at + i, search->size - at - i, &header) &&
                                      header.kind == SDB_RECORD_OVERLAY && header.salt != search->journal->header.salt
                                : peek(search->journal, block + i, at + i, search->size - at - i, &header);
    if (!like) continue;
    if (header.bytes > search->trials) {
      search->found = !search->orphans;
      break;
    }
    search->trials -= header.bytes;
    search->at = header.position;
    rc = search->orphans ? try_orphan(search, &header, op) : try_record(search, block, bytes, i, &header, op);
  }
  return rc;
}

/* Is there a valid record behind `from`?  A record knows its own position, so bytes of a record that somebody stored
** in a region are never taken for one.  A crash leaves one torn record of a salt; where so many look like records
** that trying them all would read everything over and over, they count as such untried.  Holes are stepped over. */
static int search_from(struct search *search, uint64_t from, const sdb_op *op) {
  const sdb_journal *journal = search->journal;
  uint64_t data = from, data_end = from, size = search->size;
  int rc = SEQDB_OK;
  search->trials = size > from ? 2 * (size - from) : 0;
  uint8_t *block = from < size ? sdb_malloc(SCAN_BYTES + SDB_RECORD_HEADER_BYTES) : NULL;
  if (from < size && !block) return sdb_error_nomem(op);
  for (uint64_t at = from; at < size && !search->found && rc == SEQDB_OK; at += SCAN_BYTES) {
    size_t got = 0;
    if (at >= data_end && sdb_os_next_data(journal->fd, at, size, &data, &data_end) != 0) {
      data = at;
      data_end = size;
    }
    if (data >= size) break;
    if (data > at) at = data / SDB_RECORD_ALIGN * SDB_RECORD_ALIGN;
    int os = sdb_os_pread(journal->fd, block, SCAN_BYTES, at, &got);
    rc = at > from ? ask(search->chain) : SEQDB_OK;
    if (rc == SEQDB_OK && os) rc = sdb_error_os(op, os, "journal", at, "journal: cannot read it");
    if (rc == SEQDB_OK) rc = search_block(search, block, got, at, op);
  }
  sdb_free(block);
  return rc;
}

/* May `next` follow?  A prepare before it is decided by it.  An overlay's record stands where the header wants it. */
static bool follows(struct chain *chain, const sdb_record_header *next, bool overlay) {
  uint64_t now = chain->committed;
  sdb_token tip = chain->tip;
  if (chain->record && chain->header.kind == SDB_RECORD_PREPARE && (next->flags & SDB_RECORD_KEEP)) {
    now = chain->header.generation;
    tip = chain->header.token;
  }
  bool empty = (next->puts == 0 && next->deletes == 0 && next->ranges == 0) || overlay;
  if ((next->kind == SDB_RECORD_OVERLAY) != overlay || (overlay && next->generation != now)) return false;
  if (next->generation != now + 1 && !(empty && next->generation == now)) return false;
  if (next->version > 1 && memcmp(&next->parent, &tip, sizeof tip) != 0) return false;
  bool commits = next->kind == SDB_RECORD_COMMIT && next->generation > now;
  chain->committed = commits ? next->generation : now;
  chain->tip = commits ? next->token : tip;
  return true;
}

/* The one that waits is handed out; the next one, if any, waits. */
static int advance(struct chain *chain, const sdb_record_header *next, uint8_t *record) {
  sdb_journal_record waited = {&chain->header, next, chain->record};
  int rc = chain->record && chain->take ? chain->take(chain->context, &waited) : SEQDB_OK;
  sdb_free(chain->record);
  chain->record = record;
  if (next) chain->header = *next;
  return rc;
}

static void stand_behind(sdb_journal *journal, const sdb_record_header *header) {
  journal->previous = header->checksum;
  journal->last = header->position;
  journal->last_bytes = header->bytes;
  journal->tail = sdb_journal_record_end(header);
}

/* The records from the tail on, as far as each follows the one before it. */
static int scan_chain(sdb_journal *journal, sdb_journal_scan *scan, struct chain *chain, uint64_t size,
                      const sdb_op *op) {
  for (;;) {
    sdb_record_header header;
    uint8_t *record;
    if (journal->tail >= chain->until) break;
    int rc = read_record(journal, journal->tail, size, &header, &record, op);
    if (rc != SEQDB_OK) return rc;
    if (!record) break;
    bool overlay = journal->header.overlay && journal->tail == journal->header.start;
    if (header.previous != journal->previous || !follows(chain, &header, overlay)) {
      sdb_free(record); /* whole, of this salt, at its place, but not the next one: one before it is missing */
      scan->damaged_at = journal->tail;
      break;
    }
    stand_behind(journal, &header);
    scan->count++;
    if ((rc = advance(chain, &header, record)) != SEQDB_OK) return rc;
  }
  return advance(chain, NULL, NULL);
}

/* ---- records whose header is lost */

/* Is one of the records newer than all that is known? */
struct orphans {
  uint64_t generation;
  const struct chain *chain; /* who is asked whether to go on */
  bool any;
};

static int look_at_orphan(void *context, const sdb_journal_record *record) {
  struct orphans *orphans = context;
  int rc = ask(orphans->chain);
  if (rc != SEQDB_OK || !record) return rc;
  const sdb_record_header *header = record->header;
  bool kept = record->next ? record->next->flags & SDB_RECORD_KEEP : header->coordinator_bytes == 0;
  if (header->kind == SDB_RECORD_PREPARE && !kept) return SEQDB_OK;
  orphans->any |= header->generation > orphans->generation;
  return SEQDB_OK;
}

/* Does the chain that begins with `first` lead beyond the one that was read? */
static int leads_beyond(const sdb_journal *journal, const sdb_record_header *first, const struct chain *chain,
                        bool *beyond, const sdb_op *op) {
  struct orphans orphans = {SDB_MAX(chain->committed, chain->header.generation), chain, false};
  sdb_journal other = *journal;
  bool overlay = first->kind == SDB_RECORD_OVERLAY;
  const sdb_journal_place before = {first->generation - !overlay, first->parent};
  other.header.salt = other.previous = first->salt;
  other.header.version = first->version;
  other.header.overlay = overlay;
  other.header.start = other.tail = first->position;
  int rc = sdb_journal_follow(&other, &before, UINT64_MAX, look_at_orphan, &orphans, op);
  *beyond = rc == SEQDB_OK && orphans.any;
  return rc;
}

static int try_orphan(struct search *search, const sdb_record_header *first, const sdb_op *op) {
  return leads_beyond(search->journal, first, search->chain, &search->found, op);
}

/* If the neighbour of the header in use was the newer one and is lost, a record of a salt that nobody knows begins a
** chain of newer commits: at the front, or, if it is an overlay's, anywhere.  Chains of older headers remain there too,
** but their commits are in the base. */
static int find_orphans(const sdb_journal *journal, uint64_t size, sdb_journal_scan *scan, const struct chain *chain,
                        const sdb_op *op) {
  uint8_t head[SDB_RECORD_HEADER_BYTES];
  struct search search = {.journal = journal, .size = size, .chain = chain, .orphans = true};
  sdb_record_header first;
  size_t got = 0;
  int os = sdb_os_pread(journal->fd, head, sizeof head, SDB_JOURNAL_START, &got);
  if (os) return sdb_error_os(op, os, "journal", SDB_JOURNAL_START, "journal: cannot read it");
  memset(head + got, 0, sizeof head - got);
  bool any = scan->count == 0 && sdb_record_peek(head, 0, SDB_JOURNAL_START, UINT64_MAX, &first);
  int rc = SEQDB_OK;
  if (any && first.salt != journal->header.salt) rc = leads_beyond(journal, &first, chain, &search.found, op);
  search.at = SDB_JOURNAL_START;
  if (rc == SEQDB_OK && !search.found) rc = search_from(&search, SDB_JOURNAL_START, op);
  scan->orphaned = search.found ? search.at : 0;
  return rc;
}

int sdb_journal_scan_records(sdb_journal *journal, sdb_journal_scan *scan, sdb_journal_take take, void *context,
                             const sdb_op *op) {
  sdb_os_info info;
  struct chain chain = {.take = take,
                        .context = context,
                        .committed = journal->header.base_generation,
                        .tip = journal->header.base_token,
                        .until = UINT64_MAX};
  memset(scan, 0, sizeof *scan);
  int os = sdb_os_info_of(journal->fd, &info);
  if (os) return sdb_error_os(op, os, "journal", 0, "journal: cannot read its size");
  int rc = scan_chain(journal, scan, &chain, info.size_bytes, op);
  sdb_free(chain.record); /* of a scan that failed */
  journal->zeroed = sdb_journal_backed(journal, journal->header.start, info.size_bytes);
  if (rc == SEQDB_OK && !scan->damaged_at) {
    struct search search = {.journal = journal, .size = info.size_bytes, .chain = &chain};
    rc = search_from(&search, journal->tail + SDB_RECORD_ALIGN, op);
    if (search.found || (journal->header.overlay && scan->count == 0)) scan->damaged_at = journal->tail;
  }
  if (rc == SEQDB_OK && journal->one_header) rc = find_orphans(journal, info.size_bytes, scan, &chain, op);
  return rc;
}

/* ---- following another member's records */

int sdb_journal_follow(sdb_journal *journal, const sdb_journal_place *from, uint64_t until, sdb_journal_take take,
                       void *context, const sdb_op *op) {
  struct chain chain = {
      .take = take, .context = context, .committed = from->generation, .tip = from->tip, .until = until};
  sdb_journal_scan scan = {0};
  sdb_os_info info = {.size_bytes = until};
  int os = until == UINT64_MAX ? sdb_os_info_of(journal->fd, &info) : 0;
  if (os) return sdb_error_os(op, os, "journal", 0, "journal: cannot read its size");
  int rc = scan_chain(journal, &scan, &chain, info.size_bytes, op);
  sdb_free(chain.record); /* of a scan that failed */
  return rc;
}

int sdb_journal_pass_overlay(sdb_journal *journal, bool *whole, const sdb_op *op) {
  sdb_record_header header;
  uint8_t *record;
  sdb_os_info info;
  *whole = true;
  if (!journal->header.overlay) return SEQDB_OK;
  int os = sdb_os_info_of(journal->fd, &info);
  if (os) return sdb_error_os(op, os, "journal", 0, "journal: cannot read its size");
  int rc = read_record(journal, journal->header.start, info.size_bytes, &header, &record, op);
  if (rc != SEQDB_OK) return rc;
  *whole = record && header.kind == SDB_RECORD_OVERLAY && header.previous == journal->header.salt;
  if (*whole) stand_behind(journal, &header);
  sdb_free(record);
  return SEQDB_OK;
}
