/* SPDX-License-Identifier: MIT
**
** cursor.h: methods of the module `seqdb` that read.
*/
#ifndef SDB_CURSOR_H
#define SDB_CURSOR_H

#include "sqlite_api.h"

int sdb_table_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info);
int sdb_cursor_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **cursor);
int sdb_cursor_close(sqlite3_vtab_cursor *cursor);
int sdb_cursor_filter(sqlite3_vtab_cursor *cursor, int plan, const char *text, int argc, sqlite3_value **argv);
int sdb_cursor_next(sqlite3_vtab_cursor *cursor);
int sdb_cursor_eof(sqlite3_vtab_cursor *cursor);
int sdb_cursor_column(sqlite3_vtab_cursor *cursor, sqlite3_context *context, int column);
int sdb_cursor_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *rowid);

#endif /* SDB_CURSOR_H */
