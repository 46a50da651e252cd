/* SPDX-License-Identifier: MIT
**
** fuzz_files.c: the fuzzer's input, files in memory, and their way to and from the simulated disk.  See fuzz.h.
** THREADS: one.
*/
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "fuzz.h"
#include "disk/os_sim.h"

static const char *const file_names[FUZZ_FILES] = {"data", "regions", "journal", "catalog"};
static char problem[2000];

void *fuzz_memory(void *old, size_t bytes) {
  void *memory = realloc(old, bytes ? bytes : 1);
  if (!memory) abort();
  return memory;
}

bool fuzz_wrong(const char *format, ...) {
  va_list args;
  va_start(args, format);
  if (!problem[0]) vsnprintf(problem, sizeof problem, format, args);
  va_end(args);
  return false;
}

const char *fuzz_problem(void) {
  return problem;
}

void fuzz_forget_problem(void) {
  problem[0] = '\0';
}

/* ---- input */

const uint64_t fuzz_hostile[] = {0,
                                 1,
                                 2,
                                 7,
                                 4095,
                                 4096,
                                 4097,
                                 8192,
                                 12288,
                                 65535,
                                 65536,
                                 (uint64_t)1 << 20,
                                 ((uint64_t)1 << 20) + 4096,
                                 INT32_MAX,
                                 (uint64_t)1 << 31,
                                 UINT32_MAX,
                                 (uint64_t)1 << 32,
                                 ((uint64_t)1 << 32) + 4096,
                                 FUZZ_FILE_MAX - 4096,
                                 FUZZ_FILE_MAX,
                                 (uint64_t)1 << 62,
                                 SDB_OFFSET_MAX - 8191,
                                 SDB_OFFSET_MAX - 4095,
                                 SDB_OFFSET_MAX,
                                 SDB_OFFSET_MAX + 1,
                                 INT64_MAX,
                                 (uint64_t)1 << 63,
                                 UINT64_MAX - 4095,
                                 UINT64_MAX};
const size_t fuzz_hostile_count = sizeof fuzz_hostile / sizeof fuzz_hostile[0];

uint8_t fuzz_u8(fuzz_input *input) {
  return input->at < input->end ? *input->at++ : 0;
}

uint16_t fuzz_u16(fuzz_input *input) {
  uint8_t low = fuzz_u8(input);
  return (uint16_t)(low | fuzz_u8(input) << 8);
}

uint32_t fuzz_u32(fuzz_input *input) {
  uint16_t low = fuzz_u16(input);
  return low | (uint32_t)fuzz_u16(input) << 16;
}

uint64_t fuzz_value(fuzz_input *input) {
  uint8_t kind = fuzz_u8(input);
  if (kind < fuzz_hostile_count) return fuzz_hostile[kind];
  if (kind < 96) return (uint64_t)(kind - 28) * 4096;
  if (kind < 160) return kind - 96u;
  if (kind < 200) return fuzz_u16(input);
  if (kind < 230) return fuzz_u32(input);
  uint32_t low = fuzz_u32(input);
  return low | (uint64_t)fuzz_u32(input) << 32;
}

/* ---- files */

void fuzz_get(const fuzz_file *file, uint64_t at, void *bytes, size_t count) {
  size_t there = at < file->stored ? (size_t)SDB_MIN(count, file->stored - at) : 0;
  if (there) memcpy(bytes, file->bytes + at, there);
  memset((uint8_t *)bytes + there, 0, count - there);
}

uint8_t fuzz_byte(const fuzz_file *file, uint64_t at) {
  return at < file->stored ? file->bytes[at] : 0;
}

void fuzz_resize(fuzz_file *file, uint64_t size) {
  file->size = size;
  file->stored = SDB_MIN(file->stored, size);
}

void fuzz_put(fuzz_file *file, uint64_t at, const void *bytes, size_t count) {
  uint64_t end = at + count;
  if (end > file->stored) {
    file->bytes = fuzz_memory(file->bytes, (size_t)end);
    memset(file->bytes + file->stored, 0, (size_t)(end - file->stored));
    file->stored = end;
  }
  if (count) memcpy(file->bytes + at, bytes, count);
  file->size = SDB_MAX(file->size, end);
}

