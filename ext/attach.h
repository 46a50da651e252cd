/* SPDX-License-Identifier: MIT
**
** attach.h: joins sqlite3_vtab objects, and functions at work, to the directory they use.
*/
#ifndef SDB_ATTACH_H
#define SDB_ATTACH_H

#include "directory.h"
#include "failure.h"
#include "table.h"

/* Sets table->directory, opened if this connection has it not open yet.  `create` allows to make it on disk.  A
** directory that another table of the connection uses is an error. */
int sdb_table_attach(sdb_table *table, bool create, sdb_failure *f);
/* Attaches unless that is done.  Called first wherever a statement begins to use the table. */
int sdb_table_ready(sdb_table *table, sdb_failure *f);
void sdb_table_detach(sdb_table *table);

/* While a function works on it: whatever SQL it runs, the directory stays open.  Ends with a release. */
void sdb_directory_hold(sdb_directory *directory);
/* The last user closes it. */
void sdb_directory_release(sdb_directory *directory);

#endif /* SDB_ATTACH_H */
