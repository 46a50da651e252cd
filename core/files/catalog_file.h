/* SPDX-License-Identifier: MIT
**
** catalog_file.h: the file `catalog`: what opening needs of all entries, packed.  FORMAT.md section 8.
**
**     [ head | block | block | ... | block | changes | changes ]
**              the list, written at once     ^ appended later: as much as has changed
**
** It is only ever a copy of what `regions` says at a journal header, and may be deleted at any time.  So nothing here
** is an error that anybody hears of: what cannot be read or written is as if there were no such file.  Never synced: a
** torn one fails its checksums.  A new list gets a new file; only changes and the head are written in place.
** THREADS: who opens reads; the writer writes.  Readers in other processes see the old head or the new one.
*/
#ifndef SDB_CATALOG_FILE_H
#define SDB_CATALOG_FILE_H

#include "base/error.h"
#include "os/os.h"
#include "pure/catalog_block.h"
#include "pure/journal_header.h"

#define SDB_CATALOG_NAME     "catalog"
#define SDB_CATALOG_NEW_NAME "catalog.new" /* while a new list is written */

/* Fill in what ties a head to a header and to `regions` as it is now. */
void sdb_catalog_head_bind(sdb_catalog_head *head, const sdb_journal_header *header, const sdb_os_stamp *regions);
/* Is it the list of that header's base? */
bool sdb_catalog_head_is_of(const sdb_catalog_head *head, const sdb_journal_header *header);
/* Has nobody changed `regions` since? */
bool sdb_catalog_head_has_stamp(const sdb_catalog_head *head, const sdb_os_stamp *regions);

typedef struct sdb_catalog_file {
  sdb_fd fd;
  sdb_catalog_head head;
} sdb_catalog_file;

/* Is the file of this name one that is written here, or what a crash has left of it, or is there none?  Another one is
** left alone. */
bool sdb_catalog_file_is_ours(sdb_fd dir, const char *name);
/* Open it for reading; the caller closes `fd`.  false: there is none, or it has no valid head; then `fd` is -1. */
bool sdb_catalog_file_open(sdb_fd dir, sdb_catalog_file *file);

/* Called for each item, those of the list in order of index.  image->name_bytes 0: the entry is free.  An error ends
** the reading and is returned. */
typedef int sdb_catalog_visit(void *context, uint32_t index, const sdb_entry_image *image, const sdb_op *op);
/* Show every item.  *whole: they all could be read and are good.  Errors: NOMEM, the visitor's. */
int sdb_catalog_file_read(const sdb_catalog_file *file, sdb_catalog_visit *visit, void *context, bool *whole,
                          const sdb_op *op);

/* Where it is written. */
typedef struct sdb_catalog_place {
  sdb_fd dir, regions;
} sdb_catalog_place;

/* Gives the next item; false: there are no more. */
typedef bool sdb_catalog_next(void *context, uint32_t *index, sdb_entry_image *image);
/* A new list, in a new file that has the access of `regions`.  `head` is bound; id and ends are chosen here.  false:
** the file is as it was. */
bool sdb_catalog_file_write(const sdb_catalog_place *place, sdb_catalog_head *head, sdb_catalog_next *next,
                            void *context);
/* Changes since `before`, behind what the file has, and a new head; id and list_end stay.  Another member may have
** added changes meanwhile: those are among these.  false: they cannot be added (another database's, more names or
** readers than `regions` has, too many changes); the file then is as it was, or nobody believes it. */
bool sdb_catalog_file_append(const sdb_catalog_place *place, const sdb_catalog_head *before, sdb_catalog_head *head,
                             sdb_catalog_next *next, void *context);

#endif /* SDB_CATALOG_FILE_H */
