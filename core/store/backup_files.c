/* SPDX-License-Identifier: MIT
**
** backup_files.c: see backup_files.h.
**
**     catalog  --------------------------------->  regions    a page for each entry
**     data, overlay  --> a piece, without zeros -->  data       at the same offsets
**     header, token  --------------------------->  journal    a header without records
**
** Everything is read as a reader of the pinned commit reads it.  So it is whatever that commit says, although others
** write, and nobody waits but for the moment in which a piece is read beside an overlay.
*/
#include "store/backup_files.h"

#include "os/os.h"
#include "space/extents.h"
#include "space/tree_file.h"

#define PIECE_BYTES     ((size_t)256 << 10)  /* what a processor's cache holds: 1 MiB was half as fast */
#define LOOK_BYTES      ((uint64_t)64 << 10) /* shorter runs are read without asking where their holes are */
#define WRITE_OUT_BYTES ((uint64_t)16 << 20) /* so that the disk works meanwhile, and has little left at the end */
#define DATA_MIN_BYTES  ((uint64_t)1 << 20)  /* rawdb's smallest `data` */

static const char *const names[] = {"data", "regions", "journal"};

static int failed(const sdb_backup *b, int os, const char *name, const char *what) {
  return sdb_error_os(b->op, os, name, 0, "backup: %s/%s: cannot %s", b->path, name, what);
}

static int create(const sdb_backup *b, const char *name, sdb_fd *fd) {
  unsigned own = b->access.mode ? SDB_OPEN_OWN : 0;
  int os = sdb_os_open(b->dir, name, SDB_OPEN_WRITE | SDB_OPEN_CREATE | SDB_OPEN_EXCL | own, fd);
  if (os) return failed(b, os, name, "create");
  if (b->access.mode) sdb_os_set_access(*fd, &b->access);
  return SEQDB_OK;
}

/* The file is written: make it durable, unless something went wrong. */
static int finish(const sdb_backup *b, const char *name, sdb_fd fd, int rc) {
  int os = rc == SEQDB_OK ? sdb_os_fsync(fd) : 0;
  sdb_os_close(fd);
  return os ? failed(b, os, name, "sync") : rc;
}

/* ---- data */

/* Content on its way: bytes of `data` from `base` on, which is the start of a page. */
struct content {
  sdb_backup *backup;
  sdb_store *store;
  uint64_t generation;
  sdb_fd to;
  uint8_t *piece;
  uint64_t base;
  size_t used;
  uint64_t unwritten; /* bytes since the disk was told to begin */
};

/* Pages of zeros stay holes. */
static int write_piece(struct content *c) {
  int os = 0;
  for (size_t at = 0, end; at < c->used && !os; at = end) {
    bool zero = sdb_is_zero(c->piece + at, SDB_PAGE);
    end = at + SDB_PAGE;
    while (end < c->used && sdb_is_zero(c->piece + end, SDB_PAGE) == zero)
      end += SDB_PAGE;
    if (!zero) os = sdb_os_pwrite(c->to, c->piece + at, end - at, c->base + at);
    if (!zero) c->unwritten += end - at;
  }
  if (!os && c->unwritten >= WRITE_OUT_BYTES) {
    sdb_os_write_out(c->to);
    c->unwritten = 0;
  }
  c->base += c->used;
  c->used = 0;
  return os ? failed(c->backup, os, "data", "write") : sdb_interrupted(c->backup->point->db, c->backup->op);
}

/* The first byte from `at` on that may be other than zero, and the end of the run of them; `end` if there is none. */
static uint64_t next_run(struct content *c, uint64_t at, uint64_t end, uint64_t *run_end) {
  uint64_t data = at, data_end = end;
  *run_end = end;
  if (end - at < LOOK_BYTES || sdb_os_next_data(c->store->data.fd, at, end, &data, &data_end) != 0) return at;
  uint64_t overlay = sdb_overlay_next(&c->store->overlay, c->generation, at, data);
  if (overlay < data) { /* in a hole: page by page */
    *run_end = SDB_MIN(end, sdb_page_down(overlay) + SDB_PAGE);
    return SDB_MAX(at, sdb_page_down(overlay));
  }
  *run_end = SDB_MIN(end, data_end);
  return SDB_MIN(data, end);
}

