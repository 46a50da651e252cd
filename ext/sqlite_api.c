/* SPDX-License-Identifier: MIT
**
** sqlite_api.c: owns the pointer to SQLite's table of functions.
**
** THREADS.  Connections on several threads may load the extension at the same time.  Each load brings the same table:
** it is stored once, so that nobody writes the pointer while others call through it.
**
** A process may have two libraries of SQLite (Python's own and that of a package).  Both would use this file's one
** pointer, and the connections of the first would call into the second: so it is refused while the first has any.
*/
#include <pthread.h>
#include "sqlite_api.h"

SQLITE_EXTENSION_INIT1

#ifdef SQLITE_CORE
bool sdb_sqlite_api_enter(const sqlite3_api_routines *api) {
  (void)api;
  return true;
}

void sdb_sqlite_api_leave(void) {}
#else
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static unsigned users;

bool sdb_sqlite_api_enter(const sqlite3_api_routines *api) {
  pthread_mutex_lock(&mutex);
  bool mine = users == 0 || sqlite3_api->sourceid == api->sourceid; /* of one library, also in another table */
  if (mine && sqlite3_api != api) SQLITE_EXTENSION_INIT2(api);
  users += mine;
  pthread_mutex_unlock(&mutex);
  return mine;
}

void sdb_sqlite_api_leave(void) {
  pthread_mutex_lock(&mutex);
  users--;
  pthread_mutex_unlock(&mutex);
}
#endif
