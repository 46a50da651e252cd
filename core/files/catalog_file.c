/* SPDX-License-Identifier: MIT
**
** catalog_file.c: see catalog_file.h.
*/
#include "files/catalog_file.h"

#include <errno.h>

#define NAME         SDB_CATALOG_NAME
#define NEW_NAME     SDB_CATALOG_NEW_NAME
#define BATCH_BYTES  ((size_t)128 << 10)  /* read at once: more is slower, for the memory is new */
#define CHANGES_MIN  (UINT64_C(64) << 10) /* so many bytes of changes are always appended ... */
#define CHANGES_PART 2                    /* ... more only up to this part of the list */

_Static_assert(BATCH_BYTES >= 2 * SDB_CATALOG_BLOCK_BYTES, "a block fits, wherever it begins");

/* ---- what a head is tied to */

void sdb_catalog_head_bind(sdb_catalog_head *head, const sdb_journal_header *header, const sdb_os_stamp *regions) {
  memcpy(head->uuid, header->uuid, sizeof head->uuid);
  head->sequence = header->sequence;
  head->salt = header->salt;
  head->entries = header->entries;
  head->entries_hash = header->entries_hash;
  head->regions_inode = regions->inode;
  head->regions_bytes = regions->size_bytes;
  head->modified_ns = regions->modified_ns;
  head->changed_ns = regions->changed_ns;
}

bool sdb_catalog_head_is_of(const sdb_catalog_head *head, const sdb_journal_header *header) {
  return memcmp(head->uuid, header->uuid, sizeof head->uuid) == 0 && head->sequence == header->sequence &&
         head->salt == header->salt && head->entries == header->entries && head->entries_hash == header->entries_hash;
}

bool sdb_catalog_head_has_stamp(const sdb_catalog_head *head, const sdb_os_stamp *regions) {
  return head->regions_inode == regions->inode && head->regions_bytes == regions->size_bytes &&
         head->modified_ns == regions->modified_ns && head->changed_ns == regions->changed_ns;
}

/* ---- reading */

static bool read_head(sdb_fd file, sdb_catalog_head *head) {
  uint8_t page[SDB_CATALOG_HEAD_BYTES];
  size_t got = 0;
  return sdb_os_pread(file, page, sizeof page, 0, &got) == 0 && got == sizeof page &&
         sdb_catalog_head_decode(page, head);
}

bool sdb_catalog_file_is_ours(sdb_fd dir, const char *name) {
  uint8_t begin[8];
  size_t got = 0;
  sdb_fd file = -1;
  int os = sdb_os_open(dir, name, 0, &file);
  if (os) return os == ENOENT;
  os = sdb_os_pread(file, begin, sizeof begin, 0, &got);
  sdb_os_close(file);
  return os == 0 && (sdb_is_zero(begin, got) || (got == sizeof begin && sdb_catalog_head_begins(begin)));
}

bool sdb_catalog_file_open(sdb_fd dir, sdb_catalog_file *file) {
  bool good = sdb_os_open(dir, NAME, 0, &file->fd) == 0;
  if (good && read_head(file->fd, &file->head)) return true;
  if (good) sdb_os_close(file->fd);
  file->fd = -1;
  return false;
}

/* Some of the file, in memory: `bytes` from byte `at` on. */
struct batch {
  uint8_t *memory;
  uint64_t at;
  size_t bytes, done; /* done: those of the blocks that were read */
  bool last, good;    /* it reaches the end; nothing is wrong yet */
};

static int read_block(const uint8_t *block, uint32_t bytes, sdb_catalog_visit *visit, void *context, bool *good,
                      const sdb_op *op) {
  sdb_entry_image image;
  uint32_t cursor = 0, index;
  int rc = SEQDB_OK, more = 1;
  while (rc == SEQDB_OK && (more = sdb_catalog_block_next(block, bytes, &cursor, &index, &image)) > 0)
    rc = visit(context, index, &image, op);
  *good = more >= 0;
  return rc;
}

/* Its blocks, but for one that may go on behind it. */
static int read_batch(const sdb_catalog_file *file, struct batch *b, sdb_catalog_visit *visit, void *context,
                      const sdb_op *op) {
  int rc = SEQDB_OK;
  b->done = 0;
  while (rc == SEQDB_OK && b->good && b->done < b->bytes &&
         (b->bytes - b->done >= SDB_CATALOG_BLOCK_BYTES || b->last)) {
    const uint8_t *block = b->memory + b->done;
    uint32_t bytes = sdb_catalog_block_check(block, b->bytes - b->done, file->head.id, b->at + b->done);
    b->good = bytes > 0;
    if (b->good) rc = read_block(block, bytes, visit, context, &b->good, op);
    b->done += bytes;
  }
  return rc;
}

