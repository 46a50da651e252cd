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

#define AHEAD_MIN_BYTES (UINT64_C(16) * 1024)  /* as far ahead as the journal is long, ... */
#define AHEAD_MAX_BYTES (UINT64_C(256) * 1024) /* ... within these: on a small disk others want the room */
#define SCAN_BYTES      (UINT64_C(1024) * 1024)
#define KEEP_BYTES      (UINT64_C(64) * 1024 * 1024) /* what an emptied journal keeps for the next records */

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
** is lost.  Bytes that read as zeros may be others on the disk; where the file ends there are none, and writing them
** would need room. */
static int forget_first(const sdb_journal *journal, bool *poison) {
  static const uint8_t zeros[SDB_RECORD_HEADER_BYTES];
  uint8_t first;
  size_t got;
  int os = sdb_os_pread(journal->fd, &first, 1, journal->header.start, &got);
  if (os || got == 0) return os;
  os = sdb_os_pwrite(journal->fd, zeros, sizeof zeros, journal->header.start);
  if (!os && !journal->header.sync_off) *poison = (os = sdb_os_fdatasync(journal->fd)) != 0;
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
  int os = write_header(journal, &journal->header);
  if (!os) os = rewrite_last(journal);
  if (!os) os = lengthen(journal);
  if (!os && !journal->header.sync_off) *poison = (os = sdb_os_fdatasync(journal->fd)) != 0;
  if (!os && journal->last_bytes == 0) os = forget_first(journal, poison);
  if (!os) return SEQDB_OK;
  *poison |= !sdb_error_is_full(os) && os != ENOMEM; /* without memory nothing was written */
  return sdb_error_os(op, os, "journal", journal->last, "journal: cannot write header and last record once more");
}

int sdb_journal_reset(sdb_journal *journal, const sdb_journal_header *header, bool *poison, const sdb_op *op) {
  sdb_journal_header next = *header;
  int os = 0;
  next.start = SDB_JOURNAL_START;
  next.sequence = journal->header.sequence + 1;
  do {
    os = sdb_os_random(&next.salt, sizeof next.salt);
  } while (!os && (next.salt == 0 || next.salt == journal->header.salt));
  if (os) return sdb_error_os(op, os, "journal", 0, "journal: no random bytes for a new salt");
  os = write_header(journal, &next);
  *poison = os && !sdb_error_is_full(os);
  if (!os && !next.sync_off) *poison = (os = sdb_os_fdatasync(journal->fd)) != 0;
  if (os)
    return sdb_error_os(op, os, "journal", 0, "journal: cannot write header page %u", (unsigned)(next.sequence & 1));
  journal->header = next;
  journal->tail = SDB_JOURNAL_START;
  journal->previous = next.salt;
  journal->last = journal->last_bytes = 0;
  if (journal->zeroed > KEEP_BYTES && sdb_os_truncate(journal->fd, KEEP_BYTES) == 0) journal->zeroed = KEEP_BYTES;
  return SEQDB_OK;
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

/* ---- reading records */

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
  sdb_journal_place place;  /* the newest state that was decided */
  bool branched;            /* records of an SQLite file's came since */
  sdb_journal_place *known; /* states that a record may build on */
  size_t known_count, known_capacity;
  uint64_t until; /* no record from there on is looked at */
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
  bool found;
};

/* What stands in the block, which was read at `at` and has room behind it for a record's header. */
static int search_block(struct search *search, uint8_t *block, size_t bytes, uint64_t at, const sdb_op *op) {
  memset(block + bytes, 0, SDB_RECORD_HEADER_BYTES); /* of the last one the file may lack a part */
  for (size_t i = 0; i + SDB_RECORD_LEAST_BYTES <= bytes && !search->found; i += SDB_RECORD_ALIGN) {
    sdb_record_header header;
    uint8_t *record;
    if (!peek(search->journal, block + i, at + i, search->size - at - i, &header)) continue;
    search->found = header.bytes > search->trials;
    if (search->found) break;
    search->trials -= header.bytes;
    if (header.bytes <= bytes - i) { /* as most are; reading each again takes three times as long */
      search->found = sdb_record_decode(block + i, header.bytes, search->journal->header.salt, at + i, &header);
      continue;
    }
    int rc = read_record(search->journal, at + i, search->size, &header, &record, op);
    if (rc != SEQDB_OK) return rc;
    search->found = record != NULL;
    sdb_free(record);
  }
  return SEQDB_OK;
}