void fuzz_disk_free(fuzz_disk *disk) {
  for (int i = 0; i < FUZZ_FILES; i++)
    free(disk->file[i].bytes);
  memset(disk, 0, sizeof *disk);
}

void fuzz_disk_copy(fuzz_disk *to, const fuzz_disk *from) {
  fuzz_disk_free(to);
  for (int i = 0; i < FUZZ_FILES; i++) {
    to->file[i] = from->file[i];
    to->file[i].bytes = fuzz_memory(NULL, (size_t)from->file[i].stored);
    fuzz_get(&from->file[i], 0, to->file[i].bytes, (size_t)from->file[i].stored);
  }
}

/* ---- simulated disk */

static uint64_t size_of(const char *name) {
  sdb_sim_entry entry;
  for (size_t i = 0; sdb_sim_list(FUZZ_DIR, i, &entry) == 0; i++)
    if (strcmp(entry.name, name) == 0) return entry.cache_bytes;
  return UINT64_MAX;
}

void fuzz_disk_load(fuzz_disk *disk) {
  fuzz_disk_free(disk);
  for (int i = 0; i < FUZZ_FILES; i++) {
    char path[40];
    fuzz_file *file = &disk->file[i];
    uint64_t size = size_of(file_names[i]);
    size_t got = 0;
    file->missing = size == UINT64_MAX;
    if (file->missing) continue;
    snprintf(path, sizeof path, FUZZ_DIR "/%s", file_names[i]);
    file->size = size;
    file->bytes = fuzz_memory(NULL, (size_t)size);
    if (sdb_sim_peek(path, 0, file->bytes, (size_t)size, &got) != 0 || got != size) abort();
    file->stored = size;
    while (file->stored > 0 && file->bytes[file->stored - 1] == 0)
      file->stored--;
  }
}

static void store_file(sdb_fd dir, const char *name, const fuzz_file *file) {
  sdb_fd fd = -1;
  if (file->missing) return;
  int os = sdb_sim_open(dir, name, SDB_OPEN_WRITE | SDB_OPEN_CREATE, &fd);
  if (!os && file->stored) os = sdb_sim_pwrite(fd, file->bytes, (size_t)file->stored, 0);
  if (!os) os = sdb_sim_truncate(fd, file->size);
  if (!os) os = sdb_sim_sync(fd);
  if (os) abort();
  sdb_sim_close(fd);
}

static void bind_catalog(sdb_fd dir, const fuzz_file *catalog) {
  uint8_t page[SDB_CATALOG_HEAD_BYTES];
  sdb_catalog_head head;
  sdb_os_stamp stamp;
  sdb_fd regions = -1, fd = -1;
  fuzz_get(catalog, 0, page, sizeof page);
  if (catalog->missing || !sdb_catalog_head_decode(page, &head)) return;
  if (sdb_sim_open(dir, "regions", 0, &regions) != 0) return;
  if (sdb_sim_stamp_of(regions, &stamp) != 0 || sdb_sim_open(dir, "catalog", SDB_OPEN_WRITE, &fd) != 0) abort();
  head.regions_inode = stamp.inode;
  head.regions_bytes = stamp.size_bytes;
  head.modified_ns = stamp.modified_ns;
  head.changed_ns = stamp.changed_ns;
  sdb_catalog_head_encode(page, &head);
  if (sdb_sim_pwrite(fd, page, sizeof page, 0) != 0 || sdb_sim_sync(fd) != 0) abort();
  sdb_sim_close(regions);
  sdb_sim_close(fd);
}

void fuzz_disk_store(const fuzz_disk *disk) {
  sdb_fd dir = -1;
  sdb_sim_reset();
  sdb_sim_set_file_max(FUZZ_FILE_MAX);
  if (sdb_sim_make_dir("db") != 0 || sdb_sim_open_dir("db", &dir) != 0) abort();
  for (int i = 0; i < FUZZ_FILES; i++)
    store_file(dir, file_names[i], &disk->file[i]);
  bind_catalog(dir, &disk->file[FUZZ_CATALOG]);
  if (sdb_sim_sync_dir(dir) != 0 || sdb_sim_sync_parent("db") != 0) abort();
  sdb_sim_close(dir);
}
