/* SPDX-License-Identifier: MIT
**
** data_file.h: the file `data`: its size, its read-only mapping, positioned reads and writes.
** Asks nobody whether a byte may be written: callers have asked space.h.  Never stores through the mapping (R8), and
** the mapping never moves (R9): one window reserves address space far past the file's end; when the file outgrows it,
** a larger window is mapped beside it and the old one stays until close.
** THREADS: reads from any thread; ensure() and cut() by the writer.
*/
#ifndef SDB_DATA_FILE_H
#define SDB_DATA_FILE_H

#include <stdatomic.h>
#include "base/error.h"
#include "files/backed.h"
#include "os/os.h"
#include "pure/ranges.h"

typedef struct sdb_window {
  struct sdb_window *older;
  const uint8_t *address;
  uint64_t bytes;
} sdb_window;

typedef struct sdb_data_file {
  sdb_fd fd;
  bool mapped;                  /* false: mmap=0, or no address space was to be had */
  bool cannot_punch;            /* the file system refused once */
  bool dense;                   /* zeros must be written: a hole in the mapping may be SIGBUS */
  sdb_backed *backed;           /* ... and somebody else may have made one: what may be read there; else NULL */
  _Atomic uint64_t size_bytes;  /* of the file */
  _Atomic uint64_t min_bytes;   /* never cut below */
  _Atomic(sdb_window *) window; /* newest; NULL if not mapped */
} sdb_data_file;

int sdb_data_open(sdb_data_file *file, sdb_fd fd, bool map, uint64_t min_bytes, const sdb_op *op);
void sdb_data_close(sdb_data_file *file);
/* Make the file (and the window) reach to at least `bytes`; grows in steps.  FULL if the disk or file system cannot. */
int sdb_data_ensure(sdb_data_file *file, uint64_t bytes, const sdb_op *op);
/* Another process may have changed the size: ask anew, and have the window reach as far.  The writer, or who follows
** another member while there is no writer. */
int sdb_data_look(sdb_data_file *file, const sdb_op *op);
/* Another process may have punched anywhere: nothing is known to have blocks. */
void sdb_data_forget(sdb_data_file *file);
/* A page longer, so that the next fdatasync writes the size: the present one may be in the page cache alone.  Where the
** file may not grow, a page shorter, if `least_bytes` remain. */
int sdb_data_lengthen(sdb_data_file *file, uint64_t least_bytes, const sdb_op *op);
/* Cut the file to max(bytes, min_bytes, 1 MiB), page-aligned.  A file that is shorter stays. */
int sdb_data_cut(sdb_data_file *file, uint64_t bytes, const sdb_op *op);
/* Address of [offset, offset + bytes) in the mapping, or NULL if it is not mapped, or if touching it could need room on
** the disk.  The range lies within the file. */
const uint8_t *sdb_data_at(const sdb_data_file *file, uint64_t offset, uint64_t bytes);
/* Are there blocks under all of the range, as far as this is kept in mind? */
bool sdb_data_is_backed(const sdb_data_file *file, uint64_t offset, uint64_t bytes);
int sdb_data_read(const sdb_data_file *file, uint64_t offset, void *buffer, size_t bytes, const sdb_op *op);
int sdb_data_write(const sdb_data_file *file, uint64_t offset, const void *buffer, size_t bytes, const sdb_op *op);
/* Blocks for those pages of the range that lie in holes: what is written there later needs no room.  *backed is a range
** that is known to have blocks, kept from call to call; empty at first.  Where the file system cannot tell or promise,
** none.  Errors: IO, FULL. */
int sdb_data_allocate(const sdb_data_file *file, uint64_t offset, uint64_t bytes, sdb_range *backed, const sdb_op *op);
/* Make the range read as zeros, sparse where that is possible. */
int sdb_data_zero(sdb_data_file *file, uint64_t offset, uint64_t bytes, const sdb_op *op);
/* Give whole pages back to the file system; what is not supported or fails is silently left. */
void sdb_data_punch(sdb_data_file *file, uint64_t offset, uint64_t bytes);

#endif /* SDB_DATA_FILE_H */