/* Is there a valid record behind `from`?  A record knows its own position, so bytes of a record that somebody stored
** in a region are never taken for one.  A crash leaves one torn record of a salt; where so many look like records
** that trying them all would read everything over and over, they count as such untried.  Holes are stepped over. */
static int valid_behind(const sdb_journal *journal, uint64_t from, uint64_t size, const struct chain *chain,
                        bool *found, const sdb_op *op) {
  struct search search = {journal, size, size > from ? 2 * (size - from) : 0, chain, false};
  uint64_t data = from, data_end = from;
  int rc = SEQDB_OK;
  *found = false;
  uint8_t *block = from < size ? sdb_malloc(SCAN_BYTES + SDB_RECORD_HEADER_BYTES) : NULL;
  if (from < size && !block) return sdb_error_nomem(op);
  for (uint64_t at = from; at < size && !search.found && rc == SEQDB_OK; at += SCAN_BYTES) {
    size_t got = 0;
    if (at >= data_end && sdb_os_next_data(journal->fd, at, size, &data, &data_end) != 0) {
      data = at;
      data_end = size;
    }
    if (data >= size) break;
    if (data > at) at = data / SDB_RECORD_ALIGN * SDB_RECORD_ALIGN;
    int os = sdb_os_pread(journal->fd, block, SCAN_BYTES, at, &got);
    rc = at > from ? ask(chain) : SEQDB_OK;
    if (rc == SEQDB_OK && os) rc = sdb_error_os(op, os, "journal", at, "journal: cannot read it");
    if (rc == SEQDB_OK) rc = search_block(&search, block, got, at, op);
  }
  sdb_free(block);
  *found = search.found;
  return rc;
}

/* The state that `next` builds on; NULL: it is not known. */
static const sdb_journal_place *parent_of(const struct chain *chain, const sdb_record_header *next) {
  for (size_t i = chain->known_count; i > 0; i--)
    if (memcmp(&chain->known[i - 1].tip, &next->parent, sizeof next->parent) == 0) return &chain->known[i - 1];
  return NULL;
}

/* An SQLite file decides about the prepare, later. */
static bool is_files(const sdb_record_header *header) {
  return !sdb_is_zero(header->file.bytes, sizeof header->file.bytes);
}

static int remember(struct chain *chain, const sdb_record_header *header) {
  if (!is_files(header)) chain->known_count = 0; /* all before is settled */
  if (chain->known_count == chain->known_capacity) {
    size_t capacity = chain->known_capacity ? 2 * chain->known_capacity : 16;
    sdb_journal_place *grown = sdb_realloc(chain->known, capacity * sizeof *grown);
    if (!grown) return SEQDB_NOMEM;
    chain->known = grown;
    chain->known_capacity = capacity;
  }
  chain->known[chain->known_count++] = (sdb_journal_place){header->generation, header->token};
  return SEQDB_OK;
}

