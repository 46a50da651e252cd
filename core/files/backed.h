/* SPDX-License-Identifier: MIT
**
** backed.h: which runs of a file are known to have blocks, so that reading them through a mapping takes no space.
** Used where reading a hole would fill it.  The system is asked once a run: on tmpfs its answer costs time for each
** page of the run.
** INVARIANT: what is known is right until it is told otherwise.  Whoever takes blocks away calls sdb_backed_forget()
** after that, and before anybody may read there again.
** THREADS: any.
*/
#ifndef SDB_BACKED_H
#define SDB_BACKED_H

#include "os/os.h"
#include "pure/ranges.h"

typedef struct sdb_backed sdb_backed;

/* NULL: out of memory. */
sdb_backed *sdb_backed_new(void);
void sdb_backed_free(sdb_backed *backed); /* NULL is allowed */
/* Has all of the range blocks?  A run is looked at up to `end`, the file's end.  false also where the system does not
** answer. */
bool sdb_backed_has(sdb_backed *backed, sdb_fd file, sdb_range range, uint64_t end);
void sdb_backed_forget(sdb_backed *backed, uint64_t offset, uint64_t bytes);

#endif /* SDB_BACKED_H */
