/* SPDX-License-Identifier: MIT
**
** data_file.c: see data_file.h.
*/
#include "files/data_file.h"

#include <errno.h>
#include "base/error.h"

#define MIN_FILE_BYTES  (UINT64_C(1) << 20) /* rawdb's smallest file */
#define ROOM_MIN_BYTES  (UINT64_C(1) << 20) /* what a small window has past the file's end */
#define GROW_MAX_BYTES  (UINT64_C(64) << 20)
#define PUNCH_MIN_BYTES (UINT64_C(64) << 10) /* fewer zeros are written: a punch costs a file system transaction */

/* ---- mapping */

/* Prepend a window of at least `bytes`; where address space is short (ulimit -v), of little more.  On failure the file
** is read with pread from then on. */
static bool map_window(sdb_data_file *file, uint64_t bytes) {
  uint64_t want = SDB_MAX(sdb_os_map_window(), sdb_page_up(bytes) * 2);
  sdb_window *window = sdb_malloc(sizeof *window);
  if (!window) return false;
  if (sdb_os_map(file->fd, 0, want, &window->address) != 0) {
    want = sdb_page_up(bytes + SDB_MAX(bytes / 4, ROOM_MIN_BYTES)); /* others need address space too */
    if (sdb_os_map(file->fd, 0, want, &window->address) != 0) {
      sdb_free(window);
      return false;
    }
  }
  window->bytes = want;
  window->older = atomic_load_explicit(&file->window, memory_order_relaxed);
  atomic_store_explicit(&file->window, window, memory_order_release);
  return true;
}

bool sdb_data_is_backed(const sdb_data_file *file, uint64_t offset, uint64_t bytes) {
  return file->backed && bytes > 0 &&
         sdb_backed_has(file->backed, file->fd, (sdb_range){offset, bytes}, atomic_load(&file->size_bytes));
}

const uint8_t *sdb_data_at(const sdb_data_file *file, uint64_t offset, uint64_t bytes) {
  const sdb_window *window = atomic_load_explicit(&file->window, memory_order_acquire);
  if (!window || offset > window->bytes || bytes > window->bytes - offset) return NULL;
  if (file->backed && bytes > 0 &&
      !sdb_backed_has(file->backed, file->fd, (sdb_range){offset, bytes}, file->size_bytes))
    return NULL;
  return window->address + offset;
}

/* Does the newest window reach that far? */
static bool is_mapped(const sdb_data_file *file, uint64_t bytes) {
  const sdb_window *window = atomic_load_explicit(&file->window, memory_order_relaxed);
  return window && bytes <= window->bytes;
}

int sdb_data_open(sdb_data_file *file, sdb_fd fd, bool map, uint64_t min_bytes, const sdb_op *op) {
  sdb_os_info info;
  memset(file, 0, sizeof *file);
  file->fd = fd;
  file->min_bytes = min_bytes;
  int os = sdb_os_info_of(fd, &info);
  if (os) return sdb_error_os(op, os, "data", 0, "data: cannot read its size");
  atomic_init(&file->size_bytes, info.size_bytes);
  atomic_init(&file->window, NULL);
  file->mapped = map && map_window(file, info.size_bytes);
  file->dense = file->mapped && sdb_os_dense(fd);
  if (!file->mapped || !sdb_os_may_fill_holes(fd)) return SEQDB_OK;
  file->backed = sdb_backed_new();
  return file->backed ? SEQDB_OK : sdb_error_nomem(op);
}

void sdb_data_close(sdb_data_file *file) {
  sdb_window *window = atomic_load(&file->window);
  while (window) {
    sdb_window *older = window->older;
    sdb_os_unmap(window->address, window->bytes);
    sdb_free(window);
    window = older;
  }
  atomic_store(&file->window, NULL);
  sdb_backed_free(file->backed);
  file->backed = NULL;
  sdb_os_close(file->fd);
  file->fd = -1;
}

/* Blocks of the range may be gone. */
static void forget_backed(const sdb_data_file *file, uint64_t offset, uint64_t bytes) {
  if (file->backed) sdb_backed_forget(file->backed, offset, bytes);
}

/* ---- size */

