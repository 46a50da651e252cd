/* SPDX-License-Identifier: MIT
**
** journal_scan.c: see journal_scan.h.
*/
#include "files/journal_scan.h"

#include "base/error.h"
#include "pure/branches.h"

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
  bool empty = next->kind == SDB_RECORD_OVERLAY || (next->puts == 0 && next->deletes == 0 && next->ranges == 0);
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

/* An overlay's record stands where the header wants it, and commits nothing. */
static bool is_in_place(const sdb_journal *journal, const struct chain *chain, const sdb_record_header *next) {
  bool wanted = journal->header.overlay && journal->tail == journal->header.start;
  if ((next->kind == SDB_RECORD_OVERLAY) != wanted || next->previous != journal->previous) return false;
  return !wanted || (next->generation == chain->place.generation && !is_files(next));
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
    bool good = is_in_place(journal, chain, &header);
    if (good && (rc = follows(chain, &header, &good)) != SEQDB_OK) {
      sdb_free(record);
      return sdb_error_nomem(op);
    }
    if (!good) {
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

/* How far such a chain leads. */
struct orphans {
  uint64_t generation; /* of the newest that counts, and that no SQLite file decides about */
  sdb_branches branches;
  const struct chain *chain; /* who is asked whether to go on */
  const sdb_op *op;
};

static int look_at_orphan(void *context, const sdb_journal_record *record) {
  struct orphans *orphans = context;
  int rc = ask(orphans->chain);
  if (rc != SEQDB_OK || !record) return rc;
  const sdb_record_header *header = record->header;
  bool kept = record->next ? record->next->flags & SDB_RECORD_KEEP : header->coordinator_bytes == 0;
  if (!is_files(header) && (header->kind != SDB_RECORD_PREPARE || kept))
    orphans->generation = SDB_MAX(orphans->generation, header->generation);
  return sdb_branches_add(&orphans->branches, header) == SEQDB_OK ? rc : sdb_error_nomem(orphans->op);
}

/* Of what an SQLite file decides about only what was settled counts: a commit that the file has lost leaves its prepare
** too, and newer headers may be of an older generation. */
static uint64_t settled_orphan(const struct orphans *orphans) {
  const sdb_branches *all = &orphans->branches;
  const sdb_branch *last = all->count ? &all->items[all->count - 1] : NULL;
  size_t settled = last && !sdb_file_is_none(&last->file) ? sdb_branches_find(all, &last->settled) : 0;
  return settled ? all->items[settled - 1].generation : 0;
}

/* Does the chain that begins with `first` lead beyond the one that was read? */
static int leads_beyond(const sdb_journal *journal, const sdb_record_header *first, const struct chain *chain,
                        bool *beyond, const sdb_op *op) {
  uint64_t known = SDB_MAX(chain->place.generation, chain->header.generation);
  struct orphans orphans = {.chain = chain, .op = op};
  sdb_journal other = *journal;
  bool overlay = first->kind == SDB_RECORD_OVERLAY;
  const sdb_journal_place before = {first->generation - !overlay, first->parent};
  other.header.salt = other.previous = first->salt;
  other.header.version = first->version;
  other.header.overlay = overlay;
  other.header.start = other.tail = first->position;
  int rc = sdb_journal_follow(&other, &before, UINT64_MAX, look_at_orphan, &orphans, op);
  *beyond = rc == SEQDB_OK && SDB_MAX(orphans.generation, settled_orphan(&orphans)) > known;
  sdb_branches_free(&orphans.branches);
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
                        .place = {journal->header.base_generation, journal->header.base_token},
                        .until = UINT64_MAX};
  memset(scan, 0, sizeof *scan);
  int os = sdb_os_info_of(journal->fd, &info);
  if (os) return sdb_error_os(op, os, "journal", 0, "journal: cannot read its size");
  int rc =
      begin_chain(&chain) == SEQDB_OK ? scan_chain(journal, scan, &chain, info.size_bytes, op) : sdb_error_nomem(op);
  end_chain(&chain);
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
