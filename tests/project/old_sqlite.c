/* SPDX-License-Identifier: MIT
**
** old_sqlite.c: loads the extension as SQLite 3.37.2 would, which lacks functions that the extension uses.
**
**   old_sqlite PATH-OF-EXTENSION
**
** Prints the entry point's result code and message.  The table of functions it is given holds only what is needed to
** ask for the version and to write a message: any other call is one through a null pointer.
*/
#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sqlite3ext.h>

typedef int (*entry_point)(sqlite3 *db, char **error, const sqlite3_api_routines *api);

static int version_number(void) {
  return 3037002;
}
static const char *version_text(void) {
  return "3.37.2";
}

static char *message_print(const char *format, ...) {
  char buffer[1000];
  va_list args;
  va_start(args, format);
  vsnprintf(buffer, sizeof buffer, format, args);
  va_end(args);
  return strdup(buffer);
}

int main(int argc, char **argv) {
  static sqlite3_api_routines api;
  char *message = NULL;
  entry_point entry = NULL;
  if (argc != 2) return 2;
  void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  void *symbol = library ? dlsym(library, "sqlite3_seqdb_init") : NULL;
  if (!symbol) {
    fprintf(stderr, "%s\n", dlerror());
    return 2;
  }
  memcpy(&entry, &symbol, sizeof entry); /* ISO C has no cast from an object pointer to a function pointer */
  api.libversion = version_text;
  api.libversion_number = version_number;
  api.mprintf = message_print;
  int code = entry(NULL, &message, &api);
  printf("%d %s\n", code, message ? message : "no message");
  free(message);
  return 0;
}
