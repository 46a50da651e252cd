/* SPDX-License-Identifier: MIT
**
** regions_file.c: see regions_file.h.
*/
#include "files/regions_file.h"

#include <errno.h>

#define BATCH_PAGES 64u
#define BATCH_BYTES (BATCH_PAGES * SDB_ENTRY_BYTES)
#define MAP_PAGES   16384u /* of one mapping: 64 MiB of address space */
#define GAP_PAGES   256u   /* shorter holes are read */
#define ASK_PAGES   1024u  /* between two questions whether to go on */

#define PREFETCH_PAGES 8u

/* ---- reading */

/* A reading under way. */
struct reading {
  sdb_fd fd;
  sdb_regions_visit *visit;
  void *context;
  sdb_regions_load *load;
  const sdb_op *op;
};

static int add_bad(struct reading *r, const sdb_bad_entry *bad) {
  sdb_regions_load *load = r->load;
  if (load->bad_count == load->bad_capacity) {
    size_t capacity = load->bad_capacity ? 2 * load->bad_capacity : 16;
    sdb_bad_entry *grown = sdb_realloc(load->bad, capacity * sizeof *grown);
    if (!grown) return sdb_error_nomem(r->op);
    load->bad = grown;
    load->bad_capacity = capacity;
  }
  load->bad[load->bad_count++] = *bad;
  return SEQDB_OK;
}

static int read_page(struct reading *r, const uint8_t *page, uint32_t index) {
  sdb_entry_image image;
  sdb_bad_entry bad = {.index = index};
  int rc = index % ASK_PAGES == ASK_PAGES - 1 && r->load->ask ? r->load->ask(r->load->ask_context, r->op) : SEQDB_OK;
  if (rc != SEQDB_OK) return rc;
  switch (sdb_entry_decode_used(page, index, &image, &bad.at, &bad.why)) {
    case SDB_ENTRY_FREE:
      return SEQDB_OK;
    case SDB_ENTRY_DAMAGED:
      bad.start = sdb_get64(page);
      bad.reserved = sdb_get64(page + 16);
      return add_bad(r, &bad);
    case SDB_ENTRY_USED:
      break;
  }
  r->load->any_trailer |= image.has_trailer;
  return r->visit(r->context, index, &image, r->op);
}

/* Pages [from, to) through a mapping: of a page of 4096 bytes only the few that are in use are touched.  *mapped
** becomes false, and nothing is read, where the system does not map or does not say beforehand what cannot be read. */
static int read_mapped(struct reading *r, uint64_t from, uint64_t to, bool *mapped) {
  const uint8_t *pages;
  uint64_t bytes = (to - from) * SDB_ENTRY_BYTES;
  int rc = SEQDB_OK;
  *mapped = sdb_os_map(r->fd, from * SDB_ENTRY_BYTES, bytes, &pages) == 0;
  if (!*mapped) return SEQDB_OK;
  *mapped = sdb_os_populate(pages, bytes) == 0;
  for (uint64_t i = 0; *mapped && i < to - from && rc == SEQDB_OK; i++) {
    const uint8_t *ahead = pages + SDB_MIN(i + PREFETCH_PAGES, to - from - 1) * SDB_ENTRY_BYTES;
    SDB_PREFETCH(ahead);
    SDB_PREFETCH(ahead + SDB_ENTRY_TRAILER_OFF);
    rc = read_page(r, pages + i * SDB_ENTRY_BYTES, (uint32_t)(from + i));
  }
  sdb_os_unmap(pages, bytes);
  return rc;
}

static int read_batches(struct reading *r, uint64_t from, uint64_t to) {
  int rc = SEQDB_OK;
  uint8_t *batch = sdb_malloc(BATCH_BYTES);
  if (!batch) return sdb_error_nomem(r->op);
  for (uint64_t page = from; page < to && rc == SEQDB_OK; page += BATCH_PAGES) {
    uint64_t count = SDB_MIN(BATCH_PAGES, to - page);
    size_t want = (size_t)(count * SDB_ENTRY_BYTES), got = 0;
    int os = sdb_os_pread(r->fd, batch, want, page * SDB_ENTRY_BYTES, &got);
    if (!os && got < want) os = EIO; /* it shrank */
    if (os)
      rc = sdb_error_os(r->op, os, "regions", page * SDB_ENTRY_BYTES, "regions: cannot read entries from %llu on",
                        (unsigned long long)page);
    for (uint32_t i = 0; i < count && rc == SEQDB_OK; i++)
      rc = read_page(r, batch + (size_t)i * SDB_ENTRY_BYTES, (uint32_t)page + i);
  }
  sdb_free(batch);
  return rc;
}