/* By the system's call, if no layer has any of it: the mapping would have each page touched first. */
static int read_part(struct content *c, uint64_t at, size_t bytes) {
  uint8_t *to = c->piece + c->used;
  size_t got = 0;
  if (sdb_overlay_next(&c->store->overlay, c->generation, at, at + bytes) == at + bytes &&
      sdb_os_pread(c->store->data.fd, to, bytes, at, &got) == 0 && got == bytes)
    return SEQDB_OK;
  return sdb_overlay_read(&c->store->overlay, c->generation, at, to, bytes, c->backup->op);
}

/* [at, end) as the commit has it; both lie in one region, and `at` is what the piece goes on with. */
static int read_run(struct content *c, uint64_t at, uint64_t end) {
  int rc = SEQDB_OK;
  while (at < end && rc == SEQDB_OK) {
    size_t part = (size_t)SDB_MIN(end - at, PIECE_BYTES - c->used);
    if ((rc = read_part(c, at, part)) != SEQDB_OK) return rc;
    at += part;
    c->used += part;
    c->backup->bytes += part;
    if (c->used == PIECE_BYTES) rc = write_piece(c);
  }
  return rc;
}

/* The piece goes on at `at`, which is the start of a page. */
static int go_on_at(struct content *c, uint64_t at) {
  int rc = c->used && c->base + c->used != at ? write_piece(c) : SEQDB_OK;
  if (c->used == 0) c->base = at;
  return rc;
}

/* What lies behind a length is nobody's: zeros. */
static int fill_page(struct content *c) {
  size_t end = (size_t)sdb_page_up(c->used);
  memset(c->piece + c->used, 0, end - c->used);
  c->used = end;
  return c->used == PIECE_BYTES ? write_piece(c) : SEQDB_OK;
}

static int copy_region(struct content *c, uint64_t start, uint64_t length) {
  uint64_t end = start + length, run_end;
  int rc = SEQDB_OK;
  for (uint64_t at = start; at < end && rc == SEQDB_OK; at = run_end) {
    uint64_t run = sdb_page_down(next_run(c, at, end, &run_end));
    if (run >= end) break;
    if (run_end < end) run_end = sdb_page_up(run_end);
    if ((rc = go_on_at(c, run)) == SEQDB_OK) rc = read_run(c, run, SDB_MIN(run_end, end));
  }
  return rc == SEQDB_OK ? fill_page(c) : rc;
}

static int copy_regions(struct content *c, const sdb_tree *tree, uint64_t *end) {
  sdb_owned_extent *extents;
  size_t count;
  int rc = sdb_tree_extents(tree, &extents, &count) == SEQDB_OK ? SEQDB_OK : sdb_error_nomem(c->backup->op);
  *end = rc == SEQDB_OK && count ? extents[count - 1].start + extents[count - 1].bytes : 0;
  for (size_t i = 0; rc == SEQDB_OK && i < count; i++) {
    const sdb_entry *entry = sdb_tree_get(tree, extents[i].index);
    rc = copy_region(c, entry->start, entry->length);
  }
  if (rc == SEQDB_OK) rc = write_piece(c);
  if (rc == SEQDB_OK || count) sdb_free(extents);
  return rc;
}

static int write_data(sdb_backup *b, const sdb_tree *tree, uint64_t *end) {
  const struct seqdb_backup_point *point = b->point;
  struct content c = {.backup = b,
                      .store = point->db->store,
                      .generation = point->snapshot->view.generation,
                      .piece = sdb_malloc(PIECE_BYTES)};
  int rc = c.piece ? create(b, "data", &c.to) : sdb_error_nomem(b->op);
  if (rc != SEQDB_OK) goto done;
  rc = copy_regions(&c, tree, end);
  int os = rc == SEQDB_OK ? sdb_os_truncate(c.to, SDB_MAX(*end, DATA_MIN_BYTES)) : 0;
  rc = finish(b, "data", c.to, os ? failed(b, os, "data", "extend") : rc);
done:
  sdb_free(c.piece);
  return rc;
}