int sdb_catalog_file_read(const sdb_catalog_file *file, sdb_catalog_visit *visit, void *context, bool *whole,
                          const sdb_op *op) {
  uint64_t end = file->head.end;
  struct batch b = {.memory = sdb_malloc(BATCH_BYTES), .at = SDB_CATALOG_HEAD_BYTES, .good = true};
  int rc = SEQDB_OK;
  if (!b.memory) return sdb_error_nomem(op);
  for (; rc == SEQDB_OK && b.good && b.at < end; b.at += b.done) {
    size_t got = 0;
    b.bytes = (size_t)SDB_MIN(BATCH_BYTES, end - b.at);
    b.last = b.at + b.bytes == end;
    b.good = sdb_os_pread(file->fd, b.memory, b.bytes, b.at, &got) == 0 && got == b.bytes;
    rc = read_batch(file, &b, visit, context, op);
  }
  *whole = b.good;
  sdb_free(b.memory);
  return rc;
}

/* ---- writing */

/* All items, as blocks from `at` on.  Returns where they end; 0: it failed, or they take more than up to `limit`. */
static uint64_t write_blocks(sdb_fd file, uint64_t id, uint64_t at, uint64_t limit, sdb_catalog_next *next,
                             void *context) {
  sdb_catalog_block *block = sdb_malloc(sizeof *block);
  sdb_entry_image image;
  uint32_t index;
  bool good = block != NULL, more = good && next(context, &index, &image);
  while (good && more) {
    sdb_catalog_block_begin(block);
    while (more && sdb_catalog_block_add(block, index, &image))
      more = next(context, &index, &image);
    sdb_catalog_block_seal(block, id, at);
    good = at < limit && block->used <= limit - at && sdb_os_pwrite(file, block->bytes, block->used, at) == 0;
    at += block->used;
  }
  sdb_free(block);
  return good ? at : 0;
}

static bool write_head(sdb_fd file, const sdb_catalog_head *head) {
  uint8_t page[SDB_CATALOG_HEAD_BYTES];
  sdb_catalog_head_encode(page, head);
  return sdb_os_pwrite(file, page, sizeof page, 0) == 0;
}

bool sdb_catalog_file_write(const sdb_catalog_place *place, sdb_catalog_head *head, sdb_catalog_next *next,
                            void *context) {
  sdb_fd dir = place->dir;
  sdb_os_info info;
  sdb_fd file = -1;
  if (!sdb_catalog_file_is_ours(dir, NAME) || !sdb_catalog_file_is_ours(dir, NEW_NAME)) return false;
  (void)sdb_os_unlink(dir, NEW_NAME);
  if (sdb_os_info_of(place->regions, &info) != 0 || sdb_os_random(&head->id, sizeof head->id) != 0 ||
      sdb_os_open(dir, NEW_NAME, SDB_OPEN_WRITE | SDB_OPEN_CREATE | SDB_OPEN_EXCL | SDB_OPEN_OWN, &file) != 0)
    return false;
  if (info.access.mode) sdb_os_set_access(file, &info.access);
  head->list_end = head->end = write_blocks(file, head->id, SDB_CATALOG_HEAD_BYTES, SDB_OFFSET_MAX, next, context);
  bool good = head->end > 0 && write_head(file, head);
  sdb_os_close(file);
  good = good && sdb_os_rename(dir, NEW_NAME, NAME) == 0;
  if (!good) (void)sdb_os_unlink(dir, NEW_NAME);
  return good;
}

/* May changes since `before` be added?  What the file has is of a header between that one and the new one.  One with a
** second name may be part of another database. */
static bool can_grow(sdb_fd file, sdb_fd regions, const sdb_catalog_head *before, const sdb_catalog_head *next,
                     sdb_catalog_head *now) {
  sdb_os_info own, of;
  return sdb_os_info_of(file, &own) == 0 && sdb_os_info_of(regions, &of) == 0 && own.links == 1 &&
         (own.access.mode & ~of.access.mode) == 0 && read_head(file, now) && own.size_bytes >= now->end &&
         memcmp(now->uuid, next->uuid, sizeof now->uuid) == 0 && now->sequence >= before->sequence &&
         now->sequence <= next->sequence;
}

bool sdb_catalog_file_append(const sdb_catalog_place *place, const sdb_catalog_head *before, sdb_catalog_head *head,
                             sdb_catalog_next *next, void *context) {
  sdb_catalog_head now;
  sdb_fd file = -1;
  if (sdb_os_open(place->dir, NAME, SDB_OPEN_WRITE, &file) != 0) return false;
  bool good = can_grow(file, place->regions, before, head, &now);
  if (good) {
    uint64_t list = now.list_end - SDB_CATALOG_HEAD_BYTES, limit = SDB_MAX(list / CHANGES_PART, CHANGES_MIN);
    head->id = now.id;
    head->list_end = now.list_end;
    head->end = write_blocks(file, head->id, now.end, now.list_end + limit, next, context);
    good = head->end > 0 && write_head(file, head);
  }
  sdb_os_close(file);
  return good;
}
