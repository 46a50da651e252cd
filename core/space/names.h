/* SPDX-License-Identifier: MIT
**
** names.h: the names of regions: immutable texts, counted, one object per (text, entry index), in one hash table per
** store.
**
** Several objects may bear one text, while several live catalogs give the name to different entries.  A look-up
** visits all of them, and the caller takes the object that its own catalog refers to: pointer identity, so no catalog
** needs a table of its own and old catalogs never see new names.
** THREADS: any; the table has its mutex, reference counts are atomic.
*/
#ifndef SDB_NAMES_H
#define SDB_NAMES_H

#include "base/error.h"
#include "space/bulk.h"

typedef struct sdb_name sdb_name;
typedef struct sdb_names sdb_names;

int sdb_names_open(sdb_names **names);
/* Nobody makes, lists or looks for a name any more: all that follows is unref. */
void sdb_names_retire(sdb_names *names);
void sdb_names_close(sdb_names *names); /* every name must be gone */
/* About `count` names are going to be made, one after the other, and nobody else makes any: they lie side by side, and
** look-ups find them once they were listed.  Failing does no harm. */
void sdb_names_load_begin(sdb_names *names, uint64_t count);
void sdb_names_load_end(sdb_names *names);
/* Where a load takes its memory from; NULL: there is no load, or a small one. */
sdb_bulk *sdb_names_bulk(sdb_names *names);
/* From now on look-ups find the names of the list; some may be found already.  SEQDB_NOMEM: some are not. */
int sdb_names_list(sdb_names *names, sdb_name *const *list, size_t count);
/* Some text has, or once had, several objects: names need not be unique. */
bool sdb_names_repeat(const sdb_names *names);
/* New object with one reference, found by look-ups at once, but in a load.  NULL: out of memory. */
sdb_name *sdb_name_new(sdb_names *names, const char *text, size_t bytes, uint32_t index);
void sdb_name_ref(sdb_name *name);
void sdb_name_unref(sdb_names *names, sdb_name *name);
const char *sdb_name_text(const sdb_name *name);
uint32_t sdb_name_bytes(const sdb_name *name);
/* For a message: see sdb_quote_name(). */
const char *sdb_name_quote(const sdb_name *name, char out[SDB_QUOTED_MAX]);
/* Call visit(context, name, index) for the objects that bear the text until it says true; tells whether it did.  The
** table's mutex is held meanwhile. */
typedef bool sdb_name_visit(const void *context, const sdb_name *name, uint32_t index);
bool sdb_names_find(sdb_names *names, const char *text, size_t bytes, sdb_name_visit *visit, const void *context,
                    uint32_t *index);

#endif /* SDB_NAMES_H */