/* ---- regions */

/* Runs of neighbouring entries. */
static int write_entries(const sdb_backup *b, const sdb_tree *tree, sdb_regions_file *file) {
  uint64_t from = 0;
  uint32_t index;
  int rc = SEQDB_OK;
  while (rc == SEQDB_OK && sdb_tree_next(tree, from, &index)) {
    uint32_t end = index + 1, next;
    while (end - index < 1024 && sdb_tree_next(tree, end, &next) && next == end)
      end++;
    file->pages = end; /* the file grows as it is written */
    rc = sdb_tree_store(tree, file, index, end, b->op);
    if (rc == SEQDB_OK) rc = sdb_interrupted(b->point->db, b->op);
    from = end;
  }
  return rc;
}

static int write_regions(const sdb_backup *b, const sdb_tree *tree, uint64_t *bytes) {
  sdb_regions_file file = {.guarded = true}; /* what is written has no length yet */
  int rc = create(b, "regions", &file.fd);
  if (rc != SEQDB_OK) return rc;
  rc = finish(b, "regions", file.fd, write_entries(b, tree, &file));
  *bytes = file.pages * SDB_ENTRY_BYTES;
  return rc;
}

/* ---- journal */

static void choose_claims(const sdb_backup *b, sdb_journal_header *header) {
  const sdb_journal_header *original = &b->point->header;
  header->claim_count = b->owner ? 1 : original->claim_count;
  if (b->owner)
    header->claims[0] = *b->owner;
  else
    memcpy(header->claims, original->claims, sizeof header->claims);
}

static int write_journal(const sdb_backup *b, const sdb_tree *tree, uint64_t data_bytes, uint64_t regions_bytes) {
  uint8_t pages[SDB_JOURNAL_START] = {0};
  sdb_journal_header header = {.version = SDB_FORMAT_VERSION,
                               .sequence = SDB_JOURNAL_FIRST_SEQUENCE,
                               .start = SDB_JOURNAL_START,
                               .base_generation = b->point->snapshot->view.generation,
                               .base_token = b->point->token,
                               .base_file = b->point->file,
                               .data_bytes = data_bytes,
                               .regions_bytes = regions_bytes,
                               .entries = tree->entries,
                               .entries_hash = tree->hash};
  sdb_fd fd;
  int os = 0, rc;
  memcpy(header.uuid, b->point->header.uuid, sizeof header.uuid);
  choose_claims(b, &header);
  while (!os && header.salt == 0)
    os = sdb_os_random(&header.salt, sizeof header.salt);
  if (os) return sdb_error_os(b->op, os, "journal", 0, "backup: no random bytes for a salt");
  sdb_journal_header_encode(pages, &header);
  if ((rc = create(b, "journal", &fd)) != SEQDB_OK) return rc;
  os = sdb_os_pwrite(fd, pages, sizeof pages, 0);
  return finish(b, "journal", fd, os ? failed(b, os, "journal", "write") : SEQDB_OK);
}

/* ---- all of them */

int sdb_backup_files(sdb_backup *b) {
  const sdb_tree *tree = &b->point->snapshot->view.catalog->tree;
  uint64_t data_bytes = 0, regions_bytes = 0;
  int rc = write_data(b, tree, &data_bytes);
  if (rc == SEQDB_OK) rc = write_regions(b, tree, &regions_bytes);
  if (rc == SEQDB_OK && b->point->db->store->journal.fd >= 0) rc = write_journal(b, tree, data_bytes, regions_bytes);
  return rc;
}

void sdb_backup_remove_files(sdb_fd dir) {
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    (void)sdb_os_unlink(dir, names[i]);
}