/* May `next` follow?  A prepare of no file's before it is decided by it.  What a file decides about may have siblings:
** the parent is any state since the newest one that was decided here. */
static int follows(struct chain *chain, const sdb_record_header *next, bool *good) {
  const sdb_record_header *waiting = chain->record ? &chain->header : NULL;
  bool empty = next->puts == 0 && next->deletes == 0 && next->ranges == 0;
  bool undecided = waiting && waiting->kind == SDB_RECORD_PREPARE && !is_files(waiting);
  sdb_journal_place at = chain->place;
  int rc = SEQDB_OK;
  if (undecided && (next->flags & SDB_RECORD_KEEP)) {
    at = (sdb_journal_place){waiting->generation, waiting->token};
    if ((rc = remember(chain, waiting)) != SEQDB_OK) return rc;
  }
  if (chain->branched || is_files(next)) {
    const sdb_journal_place *parent = parent_of(chain, next);
    *good = parent != NULL;
    if (parent) at = *parent;
  }
  *good &= next->generation == at.generation + 1 || (empty && next->generation == at.generation);
  *good &= next->version == 1 || memcmp(&next->parent, &at.tip, sizeof at.tip) == 0;
  if (!*good) return rc;
  bool commits = next->kind == SDB_RECORD_COMMIT && next->generation > at.generation;
  chain->branched = is_files(next) || (chain->branched && !commits);
  chain->place = commits ? (sdb_journal_place){next->generation, next->token} : at;
  return commits || is_files(next) ? remember(chain, next) : rc;
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

static int begin_chain(struct chain *chain) {
  const sdb_record_header base = {.generation = chain->place.generation, .token = chain->place.tip};
  return remember(chain, &base);
}

static void end_chain(struct chain *chain) {
  sdb_free(chain->record); /* of a scan that failed */
  sdb_free(chain->known);
}

static uint64_t record_end(const sdb_record_header *header) {
  uint64_t end = header->position + header->bytes;
  return (end + SDB_RECORD_ALIGN - 1) / SDB_RECORD_ALIGN * SDB_RECORD_ALIGN;
}

/* Is one of the records newer than the header in use? */
struct orphans {
  uint64_t base_generation;
  const struct chain *chain; /* who is asked whether to go on */
  bool any;
};

static int look_at_orphan(void *context, const sdb_journal_record *record) {
  struct orphans *orphans = context;
  int rc = ask(orphans->chain);
  if (rc != SEQDB_OK || !record) return rc;
  const sdb_record_header *header = record->header;
  bool kept = record->next ? record->next->flags & SDB_RECORD_KEEP : header->coordinator_bytes == 0;
  if (record->next && is_files(header)) kept = memcmp(&record->next->parent, &header->token, sizeof header->token) == 0;
  if (header->kind == SDB_RECORD_PREPARE && !kept) return SEQDB_OK;
  orphans->any |= header->generation > orphans->base_generation;
  return SEQDB_OK;
}

/* The header in use has no records.  If its neighbour was the newer one and is lost, the first record, of a salt that
** nobody knows, begins a chain of newer commits.  Chains of older headers remain there too, but their commits are in
** the base. */
static int find_orphans(const sdb_journal *journal, sdb_journal_scan *scan, const struct chain *chain,
                        const sdb_op *op) {
  uint8_t head[SDB_RECORD_HEADER_BYTES];
  struct orphans orphans = {journal->header.base_generation, chain, false};
  sdb_journal_scan ignored;
  sdb_journal other = *journal;
  sdb_record_header first;
  size_t got = 0;
  int os = sdb_os_pread(journal->fd, head, sizeof head, SDB_JOURNAL_START, &got);
  if (os) return sdb_error_os(op, os, "journal", SDB_JOURNAL_START, "journal: cannot read it");
  memset(head + got, 0, sizeof head - got);
  if (!sdb_record_peek(head, 0, SDB_JOURNAL_START, UINT64_MAX, &first)) return SEQDB_OK;
  if (first.salt == journal->header.salt) return SEQDB_OK;
  other.header.salt = other.previous = first.salt;
  other.header.version = first.version;
  other.header.base_generation = first.generation - 1;
  other.header.base_token = first.parent;
  other.tail = SDB_JOURNAL_START;
  other.one_header = false;
  int rc = sdb_journal_scan_records(&other, &ignored, look_at_orphan, &orphans, op);
  scan->orphaned = rc == SEQDB_OK && orphans.any;
  return rc;
}

/* Up to there the file has blocks. */
static uint64_t first_hole(const sdb_journal *journal, uint64_t size) {
  uint64_t data, end;
  uint64_t start = journal->header.start;
  if (size < start) return size;
  int os = sdb_os_next_data(journal->fd, start, size, &data, &end);
  return !os && data == start ? end : start;
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
    bool good = header.previous == journal->previous;
    if (good && (rc = follows(chain, &header, &good)) != SEQDB_OK) {
      sdb_free(record);
      return sdb_error_nomem(op);
    }
    if (!good) {
      sdb_free(record); /* whole, of this salt, at its place, but not the next one: one before it is missing */
      scan->damaged_at = journal->tail;
      break;
    }
    journal->previous = header.checksum;
    journal->last = journal->tail;
    journal->last_bytes = header.bytes;
    journal->tail = record_end(&header);
    scan->count++;
    if ((rc = advance(chain, &header, record)) != SEQDB_OK) return rc;
  }
  return advance(chain, NULL, NULL);
}

