/* SPDX-License-Identifier: MIT
**
** failing_memory.h: SQLite's table of functions with some of them replaced, as the test build of the extension can be
** given it.
*/
#ifndef SDB_FAILING_MEMORY_H
#define SDB_FAILING_MEMORY_H

#include <sqlite3ext.h>

/* sql/failing_memory.c: a copy of the table whose allocations can be made to fail; there is one. */
sqlite3_api_routines *sdb_test_faulty_api(const sqlite3_api_routines *api);

#endif /* SDB_FAILING_MEMORY_H */
