/* SPDX-License-Identifier: MIT
**
** catalog_file.c: see catalog_file.h.
*/
#include "files/catalog_file.h"

#define NAME         "catalog"
#define NEW_NAME     "catalog.new"
#define BATCH_BYTES  ((size_t)1 << 20)    /* read at once; a multiple of the largest block */
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

static void close_file(sdb_fd *file) {
  if (*file >= 0) sdb_os_close(*file);
  *file = -1;
}

bool sdb_catalog_file_open(sdb_fd dir, sdb_fd *file, sdb_catalog_head *head) {
  *file = -1;
  if (sdb_os_open(dir, NAME, 0, file) != 0) *file = -1;
  if (*file >= 0 && !read_head(*file, head)) close_file(file);
  return *file >= 0;
}

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

int sdb_catalog_file_read(sdb_fd file, const sdb_catalog_head *head, sdb_catalog_visit *visit, void *context,
                          bool *whole, const sdb_op *op) {
  uint8_t *batch = sdb_malloc(BATCH_BYTES);
  uint64_t at = SDB_CATALOG_HEAD_BYTES;
  int rc = SEQDB_OK;
  if (!batch) return sdb_error_nomem(op);
  *whole = true;
  while (rc == SEQDB_OK && *whole && at < head->end) {
    size_t want = (size_t)SDB_MIN(BATCH_BYTES, head->end - at), got = 0, done = 0;
    *whole = sdb_os_pread(file, batch, want, at, &got) == 0 && got == want;
    while (rc == SEQDB_OK && *whole && done < want &&
           (want - done >= SDB_CATALOG_BLOCK_BYTES || at + want == head->end)) {
      uint32_t bytes = sdb_catalog_block_check(batch + done, want - done, head->id, at + done);
      *whole = bytes > 0;
      if (*whole) rc = read_block(batch + done, bytes, visit, context, whole, op);
      done += bytes;
    }
    at += done;
  }
  sdb_free(batch);
  return rc;
}

/* ---- writing */

/* All items, as blocks from `at` on; *end: behind them.  false: it failed, or they take more than up to `limit`. */
static bool write_blocks(sdb_fd file, uint64_t id, uint64_t at, uint64_t limit, sdb_catalog_next *next, void *context,
                         uint64_t *end) {
  sdb_catalog_block *block = sdb_malloc(sizeof *block);
  sdb_entry_image image;
  uint32_t index;
  bool good = block != NULL, more = good && next(context, &index, &image);
  while (good && more) {
    sdb_catalog_block_begin(block);
    while (more && sdb_catalog_block_add(block, index, &image))
      more = next(context, &index, &image);
    sdb_catalog_block_seal(block, id, at);
    good = block->used <= limit - at && sdb_os_pwrite(file, block->bytes, block->used, at) == 0;
    at += block->used;
  }
  sdb_free(block);
  *end = at;
  return good;
}

static bool write_head(sdb_fd file, const sdb_catalog_head *head) {
  uint8_t page[SDB_CATALOG_HEAD_BYTES];
  sdb_catalog_head_encode(page, head);
  return sdb_os_pwrite(file, page, sizeof page, 0) == 0;
}

bool sdb_catalog_file_write(sdb_fd dir, sdb_fd regions, sdb_catalog_head *head, sdb_catalog_next *next, void *context) {
  sdb_os_info info;
  sdb_fd file = -1;
  (void)sdb_os_unlink(dir, NEW_NAME);
  if (sdb_os_info_of(regions, &info) != 0 || sdb_os_random(&head->id, sizeof head->id) != 0 ||
      sdb_os_open(dir, NEW_NAME, SDB_OPEN_WRITE | SDB_OPEN_CREATE | SDB_OPEN_EXCL | SDB_OPEN_OWN, &file) != 0)
    return false;
  if (info.access.mode) sdb_os_set_access(file, &info.access);
  bool good = write_blocks(file, head->id, SDB_CATALOG_HEAD_BYTES, SDB_OFFSET_MAX, next, context, &head->end);
  head->list_end = head->end;
  good = good && write_head(file, head);
  sdb_os_close(file);
  good = good && sdb_os_rename(dir, NEW_NAME, NAME) == 0;
  if (!good) (void)sdb_os_unlink(dir, NEW_NAME);
  return good;
}

/* Is the file what `before` says, and nobody else's?  One with a second name may be part of another database. */
static bool is_still(sdb_fd file, const sdb_catalog_head *before) {
  sdb_catalog_head now;
  sdb_os_info info;
  return sdb_os_info_of(file, &info) == 0 && info.links == 1 && info.size_bytes >= before->end &&
         read_head(file, &now) && memcmp(&now, before, sizeof now) == 0;
}

bool sdb_catalog_file_append(sdb_fd dir, const sdb_catalog_head *before, sdb_catalog_head *head, sdb_catalog_next *next,
                             void *context) {
  uint64_t list = before->list_end - SDB_CATALOG_HEAD_BYTES, limit = SDB_MAX(list / CHANGES_PART, CHANGES_MIN);
  sdb_fd file = -1;
  if (sdb_os_open(dir, NAME, SDB_OPEN_WRITE, &file) != 0) return false;
  head->id = before->id;
  head->list_end = before->list_end;
  bool good = is_still(file, before) &&
              write_blocks(file, head->id, before->end, before->list_end + limit, next, context, &head->end) &&
              write_head(file, head);
  sdb_os_close(file);
  return good;
}
