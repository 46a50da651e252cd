/* SPDX-License-Identifier: MIT
**
** new_folder.h: a folder that gets its name when all is in it, or is removed with all that was put there.
*/
#ifndef SDB_NEW_FOLDER_H
#define SDB_NEW_FOLDER_H

#include "failure.h"

enum sdb_made_kind {
  SDB_MADE_FOLDER,
  SDB_MADE_SQLITE,  /* an SQLite file */
  SDB_MADE_DATABASE /* a directory of the engine's */
};

typedef struct sdb_made {
  struct sdb_made *before;
  enum sdb_made_kind kind;
  char *path; /* from sqlite3_malloc */
} sdb_made;

/* Begins as {0}. */
typedef struct sdb_new_folder {
  char *path;     /* what it is going to be called */
  char *made_as;  /* what it is called until then; without symbolic links */
  unsigned mode;  /* of its folders */
  sdb_made *last; /* what was put there, the last first */
} sdb_new_folder;

/* `path` is absolute and must not exist; its folder does.  As private as `like`, a file. */
int sdb_new_folder_make(sdb_new_folder *folder, const char *path, const char *like, sdb_failure *f);
/* Path of what is going to lie at `place`, a relative path, and to be removed if the folder does not get its name.
** Folders on the way there are made.  NULL: *f is set. */
const char *sdb_new_folder_add(sdb_new_folder *folder, const char *place, enum sdb_made_kind kind, sdb_failure *f);
/* All is in it, durably but for the names of its folders: it gets its name, durably. */
int sdb_new_folder_finish(sdb_new_folder *folder, sdb_failure *f);
/* Frees; removes what did not get its name. */
void sdb_new_folder_close(sdb_new_folder *folder);

#endif /* SDB_NEW_FOLDER_H */