uint64_t sdb_regions_next(const sdb_regions_file *file, uint64_t page, uint64_t *end) {
  uint64_t size = file->pages * SDB_ENTRY_BYTES, at, at_end;
  *end = file->pages;
  int os = sdb_os_next_data(file->fd, page * SDB_ENTRY_BYTES, size, &at, &at_end);
  if (os) return page; /* reading will say why */
  *end = (at_end + SDB_ENTRY_BYTES - 1) / SDB_ENTRY_BYTES;
  return at / SDB_ENTRY_BYTES;
}

/* Some pages from `page` on that lie close together, with all holes before them skipped. */
static uint64_t next_run(const sdb_regions_file *file, uint64_t page, uint64_t *to) {
  uint64_t from = sdb_regions_next(file, page, to), end;
  while (*to < file->pages && *to - from < MAP_PAGES && sdb_regions_next(file, *to, &end) - *to <= GAP_PAGES)
    *to = end;
  *to = SDB_MIN(*to, from + MAP_PAGES);
  return from;
}

int sdb_regions_measure(sdb_regions_file *file, sdb_regions_load *load, const sdb_op *op) {
  sdb_os_info info;
  uint8_t guard = 0;
  size_t got = 0;
  int os = sdb_os_info_of(file->fd, &info);
  if (os) return sdb_error_os(op, os, "regions", 0, "regions: cannot read its size");
  file->pages = info.size_bytes / SDB_ENTRY_BYTES;
  file->guarded = info.size_bytes % SDB_ENTRY_BYTES == 1;
  load->odd_bytes = file->guarded ? 0 : info.size_bytes % SDB_ENTRY_BYTES;
  bool more = file->guarded || load->odd_bytes; /* the byte becomes the guard */
  os = more ? sdb_os_pread(file->fd, &guard, 1, file->pages * SDB_ENTRY_BYTES, &got) : 0;
  if (os) return sdb_error_os(op, os, "regions", info.size_bytes - 1, "regions: cannot read the guard byte");
  file->odd_guard = guard != 0;
  file->stamped = sdb_os_stamp_of(file->fd, &file->stamp) == 0;
  if (file->pages > SDB_INDEX_MAX)
    return sdb_error_set(op, SEQDB_CORRUPT, "regions", 0, "regions: more entries than a database can have");
  return SEQDB_OK;
}

int sdb_regions_read(const sdb_regions_file *file, sdb_regions_visit *visit, void *context, sdb_regions_load *load,
                     const sdb_op *op) {
  struct reading r = {file->fd, visit, context, load, op};
  bool mapped = file->map;
  int rc = SEQDB_OK;
  for (uint64_t page = 0, to; page < file->pages && rc == SEQDB_OK; page = to) {
    uint64_t from = next_run(file, page, &to);
    if (mapped && from < to) rc = read_mapped(&r, from, to, &mapped);
    if (!mapped && from < to) rc = read_batches(&r, from, to);
  }
  return rc;
}

/* ---- writing */

static void begin_change(sdb_regions_file *file) {
  sdb_os_stamp now;
  if (file->stamped && sdb_os_stamp_of(file->fd, &now) == 0 && memcmp(&now, &file->stamp, sizeof now) != 0)
    file->disturbed = true;
}

static void end_change(sdb_regions_file *file) {
  if (file->stamped) file->stamped = sdb_os_stamp_of(file->fd, &file->stamp) == 0;
}

