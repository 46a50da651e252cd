/* SPDX-License-Identifier: MIT
**
** test_sql.h: SQLite's table of functions with some of them replaced, as the test build of the extension can be given it.
*/
#ifndef SDB_TEST_SQL_H
#define SDB_TEST_SQL_H

#include <sqlite3ext.h>

/* test_sql_memory.c: a copy of the table whose allocations can be made to fail; there is one. */
sqlite3_api_routines *sdb_test_faulty_api(const sqlite3_api_routines *api);

#endif /* SDB_TEST_SQL_H */
