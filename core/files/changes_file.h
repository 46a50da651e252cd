/* SPDX-License-Identifier: MIT
**
** changes_file.h: the file `changes`: what the commits before a journal header have changed.  FORMAT.md section 9.
**
**     [ list, up to a header's base | what the next header folded | the next | ... ]
**
** Each block leads from one base to the next, and names both by generation and token.  So a file that does not lead to
** the base of the header in use is not believed, whatever became of it: it may be deleted at any time.  Nothing here is
** an error that anybody hears of.  A new list gets a new file; only blocks behind the present end are written in place.
** THREADS: the writer writes; anybody reads.
*/
#ifndef SDB_CHANGES_FILE_H
#define SDB_CHANGES_FILE_H

#include "base/error.h"
#include "os/os.h"
#include "pure/changes_block.h"

#define SDB_CHANGES_NAME     "changes"
#define SDB_CHANGES_NEW_NAME "changes.new" /* while a new list is written */

/* How large it may get in a database of so many entries, free ones included. */
uint64_t sdb_changes_file_limit(uint64_t entries);

/* Is the file of this name one that is written here, or what a crash has left of it, or is there none?  Another one is
** left alone. */
bool sdb_changes_file_is_ours(sdb_fd dir, const char *name);

/* What it says of the commits up to a state. */
typedef struct sdb_changes_found {
  bool known;
  sdb_change_list list;
  uint64_t id, end; /* where the next block goes; 0: the list is of a later state, it holds more than was asked for */
} sdb_changes_found;
/* found->known is false if the file does not lead to the state; then the list is empty, and its floor the state's
** generation.  NOMEM. */
int sdb_changes_file_read(sdb_fd dir, const uint8_t uuid[16], const sdb_changes_state *state, sdb_changes_found *found);

/* Where and how it is written. */
typedef struct sdb_changes_place {
  sdb_fd dir, regions; /* a new file has the access of `regions` */
  bool sync;           /* durably */
} sdb_changes_place;

/* A block behind what was found, or, of a new list, a file that begins with it; uuid, floor and states of `block` are
** filled.  false: the file leads to the state that it led to before, or to none. */
bool sdb_changes_file_append(const sdb_changes_place *place, const sdb_changes_found *found, sdb_changes_block *block,
                             const sdb_change_list *list);
bool sdb_changes_file_write(const sdb_changes_place *place, sdb_changes_block *block, const sdb_change_list *list);

#endif /* SDB_CHANGES_FILE_H */