/* Cut the file, which is larger. */
static int cut(sdb_data_file *file, uint64_t bytes) {
  uint64_t size = atomic_load(&file->size_bytes);
  int os = sdb_os_truncate(file->fd, bytes);
  if (os) return os;
  forget_backed(file, bytes, size - bytes);
  atomic_store(&file->size_bytes, bytes);
  return 0;
}

static int grow(sdb_data_file *file, uint64_t bytes, uint64_t step_max, const sdb_op *op) {
  uint64_t size = atomic_load(&file->size_bytes);
  if (bytes > SDB_OFFSET_MAX)
    return sdb_error_set(op, SEQDB_FULL, "data", bytes, "data: no file can have %llu bytes", (unsigned long long)bytes);
  if (bytes > size) {
    uint64_t step = SDB_MIN(size / 8, step_max);
    uint64_t want = SDB_MAX(SDB_MAX(sdb_page_up(bytes), MIN_FILE_BYTES), sdb_page_up(file->min_bytes));
    want = SDB_MAX(want, sdb_page_up(size + step));
    int os = sdb_os_truncate(file->fd, want);
    if (os && want > sdb_page_up(bytes)) os = sdb_os_truncate(file->fd, want = sdb_page_up(bytes));
    if (os) return sdb_error_os(op, os, "data", size, "data: cannot grow to %llu bytes", (unsigned long long)want);
    atomic_store(&file->size_bytes, want);
    size = want;
  }
  if (file->mapped && !is_mapped(file, size)) (void)map_window(file, size); /* else pread serves the rest */
  return SEQDB_OK;
}

int sdb_data_ensure(sdb_data_file *file, uint64_t bytes, const sdb_op *op) {
  return grow(file, bytes, GROW_MAX_BYTES, op);
}

int sdb_data_look(sdb_data_file *file, const sdb_op *op) {
  sdb_os_info info;
  int os = sdb_os_info_of(file->fd, &info);
  if (os) return sdb_error_os(op, os, "data", 0, "data: cannot read its size");
  atomic_store(&file->size_bytes, info.size_bytes);
  if (file->mapped && !is_mapped(file, info.size_bytes)) (void)map_window(file, info.size_bytes);
  return SEQDB_OK;
}

void sdb_data_forget(sdb_data_file *file) {
  if (file->backed) sdb_backed_forget(file->backed, 0, SDB_OFFSET_MAX);
}

int sdb_data_lengthen(sdb_data_file *file, uint64_t least_bytes, const sdb_op *op) {
  uint64_t size = atomic_load(&file->size_bytes), shorter = sdb_page_up(size) - SDB_PAGE;
  int rc = grow(file, size + SDB_PAGE, 0, op);
  if (rc != SEQDB_FULL || size < SDB_PAGE || shorter < SDB_MAX(least_bytes, MIN_FILE_BYTES)) return rc;
  return cut(file, shorter) == 0 ? SEQDB_OK : rc;
}

int sdb_data_cut(sdb_data_file *file, uint64_t bytes, const sdb_op *op) {
  uint64_t want = SDB_MAX(SDB_MAX(sdb_page_up(bytes), MIN_FILE_BYTES), sdb_page_up(file->min_bytes));
  if (want >= atomic_load(&file->size_bytes)) return SEQDB_OK;
  int os = cut(file, want);
  return os ? sdb_error_os(op, os, "data", want, "data: cannot cut to %llu bytes", (unsigned long long)want) : SEQDB_OK;
}

/* ---- bytes */

/* From here on a system call costs less than the pages that a copy from the mapping would add to the process. */
#define PREAD_BYTES 65536u