bool sdb_regions_stamp(sdb_regions_file *file, sdb_os_stamp *stamp) {
  begin_change(file);
  if (!file->stamped || file->disturbed) return false;
  file->stamped = sdb_os_stamp_set(file->fd, &file->stamp) == 0;
  *stamp = file->stamp;
  return file->stamped;
}

int sdb_regions_guard(sdb_regions_file *file, bool on, bool sync_off, bool *poison, const sdb_op *op) {
  uint64_t size = file->pages * SDB_ENTRY_BYTES + (on ? 1 : 0);
  begin_change(file);
  int os = sdb_os_truncate(file->fd, size);
  end_change(file);
  if (os) return sdb_error_os(op, os, "regions", size, "regions: cannot %s the guard byte", on ? "set" : "remove");
  if (!sync_off && (os = sdb_os_fdatasync(file->fd)) != 0) {
    *poison = true;
    return sdb_error_os(op, os, "regions", size, "regions: fdatasync failed");
  }
  file->guarded = on;
  return SEQDB_OK;
}

int sdb_regions_resize(sdb_regions_file *file, uint64_t pages, const sdb_op *op) {
  assert(file->guarded);
  uint64_t size = pages * SDB_ENTRY_BYTES + 1;
  begin_change(file);
  int os = sdb_os_truncate(file->fd, size);
  end_change(file);
  if (os)
    return sdb_error_os(op, os, "regions", size, "regions: cannot have room for %llu entries",
                        (unsigned long long)pages);
  file->pages = pages;
  return SEQDB_OK;
}

void sdb_regions_punch(sdb_regions_file *file, uint64_t from, uint64_t to) {
  begin_change(file);
  (void)sdb_os_punch(file->fd, from * SDB_ENTRY_BYTES, (to - from) * SDB_ENTRY_BYTES); /* failing leaves zeros, too */
  end_change(file);
}

int sdb_regions_allocate(sdb_regions_file *file, uint32_t from, uint32_t to, const sdb_op *op) {
  uint64_t at = (uint64_t)from * SDB_ENTRY_BYTES;
  begin_change(file);
  int os = sdb_os_allocate(file->fd, at, (uint64_t)(to - from) * SDB_ENTRY_BYTES);
  end_change(file);
  if (!os || os == EOPNOTSUPP) return SEQDB_OK;
  return sdb_error_os(op, os, "regions", at, "regions: no room for entry %u", from);
}

int sdb_regions_zero_guard(sdb_regions_file *file, const sdb_op *op) {
  uint64_t at = file->pages * SDB_ENTRY_BYTES;
  begin_change(file);
  int os = sdb_os_pwrite(file->fd, "", 1, at);
  end_change(file);
  if (os) return sdb_error_os(op, os, "regions", at, "regions: cannot write the guard byte");
  file->odd_guard = false;
  return SEQDB_OK;
}

int sdb_regions_write(sdb_regions_file *file, uint32_t from, uint32_t to, sdb_regions_fill *fill, const void *context,
                      const sdb_op *op) {
  assert(file->guarded && to <= file->pages);
  uint8_t *batch = sdb_malloc(SDB_MIN(BATCH_PAGES, to - from) * SDB_ENTRY_BYTES);
  int rc = SEQDB_OK;
  if (!batch) return sdb_error_nomem(op);
  begin_change(file);
  for (uint32_t index = from; index < to && rc == SEQDB_OK;) {
    uint32_t count = SDB_MIN(BATCH_PAGES, to - index);
    for (uint32_t i = 0; i < count; i++) {
      uint8_t *page = batch + (size_t)i * SDB_ENTRY_BYTES;
      sdb_entry_image image;
      if (fill(context, index + i, &image))
        sdb_entry_encode(page, index + i, &image);
      else
        memset(page, 0, SDB_ENTRY_BYTES);
    }
    uint64_t at = (uint64_t)index * SDB_ENTRY_BYTES;
    int os = sdb_os_pwrite(file->fd, batch, (size_t)count * SDB_ENTRY_BYTES, at);
    if (os) rc = sdb_error_os(op, os, "regions", at, "regions: cannot write entry %u", index);
    index += count;
  }
  end_change(file);
  sdb_free(batch);
  return rc;
}
