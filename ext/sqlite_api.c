/* SPDX-License-Identifier: MIT
**
** sqlite_api.c: owns the pointer to SQLite's table of functions.
**
** THREADS.  Connections on several threads may load the extension at the same time.  Each load brings the same table:
** it is stored once, so that nobody writes the pointer while others call through it.
*/
#include <pthread.h>
#include "sqlite_api.h"

SQLITE_EXTENSION_INIT1

void sdb_sqlite_api_keep(const sqlite3_api_routines *api) {
#ifdef SQLITE_CORE
  (void)api;
#else
  static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_lock(&mutex);
  if (sqlite3_api != api) SQLITE_EXTENSION_INIT2(api);
  pthread_mutex_unlock(&mutex);
#endif
}
