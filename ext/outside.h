/* SPDX-License-Identifier: MIT
**
** outside.h: files that are not the database's own: those that regions are imported from and exported to.
*/
#ifndef SDB_OUTSIDE_H
#define SDB_OUTSIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "connection.h"
#include "failure.h"

/* The absolute path, from sqlite3_malloc, that an argument of `function` means.  Files of the connection's databases,
** SQLite's and ours, are refused, there or not. */
int sdb_outside_path(sdb_connection *connection, const char *function, sqlite3_value *value, char **path,
                     sdb_failure *f);

/* A regular file, read from beginning to end. */
typedef struct sdb_source {
  sdb_connection *connection;
  const char *path;    /* the caller's */
  sqlite3_file *file;  /* NULL: not open */
  char *real_path;     /* without symbolic links and with a 0 byte more, as the VFS, which keeps it, wants it */
  uint64_t size, at;   /* bytes: of the file when it was opened; read so far */
  uint64_t inode[2];   /* what it was when it was opened: device and inode ... */
  int64_t modified[2]; /* ... and when it was last written, seconds and nanoseconds */
  sdb_failure f;       /* what has gone wrong in the middle */
} sdb_source;

int sdb_source_open(sdb_source *source, sdb_connection *connection, const char *path, sdb_failure *f);
void sdb_source_close(sdb_source *source);
/* The next bytes; *got is 0 at the end.  SQLITE_OK, or source->f is filled: the program interrupts, or the file is not
** as it was. */
int sdb_source_read(sdb_source *source, void *buffer, size_t bytes, size_t *got);

#endif /* SDB_OUTSIDE_H */