int sdb_data_read(const sdb_data_file *file, uint64_t offset, void *buffer, size_t bytes, const sdb_op *op) {
  uint64_t size = atomic_load(&file->size_bytes);
  size_t got = 0;
  if (offset + bytes > size) { /* recovered read-only: the file is to be longer, and records have these bytes */
    size_t there = offset < size ? (size_t)(size - offset) : 0;
    memset((uint8_t *)buffer + there, 0, bytes - there);
    bytes = there;
  }
  if (bytes == 0) return SEQDB_OK;
  const uint8_t *address = bytes < PREAD_BYTES ? sdb_data_at(file, offset, bytes) : NULL;
  if (address) {
    memcpy(buffer, address, bytes);
    return SEQDB_OK;
  }
  int os = sdb_os_pread(file->fd, buffer, bytes, offset, &got);
  if (!os && got < bytes) os = EIO;
  if (os)
    return sdb_error_os(op, os, "data", offset, "data: cannot read %zu bytes at %llu", bytes,
                        (unsigned long long)offset);
  return SEQDB_OK;
}

int sdb_data_write(const sdb_data_file *file, uint64_t offset, const void *buffer, size_t bytes, const sdb_op *op) {
  int os = bytes ? sdb_os_pwrite(file->fd, buffer, bytes, offset) : 0;
  if (os)
    return sdb_error_os(op, os, "data", offset, "data: cannot write %zu bytes at %llu", bytes,
                        (unsigned long long)offset);
  return SEQDB_OK;
}

#define LOOK_BYTES (UINT64_C(1) << 20) /* so far ahead a run of data is followed */

int sdb_data_allocate(const sdb_data_file *file, uint64_t offset, uint64_t bytes, sdb_range *backed, const sdb_op *op) {
  uint64_t at = sdb_page_down(offset), to = sdb_page_up(offset + bytes), data, end;
  if (at >= backed->start && to <= backed->start + backed->bytes) return SEQDB_OK;
  if (file->backed && sdb_backed_has(file->backed, file->fd, (sdb_range){at, to - at}, to)) return SEQDB_OK;
  for (; at < to; at = end) {
    if (sdb_os_next_data(file->fd, at, to + LOOK_BYTES, &data, &end) != 0) return SEQDB_OK;
    uint64_t hole = SDB_MIN(data, to) - at;
    int os = hole ? sdb_os_allocate(file->fd, at, hole) : 0;
    if (os && os != EOPNOTSUPP)
      return sdb_error_os(op, os, "data", at, "data: no room for %llu bytes at %llu", (unsigned long long)hole,
                          (unsigned long long)at);
    *backed = (sdb_range){at, end - at};
  }
  return SEQDB_OK;
}

static int write_zeros(const sdb_data_file *file, uint64_t offset, uint64_t bytes, const sdb_op *op) {
  static const uint8_t zeros[65536];
  int rc = SEQDB_OK;
  for (uint64_t done = 0; done < bytes && rc == SEQDB_OK;) {
    size_t part = (size_t)SDB_MIN(sizeof zeros, bytes - done);
    rc = sdb_data_write(file, offset + done, zeros, part, op);
    done += part;
  }
  return rc;
}

int sdb_data_zero(sdb_data_file *file, uint64_t offset, uint64_t bytes, const sdb_op *op) {
  uint64_t end = offset + bytes, from = sdb_page_up(offset), to = sdb_page_down(end);
  if (file->cannot_punch || file->dense || bytes < PUNCH_MIN_BYTES || from >= to)
    return write_zeros(file, offset, bytes, op);
  int os = sdb_os_punch(file->fd, from, to - from);
  forget_backed(file, from, to - from);
  if (os == EOPNOTSUPP || os == ENOSYS || os == EINVAL) {
    file->cannot_punch = true;
    return write_zeros(file, offset, bytes, op);
  }
  if (os)
    return sdb_error_os(op, os, "data", from, "data: cannot zero %llu bytes at %llu", (unsigned long long)(to - from),
                        (unsigned long long)from);
  int rc = write_zeros(file, offset, from - offset, op);
  return rc == SEQDB_OK ? write_zeros(file, to, end - to, op) : rc;
}

void sdb_data_punch(sdb_data_file *file, uint64_t offset, uint64_t bytes) {
  uint64_t from = sdb_page_up(offset), to = sdb_page_down(SDB_MIN(offset + bytes, atomic_load(&file->size_bytes)));
  if (from >= to || file->cannot_punch) return;
  int os = sdb_os_punch(file->fd, from, to - from);
  forget_backed(file, from, to - from);
  if (os == EOPNOTSUPP || os == ENOSYS) file->cannot_punch = true;
}