int sdb_journal_scan_records(sdb_journal *journal, sdb_journal_scan *scan, sdb_journal_take take, void *context,
                             const sdb_op *op) {
  sdb_os_info info;
  struct chain chain = {.take = take,
                        .context = context,
                        .place = {journal->header.base_generation, journal->header.base_token},
                        .until = UINT64_MAX};
  bool found = false;
  memset(scan, 0, sizeof *scan);
  int os = sdb_os_info_of(journal->fd, &info);
  if (os) return sdb_error_os(op, os, "journal", 0, "journal: cannot read its size");
  int rc =
      begin_chain(&chain) == SEQDB_OK ? scan_chain(journal, scan, &chain, info.size_bytes, op) : sdb_error_nomem(op);
  end_chain(&chain);
  journal->zeroed = first_hole(journal, info.size_bytes);
  if (rc == SEQDB_OK && !scan->damaged_at) {
    rc = valid_behind(journal, journal->tail + SDB_RECORD_ALIGN, info.size_bytes, &chain, &found, op);
    if (found) scan->damaged_at = journal->tail;
  }
  if (rc == SEQDB_OK && scan->count == 0 && journal->one_header) rc = find_orphans(journal, scan, &chain, op);
  return rc;
}

/* ---- following another member's records */

uint64_t sdb_journal_record_end(const sdb_record_header *header) {
  return record_end(header);
}

int sdb_journal_follow(sdb_journal *journal, const sdb_journal_place *from, uint64_t until, sdb_journal_take take,
                       void *context, const sdb_op *op) {
  struct chain chain = {.take = take, .context = context, .place = *from, .until = until};
  sdb_journal_scan scan = {0};
  sdb_os_info info = {.size_bytes = until};
  int os = until == UINT64_MAX ? sdb_os_info_of(journal->fd, &info) : 0;
  if (os) return sdb_error_os(op, os, "journal", 0, "journal: cannot read its size");
  int rc =
      begin_chain(&chain) == SEQDB_OK ? scan_chain(journal, &scan, &chain, info.size_bytes, op) : sdb_error_nomem(op);
  end_chain(&chain);
  return rc;
}

int sdb_journal_look(sdb_journal *journal, const sdb_op *op) {
  sdb_os_info info;
  int os = sdb_os_info_of(journal->fd, &info);
  if (os) return sdb_error_os(op, os, "journal", 0, "journal: cannot read its size");
  journal->zeroed = SDB_MAX(first_hole(journal, info.size_bytes), SDB_JOURNAL_START);
  return SEQDB_OK;
}

/* ---- writing records */

/* Keep the blocks ahead of the tail allocated and written: up to `need`, and further where there is room. */
static int zero_ahead(sdb_journal *journal, uint64_t end, uint64_t need) {
  static const uint8_t zeros[16384];
  int os = 0;
  if (need <= journal->zeroed) return 0;
  journal->zeroed = SDB_MAX(journal->zeroed, end);
  uint64_t ahead = SDB_MIN(SDB_MAX(end - journal->header.start, AHEAD_MIN_BYTES), AHEAD_MAX_BYTES);
  uint64_t to = sdb_page_down(need + ahead);
  for (uint64_t at = journal->zeroed, part; at < to && !os; at += part) {
    part = SDB_MIN(sizeof zeros, (at < need ? sdb_page_up(need) : to) - at);
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
  if ((os && cut) || (!journal->header.sync_off && sdb_os_fdatasync(journal->fd) != 0)) *poison = true;
  journal->zeroed = SDB_MIN(zeroed, to);
}

static int refused(const sdb_journal *journal, const sdb_record_header *header, int os, const sdb_op *op) {
  return sdb_error_os(op, os, "journal", journal->tail, "journal: cannot write the record of generation %llu",
                      (unsigned long long)header->generation);
}

int sdb_journal_append(sdb_journal *journal, const uint8_t *record, const sdb_record_header *header,
                       uint64_t spare_bytes, bool *poison, const sdb_op *op) {
  assert(header->position == journal->tail);
  uint64_t end = record_end(header), zeroed = journal->zeroed;
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
  bool sync = !journal->header.sync_off;
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
