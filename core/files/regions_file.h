/* SPDX-License-Identifier: MIT
**
** regions_file.h: the file `regions`: one entry a page, and the guard byte at its end.
** Knows pages, not regions: reading shows each entry to a visitor, writing asks for each entry.  Never decides
** whether damage matters: it reports what each page is, and recovery judges after redo.
** THREADS: the writer's; reading happens at open.
*/
#ifndef SDB_REGIONS_FILE_H
#define SDB_REGIONS_FILE_H

#include "base/error.h"
#include "os/os.h"
#include "pure/entry_page.h"

typedef struct sdb_regions_file {
  sdb_fd fd;
  bool map;       /* read it through a mapping where that reports errors */
  uint64_t pages; /* entries the file has room for */
  bool guarded;   /* one byte more than pages * 4096 */
  bool odd_guard; /* ... and that byte is not zero: it means nothing, but must not become part of an entry */
  bool stamped;   /* this is its stamp since it was measured or changed here last; else the system has none */
  bool disturbed; /* somebody has changed it in between, who is no member */
  sdb_os_stamp stamp;
} sdb_regions_file;

/* A page that is neither free nor a valid entry. */
typedef struct sdb_bad_entry {
  uint32_t index, at; /* byte within the page */
  const char *why;
  uint64_t start, reserved; /* as read */
} sdb_bad_entry;

typedef struct sdb_regions_load {
  sdb_bad_entry *bad; /* freed by the caller with sdb_free */
  size_t bad_count, bad_capacity;
  bool any_trailer;
  uint64_t odd_bytes;                          /* size modulo 4096 where that is no guard byte */
  int (*ask)(void *context, const sdb_op *op); /* NULL, or called now and then: an error ends the reading */
  void *ask_context;
} sdb_regions_load;

/* Called for each used entry, in order of index.  `image` and its name are valid during the call.  An error ends the
** reading and is returned. */
typedef int sdb_regions_visit(void *context, uint32_t index, const sdb_entry_image *image, const sdb_op *op);
/* Fill *image for entry `index`, with a name that stays valid until the next call; false: the entry is free. */
typedef bool sdb_regions_fill(const void *context, uint32_t index, sdb_entry_image *image);

/* Look at size and guard: sets `pages`, `guarded`, `odd_guard`, the stamp and load->odd_bytes.  Errors: IO; CORRUPT if
** there are more pages than entries can be. */
int sdb_regions_measure(sdb_regions_file *file, sdb_regions_load *load, const sdb_op *op);
/* After measure(): show every used entry to `visit`.  Damaged pages are listed in *load and not shown.  The zeros
** between the name and a trailer are not looked at: check does that.  Errors: IO, NOMEM, the visitor's. */
int sdb_regions_read(const sdb_regions_file *file, sdb_regions_visit *visit, void *context, sdb_regions_load *load,
                     const sdb_op *op);
/* Set (one byte more) or remove the guard and make it durable (unless sync_off).  A failed fdatasync sets *poison. */
int sdb_regions_guard(sdb_regions_file *file, bool on, bool sync_off, bool *poison, const sdb_op *op);
/* First page from `page` on that does not lie in a hole, file->pages if all do; *end: the hole after it, or
** file->pages.  Entries in holes are free.  (Ours has none; but whoever sends us a file may have made it as long as a
** file can be.) */
uint64_t sdb_regions_next(const sdb_regions_file *file, uint64_t page, uint64_t *end);
/* Blocks for the pages `from`..`to` - 1, also past the end; where the file system cannot promise any, none.
** Errors: IO, FULL. */
int sdb_regions_allocate(sdb_regions_file *file, uint32_t from, uint32_t to, const sdb_op *op);
/* Write pages `from`..`to` - 1 as `fill` says.  Not synced.  The file must be guarded and large enough.  Errors: IO,
** FULL, NOMEM. */
int sdb_regions_write(sdb_regions_file *file, uint32_t from, uint32_t to, sdb_regions_fill *fill, const void *context,
                      const sdb_op *op);
/* Write a zero where the guard byte is odd; to be synced before the file is extended. */
int sdb_regions_zero_guard(sdb_regions_file *file, const sdb_op *op);
/* Give the blocks of pages `from`..`to` - 1, which are zeros, back to the file system, where it can. */
void sdb_regions_punch(sdb_regions_file *file, uint64_t from, uint64_t to);
/* Have room for `pages` entries, guard kept.  Never fewer than there are: a torn cut could leave noise in a page. */
int sdb_regions_resize(sdb_regions_file *file, uint64_t pages, const sdb_op *op);
/* Give it a stamp that no later change leaves it: *stamp.  false: the system cannot, or nobody knows what the file
** says, for somebody else has changed it. */
bool sdb_regions_stamp(sdb_regions_file *file, sdb_os_stamp *stamp);

#endif /* SDB_REGIONS_FILE_H */
